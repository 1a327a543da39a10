/*
 * lm/engine/answer.h - bytes of tokens to text that can be told: whole characters, and nothing that
 * may still become a stop text.
 */
#ifndef MAAS_LM_ENGINE_ANSWER_H
#define MAAS_LM_ENGINE_ANSWER_H

#include "base/buf.h"
#include "tensor/tensor.h"

typedef struct maas_answer {
    maas_buf held;   /* bytes not told yet */
    maas_buf told;   /* what the last call may tell */
    maas_str *stops; /* copies */
    uint32_t n_stops;
    int32_t stop; /* which of them is complete; -1: none yet */
} maas_answer;

bool maas_answer_init(maas_answer *a, const maas_str *stops, uint32_t n);
void maas_answer_reset(maas_answer *a);
/* Bytes more; true: a stop text is complete, what was before it is told. */
bool maas_answer_add(maas_answer *a, maas_str bytes);
void maas_answer_finish(maas_answer *a); /* all that is held is told; broken characters as U+FFFD */

#endif
