/*
 * formats/sklearn/prep.h - what the decoders of preparation share: short forms of nodes,
 * categories.
 *
 * A value that is missing in a column of text (None or NaN in Python) is the empty text in a
 * request: tensors of text have no other way to say it. A model that knows both is refused.
 *
 * Only the files of this directory that prepare features include this header.
 */
#ifndef MAAS_FORMATS_SKLEARN_PREP_H
#define MAAS_FORMATS_SKLEARN_PREP_H

#include <math.h>

#include "formats/sklearn/sklearn.h"

/* ---- nodes (prep.c); sticky like the builder ---- */
maas_vid sk_op1(maas_sk *s, const char *op, maas_vid x);
maas_vid sk_op2(maas_sk *s, const char *op, maas_vid x, maas_vid y);
maas_vid sk_op3(maas_sk *s, const char *op, maas_vid x, maas_vid y, maas_vid z);
/* Names the node made last: what a request's error says when it fails. Returns v. */
__attribute__((format(printf, 3, 4))) maas_vid sk_call_it(maas_sk *s, maas_vid v, const char *fmt,
                                                          ...);
/* A copy of numbers as a constant [rows, cols]. */
maas_vid sk_f64_matrix(maas_sk *s, const double *v, int64_t rows, int64_t cols);
maas_vid sk_i64s(maas_sk *s, const int64_t *v, int64_t n); /* constant [n] */
maas_vid sk_range(maas_sk *s, int64_t n);                  /* constant I64 0 .. n - 1 */
/* 1.0 where `truth` is true. */
maas_vid sk_number(maas_sk *s, maas_vid truth);
/* x divided by the norm of its row ("l1", "l2", "max"); rows of zeros stay. */
enum { SK_NORM_L1, SK_NORM_L2, SK_NORM_MAX };
extern const char *const sk_norms[];
maas_vid sk_unit_rows(maas_sk *s, maas_vid x, int norm);
/* out: a matrix [n, n_cols] as the result of a transformer. The builder's state is the answer. */
maas_status sk_give(maas_sk *s, maas_sk_out *out, maas_vid x, int64_t n_cols);
maas_status sk_give_columns(maas_sk *s, maas_sk_out *out, const maas_vid *v, int64_t n);
/* How many features a fitted transformer takes: n_features_in_, else what `in` has; > 0. */
maas_status sk_n_features(maas_sk *s, const maas_pk *est, const maas_sk_table *in, int64_t *out);
/* "column 'city'" or "column 3", of the estimator's own input; for messages. */
const char *sk_column_text(maas_sk *s, const maas_pk *est, int64_t i);
/* Item i of a list, a tuple or an array of any kind as a number or as text. */
bool sk_item_double(const maas_pk *list, int64_t i, double *out);
bool sk_item_str(const maas_pk *list, int64_t i, maas_str *out);
int64_t sk_n_items(const maas_pk *list); /* -1: none of these */
/* Sorts, equal items in their order. Not qsort: that asks the system for its memory, which a
 * process that reads models may not. */
void sk_sort(maas_sk *s, void *items, int64_t n, size_t size,
             int (*order)(const void *a, const void *b));
/* A number that may be NaN; absent or None: `otherwise`. */
maas_status sk_double_nan(maas_sk *s, const maas_pk *est, const char *name, double otherwise,
                          double *out);
/* A function by its name in numpy or scipy ("log1p", "exp", ...) applied to x, or its inverse to be
 * found by the caller; E_UNSUPPORTED names it. None: x. */
maas_status sk_apply_function(maas_sk *s, const maas_pk *fn, const char *what, maas_vid x,
                              maas_vid *out);

/* ---- categories (categories.c) ---- */
typedef struct sk_categories {
    bool text;
    int64_t n;
    const maas_str *texts; /* [n], what is missing as "" */
    const double *numbers; /* [n], NaN: missing          */
    int64_t missing;       /* its place; -1              */
    bool missing_is_nan;   /* not None                   */
} sk_categories;
/* `v` is one array of categories_. */
maas_status sk_categories_of(maas_sk *s, const maas_pk *v, const char *what, sk_categories *out);
/* The place of each value of column `col` among the categories, n for what is none: I64 [rows, 1].
 */
maas_vid sk_category(maas_sk *s, const maas_sk_table *in, int64_t col, const sk_categories *c);
/* values[place], n_values of them; a place beyond is an error of the request that names `column`.
 */
maas_vid sk_by_category(maas_sk *s, maas_vid place, maas_vid values, const char *column);

/* ---- inverses (scale.c) ---- */
/* What inverse_transform of a fitted scaler gives for y [n, t]; E_UNSUPPORTED for other classes. */
maas_status sk_unscale(maas_sk *s, const maas_pk *scaler, maas_vid y, maas_vid *out);
/* values (xs[k], ys[k]) of a piecewise linear function at x [n, 1], held at the ends, exactly as
 * numpy.interp computes it (calibrate.c). xs rise. */
maas_vid sk_on_line(maas_sk *s, maas_vid x, const double *xs, const double *ys, int64_t n);

#endif
