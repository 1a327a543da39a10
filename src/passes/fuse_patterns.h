/* passes/fuse_patterns.h - what the two files of the pass fuse-patterns share. */
#ifndef MAAS_PASSES_FUSE_PATTERNS_H
#define MAAS_PASSES_FUSE_PATTERNS_H

#include "passes/pass_int.h"

typedef struct maas_fuse {
    maas_graph *g;
    uint32_t *uses; /* [n_values] */
    maas_err *err;
} maas_fuse;

/* The node that makes v and nothing but one reader reads; NULL when it is not this operator. */
maas_node *maas_fuse_maker(const maas_fuse *f, maas_vid v, const char *op);
/* A constant of one element, as a number. */
bool maas_fuse_number(const maas_graph *g, maas_vid v, double *out);
/* Rewrites a node in place: another operator of the default domain, inputs, no attributes. */
maas_status maas_fuse_rewrite(const maas_fuse *f, maas_nid n, const char *op, const maas_vid *in,
                              uint32_t n_in);
/* Nobody needs the node any more (NULL: nothing happens). */
void maas_fuse_drop(const maas_fuse *f, maas_node *n);
/* MatMul, scale, mask, Softmax, MatMul that end in node n; when n is a Reshape, with the transposes
 * around them. */
maas_status maas_fuse_attention(const maas_fuse *f, maas_nid n, bool *out_done);

#endif
