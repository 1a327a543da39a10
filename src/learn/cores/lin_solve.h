/*
 * learn/cores/lin_solve.h - linear models of numbers with an exact answer.
 *
 *   least squares, ridge   min sum_i w_i |y_i - x_i b - a|^2 + alpha |b|^2
 *   lasso, elastic net     min 1/(2n) sum_i w_i |y_i - x_i b - a|^2
 *                              + alpha ratio |b|_1 + alpha (1 - ratio) / 2 |b|^2     (sum w = n)
 *
 * The intercept a has no penalty. Among equals (columns that depend on each other) the shortest b
 * is the answer of least squares.
 *
 * Owns: nothing; scratch is in the arena of the work. Fails: E_NOMEM, E_CANCELLED.
 */
#ifndef MAAS_LEARN_CORES_LIN_SOLVE_H
#define MAAS_LEARN_CORES_LIN_SOLVE_H

#include "learn/cores/work.h"

typedef struct maas_lin_data {
    const double *x; /* [n][d] finite */
    const double *y; /* [n][t] finite */
    const double *w; /* [n] weights of rows >= 0, or NULL: all 1 */
    int64_t n, d, t;
} maas_lin_data;

typedef struct maas_lin_opts {
    double alpha, ratio; /* ratio: of the absolute part, 1 is the lasso */
    bool intercept, positive;
    int64_t max_iter; /* elastic net: passes over the coordinates */
    double tol;       /* elastic net: duality gap in units of |y|^2 */
} maas_lin_opts;

typedef struct maas_lin_fit {
    double *coef;      /* [t][d], of the caller */
    double *intercept; /* [t] */
    int64_t n_iter;    /* elastic net: the most that a target took */
    double gap;        /* elastic net: the largest that was left, in units of |y|^2 */
} maas_lin_fit;

maas_status maas_ridge_fit(maas_work *w, const maas_lin_data *p, const maas_lin_opts *o,
                           maas_lin_fit *out, maas_err *err);
maas_status maas_elastic_fit(maas_work *w, const maas_lin_data *p, const maas_lin_opts *o,
                             maas_lin_fit *out, maas_err *err);

/* For both: x and y without their weighted means and times sqrt(w); all in the arena. `columns`:
 * x comes out as [d][n]. */
typedef struct maas_lin_centred {
    double *x, *y, *x_mean, *y_mean; /* y [t][n] */
    double sum_w;
} maas_lin_centred;
maas_status maas_lin_centre(maas_work *w, const maas_lin_data *p, bool intercept, bool columns,
                            maas_lin_centred *out, maas_err *err);
/* intercept[k] = mean of y - mean of x . coef */
void maas_lin_intercepts(const maas_lin_data *p, const maas_lin_centred *c, maas_lin_fit *out);

#endif
