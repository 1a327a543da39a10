#include "serve/lm_service.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/sys.h"
#include "serve/lm_grammars.h"
#include "base/ban.h"

struct maas_lm_service {
    _Atomic int refs;
    char name[MAAS_MAX_NAME + 1];
    int64_t version;
    maas_lm_files files;
    maas_lm_source *source;
    maas_lm *model;
    maas_tokenizer *tokenizer;
    maas_chat *chat; /* NULL: see why_no_chat */
    maas_err why_no_chat;
    struct {
        maas_lm_files files;
        maas_lm_source *source;
        maas_lm *model;
    } draft; /* what proposes tokens, if there is one */
    maas_engine *engine;
    maas_encoder *encoder; /* instead of model, chat and engine */
    maas_embedder *embedder;
    maas_lm_grammars *grammars;
    maas_lanes *lanes;
    maas_queue queue;
    maas_work work;
    maas_lm_stats stats;
    maas_lm_usage usage;
    _Atomic bool queued; /* work waits in the queue */
    int n_steps;         /* up to STEPS_TO_PACK     */
};

/* ---- the loop ---- */

/* After so many steps what is packed has been packed (kernels/block_pack.h). */
enum { STEPS_TO_PACK = 16 };

/* One piece of work stands for the whole engine: it is queued at most once. */
static void wake(void *user)
{
    maas_lm_service *s = user;
    maas_err err;
    if (!atomic_exchange(&s->queued, true) &&
        maas_queue_submit(s->lanes, &s->queue, &s->work, &err) != MAAS_OK)
        atomic_store(&s->queued, false); /* the server is shutting down */
}

static void run(void *user, maas_work *list, int n_threads)
{
    maas_lm_service *s = user;
    (void)list;
    (void)n_threads;
    atomic_store(&s->queued, false); /* who comes during the step is seen after it */
    const bool more = maas_engine_step(s->engine);
    const maas_err *why = maas_engine_draft_failure(s->engine);
    if (why)
        MAAS_LOG(MAAS_LOG_WARN,
                 "event=draft_failed model=%s version=%lld msg=\"%s\" next=\"answers go on without "
                 "the draft model until the model is loaded again\"",
                 s->name, (long long)s->version, why->msg);
    if (s->n_steps < STEPS_TO_PACK && ++s->n_steps == STEPS_TO_PACK) {
        maas_lm_files_rest(&s->files);
        maas_lm_files_rest(&s->draft.files);
    }
    if (more)
        wake(s);
}

static void hold(void *user, bool on)
{
    if (on)
        maas_lm_service_ref(user);
    else
        maas_lm_service_unref(user);
}

/* ---- life ---- */

static void destroy_tokenizer(maas_tokenizer **t)
{
    maas_tokenizer_destroy(*t);
}

static maas_status open_encoder(maas_lm_service *s, const maas_lm_service_opts *o, maas_err *err)
{
    const maas_encoder_opts opts = {.n_threads = maas_lanes_threads(o->lanes),
                                    .budget = o->budget,
                                    .cache_bytes = o->cache_bytes};
    MAAS_TRY(maas_encoder_create(s->source, &opts, &s->encoder, err));
    return maas_embedder_create(s->encoder, o->lanes, o->max_waiting, hold, s, &s->embedder, err);
}

static maas_status check_draft(maas_lm_service *s, const maas_lm_service_opts *o, maas_err *err)
{
    const maas_lm_info *i = maas_lm_about(s->model);
    const maas_lm_opts opts = {.n_threads = maas_lanes_threads(o->lanes),
                               .budget = o->budget,
                               .cache_bytes = o->cache_bytes,
                               .cache = o->draft_cache,
                               .max_context = (uint32_t)i->n_context,
                               .max_rows = i->max_rows,
                               .max_seqs = i->max_seqs};
    AUTO(destroy_tokenizer) maas_tokenizer *t = NULL;
    MAAS_TRY(maas_lm_source_open(s->draft.files.list, s->draft.files.n, o->budget, &s->draft.source,
                                 err));
    if (maas_encoder_is(s->draft.source))
        return maas_fail(err, MAAS_E_INVALID, "it is an encoder, which writes nothing");
    MAAS_TRY(maas_tokenizer_create(s->draft.source, o->budget, &t, err));
    MAAS_TRY(maas_tokenizer_same(s->tokenizer, t, err));
    return maas_lm_create(s->draft.source, &opts, &s->draft.model, err);
}

static maas_status open_draft(maas_lm_service *s, const maas_lm_service_opts *o, maas_err *err)
{
    maas_err why = {0};
    return check_draft(s, o, &why) == MAAS_OK
               ? MAAS_OK
               : maas_fail(err, why.code, "the draft model of '%.64s': %s", s->name, why.msg);
}

static maas_status open_writer(maas_lm_service *s, const maas_lm_service_opts *o, maas_err *err)
{
    const maas_lm_opts opts = {.n_threads = maas_lanes_threads(o->lanes),
                               .budget = o->budget,
                               .cache_bytes = o->cache_bytes,
                               .cache = o->cache,
                               .max_context = o->max_context};
    MAAS_TRY(maas_lm_create(s->source, &opts, &s->model, err));
    if (o->draft)
        MAAS_TRY(open_draft(s, o, err));
    const maas_engine_opts engine = {
        .max_waiting = o->max_waiting, .drafts = o->drafts, .draft = s->draft.model};
    MAAS_TRY(maas_engine_create(s->model, s->tokenizer, &engine, &s->engine, err));
    MAAS_TRY(maas_lm_grammars_create(s->tokenizer, maas_lm_about(s->model)->n_vocab, o->budget,
                                     &s->grammars, err));
    if (maas_chat_create(s->source, s->tokenizer, o->budget, &s->chat, &s->why_no_chat) != MAAS_OK)
        s->chat = NULL;
    maas_engine_on_wake(s->engine, wake, s);
    return MAAS_OK;
}

static maas_status open_all(maas_lm_service *s, const maas_lm_service_opts *o, maas_err *err)
{
    MAAS_TRY(maas_lm_source_open(s->files.list, s->files.n, o->budget, &s->source, err));
    MAAS_TRY(maas_tokenizer_create(s->source, o->budget, &s->tokenizer, err));
    if (maas_encoder_is(s->source))
        return o->draft
                   ? maas_fail(err, MAAS_E_INVALID,
                               "'%.64s' is an encoder: it has no use for a draft model", s->name)
                   : open_encoder(s, o, err);
    return open_writer(s, o, err);
}

maas_status maas_lm_service_create(maas_lm_files *files, const char *name, int64_t version,
                                   const maas_lm_service_opts *o, maas_lm_service **out,
                                   maas_err *err)
{
    maas_lm_service *s = maas_calloc(1, sizeof *s);
    if (!s) {
        maas_lm_files_reset(files);
        if (o->draft)
            maas_lm_files_reset(o->draft);
        return maas_fail(err, MAAS_E_NOMEM, "loading model '%s'", name);
    }
    s->files = *files;
    *files = (maas_lm_files){0};
    if (o->draft) {
        s->draft.files = *o->draft;
        *o->draft = (maas_lm_files){0};
    }
    s->refs = 1;
    s->version = version;
    s->lanes = o->lanes;
    snprintf(s->name, sizeof s->name, "%s", name);
    maas_lm_usage_init(&s->usage);
    maas_queue_init(&s->queue, run, s, 1);
    s->queue.hold = hold;
    maas_status st = open_all(s, o, err);
    if (st == MAAS_OK)
        *out = s;
    else
        maas_lm_service_unref(s);
    return st;
}

void maas_lm_service_ref(maas_lm_service *s)
{
    atomic_fetch_add(&s->refs, 1);
}

void maas_lm_service_unref(maas_lm_service *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    maas_embedder_destroy(s->embedder);
    maas_encoder_destroy(s->encoder);
    maas_engine_destroy(s->engine);
    maas_lm_grammars_destroy(s->grammars);
    maas_lm_destroy(s->model);
    maas_lm_destroy(s->draft.model);
    maas_lm_source_close(s->draft.source);
    maas_lm_files_reset(&s->draft.files);
    maas_chat_destroy(s->chat);
    maas_tokenizer_destroy(s->tokenizer);
    maas_lm_source_close(s->source);
    maas_lm_files_reset(&s->files);
    maas_lm_usage_reset(&s->usage);
    maas_free(s);
}

void maas_lm_service_close(maas_lm_service *s)
{
    if (!s)
        return;
    maas_embedder_close(s->embedder);
    if (s->engine)
        maas_engine_cancel_all(s->engine);
    maas_queue_detach(s->lanes, &s->queue);
}

/* ---- looking ---- */

const char *maas_lm_service_name(const maas_lm_service *s)
{
    return s->name;
}
int64_t maas_lm_service_version(const maas_lm_service *s)
{
    return s->version;
}
const maas_lm_info *maas_lm_service_about(const maas_lm_service *s)
{
    return s->encoder ? &maas_encoder_about(s->encoder)->lm : maas_lm_about(s->model);
}
const maas_tokenizer *maas_lm_service_tokenizer(const maas_lm_service *s)
{
    return s->tokenizer;
}
maas_sampling maas_lm_service_sampling(const maas_lm_service *s)
{
    return maas_sampling_of(s->source);
}
maas_status maas_lm_service_chat(const maas_lm_service *s, const maas_chat **out, maas_err *err)
{
    *out = s->chat;
    MAAS_TRY(maas_lm_service_wants(s, MAAS_LM_WRITES, err));
    return s->chat ? MAAS_OK : maas_fail(err, s->why_no_chat.code, "%s", s->why_no_chat.msg);
}
maas_status maas_lm_service_adapter(const maas_lm_service *s, const char *name, uint32_t *out,
                                    maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf known = MAAS_BUF_INIT(4096);
    *out = maas_lm_adapter_of(s->source, (maas_str){name, strlen(name)});
    if (*out)
        return MAAS_OK;
    for (uint32_t i = 1; i <= maas_lm_n_adapters(s->source) && known.n < 128; i++) {
        const maas_str n = maas_lm_adapter_name(s->source, i);
        maas_buf_printf(&known, "%s%.*s", i > 1 ? ", " : "; it has ", (int)n.n, n.p);
    }
    return maas_fail(err, MAAS_E_NOT_FOUND, "model '%.64s' has no adapter '%.64s'%s", s->name, name,
                     known.n ? known.p : "");
}
maas_engine *maas_lm_service_engine(maas_lm_service *s)
{
    return s->engine;
}
maas_embedder *maas_lm_service_embedder(maas_lm_service *s)
{
    return s->embedder;
}
maas_lm_task maas_lm_service_task(const maas_lm_service *s)
{
    if (!s->encoder)
        return MAAS_LM_WRITES;
    return maas_encoder_about(s->encoder)->pooling == MAAS_POOL_RANK ? MAAS_LM_RANKS
                                                                     : MAAS_LM_EMBEDS;
}

const char *maas_lm_service_words(const maas_lm_service *s)
{
    static const char *const words[] = {
        [MAAS_LM_WRITES] = "is a language model: ask /v1/chat/completions or /v1/completions",
        [MAAS_LM_EMBEDS] = "is an encoder of texts: ask /v1/embeddings or /api/embed",
        [MAAS_LM_RANKS] = "is a reranker of pairs: ask /v1/rerank",
    };
    return words[maas_lm_service_task(s)];
}

maas_status maas_lm_service_wants(const maas_lm_service *s, maas_lm_task task, maas_err *err)
{
    return maas_lm_service_task(s) == task ? MAAS_OK
                                           : maas_fail(err, MAAS_E_INVALID, "model '%.64s' %s",
                                                       s->name, maas_lm_service_words(s));
}

maas_lm_stats *maas_lm_service_stats(maas_lm_service *s)
{
    return &s->stats;
}
maas_lm_usage *maas_lm_service_usage(maas_lm_service *s)
{
    return &s->usage;
}

maas_status maas_lm_service_grammar(maas_lm_service *s, const maas_grammar_spec *spec,
                                    maas_grammar **out, maas_err *err)
{
    return maas_lm_grammars_get(s->grammars, spec, out, err);
}
size_t maas_lm_service_bytes(const maas_lm_service *s)
{
    const maas_lm_info *i = maas_lm_service_about(s);
    const maas_lm_info *d = s->draft.model ? maas_lm_about(s->draft.model) : NULL;
    return s->files.bytes + (size_t)i->n_blocks * i->block_bytes +
           (size_t)i->n_states * i->state_bytes +
           (d ? s->draft.files.bytes + (size_t)d->n_blocks * d->block_bytes : 0);
}
