#include "api/rows.h"

#include <string.h>

#include "api/rows_int.h"
#include "tensor/json.h"
#include "base/ban.h"

static maas_status broken(const maas_json_scan *s, maas_err *err)
{
    if (s->err.code)
        return maas_fail(err, s->err.code, "%s", s->err.msg);
    return maas_fail(err, MAAS_E_INVALID, "unexpected JSON at byte %zu", maas_json_offset(s));
}

maas_status maas_grid_put_json(maas_grid *g, int64_t c, maas_json_scan *s, maas_err *err)
{
    maas_json_kind k = maas_json_next(s);
    maas_str text;
    switch (k) {
    case MAAS_JSON_NUMBER:
        return maas_grid_put_number(g, c, s->text, err);
    case MAAS_JSON_TRUE:
    case MAAS_JSON_FALSE:
        return maas_grid_put_number(g, c, maas_span_str(k == MAAS_JSON_TRUE ? "1" : "0"), err);
    case MAAS_JSON_NULL:
    case MAAS_JSON_NONFINITE:
        return MAAS_OK; /* missing: the row began so */
    case MAAS_JSON_STRING:
        text.p = maas_json_unescape(g->q->arena, s->text, &text.n);
        return text.p ? maas_grid_put_text(g, c, text, err)
                      : maas_fail(err, MAAS_E_NOMEM, "memory for one request");
    default:
        return broken(s, err);
    }
}

static maas_status array_row(maas_grid *g, maas_json_scan *s, maas_err *err)
{
    int64_t c = 0;
    MAAS_TRY(maas_grid_add_row(g, err));
    if (maas_json_next(s) != MAAS_JSON_ARRAY)
        return broken(s, err);
    for (; maas_json_at_value(s); c++) {
        if (c == g->n)
            return maas_fail(err, MAAS_E_INVALID, "row %lld has more than %lld cells",
                             (long long)g->rows, (long long)g->n);
        MAAS_TRY(maas_grid_put_json(g, c, s, err));
    }
    if (c != g->n)
        return maas_fail(err, MAAS_E_INVALID, "row %lld has %lld cells, the model wants %lld",
                         (long long)g->rows, (long long)c, (long long)g->n);
    return maas_json_next(s) == MAAS_JSON_CLOSE ? MAAS_OK : broken(s, err);
}

/* An object's value for an input of many elements: its row as an array, nested or flat. */
static maas_status put_row_tensor(maas_grid *g, uint32_t input, maas_json_scan *s, maas_err *err)
{
    const maas_port *p = &maas_instance_inputs(g->q->model)[input];
    maas_json_tensor t = {.dtype = p->dtype, .max = g->row_elems[input], .arena = g->q->arena};
    t.data = g->data[input] +
             (size_t)(g->rows - 1) * (size_t)g->row_elems[input] * maas_dtype_size(p->dtype);
    if (!maas_json_at_value(s))
        return broken(s, err);
    MAAS_TRY(maas_json_decode_tensor(s, &t, err));
    return t.n == t.max ? MAAS_OK
                        : maas_fail(err, MAAS_E_INVALID,
                                    "row %lld, '%s': %lld elements, the model wants %lld",
                                    (long long)g->rows, p->name, (long long)t.n, (long long)t.max);
}

static maas_status object_member(maas_grid *g, maas_json_scan *s, maas_err *err)
{
    size_t n;
    char *name = maas_json_unescape(g->q->arena, s->text, &n);
    if (!name)
        return maas_fail(err, MAAS_E_NOMEM, "memory for one request");
    int64_t c = maas_grid_find(g, name, n);
    if (c >= 0 && !maas_json_at_array(s))
        return maas_grid_put_json(g, c, s, err);
    int input = maas_instance_find_input(g->q->model, name, n);
    if (input >= 0)
        return put_row_tensor(g, (uint32_t)input, s, err);
    return maas_fail(err, MAAS_E_INVALID, "row %lld: the model has no column '%.64s'",
                     (long long)g->rows, name);
}

static maas_status object_row(maas_grid *g, maas_json_scan *s, maas_err *err)
{
    MAAS_TRY(maas_grid_add_row(g, err));
    if (maas_json_next(s) != MAAS_JSON_OBJECT)
        return broken(s, err);
    for (maas_json_kind k; (k = maas_json_next(s)) != MAAS_JSON_CLOSE;) {
        if (k != MAAS_JSON_KEY)
            return broken(s, err);
        MAAS_TRY(object_member(g, s, err));
    }
    return MAAS_OK;
}

/* What the first value inside the array that `s` stands before is; END for an empty array. */
static maas_json_kind peek_row(const maas_json_scan *s)
{
    maas_json_scan copy = *s;
    if (maas_json_next(&copy) != MAAS_JSON_ARRAY)
        return MAAS_JSON_ERROR;
    maas_json_kind k = maas_json_next(&copy);
    return k == MAAS_JSON_CLOSE ? MAAS_JSON_END : k;
}

/* Rows of a model with one input: numbers (or texts) in nested arrays, decoded in one go. */
static maas_status whole_tensor(maas_prediction *q, uint32_t input, maas_json_scan *s,
                                maas_err *err)
{
    const maas_port *p = &maas_instance_inputs(q->model)[input];
    maas_json_tensor j = {.dtype = p->dtype, .max = INT64_MAX / 16, .arena = q->arena};
    if (!maas_json_at_value(s))
        return broken(s, err);
    MAAS_TRY(maas_json_decode_tensor(s, &j, err));
    maas_tensor *t = &q->run.in[input];
    *t = maas_tensor_of(p->dtype, j.rank, j.dims, j.data);
    int64_t row = 1;
    for (int d = 1; d < p->rank; d++)
        row = p->dims[d] < 0 ? -1 : row < 0 ? -1 : row * p->dims[d];
    bool same_rank = j.rank == p->rank;
    for (int d = 1; same_rank && d < p->rank; d++)
        same_rank = p->dims[d] < 0 || p->dims[d] == j.dims[d];
    if (same_rank || p->rank < 1 || row <= 0)
        return MAAS_OK; /* maas_run_check says what does not fit */
    /* Flat rows [n][row], or one row [row], or [n] rows of one element. */
    bool flat_rows = j.rank >= 1 && j.n == j.dims[0] * row;
    if (!flat_rows && j.n != row)
        return MAAS_OK;
    *t = maas_tensor_of(p->dtype, p->rank, p->dims, j.data);
    t->dims[0] = j.n == row && !(flat_rows && j.rank > 1) ? 1 : j.dims[0];
    return MAAS_OK;
}

maas_status maas_rows_decode(maas_prediction *q, maas_json_scan *s, maas_err *err)
{
    maas_json_kind first = maas_json_at_array(s) ? peek_row(s) : MAAS_JSON_ERROR;
    if (first != MAAS_JSON_OBJECT && maas_instance_n_inputs(q->model) == 1)
        return whole_tensor(q, 0, s, err);
    maas_grid g;
    MAAS_TRY(maas_grid_init(&g, q, err));
    if (first == MAAS_JSON_ERROR) { /* not an array: one row as an object */
        MAAS_TRY(object_row(&g, s, err));
    } else if (first != MAAS_JSON_OBJECT && first != MAAS_JSON_ARRAY && first != MAAS_JSON_END) {
        MAAS_TRY(array_row(&g, s, err)); /* one row as an array of cells */
    } else {
        maas_json_next(s);
        while (maas_json_at_value(s))
            MAAS_TRY(maas_json_at_array(s) ? array_row(&g, s, err) : object_row(&g, s, err));
        if (maas_json_next(s) != MAAS_JSON_CLOSE)
            return broken(s, err);
    }
    maas_grid_finish(&g);
    return MAAS_OK;
}

maas_status maas_columns_decode(maas_prediction *q, maas_json_scan *s, maas_err *err)
{
    maas_json_scan look = *s;
    if (maas_json_next(&look) != MAAS_JSON_OBJECT)
        return maas_rows_decode(q, s, err);
    maas_json_next(s);
    for (maas_json_kind k; (k = maas_json_next(s)) != MAAS_JSON_CLOSE;) {
        size_t n;
        if (k != MAAS_JSON_KEY)
            return broken(s, err);
        char *name = maas_json_unescape(q->arena, s->text, &n);
        int input = name ? maas_instance_find_input(q->model, name, n) : -1;
        if (input < 0)
            return maas_fail(err, MAAS_E_INVALID, "the model has no input '%.64s'",
                             name ? name : "");
        MAAS_TRY(whole_tensor(q, (uint32_t)input, s, err));
    }
    return MAAS_OK;
}

int maas_main_output(const maas_instance *m)
{
    int i = maas_instance_find_output(m, "label", 5);
    if (i < 0)
        i = maas_instance_find_output(m, "value", 5);
    return i < 0 ? 0 : i;
}

maas_status maas_reply_main_output(maas_prediction *q, const char *key, maas_err *err)
{
    maas_buf b = MAAS_BUF_IN(q->arena, MAAS_MAX_ANSWER);
    maas_buf_printf(&b, "{\"%s\":", key);
    maas_put_nested(&b, &q->run.out[maas_main_output(q->model)]);
    maas_buf_char(&b, '}');
    if (b.failed)
        return maas_fail(err, MAAS_E_NOMEM, "memory for the answer");
    maas_req_allow_gzip(q->req);
    maas_req_reply(q->req, 200, "application/json", b.p, b.n, true);
    return MAAS_OK;
}

void maas_put_nested(maas_buf *b, const maas_tensor *t)
{
    int64_t n = maas_n_elems(t), inner = t->rank ? t->dims[t->rank - 1] : 1;
    if (t->rank == 0) {
        maas_json_encode_elements(t, 0, 1, b);
        return;
    }
    if (n == 0) {
        maas_buf_str(b, "[]");
        return;
    }
    for (int64_t at = 0; at < n; at += inner) {
        /* Brackets close and open where a dimension is complete. */
        int depth = 1;
        int64_t size = inner;
        for (int d = t->rank - 2; d >= 0 && at % (size * t->dims[d]) == 0; d--, depth++)
            size *= t->dims[d];
        if (at) {
            for (int d = 0; d < depth; d++)
                maas_buf_char(b, ']');
            maas_buf_char(b, ',');
        }
        for (int d = 0; d < (at ? depth : t->rank); d++)
            maas_buf_char(b, '[');
        maas_json_encode_elements(t, at, at + inner, b);
    }
    for (int d = 0; d < t->rank; d++)
        maas_buf_char(b, ']');
}
