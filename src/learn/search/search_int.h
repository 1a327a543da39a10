/* learn/search/search_int.h - shared by the files of a running search; nobody else includes it. */
#ifndef MAAS_LEARN_SEARCH_SEARCH_INT_H
#define MAAS_LEARN_SEARCH_SEARCH_INT_H

#include "learn/search/trials.h"

typedef struct maas_searching {
    const maas_train_job *job;
    const maas_search_plan *plan;
    maas_folds folds;
    maas_trials trials;
    int64_t rows;         /* training rows of a fit in this round; 0: all */
    uint64_t deadline_ns; /* 0: none */
} maas_searching;

/* search/evaluate.c: candidate `number` on fold f, on the calling thread with n_threads. Any
 * thread. */
maas_status maas_search_fit(const maas_searching *s, size_t number, int64_t f, int n_threads,
                            maas_trial_fit *out, char scoring[64], maas_err *err);
/* search/pool.c: all fits of this round that are not done. Ends early with E_CANCELLED, or at the
 * deadline. */
maas_status maas_search_round(maas_searching *s, maas_err *err);

#endif
