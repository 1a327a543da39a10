/*
 * passes/fuse_conv.h - a convolution and what follows it, for the files of that pass: fuse_conv.c
 * grows and writes chains, fuse_conv_act.c knows activations,
 * fuse_conv_square.c ConvTranspose.
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
    const maas_op *conv, *fused, *fused_add, *add, *sub, *mul, *div, *clip, *sigmoid, *transpose,
        *shuffle, *pad, *hard_sigmoid;
} maas_conv_ops;
maas_conv_ops maas_conv_ops_find(void);

typedef struct maas_chain {
    const maas_readers *readers; /* [n_values], as before anything was fused */
    maas_nid conv, last;
    maas_nid between[MAAS_CHAIN_MAX]; /* nodes that are not needed any more, the convolution too */
    int n_between;
    maas_vid x, w, b, z, y; /* y: what comes out so far */
    int64_t channels;
    int64_t square;       /* of ConvTranspose whose windows do not overlap: their side; else 0 */
    double *scale, *bias; /* [channels] owned by scale; NULL: b alone */
    maas_conv_act act[MAAS_MAX_CONV_ACTS];
    int n_acts, n_pads; /* n_pads 0: as the convolution says */
    int64_t pads[2 * MAAS_WINDOW_AXES];
} maas_chain;

/* The node that alone reads c->y; NULL. */
const maas_node *maas_only_reader(const maas_graph *g, const maas_chain *c);
/* `n` becomes the last node of the chain. */
void maas_chain_step(const maas_graph *g, maas_chain *c, const maas_node *n,
                     const maas_conv_ops *ops);
/* An activation that reads c->y becomes part of the chain. */
bool maas_take_activation(const maas_graph *g, const maas_conv_ops *ops, maas_chain *c);
/* The attributes that say what the chain ends with. */
maas_status maas_chain_set_acts(maas_graph *g, maas_nid nid, const maas_chain *c, maas_err *err);

/* fuse_conv_square.c: the side of the squares that a ConvTranspose makes, 0 when they overlap; and
 * the nodes for a chain that begins with it, whose scale and bias are there. */
int64_t maas_conv_square(const maas_graph *g, const maas_node *n);
maas_status maas_chain_square(maas_graph *g, const maas_conv_ops *ops, const maas_chain *c,
                              maas_err *err);

#endif
