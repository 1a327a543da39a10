/*
 * formats/tflite/tflite_int.h - what is shared in this directory; nobody outside includes it.
 *
 *   tflite.c (model, subgraph, operators) ──► rows of tl_rows ──► graph
 *        flat.c (bytes)   tensors.c (types, constants, layouts, quantization)
 *
 * An operator is a row and one function that asks for its inputs and gives its outputs. Errors are
 * sticky, as in the builder: after the first, everything gives MAAS_NO_VALUE or zero, so that
 * operators have no error paths.
 *
 * Layouts: the file's tensors have their channels last, our convolutions want them first. A tensor
 * of four dimensions is kept in whichever form it was made, and the other is made when somebody
 * asks: a chain of convolutions, activations and sums has no Transpose in it.
 */
#ifndef MAAS_FORMATS_TFLITE_INT_H
#define MAAS_FORMATS_TFLITE_INT_H

#include "base/arena.h"
#include "formats/pieces.h"
#include "formats/tflite/flat.h"
#include "formats/tflite/schema.h"
#include "formats/tflite/tflite.h"
#include "ops/build.h"

enum { TL_LAST, TL_FIRST }; /* channels */
enum { TL_CODES, TL_REAL }; /* as stored; as the numbers that it stands for */
enum { TL_MAX_IO = 4096, TL_MAX_STEP = 1 << 16 };

typedef struct tl_tensor {
    const char *name;
    uint8_t dtype; /* of the file: a quantized one is I8, U8 or I16 */
    int8_t rank;
    bool quantized, variable, known; /* known: its values are made, or it is constant */
    uint8_t axis;                    /* of several scales */
    int64_t dims[MAAS_MAX_RANK];     /* -1: open */
    fb_vector scale, zero;           /* zero.n 0: all are 0 */
    const void *data;                /* of a constant, aligned */
    maas_vid v[2][2];                /* [codes or real][last or first] */
} tl_tensor;

typedef struct tl_op tl_op;
typedef struct tl {
    maas_builder b;
    maas_arena *arena; /* until the graph is there */
    maas_err *err;
    fb f;
    fb_vector buffers;
    tl_tensor *tensors;
    uint32_t n_tensors;
    uint64_t looked; /* bytes of tensors that were gone through */
} tl;

/* tl_row.flags */
enum {
    TL_MOVES = 1, /* moves elements only: quantized ones stay codes when nothing requantizes them */
    TL_OMITS = 2, /* may omit inputs before the last ones; its function looks */
};

typedef struct tl_row {
    int16_t code;
    const char *name;
    void (*build)(tl *t, tl_op *op);
    uint8_t n_min, n_max; /* inputs; 255: any number */
    uint8_t flags;
    const void *arg; /* of build */
} tl_row;

struct tl_op {
    const tl_row *row;
    fb_table options;
    fb_vector in, out; /* numbers of tensors, all of them checked; -1: an omitted input */
    uint32_t number;
    int form; /* TL_CODES or TL_REAL: what tl_in and tl_give speak of */
};

/* Tables end with {.name = NULL}. */
extern const tl_row tl_elementwise[], tl_images[], tl_products[], tl_reductions[], tl_shapes[],
    tl_moves[];
const tl_row *tl_row_find(int64_t code);
const char *tl_code_name(int64_t code); /* of operators that are not supported, too; may be NULL */

/* Returns MAAS_NO_VALUE. */
__attribute__((format(printf, 3, 4))) maas_vid tl_fail(tl *t, maas_status st, const char *fmt, ...);
static inline bool tl_ok(tl *t)
{
    if (t->b.status == MAAS_OK)
        t->b.status = fb_check(&t->f, t->err);
    return t->b.status == MAAS_OK;
}

/* ---- tensors.c ---- */

maas_status tl_tensors_read(tl *t, const fb_table *graph);
/* Of a table of sparsity: all elements, in the graph's memory; errors do not name the tensor. */
maas_status tl_sparse_read(tl *t, const fb_table *from, const tl_tensor *x, maas_span data,
                           size_t bytes, const void **out);
maas_dtype tl_dtype(int64_t type); /* of the schema; MAAS_DT_NONE: unknown or not supported */

/* ---- values.c: inputs and outputs of an operator ---- */

bool tl_has(const tl_op *op, uint32_t i);
tl_tensor *tl_of(tl *t, const tl_op *op, uint32_t i); /* input */
tl_tensor *tl_of_out(tl *t, const tl_op *op, uint32_t i);
/* A tensor's value in one of its forms. */
maas_vid tl_value(tl *t, tl_tensor *x, int form, int layout);
/* Input i in the operator's form; MAAS_NO_VALUE when omitted. */
maas_vid tl_in(tl *t, const tl_op *op, uint32_t i);
maas_vid tl_in_first(tl *t, const tl_op *op, uint32_t i);   /* of rank 4 */
bool tl_is_first(const tl *t, const tl_op *op, uint32_t i); /* it has no value with channels last */
maas_vid tl_codes(tl *t, const tl_op *op, uint32_t i);
/* All that is quantized is so in one way: moving elements needs no numbers. */
bool tl_moves_codes(tl *t, const tl_op *op);
/* Input i beside values of rank 4 with channels first, for broadcasting; MAAS_NO_VALUE without an
 * error: not without moving it. */
maas_vid tl_beside(tl *t, const tl_op *op, uint32_t i);
/* The weights of a constant or computed input: real numbers, dimensions in another order. */
maas_vid tl_weights(tl *t, const tl_op *op, uint32_t i, const int64_t *order);
/* A bias: int32 codes are real numbers, scaled by the scales of input and weights. */
maas_vid tl_bias(tl *t, const tl_op *op, uint32_t i);
/* Output i; quantized where the tensor is. */
void tl_give(tl *t, const tl_op *op, uint32_t i, maas_vid v);
void tl_give_first(tl *t, const tl_op *op, uint32_t i, maas_vid v);
void tl_give_in(tl *t, const tl_op *op, uint32_t i, maas_vid v, int layout);
/* A fused activation, a field of the options. */
maas_vid tl_activated(tl *t, const tl_op *op, int field, maas_vid v);
/* What was computed as int64 as the type of output i. */
maas_vid tl_as_output(tl *t, const tl_op *op, uint32_t i, maas_vid v);
/* All of a constant integer input, at most `max` of them; -1 and an error: it is none. */
int tl_ints(tl *t, const tl_op *op, uint32_t i, int64_t *out, int max);
int64_t tl_int(tl *t, const tl_op *op, uint32_t i); /* one */
bool tl_is_const(tl *t, const tl_op *op, uint32_t i);
/* Options. */
int64_t tl_option(tl *t, const tl_op *op, int field, int64_t min, int64_t max, int64_t otherwise);

/* ---- idioms.c: pieces of graphs; sticky like the builder ---- */

const maas_type *tl_type(tl *t, maas_vid v); /* an empty one after an error */
maas_vid tl_op1(tl *t, const char *op, maas_attr a, maas_vid x);
maas_vid tl_op2(tl *t, const char *op, maas_attr a, maas_vid x, maas_vid y);
maas_vid tl_cast(tl *t, maas_vid v, maas_dtype to);
maas_vid tl_transpose(tl *t, maas_vid x, int rank, const int64_t *order);
maas_vid tl_to_first(tl *t, maas_vid x); /* rank 4 */
maas_vid tl_to_last(tl *t, maas_vid x);
maas_vid tl_reshape(tl *t, maas_vid x, const int64_t *dims, int n);
maas_vid tl_concat(tl *t, const maas_vid *v, uint32_t n, int64_t axis);
maas_vid tl_clip(tl *t, maas_vid x, double lo, double hi);
maas_vid tl_like(tl *t, maas_vid like, double number); /* a scalar of its type */
maas_vid tl_slice(tl *t, maas_vid x, const int64_t *axes, const int64_t *from, const int64_t *to,
                  const int64_t *step, int n);
/* An axis as the file says it, 0 <= axis < rank; 0 and an error otherwise. */
int tl_axis(tl *t, int64_t axis, int rank);
/* Of a picture, where the axis is with channels first. */
int tl_axis_first(int axis);
int64_t tl_size(tl *t, maas_vid x, int axis); /* must be known; 1 after an error */

#endif
