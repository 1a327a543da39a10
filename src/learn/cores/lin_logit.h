/*
 * learn/cores/lin_logit.h - logistic regression, binary and multinomial.
 *
 *   min  sum_i w_i loss(x_i B + a, class_i) + 1/c ( (1 - ratio)/2 |B|^2 + ratio |B|_1 )
 *
 * divided by sum w. Two classes have one row of weights (for the second), k > 2 have k. Intercepts
 * carry no penalty.
 *
 * Owns: nothing; scratch is in the arena of the work. Fails: E_NOMEM, E_CANCELLED.
 */
#ifndef MAAS_LEARN_CORES_LIN_LOGIT_H
#define MAAS_LEARN_CORES_LIN_LOGIT_H

#include "learn/cores/descent.h"

typedef struct maas_logit_data {
    const double *x;      /* [n][d] finite */
    const int32_t *codes; /* [n] 0 .. k - 1 */
    const double *w;      /* [n] weights of rows >= 0, or NULL: all 1 */
    int64_t n, d, k;
} maas_logit_data;

typedef struct maas_logit_opts {
    double inverse_c; /* 1 / c; 0: no penalty */
    double ratio;     /* of the absolute part */
    bool intercept;
    int64_t max_iter;
    double tol; /* largest element of the gradient of the mean loss */
} maas_logit_opts;

/* coef [rows][d], intercept [rows], of the caller; rows is 1 for two classes, else k. */
maas_status maas_logit_fit(maas_work *w, const maas_logit_data *p, const maas_logit_opts *o,
                           double *coef, double *intercept, maas_descent_end *out, maas_err *err);

#endif
