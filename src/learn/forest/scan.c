/*
 * learn/forest/scan.c - rows move from the right side of a cut to the left, one after the other,
 * and at each change of the code the two sides are scored.
 *
 * The three kinds of sums are written once, with `kind` a constant of the caller, so that each
 * compiles to a loop of its own.
 */
#include "learn/forest/scan.h"

#include <math.h>

#include "base/ban.h"

#define INLINE static inline __attribute__((always_inline))

enum { GINI, ENTROPY, NUMBERS, N_KINDS };

/* x log2 x; whole numbers of rows are the usual case and come from a table. */
INLINE double xlogx(maas_grower *g, double x)
{
    if (x >= 0 && x < MAAS_N_LOGS && x == (double)(int)x)
        return g->logs[(int)x];
    return x > 0 ? x * log2(x) : 0;
}

INLINE void move_class(maas_grower *g, maas_running *r, uint32_t k, double w, int kind)
{
    const double l = g->left[k], all = g->stats.s[k];
    if (kind == GINI) {
        r->q += w * (l + l + w);
        r->p += w * all;
    } else {
        r->q += xlogx(g, l + w) - xlogx(g, l);
        r->p += xlogx(g, all - l - w) - xlogx(g, all - l);
    }
    g->left[k] = l + w;
}

INLINE void move_row(maas_grower *g, maas_running *r, uint32_t code, double w, int kind)
{
    const int32_t n = g->d->n_stats;
    r->wl += w;
    if (kind != NUMBERS) {
        move_class(g, r, code, w, kind);
        return;
    }
    const double *y = g->d->y + (size_t)code * (size_t)n;
    for (int32_t k = 0; k < n; k++)
        g->left[k] += w * y[k];
}

/* A bin of the histogram: sums of its rows, their number; of numbers also their weight. */
INLINE void move_bin(maas_grower *g, maas_running *r, const double *h, int kind)
{
    const int32_t n = g->d->n_stats;
    double *left = g->left, q = 0, p = 0;
    const double *all = g->stats.s;
    double w = 0;
    r->nl += (int64_t)h[n];
    if (kind == ENTROPY) {
        for (int32_t k = 0; k < n; k++)
            if (h[k] != 0) {
                r->wl += h[k];
                move_class(g, r, (uint32_t)k, h[k], kind);
            }
        return;
    }
#pragma omp simd reduction(+ : q, p, w)
    for (int32_t k = 0; k < n; k++) {
        const double l = left[k] + h[k];
        left[k] = l;
        q += l * l;
        p += l * all[k];
        w += h[k];
    }
    r->wl += kind == NUMBERS ? h[n + 1] : w;
    r->q = q;
    r->p = p;
}

/* Larger is better. */
INLINE double score(maas_grower *g, const maas_running *r, double wr, int kind)
{
    double q = r->q, p = r->p;
    if (kind == ENTROPY)
        return q - xlogx(g, r->wl) + (p - xlogx(g, wr));
    if (kind == NUMBERS) {
        q = p = 0;
        for (int32_t k = 0; k < g->d->n_stats; k++) {
            q += g->left[k] * g->left[k];
            p += g->left[k] * g->stats.s[k];
        }
    }
    return q / r->wl + (g->stats.squares - p - p + q) / wr;
}

INLINE void consider(maas_grower *g, const maas_stretch *st, const maas_running *r, uint32_t code,
                     uint32_t next, bool gaps_left, maas_best *best, int kind)
{
    const maas_grow_data *d = g->d;
    const double wr = g->stats.w - r->wl;
    if (r->nl < d->min_leaf || st->n - r->nl < d->min_leaf || !(wr > 0) ||
        r->wl < d->min_leaf_weight || wr < d->min_leaf_weight)
        return;
    const double gain = score(g, r, wr, kind);
    if (!(gain > best->cut.gain))
        return;
    best->cut = (maas_cut){.feature = st->feature,
                           .code = code,
                           .missing_left = gaps_left,
                           .split = NAN,
                           .gain = gain};
    best->next = next;
    best->gaps_seen = st->n_gaps > 0;
    best->n_left = r->nl;
}

/* Gaps begin on the left, or stay on the right. */
INLINE void start(maas_grower *g, const maas_stretch *st, bool gaps_left, maas_running *r, int kind)
{
    const int32_t n = g->d->n_stats;
    const double *all = g->stats.s;
    *r = (maas_running){.wl = gaps_left ? st->w_gaps : 0, .nl = gaps_left ? st->n_gaps : 0};
    if (gaps_left)
        memcpy(g->left, g->gaps, (size_t)n * sizeof *g->left);
    else
        memset(g->left, 0, (size_t)n * sizeof *g->left);
    for (int32_t k = 0; kind == ENTROPY && k < n; k++) {
        r->q += xlogx(g, g->left[k]);
        r->p += xlogx(g, all[k] - g->left[k]);
    }
    for (int32_t k = 0; kind != ENTROPY && gaps_left && k < n; k++) {
        r->q += g->left[k] * g->left[k];
        r->p += g->left[k] * all[k];
    }
}

/* ---- rows in order: sorted ---- */

/* The lower half of a key: class and weight where both are small, else the place of the row. */
INLINE void move_key(maas_grower *g, const maas_stretch *st, maas_running *r, uint32_t low,
                     bool packed, int kind)
{
    if (packed)
        move_row(g, r, low >> 16, low & UINT16_MAX, kind);
    else
        move_row(g, r, st->s[low].code, st->s[low].weight, kind);
    r->nl++;
}

INLINE void walk_keys(maas_grower *g, const maas_stretch *st, int64_t n, bool gaps_left,
                      maas_best *best, bool packed, int kind)
{
    const uint64_t *keys = g->keys;
    maas_running r;
    start(g, st, gaps_left, &r, kind);
    for (int64_t i = 0; i + 1 < n; i++) {
        const uint32_t code = (uint32_t)(keys[i] >> 32), next = (uint32_t)(keys[i + 1] >> 32);
        move_key(g, st, &r, (uint32_t)keys[i], packed, kind);
        if (code != next)
            consider(g, st, &r, code, next, gaps_left, best, kind);
    }
    if (st->n_gaps && !gaps_left) {
        move_key(g, st, &r, (uint32_t)keys[n - 1], packed, kind);
        consider(g, st, &r, (uint32_t)(keys[n - 1] >> 32), MAAS_BIN_MISSING, false, best, kind);
    }
}

INLINE void sort_and_walk(maas_grower *g, const maas_stretch *st, maas_best *best, bool packed,
                          int kind)
{
    const maas_sample *s = st->s;
    int64_t n = 0;
    for (int64_t i = 0; i < st->n; i++) {
        const uint64_t low = packed ? s[i].code << 16 | (uint32_t)s[i].weight : (uint32_t)i;
        g->keys[n] = (uint64_t)g->codes[i] << 32 | low;
        n += g->codes[i] != MAAS_BIN_MISSING;
    }
    maas_sort_codes(g->keys, g->keys2, n, st->low, st->high);
    walk_keys(g, st, n, false, best, packed, kind);
    if (st->n_gaps)
        walk_keys(g, st, n, true, best, packed, kind);
}

INLINE void scan_keys(maas_grower *g, const maas_stretch *st, maas_best *best, int kind)
{
    if (kind != NUMBERS && g->packed)
        sort_and_walk(g, st, best, true, kind);
    else
        sort_and_walk(g, st, best, false, kind);
}

/* ---- rows in order: dealt into the few codes there are ---- */

typedef struct dealt { /* what a walk needs of a row */
    uint32_t code;
    float weight;
} dealt;
_Static_assert(sizeof(dealt) == sizeof(uint64_t), "lies in the memory of the keys");

INLINE void walk_dealt(maas_grower *g, const maas_stretch *st, bool gaps_left, maas_best *best,
                       int kind)
{
    const dealt *x = (const dealt *)g->keys;
    maas_running r;
    start(g, st, gaps_left, &r, kind);
    for (uint32_t c = st->low, next; c <= st->high; c = next) {
        for (uint32_t i = 0; i < g->counts[c]; i++, x++)
            move_row(g, &r, x->code, x->weight, kind);
        r.nl += g->counts[c];
        for (next = c + 1; next <= st->high && g->counts[next] == 0; next++) {
        }
        if (next <= st->high)
            consider(g, st, &r, c, next, gaps_left, best, kind);
        else if (st->n_gaps && !gaps_left)
            consider(g, st, &r, c, MAAS_BIN_MISSING, false, best, kind);
    }
}

INLINE void scan_dealt(maas_grower *g, const maas_stretch *st, maas_best *best, int kind)
{
    uint32_t at[MAAS_NARROW], sum = 0;
    for (uint32_t c = st->low; c <= st->high; c++) {
        at[c] = sum;
        sum += g->counts[c];
    }
    dealt *out = (dealt *)g->keys;
    for (int64_t i = 0; i < st->n; i++)
        if (g->codes[i] < MAAS_NARROW)
            out[at[g->codes[i]]++] = (dealt){st->s[i].code, st->s[i].weight};
    walk_dealt(g, st, false, best, kind);
    if (st->n_gaps)
        walk_dealt(g, st, true, best, kind);
}

/* ---- bins ---- */

INLINE size_t width_of(const maas_grow_data *d, int kind)
{
    return (size_t)d->n_stats + (kind == NUMBERS ? 2 : 1);
}

INLINE void add_to_bin(const maas_grow_data *d, double *h, const maas_sample *s, int kind)
{
    const size_t n = (size_t)d->n_stats;
    h[n] += 1;
    if (kind != NUMBERS) {
        h[s->code] += s->weight;
        return;
    }
    h[n + 1] += s->weight;
    for (size_t k = 0; k < n; k++)
        h[k] += s->weight * d->y[s->code * n + k];
}

INLINE void walk_bins(maas_grower *g, const maas_stretch *st, bool gaps_left, maas_best *best,
                      int kind)
{
    const uint32_t n_bins = st->high - st->low + 1;
    const size_t n = (size_t)g->d->n_stats, width = width_of(g->d, kind);
    maas_running r;
    start(g, st, gaps_left, &r, kind);
    for (uint32_t b = 0, next; b < n_bins; b = next) {
        move_bin(g, &r, g->hist + b * width, kind);
        for (next = b + 1; next < n_bins && g->hist[next * width + n] == 0; next++) {
        }
        if (next < n_bins)
            consider(g, st, &r, st->low + b, st->low + next, gaps_left, best, kind);
        else if (st->n_gaps && !gaps_left)
            consider(g, st, &r, st->low + b, MAAS_BIN_MISSING, false, best, kind);
    }
}

INLINE void scan_bins(maas_grower *g, const maas_stretch *st, maas_best *best, int kind)
{
    const size_t width = width_of(g->d, kind);
    memset(g->hist, 0, (size_t)(st->high - st->low + 1) * width * sizeof *g->hist);
    for (int64_t i = 0; i < st->n; i++)
        if (g->codes[i] != MAAS_BIN_MISSING)
            add_to_bin(g->d, g->hist + (size_t)(g->codes[i] - st->low) * width, &st->s[i], kind);
    walk_bins(g, st, false, best, kind);
    if (st->n_gaps)
        walk_bins(g, st, true, best, kind);
}

/* A column of few bins and no gaps: its histogram in one go. False: all rows are in one bin. */
INLINE bool scan_whole(maas_grower *g, maas_stretch *st, maas_best *best, int kind)
{
    const maas_bins *b = g->d->bins;
    const uint16_t *codes = g->codes_of + st->feature;
    const size_t width = width_of(g->d, kind), n = (size_t)g->d->n_stats,
                 stride = (size_t)b->n_cols;
    const uint32_t n_bins = b->cols[st->feature].n;
    memset(g->hist, 0, n_bins * width * sizeof *g->hist);
    for (int64_t i = 0; i < st->n; i++)
        add_to_bin(g->d, g->hist + codes[st->s[i].row * stride] * width, &st->s[i], kind);
    st->low = 0;
    st->high = n_bins - 1;
    while (g->hist[st->low * width + n] == 0)
        st->low++;
    while (g->hist[st->high * width + n] == 0)
        st->high--;
    if (st->low == st->high)
        return false;
    if (st->low)
        memmove(g->hist, g->hist + st->low * width,
                (st->high - st->low + 1) * width * sizeof *g->hist);
    walk_bins(g, st, false, best, kind);
    return true;
}

/* ---- one place ---- */

INLINE void scan_place(maas_grower *g, const maas_stretch *st, uint32_t code, uint32_t next,
                       bool gaps_left, maas_best *best, int kind)
{
    maas_running r;
    start(g, st, gaps_left, &r, kind);
    for (int64_t i = 0; i < st->n; i++)
        if (g->codes[i] <= code) {
            move_row(g, &r, st->s[i].code, st->s[i].weight, kind);
            r.nl++;
        }
    consider(g, st, &r, code, next, gaps_left, best, kind);
}

#define KIND(name, kind)                                                                           \
    static void keys_##name(maas_grower *g, const maas_stretch *st, maas_best *best)               \
    {                                                                                              \
        scan_keys(g, st, best, kind);                                                              \
    }                                                                                              \
    static void dealt_##name(maas_grower *g, const maas_stretch *st, maas_best *best)              \
    {                                                                                              \
        scan_dealt(g, st, best, kind);                                                             \
    }                                                                                              \
    static void bins_##name(maas_grower *g, const maas_stretch *st, maas_best *best)               \
    {                                                                                              \
        scan_bins(g, st, best, kind);                                                              \
    }                                                                                              \
    static bool whole_##name(maas_grower *g, maas_stretch *st, maas_best *best)                    \
    {                                                                                              \
        return scan_whole(g, st, best, kind);                                                      \
    }                                                                                              \
    static void place_##name(maas_grower *g, const maas_stretch *st, uint32_t code, uint32_t next, \
                             bool gaps_left, maas_best *best)                                      \
    {                                                                                              \
        scan_place(g, st, code, next, gaps_left, best, kind);                                      \
    }
KIND(gini, GINI)
KIND(entropy, ENTROPY)
KIND(numbers, NUMBERS)
#undef KIND

static const struct {
    void (*keys)(maas_grower *g, const maas_stretch *st, maas_best *best);
    void (*dealt)(maas_grower *g, const maas_stretch *st, maas_best *best);
    void (*bins)(maas_grower *g, const maas_stretch *st, maas_best *best);
    bool (*whole)(maas_grower *g, maas_stretch *st, maas_best *best);
    void (*place)(maas_grower *g, const maas_stretch *st, uint32_t code, uint32_t next,
                  bool gaps_left, maas_best *best);
} kinds[N_KINDS] = {
    [GINI] = {keys_gini, dealt_gini, bins_gini, whole_gini, place_gini},
    [ENTROPY] = {keys_entropy, dealt_entropy, bins_entropy, whole_entropy, place_entropy},
    [NUMBERS] = {keys_numbers, dealt_numbers, bins_numbers, whole_numbers, place_numbers},
};

static int kind_of(const maas_grow_data *d)
{
    return !d->is_class ? NUMBERS : d->entropy ? ENTROPY : GINI;
}

/* A histogram is less work than walking the rows when it has at most twice as many cells. */
static bool fits(const maas_grower *g, const maas_stretch *st, int64_t n_bins)
{
    const int64_t cells = n_bins * (g->d->n_stats + 2);
    return cells <= 2 * st->n && cells <= g->n_hist;
}

bool maas_scan_whole(maas_grower *g, maas_stretch *st, maas_best *best, bool *out_any)
{
    const maas_bin_column *c = &g->d->bins->cols[st->feature];
    if (c->n == 0 || c->n > MAAS_NARROW || c->has_missing || !fits(g, st, c->n))
        return false;
    *out_any = kinds[kind_of(g->d)].whole(g, st, best);
    return true;
}

void maas_scan(maas_grower *g, const maas_stretch *st, maas_best *best)
{
    const int kind = kind_of(g->d);
    if (fits(g, st, st->high - st->low + 1))
        kinds[kind].bins(g, st, best);
    else if (st->narrow)
        kinds[kind].dealt(g, st, best);
    else
        kinds[kind].keys(g, st, best);
}

void maas_scan_one(maas_grower *g, const maas_stretch *st, uint32_t code, uint32_t next,
                   maas_best *best)
{
    const int kind = kind_of(g->d);
    kinds[kind].place(g, st, code, next, false, best);
    if (st->n_gaps)
        kinds[kind].place(g, st, code, next, true, best);
}
