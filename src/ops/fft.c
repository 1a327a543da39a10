#include "ops/fft.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "base/ban.h"

#define MAX_FACTORS 64
#define MAX_RADIX   13

typedef struct complex2 {
    double re, im;
} complex2;

struct maas_fft {
    int64_t n;
    int n_factors;
    int factors[MAX_FACTORS];
    complex2 *roots; /* [n] exp(-2 pi i k / n) */
    complex2 *work;  /* [n] */
    /* Bluestein: factors are not used */
    struct maas_fft *inner; /* of m >= 2 n - 1, a power of two */
    complex2 *chirp;        /* [n] exp(-pi i k^2 / n) */
    complex2 *filter;       /* [m] transform of the conjugate chirp, around 0 */
    complex2 *padded;       /* [m] */
};

static complex2 times(complex2 a, complex2 b)
{
    return (complex2){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

/* exp(-2 pi i k / n), for 0 <= k < n; octants keep it exact at the axes and symmetric. */
static complex2 root_of(int64_t k, int64_t n)
{
    const double turn = (double)k / (double)n;
    if (8 * k < n || 8 * k > 7 * n)
        return (complex2){cos(2 * M_PI * turn), -sin(2 * M_PI * turn)};
    if (8 * k <= 3 * n)
        return (complex2){-sin(2 * M_PI * (turn - 0.25)), -cos(2 * M_PI * (turn - 0.25))};
    if (8 * k < 5 * n)
        return (complex2){-cos(2 * M_PI * (turn - 0.5)), sin(2 * M_PI * (turn - 0.5))};
    return (complex2){sin(2 * M_PI * (turn - 0.75)), cos(2 * M_PI * (turn - 0.75))};
}

/* What is left of n when the small factors are taken out; 1: all are small. */
static int64_t take_factors(maas_fft *f)
{
    int64_t left = f->n;
    static const int radices[] = {4, 2, 3, 5, 7, 11, 13};
    for (size_t i = 0; i < MAAS_COUNT(radices); i++)
        while (left % radices[i] == 0) {
            f->factors[f->n_factors++] = radices[i];
            left /= radices[i];
        }
    return left;
}

static maas_status bluestein(maas_fft *f, maas_err *err)
{
    int64_t m = 1;
    while (m < 2 * f->n - 1)
        m *= 2;
    MAAS_TRY(maas_fft_create(m, &f->inner, err));
    f->chirp = maas_calloc((size_t)f->n, sizeof *f->chirp);
    f->filter = maas_calloc((size_t)m, sizeof *f->filter);
    f->padded = maas_calloc((size_t)m, sizeof *f->padded);
    if (!f->chirp || !f->filter || !f->padded)
        return maas_fail(err, MAAS_E_NOMEM, "a transform of %lld", (long long)f->n);
    int64_t square = 0; /* k^2 modulo 2 n */
    for (int64_t k = 0; k < f->n; k++) {
        const complex2 c = root_of(square, 2 * f->n);
        f->chirp[k] = c;
        f->filter[k] = f->filter[k ? m - k : 0] = (complex2){c.re, -c.im};
        square = (square + 2 * k + 1) % (2 * f->n);
    }
    maas_fft_run(f->inner, (double *)f->filter, -1);
    return MAAS_OK;
}

static maas_status fill(maas_fft *f, maas_err *err)
{
    if (take_factors(f) > 1)
        return bluestein(f, err);
    f->roots = maas_calloc((size_t)f->n, sizeof *f->roots);
    f->work = maas_calloc((size_t)f->n, sizeof *f->work);
    if (!f->roots || !f->work)
        return maas_fail(err, MAAS_E_NOMEM, "a transform of %lld", (long long)f->n);
    for (int64_t k = 0; k < f->n; k++)
        f->roots[k] = root_of(k, f->n);
    return MAAS_OK;
}

maas_status maas_fft_create(int64_t n, maas_fft **out, maas_err *err)
{
    maas_fft *f = n > 0 && n < INT64_MAX / 64 ? maas_calloc(1, sizeof *f) : NULL;
    if (!f)
        return maas_fail(err, MAAS_E_NOMEM, "a transform of %lld", (long long)n);
    f->n = n;
    const maas_status st = fill(f, err);
    if (st != MAAS_OK)
        maas_fft_destroy(f);
    else
        *out = f;
    return st;
}

void maas_fft_destroy(maas_fft *f)
{
    while (f) { /* an inner one has none */
        maas_fft *inner = f->inner;
        maas_free(f->roots);
        maas_free(f->work);
        maas_free(f->chirp);
        maas_free(f->filter);
        maas_free(f->padded);
        maas_free(f);
        f = inner;
    }
}

/* One butterfly: r numbers, `step` apart, become r others. */
static void butterfly(const maas_fft *f, int r, const complex2 *t, complex2 *to, int64_t step)
{
    const int64_t turn = f->n / r;
    for (int q = 0; q < r; q++) {
        complex2 sum = t[0];
        for (int s = 1; s < r; s++) {
            const complex2 p = times(t[s], f->roots[s * q % r * turn]);
            sum.re += p.re;
            sum.im += p.im;
        }
        to[q * step] = sum;
    }
}

static void butterfly2(const complex2 *t, complex2 *to, int64_t step)
{
    to[0] = (complex2){t[0].re + t[1].re, t[0].im + t[1].im};
    to[step] = (complex2){t[0].re - t[1].re, t[0].im - t[1].im};
}

static void butterfly4(const complex2 *t, complex2 *to, int64_t step)
{
    const complex2 a = {t[0].re + t[2].re, t[0].im + t[2].im};
    const complex2 b = {t[0].re - t[2].re, t[0].im - t[2].im};
    const complex2 c = {t[1].re + t[3].re, t[1].im + t[3].im};
    const complex2 d = {t[1].re - t[3].re, t[1].im - t[3].im};
    to[0] = (complex2){a.re + c.re, a.im + c.im};
    to[step] = (complex2){b.re + d.im, b.im - d.re};
    to[2 * step] = (complex2){a.re - c.re, a.im - c.im};
    to[3 * step] = (complex2){b.re - d.im, b.im + d.re};
}

/*
 * A pass joins r transforms of length l into one of length r l. Number j of the transform of the
 * values k, k + n/l, k + 2 n/l, ... is at from[j n/l + k]; with m = n / (r l), number j + l q of
 * the joined one is the sum over s of w_r^(s q) (w_rl^(s j) from[j r m + s m + k]).
 */
static void pass(const maas_fft *f, int r, int64_t l, const complex2 *from, complex2 *to)
{
    const int64_t m = f->n / (r * l);
    complex2 t[MAX_RADIX], twist[MAX_RADIX];
    for (int64_t j = 0; j < l; j++) {
        for (int s = 0; s < r; s++)
            twist[s] = f->roots[s * j * m];
        for (int64_t k = 0; k < m; k++) {
            for (int s = 0; s < r; s++)
                t[s] = times(from[(j * r + s) * m + k], twist[s]);
            if (r == 4)
                butterfly4(t, &to[j * m + k], l * m);
            else if (r == 2)
                butterfly2(t, &to[j * m + k], l * m);
            else
                butterfly(f, r, t, &to[j * m + k], l * m);
        }
    }
}

static void run_passes(maas_fft *f, complex2 *x)
{
    complex2 *from = x, *to = f->work;
    int64_t l = 1;
    for (int i = 0; i < f->n_factors; i++) {
        pass(f, f->factors[i], l, from, to);
        l *= f->factors[i];
        complex2 *swap = from;
        from = to;
        to = swap;
    }
    if (from != x)
        memcpy(x, from, (size_t)f->n * sizeof *x);
}

static void run_bluestein(maas_fft *f, complex2 *x)
{
    const int64_t m = f->inner->n;
    memset(f->padded, 0, (size_t)m * sizeof *f->padded);
    for (int64_t k = 0; k < f->n; k++)
        f->padded[k] = times(x[k], f->chirp[k]);
    maas_fft_run(f->inner, (double *)f->padded, -1);
    for (int64_t k = 0; k < m; k++)
        f->padded[k] = times(f->padded[k], f->filter[k]);
    maas_fft_run(f->inner, (double *)f->padded, +1);
    for (int64_t k = 0; k < f->n; k++) {
        const complex2 y = times(f->padded[k], f->chirp[k]);
        x[k] = (complex2){y.re / (double)m, y.im / (double)m};
    }
}

static void conjugate(complex2 *x, int64_t n)
{
    for (int64_t k = 0; k < n; k++)
        x[k].im = -x[k].im;
}

void maas_fft_run(maas_fft *f, double *x, int sign)
{
    complex2 *c = (complex2 *)x;
    if (sign > 0)
        conjugate(c, f->n);
    if (f->inner)
        run_bluestein(f, c);
    else
        run_passes(f, c);
    if (sign > 0)
        conjugate(c, f->n);
}
