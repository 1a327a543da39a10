/*
 * formats/sklearn/hist_tree.h - a TreePredictor of histogram boosting as one tree of a forest.
 *
 * A categorical split is a set of categories that go left. Categories the training rows did not
 * have, and negative ones, count as missing; so a node whose missing values go left is said as the
 * set of the known categories that go right.
 */
#ifndef MAAS_FORMATS_SKLEARN_HIST_TREE_H
#define MAAS_FORMATS_SKLEARN_HIST_TREE_H

#include "formats/sklearn/sklearn.h"
#include "ops/forest.h"

enum { MAAS_SK_MAX_CATEGORIES = 256, MAAS_SK_SET_WORDS = MAAS_SK_MAX_CATEGORIES / 32 };

/* Categories of a column that the training rows had. */
typedef struct maas_sk_categories {
    uint32_t words[MAAS_SK_SET_WORDS];
} maas_sk_categories;

/* Appends predictor v = _predictors[round][k], whose leaves add to target k; known[n_features] or
 * NULL: no feature has categories. E_FORMAT names predictor and node. */
maas_status maas_sk_hist_tree_add(maas_sk *s, const maas_pk *v, int64_t round, int64_t k,
                                  const maas_sk_categories *known, maas_forest *f);

#endif
