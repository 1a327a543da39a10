/* api/mlflow.c - POST /invocations and GET /ping: MLflow's scoring protocol, SageMaker's container.
 */
#include <string.h>
#include <strings.h>

#include "api/reply.h"
#include "api/rows_int.h"
#include "base/ban.h"

void maas_ping(maas_req *r)
{
    maas_req_reply(r, 200, "application/json", "\n", 1, false);
}

/* ---- {"dataframe_split":{"columns":[...],"data":[[...]]}} ---- */

static maas_status split_columns(maas_grid *g, maas_json_scan *s, int64_t **out, int64_t *n,
                                 maas_err *err)
{
    int64_t *places = maas_arena_array(g->q->arena, (size_t)g->n + 1, sizeof *places);
    *n = 0;
    if (!places)
        return maas_fail(err, MAAS_E_NOMEM, "memory for one request");
    if (maas_json_next(s) != MAAS_JSON_ARRAY)
        return maas_fail(err, MAAS_E_INVALID, "'columns' must be an array of names");
    for (maas_json_kind k; (k = maas_json_next(s)) != MAAS_JSON_CLOSE; ++*n) {
        size_t len = 0;
        char *name = k == MAAS_JSON_STRING ? maas_json_unescape(g->q->arena, s->text, &len) : NULL;
        int64_t c = name ? maas_grid_find(g, name, len) : *n; /* numbers: positions */
        if ((k != MAAS_JSON_STRING && k != MAAS_JSON_NUMBER) || *n == g->n || c < 0)
            return maas_fail(err, MAAS_E_INVALID, "column '%.64s' is none of the model's",
                             name ? name : "?");
        places[*n] = c;
    }
    *out = places;
    return MAAS_OK;
}

static maas_status split_rows(maas_grid *g, maas_json_scan *s, const int64_t *places, int64_t n,
                              maas_err *err)
{
    if (maas_json_next(s) != MAAS_JSON_ARRAY)
        return maas_fail(err, MAAS_E_INVALID, "'data' must be an array of rows");
    while (maas_json_at_array(s)) {
        int64_t c = 0;
        MAAS_TRY(maas_grid_add_row(g, err));
        maas_json_next(s);
        for (; maas_json_at_value(s); c++) {
            if (c == n)
                return maas_fail(err, MAAS_E_INVALID,
                                 "row %lld has more cells than 'columns' has names",
                                 (long long)g->rows);
            MAAS_TRY(maas_grid_put_json(g, places ? places[c] : c, s, err));
        }
        if (c != n || maas_json_next(s) != MAAS_JSON_CLOSE)
            return maas_fail(err, MAAS_E_INVALID, "row %lld has %lld cells, %lld are named",
                             (long long)g->rows, (long long)c, (long long)n);
    }
    return maas_json_next(s) == MAAS_JSON_CLOSE
               ? MAAS_OK
               : maas_fail(err, MAAS_E_INVALID, "'data' must be an array of rows");
}

static maas_status decode_split(maas_prediction *q, maas_json_scan *s, maas_err *err)
{
    maas_grid g;
    maas_json_scan data = {0};
    int64_t *places = NULL, n;
    MAAS_TRY(maas_grid_init(&g, q, err));
    n = g.n;
    if (maas_json_next(s) != MAAS_JSON_OBJECT)
        return maas_fail(err, MAAS_E_INVALID, "'dataframe_split' must be an object");
    for (maas_json_kind k; (k = maas_json_next(s)) != MAAS_JSON_CLOSE;) {
        if (k == MAAS_JSON_KEY && maas_span_is(s->text, "columns")) {
            MAAS_TRY(split_columns(&g, s, &places, &n, err));
            continue;
        }
        if (k == MAAS_JSON_KEY && maas_span_is(s->text, "data"))
            data = *s; /* read below: 'columns' may come after it */
        if (k != MAAS_JSON_KEY || !maas_json_skip(s))
            return maas_fail(err, MAAS_E_INVALID, "the request is not JSON: %s", s->err.msg);
    }
    if (!data.start)
        return maas_fail(err, MAAS_E_INVALID, "'dataframe_split' has no 'data'");
    MAAS_TRY(split_rows(&g, &data, places, n, err));
    maas_grid_finish(&g);
    return MAAS_OK;
}

/* ---- the body ---- */

static maas_status rows_member(maas_prediction *q, maas_json_scan *s, maas_err *err)
{
    return maas_rows_decode(q, s, err);
}

static const struct {
    const char *key;
    maas_status (*decode)(maas_prediction *q, maas_json_scan *s, maas_err *err);
} members[] = {
    {"dataframe_split", decode_split},
    {"dataframe_records", rows_member},
    {"instances", rows_member},
    {"inputs", maas_columns_decode},
};

static maas_status decode_json(maas_prediction *q, maas_err *err)
{
    maas_json_scan s;
    bool any = false;
    maas_json_scan_init(&s, maas_req_body(q->req));
    s.nonfinite = true;
    if (maas_json_next(&s) != MAAS_JSON_OBJECT)
        return maas_fail(err, MAAS_E_INVALID, "the request must be a JSON object: %s", s.err.msg);
    for (maas_json_kind k; (k = maas_json_next(&s)) != MAAS_JSON_CLOSE;) {
        size_t i = 0;
        if (k != MAAS_JSON_KEY)
            return maas_fail(err, MAAS_E_INVALID, "the request is not JSON: %s", s.err.msg);
        while (i < MAAS_COUNT(members) && !maas_span_is(s.text, members[i].key))
            i++;
        if (i == MAAS_COUNT(members)) {
            if (!maas_json_skip(&s)) /* "params" and what later clients send */
                return maas_fail(err, MAAS_E_INVALID, "the request is not JSON: %s", s.err.msg);
            continue;
        }
        if (any)
            return maas_fail(err, MAAS_E_INVALID, "the request has data in two forms");
        any = true;
        MAAS_TRY(members[i].decode(q, &s, err));
    }
    if (maas_json_next(&s) != MAAS_JSON_END)
        return maas_fail(err, MAAS_E_INVALID, "something follows the JSON object");
    return any ? MAAS_OK
               : maas_fail(
                     err, MAAS_E_INVALID,
                     "one of dataframe_split, dataframe_records, instances, inputs is missing");
}

static maas_status decode(maas_prediction *q, maas_err *err)
{
    const char *type = maas_req_header(q->req, "Content-Type");
    if (!type || strncasecmp(type, "application/json", 16) == 0)
        return decode_json(q, err);
    if (strncasecmp(type, "text/csv", 8) == 0)
        return maas_csv_decode(q, maas_req_body(q->req), err);
    return maas_fail(err, MAAS_E_MEDIA, "Content-Type must be application/json or text/csv");
}

static maas_status encode(maas_prediction *q, maas_err *err)
{
    return maas_reply_main_output(q, "predictions", err);
}

static const maas_codec codec = {"mlflow", decode, encode};

void maas_invocations(maas_req *r)
{
    maas_err err = {0};
    const char *model = maas_default_model(r, &err);
    if (model)
        maas_infer_start(r, model, NULL, &codec, NULL);
    else
        maas_req_fail(r, &err);
}
