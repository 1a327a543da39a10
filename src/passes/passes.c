#include "passes/pass_int.h"

#include "ops/build.h"
#include "base/ban.h"

/* Order is meaning: read top to bottom. */
const maas_pass maas_passes[] = {
    {"infer", 0, maas_pass_infer, "types and shapes of every value"},
    {"write-gradients", 0, maas_pass_write_gradients,
     "nodes that compute what a Gradient node asks for"},
    {"dead-code", 0, maas_pass_dead_code, "drops nodes nobody reads"},
    {"fuse-edges", 2, maas_pass_fuse_edges,
     "rows gathered, weighed and added up are a sum along edges"},
    {"drop-identity", 1, maas_pass_drop_identity,
     "drops what changes nothing: Identity, Dropout when not training, casts to the same type"},
    {"fold-constants", 1, maas_pass_fold_constants, "computes what depends on constants alone"},
    {"control-flow", 1, maas_pass_control_flow,
     "constants are constants in bodies, too; an If of a known condition is its branch"},
    {"infer-folded", 1, maas_pass_infer, "shapes that folding made known"},
    {"narrow-trees", 1, maas_pass_narrow_trees,
     "trees look at floats themselves, not at doubles made of them"},
    {"fold-norm", 2, maas_pass_fold_norm,
     "normalization with constant statistics becomes a product and a sum"},
    {"fuse-conv", 2, maas_pass_fuse_conv,
     "a convolution with what follows it: scale, bias, sum, activation"},
    {"fuse-int8", 2, maas_pass_fuse_int8,
     "operators between DequantizeLinear and QuantizeLinear run on bytes, channels last"},
    {"fold-weights", 1, maas_pass_fold_weights, "computes the floats of weights that stay floats"},
    {"layout", 2, maas_pass_layout, "channels in blocks between convolutions"},
    {"bf16", 2, maas_pass_bf16, "convolutions in bfloat16, in models that ask for it"},
    {"einsum", 2, maas_pass_einsum, "sums over labels that are matrix products"},
    {"fuse-patterns", 2, maas_pass_fuse_patterns,
     "small operators that stand for one: attention, normalizations, Gelu"},
    {"fuse-gemm", 2, maas_pass_fuse_gemm,
     "a matrix product with what follows it: bias, activation"},
    {"fuse-elementwise", 2, maas_pass_fuse_elementwise,
     "chains of element-wise operators, optimizer steps"},
    {"sweep", 1, maas_pass_dead_code, "drops nodes nobody reads any more"},
};
const size_t maas_n_passes = MAAS_COUNT(maas_passes);

maas_status maas_pass_infer(maas_graph *g, const maas_pass_opts *o, maas_err *err)
{
    return maas_graph_infer(g, err);
}

maas_status maas_graph_optimize(maas_graph *g, const maas_pass_opts *o, maas_err *err)
{
    for (size_t i = 0; i < maas_n_passes; i++) {
        const maas_pass *p = &maas_passes[i];
        if (o->level < p->min_level)
            continue;
        MAAS_TRY(p->run(g, o, err));
        maas_err why = {0};
        if (o->check && maas_graph_verify(g, &why) != MAAS_OK)
            return maas_fail(err, why.code == MAAS_E_NOMEM ? MAAS_E_NOMEM : MAAS_E_INTERNAL,
                             "after pass %s: %s", p->name, why.msg);
    }
    return MAAS_OK;
}
