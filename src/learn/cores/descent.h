/*
 * learn/cores/descent.h - the least value of a smooth convex function plus, if asked, l1 |x|_1:
 * L-BFGS, and with l1 its orthant-wise form (OWL-QN).
 *
 * Owns: nothing; history and scratch are in the arena of the work. Fails: E_NOMEM, E_CANCELLED, and
 * what the function says.
 */
#ifndef MAAS_LEARN_CORES_DESCENT_H
#define MAAS_LEARN_CORES_DESCENT_H

#include "learn/cores/work.h"

typedef struct maas_slope { /* the smooth part */
    void *user;
    maas_status (*at)(void *user, const double *x, double *out_f, double *out_gradient,
                      maas_err *err);
    int64_t n;
    const double *curvature; /* [n] > 0: rough second derivatives, the first metric */
    double l1;               /* on x[0 .. n_l1), 0: none */
    int64_t n_l1;
} maas_slope;

typedef struct maas_descent_opts {
    int64_t max_iter;
    double tol; /* largest element of the gradient that is small enough */
} maas_descent_opts;

typedef struct maas_descent_end {
    int64_t n_iter;
    double f;
    bool converged;
} maas_descent_end;

/* x [n]: the start, then the end. */
maas_status maas_descend(maas_work *w, const maas_slope *s, const maas_descent_opts *o, double *x,
                         maas_descent_end *out, maas_err *err);

#endif
