/*
 * ops/unicode.h - what text operators know of characters: classes, lower case and decomposition as
 * Python's str and re have them (tables: tools/gen_unicode.py). Pure functions, any thread.
 */
#ifndef MAAS_OPS_UNICODE_H
#define MAAS_OPS_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAAS_UNI_MAX_STRIPPED 18 /* characters that one decomposes into */

bool maas_uni_is_word(uint32_t c);  /* \w: letters, numbers, the underscore */
bool maas_uni_is_space(uint32_t c); /* \s */
bool maas_uni_is_digit(uint32_t c); /* \d */
/* Case of what stands around a capital sigma: does it have one, is it looked through? */
bool maas_uni_is_cased(uint32_t c);
bool maas_uni_is_ignorable(uint32_t c);
/* One character to one. U+0130 gives U+0069 (Python appends U+0307), U+03A3 the sigma that is not
 * final. */
uint32_t maas_uni_lower(uint32_t c);
/* One character to one; what has no capital of one character (the sharp s) stays. */
uint32_t maas_uni_upper(uint32_t c);
/* NFKD without combining characters; returns how many of out[] there are. */
int maas_uni_strip(uint32_t c, uint32_t out[MAAS_UNI_MAX_STRIPPED]);

/* The character at p[0..n) of valid UTF-8; n >= 1. Returns its bytes. */
size_t maas_uni_get(const char *p, uint32_t *out);
size_t maas_uni_put(uint32_t c, char out[4]);

#endif
