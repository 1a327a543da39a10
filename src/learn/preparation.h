/*
 * learn/preparation.h - how raw columns become inputs, beyond scaling: gaps, text, dates. The group
 * "preparation" of a learner's parameters; what it decides are nodes of the model (features.h).
 *
 * Owns: nothing. Threads: read-only once read.
 */
#ifndef MAAS_LEARN_PREPARATION_H
#define MAAS_LEARN_PREPARATION_H

#include "learn/param.h"

typedef enum maas_impute {
    MAAS_IMPUTE_MEAN,
    MAAS_IMPUTE_MEDIAN,
    MAAS_IMPUTE_MOST_FREQUENT,
    MAAS_IMPUTE_CONSTANT
} maas_impute;

typedef struct maas_preparation {
    bool on;
    int impute;            /* maas_impute */
    double fill;           /* of CONSTANT */
    int text;              /* maas_text_way */
    const json_t *columns; /* borrowed: {"column": "way"}, or NULL */
    int64_t max_words, ngrams, hash_columns;
    double smooth;
} maas_preparation;

typedef enum maas_text_way { /* names: maas_text_way_names; all but these two are maas_encoders */
                             MAAS_TEXT_AUTO,
                             MAAS_TEXT_ONE_HOT
} maas_text_way;
extern const char *const maas_text_way_names[];

#define MAAS_N_PREPARATION 8
extern const maas_param maas_preparation_rows[MAAS_N_PREPARATION];
#define MAAS_PREPARATION_ROW(offset_)                                                              \
    {                                                                                              \
        "preparation", MAAS_PARAM_GROUP, offset_, .rows = maas_preparation_rows,                   \
                                                  .n_rows = MAAS_N_PREPARATION,                    \
                                                  .help = "of gaps, text and dates, in the model"  \
    }

/* What a row alone cannot say: the names in `columns`. */
maas_status maas_preparation_check(const maas_preparation *p, maas_err *err);
/* The way of a text column: by its name, else the general one. */
int maas_preparation_way(const maas_preparation *p, const char *column);

#endif
