/*
 * learn/cores/eigh.c - eigenvalues and vectors of a symmetric matrix: Householder reflections to
 * tridiagonal form, then the implicit QL iteration with Wilkinson's shift. O(n^3), stable, no
 * choice of a start. Vectors are kept as rows, so that a rotation of two of them runs over memory
 * in order.
 */
#include "learn/cores/linalg.h"

#include <math.h>

#include "base/ban.h"

#define MAX_SWEEPS 60 /* a value takes two or three */

/* One reflection: row i of a becomes v (the part left of the diagonal), its tau is returned; e gets
 * the element that is left beside the diagonal. */
static double reflect(double *row, int64_t i, double *e)
{
    const double last = row[i - 1], rest2 = maas_dot(row, row, i - 1);
    double norm2 = rest2 + last * last;
    if (rest2 <= 1e-300) {
        *e = last;
        return 0;
    }
    const double alpha = last > 0 ? -sqrt(norm2) : sqrt(norm2);
    *e = alpha;
    row[i - 1] = last - alpha;
    norm2 -= alpha * last; /* |v|^2 / 2 */
    return 1 / norm2;
}

/* a (lower triangle) -> diagonal d, subdiagonal e[1..n-1]; v of each reflection stays in its row.
 * The two-sided update of the leading block uses its lower triangle only. */
static void tridiagonalize(double *a, int64_t n, double *d, double *e, double *tau, double *p)
{
    for (int64_t i = n - 1; i > 0; i--) {
        double *v = a + i * n;
        d[i] = v[i];
        tau[i] = reflect(v, i, &e[i]);
        if (tau[i] == 0)
            continue;
        memset(p, 0, (size_t)i * sizeof *p);
        for (int64_t r = 0; r < i; r++) { /* p = tau A v, from the lower triangle */
            const double *row = a + r * n;
            p[r] += maas_dot(row, v, r + 1);
            for (int64_t c = 0; c < r; c++)
                p[c] += row[c] * v[r];
        }
        for (int64_t r = 0; r < i; r++)
            p[r] *= tau[i];
        const double k = tau[i] * maas_dot(p, v, i) / 2;
        for (int64_t r = 0; r < i; r++)
            p[r] -= k * v[r];
        for (int64_t r = 0; r < i; r++)
            for (int64_t c = 0; c <= r; c++)
                a[r * n + c] -= v[r] * p[c] + p[r] * v[c];
    }
    d[0] = a[0];
    e[0] = 0;
}

/* q = the product of the reflections: q a_original q' is tridiagonal. */
static void accumulate(const double *a, int64_t n, const double *tau, double *q, double *p)
{
    memset(q, 0, (size_t)(n * n) * sizeof *q);
    for (int64_t i = 0; i < n; i++)
        q[i * n + i] = 1;
    for (int64_t i = 1; i < n; i++) { /* q = q H_i */
        const double *v = a + i * n;
        if (tau[i] == 0)
            continue;
        for (int64_t r = 0; r < i; r++) {
            p[r] = tau[i] * maas_dot(q + r * n, v, i);
            for (int64_t c = 0; c < i; c++)
                q[r * n + c] -= p[r] * v[c];
        }
    }
}

static void rotate(double *x, double *y, int64_t n, double c, double s)
{
    for (int64_t k = 0; k < n; k++) {
        const double t = y[k];
        y[k] = s * x[k] + c * t;
        x[k] = c * x[k] - s * t;
    }
}

/* One QL sweep over the unreduced block l..m. */
static void sweep(double *d, double *e, int64_t l, int64_t m, double *q, int64_t n)
{
    double g = (d[l + 1] - d[l]) / (2 * e[l]), r = hypot(g, 1);
    g = d[m] - d[l] + e[l] / (g + copysign(r, g));
    double s = 1, c = 1, p = 0;
    for (int64_t i = m - 1; i >= l; i--) {
        const double f = s * e[i], b = c * e[i];
        r = hypot(f, g);
        e[i + 1] = r;
        if (r == 0) { /* the block falls apart */
            d[i + 1] -= p;
            e[m] = 0;
            return;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1] - p;
        r = (d[i] - g) * s + 2 * c * b;
        p = s * r;
        d[i + 1] = g + p;
        g = c * r - b;
        rotate(q + i * n, q + (i + 1) * n, n, c, s);
    }
    d[l] -= p;
    e[l] = g;
    e[m] = 0;
}

static bool iterate(double *d, double *e, int64_t n, double *q)
{
    for (int64_t i = 1; i < n; i++)
        e[i - 1] = e[i];
    e[n - 1] = 0;
    for (int64_t l = 0; l < n; l++)
        for (int tries = 0;; tries++) {
            int64_t m = l;
            while (m < n - 1 && fabs(e[m]) > 1.1e-16 * (fabs(d[m]) + fabs(d[m + 1])))
                m++;
            if (m == l)
                break;
            if (tries == MAX_SWEEPS || !isfinite(e[m - 1]))
                return false;
            sweep(d, e, l, m, q, n);
        }
    return true;
}

/* Selection sort: n swaps of rows at most. */
static void sort_values(double *d, double *q, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t least = i;
        for (int64_t k = i + 1; k < n; k++)
            least = d[k] < d[least] ? k : least;
        if (least == i)
            continue;
        const double t = d[i];
        d[i] = d[least];
        d[least] = t;
        for (int64_t k = 0; k < n; k++) {
            const double u = q[i * n + k];
            q[i * n + k] = q[least * n + k];
            q[least * n + k] = u;
        }
    }
}

maas_status maas_eigh(maas_work *w, double *a, int64_t n, double *values, maas_err *err)
{
    double *e = maas_work_doubles(w, 3, n, "eigenvalues", err);
    double *q = e ? maas_work_doubles(w, n, n, "eigenvectors", err) : NULL;
    if (!q)
        return MAAS_E_NOMEM;
    double *tau = e + n, *p = tau + n;
    tridiagonalize(a, n, values, e, tau, p);
    MAAS_TRY(maas_work_go_on(w, 0.5, "eigenvalues", err));
    accumulate(a, n, tau, q, p);
    memcpy(a, q, (size_t)(n * n) * sizeof *a);
    if (!iterate(values, e, n, a))
        return maas_fail(err, MAAS_E_INTERNAL, "eigenvalues of %lld x %lld did not converge",
                         (long long)n, (long long)n);
    sort_values(values, a, n);
    return MAAS_OK;
}
