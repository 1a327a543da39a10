/*
 * serve/lm_service.h - a language-model version that answers: its mapped file, tokenizer, and
 * either a model that writes with its chat template and engine, or an encoder with its queue. Both
 * work on a lane: one step, then the other models have their turn.
 *
 * Owns: all of it. Threads: any; steps run on a lane. Lifetime: counted; close first, which ends
 * what is under way.
 */
#ifndef MAAS_SERVE_LM_SERVICE_H
#define MAAS_SERVE_LM_SERVICE_H

#include "lm/chat.h"
#include "lm/engine.h"
#include "lm/files.h"
#include "sched/lane.h"
#include "serve/embedder.h"
#include "serve/lm_stats.h"
#include "serve/lm_usage.h"

typedef struct maas_lm_service maas_lm_service;

typedef struct maas_lm_service_opts {
    maas_lanes *lanes;
    maas_budget *budget; /* of cache and plans; may be NULL */
    size_t cache_bytes;  /* of keys and values; 0: lm/model.h says */
    uint32_t max_context, max_waiting;
    uint32_t drafts; /* lm/engine.h */
    maas_lm_cache cache, draft_cache;
    maas_lm_files *draft; /* of a model that proposes tokens, taken over; NULL: none */
} maas_lm_service_opts;

/* files: taken over on success and on failure. Heavy: io thread. */
maas_status maas_lm_service_create(maas_lm_files *files, const char *name, int64_t version,
                                   const maas_lm_service_opts *o, maas_lm_service **out,
                                   maas_err *err);
void maas_lm_service_ref(maas_lm_service *s);
void maas_lm_service_unref(maas_lm_service *s); /* NULL is fine */
/* Requests under way end as cancelled; waits until no lane works for it. NULL is fine. */
void maas_lm_service_close(maas_lm_service *s);

const char *maas_lm_service_name(const maas_lm_service *s);
int64_t maas_lm_service_version(const maas_lm_service *s);
const maas_lm_info *maas_lm_service_about(const maas_lm_service *s);
const maas_tokenizer *maas_lm_service_tokenizer(const maas_lm_service *s);
maas_sampling maas_lm_service_sampling(const maas_lm_service *s); /* when a request does not say */
/* E_UNSUPPORTED with the reason when the model cannot chat. */
maas_status maas_lm_service_chat(const maas_lm_service *s, const maas_chat **out, maas_err *err);
/* Of its version's adapters, from 1; E_NOT_FOUND names those there are. */
maas_status maas_lm_service_adapter(const maas_lm_service *s, const char *name, uint32_t *out,
                                    maas_err *err);
maas_engine *maas_lm_service_engine(maas_lm_service *s);     /* NULL: an encoder */
maas_embedder *maas_lm_service_embedder(maas_lm_service *s); /* NULL: a model that writes */
/* What a route may want of it: E_INVALID names the routes that the model has. */
typedef enum maas_lm_task { MAAS_LM_WRITES, MAAS_LM_EMBEDS, MAAS_LM_RANKS } maas_lm_task;
maas_lm_task maas_lm_service_task(const maas_lm_service *s);
const char *maas_lm_service_words(const maas_lm_service *s); /* "is an encoder: ask ..." */
maas_status maas_lm_service_wants(const maas_lm_service *s, maas_lm_task task, maas_err *err);
/* Who asks adds what became of it. */
maas_lm_stats *maas_lm_service_stats(maas_lm_service *s);
maas_lm_usage *maas_lm_service_usage(maas_lm_service *s);
/* A grammar over its vocabulary, as serve/lm_grammars.h has it. io thread. */
maas_status maas_lm_service_grammar(maas_lm_service *s, const maas_grammar_spec *spec,
                                    maas_grammar **out, maas_err *err);
size_t maas_lm_service_bytes(const maas_lm_service *s);

#endif
