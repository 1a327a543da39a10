/* tests/unit/learn/toy.h - small data sets in memory, and one call that trains on them. */
#ifndef TOY_H
#define TOY_H

#include "base/json.h"
#include "base/mem.h"
#include "base/sys.h"
#include "formats/onnx.h"
#include "learn/train.h"
#include "runtime/plan.h"

enum { TOY_MAX_COLS = 8 };

typedef struct toy {
    maas_dataset d;
    maas_ds_column cols[TOY_MAX_COLS];
    int64_t offsets[TOY_MAX_COLS][4096];
    uint8_t missing[TOY_MAX_COLS][512];
} toy;

static inline void toy_init(toy *t, int64_t n_rows)
{
    memset(t, 0, sizeof *t);
    t->d.n_rows = n_rows;
    t->d.cols = t->cols;
}

static inline void toy_add(toy *t, const char *name, maas_dtype dtype, const void *data)
{
    t->cols[t->d.n_cols++] = (maas_ds_column){.desc = {.name = name, .dtype = dtype}, .data = data};
}

static inline void toy_add_tensor(toy *t, const char *name, maas_dtype dtype, int rank,
                                  const int64_t *dims, const void *data)
{
    toy_add(t, name, dtype, data);
    maas_column *c = &t->cols[t->d.n_cols - 1].desc;
    c->rank = rank;
    memcpy(c->dims, dims, (size_t)rank * sizeof *dims);
}

/* NULL entries are missing. The bytes are put into `bytes` one after the other. */
static inline void toy_add_text(toy *t, const char *name, const char *const *text, char *bytes)
{
    const uint32_t c = t->d.n_cols++;
    int64_t at = 0;
    for (int64_t i = 0; i < t->d.n_rows; i++) {
        t->offsets[c][i] = at;
        if (!text[i]) {
            t->missing[c][i / 8] |= (uint8_t)(1u << (i % 8));
            continue;
        }
        memcpy(bytes + at, text[i], strlen(text[i]));
        at += (int64_t)strlen(text[i]);
    }
    t->offsets[c][t->d.n_rows] = at;
    t->cols[c] = (maas_ds_column){.desc = {.name = name, .dtype = MAAS_STRING},
                                  .offsets = t->offsets[c],
                                  .bytes = bytes,
                                  .missing = t->missing[c]};
}

static inline json_t *toy_json(const char *text)
{
    json_t *j = NULL;
    maas_err err = {0};
    if (maas_json_parse(maas_span_str(text), &j, &err) != MAAS_OK) {
        fprintf(stderr, "test JSON: %s\n  %s\n", err.msg, text);
        abort();
    }
    return j;
}

/* params: JSON with ' for ". */
static inline json_t *toy_params(const char *params)
{
    char *text = maas_strdup(params);
    for (char *p = text; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    json_t *j = toy_json(text);
    maas_free(text);
    return j;
}

static inline maas_status toy_train(const toy *t, const char *learner, const char *target,
                                    const char *params, maas_train_result *out, maas_err *err)
{
    json_t *p = params ? toy_params(params) : NULL;
    maas_train_job job = {
        .learner = learner, .params = p, .data = &t->d, .target = target, .n_threads = 1};
    *err = (maas_err){0};
    maas_status st = maas_train(&job, out, err);
    json_decref(p);
    return st;
}

static inline double toy_metric(const maas_train_result *r, const char *name)
{
    const json_t *v = json_object_get(r->metrics, name);
    return v ? json_number_value(v) : NAN;
}

static inline double toy_epoch_metric(const maas_train_result *r, size_t epoch, const char *name)
{
    const json_t *e = json_array_get(json_object_get(r->metrics, "epochs"), epoch);
    const json_t *v = json_object_get(e, name);
    return v ? json_number_value(v) : NAN;
}

/* A served model: the file read back, and run. Everything dies with toy_model_close. */
typedef struct toy_model {
    maas_graph *g;
    maas_plan *plan;
    maas_exec *exec;
} toy_model;

static inline maas_status toy_model_open(toy_model *m, const maas_buf *onnx, int64_t rows,
                                         maas_err *err)
{
    *m = (toy_model){0};
    maas_onnx_opts o = {0};
    MAAS_TRY(maas_onnx_read(maas_buf_span(onnx), &o, &m->g, err));
    maas_type types[TOY_MAX_COLS];
    for (uint32_t i = 0; i < m->g->n_inputs; i++) {
        types[i] = maas_graph_at(m->g, m->g->inputs[i])->type;
        types[i].dims[0] = rows;
    }
    maas_plan_opts opts = MAAS_PLAN_OPTS_INIT;
    opts.n_threads = 1;
    MAAS_TRY(maas_plan_create(m->g, types, &opts, &m->plan, err));
    return maas_exec_create(m->plan, NULL, &m->exec, err);
}

static inline void toy_model_close(toy_model *m)
{
    maas_exec_destroy(m->exec);
    maas_plan_destroy(m->plan);
    maas_graph_destroy(m->g);
}

static inline const maas_tensor *toy_output(const toy_model *m, const char *name)
{
    for (uint32_t i = 0; i < m->g->n_outputs; i++)
        if (strcmp(maas_graph_at(m->g, m->g->outputs[i])->name, name) == 0)
            return maas_exec_output(m->exec, i);
    return NULL;
}

static inline uint32_t toy_input(const toy_model *m, const char *name)
{
    for (uint32_t i = 0; i < m->g->n_inputs; i++)
        if (strcmp(maas_graph_at(m->g, m->g->inputs[i])->name, name) == 0)
            return i;
    return UINT32_MAX;
}

#define REQUIRE_OK(st, err)                                                                        \
    do {                                                                                           \
        maas_status st_ = (st);                                                                    \
        EXPECT_MSG(st_ == MAAS_OK, "%s", (err).msg);                                               \
        if (st_ != MAAS_OK)                                                                        \
            return;                                                                                \
    } while (0)

#endif
