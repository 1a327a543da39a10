/*
 * Sums of many kinds over neighbouring axes, and where the largest of the last axis is.
 */
#include "kernels/cpu/isa.h"

#include "base/ban.h"

extern const maas_op maas_op_ReduceSum, maas_op_ReduceMean, maas_op_ReduceL1, maas_op_ReduceL2,
    maas_op_ReduceSumSquare, maas_op_ArgMax;

/* ---- sums ---- */

#define E_PLAIN(x)  (x)
#define E_ABS(x)    v_abs(x)
#define E_SQUARE(x) ((x) * (x))
/* Four sums side by side hide the latency of adding, and keep the rounding error small. */
#define ROW_SUM(name, expr)                                                                        \
    static real name(const real *x, int64_t n)                                                     \
    {                                                                                              \
        vf sum[4] = {{0}};                                                                         \
        int64_t i = 0;                                                                             \
        for (; i + 4 * VW <= n; i += 4 * VW)                                                       \
            for (int j = 0; j < 4; j++) {                                                          \
                const vf v = v_load(x + i + j * VW);                                               \
                sum[j] += expr(v);                                                                 \
            }                                                                                      \
        for (; i < n; i += VW) {                                                                   \
            const vf v = n - i >= VW ? v_load(x + i) : v_load_part(x + i, n - i, 0);               \
            sum[0] += expr(v);                                                                     \
        }                                                                                          \
        return v_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));                                       \
    }
ROW_SUM(sum_plain, E_PLAIN)
ROW_SUM(sum_abs, E_ABS)
ROW_SUM(sum_square, E_SQUARE)

static const struct reducer {
    const maas_op *op;
    real (*sum)(const real *x, int64_t n);
    bool mean, root;
} reducers[] = {
    {&maas_op_ReduceSum, sum_plain, false, false},
    {&maas_op_ReduceMean, sum_plain, true, false},
    {&maas_op_ReduceL1, sum_abs, false, false},
    {&maas_op_ReduceL2, sum_square, false, true},
    {&maas_op_ReduceSumSquare, sum_square, false, false},
};

/* Axes as bits: those given, else all, or none if the node says so. */
static bool axes_of(const maas_call *c, uint32_t *out)
{
    const maas_tensor *list = c->n_in > 1 && c->in[1].dtype != MAAS_DT_NONE ? &c->in[1] : NULL;
    const int rank = c->in[0].rank;
    *out = 0;
    if (list && !list->data)
        return false;
    for (int64_t i = 0; list && i < maas_n_elems(list); i++) {
        const int64_t axis = maas_tensor_get_i64(list, i);
        *out |= 1u << (axis < 0 ? axis + rank : axis);
    }
    if (!*out && maas_attr_i(c->node, "noop_with_empty_axes", 0) == 0)
        *out = (1u << rank) - 1;
    return true;
}

/* Elements before, along and after the axes that go, when these are neighbours. */
typedef struct shape3 {
    int64_t outer, n, inner;
} shape3;

static bool neighbours(const maas_call *c, shape3 *out)
{
    uint32_t mask;
    const maas_tensor *x = &c->in[0];
    int first = 0;
    if (x->dtype != REAL_DTYPE || !axes_of(c, &mask))
        return false;
    while (first < x->rank && !(mask >> first & 1))
        first++;
    int end = first;
    while (end < x->rank && (mask >> end & 1))
        end++;
    out->outer = maas_dims_product(x->dims, 0, first);
    out->n = maas_dims_product(x->dims, first, end);
    out->inner = maas_dims_product(x->dims, end, x->rank);
    return mask >> end == 0;
}

/* Rows of results are better made as reduce_any.c does, unless they are short. */
static bool sum_fits(const maas_call *c, const maas_cpu *cpu)
{
    shape3 s;
    return neighbours(c, &s) && s.inner < 64;
}

INLINE real last_step(const struct reducer *r, real y, int64_t n)
{
    y = r->mean ? y / (real)n : y;
    return r->root ? (real)sqrt((double)y) : y;
}

INLINE vf term(const struct reducer *r, vf v)
{
    return r->sum == sum_abs ? v_abs(v) : r->sum == sum_square ? v * v : v;
}

/* Columns: y[inner] = sum over n rows of x[n][inner]. */
static void sum_rows(const struct reducer *r, real *y, const real *x, int64_t n, int64_t inner)
{
    for (int64_t j = 0; j < inner; j += VW) {
        const int64_t left = inner - j;
        vf sum[2] = {{0}};
        for (int64_t k = 0; k < n; k++) {
            const real *from = x + k * inner + j;
            sum[k & 1] += term(r, left >= VW ? v_load(from) : v_load_part(from, left, 0));
        }
        sum[0] += sum[1];
        for (int i = 0; i < VW && i < left; i++)
            y[j + i] = last_step(r, sum[0][i], n);
    }
}

static maas_status sum_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const real *x = c->in[0].data;
    const struct reducer *r = reducers;
    real *y = c->out[0].data;
    shape3 s;
    int64_t from, to;
    while (r->op != c->node->op)
        r++;
    neighbours(c, &s);
    maas_share(s.outer, 64 / (int)sizeof(real), ithr, nthr, &from, &to);
    for (int64_t i = from; i < to; i++)
        if (s.inner == 1)
            y[i] = last_step(r, r->sum(x + i * s.n, s.n), s.n);
        else
            sum_rows(r, y + i * s.inner, x + i * s.n * s.inner, s.n, s.inner);
    return MAAS_OK;
}

/* ---- ArgMax along the last axis: the first of the largest; NaN is largest ---- */

static bool arg_max_fits(const maas_call *c, const maas_cpu *cpu)
{
    const maas_tensor *x = &c->in[0];
    const int64_t axis = maas_attr_i(c->node, "axis", 0);
    return x->dtype == REAL_DTYPE && x->rank > 0 && (axis == -1 || axis == x->rank - 1) &&
           maas_attr_i(c->node, "select_last_index", 0) == 0;
}

static int64_t arg_max_row(const real *x, int64_t n)
{
    int64_t best = 0;
    for (int64_t k = 1; k < n && x[best] == x[best]; k++)
        if (x[k] > x[best] || x[k] != x[k])
            best = k;
    return best;
}

static maas_status arg_max_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    const int64_t n = x->dims[x->rank - 1], rows = maas_dims_product(x->dims, 0, x->rank - 1);
    int64_t from, to;
    maas_share(rows, 8, ithr, nthr, &from, &to); /* 8 results of 8 bytes are a cache line */
    for (int64_t r = from; r < to; r++)
        ((int64_t *)c->out[0].data)[r] = arg_max_row((const real *)x->data + r * n, n);
    return MAAS_OK;
}

#define SUM(Name)                                                                                  \
    {                                                                                              \
        .op = &maas_op_##Name, .name = #Name "." ISA_TEXT, .fits = sum_fits, .run = sum_run        \
    }
const maas_kernel ISA(maas_kernels_reduce_axis)[] = {
    SUM(ReduceSum),
    SUM(ReduceMean),
    SUM(ReduceL1),
    SUM(ReduceL2),
    SUM(ReduceSumSquare),
    {.op = &maas_op_ArgMax, .name = "ArgMax." ISA_TEXT, .fits = arg_max_fits, .run = arg_max_run},
    {0}};
