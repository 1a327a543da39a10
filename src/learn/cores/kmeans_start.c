/*
 * learn/cores/kmeans_start.c - first centres. k-means++ picks each next centre with a chance that
 * grows with its squared distance to those before; of a few such candidates the one that helps most
 * is taken (greedy k-means++).
 */
#include "learn/cores/cluster.h"

#include <math.h>

#include "base/ban.h"

typedef struct spread {
    const maas_points *p;
    const double *to;  /* [d] */
    const double *old; /* [n] squared distances so far, or NULL */
    double *out;
} spread;

static void nearer(void *user, int64_t from, int64_t to)
{
    const spread *s = user;
    const int64_t d = s->p->d;
    for (int64_t i = from; i < to; i++) {
        double sum = 0;
        for (int64_t k = 0; k < d; k++) {
            const double v = s->p->x[i * d + k] - s->to[k];
            sum += v * v;
        }
        s->out[i] = s->old && s->old[i] < sum ? s->old[i] : sum;
    }
}

/* out = min(old, distance to row `to`); returns its sum. */
static double spread_to(maas_work *w, const maas_points *p, int64_t to, const double *old,
                        double *out)
{
    spread s = {p, p->x + to * p->d, old, out};
    maas_work_share(w, p->n, 4096, nearer, &s);
    double sum = 0;
    for (int64_t i = 0; i < p->n; i++)
        sum += out[i];
    return sum;
}

static int64_t draw(const double *weight, int64_t n, double total, maas_rng *rng)
{
    double left = maas_rng_unit(rng) * total;
    for (int64_t i = 0; i < n; i++) {
        left -= weight[i];
        if (left < 0 && weight[i] > 0)
            return i;
    }
    return (int64_t)maas_rng_below(rng, (uint64_t)n); /* all rows are centres already */
}

maas_status maas_kmeans_plus_plus(maas_work *w, const maas_points *p, int64_t k, maas_rng *rng,
                                  double *centres, maas_err *err)
{
    const int tries = 2 + (int)log((double)k);
    double *best = maas_work_doubles(w, 3, p->n, "distances", err);
    if (!best)
        return MAAS_E_NOMEM;
    double *now = best + p->n, *trial = now + p->n;
    int64_t at = (int64_t)maas_rng_below(rng, (uint64_t)p->n);
    double total = spread_to(w, p, at, NULL, now);
    memcpy(centres, p->x + at * p->d, (size_t)p->d * sizeof *centres);
    for (int64_t c = 1; c < k; c++) {
        MAAS_TRY(maas_work_go_on(w, 0, "first centres", err));
        double least = INFINITY;
        for (int t = 0; t < tries; t++) {
            const int64_t row = draw(now, p->n, total, rng);
            const double sum = spread_to(w, p, row, now, trial);
            if (sum < least) {
                double *swap = best;
                least = sum;
                at = row;
                best = trial;
                trial = swap;
            }
        }
        double *swap = now;
        now = best;
        best = swap;
        total = least;
        memcpy(centres + c * p->d, p->x + at * p->d, (size_t)p->d * sizeof *centres);
    }
    return MAAS_OK;
}

void maas_kmeans_random(const maas_points *p, int64_t k, maas_rng *rng, int64_t *scratch,
                        double *centres)
{
    for (int64_t i = 0; i < p->n; i++)
        scratch[i] = i;
    for (int64_t c = 0; c < k; c++) {
        const int64_t other = c + (int64_t)maas_rng_below(rng, (uint64_t)(p->n - c));
        const int64_t row = scratch[other];
        scratch[other] = scratch[c];
        scratch[c] = row;
        memcpy(centres + c * p->d, p->x + row * p->d, (size_t)p->d * sizeof *centres);
    }
}
