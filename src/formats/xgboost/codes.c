/*
 * Categories as text: offsets [n + 1] into values, which are its bytes. As numbers: no offsets, and
 * values are the categories. Neither: a feature without categories.
 *
 * XGBoost 3.2 counts characters where it means bytes, so that text beyond ASCII is cut in the wrong
 * places: a model with such text takes codes.
 */
#include "formats/xgboost/xgboost_int.h"

#include "base/ban.h"

static maas_status text_codes(xgb_model *x, maas_boost_codes *c, maas_err *err)
{
    const size_t n = x->code_offsets.n - 1, n_bytes = x->code_values.n;
    const int32_t *at = maas_numbers_i32(&x->code_offsets);
    maas_str *text = maas_arena_array(&x->m.arena, n, sizeof *text);
    char *bytes = maas_arena_alloc(&x->m.arena, n_bytes + 1);
    if (!text || !bytes)
        return maas_fail(err, MAAS_E_NOMEM, "%zu categories", n);
    for (size_t i = 0; i < n_bytes; i++) {
        const double v = maas_numbers_f64(&x->code_values)[i];
        if (!(v >= -128 && v <= 255))
            return maas_fail(err, MAAS_E_FORMAT, "values: byte %zu is %g", i, v);
        bytes[i] = (char)(int)v;
        x->codes_unclear = x->codes_unclear || v < 0 || v > 127;
    }
    for (size_t i = 0; i < n; i++) {
        if (at[i] < 0 || at[i + 1] < at[i] || (size_t)at[i + 1] > n_bytes)
            return maas_fail(err, MAAS_E_FORMAT, "offsets: category %zu is bytes %d to %d of %zu",
                             i, at[i], at[i + 1], n_bytes);
        text[i] = (maas_str){bytes + at[i], (size_t)(at[i + 1] - at[i])};
    }
    *c = (maas_boost_codes){.n = (uint32_t)n, .text = text};
    return MAAS_OK;
}

/* Numbers that are their own codes need none, and those that are no floats cannot be told apart. */
static maas_status number_codes(xgb_model *x, maas_boost_codes *c, maas_err *err)
{
    const size_t n = x->code_values.n;
    const double *v = maas_numbers_f64(&x->code_values);
    float *numbers = maas_arena_array(&x->m.arena, n, sizeof *numbers);
    bool identity = true;
    if (!numbers)
        return maas_fail(err, MAAS_E_NOMEM, "%zu categories", n);
    for (size_t i = 0; i < n; i++) {
        numbers[i] = (float)v[i];
        identity = identity && v[i] == (double)i;
        if ((double)numbers[i] != v[i])
            return maas_fail(err, MAAS_E_UNSUPPORTED, "category %.17g is no float", v[i]);
    }
    if (!identity)
        *c = (maas_boost_codes){.n = (uint32_t)n, .numbers = numbers};
    return MAAS_OK;
}

maas_status xgb_add_codes(xgb_model *x, maas_err *err)
{
    if (x->n_codes == x->cap_codes) { /* the old ones stay in the arena */
        size_t cap = x->cap_codes ? x->cap_codes * 2 : 32;
        maas_boost_codes *p = maas_arena_array(&x->m.arena, cap, sizeof *p);
        if (!p)
            return maas_fail(err, MAAS_E_NOMEM, "categories of %zu features", cap);
        if (x->n_codes)
            memcpy(p, x->codes, x->n_codes * sizeof *p);
        x->codes = p;
        x->cap_codes = cap;
    }
    if (x->code_values.n > INT32_MAX)
        return maas_fail(err, MAAS_E_TOO_LARGE, "%zu values", x->code_values.n);
    maas_boost_codes *c = &x->codes[x->n_codes++];
    *c = (maas_boost_codes){0};
    if (x->code_offsets.n > 1)
        return text_codes(x, c, err);
    return x->code_values.n && !x->code_offsets.n ? number_codes(x, c, err) : MAAS_OK;
}
