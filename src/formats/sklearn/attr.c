/* formats/sklearn/attr.c - attributes of estimators, with types and shapes checked once, here. */
#include <math.h>

#include "formats/sklearn/sklearn_int.h"
#include "base/ban.h"

void *maas_sk_alloc(maas_sk *s, size_t n, size_t size)
{
    if (s->b.status != MAAS_OK)
        return NULL;
    void *p = maas_arena_array(s->arena, n, size);
    if (!p)
        maas_sk_fail(s, MAAS_E_NOMEM, "no memory left for %zu values", n);
    return p;
}

bool maas_sk_has(const maas_pk *est, const char *name)
{
    return maas_pk_kind_of(maas_pk_attr(est, name)) != MAAS_PK_NONE;
}

static maas_status wrong(maas_sk *s, const char *name, const maas_pk *v, const char *expected)
{
    return maas_sk_fail(s, MAAS_E_FORMAT, "%s is %s, expected %s", name,
                        v ? maas_pk_kind_text(v) : "missing", expected);
}

/* ---- single values ---- */

maas_status maas_sk_int(maas_sk *s, const maas_pk *est, const char *name, int64_t *out)
{
    const maas_pk *v = maas_pk_attr(est, name);
    return maas_pk_to_int(v, out) ? MAAS_OK : wrong(s, name, v, "an integer");
}

maas_status maas_sk_double(maas_sk *s, const maas_pk *est, const char *name, double *out)
{
    const maas_pk *v = maas_pk_attr(est, name);
    if (!maas_pk_to_double(v, out))
        return wrong(s, name, v, "a number");
    return isfinite(*out) ? MAAS_OK : maas_sk_fail(s, MAAS_E_FORMAT, "%s is not finite", name);
}

maas_status maas_sk_bool(maas_sk *s, const maas_pk *est, const char *name, bool *out)
{
    const maas_pk *v = maas_pk_attr(est, name);
    return maas_pk_to_bool(v, out) ? MAAS_OK : wrong(s, name, v, "True or False");
}

maas_status maas_sk_str(maas_sk *s, const maas_pk *est, const char *name, maas_str *out)
{
    const maas_pk *v = maas_pk_attr(est, name);
    return maas_pk_to_str(v, out) ? MAAS_OK : wrong(s, name, v, "text");
}

maas_status maas_sk_int_or(maas_sk *s, const maas_pk *est, const char *name, int64_t otherwise,
                           int64_t *out)
{
    *out = otherwise;
    return maas_sk_has(est, name) ? maas_sk_int(s, est, name, out) : MAAS_OK;
}

maas_status maas_sk_double_or(maas_sk *s, const maas_pk *est, const char *name, double otherwise,
                              double *out)
{
    *out = otherwise;
    return maas_sk_has(est, name) ? maas_sk_double(s, est, name, out) : MAAS_OK;
}

maas_status maas_sk_bool_or(maas_sk *s, const maas_pk *est, const char *name, bool otherwise,
                            bool *out)
{
    *out = otherwise;
    return maas_sk_has(est, name) ? maas_sk_bool(s, est, name, out) : MAAS_OK;
}

maas_status maas_sk_word(maas_sk *s, const maas_pk *est, const char *name, const char *const *words,
                         int otherwise, int *out)
{
    const maas_pk *v = maas_pk_attr(est, name);
    maas_str text;
    *out = otherwise;
    if (maas_pk_kind_of(v) == MAAS_PK_NONE)
        return MAAS_OK;
    if (!maas_pk_to_str(v, &text))
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "%s is %s, a word is expected", name,
                            maas_pk_kind_text(v));
    for (int i = 0; words[i]; i++)
        if (maas_span_is(maas_span_of(text.p, text.n), words[i])) {
            *out = i;
            return MAAS_OK;
        }
    return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "%s '%.*s' cannot be said", name,
                        (int)(text.n < 40 ? text.n : 40), text.p);
}

/* ---- arrays ---- */

/* Lists of numbers and single numbers count as arrays, too. */
static const maas_tensor *as_array(maas_sk *s, const maas_pk *v)
{
    const maas_pk_kind kind = maas_pk_kind_of(v);
    const bool list = kind == MAAS_PK_LIST || kind == MAAS_PK_TUPLE;
    const int64_t n = list ? maas_pk_count(v) : 1;
    double number;
    if (kind == MAAS_PK_ARRAY)
        return maas_pk_array(v);
    if (!list && !maas_pk_to_double(v, &number))
        return NULL;
    maas_tensor *t = maas_sk_alloc(s, 1, sizeof *t);
    double *data = maas_sk_alloc(s, (size_t)n, sizeof *data);
    if (!t || !data)
        return NULL;
    for (int64_t i = 0; i < n; i++)
        if (!maas_pk_to_double(list ? maas_pk_at(v, i) : v, &data[i]))
            return NULL;
    *t = maas_tensor_of(MAAS_F64, list, &n, data);
    return t;
}

static maas_status check_shape(maas_sk *s, const char *what, const maas_tensor *t, int rank,
                               int64_t *dims)
{
    char have[MAAS_SHAPE_TEXT], expected[MAAS_SHAPE_TEXT];
    bool ok = t->rank == rank;
    for (int i = 0; i < rank && ok && dims; i++)
        ok = dims[i] < 0 || dims[i] == t->dims[i];
    if (!ok && !dims)
        return maas_sk_fail(s, MAAS_E_FORMAT, "%s has %d dimensions, expected %d", what, t->rank,
                            rank);
    if (!ok)
        return maas_sk_fail(s, MAAS_E_FORMAT, "%s has shape %s, expected %s", what,
                            maas_shape_text(t->dims, t->rank, have),
                            maas_shape_text(dims, rank, expected));
    for (int i = 0; i < rank && dims; i++)
        dims[i] = t->dims[i];
    return MAAS_OK;
}

static maas_status check_finite(maas_sk *s, const char *what, const maas_tensor *t)
{
    const double *p = t->data;
    for (int64_t i = 0, n = maas_n_elems(t); i < n; i++)
        if (!isfinite(p[i]))
            return maas_sk_fail(s, MAAS_E_FORMAT, "%s holds %s at element %lld", what,
                                isnan(p[i]) ? "NaN" : "an infinity", (long long)i);
    return MAAS_OK;
}

/* Numbers with a fraction do not become integers. */
static maas_status convert(maas_sk *s, const char *what, const maas_tensor *from, maas_dtype dtype,
                           const maas_tensor **out)
{
    const int64_t n = maas_n_elems(from);
    maas_tensor *t = maas_sk_alloc(s, 1, sizeof *t);
    void *data = maas_sk_alloc(s, (size_t)n, sizeof(int64_t));
    if (!t || !data)
        return s->b.status;
    const bool whole = maas_dtype_describe((maas_dtype)from->dtype)->kind != MAAS_KIND_FLOAT;
    for (int64_t i = 0; i < n; i++) {
        const double v = maas_tensor_get(from, i);
        if (dtype == MAAS_F64)
            ((double *)data)[i] = v;
        else if (whole)
            ((int64_t *)data)[i] = maas_tensor_get_i64(from, i);
        else if (v == nearbyint(v) && fabs(v) < 9.0e15)
            ((int64_t *)data)[i] = (int64_t)v;
        else
            return maas_sk_fail(s, MAAS_E_FORMAT, "%s holds %g, expected integers", what, v);
    }
    *t = maas_tensor_of(dtype, from->rank, from->dims, data);
    *out = t;
    return MAAS_OK;
}

maas_status maas_sk_array_of(maas_sk *s, const maas_pk *v, const char *what, maas_dtype dtype,
                             int rank, int64_t *dims, bool allow_nan, const maas_tensor **out)
{
    MAAS_TRY(s->b.status);
    const maas_tensor *t = NULL;
    if (maas_sk_is_sparse(v))
        MAAS_TRY(maas_sk_dense(s, v, what, &t));
    else
        t = as_array(s, v);
    MAAS_TRY(s->b.status);
    if (!t || t->dtype == MAAS_STRING)
        return wrong(s, what, v, "an array of numbers");
    MAAS_TRY(check_shape(s, what, t, rank, dims));
    if (t->dtype == dtype)
        *out = t;
    else
        MAAS_TRY(convert(s, what, t, dtype, out));
    return dtype == MAAS_F64 && !allow_nan ? check_finite(s, what, *out) : MAAS_OK;
}

maas_status maas_sk_array(maas_sk *s, const maas_pk *est, const char *name, maas_dtype dtype,
                          int rank, int64_t *dims, const maas_tensor **out)
{
    return maas_sk_array_of(s, maas_pk_attr(est, name), name, dtype, rank, dims, false, out);
}

maas_status maas_sk_array_nan(maas_sk *s, const maas_pk *est, const char *name, maas_dtype dtype,
                              int rank, int64_t *dims, const maas_tensor **out)
{
    return maas_sk_array_of(s, maas_pk_attr(est, name), name, dtype, rank, dims, true, out);
}

/* ---- labels ---- */

static bool all_whole(const maas_tensor *t)
{
    for (int64_t i = 0, n = maas_n_elems(t); i < n; i++) {
        const double v = maas_tensor_get(t, i);
        if (v != nearbyint(v) || fabs(v) >= 9.0e15)
            return false;
    }
    return true;
}

maas_status maas_sk_classes_of(maas_sk *s, const maas_pk *v, const char *what, int64_t n,
                               const maas_tensor **out)
{
    int64_t dims[1] = {n};
    MAAS_TRY(s->b.status);
    const maas_tensor *t = maas_pk_array(v);
    if (!t && maas_pk_kind_of(v) == MAAS_PK_LIST)
        t = as_array(s, v);
    MAAS_TRY(s->b.status);
    if (!t)
        return wrong(s, what, v, "an array of numbers or of text");
    MAAS_TRY(check_shape(s, what, t, 1, dims));
    if (dims[0] == 0)
        return maas_sk_fail(s, MAAS_E_FORMAT, "%s is empty", what);
    *out = t;
    if (t->dtype == MAAS_STRING || t->dtype == MAAS_I64)
        return MAAS_OK;
    const bool is_float = maas_dtype_describe((maas_dtype)t->dtype)->kind == MAAS_KIND_FLOAT;
    const maas_dtype to = is_float && !all_whole(t) ? MAAS_F64 : MAAS_I64;
    if (t->dtype == to)
        return check_finite(s, what, t);
    MAAS_TRY(convert(s, what, t, to, out));
    return to == MAAS_F64 ? check_finite(s, what, *out) : MAAS_OK;
}

maas_status maas_sk_classes(maas_sk *s, const maas_pk *est, const char *name, int64_t n,
                            const maas_tensor **out)
{
    return maas_sk_classes_of(s, maas_pk_attr(est, name), name, n, out);
}
