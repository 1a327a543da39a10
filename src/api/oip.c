/*
 * api/oip.c - the Open Inference Protocol but for infer: health, metadata, configuration,
 * repository. Shapes of the answers: the protocol's REST specification; Triton's extensions where
 * named.
 */
#include "api/oip.h"

#include <string.h>

#include "api/auth.h"
#include "api/reply.h"
#include "base/mem.h"
#include "base/ban.h"

/* What we implement of the extensions Triton lists. */
#define EXTENSIONS                                                                                 \
    "\"classification\",\"sequence\",\"model_repository\",\"model_configuration\",\"binary_"       \
    "tensor_data\","                                                                               \
    "\"parameters\",\"statistics\",\"explain\""

void maas_oip_server(maas_req *r)
{
    maas_buf b = MAAS_BUF_IN(maas_req_arena(r), 4096);
    maas_buf_printf(&b, "{\"name\":\"maas\",\"version\":\"%s\",\"extensions\":[%s]}",
                    maas_version(), EXTENSIONS);
    maas_reply_json(r, 200, &b);
}

void maas_oip_live(maas_req *r)
{
    static const char body[] = "{\"live\":true}";
    maas_req_reply(r, 200, "application/json", body, sizeof body - 1, false);
}

/* Not ready is 400, not 503: Triton's clients look at the code alone. */
void maas_oip_ready(maas_req *r)
{
    const maas_app *app = maas_app_of(r);
    bool ready = atomic_load(&app->ready) && !atomic_load(&app->draining);
    maas_buf b = MAAS_BUF_IN(maas_req_arena(r), 64);
    maas_buf_printf(&b, "{\"live\":true,\"ready\":%s}", ready ? "true" : "false");
    maas_reply_json(r, ready ? 200 : 400, &b);
}

/* ---- what needs the model in memory: found on the I/O thread, or loaded on the io thread ---- */

typedef void (*with_model)(maas_req *r, maas_instance *m);

static bool load_then(maas_req *r)
{
    with_model fn = (with_model)maas_req_state(r);
    maas_instance *m = NULL;
    maas_err err = {0};
    if (maas_models_load(maas_app_of(r)->models, maas_caller(r)->tenant, maas_req_param(r, 0),
                         maas_req_param(r, 1), false, &m, &err) == MAAS_OK)
        fn(r, m);
    else
        maas_req_fail(r, &err);
    maas_instance_unref(m);
    return true;
}

static void for_model(maas_req *r, with_model fn)
{
    maas_instance *m = NULL;
    maas_err err = {0};
    bool must_load = false;
    maas_status st = maas_may_use_model(r, maas_req_param(r, 0), &err);
    if (st == MAAS_OK)
        st = maas_models_find(maas_app_of(r)->models, maas_caller(r)->tenant, maas_req_param(r, 0),
                              maas_req_param(r, 1), &m, &must_load, &err);
    if (must_load) {
        maas_req_set_state(r, (void *)fn, NULL);
        maas_iopool_run(maas_app_of(r)->io, r, load_then);
        return;
    }
    if (st == MAAS_OK)
        fn(r, m);
    else
        maas_req_fail(r, &err);
    maas_instance_unref(m);
}

static void put_ports(const maas_port *p, uint32_t n, maas_buf *b)
{
    maas_buf_char(b, '[');
    for (uint32_t i = 0; i < n; i++) {
        maas_buf_str(b, i ? ",{\"name\":" : "{\"name\":");
        maas_buf_json_str(b, p[i].name, strlen(p[i].name));
        maas_buf_printf(b, ",\"datatype\":\"%s\",\"shape\":[",
                        maas_dtype_describe(p[i].dtype)->oip);
        for (int d = 0; d < p[i].rank; d++)
            maas_buf_printf(b, "%s%lld", d ? "," : "", (long long)p[i].dims[d]);
        maas_buf_str(b, "]}");
    }
    maas_buf_char(b, ']');
}

/* The versions of a model as JSON strings, newest last. */
static void put_versions(maas_req *r, const char *model, maas_buf *b)
{
    const maas_snapshot *s = maas_registry_snapshot(maas_app_of(r)->registry);
    uint32_t n = 0;
    const maas_snap_version *v = s ? maas_snapshot_versions(s, maas_caller(r)->tenant, model, &n)
                                   : NULL;
    for (uint32_t i = 0; i < n; i++)
        maas_buf_printf(b, "%s\"%lld\"", i ? "," : "", (long long)v[i].version);
    maas_snapshot_unref(s);
}

static void model_metadata(maas_req *r, maas_instance *m)
{
    maas_buf b = MAAS_BUF_IN(maas_req_arena(r), 16u << 20);
    maas_buf_str(&b, "{\"name\":");
    maas_buf_json_str(&b, maas_instance_name(m), strlen(maas_instance_name(m)));
    maas_buf_str(&b, ",\"versions\":[");
    put_versions(r, maas_instance_name(m), &b);
    maas_buf_str(&b, "],\"platform\":\"onnx_maas\",\"inputs\":");
    put_ports(maas_instance_inputs(m), maas_instance_n_inputs(m), &b);
    maas_buf_str(&b, ",\"outputs\":");
    put_ports(maas_instance_outputs(m), maas_instance_n_outputs(m), &b);
    maas_buf_char(&b, '}');
    maas_reply_json(r, 200, &b);
}

void maas_oip_model(maas_req *r)
{
    for_model(r, model_metadata);
}

static void model_ready(maas_req *r, maas_instance *m)
{
    maas_buf b = MAAS_BUF_IN(maas_req_arena(r), 1024);
    maas_buf_str(&b, "{\"name\":");
    maas_buf_json_str(&b, maas_instance_name(m), strlen(maas_instance_name(m)));
    maas_buf_str(&b, ",\"ready\":true}");
    maas_reply_json(r, 200, &b);
}

/* A model that is not in memory yet is loaded: ready means that the next request is answered. One
 * that cannot be loaded is 400, as Triton says it. */
void maas_oip_model_ready(maas_req *r)
{
    for_model(r, model_ready);
}

/* Ports as ModelConfig says them: no batch dimension, TYPE_ names. */
static void put_config_ports(const maas_port *p, uint32_t n, bool batches, maas_buf *b)
{
    maas_buf_char(b, '[');
    for (uint32_t i = 0; i < n; i++) {
        const maas_dtype_info *d = maas_dtype_describe(p[i].dtype);
        maas_buf_str(b, i ? ",{\"name\":" : "{\"name\":");
        maas_buf_json_str(b, p[i].name, strlen(p[i].name));
        maas_buf_printf(b, ",\"data_type\":\"TYPE_%s\",\"dims\":[",
                        p[i].dtype == MAAS_STRING ? "STRING" : d->oip);
        for (int k = batches; k < p[i].rank; k++)
            maas_buf_printf(b, "%s%lld", k > batches ? "," : "", (long long)p[i].dims[k]);
        /* A port that is a bare batch of scalars: [1], which the batch makes [-1]. */
        maas_buf_str(b, p[i].rank > batches ? "]}" : "1],\"reshape\":{\"shape\":[]}}");
    }
    maas_buf_char(b, ']');
}

#define MAX_BATCH_SIZE                                                                             \
    4096 /* what we tell load generators; larger requests are cut into chunks                      \
          */

/* What it remembers between the requests of a sequence. */
static void put_states(const maas_instance *m, maas_buf *b)
{
    uint32_t n;
    const maas_state *s = maas_instance_states(m, &n);
    for (uint32_t i = 0; i < n; i++) {
        const maas_port *in = &maas_instance_inputs(m)[s[i].in];
        const char *out = maas_instance_outputs(m)[s[i].out].name;
        maas_buf_str(b, i ? ",{\"input_name\":"
                          : ",\"sequence_batching\":{\"state\":[{\"input_name\":");
        maas_buf_json_str(b, in->name, strlen(in->name));
        maas_buf_str(b, ",\"output_name\":");
        maas_buf_json_str(b, out, strlen(out));
        maas_buf_printf(b, ",\"data_type\":\"TYPE_%s\"}", maas_dtype_describe(in->dtype)->oip);
    }
    maas_buf_str(b, n ? "]}" : "");
}

static void model_config(maas_req *r, maas_instance *m)
{
    maas_buf b = MAAS_BUF_IN(maas_req_arena(r), 16u << 20);
    bool batches = maas_instance_batches(m);
    maas_buf_str(&b, "{\"name\":");
    maas_buf_json_str(&b, maas_instance_name(m), strlen(maas_instance_name(m)));
    maas_buf_printf(
        &b,
        ",\"platform\":\"onnx_maas\",\"backend\":\"maas\",\"version_policy\":{\"all\":{}},"
        "\"max_batch_size\":%d,\"input\":",
        batches ? MAX_BATCH_SIZE : 0);
    put_config_ports(maas_instance_inputs(m), maas_instance_n_inputs(m), batches, &b);
    maas_buf_str(&b, ",\"output\":");
    put_config_ports(maas_instance_outputs(m), maas_instance_n_outputs(m), batches, &b);
    maas_buf_str(&b, ",\"instance_group\":[{\"name\":");
    maas_buf_json_str(&b, maas_instance_name(m), strlen(maas_instance_name(m)));
    maas_buf_str(&b, ",\"kind\":\"KIND_CPU\",\"count\":1}]");
    if (batches)
        maas_buf_str(&b, ",\"dynamic_batching\":{}");
    put_states(m, &b);
    maas_buf_char(&b, '}');
    maas_reply_json(r, 200, &b);
}

void maas_oip_config(maas_req *r)
{
    for_model(r, model_config);
}

/* ---- repository extension ---- */

static void put_index_row(maas_req *r, const char *name, const maas_snap_version *v,
                          bool only_ready, maas_buf *b)
{
    static const char *const words[] = {
        [MAAS_MODEL_READY] = "READY",          [MAAS_MODEL_LOADING] = "LOADING",
        [MAAS_MODEL_UNLOADED] = "UNAVAILABLE", [MAAS_MODEL_FAILED] = "UNAVAILABLE",
        [MAAS_MODEL_COLD] = "READY", /* loaded by its first request */
    };
    char reason[sizeof(maas_err)];
    maas_model_state s = maas_models_state(maas_app_of(r)->models, v->uid, reason, sizeof reason);
    if (only_ready && s != MAAS_MODEL_READY && s != MAAS_MODEL_COLD)
        return;
    maas_buf_str(b, b->n > 1 ? ",{\"name\":" : "{\"name\":");
    maas_buf_json_str(b, name, strlen(name));
    maas_buf_printf(b, ",\"version\":\"%lld\",\"state\":\"%s\",\"reason\":", (long long)v->version,
                    words[s]);
    maas_buf_json_str(b, reason, strlen(reason));
    maas_buf_char(b, '}');
}

static maas_status index_wants_ready(maas_req *r, bool *out, maas_err *err)
{
    AUTO(maas_json_unref) json_t *body = NULL;
    if (!maas_req_body(r).n)
        return MAAS_OK;
    MAAS_TRY(maas_json_parse(maas_req_body(r), &body, err));
    return maas_json_get_bool(body, "", "ready", out, err);
}

void maas_oip_index(maas_req *r)
{
    maas_err err = {0};
    bool only_ready = false;
    if (index_wants_ready(r, &only_ready, &err) != MAAS_OK) {
        maas_req_fail(r, &err);
        return;
    }
    maas_buf b = MAAS_BUF_IN(maas_req_arena(r), 256u << 20);
    maas_tenant t = maas_caller(r)->tenant;
    const maas_snapshot *s = maas_registry_snapshot(maas_app_of(r)->registry);
    maas_buf_char(&b, '[');
    for (uint32_t i = 0; s && i < maas_snapshot_n_models(s, t); i++) {
        const maas_snap_version *v;
        uint32_t n;
        const char *name = maas_snapshot_model(s, t, i, &v, &n);
        maas_err ignored = {0};
        bool visible = maas_may_use_model(r, name, &ignored) == MAAS_OK;
        for (uint32_t k = 0; visible && k < n; k++)
            put_index_row(r, name, &v[k], only_ready, &b);
    }
    maas_snapshot_unref(s);
    maas_buf_char(&b, ']');
    maas_reply_json(r, 200, &b);
}

static bool load_now(maas_req *r)
{
    maas_err err = {0};
    if (maas_models_warm(maas_app_of(r)->models, maas_caller(r)->tenant, maas_req_param(r, 0),
                         &err) == MAAS_OK)
        maas_req_reply(r, 200, "application/json", "", 0, false);
    else
        maas_req_fail(r, &err);
    return true;
}

static bool unload_now(maas_req *r)
{
    maas_err err = {0};
    if (maas_models_unload(maas_app_of(r)->models, maas_caller(r)->tenant, maas_req_param(r, 0),
                           &err) == MAAS_OK)
        maas_req_reply(r, 200, "application/json", "", 0, false);
    else
        maas_req_fail(r, &err);
    return true;
}

void maas_oip_load(maas_req *r)
{
    maas_err err = {0};
    if (maas_may_use_model(r, maas_req_param(r, 0), &err) != MAAS_OK)
        maas_req_fail(r, &err);
    else
        maas_iopool_run(maas_app_of(r)->io, r, load_now);
}

void maas_oip_unload(maas_req *r)
{
    maas_err err = {0};
    if (maas_may_use_model(r, maas_req_param(r, 0), &err) != MAAS_OK)
        maas_req_fail(r, &err);
    else
        maas_iopool_run(maas_app_of(r)->io, r, unload_now);
}
