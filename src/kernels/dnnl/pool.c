/* Pooling by oneDNN: MaxPool without indices, AveragePool, BlockedPool, and their gradients. */
#include "kernels/dnnl/step.h"
#include "ops/window.h"

#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

extern const maas_op maas_op_AveragePool, maas_op_AveragePoolGrad, maas_op_BlockedPool,
    maas_op_MaxPool;

typedef struct kind {
    dnnl_alg_kind_t alg;
    bool backward;
} kind;

static kind kind_of(const maas_node *n)
{
    const bool pads = maas_attr_i(n, "count_include_pad", 0) != 0;
    const maas_str s = maas_attr_s(n, "kind", n->op == &maas_op_MaxPool ? "Max" : "Average");
    return (kind){s.n == 3 ? dnnl_pooling_max
                  : pads   ? dnnl_pooling_avg_include_padding
                           : dnnl_pooling_avg_exclude_padding,
                  n->op == &maas_op_AveragePoolGrad};
}

typedef struct shapes {
    dnnl_memory_desc_t x, y;
    dnnl_dims_t kernel, strides, before, after;
} shapes;

static bool arrays(const maas_call *c, const maas_tensor **x, const maas_tensor **y)
{
    const bool backward = c->node->op == &maas_op_AveragePoolGrad;
    *x = &c->in[backward];
    *y = backward ? &c->in[0] : &c->out[0];
    return maas_dnnl_small(*x) && maas_dnnl_small(*y) && (c->n_out < 2);
}

/* Every window must see data, no sum may be divided by pads that are not there. */
static bool plain_windows(const maas_window *w, const int64_t *wide, const int64_t *narrow,
                          int64_t *after)
{
    for (int a = 0; a < w->n; a++) {
        const int64_t end = (narrow[a] - 1) * w->stride[a] - w->before[a] + w->kernel[a];
        after[a] = end > wide[a] ? end - wide[a] : 0;
        if (w->dilation[a] != 1 || w->before[a] >= w->kernel[a] || after[a] >= w->kernel[a])
            return false;
        if (end > wide[a] + w->after[a])
            return false; /* ceil_mode: a window that is cut off */
    }
    return true;
}

static bool describe(const maas_call *c, shapes *s)
{
    const maas_tensor *x, *y;
    maas_window w;
    int64_t ignored[MAAS_WINDOW_AXES], after[MAAS_WINDOW_AXES];
    if (!arrays(c, &x, &y))
        return false;
    const bool blocked = c->node->op == &maas_op_BlockedPool;
    const int64_t block = blocked ? x->dims[x->rank - 1] : 0;
    const int rank = x->rank - blocked;
    if (rank < 3 || rank > 5 || (blocked && block != 8 && block != 16) ||
        maas_window_init(&w, c->node, rank - 2, NULL, NULL) != MAAS_OK ||
        maas_window_fit(&w, x->dims + 2, ignored, NULL) != MAAS_OK ||
        !plain_windows(&w, x->dims + 2, y->dims + 2, after))
        return false;
    int64_t xd[5], yd[5];
    memcpy(xd, x->dims, (size_t)rank * sizeof *xd);
    memcpy(yd, y->dims, (size_t)rank * sizeof *yd);
    if (blocked)
        xd[1] = yd[1] = x->dims[1] * block;
    for (int a = 0; a < w.n; a++) {
        s->kernel[a] = w.kernel[a];
        s->strides[a] = w.stride[a];
        s->before[a] = w.before[a];
        s->after[a] = after[a];
    }
    return maas_dnnl_md(&s->x, rank, xd, block) && maas_dnnl_md(&s->y, rank, yd, block);
}

static bool fits(const maas_call *c, const maas_cpu *cpu)
{
    shapes s;
    return describe(c, &s);
}

static bool forward(maas_dnnl_step *step, const shapes *s, kind k, const_dnnl_primitive_attr_t attr)
{
    dnnl_pooling_desc_t desc;
    if (dnnl_pooling_forward_desc_init(&desc, dnnl_forward_inference, k.alg, &s->x, &s->y,
                                       s->strides, s->kernel, s->before, s->after) != dnnl_success)
        return false;
    maas_dnnl_step_open(step, &desc, attr, NULL);
    maas_dnnl_step_arg(step, DNNL_ARG_SRC, &s->x, false);
    maas_dnnl_step_arg(step, DNNL_ARG_DST, &s->y, false);
    return maas_dnnl_step_close(step);
}

static bool backward(maas_dnnl_step *step, const shapes *s, kind k,
                     const_dnnl_primitive_attr_t attr)
{
    dnnl_pooling_desc_t desc;
    maas_dnnl_step hint;
    if (dnnl_pooling_forward_desc_init(&desc, dnnl_forward_training, k.alg, &s->x, &s->y,
                                       s->strides, s->kernel, s->before, s->after) != dnnl_success)
        return false;
    maas_dnnl_step_open(&hint, &desc, attr, NULL);
    if (!hint.failed &&
        dnnl_pooling_backward_desc_init(&desc, k.alg, &s->x, &s->y, s->strides, s->kernel,
                                        s->before, s->after) == dnnl_success)
        maas_dnnl_step_open(step, &desc, attr, hint.pd);
    maas_dnnl_step_reset(&hint);
    maas_dnnl_step_arg(step, DNNL_ARG_DIFF_DST, &s->y, false);
    maas_dnnl_step_arg(step, DNNL_ARG_DIFF_SRC, &s->x, false);
    return maas_dnnl_step_close(step);
}

static void release(void *p)
{
    maas_dnnl_step_reset(p);
    maas_free(p);
}

static maas_status prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    shapes s;
    dnnl_primitive_attr_t attr;
    maas_dnnl_step *step = maas_calloc(1, sizeof *step);
    if (!step)
        return maas_fail(err, MAAS_E_NOMEM, "preparing %s", c->node->op->name);
    step->failed = true;
    maas_dnnl_threads(c->n_threads);
    const kind k = kind_of(c->node);
    bool ok = dnnl_primitive_attr_create(&attr) == dnnl_success;
    if (ok) {
        dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
        ok = describe(c, &s) && (k.backward ? backward : forward)(step, &s, k, attr);
        dnnl_primitive_attr_destroy(attr);
    }
    if (!ok) {
        release(step);
        return maas_fail(err, MAAS_E_INTERNAL, "oneDNN has no such pooling");
    }
    c->scratch_bytes = step->scratch_bytes;
    c->state = step;
    return MAAS_OK;
}

static maas_status run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    void *data[] = {c->in[0].data, c->out[0].data};
    maas_dnnl_threads(c->n_threads);
    return maas_dnnl_step_run(c->state, data, c->scratch, err);
}

#define ROW(Name)                                                                                  \
    {                                                                                              \
        .op = &maas_op_##Name, .name = #Name ".dnnl", .flags = MAAS_KERNEL_WHOLE, .fits = fits,    \
        .prepare = prepare, .release = release, .run = run                                         \
    }
const maas_kernel maas_kernels_dnnl_pool[] = {
    ROW(AveragePool), ROW(AveragePoolGrad), ROW(BlockedPool), ROW(MaxPool), {0}};
