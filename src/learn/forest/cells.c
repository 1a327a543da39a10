/*
 * learn/forest/cells.c - all cuts of a column of few bins, in whole numbers of 16 bits.
 *
 * Most nodes of a tree are small, so what is paid once a node matters more than what is paid a row:
 * here nothing is cleared, counted or walked but bins that occur, and each of them is one short
 * loop over the classes. With a node's weight at most MAAS_CELL_WEIGHT every sum of squares fits 32
 * bits, so all of it is exact, and what is found is what the sums in double of scan.c find.
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

/* The rows of the node into the cells of their codes: of several columns at once, so that a row is
 * looked at once and sums of one column do not wait for each other. */
INLINE void count(maas_grower *g, const int32_t *columns, const int n, int64_t n_rows,
                  const uint32_t lanes)
{
    const uint16_t *codes = g->codes_of;
    const maas_brief *r = g->brief;
    uint16_t *cells = (uint16_t *)g->cells;
    uint32_t *tally = g->tally;
    const uint16_t *of[MAAS_CELL_COLUMNS];
    for (int j = 0; j < n; j++)
        of[j] = codes + columns[j];
    for (int64_t i = 0; i < n_rows; i++) {
        const uint32_t at = r[i].at, k = r[i].code, w = r[i].weight;
#pragma GCC unroll 4
        for (int j = 0; j < n; j++) {
            const uint32_t c = of[j][at] + (uint32_t)j * MAAS_NARROW;
            uint16_t *cell = &cells[c * lanes + k];
            *cell = (uint16_t)(*cell + w);
            tally[c] += w | 1u << 16;
        }
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
    const double q = s.q, r = g->stats.squares - s.p - s.p + q;
    if (maas_cut_is_worse(q, r, wl, wr, best->gain))
        return;
    const double gain = q / wl + r / wr;
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

/* From the lowest bin of a column up; gives how many there are. */
INLINE int walk(maas_grower *g, const maas_columns *c, int j, place *best, const int lanes)
{
    const uint32_t n_bins = g->d->bins->cols[c->column[j]].n;
    int16_t *cells = g->cells + (size_t)j * MAAS_NARROW * (size_t)lanes;
    uint32_t *tally = g->tally + (size_t)j * MAAS_NARROW;
    uint32_t left = 0, code = 0; /* of the tally; the last bin that came */
    int n_seen = 0;
    sums s = {0, 0};
    memset(g->left16, 0, (size_t)lanes * sizeof *g->left16);
    for (uint32_t first = 0; first < n_bins; first += 64) {
        const uint32_t n = n_bins - first < 64 ? n_bins - first : 64;
        for (uint64_t bits = occur(tally, first, n); bits; bits &= bits - 1) {
            const uint32_t b = first + (uint32_t)__builtin_ctzll(bits);
            if (n_seen++)
                consider(g, c->n_rows, s, left, code, b, best);
            s = move(g->left16, cells + (size_t)b * (size_t)lanes, g->all, lanes);
            left += tally[b];
            tally[b] = 0;
            code = b;
        }
    }
    return n_seen;
}

void maas_best_keep(maas_best *best, int32_t column, double gain, uint32_t code, uint32_t next,
                    int64_t n_left)
{
    if (!(gain > best->cut.gain))
        return;
    *best = (maas_best){.cut = {.feature = column, .code = code, .split = NAN, .gain = gain},
                        .next = next,
                        .n_left = n_left};
}

/* `lanes` is a constant of the caller. */
INLINE bool scan(maas_grower *g, const maas_columns *c, maas_best *best, const int lanes)
{
    bool any = false;
    if (c->n == MAAS_CELL_COLUMNS)
        count(g, c->column, MAAS_CELL_COLUMNS, c->n_rows, (uint32_t)lanes);
    else
        count(g, c->column, c->n, c->n_rows, (uint32_t)lanes);
    for (int j = 0; j < c->n; j++) {
        place found = {.gain = best->cut.gain};
        any |= walk(g, c, j, &found, lanes) > 1;
        maas_best_keep(best, c->column[j], found.gain, found.code, found.next, found.n_left);
    }
    return any;
}

INLINE bool scan_lanes(maas_grower *g, const maas_columns *c, maas_best *best)
{
    switch (g->n_lanes) {
    case 8:
        return scan(g, c, best, 8);
    case 16:
        return scan(g, c, best, 16);
    case 32:
        return scan(g, c, best, 32);
    default:
        return scan(g, c, best, g->n_lanes);
    }
}

static bool scan_plain(maas_grower *g, const maas_columns *c, maas_best *best)
{
    return scan_lanes(g, c, best);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static bool scan_avx2(maas_grower *g, const maas_columns *c,
                                                      maas_best *best)
{
    return scan_lanes(g, c, best);
}
#endif

bool maas_scan_cells(maas_grower *g, const maas_columns *c, maas_best *best)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2"))
        return scan_avx2(g, c, best);
#endif
    return scan_plain(g, c, best);
}
