/*
 * Resize - every output element is a weighted sum of input elements around the place it came from:
 * resize.h. ResizeGrad (ai.maas) sends the gradient back along the same weights.
 */
#include "ops/resize.h"

#include "ops/ops_int.h"

#include "base/ban.h"

/* ---- inference ---- */

static maas_tensor shape_of(const maas_type *t)
{
    return maas_tensor_of((maas_dtype)t->dtype, t->rank, t->dims, NULL);
}

static const maas_tensor *data_of(const maas_infer *q, int i)
{
    return maas_q_has(q, i) && q->in_data[i].data ? &q->in_data[i] : NULL;
}

/* Sizes that are symbols, or partly known: what they say of the axes they speak of. */
static void symbolic_sizes(maas_infer *q, const maas_resize *r)
{
    uint32_t n;
    const int64_t *axes = maas_attr_ints(q->node, "axes", &n);
    const maas_known *k = q->node->n_in > 3 ? &q->in_known[3] : NULL;
    if (!k || k->n < 0 || r->keep_aspect || k->n != (axes ? (int)n : q->in[0].rank))
        return;
    for (int i = 0; i < k->n; i++) {
        const int64_t axis = !axes ? i : axes[i] < 0 ? axes[i] + q->in[0].rank : axes[i];
        q->out[0].dims[axis] = k->exact && k->v[i] < 0 ? MAAS_DIM_UNKNOWN : k->v[i];
    }
}

static maas_status open_axes(maas_infer *q, maas_err *err)
{
    uint32_t n, mask = 0;
    const int64_t *axes = maas_attr_ints(q->node, "axes", &n);
    if (axes && n > MAAS_MAX_RANK)
        return maas_fail(err, MAAS_E_INVALID, "%u axes are too many", n);
    if (axes)
        MAAS_TRY(maas_axes(axes, (int)n, q->in[0].rank, &mask, err));
    for (int i = 0; i < q->in[0].rank; i++)
        if (!axes || mask >> i & 1)
            q->out[0].dims[i] = MAAS_DIM_UNKNOWN;
    return MAAS_OK;
}

static bool sizes_known(const maas_infer *q)
{
    for (int i = 0; i < q->in[0].rank; i++)
        if (q->in[0].dims[i] < 0)
            return false;
    for (int i = 2; i < 4; i++)
        if (maas_q_has(q, i) && q->in[i].dims[0] != 0 && !data_of(q, i))
            return false;
    return maas_q_has(q, 2) || maas_q_has(q, 3);
}

/* A region is data: its sizes do not depend on it. */
static maas_status plan_without_roi(const maas_infer *q, maas_resize *r, maas_err *err)
{
    double zeros[2 * MAAS_MAX_RANK] = {0};
    const maas_tensor x = shape_of(&q->in[0]);
    maas_tensor roi = {0};
    if (maas_q_has(q, 1)) {
        roi = shape_of(&q->in[1]);
        if (roi.rank != 1 || roi.dims[0] < 0 || roi.dims[0] > 2 * MAAS_MAX_RANK)
            return maas_fail(err, MAAS_E_INVALID, "roi must have two entries for each axis");
        roi.data = zeros;
    }
    return maas_resize_plan(q->node, &x, maas_q_has(q, 1) ? &roi : NULL, data_of(q, 2),
                            data_of(q, 3), r, err);
}

static maas_status check_element(const maas_infer *q, const maas_resize *r, maas_err *err)
{
    const int t = q->in[0].dtype;
    if (r->mode != MAAS_RESIZE_NEAREST && (t == MAAS_STRING || t == MAAS_BOOL))
        return maas_fail(err, MAAS_E_INVALID, "elements of type %s have no values in between",
                         maas_dtype_describe((maas_dtype)t)->onnx);
    return MAAS_OK;
}

static maas_status resize_infer(maas_infer *q, maas_err *err)
{
    maas_resize r;
    MAAS_TRY(maas_resize_attrs(q->node, &r, err));
    MAAS_TRY(check_element(q, &r, err));
    q->out[0] = q->in[0];
    for (int i = 1; i < 4; i++)
        if (maas_q_has(q, i) && q->in[i].rank >= 0 && q->in[i].rank != 1)
            return maas_fail(err, MAAS_E_INVALID, "roi, scales and sizes must have rank 1");
    if (q->in[0].rank < 0)
        return MAAS_OK;
    for (int i = 1; i < 4; i++)
        if (maas_q_has(q, i) && (q->in[i].rank < 0 || q->in[i].dims[0] < 0))
            return open_axes(q, err);
    if (!sizes_known(q)) {
        MAAS_TRY(open_axes(q, err));
        symbolic_sizes(q, &r);
        return MAAS_OK;
    }
    MAAS_TRY(plan_without_roi(q, &r, err));
    for (int i = 0; i < r.rank; i++)
        q->out[0].dims[i] = r.axis[i].out;
    return MAAS_OK;
}

/* ---- walking over weights ---- */

/* The place in the output, and the inputs that make it along each axis. */
typedef struct spot {
    const maas_resize *r;
    int64_t idx[MAAS_MAX_RANK], stride[MAAS_MAX_RANK]; /* stride: of the input */
    maas_resize_at at[MAAS_MAX_RANK];
} spot;

static void spot_init(spot *s, const maas_resize *r)
{
    int64_t stride = 1;
    s->r = r;
    for (int i = r->rank - 1; i >= 0; i--) {
        s->stride[i] = stride;
        stride *= r->axis[i].in;
        s->idx[i] = 0;
        s->at[i] = maas_resize_look(r, i, 0);
    }
}

static void spot_step(spot *s)
{
    for (int i = s->r->rank - 1; i >= 0; i--) {
        const bool wraps = ++s->idx[i] == s->r->axis[i].out;
        if (wraps)
            s->idx[i] = 0;
        s->at[i] = maas_resize_look(s->r, i, s->idx[i]);
        if (!wraps)
            return;
    }
}

static bool spot_outside(const spot *s)
{
    for (int i = 0; i < s->r->rank; i++)
        if (s->at[i].outside)
            return true;
    return false;
}

/* One input element of a spot: k counts along each axis. */
static int64_t tap_of(const spot *s, const int *k, double *weight)
{
    int64_t from = 0;
    *weight = 1;
    for (int i = 0; i < s->r->rank; i++) {
        from += maas_resize_input(s->r, i, &s->at[i], k[i]) * s->stride[i];
        *weight *= maas_resize_weight(s->r, i, &s->at[i], k[i]);
    }
    return from;
}

static bool tap_step(const spot *s, int *k)
{
    for (int i = s->r->rank - 1; i >= 0; i--) {
        if (++k[i] < s->at[i].n)
            return true;
        k[i] = 0;
    }
    return false;
}

/* ---- reference code ---- */

static void store(const maas_tensor *y, int64_t i, double v)
{
    const maas_dtype_info *d = maas_dtype_describe((maas_dtype)y->dtype);
    if (d->kind == MAAS_KIND_INT || d->kind == MAAS_KIND_UINT) {
        const int bits = d->bits - (d->kind == MAAS_KIND_INT);
        const double hi = ldexp(1, bits) - 1, lo = d->kind == MAAS_KIND_INT ? -ldexp(1, bits) : 0;
        v = isnan(v) ? 0 : fmin(fmax(rint(v), lo), hi);
    }
    maas_st(y, i, v);
}

static void interpolate(const spot *s, const maas_tensor *x, const maas_tensor *y, int64_t i)
{
    int k[MAAS_MAX_RANK] = {0};
    double sum = 0, w;
    do {
        const int64_t from = tap_of(s, k, &w);
        sum += w != 0 ? w * maas_ld(x, from) : 0;
    } while (tap_step(s, k));
    store(y, i, sum);
}

static void copy_nearest(const spot *s, const maas_tensor *x, const maas_tensor *y, int64_t i)
{
    const int k[MAAS_MAX_RANK] = {0};
    const size_t elem = maas_dtype_size((maas_dtype)x->dtype);
    double w;
    memcpy((char *)y->data + (size_t)i * elem,
           (const char *)x->data + (size_t)tap_of(s, k, &w) * elem, elem);
}

static void fill_outside(const maas_resize *r, const maas_tensor *y, int64_t i)
{
    if (y->dtype == MAAS_STRING)
        ((maas_str *)y->data)[i] = (maas_str){"", 0};
    else
        store(y, i, r->fill);
}

static maas_status same_shape(const maas_resize *r, const maas_tensor *y, maas_err *err)
{
    bool same = y->rank == r->rank;
    for (int i = 0; same && i < y->rank; i++)
        same = y->dims[i] == r->axis[i].out;
    if (!same)
        return maas_fail(err, MAAS_E_INVALID,
                         "Resize: scales or sizes ask for another shape than "
                         "the one that was planned");
    return MAAS_OK;
}

static maas_status resize_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *y = &c->out[0];
    maas_resize r;
    spot s;
    MAAS_TRY(
        maas_resize_plan(c->node, x, maas_c_in(c, 1), maas_c_in(c, 2), maas_c_in(c, 3), &r, err));
    MAAS_TRY(same_shape(&r, y, err));
    const int64_t n = maas_n_elems(y);
    if (n == 0)
        return MAAS_OK;
    spot_init(&s, &r);
    for (int64_t i = 0; i < n; i++, spot_step(&s)) {
        if (spot_outside(&s))
            fill_outside(&r, y, i);
        else if (r.mode == MAAS_RESIZE_NEAREST)
            copy_nearest(&s, x, y, i);
        else
            interpolate(&s, x, y, i);
    }
    return MAAS_OK;
}

static int64_t resize_flops(const maas_call *c)
{
    const maas_str mode = maas_attr_s(c->node, "mode", "nearest");
    return mode.n && mode.p[0] == 'n' ? 0 : 8 * maas_n_elems(&c->out[0]);
}

/* ---- ResizeGrad (ai.maas): inputs (dY, shape of X, roi, scales, sizes), attributes of Resize ----
 */

static void resize_gradient(maas_grad *g)
{
    const maas_node *n = g->node;
    maas_vid in[5] = {g->dout[0], MAAS_NO_VALUE, MAAS_NO_VALUE, MAAS_NO_VALUE, MAAS_NO_VALUE};
    if (!g->want[0])
        return;
    in[1] = maas_b_op1(g->b, "Shape", n->in[0]);
    for (int i = 1; i < n->n_in; i++)
        in[i + 1] = n->in[i];
    g->din[0] = maas_b_node(g->b, "ResizeGrad", n->attr, n->n_attr, in, 1u + n->n_in, NULL, 1);
}

static maas_status resize_grad_infer(maas_infer *q, maas_err *err)
{
    const maas_known *k = &q->in_known[1];
    maas_resize r;
    MAAS_TRY(maas_resize_attrs(q->node, &r, err));
    if (k->n < 0) {
        maas_q_unranked(q, 0, (maas_dtype)q->in[0].dtype);
        return MAAS_OK;
    }
    if (k->n > MAAS_MAX_RANK)
        return maas_fail(err, MAAS_E_INVALID, "a shape of %d sizes", k->n);
    for (int i = 0; i < k->n; i++)
        if (k->exact && k->v[i] < 0)
            return maas_fail(err, MAAS_E_INVALID, "size %lld is negative", (long long)k->v[i]);
    maas_q_out(q, 0, (maas_dtype)q->in[0].dtype, k->n, k->v);
    return MAAS_OK;
}

static maas_status resize_grad_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *dy = &c->in[0], *dx = &c->out[0];
    const int64_t n = maas_n_elems(dy);
    maas_resize r;
    spot s;
    MAAS_TRY(maas_ref_check(c, err));
    MAAS_TRY(
        maas_resize_plan(c->node, dx, maas_c_in(c, 2), maas_c_in(c, 3), maas_c_in(c, 4), &r, err));
    MAAS_TRY(same_shape(&r, dy, err));
    memset(dx->data, 0, maas_tensor_bytes(dx));
    if (n == 0)
        return MAAS_OK;
    spot_init(&s, &r);
    for (int64_t i = 0; i < n; i++, spot_step(&s)) {
        int k[MAAS_MAX_RANK] = {0};
        double w;
        if (spot_outside(&s))
            continue;
        do {
            const int64_t to = tap_of(&s, k, &w);
            maas_st(dx, to, maas_ld(dx, to) + w * maas_ld(dy, i));
        } while (tap_step(&s, k));
    }
    return MAAS_OK;
}

/* ---- examples ---- */

typedef struct sample {
    const char *mode, *coordinates, *nearest;
    int rank;
    int64_t dims[5], sizes[5]; /* sizes 0: by scales */
    double scales[5];
    int antialias, exclude, axes; /* axes: sizes or scales are of the last two alone */
    const char *policy;
    double roi[4];
} sample;

static const sample samples[] = {
    {"nearest", NULL, NULL, 4, {1, 2, 3, 4}, {0}, {1, 1, 2, 2}, 0, 0, 0, NULL, {0}},
    {"linear", NULL, NULL, 4, {1, 2, 5, 9}, {0}, {1, 1, 2, 2}, 0, 0, 0, NULL, {0}},
    {"linear", NULL, NULL, 4, {2, 3, 8, 21}, {2, 3, 3, 17}, {0}, 1, 0, 0, NULL, {0}},
    {"linear", "align_corners", NULL, 3, {2, 4, 7}, {2, 9, 20}, {0}, 0, 0, 0, NULL, {0}},
    {"cubic", "asymmetric", NULL, 2, {6, 7}, {0}, {0.8, 1.7}, 0, 1, 0, NULL, {0}},
    {"cubic", "half_pixel_symmetric", NULL, 4, {1, 1, 9, 8}, {4, 5}, {0}, 1, 1, 1, NULL, {0}},
    {"nearest",
     "asymmetric",
     "floor",
     5,
     {1, 2, 2, 3, 2},
     {1, 2, 3, 4, 6},
     {0},
     0,
     0,
     0,
     NULL,
     {0}},
    {"nearest", "half_pixel", "ceil", 4, {1, 1, 7, 9}, {5, 5}, {0}, 0, 0, 1, "not_larger", {0}},
    {"linear", "pytorch_half_pixel", NULL, 1, {9}, {4}, {0}, 0, 0, 0, "not_smaller", {0}},
    {"linear",
     "tf_crop_and_resize",
     NULL,
     4,
     {1, 1, 6, 6},
     {4, 3},
     {0},
     0,
     0,
     1,
     NULL,
     {0.2, 0.1, 0.7, 1.3}},
    {"nearest", "align_corners", "round_prefer_ceil", 2, {4, 5}, {7, 3}, {0}, 0, 0, 0, NULL, {0}},
    {"linear", NULL, NULL, 4, {0, 2, 3, 4}, {0}, {1, 1, 2, 2}, 0, 0, 0, NULL, {0}},
};
#define N_SAMPLES ((int)MAAS_COUNT(samples))

static uint32_t sample_attrs(const sample *s, maas_attr *a)
{
    static const int64_t last_two[] = {-2, -1};
    uint32_t n = 0;
    a[n++] = MAAS_A_STR("mode", s->mode);
    if (s->coordinates)
        a[n++] = MAAS_A_STR("coordinate_transformation_mode", s->coordinates);
    if (s->nearest)
        a[n++] = MAAS_A_STR("nearest_mode", s->nearest);
    if (s->policy)
        a[n++] = MAAS_A_STR("keep_aspect_ratio_policy", s->policy);
    if (s->axes)
        a[n++] = MAAS_A_INTS("axes", last_two, 2);
    a[n++] = MAAS_A_INT("antialias", s->antialias);
    a[n++] = MAAS_A_INT("exclude_outside", s->exclude);
    a[n++] = MAAS_A_FLOAT("extrapolation_value", 0.5f);
    return n;
}

/* roi, scales and sizes into in[0..2]. */
static void sample_inputs(maas_builder *b, const sample *s, maas_vid *in)
{
    const int n = s->axes ? 2 : s->rank;
    in[0] = s->roi[2] != 0 ? maas_b_vector(b, MAAS_F32, s->roi, 4) : MAAS_NO_VALUE;
    in[1] = s->scales[0] != 0 ? maas_b_vector(b, MAAS_F32, s->scales, n) : MAAS_NO_VALUE;
    in[2] = s->scales[0] != 0 ? MAAS_NO_VALUE : maas_b_i64s(b, s->sizes, n);
}

static void resize_example(maas_example *e)
{
    const int k = e->variant;
    const sample *s = &samples[k < 2 * N_SAMPLES ? k / 2 : k - 2 * N_SAMPLES];
    const maas_dtype t = k < 2 * N_SAMPLES ? maas_ex_float(e) : MAAS_U8;
    maas_attr a[8];
    const uint32_t n = sample_attrs(s, a);
    maas_vid in[4] = {maas_ex_in(e, t, 0, t == MAAS_U8 ? 255 : 2, s->rank, s->dims)};
    sample_inputs(e->b, s, in + 1);
    maas_b_node(e->b, "Resize", a, n, in, in[3] == MAAS_NO_VALUE ? 3 : 4, NULL, 1);
}

static void resize_grad_example(maas_example *e)
{
    const sample *s = &samples[1 + e->variant / 2];
    maas_attr a[8];
    const uint32_t n = sample_attrs(s, a);
    int64_t out[5];
    for (int i = 0; i < s->rank; i++)
        out[i] = s->scales[0] != 0 ? (int64_t)(s->scales[i] * (double)s->dims[i]) : s->sizes[i];
    maas_vid in[5] = {maas_ex_in(e, maas_ex_float(e), -2, 2, s->rank, out),
                      maas_b_i64s(e->b, s->dims, s->rank)};
    sample_inputs(e->b, s, in + 2);
    maas_b_node(e->b, "ResizeGrad", a, n, in, in[4] == MAAS_NO_VALUE ? 4 : 5, NULL, 1);
}

static const maas_io_schema in[] = {
    MAAS_REQ("X", "T1", MAAS_DTS_ALL), MAAS_OPT("roi", NULL, MAAS_DTS_FLOAT),
    MAAS_OPT("scales", NULL, MAAS_DT_BIT(MAAS_F32)), MAAS_OPT("sizes", NULL, MAAS_DTS_I64)};
static const maas_io_schema out[] = {MAAS_REQ("Y", "T1", MAAS_DTS_ALL)};
static const maas_io_schema grad_in[] = {
    MAAS_REQ("dY", "T1", MAAS_DTS_FLOAT), MAAS_REQ("shape", NULL, MAAS_DTS_I64),
    MAAS_OPT("roi", NULL, MAAS_DTS_FLOAT), MAAS_OPT("scales", NULL, MAAS_DT_BIT(MAAS_F32)),
    MAAS_OPT("sizes", NULL, MAAS_DTS_I64)};
static const maas_io_schema grad_out[] = {MAAS_REQ("dX", "T1", MAAS_DTS_FLOAT)};
static const maas_attr_schema attrs[] = {
    {"antialias", MAAS_ATTR_INT, false},
    {"axes", MAAS_ATTR_INTS, false},
    {"coordinate_transformation_mode", MAAS_ATTR_STRING, false},
    {"cubic_coeff_a", MAAS_ATTR_FLOAT, false},
    {"exclude_outside", MAAS_ATTR_INT, false},
    {"extrapolation_value", MAAS_ATTR_FLOAT, false},
    {"keep_aspect_ratio_policy", MAAS_ATTR_STRING, false},
    {"mode", MAAS_ATTR_STRING, false},
    {"nearest_mode", MAAS_ATTR_STRING, false}};

const maas_op maas_op_Resize = {
    .domain = "",
    .name = "Resize",
    .since = 19,
    .flags = MAAS_OP_STRINGS,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 2 * N_SAMPLES + 2,
    .tolerance = 1e-5,
    .infer = resize_infer,
    .reference = resize_reference,
    .flops = resize_flops,
    .example = resize_example,
    .gradient = resize_gradient,
};

const maas_op maas_op_ResizeGrad = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "ResizeGrad",
    .since = 1,
    MAAS_SCHEMA(grad_in, grad_out),
    MAAS_ATTRS(attrs),
    .n_examples = 6,
    .tolerance = 1e-5,
    .infer = resize_grad_infer,
    .reference = resize_grad_reference,
    .flops = resize_flops,
    .example = resize_grad_example,
    .no_gradient = MAAS_SECOND_ORDER,
};
