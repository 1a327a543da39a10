/*
 * RE2's syntax, read from left to right and written in PCRE2's. Every character that means itself
 * is written as its number, every group as (?:...), so nothing of what PCRE2 knows beyond RE2 can
 * come out.
 */
#include <stdio.h>

#include "base/utf8.h"
#include "ops/regex.h"
#include "ops/unicode.h"

#include "base/ban.h"

typedef struct flags {
    bool any_case, lines; /* i and m */
} flags;

typedef struct reader {
    maas_span in;
    maas_buf *out;
    int depth;                              /* open groups */
    bool repeatable;                        /* something stands here that * may follow */
    flags on, outside[MAAS_REGEX_MAX_NEST]; /* now, and around each open group */
    maas_err *err;
} reader;

static maas_status bad(reader *r, const char *what)
{
    return maas_fail(r->err, MAAS_E_INVALID, "the pattern is no RE2 syntax: %s", what);
}

static bool sees(const reader *r, const char *text)
{
    const size_t n = strlen(text);
    return r->in.n >= n && memcmp(r->in.p, text, n) == 0;
}

static bool eat(reader *r, const char *text)
{
    return sees(r, text) && maas_span_skip(&r->in, strlen(text));
}

static uint32_t next_char(reader *r)
{
    uint32_t c;
    maas_span_skip(&r->in, maas_uni_get((const char *)r->in.p, &c));
    return c;
}

static bool is_word_char(uint32_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void put_char(reader *r, uint32_t c)
{
    maas_buf_printf(r->out, "\\x{%x}", c);
}

/* ---- escapes ---- */

static int digit_of(uint8_t c, int base)
{
    const int v = c >= '0' && c <= '9'   ? c - '0'
                  : c >= 'a' && c <= 'f' ? c - 'a' + 10
                  : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                         : 99;
    return v < base ? v : -1;
}

/* Up to `most` digits; how many there were. */
static int read_number(reader *r, int base, int most, uint32_t *out)
{
    int n = 0;
    *out = 0;
    while (n < most && r->in.n && digit_of(r->in.p[0], base) >= 0) {
        *out = *out * (uint32_t)base + (uint32_t)digit_of(r->in.p[0], base);
        maas_span_skip(&r->in, 1);
        n++;
    }
    return n;
}

static maas_status read_hex(reader *r, uint32_t *out)
{
    if (!eat(r, "{"))
        return read_number(r, 16, 2, out) == 2 ? MAAS_OK : bad(r, "two digits must follow \\x");
    const int n = read_number(r, 16, 8, out);
    if (!n || !eat(r, "}") || *out > 0x10ffff || (*out >= 0xd800 && *out < 0xe000))
        return bad(r, "\\x{...} is no character");
    return MAAS_OK;
}

/* What follows a backslash and is one character. */
static maas_status read_escaped(reader *r, uint32_t *out)
{
    static const char names[] = "aftnrv", values[] = "\a\f\t\n\r\v";
    if (!r->in.n)
        return bad(r, "a backslash at the end");
    const uint32_t c = next_char(r);
    *out = c;
    if (c == 'x')
        return read_hex(r, out);
    if (c == '0' || (c >= '1' && c <= '7' && r->in.n && digit_of(r->in.p[0], 8) >= 0)) {
        uint32_t more;
        const int n = read_number(r, 8, 2, &more);
        *out = ((c - '0') << 3 * n) + more;
        return MAAS_OK;
    }
    for (size_t i = 0; i + 1 < sizeof names; i++)
        if (c == (uint8_t)names[i]) {
            *out = (uint8_t)values[i];
            return MAAS_OK;
        }
    if (c >= '1' && c <= '9')
        return bad(r, "backreferences");
    return c >= 0x80 || is_word_char(c) ? bad(r, "an unknown escape") : MAAS_OK;
}

/* ---- classes ---- */

/* \d \w \s of ASCII; PCRE2's \s would take the vertical tab, too. */
static bool put_perl_class(reader *r, uint32_t c, bool inside)
{
    switch (c) {
    case 'd':
    case 'D':
    case 'w':
    case 'W':
        maas_buf_printf(r->out, "\\%c", (char)c);
        return true;
    case 's':
        maas_buf_str(r->out, inside ? "\\x{9}\\x{a}\\x{c}\\x{d}\\x{20}"
                                    : "[\\x{9}\\x{a}\\x{c}\\x{d}\\x{20}]");
        return true;
    case 'S':
        maas_buf_str(r->out, inside ? "\\S\\x{b}" : "[^\\x{9}\\x{a}\\x{c}\\x{d}\\x{20}]");
        return true;
    default:
        return false;
    }
}

static bool is_category(const char *name, size_t n)
{
    static const char *const names[] = {"Cc", "Cf", "Co", "Cs", "L",  "Ll", "Lm", "Lo", "Lt",
                                        "Lu", "M",  "Mc", "Me", "Mn", "N",  "Nd", "Nl", "No",
                                        "P",  "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S",
                                        "Sc", "Sk", "Sm", "So", "Z",  "Zl", "Zp", "Zs", "Any"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == n && memcmp(names[i], name, n) == 0)
            return true;
    return false;
}

/* \pL, \p{Greek}, \P{^Nd}: a category, or a script, whose name PCRE2 checks. */
static maas_status read_property(reader *r, bool negated)
{
    char name[40];
    size_t n = 0;
    if (!r->in.n)
        return bad(r, "\\p at the end");
    if (!eat(r, "{")) {
        name[n++] = (char)next_char(r);
    } else {
        negated ^= eat(r, "^");
        while (r->in.n && r->in.p[0] != '}' && n < sizeof name - 1)
            if (is_word_char(r->in.p[0]) || r->in.p[0] == '_')
                name[n++] = (char)next_char(r);
            else
                return bad(r, "a name of \\p{...}");
        if (!eat(r, "}") || !n)
            return bad(r, "a name of \\p{...}");
    }
    name[n] = '\0';
    if (n == 1 && name[0] == 'C')
        return maas_fail(r->err, MAAS_E_UNSUPPORTED,
                         "\\pC means other characters in RE2: write "
                         "\\p{Cc}, \\p{Cf}, \\p{Co}, \\p{Cs}");
    if (n < 3 && !is_category(name, n))
        return bad(r, "a name of \\p");
    if (r->on.any_case && n == 2 && name[0] == 'L' && memchr("ult", name[1], 3))
        return maas_fail(r->err, MAAS_E_UNSUPPORTED,
                         "\\p{Lu}, \\p{Ll} and \\p{Lt} under the flag i are not supported");
    maas_buf_printf(r->out, "\\%c{%s%s}", negated ? 'P' : 'p',
                    is_category(name, n) ? "" : "sc:", name);
    return MAAS_OK;
}

static bool eat_posix_class(reader *r)
{
    static const char *const names[] = {"alnum", "alpha", "ascii", "blank", "cntrl",
                                        "digit", "graph", "lower", "print", "punct",
                                        "space", "upper", "word",  "xdigit"};
    for (size_t i = 0; i < 2 * sizeof names / sizeof *names; i++) {
        char text[16];
        snprintf(text, sizeof text, "[:%s%s:]", i & 1 ? "^" : "", names[i / 2]);
        if (eat(r, text)) {
            maas_buf_str(r->out, text);
            return true;
        }
    }
    return false;
}

static maas_status read_class_char(reader *r, uint32_t *out)
{
    if (!r->in.n)
        return bad(r, "a missing ]");
    return eat(r, "\\") ? read_escaped(r, out) : (*out = next_char(r), MAAS_OK);
}

/* Something of a class that is no range. */
static maas_status read_class_set(reader *r, bool *out)
{
    *out = true;
    if (sees(r, "[:")) {
        if (eat_posix_class(r))
            return MAAS_OK;
        if (r->in.n > 2 && memmem(r->in.p, r->in.n, ":]", 2))
            return bad(r, "a name of [:...:]");
    }
    if (r->in.n > 1 && r->in.p[0] == '\\') {
        const uint8_t c = r->in.p[1];
        if (put_perl_class(r, c, true))
            return maas_span_skip(&r->in, 2) ? MAAS_OK : MAAS_E_INTERNAL;
        if (c == 'p' || c == 'P') {
            maas_span_skip(&r->in, 2);
            return read_property(r, c == 'P');
        }
    }
    *out = false;
    return MAAS_OK;
}

static maas_status read_class(reader *r)
{
    bool first = true, set;
    uint32_t lo, hi;
    maas_buf_str(r->out, eat(r, "^") ? "[^" : "[");
    for (; first || !sees(r, "]"); first = false) {
        if (!r->in.n)
            return bad(r, "a missing ]");
        MAAS_TRY(read_class_set(r, &set));
        if (set)
            continue;
        MAAS_TRY(read_class_char(r, &lo));
        put_char(r, lo);
        if (!sees(r, "-") || sees(r, "-]"))
            continue;
        eat(r, "-");
        MAAS_TRY(read_class_char(r, &hi));
        if (hi < lo)
            return bad(r, "a range that goes down");
        maas_buf_char(r->out, '-');
        put_char(r, hi);
    }
    eat(r, "]");
    maas_buf_char(r->out, ']');
    return MAAS_OK;
}

/* ---- repetition ---- */

/* {n}, {n,} or {n,m}; anything else is text. */
static bool eat_counts(reader *r, uint32_t *least, uint32_t *most, bool *open)
{
    const maas_span before = r->in;
    if (eat(r, "{") && read_number(r, 10, 8, least)) {
        *most = *least;
        *open = eat(r, ",") && !read_number(r, 10, 8, most);
        *most = *open ? *least : *most;
        if (eat(r, "}"))
            return true;
    }
    r->in = before;
    return false;
}

/* A repetition where the reader stands; *out: there was one. */
static maas_status read_repeat(reader *r, bool *out)
{
    static const char *const signs[] = {"*", "+", "?"};
    uint32_t least = 0, most = 0;
    bool open = false;
    char text[32] = "";
    for (int i = 0; i < 3 && !*text; i++)
        if (eat(r, signs[i]))
            snprintf(text, sizeof text, "%s", signs[i]);
    if (!*text && eat_counts(r, &least, &most, &open)) {
        if (least > MAAS_REGEX_MAX_REPEAT || most > MAAS_REGEX_MAX_REPEAT || most < least)
            return bad(r, "a repetition of too many");
        if (open)
            snprintf(text, sizeof text, "{%u,}", least);
        else
            snprintf(text, sizeof text, "{%u,%u}", least, most);
    }
    *out = *text != '\0';
    if (!*out)
        return MAAS_OK;
    if (!r->repeatable)
        return bad(r, "a repetition of nothing, or of a repetition");
    eat(r, "?"); /* as few as possible: the same texts */
    maas_buf_str(r->out, text);
    r->repeatable = false;
    return MAAS_OK;
}

/* ---- groups ---- */

/* (?flags) or (?flags:...), behind "(?". U says which of equal matches to prefer: no matter here.
 */
static maas_status read_flags(reader *r)
{
    char text[24];
    size_t n = 0;
    bool off = false, any = false;
    flags on = r->on;
    while (r->in.n && r->in.p[0] != ')' && r->in.p[0] != ':') {
        const char c = (char)next_char(r);
        if ((c == '-' && off) || !memchr("imsU-", c, 5) || n + 2 >= sizeof text)
            return bad(r, "flags of a group");
        any = c != '-';
        on.any_case = c == 'i' ? !off : on.any_case;
        on.lines = c == 'm' ? !off : on.lines;
        off |= c == '-';
        if (c != 'U')
            text[n++] = c;
    }
    if ((off && !any) || !r->in.n)
        return bad(r, "flags of a group");
    const bool group = next_char(r) == ':';
    maas_buf_str(r->out, "(?");
    maas_buf_add(r->out, text, n);
    maas_buf_char(r->out, group ? ':' : ')');
    if (group)
        r->outside[r->depth++] = r->on;
    r->on = on;
    return MAAS_OK;
}

static maas_status read_name(reader *r)
{
    size_t n = 0;
    for (; r->in.n && r->in.p[0] != '>'; n++) {
        const uint32_t c = next_char(r);
        if (!is_word_char(c) && c != '_')
            return bad(r, "the name of a group");
    }
    return n && eat(r, ">") ? MAAS_OK : bad(r, "the name of a group");
}

static maas_status read_group(reader *r)
{
    static const char *const refused[] = {"?=", "?!", "?<=", "?<!", "?>", "?|", "?#", "?P=", "?P>"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (sees(r, refused[i]))
            return bad(r, "look-around, atomic groups and references");
    if (r->depth >= MAAS_REGEX_MAX_NEST)
        return bad(r, "groups too deep");
    r->repeatable = false;
    if (eat(r, "?P<") || eat(r, "?<"))
        MAAS_TRY(read_name(r));
    else if (eat(r, "?"))
        return read_flags(r);
    maas_buf_str(r->out, "(?:");
    r->outside[r->depth++] = r->on;
    return MAAS_OK;
}

/* ---- everything ---- */

static maas_status read_quoted(reader *r)
{
    while (r->in.n && !eat(r, "\\E"))
        put_char(r, next_char(r));
    return MAAS_OK;
}

/* Behind a backslash, outside of a class. */
static maas_status read_backslash(reader *r)
{
    static const char asserted[] = "AzbB";
    uint32_t c = r->in.n ? r->in.p[0] : 0;
    if (eat(r, "Q"))
        return read_quoted(r);
    if (eat(r, "C"))
        return maas_fail(r->err, MAAS_E_UNSUPPORTED,
                         "\\C, a byte of a character, is not supported");
    if (c && memchr(asserted, (int)c, sizeof asserted - 1)) {
        maas_span_skip(&r->in, 1);
        maas_buf_printf(r->out, "(?:\\%c)", (char)c);
        return MAAS_OK;
    }
    if (eat(r, "p") || eat(r, "P"))
        return read_property(r, c == 'P');
    if (c < 0x80 && put_perl_class(r, c, false))
        return maas_span_skip(&r->in, 1) ? MAAS_OK : MAAS_E_INTERNAL;
    MAAS_TRY(read_escaped(r, &c));
    put_char(r, c);
    return MAAS_OK;
}

static maas_status read_one(reader *r)
{
    const uint32_t c = next_char(r);
    r->repeatable = true;
    switch (c) {
    case '\\':
        return read_backslash(r);
    case '[':
        return read_class(r);
    case '(':
        return read_group(r);
    case ')':
        if (!r->depth)
            return bad(r, "a ) too many");
        maas_buf_char(r->out, ')');
        r->on = r->outside[--r->depth];
        return MAAS_OK;
    case '|':
        r->repeatable = false;
        maas_buf_char(r->out, '|');
        return MAAS_OK;
    case '.':
        maas_buf_char(r->out, '.');
        return MAAS_OK;
    case '^':
        maas_buf_str(r->out, r->on.lines ? "(?:^)" : "(?:\\A)");
        return MAAS_OK;
    case '$':
        maas_buf_str(r->out, r->on.lines ? "(?:$)" : "(?:\\z)");
        return MAAS_OK;
    default:
        put_char(r, c);
        return MAAS_OK;
    }
}

maas_status maas_regex_translate(maas_str pattern, maas_buf *out, maas_err *err)
{
    reader r = {.in = maas_span_of(pattern.p, pattern.n), .out = out, .err = err};
    if (pattern.n > MAAS_REGEX_MAX_BYTES)
        return maas_fail(err, MAAS_E_TOO_LARGE, "a pattern of %zu bytes, at most %d are allowed",
                         pattern.n, MAAS_REGEX_MAX_BYTES);
    if (!maas_utf8_valid(r.in))
        return bad(&r, "it is not UTF-8");
    maas_buf_str(out, "(?:");
    while (r.in.n) {
        bool repeated;
        MAAS_TRY(read_repeat(&r, &repeated));
        if (!repeated)
            MAAS_TRY(read_one(&r));
    }
    if (r.depth)
        return bad(&r, "a missing )");
    maas_buf_str(out, ")\\z");
    return out->failed ? maas_fail(err, MAAS_E_NOMEM, "a pattern of %zu bytes", pattern.n)
                       : MAAS_OK;
}
