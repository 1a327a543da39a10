/*
 * api/app.h - the server as a whole: what every handler can reach.
 *
 * Owns: everything below, created in order by maas_app_start and destroyed in reverse. Threads:
 * read-only after start, except what its own header says.
 */
#ifndef MAAS_API_APP_H
#define MAAS_API_APP_H

#include "api/explainers.h"
#include "api/io.h"
#include "api/keeper.h"
#include "base/conf.h"
#include "http/http.h"
#include "jobs/jobs.h"
#include "serve/models.h"
#include "serve/sequences.h"

typedef struct maas_server_conf { /* rows: settings.c */
    char *listen, *data, *tls_cert, *tls_key, *log_level, *default_model, *lm_cache_type, *lm_draft;
    int64_t io_threads, lanes, cores, max_body, max_upload, max_connections, max_per_ip,
        idle_timeout;
    int64_t memory, job_memory, job_cores, max_waiting, inline_us, drain, import_timeout;
    int64_t max_jobs, lm_cache, lm_speculate, max_sequences, sequence_idle;
} maas_server_conf;

typedef struct maas_http_counts maas_http_counts; /* metrics.c */

typedef struct maas_app {
    maas_server_conf conf;
    maas_registry *registry;
    maas_models *models;
    maas_jobs *jobs;
    maas_helper *helper; /* borrowed: main started it before any thread */
    maas_http *http;
    maas_iopool *io;
    maas_iopool *image_io; /* as many threads as there are decoders */
    struct maas_image_pool *images;
    maas_keeper *keeper;
    maas_explainers *explainers;
    maas_sequences *sequences;
    maas_budget memory; /* instances: plans and activations */
    maas_http_counts *counts;
    uint64_t started_ms;
    _Atomic bool ready, draining;
} maas_app;

/* The settings table of `maas serve`: flags, environment, file, --help and docs come from it. */
maas_conf maas_server_settings(maas_server_conf *c);

maas_status maas_app_start(maas_app *app, maas_helper *helper, maas_err *err);
/* Stops accepting, finishes what is in flight (up to conf.drain seconds), closes everything. */
void maas_app_stop(maas_app *app);

static inline maas_app *maas_app_of(const maas_req *r)
{
    return maas_req_user(r);
}
/* Who asks. Never NULL behind a route that is not public. */
static inline const maas_principal *maas_caller(const maas_req *r)
{
    return maas_req_principal(r);
}

#endif
