#include "formats/doc_int.h"

#include <math.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/ban.h"

void maas_doc_init(maas_doc *d, maas_span file)
{
    memset(d, 0, sizeof *d);
    d->start = file.p;
    d->rest = file;
    d->is_ubj = file.n > 2 && file.p[0] == '{' && file.p[1] && strchr("iUIlL#N", file.p[1]);
    maas_json_scan_init(&d->json, file);
    d->json.nonfinite = true;
}

size_t maas_doc_offset(const maas_doc *d)
{
    if (!d->is_ubj)
        return maas_json_offset(&d->json);
    return d->start ? (size_t)(d->rest.p - d->start) : 0;
}

maas_json_kind maas_doc_next(maas_doc *d)
{
    if (d->is_ubj)
        return d->kind = maas_ubj_next(d);
    d->kind = maas_json_next(&d->json);
    d->text = d->json.text;
    return d->kind;
}

bool maas_doc_skip(maas_doc *d)
{
    if (!d->is_ubj)
        return maas_json_skip(&d->json);
    int until = d->depth - !d->want_value; /* after a key the level stays */
    do {
        maas_json_kind kind = maas_doc_next(d);
        if (kind == MAAS_JSON_ERROR || kind == MAAS_JSON_END)
            return false;
    } while (d->depth > until);
    return true;
}

maas_status maas_doc_fail(const maas_doc *d, const char *expected, maas_err *err)
{
    const maas_err *own = d->is_ubj ? &d->err : &d->json.err;
    if (own->code != MAAS_OK)
        return maas_fail(err, MAAS_E_FORMAT, "%s", own->msg);
    return maas_fail(err, MAAS_E_FORMAT, "expected %s before byte %zu", expected,
                     maas_doc_offset(d));
}

/* ---- values ---- */

/* The last token as a number of `dtype` at *to. */
static bool convert(const maas_doc *d, maas_dtype dtype, void *to)
{
    const bool flag = d->kind == MAAS_JSON_TRUE;
    const bool is_flag = flag || d->kind == MAAS_JSON_FALSE;
    maas_span text = d->text;
    if (dtype == MAAS_F32 || dtype == MAAS_F64) {
        double v = 0;
        float single;
        if (d->kind == MAAS_JSON_NUMBER && !d->is_ubj && dtype == MAAS_F32) {
            if (!maas_num_f32(&text, &single))
                return false;
            memcpy(to, &single, sizeof single);
            return true;
        }
        if (d->kind == MAAS_JSON_NUMBER && d->is_ubj)
            v = d->number;
        else if (d->kind == MAAS_JSON_NONFINITE)
            v = *text.p == 'N' ? NAN : *text.p == '-' ? -INFINITY : INFINITY;
        else if (is_flag)
            v = flag;
        else if (d->kind != MAAS_JSON_NUMBER || !maas_num_f64(&text, &v))
            return false;
        single = (float)v;
        memcpy(to, dtype == MAAS_F32 ? (void *)&single : (void *)&v, maas_dtype_size(dtype));
        return true;
    }
    int64_t v = flag;
    if (d->kind == MAAS_JSON_NUMBER && d->is_ubj
            ? (v = d->whole, !d->is_whole)
            : !is_flag && (d->kind != MAAS_JSON_NUMBER || !maas_num_i64(&text, &v) || text.n))
        return false;
    if (dtype == MAAS_I64) {
        memcpy(to, &v, sizeof v);
        return true;
    }
    const int32_t small = (int32_t)v;
    memcpy(to, &small, sizeof small);
    /* 2^32 - 1 marks a removed node where a feature would stand: it is the -1 of 32 bits. */
    return v == small || (v >= 0 && v <= UINT32_MAX);
}

maas_status maas_doc_i64(maas_doc *d, int64_t *out, maas_err *err)
{
    maas_doc_next(d);
    return convert(d, MAAS_I64, out) ? MAAS_OK : maas_doc_fail(d, "an integer", err);
}

maas_status maas_doc_f64(maas_doc *d, double *out, maas_err *err)
{
    maas_doc_next(d);
    return convert(d, MAAS_F64, out) ? MAAS_OK : maas_doc_fail(d, "a number", err);
}

maas_status maas_doc_str(maas_doc *d, maas_arena *a, maas_str *out, maas_err *err)
{
    if (maas_doc_next(d) != MAAS_JSON_STRING)
        return maas_doc_fail(d, "text", err);
    size_t n = d->text.n;
    const char *p = d->is_ubj ? maas_arena_strndup(a, (const char *)d->text.p, n)
                              : maas_json_unescape(a, d->text, &n);
    if (!p)
        return maas_fail(err, MAAS_E_NOMEM, "text of %zu bytes", d->text.n);
    *out = (maas_str){p, n};
    return MAAS_OK;
}

maas_status maas_doc_loose_i64(maas_doc *d, int64_t *out, maas_err *err)
{
    maas_doc_next(d);
    if (convert(d, MAAS_I64, out))
        return MAAS_OK;
    maas_span text = d->text;
    double v;
    if (d->kind != MAAS_JSON_STRING || !maas_num_f64(&text, &v) || text.n || v != floor(v) ||
        fabs(v) > 9e15)
        return maas_doc_fail(d, "an integer", err);
    *out = (int64_t)v;
    return MAAS_OK;
}

/* ---- arrays of numbers ---- */

void maas_numbers_init(maas_numbers *v, maas_dtype dtype, maas_budget *budget)
{
    *v = (maas_numbers){.dtype = dtype, .size = (uint8_t)maas_dtype_size(dtype), .budget = budget};
}

void maas_numbers_reset(maas_numbers *v)
{
    if (v->budget && v->cap)
        maas_budget_give(v->budget, v->cap * v->size);
    maas_free(v->p);
    v->p = NULL;
    v->n = v->cap = 0;
}

static maas_status reserve(maas_numbers *v, size_t n, maas_err *err)
{
    const size_t size = v->size;
    size_t cap = v->cap ? v->cap : 64;
    if (n <= v->cap)
        return MAAS_OK;
    while (cap < n && cap <= SIZE_MAX / (2 * size))
        cap *= 2;
    if (cap < n || (v->budget && !maas_budget_take(v->budget, (cap - v->cap) * size)))
        return maas_fail(err, MAAS_E_NOMEM, "%zu numbers", n);
    void *p = maas_realloc(v->p, cap * size);
    if (!p) {
        if (v->budget)
            maas_budget_give(v->budget, (cap - v->cap) * size);
        return maas_fail(err, MAAS_E_NOMEM, "%zu numbers", n);
    }
    v->p = p;
    v->cap = cap;
    return MAAS_OK;
}

static void *item(const maas_numbers *v, size_t i)
{
    return (char *)v->p + i * v->size;
}

maas_status maas_numbers_resize(maas_numbers *v, size_t n, maas_err *err)
{
    MAAS_TRY(reserve(v, n, err));
    if (n > v->n)
        memset(item(v, v->n), 0, (n - v->n) * v->size);
    v->n = n;
    return MAAS_OK;
}

maas_status maas_numbers_add(maas_numbers *v, double x, maas_err *err)
{
    const float single = (float)x;
    const int32_t small = v->dtype == MAAS_I32 ? (int32_t)x : 0;
    const int64_t whole = v->dtype == MAAS_I64 ? (int64_t)x : 0;
    const void *from = v->dtype == MAAS_F64   ? (const void *)&x
                       : v->dtype == MAAS_F32 ? (const void *)&single
                       : v->dtype == MAAS_I32 ? (const void *)&small
                                              : (const void *)&whole;
    MAAS_TRY(reserve(v, v->n + 1, err));
    memcpy(item(v, v->n++), from, v->size);
    return MAAS_OK;
}

/* A plain number of a JSON array straight to its place; false: let the scanner look at it. */
static bool take_plain(maas_doc *d, maas_dtype dtype, void *to)
{
    maas_span s = d->json.rest;
    int64_t whole;
    if (*s.p != '-' && (*s.p < '0' || *s.p > '9'))
        return false;
    if (dtype == MAAS_F32   ? !maas_num_f32(&s, to)
        : dtype == MAAS_F64 ? !maas_num_f64(&s, to)
                            : !maas_num_i64(&s, &whole))
        return false;
    if (dtype == MAAS_I32 || dtype == MAAS_I64) {
        if (!s.n || *s.p == '.' || *s.p == 'e' || *s.p == 'E' ||
            (dtype == MAAS_I32 && (int32_t)whole != whole))
            return false;
        const int32_t small = (int32_t)whole;
        memcpy(to, dtype == MAAS_I32 ? (void *)&small : (void *)&whole, maas_dtype_size(dtype));
    }
    maas_json_took(&d->json, s);
    return true;
}

/* The next number of an array at *to; *more is false at its end. */
static maas_status take_item(maas_doc *d, maas_dtype dtype, void *to, bool *more, maas_err *err)
{
    *more = true;
    if (!d->is_ubj && maas_json_at_value(&d->json) && take_plain(d, dtype, to))
        return MAAS_OK;
    if (!(d->is_ubj && maas_ubj_typed(d)) && maas_doc_next(d) == MAAS_JSON_CLOSE) {
        *more = false;
        return MAAS_OK;
    }
    if (convert(d, dtype, to))
        return MAAS_OK;
    const bool real = dtype == MAAS_F32 || dtype == MAAS_F64;
    return maas_doc_fail(d, real ? "a number" : "an integer that fits", err);
}

maas_status maas_doc_numbers(maas_doc *d, maas_numbers *v, maas_err *err)
{
    bool more = true;
    v->n = 0;
    if (maas_doc_next(d) != MAAS_JSON_ARRAY)
        return maas_doc_fail(d, "an array of numbers", err);
    while (more) {
        MAAS_TRY(reserve(v, v->n + 1, err));
        MAAS_TRY(take_item(d, v->dtype, item(v, v->n), &more, err));
        v->n += more;
    }
    return MAAS_OK;
}

/* ---- by table ---- */

maas_status maas_doc_object(maas_doc *d, const maas_doc_field *fields, size_t n, void *ctx,
                            uint32_t *out_seen, maas_err *err)
{
    uint32_t seen = 0;
    MAAS_CHECK(n <= 32);
    if (maas_doc_next(d) != MAAS_JSON_OBJECT)
        return maas_doc_fail(d, "an object", err);
    while (maas_doc_next(d) == MAAS_JSON_KEY) {
        size_t i = 0;
        while (i < n && !maas_span_is(d->text, fields[i].key))
            i++;
        if (i == n) {
            if (!maas_doc_skip(d))
                return maas_doc_fail(d, "a value", err);
            continue;
        }
        if (seen >> i & 1)
            return maas_fail(err, MAAS_E_FORMAT, "'%s' is there twice", fields[i].key);
        seen |= 1u << i;
        maas_status st = fields[i].read(ctx, d, err);
        if (st != MAAS_OK) {
            maas_err_prefix(err, "%s", fields[i].key);
            return st;
        }
    }
    if (out_seen)
        *out_seen = seen;
    return d->kind == MAAS_JSON_CLOSE ? MAAS_OK : maas_doc_fail(d, "a key", err);
}

/* Is an item next in the array? Leaves it for the reader of the item. */
static bool at_item(maas_doc *d)
{
    if (!d->is_ubj)
        return maas_json_at_value(&d->json);
    const __typeof__(&d->levels[0]) l = &d->levels[d->depth - 1];
    while (!l->counted && d->rest.n && *d->rest.p == 'N')
        maas_span_skip(&d->rest, 1);
    return l->counted ? l->left > 0 : d->rest.n && *d->rest.p != ']';
}

maas_status maas_doc_each(maas_doc *d, const char *name,
                          maas_status (*each)(void *ctx, maas_doc *d, maas_err *err), void *ctx,
                          maas_err *err)
{
    if (maas_doc_next(d) != MAAS_JSON_ARRAY)
        return maas_doc_fail(d, "an array", err);
    for (size_t i = 0; at_item(d); i++) {
        maas_status st = each(ctx, d, err);
        if (st != MAAS_OK) {
            maas_err_prefix(err, "%s[%zu]", name, i);
            return st;
        }
    }
    return maas_doc_next(d) == MAAS_JSON_CLOSE ? MAAS_OK : maas_doc_fail(d, "the end", err);
}
