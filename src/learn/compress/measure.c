/* learn/compress/measure.c - rows are dealt once; every candidate is read back from its bytes. */
#include "learn/compress/measure.h"

#include <math.h>

#include "base/mem.h"
#include "formats/onnx.h"
#include "learn/compress/probe.h"
#include "base/ban.h"

#define MAX_ARTIFACT (2ull << 30) /* a protobuf message ends below 2 GiB */

void maas_held_out_as_parent(const maas_graph *parent, maas_compress_spec *spec)
{
    AUTO(maas_json_unref) json_t *recipe = NULL;
    const char *text = maas_graph_meta(parent, "maas.recipe");
    if (text && maas_json_parse(maas_span_str(text), &recipe, NULL) != MAAS_OK)
        recipe = NULL;
    const json_t *p = json_object_get(recipe, "params"), *shuffle = json_object_get(p, "shuffle");
    const double share = json_number_value(json_object_get(p, "validation"));
    if (isnan(spec->validation))
        spec->validation = share > 0 && share <= 0.9 ? share : 0.2;
    if (spec->seed < 0)
        spec->seed = json_integer_value(json_object_get(p, "seed"));
    spec->shuffle = !json_is_false(shuffle);
}

static maas_status deal(maas_measure *m, const maas_compress_spec *spec, maas_err *err)
{
    maas_rng rng;
    const maas_train_job *job = m->job;
    if ((double)job->data->n_rows * spec->validation < 1)
        return maas_fail(err, MAAS_E_INVALID,
                         "compress.validation: %g of %lld rows is less than one", spec->validation,
                         (long long)job->data->n_rows);
    maas_rng_seed(&rng, (uint64_t)spec->seed);
    MAAS_TRY(maas_split_init(&m->split, job->data->n_rows, spec->validation, spec->shuffle, &rng,
                             job->budget, err));
    return maas_subset_make(job->data, m->split.val.at, m->split.val.n, job->budget, &m->held_out,
                            err);
}

maas_status maas_measure_seen(void *user, const maas_dataset **out, maas_err *err)
{
    maas_measure *m = user;
    const maas_train_job *job = m->job;
    if (!m->seen.data.n_rows)
        MAAS_TRY(maas_subset_make(job->data, m->split.train.at, m->split.train.n, job->budget,
                                  &m->seen, err));
    *out = &m->seen.data;
    return MAAS_OK;
}

static maas_status score(const maas_measure *m, const maas_graph *g, const maas_scorer **scorer,
                         const char *name, double *out, maas_err *err)
{
    const maas_train_job *job = m->job;
    maas_applied a = {0};
    maas_judged j = {0};
    maas_status st = maas_apply(g, &m->held_out.data, job->target, job->n_threads, job->budget, &a,
                                err);
    if (st == MAAS_OK)
        st = maas_judge(g, &a, &m->held_out.data, job->target, job->budget, &j, err);
    if (st == MAAS_OK && !*scorer)
        st = maas_scorer_find(name, j.is_class, scorer, err);
    if (st == MAAS_OK)
        st = maas_score_judged(*scorer, &j, out, err);
    maas_judged_reset(&j);
    maas_applied_reset(&a);
    if (st == MAAS_OK && !isfinite(*out))
        st = maas_fail(err, MAAS_E_INVALID, "%s is not defined on the %lld rows that were held out",
                       (*scorer)->name, (long long)m->held_out.data.n_rows);
    return st;
}

static maas_status measure_parent(maas_measure *m, const maas_compress_spec *spec, maas_err *err)
{
    const maas_graph *g = m->job->parent;
    AUTO(maas_buf_reset) maas_buf file = MAAS_BUF_INIT(MAX_ARTIFACT);
    MAAS_TRY(score(m, g, &m->scorer, json_string_value(spec->metric), &m->before.metric, err));
    MAAS_TRY(maas_onnx_write(g, NULL, NULL, &file, err));
    m->before.bytes = file.n;
    m->before.size_ratio = m->before.latency_ratio = 1;
    MAAS_TRY(maas_probe_open(g, &m->held_out.data, m->job, &m->parent, err));
    return maas_probe_race(m->parent, NULL, &m->before.latency_us, NULL, err);
}

maas_status maas_measure_init(maas_measure *m, const maas_train_job *job,
                              const maas_compress_spec *spec, maas_err *err)
{
    *m = (maas_measure){.job = job};
    MAAS_TRY(deal(m, spec, err));
    return measure_parent(m, spec, err);
}

void maas_measure_reset(maas_measure *m)
{
    maas_probe_close(m->parent);
    maas_subset_reset(&m->held_out);
    maas_subset_reset(&m->seen);
    maas_split_reset(&m->split);
    *m = (maas_measure){0};
}

static maas_status measure_graph(const maas_measure *m, const maas_graph *g, maas_measured *out,
                                 maas_err *err)
{
    maas_probe *p = NULL;
    const maas_scorer *scorer = m->scorer;
    double parent_us = 0;
    MAAS_TRY(score(m, g, &scorer, NULL, &out->metric, err));
    MAAS_TRY(maas_probe_open(g, &m->held_out.data, m->job, &p, err));
    const maas_status st = maas_probe_race(m->parent, p, &parent_us, &out->latency_us, err);
    maas_probe_close(p);
    out->drop = m->before.metric - out->metric;
    out->latency_ratio = parent_us > 0 ? out->latency_us / parent_us : 1;
    return st;
}

maas_status maas_measure_file(const maas_measure *m, maas_span file, maas_measured *out,
                              maas_err *err)
{
    const maas_onnx_opts o = {.budget = m->job->budget};
    maas_graph *g = NULL;
    *out = (maas_measured){.bytes = file.n, .size_ratio = (double)file.n / (double)m->before.bytes};
    MAAS_TRY(maas_onnx_read(file, &o, &g, err));
    const maas_status st = measure_graph(m, g, out, err);
    maas_graph_destroy(g);
    return st;
}
