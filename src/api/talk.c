#include "api/talk.h"

#include <stdio.h>
#include <string.h>

#include "api/auth.h"
#include "api/reply.h"
#include "api/talk_int.h"
#include "base/mem.h"
#include "base/ban.h"

#define MAX_AHEAD ((size_t)256 << 10) /* bytes of a stream that wait for its reader */

const char *maas_talk_finish_name(maas_lm_finish f)
{
    return f == MAAS_LM_LENGTH || f == MAAS_LM_DEADLINE ? "length" : "stop";
}

/* ---- from the engine ---- */

static void reset(maas_talk *t)
{
    maas_talk_forget(t);
    maas_buf_reset(&t->out);
    maas_buf_reset(&t->prompt);
    json_decref(t->tools);
    maas_grammar_unref(t->ask.grammar);
    json_decref(t->body);
    maas_lm_service_unref(t->service);
}

void maas_talk_stop(maas_talk *t)
{
    maas_engine_cancel(maas_lm_service_engine(t->service), t->engine_id);
}

/* What the writers wrote; when the peer is gone, its answer ends. */
static void send(maas_talk *t)
{
    maas_buf *b = &t->out;
    const bool ok = !b->failed && (!b->n || maas_req_stream_write(t->req, b->p, b->n));
    maas_buf_clear(b);
    if (!ok && !t->gone) {
        t->gone = true;
        maas_talk_stop(t);
    }
}

/* ---- a reader that is behind: its request makes no more until it has read ---- */

static void let_go(void *user)
{
    maas_talk_hold *h = user;
    maas_lm_service *s = h->service;
    maas_engine_hold(maas_lm_service_engine(s), h->id, false);
    atomic_store(&h->on, false); /* the next one may begin: nothing of this one is read from here */
    maas_lm_service_unref(s);
}

static void hold_if_behind(maas_talk *t)
{
    maas_talk_hold *h = &t->hold;
    if (t->gone || atomic_load(&h->on) || maas_req_stream_backlog(t->req) <= MAX_AHEAD)
        return;
    atomic_store(&h->on, true);
    h->service = t->service;
    h->id = t->engine_id;
    maas_lm_service_ref(h->service);
    maas_engine_hold(maas_lm_service_engine(h->service), h->id, true);
    if (!maas_req_stream_wait(t->req, MAX_AHEAD, let_go, h))
        let_go(h);
}

static void on_event(void *user, const maas_lm_event *ev);

/* The choice at hand goes to the engine; each has a seed of its own. */
static maas_status submit(maas_talk *t, uint32_t *retry_ms, maas_err *err)
{
    maas_ask ask = t->ask;
    ask.tokens = (const int32_t *)(const void *)t->prompt.p;
    ask.n_tokens = (uint32_t)(t->prompt.n / sizeof(int32_t));
    ask.sampling.seed += (uint64_t)t->choice;
    return maas_engine_submit(maas_lm_service_engine(t->service), &ask, on_event, t, &t->engine_id,
                              retry_ms, err);
}

static void add_timing(maas_talk *t, const maas_lm_timing *x)
{
    t->timing.queue_ns += x->queue_ns;
    t->timing.prompt_ns += x->prompt_ns;
    t->timing.decode_ns += x->decode_ns;
    t->timing.prompt_tokens = x->prompt_tokens;
    t->timing.cached_tokens += t->choice == 0 ? x->cached_tokens : 0;
    t->timing.tokens += x->tokens;
    t->timing.drafted += x->drafted;
    t->timing.accepted += x->accepted;
}

static void finish_stream(maas_talk *t)
{
    maas_req *r = t->req;
    if (t->writers->close)
        t->writers->close(t, &t->out);
    send(t);
    reset(t);
    maas_req_stream_end(r);
}

static void finish_whole(maas_talk *t)
{
    maas_buf b = MAAS_BUF_INIT(MAAS_TALK_MAX_REPLY);
    maas_req *r = t->req;
    t->writers->whole(t, &b);
    reset(t);
    maas_req_reply_buf(r, 200, "application/json", &b);
    maas_req_resume(r);
}

static void give_up(maas_talk *t, const maas_err *err)
{
    maas_req *r = t->req;
    if (t->streaming) {
        t->writers->failed(t, err, &t->out);
        send(t);
        reset(t);
        maas_req_stream_end(r);
    } else {
        reset(t);
        maas_req_fail(r, err);
        maas_req_resume(r);
    }
}

/* The stream begins with the first thing there is to say, so that what fails before has a status of
 * its own. */
static void begin_choice(maas_talk *t)
{
    if (t->begun)
        return;
    t->begun = true;
    maas_talk_hear_begin(t);
    if (!t->stream)
        return;
    if (!t->streaming)
        maas_req_stream_begin(t->req, 200, t->writers->content_type);
    t->streaming = true;
    if (t->writers->begin)
        t->writers->begin(t, &t->out);
}

static void next_choice(maas_talk *t)
{
    maas_err err = {0};
    if (t->no_memory) {
        maas_fail(&err, MAAS_E_NOMEM, "memory for an answer");
        give_up(t, &err);
        return;
    }
    if (++t->choice < t->n && !t->gone) {
        t->begun = false;
        if (submit(t, NULL, &err) != MAAS_OK)
            give_up(t, &err);
        return;
    }
    if (t->stream)
        finish_stream(t);
    else
        finish_whole(t);
}

static void on_token(maas_talk *t, const maas_lm_event *ev)
{
    maas_talk_hear(t, ev);
    if (t->stream) {
        send(t);
        hold_if_behind(t);
    } else if (!t->gone && maas_req_gone(t->req)) {
        t->gone = true;
        maas_talk_stop(t);
    }
}

static void fail_late(maas_talk *t)
{
    maas_err err = {0};
    maas_fail(&err, MAAS_E_TIMEOUT, "the deadline of the request passed before its first token");
    give_up(t, &err);
}

static void on_event(void *user, const maas_lm_event *ev)
{
    maas_talk *t = user;
    if (ev->kind != MAAS_LM_TOKEN)
        maas_lm_stats_add(maas_lm_service_stats(t->service), ev);
    if (ev->kind == MAAS_LM_DONE && ev->finish == MAAS_LM_DEADLINE && !ev->timing.tokens &&
        !t->streaming) {
        fail_late(t);
        return;
    }
    if (ev->kind == MAAS_LM_FAILED) {
        give_up(t, ev->error);
        return;
    }
    begin_choice(t);
    if (ev->kind == MAAS_LM_TOKEN) {
        on_token(t, ev);
        return;
    }
    add_timing(t, &ev->timing);
    t->choices[t->choice].stop = ev->stop;
    maas_talk_hear_end(t, ev);
    if (t->stream) {
        if (t->writers->end)
            t->writers->end(t, &t->out);
        send(t);
    }
    next_choice(t);
}

/* ---- to the engine ---- */

static maas_status open_talk(maas_talk *t, maas_req *r, const char *model, maas_err *err)
{
    maas_app *app = maas_app_of(r);
    if (!model && app->conf.default_model && *app->conf.default_model)
        model = app->conf.default_model;
    if (!model)
        return maas_fail(err, MAAS_E_INVALID, "'model' is missing");
    MAAS_TRY(maas_may_use_model(r, model, err));
    return maas_models_load_lm(app->models, maas_caller(r)->tenant, model, &t->service, err);
}

maas_talk *maas_talk_open(maas_req *r, json_t *body, const maas_err *why, const char *model,
                          const char *id_prefix, const maas_talk_writers *w)
{
    maas_err err = {0};
    maas_talk *t = body ? maas_arena_alloc(maas_req_arena(r), sizeof *t) : NULL;
    maas_status st = !body ? maas_fail(&err, why->code, "%s", why->msg)
                     : t   ? open_talk(t, r, model, &err)
                           : maas_fail(&err, MAAS_E_NOMEM, "memory for a request");
    if (st != MAAS_OK) {
        json_decref(body);
        maas_req_fail(r, &err);
        return NULL;
    }
    t->req = r;
    t->writers = w;
    t->body = body;
    t->prompt.max = (size_t)64 << 20;
    t->out.max = MAAS_TALK_MAX_REPLY;
    t->created = maas_wall_ms() / 1000;
    snprintf(t->id, sizeof t->id, "%s%.36s", id_prefix, maas_req_id(r));
    return t;
}

maas_talk *maas_talk_create(maas_req *r, const char *id_prefix, const maas_talk_writers *w)
{
    maas_err err = {0};
    json_t *body = NULL;
    if (maas_body_object(r, &body, &err) != MAAS_OK)
        body = NULL;
    return maas_talk_open(r, body, &err, json_string_value(json_object_get(body, "model")),
                          id_prefix, w);
}

maas_status maas_talk_chat(maas_talk *t, const json_t *messages, const json_t *more, maas_err *err)
{
    const maas_chat *chat;
    maas_rendered text;
    MAAS_TRY(maas_lm_service_chat(t->service, &chat, err));
    MAAS_TRY(maas_chat_render(chat, messages, t->tools, more, &text, err));
    t->style = maas_chat_style(chat);
    t->in_thought = text.n && text.pieces[text.n - 1].trusted &&
                    maas_said_begins_thought(t->style, text.pieces[text.n - 1].text);
    maas_status st = maas_tokenizer_encode_pieces(maas_lm_service_tokenizer(t->service),
                                                  text.pieces, text.n, 0, &t->prompt, err);
    maas_rendered_reset(&text);
    return st == MAAS_OK ? maas_talk_force(t, err) : st;
}

maas_status maas_talk_text(maas_talk *t, const json_t *text, maas_err *err)
{
    return maas_tokenizer_encode(maas_lm_service_tokenizer(t->service),
                                 (maas_str){json_string_value(text), json_string_length(text)},
                                 MAAS_TOKENS_BEGIN, &t->prompt, err);
}

bool maas_talk_run(maas_talk *t, maas_status (*read)(maas_talk *t, maas_err *err))
{
    maas_err err = {0};
    if (!t)
        return true;
    if (read(t, &err) == MAAS_OK)
        maas_talk_start(t);
    else
        maas_talk_fail(t, &err);
    return false;
}

void maas_talk_drop(maas_talk *t)
{
    reset(t);
}

void maas_talk_fail(maas_talk *t, const maas_err *err)
{
    maas_req *r = t->req;
    reset(t);
    maas_req_fail(r, err);
    maas_req_resume(r);
}

static maas_status check_context(const maas_talk *t, maas_err *err)
{
    const maas_lm_info *about = maas_lm_service_about(t->service);
    const size_t n = t->prompt.n / sizeof(int32_t);
    if (n < (size_t)about->n_context)
        return MAAS_OK;
    return maas_fail(err, MAAS_E_INVALID,
                     "context_length_exceeded: the prompt has %zu tokens, the context holds %d "
                     "with the answer",
                     n, about->n_context);
}

void maas_talk_start(maas_talk *t)
{
    maas_err err = {0};
    uint32_t retry_ms = 0;
    char text[16];
    maas_status st = check_context(t, &err);
    if (st == MAAS_OK)
        st = submit(t, &retry_ms, &err);
    if (st == MAAS_OK)
        return; /* the lane may have answered already */
    if (st == MAAS_E_BUSY) {
        snprintf(text, sizeof text, "%u", retry_ms);
        maas_req_set_header(t->req, "retry-after-ms", text);
        snprintf(text, sizeof text, "%u", retry_ms / 1000 + 1);
        maas_req_set_header(t->req, "Retry-After", text);
    }
    maas_talk_fail(t, &err);
}
