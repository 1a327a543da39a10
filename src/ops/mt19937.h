/*
 * ops/mt19937.h - the Mersenne Twister (Matsumoto and Nishimura, 1998), seeded and read as NumPy's
 * RandomState does: where the standard's numbers come from that generator.
 *
 * State in the caller's memory. Numbers come one after the other: one thread.
 */
#ifndef MAAS_OPS_MT19937_H
#define MAAS_OPS_MT19937_H

#include <stdint.h>

typedef struct maas_mt19937 {
    uint32_t word[624];
    int at;
} maas_mt19937;

static inline void maas_mt19937_init(maas_mt19937 *m, uint32_t seed)
{
    m->word[0] = seed;
    for (uint32_t i = 1; i < 624; i++)
        m->word[i] = 1812433253u * (m->word[i - 1] ^ m->word[i - 1] >> 30) + i;
    m->at = 624;
}

static inline void maas_mt19937_turn(maas_mt19937 *m)
{
    for (int i = 0; i < 624; i++) {
        const uint32_t y = (m->word[i] & 0x80000000u) | (m->word[(i + 1) % 624] & 0x7fffffffu);
        m->word[i] = m->word[(i + 397) % 624] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    m->at = 0;
}

static inline uint32_t maas_mt19937_next(maas_mt19937 *m)
{
    if (m->at == 624)
        maas_mt19937_turn(m);
    uint32_t y = m->word[m->at++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

/* In [0, 1), 53 bits. */
static inline double maas_mt19937_unit(maas_mt19937 *m)
{
    const uint32_t a = maas_mt19937_next(m) >> 5, b = maas_mt19937_next(m) >> 6;
    return (a * 67108864.0 + b) / 9007199254740992.0;
}

#endif
