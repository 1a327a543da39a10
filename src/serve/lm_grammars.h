/*
 * serve/lm_grammars.h - the grammars of a language model: its vocabulary as a tree, made when the
 * first one comes, and the grammars of late, so that who asks again need not wait and finds what
 * was found out.
 *
 * Owns: vocabulary and kept grammars. Borrows: the tokenizer. Threads: any; making one is work of
 * milliseconds: io thread.
 */
#ifndef MAAS_SERVE_LM_GRAMMARS_H
#define MAAS_SERVE_LM_GRAMMARS_H

#include "lm/grammar.h"

typedef struct maas_lm_grammars maas_lm_grammars;

maas_status maas_lm_grammars_create(const maas_tokenizer *t, int32_t n_logits, maas_budget *budget,
                                    maas_lm_grammars **out, maas_err *err);
void maas_lm_grammars_destroy(maas_lm_grammars *g); /* NULL is fine; grammars may outlive it */
/* *out: a reference of the caller's. */
maas_status maas_lm_grammars_get(maas_lm_grammars *g, const maas_grammar_spec *spec,
                                 maas_grammar **out, maas_err *err);

#endif
