/*
 * learn/explain/tree.c - models that are one forest, behind steps that keep the columns apart:
 * TreeSHAP of the forest, each value under the name of the raw feature its column comes from. What
 * is explained is the sum of the trees, which is the answer itself when nothing follows, else its
 * margin.
 */
#include <string.h>

#include "base/mem.h"
#include "learn/explain/explain_int.h"
#include "ops/forest.h"
#include "ops/forest_post.h"
#include "ops/shap.h"
#include "base/ban.h"

enum { TREE_ROWS = 64 }; /* explained at once */

typedef struct trees {
    maas_forest *forest;
    maas_shap *shap;
    void *scratch;
    double *phi, *sums; /* [at_once][n_targets][n_features of the forest], [n_targets] */
    double *background; /* [rows][n_features of the forest]; NULL: by covers */
    maas_xcolumns columns;
    int64_t n_rows;
    double scale; /* of the sums, to be the answer */
} trees;

static bool is_forest(const maas_node *n)
{
    return strcmp(n->op->name, "TreeEnsemble") == 0 ||
           strcmp(n->op->name, "TreeEnsembleRegressor") == 0 ||
           strcmp(n->op->name, "TreeEnsembleClassifier") == 0;
}

/* The one forest that the answer goes through; NULL: none, or several. */
static const maas_node *only_forest(const maas_explainer *x)
{
    const maas_node *found = NULL;
    for (uint32_t k = 0; k < x->g->n_nodes; k++)
        if (is_forest(&x->g->nodes[k])) {
            if (found)
                return NULL;
            found = &x->g->nodes[k];
        }
    return found;
}

/* Steps behind a forest that leave its numbers as they are. */
static bool keeps_numbers(const maas_node *n)
{
    static const char *const names[] = {"Identity", "Reshape", "Squeeze", "Flatten",
                                        "Cast",     "Slice",   "Gather"};
    for (size_t i = 0; i < MAAS_COUNT(names); i++)
        if (strcmp(names[i], n->op->name) == 0)
            return true;
    return false;
}

/* A step that multiplies or divides by one number: *scale takes it, and the input that varies is
 * returned. */
static maas_vid through_scale(const maas_graph *g, const maas_node *n, double *scale)
{
    const bool times = strcmp(n->op->name, "Mul") == 0, by = strcmp(n->op->name, "Div") == 0;
    if ((!times && !by) || n->n_in != 2)
        return MAAS_NO_VALUE;
    for (int i = by ? 1 : 0; i < 2; i++) {
        const maas_tensor *c = &maas_graph_at(g, n->in[i])->init;
        if (!c->data || maas_n_elems(c) != 1)
            continue;
        const double v = maas_tensor_get(c, 0);
        *scale = times ? *scale * v : *scale / v;
        return n->in[1 - i];
    }
    return MAAS_NO_VALUE;
}

/* Is the answer what the forest gives: the sums, or chances that are sums? *scale: times this (a
 * mean of trees). */
static bool sums_are_the_answer(const maas_explainer *x, const maas_node *forest, double *scale)
{
    maas_votes votes;
    maas_err ignored = {0};
    maas_vid v = x->answer;
    const maas_node *n = NULL;
    *scale = 1;
    for (uint32_t steps = 0; v >= 0 && steps <= x->g->n_nodes; steps++) {
        const maas_nid at = maas_graph_at(x->g, v)->producer;
        n = at < 0 ? NULL : &x->g->nodes[at];
        if (!n || n == forest)
            break;
        v = keeps_numbers(n) ? n->in[0] : through_scale(x->g, n, scale);
    }
    if (v < 0 || n != forest || *scale != *scale)
        return false;
    if (strcmp(forest->op->name, "TreeEnsembleClassifier") != 0)
        return maas_post_of(forest) == MAAS_POST_NONE;
    return maas_votes_of(forest, &votes, &ignored) == MAAS_OK && votes.post == MAAS_POST_NONE;
}

/* Targets that can win: a class that only fills up a list has a base that no sum makes up for. */
static int64_t real_targets(const maas_forest *f)
{
    int64_t k = f->n_targets;
    while (k > 1 && f->base && f->base[k - 1] < -1e38)
        k--;
    return k;
}

static maas_status check_columns(maas_explainer *x, trees *t, maas_err *err)
{
    AUTO_FREE bool *taken = maas_calloc((size_t)x->n_features, sizeof *taken);
    if (!taken)
        return maas_fail(err, MAAS_E_NOMEM, "memory for explaining");
    if (!t->columns.feature)
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "the columns of the trees are mixtures of the features");
    for (int64_t i = 0; i < t->columns.n; i++) {
        if (taken[t->columns.feature[i]])
            return maas_fail(err, MAAS_E_UNSUPPORTED,
                             "several columns of the trees come from feature '%s'",
                             x->features[t->columns.feature[i]].name);
        taken[t->columns.feature[i]] = true;
    }
    return MAAS_OK;
}

/* Rows of the background as the forest sees them. */
static maas_status read_background(maas_explainer *x, trees *t, maas_err *err)
{
    const int64_t n = x->opts.background_rows, f = t->columns.n;
    const double *rows;
    t->n_rows = n;
    t->background = maas_arena_array(&x->arena, (size_t)n, (size_t)f * sizeof *t->background);
    if (!t->background)
        return maas_fail(err, MAAS_E_NOMEM, "memory for explaining");
    for (int64_t from = 0; from < n; from += MAAS_XFUN_ROWS) {
        const int64_t some = n - from < MAAS_XFUN_ROWS ? n - from : MAAS_XFUN_ROWS;
        for (int64_t i = 0; i < MAAS_XFUN_ROWS; i++)
            maas_x_row(x, x->opts.background, from + (i < some ? i : 0), i);
        MAAS_TRY(maas_xfun_run(x->fun, &rows, err));
        memcpy(t->background + from * f, rows, (size_t)(some * f) * sizeof *rows);
    }
    return MAAS_OK;
}

static maas_status set_base(maas_explainer *x, trees *t, maas_err *err)
{
    const int64_t k = x->n_outputs;
    x->base = maas_arena_array(&x->arena, (size_t)k, sizeof *x->base);
    if (!x->base)
        return maas_fail(err, MAAS_E_NOMEM, "memory for explaining");
    if (!t->background) {
        maas_shap_expected(t->shap, t->sums);
        memcpy(x->base, t->sums, (size_t)k * sizeof *x->base);
    }
    for (int64_t r = 0; t->background && r < t->n_rows; r++) {
        maas_forest_row(t->forest, t->background + r * t->columns.n, t->sums);
        for (int64_t o = 0; o < k; o++)
            x->base[o] += t->sums[o] / (double)t->n_rows;
    }
    for (int64_t o = 0; o < k; o++)
        x->base[o] *= t->scale;
    return MAAS_OK;
}

static maas_status prepare_shap(maas_explainer *x, trees *t, maas_err *err)
{
    MAAS_TRY(maas_shap_create(t->forest, x->opts.budget, &t->shap, err));
    x->n_outputs = real_targets(t->forest);
    t->scratch = maas_arena_alloc(&x->arena, maas_shap_scratch(t->shap) + 64);
    t->phi = maas_arena_array(&x->arena, TREE_ROWS * (size_t)t->forest->n_targets,
                              (size_t)t->columns.n * sizeof *t->phi);
    t->sums = maas_arena_array(&x->arena, (size_t)t->forest->n_targets, sizeof *t->sums);
    if (!t->scratch || !t->phi || !t->sums)
        return maas_fail(err, MAAS_E_NOMEM, "memory for explaining");
    if (x->opts.against_background || !maas_shap_has_covers(t->shap)) {
        MAAS_TRY(maas_x_need_background(x, err));
        MAAS_TRY(read_background(x, t, err));
    }
    return set_base(x, t, err);
}

static maas_status tree_prepare(maas_explainer *x, maas_err *err)
{
    const maas_node *n = only_forest(x);
    bool alone = false;
    if (!n)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "the model is not one forest of trees");
    MAAS_TRY(maas_x_only_through(x, n->out, n->n_out, &alone, err));
    if (!alone)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "the answer depends on more than the trees");
    trees *t = x->own = maas_arena_alloc(&x->arena, sizeof *t);
    if (!t)
        return maas_fail(err, MAAS_E_NOMEM, "memory for explaining");
    MAAS_TRY(maas_x_columns(x, n->in[0], &t->columns, err));
    MAAS_TRY(check_columns(x, t, err));
    MAAS_TRY(maas_forest_of_node(n, t->columns.n, x->opts.budget, &t->forest, err));
    MAAS_TRY(maas_x_cut(x, n->in[0], err));
    if (maas_xfun_n_outputs(x->fun) != t->columns.n)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "the rows of the trees have another width");
    if (!sums_are_the_answer(x, n, &t->scale)) {
        t->scale = 1;
        x->target = maas_arena_printf(&x->arena, "margin of %s", x->target);
    }
    return x->target ? prepare_shap(x, t, err)
                     : maas_fail(err, MAAS_E_NOMEM, "memory for explaining");
}

/* Values of one row as the forest has them, to those of the features. */
static void hand_over(maas_explainer *x, const double *own, double *phi)
{
    const trees *t = x->own;
    const int64_t f = t->columns.n, k = x->n_outputs;
    for (int64_t c = 0; c < f; c++)
        for (int64_t o = 0; o < k; o++)
            phi[t->columns.feature[c] * k + o] = t->scale * own[o * f + c];
}

static maas_status tree_rows(maas_explainer *x, const maas_tensor *in, int64_t from, int64_t n,
                             double *phi, double *answer, maas_err *err)
{
    trees *t = x->own;
    const double *as_seen;
    const int64_t f = t->columns.n, k = x->n_outputs, own = f * t->forest->n_targets;
    for (int64_t i = 0; i < MAAS_XFUN_ROWS;
         i++) /* the batch is of one size: the first row fills it up */
        maas_x_row(x, in, from + (i < n ? i : 0), i);
    MAAS_TRY(maas_xfun_run(x->fun, &as_seen, err));
    if (!t->background)
        maas_shap_by_covers(t->shap, as_seen, n, t->phi, t->scratch);
    for (int64_t r = 0; r < n; r++, as_seen += f) {
        if (t->background)
            maas_shap_against(t->shap, as_seen, t->background, t->n_rows, t->phi + r * own,
                              t->scratch);
        hand_over(x, t->phi + r * own, phi + r * x->n_features * k);
        maas_forest_row(t->forest, as_seen, t->sums);
        for (int64_t o = 0; o < k; o++)
            answer[r * k + o] = t->scale * t->sums[o];
    }
    return MAAS_OK;
}

static void tree_release(maas_explainer *x)
{
    trees *t = x->own;
    if (!t)
        return;
    maas_shap_destroy(t->shap);
    maas_forest_destroy(t->forest);
}

const maas_xmethod maas_x_tree = {"tree", tree_prepare, tree_rows, TREE_ROWS, tree_release};
