/* api/status.c - health, settings and /metrics in the Prometheus text format (version 0.0.4). */
#include <stdio.h>
#include <string.h>

#include "api/counts.h"
#include "api/manage.h"
#include "api/metrics.h"
#include "api/reply.h"
#include "base/log.h"
#include "base/ban.h"

void maas_livez(maas_req *r)
{
    maas_req_reply(r, 200, "text/plain; charset=utf-8", "ok\n", 3, false);
}

void maas_readyz(maas_req *r)
{
    const maas_app *app = maas_app_of(r);
    bool ready = atomic_load(&app->ready) && !atomic_load(&app->draining);
    if (ready)
        maas_req_reply(r, 200, "text/plain; charset=utf-8", "ok\n", 3, false);
    else
        maas_req_reply(r, 503, "text/plain; charset=utf-8", "not ready\n", 10, false);
}

void maas_settings_get(maas_req *r)
{
    maas_conf c = maas_server_settings(&maas_app_of(r)->conf);
    maas_buf b = MAAS_BUF_IN(maas_req_arena(r), 1u << 20);
    maas_conf_json(&c, &b);
    maas_reply_json(r, 200, &b);
}

void maas_counts_finished(maas_req *r, const maas_route *route, int http_status, uint64_t ns)
{
    maas_http_counts *c = maas_app_of(r)->counts;
    int cls = http_status / 100;
    atomic_fetch_add_explicit(&c->by_class[cls >= 1 && cls <= 5 ? cls : 0], 1,
                              memory_order_relaxed);
    maas_hist_add(&c->latency[route ? route->cost & 3 : 0], ns);
    MAAS_LOG(http_status >= 500 ? MAAS_LOG_WARN : MAAS_LOG_DEBUG,
             "event=request id=%s method=%s route=\"%s\" status=%d us=%llu peer=%s", maas_req_id(r),
             route ? route->method : "?", route ? route->path : "?", http_status,
             (unsigned long long)(ns / 1000), maas_req_peer(r));
}

/* ---- metrics ---- */

void maas_metric_head(maas_buf *b, const char *name, const char *type, const char *help)
{
    maas_buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void maas_metric_gauge(maas_buf *b, const char *name, const char *help, double v)
{
    maas_metric_head(b, name, "gauge", help);
    maas_buf_printf(b, "%s %.17g\n", name, v);
}

/* Buckets that hold nothing new are left out: cumulative counts stay right. */
void maas_metric_histogram(maas_buf *b, const char *name, const char *labels,
                           const maas_histogram *h, double unit)
{
    uint64_t seen = 0, count = 0;
    for (int i = 0; i < MAAS_HIST_BUCKETS; i++)
        count += atomic_load_explicit(&h->n[i], memory_order_relaxed);
    for (int i = 0; i < MAAS_HIST_BUCKETS; i++) {
        uint64_t n = atomic_load_explicit(&h->n[i], memory_order_relaxed);
        if (!n)
            continue;
        seen += n;
        maas_buf_printf(b, "%s_bucket{%s,le=\"%g\"} %llu\n", name, labels,
                        maas_hist_edge(i) * 1e6 * unit,
                        (unsigned long long)(seen < count ? seen : count));
    }
    maas_buf_printf(b, "%s_bucket{%s,le=\"+Inf\"} %llu\n%s_sum{%s} %.9f\n%s_count{%s} %llu\n", name,
                    labels, (unsigned long long)count, name, labels,
                    (double)atomic_load(&h->sum_ns) * 1e-3 * unit, name, labels,
                    (unsigned long long)count);
}

static void histogram(maas_buf *b, const char *name, const char *labels, const maas_histogram *h)
{
    maas_metric_histogram(b, name, labels, h, 1e-6);
}

/* Names are [A-Za-z0-9._-]: nothing to escape in a label. */
static void model_histograms(void *user, maas_instance *m)
{
    maas_instance_stats *s = maas_instance_stat(m);
    const struct {
        const char *phase;
        const maas_histogram *h;
    } phases[] = {{"total", &s->success},
                  {"queue", &s->queue},
                  {"compute_input", &s->compute_input},
                  {"compute_infer", &s->compute_infer},
                  {"compute_output", &s->compute_output},
                  {"fail", &s->fail}};
    for (size_t i = 0; i < MAAS_COUNT(phases); i++) {
        char labels[MAAS_MAX_NAME + 96];
        snprintf(labels, sizeof labels, "model=\"%s\",version=\"%lld\",phase=\"%s\"",
                 maas_instance_name(m), (long long)maas_instance_version(m), phases[i].phase);
        histogram(user, "maas_request_seconds", labels, phases[i].h);
    }
}

static void model_counters(void *user, maas_instance *m)
{
    maas_instance_stats *s = maas_instance_stat(m);
    maas_buf_printf(user, "maas_inferences_total{model=\"%s\",version=\"%lld\"} %llu\n",
                    maas_instance_name(m), (long long)maas_instance_version(m),
                    (unsigned long long)atomic_load(&s->n_rows));
}

static void model_errors(void *user, maas_instance *m)
{
    maas_buf_printf(user, "maas_errors_total{model=\"%s\",version=\"%lld\"} %llu\n",
                    maas_instance_name(m), (long long)maas_instance_version(m),
                    (unsigned long long)atomic_load(&maas_instance_stat(m)->fail.count));
}

static void model_memory(void *user, maas_instance *m)
{
    maas_buf_printf(user, "maas_model_memory_bytes{model=\"%s\",version=\"%lld\"} %zu\n",
                    maas_instance_name(m), (long long)maas_instance_version(m),
                    maas_instance_bytes(m));
}

static void http_metrics(const maas_app *app, maas_buf *b)
{
    static const char *const classes[] = {"cheap", "compute", "upload", "stream"};
    maas_metric_head(b, "maas_http_responses_total", "counter", "Responses by status class.");
    for (int i = 1; i <= 5; i++)
        maas_buf_printf(b, "maas_http_responses_total{class=\"%dxx\"} %llu\n", i,
                        (unsigned long long)atomic_load(&app->counts->by_class[i]));
    maas_metric_head(b, "maas_http_seconds", "histogram",
                     "Time from a request's first byte to its response.");
    for (int i = 0; i < 4; i++) {
        char labels[32];
        snprintf(labels, sizeof labels, "class=\"%s\"", classes[i]);
        histogram(b, "maas_http_seconds", labels, &app->counts->latency[i]);
    }
    maas_metric_gauge(b, "maas_http_connections", "Open connections.",
                      maas_http_connections(app->http));
    maas_metric_gauge(b, "maas_http_in_flight", "Requests under way.",
                      maas_http_in_flight(app->http));
}

static void job_metrics(const maas_app *app, maas_buf *b)
{
    maas_jobs_counts c = maas_jobs_count(app->jobs);
    maas_metric_gauge(b, "maas_jobs_queued", "Jobs that wait.", c.queued);
    maas_metric_gauge(b, "maas_jobs_running", "Jobs that run.", c.running);
    maas_metric_head(b, "maas_jobs_total", "counter",
                     "Jobs that ended since the start, by outcome.");
    maas_buf_printf(b,
                    "maas_jobs_total{state=\"succeeded\"} %llu\nmaas_jobs_total{state=\"failed\"} "
                    "%llu\nmaas_jobs_total{state=\"cancelled\"} %llu\n",
                    (unsigned long long)c.succeeded, (unsigned long long)c.failed,
                    (unsigned long long)c.cancelled);
}

void maas_metrics(maas_req *r)
{
    maas_app *app = maas_app_of(r);
    maas_buf b = MAAS_BUF_IN(maas_req_arena(r), 256u << 20);
    http_metrics(app, &b);
    maas_metric_head(&b, "maas_request_seconds", "histogram",
                     "Time of predictions by model and phase.");
    maas_models_each(app->models, model_histograms, &b);
    maas_metric_head(&b, "maas_inferences_total", "counter", "Rows predicted.");
    maas_models_each(app->models, model_counters, &b);
    maas_metric_head(&b, "maas_errors_total", "counter", "Predictions that failed.");
    maas_models_each(app->models, model_errors, &b);
    maas_metric_head(&b, "maas_model_memory_bytes", "gauge", "Memory of a loaded model version.");
    maas_models_each(app->models, model_memory, &b);
    maas_metric_gauge(&b, "maas_queue_waiting", "Requests that wait for a compute lane.",
                      maas_lanes_waiting(maas_models_lanes(app->models)));
    maas_metric_gauge(&b, "maas_sequences", "Sequences whose state is kept.",
                      maas_sequences_n(app->sequences));
    maas_metrics_lm(app, &b);
    job_metrics(app, &b);
    maas_metric_head(&b, "maas_sandbox_crash_total", "counter",
                     "Sandboxed importers that crashed.");
    maas_buf_printf(&b, "maas_sandbox_crash_total %llu\n",
                    (unsigned long long)maas_helper_n_crashes(app->helper));
    maas_metric_gauge(&b, "process_resident_memory_bytes", "Resident memory.",
                      (double)maas_sys_rss_bytes());
    maas_metric_gauge(&b, "process_start_time_seconds", "Start of the process, seconds since 1970.",
                      (double)app->started_ms / 1000);
    if (b.failed)
        maas_reply_json(r, 200, &b);
    else
        maas_req_reply(r, 200, "text/plain; version=0.0.4; charset=utf-8", b.p, b.n, true);
}
