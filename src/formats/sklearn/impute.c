/*
 * What is missing: SimpleImputer and MissingIndicator. In numbers that is NaN or a number that
 * means it, in text the empty text or a word that means it.
 */
#include "formats/sklearn/impute.h"

#include "base/ban.h"

maas_status sk_missing_mark(maas_sk *s, const maas_pk *est, sk_mark *out)
{
    const maas_pk *v = maas_pk_attr(est, "missing_values");
    *out = (sk_mark){.number = NAN, .word = {"", 0}};
    if (maas_pk_to_str(v, &out->word))
        out->is_text = true;
    else if (maas_pk_kind_of(v) != MAAS_PK_NONE && !maas_pk_to_double(v, &out->number) &&
             !(maas_pk_kind_of(v) == MAAS_PK_OBJECT &&
               maas_pk_is_class(v, "pandas._libs.missing.NAType")))
        return maas_sk_fail(s, MAAS_E_FORMAT, "missing_values is %s", maas_pk_kind_text(v));
    return MAAS_OK;
}

static maas_vid missing_text(maas_sk *s, maas_vid x, const sk_mark *m)
{
    const maas_tensor t = maas_tensor_of(MAAS_STRING, 0, NULL, (void *)&m->word);
    return sk_op2(s, "Equal", x, maas_b_const(&s->b, NULL, &t));
}

maas_vid sk_missing_number(maas_sk *s, maas_vid x, const sk_mark *m)
{
    if (m->number == m->number)
        return sk_op2(s, "Equal", x, maas_sk_f64(s, m->number));
    return sk_op1(s, "IsNaN", x);
}

/* ---- MissingIndicator: 1 where a value is missing, for the features it knows ---- */

/* The columns that are shown; error_on_new does not matter to what comes out. */
static maas_status shown_features(maas_sk *s, const maas_pk *indicator, int64_t n,
                                  const int64_t **which, int64_t *n_which)
{
    const maas_tensor *t;
    *n_which = -1;
    MAAS_TRY(maas_sk_array(s, indicator, "features_", MAAS_I64, 1, n_which, &t));
    *which = t->data;
    for (int64_t i = 0; i < *n_which; i++)
        if ((*which)[i] < 0 || (*which)[i] >= n)
            return maas_sk_fail(s, MAAS_E_FORMAT, "features_[%lld] is %lld of %lld features",
                                (long long)i, (long long)(*which)[i], (long long)n);
    return MAAS_OK;
}

/* One column of 0 and 1 for each of `which`; text[i]: column i of `in` is text. */
static maas_status masks(maas_sk *s, const maas_sk_table *in, const sk_mark *m, const bool *text,
                         const int64_t *which, int64_t n_which, maas_vid *out)
{
    for (int64_t i = 0; i < n_which; i++) {
        const int64_t k = which[i];
        const bool is_text = m->is_text || (text && text[k]) || maas_sk_is_text(s, in, k);
        maas_vid gone = is_text ? missing_text(s, maas_sk_text_column(s, in, k), m)
                                : sk_missing_number(s, maas_sk_number_column(s, in, k), m);
        out[i] = sk_number(s, gone);
    }
    return s->b.status;
}

static maas_status missing_indicator(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                     unsigned need, maas_sk_out *out)
{
    int64_t n, n_which;
    const int64_t *which;
    sk_mark m;
    MAAS_TRY(sk_n_features(s, est, in, &n));
    MAAS_TRY(sk_missing_mark(s, est, &m));
    MAAS_TRY(shown_features(s, est, n, &which, &n_which));
    if (n_which == 0)
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "features_ is empty: nothing comes out");
    maas_vid *parts = maas_sk_alloc(s, (size_t)n_which, sizeof *parts);
    if (!parts)
        return s->b.status;
    MAAS_TRY(masks(s, in, &m, NULL, which, n_which, parts));
    return sk_give(s, out, maas_sk_concat(s, parts, (uint32_t)n_which, 1), n_which);
}

/* ---- SimpleImputer ---- */

/* What replaces missing values of each feature. */
typedef struct statistics {
    int64_t n;
    bool any_text;
    bool *text; /* [n] this one is a word */
    bool *drop; /* [n] nothing was seen: the feature goes */
    double *numbers;
    maas_str *words;
} statistics;

static maas_status statistics_of(maas_sk *s, const maas_pk *est, statistics *out)
{
    const maas_pk *v = maas_pk_attr(est, "statistics_");
    bool keep;
    MAAS_TRY(maas_sk_bool_or(s, est, "keep_empty_features", false, &keep));
    *out = (statistics){.n = sk_n_items(v)};
    if (out->n < 1)
        return maas_sk_fail(s, MAAS_E_FORMAT, "statistics_ is %s, expected an array",
                            maas_pk_kind_text(v));
    out->text = maas_sk_alloc(s, (size_t)out->n, sizeof *out->text);
    out->drop = maas_sk_alloc(s, (size_t)out->n, sizeof *out->drop);
    out->numbers = maas_sk_alloc(s, (size_t)out->n, sizeof *out->numbers);
    out->words = maas_sk_alloc(s, (size_t)out->n, sizeof *out->words);
    if (!out->text || !out->drop || !out->numbers || !out->words)
        return s->b.status;
    for (int64_t i = 0; i < out->n; i++) {
        out->numbers[i] = NAN;
        out->text[i] = sk_item_str(v, i, &out->words[i]);
        out->any_text |= out->text[i];
        if (!out->text[i] && !sk_item_double(v, i, &out->numbers[i]) &&
            maas_pk_kind_of(maas_pk_at(v, i)) != MAAS_PK_NONE)
            return maas_sk_fail(s, MAAS_E_FORMAT, "statistics_[%lld] is no number and no text",
                                (long long)i);
        out->drop[i] = !keep && !out->text[i] && out->numbers[i] != out->numbers[i];
    }
    return MAAS_OK;
}

/* Numbers alone: the whole matrix at once. */
static maas_status fill_matrix(maas_sk *s, const maas_sk_table *in, const sk_mark *m,
                               const statistics *st, maas_sk_table *out)
{
    maas_vid x = maas_sk_matrix(s, in, st->n);
    x = sk_op3(s, "Where", sk_missing_number(s, x, m), maas_sk_f64s(s, st->numbers, st->n), x);
    int64_t *kept = maas_sk_alloc(s, (size_t)st->n, sizeof *kept), n = 0;
    if (!kept)
        return s->b.status;
    for (int64_t i = 0; i < st->n; i++)
        if (!st->drop[i])
            kept[n++] = i;
    if (n == 0)
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "all features are empty: nothing comes out");
    *out = maas_sk_table_of(n < st->n ? maas_sk_gather(s, x, kept, n, 1) : x, n);
    return s->b.status;
}

static maas_status fill_columns(maas_sk *s, const maas_sk_table *in, const sk_mark *m,
                                const statistics *st, maas_sk_table *out)
{
    maas_vid *parts = maas_sk_alloc(s, (size_t)st->n, sizeof *parts);
    int64_t n = 0;
    for (int64_t i = 0; parts && i < st->n; i++) {
        if (st->drop[i])
            continue;
        if (st->text[i]) {
            const maas_tensor t = maas_tensor_of(MAAS_STRING, 0, NULL, &st->words[i]);
            maas_vid x = maas_sk_text_column(s, in, i);
            parts[n++] = sk_op3(s, "Where", missing_text(s, x, m), maas_b_const(&s->b, NULL, &t),
                                x);
        } else {
            maas_vid x = maas_sk_number_column(s, in, i);
            parts[n++] = sk_op3(s, "Where", sk_missing_number(s, x, m),
                                maas_sk_f64(s, st->numbers[i]), x);
        }
    }
    if (n == 0)
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "all features are empty: nothing comes out");
    return maas_sk_table_columns(s, parts, n, out);
}

maas_status sk_add_indicator(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                             const sk_mark *m, const bool *text, int64_t n, maas_sk_out *out)
{
    int64_t n_which;
    const int64_t *which;
    if (!maas_sk_has(est, "indicator_"))
        return MAAS_OK;
    MAAS_TRY(shown_features(s, maas_pk_attr(est, "indicator_"), n, &which, &n_which));
    if (n_which == 0)
        return MAAS_OK;
    maas_vid *parts = maas_sk_alloc(s, (size_t)n_which, sizeof *parts);
    if (!parts)
        return s->b.status;
    MAAS_TRY(masks(s, in, m, text, which, n_which, parts));
    const maas_sk_table both[] = {
        out->transformed,
        maas_sk_table_of(maas_sk_concat(s, parts, (uint32_t)n_which, 1), n_which)};
    return maas_sk_side_by_side(s, both, 2, &out->transformed);
}

static maas_status simple_imputer(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                  unsigned need, maas_sk_out *out)
{
    sk_mark m;
    statistics st;
    MAAS_TRY(sk_missing_mark(s, est, &m));
    MAAS_TRY(statistics_of(s, est, &st));
    if (in->n_cols >= 0 && in->n_cols != st.n)
        return maas_sk_fail(s, MAAS_E_FORMAT, "statistics_ has %lld numbers for %lld columns",
                            (long long)st.n, (long long)in->n_cols);
    MAAS_TRY((st.any_text ? fill_columns : fill_matrix)(s, in, &m, &st, &out->transformed));
    MAAS_TRY(sk_add_indicator(s, est, in, &m, st.any_text ? st.text : NULL, st.n, out));
    return s->b.status;
}

const maas_sk_row maas_sk_impute[] = {
    {"SimpleImputer", "sklearn.impute._base", MAAS_SK_TRANSFORMER, simple_imputer},
    {"MissingIndicator", "sklearn.impute._base", MAAS_SK_TRANSFORMER, missing_indicator},
    {0},
};
