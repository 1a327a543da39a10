#include "formats/xml.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/utf8.h"
#include "base/ban.h"

typedef struct reader {
    maas_span rest;
    maas_arena *a;
    maas_err *err;
    uint32_t line;
    int depth;
    bool latin1;
    maas_xml *top, *open; /* the root; the innermost element that is not closed */
    maas_xml *last;       /* child of `open` that came last; NULL: none */
} reader;

__attribute__((format(printf, 3, 4))) static maas_status fail(reader *r, maas_status st,
                                                              const char *fmt, ...)
{
    char words[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    return maas_fail(r->err, st, "line %u: %s", r->line, words);
}

static maas_status no_memory(reader *r)
{
    return maas_fail(r->err, MAAS_E_NOMEM, "the document does not fit its memory budget");
}

/* ---- characters ---- */

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool in_name(uint8_t c)
{
    return c >= 0x80 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.' || c == ':';
}

static void skip(reader *r, size_t n)
{
    for (size_t i = 0; i < n; i++)
        r->line += r->rest.p[i] == '\n';
    maas_span_skip(&r->rest, n);
}

static void skip_blanks(reader *r)
{
    size_t n = 0;
    while (n < r->rest.n && is_blank(r->rest.p[n]))
        n++;
    skip(r, n);
}

static bool starts(const reader *r, const char *with)
{
    const size_t n = strlen(with);
    return r->rest.n >= n && memcmp(r->rest.p, with, n) == 0;
}

/* Bytes before `end`, which is passed over. */
static maas_status take_until(reader *r, const char *end, maas_span *out)
{
    const uint8_t *at = r->rest.n ? memmem(r->rest.p, r->rest.n, end, strlen(end)) : NULL;
    if (!at)
        return fail(r, MAAS_E_FORMAT, "the file ends before '%s'", end);
    *out = maas_span_of(r->rest.p, (size_t)(at - r->rest.p));
    skip(r, out->n + strlen(end));
    return MAAS_OK;
}

static size_t put_utf8(char *to, uint32_t c)
{
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        to[i] = (char)(0x80 | (c & 0x3f));
    to[0] = (char)((0xf00 >> n & 0xff) | c);
    return n;
}

static bool take_number(maas_span s, uint32_t *out)
{
    const bool hex = s.n > 1 && (s.p[1] == 'x' || s.p[1] == 'X');
    uint32_t v = 0;
    for (size_t i = hex ? 2 : 1; i < s.n; i++) {
        const uint8_t c = s.p[i], low = c | 0x20;
        uint32_t digit;
        if (c >= '0' && c <= '9')
            digit = c - '0';
        else if (hex && low >= 'a' && low <= 'f')
            digit = low - 'a' + 10u;
        else
            return false;
        v = v * (hex ? 16 : 10) + digit;
        if (v > 0x10ffff)
            return false;
    }
    *out = v;
    return v > 0 && (v < 0xd800 || v > 0xdfff);
}

/* &name; or &#number; of which s holds what is between. */
static bool entity(maas_span s, uint32_t *out)
{
    static const struct {
        const char *name;
        uint32_t c;
    } known[] = {{"lt", '<'}, {"gt", '>'}, {"amp", '&'}, {"quot", '"'}, {"apos", '\''}};
    if (s.n > 1 && s.p[0] == '#')
        return take_number(s, out);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (maas_span_is(s, known[i].name)) {
            *out = known[i].c;
            return true;
        }
    return false;
}

/* Text as it was meant: entities resolved unless raw, UTF-8. No longer than twice the bytes. */
static maas_status decode(reader *r, maas_span s, bool raw, const char **out)
{
    char *to = maas_arena_alloc(r->a, s.n * (r->latin1 ? 2 : 1) + 1);
    size_t n = 0;
    if (!to)
        return no_memory(r);
    for (size_t i = 0; i < s.n; i++) {
        const uint8_t c = s.p[i];
        uint32_t code = c;
        if (c == '&' && !raw) {
            const uint8_t *end = memchr(s.p + i, ';', s.n - i);
            if (!end || !entity(maas_span_of(s.p + i + 1, (size_t)(end - s.p) - i - 1), &code))
                return fail(r, MAAS_E_FORMAT, "an entity that is not known");
            i = (size_t)(end - s.p);
            n += put_utf8(to + n, code);
        } else if (r->latin1) {
            n += put_utf8(to + n, code);
        } else {
            to[n++] = (char)c;
        }
        if (!code)
            return fail(r, MAAS_E_FORMAT, "a zero byte in text");
    }
    if (!maas_utf8_valid(maas_span_of(to, n)))
        return fail(r, MAAS_E_FORMAT, "text that is not UTF-8");
    to[n] = '\0';
    *out = to;
    return MAAS_OK;
}

/* ---- elements ---- */

/* A name without its prefix. */
static maas_status take_name(reader *r, const char **out)
{
    size_t n = 0, from = 0;
    while (n < r->rest.n && in_name(r->rest.p[n])) {
        from = r->rest.p[n] == ':' ? n + 1 : from;
        n++;
    }
    maas_span name = maas_span_of(r->rest.p + from, n - from);
    if (!name.n)
        return fail(r, MAAS_E_FORMAT, "a name is expected");
    skip(r, n);
    return decode(r, name, true, out);
}

static maas_status take_attr(reader *r, maas_xml_attr *to)
{
    maas_span value;
    MAAS_TRY(take_name(r, &to->name));
    skip_blanks(r);
    if (!starts(r, "="))
        return fail(r, MAAS_E_FORMAT, "attribute '%.60s' has no value", to->name);
    skip(r, 1);
    skip_blanks(r);
    if (!starts(r, "\"") && !starts(r, "'"))
        return fail(r, MAAS_E_FORMAT, "the value of '%.60s' is not quoted", to->name);
    const char quote[2] = {(char)r->rest.p[0], 0};
    skip(r, 1);
    MAAS_TRY(take_until(r, quote, &value));
    if (value.n && memchr(value.p, '<', value.n))
        return fail(r, MAAS_E_FORMAT, "'<' in the value of '%.60s'", to->name);
    return decode(r, value, false, &to->value);
}

static maas_status take_attrs(reader *r, maas_xml *e)
{
    maas_xml_attr list[MAAS_XML_MAX_ATTRS];
    for (skip_blanks(r); r->rest.n && in_name(r->rest.p[0]); skip_blanks(r)) {
        if (e->n_attr == MAAS_XML_MAX_ATTRS)
            return fail(r, MAAS_E_TOO_LARGE, "more than %d attributes", MAAS_XML_MAX_ATTRS);
        MAAS_TRY(take_attr(r, &list[e->n_attr]));
        e->n_attr++;
    }
    e->attr = e->n_attr ? maas_arena_dup(r->a, list, e->n_attr * sizeof *list) : NULL;
    return e->n_attr && !e->attr ? no_memory(r) : MAAS_OK;
}

static maas_status open_element(reader *r)
{
    maas_xml *e = maas_arena_alloc(r->a, sizeof *e);
    if (!e)
        return no_memory(r);
    *e = (maas_xml){.text = "", .parent = r->open, .line = r->line};
    skip(r, 1);
    MAAS_TRY(take_name(r, &e->name));
    MAAS_TRY(take_attrs(r, e));
    if (!r->open && r->top)
        return fail(r, MAAS_E_FORMAT, "a second root element");
    if (!r->open)
        r->top = e;
    else if (r->last)
        r->last->next = e;
    else
        r->open->child = e;
    const bool empty = starts(r, "/>");
    if (!empty && !starts(r, ">"))
        return fail(r, MAAS_E_FORMAT, "element '%.60s' is not closed by '>'", e->name);
    skip(r, empty ? 2 : 1);
    r->last = empty ? e : NULL;
    if (empty)
        return MAAS_OK;
    r->open = e;
    return ++r->depth <= MAAS_XML_MAX_DEPTH
               ? MAAS_OK
               : fail(r, MAAS_E_TOO_LARGE, "elements are nested deeper than %d",
                      MAAS_XML_MAX_DEPTH);
}

static maas_status close_element(reader *r)
{
    const char *name;
    skip(r, 2);
    MAAS_TRY(take_name(r, &name));
    skip_blanks(r);
    if (!starts(r, ">") || !r->open || strcmp(name, r->open->name) != 0)
        return fail(r, MAAS_E_FORMAT, "'%.60s' is closed, which is not open", name);
    skip(r, 1);
    r->last = r->open;
    r->open = r->open->parent;
    r->depth--;
    return MAAS_OK;
}

/* Only the text before the first child is kept: more has no meaning in the formats read here. */
static maas_status take_text(reader *r, maas_span s, bool raw)
{
    while (s.n && is_blank(s.p[0]))
        maas_span_skip(&s, 1);
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    if (!s.n)
        return MAAS_OK;
    if (!r->open)
        return fail(r, MAAS_E_FORMAT, "text outside of the root element");
    if (r->last || r->open->text[0])
        return MAAS_OK;
    return decode(r, s, raw, &r->open->text);
}

static maas_status take_markup(reader *r)
{
    maas_span s;
    if (starts(r, "<!--"))
        return take_until(r, "-->", &s);
    if (starts(r, "<?"))
        return take_until(r, "?>", &s);
    if (starts(r, "<![CDATA[")) {
        skip(r, 9);
        MAAS_TRY(take_until(r, "]]>", &s));
        return take_text(r, s, true);
    }
    if (starts(r, "<!"))
        return fail(r, MAAS_E_UNSUPPORTED, "a DOCTYPE; remove it");
    return starts(r, "</") ? close_element(r) : open_element(r);
}

/* <?xml version="1.0" encoding="..."?>, where there is one */
static maas_status take_declaration(reader *r)
{
    maas_span s;
    if (starts(r, "\xef\xbb\xbf"))
        skip(r, 3);
    if (!starts(r, "<?xml"))
        return MAAS_OK;
    MAAS_TRY(take_until(r, "?>", &s));
    const uint8_t *at = memmem(s.p, s.n, "encoding", 8);
    if (!at)
        return MAAS_OK;
    static const char *const utf8[] = {"UTF-8", "utf-8", "US-ASCII", "ASCII"};
    static const char *const latin1[] = {"ISO-8859-1", "iso-8859-1", "latin1"};
    const size_t n = s.n - (size_t)(at - s.p);
    for (size_t i = 0; i < sizeof latin1 / sizeof *latin1; i++)
        r->latin1 |= memmem(at, n, latin1[i], strlen(latin1[i])) != NULL;
    bool known = r->latin1;
    for (size_t i = 0; i < sizeof utf8 / sizeof *utf8; i++)
        known |= memmem(at, n, utf8[i], strlen(utf8[i])) != NULL;
    return known ? MAAS_OK
                 : fail(r, MAAS_E_UNSUPPORTED, "an encoding that is not UTF-8 or ISO-8859-1");
}

maas_status maas_xml_read(maas_span file, maas_arena *a, maas_xml **out, maas_err *err)
{
    reader r = {.rest = file, .a = a, .err = err, .line = 1};
    MAAS_TRY(take_declaration(&r));
    while (r.rest.n) {
        const uint8_t *lt = memchr(r.rest.p, '<', r.rest.n);
        const maas_span text = maas_span_of(r.rest.p, lt ? (size_t)(lt - r.rest.p) : r.rest.n);
        MAAS_TRY(take_text(&r, text, false));
        skip(&r, text.n);
        if (r.rest.n)
            MAAS_TRY(take_markup(&r));
    }
    if (r.open)
        return fail(&r, MAAS_E_FORMAT, "element '%.60s' of line %u is not closed", r.open->name,
                    r.open->line);
    if (!r.top)
        return fail(&r, MAAS_E_FORMAT, "no element");
    *out = r.top;
    return MAAS_OK;
}

/* ---- looking ---- */

const char *maas_xml_get(const maas_xml *e, const char *name)
{
    for (uint32_t i = 0; i < e->n_attr; i++)
        if (strcmp(e->attr[i].name, name) == 0)
            return e->attr[i].value;
    return NULL;
}

bool maas_xml_is(const maas_xml *e, const char *name)
{
    return e && strcmp(e->name, name) == 0;
}

static maas_xml *first_of(maas_xml *e, const char *name)
{
    while (e && strcmp(e->name, name) != 0)
        e = e->next;
    return e;
}

maas_xml *maas_xml_child(const maas_xml *e, const char *name)
{
    return e ? first_of(e->child, name) : NULL;
}

maas_xml *maas_xml_sibling(const maas_xml *e, const char *name)
{
    return first_of(e->next, name);
}

maas_xml *maas_xml_after(const maas_xml *e, const maas_xml *top)
{
    if (e->child)
        return e->child;
    while (e != top && !e->next)
        e = e->parent;
    return e == top ? NULL : e->next;
}
