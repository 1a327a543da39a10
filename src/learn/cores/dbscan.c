/*
 * learn/cores/dbscan.c - groups of rows that are dense: every pair of rows within eps is looked at,
 * by blocks of products; core rows that see each other are joined in a forest of sets.
 *
 * |x|^2 + |y|^2 - 2 x.y cancels for close rows far from 0: rows are centred first, and a pair that
 * is too close to eps to call is measured by its differences.
 */
#include "learn/cores/cluster.h"

#include <math.h>

#include "learn/cores/linalg.h"

#include "base/ban.h"

#define BLOCK 512
#define DOUBT 1e-11 /* of the squared norms: the short form is less exact than this */

typedef struct scan {
    maas_points p; /* centred copy */
    double eps2;
    double *norms, *dots; /* [n], [BLOCK][n of a block of columns] */
    double *across;       /* [d][BLOCK] */
    int64_t *parent;      /* of a core row's set */
    int32_t *counts, *label;
    bool *core;
} scan;

static bool near(const scan *s, int64_t i, int64_t j, double dot)
{
    const double d2 = s->norms[i] + s->norms[j] - 2 * dot;
    const double doubt = DOUBT * (s->norms[i] + s->norms[j]);
    if (fabs(d2 - s->eps2) > doubt)
        return d2 <= s->eps2;
    double sum = 0;
    const double *a = s->p.x + i * s->p.d, *b = s->p.x + j * s->p.d;
    for (int64_t k = 0; k < s->p.d; k++)
        sum += (a[k] - b[k]) * (a[k] - b[k]);
    return sum <= s->eps2;
}

/* The lowest row of the set stands for it: groups come out in the order of their first row. */
static int64_t root(scan *s, int64_t i)
{
    while (s->parent[i] != i) {
        s->parent[i] = s->parent[s->parent[i]];
        i = s->parent[i];
    }
    return i;
}

static void count_pair(scan *s, int64_t i, int64_t j)
{
    s->counts[i]++;
    s->counts[j] += i != j;
}

static void join_pair(scan *s, int64_t i, int64_t j)
{
    if (!s->core[i] || !s->core[j])
        return;
    const int64_t a = root(s, i), b = root(s, j);
    if (a < b)
        s->parent[b] = a;
    else
        s->parent[a] = b;
}

static void claim(scan *s, int64_t core, int64_t border)
{
    const int32_t group = s->label[core];
    if (s->label[border] < 0 || group < s->label[border])
        s->label[border] = group;
}

static void border_pair(scan *s, int64_t i, int64_t j)
{
    if (s->core[i] && !s->core[j])
        claim(s, i, j);
    else if (s->core[j] && !s->core[i])
        claim(s, j, i);
}

/* fn for every pair i <= j within eps. */
static maas_status each_pair(maas_work *w, scan *s, void (*fn)(scan *, int64_t, int64_t),
                             double done, maas_err *err)
{
    const int64_t n = s->p.n, d = s->p.d;
    for (int64_t i0 = 0; i0 < n; i0 += BLOCK) {
        const int64_t ni = n - i0 < BLOCK ? n - i0 : BLOCK;
        const double left = (double)(n - i0) / (double)n;
        MAAS_TRY(maas_work_go_on(w, done + (1 - left * left) / 3, "neighbours", err));
        for (int64_t j0 = i0; j0 < n; j0 += BLOCK) {
            const int64_t nj = n - j0 < BLOCK ? n - j0 : BLOCK;
            for (int64_t j = 0; j < nj; j++)
                for (int64_t k = 0; k < d; k++)
                    s->across[k * nj + j] = s->p.x[(j0 + j) * d + k];
            maas_dgemm(w, ni, nj, d, (maas_side){s->p.x + i0 * d, d, 1},
                       (maas_side){s->across, nj, 1}, s->dots, false);
            for (int64_t i = 0; i < ni; i++)
                for (int64_t j = i0 == j0 ? i : 0; j < nj; j++)
                    if (near(s, i0 + i, j0 + j, s->dots[i * nj + j]))
                        fn(s, i0 + i, j0 + j);
        }
    }
    return MAAS_OK;
}

static maas_status prepare(maas_work *w, const maas_points *p, double eps, scan *s, maas_err *err)
{
    const int64_t n = p->n, d = p->d;
    double *x = maas_work_doubles(w, n, d, "centred rows", err);
    s->norms = x ? maas_work_doubles(w, 1, n + d, "norms", err) : NULL;
    s->dots = s->norms ? maas_work_doubles(w, BLOCK, BLOCK, "products", err) : NULL;
    s->across = s->dots ? maas_work_doubles(w, d, BLOCK, "columns", err) : NULL;
    s->parent = s->across ? maas_work_array(w, 1, n, sizeof *s->parent, "sets", err) : NULL;
    s->counts = s->parent ? maas_work_array(w, 1, n, sizeof *s->counts, "counts", err) : NULL;
    if (!s->counts)
        return MAAS_E_NOMEM;
    double *mean = s->norms + n;
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < d; k++)
            mean[k] += p->x[i * d + k] / (double)n;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = 0; k < d; k++)
            x[i * d + k] = p->x[i * d + k] - mean[k];
        s->norms[i] = maas_dot(x + i * d, x + i * d, d);
        s->parent[i] = i;
    }
    s->p = (maas_points){x, n, d};
    s->eps2 = eps * eps;
    return MAAS_OK;
}

static int32_t number_groups(scan *s)
{
    int32_t groups = 0;
    for (int64_t i = 0; i < s->p.n; i++)
        if (s->core[i]) {
            const int64_t first = root(s, i);
            s->label[i] = first == i ? groups++ : s->label[first];
        } else {
            s->label[i] = -1;
        }
    return groups;
}

maas_status maas_dbscan_run(maas_work *w, const maas_points *p, double eps, int64_t min_samples,
                            int32_t *label, bool *core, int32_t *out_n_groups, maas_err *err)
{
    scan s = {.label = label, .core = core};
    MAAS_TRY(prepare(w, p, eps, &s, err));
    MAAS_TRY(each_pair(w, &s, count_pair, 0, err));
    for (int64_t i = 0; i < p->n; i++)
        core[i] = s.counts[i] >= min_samples;
    MAAS_TRY(each_pair(w, &s, join_pair, 1.0 / 3, err));
    *out_n_groups = number_groups(&s);
    return each_pair(w, &s, border_pair, 2.0 / 3, err);
}
