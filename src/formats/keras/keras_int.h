/*
 * formats/keras/keras_int.h - what is shared in this directory; nobody outside includes it.
 *
 *   keras.c (zip, h5) ──► h5.c (libhdf5) ──► weights ─┐
 *        └──► model.c (layers, who feeds whom) ──► rows of kr_rows ──► graph
 *
 * A layer is a row and one function: values in, value out. Errors are sticky, as in the builder:
 * after the first, everything gives MAAS_NO_VALUE, zero or an empty type, so that layers have no
 * error paths.
 */
#ifndef MAAS_FORMATS_KERAS_INT_H
#define MAAS_FORMATS_KERAS_INT_H

#include "base/json.h"
#include "formats/keras/keras.h"
#include "ops/build.h"

enum { KR_MAX_LAYERS = 1 << 16, KR_MAX_DEPTH = 8, KR_MAX_INPUTS = 1024, KR_MAX_UNITS = 1 << 24 };

typedef struct kr {
    maas_builder b;
    maas_arena *arena;
    maas_err *err;
    const maas_keras_weights *w;
    bool before_3; /* written by Keras 1 or 2: some defaults and formulas were others */
    int depth;     /* of models in models */
} kr;

typedef struct kr_layer kr_layer;

/* kr_row.flags */
enum {
    KR_ANY_TYPE = 1, /* takes integers as they are; others get float32 */
    KR_NAMED = 2,    /* reads keyword arguments of its calls; others have none */
};

typedef struct kr_row {
    const char *class_name;
    maas_vid (*build)(kr *k, kr_layer *l, const maas_vid *in, uint32_t n);
    /* Arguments it reads, space-separated. What is not here, null, or in kr_ignored is refused. */
    const char *args;
    int8_t rank;           /* of its first input, batch counted; 0: any */
    uint16_t n_min, n_max; /* inputs */
    uint16_t flags;
} kr_row;

struct kr_layer {
    const char *name, *class_name;
    const json_t *config;
    const kr_row *row;
    const char *path; /* `.keras`: "layers/dense_1"; `.h5`: the layer's name */
    char **listed;    /* `.h5`: paths of its weights, taken in order */
    size_t n_listed, next;
    bool is_listed;
    const json_t *call; /* keyword arguments of this call; may be NULL */
};

/* Tables end with {0}. */
extern const kr_row kr_core[], kr_activations[], kr_convolutions[], kr_pools[], kr_norms[],
    kr_merges[], kr_shapes[], kr_recurrent[], kr_attention[];
const kr_row *kr_row_find(const char *class_name);

/* ---- config.c: arguments; errors name the layer ---- */

/* Returns MAAS_NO_VALUE. */
__attribute__((format(printf, 4, 5))) maas_vid kr_fail(kr *k, const kr_layer *l, maas_status st,
                                                       const char *fmt, ...);
static inline bool kr_ok(const kr *k)
{
    return k->b.status == MAAS_OK;
}
/* The value of an argument; NULL when missing or null. */
const json_t *kr_arg(const kr_layer *l, const char *key);
int64_t kr_int(kr *k, const kr_layer *l, const char *key, int64_t min, int64_t max,
               int64_t otherwise);
int64_t kr_need_int(kr *k, const kr_layer *l, const char *key, int64_t min, int64_t max);
bool kr_bool(kr *k, const kr_layer *l, const char *key, bool otherwise);
double kr_float(kr *k, const kr_layer *l, const char *key, double otherwise);
/* Index among words, which end with NULL; another is refused. `otherwise` when missing. */
int kr_word(kr *k, const kr_layer *l, const char *key, const char *const *words, int otherwise);
/* n integers: a list of n, or one number for all. Missing: all are `otherwise`. */
void kr_ints(kr *k, const kr_layer *l, const char *key, int n, int64_t min, int64_t max,
             int64_t otherwise, int64_t *out);
/* Arguments of a layer that its row does not know. */
maas_status kr_check_args(kr *k, const kr_layer *l);

/* ---- weights.c ---- */

/* The weight number `index` below `sub` ("" or "cell") of a layer, float32, owned by the graph. */
bool kr_take(kr *k, kr_layer *l, const char *sub, int index, int rank, const int64_t *dims,
             maas_tensor *out);
/* As a constant of the graph. */
maas_vid kr_weight(kr *k, kr_layer *l, const char *sub, int index, int rank, const int64_t *dims);
maas_vid kr_const(kr *k, const maas_tensor *t);
/* A new tensor in the graph's memory, zeroed; false and E_NOMEM. */
bool kr_tensor(kr *k, int rank, const int64_t *dims, maas_tensor *out);
/* Dimensions in another order: a copy. */
bool kr_permuted(kr *k, const maas_tensor *t, const int *order, maas_tensor *out);

/* ---- idioms.c ---- */

const maas_type *kr_type(kr *k, maas_vid v);                     /* an empty one after an error */
maas_vid kr_op1(kr *k, const char *op, maas_attr a, maas_vid x); /* with one attribute */
maas_vid kr_cast(kr *k, maas_vid v, maas_dtype t);
maas_vid kr_transpose(kr *k, maas_vid x, int rank, const int64_t *order);
maas_vid kr_concat(kr *k, const maas_vid *v, uint32_t n, int64_t axis);
maas_vid kr_reshape(kr *k, maas_vid x, const int64_t *dims, int n);
maas_vid kr_slice(kr *k, maas_vid x, int64_t axis, int64_t from, int64_t to, int64_t step);
/* [n, spatial..., c] to [n, c, spatial...] and back; as it is when `first`. */
maas_vid kr_channels_in(kr *k, maas_vid x, bool first);
maas_vid kr_channels_out(kr *k, maas_vid x, bool first);
bool kr_channels_first(kr *k, const kr_layer *l); /* the argument data_format */
/* An axis argument of a tensor of that rank, 0 <= axis < rank. */
int64_t kr_axis(kr *k, const kr_layer *l, const char *key, int64_t otherwise, int rank);
/* Size of a dimension that must be known; 1 after an error. */
int64_t kr_size(kr *k, const kr_layer *l, maas_vid x, int axis);

/* ---- activation.c ---- */

/* The activation that an argument names; x itself when there is none. */
maas_vid kr_activate(kr *k, const kr_layer *l, const char *key, maas_vid x);
/* Its name, "linear" when missing; NULL after an error. */
const char *kr_activation_name(kr *k, const kr_layer *l, const char *key, const char *otherwise);

/* ---- core.c, model.c ---- */

maas_vid kr_dense(kr *k, kr_layer *l, const maas_vid *in, uint32_t n);
/* One call of a layer: its inputs counted, cast and checked. */
maas_vid kr_call(kr *k, kr_layer *l, const maas_vid *in, uint32_t n);
/* A layer inside of another (wrappers): its weights are at path/sub, or follow those of `outer`. */
bool kr_inner(kr *k, kr_layer *outer, const json_t *spec, const char *sub, kr_layer *out);

/* ---- h5.c ---- */

typedef struct kr_h5 kr_h5;
maas_status kr_h5_open(maas_span image, maas_arena *a, kr_h5 **out, maas_err *err);
void kr_h5_close(kr_h5 *h); /* NULL is fine */
/* A text attribute of the root; *out NULL when there is none. */
maas_status kr_h5_text(kr_h5 *h, const char *name, maas_arena *a, char **out, maas_err *err);
/* Names of weights are below `group` ("model_weights", or "" for the root). */
maas_keras_weights kr_h5_weights(kr_h5 *h, bool listed, const char *group);

#endif
