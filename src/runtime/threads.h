/*
 * runtime/threads.h - how many threads a parallel region of the calling thread may have.
 * Threads: sets a property of the calling thread alone.
 */
#ifndef MAAS_RUNTIME_THREADS_H
#define MAAS_RUNTIME_THREADS_H

/* 1 on I/O threads, the cores of the lane on lanes. A build without OpenMP always has one. */
void maas_threads_limit(int n);

#endif
