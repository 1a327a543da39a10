/*
 * Convolution by oneDNN: Conv, FusedConv and FusedConvAdd in f32. Arrays in blocks are taken as
 * they are; others are moved to the order that the primitive likes best, which costs less than it
 * gains.
 */
#include "kernels/dnnl/conv_act.h"
#include "kernels/dnnl/conv_pack.h"
#include "ops/fused_conv.h"

#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

extern const maas_op maas_op_Conv, maas_op_FusedConv, maas_op_FusedConvAdd;

typedef struct state {
    maas_dnnl_step step; /* X, W, Y, B */
    const maas_conv_pack *pack;
    bool has_z;
} state;

bool maas_dnnl_acts_differ(const maas_conv_act *act, int n, int linear, int clip)
{
    for (int i = 0; i < n; i++) {
        linear += act[i].kind == MAAS_CONV_LINEAR || act[i].kind == MAAS_CONV_HARD_SIGMOID;
        clip += act[i].kind == MAAS_CONV_CLIP || act[i].kind == MAAS_CONV_HARD_SIGMOID;
        for (int k = 0; k < i; k++)
            if (act[k].kind == act[i].kind)
                return false;
    }
    return linear < 2 && clip < 2;
}

/* Blocks of few channels are mostly filling: what a large kernel of them would take has a bound. */
static bool packs_well(const maas_conv *v, const maas_tensor *w)
{
    const int64_t m = (v->narrow_c + 15) / 16 * 16, c = (v->wide_c + 15) / 16 * 16;
    const int64_t n = maas_n_elems(w), most = n > INT32_MAX / 8 ? INT32_MAX : 8 * n;
    if (v->groups > 1 && v->narrow_c == 1 && v->wide_c == 1)
        return true; /* groups are what is in blocks */
    return m * c <= (most > (1 << 22) ? most : 1 << 22) / v->kernel_n / v->groups;
}

static bool takes_half(const maas_tensor *t)
{
    const int64_t n = maas_n_elems(t);
    return (t->dtype == MAAS_F32 || t->dtype == MAAS_BF16) && n > 0 && n <= INT32_MAX;
}

static bool fits(const maas_call *c, const maas_cpu *cpu)
{
    maas_fused_conv f;
    if (maas_fused_conv_init(&f, c, NULL) != MAAS_OK || f.v.w.n > 3 ||
        !maas_dnnl_acts_differ(f.act, f.n_acts, 0, 0))
        return false;
    if (cpu->sve_512 && f.n_acts && f.w->data)
        return false; /* oneDNN 2.6 leaves activations out where weights lie as it likes best */
    if (!maas_dnnl_small(f.w) || !packs_well(&f.v, f.w) || (f.s && (!f.s->data || !f.w->data)))
        return false;
    if (f.half)
        return cpu->avx512_bf16 && f.w->data && takes_half(f.x) && takes_half(&c->out[0]) &&
               (f.x_block || f.v.groups == 1);
    return maas_dnnl_small(f.x) && maas_dnnl_small(&c->out[0]);
}

/* ---- description ---- */

typedef struct shapes {
    dnnl_memory_desc_t x, w, y, b;
    dnnl_dims_t strides, dilations, before, after;
} shapes;

static bool weights_md(const maas_fused_conv *f, dnnl_memory_desc_t *md)
{
    const int n = f->v.w.n;
    const bool grouped = f->v.groups > 1;
    static const dnnl_format_tag_t tags[2][3] = {{dnnl_oiw, dnnl_oihw, dnnl_oidhw},
                                                 {dnnl_goiw, dnnl_goihw, dnnl_goidhw}};
    dnnl_dims_t d = {f->v.groups};
    d[grouped] = f->v.narrow_c;
    for (int i = 0; i <= n; i++)
        d[grouped + 1 + i] = f->w->dims[1 + i];
    return dnnl_memory_desc_init_by_tag(md, n + 2 + grouped, d, dnnl_f32, tags[grouped][n - 1]) ==
           dnnl_success;
}

static dnnl_data_type_t type_of(const maas_tensor *t)
{
    return t->dtype == MAAS_BF16 ? dnnl_bf16 : dnnl_f32;
}

static bool describe(const maas_fused_conv *f, shapes *s)
{
    const maas_window *w = &f->v.w;
    const dnnl_dims_t channels = {f->py.dims[1]};
    for (int a = 0; a < w->n; a++) {
        s->strides[a] = w->stride[a];
        s->dilations[a] = w->dilation[a] - 1;
        s->before[a] = w->before[a];
        s->after[a] = w->after[a];
    }
    return maas_dnnl_md_of(&s->x, type_of(&f->px), f->px.rank, f->px.dims, f->x_block) &&
           maas_dnnl_md_of(&s->y, type_of(&f->py), f->py.rank, f->py.dims, f->y_block) &&
           weights_md(f, &s->w) &&
           dnnl_memory_desc_init_by_tag(&s->b, 1, channels, dnnl_f32, dnnl_a) == dnnl_success;
}

void maas_dnnl_append_act(dnnl_post_ops_t ops, const maas_conv_act *a)
{
    static const struct {
        dnnl_alg_kind_t alg;
        bool params;
    } rows[MAAS_N_CONV_ACTS] = {
        [MAAS_CONV_RELU] = {dnnl_eltwise_relu, false},
        [MAAS_CONV_LEAKY_RELU] = {dnnl_eltwise_relu, true},
        [MAAS_CONV_CLIP] = {dnnl_eltwise_clip_v2, true},
        [MAAS_CONV_SIGMOID] = {dnnl_eltwise_logistic, false},
        [MAAS_CONV_TANH] = {dnnl_eltwise_tanh, false},
        [MAAS_CONV_HARD_SWISH] = {dnnl_eltwise_hardswish, false},
        [MAAS_CONV_HARD_SIGMOID] = {dnnl_eltwise_linear, true},
        [MAAS_CONV_SWISH] = {dnnl_eltwise_swish, true},
        [MAAS_CONV_ELU] = {dnnl_eltwise_elu, true},
        [MAAS_CONV_LINEAR] = {dnnl_eltwise_linear, true},
    };
    const bool params = rows[a->kind].params;
    dnnl_post_ops_append_eltwise(ops, 1, rows[a->kind].alg, params ? a->a : 0, params ? a->b : 0);
    if (a->kind == MAAS_CONV_HARD_SIGMOID)
        dnnl_post_ops_append_eltwise(ops, 1, dnnl_eltwise_clip_v2, 0, 1);
}

static dnnl_primitive_attr_t attributes(const maas_fused_conv *f)
{
    dnnl_primitive_attr_t attr;
    dnnl_post_ops_t ops;
    if (dnnl_primitive_attr_create(&attr) != dnnl_success)
        return NULL;
    dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    if (dnnl_post_ops_create(&ops) == dnnl_success) {
        if (f->z)
            dnnl_post_ops_append_sum(ops, 1);
        for (int i = 0; i < f->n_acts; i++)
            maas_dnnl_append_act(ops, &f->act[i]);
        dnnl_primitive_attr_set_post_ops(attr, ops);
        dnnl_post_ops_destroy(ops);
    }
    return attr;
}

/* ---- preparing ---- */

/* `keep`: blocks stay as they are. */
static void open_step(maas_dnnl_step *step, const maas_fused_conv *f, const shapes *s,
                      const_dnnl_primitive_attr_t attr, dnnl_alg_kind_t alg, bool keep)
{
    shapes any = *s;
    dnnl_convolution_desc_t desc;
    if (!keep || !f->x_block)
        maas_dnnl_md_any(&any.x, &s->x);
    if (!keep || !f->y_block)
        maas_dnnl_md_any(&any.y, &s->y);
    any.w.data_type = type_of(f->x);
    maas_dnnl_md_any(&any.w, &any.w);
    *step = (maas_dnnl_step){.failed = true};
    if (dnnl_dilated_convolution_forward_desc_init(
            &desc, dnnl_forward_inference, alg, &any.x, &any.w, f->b ? &any.b : NULL, &any.y,
            s->strides, s->dilations, s->before, s->after) == dnnl_success)
        maas_dnnl_step_open(step, &desc, attr, NULL);
}

/* 3 x 3 with fewer products: where there are places enough to pay for the transforms. */
static bool is_winograd(const maas_fused_conv *f)
{
    const maas_conv *v = &f->v;
    bool ok = v->w.n == 2 && v->groups == 1 && !f->half && f->x_block && f->y_block &&
              v->narrow_n >= 100 && v->wide_c >= 32 && v->narrow_c >= 32;
    for (int a = 0; a < 2 && ok; a++)
        ok = v->w.kernel[a] == 3 && v->w.stride[a] == 1 && v->w.dilation[a] == 1;
    return ok;
}

static bool make_step(state *st, const maas_fused_conv *f, const shapes *s)
{
    maas_dnnl_step *step = &st->step;
    dnnl_primitive_attr_t attr = attributes(f);
    if (!attr)
        return false;
    *step = (maas_dnnl_step){.failed = true};
    if (is_winograd(f))
        open_step(step, f, s, attr, dnnl_convolution_winograd, true);
    if (step->failed)
        open_step(step, f, s, attr, dnnl_convolution_direct, true);
    if ((f->x_block || f->y_block) && (step->failed || !maas_dnnl_is_fast(step->pd))) {
        maas_dnnl_step_reset(step);
        open_step(step, f, s, attr, dnnl_convolution_direct, false);
    }
    dnnl_primitive_attr_destroy(attr);
    maas_dnnl_step_arg(step, DNNL_ARG_SRC, &s->x, false);
    maas_dnnl_step_arg(step, DNNL_ARG_WEIGHTS, &s->w, false);
    maas_dnnl_step_arg(step, DNNL_ARG_DST, &s->y, f->z != NULL);
    if (f->b)
        maas_dnnl_step_arg(step, DNNL_ARG_BIAS, &s->b, false);
    if (f->w->data)
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
    maas_fused_conv f;
    shapes s;
    MAAS_TRY(maas_fused_conv_init(&f, c, err));
    state *st = maas_calloc(1, sizeof *st);
    if (!st)
        return maas_fail(err, MAAS_E_NOMEM, "preparing %s", c->node->op->name);
    maas_dnnl_threads(c->n_threads);
    st->has_z = f.z != NULL;
    maas_status status = MAAS_OK;
    if (!describe(&f, &s) || !make_step(st, &f, &s))
        status = maas_fail(err, MAAS_E_INTERNAL, "oneDNN has no such convolution");
    else if (f.w->data)
        status = maas_conv_pack_acquire(f.w, f.s, &s.w, &st->step.arg[1].inner, &st->pack, err);
    if (status != MAAS_OK) {
        release(st);
        return status;
    }
    c->scratch_bytes = st->step.scratch_bytes;
    c->state = st;
    return MAAS_OK;
}

/* ---- running ---- */

static maas_status run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const state *st = c->state;
    const maas_tensor *in = c->in + st->has_z;
    void *data[] = {in[0].data, st->pack ? st->pack->data : in[1].data, c->out[0].data,
                    c->n_in > 2 + st->has_z ? in[2].data : NULL};
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
const maas_kernel maas_kernels_dnnl_conv[] = {ROW(Conv), ROW(FusedConv), ROW(FusedConvAdd), {0}};
