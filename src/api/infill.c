/*
 * api/infill.c - /infill as llama-server has it: what is between input_prefix and input_suffix,
 * with the texts of other files before it (input_extra) and what is written already (prompt), whole
 * or streamed.
 *
 * Texts that do not fit the context are refused: llama-server cuts them to what it has room for.
 */
#include "api/generate.h"

#include <string.h>

#include "api/openai_int.h"
#include "base/mem.h"
#include "base/ban.h"

enum { MAX_FILES = 1024 };

/* ---- what it writes ---- */

/* n_predict 0: the prompt is read, and nothing is said; the next one finds it in the cache. */
static bool is_silent(const maas_talk *t)
{
    const json_t *n = json_object_get(t->body, "n_predict");
    return json_is_integer(n) && json_integer_value(n) == 0;
}

static void put_head(const maas_talk *t, maas_str text, bool stop, maas_buf *b)
{
    maas_buf_printf(b, "{\"index\":%d,\"content\":", t->choice);
    maas_openai_put_str(b, text);
    maas_buf_printf(b, ",\"tokens\":[],\"id_slot\":0,\"stop\":%s", stop ? "true" : "false");
}

/* Why it ended, in llama-server's words. */
static const char *stop_type(const maas_talk_choice *c)
{
    return c->finish == MAAS_LM_LENGTH || c->finish == MAAS_LM_DEADLINE ? "limit"
           : c->stop >= 0                                               ? "word"
                                                                        : "eos";
}

static void put_prompt(const maas_talk *t, maas_buf *b)
{
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(b->max);
    maas_tokenizer_decode(maas_lm_service_tokenizer(t->service),
                          (const int32_t *)(const void *)t->prompt.p,
                          (uint32_t)(t->prompt.n / sizeof(int32_t)), true, &text);
    b->failed |= text.failed;
    maas_buf_str(b, ",\"prompt\":");
    maas_openai_put_str(b, (maas_str){text.p, text.n});
}

static void put_last(maas_talk *t, maas_str text, bool has_new_line, maas_buf *b)
{
    const maas_talk_choice *c = maas_talk_at(t);
    const char *model = maas_lm_service_name(t->service);
    const uint32_t n = is_silent(t) ? 0 : t->timing.tokens;
    put_head(t, text, true, b);
    maas_buf_str(b, ",\"model\":");
    maas_openai_put_str(b, (maas_str){model, strlen(model)});
    maas_buf_printf(b, ",\"tokens_predicted\":%u,\"tokens_evaluated\":%u,\"tokens_cached\":%u", n,
                    t->timing.prompt_tokens, t->timing.prompt_tokens + n);
    put_prompt(t, b);
    maas_buf_printf(b,
                    ",\"has_new_line\":%s,\"truncated\":false,\"stop_type\":\"%s\","
                    "\"stopping_word\":",
                    has_new_line ? "true" : "false", stop_type(c));
    if (c->stop >= 0)
        maas_talk_put_stop(t, c->stop, b);
    else
        maas_buf_str(b, "\"\"");
    maas_buf_str(b, ",\"timings\":");
    maas_talk_put_timings(t, b);
    maas_buf_char(b, '}');
}

static void put_whole(maas_talk *t, bool stream, maas_buf *b)
{
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(b->max);
    maas_talk_put_items(maas_talk_at(t), MAAS_SAID_CONTENT, &text);
    const bool lines = text.n && memchr(text.p, '\n', text.n);
    b->failed |= text.failed;
    put_last(t, stream || is_silent(t) ? (maas_str){"", 0} : (maas_str){text.p, text.n}, lines, b);
}

static void part(maas_talk *t, const maas_talk_item *i, maas_str text, maas_buf *b)
{
    (void)i;
    if (is_silent(t))
        return;
    maas_buf_str(b, "data: ");
    put_head(t, text, false, b);
    maas_buf_str(b, "}\n\n");
}

static void end(maas_talk *t, maas_buf *b)
{
    maas_buf_str(b, "data: ");
    put_whole(t, true, b);
    maas_buf_str(b, "\n\n");
}

static void whole(maas_talk *t, maas_buf *b)
{
    t->choice = 0;
    put_whole(t, false, b);
}

static const maas_talk_writers writers = {.content_type = "text/event-stream; charset=utf-8",
                                          .item_text = part,
                                          .end = end,
                                          .failed = maas_openai_failed,
                                          .whole = whole};

/* ---- what it reads ---- */

static maas_status read_text(const maas_talk *t, const char *name, bool must, maas_str *out,
                             maas_err *err)
{
    const json_t *v = json_object_get(t->body, name);
    if (!must && (!v || json_is_null(v)))
        return MAAS_OK;
    if (!json_is_string(v))
        return maas_fail(err, MAAS_E_INVALID, "'%s' must be a text", name);
    *out = (maas_str){json_string_value(v), json_string_length(v)};
    return MAAS_OK;
}

/* input_extra: [{"filename": .., "text": ..}] */
static maas_status read_files(const maas_talk *t, maas_fill *f, maas_err *err)
{
    const json_t *list = json_object_get(t->body, "input_extra"), *x;
    const size_t n = json_array_size(list);
    size_t i;
    if (!list || json_is_null(list))
        return MAAS_OK;
    if (!json_is_array(list) || n > MAX_FILES)
        return maas_fail(err, MAAS_E_INVALID,
                         "'input_extra' must be a list of at most %d {filename, text}", MAX_FILES);
    maas_fill_file *files = maas_arena_array(maas_req_arena(t->req), n + 1, sizeof *files);
    if (!files)
        return maas_fail(err, MAAS_E_NOMEM, "memory for 'input_extra'");
    json_array_foreach(list, i, x)
    {
        const json_t *name = json_object_get(x, "filename"), *text = json_object_get(x, "text");
        if (!json_is_string(text))
            return maas_fail(err, MAAS_E_INVALID, "'input_extra[%zu].text' must be a text", i);
        if (name && !json_is_string(name))
            return maas_fail(err, MAAS_E_INVALID, "'input_extra[%zu].filename' must be a text", i);
        files[i] = (maas_fill_file){{json_string_value(name), json_string_length(name)},
                                    {json_string_value(text), json_string_length(text)}};
    }
    f->files = files;
    f->n_files = (uint32_t)n;
    return MAAS_OK;
}

/* llama-server's names and its ways to say "no limit" (negative) and "any seed" (-1). */
static maas_status read_own(maas_talk *t, maas_err *err)
{
    json_t *n = json_object_get(t->body, "n_predict");
    if (n && !json_is_null(n) && !json_is_integer(n))
        return maas_fail(err, MAAS_E_INVALID, "'n_predict' must be a whole number");
    json_object_del(t->body, "n");
    if (json_is_integer(n) && json_integer_value(n) > 0)
        json_object_set(t->body, "max_tokens", n);
    if (json_integer_value(json_object_get(t->body, "seed")) == -1)
        json_object_del(t->body, "seed");
    MAAS_TRY(maas_talk_params(t, err));
    if (is_silent(t))
        t->ask.max_tokens = 1;
    return MAAS_OK;
}

static maas_status read_infill(maas_talk *t, maas_err *err)
{
    maas_fill f = {.in_repository = true};
    MAAS_TRY(read_own(t, err));
    MAAS_TRY(read_text(t, "input_prefix", true, &f.prefix, err));
    MAAS_TRY(read_text(t, "input_suffix", true, &f.suffix, err));
    MAAS_TRY(read_text(t, "prompt", false, &f.begun, err));
    MAAS_TRY(read_files(t, &f, err));
    return maas_talk_fill(t, &f, err);
}

static bool infill_on_io(maas_req *r)
{
    return maas_talk_run(maas_talk_create(r, "infill-", &writers), read_infill);
}

void maas_infill(maas_req *r)
{
    maas_iopool_run(maas_app_of(r)->io, r, infill_on_io);
}
