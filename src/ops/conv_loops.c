/* The loops of convolution, and what its operators ask about shapes in common. */
#include "ops/conv_int.h"

#include <inttypes.h>

#include "base/ban.h"

/* ---- loops ---- */

static int64_t wide_at(const maas_conv *v, int64_t n, int64_t g, int64_t c)
{
    return ((n * v->groups + g) * v->wide_c + c) * v->wide_n;
}

static int64_t narrow_at(const maas_conv *v, int64_t n, int64_t g, int64_t m)
{
    return ((n * v->groups + g) * v->narrow_c + m) * v->narrow_n;
}

static int64_t weight_at(const maas_conv *v, int64_t g, int64_t m, int64_t c)
{
    return ((g * v->narrow_c + m) * v->wide_c + c) * v->kernel_n;
}

void maas_conv_forward(const maas_conv *v, const maas_tensor *wide, const maas_tensor *weights,
                       const maas_tensor *bias, const maas_tensor *narrow)
{
    const int64_t planes = v->batch * v->groups * v->narrow_c;
    for (int64_t p = 0; p < planes; p++) {
        const int64_t m = p % v->narrow_c, g = p / v->narrow_c % v->groups;
        const int64_t x = wide_at(v, p / v->narrow_c / v->groups, g, 0), w = weight_at(v, g, m, 0);
        int64_t place[MAAS_WINDOW_AXES] = {0};
        for (int64_t o = 0; o < v->narrow_n; o++, maas_place_next(place, v->narrow, v->w.n)) {
            double sum = bias ? maas_ld(bias, g * v->narrow_c + m) : 0;
            maas_taps t;
            for (maas_taps_init(&t, &v->w, v->wide, place); t.left; maas_taps_step(&t))
                for (int64_t c = 0; c < v->wide_c; c++)
                    sum += maas_ld(wide, x + c * v->wide_n + t.at) *
                           maas_ld(weights, w + c * v->kernel_n + t.k);
            maas_st(narrow, p * v->narrow_n + o, sum);
        }
    }
}

void maas_conv_backward(const maas_conv *v, const maas_tensor *narrow, const maas_tensor *weights,
                        const maas_tensor *bias, const maas_tensor *wide)
{
    const int64_t planes = v->batch * v->groups * v->wide_c;
    for (int64_t p = 0; p < planes; p++) {
        const int64_t c = p % v->wide_c, g = p / v->wide_c % v->groups;
        const int64_t y = narrow_at(v, p / v->wide_c / v->groups, g, 0), w = weight_at(v, g, 0, c);
        int64_t place[MAAS_WINDOW_AXES] = {0};
        for (int64_t o = 0; o < v->wide_n; o++, maas_place_next(place, v->wide, v->w.n)) {
            double sum = bias ? maas_ld(bias, g * v->wide_c + c) : 0;
            maas_taps t;
            for (maas_taps_init_covering(&t, &v->w, v->narrow, place); t.left; maas_taps_step(&t))
                for (int64_t m = 0; m < v->narrow_c; m++)
                    sum += maas_ld(narrow, y + m * v->narrow_n + t.at) *
                           maas_ld(weights, w + m * v->wide_c * v->kernel_n + t.k);
            maas_st(wide, p * v->wide_n + o, sum);
        }
    }
}

/* One element of the kernel: sum over the batch and the places whose window has it inside. */
static double weight_sum(const maas_conv *v, const maas_tensor *narrow, const maas_tensor *wide,
                         int64_t g, int64_t m, int64_t c, const int64_t *element)
{
    maas_window one = v->w; /* the window that consists of this element alone */
    for (int a = 0; a < one.n; a++) {
        one.before[a] -= element[a] * one.dilation[a];
        one.kernel[a] = 1;
    }
    double sum = 0;
    int64_t place[MAAS_WINDOW_AXES] = {0};
    for (int64_t o = 0; o < v->narrow_n; o++, maas_place_next(place, v->narrow, one.n)) {
        maas_taps t;
        maas_taps_init(&t, &one, v->wide, place);
        for (int64_t n = 0; n < v->batch && t.left; n++)
            sum += maas_ld(narrow, narrow_at(v, n, g, m) + o) *
                   maas_ld(wide, wide_at(v, n, g, c) + t.at);
    }
    return sum;
}

void maas_conv_weights(const maas_conv *v, const maas_tensor *narrow, const maas_tensor *wide,
                       const maas_tensor *weights)
{
    const int64_t planes = v->groups * v->narrow_c * v->wide_c;
    for (int64_t p = 0; p < planes; p++) {
        const int64_t c = p % v->wide_c, m = p / v->wide_c % v->narrow_c,
                      g = p / v->wide_c / v->narrow_c;
        int64_t element[MAAS_WINDOW_AXES] = {0};
        for (int64_t k = 0; k < v->kernel_n; k++, maas_place_next(element, v->w.kernel, v->w.n))
            maas_st(weights, p * v->kernel_n + k, weight_sum(v, narrow, wide, g, m, c, element));
    }
}

void maas_conv_bias(const maas_tensor *dy, const maas_tensor *db)
{
    const maas_split3 s = maas_around(dy, 1);
    for (int64_t c = 0; c < s.n; c++) {
        double sum = 0;
        for (int64_t o = 0; o < s.outer; o++)
            for (int64_t i = 0; i < s.inner; i++)
                sum += maas_ld(dy, (o * s.n + c) * s.inner + i);
        maas_st(db, c, sum);
    }
}

int64_t maas_conv_flops(const maas_conv *v)
{
    int64_t n = 2;
    const int64_t sizes[] = {v->batch, v->groups, v->narrow_c, v->wide_c, v->narrow_n, v->kernel_n};
    for (size_t i = 0; i < MAAS_COUNT(sizes); i++)
        if (__builtin_mul_overflow(n, sizes[i], &n))
            return INT64_MAX;
    return n;
}

/* ---- shapes ---- */

maas_status maas_conv_groups(const maas_node *node, int64_t *out, maas_err *err)
{
    *out = maas_attr_i(node, "group", 1);
    return *out > 0 ? MAAS_OK
                    : maas_fail(err, MAAS_E_INVALID, "group is %" PRId64 ", must be above 0", *out);
}

maas_status maas_conv_axes(const maas_type *x, const maas_type *weights, int *out_n, maas_err *err)
{
    const int rank = x->rank >= 0 ? x->rank : weights->rank;
    *out_n = rank < 0 ? -1 : rank - 2;
    if (x->rank >= 0 && weights->rank >= 0 && x->rank != weights->rank)
        return maas_fail(err, MAAS_E_INVALID, "X has rank %d, its weights %d", x->rank,
                         weights->rank);
    if (rank >= 0 && rank < 3)
        return maas_fail(err, MAAS_E_INVALID, "X has rank %d, must be [N,C,..]", rank);
    return MAAS_OK;
}

maas_status maas_conv_channels(int64_t all, int64_t groups, int64_t each, const char *what,
                               maas_err *err)
{
    if (all >= 0 && (all % groups != 0 || (each >= 0 && all / groups != each)))
        return maas_fail(err, MAAS_E_INVALID,
                         "%" PRId64 " channels of %s are not %" PRId64 " groups of the weights'",
                         all, what, groups);
    return MAAS_OK;
}

maas_status maas_conv_vector(const maas_infer *q, int i, int64_t n, maas_err *err)
{
    int64_t ignored;
    if (!maas_q_has(q, i) || q->in[i].rank < 0)
        return MAAS_OK;
    if (q->in[i].rank != 1)
        return maas_fail(err, MAAS_E_INVALID, "input %d must be a vector, one for each channel", i);
    return maas_dim_same(n, q->in[i].dims[0], &ignored, "channels and their bias", err);
}

static void conv_sizes(maas_conv *v, const maas_tensor *wide, const maas_tensor *weights,
                       const maas_tensor *narrow)
{
    v->batch = wide->dims[0];
    v->wide_c = weights->dims[1];
    v->narrow_c = weights->dims[0] / v->groups;
    v->wide = wide->dims + 2;
    v->narrow = narrow->dims + 2;
    v->wide_n = maas_dims_product(wide->dims, 2, wide->rank);
    v->narrow_n = maas_dims_product(narrow->dims, 2, narrow->rank);
    v->kernel_n = maas_dims_product(weights->dims, 2, weights->rank);
}

maas_status maas_conv_init(maas_conv *v, const maas_node *node, const maas_tensor *wide,
                           const maas_tensor *weights, const maas_tensor *narrow, maas_err *err)
{
    int64_t ignored[MAAS_WINDOW_AXES];
    MAAS_TRY(maas_conv_groups(node, &v->groups, err));
    MAAS_TRY(maas_window_init(&v->w, node, wide->rank - 2, weights->dims + 2, err));
    MAAS_TRY(maas_window_fit(&v->w, wide->dims + 2, ignored, err));
    conv_sizes(v, wide, weights, narrow);
    return MAAS_OK;
}

maas_status maas_conv_init_transposed(maas_conv *v, const maas_node *node, const maas_tensor *wide,
                                      const maas_tensor *weights, const maas_tensor *narrow,
                                      maas_err *err)
{
    int64_t ignored[MAAS_WINDOW_AXES];
    MAAS_TRY(maas_conv_groups(node, &v->groups, err));
    MAAS_TRY(maas_window_init(&v->w, node, wide->rank - 2, weights->dims + 2, err));
    MAAS_TRY(maas_window_fit_transposed(&v->w, node, narrow->dims + 2, ignored, err));
    conv_sizes(v, wide, weights, narrow);
    return MAAS_OK;
}

/* ---- gradients ---- */

maas_status maas_conv_grad_types(maas_infer *q, const maas_type *y, int64_t n_bias, maas_err *err)
{
    int64_t ignored;
    if (y->rank >= 0 && q->in[0].rank >= 0 && y->rank != q->in[0].rank)
        return maas_fail(err, MAAS_E_INVALID, "dY has rank %d, Y %d", q->in[0].rank, y->rank);
    for (int i = 0; i < y->rank && q->in[0].rank >= 0; i++)
        MAAS_TRY(maas_dim_same(y->dims[i], q->in[0].dims[i], &ignored, "dY and Y", err));
    q->out[0] = q->in[1];
    if (q->node->n_out > 1)
        q->out[1] = q->in[2];
    maas_q_out(q, 2, (maas_dtype)q->in[2].dtype, 1, &n_bias);
    return MAAS_OK;
}

void maas_conv_gradient(maas_grad *g, const char *op)
{
    const maas_node *n = g->node;
    const maas_vid in[3] = {g->dout[0], n->in[0], n->in[1]};
    maas_vid out[3];
    const bool bias = MAAS_WANT(g, 2);
    maas_b_node(g->b, op, n->attr, n->n_attr, in, 3, out, bias ? 3 : 2);
    g->din[0] = out[0];
    g->din[1] = out[1];
    if (bias)
        g->din[2] = out[2];
}
