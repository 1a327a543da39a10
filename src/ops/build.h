/*
 * ops/build.h - the operator table, and a builder that writes graphs by operator name.
 *
 * The builder's error is sticky: after the first failure every call returns MAAS_NO_VALUE and does
 * nothing, so building code has no error paths; look at b->status at the end.
 */
#ifndef MAAS_OPS_BUILD_H
#define MAAS_OPS_BUILD_H

#include "graph/op.h"

extern const maas_op *const maas_ops[];
extern const size_t maas_n_ops;
/* The newest row with since <= version; NULL when unknown. domain "" or "ai.onnx": default. */
const maas_op *maas_op_find(const char *domain, const char *name, int version);

struct maas_builder {
    maas_graph *g;
    maas_status status;
    maas_err *err; /* borrowed; may be NULL */
    maas_nid last; /* node made last: attributes go here */
    /* Whoever writes a node from what it has checked says so: `checked` of the next node alone, as
     * its infer would note it (graph.h). 0: it looks itself. */
    uint32_t checked;
    /* How a loop over many trees is shared among threads (runtime/threads.h); NULL: it is not. */
    void (*loop)(int n_threads, int64_t n, void (*fn)(void *arg, int64_t i, int ithr), void *arg);
    int n_threads;
    /* Private: contents of shapes made lately, so that Reshape(x, Shape(y)) knows its type at once.
     * An older one is forgotten; maas_graph_infer finds it again. */
    struct {
        maas_vid v;
        bool filled;
        maas_known known;
    } recent[16];
    uint32_t n_recent;
};

void maas_builder_init(maas_builder *b, maas_graph *g, maas_err *err);

/* One node with one output and up to 4 inputs (trailing MAAS_NO_VALUE are left out). Types of its
 * outputs are inferred at once. Looks in the default domain, then ai.onnx.ml, ai.maas,
 * com.microsoft. */
maas_vid maas_b_op(maas_builder *b, const char *op, maas_vid a, maas_vid c, maas_vid d, maas_vid e);
#define maas_b_op1(b, op, x)       maas_b_op(b, op, x, MAAS_NO_VALUE, MAAS_NO_VALUE, MAAS_NO_VALUE)
#define maas_b_op2(b, op, x, y)    maas_b_op(b, op, x, y, MAAS_NO_VALUE, MAAS_NO_VALUE)
#define maas_b_op3(b, op, x, y, z) maas_b_op(b, op, x, y, z, MAAS_NO_VALUE)
/* General form: attributes first (n_attr of them), any number of inputs and outputs. Outputs are
 * written to out[]; returns out[0]. */
maas_vid maas_b_node(maas_builder *b, const char *op, const maas_attr *attr, uint32_t n_attr,
                     const maas_vid *in, uint32_t n_in, maas_vid *out, uint32_t n_out);
#define MAAS_A_INT(key, val)   ((maas_attr){.name = (key), .type = MAAS_ATTR_INT, .u.i = (val)})
#define MAAS_A_FLOAT(key, val) ((maas_attr){.name = (key), .type = MAAS_ATTR_FLOAT, .u.f = (val)})
#define MAAS_A_INTS(key, p, count)                                                                 \
    ((maas_attr){.name = (key), .type = MAAS_ATTR_INTS, .n = (uint32_t)(count), .u.ints = (p)})
#define MAAS_A_GRAPH(key, g) ((maas_attr){.name = (key), .type = MAAS_ATTR_GRAPH, .u.graph = (g)})
#define MAAS_A_STR(key, text)                                                                      \
    ((maas_attr){.name = (key), .type = MAAS_ATTR_STRING, .u.s = {(text), strlen(text)}})

maas_vid maas_b_input(maas_builder *b, const char *name, maas_dtype t, int rank,
                      const int64_t *dims);
maas_vid maas_b_const(maas_builder *b, const char *name, const maas_tensor *t); /* copied */
maas_vid maas_b_f32(maas_builder *b, float v); /* scalar constant */
maas_vid maas_b_i64(maas_builder *b, int64_t v);
maas_vid maas_b_i64s(maas_builder *b, const int64_t *v, int n);    /* 1-D constant */
void maas_b_output(maas_builder *b, const char *name, maas_vid v); /* renames and appends */
const maas_type *maas_b_type(const maas_builder *b, maas_vid v);
/* For gradients: dy summed over what x was broadcast along; dy itself when shapes agree. */
maas_vid maas_b_reduce_to(maas_builder *b, maas_vid dy, maas_vid x);

/* Types and known contents of every value of a graph, node by node; replaces weaker types, refuses
 * contradictions (naming the node). Works with symbols and with concrete shapes alike. */
maas_status maas_graph_infer(maas_graph *g, maas_err *err);

#endif
