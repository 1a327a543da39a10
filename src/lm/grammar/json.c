/*
 * lm/grammar/json.c - pieces of JSON texts. Spaces are those of usual writers: none, one, or a line
 * and its indent; never more, so that no answer runs away in them.
 */
#include <string.h>

#include "base/json.h"
#include "base/num.h"
#include "lm/grammar/reading.h"
#include "base/ban.h"

enum { MAX_INDENT = 20, MAX_DIGITS = 15, MAX_FRACTION = 16 };

static const gram_node *digits(gram_build *b, uint32_t min, uint32_t max)
{
    return gram_repeat(b, gram_class(b, &(gram_range){'0', '9'}, 1, false), min, max);
}

const gram_node *gram_json_space(gram_build *b)
{
    const gram_node *indent = gram_repeat(b, gram_chars(b, " \t"), 0, MAX_INDENT);
    return gram_maybe(b, gram_alt2(b, gram_word(b, " "), gram_seq2(b, gram_word(b, "\n"), indent)));
}

const gram_node *gram_json_comma(gram_build *b)
{
    return gram_seq2(b, gram_word(b, ","), gram_json_space(b));
}

const gram_node *gram_json_colon(gram_build *b)
{
    return gram_seq2(b, gram_word(b, ":"), gram_maybe(b, gram_word(b, " ")));
}

const gram_node *gram_json_braces(gram_build *b, const char *open, const gram_node *inner,
                                  const char *close)
{
    return GRAM_SEQ(b, gram_word(b, open), gram_json_space(b), inner, gram_json_space(b),
                    gram_word(b, close));
}

/* ---- strings ---- */

/* One character, as it is or escaped: \u of half a pair comes with the other half. */
static const gram_node *any_character(gram_build *b)
{
    static const gram_range plain_not[] = {{0, 0x1f}, {'"', '"'}, {'\\', '\\'}};
    static const gram_range hex_is[] = {{'0', '9'}, {'a', 'f'}, {'A', 'F'}};
    static const gram_range not_d[] = {{'0', '9'}, {'a', 'c'}, {'e', 'f'}, {'A', 'C'}, {'E', 'F'}};
    const gram_node *hex = gram_class(b, hex_is, 3, false), *d = gram_chars(b, "dD");
    const gram_node *hex2 = gram_seq2(b, hex, hex);
    const gram_node *whole = gram_seq2(b, gram_class(b, not_d, 5, false), GRAM_SEQ(b, hex, hex2));
    const gram_node *low = GRAM_SEQ(b, d, gram_class(b, &(gram_range){'0', '7'}, 1, false), hex2);
    const gram_node *pair = GRAM_SEQ(b, d, gram_chars(b, "89abAB"), hex2, gram_word(b, "\\u"), d,
                                     gram_chars(b, "cdefCDEF"), hex2);
    const gram_node *code = gram_seq2(b, gram_word(b, "u"), GRAM_ALT(b, whole, low, pair));
    return gram_alt2(
        b, gram_class(b, plain_not, 3, true),
        gram_seq2(b, gram_word(b, "\\"), gram_alt2(b, gram_chars(b, "\"\\/bfnrt"), code)));
}

const gram_node *gram_json_character(gram_build *b)
{
    if (!b->character)
        b->character = any_character(b);
    return b->character;
}

const gram_node *gram_json_string(gram_build *b, uint32_t min, uint32_t max)
{
    return GRAM_SEQ(b, gram_word(b, "\""), gram_repeat(b, gram_json_character(b), min, max),
                    gram_word(b, "\""));
}

/* A character that must be escaped, in its short form. */
static const char *escape_of(uint32_t c, char out[8])
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *at = c && c < 0x80 ? strchr(from, (int)c) : NULL;
    if (at) {
        out[0] = '\\';
        out[1] = to[at - from];
        out[2] = 0;
        return out;
    }
    memcpy(out, "\\u00", 4);
    out[4] = "0123456789abcdef"[c >> 4 & 15];
    out[5] = "0123456789abcdef"[c & 15];
    out[6] = 0;
    return out;
}

static bool is_escaped(uint32_t c)
{
    return c < 0x20 || c == '"' || c == '\\';
}

const gram_node *gram_json_class(gram_build *b, const gram_range *r, uint32_t n)
{
    gram_ranges plain = {0};
    gram_list all = {0};
    char escape[8];
    for (uint32_t i = 0; i < n && b->status == MAAS_OK; i++) {
        uint32_t from = r[i].from;
        for (uint32_t c = from; c <= r[i].to && c <= '\\'; c++) {
            if (!is_escaped(c))
                continue;
            if (c > from)
                gram_ranges_add(b, &plain, from, c - 1);
            gram_list_add(b, &all, gram_word(b, escape_of(c, escape)));
            from = c + 1;
        }
        if (from <= r[i].to)
            gram_ranges_add(b, &plain, from, r[i].to);
    }
    gram_list_add(b, &all, gram_class(b, plain.at, plain.n, false));
    return gram_alt(b, all.at, all.n);
}

/* ---- numbers ---- */

const gram_node *gram_json_integer(gram_build *b)
{
    const gram_node *first = gram_class(b, &(gram_range){'1', '9'}, 1, false);
    return gram_seq2(
        b, gram_maybe(b, gram_word(b, "-")),
        gram_alt2(b, gram_word(b, "0"), gram_seq2(b, first, digits(b, 0, MAX_DIGITS))));
}

const gram_node *gram_json_number(gram_build *b)
{
    /* up to 289: with 16 digits in front it is still a number */
    const gram_node *far = gram_alt2(b, gram_seq2(b, gram_word(b, "1"), digits(b, 2, 2)),
                                     GRAM_SEQ(b, gram_word(b, "2"),
                                              gram_class(b, &(gram_range){'0', '8'}, 1, false),
                                              digits(b, 1, 1)));
    const gram_node *power = GRAM_SEQ(b, gram_chars(b, "eE"), gram_maybe(b, gram_chars(b, "+-")),
                                      gram_alt2(b, digits(b, 1, 2), far));
    const gram_node *fraction = gram_seq2(b, gram_word(b, "."), digits(b, 1, MAX_FRACTION));
    return GRAM_SEQ(b, gram_json_integer(b), gram_maybe(b, fraction), gram_maybe(b, power));
}

/* ---- values ---- */

static const gram_node *member(gram_build *b)
{
    return GRAM_SEQ(b, gram_json_string(b, 0, GRAM_ENDLESS), gram_json_colon(b), gram_json_any(b));
}

/* Any number of x with commas, in brackets. */
static const gram_node *listing(gram_build *b, const char *open, const gram_node *x,
                                const char *close)
{
    const gram_node *more = gram_repeat(b, gram_seq2(b, gram_json_comma(b), x), 0, GRAM_ENDLESS);
    const gram_node *empty = GRAM_SEQ(b, gram_word(b, open), gram_json_space(b),
                                      gram_word(b, close));
    return gram_alt2(b, gram_json_braces(b, open, gram_seq2(b, x, more), close), empty);
}

const gram_node *gram_json_object(gram_build *b)
{
    return listing(b, "{", member(b), "}");
}

const gram_node *gram_json_array(gram_build *b)
{
    return listing(b, "[", gram_json_any(b), "]");
}

const gram_node *gram_json_any(gram_build *b)
{
    if (!b->any_json) {
        const uint32_t rule = gram_rule_add(b, (maas_str){"", 0});
        b->any_json = rule + 1;
        const gram_node *body = GRAM_ALT(
            b, gram_json_string(b, 0, GRAM_ENDLESS), gram_json_number(b), gram_word(b, "true"),
            gram_word(b, "false"), gram_word(b, "null"), gram_json_object(b), gram_json_array(b));
        if (b->status == MAAS_OK)
            b->rules[rule].body = body;
    }
    return gram_rule_use(b, b->any_json - 1);
}

/* ---- this one value ---- */

const gram_node *gram_json_text(gram_build *b, const char *p, size_t n)
{
    maas_buf out = MAAS_BUF_IN(b->a, GRAM_MAX_TEXT);
    char escape[8];
    maas_buf_char(&out, '"');
    for (size_t i = 0; i < n; i++)
        if (is_escaped((uint8_t)p[i]))
            maas_buf_str(&out, escape_of((uint8_t)p[i], escape));
        else
            maas_buf_char(&out, p[i]);
    maas_buf_char(&out, '"');
    if (out.failed)
        gram_fail(b, MAAS_E_TOO_LARGE, "a text of %zu bytes in a schema", n);
    return gram_text(b, out.p ? out.p : "", out.n);
}

static const gram_node *number(gram_build *b, const json_t *v)
{
    char text[MAAS_NUM_MAX];
    const size_t n = json_is_integer(v) ? maas_num_put_i64(text, json_integer_value(v))
                                        : maas_num_put_f64(text, json_real_value(v));
    return gram_text(b, text, n);
}

static const gram_node *composed(gram_build *b, const json_t *v)
{
    gram_list all = {0};
    const bool object = json_is_object(v);
    const char *key;
    size_t len, i;
    json_t *x;
    if (object) {
        json_object_keylen_foreach((json_t *)(uintptr_t)v, key, len, x)
        {
            if (all.n)
                gram_list_add(b, &all, gram_json_comma(b));
            gram_list_add(b, &all, gram_json_text(b, key, len));
            gram_list_add(b, &all, gram_json_colon(b));
            gram_list_add(b, &all, gram_json_value(b, x));
        }
    } else {
        json_array_foreach(v, i, x)
        {
            if (all.n)
                gram_list_add(b, &all, gram_json_comma(b));
            gram_list_add(b, &all, gram_json_value(b, x));
        }
    }
    if (!all.n)
        return GRAM_SEQ(b, gram_word(b, object ? "{" : "["), gram_json_space(b),
                        gram_word(b, object ? "}" : "]"));
    return gram_json_braces(b, object ? "{" : "[", gram_seq(b, all.at, all.n), object ? "}" : "]");
}

/* As deep as base/json.h lets a document be. */
const gram_node *gram_json_value(gram_build *b, const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_STRING:
        return gram_json_text(b, json_string_value(v), json_string_length(v));
    case JSON_INTEGER:
    case JSON_REAL:
        return number(b, v);
    case JSON_TRUE:
        return gram_word(b, "true");
    case JSON_FALSE:
        return gram_word(b, "false");
    case JSON_NULL:
        return gram_word(b, "null");
    case JSON_OBJECT:
    case JSON_ARRAY:
        break;
    }
    return composed(b, v);
}
