/*
 * learn/forest/cells.c - all cuts of a column of few bins, in whole numbers of 16 bits.
 *
 * Most nodes of a tree are small, so what is paid once a node matters more than what is paid a row:
 * here nothing is cleared, counted or walked but bins that occur, and each of them is one short loop
 * over the classes. With a node's weight at most MAAS_CELL_WEIGHT every sum of squares fits 32 bits,
 * so all of it is exact, and what is found is what the sums in double of scan.c find.
 */
#include <math.h>

#include "learn/forest/scan.h"

#include "base/ban.h"

#define INLINE static inline __attribute__((always_inline))

_Static_assert(MAAS_CELL_WEIGHT <= INT16_MAX, "products of cells are of 16 bits with a sign");

int32_t maas_cells_lanes(int32_t n_classes)
{
    return (n_classes + 7) / 8 * 8;
}

bool maas_cells_sum(maas_grower *g, const maas_sample *s, int64_t n)
{
    uint16_t *all = (uint16_t *)g->all;
    const uint32_t stride = (uint32_t)g->d->bins->n_cols;
    const size_t lanes = (size_t)g->n_lanes;
    uint64_t w = 0;
    if (n > MAAS_CELL_WEIGHT)
        return false;
    memset(all, 0, lanes * sizeof *all);
    for (int64_t i = 0; i < n; i++) {
        const uint32_t weight = (uint32_t)(int32_t)s[i].weight;
        __builtin_prefetch(g->codes_of + s[i].row * (size_t)stride);
        g->brief[i] = (maas_brief){s[i].row * stride, (uint16_t)s[i].code, (uint16_t)weight};
        all[s[i].code] = (uint16_t)(all[s[i].code] + weight);
        w += weight;
    }
    if (w > MAAS_CELL_WEIGHT)
        return false;
    int32_t squares = 0;
    for (size_t k = 0; k < lanes; k++)
        squares += g->all[k] * g->all[k];
    for (int32_t k = 0; k < g->d->n_stats; k++)
        g->stats.s[k] = g->all[k];
    g->stats.w = (double)w;
    g->stats.squares = squares;
    g->stats.pure = (uint64_t)squares == w * w;
    return true;
}

/* The rows of the node into the cells of their codes. */
INLINE void count(maas_grower *g, const maas_stretch *st, const uint32_t lanes)
{
    const uint16_t *codes = g->codes_of + st->feature;
    const maas_brief *r = g->brief;
    uint16_t *cells = (uint16_t *)g->cells;
    uint32_t *tally = g->tally;
    for (int64_t i = 0; i < st->n; i++) {
        const uint32_t c = codes[r[i].at], w = r[i].weight;
        uint16_t *cell = &cells[c * lanes + r[i].code];
        *cell = (uint16_t)(*cell + w);
        tally[c] += w | 1u << 16;
    }
}

typedef struct sums { /* on the left of a place, as maas_running */
    int32_t q, p;
} sums;

/* A bin moves to the left, and its cells are empty again. */
INLINE sums move(int16_t *restrict left, int16_t *restrict cell, const int16_t *restrict all,
                 const int lanes)
{
    sums s = {0, 0};
#pragma GCC ivdep
    for (int k = 0; k < lanes; k++) {
        const int16_t l = (int16_t)(left[k] + cell[k]);
        left[k] = l;
        cell[k] = 0;
        s.q += l * l;
        s.p += l * all[k];
    }
    return s;
}

typedef struct place { /* the best one so far */
    double gain;
    uint32_t code, next, n_left;
} place;

INLINE void consider(const maas_grower *g, int64_t n, sums s, uint32_t tally, uint32_t code,
                     uint32_t next, place *best)
{
    const maas_grow_data *d = g->d;
    const int64_t n_left = tally >> 16;
    const double wl = tally & UINT16_MAX, wr = g->stats.w - wl;
    if (n_left < d->min_leaf || n - n_left < d->min_leaf || wl < d->min_leaf_weight ||
        wr < d->min_leaf_weight)
        return;
    const double q = s.q, p = s.p, gain = q / wl + (g->stats.squares - p - p + q) / wr;
    if (gain > best->gain)
        *best = (place){gain, code, next, (uint32_t)n_left};
}

/* Bins that occur among `n` from `first` on. */
static uint64_t occur(const uint32_t *tally, uint32_t first, uint32_t n)
{
    uint64_t bits = 0;
    for (uint32_t b = 0; b < n; b++)
        bits |= (uint64_t)(tally[first + b] != 0) << b;
    return bits;
}

/* Counts, then goes from the lowest bin up; gives how many there are. `lanes` is a constant of the
 * caller. */
INLINE int walk(maas_grower *g, const maas_stretch *st, place *best, const int lanes)
{
    const uint32_t n_bins = g->d->bins->cols[st->feature].n;
    uint32_t left = 0, code = 0; /* of the tally; the last bin that came */
    int n_seen = 0;
    sums s = {0, 0};
    count(g, st, (uint32_t)lanes);
    memset(g->left16, 0, (size_t)lanes * sizeof *g->left16);
    for (uint32_t first = 0; first < n_bins; first += 64) {
        const uint32_t n = n_bins - first < 64 ? n_bins - first : 64;
        for (uint64_t bits = occur(g->tally, first, n); bits; bits &= bits - 1) {
            const uint32_t b = first + (uint32_t)__builtin_ctzll(bits);
            if (n_seen++)
                consider(g, st->n, s, left, code, b, best);
            s = move(g->left16, g->cells + (size_t)b * (size_t)lanes, g->all, lanes);
            left += g->tally[b];
            g->tally[b] = 0;
            code = b;
        }
    }
    return n_seen;
}

INLINE int walk_all(maas_grower *g, const maas_stretch *st, place *best)
{
    switch (g->n_lanes) {
    case 8: return walk(g, st, best, 8);
    case 16: return walk(g, st, best, 16);
    case 24: return walk(g, st, best, 24);
    case 32: return walk(g, st, best, 32);
    default: return walk(g, st, best, g->n_lanes);
    }
}

static int walk_plain(maas_grower *g, const maas_stretch *st, place *best)
{
    return walk_all(g, st, best);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static int walk_avx2(maas_grower *g, const maas_stretch *st,
                                                     place *best)
{
    return walk_all(g, st, best);
}

static int walk_here(maas_grower *g, const maas_stretch *st, place *best)
{
    return __builtin_cpu_supports("avx2") ? walk_avx2(g, st, best) : walk_plain(g, st, best);
}
#else
#define walk_here walk_plain
#endif

bool maas_scan_cells(maas_grower *g, const maas_stretch *st, maas_best *best)
{
    place found = {.gain = best->cut.gain};
    const int n_seen = walk_here(g, st, &found);
    if (found.gain > best->cut.gain) {
        best->cut = (maas_cut){
            .feature = st->feature, .code = found.code, .split = NAN, .gain = found.gain};
        best->next = found.next;
        best->gaps_seen = false;
        best->n_left = found.n_left;
    }
    return n_seen > 1;
}
