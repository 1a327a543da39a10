/*
 * Min, Max, Sum and Mean of any number of operands, PRelu, and Pow with an exponent that networks
 * have: rows of a broadcast (rows.h), the operands of a row one after the other.
 */
#include "kernels/cpu/isa.h"

#include "base/mem.h"
#include "kernels/rows.h"
#include "base/ban.h"

extern const maas_op maas_op_Min, maas_op_Max, maas_op_Sum, maas_op_Mean, maas_op_PRelu,
    maas_op_Pow;

/* y[i] = f(p[i], q[i or 0]); y may be p. */
typedef void pair_fn(real *y, const real *p, int p_step, const real *q, int q_step, int64_t n);
#define PAIR(name, expr)                                                                           \
    static void name(real *y, const real *p, int p_step, const real *q, int q_step, int64_t n)     \
    {                                                                                              \
        const vf a0 = v_all(p[0]), b0 = v_all(q[0]);                                               \
        int64_t i = 0;                                                                             \
        for (; i + VW <= n; i += VW) {                                                             \
            const vf a = p_step ? v_load(p + i) : a0, b = q_step ? v_load(q + i) : b0;             \
            v_store(y + i, expr);                                                                  \
        }                                                                                          \
        if (i == n)                                                                                \
            return;                                                                                \
        const vf a = p_step ? v_load_part(p + i, n - i, 1) : a0;                                   \
        const vf b = q_step ? v_load_part(q + i, n - i, 1) : b0;                                   \
        v_store_part(y + i, expr, n - i);                                                          \
    }
PAIR(min_row, v_pick((b < a) | (b != b), b, a))
PAIR(max_row, v_pick((b > a) | (b != b), b, a))
PAIR(sum_row, a + b)
PAIR(prelu_row, v_pick(a < 0, a *b, a))

static const struct {
    const maas_op *op;
    pair_fn *row;
} pairs[] = {{&maas_op_Min, min_row},
             {&maas_op_Max, max_row},
             {&maas_op_Sum, sum_row},
             {&maas_op_Mean, sum_row},
             {&maas_op_PRelu, prelu_row}};

typedef struct state {
    maas_rows rows;
    pair_fn *row;
} state;

static bool all_real(const maas_call *c)
{
    for (int i = 0; i < c->n_in; i++)
        if (c->in[i].dtype != REAL_DTYPE)
            return false;
    return c->out[0].dtype == REAL_DTYPE;
}

static bool fits(const maas_call *c, const maas_cpu *cpu)
{
    return c->n_in >= 2 && c->n_in <= MAAS_ROWS_IN && all_real(c);
}

static maas_status prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    state *s = maas_calloc(1, sizeof *s);
    if (!s)
        return maas_fail(err, MAAS_E_NOMEM, "preparing %s", c->node->op->name);
    maas_rows_of(&s->rows, &c->out[0], c->in, c->n_in);
    for (size_t i = 0; i < MAAS_COUNT(pairs); i++)
        if (pairs[i].op == c->node->op)
            s->row = pairs[i].row;
    c->state = s;
    return MAAS_OK;
}

#define PART 1024 /* elements of a row that stay in the first cache for all operands */

/* A part of a row, in pieces: where the output is the memory of an operand that comes later, that
 * operand has been read before the piece is written. */
static void run_row(const maas_call *c, const state *s, const maas_row_walk *w)
{
    const int *step = s->rows.step;
    real piece[PART];
    const vf scale = v_all(c->node->op == &maas_op_Mean ? (real)1 / (real)c->n_in : 1);
    for (int64_t i = 0; i < w->n; i += PART) {
        const int64_t n = w->n - i < PART ? w->n - i : PART;
        real *y = (real *)c->out[0].data + w->out + i, *to = c->n_in > 2 ? piece : y;
        const real *x[MAAS_ROWS_IN];
        for (int k = 0; k < c->n_in; k++)
            x[k] = (const real *)c->in[k].data + w->at[k] + i * step[k];
        s->row(to, x[0], step[0], x[1], step[1], n);
        for (int k = 2; k < c->n_in; k++)
            s->row(k + 1 < c->n_in ? piece : y, piece, 1, x[k], step[k], n);
        for (int64_t j = 0; j < n && c->node->op == &maas_op_Mean; j += VW)
            if (n - j >= VW)
                v_store(y + j, v_load(y + j) * scale);
            else
                v_store_part(y + j, v_load_part(y + j, n - j, 0) * scale, n - j);
    }
}

static maas_status run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const state *s = c->state;
    maas_row_walk w;
    for (maas_row_walk_init(&w, &s->rows, 256, ithr, nthr); w.n > 0; maas_row_walk_step(&w))
        run_row(c, s, &w);
    return MAAS_OK;
}

/* ---- Pow with a constant number ---- */

static bool pow_fits(const maas_call *c, const maas_cpu *cpu)
{
    static const double known[] = {2, 3, 0.5, -0.5, -1, 1};
    const maas_tensor *e = &c->in[1];
    if (c->in[0].dtype != REAL_DTYPE || !e->data || maas_n_elems(e) != 1 ||
        maas_n_elems(&c->out[0]) != maas_n_elems(&c->in[0]))
        return false;
    for (size_t i = 0; i < MAAS_COUNT(known); i++)
        if (maas_tensor_get(e, 0) == known[i])
            return true;
    return false;
}

INLINE vf power(vf x, double e)
{
    const vf root = v_pick(x == (real)-INFINITY, v_all((real)INFINITY), v_sqrt(x));
    return e == 2      ? x * x
           : e == 3    ? x * x * x
           : e == 0.5  ? root
           : e == -0.5 ? 1 / root
           : e == -1   ? 1 / x
                       : x;
}

static maas_status pow_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const double e = maas_tensor_get(&c->in[1], 0);
    const real *x = c->in[0].data;
    real *y = c->out[0].data;
    int64_t i, to;
    maas_share(maas_n_elems(&c->in[0]), 256, ithr, nthr, &i, &to);
    for (; i + VW <= to; i += VW)
        v_store(y + i, power(v_load(x + i), e));
    if (i < to)
        v_store_part(y + i, power(v_load_part(x + i, to - i, 1), e), to - i);
    return MAAS_OK;
}

#define KERNEL(Name)                                                                               \
    {.op = &maas_op_##Name,                                                                        \
     .name = #Name "." ISA_TEXT,                                                                   \
     .fits = fits,                                                                                 \
     .prepare = prepare,                                                                           \
     .release = maas_free,                                                                         \
     .run = run},
const maas_kernel ISA(maas_kernels_variadic)[] = {
    KERNEL(Min) KERNEL(Max) KERNEL(Sum) KERNEL(Mean) KERNEL(PRelu){
        .op = &maas_op_Pow, .name = "Pow." ISA_TEXT, .fits = pow_fits, .run = pow_run},
    {0}};
