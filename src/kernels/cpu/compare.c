/*
 * Questions about numbers, answered with BOOL, what joins such answers, and Where, which picks by
 * them; with NumPy broadcasting, cut into rows as in elementwise.c.
 */
#include "kernels/cpu/isa.h"

#include "base/mem.h"
#include "kernels/rows.h"
#include "base/ban.h"

extern const maas_op maas_op_Equal, maas_op_Less, maas_op_LessOrEqual, maas_op_Greater,
    maas_op_GreaterOrEqual, maas_op_IsNaN, maas_op_Where, maas_op_And, maas_op_Or;

typedef void ask_fn(uint8_t *y, const real *a, int a_step, const real *b, int b_step, int64_t n);

/* one loop for each combination of steps, so that none has a branch in it */
#define ASK(name, expr)                                                                            \
    static void name(uint8_t *y, const real *a, int a_step, const real *b, int b_step, int64_t n)  \
    {                                                                                              \
        const real a0 = a[0], b0 = b[0];                                                           \
        (void)b0;                                                                                  \
        if (a_step && b_step)                                                                      \
            for (int64_t i = 0; i < n; i++)                                                        \
                y[i] = expr(a[i], b[i]);                                                           \
        else if (a_step)                                                                           \
            for (int64_t i = 0; i < n; i++)                                                        \
                y[i] = expr(a[i], b0);                                                             \
        else if (b_step)                                                                           \
            for (int64_t i = 0; i < n; i++)                                                        \
                y[i] = expr(a0, b[i]);                                                             \
        else                                                                                       \
            memset(y, expr(a0, b0), (size_t)n);                                                    \
    }
#define E_EQUAL(a, b)         ((a) == (b))
#define E_LESS(a, b)          ((a) < (b))
#define E_LESS_EQUAL(a, b)    ((a) <= (b))
#define E_GREATER(a, b)       ((a) > (b))
#define E_GREATER_EQUAL(a, b) ((a) >= (b))
#define E_IS_NAN(a, b)        ((a) != (a))
ASK(ask_equal, E_EQUAL)
ASK(ask_less, E_LESS)
ASK(ask_less_equal, E_LESS_EQUAL)
ASK(ask_greater, E_GREATER)
ASK(ask_greater_equal, E_GREATER_EQUAL)
ASK(ask_is_nan, E_IS_NAN)

static const struct question {
    const maas_op *op;
    ask_fn *ask;
} questions[] = {
    {&maas_op_Equal, ask_equal},
    {&maas_op_Less, ask_less},
    {&maas_op_LessOrEqual, ask_less_equal},
    {&maas_op_Greater, ask_greater},
    {&maas_op_GreaterOrEqual, ask_greater_equal},
    {&maas_op_IsNaN, ask_is_nan},
};

typedef struct state {
    maas_rows rows;
    ask_fn *ask;
} state;

static maas_status prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    state *s = maas_calloc(1, sizeof *s);
    if (!s)
        return maas_fail(err, MAAS_E_NOMEM, "preparing %s", c->node->op->name);
    maas_rows_of(&s->rows, &c->out[0], c->in, c->n_in);
    for (size_t i = 0; i < MAAS_COUNT(questions); i++)
        if (questions[i].op == c->node->op)
            s->ask = questions[i].ask;
    c->state = s;
    return MAAS_OK;
}

static bool ask_fits(const maas_call *c, const maas_cpu *cpu)
{
    return c->in[0].dtype == REAL_DTYPE && c->out[0].dtype == MAAS_BOOL;
}

static maas_status ask_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const state *s = c->state;
    const int second = c->n_in > 1 ? 1 : 0;
    const real *a = c->in[0].data, *b = c->in[second].data;
    uint8_t *y = c->out[0].data;
    maas_row_walk w;
    for (maas_row_walk_init(&w, &s->rows, 256, ithr, nthr); w.n > 0; maas_row_walk_step(&w))
        s->ask(y + w.out, a + w.at[0], s->rows.step[0], b + w.at[second], s->rows.step[second],
               w.n);
    return MAAS_OK;
}

/* ---- Where ---- */

static bool where_fits(const maas_call *c, const maas_cpu *cpu)
{
    return c->in[1].dtype == REAL_DTYPE && c->in[0].dtype == MAAS_BOOL;
}

static maas_status where_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const maas_rows *rows = &((const state *)c->state)->rows;
    const int m_step = rows->step[0], a_step = rows->step[1], b_step = rows->step[2];
    maas_row_walk w;
    for (maas_row_walk_init(&w, rows, 256, ithr, nthr); w.n > 0; maas_row_walk_step(&w)) {
        const uint8_t *mask = (const uint8_t *)c->in[0].data + w.at[0];
        const real *a = (const real *)c->in[1].data + w.at[1];
        const real *b = (const real *)c->in[2].data + w.at[2];
        real *y = (real *)c->out[0].data + w.out;
        for (int64_t i = 0; i < w.n; i++)
            y[i] = mask[i * m_step] ? a[i * a_step] : b[i * b_step];
    }
    return MAAS_OK;
}

/* ---- And, Or: of BOOL alone, so they are compiled with one of the element types ---- */

#ifndef MAAS_REAL64
static bool both_fits(const maas_call *c, const maas_cpu *cpu)
{
    return c->in[0].dtype == MAAS_BOOL && c->in[1].dtype == MAAS_BOOL;
}

static maas_status both_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const maas_rows *rows = &((const state *)c->state)->rows;
    const int a_step = rows->step[0], b_step = rows->step[1];
    const bool all = c->node->op == &maas_op_And;
    maas_row_walk w;
    for (maas_row_walk_init(&w, rows, 256, ithr, nthr); w.n > 0; maas_row_walk_step(&w)) {
        const uint8_t *a = (const uint8_t *)c->in[0].data + w.at[0];
        const uint8_t *b = (const uint8_t *)c->in[1].data + w.at[1];
        uint8_t *y = (uint8_t *)c->out[0].data + w.out;
        for (int64_t i = 0; i < w.n; i++) {
            const bool p = a[i * a_step] != 0, q = b[i * b_step] != 0;
            y[i] = all ? p && q : p || q;
        }
    }
    return MAAS_OK;
}
#define BOTH(Name)                                                                                 \
    {.op = &maas_op_##Name,                                                                        \
     .name = #Name "." ISA_TEXT,                                                                   \
     .fits = both_fits,                                                                            \
     .prepare = prepare,                                                                           \
     .release = maas_free,                                                                         \
     .run = both_run},
#define BOTHS BOTH(And) BOTH(Or)
#else
#define BOTHS
#endif

#define QUESTION(Name)                                                                             \
    {                                                                                              \
        .op = &maas_op_##Name, .name = #Name "." ISA_TEXT, .fits = ask_fits, .prepare = prepare,   \
        .release = maas_free, .run = ask_run                                                       \
    }
const maas_kernel ISA(maas_kernels_compare)[] = {BOTHS QUESTION(Equal),
                                                 QUESTION(Less),
                                                 QUESTION(LessOrEqual),
                                                 QUESTION(Greater),
                                                 QUESTION(GreaterOrEqual),
                                                 QUESTION(IsNaN),
                                                 {.op = &maas_op_Where,
                                                  .name = "Where." ISA_TEXT,
                                                  .fits = where_fits,
                                                  .prepare = prepare,
                                                  .release = maas_free,
                                                  .run = where_run},
                                                 {0}};
