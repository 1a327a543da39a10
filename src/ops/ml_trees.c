/*
 * TreeEnsemble, TreeEnsembleRegressor and TreeEnsembleClassifier (ai.onnx.ml). Their attributes are
 * read as a forest (forest_read*.c): inference does it to check every one of them, reference code
 * to walk its trees row by row.
 */
#include "ops/forest_int.h"
#include "ops/ops_int.h"

#include "base/ban.h"

maas_tree_kind maas_trees_kind(const maas_node *n)
{
    return strcmp(n->op->name, "TreeEnsemble") == 0            ? MAAS_TREES_V5
           : strcmp(n->op->name, "TreeEnsembleRegressor") == 0 ? MAAS_TREES_REGRESSOR
                                                               : MAAS_TREES_CLASSIFIER;
}

static maas_status check_post(const maas_node *n, maas_err *err)
{
    return maas_post_of(n) == MAAS_POST_BAD
               ? maas_fail(err, MAAS_E_UNSUPPORTED, "this post_transform is not supported")
               : MAAS_OK;
}

maas_status maas_forest_of_node(const maas_node *n, int64_t n_features, maas_budget *budget,
                                maas_forest **out, maas_err *err)
{
    MAAS_TRY(check_post(n, err));
    const maas_tree_kind kind = maas_trees_kind(n);
    if (kind == MAAS_TREES_V5)
        return maas_forest_read_v5(n, n_features, budget, out, err);
    return maas_forest_read_v3(n, kind == MAAS_TREES_CLASSIFIER, n_features, budget, out, err);
}

/* ---- inference ---- */

/* [n] or [rows][n] */
static maas_status rows_of(const maas_type *x, int64_t *rows, int64_t *n, maas_err *err)
{
    *rows = *n = MAAS_DIM_UNKNOWN;
    if (x->rank < 0)
        return MAAS_OK;
    if (x->rank != 1 && x->rank != 2)
        return maas_fail(err, MAAS_E_INVALID, "X has rank %d, must be [rows, features]", x->rank);
    *rows = x->rank == 1 ? 1 : x->dims[0];
    *n = x->dims[x->rank - 1];
    return MAAS_OK;
}

/* Reads the forest only to know that it can be read: once for all plans of a model. What is noted
 * is how many features a row must have, and two. */
static maas_status check_trees(const maas_infer *q, int64_t n, maas_err *err)
{
    maas_forest *f = NULL;
    if (q->node->checked && (n < 0 || q->node->checked - 2 <= n))
        return MAAS_OK;
    MAAS_TRY(maas_forest_of_node(q->node, n < 0 ? -1 : n, q->graph->arena.budget, &f, err));
    int32_t most = -1;
    for (uint32_t i = 0; i < f->n_nodes; i++)
        if (f->nodes[i].mode != MAAS_SPLIT_LEAF && f->nodes[i].feature > most)
            most = f->nodes[i].feature;
    q->graph->nodes[q->node - q->graph->nodes].checked = (uint32_t)(most + 1) + 2;
    maas_forest_destroy(f);
    return MAAS_OK;
}

static maas_status values_infer(maas_infer *q, maas_err *err)
{
    int64_t dims[2], n;
    MAAS_TRY(rows_of(&q->in[0], &dims[0], &n, err));
    MAAS_TRY(check_trees(q, n, err));
    dims[1] = maas_attr_i(q->node, "n_targets", 1);
    /* The standard has one type for rows and sums of TreeEnsemble; that of the sums is the type of
     * the weights here, because rows of floats may stand in for equal doubles. */
    const maas_attr *weights = maas_node_attr(q->node, "leaf_weights");
    const bool v5 = maas_trees_kind(q->node) == MAAS_TREES_V5;
    maas_q_out(q, 0, v5 ? (maas_dtype)weights->u.tensor->dtype : MAAS_F32, 2, dims);
    return MAAS_OK;
}

static maas_status classes_infer(maas_infer *q, maas_err *err)
{
    int64_t dims[2], n;
    maas_votes v;
    MAAS_TRY(rows_of(&q->in[0], &dims[0], &n, err));
    MAAS_TRY(maas_votes_of(q->node, &v, err));
    MAAS_TRY(check_trees(q, n, err));
    dims[1] = v.n_classes;
    maas_q_out(q, 0, v.strings ? MAAS_STRING : MAAS_I64, 1, dims);
    maas_q_out(q, 1, MAAS_F32, 2, dims);
    return MAAS_OK;
}

/* ---- reference ---- */

typedef struct trees {
    maas_forest *f;
    double *x, *s; /* a row, its sums */
    int64_t n_rows, n_features;
} trees;

static void trees_close(trees *t)
{
    maas_forest_destroy(t->f);
    maas_free(t->x);
    maas_free(t->s);
}

static maas_status trees_open(const maas_call *c, trees *t, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    *t = (trees){.n_rows = x->rank == 1 ? 1 : x->dims[0], .n_features = x->dims[x->rank - 1]};
    MAAS_TRY(maas_forest_of_node(c->node, t->n_features, NULL, &t->f, err));
    t->x = maas_calloc((size_t)t->n_features + 1, sizeof *t->x);
    t->s = maas_calloc((size_t)t->f->n_targets, sizeof *t->s);
    return t->x && t->s ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "trees");
}

static void load_row(const trees *t, const maas_tensor *x, int64_t row)
{
    for (int64_t i = 0; i < t->n_features; i++)
        t->x[i] = maas_ld(x, row * t->n_features + i);
}

static maas_status values_reference(const maas_call *c, maas_err *err)
{
    AUTO(trees_close) trees t;
    MAAS_TRY(trees_open(c, &t, err));
    const maas_post how = maas_post_of(c->node);
    const int64_t n = t.f->n_targets;
    for (int64_t r = 0; r < t.n_rows; r++) {
        load_row(&t, &c->in[0], r);
        maas_forest_row(t.f, t.x, t.s);
        maas_post_apply(t.s, n, how);
        for (int64_t k = 0; k < n; k++)
            maas_st(&c->out[0], r * n + k, t.s[k]);
    }
    return MAAS_OK;
}

/* Sums of a row for the count of votes: NaN stays where nobody voted and there is no base. */
static void sums_of(const trees *t)
{
    maas_forest_votes(t->f, t->x, t->s);
    for (int32_t k = 0; t->f->base && k < t->f->n_targets; k++)
        t->s[k] = (isnan(t->s[k]) ? 0 : t->s[k]) + t->f->base[k];
}

static maas_status classes_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *labels = maas_c_out(c, 0), *scores = maas_c_out(c, 1);
    maas_votes v;
    MAAS_TRY(maas_votes_of(c->node, &v, err));
    AUTO_FREE float *y = maas_calloc((size_t)v.n_classes, sizeof *y);
    AUTO(trees_close) trees t;
    MAAS_TRY(trees_open(c, &t, err));
    if (!y)
        return maas_fail(err, MAAS_E_NOMEM, "trees");
    for (int64_t r = 0; r < t.n_rows; r++) {
        load_row(&t, &c->in[0], r);
        sums_of(&t);
        const int64_t best = maas_votes_count(&v, t.s, y);
        if (labels && v.strings)
            ((maas_str *)labels->data)[r] = v.strings->u.strings[best];
        else if (labels)
            ((int64_t *)labels->data)[r] = v.ints->u.ints[best];
        if (scores)
            memcpy((float *)scores->data + r * v.n_classes, y, (size_t)v.n_classes * sizeof *y);
    }
    return MAAS_OK;
}

/* About as many comparisons a row as there are levels, over all trees. */
static int64_t trees_flops(const maas_call *c)
{
    const maas_tensor *x = &c->in[0];
    const maas_attr *modes = maas_node_attr(c->node, "nodes_modes");
    const int64_t n = modes->type == MAAS_ATTR_TENSOR ? maas_n_elems(modes->u.tensor) : modes->n;
    return (x->rank == 1 ? 1 : x->dims[0]) * (1 + n / 8);
}

/* ---- examples and rows ---- */

typedef struct plant {
    bool many;    /* a weight for every target in each leaf */
    bool members; /* some nodes ask for members of a set */
} plant;

static maas_status plant_node(maas_forest *f, const maas_example *e, plant p, int t, int k,
                              int32_t root, maas_err *err)
{
    maas_tree_node n = {
        .feature = (t + k) % f->n_features,
        .mode = (uint8_t)(e->variant < 2 ? e->variant : (t + k) % MAAS_SPLIT_MEMBER),
        .split = floor(4 * maas_rng_unit(e->rng) - 2),
        .missing_yes = (t + k) % 3 == 0,
        .yes = root + 2 * k + 1,
        .no = root + 2 * k + 2,
        .cover = k == 0 ? 16 : 8};
    if (p.members && k == 1) {
        n.mode = MAAS_SPLIT_MEMBER;
        n.count = 2;
        MAAS_TRY(maas_forest_add_member(f, t, &n.first, err));
        MAAS_TRY(maas_forest_add_member(f, -1, NULL, err));
    }
    return maas_forest_add_node(f, &n, NULL, err);
}

static maas_status plant_leaf(maas_forest *f, const maas_example *e, plant p, int t, maas_err *err)
{
    maas_tree_node n = {.mode = MAAS_SPLIT_LEAF, .first = f->n_weights, .cover = 4};
    for (int32_t i = 0; i < (p.many ? f->n_targets : 1); i++, n.count++) {
        const double w = floor(8 * maas_rng_unit(e->rng)) / 4 - 1;
        MAAS_TRY(maas_forest_add_weight(f, p.many ? i : t % f->n_targets, w, NULL, err));
    }
    return maas_forest_add_node(f, &n, NULL, err);
}

/* Trees of two levels, and one of nothing but a leaf. */
static maas_status plant_trees(maas_forest *f, const maas_example *e, plant p, maas_err *err)
{
    for (int t = 0; t < 5; t++) {
        const int32_t root = (int32_t)f->n_nodes;
        MAAS_TRY(maas_forest_add_tree(f, root, err));
        for (int k = 0; k < 3 && t < 4; k++)
            MAAS_TRY(plant_node(f, e, p, t, k, root, err));
        for (int k = 0; k < (t < 4 ? 4 : 1); k++)
            MAAS_TRY(plant_leaf(f, e, p, t, err));
    }
    return MAAS_OK;
}

/* The rows of an example and a forest for them; NULL after a failure, which is in the builder. */
static maas_forest *plant_forest(maas_example *e, int32_t n_targets, maas_forest_aggregate how,
                                 plant p, maas_vid *x)
{
    maas_forest *f = NULL;
    *x = maas_ex_in(e, maas_ex_float(e), -3, 3, MAAS_DIMS(19, 4));
    maas_status st = maas_forest_create(4, n_targets, how, NULL, &f, e->b->err);
    if (st == MAAS_OK)
        st = plant_trees(f, e, p, e->b->err);
    if (e->b->status == MAAS_OK)
        e->b->status = st;
    return f;
}

static void regressor_example(maas_example *e)
{
    static const maas_forest_aggregate how[] = {MAAS_FOREST_SUM, MAAS_FOREST_AVERAGE,
                                                MAAS_FOREST_SUM, MAAS_FOREST_MIN,
                                                MAAS_FOREST_MAX, MAAS_FOREST_SUM};
    const int32_t n_targets = e->variant % 3 == 0 ? 1 : 3;
    const double base[] = {.5, -1, 2};
    maas_vid x;
    maas_forest *f = plant_forest(e, n_targets, how[e->variant], (plant){.many = e->variant > 2},
                                  &x);
    if (e->variant & 2 && e->b->status == MAAS_OK)
        e->b->status = maas_forest_set_base(f, base, e->b->err);
    maas_b_forest(e->b, f, x, false);
    maas_forest_destroy(f);
}

static void ensemble_example(maas_example *e)
{
    static const maas_forest_aggregate how[] = {MAAS_FOREST_SUM, MAAS_FOREST_AVERAGE,
                                                MAAS_FOREST_MAX, MAAS_FOREST_SUM};
    maas_vid x;
    const plant p = {.members = e->variant != 1};
    maas_forest *f = plant_forest(e, e->variant < 2 ? 1 : 3, how[e->variant], p, &x);
    maas_b_forest(e->b, f, x, e->variant & 1);
    maas_forest_destroy(f);
}

static void classifier_example(maas_example *e)
{
    static const char *const posts[] = {"LOGISTIC",     "SOFTMAX", "NONE",
                                        "SOFTMAX_ZERO", "PROBIT",  "LOGISTIC"};
    static const int64_t ints[] = {10, 20, 30};
    static const maas_str words[] = {{"no", 2}, {"yes", 3}, {"maybe", 5}};
    const bool one = e->variant == 0 || e->variant == 5; /* score for two classes */
    const bool text = e->variant & 2;
    maas_vid x, out[2];
    const plant p = {.many = !one && e->variant < 3};
    maas_forest *f = plant_forest(e, one ? 1 : 3, MAAS_FOREST_SUM, p, &x);
    maas_b_forest_classifier(e->b, f, x, text ? NULL : ints, text ? words : NULL, one ? 2 : 3,
                             posts[e->variant], out);
    maas_forest_destroy(f);
}

#define FLOAT (MAAS_DT_BIT(MAAS_F32))
static const maas_io_schema in[] = {MAAS_REQ("X", NULL, MAAS_DTS_FULL | MAAS_DTS_INDEX)};
static const maas_io_schema regressor_out[] = {MAAS_REQ("Y", NULL, FLOAT)};
static const maas_io_schema classifier_out[] = {MAAS_REQ("Y", NULL, MAAS_DTS_STR | MAAS_DTS_I64),
                                                MAAS_REQ("Z", NULL, FLOAT)};
static const maas_io_schema ensemble_in[] = {MAAS_REQ("X", NULL, MAAS_DTS_FULL)};
static const maas_io_schema ensemble_out[] = {MAAS_REQ("Y", NULL, MAAS_DTS_FULL)};

#define NODES                                                                                      \
    {"nodes_treeids", MAAS_ATTR_INTS, false}, {"nodes_nodeids", MAAS_ATTR_INTS, false},            \
        {"nodes_featureids", MAAS_ATTR_INTS, false}, {"nodes_modes", MAAS_ATTR_STRINGS, false},    \
        {"nodes_truenodeids", MAAS_ATTR_INTS, false},                                              \
        {"nodes_falsenodeids", MAAS_ATTR_INTS, false},                                             \
        {"nodes_missing_value_tracks_true", MAAS_ATTR_INTS, false},                                \
        {"nodes_values", MAAS_ATTR_FLOATS, false},                                                 \
        {"nodes_values_as_tensor", MAAS_ATTR_TENSOR, false},                                       \
        {"nodes_hitrates", MAAS_ATTR_FLOATS, false},                                               \
        {"nodes_hitrates_as_tensor", MAAS_ATTR_TENSOR, false},                                     \
        {"base_values", MAAS_ATTR_FLOATS, false},                                                  \
        {"base_values_as_tensor", MAAS_ATTR_TENSOR, false},                                        \
    {                                                                                              \
        "post_transform", MAAS_ATTR_STRING, false                                                  \
    }

static const maas_attr_schema regressor_attrs[] = {
    NODES,
    {"aggregate_function", MAAS_ATTR_STRING, false},
    {"n_targets", MAAS_ATTR_INT, true},
    {"target_treeids", MAAS_ATTR_INTS, false},
    {"target_nodeids", MAAS_ATTR_INTS, false},
    {"target_ids", MAAS_ATTR_INTS, false},
    {"target_weights", MAAS_ATTR_FLOATS, false},
    {"target_weights_as_tensor", MAAS_ATTR_TENSOR, false}};
static const maas_attr_schema classifier_attrs[] = {
    NODES,
    {"classlabels_int64s", MAAS_ATTR_INTS, false},
    {"classlabels_strings", MAAS_ATTR_STRINGS, false},
    {"class_treeids", MAAS_ATTR_INTS, false},
    {"class_nodeids", MAAS_ATTR_INTS, false},
    {"class_ids", MAAS_ATTR_INTS, false},
    {"class_weights", MAAS_ATTR_FLOATS, false},
    {"class_weights_as_tensor", MAAS_ATTR_TENSOR, false}};
static const maas_attr_schema ensemble_attrs[] = {
    {"aggregate_function", MAAS_ATTR_INT, false},
    {"post_transform", MAAS_ATTR_INT, false},
    {"n_targets", MAAS_ATTR_INT, true},
    {"tree_roots", MAAS_ATTR_INTS, true},
    {"nodes_hitrates", MAAS_ATTR_TENSOR, false},
    {"nodes_missing_value_tracks_true", MAAS_ATTR_INTS, false},
    {"nodes_modes", MAAS_ATTR_TENSOR, true},
    {"nodes_splits", MAAS_ATTR_TENSOR, true},
    {"nodes_featureids", MAAS_ATTR_INTS, true},
    {"nodes_truenodeids", MAAS_ATTR_INTS, true},
    {"nodes_falsenodeids", MAAS_ATTR_INTS, true},
    {"nodes_trueleafs", MAAS_ATTR_INTS, true},
    {"nodes_falseleafs", MAAS_ATTR_INTS, true},
    {"leaf_weights", MAAS_ATTR_TENSOR, true},
    {"leaf_targetids", MAAS_ATTR_INTS, true},
    {"membership_values", MAAS_ATTR_TENSOR, false}};

#define TREES(Name, fn, what, ins, version, opflags, variants)                                     \
    const maas_op maas_op_##Name = {                                                               \
        .domain = MAAS_DOMAIN_ML,                                                                  \
        .name = #Name,                                                                             \
        .since = version,                                                                          \
        .flags = opflags,                                                                          \
        MAAS_SCHEMA(ins, fn##_out),                                                                \
        MAAS_ATTRS(fn##_attrs),                                                                    \
        .n_examples = variants,                                                                    \
        .tolerance = 1e-6,                                                                         \
        .infer = what##_infer,                                                                     \
        .reference = what##_reference,                                                             \
        .flops = trees_flops,                                                                      \
        .example = fn##_example,                                                                   \
        .no_gradient = "its sums are steps: their slope is zero or not there",                     \
    };
TREES(TreeEnsembleRegressor, regressor, values, in, 3, 0, 6)
TREES(TreeEnsembleClassifier, classifier, classes, in, 3, MAAS_OP_STRINGS, 6)
TREES(TreeEnsemble, ensemble, values, ensemble_in, 5, 0, 4)
