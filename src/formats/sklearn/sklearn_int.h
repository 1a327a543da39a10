/*
 * formats/sklearn/sklearn_int.h - shared by the framework's own files; decoders have sklearn.h.
 *
 *   sklearn.c  finding decoders, estimators in estimators    root.c   the model's inputs
 *   attr.c     attributes, arrays, classes                   table.c  rows between estimators
 *   idioms.c   graph idioms                                  read.c   the model format, outputs
 *   sparse.c   matrices of scipy
 */
#ifndef MAAS_FORMATS_SKLEARN_INT_H
#define MAAS_FORMATS_SKLEARN_INT_H

#include <jansson.h>

#include "formats/sklearn/sklearn.h"

typedef enum maas_sk_layout {
    MAAS_SK_UNDECIDED,
    MAAS_SK_MATRIX,  /* x [n, n_cols]                  */
    MAAS_SK_COLUMNS, /* one input a column that is used */
    MAAS_SK_TEXTS    /* text [n]                       */
} maas_sk_layout;

/*
 * The model's own input. Which layout it has is known when everything has been decoded once: only
 * decoders know which columns are text. So columns are made on demand first; if text was among
 * them, a second decoding finds all of them there in the order of the file, and if there was none,
 * it finds a matrix.
 */
typedef struct maas_sk_root {
    maas_sk_layout layout;
    bool settled;     /* second decoding: layout and kinds are given */
    int64_t n;        /* columns; -1 unknown */
    maas_str *names;  /* [n], or NULL */
    uint8_t *kind;    /* [n] maas_dtype of each column; MAAS_DT_NONE: nobody asked */
    maas_vid *column; /* [n] */
    maas_vid x;
    int64_t batch; /* the symbol */
} maas_sk_root;

typedef struct maas_sk_place {
    const char *class_name; /* without its module */
    char where[80];         /* within the parent; "" for the root */
} maas_sk_place;

/* ---- root.c ---- */
maas_status maas_sk_root_init(maas_sk *s, maas_sk_root *r, const maas_pk *est);
maas_status maas_sk_root_start(maas_sk *s, maas_sk_root *r); /* inputs that are settled */
bool maas_sk_root_settle(maas_sk_root *r);                   /* true: decode once more */
maas_vid maas_sk_root_matrix(maas_sk *s, int64_t n);
maas_vid maas_sk_root_column(maas_sk *s, int64_t i, maas_dtype t);
maas_vid maas_sk_root_texts(maas_sk *s);
maas_vid maas_sk_root_rows(maas_sk *s); /* whatever has as many rows as the input */
maas_status maas_sk_root_describe(maas_sk *s, maas_graph *g); /* maas.columns */

/* ---- sklearn.c ---- */
const char *maas_sk_short_name(const maas_pk *est); /* class without its module */
int maas_sk_version_of(const maas_pk *est, int otherwise);

/* ---- sparse.c ---- */
bool maas_sk_is_sparse(const maas_pk *v); /* a matrix of scipy, csr or csc */
maas_status maas_sk_dense(maas_sk *s, const maas_pk *v, const char *what, const maas_tensor **out);

/* ---- read.c ---- */
maas_status maas_sk_set_meta(maas_graph *g, const char *key, json_t *value, maas_err *err);

#endif
