/*
 * formats/sklearn/training.h - what estimators that keep their training rows have in common.
 */
#ifndef MAAS_FORMATS_SKLEARN_TRAINING_H
#define MAAS_FORMATS_SKLEARN_TRAINING_H

#include "formats/sklearn/distances.h"

typedef struct maas_sk_training {
    const maas_tensor *rows; /* _fit_X [m, n_features] */
    int64_t m, n_features;
    int64_t k; /* neighbours that are asked, 1 .. m */
    maas_sk_metric metric;
} maas_sk_training;

/* k_name: the attribute with k; NULL: all of them, k is m. */
maas_status maas_sk_training_read(maas_sk *s, const maas_pk *est, const char *k_name,
                                  maas_sk_training *out);
/* weights: 'uniform' or 'distance'. */
maas_status maas_sk_by_distance(maas_sk *s, const maas_pk *est, bool *out);
/* _y of a classifier of one target: numbers of classes, I64 [m]. */
maas_status maas_sk_class_numbers(maas_sk *s, const maas_pk *est, int64_t m, int64_t n_classes,
                                  const maas_tensor **out);
/* distance [n, k] -> 1 / distance; where a row is at distance 0 of some, those count 1 and the
 * others nothing. */
maas_vid maas_sk_inverse(maas_sk *s, maas_vid distance);

#endif
