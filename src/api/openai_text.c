/* api/openai_text.c - /v1/completions, whole and streamed. */
#include <string.h>

#include "api/openai.h"
#include "api/openai_int.h"
#include "base/mem.h"
#include "base/ban.h"

#define OBJECT "text_completion"

static void text_item(maas_talk *t, const maas_talk_item *i, maas_str text, maas_buf *b)
{
    (void)i;
    maas_openai_begin(t, OBJECT, b);
    maas_buf_str(b, "\"text\":");
    maas_openai_put_str(b, text);
    maas_buf_str(b, ",\"logprobs\":null,\"finish_reason\":null");
    maas_openai_end(b);
}

static void text_end(maas_talk *t, maas_buf *b)
{
    maas_openai_begin(t, OBJECT, b);
    maas_buf_printf(b, "\"text\":\"\",\"logprobs\":null,\"finish_reason\":\"%s\",\"stop_reason\":",
                    maas_talk_finish_name(maas_talk_at(t)->finish));
    maas_talk_put_stop(t, maas_talk_at(t)->stop, b);
    maas_openai_end(b);
}

static void text_close(maas_talk *t, maas_buf *b)
{
    maas_openai_close(t, OBJECT, b);
}

static void put_echo(maas_talk *t, maas_buf *out)
{
    if (t->echo)
        maas_tokenizer_decode(maas_lm_service_tokenizer(t->service),
                              (const int32_t *)(const void *)t->prompt.p,
                              (uint32_t)(t->prompt.n / sizeof(int32_t)), false, out);
}

static void text_whole(maas_talk *t, maas_buf *b)
{
    maas_openai_put_head(t, OBJECT, b);
    maas_buf_str(b, ",\"choices\":[");
    for (int32_t i = 0; i < t->n; i++) {
        const maas_talk_choice *c = &t->choices[i];
        AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(b->max);
        put_echo(t, &text);
        maas_talk_put_items(c, MAAS_SAID_CONTENT, &text);
        maas_buf_printf(b, "%s{\"index\":%d,\"text\":", i ? "," : "", i);
        maas_openai_put_str(b, (maas_str){text.p, text.n});
        maas_buf_printf(b, ",\"logprobs\":null,\"finish_reason\":\"%s\",\"stop_reason\":",
                        maas_talk_finish_name(c->finish));
        maas_talk_put_stop(t, c->stop, b);
        maas_buf_char(b, '}');
    }
    maas_buf_str(b, "],");
    maas_openai_put_usage(t, b);
    maas_buf_char(b, '}');
}

static const maas_talk_writers text_writers = {.content_type = "text/event-stream; charset=utf-8",
                                               .item_text = text_item,
                                               .end = text_end,
                                               .close = text_close,
                                               .failed = maas_openai_failed,
                                               .whole = text_whole};

static maas_status prompt_of_ids(maas_talk *t, const json_t *ids, maas_err *err)
{
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const json_t *v = json_array_get(ids, i);
        const int32_t id = (int32_t)json_integer_value(v);
        if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > INT32_MAX)
            return maas_fail(err, MAAS_E_INVALID, "'prompt' must be a text or a list of tokens");
        maas_buf_add(&t->prompt, &id, sizeof id);
    }
    return t->prompt.failed ? maas_fail(err, MAAS_E_TOO_LARGE, "'prompt' is too long") : MAAS_OK;
}

/* A text, tokens, or a list with one of them. */
static maas_status text_prompt(maas_talk *t, maas_err *err)
{
    const json_t *p = json_object_get(t->body, "prompt"), *first = json_array_get(p, 0);
    if (json_is_array(p) && json_array_size(p) == 1 &&
        (json_is_string(first) || json_is_array(first)))
        p = first;
    if (json_is_array(p) && json_array_size(p) && json_is_integer(json_array_get(p, 0)))
        return prompt_of_ids(t, p, err);
    if (!json_is_string(p))
        return maas_fail(err, MAAS_E_INVALID, "'prompt' must be one text or one list of tokens");
    return maas_talk_text(t, p, err);
}

static maas_status read_text(maas_talk *t, maas_err *err)
{
    const json_t *logprobs = json_object_get(t->body, "logprobs");
    const json_t *suffix = json_object_get(t->body, "suffix");
    MAAS_TRY(maas_talk_params(t, err));
    if (json_is_number(logprobs) || json_is_string(suffix))
        return maas_fail(err, MAAS_E_UNSUPPORTED, "'%s' is not supported yet",
                         json_is_string(suffix) ? "suffix" : "logprobs");
    if (!json_object_get(t->body, "max_tokens"))
        t->ask.max_tokens = 16; /* as OpenAI has it */
    return text_prompt(t, err);
}

static bool complete_on_io(maas_req *r)
{
    return maas_talk_run(maas_talk_create(r, "cmpl-", &text_writers), read_text);
}

void maas_openai_complete(maas_req *r)
{
    maas_iopool_run(maas_app_of(r)->io, r, complete_on_io);
}
