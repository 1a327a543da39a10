/* formats/savedmodel/moves.c - operators that pick elements: slices, borders, indices. */
#include "formats/savedmodel/sm_int.h"

#include <string.h>

#include "base/ban.h"

/* ---- slices ---- */

/* A size of -1 reaches to the end. */
static void slice(sm *s, sm_op *op)
{
    maas_builder *b = s->b;
    const maas_vid from = sm_in_i64(s, op, 1), size = sm_in_i64(s, op, 2);
    const maas_vid to = maas_b_op3(b, "Where", maas_b_op2(b, "Less", size, maas_b_i64(b, 0)),
                                   maas_b_i64(b, INT64_MAX), maas_b_op2(b, "Add", from, size));
    sm_give(s, op, 0, maas_b_op3(b, "Slice", sm_in(s, op, 0), from, to));
}

static maas_p_masks masks_of(sm *s, const sm_op *op)
{
    return (maas_p_masks){sm_attr_i(s, op, "begin_mask", 0), sm_attr_i(s, op, "end_mask", 0),
                          sm_attr_i(s, op, "ellipsis_mask", 0),
                          sm_attr_i(s, op, "new_axis_mask", 0),
                          sm_attr_i(s, op, "shrink_axis_mask", 0)};
}

/* Which entries speak of which axes, where begin or end are computed. */
typedef struct picks {
    int64_t entry[MAAS_MAX_RANK], axis[MAAS_MAX_RANK], step[MAAS_MAX_RANK];
    int64_t gone[MAAS_MAX_RANK], fresh[MAAS_MAX_RANK];
    int n, n_gone, n_fresh;
} picks;

static bool plan_picks(sm *s, int n, int rank, const int64_t *step, const maas_p_masks *m, picks *p)
{
    int axis = 0, out = 0, named = 0;
    for (int i = 0; i < n; i++)
        named += !(m->fresh >> i & 1) && !(m->ellipsis >> i & 1);
    for (int i = 0; i < n; i++) {
        const bool skips = m->ellipsis >> i & 1, shrinks = m->shrink >> i & 1;
        const int more = skips && rank > named ? rank - named : 0;
        axis += more;
        out += more;
        if (skips)
            continue;
        if (m->fresh >> i & 1) {
            p->fresh[p->n_fresh++] = out++;
            continue;
        }
        if (axis >= rank || step[i] < 1 || (shrinks && step[i] != 1)) {
            sm_fail(s, MAAS_E_UNSUPPORTED, "computed places with a stride of %lld",
                    (long long)step[i]);
            return false;
        }
        p->entry[p->n] = i;
        p->step[p->n] = step[i];
        if (shrinks)
            p->gone[p->n_gone++] = axis;
        p->axis[p->n++] = axis++;
        out += !shrinks;
    }
    return sm_ok(s);
}

/* A constant of booleans: the mask's bits of the picked entries. */
static maas_vid bits_of(maas_builder *b, const picks *p, int64_t mask)
{
    int64_t v[MAAS_MAX_RANK];
    for (int i = 0; i < p->n; i++)
        v[i] = mask >> p->entry[i] & 1;
    return maas_p_cast(b, maas_b_i64s(b, v, p->n), MAAS_BOOL);
}

static maas_vid computed_slice(sm *s, const sm_op *op, maas_vid x, const maas_p_masks *m)
{
    maas_builder *b = s->b;
    int64_t step[MAAS_MAX_RANK];
    picks p = {.n = 0};
    const int n = sm_ints(s, op, 3, step, MAAS_MAX_RANK);
    if (n < 0 || !plan_picks(s, n, sm_rank(s, x), step, m, &p))
        return MAAS_NO_VALUE;
    const maas_vid at = maas_b_i64s(b, p.entry, p.n), zero = maas_b_i64(b, 0),
                   most = maas_b_i64(b, INT64_MAX);
    const maas_vid begin = maas_b_op2(b, "Gather", sm_in_i64(s, op, 1), at),
                   end = maas_b_op2(b, "Gather", sm_in_i64(s, op, 2), at);
    const maas_vid from = maas_b_op3(b, "Where", bits_of(b, &p, m->begin & ~m->shrink), zero,
                                     begin);
    maas_vid next = maas_b_op2(b, "Add", from, maas_b_i64(b, 1)); /* of the last: to the end */
    next = maas_b_op3(b, "Where", maas_b_op2(b, "Equal", next, zero), most, next);
    maas_vid to = maas_b_op3(b, "Where", bits_of(b, &p, m->end & ~m->shrink), most, end);
    to = maas_b_op3(b, "Where", bits_of(b, &p, m->shrink), next, to);
    const maas_vid in[5] = {x, from, to, maas_b_i64s(b, p.axis, p.n), maas_b_i64s(b, p.step, p.n)};
    if (p.n)
        x = maas_b_node(b, "Slice", NULL, 0, in, 5, NULL, 1);
    if (p.n_gone)
        x = maas_b_op2(b, "Squeeze", x, maas_b_i64s(b, p.gone, p.n_gone));
    return p.n_fresh ? maas_b_op2(b, "Unsqueeze", x, maas_b_i64s(b, p.fresh, p.n_fresh)) : x;
}

static bool is_const(sm *s, const sm_op *op, uint32_t i)
{
    return sm_const_of(s->b->g, sm_in(s, op, i)) != NULL;
}

static void strided_slice(sm *s, sm_op *op)
{
    int64_t v[3][MAAS_MAX_RANK];
    const maas_p_masks m = masks_of(s, op);
    const maas_vid x = sm_in(s, op, 0);
    if (!sm_ok(s))
        return;
    if (!is_const(s, op, 1) || !is_const(s, op, 2)) {
        sm_give(s, op, 0, computed_slice(s, op, x, &m));
        return;
    }
    sm_rank(s, x);
    const int n = sm_ints(s, op, 1, v[0], MAAS_MAX_RANK);
    if (sm_ints(s, op, 2, v[1], MAAS_MAX_RANK) != n || sm_ints(s, op, 3, v[2], MAAS_MAX_RANK) != n)
        sm_fail(s, MAAS_E_FORMAT, "begin, end and strides are not of one length");
    if (sm_ok(s))
        sm_give(s, op, 0, maas_p_strided_slice(s->b, x, v[0], v[1], v[2], n, &m));
}

static void reverse(sm *s, sm_op *op)
{
    int64_t axes[MAAS_MAX_RANK], from[MAAS_MAX_RANK], to[MAAS_MAX_RANK], step[MAAS_MAX_RANK];
    const maas_vid x = sm_in(s, op, 0);
    const int n = sm_ints(s, op, 1, axes, MAAS_MAX_RANK);
    for (int i = 0; i < n; i++) {
        axes[i] = sm_axis(s, axes[i], sm_rank(s, x));
        from[i] = INT64_MAX;
        to[i] = INT64_MIN;
        step[i] = -1;
    }
    sm_give(s, op, 0, n > 0 ? maas_p_slice(s->b, x, axes, from, to, step, n) : x);
}

static void reverse_sequence(sm *s, sm_op *op)
{
    const maas_vid in[2] = {sm_in(s, op, 0), sm_in_i64(s, op, 1)};
    const int64_t time = sm_attr_i(s, op, "seq_dim", 0), batch = sm_attr_i(s, op, "batch_dim", 0);
    if (time < 0 || time > 1 || batch != 1 - time)
        sm_fail(s, MAAS_E_UNSUPPORTED, "axes other than the first two");
    const maas_attr a[] = {MAAS_A_INT("time_axis", time), MAAS_A_INT("batch_axis", batch)};
    sm_give(s, op, 0, maas_b_node(s->b, "ReverseSequence", a, 2, in, 2, NULL, 1));
}

/* x rolled by one shift along each axis. */
static void roll(sm *s, sm_op *op)
{
    int64_t shift[MAAS_MAX_RANK], axis[MAAS_MAX_RANK];
    const int n = sm_ints(s, op, 1, shift, MAAS_MAX_RANK);
    maas_vid x = sm_in(s, op, 0);
    if (sm_ints(s, op, 2, axis, MAAS_MAX_RANK) != n)
        sm_fail(s, MAAS_E_FORMAT, "not a shift for each axis");
    for (int i = 0; i < n && sm_ok(s); i++) {
        const int64_t at = sm_axis(s, axis[i], sm_rank(s, x)), size = sm_size(s, x, (int)at);
        const int64_t by = ((shift[i] % size) + size) % size, cut = size - by, one = 1, zero = 0,
                      end = INT64_MAX;
        if (by == 0)
            continue;
        const maas_vid v[2] = {maas_p_slice(s->b, x, &at, &cut, &end, &one, 1),
                               maas_p_slice(s->b, x, &at, &zero, &cut, &one, 1)};
        x = maas_p_concat(s->b, v, 2, at);
    }
    sm_give(s, op, 0, x);
}

/* ---- borders ---- */

/* [rank, 2] of the file, checked. */
static int borders(sm *s, const sm_op *op, int rank, int64_t pads[2 * MAAS_MAX_RANK])
{
    const int n = sm_ints(s, op, 1, pads, 2 * MAAS_MAX_RANK);
    if (sm_ok(s) && n != 2 * rank)
        sm_fail(s, MAAS_E_FORMAT, "%d borders for %d dimensions", n, rank);
    for (int k = 0; k < n; k++)
        if (pads[k] < 0 || pads[k] > INT32_MAX)
            sm_fail(s, MAAS_E_FORMAT, "border %d is %lld", k, (long long)pads[k]);
    return sm_ok(s) ? rank : 0;
}

static void pad(sm *s, sm_op *op)
{
    int64_t pads[2 * MAAS_MAX_RANK];
    const bool first = sm_is_first(s, op, 0);
    const maas_vid x = sm_in_layout(s, op, 0, first ? SM_FIRST : SM_LAST);
    const int rank = borders(s, op, sm_rank(s, x), pads);
    const maas_vid with = op->node->n_in > 2 ? sm_in(s, op, 2) : MAAS_NO_VALUE;
    if (sm_ok(s))
        sm_give_in(s, op, 0, maas_p_padded(s->b, x, pads, rank, first, "constant", with),
                   first ? SM_FIRST : SM_LAST);
}

static void mirror_pad(sm *s, sm_op *op)
{
    int64_t pads[2 * MAAS_MAX_RANK];
    maas_vid x = sm_in(s, op, 0);
    const int rank = borders(s, op, sm_rank(s, x), pads);
    if (!sm_ok(s))
        return;
    if (maas_span_is(sm_attr_s(s, op->node, "mode"), "REFLECT")) {
        sm_give(s, op, 0, maas_p_padded(s->b, x, pads, rank, false, "reflect", MAAS_NO_VALUE));
        return;
    }
    for (int i = 0; i < rank; i++)
        x = maas_p_mirrored(s->b, x, i, pads[2 * i], pads[2 * i + 1]);
    sm_give(s, op, 0, x);
}

/* ---- pieces of pictures as rows of the batch ---- */

/* One axis is a picture of one row. Returns how many there are. */
static int read_blocks(sm *s, const sm_op *op, int64_t block[2], int64_t pads[4])
{
    const int n = sm_ints(s, op, 1, block, 2);
    if (sm_ints(s, op, 2, pads, 4) != 2 * n || n < 1)
        sm_fail(s, MAAS_E_FORMAT, "not a block and two borders for each axis");
    if (n == 1) {
        block[1] = block[0];
        block[0] = 1;
        memcpy(pads + 2, pads, 2 * sizeof *pads);
        pads[0] = pads[1] = 0;
    }
    for (int i = 0; i < 2 && sm_ok(s); i++)
        if (block[i] < 1 || block[i] > SM_MAX_STEP)
            sm_fail(s, MAAS_E_FORMAT, "blocks of %lld", (long long)block[i]);
    for (int i = 0; i < 4 && sm_ok(s); i++)
        if (pads[i] < 0 || pads[i] > INT32_MAX)
            sm_fail(s, MAAS_E_FORMAT, "border %d is %lld", i, (long long)pads[i]);
    return n;
}

typedef maas_vid (*shuffle)(maas_builder *b, maas_vid x, const int64_t block[2],
                            const int64_t pads[4], maas_err *err);
typedef struct shuffling {
    shuffle fn;
} shuffling;
static const shuffling to_batch = {maas_p_space_to_batch}, to_space = {maas_p_batch_to_space};

static void batches(sm *s, sm_op *op)
{
    const shuffling *f = op->arg;
    int64_t block[2] = {1, 1}, pads[4] = {0};
    const int n = read_blocks(s, op, block, pads);
    if (!sm_ok(s))
        return;
    if (n == 2) {
        sm_give_in(s, op, 0, f->fn(s->b, sm_in_first(s, op, 0), block, pads, s->err), SM_FIRST);
        return;
    }
    maas_vid x = sm_in(s, op, 0);
    if (sm_rank(s, x) != 3)
        sm_fail(s, MAAS_E_UNSUPPORTED, "blocks of one axis of %d", sm_rank(s, x));
    x = maas_p_to_first(s->b, maas_p_unsqueeze(s->b, x, 1));
    x = f->fn(s->b, x, block, pads, s->err);
    sm_give(s, op, 0, maas_p_squeeze(s->b, maas_p_to_last(s->b, x), 1));
}

/* ---- indices ---- */

static void gather_along(sm *s, sm_op *op, int64_t along, int64_t shared)
{
    const maas_vid x = sm_in(s, op, 0), at = sm_in_i64(s, op, 1);
    const int axis = sm_axis(s, along, sm_rank(s, x));
    if (shared < 0)
        shared += sm_rank(s, at);
    if (shared == 0) {
        sm_give(s, op, 0, maas_p_op2(s->b, "Gather", MAAS_A_INT("axis", axis), x, at));
        return;
    }
    /* rows of their own: indices become tuples of one */
    if (shared != axis || shared < 0 || shared > sm_rank(s, at)) {
        sm_fail(s, MAAS_E_UNSUPPORTED, "axis %d with %lld dimensions in common", axis,
                (long long)shared);
        return;
    }
    const maas_vid tuples = maas_p_unsqueeze(s->b, at, -1);
    sm_give(s, op, 0, maas_p_op2(s->b, "GatherND", MAAS_A_INT("batch_dims", shared), x, tuples));
}

static void gather(sm *s, sm_op *op)
{
    gather_along(s, op, 0, 0);
}

static void gather_v2(sm *s, sm_op *op)
{
    gather_along(s, op, sm_int(s, op, 2), sm_attr_i(s, op, "batch_dims", 0));
}

static void gather_nd(sm *s, sm_op *op)
{
    const maas_attr a = MAAS_A_INT("batch_dims", sm_attr_i(s, op, "batch_dims", 0));
    sm_give(s, op, 0, maas_p_op2(s->b, "GatherND", a, sm_in(s, op, 0), sm_in_i64(s, op, 1)));
}

/* What falls on one place is added. */
static void scatter_nd(sm *s, sm_op *op)
{
    const maas_vid updates = sm_in(s, op, 1);
    const maas_vid zeros = maas_b_op2(s->b, "Expand", maas_p_like(s->b, updates, 0),
                                      sm_in_i64(s, op, 2));
    const maas_vid in[3] = {zeros, sm_in_i64(s, op, 0), updates};
    const maas_attr a = MAAS_A_STR("reduction", "add");
    sm_give(s, op, 0, maas_b_node(s->b, "ScatterND", &a, 1, in, 3, NULL, 1));
}

/* arg: the reduction */
static void tensor_scatter(sm *s, sm_op *op)
{
    const maas_vid in[3] = {sm_in(s, op, 0), sm_in_i64(s, op, 1), sm_in(s, op, 2)};
    const maas_attr a = MAAS_A_STR("reduction", (const char *)op->arg);
    sm_give(s, op, 0, maas_b_node(s->b, "ScatterND", &a, 1, in, 3, NULL, 1));
}

/* Indices that are out of range give a row that is off; those below -depth, too. */
static void one_hot(sm *s, sm_op *op)
{
    maas_builder *b = s->b;
    maas_vid values[2];
    for (uint32_t i = 0; i < 2; i++) /* off, on */
        values[i] = maas_p_reshape(b, sm_in(s, op, 3 - i), (int64_t[]){1}, 1);
    const maas_vid depth = sm_in_i64(s, op, 1);
    maas_vid at = sm_in_i64(s, op, 0); /* ONNX counts those below 0 from the end */
    at = maas_b_op3(b, "Where", maas_b_op2(b, "Less", at, maas_b_i64(b, 0)), depth, at);
    const maas_vid in[3] = {at, depth, maas_p_concat(b, values, 2, 0)};
    const maas_attr a = MAAS_A_INT("axis", sm_attr_i(s, op, "axis", -1));
    sm_give(s, op, 0, maas_b_node(b, "OneHot", &a, 1, in, 3, NULL, 1));
}

/* How often each number below `size` is in a row, or whether it is. */
static void bincount(sm *s, sm_op *op)
{
    maas_builder *b = s->b;
    const maas_vid at = sm_in_i64(s, op, 0), size = sm_in_i64(s, op, 1);
    const maas_type *weights = sm_type(s, sm_in(s, op, 2));
    const bool binary = sm_attr_i(s, op, "binary_output", 0) != 0;
    const maas_dtype t = (maas_dtype)weights->dtype;
    const int rank = sm_rank(s, at);
    if (sm_ok(s) && (weights->rank != 1 || weights->dims[0] != 0))
        sm_fail(s, MAAS_E_UNSUPPORTED, "with weights");
    const int64_t off_on[2] = {0, 1};
    const maas_vid in[3] = {at, size, maas_b_i64s(b, off_on, 2)};
    const maas_vid marks = maas_b_node(b, "OneHot", NULL, 0, in, 3, NULL, 1);
    const maas_vid y = maas_p_op2(b, binary ? "ReduceMax" : "ReduceSum", MAAS_A_INT("keepdims", 0),
                                  marks, maas_b_i64(b, rank - 1));
    sm_give(s, op, 0, maas_p_cast(b, y, t));
}

/* How many boundaries are at or below a number. */
static void bucketize(sm *s, sm_op *op)
{
    maas_builder *b = s->b;
    int64_t n = 0;
    const float *bounds = sm_attr_floats(s, op, "boundaries", &n);
    if (!sm_ok(s))
        return;
    const maas_tensor t = maas_tensor_of(MAAS_F32, 1, &n, (void *)(uintptr_t)bounds);
    const maas_vid x = maas_p_cast(b, sm_in(s, op, 0), MAAS_F32);
    const maas_vid passed = maas_b_op2(b, "GreaterOrEqual", maas_p_unsqueeze(b, x, -1),
                                       maas_b_const(b, NULL, &t));
    sm_give(s, op, 0,
            maas_p_op2(b, "ReduceSum", MAAS_A_INT("keepdims", 0), maas_p_cast(b, passed, MAAS_I32),
                       maas_b_i64(b, -1)));
}

static void where(sm *s, sm_op *op)
{
    const maas_vid at = maas_b_op1(s->b, "NonZero", sm_in(s, op, 0));
    sm_give(s, op, 0, maas_p_transpose(s->b, at, 2, (int64_t[]){1, 0}));
}

const sm_row sm_moves[] = {
    {"BatchToSpaceND", batches, 3, 3, 0, &to_space, NULL},
    {"Bucketize", bucketize, 1, 1, 0, NULL, NULL},
    {"DenseBincount", bincount, 3, 3, 0, NULL, NULL},
    {"Gather", gather, 2, 2, 0, NULL, NULL},
    {"GatherNd", gather_nd, 2, 2, 0, NULL, NULL},
    {"GatherV2", gather_v2, 3, 3, 0, NULL, NULL},
    {"MirrorPad", mirror_pad, 2, 2, 0, NULL, NULL},
    {"OneHot", one_hot, 4, 4, 0, NULL, NULL},
    {"Pad", pad, 2, 2, 0, NULL, NULL},
    {"PadV2", pad, 3, 3, 0, NULL, NULL},
    {"ReverseSequence", reverse_sequence, 2, 2, 0, NULL, NULL},
    {"ReverseV2", reverse, 2, 2, 0, NULL, NULL},
    {"Roll", roll, 3, 3, 0, NULL, NULL},
    {"ScatterNd", scatter_nd, 3, 3, 0, NULL, NULL},
    {"Slice", slice, 3, 3, 0, NULL, NULL},
    {"SpaceToBatchND", batches, 3, 3, 0, &to_batch, NULL},
    {"StridedSlice", strided_slice, 4, 4, 0, NULL, NULL},
    {"TensorScatterAdd", tensor_scatter, 3, 3, 0, "add", NULL},
    {"TensorScatterUpdate", tensor_scatter, 3, 3, 0, "none", NULL},
    {"Where", where, 1, 1, 0, NULL, NULL},
    {0},
};
