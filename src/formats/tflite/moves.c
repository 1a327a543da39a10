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

/* What a strided slice does: a slice of all axes, axes that go and axes that come. */
typedef struct strided {
    int64_t axis[MAAS_MAX_RANK], from[MAAS_MAX_RANK], to[MAAS_MAX_RANK], step[MAAS_MAX_RANK];
    int64_t gone[MAAS_MAX_RANK], fresh[MAAS_MAX_RANK];
    int n, n_gone, n_fresh;
} strided;

typedef struct masks {
    int64_t begin, end, ellipsis, fresh, shrink;
} masks;

static void add_axis(strided *s, int axis, const int64_t *begin, const int64_t *end,
                     const int64_t *step, int i, const masks *m)
{
    const int k = s->n++;
    const bool back = step[i] < 0;
    s->axis[k] = axis;
    s->step[k] = step[i];
    s->from[k] = !(m->begin >> i & 1) ? begin[i] : back ? INT64_MAX : 0;
    s->to[k] = !(m->end >> i & 1) ? end[i] : back ? INT64_MIN : INT64_MAX;
    if (m->shrink >> i & 1) {
        s->from[k] = begin[i];
        s->to[k] = begin[i] == -1 ? INT64_MAX : begin[i] + 1;
        s->step[k] = 1;
        s->gone[s->n_gone++] = axis;
    }
}

static bool is_i32(int64_t v)
{
    return v >= INT32_MIN && v <= INT32_MAX;
}

/* Entry after entry; an ellipsis stands for the axes that no other entry speaks of. */
static bool plan_slices(tl *t, const tl_op *op, int rank, strided *s)
{
    int64_t v[3][MAAS_MAX_RANK];
    const masks m = {fb_i32(&t->f, &op->options, 0, 0), fb_i32(&t->f, &op->options, 1, 0),
                     fb_i32(&t->f, &op->options, 2, 0), fb_i32(&t->f, &op->options, 3, 0),
                     fb_i32(&t->f, &op->options, 4, 0)};
    const int n = tl_ints(t, op, 1, v[0], MAAS_MAX_RANK);
    int axis = 0, out = 0, named = 0;
    if (tl_ints(t, op, 2, v[1], MAAS_MAX_RANK) != n || tl_ints(t, op, 3, v[2], MAAS_MAX_RANK) != n)
        tl_fail(t, MAAS_E_FORMAT, "begin, end and strides are not of one length");
    if (fb_bool(&t->f, &op->options, 5, false))
        tl_fail(t, MAAS_E_UNSUPPORTED, "ends that are offsets");
    for (int i = 0; i < n; i++)
        named += !(m.fresh >> i & 1) && !(m.ellipsis >> i & 1);
    for (int i = 0; i < n && tl_ok(t); i++) {
        if (m.ellipsis >> i & 1) {
            const int skip = rank - named;
            axis += skip > 0 ? skip : 0;
            out += skip > 0 ? skip : 0;
        } else if (m.fresh >> i & 1) {
            s->fresh[s->n_fresh++] = out++;
        } else if (axis >= rank || v[2][i] == 0 || !is_i32(v[0][i]) || !is_i32(v[1][i]) ||
                   !is_i32(v[2][i])) {
            tl_fail(t, MAAS_E_FORMAT, "entry %d of the slice", i);
        } else {
            add_axis(s, axis++, v[0], v[1], v[2], i, &m);
            out += !(m.shrink >> i & 1);
        }
    }
    return tl_ok(t);
}

static void strided_slice(tl *t, tl_op *op)
{
    strided s = {.n = 0};
    maas_vid y = tl_in(t, op, 0);
    if (!plan_slices(t, op, tl_type(t, y)->rank, &s))
        return;
    if (s.n)
        y = tl_slice(t, y, s.axis, s.from, s.to, s.step, s.n);
    if (s.n_gone)
        y = maas_b_op2(&t->b, "Squeeze", y, maas_b_i64s(&t->b, s.gone, s.n_gone));
    if (s.n_fresh)
        y = maas_b_op2(&t->b, "Unsqueeze", y, maas_b_i64s(&t->b, s.fresh, s.n_fresh));
    tl_give(t, op, 0, y);
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

/* As ONNX has them: all that come before, all that come after. */
static maas_vid padded(tl *t, maas_vid x, const int64_t *pads, int rank, bool first,
                       const char *mode, maas_vid with)
{
    int64_t order[2 * MAAS_MAX_RANK];
    for (int i = 0; i < rank; i++) {
        const int axis = first ? tl_axis_first(i) : i;
        order[axis] = pads[2 * i];
        order[rank + axis] = pads[2 * i + 1];
    }
    const maas_vid in[3] = {x, maas_b_i64s(&t->b, order, 2 * rank), with};
    const maas_attr a = MAAS_A_STR("mode", mode);
    return maas_b_node(&t->b, "Pad", &a, 1, in, with == MAAS_NO_VALUE ? 2 : 3, NULL, 1);
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
    tl_give_in(t, op, 0, padded(t, x, pads, rank, first, "constant", with),
               first ? TL_FIRST : TL_LAST);
}

/* The border itself is repeated: [c b a] a b c [c b a]. */
static maas_vid mirrored(tl *t, maas_vid x, int64_t axis, int64_t before, int64_t after)
{
    maas_vid v[3];
    uint32_t n = 0;
    const int64_t back = -1;
    if (before)
        v[n++] = tl_slice(t, x, &axis, &(int64_t){before - 1}, &(int64_t){INT64_MIN}, &back, 1);
    v[n++] = x;
    if (after)
        v[n++] = tl_slice(t, x, &axis, &(int64_t){-1}, &(int64_t){-1 - after}, &back, 1);
    return n == 1 ? x : tl_concat(t, v, n, axis);
}

static void mirror_pad(tl *t, tl_op *op)
{
    int64_t pads[2 * MAAS_MAX_RANK];
    maas_vid x = tl_in(t, op, 0);
    const int rank = borders(t, op, 1, tl_type(t, x)->rank, pads);
    if (fb_i8(&t->f, &op->options, 0, 0) == 0) {
        tl_give(t, op, 0, padded(t, x, pads, rank, false, "reflect", MAAS_NO_VALUE));
        return;
    }
    for (int i = 0; i < rank; i++)
        x = mirrored(t, x, i, pads[2 * i], pads[2 * i + 1]);
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
    maas_vid x = block_input(t, op, one_axis);
    if (!tl_ok(t))
        return;
    const int64_t all[8] = {0, 0, p[0], p[1], p[2], p[3], 0, 0};
    x = padded(t, x, all, 4, true, "constant", MAAS_NO_VALUE);
    const int64_t c = tl_size(t, x, 1), h = tl_size(t, x, 2), w = tl_size(t, x, 3);
    if (h % b[0] || w % b[1])
        tl_fail(t, MAAS_E_FORMAT, "blocks do not divide the picture");
    x = tl_reshape(t, x, (int64_t[]){-1, c, h / b[0], b[0], w / b[1], b[1]}, 6);
    x = tl_transpose(t, x, 6, (int64_t[]){3, 5, 0, 1, 2, 4});
    block_output(t, op, tl_reshape(t, x, (int64_t[]){-1, c, h / b[0], w / b[1]}, 4), one_axis);
}

static void batch_to_space(tl *t, tl_op *op)
{
    int64_t b[2], crop[4];
    const bool one_axis = read_blocks(t, op, b, crop);
    maas_vid x = block_input(t, op, one_axis);
    if (!tl_ok(t))
        return;
    const int64_t c = tl_size(t, x, 1), h = tl_size(t, x, 2), w = tl_size(t, x, 3);
    x = tl_reshape(t, x, (int64_t[]){b[0], b[1], -1, c, h, w}, 6);
    x = tl_transpose(t, x, 6, (int64_t[]){2, 3, 4, 0, 5, 1});
    x = tl_reshape(t, x, (int64_t[]){-1, c, h * b[0], w * b[1]}, 4);
    if (crop[0] + crop[1] >= h * b[0] || crop[2] + crop[3] >= w * b[1])
        tl_fail(t, MAAS_E_FORMAT, "nothing is left of the picture");
    x = tl_slice(t, x, (int64_t[]){2, 3}, (int64_t[]){crop[0], crop[2]},
                 (int64_t[]){h * b[0] - crop[1], w * b[1] - crop[3]}, (int64_t[]){1, 1}, 2);
    block_output(t, op, x, one_axis);
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
