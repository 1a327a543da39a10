/*
 * passes/fuse_conv.h - a convolution and what follows it, for the files of that pass: fuse_conv.c
 * grows and writes chains, fuse_conv_act.c knows activations.
 */
#ifndef MAAS_PASSES_FUSE_CONV_H
#define MAAS_PASSES_FUSE_CONV_H

#include "ops/fused_conv.h"
#include "passes/pass_int.h"

#define MAAS_CHAIN_MAX 24

typedef struct maas_readers {
    uint32_t n; /* more than there are nodes here: others, outputs, bindings */
    maas_nid node[2];
} maas_readers;

typedef struct maas_conv_ops { /* looked up once */
    const maas_op *conv, *fused, *fused_add, *add, *sub, *mul, *div, *clip, *sigmoid, *hard_sigmoid;
} maas_conv_ops;
maas_conv_ops maas_conv_ops_find(void);

typedef struct maas_chain {
    const maas_readers *readers; /* [n_values], as before anything was fused */
    maas_nid conv, last;
    maas_nid between[MAAS_CHAIN_MAX]; /* nodes that are not needed any more, the convolution too */
    int n_between;
    maas_vid x, w, b, z, y; /* y: what comes out so far */
    int64_t channels;
    double *scale, *bias; /* [channels] owned by scale; NULL: b alone */
    maas_conv_act act[MAAS_MAX_CONV_ACTS];
    int n_acts;
} maas_chain;

/* The node that alone reads c->y; NULL. */
const maas_node *maas_only_reader(const maas_graph *g, const maas_chain *c);
/* `n` becomes the last node of the chain. */
void maas_chain_step(const maas_graph *g, maas_chain *c, const maas_node *n,
                     const maas_conv_ops *ops);
/* An activation that reads c->y becomes part of the chain. */
bool maas_take_activation(const maas_graph *g, const maas_conv_ops *ops, maas_chain *c);

#endif
