/*
 * learn/classic/svm_lib.h - libsvm as a distribution ships it, loaded when an svm is trained: in
 * the worker of that job and nowhere else.
 *
 * The structs are those of libsvm 3.x before 3.30, checked by its version number.
 *
 * Owns: the library stays open for the life of the process. Threads: one at a time (libsvm has one
 * random generator and one place for messages).
 */
#ifndef MAAS_LEARN_CLASSIC_SVM_LIB_H
#define MAAS_LEARN_CLASSIC_SVM_LIB_H

#include "base/status.h"

typedef struct maas_libsvm_node {
    int index; /* from 1; -1 ends a row */
    double value;
} maas_libsvm_node;

typedef struct maas_libsvm_problem {
    int l;
    double *y;
    maas_libsvm_node **x;
} maas_libsvm_problem;

enum { MAAS_C_SVC, MAAS_NU_SVC, MAAS_ONE_CLASS, MAAS_EPSILON_SVR, MAAS_NU_SVR };

typedef struct maas_libsvm_parameter {
    int svm_type, kernel_type, degree;
    double gamma, coef0, cache_mb, eps, c;
    int n_weights;
    int *weight_label;
    double *weight, nu, p;
    int shrinking, probability;
} maas_libsvm_parameter;

typedef struct maas_libsvm_model {
    maas_libsvm_parameter param;
    int n_class, l;
    maas_libsvm_node **vectors;
    double **coef; /* [n_class - 1][l] */
    double *rho, *prob_a, *prob_b;
    int *indices, *label, *per_class;
    int owns_vectors;
} maas_libsvm_model;

typedef struct maas_libsvm {
    maas_libsvm_model *(*train)(const maas_libsvm_problem *, const maas_libsvm_parameter *);
    const char *(*check)(const maas_libsvm_problem *, const maas_libsvm_parameter *);
    void (*destroy)(maas_libsvm_model **);
    void (*set_print)(void (*)(const char *));
} maas_libsvm;

/* E_UNAVAILABLE naming the package when there is no libsvm, or one with other structs. */
maas_status maas_libsvm_load(maas_libsvm *out, maas_err *err);

#endif
