/* learn/forest/export.c - grown trees as nodes of the model file. */
#include "base/mem.h"
#include "learn/forest/forest.h"

#include "base/ban.h"

static maas_status add_leaf(maas_forest *f, const maas_grown *t, const maas_grown_node *n,
                            double scale, maas_tree_node *to, maas_err *err)
{
    to->first = f->n_weights;
    to->count = n->count;
    for (uint32_t v = 0; v < n->count; v++)
        MAAS_TRY(maas_forest_add_weight(f, t->values[n->first + v].target,
                                        t->values[n->first + v].value * scale, NULL, err));
    return MAAS_OK;
}

/* In the order in which trees are written and walked: a node, then all below its `yes`. So whoever
 * goes through the forest later goes through memory once. */
static maas_status add_tree(maas_forest *f, const maas_grown *t, double scale, maas_err *err)
{
    typedef struct waiting { /* for its turn: the `no` of a node */
        int32_t node, parent;
    } waiting;
    AUTO_FREE waiting *wait = maas_calloc(t->n_nodes, sizeof *wait);
    const int32_t root = (int32_t)f->n_nodes;
    size_t n_wait = 1; /* the root */
    if (!wait)
        return maas_fail(err, MAAS_E_NOMEM, "a tree of %zu nodes", t->n_nodes);
    wait[0].parent = -1;
    while (n_wait) {
        waiting w = wait[--n_wait];
        if (w.parent >= 0)
            f->nodes[w.parent].no = (int32_t)f->n_nodes;
        for (bool inner = true; inner;) {
            const maas_grown_node *n = &t->nodes[w.node];
            maas_tree_node to = {.cover = n->cover, .mode = MAAS_SPLIT_LEAF};
            inner = n->feature >= 0;
            if (inner) {
                const int32_t at = (int32_t)f->n_nodes;
                to.mode = MAAS_SPLIT_LEQ;
                to.split = n->split;
                to.feature = n->feature;
                to.yes = at + 1;
                to.missing_yes = n->missing_left;
                wait[n_wait++] = (waiting){n->right, at};
                w.node = n->left;
            } else {
                MAAS_TRY(add_leaf(f, t, n, scale, &to, err));
            }
            MAAS_TRY(maas_forest_add_node(f, &to, NULL, err));
        }
    }
    return maas_forest_add_tree(f, root, err);
}

maas_status maas_forest_of_grown(const maas_forest_run *r, maas_forest_aggregate how,
                                 int32_t n_targets, double scale, maas_forest **out, maas_err *err)
{
    maas_forest *f = NULL;
    maas_status st = maas_forest_create(r->bins.n_cols, n_targets, how, r->job->budget, &f, err);
    for (int64_t i = 0; st == MAAS_OK && i < r->recipe.n_estimators; i++)
        st = add_tree(f, &r->trees[i], scale, err);
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

maas_status maas_forest_export(const maas_forest_run *r, maas_buf *out, maas_err *err)
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
    return maas_matrix_end(&r->matrix, r->job, &info, g, &b, out, err);
}
