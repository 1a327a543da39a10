#include "api/embed.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/auth.h"
#include "api/reply.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/ban.h"

#define MAX_REPLY ((size_t)512 << 20)

/* ---- opening ---- */

static maas_status open_service(maas_embed *e, maas_lm_task task, bool strip_latest, maas_err *err)
{
    maas_req *r = e->req;
    maas_app *app = maas_app_of(r);
    MAAS_TRY(maas_body_object(r, &e->body, err));
    const char *model = json_string_value(json_object_get(e->body, "model"));
    const size_t n = model ? strlen(model) : 0;
    if (!model && app->conf.default_model && *app->conf.default_model)
        model = app->conf.default_model;
    if (!model)
        return maas_fail(err, MAAS_E_INVALID, "'model' is missing");
    if (strip_latest && n > 7 && strcmp(model + n - 7, ":latest") == 0)
        model = maas_arena_strndup(maas_req_arena(r), model, n - 7);
    if (!model)
        return maas_fail(err, MAAS_E_NOMEM, "memory for a request");
    MAAS_TRY(maas_may_use_model(r, model, err));
    MAAS_TRY(maas_models_load_lm(app->models, maas_caller(r)->tenant, model, &e->service, err));
    return maas_lm_service_wants(e->service, task, err);
}

static void reset(maas_embed *e)
{
    maas_buf_reset(&e->tokens);
    maas_buf_reset(&e->scratch);
    maas_free(e->answers);
    maas_lm_service_unref(e->service);
    json_decref(e->body);
}

maas_embed *maas_embed_open(maas_req *r, maas_lm_task task, bool strip_latest)
{
    maas_err err = {0};
    maas_embed *e = maas_arena_alloc(maas_req_arena(r), sizeof *e);
    if (!e) {
        maas_fail(&err, MAAS_E_NOMEM, "memory for a request");
        maas_req_fail(r, &err);
        return NULL;
    }
    e->req = r;
    e->tokens.max = e->scratch.max = MAAS_MAX_EMBED_TOKENS * sizeof(int32_t);
    if (open_service(e, task, strip_latest, &err) != MAAS_OK) {
        reset(e);
        maas_req_fail(r, &err);
        return NULL;
    }
    const maas_encoder_info *i = maas_embedder_about(maas_lm_service_embedder(e->service));
    e->tokenizer = maas_lm_service_tokenizer(e->service);
    e->n_out = e->n_keep = i->n_out;
    e->n_context = i->lm.n_context;
    return e;
}

/* ---- inputs ---- */

maas_status maas_embed_room(maas_embed *e, size_t n, const char *what, maas_err *err)
{
    maas_arena *a = maas_req_arena(e->req);
    if (n < 1 || n > MAAS_MAX_EMBED_INPUTS)
        return maas_fail(err, MAAS_E_INVALID, "'%s' has %zu entries, must have 1 to %d", what, n,
                         MAAS_MAX_EMBED_INPUTS);
    e->texts = maas_arena_array(a, n, sizeof *e->texts);
    e->at = maas_arena_array(a, n, sizeof *e->at);
    e->answers = maas_calloc(n * (size_t)e->n_out, sizeof *e->answers);
    e->cap = (uint32_t)n;
    return e->texts && e->at && e->answers ? MAAS_OK
                                           : maas_fail(err, MAAS_E_NOMEM, "%zu embeddings", n);
}

/* What was appended since e->tokens.n was `from` is one more input. */
static maas_status add(maas_embed *e, const char *what, size_t from, uint32_t second, maas_err *err)
{
    const size_t n = (e->tokens.n - from) / sizeof(int32_t);
    if (e->tokens.failed)
        return maas_fail(err, MAAS_E_TOO_LARGE, "the request has more than %d tokens",
                         MAAS_MAX_EMBED_TOKENS);
    if (n == 0)
        return maas_fail(err, MAAS_E_INVALID, "'%s' has no tokens", what);
    if (n > (size_t)e->n_context)
        return maas_fail(err, MAAS_E_INVALID,
                         "context_length_exceeded: '%s' has %zu tokens, the model takes %d", what,
                         n, e->n_context);
    e->at[e->n] = from;
    e->texts[e->n] = (maas_encoder_text){.n = (int32_t)n,
                                         .second = (int32_t)second,
                                         .out = e->answers + (size_t)e->n * (size_t)e->n_out};
    e->n++;
    e->n_tokens += n;
    return MAAS_OK;
}

static maas_status tokens_of(const maas_embed *e, maas_str text, maas_buf *out, maas_err *err)
{
    return maas_tokenizer_encode(e->tokenizer, text, 0, out, err);
}

static const int32_t *ids_of(const maas_buf *b)
{
    return (const int32_t *)(const void *)b->p;
}

maas_status maas_embed_text(maas_embed *e, const char *what, const json_t *text, maas_err *err)
{
    const size_t from = e->tokens.n;
    const size_t around = maas_tokenizer_n_frame(e->tokenizer, false);
    uint32_t second;
    if (!json_is_string(text))
        return maas_fail(err, MAAS_E_INVALID, "'%s' must be a text", what);
    maas_buf_clear(&e->scratch);
    MAAS_TRY(tokens_of(e, (maas_str){json_string_value(text), json_string_length(text)},
                       &e->scratch, err));
    size_t n = e->scratch.n / sizeof(int32_t);
    if (e->truncate && n + around > (size_t)e->n_context)
        n = (size_t)e->n_context > around ? (size_t)e->n_context - around : 0;
    maas_tokenizer_frame(e->tokenizer, ids_of(&e->scratch), (uint32_t)n, NULL, 0, &e->tokens,
                         &second);
    return add(e, what, from, second, err);
}

/* Tokens are taken as they are: who sends them has put around them what belongs there. */
maas_status maas_embed_ids(maas_embed *e, const char *what, const json_t *ids, maas_err *err)
{
    const size_t from = e->tokens.n, n = json_array_size(ids);
    const int32_t n_vocab = maas_lm_service_about(e->service)->n_vocab;
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(ids, i);
        const int32_t id = (int32_t)json_integer_value(v);
        if (!json_is_integer(v) || json_integer_value(v) != id || id < 0 || id >= n_vocab)
            return maas_fail(err, MAAS_E_INVALID, "'%s[%zu]' is not a token of this model", what,
                             i);
        maas_buf_add(&e->tokens, &id, sizeof id);
    }
    return add(e, what, from, (uint32_t)n, err);
}

maas_status maas_embed_pair(maas_embed *e, const char *what, maas_str a, maas_str b,
                            uint32_t max_tokens, maas_err *err)
{
    const size_t from = e->tokens.n, around = maas_tokenizer_n_frame(e->tokenizer, true);
    uint32_t second;
    maas_buf_clear(&e->scratch);
    MAAS_TRY(tokens_of(e, a, &e->scratch, err));
    const size_t n_a = e->scratch.n / sizeof(int32_t);
    MAAS_TRY(tokens_of(e, b, &e->scratch, err));
    size_t n_b = e->scratch.n / sizeof(int32_t) - n_a;
    if (max_tokens && n_b > max_tokens)
        n_b = max_tokens;
    if (e->truncate && n_a + n_b + around > (size_t)e->n_context)
        n_b = (size_t)e->n_context > n_a + around ? (size_t)e->n_context - n_a - around : 0;
    const int32_t *ids = ids_of(&e->scratch);
    maas_tokenizer_frame(e->tokenizer, ids, (uint32_t)n_a, ids + n_a, (uint32_t)n_b, &e->tokens,
                         &second);
    return add(e, what, from, second, err);
}

maas_status maas_embed_dimensions(maas_embed *e, maas_err *err)
{
    const json_t *v = json_object_get(e->body, "dimensions");
    if (!v || json_is_null(v))
        return MAAS_OK;
    if (!json_is_integer(v) || json_integer_value(v) < 1 || json_integer_value(v) > e->n_out)
        return maas_fail(err, MAAS_E_INVALID, "'dimensions' must be a whole number from 1 to %d",
                         e->n_out);
    e->n_keep = (int32_t)json_integer_value(v);
    return MAAS_OK;
}

/* ---- answers ---- */

/* The first n_keep of each, of length 1. */
static void shorten(const maas_embed *e)
{
    for (uint32_t i = 0; e->n_keep < e->n_out && i < e->n; i++) {
        float *v = e->answers + (size_t)i * (size_t)e->n_out;
        double length = 0;
        for (int32_t k = 0; k < e->n_keep; k++)
            length += (double)v[k] * (double)v[k];
        for (int32_t k = 0; length > 0 && k < e->n_keep; k++)
            v[k] = (float)((double)v[k] / sqrt(length));
    }
}

static void done(void *user, const maas_err *why)
{
    maas_embed *e = user;
    maas_req *r = e->req;
    maas_buf b = MAAS_BUF_INIT(MAX_REPLY);
    if (!why) {
        shorten(e);
        e->write(e, &b);
    }
    reset(e);
    if (why)
        maas_req_fail(r, why);
    else
        maas_req_reply_buf(r, 200, "application/json", &b);
    maas_req_resume(r);
}

static bool gone(void *user)
{
    return maas_req_gone(((const maas_embed *)user)->req);
}

static maas_status start(maas_embed *e, maas_err *err)
{
    for (uint32_t i = 0; i < e->n; i++)
        e->texts[i].tokens = (const int32_t *)(const void *)(e->tokens.p + e->at[i]);
    maas_buf_reset(&e->scratch);
    e->ask = (maas_embed_ask){.texts = e->texts, .n = e->n, .done = done, .gone = gone, .user = e};
    return maas_embedder_submit(maas_lm_service_embedder(e->service), &e->ask, err);
}

bool maas_embed_run(maas_embed *e, maas_status (*read)(maas_embed *e, maas_err *err),
                    void (*write)(maas_embed *e, maas_buf *out))
{
    maas_err err = {0};
    if (!e)
        return true;
    e->write = write;
    if (read(e, &err) == MAAS_OK && start(e, &err) == MAAS_OK)
        return false; /* the lane may have answered already */
    maas_req *r = e->req;
    reset(e);
    if (err.code == MAAS_E_BUSY)
        maas_req_set_header(r, "Retry-After", "1");
    maas_req_fail(r, &err);
    return true;
}

/* ---- numbers ---- */

void maas_embed_put_floats(const float *v, int32_t n, maas_buf *out)
{
    char text[MAAS_NUM_MAX];
    maas_buf_char(out, '[');
    for (int32_t i = 0; i < n; i++) {
        if (i)
            maas_buf_char(out, ',');
        if (isfinite(v[i]))
            maas_buf_add(out, text, maas_num_put_f32(text, v[i]));
        else
            maas_buf_str(out, "null");
    }
    maas_buf_char(out, ']');
}

void maas_embed_put_base64(const float *v, int32_t n, maas_buf *out)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *p = (const uint8_t *)
        v; /* this machine is little endian, as all that we run on */
    const size_t bytes = (size_t)n * sizeof *v;
    maas_buf_char(out, '"');
    for (size_t i = 0; i < bytes; i += 3) {
        const uint32_t b1 = i + 1 < bytes ? p[i + 1] : 0, b2 = i + 2 < bytes ? p[i + 2] : 0;
        const uint32_t x = (uint32_t)p[i] << 16 | b1 << 8 | b2;
        const char four[4] = {digit[x >> 18], digit[x >> 12 & 63],
                              i + 1 < bytes ? digit[x >> 6 & 63] : '=',
                              i + 2 < bytes ? digit[x & 63] : '='};
        maas_buf_add(out, four, sizeof four);
    }
    maas_buf_char(out, '"');
}
