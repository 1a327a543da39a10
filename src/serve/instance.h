/*
 * serve/instance.h - a model version in memory, ready to answer.
 *
 * An instance maps its artifact, keeps the graph and a bounded cache of plans, one a shape
 * signature. When all inputs and outputs share a batch dimension and rows do not influence each
 * other (shown by structure and by a trial at load), rows are padded to bucket sizes (1, 2, 4,
 * ...), so shapes do not multiply plans, and big requests are cut into chunks.
 *
 * A run borrows an executor of a plan (a lease), so a warm run allocates nothing; its outputs live
 * until maas_run_done.
 *
 * Owns: mapping, graph, plans, executors. Threads: all functions from any thread; one run belongs
 * to one thread at a time. Lifetime: counted; the last unref unmaps and frees everything.
 */
#ifndef MAAS_SERVE_INSTANCE_H
#define MAAS_SERVE_INSTANCE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/sys.h"
#include "graph/graph.h"
#include "sched/lane.h"
#include "serve/histogram.h"

typedef struct maas_instance maas_instance;
typedef struct maas_lease maas_lease; /* plans.h of this room */

typedef struct maas_port { /* an input or output, as clients see it */
    const char *name;
    maas_dtype dtype;
    int rank;
    int64_t dims[MAAS_MAX_RANK]; /* -1: any */
} maas_port;

typedef struct maas_state { /* output `out` of a run is input `in` of the next */
    uint32_t in, out;
} maas_state;

typedef struct maas_instance_stats { /* every leaf is added to without a lock */
    maas_histogram queue, compute_input, compute_infer, compute_output, success, fail;
    _Atomic uint64_t n_rows, n_execs; /* inference_count, execution_count of OIP */
    _Atomic uint64_t last_ms;
} maas_instance_stats;

typedef struct maas_instance_opts {
    maas_budget *budget;  /* of all plans and executors; may be NULL */
    int max_rows;         /* largest bucket; 0: chosen by activation size */
    uint32_t max_waiting; /* requests in the queue */
    double inline_us;     /* runs cheaper than this are answered on the I/O thread */
    /* Runs what waits in an instance's queue, on a lane; user: the instance. */
    void (*run_queue)(void *user, maas_work *list, int n_threads);
} maas_instance_opts;

/* fd: the canonical artifact (borrowed; mapped). Heavy: io thread. */
maas_status maas_instance_create(int fd, const char *name, int64_t version, uint64_t uid,
                                 const maas_instance_opts *o, maas_instance **out, maas_err *err);
void maas_instance_ref(maas_instance *m);
void maas_instance_unref(maas_instance *m); /* NULL is fine */

const char *maas_instance_name(const maas_instance *m);
int64_t maas_instance_version(const maas_instance *m);
uint64_t maas_instance_uid(const maas_instance *m);
uint32_t maas_instance_n_inputs(const maas_instance *m);
uint32_t maas_instance_n_outputs(const maas_instance *m);
const maas_port *maas_instance_inputs(const maas_instance *m);
const maas_port *maas_instance_outputs(const maas_instance *m);
int maas_instance_find_input(const maas_instance *m, const char *name, size_t n); /* -1 */
int maas_instance_find_output(const maas_instance *m, const char *name, size_t n);
bool maas_instance_batches(const maas_instance *m); /* dims[0] is a batch of independent rows */
/* What it remembers between the requests of a sequence, as far as it is known to (states.c). */
const maas_state *maas_instance_states(const maas_instance *m, uint32_t *n);
const char *maas_instance_meta(const maas_instance *m, const char *key); /* NULL */
maas_instance_stats *maas_instance_stat(maas_instance *m);
size_t maas_instance_bytes(const maas_instance *m); /* mapping, graph, plans, executors */
maas_queue *maas_instance_queue(maas_instance *m);
const maas_graph *maas_instance_graph(const maas_instance *m);

/* One request: the caller fills in[] (data borrowed until done), out[] is written by the run. */
typedef struct maas_run {
    maas_instance *model;  /* a reference is the caller's business */
    maas_arena *arena;     /* of the request: for outputs that must be gathered */
    maas_tensor *in, *out; /* [n_inputs], [n_outputs] in the arena */
    int64_t rows;          /* set by maas_run_check; 1 when the model has no batch */
    /* private */
    maas_lease *lease;
    uint64_t infer_ns; /* of the last run, for statistics */
} maas_run;

maas_status maas_run_init(maas_run *r, maas_instance *m, maas_arena *a, maas_err *err);
/* Every input present, dtype and shape as the model wants them, rows agree: E_INVALID names the
 * input. */
maas_status maas_run_check(maas_run *r, maas_err *err);
/* Fills the input of a state as it is before the first run: zeros, of sizes that inputs which are
 * there already show. */
maas_status maas_run_first_state(maas_run *r, const maas_state *s, maas_err *err);
/* After check: will it be answered in about inline_us, with a plan that exists? (never compiles) */
bool maas_run_is_cheap(const maas_run *r);
maas_status maas_run_go(maas_run *r, int n_threads, maas_err *err);
void maas_run_done(maas_run *r); /* gives the executor back; outputs are gone */
/* After check: runs it `repeat` times and appends the profile of the last (runtime/plan.h); there
 * is no output. r->infer_ns: of that run. */
maas_status maas_run_profile(maas_run *r, int repeat, int n_threads, maas_buf *out, maas_err *err);
/* Several runs of one instance in one execution; each gets its own status. */
void maas_run_batch(maas_run **runs, uint32_t n, int n_threads, maas_status *st, maas_err *err);

#endif
