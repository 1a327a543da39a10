/* learn/search/evaluate.c - one fit: train on the rows of a fold, answer the others, score the
 * answers. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "formats/onnx.h"
#include "learn/scorers.h"
#include "learn/search/search_int.h"
#include "learn/search/shuffle.h"
#include "learn/subset.h"
#include "base/ban.h"

static int rising(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Some of the rows of a fold, the same for every candidate, in their order. */
static maas_status some_rows(const maas_fold *fold, int64_t n, uint64_t seed, uint32_t **out,
                             maas_err *err)
{
    uint32_t *rows = maas_alloc((size_t)fold->n_train * sizeof *rows);
    maas_mt19937 rng;
    if (!rows)
        return maas_fail(err, MAAS_E_NOMEM, "memory for the rows of a fit");
    memcpy(rows, fold->train, (size_t)fold->n_train * sizeof *rows);
    maas_mt19937_seed(&rng, (uint32_t)seed);
    maas_mt19937_shuffle(&rng, rows, fold->n_train);
    qsort(rows, (size_t)n, sizeof *rows, rising);
    *out = rows;
    return MAAS_OK;
}

static maas_status score_model(const maas_searching *s, const maas_graph *g,
                               const maas_dataset *test, int n_threads, maas_trial_fit *out,
                               char scoring[64], maas_err *err)
{
    const maas_train_job *job = s->job;
    const maas_scorer *scorer;
    maas_applied a = {0};
    maas_judged j = {0};
    maas_status st = maas_apply(g, test, job->target, n_threads, job->budget, &a, err);
    if (st == MAAS_OK)
        st = maas_judge(g, &a, test, job->target, job->budget, &j, err);
    if (st == MAAS_OK)
        st = maas_scorer_find(s->plan->scoring, j.is_class, &scorer, err);
    if (st == MAAS_OK)
        st = maas_score_judged(scorer, &j, &out->score, err);
    if (st == MAAS_OK)
        snprintf(scoring, 64, "%s", scorer->name);
    out->score_seconds = a.seconds;
    maas_judged_reset(&j);
    maas_applied_reset(&a);
    return st;
}

/* The graph that the learner handed over, or its file read. */
static maas_status open_model(const maas_searching *s, maas_train_result *r, maas_err *err)
{
    const maas_onnx_opts o = {.budget = s->job->budget};
    return r->graph ? MAAS_OK : maas_onnx_read(maas_buf_span(&r->onnx), &o, &r->graph, err);
}

static maas_status train_one(const maas_searching *s, const maas_candidate *c,
                             const maas_dataset *data, int n_threads, maas_train_result *out,
                             maas_err *err)
{
    const maas_train_hooks hooks = {.user = s->job->hooks ? s->job->hooks->user : NULL,
                                    .cancelled = s->job->hooks ? s->job->hooks->cancelled : NULL};
    const maas_train_job job = {.learner = c->learner,
                                .params = c->params,
                                .data = data,
                                .target = s->job->target,
                                .n_threads = n_threads,
                                .budget = s->job->budget,
                                .want_graph = true,
                                .hooks = hooks.cancelled ? &hooks : NULL};
    return maas_train(&job, out, err);
}

maas_status maas_search_fit(const maas_searching *s, size_t number, int64_t f, int n_threads,
                            maas_trial_fit *out, char scoring[64], maas_err *err)
{
    const maas_fold *fold = &s->folds.at[f];
    const maas_dataset *d = s->job->data;
    const int64_t n = s->rows && s->rows < fold->n_train ? s->rows : fold->n_train;
    AUTO_FREE uint32_t *some = NULL;
    maas_subset train = {0}, test = {0};
    maas_train_result result = {0};
    if (n < fold->n_train)
        MAAS_TRY(some_rows(fold, n, s->plan->seed, &some, err));
    maas_status st = maas_subset_make(d, some ? some : fold->train, n, s->job->budget, &train, err);
    const uint64_t began = maas_now_ns();
    if (st == MAAS_OK)
        st = train_one(s, &s->plan->candidates->at[number], &train.data, n_threads, &result, err);
    maas_subset_reset(&train);
    *out = (maas_trial_fit){.done = true,
                            .fit_seconds = (double)(maas_now_ns() - began) * 1e-9,
                            .bytes = result.graph ? result.graph_bytes : result.onnx.n};
    if (st == MAAS_OK)
        st = maas_subset_make(d, fold->test, fold->n_test, s->job->budget, &test, err);
    if (st == MAAS_OK)
        st = open_model(s, &result, err);
    if (st == MAAS_OK)
        st = score_model(s, result.graph, &test.data, n_threads, out, scoring, err);
    maas_subset_reset(&test);
    maas_train_result_reset(&result);
    return st;
}
