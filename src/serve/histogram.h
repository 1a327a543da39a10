/*
 * serve/histogram.h - a latency histogram that many threads add to without a lock.
 *
 * Buckets are logarithmic with 4 steps an octave (relative error below 19 %), from 1 us to 2^27 us
 * (134 s); counts, sum and maximum are exact.
 */
#ifndef MAAS_SERVE_HISTOGRAM_H
#define MAAS_SERVE_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

#define MAAS_HIST_BUCKETS (27 * 4 + 1)

typedef struct maas_histogram {
    _Atomic uint64_t n[MAAS_HIST_BUCKETS];
    _Atomic uint64_t count, sum_ns;
} maas_histogram;

static inline int maas_hist_bucket(uint64_t ns)
{
    uint64_t us4 = ns / 250; /* quarters of a microsecond */
    if (us4 < 4)
        return 0;
    int octave = 63 - __builtin_clzll(us4);    /* >= 2 */
    int step = (int)(us4 >> (octave - 2) & 3); /* two bits below the leading one */
    int b = (octave - 2) * 4 + step;
    return b < MAAS_HIST_BUCKETS ? b : MAAS_HIST_BUCKETS - 1;
}
/* Upper edge of bucket b, in seconds. */
static inline double maas_hist_edge(int b)
{
    return 1e-6 * (double)(1ull << (b / 4)) * (1.0 + (b % 4 + 1) / 4.0);
}
static inline void maas_hist_add(maas_histogram *h, uint64_t ns)
{
    atomic_fetch_add_explicit(&h->n[maas_hist_bucket(ns)], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->sum_ns, ns, memory_order_relaxed);
}
/* Upper edge of the bucket that holds the q-th quantile, in seconds; 0 when empty. */
double maas_hist_quantile(const maas_histogram *h, double q);

#endif
