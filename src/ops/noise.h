/*
 * ops/noise.h - random numbers as a function of (stream, number): nothing is hidden, a run repeats
 * bit for bit. splitmix64 (S. Vigna, 2015), one round for each word that is mixed in.
 */
#ifndef MAAS_OPS_NOISE_H
#define MAAS_OPS_NOISE_H

#include "base/sys.h"
#include "graph/graph.h"

static inline uint64_t maas_noise_mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* Number i of a stream, in [0, 1). */
static inline double maas_noise_unit(uint64_t stream, int64_t i)
{
    return (double)(maas_noise_mix(stream + (uint64_t)i) >> 11) * 0x1p-53;
}

/* The stream that a node's attribute `seed` says; without one, another for each run. */
static inline uint64_t maas_noise_stream(const maas_node *n)
{
    const maas_attr *seed = maas_node_attr(n, "seed");
    uint64_t bits = 0;
    if (!seed)
        maas_random_bytes(&bits, sizeof bits);
    else if (seed->type == MAAS_ATTR_INT)
        bits = (uint64_t)seed->u.i;
    else
        memcpy(&bits, &seed->u.f, sizeof seed->u.f);
    return maas_noise_mix(bits);
}

#endif
