/*
 * learn/forest/ranks.c - all cuts of a column of many bins, in whole numbers: the rows in the order
 * of their codes, one after the other. For the nodes that cells.c counts, and as exact.
 *
 * Code, class and weight of a row are one number of 32 bits, so that sorting moves little. The
 * order of rows with equal codes does not matter: sums are looked at where the code changes.
 */
#include <math.h>

#include "learn/forest/scan.h"

#include "base/ban.h"

enum { WEIGHT_BITS = 9, FEW = 16, SOME = 400 };

_Static_assert(MAAS_RANK_WEIGHT < 1 << WEIGHT_BITS, "a weight in its bits");
_Static_assert(MAAS_CELL_CLASSES <= 1 << (16 - WEIGHT_BITS), "a class in the others");

static void insertion(uint32_t *k, int64_t n)
{
    for (int64_t i = 1; i < n; i++) {
        const uint32_t x = k[i];
        int64_t j = i;
        for (; j > 0 && k[j - 1] > x; j--)
            k[j] = k[j - 1];
        k[j] = x;
    }
}

/* Stable counting sort by `bits` bits of code - low. */
static void pass(const uint32_t *from, uint32_t *to, uint32_t *at, int64_t n, uint32_t low,
                 int shift, int bits)
{
    const uint32_t size = 1u << bits;
    memset(at, 0, size * sizeof *at);
    for (int64_t i = 0; i < n; i++)
        at[((from[i] >> 16) - low) >> shift & (size - 1)]++;
    for (uint32_t i = 0, sum = 0; i < size; i++) {
        const uint32_t count = at[i];
        at[i] = sum;
        sum += count;
    }
    for (int64_t i = 0; i < n; i++)
        to[at[((from[i] >> 16) - low) >> shift & (size - 1)]++] = from[i];
}

/* By as many of the upper bits as there are rows. What is left is little where codes lie about
 * evenly, and is moved row by row; of many rows it is a pass of its own, so that no column makes
 * this quadratic. Gives where the sorted keys are. */
static uint32_t *sort(uint32_t *keys, uint32_t *spare, uint32_t *at, int64_t n, uint32_t low,
                      uint32_t high)
{
    if (n <= FEW) {
        insertion(keys, n);
        return keys;
    }
    const int range = 32 - __builtin_clz(high - low); /* > 0: there are two codes */
    int bits = 64 - __builtin_clzll((uint64_t)n);
    bits = bits > MAAS_RANK_BITS ? MAAS_RANK_BITS : bits;
    bits = bits > range ? range : bits;
    const int rest = range - bits;
    if (rest && n > SOME) {
        pass(keys, spare, at, n, low, 0, rest);
        pass(spare, keys, at, n, low, rest, bits);
        return keys;
    }
    pass(keys, spare, at, n, low, rest, bits);
    if (rest)
        insertion(spare, n);
    return spare;
}

typedef struct place {
    double gain;
    uint32_t code, next;
    int64_t n_left;
} place;

static void walk(maas_grower *g, const uint32_t *keys, int64_t n, place *best)
{
    const maas_grow_data *d = g->d;
    const double w_all = g->stats.w, squares = g->stats.squares;
    int16_t *left = g->left16;
    int32_t q = 0, p = 0, wl = 0;
    memset(left, 0, (size_t)g->n_lanes * sizeof *left);
    for (int64_t i = 0; i + 1 < n; i++) {
        const uint32_t key = keys[i], next = keys[i + 1] >> 16;
        const uint32_t k = (key & UINT16_MAX) >> WEIGHT_BITS;
        const int32_t w = (int32_t)(key & ((1u << WEIGHT_BITS) - 1)), l = left[k];
        q += w * (2 * l + w);
        p += w * g->all[k];
        wl += w;
        left[k] = (int16_t)(l + w);
        if (key >> 16 == next || i + 1 < d->min_leaf || n - i - 1 < d->min_leaf)
            continue;
        const double l_weight = wl, r_weight = w_all - l_weight;
        if (l_weight < d->min_leaf_weight || r_weight < d->min_leaf_weight)
            continue;
        const double x = q, r = squares - p - p + x;
        if (maas_cut_is_worse(x, r, l_weight, r_weight, best->gain))
            continue;
        const double gain = x / l_weight + r / r_weight;
        if (gain > best->gain)
            *best = (place){gain, key >> 16, next, i + 1};
    }
}

bool maas_scan_ranks(maas_grower *g, int64_t n, int32_t column, maas_best *best)
{
    const uint16_t *codes = g->codes_of + column;
    const maas_brief *r = g->brief;
    uint32_t *keys = (uint32_t *)g->keys, low = UINT32_MAX, high = 0;
    for (int64_t i = 0; i < n; i++) {
        const uint32_t c = codes[r[i].at];
        keys[i] = c << 16 | (uint32_t)r[i].code << WEIGHT_BITS | r[i].weight;
        low = c < low ? c : low;
        high = c > high ? c : high;
    }
    if (low == high)
        return false;
    place found = {.gain = best->cut.gain};
    walk(g, sort(keys, (uint32_t *)g->keys2, g->buckets, n, low, high), n, &found);
    maas_best_keep(best, column, found.gain, found.code, found.next, found.n_left);
    return true;
}
