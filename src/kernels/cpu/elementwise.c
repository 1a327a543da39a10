/*
 * Element by element over f32 or f64 with NumPy broadcasting.
 *
 * The shape is cut into rows as long as possible such that within a row every operand either walks
 * along or stands still; same shapes, scalars and row vectors all become one or few long rows. An
 * operator is then a loop over one row.
 */
#include "kernels/cpu/row_fn.h"

#include "base/mem.h"
#include "kernels/rows.h"
#include "base/ban.h"

#define OPERAND(p, step)      (step ? v_load(p + i) : v_all(p[0]))
#define OPERAND_PART(p, step) (step ? v_load_part(p + i, n - i, 1) : v_all(p[0]))
/* inlined once for each combination of steps, so that the loops have no branches */
#define ROW_LOOP(expr, a_step, b_step)                                                             \
    do {                                                                                           \
        int64_t i = 0;                                                                             \
        for (; i + VW <= n; i += VW) {                                                             \
            const vf a_ = OPERAND(a, a_step), b_ = OPERAND(b, b_step);                             \
            (void)b_;                                                                              \
            v_store(y + i, expr(a_, b_));                                                          \
        }                                                                                          \
        if (i < n) {                                                                               \
            const vf a_ = OPERAND_PART(a, a_step), b_ = OPERAND_PART(b, b_step);                   \
            (void)b_;                                                                              \
            v_store_part(y + i, expr(a_, b_), n - i);                                              \
        }                                                                                          \
    } while (0)
#define BINARY(Name, expr)                                                                         \
    static void row_##Name(real *y, const real *a, int a_step, const real *b, int b_step,          \
                           int64_t n)                                                              \
    {                                                                                              \
        if (a_step && b_step)                                                                      \
            ROW_LOOP(expr, 1, 1);                                                                  \
        else if (a_step)                                                                           \
            ROW_LOOP(expr, 1, 0);                                                                  \
        else if (b_step)                                                                           \
            ROW_LOOP(expr, 0, 1);                                                                  \
        else                                                                                       \
            ROW_LOOP(expr, 0, 0);                                                                  \
    }
#define UNARY(Name, expr)                                                                          \
    static void row_##Name(real *y, const real *a, int a_step, const real *b, int b_step,          \
                           int64_t n)                                                              \
    {                                                                                              \
        ROW_LOOP(expr, 1, 0);                                                                      \
    }

#define E_ADD(a, b)          ((a) + (b))
#define E_SUB(a, b)          ((a) - (b))
#define E_MUL(a, b)          ((a) * (b))
#define E_DIV(a, b)          ((a) / (b))
#define E_NEG(a, b)          (-(a))
#define E_ABS(a, b)          v_abs(a)
#define E_SQRT(a, b)         v_sqrt(a)
#define E_EXP(a, b)          v_exp(a)
#define E_LOG(a, b)          v_log(a)
#define E_RECIPROCAL(a, b)   (1 / (a))
#define E_RELU(a, b)         v_pick(((a) > 0) | ((a) != (a)), a, (vf){0})
#define E_SIGMOID(a, b)      v_sigmoid(a)
#define E_TANH(a, b)         v_tanh(a)
#define E_RELU_GRAD(a, b)    v_pick((b) > 0, a, (vf){0})
#define E_SIGMOID_GRAD(a, b) ((a) * ((b) * (1 - (b))))
#define E_TANH_GRAD(a, b)    ((a) * (1 - (b) * (b)))

#define UNARY_(Name, NAME)  UNARY(Name, E_##NAME)
#define BINARY_(Name, NAME) BINARY(Name, E_##NAME)
MAAS_ROW_OPS(UNARY_, BINARY_)

static const struct {
    const maas_op *op;
    row_fn *run;
} row_fns[] = {
#define FN(Name, NAME) {&maas_op_##Name, row_##Name},
    MAAS_ROW_OPS(FN, FN)
#undef FN
};

#ifndef MAAS_REAL64
/* u8 and i32 to f32; the source is behind a real pointer, as every operand is passed. */
static void row_Cast32(real *y, const real *a, int a_step, const real *b, int b_step, int64_t n)
{
    const int32_t *one = (const int32_t *)(const void *)a;
    int64_t i = 0;
    for (; a_step && i + VW <= n; i += VW)
        v_store(y + i, __builtin_convertvector(*(const vi_any *)(one + i), vf));
    for (; i < n; i++)
        y[i] = (real)one[a_step ? i : 0];
}

static void row_Cast(real *y, const real *a, int a_step, const real *b, int b_step, int64_t n)
{
    const uint8_t *x = (const uint8_t *)a;
    if (!a_step) {
        for (int64_t i = 0; i < n; i++)
            y[i] = x[0];
        return;
    }
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i];
}

static bool cast_fits(const maas_call *c, const maas_cpu *cpu)
{
    return maas_row_cast((maas_dtype)c->in[0].dtype) && c->out[0].dtype == REAL_DTYPE;
}
#endif

row_fn *ISA(maas_row_fn_of)(const maas_op *op)
{
    for (size_t i = 0; i < MAAS_COUNT(row_fns); i++)
        if (row_fns[i].op == op)
            return row_fns[i].run;
#ifndef MAAS_REAL64
    if (op == &maas_op_Cast)
        return row_Cast;
#endif
    return NULL;
}

#ifndef MAAS_REAL64
row_fn *ISA(maas_row_cast_of)(maas_dtype from)
{
    return from == MAAS_I32 ? row_Cast32 : row_Cast;
}
#endif

typedef struct state {
    maas_rows rows;
    row_fn *run;
} state;

static bool fits(const maas_call *c, const maas_cpu *cpu)
{
    for (int i = 0; i < c->n_in; i++)
        if (c->in[i].dtype != REAL_DTYPE)
            return false;
    return c->n_out == 1 && c->out[0].dtype == REAL_DTYPE;
}

static maas_status prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    state *s = maas_calloc(1, sizeof *s);
    if (!s)
        return maas_fail(err, MAAS_E_NOMEM, "preparing %s", c->node->op->name);
    maas_rows_of(&s->rows, &c->out[0], c->in, c->n_in);
    if (c->n_in == 2)
        maas_rows_tile(&s->rows);
    s->run = ISA(maas_row_fn_of)(c->node->op);
#ifndef MAAS_REAL64
    if (c->node->op == &maas_op_Cast)
        s->run = ISA(maas_row_cast_of)((maas_dtype)c->in[0].dtype);
#endif
    c->state = s;
    return MAAS_OK;
}

/* A part of a row with operands that repeat, block by block. */
static void run_tiled(const state *s, real *y, const real *const *x, int64_t n)
{
    real tile[2][MAAS_TILE];
    const maas_rows *r = &s->rows;
    for (int k = 0; k < 2; k++)
        for (int64_t j = 0; r->tiled[k] && j < MAAS_TILE; j += r->tile)
            memcpy(tile[k] + j, x[k], (size_t)r->tile * sizeof(real));
    for (int64_t i = 0; i < n; i += MAAS_TILE)
        s->run(y + i, r->tiled[0] ? tile[0] : x[0] + i * r->step[0], r->step[0] || r->tiled[0],
               r->tiled[1] ? tile[1] : x[1] + i * r->step[1], r->step[1] || r->tiled[1],
               n - i < MAAS_TILE ? n - i : MAAS_TILE);
}

static maas_status run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const state *s = c->state;
    const int second = c->n_in > 1 ? 1 : 0;
    const size_t a_size = maas_dtype_size((maas_dtype)c->in[0].dtype);
    const char *a = c->in[0].data;
    const real *b = c->in[second].data;
    real *y = c->out[0].data;
    maas_row_walk w;
    /* shares end on cache lines: two threads never write the same one */
    for (maas_row_walk_init(&w, &s->rows, s->rows.tile ? MAAS_TILE : 256, ithr, nthr); w.n > 0;
         maas_row_walk_step(&w)) {
        const real *x[] = {(const real *)(a + (size_t)w.at[0] * a_size), b + w.at[second]};
        if (s->rows.tile)
            run_tiled(s, y + w.out, x, w.n);
        else
            s->run(y + w.out, x[0], s->rows.step[0], x[1], s->rows.step[second], w.n);
    }
    return MAAS_OK;
}

#define ROW(Name, NAME)                                                                            \
    {.op = &maas_op_##Name,                                                                        \
     .name = #Name "." ISA_TEXT,                                                                   \
     .fits = fits,                                                                                 \
     .prepare = prepare,                                                                           \
     .release = maas_free,                                                                         \
     .run = run},
const maas_kernel ISA(maas_kernels_elementwise)[] = {MAAS_ROW_OPS(ROW, ROW)
#ifndef MAAS_REAL64
                                                         {.op = &maas_op_Cast,
                                                          .name = "Cast." ISA_TEXT,
                                                          .fits = cast_fits,
                                                          .prepare = prepare,
                                                          .release = maas_free,
                                                          .run = run},
#endif
                                                     {0}};
