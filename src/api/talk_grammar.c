/*
 * api/talk_grammar.c - the grammar of an answer, once its prompt is known: what it shall look like,
 * a call that must be, or calls that must be right when there are some (tools with `strict`).
 *
 * What a model thinks is free. Where the prompt has not ended the thought, the grammar begins
 * behind it; in families whose answers are several messages, with the one for the reader.
 */
#include "api/talk_format.h"
#include "api/talk_int.h"

#include <string.h>

#include "base/ban.h"

enum { MAX_FORCED = 16 /* calls in one answer */, MAX_TEXT = 1 << 16 };

/* ---- texts of a style ---- */

static bool begins(maas_str s, size_t at, maas_str part)
{
    return part.n <= s.n - at && memcmp(s.p + at, part.p, part.n) == 0;
}

/* A text as a grammar has it: markers that are control tokens are those, not their letters. */
static void add_marked(const maas_said_style *y, maas_str s, maas_buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        for (uint32_t k = 0; k < y->n; k++)
            if (y->markers[k].control && begins(s, i, y->markers[k].text)) {
                maas_buf_str(out, MAAS_GRAMMAR_CONTROL);
                break;
            }
        maas_buf_char(out, s.p[i]);
    }
}

static maas_str marked(const maas_talk *t, maas_str s)
{
    maas_buf b = MAAS_BUF_IN(maas_req_arena(t->req), MAX_TEXT);
    add_marked(t->style, s, &b);
    return b.failed ? (maas_str){NULL, 0} : (maas_str){b.p, b.n};
}

static maas_str marker(const maas_talk *t, maas_said_role role)
{
    for (uint32_t i = 0; t->style && i < t->style->n; i++)
        if (t->style->markers[i].role == role)
            return marked(t, t->style->markers[i].text);
    return (maas_str){NULL, 0};
}

/* ---- what is free before it ---- */

typedef struct lead {
    maas_grammar_part parts[2];
    uint32_t n;
} lead;

/* A thought that the prompt began, or one that the model may begin. */
static void add_thought(const maas_talk *t, lead *l)
{
    const maas_str open = marker(t, MAAS_SAID_THINK), close = marker(t, MAAS_SAID_THOUGHT);
    if (open.n && close.n && !t->thought_over)
        l->parts[l->n++] = (maas_grammar_part){.kind = MAAS_GRAMMAR_FREE,
                                               .text = t->in_thought ? (maas_str){"", 0} : open,
                                               .until = close};
}

/* All messages before the one for the reader, and its head. */
static void add_messages(const maas_talk *t, const char *final, const char *then, lead *l)
{
    l->parts[l->n++] = (maas_grammar_part){.kind = MAAS_GRAMMAR_FREE,
                                           .until = marked(t, (maas_str){final, strlen(final)})};
    l->parts[l->n++] = (maas_grammar_part){.kind = MAAS_GRAMMAR_TEXT,
                                           .text = marked(t, (maas_str){then, strlen(then)})};
}

static maas_status constrain_format(maas_talk *t, maas_err *err)
{
    lead l = {.n = 0};
    const char *then, *final = t->style ? maas_said_final(t->style, &then) : NULL;
    if (final)
        add_messages(t, final, then, &l);
    else
        add_thought(t, &l);
    const maas_grammar_spec spec = {
        .lead = l.parts, .n_lead = l.n, .parts = t->format.parts, .n_parts = t->format.n};
    const maas_status st = maas_talk_constrain(t, &spec, err);
    if (st != MAAS_OK)
        maas_err_prefix(err, "'%s'", t->format.name);
    return st;
}

/* ---- calls: their frames around what the schemas of tools allow ---- */

typedef struct calls {
    maas_talk *t;
    maas_grammar_part *parts;
    uint32_t n;
} calls;

static bool add_text(calls *c, const char *before, size_t n, const char *name, maas_str after)
{
    maas_buf b = MAAS_BUF_IN(maas_req_arena(c->t->req), MAX_TEXT);
    add_marked(c->t->style, (maas_str){before, n}, &b);
    maas_buf_str(&b, name);
    add_marked(c->t->style, after, &b);
    if (b.n)
        c->parts[c->n++] = (maas_grammar_part){.kind = MAAS_GRAMMAR_TEXT, .text = {b.p, b.n}};
    return !b.failed;
}

/* frame: maas_said_frame; any: arguments are any object. */
static bool add_call(calls *c, maas_str frame, const json_t *function, bool any)
{
    const char *name = json_string_value(json_object_get(function, "name"));
    const char *at = memchr(frame.p, '\1', frame.n), *args = memchr(frame.p, '\2', frame.n);
    const char *end = frame.p + frame.n;
    if (c->n)
        c->parts[c->n++] = (maas_grammar_part){.kind = MAAS_GRAMMAR_OR};
    if (!add_text(c, frame.p, (size_t)(at - frame.p), name,
                  (maas_str){at + 1, (size_t)(args - at - 1)}))
        return false;
    c->parts[c->n++] = (maas_grammar_part){.kind = any ? MAAS_GRAMMAR_JSON : MAAS_GRAMMAR_SCHEMA,
                                           .json = json_object_get(function, "parameters")};
    return add_text(c, "", 0, "", (maas_str){args + 1, (size_t)(end - args - 1)});
}

static bool is_strict(const json_t *function)
{
    return json_is_true(json_object_get(function, "strict"));
}

/* Whose arguments are those of the schema; others are any object. */
typedef enum which { OF_ALL, OF_STRICT, OF_NONE } which;

static maas_status add_calls(calls *c, maas_str frame, which w, maas_err *err)
{
    const maas_talk *t = c->t;
    const size_t n = json_array_size(t->tools);
    c->n = 0;
    c->parts = maas_arena_array(maas_req_arena(t->req), 4 * n, sizeof *c->parts);
    for (size_t i = 0; i < n; i++) {
        const json_t *f = json_object_get(json_array_get(t->tools, i), "function");
        const char *name = json_string_value(json_object_get(f, "name"));
        if (t->must_name && strcmp(t->must_name, name) != 0)
            continue;
        if (!c->parts || !add_call(c, frame, f, w == OF_NONE || (w == OF_STRICT && !is_strict(f))))
            return maas_fail(err, MAAS_E_NOMEM, "memory for 'tools'");
    }
    return MAAS_OK;
}

static bool any_strict(const maas_talk *t)
{
    for (size_t i = 0; i < json_array_size(t->tools); i++)
        if (is_strict(json_object_get(json_array_get(t->tools, i), "function")))
            return true;
    return false;
}

/* ---- a call that must be ---- */

static maas_status must_call(maas_talk *t, which w, maas_err *err)
{
    const char *between, *frame = maas_said_frame(t->style, &between);
    calls c = {.t = t};
    lead l = {.n = 0};
    add_thought(t, &l);
    MAAS_TRY(add_calls(&c, (maas_str){frame, strlen(frame)}, w, err));
    const maas_grammar_spec spec = {.lead = l.parts,
                                    .n_lead = l.n,
                                    .parts = c.parts,
                                    .n_parts = c.n,
                                    .max_times = t->one_call ? 1 : MAX_FORCED,
                                    .between = {between, strlen(between)}};
    return maas_talk_constrain(t, &spec, err);
}

/* A schema that is not understood is any object, unless a tool is strict. */
static maas_status force(maas_talk *t, maas_err *err)
{
    const char *between;
    maas_err first = {0};
    if (!maas_said_frame(t->style, &between)) { /* the family writes no JSON: then as any model */
        t->own_style = *t->style;
        maas_said_style_plain(maas_lm_service_tokenizer(t->service), &t->own_style);
        t->style = &t->own_style;
    }
    if (must_call(t, OF_ALL, &first) == MAAS_OK)
        return MAAS_OK;
    if (!any_strict(t))
        return must_call(t, OF_NONE, err);
    return maas_fail(err, first.code, "'tools' that are strict: %s", first.msg);
}

/* ---- calls that may be, and are right then ---- */

static maas_status arm(maas_talk *t, maas_err *err)
{
    maas_grammar_trigger triggers[MAAS_GRAMMAR_MAX_TRIGGERS];
    const maas_str open = marker(t, MAAS_SAID_THINK);
    const maas_grammar_part thought = {.kind = MAAS_GRAMMAR_FREE,
                                       .until = marker(t, MAAS_SAID_THOUGHT)};
    uint32_t n = 0;
    maas_said_trigger x;
    for (uint32_t i = 0; maas_said_trigger_of(t->style, i, &x); i++) {
        calls c = {.t = t};
        MAAS_TRY(add_calls(&c, x.rest, OF_STRICT, err));
        triggers[n++] = (maas_grammar_trigger){marked(t, x.text), x.at_start, c.parts, c.n};
    }
    if (!n)
        return maas_fail(err, MAAS_E_INVALID,
                         "the model writes the arguments of calls in a form of its own, and no "
                         "schema holds it to that: 'tool_choice' must ask for a call, or none of "
                         "them be strict");
    if (open.n && thought.until.n)
        triggers[n++] = (maas_grammar_trigger){open, false, &thought, 1};
    const maas_grammar_spec spec = {
        .lead = &thought, .n_lead = t->in_thought, .triggers = triggers, .n_triggers = n};
    return maas_talk_constrain(t, &spec, err);
}

maas_status maas_talk_grammar(maas_talk *t, maas_err *err)
{
    if (t->format.n)
        return constrain_format(t, err);
    if (!t->tools || !t->style)
        return MAAS_OK;
    if (t->must_call)
        return force(t, err);
    if (!any_strict(t))
        return MAAS_OK;
    const maas_status st = arm(t, err);
    if (st != MAAS_OK)
        maas_err_prefix(err, "'tools' that are strict");
    return st;
}
