/* formats/tflite/moves.c - operators that pick elements: slices, borders, indices. */
#include "formats/tflite/tflite_int.h"

#include <string.h>

#include "base/ban.h"

static maas_vid as_i64(tl *t, const tl_op *op, uint32_t i)
{
    return tl_cast(t, tl_codes(t, op, i), MAAS_I64);
}

static int rank_of_first(tl *t, const tl_op *op)
{
    return tl_is_first(t, op, 0) ? 4 : tl_type(t, tl_in(t, op, 0))->rank;
}

/* ---- slices ---- */

/* A size of -1 reaches to the end. */
static void slice(tl *t, tl_op *op)
{
    maas_builder *b = &t->b;
    const maas_vid from = as_i64(t, op, 1), size = as_i64(t, op, 2);
    const maas_vid to = maas_b_op3(b, "Where", maas_b_op2(b, "Less", size, maas_b_i64(b, 0)),
                                   maas_b_i64(b, INT64_MAX), maas_b_op2(b, "Add", from, size));
    tl_give(t, op, 0, maas_b_op3(b, "Slice", tl_in(t, op, 0), from, to));
}

static void strided_slice(tl *t, tl_op *op)
{
    int64_t v[3][MAAS_MAX_RANK];
    const maas_p_masks m = {fb_i32(&t->f, &op->options, 0, 0), fb_i32(&t->f, &op->options, 1, 0),
                            fb_i32(&t->f, &op->options, 2, 0), fb_i32(&t->f, &op->options, 3, 0),
                            fb_i32(&t->f, &op->options, 4, 0)};
    const maas_vid x = tl_in(t, op, 0);
    const int n = tl_ints(t, op, 1, v[0], MAAS_MAX_RANK);
    if (tl_ints(t, op, 2, v[1], MAAS_MAX_RANK) != n || tl_ints(t, op, 3, v[2], MAAS_MAX_RANK) != n)
        tl_fail(t, MAAS_E_FORMAT, "begin, end and strides are not of one length");
    if (fb_bool(&t->f, &op->options, 5, false))
        tl_fail(t, MAAS_E_UNSUPPORTED, "ends that are offsets");
    if (tl_ok(t))
        tl_give(t, op, 0, maas_p_strided_slice(&t->b, x, v[0], v[1], v[2], n, &m));
}

static void reverse(tl *t, tl_op *op)
{
    int64_t axes[MAAS_MAX_RANK], from[MAAS_MAX_RANK], to[MAAS_MAX_RANK], step[MAAS_MAX_RANK];
    const maas_vid x = tl_in(t, op, 0);
    const int n = tl_ints(t, op, 1, axes, MAAS_MAX_RANK);
    for (int i = 0; i < n; i++) {
        axes[i] = tl_axis(t, axes[i], tl_type(t, x)->rank);
        from[i] = INT64_MAX;
        to[i] = INT64_MIN;
        step[i] = -1;
    }
    tl_give(t, op, 0, n > 0 ? tl_slice(t, x, axes, from, to, step, n) : x);
}

static void reverse_sequence(tl *t, tl_op *op)
{
    const maas_vid in[2] = {tl_in(t, op, 0), as_i64(t, op, 1)};
    const int64_t time = fb_i32(&t->f, &op->options, 0, 0),
                  batch = fb_i32(&t->f, &op->options, 1, 0);
    if (time + batch != 1 || time < 0 || time > 1)
        tl_fail(t, MAAS_E_UNSUPPORTED, "axes other than the first two");
    const maas_attr a[] = {MAAS_A_INT("time_axis", time), MAAS_A_INT("batch_axis", batch)};
    tl_give(t, op, 0, maas_b_node(&t->b, "ReverseSequence", a, 2, in, 2, NULL, 1));
}

/* ---- borders ---- */

/* [rank, 2] of the file, checked. */
static int borders(tl *t, const tl_op *op, uint32_t i, int rank, int64_t pads[2 * MAAS_MAX_RANK])
{
    const int n = tl_ints(t, op, i, pads, 2 * MAAS_MAX_RANK);
    if (tl_ok(t) && n != 2 * rank)
        tl_fail(t, MAAS_E_FORMAT, "%d borders for %d dimensions", n, rank);
    for (int k = 0; k < n; k++)
        if (pads[k] < 0 || pads[k] > INT32_MAX)
            tl_fail(t, MAAS_E_FORMAT, "border %d is %lld", k, (long long)pads[k]);
    return tl_ok(t) ? rank : 0;
}

static void pad(tl *t, tl_op *op)
{
    int64_t pads[2 * MAAS_MAX_RANK];
    const bool first = tl_is_first(t, op, 0);
    const int rank = borders(t, op, 1, rank_of_first(t, op), pads);
    maas_vid with = MAAS_NO_VALUE;
    if (tl_has(op, 2)) {
        with = tl_in(t, op, 2);
        with = tl_type(t, with)->rank == 0 ? with : tl_reshape(t, with, NULL, 0);
    }
    const maas_vid x = first ? tl_in_first(t, op, 0) : tl_in(t, op, 0);
    tl_give_in(t, op, 0, maas_p_padded(&t->b, x, pads, rank, first, "constant", with),
               first ? TL_FIRST : TL_LAST);
}

static void mirror_pad(tl *t, tl_op *op)
{
    int64_t pads[2 * MAAS_MAX_RANK];
    maas_vid x = tl_in(t, op, 0);
    const int rank = borders(t, op, 1, tl_type(t, x)->rank, pads);
    if (fb_i8(&t->f, &op->options, 0, 0) == 0) {
        tl_give(t, op, 0, maas_p_padded(&t->b, x, pads, rank, false, "reflect", MAAS_NO_VALUE));
        return;
    }
    for (int i = 0; i < rank; i++)
        x = maas_p_mirrored(&t->b, x, i, pads[2 * i], pads[2 * i + 1]);
    tl_give(t, op, 0, x);
}

/* ---- pieces of pictures as rows of the batch ---- */

/* One axis is a picture of one row. Returns whether it is. */
static bool read_blocks(tl *t, const tl_op *op, int64_t block[2], int64_t pads[4])
{
    const int n = tl_ints(t, op, 1, block, 2);
    if (tl_ints(t, op, 2, pads, 4) != 2 * n || n < 1)
        tl_fail(t, MAAS_E_FORMAT, "not a block and two borders for each axis");
    if (n == 1) {
        block[1] = block[0];
        block[0] = 1;
        memcpy(pads + 2, pads, 2 * sizeof *pads);
        pads[0] = pads[1] = 0;
    }
    for (int i = 0; i < 2 && tl_ok(t); i++)
        if (block[i] < 1 || block[i] > TL_MAX_STEP)
            tl_fail(t, MAAS_E_FORMAT, "blocks of %lld", (long long)block[i]);
    for (int i = 0; i < 4 && tl_ok(t); i++)
        if (pads[i] < 0 || pads[i] > INT32_MAX)
            tl_fail(t, MAAS_E_FORMAT, "border %d is %lld", i, (long long)pads[i]);
    return n == 1;
}

static maas_vid block_input(tl *t, const tl_op *op, bool one_axis)
{
    if (!one_axis)
        return tl_in_first(t, op, 0);
    const maas_vid x = tl_in(t, op, 0);
    if (tl_ok(t) && tl_type(t, x)->rank != 3)
        tl_fail(t, MAAS_E_UNSUPPORTED, "blocks of one axis of %d", tl_type(t, x)->rank);
    return tl_to_first(t, maas_b_op2(&t->b, "Unsqueeze", x, maas_b_i64s(&t->b, (int64_t[]){1}, 1)));
}

static void block_output(tl *t, const tl_op *op, maas_vid y, bool one_axis)
{
    if (!one_axis) {
        tl_give_first(t, op, 0, y);
        return;
    }
    y = tl_to_last(t, y);
    tl_give(t, op, 0, maas_b_op2(&t->b, "Squeeze", y, maas_b_i64s(&t->b, (int64_t[]){1}, 1)));
}

static void space_to_batch(tl *t, tl_op *op)
{
    int64_t b[2], p[4];
    const bool one_axis = read_blocks(t, op, b, p);
    const maas_vid x = block_input(t, op, one_axis);
    if (tl_ok(t))
        block_output(t, op, maas_p_space_to_batch(&t->b, x, b, p, t->err), one_axis);
}

static void batch_to_space(tl *t, tl_op *op)
{
    int64_t b[2], crop[4];
    const bool one_axis = read_blocks(t, op, b, crop);
    const maas_vid x = block_input(t, op, one_axis);
    if (tl_ok(t))
        block_output(t, op, maas_p_batch_to_space(&t->b, x, b, crop, t->err), one_axis);
}

/* ---- indices ---- */

static void gather(tl *t, tl_op *op)
{
    const maas_vid x = tl_in(t, op, 0);
    const int64_t shared = fb_i32(&t->f, &op->options, 1, 0);
    const int axis = tl_axis(t, fb_i32(&t->f, &op->options, 0, 0), tl_type(t, x)->rank);
    const maas_vid at = as_i64(t, op, 1);
    if (shared == 0) {
        tl_give(t, op, 0, tl_op2(t, "Gather", MAAS_A_INT("axis", axis), x, at));
        return;
    }
    /* rows of their own: indices become tuples of one */
    if (shared != axis || shared < 0 || shared >= tl_type(t, at)->rank) {
        tl_fail(t, MAAS_E_UNSUPPORTED, "axis %d with %lld dimensions in common", axis,
                (long long)shared);
        return;
    }
    const maas_vid tuples = maas_b_op2(&t->b, "Unsqueeze", at,
                                       maas_b_i64s(&t->b, (int64_t[]){-1}, 1));
    tl_give(t, op, 0, tl_op2(t, "GatherND", MAAS_A_INT("batch_dims", shared), x, tuples));
}

static void gather_nd(tl *t, tl_op *op)
{
    tl_give(t, op, 0, maas_b_op2(&t->b, "GatherND", tl_in(t, op, 0), as_i64(t, op, 1)));
}

/* What falls on one place is added. */
static void scatter_nd(tl *t, tl_op *op)
{
    const maas_vid updates = tl_in(t, op, 1);
    const maas_vid zeros = maas_b_op2(&t->b, "Expand", tl_like(t, updates, 0), as_i64(t, op, 2));
    const maas_vid in[3] = {zeros, as_i64(t, op, 0), updates};
    const maas_attr a = MAAS_A_STR("reduction", "add");
    tl_give(t, op, 0, maas_b_node(&t->b, "ScatterND", &a, 1, in, 3, NULL, 1));
}

static void one_hot(tl *t, tl_op *op)
{
    maas_vid values[2];
    for (int i = 0; i < 2; i++) /* off, on */
        values[i] = tl_reshape(t, tl_in(t, op, 3 - (uint32_t)i), (int64_t[]){1}, 1);
    const maas_vid in[3] = {as_i64(t, op, 0), as_i64(t, op, 1), tl_concat(t, values, 2, 0)};
    const maas_attr a = MAAS_A_INT("axis", fb_i32(&t->f, &op->options, 0, 0));
    tl_give(t, op, 0, maas_b_node(&t->b, "OneHot", &a, 1, in, 3, NULL, 1));
}

static void where(tl *t, tl_op *op)
{
    const maas_vid at = maas_b_op1(&t->b, "NonZero", tl_in(t, op, 0));
    tl_give(t, op, 0, tl_transpose(t, at, 2, (int64_t[]){1, 0}));
}

const tl_row tl_moves[] = {
    {34, "PAD", pad, 2, 2, 0, NULL},
    {36, "GATHER", gather, 2, 2, TL_MOVES, NULL},
    {37, "BATCH_TO_SPACE_ND", batch_to_space, 3, 3, TL_MOVES, NULL},
    {38, "SPACE_TO_BATCH_ND", space_to_batch, 3, 3, 0, NULL},
    {45, "STRIDED_SLICE", strided_slice, 4, 4, TL_MOVES, NULL},
    {60, "PADV2", pad, 3, 3, 0, NULL},
    {65, "SLICE", slice, 3, 3, TL_MOVES, NULL},
    {85, "ONE_HOT", one_hot, 4, 4, 0, NULL},
    {100, "MIRROR_PAD", mirror_pad, 2, 2, TL_MOVES, NULL},
    {105, "REVERSE_V2", reverse, 2, 2, TL_MOVES, NULL},
    {107, "GATHER_ND", gather_nd, 2, 2, TL_MOVES, NULL},
    {109, "WHERE", where, 1, 1, 0, NULL},
    {112, "REVERSE_SEQUENCE", reverse_sequence, 2, 2, TL_MOVES, NULL},
    {122, "SCATTER_ND", scatter_nd, 3, 3, 0, NULL},
    {0},
};
