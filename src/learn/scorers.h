/*
 * learn/scorers.h - how good the answers of a model are, by the names scikit-learn's `scoring` has:
 * larger is always better ("neg_" ones are errors with their sign turned).
 *
 * A judged model is its answers next to the truth: class numbers (in the order of the model's
 * probabilities) and chances, or values. Owns: its arrays (maas_judged_reset). Threads: read-only
 * once made.
 */
#ifndef MAAS_LEARN_SCORERS_H
#define MAAS_LEARN_SCORERS_H

#include "learn/apply.h"

typedef struct maas_judged {
    int64_t n;
    bool is_class;
    int64_t k;                    /* classes, or values a row */
    const int32_t *truth, *guess; /* classes: [n]; truth -1: a class the model has never seen */
    const double *chances;        /* classes: [n][k]; NULL: the model gives none */
    const double *want, *got;     /* numbers: [n][k] */
    maas_arena arena;
} maas_judged;

/* The outputs of `g` over the rows of `d` (maas_apply) against its column `target`: "label" with
 * the labels of the metadata, "value", or the only output of a network from elsewhere (scores of
 * the classes 0.. where the column is whole numbers, else numbers). */
maas_status maas_judge(const maas_graph *g, const maas_applied *a, const maas_dataset *d,
                       const char *target, maas_budget *budget, maas_judged *out, maas_err *err);
void maas_judged_reset(maas_judged *j);

typedef struct maas_scorer {
    const char *name, *help;
    bool for_classes, needs_chances;
    /* NaN when it is not defined (one class only). scratch: 3 * k + n doubles. */
    double (*score)(const maas_judged *j, double *scratch);
} maas_scorer;
extern const maas_scorer maas_scorers[];
extern const size_t maas_n_scorers;

/* NULL name: accuracy for classes, r2 for numbers. E_INVALID lists the names. */
maas_status maas_scorer_find(const char *name, bool classes, const maas_scorer **out,
                             maas_err *err);
maas_status maas_score_judged(const maas_scorer *s, maas_judged *j, double *out, maas_err *err);

#endif
