/*
 * formats/svm/svm_int.h - what is shared in this directory; nobody outside includes it.
 *
 *   text.c (lines and words) ──► libsvm.c ──► svm_machine ──► machine.c ──► graph
 *                           └──► liblinear.c ─────────────────────────────► graph
 */
#ifndef MAAS_FORMATS_SVM_INT_H
#define MAAS_FORMATS_SVM_INT_H

#include "formats/svm/svm.h"
#include "ops/build.h"

enum { SVM_MAX_CLASSES = 4096, SVM_MAX_FEATURES = 1 << 22, SVM_MAX_VECTORS = 1 << 26 };

/* ---- text.c: a file as lines of words ---- */

typedef struct svm_text {
    maas_span rest; /* of the file */
    maas_span line; /* what is left of the line being read */
    int64_t number; /* of that line, from 1 */
    maas_arena *arena;
    maas_err *err;
} svm_text;

bool svm_next_line(svm_text *t); /* blank lines are passed over; false at the end */
bool svm_word(svm_text *t, maas_span *out);
__attribute__((format(printf, 3, 4))) maas_status svm_fail(svm_text *t, maas_status st,
                                                           const char *fmt, ...);
/* The next word of the line as a number; `what` is for the message. nan and inf are refused. */
maas_status svm_f64(svm_text *t, const char *what, double *out);
maas_status svm_i64(svm_text *t, const char *what, int64_t least, int64_t most, int64_t *out);
/* Exactly n numbers to the end of the line, in the arena. */
maas_status svm_f64s(svm_text *t, const char *what, int64_t n, double **out);
maas_status svm_i64s(svm_text *t, const char *what, int64_t n, int64_t least, int64_t most,
                     int64_t **out);
/* The next word among names[n]; E_FORMAT when it is none of them. */
maas_status svm_choice(svm_text *t, const char *what, const char *const *names, int n, int *out);
maas_status svm_end_of_line(svm_text *t);
/* Zeroed, in the arena; NULL and E_NOMEM said. */
void *svm_alloc(svm_text *t, int64_t n, size_t size);

/* ---- machine.c ---- */

enum { SVM_LINEAR, SVM_POLY, SVM_RBF, SVM_SIGMOID, SVM_PRECOMPUTED };
enum { SVM_C_SVC, SVM_NU_SVC, SVM_ONE_CLASS, SVM_EPSILON_SVR, SVM_NU_SVR };

typedef struct svm_machine {
    int type, kernel;
    double gamma, coef0, degree;
    int64_t k, pairs, v, f; /* classes (2 for one class and regression), pairs, vectors, features */
    int64_t *labels;        /* [k] */
    int64_t *n_of;          /* [k]: vectors of each class, which stand together */
    double *rho;            /* [pairs] */
    double *prob_a, *prob_b; /* [pairs]; NULL: no probabilities */
    double *coef;            /* [k - 1][v] */
    double *vectors;         /* [v][f] */
    int64_t first;           /* index of the first column in the maker's files */
} svm_machine;

maas_status svm_machine_graph(const svm_machine *m, svm_text *t, maas_graph **out);

/* ---- graphs ---- */

maas_vid svm_f64_const(maas_builder *b, int rank, const int64_t *dims, const double *v);
maas_vid svm_number(maas_builder *b, double v);
maas_vid svm_argmax(maas_builder *b, maas_vid v);
maas_vid svm_column(maas_builder *b, maas_vid v); /* [n, 1] as [n] */
maas_vid svm_cast(maas_builder *b, maas_vid v, maas_dtype t);
maas_vid svm_labels(maas_builder *b, const int64_t *labels, int64_t n, maas_vid index);
maas_vid svm_concat(maas_builder *b, const maas_vid *v, uint32_t n);
maas_vid svm_two_columns(maas_builder *b, maas_vid first); /* [p, 1 - p] */
/* label 1 where the score [n, 1] is above zero, else -1 */
maas_vid svm_inlier(maas_builder *b, maas_vid score);
/* A graph with input x [batch, f], to which b writes. */
maas_status svm_graph_begin(svm_text *t, int64_t f, maas_builder *b, maas_vid *x);
/* Metadata, checks, and the graph of b is the caller's; on failure it is destroyed. */
maas_status svm_graph_end(svm_text *t, maas_builder *b, const char *task, const char *source,
                          maas_graph **out);

#endif
