/*
 * Scalers: each feature shifted and scaled, each row divided by its norm, each number compared.
 * StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler, Normalizer, Binarizer.
 */
#include "formats/sklearn/prep.h"

#include "base/ban.h"

/* An array of one number a feature, as a constant. `wanted`: the switch of the estimator. */
static maas_status vector_of(maas_sk *s, const maas_pk *est, const char *name, int64_t *n,
                             maas_vid *out)
{
    const maas_tensor *t;
    MAAS_TRY(maas_sk_array(s, est, name, MAAS_F64, 1, n, &t));
    *out = maas_sk_const(s, t);
    return s->b.status;
}

/* ---- (x - offset) / scale: StandardScaler and RobustScaler, both ways ---- */

typedef struct affine_names {
    const char *centers, *center, *scales, *scale; /* parameters and fitted arrays */
} affine_names;
static const affine_names standard = {"with_mean", "mean_", "with_std", "scale_"};
static const affine_names robust = {"with_centering", "center_", "with_scaling", "scale_"};

static maas_status affine(maas_sk *s, const maas_pk *est, const affine_names *names, bool back,
                          int64_t n, maas_vid *x)
{
    bool centers, scales;
    maas_vid center = MAAS_NO_VALUE, scale = MAAS_NO_VALUE;
    MAAS_TRY(maas_sk_bool_or(s, est, names->centers, true, &centers));
    MAAS_TRY(maas_sk_bool_or(s, est, names->scales, true, &scales));
    if (centers)
        MAAS_TRY(vector_of(s, est, names->center, &n, &center));
    if (scales)
        MAAS_TRY(vector_of(s, est, names->scale, &n, &scale));
    if (back && scales)
        *x = sk_op2(s, "Mul", *x, scale);
    if (centers)
        *x = sk_op2(s, back ? "Add" : "Sub", *x, center);
    if (!back && scales)
        *x = sk_op2(s, "Div", *x, scale);
    return s->b.status;
}

static maas_status scale_affine(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                const affine_names *names, maas_sk_out *out)
{
    int64_t n;
    MAAS_TRY(sk_n_features(s, est, in, &n));
    maas_vid x = maas_sk_matrix(s, in, n);
    MAAS_TRY(affine(s, est, names, false, n, &x));
    return sk_give(s, out, x, n);
}

static maas_status standard_scaler(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                   unsigned need, maas_sk_out *out)
{
    return scale_affine(s, est, in, &standard, out);
}

static maas_status robust_scaler(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                 unsigned need, maas_sk_out *out)
{
    return scale_affine(s, est, in, &robust, out);
}

/* ---- MinMaxScaler, MaxAbsScaler ---- */

static maas_vid clip(maas_sk *s, maas_vid x, double lo, double hi)
{
    return sk_op3(s, "Clip", x, maas_sk_f64(s, lo), maas_sk_f64(s, hi));
}

static maas_status min_max_scaler(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                  unsigned need, maas_sk_out *out)
{
    int64_t n = in->n_cols;
    maas_vid scale, least;
    bool clips;
    double lo, hi;
    MAAS_TRY(vector_of(s, est, "scale_", &n, &scale));
    MAAS_TRY(vector_of(s, est, "min_", &n, &least));
    MAAS_TRY(maas_sk_bool_or(s, est, "clip", false, &clips));
    maas_vid x = sk_op2(s, "Mul", maas_sk_matrix(s, in, n), scale);
    x = sk_op2(s, "Add", x, least);
    const maas_pk *range = maas_pk_attr(est, "feature_range");
    if (clips && (!sk_item_double(range, 0, &lo) || !sk_item_double(range, 1, &hi) || !(lo < hi)))
        return maas_sk_fail(s, MAAS_E_FORMAT, "feature_range is not a pair of rising numbers");
    return sk_give(s, out, clips ? clip(s, x, lo, hi) : x, n);
}

static maas_status max_abs_scaler(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                  unsigned need, maas_sk_out *out)
{
    int64_t n = in->n_cols;
    maas_vid scale;
    bool clips;
    MAAS_TRY(vector_of(s, est, "scale_", &n, &scale));
    MAAS_TRY(maas_sk_bool_or(s, est, "clip", false, &clips));
    maas_vid x = sk_op2(s, "Div", maas_sk_matrix(s, in, n), scale);
    return sk_give(s, out, clips ? clip(s, x, -1, 1) : x, n);
}

/* ---- back again, for TransformedTargetRegressor ---- */

static maas_status unscale_min_max(maas_sk *s, const maas_pk *est, int64_t n, maas_vid *y)
{
    maas_vid scale, least;
    MAAS_TRY(vector_of(s, est, "scale_", &n, &scale));
    MAAS_TRY(vector_of(s, est, "min_", &n, &least));
    *y = sk_op2(s, "Div", sk_op2(s, "Sub", *y, least), scale);
    return s->b.status;
}

static maas_status unscale_max_abs(maas_sk *s, const maas_pk *est, int64_t n, maas_vid *y)
{
    maas_vid scale;
    MAAS_TRY(vector_of(s, est, "scale_", &n, &scale));
    *y = sk_op2(s, "Mul", *y, scale);
    return s->b.status;
}

static maas_status unscale_standard(maas_sk *s, const maas_pk *est, int64_t n, maas_vid *y)
{
    return affine(s, est, &standard, true, n, y);
}

static maas_status unscale_robust(maas_sk *s, const maas_pk *est, int64_t n, maas_vid *y)
{
    return affine(s, est, &robust, true, n, y);
}

/* A function and its inverse are both parameters; the inverse is what is wanted here. */
static maas_status unscale_function(maas_sk *s, const maas_pk *est, int64_t n, maas_vid *y)
{
    return sk_apply_function(s, maas_pk_attr(est, "inverse_func"), "inverse_func", *y, y);
}

static const struct {
    const char *name;
    maas_status (*undo)(maas_sk *s, const maas_pk *est, int64_t n, maas_vid *y);
} inverses[] = {{"StandardScaler", unscale_standard},
                {"RobustScaler", unscale_robust},
                {"MinMaxScaler", unscale_min_max},
                {"MaxAbsScaler", unscale_max_abs},
                {"FunctionTransformer", unscale_function}};

maas_status sk_unscale(maas_sk *s, const maas_pk *scaler, maas_vid y, maas_vid *out)
{
    *out = y;
    for (size_t i = 0; i < MAAS_COUNT(inverses); i++)
        if (maas_sk_is(scaler, inverses[i].name))
            return inverses[i].undo(s, scaler, -1, out);
    return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "the inverse of %s is not known",
                        maas_pk_kind_text(scaler));
}

/* ---- Normalizer, Binarizer ---- */

static maas_status normalizer(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                              unsigned need, maas_sk_out *out)
{
    int64_t n;
    int norm;
    MAAS_TRY(sk_n_features(s, est, in, &n));
    MAAS_TRY(maas_sk_word(s, est, "norm", sk_norms, SK_NORM_L2, &norm));
    return sk_give(s, out, sk_unit_rows(s, maas_sk_matrix(s, in, n), norm), n);
}

static maas_status binarizer(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                             maas_sk_out *out)
{
    int64_t n;
    double threshold;
    MAAS_TRY(sk_n_features(s, est, in, &n));
    MAAS_TRY(maas_sk_double_or(s, est, "threshold", 0, &threshold));
    maas_vid above = sk_op2(s, "Greater", maas_sk_matrix(s, in, n), maas_sk_f64(s, threshold));
    return sk_give(s, out, sk_number(s, above), n);
}

#define DATA "sklearn.preprocessing._data"
const maas_sk_row maas_sk_scale[] = {
    {"StandardScaler", DATA, MAAS_SK_TRANSFORMER, standard_scaler},
    {"RobustScaler", DATA, MAAS_SK_TRANSFORMER, robust_scaler},
    {"MinMaxScaler", DATA, MAAS_SK_TRANSFORMER, min_max_scaler},
    {"MaxAbsScaler", DATA, MAAS_SK_TRANSFORMER, max_abs_scaler},
    {"Normalizer", DATA, MAAS_SK_TRANSFORMER, normalizer},
    {"Binarizer", DATA, MAAS_SK_TRANSFORMER, binarizer},
    {0},
};
