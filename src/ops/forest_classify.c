/*
 * maas_b_forest_classifier: a label and scores. TreeEnsembleClassifier says it in one node when
 *
 *   more than two classes have their own sums;
 *   two have: a third class without weights joins them and is cut off behind it, because ONNX
 *   Runtime never compares the scores of just two classes;
 *   there is one score for two classes: a probability (NONE, no weight below zero), or a margin
 *   (LOGISTIC; when no weight is below zero a tree with a leaf too small to matter says so).
 *
 * Everything else is maas_b_forest and nodes of the default domain behind it.
 */
#include <float.h>

#include "ops/forest_write.h"
#include "ops/ops_int.h"

#include "base/ban.h"

static const maas_v3_names class_names = {"class_treeids", "class_nodeids", "class_ids",
                                          "class_weights", "class_weights_as_tensor"};

typedef struct ask {
    const int64_t *ints;
    const maas_str *strings;
    uint32_t n_classes;
    const char *post;
    bool logistic;
} ask;

static maas_vid fail(maas_builder *b, maas_status st, const char *why)
{
    if (b->status == MAAS_OK)
        b->status = maas_fail(b->err, st, "%s", why);
    return MAAS_NO_VALUE;
}

static bool is(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* ---- one node ---- */

/* The labels, and `extra` times the last of them. */
static bool put_labels(maas_forest_text *t, const ask *q, uint32_t extra, maas_attr *out)
{
    const uint32_t n = q->n_classes + extra;
    const size_t size = q->ints ? sizeof *q->ints : sizeof *q->strings;
    const void *from = q->ints ? (const void *)q->ints : (const void *)q->strings;
    char *to = maas_arena_array(&t->arena, n, size);
    if (!to)
        return false;
    memcpy(to, from, q->n_classes * size);
    for (uint32_t i = q->n_classes; i < n; i++)
        memcpy(to + i * size, (const char *)from + (q->n_classes - 1) * size, size);
    *out = q->ints ? MAAS_A_INTS("classlabels_int64s", (const int64_t *)(void *)to, n)
                   : (maas_attr){.name = "classlabels_strings",
                                 .type = MAAS_ATTR_STRINGS,
                                 .n = n,
                                 .u.strings = (const maas_str *)(void *)to};
    return true;
}

/* Bases make every class count, also one that no leaf of a row speaks of. */
static bool put_base(maas_forest_text *t, uint32_t extra, maas_attr *out)
{
    const uint32_t n = (uint32_t)t->f->n_targets;
    double *base = maas_arena_array(&t->arena, n + extra, sizeof *base);
    if (!base)
        return false;
    for (uint32_t i = 0; i < n + extra; i++)
        base[i] = i >= n ? -FLT_MAX : t->f->base ? t->f->base[i] : 0;
    return maas_put_numbers(t, "base_values", "base_values_as_tensor", base, n + extra, out);
}

static maas_vid classifier(maas_builder *b, maas_forest_text *t, const ask *q, const char *post,
                           maas_vid out[2])
{
    maas_attr attr[MAAS_V3_ATTRS];
    const uint32_t extra = t->f->n_targets == 2;
    uint32_t n = maas_put_v3(t, &class_names, attr);
    if (!n || !put_labels(t, q, extra, &attr[n]) || !put_base(t, extra, &attr[n + 1]))
        return fail(b, MAAS_E_NOMEM, "writing trees");
    attr[n + 2] = MAAS_A_STR("post_transform", post);
    b->checked = t->checked;
    return maas_b_node(b, "TreeEnsembleClassifier", attr, n + 3, &t->x, 1, out, 2);
}

/* ---- nodes behind the sums ---- */

static maas_vid cast(maas_builder *b, maas_vid v, maas_dtype to)
{
    return maas_b_attr1(b, "Cast", MAAS_A_INT("to", to), v, MAAS_NO_VALUE);
}

static maas_vid floats(maas_builder *b, maas_vid v)
{
    const maas_type *t = maas_b_type(b, v);
    return !t || t->dtype == MAAS_F32 ? v : cast(b, v, MAAS_F32);
}

static maas_vid transformed(maas_builder *b, const char *post, maas_vid s)
{
    if (is(post, "SOFTMAX"))
        return maas_b_attr1(b, "Softmax", MAAS_A_INT("axis", 1), s, MAAS_NO_VALUE);
    if (is(post, "LOGISTIC"))
        return maas_b_op1(b, "Sigmoid", s);
    return is(post, "NONE") ? s
                            : fail(b, MAAS_E_UNSUPPORTED,
                                   "this post-transform needs a sum of weights for each of more "
                                   "than two classes");
}

static maas_vid labels_at(maas_builder *b, const ask *q, maas_vid at)
{
    const int64_t dims[] = {q->n_classes};
    const void *data = q->ints ? (const void *)q->ints : (const void *)q->strings;
    const maas_tensor t = maas_tensor_of(q->ints ? MAAS_I64 : MAAS_STRING, 1, dims,
                                         (void *)(uintptr_t)data);
    return maas_b_op2(b, "Gather", maas_b_const(b, NULL, &t), at);
}

static void pick_largest(maas_builder *b, const ask *q, maas_vid s, maas_vid out[2])
{
    const maas_attr attr[] = {MAAS_A_INT("axis", 1), MAAS_A_INT("keepdims", 0)};
    out[0] = labels_at(b, q, maas_b_node(b, "ArgMax", attr, 2, &s, 1, NULL, 1));
    out[1] = floats(b, transformed(b, q->post, s));
}

/* s [n, 1]: what speaks for the second class. */
static void pick_by_score(maas_builder *b, const ask *q, maas_vid s, maas_vid out[2])
{
    const maas_vid above = maas_b_op2(b, "Greater", s, maas_b_like(b, s, q->logistic ? 0 : 0.5));
    const maas_vid axis = maas_b_i64s(b, (const int64_t[]){1}, 1);
    out[0] = labels_at(b, q, maas_b_op2(b, "Squeeze", cast(b, above, MAAS_I64), axis));
    const maas_vid first = q->logistic ? maas_b_op1(b, "Sigmoid", maas_b_op1(b, "Neg", s))
                                       : MAAS_B_SUB(b, maas_b_like(b, s, 1), s);
    const maas_vid both[] = {first, q->logistic ? maas_b_op1(b, "Sigmoid", s) : s};
    const maas_attr attr = MAAS_A_INT("axis", 1);
    out[1] = floats(b, maas_b_node(b, "Concat", &attr, 1, both, 2, NULL, 1));
}

/* ---- the choice ---- */

/* Sums of several classes; an average is the sum over the number of trees. */
static void of_classes(maas_builder *b, maas_forest_text *t, const ask *q, maas_vid out[2])
{
    const maas_forest *f = t->f;
    const bool average = f->aggregate == MAAS_FOREST_AVERAGE;
    const bool later = average || q->n_classes == 2; /* the transform */
    if (t->members || f->aggregate > MAAS_FOREST_SUM || (average && f->base)) {
        pick_largest(b, q, maas_b_forest(b, f, t->x, t->doubles), out);
        return;
    }
    classifier(b, t, q, later ? "NONE" : q->post, out);
    if (q->n_classes == 2)
        out[1] = maas_b_op(b, "Slice", out[1], maas_b_i64s(b, (const int64_t[]){0}, 1),
                           maas_b_i64s(b, (const int64_t[]){2}, 1),
                           maas_b_i64s(b, (const int64_t[]){1}, 1));
    if (average)
        out[1] = MAAS_B_DIV(b, out[1], maas_b_f32(b, (float)f->n_trees));
    if (later)
        out[1] = transformed(b, q->post, out[1]);
}

/* ONNX Runtime takes scores for probabilities when no weight is below zero: a copy of the forest
 * with a tree that says otherwise, and nothing else. */
static void of_margin(maas_builder *b, const maas_forest_text *t, const ask *q, maas_vid out[2])
{
    maas_forest with = *t->f;
    AUTO_FREE maas_tree_node *nodes = maas_calloc(with.n_nodes + 1u, sizeof *nodes);
    AUTO_FREE maas_leaf_weight *weights = maas_calloc(with.n_weights + 1u, sizeof *weights);
    AUTO_FREE int32_t *roots = maas_calloc(with.n_trees + 1u, sizeof *roots);
    if (!nodes || !weights || !roots) {
        fail(b, MAAS_E_NOMEM, "writing trees");
        return;
    }
    memcpy(nodes, with.nodes, with.n_nodes * sizeof *nodes);
    memcpy(weights, with.weights, with.n_weights * sizeof *weights);
    memcpy(roots, with.roots, with.n_trees * sizeof *roots);
    nodes[with.n_nodes] = (maas_tree_node){
        .mode = MAAS_SPLIT_LEAF, .first = with.n_weights, .count = 1, .cover = t->covers};
    weights[with.n_weights] = (maas_leaf_weight){-FLT_MIN, 0};
    roots[with.n_trees] = (int32_t)with.n_nodes;
    with.nodes = nodes;
    with.weights = weights;
    with.roots = roots;
    with.n_nodes++;
    with.n_weights++;
    with.n_trees++;
    AUTO(maas_forest_text_reset) maas_forest_text more = {0};
    const maas_status st = maas_forest_text_init(&more, b, &with, t->x);
    if (st == MAAS_OK)
        classifier(b, &more, q, q->post, out);
    else if (b->status == MAAS_OK)
        b->status = st;
}

static void of_score(maas_builder *b, maas_forest_text *t, const ask *q, maas_vid out[2])
{
    const bool one_node = !t->members && t->f->aggregate == MAAS_FOREST_SUM;
    if (one_node && q->logistic && !t->negative)
        of_margin(b, t, q, out);
    else if (one_node && q->logistic == t->negative)
        classifier(b, t, q, q->post, out);
    else
        pick_by_score(b, q, maas_b_forest(b, t->f, t->x, t->doubles), out);
}

void maas_b_forest_classifier(maas_builder *b, const maas_forest *f, maas_vid x,
                              const int64_t *ints, const maas_str *strings, uint32_t n_classes,
                              const char *post, maas_vid out[2])
{
    AUTO(maas_forest_text_reset) maas_forest_text t = {0};
    const ask q = {ints, strings, n_classes, post, is(post, "LOGISTIC")};
    const bool score = f->n_targets == 1 && n_classes == 2;
    out[0] = out[1] = MAAS_NO_VALUE;
    if (b->status != MAAS_OK)
        return;
    const maas_status st = maas_forest_text_init(&t, b, f, x);
    if (st != MAAS_OK)
        b->status = st;
    else if (!ints == !strings || n_classes < 2 || (!score && n_classes != (uint32_t)f->n_targets))
        fail(b, MAAS_E_INVALID, "labels and sums of weights do not belong together");
    else if (score && !q.logistic && !is(post, "NONE"))
        fail(b, MAAS_E_INVALID, "one score for two classes is transformed by LOGISTIC or NONE");
    else if (score)
        of_score(b, &t, &q, out);
    else
        of_classes(b, &t, &q, out);
    if (b->status != MAAS_OK)
        out[0] = out[1] = MAAS_NO_VALUE;
}
