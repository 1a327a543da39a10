/* Where, Clip and PRelu: one of two values for each element. */
#include "ops/ops_int.h"

#include "base/ban.h"

/* ---- Where ---- */

static maas_status where_infer(maas_infer *q, maas_err *err)
{
    maas_type t;
    MAAS_TRY(maas_type_broadcast(&q->in[1], &q->in[2], &t, err));
    MAAS_TRY(maas_type_broadcast(&t, &q->in[0], &q->out[0], err));
    q->out[0].dtype = q->in[1].dtype;
    return MAAS_OK;
}

static maas_status where_reference(const maas_call *c, maas_err *err)
{
    const size_t elem = maas_dtype_size((maas_dtype)c->out[0].dtype);
    const uint8_t *choose = c->in[0].data;
    maas_bcast b;
    maas_bcast_init(&b, &c->out[0], c->in, 3);
    while (maas_bcast_row(&b))
        for (int64_t i = 0; i < b.inner; i++) {
            int k = choose[b.at[0] + i * b.step[0]] ? 1 : 2;
            memcpy((char *)c->out[0].data + (size_t)(b.row * b.inner + i) * elem,
                   (const char *)c->in[k].data + (size_t)(b.at[k] + i * b.step[k]) * elem, elem);
        }
    return MAAS_OK;
}

static void where_gradient(maas_grad *g)
{
    maas_builder *b = g->b;
    const maas_vid c = g->node->in[0], dy = g->dout[0];
    for (int i = 1; i < 3; i++) {
        if (!g->want[i])
            continue;
        maas_vid zero = maas_b_like(b, dy, 0);
        maas_vid d = maas_b_op3(b, "Where", c, i == 1 ? dy : zero, i == 1 ? zero : dy);
        g->din[i] = maas_b_reduce_to(b, d, g->node->in[i]);
    }
}

static void where_example(maas_example *e)
{
    static const int64_t shapes[][3][2] = {{{3, 4}, {3, 4}, {3, 4}}, {{3, 1}, {1, 4}, {3, 4}}};
    int k = e->variant / 2 % 2;
    maas_dtype t = e->variant == 4 ? MAAS_STRING : maas_ex_float(e);
    maas_vid c = maas_ex_in(e, MAAS_BOOL, 0, 2, 2, shapes[k][0]);
    maas_vid x = maas_ex_in(e, t, -2, 2, 2, shapes[k][1]);
    maas_b_op3(e->b, "Where", c, x, maas_ex_in(e, t, -2, 2, 2, shapes[k][2]));
}

/* ---- Clip ---- */

static maas_status clip_infer(maas_infer *q, maas_err *err)
{
    for (int i = 1; i < 3; i++)
        for (int k = 0; maas_q_has(q, i) && k < q->in[i].rank; k++)
            if (q->in[i].dims[k] >= 0 && q->in[i].dims[k] != 1)
                return maas_fail(err, MAAS_E_INVALID, "min and max must be scalars");
    q->out[0] = q->in[0];
    return MAAS_OK;
}

static maas_status clip_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *lo = maas_c_in(c, 1), *hi = maas_c_in(c, 2);
    const bool is_unsigned = x->dtype == MAAS_U64;
    for (int64_t i = 0, n = maas_n_elems(x); i < n; i++) {
        if (maas_is_float(x->dtype)) {
            double v = maas_ld(x, i);
            v = lo && v < maas_ld(lo, 0) ? maas_ld(lo, 0) : v;
            maas_st(&c->out[0], i, hi && v > maas_ld(hi, 0) ? maas_ld(hi, 0) : v);
            continue;
        }
        /* flipping the top bit orders unsigned numbers as signed ones */
        const uint64_t flip = is_unsigned ? 1ull << 63 : 0;
        int64_t v = (int64_t)((uint64_t)maas_tensor_get_i64(x, i) ^ flip);
        int64_t a = lo ? (int64_t)((uint64_t)maas_tensor_get_i64(lo, 0) ^ flip) : INT64_MIN;
        int64_t b = hi ? (int64_t)((uint64_t)maas_tensor_get_i64(hi, 0) ^ flip) : INT64_MAX;
        v = v < a ? a : v;
        maas_st_i64(&c->out[0], i, (int64_t)((uint64_t)(v > b ? b : v) ^ flip));
    }
    return MAAS_OK;
}

static void clip_gradient(maas_grad *g)
{
    maas_builder *b = g->b;
    const maas_node *n = g->node;
    const maas_vid x = n->in[0], lo = n->n_in > 1 ? n->in[1] : MAAS_NO_VALUE;
    const maas_vid hi = n->n_in > 2 ? n->in[2] : MAAS_NO_VALUE;
    maas_vid d = g->dout[0];
    if (!g->want[0])
        return;
    if (lo != MAAS_NO_VALUE)
        d = maas_b_op3(b, "Where", maas_b_op2(b, "Less", x, lo), maas_b_like(b, x, 0), d);
    if (hi != MAAS_NO_VALUE)
        d = maas_b_op3(b, "Where", maas_b_op2(b, "Greater", x, hi), maas_b_like(b, x, 0), d);
    g->din[0] = d;
}

static void clip_example(maas_example *e)
{
    int k = e->variant / 2;
    maas_dtype t = e->variant == 8 ? MAAS_I32 : e->variant == 9 ? MAAS_U8 : maas_ex_float(e);
    maas_vid x = maas_ex_in(e, t, t == MAAS_U8 ? 0 : -3, 6, MAAS_DIMS(3, 4));
    maas_vid lo = k == 1 || k == 3 ? MAAS_NO_VALUE : maas_b_scalar(e->b, t, t == MAAS_U8 ? 1 : -1);
    maas_vid hi = k == 2 || k == 3 ? MAAS_NO_VALUE : maas_b_scalar(e->b, t, 2);
    maas_b_op3(e->b, "Clip", x, lo, hi);
}

/* ---- PRelu: slope * x below zero; the slope broadcasts to x ---- */

static maas_status prelu_infer(maas_infer *q, maas_err *err)
{
    maas_type t;
    MAAS_TRY(maas_type_broadcast(&q->in[0], &q->in[1], &t, err));
    for (int i = 0; q->in[0].rank >= 0 && i < t.rank; i++)
        if (t.rank != q->in[0].rank || (q->in[0].dims[i] >= 0 && t.dims[i] > q->in[0].dims[i]))
            return maas_fail(err, MAAS_E_INVALID, "the slope is larger than the data");
    q->out[0] = q->in[0];
    return MAAS_OK;
}

static double prelu(double x, double slope)
{
    return x < 0 ? slope * x : x;
}

static maas_status prelu_reference(const maas_call *c, maas_err *err)
{
    maas_bcast b;
    maas_bcast_init(&b, &c->out[0], c->in, 2);
    while (maas_bcast_row(&b))
        for (int64_t i = 0; i < b.inner; i++)
            maas_st(&c->out[0], b.row * b.inner + i,
                    prelu(maas_ld(&c->in[0], b.at[0] + i * b.step[0]),
                          maas_ld(&c->in[1], b.at[1] + i * b.step[1])));
    return MAAS_OK;
}

static float prelu_scalar(const maas_node *n, const float *in, int n_in)
{
    return (float)prelu(in[0], in[1]);
}

static void prelu_gradient(maas_grad *g)
{
    maas_builder *b = g->b;
    const maas_vid x = g->node->in[0], slope = g->node->in[1], dy = g->dout[0];
    maas_vid below = maas_b_op2(b, "Less", x, maas_b_like(b, x, 0));
    if (g->want[0])
        g->din[0] = maas_b_op3(b, "Where", below, MAAS_B_MUL(b, dy, slope), dy);
    if (g->want[1]) {
        maas_vid d = maas_b_op3(b, "Where", below, MAAS_B_MUL(b, dy, x), maas_b_like(b, x, 0));
        g->din[1] = maas_b_reduce_to(b, d, slope);
    }
}

static void prelu_example(maas_example *e)
{
    static const int64_t slopes[][3] = {{2, 3, 4}, {1, 3, 1}, {4}};
    const bool whole = e->variant == 6;
    const maas_dtype t = whole ? MAAS_I64 : maas_ex_float(e);
    int k = whole ? 1 : e->variant / 2;
    maas_vid x = maas_ex_in(e, t, -3, 3, MAAS_DIMS(2, 3, 4));
    maas_b_op2(e->b, "PRelu", x, maas_ex_in(e, t, 0, whole ? 5 : 1, k == 2 ? 1 : 3, slopes[k]));
}

static const maas_io_schema where_in[] = {MAAS_REQ("condition", NULL, MAAS_DTS_BOOL),
                                          MAAS_REQ("X", "T", MAAS_DTS_PLAIN),
                                          MAAS_REQ("Y", "T", MAAS_DTS_PLAIN)};
static const maas_io_schema where_out[] = {MAAS_REQ("output", "T", MAAS_DTS_PLAIN)};
static const maas_io_schema clip_in[] = {MAAS_REQ("input", "T", MAAS_DTS_NUMERIC),
                                         MAAS_OPT("min", "T", MAAS_DTS_NUMERIC),
                                         MAAS_OPT("max", "T", MAAS_DTS_NUMERIC)};
static const maas_io_schema clip_out[] = {MAAS_REQ("output", "T", MAAS_DTS_NUMERIC)};
#define PRELU_DTS (MAAS_DTS_FLOAT | MAAS_DTS_INDEX | MAAS_DT_BIT(MAAS_U32) | MAAS_DT_BIT(MAAS_U64))
static const maas_io_schema prelu_in[] = {MAAS_REQ("X", "T", PRELU_DTS),
                                          MAAS_REQ("slope", "T", PRELU_DTS)};
static const maas_io_schema prelu_out[] = {MAAS_REQ("Y", "T", PRELU_DTS)};

const maas_op maas_op_Where = {
    .domain = "",
    .name = "Where",
    .since = 16,
    .flags = MAAS_OP_STRINGS,
    MAAS_SCHEMA(where_in, where_out),
    .n_examples = 5,
    .infer = where_infer,
    .reference = where_reference,
    .flops = maas_flops_out,
    .example = where_example,
    .gradient = where_gradient,
};

const maas_op maas_op_Clip = {
    .domain = "",
    .name = "Clip",
    .since = 13,
    .flags = MAAS_OP_INPLACE,
    MAAS_SCHEMA(clip_in, clip_out),
    .n_examples = 10,
    .infer = clip_infer,
    .reference = clip_reference,
    .flops = maas_flops_out,
    .example = clip_example,
    .gradient = clip_gradient,
};

const maas_op maas_op_PRelu = {
    .domain = "",
    .name = "PRelu",
    .since = 16,
    .flags = MAAS_OP_ELEMENTWISE | MAAS_OP_INPLACE,
    MAAS_SCHEMA(prelu_in, prelu_out),
    .n_examples = 7,
    .tolerance = 1e-6,
    .infer = prelu_infer,
    .reference = prelu_reference,
    .flops = maas_flops_out,
    .example = prelu_example,
    .gradient = prelu_gradient,
    .scalar = prelu_scalar,
};
