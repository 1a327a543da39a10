/*
 * serve/lm_service.h - a language-model version that answers: its mapped file, model, tokenizer,
 * chat template and engine. The engine's loop is work on a lane: one step, then the other models
 * have their turn.
 *
 * Owns: all of it. Threads: any; steps run on a lane. Lifetime: counted; close first, which ends
 * what is under way.
 */
#ifndef MAAS_SERVE_LM_SERVICE_H
#define MAAS_SERVE_LM_SERVICE_H

#include "lm/chat.h"
#include "lm/engine.h"
#include "sched/lane.h"
#include "serve/lm_stats.h"

typedef struct maas_lm_service maas_lm_service;

typedef struct maas_lm_service_opts {
    maas_lanes *lanes;
    maas_budget *budget; /* of cache and plans; may be NULL */
    size_t cache_bytes;  /* of keys and values; 0: lm/model.h says */
    uint32_t max_context, max_waiting;
    uint32_t drafts; /* lm/engine.h */
} maas_lm_service_opts;

/* fd: a GGUF file (borrowed; mapped). Heavy: io thread. */
maas_status maas_lm_service_create(int fd, const char *name, int64_t version,
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
/* E_UNSUPPORTED with the reason when the model cannot chat. */
maas_status maas_lm_service_chat(const maas_lm_service *s, const maas_chat **out, maas_err *err);
maas_engine *maas_lm_service_engine(maas_lm_service *s);
maas_lm_stats *maas_lm_service_stats(maas_lm_service *s); /* who asks adds what became of it */
/* A grammar over its vocabulary, as serve/lm_grammars.h has it. io thread. */
maas_status maas_lm_service_grammar(maas_lm_service *s, const maas_grammar_spec *spec,
                                    maas_grammar **out, maas_err *err);
size_t maas_lm_service_bytes(const maas_lm_service *s);

#endif
