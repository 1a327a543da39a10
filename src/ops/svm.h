/*
 * ops/svm.h - the support vector machine that a node SVMClassifier or SVMRegressor (ai.onnx.ml)
 * carries in its attributes; for their reference code and for kernels.
 *
 *   kernel values: k[v] = K(x, vectors[v])                       (linear form: there are none)
 *   classifier:    score of a pair (i, j) = sum of coef[j-1][v] k[v] over the vectors of class i
 *                  + sum of coef[i][v] k[v] over those of class j + rho; the winner of most pairs
 *   regressor:     sum of coef[v] k[v] + rho
 *
 * Everything is borrowed from the node. Fails: E_INVALID with what does not fit together.
 */
#ifndef MAAS_OPS_SVM_H
#define MAAS_OPS_SVM_H

#include "ops/forest_post.h"

typedef enum maas_svm_kernel {
    MAAS_SVM_LINEAR,
    MAAS_SVM_POLY,
    MAAS_SVM_RBF,
    MAAS_SVM_SIGMOID,
    MAAS_SVM_BAD
} maas_svm_kernel;

typedef struct maas_svm {
    maas_svm_kernel kernel;
    float gamma, coef0, degree;
    const float *vectors;     /* [n_vector][n_feature] */
    const float *coef;        /* [n_class - 1][n_vector]; linear form [n_class][n_feature] */
    const float *rho;         /* [n_pair]; linear form and regressor: one */
    const float *prob[2];     /* a and b of each pair; NULL: no probabilities */
    const int64_t *per_class; /* vectors of each class, one after the other */
    int64_t n_vector, n_feature, n_class, n_pair; /* n_vector 0: linear form */
    int64_t n_score;                              /* columns of the output */
    const maas_attr *words, *ints;                /* labels: one of them */
    bool positive, one_class;                     /* no coefficient is negative */
} maas_svm;

maas_status maas_svm_of(const maas_node *n, bool classifier, maas_svm *out, maas_err *err);
/* Scores of all pairs from the kernel values; or of all classes in the linear form, k = x. */
void maas_svm_decide(const maas_svm *m, const float *k, double *scores);
/* What comes after: label and output columns of one row. room: maas_svm_room(m) numbers; its first
 * n_pair (linear form: n_class) hold the scores on entry. y may be NULL. Returns the label. */
int64_t maas_svm_finish(const maas_svm *m, maas_post post, double *room, float *y);
size_t maas_svm_room(const maas_svm *m);

#endif
