/* learn/cores/silhouette.c - (b - a) / max(a, b) over rows: a the mean distance to one's own group,
 * b to the nearest other. Quadratic in the rows: callers give it a sample. */
#include "learn/cores/cluster.h"

#include <math.h>

#include "base/ban.h"

typedef struct silhouette {
    const maas_points *p;
    const int32_t *label;
    int32_t k;
    const double *sizes; /* [k] */
    double *sums;        /* [n][k] distances to the rows of each group */
    double *out;         /* [n] */
} silhouette;

static double distance(const double *a, const double *b, int64_t d)
{
    double sum = 0;
    for (int64_t k = 0; k < d; k++)
        sum += (a[k] - b[k]) * (a[k] - b[k]);
    return sqrt(sum);
}

static double of_row(const silhouette *s, int64_t i)
{
    double *sums = s->sums + i * s->k, other = INFINITY;
    const int64_t d = s->p->d;
    const int32_t own = s->label[i];
    for (int64_t j = 0; j < s->p->n; j++)
        if (s->label[j] >= 0)
            sums[s->label[j]] += distance(s->p->x + i * d, s->p->x + j * d, d);
    if (own < 0 || s->sizes[own] < 2)
        return 0;
    for (int32_t c = 0; c < s->k; c++)
        if (c != own && s->sizes[c] > 0)
            other = fmin(other, sums[c] / s->sizes[c]);
    const double mine = sums[own] / (s->sizes[own] - 1), most = fmax(mine, other);
    return most > 0 ? (other - mine) / most : 0;
}

static void rows(void *user, int64_t from, int64_t to)
{
    const silhouette *s = user;
    for (int64_t i = from; i < to; i++)
        s->out[i] = of_row(s, i);
}

maas_status maas_silhouette(maas_work *w, const maas_points *p, const int32_t *label, int32_t k,
                            double *out, maas_err *err)
{
    double *sizes = maas_work_doubles(w, 1, k + p->n, "silhouette", err);
    double *sums = sizes ? maas_work_doubles(w, p->n, k, "silhouette", err) : NULL;
    if (!sums)
        return MAAS_E_NOMEM;
    int64_t n = 0;
    int32_t groups = 0;
    for (int64_t i = 0; i < p->n; i++)
        if (label[i] >= 0) {
            groups += sizes[label[i]]++ == 0;
            n++;
        }
    *out = NAN;
    if (groups < 2)
        return MAAS_OK;
    silhouette s = {p, label, k, sizes, sums, sizes + k};
    maas_work_share(w, p->n, 64, rows, &s);
    double sum = 0;
    for (int64_t i = 0; i < p->n; i++)
        sum += label[i] >= 0 ? s.out[i] : 0;
    *out = sum / (double)n;
    return MAAS_OK;
}
