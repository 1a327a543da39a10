/*
 * FusedQLinearConv and FusedQLinearConvAdd by oneDNN, with sums of bytes in 32 bits: where there is
 * VNNI, since what came before saturates in 16 bits. Channels last is how oneDNN wants bytes.
 */
#include "kernels/dnnl/conv_act.h"
#include "kernels/dnnl/conv_pack.h"
#include "ops/qconv.h"

#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

extern const maas_op maas_op_FusedQLinearConv, maas_op_FusedQLinearConvAdd;

typedef struct state {
    maas_dnnl_step step; /* X, W, Y, B */
    const maas_conv_pack *pack;
    bool has_z, has_b;
} state;

static bool is_small(const maas_tensor *t)
{
    const int64_t n = maas_n_elems(t);
    return n > 0 && n <= INT32_MAX;
}

static bool fits(const maas_call *c, const maas_cpu *cpu)
{
    maas_qconv q;
    if (maas_qconv_init(&q, c, NULL) != MAAS_OK || q.v.w.n > 3)
        return false;
    const int middle = q.step > 0;
    return is_small(q.x) && is_small(q.w) && is_small(&c->out[0]) && q.w->data && q.s->data &&
           maas_dnnl_acts_differ(q.act, q.n_acts, middle, middle);
}

/* ---- description ---- */

typedef struct shapes {
    dnnl_memory_desc_t x, w, y, b;
    dnnl_dims_t strides, dilations, before, after;
} shapes;

static dnnl_data_type_t type_of(const maas_tensor *t)
{
    return t->dtype == MAAS_U8 ? dnnl_u8 : t->dtype == MAAS_I8 ? dnnl_s8 : dnnl_f32;
}

static bool last_md(dnnl_memory_desc_t *md, const maas_tensor *plain, dnnl_data_type_t t)
{
    static const dnnl_format_tag_t tags[] = {dnnl_nwc, dnnl_nhwc, dnnl_ndhwc};
    dnnl_dims_t d = {0};
    memcpy(d, plain->dims, (size_t)plain->rank * sizeof *d);
    return dnnl_memory_desc_init_by_tag(md, plain->rank, d, t, tags[plain->rank - 3]) ==
           dnnl_success;
}

static bool weights_md(const maas_qconv *q, dnnl_memory_desc_t *md)
{
    const int n = q->v.w.n;
    const bool grouped = q->v.groups > 1;
    static const dnnl_format_tag_t tags[2][3] = {{dnnl_oiw, dnnl_oihw, dnnl_oidhw},
                                                 {dnnl_goiw, dnnl_goihw, dnnl_goidhw}};
    dnnl_dims_t d = {q->v.groups};
    d[grouped] = q->v.narrow_c;
    for (int i = 0; i <= n; i++)
        d[grouped + 1 + i] = q->w->dims[1 + i];
    return dnnl_memory_desc_init_by_tag(md, n + 2 + grouped, d, dnnl_s8, tags[grouped][n - 1]) ==
           dnnl_success;
}

static bool describe(const maas_qconv *q, shapes *s)
{
    const maas_window *w = &q->v.w;
    const dnnl_dims_t channels = {q->py.dims[1]};
    for (int a = 0; a < w->n; a++) {
        s->strides[a] = w->stride[a];
        s->dilations[a] = w->dilation[a] - 1;
        s->before[a] = w->before[a];
        s->after[a] = w->after[a];
    }
    return last_md(&s->x, &q->px, type_of(&q->px)) && last_md(&s->y, &q->py, type_of(&q->py)) &&
           weights_md(q, &s->w) &&
           dnnl_memory_desc_init_by_tag(&s->b, 1, channels, dnnl_f32, dnnl_a) == dnnl_success;
}

/* One number for each channel; a pad counts as x_zero. */
static bool set_numbers(const maas_qconv *q, dnnl_primitive_attr_t attr)
{
    const int32_t x = q->x_zero, y = q->y_zero;
    bool ok = dnnl_primitive_attr_set_output_scales(attr, maas_n_elems(q->s), 1 << 1, q->s->data) ==
              dnnl_success;
    if (x)
        ok &= dnnl_primitive_attr_set_zero_points(attr, DNNL_ARG_SRC, 1, 0, &x) == dnnl_success;
    if (y && q->py.dtype != MAAS_F32)
        ok &= dnnl_primitive_attr_set_zero_points(attr, DNNL_ARG_DST, 1, 0, &y) == dnnl_success;
    return ok;
}

static bool set_post(const maas_qconv *q, dnnl_primitive_attr_t attr)
{
    dnnl_post_ops_t ops;
    if (dnnl_post_ops_create(&ops) != dnnl_success)
        return false;
    if (q->step > 0) {
        dnnl_post_ops_append_eltwise(ops, 1, dnnl_eltwise_clip_v2, q->low, q->high);
        dnnl_post_ops_append_eltwise(ops, 1, dnnl_eltwise_round, 0, 0);
        dnnl_post_ops_append_eltwise(ops, 1, dnnl_eltwise_linear, q->step, 0);
    }
    bool ok = !q->z || dnnl_post_ops_append_sum_v3(ops, q->z_scale, q->z_zero, type_of(&q->py)) ==
                           dnnl_success;
    for (int i = 0; i < q->n_acts; i++)
        maas_dnnl_append_act(ops, &q->act[i]);
    ok &= dnnl_primitive_attr_set_post_ops(attr, ops) == dnnl_success;
    dnnl_post_ops_destroy(ops);
    return ok;
}

/* ---- preparing ---- */

static void open_step(maas_dnnl_step *step, const maas_qconv *q, const shapes *s,
                      const_dnnl_primitive_attr_t attr)
{
    dnnl_convolution_desc_t desc;
    dnnl_memory_desc_t any;
    if (dnnl_memory_desc_init_by_tag(&any, s->w.ndims, s->w.dims, dnnl_s8, dnnl_format_tag_any) ==
            dnnl_success &&
        dnnl_dilated_convolution_forward_desc_init(
            &desc, dnnl_forward_inference, dnnl_convolution_direct, &s->x, &any,
            q->b ? &s->b : NULL, &s->y, s->strides, s->dilations, s->before,
            s->after) == dnnl_success)
        maas_dnnl_step_open(step, &desc, attr, NULL);
}

static bool make_step(state *st, const maas_qconv *q, const shapes *s)
{
    maas_dnnl_step *step = &st->step;
    dnnl_primitive_attr_t attr;
    if (dnnl_primitive_attr_create(&attr) != dnnl_success)
        return false;
    dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    if (set_numbers(q, attr) && set_post(q, attr))
        open_step(step, q, s, attr);
    dnnl_primitive_attr_destroy(attr);
    maas_dnnl_step_arg(step, DNNL_ARG_SRC, &s->x, false);
    maas_dnnl_step_arg(step, DNNL_ARG_WEIGHTS, &s->w, false);
    maas_dnnl_step_arg(step, DNNL_ARG_DST, &s->y, q->z != NULL);
    if (q->b)
        maas_dnnl_step_arg(step, DNNL_ARG_BIAS, &s->b, false);
    maas_dnnl_step_packed(step, 1);
    return maas_dnnl_step_close(step);
}

static void release(void *p)
{
    state *st = p;
    maas_dnnl_step_reset(&st->step);
    maas_conv_pack_release(st->pack);
    maas_free(st);
}

static maas_status prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    maas_qconv q;
    shapes s;
    MAAS_TRY(maas_qconv_init(&q, c, err));
    state *st = maas_calloc(1, sizeof *st);
    if (!st)
        return maas_fail(err, MAAS_E_NOMEM, "preparing %s", c->node->op->name);
    st->step.failed = true;
    st->has_z = q.z != NULL;
    st->has_b = q.b != NULL;
    maas_dnnl_threads(c->n_threads);
    maas_status status = MAAS_OK;
    if (!describe(&q, &s) || !make_step(st, &q, &s))
        status = maas_fail(err, MAAS_E_INTERNAL, "oneDNN has no such convolution of bytes");
    else
        status = maas_conv_pack_acquire(q.w, NULL, &s.w, &st->step.arg[1].inner, &st->pack, err);
    if (status != MAAS_OK) {
        release(st);
        return status;
    }
    c->scratch_bytes = st->step.scratch_bytes;
    c->state = st;
    return MAAS_OK;
}

static maas_status run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const state *st = c->state;
    const maas_tensor *in = c->in + st->has_z;
    void *data[] = {in[0].data, st->pack->data, c->out[0].data, st->has_b ? in[3].data : NULL};
    maas_dnnl_threads(c->n_threads);
    if (st->has_z && c->in[0].data != c->out[0].data)
        memcpy(c->out[0].data, c->in[0].data, maas_tensor_bytes(&c->out[0]));
    return maas_dnnl_step_run(&st->step, data, c->scratch, err);
}

#define ROW(Name)                                                                                  \
    {                                                                                              \
        .op = &maas_op_##Name, .name = #Name ".dnnl", .flags = MAAS_KERNEL_WHOLE, .fits = fits,    \
        .prepare = prepare, .release = release, .run = run                                         \
    }
const maas_kernel maas_kernels_dnnl_qconv[] = {
    ROW(FusedQLinearConv), ROW(FusedQLinearConvAdd), {0}};
