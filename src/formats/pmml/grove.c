/*
 * The trees of a model as one forest. A column of it is a field: numbers as they are, text by the
 * number of the word in the order in which tests mention it (a word nobody mentions: -1, missing:
 * NaN); or the value of a compound predicate.
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "formats/pmml/pmml_int.h"
#include "base/ban.h"

maas_status pm_grove_init(pm *p, pm_grove *g)
{
    *g = (pm_grove){.n_target = 1};
    return maas_forest_create(PM_MAX_FIELDS, PM_MAX_FIELDS, MAAS_FOREST_SUM, p->arena->budget,
                              &g->forest, p->err);
}

void pm_grove_reset(pm_grove *g)
{
    maas_forest_destroy(g->forest);
    maas_free(g->column);
}

/* ---- columns ---- */

static maas_status column_of(pm *p, pm_grove *g, maas_vid v, bool text, int32_t *out)
{
    for (size_t i = 0; i < g->n_column; i++)
        if (g->column[i].v == v) {
            *out = (int32_t)i;
            return MAAS_OK;
        }
    if (g->n_column == PM_MAX_FIELDS)
        return pm_fail(p, MAAS_E_TOO_LARGE, p->root, "more than %d tests that are compound",
                       PM_MAX_FIELDS);
    if (!maas_grow(&g->column, &g->column_cap, g->n_column + 1, sizeof *g->column))
        return pm_no_memory(p);
    g->column[g->n_column] = (pm_column){.v = v, .text = text};
    *out = (int32_t)g->n_column++;
    return MAAS_OK;
}

/* The number of a word of a column of text. */
static maas_status code_of(pm *p, pm_column *c, const char *word, double *out)
{
    uint32_t i;
    MAAS_TRY(pm_class_of(p, &c->words, word, &i));
    *out = i;
    return MAAS_OK;
}

static maas_vid encode(pm *p, const pm_column *c)
{
    const size_t n = c->words.n;
    maas_str *keys = pm_alloc(p, n + 1, sizeof *keys);
    float *codes = pm_alloc(p, n + 1, sizeof *codes);
    if (!keys || !codes) {
        p->b.status = MAAS_E_NOMEM;
        return MAAS_NO_VALUE;
    }
    keys[0] = (maas_str){"", 0};
    codes[0] = NAN;
    for (size_t i = 0; i < n; i++) {
        keys[i + 1] = (maas_str){c->words.name[i], strlen(c->words.name[i])};
        codes[i + 1] = (float)i;
    }
    const maas_attr attr[] = {{.name = "keys_strings",
                               .type = MAAS_ATTR_STRINGS,
                               .n = (uint32_t)n + 1,
                               .u.strings = keys},
                              {.name = "values_floats",
                               .type = MAAS_ATTR_FLOATS,
                               .n = (uint32_t)n + 1,
                               .u.floats = codes},
                              MAAS_A_FLOAT("default_float", -1)};
    maas_vid v = c->v;
    return pm_cast(p, maas_b_node(&p->b, "LabelEncoder", attr, 3, &v, 1, NULL, 1), MAAS_F64);
}

/* ---- tests ---- */

typedef struct test {
    maas_tree_node node;
    bool flipped;      /* the predicate is true where the node says no */
    bool always_known; /* isMissing and its opposite */
} test;

static maas_status simple_test(pm *p, pm_grove *g, const maas_xml *e, test *t)
{
    enum { EQUAL, NOT_EQUAL, IS_MISSING, IS_NOT_MISSING };
    static const char *const words[] = {"equal",        "notEqual",       "isMissing",
                                        "isNotMissing", "lessThan",       "lessOrEqual",
                                        "greaterThan",  "greaterOrEqual", NULL};
    static const uint8_t modes[] = {MAAS_SPLIT_EQ, MAAS_SPLIT_NEQ, MAAS_SPLIT_LEQ, MAAS_SPLIT_LEQ,
                                    MAAS_SPLIT_LT, MAAS_SPLIT_LEQ, MAAS_SPLIT_GT,  MAAS_SPLIT_GTE};
    const char *text = maas_xml_get(e, "value");
    pm_field *f;
    int op;
    MAAS_TRY(pm_field_find(p, e, "field", &f));
    MAAS_TRY(pm_word(p, e, "operator", words, -1, &op));
    MAAS_TRY(column_of(p, g, f->v, f->text, &t->node.feature));
    t->node.mode = modes[op];
    t->always_known = op == IS_MISSING || op == IS_NOT_MISSING;
    t->flipped = op == IS_MISSING; /* every number is at most infinity, NaN is not */
    t->node.split = INFINITY;
    if (t->always_known)
        return MAAS_OK;
    if (!text)
        return pm_missing(p, e, "value");
    if (f->text && op > IS_NOT_MISSING)
        return pm_fail(p, MAAS_E_UNSUPPORTED, e, "order of text");
    if (f->text)
        return code_of(p, &g->column[t->node.feature], text, &t->node.split);
    MAAS_TRY(pm_number(p, e, "value", &t->node.split));
    if (t->node.split != t->node.split)
        return pm_fail(p, MAAS_E_FORMAT, e, "value is NaN");
    if (f->single)
        t->node.split = (float)t->node.split;
    return MAAS_OK;
}

static maas_status set_test(pm *p, pm_grove *g, const maas_xml *e, test *t)
{
    static const char *const words[] = {"isIn", "isNotIn", NULL};
    pm_field *f;
    pm_classes set = {0};
    uint32_t at;
    int op;
    MAAS_TRY(pm_field_find(p, e, "field", &f));
    MAAS_TRY(pm_word(p, e, "booleanOperator", words, -1, &op));
    MAAS_TRY(pm_set_of(p, e, &set));
    MAAS_TRY(column_of(p, g, f->v, f->text, &t->node.feature));
    t->node.mode = MAAS_SPLIT_MEMBER;
    t->flipped = op == 1;
    t->node.count = (uint32_t)set.n;
    for (size_t i = 0; i < set.n; i++) {
        double v;
        if (f->text)
            MAAS_TRY(code_of(p, &g->column[t->node.feature], set.name[i], &v));
        else if (!pm_parse(set.name[i], &v) || v != v)
            return pm_fail(p, MAAS_E_FORMAT, e, "'%.40s' is no number", set.name[i]);
        MAAS_TRY(maas_forest_add_member(g->forest, v, &at, p->err));
        t->node.first = i ? t->node.first : at;
    }
    return MAAS_OK;
}

static maas_status compound_test(pm *p, pm_grove *g, const maas_xml *e, test *t)
{
    maas_vid v;
    MAAS_TRY(pm_predicate_value(p, e, &v));
    t->node.mode = MAAS_SPLIT_GTE;
    t->node.split = 0.5;
    return column_of(p, g, v, false, &t->node.feature);
}

static maas_status test_of(pm *p, pm_grove *g, const maas_xml *e, test *t)
{
    *t = (test){.node = {.yes = -1, .no = -1}};
    if (maas_xml_is(e, "SimplePredicate"))
        return simple_test(p, g, e, t);
    return maas_xml_is(e, "SimpleSetPredicate") ? set_test(p, g, e, t) : compound_test(p, g, e, t);
}

/* ---- nodes ---- */

static maas_status attach(pm *p, pm_grove *g, pm_edge at, int32_t node)
{
    if (at.node < 0)
        return maas_forest_add_tree(g->forest, node, p->err);
    *(at.yes ? &g->forest->nodes[at.node].yes : &g->forest->nodes[at.node].no) = node;
    return MAAS_OK;
}

static maas_status add_node(pm *p, pm_grove *g, const maas_tree_node *node, pm_edge at,
                            int32_t *out)
{
    MAAS_TRY(maas_forest_add_node(g->forest, node, out, p->err));
    return attach(p, g, at, *out);
}

static maas_status add_test(pm *p, pm_grove *g, test *t, pm_edge at, bool unknown_yes, pm_edge *yes,
                            pm_edge *no)
{
    int32_t i;
    t->node.missing_yes = !t->always_known && unknown_yes != t->flipped;
    MAAS_TRY(add_node(p, g, &t->node, at, &i));
    *yes = (pm_edge){i, !t->flipped};
    *no = (pm_edge){i, t->flipped};
    return MAAS_OK;
}

maas_status pm_grove_lean(pm *p, pm_grove *g, const maas_xml *predicate, pm_edge at,
                          bool unknown_yes, pm_edge *yes, pm_edge *no)
{
    test t;
    MAAS_TRY(test_of(p, g, predicate, &t));
    return add_test(p, g, &t, at, unknown_yes, yes, no);
}

maas_status pm_grove_test(pm *p, pm_grove *g, const maas_xml *predicate, pm_edge at, pm_edge *yes,
                          pm_edge *no, pm_edge *unknown)
{
    test t;
    int32_t i;
    *unknown = PM_NO_EDGE;
    MAAS_TRY(test_of(p, g, predicate, &t));
    if (!t.always_known) {
        const maas_tree_node known = {.feature = t.node.feature,
                                      .mode = MAAS_SPLIT_LEQ,
                                      .split = INFINITY,
                                      .yes = -1,
                                      .no = -1};
        MAAS_TRY(add_node(p, g, &known, at, &i));
        *unknown = (pm_edge){i, false};
        at = (pm_edge){i, true};
    }
    return add_test(p, g, &t, at, false, yes, no);
}

maas_status pm_grove_leaf(pm *p, pm_grove *g, pm_edge at, const pm_weight *w, size_t n)
{
    maas_tree_node leaf = {.mode = MAAS_SPLIT_LEAF, .count = (uint32_t)n};
    int32_t node;
    for (size_t i = 0; i < n; i++) {
        uint32_t k;
        if (w[i].target >= g->n_target)
            g->n_target = w[i].target + 1;
        MAAS_TRY(maas_forest_add_weight(g->forest, w[i].target, w[i].weight, &k, p->err));
        leaf.first = i ? leaf.first : k;
    }
    return add_node(p, g, &leaf, at, &node);
}

maas_vid pm_grove_sums(pm *p, pm_grove *g)
{
    const size_t n = g->n_column ? g->n_column : 1;
    maas_vid *columns = pm_alloc(p, n, sizeof *columns);
    if (!columns) {
        p->b.status = MAAS_E_NOMEM;
        return MAAS_NO_VALUE;
    }
    columns[0] = g->n_column ? MAAS_NO_VALUE : pm_full(p, pm_const(p, 0)); /* nothing is tested */
    for (size_t i = 0; i < g->n_column; i++)
        columns[i] = g->column[i].text ? encode(p, &g->column[i]) : g->column[i].v;
    g->forest->n_features = (int32_t)n;
    g->forest->n_targets = g->n_target;
    return maas_b_forest(&p->b, g->forest, pm_concat(p, columns, n), true);
}
