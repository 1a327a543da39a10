/*
 * jobs/worker.c - the worker process: one job from its spec to its artifacts.
 *
 * spec (from the server, first message):
 * {"kind","data_dir","learner","params","search","compress","importances","dataset":
 *   manifest,"edges":manifest|null,"target","n_cores","memory","parent":{"artifact","state"}|null,"teacher":{"artifact"}|null,"resume":digest|null}
 * events (to the server): {"event":"progress","fraction","metrics","note"}
 *   {"event":"checkpoint","blob"} {"event":"done","artifact","state","metrics","inputs","outputs",
 *   "info","report"} {"event":"failed","status","message","report"} {"event":"cancelled"}
 *
 * It touches blobs only; rows of the registry are the server's business. SIGTERM asks it to stop at
 * the next batch.
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "formats/model.h"
#include "formats/onnx.h"
#include "jobs/blob_io.h"
#include "jobs/jobs.h"
#include "jobs/wire.h"
#include "learn/compress/compress.h"
#include "learn/importance.h"
#include "learn/search/search.h"
#include "learn/train.h"
#include "base/ban.h"

static volatile sig_atomic_t stop_asked;

static void on_stop(int sig)
{
    (void)sig;
    stop_asked = 1;
}

typedef struct worker {
    int fd;
    json_t *spec;
    maas_registry *blobs;
    maas_dataset *data, *edges; /* edges: of params.graph, or NULL */
    maas_graph *parent, *teacher;
    maas_map parent_map, state_map, resume_map, teacher_map;
    maas_budget budget;
    json_t *report;         /* of a job that failed: what it found out before */
    uint64_t checkpoint_ns; /* when the last one was kept; at first: the start */
} worker;

/* A checkpoint costs two fsyncs and a row: losing this much work at most is worth more. */
#define CHECKPOINT_EVERY_NS (5ull * 1000000000)

static maas_status map_blob(worker *w, const json_t *hex, maas_map *out, maas_err *err)
{
    AUTO_FD fd = -1;
    uint64_t bytes;
    if (!json_is_string(hex))
        return MAAS_OK;
    MAAS_TRY(maas_blob_open(w->blobs, json_string_value(hex), &fd, &bytes, err));
    return maas_sys_map(fd, out, err);
}

static maas_status put_blob(worker *w, maas_span bytes, char hex[MAAS_SHA256_HEX], maas_err *err)
{
    maas_blob_writer *b;
    MAAS_TRY(maas_blob_begin(w->blobs, &b, err));
    maas_status st = maas_blob_write(b, bytes.p, bytes.n, err);
    if (st == MAAS_OK)
        return maas_blob_commit(b, hex, err);
    maas_blob_abort(b);
    return st;
}

/* ---- events ---- */

/* The server is gone when this fails: the helper will end us. */
static void send(worker *w, json_t *event)
{
    if (event && maas_wire_put_json(w->fd, event, NULL) != MAAS_OK)
        stop_asked = 1;
    json_decref(event);
}

static void on_progress(void *user, double fraction, const json_t *metrics, const char *note)
{
    send(user, json_pack("{s:s, s:f, s:O*, s:s*}", "event", "progress", "fraction", fraction,
                         "metrics", (json_t *)metrics, "note", note));
}

static bool is_cancelled(void *user)
{
    (void)user;
    return stop_asked;
}

static maas_status on_checkpoint(void *user, maas_span state, maas_err *err)
{
    worker *w = user;
    char hex[MAAS_SHA256_HEX];
    if (!stop_asked && maas_now_ns() - w->checkpoint_ns < CHECKPOINT_EVERY_NS)
        return MAAS_OK;
    MAAS_TRY(put_blob(w, state, hex, err));
    send(w, json_pack("{s:s, s:s}", "event", "checkpoint", "blob", hex));
    w->checkpoint_ns = maas_now_ns();
    return MAAS_OK;
}

/* ---- the job ---- */

static maas_status read_model(worker *w, const maas_map *m, maas_graph **out, maas_err *err)
{
    const maas_onnx_opts o = {.budget = &w->budget};
    return m->p ? maas_onnx_read(maas_span_of(m->p, m->n), &o, out, err) : MAAS_OK;
}

static maas_status open_inputs(worker *w, maas_err *err)
{
    const json_t *parent = json_object_get(w->spec, "parent");
    const maas_blob_io io = maas_blob_io_of(w->blobs);
    MAAS_TRY(maas_dataset_open(json_object_get(w->spec, "dataset"), &io, &w->data, err));
    if (json_object_get(w->spec, "edges"))
        MAAS_TRY(maas_dataset_open(json_object_get(w->spec, "edges"), &io, &w->edges, err));
    MAAS_TRY(map_blob(w, json_object_get(w->spec, "resume"), &w->resume_map, err));
    MAAS_TRY(map_blob(w, json_object_get(parent, "artifact"), &w->parent_map, err));
    MAAS_TRY(map_blob(w, json_object_get(parent, "state"), &w->state_map, err));
    MAAS_TRY(map_blob(w, json_object_get(json_object_get(w->spec, "teacher"), "artifact"),
                      &w->teacher_map, err));
    MAAS_TRY(read_model(w, &w->parent_map, &w->parent, err));
    return read_model(w, &w->teacher_map, &w->teacher, err);
}

/* "importances" of the spec: what each column is worth to the model, in the metrics of the version.
 */
static maas_status weigh_columns(worker *w, const maas_graph *g, json_t *metrics, maas_err *err)
{
    const json_t *asked = json_object_get(w->spec, "importances");
    json_t *weights = NULL;
    if (!asked)
        return MAAS_OK;
    on_progress(w, 0.98, NULL, "weighing the columns");
    const maas_importance_opts o = {
        .target = json_string_value(json_object_get(w->spec, "target")),
        .repeats = json_integer_value(json_object_get(asked, "repeats")),
        .max_rows = json_integer_value(json_object_get(asked, "rows")),
        .n_threads = (int)json_integer_value(json_object_get(w->spec, "n_cores")),
        .budget = &w->budget,
        .cancelled = is_cancelled,
        .user = w};
    MAAS_TRY(maas_permutation_importance(g, w->data, &o, &weights, err));
    json_object_set_new(metrics, "permutation_importance", weights);
    return MAAS_OK;
}

/* What the server needs to publish the version, said about the file that was written. */
static maas_status report_done(worker *w, const maas_train_result *r, maas_err *err)
{
    char artifact[MAAS_SHA256_HEX], state[MAAS_SHA256_HEX];
    maas_graph *g;
    const maas_onnx_opts o = {0};
    MAAS_TRY(
        maas_onnx_read(maas_buf_span(&r->onnx), &o, &g, err)); /* what we publish, we can read */
    maas_status st = weigh_columns(w, g, r->metrics, err);
    if (st == MAAS_OK)
        st = put_blob(w, maas_buf_span(&r->onnx), artifact, err);
    if (st == MAAS_OK && r->state.n)
        st = put_blob(w, maas_buf_span(&r->state), state, err);
    if (st == MAAS_OK)
        send(w, json_pack(
                    "{s:s, s:s, s:s*, s:O*, s:O*, s:o, s:o, s:o}", "event", "done", "artifact",
                    artifact, "state", r->state.n ? state : NULL, "metrics", r->metrics, "report",
                    r->report, "inputs", maas_model_ports(g, g->inputs, g->n_inputs), "outputs",
                    maas_model_ports(g, g->outputs, g->n_outputs), "info", maas_model_info(g)));
    maas_graph_destroy(g);
    return st;
}

static maas_status run_job(worker *w, maas_err *err)
{
    const maas_train_hooks hooks = {w, on_progress, is_cancelled, on_checkpoint};
    MAAS_TRY(open_inputs(w, err));
    maas_train_job job = {
        .learner = json_string_value(json_object_get(w->spec, "learner")),
        .params = json_object_get(w->spec, "params"),
        .data = w->data,
        .edges = w->edges,
        .target = json_string_value(json_object_get(w->spec, "target")),
        .n_threads = (int)json_integer_value(json_object_get(w->spec, "n_cores")),
        .budget = &w->budget,
        .parent = w->parent,
        .teacher = w->teacher,
        .parent_state = maas_span_of(w->state_map.p, w->state_map.n),
        .resume = maas_span_of(w->resume_map.p, w->resume_map.n),
        .hooks = &hooks,
    };
    maas_train_result result = {0};
    const json_t *search = json_object_get(w->spec, "search");
    const json_t *compress = json_object_get(w->spec, "compress");
    maas_status st = search     ? maas_search(&job, search, &result, err)
                     : compress ? maas_compress(&job, compress, &result, err)
                                : maas_train(&job, &result, err);
    if (st == MAAS_OK)
        st = report_done(w, &result, err);
    else
        w->report = json_incref(result.report);
    maas_train_result_reset(&result);
    return st;
}

static void worker_reset(worker *w)
{
    maas_dataset_close(w->data);
    maas_dataset_close(w->edges);
    maas_graph_destroy(w->parent);
    maas_graph_destroy(w->teacher);
    maas_sys_unmap(&w->parent_map);
    maas_sys_unmap(&w->teacher_map);
    maas_sys_unmap(&w->state_map);
    maas_sys_unmap(&w->resume_map);
    maas_registry_close(w->blobs);
    json_decref(w->spec);
    json_decref(w->report);
}

int maas_worker_main(int fd)
{
    const struct sigaction stop = {.sa_handler = on_stop};
    maas_err err = {0};
    worker w = {.fd = fd, .checkpoint_ns = maas_now_ns()};
    sigaction(SIGTERM, &stop, NULL);
    signal(SIGINT, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    maas_status st = maas_wire_get_json(fd, 10000, &w.spec, &err);
    if (st == MAAS_OK) {
        w.budget.limit = (size_t)json_integer_value(json_object_get(w.spec, "memory"));
        const char *dir = json_string_value(json_object_get(w.spec, "data_dir"));
        st = maas_blobstore_open(dir ? dir : "", &w.blobs, &err);
    }
    if (st == MAAS_OK)
        st = run_job(&w, &err);
    if (st == MAAS_E_CANCELLED)
        send(&w, json_pack("{s:s}", "event", "cancelled"));
    else if (st != MAAS_OK)
        send(&w, json_pack("{s:s, s:i, s:s, s:O*}", "event", "failed", "status", (int)st, "message",
                           err.msg, "report", w.report));
    worker_reset(&w);
    close(fd);
    return st == MAAS_OK ? 0 : 1;
}
