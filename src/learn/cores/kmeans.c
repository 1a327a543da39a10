/*
 * learn/cores/kmeans.c - Lloyd's iteration over all rows, or over random batches of them; the best
 * of several starts.
 *
 * A centre that loses all its rows moves to the row that is farthest from its own centre, so k
 * groups stay k groups.
 */
#include "learn/cores/cluster.h"

#include <math.h>

#include "learn/cores/linalg.h"

#include "base/ban.h"

#define PIECES   32 /* partial sums of centres: a fixed number, so threads do not change the bits */
#define PATIENCE 10 /* batches without a better smoothed inertia */

typedef struct lloyd {
    const maas_points *p;
    int64_t k, grain;
    double *centres, *next; /* [k][d] */
    double *sums;           /* [PIECES][k][d + 1] sums of rows and their number */
    double *d2;             /* [n] */
    int32_t *label, *old;   /* [n] */
    maas_nearest nearest;
} lloyd;

/* ---- means of groups ---- */

static void add_rows(void *user, int64_t from, int64_t to)
{
    lloyd *s = user;
    const int64_t d = s->p->d;
    double *sums = s->sums + from / s->grain * s->k * (d + 1);
    memset(sums, 0, (size_t)(s->k * (d + 1)) * sizeof *sums);
    for (int64_t i = from; i < to; i++) {
        double *sum = sums + s->label[i] * (d + 1);
        const double *x = s->p->x + i * d;
        for (int64_t j = 0; j < d; j++)
            sum[j] += x[j];
        sum[d]++;
    }
}

static int64_t farthest(const lloyd *s)
{
    int64_t at = 0;
    for (int64_t i = 1; i < s->p->n; i++)
        at = s->d2[i] > s->d2[at] ? i : at;
    return at;
}

/* next = the means; returns the squared shift of all centres. */
static double means(maas_work *w, lloyd *s)
{
    const int64_t d = s->p->d, step = s->k * (d + 1);
    maas_work_share(w, s->p->n, s->grain, add_rows, s);
    for (int64_t from = s->grain; from < s->p->n; from += s->grain)
        for (int64_t i = 0; i < step; i++)
            s->sums[i] += s->sums[from / s->grain * step + i];
    for (int64_t c = 0; c < s->k; c++)
        if (s->sums[c * (d + 1) + d] == 0) { /* distances are only needed where a centre moves */
            maas_nearest_all(w, &s->nearest, s->label, s->d2);
            break;
        }
    double shift = 0;
    for (int64_t c = 0; c < s->k; c++) {
        const double *sum = s->sums + c * (d + 1);
        double *to = s->next + c * d;
        if (sum[d] > 0) {
            for (int64_t j = 0; j < d; j++)
                to[j] = sum[j] / sum[d];
        } else {
            const int64_t row = farthest(s);
            memcpy(to, s->p->x + row * d, (size_t)d * sizeof *to);
            s->d2[row] = 0;
        }
        for (int64_t j = 0; j < d; j++)
            shift += (to[j] - s->centres[c * d + j]) * (to[j] - s->centres[c * d + j]);
    }
    return shift;
}

static void swap_centres(lloyd *s)
{
    double *t = s->centres;
    s->centres = s->next;
    s->next = t;
}

/* ---- all rows ---- */

static maas_status full(maas_work *w, lloyd *s, const maas_kmeans_opts *o, double enough,
                        double *out_inertia, int64_t *out_iter, maas_err *err)
{
    int64_t it = 0;
    for (double shift = INFINITY; it < o->max_iter && shift > enough; it++) {
        MAAS_TRY(maas_work_go_on(w, (double)it / (double)o->max_iter, "k-means", err));
        memcpy(s->old, s->label, (size_t)s->p->n * sizeof *s->old);
        maas_nearest_set(&s->nearest, s->centres);
        maas_nearest_all(w, &s->nearest, s->label, NULL);
        if (it && memcmp(s->old, s->label, (size_t)s->p->n * sizeof *s->old) == 0)
            break;
        shift = means(w, s);
        swap_centres(s);
    }
    maas_nearest_set(&s->nearest, s->centres);
    *out_inertia = maas_nearest_all(w, &s->nearest, s->label, s->d2);
    *out_iter = it;
    return MAAS_OK;
}

/* ---- batches ---- */

typedef struct batches {
    maas_points p; /* the rows of one batch, copied */
    maas_nearest nearest;
    int32_t *label;
    double *x, *d2, *seen; /* seen [k]: rows that a centre has had */
    double smooth, best;
    int64_t bad;
} batches;

static void draw_batch(const lloyd *s, batches *b, maas_rng *rng)
{
    for (int64_t i = 0; i < b->p.n; i++) {
        const int64_t row = (int64_t)maas_rng_below(rng, (uint64_t)s->p->n);
        memcpy(b->x + i * s->p->d, s->p->x + row * s->p->d, (size_t)s->p->d * sizeof *b->x);
    }
}

/* Each centre moves towards its rows of the batch; the more it has seen, the less. */
static void pull(const lloyd *s, batches *b)
{
    const int64_t d = s->p->d;
    for (int64_t i = 0; i < b->p.n; i++) {
        const int64_t c = b->label[i];
        const double rate = 1 / ++b->seen[c];
        for (int64_t j = 0; j < d; j++)
            s->centres[c * d + j] += rate * (b->x[i * d + j] - s->centres[c * d + j]);
    }
}

static bool still_improves(const lloyd *s, batches *b, double inertia)
{
    const double mean = inertia / (double)b->p.n;
    double weight = 2.0 * (double)b->p.n / (double)(s->p->n + 1);
    weight = weight > 1 ? 1 : weight;
    b->smooth = isnan(b->smooth) ? mean : b->smooth * (1 - weight) + mean * weight;
    if (b->smooth < b->best) {
        b->best = b->smooth;
        b->bad = 0;
    } else {
        b->bad++;
    }
    return b->bad < PATIENCE;
}

static maas_status in_batches(maas_work *w, lloyd *s, const maas_kmeans_opts *o, maas_rng *rng,
                              double *out_inertia, int64_t *out_iter, maas_err *err)
{
    batches b = {.p = {NULL, o->batch, s->p->d}, .smooth = NAN, .best = INFINITY};
    b.x = maas_work_doubles(w, o->batch, s->p->d, "rows of a batch", err);
    b.d2 = b.x ? maas_work_doubles(w, 1, o->batch + s->k, "distances", err) : NULL;
    b.label = b.d2 ? maas_work_array(w, 1, o->batch, sizeof *b.label, "labels", err) : NULL;
    if (!b.label)
        return MAAS_E_NOMEM;
    b.seen = b.d2 + o->batch;
    b.p.x = b.x;
    MAAS_TRY(maas_nearest_init(w, &b.p, s->k, &b.nearest, err));
    const int64_t steps = o->max_iter * ((s->p->n + o->batch - 1) / o->batch);
    int64_t it = 0;
    for (bool on = true; on && it < steps; it++) {
        MAAS_TRY(maas_work_go_on(w, (double)it / (double)steps, "k-means in batches", err));
        draw_batch(s, &b, rng);
        maas_nearest_set(&b.nearest, s->centres);
        const double inertia = maas_nearest_all(w, &b.nearest, b.label, b.d2);
        pull(s, &b);
        on = still_improves(s, &b, inertia);
    }
    maas_nearest_set(&s->nearest, s->centres);
    *out_inertia = maas_nearest_all(w, &s->nearest, s->label, s->d2);
    *out_iter = it;
    return MAAS_OK;
}

/* ---- the run ---- */

static double mean_variance(const maas_points *p)
{
    double sum = 0;
    for (int64_t k = 0; k < p->d; k++) {
        double mean = 0, m2 = 0;
        for (int64_t i = 0; i < p->n; i++) {
            const double x = p->x[i * p->d + k], delta = x - mean;
            mean += delta / (double)(i + 1);
            m2 += delta * (x - mean);
        }
        sum += m2 / (double)p->n;
    }
    return sum / (double)p->d;
}

static maas_status prepare(maas_work *w, const maas_points *p, const maas_kmeans_opts *o, lloyd *s,
                           maas_err *err)
{
    *s = (lloyd){.p = p, .k = o->k, .grain = (p->n + PIECES - 1) / PIECES};
    s->grain = s->grain < 256 ? 256 : s->grain;
    const int64_t pieces = (p->n + s->grain - 1) / s->grain;
    s->centres = maas_work_doubles(w, 2 * o->k, p->d, "centres", err);
    s->sums = s->centres ? maas_work_doubles(w, pieces * o->k, p->d + 1, "sums", err) : NULL;
    s->d2 = s->sums ? maas_work_doubles(w, 1, p->n, "distances", err) : NULL;
    s->label = s->d2 ? maas_work_array(w, 2, p->n, sizeof *s->label, "labels", err) : NULL;
    if (!s->label)
        return MAAS_E_NOMEM;
    s->next = s->centres + o->k * p->d;
    s->old = s->label + p->n;
    return maas_nearest_init(w, p, o->k, &s->nearest, err);
}

static maas_status one_start(maas_work *w, lloyd *s, const maas_kmeans_opts *o, maas_rng *rng,
                             double enough, maas_kmeans_fit *best, maas_err *err)
{
    double inertia;
    int64_t n_iter;
    if (o->random_start)
        maas_kmeans_random(s->p, s->k, rng, (int64_t *)s->d2, s->centres);
    else
        MAAS_TRY(maas_kmeans_plus_plus(w, s->p, s->k, rng, s->centres, err));
    if (o->batch)
        MAAS_TRY(in_batches(w, s, o, rng, &inertia, &n_iter, err));
    else
        MAAS_TRY(full(w, s, o, enough, &inertia, &n_iter, err));
    if (inertia >= best->inertia)
        return MAAS_OK;
    best->inertia = inertia;
    best->n_iter = n_iter;
    memcpy(best->label, s->label, (size_t)s->p->n * sizeof *s->label);
    memcpy(best->centres, s->centres, (size_t)(s->k * s->p->d) * sizeof *s->centres);
    return MAAS_OK;
}

maas_status maas_kmeans_run(maas_work *w, const maas_points *p, const maas_kmeans_opts *o,
                            maas_kmeans_fit *out, maas_err *err)
{
    if (o->k > p->n)
        return maas_fail(err, MAAS_E_INVALID, "%lld groups of %lld rows: fewer groups are possible",
                         (long long)o->k, (long long)p->n);
    lloyd s;
    maas_rng rng;
    maas_rng_seed(&rng, o->seed);
    MAAS_TRY(prepare(w, p, o, &s, err));
    out->inertia = INFINITY;
    const double enough = o->tol * mean_variance(p);
    for (int64_t i = 0; i < o->n_init; i++)
        MAAS_TRY(one_start(w, &s, o, &rng, enough, out, err));
    if (!isfinite(out->inertia))
        return maas_fail(err, MAAS_E_INVALID, "distances are not finite: values are too large");
    return MAAS_OK;
}
