/* api/talk_int.h - between talk.c (the way to an engine and back) and talk_said.c (what comes back,
 * taken apart to items). Called on the thread that steps the engine. */
#ifndef MAAS_API_TALK_INT_H
#define MAAS_API_TALK_INT_H

#include "api/talk.h"

/* The prompt and the style are known: what the answer must fit becomes the grammar of the ask. */
maas_status maas_talk_grammar(maas_talk *t, maas_err *err);
void maas_talk_stop(maas_talk *t); /* the engine ends the choice at hand */

/* A choice begins, a token comes, a choice ends: items grow, and are written into t->out. */
void maas_talk_hear_begin(maas_talk *t);
void maas_talk_hear(maas_talk *t, const maas_lm_event *ev);
void maas_talk_hear_end(maas_talk *t, const maas_lm_event *ev);
void maas_talk_forget(maas_talk *t); /* frees the choices */

#endif
