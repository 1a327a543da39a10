/*
 * learn/explain/explain.h - why a model answered what it answered: Shapley values of the cells of a
 * row.
 *
 *   answer(row) = base + phi[0] + phi[1] + ...       for every row and every output column
 *
 *   tree      TreeSHAP, exact (path-dependent with the rows that training counted, or
 * interventional against a background): the raw sums of the trees, before a logistic or softmax
 *   linear    exact for features that are independent: w (x - mean of the background); the margin,
 * before a logistic or softmax exact     all coalitions of up to 10 features, each averaged over
 * the background: the answer itself sampling  orders of the features drawn at random, each walked
 * in both directions: the answer itself; sums are exact, single values have a sampling error
 *
 * A feature is a cell of an input: a column of a table, a pixel of an image, a text. A background
 * is a set of rows that says what "not knowing a feature" means.
 *
 * Owns: copies of what it needs of the background. Borrows: the graph, which must outlive it.
 * Threads: an explainer is used by one at a time. Deterministic for a seed. Fails: E_INVALID with
 * advice; E_NOMEM past the budget. Sources: Lundberg and Lee 2017; Lundberg et al. 2020 (trees);
 * Strumbelj and Kononenko 2014 (sampling).
 */
#ifndef MAAS_LEARN_EXPLAIN_EXPLAIN_H
#define MAAS_LEARN_EXPLAIN_EXPLAIN_H

#include "graph/graph.h"

typedef struct maas_explainer maas_explainer;

typedef struct maas_explain_opts {
    const char
        *method; /* NULL or "auto": the first that fits; "tree", "linear", "exact", "sampling" */
    const maas_tensor *background; /* one a graph input, [background_rows, ...]; NULL: none */
    int64_t background_rows;
    bool against_background; /* trees: interventional, even if they know how many rows went where */
    int64_t permutations;    /* of sampling; 0: chosen by the number of features */
    uint64_t seed;
    int n_threads; /* of one plan */
    maas_budget *budget;
} maas_explain_opts;

maas_status maas_explainer_create(const maas_graph *g, const maas_explain_opts *o,
                                  maas_explainer **out, maas_err *err);
void maas_explainer_destroy(maas_explainer *x); /* NULL is fine */

const char *maas_explainer_method(const maas_explainer *x);
const char *
maas_explainer_target(const maas_explainer *x); /* "probabilities", or "margin of probabilities" */
int64_t maas_explainer_n_features(const maas_explainer *x);
int64_t maas_explainer_n_outputs(const maas_explainer *x); /* columns of the explained answer */
const char *maas_explainer_feature(const maas_explainer *x, int64_t i); /* its name */

typedef struct maas_explanation { /* filled by the caller, row-major */
    double *phi;                  /* [rows][n_features][n_outputs] */
    double *answer;               /* [rows][n_outputs] */
    double *base;                 /* [n_outputs] */
} maas_explanation;

/* in: one tensor a graph input, with the dtypes of the graph, [rows, ...]. `stop` may be NULL:
 * asked between rows. */
maas_status maas_explain(maas_explainer *x, const maas_tensor *in, int64_t rows,
                         const maas_explanation *out, bool (*stop)(void *user), void *user,
                         maas_err *err);

#endif
