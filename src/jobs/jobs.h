/*
 * jobs/jobs.h - the queue of jobs and their life: queued, running, succeeded | failed | cancelled.
 *
 * A job asks for cores and memory; the queue starts it when both are free, by priority then age,
 * and leaves the serving lanes their share; a waiting job says why in "waiting_for". The work is
 * done by a worker process; the server only commits what the worker reports. A worker that dies
 * fails its job with an honest error; after a restart of the server, jobs that were running go on
 * from their last checkpoint or fail.
 *
 * Threads: one "jobs" thread owns all state; functions may be called from any thread that may
 * touch disk (io threads), except [any]. Registry rows are the truth; what is live (progress) is
 * merged in by get.
 */
#ifndef MAAS_JOBS_JOBS_H
#define MAAS_JOBS_JOBS_H

#include "jobs/helper.h"
#include "registry/registry.h"

typedef struct maas_jobs maas_jobs;

typedef struct maas_jobs_opts {
    maas_registry *registry;
    maas_helper *helper;
    const char *data_dir;  /* given to workers */
    int n_cores;           /* for jobs; 0: all of the machine */
    uint64_t memory_bytes; /* for all jobs together; 0: half of the machine */
    int max_queued;        /* E_BUSY above */
    void *user;
    void (*changed)(void *user); /* a job changed state or published; any thread; may be NULL */
} maas_jobs_opts;

maas_status maas_jobs_create(const maas_jobs_opts *o, maas_jobs **out, maas_err *err);
/* Stops taking work and ends event streams; running workers get SIGTERM (they checkpoint), then
 * SIGKILL after the deadline. Their jobs stay "running" in the registry and resume at the next
 * start. Requests that are under way may go on asking until destroy. */
void maas_jobs_stop(maas_jobs *j, int deadline_ms);
void maas_jobs_destroy(maas_jobs *j);

/* Checks the spec (kind, model, dataset "name" or "name:3", target, learner, params, resources,
 * priority, parent/version for kind update), writes the row, queues it. Unknown fields, data sets,
 * columns, learners and parameters are refused by name. *out: the job as GET shows it. */
maas_status maas_jobs_submit(maas_jobs *j, maas_tenant t, const json_t *spec, json_t **out,
                             maas_err *err);
maas_status maas_jobs_get(maas_jobs *j, maas_tenant t, const char *id, json_t **out, maas_err *err);
maas_status maas_jobs_list(maas_jobs *j, maas_tenant t, const char *state, json_t **out,
                           maas_err *err);
/* A queued job is cancelled at once, a running one as soon as its worker stops; E_CONFLICT when it
 * has ended. */
maas_status maas_jobs_cancel(maas_jobs *j, maas_tenant t, const char *id, json_t **out,
                             maas_err *err);

/* Live events: fn gets each event as one JSON text, first the present state; `last` is true when
 * the job has ended or the server stops. fn runs on the jobs thread and must not block; false from
 * fn unsubscribes. */
typedef bool (*maas_job_event)(void *user, const char *json, size_t n, bool last);
maas_status maas_jobs_subscribe(maas_jobs *j, maas_tenant t, const char *id, maas_job_event fn,
                                void *user, maas_err *err);

typedef struct maas_jobs_counts { /* [any] for metrics */
    uint32_t queued, running;
    uint64_t succeeded, failed, cancelled;
} maas_jobs_counts;
maas_jobs_counts maas_jobs_count(maas_jobs *j);

/* Entry of the worker process (`maas worker --fd N`): reads the spec, works, reports, returns an
 * exit code. */
int maas_worker_main(int fd);

#endif
