/* learn/forest/export.c - grown trees as nodes of the model file. */
#include "base/mem.h"
#include "learn/forest/forest.h"
#include "runtime/threads.h"

#include "base/ban.h"

typedef struct laying {
    const maas_forest_run *r;
    maas_forest *f;
    double scale;
    uint64_t *weight_from; /* [trees] of f->weights */
    _Atomic int failed;
} laying;

typedef struct waiting { /* for its turn: the `no` of a node */
    int32_t node, parent;
} waiting;

static void lay_leaf(const laying *l, const maas_grown *t, const maas_grown_node *n, uint64_t *at,
                     maas_tree_node *to)
{
    to->first = (uint32_t)*at;
    to->count = n->count;
    for (uint32_t v = 0; v < n->count; v++) {
        const maas_grown_value *value = &t->values[n->first + v];
        l->f->weights[(*at)++] = (maas_leaf_weight){value->value * l->scale, value->target};
    }
}

/* In the order in which trees are written and walked: a node, then all below its `yes`. So whoever
 * goes through the forest later goes through memory once. */
static void lay_nodes(const laying *l, int64_t tree, waiting *wait)
{
    const maas_grown *t = &l->r->trees[tree];
    maas_forest *f = l->f;
    uint64_t weights = l->weight_from[tree];
    int32_t at = f->roots[tree];
    size_t n_wait = 1; /* the root */
    wait[0] = (waiting){0, -1};
    while (n_wait) {
        waiting w = wait[--n_wait];
        if (w.parent >= 0)
            f->nodes[w.parent].no = at;
        for (bool inner = true; inner; at++) {
            const maas_grown_node *n = &t->nodes[w.node];
            maas_tree_node to = {.cover = n->cover, .mode = MAAS_SPLIT_LEAF};
            inner = n->feature >= 0;
            if (inner) {
                to.mode = MAAS_SPLIT_LEQ;
                to.split = n->split;
                to.feature = n->feature;
                to.yes = at + 1;
                to.missing_yes = n->missing_left;
                wait[n_wait++] = (waiting){n->right, at};
                w.node = n->left;
            } else {
                lay_leaf(l, t, n, &weights, &to);
            }
            f->nodes[at] = to;
        }
    }
}

static void lay_tree(void *arg, int64_t tree, int ithr)
{
    laying *l = arg;
    AUTO_FREE waiting *wait = maas_alloc(l->r->trees[tree].n_nodes * sizeof *wait);
    if (wait)
        lay_nodes(l, tree, wait);
    else
        l->failed = 1;
}

/* Every tree has its place before any is written: the first number of its nodes, and weights. */
static maas_status make_places(laying *l, maas_err *err)
{
    const maas_forest_run *r = l->r;
    uint64_t nodes = 0, weights = 0;
    for (int64_t i = 0; i < r->recipe.n_estimators; i++) {
        nodes += r->trees[i].n_nodes;
        weights += r->trees[i].n_values;
    }
    MAAS_TRY(maas_forest_reserve(l->f, nodes, weights, (uint32_t)r->recipe.n_estimators, err));
    nodes = weights = 0;
    for (int64_t i = 0; i < r->recipe.n_estimators; i++) {
        l->f->roots[i] = (int32_t)nodes;
        l->weight_from[i] = weights;
        nodes += r->trees[i].n_nodes;
        weights += r->trees[i].n_values;
    }
    return MAAS_OK;
}

static maas_status lay(const maas_forest_run *r, maas_forest *f, double scale, maas_err *err)
{
    AUTO_FREE uint64_t *from = maas_calloc((size_t)r->recipe.n_estimators, sizeof *from);
    laying l = {.r = r, .f = f, .scale = scale, .weight_from = from};
    if (!from)
        return maas_fail(err, MAAS_E_NOMEM, "%lld trees", (long long)r->recipe.n_estimators);
    MAAS_TRY(make_places(&l, err));
    maas_threads_loop(r->job->n_threads, r->recipe.n_estimators, lay_tree, &l);
    return l.failed ? maas_fail(err, MAAS_E_NOMEM, "writing trees") : MAAS_OK;
}

maas_status maas_forest_of_grown(const maas_forest_run *r, maas_forest_aggregate how,
                                 int32_t n_targets, double scale, maas_forest **out, maas_err *err)
{
    maas_forest *f = NULL;
    MAAS_TRY(maas_forest_create(r->bins.n_cols, n_targets, how, r->job->budget, &f, err));
    const maas_status st = lay(r, f, scale, err);
    if (st != MAAS_OK) {
        maas_forest_destroy(f);
        return st;
    }
    *out = f;
    return MAAS_OK;
}

static void auto_graph(maas_graph **g)
{
    maas_graph_destroy(*g);
}

static void auto_forest(maas_forest **f)
{
    maas_forest_destroy(*f);
}

static maas_status class_outputs(const maas_target *t, maas_builder *b, const maas_forest *f,
                                 maas_vid x, maas_err *err)
{
    const size_t n = (size_t)t->n_classes;
    AUTO_FREE int64_t *ints = maas_calloc(n, sizeof *ints);
    AUTO_FREE maas_str *strings = maas_calloc(n, sizeof *strings);
    if (!ints || !strings)
        return maas_fail(err, MAAS_E_NOMEM, "%zu labels", n);
    for (size_t i = 0; i < n; i++) {
        ints[i] = t->classes[i].number;
        strings[i] = t->classes[i].text;
    }
    maas_vid out[2];
    maas_b_forest_classifier(b, f, x, t->is_text ? NULL : ints, t->is_text ? strings : NULL,
                             (uint32_t)n, "NONE", out);
    maas_b_output(b, "label", out[0]);
    maas_b_output(b, "probabilities", out[1]);
    return MAAS_OK;
}

static void value_output(const maas_target *t, maas_builder *b, const maas_forest *f, maas_vid x)
{
    maas_vid v = maas_b_forest(b, f, x, false);
    if (t->col->desc.rank == 0)
        v = maas_b_op2(b, "Reshape", v, maas_b_i64s(b, (int64_t[]){-1}, 1));
    maas_b_output(b, "value", v);
}

maas_status maas_forest_export(const maas_forest_run *r, maas_train_result *out, maas_err *err)
{
    AUTO(auto_forest) maas_forest *f = NULL;
    AUTO(auto_graph) maas_graph *g = NULL;
    const maas_target *t = &r->target;
    maas_builder b;
    maas_vid x;
    /* Shares of classes are divided here, because the classifier operator only sums. */
    MAAS_TRY(maas_forest_of_grown(r, t->is_class ? MAAS_FOREST_SUM : MAAS_FOREST_AVERAGE,
                                  r->data.n_stats,
                                  t->is_class ? 1 / (double)r->recipe.n_estimators : 1, &f, err));
    MAAS_TRY(maas_matrix_begin(&r->matrix, r->job, &g, &b, &x, err));
    if (t->is_class)
        MAAS_TRY(class_outputs(t, &b, f, x, err));
    else
        value_output(t, &b, f, x);
    const maas_model_info info = {.task = t->is_class ? "classification" : "regression",
                                  .target = t,
                                  .recipe = &r->recipe,
                                  .importances = r->importances};
    return maas_matrix_end(&r->matrix, r->job, &info, &g, &b, out, err);
}
