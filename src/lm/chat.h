/*
 * lm/chat.h - a conversation to the text that a model wants: its chat template, or the one of its
 * family when the file has none.
 *
 * Owns: the program. Threads: any. Fails: E_UNSUPPORTED when the model has no template and is of no
 * family that is known; what lm/jinja.h says.
 */
#ifndef MAAS_LM_CHAT_H
#define MAAS_LM_CHAT_H

#include "lm/jinja.h"
#include "lm/said.h"

typedef struct maas_chat maas_chat;

maas_status maas_chat_create(const maas_lm_source *s, const maas_tokenizer *t, maas_budget *budget,
                             maas_chat **out, maas_err *err);
/* Of a template without a model (t: NULL); borrows the texts of bos and eos. */
maas_status maas_chat_of_template(maas_str text, maas_str bos, maas_str eos,
                                  const maas_tokenizer *t, maas_budget *budget, maas_chat **out,
                                  maas_err *err);
void maas_chat_destroy(maas_chat *c); /* NULL is fine */
/* How the model writes calls and reasoning; lives as long as c. */
const maas_said_style *maas_chat_style(const maas_chat *c);
/* messages: as OpenAI writes them; contents of parts are joined. tools, more (variables of the
 * template): NULL where there are none. */
maas_status maas_chat_render(const maas_chat *c, const json_t *messages, const json_t *tools,
                             const json_t *more, maas_rendered *out, maas_err *err);

#endif
