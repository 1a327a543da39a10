/* learn/cores/linalg.c - products with vectors, Cholesky, triangles. */
#include "learn/cores/linalg.h"

#include <math.h>

#include "base/ban.h"

double maas_dot(const double *a, const double *b, int64_t n)
{
    double s[4] = {0};
    int64_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (int k = 0; k < 4; k++)
            s[k] += a[i + k] * b[i + k];
    for (; i < n; i++)
        s[0] += a[i] * b[i];
    return (s[0] + s[1]) + (s[2] + s[3]);
}

void maas_gram(const maas_work *w, const double *x, int64_t n, int64_t d, double *g)
{
    maas_dgemm(w, d, d, n, (maas_side){x, 1, d}, (maas_side){x, d, 1}, g, false);
}

maas_status maas_gram_rows(maas_work *w, const double *x, int64_t n, int64_t d, double *g,
                           maas_err *err)
{
    double *t = maas_work_doubles(w, d, n, "transposed rows", err);
    if (!t)
        return MAAS_E_NOMEM;
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < d; k++)
            t[k * n + i] = x[i * d + k];
    maas_dgemm(w, n, n, d, (maas_side){x, d, 1}, (maas_side){t, n, 1}, g, false);
    return MAAS_OK;
}

/* ---- matrix times vector ---- */

typedef struct times {
    const double *x, *v;
    int64_t d;
    double shift, *out;
} times;

static void times_piece(void *user, int64_t from, int64_t to)
{
    const times *t = user;
    for (int64_t i = from; i < to; i++)
        t->out[i] = maas_dot(t->x + i * t->d, t->v, t->d) + t->shift;
}

void maas_times(const maas_work *w, const double *x, int64_t n, int64_t d, const double *v,
                double shift, double *out)
{
    times t = {x, v, d, shift, out};
    maas_work_share(w, n, 1024, times_piece, &t);
}

void maas_times_t(const maas_work *w, const double *x, int64_t n, int64_t d, const double *v,
                  double *out)
{
    (void)w; /* memory-bound: one pass over x in order */
    memset(out, 0, (size_t)d * sizeof *out);
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; v[i] != 0 && k < d; k++)
            out[k] += v[i] * x[i * d + k];
}

/* ---- Cholesky ---- */

bool maas_cholesky(double *a, int64_t n, double tiny)
{
    for (int64_t i = 0; i < n; i++) {
        double *row = a + i * n;
        const double before = row[i];
        for (int64_t j = 0; j < i; j++)
            row[j] = (row[j] - maas_dot(row, a + j * n, j)) / a[j * n + j];
        const double pivot = before - maas_dot(row, row, i);
        if (!(pivot > tiny * before) || !isfinite(pivot))
            return false;
        row[i] = sqrt(pivot);
    }
    return true;
}

void maas_cholesky_solve(const double *l, int64_t n, double *b)
{
    for (int64_t i = 0; i < n; i++)
        b[i] = (b[i] - maas_dot(l + i * n, b, i)) / l[i * n + i];
    for (int64_t i = n; i-- > 0;) {
        b[i] /= l[i * n + i];
        for (int64_t j = 0; j < i; j++)
            b[j] -= l[i * n + j] * b[i];
    }
}

void maas_lower_invert(double *l, int64_t n)
{
    for (int64_t i = 0; i < n; i++) { /* row i of the inverse from the rows above */
        double *row = l + i * n;
        for (int64_t j = 0; j < i; j++) {
            double s = 0;
            for (int64_t k = j; k < i; k++)
                s += row[k] * l[k * n + j];
            /* row[j] is needed by columns left of it no more: columns go left to right */
            row[j] = -s / row[i];
        }
        row[i] = 1 / row[i];
    }
}
