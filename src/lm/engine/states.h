/*
 * lm/engine/states.h - whose the states of a model are, and which tokens they hold.
 *
 * A state that nobody has is kept, with its tokens, until its place is needed: whoever begins with
 * those tokens goes on from it. It has one owner, who changes it: nothing is shared.
 *
 * Owns: copies of tokens. Threads: the stepping one. Fails: E_NOMEM when it is made; later, what
 * there is no memory for is not kept.
 */
#ifndef MAAS_LM_ENGINE_STATES_H
#define MAAS_LM_ENGINE_STATES_H

#include <stdint.h>

#include "base/status.h"

enum { MAAS_STATES_MAX_KEPT = 1 << 16 }; /* tokens of one that is kept */

typedef struct maas_states maas_states;
maas_status maas_states_create(int32_t n, maas_states **out, maas_err *err);
void maas_states_destroy(maas_states *s); /* NULL is fine */
/* One for a sequence of n tokens: that with the most of them, but never the last one, whose logits
 * are needed; else an empty one, or the one that was kept the longest. *past: tokens that are in
 * it; 0: what is in it is nothing. -1: all have owners. kind: as blocks.h has it. */
int32_t maas_states_take(maas_states *s, uint64_t kind, const int32_t *tokens, uint32_t n,
                         uint32_t *past);
/* It holds the first n of these tokens and nothing else; n 0: nobody knows what is in it. */
void maas_states_give(maas_states *s, int32_t i, uint64_t kind, const int32_t *tokens, uint32_t n);
int32_t maas_states_n_free(const maas_states *s); /* that take could return */

#endif
