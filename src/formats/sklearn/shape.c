/*
 * Transformers that change the shape of a feature's distribution, or make more features of few:
 * PowerTransformer, QuantileTransformer, KBinsDiscretizer, PolynomialFeatures, FunctionTransformer.
 */
#include "formats/sklearn/prep.h"

#include "base/ban.h"

/* ---- PowerTransformer ---- */

/* (base^power - 1) / power, the logarithm of base where power is 0: [n, f]. */
static maas_vid power_of(maas_sk *s, maas_vid base, const double *powers, int64_t n)
{
    double *safe = maas_sk_alloc(s, (size_t)n, sizeof *safe);
    double *logs = maas_sk_alloc(s, (size_t)n, sizeof *logs);
    if (!safe || !logs)
        return MAAS_NO_VALUE;
    bool any = false, all = true;
    for (int64_t i = 0; i < n; i++) {
        const bool is_log = fabs(powers[i]) < 2.220446049250313e-16;
        logs[i] = is_log;
        safe[i] = is_log ? 1 : powers[i];
        any |= is_log;
        all &= is_log;
    }
    maas_vid log = any ? sk_op1(s, "Log", base) : MAAS_NO_VALUE;
    if (all)
        return log;
    maas_vid p = maas_sk_f64s(s, safe, n);
    maas_vid y = sk_op2(s, "Pow", base, p);
    y = sk_op2(s, "Div", sk_op2(s, "Sub", y, maas_sk_f64(s, 1)), p);
    if (!any)
        return y;
    maas_vid choose = sk_op2(s, "Greater", maas_sk_f64s(s, logs, n), maas_sk_f64(s, 0));
    return sk_op3(s, "Where", choose, log, y);
}

/* Yeo and Johnson: powers of 1 + x above zero, of 1 - x with 2 - lambda below. */
static maas_vid yeo_johnson(maas_sk *s, maas_vid x, const double *lambdas, int64_t n)
{
    double *below = maas_sk_alloc(s, (size_t)n, sizeof *below);
    if (!below)
        return MAAS_NO_VALUE;
    for (int64_t i = 0; i < n; i++)
        below[i] = 2 - lambdas[i];
    maas_vid zero = maas_sk_f64(s, 0), one = maas_sk_f64(s, 1);
    maas_vid up = sk_op2(s, "Add", sk_op2(s, "Max", x, zero), one);
    maas_vid down = sk_op2(s, "Sub", one, sk_op2(s, "Min", x, zero));
    maas_vid high = power_of(s, up, lambdas, n);
    maas_vid low = sk_op1(s, "Neg", power_of(s, down, below, n));
    maas_vid y = sk_op3(s, "Where", sk_op2(s, "GreaterOrEqual", x, zero), high, low);
    return sk_op3(s, "Where", sk_op1(s, "IsNaN", x), x, y);
}

static maas_status power_transformer(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                     unsigned need, maas_sk_out *out)
{
    static const char *const methods[] = {"yeo-johnson", "box-cox", NULL};
    int64_t n = in->n_cols;
    const maas_tensor *lambdas;
    int method;
    bool standardize;
    MAAS_TRY(maas_sk_array(s, est, "lambdas_", MAAS_F64, 1, &n, &lambdas));
    MAAS_TRY(maas_sk_word(s, est, "method", methods, 0, &method));
    MAAS_TRY(maas_sk_bool_or(s, est, "standardize", true, &standardize));
    maas_vid x = maas_sk_matrix(s, in, n);
    x = method ? power_of(s, x, lambdas->data, n) : yeo_johnson(s, x, lambdas->data, n);
    MAAS_TRY(sk_give(s, out, x, n));
    if (!standardize)
        return MAAS_OK;
    const maas_sk_table between = out->transformed;
    return maas_sk_decode(s, maas_pk_attr(est, "_scaler"), &between, MAAS_SK_TRANSFORMED, out,
                          "_scaler");
}

/* ---- QuantileTransformer ---- */

#define BOUND 1e-7 /* of the maker, for the normal distribution */

/* Quantiles of each feature in a row, rising; `mirror`: of -x. */
static maas_vid quantile_rows(maas_sk *s, const double *q, int64_t rows, int64_t cols, bool tiled,
                              bool mirror)
{
    double *v = maas_sk_alloc(s, (size_t)rows * (size_t)cols, sizeof *v);
    if (!v)
        return MAAS_NO_VALUE;
    for (int64_t k = 0; k < cols; k++)
        for (int64_t i = 0; i < rows; i++) {
            const int64_t from = mirror ? rows - 1 - i : i;
            const double x = tiled ? q[from] : q[from * cols + k];
            v[k * rows + i] = mirror ? -x : x;
        }
    return sk_f64_matrix(s, v, cols, rows);
}

static maas_status check_rising(maas_sk *s, const maas_tensor *q)
{
    const int64_t cols = q->dims[1];
    const double *v = q->data;
    for (int64_t i = cols; i < maas_n_elems(q); i++)
        if (v[i] < v[i - cols])
            return maas_sk_fail(s, MAAS_E_FORMAT, "quantiles_ fall at row %lld",
                                (long long)(i / cols));
    return MAAS_OK;
}

/* The mean of interpolation from either side: steps where quantiles repeat. */
static maas_vid quantiles_of(maas_sk *s, maas_vid x, const maas_tensor *q, const double *refs)
{
    const int64_t rows = q->dims[0], cols = q->dims[1];
    maas_vid up = sk_op3(s, "Interpolate", x, quantile_rows(s, q->data, rows, cols, false, false),
                         quantile_rows(s, refs, rows, cols, true, false));
    maas_vid down = sk_op3(s, "Interpolate", sk_op1(s, "Neg", x),
                           quantile_rows(s, q->data, rows, cols, false, true),
                           quantile_rows(s, refs, rows, cols, true, true));
    return sk_op2(s, "Mul", sk_op2(s, "Sub", up, down), maas_sk_f64(s, 0.5));
}

/* What reaches the ends becomes 0 or 1 exactly; for the normal distribution a little earlier. */
static maas_vid hold_ends(maas_sk *s, maas_vid x, maas_vid y, const maas_tensor *q, bool normal)
{
    const int64_t rows = q->dims[0], cols = q->dims[1];
    const double *v = q->data;
    maas_vid lo = maas_sk_f64s(s, v, cols), hi = maas_sk_f64s(s, v + (rows - 1) * cols, cols);
    maas_vid bound = maas_sk_f64(s, BOUND), under, over;
    if (normal) {
        under = sk_op2(s, "Less", sk_op2(s, "Sub", x, bound), lo);
        over = sk_op2(s, "Greater", sk_op2(s, "Add", x, bound), hi);
    } else {
        under = sk_op2(s, "Equal", x, lo);
        over = sk_op2(s, "Equal", x, hi);
    }
    y = sk_op3(s, "Where", over, maas_sk_f64(s, 1), y);
    return sk_op3(s, "Where", under, maas_sk_f64(s, 0), y);
}

static maas_status quantile_transformer(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                        unsigned need, maas_sk_out *out)
{
    static const char *const shapes[] = {"uniform", "normal", NULL};
    int64_t dims[] = {-1, in->n_cols};
    const maas_tensor *q, *refs;
    int shape;
    MAAS_TRY(maas_sk_array(s, est, "quantiles_", MAAS_F64, 2, dims, &q));
    MAAS_TRY(maas_sk_array(s, est, "references_", MAAS_F64, 1, dims, &refs));
    MAAS_TRY(maas_sk_word(s, est, "output_distribution", shapes, 0, &shape));
    if (dims[0] < 1 || dims[1] < 1)
        return maas_sk_fail(s, MAAS_E_FORMAT, "quantiles_ is empty");
    MAAS_TRY(check_rising(s, q));
    maas_vid x = maas_sk_matrix(s, in, dims[1]);
    maas_vid y = hold_ends(s, x, quantiles_of(s, x, q, refs->data), q, shape == 1);
    if (shape == 1) { /* the quantiles of 1e-7 and 1 - 1e-7 */
        y = sk_op1(s, "NormalQuantile", y);
        y = sk_op3(s, "Clip", y, maas_sk_f64(s, -5.199337582605575),
                   maas_sk_f64(s, 5.19933758270342));
    }
    return sk_give(s, out, y, dims[1]);
}

/* ---- KBinsDiscretizer ---- */

/* How many inner edges of column i are at or below x: [n, 1]. */
static maas_status bin_of(maas_sk *s, const maas_sk_table *in, const maas_pk *edges, int64_t i,
                          int64_t *n_bins, maas_vid *out)
{
    int64_t n = -1;
    const maas_tensor *t;
    MAAS_TRY(maas_sk_array_of(s, maas_pk_at(edges, i), "bin_edges_", MAAS_F64, 1, &n, true, &t));
    if (n < 2)
        return maas_sk_fail(s, MAAS_E_FORMAT, "bin_edges_[%lld] has %lld edges", (long long)i,
                            (long long)n);
    *n_bins = n - 1;
    maas_vid x = maas_sk_number_column(s, in, i);
    if (n == 2) { /* one bin holds all */
        *out = sk_op2(s, "Mul", sk_number(s, sk_op2(s, "Equal", x, x)), maas_sk_f64(s, 0));
        return s->b.status;
    }
    maas_vid inner = maas_sk_f64s(s, (const double *)t->data + 1, n - 2);
    *out = maas_sk_reduce(s, "ReduceSum", sk_number(s, sk_op2(s, "GreaterOrEqual", x, inner)),
                          true);
    return s->b.status;
}

static maas_status k_bins(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                          maas_sk_out *out)
{
    static const char *const encodes[] = {"onehot", "onehot-dense", "ordinal", NULL};
    int64_t n, all = 0;
    int encode;
    MAAS_TRY(sk_n_features(s, est, in, &n));
    MAAS_TRY(maas_sk_word(s, est, "encode", encodes, 0, &encode));
    const maas_pk *edges = maas_pk_attr(est, "bin_edges_");
    maas_vid *parts = maas_sk_alloc(s, (size_t)n, sizeof *parts);
    if (!parts)
        return s->b.status;
    for (int64_t i = 0; i < n; i++) {
        int64_t bins;
        MAAS_TRY(bin_of(s, in, edges, i, &bins, &parts[i]));
        if (encode == 2) {
            all++;
            continue;
        }
        maas_vid places = maas_sk_cast(s, sk_range(s, bins), MAAS_F64);
        parts[i] = sk_number(s, sk_op2(s, "Equal", parts[i], places));
        all += bins;
    }
    return sk_give(s, out, maas_sk_concat(s, parts, (uint32_t)n, 1), all);
}

/* ---- PolynomialFeatures ---- */

#define MAX_TERMS  1000000
#define MAX_DEGREE 16

typedef struct terms {
    int64_t n_features, n, cap;
    int degree; /* factors of a term, n_features stands for 1 */
    bool repeats;
    int64_t *factors; /* [n][degree] */
} terms;

/* The next combination in lexicographic order; false after the last. */
static bool next_combination(const terms *t, int64_t *at, int n)
{
    for (int i = n - 1; i >= 0; i--) {
        const int64_t last = t->repeats ? t->n_features - 1 : t->n_features - n + i;
        if (at[i] >= last)
            continue;
        at[i]++;
        for (int j = i + 1; j < n; j++)
            at[j] = t->repeats ? at[i] : at[j - 1] + 1;
        return true;
    }
    return false;
}

static bool add_term(terms *t, const int64_t *at, int n)
{
    if (t->n == t->cap)
        return false;
    for (int i = 0; i < t->degree; i++)
        t->factors[t->n * t->degree + i] = i < n ? at[i] : t->n_features;
    t->n++;
    return true;
}

/* All products of n features; false when there are too many. */
static bool add_degree(terms *t, int n)
{
    int64_t at[MAX_DEGREE] = {0};
    if (!t->repeats && n > t->n_features)
        return true;
    for (int i = 0; i < n; i++)
        at[i] = t->repeats ? 0 : i;
    do {
        if (!add_term(t, at, n))
            return false;
    } while (next_combination(t, at, n));
    return true;
}

static maas_status degrees_of(maas_sk *s, const maas_pk *est, int64_t *least, int64_t *most)
{
    double lo, hi;
    const maas_pk *degree = maas_pk_attr(est, "degree");
    *least = 0;
    if (!maas_pk_to_int(degree, most)) {
        if (!sk_item_double(degree, 0, &lo) || !sk_item_double(degree, 1, &hi) ||
            !(lo >= 0 && lo <= hi && hi <= MAX_DEGREE))
            return maas_sk_fail(s, MAAS_E_FORMAT, "degree is not a number or a rising pair");
        *least = (int64_t)lo;
        *most = (int64_t)hi;
    }
    if (*most < 0 || *most > MAX_DEGREE)
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "degree is %lld: at most %d is supported",
                            (long long)*most, MAX_DEGREE);
    return MAAS_OK;
}

/* Terms that a degree has, saturated; so that memory is taken once. */
static int64_t count_terms(const terms *t, int64_t least, int64_t most)
{
    double all = 1, n = 1;
    for (int64_t d = 1; d <= most; d++) {
        n = n * (double)(t->repeats ? t->n_features + d - 1 : t->n_features - d + 1) / (double)d;
        all += d >= least && n > 0 ? n : 0;
    }
    return all > MAX_TERMS ? MAX_TERMS + 1 : (int64_t)(all + 0.5);
}

/* The product of the factors of each term, one Gather a factor. */
static maas_vid products(maas_sk *s, maas_vid x, const terms *t)
{
    static const int64_t pads[] = {0, 0, 0, 1};
    maas_vid wide = sk_op3(s, "Pad", x, sk_i64s(s, pads, 4), maas_sk_f64(s, 1));
    int64_t *which = maas_sk_alloc(s, (size_t)t->n, sizeof *which);
    maas_vid y = MAAS_NO_VALUE;
    for (int d = 0; which && d < t->degree; d++) {
        for (int64_t i = 0; i < t->n; i++)
            which[i] = t->factors[i * t->degree + d];
        maas_vid factor = maas_sk_gather(s, wide, which, t->n, 1);
        y = d ? sk_op2(s, "Mul", y, factor) : factor;
    }
    return y;
}

static maas_status polynomial(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                              unsigned need, maas_sk_out *out)
{
    int64_t n, least, most;
    bool bias, only_products;
    MAAS_TRY(sk_n_features(s, est, in, &n));
    MAAS_TRY(degrees_of(s, est, &least, &most));
    MAAS_TRY(maas_sk_bool_or(s, est, "include_bias", true, &bias));
    MAAS_TRY(maas_sk_bool_or(s, est, "interaction_only", false, &only_products));
    terms t = {.n_features = n, .degree = most > 0 ? (int)most : 1, .repeats = !only_products};
    t.cap = count_terms(&t, least, most);
    if (t.cap > MAX_TERMS)
        return maas_sk_fail(s, MAAS_E_TOO_LARGE, "more than %d features would come out", MAX_TERMS);
    t.factors = maas_sk_alloc(s, (size_t)t.cap * (size_t)t.degree, sizeof *t.factors);
    if (!t.factors)
        return s->b.status;
    bool fits = !bias || add_term(&t, NULL, 0);
    for (int64_t d = least > 1 ? least : 1; d <= most && fits; d++)
        fits = add_degree(&t, (int)d);
    if (!fits || t.n == 0)
        return maas_sk_fail(s, MAAS_E_FORMAT, "degree, include_bias: no features would come out");
    return sk_give(s, out, products(s, maas_sk_matrix(s, in, n), &t), t.n);
}

/* ---- FunctionTransformer ---- */

static maas_status function_transformer(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                        unsigned need, maas_sk_out *out)
{
    const maas_pk *fn = maas_pk_attr(est, "func"), *args = maas_pk_attr(est, "kw_args");
    if (maas_pk_kind_of(args) != MAAS_PK_NONE && maas_pk_count(args))
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "kw_args are given to func");
    out->transformed = *in;
    if (maas_pk_kind_of(fn) == MAAS_PK_NONE)
        return MAAS_OK;
    maas_vid y;
    MAAS_TRY(sk_apply_function(s, fn, "func", maas_sk_matrix(s, in, -1), &y));
    return sk_give(s, out, y, in->n_cols);
}

#define DATA "sklearn.preprocessing._data"
const maas_sk_row maas_sk_shape[] = {
    {"PowerTransformer", DATA, MAAS_SK_TRANSFORMER, power_transformer},
    {"QuantileTransformer", DATA, MAAS_SK_TRANSFORMER, quantile_transformer},
    {"KBinsDiscretizer", "sklearn.preprocessing._discretization", MAAS_SK_TRANSFORMER, k_bins},
    {"PolynomialFeatures", "sklearn.preprocessing._polynomial " DATA, MAAS_SK_TRANSFORMER,
     polynomial},
    {"FunctionTransformer", "sklearn.preprocessing._function_transformer", MAAS_SK_TRANSFORMER,
     function_transformer},
    {0},
};
