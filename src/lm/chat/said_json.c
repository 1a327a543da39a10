/* lm/chat/said_json.c - calls as objects of JSON, and the arguments of every form that has them as
 * JSON. */
#include "lm/chat/said_int.h"

#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/ban.h"

enum { MAX_KEY = 256 }; /* bytes of a key, or of a text that is a name */

size_t maas_said_value(said_value *v, const char *p, size_t n, bool *out_done)
{
    *out_done = false;
    for (size_t i = 0; i < n; i++) {
        const char c = p[i];
        if (v->in_string) {
            v->in_string = v->escaped || c != '"';
            v->escaped = !v->escaped && c == '\\';
        } else if (v->scalar && (maas_said_blank(c) || strchr(",]}", c))) {
            *out_done = true;
            return i;
        } else if (c == '"') {
            v->in_string = true;
        } else if (c == '{' || c == '[') {
            v->depth++;
        } else if (c == '}' || c == ']') {
            v->depth -= v->depth > 0;
        } else if (!v->begun) {
            v->scalar = true;
        }
        v->begun = true;
        if (!v->depth && !v->in_string && !v->scalar) {
            *out_done = true;
            return i + 1;
        }
    }
    return n;
}

enum { ITEM, KEY, COLON, VALUE, SKIP, ARGS };
enum { K_OTHER, K_NAME, K_ARGS, K_FUNCTION };
static const struct {
    const char *name;
    int key;
} keys[] = {
    {"name", K_NAME},       {"tool_name", K_NAME},    {"arguments", K_ARGS},
    {"parameters", K_ARGS}, {"function", K_FUNCTION}, {"type", K_OTHER},
};

/* The text that begins at s->at, without its quotes. */
static said_step read_text(maas_said *s, bool last, const char **p, size_t *n)
{
    const char *from = s->raw.p + s->at + 1;
    const size_t left = s->raw.n - s->at - 1;
    const char *end = memchr(from, '"', left < MAX_KEY ? left : MAX_KEY);
    if (!end) {
        if (left < MAX_KEY && !last)
            return SAID_MORE;
        s->at += left < MAX_KEY ? 1 + left : 1 + MAX_KEY;
        return SAID_BAD;
    }
    *p = from;
    *n = (size_t)(end - from);
    s->at += *n + 2;
    return memchr(from, '\\', *n) ? SAID_BAD : SAID_DONE;
}

/* Arguments that stand in a text: what the text says. */
static bool unquote(maas_said *s)
{
    AUTO(maas_arena_reset) maas_arena a = {0};
    const maas_span raw = {(const uint8_t *)s->raw.p + s->args_from + 1,
                           s->args_to - s->args_from - 2};
    size_t n = 0;
    const char *text = maas_json_unescape(&a, raw, &n);
    if (text)
        maas_said_argue(s, text, n);
    return text != NULL;
}

static bool is_quoted(const maas_said *s)
{
    return s->raw.p[s->args_from] == '"';
}

/* A call without a marker is announced late: it may be another object. */
static bool maybe_announce(maas_said *s)
{
    if (s->announced || !s->has_name || (s->bare && !s->has_args))
        return true;
    if (!maas_said_announce(s))
        return false;
    if (!s->has_args || s->state == ARGS)
        s->args_to = s->has_args ? s->args_to : s->at;
    else if (is_quoted(s))
        return unquote(s);
    else
        maas_said_argue(s, s->raw.p + s->args_from, s->args_to - s->args_from);
    return true;
}

static bool end_object(maas_said *s)
{
    if (s->nest) {
        s->nest--;
        s->state = KEY;
        return true;
    }
    if (!s->has_name || (s->bare && !s->has_args) || !maybe_announce(s))
        return false;
    if (!s->args.n)
        maas_said_argue(s, "{}", 2);
    maas_said_called(s);
    s->state = ITEM;
    return true;
}

static said_step at_item(maas_said *s)
{
    const char c = s->raw.p[s->at];
    if (c == '{') {
        s->at++;
        s->state = KEY;
        s->has_name = s->has_args = false;
        s->args_from = s->args_to = s->at;
        return SAID_MORE;
    }
    if (c == '[' && !s->in_list && !s->any && !s->bare) {
        s->in_list = true;
    } else if (c == ']' && s->in_list) {
        s->at++;
        s->start = s->at;
        return SAID_DONE;
    } else if (!(s->any && (c == ';' || (c == ',' && s->in_list)))) {
        return s->any && !s->in_list ? SAID_DONE : SAID_BAD;
    }
    s->at++;
    return SAID_MORE;
}

static said_step at_key(maas_said *s, bool last)
{
    const char c = s->raw.p[s->at];
    const char *p;
    size_t n;
    if (c != '"') {
        s->at++;
        if (c == '}')
            return end_object(s) ? SAID_MORE : SAID_BAD;
        return c == ',' ? SAID_MORE : SAID_BAD;
    }
    const said_step step = read_text(s, last, &p, &n);
    if (step != SAID_DONE)
        return step == SAID_BAD ? SAID_BAD : SAID_DONE;
    bool known = false;
    s->key = K_OTHER;
    for (size_t i = 0; i < MAAS_COUNT(keys) && !known; i++)
        if ((known = strlen(keys[i].name) == n && memcmp(keys[i].name, p, n) == 0))
            s->key = keys[i].key;
    s->state = COLON;
    return known || !s->bare ? SAID_MORE : SAID_BAD;
}

static bool begin_args(maas_said *s)
{
    s->value = (said_value){0};
    s->args_from = s->args_to = s->at;
    s->has_args = true;
    s->state = ARGS;
    return maybe_announce(s);
}

static said_step at_value(maas_said *s, bool last)
{
    const char c = s->raw.p[s->at];
    const char *p;
    size_t n;
    if (s->key == K_ARGS && (c == '{' || c == '"'))
        return !s->has_args && begin_args(s) ? SAID_MORE : SAID_BAD;
    if (s->key == K_FUNCTION && c == '{' && !s->nest) {
        s->at++;
        s->nest = 1;
        s->state = KEY;
        return SAID_MORE;
    }
    if (s->key == K_OTHER || (s->key == K_ARGS && c == 'n')) {
        s->value = (said_value){0};
        s->state = SKIP;
        return SAID_MORE;
    }
    if (c != '"' || s->key == K_ARGS || s->has_name)
        return SAID_BAD;
    const said_step step = read_text(s, last, &p, &n);
    if (step != SAID_DONE)
        return step == SAID_BAD ? SAID_BAD : SAID_DONE;
    if (!maas_said_set_name(s, p, n))
        return SAID_BAD;
    s->state = KEY;
    return maybe_announce(s) ? SAID_MORE : SAID_BAD;
}

static said_step read_args(maas_said *s)
{
    const bool quoted = is_quoted(s);
    bool done;
    const size_t n = maas_said_value(&s->value, s->raw.p + s->at, s->raw.n - s->at, &done);
    if (s->announced && !quoted)
        maas_said_argue(s, s->raw.p + s->at, n);
    s->at += n;
    s->args_to = s->at;
    if (!done)
        return SAID_DONE;
    s->state = KEY;
    if (s->announced && quoted && !unquote(s))
        return SAID_BAD;
    return SAID_MORE;
}

static said_step skip(maas_said *s)
{
    bool done;
    s->at += maas_said_value(&s->value, s->raw.p + s->at, s->raw.n - s->at, &done);
    s->state = done ? KEY : s->state;
    return done ? SAID_MORE : SAID_DONE;
}

/* MORE: go on; DONE: bytes are needed. */
static said_step one(maas_said *s, bool last)
{
    switch (s->state) {
    case KEY:
        return at_key(s, last);
    case COLON:
        s->state = VALUE;
        return s->raw.p[s->at++] == ':' ? SAID_MORE : SAID_BAD;
    case VALUE:
        return at_value(s, last);
    case SKIP:
        return skip(s);
    default:
        return read_args(s);
    }
}

said_step maas_said_json(maas_said *s, bool last)
{
    for (;;) {
        if (s->state != ARGS && s->state != SKIP)
            maas_said_skip_blanks(s);
        if (s->at == s->raw.n)
            break;
        const bool item = s->state == ITEM;
        const said_step step = item ? at_item(s) : one(s, last);
        if (step == SAID_BAD || (item && step == SAID_DONE))
            return step;
        if (step == SAID_DONE)
            break;
    }
    if (!last)
        return SAID_MORE;
    const bool whole = s->state == ITEM && s->any && !s->in_list;
    if (!whole)
        s->at = s->raw.n;
    return whole ? SAID_DONE : SAID_BAD;
}
