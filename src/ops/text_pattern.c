/*
 * Patterns of tokens: [(?u)] [\b] class+ [\b], where all classes are the same and only the last is
 * repeated. Read once, into a set of characters and a least length; matching is then a walk over
 * maximal runs, which is what re.findall gives for these patterns: a greedy run of one class stops
 * only where the class does, and \b cannot be inside of a run of word characters.
 */
#include "base/span.h"
#include "ops/text.h"
#include "ops/unicode.h"

#include "base/ban.h"

#define MAX_MIN 1000 /* of {min,}: longer tokens are no words */

/* One bit a class; the next one is its complement. */
static const struct {
    char letter;
    bool (*is)(uint32_t c);
} sets[] = {{'w', maas_uni_is_word}, {'d', maas_uni_is_digit}, {'s', maas_uni_is_space}};
enum { SET_W = 1, SET_NOT_W = 2, SET_D = 4, SET_S = 16 };

static bool in_sets(uint32_t bits, uint32_t c)
{
    for (size_t i = 0; i < MAAS_COUNT(sets); i++) {
        const uint32_t two = bits >> 2 * i & 3;
        if (two && (two == 3 || sets[i].is(c) == (two == 1)))
            return true;
    }
    return false;
}

bool maas_text_pattern_has(const maas_text_pattern *p, uint32_t c)
{
    if (c < 128)
        return p->ascii[c >> 6] >> (c & 63) & 1;
    return in_sets(p->sets, c) != p->negated;
}

static void put_ascii(maas_text_pattern *p, uint32_t from, uint32_t to)
{
    for (uint32_t c = from; c <= to; c++)
        p->ascii[c >> 6] |= 1ull << (c & 63);
}

static bool eat(maas_span *s, const char *what)
{
    const size_t n = strlen(what);
    return s->n >= n && memcmp(s->p, what, n) == 0 && maas_span_skip(s, n);
}

/* A class letter after a backslash: \w \W \d \D \s \S. */
static bool eat_set(maas_span *s, maas_text_pattern *p)
{
    if (s->n < 2 || s->p[0] != '\\')
        return false;
    for (size_t i = 0; i < MAAS_COUNT(sets); i++) {
        const bool plain = s->p[1] == (uint8_t)sets[i].letter;
        if (!plain && s->p[1] != (uint8_t)(sets[i].letter - 32))
            continue;
        p->sets |= (plain ? 1u : 2u) << 2 * i;
        for (uint32_t c = 0; c < 128; c++)
            if (sets[i].is(c) == plain)
                put_ascii(p, c, c);
        return maas_span_skip(s, 2);
    }
    return false;
}

/* A character of a [set] that stands for itself: letters and digits, or punctuation, which may be
 * escaped. */
static bool eat_literal(maas_span *s, uint32_t *out)
{
    maas_span at = *s;
    uint8_t c;
    if (!maas_span_u8(&at, &c) || c >= 128 || c == ']' || c == '[')
        return false;
    if (c == '\\') {
        if (!maas_span_u8(&at, &c) || c >= 128 || maas_uni_is_word(c))
            return false; /* \n, \b, \1 ... mean something */
    }
    *s = at;
    *out = c;
    return true;
}

/* What is between [ and ]. */
static bool eat_bracket(maas_span *s, maas_text_pattern *p)
{
    if (!eat(s, "["))
        return false;
    const bool negated = eat(s, "^");
    for (bool first = true; !eat(s, "]"); first = false) {
        uint32_t from, to;
        if (eat_set(s, p))
            continue;
        if ((!first && s->n > 1 && s->p[0] == '-' && s->p[1] != ']') || !eat_literal(s, &from))
            return false; /* a range of a set, a missing bracket */
        to = from;
        if (s->n > 1 && s->p[0] == '-' && s->p[1] != ']') {
            maas_span_skip(s, 1);
            if (!eat_literal(s, &to) || to < from)
                return false;
        }
        put_ascii(p, from, to);
    }
    p->negated = negated;
    if (negated) {
        p->ascii[0] = ~p->ascii[0];
        p->ascii[1] = ~p->ascii[1];
    }
    return true;
}

/* "+", "{3,}": least stays 0 when there is none. */
static bool eat_repeat(maas_span *s, uint32_t *least)
{
    maas_span at = *s;
    uint32_t n = 0;
    if (eat(s, "+")) {
        *least = 1;
        return true;
    }
    if (!eat(&at, "{"))
        return false;
    const uint8_t *digits = at.p;
    for (; at.n && at.p[0] >= '0' && at.p[0] <= '9' && n <= MAX_MIN; maas_span_skip(&at, 1))
        n = n * 10 + (uint32_t)(at.p[0] - '0');
    if (at.p == digits || n < 1 || n > MAX_MIN || !eat(&at, ",}"))
        return false;
    *least = n;
    *s = at;
    return true;
}

static bool same_class(const maas_text_pattern *a, const maas_text_pattern *b)
{
    return a->ascii[0] == b->ascii[0] && a->ascii[1] == b->ascii[1] && a->sets == b->sets &&
           a->negated == b->negated;
}

/* Every character of the class is a word character: then \b is only at the ends of a run. */
static bool within_words(const maas_text_pattern *p)
{
    for (uint32_t c = 0; c < 128; c++)
        if (maas_text_pattern_has(p, c) && !maas_uni_is_word(c))
            return false;
    return p->negated ? (p->sets & SET_NOT_W) != 0 : (p->sets & ~(SET_W | SET_D)) == 0;
}

static bool compile(maas_span s, maas_text_pattern *out)
{
    maas_text_pattern p = {0};
    eat(&s, "(?u)");
    const bool begins = eat(&s, "\\b");
    uint32_t n = 0, least = 0;
    while (!least) {
        maas_text_pattern one = {0};
        if (!eat_bracket(&s, &one) && !eat_set(&s, &one))
            return false;
        if (n++ && !same_class(&p, &one))
            return false;
        p = one;
        if (n > MAX_MIN || (!eat_repeat(&s, &least) && s.n == 0))
            return false;
    }
    p.min = n - 1 + least;
    p.begins = begins;
    p.ends = eat(&s, "\\b");
    if (s.n || ((p.begins || p.ends) && !within_words(&p)))
        return false;
    *out = p;
    return true;
}

maas_status maas_text_pattern_compile(maas_str regex, maas_text_pattern *out, maas_err *err)
{
    if (compile(maas_span_of(regex.p, regex.n), out))
        return MAAS_OK;
    return maas_fail(
        err, MAAS_E_UNSUPPORTED,
        "the token pattern '%.*s' is none of the kind \\b\\w\\w+\\b, [a-z]+ or \\S+: a "
        "run of one class of characters",
        (int)(regex.n < 80 ? regex.n : 80), regex.p);
}
