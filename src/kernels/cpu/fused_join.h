/*
 * kernels/cpu/fused_join.h - several steps of a fused program as one walk over a block.
 *
 *   x y + z,  x y - z,  z - x y
 *   x a + y b             a running mean: what optimizers keep
 *   x a + y^2 b           of squares
 *   w - l m / (root(v) + e)   the step they take
 *
 * where a, b, e and l are one number each. Every result between is read by its one reader alone.
 * Included by fused.c.
 */
#ifndef MAAS_KERNELS_CPU_FUSED_JOIN_H
#define MAAS_KERNELS_CPU_FUSED_JOIN_H

#include "kernels/cpu/isa.h"
#include "kernels/row_ops.h"

#define JOINED_MAX_ARGS 5

/* y may be any of a[]. inc: 0 or 1. */
typedef void joined_fn(float *y, const float *const *a, const uint8_t *inc, int64_t n);

typedef struct step {
    const maas_op *op;
    joined_fn *joined;            /* NULL: op, of arg[0] and arg[1] */
    int64_t arg[JOINED_MAX_ARGS]; /* operands; -1: none */
    bool gone;                    /* its work is done by the step that reads it */
} step;

typedef struct joiner {
    step *steps;
    int n_steps;
    int first;                           /* operand number of the first result */
    uint8_t reads[MAAS_FUSED_MAX_STEPS]; /* of each result; an output is read twice */
    const uint8_t *in_step;              /* of each operand before the first result */
} joiner;

/* y = expr of v0 v1 v2, each a row or one number */
#define JOINED_3(name, expr)                                                                       \
    static void name(float *y, const float *const *a, const uint8_t *inc, int64_t n)               \
    {                                                                                              \
        const vf a0 = v_all(a[0][0]), a1 = v_all(a[1][0]), a2 = v_all(a[2][0]);                    \
        int64_t i = 0;                                                                             \
        for (; i + VW <= n; i += VW) {                                                             \
            const vf v0 = inc[0] ? v_load(a[0] + i) : a0, v1 = inc[1] ? v_load(a[1] + i) : a1;     \
            const vf v2 = inc[2] ? v_load(a[2] + i) : a2;                                          \
            v_store(y + i, expr);                                                                  \
        }                                                                                          \
        if (i == n)                                                                                \
            return;                                                                                \
        const vf v0 = inc[0] ? v_load_part(a[0] + i, n - i, 0) : a0;                               \
        const vf v1 = inc[1] ? v_load_part(a[1] + i, n - i, 0) : a1;                               \
        const vf v2 = inc[2] ? v_load_part(a[2] + i, n - i, 0) : a2;                               \
        v_store_part(y + i, expr, n - i);                                                          \
    }
JOINED_3(mul_add, v0 *v1 + v2)
JOINED_3(mul_sub, v0 *v1 - v2)
JOINED_3(sub_mul, v2 - v0 * v1)

/* y = expr of the rows x0.. and the numbers c0, c1, which come last */
#define JOINED_2_2(name, expr)                                                                     \
    static void name(float *y, const float *const *a, const uint8_t *inc, int64_t n)               \
    {                                                                                              \
        const float *r0 = a[0], *r1 = a[1];                                                        \
        const vf c0 = v_all(a[2][0]), c1 = v_all(a[3][0]);                                         \
        int64_t i = 0;                                                                             \
        for (; i + VW <= n; i += VW) {                                                             \
            const vf x0 = v_load(r0 + i), x1 = v_load(r1 + i);                                     \
            v_store(y + i, expr);                                                                  \
        }                                                                                          \
        if (i == n)                                                                                \
            return;                                                                                \
        const vf x0 = v_load_part(r0 + i, n - i, 0), x1 = v_load_part(r1 + i, n - i, 0);           \
        v_store_part(y + i, expr, n - i);                                                          \
    }
JOINED_2_2(mean, x0 *c0 + x1 * c1)
JOINED_2_2(mean_square, x0 *c0 + (x1 * x1) * c1)

/* a: w m v e l */
static void over_root(float *y, const float *const *a, const uint8_t *inc, int64_t n)
{
    const float *w = a[0], *m = a[1], *v = a[2];
    const vf e = v_all(a[3][0]), l = v_all(a[4][0]);
    int64_t i = 0;
    for (; i + VW <= n; i += VW)
        v_store(y + i, v_load(w + i) - v_over_root(v_load(m + i), v_load(v + i), e) * l);
    if (i == n)
        return;
    const vf d = v_over_root(v_load_part(m + i, n - i, 0), v_load_part(v + i, n - i, 1), e);
    v_store_part(y + i, v_load_part(w + i, n - i, 0) - d * l, n - i);
}

static uint8_t step_of(const joiner *j, int64_t operand)
{
    return operand >= j->first ? 1 : j->in_step[operand];
}

/* The step whose result `operand` is, when it is an `op` with one reader. */
static step *only_read(const joiner *j, int64_t operand, const maas_op *op)
{
    if (operand < j->first)
        return NULL;
    step *s = &j->steps[operand - j->first];
    return s->op == op && !s->joined && !s->gone && j->reads[operand - j->first] == 1 ? s : NULL;
}

/* Is s row * number, in either order? */
static bool is_scaled(const joiner *j, const step *s, int64_t *out_row, int64_t *out_number)
{
    const int at = step_of(j, s->arg[1]) == 1;
    *out_row = s->arg[at];
    *out_number = s->arg[!at];
    return step_of(j, *out_row) == 1 && step_of(j, *out_number) == 0;
}

static void take(step *s, joined_fn *fn, const int64_t *args, int n_args)
{
    s->joined = fn;
    for (int i = 0; i < n_args; i++)
        s->arg[i] = args[i];
}

/* sum = x a + y b, or x a + (y y) b */
static bool join_mean(const joiner *j, step *sum)
{
    step *p = only_read(j, sum->arg[0], &maas_op_Mul), *q = only_read(j, sum->arg[1], &maas_op_Mul);
    int64_t x, y, a, b;
    if (sum->op != &maas_op_Add || !p || !q || p == q || !is_scaled(j, p, &x, &a) ||
        !is_scaled(j, q, &y, &b))
        return false;
    step *square = only_read(j, y, &maas_op_Mul);
    if (square && (square->arg[0] != square->arg[1] || step_of(j, square->arg[0]) != 1))
        square = NULL;
    const int64_t args[] = {x, square ? square->arg[0] : y, a, b};
    take(sum, square ? mean_square : mean, args, 4);
    p->gone = q->gone = true;
    if (square)
        square->gone = true;
    return true;
}

/* sub = w - (m / (root(v) + e)) l */
static bool join_over_root(const joiner *j, step *sub)
{
    step *p = only_read(j, sub->arg[1], &maas_op_Mul);
    int64_t direction, l;
    if (sub->op != &maas_op_Sub || step_of(j, sub->arg[0]) != 1 || !p ||
        !is_scaled(j, p, &direction, &l))
        return false;
    step *div = only_read(j, direction, &maas_op_Div);
    step *sum = div ? only_read(j, div->arg[1], &maas_op_Add) : NULL;
    if (!sum || step_of(j, div->arg[0]) != 1)
        return false;
    const int at = only_read(j, sum->arg[1], &maas_op_Sqrt) != NULL;
    step *root = only_read(j, sum->arg[at], &maas_op_Sqrt);
    if (!root || step_of(j, root->arg[0]) != 1 || step_of(j, sum->arg[!at]) != 0)
        return false;
    const int64_t args[] = {sub->arg[0], div->arg[0], root->arg[0], sum->arg[!at], l};
    take(sub, over_root, args, 5);
    p->gone = div->gone = sum->gone = root->gone = true;
    return true;
}

static bool join_product(const joiner *j, step *sum)
{
    if (sum->op != &maas_op_Add && sum->op != &maas_op_Sub)
        return false;
    for (int k = 0; k < 2; k++) {
        step *p = only_read(j, sum->arg[k], &maas_op_Mul);
        if (!p)
            continue;
        const int64_t args[] = {p->arg[0], p->arg[1], sum->arg[!k]};
        take(sum, sum->op == &maas_op_Add ? mul_add : k == 0 ? mul_sub : sub_mul, args, 3);
        p->gone = true;
        return true;
    }
    return false;
}

/* Longest first. */
static void join_steps(const joiner *j)
{
    for (int i = 0; i < j->n_steps; i++)
        if (!join_mean(j, &j->steps[i]))
            join_over_root(j, &j->steps[i]);
    for (int i = 0; i < j->n_steps; i++)
        if (!j->steps[i].joined && !j->steps[i].gone)
            join_product(j, &j->steps[i]);
}

#endif
