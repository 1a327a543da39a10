/*
 * formats/sklearn/neighbors.c - k nearest neighbours, nearest centroids, local outlier factors.
 *
 * Which of several neighbours at the same distance belong to the k nearest is decided by the order
 * of the training rows; scikit-learn's brute force does the same, its trees promise no order.
 */
#include <math.h>
#include <string.h>

#include "formats/sklearn/parts.h"
#include "formats/sklearn/training.h"

#include "base/ban.h"

static maas_sk_near neighbours(maas_sk *s, const maas_sk_table *in, const maas_sk_training *o)
{
    return maas_sk_neighbours(s, maas_sk_matrix(s, in, o->n_features), o->rows, &o->metric, o->k);
}

/* ---- k neighbours ---- */

static maas_vid deep(maas_sk *s, maas_vid x) /* [n, k] -> [n, k, 1] */
{
    return maas_b_op2(&s->b, "Unsqueeze", x, maas_b_i64s(&s->b, (int64_t[]){2}, 1));
}

static maas_vid sum_of_neighbours(maas_sk *s, maas_vid x) /* [n, k, c] -> [n, c] */
{
    const maas_attr keep = MAAS_A_INT("keepdims", 0);
    const maas_vid in[2] = {x, maas_b_i64s(&s->b, (int64_t[]){1}, 1)};
    return maas_b_node(&s->b, "ReduceSum", &keep, 1, in, 2, NULL, 1);
}

static maas_status knn_classifier(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                  unsigned need, maas_sk_out *out)
{
    maas_sk_training o;
    bool several, by_distance;
    const maas_tensor *y;
    maas_builder *b = &s->b;
    MAAS_TRY(maas_sk_bool_or(s, est, "outputs_2d_", false, &several));
    if (several)
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED,
                            "outputs_2d_: classifiers of several targets are not read, fit one a "
                            "target");
    MAAS_TRY(maas_sk_classes(s, est, "classes_", -1, &out->classes));
    const int64_t n_classes = out->classes->dims[0];
    MAAS_TRY(maas_sk_training_read(s, est, "n_neighbors", &o));
    MAAS_TRY(maas_sk_by_distance(s, est, &by_distance));
    MAAS_TRY(maas_sk_class_numbers(s, est, o.m, n_classes, &y));
    maas_sk_near near = neighbours(s, in, &o);
    maas_vid found = maas_b_op2(b, "Gather", maas_sk_const(s, y), near.index);
    maas_vid votes = maas_b_op2(b, "Equal", deep(s, found), maas_sk_range(s, n_classes));
    votes = maas_sk_cast(s, votes, MAAS_F64);
    if (by_distance)
        votes = MAAS_SK_MUL(s, votes, deep(s, maas_sk_inverse(s, near.distance)));
    votes = sum_of_neighbours(s, votes);
    out->label = maas_sk_label(s, maas_sk_argmax(s, votes), out->classes);
    out->probabilities = maas_sk_normalize(s, votes);
    return b->status;
}

static maas_status knn_regressor(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                 unsigned need, maas_sk_out *out)
{
    maas_sk_training o;
    bool by_distance;
    const maas_tensor *y, *given = maas_pk_array(maas_pk_attr(est, "_y"));
    maas_builder *b = &s->b;
    MAAS_TRY(maas_sk_training_read(s, est, "n_neighbors", &o));
    MAAS_TRY(maas_sk_by_distance(s, est, &by_distance));
    const bool flat = !given || given->rank != 2;
    int64_t dims[2] = {o.m, -1};
    MAAS_TRY(maas_sk_array(s, est, "_y", MAAS_F64, flat ? 1 : 2, dims, &y));
    maas_sk_near near = neighbours(s, in, &o);
    maas_vid found = maas_b_op2(b, "Gather", maas_sk_const(s, y), near.index);
    if (flat)
        found = deep(s, found);
    if (by_distance) {
        maas_vid w = deep(s, maas_sk_inverse(s, near.distance));
        out->value = MAAS_SK_DIV(s, sum_of_neighbours(s, MAAS_SK_MUL(s, found, w)),
                                 sum_of_neighbours(s, w));
    } else {
        out->value = MAAS_SK_DIV(s, sum_of_neighbours(s, found), maas_sk_f64(s, (double)o.k));
    }
    if (flat)
        out->value = maas_sk_flat(s, out->value);
    return b->status;
}

/* ---- local outlier factor ---- */

static maas_vid mean_over_k(maas_sk *s, maas_vid x)
{
    return maas_sk_reduce(s, "ReduceMean", x, true);
}

static maas_status local_outlier(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                 unsigned need, maas_sk_out *out)
{
    maas_sk_training o;
    bool novelty;
    double offset;
    const maas_tensor *density, *to_fit;
    maas_builder *b = &s->b;
    MAAS_TRY(maas_sk_bool(s, est, "novelty", &novelty));
    if (!novelty)
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED,
                            "novelty is False: it answers for its training rows only");
    MAAS_TRY(maas_sk_training_read(s, est, "n_neighbors_", &o));
    MAAS_TRY(maas_sk_double(s, est, "offset_", &offset));
    int64_t dims[2] = {o.m, -1};
    MAAS_TRY(maas_sk_array(s, est, "_lrd", MAAS_F64, 1, dims, &density));
    MAAS_TRY(maas_sk_array(s, est, "_distances_fit_X_", MAAS_F64, 2, dims, &to_fit));
    if (dims[1] < o.k)
        return maas_sk_fail(s, MAAS_E_FORMAT, "_distances_fit_X_ has %lld columns, expected %lld",
                            (long long)dims[1], (long long)o.k);
    maas_tensor *reach = maas_sk_new_array(s, o.m, 0);
    if (!reach)
        return b->status;
    for (int64_t i = 0; i < o.m; i++)
        maas_sk_f64_of(reach)[i] = maas_sk_f64_of(to_fit)[i * dims[1] + o.k - 1];
    maas_sk_near near = neighbours(s, in, &o);
    maas_vid theirs = maas_b_op2(b, "Gather", maas_sk_const(s, reach), near.index);
    maas_vid distance = mean_over_k(s, maas_b_op2(b, "Max", near.distance, theirs));
    maas_vid own = maas_b_op1(b, "Reciprocal", MAAS_SK_ADD(s, distance, maas_sk_f64(s, 1e-10)));
    maas_vid ratio = MAAS_SK_DIV(s, maas_b_op2(b, "Gather", maas_sk_const(s, density), near.index),
                                 own);
    maas_vid score = maas_b_op1(b, "Neg", mean_over_k(s, ratio));
    out->scores = MAAS_SK_SUB(s, score, maas_sk_f64(s, offset));
    out->label = maas_sk_inlier(s, out->scores, 0, true);
    return b->status;
}

/* ---- nearest centroid ---- */

/* Discriminant scores [n, n_classes]: distances in units of the spread within classes, and priors
 * (1.6 and later). */
static maas_status discriminant(maas_sk *s, const maas_pk *est, maas_vid x, const maas_tensor *c,
                                const maas_sk_metric *metric, const maas_tensor *prior,
                                maas_vid *out)
{
    int64_t n = c->dims[0], f = c->dims[1];
    const maas_tensor *spread;
    MAAS_TRY(maas_sk_array(s, est, "within_class_std_dev_", MAAS_F64, 1, &f, &spread));
    maas_tensor *unit = maas_sk_new_array(s, f, 0), *scaled = maas_sk_new_array(s, n, f);
    maas_tensor *bias = maas_sk_new_array(s, n, 0);
    if (!unit || !scaled || !bias)
        return s->b.status;
    for (int64_t j = 0; j < f; j++) {
        const double w = maas_sk_f64_of(spread)[j];
        maas_sk_f64_of(unit)[j] = w != 0 ? w : 1;
    }
    for (int64_t i = 0; i < n * f; i++)
        maas_sk_f64_of(scaled)[i] = maas_sk_f64_of(c)[i] / maas_sk_f64_of(unit)[i % f];
    for (int64_t i = 0; i < n; i++)
        maas_sk_f64_of(bias)[i] = 2 * log(maas_sk_f64_of(prior)[i]);
    maas_vid rows = MAAS_SK_DIV(s, x, maas_sk_const(s, unit));
    maas_vid d = maas_sk_square(s, maas_sk_distances(s, rows, scaled, metric));
    *out = MAAS_SK_SUB(s, maas_sk_const(s, bias), d);
    return s->b.status;
}

static bool all_alike(const maas_tensor *prior)
{
    const double want = 1 / (double)prior->dims[0];
    for (int64_t i = 0; i < prior->dims[0]; i++)
        if (!(fabs(maas_sk_f64_of(prior)[i] - want) <= 1e-8 + 1e-5 * want))
            return false;
    return true;
}

static maas_status nearest_centroid(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                    unsigned need, maas_sk_out *out)
{
    int64_t dims[2] = {-1, -1};
    maas_sk_metric metric;
    const maas_tensor *c, *prior = NULL;
    maas_vid scores = MAAS_NO_VALUE;
    MAAS_TRY(maas_sk_classes(s, est, "classes_", -1, &out->classes));
    dims[0] = out->classes->dims[0];
    MAAS_TRY(maas_sk_array(s, est, "centroids_", MAAS_F64, 2, dims, &c));
    if (dims[0] < 1 || dims[1] < 1)
        return maas_sk_fail(s, MAAS_E_FORMAT, "centroids_ is empty");
    MAAS_TRY(maas_sk_metric_of(s, est, "metric", NULL, &metric));
    maas_vid x = maas_sk_matrix(s, in, dims[1]);
    if (maas_sk_has(est, "class_prior_")) {
        MAAS_TRY(maas_sk_array(s, est, "class_prior_", MAAS_F64, 1, dims, &prior));
        MAAS_TRY(discriminant(s, est, x, c, &metric, prior, &scores));
    }
    maas_vid which = !prior || all_alike(prior)
                         ? maas_sk_nearest(s, maas_sk_distances(s, x, c, &metric))
                         : maas_sk_argmax(s, scores);
    out->label = maas_sk_label(s, which, out->classes);
    if (prior && metric.kind == MAAS_SK_EUCLIDEAN)
        out->probabilities = maas_sk_softmax(s, scores);
    return s->b.status;
}

const maas_sk_row maas_sk_neighbors[] = {
    {"KNeighborsClassifier", "sklearn.neighbors._classification sklearn.neighbors.classification",
     MAAS_SK_CLASSIFIER, knn_classifier},
    {"KNeighborsRegressor", "sklearn.neighbors._regression sklearn.neighbors.regression",
     MAAS_SK_REGRESSOR, knn_regressor},
    {"LocalOutlierFactor", "sklearn.neighbors._lof sklearn.neighbors.lof", MAAS_SK_OUTLIER,
     local_outlier},
    {"NearestCentroid", "sklearn.neighbors._nearest_centroid sklearn.neighbors.nearest_centroid",
     MAAS_SK_CLASSIFIER, nearest_centroid},
    {0},
};
