/* From the attributes and small inputs of a Resize to weights: see resize.h. */
#include "ops/resize.h"

#include "ops/ops_int.h"

#include "base/ban.h"

enum { HALF_PIXEL, SYMMETRIC, PYTORCH, ALIGN_CORNERS, ASYMMETRIC, CROP };
enum { PREFER_FLOOR, PREFER_CEIL, FLOOR, CEIL };
enum { STRETCH, NOT_LARGER, NOT_SMALLER };
static const char *const modes[] = {"nearest", "linear", "cubic", NULL};
static const char *const coordinates[] = {"half_pixel",
                                          "half_pixel_symmetric",
                                          "pytorch_half_pixel",
                                          "align_corners",
                                          "asymmetric",
                                          "tf_crop_and_resize",
                                          NULL};
static const char *const nearests[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil",
                                       NULL};
static const char *const policies[] = {"stretch", "not_larger", "not_smaller", NULL};

#define MAX_TAPS (1 << 24) /* of one element; an axis that shrinks more is refused */

static maas_status choice(const maas_node *n, const char *name, const char *const *words, int *out,
                          maas_err *err)
{
    maas_str s = maas_attr_s(n, name, words[0]);
    for (int i = 0; words[i]; i++)
        if (s.n == strlen(words[i]) && memcmp(s.p, words[i], s.n) == 0) {
            *out = i;
            return MAAS_OK;
        }
    return maas_fail(err, MAAS_E_INVALID, "%s '%.*s' is not known", name,
                     (int)(s.n < 40 ? s.n : 40), s.p);
}

maas_status maas_resize_attrs(const maas_node *n, maas_resize *r, maas_err *err)
{
    int policy;
    *r = (maas_resize){.antialias = maas_attr_i(n, "antialias", 0) != 0,
                       .exclude_outside = maas_attr_i(n, "exclude_outside", 0) != 0,
                       .cubic_a = (double)maas_attr_f(n, "cubic_coeff_a", -0.75f),
                       .fill = (double)maas_attr_f(n, "extrapolation_value", 0)};
    MAAS_TRY(choice(n, "mode", modes, &r->mode, err));
    MAAS_TRY(choice(n, "coordinate_transformation_mode", coordinates, &r->coordinates, err));
    MAAS_TRY(choice(n, "nearest_mode", nearests, &r->nearest, err));
    MAAS_TRY(choice(n, "keep_aspect_ratio_policy", policies, &policy, err));
    r->keep_aspect = policy != STRETCH;
    if (r->antialias && r->mode == MAAS_RESIZE_NEAREST)
        return maas_fail(err, MAAS_E_INVALID, "antialias is for modes linear and cubic");
    return MAAS_OK;
}

/* ---- sizes ---- */

/* The axes that scales, sizes and roi speak of: how many; -1: all. */
static maas_status axes_of(const maas_node *n, int rank, int *axes, int *n_axes, maas_err *err)
{
    uint32_t count, mask;
    const int64_t *given = maas_attr_ints(n, "axes", &count);
    *n_axes = given ? (int)count : rank;
    if (count > MAAS_MAX_RANK)
        return maas_fail(err, MAAS_E_INVALID, "%u axes are too many", count);
    if (given)
        MAAS_TRY(maas_axes(given, (int)count, rank, &mask, err));
    for (int i = 0; i < *n_axes; i++)
        axes[i] = given ? (int)(given[i] < 0 ? given[i] + rank : given[i]) : i;
    return MAAS_OK;
}

static maas_status check_count(const maas_tensor *t, int n, const char *what, maas_err *err)
{
    if (t->rank != 1 || t->dims[0] != n)
        return maas_fail(err, MAAS_E_INVALID, "%s must have %d entries", what, n);
    return MAAS_OK;
}

static maas_status by_scales(maas_resize *r, const maas_tensor *scales, const int *axes, int n,
                             maas_err *err)
{
    MAAS_TRY(check_count(scales, n, "scales", err));
    for (int i = 0; i < n; i++) {
        maas_resize_axis *a = &r->axis[axes[i]];
        const double s = maas_tensor_get(scales, i);
        if (!(s > 0) || !isfinite(s))
            return maas_fail(err, MAAS_E_INVALID, "scale %d must be above 0", i);
        /* in floats, as everybody else does: 10 * 0.7f are 7 */
        const float out = floorf((float)a->in * (float)s);
        if (!(out < 0x1p40f))
            return maas_fail(err, MAAS_E_INVALID, "scale %d makes axis %d too large", i, axes[i]);
        a->scale = s;
        a->out = (int64_t)out;
    }
    return MAAS_OK;
}

static maas_status keep_aspect(maas_resize *r, const maas_node *n, const int *axes, int n_axes,
                               maas_err *err)
{
    int policy = STRETCH;
    double scale = 0;
    MAAS_TRY(choice(n, "keep_aspect_ratio_policy", policies, &policy, err));
    for (int i = 0; i < n_axes && policy != STRETCH; i++) {
        const double s = r->axis[axes[i]].scale;
        const bool better = policy == NOT_LARGER ? s < scale : s > scale;
        scale = i == 0 || better ? s : scale;
    }
    for (int i = 0; i < n_axes && policy != STRETCH; i++) {
        maas_resize_axis *a = &r->axis[axes[i]];
        const double out = floor(scale * (double)a->in + 0.5);
        if (!(out < 0x1p40))
            return maas_fail(err, MAAS_E_INVALID, "sizes make axis %d too large", axes[i]);
        a->scale = scale;
        a->out = (int64_t)out;
    }
    return MAAS_OK;
}

static maas_status by_sizes(maas_resize *r, const maas_node *node, const maas_tensor *sizes,
                            const int *axes, int n, maas_err *err)
{
    MAAS_TRY(check_count(sizes, n, "sizes", err));
    for (int i = 0; i < n; i++) {
        maas_resize_axis *a = &r->axis[axes[i]];
        a->out = maas_tensor_get_i64(sizes, i);
        if (a->out < 0 || a->out > 1ll << 40)
            return maas_fail(err, MAAS_E_INVALID, "size %d is out of range", i);
        a->scale = a->in ? (double)a->out / (double)a->in : 1;
    }
    return keep_aspect(r, node, axes, n, err);
}

static maas_status take_roi(maas_resize *r, const maas_tensor *roi, const int *axes, int n,
                            maas_err *err)
{
    if (r->coordinates != CROP)
        return MAAS_OK;
    if (!roi)
        return maas_fail(err, MAAS_E_INVALID, "tf_crop_and_resize needs roi");
    MAAS_TRY(check_count(roi, 2 * n, "roi", err));
    for (int i = 0; i < n; i++) {
        maas_resize_axis *a = &r->axis[axes[i]];
        a->from = maas_tensor_get(roi, i);
        a->to = maas_tensor_get(roi, i + n);
        if (!(fabs(a->from) < 0x1p20) || !(fabs(a->to) < 0x1p20))
            return maas_fail(err, MAAS_E_INVALID, "roi %d is out of range", i);
    }
    return MAAS_OK;
}

/* How far the weights of this axis reach. */
static maas_status reach_of(const maas_resize *r, maas_resize_axis *a, maas_err *err)
{
    const double shrink = r->antialias && a->scale < 1 ? a->scale : 1;
    const int half = r->mode == MAAS_RESIZE_CUBIC ? 2 : 1;
    const double reach = floor(-half / shrink) + 1;
    a->same = a->in == a->out && fabs(a->scale - 1) < 1e-9 && a->from == 0 && a->to == 1;
    a->reach = 0;
    a->taps = 1;
    if (a->same || r->mode == MAAS_RESIZE_NEAREST)
        return MAAS_OK;
    if (!(reach > -MAX_TAPS / 2))
        return maas_fail(err, MAAS_E_INVALID, "an axis of %lld shrinks too much", (long long)a->in);
    a->reach = (int)reach;
    a->taps = 2 - 2 * a->reach;
    return MAAS_OK;
}

static const maas_tensor *unless_empty(const maas_tensor *t)
{
    return t && t->dtype != MAAS_DT_NONE && maas_n_elems(t) ? t : NULL;
}

maas_status maas_resize_plan(const maas_node *n, const maas_tensor *x, const maas_tensor *roi,
                             const maas_tensor *scales, const maas_tensor *sizes, maas_resize *r,
                             maas_err *err)
{
    int axes[MAAS_MAX_RANK], n_axes;
    MAAS_TRY(maas_resize_attrs(n, r, err));
    MAAS_TRY(axes_of(n, x->rank, axes, &n_axes, err));
    scales = unless_empty(scales);
    sizes = unless_empty(sizes);
    if (n_axes && !scales == !sizes)
        return maas_fail(err, MAAS_E_INVALID, "%s scales and sizes",
                         scales ? "it has both of" : "it has neither of");
    r->rank = x->rank;
    for (int i = 0; i < x->rank; i++)
        r->axis[i] = (maas_resize_axis){x->dims[i], x->dims[i], 1, 0, 1, false, 0, 1};
    if (n_axes)
        MAAS_TRY(scales ? by_scales(r, scales, axes, n_axes, err)
                        : by_sizes(r, n, sizes, axes, n_axes, err));
    MAAS_TRY(take_roi(r, unless_empty(roi), axes, n_axes, err));
    for (int i = 0; i < r->rank; i++) {
        if (r->axis[i].in == 0 && r->axis[i].out > 0)
            return maas_fail(err, MAAS_E_INVALID, "axis %d is empty, nothing to resize", i);
        MAAS_TRY(reach_of(r, &r->axis[i], err));
    }
    return MAAS_OK;
}

maas_status maas_resize_picture(maas_resize_mode mode, const int64_t in[2], const int64_t out[2],
                                maas_resize *r, maas_err *err)
{
    *r = (maas_resize){.rank = 2,
                       .mode = (int)mode,
                       .coordinates = HALF_PIXEL,
                       .nearest = PREFER_CEIL,
                       .antialias = mode != MAAS_RESIZE_NEAREST,
                       .exclude_outside = true,
                       .cubic_a = -0.5};
    for (int i = 0; i < 2; i++) {
        if (in[i] < 1 || out[i] < 1)
            return maas_fail(err, MAAS_E_INVALID, "a picture without pixels");
        r->axis[i] = (maas_resize_axis){in[i], out[i], (double)out[i] / (double)in[i], 0, 1, false,
                                        0,     1};
        MAAS_TRY(reach_of(r, &r->axis[i], err));
    }
    return MAAS_OK;
}

/* ---- weights ---- */

/* Where element i lies in the input. */
static double place_of(const maas_resize *r, const maas_resize_axis *a, int64_t i)
{
    const double width = a->scale * (double)a->in, last = (double)(a->in - 1), x = (double)i;
    switch (r->coordinates) {
    case ALIGN_CORNERS:
        return i ? x * last / (width - 1) : 0;
    case ASYMMETRIC:
        return x / a->scale;
    case PYTORCH:
        return a->out > 1 ? (x + 0.5) / a->scale - 0.5 : 0;
    case SYMMETRIC:
        return (double)a->in / 2 * (1 - (double)a->out / width) + (x + 0.5) / a->scale - 0.5;
    case CROP:
        return a->out > 1 ? a->from * last + x * (a->to - a->from) * last / (width - 1)
                          : 0.5 * (a->from + a->to) * last;
    default:
        return (x + 0.5) / a->scale - 0.5;
    }
}

static bool round_up(const maas_resize *r, double ratio)
{
    switch (r->nearest) {
    case PREFER_FLOOR:
        return ratio > 0.5;
    case PREFER_CEIL:
        return ratio >= 0.5;
    case FLOOR:
        return false;
    default:
        return ratio > 0;
    }
}

/* The interpolating function at a distance. */
static double bump(const maas_resize *r, double x)
{
    const double a = r->cubic_a;
    x = fabs(x);
    if (r->mode == MAAS_RESIZE_LINEAR)
        return x < 1 ? 1 - x : 0;
    if (x <= 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

static double unscaled(const maas_resize *r, const maas_resize_axis *a, const maas_resize_at *at,
                       int k)
{
    const double shrink = r->antialias && a->scale < 1 ? a->scale : 1;
    const int64_t i = at->first + k;
    if (r->exclude_outside && (i < 0 || i >= a->in))
        return 0;
    return bump(r, (k + a->reach - at->ratio) * shrink);
}

maas_resize_at maas_resize_look(const maas_resize *r, int axis, int64_t i)
{
    const maas_resize_axis *a = &r->axis[axis];
    maas_resize_at at = {.first = i, .n = 1, .norm = 1};
    if (a->same)
        return at;
    const double x = place_of(r, a, i), low = floor(x);
    at.outside = r->coordinates == CROP && (x < 0 || x > (double)(a->in - 1));
    at.ratio = x - low;
    at.n = a->taps;
    at.first = (int64_t)low + a->reach;
    if (r->mode == MAAS_RESIZE_NEAREST) {
        at.first += round_up(r, at.ratio);
        return at;
    }
    double sum = 0;
    for (int k = 0; k < at.n && (r->antialias || r->exclude_outside); k++)
        sum += unscaled(r, a, &at, k);
    at.norm = sum != 0 ? sum : 1;
    return at;
}

double maas_resize_weight(const maas_resize *r, int axis, const maas_resize_at *at, int k)
{
    const maas_resize_axis *a = &r->axis[axis];
    if (a->same || r->mode == MAAS_RESIZE_NEAREST)
        return 1;
    return unscaled(r, a, at, k) / at->norm;
}
