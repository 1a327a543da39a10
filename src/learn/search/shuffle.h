/*
 * learn/search/shuffle.h - the order that NumPy's RandomState(seed).shuffle gives, so that folds
 * drawn with a seed are the folds of scikit-learn with the same random_state.
 *
 * MT19937 (Matsumoto and Nishimura, 1998) seeded by one 32-bit number; a shuffle walks from the
 * last element down and swaps each with one below or at it, drawn by masking 32 random bits until
 * they fit (NumPy's legacy rule, frozen).
 */
#ifndef MAAS_LEARN_SEARCH_SHUFFLE_H
#define MAAS_LEARN_SEARCH_SHUFFLE_H

#include <stdint.h>

typedef struct maas_mt19937 {
    uint32_t state[624];
    int at;
} maas_mt19937;

void maas_mt19937_seed(maas_mt19937 *g, uint32_t seed);
uint32_t maas_mt19937_u32(maas_mt19937 *g);
uint32_t maas_mt19937_upto(maas_mt19937 *g, uint32_t max); /* 0..max */
void maas_mt19937_shuffle(maas_mt19937 *g, uint32_t *v, int64_t n);

#endif
