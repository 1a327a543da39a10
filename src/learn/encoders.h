/*
 * learn/encoders.h - ways of a text column other than one-hot: rows of a table.
 *
 *   ordinal  number of the category in sorted order, -1 unknown
 *   target   mean of the target in the category, drawn to the mean of all; a number a class for k
 * > 2. Training rows get the mean of the other four fifths (by their order), so that a learner does
 * not read the target off its own row hashing  words hashed into so many columns (runs in this
 * server only) tfidf    words of a vocabulary, rare ones count more; length 1  (runs in this server
 * only) date     year, month, day, hour, weekday, days since 1970       (runs in this server only)
 *
 * An encoder is what it writes into a graph; cells of all rows come from running just that, but for
 * `target` on training rows. Its numbers are filled and scaled as those of number columns are where
 * it says so.
 *
 * Owns: state in the arena of the features. Threads: fitting one at a time. Fails: E_INVALID naming
 * column and row, E_NOMEM.
 */
#ifndef MAAS_LEARN_ENCODERS_H
#define MAAS_LEARN_ENCODERS_H

#include "learn/features.h"

typedef struct maas_encoding { /* of one column while it is fitted */
    maas_features *fs;
    maas_feature *f;
    const maas_features_opts *o;
    const maas_rows *train;
} maas_encoding;

struct maas_encoder {
    const char *name;
    bool categories; /* needs f->categories and f->codes */
    bool scaled;     /* its numbers are filled and scaled */
    maas_status (*fit)(const maas_encoding *e, maas_err *err); /* sets f->width, f->state */
    /* text [batch, 1] -> F32 [batch, width] */
    maas_vid (*build)(const maas_feature *f, maas_builder *b, maas_vid text);
    /* After the cells of all rows are there, the training rows' own; NULL: the same. */
    maas_status (*refine)(const maas_encoding *e, maas_err *err);
};

extern const maas_encoder maas_encoder_ordinal, maas_encoder_target, maas_encoder_hashing,
    maas_encoder_tfidf, maas_encoder_date;

/* Which encoder a text column gets; NULL: categories, one-hot or codes. */
const maas_encoder *maas_encoder_of(const maas_features_opts *o, const maas_ds_column *c,
                                    const maas_rows *train);
/* Fits it, and fills f->values of all rows. */
maas_status maas_encoder_fit(const maas_encoding *e, maas_err *err);
/* Nodes of the model file, scaling included. */
maas_vid maas_encoder_build(const maas_feature *f, maas_builder *b, maas_vid text);

#endif
