/*
 * learn/cores/lin_logit.c - the loss of logistic regression and its gradient, block by block of
 * rows, for the descent.
 *
 * Parameters lie as [rows][d] weights, then [rows] intercepts. Columns of very different size are
 * no trouble: the first metric of the descent is each weight's own curvature at 0.
 */
#include "learn/cores/lin_logit.h"

#include <math.h>

#include "learn/cores/linalg.h"

#include "base/ban.h"

#define BLOCK 1024 /* rows whose scores are in cache together */

typedef struct logit {
    maas_work *work;
    const maas_logit_data *p;
    const maas_logit_opts *o;
    int64_t rows; /* of weights */
    double sum_w;
    double *across; /* [d][rows] the weights, transposed for the product */
    double *z;      /* [BLOCK][rows] scores, then derivatives */
} logit;

static double weight_of(const maas_logit_data *p, int64_t i)
{
    return p->w ? p->w[i] : 1;
}

/* log(1 + exp(-m)) without overflow */
static double soft_loss(double m)
{
    return m > 0 ? log1p(exp(-m)) : log1p(exp(m)) - m;
}

static double binary_row(double *z, int32_t code, double w)
{
    const double sign = code ? 1 : -1, loss = soft_loss(sign * z[0]);
    z[0] = -w * sign / (1 + exp(sign * z[0]));
    return w * loss;
}

static double softmax_row(double *z, int64_t k, int32_t code, double w)
{
    double top = z[0], sum = 0;
    for (int64_t c = 1; c < k; c++)
        top = fmax(top, z[c]);
    for (int64_t c = 0; c < k; c++)
        sum += exp(z[c] - top);
    const double loss = log(sum) + top - z[code];
    for (int64_t c = 0; c < k; c++)
        z[c] = w * (exp(z[c] - top) / sum - (c == code));
    return w * loss;
}

static double block(logit *s, int64_t from, int64_t n, const double *x, double *g)
{
    const maas_logit_data *p = s->p;
    const int64_t r = s->rows, d = p->d;
    double loss = 0, *intercepts = g + r * d;
    const double *rows = p->x + from * d;
    maas_dgemm(s->work, n, r, d, (maas_side){rows, d, 1}, (maas_side){s->across, r, 1}, s->z,
               false);
    for (int64_t i = 0; i < n; i++) {
        double *z = s->z + i * r;
        const double w = weight_of(p, from + i) / s->sum_w;
        for (int64_t c = 0; c < r; c++)
            z[c] += x[r * d + c];
        loss += r == 1 ? binary_row(z, p->codes[from + i], w)
                       : softmax_row(z, r, p->codes[from + i], w);
        for (int64_t c = 0; s->o->intercept && c < r; c++)
            intercepts[c] += z[c];
    }
    maas_dgemm(s->work, r, d, n, (maas_side){s->z, 1, r}, (maas_side){rows, d, 1}, g, true);
    return loss;
}

static maas_status at(void *user, const double *x, double *out_f, double *g, maas_err *err)
{
    (void)err;
    logit *s = user;
    const maas_logit_data *p = s->p;
    const int64_t r = s->rows, d = p->d;
    memset(g, 0, (size_t)(r * (d + 1)) * sizeof *g);
    for (int64_t c = 0; c < r; c++)
        for (int64_t k = 0; k < d; k++)
            s->across[k * r + c] = x[c * d + k];
    double f = 0;
    for (int64_t i = 0; i < p->n; i += BLOCK)
        f += block(s, i, p->n - i < BLOCK ? p->n - i : BLOCK, x, g);
    const double l2 = s->o->inverse_c * (1 - s->o->ratio) / s->sum_w;
    f += 0.5 * l2 * maas_dot(x, x, r * d);
    for (int64_t i = 0; i < r * d; i++)
        g[i] += l2 * x[i];
    *out_f = f;
    return MAAS_OK;
}

/* Second derivatives at 0: p (1 - p) mean x_j^2, the same for every row of weights. */
static void curvatures(const logit *s, double *out)
{
    const maas_logit_data *p = s->p;
    const double share = s->rows == 1 ? 0.5 : 1 / (double)s->rows, half = share * (1 - share);
    const double l2 = s->o->inverse_c * (1 - s->o->ratio) / s->sum_w;
    for (int64_t i = 0; i < p->n; i++)
        for (int64_t k = 0; k < p->d; k++)
            out[k] += weight_of(p, i) / s->sum_w * p->x[i * p->d + k] * p->x[i * p->d + k];
    for (int64_t k = 0; k < p->d; k++) {
        out[k] = half * out[k] + l2;
        out[k] = out[k] > 0 ? out[k] : 1; /* a column of zeros has no say */
    }
    for (int64_t c = 1; c < s->rows; c++)
        memcpy(out + c * p->d, out, (size_t)p->d * sizeof *out);
    for (int64_t c = 0; c < s->rows; c++)
        out[s->rows * p->d + c] = half;
}

/* Softmax without a penalty does not care about a constant added to all rows: take it out. */
static void settle_free_constant(const logit *s, double *x)
{
    const int64_t r = s->rows, d = s->p->d;
    for (int64_t k = s->o->inverse_c == 0 ? 0 : d; r > 1 && k <= d; k++) {
        double mean = 0, *at_k = k < d ? x + k : x + r * d;
        const int64_t step = k < d ? d : 1;
        for (int64_t c = 0; c < r; c++)
            mean += at_k[c * step] / (double)r;
        for (int64_t c = 0; c < r; c++)
            at_k[c * step] -= mean;
    }
}

maas_status maas_logit_fit(maas_work *w, const maas_logit_data *p, const maas_logit_opts *o,
                           double *coef, double *intercept, maas_descent_end *out, maas_err *err)
{
    logit s = {.work = w, .p = p, .o = o, .rows = p->k == 2 ? 1 : p->k};
    const int64_t n = s.rows * (p->d + 1);
    double *x = maas_work_doubles(w, 2, n, "weights", err);
    s.across = x ? maas_work_doubles(w, 1, n, "weights", err) : NULL;
    s.z = s.across ? maas_work_doubles(w, BLOCK, s.rows, "scores", err) : NULL;
    if (!s.z)
        return MAAS_E_NOMEM;
    for (int64_t i = 0; i < p->n; i++)
        s.sum_w += weight_of(p, i);
    if (!(s.sum_w > 0))
        return maas_fail(err, MAAS_E_INVALID, "the weights of all rows are 0");
    curvatures(&s, x + n);
    const maas_slope slope = {.user = &s,
                              .at = at,
                              .n = n,
                              .curvature = x + n,
                              .l1 = o->inverse_c * o->ratio / s.sum_w,
                              .n_l1 = s.rows * p->d};
    const maas_descent_opts how = {o->max_iter, o->tol};
    MAAS_TRY(maas_descend(w, &slope, &how, x, out, err));
    settle_free_constant(&s, x);
    memcpy(coef, x, (size_t)(s.rows * p->d) * sizeof *coef);
    memcpy(intercept, x + s.rows * p->d, (size_t)s.rows * sizeof *intercept);
    return MAAS_OK;
}
