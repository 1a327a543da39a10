/* RoiAlign - each region of interest cut to a fixed number of bins; a bin is the mean (or the
 * maximum) of points sampled in it between the elements of the image. */
#include "ops/ops_int.h"

#include "base/ban.h"

#define MAX_RATIO 256 /* sampled points of a bin along one axis */

typedef struct settings {
    bool max, half_pixel;
    int64_t height, width, ratio;
    double scale;
} settings;

static bool is_word(maas_str s, const char *word)
{
    return s.n == strlen(word) && memcmp(s.p, word, s.n) == 0;
}

static maas_status read_settings(const maas_node *n, settings *s, maas_err *err)
{
    const maas_str mode = maas_attr_s(n, "mode", "avg");
    const maas_str place = maas_attr_s(n, "coordinate_transformation_mode", "half_pixel");
    *s = (settings){is_word(mode, "max"),
                    is_word(place, "half_pixel"),
                    maas_attr_i(n, "output_height", 1),
                    maas_attr_i(n, "output_width", 1),
                    maas_attr_i(n, "sampling_ratio", 0),
                    (double)maas_attr_f(n, "spatial_scale", 1)};
    if (!s->max && !is_word(mode, "avg"))
        return maas_fail(err, MAAS_E_INVALID, "mode must be avg or max");
    if (!s->half_pixel && !is_word(place, "output_half_pixel"))
        return maas_fail(err, MAAS_E_INVALID,
                         "coordinate_transformation_mode must be half_pixel or output_half_pixel");
    if (s->height < 1 || s->width < 1 || s->height > INT32_MAX || s->width > INT32_MAX)
        return maas_fail(err, MAAS_E_INVALID, "output_height and output_width must be positive");
    if (s->ratio < 0 || s->ratio > MAX_RATIO)
        return maas_fail(err, MAAS_E_INVALID, "sampling_ratio must be between 0 and %d", MAX_RATIO);
    if (!isfinite(s->scale))
        return maas_fail(err, MAAS_E_INVALID, "spatial_scale must be a number");
    return MAAS_OK;
}

static maas_status roi_align_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0], *rois = &q->in[1], *batch = &q->in[2];
    settings s;
    int64_t n = MAAS_DIM_UNKNOWN, ignored;
    MAAS_TRY(read_settings(q->node, &s, err));
    if ((x->rank >= 0 && x->rank != 4) || (rois->rank >= 0 && rois->rank != 2) ||
        (batch->rank >= 0 && batch->rank != 1))
        return maas_fail(err, MAAS_E_INVALID,
                         "X, rois and batch_indices have rank %d, %d and %d, "
                         "not 4, 2 and 1",
                         x->rank, rois->rank, batch->rank);
    if (rois->rank == 2) {
        MAAS_TRY(maas_dim_same(rois->dims[1], 4, &ignored, "corners of a region", err));
        n = rois->dims[0];
    }
    if (rois->rank == 2 && batch->rank == 1)
        MAAS_TRY(maas_dim_same(n, batch->dims[0], &n, "rois and batch_indices", err));
    const int64_t dims[4] = {n, x->rank == 4 ? x->dims[1] : MAAS_DIM_UNKNOWN, s.height, s.width};
    maas_q_out(q, 0, (maas_dtype)x->dtype, 4, dims);
    return MAAS_OK;
}

/* ---- reference code ---- */

/* One axis of a region. */
typedef struct span1 {
    double from, bin, grid; /* grid: points of a bin */
} span1;

static maas_status span_of(const settings *s, double lo, double hi, int64_t bins, span1 *out,
                           maas_err *err)
{
    const double from = lo * s->scale - (s->half_pixel ? 0.5 : 0);
    double size = (hi - lo) * s->scale;
    if (!s->half_pixel && size < 1)
        size = 1;
    if (!(fabs(from) < 0x1p50) || !(fabs(size) < 0x1p50))
        return maas_fail(err, MAAS_E_INVALID, "RoiAlign: a region is out of range");
    *out = (span1){from, size / (double)bins, 0};
    out->grid = s->ratio ? (double)s->ratio : ceil(out->bin);
    if (out->grid < 0)
        out->grid = 0;
    return MAAS_OK;
}

/* The two elements around a point, and the weight of the second; false: outside of the image. */
typedef struct between {
    int64_t low, high;
    double part;
} between;

static bool look(double at, int64_t n, between *b)
{
    if (!(at >= -1) || !(at <= (double)n) || n < 1)
        return false;
    at = at < 0 ? 0 : at;
    b->low = (int64_t)at;
    b->high = b->low + 1;
    b->part = at - (double)b->low;
    if (b->low >= n - 1)
        *b = (between){n - 1, n - 1, 0};
    return true;
}

/* Points outside of the image add nothing: of a region however large, only those inside count. */
static void inside(const span1 *s, int64_t bin, int64_t n, int64_t *first, int64_t *end)
{
    const double start = s->from + (double)bin * s->bin, step = s->bin / s->grid;
    double a = 0, b = s->grid;
    if (step > 0) {
        a = fmax(a, floor((-1 - start) / step - 1.5));
        b = fmin(b, ceil(((double)n - start) / step + 1.5));
    }
    *first = (int64_t)a;
    *end = b > a ? (int64_t)b : *first;
}

static double point(const span1 *s, int64_t bin, int64_t i)
{
    return s->from + (double)bin * s->bin + ((double)i + 0.5) * s->bin / s->grid;
}

typedef struct pool {
    const settings *s;
    const maas_tensor *x;
    int64_t plane, h, w;
    span1 y_span, x_span;
} pool;

static double mix(const pool *p, const between *y, const between *x)
{
    const double v[4] = {
        (1 - y->part) * (1 - x->part) * maas_ld(p->x, p->plane + y->low * p->w + x->low),
        (1 - y->part) * x->part * maas_ld(p->x, p->plane + y->low * p->w + x->high),
        y->part * (1 - x->part) * maas_ld(p->x, p->plane + y->high * p->w + x->low),
        y->part * x->part * maas_ld(p->x, p->plane + y->high * p->w + x->high)};
    /* the standard's maximum is that of the four weighted elements */
    return p->s->max ? fmax(fmax(v[0], v[1]), fmax(v[2], v[3])) : v[0] + v[1] + v[2] + v[3];
}

static double pool_bin(const pool *p, int64_t by, int64_t bx)
{
    const double count = p->y_span.grid * p->x_span.grid;
    int64_t y0, y1, x0, x1;
    double seen = 0, sum = 0, best = -INFINITY;
    inside(&p->y_span, by, p->h, &y0, &y1);
    inside(&p->x_span, bx, p->w, &x0, &x1);
    for (int64_t i = y0; i < y1; i++)
        for (int64_t j = x0; j < x1; j++) {
            between y, x;
            if (!look(point(&p->y_span, by, i), p->h, &y) ||
                !look(point(&p->x_span, bx, j), p->w, &x))
                continue;
            const double v = mix(p, &y, &x);
            seen++;
            sum += v;
            best = v > best ? v : best;
        }
    if (p->s->max)
        return seen == 0 ? 0 : seen < count && best < 0 ? 0 : best;
    return count > 1 ? sum / count : sum;
}

static maas_status pool_roi(const maas_call *c, const settings *s, int64_t roi, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *rois = &c->in[1], *y = &c->out[0];
    const int64_t channels = x->dims[1], bins = s->height * s->width;
    pool p = {.s = s, .x = x, .h = x->dims[2], .w = x->dims[3]};
    int64_t image;
    MAAS_TRY(maas_ref_index(maas_tensor_get_i64(&c->in[2], roi), x->dims[0], &image, err));
    MAAS_TRY(span_of(s, maas_ld(rois, roi * 4 + 1), maas_ld(rois, roi * 4 + 3), s->height,
                     &p.y_span, err));
    MAAS_TRY(
        span_of(s, maas_ld(rois, roi * 4), maas_ld(rois, roi * 4 + 2), s->width, &p.x_span, err));
    for (int64_t k = 0; k < channels; k++)
        for (int64_t i = 0; i < bins; i++) {
            p.plane = (image * channels + k) * p.h * p.w;
            maas_st(y, (roi * channels + k) * bins + i, pool_bin(&p, i / s->width, i % s->width));
        }
    return MAAS_OK;
}

static maas_status roi_align_reference(const maas_call *c, maas_err *err)
{
    settings s;
    MAAS_TRY(read_settings(c->node, &s, err));
    for (int64_t i = 0; i < c->in[1].dims[0]; i++)
        MAAS_TRY(pool_roi(c, &s, i, err));
    return MAAS_OK;
}

static int64_t roi_align_flops(const maas_call *c)
{
    return 32 * maas_n_elems(&c->out[0]);
}

static void roi_align_example(maas_example *e)
{
    const int k = e->variant / 2, n = k == 3 ? 0 : 3;
    const maas_dtype t = maas_ex_float(e);
    const maas_attr a[] = {
        MAAS_A_INT("output_height", 2),
        MAAS_A_INT("output_width", 3),
        MAAS_A_INT("sampling_ratio", k == 1 ? 2 : 0),
        MAAS_A_FLOAT("spatial_scale", 0.5f),
        MAAS_A_STR("mode", k == 1 ? "max" : "avg"),
        MAAS_A_STR("coordinate_transformation_mode", k == 2 ? "output_half_pixel" : "half_pixel")};
    const maas_vid in[3] = {maas_ex_in(e, t, -2, 2, MAAS_DIMS(2, 3, 7, 8)),
                            maas_ex_in(e, t, -4, 20, MAAS_DIMS(n, 4)),
                            maas_ex_in(e, MAAS_I64, 0, 2, MAAS_DIMS(n))};
    maas_b_node(e->b, "RoiAlign", a, MAAS_COUNT(a), in, 3, NULL, 1);
}

static const maas_io_schema in[] = {MAAS_REQ("X", "T1", MAAS_DTS_FLOAT),
                                    MAAS_REQ("rois", "T1", MAAS_DTS_FLOAT),
                                    MAAS_REQ("batch_indices", NULL, MAAS_DTS_I64)};
static const maas_io_schema out[] = {MAAS_REQ("Y", "T1", MAAS_DTS_FLOAT)};
static const maas_attr_schema attrs[] = {
    {"coordinate_transformation_mode", MAAS_ATTR_STRING, false},
    {"mode", MAAS_ATTR_STRING, false},
    {"output_height", MAAS_ATTR_INT, false},
    {"output_width", MAAS_ATTR_INT, false},
    {"sampling_ratio", MAAS_ATTR_INT, false},
    {"spatial_scale", MAAS_ATTR_FLOAT, false}};

const maas_op maas_op_RoiAlign = {
    .domain = "",
    .name = "RoiAlign",
    .since = 16,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 8,
    .tolerance = 1e-5,
    .infer = roi_align_infer,
    .reference = roi_align_reference,
    .flops = roi_align_flops,
    .example = roi_align_example,
    .no_gradient = "backward of sampling at computed places is not written",
};
