/*
 * ConvGrad and ConvTranspose by oneDNN in f32: gradients of a convolution for its data and for its
 * weights; ConvTranspose is the gradient for data of the convolution that goes the other way.
 */
#include "kernels/dnnl/step.h"
#include "ops/window.h"

#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

extern const maas_op maas_op_ConvGrad, maas_op_ConvTranspose;

typedef struct shapes {
    dnnl_memory_desc_t wide, w, narrow, b;
    dnnl_dims_t strides, dilations, before, after;
} shapes;

typedef struct state {
    maas_dnnl_step dx, dw; /* of ConvTranspose: dx alone */
    size_t spare;          /* in scratch, for the one of dW and dB that nobody reads */
} state;

/* ---- description ---- */

static bool window_of(const maas_conv *v, shapes *s)
{
    const maas_window *w = &v->w;
    for (int a = 0; a < w->n; a++) {
        /* what is left over behind the last window counts as less padding */
        const int64_t end = (v->narrow[a] - 1) * w->stride[a] + maas_window_extent(w, a);
        s->after[a] = end - w->before[a] - v->wide[a];
        s->strides[a] = w->stride[a];
        s->dilations[a] = w->dilation[a] - 1;
        s->before[a] = w->before[a];
        if (s->after[a] < 0 && s->after[a] <= -w->stride[a])
            return false; /* output_padding or output_shape beyond what a window reaches */
    }
    return w->n <= 3;
}

static bool weights_md(const maas_conv *v, const maas_tensor *w, dnnl_memory_desc_t *md)
{
    const int n = v->w.n;
    const bool grouped = v->groups > 1;
    static const dnnl_format_tag_t tags[2][3] = {{dnnl_oiw, dnnl_oihw, dnnl_oidhw},
                                                 {dnnl_goiw, dnnl_goihw, dnnl_goidhw}};
    dnnl_dims_t d = {v->groups};
    d[grouped] = v->narrow_c;
    for (int i = 0; i <= n; i++)
        d[grouped + 1 + i] = w->dims[1 + i];
    return dnnl_memory_desc_init_by_tag(md, n + 2 + grouped, d, dnnl_f32, tags[grouped][n - 1]) ==
           dnnl_success;
}

static bool describe(const maas_call *c, shapes *s)
{
    const bool grad = c->node->op == &maas_op_ConvGrad;
    const maas_tensor *narrow = &c->in[0], *w = &c->in[grad ? 2 : 1],
                      *wide = grad ? &c->in[1] : &c->out[0];
    maas_conv v;
    if (!maas_dnnl_small(narrow) || !maas_dnnl_small(w) || !maas_dnnl_small(wide) || wide->rank > 5)
        return false;
    const maas_status st = grad ? maas_conv_init(&v, c->node, wide, w, narrow, NULL)
                                : maas_conv_init_transposed(&v, c->node, wide, w, narrow, NULL);
    const dnnl_dims_t channels = {grad ? narrow->dims[1] : wide->dims[1]};
    return st == MAAS_OK && window_of(&v, s) && weights_md(&v, w, &s->w) &&
           maas_dnnl_md(&s->wide, wide->rank, wide->dims, 0) &&
           maas_dnnl_md(&s->narrow, narrow->rank, narrow->dims, 0) &&
           dnnl_memory_desc_init_by_tag(&s->b, 1, channels, dnnl_f32, dnnl_a) == dnnl_success;
}

static bool fits(const maas_call *c, const maas_cpu *cpu)
{
    shapes s;
    return describe(c, &s);
}

/* ---- preparing ---- */

static bool open_hint(maas_dnnl_step *hint, const shapes *s, const_dnnl_primitive_attr_t attr)
{
    dnnl_convolution_desc_t desc;
    *hint = (maas_dnnl_step){.failed = true};
    if (dnnl_dilated_convolution_forward_desc_init(
            &desc, dnnl_forward_training, dnnl_convolution_direct, &s->wide, &s->w, NULL,
            &s->narrow, s->strides, s->dilations, s->before, s->after) == dnnl_success)
        maas_dnnl_step_open(hint, &desc, attr, NULL);
    return !hint->failed;
}

static bool data_step(maas_dnnl_step *step, const shapes *s, const shapes *any,
                      const_dnnl_primitive_attr_t attr, const_dnnl_primitive_desc_t hint)
{
    dnnl_convolution_desc_t desc;
    if (dnnl_dilated_convolution_backward_data_desc_init(
            &desc, dnnl_convolution_direct, &any->wide, &any->w, &any->narrow, s->strides,
            s->dilations, s->before, s->after) != dnnl_success)
        return false;
    maas_dnnl_step_open(step, &desc, attr, hint);
    maas_dnnl_step_arg(step, DNNL_ARG_DIFF_DST, &s->narrow, false);
    maas_dnnl_step_arg(step, DNNL_ARG_WEIGHTS, &s->w, false);
    maas_dnnl_step_arg(step, DNNL_ARG_DIFF_SRC, &s->wide, false);
    return maas_dnnl_step_close(step);
}

static bool weights_step(maas_dnnl_step *step, const shapes *s, const shapes *any, bool bias,
                         const_dnnl_primitive_attr_t attr, const_dnnl_primitive_desc_t hint)
{
    dnnl_convolution_desc_t desc;
    if (dnnl_dilated_convolution_backward_weights_desc_init(
            &desc, dnnl_convolution_direct, &any->wide, &any->w, bias ? &s->b : NULL, &any->narrow,
            s->strides, s->dilations, s->before, s->after) != dnnl_success)
        return false;
    maas_dnnl_step_open(step, &desc, attr, hint);
    maas_dnnl_step_arg(step, DNNL_ARG_DIFF_DST, &s->narrow, false);
    maas_dnnl_step_arg(step, DNNL_ARG_SRC, &s->wide, false);
    maas_dnnl_step_arg(step, DNNL_ARG_DIFF_WEIGHTS, &s->w, false);
    if (bias)
        maas_dnnl_step_arg(step, DNNL_ARG_DIFF_BIAS, &s->b, false);
    return maas_dnnl_step_close(step);
}

static bool make_steps(const maas_call *c, state *st, const_dnnl_primitive_attr_t attr)
{
    const bool grad = c->node->op == &maas_op_ConvGrad;
    shapes s, any;
    maas_dnnl_step hint;
    if (!describe(c, &s))
        return false;
    any = s;
    maas_dnnl_md_any(&any.wide, &s.wide);
    maas_dnnl_md_any(&any.w, &s.w);
    maas_dnnl_md_any(&any.narrow, &s.narrow);
    const bool ok = open_hint(&hint, &any, attr) && data_step(&st->dx, &s, &any, attr, hint.pd) &&
                    (!grad || weights_step(&st->dw, &s, &any, c->n_out > 2, attr, hint.pd));
    maas_dnnl_step_reset(&hint);
    return ok;
}

static void release(void *p)
{
    state *st = p;
    maas_dnnl_step_reset(&st->dx);
    maas_dnnl_step_reset(&st->dw);
    maas_free(st);
}

static maas_status prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    dnnl_primitive_attr_t attr;
    state *st = maas_calloc(1, sizeof *st);
    if (!st)
        return maas_fail(err, MAAS_E_NOMEM, "preparing %s", c->node->op->name);
    maas_dnnl_threads(c->n_threads);
    bool ok = dnnl_primitive_attr_create(&attr) == dnnl_success;
    if (ok) {
        dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
        ok = make_steps(c, st, attr);
        dnnl_primitive_attr_destroy(attr);
    }
    if (!ok) {
        release(st);
        return maas_fail(err, MAAS_E_INTERNAL, "oneDNN has no such convolution");
    }
    st->spare = st->dx.scratch_bytes > st->dw.scratch_bytes ? st->dx.scratch_bytes
                                                            : st->dw.scratch_bytes;
    c->scratch_bytes = st->spare;
    if (c->n_out > 2)
        c->scratch_bytes += maas_tensor_bytes(&c->in[2]) + maas_tensor_bytes(&c->out[2]);
    c->state = st;
    return MAAS_OK;
}

/* ---- running ---- */

static maas_status run_grad(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const state *st = c->state;
    void *spare = (char *)c->scratch + st->spare;
    void *dx[] = {c->in[0].data, c->in[2].data, c->out[0].data};
    void *dw[] = {c->in[0].data, c->in[1].data, c->n_out > 1 ? c->out[1].data : NULL,
                  c->n_out > 2 ? c->out[2].data : NULL};
    const bool any = dw[2] || dw[3];
    maas_dnnl_threads(c->n_threads);
    if (dx[2])
        MAAS_TRY(maas_dnnl_step_run(&st->dx, dx, c->scratch, err));
    for (int i = 2; i < 4; i++)
        dw[i] = dw[i] ? dw[i] : spare;
    return any ? maas_dnnl_step_run(&st->dw, dw, c->scratch, err) : MAAS_OK;
}

static maas_status run_transpose(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const state *st = c->state;
    const maas_tensor *y = &c->out[0];
    void *data[] = {c->in[0].data, c->in[1].data, y->data};
    maas_dnnl_threads(c->n_threads);
    MAAS_TRY(maas_dnnl_step_run(&st->dx, data, c->scratch, err));
    const float *b = c->n_in > 2 ? c->in[2].data : NULL;
    const int64_t each = maas_dims_product(y->dims, 2, y->rank), n = y->dims[0] * y->dims[1];
    for (int64_t i = 0; i < n && b; i++)
        for (int64_t k = 0; k < each; k++)
            ((float *)y->data)[i * each + k] += b[i % y->dims[1]];
    return MAAS_OK;
}

#define ROW(Name, fn)                                                                              \
    {                                                                                              \
        .op = &maas_op_##Name, .name = #Name ".dnnl", .flags = MAAS_KERNEL_WHOLE, .fits = fits,    \
        .prepare = prepare, .release = release, .run = fn                                          \
    }
const maas_kernel maas_kernels_dnnl_conv_grad[] = {
    ROW(ConvGrad, run_grad), ROW(ConvTranspose, run_transpose), {0}};
