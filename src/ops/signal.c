/* HannWindow, HammingWindow, BlackmanWindow and MelWeightMatrix: tables for spectra. */
#include "ops/ops_int.h"

#include "base/ban.h"

static maas_status type_of(const maas_infer *q, maas_dtype *out, maas_err *err)
{
    const int64_t t = maas_attr_i(q->node, "output_datatype", MAAS_F32);
    if (t < 0 || t >= 32 || !(MAAS_DTS_NUMERIC >> t & 1))
        return maas_fail(err, MAAS_E_UNSUPPORTED, "data type %lld is not supported", (long long)t);
    *out = (maas_dtype)t;
    return MAAS_OK;
}

/* A number from least on, where it is known; else *out stays. */
static maas_status count_of(const maas_infer *q, int i, const char *what, int64_t least,
                            int64_t *out, maas_err *err)
{
    int64_t v[2 * MAAS_MAX_RANK];
    int n;
    if (!maas_q_ints(q, i, v, &n))
        return MAAS_OK;
    if (n != 1 || v[0] < least)
        return maas_fail(err, MAAS_E_INVALID, "%s must be one number from %lld on", what,
                         (long long)least);
    *out = v[0];
    return MAAS_OK;
}

/* ---- windows: a sum of cosines ---- */

static maas_status window_infer(maas_infer *q, maas_err *err)
{
    int64_t n = MAAS_DIM_UNKNOWN;
    maas_dtype t;
    MAAS_TRY(type_of(q, &t, err));
    MAAS_TRY(count_of(q, 0, "size", 0, &n, err));
    maas_q_out(q, 0, t, 1, &n);
    return MAAS_OK;
}

static maas_status window(const maas_call *c, double a, double b, double d, maas_err *err)
{
    const maas_tensor *y = &c->out[0];
    const int64_t n = y->dims[0], last = maas_attr_i(c->node, "periodic", 1) ? n : n - 1;
    MAAS_TRY(maas_ref_check(c, err));
    for (int64_t i = 0; i < n; i++) {
        const double turn = last ? 2 * M_PI * (double)i / (double)last : M_PI;
        maas_st(y, i, a - b * cos(turn) + d * cos(2 * turn));
    }
    return MAAS_OK;
}

static void window_example(maas_example *e, const char *op)
{
    static const maas_dtype types[] = {MAAS_F32, MAAS_F64, MAAS_I32, MAAS_F16};
    static const int64_t sizes[] = {12, 7, 0, 1};
    const maas_attr attr[] = {MAAS_A_INT("periodic", !(e->variant & 1)),
                              MAAS_A_INT("output_datatype", types[e->variant])};
    const maas_vid size = maas_b_i64(e->b, sizes[e->variant]);
    maas_b_node(e->b, op, attr, 2, &size, 1, NULL, 1);
}

/* ---- MelWeightMatrix ---- */

static maas_status mel_infer(maas_infer *q, maas_err *err)
{
    int64_t bands = MAAS_DIM_UNKNOWN, length = MAAS_DIM_UNKNOWN, rate = 1;
    maas_dtype t;
    MAAS_TRY(type_of(q, &t, err));
    MAAS_TRY(count_of(q, 0, "num_mel_bins", 1, &bands, err));
    MAAS_TRY(count_of(q, 1, "dft_length", 1, &length, err));
    MAAS_TRY(count_of(q, 2, "sample_rate", 1, &rate, err));
    const int64_t dims[] = {length < 0 ? length : length / 2 + 1, bands};
    maas_q_out(q, 0, t, 2, dims);
    return MAAS_OK;
}

/* Where band edge k is: a number of the spectrum. */
static maas_status edge_of(const maas_call *c, int64_t k, int64_t *out, maas_err *err)
{
    const double bands = (double)maas_tensor_get_i64(&c->in[0], 0);
    const double length = (double)maas_tensor_get_i64(&c->in[1], 0);
    const double rate = (double)maas_tensor_get_i64(&c->in[2], 0);
    const double low = log1p(maas_ld(&c->in[3], 0) / 700);
    const double high = log1p(maas_ld(&c->in[4], 0) / 700);
    const double hertz = 700 * expm1(low + (double)k * (high - low) / (bands + 2));
    const double at = floor((length + 1) * hertz / rate);
    if (!(at >= 0 && at < (double)c->out[0].dims[0]))
        return maas_fail(err, MAAS_E_INVALID,
                         "MelWeightMatrix: a band reaches %g hertz, which the spectrum has not",
                         hertz);
    *out = (int64_t)at;
    return MAAS_OK;
}

static void put_band(const maas_tensor *y, int64_t band, int64_t low, int64_t peak, int64_t high)
{
    const int64_t n = y->dims[1];
    maas_st(y, peak * n + band, 1);
    for (int64_t i = low; i < peak; i++)
        maas_st(y, i * n + band, (double)(i - low) / (double)(peak - low));
    for (int64_t i = peak; i < high; i++)
        maas_st(y, i * n + band, (double)(high - i) / (double)(high - peak));
}

static maas_status mel_reference(const maas_call *c, maas_err *err)
{
    int64_t low, peak, high;
    MAAS_TRY(maas_ref_check(c, err));
    for (int i = 0; i < 5; i++)
        if (maas_n_elems(&c->in[i]) != 1)
            return maas_fail(err, MAAS_E_INVALID, "MelWeightMatrix: its inputs are numbers");
    memset(c->out[0].data, 0, maas_tensor_bytes(&c->out[0]));
    MAAS_TRY(edge_of(c, 0, &low, err));
    MAAS_TRY(edge_of(c, 1, &peak, err));
    for (int64_t i = 0; i < c->out[0].dims[1]; i++) {
        MAAS_TRY(edge_of(c, i + 2, &high, err));
        put_band(&c->out[0], i, low, peak, high);
        low = peak;
        peak = high;
    }
    return MAAS_OK;
}

static void mel_example(maas_example *e)
{
    static const maas_dtype types[] = {MAAS_F32, MAAS_F64, MAAS_BF16};
    static const int64_t sizes[][3] = {{8, 16, 8192}, {20, 512, 16000}, {1, 64, 8000}};
    const int k = e->variant;
    const maas_attr type = MAAS_A_INT("output_datatype", types[k]);
    const maas_vid in[5] = {maas_b_i64(e->b, sizes[k][0]), maas_b_i64(e->b, sizes[k][1]),
                            maas_b_i64(e->b, sizes[k][2]), maas_b_scalar(e->b, MAAS_F32, 20),
                            maas_b_scalar(e->b, MAAS_F32, 3600)};
    maas_b_node(e->b, "MelWeightMatrix", &type, 1, in, 5, NULL, 1);
}

/* ---- rows ---- */

static const maas_io_schema size_in[] = {MAAS_REQ("size", NULL, MAAS_DTS_INDEX)};
static const maas_io_schema mel_in[] = {MAAS_REQ("num_mel_bins", "T1", MAAS_DTS_INDEX),
                                        MAAS_REQ("dft_length", "T1", MAAS_DTS_INDEX),
                                        MAAS_REQ("sample_rate", "T1", MAAS_DTS_INDEX),
                                        MAAS_REQ("lower_edge_hertz", "T2", MAAS_DTS_FLOAT),
                                        MAAS_REQ("upper_edge_hertz", "T2", MAAS_DTS_FLOAT)};
static const maas_io_schema out[] = {MAAS_REQ("output", NULL, MAAS_DTS_NUMERIC)};
static const maas_attr_schema attrs[] = {{"output_datatype", MAAS_ATTR_INT, false},
                                         {"periodic", MAAS_ATTR_INT, false}};

#define TABLE(Name, fn, ins, n_attrs, variants, infer_fn)                                          \
    const maas_op maas_op_##Name = {                                                               \
        .domain = "",                                                                              \
        .name = #Name,                                                                             \
        .since = 17,                                                                               \
        MAAS_SCHEMA(ins, out),                                                                     \
        .attr = attrs,                                                                             \
        .n_attr = n_attrs,                                                                         \
        .n_examples = variants,                                                                    \
        .tolerance = 1e-6,                                                                         \
        .infer = infer_fn,                                                                         \
        .reference = fn##_reference,                                                               \
        .flops = maas_flops_out,                                                                   \
        .example = fn##_example,                                                                   \
        .no_gradient = "its inputs are settings",                                                  \
    };
/* a - b cos(turn) + d cos(2 turn) */
#define WINDOW(Name, fn, a, b, d)                                                                  \
    static maas_status fn##_reference(const maas_call *c, maas_err *err)                           \
    {                                                                                              \
        return window(c, a, b, d, err);                                                            \
    }                                                                                              \
    static void fn##_example(maas_example *e)                                                      \
    {                                                                                              \
        window_example(e, #Name);                                                                  \
    }                                                                                              \
    TABLE(Name, fn, size_in, 2, 4, window_infer)

WINDOW(HannWindow, hann, 0.5, 0.5, 0)
WINDOW(HammingWindow, hamming, 25.0 / 46, 21.0 / 46, 0)
WINDOW(BlackmanWindow, blackman, 0.42, 0.5, 0.08)
TABLE(MelWeightMatrix, mel, mel_in, 1, 3, mel_infer)
