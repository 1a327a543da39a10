/* lm/grammar/reading.h - what the notations of this folder have in common: characters, counts. */
#ifndef MAAS_LM_GRAMMAR_READING_H
#define MAAS_LM_GRAMMAR_READING_H

#include "lm/grammar/grammar_int.h"

typedef struct gram_reading {
    const char *p;
    size_t n, at;
} gram_reading;

static inline int gram_peek(const gram_reading *r) /* -1: the end */
{
    return r->at < r->n ? (uint8_t)r->p[r->at] : -1;
}
bool gram_read_char(gram_reading *r, uint32_t *out);            /* false: no UTF-8 */
bool gram_read_hex(gram_reading *r, int digits, uint32_t *out); /* exactly so many */
/* {m} {m,} {m,n}; NULL, or what is wrong. */
const char *gram_read_counts(gram_reading *r, uint32_t *min, uint32_t *max);
void gram_put_char(maas_buf *b, uint32_t c); /* as UTF-8 */

typedef struct gram_ranges { /* in the tree's arena */
    gram_range *at;
    uint32_t n, cap;
} gram_ranges;
void gram_ranges_add(gram_build *b, gram_ranges *r, uint32_t from, uint32_t to);

#endif
