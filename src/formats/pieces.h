/*
 * formats/pieces.h - pieces of graphs that readers of TensorFlow's formats (savedmodel, tflite) say
 * things with. Sticky like the builder: after an error everything gives MAAS_NO_VALUE.
 */
#ifndef MAAS_FORMATS_PIECES_H
#define MAAS_FORMATS_PIECES_H

#include "ops/build.h"

const maas_type *maas_p_type(maas_builder *b, maas_vid v); /* an empty one after an error */
maas_vid maas_p_op1(maas_builder *b, const char *op, maas_attr a, maas_vid x);
maas_vid maas_p_op2(maas_builder *b, const char *op, maas_attr a, maas_vid x, maas_vid y);
maas_vid maas_p_cast(maas_builder *b, maas_vid v, maas_dtype to);
maas_vid maas_p_transpose(maas_builder *b, maas_vid x, int rank, const int64_t *order);
maas_vid maas_p_to_first(maas_builder *b,
                         maas_vid x); /* channels of rank 4: [n,h,w,c] to [n,c,h,w] */
maas_vid maas_p_to_last(maas_builder *b, maas_vid x);
int maas_p_axis_first(int axis); /* where an axis of [n,h,w,c] is in [n,c,h,w] */
maas_vid maas_p_reshape(maas_builder *b, maas_vid x, const int64_t *dims, int n);
maas_vid maas_p_unsqueeze(maas_builder *b, maas_vid x, int64_t axis);
maas_vid maas_p_squeeze(maas_builder *b, maas_vid x, int64_t axis);
maas_vid maas_p_concat(maas_builder *b, const maas_vid *v, uint32_t n, int64_t axis);
maas_vid maas_p_clip(maas_builder *b, maas_vid x, double lo, double hi); /* float32 */
maas_vid maas_p_like(maas_builder *b, maas_vid like, double number);     /* a scalar of its type */
maas_vid maas_p_slice(maas_builder *b, maas_vid x, const int64_t *axes, const int64_t *from,
                      const int64_t *to, const int64_t *step, int n);
bool maas_p_is_float(maas_builder *b, maas_vid v);
/* The remainder that has the sign of the divisor, and the quotient that goes with it. */
maas_vid maas_p_floor_mod(maas_builder *b, maas_vid x, maas_vid y);
maas_vid maas_p_floor_div(maas_builder *b, maas_vid x, maas_vid y);
/* One axis, its border repeated with itself: [c b a] a b c [c b a]. */
maas_vid maas_p_mirrored(maas_builder *b, maas_vid x, int64_t axis, int64_t before, int64_t after);
/* Pads [rank][before, after] of an array whose axes stand as they do in the file (first: or with
 * channels first). with: MAAS_NO_VALUE for 0. */
maas_vid maas_p_padded(maas_builder *b, maas_vid x, const int64_t *pads, int rank, bool first,
                       const char *mode, maas_vid with);
/* Pictures with channels first; sizes must be known. */
maas_vid maas_p_space_to_batch(maas_builder *b, maas_vid x, const int64_t block[2],
                               const int64_t pads[4], maas_err *err);
maas_vid maas_p_batch_to_space(maas_builder *b, maas_vid x, const int64_t block[2],
                               const int64_t crops[4], maas_err *err);

/* What StridedSlice of TensorFlow does: a slice of axes, axes that go and axes that come. */
typedef struct maas_p_masks {
    int64_t begin, end, ellipsis, fresh, shrink; /* bits, one an entry */
} maas_p_masks;
maas_vid maas_p_strided_slice(maas_builder *b, maas_vid x, const int64_t *begin, const int64_t *end,
                              const int64_t *step, int n, const maas_p_masks *m);

#endif
