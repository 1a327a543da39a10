/* api/oip_stats.c - the statistics extension: GET /v2/models/{m}/stats and /v2/models/stats. */
#include <stdio.h>
#include <string.h>

#include "api/auth.h"
#include "api/oip.h"
#include "api/reply.h"
#include "base/ban.h"

static void put_leaf(maas_buf *b, const char *name, const maas_histogram *h)
{
    maas_buf_printf(b, "\"%s\":{\"count\":%llu,\"ns\":%llu}", name,
                    (unsigned long long)atomic_load(&h->count),
                    (unsigned long long)atomic_load(&h->sum_ns));
}

static void put_stats(maas_buf *b, maas_instance *m)
{
    maas_instance_stats *s = maas_instance_stat(m);
    static const maas_histogram none;
    maas_buf_str(b, "{\"name\":");
    maas_buf_json_str(b, maas_instance_name(m), strlen(maas_instance_name(m)));
    maas_buf_printf(
        b,
        ",\"version\":\"%lld\",\"last_inference\":%llu,\"inference_count\":%llu,"
        "\"execution_count\":%llu,\"inference_stats\":{",
        (long long)maas_instance_version(m), (unsigned long long)atomic_load(&s->last_ms),
        (unsigned long long)atomic_load(&s->n_rows), (unsigned long long)atomic_load(&s->n_execs));
    const struct {
        const char *name;
        const maas_histogram *h;
    } leaves[] = {{"success", &s->success},
                  {"fail", &s->fail},
                  {"queue", &s->queue},
                  {"compute_input", &s->compute_input},
                  {"compute_infer", &s->compute_infer},
                  {"compute_output", &s->compute_output},
                  {"cache_hit", &none},
                  {"cache_miss", &none}};
    for (size_t i = 0; i < MAAS_COUNT(leaves); i++) {
        if (i)
            maas_buf_char(b, ',');
        put_leaf(b, leaves[i].name, leaves[i].h);
    }
    maas_buf_printf(
        b,
        "},\"response_stats\":{},\"batch_stats\":[],\"memory_usage\":[{\"type\":\"CPU\","
        "\"id\":0,\"byte_size\":%zu}]}",
        maas_instance_bytes(m));
}

typedef struct stats_walk {
    maas_req *req;
    maas_buf *b;
    const char *name, *version; /* NULL: all */
    bool any;
} stats_walk;

static void visit(void *user, maas_instance *m)
{
    stats_walk *w = user;
    maas_err ignored = {0};
    char version[24];
    snprintf(version, sizeof version, "%lld", (long long)maas_instance_version(m));
    if ((w->name && strcmp(w->name, maas_instance_name(m)) != 0) ||
        (w->version && strcmp(w->version, version) != 0) ||
        maas_may_use_model(w->req, maas_instance_name(m), &ignored) != MAAS_OK)
        return;
    if (w->any)
        maas_buf_char(w->b, ',');
    put_stats(w->b, m);
    w->any = true;
}

static void reply_stats(maas_req *r, const char *name, const char *version)
{
    maas_buf b = MAAS_BUF_IN(maas_req_arena(r), 256u << 20);
    stats_walk w = {r, &b, name, version, false};
    maas_buf_str(&b, "{\"model_stats\":[");
    maas_models_each(maas_app_of(r)->models, visit, &w);
    maas_buf_str(&b, "]}");
    maas_reply_json(r, 200, &b);
}

void maas_oip_all_stats(maas_req *r)
{
    reply_stats(r, NULL, NULL);
}

/* A model that is not in memory has no statistics, but must exist. */
void maas_oip_stats(maas_req *r)
{
    maas_err err = {0};
    const maas_snapshot *s = maas_registry_snapshot(maas_app_of(r)->registry);
    const char *name = NULL;
    const maas_snap_version *v;
    maas_status st = maas_may_use_model(r, maas_req_param(r, 0), &err);
    if (st == MAAS_OK && s)
        st = maas_snapshot_resolve(s, maas_caller(r)->tenant, maas_req_param(r, 0),
                                   maas_req_param(r, 1), &name, &v, &err);
    if (st == MAAS_OK)
        reply_stats(r, name, maas_req_param(r, 1));
    else
        maas_req_fail(r, &err);
    maas_snapshot_unref(s);
}
