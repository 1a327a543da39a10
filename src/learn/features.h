/*
 * learn/features.h - from the columns of a data set to the first layer's input.
 *
 *   TENSOR   one tensor column:           x [-1, its shape]
 *   TABLE    numeric columns:             x [-1, n], in column order
 *   MIXED    numeric and string columns:  one input a column, [-1, 1]
 *   NAMED    with `by_name`:              one input a column, [-1, its shape], as floats
 *
 * With `fields` (recommenders) categories are not one-hot but row numbers of tables of vectors, and
 * whole-number columns may be categories, too: see maas_net_fields in net.h.
 *
 * Serving gets raw values; filling gaps, scaling and one-hot encoding are nodes of the graph. In
 * training the same nodes run, but over a batch gathered here: numbers as one block (bytes stay
 * bytes: a quarter of the traffic), strings as category numbers looked up once at the start.
 *
 * Owns: constants, categories and codes (maas_features_reset). Borrows: the data set.
 * Threads: read-only once fitted. Fails: E_INVALID naming column and row.
 */
#ifndef MAAS_LEARN_FEATURES_H
#define MAAS_LEARN_FEATURES_H

#include "learn/dataset.h"
#include "learn/net.h"
#include "learn/preparation.h"
#include "learn/split.h"

typedef enum maas_layout {
    MAAS_LAYOUT_TENSOR,
    MAAS_LAYOUT_TABLE,
    MAAS_LAYOUT_MIXED,
    MAAS_LAYOUT_NAMED
} maas_layout;

typedef struct maas_features_opts {
    int scaling; /* maas_scaling */
    int64_t max_categories;
    bool ids;     /* whole numbers for an embedding: as they are, a gap is 0             */
    bool gaps;    /* gaps stay NaN: the learner knows what to do with them               */
    bool codes;   /* text becomes its category's number, unknown NaN; else one-hot       */
    bool matrix;  /* also lay rows side by side for batches, when they fit                 */
    bool fields;  /* categories become rows of tables: text, and columns in `categories`   */
    bool by_name; /* every column is an input of its own, for a graph from elsewhere      */
    const json_t *categories;   /* fields: whole-number columns that are categories; or NULL */
    const json_t *towers;       /* fields: see towers.h; or NULL */
    const json_t *hash_buckets; /* fields: a number, {"column": number}, or NULL: vocabularies */
    const maas_preparation *preparation; /* NULL: gaps become the mean, text one-hot */
    const struct maas_target *target;    /* for encoding by target; or NULL */
    const char *const *skip; /* columns that are no inputs: target, weights, groups... */
    uint32_t n_skip;         /* NULL entries are skipped themselves                    */
} maas_features_opts;

typedef struct maas_feature {
    const maas_ds_column *col;
    char *input;          /* name of its input when MIXED */
    bool is_text;         /* cells are categories: text, or whole numbers (`is_whole`) */
    bool is_whole;        /* categories that are whole numbers, sorted in `numbers` */
    maas_str *categories; /* text: sorted, bytes borrowed from the data set or the parent's meta */
    int64_t *numbers;
    int64_t n_categories;               /* or buckets */
    int tower;                          /* maas_tower: whose column it is; ALL: none named */
    bool hashed;                        /* no list of categories: hashed into buckets */
    int32_t *codes;                     /* text: [rows], -1: no known category */
    const struct maas_encoder *encoder; /* text: another way than categories; NULL: none */
    int64_t width;                      /* of the encoder: numbers a row */
    float *values;                      /* of the encoder: [rows][width], ready */
    float *unit;                        /* of the encoder: fill, shift and scale, [width] each */
    void *state;                        /* of the encoder */
} maas_feature;

typedef struct maas_features {
    maas_features_opts opts; /* `skip` is not kept */
    maas_layout layout;
    maas_feature *f;
    uint32_t n, n_text;
    int64_t n_rows, n_numbers;   /* rows; numbers in one row                          */
    maas_dtype raw;              /* of the gathered block: U8 or F32                  */
    float *fill, *shift, *scale; /* (x - shift) * scale, gaps as fill; [n_consts]     */
    int64_t n_consts;            /* 1 or n_numbers                                    */
    bool has_fill, has_shift, has_scale;
    float *matrix;          /* TABLE, MIXED: [rows][n_numbers] when it fits, or NULL */
    json_t *parent_columns; /* owner of inherited category bytes */
    maas_arena arena;       /* of the encoders */
    maas_budget *budget;
    size_t charged;
} maas_features;

/* learn/encoders.h */
typedef struct maas_encoder maas_encoder;

/* `parent`: constants and categories are taken from it, and columns must match its own. */
maas_status maas_features_fit(maas_features *fs, const maas_dataset *data,
                              const maas_features_opts *opts, const maas_rows *train,
                              const maas_graph *parent, maas_budget *budget, maas_err *err);
/* Numbers that a row has of one column, and of all, once text is encoded. */
int64_t maas_feature_width(const maas_features *fs, const maas_feature *f);
int64_t maas_features_width(const maas_features *fs);
void maas_features_reset(maas_features *fs);

/* Inputs of a training or evaluation graph, in the order that maas_features_gather fills. */
maas_vid maas_features_build_raw(const maas_features *fs, maas_net *net);
/* Inputs of the model file. */
maas_vid maas_features_build_export(const maas_features *fs, maas_builder *b, int64_t batch);
/* Both for `fields`: net->fields is set; what comes back are the numbers, or MAAS_NO_VALUE. */
maas_vid maas_features_build_fields(const maas_features *fs, maas_net *net, bool export);
/* "maas.columns": [{"name","input","dtype","shape","categories"}]; NULL: no memory or not UTF-8. */
json_t *maas_features_json(const maas_features *fs);

/* Rows of a batch, in the order of learning. Candidate columns may come from another row: then it
 * is a pair that was made up (negatives.h). */
typedef struct maas_samples {
    uint32_t *rows, *candidates; /* [n] rows of the data set; candidates NULL: the same rows */
    int64_t n;
} maas_samples;

/* Copies rows [from, to) of a batch into the inputs: in[0] the numbers (if any), then one of codes
 * a text column. */
void maas_features_gather(const maas_features *fs, const maas_samples *s, int64_t from, int64_t to,
                          void *const *in);
uint32_t maas_features_n_raw(const maas_features *fs);
/* Largest value of the numbers, for embeddings; E_INVALID for what is not a whole number >= 0. */
maas_status maas_features_largest(const maas_features *fs, int64_t *out, maas_err *err);

#endif
