/* formats/sklearn/table.c - rows between estimators: matrices and columns, and how to pick. */
#include "formats/sklearn/sklearn_int.h"
#include "base/ban.h"

maas_sk_table maas_sk_table_of(maas_vid x, int64_t n_cols)
{
    return (maas_sk_table){.x = x, .n_cols = n_cols};
}

static bool is_root(const maas_sk_table *t)
{
    return t->x == MAAS_NO_VALUE && !t->cols;
}

maas_status maas_sk_table_columns(maas_sk *s, const maas_vid *v, int64_t n, maas_sk_table *out)
{
    maas_sk_column *cols = maas_sk_alloc(s, (size_t)n, sizeof *cols);
    if (!cols)
        return s->b.status;
    for (int64_t i = 0; i < n; i++)
        cols[i] = (maas_sk_column){v[i], -1};
    *out = (maas_sk_table){.x = MAAS_NO_VALUE, .n_cols = n, .cols = cols};
    return s->b.status;
}

/* ---- one column ---- */

static bool check_column(maas_sk *s, const maas_sk_table *in, int64_t i)
{
    const int64_t n = is_root(in) ? s->root->n : in->n_cols;
    if (s->b.status != MAAS_OK)
        return false;
    if (i >= 0 && i < n)
        return true;
    maas_sk_fail(s, MAAS_E_FORMAT, "column %lld of %lld is asked for", (long long)i, (long long)n);
    return false;
}

static bool is_string(const maas_sk *s, maas_vid v)
{
    const maas_type *t = maas_b_type(&s->b, v);
    return t && t->dtype == MAAS_STRING;
}

static maas_vid column(maas_sk *s, const maas_sk_table *in, int64_t i, maas_dtype t)
{
    if (!check_column(s, in, i))
        return MAAS_NO_VALUE;
    if (is_root(in))
        return maas_sk_root_column(s, i, t);
    if (in->cols && in->cols[i].v == MAAS_NO_VALUE)
        return maas_sk_root_column(s, in->cols[i].root, t);
    maas_vid v = in->cols ? in->cols[i].v : maas_sk_gather(s, in->x, &i, 1, 1);
    if (s->b.status == MAAS_OK && is_string(s, v) != (t == MAAS_STRING)) {
        maas_sk_fail(s, MAAS_E_UNSUPPORTED, "column %lld is %s, it takes %s", (long long)i,
                     t == MAAS_STRING ? "a number" : "text", t == MAAS_STRING ? "text" : "numbers");
        return MAAS_NO_VALUE;
    }
    return v;
}

maas_vid maas_sk_number_column(maas_sk *s, const maas_sk_table *in, int64_t i)
{
    return column(s, in, i, MAAS_F64);
}

maas_vid maas_sk_text_column(maas_sk *s, const maas_sk_table *in, int64_t i)
{
    return column(s, in, i, MAAS_STRING);
}

bool maas_sk_is_text(maas_sk *s, const maas_sk_table *in, int64_t i)
{
    if (!check_column(s, in, i) || in->x != MAAS_NO_VALUE)
        return false;
    const maas_sk_root *r = s->root;
    const int64_t root = is_root(in) ? i : in->cols[i].v == MAAS_NO_VALUE ? in->cols[i].root : -1;
    if (root >= 0)
        return r->kind && r->kind[root] == MAAS_STRING;
    return is_string(s, in->cols[i].v);
}

/* ---- all of them ---- */

/* Columns of the model's own input only: their numbers. */
static int64_t *root_numbers(maas_sk *s, const maas_sk_table *in)
{
    int64_t *which = maas_sk_alloc(s, (size_t)in->n_cols, sizeof *which);
    for (int64_t i = 0; which && i < in->n_cols; i++) {
        if (in->cols[i].v != MAAS_NO_VALUE)
            return NULL;
        which[i] = in->cols[i].root;
    }
    return which;
}

static bool in_order(const int64_t *which, int64_t n, int64_t of)
{
    for (int64_t i = 0; i < n; i++)
        if (which[i] != i)
            return false;
    return n == of;
}

static maas_vid join_columns(maas_sk *s, const maas_sk_table *in)
{
    if (s->root->layout == MAAS_SK_MATRIX) {
        const int64_t *which = root_numbers(s, in);
        if (which && in_order(which, in->n_cols, s->root->n))
            return maas_sk_root_matrix(s, -1);
        if (which)
            return maas_sk_gather(s, maas_sk_root_matrix(s, -1), which, in->n_cols, 1);
    }
    maas_vid *v = maas_sk_alloc(s, (size_t)in->n_cols, sizeof *v);
    for (int64_t i = 0; v && i < in->n_cols; i++)
        v[i] = maas_sk_number_column(s, in, i);
    return v ? maas_sk_concat(s, v, (uint32_t)in->n_cols, 1) : MAAS_NO_VALUE;
}

maas_vid maas_sk_matrix(maas_sk *s, const maas_sk_table *in, int64_t n_features)
{
    if (s->b.status != MAAS_OK)
        return MAAS_NO_VALUE;
    if (is_root(in))
        return maas_sk_root_matrix(s, n_features);
    if (n_features >= 0 && in->n_cols != n_features) {
        maas_sk_fail(s, MAAS_E_FORMAT, "%lld features are fitted, the input has %lld",
                     (long long)n_features, (long long)in->n_cols);
        return MAAS_NO_VALUE;
    }
    return in->x != MAAS_NO_VALUE ? in->x : join_columns(s, in);
}

maas_vid maas_sk_texts(maas_sk *s, const maas_sk_table *in)
{
    if (is_root(in) && s->root->n < 0)
        return maas_sk_root_texts(s);
    const int64_t n = is_root(in) ? s->root->n : in->n_cols;
    if (n != 1) {
        maas_sk_fail(s, MAAS_E_FORMAT, "one column of text is expected, the input has %lld",
                     (long long)n);
        return MAAS_NO_VALUE;
    }
    return maas_sk_flat(s, maas_sk_text_column(s, in, 0));
}

/* ---- choosing and joining ---- */

maas_status maas_sk_take(maas_sk *s, const maas_sk_table *in, const int64_t *which, int64_t n,
                         maas_sk_table *out)
{
    for (int64_t i = 0; i < n; i++)
        if (!check_column(s, in, which[i]))
            return s->b.status;
    if (in->x != MAAS_NO_VALUE) {
        *out = maas_sk_table_of(maas_sk_gather(s, in->x, which, n, 1), n);
        return s->b.status;
    }
    maas_sk_column *cols = maas_sk_alloc(s, (size_t)n, sizeof *cols);
    if (!cols)
        return s->b.status;
    for (int64_t i = 0; i < n; i++)
        cols[i] = is_root(in) ? (maas_sk_column){MAAS_NO_VALUE, which[i]} : in->cols[which[i]];
    *out = (maas_sk_table){.x = MAAS_NO_VALUE, .n_cols = n, .cols = cols};
    return s->b.status;
}

static maas_status all_as_columns(maas_sk *s, const maas_sk_table *parts, int64_t n, int64_t n_cols,
                                  maas_sk_table *out)
{
    maas_sk_column *cols = maas_sk_alloc(s, (size_t)n_cols, sizeof *cols);
    int64_t at = 0;
    if (!cols)
        return s->b.status;
    for (int64_t p = 0; p < n; p++)
        for (int64_t i = 0; i < parts[p].n_cols; i++) {
            if (is_root(&parts[p]))
                cols[at++] = (maas_sk_column){MAAS_NO_VALUE, i};
            else if (parts[p].cols)
                cols[at++] = parts[p].cols[i];
            else
                cols[at++] = (maas_sk_column){maas_sk_number_column(s, &parts[p], i), -1};
        }
    *out = (maas_sk_table){.x = MAAS_NO_VALUE, .n_cols = n_cols, .cols = cols};
    return s->b.status;
}

/* Text makes a table of columns; numbers alone are a matrix. */
maas_status maas_sk_side_by_side(maas_sk *s, const maas_sk_table *parts, int64_t n,
                                 maas_sk_table *out)
{
    int64_t n_cols = 0;
    bool text = false;
    maas_vid *v = maas_sk_alloc(s, (size_t)n, sizeof *v);
    if (!v)
        return s->b.status;
    for (int64_t p = 0; p < n; p++) {
        if (parts[p].n_cols < 0 || __builtin_add_overflow(n_cols, parts[p].n_cols, &n_cols))
            return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "the width of the input is not known");
        for (int64_t i = 0; parts[p].cols && i < parts[p].n_cols; i++)
            text = text || maas_sk_is_text(s, &parts[p], i);
    }
    if (text)
        return all_as_columns(s, parts, n, n_cols, out);
    uint32_t n_parts = 0;
    for (int64_t p = 0; p < n; p++)
        if (parts[p].n_cols)
            v[n_parts++] = maas_sk_matrix(s, &parts[p], -1);
    *out = maas_sk_table_of(n_parts ? maas_sk_concat(s, v, n_parts, 1) : MAAS_NO_VALUE, n_cols);
    if (!n_parts)
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "no column is left");
    return s->b.status;
}
