/*
 * lm/engine/pages.h - the blocks of one sequence in one cache, and how many of its tokens are
 * there. Of a model that keeps no keys and values there are no blocks (b NULL): then it is only
 * counted.
 *
 * Owns: a count of its blocks; the list itself is the caller's. Threads: the stepping one.
 */
#ifndef MAAS_LM_ENGINE_PAGES_H
#define MAAS_LM_ENGINE_PAGES_H

#include "lm/engine/blocks.h"

typedef struct maas_pages {
    int32_t *blocks;           /* [blocks of the longest that it may become] */
    uint32_t n_blocks, n_full; /* n_full: filled and known */
    uint32_t past;             /* tokens in the cache */
} maas_pages;

/* The blocks that others computed: whole ones, and never the last token, whose logits are needed.
 * kind: as blocks.h has it. */
void maas_pages_adopt(maas_pages *p, maas_blocks *b, uint64_t kind, const int32_t *tokens,
                      uint32_t n_tokens);
bool maas_pages_reserve(maas_pages *p, maas_blocks *b, uint32_t n_tokens); /* room for so many */
/* n tokens more are in the cache; blocks that are full may be shared from now on. */
void maas_pages_advance(maas_pages *p, maas_blocks *b, uint64_t kind, const int32_t *tokens,
                        uint32_t n);
void maas_pages_trim(maas_pages *p, maas_blocks *b); /* blocks that the next token does not need */
void maas_pages_release(maas_pages *p, maas_blocks *b);

#endif
