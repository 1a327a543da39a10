/* learn/matrix.c - prepared cells of all rows, and the file around what was learned from them. */
#include "learn/matrix.h"

#include <math.h>

#include "base/mem.h"
#include "formats/onnx.h"
#include "runtime/threads.h"

#include "base/ban.h"

#define MAX_ARTIFACT (2ull << 30) /* a protobuf message ends below 2 GiB */

/* Where cell (row, col) is. */
static float *cell(const maas_matrix *m, int64_t row, int64_t col)
{
    return m->x + (m->by_column ? col * m->n_rows + row : row * m->n_cols + col);
}

/* Number k of a row, as the nodes of the graph prepare it. */
static float prepared(const maas_features *fs, int64_t k, float x)
{
    const int64_t c = fs->n_consts == 1 ? 0 : k;
    if (fs->has_fill && isnan(x))
        x = fs->fill[c];
    if (fs->has_shift)
        x = x - fs->shift[c];
    if (fs->has_scale)
        x = x * fs->scale[c];
    return x;
}

static maas_status put_numbers(maas_matrix *m, const maas_feature *f, int64_t at, maas_err *err)
{
    const maas_cells *cells = maas_cells_of(f->col->desc.dtype);
    const int64_t width = maas_column_width(f->col);
    for (int64_t i = 0; i < m->n_rows; i++)
        for (int64_t k = 0; k < width; k++) {
            const float x = prepared(&m->features, at + k,
                                     (float)cells->get(f->col->data, i * width + k));
            if (isinf(x))
                return maas_fail(err, MAAS_E_INVALID,
                                 "column '%s', row %lld: the value is infinite, or too large for "
                                 "32 bits",
                                 f->col->desc.name, (long long)i + 1);
            *cell(m, i, at + k) = x;
        }
    return MAAS_OK;
}

static void put_text(maas_matrix *m, const maas_feature *f, int64_t at)
{
    const bool codes = m->features.opts.codes;
    for (int64_t i = 0; f->encoder && i < m->n_rows; i++)
        for (int64_t k = 0; k < f->width; k++)
            *cell(m, i, at + k) = f->values[i * f->width + k];
    if (f->encoder)
        return;
    for (int64_t i = 0; i < m->n_rows; i++) {
        const int32_t code = f->codes[i];
        if (codes)
            *cell(m, i, at) = code < 0 ? NAN : (float)code;
        else
            for (int64_t k = 0; k < f->n_categories; k++)
                *cell(m, i, at + k) = k == code;
    }
}

/* Numbers first, then text, each in column order: as the graph concatenates them. */
static maas_status put_cells(maas_matrix *m, maas_err *err)
{
    const maas_features *fs = &m->features;
    int64_t at = 0;
    for (uint32_t i = 0; i < fs->n; i++) {
        if (fs->f[i].is_text)
            continue;
        MAAS_TRY(put_numbers(m, &fs->f[i], at, err));
        at += maas_column_width(fs->f[i].col);
    }
    for (uint32_t i = 0; i < fs->n; i++) {
        if (!fs->f[i].is_text)
            continue;
        put_text(m, &fs->f[i], at);
        at += maas_feature_width(fs, &fs->f[i]);
    }
    return MAAS_OK;
}

maas_status maas_matrix_fit(maas_matrix *m, const maas_dataset *data,
                            const maas_features_opts *opts, bool by_column, const maas_rows *train,
                            maas_budget *budget, maas_err *err)
{
    *m = (maas_matrix){.n_rows = data->n_rows, .by_column = by_column};
    maas_arena_init(&m->arena, budget);
    maas_features_opts o = *opts;
    o.matrix = false; /* the cells here are enough */
    MAAS_TRY(maas_features_fit(&m->features, data, &o, train, NULL, budget, err));
    m->n_cols = maas_features_width(&m->features);
    size_t n;
    if (!__builtin_mul_overflow((size_t)m->n_rows, (size_t)m->n_cols, &n))
        m->x = maas_arena_array(&m->arena, n, sizeof *m->x);
    if (!m->x)
        return maas_fail(err, MAAS_E_NOMEM, "a table of %lld rows and %lld columns",
                         (long long)m->n_rows, (long long)m->n_cols);
    return put_cells(m, err);
}

void maas_matrix_reset(maas_matrix *m)
{
    maas_features_reset(&m->features);
    maas_arena_reset(&m->arena);
    *m = (maas_matrix){0};
}

/* ---- names of columns ---- */

/* The feature that column `col` of x belongs to; *out_at is the number within it. */
static const maas_feature *feature_at(const maas_features *fs, int64_t col, int64_t *out_at)
{
    for (int text = 0; text < 2; text++)
        for (uint32_t i = 0; i < fs->n; i++) {
            const maas_feature *f = &fs->f[i];
            if (f->is_text != text)
                continue;
            if (col < maas_feature_width(fs, f)) {
                *out_at = col;
                return f;
            }
            col -= maas_feature_width(fs, f);
        }
    return NULL;
}

char *maas_matrix_name(const maas_matrix *m, int64_t col)
{
    int64_t at = 0;
    const maas_feature *f = feature_at(&m->features, col, &at);
    AUTO(maas_buf_reset) maas_buf b = MAAS_BUF_INIT(1 << 20);
    if (!f)
        return NULL;
    maas_buf_printf(&b, "%s", f->col->desc.name);
    if (f->encoder && f->width > 1)
        maas_buf_printf(&b, "[%lld]", (long long)at);
    else if (f->is_text && !f->encoder && !m->features.opts.codes)
        maas_buf_printf(&b, "=%.*s", (int)f->categories[at].n, f->categories[at].p);
    else if (!f->is_text && f->col->desc.rank > 0)
        maas_buf_printf(&b, "[%lld]", (long long)at);
    size_t n;
    return maas_buf_steal(&b, &n);
}

int64_t maas_matrix_find(const maas_matrix *m, const char *name)
{
    const maas_features *fs = &m->features;
    int64_t at = 0;
    for (int text = 0; text < 2; text++)
        for (uint32_t i = 0; i < fs->n; i++) {
            const maas_feature *f = &fs->f[i];
            if (f->is_text != text)
                continue;
            if (strcmp(f->col->desc.name, name) == 0)
                return maas_feature_width(fs, f) == 1 ? at : -1;
            at += maas_feature_width(fs, f);
        }
    return -1;
}

maas_status maas_matrix_weights(maas_matrix *m, const maas_dataset *data, const char *param,
                                const char *column, float **out, maas_err *err)
{
    const maas_ds_column *c = maas_dataset_column(data, column);
    const maas_cells *cells = c ? maas_cells_of(c->desc.dtype) : NULL;
    if (!cells || c->desc.rank)
        return maas_fail(err, MAAS_E_INVALID, "params.%s: the data set has no column '%.100s'%s",
                         param, column, c ? " of plain numbers" : "");
    float *w = maas_arena_array(&m->arena, (size_t)data->n_rows, sizeof *w);
    if (!w)
        return maas_fail(err, MAAS_E_NOMEM, "weights of %lld rows", (long long)data->n_rows);
    for (int64_t i = 0; i < data->n_rows; i++) {
        const double x = cells->get(c->data, i);
        if (!(x >= 0 && x <= 1e18))
            return maas_fail(err, MAAS_E_INVALID,
                             "params.%s: column '%s' is %g in row %lld, a number >= 0 is needed",
                             param, column, x, (long long)i + 1);
        w[i] = (float)x;
    }
    *out = w;
    return MAAS_OK;
}

/* ---- the model file ---- */

static void auto_graph(maas_graph **g)
{
    maas_graph_destroy(*g);
}

maas_status maas_matrix_begin(const maas_matrix *m, const maas_train_job *job, maas_graph **out_g,
                              maas_builder *out_b, maas_vid *out_x, maas_err *err)
{
    AUTO(auto_graph) maas_graph *g = NULL;
    int64_t batch;
    MAAS_TRY(maas_graph_create(job->learner, job->budget, &g, err));
    MAAS_TRY(maas_graph_symbol(g, "batch", &batch, err));
    maas_builder_init(out_b, g, err);
    out_b->loop = maas_threads_loop;
    out_b->n_threads = job->n_threads;
    maas_vid x = maas_features_build_export(&m->features, out_b, batch);
    if (m->features.layout == MAAS_LAYOUT_TENSOR && m->features.f[0].col->desc.rank > 1)
        x = maas_b_op2(out_b, "Reshape", x, maas_b_i64s(out_b, (int64_t[]){-1, m->n_cols}, 2));
    MAAS_TRY(out_b->status);
    *out_x = x;
    *out_g = STEAL(g);
    return MAAS_OK;
}

maas_status maas_model_set_meta(maas_graph *g, const char *key, json_t *value, maas_err *err)
{
    AUTO(maas_json_unref) json_t *owned = value;
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(64u << 20);
    if (owned)
        maas_json_dump(owned, &text);
    if (!owned || text.failed)
        return maas_fail(err, MAAS_E_INVALID,
                         "%s cannot be written: names must be UTF-8, and there must be memory",
                         key);
    return maas_graph_set_meta(g, key, text.p, err);
}

maas_status maas_matrix_end(const maas_matrix *m, const maas_train_job *job,
                            const maas_model_info *info, maas_graph **in, const maas_builder *b,
                            maas_train_result *out, maas_err *err)
{
    maas_graph *g = *in;
    MAAS_TRY(b->status);
    MAAS_TRY(maas_graph_set_meta(g, "maas.task", info->task, err));
    MAAS_TRY(maas_graph_set_meta(g, "maas.learner", job->learner, err));
    MAAS_TRY(maas_model_set_meta(g, "maas.columns", maas_features_json(&m->features), err));
    if (info->target)
        MAAS_TRY(maas_model_set_meta(g, "maas.target", maas_target_json(info->target), err));
    if (info->importances)
        MAAS_TRY(maas_model_set_meta(g, "maas.importances", json_incref(info->importances), err));
    MAAS_TRY(
        maas_model_set_meta(g, "maas.recipe", maas_learner_dump(job->learner, info->recipe), err));
    if (job->want_graph) {
        MAAS_TRY(maas_onnx_size(g, &out->graph_bytes, err));
        out->graph = STEAL(*in);
        return MAAS_OK;
    }
    out->onnx = (maas_buf)MAAS_BUF_INIT(MAX_ARTIFACT);
    return maas_onnx_write(g, NULL, NULL, &out->onnx, err);
}

maas_vid maas_matrix_label(const maas_target *t, maas_builder *b, maas_vid scores)
{
    maas_attr attr[2] = {MAAS_A_INT("axis", 1), MAAS_A_INT("keepdims", 0)};
    maas_vid best = MAAS_NO_VALUE;
    best = maas_b_node(b, "ArgMax", attr, 2, &scores, 1, &best, 1);
    return maas_b_op2(b, "Gather", maas_target_labels(t, b), best);
}
