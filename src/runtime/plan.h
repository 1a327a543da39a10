/*
 * runtime/plan.h - a graph made ready for one set of concrete input shapes: a flat list of kernel
 * calls over pre-placed buffers; and executors that run it.
 *
 * A plan clones the graph, fixes the shapes, runs the passes, picks kernels and places buffers. It
 * is immutable and shared; an executor owns the activations of one run at a time. maas_exec_run
 * allocates nothing.
 *
 * Owns: folded constants, packed weights. Borrows: the graph (its constants), variables.
 * Threads: plans any; an executor one at a time. The calling thread leads the parallel region of
 * opts.n_threads threads (OpenMP); n_threads 1 never starts one (I/O threads).
 * Fails: E_INVALID names input, shape or node; E_NOMEM past the budget.
 */
#ifndef MAAS_RUNTIME_PLAN_H
#define MAAS_RUNTIME_PLAN_H

#include "graph/graph.h"

typedef struct maas_plan maas_plan;
typedef struct maas_exec maas_exec;
typedef struct maas_vars maas_vars;

typedef struct maas_plan_opts {
    int n_threads;       /* 0: all cores */
    int level;           /* of the passes, 0..2 */
    bool training;       /* Dropout drops, batch norm uses the batch */
    bool check;          /* verify between passes */
    bool reference;      /* no fast kernels: for tests */
    maas_budget *budget; /* may be NULL; must outlive the plan */
    uint64_t loop_steps; /* that all loops of one run may take; 0: MAAS_MAX_LOOP_STEPS */
} maas_plan_opts;
#define MAAS_PLAN_OPTS_INIT                                                                        \
    {                                                                                              \
        .level = 2                                                                                 \
    }

/* in_types: one type for each graph input, in order; of tensors a concrete one. */
maas_status maas_plan_create(const maas_graph *g, const maas_type *in_types,
                             const maas_plan_opts *opts, maas_plan **out, maas_err *err);
void maas_plan_destroy(maas_plan *p);
void maas_plan_ref(maas_plan *p); /* plans are counted: destroy drops one */
uint32_t maas_plan_n_steps(const maas_plan *p);
size_t maas_plan_bytes(const maas_plan *p);       /* memory the plan itself holds             */
size_t maas_plan_exec_bytes(const maas_plan *p);  /* activations an executor of it will hold  */
size_t maas_plan_block_bytes(const maas_plan *p); /* of it, what maas_exec_create_in is lent */
double
maas_plan_cost_us(const maas_plan *p); /* estimate for one run; cost model or last measured */
int64_t maas_plan_flops(const maas_plan *p);
void maas_plan_dump(const maas_plan *p, maas_buf *out); /* step, kernel, shapes, offset */

/* Variables: named, mutable, outlive runs; one writer at a time. */
maas_status maas_vars_create(const maas_graph *g, maas_budget *budget, maas_vars **out,
                             maas_err *err);
void maas_vars_destroy(maas_vars *v);
maas_tensor *maas_vars_find(maas_vars *v, const char *name); /* NULL */
uint32_t maas_vars_n(const maas_vars *v);
maas_tensor *maas_vars_at(maas_vars *v, uint32_t i, const char **out_name);

maas_status maas_exec_create(maas_plan *p, maas_vars *vars, maas_exec **out, maas_err *err);
/* The same in memory of the caller's, of maas_plan_block_bytes and aligned to 64, which outlives it
 * (NULL: its own). Executors that never run at once may share it: inputs and outputs of one are
 * gone when another was made or ran. */
maas_status maas_exec_create_in(maas_plan *p, maas_vars *vars, void *block, maas_exec **out,
                                maas_err *err);
void maas_exec_destroy(maas_exec *e);
/* Input i: write into ->data, or point ->data at bytes of the same shape before the run (borrowed
 * until it returns). dtype and dims are fixed by the plan; of a list (->holds) dims[0], and data is
 * the caller's array of items. Items must outlive the use of outputs, which may share them. */
maas_tensor *maas_exec_input(maas_exec *e, uint32_t i);
const maas_tensor *maas_exec_output(const maas_exec *e, uint32_t i); /* until the next run */
maas_status maas_exec_run(maas_exec *e, maas_err *err);
/* Fills a share of the inputs: called by each thread of the team, at the start of every run. */
typedef void maas_feed_fn(void *user, int ithr, int nthr);
void maas_exec_feed(maas_exec *e, maas_feed_fn *fn, void *user); /* NULL: the caller fills them */
/* Optional profile of the last run, which it must be switched on for: an array of objects with
 * step, op, node, kernel, ns, flops (operations) and bytes (of all operands; 0: shapes depend on
 * data). */
void maas_exec_profile(maas_exec *e, bool on);
void maas_exec_profile_json(const maas_exec *e, maas_buf *out);

#endif
