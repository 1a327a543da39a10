/* api/talk_said.c - what an engine says becomes the items of a choice, and is told to the dialect's
 * writers while it grows. */
#include "api/talk_int.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "base/ban.h"

void maas_talk_put_items(const maas_talk_choice *c, maas_said_kind kind, maas_buf *out)
{
    for (size_t i = 0; i < c->n_items; i++)
        if (c->items[i].kind == kind && c->items[i].text.n)
            maas_buf_add(out, c->items[i].text.p, c->items[i].text.n);
}

size_t maas_talk_call_index(const maas_talk_choice *c, const maas_talk_item *i)
{
    size_t n = 0;
    for (const maas_talk_item *x = c->items; x < i; x++)
        n += x->kind == MAAS_SAID_CALL;
    return n;
}

/* Letters and digits, as many as the templates of the model want; else OpenAI's form. */
static void make_id(const maas_talk *t, maas_talk_item *i)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    const uint32_t own = t->style ? maas_said_id_length(t->style) : 0;
    uint8_t random[32];
    maas_random_bytes(random, sizeof random);
    size_t n = own ? 0 : (size_t)snprintf(i->id, sizeof i->id, "call_");
    const size_t end = own && own < sizeof random ? own : n + 24;
    for (size_t k = 0; n < end; n++, k++)
        i->id[n] = letters[random[k] % (sizeof letters - 1)];
    i->id[n] = '\0';
}

static void begin_item(maas_talk *t, const maas_said_event *ev)
{
    maas_talk_choice *c = maas_talk_at(t);
    if (!maas_grow(&c->items, &c->items_cap, c->n_items + 1, sizeof *c->items)) {
        t->no_memory = true;
        return;
    }
    maas_talk_item *i = &c->items[c->n_items++];
    *i = (maas_talk_item){.kind = ev->kind,
                          .name = MAAS_BUF_INIT(MAAS_SAID_MAX_NAME + 1),
                          .text = MAAS_BUF_INIT(MAAS_TALK_MAX_REPLY)};
    if (i->kind == MAAS_SAID_CALL) {
        make_id(t, i);
        maas_buf_add(&i->name, ev->text.p, ev->text.n);
    }
}

/* A call that is none is what the model wrote, as long as nobody was told otherwise. */
static void end_item(maas_talk *t, maas_talk_item *i, const maas_said_event *ev, bool told)
{
    i->ok = ev->ok;
    if (i->kind != MAAS_SAID_CALL)
        return;
    maas_talk_at(t)->n_calls += i->ok;
    if (i->ok || told)
        return;
    i->kind = MAAS_SAID_CONTENT;
    maas_buf_clear(&i->text);
    maas_buf_add(&i->text, ev->text.p, ev->text.n);
}

static void tell(maas_talk *t, const maas_talk_item *i, const maas_said_event *ev)
{
    const maas_talk_writers *w = t->writers;
    const bool call = ev->kind == MAAS_SAID_CALL, silent = call && w->whole_calls;
    if (ev->what == MAAS_SAID_BEGIN && !silent && w->item_begin)
        w->item_begin(t, i, &t->out);
    if (ev->what == MAAS_SAID_MORE && !silent && w->item_text)
        w->item_text(t, i, ev->text, &t->out);
    if (ev->what != MAAS_SAID_END)
        return;
    if (call && i->kind == MAAS_SAID_CONTENT && w->item_text)
        w->item_text(t, i, ev->text, &t->out);
    if (w->item_end)
        w->item_end(t, i, &t->out);
}

static void on_said(void *user, const maas_said_event *ev)
{
    maas_talk *t = user;
    maas_talk_choice *c = maas_talk_at(t);
    if (ev->what == MAAS_SAID_BEGIN)
        begin_item(t, ev);
    if (t->no_memory)
        return;
    maas_talk_item *i = &c->items[c->n_items - 1];
    if (ev->what == MAAS_SAID_MORE)
        maas_buf_add(&i->text, ev->text.p, ev->text.n);
    if (ev->what == MAAS_SAID_END)
        end_item(t, i, ev, t->stream && !t->writers->whole_calls);
    t->no_memory |= i->text.failed || i->name.failed;
    if (t->stream)
        tell(t, i, ev);
}

void maas_talk_hear_begin(maas_talk *t)
{
    const maas_said_opts o = {.style = t->style,
                              .tools = t->tools,
                              .in_thought = t->in_thought,
                              .max_calls = t->one_call ? 1 : 0,
                              .on = on_said,
                              .user = t};
    maas_talk_at(t)->said = maas_said_create(&o);
    t->no_memory |= !maas_talk_at(t)->said;
}

void maas_talk_hear(maas_talk *t, const maas_lm_event *ev)
{
    const maas_tokenizer *k = maas_lm_service_tokenizer(t->service);
    maas_talk_choice *c = maas_talk_at(t);
    if (c->over || t->no_memory)
        return;
    if (t->writers->token)
        t->writers->token(t, ev);
    t->reasoning_tokens += maas_said_in_thought(c->said);
    bool ok = maas_said_text(c->said, ev->text);
    if (maas_tokenizer_is_special(k, ev->token))
        ok &= maas_said_control(c->said, maas_tokenizer_name(k, ev->token));
    t->no_memory |= !ok;
    c->over = maas_said_is_over(c->said);
    if (c->over || t->no_memory)
        maas_talk_stop(t);
}

void maas_talk_hear_end(maas_talk *t, const maas_lm_event *ev)
{
    maas_talk_choice *c = maas_talk_at(t);
    c->finish = c->over ? MAAS_LM_STOP : ev->finish;
    c->stop = ev->stop;
    if (!t->no_memory && !(maas_said_text(c->said, ev->text) && maas_said_finish(c->said)))
        t->no_memory = true;
    maas_said_destroy(c->said);
    c->said = NULL;
}

void maas_talk_forget(maas_talk *t)
{
    for (int32_t i = 0; t->choices && i < t->n; i++) {
        maas_talk_choice *c = &t->choices[i];
        maas_said_destroy(c->said);
        for (size_t k = 0; k < c->n_items; k++) {
            maas_buf_reset(&c->items[k].name);
            maas_buf_reset(&c->items[k].text);
        }
        maas_free(c->items);
        maas_buf_reset(&c->logprobs);
    }
}
