/*
 * UBJSON (draft 12), a token a call. What stands where:
 *
 *   value  = type payload          key = integer bytes           integer = i U I l L payload
 *   array  = '[' ['$' type] ['#' integer] values [']' unless counted]
 *   object = '{' ['#' integer] (key value)* ['}' unless counted]
 *
 * Numbers are big-endian. 'N' (no-op) may stand before any value.
 */
#include "formats/doc_int.h"

#include "base/ban.h"

static maas_json_kind fail(maas_doc *d, const char *what)
{
    maas_fail(&d->err, MAAS_E_FORMAT, "malformed UBJSON: %s at byte %zu", what, maas_doc_offset(d));
    return MAAS_JSON_ERROR;
}

/* ---- numbers ---- */

typedef struct number_type {
    char mark;
    uint8_t bytes;
    enum { SIGNED, UNSIGNED, REAL } kind;
} number_type;

static const number_type *number_of(uint8_t mark)
{
    static const number_type types[] = {{'d', 4, REAL},   {'l', 4, SIGNED}, {'U', 1, UNSIGNED},
                                        {'L', 8, SIGNED}, {'D', 8, REAL},   {'i', 1, SIGNED},
                                        {'I', 2, SIGNED}};
    for (size_t i = 0; i < MAAS_COUNT(types); i++)
        if (types[i].mark == (char)mark)
            return &types[i];
    return NULL;
}

static double real_of(uint64_t bits, uint8_t bytes)
{
    const uint32_t half = (uint32_t)bits;
    float single;
    double wide;
    memcpy(&single, &half, sizeof single);
    memcpy(&wide, &bits, sizeof wide);
    return bytes == 4 ? (double)single : wide;
}

static bool take_number(maas_doc *d, const number_type *t)
{
    maas_span raw;
    uint64_t bits = 0;
    if (!maas_span_take(&d->rest, t->bytes, &raw))
        return fail(d, "the end of the file inside a number"), false;
    for (uint8_t i = 0; i < t->bytes; i++)
        bits = bits << 8 | raw.p[i];
    d->is_whole = t->kind != REAL;
    if (t->kind == REAL) {
        d->number = real_of(bits, t->bytes);
        return true;
    }
    const int unused = 64 - 8 * t->bytes;
    d->whole = t->kind == SIGNED ? (int64_t)(bits << unused) >> unused : (int64_t)bits;
    d->number = (double)d->whole;
    return true;
}

/* A length or a count. */
static bool take_length(maas_doc *d, uint64_t *out)
{
    uint8_t mark;
    const number_type *t = maas_span_u8(&d->rest, &mark) ? number_of(mark) : NULL;
    if (!t || t->kind == REAL)
        return fail(d, "a length that is no integer"), false;
    if (!take_number(d, t))
        return false;
    if (d->whole < 0)
        return fail(d, "a negative length"), false;
    *out = (uint64_t)d->whole;
    return true;
}

static bool take_text(maas_doc *d)
{
    uint64_t n;
    if (!take_length(d, &n))
        return false;
    if (!maas_span_take(&d->rest, n, &d->text))
        return fail(d, "text longer than the file"), false;
    return true;
}

/* ---- structure ---- */

static maas_json_kind open_level(maas_doc *d, bool object)
{
    if (d->depth == MAAS_MAX_JSON_DEPTH)
        return fail(d, "more levels than are allowed");
    __typeof__(&d->levels[0]) l = &d->levels[d->depth];
    memset(l, 0, sizeof *l);
    l->object = object;
    if (d->rest.n && *d->rest.p == '$') {
        maas_span_skip(&d->rest, 1);
        if (object || !maas_span_u8(&d->rest, &l->type) || !number_of(l->type))
            return fail(d, "a container of a type that is not read");
        if (!d->rest.n || *d->rest.p != '#')
            return fail(d, "a typed array without its count");
    }
    if (d->rest.n && *d->rest.p == '#') {
        maas_span_skip(&d->rest, 1);
        l->counted = true;
        if (!take_length(d, &l->left))
            return MAAS_JSON_ERROR;
        const uint64_t bytes = l->type ? number_of(l->type)->bytes : 1; /* each at least */
        if (l->left > d->rest.n / bytes)
            return fail(d, "a count that is more than the file holds");
    }
    d->depth++;
    d->want_value = false;
    return object ? MAAS_JSON_OBJECT : MAAS_JSON_ARRAY;
}

static maas_json_kind take_value(maas_doc *d, uint8_t mark)
{
    static const struct {
        char mark;
        maas_json_kind kind;
    } words[] = {{'Z', MAAS_JSON_NULL}, {'T', MAAS_JSON_TRUE}, {'F', MAAS_JSON_FALSE}};
    const number_type *t = number_of(mark);
    d->want_value = false;
    if (t)
        return take_number(d, t) ? MAAS_JSON_NUMBER : MAAS_JSON_ERROR;
    if (mark == '[' || mark == '{')
        return open_level(d, mark == '{');
    if (mark == 'S')
        return take_text(d) ? MAAS_JSON_STRING : MAAS_JSON_ERROR;
    if (mark == 'C')
        return maas_span_take(&d->rest, 1, &d->text) ? MAAS_JSON_STRING : fail(d, "no character");
    for (size_t i = 0; i < MAAS_COUNT(words); i++)
        if (words[i].mark == (char)mark)
            return words[i].kind;
    return fail(d, "an unknown type");
}

static void skip_no_ops(maas_doc *d)
{
    while (d->rest.n && *d->rest.p == 'N')
        maas_span_skip(&d->rest, 1);
}

/* Does the innermost container end here? Moves past its bracket. */
static bool at_close(maas_doc *d)
{
    const __typeof__(&d->levels[0]) l = &d->levels[d->depth - 1];
    if (l->counted)
        return l->left == 0;
    skip_no_ops(d);
    return d->rest.n && *d->rest.p == (l->object ? '}' : ']') && maas_span_skip(&d->rest, 1);
}

static maas_json_kind next_in_level(maas_doc *d)
{
    __typeof__(&d->levels[0]) l = &d->levels[d->depth - 1];
    uint8_t mark = l->type;
    if (!d->want_value) {
        if (at_close(d)) {
            d->depth--;
            return MAAS_JSON_CLOSE;
        }
        if (l->counted)
            l->left--;
        if (l->object) {
            d->want_value = true;
            return take_text(d) ? MAAS_JSON_KEY : MAAS_JSON_ERROR;
        }
    }
    if (!mark) {
        skip_no_ops(d);
        if (!maas_span_u8(&d->rest, &mark))
            return fail(d, "the end of the file inside a container");
    }
    return take_value(d, mark);
}

maas_json_kind maas_ubj_next(maas_doc *d)
{
    uint8_t mark;
    if (d->err.code != MAAS_OK)
        return MAAS_JSON_ERROR;
    if (d->depth)
        return next_in_level(d);
    if (d->started)
        return d->rest.n ? fail(d, "more bytes after the end") : MAAS_JSON_END;
    d->started = true;
    return maas_span_u8(&d->rest, &mark) ? take_value(d, mark) : fail(d, "an empty file");
}

bool maas_ubj_typed(maas_doc *d)
{
    __typeof__(&d->levels[0]) l = &d->levels[d->depth - 1];
    if (!l->type || !l->left || d->rest.n < 8)
        return false;
    l->left--;
    d->kind = MAAS_JSON_NUMBER;
    return take_number(d, number_of(l->type));
}
