/*
 * DFT along an axis of complex numbers [...][re, im] or real ones [...][re], forward or inverse,
 * and STFT: transforms of windows that slide over a signal. Onesided: forward, the half of the
 * spectrum that says all about real values; inverse, real values from such a half.
 */
#include "ops/fft.h"
#include "ops/ops_int.h"

#include "base/ban.h"

/* One line: from memory to the transform and back. */
typedef struct line {
    int64_t n;                    /* of the transform                              */
    int64_t n_in, n_out;          /* values that are read, padded with zeros; kept */
    int64_t step_in, step_out;    /* elements from one value to the next           */
    bool is_complex, out_complex; /* two numbers a value                           */
    bool inverse, half_in;        /* half_in: the other half is the mirror         */
} line;

static void load(const maas_tensor *x, int64_t at, const line *l, const maas_tensor *window,
                 double *v)
{
    memset(v, 0, (size_t)l->n * 2 * sizeof *v);
    for (int64_t k = 0; k < l->n_in; k++) {
        const double by = window ? maas_ld(window, k) : 1;
        v[2 * k] = by * maas_ld(x, at + k * l->step_in);
        v[2 * k + 1] = l->is_complex ? by * maas_ld(x, at + k * l->step_in + 1) : 0;
    }
    if (!l->half_in)
        return;
    v[1] = 0;
    if (l->n % 2 == 0)
        v[l->n + 1] = 0;
    for (int64_t k = 1; 2 * k < l->n; k++) {
        v[2 * (l->n - k)] = v[2 * k];
        v[2 * (l->n - k) + 1] = -v[2 * k + 1];
    }
}

static void keep(const maas_tensor *y, int64_t at, const line *l, const double *v)
{
    const double by = l->inverse ? (double)l->n : 1;
    for (int64_t k = 0; k < l->n_out; k++) {
        maas_st(y, at + k * l->step_out, v[2 * k] / by);
        if (l->out_complex)
            maas_st(y, at + k * l->step_out + 1, v[2 * k + 1] / by);
    }
}

typedef struct transform {
    maas_fft *fft;
    double *v; /* [n][2] */
} transform;

static maas_status transform_open(transform *t, int64_t n, maas_err *err)
{
    *t = (transform){.v = n < INT64_MAX / 64 ? maas_calloc((size_t)n, 2 * sizeof *t->v) : NULL};
    return t->v ? maas_fft_create(n, &t->fft, err)
                : maas_fail(err, MAAS_E_NOMEM, "a transform of %lld", (long long)n);
}

static void transform_close(transform *t)
{
    maas_fft_destroy(t->fft);
    maas_free(t->v);
}

static void transform_line(transform *t, const line *l, const maas_tensor *x, int64_t from,
                           const maas_tensor *window, const maas_tensor *y, int64_t to)
{
    load(x, from, l, window, t->v);
    maas_fft_run(t->fft, t->v, l->inverse ? 1 : -1);
    keep(y, to, l, t->v);
}

/* ---- DFT ---- */

static maas_status one_number(const maas_infer *q, int i, const char *what, bool *known,
                              int64_t *out, maas_err *err)
{
    int64_t v[2 * MAAS_MAX_RANK];
    int n;
    *known = !maas_q_has(q, i);
    if (*known || !maas_q_ints(q, i, v, &n))
        return MAAS_OK;
    if (n != 1)
        return maas_fail(err, MAAS_E_INVALID, "%s must be one number", what);
    *known = true;
    *out = v[0];
    return MAAS_OK;
}

static maas_status check_parts(const maas_infer *q, bool inverse, bool onesided, maas_err *err)
{
    const maas_type *x = &q->in[0];
    const int64_t parts = x->rank > 0 ? x->dims[x->rank - 1] : MAAS_DIM_UNKNOWN;
    if (x->rank >= 0 && x->rank < 2)
        return maas_fail(err, MAAS_E_INVALID, "the input must have rank 2 at least");
    if (parts >= 0 && parts != 1 && parts != 2)
        return maas_fail(err, MAAS_E_INVALID, "the last axis must be [re] or [re, im]");
    if (onesided && parts >= 0 && parts != (inverse ? 2 : 1))
        return maas_fail(err, MAAS_E_INVALID, "onesided: the input must be %s",
                         inverse ? "complex" : "real");
    return MAAS_OK;
}

/* Values that come out along the axis; length 0: not given. */
static int64_t dft_size(int64_t have, bool inverse, bool onesided, int64_t length)
{
    if (!length && have < 0)
        return onesided ? MAAS_DIM_UNKNOWN : have;
    const int64_t n = length ? length : inverse && onesided ? 2 * (have - 1) : have;
    return onesided && !inverse ? n / 2 + 1 : n;
}

static maas_status dft_infer(maas_infer *q, maas_err *err)
{
    const bool inverse = maas_attr_i(q->node, "inverse", 0) != 0;
    const bool onesided = maas_attr_i(q->node, "onesided", 0) != 0;
    const maas_type *x = &q->in[0];
    int64_t length = 0, axis = -2;
    bool length_known, axis_known;
    int a;
    MAAS_TRY(one_number(q, 1, "dft_length", &length_known, &length, err));
    MAAS_TRY(one_number(q, 2, "axis", &axis_known, &axis, err));
    MAAS_TRY(check_parts(q, inverse, onesided, err));
    if (maas_q_has(q, 1) && length_known && length < 1)
        return maas_fail(err, MAAS_E_INVALID, "a transform of %lld values", (long long)length);
    q->out[0] = *x;
    if (x->rank < 0)
        return MAAS_OK;
    for (int i = 0; i < x->rank - 1 && !axis_known; i++)
        q->out[0].dims[i] = MAAS_DIM_UNKNOWN;
    q->out[0].dims[x->rank - 1] = inverse && onesided ? 1 : 2;
    if (!axis_known)
        return MAAS_OK;
    MAAS_TRY(maas_axis(axis, x->rank, &a, err));
    if (a == x->rank - 1)
        return maas_fail(err, MAAS_E_INVALID, "the last axis has the parts of a number");
    q->out[0].dims[a] = length_known ? dft_size(x->dims[a], inverse, onesided, length)
                                     : MAAS_DIM_UNKNOWN;
    if (length_known && !length && x->dims[a] >= 0 && x->dims[a] <= inverse * onesided)
        return maas_fail(err, MAAS_E_INVALID, "a transform of nothing");
    return MAAS_OK;
}

static int64_t number_of(const maas_call *c, int i, int64_t otherwise)
{
    const maas_tensor *t = maas_c_in(c, i);
    return t ? maas_tensor_get_i64(t, 0) : otherwise;
}

static line dft_line(const maas_call *c, int axis)
{
    const maas_tensor *x = &c->in[0], *y = &c->out[0];
    const bool inverse = maas_attr_i(c->node, "inverse", 0) != 0;
    const bool onesided = maas_attr_i(c->node, "onesided", 0) != 0;
    line l = {.inverse = inverse,
              .half_in = inverse && onesided,
              .is_complex = x->dims[x->rank - 1] == 2,
              .out_complex = y->dims[y->rank - 1] == 2,
              .n_out = y->dims[axis],
              .step_in = maas_dims_product(x->dims, axis + 1, x->rank),
              .step_out = maas_dims_product(y->dims, axis + 1, y->rank)};
    l.n = number_of(c, 1, onesided && !inverse ? x->dims[axis] : y->dims[axis]);
    const int64_t read = l.half_in ? l.n / 2 + 1 : l.n;
    l.n_in = x->dims[axis] < read ? x->dims[axis] : read;
    return l;
}

static maas_status dft_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *y = &c->out[0];
    int axis;
    transform t;
    MAAS_TRY(maas_ref_check(c, err));
    MAAS_TRY(maas_axis(number_of(c, 2, -2), x->rank, &axis, err));
    if (maas_n_elems(y) == 0)
        return MAAS_OK;
    const line l = dft_line(c, axis);
    const int64_t parts_in = x->dims[x->rank - 1], parts_out = y->dims[y->rank - 1];
    maas_status st = transform_open(&t, l.n, err);
    for (int64_t o = 0; o < maas_dims_product(x->dims, 0, axis) && st == MAAS_OK; o++)
        for (int64_t i = 0; i < l.step_in / parts_in; i++)
            transform_line(&t, &l, x, o * x->dims[axis] * l.step_in + i * parts_in, NULL, y,
                           o * y->dims[axis] * l.step_out + i * parts_out);
    transform_close(&t);
    return st;
}

/* ---- STFT ---- */

/* The length of a frame: as given, else that of the window, else the whole signal. */
static maas_status frame_of(const maas_infer *q, int64_t *out, maas_err *err)
{
    const maas_type *window = &q->in[2];
    int64_t length = MAAS_DIM_UNKNOWN;
    bool known;
    MAAS_TRY(one_number(q, 3, "frame_length", &known, &length, err));
    *out = MAAS_DIM_UNKNOWN;
    if (maas_q_has(q, 2) && window->rank >= 0 && window->rank != 1)
        return maas_fail(err, MAAS_E_INVALID, "the window must be a list");
    if (maas_q_has(q, 3) && known && length < 1)
        return maas_fail(err, MAAS_E_INVALID, "a frame of %lld values", (long long)length);
    if (maas_q_has(q, 3))
        *out = known ? length : MAAS_DIM_UNKNOWN;
    else if (!maas_q_has(q, 2))
        *out = q->in[0].dims[1];
    if (maas_q_has(q, 2) && window->rank == 1)
        MAAS_TRY(maas_dim_same(*out, window->dims[0], out, "window and frame", err));
    return MAAS_OK;
}

static maas_status stft_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0];
    const bool onesided = maas_attr_i(q->node, "onesided", 1) != 0;
    int64_t step = 0, frame;
    bool known;
    MAAS_TRY(check_parts(q, false, onesided, err));
    MAAS_TRY(one_number(q, 1, "frame_step", &known, &step, err));
    if (known && step < 1)
        return maas_fail(err, MAAS_E_INVALID, "a step of %lld values", (long long)step);
    if (x->rank >= 0 && x->rank != 3)
        return maas_fail(err, MAAS_E_INVALID, "the signal must be [batch][length][1 or 2]");
    if (x->rank < 0) {
        maas_q_unranked(q, 0, (maas_dtype)x->dtype);
        return MAAS_OK;
    }
    MAAS_TRY(frame_of(q, &frame, err));
    int64_t dims[4] = {x->dims[0], MAAS_DIM_UNKNOWN, MAAS_DIM_UNKNOWN, 2};
    if (frame >= 0 && x->dims[1] >= 0 && (frame < 1 || frame > x->dims[1]))
        return maas_fail(err, MAAS_E_INVALID, "a frame of %lld values in a signal of %lld",
                         (long long)frame, (long long)x->dims[1]);
    if (frame > 0 && x->dims[1] >= 0 && known)
        dims[1] = (x->dims[1] - frame) / step + 1;
    if (frame >= 0)
        dims[2] = onesided ? frame / 2 + 1 : frame;
    maas_q_out(q, 0, (maas_dtype)x->dtype, 4, dims);
    return MAAS_OK;
}

static maas_status stft_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *window = maas_c_in(c, 2), *y = &c->out[0];
    MAAS_TRY(maas_ref_check(c, err));
    if (maas_n_elems(y) == 0)
        return MAAS_OK;
    const int64_t parts = x->dims[2], step = number_of(c, 1, 1);
    const int64_t frame = number_of(c, 3, window ? window->dims[0] : x->dims[1]);
    const line l = {.n = frame,
                    .n_in = frame,
                    .n_out = y->dims[2],
                    .step_in = parts,
                    .step_out = 2,
                    .is_complex = parts == 2,
                    .out_complex = true};
    transform t;
    maas_status st = transform_open(&t, frame, err);
    for (int64_t b = 0; b < x->dims[0] && st == MAAS_OK; b++)
        for (int64_t k = 0; k < y->dims[1]; k++)
            transform_line(&t, &l, x, (b * x->dims[1] + k * step) * parts, window, y,
                           (b * y->dims[1] + k) * y->dims[2] * 2);
    transform_close(&t);
    return st;
}

/* ---- examples and rows ---- */

static int64_t fft_flops(const maas_call *c)
{
    return maas_n_elems(&c->out[0]) * 40;
}

static void dft_example(maas_example *e)
{
    static const struct {
        int64_t dims[3], length, axis; /* length 0: none */
        int inverse, onesided;
    } cases[] = {
        {{2, 12, 2}, 0, -2, 0, 0}, {{2, 17, 1}, 0, 1, 0, 1},  {{5, 3, 2}, 8, 0, 1, 0},
        {{2, 7, 2}, 0, 1, 1, 1},   {{2, 30, 1}, 26, 1, 0, 0}, {{1, 9, 2}, 15, -2, 1, 1},
        {{0, 9, 1}, 0, 1, 0, 0},
    };
    const int k = e->variant / 2;
    const maas_attr attr[] = {MAAS_A_INT("inverse", cases[k].inverse),
                              MAAS_A_INT("onesided", cases[k].onesided)};
    const maas_vid in[3] = {maas_ex_in(e, maas_ex_float(e), -2, 2, 3, cases[k].dims),
                            cases[k].length ? maas_b_i64(e->b, cases[k].length) : MAAS_NO_VALUE,
                            maas_b_i64(e->b, cases[k].axis)};
    maas_b_node(e->b, "DFT", attr, 2, in, 3, NULL, 1);
}

static void stft_example(maas_example *e)
{
    const int k = e->variant / 2;
    const maas_dtype t = maas_ex_float(e);
    const maas_attr onesided = MAAS_A_INT("onesided", k != 1);
    maas_vid in[4] = {maas_ex_in(e, t, -2, 2, MAAS_DIMS(2, 40, k == 1 ? 2 : 1)),
                      maas_b_i64(e->b, 5), MAAS_NO_VALUE, MAAS_NO_VALUE};
    if (k != 2)
        in[2] = maas_ex_in(e, t, 0, 1, MAAS_DIMS(16));
    if (k != 0)
        in[3] = maas_b_i64(e->b, k == 1 ? 16 : 11);
    maas_b_node(e->b, "STFT", &onesided, 1, in, 4, NULL, 1);
}

static const maas_io_schema dft_in[] = {MAAS_REQ("input", "T1", MAAS_DTS_FLOAT),
                                        MAAS_OPT("dft_length", NULL, MAAS_DTS_INDEX),
                                        MAAS_OPT("axis", NULL, MAAS_DTS_INDEX)};
static const maas_io_schema stft_in[] = {
    MAAS_REQ("signal", "T1", MAAS_DTS_FLOAT), MAAS_REQ("frame_step", NULL, MAAS_DTS_INDEX),
    MAAS_OPT("window", "T1", MAAS_DTS_FLOAT), MAAS_OPT("frame_length", NULL, MAAS_DTS_INDEX)};
static const maas_io_schema out[] = {MAAS_REQ("output", "T1", MAAS_DTS_FLOAT)};
static const maas_attr_schema attrs[] = {{"onesided", MAAS_ATTR_INT, false},
                                         {"inverse", MAAS_ATTR_INT, false}};

#define SPECTRUM(Name, fn, version, n_attrs, variants)                                             \
    const maas_op maas_op_##Name = {                                                               \
        .domain = "",                                                                              \
        .name = #Name,                                                                             \
        .since = version,                                                                          \
        MAAS_SCHEMA(fn##_in, out),                                                                 \
        .attr = attrs,                                                                             \
        .n_attr = n_attrs,                                                                         \
        .n_examples = variants,                                                                    \
        .tolerance = 1e-5,                                                                         \
        .infer = fn##_infer,                                                                       \
        .reference = fn##_reference,                                                               \
        .flops = fft_flops,                                                                        \
        .example = fn##_example,                                                                   \
        .no_gradient = "spectra are prepared from signals, not trained through",                   \
    };
SPECTRUM(DFT, dft, 20, 2, 14)
SPECTRUM(STFT, stft, 17, 1, 6)
