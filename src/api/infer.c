#include "api/infer.h"

#include <stdio.h>
#include <string.h>

#include "api/auth.h"
#include "base/mem.h"
#include "base/ban.h"

#define LANE_BATCH 64 /* requests taken into one execution at most */

static void record_failure(maas_prediction *q)
{
    if (q->model)
        maas_hist_add(&maas_instance_stat(q->model)->fail, maas_now_ns() - q->begin_ns);
}

static void part(maas_prediction *q, bool ok)
{
    if (q->codec->end)
        q->codec->end(q, ok);
    maas_instance_unref(STEAL(q->model));
}

static void fail(maas_prediction *q, const maas_err *err)
{
    record_failure(q);
    maas_req_fail(q->req, err);
    part(q, false);
}

/* Runs of a codec's own are no predictions: they do not count as such. */
static void finish_own(maas_prediction *q)
{
    maas_err err = {0};
    if (q->codec->encode(q, &err) != MAAS_OK)
        fail(q, &err);
    else
        part(q, true);
}

/* The run has succeeded: encode, reply, give back. */
static void finish(maas_prediction *q)
{
    maas_instance_stats *s = maas_instance_stat(q->model);
    uint64_t start = maas_now_ns();
    maas_err err = {0};
    maas_hist_add(&s->compute_infer, q->run.infer_ns);
    maas_status st = q->codec->encode(q, &err);
    maas_run_done(&q->run);
    if (st != MAAS_OK) {
        fail(q, &err);
        return;
    }
    uint64_t end = maas_now_ns();
    maas_hist_add(&s->compute_output, end - start);
    maas_hist_add(&s->success, end - q->begin_ns);
    atomic_fetch_add_explicit(&s->n_rows, (uint64_t)q->run.rows, memory_order_relaxed);
    atomic_store_explicit(&s->last_ms, maas_wall_ms(), memory_order_relaxed);
    part(q, true);
}

static bool still_wanted(maas_prediction *q, maas_err *err)
{
    if (maas_req_gone(q->req))
        maas_fail(err, MAAS_E_CANCELLED, "the client went away");
    else if (q->deadline_ns && maas_now_ns() > q->deadline_ns)
        maas_fail(err, MAAS_E_TIMEOUT, "the deadline of the request passed while it waited");
    return err->code == MAAS_OK;
}

static void run_own(maas_prediction *q, int n_threads)
{
    maas_err err = {0};
    maas_req *r = q->req;
    if (q->codec->run(q, n_threads, &err) == MAAS_OK)
        finish_own(q);
    else
        fail(q, &err);
    maas_req_resume(r);
}

/* Takes up to LANE_BATCH live requests off the list; those nobody wants any more are answered, and
 * so are those that do not run the model. */
static uint32_t take_live(maas_work **list, maas_prediction *out[LANE_BATCH], int n_threads)
{
    uint32_t n = 0;
    uint64_t now = maas_now_ns();
    while (*list && n < LANE_BATCH) {
        maas_prediction *q = (maas_prediction *)*list;
        *list = (*list)->next;
        maas_err err = {0};
        maas_hist_add(&maas_instance_stat(q->model)->queue, now - q->work.queued_ns);
        if (still_wanted(q, &err)) {
            if (q->codec->run)
                run_own(q, n_threads);
            else
                out[n++] = q;
            continue;
        }
        maas_req *r = q->req;
        fail(q, &err);
        maas_req_resume(r);
    }
    return n;
}

void maas_infer_run_queue(void *user, maas_work *list, int n_threads)
{
    (void)user;
    maas_prediction *batch[LANE_BATCH];
    maas_run *runs[LANE_BATCH];
    maas_status st[LANE_BATCH];
    maas_err err[LANE_BATCH];
    for (uint32_t n; list;) {
        n = take_live(&list, batch, n_threads);
        for (uint32_t i = 0; i < n; i++) {
            runs[i] = &batch[i]->run;
            err[i] = (maas_err){0};
        }
        if (n)
            maas_run_batch(runs, n, n_threads, st, err);
        for (uint32_t i = 0; i < n; i++) {
            maas_req *r = batch[i]->req; /* the call lives in the request: gone after resume */
            if (st[i] == MAAS_OK)
                finish(batch[i]);
            else
                fail(batch[i], &err[i]);
            maas_req_resume(r);
        }
    }
}

static maas_status prepare(maas_prediction *q, maas_err *err)
{
    uint64_t start = maas_now_ns();
    MAAS_TRY(maas_run_init(&q->run, q->model, q->arena, err));
    MAAS_TRY(q->codec->decode(q, err));
    MAAS_TRY(maas_run_check(&q->run, err));
    maas_hist_add(&maas_instance_stat(q->model)->compute_input, maas_now_ns() - start);
    return MAAS_OK;
}

/* With a model in hand. True: replied. False: a lane will. `suspended`: is the request already? */
static bool proceed(maas_prediction *q, bool suspended)
{
    maas_err err = {0};
    maas_status st = prepare(q, &err);
    if (st == MAAS_OK && !q->codec->run && maas_run_is_cheap(&q->run)) {
        st = maas_run_go(&q->run, 1, &err);
        if (st == MAAS_OK) {
            finish(q);
            return true;
        }
    } else if (st == MAAS_OK) {
        if (!suspended)
            maas_req_suspend(q->req);
        maas_req *r = q->req;
        st = maas_queue_submit(maas_models_lanes(maas_app_of(r)->models),
                               maas_instance_queue(q->model), &q->work, &err);
        if (st == MAAS_OK)
            return false;
        fail(q, &err);
        if (!suspended)
            maas_req_resume(r);
        return true;
    }
    fail(q, &err);
    return true;
}

bool maas_infer_proceed(maas_prediction *q)
{
    return proceed(q, true);
}

/* A prediction of a caller who may make it. NULL: replied. */
static maas_prediction *new_prediction(maas_req *r, const char *model, const char *version,
                                       const maas_codec *codec, void *own)
{
    maas_err err = {0};
    maas_arena *a = maas_req_arena(r);
    maas_prediction local, *q = maas_arena_alloc(a, sizeof *q);
    maas_prediction *made = q ? q : &local; /* `end` is owed either way */
    *made = (maas_prediction){.req = r,
                              .arena = a,
                              .codec = codec,
                              .own = own,
                              .name = model,
                              .version = version,
                              .begin_ns = maas_req_start_ns(r)};
    if (!q)
        maas_fail(&err, MAAS_E_NOMEM, "memory for one request");
    else if (maas_may_use_model(r, model, &err) == MAAS_OK)
        return q;
    fail(made, &err);
    return NULL;
}

static bool find_and_proceed(maas_prediction *q)
{
    maas_err err = {0};
    maas_status st = maas_models_load(maas_app_of(q->req)->models, maas_caller(q->req)->tenant,
                                      q->name, q->version, false, &q->model, &err);
    if (st == MAAS_OK)
        return proceed(q, true);
    fail(q, &err);
    return true;
}

/* io thread: the model was not in memory. */
static bool load_and_proceed(maas_req *r)
{
    return find_and_proceed(maas_req_state(r));
}

void maas_infer_start(maas_req *r, const char *model, const char *version, const maas_codec *codec,
                      void *own)
{
    maas_app *app = maas_app_of(r);
    maas_err err = {0};
    bool must_load = false;
    maas_prediction *q = new_prediction(r, model, version, codec, own);
    if (!q)
        return;
    maas_status st = maas_models_find(app->models, maas_caller(r)->tenant, model, version,
                                      &q->model, &must_load, &err);
    if (must_load) {
        maas_req_set_state(r, q, NULL);
        maas_iopool_run(app->io, r, load_and_proceed);
    } else if (st != MAAS_OK) {
        fail(q, &err);
    } else {
        proceed(q, false);
    }
}

bool maas_infer_start_late(maas_req *r, const char *model, const char *version,
                           const maas_codec *codec, void *own)
{
    maas_prediction *q = new_prediction(r, model, version, codec, own);
    return !q || find_and_proceed(q);
}

/* The names of the caller's models, for an error message. */
static void list_models(const maas_req *r, const maas_snapshot *s, maas_tenant t, maas_err *err)
{
    char names[240] = "";
    size_t at = 0;
    uint32_t n = maas_snapshot_n_models(s, t), n_versions;
    const maas_snap_version *v;
    for (uint32_t i = 0; i < n && at < sizeof names - 8; i++) {
        const char *name = maas_snapshot_model(s, t, i, &v, &n_versions);
        maas_err ignored = {0};
        if (maas_may_use_model(r, name, &ignored) != MAAS_OK)
            continue;
        int len = snprintf(names + at, sizeof names - at, "%s%s", at ? ", " : "", name);
        at += len > 0 ? (size_t)len : 0;
    }
    maas_fail(err, MAAS_E_INVALID, "which model? name one with ?model=: %s",
              at ? names : "there is none yet");
}

const char *maas_default_model(maas_req *r, maas_err *err)
{
    const char *name = maas_req_query(r, "model");
    if (!name)
        name = maas_app_of(r)->conf.default_model;
    if (name && *name)
        return name;
    maas_tenant t = maas_caller(r)->tenant;
    const maas_snapshot *s = maas_registry_snapshot(maas_app_of(r)->registry);
    const maas_snap_version *v;
    uint32_t n_versions;
    name = NULL;
    if (s && maas_snapshot_n_models(s, t) == 1)
        name = maas_arena_strdup(maas_req_arena(r), maas_snapshot_model(s, t, 0, &v, &n_versions));
    if (!name)
        list_models(r, s, t, err);
    maas_snapshot_unref(s);
    return name;
}

maas_status maas_infer_widen(maas_prediction *q, uint32_t i, const maas_tensor *from, maas_err *err)
{
    const maas_port *p = &maas_instance_inputs(q->model)[i];
    maas_tensor *to = &q->run.in[i];
    *to = *from;
    if (from->dtype == p->dtype)
        return MAAS_OK;
    if (!maas_dtype_widens(from->dtype, p->dtype))
        return maas_fail(err, MAAS_E_INVALID,
                         "input '%s' is %s, the model wants %s, which does not hold every %s",
                         p->name, maas_dtype_describe(from->dtype)->oip,
                         maas_dtype_describe(p->dtype)->oip, maas_dtype_describe(from->dtype)->oip);
    to->dtype = (uint8_t)p->dtype;
    to->data = maas_arena_alloc(q->arena, maas_tensor_bytes(to));
    if (!to->data)
        return maas_fail(err, MAAS_E_NOMEM, "memory for input '%s'", p->name);
    int64_t n = maas_n_elems(from);
    for (int64_t k = 0; k < n; k++) {
        if (p->dtype == MAAS_I64) /* not through a double, which holds 53 bits */
            ((int64_t *)to->data)[k] = maas_tensor_get_i64(from, k);
        else
            maas_tensor_set(to, k, maas_tensor_get(from, k));
    }
    return MAAS_OK;
}
