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
    json_decref(t->format.owned);
    maas_grammar_unref(t->ask.grammar);
    json_decref(t->body);
    maas_lm_service_unref(t->service);
}

void maas_talk_stop(maas_talk *t)
{
    maas_engine_cancel(maas_lm_service_engine(t->service), maas_talk_at(t)->engine_id);
}

static void stop_all(maas_talk *t)
{
    for (int32_t i = 0; i < t->n_submitted; i++)
        maas_engine_cancel(maas_lm_service_engine(t->service), t->choices[i].engine_id);
}

/* What the writers wrote; when the peer is gone, its answer ends. */
static void send(maas_talk *t)
{
    maas_buf *b = &t->out;
    const bool ok = !b->failed && (!b->n || maas_req_stream_write(t->req, b->p, b->n));
    maas_buf_clear(b);
    if (!ok && !t->gone) {
        t->gone = true;
        stop_all(t);
    }
}

/* ---- a reader that is behind: its request makes no more until it has read ---- */

static void hold_all(const maas_talk *t, maas_lm_service *s, bool on)
{
    for (int32_t i = 0; i < t->n_submitted; i++)
        maas_engine_hold(maas_lm_service_engine(s), t->choices[i].engine_id, on);
}

static void let_go(void *user)
{
    maas_talk_hold *h = user;
    maas_lm_service *s = h->service;
    hold_all(h->talk, s, false);
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
    h->talk = t;
    maas_lm_service_ref(h->service);
    hold_all(t, h->service, true);
    if (!maas_req_stream_wait(t->req, MAX_AHEAD, let_go, h))
        let_go(h);
}

static void on_event(void *user, const maas_lm_event *ev);

/* The next choice goes to the engine; each has a seed of its own. */
static maas_status submit(maas_talk *t, uint32_t *retry_ms, maas_err *err)
{
    maas_talk_choice *c = &t->choices[t->n_submitted];
    maas_ask ask = t->ask;
    ask.tokens = (const int32_t *)(const void *)t->prompt.p;
    ask.n_tokens = (uint32_t)(t->prompt.n / sizeof(int32_t));
    ask.sampling.seed += (uint64_t)t->n_submitted;
    ask.belongs = t->n_submitted > 0;
    c->talk = t;
    t->n_submitted++; /* before: the lane may answer at once */
    t->n_open++;
    const maas_status st = maas_engine_submit(maas_lm_service_engine(t->service), &ask, on_event, c,
                                              &c->engine_id, retry_ms, err);
    if (st != MAAS_OK) {
        t->n_submitted--;
        t->n_open--;
    }
    return st;
}

/* Once the first one has its prompt in the cache, the others share it and are made beside it. */
static void submit_others(maas_talk *t)
{
    while (t->n_submitted < t->n && !t->gone && !t->failed.code)
        if (submit(t, NULL, &t->failed) != MAAS_OK)
            stop_all(t);
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

static void give_up(maas_talk *t)
{
    maas_req *r = t->req;
    maas_err err = t->failed;
    if (t->streaming) {
        t->writers->failed(t, &err, &t->out);
        send(t);
        reset(t);
        maas_req_stream_end(r);
    } else {
        reset(t);
        maas_req_fail(r, &err);
        maas_req_resume(r);
    }
}

/* The stream begins with the first thing there is to say, so that what fails before has a status of
 * its own. */
static void begin_choice(maas_talk *t)
{
    if (maas_talk_at(t)->begun)
        return;
    maas_talk_at(t)->begun = true;
    maas_talk_hear_begin(t);
    if (!t->stream)
        return;
    if (!t->streaming)
        maas_req_stream_begin(t->req, 200, t->writers->content_type);
    t->streaming = true;
    if (t->writers->begin)
        t->writers->begin(t, &t->out);
}

static void on_token(maas_talk *t, const maas_lm_event *ev)
{
    maas_talk_hear(t, ev);
    if (t->stream) {
        send(t);
        hold_if_behind(t);
    } else if (!t->gone && maas_req_gone(t->req)) {
        t->gone = true;
        stop_all(t);
    }
}

static void on_done(maas_talk *t, const maas_lm_event *ev)
{
    add_timing(t, &ev->timing);
    maas_talk_hear_end(t, ev);
    if (!t->stream)
        return;
    if (t->writers->end)
        t->writers->end(t, &t->out);
    send(t);
}

/* What makes an answer impossible; the first cause is told when all choices have ended. */
static void note_failure(maas_talk *t, const maas_lm_event *ev)
{
    if (ev->kind == MAAS_LM_FAILED)
        maas_fail(&t->failed, ev->error->code, "%s", ev->error->msg);
    else if (ev->kind == MAAS_LM_DONE && ev->finish == MAAS_LM_DEADLINE && !ev->timing.tokens &&
             !t->streaming)
        maas_fail(&t->failed, MAAS_E_TIMEOUT,
                  "the deadline of the request passed before its first token");
    else if (t->no_memory)
        maas_fail(&t->failed, MAAS_E_NOMEM, "memory for an answer");
    else
        return;
    stop_all(t);
}

static void finish(maas_talk *t)
{
    if (t->failed.code)
        give_up(t);
    else if (t->stream)
        finish_stream(t);
    else
        finish_whole(t);
}

static void on_event(void *user, const maas_lm_event *ev)
{
    maas_talk_choice *c = user;
    maas_talk *t = c->talk;
    const bool last = ev->kind != MAAS_LM_TOKEN;
    t->choice = (int32_t)(c - t->choices);
    if (last) {
        maas_lm_stats_add(maas_lm_service_stats(t->service), ev);
        maas_lm_usage_add(maas_lm_service_usage(t->service), maas_caller(t->req)->kid, ev);
    }
    note_failure(t, ev);
    if (!t->failed.code) {
        begin_choice(t);
        (last ? on_done : on_token)(t, ev);
        note_failure(t, ev);
        if (!last || ev->finish != MAAS_LM_CANCELLED)
            submit_others(t);
    }
    t->n_open -= last;
    if (!t->n_open)
        finish(t);
}

/* ---- to the engine ---- */

static maas_status open_talk(maas_talk *t, maas_req *r, const char *model, maas_err *err)
{
    maas_app *app = maas_app_of(r);
    if (!model && app->conf.default_model && *app->conf.default_model)
        model = app->conf.default_model;
    if (!model)
        return maas_fail(err, MAAS_E_INVALID, "'model' is missing");
    const char *plus = strchr(model, '+'); /* "NAME+ADAPTER": no name has a plus */
    const char *base = plus ? maas_arena_strndup(maas_req_arena(r), model, (size_t)(plus - model))
                            : model;
    if (!base)
        return maas_fail(err, MAAS_E_NOMEM, "memory for a request");
    MAAS_TRY(maas_may_use_model(r, base, err));
    MAAS_TRY(maas_models_load_lm(app->models, maas_caller(r)->tenant, base, &t->service, err));
    t->ask.strength = 1;
    return plus ? maas_lm_service_adapter(t->service, plus + 1, &t->ask.adapter, err) : MAAS_OK;
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
        if (t)
            maas_lm_service_unref(t->service);
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
    const maas_text_piece *last = text.n ? &text.pieces[text.n - 1] : NULL;
    t->in_thought = last && last->trusted && maas_said_begins_thought(t->style, last->text);
    t->thought_over = last && last->trusted && maas_said_ends_thought(t->style, last->text);
    maas_status st = maas_tokenizer_encode_pieces(maas_lm_service_tokenizer(t->service),
                                                  text.pieces, text.n, 0, &t->prompt, err);
    maas_rendered_reset(&text);
    return st;
}

maas_status maas_talk_text(maas_talk *t, const json_t *text, maas_err *err)
{
    return maas_tokenizer_encode(maas_lm_service_tokenizer(t->service),
                                 (maas_str){json_string_value(text), json_string_length(text)},
                                 MAAS_TOKENS_BEGIN, &t->prompt, err);
}

maas_status maas_talk_fill(maas_talk *t, const maas_fill *f, maas_err *err)
{
    MAAS_TRY(maas_lm_service_wants(t->service, MAAS_LM_WRITES, err));
    return maas_tokenizer_encode_fill(maas_lm_service_tokenizer(t->service), f, &t->prompt, err);
}

maas_status maas_talk_suffix(maas_talk *t, const json_t *prefix, const json_t *suffix,
                             maas_err *err)
{
    if (!json_is_string(prefix) || !json_is_string(suffix))
        return maas_fail(err, MAAS_E_INVALID, "'prompt' and 'suffix' must be texts");
    const maas_fill f = {.prefix = {json_string_value(prefix), json_string_length(prefix)},
                         .suffix = {json_string_value(suffix), json_string_length(suffix)}};
    return maas_talk_fill(t, &f, err);
}

bool maas_talk_run(maas_talk *t, maas_status (*read)(maas_talk *t, maas_err *err))
{
    maas_err err = {0};
    if (!t)
        return true;
    if (read(t, &err) == MAAS_OK && maas_talk_grammar(t, &err) == MAAS_OK) {
        maas_talk_start(t);
        return false;
    }
    /* Nobody else would serve it: clients try a 501 again, and again. */
    err.code = err.code == MAAS_E_UNSUPPORTED ? MAAS_E_INVALID : err.code;
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
    MAAS_TRY(maas_lm_service_wants(t->service, MAAS_LM_WRITES, err));
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
