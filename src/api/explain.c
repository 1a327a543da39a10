/*
 * api/explain.c - why: POST /v2/models/{m}/explain takes what /infer takes, /v1/models/{m}:explain
 * what :predict takes; the query says how:
 *
 *   ?method=auto|tree|linear|exact|sampling  &background=DATASET[:VERSION]  &rows=100
 * &permutations=10  &seed=0
 *
 * Without a background a model that was trained here is compared with rows of the data set it
 * learned from.
 *
 *   io thread: model, explainer (prepared or kept) ──► decode ──► queue of the instance ──► lane:
 * explain, encode
 */
#include <stdio.h>
#include <string.h>

#include "api/auth.h"
#include "api/explainers.h"
#include "api/oip.h"
#include "api/oip_request.h"
#include "api/reply.h"
#include "api/rows.h"
#include "base/mem.h"
#include "base/num.h"
#include "jobs/blob_io.h"
#include "learn/feeds.h"
#include "learn/subset.h"
#include "base/ban.h"

enum { BACKGROUND_ROWS = 100, MAX_BACKGROUND = 10000, MAX_PERMUTATIONS = 1000 };

typedef struct explaining {
    maas_prediction q;
    const maas_codec *dialect; /* reads the body */
    void *dialect_own;
    maas_ready_explainer *ready;
    const char *method, *background;
    int64_t background_rows, permutations, seed;
    maas_explanation result;
} explaining;

/* ---- what is asked ---- */

static maas_status number_query(maas_req *r, const char *key, int64_t min, int64_t max,
                                int64_t *out, maas_err *err)
{
    const char *text = maas_req_query(r, key);
    if (text && (!maas_parse_i64(text, out) || *out < min || *out > max))
        return maas_fail(err, MAAS_E_INVALID,
                         "'%s' must be a whole number of %lld..%lld, not '%.32s'", key,
                         (long long)min, (long long)max, text);
    return MAAS_OK;
}

static maas_status read_query(maas_req *r, explaining *e, maas_err *err)
{
    e->method = maas_req_query(r, "method");
    e->background = maas_req_query(r, "background");
    e->background_rows = BACKGROUND_ROWS;
    if (e->background && !(maas_caller(r)->scopes & MAAS_SCOPE_READ))
        return maas_fail(err, MAAS_E_FORBIDDEN, "'background' needs a key that may read data sets");
    MAAS_TRY(number_query(r, "rows", 1, MAX_BACKGROUND, &e->background_rows, err));
    MAAS_TRY(number_query(r, "permutations", 1, MAX_PERMUTATIONS, &e->permutations, err));
    return number_query(r, "seed", 0, INT64_MAX, &e->seed, err);
}

/* ---- the background: rows of a data set, evenly spread ---- */

typedef struct background {
    json_t *manifest;
    const char *target;
    json_t *version; /* owner of `target` */
    maas_dataset *data;
    maas_subset rows;
    maas_tensor *in; /* [n_inputs] */
} background;

static void background_reset(background *b)
{
    maas_subset_reset(&b->rows);
    maas_dataset_close(b->data);
    json_decref(b->manifest);
    json_decref(b->version);
}

/* What the version learned from; *out_name NULL when it was not trained here. */
static maas_status lineage_of(maas_app *app, maas_tenant t, const maas_instance *m, background *b,
                              const char **out_name, int64_t *out_version, maas_err *err)
{
    MAAS_TRY(maas_registry_version_get(app->registry, t, maas_instance_name(m),
                                       maas_instance_version(m), &b->version, err));
    const json_t *l = json_object_get(b->version, "lineage"), *d = json_object_get(l, "dataset");
    b->target = json_string_value(json_object_get(l, "target"));
    *out_name = json_string_value(json_object_get(d, "name"));
    *out_version = json_integer_value(json_object_get(d, "version"));
    return MAAS_OK;
}

static maas_status open_dataset(maas_app *app, maas_tenant t, const maas_instance *m,
                                const char *wanted, maas_arena *a, background *b, maas_err *err)
{
    const char *name;
    int64_t version = 0;
    MAAS_TRY(lineage_of(app, t, m, b, &name, &version, err));
    if (wanted) {
        const char *colon = strrchr(wanted, ':');
        version = 0;
        name = maas_arena_strndup(a, wanted, colon ? (size_t)(colon - wanted) : strlen(wanted));
        if (colon && (!maas_parse_i64(colon + 1, &version) || version < 1))
            return maas_fail(err, MAAS_E_INVALID,
                             "'background' must be a data set, as name or name:version");
    }
    if (!name)
        return MAAS_OK;
    maas_status st = maas_registry_dataset_get(app->registry, t, name, version, &b->manifest, err);
    if (st == MAAS_E_NOT_FOUND && !wanted) { /* deleted since: the method may do without */
        *err = (maas_err){0};
        return MAAS_OK;
    }
    MAAS_TRY(st);
    const maas_blob_io io = maas_blob_io_of(app->registry);
    return maas_dataset_open(b->manifest, &io, &b->data, err);
}

static maas_status spread_rows(background *b, int64_t n, maas_arena *a, maas_budget *budget,
                               maas_err *err)
{
    n = n < b->data->n_rows ? n : b->data->n_rows;
    uint32_t *rows = maas_arena_array(a, (size_t)n + 1, sizeof *rows);
    if (!rows)
        return maas_fail(err, MAAS_E_NOMEM, "memory for the background");
    for (int64_t i = 0; i < n; i++)
        rows[i] = (uint32_t)(i * b->data->n_rows / n);
    return maas_subset_make(b->data, rows, n, budget, &b->rows, err);
}

static maas_status fill_background(background *b, const maas_graph *g, maas_arena *a, maas_err *err)
{
    maas_feeds feeds;
    MAAS_TRY(maas_feeds_init(&feeds, g, &b->rows.data, b->target, a, err));
    b->in = maas_arena_array(a, g->n_inputs, sizeof *b->in);
    for (uint32_t i = 0; i < g->n_inputs; i++) {
        if (!b->in)
            return maas_fail(err, MAAS_E_NOMEM, "memory for the background");
        const maas_type t = maas_feed_type(&feeds, i, b->rows.data.n_rows);
        b->in[i] = maas_tensor_of((maas_dtype)t.dtype, t.rank, t.dims, NULL);
        b->in[i].data = maas_arena_array(a, (size_t)maas_n_elems(&b->in[i]),
                                         maas_dtype_size((maas_dtype)t.dtype));
        if (!b->in[i].data)
            return maas_fail(err, MAAS_E_NOMEM, "memory for the background");
        maas_feed_fill(&feeds, i, 0, b->rows.data.n_rows, &b->in[i]);
    }
    return MAAS_OK;
}

/* ---- preparing, on the io thread ---- */

static maas_status prepare_explainer(explaining *e, const char *key, maas_err *err)
{
    maas_app *app = maas_app_of(e->q.req);
    maas_instance *m = e->q.model;
    AUTO(background_reset) background b = {0};
    maas_explainer *x = NULL;
    MAAS_TRY(
        open_dataset(app, maas_caller(e->q.req)->tenant, m, e->background, e->q.arena, &b, err));
    if (b.data) {
        MAAS_TRY(spread_rows(&b, e->background_rows, e->q.arena, &app->memory, err));
        MAAS_TRY(fill_background(&b, maas_instance_graph(m), e->q.arena, err));
    }
    const maas_explain_opts o = {.method = e->method,
                                 .background = b.in,
                                 .background_rows = b.in ? b.rows.data.n_rows : 0,
                                 .against_background = e->background != NULL,
                                 .permutations = e->permutations,
                                 .seed = (uint64_t)e->seed,
                                 .n_threads = maas_lanes_threads(maas_models_lanes(app->models)),
                                 .budget = &app->memory};
    MAAS_TRY(maas_explainer_create(maas_instance_graph(m), &o, &x, err));
    return maas_explainers_keep(app->explainers, m, key, x, &e->ready, err);
}

static maas_status find_explainer(explaining *e, maas_err *err)
{
    char key[512];
    int n = snprintf(key, sizeof key, "%s|%s|%lld|%lld|%lld", e->method ? e->method : "",
                     e->background ? e->background : "", (long long)e->background_rows,
                     (long long)e->permutations, (long long)e->seed);
    if (n < 0 || n >= (int)sizeof key)
        return maas_fail(err, MAAS_E_INVALID, "'method' or 'background' is too long");
    e->ready = maas_explainers_find(maas_app_of(e->q.req)->explainers, e->q.model, key);
    return e->ready ? MAAS_OK : prepare_explainer(e, key, err);
}

/* ---- codec: the dialect's body, our run, our answers ---- */

static maas_status decode(maas_prediction *q, maas_err *err)
{
    explaining *e = q->own;
    q->own = e->dialect_own;
    maas_status st = e->dialect->decode(q, err);
    q->own = e;
    return st;
}

static bool is_gone(void *user)
{
    maas_prediction *q = user;
    return maas_req_gone(q->req) || (q->deadline_ns && maas_now_ns() > q->deadline_ns);
}

static maas_status run(maas_prediction *q, int n_threads, maas_err *err)
{
    explaining *e = q->own;
    maas_explainer *x = maas_ready_explainer_get(e->ready);
    const size_t k = (size_t)maas_explainer_n_outputs(x), n = (size_t)maas_explainer_n_features(x);
    (void)n_threads; /* part of the explainer's plan */
    e->result.phi = maas_arena_array(q->arena, (size_t)q->run.rows, n * k * sizeof(double));
    e->result.answer = maas_arena_array(q->arena, (size_t)q->run.rows, k * sizeof(double));
    e->result.base = maas_arena_array(q->arena, k, sizeof(double));
    if (!e->result.phi || !e->result.answer || !e->result.base)
        return maas_fail(err, MAAS_E_NOMEM, "memory for the explanation");
    return maas_explain(x, q->run.in, q->run.rows, &e->result, is_gone, q, err);
}

/* The three tensors of an explanation; with one output column the last dimension is left out, as
 * shap does. */
static void tensors_of(const explaining *e, maas_tensor *values, maas_tensor *answer,
                       maas_tensor *base)
{
    const maas_explainer *x = maas_ready_explainer_get(e->ready);
    const int64_t k = maas_explainer_n_outputs(x);
    const int64_t dims[3] = {e->q.run.rows, maas_explainer_n_features(x), k},
                  flat[2] = {e->q.run.rows, k};
    *values = maas_tensor_of(MAAS_F64, k == 1 ? 2 : 3, dims, e->result.phi);
    *answer = maas_tensor_of(MAAS_F64, k == 1 ? 1 : 2, flat, e->result.answer);
    *base = maas_tensor_of(MAAS_F64, 1, &k, e->result.base);
}

static void put_names(const maas_explainer *x, maas_buf *b)
{
    maas_buf_char(b, '[');
    for (int64_t i = 0; i < maas_explainer_n_features(x); i++) {
        const char *name = maas_explainer_feature(x, i);
        if (i)
            maas_buf_char(b, ',');
        maas_buf_json_str(b, name, strlen(name));
    }
    maas_buf_char(b, ']');
}

static void put_how(const maas_explainer *x, maas_buf *b)
{
    maas_buf_printf(b, "\"method\":\"%s\",\"target\":", maas_explainer_method(x));
    maas_buf_json_str(b, maas_explainer_target(x), strlen(maas_explainer_target(x)));
    maas_buf_str(b, ",\"feature_names\":");
    put_names(x, b);
}

static maas_status encode_oip(maas_prediction *q, maas_err *err)
{
    const explaining *e = q->own;
    maas_tensor t[3];
    static const char *const names[3] = {"shap_values", "explained", "base_values"};
    maas_buf how = MAAS_BUF_IN(q->arena, MAAS_MAX_ANSWER);
    tensors_of(e, &t[0], &t[1], &t[2]);
    put_how(maas_ready_explainer_get(e->ready), &how);
    if (how.failed)
        return maas_fail(err, MAAS_E_NOMEM, "memory for the answer");
    return maas_oip_reply_tensors(q, e->dialect_own, names, t, 3, how.p, err);
}

static void put_row(const explaining *e, int64_t row, maas_buf *b)
{
    const maas_explainer *x = maas_ready_explainer_get(e->ready);
    const int64_t n = maas_explainer_n_features(x), k = maas_explainer_n_outputs(x);
    const int64_t dims[2] = {n, k};
    maas_tensor values = maas_tensor_of(MAAS_F64, k == 1 ? 1 : 2, dims,
                                        e->result.phi + row * n * k);
    maas_buf_str(b, "{\"shap_values\":");
    maas_put_nested(b, &values);
    maas_buf_char(b, '}');
}

static maas_status encode_v1(maas_prediction *q, maas_err *err)
{
    const explaining *e = q->own;
    maas_tensor values, answer, base;
    maas_buf b = MAAS_BUF_IN(q->arena, MAAS_MAX_ANSWER);
    tensors_of(e, &values, &answer, &base);
    maas_buf_str(&b, "{\"predictions\":");
    maas_put_nested(&b, &answer);
    maas_buf_str(&b, ",\"explanations\":[");
    for (int64_t r = 0; r < q->run.rows; r++) {
        if (r)
            maas_buf_char(&b, ',');
        put_row(e, r, &b);
    }
    maas_buf_str(&b, "],\"base_values\":");
    maas_put_nested(&b, &base);
    maas_buf_char(&b, ',');
    put_how(maas_ready_explainer_get(e->ready), &b);
    maas_buf_char(&b, '}');
    if (b.failed)
        return maas_fail(err, MAAS_E_NOMEM, "memory for the answer");
    maas_req_allow_gzip(q->req);
    maas_req_reply(q->req, 200, "application/json", b.p, b.n, true);
    return MAAS_OK;
}

static const maas_codec oip_codec = {"explain", decode, encode_oip, run};
static const maas_codec v1_codec = {"explain_v1", decode, encode_v1, run};

/* ---- the way of a request ---- */

static void forget(void *state)
{
    explaining *e = state;
    maas_ready_explainer_unref(STEAL(e->ready));
}

static bool explain_on_io(maas_req *r)
{
    explaining *e = maas_req_state(r);
    maas_app *app = maas_app_of(r);
    maas_err err = {0};
    maas_status st = maas_models_load(app->models, maas_caller(r)->tenant, e->q.name, e->q.version,
                                      false, &e->q.model, &err);
    if (st == MAAS_OK)
        st = find_explainer(e, &err);
    if (st == MAAS_OK)
        return maas_infer_proceed(&e->q);
    maas_instance_unref(STEAL(e->q.model));
    maas_req_fail(r, &err);
    return true;
}

static void start(maas_req *r, const maas_codec *codec, const maas_codec *dialect, void *own)
{
    maas_err err = {0};
    explaining *e = maas_arena_alloc(maas_req_arena(r), sizeof *e);
    maas_status st = e && own ? MAAS_OK : maas_fail(&err, MAAS_E_NOMEM, "memory for one request");
    if (st == MAAS_OK) {
        e->q = (maas_prediction){.req = r,
                                 .arena = maas_req_arena(r),
                                 .codec = codec,
                                 .own = e,
                                 .name = maas_req_param(r, 0),
                                 .version = maas_req_param(r, 1),
                                 .begin_ns = maas_req_start_ns(r)};
        e->dialect = dialect;
        e->dialect_own = own;
        st = maas_may_use_model(r, e->q.name, &err);
    }
    if (st == MAAS_OK)
        st = read_query(r, e, &err);
    if (st != MAAS_OK) {
        maas_req_fail(r, &err);
        return;
    }
    maas_req_set_state(r, e, forget);
    maas_iopool_run(maas_app_of(r)->io, r, explain_on_io);
}

void maas_oip_explain(maas_req *r)
{
    maas_err err = {0};
    maas_oip_request *o = maas_oip_request_of(r, &err);
    if (o)
        start(r, &oip_codec, &maas_oip_codec, o);
    else
        maas_req_fail(r, &err);
}

void maas_v1_explain(maas_req *r)
{
    start(r, &v1_codec, &maas_v1_codec, maas_v1_request_create(r));
}
