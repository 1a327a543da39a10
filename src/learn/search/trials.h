/*
 * learn/search/trials.h - what is known of each candidate: scores by fold, and what follows from
 * them. Only for the files of this folder.
 *
 * Owns: its arrays (maas_trials_reset). Threads: `lock` guards everything but `candidates`.
 */
#ifndef MAAS_LEARN_SEARCH_TRIALS_H
#define MAAS_LEARN_SEARCH_TRIALS_H

#include <pthread.h>

#include "learn/search/search.h"

typedef struct maas_trial_fit { /* one candidate on one fold */
    bool done;
    double score, fit_seconds, score_seconds;
    uint64_t bytes; /* of the model file */
} maas_trial_fit;

typedef struct maas_trial {
    maas_trial_fit *fits; /* [folds] */
    bool out;             /* dropped by an earlier round of halving */
    bool failed;
    char error[200];
    int64_t round, rows; /* of the last measurement */
    /* by maas_trials_rank */
    bool complete;
    double mean, deviation;
    int64_t rank; /* 1: the best */
} maas_trial;

typedef struct maas_trials {
    const maas_candidates *candidates;
    maas_trial *at; /* [candidates->n] */
    maas_trial_fit *fits;
    uint32_t *order;                       /* by rank */
    int64_t folds, round, n_done, n_total; /* fits of this round */
    char scoring[64];                      /* name, once a model was judged */
    pthread_mutex_t lock;
} maas_trials;

maas_status maas_trials_init(maas_trials *t, const maas_candidates *c, int64_t folds,
                             maas_err *err);
void maas_trials_reset(maas_trials *t);
/* Means, deviations and ranks of what is complete; order[] best first. Returns how many are
 * complete. */
size_t maas_trials_rank(maas_trials *t);
/* NULL: no memory. limit 0: all of them. */
json_t *maas_trials_leaderboard(const maas_trials *t, size_t limit);
/* The state of a search and back; E_FORMAT when it is of another one. */
json_t *maas_trials_dump(const maas_trials *t);
maas_status maas_trials_restore(maas_trials *t, const json_t *state, maas_err *err);

#endif
