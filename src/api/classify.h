/*
 * api/classify.h - the best classes of each row, and their names: Triton's classification extension
 * and the answer to an image.
 */
#ifndef MAAS_API_CLASSIFY_H
#define MAAS_API_CLASSIFY_H

#include "api/infer.h"

/* Names of classes: the metadata "maas.classes" of a version. */
typedef struct maas_labels {
    json_t *list; /* NULL: none */
    int64_t n;
} maas_labels;
void maas_labels_of(const maas_instance *m, maas_labels *out);
void maas_labels_reset(maas_labels *l);
/* The text of class i into buf; "" when it has none. */
const char *maas_label_text(const maas_labels *l, int64_t i, char buf[32]);

typedef struct maas_ranked {
    double score;
    int64_t index;
} maas_ranked;
/* rows * *k entries, best first, in the arena; a row is the last dimension, or all that is behind
 * the first one when `whole`. *k is lowered to the classes there are; *rows is written. */
maas_status maas_rank(maas_arena *a, const maas_tensor *t, bool whole, int64_t *k, int64_t *rows,
                      maas_ranked **out, maas_err *err);
/* "score:index[:label]" of ranked classes as a BYTES tensor [rows, k]. */
maas_status maas_rank_texts(maas_arena *a, const maas_ranked *ranked, int64_t rows, int64_t k,
                            const maas_labels *l, maas_tensor *out, maas_err *err);

#endif
