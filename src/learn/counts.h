/*
 * learn/counts.h - how many different values a stream has, and which are the most frequent.
 *
 * Exact while there are at most `max` different values. Beyond that the number comes from a
 * HyperLogLog sketch (Flajolet et al., 2007; 4096 registers, standard error 1.6 %), and counts from
 * the summary of Misra and Gries (1982): a value that is in more than 1/max of the stream is there,
 * its count too low by at most that share.
 *
 * Owns: the table, and copies of the texts (at most MAAS_COUNTS_TEXT bytes of each).
 * Threads: one at a time. Fails: false when there is no memory.
 */
#ifndef MAAS_LEARN_COUNTS_H
#define MAAS_LEARN_COUNTS_H

#include <jansson.h>

#include "tensor/tensor.h"

#define MAAS_COUNTS_TEXT 256

typedef struct maas_count {
    uint64_t key;  /* bits of a number, hash of a text */
    int64_t count; /* 0: the slot is free */
    char *text;
    uint32_t n_text;
} maas_count;

typedef struct maas_counts {
    maas_count *slots; /* open addressing, n_slots a power of two, at most half full */
    size_t n_slots, n, max;
    uint8_t *registers; /* of the sketch; NULL while exact */
    uint64_t salt; /* odd and random: nobody can aim at one slot; answers do not depend on it */
    bool keep_counting; /* after `max`: for text, whose heavy values matter */
} maas_counts;

void maas_counts_init(maas_counts *c, size_t max, bool keep_counting);
void maas_counts_reset(maas_counts *c);
/* Numbers by their bits, times `by` (a histogram already counted). */
bool maas_counts_add(maas_counts *c, uint64_t bits, int64_t by);
bool maas_counts_add_text(maas_counts *c, maas_str text);
static inline bool maas_counts_exact(const maas_counts *c)
{
    return !c->registers;
}
int64_t maas_counts_distinct(const maas_counts *c);
/* The at most `n` most frequent, count first, then key or text; returns how many. */
size_t maas_counts_top(const maas_counts *c, const maas_count **out, size_t n);

#endif
