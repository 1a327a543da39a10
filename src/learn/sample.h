/*
 * learn/sample.h - quantiles of a stream in bounded memory, the same every time.
 *
 * Keeps one value, picked at random, of every group of 2^k values that follow each other; when the
 * buffer is full, every second one (of each pair, at random) goes and groups double. While groups
 * have one value, quantiles are exact. Later the rank of a quantile is off by less than
 * 2 / sqrt(max) in 99.9 % of cases: 0.8 % for 65,536 kept values.
 *
 * Owns: the kept values. Threads: one at a time. Fails: false when there is no memory.
 */
#ifndef MAAS_LEARN_SAMPLE_H
#define MAAS_LEARN_SAMPLE_H

#include "base/sys.h"

typedef struct maas_sample {
    double *kept;
    size_t n, cap, max; /* max: a power of two */
    int group_log2;
    uint64_t seen;  /* values so far                      */
    uint64_t group; /* first value of the current group   */
    uint64_t next;  /* the value of the group that stays  */
    maas_rng rng;   /* fixed seed: the same input gives the same answer */
} maas_sample;

void maas_sample_init(maas_sample *s, size_t max);
void maas_sample_reset(maas_sample *s);
bool maas_sample_add(maas_sample *s, const double *v, size_t n); /* no NaN */
void maas_sample_sort(maas_sample *s);                           /* before asking */
double maas_sample_quantile(const maas_sample *s, double q);     /* between neighbours: linear */
static inline bool maas_sample_exact(const maas_sample *s)
{
    return s->group_log2 == 0;
}

#endif
