/*
 * sched/lane.h - compute lanes: host threads that own cores and run model work.
 *
 * Work waits in queues (one an instance); a lane takes the next queue that has work, round robin,
 * so that one busy model does not starve the others, and hands everything that waits in it to the
 * queue's `run`: natural batching, no delay knob. A queue runs on one lane at a time.
 *
 * Owns: the threads. Borrows: queues, which must be empty and detached before they die
 * (maas_queue_detach waits). Threads: submit from any. Fails: E_BUSY when the queue is full.
 */
#ifndef MAAS_SCHED_LANE_H
#define MAAS_SCHED_LANE_H

#include <pthread.h>

#include "base/status.h"

typedef struct maas_lanes maas_lanes;

typedef struct maas_work { /* intrusive: first member of what waits */
    struct maas_work *next;
    uint64_t queued_ns;
} maas_work;

typedef struct maas_queue {
    /* Takes the whole list, oldest first; replies to each. Runs on a lane of n_threads cores. */
    void (*run)(void *user, maas_work *list, int n_threads);
    /* true before a run, false when the lane is done with the queue: a reference that keeps the
     * queue alive while the last of its work is answered. May be NULL. */
    void (*hold)(void *user, bool on);
    void *user;
    uint32_t max_waiting;
    /* private, under the lock of the lanes */
    struct maas_queue *next;
    maas_work *head, **tail;
    uint32_t n_waiting;
    bool listed, running;
} maas_queue;

/* n_lanes threads named "lane-N"; each may use threads_per_lane cores in parallel regions. */
maas_status maas_lanes_create(int n_lanes, int threads_per_lane, maas_lanes **out, maas_err *err);
void maas_lanes_destroy(maas_lanes *l);      /* finishes what waits */
int maas_lanes_threads(const maas_lanes *l); /* cores of one lane */
void maas_queue_init(maas_queue *q, void (*run)(void *, maas_work *, int), void *user,
                     uint32_t max_waiting);
maas_status maas_queue_submit(maas_lanes *l, maas_queue *q, maas_work *w, maas_err *err);
void maas_queue_detach(maas_lanes *l, maas_queue *q); /* waits until nothing of q waits or runs */
uint32_t maas_lanes_waiting(maas_lanes *l);           /* work of all queues */

#endif
