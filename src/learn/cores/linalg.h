/*
 * learn/cores/linalg.h - dense linear algebra in double precision: what the learners need of it.
 *
 * Matrices are row-major; a matrix [n][d] of data has a row an example. Own code, so that the
 * answer does not depend on which library a machine has.
 *
 * Owns: nothing. Memory: the arena of the work. Threads: those of the work.
 */
#ifndef MAAS_LEARN_CORES_LINALG_H
#define MAAS_LEARN_CORES_LINALG_H

#include "learn/cores/work.h"

typedef struct maas_side { /* one operand of a product: element (r, c) at p[r * row + c * col] */
    const double *p;
    int64_t row, col;
} maas_side;
/* c[m][n] = a[m][k] * b[k][n], dense c; `add` adds to what is there. b.col must be 1. */
void maas_dgemm(const maas_work *w, int64_t m, int64_t n, int64_t k, maas_side a, maas_side b,
                double *c, bool add);
/* g[d][d] = x' x of x [n][d]. */
void maas_gram(const maas_work *w, const double *x, int64_t n, int64_t d, double *g);
/* g[n][n] = x x'; takes scratch from the arena. */
maas_status maas_gram_rows(maas_work *w, const double *x, int64_t n, int64_t d, double *g,
                           maas_err *err);
/* out[i] = x[i] . v (+ shift) */
void maas_times(const maas_work *w, const double *x, int64_t n, int64_t d, const double *v,
                double shift, double *out);
/* out[d] = x' v */
void maas_times_t(const maas_work *w, const double *x, int64_t n, int64_t d, const double *v,
                  double *out);
double maas_dot(const double *a, const double *b, int64_t n);

/* a = l l' in place, lower triangle; false when a is not (numerically) positive definite: a pivot
 * is below `tiny` of its diagonal element. */
bool maas_cholesky(double *a, int64_t n, double tiny);
/* l l' x = b in place. */
void maas_cholesky_solve(const double *l, int64_t n, double *b);
/* The lower triangle inverted in place. */
void maas_lower_invert(double *l, int64_t n);

/* Eigenvalues of the symmetric a [n][n], ascending, and eigenvectors as rows of a (replaced).
 * E_INTERNAL when the iteration does not converge (NaN in a). */
maas_status maas_eigh(maas_work *w, double *a, int64_t n, double *values, maas_err *err);

#endif
