/* Randomness: the kernel's for secrets, xoshiro256** (Blackman and Vigna, 2018) for repetition. */
#include "base/sys.h"

#include <errno.h>
#include <math.h>
#include <sys/random.h>

#include "base/ban.h"

void maas_random_bytes(void *out, size_t n)
{
    char *at = out;
    while (n) {
        ssize_t got = getrandom(at, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        MAAS_CHECK(got > 0);
        at += got;
        n -= (size_t)got;
    }
}

/* splitmix64 spreads any seed, 0 included, over a state that is never all zero. */
void maas_rng_seed(maas_rng *r, uint64_t seed)
{
    for (size_t i = 0; i < MAAS_COUNT(r->s); i++) {
        uint64_t z = (seed += 0x9e3779b97f4a7c15u);
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        r->s[i] = z ^ z >> 31;
    }
}

static inline uint64_t rotl(uint64_t x, int k)
{
    return x << k | x >> (64 - k);
}

uint64_t maas_rng_u64(maas_rng *r)
{
    uint64_t *s = r->s, result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

/* The high half of a 64x64 product; the few low halves that would favour some results are redrawn
 * (Lemire, "Fast random integer generation in an interval", 2019). */
uint64_t maas_rng_below(maas_rng *r, uint64_t n)
{
    MAAS_CHECK(n > 0);
    uint64_t unfair = -n % n;
    unsigned __int128 product;
    do
        product = (unsigned __int128)maas_rng_u64(r) * n;
    while ((uint64_t)product < unfair);
    return (uint64_t)(product >> 64);
}

double maas_rng_unit(maas_rng *r)
{
    return (double)(maas_rng_u64(r) >> 11) * 0x1p-53;
}

float maas_rng_normal(maas_rng *r)
{
    double radius = sqrt(-2.0 * log(1.0 - maas_rng_unit(r))); /* 1 - [0,1): never log(0) */
    return (float)(radius * cos(2.0 * M_PI * maas_rng_unit(r)));
}
