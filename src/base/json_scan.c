/*
 * The pull scanner: a token a call, no stack but a bit per level that says object or array.
 *
 * `state` is what the grammar allows next. Commas and colons are eaten by the token after or
 * before them, so that callers only see structure.
 */
#include "base/json.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "base/ban.h"

enum {
    WANT_VALUE,          /* at the start, and after a key */
    WANT_VALUE_OR_CLOSE, /* after '[' */
    WANT_KEY_OR_CLOSE,   /* after '{' */
    WANT_COMMA_OR_CLOSE, /* after a value inside something */
    WANT_END,            /* after the outermost value */
    FAILED
};
_Static_assert(MAAS_MAX_JSON_DEPTH <= 64, "a bit of is_object a level");

void maas_json_scan_init(maas_json_scan *s, maas_span text)
{
    *s = (maas_json_scan){.rest = text, .start = text.p};
}

size_t maas_json_offset(const maas_json_scan *s)
{
    return s->rest.p ? (size_t)(s->rest.p - s->start) : 0;
}

static maas_json_kind fail(maas_json_scan *s, const char *what)
{
    s->state = FAILED;
    maas_fail(&s->err, MAAS_E_INVALID, "malformed JSON: %s at byte %zu", what, maas_json_offset(s));
    return MAAS_JSON_ERROR;
}

/* The next byte that is not white space, without taking it; 0 at the end (a NUL is no JSON). */
static uint8_t peek(maas_json_scan *s)
{
    while (s->rest.n) {
        uint8_t c = *s->rest.p;
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t')
            return c;
        maas_span_skip(&s->rest, 1);
    }
    return 0;
}

static void value_done(maas_json_scan *s)
{
    s->state = s->depth ? WANT_COMMA_OR_CLOSE : WANT_END;
}

static bool in_object(const maas_json_scan *s)
{
    return s->depth && s->is_object >> (s->depth - 1) & 1;
}

/* ---- strings ---- */

/* Length of the escape at the start of s, 0 when it is none. */
static size_t escape_len(maas_span s)
{
    if (s.n < 2 || s.p[0] != '\\')
        return 0;
    if (s.p[1] != 'u')
        return s.p[1] && strchr("\"\\/bfnrt", s.p[1]) ? 2 : 0;
    if (s.n < 6)
        return 0;
    for (int i = 2; i < 6; i++) {
        uint8_t c = s.p[i], lower = c | 0x20;
        if (!(c >= '0' && c <= '9') && !(lower >= 'a' && lower <= 'f'))
            return 0;
    }
    return 6;
}

static uint32_t hex4(const uint8_t *p)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++)
        v = v << 4 | (uint32_t)(p[i] <= '9' ? p[i] - '0' : (p[i] | 0x20) - 'a' + 10);
    return v;
}

/* At a valid \u escape: the code point, of a surrogate pair too; false on half of a pair. */
static bool take_code_point(maas_span *s, uint32_t *out)
{
    uint32_t high = hex4(s->p + 2);
    maas_span_skip(s, 6);
    *out = high;
    if (high < 0xd800 || high > 0xdfff)
        return true;
    if (high > 0xdbff || escape_len(*s) != 6)
        return false;
    uint32_t low = hex4(s->p + 2);
    if (low < 0xdc00 || low > 0xdfff)
        return false;
    maas_span_skip(s, 6);
    *out = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

/* At a quote: reads past the closing one and leaves what is between in s->text. */
static bool take_string(maas_json_scan *s)
{
    maas_span_skip(&s->rest, 1);
    const uint8_t *begin = s->rest.p;
    s->escaped = false;
    while (s->rest.n) {
        uint8_t c = *s->rest.p;
        size_t len = 1;
        if (c == '"') {
            s->text = maas_span_of(begin, (size_t)(s->rest.p - begin));
            return maas_span_skip(&s->rest, 1);
        }
        if (c == '\\') {
            s->escaped = true;
            if (!(len = escape_len(s->rest)))
                return fail(s, "a bad escape in a string"), false;
            maas_span escape = s->rest;
            uint32_t ignored;
            if (len == 6 && !take_code_point(&escape, &ignored))
                return fail(s, "half of a surrogate pair in a string"), false;
            len = len == 6 ? s->rest.n - escape.n : len;
        } else if (c < 0x20) {
            return fail(s, "a control character in a string"), false;
        } else if (c >= 0x80 && !(len = maas_utf8_len(s->rest))) {
            return fail(s, "a string that is not UTF-8"), false;
        }
        maas_span_skip(&s->rest, len);
    }
    return fail(s, "a string without its closing quote"), false;
}

static size_t put_utf8(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = len - 1; i; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(lead[len] | c);
    return len;
}

static char simple_escape(uint8_t c)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    const char *hit = strchr(from, c);
    return hit ? to[hit - from] : (char)c;
}

char *maas_json_unescape(maas_arena *a, maas_span raw, size_t *out_n)
{
    char *out = raw.n < SIZE_MAX ? maas_arena_alloc(a, raw.n + 1) : NULL; /* never gets longer */
    size_t n = 0;
    while (out && raw.n) {
        const uint8_t *slash = memchr(raw.p, '\\', raw.n);
        size_t plain = slash ? (size_t)(slash - raw.p) : raw.n;
        memcpy(out + n, raw.p, plain);
        n += plain;
        maas_span_skip(&raw, plain);
        size_t len = escape_len(raw);
        uint32_t c;
        if (!raw.n)
            break;
        if (len == 2) {
            out[n++] = simple_escape(raw.p[1]);
            maas_span_skip(&raw, len);
        } else if (len == 6 && take_code_point(&raw, &c)) {
            n += put_utf8(out + n, c);
        } else {
            return NULL;
        }
    }
    if (out) {
        out[n] = '\0';
        *out_n = n;
    }
    return out;
}

/* ---- numbers and words ---- */

static bool take_digits(maas_span *s)
{
    size_t n = 0;
    while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9')
        n++;
    return n && maas_span_skip(s, n);
}

static bool take_char(maas_span *s, char a, char b)
{
    return s->n && (*s->p == a || *s->p == b) && maas_span_skip(s, 1);
}

static maas_json_kind take_number(maas_json_scan *s)
{
    maas_span begin = s->rest;
    take_char(&s->rest, '-', '-');
    bool zero = s->rest.n && *s->rest.p == '0';
    const uint8_t *digits = s->rest.p;
    if (!take_digits(&s->rest) || (zero && s->rest.p - digits > 1))
        return fail(s, zero ? "a number with a leading zero" : "a number without digits");
    if (take_char(&s->rest, '.', '.') && !take_digits(&s->rest))
        return fail(s, "a number without digits after the point");
    if (take_char(&s->rest, 'e', 'E')) {
        take_char(&s->rest, '+', '-');
        if (!take_digits(&s->rest))
            return fail(s, "a number without digits in the exponent");
    }
    s->text = maas_span_of(begin.p, begin.n - s->rest.n);
    value_done(s);
    return MAAS_JSON_NUMBER;
}

static maas_json_kind take_word(maas_json_scan *s)
{
    static const struct {
        const char *word;
        maas_json_kind kind;
    } words[] = {
        {"true", MAAS_JSON_TRUE},          {"false", MAAS_JSON_FALSE},
        {"null", MAAS_JSON_NULL},          {"NaN", MAAS_JSON_NONFINITE},
        {"Infinity", MAAS_JSON_NONFINITE}, {"-Infinity", MAAS_JSON_NONFINITE},
    };
    for (size_t i = 0; i < MAAS_COUNT(words); i++) {
        size_t n = strlen(words[i].word);
        if (s->rest.n < n || memcmp(s->rest.p, words[i].word, n) != 0)
            continue;
        if (words[i].kind == MAAS_JSON_NONFINITE && !s->nonfinite)
            return fail(s, "NaN or Infinity, which are not JSON,");
        maas_span_take(&s->rest, n, &s->text);
        value_done(s);
        return words[i].kind;
    }
    return fail(s, s->rest.n ? "an unexpected character" : "the end of the text inside a value");
}

/* ---- structure ---- */

static maas_json_kind open_level(maas_json_scan *s, bool object)
{
    if (s->depth == MAAS_MAX_JSON_DEPTH)
        return fail(s, "more levels than are allowed");
    maas_span_take(&s->rest, 1, &s->text);
    s->is_object = (s->is_object & ~(1ull << s->depth)) | (uint64_t)object << s->depth;
    s->depth++;
    s->state = object ? WANT_KEY_OR_CLOSE : WANT_VALUE_OR_CLOSE;
    return object ? MAAS_JSON_OBJECT : MAAS_JSON_ARRAY;
}

static maas_json_kind close_level(maas_json_scan *s)
{
    maas_span_take(&s->rest, 1, &s->text);
    s->depth--;
    value_done(s);
    return MAAS_JSON_CLOSE;
}

static maas_json_kind take_key(maas_json_scan *s)
{
    if (peek(s) != '"')
        return fail(s, "something other than a key");
    if (!take_string(s))
        return MAAS_JSON_ERROR;
    if (peek(s) != ':')
        return fail(s, "a key without a colon");
    maas_span_skip(&s->rest, 1);
    s->state = WANT_VALUE;
    return MAAS_JSON_KEY;
}

static maas_json_kind take_value(maas_json_scan *s)
{
    uint8_t c = peek(s);
    if (c == '{' || c == '[')
        return open_level(s, c == '{');
    if (c == '"') {
        if (!take_string(s))
            return MAAS_JSON_ERROR;
        value_done(s);
        return MAAS_JSON_STRING;
    }
    if ((c >= '0' && c <= '9') || (c == '-' && !(s->rest.n > 1 && s->rest.p[1] == 'I')))
        return take_number(s);
    return take_word(s);
}

static maas_json_kind after_value(maas_json_scan *s)
{
    uint8_t c = peek(s);
    if (c == (in_object(s) ? '}' : ']'))
        return close_level(s);
    if (c != ',')
        return fail(s, s->rest.n ? "a value without a comma or the right bracket after it"
                                 : "the end of the text inside an object or array");
    maas_span_skip(&s->rest, 1);
    return in_object(s) ? take_key(s) : take_value(s);
}

maas_json_kind maas_json_next(maas_json_scan *s)
{
    switch (s->state) {
    case WANT_VALUE:
        return take_value(s);
    case WANT_VALUE_OR_CLOSE:
        return peek(s) == ']' ? close_level(s) : take_value(s);
    case WANT_KEY_OR_CLOSE:
        return peek(s) == '}' ? close_level(s) : take_key(s);
    case WANT_COMMA_OR_CLOSE:
        return after_value(s);
    case WANT_END:
        peek(s);
        return s->rest.n ? fail(s, "more text after the end") : MAAS_JSON_END;
    default:
        return MAAS_JSON_ERROR;
    }
}

bool maas_json_skip(maas_json_scan *s)
{
    int until = s->depth - (s->state != WANT_VALUE); /* after a key the level stays */
    do {
        maas_json_kind kind = maas_json_next(s);
        if (kind == MAAS_JSON_ERROR || kind == MAAS_JSON_END)
            return false;
    } while (s->depth > until);
    return true;
}

bool maas_json_at_value(maas_json_scan *s)
{
    uint8_t c = peek(s);
    if (s->state == WANT_COMMA_OR_CLOSE && !in_object(s) && c == ',') {
        maas_span_skip(&s->rest, 1);
        peek(s);
        s->state = WANT_VALUE;
    } else if (s->state == WANT_VALUE_OR_CLOSE && c != ']') {
        s->state = WANT_VALUE;
    }
    return s->state == WANT_VALUE && s->rest.n > 0;
}

bool maas_json_at_array(maas_json_scan *s)
{
    return maas_json_at_value(s) && *s->rest.p == '[';
}

void maas_json_took(maas_json_scan *s, maas_span rest)
{
    MAAS_CHECK(rest.p >= s->rest.p && rest.p + rest.n == s->rest.p + s->rest.n);
    s->rest = rest;
    value_done(s);
}
