/*
 * serve/plans.h - the plans of one instance, one a shape signature, and their idle executors.
 *
 * Owns: plans and executors. Borrows: the graph. Threads: any; `lock` is a leaf, and nothing is
 * compiled while it is held (two threads may compile the same plan; one result is kept).
 * Bounded: the least recently used plan is dropped above MAX_PLANS; leases outlive that.
 */
#ifndef MAAS_SERVE_PLANS_H
#define MAAS_SERVE_PLANS_H

#include <pthread.h>

#include "runtime/plan.h"

typedef struct maas_plan_entry maas_plan_entry;

struct maas_lease { /* an executor, borrowed by one run */
    maas_exec *exec;
    maas_plan_entry *entry;
    struct maas_lease *next;
    void *own[]; /* [n_inputs] the executor's own input buffers: binding is undone on return */
};
typedef struct maas_lease maas_lease;

typedef struct maas_plans {
    const maas_graph *graph;
    maas_budget *budget;
    pthread_mutex_t lock;
    /* under lock */
    maas_plan_entry *newest; /* most recently used first */
    uint32_t n;
} maas_plans;

void maas_plans_init(maas_plans *p, const maas_graph *g, maas_budget *budget);
void maas_plans_reset(maas_plans *p);
/* A lease on the plan for these concrete input types; compiles when `compile` is set, else
 * E_UNAVAILABLE for a plan that does not exist. */
maas_status maas_plans_lease(maas_plans *p, const maas_type *in, int n_threads, bool compile,
                             maas_lease **out, maas_err *err);
void maas_plans_return(maas_plans *p, maas_lease *l);
/* Estimated time of a run in us; a negative number when there is no such plan yet. */
double maas_plans_cost_us(maas_plans *p, const maas_type *in, int n_threads);
size_t maas_plans_bytes(maas_plans *p);
const maas_plan *maas_lease_plan(const maas_lease *l);

#endif
