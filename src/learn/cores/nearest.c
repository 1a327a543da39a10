/*
 * learn/cores/nearest.c - the nearest of k centres for every row, by |c|^2 - 2 x.c over a block of
 * rows at a time: one product, and a look for the least.
 */
#include "learn/cores/cluster.h"

#include "learn/cores/linalg.h"

#include "base/ban.h"

#define BLOCK  128       /* rows */
#define SCORES (1 << 17) /* of the rows at work: they stay in the second-level cache */

maas_status maas_nearest_init(maas_work *w, const maas_points *p, int64_t k, maas_nearest *out,
                              maas_err *err)
{
    *out = (maas_nearest){.p = *p, .k = k, .stride = (k + 7) / 8 * 8};
    out->outer = SCORES / out->stride / BLOCK * BLOCK;
    out->outer = out->outer < BLOCK ? BLOCK : out->outer;
    out->across = maas_work_doubles(w, p->d + 1, out->stride, "centres", err);
    out->scores = out->across ? maas_work_doubles(w, out->outer, out->stride, "distances", err)
                              : NULL;
    if (!out->scores)
        return MAAS_E_NOMEM;
    out->norms = out->across + p->d * out->stride;
    return MAAS_OK;
}

void maas_nearest_set(maas_nearest *s, const double *centres)
{
    s->centres = centres;
    for (int64_t c = 0; c < s->k; c++) {
        const double *v = centres + c * s->p.d;
        s->norms[c] = maas_dot(v, v, s->p.d);
        for (int64_t j = 0; j < s->p.d; j++)
            s->across[j * s->stride + c] = v[j];
    }
}

typedef struct search {
    const maas_nearest *s;
    int32_t *label;
    double *d2;
    int64_t from;
} search;

static void pick(void *user, int64_t from, int64_t to)
{
    const search *q = user;
    const maas_nearest *s = q->s;
    for (int64_t i = from; i < to; i++) {
        const double *z = s->scores + i * s->stride;
        int64_t best = 0;
        double least = s->norms[0] - 2 * z[0];
        for (int64_t c = 1; c < s->k; c++) {
            const double v = s->norms[c] - 2 * z[c];
            best = v < least ? c : best;
            least = v < least ? v : least;
        }
        q->label[q->from + i] = (int32_t)best;
        if (!q->d2)
            continue;
        double sum = 0; /* from the differences: exact where the short form cancels */
        const double *x = s->p.x + (q->from + i) * s->p.d, *v = s->centres + best * s->p.d;
        for (int64_t j = 0; j < s->p.d; j++)
            sum += (x[j] - v[j]) * (x[j] - v[j]);
        q->d2[q->from + i] = sum;
    }
}

double maas_nearest_all(maas_work *w, const maas_nearest *s, int32_t *label, double *d2)
{
    double sum = 0;
    for (int64_t from = 0; from < s->p.n; from += s->outer) {
        const int64_t n = s->p.n - from < s->outer ? s->p.n - from : s->outer;
        search q = {s, label, d2, from};
        maas_dgemm(w, n, s->stride, s->p.d, (maas_side){s->p.x + from * s->p.d, s->p.d, 1},
                   (maas_side){s->across, s->stride, 1}, s->scores, false);
        maas_work_share(w, n, BLOCK, pick, &q);
    }
    for (int64_t i = 0; d2 && i < s->p.n; i++)
        sum += d2[i];
    return sum;
}
