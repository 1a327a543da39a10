/*
 * lm/engine/breaks.h - where the last of some texts ended among tokens that come one by one: DRY
 * looks for no repeat that reaches back over it.
 */
#ifndef MAAS_LM_ENGINE_BREAKS_H
#define MAAS_LM_ENGINE_BREAKS_H

#include "base/buf.h"
#include "tensor/tensor.h"

typedef struct maas_breaks {
    maas_str *texts; /* copies, none of them empty */
    uint32_t n_texts;
    size_t longest;
    maas_buf tail;     /* bytes in which one may have begun */
    uint32_t n_tokens; /* seen */
} maas_breaks;

bool maas_breaks_init(maas_breaks *b, const maas_str *texts, uint32_t n); /* false: no memory */
void maas_breaks_reset(maas_breaks *b);
/* The bytes of the next token; true: one of the texts ends in it. Without memory for the tail, a
 * text that is cut into tokens may be missed. */
bool maas_breaks_add(maas_breaks *b, maas_str piece);

#endif
