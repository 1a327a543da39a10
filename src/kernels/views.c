/*
 * Operators that say where elements go, and nothing else: each is one strided copy, or one for each
 * input or output (copy.h).
 */
#include "kernels/copy.h"

#include "base/mem.h"
#include "base/ban.h"

extern const maas_op maas_op_Transpose, maas_op_Slice, maas_op_Expand, maas_op_Tile, maas_op_Concat,
    maas_op_Split, maas_op_SpaceToDepth;

/* How the elements of a call move. Copy i reads input i (Concat) or writes output i (Split). */
typedef struct moves {
    int n;
    bool by_input;
    maas_copy copy[];
} moves;

static moves *moves_create(int n, bool by_input)
{
    moves *m = maas_calloc(1, sizeof *m + (size_t)n * sizeof *m->copy);
    if (m) {
        m->n = n;
        m->by_input = by_input;
    }
    return m;
}

static maas_status done(maas_call *c, moves *m, maas_err *err)
{
    for (int i = 0; m && i < m->n; i++)
        maas_copy_plan(&m->copy[i]);
    c->state = m;
    return m ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "preparing %s", c->node->op->name);
}

static maas_status run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const moves *m = c->state;
    for (int i = 0; i < m->n; i++) {
        const maas_tensor *x = &c->in[m->by_input ? i : 0], *y = &c->out[m->by_input ? 0 : i];
        if (y->data)
            maas_copy_run(&m->copy[i], y->data, x->data, ithr, nthr);
    }
    return MAAS_OK;
}

/* Strides of a dense array, in elements. */
static void dense(const int64_t *dims, int rank, int64_t *out)
{
    int64_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        out[i] = stride;
        stride *= dims[i];
    }
}

/* A copy that walks all of y; the strides in x are the caller's business. */
static void walk_output(maas_copy *k, const maas_tensor *y)
{
    k->rank = y->rank;
    k->elem = maas_dtype_size((maas_dtype)y->dtype);
    for (int i = 0; i < y->rank; i++)
        k->dims[i] = y->dims[i];
    dense(y->dims, y->rank, k->to);
}

static bool always(const maas_call *c, const maas_cpu *cpu)
{
    return true;
}

static const maas_tensor *given(const maas_call *c, int i)
{
    return i < c->n_in && c->in[i].dtype != MAAS_DT_NONE ? &c->in[i] : NULL;
}

static bool is_constant(const maas_call *c, int i)
{
    return !given(c, i) || c->in[i].data;
}

/* ---- Transpose, Expand, Tile ---- */

static maas_status transpose_prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    moves *m = moves_create(1, false);
    const maas_tensor *x = &c->in[0];
    uint32_t n;
    const int64_t *perm = maas_attr_ints(c->node, "perm", &n);
    int64_t strides[MAAS_MAX_RANK];
    if (m)
        walk_output(m->copy, &c->out[0]);
    dense(x->dims, x->rank, strides);
    for (int i = 0; m && i < x->rank; i++)
        m->copy->from[i] = strides[perm ? perm[i] : x->rank - 1 - i];
    return done(c, m, err);
}

static maas_status expand_prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    moves *m = moves_create(1, false);
    const maas_tensor *x = &c->in[0], *y = &c->out[0];
    int64_t strides[MAAS_MAX_RANK];
    if (m)
        walk_output(m->copy, y);
    dense(x->dims, x->rank, strides);
    for (int i = 0; m && i < x->rank; i++)
        m->copy->from[i + y->rank - x->rank] = x->dims[i] == 1 ? 0 : strides[i];
    return done(c, m, err);
}

/* Every axis becomes two: how often, and the axis itself. */
static maas_status tile_prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    moves *m = moves_create(1, false);
    const maas_tensor *x = &c->in[0], *y = &c->out[0];
    int64_t in[MAAS_MAX_RANK], out[MAAS_MAX_RANK];
    dense(x->dims, x->rank, in);
    dense(y->dims, y->rank, out);
    if (m)
        m->copy->elem = maas_dtype_size((maas_dtype)x->dtype);
    for (int i = 0; m && i < x->rank; i++) {
        maas_copy *k = m->copy;
        k->dims[k->rank] = x->dims[i] ? y->dims[i] / x->dims[i] : 0;
        k->to[k->rank] = x->dims[i] * out[i];
        k->from[k->rank++] = 0;
        k->dims[k->rank] = x->dims[i];
        k->to[k->rank] = out[i];
        k->from[k->rank++] = in[i];
    }
    return done(c, m, err);
}

/* ---- Slice ---- */

static bool slice_fits(const maas_call *c, const maas_cpu *cpu)
{
    for (int i = 1; i < 5; i++)
        if (!is_constant(c, i))
            return false;
    return true;
}

static maas_status slice_prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    moves *m = moves_create(1, false);
    const maas_tensor *x = &c->in[0], *axes = given(c, 3), *steps = given(c, 4);
    int64_t strides[MAAS_MAX_RANK];
    dense(x->dims, x->rank, strides);
    if (m)
        walk_output(m->copy, &c->out[0]);
    for (int i = 0; m && i < x->rank; i++)
        m->copy->from[i] = strides[i];
    for (int64_t i = 0, n = maas_n_elems(&c->in[1]); m && i < n; i++) {
        int64_t axis = axes ? maas_tensor_get_i64(axes, i) : i;
        axis += axis < 0 ? x->rank : 0;
        const int64_t size = x->dims[axis], step = steps ? maas_tensor_get_i64(steps, i) : 1;
        int64_t start = maas_tensor_get_i64(&c->in[1], i);
        start = start < 0 ? start < -size ? 0 : start + size : start;
        start = step < 0 && start > size - 1 ? size - 1 : start; /* beyond: there is no element */
        if (c->out[0].dims[axis] == 0)
            continue;
        m->copy->from_at += start * strides[axis];
        /* one element: the step is not taken, and may be anything */
        m->copy->from[axis] = c->out[0].dims[axis] > 1 ? step * strides[axis] : 0;
    }
    return done(c, m, err);
}

/* ---- Concat, Split ---- */

static int axis_of(const maas_call *c, int64_t otherwise)
{
    const int64_t axis = maas_attr_i(c->node, "axis", otherwise);
    return (int)(axis < 0 ? axis + c->in[0].rank : axis);
}

/* Part `part` of the whole, which begins at place `at` of an axis; the part is what is walked. */
static void part_of(maas_copy *k, const maas_tensor *part, const maas_tensor *whole, int axis,
                    int64_t at, bool to_whole)
{
    int64_t strides[MAAS_MAX_RANK];
    dense(whole->dims, whole->rank, strides);
    walk_output(k, part);
    for (int i = 0; i < part->rank; i++) {
        k->from[i] = to_whole ? k->to[i] : strides[i];
        k->to[i] = to_whole ? strides[i] : k->to[i];
    }
    *(to_whole ? &k->to_at : &k->from_at) = at * strides[axis];
}

static maas_status concat_prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    moves *m = moves_create(c->n_in, true);
    const int axis = axis_of(c, 0);
    int64_t at = 0;
    for (int i = 0; m && i < c->n_in; i++) {
        part_of(&m->copy[i], &c->in[i], &c->out[0], axis, at, true);
        at += c->in[i].dims[axis];
    }
    return done(c, m, err);
}

static bool split_fits(const maas_call *c, const maas_cpu *cpu)
{
    if (!is_constant(c, 1))
        return false;
    for (int i = 0; i < c->n_out; i++) /* the sizes of those nobody wants are not known here */
        if (c->out[i].dtype == MAAS_DT_NONE)
            return false;
    return true;
}

static maas_status split_prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    moves *m = moves_create(c->n_out, false);
    const int axis = axis_of(c, 0);
    int64_t at = 0;
    for (int i = 0; m && i < c->n_out; i++) {
        part_of(&m->copy[i], &c->out[i], &c->in[0], axis, at, false);
        at += c->out[i].dims[axis];
    }
    return done(c, m, err);
}

/* ---- SpaceToDepth: [n][c][h][row][w][column] to [n][row][column][c][h][w] ---- */

static maas_status depth_prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    moves *m = moves_create(1, false);
    const maas_tensor *x = &c->in[0], *y = &c->out[0];
    const int64_t side = maas_attr_i(c->node, "blocksize", 1), w = y->dims[3], h = y->dims[2];
    const maas_str mode = maas_attr_s(c->node, "mode", "DCR");
    const bool by_channel = mode.n == 3 && mode.p[0] == 'C';
    const int64_t plane = h * w, channel = by_channel ? side * side * plane : plane;
    const int64_t column = by_channel ? plane : x->dims[1] * plane;
    if (!m)
        return done(c, m, err);
    /* the column in the block last but one: squares of it and the width are dense on either side */
    const int64_t dims[] = {x->dims[0], x->dims[1], h, side, side, w};
    const int64_t to[] = {y->dims[1] * plane, channel, w, side * column, column, 1};
    const int64_t from[] = {
        x->dims[1] * plane * side * side, plane * side * side, w * side * side, w * side, 1, side};
    m->copy->rank = 6;
    m->copy->elem = maas_dtype_size((maas_dtype)x->dtype);
    for (int i = 0; i < 6; i++) {
        m->copy->dims[i] = dims[i];
        m->copy->to[i] = to[i];
        m->copy->from[i] = from[i];
    }
    return done(c, m, err);
}

#define VIEW(Name, fits_fn, prepare_fn)                                                            \
    {                                                                                              \
        .op = &maas_op_##Name, .name = #Name ".copy", .fits = fits_fn, .prepare = prepare_fn,      \
        .release = maas_free, .run = run                                                           \
    }
const maas_kernel maas_kernels_views[] = {
    VIEW(Transpose, always, transpose_prepare), VIEW(Slice, slice_fits, slice_prepare),
    VIEW(Expand, always, expand_prepare),       VIEW(Tile, always, tile_prepare),
    VIEW(Concat, always, concat_prepare),       VIEW(Split, split_fits, split_prepare),
    VIEW(SpaceToDepth, always, depth_prepare),  {0}};
