/*
 * Arithmetic on two operands with broadcasting. Floats are computed in double and rounded once
 * (which for + - * / gives the same bits as single precision). Integers wrap; integer division
 * truncates, and by zero gives zero, as NumPy has it: data must not be able to stop a server.
 */
#include "ops/ops_int.h"

#include "base/ban.h"

typedef double (*real_fn)(double a, double b);
typedef uint64_t (*int_fn)(uint64_t a, uint64_t b, bool is_signed);

static void run(const maas_call *c, real_fn real, int_fn whole)
{
    const maas_tensor *x = &c->in[0], *w = &c->in[1], *y = &c->out[0];
    bool is_real = maas_is_float(x->dtype);
    bool is_signed = maas_dtype_describe((maas_dtype)x->dtype)->kind == MAAS_KIND_INT;
    maas_bcast b;
    maas_bcast_init(&b, y, c->in, 2);
    while (maas_bcast_row(&b))
        for (int64_t i = 0; i < b.inner; i++) {
            int64_t ix = b.at[0] + i * b.step[0], iw = b.at[1] + i * b.step[1];
            int64_t iy = b.row * b.inner + i;
            if (is_real)
                maas_st(y, iy, real(maas_ld(x, ix), maas_ld(w, iw)));
            else
                maas_st_i64(y, iy,
                            (int64_t)whole((uint64_t)maas_tensor_get_i64(x, ix),
                                           (uint64_t)maas_tensor_get_i64(w, iw), is_signed));
        }
}

/* ---- the functions ---- */

static double add_real(double a, double b)
{
    return a + b;
}
static uint64_t add_int(uint64_t a, uint64_t b, bool is_signed)
{
    return a + b;
}
static double sub_real(double a, double b)
{
    return a - b;
}
static uint64_t sub_int(uint64_t a, uint64_t b, bool is_signed)
{
    return a - b;
}
static double mul_real(double a, double b)
{
    return a * b;
}
static uint64_t mul_int(uint64_t a, uint64_t b, bool is_signed)
{
    return a * b;
}
static double div_real(double a, double b)
{
    return a / b;
}
static uint64_t div_int(uint64_t a, uint64_t b, bool is_signed)
{
    if (b == 0)
        return 0;
    if (!is_signed)
        return a / b;
    if (b == UINT64_MAX) /* -1: the smallest number has no negative, it wraps */
        return 0 - a;
    return (uint64_t)((int64_t)a / (int64_t)b);
}

/* ---- inference: contents of shapes pass through ---- */

static int64_t known_at(const maas_known *k, int i)
{
    return k->v[k->n == 1 ? 0 : i];
}

/* Numbers compute; a symbol survives what does not change it (+0, *1, /1). A negative number among
 * symbols could be taken for one: then nothing is known. */
static void combine(maas_infer *q, int_fn whole, int64_t neutral, bool commutes)
{
    const maas_known *a = &q->in_known[0], *b = &q->in_known[1];
    maas_known r = {.exact = true};
    bool negative = false;
    if (a->n < 0 || b->n < 0 || (a->n != b->n && a->n != 1 && b->n != 1))
        return;
    r.n = a->n == 1 ? b->n : a->n;
    r.rank = a->rank > b->rank ? a->rank : b->rank;
    for (int i = 0; i < r.n; i++) {
        int64_t x = known_at(a, i), y = known_at(b, i);
        bool sx = !a->exact && x < 0, sy = !b->exact && y < 0;
        if (!sx && !sy)
            r.v[i] = (int64_t)whole((uint64_t)x, (uint64_t)y, true);
        else if (!sy && y == neutral)
            r.v[i] = x;
        else
            r.v[i] = commutes && !sx && x == neutral ? y : MAAS_DIM_UNKNOWN;
        negative |= !sx && !sy && r.v[i] < 0;
        r.exact = r.exact && !sx && !sy;
    }
    if (r.exact || !negative)
        q->out_known[0] = r;
}

static maas_status infer_with(maas_infer *q, int_fn whole, int64_t neutral, bool commutes,
                              maas_err *err)
{
    MAAS_TRY(maas_infer_broadcast(q, err));
    if (q->in[0].dtype == MAAS_I64)
        combine(q, whole, neutral, commutes);
    return MAAS_OK;
}

/* ---- gradients ---- */

static void add_gradient(maas_grad *g)
{
    for (int i = 0; i < 2; i++)
        if (g->want[i])
            g->din[i] = maas_b_reduce_to(g->b, g->dout[0], g->node->in[i]);
}

static void sub_gradient(maas_grad *g)
{
    const maas_vid x = g->node->in[0], w = g->node->in[1], dy = g->dout[0];
    if (g->want[0])
        g->din[0] = maas_b_reduce_to(g->b, dy, x);
    if (g->want[1])
        g->din[1] = maas_b_reduce_to(g->b, maas_b_op1(g->b, "Neg", dy), w);
}

static void mul_gradient(maas_grad *g)
{
    const maas_vid x = g->node->in[0], w = g->node->in[1], dy = g->dout[0];
    if (g->want[0])
        g->din[0] = maas_b_reduce_to(g->b, MAAS_B_MUL(g->b, dy, w), x);
    if (g->want[1])
        g->din[1] = maas_b_reduce_to(g->b, MAAS_B_MUL(g->b, dy, x), w);
}

/* y = x / w: dx = dy / w, dw = -y dx */
static void div_gradient(maas_grad *g)
{
    const maas_vid x = g->node->in[0], w = g->node->in[1], y = g->node->out[0];
    maas_vid dx = MAAS_B_DIV(g->b, g->dout[0], w);
    if (g->want[0])
        g->din[0] = maas_b_reduce_to(g->b, dx, x);
    if (g->want[1])
        g->din[1] = maas_b_reduce_to(g->b, maas_b_op1(g->b, "Neg", MAAS_B_MUL(g->b, dx, y)), w);
}

/* ---- examples and rows ---- */

#define N_SHAPES 7
#define N_ARITH  (2 * N_SHAPES + 4)

static void example_of(maas_example *e, const char *op)
{
    static const struct {
        int rank_a, rank_b;
        int64_t a[4], b[4];
    } shapes[N_SHAPES] = {
        {2, 2, {2, 3}, {2, 3}},       {3, 1, {2, 3, 4}, {4}},
        {2, 2, {1, 3}, {2, 1}},       {0, 1, {0}, {3}},
        {2, 0, {3, 2}, {0}},          {2, 2, {0, 3}, {1, 3}},
        {3, 3, {5, 1, 7}, {1, 6, 1}},
    };
    static const maas_dtype others[] = {MAAS_I32, MAAS_I64, MAAS_U8, MAAS_F16};
    int k = e->variant / 2 % N_SHAPES, other = e->variant - 2 * N_SHAPES;
    maas_dtype t = other >= 0 ? others[other] : maas_ex_float(e);
    double lo = other < 0 ? 0.25 : t == MAAS_U8 ? 0 : -50, hi = other < 0 ? 3 : 50;
    maas_vid a = maas_ex_in(e, t, lo, hi, shapes[k].rank_a, shapes[k].a);
    maas_vid b = maas_ex_in(e, t, lo, hi, shapes[k].rank_b, shapes[k].b);
    maas_b_op2(e->b, op, a, b);
}

static const maas_io_schema arith_in[] = {MAAS_REQ("A", "T", MAAS_DTS_NUMERIC),
                                          MAAS_REQ("B", "T", MAAS_DTS_NUMERIC)};
static const maas_io_schema arith_out[] = {MAAS_REQ("C", "T", MAAS_DTS_NUMERIC)};

/* fn names the functions above; `unit` and `both`: which number leaves an operand as it is, and
 * whether on either side. */
#define ARITH(Name, fn, unit, both)                                                                \
    static maas_status fn##_infer(maas_infer *q, maas_err *err)                                    \
    {                                                                                              \
        return infer_with(q, fn##_int, unit, both, err);                                           \
    }                                                                                              \
    static maas_status fn##_reference(const maas_call *c, maas_err *err)                           \
    {                                                                                              \
        run(c, fn##_real, fn##_int);                                                               \
        return MAAS_OK;                                                                            \
    }                                                                                              \
    static float fn##_scalar(const maas_node *n, const float *in, int n_in)                        \
    {                                                                                              \
        return (float)fn##_real(in[0], in[1]);                                                     \
    }                                                                                              \
    static void fn##_example(maas_example *e)                                                      \
    {                                                                                              \
        example_of(e, #Name);                                                                      \
    }                                                                                              \
    const maas_op maas_op_##Name = {                                                               \
        .domain = "",                                                                              \
        .name = #Name,                                                                             \
        .since = 14,                                                                               \
        .flags = MAAS_OP_ELEMENTWISE | MAAS_OP_INPLACE,                                            \
        MAAS_SCHEMA(arith_in, arith_out),                                                          \
        .n_examples = N_ARITH,                                                                     \
        .tolerance = 1e-6,                                                                         \
        .infer = fn##_infer,                                                                       \
        .reference = fn##_reference,                                                               \
        .flops = maas_flops_out,                                                                   \
        .example = fn##_example,                                                                   \
        .gradient = fn##_gradient,                                                                 \
        .scalar = fn##_scalar,                                                                     \
    };

ARITH(Add, add, 0, true)
ARITH(Sub, sub, 0, false)
ARITH(Mul, mul, 1, true)
ARITH(Div, div, 1, false)
