/* formats/tflite/reductions.c - operators over axes. */
#include "formats/tflite/tflite_int.h"

#include "base/ban.h"

/* Axes that are constant, 0 <= axis < rank, as bits. */
static uint32_t axes_of(tl *t, const tl_op *op, int rank)
{
    int64_t axes[MAAS_MAX_RANK];
    uint32_t mask = 0;
    const int n = tl_ints(t, op, 1, axes, MAAS_MAX_RANK);
    for (int i = 0; i < n; i++)
        mask |= 1u << tl_axis(t, axes[i], rank);
    return mask;
}

static maas_vid reduced(tl *t, const char *name, maas_vid x, uint32_t mask, bool keep)
{
    int64_t axes[MAAS_MAX_RANK];
    int n = 0;
    for (int i = 0; i < MAAS_MAX_RANK; i++)
        if (mask >> i & 1)
            axes[n++] = i;
    if (n == 0) /* none: an empty list would mean all */
        return x;
    return tl_op2(t, name, MAAS_A_INT("keepdims", keep), x, maas_b_i64s(&t->b, axes, n));
}

/* Without keeping dimensions, what is left must stand in the file's order. */
static bool same_order(uint32_t mask, bool keep)
{
    const uint32_t picture = 1u << 1 | 1u << 2, channels = 1u << 3;
    return keep || (mask & picture) == picture || (mask & channels);
}

/* arg: the name of an operator of ONNX */
static void reduce(tl *t, tl_op *op)
{
    const bool keep = fb_bool(&t->f, &op->options, 0, false);
    if (tl_is_first(t, op, 0) && same_order(axes_of(t, op, 4), keep)) {
        const uint32_t mask = axes_of(t, op, 4);
        uint32_t first = 0;
        for (int i = 0; i < 4; i++)
            if (mask >> i & 1)
                first |= 1u << tl_axis_first(i);
        const maas_vid y = reduced(t, op->row->arg, tl_in_first(t, op, 0), first, keep);
        tl_give_in(t, op, 0, y, keep || !mask ? TL_FIRST : TL_LAST);
        return;
    }
    const maas_vid x = tl_in(t, op, 0);
    const uint32_t mask = axes_of(t, op, tl_type(t, x)->rank);
    tl_give(t, op, 0, reduced(t, op->row->arg, x, mask, keep));
}

/* arg: which of ONNX on bytes is it: any is the largest, all the smallest */
static void reduce_bools(tl *t, tl_op *op)
{
    const maas_vid x = tl_in(t, op, 0);
    const uint32_t mask = axes_of(t, op, tl_type(t, x)->rank);
    const maas_vid y = reduced(t, op->row->arg, tl_cast(t, x, MAAS_U8), mask,
                               fb_bool(&t->f, &op->options, 0, false));
    tl_give(t, op, 0, tl_cast(t, y, MAAS_BOOL));
}

/* arg: the name of an operator of ONNX */
static void arg_of(tl *t, tl_op *op)
{
    const maas_vid x = tl_in(t, op, 0);
    const int axis = tl_axis(t, tl_int(t, op, 1), tl_type(t, x)->rank);
    const maas_attr a[] = {MAAS_A_INT("axis", axis), MAAS_A_INT("keepdims", 0)};
    const maas_vid y = maas_b_node(&t->b, op->row->arg, a, 2, &x, 1, NULL, 1);
    tl_give(t, op, 0, tl_as_output(t, op, 0, y));
}

static void cumsum(tl *t, tl_op *op)
{
    const maas_vid x = tl_in(t, op, 0);
    const int axis = tl_axis(t, tl_int(t, op, 1), tl_type(t, x)->rank);
    const maas_attr a[] = {MAAS_A_INT("exclusive", fb_bool(&t->f, &op->options, 0, false)),
                           MAAS_A_INT("reverse", fb_bool(&t->f, &op->options, 1, false))};
    const maas_vid in[2] = {x, maas_b_i64(&t->b, axis)};
    tl_give(t, op, 0, maas_b_node(&t->b, "CumSum", a, 2, in, 2, NULL, 1));
}

static void top_k(tl *t, tl_op *op)
{
    maas_vid out[2] = {MAAS_NO_VALUE, MAAS_NO_VALUE};
    const maas_vid k = tl_reshape(t, tl_cast(t, tl_in(t, op, 1), MAAS_I64), (int64_t[]){1}, 1);
    const maas_vid in[2] = {tl_in(t, op, 0), k};
    if (op->out.n != 2) {
        tl_fail(t, MAAS_E_FORMAT, "it has %u outputs", op->out.n);
        return;
    }
    maas_b_node(&t->b, "TopK", NULL, 0, in, 2, out, 2);
    tl_give(t, op, 0, out[0]);
    op->form = TL_CODES;
    tl_give(t, op, 1, tl_as_output(t, op, 1, out[1]));
}

const tl_row tl_reductions[] = {
    {40, "MEAN", reduce, 2, 2, 0, "ReduceMean"},
    {48, "TOPK_V2", top_k, 2, 2, 0, NULL},
    {56, "ARG_MAX", arg_of, 2, 2, 0, "ArgMax"},
    {74, "SUM", reduce, 2, 2, 0, "ReduceSum"},
    {79, "ARG_MIN", arg_of, 2, 2, 0, "ArgMin"},
    {81, "REDUCE_PROD", reduce, 2, 2, 0, "ReduceProd"},
    {82, "REDUCE_MAX", reduce, 2, 2, 0, "ReduceMax"},
    {89, "REDUCE_MIN", reduce, 2, 2, 0, "ReduceMin"},
    {91, "REDUCE_ANY", reduce_bools, 2, 2, 0, "ReduceMax"},
    {128, "CUMSUM", cumsum, 2, 2, 0, NULL},
    {140, "REDUCE_ALL", reduce_bools, 2, 2, 0, "ReduceMin"},
    {0},
};
