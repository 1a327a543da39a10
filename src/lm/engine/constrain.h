/* lm/engine/constrain.h - what a grammar leaves of the logits. Only for engine.c. */
#ifndef MAAS_LM_ENGINE_CONSTRAIN_H
#define MAAS_LM_ENGINE_CONSTRAIN_H

#include "lm/grammar.h"

/* n logits to `out`, -INFINITY for tokens that may not come next; *out_n: how many may. `no_end`:
 * tokens that end an answer may not, either. */
maas_status maas_constrain(maas_matcher *m, const maas_tokenizer *t, bool no_end,
                           const float *logits, int32_t n, float *out, uint32_t *out_n,
                           maas_err *err);

#endif
