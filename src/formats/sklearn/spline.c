/*
 * SplineTransformer: every feature as the values of its B-spline basis, by the recursion of Cox and
 * de Boor written out in operators. The interval a value lies in is found among those between the
 * first and the last boundary, so that what is outside continues the outer polynomials.
 */
#include "formats/sklearn/prep.h"

#include "base/ban.h"

#define MAX_DEGREE 16

typedef struct spline {
    int64_t n, n_out; /* basis functions, columns that come out */
    int64_t lo, hi;   /* knots that are the boundaries */
    int degree;
    const double *t; /* knots [n + degree + 1] */
    const maas_tensor *c;
} spline;

/* scipy put an underscore before the names of its arrays in 1.16. */
static const maas_pk *array_of(const maas_pk *v, const char *name, const char *newer)
{
    return maas_pk_attr(v, newer) ? maas_pk_attr(v, newer) : maas_pk_attr(v, name);
}

static maas_status spline_of(maas_sk *s, const maas_pk *v, int64_t i, spline *out)
{
    const maas_tensor *t;
    int64_t dims[] = {-1, -1}, n_knots = -1, degree;
    MAAS_TRY(maas_sk_array_of(s, array_of(v, "t", "_t"), "bsplines_.t", MAAS_F64, 1, &n_knots,
                              false, &t));
    MAAS_TRY(maas_sk_array_of(s, array_of(v, "c", "_c"), "bsplines_.c", MAAS_F64, 2, dims, false,
                              &out->c));
    if (!maas_pk_to_int(maas_pk_attr(v, "k"), &degree) || degree < 1 || degree > MAX_DEGREE)
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "bsplines_[%lld]: degrees 1 to %d are supported",
                            (long long)i, MAX_DEGREE);
    out->n = dims[0];
    out->n_out = dims[1];
    out->degree = (int)degree;
    out->t = t->data;
    out->lo = degree;
    out->hi = dims[0];
    if (out->n < degree + 1 || out->n_out < 1 || n_knots != out->n + degree + 1)
        return maas_sk_fail(s, MAAS_E_FORMAT, "bsplines_[%lld] has %lld knots for %lld functions",
                            (long long)i, (long long)n_knots, (long long)out->n);
    for (int64_t k = 1; k < n_knots; k++)
        if (out->t[k] < out->t[k - 1])
            return maas_sk_fail(s, MAAS_E_FORMAT, "bsplines_[%lld]: knots fall", (long long)i);
    return MAAS_OK;
}

static double over(double a)
{
    return a == 0 ? 0 : 1 / a;
}

/* ---- in operators ---- */

/* Which interval x is in: [rows, n_knots - 1] of 0 and 1. */
static maas_vid interval_of(maas_sk *s, const spline *b, maas_vid x)
{
    const int64_t n = b->n + b->degree;
    double *from = maas_sk_alloc(s, (size_t)n, sizeof *from);
    double *to = maas_sk_alloc(s, (size_t)n, sizeof *to);
    if (!from || !to)
        return MAAS_NO_VALUE;
    for (int64_t i = 0; i < n; i++) {
        const bool within = i >= b->degree && i < b->n;
        from[i] = i == b->degree ? -INFINITY : within ? b->t[i] : INFINITY;
        to[i] = i == b->n - 1 ? INFINITY : within ? b->t[i + 1] : -INFINITY;
    }
    maas_vid above = sk_op2(s, "GreaterOrEqual", x, maas_sk_f64s(s, from, n));
    maas_vid below = sk_op2(s, "Less", x, maas_sk_f64s(s, to, n));
    return sk_number(s, sk_op2(s, "And", above, below));
}

/* Functions of degree p out of those of degree p - 1, of which there are m + 1. */
static maas_vid raise_degree(maas_sk *s, const spline *b, maas_vid x, maas_vid low, int p,
                             int64_t m)
{
    double *v = maas_sk_alloc(s, (size_t)m * 4, sizeof *v);
    int64_t *which = maas_sk_alloc(s, (size_t)m * 2, sizeof *which);
    if (!v || !which)
        return MAAS_NO_VALUE;
    double *start = v, *rise = v + m, *end = v + 2 * m, *fall = v + 3 * m;
    for (int64_t i = 0; i < m; i++) {
        start[i] = b->t[i];
        rise[i] = over(b->t[i + p] - b->t[i]);
        end[i] = b->t[i + p + 1];
        fall[i] = over(b->t[i + p + 1] - b->t[i + 1]);
        which[i] = i;
        which[m + i] = i + 1;
    }
    maas_vid left = sk_op2(s, "Sub", x, maas_sk_f64s(s, start, m));
    left = sk_op2(s, "Mul", left, maas_sk_f64s(s, rise, m));
    left = sk_op2(s, "Mul", left, maas_sk_gather(s, low, which, m, 1));
    maas_vid right = sk_op2(s, "Sub", maas_sk_f64s(s, end, m), x);
    right = sk_op2(s, "Mul", right, maas_sk_f64s(s, fall, m));
    right = sk_op2(s, "Mul", right, maas_sk_gather(s, low, which + m, m, 1));
    return sk_op2(s, "Add", left, right);
}

static maas_vid basis_of(maas_sk *s, const spline *b, maas_vid x)
{
    maas_vid y = interval_of(s, b, x);
    for (int p = 1; p <= b->degree; p++)
        y = raise_degree(s, b, x, y, p, b->n + b->degree - p);
    return maas_sk_affine(s, y, b->c, NULL);
}

/* ---- slopes at a boundary, for linear continuation ---- */

/* Derivatives of the columns at x, which lies in interval `at`: out[n_out]. */
static void slopes_at(const spline *b, double x, int64_t at, double *work, double *out)
{
    const int64_t n = b->n + b->degree;
    for (int64_t i = 0; i < n; i++)
        work[i] = i == at;
    for (int p = 1; p < b->degree; p++)
        for (int64_t i = 0; i < n - p; i++)
            work[i] = (x - b->t[i]) * over(b->t[i + p] - b->t[i]) * work[i] +
                      (b->t[i + p + 1] - x) * over(b->t[i + p + 1] - b->t[i + 1]) * work[i + 1];
    memset(out, 0, (size_t)b->n_out * sizeof *out);
    for (int64_t i = 0; i < b->n; i++) {
        const double d = b->degree * (work[i] * over(b->t[i + b->degree] - b->t[i]) -
                                      work[i + 1] * over(b->t[i + b->degree + 1] - b->t[i + 1]));
        for (int64_t k = 0; k < b->n_out; k++)
            out[k] += d * ((const double *)b->c->data)[i * b->n_out + k];
    }
}

/* y plus what `beyond` times the slopes at knot `at` give; of all functions, those in [from, to).
 */
static maas_vid add_slopes(maas_sk *s, const spline *b, maas_vid y, maas_vid beyond, int64_t at,
                           int64_t from, int64_t to)
{
    double *work = maas_sk_alloc(s, (size_t)(b->n + b->degree), sizeof *work);
    double *slope = maas_sk_alloc(s, (size_t)b->n_out, sizeof *slope);
    if (!work || !slope)
        return MAAS_NO_VALUE;
    slopes_at(b, b->t[at], at < b->n ? at : b->n - 1, work, slope);
    for (int64_t k = 0; k < b->n_out; k++)
        slope[k] = k >= from && k < to ? slope[k] : 0;
    return sk_op2(s, "Add", y, sk_op2(s, "Mul", beyond, maas_sk_f64s(s, slope, b->n_out)));
}

static maas_vid continue_linearly(maas_sk *s, const spline *b, maas_vid x, maas_vid y)
{
    const int64_t n = b->degree < 2 ? 2 : b->degree; /* functions that go on at either side */
    maas_vid zero = maas_sk_f64(s, 0);
    maas_vid under = sk_op2(s, "Min", sk_op2(s, "Sub", x, maas_sk_f64(s, b->t[b->lo])), zero);
    maas_vid past = sk_op2(s, "Max", sk_op2(s, "Sub", x, maas_sk_f64(s, b->t[b->hi])), zero);
    y = add_slopes(s, b, y, under, b->lo, 0, n);
    return add_slopes(s, b, y, past, b->hi, b->n_out - n, b->n_out);
}

/* With degree 1 the maker's loop over features takes the second knot from the boundary for all but
 * the first feature; answers are what it answers. */
static maas_status move_boundaries(maas_sk *s, spline *b, int64_t feature)
{
    if (b->degree > 1 || feature == 0)
        return MAAS_OK;
    b->lo = 2;
    b->hi = b->n - 1;
    return b->lo <= b->hi ? MAAS_OK
                          : maas_sk_fail(s, MAAS_E_UNSUPPORTED,
                                         "linear extrapolation of degree 1 with few knots");
}

/* ---- beyond the boundaries ---- */

enum { BEYOND_CONSTANT, BEYOND_LINEAR, BEYOND_CONTINUE, BEYOND_PERIODIC, BEYOND_ERROR };

/* An index that is not there where x is outside; else nothing is added. */
static maas_vid refuse_outside(maas_sk *s, const spline *b, maas_vid x)
{
    maas_vid low = sk_op2(s, "Less", x, maas_sk_f64(s, b->t[b->degree]));
    maas_vid high = sk_op2(s, "Greater", x, maas_sk_f64(s, b->t[b->n]));
    maas_vid outside = maas_sk_cast(s, sk_op2(s, "Or", low, high), MAAS_I64);
    maas_vid zero = sk_call_it(
        s, sk_op2(s, "Gather", maas_sk_f64s(s, (const double[]){0}, 1), outside),
        "a value beyond the limits of the knots (extrapolation='error')");
    return sk_op2(s, "Add", x, zero);
}

static maas_vid one_feature(maas_sk *s, const spline *b, maas_vid x, int beyond)
{
    const double lo = b->t[b->lo], hi = b->t[b->hi];
    if (beyond == BEYOND_ERROR)
        x = refuse_outside(s, b, x);
    if (beyond == BEYOND_PERIODIC && hi > lo) {
        maas_vid from = maas_sk_f64(s, lo), period = maas_sk_f64(s, hi - lo);
        maas_vid at = sk_op2(s, "Sub", x, from);
        maas_vid turns = sk_op1(s, "Floor", sk_op2(s, "Div", at, period));
        at = sk_op2(s, "Sub", at, sk_op2(s, "Mul", turns, period));
        x = sk_op2(s, "Add", from, at);
    }
    if (beyond != BEYOND_CONSTANT && beyond != BEYOND_LINEAR)
        return basis_of(s, b, x);
    maas_vid held = sk_op3(s, "Clip", x, maas_sk_f64(s, lo), maas_sk_f64(s, hi));
    maas_vid y = basis_of(s, b, held);
    return beyond == BEYOND_LINEAR ? continue_linearly(s, b, x, y) : y;
}

static maas_status spline_transformer(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                      unsigned need, maas_sk_out *out)
{
    static const char *const words[] = {"constant", "linear", "continue",
                                        "periodic", "error",  NULL};
    int64_t n, all = 0;
    int beyond;
    bool bias;
    MAAS_TRY(sk_n_features(s, est, in, &n));
    MAAS_TRY(maas_sk_word(s, est, "extrapolation", words, BEYOND_CONSTANT, &beyond));
    MAAS_TRY(maas_sk_bool_or(s, est, "include_bias", true, &bias));
    const maas_pk *list = maas_pk_attr(est, "bsplines_");
    maas_vid *parts = maas_sk_alloc(s, (size_t)n, sizeof *parts);
    if (!parts)
        return s->b.status;
    for (int64_t i = 0; i < n; i++) {
        spline b;
        MAAS_TRY(spline_of(s, maas_pk_at(list, i), i, &b));
        if (beyond == BEYOND_LINEAR)
            MAAS_TRY(move_boundaries(s, &b, i));
        parts[i] = one_feature(s, &b, maas_sk_number_column(s, in, i), beyond);
        const int64_t width = b.n_out - !bias;
        if (width < 1)
            return maas_sk_fail(s, MAAS_E_FORMAT, "bsplines_[%lld]: nothing comes out",
                                (long long)i);
        int64_t *kept = maas_sk_alloc(s, (size_t)width, sizeof *kept);
        for (int64_t k = 0; kept && k < width; k++)
            kept[k] = k;
        if (kept && !bias)
            parts[i] = maas_sk_gather(s, parts[i], kept, width, 1);
        all += width;
    }
    return sk_give(s, out, maas_sk_concat(s, parts, (uint32_t)n, 1), all);
}

const maas_sk_row maas_sk_spline[] = {
    {"SplineTransformer", "sklearn.preprocessing._polynomial", MAAS_SK_TRANSFORMER,
     spline_transformer},
    {0},
};
