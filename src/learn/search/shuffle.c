/* learn/search/shuffle.c - MT19937 and the shuffle built on it. */
#include "learn/search/shuffle.h"

#include "base/ban.h"

enum { N = 624, M = 397 };

void maas_mt19937_seed(maas_mt19937 *g, uint32_t seed)
{
    for (uint32_t i = 0; i < N; i++) {
        g->state[i] = seed;
        seed = 1812433253u * (seed ^ (seed >> 30)) + i + 1;
    }
    g->at = N;
}

static void refill(maas_mt19937 *g)
{
    for (int i = 0; i < N; i++) {
        uint32_t y = (g->state[i] & 0x80000000u) | (g->state[(i + 1) % N] & 0x7fffffffu);
        g->state[i] = g->state[(i + M) % N] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    g->at = 0;
}

uint32_t maas_mt19937_u32(maas_mt19937 *g)
{
    if (g->at == N)
        refill(g);
    uint32_t y = g->state[g->at++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

uint32_t maas_mt19937_upto(maas_mt19937 *g, uint32_t max)
{
    uint32_t mask = max, v;
    if (max == 0)
        return 0;
    for (int shift = 1; shift < 32; shift *= 2)
        mask |= mask >> shift;
    do
        v = maas_mt19937_u32(g) & mask;
    while (v > max);
    return v;
}

void maas_mt19937_shuffle(maas_mt19937 *g, uint32_t *v, int64_t n)
{
    for (int64_t i = n - 1; i > 0; i--) {
        uint32_t j = maas_mt19937_upto(g, (uint32_t)i), t = v[i];
        v[i] = v[j];
        v[j] = t;
    }
}
