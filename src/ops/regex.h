/*
 * ops/regex.h - does a whole text match a pattern of RE2's syntax?
 *
 * The pattern is read here, refused where RE2 would (backreferences, look-around, atomic groups and
 * possessive repetition are no part of its syntax), and handed to PCRE2 in words that mean the
 * same. Matching is PCRE2's breadth-first one: nothing backtracks, time grows with the text times
 * the size of the pattern. Builds without PCRE2 (meson option regex) do not have this, nor
 * RegexFullMatch.
 *
 * Owns: a compiled pattern; destroy it. Threads: one at a time. Fails: E_INVALID for what is no
 * pattern and for text that is not UTF-8, E_UNSUPPORTED, E_TOO_LARGE for patterns above
 * MAAS_REGEX_MAX_BYTES or too costly, E_NOMEM.
 */
#ifndef MAAS_OPS_REGEX_H
#define MAAS_OPS_REGEX_H

#include "base/buf.h"
#include "tensor/tensor.h"

#define MAAS_REGEX_MAX_BYTES  (1 << 16)
#define MAAS_REGEX_MAX_NEST   100
#define MAAS_REGEX_MAX_REPEAT 1000

typedef struct maas_regex maas_regex;

maas_status maas_regex_create(maas_str pattern, maas_regex **out, maas_err *err);
void maas_regex_destroy(maas_regex *r); /* NULL is fine */
maas_status maas_regex_full_match(maas_regex *r, maas_str text, bool *out, maas_err *err);

/* The pattern in PCRE2's syntax, to be compiled with UTF and ALT_CIRCUMFLEX (regex_syntax.c). */
maas_status maas_regex_translate(maas_str pattern, maas_buf *out, maas_err *err);

#endif
