/* learn/compress/ranges.c - one walk over the rows for the ends, a second for histograms. */
#include "learn/compress/ranges.h"

#include <math.h>

#include "base/mem.h"
#include "learn/compress/probe.h"
#include "base/ban.h"

enum { BINS = MAAS_RANGE_BINS, LEVELS = 255 };
const char *const maas_range_methods[] = {"minmax", "percentile", "entropy", NULL};

typedef struct watching {
    const maas_graph *g;
    const maas_vid *wanted;
    maas_range *ends;
    double *bins; /* [n][BINS] */
} watching;

static maas_status see_ends(void *user, uint32_t which, const maas_tensor *t, maas_err *err)
{
    watching *w = user;
    const float *x = t->data;
    maas_range r = w->ends[which];
    bool finite = true;
    for (int64_t i = 0, n = maas_n_elems(t); i < n; i++) {
        finite &= isfinite(x[i]) != 0;
        r.lo = x[i] < r.lo ? x[i] : r.lo;
        r.hi = x[i] > r.hi ? x[i] : r.hi;
    }
    if (!finite)
        return maas_fail(err, MAAS_E_INVALID,
                         "'%.80s' is not finite on the rows of the calibration",
                         maas_graph_at(w->g, w->wanted[which])->name);
    w->ends[which] = r;
    return MAAS_OK;
}

static maas_status see_bins(void *user, uint32_t which, const maas_tensor *t, maas_err *err)
{
    watching *w = user;
    const float *x = t->data;
    const double lo = (double)w->ends[which].lo, width = (double)w->ends[which].hi - lo;
    double *bins = w->bins + (size_t)which * BINS;
    for (int64_t i = 0, n = maas_n_elems(t); i < n && width > 0; i++) {
        const int b = (int)(((double)x[i] - lo) / width * BINS);
        bins[b < 0 ? 0 : b < BINS ? b : BINS - 1]++;
    }
    return MAAS_OK;
}

/* ---- percentile ---- */

static maas_range cut_tails(const double *bins, float lo, float hi, double percentile)
{
    double all = 0, below = 0, above = 0;
    int from = 0, to = BINS;
    for (int i = 0; i < BINS; i++)
        all += bins[i];
    const double tail = all * (1 - percentile / 100) / 2;
    while (from < BINS && below + bins[from] <= tail)
        below += bins[from++];
    while (to > from + 1 && above + bins[to - 1] <= tail)
        above += bins[--to];
    const double step = ((double)hi - (double)lo) / BINS;
    return (maas_range){(float)((double)lo + step * from), (float)((double)lo + step * to)};
}

/* ---- entropy ---- */

/* How much is lost when h[0..n) (what lies beyond it added to its last bin) is told by `levels`
 * codes: each code stands for its bins that are not empty, all alike. */
static double divergence(const double *h, int n, double beyond, int levels)
{
    double all = beyond, told = 0, sum = 0;
    for (int i = 0; i < n; i++) {
        all += h[i];
        told += h[i];
    }
    if (told <= 0)
        return INFINITY;
    for (int l = 0; l < levels; l++) {
        const int from = (int)((int64_t)l * n / levels), to = (int)((int64_t)(l + 1) * n / levels);
        double mass = 0;
        int filled = 0;
        for (int i = from; i < to; i++) {
            mass += h[i];
            filled += h[i] > 0;
        }
        for (int i = from; i < to; i++) {
            const double p = (h[i] + (i == n - 1 ? beyond : 0)) / all;
            const double q = h[i] > 0 ? mass / filled / told : 1e-9;
            sum += p > 0 ? p * log(p / q) : 0;
        }
    }
    return sum;
}

/* The number of bins from 0 that tells most. */
static int best_cut(const double *h, int levels)
{
    double beyond = 0, least = INFINITY;
    int best = BINS;
    for (int n = BINS; n >= levels; n--) {
        const double d = divergence(h, n, beyond, levels);
        if (d < least) {
            least = d;
            best = n;
        }
        beyond += h[n - 1];
    }
    return best;
}

/* Values on both sides of zero are cut at the same distance from it. */
static maas_range cut_by_entropy(const double *bins, float lo, float hi)
{
    double h[BINS] = {0};
    const float far = fmaxf(-lo, hi);
    const bool both = lo < 0 && hi > 0;
    for (int i = 0; i < BINS; i++) {
        const double at = (double)lo + ((double)hi - (double)lo) * (i + 0.5) / BINS;
        const int b = (int)(fabs(at) / (double)far * BINS);
        h[b < BINS ? b : BINS - 1] += bins[i];
    }
    h[0] = h[1]; /* zero is told exactly, however many there are: it must not outweigh the others */
    const float cut = far * (float)best_cut(h, both ? LEVELS / 2 : LEVELS) / BINS;
    return (maas_range){lo < 0 ? fmaxf(lo, -cut) : 0, hi > 0 ? fminf(hi, cut) : 0};
}

maas_range maas_range_of_histogram(const double *bins, float lo, float hi, int method,
                                   double percentile)
{
    maas_range r = {lo, hi};
    if (hi > lo && method == MAAS_RANGE_PERCENTILE)
        r = cut_tails(bins, lo, hi, percentile);
    else if (hi > lo && method == MAAS_RANGE_ENTROPY)
        r = cut_by_entropy(bins, lo, hi);
    return (maas_range){fminf(r.lo, 0), fmaxf(r.hi, 0)};
}

maas_status maas_ranges_measure(const maas_step_call *c, const maas_vid *wanted, uint32_t n,
                                maas_range *out, maas_err *err)
{
    const maas_step_spec *s = c->spec;
    watching w = {c->g, wanted, out, NULL};
    for (uint32_t i = 0; i < n; i++)
        out[i] = (maas_range){0, 0};
    MAAS_TRY(maas_calibrate(c->g, c->seen, c->job, s->rows, wanted, n, see_ends, &w, err));
    if (s->method == MAAS_RANGE_MINMAX)
        return MAAS_OK;
    AUTO_FREE double *bins = maas_calloc((size_t)n * BINS + 1, sizeof *bins);
    if (!bins)
        return maas_fail(err, MAAS_E_NOMEM, "memory for histograms");
    w.bins = bins;
    MAAS_TRY(maas_calibrate(c->g, c->seen, c->job, s->rows, wanted, n, see_bins, &w, err));
    for (uint32_t i = 0; i < n; i++)
        out[i] = maas_range_of_histogram(bins + (size_t)i * BINS, out[i].lo, out[i].hi, s->method,
                                         s->percentile);
    return MAAS_OK;
}
