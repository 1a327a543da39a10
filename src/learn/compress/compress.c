/* learn/compress/compress.c - steps in a row, each result measured; then the verdict. */
#include "learn/compress/compress.h"

#include <math.h>

#include "base/mem.h"
#include "formats/onnx.h"
#include "learn/compress/run.h"
#include "ops/build.h"
#include "base/ban.h"

#define MAX_ARTIFACT (2ull << 30) /* a protobuf message ends below 2 GiB */

static void auto_graph(maas_graph **g)
{
    maas_graph_destroy(*g);
}

static void tell(const maas_compressing *x, double fraction, const char *note)
{
    const maas_train_hooks *h = x->job->hooks;
    AUTO(maas_json_unref) json_t *m = json_pack("{s:O}", "trials", x->trials);
    if (h && h->progress)
        h->progress(h->user, fraction, m, note);
}

static maas_status go_on(const maas_compressing *x, maas_err *err)
{
    const maas_train_hooks *h = x->job->hooks;
    if (h && h->cancelled && h->cancelled(h->user))
        return maas_fail(err, MAAS_E_CANCELLED, "cancelled between two steps");
    return MAAS_OK;
}

maas_status maas_compress_note(maas_compressing *x, json_t *steps, const maas_measured *m,
                               json_t *said, maas_err *err)
{
    json_t *row = json_pack("{s:O, s:I, s:f, s:f, s:f, s:f, s:f, s:O*}", "steps", steps, "bytes",
                            (json_int_t)m->bytes, "size_ratio", m->size_ratio, "latency_us",
                            m->latency_us, "latency_ratio", m->latency_ratio, "metric", m->metric,
                            "drop", m->drop, "said", said);
    return row && json_array_append_new(x->trials, row) == 0
               ? MAAS_OK
               : maas_fail(err, MAAS_E_NOMEM, "memory for the table of trials");
}

/* One step on top of *g, written, measured and noted. `done`: the steps before; grows by this one.
 */
static maas_status try_step(maas_compressing *x, const maas_step_spec *s, maas_graph **g,
                            json_t *done, maas_buf *file, maas_measured *out, maas_err *err)
{
    AUTO(maas_json_unref) json_t *said = json_object(), *steps = NULL;
    maas_step_call c = {.g = *g,
                        .spec = s,
                        .job = x->job,
                        .whole = x->spec,
                        .see = maas_measure_seen,
                        .see_user = &x->measure,
                        .said = said};
    if (!said || json_array_append_new(done, maas_step_dump(s)))
        return maas_fail(err, MAAS_E_NOMEM, "memory for a step");
    const maas_status st = maas_compress_apply(&c, err);
    *g = c.g; /* fine-tuning made another one */
    MAAS_TRY(st);
    maas_buf_reset(file);
    MAAS_TRY(maas_onnx_write(c.g, NULL, NULL, file, err));
    MAAS_TRY(maas_measure_file(&x->measure, maas_buf_span(file), out, err));
    steps = json_copy(done);
    return maas_compress_note(x, steps, out, said, err);
}

maas_status maas_compress_chain(maas_compressing *x, const maas_step_spec *steps, size_t n,
                                double from, double to, maas_chain *out, maas_err *err)
{
    AUTO(auto_graph) maas_graph *g = NULL;
    MAAS_TRY(maas_graph_clone(x->job->parent, x->job->budget, &g, err));
    MAAS_TRY(maas_graph_infer(g, err));
    for (size_t i = 0; i < n; i++) {
        MAAS_TRY(go_on(x, err));
        tell(x, from + (to - from) * (double)i / (double)n,
             maas_compress_steps[steps[i].type].doc.name);
        MAAS_TRY(try_step(x, &steps[i], &g, out->steps, &out->file, &out->measured, err));
    }
    return MAAS_OK;
}

maas_status maas_chain_init(maas_chain *c, maas_err *err)
{
    *c = (maas_chain){.steps = json_array(), .file = MAAS_BUF_INIT(MAX_ARTIFACT)};
    return c->steps ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "memory for a list of steps");
}

void maas_chain_reset(maas_chain *c)
{
    maas_json_unref(&c->steps);
    maas_buf_reset(&c->file);
}

/* ---- the verdict ---- */

static maas_status given_steps(maas_compressing *x, maas_chain *best, maas_err *err)
{
    const maas_compress_spec *s = x->spec;
    const maas_measured *m = &best->measured;
    MAAS_TRY(maas_compress_chain(x, s->steps.items, s->steps.n, 0.05, 0.95, best, err));
    if (m->drop <= s->max_metric_drop)
        return MAAS_OK;
    return maas_fail(err, MAAS_E_CONFLICT,
                     "%s fell from %.4f to %.4f, by %.4f, and 'max_metric_drop' is %g: nothing was "
                     "published; the result has the table of what was tried",
                     x->measure.scorer->name, x->measure.before.metric, m->metric, m->drop,
                     s->max_metric_drop);
}

static json_t *report(const maas_compressing *x)
{
    return json_pack("{s:s, s:I, s:f, s:O}", "metric", x->measure.scorer->name, "rows",
                     (json_int_t)x->measure.held_out.data.n_rows, "max_metric_drop",
                     x->spec->max_metric_drop, "trials", x->trials);
}

static json_t *metrics(const maas_compressing *x, const maas_measured *m)
{
    char before[80];
    snprintf(before, sizeof before, "%.60s_before", x->measure.scorer->name);
    return json_pack("{s:f, s:f, s:I, s:f, s:f, s:f, s:I}", x->measure.scorer->name, m->metric,
                     before, x->measure.before.metric, "bytes", (json_int_t)m->bytes, "size_ratio",
                     m->size_ratio, "latency_us", m->latency_us, "latency_ratio", m->latency_ratio,
                     "rows", (json_int_t)x->measure.held_out.data.n_rows);
}

static maas_status finish(maas_compressing *x, maas_chain *best, maas_train_result *out,
                          maas_err *err)
{
    out->metrics = metrics(x, &best->measured);
    if (!out->metrics || json_object_set(out->report, "steps", best->steps))
        return maas_fail(err, MAAS_E_NOMEM, "memory for the result");
    maas_buf_reset(&out->onnx);
    out->onnx = best->file;
    best->file = (maas_buf)MAAS_BUF_INIT(0);
    return MAAS_OK;
}

static maas_status run(maas_compressing *x, maas_chain *best, maas_train_result *out, maas_err *err)
{
    tell(x, 0, "measuring the model as it is");
    MAAS_TRY(maas_chain_init(best, err));
    MAAS_TRY(maas_measure_init(&x->measure, x->job, x->spec, err));
    AUTO(maas_json_unref) json_t *none = json_array();
    MAAS_TRY(maas_compress_note(x, none, &x->measure.before, NULL, err));
    const maas_status st = x->spec->target.on ? maas_compress_reach(x, best, err)
                                              : given_steps(x, best, err);
    out->report = report(x);
    if (!out->report)
        return maas_fail(err, MAAS_E_NOMEM, "memory for the result");
    return st == MAAS_OK ? finish(x, best, out, err) : st;
}

maas_status maas_compress(const maas_train_job *job, const json_t *compress, maas_train_result *out,
                          maas_err *err)
{
    maas_arena a;
    maas_compress_spec spec;
    maas_compressing x = {.job = job, .spec = &spec, .trials = json_array()};
    maas_chain best = {0};
    *out = (maas_train_result){0};
    maas_arena_init(&a, job->budget);
    if (!job->parent || !job->target) {
        json_decref(x.trials);
        return maas_fail(err, MAAS_E_INVALID, "a compression needs a model and a target column");
    }
    maas_status st = x.trials ? maas_compress_spec_read(compress, &a, &spec, err)
                              : maas_fail(err, MAAS_E_NOMEM, "memory for a job");
    if (st == MAAS_OK)
        maas_held_out_as_parent(job->parent, &spec);
    if (st == MAAS_OK)
        st = run(&x, &best, out, err);
    maas_chain_reset(&best);
    maas_measure_reset(&x.measure);
    json_decref(x.trials);
    maas_arena_reset(&a);
    return st;
}
