/*
 * lm/engine/blocks.h - whose the blocks of the cache are. A full block is known by its tokens and
 * by the block before it, so that a prompt that begins like another one shares its blocks: those of
 * requests under way and of finished ones alike, until they are needed for something else.
 *
 * Threads: one. Owns: its tables.
 */
#ifndef MAAS_LM_ENGINE_BLOCKS_H
#define MAAS_LM_ENGINE_BLOCKS_H

#include "base/status.h"
#include "ops/paged_attention.h"

typedef struct maas_blocks maas_blocks;

maas_status maas_blocks_create(int32_t n, maas_blocks **out, maas_err *err);
void maas_blocks_destroy(maas_blocks *b);
/* A block with one user and no content; the one unused for longest is forgotten. -1: all are used.
 */
int32_t maas_blocks_take(maas_blocks *b);
void maas_blocks_give(maas_blocks *b, int32_t block); /* one user less */
/* The block that holds these MAAS_PAGE tokens after block `parent` (-1: at the start, of a sequence
 * of this `kind`: what keys and values depend on beside tokens), with one user more; -1: none. */
int32_t maas_blocks_find(maas_blocks *b, int32_t parent, uint64_t kind, const int32_t *tokens);
/* The block, which was taken, is full of these tokens now. Returns the block to use from here on:
 * an older one of the same content, when there is one (and `block` is given back). */
int32_t maas_blocks_fill(maas_blocks *b, int32_t block, int32_t parent, uint64_t kind,
                         const int32_t *tokens);
int32_t maas_blocks_n_free(const maas_blocks *b); /* that take could return */

#endif
