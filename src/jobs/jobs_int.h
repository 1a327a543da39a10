/*
 * jobs/jobs_int.h - the inside of the queue: jobs.c (thread, messages), job_run.c (one job's life),
 * job_spec.c (what a request may ask for).
 *
 *   submit ──► QUEUED ──► RUNNING ──► ended (row of the registry)
 *                 ▲           │ server stopped: the row stays "running"
 *                 └───────────┘ next start: resumes from the last checkpoint
 */
#ifndef MAAS_JOBS_JOBS_INT_H
#define MAAS_JOBS_JOBS_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/mailbox.h"
#include "jobs/jobs.h"

typedef struct maas_subscriber {
    struct maas_subscriber *next;
    maas_job_event fn;
    void *user;
} maas_subscriber;

typedef struct maas_job {
    /* written once */
    struct maas_job *next; /* under lock: the list */
    maas_jobs *all;
    maas_tenant tenant;
    char id[32];
    json_t *spec;
    int64_t priority, n_cores; /* n_cores: what it occupies */
    bool all_cores;            /* asked for 0: all, niced   */
    uint64_t memory;           /* bytes                     */
    uint64_t seq;              /* age                       */
    /* under lock: what GET shows before the row knows it */
    bool running, cancelling;
    double progress;
    json_t *metrics;
    char note[120], waiting_for[160];
    /* jobs thread only */
    uint64_t child;
    int fd; /* events of the worker; -1 when closed */
    maas_buf in;
    bool ended; /* the helper has said so */
    maas_verdict verdict;
    char words[80];
    json_t *done, *failed; /* the worker's last event */
    bool was_cancelled;
    uint64_t kill_at_ns; /* a cancelled worker that does not stop by then is killed; 0: never */
    char checkpoint[MAAS_SHA256_HEX];
    int64_t attempts;
    maas_subscriber *subscribers;
} maas_job;

struct maas_jobs {
    maas_jobs_opts opts;
    pthread_t thread;
    maas_mailbox mail;
    pthread_mutex_t lock;    /* a leaf */
    maas_job *list;          /* under lock for writing by the jobs thread, reading by others */
    uint64_t next_seq;       /* under lock */
    maas_jobs_counts counts; /* under lock */
    int stop_ms;             /* jobs thread: the deadline given to destroy */
    uint64_t stop_at_ns;     /* 0: not stopping */
    bool stopped;            /* of the thread that stops and destroys */
};

/* ---- job_spec.c ---- */
/* Checks a request and makes the stored spec: data set with its version, parent with its version,
 * resources with their defaults. */
maas_status maas_job_spec_check(maas_jobs *j, maas_tenant t, const json_t *request,
                                json_t **out_spec, maas_err *err);
/* Cores, memory and priority of a stored spec. */
maas_status maas_job_from_spec(maas_jobs *j, maas_tenant t, const char *id, const json_t *spec,
                               maas_job **out, maas_err *err);
void maas_job_destroy(maas_job *job);
/* The document that starts the worker. */
maas_status maas_job_worker_spec(maas_job *job, json_t **out, maas_err *err);

/* jobs.c: a child has ended; from the helper's reader thread. */
void maas_jobs_post_ended(maas_jobs *j, uint64_t child, maas_verdict v, const char *words);

/* ---- job_run.c: jobs thread ---- */
void maas_job_start(maas_job *job);
void maas_job_read(maas_job *job); /* events that came */
bool maas_job_settle(
    maas_job *job); /* ended and read to the end: writes the outcome; true: remove */
/* Writes fields into the row; a failure is logged: the row is the truth, memory only a view. */
void maas_job_row(maas_job *job, json_t *fields);
void maas_job_notify(maas_job *job, bool last);
json_t *maas_job_view(maas_job *job, json_t *row); /* row with what is live; takes row */
void maas_job_fail(maas_job *job, maas_status code, const char *message);

#endif
