/* MaxRoiPool - each region of interest, rounded to whole elements, cut to bins; the maximum of
 * each. */
#include "ops/ops_int.h"

#include "base/ban.h"

static maas_status read_bins(const maas_node *n, int64_t *h, int64_t *w, maas_err *err)
{
    uint32_t count;
    const int64_t *shape = maas_attr_ints(n, "pooled_shape", &count);
    if (count != 2 || shape[0] < 1 || shape[1] < 1 || shape[0] > INT32_MAX || shape[1] > INT32_MAX)
        return maas_fail(err, MAAS_E_INVALID, "pooled_shape must be two positive numbers");
    if (!isfinite(maas_attr_f(n, "spatial_scale", 1)))
        return maas_fail(err, MAAS_E_INVALID, "spatial_scale must be a number");
    *h = shape[0];
    *w = shape[1];
    return MAAS_OK;
}

static maas_status roi_pool_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0], *rois = &q->in[1];
    int64_t h, w, ignored;
    MAAS_TRY(read_bins(q->node, &h, &w, err));
    if ((x->rank >= 0 && x->rank != 4) || (rois->rank >= 0 && rois->rank != 2))
        return maas_fail(err, MAAS_E_INVALID, "X and rois have rank %d and %d, not 4 and 2",
                         x->rank, rois->rank);
    if (rois->rank == 2)
        MAAS_TRY(maas_dim_same(rois->dims[1], 5, &ignored, "numbers of a region", err));
    const int64_t dims[4] = {rois->rank == 2 ? rois->dims[0] : MAAS_DIM_UNKNOWN,
                             x->rank == 4 ? x->dims[1] : MAAS_DIM_UNKNOWN, h, w};
    maas_q_out(q, 0, (maas_dtype)x->dtype, 4, dims);
    return MAAS_OK;
}

/* One axis of a region in whole elements, and its bins. */
typedef struct span1 {
    double from, size;
} span1;

static maas_status span_of(double lo, double hi, double scale, span1 *s, maas_err *err)
{
    const double a = round(lo * scale), b = round(hi * scale);
    if (!(fabs(a) < 0x1p50) || !(fabs(b) < 0x1p50))
        return maas_fail(err, MAAS_E_INVALID, "MaxRoiPool: a region is out of range");
    *s = (span1){a, fmax(b - a + 1, 1)};
    return MAAS_OK;
}

static void bin_of(const span1 *s, int64_t bin, int64_t bins, int64_t n, int64_t *from, int64_t *to)
{
    const double a = floor((double)bin * s->size / (double)bins) + s->from;
    const double b = ceil((double)(bin + 1) * s->size / (double)bins) + s->from;
    *from = (int64_t)fmin(fmax(a, 0), (double)n);
    *to = (int64_t)fmin(fmax(b, 0), (double)n);
}

static double largest(const maas_tensor *x, int64_t plane, const int64_t y[2], const int64_t z[2])
{
    double best = -INFINITY;
    for (int64_t i = y[0]; i < y[1]; i++)
        for (int64_t j = z[0]; j < z[1]; j++) {
            const double v = maas_ld(x, plane + i * x->dims[3] + j);
            best = v > best ? v : best;
        }
    return y[0] < y[1] && z[0] < z[1] ? best : 0;
}

static maas_status roi_pool_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *rois = &c->in[1], *y = &c->out[0];
    const double scale = (double)maas_attr_f(c->node, "spatial_scale", 1);
    const int64_t channels = x->dims[1], h = y->dims[2], w = y->dims[3];
    for (int64_t roi = 0; roi < rois->dims[0]; roi++) {
        const double batch = maas_ld(rois, roi * 5);
        int64_t image, rows[2], cols[2];
        span1 sy = {0}, sx = {0};
        if (!(fabs(batch) < 0x1p50))
            return maas_fail(err, MAAS_E_INVALID, "MaxRoiPool: an image index is out of range");
        MAAS_TRY(maas_ref_index((int64_t)batch, x->dims[0], &image, err));
        MAAS_TRY(span_of(maas_ld(rois, roi * 5 + 1), maas_ld(rois, roi * 5 + 3), scale, &sx, err));
        MAAS_TRY(span_of(maas_ld(rois, roi * 5 + 2), maas_ld(rois, roi * 5 + 4), scale, &sy, err));
        for (int64_t i = 0; i < channels * h * w; i++) {
            bin_of(&sy, i / w % h, h, x->dims[2], &rows[0], &rows[1]);
            bin_of(&sx, i % w, w, x->dims[3], &cols[0], &cols[1]);
            const int64_t plane = (image * channels + i / (h * w)) * x->dims[2] * x->dims[3];
            maas_st(y, roi * channels * h * w + i, largest(x, plane, rows, cols));
        }
    }
    return MAAS_OK;
}

static void roi_pool_example(maas_example *e)
{
    static const int64_t bins[] = {2, 3};
    const int n = e->variant / 2 ? 0 : 3;
    const maas_dtype t = maas_ex_float(e);
    const maas_attr a[] = {MAAS_A_INTS("pooled_shape", bins, 2),
                           MAAS_A_FLOAT("spatial_scale", 0.5f)};
    /* the number of the image is one of the drawn numbers: one image alone, and all below 1 */
    const maas_vid in[2] = {maas_ex_in(e, t, -2, 2, MAAS_DIMS(1, 3, 7, 8)),
                            maas_ex_in(e, t, 0, 0.999, MAAS_DIMS(n, 5))};
    maas_b_node(e->b, "MaxRoiPool", a, 2, in, 2, NULL, 1);
}

static const maas_io_schema in[] = {MAAS_REQ("X", "T", MAAS_DTS_FLOAT),
                                    MAAS_REQ("rois", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema out[] = {MAAS_REQ("Y", "T", MAAS_DTS_FLOAT)};
static const maas_attr_schema attrs[] = {{"pooled_shape", MAAS_ATTR_INTS, true},
                                         {"spatial_scale", MAAS_ATTR_FLOAT, false}};

const maas_op maas_op_MaxRoiPool = {
    .domain = "",
    .name = "MaxRoiPool",
    .since = 1,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 4,
    .infer = roi_pool_infer,
    .reference = roi_pool_reference,
    .flops = maas_flops_out,
    .example = roi_pool_example,
    .no_gradient = "backward of sampling at computed places is not written",
};
