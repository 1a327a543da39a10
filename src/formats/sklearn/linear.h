/* formats/sklearn/linear.h - coefficients and scores, shared by the linear families. */
#ifndef MAAS_FORMATS_SKLEARN_LINEAR_H
#define MAAS_FORMATS_SKLEARN_LINEAR_H

#include "formats/sklearn/sklearn.h"

typedef struct maas_sk_coefs {
    const maas_tensor *coef;      /* [k, f] */
    const maas_tensor *intercept; /* [k]    */
    int64_t k, f;
    bool flat; /* the file has [f]: one output without an axis of its own */
} maas_sk_coefs;

/* Attribute `name` as [k, f]; k -1: any. */
maas_status maas_sk_coef(maas_sk *s, const maas_pk *est, const char *name, int64_t k,
                         maas_sk_coefs *out);
maas_status maas_sk_intercept(maas_sk *s, const maas_pk *est, const char *name, int64_t k,
                              const maas_tensor **out);
maas_status maas_sk_coefs_of(maas_sk *s, const maas_pk *est, int64_t k, maas_sk_coefs *out);

/* Scores [n, 1] (two classes: positive means the second) or [n, k] to labels. */
maas_vid maas_sk_label_of_scores(maas_sk *s, maas_vid scores, const maas_tensor *classes);
/* Each class against the rest: logistic function of each score, rows divided by their sum. */
maas_vid maas_sk_one_vs_rest(maas_sk *s, maas_vid scores, int64_t n_classes);
/* One against one to a score a class: votes plus squeezed sums of confidences. second_wins
 * [n, pairs] F64 is 1 where the pair (i, j) went to j; confidences [n, pairs] speak for j;
 * MAAS_NO_VALUE: votes alone. */
maas_vid maas_sk_ovr_decision(maas_sk *s, maas_vid second_wins, maas_vid confidences, int64_t k);

#endif
