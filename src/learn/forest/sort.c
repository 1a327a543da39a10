/* learn/forest/sort.c - the codes of a node in order. */
#include "learn/forest/grow.h"

#include "base/ban.h"

#define FEW  24  /* below it nothing beats moving one by one */
#define SOME 600 /* below it one counting pass leaves little to move */

/* Cheap where keys are nearly in order. Equal codes keep the order of their places. */
static void insertion(uint64_t *k, int64_t n)
{
    for (int64_t i = 1; i < n; i++) {
        const uint64_t x = k[i];
        int64_t j = i;
        for (; j > 0 && k[j - 1] > x; j--)
            k[j] = k[j - 1];
        k[j] = x;
    }
}

/* Stable counting sort by 8 bits of the code. */
static void pass(const uint64_t *from, uint64_t *to, int64_t n, uint32_t low, int shift)
{
    uint32_t at[256] = {0}, sum = 0;
    for (int64_t i = 0; i < n; i++)
        at[((uint32_t)(from[i] >> 32) - low) >> shift & 255]++;
    for (int i = 0; i < 256; i++) {
        const uint32_t count = at[i];
        at[i] = sum;
        sum += count;
    }
    for (int64_t i = 0; i < n; i++)
        to[at[((uint32_t)(from[i] >> 32) - low) >> shift & 255]++] = from[i];
}

void maas_sort_codes(uint64_t *keys, uint64_t *spare, int64_t n, uint32_t low, uint32_t high)
{
    if (n <= FEW) {
        insertion(keys, n);
        return;
    }
    const int bits = high > low ? 32 - __builtin_clz(high - low) : 1;
    if (bits <= 8 || n <= SOME) {
        pass(keys, spare, n, low, bits > 8 ? bits - 8 : 0);
        memcpy(keys, spare, (size_t)n * sizeof *keys);
        if (bits > 8)
            insertion(keys, n);
        return;
    }
    pass(keys, spare, n, low, 0);
    pass(spare, keys, n, low, 8);
}
