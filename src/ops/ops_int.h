/*
 * ops/ops_int.h - what the files of this room share; nobody else includes it.
 *
 * The division of labour: ops/infer.c checks arity, attribute types and dtype sets of a node
 * against its schema, then asks the operator's infer, which checks everything else that a hostile
 * model can say (axes, permutations, sizes). Reference code then relies on all of it. What only
 * data can say is checked in reference code: values of indices by hand, contents that decide a
 * shape by maas_ref_check(), which asks infer once more with the data in hand.
 *
 * infer writes MAAS_DIM_UNKNOWN for a size it cannot tell; infer.c turns that into a symbol.
 */
#ifndef MAAS_OPS_INT_H
#define MAAS_OPS_INT_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "ops/build.h"

/* ---- schema rows ---- */
#define MAAS_REQ(nm, var, dts)                                                                     \
    {                                                                                              \
        .name = (nm), .type = (var), .dtypes = (dts)                                               \
    }
#define MAAS_OPT(nm, var, dts)                                                                     \
    {                                                                                              \
        .name = (nm), .type = (var), .dtypes = (dts), .optional = true                             \
    }
#define MAAS_VARIADIC(nm, var, dts)                                                                \
    {                                                                                              \
        .name = (nm), .type = (var), .dtypes = (dts), .variadic = true                             \
    }
#define MAAS_TAGS_SEQ MAAS_TAG(MAAS_TYPE_SEQUENCE)
#define MAAS_TAGS_OPT MAAS_TAG(MAAS_TYPE_OPTIONAL)
#define MAAS_TAGS_ANY (MAAS_TAG(MAAS_TYPE_TENSOR) | MAAS_TAGS_SEQ | MAAS_TAGS_OPT)
#define MAAS_SEQ(nm, var, dts)                                                                     \
    {                                                                                              \
        .name = (nm), .type = (var), .dtypes = (dts), .tags = MAAS_TAGS_SEQ                        \
    }
#define MAAS_SCHEMA(ins, outs)                                                                     \
    .in = (ins), .n_in = MAAS_COUNT(ins), .out = (outs), .n_out = MAAS_COUNT(outs)
#define MAAS_ATTRS(rows) .attr = (rows), .n_attr = MAAS_COUNT(rows)
#define MAAS_DTS_FULL    (MAAS_DT_BIT(MAAS_F32) | MAAS_DT_BIT(MAAS_F64)) /* floats, not halves */
#define MAAS_DTS_INDEX   (MAAS_DT_BIT(MAAS_I32) | MAAS_DT_BIT(MAAS_I64))
#define MAAS_DTS_I64     MAAS_DT_BIT(MAAS_I64)
#define MAAS_DTS_BOOL    MAAS_DT_BIT(MAAS_BOOL)
#define MAAS_DTS_STR     MAAS_DT_BIT(MAAS_STRING)

/* ---- inference (infer_util.c) ---- */
static inline bool maas_q_has(const maas_infer *q, int i)
{
    return i < q->node->n_in && q->in[i].tag != MAAS_TYPE_NONE;
}
/* The exact content of a small integer input; false when it is not known. v holds 2*MAAS_MAX_RANK.
 */
bool maas_q_ints(const maas_infer *q, int i, int64_t *v, int *n);
void maas_q_out(maas_infer *q, int k, maas_dtype t, int rank, const int64_t *dims);
void maas_q_unranked(maas_infer *q, int k, maas_dtype t);
/* Dimensions that must be equal: the stronger of both; E_INVALID on contradiction. */
maas_status maas_dim_same(int64_t a, int64_t b, int64_t *out, const char *what, maas_err *err);
maas_status maas_type_broadcast(const maas_type *a, const maas_type *b, maas_type *out,
                                maas_err *err);
/* A negative axis counts from the end. */
maas_status maas_axis(int64_t axis, int rank, int *out, maas_err *err);
/* A set of axes as bits; refuses repeats. */
maas_status maas_axes(const int64_t *axes, int n, int rank, uint32_t *out_mask, maas_err *err);
int64_t maas_dim_product(const int64_t *dims, int from, int to); /* unknown if any is */
maas_status maas_infer_like(maas_infer *q, maas_err *err);       /* output 0 is as input 0 */
maas_status maas_infer_broadcast(maas_infer *q, maas_err *err);  /* all inputs, dtype of input 0 */
/* One node, given its place; out_known [n_out] receives contents. Used by builder and graph walk.
 */
typedef void (*maas_known_fn)(void *user, maas_vid v, maas_known *out);
maas_status maas_node_infer(maas_graph *g, maas_nid n, maas_known_fn known, void *user,
                            maas_known *out_known, maas_err *err);
void maas_known_of(const maas_tensor *t, maas_known *out); /* n = -1: too large, not integers */
bool maas_is_symbolic(const maas_known *k);

/* ---- graphs in attributes (body.c) ---- */
static inline int maas_n_own_in(const maas_node *n) /* inputs of the operator itself */
{
    return n->n_in - n->n_captured;
}
maas_graph *maas_body_of(const maas_node *n, const char *attr);
/* Types through a body, given those of its inputs, which are in terms of the outer graph. */
maas_status maas_body_infer(maas_infer *q, maas_graph *body, const maas_type *in, int n_in,
                            maas_err *err);
maas_type maas_body_out(maas_infer *q, const maas_graph *body, uint32_t k);
/* The strongest type that both are of; E_INVALID when kinds or elements differ. */
maas_status maas_type_join(const maas_type *a, const maas_type *b, maas_type *out, maas_err *err);
/* How deep in graphs the node is. */
int maas_graph_depth(const maas_graph *g);
/* Output k becomes what a body returned: copied, for the body may run again. */
maas_status maas_ref_take(const maas_call *c, int k, const maas_tensor *t, maas_err *err);
/* The same into memory of the caller's. */
maas_status maas_value_copy(maas_arena *a, const maas_tensor *t, maas_tensor *out, maas_err *err);

/* ---- reference code (ref_util.c) ---- */
static inline const maas_tensor *maas_c_in(const maas_call *c, int i) /* NULL: omitted */
{
    return i < c->n_in && c->in[i].dtype != MAAS_DT_NONE ? &c->in[i] : NULL;
}
static inline maas_tensor *maas_c_out(const maas_call *c, int i) /* NULL: not wanted */
{
    return i < c->n_out && c->out[i].dtype != MAAS_DT_NONE && c->out[i].data ? &c->out[i] : NULL;
}
static inline bool maas_c_wants(const maas_call *c, int i) /* before maas_ref_alloc */
{
    return i < c->n_out && c->out[i].dtype != MAAS_DT_NONE;
}
static inline bool maas_is_float(int t)
{
    return maas_dtype_in((maas_dtype)t, MAAS_DTS_FLOAT | MAAS_DTS_SMALL_FLOAT);
}
static inline double maas_ld(const maas_tensor *t, int64_t i)
{
    if (t->dtype == MAAS_F32)
        return ((const float *)t->data)[i];
    return t->dtype == MAAS_F64 ? ((const double *)t->data)[i] : maas_tensor_get(t, i);
}
static inline void maas_st(const maas_tensor *t, int64_t i, double v)
{
    if (t->dtype == MAAS_F32)
        ((float *)t->data)[i] = (float)v;
    else if (t->dtype == MAAS_F64)
        ((double *)t->data)[i] = v;
    else
        maas_tensor_set(t, i, v);
}
void maas_st_i64(const maas_tensor *t, int64_t i, int64_t v); /* integers: wraps to the width */
/* Asks infer again with the data in hand: E_INVALID when outputs have other shapes than it says. */
maas_status maas_ref_check(const maas_call *c, maas_err *err);
/* DYNAMIC operators: output k gets this shape and memory of the run, E_TOO_LARGE and E_NOMEM where
 * that cannot be; an output that is not wanted (maas_c_wants) stays as it is. */
maas_status maas_ref_alloc(const maas_call *c, int k, int rank, const int64_t *dims, maas_err *err);
/* The same for an output that is what exists already: shared where it can be, else copied. */
maas_status maas_ref_share(const maas_call *c, int k, const maas_tensor *t, maas_err *err);
/* What may be an item of a list: a tensor is copied, its bytes may be overwritten by later steps.
 */
maas_status maas_ref_keep(const maas_call *c, const maas_tensor *t, maas_tensor *out,
                          maas_err *err);
/* Output k becomes a list of n items, to be written by the caller. */
maas_status maas_ref_list(const maas_call *c, int k, maas_holds holds, int64_t n,
                          maas_tensor **out_items, maas_err *err);
/* Bytes for the text of strings that a DYNAMIC operator makes. */
maas_status maas_ref_text(const maas_call *c, size_t n, char **out, maas_err *err);
/* A possibly negative index below n; E_INVALID outside. */
maas_status maas_ref_index(int64_t i, int64_t n, int64_t *out, maas_err *err);

/* Walks the rows of a broadcast result: element i of a row is in[k][at[k] + i * step[k]]. */
#define MAAS_BCAST_MAX 4
typedef struct maas_bcast {
    int n, rank;
    bool begun;
    int64_t inner, row, n_rows; /* elements of a row, number of the row, rows */
    int64_t dims[MAAS_MAX_RANK], idx[MAAS_MAX_RANK];
    int64_t stride[MAAS_BCAST_MAX][MAAS_MAX_RANK];
    int64_t at[MAAS_BCAST_MAX], step[MAAS_BCAST_MAX];
} maas_bcast;
void maas_bcast_init(maas_bcast *b, const maas_tensor *out, const maas_tensor *in, int n);
bool maas_bcast_row(maas_bcast *b);

/* A strided view of an array; strides and offset in elements, strides may be 0 or negative. */
typedef struct maas_view {
    int rank;
    int64_t offset;
    int64_t dims[2 * MAAS_MAX_RANK], stride[2 * MAAS_MAX_RANK];
} maas_view;
void maas_strides(const int64_t *dims, int rank, int64_t *out); /* row-major */
void maas_view_read(void *dense, const void *strided, const maas_view *v, size_t elem);
void maas_view_write(void *strided, const void *dense, const maas_view *v, size_t elem);
/* Steps through some axes of an array: while (w.left) { use w.at; maas_walk_step(&w); }. */
typedef struct maas_walk {
    int rank;
    int64_t at, left;
    int64_t dims[MAAS_MAX_RANK], stride[MAAS_MAX_RANK], idx[MAAS_MAX_RANK];
} maas_walk;
/* The axes of `mask`, of a row-major array, beginning at element `at`. */
void maas_walk_init(maas_walk *w, const int64_t *dims, int rank, uint32_t mask, int64_t at);
void maas_walk_step(maas_walk *w);
/* Elements before, along and after an axis. */
typedef struct maas_split3 {
    int64_t outer, n, inner;
} maas_split3;
maas_split3 maas_around(const maas_tensor *t, int axis);

int64_t maas_flops_none(const maas_call *c); /* moves bytes */
int64_t maas_flops_out(const maas_call *c);  /* one for each output element */

/* ---- examples (example_util.c) ---- */
/* Even variants are F32, odd ones F64: every differentiable operator is checked in F64. */
static inline maas_dtype maas_ex_float(const maas_example *e)
{
    return e->variant & 1 ? MAAS_F64 : MAAS_F32;
}
/* An input of this shape with data uniform in [lo, hi). */
maas_vid maas_ex_in(maas_example *e, maas_dtype t, double lo, double hi, int rank,
                    const int64_t *dims);
/* An input that holds tensors of any shape: a sequence of some, an optional with one. */
maas_vid maas_ex_list(maas_example *e, maas_type_tag tag, maas_dtype t, double lo, double hi);
#define MAAS_DIMS(...)                                                                             \
    (int)MAAS_COUNT(((int64_t[]){__VA_ARGS__})), (const int64_t[])                                 \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
maas_vid maas_b_scalar(maas_builder *b, maas_dtype t, double v); /* a constant of rank 0 */
maas_vid maas_b_vector(maas_builder *b, maas_dtype t, const double *v, int n);
maas_vid maas_b_strings(maas_builder *b, const char *const *words, int n);

/* ---- gradients ---- */
#define MAAS_SECOND_ORDER   "gradients of fused gradients are not written"
#define MAAS_B_ADD(b, x, y) maas_b_op2(b, "Add", x, y)
#define MAAS_B_SUB(b, x, y) maas_b_op2(b, "Sub", x, y)
#define MAAS_B_MUL(b, x, y) maas_b_op2(b, "Mul", x, y)
#define MAAS_B_DIV(b, x, y) maas_b_op2(b, "Div", x, y)
/* A scalar constant of the dtype of `like`. */
maas_vid maas_b_like(maas_builder *b, maas_vid like, double v);
maas_vid maas_b_attr1(maas_builder *b, const char *op, maas_attr a, maas_vid x, maas_vid y);
maas_vid maas_b_shaped_like(maas_builder *b, maas_vid v, maas_vid like); /* Reshape to its shape */
/* The contract says din of what is not wanted is not looked at. */
#define MAAS_WANT(g, i) ((i) < (g)->node->n_in && (g)->want[i])
/* Identity-like: input 0 gets dy reshaped as it was. For every operator that only renames shape. */
void maas_grad_reshape(maas_grad *g);

#endif
