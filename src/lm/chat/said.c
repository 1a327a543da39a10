/*
 * lm/chat/said.c - the outer part: text, reasoning, and where calls begin. What a call is made of
 * is read by its form.
 *
 * raw holds what is not decided yet. In text that is the beginning of a marker at most, so bytes
 * are looked at a few times; in a call it is the call as written, which a form reads once from left
 * to right. What turns out to be no call is content up to where that showed, and is not searched
 * again: the work is linear whatever a model writes.
 */
#include "lm/chat/said_int.h"

#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

enum {
    MAX_SPACE = 1024 /* blanks that are held back, bytes */,
    MAX_PIECE = 1 << 16,
    MAX_HEAD = 256
};

maas_said *maas_said_create(const maas_said_opts *o)
{
    maas_said *s = maas_calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->o = *o;
    if (!s->o.max_calls || s->o.max_calls > MAAS_SAID_MAX_CALLS)
        s->o.max_calls = MAAS_SAID_MAX_CALLS;
    s->raw.max = s->args.max = MAAS_SAID_MAX_HELD;
    s->space.max = MAAS_SAID_MAX_HELD;
    s->mode = o->in_thought ? SAID_THOUGHT : SAID_TEXT;
    if (o->style && o->style->family->head) /* the prompt has begun a head */
        s->mode = SAID_HEADER;
    s->fresh = true;
    s->trim = o->in_thought;
    if (maas_buf_reserve(&s->raw, 64)) /* so that raw is never NULL */
        return s;
    maas_said_destroy(s);
    return NULL;
}

void maas_said_destroy(maas_said *s)
{
    if (!s)
        return;
    maas_buf_reset(&s->raw);
    maas_buf_reset(&s->space);
    maas_buf_reset(&s->args);
    maas_free(s);
}

bool maas_said_in_thought(const maas_said *s)
{
    return s->mode == SAID_THOUGHT;
}

bool maas_said_is_over(const maas_said *s)
{
    return s->over;
}

/* ---- what is told ---- */

void maas_said_emit(maas_said *s, maas_said_what what, const char *p, size_t n, bool ok)
{
    const maas_said_event ev = {what, s->kind, {p, n}, ok};
    s->o.on(s->o.user, &ev);
}

void maas_said_end_item(maas_said *s)
{
    if (s->open)
        maas_said_emit(s, MAAS_SAID_END, "", 0, true);
    s->open = false;
}

static void tell(maas_said *s, maas_said_kind kind, const char *p, size_t n)
{
    if (!n)
        return;
    if (!s->open || s->kind != kind) {
        maas_said_end_item(s);
        s->kind = kind;
        s->open = true;
        maas_said_emit(s, MAAS_SAID_BEGIN, "", 0, true);
    }
    maas_said_emit(s, MAAS_SAID_MORE, p, n, true);
}

static maas_said_kind text_kind(const maas_said *s)
{
    return s->mode == SAID_THOUGHT ? MAAS_SAID_REASONING : MAAS_SAID_CONTENT;
}

static void tell_space(maas_said *s)
{
    tell(s, text_kind(s), s->space.p, s->space.n);
    maas_buf_clear(&s->space);
}

/* Text that is no marker. Blanks at its end are kept: a marker may come. */
static void tell_text(maas_said *s, const char *p, size_t n)
{
    if (s->mode == SAID_BROKEN) {
        maas_said_argue(s, p, n);
        return;
    }
    while (s->trim && n && maas_said_blank(*p))
        p++, n--;
    if (!n)
        return;
    s->trim = false;
    size_t body = n;
    while (body && maas_said_blank(p[body - 1]))
        body--;
    if (body) {
        tell_space(s);
        tell(s, text_kind(s), p, body);
        s->fresh = s->after_call = false;
    }
    maas_buf_add(&s->space, p + body, n - body);
    if (s->space.n > MAX_SPACE)
        tell_space(s);
}

/* ---- markers ---- */

/* first: nothing but blanks since the marker before it. */
static bool is_active(const maas_said *s, const maas_said_marker *m, bool first)
{
    const bool calls = s->o.tools && s->n_calls < s->o.max_calls;
    switch (s->mode) {
    case SAID_THOUGHT:
        return m->role == MAAS_SAID_THOUGHT || m->role == MAAS_SAID_TAIL ||
               (m->role == MAAS_SAID_THINK && s->trim && first); /* begun by the prompt, too */
    case SAID_BROKEN:
        return m->role == MAAS_SAID_CLOSE || m->role == MAAS_SAID_TAIL;
    case SAID_HEADER:
        return m->role == MAAS_SAID_BODY;
    case SAID_TEXT:
        return m->role == MAAS_SAID_THINK || m->role == MAAS_SAID_HEAD ||
               m->role == MAAS_SAID_TAIL ||
               (calls && (m->role == MAAS_SAID_OPEN || m->role == MAAS_SAID_QUIET ||
                          m->role == MAAS_SAID_OVER)) ||
               (m->role == MAAS_SAID_CLOSE && s->after_call && first);
    default:
        return false;
    }
}

/* As letters. The end of a call that was read is taken in any form. */
static bool in_letters(const maas_said *s, const maas_said_marker *m, bool first)
{
    return is_active(s, m, first) && (!m->control || m->role == MAAS_SAID_CLOSE);
}

/* The first marker in raw, or (NULL) the first place where one may begin; raw.n: nowhere. */
static const maas_said_marker *find_marker(const maas_said *s, bool last, size_t *at)
{
    const maas_said_style *y = s->o.style;
    bool first = true;
    for (size_t i = s->from; i < s->raw.n; i++) {
        for (uint32_t k = 0; k < y->n; k++) {
            const maas_str m = y->markers[k].text;
            const size_t left = s->raw.n - i, n = left < m.n ? left : m.n;
            if (s->raw.p[i] != m.p[0] || !in_letters(s, &y->markers[k], first) ||
                memcmp(s->raw.p + i, m.p, n) != 0 || (last && n < m.n))
                continue;
            *at = i;
            return n == m.n ? &y->markers[k] : NULL;
        }
        first = first && maas_said_blank(s->raw.p[i]);
    }
    *at = s->raw.n;
    return NULL;
}

static void begin_call(maas_said *s, size_t start, size_t at, bool bare)
{
    s->mode = SAID_CALL;
    s->form = s->o.style->family->form;
    s->start = start;
    s->at = s->seek = at;
    s->bare = bare;
    s->announced = s->in_list = s->any = s->has_name = s->has_args = false;
    s->state = s->nest = 0;
}

static void end_broken(maas_said *s)
{
    maas_said_emit(s, MAAS_SAID_END, s->raw.p + s->start, s->from - s->start, false);
    s->open = s->announced = false;
    s->mode = SAID_TEXT;
    s->trim = s->fresh = s->after_call = true;
}

/* A head is whole: raw[start, from), with the marker at its end. It names a function, or a channel.
 */
static void end_head(maas_said *s, size_t start, const maas_said_marker *m)
{
    static const char to[] = "to=", before[] = "functions.";
    const char *p = s->raw.p + start, *end = s->raw.p + s->from - m->text.n;
    const size_t n = (size_t)(end - p);
    const char *name = memmem(p, n, to, sizeof to - 1);
    s->mode = memmem(p, n, "analysis", 8) ? SAID_THOUGHT : SAID_TEXT;
    s->trim = s->fresh = true;
    s->after_call = false;
    if (!name || !s->o.tools)
        return;
    name += sizeof to - 1;
    if ((size_t)(end - name) >= sizeof before - 1 && memcmp(name, before, sizeof before - 1) == 0)
        name += sizeof before - 1;
    size_t len = 0;
    while (name + len < end && !maas_said_blank(name[len]) && name[len] != '<')
        len++;
    begin_call(s, start, s->from, false);
    maas_said_expect_object(s);
    if (!maas_said_set_name(s, name, len))
        s->mode = SAID_TEXT;
}

/* A marker whose letters are raw[from - n, from). */
static void hit(maas_said *s, const maas_said_marker *m)
{
    switch (m->role) {
    case MAAS_SAID_HEAD:
        s->mode = SAID_HEADER;
        break;
    case MAAS_SAID_BODY: /* text_step has seen to it */
        break;
    case MAAS_SAID_TAIL:
        if (s->mode == SAID_BROKEN)
            end_broken(s);
        else if (s->mode == SAID_THOUGHT)
            s->mode = SAID_TEXT;
        break;
    case MAAS_SAID_THINK:
    case MAAS_SAID_THOUGHT:
        maas_said_end_item(s);
        maas_buf_clear(&s->space);
        s->mode = m->role == MAAS_SAID_THINK ? SAID_THOUGHT : SAID_TEXT;
        s->trim = s->fresh = true;
        break;
    case MAAS_SAID_OPEN:
        begin_call(s, s->from - m->text.n, s->from, false);
        break;
    case MAAS_SAID_QUIET:
        if (!s->after_call)
            maas_buf_add(&s->space, m->text.p, m->text.n);
        break;
    case MAAS_SAID_CLOSE:
        if (s->mode == SAID_BROKEN)
            end_broken(s);
        break;
    case MAAS_SAID_OVER:
        s->over = true;
        break;
    case MAAS_SAID_APART:
        break;
    }
}

/* ---- bytes come ---- */

/* A form is through with raw: there were calls, or none. */
static void leave_call(maas_said *s, said_step step)
{
    if (step == SAID_DONE) {
        s->mode = SAID_TEXT;
        s->trim = s->fresh = s->after_call = true;
        s->from = s->at;
        return;
    }
    if (s->announced) { /* too late to take it back: the arguments are what the model wrote */
        s->mode = SAID_BROKEN;
        s->from = s->args_to;
        return;
    }
    s->mode = SAID_TEXT;
    s->trim = false;
    s->from = s->at;
    tell_text(s, s->raw.p + s->start, s->at - s->start);
    s->fresh = false;
}

/* All of a head is held until it is whole; one that is too long, or is not ended, is text. */
static bool head_step(maas_said *s, const maas_said_marker *m, size_t at, bool last)
{
    const size_t start = s->from;
    if (m && at - start <= MAX_HEAD) {
        s->from = at + m->text.n;
        end_head(s, start, m);
        return true;
    }
    if (s->raw.n - start <= MAX_HEAD + 16 && !last)
        return false;
    s->mode = SAID_TEXT;
    return s->raw.n > start;
}

/* False: more bytes are needed. */
static bool text_step(maas_said *s, bool last)
{
    size_t at;
    if (s->mode == SAID_TEXT && s->fresh && s->o.tools && s->n_calls < s->o.max_calls &&
        s->o.style->family->bare) {
        size_t i = s->from;
        while (i < s->raw.n && maas_said_blank(s->raw.p[i]))
            i++;
        if (i < s->raw.n && s->raw.p[i] == s->o.style->family->bare) {
            tell_text(s, s->raw.p + s->from, i - s->from);
            s->from = i;
            begin_call(s, i, i, true);
            return true;
        }
    }
    const maas_said_marker *m = find_marker(s, last, &at);
    if (s->mode == SAID_HEADER)
        return head_step(s, m, at, last);
    tell_text(s, s->raw.p + s->from, at - s->from);
    s->from = at;
    if (!m)
        return false;
    s->from += m->text.n;
    hit(s, m);
    return true;
}

/* Bytes that are told go; those of a call stay, in one piece. */
static void tidy(maas_said *s)
{
    const bool call = s->mode == SAID_CALL || s->mode == SAID_BROKEN;
    const size_t keep = call ? s->start : s->from;
    if (!keep)
        return;
    memmove(s->raw.p, s->raw.p + keep, s->raw.n - keep);
    s->raw.n -= keep;
    s->from -= s->from < keep ? s->from : keep;
    s->at -= s->at < keep ? s->at : keep;
    s->seek -= s->seek < keep ? s->seek : keep;
    s->args_from -= s->args_from < keep ? s->args_from : keep;
    s->args_to -= s->args_to < keep ? s->args_to : keep;
    s->start = 0;
}

static void run(maas_said *s, bool last)
{
    bool going = true;
    while (going && !s->over) {
        if (s->mode == SAID_CALL) {
            const said_step step = s->form(s, last);
            /* after the last call that is wanted, what a form has begun is not looked at */
            going = !s->over && (step != SAID_MORE || last);
            if (going)
                leave_call(s, step == SAID_DONE ? SAID_DONE : SAID_BAD);
        } else {
            going = text_step(s, last);
        }
    }
    tidy(s);
}

/* What may have been the beginning of a marker is none; what may have been a call is what it is. */
static void flush(maas_said *s)
{
    run(s, true);
    tidy(s);
}

/* More than is held for a call: it is none. */
static void give_up_call(maas_said *s)
{
    if (s->mode == SAID_CALL) {
        s->at = s->raw.n;
        leave_call(s, SAID_BAD);
    }
    flush(s);
    if (s->mode == SAID_BROKEN)
        end_broken(s);
    tidy(s);
}

/* Pieces are small against what is held. */
static bool add(maas_said *s, maas_str text)
{
    if (text.n > MAAS_SAID_MAX_HELD - s->raw.n)
        give_up_call(s);
    maas_buf_add(&s->raw, text.p, text.n);
    s->failed |= s->raw.failed;
    return !s->failed;
}

bool maas_said_text(maas_said *s, maas_str text)
{
    if (!text.n || s->over)
        return !s->failed;
    if (!s->o.style) {
        tell(s, MAAS_SAID_CONTENT, text.p, text.n);
        return true;
    }
    while (text.n) {
        const size_t n = text.n < MAX_PIECE ? text.n : MAX_PIECE;
        if (!add(s, (maas_str){text.p, n}))
            return false;
        run(s, false);
        text.p += n;
        text.n -= n;
    }
    return !s->space.failed;
}

bool maas_said_control(maas_said *s, maas_str name)
{
    const maas_said_style *y = s->o.style;
    const maas_said_marker *m = NULL;
    for (uint32_t i = 0; y && i < y->n; i++)
        if (y->markers[i].control && y->markers[i].text.n == name.n &&
            memcmp(y->markers[i].text.p, name.p, name.n) == 0)
            m = &y->markers[i];
    if (!m || s->over)
        return !s->failed;
    if (s->mode == SAID_CALL && (m->role == MAAS_SAID_APART || m->role == MAAS_SAID_CLOSE)) {
        if (!add(s, name))
            return false;
        run(s, false);
        if (m->role == MAAS_SAID_APART || s->mode != SAID_CALL)
            return true;
    }
    if (s->mode == SAID_HEADER) { /* a head is made of control tokens and words */
        if (!add(s, name))
            return false;
        if (m->role == MAAS_SAID_BODY) {
            const size_t start = s->from;
            s->from = s->raw.n;
            end_head(s, start, m);
            tidy(s);
        }
        return true;
    }
    flush(s);
    if (is_active(s, m, true)) {
        if (!add(s, name))
            return false;
        s->from = s->raw.n;
        hit(s, m);
        tidy(s);
    }
    return true;
}

bool maas_said_finish(maas_said *s)
{
    if (s->o.style && !s->failed && !s->over) {
        flush(s);
        if (s->mode == SAID_BROKEN)
            end_broken(s);
        if (s->mode == SAID_TEXT)
            tell_space(s);
    }
    maas_said_end_item(s);
    return !s->failed && !s->space.failed;
}
