/*
 * RandomUniform, RandomNormal, both -Like, Bernoulli and Multinomial. Element i is a function of
 * the seed and i (noise.h), so threads and batches do not matter.
 */
#include "ops/noise.h"
#include "ops/ops_int.h"

#include "base/ban.h"

static maas_status type_among(int64_t t, maas_dtypes allowed, maas_dtype *out, maas_err *err)
{
    if (t < 0 || t >= 32 || !(allowed >> t & 1))
        return maas_fail(err, MAAS_E_INVALID, "attribute 'dtype' may not be %lld", (long long)t);
    *out = (maas_dtype)t;
    return MAAS_OK;
}

/* ---- RandomUniform, RandomNormal ---- */

static maas_status shaped_infer(maas_infer *q, maas_err *err)
{
    uint32_t n;
    const int64_t *dims = maas_attr_ints(q->node, "shape", &n);
    maas_dtype t;
    MAAS_TRY(type_among(maas_attr_i(q->node, "dtype", MAAS_F32), MAAS_DTS_FLOAT, &t, err));
    if (n > MAAS_MAX_RANK)
        return maas_fail(err, MAAS_E_INVALID, "rank %u, at most %d is supported", n, MAAS_MAX_RANK);
    for (uint32_t i = 0; i < n; i++)
        if (dims[i] < 0)
            return maas_fail(err, MAAS_E_INVALID, "size %lld is negative", (long long)dims[i]);
    maas_q_out(q, 0, t, (int)n, dims);
    return MAAS_OK;
}

static maas_status like_infer(maas_infer *q, maas_err *err)
{
    maas_dtype t;
    MAAS_TRY(type_among(maas_attr_i(q->node, "dtype", q->in[0].dtype), MAAS_DTS_FLOAT, &t, err));
    q->out[0] = q->in[0];
    q->out[0].dtype = (uint8_t)t;
    return MAAS_OK;
}

static maas_status uniform_reference(const maas_call *c, maas_err *err)
{
    const uint64_t stream = maas_noise_stream(c->node);
    const double low = maas_attr_f(c->node, "low", 0), high = maas_attr_f(c->node, "high", 1);
    for (int64_t i = 0, n = maas_n_elems(&c->out[0]); i < n; i++)
        maas_st(&c->out[0], i, low + (high - low) * maas_noise_unit(stream, i));
    return MAAS_OK;
}

/* Box and Muller: two uniform numbers give one normal one. */
static maas_status normal_reference(const maas_call *c, maas_err *err)
{
    const uint64_t stream = maas_noise_stream(c->node);
    const double mean = maas_attr_f(c->node, "mean", 0), scale = maas_attr_f(c->node, "scale", 1);
    for (int64_t i = 0, n = maas_n_elems(&c->out[0]); i < n; i++) {
        const double u = 1 - maas_noise_unit(stream, 2 * i); /* (0, 1] */
        const double v = maas_noise_unit(stream, 2 * i + 1);
        maas_st(&c->out[0], i, mean + scale * sqrt(-2 * log(u)) * cos(2 * M_PI * v));
    }
    return MAAS_OK;
}

/* ---- Bernoulli: 1 with the chance that the input says ---- */

static maas_status bernoulli_infer(maas_infer *q, maas_err *err)
{
    maas_dtype t;
    MAAS_TRY(type_among(maas_attr_i(q->node, "dtype", q->in[0].dtype),
                        MAAS_DTS_NUMERIC | MAAS_DTS_BOOL, &t, err));
    q->out[0] = q->in[0];
    q->out[0].dtype = (uint8_t)t;
    return MAAS_OK;
}

static maas_status bernoulli_reference(const maas_call *c, maas_err *err)
{
    const uint64_t stream = maas_noise_stream(c->node);
    for (int64_t i = 0, n = maas_n_elems(&c->in[0]); i < n; i++)
        maas_st(&c->out[0], i, maas_noise_unit(stream, i) < maas_ld(&c->in[0], i));
    return MAAS_OK;
}

/* ---- Multinomial: classes by unnormalized log-probabilities ---- */

static maas_status multinomial_infer(maas_infer *q, maas_err *err)
{
    const int64_t n = maas_attr_i(q->node, "sample_size", 1);
    const maas_type *x = &q->in[0];
    maas_dtype t;
    MAAS_TRY(type_among(maas_attr_i(q->node, "dtype", MAAS_I32), MAAS_DTS_INDEX, &t, err));
    if (n < 1)
        return maas_fail(err, MAAS_E_INVALID, "attribute 'sample_size' must be 1 at least");
    if (x->rank >= 0 && x->rank != 2)
        return maas_fail(err, MAAS_E_INVALID, "the input must be [batch][classes]");
    if (x->rank == 2 && x->dims[1] == 0)
        return maas_fail(err, MAAS_E_INVALID, "there are no classes");
    const int64_t dims[] = {x->rank < 0 ? MAAS_DIM_UNKNOWN : x->dims[0], n};
    maas_q_out(q, 0, t, 2, dims);
    return MAAS_OK;
}

/* sums[k]: how likely the classes up to k are, against sums[n - 1]. */
static void running_sums(const maas_tensor *x, int64_t at, int64_t n, double *sums)
{
    double most = maas_ld(x, at), sum = 0;
    for (int64_t k = 1; k < n; k++)
        most = maas_ld(x, at + k) > most ? maas_ld(x, at + k) : most;
    for (int64_t k = 0; k < n; k++) {
        const double p = exp(maas_ld(x, at + k) - most);
        sum += p == p ? p : 0;
        sums[k] = sum;
    }
}

/* The first class whose running sum is above. */
static int64_t class_at(const double *sums, int64_t n, double where)
{
    int64_t lo = 0, hi = n - 1;
    while (lo < hi) {
        const int64_t mid = lo + (hi - lo) / 2;
        if (sums[mid] > where)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

static maas_status multinomial_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *y = &c->out[0];
    const uint64_t stream = maas_noise_stream(c->node);
    const int64_t n = x->dims[1], samples = y->dims[1];
    AUTO_FREE double *sums = maas_calloc((size_t)n, sizeof *sums);
    if (!sums)
        return maas_fail(err, MAAS_E_NOMEM, "%lld classes", (long long)n);
    for (int64_t b = 0; b < x->dims[0]; b++) {
        running_sums(x, b * n, n, sums);
        for (int64_t i = b * samples; i < (b + 1) * samples; i++)
            maas_st_i64(y, i, class_at(sums, n, maas_noise_unit(stream, i) * sums[n - 1]));
    }
    return MAAS_OK;
}

/* ---- examples and rows ---- */

static void shaped_example(maas_example *e, const char *op)
{
    static const int64_t shapes[][3] = {{2, 3, 4}, {5, 1, 0}};
    static const maas_dtype types[] = {MAAS_F32, MAAS_F64, MAAS_F16};
    const maas_attr attr[] = {MAAS_A_FLOAT("seed", 3.5f), MAAS_A_INT("dtype", types[e->variant]),
                              MAAS_A_INTS("shape", shapes[e->variant / 2], 3)};
    maas_b_node(e->b, op, attr, 3, NULL, 0, NULL, 1);
}

static void like_example(maas_example *e, const char *op)
{
    const maas_attr attr[] = {MAAS_A_FLOAT("seed", -1.0f), MAAS_A_INT("dtype", MAAS_F32)};
    const maas_vid x = maas_ex_in(e, e->variant == 2 ? MAAS_I64 : maas_ex_float(e), 0, 1,
                                  MAAS_DIMS(3, 4));
    maas_b_node(e->b, op, attr, e->variant == 2 ? 2 : 1, &x, 1, NULL, 1);
}

static void multinomial_example(maas_example *e)
{
    const maas_attr attr[] = {MAAS_A_FLOAT("seed", 1.0f), MAAS_A_INT("sample_size", 9),
                              MAAS_A_INT("dtype", MAAS_I64)};
    const maas_vid x = maas_ex_in(e, maas_ex_float(e), -2, 2, MAAS_DIMS(2, 5));
    maas_b_node(e->b, "Multinomial", attr, e->variant ? 3 : 2, &x, 1, NULL, 1);
}

static const maas_io_schema any_in[] = {MAAS_REQ("input", NULL, MAAS_DTS_ALL)};
static const maas_io_schema chance_in[] = {MAAS_REQ("input", NULL, MAAS_DTS_FLOAT)};
static const maas_io_schema float_out[] = {MAAS_REQ("output", NULL, MAAS_DTS_FLOAT)};
static const maas_io_schema chance_out[] = {
    MAAS_REQ("output", NULL, MAAS_DTS_NUMERIC | MAAS_DTS_BOOL)};
static const maas_io_schema class_out[] = {MAAS_REQ("output", NULL, MAAS_DTS_INDEX)};
#define COMMON                                                                                     \
    {"dtype", MAAS_ATTR_INT, false},                                                               \
    {                                                                                              \
        "seed", MAAS_ATTR_FLOAT, false                                                             \
    }
static const maas_attr_schema uniform_attrs[] = {COMMON,
                                                 {"low", MAAS_ATTR_FLOAT, false},
                                                 {"high", MAAS_ATTR_FLOAT, false},
                                                 {"shape", MAAS_ATTR_INTS, true}};
static const maas_attr_schema normal_attrs[] = {COMMON,
                                                {"mean", MAAS_ATTR_FLOAT, false},
                                                {"scale", MAAS_ATTR_FLOAT, false},
                                                {"shape", MAAS_ATTR_INTS, true}};
static const maas_attr_schema class_attrs[] = {COMMON, {"sample_size", MAAS_ATTR_INT, false}};

/* Operators of a shape have no inputs, and one attribute more than those that are like another. */
#define RANDOM(Name, fn, version, ins, count, outs, attrs, n_attrs, variants, kind, make)          \
    static void Name##_example(maas_example *e)                                                    \
    {                                                                                              \
        make;                                                                                      \
    }                                                                                              \
    const maas_op maas_op_##Name = {                                                               \
        .domain = "",                                                                              \
        .name = #Name,                                                                             \
        .since = version,                                                                          \
        .flags = MAAS_OP_RANDOM,                                                                   \
        .in = ins,                                                                                 \
        .n_in = count,                                                                             \
        .out = outs,                                                                               \
        .n_out = 1,                                                                                \
        .attr = attrs,                                                                             \
        .n_attr = n_attrs,                                                                         \
        .n_examples = variants,                                                                    \
        .infer = kind##_infer,                                                                     \
        .reference = fn##_reference,                                                               \
        .flops = maas_flops_out,                                                                   \
        .example = Name##_example,                                                                 \
        .no_gradient = "what is drawn does not follow its inputs smoothly",                        \
    };
RANDOM(RandomUniform, uniform, 1, NULL, 0, float_out, uniform_attrs, 5, 3, shaped,
       shaped_example(e, "RandomUniform"))
RANDOM(RandomNormal, normal, 1, NULL, 0, float_out, normal_attrs, 5, 3, shaped,
       shaped_example(e, "RandomNormal"))
RANDOM(RandomUniformLike, uniform, 1, any_in, 1, float_out, uniform_attrs, 4, 3, like,
       like_example(e, "RandomUniformLike"))
RANDOM(RandomNormalLike, normal, 1, any_in, 1, float_out, normal_attrs, 4, 3, like,
       like_example(e, "RandomNormalLike"))
RANDOM(Bernoulli, bernoulli, 15, chance_in, 1, chance_out, uniform_attrs, 2, 2, bernoulli,
       like_example(e, "Bernoulli"))
RANDOM(Multinomial, multinomial, 7, chance_in, 1, class_out, class_attrs, 3, 2, multinomial,
       multinomial_example(e))
