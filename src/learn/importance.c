/* learn/importance.c - a column dealt out anew is a data set of the same rows with one column
 * replaced. */
#include "learn/importance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "learn/scorers.h"
#include "learn/subset.h"
#include "base/ban.h"

typedef struct weighing {
    const maas_graph *g;
    const maas_importance_opts *o;
    maas_subset rows; /* what is asked about */
    const maas_scorer *scorer;
    double score; /* with every column in place */
    uint32_t *order;
    maas_rng rng;
} weighing;

typedef struct weight {
    const char *name;
    double mean, deviation;
} weight;

static maas_status no_memory(maas_err *err)
{
    return maas_fail(err, MAAS_E_NOMEM, "memory for importances");
}

static maas_status score_of(weighing *w, const maas_dataset *d, double *out, maas_err *err)
{
    const maas_importance_opts *o = w->o;
    maas_applied a = {0};
    maas_judged j = {0};
    maas_status st = maas_apply(w->g, d, o->target, o->n_threads, o->budget, &a, err);
    if (st == MAAS_OK)
        st = maas_judge(w->g, &a, d, o->target, o->budget, &j, err);
    if (st == MAAS_OK && !w->scorer)
        st = maas_scorer_find(o->scoring, j.is_class, &w->scorer, err);
    if (st == MAAS_OK)
        st = maas_score_judged(w->scorer, &j, out, err);
    maas_judged_reset(&j);
    maas_applied_reset(&a);
    return st;
}

/* Some rows, evenly over the data set. */
static maas_status take_rows(weighing *w, const maas_dataset *d, maas_err *err)
{
    const int64_t n = d->n_rows < w->o->max_rows ? d->n_rows : w->o->max_rows;
    w->order = maas_calloc((size_t)n + 1, sizeof *w->order);
    if (!w->order)
        return no_memory(err);
    for (int64_t i = 0; i < n; i++)
        w->order[i] = (uint32_t)(i * d->n_rows / n);
    return maas_subset_make(d, w->order, n, w->o->budget, &w->rows, err);
}

static void deal(weighing *w, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        w->order[i] = (uint32_t)i;
    for (int64_t i = n - 1; i > 0; i--) {
        const int64_t j = (int64_t)maas_rng_below(&w->rng, (uint64_t)i + 1);
        const uint32_t t = w->order[i];
        w->order[i] = w->order[j];
        w->order[j] = t;
    }
}

/* The score with column c dealt out anew. */
static maas_status score_without(weighing *w, uint32_t c, double *out, maas_err *err)
{
    maas_dataset *d = &w->rows.data;
    maas_dataset alone = {.n_rows = d->n_rows, .n_cols = 1, .cols = &d->cols[c]};
    const maas_ds_column kept = d->cols[c];
    maas_subset dealt = {0};
    deal(w, d->n_rows);
    maas_status st = maas_subset_make(&alone, w->order, d->n_rows, w->o->budget, &dealt, err);
    if (st == MAAS_OK) {
        d->cols[c] = dealt.data.cols[0];
        st = score_of(w, d, out, err);
        d->cols[c] = kept;
    }
    maas_subset_reset(&dealt);
    return st;
}

static maas_status weigh(weighing *w, uint32_t c, weight *out, maas_err *err)
{
    double mean = 0, m2 = 0, score;
    for (int64_t k = 0; k < w->o->repeats; k++) {
        MAAS_TRY(score_without(w, c, &score, err));
        const double loss = w->score - score, off = loss - mean;
        mean += off / (double)(k + 1);
        m2 += off * (loss - mean);
    }
    *out = (weight){w->rows.data.cols[c].desc.name, mean, sqrt(m2 / (double)w->o->repeats)};
    return MAAS_OK;
}

static int heavier_first(const void *a, const void *b)
{
    const weight *x = a, *y = b;
    return x->mean != y->mean ? (x->mean < y->mean ? 1 : -1) : strcmp(x->name, y->name);
}

static json_t *report(const weighing *w, const weight *all, uint32_t n)
{
    json_t *columns = json_array();
    for (uint32_t i = 0; i < n; i++)
        json_array_append_new(columns, json_pack("{s:s, s:f, s:f}", "name", all[i].name, "mean",
                                                 all[i].mean, "std", all[i].deviation));
    return json_pack("{s:s, s:f, s:I, s:I, s:o}", "scoring", w->scorer->name, "score", w->score,
                     "rows", (json_int_t)w->rows.data.n_rows, "repeats", (json_int_t)w->o->repeats,
                     "columns", columns);
}

static maas_status weigh_all(weighing *w, const maas_dataset *d, json_t **out, maas_err *err)
{
    AUTO_FREE weight *all = maas_calloc(d->n_cols + 1, sizeof *all);
    uint32_t n = 0;
    if (!all)
        return no_memory(err);
    MAAS_TRY(take_rows(w, d, err));
    MAAS_TRY(score_of(w, &w->rows.data, &w->score, err));
    for (uint32_t c = 0; c < d->n_cols; c++) {
        if (strcmp(d->cols[c].desc.name, w->o->target) == 0)
            continue;
        if (w->o->cancelled && w->o->cancelled(w->o->user))
            return maas_fail(err, MAAS_E_CANCELLED, "cancelled while columns were weighed");
        MAAS_TRY(weigh(w, c, &all[n++], err));
    }
    qsort(all, n, sizeof *all, heavier_first);
    *out = report(w, all, n);
    return *out ? MAAS_OK : no_memory(err);
}

maas_status maas_permutation_importance(const maas_graph *g, const maas_dataset *d,
                                        const maas_importance_opts *o, json_t **out, maas_err *err)
{
    weighing w = {.g = g, .o = o};
    maas_rng_seed(&w.rng, o->seed);
    maas_status st = weigh_all(&w, d, out, err);
    maas_subset_reset(&w.rows);
    maas_free(w.order);
    return st;
}
