/* api/embeddings.c - /v1/embeddings as OpenAI has it, /api/embed and /api/embeddings as Ollama. */
#include "api/embeddings.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/embed.h"
#include "base/sys.h"
#include "base/ban.h"

static const float *answer(const maas_embed *e, uint32_t i)
{
    return e->answers + (size_t)i * (size_t)e->n_out;
}

static void put_model(const maas_embed *e, maas_buf *b)
{
    const char *name = maas_lm_service_name(e->service);
    maas_buf_str(b, "\"model\":");
    maas_buf_json_str(b, name, strlen(name));
}

/* ---- inputs: a text, tokens, or a list of either ---- */

static maas_status read_one(maas_embed *e, const char *what, const json_t *v, bool ids,
                            maas_err *err)
{
    if (ids && json_is_array(v))
        return maas_embed_ids(e, what, v, err);
    if (ids && !json_is_string(v))
        return maas_fail(err, MAAS_E_INVALID, "'%s' must be a text or a list of tokens", what);
    return maas_embed_text(e, what, v, err);
}

static maas_status read_inputs(maas_embed *e, const char *what, const json_t *v, bool ids,
                               maas_err *err)
{
    char name[48];
    const bool list = json_is_array(v) && !(ids && json_is_integer(json_array_get(v, 0)));
    if (!v)
        return maas_fail(err, MAAS_E_INVALID, "'%s' is missing", what);
    MAAS_TRY(maas_embed_room(e, list ? json_array_size(v) : 1, what, err));
    if (!list)
        return read_one(e, what, v, ids, err);
    for (size_t i = 0; i < json_array_size(v); i++) {
        snprintf(name, sizeof name, "%s[%zu]", what, i);
        MAAS_TRY(read_one(e, name, json_array_get(v, i), ids, err));
    }
    return MAAS_OK;
}

/* ---- OpenAI ---- */

static void write_openai(maas_embed *e, maas_buf *b)
{
    const char *format = json_string_value(json_object_get(e->body, "encoding_format"));
    const bool base64 = format && strcmp(format, "base64") == 0;
    maas_buf_str(b, "{\"object\":\"list\",\"data\":[");
    for (uint32_t i = 0; i < e->n; i++) {
        maas_buf_printf(
            b, "%s{\"object\":\"embedding\",\"index\":%" PRIu32 ",\"embedding\":", i ? "," : "", i);
        if (base64)
            maas_embed_put_base64(answer(e, i), e->n_keep, b);
        else
            maas_embed_put_floats(answer(e, i), e->n_keep, b);
        maas_buf_char(b, '}');
    }
    maas_buf_str(b, "],");
    put_model(e, b);
    maas_buf_printf(b, ",\"usage\":{\"prompt_tokens\":%" PRIu64 ",\"total_tokens\":%" PRIu64 "}}",
                    e->n_tokens, e->n_tokens);
}

static maas_status read_openai(maas_embed *e, maas_err *err)
{
    const json_t *format = json_object_get(e->body, "encoding_format");
    const char *word = json_string_value(format);
    if (format && !json_is_null(format) &&
        (!word || (strcmp(word, "float") != 0 && strcmp(word, "base64") != 0)))
        return maas_fail(err, MAAS_E_INVALID, "'encoding_format' must be \"float\" or \"base64\"");
    MAAS_TRY(maas_embed_dimensions(e, err));
    return read_inputs(e, "input", json_object_get(e->body, "input"), true, err);
}

static bool openai_on_io(maas_req *r)
{
    return maas_embed_run(maas_embed_open(r, MAAS_LM_EMBEDS, false), read_openai, write_openai);
}

void maas_openai_embeddings(maas_req *r)
{
    maas_iopool_run(maas_app_of(r)->io, r, openai_on_io);
}

/* ---- Ollama ---- */

static void write_embed(maas_embed *e, maas_buf *b)
{
    maas_buf_char(b, '{');
    put_model(e, b);
    maas_buf_str(b, ",\"embeddings\":[");
    for (uint32_t i = 0; i < e->n; i++) {
        maas_buf_str(b, i ? "," : "");
        maas_embed_put_floats(answer(e, i), e->n_keep, b);
    }
    maas_buf_printf(b,
                    "],\"total_duration\":%" PRIu64
                    ",\"load_duration\":0,\"prompt_eval_count\":%" PRIu64 "}",
                    maas_now_ns() - maas_req_start_ns(e->req), e->n_tokens);
}

static void write_embedding(maas_embed *e, maas_buf *b)
{
    maas_buf_str(b, "{\"embedding\":");
    maas_embed_put_floats(answer(e, 0), e->n_keep, b);
    maas_buf_char(b, '}');
}

/* Ollama cuts what is too long unless it is told not to. */
static maas_status read_truncate(maas_embed *e, maas_err *err)
{
    const json_t *v = json_object_get(e->body, "truncate");
    if (v && !json_is_null(v) && !json_is_boolean(v))
        return maas_fail(err, MAAS_E_INVALID, "'truncate' must be true or false");
    e->truncate = !json_is_false(v);
    return MAAS_OK;
}

static maas_status read_embed(maas_embed *e, maas_err *err)
{
    MAAS_TRY(read_truncate(e, err));
    MAAS_TRY(maas_embed_dimensions(e, err));
    return read_inputs(e, "input", json_object_get(e->body, "input"), false, err);
}

static maas_status read_embedding(maas_embed *e, maas_err *err)
{
    MAAS_TRY(read_truncate(e, err));
    const json_t *prompt = json_object_get(e->body, "prompt");
    if (!json_is_string(prompt))
        return maas_fail(err, MAAS_E_INVALID, "'prompt' must be a text");
    return read_inputs(e, "prompt", prompt, false, err);
}

static bool embed_on_io(maas_req *r)
{
    return maas_embed_run(maas_embed_open(r, MAAS_LM_EMBEDS, true), read_embed, write_embed);
}

static bool embedding_on_io(maas_req *r)
{
    return maas_embed_run(maas_embed_open(r, MAAS_LM_EMBEDS, true), read_embedding,
                          write_embedding);
}

void maas_ollama_embed(maas_req *r)
{
    maas_iopool_run(maas_app_of(r)->io, r, embed_on_io);
}

void maas_ollama_embeddings(maas_req *r)
{
    maas_iopool_run(maas_app_of(r)->io, r, embedding_on_io);
}
