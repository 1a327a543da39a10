/*
 * learn/classic/knn.c - the k nearest training rows vote, or are averaged. The training rows are
 * part of the model.
 *
 * A row that lies on a training row belongs to it alone when votes are weighted by distance, as in
 * scikit-learn.
 */
#include <math.h>

#include "learn/classic/dense.h"

#include "base/ban.h"

typedef struct knn_recipe {
    maas_dense_recipe dense;
    int64_t k;
    int weights, metric;
    double p;
} knn_recipe;

#define AT(f) offsetof(knn_recipe, f)

enum { UNIFORM, DISTANCE };
enum { MINKOWSKI, EUCLIDEAN, MANHATTAN, CHEBYSHEV, COSINE };
static const char *const weight_names[] = {"uniform", "distance", NULL};
static const char *const metric_names[] = {"minkowski", "euclidean", "manhattan",
                                           "chebyshev", "cosine",    NULL};

static const maas_param rows[] = {
    {"n_neighbors", MAAS_PARAM_INT, AT(k), 1, 4096, 5, .help = "rows that have a say"},
    {"weights", MAAS_PARAM_CHOICE, AT(weights), .preset = UNIFORM, .choices = weight_names,
     .help = "the same say for each, or one over its distance"},
    {"metric", MAAS_PARAM_CHOICE, AT(metric), .preset = MINKOWSKI, .choices = metric_names,
     .help = "what distance is; minkowski with p = 2 is euclidean"},
    {"p", MAAS_PARAM_NUM, AT(p), 1, 1000, 2, .help = "power of minkowski"},
    DENSE_TASK,
    DENSE_ROWS(MAAS_SCALING_AUTO),
};

typedef struct knn_fit {
    double *points;  /* [n][d] */
    double *answers; /* [n][m] one class each, or values */
    int64_t m;
} knn_fit;

/* ---- fitting: keeping ---- */

/* For cosine, rows of length 1: then half their squared distance is 1 - cos. */
static maas_status keep_points(maas_dense *s, knn_fit *f, maas_err *err)
{
    f->points = s->x;
    if (((const knn_recipe *)s->recipe)->metric != COSINE)
        return MAAS_OK;
    f->points = maas_work_doubles(&s->work, s->n, s->d, "rows", err);
    for (int64_t i = 0; f->points && i < s->n; i++) {
        double length = 0;
        for (int64_t j = 0; j < s->d; j++)
            length += s->x[i * s->d + j] * s->x[i * s->d + j];
        for (int64_t j = 0; j < s->d; j++)
            f->points[i * s->d + j] = length > 0 ? s->x[i * s->d + j] / sqrt(length) : 0;
    }
    return f->points ? MAAS_OK : MAAS_E_NOMEM;
}

static maas_status fit(maas_dense *s, maas_err *err)
{
    const knn_recipe *r = s->recipe;
    if (r->k > s->n)
        return maas_fail(err, MAAS_E_INVALID,
                         "params.n_neighbors: %lld, there are %lld training rows", (long long)r->k,
                         (long long)s->n);
    knn_fit *f = maas_work_array(&s->work, 1, 1, sizeof *f, "rows", err);
    if (!f)
        return MAAS_E_NOMEM;
    s->fit = f;
    f->m = s->target.is_class ? s->target.n_classes : s->target.width;
    f->answers = s->y;
    if (s->target.is_class) {
        f->answers = maas_work_doubles(&s->work, s->n, f->m, "classes", err);
        if (!f->answers)
            return MAAS_E_NOMEM;
        for (int64_t i = 0; i < s->n; i++)
            f->answers[i * f->m + s->codes[i]] = 1;
    }
    return keep_points(s, f, err);
}

/* ---- nodes ---- */

/* [batch, 1, d] - [1, n, d] */
static maas_vid differences(const maas_dense *s, maas_builder *b, maas_vid x)
{
    const knn_fit *f = s->fit;
    maas_vid row = maas_b_op2(b, "Unsqueeze", x, maas_b_i64s(b, (int64_t[]){1}, 1));
    maas_vid all = maas_dense_const(b, "points", 3, (int64_t[]){1, s->n, s->d}, f->points);
    return maas_b_op1(b, "Abs", maas_b_op2(b, "Sub", row, all));
}

static maas_vid unit_length(maas_builder *b, maas_vid x)
{
    maas_vid length = maas_dense_reduce(b, "ReduceL2", x, 1, true);
    return maas_b_op2(b, "Div", x, maas_b_op2(b, "Max", length, maas_b_f32(b, 1e-30f)));
}

/* Distances [batch, k] and numbers of the nearest. */
static void nearest(const maas_dense *s, maas_builder *b, maas_vid x, maas_vid out[2])
{
    const knn_recipe *r = s->recipe;
    const knn_fit *f = s->fit;
    const double p = r->metric == EUCLIDEAN ? 2 : r->metric == MANHATTAN ? 1 : r->p;
    const bool cosine = r->metric == COSINE;
    if (cosine || (r->metric != CHEBYSHEV && p == 2)) {
        maas_dense_nearest(b, cosine ? unit_length(b, x) : x, f->points, s->n, s->d, r->k, &out[0],
                           &out[1]);
        out[0] = cosine ? maas_b_op2(b, "Mul", out[0], maas_b_f32(b, 0.5f))
                        : maas_b_op1(b, "Sqrt", out[0]);
        return;
    }
    maas_vid d = differences(s, b, x);
    if (r->metric == CHEBYSHEV) {
        d = maas_dense_reduce(b, "ReduceMax", d, 2, false);
    } else if (p == 1) {
        d = maas_dense_reduce(b, "ReduceSum", d, 2, false);
    } else {
        d = maas_b_op2(b, "Pow", d, maas_b_f32(b, (float)p));
        d = maas_dense_reduce(b, "ReduceSum", d, 2, false);
        d = maas_b_op2(b, "Pow", d, maas_b_f32(b, (float)(1 / p)));
    }
    maas_dense_least(b, d, r->k, out);
}

/* One over the distance; where a distance is 0, 1 for those and 0 for the others. */
static maas_vid say_of(const knn_recipe *r, maas_builder *b, maas_vid d)
{
    if (r->weights == UNIFORM)
        return MAAS_NO_VALUE;
    maas_vid zero = maas_dense_cast(b, maas_b_op2(b, "Equal", d, maas_b_f32(b, 0)), MAAS_F32);
    maas_vid any = maas_dense_reduce(b, "ReduceMax", zero, 1, true);
    maas_vid inverse = maas_b_op1(b, "Reciprocal", maas_b_op2(b, "Max", d, maas_b_f32(b, 1e-30f)));
    return maas_b_op3(b, "Where", maas_b_op2(b, "Greater", any, maas_b_f32(b, 0)), zero, inverse);
}

static void build(const maas_dense *s, maas_builder *b, maas_vid x)
{
    const knn_recipe *r = s->recipe;
    const knn_fit *f = s->fit;
    maas_vid best[2], mean;
    nearest(s, b, x, best);
    maas_vid all = maas_dense_const(b, "answers", 2, (int64_t[]){s->n, f->m}, f->answers);
    maas_vid theirs = maas_b_op2(b, "Gather", all, best[1]); /* [batch, k, m] */
    maas_vid say = say_of(r, b, best[0]);
    if (say == MAAS_NO_VALUE) {
        mean = maas_dense_reduce(b, "ReduceMean", theirs, 1, false);
    } else {
        maas_vid wide = maas_b_op2(b, "Unsqueeze", say, maas_b_i64s(b, (int64_t[]){2}, 1));
        maas_vid sum = maas_dense_reduce(b, "ReduceSum", maas_b_op2(b, "Mul", theirs, wide), 1,
                                         false);
        mean = maas_b_op2(b, "Div", sum, maas_dense_reduce(b, "ReduceSum", say, 1, true));
    }
    if (s->target.is_class)
        maas_dense_chances(s, b, mean);
    else
        maas_dense_values(s, b, mean);
}

static const maas_dense_kind kind = {
    .classes = true, .values = true, .score_products = 1 << 25, .fit = fit, .build = build};

static maas_status train(const maas_train_job *job, maas_train_result *out, maas_err *err)
{
    return maas_dense_train(job, &kind, out, err);
}

const maas_learner maas_learner_knn = {
    .name = "knn",
    .help = "what the nearest training rows say",
    .rows = rows,
    .n_rows = MAAS_COUNT(rows),
    .recipe_size = sizeof(knn_recipe),
    .settle = maas_dense_settle,
    .train = train,
};
