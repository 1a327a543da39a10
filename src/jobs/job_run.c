#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "jobs/jobs_int.h"
#include "base/ban.h"

#define NICE 10 /* workers yield to the serving lanes */

static json_t *now_text(void)
{
    char text[32];
    maas_time_rfc3339(maas_wall_ms(), text);
    return json_string(text);
}

void maas_job_row(maas_job *job, json_t *fields)
{
    maas_err err = {0};
    if (!fields || maas_registry_job_update(job->all->opts.registry, job->tenant, job->id, fields,
                                            &err) != MAAS_OK)
        MAAS_LOG(MAAS_LOG_ERROR, "event=job_row job=%s msg=\"%s\"", job->id, err.msg);
    json_decref(fields);
}

json_t *maas_job_view(maas_job *job, json_t *row)
{
    pthread_mutex_lock(&job->all->lock);
    if (job->running && job->metrics)
        json_object_set(row, "metrics", job->metrics);
    if (job->running)
        json_object_set_new(row, "progress", json_real(job->progress));
    if (job->running && job->note[0])
        json_object_set_new(row, "note", json_string(job->note));
    if (!job->running && job->waiting_for[0])
        json_object_set_new(row, "waiting_for", json_string(job->waiting_for));
    pthread_mutex_unlock(&job->all->lock);
    return row;
}

void maas_job_notify(maas_job *job, bool last)
{
    AUTO(maas_json_unref) json_t *row = NULL;
    if (!job->subscribers ||
        maas_registry_job_get(job->all->opts.registry, job->tenant, job->id, &row, NULL) != MAAS_OK)
        return;
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(64u << 20);
    maas_json_dump(maas_job_view(job, row), &text);
    for (maas_subscriber **at = &job->subscribers, *s; (s = *at);) {
        if (!text.failed && s->fn(s->user, text.p, text.n, last) && !last) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        maas_free(s);
    }
}

/* ---- starting ---- */

static void on_ended(void *user, uint64_t id, maas_verdict v, const char *words)
{
    maas_jobs_post_ended(user, id, v, words);
}

void maas_job_start(maas_job *job)
{
    maas_err err = {0};
    AUTO(maas_json_unref) json_t *spec = NULL;
    const maas_worker_limits limits = {.memory_bytes = job->memory + (512ull << 20),
                                       .n_cores = (int)job->n_cores,
                                       .nice = job->all_cores ? NICE : NICE / 2};
    maas_status st = maas_job_worker_spec(job, &spec, &err);
    if (st == MAAS_OK)
        st = maas_helper_worker(job->all->opts.helper, spec, &limits, on_ended, job->all,
                                &job->child, &job->fd, &err);
    if (st != MAAS_OK) {
        maas_job_fail(job, st, err.msg);
        job->ended = true;
        return;
    }
    pthread_mutex_lock(&job->all->lock);
    job->running = true;
    job->waiting_for[0] = '\0';
    pthread_mutex_unlock(&job->all->lock);
    maas_job_row(job, json_pack("{s:s, s:o, s:I}", "state", "running", "started_at", now_text(),
                                "attempts", (json_int_t)++job->attempts));
    MAAS_LOG(MAAS_LOG_INFO, "event=job_started job=%s cores=%lld", job->id,
             (long long)job->n_cores);
    maas_job_notify(job, false);
}

/* ---- events of the worker ---- */

static void on_progress(maas_job *job, const json_t *e)
{
    json_t *metrics = json_object_get(e, "metrics");
    const char *note = json_string_value(json_object_get(e, "note"));
    pthread_mutex_lock(&job->all->lock);
    job->progress = json_number_value(json_object_get(e, "fraction"));
    if (metrics) {
        json_decref(job->metrics);
        job->metrics = json_incref(metrics);
    }
    snprintf(job->note, sizeof job->note, "%s", note ? note : "");
    pthread_mutex_unlock(&job->all->lock);
    maas_job_notify(job, false);
}

/* A checkpoint counts once its row is committed: from then on it survives everything. */
static void on_checkpoint(maas_job *job, const json_t *e)
{
    const char *hex = json_string_value(json_object_get(e, "blob"));
    snprintf(job->checkpoint, sizeof job->checkpoint, "%s", hex ? hex : "");
    maas_job_row(job, json_pack("{s:s*, s:f, s:O*}", "checkpoint", hex, "progress", job->progress,
                                "metrics", job->metrics));
}

static void on_event(maas_job *job, json_t *e)
{
    const char *kind = json_string_value(json_object_get(e, "event"));
    if (!kind)
        return;
    if (strcmp(kind, "progress") == 0)
        on_progress(job, e);
    else if (strcmp(kind, "checkpoint") == 0)
        on_checkpoint(job, e);
    else if (strcmp(kind, "done") == 0)
        job->done = json_incref(e);
    else if (strcmp(kind, "failed") == 0)
        job->failed = json_incref(e);
    else if (strcmp(kind, "cancelled") == 0)
        job->was_cancelled = true;
}

/* Whole documents at the front of the buffer become events. */
static void take_events(maas_job *job)
{
    maas_span rest = maas_buf_span(&job->in), text;
    for (;;) {
        maas_span at = rest;
        uint32_t n;
        json_t *e = NULL;
        if (!maas_span_u32le(&at, &n) || !maas_span_take(&at, n, &text))
            break;
        rest = at;
        if (maas_json_parse(text, &e, NULL) == MAAS_OK)
            on_event(job, e);
        json_decref(e);
    }
    if (job->in.n)
        memmove(job->in.p, rest.p, rest.n);
    job->in.n = rest.n;
}

void maas_job_read(maas_job *job)
{
    char block[65536];
    while (job->fd >= 0) {
        ssize_t n = recv(job->fd, block, sizeof block, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n <= 0) {
            close(STEAL_FD(job->fd));
            break;
        }
        maas_buf_add(&job->in, block, (size_t)n);
        take_events(job);
        if (job->in.failed) { /* a worker that talks nonsense without end */
            maas_helper_kill(job->all->opts.helper, job->child, SIGKILL);
            close(STEAL_FD(job->fd));
        }
    }
}

/* ---- the end ---- */

static void count(maas_job *job, uint64_t *counter)
{
    pthread_mutex_lock(&job->all->lock);
    ++*counter;
    job->running = false;
    pthread_mutex_unlock(&job->all->lock);
}

void maas_job_fail(maas_job *job, maas_status code, const char *message)
{
    maas_job_row(job, json_pack("{s:s, s:o, s:n, s:{s:s, s:s}, s:O*}", "state", "failed",
                                "ended_at", now_text(), "checkpoint", "error", "code",
                                maas_status_describe(code)->name, "message", message, "result",
                                json_object_get(job->failed, "report")));
    count(job, &job->all->counts.failed);
    MAAS_LOG(MAAS_LOG_WARN, "event=job_failed job=%s status=%s msg=\"%s\"", job->id,
             maas_status_describe(code)->name, message);
}

/* Where a version came from. */
static json_t *lineage_of(maas_job *job)
{
    json_t *l = json_pack(
        "{s:s, s:O, s:O*, s:O*, s:O*, s:O*, s:O*, s:s}", "job", job->id, "dataset",
        json_object_get(job->spec, "dataset"), "edges", json_object_get(job->spec, "edges"),
        "parent", json_object_get(job->spec, "parent"), "learner",
        json_object_get(job->spec, "learner"), "params", json_object_get(job->spec, "params"),
        "target", json_object_get(job->spec, "target"), "code_version", maas_version());
    json_t *best = json_object_get(json_object_get(job->done, "report"), "best_params");
    const json_t *steps = json_object_get(json_object_get(job->done, "report"), "steps");
    if (l && steps) { /* of a compression: what was asked, and the steps that led here */
        json_object_set(l, "compress", json_object_get(job->spec, "compress"));
        if (json_object_get(job->spec, "teacher"))
            json_object_set(l, "teacher", json_object_get(job->spec, "teacher"));
        json_object_set(l, "steps", (json_t *)steps);
    }
    if (l && best) { /* of a search: what the version was trained with, on top of params */
        json_object_set(l, "search", json_object_get(job->spec, "search"));
        json_object_set(l, "best_params", best);
    }
    return l;
}

static maas_status publish(maas_job *job, int64_t *out_version, maas_err *err)
{
    AUTO(maas_json_unref)
    json_t *files = json_pack("{s:O, s:O*}", "model.onnx", json_object_get(job->done, "artifact"),
                              "optimizer.state", json_object_get(job->done, "state"));
    AUTO(maas_json_unref) json_t *lineage = lineage_of(job);
    bool created;
    if (!files || !lineage)
        return maas_fail(err, MAAS_E_NOMEM, "memory for publishing the version");
    const maas_version_in v = {
        .files = files,
        .format = "onnx",
        .artifact = "model.onnx",
        .inputs = json_object_get(job->done, "inputs"),
        .outputs = json_object_get(job->done, "outputs"),
        .metrics = json_object_get(job->done, "metrics"),
        .lineage = lineage,
        .info = json_object_get(job->done, "info"),
    };
    return maas_registry_version_put(job->all->opts.registry, job->tenant,
                                     json_string_value(json_object_get(job->spec, "model")), &v,
                                     out_version, &created, err);
}

static void succeed(maas_job *job)
{
    maas_err err = {0};
    int64_t version;
    maas_status st = publish(job, &version, &err);
    MAAS_CRASH_POINT("job.published");
    if (st != MAAS_OK) {
        maas_job_fail(job, st, err.msg);
        return;
    }
    json_t *result = json_pack("{s:O, s:I}", "model", json_object_get(job->spec, "model"),
                               "version", (json_int_t)version);
    const json_t *report = json_object_get(job->done, "report");
    if (result && report)
        json_object_update_missing(result, (json_t *)report);
    maas_job_row(job, json_pack("{s:s, s:f, s:o, s:n, s:O*, s:o}", "state", "succeeded", "progress",
                                1.0, "ended_at", now_text(), "checkpoint", "metrics",
                                json_object_get(job->done, "metrics"), "result", result));
    count(job, &job->all->counts.succeeded);
    MAAS_LOG(MAAS_LOG_INFO, "event=job_succeeded job=%s version=%lld", job->id, (long long)version);
}

bool maas_job_settle(maas_job *job)
{
    if (!job->ended || job->fd >= 0)
        return false;
    if (!job->child) {
        /* it never started: the row says why */
    } else if (job->done) {
        succeed(job);
    } else if (job->cancelling) {
        maas_job_row(job, json_pack("{s:s, s:o, s:n}", "state", "cancelled", "ended_at", now_text(),
                                    "checkpoint"));
        count(job, &job->all->counts.cancelled);
    } else if (job->failed) {
        const char *message = json_string_value(json_object_get(job->failed, "message"));
        maas_job_fail(job, (maas_status)json_integer_value(json_object_get(job->failed, "status")),
                      message ? message : "the worker failed");
    } else if (job->all->stop_at_ns) {
        /* the server is stopping: the row stays "running" and the next start takes it up */
        maas_job_row(job, json_pack("{s:I}", "attempts", (json_int_t)--job->attempts));
        count(job, &(uint64_t){0});
        return true;
    } else {
        char text[160];
        snprintf(text, sizeof text, "the worker ended without a result: %s",
                 job->words[0] ? job->words : "no reason was given");
        maas_job_fail(job, MAAS_E_INTERNAL, text);
    }
    maas_job_notify(job, true);
    if (job->all->opts.changed)
        job->all->opts.changed(job->all->opts.user);
    return true;
}
