/*
 * Feature operators of ai.onnx.ml: Scaler, Normalizer, Imputer, Binarizer, ArrayFeatureExtractor,
 * FeatureVectorizer.
 * A feature is a position in the last axis; lists of numbers hold one for all or one for each.
 */
#include "ops/ml_int.h"

#include "base/ban.h"

static int64_t n_features(const maas_tensor *x)
{
    return x->rank ? x->dims[x->rank - 1] : 1;
}

/* A list attribute must have one entry or one for each feature. */
static maas_status check_list(const maas_infer *q, const char *name, uint32_t n, maas_err *err)
{
    const maas_type *x = &q->in[0];
    int64_t features = x->rank > 0 ? x->dims[x->rank - 1] : x->rank == 0 ? 1 : MAAS_DIM_UNKNOWN;
    if (n == 1 || features < 0 || (int64_t)n == features)
        return MAAS_OK;
    return maas_fail(err, MAAS_E_INVALID, "attribute '%s' has %u numbers for %lld features", name,
                     n, (long long)features);
}

static const float *floats_of(const maas_node *n, const char *name, uint32_t *count)
{
    const maas_attr *a = maas_node_attr(n, name);
    *count = a ? a->n : 0;
    return a ? a->u.floats : NULL;
}

/* ---- Scaler: (x - offset) * scale ---- */

static maas_status scaler_infer(maas_infer *q, maas_err *err)
{
    uint32_t n;
    q->out[0] = q->in[0];
    q->out[0].dtype = MAAS_F32;
    if (floats_of(q->node, "offset", &n))
        MAAS_TRY(check_list(q, "offset", n, err));
    return floats_of(q->node, "scale", &n) ? check_list(q, "scale", n, err) : MAAS_OK;
}

static maas_status scaler_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    uint32_t n_offset, n_scale;
    const float *offset = floats_of(c->node, "offset", &n_offset);
    const float *scale = floats_of(c->node, "scale", &n_scale);
    for (int64_t i = 0, n = maas_n_elems(x), f = n_features(x); i < n; i++) {
        double v = maas_ld(x, i);
        v -= offset ? offset[n_offset == 1 ? 0 : i % f] : 0;
        maas_st(&c->out[0], i, v * (scale ? scale[n_scale == 1 ? 0 : i % f] : 1));
    }
    return MAAS_OK;
}

static void scaler_example(maas_example *e)
{
    static const float offset[] = {0.5f, -1, 2}, scale[] = {2, 0.5f, 3};
    static const maas_dtype types[] = {MAAS_F32, MAAS_F64, MAAS_I64};
    const maas_attr attr[] = {
        {.name = "offset", .type = MAAS_ATTR_FLOATS, .n = 3, .u.floats = offset},
        {.name = "scale", .type = MAAS_ATTR_FLOATS, .n = e->variant ? 1 : 3, .u.floats = scale}};
    maas_vid x = maas_ex_in(e, types[e->variant], -9, 9, MAAS_DIMS(4, 3));
    maas_b_node(e->b, "Scaler", attr, 2, &x, 1, NULL, 1);
}

/* ---- Normalizer: each row divided by its largest, its L1 or its L2 norm ---- */

typedef enum norm { NORM_MAX, NORM_L1, NORM_L2, NORM_BAD } norm;

static norm norm_of(const maas_node *n)
{
    static const char *const names[] = {"MAX", "L1", "L2"};
    maas_str s = maas_attr_s(n, "norm", "MAX");
    for (int i = 0; i < 3; i++)
        if (s.n == strlen(names[i]) && memcmp(s.p, names[i], s.n) == 0)
            return (norm)i;
    return NORM_BAD;
}

static maas_status normalizer_infer(maas_infer *q, maas_err *err)
{
    if (norm_of(q->node) == NORM_BAD)
        return maas_fail(err, MAAS_E_INVALID, "attribute 'norm' must be MAX, L1 or L2");
    q->out[0] = q->in[0];
    q->out[0].dtype = MAAS_F32;
    return MAAS_OK;
}

static double length(const maas_tensor *x, int64_t from, int64_t n, norm how)
{
    double acc = how == NORM_MAX ? -INFINITY : 0;
    for (int64_t i = from; i < from + n; i++) {
        double v = maas_ld(x, i);
        acc = how == NORM_MAX ? fmax(acc, v) : acc + (how == NORM_L1 ? fabs(v) : v * v);
    }
    return how == NORM_L2 ? sqrt(acc) : acc;
}

static maas_status normalizer_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    const int64_t f = n_features(x), rows = f ? maas_n_elems(x) / f : 0;
    for (int64_t r = 0; r < rows; r++) {
        double by = length(x, r * f, f, norm_of(c->node));
        by = by == 0 ? 1 : by; /* a row of zeros stays */
        for (int64_t i = r * f; i < (r + 1) * f; i++)
            maas_st(&c->out[0], i, maas_ld(x, i) / by);
    }
    return MAAS_OK;
}

static void normalizer_example(maas_example *e)
{
    static const char *const names[] = {"MAX", "L1", "L2"};
    const maas_attr attr = MAAS_A_STR("norm", names[e->variant]);
    maas_vid x = maas_ex_in(e, e->variant ? MAAS_F32 : MAAS_I64, -5, 9, MAAS_DIMS(4, 3));
    maas_b_node(e->b, "Normalizer", &attr, 1, &x, 1, NULL, 1);
}

/* ---- Imputer: what equals replaced_value (NaN: what is NaN) becomes imputed_value ---- */

static maas_status imputer_infer(maas_infer *q, maas_err *err)
{
    const char *name = maas_is_float(q->in[0].dtype) ? "imputed_value_floats"
                                                     : "imputed_value_int64s";
    const maas_attr *a = maas_node_attr(q->node, name);
    if (!a)
        return maas_fail(err, MAAS_E_INVALID, "attribute '%s' is missing", name);
    q->out[0] = q->in[0];
    return check_list(q, name, a->n, err);
}

static maas_status imputer_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    const bool real = maas_is_float(x->dtype);
    const maas_attr *list = maas_node_attr(c->node,
                                           real ? "imputed_value_floats" : "imputed_value_int64s");
    const double missing = maas_attr_f(c->node, "replaced_value_float", 0);
    const int64_t missing_int = maas_attr_i(c->node, "replaced_value_int64", 0);
    for (int64_t i = 0, n = maas_n_elems(x), f = n_features(x); i < n; i++) {
        const int64_t k = list->n == 1 ? 0 : i % f;
        if (real) {
            double v = maas_ld(x, i);
            bool gone = v == missing || (v != v && missing != missing);
            maas_st(&c->out[0], i, gone ? list->u.floats[k] : v);
        } else {
            int64_t v = maas_tensor_get_i64(x, i);
            maas_st_i64(&c->out[0], i, v == missing_int ? list->u.ints[k] : v);
        }
    }
    return MAAS_OK;
}

static void imputer_example(maas_example *e)
{
    static const float floats[] = {7, 8, 9};
    static const int64_t ints[] = {7};
    const maas_attr real[] = {
        {.name = "imputed_value_floats", .type = MAAS_ATTR_FLOATS, .n = 3, .u.floats = floats},
        MAAS_A_FLOAT("replaced_value_float", NAN)};
    const maas_attr whole[] = {MAAS_A_INTS("imputed_value_int64s", ints, 1),
                               MAAS_A_INT("replaced_value_int64", 1)};
    maas_vid x = maas_ex_in(e, e->variant ? MAAS_I64 : MAAS_F32, 0, 4, MAAS_DIMS(4, 3));
    maas_b_node(e->b, "Imputer", e->variant ? whole : real, 2, &x, 1, NULL, 1);
}

/* ---- Binarizer ---- */

static maas_status binarizer_reference(const maas_call *c, maas_err *err)
{
    const double threshold = maas_attr_f(c->node, "threshold", 0);
    for (int64_t i = 0, n = maas_n_elems(&c->in[0]); i < n; i++)
        maas_st(&c->out[0], i, maas_ld(&c->in[0], i) > threshold);
    return MAAS_OK;
}

static void binarizer_example(maas_example *e)
{
    const maas_attr attr = MAAS_A_FLOAT("threshold", 0.5f);
    maas_vid x = maas_ex_in(e, e->variant ? MAAS_I64 : MAAS_F32, -2, 3, MAAS_DIMS(4, 3));
    maas_b_node(e->b, "Binarizer", &attr, 1, &x, 1, NULL, 1);
}

/* ---- ArrayFeatureExtractor: columns of the last axis by number ---- */

static maas_status extractor_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0], *at = &q->in[1];
    maas_q_unranked(q, 0, (maas_dtype)x->dtype);
    if (x->rank == 0)
        return maas_fail(err, MAAS_E_INVALID, "X must have a last axis");
    if (x->rank < 0)
        return MAAS_OK;
    q->out[0] = *x;
    if (x->rank == 1) { /* one row */
        q->out[0].rank = 2;
        q->out[0].dims[0] = 1;
    }
    q->out[0].dims[q->out[0].rank - 1] = at->rank < 0 ? MAAS_DIM_UNKNOWN
                                                      : maas_dim_product(at->dims, 0, at->rank);
    return MAAS_OK;
}

static maas_status extractor_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *at = &c->in[1];
    const size_t elem = maas_dtype_size((maas_dtype)x->dtype);
    const int64_t f = n_features(x), rows = maas_dims_product(x->dims, 0, x->rank - 1);
    const int64_t n = maas_n_elems(at);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < n; i++) {
            int64_t k;
            MAAS_TRY(maas_ref_index(maas_tensor_get_i64(at, i), f, &k, err));
            memcpy((char *)c->out[0].data + (size_t)(r * n + i) * elem,
                   (const char *)x->data + (size_t)(r * f + k) * elem, elem);
        }
    return MAAS_OK;
}

static void extractor_example(maas_example *e)
{
    static const int64_t at[] = {2, 0};
    static const maas_dtype types[] = {MAAS_F32, MAAS_STRING, MAAS_I64};
    maas_vid x = maas_ex_in(e, types[e->variant], -2, 3, 2 - (e->variant == 2),
                            (const int64_t[]){4, 3});
    maas_b_op2(e->b, "ArrayFeatureExtractor", x, maas_b_i64s(e->b, at, 2));
}

/* ---- FeatureVectorizer: columns of several tables side by side, cut or filled with zeros ---- */

static maas_status vectorizer_infer(maas_infer *q, maas_err *err)
{
    uint32_t n;
    const int64_t *widths = maas_attr_ints(q->node, "inputdimensions", &n);
    int64_t dims[2] = {MAAS_DIM_UNKNOWN, 0};
    if (n != q->node->n_in)
        return maas_fail(err, MAAS_E_INVALID, "%u inputdimensions for %u inputs", n, q->node->n_in);
    for (uint32_t i = 0; i < n; i++) {
        const maas_type *x = &q->in[i];
        if (widths[i] < 0 || __builtin_add_overflow(dims[1], widths[i], &dims[1]))
            return maas_fail(err, MAAS_E_INVALID, "attribute 'inputdimensions' is out of range");
        if (x->rank == 0)
            return maas_fail(err, MAAS_E_INVALID, "X must have a last axis");
        if (x->rank > 0)
            MAAS_TRY(maas_dim_same(dims[0], x->rank == 1 ? 1 : x->dims[0], &dims[0], "rows", err));
    }
    maas_q_out(q, 0, MAAS_F32, 2, dims);
    return MAAS_OK;
}

static maas_status vectorizer_reference(const maas_call *c, maas_err *err)
{
    uint32_t n;
    const int64_t *widths = maas_attr_ints(c->node, "inputdimensions", &n);
    float *y = c->out[0].data;
    for (int64_t r = 0; r < c->out[0].dims[0]; r++)
        for (uint32_t k = 0; k < n; k++) {
            const maas_tensor *x = &c->in[k];
            const int64_t have = x->rank == 1 ? x->dims[0] : maas_dims_product(x->dims, 1, x->rank);
            for (int64_t i = 0; i < widths[k]; i++)
                *y++ = i < have ? (float)maas_ld(x, r * have + i) : 0;
        }
    return MAAS_OK;
}

static void vectorizer_example(maas_example *e)
{
    static const int64_t widths[] = {2, 4};
    const maas_dtype t = e->variant ? MAAS_F64 : MAAS_I64;
    const maas_attr attr = MAAS_A_INTS("inputdimensions", widths, 2);
    const maas_vid in[] = {maas_ex_in(e, t, -2, 3, MAAS_DIMS(4, 3)),
                           maas_ex_in(e, t, -2, 3, MAAS_DIMS(4, 2))};
    maas_b_node(e->b, "FeatureVectorizer", &attr, 1, in, 2, NULL, 1);
}

/* ---- rows ---- */

static const maas_io_schema in[] = {MAAS_REQ("X", "T", MAAS_DTS_FEATURES)};
static const maas_io_schema same_out[] = {MAAS_REQ("Y", "T", MAAS_DTS_FEATURES)};
static const maas_io_schema float_out[] = {MAAS_REQ("Y", NULL, MAAS_DT_BIT(MAAS_F32))};
static const maas_io_schema pick_in[] = {MAAS_REQ("X", "T", MAAS_DTS_PLAIN),
                                         MAAS_REQ("Y", NULL, MAAS_DTS_I64)};
static const maas_io_schema pick_out[] = {MAAS_REQ("Z", "T", MAAS_DTS_PLAIN)};
static const maas_io_schema many_in[] = {MAAS_VARIADIC("X", "T", MAAS_DTS_FEATURES)};
static const maas_attr_schema vectorizer_attrs[] = {{"inputdimensions", MAAS_ATTR_INTS, true}};
static const maas_attr_schema scaler_attrs[] = {{"offset", MAAS_ATTR_FLOATS, false},
                                                {"scale", MAAS_ATTR_FLOATS, false}};
static const maas_attr_schema norm_attrs[] = {{"norm", MAAS_ATTR_STRING, false}};
static const maas_attr_schema imputer_attrs[] = {{"imputed_value_floats", MAAS_ATTR_FLOATS, false},
                                                 {"imputed_value_int64s", MAAS_ATTR_INTS, false},
                                                 {"replaced_value_float", MAAS_ATTR_FLOAT, false},
                                                 {"replaced_value_int64", MAAS_ATTR_INT, false}};
static const maas_attr_schema binarizer_attrs[] = {{"threshold", MAAS_ATTR_FLOAT, false}};

#define FEATURE(Name, fn, infer_fn, opflags, ins, outs, attrs, count, variants, why_not)           \
    const maas_op maas_op_##Name = {                                                               \
        .domain = MAAS_DOMAIN_ML,                                                                  \
        .name = #Name,                                                                             \
        .since = 1,                                                                                \
        .flags = opflags,                                                                          \
        MAAS_SCHEMA(ins, outs),                                                                    \
        .attr = attrs,                                                                             \
        .n_attr = count,                                                                           \
        .n_examples = variants,                                                                    \
        .tolerance = 1e-6,                                                                         \
        .infer = infer_fn,                                                                         \
        .reference = fn##_reference,                                                               \
        .flops = maas_flops_out,                                                                   \
        .example = fn##_example,                                                                   \
        .no_gradient = why_not,                                                                    \
    };
#define PREPARES "it prepares features; networks are trained behind it"
FEATURE(Scaler, scaler, scaler_infer, 0, in, float_out, scaler_attrs, 2, 3, PREPARES)
FEATURE(Normalizer, normalizer, normalizer_infer, 0, in, float_out, norm_attrs, 1, 3, PREPARES)
FEATURE(Imputer, imputer, imputer_infer, MAAS_OP_INPLACE, in, same_out, imputer_attrs, 4, 2,
        PREPARES)
FEATURE(Binarizer, binarizer, maas_infer_like, MAAS_OP_INPLACE, in, same_out, binarizer_attrs, 1, 2,
        PREPARES)
FEATURE(ArrayFeatureExtractor, extractor, extractor_infer, MAAS_OP_STRINGS, pick_in, pick_out, NULL,
        0, 3, PREPARES)
FEATURE(FeatureVectorizer, vectorizer, vectorizer_infer, 0, many_in, float_out, vectorizer_attrs, 1,
        2, PREPARES)
