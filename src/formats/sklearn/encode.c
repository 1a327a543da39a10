/*
 * Encoders of categories: OneHotEncoder, OrdinalEncoder, TargetEncoder, LabelEncoder,
 * LabelBinarizer.
 *
 * Each value is looked up among the categories of its column (LabelEncoder of ai.onnx.ml), which
 * gives its place, or the number of categories for a value that is not known. A table then says
 * what a place becomes. Where the model refuses unknown values, the table ends before that place:
 * Gather fails, there and in any other runtime, and the name of the node says which column it was.
 */
#include "formats/sklearn/prep.h"

#include "base/ban.h"

/* ---- what all encoders have ---- */

typedef struct encoder {
    int64_t n; /* columns */
    const maas_pk *categories;
    bool infrequent;         /* rare categories are grouped */
    const maas_pk *mappings; /* of that, one a column, or None */
} encoder;

static maas_status encoder_of(maas_sk *s, const maas_pk *est, const maas_sk_table *in, encoder *e)
{
    *e = (encoder){.categories = maas_pk_attr(est, "categories_")};
    e->n = sk_n_items(e->categories);
    if (e->n < 1)
        return maas_sk_fail(s, MAAS_E_FORMAT, "categories_ is %s, expected a list",
                            maas_pk_kind_text(e->categories));
    if (in->n_cols >= 0 && in->n_cols != e->n)
        return maas_sk_fail(s, MAAS_E_FORMAT, "categories_ has %lld lists for %lld columns",
                            (long long)e->n, (long long)in->n_cols);
    e->mappings = maas_pk_attr(est, "_default_to_infrequent_mappings");
    return maas_sk_bool_or(s, est, "_infrequent_enabled", false, &e->infrequent);
}

/* The group of each of n categories: group[i] is i where nothing is grouped. last: of the rare
 * ones, -1 when there are none. */
static maas_status groups_of(maas_sk *s, const encoder *e, int64_t col, int64_t n, int64_t *group,
                             int64_t *last)
{
    const maas_pk *v = e->infrequent ? maas_pk_at(e->mappings, col) : NULL;
    const maas_tensor *t;
    *last = -1;
    for (int64_t i = 0; i < n; i++)
        group[i] = i;
    if (maas_pk_kind_of(v) == MAAS_PK_NONE)
        return MAAS_OK;
    MAAS_TRY(maas_sk_array_of(s, v, "_default_to_infrequent_mappings", MAAS_I64, 1, &n, false, &t));
    for (int64_t i = 0; i < n; i++) {
        group[i] = ((const int64_t *)t->data)[i];
        if (group[i] < 0 || group[i] >= n)
            return maas_sk_fail(s, MAAS_E_FORMAT,
                                "_default_to_infrequent_mappings[%lld] has a group %lld",
                                (long long)col, (long long)group[i]);
        *last = group[i] > *last ? group[i] : *last;
    }
    return MAAS_OK;
}

/* ---- OneHotEncoder ---- */

enum { UNKNOWN_ERROR, UNKNOWN_IGNORE, UNKNOWN_INFREQUENT, UNKNOWN_WARN, UNKNOWN_VALUE };
static const char *const unknown_words[] = {
    "error", "ignore", "infrequent_if_exist", "warn", "use_encoded_value", NULL};

/* Which group of column `col` is dropped; -1: none. */
static maas_status dropped_of(maas_sk *s, const maas_pk *est, int64_t col, int64_t *out)
{
    double number;
    const maas_pk *v = maas_pk_attr(est, "_drop_idx_after_grouping");
    v = v ? v : maas_pk_attr(est, "drop_idx_");
    *out = -1;
    if (maas_pk_kind_of(v) == MAAS_PK_NONE)
        return MAAS_OK;
    if (sk_item_double(v, col, &number) && number >= 0 && number < 1e15)
        *out = (int64_t)number;
    else if (maas_pk_kind_of(maas_pk_at(v, col)) != MAAS_PK_NONE || col >= sk_n_items(v))
        return maas_sk_fail(s, MAAS_E_FORMAT, "drop_idx_[%lld] is no number", (long long)col);
    return MAAS_OK;
}

/* Where each category goes among the columns that come out; `width` for those that set none. */
static maas_status one_hot_targets(maas_sk *s, const maas_pk *est, const encoder *e, int64_t col,
                                   int64_t n, int unknown, int64_t *target, int64_t *width)
{
    int64_t last, drop, most = -1;
    MAAS_TRY(groups_of(s, e, col, n, target, &last));
    MAAS_TRY(dropped_of(s, est, col, &drop));
    for (int64_t i = 0; i < n; i++)
        most = target[i] > most ? target[i] : most;
    if (drop > most)
        return maas_sk_fail(s, MAAS_E_FORMAT, "drop_idx_[%lld] is %lld of %lld", (long long)col,
                            (long long)drop, (long long)most + 1);
    *width = most + 1 - (drop >= 0);
    target[n] = (unknown == UNKNOWN_INFREQUENT || unknown == UNKNOWN_WARN) && last >= 0 ? last : -1;
    for (int64_t i = 0; i <= n; i++) {
        if (target[i] == drop || target[i] < 0)
            target[i] = *width;
        else if (drop >= 0 && target[i] > drop)
            target[i]--;
    }
    return MAAS_OK;
}

static maas_status one_hot_column(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                  const encoder *e, int64_t col, int unknown, int64_t *width,
                                  maas_vid *out)
{
    sk_categories c;
    const char *column = sk_column_text(s, est, col);
    MAAS_TRY(sk_categories_of(s, maas_pk_at(e->categories, col), column, &c));
    int64_t *target = maas_sk_alloc(s, (size_t)c.n + 1, sizeof *target);
    if (!target)
        return s->b.status;
    MAAS_TRY(one_hot_targets(s, est, e, col, c.n, unknown, target, width));
    if (*width == 0 && unknown != UNKNOWN_ERROR)
        return MAAS_OK;
    maas_vid table = sk_i64s(s, target, c.n + (unknown != UNKNOWN_ERROR));
    maas_vid place = sk_by_category(s, sk_category(s, in, col, &c), table, column);
    if (*width)
        *out = sk_number(s, sk_op2(s, "Equal", place, sk_range(s, *width)));
    return s->b.status;
}

static maas_status one_hot(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                           maas_sk_out *out)
{
    encoder e;
    int unknown;
    int64_t all = 0;
    uint32_t n = 0;
    MAAS_TRY(encoder_of(s, est, in, &e));
    MAAS_TRY(maas_sk_word(s, est, "handle_unknown", unknown_words, UNKNOWN_ERROR, &unknown));
    maas_vid *parts = maas_sk_alloc(s, (size_t)e.n, sizeof *parts);
    if (!parts)
        return s->b.status;
    for (int64_t i = 0; i < e.n; i++) {
        int64_t width;
        MAAS_TRY(one_hot_column(s, est, in, &e, i, unknown, &width, &parts[n]));
        n += width > 0;
        all += width;
    }
    if (n == 0)
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "all categories are dropped: nothing comes out");
    return sk_give(s, out, maas_sk_concat(s, parts, n, 1), all);
}

/* ---- OrdinalEncoder ---- */

static maas_status ordinal_column(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                  const encoder *e, int64_t col, int unknown, maas_vid *out)
{
    sk_categories c;
    int64_t last;
    double missing = NAN, other = NAN;
    const char *column = sk_column_text(s, est, col);
    MAAS_TRY(sk_categories_of(s, maas_pk_at(e->categories, col), column, &c));
    MAAS_TRY(sk_double_nan(s, est, "encoded_missing_value", NAN, &missing));
    MAAS_TRY(sk_double_nan(s, est, "unknown_value", NAN, &other));
    const bool gone = c.missing >= 0 && c.missing_is_nan;
    if (gone && c.missing != c.n - 1)
        return maas_sk_fail(s, MAAS_E_FORMAT, "%s: NaN is not the last category", column);
    int64_t *group = maas_sk_alloc(s, (size_t)c.n + 1, sizeof *group);
    double *codes = maas_sk_alloc(s, (size_t)c.n + 1, sizeof *codes);
    if (!group || !codes)
        return s->b.status;
    MAAS_TRY(groups_of(s, e, col, c.n - gone, group, &last));
    for (int64_t i = 0; i < c.n; i++)
        codes[i] = gone && i == c.missing ? missing : (double)group[i];
    codes[c.n] = other;
    maas_vid table = maas_sk_f64s(s, codes, c.n + (unknown != UNKNOWN_ERROR));
    *out = sk_by_category(s, sk_category(s, in, col, &c), table, column);
    return s->b.status;
}

static maas_status ordinal(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                           maas_sk_out *out)
{
    encoder e;
    int unknown;
    MAAS_TRY(encoder_of(s, est, in, &e));
    MAAS_TRY(maas_sk_word(s, est, "handle_unknown", unknown_words, UNKNOWN_ERROR, &unknown));
    maas_vid *parts = maas_sk_alloc(s, (size_t)e.n, sizeof *parts);
    if (!parts)
        return s->b.status;
    for (int64_t i = 0; i < e.n; i++)
        MAAS_TRY(ordinal_column(s, est, in, &e, i, unknown, &parts[i]));
    return sk_give(s, out, maas_sk_concat(s, parts, (uint32_t)e.n, 1), e.n);
}

/* ---- TargetEncoder: the mean of the target in a category; unknown values have that of all ---- */

static maas_status target_values(maas_sk *s, const maas_pk *encodings, int64_t k, int64_t n,
                                 double mean, maas_vid *out)
{
    const maas_tensor *t;
    MAAS_TRY(
        maas_sk_array_of(s, maas_pk_at(encodings, k), "encodings_", MAAS_F64, 1, &n, false, &t));
    double *v = maas_sk_alloc(s, (size_t)n + 1, sizeof *v);
    if (!v)
        return s->b.status;
    memcpy(v, t->data, (size_t)n * sizeof *v);
    v[n] = mean;
    *out = maas_sk_f64s(s, v, n + 1);
    return s->b.status;
}

static maas_status target_encoder(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                  unsigned need, maas_sk_out *out)
{
    encoder e;
    maas_str kind;
    int64_t n_classes = 1;
    MAAS_TRY(encoder_of(s, est, in, &e));
    MAAS_TRY(maas_sk_str(s, est, "target_type_", &kind));
    const bool many = kind.n == 10 && memcmp(kind.p, "multiclass", 10) == 0;
    if (many)
        n_classes = sk_n_items(maas_pk_attr(est, "classes_"));
    if (n_classes < 1)
        return maas_sk_fail(s, MAAS_E_FORMAT, "classes_ is empty");
    const maas_tensor *mean;
    MAAS_TRY(maas_sk_array(s, est, "target_mean_", MAAS_F64, many, &n_classes, &mean));
    const maas_pk *encodings = maas_pk_attr(est, "encodings_");
    maas_vid *parts = maas_sk_alloc(s, (size_t)e.n * (size_t)n_classes, sizeof *parts);
    if (!parts)
        return s->b.status;
    for (int64_t i = 0; i < e.n; i++) {
        sk_categories c;
        const char *column = sk_column_text(s, est, i);
        MAAS_TRY(sk_categories_of(s, maas_pk_at(e.categories, i), column, &c));
        maas_vid place = sk_category(s, in, i, &c);
        for (int64_t k = 0; k < n_classes; k++) {
            maas_vid values;
            MAAS_TRY(target_values(s, encodings, i * n_classes + k, c.n,
                                   ((const double *)mean->data)[k], &values));
            parts[i * n_classes + k] = sk_op2(s, "Gather", values, place);
        }
    }
    const int64_t all = e.n * n_classes;
    return sk_give(s, out, maas_sk_concat(s, parts, (uint32_t)all, 1), all);
}

/* ---- LabelEncoder, LabelBinarizer: one column of labels ---- */

/* The only column there is, as a table of its own: labels have no feature names. */
static maas_status labels_of(maas_sk *s, const maas_sk_table *in, const sk_categories *c,
                             maas_sk_table *out)
{
    maas_vid x = c->text ? maas_sk_upright(s, maas_sk_texts(s, in)) : maas_sk_matrix(s, in, 1);
    return maas_sk_table_columns(s, &x, 1, out);
}

static maas_status label_encoder(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                 unsigned need, maas_sk_out *out)
{
    sk_categories c;
    maas_sk_table column;
    MAAS_TRY(sk_categories_of(s, maas_pk_attr(est, "classes_"), "classes_", &c));
    MAAS_TRY(labels_of(s, in, &c, &column));
    maas_vid place = sk_category(s, &column, 0, &c);
    place = sk_by_category(s, place, sk_range(s, c.n), "the labels");
    return sk_give(s, out, maas_sk_cast(s, place, MAAS_F64), 1);
}

static maas_status label_binarizer(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                   unsigned need, maas_sk_out *out)
{
    sk_categories c;
    maas_sk_table column;
    double off, on;
    MAAS_TRY(sk_categories_of(s, maas_pk_attr(est, "classes_"), "classes_", &c));
    MAAS_TRY(maas_sk_double_or(s, est, "neg_label", 0, &off));
    MAAS_TRY(maas_sk_double_or(s, est, "pos_label", 1, &on));
    MAAS_TRY(labels_of(s, in, &c, &column));
    maas_vid place = sk_category(s, &column, 0, &c);
    maas_vid which = c.n == 2 ? maas_b_i64(&s->b, 1) : sk_range(s, c.n);
    maas_vid is = sk_op2(s, "Equal", place, which);
    if (c.n == 1) /* one class: never the positive one */
        is = sk_op2(s, "Less", place, maas_b_i64(&s->b, 0));
    maas_vid y = sk_op3(s, "Where", is, maas_sk_f64(s, on), maas_sk_f64(s, off));
    return sk_give(s, out, y, c.n == 2 ? 1 : c.n);
}

#define CODES "sklearn.preprocessing._encoders"
#define LABEL "sklearn.preprocessing._label sklearn.preprocessing.label"
const maas_sk_row maas_sk_encode[] = {
    {"OneHotEncoder", CODES, MAAS_SK_TRANSFORMER, one_hot},
    {"OrdinalEncoder", CODES, MAAS_SK_TRANSFORMER, ordinal},
    {"TargetEncoder", "sklearn.preprocessing._target_encoder", MAAS_SK_TRANSFORMER, target_encoder},
    {"LabelEncoder", LABEL, MAAS_SK_TRANSFORMER, label_encoder},
    {"LabelBinarizer", LABEL, MAAS_SK_TRANSFORMER, label_binarizer},
    {0},
};
