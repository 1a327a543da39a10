/* learn/explain/function.c - a graph cut after one value, as a function from batches of rows to
 * doubles. */
#include <string.h>

#include "base/mem.h"
#include "learn/explain/explain_int.h"
#include "runtime/plan.h"
#include "base/ban.h"

struct maas_xfun {
    const maas_graph *g;
    maas_plan *plan;
    maas_exec *exec;
    int64_t *width; /* [n_inputs] */
    int64_t k;
    double *answers; /* [MAAS_XFUN_ROWS][k] */
};

static maas_status make_plan(maas_xfun *f, int n_threads, maas_budget *budget, maas_err *err)
{
    maas_plan_opts o = MAAS_PLAN_OPTS_INIT;
    AUTO_FREE maas_type *types = maas_calloc(f->g->n_inputs + 1, sizeof *types);
    f->width = maas_calloc(f->g->n_inputs + 1, sizeof *f->width);
    if (!types || !f->width)
        return maas_fail(err, MAAS_E_NOMEM, "memory for explaining");
    for (uint32_t i = 0; i < f->g->n_inputs; i++) {
        types[i] = maas_graph_at(f->g, f->g->inputs[i])->type;
        types[i].dims[0] = MAAS_XFUN_ROWS;
        f->width[i] = maas_dims_product(types[i].dims, 1, types[i].rank);
    }
    o.n_threads = n_threads;
    o.budget = budget;
    MAAS_TRY(maas_plan_create(f->g, types, &o, &f->plan, err));
    return maas_exec_create(f->plan, NULL, &f->exec, err);
}

static void auto_fun(maas_xfun **f)
{
    maas_xfun_destroy(*f);
}

maas_status maas_xfun_create(const maas_graph *g, int n_threads, maas_budget *budget,
                             maas_xfun **out, maas_err *err)
{
    AUTO(auto_fun) maas_xfun *f = maas_calloc(1, sizeof *f);
    if (!f)
        return maas_fail(err, MAAS_E_NOMEM, "memory for explaining");
    f->g = g;
    MAAS_TRY(make_plan(f, n_threads, budget, err));
    const maas_type *t = &maas_graph_at(g, g->outputs[0])->type;
    if (t->rank < 1 || t->rank > 2 || (t->rank == 2 && t->dims[1] < 1))
        return maas_fail(err, MAAS_E_UNSUPPORTED, "the answer has no row of numbers for each row");
    f->k = t->rank == 2 ? t->dims[1] : 1;
    f->answers = maas_calloc((size_t)(MAAS_XFUN_ROWS * f->k), sizeof *f->answers);
    if (!f->answers)
        return maas_fail(err, MAAS_E_NOMEM, "memory for explaining");
    *out = STEAL(f);
    return MAAS_OK;
}

void maas_xfun_destroy(maas_xfun *f)
{
    if (!f)
        return;
    maas_exec_destroy(f->exec);
    maas_plan_destroy(f->plan);
    maas_free(f->width);
    maas_free(f->answers);
    maas_free(f);
}

int64_t maas_xfun_n_outputs(const maas_xfun *f)
{
    return f->k;
}

int64_t maas_xfun_width(const maas_xfun *f, uint32_t input)
{
    return f->width[input];
}

maas_tensor *maas_xfun_input(maas_xfun *f, uint32_t input)
{
    return maas_exec_input(f->exec, input);
}

maas_status maas_xfun_run(maas_xfun *f, const double **out, maas_err *err)
{
    MAAS_TRY(maas_exec_run(f->exec, err));
    const maas_tensor *t = maas_exec_output(f->exec, 0);
    if (maas_n_elems(t) != MAAS_XFUN_ROWS * f->k)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "the answer has no row of numbers for each row");
    for (int64_t i = 0; i < MAAS_XFUN_ROWS * f->k; i++)
        f->answers[i] = maas_tensor_get(t, i);
    *out = f->answers;
    return MAAS_OK;
}

maas_status maas_x_cut(maas_explainer *x, maas_vid v, maas_err *err)
{
    MAAS_TRY(maas_graph_clone(x->g, x->opts.budget, &x->cut, err));
    x->cut->n_outputs = 0;
    for (uint32_t i = 0; i < x->cut->n_values; i++)
        x->cut->values[i].flags &= ~(uint32_t)MAAS_VALUE_OUTPUT;
    MAAS_TRY(maas_graph_output(x->cut, v, err));
    MAAS_TRY(maas_xfun_create(x->cut, x->opts.n_threads, x->opts.budget, &x->fun, err));
    x->n_outputs = maas_xfun_n_outputs(x->fun);
    return MAAS_OK;
}

maas_status maas_x_base(maas_explainer *x, maas_err *err)
{
    const double *y;
    const int64_t n = x->opts.background_rows;
    x->base = maas_arena_array(&x->arena, (size_t)x->n_outputs, sizeof *x->base);
    if (!x->base)
        return maas_fail(err, MAAS_E_NOMEM, "memory for explaining");
    for (int64_t from = 0; from < n; from += MAAS_XFUN_ROWS) {
        const int64_t some = n - from < MAAS_XFUN_ROWS ? n - from : MAAS_XFUN_ROWS;
        for (int64_t i = 0; i < MAAS_XFUN_ROWS; i++)
            maas_x_row(x, x->opts.background, from + (i < some ? i : 0), i);
        MAAS_TRY(maas_xfun_run(x->fun, &y, err));
        for (int64_t i = 0; i < some * x->n_outputs; i++)
            x->base[i % x->n_outputs] += y[i] / (double)n;
    }
    return MAAS_OK;
}
