/* learn/classic/dense_score.c - scores of the graph that is served. */
#include "learn/classic/dense_score.h"

#include <math.h>
#include <stdio.h>

#include "learn/scorers.h"
#include "learn/subset.h"

#include "base/ban.h"

#define MAX_ROWS 200000 /* training rows asked again, at most: the first of them */

typedef struct named_score {
    const char *name, *scorer;
    bool is_error; /* the scorer says it with its sign turned */
    bool loss;     /* reported as "loss", too, as networks do */
    int64_t most_classes;
} named_score;

static const named_score scores[] = {
    {"accuracy", "accuracy", false, false, 65536},
    {"f1", "f1", false, false, 2},
    {"f1", "f1_macro", false, false, 65536},
    {"auc", "roc_auc", false, false, 100}, /* a sort a class: not worth it for very many */
    {"log_loss", "neg_log_loss", true, true, 65536},
    {"r2", "r2", false, false, 0},
    {"mae", "neg_mean_absolute_error", true, false, 0},
    {"rmse", "neg_root_mean_squared_error", true, false, 0},
    {"mse", "neg_mean_squared_error", true, true, 0},
};

static maas_status note(maas_dense *s, const char *prefix, const char *name, double v,
                        maas_err *err)
{
    char key[64];
    snprintf(key, sizeof key, "%s%s", prefix, name);
    return maas_dense_note(s, key, v, err);
}

static maas_status report(maas_dense *s, maas_judged *j, const char *prefix, maas_err *err)
{
    for (size_t i = 0; i < MAAS_COUNT(scores); i++) {
        const named_score *n = &scores[i];
        const maas_scorer *how;
        double v;
        if ((n->most_classes > 0) != j->is_class || (j->is_class && j->k > n->most_classes) ||
            (j->is_class && j->k == 2 && strcmp(n->scorer, "f1_macro") == 0))
            continue;
        MAAS_TRY(maas_scorer_find(n->scorer, j->is_class, &how, err));
        if (how->needs_chances && !j->chances)
            continue;
        MAAS_TRY(maas_score_judged(how, j, &v, err));
        MAAS_TRY(note(s, prefix, n->name, n->is_error ? -v : v, err));
        if (n->loss)
            MAAS_TRY(note(s, prefix, "loss", n->is_error ? -v : v, err));
    }
    return MAAS_OK;
}

static maas_status ask(maas_dense *s, const maas_graph *g, const maas_dataset *rows,
                       const char *prefix, maas_err *err)
{
    maas_applied a;
    maas_judged j;
    maas_status st = maas_apply(g, rows, s->job->target, s->job->n_threads, s->job->budget, &a,
                                err);
    if (st == MAAS_OK) {
        st = maas_judge(g, &a, rows, s->job->target, s->job->budget, &j, err);
        if (st == MAAS_OK)
            st = report(s, &j, prefix, err);
        maas_judged_reset(&j);
    }
    maas_applied_reset(&a);
    return st;
}

static maas_status ask_rows(maas_dense *s, const maas_dense_kind *kind, const maas_graph *g,
                            const maas_rows *rows, const char *prefix, maas_err *err)
{
    int64_t n = rows->n < MAX_ROWS ? rows->n : MAX_ROWS;
    if (kind->score_products && n > kind->score_products / s->n + 1)
        n = kind->score_products / s->n + 1;
    MAAS_TRY(maas_work_go_on(&s->work, 0.95, "scoring", err));
    maas_subset sub;
    maas_status st = maas_subset_make(s->job->data, rows->at, n, s->job->budget, &sub, err);
    if (st == MAAS_OK)
        st = ask(s, g, &sub.data, prefix, err);
    maas_subset_reset(&sub);
    return st;
}

maas_status maas_dense_score(maas_dense *s, const maas_dense_kind *kind, const maas_graph *g,
                             maas_err *err)
{
    MAAS_TRY(ask_rows(s, kind, g, &s->split.train, "", err));
    return s->split.val.n ? ask_rows(s, kind, g, &s->split.val, "val_", err) : MAAS_OK;
}
