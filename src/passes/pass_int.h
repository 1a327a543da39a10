/* passes/pass_int.h - one function a pass; passes.c lists them in order. */
#ifndef MAAS_PASSES_PASS_INT_H
#define MAAS_PASSES_PASS_INT_H

#include "graph/op.h"
#include "passes/pass.h"

maas_status maas_pass_infer(maas_graph *g, const maas_pass_opts *o, maas_err *err);
maas_status maas_pass_write_gradients(maas_graph *g, const maas_pass_opts *o, maas_err *err);
maas_status maas_pass_drop_identity(maas_graph *g, const maas_pass_opts *o, maas_err *err);
maas_status maas_pass_fold_constants(maas_graph *g, const maas_pass_opts *o, maas_err *err);
maas_status maas_pass_control_flow(maas_graph *g, const maas_pass_opts *o, maas_err *err);
maas_status maas_pass_dead_code(maas_graph *g, const maas_pass_opts *o, maas_err *err);
maas_status maas_pass_fuse_elementwise(maas_graph *g, const maas_pass_opts *o, maas_err *err);
maas_status maas_pass_narrow_trees(maas_graph *g, const maas_pass_opts *o, maas_err *err);
maas_status maas_pass_fold_norm(maas_graph *g, const maas_pass_opts *o, maas_err *err);
maas_status maas_pass_fuse_conv(maas_graph *g, const maas_pass_opts *o, maas_err *err);
maas_status maas_pass_fuse_edges(maas_graph *g, const maas_pass_opts *o, maas_err *err);
maas_status maas_pass_fuse_int8(maas_graph *g, const maas_pass_opts *o, maas_err *err);
maas_status maas_pass_fold_weights(maas_graph *g, const maas_pass_opts *o, maas_err *err);
maas_status maas_pass_bf16(maas_graph *g, const maas_pass_opts *o, maas_err *err);
maas_status maas_pass_layout(maas_graph *g, const maas_pass_opts *o, maas_err *err);
maas_status maas_pass_einsum(maas_graph *g, const maas_pass_opts *o, maas_err *err);
maas_status maas_pass_fuse_patterns(maas_graph *g, const maas_pass_opts *o, maas_err *err);
maas_status maas_pass_fuse_gemm(maas_graph *g, const maas_pass_opts *o, maas_err *err);

/* Helpers that passes share (pass_util.c). */
bool maas_type_eq(const maas_type *a, const maas_type *b); /* surely the same: symbols too */
static inline bool maas_value_is(const maas_graph *g, maas_vid v, uint32_t flags)
{
    return v >= 0 && (maas_graph_at(g, v)->flags & flags) != 0;
}

#endif
