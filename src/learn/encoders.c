/* learn/encoders.c - which encoder, its cells by running its nodes, and their scale. */
#include "learn/encoders.h"

#include <math.h>

#include "base/mem.h"
#include "learn/columns.h"
#include "ops/date.h"
#include "runtime/plan.h"

#include "base/ban.h"

#define CHUNK 1024 /* rows of one run */

static const maas_encoder *const by_way[] = {NULL,
                                             NULL,
                                             &maas_encoder_ordinal,
                                             &maas_encoder_target,
                                             &maas_encoder_hashing,
                                             &maas_encoder_tfidf,
                                             &maas_encoder_date};

/* Every text that is there is a date, and there is one. */
static bool all_dates(const maas_ds_column *c, const maas_rows *train)
{
    int64_t seen = 0;
    for (int64_t i = 0; i < train->n; i++) {
        const maas_str s = maas_column_text(c, train->at[i]);
        maas_date d;
        if (!s.p || s.n == 0)
            continue;
        if (!maas_date_parse(s, &d))
            return false;
        seen++;
    }
    return seen > 0;
}

const maas_encoder *maas_encoder_of(const maas_features_opts *o, const maas_ds_column *c,
                                    const maas_rows *train)
{
    if (!o->preparation)
        return NULL;
    const int way = maas_preparation_way(o->preparation, c->desc.name);
    if (way == MAAS_TEXT_AUTO)
        return all_dates(c, train) ? &maas_encoder_date : NULL;
    return by_way[way];
}

/* ---- cells ---- */

static void auto_graph(maas_graph **g)
{
    maas_graph_destroy(*g);
}

static void auto_plan(maas_plan **p)
{
    maas_plan_destroy(*p);
}

static void auto_exec(maas_exec **e)
{
    maas_exec_destroy(*e);
}

static maas_status make_graph(const maas_encoding *e, maas_graph **out, maas_err *err)
{
    AUTO(auto_graph) maas_graph *g = NULL;
    maas_builder b;
    int64_t batch;
    MAAS_TRY(maas_graph_create("column", e->fs->budget, &g, err));
    MAAS_TRY(maas_graph_symbol(g, "batch", &batch, err));
    maas_builder_init(&b, g, err);
    maas_vid text = maas_b_input(&b, "text", MAAS_STRING, 2, (int64_t[]){batch, 1});
    maas_b_output(&b, "values", e->f->encoder->build(e->f, &b, text));
    MAAS_TRY(b.status);
    *out = STEAL(g);
    return MAAS_OK;
}

static maas_status run(const maas_encoding *e, const maas_graph *g, int64_t from, int64_t n,
                       int64_t step, maas_err *err)
{
    AUTO(auto_plan) maas_plan *plan = NULL;
    AUTO(auto_exec) maas_exec *exec = NULL;
    maas_type type = maas_graph_at(g, g->inputs[0])->type;
    maas_plan_opts opts = MAAS_PLAN_OPTS_INIT;
    opts.n_threads = 1;
    opts.budget = e->fs->budget;
    type.dims[0] = step;
    MAAS_TRY(maas_plan_create(g, &type, &opts, &plan, err));
    MAAS_TRY(maas_exec_create(plan, NULL, &exec, err));
    for (; from + step <= n; from += step) {
        maas_str *text = maas_exec_input(exec, 0)->data;
        for (int64_t i = 0; i < step; i++) {
            const maas_str s = maas_column_text(e->f->col, from + i);
            text[i] = s.p ? s : (maas_str){"", 0};
        }
        maas_status st = maas_exec_run(exec, err);
        if (st != MAAS_OK) {
            maas_err_prefix(err, "column '%s', rows from %lld on", e->f->col->desc.name,
                            (long long)from + 1);
            return st;
        }
        memcpy(e->f->values + from * e->f->width, maas_exec_output(exec, 0)->data,
               (size_t)(step * e->f->width) * sizeof(float));
    }
    return MAAS_OK;
}

static maas_status fill_values(const maas_encoding *e, maas_err *err)
{
    AUTO(auto_graph) maas_graph *g = NULL;
    const int64_t n = e->fs->n_rows, whole = n / CHUNK * CHUNK;
    MAAS_TRY(make_graph(e, &g, err));
    if (whole)
        MAAS_TRY(run(e, g, 0, whole, CHUNK, err));
    return whole < n ? run(e, g, whole, n, n - whole, err) : MAAS_OK;
}

/* ---- scale: as number columns have it ---- */

static void measure(const maas_encoding *e, int64_t k)
{
    maas_feature *f = e->f;
    const int scaling = e->o->scaling;
    double n = 0, mean = 0, m2 = 0, least = INFINITY, most = -INFINITY;
    for (int64_t i = 0; i < e->train->n; i++) {
        const double x = f->values[e->train->at[i] * f->width + k];
        if (isnan(x))
            continue;
        n++;
        const double d = x - mean;
        mean += d / n;
        m2 += d * (x - mean);
        least = fmin(least, x);
        most = fmax(most, x);
    }
    const bool plain = scaling == MAAS_SCALING_NONE;
    const bool unit = scaling == MAAS_SCALING_UNIT || scaling == MAAS_SCALING_MINMAX;
    const float scale = (float)(1 / (unit ? most - least : sqrt(m2 / n)));
    f->unit[k] = (float)mean;
    f->unit[f->width + k] = plain ? 0 : (float)(unit && n > 0 ? least : mean);
    f->unit[2 * f->width + k] = plain || !isfinite(scale) ? 1 : scale;
}

static void scale_values(const maas_encoding *e)
{
    maas_feature *f = e->f;
    const float *fill = f->unit, *shift = fill + f->width, *scale = shift + f->width;
    for (int64_t k = 0; k < f->width; k++)
        measure(e, k);
    for (int64_t i = 0; i < e->fs->n_rows * f->width; i++) {
        const int64_t k = i % f->width;
        const float x = isnan(f->values[i]) ? fill[k] : f->values[i];
        f->values[i] = (x - shift[k]) * scale[k];
    }
}

maas_status maas_encoder_fit(const maas_encoding *e, maas_err *err)
{
    maas_feature *f = e->f;
    MAAS_TRY(f->encoder->fit(e, err));
    size_t n;
    f->values = NULL;
    if (!__builtin_mul_overflow((size_t)e->fs->n_rows, (size_t)f->width, &n))
        f->values = maas_arena_array(&e->fs->arena, n, sizeof *f->values);
    f->unit = maas_arena_array(&e->fs->arena, (size_t)f->width, 3 * sizeof *f->unit);
    if (!f->values || !f->unit)
        return maas_fail(err, MAAS_E_NOMEM, "column '%s' as %lld numbers a row", f->col->desc.name,
                         (long long)f->width);
    MAAS_TRY(fill_values(e, err));
    if (f->encoder->refine)
        MAAS_TRY(f->encoder->refine(e, err));
    if (f->encoder->scaled)
        scale_values(e);
    return MAAS_OK;
}

static maas_vid unit_const(const maas_feature *f, maas_builder *b, int which)
{
    maas_tensor t = maas_tensor_of(MAAS_F32, 1, &f->width, f->unit + which * f->width);
    return maas_b_const(b, NULL, &t);
}

maas_vid maas_encoder_build(const maas_feature *f, maas_builder *b, maas_vid text)
{
    maas_vid x = f->encoder->build(f, b, text);
    if (!f->encoder->scaled)
        return x;
    x = maas_b_op3(b, "Where", maas_b_op1(b, "IsNaN", x), unit_const(f, b, 0), x);
    x = maas_b_op2(b, "Sub", x, unit_const(f, b, 1));
    return maas_b_op2(b, "Mul", x, unit_const(f, b, 2));
}
