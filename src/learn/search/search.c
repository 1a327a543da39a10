/* learn/search/search.c - the spec of a search, its rounds, and the last fit on all rows. */
#include "learn/search/search.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "learn/columns.h"
#include "learn/scorers.h"
#include "learn/search/search_int.h"
#include "base/ban.h"

static const char *const search_keys[] = {"strategy", "param_grid", "distributions", "n_iter",
                                          "seed",     "cv",         "scoring",       "factor",
                                          "min_rows", NULL};
static const char *const strategies[] = {"grid", "random", "halving", NULL};
enum { GRID, RANDOM, HALVING };

typedef struct search_spec {
    maas_candidates candidates;
    maas_cv cv;
    maas_search_plan plan;
} search_spec;

static void auto_spec(search_spec *s)
{
    maas_candidates_reset(&s->candidates);
}

static maas_status check_scoring(const char *name, maas_err *err)
{
    maas_err ignored = {0};
    const maas_scorer *s;
    if (!name || maas_scorer_find(name, true, &s, &ignored) == MAAS_OK)
        return MAAS_OK;
    return maas_scorer_find(name, false, &s, err);
}

static maas_status read_strategy(const json_t *j, int *out, maas_err *err)
{
    const char *name = NULL;
    MAAS_TRY(maas_json_get_str(j, "search", "strategy", &name, err));
    *out = json_object_get(j, "param_grid") ? GRID : RANDOM;
    for (int i = 0; name; i++) {
        if (!strategies[i])
            return maas_fail(err, MAAS_E_INVALID,
                             "'search.strategy' must be grid, random or halving, not '%.32s'",
                             name);
        if (strcmp(name, strategies[i]) == 0) {
            *out = i;
            break;
        }
    }
    const bool grid = json_object_get(j, "param_grid"), drawn = json_object_get(j, "distributions");
    if (grid == drawn || (*out == GRID && !grid) || (*out == RANDOM && !drawn))
        return maas_fail(err, MAAS_E_INVALID,
                         "a search has either 'param_grid' (grid, halving) or 'distributions' "
                         "(random, halving)");
    return MAAS_OK;
}

static maas_status read_spec(const char *learner, const json_t *params, const json_t *j,
                             search_spec *s, maas_err *err)
{
    int strategy;
    int64_t n_iter = 10, seed = 0;
    maas_search_plan *p = &s->plan;
    *p = (maas_search_plan){.candidates = &s->candidates, .cv = &s->cv, .factor = 3};
    if (!json_is_object(j))
        return maas_fail(err, MAAS_E_INVALID, "'search' must be an object");
    MAAS_TRY(maas_json_only(j, "search", search_keys, err));
    MAAS_TRY(read_strategy(j, &strategy, err));
    MAAS_TRY(maas_json_get_i64(j, "search", "n_iter", 1, MAAS_MAX_CANDIDATES, &n_iter, err));
    MAAS_TRY(maas_json_get_i64(j, "search", "seed", 0, INT64_MAX, &seed, err));
    MAAS_TRY(maas_json_get_i64(j, "search", "factor", 2, 100, &p->factor, err));
    MAAS_TRY(maas_json_get_i64(j, "search", "min_rows", 1, INT64_MAX, &p->min_rows, err));
    MAAS_TRY(maas_json_get_str(j, "search", "scoring", &p->scoring, err));
    MAAS_TRY(check_scoring(p->scoring, err));
    MAAS_TRY(maas_cv_read(json_object_get(j, "cv"), "search.cv", &s->cv, err));
    p->halving = strategy == HALVING;
    p->seed = (uint64_t)seed;
    const json_t *grid = json_object_get(j, "param_grid");
    if (grid)
        return maas_candidates_grid(grid, learner, params, &s->candidates, err);
    return maas_candidates_draw(json_object_get(j, "distributions"), n_iter, p->seed, learner,
                                params, &s->candidates, err);
}

/* Every candidate must be one that its learner takes: a typing error costs a second, not a night.
 */
static maas_status check_candidates(const maas_candidates *c, maas_err *err)
{
    for (size_t i = 0; i < c->n; i++)
        MAAS_TRY(maas_train_check(c->at[i].learner, c->at[i].params, err));
    return MAAS_OK;
}

maas_status maas_search_check(const char *learner, const json_t *params, const json_t *search,
                              maas_err *err)
{
    AUTO(auto_spec) search_spec s = {0};
    MAAS_TRY(read_spec(learner, params, search, &s, err));
    return check_candidates(&s.candidates, err);
}

/* ---- rounds ---- */

static int64_t fewest_rows(const maas_folds *f)
{
    int64_t n = f->at[0].n_train;
    for (int64_t i = 1; i < f->n; i++)
        n = f->at[i].n_train < n ? f->at[i].n_train : n;
    return n;
}

/* How many rounds, and the rows of the first: all of `most` in the last one, or min_rows in the
 * first. */
static int64_t plan_rounds(const maas_searching *s, int64_t most, int64_t *out_first)
{
    const double factor = (double)s->plan->factor;
    int64_t rounds = 1 + (int64_t)floor(log((double)s->plan->candidates->n) / log(factor) + 1e-9);
    int64_t first = s->plan->min_rows ? s->plan->min_rows
                                      : (int64_t)((double)most / pow(factor, (double)rounds - 1));
    const int64_t least = 2 * s->folds.n < most ? 2 * s->folds.n : most;
    first = first < least ? least : first > most ? most : first;
    const int64_t possible = 1 +
                             (int64_t)floor(log((double)most / (double)first) / log(factor) + 1e-9);
    *out_first = first;
    return rounds < possible ? rounds : possible;
}

/* All but the best 1/factor are out; scores of those who stay are forgotten: they will have more
 * rows. */
static void next_round(maas_searching *s)
{
    maas_trials *t = &s->trials;
    const size_t n_complete = maas_trials_rank(t);
    size_t alive = 0, keep;
    for (size_t i = 0; i < n_complete; i++)
        alive += !t->at[t->order[i]].out;
    keep = (alive + (size_t)s->plan->factor - 1) / (size_t)s->plan->factor;
    for (size_t i = 0; i < t->candidates->n; i++) {
        maas_trial *at = &t->at[t->order[i]];
        if (at->out || at->failed)
            continue;
        if (keep == 0 || !at->complete) {
            at->out = true;
            continue;
        }
        keep--;
        memset(at->fits, 0, (size_t)t->folds * sizeof *at->fits);
        t->n_total += t->folds;
    }
    t->round++;
}

static maas_status run_halving(maas_searching *s, maas_err *err)
{
    int64_t first, most = fewest_rows(&s->folds);
    const int64_t rounds = plan_rounds(s, most, &first);
    for (;;) {
        const double rows = (double)first * pow((double)s->plan->factor, (double)s->trials.round);
        const bool last = s->trials.round + 1 >= rounds;
        s->rows = rows < (double)most && (!last || s->plan->min_rows) ? (int64_t)rows : most;
        MAAS_TRY(maas_search_round(s, err));
        if (last)
            return MAAS_OK;
        next_round(s);
    }
}

/* ---- the whole ---- */

/* Strata are for classes: text, or whole numbers of a learner that can tell classes; and only where
 * every fold can have a row of some class. */
static bool stratify(const maas_train_job *job, const maas_cv *cv)
{
    const maas_ds_column *c = maas_dataset_column(job->data, job->target);
    const maas_cells *cells = c ? maas_cells_of(c->desc.dtype) : NULL;
    maas_folds tried = {0};
    maas_err ignored = {0};
    if (!c || (cells && !cells->whole) || maas_column_width(c) != 1)
        return false;
    bool good = maas_folds_make(cv, job->data, job->target, true, job->budget, &tried, &ignored) ==
                MAAS_OK;
    maas_folds_reset(&tried);
    return good;
}

static maas_status resume(maas_searching *s, maas_err *err)
{
    AUTO(maas_json_unref) json_t *state = NULL;
    if (!s->job->resume.n)
        return MAAS_OK;
    MAAS_TRY(maas_json_parse(s->job->resume, &state, err));
    MAAS_TRY(maas_trials_restore(&s->trials, state, err));
    for (size_t i = 0; i < s->trials.candidates->n; i++)
        for (int64_t f = 0; f < s->trials.folds; f++)
            s->trials.n_done += s->trials.at[i].fits[f].done;
    return MAAS_OK;
}

static maas_status report(maas_searching *s, json_t **out, maas_err *err)
{
    const maas_trials *t = &s->trials;
    const maas_trial *best = &t->at[t->order[0]];
    const maas_candidate *c = &t->candidates->at[t->order[0]];
    *out = json_pack("{s:s, s:O, s:o, s:s, s:I, s:I, s:o}", "best_learner", c->learner,
                     "best_params", c->point, "best_score",
                     isfinite(best->mean) ? json_real(best->mean) : json_null(), "scoring",
                     t->scoring, "n_splits", (json_int_t)t->folds, "rounds",
                     (json_int_t)t->round + 1, "trials", maas_trials_leaderboard(t, 0));
    return *out ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "memory for the report of the search");
}

static maas_status refit(const maas_searching *s, maas_train_result *out, maas_err *err)
{
    const maas_candidate *c = &s->plan->candidates->at[s->trials.order[0]];
    const maas_train_hooks *h = s->job->hooks;
    maas_train_hooks hooks = h ? *h : (maas_train_hooks){0};
    maas_train_job job = *s->job;
    hooks.checkpoint = NULL; /* the scores are what is worth keeping */
    hooks.progress = NULL;
    if (h && h->progress)
        h->progress(h->user, 0.95, NULL, "the best candidate, on all rows");
    job.learner = c->learner;
    job.params = c->params;
    job.resume = (maas_span){0};
    job.hooks = h && h->cancelled ? &hooks : NULL;
    return maas_train(&job, out, err);
}

static maas_status run(maas_searching *s, maas_train_result *out, maas_err *err)
{
    MAAS_TRY(resume(s, err));
    MAAS_TRY(s->plan->halving ? run_halving(s, err) : maas_search_round(s, err));
    if (maas_trials_rank(&s->trials) == 0) {
        const maas_trial *first = &s->trials.at[0];
        return maas_fail(err, MAAS_E_INVALID, "no candidate could be trained; the first said: %s",
                         first->failed ? first->error : "there was no time");
    }
    AUTO(maas_json_unref) json_t *said = NULL;
    MAAS_TRY(report(s, &said, err));
    MAAS_TRY(refit(s, out, err));
    out->report = STEAL(said);
    return MAAS_OK;
}

maas_status maas_search_run(const maas_train_job *job, const maas_search_plan *plan,
                            maas_train_result *out, maas_err *err)
{
    maas_searching s = {.job = job, .plan = plan};
    MAAS_TRY(check_candidates(plan->candidates, err));
    if (!maas_dataset_column(job->data, job->target))
        return maas_fail(err, MAAS_E_INVALID, "the data set has no column '%.128s'", job->target);
    if (plan->seconds > 0)
        s.deadline_ns = maas_now_ns() + (uint64_t)(plan->seconds * 1e9);
    maas_status st = maas_folds_make(plan->cv, job->data, job->target, stratify(job, plan->cv),
                                     job->budget, &s.folds, err);
    if (st == MAAS_OK) {
        st = maas_trials_init(&s.trials, plan->candidates, s.folds.n, err);
        if (st == MAAS_OK)
            st = run(&s, out, err);
        maas_trials_reset(&s.trials);
    }
    maas_folds_reset(&s.folds);
    return st;
}

maas_status maas_search(const maas_train_job *job, const json_t *search, maas_train_result *out,
                        maas_err *err)
{
    AUTO(auto_spec) search_spec s = {0};
    MAAS_TRY(read_spec(job->learner, job->params, search, &s, err));
    return maas_search_run(job, &s.plan, out, err);
}
