/*
 * Interpolate and NormalQuantile (ai.maas): what QuantileTransformer of scikit-learn computes.
 *
 *   Interpolate     Y[r][k] = the line through (points[k][i], values[k][i]) at X[r][k], held at the
 *                   ends; points rise, equal ones are a step. As numpy.interp decides it: the last
 *                   point that is not above x begins the segment. NaN stays NaN.
 *   NormalQuantile  the inverse of the normal distribution function: 0 and 1 give -inf and inf,
 * what is outside gives NaN.
 */
#include "ops/ops_int.h"

#include "base/ban.h"

/* ---- Interpolate ---- */

static maas_status interpolate_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0], *points = &q->in[1];
    int64_t same;
    if (x->rank >= 0 && x->rank != 2)
        return maas_fail(err, MAAS_E_INVALID, "X must be a matrix");
    if (points->rank != 2 || q->in[2].rank != 2)
        return maas_fail(err, MAAS_E_INVALID, "points and values must be matrices");
    for (int i = 0; i < 2; i++)
        MAAS_TRY(maas_dim_same(points->dims[i], q->in[2].dims[i], &same, "points and values", err));
    if (points->dims[1] == 0)
        return maas_fail(err, MAAS_E_INVALID, "there are no points");
    q->out[0] = *x;
    if (x->rank == 2)
        MAAS_TRY(maas_dim_same(x->dims[1], points->dims[0], &q->out[0].dims[1],
                               "columns of X and rows of points", err));
    return MAAS_OK;
}

static double on_line(const double *points, const double *values, int64_t n, double x)
{
    if (x != x)
        return x;
    if (!(x >= points[0]))
        return values[0];
    int64_t lo = 0, hi = n; /* points[lo] <= x < points[hi] */
    while (hi - lo > 1) {
        const int64_t mid = lo + (hi - lo) / 2;
        if (points[mid] <= x)
            lo = mid;
        else
            hi = mid;
    }
    if (lo == n - 1 || points[lo] == x)
        return values[lo];
    const double slope = (values[lo + 1] - values[lo]) / (points[lo + 1] - points[lo]);
    return slope * (x - points[lo]) + values[lo];
}

static maas_status interpolate_reference(const maas_call *c, maas_err *err)
{
    const double *x = c->in[0].data, *points = c->in[1].data, *values = c->in[2].data;
    double *y = c->out[0].data;
    const int64_t cols = c->in[1].dims[0], n = c->in[1].dims[1];
    if (n == 0 || c->in[0].dims[1] != cols)
        return maas_fail(err, MAAS_E_INVALID, "points do not fit the columns of X");
    for (int64_t i = 0, all = maas_n_elems(&c->in[0]); i < all; i++) {
        const int64_t k = i % cols;
        y[i] = on_line(points + k * n, values + k * n, n, x[i]);
    }
    return MAAS_OK;
}

static int64_t interpolate_flops(const maas_call *c)
{
    return maas_n_elems(&c->in[0]) * 40;
}

static void interpolate_example(maas_example *e)
{
    static const double points[] = {-2, -1, -1, 3, 0, 0, 1, 1};
    static const double values[] = {0, 1, 2, 4, 5, 1, 2, -3};
    const int64_t dims[] = {2, 4};
    const maas_tensor p = maas_tensor_of(MAAS_F64, 2, dims, (void *)points);
    const maas_tensor v = maas_tensor_of(MAAS_F64, 2, dims, (void *)values);
    maas_vid x = maas_ex_in(e, MAAS_F64, -3, 4, 2, (const int64_t[]){e->variant ? 0 : 7, 2});
    maas_b_op3(e->b, "Interpolate", x, maas_b_const(e->b, NULL, &p), maas_b_const(e->b, NULL, &v));
}

/* ---- NormalQuantile: algorithm AS 241 (Wichura 1988), 16 digits ---- */

typedef struct ratio {
    double over[8], under[8]; /* coefficients, lowest first */
} ratio;

static const ratio central = {
    {3.3871328727963666080e0, 1.3314166789178437745e+2, 1.9715909503065514427e+3,
     1.3731693765509461125e+4, 4.5921953931549871457e+4, 6.7265770927008700853e+4,
     3.3430575583588128105e+4, 2.5090809287301226727e+3},
    {1, 4.2313330701600911252e+1, 6.8718700749205790830e+2, 5.3941960214247511077e+3,
     2.1213794301586595867e+4, 3.9307895800092710610e+4, 2.8729085735721942674e+4,
     5.2264952788528545610e+3}};
static const ratio near_tail = {
    {1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
     3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
     2.27238449892691845833e-2, 7.74545014278341407640e-4},
    {1, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
     1.05075007164441684324e-9}};
static const ratio far_tail = {
    {6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0,
     2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
     2.71155556874348757815e-5, 2.01033439929228813265e-7},
    {1, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
     7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
     2.04426310338993978564e-15}};

static double divide(const ratio *r, double x)
{
    double over = 0, under = 0;
    for (int i = 7; i >= 0; i--) {
        over = over * x + r->over[i];
        under = under * x + r->under[i];
    }
    return over / under;
}

static double quantile(double p)
{
    if (!(p >= 0 && p <= 1))
        return NAN;
    if (p == 0 || p == 1)
        return p ? INFINITY : -INFINITY;
    const double q = p - 0.5;
    if (fabs(q) <= 0.425)
        return q * divide(&central, 0.180625 - q * q);
    const double r = sqrt(-log(q < 0 ? p : 1 - p));
    const double x = r <= 5 ? divide(&near_tail, r - 1.6) : divide(&far_tail, r - 5);
    return q < 0 ? -x : x;
}

static maas_status quantile_reference(const maas_call *c, maas_err *err)
{
    for (int64_t i = 0, n = maas_n_elems(&c->in[0]); i < n; i++)
        ((double *)c->out[0].data)[i] = quantile(((const double *)c->in[0].data)[i]);
    return MAAS_OK;
}

static void quantile_example(maas_example *e)
{
    maas_b_op1(
        e->b, "NormalQuantile",
        maas_ex_in(e, MAAS_F64, e->variant ? -0.2 : 0, e->variant ? 1.2 : 1, MAAS_DIMS(3, 5)));
}

#define DOUBLE MAAS_DT_BIT(MAAS_F64)
static const maas_io_schema line_in[] = {MAAS_REQ("X", NULL, DOUBLE),
                                         MAAS_REQ("points", NULL, DOUBLE),
                                         MAAS_REQ("values", NULL, DOUBLE)};
static const maas_io_schema in[] = {MAAS_REQ("X", NULL, DOUBLE)};
static const maas_io_schema out[] = {MAAS_REQ("Y", NULL, DOUBLE)};

const maas_op maas_op_Interpolate = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "Interpolate",
    .since = 1,
    .flags = MAAS_OP_INPLACE,
    MAAS_SCHEMA(line_in, out),
    .n_examples = 2,
    .tolerance = 1e-12,
    .infer = interpolate_infer,
    .reference = interpolate_reference,
    .flops = interpolate_flops,
    .example = interpolate_example,
    .no_gradient = "it prepares features; networks are trained behind it",
};

const maas_op maas_op_NormalQuantile = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "NormalQuantile",
    .since = 1,
    .flags = MAAS_OP_INPLACE,
    MAAS_SCHEMA(in, out),
    .n_examples = 2,
    .tolerance = 1e-12,
    .infer = maas_infer_like,
    .reference = quantile_reference,
    .flops = interpolate_flops,
    .example = quantile_example,
    .no_gradient = "it prepares features; networks are trained behind it",
};
