/*
 * api/predict.c - POST /predict and POST /: `model_name` and `input_data` as query parameters, form
 * fields or JSON members; the answer is {"output_data": ...}.
 *
 * input_data is JSON (rows, see rows.h); what is not JSON is one BYTES value.
 */
#include <string.h>
#include <strings.h>

#include "api/reply.h"
#include "api/rows.h"
#include "base/ban.h"

typedef struct predict_request {
    char *model;
    maas_span data; /* the text of input_data */
    bool is_json;   /* it came as a JSON value, not as text */
} predict_request;

/* ---- application/x-www-form-urlencoded ---- */

static int hex_digit(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Decodes %xx and '+'; NULL when out of memory or malformed. */
static char *form_text(maas_arena *a, maas_span in, size_t *out_n)
{
    char *out = maas_arena_alloc(a, in.n + 1), *at = out;
    for (size_t i = 0; out && i < in.n; i++) {
        if (in.p[i] == '%') {
            int hi = i + 2 < in.n ? hex_digit(in.p[i + 1]) : -1;
            int lo = i + 2 < in.n ? hex_digit(in.p[i + 2]) : -1;
            if (hi < 0 || lo < 0)
                return NULL;
            *at++ = (char)(hi << 4 | lo);
            i += 2;
        } else {
            *at++ = in.p[i] == '+' ? ' ' : (char)in.p[i];
        }
    }
    if (out)
        *out_n = (size_t)(at - out);
    return out;
}

static maas_status take_field(predict_request *p, maas_span name, char *text, size_t n,
                              maas_err *err)
{
    if (!text)
        return maas_fail(err, MAAS_E_INVALID, "the form is malformed");
    if (maas_span_is(name, "model_name"))
        p->model = text;
    else if (maas_span_is(name, "input_data"))
        p->data = maas_span_of(text, n);
    return MAAS_OK;
}

static maas_status read_form(maas_req *r, predict_request *p, maas_err *err)
{
    maas_span rest = maas_req_body(r);
    while (rest.n) {
        const uint8_t *amp = memchr(rest.p, '&', rest.n);
        maas_span pair = maas_span_of(rest.p, amp ? (size_t)(amp - rest.p) : rest.n);
        maas_span_skip(&rest, pair.n);
        maas_span_skip(&rest, amp != NULL);
        const uint8_t *eq = memchr(pair.p, '=', pair.n);
        if (!eq)
            continue;
        maas_span name = {pair.p, (size_t)(eq - pair.p)};
        maas_span value = {eq + 1, pair.n - name.n - 1};
        size_t n = 0;
        char *text = form_text(maas_req_arena(r), value, &n);
        MAAS_TRY(take_field(p, name, text, n, err));
    }
    return MAAS_OK;
}

/* ---- multipart/form-data ---- */

typedef struct part_reader {
    maas_req *req;
    predict_request *p;
    maas_buf text;
    const char *name;
} part_reader;

static maas_status part_begin(void *user, const char *name, const char *file, const char *type,
                              maas_err *err)
{
    (void)file;
    (void)type;
    part_reader *m = user;
    m->name = name ? maas_arena_strdup(maas_req_arena(m->req), name) : "";
    m->text = (maas_buf)MAAS_BUF_IN(maas_req_arena(m->req), maas_req_body(m->req).n);
    return m->name ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "memory for one request");
}

static maas_status part_data(void *user, maas_span piece, maas_err *err)
{
    part_reader *m = user;
    maas_buf_add(&m->text, piece.p, piece.n);
    return m->text.failed ? maas_fail(err, MAAS_E_NOMEM, "memory for one request") : MAAS_OK;
}

static maas_status part_end(void *user, maas_err *err)
{
    part_reader *m = user;
    size_t n = 0;
    char *text = maas_buf_steal(&m->text, &n);
    return take_field(m->p, maas_span_str(m->name), text, n, err);
}

static maas_status read_multipart(maas_req *r, const char *type, predict_request *p, maas_err *err)
{
    part_reader m = {.req = r, .p = p};
    const maas_part_sink sink = {&m, part_begin, part_data, part_end};
    maas_multipart *parts;
    MAAS_TRY(maas_multipart_create(type, &sink, &parts, err));
    maas_status st = maas_multipart_feed(parts, maas_req_body(r), err);
    if (st == MAAS_OK)
        st = maas_multipart_finish(parts, err);
    maas_multipart_destroy(parts);
    return st;
}

/* ---- application/json ---- */

static maas_status read_json(maas_req *r, predict_request *p, maas_err *err)
{
    maas_json_scan s;
    maas_json_scan_init(&s, maas_req_body(r));
    s.nonfinite = true;
    if (maas_json_next(&s) != MAAS_JSON_OBJECT)
        return maas_fail(err, MAAS_E_INVALID, "the request must be a JSON object: %s", s.err.msg);
    for (maas_json_kind k; (k = maas_json_next(&s)) != MAAS_JSON_CLOSE;) {
        size_t n;
        if (k != MAAS_JSON_KEY)
            return maas_fail(err, MAAS_E_INVALID, "the request is not JSON: %s", s.err.msg);
        bool name = maas_span_is(s.text, "model_name"), data = maas_span_is(s.text, "input_data");
        if (name && maas_json_next(&s) == MAAS_JSON_STRING) {
            p->model = maas_json_unescape(maas_req_arena(r), s.text, &n);
        } else if (data && maas_json_at_value(&s)) {
            maas_span from = s.rest;
            if (!maas_json_skip(&s))
                return maas_fail(err, MAAS_E_INVALID, "the request is not JSON: %s", s.err.msg);
            p->data = maas_span_of(from.p, from.n - s.rest.n);
            p->is_json = true;
        } else if (name || !maas_json_skip(&s)) {
            return maas_fail(err, MAAS_E_INVALID, "the request is malformed: %s",
                             name ? "'model_name' must be a string" : s.err.msg);
        }
    }
    if (maas_json_next(&s) != MAAS_JSON_END)
        return maas_fail(err, MAAS_E_INVALID, "something follows the JSON object");
    return MAAS_OK;
}

/* ---- the dialect ---- */

static bool is_json_document(maas_span text)
{
    maas_json_scan s;
    maas_json_scan_init(&s, text);
    s.nonfinite = true;
    return maas_json_at_value(&s) && maas_json_skip(&s) && maas_json_next(&s) == MAAS_JSON_END;
}

static maas_status one_string(maas_prediction *q, maas_span text, maas_err *err)
{
    const maas_port *in = maas_instance_inputs(q->model);
    maas_str *cell = maas_arena_alloc(q->arena, sizeof *cell);
    if (!cell)
        return maas_fail(err, MAAS_E_NOMEM, "memory for one request");
    if (maas_instance_n_inputs(q->model) != 1 || in->dtype != MAAS_STRING)
        return maas_fail(err, MAAS_E_INVALID,
                         "'input_data' is not JSON, and input '%s' is %s, not one BYTES value",
                         in->name, maas_dtype_describe(in->dtype)->oip);
    *cell = (maas_str){(const char *)text.p, text.n};
    q->run.in[0] = maas_tensor_of(MAAS_STRING, in->rank, in->dims, cell);
    for (int d = 0; d < in->rank; d++)
        if (q->run.in[0].dims[d] < 0)
            q->run.in[0].dims[d] = 1;
    return MAAS_OK;
}

static maas_status decode(maas_prediction *q, maas_err *err)
{
    const predict_request *p = q->own;
    maas_json_scan s;
    if (!p->is_json && !is_json_document(p->data))
        return one_string(q, p->data, err);
    maas_json_scan_init(&s, p->data);
    s.nonfinite = true;
    return maas_rows_decode(q, &s, err);
}

static maas_status encode(maas_prediction *q, maas_err *err)
{
    return maas_reply_main_output(q, "output_data", err);
}

static const maas_codec codec = {"predict", decode, encode};

static maas_status read_request(maas_req *r, predict_request *p, maas_err *err)
{
    const char *type = maas_req_header(r, "Content-Type");
    const char *name = maas_req_query(r, "model_name"), *data = maas_req_query(r, "input_data");
    if (name)
        p->model = maas_arena_strdup(maas_req_arena(r), name);
    if (data)
        p->data = maas_span_str(data);
    if (!maas_req_body(r).n)
        return MAAS_OK;
    if (type && strncasecmp(type, "multipart/form-data", 19) == 0)
        return read_multipart(r, type, p, err);
    if (type && strncasecmp(type, "application/x-www-form-urlencoded", 33) == 0)
        return read_form(r, p, err);
    return read_json(r, p, err);
}

void maas_predict(maas_req *r)
{
    maas_err err = {0};
    predict_request *p = maas_arena_alloc(maas_req_arena(r), sizeof *p);
    maas_status st = p ? read_request(r, p, &err)
                       : maas_fail(&err, MAAS_E_NOMEM, "memory for one request");
    if (st == MAAS_OK && !p->data.p)
        st = maas_fail(&err, MAAS_E_INVALID, "'input_data' is missing");
    const char *model = st == MAAS_OK ? p->model ? p->model : maas_default_model(r, &err) : NULL;
    if (model)
        maas_infer_start(r, model, NULL, &codec, p);
    else
        maas_req_fail(r, &err);
}
