/* learn/search/trials.c - ranking, reporting, and the state that a checkpoint keeps. */
#include "learn/search/trials.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

maas_status maas_trials_init(maas_trials *t, const maas_candidates *c, int64_t folds, maas_err *err)
{
    *t = (maas_trials){.candidates = c, .folds = folds};
    pthread_mutex_init(&t->lock, NULL);
    t->at = maas_calloc(c->n, sizeof *t->at);
    t->order = maas_calloc(c->n, sizeof *t->order);
    t->fits = maas_calloc(c->n * (size_t)folds, sizeof *t->fits);
    if (!t->at || !t->order || !t->fits)
        return maas_fail(err, MAAS_E_NOMEM, "memory for %zu candidates", c->n);
    for (size_t i = 0; i < c->n; i++)
        t->at[i].fits = t->fits + i * (size_t)folds;
    t->n_total = (int64_t)c->n * folds;
    return MAAS_OK;
}

void maas_trials_reset(maas_trials *t)
{
    maas_free(t->at);
    maas_free(t->order);
    maas_free(t->fits);
    pthread_mutex_destroy(&t->lock);
    *t = (maas_trials){0};
}

/* ---- ranking ---- */

static void measure(maas_trial *t, int64_t folds)
{
    double mean = 0, m2 = 0;
    t->complete = !t->failed;
    for (int64_t f = 0; f < folds; f++) {
        if (!t->fits[f].done)
            t->complete = false;
        const double d = t->fits[f].score - mean;
        mean += d / (double)(f + 1);
        m2 += d * (t->fits[f].score - mean);
    }
    t->mean = mean;
    t->deviation = sqrt(m2 / (double)folds);
    t->rank = 0;
}

/* Best first: whoever got further, then the mean (NaN last), then the order of the candidates. */
static int compare(const maas_trial *x, const maas_trial *y)
{
    if (x->complete != y->complete)
        return x->complete ? -1 : 1;
    if (x->round != y->round)
        return x->round > y->round ? -1 : 1;
    const double a = isnan(x->mean) ? -INFINITY : x->mean, b = isnan(y->mean) ? -INFINITY : y->mean;
    if (a != b)
        return a > b ? -1 : 1;
    return 0;
}

typedef struct placed {
    const maas_trial *t;
    uint32_t number;
} placed;

static int better_first(const void *a, const void *b)
{
    const placed *x = a, *y = b;
    const int c = compare(x->t, y->t);
    return c ? c : (x->number > y->number) - (x->number < y->number);
}

size_t maas_trials_rank(maas_trials *t)
{
    const size_t n = t->candidates->n;
    size_t n_complete = 0;
    AUTO_FREE placed *p = maas_calloc(n, sizeof *p);
    if (!p)
        return 0;
    for (size_t i = 0; i < n; i++) {
        measure(&t->at[i], t->folds);
        n_complete += t->at[i].complete;
        p[i] = (placed){&t->at[i], (uint32_t)i};
    }
    qsort(p, n, sizeof *p, better_first);
    for (size_t i = 0; i < n; i++) {
        t->order[i] = p[i].number;
        const bool ties = i && compare(p[i - 1].t, p[i].t) == 0;
        t->at[p[i].number].rank = ties ? p[i - 1].t->rank : (int64_t)i + 1;
    }
    return n_complete;
}

/* ---- reporting ---- */

static json_t *number_or_null(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static double mean_of(const maas_trial *t, int64_t folds, double (*get)(const maas_trial_fit *f))
{
    double sum = 0, n = 0;
    for (int64_t f = 0; f < folds; f++)
        if (t->fits[f].done) {
            sum += get(&t->fits[f]);
            n++;
        }
    return n > 0 ? sum / n : 0;
}

static double fit_seconds(const maas_trial_fit *f)
{
    return f->fit_seconds;
}

static double score_seconds(const maas_trial_fit *f)
{
    return f->score_seconds;
}

static double model_bytes(const maas_trial_fit *f)
{
    return (double)f->bytes;
}

static json_t *trial_json(const maas_trials *t, uint32_t number)
{
    const maas_trial *at = &t->at[number];
    const maas_candidate *c = &t->candidates->at[number];
    json_t *scores = json_array();
    for (int64_t f = 0; f < t->folds; f++)
        json_array_append_new(scores,
                              at->fits[f].done ? number_or_null(at->fits[f].score) : json_null());
    json_t *o = json_pack(
        "{s:s, s:O, s:I, s:o, s:o, s:o, s:f, s:f, s:I}", "learner", c->learner, "params", c->point,
        "rank_test_score", (json_int_t)at->rank, "mean_test_score",
        at->complete ? number_or_null(at->mean) : json_null(), "std_test_score",
        at->complete ? number_or_null(at->deviation) : json_null(), "split_test_scores", scores,
        "mean_fit_time", mean_of(at, t->folds, fit_seconds), "mean_score_time",
        mean_of(at, t->folds, score_seconds), "model_bytes",
        (json_int_t)mean_of(at, t->folds, model_bytes));
    if (at->rows)
        json_object_set_new(o, "n_resources", json_integer(at->rows));
    if (at->failed)
        json_object_set_new(o, "error", json_string(at->error));
    return o;
}

json_t *maas_trials_leaderboard(const maas_trials *t, size_t limit)
{
    json_t *list = json_array();
    const size_t n = limit && limit < t->candidates->n ? limit : t->candidates->n;
    for (size_t i = 0; i < n; i++) {
        const maas_trial *at = &t->at[t->order[i]];
        if (limit && !at->complete)
            break;
        if (json_array_append_new(list, trial_json(t, t->order[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* ---- state ---- */

static json_t *trial_state(const maas_trials *t, const maas_trial *at)
{
    json_t *fits = json_array();
    for (int64_t f = 0; f < t->folds; f++) {
        const maas_trial_fit *x = &at->fits[f];
        json_array_append_new(fits, x->done ? json_pack("[o, f, f, I]", number_or_null(x->score),
                                                        x->fit_seconds, x->score_seconds,
                                                        (json_int_t)x->bytes)
                                            : json_null());
    }
    return json_pack("{s:o, s:b, s:I, s:I, s:s*}", "fits", fits, "out", (int)at->out, "round",
                     (json_int_t)at->round, "rows", (json_int_t)at->rows, "error",
                     at->failed ? at->error : NULL);
}

json_t *maas_trials_dump(const maas_trials *t)
{
    json_t *trials = json_array();
    for (size_t i = 0; i < t->candidates->n; i++)
        json_array_append_new(trials, trial_state(t, &t->at[i]));
    return json_pack("{s:s, s:s, s:I, s:I, s:o}", "kind", "search", "scoring", t->scoring, "folds",
                     (json_int_t)t->folds, "round", (json_int_t)t->round, "trials", trials);
}

static bool restore_trial(const maas_trials *t, maas_trial *at, const json_t *state)
{
    const json_t *fits = json_object_get(state, "fits");
    const char *error = json_string_value(json_object_get(state, "error"));
    if (json_array_size(fits) != (size_t)t->folds)
        return false;
    for (int64_t f = 0; f < t->folds; f++) {
        const json_t *x = json_array_get(fits, (size_t)f), *score = json_array_get(x, 0);
        if (!json_is_array(x))
            continue;
        at->fits[f] = (maas_trial_fit){.done = true,
                                       .score = json_is_number(score) ? json_number_value(score)
                                                                      : NAN,
                                       .fit_seconds = json_number_value(json_array_get(x, 1)),
                                       .score_seconds = json_number_value(json_array_get(x, 2)),
                                       .bytes = (uint64_t)json_integer_value(json_array_get(x, 3))};
    }
    at->out = json_is_true(json_object_get(state, "out"));
    at->round = json_integer_value(json_object_get(state, "round"));
    at->rows = json_integer_value(json_object_get(state, "rows"));
    at->failed = error != NULL;
    snprintf(at->error, sizeof at->error, "%s", error ? error : "");
    return true;
}

maas_status maas_trials_restore(maas_trials *t, const json_t *state, maas_err *err)
{
    const char *kind = json_string_value(json_object_get(state, "kind"));
    const json_t *trials = json_object_get(state, "trials");
    bool good = kind && strcmp(kind, "search") == 0 && json_array_size(trials) == t->candidates->n;
    for (size_t i = 0; good && i < t->candidates->n; i++)
        good = restore_trial(t, &t->at[i], json_array_get(trials, i));
    if (!good)
        return maas_fail(err, MAAS_E_FORMAT, "the checkpoint is of another search");
    const char *scoring = json_string_value(json_object_get(state, "scoring"));
    snprintf(t->scoring, sizeof t->scoring, "%s", scoring ? scoring : "");
    t->round = json_integer_value(json_object_get(state, "round"));
    return MAAS_OK;
}
