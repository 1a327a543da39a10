/*
 * formats/sklearn/hist_boosting.c - HistGradientBoostingClassifier and -Regressor.
 *
 *   raw = baseline + sums of the trees; x is compared in F64; NaN follows missing_go_to_left
 *
 * A categorical split is a set of categories that go left. Categories the training rows did not
 * have, and negative ones, count as missing; so a node whose missing values go left is said as the
 * set of the known categories that go right. Categories are whole numbers: those of the file's
 * encoder (1.4 and later), else of the rows themselves.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "formats/sklearn/parts.h"
#include "formats/sklearn/tree.h"

#include "base/ban.h"

enum { MAX_CATEGORIES = 256, SET_WORDS = MAX_CATEGORIES / 32 };

/* ---- losses ---- */

typedef enum link_kind { IDENTITY, EXPONENTIAL, SIGMOID, SOFTMAX } link_kind;
static const struct {
    const char *name;
    link_kind link;
} losses[] = {
    {"AbsoluteError", IDENTITY},
    {"BinaryCrossEntropy", SIGMOID},
    {"CategoricalCrossEntropy", SOFTMAX},
    {"HalfBinomialLoss", SIGMOID},
    {"HalfGammaLoss", EXPONENTIAL},
    {"HalfMultinomialLoss", SOFTMAX},
    {"HalfPoissonLoss", EXPONENTIAL},
    {"HalfSquaredError", IDENTITY},
    {"LeastAbsoluteDeviation", IDENTITY},
    {"LeastSquares", IDENTITY},
    {"PinballLoss", IDENTITY},
    {"Poisson", EXPONENTIAL},
};

static maas_status find_link(maas_sk *s, const maas_pk *est, bool classes, link_kind *out)
{
    const maas_pk *v = maas_pk_attr(est, maas_sk_has(est, "_loss") ? "_loss" : "loss_");
    for (size_t i = 0; i < MAAS_COUNT(losses); i++)
        if (maas_sk_is(v, losses[i].name) && classes == (losses[i].link >= SIGMOID)) {
            *out = losses[i].link;
            return MAAS_OK;
        }
    return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "_loss is %s, which is not known",
                        maas_pk_kind_text(v));
}

/* ---- one predictor ---- */

typedef struct predictor {
    maas_arena arena;
    int64_t n_nodes, n_sets;
    const double *value, *threshold, *count;
    const int64_t *feature, *left, *right, *set;
    const uint8_t *missing_left, *is_leaf, *is_categorical;
    const int64_t *sets; /* [n_sets][SET_WORDS] of uint32 */
    char place[56];      /* "_predictors[3][0]" */
} predictor;

#define AT(f) offsetof(predictor, f)
static const struct {
    const char *name;
    maas_dtype dtype;
    size_t offset;
} fields[] = {
    {"value", MAAS_F64, AT(value)},
    {"count", MAAS_F64, AT(count)},
    {"feature_idx", MAAS_I64, AT(feature)},
    {"num_threshold", MAAS_F64, AT(threshold)},
    {"missing_go_to_left", MAAS_U8, AT(missing_left)},
    {"left", MAAS_I64, AT(left)},
    {"right", MAAS_I64, AT(right)},
    {"is_leaf", MAAS_U8, AT(is_leaf)},
    {"is_categorical", MAAS_U8, AT(is_categorical)},
    {"bitset_idx", MAAS_I64, AT(set)},
};
#undef AT

static void predictor_reset(predictor *p)
{
    maas_arena_reset(&p->arena);
}

static maas_status read_fields(maas_sk *s, const maas_pk *v, predictor *p)
{
    const maas_pk *nodes = maas_pk_attr(v, "nodes");
    p->n_nodes = -1;
    for (size_t i = 0; i < MAAS_COUNT(fields); i++) {
        maas_tensor column;
        maas_err why = {0};
        maas_status st = maas_pk_array_field(nodes, fields[i].name, fields[i].dtype, &p->arena,
                                             &column, &why);
        if (st != MAAS_OK)
            return maas_sk_fail(s, st, "%s.nodes: %s", p->place, why.msg);
        if (column.rank != 1 || column.dims[0] < 1 ||
            (p->n_nodes >= 0 && column.dims[0] != p->n_nodes))
            return maas_sk_fail(s, MAAS_E_FORMAT, "%s.nodes is no list of nodes", p->place);
        p->n_nodes = column.dims[0];
        memcpy((char *)p + fields[i].offset, &column.data, sizeof column.data);
    }
    return MAAS_OK;
}

/* Only a tree that splits categories has sets. */
static maas_status read_sets(maas_sk *s, const maas_pk *v, predictor *p)
{
    bool wanted = false;
    for (int64_t i = 0; i < p->n_nodes; i++)
        wanted = wanted || (!p->is_leaf[i] && p->is_categorical[i]);
    if (!wanted)
        return MAAS_OK;
    int64_t dims[2] = {-1, SET_WORDS};
    const maas_tensor *t;
    MAAS_TRY(maas_sk_array(s, v, "raw_left_cat_bitsets", MAAS_I64, 2, dims, &t));
    p->sets = t->data;
    p->n_sets = dims[0];
    return MAAS_OK;
}

static maas_status check_node(maas_sk *s, const predictor *p, int64_t i, int64_t n_features)
{
    if (p->is_leaf[i])
        return isfinite(p->value[i])
                   ? MAAS_OK
                   : maas_sk_fail(s, MAAS_E_FORMAT, "%s.nodes[%lld]: the value is not finite",
                                  p->place, (long long)i);
    const char *wrong = NULL;
    if (p->left[i] <= i || p->left[i] >= p->n_nodes || p->right[i] <= i ||
        p->right[i] >= p->n_nodes)
        wrong = "its children are not among the nodes after it";
    else if (p->feature[i] < 0 || p->feature[i] >= n_features)
        wrong = "it splits a feature that is not there";
    else if (p->is_categorical[i] && (p->set[i] < 0 || p->set[i] >= p->n_sets))
        wrong = "its set of categories is not there";
    else if (!p->is_categorical[i] && isnan(p->threshold[i]))
        wrong = "the threshold is NaN";
    return wrong
               ? maas_sk_fail(s, MAAS_E_FORMAT, "%s.nodes[%lld]: %s", p->place, (long long)i, wrong)
               : MAAS_OK;
}

static maas_status predictor_read(maas_sk *s, const maas_pk *v, int64_t round, int64_t k,
                                  int64_t n_features, predictor *p)
{
    *p = (predictor){0};
    maas_arena_init(&p->arena, s->arena->budget);
    snprintf(p->place, sizeof p->place, "_predictors[%lld][%lld]", (long long)round, (long long)k);
    MAAS_TRY(read_fields(s, v, p));
    MAAS_TRY(read_sets(s, v, p));
    for (int64_t i = 0; i < p->n_nodes; i++)
        MAAS_TRY(check_node(s, p, i, n_features));
    return MAAS_OK;
}

/* ---- the forest ---- */

typedef struct known {
    uint32_t words[SET_WORDS]; /* categories of a column that training rows had */
} known;

typedef struct growth {
    maas_forest *f;
    known *known; /* [n_features]; NULL: no categorical features */
    maas_err *why;
} growth;

/* Yes is "in the set": the categories going left, or the known others when the rest goes left. */
static maas_status categorical_node(const predictor *p, int64_t i, int32_t base, growth *g,
                                    maas_tree_node *n)
{
    const int64_t *set = p->sets + p->set[i] * SET_WORDS;
    const known *k = &g->known[p->feature[i]];
    const bool others = p->missing_left[i];
    n->mode = MAAS_SPLIT_MEMBER;
    n->yes = base + (int32_t)(others ? p->right[i] : p->left[i]);
    n->no = base + (int32_t)(others ? p->left[i] : p->right[i]);
    n->first = g->f->n_members;
    for (int c = 0; c < MAX_CATEGORIES; c++) {
        const bool left = (uint32_t)set[c / 32] >> (c % 32) & 1;
        const bool is_known = k->words[c / 32] >> (c % 32) & 1;
        if (others ? left || !is_known : !left)
            continue;
        MAAS_TRY(maas_forest_add_member(g->f, c, NULL, g->why));
        n->count++;
    }
    if (n->count == 0) { /* nobody: below every number */
        n->mode = MAAS_SPLIT_LEQ;
        n->split = -INFINITY;
    }
    return MAAS_OK;
}

static maas_status add_node(const predictor *p, int64_t i, int32_t target, int32_t base, growth *g)
{
    maas_tree_node n = {.cover = (float)p->count[i], .mode = MAAS_SPLIT_LEAF};
    if (p->is_leaf[i]) {
        n.count = 1;
        MAAS_TRY(maas_forest_add_weight(g->f, target, p->value[i], &n.first, g->why));
        return maas_forest_add_node(g->f, &n, NULL, g->why);
    }
    n.feature = (int32_t)p->feature[i];
    if (p->is_categorical[i]) {
        MAAS_TRY(categorical_node(p, i, base, g, &n));
    } else {
        n.mode = MAAS_SPLIT_LEQ;
        n.split = p->threshold[i];
        n.yes = base + (int32_t)p->left[i];
        n.no = base + (int32_t)p->right[i];
        n.missing_yes = p->missing_left[i];
    }
    return maas_forest_add_node(g->f, &n, NULL, g->why);
}

static maas_status add_predictor(maas_sk *s, const predictor *p, int32_t target, growth *g)
{
    maas_err why = {0};
    g->why = &why;
    if (p->n_nodes > INT32_MAX - (int64_t)g->f->n_nodes)
        return maas_sk_fail(s, MAAS_E_TOO_LARGE, "the trees have too many nodes");
    if (p->n_sets && !g->known)
        return maas_sk_fail(s, MAAS_E_FORMAT, "%s splits categories, but no feature has them",
                            p->place);
    const int32_t base = (int32_t)g->f->n_nodes;
    maas_status st = MAAS_OK;
    for (int64_t i = 0; i < p->n_nodes && st == MAAS_OK; i++)
        st = add_node(p, i, target, base, g);
    if (st == MAAS_OK)
        st = maas_forest_add_tree(g->f, base, &why);
    return st == MAAS_OK ? MAAS_OK : maas_sk_fail(s, st, "%s: %s", p->place, why.msg);
}

static maas_status grow(maas_sk *s, const maas_pk *est, int64_t n_raw, growth *g)
{
    const maas_pk *rounds;
    int64_t n;
    MAAS_TRY(maas_sk_items(s, est, "_predictors", &rounds, &n));
    for (int64_t r = 0; r < n; r++) {
        const maas_pk *round = maas_pk_at(rounds, r);
        if (maas_pk_count(round) != n_raw)
            return maas_sk_fail(s, MAAS_E_FORMAT, "_predictors[%lld] has %lld trees, expected %lld",
                                (long long)r, (long long)maas_pk_count(round), (long long)n_raw);
        for (int64_t k = 0; k < n_raw; k++) {
            AUTO(predictor_reset) predictor p = {0};
            MAAS_TRY(predictor_read(s, maas_pk_at(round, k), r, k, g->f->n_features, &p));
            MAAS_TRY(add_predictor(s, &p, (int32_t)k, g));
        }
    }
    return MAAS_OK;
}

/* ---- columns ---- */

static maas_status read_known(maas_sk *s, const maas_pk *mapper, int64_t n_features, growth *g)
{
    const maas_tensor *is, *v;
    int64_t dims[1] = {n_features};
    if (!maas_sk_has(mapper, "is_categorical_"))
        return MAAS_OK;
    MAAS_TRY(maas_sk_array(s, mapper, "is_categorical_", MAAS_I64, 1, dims, &is));
    const maas_pk *list = maas_pk_attr(mapper, "bin_thresholds_");
    g->known = maas_sk_alloc(s, (size_t)n_features, sizeof *g->known);
    if (!g->known)
        return s->b.status;
    for (int64_t i = 0; i < n_features; i++) {
        if (((const int64_t *)is->data)[i] == 0)
            continue;
        MAAS_TRY(maas_sk_array_of(s, maas_pk_at(list, i), "_bin_mapper.bin_thresholds_", MAAS_F64,
                                  1, NULL, false, &v));
        for (int64_t j = 0; j < v->dims[0]; j++) {
            const double c = maas_sk_f64_of(v)[j];
            if (!(c >= 0 && c < MAX_CATEGORIES))
                return maas_sk_fail(s, MAAS_E_FORMAT,
                                    "_bin_mapper.bin_thresholds_[%lld] has the category %g, "
                                    "expected 0 to 255",
                                    (long long)i, c);
            g->known[i].words[(int)c / 32] |= 1u << ((int)c % 32);
        }
    }
    return MAAS_OK;
}

/* transformers_ of a ColumnTransformer, by name. */
static const maas_pk *step(const maas_pk *columns, const char *name)
{
    const maas_pk *list = maas_pk_attr(columns, "transformers_");
    for (int64_t i = 0; i < maas_pk_count(list); i++)
        if (maas_sk_is_word(maas_pk_at(maas_pk_at(list, i), 0), name))
            return maas_pk_at(maas_pk_at(list, i), 1);
    return NULL;
}

/* Categories out of the encoder first, then the other columns as they are. */
static maas_status encoded(maas_sk *s, const maas_pk *est, const maas_pk *columns,
                           const maas_sk_table *in, maas_sk_table *out)
{
    const maas_tensor *is;
    int64_t n_features, n[2] = {0, 0};
    MAAS_TRY(maas_sk_int(s, est, "_n_features", &n_features));
    MAAS_TRY(maas_sk_array(s, est, "is_categorical_", MAAS_I64, 1, &n_features, &is));
    int64_t *which = maas_sk_alloc(s, (size_t)n_features * 2, sizeof *which);
    if (!which)
        return s->b.status;
    for (int64_t i = 0; i < n_features; i++) {
        const int kind = ((const int64_t *)is->data)[i] == 0;
        which[kind * n_features + n[kind]++] = i;
    }
    maas_sk_table categories, parts[2];
    maas_sk_out o;
    MAAS_TRY(maas_sk_take(s, in, which, n[0], &categories));
    MAAS_TRY(maas_sk_decode(s, step(columns, "encoder"), &categories, MAAS_SK_TRANSFORMED, &o,
                            "_preprocessor.transformers_ 'encoder'"));
    parts[0] = o.transformed;
    if (n[1] == 0) {
        *out = parts[0];
        return MAAS_OK;
    }
    MAAS_TRY(maas_sk_take(s, in, which + n_features, n[1], &parts[1]));
    return maas_sk_side_by_side(s, parts, 2, out);
}

/* Rows as the trees see them: since 1.4 categories are encoded. */
static maas_status rows(maas_sk *s, const maas_pk *est, const maas_sk_table *in, int64_t n_features,
                        maas_vid *out)
{
    const maas_pk *columns = maas_pk_attr(est, "_preprocessor");
    maas_sk_table seen = *in;
    if (!maas_sk_is_word(columns, NULL))
        MAAS_TRY(encoded(s, est, columns, in, &seen));
    *out = maas_sk_matrix(s, &seen, n_features);
    return s->b.status;
}

static maas_status baseline(maas_sk *s, const maas_pk *est, int64_t n_raw, maas_vid *out)
{
    const maas_tensor *t;
    const maas_pk *v = maas_pk_attr(est, "_baseline_prediction");
    const maas_tensor *given = maas_pk_array(v);
    MAAS_TRY(maas_sk_array_of(s, v, "_baseline_prediction", MAAS_F64, given ? given->rank : 0, NULL,
                              false, &t));
    if (maas_n_elems(t) != n_raw)
        return maas_sk_fail(s, MAAS_E_FORMAT,
                            "_baseline_prediction has %lld numbers, expected %lld",
                            (long long)maas_n_elems(t), (long long)n_raw);
    *out = maas_sk_f64s(s, t->data, n_raw);
    return s->b.status;
}

/* [n, n_raw] */
static maas_status raw_scores(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                              int64_t n_raw, maas_vid *out)
{
    AUTO(maas_sk_auto_forest) maas_forest *f = NULL;
    int64_t n_features;
    maas_vid x = MAAS_NO_VALUE, start = MAAS_NO_VALUE;
    MAAS_TRY(maas_sk_int(s, est, "_n_features", &n_features));
    MAAS_TRY(maas_sk_forest_create(s, n_features, n_raw, &f));
    growth g = {.f = f};
    MAAS_TRY(read_known(s, maas_pk_attr(est, "_bin_mapper"), n_features, &g));
    MAAS_TRY(grow(s, est, n_raw, &g));
    MAAS_TRY(rows(s, est, in, n_features, &x));
    MAAS_TRY(baseline(s, est, n_raw, &start));
    *out = MAAS_SK_ADD(s, start, maas_sk_forest_run(s, f, x));
    return s->b.status;
}

/* ---- answers ---- */

static maas_status classifier(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                              unsigned need, maas_sk_out *out)
{
    link_kind l;
    maas_builder *b = &s->b;
    MAAS_TRY(find_link(s, est, true, &l));
    MAAS_TRY(maas_sk_classes(s, est, "classes_", -1, &out->classes));
    const int64_t n_classes = out->classes->dims[0];
    if (n_classes < 2 || (l == SIGMOID && n_classes != 2))
        return maas_sk_fail(s, MAAS_E_FORMAT, "classes_ has %lld items, which the loss cannot have",
                            (long long)n_classes);
    MAAS_TRY(raw_scores(s, est, in, l == SIGMOID ? 1 : n_classes, &out->scores));
    if (l == SOFTMAX) {
        out->probabilities = maas_sk_softmax(s, out->scores);
        out->label = maas_sk_label(s, maas_sk_argmax(s, out->scores), out->classes);
        return b->status;
    }
    out->probabilities = maas_sk_both(s, maas_b_op1(b, "Sigmoid", out->scores));
    maas_vid second = maas_b_op2(b, "Greater", maas_sk_flat(s, out->scores), maas_sk_f64(s, 0));
    out->label = maas_sk_label(s, second, out->classes);
    return b->status;
}

static maas_status regressor(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                             maas_sk_out *out)
{
    link_kind l;
    maas_vid raw;
    MAAS_TRY(find_link(s, est, false, &l));
    MAAS_TRY(raw_scores(s, est, in, 1, &raw));
    if (l == EXPONENTIAL)
        raw = maas_b_op1(&s->b, "Exp", raw);
    out->value = maas_sk_flat(s, raw);
    return s->b.status;
}

#define HIST "sklearn.ensemble._hist_gradient_boosting.gradient_boosting"
const maas_sk_row maas_sk_hist_boosting[] = {
    {"HistGradientBoostingClassifier", HIST, MAAS_SK_CLASSIFIER, classifier},
    {"HistGradientBoostingRegressor", HIST, MAAS_SK_REGRESSOR, regressor},
    {0},
};
