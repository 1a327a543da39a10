/*
 * learn/apply.c - for each chunk of rows the feeds write into the executor's inputs, the plan runs,
 * and outputs are copied out (text with its bytes: the plan's own die with it).
 */
#include "learn/apply.h"

#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "learn/feeds.h"
#include "runtime/plan.h"
#include "base/ban.h"

enum { CHUNK = 2048 }; /* rows of one run */

typedef struct applying {
    const maas_graph *g;
    const maas_dataset *d;
    maas_feeds feeds;
    maas_arena scratch;
    maas_applied *out;
    maas_plan_opts plan;
} applying;

static maas_status no_memory(maas_err *err)
{
    return maas_fail(err, MAAS_E_NOMEM, "memory for running the model over the rows");
}

/* ---- running ---- */

static maas_status keep_text(applying *a, const maas_tensor *from, maas_str *to, maas_err *err)
{
    const maas_str *s = from->data;
    for (int64_t i = 0, n = maas_n_elems(from); i < n; i++) {
        char *copy = maas_arena_strndup(&a->out->arena, s[i].p ? s[i].p : "", s[i].n);
        if (!copy)
            return no_memory(err);
        to[i] = (maas_str){copy, s[i].n};
    }
    return MAAS_OK;
}

/* Rows from.. of output k; the first chunk makes the place for all of them. */
static maas_status keep_output(applying *a, uint32_t k, const maas_tensor *t, int64_t from,
                               int64_t n, maas_err *err)
{
    maas_tensor *to = &a->out->out[k];
    if (t->holds || t->rank < 1 || t->dims[0] != n)
        return maas_fail(err, MAAS_E_INVALID, "output '%s' has no row for each row",
                         maas_graph_at(a->g, a->g->outputs[k])->name);
    if (!to->data) {
        *to = *t;
        to->dims[0] = a->d->n_rows;
        to->data = maas_arena_array(&a->out->arena, (size_t)maas_n_elems(to),
                                    maas_dtype_size((maas_dtype)t->dtype));
        if (!to->data)
            return no_memory(err);
    }
    const size_t row = maas_tensor_bytes(t) / (size_t)n;
    char *at = (char *)to->data + (size_t)from * row;
    if (t->dtype == MAAS_STRING)
        return keep_text(a, t, (maas_str *)(void *)at, err);
    memcpy(at, t->data, row * (size_t)n);
    return MAAS_OK;
}

static void auto_plan(maas_plan **p)
{
    maas_plan_destroy(*p);
}

static void auto_exec(maas_exec **e)
{
    maas_exec_destroy(*e);
}

static maas_status run_chunk(applying *a, maas_exec *exec, int64_t from, int64_t n, maas_err *err)
{
    for (uint32_t i = 0; i < a->g->n_inputs; i++)
        maas_feed_fill(&a->feeds, i, from, n, maas_exec_input(exec, i));
    const uint64_t began = maas_now_ns();
    MAAS_TRY(maas_exec_run(exec, err));
    a->out->seconds += (double)(maas_now_ns() - began) * 1e-9;
    for (uint32_t k = 0; k < a->g->n_outputs; k++)
        MAAS_TRY(keep_output(a, k, maas_exec_output(exec, k), from, n, err));
    return MAAS_OK;
}

/* Rows [from, to) in chunks of exactly n. */
static maas_status run_rows(applying *a, int64_t from, int64_t to, int64_t n, maas_err *err)
{
    AUTO(auto_plan) maas_plan *plan = NULL;
    AUTO(auto_exec) maas_exec *exec = NULL;
    maas_type *types = maas_arena_array(&a->scratch, a->g->n_inputs, sizeof *types);
    if (!types)
        return no_memory(err);
    for (uint32_t i = 0; i < a->g->n_inputs; i++)
        types[i] = maas_feed_type(&a->feeds, i, n);
    MAAS_TRY(maas_plan_create(a->g, types, &a->plan, &plan, err));
    MAAS_TRY(maas_exec_create(plan, NULL, &exec, err));
    for (int64_t at = from; at < to; at += n)
        MAAS_TRY(run_chunk(a, exec, at, n, err));
    return MAAS_OK;
}

static maas_status run_all(applying *a, maas_err *err)
{
    const int64_t n = a->d->n_rows, whole = n / CHUNK * CHUNK;
    if (n == 0)
        return maas_fail(err, MAAS_E_INVALID, "there are no rows to run the model over");
    if (whole)
        MAAS_TRY(run_rows(a, 0, whole, CHUNK, err));
    return whole < n ? run_rows(a, whole, n, n - whole, err) : MAAS_OK;
}

maas_status maas_apply(const maas_graph *g, const maas_dataset *d, const char *target,
                       int n_threads, maas_budget *budget, maas_applied *out, maas_err *err)
{
    *out = (maas_applied){.n_out = g->n_outputs};
    applying a = {.g = g, .d = d, .out = out, .plan = MAAS_PLAN_OPTS_INIT};
    a.plan.n_threads = n_threads;
    a.plan.budget = budget;
    maas_arena_init(&out->arena, budget);
    maas_arena_init(&a.scratch, budget);
    out->out = maas_arena_array(&out->arena, g->n_outputs, sizeof *out->out);
    maas_status st = out->out ? maas_feeds_init(&a.feeds, g, d, target, &a.scratch, err)
                              : no_memory(err);
    if (st == MAAS_OK)
        st = run_all(&a, err);
    maas_arena_reset(&a.scratch);
    return st;
}

void maas_applied_reset(maas_applied *a)
{
    maas_arena_reset(&a->arena);
    *a = (maas_applied){0};
}

const maas_tensor *maas_applied_find(const maas_applied *a, const maas_graph *g, const char *name)
{
    for (uint32_t k = 0; k < a->n_out; k++)
        if (strcmp(maas_graph_at(g, g->outputs[k])->name, name) == 0)
            return &a->out[k];
    return NULL;
}
