/* learn/forest/cut.c - which columns a node looks at, and the best cut among them. */
#include <float.h>
#include <math.h>

#include "learn/forest/scan.h"

#include "base/ban.h"

static void gather_wide(maas_grower *g, maas_stretch *st)
{
    const uint16_t *codes = g->codes_of + st->feature;
    const size_t stride = (size_t)g->d->bins->n_cols;
    uint32_t low = MAAS_BIN_MISSING, high = 0;
    for (int64_t i = 0; i < st->n; i++) {
        const uint32_t c = codes[st->s[i].row * stride];
        g->codes[i] = (uint16_t)c;
        low = c < low ? c : low;
        high = c > high ? c : high;
    }
    st->low = low;
    st->high = high;
}

/* As above, and counts the rows of each code. */
static void gather_narrow(maas_grower *g, maas_stretch *st)
{
    const uint16_t *codes = g->codes_of + st->feature;
    const size_t stride = (size_t)g->d->bins->n_cols;
    const uint32_t n_bins = g->d->bins->cols[st->feature].n;
    uint32_t *counts = g->counts;
    memset(counts, 0, n_bins * sizeof *counts);
    counts[MAAS_NARROW] = 0;
    for (int64_t i = 0; i < st->n; i++) {
        const uint32_t c = codes[st->s[i].row * stride];
        g->codes[i] = (uint16_t)c;
        counts[c < MAAS_NARROW ? c : MAAS_NARROW]++;
    }
    uint32_t low = 0, high = n_bins;
    while (low < n_bins && counts[low] == 0)
        low++;
    while (high > low && counts[high - 1] == 0)
        high--;
    st->low = low < n_bins ? low : MAAS_BIN_MISSING;
    st->high = counts[MAAS_NARROW] ? MAAS_BIN_MISSING : high - 1;
}

/* Codes of the node's rows in this column; false: all the same, there is nothing to cut. */
static bool gather(maas_grower *g, maas_stretch *st)
{
    st->narrow = g->d->bins->cols[st->feature].n <= MAAS_NARROW;
    if (st->narrow)
        gather_narrow(g, st);
    else
        gather_wide(g, st);
    return st->low < st->high;
}

/* With gaps the largest code is no value: sums of the gaps, and the largest that is one. */
static void set_gaps_apart(maas_grower *g, maas_stretch *st)
{
    const int32_t n = g->d->n_stats;
    memset(g->gaps, 0, (size_t)n * sizeof *g->gaps);
    st->w_gaps = 0;
    st->high = st->low;
    for (int64_t i = 0; i < st->n; i++) {
        if (g->codes[i] != MAAS_BIN_MISSING) {
            st->high = g->codes[i] > st->high ? g->codes[i] : st->high;
            continue;
        }
        const maas_sample *s = &st->s[i];
        st->n_gaps++;
        st->w_gaps += s->weight;
        if (g->d->is_class)
            g->gaps[s->code] += s->weight;
        else
            for (int32_t k = 0; k < n; k++)
                g->gaps[k] += s->weight * g->d->y[(size_t)s->code * (size_t)n + (size_t)k];
    }
}

/* Anywhere between the extremes, evenly in units of the column; it falls between two bins. */
static void scan_at_random(maas_grower *g, const maas_stretch *st, maas_best *best)
{
    const maas_bin_column *c = &g->d->bins->cols[st->feature];
    const double from = c->low[st->low], to = c->high[st->high];
    const double at = from + maas_rng_unit(&g->rng) * (to - from);
    uint32_t lo = st->low,
             hi = st->high; /* the last bin below or at `at`, but not the last of all */
    while (lo + 1 < hi) {
        const uint32_t middle = lo + (hi - lo) / 2;
        if (c->high[middle] <= at)
            lo = middle;
        else
            hi = middle;
    }
    if (st->low == st->high) { /* one value, and gaps */
        maas_scan_one(g, st, st->low, MAAS_BIN_MISSING, best);
        return;
    }
    maas_scan_one(g, st, lo, lo + 1, best);
    if (best->cut.feature == st->feature && at >= c->high[lo] && at < c->low[lo + 1])
        best->cut.split = at;
}

static void look_at(maas_grower *g, maas_stretch *st, maas_best *best)
{
    if (st->high == MAAS_BIN_MISSING)
        set_gaps_apart(g, st);
    if (g->d->random_cuts)
        scan_at_random(g, st, best);
    else
        maas_scan(g, st, best);
}

/* The j-th of a random order of the columns, drawn as it is asked for. */
static int32_t draw(maas_grower *g, int32_t j)
{
    const int32_t n = g->d->bins->n_cols;
    const int32_t k = j + (int32_t)maas_rng_below(&g->rng, (uint64_t)(n - j));
    const int32_t f = g->features[k];
    g->features[k] = g->features[j];
    g->features[j] = f;
    return f;
}

static bool fits_cells(const maas_grower *g, int32_t column)
{
    const maas_bin_column *c = &g->d->bins->cols[column];
    return g->in_cells && c->n <= MAAS_NARROW && !c->has_missing;
}

/* One column, all ways but cells; false: nothing to cut. */
static bool scan_column(maas_grower *g, int64_t from, int64_t to, int32_t column, maas_best *best)
{
    maas_stretch st = {.s = g->samples + from, .n = to - from, .feature = column};
    bool any = false;
    if (g->in_cells && g->light && !g->d->bins->cols[column].has_missing)
        return maas_scan_ranks(g, st.n, column, best);
    if (!g->d->random_cuts && maas_scan_whole(g, &st, best, &any))
        return any;
    any = gather(g, &st);
    if (any)
        look_at(g, &st, best);
    return any;
}

/* Looks at max_features columns, and at more while all were constant in this node. Those for cells
 * are looked at together, which keeps the order of the columns: the first of equals is the best. */
maas_cut maas_cut_find(maas_grower *g, int64_t from, int64_t to)
{
    const maas_grow_data *d = g->d;
    maas_best best = {.cut = {.feature = -1, .gain = -INFINITY}};
    maas_columns wait = {.n_rows = to - from};
    bool found = false;
    for (int32_t j = 0; j < d->bins->n_cols && (j < d->max_features || !found); j++) {
        const int32_t column = draw(g, j);
        const bool cells = fits_cells(g, column);
        if (cells)
            wait.column[wait.n++] = column;
        if (wait.n && (!cells || wait.n == MAAS_CELL_COLUMNS || j + 1 >= d->max_features ||
                       j + 1 == d->bins->n_cols)) {
            found |= maas_scan_cells(g, &wait, &best);
            wait.n = 0;
        }
        if (!cells)
            found |= scan_column(g, from, to, column, &best);
    }
    maas_cut *c = &best.cut;
    if (c->feature < 0)
        return *c;
    if (best.next == MAAS_BIN_MISSING)
        c->split = FLT_MAX; /* every number goes left, gaps right */
    else if (isnan(c->split))
        c->split = maas_bins_between(d->bins, c->feature, c->code, best.next);
    if (!best.gaps_seen) /* a gap where none was: with most of the rows */
        c->missing_left = best.n_left > to - from - best.n_left;
    return *c;
}
