/*
 * api/oip_infer.c - POST /v2/models/{m}[/versions/{v}]/infer of the Open Inference Protocol, with
 * Triton's binary tensor and classification extensions.
 */
#include <string.h>

#include "api/classify.h"
#include "api/image.h"
#include "api/oip.h"
#include "api/oip_request.h"
#include "api/sequence.h"
#include "base/mem.h"
#include "base/num.h"
#include "tensor/json.h"
#include "base/ban.h"

#define JSON_MAX (1ull << 32) /* bytes of a response's JSON */

/* Inference-Header-Content-Length: 0: the body is the one input, as the model types it. */
static maas_status decode_raw(maas_prediction *q, const maas_oip_request *o, maas_err *err)
{
    const maas_port *p = maas_instance_inputs(q->model);
    int unknown = 0, at = 0;
    if (maas_instance_n_inputs(q->model) != 1)
        return maas_fail(err, MAAS_E_INVALID, "a raw request needs a model with one input");
    maas_tensor t = maas_tensor_of(p->dtype, p->rank, p->dims, o->json.p);
    if (maas_instance_batches(q->model))
        t.dims[0] = 1;
    for (int d = 0; d < t.rank; d++)
        if (t.dims[d] < 0) {
            unknown++;
            t.dims[at = d] = 1;
        }
    if (unknown > 1)
        return maas_fail(err, MAAS_E_INVALID, "a raw request needs a model with one variable size");
    if (p->dtype == MAAS_STRING) {
        maas_str *one = maas_arena_alloc(q->arena, sizeof *one);
        if (!one)
            return maas_fail(err, MAAS_E_NOMEM, "memory for one request");
        *one = (maas_str){o->json.p, o->json.n};
        t.data = one;
    } else {
        size_t unit = maas_tensor_bytes(&t);
        if (unknown && unit && o->json.n % unit == 0)
            t.dims[at] = (int64_t)(o->json.n / unit);
        if (maas_tensor_bytes(&t) != o->json.n)
            return maas_fail(err, MAAS_E_INVALID, "input '%s' takes %zu bytes, the body has %zu",
                             p->name, maas_tensor_bytes(&t), o->json.n);
    }
    q->run.in[0] = t;
    return MAAS_OK;
}

static maas_status decode(maas_prediction *q, maas_err *err)
{
    maas_oip_request *o = q->own;
    if (o->timeout_us && o->timeout_us < (UINT64_MAX - q->begin_ns) / 1000)
        q->deadline_ns = q->begin_ns + o->timeout_us * 1000;
    if (o->raw)
        return decode_raw(q, o, err);
    for (uint32_t i = 0; i < o->n_inputs; i++) {
        const maas_oip_input *in = &o->inputs[i];
        int at = maas_instance_find_input(q->model, in->name.p, in->name.n);
        if (at < 0)
            return maas_fail(err, MAAS_E_INVALID, "model '%s' has no input '%.64s'",
                             maas_instance_name(q->model), in->name.p);
        if (q->run.in[at].dtype != MAAS_DT_NONE)
            return maas_fail(err, MAAS_E_INVALID, "input '%.64s' is there twice", in->name.p);
        MAAS_TRY(maas_infer_widen(q, (uint32_t)at, &in->tensor, err));
    }
    for (uint32_t i = 0; i < o->n_outputs; i++)
        if (maas_instance_find_output(q->model, o->outputs[i].name.p, o->outputs[i].name.n) < 0)
            return maas_fail(err, MAAS_E_INVALID, "model '%s' has no output '%.64s'",
                             maas_instance_name(q->model), o->outputs[i].name.p);
    return MAAS_OK;
}

/* ---- answering ---- */

static size_t binary_size(const maas_tensor *t)
{
    if (t->dtype != MAAS_STRING)
        return maas_tensor_bytes(t);
    size_t n = 0;
    for (int64_t i = 0; i < maas_n_elems(t); i++)
        n += 4 + ((const maas_str *)t->data)[i].n;
    return n;
}

static void put_binary(const maas_tensor *t, maas_buf *out)
{
    if (t->dtype != MAAS_STRING) {
        maas_buf_add(out, t->data, maas_tensor_bytes(t));
        return;
    }
    for (int64_t i = 0; i < maas_n_elems(t); i++) {
        const maas_str *s = (const maas_str *)t->data + i;
        uint32_t len = (uint32_t)s->n;
        maas_buf_add(out, &len, 4);
        maas_buf_add(out, s->p, s->n);
    }
}

/* Triton's classification extension: the k best of each row as "score:index[:label]" strings. */
static maas_status classify(maas_prediction *q, const maas_tensor *t, int64_t k, maas_tensor *out,
                            maas_err *err)
{
    AUTO(maas_labels_reset) maas_labels l;
    maas_ranked *ranked;
    int64_t rows;
    MAAS_TRY(maas_rank(q->arena, t, false, &k, &rows, &ranked, err));
    maas_labels_of(q->model, &l);
    if (!t->rank || l.n != t->dims[t->rank - 1])
        maas_labels_reset(&l); /* names of something else */
    return maas_rank_texts(q->arena, ranked, rows, k, &l, out, err);
}

static void put_shape(const maas_tensor *t, maas_buf *out)
{
    char number[MAAS_NUM_MAX];
    maas_buf_char(out, '[');
    for (int d = 0; d < t->rank; d++) {
        if (d)
            maas_buf_char(out, ',');
        maas_buf_add(out, number, maas_num_put_i64(number, t->dims[d]));
    }
    maas_buf_char(out, ']');
}

/* One element of "outputs"; its bytes go to `binary` when the client wants them so. */
static maas_status put_output(maas_prediction *q, const char *name, const maas_tensor *t,
                              bool as_binary, maas_buf *json, maas_buf *binary, maas_err *err)
{
    bool half = t->dtype == MAAS_F16 || t->dtype == MAAS_BF16;
    if (half && !as_binary)
        return maas_fail(err, MAAS_E_INVALID, "output '%s' is %s: ask for it with binary_data",
                         name, maas_dtype_describe(t->dtype)->oip);
    maas_buf_str(json, "{\"name\":");
    maas_buf_json_str(json, name, strlen(name));
    maas_buf_str(json, ",\"datatype\":\"");
    maas_buf_str(json, maas_dtype_describe(t->dtype)->oip);
    maas_buf_str(json, "\",\"shape\":");
    put_shape(t, json);
    if (as_binary) {
        maas_buf_printf(json, ",\"parameters\":{\"binary_data_size\":%zu}", binary_size(t));
        put_binary(t, binary);
    } else {
        maas_buf_str(json, ",\"data\":");
        maas_json_encode_tensor(t, json);
    }
    maas_buf_char(json, '}');
    return MAAS_OK;
}

static maas_status put_outputs(maas_prediction *q, maas_buf *json, maas_buf *binary,
                               bool *any_binary, maas_err *err)
{
    const maas_oip_request *o = q->own;
    uint32_t n = o->n_outputs ? o->n_outputs : maas_instance_n_outputs(q->model), written = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (!o->n_outputs && o->hidden && o->hidden[i])
            continue;
        const maas_oip_output *want = o->n_outputs ? &o->outputs[i] : NULL;
        int at = want ? maas_instance_find_output(q->model, want->name.p, want->name.n) : (int)i;
        maas_tensor t = q->run.out[at];
        if (want && want->classification)
            MAAS_TRY(classify(q, &q->run.out[at], want->classification, &t, err));
        bool as_binary = o->raw ||
                         (want && want->binary >= 0 ? want->binary == 1 : o->binary_output);
        *any_binary |= as_binary;
        if (written++)
            maas_buf_char(json, ',');
        MAAS_TRY(put_output(q, maas_instance_outputs(q->model)[at].name, &t, as_binary, json,
                            binary, err));
    }
    return MAAS_OK;
}

static maas_status reply(maas_prediction *q, maas_buf *json, maas_buf *binary, bool any_binary,
                         maas_err *err)
{
    if (any_binary) {
        char length[MAAS_NUM_MAX + 1];
        length[maas_num_put_u64(length, json->n)] = '\0';
        maas_req_set_header(q->req, "Inference-Header-Content-Length", length);
        maas_buf_add(json, binary->p, binary->n);
    }
    if (json->failed || binary->failed)
        return maas_fail(err, MAAS_E_NOMEM, "memory for the answer");
    maas_req_allow_gzip(q->req);
    maas_req_reply(q->req, 200, any_binary ? "application/octet-stream" : "application/json",
                   json->p, json->n, true);
    return MAAS_OK;
}

static void put_head(maas_prediction *q, const maas_oip_request *o, maas_buf *json)
{
    maas_buf_str(json, "{\"model_name\":");
    maas_buf_json_str(json, maas_instance_name(q->model), strlen(maas_instance_name(q->model)));
    maas_buf_printf(json, ",\"model_version\":\"%lld\"",
                    (long long)maas_instance_version(q->model));
    if (o->id) {
        maas_buf_str(json, ",\"id\":");
        maas_buf_json_str(json, o->id, strlen(o->id));
    }
}

maas_status maas_oip_reply_tensors(maas_prediction *q, const maas_oip_request *o,
                                   const char *const *names, const maas_tensor *t, uint32_t n,
                                   const char *parameters, maas_err *err)
{
    maas_buf json = MAAS_BUF_IN(q->arena, JSON_MAX), binary = MAAS_BUF_IN(q->arena, JSON_MAX);
    put_head(q, o, &json);
    if (parameters)
        maas_buf_printf(&json, ",\"parameters\":{%s}", parameters);
    maas_buf_str(&json, ",\"outputs\":[");
    for (uint32_t i = 0; i < n; i++) {
        if (i)
            maas_buf_char(&json, ',');
        MAAS_TRY(put_output(q, names[i], &t[i], o->binary_output, &json, &binary, err));
    }
    maas_buf_str(&json, "]}");
    return reply(q, &json, &binary, o->binary_output, err);
}

static maas_status encode(maas_prediction *q, maas_err *err)
{
    const maas_oip_request *o = q->own;
    maas_buf json = MAAS_BUF_IN(q->arena, JSON_MAX), binary = MAAS_BUF_IN(q->arena, JSON_MAX);
    bool any_binary = false;
    put_head(q, o, &json);
    maas_buf_str(&json, ",\"outputs\":[");
    MAAS_TRY(put_outputs(q, &json, &binary, &any_binary, err));
    maas_buf_str(&json, "]}");
    return reply(q, &json, &binary, any_binary, err);
}

const maas_codec maas_oip_codec = {"oip", decode, encode, NULL};

maas_status maas_oip_infer_body(maas_req *r, maas_span piece, maas_err *err)
{
    maas_oip_request *o = maas_req_state(r);
    if (maas_image_is(r))
        return maas_image_body(r, piece, err);
    if (!o) {
        o = maas_arena_alloc(maas_req_arena(r), sizeof *o);
        if (!o)
            return maas_fail(err, MAAS_E_NOMEM, "memory for one request");
        /* Of a compressed body nobody knows yet how long it will be. */
        uint64_t total = maas_req_header(r, "Content-Encoding") ? UINT64_MAX
                                                                : maas_req_content_length(r);
        MAAS_TRY(maas_oip_request_begin(o, maas_req_arena(r),
                                        maas_req_header(r, "Inference-Header-Content-Length"),
                                        total, (uint64_t)maas_app_of(r)->conf.max_body, err));
        maas_req_set_state(r, o, NULL);
    }
    return maas_oip_request_feed(o, piece, err);
}

maas_oip_request *maas_oip_request_of(maas_req *r, maas_err *err)
{
    maas_oip_request *o = maas_image_is(r) ? NULL : maas_req_state(r);
    if (maas_image_is(r)) {
        maas_fail(err, MAAS_E_MEDIA, "images are for /infer; this takes tensors");
        return NULL;
    }
    maas_status st = o ? maas_oip_request_end(o, err)
                       : maas_fail(err, MAAS_E_INVALID, "the request has no body");
    return st == MAAS_OK ? o : NULL;
}

void maas_oip_infer(maas_req *r)
{
    maas_err err = {0};
    if (maas_image_is(r)) {
        maas_image_infer(r);
        return;
    }
    maas_oip_request *o = maas_oip_request_of(r, &err);
    if (o && o->sequence_id)
        maas_sequence_infer(r, o);
    else if (o)
        maas_infer_start(r, maas_req_param(r, 0), maas_req_param(r, 1), &maas_oip_codec, o);
    else
        maas_req_fail(r, &err);
}
