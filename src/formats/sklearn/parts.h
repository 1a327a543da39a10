/*
 * formats/sklearn/parts.h - what several families of estimators need: lists of estimators, choices
 * of columns, small pieces of graphs.
 *
 * As formats/sklearn/sklearn.h: reading functions return a status, graph functions are sticky.
 */
#ifndef MAAS_FORMATS_SKLEARN_PARTS_H
#define MAAS_FORMATS_SKLEARN_PARTS_H

#include "formats/sklearn/sklearn.h"

#define MAAS_SK_ADD(s, x, y) maas_b_op2(&(s)->b, "Add", x, y)
#define MAAS_SK_SUB(s, x, y) maas_b_op2(&(s)->b, "Sub", x, y)
#define MAAS_SK_MUL(s, x, y) maas_b_op2(&(s)->b, "Mul", x, y)
#define MAAS_SK_DIV(s, x, y) maas_b_op2(&(s)->b, "Div", x, y)

/* A list, a tuple or an array of objects that is not empty: *out for maas_pk_at, all dimensions in
 * a row. */
maas_status maas_sk_items(maas_sk *s, const maas_pk *est, const char *name, const maas_pk **out,
                          int64_t *n);
/* estimators_features_[number]: numbers of columns, each 0 .. n_columns - 1. */
maas_status maas_sk_columns_of(maas_sk *s, const maas_pk *v, int64_t number, int64_t n_columns,
                               const maas_tensor **out);
/* n numbers in a list, a tuple or an array. */
maas_status maas_sk_numbers(maas_sk *s, const maas_pk *est, const char *name, int64_t n,
                            const double **out);
/* An array of zeros that a decoder fills in, F64 of rank 2 (or 1: n_cols 0); NULL: failed. */
maas_tensor *maas_sk_new_array(maas_sk *s, int64_t n_rows, int64_t n_cols);
static inline double *maas_sk_f64_of(const maas_tensor *t)
{
    return t->data;
}

/* x rounded into [lo, hi]. */
maas_vid maas_sk_clip(maas_sk *s, maas_vid x, double lo, double hi);
maas_vid maas_sk_square(maas_sk *s, maas_vid x);
/* log(sum(exp(x))) over the last axis, kept; nothing overflows. */
maas_vid maas_sk_log_sum_exp(maas_sk *s, maas_vid x);
/* [n] or [n, 1] -> [n, 1]. */
maas_vid maas_sk_as_column(maas_sk *s, maas_vid x);
/* I64 [n]: 0, 1, ... */
maas_vid maas_sk_range(maas_sk *s, int64_t n);
/* label [n] of classes -> place of each in classes, I64 [n]. */
maas_vid maas_sk_class_number(maas_sk *s, maas_vid label, const maas_tensor *classes);
bool maas_sk_same_classes(const maas_tensor *a, const maas_tensor *b);
/* I64 [n] labels of an estimator that was fitted on 0 .. n_classes - 1: E_FORMAT when it knows
 * others. */
maas_status maas_sk_encoded(maas_sk *s, const maas_sk_out *o, int64_t n_classes);

#endif
