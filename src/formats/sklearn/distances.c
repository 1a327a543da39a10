#include "formats/sklearn/distances.h"

#include <math.h>
#include <string.h>

#include "formats/sklearn/parts.h"

#include "base/ban.h"

static const struct {
    const char *name;
    maas_sk_metric_kind kind;
} names[] = {
    {"chebyshev", MAAS_SK_CHEBYSHEV},
    {"cityblock", MAAS_SK_MANHATTAN},
    {"cosine", MAAS_SK_COSINE},
    {"euclidean", MAAS_SK_EUCLIDEAN},
    {"infinity", MAAS_SK_CHEBYSHEV},
    {"l1", MAAS_SK_MANHATTAN},
    {"l2", MAAS_SK_EUCLIDEAN},
    {"manhattan", MAAS_SK_MANHATTAN},
    {"minkowski", MAAS_SK_MINKOWSKI},
    {"p", MAAS_SK_MINKOWSKI},
    {"sqeuclidean", MAAS_SK_SQEUCLIDEAN},
};

static maas_status read_p(maas_sk *s, const maas_pk *params, maas_sk_metric *out)
{
    const maas_pk *p = maas_pk_get(params, "p");
    for (int64_t i = 0; i < maas_pk_count(params); i++)
        if (maas_pk_at(params, i) != p && maas_pk_kind_of(maas_pk_at(params, i)) != MAAS_PK_NONE)
            return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "the metric has parameters other than p");
    if (out->kind != MAAS_SK_MINKOWSKI)
        return MAAS_OK;
    out->p = 2;
    if (p && (!maas_pk_to_double(p, &out->p) || !(out->p > 0)))
        return maas_sk_fail(s, MAAS_E_FORMAT, "p of the metric is no number above 0");
    if (isinf(out->p))
        out->kind = MAAS_SK_CHEBYSHEV;
    if (out->p == 1)
        out->kind = MAAS_SK_MANHATTAN;
    if (out->p == 2)
        out->kind = MAAS_SK_EUCLIDEAN;
    return MAAS_OK;
}

maas_status maas_sk_metric_of(maas_sk *s, const maas_pk *est, const char *name, const char *params,
                              maas_sk_metric *out)
{
    const maas_pk *v = maas_pk_attr(est, name);
    for (size_t i = 0; i < MAAS_COUNT(names); i++)
        if (maas_sk_is_word(v, names[i].name)) {
            *out = (maas_sk_metric){.kind = names[i].kind};
            return read_p(s, params ? maas_pk_attr(est, params) : NULL, out);
        }
    maas_str word;
    if (maas_pk_to_str(v, &word))
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "%s '%.*s' is not known", name,
                            (int)(word.n < 40 ? word.n : 40), word.p);
    return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "%s is %s, not a name", name, maas_pk_kind_text(v));
}

/* ---- feature by feature ---- */

static maas_vid term(maas_sk *s, maas_vid difference, const maas_sk_metric *metric)
{
    if (metric->kind == MAAS_SK_EUCLIDEAN || metric->kind == MAAS_SK_SQEUCLIDEAN)
        return maas_sk_square(s, difference);
    difference = maas_b_op1(&s->b, "Abs", difference);
    if (metric->kind == MAAS_SK_MINKOWSKI)
        return maas_b_op2(&s->b, "Pow", difference, maas_sk_f64(s, metric->p));
    return difference;
}

/* Column j of the points as [1, m]. */
static maas_vid points_row(maas_sk *s, const maas_tensor *points, int64_t j)
{
    const int64_t m = points->dims[0], f = points->dims[1], dims[2] = {1, m};
    maas_tensor *row = maas_sk_new_array(s, 1, m);
    if (!row)
        return MAAS_NO_VALUE;
    for (int64_t i = 0; i < m; i++)
        maas_sk_f64_of(row)[i] = maas_sk_f64_of(points)[i * f + j];
    *row = maas_tensor_of(MAAS_F64, 2, dims, row->data);
    return maas_sk_const(s, row);
}

/* Sums (or the largest) of the terms: what orders the points, without the root. */
static maas_vid direct(maas_sk *s, maas_vid x, const maas_tensor *points,
                       const maas_sk_metric *metric)
{
    const int64_t f = points->dims[1];
    const char *join = metric->kind == MAAS_SK_CHEBYSHEV ? "Max" : "Add";
    maas_vid sum = MAAS_NO_VALUE;
    if (f > MAAS_SK_MAX_DIRECT) {
        maas_sk_fail(s, MAAS_E_UNSUPPORTED, "this metric is done for %d features, not %lld",
                     MAAS_SK_MAX_DIRECT, (long long)f);
        return MAAS_NO_VALUE;
    }
    for (int64_t j = 0; j < f && s->b.status == MAAS_OK; j++) {
        maas_vid column = maas_sk_gather(s, x, &j, 1, 1);
        maas_vid t = term(s, MAAS_SK_SUB(s, column, points_row(s, points, j)), metric);
        sum = j ? maas_b_op2(&s->b, join, sum, t) : t;
    }
    return sum;
}

/* ---- by products ---- */

static maas_vid expanded(maas_sk *s, maas_vid x, const maas_tensor *points)
{
    const int64_t m = points->dims[0], f = points->dims[1];
    maas_tensor *norms = maas_sk_new_array(s, m, 0);
    if (!norms)
        return MAAS_NO_VALUE;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < f; j++) {
            const double v = maas_sk_f64_of(points)[i * f + j];
            maas_sk_f64_of(norms)[i] += v * v;
        }
    maas_vid product = MAAS_SK_MUL(s, maas_sk_linear(s, x, points, NULL), maas_sk_f64(s, -2));
    maas_vid own = maas_sk_reduce(s, "ReduceSum", maas_sk_square(s, x), true);
    maas_vid sum = MAAS_SK_ADD(s, MAAS_SK_ADD(s, product, own), maas_sk_const(s, norms));
    return maas_b_op2(&s->b, "Max", sum, maas_sk_f64(s, 0));
}

/* 1 - cosine; a row of zeros has the direction of none. */
static maas_vid cosine(maas_sk *s, maas_vid x, const maas_tensor *points)
{
    const int64_t m = points->dims[0], f = points->dims[1];
    maas_tensor *unit = maas_sk_new_array(s, m, f);
    if (!unit)
        return MAAS_NO_VALUE;
    for (int64_t i = 0; i < m; i++) {
        const double *v = maas_sk_f64_of(points) + i * f;
        double sum = 0;
        for (int64_t j = 0; j < f; j++)
            sum += v[j] * v[j];
        const double norm = sum > 0 ? sqrt(sum) : 1;
        for (int64_t j = 0; j < f; j++)
            maas_sk_f64_of(unit)[i * f + j] = v[j] / norm;
    }
    maas_builder *b = &s->b;
    maas_vid norm = maas_b_op1(b, "Sqrt",
                               maas_sk_reduce(s, "ReduceSum", maas_sk_square(s, x), true));
    maas_vid none = maas_b_op2(b, "Equal", norm, maas_sk_f64(s, 0));
    norm = maas_b_op3(b, "Where", none, maas_sk_f64(s, 1), norm);
    maas_vid product = maas_sk_linear(s, MAAS_SK_DIV(s, x, norm), unit, NULL);
    return maas_sk_clip(s, MAAS_SK_SUB(s, maas_sk_f64(s, 1), product), 0, 2);
}

/* ---- whole ---- */

static bool is_square(const maas_sk_metric *metric)
{
    return metric->kind == MAAS_SK_EUCLIDEAN || metric->kind == MAAS_SK_SQEUCLIDEAN;
}

/* Orders points as their distances do. */
static maas_vid reduced(maas_sk *s, maas_vid x, const maas_tensor *points,
                        const maas_sk_metric *metric)
{
    if (metric->kind == MAAS_SK_COSINE)
        return cosine(s, x, points);
    if (is_square(metric) && points->dims[1] > MAAS_SK_DIRECT)
        return expanded(s, x, points);
    return direct(s, x, points, metric);
}

static maas_vid unreduced(maas_sk *s, maas_vid d, const maas_sk_metric *metric)
{
    if (metric->kind == MAAS_SK_EUCLIDEAN)
        return maas_b_op1(&s->b, "Sqrt", d);
    if (metric->kind == MAAS_SK_MINKOWSKI)
        return maas_b_op2(&s->b, "Pow", d, maas_sk_f64(s, 1 / metric->p));
    return d;
}

maas_vid maas_sk_distances(maas_sk *s, maas_vid x, const maas_tensor *points,
                           const maas_sk_metric *metric)
{
    return unreduced(s, reduced(s, x, points, metric), metric);
}

maas_vid maas_sk_nearest(maas_sk *s, maas_vid distances)
{
    const maas_attr attr[2] = {MAAS_A_INT("axis", 1), MAAS_A_INT("keepdims", 0)};
    return maas_b_node(&s->b, "ArgMin", attr, 2, &distances, 1, NULL, 1);
}

maas_sk_near maas_sk_neighbours(maas_sk *s, maas_vid x, const maas_tensor *points,
                                const maas_sk_metric *metric, int64_t k)
{
    maas_builder *b = &s->b;
    const maas_attr order[] = {MAAS_A_INT("axis", 1), MAAS_A_INT("largest", 0),
                               MAAS_A_INT("sorted", 1)};
    const maas_vid in[2] = {reduced(s, x, points, metric), maas_b_i64s(b, &k, 1)};
    maas_vid found[2];
    maas_b_node(b, "TopK", order, 3, in, 2, found, 2);
    return (maas_sk_near){unreduced(s, found[0], metric), found[1]};
}
