/* lm/chat/said_python.c - calls that look like code: name(key=value), and Gemma's
 * call:name{key:value}. Such a call is read as a whole, and its values become JSON. */
#include "lm/chat/said_int.h"

#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/ban.h"

enum { MAX_DEPTH = 60 };

typedef struct reader {
    const char *p;
    size_t n, at;
    const char *quote; /* stands around texts besides ' and "; or NULL */
    maas_buf *out;
    uint64_t objects; /* a bit a level */
    int depth;
} reader;

static const struct {
    const char *word, *json;
} words[] = {{"True", "true"}, {"False", "false"}, {"None", "null"},
             {"true", "true"}, {"false", "false"}, {"null", "null"}};

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("_.+-", c));
}

static void put_escape(reader *r, char c)
{
    if (strchr("ntrbf\\\"/u", c)) {
        maas_buf_char(r->out, '\\');
        maas_buf_char(r->out, c);
    } else if (c == '\'') {
        maas_buf_char(r->out, c);
    } else {
        maas_buf_str(r->out, "\\\\");
        maas_buf_char(r->out, c);
    }
}

static bool read_quoted(reader *r)
{
    const char quote = r->p[r->at++];
    maas_buf_char(r->out, '"');
    for (; r->at < r->n && r->p[r->at] != quote; r->at++) {
        const char c = r->p[r->at];
        if (c == '\\' && r->at + 1 < r->n && r->p[r->at + 1])
            put_escape(r, r->p[++r->at]);
        else if ((uint8_t)c < 0x20)
            maas_buf_printf(r->out, "\\u%04x", c);
        else if (c == '"')
            maas_buf_str(r->out, "\\\"");
        else
            maas_buf_char(r->out, c);
    }
    maas_buf_char(r->out, '"');
    return r->at++ < r->n;
}

static bool read_marked(reader *r)
{
    const size_t n = strlen(r->quote);
    const char *from = r->p + r->at + n;
    const char *end = memmem(from, r->n - r->at - n, r->quote, n);
    if (!end)
        return false;
    maas_buf_json_str(r->out, from, (size_t)(end - from));
    r->at = (size_t)(end - r->p) + n;
    return true;
}

static char last_of(const maas_buf *b)
{
    return b->n ? b->p[b->n - 1] : '\0';
}

static bool read_word(reader *r)
{
    const char *p = r->p + r->at, last = last_of(r->out);
    size_t n = 0;
    while (r->at + n < r->n && is_word(p[n]))
        n++;
    r->at += n;
    if (!n)
        return false;
    if ((r->objects >> r->depth & 1) && (last == '{' || last == ',')) {
        maas_buf_json_str(r->out, p, n);
        return true;
    }
    for (size_t i = 0; i < MAAS_COUNT(words); i++)
        if (strlen(words[i].word) == n && memcmp(words[i].word, p, n) == 0) {
            maas_buf_str(r->out, words[i].json);
            return true;
        }
    maas_buf_add(r->out, p, n); /* a number, or it is seen to be none */
    return true;
}

static bool open_bracket(reader *r, char c)
{
    const bool object = c == '{' || (c == '(' && !r->depth);
    if (++r->depth > MAX_DEPTH)
        return false;
    r->objects = (r->objects & ~(1ull << r->depth)) | (uint64_t)object << r->depth;
    maas_buf_char(r->out, object ? '{' : '[');
    r->at++;
    return true;
}

static void close_bracket(reader *r)
{
    if (last_of(r->out) == ',')
        r->out->n--;
    maas_buf_char(r->out, r->objects >> r->depth & 1 ? '}' : ']');
    r->depth--;
    r->at++;
}

/* From a bracket to the one that closes it, as JSON; false: this is none. */
static bool read_literal(reader *r)
{
    do {
        while (r->at < r->n && maas_said_blank(r->p[r->at]))
            r->at++;
        const char c = r->at < r->n ? r->p[r->at] : '\0';
        bool ok = c != '\0';
        if (!c)
            return false;
        if (strchr("{[(", c)) {
            ok = open_bracket(r, c);
        } else if (strchr("}])", c)) {
            close_bracket(r);
        } else if (strchr(",:=", c)) {
            maas_buf_char(r->out, c == ',' ? ',' : ':');
            r->at++;
        } else if (c == '"' || c == '\'') {
            ok = read_quoted(r);
        } else if (r->quote && r->n - r->at >= strlen(r->quote) &&
                   memcmp(r->p + r->at, r->quote, strlen(r->quote)) == 0) {
            ok = read_marked(r);
        } else {
            ok = read_word(r);
        }
        if (!ok)
            return false;
    } while (r->depth);
    return true;
}

/* name, then a bracket: the whole call is in raw[at, end). */
static bool read_call(maas_said *s, size_t end, char bracket, const char *quote)
{
    AUTO(maas_buf_reset) maas_buf out = MAAS_BUF_INIT(6 * MAAS_SAID_MAX_HELD);
    AUTO(maas_json_unref) json_t *tree = NULL;
    maas_err err = {0};
    reader r = {.p = s->raw.p, .n = end, .at = s->at, .quote = quote, .out = &out};
    const char *from = memchr(r.p + r.at, bracket, end - r.at);
    const size_t n = from ? (size_t)(from - (r.p + r.at)) : 0;
    if (!from || !maas_said_set_name(s, r.p + r.at, n))
        return false;
    r.at += n;
    if (!read_literal(&r) || out.failed ||
        maas_json_parse(maas_buf_span(&out), &tree, &err) != MAAS_OK || !maas_said_announce(s))
        return false;
    s->at = r.at;
    maas_said_argue(s, out.p, out.n);
    maas_said_called(s);
    return true;
}

/* The first call is that of a tool, as far as it can be seen. */
static said_step looks_like_call(const maas_said *s)
{
    size_t i = s->at + 1, n = 0;
    while (i < s->raw.n && maas_said_blank(s->raw.p[i]))
        i++;
    while (i + n < s->raw.n && is_word(s->raw.p[i + n]))
        n++;
    if (i + n == s->raw.n)
        return n > MAAS_SAID_MAX_NAME ? SAID_BAD : SAID_MORE;
    return n && s->raw.p[i + n] == '(' ? SAID_DONE : SAID_BAD;
}

/* Where the bracket that raw[at] opens is closed; texts are passed over. */
static bool find_end(maas_said *s, size_t *out)
{
    size_t i = s->seek > s->at ? s->seek : s->at;
    for (; i < s->raw.n; i++) {
        const char c = s->raw.p[i];
        if (s->key) { /* within a text */
            if (c == '\\' && i + 1 == s->raw.n)
                break;
            i += c == '\\';
            s->key = c == s->key ? 0 : s->key;
        } else if (c == '"' || c == '\'') {
            s->key = c;
        } else if (c && strchr("[({", c)) {
            s->nest++;
        } else if (c && strchr("])}", c) && --s->nest <= 0) {
            *out = i;
            return true;
        }
    }
    s->seek = i;
    return false;
}

static said_step read_calls(maas_said *s, size_t end)
{
    for (;;) {
        while (s->at < end && (maas_said_blank(s->raw.p[s->at]) || strchr(",;", s->raw.p[s->at])))
            s->at++;
        if (s->at == end)
            return s->any ? SAID_DONE : SAID_BAD;
        if (!read_call(s, end, '(', NULL)) {
            s->at = end;
            return SAID_BAD;
        }
    }
}

enum { BEGIN, LIST, LINES };

said_step maas_said_python(maas_said *s, bool last)
{
    const char *close = s->o.style->family->close;
    size_t end = s->raw.n;
    if (s->state == BEGIN) {
        maas_said_skip_blanks(s);
        if (s->at == s->raw.n)
            return last ? SAID_BAD : SAID_MORE;
        s->state = s->raw.p[s->at] == '[' ? LIST : LINES;
        s->seek = s->at;
        s->key = s->nest = 0;
    }
    if (s->state == LINES) {
        if (!maas_said_find(s, close, &end) && !last)
            return SAID_MORE;
        return read_calls(s, end);
    }
    const said_step look = looks_like_call(s);
    if (look == SAID_BAD || !find_end(s, &end)) {
        s->at = look == SAID_BAD ? s->at + 1 : last ? s->raw.n : s->at;
        return look == SAID_BAD || last ? SAID_BAD : SAID_MORE;
    }
    s->at++;
    const said_step step = read_calls(s, end);
    s->at = end + 1;
    return step;
}

said_step maas_said_braced(maas_said *s, bool last)
{
    const maas_said_family *f = s->o.style->family;
    size_t end = s->raw.n;
    if (!maas_said_find(s, f->close, &end) && !last)
        return SAID_MORE;
    maas_said_skip_blanks(s);
    const int call = maas_said_looking_at(s, "call:", true);
    s->at += call > 0 ? 5 : 0;
    if (call > 0 && s->at <= end && read_call(s, end, '{', f->apart))
        return SAID_DONE;
    s->at = end;
    return SAID_BAD;
}
