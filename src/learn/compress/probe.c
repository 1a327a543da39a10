/* learn/compress/probe.c - plans over a few rows: for one row to be timed, for many to be looked
 * into. */
#include "learn/compress/probe.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/sys.h"
#include "learn/feeds.h"
#include "learn/subset.h"
#include "runtime/plan.h"
#include "base/ban.h"

enum { WARM_UP = 3, MIN_RUNS = 11, MAX_RUNS = 401, CHUNK = 64 };
#define RACE_NS (400ull * 1000000) /* a race takes no longer, once each has had MIN_RUNS */

struct maas_probe {
    maas_arena arena; /* of the feeds */
    maas_feeds feeds;
    maas_plan *plan;
    maas_exec *exec;
    int64_t rows;
};

static maas_status open_rows(const maas_graph *g, const maas_dataset *d, const maas_train_job *job,
                             int64_t rows, int n_threads, maas_probe *p, maas_err *err)
{
    maas_plan_opts o = MAAS_PLAN_OPTS_INIT;
    o.n_threads = n_threads;
    o.budget = job->budget;
    maas_arena_init(&p->arena, job->budget);
    p->rows = rows;
    MAAS_TRY(maas_feeds_init(&p->feeds, g, d, job->target, &p->arena, err));
    maas_type *types = maas_arena_array(&p->arena, g->n_inputs, sizeof *types);
    if (!types)
        return maas_fail(err, MAAS_E_NOMEM, "memory for running the model");
    for (uint32_t i = 0; i < g->n_inputs; i++)
        types[i] = maas_feed_type(&p->feeds, i, rows);
    MAAS_TRY(maas_plan_create(g, types, &o, &p->plan, err));
    return maas_exec_create(p->plan, NULL, &p->exec, err);
}

void maas_probe_close(maas_probe *p)
{
    if (!p)
        return;
    maas_exec_destroy(p->exec);
    maas_plan_destroy(p->plan);
    maas_arena_reset(&p->arena);
    maas_free(p);
}

static maas_status probe_rows(const maas_graph *g, const maas_dataset *d, const maas_train_job *job,
                              int64_t rows, int n_threads, maas_probe **out, maas_err *err)
{
    maas_probe *p = maas_calloc(1, sizeof *p);
    if (!p)
        return maas_fail(err, MAAS_E_NOMEM, "memory for running the model");
    const maas_status st = open_rows(g, d, job, rows, n_threads, p, err);
    if (st != MAAS_OK)
        maas_probe_close(p);
    else
        *out = p;
    return st;
}

static maas_status run_at(maas_probe *p, int64_t row, uint64_t *out_ns, maas_err *err)
{
    for (uint32_t i = 0; i < p->feeds.g->n_inputs; i++)
        maas_feed_fill(&p->feeds, i, row, p->rows, maas_exec_input(p->exec, i));
    const uint64_t began = maas_now_ns();
    MAAS_TRY(maas_exec_run(p->exec, err));
    if (out_ns)
        *out_ns = maas_now_ns() - began;
    return MAAS_OK;
}

/* ---- time ---- */

maas_status maas_probe_open(const maas_graph *g, const maas_dataset *d, const maas_train_job *job,
                            maas_probe **out, maas_err *err)
{
    return probe_rows(g, d, job, 1, 1, out, err);
}

static int by_size(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static double median_us(uint64_t *ns, int n)
{
    qsort(ns, (size_t)n, sizeof *ns, by_size);
    return (double)ns[n / 2] * 1e-3;
}

maas_status maas_probe_race(maas_probe *a, maas_probe *b, double *out_a, double *out_b,
                            maas_err *err)
{
    uint64_t ns[2][MAX_RUNS], began = 0;
    int n = -WARM_UP;
    for (; n < MAX_RUNS && (n < MIN_RUNS || maas_now_ns() - began < RACE_NS); n++) {
        const int64_t row = (n + WARM_UP) % a->feeds.d->n_rows;
        uint64_t ignored;
        MAAS_TRY(run_at(a, row, n < 0 ? &ignored : &ns[0][n], err));
        if (b)
            MAAS_TRY(run_at(b, row, n < 0 ? &ignored : &ns[1][n], err));
        if (n <= 0)
            began = maas_now_ns();
    }
    *out_a = median_us(ns[0], n);
    if (b)
        *out_b = median_us(ns[1], n);
    return MAAS_OK;
}

/* ---- values ---- */

static void auto_graph(maas_graph **g)
{
    maas_graph_destroy(*g);
}

/* The outputs of the clone are what is wanted, after its own. */
static maas_status clone_showing(const maas_graph *g, const maas_vid *wanted, uint32_t n,
                                 maas_budget *budget, uint32_t *place, maas_graph **out,
                                 maas_err *err)
{
    AUTO(auto_graph) maas_graph *c = NULL;
    MAAS_TRY(maas_graph_clone(g, budget, &c, err));
    for (uint32_t k = 0; k < n; k++) {
        place[k] = UINT32_MAX;
        for (uint32_t i = 0; i < c->n_outputs; i++)
            if (c->outputs[i] == wanted[k])
                place[k] = i;
        if (place[k] != UINT32_MAX)
            continue;
        place[k] = c->n_outputs;
        MAAS_TRY(maas_graph_output(c, wanted[k], err));
    }
    *out = STEAL(c);
    return MAAS_OK;
}

static maas_status show(maas_probe *p, int64_t row, const uint32_t *place, uint32_t n,
                        maas_calibrate_fn *fn, void *user, maas_err *err)
{
    MAAS_TRY(run_at(p, row, NULL, err));
    for (uint32_t k = 0; k < n; k++)
        MAAS_TRY(fn(user, k, maas_exec_output(p->exec, place[k]), err));
    return MAAS_OK;
}

static maas_status show_all(const maas_graph *g, const maas_dataset *rows,
                            const maas_train_job *job, const uint32_t *place, uint32_t n,
                            maas_calibrate_fn *fn, void *user, maas_err *err)
{
    const int64_t sizes[2] = {CHUNK, rows->n_rows % CHUNK};
    maas_status st = MAAS_OK;
    for (int s = 0; s < 2 && st == MAAS_OK; s++) {
        const int64_t from = s ? rows->n_rows - sizes[1] : 0;
        const int64_t to = s ? rows->n_rows : rows->n_rows - sizes[1];
        maas_probe *p = NULL;
        if (from == to)
            continue;
        st = probe_rows(g, rows, job, sizes[s], job->n_threads, &p, err);
        for (int64_t row = from; st == MAAS_OK && row < to; row += sizes[s])
            st = show(p, row, place, n, fn, user, err);
        maas_probe_close(p);
    }
    return st;
}

maas_status maas_calibrate(const maas_graph *g, const maas_dataset *d, const maas_train_job *job,
                           int64_t n_rows, const maas_vid *wanted, uint32_t n_wanted,
                           maas_calibrate_fn *fn, void *user, maas_err *err)
{
    const int64_t n = n_rows < d->n_rows ? n_rows : d->n_rows;
    AUTO_FREE uint32_t *rows = maas_calloc((size_t)n + 1, sizeof *rows);
    AUTO_FREE uint32_t *place = maas_calloc((size_t)n_wanted + 1, sizeof *place);
    AUTO(auto_graph) maas_graph *shown = NULL;
    AUTO(maas_subset_reset) maas_subset some = {0};
    if (!rows || !place)
        return maas_fail(err, MAAS_E_NOMEM, "memory for the rows of a calibration");
    for (int64_t i = 0; i < n; i++)
        rows[i] = (uint32_t)(i * d->n_rows / n);
    MAAS_TRY(clone_showing(g, wanted, n_wanted, job->budget, place, &shown, err));
    MAAS_TRY(maas_subset_make(d, rows, n, job->budget, &some, err));
    return show_all(shown, &some.data, job, place, n_wanted, fn, user, err);
}
