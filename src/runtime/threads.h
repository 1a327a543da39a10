/*
 * runtime/threads.h - how many threads a parallel region of the calling thread may have; and a loop
 * shared among threads, for learners.
 *
 * Threads: a limit is a property of the calling thread alone. A loop is led by the calling thread,
 * which is number 0 and takes part.
 */
#ifndef MAAS_RUNTIME_THREADS_H
#define MAAS_RUNTIME_THREADS_H

#include <stdint.h>

/* 1 on I/O threads, the cores of the lane on lanes. A build without OpenMP always has one. */
void maas_threads_limit(int n);

/* fn(arg, i, ithr) for i in 0..n-1, each once, by at most n_threads threads: whoever is free takes
 * the next. What fn makes must not depend on ithr. Returns when all are done. */
typedef void maas_loop_fn(void *arg, int64_t i, int ithr);
void maas_threads_loop(int n_threads, int64_t n, maas_loop_fn *fn, void *arg);

#endif
