/*
 * learn/cores/work.h - what a numerical core may use: memory, threads, and somebody to ask whether
 * to go on.
 *
 * Results and scratch of a core live in `arena`, which is charged to the job's budget; a core frees
 * nothing. Work is cut into pieces that do not depend on the number of threads, and each piece
 * writes its own part: the same job gives the same bits however many threads share it.
 *
 * Threads: one leads (the caller's, on which hooks are called). Fails: E_NOMEM past the budget,
 * E_CANCELLED.
 */
#ifndef MAAS_LEARN_CORES_WORK_H
#define MAAS_LEARN_CORES_WORK_H

#include "base/arena.h"
#include "learn/train.h"

typedef struct maas_work {
    maas_arena *arena;
    int n_threads;
    const maas_train_hooks *hooks; /* or NULL */
    uint64_t told_ns;              /* private: when progress was last reported */
} maas_work;

/* Between two steps of a loop: E_CANCELLED, or reports progress now and then. */
maas_status maas_work_go_on(maas_work *w, double fraction, const char *note, maas_err *err);
/* Zeroed; NULL and *err said when there is no memory for n * m of `size` bytes. */
void *maas_work_array(maas_work *w, int64_t n, int64_t m, size_t size, const char *what,
                      maas_err *err);
#define maas_work_doubles(w, n, m, what, err)                                                      \
    ((double *)maas_work_array(w, n, m, sizeof(double), what, err))

/* fn(user, from, to) for pieces of `grain` of 0..n-1, shared by the threads. */
typedef void (*maas_share_fn)(void *user, int64_t from, int64_t to);
void maas_work_share(const maas_work *w, int64_t n, int64_t grain, maas_share_fn fn, void *user);

#endif
