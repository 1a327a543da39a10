/*
 * Imputers that ask a model: KNNImputer (the mean of the nearest rows that have the value) and
 * IterativeImputer (one regressor a feature, round after round).
 *
 * Among donors at equal distances scikit-learn takes any of them, and weights by distance hang on
 * the rounding of its sums: models where that can show are refused.
 */
#include "formats/sklearn/impute.h"

#include "base/ban.h"

/* ---- KNNImputer ---- */

typedef struct knn {
    int64_t f, rows, k;
    const double *fit;  /* [rows][f] */
    const bool *absent; /* [rows][f] */
} knn;

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* A value that two fitted rows share makes equal distances likely. */
static maas_status check_distinct(maas_sk *s, const knn *m)
{
    double *v = maas_sk_alloc(s, (size_t)m->rows, sizeof *v);
    for (int64_t k = 0; v && k < m->f; k++) {
        int64_t n = 0;
        for (int64_t i = 0; i < m->rows; i++)
            if (!m->absent[i * m->f + k])
                v[n++] = m->fit[i * m->f + k];
        sk_sort(s, v, n, sizeof *v, by_value);
        for (int64_t i = 1; i < n; i++)
            if (v[i] == v[i - 1])
                return maas_sk_fail(s, MAAS_E_UNSUPPORTED,
                                    "feature %lld has a value twice: which of two rows at the same "
                                    "distance is taken is not said",
                                    (long long)k);
    }
    return s->b.status;
}

static maas_status knn_of(maas_sk *s, const maas_pk *est, const maas_sk_table *in, knn *m)
{
    static const char *const weights[] = {"uniform", NULL};
    static const char *const metrics[] = {"nan_euclidean", NULL};
    int64_t dims[] = {-1, in->n_cols};
    const maas_tensor *fit, *mask;
    int how, metric;
    MAAS_TRY(maas_sk_array_nan(s, est, "_fit_X", MAAS_F64, 2, dims, &fit));
    MAAS_TRY(maas_sk_array(s, est, "_mask_fit_X", MAAS_I64, 2, dims, &mask));
    MAAS_TRY(maas_sk_word(s, est, "weights", weights, 0, &how));
    MAAS_TRY(maas_sk_word(s, est, "metric", metrics, 0, &metric));
    MAAS_TRY(maas_sk_int(s, est, "n_neighbors", &m->k));
    m->rows = dims[0];
    m->f = dims[1];
    m->fit = fit->data;
    if (m->rows < 1 || m->f < 1 || m->k < 1)
        return maas_sk_fail(s, MAAS_E_FORMAT, "_fit_X or n_neighbors is empty");
    bool *absent = maas_sk_alloc(s, (size_t)(m->rows * m->f), sizeof *absent);
    for (int64_t i = 0; absent && i < m->rows * m->f; i++)
        absent[i] = ((const int64_t *)mask->data)[i] != 0;
    m->absent = absent;
    return absent ? check_distinct(s, m) : s->b.status;
}

/* fn of each fitted value, turned: [f, rows]; what is absent is 0. */
static maas_vid turned(maas_sk *s, const knn *m, double (*fn)(double))
{
    double *v = maas_sk_alloc(s, (size_t)(m->rows * m->f), sizeof *v);
    for (int64_t i = 0; v && i < m->rows; i++)
        for (int64_t k = 0; k < m->f; k++)
            v[k * m->rows + i] = m->absent[i * m->f + k] ? 0 : fn(m->fit[i * m->f + k]);
    return v ? sk_f64_matrix(s, v, m->f, m->rows) : MAAS_NO_VALUE;
}

static double itself(double v)
{
    return v;
}

static double squared(double v)
{
    return v * v;
}

static double one_of(double v)
{
    return 1;
}

/* Distances to all fitted rows over what both have, scaled up to all features: [n, rows]; infinite
 * where nothing is common. */
static maas_vid distances(maas_sk *s, const knn *m, maas_vid x, maas_vid gone)
{
    maas_vid zero = maas_sk_f64(s, 0), one = maas_sk_f64(s, 1);
    maas_vid known = sk_op3(s, "Where", gone, zero, x);
    maas_vid here = sk_number(s, sk_op1(s, "Not", gone)), there = turned(s, m, one_of);
    maas_vid cross = sk_op2(s, "MatMul", known, turned(s, m, itself));
    maas_vid d = sk_op2(s, "MatMul", sk_op2(s, "Mul", known, known), there);
    d = sk_op2(s, "Sub", d, sk_op2(s, "Mul", cross, maas_sk_f64(s, 2)));
    d = sk_op2(s, "Add", d, sk_op2(s, "MatMul", here, turned(s, m, squared)));
    maas_vid common = sk_op2(s, "MatMul", here, there);
    d = sk_op2(s, "Div", sk_op2(s, "Max", d, zero), sk_op2(s, "Max", common, one));
    d = sk_op1(s, "Sqrt", sk_op2(s, "Mul", d, maas_sk_f64(s, (double)m->f)));
    return sk_op3(s, "Where", sk_op2(s, "Equal", common, zero), maas_sk_f64(s, INFINITY), d);
}

/* Rows that have feature `col`, what they have, and its mean. */
static int64_t donors_of(const knn *m, int64_t col, int64_t *which, double *values, double *mean)
{
    int64_t n = 0;
    double sum = 0;
    for (int64_t i = 0; i < m->rows; i++)
        if (!m->absent[i * m->f + col]) {
            which[n] = i;
            values[n] = m->fit[i * m->f + col];
            sum += values[n++];
        }
    *mean = n ? sum / (double)n : 0;
    return n;
}

/* What feature `col` is filled with: [n, 1]. */
static maas_vid neighbours_mean(maas_sk *s, const knn *m, maas_vid d, int64_t col)
{
    int64_t *which = maas_sk_alloc(s, (size_t)m->rows, sizeof *which);
    double *values = maas_sk_alloc(s, (size_t)m->rows, sizeof *values), mean;
    if (!which || !values)
        return MAAS_NO_VALUE;
    const int64_t n = donors_of(m, col, which, values, &mean), k = m->k < n ? m->k : n;
    const maas_attr attr[] = {MAAS_A_INT("axis", 1), MAAS_A_INT("largest", 0)};
    maas_vid in[] = {maas_sk_gather(s, d, which, n, 1), maas_b_i64s(&s->b, &k, 1)};
    maas_vid nearest[2] = {MAAS_NO_VALUE, MAAS_NO_VALUE};
    maas_b_node(&s->b, "TopK", attr, 2, in, 2, nearest, 2);
    maas_vid w = sk_number(s, sk_op2(s, "Less", nearest[0], maas_sk_f64(s, INFINITY)));
    maas_vid v = sk_op2(s, "Gather", maas_sk_f64s(s, values, n), nearest[1]);
    maas_vid sum = maas_sk_reduce(s, "ReduceSum", sk_op2(s, "Mul", w, v), true);
    maas_vid all = maas_sk_reduce(s, "ReduceSum", w, true), zero = maas_sk_f64(s, 0);
    return sk_op3(s, "Where", sk_op2(s, "Equal", all, zero), maas_sk_f64(s, mean),
                  sk_op2(s, "Div", sum, all));
}

static maas_status knn_imputer(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                               unsigned need, maas_sk_out *out)
{
    knn m = {0};
    sk_mark mark;
    bool keep;
    int64_t n = 0;
    MAAS_TRY(knn_of(s, est, in, &m));
    MAAS_TRY(sk_missing_mark(s, est, &mark));
    MAAS_TRY(maas_sk_bool_or(s, est, "keep_empty_features", false, &keep));
    maas_vid x = maas_sk_matrix(s, in, m.f), gone = sk_missing_number(s, x, &mark);
    maas_vid d = distances(s, &m, x, gone), zero = maas_sk_f64(s, 0);
    maas_vid *parts = maas_sk_alloc(s, (size_t)m.f, sizeof *parts);
    for (int64_t k = 0; parts && k < m.f; k++) {
        bool valid = false;
        for (int64_t i = 0; i < m.rows && !valid; i++)
            valid = !m.absent[i * m.f + k];
        if (!valid && !keep)
            continue;
        maas_vid own = maas_sk_gather(s, x, &k, 1, 1);
        maas_vid is = sk_missing_number(s, own, &mark);
        if (valid) /* an empty feature that is kept is 0, missing or not */
            parts[n++] = sk_op3(s, "Where", is, neighbours_mean(s, &m, d, k), own);
        else
            parts[n++] = sk_op3(s, "Where", sk_op2(s, "Or", is, sk_op1(s, "Not", is)), zero, own);
    }
    if (n == 0)
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "all features are empty: nothing comes out");
    MAAS_TRY(sk_give(s, out, maas_sk_concat(s, parts, (uint32_t)n, 1), n));
    return sk_add_indicator(s, est, in, &mark, NULL, m.f, out);
}

/* ---- IterativeImputer ---- */

/* One of imputation_sequence_, a named tuple: feature, its neighbours, the regressor. */
static maas_status one_round(maas_sk *s, const maas_pk *named, int64_t number, int64_t f,
                             maas_vid *columns, maas_vid gone, const double *lo, const double *hi)
{
    double at;
    const maas_pk *triple = maas_pk_args(named) ? maas_pk_args(named) : named;
    const maas_pk *neighbours = maas_pk_at(triple, 1);
    const int64_t n = sk_n_items(neighbours);
    if (!maas_pk_to_double(maas_pk_at(triple, 0), &at) || !(at >= 0 && at < (double)f) || n < 1)
        return maas_sk_fail(s, MAAS_E_FORMAT, "imputation_sequence_[%lld] is not understood",
                            (long long)number);
    const int64_t k = (int64_t)at;
    maas_vid *some = maas_sk_alloc(s, (size_t)n, sizeof *some);
    if (!some)
        return s->b.status;
    for (int64_t i = 0; i < n; i++) {
        if (!sk_item_double(neighbours, i, &at) || !(at >= 0 && at < (double)f))
            return maas_sk_fail(s, MAAS_E_FORMAT, "imputation_sequence_[%lld] has a neighbour %lld",
                                (long long)number, (long long)i);
        some[i] = columns[(int64_t)at];
    }
    const maas_sk_table rows = maas_sk_table_of(maas_sk_concat(s, some, (uint32_t)n, 1), n);
    maas_sk_out got;
    MAAS_TRY(maas_sk_decode(s, maas_pk_at(triple, 2), &rows, MAAS_SK_VALUE, &got,
                            "imputation_sequence_[%lld]", (long long)number));
    maas_vid y = sk_op3(s, "Clip", maas_sk_upright(s, got.value), maas_sk_f64(s, lo[k]),
                        maas_sk_f64(s, hi[k]));
    columns[k] = sk_op3(s, "Where", maas_sk_gather(s, gone, &k, 1, 1), y, columns[k]);
    return s->b.status;
}

static maas_status check_iterative(maas_sk *s, const maas_pk *est)
{
    bool samples, keep;
    MAAS_TRY(maas_sk_bool_or(s, est, "sample_posterior", false, &samples));
    MAAS_TRY(maas_sk_bool_or(s, est, "keep_empty_features", false, &keep));
    if (samples || keep)
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "%s is set",
                            samples ? "sample_posterior" : "keep_empty_features");
    return MAAS_OK;
}

static maas_status iterative_imputer(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                     unsigned need, maas_sk_out *out)
{
    const maas_pk *list = maas_pk_attr(est, "imputation_sequence_");
    const maas_tensor *lo, *hi;
    int64_t n;
    sk_mark mark;
    maas_sk_out first;
    MAAS_TRY(check_iterative(s, est));
    MAAS_TRY(sk_n_features(s, est, in, &n));
    MAAS_TRY(sk_missing_mark(s, est, &mark));
    MAAS_TRY(maas_sk_decode(s, maas_pk_attr(est, "initial_imputer_"), in, MAAS_SK_TRANSFORMED,
                            &first, "initial_imputer_"));
    int64_t f = first.transformed.n_cols;
    if (f != n)
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "features that were empty are dropped");
    MAAS_TRY(maas_sk_array_of(s, maas_pk_attr(est, "_min_value"), "_min_value", MAAS_F64, 1, &f,
                              true, &lo));
    MAAS_TRY(maas_sk_array_of(s, maas_pk_attr(est, "_max_value"), "_max_value", MAAS_F64, 1, &f,
                              true, &hi));
    maas_vid gone = sk_missing_number(s, maas_sk_matrix(s, in, n), &mark);
    maas_vid *columns = maas_sk_alloc(s, (size_t)f, sizeof *columns);
    if (!columns)
        return s->b.status;
    for (int64_t k = 0; k < f; k++)
        columns[k] = maas_sk_number_column(s, &first.transformed, k);
    for (int64_t i = 0; i < maas_pk_count(list); i++)
        MAAS_TRY(one_round(s, maas_pk_at(list, i), i, f, columns, gone, lo->data, hi->data));
    MAAS_TRY(sk_give(s, out, maas_sk_concat(s, columns, (uint32_t)f, 1), f));
    return sk_add_indicator(s, est, in, &mark, NULL, n, out);
}

const maas_sk_row maas_sk_impute_model[] = {
    {"KNNImputer", "sklearn.impute._knn", MAAS_SK_TRANSFORMER, knn_imputer},
    {"IterativeImputer", "sklearn.impute._iterative", MAAS_SK_TRANSFORMER, iterative_imputer},
    {0},
};
