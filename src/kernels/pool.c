/*
 * Pooling in f32 that oneDNN does not do or does not do better: windows that are cut off or
 * dilated, indices, gradients, whole planes. Windows are cut to what lies inside once for each
 * axis; a plane (or a group of channels in blocks) belongs to one thread.
 */
#include "kernels/kernel.h"
#include "ops/window.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

extern const maas_op maas_op_AveragePool, maas_op_AveragePoolGrad, maas_op_BlockedPool,
    maas_op_GlobalAveragePool, maas_op_GlobalMaxPool, maas_op_MaxPool, maas_op_MaxPoolGrad;

/* Along one axis, window o takes elements first[o] + k * dilation, n[o] of them; `all[o]` counts
 * those on pads as well. */
typedef struct axis {
    int64_t wide, narrow, dilation;
    int64_t *first, *n, *all; /* [narrow] */
} axis;

typedef struct state {
    axis y, x; /* one spatial axis: y is one element */
    int64_t lanes;
    bool max, include;
} state;

/* ---- preparing ---- */

static void arrays(const maas_call *c, const maas_tensor **wide, const maas_tensor **narrow)
{
    const bool grad = c->node->op == &maas_op_MaxPoolGrad ||
                      c->node->op == &maas_op_AveragePoolGrad;
    *wide = &c->in[grad];
    *narrow = grad ? &c->in[0] : &c->out[0];
}

static bool fits(const maas_call *c, const maas_cpu *cpu)
{
    const maas_tensor *wide, *narrow;
    arrays(c, &wide, &narrow);
    const int spatial = wide->rank - 2 - (c->node->op == &maas_op_BlockedPool);
    return wide->dtype == MAAS_F32 && (spatial == 1 || spatial == 2) &&
           maas_attr_i(c->node, "storage_order", 0) == 0;
}

static bool axis_of(axis *a, const maas_window *w, int i, int64_t wide, int64_t narrow)
{
    *a = (axis){.wide = wide, .narrow = narrow, .dilation = w->dilation[i]};
    a->first = maas_calloc(3 * (size_t)narrow + 1, sizeof *a->first);
    if (!a->first)
        return false;
    a->n = a->first + narrow;
    a->all = a->n + narrow;
    for (int64_t o = 0; o < narrow; o++) {
        const int64_t at = o * w->stride[i] - w->before[i], d = a->dilation;
        const int64_t skip = at < 0 ? (-at + d - 1) / d : 0;
        const int64_t most = wide > at ? (wide - at + d - 1) / d : 0;
        const int64_t padded = (wide + w->after[i] - at + d - 1) / d;
        const int64_t end = most < w->kernel[i] ? most : w->kernel[i];
        a->first[o] = at + skip * d;
        a->n[o] = end > skip ? end - skip : 0;
        a->all[o] = padded < w->kernel[i] ? padded : w->kernel[i];
    }
    return true;
}

static bool one_row(axis *a)
{
    const maas_window w = {.n = 1, .kernel = {1}, .stride = {1}, .dilation = {1}};
    return axis_of(a, &w, 0, 1, 1);
}

static void release(void *p)
{
    state *s = p;
    maas_free(s->y.first);
    maas_free(s->x.first);
    maas_free(s);
}

static maas_status fill(const maas_call *c, state *s, maas_err *err)
{
    const maas_tensor *wide, *narrow;
    int64_t ignored[MAAS_WINDOW_AXES];
    maas_window w;
    arrays(c, &wide, &narrow);
    const bool blocked = c->node->op == &maas_op_BlockedPool;
    const int n = wide->rank - 2 - blocked;
    const maas_str kind = maas_attr_s(c->node, "kind", "");
    s->lanes = blocked ? wide->dims[wide->rank - 1] : 1;
    s->max = c->node->op == &maas_op_MaxPool || c->node->op == &maas_op_MaxPoolGrad || kind.n == 3;
    s->include = maas_attr_i(c->node, "count_include_pad", 0) != 0;
    MAAS_TRY(maas_window_init(&w, c->node, n, NULL, err));
    MAAS_TRY(maas_window_fit(&w, wide->dims + 2, ignored, err));
    const bool ok = axis_of(&s->x, &w, n - 1, wide->dims[n + 1], narrow->dims[n + 1]) &&
                    (n == 1 ? one_row(&s->y)
                            : axis_of(&s->y, &w, 0, wide->dims[2], narrow->dims[2]));
    return ok ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "preparing %s", c->node->op->name);
}

static maas_status prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    state *s = maas_calloc(1, sizeof *s);
    if (!s)
        return maas_fail(err, MAAS_E_NOMEM, "preparing %s", c->node->op->name);
    maas_status st = fill(c, s, err);
    if (st != MAAS_OK) {
        release(s);
        return st;
    }
    c->state = s;
    return MAAS_OK;
}

/* ---- one window ---- */

static double divisor(const state *s, int64_t oy, int64_t ox)
{
    return s->include ? (double)s->y.all[oy] * (double)s->x.all[ox]
                      : (double)s->y.n[oy] * (double)s->x.n[ox];
}

/* Where the largest element is; -1: the window sees pads alone. */
static int64_t largest(const state *s, const float *x, int64_t oy, int64_t ox, float *out)
{
    int64_t best = -1;
    *out = -INFINITY;
    for (int64_t i = 0; i < s->y.n[oy]; i++) {
        const int64_t row = (s->y.first[oy] + i * s->y.dilation) * s->x.wide + s->x.first[ox];
        for (int64_t k = 0; k < s->x.n[ox]; k++) {
            const int64_t at = row + k * s->x.dilation;
            if (best < 0 || x[at] > *out || (isnan(x[at]) && !isnan(*out))) {
                best = at;
                *out = x[at];
            }
        }
    }
    return best;
}

static void max_lanes(const state *s, const float *x, int64_t oy, int64_t ox, float *y)
{
    for (int64_t c = 0; c < s->lanes; c++)
        y[c] = -INFINITY;
    for (int64_t i = 0; i < s->y.n[oy]; i++)
        for (int64_t k = 0; k < s->x.n[ox]; k++) {
            const float *from = x + ((s->y.first[oy] + i * s->y.dilation) * s->x.wide +
                                     s->x.first[ox] + k * s->x.dilation) *
                                        s->lanes;
            for (int64_t c = 0; c < s->lanes; c++)
                y[c] = from[c] > y[c] || from[c] != from[c] ? from[c] : y[c];
        }
}

static void sum_lanes(const state *s, const float *x, int64_t oy, int64_t ox, float *y)
{
    const double n = divisor(s, oy, ox);
    const float scale = n > 0 ? (float)(1 / n) : 0;
    for (int64_t c = 0; c < s->lanes; c++)
        y[c] = 0;
    for (int64_t i = 0; i < s->y.n[oy]; i++)
        for (int64_t k = 0; k < s->x.n[ox]; k++) {
            const float *from = x + ((s->y.first[oy] + i * s->y.dilation) * s->x.wide +
                                     s->x.first[ox] + k * s->x.dilation) *
                                        s->lanes;
            for (int64_t c = 0; c < s->lanes; c++)
                y[c] += from[c];
        }
    for (int64_t c = 0; c < s->lanes; c++)
        y[c] *= scale;
}

/* ---- planes ---- */

typedef struct plane {
    const float *wide_in, *narrow_in;
    float *narrow, *wide;
    int64_t *index, base; /* of the plane in the whole array */
} plane;

static void forward(const state *s, const plane *p)
{
    int64_t o = 0;
    for (int64_t oy = 0; oy < s->y.narrow; oy++)
        for (int64_t ox = 0; ox < s->x.narrow; ox++, o++) {
            if (!s->max)
                sum_lanes(s, p->wide_in, oy, ox, p->narrow + o * s->lanes);
            else if (s->lanes > 1)
                max_lanes(s, p->wide_in, oy, ox, p->narrow + o * s->lanes);
            else {
                const int64_t at = largest(s, p->wide_in, oy, ox, &p->narrow[o]);
                if (p->index)
                    p->index[o] = at < 0 ? 0 : p->base + at;
            }
        }
}

static void spread(const state *s, float *dx, int64_t oy, int64_t ox, float v)
{
    for (int64_t i = 0; i < s->y.n[oy]; i++)
        for (int64_t k = 0; k < s->x.n[ox]; k++)
            dx[(s->y.first[oy] + i * s->y.dilation) * s->x.wide + s->x.first[ox] +
               k * s->x.dilation] += v;
}

static void backward(const state *s, const plane *p)
{
    int64_t o = 0;
    memset(p->wide, 0, (size_t)(s->y.wide * s->x.wide) * sizeof *p->wide);
    for (int64_t oy = 0; oy < s->y.narrow; oy++)
        for (int64_t ox = 0; ox < s->x.narrow; ox++, o++) {
            float ignored;
            if (!s->max) {
                spread(s, p->wide, oy, ox, (float)(p->narrow_in[o] / divisor(s, oy, ox)));
                continue;
            }
            const int64_t at = largest(s, p->wide_in, oy, ox, &ignored);
            if (at >= 0)
                p->wide[at] += p->narrow_in[o];
        }
}

static maas_status run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const state *s = c->state;
    const maas_tensor *wide, *narrow;
    int64_t first, last;
    arrays(c, &wide, &narrow);
    const bool grad = narrow == &c->in[0];
    const int64_t nw = s->y.wide * s->x.wide * s->lanes, nn = s->y.narrow * s->x.narrow * s->lanes;
    const bool indices = !grad && c->n_out > 1 && c->out[1].data;
    maas_share(wide->dims[0] * wide->dims[1], 1, ithr, nthr, &first, &last);
    for (int64_t i = first; i < last; i++) {
        plane p = {.wide_in = (const float *)wide->data + i * nw, .base = i * nw};
        p.narrow_in = (const float *)narrow->data + i * nn;
        if (grad)
            p.wide = (float *)c->out[0].data + i * nw;
        else
            p.narrow = (float *)c->out[0].data + i * nn;
        p.index = indices ? (int64_t *)c->out[1].data + i * nn : NULL;
        (grad ? backward : forward)(s, &p);
    }
    return MAAS_OK;
}

/* ---- whole planes ---- */

static bool global_fits(const maas_call *c, const maas_cpu *cpu)
{
    return c->in[0].dtype == MAAS_F32 && c->in[0].rank >= 3;
}

/* Partial sums side by side: the compiler makes vectors of them. */
enum { PARTS = 32 };

static float mean_of(const float *x, int64_t n)
{
    float part[PARTS] = {0};
    double sum = 0;
    int64_t i = 0;
    for (; i + PARTS <= n; i += PARTS)
        for (int k = 0; k < PARTS; k++)
            part[k] += x[i + k];
    for (; i < n; i++)
        sum += x[i];
    for (int k = 0; k < PARTS; k++)
        sum += part[k];
    return n ? (float)(sum / (double)n) : 0;
}

static float most_of(const float *x, int64_t n)
{
    float best = -INFINITY;
    for (int64_t i = 0; i < n; i++)
        best = x[i] > best || x[i] != x[i] ? x[i] : best;
    return best;
}

static maas_status global_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    const bool max = c->node->op == &maas_op_GlobalMaxPool;
    const int64_t n = maas_dims_product(x->dims, 2, x->rank);
    int64_t first, last;
    maas_share(x->dims[0] * x->dims[1], 1, ithr, nthr, &first, &last);
    for (int64_t i = first; i < last; i++)
        ((float *)c->out[0].data)[i] = (max ? most_of : mean_of)((const float *)x->data + i * n, n);
    return MAAS_OK;
}

#define ROW(Name)                                                                                  \
    {                                                                                              \
        .op = &maas_op_##Name, .name = #Name ".cpu", .fits = fits, .prepare = prepare,             \
        .release = release, .run = run                                                             \
    }
#define GLOBAL(Name)                                                                               \
    {                                                                                              \
        .op = &maas_op_##Name, .name = #Name ".cpu", .fits = global_fits, .run = global_run        \
    }
const maas_kernel maas_kernels_pool[] = {
    ROW(AveragePool), ROW(AveragePoolGrad),      ROW(BlockedPool),      ROW(MaxPool),
    ROW(MaxPoolGrad), GLOBAL(GlobalAveragePool), GLOBAL(GlobalMaxPool), {0}};
