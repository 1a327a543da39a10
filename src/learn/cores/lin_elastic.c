/*
 * learn/cores/lin_elastic.c - lasso and elastic net by cyclic coordinate descent, ended by the
 * duality gap.
 *
 * Two ways to keep what a coordinate must know, x_j . residual: through the residual itself (n
 * numbers a step), or through X'X (d numbers a step) where that matrix is small and rows are many.
 */
#include "learn/cores/lin_solve.h"

#include <math.h>

#include "learn/cores/linalg.h"

#include "base/ban.h"

#define MAX_GRAM  4096 /* columns: 128 MiB */
#define GAP_EVERY 5    /* passes between two looks at the gap, which costs about a pass */

typedef struct descent {
    int64_t n, d;
    const double *x;    /* [d][n] */
    const double *y;    /* [n] */
    const double *gram; /* [d][d], or NULL: by residual */
    const double *xy;   /* [d], with gram */
    double *norm2;      /* [d] |x_j|^2 */
    double *rest;       /* [n] y - X b, or with gram [d] X'y - X'X b */
    double *b, yy, l1, l2;
    bool positive;
} descent;

static double correlation(const descent *s, int64_t j)
{
    return s->gram ? s->rest[j] : maas_dot(s->x + j * s->n, s->rest, s->n);
}

static void move(descent *s, int64_t j, double by)
{
    const int64_t n = s->gram ? s->d : s->n;
    const double *v = (s->gram ? s->gram : s->x) + j * n;
    for (int64_t i = 0; i < n; i++)
        s->rest[i] -= by * v[i];
    s->b[j] += by;
}

static double shrink(const descent *s, double v)
{
    if (s->positive)
        return v > s->l1 ? v - s->l1 : 0;
    return v > s->l1 ? v - s->l1 : v < -s->l1 ? v + s->l1 : 0;
}

/* Returns the largest change of a coordinate, in units of its column. */
static double pass(descent *s)
{
    double most = 0;
    for (int64_t j = 0; j < s->d; j++) {
        if (s->norm2[j] == 0)
            continue;
        const double old = s->b[j], all = correlation(s, j) + s->norm2[j] * old;
        const double now = shrink(s, all) / (s->norm2[j] + s->l2);
        if (now == old)
            continue;
        move(s, j, now - old);
        most = fmax(most, fabs(now - old) * sqrt(s->norm2[j]));
    }
    return most;
}

/* Primal minus dual: the dual point is the residual, shrunk until it is feasible. */
static double gap_of(const descent *s)
{
    double steepest = 0, abs_b = 0, bb = 0, b_xy = 0, b_rest = 0;
    for (int64_t j = 0; j < s->d; j++) {
        const double c = correlation(s, j), slope = c - s->l2 * s->b[j];
        steepest = fmax(steepest, s->positive ? slope : fabs(slope));
        abs_b += fabs(s->b[j]);
        bb += s->b[j] * s->b[j];
        if (s->gram) {
            b_xy += s->b[j] * s->xy[j];
            b_rest += s->b[j] * c;
        }
    }
    const double rr = s->gram ? fmax(s->yy - b_xy - b_rest, 0) : maas_dot(s->rest, s->rest, s->n);
    const double ry = s->gram ? s->yy - b_xy : maas_dot(s->rest, s->y, s->n);
    const double f = steepest > s->l1 ? s->l1 / steepest : 1;
    return 0.5 * rr * (1 + f * f) + s->l1 * abs_b - f * ry + 0.5 * s->l2 * (1 + f * f) * bb;
}

static maas_status descend(maas_work *w, descent *s, const maas_lin_opts *o, maas_lin_fit *out,
                           maas_err *err)
{
    const double enough = o->tol * s->yy;
    double gap = INFINITY;
    int64_t it = 0;
    while (it < o->max_iter && s->yy > 0) {
        MAAS_TRY(maas_work_go_on(w, (double)it / (double)o->max_iter, "coordinate descent", err));
        const double most = pass(s);
        it++;
        if (it % GAP_EVERY && most * most > enough && it < o->max_iter)
            continue;
        gap = s->l1 > 0 ? gap_of(s) : most * most; /* without a kink the dual says nothing */
        if (gap <= enough || most == 0)
            break;
    }
    out->n_iter = it > out->n_iter ? it : out->n_iter;
    if (s->yy > 0)
        out->gap = fmax(out->gap, gap / s->yy);
    return MAAS_OK;
}

/* X'X once for all targets, where it pays. */
static maas_status gram_of(maas_work *w, const maas_lin_data *p, const double *columns,
                           double **out, maas_err *err)
{
    *out = NULL;
    if (p->d > MAX_GRAM || p->n < 2 * p->d)
        return MAAS_OK;
    *out = maas_work_doubles(w, p->d, p->d, "products of columns", err);
    double *rows = *out ? maas_work_doubles(w, p->n, p->d, "centred rows", err) : NULL;
    if (!rows)
        return MAAS_E_NOMEM;
    for (int64_t k = 0; k < p->d; k++)
        for (int64_t i = 0; i < p->n; i++)
            rows[i * p->d + k] = columns[k * p->n + i];
    maas_gram(w, rows, p->n, p->d, *out);
    return MAAS_OK;
}

static void start(descent *s, const double *y, double *xy)
{
    s->y = y;
    s->yy = maas_dot(y, y, s->n);
    memset(s->b, 0, (size_t)s->d * sizeof *s->b);
    if (!s->gram) {
        memcpy(s->rest, y, (size_t)s->n * sizeof *y);
        return;
    }
    for (int64_t j = 0; j < s->d; j++)
        s->rest[j] = xy[j] = maas_dot(s->x + j * s->n, y, s->n);
}

/* Without the absolute part there is an exact answer. */
static maas_status by_ridge(maas_work *w, const maas_lin_data *p, const maas_lin_opts *o,
                            maas_lin_fit *out, maas_err *err)
{
    maas_lin_opts ridge = *o;
    double sum_w = 0;
    for (int64_t i = 0; i < p->n; i++)
        sum_w += p->w ? p->w[i] : 1;
    ridge.alpha = o->alpha * sum_w;
    out->n_iter = 1;
    out->gap = 0;
    return maas_ridge_fit(w, p, &ridge, out, err);
}

maas_status maas_elastic_fit(maas_work *w, const maas_lin_data *p, const maas_lin_opts *o,
                             maas_lin_fit *out, maas_err *err)
{
    maas_lin_centred c;
    double *gram;
    if (o->ratio == 0 && !o->positive)
        return by_ridge(w, p, o, out, err);
    MAAS_TRY(maas_lin_centre(w, p, o->intercept, true, &c, err));
    MAAS_TRY(gram_of(w, p, c.x, &gram, err));
    double *scratch = maas_work_doubles(w, 1, 2 * p->d + (gram ? p->d : p->n), "residuals", err);
    if (!scratch)
        return MAAS_E_NOMEM;
    double *xy = scratch + p->d;
    descent s = {.n = p->n, .d = p->d, .x = c.x, .gram = gram, .xy = xy, .norm2 = scratch};
    s.rest = xy + p->d;
    s.l1 = o->alpha * o->ratio * c.sum_w;
    s.l2 = o->alpha * (1 - o->ratio) * c.sum_w;
    s.positive = o->positive;
    for (int64_t j = 0; j < p->d; j++)
        s.norm2[j] = maas_dot(c.x + j * p->n, c.x + j * p->n, p->n);
    out->n_iter = 0;
    out->gap = 0;
    for (int64_t k = 0; k < p->t; k++) {
        s.b = out->coef + k * p->d;
        start(&s, c.y + k * p->n, xy);
        MAAS_TRY(descend(w, &s, o, out, err));
    }
    maas_lin_intercepts(p, &c, out);
    return MAAS_OK;
}
