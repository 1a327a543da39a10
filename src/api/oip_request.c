#include "api/oip_request.h"

#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "tensor/json.h"
#include "base/ban.h"

#define MAX_TENSORS     4096 /* inputs or outputs one request may name */
#define MAX_SEQUENCE_ID 256  /* bytes */

/* What an object of "inputs" or "outputs" says, before it is checked as a whole. */
typedef struct tensor_object {
    maas_str name;
    maas_dtype dtype;
    int64_t dims[MAAS_MAX_RANK];
    int rank; /* -1: no shape yet */
    int64_t binary_bytes, classification;
    int binary;     /* parameter binary_data: 1, 0, -1 unset */
    maas_span data; /* from '[' on, when data came before what is needed to read it */
    bool has_data, has_binary, decoded;
    maas_tensor tensor;
} tensor_object;

static maas_status bad(const maas_json_scan *s, maas_err *err, const char *what)
{
    if (s->err.code)
        return maas_fail(err, s->err.code, "%s", s->err.msg);
    return maas_fail(err, MAAS_E_INVALID, "%s (at byte %zu of the JSON)", what,
                     maas_json_offset(s));
}

static maas_status string_value(maas_oip_request *q, maas_json_scan *s, const char *what,
                                maas_str *out, maas_err *err)
{
    if (maas_json_next(s) != MAAS_JSON_STRING)
        return bad(s, err, what);
    char *text = maas_json_unescape(q->arena, s->text, &out->n);
    out->p = text;
    return text ? MAAS_OK : bad(s, err, what);
}

static maas_status int_value(maas_json_scan *s, const char *what, int64_t *out, maas_err *err)
{
    maas_span text;
    if (maas_json_next(s) != MAAS_JSON_NUMBER)
        return bad(s, err, what);
    text = s->text;
    if (!maas_num_i64(&text, out) || text.n || *out < 0)
        return bad(s, err, what);
    return MAAS_OK;
}

static maas_status bool_value(maas_json_scan *s, const char *what, bool *out, maas_err *err)
{
    maas_json_kind k = maas_json_next(s);
    if (k != MAAS_JSON_TRUE && k != MAAS_JSON_FALSE)
        return bad(s, err, what);
    *out = k == MAAS_JSON_TRUE;
    return MAAS_OK;
}

static maas_status shape_value(maas_json_scan *s, tensor_object *t, maas_err *err)
{
    if (maas_json_next(s) != MAAS_JSON_ARRAY)
        return bad(s, err, "'shape' must be an array of sizes");
    t->rank = 0;
    for (maas_json_kind k; (k = maas_json_next(s)) != MAAS_JSON_CLOSE;) {
        maas_span text = s->text;
        if (k != MAAS_JSON_NUMBER || t->rank == MAAS_MAX_RANK ||
            !maas_num_i64(&text, &t->dims[t->rank]) || text.n || t->dims[t->rank] < 0)
            return bad(s, err, "'shape' must be an array of at most 8 sizes >= 0");
        t->rank++;
    }
    return MAAS_OK;
}

static maas_status datatype_value(maas_oip_request *q, maas_json_scan *s, tensor_object *t,
                                  maas_err *err)
{
    maas_str name;
    MAAS_TRY(string_value(q, s, "'datatype' must be a string", &name, err));
    t->dtype = maas_dtype_of_oip(name.p, name.n);
    if (t->dtype == MAAS_DT_NONE)
        return maas_fail(err, MAAS_E_INVALID, "there is no datatype '%.32s'", name.p);
    return MAAS_OK;
}

static maas_status tensor_parameters(maas_json_scan *s, tensor_object *t, maas_err *err)
{
    if (maas_json_next(s) != MAAS_JSON_OBJECT)
        return bad(s, err, "'parameters' must be an object");
    for (maas_json_kind k; (k = maas_json_next(s)) != MAAS_JSON_CLOSE;) {
        bool b;
        if (k != MAAS_JSON_KEY)
            return bad(s, err, "'parameters' is not closed");
        if (maas_span_is(s->text, "binary_data_size")) {
            MAAS_TRY(int_value(s, "'binary_data_size' must be a number", &t->binary_bytes, err));
            t->has_binary = true;
        } else if (maas_span_is(s->text, "binary_data")) {
            MAAS_TRY(bool_value(s, "'binary_data' must be true or false", &b, err));
            t->binary = b;
        } else if (maas_span_is(s->text, "classification")) {
            MAAS_TRY(int_value(s, "'classification' must be a number", &t->classification, err));
        } else if (!maas_json_skip(s)) {
            return bad(s, err, "'parameters' is malformed");
        }
    }
    return MAAS_OK;
}

static maas_status decode_data(maas_oip_request *q, maas_json_scan *s, tensor_object *t,
                               maas_err *err)
{
    size_t bytes;
    t->tensor = maas_tensor_of(t->dtype, t->rank, t->dims, NULL);
    MAAS_TRY(maas_shape_bytes(t->dtype, t->dims, t->rank, &bytes, err));
    if (t->dtype == MAAS_F16 || t->dtype == MAAS_BF16)
        return maas_fail(err, MAAS_E_INVALID, "%s tensors come only as binary data",
                         maas_dtype_describe(t->dtype)->oip);
    /* A number takes at least two bytes of JSON: a shape that claims more is a lie. */
    if (maas_n_elems(&t->tensor) > (int64_t)(s->rest.n / 2 + 1))
        return maas_fail(err, MAAS_E_INVALID,
                         "'shape' has %lld elements, 'data' cannot have as many",
                         (long long)maas_n_elems(&t->tensor));
    t->tensor.data = maas_arena_alloc(q->arena, bytes ? bytes : 1);
    if (!t->tensor.data)
        return maas_fail(err, MAAS_E_NOMEM, "memory for an input");
    t->decoded = true;
    maas_json_tensor j = {.dtype = t->dtype,
                          .data = t->tensor.data,
                          .arena = q->arena,
                          .max = maas_n_elems(&t->tensor)};
    maas_status st = maas_json_decode_tensor(s, &j, err);
    if (st == MAAS_OK && j.n != j.max)
        st = maas_fail(err, MAAS_E_INVALID, "'data' has %lld elements, 'shape' says %lld",
                       (long long)j.n, (long long)j.max);
    if (st != MAAS_OK && t->name.p)
        maas_err_prefix(err, "input '%.64s'", t->name.p);
    return st;
}

static maas_status data_value(maas_oip_request *q, maas_json_scan *s, tensor_object *t,
                              maas_err *err)
{
    if (!maas_json_at_array(s))
        return bad(s, err, "'data' must be an array");
    t->has_data = true;
    if (t->dtype != MAAS_DT_NONE && t->rank >= 0)
        return decode_data(q, s, t, err);
    t->data = s->rest; /* read when datatype and shape are known */
    return maas_json_skip(s) ? MAAS_OK : bad(s, err, "'data' is malformed");
}

static maas_status read_object(maas_oip_request *q, maas_json_scan *s, tensor_object *t,
                               maas_err *err)
{
    *t = (tensor_object){.rank = -1, .binary = -1};
    for (maas_json_kind k; (k = maas_json_next(s)) != MAAS_JSON_CLOSE;) {
        if (k != MAAS_JSON_KEY)
            return bad(s, err, "the request is not JSON");
        if (maas_span_is(s->text, "name"))
            MAAS_TRY(string_value(q, s, "'name' must be a string", &t->name, err));
        else if (maas_span_is(s->text, "shape"))
            MAAS_TRY(shape_value(s, t, err));
        else if (maas_span_is(s->text, "datatype"))
            MAAS_TRY(datatype_value(q, s, t, err));
        else if (maas_span_is(s->text, "parameters"))
            MAAS_TRY(tensor_parameters(s, t, err));
        else if (maas_span_is(s->text, "data"))
            MAAS_TRY(data_value(q, s, t, err));
        else if (!maas_json_skip(s))
            return bad(s, err, "the request is not JSON");
    }
    return t->name.p ? MAAS_OK : bad(s, err, "a tensor has no 'name'");
}

/* Checks an input as a whole and makes room for its binary bytes. */
static maas_status take_input(maas_oip_request *q, tensor_object *t, maas_oip_input *out,
                              maas_err *err)
{
    const char *name = t->name.p;
    if (t->rank < 0 || t->dtype == MAAS_DT_NONE)
        return maas_fail(err, MAAS_E_INVALID, "input '%.64s' needs 'shape' and 'datatype'", name);
    if (t->has_data == t->has_binary)
        return maas_fail(err, MAAS_E_INVALID,
                         "input '%.64s' needs either 'data' or the parameter 'binary_data_size'",
                         name);
    *out = (maas_oip_input){.name = t->name, .has_binary = t->has_binary};
    if (t->has_data && !t->decoded) {
        maas_json_scan late;
        maas_json_scan_init(&late, t->data);
        late.nonfinite = true;
        MAAS_TRY(decode_data(q, &late, t, err));
    }
    if (t->has_data) {
        out->tensor = t->tensor;
        return MAAS_OK;
    }
    size_t bytes;
    MAAS_TRY(maas_shape_bytes(t->dtype, t->dims, t->rank, &bytes, err));
    out->tensor = maas_tensor_of(t->dtype, t->rank, t->dims, NULL);
    out->binary_bytes = (size_t)t->binary_bytes;
    if (t->dtype != MAAS_STRING && bytes != out->binary_bytes)
        return maas_fail(
            err, MAAS_E_INVALID,
            "input '%.64s': 'binary_data_size' is %zu, its shape and datatype take %zu", name,
            out->binary_bytes, bytes);
    if (out->binary_bytes > q->binary_left)
        return maas_fail(err, MAAS_E_INVALID,
                         "input '%.64s': 'binary_data_size' is %zu, the body has %llu bytes for it",
                         name, out->binary_bytes, (unsigned long long)q->binary_left);
    q->binary_left -= out->binary_bytes;
    out->binary = maas_arena_alloc(q->arena, out->binary_bytes ? out->binary_bytes : 1);
    return out->binary ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "memory for input '%.64s'", name);
}

static maas_status read_inputs(maas_oip_request *q, maas_json_scan *s, maas_err *err)
{
    size_t cap = 0;
    maas_oip_input *list = NULL; /* grows in the arena: old copies die with the request */
    if (maas_json_next(s) != MAAS_JSON_ARRAY)
        return bad(s, err, "'inputs' must be an array");
    for (maas_json_kind k; (k = maas_json_next(s)) != MAAS_JSON_CLOSE; q->n_inputs++) {
        tensor_object t;
        if (k != MAAS_JSON_OBJECT || q->n_inputs == MAX_TENSORS)
            return bad(s, err, "'inputs' must be an array of objects");
        if (q->n_inputs == cap) {
            cap = cap ? cap * 2 : 4;
            maas_oip_input *more = maas_arena_array(q->arena, cap, sizeof *more);
            if (!more)
                return maas_fail(err, MAAS_E_NOMEM, "memory for the request");
            if (list)
                memcpy(more, list, q->n_inputs * sizeof *list);
            list = more;
        }
        MAAS_TRY(read_object(q, s, &t, err));
        MAAS_TRY(take_input(q, &t, &list[q->n_inputs], err));
    }
    q->inputs = list;
    return MAAS_OK;
}

static maas_status read_outputs(maas_oip_request *q, maas_json_scan *s, maas_err *err)
{
    size_t cap = 0;
    maas_oip_output *list = NULL;
    if (maas_json_next(s) != MAAS_JSON_ARRAY)
        return bad(s, err, "'outputs' must be an array");
    for (maas_json_kind k; (k = maas_json_next(s)) != MAAS_JSON_CLOSE; q->n_outputs++) {
        tensor_object t;
        if (k != MAAS_JSON_OBJECT || q->n_outputs == MAX_TENSORS)
            return bad(s, err, "'outputs' must be an array of objects");
        if (q->n_outputs == cap) {
            cap = cap ? cap * 2 : 4;
            maas_oip_output *more = maas_arena_array(q->arena, cap, sizeof *more);
            if (!more)
                return maas_fail(err, MAAS_E_NOMEM, "memory for the request");
            if (list)
                memcpy(more, list, q->n_outputs * sizeof *list);
            list = more;
        }
        MAAS_TRY(read_object(q, s, &t, err));
        list[q->n_outputs] = (maas_oip_output){t.name, t.binary, t.classification};
    }
    q->outputs = list;
    return MAAS_OK;
}

/* A number or a text; 0 and "" are none. */
static maas_status sequence_id(maas_oip_request *q, maas_json_scan *s, maas_err *err)
{
    maas_str text;
    const maas_json_kind k = maas_json_next(s);
    uint64_t number;
    maas_span rest = s->text;
    if (k == MAAS_JSON_STRING) {
        text.p = maas_json_unescape(q->arena, s->text, &text.n);
    } else {
        if (k != MAAS_JSON_NUMBER || !maas_num_u64(&rest, &number) || rest.n)
            return bad(s, err, "'sequence_id' must be a whole number or a text");
        text = (maas_str){number ? maas_arena_strndup(q->arena, (const char *)s->text.p, s->text.n)
                                 : "",
                          s->text.n};
    }
    if (!text.p || strlen(text.p) != (*text.p ? text.n : 0) || text.n > MAX_SEQUENCE_ID)
        return bad(s, err, "'sequence_id' is too long, or no text");
    q->sequence_id = *text.p ? (char *)(uintptr_t)text.p : NULL;
    return MAAS_OK;
}

static maas_status request_parameters(maas_oip_request *q, maas_json_scan *s, maas_err *err)
{
    if (maas_json_next(s) != MAAS_JSON_OBJECT)
        return bad(s, err, "'parameters' must be an object");
    for (maas_json_kind k; (k = maas_json_next(s)) != MAAS_JSON_CLOSE;) {
        int64_t v;
        if (k != MAAS_JSON_KEY)
            return bad(s, err, "'parameters' is malformed");
        if (maas_span_is(s->text, "binary_data_output")) {
            MAAS_TRY(bool_value(s, "'binary_data_output' must be true or false", &q->binary_output,
                                err));
        } else if (maas_span_is(s->text, "sequence_id")) {
            MAAS_TRY(sequence_id(q, s, err));
        } else if (maas_span_is(s->text, "sequence_start")) {
            MAAS_TRY(
                bool_value(s, "'sequence_start' must be true or false", &q->sequence_start, err));
        } else if (maas_span_is(s->text, "sequence_end")) {
            MAAS_TRY(bool_value(s, "'sequence_end' must be true or false", &q->sequence_end, err));
        } else if (maas_span_is(s->text, "timeout")) {
            MAAS_TRY(int_value(s, "'timeout' must be microseconds", &v, err));
            q->timeout_us = (uint64_t)v;
        } else if (!maas_json_skip(s)) {
            return bad(s, err, "'parameters' is malformed");
        }
    }
    return MAAS_OK;
}

static maas_status read_json(maas_oip_request *q, maas_err *err)
{
    maas_json_scan s;
    maas_json_scan_init(&s, maas_buf_span(&q->json));
    s.nonfinite = true;
    q->parsed = true;
    if (maas_json_next(&s) != MAAS_JSON_OBJECT)
        return bad(&s, err, "the request must be a JSON object");
    for (maas_json_kind k; (k = maas_json_next(&s)) != MAAS_JSON_CLOSE;) {
        maas_str id;
        if (k != MAAS_JSON_KEY)
            return bad(&s, err, "the request is not JSON");
        if (maas_span_is(s.text, "id")) {
            MAAS_TRY(string_value(q, &s, "'id' must be a string", &id, err));
            q->id = (char *)id.p;
        } else if (maas_span_is(s.text, "inputs")) {
            MAAS_TRY(read_inputs(q, &s, err));
        } else if (maas_span_is(s.text, "outputs")) {
            MAAS_TRY(read_outputs(q, &s, err));
        } else if (maas_span_is(s.text, "parameters")) {
            MAAS_TRY(request_parameters(q, &s, err));
        } else if (!maas_json_skip(&s)) {
            return bad(&s, err, "the request is not JSON");
        }
    }
    if (maas_json_next(&s) != MAAS_JSON_END)
        return bad(&s, err, "something follows the JSON object");
    return MAAS_OK;
}

maas_status maas_oip_request_begin(maas_oip_request *q, maas_arena *a, const char *header_length,
                                   uint64_t total, uint64_t max, maas_err *err)
{
    int64_t n = 0;
    *q = (maas_oip_request){
        .arena = a, .json_bytes = UINT64_MAX, .json = (maas_buf)MAAS_BUF_IN(a, max)};
    if (header_length) {
        if (!maas_parse_i64(header_length, &n) || n < 0 || (uint64_t)n > max ||
            (total != UINT64_MAX && (uint64_t)n > total))
            return maas_fail(
                err, MAAS_E_INVALID,
                "Inference-Header-Content-Length must be 0..%llu, the length of the JSON",
                (unsigned long long)(total < max ? total : max));
        q->json_bytes = (uint64_t)n;
        q->binary_left = (total < max ? total : max) - (uint64_t)n;
        q->raw = n == 0;
    }
    size_t expect = q->raw || q->json_bytes == UINT64_MAX
                        ? (size_t)(total == UINT64_MAX ? 0 : total)
                        : (size_t)q->json_bytes;
    if (expect <= max)
        maas_buf_reserve(&q->json, expect);
    return q->json.failed ? maas_fail(err, MAAS_E_NOMEM, "memory for one request") : MAAS_OK;
}

/* Binary bytes go to their inputs, in the order of "inputs". */
static maas_status fill_inputs(maas_oip_request *q, maas_span piece, maas_err *err)
{
    while (piece.n) {
        while (q->filling < q->n_inputs &&
               (!q->inputs[q->filling].has_binary ||
                q->inputs[q->filling].got == q->inputs[q->filling].binary_bytes))
            q->filling++;
        if (q->filling == q->n_inputs)
            return maas_fail(err, MAAS_E_INVALID,
                             "the body goes on after the last binary tensor: %zu bytes too many",
                             piece.n);
        maas_oip_input *in = &q->inputs[q->filling];
        size_t want = in->binary_bytes - in->got, n = piece.n < want ? piece.n : want;
        memcpy(in->binary + in->got, piece.p, n);
        in->got += n;
        maas_span_skip(&piece, n);
    }
    return MAAS_OK;
}

maas_status maas_oip_request_feed(maas_oip_request *q, maas_span piece, maas_err *err)
{
    if (!q->parsed) {
        uint64_t want = q->raw ? UINT64_MAX : q->json_bytes - q->json.n;
        maas_span json;
        maas_span_take(&piece, piece.n < want ? piece.n : (size_t)want, &json);
        maas_buf_add(&q->json, json.p, json.n);
        if (q->json.failed)
            return maas_fail(err, MAAS_E_TOO_LARGE, "the request has more than %zu bytes",
                             q->json.max);
        if (q->raw || q->json.n < q->json_bytes)
            return MAAS_OK;
        MAAS_TRY(read_json(q, err));
    }
    return fill_inputs(q, piece, err);
}

/* BYTES: u32 length and the bytes, again and again (Triton's binary tensor extension). */
static maas_status split_strings(maas_oip_request *q, maas_oip_input *in, maas_err *err)
{
    int64_t n = maas_n_elems(&in->tensor);
    maas_span rest = maas_span_of(in->binary, in->binary_bytes), text;
    if (n > (int64_t)(in->binary_bytes / 4))
        return maas_fail(err, MAAS_E_INVALID, "input '%.64s' has fewer strings than its shape says",
                         in->name.p);
    maas_str *strings = maas_arena_array(q->arena, (size_t)n, sizeof *strings);
    if (!strings)
        return maas_fail(err, MAAS_E_NOMEM, "memory for input '%.64s'", in->name.p);
    for (int64_t i = 0; i < n; i++) {
        uint32_t len;
        if (!maas_span_u32le(&rest, &len) || !maas_span_take(&rest, len, &text))
            return maas_fail(err, MAAS_E_INVALID, "input '%.64s': string %lld runs past its bytes",
                             in->name.p, (long long)i);
        strings[i] = (maas_str){(const char *)text.p, text.n};
    }
    in->tensor.data = strings;
    return rest.n
               ? maas_fail(err, MAAS_E_INVALID, "input '%.64s' has %zu bytes after its last string",
                           in->name.p, rest.n)
               : MAAS_OK;
}

maas_status maas_oip_request_end(maas_oip_request *q, maas_err *err)
{
    if (q->raw)
        return MAAS_OK; /* the model says what the bytes are */
    if (!q->parsed) {
        if (q->json_bytes != UINT64_MAX)
            return maas_fail(err, MAAS_E_INVALID,
                             "the body ends inside the JSON: %zu of %llu bytes", q->json.n,
                             (unsigned long long)q->json_bytes);
        MAAS_TRY(read_json(q, err));
    }
    for (uint32_t i = 0; i < q->n_inputs; i++) {
        maas_oip_input *in = &q->inputs[i];
        if (!in->has_binary)
            continue;
        if (in->got < in->binary_bytes)
            return maas_fail(err, MAAS_E_INVALID, "input '%.64s': %zu of %zu binary bytes arrived",
                             in->name.p, in->got, in->binary_bytes);
        if (in->tensor.dtype == MAAS_STRING)
            MAAS_TRY(split_strings(q, in, err));
        else
            in->tensor.data = in->binary;
    }
    return MAAS_OK;
}
