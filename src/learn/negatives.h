/*
 * learn/negatives.h - learning from positives: pairs of query and candidate that nobody has seen.
 *
 * For every row of class 1 some rows are made up: its query columns with the candidate columns of
 * another training row, class 0. A pair that the training rows have as class 1 is drawn again
 * (a few times: a query may have nearly all candidates). Rows of class 0 of the data stay as they
 * are.
 *
 *   MAAS_NEGATIVES_ROWS        a candidate comes as often as rows of class 1 have it
 *   MAAS_NEGATIVES_CANDIDATES  each different candidate equally often
 *
 * Which columns are the candidate: towers.h. Two rows have the same query (candidate) when the
 * model sees the same: unknown categories are one.
 *
 * Also lists for ranking (NDCG): each validation row of class 1 among candidates that its query has
 * in no row of class 1; or, without negatives, the validation rows of each query.
 *
 * Owns: its lists, charged to the budget (the reset functions). Borrows: features and target.
 * Threads: read-only once made; draws take the caller's generator. Fails: E_INVALID, E_NOMEM.
 */
#ifndef MAAS_LEARN_NEGATIVES_H
#define MAAS_LEARN_NEGATIVES_H

#include "learn/target.h"

typedef enum maas_negatives_from {
    MAAS_NEGATIVES_ROWS,
    MAAS_NEGATIVES_CANDIDATES
} maas_negatives_from;

typedef struct maas_negatives {
    int64_t per_row; /* params.negatives; 0: pairs are not made up, the lists serve ranking only */
    const maas_target *target;
    uint32_t *query, *candidate; /* [rows] which one it is */
    maas_rows pool, different;   /* rows to draw from; one row of each candidate in it */
    uint64_t *known[2];          /* sorted pairs of class 1: of training, of validation rows */
    int64_t n_known[2];
    maas_budget *budget;
    size_t charged;
} maas_negatives;
enum { MAAS_KNOWN_TRAINING = 1, MAAS_KNOWN_ALL = 2 }; /* whose pairs are not made up */

typedef struct maas_ranking { /* groups that lie one after another */
    maas_samples samples;
    float *gain, *z;  /* [samples.n]; z: scores of one evaluation */
    int64_t *starts;  /* [n_groups + 1] */
    int64_t n_groups; /* 0: there is nothing to rank */
    maas_budget *budget;
    size_t charged;
} maas_ranking;

/* Without params.towers nothing is made. */
maas_status maas_negatives_init(maas_negatives *g, const maas_recipe *r, const maas_features *fs,
                                const maas_target *t, const maas_rows *train, const maas_rows *val,
                                maas_budget *budget, maas_err *err);
void maas_negatives_reset(maas_negatives *g);
/* Rows that `rows` become. */
int64_t maas_negatives_count(const maas_negatives *g, const maas_rows *rows);
/* Lists of that many; NULL lists where nothing is made up. */
maas_status maas_negatives_room(maas_negatives *g, const maas_rows *rows, maas_samples *out,
                                maas_err *err);
/* Each row, and after it those made up for it. `known`: MAAS_KNOWN_... */
void maas_negatives_draw(const maas_negatives *g, maas_rng *rng, const maas_rows *rows, int known,
                         maas_samples *out);
/* Whether any row of class 1 has the query of `row` and the candidate of `candidate`. */
bool maas_negatives_knows(const maas_negatives *g, uint32_t row, uint32_t candidate);
void maas_samples_free(maas_samples *s); /* what maas_negatives_room has given */

maas_status maas_ranking_init(maas_ranking *k, const maas_negatives *g, const maas_recipe *r,
                              const maas_rows *val, maas_budget *budget, maas_err *err);
void maas_ranking_reset(maas_ranking *k);
/* Mean NDCG of the groups at `at` places. NaN: there is none. */
double maas_ranking_ndcg(const maas_ranking *k, int64_t at);

#endif
