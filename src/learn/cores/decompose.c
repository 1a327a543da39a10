/* learn/cores/decompose.c - eigenvectors of X'X or XX', or a subspace iteration. */
#include "learn/cores/decompose.h"

#include <math.h>

#include "base/sys.h"
#include "learn/cores/linalg.h"

#include "base/ban.h"

#define OVERSAMPLE 10
#define MAX_ROUNDS 50
#define SETTLED    1e-10 /* relative change of the squared singular values in a round */

typedef struct split {
    const double *x; /* [n][d] centred if asked */
    int64_t n, d;
} split;

static maas_status centred(maas_work *w, const double *x, split *s, bool centre,
                           maas_directions *out, maas_err *err)
{
    out->mean = maas_work_doubles(w, 1, s->d, "means", err);
    double *c = out->mean ? maas_work_doubles(w, s->n, s->d, "centred rows", err) : NULL;
    if (!c)
        return MAAS_E_NOMEM;
    for (int64_t i = 0; centre && i < s->n; i++)
        for (int64_t k = 0; k < s->d; k++)
            out->mean[k] += (x[i * s->d + k] - out->mean[k]) / (double)(i + 1);
    out->total = 0;
    for (int64_t i = 0; i < s->n * s->d; i++) {
        c[i] = x[i] - out->mean[i % s->d];
        out->total += c[i] * c[i];
    }
    s->x = c;
    return MAAS_OK;
}

/* How many of the descending squared values are wanted. */
static int64_t enough(const double *values, int64_t m, double total, double share)
{
    double sum = 0;
    int64_t k = 0;
    while (k < m && values[m - 1 - k] > 1e-13 * values[m - 1]) {
        sum += values[m - 1 - k];
        k++;
        if (share < 1 && sum > share * total)
            break;
    }
    return k ? k : 1;
}

static void settle_sign(double *v, int64_t d)
{
    int64_t top = 0;
    for (int64_t k = 1; k < d; k++)
        top = fabs(v[k]) > fabs(v[top]) ? k : top;
    const double sign = v[top] < 0 ? -1 : 1;
    for (int64_t k = 0; k < d; k++)
        v[k] *= sign;
}

/* A direction of no length has no say: a unit of zeros is honest for it. */
static void normalize(double *v, int64_t d)
{
    const double length = sqrt(maas_dot(v, v, d));
    for (int64_t k = 0; length > 0 && k < d; k++)
        v[k] /= length;
}

static maas_status exact(maas_work *w, const split *s, int64_t k, double share,
                         maas_directions *out, maas_err *err)
{
    const bool dual = s->d > s->n;
    const int64_t m = dual ? s->n : s->d;
    double *g = maas_work_doubles(w, m, m, "products of columns", err);
    double *values = g ? maas_work_doubles(w, 1, m, "eigenvalues", err) : NULL;
    if (!values)
        return MAAS_E_NOMEM;
    if (dual)
        MAAS_TRY(maas_gram_rows(w, s->x, s->n, s->d, g, err));
    else
        maas_gram(w, s->x, s->n, s->d, g);
    MAAS_TRY(maas_eigh(w, g, m, values, err));
    out->k = k ? k : enough(values, m, out->total, share);
    out->components = maas_work_doubles(w, out->k, s->d, "components", err);
    out->singular = out->components ? maas_work_doubles(w, 1, out->k, "values", err) : NULL;
    if (!out->singular)
        return MAAS_E_NOMEM;
    for (int64_t c = 0; c < out->k; c++) {
        double *v = out->components + c * s->d;
        const double *from = g + (m - 1 - c) * m;
        out->singular[c] = sqrt(fmax(values[m - 1 - c], 0));
        if (dual)
            maas_times_t(w, s->x, s->n, s->d, from, v);
        else
            memcpy(v, from, (size_t)s->d * sizeof *v);
    }
    return MAAS_OK;
}

/* Rows of q [l][d] made orthonormal, twice over for the sake of rounding. */
static void orthonormalize(double *q, int64_t l, int64_t d)
{
    for (int64_t i = 0; i < l; i++) {
        double *v = q + i * d;
        for (int pass = 0; pass < 2; pass++)
            for (int64_t j = 0; j < i; j++) {
                const double f = maas_dot(v, q + j * d, d);
                for (int64_t k = 0; k < d; k++)
                    v[k] -= f * q[j * d + k];
            }
        normalize(v, d);
    }
}

/* q [l][d] -> orthonormal rows of q X'X, and the small matrix q X'X q' on the way. */
static void power(maas_work *w, const split *s, int64_t l, double *q, double *across, double *xq,
                  double *small)
{
    for (int64_t i = 0; i < l; i++)
        for (int64_t k = 0; k < s->d; k++)
            across[k * l + i] = q[i * s->d + k];
    maas_dgemm(w, s->n, l, s->d, (maas_side){s->x, s->d, 1}, (maas_side){across, l, 1}, xq, false);
    maas_gram(w, xq, s->n, l, small);
    maas_dgemm(w, l, s->d, s->n, (maas_side){xq, 1, l}, (maas_side){s->x, s->d, 1}, q, false);
}

static maas_status by_subspace(maas_work *w, const split *s, int64_t k, uint64_t seed,
                               maas_directions *out, maas_err *err)
{
    const int64_t least = s->n < s->d ? s->n : s->d,
                  l = k + OVERSAMPLE < least ? k + OVERSAMPLE : least;
    double *q = maas_work_doubles(w, 3 * l, s->d, "subspace", err);
    double *xq = q ? maas_work_doubles(w, s->n, l, "subspace", err) : NULL;
    double *small = xq ? maas_work_doubles(w, l + 1, l, "subspace", err) : NULL;
    out->singular = small ? maas_work_doubles(w, 1, k, "values", err) : NULL;
    if (!out->singular)
        return MAAS_E_NOMEM;
    double *old = q + l * s->d, *across = old + l * s->d, *values = small + l * l, before = 0;
    maas_rng rng;
    maas_rng_seed(&rng, seed);
    for (int64_t i = 0; i < l * s->d; i++)
        q[i] = maas_rng_normal(&rng);
    for (int round = 0; round < MAX_ROUNDS; round++) {
        MAAS_TRY(maas_work_go_on(w, (double)round / MAX_ROUNDS, "subspace iteration", err));
        orthonormalize(q, l, s->d);
        memcpy(old, q, (size_t)(l * s->d) * sizeof *q);
        power(w, s, l, q, across, xq, small);
        double now = 0;
        for (int64_t i = 0; i < l; i++)
            now += small[i * l + i];
        if (fabs(now - before) <= SETTLED * now)
            break;
        before = now;
    }
    MAAS_TRY(maas_eigh(w, small, l, values, err)); /* Rayleigh and Ritz */
    out->k = k;
    out->components = q;
    for (int64_t c = 0; c < k; c++) {
        out->singular[c] = sqrt(fmax(values[l - 1 - c], 0));
        maas_times_t(w, old, l, s->d, small + (l - 1 - c) * l, q + c * s->d);
    }
    return MAAS_OK;
}

maas_status maas_decompose(maas_work *w, const double *x, int64_t n, int64_t d, bool centre,
                           int64_t k, double share, uint64_t seed, maas_directions *out,
                           maas_err *err)
{
    split s = {.n = n, .d = d};
    const int64_t side = n < d ? n : d;
    *out = (maas_directions){.d = d};
    if (k > side)
        return maas_fail(err, MAAS_E_INVALID,
                         "params.n_components: %lld of %lld rows and %lld columns, %lld possible",
                         (long long)k, (long long)n, (long long)d, (long long)side);
    if (!k && side > MAAS_EXACT_SIDE)
        return maas_fail(err, MAAS_E_INVALID,
                         "params.n_components: with more than %d rows and columns a number is "
                         "needed, not a share",
                         MAAS_EXACT_SIDE);
    MAAS_TRY(centred(w, x, &s, centre, out, err));
    if (side <= MAAS_EXACT_SIDE)
        MAAS_TRY(exact(w, &s, k, share, out, err));
    else
        MAAS_TRY(by_subspace(w, &s, k, seed, out, err));
    for (int64_t c = 0; c < out->k; c++) {
        normalize(out->components + c * d, d);
        settle_sign(out->components + c * d, d);
    }
    return MAAS_OK;
}
