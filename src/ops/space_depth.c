/*
 * DepthToSpace and SpaceToDepth: blocks of s x s places of an image against s * s channels. Seen
 * with six axes, [n][row in block][column in block][c][h][w] (DCR) or [n][c][row][column][h][w]
 * (CRD) on the deep side is [n][c][h][row][w][column] on the wide one.
 */
#include "ops/ops_int.h"

#include "base/ban.h"

static bool by_channel(const maas_node *n)
{
    const maas_str mode = maas_attr_s(n, "mode", "DCR");
    return mode.n == 3 && memcmp(mode.p, "CRD", 3) == 0;
}

static maas_status check(const maas_infer *q, int64_t *side, maas_err *err)
{
    const maas_str mode = maas_attr_s(q->node, "mode", "DCR");
    *side = maas_attr_i(q->node, "blocksize", 0);
    if (mode.n != 3 || (memcmp(mode.p, "DCR", 3) != 0 && memcmp(mode.p, "CRD", 3) != 0))
        return maas_fail(err, MAAS_E_INVALID, "attribute 'mode' must be DCR or CRD");
    if (*side < 1 || *side > INT32_MAX)
        return maas_fail(err, MAAS_E_INVALID, "attribute 'blocksize' must be 1 at least");
    if (q->in[0].rank >= 0 && q->in[0].rank != 4)
        return maas_fail(err, MAAS_E_INVALID, "the input must have rank 4");
    return MAAS_OK;
}

static maas_status times(int64_t d, int64_t by, int64_t *out, maas_err *err)
{
    *out = by == 1 ? d : MAAS_DIM_UNKNOWN;
    if (d >= 0 && __builtin_mul_overflow(d, by, out))
        return maas_fail(err, MAAS_E_TOO_LARGE, "too many elements");
    return MAAS_OK;
}

static maas_status parts(int64_t d, int64_t by, const char *what, int64_t *out, maas_err *err)
{
    *out = by == 1 ? d : MAAS_DIM_UNKNOWN;
    if (d >= 0 && d % by != 0)
        return maas_fail(err, MAAS_E_INVALID, "%s: %lld do not make whole blocks of %lld", what,
                         (long long)d, (long long)by);
    if (d >= 0)
        *out = d / by;
    return MAAS_OK;
}

static maas_status to_space_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0];
    int64_t side, dims[4];
    MAAS_TRY(check(q, &side, err));
    maas_q_unranked(q, 0, (maas_dtype)x->dtype);
    if (x->rank < 0)
        return MAAS_OK;
    dims[0] = x->dims[0];
    MAAS_TRY(parts(x->dims[1], side * side, "channels", &dims[1], err));
    MAAS_TRY(times(x->dims[2], side, &dims[2], err));
    MAAS_TRY(times(x->dims[3], side, &dims[3], err));
    maas_q_out(q, 0, (maas_dtype)x->dtype, 4, dims);
    return MAAS_OK;
}

static maas_status to_depth_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0];
    int64_t side, dims[4];
    MAAS_TRY(check(q, &side, err));
    maas_q_unranked(q, 0, (maas_dtype)x->dtype);
    if (x->rank < 0)
        return MAAS_OK;
    dims[0] = x->dims[0];
    MAAS_TRY(times(x->dims[1], side * side, &dims[1], err));
    MAAS_TRY(parts(x->dims[2], side, "rows", &dims[2], err));
    MAAS_TRY(parts(x->dims[3], side, "columns", &dims[3], err));
    maas_q_out(q, 0, (maas_dtype)x->dtype, 4, dims);
    return MAAS_OK;
}

/* The deep array in the order of the wide one. */
static maas_view deep_view(const maas_node *n, const maas_tensor *deep)
{
    const int64_t side = maas_attr_i(n, "blocksize", 0);
    const int64_t plane = deep->dims[2] * deep->dims[3], c = deep->dims[1] / (side * side);
    const int64_t column = by_channel(n) ? plane : c * plane;
    return (maas_view){
        .rank = 6,
        .dims = {deep->dims[0], c, deep->dims[2], side, deep->dims[3], side},
        .stride = {deep->dims[1] * plane, by_channel(n) ? side * side * plane : plane,
                   deep->dims[3], side * column, 1, column},
    };
}

static maas_status to_space_reference(const maas_call *c, maas_err *err)
{
    const maas_view v = deep_view(c->node, &c->in[0]);
    maas_view_read(c->out[0].data, c->in[0].data, &v, maas_dtype_size((maas_dtype)c->in[0].dtype));
    return MAAS_OK;
}

static maas_status to_depth_reference(const maas_call *c, maas_err *err)
{
    const maas_view v = deep_view(c->node, &c->out[0]);
    maas_view_write(c->out[0].data, c->in[0].data, &v, maas_dtype_size((maas_dtype)c->in[0].dtype));
    return MAAS_OK;
}

/* Each undoes the other. */
static void undo(maas_grad *g, const char *op)
{
    const maas_attr attr[] = {MAAS_A_INT("blocksize", maas_attr_i(g->node, "blocksize", 0)),
                              MAAS_A_STR("mode", by_channel(g->node) ? "CRD" : "DCR")};
    g->din[0] = maas_b_node(g->b, op, attr, 2, &g->dout[0], 1, NULL, 1);
}

static void to_space_gradient(maas_grad *g)
{
    undo(g, "SpaceToDepth");
}

static void to_depth_gradient(maas_grad *g)
{
    undo(g, "DepthToSpace");
}

static void example(maas_example *e, const char *op, int64_t c, int64_t h, int64_t w)
{
    static const maas_dtype others[] = {MAAS_STRING, MAAS_BOOL, MAAS_I64};
    const maas_attr attr[] = {MAAS_A_INT("blocksize", 2),
                              MAAS_A_STR("mode", e->variant / 2 % 2 ? "CRD" : "DCR")};
    const maas_dtype t = e->variant < 4 ? maas_ex_float(e) : others[e->variant - 4];
    const maas_vid x = maas_ex_in(e, t, 0, 2, MAAS_DIMS(2, c, h, w));
    maas_b_node(e->b, op, attr, 2, &x, 1, NULL, 1);
}

static void to_space_example(maas_example *e)
{
    example(e, "DepthToSpace", e->variant == 6 ? 0 : 12, 2, 3);
}

static void to_depth_example(maas_example *e)
{
    example(e, "SpaceToDepth", 3, 4, e->variant == 6 ? 0 : 6);
}

static const maas_io_schema in[] = {MAAS_REQ("input", "T", MAAS_DTS_ALL)};
static const maas_io_schema out[] = {MAAS_REQ("output", "T", MAAS_DTS_ALL)};
static const maas_attr_schema attrs[] = {{"blocksize", MAAS_ATTR_INT, true},
                                         {"mode", MAAS_ATTR_STRING, false}};

#define REARRANGE(Name, fn, version)                                                               \
    const maas_op maas_op_##Name = {                                                               \
        .domain = "",                                                                              \
        .name = #Name,                                                                             \
        .since = version,                                                                          \
        .flags = MAAS_OP_STRINGS,                                                                  \
        MAAS_SCHEMA(in, out),                                                                      \
        MAAS_ATTRS(attrs),                                                                         \
        .n_examples = 7,                                                                           \
        .infer = fn##_infer,                                                                       \
        .reference = fn##_reference,                                                               \
        .flops = maas_flops_none,                                                                  \
        .example = fn##_example,                                                                   \
        .gradient = fn##_gradient,                                                                 \
    };
REARRANGE(DepthToSpace, to_space, 11)
REARRANGE(SpaceToDepth, to_depth, 13)
