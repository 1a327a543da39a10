/*
 * Pad: pads [begin.., end..] of all axes, or of those in `axes`. Negative ones crop, before
 * anything is added. What is added is a constant, or a place of what was not cropped: the nearest
 * one (edge), the one a mirror at either end shows (reflect), or the one of a ring (wrap).
 */
#include "ops/pad.h"

#include "ops/ops_int.h"

#include "base/ban.h"

static maas_pad_mode mode_of(const maas_node *n)
{
    static const char *const names[] = {"constant", "reflect", "edge", "wrap"};
    const maas_str s = maas_attr_s(n, "mode", "constant");
    for (int i = 0; i < (int)MAAS_COUNT(names); i++)
        if (s.n == strlen(names[i]) && memcmp(s.p, names[i], s.n) == 0)
            return (maas_pad_mode)i;
    return MAAS_PAD_BAD;
}

/* The padding of every axis from the two small inputs. */
static maas_status pads_of(const int64_t *pads, int n_pads, const int64_t *axes, int n_axes,
                           int rank, int64_t *before, int64_t *after, maas_err *err)
{
    uint32_t mask;
    if (n_pads != 2 * n_axes)
        return maas_fail(err, MAAS_E_INVALID, "%d pads for %d axes", n_pads, n_axes);
    MAAS_TRY(maas_axes(axes, n_axes, rank, &mask, err));
    for (int i = 0; i < rank; i++)
        before[i] = after[i] = 0;
    for (int i = 0; i < n_axes; i++) {
        int axis = (int)(axes[i] < 0 ? axes[i] + rank : axes[i]);
        before[axis] = pads[i];
        after[axis] = pads[i + n_axes];
    }
    return MAAS_OK;
}

/* The size of an axis of d elements, padded; fills from nothing are refused. */
static maas_status padded(int axis, int64_t d, int64_t before, int64_t after, maas_pad_mode mode,
                          int64_t *out, maas_err *err)
{
    *out = before == 0 && after == 0 ? d : MAAS_DIM_UNKNOWN;
    if (d < 0)
        return MAAS_OK;
    if (__builtin_add_overflow(d, before, out) || __builtin_add_overflow(*out, after, out))
        return maas_fail(err, MAAS_E_INVALID, "axis %d has too many elements", axis);
    if (*out < 0)
        return maas_fail(err, MAAS_E_INVALID, "axis %d: more is cropped than there is", axis);
    const int64_t left = d + (before < 0 ? before : 0) + (after < 0 ? after : 0);
    if (mode != MAAS_PAD_CONSTANT && left <= 0 && *out > 0)
        return maas_fail(err, MAAS_E_INVALID, "axis %d: nothing is there to pad with", axis);
    return MAAS_OK;
}

static maas_status pad_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0];
    int64_t pads[2 * MAAS_MAX_RANK], axes[2 * MAAS_MAX_RANK];
    int64_t before[MAAS_MAX_RANK], after[MAAS_MAX_RANK];
    int n_pads, n_axes = x->rank;
    const maas_pad_mode mode = mode_of(q->node);
    if (mode == MAAS_PAD_BAD)
        return maas_fail(err, MAAS_E_INVALID,
                         "attribute 'mode' must be constant, reflect, edge or wrap");
    q->out[0] = *x;
    if (x->rank < 0)
        return MAAS_OK;
    for (int i = 0; i < x->rank; i++) {
        axes[i] = i;
        q->out[0].dims[i] = MAAS_DIM_UNKNOWN;
    }
    if (!maas_q_ints(q, 1, pads, &n_pads) ||
        (maas_q_has(q, 3) && !maas_q_ints(q, 3, axes, &n_axes)))
        return MAAS_OK;
    MAAS_TRY(pads_of(pads, n_pads, axes, n_axes, x->rank, before, after, err));
    for (int i = 0; i < x->rank; i++)
        MAAS_TRY(padded(i, x->dims[i], before[i], after[i], mode, &q->out[0].dims[i], err));
    return MAAS_OK;
}

maas_status maas_pad_map_of(maas_pad_map *m, const maas_node *n, const maas_tensor *pads,
                            const maas_tensor *axes, const maas_tensor *x, const maas_tensor *y,
                            maas_err *err)
{
    int64_t p[2 * MAAS_MAX_RANK], a[2 * MAAS_MAX_RANK], strides[MAAS_MAX_RANK], size;
    int64_t before[MAAS_MAX_RANK], after[MAAS_MAX_RANK];
    const int64_t n_axes = axes ? maas_n_elems(axes) : x->rank, n_pads = maas_n_elems(pads);
    if (n_pads > 2 * MAAS_MAX_RANK || n_axes > MAAS_MAX_RANK)
        return maas_fail(err, MAAS_E_INVALID, "%s: too many pads", n->op->name);
    for (int i = 0; i < n_pads; i++)
        p[i] = maas_tensor_get_i64(pads, i);
    for (int i = 0; i < n_axes; i++)
        a[i] = axes ? maas_tensor_get_i64(axes, i) : i;
    MAAS_TRY(pads_of(p, (int)n_pads, a, (int)n_axes, x->rank, before, after, err));
    *m = (maas_pad_map){.mode = mode_of(n), .rank = x->rank};
    maas_strides(x->dims, x->rank, strides);
    for (int i = 0; i < x->rank; i++) {
        MAAS_TRY(padded(i, x->dims[i], before[i], after[i], m->mode, &size, err));
        if (size != y->dims[i])
            return maas_fail(err, MAAS_E_INVALID, "%s: axis %d is padded to %lld, not to %lld",
                             n->op->name, i, (long long)size, (long long)y->dims[i]);
        const int64_t from = before[i] < 0 ? -before[i] : 0;
        const int64_t to = x->dims[i] + (after[i] < 0 ? after[i] : 0);
        m->axis[i] = (maas_pad_axis){before[i] > 0 ? before[i] : 0, from, to - from, strides[i]};
    }
    return MAAS_OK;
}

int64_t maas_pad_place(maas_pad_mode mode, const maas_pad_axis *a, int64_t i)
{
    int64_t k = i - a->before;
    const int64_t turn = a->n > 1 ? 2 * (a->n - 1) : 1; /* there and back */
    if (k < 0 || k >= a->n)
        switch (mode) {
        case MAAS_PAD_EDGE:
            k = k < 0 ? 0 : a->n - 1;
            break;
        case MAAS_PAD_WRAP:
            k = (k % a->n + a->n) % a->n;
            break;
        case MAAS_PAD_REFLECT:
            k = (k % turn + turn) % turn;
            k = k < a->n ? k : turn - k;
            break;
        default:
            return -1;
        }
    return (a->from + k) * a->stride;
}

/* The element of the data that index idx of the output shows; -1: the constant. */
static int64_t element_of(const maas_pad_map *m, const int64_t *idx)
{
    int64_t at = 0;
    for (int i = 0; i < m->rank; i++) {
        const int64_t k = maas_pad_place(m->mode, &m->axis[i], idx[i]);
        if (k < 0)
            return -1;
        at += k;
    }
    return at;
}

static maas_status pad_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *fill = maas_c_in(c, 2), *y = &c->out[0];
    const size_t elem = maas_dtype_size((maas_dtype)x->dtype);
    maas_pad_map m;
    maas_walk w;
    if (fill && maas_n_elems(fill) != 1)
        return maas_fail(err, MAAS_E_INVALID, "Pad: constant_value must be one element");
    MAAS_TRY(maas_pad_map_of(&m, c->node, &c->in[1], maas_c_in(c, 3), x, y, err));
    for (maas_walk_init(&w, y->dims, y->rank, ~0u, 0); w.left; maas_walk_step(&w)) {
        const int64_t from = element_of(&m, w.idx);
        char *to = (char *)y->data + (size_t)w.at * elem;
        if (from >= 0)
            memcpy(to, (const char *)x->data + (size_t)from * elem, elem);
        else if (fill)
            memcpy(to, fill->data, elem);
        else
            memset(to, 0, elem);
    }
    return MAAS_OK;
}

/* ---- PadGrad (ai.maas): dY added up where it came from; inputs (dY, X, pads, axes) ---- */

static maas_status pad_grad_infer(maas_infer *q, maas_err *err)
{
    if (q->in[0].rank >= 0 && q->in[1].rank >= 0 && q->in[0].rank != q->in[1].rank)
        return maas_fail(err, MAAS_E_INVALID, "dY has rank %d, X %d", q->in[0].rank, q->in[1].rank);
    q->out[0] = q->in[1];
    return MAAS_OK;
}

static maas_status pad_grad_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *dy = &c->in[0], *dx = &c->out[0];
    maas_pad_map m;
    maas_walk w;
    MAAS_TRY(maas_pad_map_of(&m, c->node, &c->in[2], maas_c_in(c, 3), dx, dy, err));
    memset(dx->data, 0, maas_tensor_bytes(dx));
    for (maas_walk_init(&w, dy->dims, dy->rank, ~0u, 0); w.left; maas_walk_step(&w)) {
        const int64_t to = element_of(&m, w.idx);
        if (to >= 0)
            maas_st(dx, to, maas_ld(dx, to) + maas_ld(dy, w.at));
    }
    return MAAS_OK;
}

static void pad_gradient(maas_grad *g)
{
    const maas_node *n = g->node;
    const maas_vid in[4] = {g->dout[0], n->in[0], n->in[1], n->n_in > 3 ? n->in[3] : MAAS_NO_VALUE};
    const maas_str mode = maas_attr_s(n, "mode", "constant");
    const maas_attr attr = {.name = "mode", .type = MAAS_ATTR_STRING, .u.s = mode};
    if (g->want[0])
        g->din[0] = maas_b_node(g->b, "PadGrad", &attr, 1, in, in[3] == MAAS_NO_VALUE ? 3 : 4, NULL,
                                1);
    /* constant_value is a setting, not a function of what is trained */
    if (MAAS_WANT(g, 2))
        g->din[2] = MAAS_NO_VALUE;
}

/* ---- examples and rows ---- */

#define N_CASES 7
static const struct {
    const char *mode;
    int n;
    int64_t pads[4], axes[2];
} cases[N_CASES] = {
    {"constant", 0, {1, 0, 2, 3}, {0}}, {"constant", 1, {2, 1}, {-1}},
    {"reflect", 0, {1, 5, 2, 4}, {0}},  {"edge", 2, {3, 1, -1, 2}, {1, 0}},
    {"wrap", 0, {4, 0, 2, 9}, {0}},     {"constant", 2, {-1, 2, 1, -3}, {-1, 0}},
    {"reflect", 1, {-3, 2}, {1}},
};

static void pad_example(maas_example *e)
{
    static const maas_dtype others[] = {MAAS_STRING, MAAS_BOOL, MAAS_I64, MAAS_F16};
    const int k = e->variant / 2 % N_CASES, other = e->variant - 2 * N_CASES;
    const maas_dtype t = other < 0 ? maas_ex_float(e) : others[other];
    const maas_attr mode = MAAS_A_STR("mode", cases[k].mode);
    maas_vid in[4] = {maas_ex_in(e, t, 0, 2, MAAS_DIMS(3, 4)),
                      maas_b_i64s(e->b, cases[k].pads, cases[k].n == 1 ? 2 : 4), MAAS_NO_VALUE,
                      MAAS_NO_VALUE};
    if (cases[k].n && other != 0)
        in[2] = maas_b_scalar(e->b, t, 1.5);
    if (cases[k].n)
        in[3] = maas_b_i64s(e->b, cases[k].axes, cases[k].n);
    maas_b_node(e->b, "Pad", &mode, 1, in, cases[k].n ? 4 : 2, NULL, 1);
}

static void pad_grad_example(maas_example *e)
{
    static const int64_t pads[][4] = {{1, 0, 2, 3}, {1, 5, 2, 4}}, dims[][2] = {{6, 7}, {6, 13}};
    const int k = e->variant / 2;
    const maas_attr mode = MAAS_A_STR("mode", k ? "reflect" : "constant");
    const maas_dtype t = maas_ex_float(e);
    const maas_vid in[3] = {maas_ex_in(e, t, -2, 2, 2, dims[k]),
                            maas_ex_in(e, t, -2, 2, MAAS_DIMS(3, 4)),
                            maas_b_i64s(e->b, pads[k], 4)};
    maas_b_node(e->b, "PadGrad", &mode, 1, in, 3, NULL, 1);
}

static const maas_io_schema in[] = {
    MAAS_REQ("data", "T", MAAS_DTS_ALL), MAAS_REQ("pads", NULL, MAAS_DTS_I64),
    MAAS_OPT("constant_value", "T", MAAS_DTS_ALL), MAAS_OPT("axes", NULL, MAAS_DTS_INDEX)};
static const maas_io_schema out[] = {MAAS_REQ("output", "T", MAAS_DTS_ALL)};
static const maas_io_schema grad_in[] = {
    MAAS_REQ("dY", "T", MAAS_DTS_FLOAT), MAAS_REQ("X", "T", MAAS_DTS_FLOAT),
    MAAS_REQ("pads", NULL, MAAS_DTS_I64), MAAS_OPT("axes", NULL, MAAS_DTS_INDEX)};
static const maas_io_schema grad_out[] = {MAAS_REQ("dX", "T", MAAS_DTS_FLOAT)};
static const maas_attr_schema attrs[] = {{"mode", MAAS_ATTR_STRING, false}};

const maas_op maas_op_Pad = {
    .domain = "",
    .name = "Pad",
    .since = 18,
    .flags = MAAS_OP_STRINGS,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 2 * N_CASES + 4,
    .infer = pad_infer,
    .reference = pad_reference,
    .flops = maas_flops_none,
    .example = pad_example,
    .gradient = pad_gradient,
};

const maas_op maas_op_PadGrad = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "PadGrad",
    .since = 1,
    MAAS_SCHEMA(grad_in, grad_out),
    MAAS_ATTRS(attrs),
    .n_examples = 4,
    .tolerance = 1e-6,
    .infer = pad_grad_infer,
    .reference = pad_grad_reference,
    .flops = maas_flops_none,
    .example = pad_grad_example,
    .no_gradient = MAAS_SECOND_ORDER,
};
