/*
 * Transformers side by side, and targets that were transformed: ColumnTransformer, FeatureUnion,
 * TransformedTargetRegressor.
 */
#include "formats/sklearn/prep.h"

#include "base/ban.h"

/* transformer_weights[name] times what a transformer gave. */
static maas_status weigh(maas_sk *s, const maas_pk *est, maas_str name, maas_sk_table *t)
{
    const maas_pk *weights = maas_pk_attr(est, "transformer_weights");
    char key[128];
    double w;
    if (maas_pk_kind_of(weights) == MAAS_PK_NONE || name.n >= sizeof key)
        return MAAS_OK;
    memcpy(key, name.p, name.n);
    key[name.n] = 0;
    const maas_pk *v = maas_pk_get(weights, key);
    if (maas_pk_kind_of(v) == MAAS_PK_NONE)
        return MAAS_OK;
    if (!maas_pk_to_double(v, &w))
        return maas_sk_fail(s, MAAS_E_FORMAT, "transformer_weights['%s'] is %s", key,
                            maas_pk_kind_text(v));
    *t = maas_sk_table_of(sk_op2(s, "Mul", maas_sk_matrix(s, t, -1), maas_sk_f64(s, w)), t->n_cols);
    return s->b.status;
}

/* ---- ColumnTransformer ---- */

/* The numbers of the columns that transformer `name` takes. */
static maas_status columns_of(maas_sk *s, const maas_pk *est, maas_str name, int64_t n_in,
                              int64_t **out, int64_t *n)
{
    const maas_pk *all = maas_pk_attr(est, "_transformer_to_input_indices"), *list = NULL;
    maas_str key;
    for (int64_t i = 0; i < maas_pk_count(all) && !list; i++)
        if (maas_pk_to_str(maas_pk_key(all, i), &key) && key.n == name.n &&
            memcmp(key.p, name.p, key.n) == 0)
            list = maas_pk_at(all, i);
    *n = sk_n_items(list);
    if (*n < 0)
        return maas_sk_fail(s, MAAS_E_FORMAT,
                            "_transformer_to_input_indices does not list the columns of '%.*s'",
                            (int)(name.n < 60 ? name.n : 60), name.p);
    *out = maas_sk_alloc(s, (size_t)*n, sizeof **out);
    if (!*out)
        return s->b.status;
    for (int64_t i = 0; i < *n; i++) {
        double v;
        if (!sk_item_double(list, i, &v) || !(v >= 0 && v < (double)n_in))
            return maas_sk_fail(s, MAAS_E_FORMAT, "'%.*s' takes a column that is not there",
                                (int)(name.n < 60 ? name.n : 60), name.p);
        (*out)[i] = (int64_t)v;
    }
    return MAAS_OK;
}

/* One (name, transformer, columns); gives nothing for "drop" and for no columns. */
static maas_status column_part(maas_sk *s, const maas_pk *est, const maas_pk *entry, int64_t i,
                               const maas_sk_table *in, int64_t n_in, maas_sk_table *out)
{
    const maas_pk *transformer = maas_pk_at(entry, 1);
    maas_str name;
    int64_t *which, n;
    *out = (maas_sk_table){0};
    if (!maas_pk_to_str(maas_pk_at(entry, 0), &name))
        return maas_sk_fail(s, MAAS_E_FORMAT, "transformers_[%lld] has no name", (long long)i);
    if (maas_sk_is_word(transformer, "drop"))
        return MAAS_OK;
    MAAS_TRY(columns_of(s, est, name, n_in, &which, &n));
    if (n == 0)
        return MAAS_OK;
    maas_sk_table some;
    MAAS_TRY(maas_sk_take(s, in, which, n, &some));
    if (maas_sk_is_word(transformer, "passthrough")) {
        *out = some;
    } else {
        maas_sk_out got;
        MAAS_TRY(maas_sk_decode(s, transformer, &some, MAAS_SK_TRANSFORMED, &got,
                                "transformers_[%lld] '%.*s'", (long long)i,
                                (int)(name.n < 60 ? name.n : 60), name.p));
        *out = got.transformed;
    }
    return weigh(s, est, name, out);
}

static maas_status column_transformer(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                      unsigned need, maas_sk_out *out)
{
    const maas_pk *list = maas_pk_attr(est, "transformers_");
    const int64_t n = maas_pk_count(list);
    int64_t n_in, n_parts = 0;
    MAAS_TRY(sk_n_features(s, est, in, &n_in));
    if (n < 1)
        return maas_sk_fail(s, MAAS_E_FORMAT, "transformers_ is %s, expected a list",
                            maas_pk_kind_text(list));
    maas_sk_table *parts = maas_sk_alloc(s, (size_t)n, sizeof *parts);
    if (!parts)
        return s->b.status;
    for (int64_t i = 0; i < n; i++) {
        MAAS_TRY(column_part(s, est, maas_pk_at(list, i), i, in, n_in, &parts[n_parts]));
        n_parts += parts[n_parts].n_cols != 0;
    }
    if (n_parts == 0)
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "all columns are dropped: nothing comes out");
    MAAS_TRY(maas_sk_side_by_side(s, parts, n_parts, &out->transformed));
    return s->b.status;
}

/* ---- FeatureUnion ---- */

static maas_status feature_union(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                 unsigned need, maas_sk_out *out)
{
    const maas_pk *list = maas_pk_attr(est, "transformer_list");
    const int64_t n = maas_pk_count(list);
    int64_t n_parts = 0;
    maas_sk_table *parts = maas_sk_alloc(s, (size_t)n, sizeof *parts);
    if (!parts)
        return s->b.status;
    for (int64_t i = 0; i < n; i++) {
        const maas_pk *entry = maas_pk_at(list, i), *transformer = maas_pk_at(entry, 1);
        maas_sk_out got = {.transformed = *in};
        maas_str name;
        if (!maas_pk_to_str(maas_pk_at(entry, 0), &name))
            return maas_sk_fail(s, MAAS_E_FORMAT, "transformer_list[%lld] has no name",
                                (long long)i);
        if (maas_sk_is_word(transformer, "drop"))
            continue;
        if (!maas_sk_is_word(transformer, "passthrough"))
            MAAS_TRY(maas_sk_decode(s, transformer, in, MAAS_SK_TRANSFORMED, &got,
                                    "transformer_list[%lld] '%.*s'", (long long)i,
                                    (int)(name.n < 60 ? name.n : 60), name.p));
        parts[n_parts] = got.transformed;
        MAAS_TRY(weigh(s, est, name, &parts[n_parts++]));
    }
    if (n_parts == 0)
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "all parts are dropped: nothing comes out");
    MAAS_TRY(maas_sk_side_by_side(s, parts, n_parts, &out->transformed));
    return s->b.status;
}

/* ---- TransformedTargetRegressor ---- */

static maas_status transformed_target(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                      unsigned need, maas_sk_out *out)
{
    MAAS_TRY(
        maas_sk_decode(s, maas_pk_attr(est, "regressor_"), in, MAAS_SK_VALUE, out, "regressor_"));
    const maas_type *t = maas_b_type(&s->b, out->value);
    if (!t || s->b.status != MAAS_OK)
        return s->b.status;
    const bool flat = t->rank == 1;
    maas_vid y = flat ? maas_sk_upright(s, out->value) : out->value;
    MAAS_TRY(sk_unscale(s, maas_pk_attr(est, "transformer_"), y, &y));
    out->value = flat ? maas_sk_flat(s, y) : y;
    return s->b.status;
}

const maas_sk_row maas_sk_compose[] = {
    {"ColumnTransformer", "sklearn.compose._column_transformer", MAAS_SK_TRANSFORMER,
     column_transformer},
    {"FeatureUnion", "sklearn.pipeline", MAAS_SK_TRANSFORMER, feature_union},
    {"TransformedTargetRegressor", "sklearn.compose._target", MAAS_SK_REGRESSOR,
     transformed_target},
    {0},
};
