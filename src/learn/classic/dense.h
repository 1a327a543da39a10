/*
 * learn/classic/dense.h - the run of a learner that is neither a network nor trees: table in, one
 * fit over plain matrices, a few nodes out.
 *
 *   dense_train:  split ─► prepared table ─► target, weights ─► kind->fit (learn/cores)
 *                 ─► kind->build: nodes over the prepared inputs, with named outputs
 *                 ─► the model asked about the rows again: metrics
 *
 * A learner says what it wants in a maas_dense_kind and begins its recipe with a maas_dense_recipe.
 * What is evaluated is the graph that is served, over raw rows.
 *
 * Owns: everything but job and data. Threads: the caller's leads. Fails: E_INVALID naming column,
 * row or parameter; E_NOMEM; E_CANCELLED.
 */
#ifndef MAAS_LEARN_CLASSIC_DENSE_H
#define MAAS_LEARN_CLASSIC_DENSE_H

#include "learn/cores/work.h"
#include "learn/matrix.h"
#include "learn/recipe.h"
#include "learn/split.h"

/* ---- parameters that all have ---- */
typedef struct maas_dense_recipe {
    double validation;
    int64_t seed, max_categories;
    bool shuffle;
    int scaling;                /* maas_scaling */
    int task;                   /* maas_task: of learners for classes and numbers */
    const json_t *class_weight; /* NULL, "balanced" or an object */
    const json_t *weight;       /* NULL or the name of a column */
    maas_preparation preparation;
} maas_dense_recipe;

extern const char *const maas_scaling_names[];
extern const char *const maas_task_names[];

#define DENSE_AT(f) offsetof(maas_dense_recipe, f)
/* clang-format off */
#define DENSE_ROWS(scaling_)                                                                       \
    {"validation", MAAS_PARAM_NUM, DENSE_AT(validation), 0, 0.9, 0,                                \
     .help = "share of the rows kept apart to measure on"},                                        \
    {"shuffle", MAAS_PARAM_BOOL, DENSE_AT(shuffle), .preset = 1,                                   \
     .help = "false: validation takes the last rows"},                                             \
    {"seed", MAAS_PARAM_INT, DENSE_AT(seed), 0, 9007199254740991.0, 0,                             \
     .help = "of whatever is drawn at random"},                                                    \
    {"scaling", MAAS_PARAM_CHOICE, DENSE_AT(scaling), .preset = scaling_,                          \
     .choices = maas_scaling_names,                                                                \
     .help = "of inputs; auto: bytes / 255, all else to mean 0 and deviation 1"},                  \
    {"max_categories", MAAS_PARAM_INT, DENSE_AT(max_categories), 1, 65536, 256,                    \
     .help = "kinds of text a column may have; rarer ones count as unknown"},                      \
    MAAS_PREPARATION_ROW(DENSE_AT(preparation))
#define DENSE_WEIGHT                                                                               \
    {"weight", MAAS_PARAM_JSON, DENSE_AT(weight),                                                  \
     .help = "name of a column that says how much each row counts; it is no input"}
#define DENSE_CLASS_WEIGHT                                                                         \
    {"class_weight", MAAS_PARAM_JSON, DENSE_AT(class_weight),                                      \
     .help = "\"balanced\" or {\"label\": weight}"}
#define DENSE_TASK                                                                                 \
    {"task", MAAS_PARAM_CHOICE, DENSE_AT(task), .preset = MAAS_TASK_ANY,                           \
     .choices = maas_task_names,                                                                   \
     .help = "auto: classes for text and whole numbers, else numbers"}
/* clang-format on */
/* What rows cannot say of these; a learner's settle calls it. */
maas_status maas_dense_settle(void *recipe, const json_t *params, maas_arena *a, maas_err *err);

/* ---- the run ---- */
typedef struct maas_dense {
    const maas_train_job *job;
    void *recipe;            /* of the learner, recipe_size bytes */
    maas_dense_recipe *head; /* its first part, or what kind->head made of it */
    maas_arena arena;
    maas_work work;
    maas_split split;
    maas_matrix matrix;
    maas_target target; /* .col NULL: none */
    int64_t n, d;       /* training rows, prepared columns */
    double *x;          /* [n][d] */
    double *weight;     /* [n], or NULL: all 1 */
    int32_t *codes;     /* [n] classes */
    double *y;          /* [n][target.width] numbers */
    void *fit;          /* of the learner, in the arena */
    json_t *metrics;
} maas_dense;

typedef struct maas_dense_kind {
    bool classes, values;   /* what the target may be; neither: no target */
    const char *task;       /* "clustering", ...; NULL: as the target is */
    int64_t score_products; /* rows asked times training rows, at most; 0: any number of rows */
    /* For a recipe that does not begin with one; NULL: it does. */
    maas_dense_recipe (*head)(const void *recipe);
    maas_status (*fit)(maas_dense *s, maas_err *err);
    void (*build)(const maas_dense *s, maas_builder *b, maas_vid x); /* and names the outputs */
} maas_dense_kind;

maas_status maas_dense_train(const maas_train_job *job, const maas_dense_kind *kind,
                             maas_train_result *out, maas_err *err);
/* For fit: a number (NaN and infinite ones are left out) or anything among the metrics. */
maas_status maas_dense_note(maas_dense *s, const char *name, double v, maas_err *err);
maas_status maas_dense_note_json(maas_dense *s, const char *name, json_t *v, maas_err *err);

/* ---- nodes (dense_build.c) ---- */
/* Constants are called "layers.0.<name>", which no column is; "input.*" as they are. NULL: no name.
 */
maas_vid maas_dense_named(maas_builder *b, const char *name, const maas_tensor *t);
maas_vid maas_dense_const(maas_builder *b, const char *name, int rank, const int64_t *dims,
                          const double *data); /* as F32 */
/* x [batch, d] times data [d][m]; the constant is named. */
maas_vid maas_dense_times(maas_builder *b, maas_vid x, const char *name, const double *data,
                          int64_t d, int64_t m);
/* data [m][d] as the constant [d][m] */
maas_vid maas_dense_times_rows(maas_builder *b, maas_vid x, const char *name, const double *data,
                               int64_t m, int64_t d);
/* One number a row: [batch, 1] -> [batch]. */
maas_vid maas_dense_flat(maas_builder *b, maas_vid v);
maas_vid maas_dense_reduce(maas_builder *b, const char *op, maas_vid x, int64_t axis, bool keep);
maas_vid maas_dense_arg(maas_builder *b, const char *op, maas_vid x);
maas_vid maas_dense_cast(maas_builder *b, maas_vid x, maas_dtype to);
maas_vid maas_dense_softmax(maas_builder *b, maas_vid z);
maas_vid maas_dense_concat(maas_builder *b, const maas_vid *in, uint32_t n);
/* Logits [batch, 1] (two classes) or [batch, k] -> outputs label and probabilities. */
void maas_dense_logits(const maas_dense *s, maas_builder *b, maas_vid z);
void maas_dense_chances(const maas_dense *s, maas_builder *b, maas_vid p);
/* [batch, t] -> output value, [batch] for a plain column */
void maas_dense_values(const maas_dense *s, maas_builder *b, maas_vid z);
/* Squared distances [batch, m] of x to the rows of `points` [m][d]: by differences where they are
 * few, else by a product of rows around their mean, never below 0. */
maas_vid maas_dense_distances(maas_builder *b, maas_vid x, const char *name, const double *points,
                              int64_t m, int64_t d);

/* The k least of v [batch, m], in order: values, and their numbers INT64. */
void maas_dense_least(maas_builder *b, maas_vid v, int64_t k, maas_vid out[2]);
/* The k nearest rows of `points` [m][d] by squared distance, nearest first (the lower row of
 * equals): *out_d2 [batch, k], and their numbers *out_which [batch, k] INT64. Among many points
 * they are found by a product and measured again by differences. */
void maas_dense_nearest(maas_builder *b, maas_vid x, const double *points, int64_t m, int64_t d,
                        int64_t k, maas_vid *out_d2, maas_vid *out_which);

#endif
