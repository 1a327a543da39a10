/* formats/savedmodel/reductions.c - operators over axes. */
#include "formats/savedmodel/sm_int.h"

#include "base/ban.h"

/* Axes that are constant, 0 <= axis < rank, as bits. */
static uint32_t axes_of(sm *s, const sm_op *op, int rank)
{
    int64_t axes[MAAS_MAX_RANK];
    uint32_t mask = 0;
    const int n = sm_ints(s, op, 1, axes, MAAS_MAX_RANK);
    for (int i = 0; i < n; i++)
        mask |= 1u << sm_axis(s, axes[i], rank);
    return mask;
}

static maas_vid reduced(sm *s, const char *name, maas_vid x, uint32_t mask, bool keep)
{
    int64_t axes[MAAS_MAX_RANK];
    int n = 0;
    for (int i = 0; i < MAAS_MAX_RANK; i++)
        if (mask >> i & 1)
            axes[n++] = i;
    if (n == 0) /* none: an empty list would mean all */
        return x;
    return maas_p_op2(s->b, name, MAAS_A_INT("keepdims", keep), x, maas_b_i64s(s->b, axes, n));
}

/* Without keeping dimensions, what is left must stand in the file's order. */
static bool same_order(uint32_t mask, bool keep)
{
    const uint32_t picture = 1u << 1 | 1u << 2, channels = 1u << 3;
    return keep || (mask & picture) == picture || (mask & channels);
}

/* arg: the name of an operator of ONNX */
static void reduce(sm *s, sm_op *op)
{
    const bool keep = sm_attr_i(s, op, "keep_dims", 0) != 0;
    if (sm_is_first(s, op, 0) && same_order(axes_of(s, op, 4), keep)) {
        const uint32_t mask = axes_of(s, op, 4);
        uint32_t first = 0;
        for (int i = 0; i < 4; i++)
            if (mask >> i & 1)
                first |= 1u << maas_p_axis_first(i);
        const maas_vid y = reduced(s, op->arg, sm_in_first(s, op, 0), first, keep);
        sm_give_in(s, op, 0, y, keep || !mask ? SM_FIRST : SM_LAST);
        return;
    }
    const maas_vid x = sm_in(s, op, 0);
    sm_give(s, op, 0, reduced(s, op->arg, x, axes_of(s, op, sm_rank(s, x)), keep));
}

/* arg: which of ONNX on bytes is it: any is the largest, all the smallest */
static void reduce_bools(sm *s, sm_op *op)
{
    const maas_vid x = sm_in(s, op, 0);
    const uint32_t mask = axes_of(s, op, sm_rank(s, x));
    const maas_vid y = reduced(s, op->arg, maas_p_cast(s->b, x, MAAS_U8), mask,
                               sm_attr_i(s, op, "keep_dims", 0) != 0);
    sm_give(s, op, 0, maas_p_cast(s->b, y, MAAS_BOOL));
}

static maas_dtype type_or(sm *s, const sm_op *op, const char *name, maas_dtype otherwise)
{
    const maas_dtype t = sm_attr_type(s, op, name);
    return t == MAAS_DT_NONE ? otherwise : t;
}

/* arg: the name of an operator of ONNX */
static void arg_of(sm *s, sm_op *op)
{
    const maas_vid x = sm_in(s, op, 0);
    const int axis = sm_axis(s, sm_int(s, op, 1), sm_rank(s, x));
    const maas_attr a[] = {MAAS_A_INT("axis", axis), MAAS_A_INT("keepdims", 0)};
    const maas_vid y = maas_b_node(s->b, op->arg, a, 2, &x, 1, NULL, 1);
    sm_give(s, op, 0, maas_p_cast(s->b, y, type_or(s, op, "output_type", MAAS_I64)));
}

static maas_vid cumsum_of(sm *s, const sm_op *op, maas_vid x)
{
    const int axis = sm_axis(s, sm_int(s, op, 1), sm_rank(s, x));
    const maas_attr a[] = {MAAS_A_INT("exclusive", sm_attr_i(s, op, "exclusive", 0) != 0),
                           MAAS_A_INT("reverse", sm_attr_i(s, op, "reverse", 0) != 0)};
    const maas_vid in[2] = {x, maas_b_i64(s->b, axis)};
    return maas_b_node(s->b, "CumSum", a, 2, in, 2, NULL, 1);
}

static void cumsum(sm *s, sm_op *op)
{
    sm_give(s, op, 0, cumsum_of(s, op, sm_in(s, op, 0)));
}

static void top_k(sm *s, sm_op *op)
{
    maas_vid out[2] = {MAAS_NO_VALUE, MAAS_NO_VALUE};
    const maas_vid k = maas_p_reshape(s->b, sm_in_i64(s, op, 1), (int64_t[]){1}, 1);
    const maas_vid in[2] = {sm_in(s, op, 0), k};
    maas_b_node(s->b, "TopK", NULL, 0, in, 2, out, 2);
    sm_give(s, op, 0, out[0]);
    sm_give(s, op, 1, maas_p_cast(s->b, out[1], type_or(s, op, "index_type", MAAS_I32)));
}

const sm_row sm_reductions[] = {
    {"All", reduce_bools, 2, 2, 0, "ReduceMin", NULL},
    {"Any", reduce_bools, 2, 2, 0, "ReduceMax", NULL},
    {"ArgMax", arg_of, 2, 2, 0, "ArgMax", NULL},
    {"ArgMin", arg_of, 2, 2, 0, "ArgMin", NULL},
    {"Cumsum", cumsum, 2, 2, 0, NULL, NULL},
    {"EuclideanNorm", reduce, 2, 2, 0, "ReduceL2", NULL},
    {"Max", reduce, 2, 2, 0, "ReduceMax", NULL},
    {"Mean", reduce, 2, 2, 0, "ReduceMean", NULL},
    {"Min", reduce, 2, 2, 0, "ReduceMin", NULL},
    {"Prod", reduce, 2, 2, 0, "ReduceProd", NULL},
    {"Sum", reduce, 2, 2, 0, "ReduceSum", NULL},
    {"TopKV2", top_k, 2, 2, 0, NULL, "values indices"},
    {0},
};
