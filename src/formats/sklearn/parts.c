#include "formats/sklearn/parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/ban.h"

maas_status maas_sk_items(maas_sk *s, const maas_pk *est, const char *name, const maas_pk **out,
                          int64_t *n)
{
    const maas_pk *v = maas_pk_attr(est, name);
    const maas_pk_kind kind = maas_pk_kind_of(v);
    *n = maas_pk_count(v);
    *out = v;
    if ((kind != MAAS_PK_LIST && kind != MAAS_PK_TUPLE && kind != MAAS_PK_ARRAY) || *n < 1)
        return maas_sk_fail(s, MAAS_E_FORMAT, "%s is %s, expected a list that is not empty", name,
                            maas_pk_kind_text(v));
    return MAAS_OK;
}

maas_status maas_sk_columns_of(maas_sk *s, const maas_pk *v, int64_t number, int64_t n_columns,
                               const maas_tensor **out)
{
    char what[48];
    snprintf(what, sizeof what, "estimators_features_[%lld]", (long long)number);
    MAAS_TRY(maas_sk_array_of(s, v, what, MAAS_I64, 1, NULL, false, out));
    const int64_t *which = (*out)->data;
    for (int64_t i = 0; i < (*out)->dims[0]; i++)
        if (which[i] < 0 || which[i] >= n_columns)
            return maas_sk_fail(s, MAAS_E_FORMAT, "%s names column %lld, there are %lld", what,
                                (long long)which[i], (long long)n_columns);
    if ((*out)->dims[0] < 1)
        return maas_sk_fail(s, MAAS_E_FORMAT, "%s is empty", what);
    return MAAS_OK;
}

maas_status maas_sk_numbers(maas_sk *s, const maas_pk *est, const char *name, int64_t n,
                            const double **out)
{
    const maas_pk *v = maas_pk_attr(est, name);
    const maas_pk_kind kind = maas_pk_kind_of(v);
    const maas_tensor *t;
    if (kind != MAAS_PK_LIST && kind != MAAS_PK_TUPLE) {
        MAAS_TRY(maas_sk_array(s, est, name, MAAS_F64, 1, &n, &t));
        *out = t->data;
        return MAAS_OK;
    }
    double *numbers = maas_pk_count(v) == n ? maas_sk_alloc(s, (size_t)n, sizeof *numbers) : NULL;
    for (int64_t i = 0; numbers && i < n; i++)
        if (!maas_pk_to_double(maas_pk_at(v, i), &numbers[i]) || !isfinite(numbers[i]))
            return maas_sk_fail(s, MAAS_E_FORMAT, "%s[%lld] is no number", name, (long long)i);
    if (maas_pk_count(v) != n)
        return maas_sk_fail(s, MAAS_E_FORMAT, "%s has %lld items, expected %lld", name,
                            (long long)maas_pk_count(v), (long long)n);
    *out = numbers;
    return s->b.status;
}

maas_tensor *maas_sk_new_array(maas_sk *s, int64_t n_rows, int64_t n_cols)
{
    const int64_t dims[2] = {n_rows, n_cols};
    const int rank = n_cols ? 2 : 1;
    maas_tensor *t = maas_sk_alloc(s, 1, sizeof *t);
    double *data = maas_sk_alloc(s, (size_t)n_rows * (size_t)(n_cols ? n_cols : 1), sizeof *data);
    if (!t || !data)
        return NULL;
    *t = maas_tensor_of(MAAS_F64, rank, dims, data);
    return t;
}

maas_vid maas_sk_clip(maas_sk *s, maas_vid x, double lo, double hi)
{
    return maas_b_op3(&s->b, "Clip", x, maas_sk_f64(s, lo), maas_sk_f64(s, hi));
}

maas_vid maas_sk_square(maas_sk *s, maas_vid x)
{
    return MAAS_SK_MUL(s, x, x);
}

maas_vid maas_sk_log_sum_exp(maas_sk *s, maas_vid x)
{
    maas_vid top = maas_sk_reduce(s, "ReduceMax", x, true);
    maas_vid e = maas_b_op1(&s->b, "Exp", MAAS_SK_SUB(s, x, top));
    return MAAS_SK_ADD(s, maas_b_op1(&s->b, "Log", maas_sk_reduce(s, "ReduceSum", e, true)), top);
}

maas_vid maas_sk_as_column(maas_sk *s, maas_vid x)
{
    return maas_b_op2(&s->b, "Reshape", x, maas_b_i64s(&s->b, (int64_t[]){-1, 1}, 2));
}

maas_vid maas_sk_range(maas_sk *s, int64_t n)
{
    int64_t *v = maas_sk_alloc(s, (size_t)n, sizeof *v);
    if (!v)
        return MAAS_NO_VALUE;
    for (int64_t i = 0; i < n; i++)
        v[i] = i;
    const maas_tensor t = maas_tensor_of(MAAS_I64, 1, &n, v);
    return maas_b_const(&s->b, NULL, &t);
}

bool maas_sk_same_classes(const maas_tensor *a, const maas_tensor *b)
{
    if (a->dtype != b->dtype || !maas_shape_eq(a, b))
        return false;
    if (a->dtype != MAAS_STRING)
        return memcmp(a->data, b->data, maas_tensor_bytes(a)) == 0;
    const maas_str *x = a->data, *y = b->data;
    for (int64_t i = 0; i < a->dims[0]; i++)
        if (x[i].n != y[i].n || memcmp(x[i].p, y[i].p, x[i].n) != 0)
            return false;
    return true;
}

static bool counts_up(const maas_tensor *classes)
{
    const int64_t *c = classes->data;
    for (int64_t i = 0; i < classes->dims[0]; i++)
        if (classes->dtype != MAAS_I64 || c[i] != i)
            return false;
    return true;
}

maas_vid maas_sk_class_number(maas_sk *s, maas_vid label, const maas_tensor *classes)
{
    const uint32_t n = (uint32_t)classes->dims[0];
    if (counts_up(classes))
        return label;
    if (classes->dtype ==
        MAAS_F64) { /* labels come from the same list: they are equal bit by bit */
        maas_vid at = maas_b_op2(&s->b, "Equal", maas_sk_upright(s, label),
                                 maas_sk_const(s, classes));
        return maas_sk_argmax(s, maas_sk_cast(s, at, MAAS_F64));
    }
    int64_t *numbers = maas_sk_alloc(s, n, sizeof *numbers);
    if (!numbers)
        return MAAS_NO_VALUE;
    for (uint32_t i = 0; i < n; i++)
        numbers[i] = i;
    maas_attr attr[2] = {MAAS_A_INTS("keys_int64s", classes->data, n),
                         MAAS_A_INTS("values_int64s", numbers, n)};
    if (classes->dtype == MAAS_STRING)
        attr[0] = (maas_attr){
            .name = "keys_strings", .type = MAAS_ATTR_STRINGS, .n = n, .u.strings = classes->data};
    return maas_b_node(&s->b, "LabelEncoder", attr, 2, &label, 1, NULL, 1);
}

maas_status maas_sk_encoded(maas_sk *s, const maas_sk_out *o, int64_t n_classes)
{
    if (!o->classes || o->classes->dtype != MAAS_I64)
        return maas_sk_fail(s, MAAS_E_FORMAT,
                            "an estimator inside does not give numbers of "
                            "classes");
    const int64_t *c = o->classes->data;
    for (int64_t i = 0; i < o->classes->dims[0]; i++)
        if (c[i] < 0 || c[i] >= n_classes)
            return maas_sk_fail(s, MAAS_E_FORMAT,
                                "an estimator inside has class %lld, expected 0 to %lld",
                                (long long)c[i], (long long)n_classes - 1);
    return MAAS_OK;
}
