/*
 * lm/encoder.h - a model that reads whole texts and answers each with a vector (an embedding) or a
 * number (how well a pair of texts fits: a reranker). Models that read both ways, and language
 * models whose file says how their tokens are pooled.
 *
 * What a text gets depends on it alone: not on its company in a run, to the last bit.
 *
 * Owns: graph, plans. Borrows: the source (weights stay in the mapped file; repacked copies are the
 * kernels'). Threads: one at a time. Fails: E_UNSUPPORTED names the architecture or key, E_FORMAT
 * the key or weight, E_NOMEM.
 */
#ifndef MAAS_LM_ENCODER_H
#define MAAS_LM_ENCODER_H

#include "lm/model.h"

typedef struct maas_encoder maas_encoder;

typedef enum maas_pooling { /* how tokens become one answer; numbers of "%s.pooling_type" */
                            MAAS_POOL_MEAN = 1,
                            MAAS_POOL_FIRST = 2,
                            MAAS_POOL_LAST = 3,
                            MAAS_POOL_RANK = 4 /* the first, through a head that gives a number */
} maas_pooling;

typedef struct maas_encoder_opts {
    int n_threads;       /* 0: all cores */
    maas_budget *budget; /* of plans; may be NULL; must outlive the encoder */
    int32_t max_rows;    /* tokens of a run, unless one text has more; 0: 2048 */
    size_t cache_bytes;  /* of language models, as in lm/model.h: bounds the length of a text */
} maas_encoder_opts;

typedef struct maas_encoder_info {
    maas_lm_info lm; /* n_blocks 0: it needs no cache */
    maas_pooling pooling;
    int32_t n_out; /* numbers of an answer */
} maas_encoder_info;

/* Is it an encoder by its architecture, or a language model that is pooled? */
bool maas_encoder_is(const maas_lm_source *s);
const char *maas_pooling_name(maas_pooling p); /* "mean" */
/* All keys and weights that a run needs are there and have their shapes. */
maas_status maas_encoder_check(const maas_lm_source *s, maas_encoder_info *out, maas_err *err);
maas_status maas_encoder_create(const maas_lm_source *s, const maas_encoder_opts *o,
                                maas_encoder **out, maas_err *err);
void maas_encoder_destroy(maas_encoder *e); /* NULL is fine */
const maas_encoder_info *maas_encoder_about(const maas_encoder *e);

typedef struct maas_encoder_text {
    const int32_t *tokens; /* in the vocabulary */
    int32_t n;             /* 1 .. about->lm.n_context */
    int32_t second;        /* where the second text of a pair begins; n: there is none */
    float *out;            /* [n_out]: of length 1, or a logit */
} maas_encoder_text;

/* Texts are padded to one of few lengths; those of one run must have the same. */
int32_t maas_encoder_length(const maas_encoder *e, int32_t n);
int32_t maas_encoder_room(const maas_encoder *e, int32_t length); /* texts of it in one run */
maas_status maas_encoder_run(maas_encoder *e, const maas_encoder_text *texts, int32_t n,
                             maas_err *err);

#endif
