/*
 * lm/jinja.h - the part of Jinja that chat templates are written in, compiled to a flat program.
 *
 * Nothing of a template can reach anything but the values it is given: no attributes of objects, no
 * imports, no files. Steps, memory and output are bounded; a template that goes on for ever is
 * stopped with a sentence. As transformers sets it: trim_blocks and lstrip_blocks are on.
 *
 * Every byte of the output is known to come from the template itself (trusted) or from the values:
 * what a user wrote can never become a special token.
 *
 * Owns: the program, under the budget. Threads: a program is read-only. Fails: E_INVALID names line
 * and what is wrong, or says what raise_exception says; E_UNSUPPORTED a tag, filter or function
 * that is not known; E_TOO_LARGE a bound.
 */
#ifndef MAAS_LM_JINJA_H
#define MAAS_LM_JINJA_H

#include <jansson.h>

#include "lm/tokenizer.h" /* maas_text_piece */

typedef struct maas_jinja maas_jinja;

maas_status maas_jinja_compile(maas_str text, maas_budget *budget, maas_jinja **out, maas_err *err);
void maas_jinja_destroy(maas_jinja *j); /* NULL is fine */

typedef struct maas_rendered {
    maas_arena arena;
    maas_budget *budget; /* of the arena, its own */
    maas_text_piece *pieces;
    uint32_t n;
} maas_rendered;
/* vars: an object. `trusted`: names in it (NULL-ended) whose strings are as the template's own.
 * now: for strftime_now, seconds since 1970. */
maas_status maas_jinja_render(const maas_jinja *j, const json_t *vars, const char *const *trusted,
                              int64_t now, maas_rendered *out, maas_err *err);
void maas_rendered_reset(maas_rendered *r);

#endif
