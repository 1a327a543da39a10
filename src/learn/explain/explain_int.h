/* learn/explain/explain_int.h - shared by the files of this folder; nobody else includes it. */
#ifndef MAAS_LEARN_EXPLAIN_EXPLAIN_INT_H
#define MAAS_LEARN_EXPLAIN_EXPLAIN_INT_H

#include "learn/explain/explain.h"

/* ---- features (feature.c) ---- */
typedef struct maas_xfeature {
    uint32_t input;   /* of the graph */
    int64_t cell;     /* of its row */
    const char *name; /* in the arena */
} maas_xfeature;

/* ---- the function that is explained, on batches of rows (function.c) ---- */
typedef struct maas_xfun maas_xfun;

enum { MAAS_XFUN_ROWS = 256 }; /* rows of one run */

/* A graph of its own with one float output [n, k]; borrowed. */
maas_status maas_xfun_create(const maas_graph *g, int n_threads, maas_budget *budget,
                             maas_xfun **out, maas_err *err);
void maas_xfun_destroy(maas_xfun *f);
int64_t maas_xfun_n_outputs(const maas_xfun *f);
int64_t maas_xfun_width(const maas_xfun *f, uint32_t input); /* cells of a row */
/* Room for row i (< MAAS_XFUN_ROWS) of the next run, as a tensor of one input's whole batch. */
maas_tensor *maas_xfun_input(maas_xfun *f, uint32_t input);
/* Runs the batch; answers [MAAS_XFUN_ROWS][k] are valid until the next run. */
maas_status maas_xfun_run(maas_xfun *f, const double **out, maas_err *err);

/* ---- an explainer ---- */
typedef struct maas_xmethod {
    const char *name;
    /* Can it explain this graph, with this background? Prepares x->own; E_UNSUPPORTED with words:
     * no. */
    maas_status (*prepare)(maas_explainer *x, maas_err *err);
    /* Rows from .. from + n of `in`, n <= at_once; phi [n][n_features][n_outputs] is zero, answer
     * [n][n_outputs]. */
    maas_status (*rows)(maas_explainer *x, const maas_tensor *in, int64_t from, int64_t n,
                        double *phi, double *answer, maas_err *err);
    int64_t at_once; /* 1 .. MAAS_XFUN_ROWS */
    void (*release)(maas_explainer *x);
} maas_xmethod;

struct maas_explainer {
    const maas_graph *g;
    maas_explain_opts opts; /* .background points to copies in the arena */
    maas_arena arena;
    const maas_xmethod *method;
    maas_xfeature *features;
    int64_t n_features, n_outputs;
    const char *target; /* what is explained, in words */
    maas_vid answer;    /* output of the graph that is asked about */
    maas_graph *cut;    /* a copy of g whose only output is what is explained; may be NULL */
    maas_xfun *fun;     /* of it; may be NULL */
    double *base;       /* [n_outputs] */
    void *own;          /* of the method, in the arena */
    double runs;        /* rows through the model for one explained row; 0: few */
};

extern const maas_xmethod maas_x_tree, maas_x_linear, maas_x_exact, maas_x_sampling;

maas_status maas_x_features(maas_explainer *x, maas_err *err);
/* Makes x->cut and x->fun for value v of the graph. */
maas_status maas_x_cut(maas_explainer *x, maas_vid v, maas_err *err);
/* Needs rows of a background: E_UNSUPPORTED with advice when there is none. */
maas_status maas_x_need_background(const maas_explainer *x, maas_err *err);
/* Copies one cell. */
void maas_x_cell(const maas_xfeature *f, const maas_tensor *from, int64_t from_row, maas_tensor *to,
                 int64_t to_row, int64_t width);
/* Every cell of a row: from a set of tensors into row `to` of the function's batch. */
void maas_x_row(maas_explainer *x, const maas_tensor *from, int64_t from_row, int64_t to);
/* The value of the graph that answers: probabilities, value, scores, distances, or the first float
 * output. */
maas_vid maas_x_answer(const maas_graph *g);
/* Does everything between the inputs and the answer go through these values? */
maas_status maas_x_only_through(const maas_explainer *x, const maas_vid *values, int n, bool *out,
                                maas_err *err);

/* ---- columns that are functions of one feature each (columns.c) ---- */
typedef struct maas_xcolumns {
    int32_t *feature; /* [n]; NULL: columns are mixed, or not known */
    int64_t n;
} maas_xcolumns;
maas_status maas_x_columns(maas_explainer *x, maas_vid v, maas_xcolumns *out, maas_err *err);

/* f over the rows of the background, averaged: x->base. */
maas_status maas_x_base(maas_explainer *x, maas_err *err);

#endif
