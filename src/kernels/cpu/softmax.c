/*
 * Softmax and LogSoftmax over the last axis, and the cross entropy of [n][classes] scores with its
 * gradient: all are one pass over short rows that stay in L1.
 */
#include "kernels/cpu/isa.h"

#include "base/ban.h"

extern const maas_op maas_op_Softmax, maas_op_LogSoftmax, maas_op_SoftmaxCrossEntropyLoss,
    maas_op_SoftmaxCrossEntropyGrad;

INLINE vf load_row(const real *x, int64_t i, int64_t n, real fill)
{
    return n - i >= VW ? v_load(x + i) : v_load_part(x + i, n - i, fill);
}

INLINE void store_row(real *y, int64_t i, int64_t n, vf v)
{
    if (n - i >= VW)
        v_store(y + i, v);
    else
        v_store_part(y + i, v, n - i);
}

/* max + log sum exp(x - max); *out_max is the shift that keeps exp in range. */
static real log_sum_exp(const real *x, int64_t n, real *out_max)
{
    vf most = v_all(-INFINITY), sum = {0};
    for (int64_t i = 0; i < n; i += VW)
        most = v_max(most, load_row(x, i, n, -INFINITY));
    const real max = v_greatest(most);
    for (int64_t i = 0; i < n; i += VW)
        sum += v_exp(load_row(x, i, n, -INFINITY) - max);
    *out_max = max;
    return max + (real)log((double)v_sum(sum));
}

static void softmax_row(real *y, const real *x, int64_t n)
{
    vf most = v_all(-INFINITY), sum = {0};
    for (int64_t i = 0; i < n; i += VW)
        most = v_max(most, load_row(x, i, n, -INFINITY));
    const real max = v_greatest(most);
    for (int64_t i = 0; i < n; i += VW) {
        const vf e = v_exp(load_row(x, i, n, -INFINITY) - max);
        store_row(y, i, n, e);
        sum += e;
    }
    const real scale = 1 / v_sum(sum);
    for (int64_t i = 0; i < n; i += VW)
        store_row(y, i, n, load_row(y, i, n, 0) * scale);
}

static void log_softmax_row(real *y, const real *x, int64_t n)
{
    real max;
    const real minus = log_sum_exp(x, n, &max);
    for (int64_t i = 0; i < n; i += VW)
        store_row(y, i, n, load_row(x, i, n, 0) - minus);
}

static bool softmax_fits(const maas_call *c, const maas_cpu *cpu)
{
    const maas_tensor *x = &c->in[0];
    const int64_t axis = maas_attr_i(c->node, "axis", -1);
    return x->dtype == REAL_DTYPE && x->rank > 0 && (axis == -1 || axis == x->rank - 1);
}

static maas_status softmax_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    const int64_t n = x->dims[x->rank - 1], rows = maas_dims_product(x->dims, 0, x->rank - 1);
    const bool logarithm = c->node->op == &maas_op_LogSoftmax;
    int64_t from, to;
    maas_share(rows, 1 + 256 / (n + 1), ithr, nthr, &from, &to);
    for (int64_t r = from; r < to && n > 0; r++)
        (logarithm ? log_softmax_row : softmax_row)((real *)c->out[0].data + r * n,
                                                    (const real *)x->data + r * n, n);
    return MAAS_OK;
}

/* ---- cross entropy ---- */

typedef enum reduction { RED_NONE, RED_SUM, RED_MEAN } reduction;

typedef struct loss_args {
    const real *x, *weights;
    const maas_tensor *labels;
    int64_t n, n_class, ignored;
    bool has_ignored;
    reduction how;
} loss_args;

static loss_args loss_of(const maas_call *c, int first)
{
    const maas_str how = maas_attr_s(c->node, "reduction", "mean");
    loss_args a = {.x = c->in[first].data,
                   .labels = &c->in[first + 1],
                   .n = c->in[first].dims[0],
                   .n_class = c->in[first].dims[1],
                   .ignored = maas_attr_i(c->node, "ignore_index", 0),
                   .has_ignored = maas_node_attr(c->node, "ignore_index") != NULL,
                   .how = how.p[0] == 'm'   ? RED_MEAN
                          : how.p[0] == 's' ? RED_SUM
                                            : RED_NONE};
    if (c->n_in > first + 2 && c->in[first + 2].dtype != MAAS_DT_NONE)
        a.weights = c->in[first + 2].data;
    return a;
}

/* -1: ignored */
static maas_status label_at(const loss_args *a, int64_t i, int64_t *out, maas_err *err)
{
    const int64_t k = a->labels->dtype == MAAS_I64 ? ((const int64_t *)a->labels->data)[i]
                                                   : ((const int32_t *)a->labels->data)[i];
    *out = k;
    if (a->has_ignored && k == a->ignored)
        *out = -1;
    else if (k < 0 || k >= a->n_class)
        return maas_fail(err, MAAS_E_INVALID, "label %lld at place %lld is outside of %lld classes",
                         (long long)k, (long long)i, (long long)a->n_class);
    return MAAS_OK;
}

static real weight_of(const loss_args *a, int64_t label)
{
    return label < 0 ? 0 : a->weights ? a->weights[label] : 1;
}

static bool loss_fits_at(const maas_call *c, int first)
{
    const maas_tensor *x = &c->in[first], *labels = &c->in[first + 1];
    return x->dtype == REAL_DTYPE && x->rank == 2 &&
           (labels->dtype == MAAS_I64 || labels->dtype == MAAS_I32);
}

static bool loss_fits(const maas_call *c, const maas_cpu *cpu)
{
    return loss_fits_at(c, 0);
}

static bool grad_fits(const maas_call *c, const maas_cpu *cpu)
{
    return loss_fits_at(c, 1);
}

typedef struct partial { /* a cache line for each thread */
    double loss, weight;
    char pad[48];
} partial;

static maas_status loss_prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    c->scratch_bytes = sizeof(partial) * (size_t)c->n_threads;
    return MAAS_OK;
}

static void no_state(void *state)
{
}

static maas_status loss_rows(const maas_call *c, const loss_args *a, int64_t from, int64_t to,
                             partial *sum, maas_err *err)
{
    real *y = c->out[0].data;
    real *log_p = c->n_out > 1 && c->out[1].dtype != MAAS_DT_NONE ? c->out[1].data : NULL;
    for (int64_t i = from; i < to; i++) {
        const real *x = a->x + i * a->n_class;
        int64_t label;
        real max;
        MAAS_TRY(label_at(a, i, &label, err));
        const real minus = log_sum_exp(x, a->n_class, &max), w = weight_of(a, label);
        const real l = label < 0 ? 0 : w * (minus - x[label]);
        sum->loss += l;
        sum->weight += w;
        if (a->how == RED_NONE)
            y[i] = l;
        for (int64_t k = 0; log_p && k < a->n_class; k += VW)
            store_row(log_p + i * a->n_class, k, a->n_class, load_row(x, k, a->n_class, 0) - minus);
    }
    return MAAS_OK;
}

static maas_status loss_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const loss_args a = loss_of(c, 0);
    partial *sums = c->scratch;
    int64_t from, to;
    maas_share(a.n, 16, ithr, nthr, &from, &to);
    sums[ithr] = (partial){0};
    const maas_status st = loss_rows(c, &a, from, to, &sums[ithr], err);
    maas_call_barrier(); /* also after a bad label: the others wait here */
    if (ithr > 0 || st != MAAS_OK || a.how == RED_NONE)
        return st;
    for (int i = 1; i < nthr; i++) {
        sums[0].loss += sums[i].loss;
        sums[0].weight += sums[i].weight;
    }
    *(real *)c->out[0].data = (real)(a.how == RED_MEAN ? sums[0].loss / sums[0].weight
                                                       : sums[0].loss);
    return MAAS_OK;
}

static maas_status total_weight(const loss_args *a, double *out, maas_err *err)
{
    *out = (double)a->n;
    if (!a->weights && !a->has_ignored)
        return MAAS_OK;
    *out = 0;
    for (int64_t i = 0; i < a->n; i++) {
        int64_t label;
        MAAS_TRY(label_at(a, i, &label, err));
        *out += weight_of(a, label);
    }
    return MAAS_OK;
}

static maas_status grad_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const loss_args a = loss_of(c, 1);
    const real *dy = c->in[0].data;
    double total = 1;
    int64_t from, to;
    if (maas_n_elems(&c->in[0]) != (a.how == RED_NONE ? a.n : 1))
        return maas_fail(err, MAAS_E_INVALID, "dLoss does not have the shape of the loss");
    if (a.how == RED_MEAN)
        MAAS_TRY(total_weight(&a, &total, err));
    maas_share(a.n, 16, ithr, nthr, &from, &to);
    for (int64_t i = from; i < to; i++) {
        const real *x = a.x + i * a.n_class;
        real *dx = (real *)c->out[0].data + i * a.n_class;
        int64_t label;
        MAAS_TRY(label_at(&a, i, &label, err));
        const real g = (real)(dy[a.how == RED_NONE ? i : 0] / total * (double)weight_of(&a, label));
        if (label < 0) {
            memset(dx, 0, (size_t)a.n_class * sizeof *dx);
            continue;
        }
        softmax_row(dx, x, a.n_class);
        dx[label] -= 1;
        for (int64_t k = 0; k < a.n_class; k += VW)
            store_row(dx, k, a.n_class, load_row(dx, k, a.n_class, 0) * g);
    }
    return MAAS_OK;
}

const maas_kernel ISA(maas_kernels_softmax)[] = {
    {.op = &maas_op_Softmax, .name = "Softmax." ISA_TEXT, .fits = softmax_fits, .run = softmax_run},
    {.op = &maas_op_LogSoftmax,
     .name = "LogSoftmax." ISA_TEXT,
     .fits = softmax_fits,
     .run = softmax_run},
    {.op = &maas_op_SoftmaxCrossEntropyLoss,
     .name = "SoftmaxCrossEntropyLoss." ISA_TEXT,
     .flags = MAAS_KERNEL_BARRIER,
     .fits = loss_fits,
     .prepare = loss_prepare,
     .release = no_state,
     .run = loss_run},
    {.op = &maas_op_SoftmaxCrossEntropyGrad,
     .name = "SoftmaxCrossEntropyGrad." ISA_TEXT,
     .fits = grad_fits,
     .run = grad_run},
    {0}};
