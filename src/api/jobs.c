/* api/jobs.c - /api/v1/jobs and the events of a job. */
#include "jobs/jobs.h"

#include <string.h>

#include "api/auth.h"
#include "api/idem.h"
#include "api/manage.h"
#include "api/reply.h"
#include "base/mem.h"
#include "base/ban.h"

static maas_status submit(maas_req *r, json_t **out, maas_err *err)
{
    AUTO(maas_json_unref) json_t *body = NULL;
    MAAS_TRY(maas_body_object(r, &body, err));
    static const char *const models[] = {"model", "parent"};
    for (size_t i = 0; i < MAAS_COUNT(models); i++) {
        const char *name = json_string_value(json_object_get(body, models[i]));
        if (name)
            MAAS_TRY(maas_may_use_model(r, name, err));
    }
    return maas_jobs_submit(maas_app_of(r)->jobs, maas_caller(r)->tenant, body, out, err);
}

static bool post_on_io(maas_req *r)
{
    maas_idem idem;
    maas_err err = {0};
    json_t *job = NULL;
    if (maas_idem_begin(&idem, r, NULL))
        return true;
    if (submit(r, &job, &err) == MAAS_OK)
        maas_idem_reply(&idem, 202, job);
    else
        maas_idem_fail(&idem, &err);
    return true;
}

void maas_jobs_post(maas_req *r)
{
    maas_iopool_run(maas_app_of(r)->io, r, post_on_io);
}

static bool index_on_io(maas_req *r)
{
    maas_err err = {0};
    json_t *list = NULL;
    if (maas_jobs_list(maas_app_of(r)->jobs, maas_caller(r)->tenant, maas_req_query(r, "state"),
                       &list, &err) == MAAS_OK)
        maas_reply_tree(r, 200, json_pack("{s:o}", "jobs", list));
    else
        maas_req_fail(r, &err);
    return true;
}

void maas_jobs_index(maas_req *r)
{
    maas_iopool_run(maas_app_of(r)->io, r, index_on_io);
}

static bool show_on_io(maas_req *r)
{
    maas_err err = {0};
    json_t *job = NULL;
    if (maas_jobs_get(maas_app_of(r)->jobs, maas_caller(r)->tenant, maas_req_param(r, 0), &job,
                      &err) == MAAS_OK)
        maas_reply_tree(r, 200, job);
    else
        maas_req_fail(r, &err);
    return true;
}

void maas_jobs_show(maas_req *r)
{
    maas_iopool_run(maas_app_of(r)->io, r, show_on_io);
}

static bool delete_on_io(maas_req *r)
{
    maas_err err = {0};
    json_t *job = NULL;
    if (maas_jobs_cancel(maas_app_of(r)->jobs, maas_caller(r)->tenant, maas_req_param(r, 0), &job,
                         &err) == MAAS_OK)
        maas_reply_tree(r, 202, job);
    else
        maas_req_fail(r, &err);
    return true;
}

void maas_jobs_delete(maas_req *r)
{
    maas_iopool_run(maas_app_of(r)->io, r, delete_on_io);
}

/* ---- server-sent events: `event: job`, data: the job as GET shows it ---- */

static bool send_event(void *user, const char *json, size_t n, bool last)
{
    maas_req *r = user;
    AUTO(maas_buf_reset) maas_buf b = MAAS_BUF_INIT(n + 64);
    maas_buf_str(&b, "event: job\ndata: ");
    maas_buf_add(&b, json, n);
    maas_buf_str(&b, "\n\n");
    bool alive = !b.failed && maas_req_stream_write(r, b.p, b.n);
    if (last || !alive)
        maas_req_stream_end(r);
    return alive;
}

static bool events_on_io(maas_req *r)
{
    maas_err err = {0};
    maas_app *app = maas_app_of(r);
    json_t *job = NULL;
    if (maas_jobs_get(app->jobs, maas_caller(r)->tenant, maas_req_param(r, 0), &job, &err) !=
        MAAS_OK) {
        maas_req_fail(r, &err);
        return true;
    }
    json_decref(job);
    /* From begin to end the request is held for us, whether its peer is there or not. */
    if (!maas_req_stream_begin(r, 200, "text/event-stream; charset=utf-8") ||
        maas_jobs_subscribe(app->jobs, maas_caller(r)->tenant, maas_req_param(r, 0), send_event, r,
                            &err) != MAAS_OK)
        maas_req_stream_end(r);
    return false;
}

void maas_jobs_events(maas_req *r)
{
    maas_iopool_run(maas_app_of(r)->io, r, events_on_io);
}
