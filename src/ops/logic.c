/* Comparisons, logic and questions about one float: truth values, with broadcasting. */
#include "ops/ops_int.h"

#include "base/ban.h"

static maas_status truth_infer(maas_infer *q, maas_err *err)
{
    MAAS_TRY(maas_infer_broadcast(q, err));
    q->out[0].dtype = MAAS_BOOL;
    return MAAS_OK;
}

/* -1, 0, 1; 2 when a NaN makes every comparison false. */
static int order(const maas_tensor *a, int64_t i, const maas_tensor *b, int64_t j)
{
    if (a->dtype == MAAS_STRING) {
        const maas_str *x = (const maas_str *)a->data + i, *y = (const maas_str *)b->data + j;
        return x->n == y->n && (x->n == 0 || memcmp(x->p, y->p, x->n) == 0) ? 0 : 1;
    }
    if (maas_is_float(a->dtype)) {
        double x = maas_ld(a, i), y = maas_ld(b, j);
        return x < y ? -1 : x > y ? 1 : x == y ? 0 : 2;
    }
    int64_t x = maas_tensor_get_i64(a, i), y = maas_tensor_get_i64(b, j);
    if (a->dtype == MAAS_U64)
        return (uint64_t)x < (uint64_t)y ? -1 : (uint64_t)x > (uint64_t)y;
    return x < y ? -1 : x > y;
}

static bool is_equal(int o)
{
    return o == 0;
}
static bool is_greater(int o)
{
    return o == 1;
}
static bool is_greater_equal(int o)
{
    return o == 1 || o == 0;
}
static bool is_less(int o)
{
    return o == -1;
}
static bool is_less_equal(int o)
{
    return o == -1 || o == 0;
}

static void compare(const maas_call *c, bool (*is)(int order))
{
    uint8_t *y = c->out[0].data;
    maas_bcast b;
    maas_bcast_init(&b, &c->out[0], c->in, 2);
    while (maas_bcast_row(&b))
        for (int64_t i = 0; i < b.inner; i++)
            y[b.row * b.inner + i] = is(
                order(&c->in[0], b.at[0] + i * b.step[0], &c->in[1], b.at[1] + i * b.step[1]));
}

/* Row `table`, bit 2a+b: the truth of (a, b). */
static void combine(const maas_call *c, unsigned table)
{
    const uint8_t *x = c->in[0].data, *w = c->in[1].data;
    uint8_t *y = c->out[0].data;
    maas_bcast b;
    maas_bcast_init(&b, &c->out[0], c->in, 2);
    while (maas_bcast_row(&b))
        for (int64_t i = 0; i < b.inner; i++) {
            bool p = x[b.at[0] + i * b.step[0]], r = w[b.at[1] + i * b.step[1]];
            y[b.row * b.inner + i] = table >> (2 * p + r) & 1;
        }
}

static maas_status not_reference(const maas_call *c, maas_err *err)
{
    const uint8_t *x = c->in[0].data;
    for (int64_t i = 0, n = maas_n_elems(&c->in[0]); i < n; i++)
        ((uint8_t *)c->out[0].data)[i] = !x[i];
    return MAAS_OK;
}

static maas_status is_nan_reference(const maas_call *c, maas_err *err)
{
    for (int64_t i = 0, n = maas_n_elems(&c->in[0]); i < n; i++)
        ((uint8_t *)c->out[0].data)[i] = isnan(maas_ld(&c->in[0], i)) != 0;
    return MAAS_OK;
}

static maas_status is_inf_reference(const maas_call *c, maas_err *err)
{
    const bool negative = maas_attr_i(c->node, "detect_negative", 1) != 0;
    const bool positive = maas_attr_i(c->node, "detect_positive", 1) != 0;
    for (int64_t i = 0, n = maas_n_elems(&c->in[0]); i < n; i++) {
        double v = maas_ld(&c->in[0], i);
        ((uint8_t *)c->out[0].data)[i] = isinf(v) && (v < 0 ? negative : positive);
    }
    return MAAS_OK;
}

/* ---- examples and rows ---- */

static void pair_example(maas_example *e, const char *op, maas_dtype t)
{
    static const int64_t dims[][2] = {{3, 4}, {1, 4}};
    maas_vid a = maas_ex_in(e, t, 0, 3, 2, dims[0]);
    maas_b_op2(e->b, op, a, maas_ex_in(e, t, 0, 3, 2, dims[e->variant & 1]));
}

static void not_example(maas_example *e)
{
    maas_b_op1(e->b, "Not", maas_ex_in(e, MAAS_BOOL, 0, 2, MAAS_DIMS(3, 4)));
}

static void is_example(maas_example *e, const char *op)
{
    const maas_dtype t = e->variant == 2 ? MAAS_F8E5M2 : maas_ex_float(e);
    maas_b_op1(e->b, op, maas_ex_in(e, t, -2, 2, MAAS_DIMS(3, 4)));
}

static const maas_dtype compared[] = {MAAS_F32, MAAS_I64, MAAS_F64, MAAS_U8, MAAS_STRING};
static const maas_io_schema equal_in[] = {MAAS_REQ("A", "T", MAAS_DTS_PLAIN),
                                          MAAS_REQ("B", "T", MAAS_DTS_PLAIN)};
static const maas_io_schema order_in[] = {MAAS_REQ("A", "T", MAAS_DTS_NUMERIC),
                                          MAAS_REQ("B", "T", MAAS_DTS_NUMERIC)};
static const maas_io_schema bool_in[] = {MAAS_REQ("A", "T", MAAS_DTS_BOOL),
                                         MAAS_REQ("B", "T", MAAS_DTS_BOOL)};
static const maas_io_schema not_in[] = {MAAS_REQ("X", "T", MAAS_DTS_BOOL)};
static const maas_io_schema float_in[] = {MAAS_REQ("X", "T", MAAS_DTS_FLOAT | MAAS_DTS_F8)};
static const maas_io_schema bool_out[] = {MAAS_REQ("C", NULL, MAAS_DTS_BOOL)};
static const maas_attr_schema inf_attrs[] = {{"detect_negative", MAAS_ATTR_INT, false},
                                             {"detect_positive", MAAS_ATTR_INT, false}};

#define TRUTH(Name, fn, version, opflags, ins, attrs, count, variants)                             \
    const maas_op maas_op_##Name = {                                                               \
        .domain = "",                                                                              \
        .name = #Name,                                                                             \
        .since = version,                                                                          \
        .flags = opflags,                                                                          \
        MAAS_SCHEMA(ins, bool_out),                                                                \
        .attr = attrs,                                                                             \
        .n_attr = count,                                                                           \
        .n_examples = variants,                                                                    \
        .infer = truth_infer,                                                                      \
        .reference = fn##_reference,                                                               \
        .flops = maas_flops_out,                                                                   \
        .example = fn##_example,                                                                   \
        .no_gradient = "its output is a truth value",                                              \
    };

#define COMPARE(Name, fn, version, opflags, ins, variants)                                         \
    static maas_status fn##_reference(const maas_call *c, maas_err *err)                           \
    {                                                                                              \
        compare(c, is_##fn);                                                                       \
        return MAAS_OK;                                                                            \
    }                                                                                              \
    static void fn##_example(maas_example *e)                                                      \
    {                                                                                              \
        pair_example(e, #Name, compared[e->variant]);                                              \
    }                                                                                              \
    TRUTH(Name, fn, version, opflags, ins, NULL, 0, variants)

#define COMBINE(Name, fn, table)                                                                   \
    static maas_status fn##_reference(const maas_call *c, maas_err *err)                           \
    {                                                                                              \
        combine(c, table);                                                                         \
        return MAAS_OK;                                                                            \
    }                                                                                              \
    static void fn##_example(maas_example *e)                                                      \
    {                                                                                              \
        pair_example(e, #Name, MAAS_BOOL);                                                         \
    }                                                                                              \
    TRUTH(Name, fn, 7, 0, bool_in, NULL, 0, 2)

#define QUESTION(Name, fn, version, attrs, count)                                                  \
    static void fn##_example(maas_example *e)                                                      \
    {                                                                                              \
        is_example(e, #Name);                                                                      \
    }                                                                                              \
    TRUTH(Name, fn, version, 0, float_in, attrs, count, 3)

COMPARE(Equal, equal, 19, MAAS_OP_STRINGS, equal_in, 5)
COMPARE(Greater, greater, 13, 0, order_in, 4)
COMPARE(GreaterOrEqual, greater_equal, 16, 0, order_in, 4)
COMPARE(Less, less, 13, 0, order_in, 4)
COMPARE(LessOrEqual, less_equal, 16, 0, order_in, 4)
COMBINE(And, and, 0x8)
COMBINE(Or, or, 0xe)
COMBINE(Xor, xor, 0x6)
TRUTH(Not, not, 1, 0, not_in, NULL, 0, 1)
QUESTION(IsNaN, is_nan, 13, NULL, 0)
QUESTION(IsInf, is_inf, 10, inf_attrs, 2)
