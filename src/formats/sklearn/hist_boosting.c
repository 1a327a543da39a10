/*
 * formats/sklearn/hist_boosting.c - HistGradientBoostingClassifier and -Regressor.
 *
 *   raw = baseline + sums of the trees; x is compared in F64; NaN follows missing_go_to_left
 *
 * Categories are whole numbers: those of the file's encoder (1.4 and later), else of the rows
 * themselves, and what is not one of the training rows' counts as missing.
 */
#include "base/mem.h"
#include "formats/sklearn/hist_tree.h"
#include "formats/sklearn/parts.h"
#include "formats/sklearn/tree.h"

#include "base/ban.h"

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

/* ---- trees ---- */

static maas_status grow(maas_sk *s, const maas_pk *est, int64_t n_raw,
                        const maas_sk_categories *known, maas_forest *f)
{
    const maas_pk *rounds;
    int64_t n;
    MAAS_TRY(maas_sk_items(s, est, "_predictors", &rounds, &n));
    for (int64_t r = 0; r < n; r++) {
        const maas_pk *round = maas_pk_at(rounds, r);
        if (maas_pk_count(round) != n_raw)
            return maas_sk_fail(s, MAAS_E_FORMAT, "_predictors[%lld] has %lld trees, expected %lld",
                                (long long)r, (long long)maas_pk_count(round), (long long)n_raw);
        for (int64_t k = 0; k < n_raw; k++)
            MAAS_TRY(maas_sk_hist_tree_add(s, maas_pk_at(round, k), r, k, known, f));
    }
    return MAAS_OK;
}

/* ---- columns ---- */

static maas_status read_known(maas_sk *s, const maas_pk *mapper, int64_t n_features,
                              maas_sk_categories **out)
{
    const maas_tensor *is, *v;
    int64_t dims[1] = {n_features};
    if (!maas_sk_has(mapper, "is_categorical_"))
        return MAAS_OK;
    MAAS_TRY(maas_sk_array(s, mapper, "is_categorical_", MAAS_I64, 1, dims, &is));
    const maas_pk *list = maas_pk_attr(mapper, "bin_thresholds_");
    maas_sk_categories *known = maas_sk_alloc(s, (size_t)n_features, sizeof *known);
    if (!known)
        return s->b.status;
    for (int64_t i = 0; i < n_features; i++) {
        if (((const int64_t *)is->data)[i] == 0)
            continue;
        MAAS_TRY(maas_sk_array_of(s, maas_pk_at(list, i), "_bin_mapper.bin_thresholds_", MAAS_F64,
                                  1, NULL, false, &v));
        for (int64_t j = 0; j < v->dims[0]; j++) {
            const double c = maas_sk_f64_of(v)[j];
            if (!(c >= 0 && c < MAAS_SK_MAX_CATEGORIES))
                return maas_sk_fail(s, MAAS_E_FORMAT,
                                    "_bin_mapper.bin_thresholds_[%lld] has the category %g, "
                                    "expected 0 to 255",
                                    (long long)i, c);
            known[i].words[(int)c / 32] |= 1u << ((int)c % 32);
        }
    }
    *out = known;
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
    maas_sk_categories *known = NULL;
    MAAS_TRY(read_known(s, maas_pk_attr(est, "_bin_mapper"), n_features, &known));
    MAAS_TRY(grow(s, est, n_raw, known, f));
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
