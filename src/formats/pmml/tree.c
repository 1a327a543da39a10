/*
 * TreeModel: children of a node are tried in their order, which becomes a chain of tests. Leaves
 * give weights to
 *
 *   target 0   regression: the score. Classes: the number of the label
 *   target 1   1 where there is no answer
 *   target 2+  classes: probabilities, or votes
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "formats/pmml/pmml_int.h"
#include "base/ban.h"

enum { VALUE, NONE, FIRST_CLASS };
enum { UNKNOWN_FALSE, UNKNOWN_LAST, UNKNOWN_NULL, UNKNOWN_DEFAULT };

typedef struct work {
    const maas_xml *node;
    pm_edge at;
} work;

typedef struct grower {
    pm *p;
    pm_grove *grove;
    pm_classes *labels;
    bool classes, votes;
    double scale; /* of what a leaf gives */
    int unknown;  /* what a predicate does that is not known */
    bool last_if_none;
    work *todo;
    size_t n_todo, todo_cap;
    pm_weight *weights;
    size_t weights_cap;
} grower;

static maas_status later(grower *w, const maas_xml *node, pm_edge at)
{
    if (!maas_grow(&w->todo, &w->todo_cap, w->n_todo + 1, sizeof *w->todo))
        return pm_no_memory(w->p);
    w->todo[w->n_todo++] = (work){node, at};
    return MAAS_OK;
}

/* ---- leaves ---- */

static maas_status null_leaf(grower *w, pm_edge at)
{
    const pm_weight none = {NONE, 1};
    return pm_grove_leaf(w->p, w->grove, at, &none, 1);
}

/* What a distribution says of a class; records become shares of all of them. */
static maas_status share_of(grower *w, const maas_xml *d, double total, double *out)
{
    if (maas_xml_get(d, "probability"))
        return pm_number(w->p, d, "probability", out);
    MAAS_TRY(pm_number(w->p, d, "recordCount", out));
    *out = total > 0 ? *out / total : 0;
    return MAAS_OK;
}

static maas_status total_of(grower *w, const maas_xml *node, double *out)
{
    *out = 0;
    for (const maas_xml *d = maas_xml_child(node, "ScoreDistribution"); d;
         d = maas_xml_sibling(d, "ScoreDistribution")) {
        double v = 0;
        MAAS_TRY(pm_number_or(w->p, d, "recordCount", 0, &v));
        *out += v;
    }
    return MAAS_OK;
}

static maas_status put_weight(grower *w, size_t n, int32_t target, double weight)
{
    if (!maas_grow(&w->weights, &w->weights_cap, n + 1, sizeof *w->weights))
        return pm_no_memory(w->p);
    w->weights[n] = (pm_weight){target, weight};
    return MAAS_OK;
}

/* Probabilities from the distribution; *best is the most probable class. */
static maas_status distribution(grower *w, const maas_xml *node, size_t *n, uint32_t *best)
{
    double total, most = -1;
    MAAS_TRY(total_of(w, node, &total));
    for (const maas_xml *d = maas_xml_child(node, "ScoreDistribution"); d;
         d = maas_xml_sibling(d, "ScoreDistribution")) {
        const char *value = maas_xml_get(d, "value");
        double share;
        uint32_t k;
        if (!value)
            return pm_missing(w->p, d, "value");
        MAAS_TRY(pm_class_of(w->p, w->labels, value, &k));
        MAAS_TRY(share_of(w, d, total, &share));
        MAAS_TRY(put_weight(w, (*n)++, FIRST_CLASS + (int32_t)k, share * w->scale));
        if (share > most) {
            most = share;
            *best = k;
        }
    }
    return MAAS_OK;
}

static maas_status class_leaf(grower *w, const maas_xml *node, pm_edge at)
{
    const char *score = maas_xml_get(node, "score");
    uint32_t label = 0;
    size_t n = 0;
    if (!w->votes)
        MAAS_TRY(distribution(w, node, &n, &label));
    const bool counted = n > 0;
    if (!score && !counted)
        return null_leaf(w, at);
    if (score)
        MAAS_TRY(pm_class_of(w->p, w->labels, score, &label));
    if (!counted)
        MAAS_TRY(put_weight(w, n++, FIRST_CLASS + (int32_t)label, w->scale));
    MAAS_TRY(put_weight(w, n++, VALUE, label));
    return pm_grove_leaf(w->p, w->grove, at, w->weights, n);
}

static maas_status leaf(grower *w, const maas_xml *node, pm_edge at)
{
    double score;
    if (w->classes)
        return class_leaf(w, node, at);
    if (!maas_xml_get(node, "score"))
        return null_leaf(w, at);
    MAAS_TRY(pm_number(w->p, node, "score", &score));
    if (score - score != 0)
        return pm_fail(w->p, MAAS_E_FORMAT, node, "the score is not finite");
    const pm_weight weight = {VALUE, score * w->scale};
    return pm_grove_leaf(w->p, w->grove, at, &weight, 1);
}

/* ---- chains of tests ---- */

static const maas_xml *first_child(const maas_xml *node)
{
    return maas_xml_child(node, "Node");
}

static bool same_text(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

/* Both test one field, so that what is missing for one is missing for the other. */
static bool same_field(const maas_xml *a, const maas_xml *b)
{
    return !maas_xml_is(a, "CompoundPredicate") && !maas_xml_is(b, "CompoundPredicate") &&
           same_text(maas_xml_get(a, "field"), maas_xml_get(b, "field"));
}

/* Is b true exactly where a is false (and the field is known)? */
static bool opposite(const maas_xml *a, const maas_xml *b)
{
    static const char *const pairs[][2] = {{"lessThan", "greaterOrEqual"},
                                           {"lessOrEqual", "greaterThan"},
                                           {"equal", "notEqual"},
                                           {"isMissing", "isNotMissing"}};
    const char *x = maas_xml_get(a, "operator"), *y = maas_xml_get(b, "operator");
    if (!same_field(a, b) || !maas_xml_is(a, "SimplePredicate") ||
        !maas_xml_is(b, "SimplePredicate"))
        return false;
    for (size_t i = 0; i < MAAS_COUNT(pairs); i++)
        if ((same_text(x, pairs[i][0]) && same_text(y, pairs[i][1])) ||
            (same_text(x, pairs[i][1]) && same_text(y, pairs[i][0])))
            return i == 3 || same_text(maas_xml_get(a, "value"), maas_xml_get(b, "value"));
    return false;
}

static maas_status predicate_of(grower *w, const maas_xml *node, const maas_xml **out)
{
    *out = pm_predicate_of(node);
    return *out ? MAAS_OK : pm_fail(w->p, MAAS_E_FORMAT, node, "it has no predicate");
}

/* With defaultChild the unknown walks along the tests of one field until that of the default. */
static maas_status check_default(grower *w, const maas_xml *node)
{
    const char *wanted = maas_xml_get(node, "defaultChild");
    const maas_xml *first = NULL, *predicate;
    bool found = false;
    for (const maas_xml *c = first_child(node); c; c = maas_xml_sibling(c, "Node")) {
        MAAS_TRY(predicate_of(w, c, &predicate));
        found |= same_text(maas_xml_get(c, "id"), wanted);
        if (maas_xml_is(predicate, "True") || maas_xml_is(predicate, "False"))
            continue;
        if (first && !same_field(first, predicate))
            return pm_fail(w->p, MAAS_E_UNSUPPORTED, c,
                           "defaultChild of children that test different fields");
        first = predicate;
    }
    return found || !wanted ? MAAS_OK
                            : pm_fail(w->p, MAAS_E_FORMAT, node, "defaultChild is no child");
}

/* One test of the chain: *open is where the next child goes on. */
static maas_status try_child(grower *w, const maas_xml *node, const maas_xml *child,
                             const maas_xml *predicate, pm_edge *open)
{
    pm_edge yes, unknown;
    if (w->unknown == UNKNOWN_FALSE || w->unknown == UNKNOWN_DEFAULT) {
        const bool default_here = w->unknown == UNKNOWN_DEFAULT &&
                                  same_text(maas_xml_get(child, "id"),
                                            maas_xml_get(node, "defaultChild"));
        MAAS_TRY(pm_grove_lean(w->p, w->grove, predicate, *open, default_here, &yes, open));
        return later(w, child, yes);
    }
    MAAS_TRY(pm_grove_test(w->p, w->grove, predicate, *open, &yes, open, &unknown));
    if (unknown.node != PM_NO_EDGE.node)
        MAAS_TRY(w->unknown == UNKNOWN_LAST ? leaf(w, node, unknown) : null_leaf(w, unknown));
    return later(w, child, yes);
}

static maas_status expand(grower *w, const maas_xml *node, pm_edge at)
{
    const maas_xml *before = NULL, *predicate;
    pm_edge open = at;
    if (w->unknown == UNKNOWN_DEFAULT)
        MAAS_TRY(check_default(w, node));
    for (const maas_xml *c = first_child(node); c; c = maas_xml_sibling(c, "Node")) {
        MAAS_TRY(predicate_of(w, c, &predicate));
        if (maas_xml_is(predicate, "False"))
            continue;
        /* the second of two opposites: nothing else can get here, except what is not known where
         * that counts as false */
        const bool sure = before && opposite(before, predicate) &&
                          (w->unknown == UNKNOWN_LAST || w->unknown == UNKNOWN_NULL ||
                           (w->unknown == UNKNOWN_DEFAULT && maas_xml_get(node, "defaultChild")));
        if (maas_xml_is(predicate, "True") || sure)
            return later(w, c, open);
        MAAS_TRY(try_child(w, node, c, predicate, &open));
        before = predicate;
    }
    return w->last_if_none || !first_child(node) ? leaf(w, node, open) : null_leaf(w, open);
}

static maas_status check_node(grower *w, const maas_xml *node)
{
    static const char *const known[] = {"Node", "ScoreDistribution", "Extension", "Partition"};
    for (const maas_xml *c = node->child; c; c = c->next) {
        bool ok = pm_is_predicate(c);
        for (size_t i = 0; i < MAAS_COUNT(known); i++)
            ok |= maas_xml_is(c, known[i]);
        if (!ok)
            return pm_unsupported(w->p, c);
    }
    return MAAS_OK;
}

static maas_status grow_tree(grower *w, const maas_xml *model)
{
    static const char *const unknowns[] = {"none", "lastPrediction", "nullPrediction",
                                           "defaultChild", NULL};
    static const char *const ends[] = {"returnNullPrediction", "returnLastPrediction", NULL};
    const maas_xml *root = maas_xml_child(model, "Node"), *predicate;
    pm_edge at = PM_ROOT, no;
    int last;
    if (!root)
        return pm_fail(w->p, MAAS_E_FORMAT, model, "it has no Node");
    MAAS_TRY(pm_word(w->p, model, "missingValueStrategy", unknowns, 0, &w->unknown));
    MAAS_TRY(pm_word(w->p, model, "noTrueChildStrategy", ends, 0, &last));
    w->last_if_none = last == 1;
    MAAS_TRY(predicate_of(w, root, &predicate));
    if (!maas_xml_is(predicate, "True")) {
        if (maas_xml_is(predicate, "False"))
            return null_leaf(w, at);
        MAAS_TRY(pm_grove_lean(w->p, w->grove, predicate, at, false, &at, &no));
        MAAS_TRY(null_leaf(w, no));
    }
    MAAS_TRY(later(w, root, at));
    while (w->n_todo) {
        const work next = w->todo[--w->n_todo];
        MAAS_TRY(check_node(w, next.node));
        MAAS_TRY(first_child(next.node) ? expand(w, next.node, next.at)
                                        : leaf(w, next.node, next.at));
    }
    return MAAS_OK;
}

/* ---- results ---- */

static void class_result(grower *w, maas_vid sums, bool ensemble, pm_result *out)
{
    pm *p = w->p;
    const int64_t k = (int64_t)w->labels->n;
    maas_vid none = PM_OP2(p, "Greater", pm_columns(p, sums, NONE, NONE + 1), pm_const(p, 0));
    out->p = pm_columns(p, sums, FIRST_CLASS, FIRST_CLASS + k);
    if (w->votes) { /* a tree without an answer has no vote */
        maas_vid total = pm_row_sum(p, out->p);
        none = PM_OP2(p, "LessOrEqual", total, pm_const(p, 0));
        out->p = PM_OP2(p, "Div", out->p, pm_where(p, none, pm_const(p, 1), total));
    }
    out->code = ensemble ? pm_argmax(p, out->p) : pm_columns(p, sums, VALUE, VALUE + 1);
    out->code = pm_where(p, none, pm_const(p, NAN), out->code);
}

static maas_status result_of(grower *w, bool ensemble, pm_result *out)
{
    pm *p = w->p;
    if (w->classes && w->labels->n == 0)
        return pm_fail(p, MAAS_E_FORMAT, p->root, "the trees have no labels");
    if (w->classes && w->grove->n_target < FIRST_CLASS + (int32_t)w->labels->n)
        w->grove->n_target = FIRST_CLASS + (int32_t)w->labels->n;
    const bool can_fail = w->grove->n_target > NONE;
    maas_vid sums = pm_grove_sums(p, w->grove);
    if (w->classes) {
        class_result(w, sums, ensemble, out);
    } else if (can_fail) {
        maas_vid none = PM_OP2(p, "Greater", pm_columns(p, sums, NONE, NONE + 1), pm_const(p, 0));
        out->value = pm_where(p, none, pm_const(p, NAN), pm_columns(p, sums, VALUE, VALUE + 1));
    } else {
        out->value = sums;
    }
    return p->b.status;
}

static maas_status start(grower *w, pm *p, const maas_xml *model, pm_grove *grove, pm_result *out)
{
    *out = (pm_result){.classes = pm_is_classification(model),
                       .value = MAAS_NO_VALUE,
                       .code = MAAS_NO_VALUE,
                       .p = MAAS_NO_VALUE};
    *w = (grower){
        .p = p, .grove = grove, .labels = &out->labels, .classes = out->classes, .scale = 1};
    if (out->classes)
        MAAS_TRY(pm_target_labels(p, model, &out->labels));
    return pm_grove_init(p, grove);
}

static void stop(grower *w)
{
    maas_free(w->todo);
    maas_free(w->weights);
    pm_grove_reset(w->grove);
}

maas_status pm_tree_model(pm *p, const maas_xml *model, pm_result *out)
{
    pm_grove grove = {0};
    grower w = {.grove = &grove};
    maas_status st = start(&w, p, model, &grove, out);
    if (st == MAAS_OK)
        st = grow_tree(&w, model);
    if (st == MAAS_OK)
        st = result_of(&w, false, out);
    stop(&w);
    return st;
}

/* ---- trees of a MiningModel, in one forest ---- */

static const struct method {
    const char *name;
    bool classes, values, votes, weighted, mean;
} methods[] = {
    {"sum", false, true, false, false, false},
    {"weightedSum", false, true, false, true, false},
    {"average", true, true, false, false, true},
    {"weightedAverage", true, true, false, true, true},
    {"majorityVote", true, false, true, false, false},
    {"weightedMajorityVote", true, false, true, true, false},
};

static bool plain_segment(const maas_xml *segment, const maas_xml **out_tree)
{
    const maas_xml *tree = maas_xml_child(segment, "TreeModel");
    *out_tree = tree;
    return tree && maas_xml_is(pm_predicate_of(segment), "True") && pm_schema_is_plain(tree) &&
           !maas_xml_child(tree, "LocalTransformations") && !maas_xml_child(tree, "Targets") &&
           !maas_xml_child(tree, "Output");
}

static const struct method *method_of(const maas_xml *segmentation, bool classes)
{
    const char *name = maas_xml_get(segmentation, "multipleModelMethod");
    for (size_t i = 0; name && i < MAAS_COUNT(methods); i++)
        if (strcmp(methods[i].name, name) == 0)
            return (classes ? methods[i].classes : methods[i].values) ? &methods[i] : NULL;
    return NULL;
}

static maas_status weight_of(pm *p, const struct method *m, const maas_xml *segment, double *out)
{
    *out = 1;
    return m->weighted ? pm_number_or(p, segment, "weight", 1, out) : MAAS_OK;
}

/* Do all segments fit, and what do their weights sum to? */
static maas_status survey(pm *p, const struct method *m, const maas_xml *segmentation, bool classes,
                          double *total, bool *fits)
{
    const maas_xml *tree;
    *total = 0;
    *fits = false;
    for (const maas_xml *s = maas_xml_child(segmentation, "Segment"); s;
         s = maas_xml_sibling(s, "Segment")) {
        double weight;
        if (!plain_segment(s, &tree) || pm_is_classification(tree) != classes)
            return MAAS_OK;
        MAAS_TRY(weight_of(p, m, s, &weight));
        *total += weight;
    }
    *fits = *total > 0;
    return MAAS_OK;
}

static maas_status grow_all(grower *w, const struct method *m, const maas_xml *segmentation,
                            double total)
{
    const maas_xml *tree;
    for (const maas_xml *s = maas_xml_child(segmentation, "Segment"); s;
         s = maas_xml_sibling(s, "Segment")) {
        plain_segment(s, &tree);
        MAAS_TRY(weight_of(w->p, m, s, &w->scale));
        w->scale /= m->mean ? total : 1;
        MAAS_TRY(grow_tree(w, tree));
    }
    return MAAS_OK;
}

maas_status pm_forest_model(pm *p, const maas_xml *model, pm_result *out, bool *done)
{
    const maas_xml *segmentation = maas_xml_child(model, "Segmentation");
    const bool classes = pm_is_classification(model);
    const struct method *m = method_of(segmentation, classes);
    pm_grove grove = {0};
    grower w = {.grove = &grove};
    double total;
    *done = false;
    if (!m)
        return MAAS_OK;
    MAAS_TRY(survey(p, m, segmentation, classes, &total, done));
    if (!*done)
        return MAAS_OK;
    maas_status st = start(&w, p, model, &grove, out);
    w.votes = m->votes;
    if (st == MAAS_OK)
        st = grow_all(&w, m, segmentation, total);
    if (st == MAAS_OK)
        st = result_of(&w, true, out);
    stop(&w);
    return st;
}
