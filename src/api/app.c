#include "api/app.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "api/auth.h"
#include "api/counts.h"
#include "api/dialect.h"
#include "api/infer.h"
#include "api/routes.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobs/image_pool.h"
#include "runtime/threads.h"
#include "base/ban.h"

#define IO_POOL         8 /* threads that may block on disk and importers */
#define MAX_DECODERS    4 /* of pictures */
#define PUBLIC_PER_IP   256
#define MAX_PER_IP_NONE 1000000

static void thread_start(void *user)
{
    (void)user;
    maas_threads_limit(1); /* an I/O thread never starts a parallel region */
}

static void on_jobs_changed(void *user)
{
    maas_app *app = user;
    if (app->models)
        maas_models_sweep(app->models);
}

static maas_status open_registry(maas_app *app, maas_err *err)
{
    const maas_snapshot *snap;
    MAAS_TRY(maas_registry_open(app->conf.data, &app->registry, err));
    snap = maas_registry_snapshot(app->registry);
    if (!snap)
        return maas_fail(err, MAAS_E_NOMEM, "reading the registry");
    maas_status st = maas_check_exposure(app->conf.listen, app->conf.tls_cert && app->conf.tls_key,
                                         maas_snapshot_has_keys(snap), err);
    maas_snapshot_unref(snap);
    return st;
}

static maas_status start_models(maas_app *app, maas_err *err)
{
    int cores = app->conf.cores ? (int)app->conf.cores : maas_sys_n_cores();
    int per_lane = cores / (int)app->conf.lanes;
    app->memory.limit = (size_t)app->conf.memory;
    const maas_models_opts o = {
        .registry = app->registry,
        .lm = {.budget = &app->memory,
               .cache_bytes = (size_t)app->conf.lm_cache,
               .max_waiting = (uint32_t)app->conf.max_waiting,
               .drafts = (uint32_t)app->conf.lm_speculate},
        .instance = {.budget = &app->memory,
                     .max_waiting = (uint32_t)app->conf.max_waiting,
                     .inline_us = (double)app->conf.inline_us,
                     .run_queue = maas_infer_run_queue},
        .lm_settings = {.cache = app->conf.lm_cache_type, .draft = app->conf.lm_draft},
        .n_lanes = (int)app->conf.lanes,
        .threads_per_lane = per_lane > 0 ? per_lane : 1,
    };
    MAAS_TRY(maas_lm_settings_check(&o.lm_settings, err));
    return maas_models_create(&o, &app->models, err);
}

static maas_status start_images(maas_app *app, maas_err *err)
{
    const int cores = app->conf.cores ? (int)app->conf.cores : maas_sys_n_cores();
    const int n = cores < MAX_DECODERS ? cores : MAX_DECODERS;
    MAAS_TRY(maas_image_pool_create(app->helper, n, &app->images, err));
    return maas_iopool_create(n, &app->image_io, err);
}

static maas_status start_sequences(maas_app *app, maas_err *err)
{
    const maas_sequences_opts o = {.idle_ns = (uint64_t)app->conf.sequence_idle * 1000000000u,
                                   .max = (uint32_t)app->conf.max_sequences,
                                   .budget = &app->memory};
    return maas_sequences_create(&o, &app->sequences, err);
}

static maas_status start_jobs(maas_app *app, maas_err *err)
{
    const maas_jobs_opts o = {
        .registry = app->registry,
        .helper = app->helper,
        .data_dir = app->conf.data,
        .n_cores = (int)app->conf.job_cores,
        .memory_bytes = (uint64_t)app->conf.job_memory,
        .max_queued = (int)app->conf.max_jobs,
        .user = app,
        .changed = on_jobs_changed,
    };
    return maas_jobs_create(&o, &app->jobs, err);
}

static maas_status start_http(maas_app *app, maas_err *err)
{
    int threads = app->conf.io_threads ? (int)app->conf.io_threads : maas_sys_n_cores();
    int per_ip = app->conf.max_per_ip                 ? (int)app->conf.max_per_ip
                 : maas_is_loopback(app->conf.listen) ? 0
                                                      : PUBLIC_PER_IP;
    const maas_http_opts o = {
        .listen = app->conf.listen,
        .tls_cert = app->conf.tls_cert,
        .tls_key = app->conf.tls_key,
        .n_threads = threads < 2 ? 2 : threads,
        .max_connections = (int)app->conf.max_connections,
        .max_per_ip = per_ip ? per_ip : MAX_PER_IP_NONE,
        .max_body = (uint64_t)app->conf.max_body,
        .idle_timeout_s = (int)app->conf.idle_timeout,
        .server_header = "maas",
        .routes = maas_routes,
        .user = app,
        .authorize = maas_authorize,
        .write_error = maas_dialect_write_error,
        .finished = maas_counts_finished,
        .thread_start = thread_start,
    };
    return maas_http_start(&o, &app->http, err);
}

maas_status maas_app_start(maas_app *app, maas_helper *helper, maas_err *err)
{
    maas_status st;
    maas_mem_limit_heaps(maas_sys_n_cores());
    app->helper = helper;
    app->started_ms = maas_wall_ms();
    app->counts = maas_calloc(1, sizeof *app->counts);
    st = app->counts ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "starting the server");
    if (st == MAAS_OK)
        st = open_registry(app, err);
    if (st == MAAS_OK)
        st = maas_iopool_create(IO_POOL, &app->io, err);
    if (st == MAAS_OK)
        st = start_images(app, err);
    if (st == MAAS_OK)
        st = start_models(app, err);
    if (st == MAAS_OK)
        st = maas_explainers_create(&app->explainers, err);
    if (st == MAAS_OK)
        st = start_sequences(app, err);
    if (st == MAAS_OK)
        st = maas_keeper_start(app->registry, app->models, app->explainers, app->sequences,
                               &app->keeper, err);
    if (st == MAAS_OK)
        st = start_jobs(app, err);
    if (st == MAAS_OK)
        st = start_http(app, err);
    if (st == MAAS_OK)
        atomic_store(&app->ready, true);
    else
        maas_app_stop(app);
    return st;
}

void maas_app_stop(maas_app *app)
{
    int drain_ms = (int)app->conf.drain * 1000;
    atomic_store(&app->draining, true);
    if (app->http)
        maas_http_quiesce(app->http);
    /* Ends event streams too, so that they do not hold the server open. Requests that are still
     * under way may ask for jobs until the end. */
    maas_jobs_stop(app->jobs, drain_ms < 5000 ? drain_ms : 5000);
    if (app->http)
        maas_http_stop(app->http, drain_ms);
    app->http = NULL;
    maas_iopool_destroy(app->io);
    app->io = NULL;
    maas_iopool_destroy(app->image_io);
    app->image_io = NULL;
    maas_image_pool_destroy(app->images);
    app->images = NULL;
    maas_jobs_destroy(app->jobs);
    app->jobs = NULL;
    maas_keeper_stop(app->keeper);
    app->keeper = NULL;
    maas_sequences_destroy(app->sequences);
    app->sequences = NULL;
    maas_explainers_destroy(app->explainers); /* they hold instances */
    app->explainers = NULL;
    maas_models_destroy(app->models);
    app->models = NULL;
    maas_registry_close(app->registry);
    app->registry = NULL;
    maas_free(app->counts);
    app->counts = NULL;
}
