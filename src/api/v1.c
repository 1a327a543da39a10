/* api/v1.c - TensorFlow Serving's REST interface and KServe v1, which share their paths. */
#include <string.h>

#include "api/auth.h"
#include "api/io.h"
#include "api/reply.h"
#include "api/rows.h"
#include "base/json.h"
#include "base/mem.h"
#include "lm/source.h"
#include "base/ban.h"

/* ---- predict ---- */

typedef struct v1_request {
    bool columns; /* "inputs": whole tensors; else "instances": rows */
} v1_request;

static maas_status decode(maas_prediction *q, maas_err *err)
{
    v1_request *v = q->own;
    maas_json_scan s;
    bool any = false;
    maas_json_scan_init(&s, maas_req_body(q->req));
    s.nonfinite = true;
    if (maas_json_next(&s) != MAAS_JSON_OBJECT)
        return maas_fail(err, MAAS_E_INVALID, "the request must be a JSON object: %s", s.err.msg);
    for (maas_json_kind k; (k = maas_json_next(&s)) != MAAS_JSON_CLOSE;) {
        if (k != MAAS_JSON_KEY)
            return maas_fail(err, MAAS_E_INVALID, "the request is not JSON: %s", s.err.msg);
        bool instances = maas_span_is(s.text, "instances"), inputs = maas_span_is(s.text, "inputs");
        if ((instances || inputs) && any)
            return maas_fail(err, MAAS_E_INVALID, "'instances' and 'inputs' exclude each other");
        if (instances)
            MAAS_TRY(maas_rows_decode(q, &s, err));
        else if (inputs)
            MAAS_TRY(maas_columns_decode(q, &s, err));
        else if (!maas_json_skip(&s))
            return maas_fail(err, MAAS_E_INVALID, "the request is not JSON: %s", s.err.msg);
        any |= instances || inputs;
        v->columns |= inputs;
    }
    if (maas_json_next(&s) != MAAS_JSON_END)
        return maas_fail(err, MAAS_E_INVALID, "something follows the JSON object");
    return any ? MAAS_OK : maas_fail(err, MAAS_E_INVALID, "'instances' or 'inputs' is missing");
}

static maas_status encode(maas_prediction *q, maas_err *err)
{
    const v1_request *v = q->own;
    uint32_t n = maas_instance_n_outputs(q->model);
    if (!v->columns || n == 1)
        return maas_reply_main_output(q, v->columns ? "outputs" : "predictions", err);
    maas_buf b = MAAS_BUF_IN(q->arena, MAAS_MAX_ANSWER);
    maas_buf_str(&b, "{\"outputs\":");
    for (uint32_t i = 0; i < n; i++) {
        const char *name = maas_instance_outputs(q->model)[i].name;
        maas_buf_char(&b, i ? ',' : '{');
        maas_buf_json_str(&b, name, strlen(name));
        maas_buf_char(&b, ':');
        maas_put_nested(&b, &q->run.out[i]);
    }
    maas_buf_str(&b, "}}");
    if (b.failed)
        return maas_fail(err, MAAS_E_NOMEM, "memory for the answer");
    maas_req_allow_gzip(q->req);
    maas_req_reply(q->req, 200, "application/json", b.p, b.n, true);
    return MAAS_OK;
}

const maas_codec maas_v1_codec = {"v1", decode, encode, NULL};

void *maas_v1_request_create(maas_req *r)
{
    return maas_arena_alloc(maas_req_arena(r), sizeof(v1_request));
}

void maas_v1_predict(maas_req *r)
{
    maas_err err = {0};
    v1_request *v = maas_v1_request_create(r);
    if (v) {
        maas_infer_start(r, maas_req_param(r, 0), maas_req_param(r, 1), &maas_v1_codec, v);
        return;
    }
    maas_fail(&err, MAAS_E_NOMEM, "memory for one request");
    maas_req_fail(r, &err);
}

/* ---- status: the union of what OpenAI, KServe and TensorFlow Serving clients read ---- */

static void put_model(maas_buf *b, const char *name, const maas_snap_version *v, uint32_t n,
                      uint64_t created_s)
{
    maas_buf_str(b, "{\"id\":");
    maas_buf_json_str(b, name, strlen(name));
    maas_buf_str(b, ",\"name\":");
    maas_buf_json_str(b, name, strlen(name));
    maas_buf_printf(b,
                    ",\"object\":\"model\",\"created\":%llu,\"owned_by\":\"maas\",\"ready\":true,"
                    "\"model_version_status\":[",
                    (unsigned long long)created_s);
    for (uint32_t i = 0; i < n; i++)
        maas_buf_printf(
            b,
            "%s{\"version\":\"%lld\",\"state\":\"AVAILABLE\",\"status\":{\"error_code\":"
            "\"OK\",\"error_message\":\"\"}}",
            i ? "," : "", (long long)v[n - 1 - i].version);
    maas_buf_str(b, "]}");
}

/* Adapters of the version that the bare name stands for, each as a model that has a parent. */
static void put_adapters(maas_req *r, const maas_snapshot *s, const char *name, maas_buf *b)
{
    AUTO(maas_json_unref) json_t *doc = NULL;
    maas_app *app = maas_app_of(r);
    const maas_tenant t = maas_caller(r)->tenant;
    const maas_snap_version *v;
    const char *found, *path;
    json_t *hex;
    maas_err ignored = {0};
    if (maas_snapshot_resolve(s, t, name, NULL, &found, &v, &ignored) != MAAS_OK ||
        !maas_lm_is_format(v->format) ||
        maas_registry_version_get(app->registry, t, name, v->version, &doc, &ignored) != MAAS_OK)
        return;
    json_object_foreach(json_object_get(doc, "files"), path, hex)
    {
        const maas_str adapter = maas_lm_adapter_of_path(path);
        if (!adapter.n)
            continue;
        AUTO(maas_buf_reset) maas_buf id = MAAS_BUF_INIT(4096);
        maas_buf_printf(&id, "%s+%.*s", name, (int)adapter.n, adapter.p);
        maas_buf_str(b, ",{\"id\":");
        maas_buf_json_str(b, id.p ? id.p : "", id.n);
        maas_buf_printf(b,
                        ",\"object\":\"model\",\"created\":%llu,\"owned_by\":\"maas\",\"parent\":",
                        (unsigned long long)(app->started_ms / 1000));
        maas_buf_json_str(b, name, strlen(name));
        maas_buf_char(b, '}');
    }
}

static bool models_on_io(maas_req *r)
{
    maas_buf b = MAAS_BUF_IN(maas_req_arena(r), 256u << 20), names = b;
    maas_tenant t = maas_caller(r)->tenant;
    const maas_snapshot *s = maas_registry_snapshot(maas_app_of(r)->registry);
    maas_err ignored = {0};
    maas_buf_str(&b, "{\"object\":\"list\",\"data\":[");
    for (uint32_t i = 0; s && i < maas_snapshot_n_models(s, t); i++) {
        const maas_snap_version *v;
        uint32_t n;
        const char *name = maas_snapshot_model(s, t, i, &v, &n);
        if (maas_may_use_model(r, name, &ignored) != MAAS_OK)
            continue;
        if (names.n)
            maas_buf_char(&b, ','), maas_buf_char(&names, ',');
        put_model(&b, name, v, n, maas_app_of(r)->started_ms / 1000);
        put_adapters(r, s, name, &b);
        maas_buf_json_str(&names, name, strlen(name));
    }
    maas_snapshot_unref(s);
    maas_buf_str(&b, "],\"models\":[");
    maas_buf_add(&b, names.p, names.n);
    maas_buf_str(&b, "]}");
    maas_reply_json(r, 200, &b);
    return true;
}

void maas_v1_models(maas_req *r)
{
    maas_iopool_run(maas_app_of(r)->io, r, models_on_io);
}

static maas_status model_status(maas_req *r, const maas_snapshot *s, maas_buf *b, maas_err *err)
{
    const char *name;
    const maas_snap_version *v;
    uint32_t n = 1;
    MAAS_TRY(maas_may_use_model(r, maas_req_param(r, 0), err));
    MAAS_TRY(maas_snapshot_resolve(s, maas_caller(r)->tenant, maas_req_param(r, 0),
                                   maas_req_param(r, 1), &name, &v, err));
    if (!maas_req_param(r, 1))
        v = maas_snapshot_versions(s, maas_caller(r)->tenant, name, &n);
    put_model(b, name, v, n, maas_app_of(r)->started_ms / 1000);
    return MAAS_OK;
}

void maas_v1_model(maas_req *r)
{
    maas_err err = {0};
    maas_buf b = MAAS_BUF_IN(maas_req_arena(r), 16u << 20);
    const maas_snapshot *s = maas_registry_snapshot(maas_app_of(r)->registry);
    maas_status st = s ? model_status(r, s, &b, &err)
                       : maas_fail(&err, MAAS_E_NOMEM, "reading the registry");
    maas_snapshot_unref(s);
    if (st == MAAS_OK)
        maas_reply_json(r, 200, &b);
    else
        maas_req_fail(r, &err);
}

/* ---- metadata: a SignatureDef as TensorFlow Serving prints it ---- */

static void put_signature(maas_buf *b, const char *key, const maas_port *p, uint32_t n)
{
    maas_buf_printf(b, "\"%s\":{", key);
    for (uint32_t i = 0; i < n; i++) {
        const char *oip = maas_dtype_describe(p[i].dtype)->oip;
        const char *tf = strcmp(oip, "FP32") == 0    ? "DT_FLOAT"
                         : strcmp(oip, "FP64") == 0  ? "DT_DOUBLE"
                         : strcmp(oip, "BYTES") == 0 ? "DT_STRING"
                                                     : NULL;
        if (i)
            maas_buf_char(b, ',');
        maas_buf_json_str(b, p[i].name, strlen(p[i].name));
        maas_buf_printf(b, ":{\"dtype\":\"%s%s\",\"tensor_shape\":{\"dim\":[", tf ? "" : "DT_",
                        tf ? tf : oip);
        for (int d = 0; d < p[i].rank; d++)
            maas_buf_printf(b, "%s{\"size\":\"%lld\",\"name\":\"\"}", d ? "," : "",
                            (long long)p[i].dims[d]);
        maas_buf_str(b, "],\"unknown_rank\":false},\"name\":");
        maas_buf_json_str(b, p[i].name, strlen(p[i].name));
        maas_buf_char(b, '}');
    }
    maas_buf_char(b, '}');
}

static bool metadata_on_io(maas_req *r)
{
    maas_instance *m = NULL;
    maas_err err = {0};
    if (maas_models_load(maas_app_of(r)->models, maas_caller(r)->tenant, maas_req_param(r, 0), NULL,
                         false, &m, &err) != MAAS_OK) {
        maas_req_fail(r, &err);
        return true;
    }
    maas_buf b = MAAS_BUF_IN(maas_req_arena(r), 16u << 20);
    maas_buf_str(&b, "{\"model_spec\":{\"name\":");
    maas_buf_json_str(&b, maas_instance_name(m), strlen(maas_instance_name(m)));
    maas_buf_printf(
        &b,
        ",\"signature_name\":\"\",\"version\":\"%lld\"},\"metadata\":{\"signature_def\":{"
        "\"signature_def\":{\"serving_default\":{",
        (long long)maas_instance_version(m));
    put_signature(&b, "inputs", maas_instance_inputs(m), maas_instance_n_inputs(m));
    maas_buf_char(&b, ',');
    put_signature(&b, "outputs", maas_instance_outputs(m), maas_instance_n_outputs(m));
    maas_buf_str(&b, ",\"method_name\":\"tensorflow/serving/predict\"}}}}}");
    maas_instance_unref(m);
    maas_reply_json(r, 200, &b);
    return true;
}

void maas_v1_metadata(maas_req *r)
{
    maas_err err = {0};
    if (maas_may_use_model(r, maas_req_param(r, 0), &err) != MAAS_OK)
        maas_req_fail(r, &err);
    else
        maas_iopool_run(maas_app_of(r)->io, r, metadata_on_io);
}
