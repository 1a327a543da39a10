/*
 * formats/boosted.h - models of boosted trees, whoever made them, and the graphs that say them.
 *
 *   XGBoost JSON, UBJSON, binary ─┐                               ┌─► raw scores
 *   LightGBM text                 ├─► maas_boosted ─► builder ────┼─► label, probabilities | scores
 *   CatBoost JSON                 ┘   (trees in memory)           └─► value
 *
 * A reader fills a maas_boosted; the functions below write its graph onto any input value, so that
 * a model in a file and a model inside of a scikit-learn pickle are one and the same code.
 *
 * Owns: everything it points to. Borrows: the budget; nothing of the file. Threads: one at a time
 * while it is filled, then read-only. Fails: E_FORMAT naming tree and node, or the line;
 * E_UNSUPPORTED naming what is not done; E_NOMEM past the budget.
 */
#ifndef MAAS_FORMATS_BOOSTED_H
#define MAAS_FORMATS_BOOSTED_H

#include "base/span.h"
#include "ops/forest.h"

/* What a raw score becomes. */
typedef enum maas_boost_link {
    MAAS_BOOST_IDENTITY,
    MAAS_BOOST_SIGMOID, /* 1 / (1 + exp(-slope * s)), each score on its own */
    MAAS_BOOST_SOFTMAX,
    MAAS_BOOST_EXP,
    MAAS_BOOST_SIGNED_SQUARE, /* sign(s) * s * s */
    MAAS_BOOST_SOFTPLUS       /* log(1 + exp(s)) */
} maas_boost_link;

typedef enum maas_boost_task {
    MAAS_BOOST_VALUES,        /* value: [n] or [n, n_scores]                 */
    MAAS_BOOST_PROBABILITIES, /* label and probabilities                     */
    MAAS_BOOST_SCORES         /* label by the sign of the score, and scores  */
} maas_boost_task;

/* How trees look at a feature, one way a feature (maas_boosted.use). */
typedef enum maas_boost_use {
    MAAS_BOOST_UNUSED,
    MAAS_BOOST_PLAIN,
    MAAS_BOOST_TRUNCATE,    /* a category: 2.7 is 2 (toward zero)         */
    MAAS_BOOST_FLOOR,       /* a category: -0.5 is none                   */
    MAAS_BOOST_ZERO_MISSING /* values within 1e-35f of zero count as NaN  */
} maas_boost_use;

/* What the codes 0 .. n - 1 of a column of categories stand for: text, or numbers. */
typedef struct maas_boost_codes {
    uint32_t n; /* 0: the column has numbers of its own */
    const maas_str *text;
    const float *numbers;
} maas_boost_codes;

typedef struct maas_boosted {
    maas_arena arena;      /* of everything below but the forest */
    const char *source;    /* "XGBoost 2.0.3" */
    const char *objective; /* as the maker names it */
    maas_dtype dtype;      /* what the maker computes in: rows are converted to it */
    bool single_rows;      /* rows of doubles are rounded to float first (CatBoost) */
    int32_t n_features, n_scores;
    maas_boost_link link;
    maas_boost_task task;
    double threshold;  /* label 1 where a probability is above this; 0: one half */
    double slope;      /* SIGMOID */
    double divide;     /* scores are divided by this before the link; 0 or 1: not */
    double scale;      /* ... and multiplied by this; 0 or 1: not                 */
    const double *add; /* ... and this is added, [n_scores]; NULL: nothing      */
    /* Trees, or NULL for a linear booster: scores = x * weights + bias, NaN counting as 0. */
    maas_forest *forest;
    const double *weights; /* [n_features][n_scores] */
    const double *bias;    /* [n_scores] */
    /* The targets of the forest are, a score: constant, coefficient of each feature. */
    bool linear_leaves;
    uint8_t *use;    /* maas_boost_use [n_features]; NULL: plain all */
    bool multilabel; /* each score is a label of its own */
    int32_t n_classes;
    const int64_t *class_ints;   /* labels that are not 0..n_classes-1; else NULL */
    const maas_str *class_names; /* text labels; else NULL */
    const maas_str *feature_names, *feature_types; /* [n_features], or NULL */
    /* [n_features] or NULL. With it (and names) the whole model has an input a column, which takes
     * what the codes stand for; what stands for no code is missing. */
    const maas_boost_codes *codes;
    const char *categories; /* JSON: what pandas' categories are coded as, by column; or NULL */
} maas_boosted;

typedef struct maas_boosted_opts {
    maas_budget *budget;
    /* Only the trees up to the model's best iteration, as the wrappers for scikit-learn predict
     * after early stopping; else all trees of the file, as the makers' own Booster does. */
    bool best_iteration;
    int64_t n_iterations; /* 0: all; else the first ones only */
} maas_boosted_opts;

typedef struct maas_boosted_out {
    maas_vid raw;           /* [n, n_scores] before the link */
    maas_vid label;         /* [n] INT64, or STRING with class_names   */
    maas_vid probabilities; /* [n, n_classes] */
    maas_vid scores;        /* [n, 1] */
    maas_vid value;         /* [n], or [n, n_scores] for several */
} maas_boosted_out;         /* MAAS_NO_VALUE: the model has none */

void maas_boosted_reset(maas_boosted *m);
/* For readers: a node looks at `feature` (in range) in this way. E_UNSUPPORTED when another node
 * looks at it in another way: there is one preparation a feature. */
maas_status maas_boosted_set_use(maas_boosted *m, int32_t feature, maas_boost_use how,
                                 maas_err *err);
/* Appends the nodes that predict for rows x [n, n_features], F32 or F64; results in m->dtype. */
void maas_boosted_build(const maas_boosted *m, maas_builder *b, maas_vid x, maas_boosted_out *out);
/* The whole model: input "x" [-1, n_features], outputs as the signatures have them, metadata. */
maas_status maas_boosted_graph(const maas_boosted *m, maas_budget *budget, maas_graph **out,
                               maas_err *err);

/* ---- readers: *out is only written on success; reset it ---- */
/* XGBoost: JSON, UBJSON, the old binary form, and what pickles hold of a Booster ("handle"). */
maas_status maas_xgboost_decode(maas_span file, const maas_boosted_opts *o, maas_boosted *out,
                                maas_err *err);
/* LightGBM: the text of Booster.save_model and model_to_string. */
maas_status maas_lightgbm_decode(maas_span file, const maas_boosted_opts *o, maas_boosted *out,
                                 maas_err *err);
/* CatBoost: save_model(format="json"). */
maas_status maas_catboost_decode(maas_span file, const maas_boosted_opts *o, maas_boosted *out,
                                 maas_err *err);

/* ---- rows of formats/model.c ---- */
int maas_xgboost_probe(maas_span head);
int maas_lightgbm_probe(maas_span head);
int maas_catboost_probe(maas_span head);
maas_status maas_xgboost_read(maas_span file, maas_budget *budget, maas_graph **out, maas_err *err);
maas_status maas_lightgbm_read(maas_span file, maas_budget *budget, maas_graph **out,
                               maas_err *err);
maas_status maas_catboost_read(maas_span file, maas_budget *budget, maas_graph **out,
                               maas_err *err);

#endif
