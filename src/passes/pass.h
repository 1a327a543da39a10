/*
 * passes/pass.h - graph to graph, in the order of a table; the graph is verified between passes in
 * tests and with `check`. A broken pass is reported by its name.
 */
#ifndef MAAS_PASSES_PASS_H
#define MAAS_PASSES_PASS_H

#include "graph/graph.h"

typedef struct maas_pass_opts {
    int level;     /* 0: only what is needed to run; 2: everything */
    bool check;    /* verify after every pass                      */
    bool training; /* keep Dropout and batch statistics            */
    int64_t block; /* channels of a block that kernels want; 0: do not change layouts */
    bool int8;     /* kernels take quantized tensors with channels last */
    bool bf16;     /* convolutions in bfloat16: the model asks for it, the machine has it */
} maas_pass_opts;

/* Metadata of a model, "bf16": convolutions may round what they read, and what they write for each
 * other, to bfloat16. */
#define MAAS_META_PRECISION "maas.precision"
bool maas_graph_wants_bf16(const maas_graph *g);

typedef struct maas_pass {
    const char *name;
    int min_level;
    maas_status (*run)(maas_graph *g, const maas_pass_opts *o, maas_err *err);
    const char *help;
} maas_pass;

extern const maas_pass maas_passes[];
extern const size_t maas_n_passes;
/* infer, drop-identity, fold-constants, dead-code, fuse-gemm, fuse-elementwise, ... */
maas_status maas_graph_optimize(maas_graph *g, const maas_pass_opts *o, maas_err *err);

/* Reverse-mode differentiation (passes/gradient.c): appends to g the nodes that compute
 * d loss / d wrt[i] for the scalar `loss`; out_grads[i] is MAAS_NO_VALUE when loss does not depend
 * on it. Names the operator that has no gradient. */
maas_status maas_graph_differentiate(maas_graph *g, maas_vid loss, const maas_vid *wrt, uint32_t n,
                                     maas_vid *out_grads, maas_err *err);

/* Memory planning by lifetime (passes/plan_memory.c): where each buffer goes in one block. */
typedef struct maas_mem_item {
    size_t bytes;         /* in                                  */
    uint32_t first, last; /* in: steps during which it is alive  */
    size_t offset;        /* out: 64-byte aligned                */
} maas_mem_item;
/* Best-fit by decreasing size; returns the size of the block. scratch from the heap. */
maas_status maas_plan_memory(maas_mem_item *items, size_t n, size_t *out_block_bytes,
                             maas_err *err);

#endif
