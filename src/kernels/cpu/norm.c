/*
 * Rows brought to mean 0 and deviation 1: LayerNormalization, RMSNormalization over the last axes,
 * and GroupNormalization, InstanceNormalization, whose groups are rows, too. Three passes over a
 * row that stays in cache: sum, squares of what is off the mean, result.
 */
#include "kernels/cpu/isa.h"

#include "base/ban.h"

extern const maas_op maas_op_LayerNormalization, maas_op_RMSNormalization,
    maas_op_GroupNormalization, maas_op_InstanceNormalization;

INLINE vf load(const real *p, int64_t i, int64_t n)
{
    return n - i >= VW ? v_load(p + i) : v_load_part(p + i, n - i, 0);
}

INLINE void store(real *p, int64_t i, int64_t n, vf v)
{
    if (n - i >= VW)
        v_store(p + i, v);
    else
        v_store_part(p + i, v, n - i);
}

static real mean_of(const real *x, int64_t n)
{
    vf a = {0}, b = {0};
    int64_t i = 0;
    for (; i + 2 * VW <= n; i += 2 * VW) {
        a += v_load(x + i);
        b += v_load(x + i + VW);
    }
    for (; i < n; i += VW)
        a += load(x, i, n);
    return v_sum(a + b) / (real)n;
}

/* 1 / sqrt(mean of (x - mean)^2 + epsilon) */
static real inverse_of(const real *x, int64_t n, real mean, double epsilon)
{
    vf a = {0}, b = {0};
    int64_t i = 0;
    for (; i + 2 * VW <= n; i += 2 * VW) {
        const vf u = v_load(x + i) - mean, v = v_load(x + i + VW) - mean;
        a += u * u;
        b += v * v;
    }
    for (; i + VW <= n; i += VW) {
        const vf u = v_load(x + i) - mean;
        a += u * u;
    }
    double rest = (double)v_sum(a + b);
    for (; i < n; i++)
        rest += (double)((x[i] - mean) * (x[i] - mean));
    return (real)(1 / sqrt(rest / (double)n + epsilon));
}

/* ---- over the last axes ---- */

/* Rows of n, and a scale (and bias) that is one for each element of a row. */
static int64_t row_of(const maas_call *c)
{
    const maas_tensor *x = &c->in[0];
    const int64_t axis = maas_attr_i(c->node, "axis", -1);
    return maas_dims_product(x->dims, (int)(axis < 0 ? axis + x->rank : axis), x->rank);
}

static bool is_full_row(const maas_tensor *w, int64_t n)
{
    return w->dtype == REAL_DTYPE && maas_n_elems(w) == n;
}

static bool rows_fits(const maas_call *c, const maas_cpu *cpu)
{
    const int64_t n = row_of(c);
    for (int k = 1; k < c->n_out; k++)
        if (c->out[k].dtype != MAAS_DT_NONE && c->out[k].dtype != REAL_DTYPE)
            return false;
    return c->in[0].dtype == REAL_DTYPE && n > 0 && is_full_row(&c->in[1], n) &&
           (c->n_in < 3 || c->in[2].dtype == MAAS_DT_NONE || is_full_row(&c->in[2], n));
}

INLINE void scale_row(real *y, const real *x, int64_t n, const real *scale, const real *bias,
                      real mean, real inverse)
{
    for (int64_t i = 0; i < n; i += VW) {
        vf v = (load(x, i, n) - mean) * inverse * load(scale, i, n);
        if (bias)
            v += load(bias, i, n);
        store(y, i, n, v);
    }
}

static maas_status rows_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const int64_t n = row_of(c), rows = maas_n_elems(&c->in[0]) / n;
    const bool centred = c->node->op == &maas_op_LayerNormalization;
    const double epsilon = (double)maas_attr_f(c->node, "epsilon", 1e-5f);
    const real *scale = c->in[1].data;
    const real *bias = c->n_in > 2 && c->in[2].dtype != MAAS_DT_NONE ? c->in[2].data : NULL;
    real *mean_out = c->n_out > 1 && c->out[1].dtype != MAAS_DT_NONE ? c->out[1].data : NULL;
    real *inverse_out = c->n_out > 2 && c->out[2].dtype != MAAS_DT_NONE ? c->out[2].data : NULL;
    int64_t from, to;
    maas_share(rows, 1 + 256 / n, ithr, nthr, &from, &to);
    for (int64_t r = from; r < to; r++) {
        const real *x = (const real *)c->in[0].data + r * n;
        const real mean = centred ? mean_of(x, n) : 0;
        const real inverse = inverse_of(x, n, mean, epsilon);
        scale_row((real *)c->out[0].data + r * n, x, n, scale, bias, mean, inverse);
        if (mean_out)
            mean_out[r] = mean;
        if (inverse_out)
            inverse_out[r] = inverse;
    }
    return MAAS_OK;
}

/* ---- groups of channels ---- */

static bool groups_fits(const maas_call *c, const maas_cpu *cpu)
{
    return c->in[0].dtype == REAL_DTYPE;
}

static maas_status groups_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    const int64_t channels = x->dims[1], inner = maas_dims_product(x->dims, 2, x->rank);
    const int64_t groups = c->node->op == &maas_op_InstanceNormalization
                               ? channels
                               : maas_attr_i(c->node, "num_groups", 1);
    const int64_t each = groups ? channels / groups : 0, n = each * inner;
    const double epsilon = (double)maas_attr_f(c->node, "epsilon", 1e-5f);
    const real *scale = c->in[1].data, *bias = c->in[2].data;
    int64_t from, to;
    maas_share(x->dims[0] * groups, 1, ithr, nthr, &from, &to);
    for (int64_t g = from; g < to && n > 0; g++) {
        const real *in = (const real *)x->data + g * n;
        real *out = (real *)c->out[0].data + g * n;
        const real mean = mean_of(in, n), inverse = inverse_of(in, n, mean, epsilon);
        for (int64_t k = 0; k < each; k++) {
            const int64_t ch = g % groups * each + k;
            const real a = inverse * scale[ch], b = bias[ch] - mean * a;
            for (int64_t i = 0; i < inner; i += VW)
                store(out + k * inner, i, inner, load(in + k * inner, i, inner) * a + b);
        }
    }
    return MAAS_OK;
}

#define ROW(which, way)                                                                            \
    {                                                                                              \
        .op = &maas_op_##which, .name = #which "." ISA_TEXT, .fits = way##_fits, .run = way##_run  \
    }
const maas_kernel ISA(maas_kernels_norm)[] = {ROW(LayerNormalization, rows),
                                              ROW(RMSNormalization, rows),
                                              ROW(GroupNormalization, groups),
                                              ROW(InstanceNormalization, groups),
                                              {0}};
