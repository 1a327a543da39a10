/*
 * api/profile.c - POST /v2/models/{m}/profile?repeat=N: takes what /infer takes and answers where
 * the time goes: of each step its operator, kernel, nanoseconds, operations, bytes.
 */
#include <string.h>

#include "api/oip.h"
#include "api/oip_request.h"
#include "api/rows.h"
#include "base/num.h"
#include "base/ban.h"

enum { REPEAT = 5, MAX_REPEAT = 100 };

typedef struct profiling {
    maas_oip_request *o;
    int64_t repeat;
    int n_threads;
    maas_buf steps;
} profiling;

static maas_status decode(maas_prediction *q, maas_err *err)
{
    profiling *p = q->own;
    q->own = p->o;
    maas_status st = maas_oip_codec.decode(q, err);
    q->own = p;
    return st;
}

static maas_status run(maas_prediction *q, int n_threads, maas_err *err)
{
    profiling *p = q->own;
    p->n_threads = n_threads;
    return maas_run_profile(&q->run, (int)p->repeat, n_threads, &p->steps, err);
}

static maas_status encode(maas_prediction *q, maas_err *err)
{
    const profiling *p = q->own;
    maas_buf b = MAAS_BUF_IN(q->arena, MAAS_MAX_ANSWER);
    maas_buf_str(&b, "{\"model_name\":");
    maas_buf_json_str(&b, maas_instance_name(q->model), strlen(maas_instance_name(q->model)));
    maas_buf_printf(&b,
                    ",\"model_version\":\"%lld\",\"rows\":%lld,\"threads\":%d,\"ns\":%llu,"
                    "\"steps\":",
                    (long long)maas_instance_version(q->model), (long long)q->run.rows,
                    p->n_threads, (unsigned long long)q->run.infer_ns);
    maas_buf_add(&b, p->steps.p, p->steps.n);
    maas_buf_char(&b, '}');
    if (b.failed || p->steps.failed)
        return maas_fail(err, MAAS_E_NOMEM, "memory for the answer");
    maas_req_allow_gzip(q->req);
    maas_req_reply(q->req, 200, "application/json", b.p, b.n, true);
    return MAAS_OK;
}

static const maas_codec codec = {"profile", decode, encode, run, NULL};

void maas_oip_profile(maas_req *r)
{
    maas_err err = {0};
    const char *repeat = maas_req_query(r, "repeat");
    maas_oip_request *o = maas_oip_request_of(r, &err);
    profiling *p = o ? maas_arena_alloc(maas_req_arena(r), sizeof *p) : NULL;
    if (p)
        *p = (profiling){.o = o,
                         .repeat = REPEAT,
                         .steps = (maas_buf)MAAS_BUF_IN(maas_req_arena(r), MAAS_MAX_ANSWER)};
    if (o && !p)
        maas_fail(&err, MAAS_E_NOMEM, "memory for one request");
    else if (p && repeat &&
             (!maas_parse_i64(repeat, &p->repeat) || p->repeat < 1 || p->repeat > MAX_REPEAT))
        maas_fail(&err, MAAS_E_INVALID, "'repeat' must be a whole number of 1..%d", MAX_REPEAT);
    if (err.code != MAAS_OK)
        maas_req_fail(r, &err);
    else
        maas_infer_start(r, maas_req_param(r, 0), maas_req_param(r, 1), &codec, p);
}
