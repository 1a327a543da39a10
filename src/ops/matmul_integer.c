/*
 * MatMulInteger: a product of bytes less their zero points, summed in 32 bits, which wrap.
 * QLinearMatMul: the same, scaled, rounded and saturated to bytes again; for eight-bit floats too.
 * Scales and zero points are one for all, one for each row of A or column of B, or those of each
 * matrix of a stack.
 */
#include "ops/matmul.h"
#include "ops/quantize.h"

#include "tensor/small.h"
#include "base/ban.h"

/* ---- scales and zero points ---- */

static bool unequal(int64_t a, int64_t b)
{
    return a >= 0 && b >= 0 && a != b;
}

/* `p` for the rows of an operand on the left, or the columns of one on the right. */
static maas_status check_param(const maas_type *p, const maas_type *x, bool left, const char *what,
                               maas_err *err)
{
    bool ok = true;
    if (p->tag == MAAS_TYPE_NONE || p->rank <= 0 || x->rank < 1)
        return MAAS_OK;
    if (p->rank == 1) {
        const int64_t each = x->rank == 1 ? 1 : x->dims[left ? x->rank - 2 : x->rank - 1];
        ok = p->dims[0] == 1 || !unequal(p->dims[0], each);
    } else {
        const int one = left ? x->rank - 1 : x->rank - 2;
        ok = p->rank == x->rank;
        for (int i = 0; ok && i < x->rank; i++)
            ok = !unequal(p->dims[i], i == one ? 1 : x->dims[i]);
    }
    return ok ? MAAS_OK
              : maas_fail(err, MAAS_E_INVALID, "%s must be one, or one for each %s", what,
                          left ? "row of A" : "column of B");
}

static maas_status check_one(const maas_type *p, const char *what, maas_err *err)
{
    if (p->rank > 1 || (p->rank == 1 && p->dims[0] >= 0 && p->dims[0] != 1))
        return maas_fail(err, MAAS_E_INVALID, "%s must be one number", what);
    return MAAS_OK;
}

/* Of row or column i of matrix number `no`, which has `each` of them; NULL: 0. */
static int64_t param_at(const maas_tensor *p, int64_t no, int64_t each, int64_t i)
{
    return p->rank == 0 || maas_n_elems(p) == 1 ? 0 : p->rank == 1 ? i : no * each + i;
}

static double param(const maas_tensor *p, int64_t no, int64_t each, int64_t i)
{
    return p ? maas_ld(p, param_at(p, no, each, i)) : 0;
}

/* ---- MatMulInteger ---- */

static maas_status integer_infer(maas_infer *q, maas_err *err)
{
    MAAS_TRY(check_param(&q->in[2], &q->in[0], true, "a_zero_point", err));
    MAAS_TRY(check_param(&q->in[3], &q->in[1], false, "b_zero_point", err));
    return maas_matmul_type(q, &q->in[0], &q->in[1], MAAS_I32, err);
}

/* One element: sums of whole numbers in 64 bits, of eight-bit floats in double. */
static double dot(const maas_tensor *a, const maas_tensor *b, const maas_products *p, int64_t i,
                  int64_t j, double za, double zb)
{
    double sum = 0;
    for (int64_t k = 0; k < p->k; k++)
        sum += (maas_ld(a, p->a_at + i * p->k + k) - za) *
               (maas_ld(b, p->b_at + k * p->n + j) - zb);
    return sum;
}

static maas_status integer_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *za = maas_c_in(c, 2), *zb = maas_c_in(c, 3);
    int32_t *y = c->out[0].data;
    maas_products p;
    MAAS_TRY(maas_ref_check(c, err));
    maas_products_init(&p, &c->in[0], &c->in[1]);
    while (maas_products_next(&p))
        for (int64_t i = 0; i < p.m; i++)
            for (int64_t j = 0; j < p.n; j++)
                y[p.y_at + i * p.n + j] = (int32_t)(uint64_t)(int64_t)dot(
                    &c->in[0], &c->in[1], &p, i, j, param(za, p.a_no, p.m, i),
                    param(zb, p.b_no, p.n, j));
    return MAAS_OK;
}

static int64_t product_flops(const maas_call *c, int b)
{
    const maas_tensor *a = &c->in[0];
    return a->rank && c->in[b].rank ? 2 * maas_n_elems(&c->out[0]) * a->dims[a->rank - 1] : 0;
}

static int64_t integer_flops(const maas_call *c)
{
    return product_flops(c, 1);
}

/* ---- QLinearMatMul ---- */

enum { A, A_SCALE, A_ZERO, B, B_SCALE, B_ZERO, Y_SCALE, Y_ZERO };

static maas_status qlinear_infer(maas_infer *q, maas_err *err)
{
    MAAS_TRY(check_param(&q->in[A_SCALE], &q->in[A], true, "a_scale", err));
    MAAS_TRY(check_param(&q->in[A_ZERO], &q->in[A], true, "a_zero_point", err));
    MAAS_TRY(check_param(&q->in[B_SCALE], &q->in[B], false, "b_scale", err));
    MAAS_TRY(check_param(&q->in[B_ZERO], &q->in[B], false, "b_zero_point", err));
    MAAS_TRY(check_one(&q->in[Y_SCALE], "y_scale", err));
    MAAS_TRY(check_one(&q->in[Y_ZERO], "y_zero_point", err));
    const bool whole = !maas_is_float(q->in[A].dtype) && !maas_is_float(q->in[B].dtype);
    if (whole && maas_is_float(q->in[Y_ZERO].dtype))
        return maas_fail(err, MAAS_E_UNSUPPORTED, "a product of whole numbers as a float");
    return maas_matmul_type(q, &q->in[A], &q->in[B], (maas_dtype)q->in[Y_ZERO].dtype, err);
}

/* Whole numbers are scaled in single precision, as runtimes do that quantizers are tuned for. */
static void store(const maas_call *c, int64_t at, double sum, double scale)
{
    const maas_tensor *y = &c->out[0];
    const double zero = maas_ld(&c->in[Y_ZERO], 0), y_scale = maas_ld(&c->in[Y_SCALE], 0);
    double lo, hi;
    if (maas_is_float(y->dtype)) {
        ((uint8_t *)y->data)[at] = maas_small_of((maas_dtype)y->dtype, sum * scale / y_scale + zero,
                                                 true);
        return;
    }
    const float multiplier = (float)scale / (float)y_scale;
    maas_quant_range((maas_dtype)y->dtype, &lo, &hi);
    maas_st_i64(y, at, (int64_t)maas_quant_round((double)((float)sum * multiplier), zero, lo, hi));
}

static maas_status qlinear_reference(const maas_call *c, maas_err *err)
{
    maas_products p;
    MAAS_TRY(maas_ref_check(c, err));
    maas_products_init(&p, &c->in[A], &c->in[B]);
    while (maas_products_next(&p))
        for (int64_t i = 0; i < p.m; i++)
            for (int64_t j = 0; j < p.n; j++) {
                const double sum = dot(&c->in[A], &c->in[B], &p, i, j,
                                       param(&c->in[A_ZERO], p.a_no, p.m, i),
                                       param(&c->in[B_ZERO], p.b_no, p.n, j));
                const float scale = (float)param(&c->in[A_SCALE], p.a_no, p.m, i) *
                                    (float)param(&c->in[B_SCALE], p.b_no, p.n, j);
                store(c, p.y_at + i * p.n + j, sum, (double)scale);
            }
    return MAAS_OK;
}

static int64_t qlinear_flops(const maas_call *c)
{
    return product_flops(c, B);
}

/* ---- examples ---- */

static const struct shape {
    int rank_a, rank_b;
    int64_t a[4], b[4];
} shapes[] = {
    {2, 2, {3, 4}, {4, 5}},    {2, 2, {33, 70}, {70, 17}},
    {3, 2, {2, 3, 4}, {4, 2}}, {3, 3, {2, 3, 5}, {2, 5, 4}},
    {1, 2, {4}, {4, 3}},       {2, 1, {3, 4}, {4}},
    {2, 2, {2, 0}, {0, 3}},    {4, 3, {2, 1, 3, 2}, {3, 2, 4}},
    {2, 2, {0, 3}, {3, 2}},    {2, 2, {1, 129}, {129, 64}},
};
static const maas_dtype pairs[][2] = {
    {MAAS_U8, MAAS_I8}, {MAAS_U8, MAAS_U8}, {MAAS_I8, MAAS_I8}, {MAAS_I8, MAAS_U8}};

static void range_of(maas_dtype t, double *lo, double *hi)
{
    *lo = -4, *hi = 4;
    if (!maas_is_float(t)) {
        maas_quant_range(t, lo, hi);
        *hi += 1;
    }
}

/* lies: 0 one number, 1 a vector for rows or columns, 2 of the operand's rank. */
static maas_vid param_example(maas_example *e, const struct shape *s, bool left, int lies,
                              maas_dtype t, double lo, double hi)
{
    double cells[256] = {0};
    maas_tensor x = {.dtype = (uint8_t)t, .data = cells};
    const int rank = left ? s->rank_a : s->rank_b;
    const int64_t *dims = left ? s->a : s->b;
    if (lies && rank > 1) {
        x.rank = (uint8_t)(lies == 2 ? rank : 1);
        memcpy(x.dims, dims, sizeof s->a);
        if (lies == 2)
            x.dims[left ? rank - 1 : rank - 2] = 1;
        else
            x.dims[0] = dims[left ? rank - 2 : rank - 1];
    }
    const int64_t n = maas_n_elems(&x);
    MAAS_CHECK(n <= (int64_t)MAAS_COUNT(cells));
    for (int64_t i = 0; i < n; i++)
        maas_tensor_set(&x, i, lo + (hi - lo) * maas_rng_unit(e->rng));
    return maas_b_const(e->b, NULL, &x);
}

static maas_vid operand_example(maas_example *e, const struct shape *s, bool left, maas_dtype t)
{
    double lo, hi;
    range_of(t, &lo, &hi);
    return maas_ex_in(e, t, lo, hi, left ? s->rank_a : s->rank_b, left ? s->a : s->b);
}

static void integer_example(maas_example *e)
{
    const int v = e->variant, n_shapes = (int)MAAS_COUNT(shapes);
    const struct shape *s = &shapes[v % n_shapes];
    const maas_dtype *t = pairs[(v + v / n_shapes) % 4];
    const int lies = (v / n_shapes + v) % 3;
    maas_vid in[4] = {operand_example(e, s, true, t[0]), operand_example(e, s, false, t[1]),
                      MAAS_NO_VALUE, MAAS_NO_VALUE};
    if (v % 4)
        in[2] = param_example(e, s, true, lies, t[0], 0, 9);
    if (v % 4 != 2)
        in[3] = param_example(e, s, false, (lies + v % 2) % 3, t[1], 0, 9);
    maas_b_node(e->b, "MatMulInteger", NULL, 0, in, v % 4 == 2 ? 3 : 4, NULL, 1);
}

static void qlinear_example(maas_example *e)
{
    static const maas_dtype eight[3] = {MAAS_F8E4M3FN, MAAS_F8E5M2, MAAS_F8E4M3FN};
    const int v = e->variant, n_shapes = (int)MAAS_COUNT(shapes);
    const struct shape *s = &shapes[v % n_shapes];
    const bool small = v >= 2 * n_shapes;
    const maas_dtype *t = small ? eight : pairs[(v + v / n_shapes) % 4];
    const maas_dtype to = small ? eight[2] : v % 3 ? MAAS_U8 : MAAS_I8;
    const maas_dtype scale = v % 5 == 4 ? MAAS_F16 : MAAS_F32;
    const int lies = (v / n_shapes + v) % 3, lies_b = (lies + v % 2) % 3;
    const double zero = small ? 0 : 9;
    maas_vid in[8];
    in[A] = operand_example(e, s, true, t[0]);
    in[A_SCALE] = param_example(e, s, true, lies, scale, 0.01, 0.02);
    in[A_ZERO] = param_example(e, s, true, lies, t[0], 0, zero);
    in[B] = operand_example(e, s, false, t[1]);
    in[B_SCALE] = param_example(e, s, false, lies_b, scale, 0.01, 0.02);
    in[B_ZERO] = param_example(e, s, false, lies_b, t[1], 0, zero);
    in[Y_SCALE] = maas_b_scalar(e->b, scale, 0.125);
    in[Y_ZERO] = maas_b_scalar(e->b, to, small ? 0 : 3);
    maas_b_node(e->b, "QLinearMatMul", NULL, 0, in, 8, NULL, 1);
}

/* ---- rows ---- */

#define EIGHT  (MAAS_DTS_QUANT8 | MAAS_DTS_F8)
#define SCALES (MAAS_DT_BIT(MAAS_F32) | MAAS_DT_BIT(MAAS_F16) | MAAS_DT_BIT(MAAS_BF16))
static const maas_io_schema integer_in[] = {MAAS_REQ("A", "T1", MAAS_DTS_QUANT8),
                                            MAAS_REQ("B", "T2", MAAS_DTS_QUANT8),
                                            MAAS_OPT("a_zero_point", "T1", MAAS_DTS_QUANT8),
                                            MAAS_OPT("b_zero_point", "T2", MAAS_DTS_QUANT8)};
static const maas_io_schema integer_out[] = {MAAS_REQ("Y", NULL, MAAS_DT_BIT(MAAS_I32))};
static const maas_io_schema qlinear_in[] = {MAAS_REQ("a", "T1", EIGHT),
                                            MAAS_REQ("a_scale", "TS", SCALES),
                                            MAAS_REQ("a_zero_point", "T1", EIGHT),
                                            MAAS_REQ("b", "T2", EIGHT),
                                            MAAS_REQ("b_scale", "TS", SCALES),
                                            MAAS_REQ("b_zero_point", "T2", EIGHT),
                                            MAAS_REQ("y_scale", "TS", SCALES),
                                            MAAS_REQ("y_zero_point", "T3", EIGHT)};
static const maas_io_schema qlinear_out[] = {MAAS_REQ("y", "T3", EIGHT)};

const maas_op maas_op_MatMulInteger = {
    .domain = "",
    .name = "MatMulInteger",
    .since = 10,
    MAAS_SCHEMA(integer_in, integer_out),
    .n_examples = 24,
    .infer = integer_infer,
    .reference = integer_reference,
    .flops = integer_flops,
    .example = integer_example,
    .no_gradient = "its inputs are whole numbers",
};

const maas_op maas_op_QLinearMatMul = {
    .domain = "",
    .name = "QLinearMatMul",
    .since = 10,
    MAAS_SCHEMA(qlinear_in, qlinear_out),
    .n_examples = 24,
    .infer = qlinear_infer,
    .reference = qlinear_reference,
    .flops = qlinear_flops,
    .example = qlinear_example,
    .no_gradient = "rounding has no slope",
};
