/* String elements, and the words for elements that are none: what is off the hot path of json.c. */
#include "tensor/json_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/num_dec.h"
#include "base/ban.h"

/* ---- failing ---- */

const uint8_t *maas_json_fail_value(maas_json_decoder *d, const uint8_t *p, const char *what)
{
    maas_fail(d->err, MAAS_E_INVALID, "value %" PRId64 " at byte %zu: %s", d->n,
              (size_t)(p - d->start), what);
    return NULL;
}

int maas_json_token_len(const maas_json_decoder *d, const uint8_t *p)
{
    int n = 0;
    while (p + n != d->end && n < 40 && p[n] > ' ' && p[n] < 0x7f && !strchr(",]}\"\\[{:", p[n]))
        n++;
    return n;
}

const uint8_t *maas_json_fail_type(maas_json_decoder *d, const uint8_t *p)
{
    char what[120];
    int n = maas_json_token_len(d, p);
    const char *kind = p == d->end ? "the end of the text"
                       : *p == '[' ? "an array (rows must not mix values and arrays)"
                       : *p == '{' ? "an object"
                       : *p == '"' ? "a string"
                       : *p == ']' ? "']'"
                                   : "something else";
    if (n)
        snprintf(what, sizeof what, "'%.*s' is no %s", n, (const char *)p, d->info->oip);
    else
        snprintf(what, sizeof what, "expected %s, found %s", d->info->oip, kind);
    return maas_json_fail_value(d, p, what);
}

/* ---- strings ---- */

static int base64_value(uint8_t c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : maas_is_digit(c)     ? c - '0' + 52
           : c == '+' || c == '-' ? 62
           : c == '/' || c == '_' ? 63
                                  : -1;
}

/* RFC 4648, both alphabets, padding optional. */
static bool base64_decode(maas_span text, char *out, size_t *out_n)
{
    uint32_t acc = 0;
    size_t n = 0, digits = text.n;
    while (digits && text.n - digits < 2 && text.p[digits - 1] == '=')
        digits--;
    if (digits % 4 == 1 || (digits != text.n && text.n % 4))
        return false;
    for (size_t i = 0; i < digits; i++) {
        int v = base64_value(text.p[i]);
        if (v < 0)
            return false;
        acc = acc << 6 | (uint32_t)v;
        if (i % 4) /* after 12, 18 and 24 bits of each group of four a byte is complete */
            out[n++] = (char)(acc >> (6 - 2 * (i % 4)));
    }
    *out_n = n;
    return true;
}

/* The text of the scanner's string, in the arena. */
static bool copy_string(maas_json_decoder *d, const maas_json_scan *s, maas_str *out)
{
    size_t n = s->text.n;
    char *p = s->escaped ? maas_json_unescape(d->t->arena, s->text, &n)
                         : maas_arena_dup(d->t->arena, s->text.p, n);
    if (!p)
        maas_fail(d->err, MAAS_E_NOMEM, "no memory for strings");
    *out = (maas_str){p, n};
    return p != NULL;
}

/* After '{': "b64", the text, '}'. Decodes in place: the bytes are fewer than their text. */
static bool take_base64(maas_json_decoder *d, maas_json_scan *s, maas_str *out)
{
    if (maas_json_next(s) != MAAS_JSON_KEY || !maas_span_is(s->text, "b64") ||
        maas_json_next(s) != MAAS_JSON_STRING || !copy_string(d, s, out))
        return false;
    return base64_decode(maas_span_of(out->p, out->n), (char *)(uintptr_t)out->p, &out->n) &&
           maas_json_next(s) == MAAS_JSON_CLOSE;
}

/* A small scanner of its own reads the element: it checks quotes, escapes and UTF-8. */
const uint8_t *maas_json_element_string(maas_json_decoder *d, const uint8_t *p, void *out)
{
    maas_json_scan s;
    maas_str v;
    maas_json_scan_init(&s, maas_span_of(p, (size_t)(d->end - p)));
    maas_json_kind kind = maas_json_next(&s);
    if (kind == MAAS_JSON_OBJECT && !take_base64(d, &s, &v))
        return maas_json_fail_value(d, p, "expected a string or {\"b64\": \"...\"}");
    if (kind == MAAS_JSON_STRING && !copy_string(d, &s, &v))
        return NULL;
    if (kind == MAAS_JSON_ERROR && p != d->end && *p == '"')
        return maas_json_fail_value(d, p,
                                    "a string that is not closed, not UTF-8 or has a bad escape");
    if (kind != MAAS_JSON_OBJECT && kind != MAAS_JSON_STRING)
        return maas_json_fail_type(d, p);
    memcpy(out, &v, sizeof v);
    return s.rest.p;
}
