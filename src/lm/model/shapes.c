#include "lm/model/shapes.h"

#include "base/mem.h"
#include "base/ban.h"

maas_lm_shape *maas_lm_shape_find(const maas_lm_shapes *s, int64_t rows, int64_t outs)
{
    for (maas_lm_shape *x = s->all; x; x = x->next)
        if (x->rows == rows && x->outs == outs)
            return x;
    return NULL;
}

static void destroy(maas_lm_shape *x)
{
    if (!x)
        return;
    maas_exec_destroy(x->exec);
    maas_plan_destroy(x->plan);
    maas_free(x);
}

static void drop_block(maas_budget *budget, void *block, size_t bytes)
{
    if (block)
        maas_budget_give(budget, bytes);
    maas_free(block);
}

/* What was computed is not needed any more, but everything points into it: executors are made anew.
 */
static maas_status move(maas_lm_shapes *s, void *block, maas_vars *vars, maas_err *err)
{
    maas_exec *fresh = NULL;
    for (maas_lm_shape *x = s->all; x; x = x->next) {
        MAAS_TRY(maas_exec_create_in(x->plan, vars, block, &fresh, err));
        maas_exec_destroy(x->exec);
        x->exec = fresh;
    }
    return MAAS_OK;
}

static maas_status no_room(size_t bytes, maas_err *err)
{
    return maas_fail(err, MAAS_E_NOMEM, "the %zu bytes that a step computes in", bytes);
}

/* The block grows: rarely, for the largest step comes early. */
static maas_status grow(maas_lm_shapes *s, size_t bytes, maas_vars *vars, maas_budget *budget,
                        maas_err *err)
{
    if (bytes <= s->bytes)
        return MAAS_OK;
    if (!maas_budget_take(budget, bytes))
        return no_room(bytes, err);
    void *block = maas_aligned(64, bytes);
    if (!block) {
        maas_budget_give(budget, bytes);
        return no_room(bytes, err);
    }
    const maas_status st = move(s, block, vars, err);
    if (st != MAAS_OK) { /* some point into it already, others do not */
        maas_lm_shapes_reset(s);
        drop_block(budget, block, bytes);
        return st;
    }
    drop_block(s->budget, s->block, s->bytes);
    s->block = block;
    s->bytes = bytes;
    s->budget = budget;
    return MAAS_OK;
}

static maas_status open_exec(maas_lm_shapes *s, maas_lm_shape *x, maas_vars *vars,
                             maas_budget *budget, maas_err *err)
{
    MAAS_TRY(grow(s, maas_plan_block_bytes(x->plan), vars, budget, err));
    return maas_exec_create_in(x->plan, vars, s->block, &x->exec, err);
}

maas_status maas_lm_shape_add(maas_lm_shapes *s, int64_t rows, int64_t outs, maas_plan *plan,
                              maas_vars *vars, maas_budget *budget, maas_lm_shape **out,
                              maas_err *err)
{
    maas_lm_shape *x = maas_calloc(1, sizeof *x);
    if (!x) {
        maas_plan_destroy(plan);
        return maas_fail(err, MAAS_E_NOMEM, "a plan");
    }
    *x = (maas_lm_shape){.rows = rows, .outs = outs, .plan = plan};
    const maas_status st = open_exec(s, x, vars, budget, err);
    if (st != MAAS_OK) {
        destroy(x);
        return st;
    }
    x->next = s->all;
    *out = s->all = x;
    return MAAS_OK;
}

void maas_lm_shapes_reset(maas_lm_shapes *s)
{
    while (s->all) {
        maas_lm_shape *x = s->all;
        s->all = x->next;
        destroy(x);
    }
    drop_block(s->budget, s->block, s->bytes);
    *s = (maas_lm_shapes){0};
}
