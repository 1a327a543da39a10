/* lm/chat/said_forms.c - calls with a name before a separator, and calls in tags. */
#include "lm/chat/said_int.h"

#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/ban.h"

enum { MAX_HEAD = 512 }; /* bytes of a name with what stands around it */

/* There is no name here. How much of it is passed over does not depend on how much came at once. */
static said_step bad(maas_said *s, size_t n)
{
    const size_t left = s->raw.n - s->at;
    s->at += n < left ? n : left;
    return SAID_BAD;
}

/* Up to `text`, which is passed over. DONE: found. */
static said_step take_until(maas_said *s, const char *text, bool last, const char **p, size_t *n)
{
    const size_t after = strlen(text);
    size_t end;
    if (!maas_said_find(s, text, &end))
        return last || s->raw.n - s->at > MAX_HEAD + after ? bad(s, MAX_HEAD) : SAID_MORE;
    if (end - s->at > MAX_HEAD)
        return bad(s, MAX_HEAD);
    *p = s->raw.p + s->at;
    *n = end - s->at;
    s->at = s->seek = end + after;
    return SAID_DONE;
}

/* ---- name SEPARATOR {..} ---- */

enum { HEAD, AFTER, FENCE, ARGS, TAIL };

/* What stands around a name; identifiers are made by us. */
static maas_str bare_name(const maas_said *s, const char *p, size_t n)
{
    static const char id[] = "[CALL_ID]", before[] = "functions.";
    const char *cut = memmem(p, n, id, sizeof id - 1);
    n = cut ? (size_t)(cut - p) : n;
    if (!s->o.style->family->numbered)
        return (maas_str){p, n};
    if (n > sizeof before - 1 && memcmp(p, before, sizeof before - 1) == 0)
        p += sizeof before - 1, n -= sizeof before - 1;
    cut = memrchr(p, ':', n);
    return (maas_str){p, cut ? (size_t)(cut - p) : n};
}

static said_step read_head(maas_said *s, bool last)
{
    const char *p;
    size_t n;
    if (strchr("[{", s->raw.p[s->at])) {
        s->form = maas_said_json;
        return s->form(s, last);
    }
    const said_step step = take_until(s, s->o.style->family->apart, last, &p, &n);
    if (step != SAID_DONE)
        return step;
    const maas_str name = bare_name(s, p, n);
    if (!maas_said_set_name(s, name.p, name.n))
        return SAID_BAD;
    s->state = AFTER;
    return SAID_DONE;
}

static said_step begin_args(maas_said *s)
{
    if (!maas_said_announce(s))
        return SAID_BAD;
    s->value = (said_value){0};
    s->args_to = s->at;
    s->state = ARGS;
    return SAID_DONE;
}

/* DeepSeek's way: the name on a line of its own, then a fence. */
static said_step read_after(maas_said *s, bool last)
{
    const char *p;
    size_t n;
    if (s->raw.p[s->at] == '{')
        return begin_args(s);
    const said_step step = take_until(s, "\n", last, &p, &n);
    if (step != SAID_DONE)
        return step;
    s->state = FENCE;
    return maas_said_set_name(s, p, n) ? SAID_DONE : SAID_BAD;
}

static said_step read_fence(maas_said *s, bool last)
{
    const char *p;
    size_t n;
    if (s->raw.p[s->at] == '{')
        return begin_args(s);
    const int fence = s->nest ? 0 : maas_said_looking_at(s, "```", last);
    if (fence < 0)
        return SAID_MORE;
    const said_step step = fence ? take_until(s, "\n", last, &p, &n) : SAID_BAD;
    s->nest = step == SAID_DONE;
    return step;
}

static said_step read_args(maas_said *s)
{
    bool done;
    const size_t n = maas_said_value(&s->value, s->raw.p + s->at, s->raw.n - s->at, &done);
    maas_said_argue(s, s->raw.p + s->at, n);
    s->at += n;
    s->args_to = s->at;
    if (!done)
        return SAID_MORE;
    maas_said_called(s);
    s->state = TAIL;
    return SAID_DONE;
}

said_step maas_said_named(maas_said *s, bool last)
{
    for (;;) {
        if (s->state == TAIL && !s->nest)
            return SAID_DONE;
        if (s->state != ARGS)
            maas_said_skip_blanks(s);
        if (s->at == s->raw.n)
            return !last ? SAID_MORE : s->state == TAIL ? SAID_DONE : SAID_BAD;
        if (s->state == TAIL) {
            const int fence = maas_said_looking_at(s, "```", last);
            s->at += fence > 0 ? 3 : 0;
            return fence < 0 ? SAID_MORE : SAID_DONE;
        }
        const said_step step = s->state == HEAD    ? read_head(s, last)
                               : s->state == AFTER ? read_after(s, last)
                               : s->state == FENCE ? read_fence(s, last)
                                                   : read_args(s);
        if (step != SAID_DONE || s->form != maas_said_named)
            return step;
    }
}

void maas_said_expect_object(maas_said *s)
{
    s->form = maas_said_named;
    s->state = FENCE;
    s->nest = 1;
}

/* ---- tags ---- */

enum { NAME, NEXT, KEY, OPEN, VALUE };

/* The name ends where it says, or where the first key or the end of the call begins. */
static said_step read_name(maas_said *s, bool last)
{
    const char *from = s->raw.p + s->at;
    const char end[] = {s->o.style->family->name_end[0], '<', '\0'};
    const size_t left = s->raw.n - s->at, most = left < MAX_HEAD ? left : MAX_HEAD;
    size_t n = 0;
    while (n < most && !(from[n] && strchr(end, from[n])))
        n++;
    if (n == most)
        return last || most == MAX_HEAD ? bad(s, MAX_HEAD) : SAID_MORE;
    if (!maas_said_set_name(s, from, n) || !maas_said_announce(s))
        return bad(s, n);
    s->at += n + (from[n] != '<' || end[0] == '<');
    s->args_to = s->at;
    s->state = NEXT;
    return SAID_DONE;
}

static said_step read_next(maas_said *s, bool last)
{
    const maas_said_family *f = s->o.style->family;
    const int key = maas_said_looking_at(s, f->key_open, last);
    const int end = maas_said_looking_at(s, f->close, last);
    if (end > 0) {
        s->at += strlen(f->close);
        maas_said_argue(s, s->nest ? "}" : "{}", s->nest ? 1 : 2);
        maas_said_called(s);
        return SAID_DONE;
    }
    if (key <= 0)
        return key < 0 || end < 0 ? SAID_MORE : SAID_BAD;
    s->at += strlen(f->key_open);
    s->state = KEY;
    return SAID_DONE;
}

static said_step read_key(maas_said *s, bool last)
{
    const char *p;
    size_t n;
    const said_step step = take_until(s, s->o.style->family->key_close, last, &p, &n);
    if (step != SAID_DONE)
        return step;
    s->args_from = (size_t)(p - s->raw.p);
    s->key = (int)n;
    s->state = OPEN;
    return SAID_DONE;
}

static said_step read_open(maas_said *s, bool last)
{
    const char *open = s->o.style->family->value_open;
    if (*open) {
        maas_said_skip_blanks(s);
        const int here = maas_said_looking_at(s, open, last);
        if (here <= 0)
            return here < 0 ? SAID_MORE : SAID_BAD;
        s->at += strlen(open);
    }
    s->seek = s->at;
    s->state = VALUE;
    return SAID_DONE;
}

/* What is written between tags is JSON, unless the tool wants a text or it is none. */
static void put_value(maas_said *s, const char *p, size_t n, maas_buf *out)
{
    AUTO(maas_json_unref) json_t *tree = NULL;
    AUTO(maas_buf_reset) maas_buf list = MAAS_BUF_INIT(MAAS_SAID_MAX_HELD);
    maas_err err = {0};
    const bool text = maas_said_wants_text(s, s->raw.p + s->args_from, (size_t)s->key);
    maas_buf_char(&list, '[');
    maas_buf_add(&list, p, n);
    maas_buf_char(&list, ']');
    if (!text && !list.failed && maas_json_parse(maas_buf_span(&list), &tree, &err) == MAAS_OK &&
        json_array_size(tree) == 1)
        maas_buf_add(out, list.p + 1, n);
    else
        maas_buf_json_str(out, p, n);
}

static said_step read_value(maas_said *s, bool last)
{
    const char *close = s->o.style->family->value_close;
    AUTO(maas_buf_reset) maas_buf out = MAAS_BUF_INIT(6 * MAAS_SAID_MAX_HELD);
    size_t end;
    if (!maas_said_find(s, close, &end))
        return last ? SAID_BAD : SAID_MORE;
    const char *p = s->raw.p + s->at;
    size_t n = end - s->at;
    if (n && *p == '\n')
        p++, n--;
    n -= n && p[n - 1] == '\n';
    maas_buf_char(&out, s->nest++ ? ',' : '{');
    maas_buf_json_str(&out, s->raw.p + s->args_from, (size_t)s->key);
    maas_buf_char(&out, ':');
    put_value(s, p, n, &out);
    maas_said_argue(s, out.p ? out.p : "", out.n);
    s->at = s->seek = s->args_to = end + strlen(close);
    s->state = NEXT;
    return SAID_DONE;
}

said_step maas_said_tagged(maas_said *s, bool last)
{
    static said_form *const steps[] = {read_name, read_next, read_key, read_open, read_value};
    for (;;) {
        if (s->state == NEXT)
            maas_said_skip_blanks(s);
        if (s->state != VALUE && s->state != OPEN && s->at == s->raw.n)
            return last ? SAID_BAD : SAID_MORE;
        const said_step step = steps[s->state](s, last);
        if (step != SAID_DONE || s->any)
            return step;
    }
}
