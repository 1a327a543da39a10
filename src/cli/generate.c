#include "cli/generate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/sys.h"
#include "cli/events.h"
#include "lm/chat.h"
#include "lm/encoder.h"
#include "lm/engine.h"
#include "lm/files.h"
#include "base/ban.h"

typedef struct session {
    maas_lm_files files;
    maas_lm_source *source;
    maas_tokenizer *tokenizer;
    maas_lm *model;
    maas_engine *engine;
    maas_buf prompt;       /* ids */
    maas_grammar *grammar; /* NULL: anything fits */
    uint64_t id;
    maas_lm_timing timing;
    maas_err *err;
    bool failed;
} session;

bool maas_is_language_model(const char *path)
{
    char head[4] = {0};
    struct stat sb;
    if (stat(path, &sb) == 0 && S_ISDIR(sb.st_mode))
        return true;
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && read(fd, head, sizeof head) == (ssize_t)sizeof head &&
           maas_gguf_is(maas_span_of(head, sizeof head));
}

static maas_status add_file(session *s, const char *path, const char *name, maas_err *err)
{
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return maas_fail(err, maas_status_of_errno(errno), "%.200s: %m", path);
    return maas_lm_files_add(&s->files, name, fd, err);
}

/* A GGUF file, or PEFT's folder. */
static maas_status add_adapter(session *s, const char *path, maas_err *err)
{
    struct stat sb;
    if (stat(path, &sb) != 0 || !S_ISDIR(sb.st_mode))
        return add_file(s, path, "adapters/lora.gguf", err);
    for (const char *const *name = maas_lm_adapter_files; *name; name++) {
        char inner[64];
        AUTO(maas_buf_reset) maas_buf full = MAAS_BUF_INIT(8192);
        maas_buf_printf(&full, "%s/%s", path, *name);
        snprintf(inner, sizeof inner, "adapters/lora/%s", *name);
        if (full.failed)
            return maas_fail(err, MAAS_E_INVALID, "the path of the adapter is too long");
        MAAS_TRY(add_file(s, full.p, inner, err));
    }
    return MAAS_OK;
}

static maas_status open_all(session *s, const char *path, const maas_generate_opts *o,
                            maas_err *err)
{
    const maas_lm_opts lm = {.n_threads = (int)o->threads, .max_seqs = 1};
    const maas_engine_opts engine = {0};
    MAAS_TRY(maas_lm_files_open(&s->files, path, err));
    if (o->lora)
        MAAS_TRY(add_adapter(s, o->lora, err));
    MAAS_TRY(maas_lm_source_open(s->files.list, s->files.n, NULL, &s->source, err));
    if (maas_encoder_is(s->source))
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "%.200s is an encoder, which writes no text: import it and ask "
                         "/v1/embeddings or /v1/rerank",
                         path);
    MAAS_TRY(maas_tokenizer_create(s->source, NULL, &s->tokenizer, err));
    MAAS_TRY(maas_lm_create(s->source, &lm, &s->model, err));
    return maas_engine_create(s->model, s->tokenizer, &engine, &s->engine, err);
}

static maas_status chat_prompt(session *s, const char *text, maas_err *err)
{
    maas_chat *chat = NULL;
    maas_rendered r;
    AUTO(maas_json_unref)
    json_t *messages = json_pack("[{s:s, s:s}]", "role", "user", "content", text);
    if (!messages)
        return maas_fail(err, MAAS_E_INVALID, "the prompt is no UTF-8");
    MAAS_TRY(maas_chat_create(s->source, s->tokenizer, NULL, &chat, err));
    maas_status st = maas_chat_render(chat, messages, NULL, NULL, &r, err);
    if (st == MAAS_OK) {
        st = maas_tokenizer_encode_pieces(s->tokenizer, r.pieces, r.n, 0, &s->prompt, err);
        maas_rendered_reset(&r);
    }
    maas_chat_destroy(chat);
    return st;
}

static maas_status read_text(const char *path, maas_buf *out, maas_err *err)
{
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? maas_fail(err, MAAS_E_NOT_FOUND, "%.200s: %m", path)
                  : maas_sys_read_all(fd, out, err);
}

static maas_status read_grammar(session *s, const maas_generate_opts *o, maas_err *err)
{
    const char *path = o->schema ? o->schema : o->grammar;
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(MAAS_MAX_CONTROL_BODY);
    AUTO(maas_json_unref) json_t *schema = NULL;
    maas_vocab *v;
    if (!path)
        return MAAS_OK;
    if (o->schema && o->grammar)
        return maas_fail(err, MAAS_E_INVALID, "of --schema and --grammar only one can be given");
    MAAS_TRY(read_text(path, &text, err));
    if (o->schema)
        MAAS_TRY(maas_json_parse(maas_buf_span(&text), &schema, err));
    const maas_grammar_part part = {.kind = schema ? MAAS_GRAMMAR_SCHEMA : MAAS_GRAMMAR_GBNF,
                                    .text = {text.p ? text.p : "", text.n},
                                    .json = schema};
    const maas_grammar_spec spec = {.parts = &part, .n_parts = 1};
    MAAS_TRY(maas_vocab_create(s->tokenizer, maas_lm_about(s->model)->n_vocab, NULL, &v, err));
    maas_status st = maas_grammar_create(&spec, v, NULL, &s->grammar, err);
    maas_vocab_unref(v);
    return st;
}

static void on_event(void *user, const maas_lm_event *ev)
{
    session *s = user;
    fwrite(ev->text.p, 1, ev->text.n, stdout);
    fflush(stdout);
    s->timing = ev->timing;
    if (ev->kind == MAAS_LM_FAILED) {
        s->failed = true;
        *s->err = *ev->error;
    }
}

static maas_status answer(session *s, const maas_generate_opts *o, maas_err *err)
{
    maas_ask ask = {.tokens = (const int32_t *)(const void *)s->prompt.p,
                    .n_tokens = (uint32_t)(s->prompt.n / sizeof(int32_t)),
                    .max_tokens = (uint32_t)o->max_tokens,
                    .n_logprobs = -1,
                    .grammar = s->grammar,
                    .adapter = o->lora ? 1 : 0,
                    .strength = 1,
                    .sampling = MAAS_SAMPLING_INIT};
    ask.sampling.temperature = (float)o->temperature;
    ask.sampling.seed = (uint64_t)o->seed;
    if (o->seed < 0)
        maas_random_bytes(&ask.sampling.seed, sizeof ask.sampling.seed);
    s->err = err;
    struct sigaction before;
    MAAS_TRY(maas_engine_submit(s->engine, &ask, on_event, s, &s->id, NULL, err));
    maas_interrupts_begin(&before);
    while (maas_engine_step(s->engine))
        if (maas_interrupted())
            maas_engine_cancel(s->engine, s->id);
    maas_interrupts_end(&before);
    printf("\n");
    fflush(stdout); /* before what goes to the other stream */
    const maas_lm_timing *t = &s->timing;
    fprintf(stderr, "prompt: %u tokens, %.0f a second; answer: %u tokens, %.1f a second\n",
            t->prompt_tokens, t->prompt_ns ? t->prompt_tokens / ((double)t->prompt_ns * 1e-9) : 0,
            t->tokens,
            t->tokens > 1 && t->decode_ns ? (t->tokens - 1) / ((double)t->decode_ns * 1e-9) : 0);
    return s->failed ? err->code : MAAS_OK;
}

maas_status maas_generate(const char *path, const maas_generate_opts *o, maas_err *err)
{
    session s = {.prompt = MAAS_BUF_INIT((size_t)256 << 20)};
    maas_status st = open_all(&s, path, o, err);
    if (st == MAAS_OK && o->raw)
        st = maas_tokenizer_encode(s.tokenizer, (maas_str){o->prompt, strlen(o->prompt)},
                                   MAAS_TOKENS_BEGIN, &s.prompt, err);
    else if (st == MAAS_OK)
        st = chat_prompt(&s, o->prompt, err);
    if (st == MAAS_OK)
        st = read_grammar(&s, o, err);
    if (st == MAAS_OK)
        st = answer(&s, o, err);
    maas_grammar_unref(s.grammar);
    maas_engine_destroy(s.engine);
    maas_lm_destroy(s.model);
    maas_tokenizer_destroy(s.tokenizer);
    maas_lm_source_close(s.source);
    maas_lm_files_reset(&s.files);
    maas_buf_reset(&s.prompt);
    return st;
}
