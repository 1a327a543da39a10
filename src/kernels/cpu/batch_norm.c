/*
 * BatchNormalization and its gradient over x [N][C][d..]: a channel at a time, whose values are N
 * runs of d.. reals. Threads share the channels, so that each sum is taken by one thread in one
 * order.
 *
 * Means and variances come from one pass: sums of (x - k) and (x - k)^2 with k the channel's first
 * value, which keeps the difference of the two exact enough where the mean is far from zero. Runs
 * are summed in vectors, runs among each other in double.
 */
#include "kernels/cpu/isa.h"

#include "base/ban.h"

extern const maas_op maas_op_BatchNormalization, maas_op_BatchNormalizationGrad;

typedef struct shape {
    int64_t n, channels, inner;
    double count; /* values of a channel */
    bool training;
    double epsilon;
} shape;

typedef struct stats {
    double mean, var;
} stats;

static shape shape_of(const maas_call *c, const maas_tensor *x)
{
    const int64_t inner = maas_dims_product(x->dims, 2, x->rank);
    return (shape){.n = x->dims[0],
                   .channels = x->dims[1],
                   .inner = inner,
                   .count = (double)(x->dims[0] * inner),
                   .training = maas_attr_i(c->node, "training_mode", 0) != 0,
                   .epsilon = (double)maas_attr_f(c->node, "epsilon", 1e-5f)};
}

INLINE vf load_run(const real *x, int64_t i, int64_t n)
{
    return n - i >= VW ? v_load(x + i) : v_load_part(x + i, n - i, 0);
}

INLINE void store_run(real *y, int64_t i, int64_t n, vf v)
{
    if (n - i >= VW)
        v_store(y + i, v);
    else
        v_store_part(y + i, v, n - i);
}

static stats measure(const real *x, const shape *s, int64_t channel)
{
    const real *first = x + channel * s->inner;
    const vf k = v_all(s->count > 0 ? first[0] : 0);
    double sum = 0, squares = 0;
    for (int64_t n = 0; n < s->n; n++) {
        const real *row = x + (n * s->channels + channel) * s->inner;
        vf a = {0}, b = {0};
        int64_t i = 0;
        for (; i + VW <= s->inner; i += VW) {
            const vf d = v_load(row + i) - k;
            a += d;
            b += d * d;
        }
        if (i < s->inner) {
            const vf d = v_load_part(row + i, s->inner - i, k[0]) - k;
            a += d;
            b += d * d;
        }
        sum += (double)v_sum(a);
        squares += (double)v_sum(b);
    }
    const double mean = sum / s->count, var = squares / s->count - mean * mean;
    return (stats){mean + (double)k[0], var > 0 ? var : 0};
}

static stats stats_of(const maas_call *c, const maas_tensor *x, const shape *s, int64_t channel)
{
    if (s->training)
        return measure(x->data, s, channel);
    return (stats){(double)((const real *)c->in[3].data)[channel],
                   (double)((const real *)c->in[4].data)[channel]};
}

/* ---- forward ---- */

/* All statistics of the same type as x, and runs long enough for vectors. */
static bool same_dtypes(const maas_call *c, int n)
{
    for (int i = 0; i < n; i++)
        if (c->in[i].dtype != REAL_DTYPE)
            return false;
    return true;
}

static bool norm_fits(const maas_call *c, const maas_cpu *cpu)
{
    return same_dtypes(c, 5) && c->in[0].rank >= 3;
}

static void scale_runs(real *y, const real *x, const shape *s, int64_t channel, double mul,
                       double add)
{
    const vf m = v_all((real)mul), a = v_all((real)add);
    for (int64_t n = 0; n < s->n; n++) {
        const int64_t at = (n * s->channels + channel) * s->inner;
        for (int64_t i = 0; i < s->inner; i += VW)
            store_run(y + at, i, s->inner, load_run(x + at, i, s->inner) * m + a);
    }
}

static void keep_running(const maas_call *c, int out, int in, double keep, int64_t channel,
                         double now)
{
    if (c->n_out > out && c->out[out].dtype != MAAS_DT_NONE && c->out[out].data)
        ((real *)c->out[out].data)[channel] =
            (real)(keep * (double)((const real *)c->in[in].data)[channel] + (1 - keep) * now);
}

static maas_status norm_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const shape s = shape_of(c, &c->in[0]);
    const real *scale = c->in[1].data, *bias = c->in[2].data;
    const double keep = (double)maas_attr_f(c->node, "momentum", 0.9f);
    int64_t from, to;
    maas_share(s.channels, 1, ithr, nthr, &from, &to);
    for (int64_t k = from; k < to; k++) {
        const stats st = stats_of(c, &c->in[0], &s, k);
        const double mul = (double)scale[k] / sqrt(st.var + s.epsilon);
        scale_runs(c->out[0].data, c->in[0].data, &s, k, mul, (double)bias[k] - st.mean * mul);
        keep_running(c, 1, 3, keep, k, st.mean);
        keep_running(c, 2, 4, keep, k, st.var);
    }
    return MAAS_OK;
}

/* ---- gradient ---- */

static bool grad_fits(const maas_call *c, const maas_cpu *cpu)
{
    return same_dtypes(c, 5) && c->in[1].rank >= 3;
}

typedef struct sums {
    double dy, dy_x; /* of dY, and of dY (x - mean) */
} sums;

static sums sum_channel(const real *dy, const real *x, const shape *s, int64_t channel, double mean)
{
    const vf m = v_all((real)mean);
    sums total = {0};
    for (int64_t n = 0; n < s->n; n++) {
        const int64_t at = (n * s->channels + channel) * s->inner;
        vf a = {0}, b = {0};
        for (int64_t i = 0; i < s->inner; i += VW) {
            const vf d = load_run(dy + at, i, s->inner);
            a += d;
            b += d * (load_run(x + at, i, s->inner) - m);
        }
        total.dy += (double)v_sum(a);
        total.dy_x += (double)v_sum(b);
    }
    return total;
}

/* dX = scale / s (dY - mean dY - xhat mean(dY xhat)) = dY a + x b + c; without the last two when
 * the statistics are given. */
static void grad_runs(real *dx, const real *dy, const real *x, const shape *s, int64_t channel,
                      stats st, sums sum, double scale)
{
    const double over = 1 / (st.var + s->epsilon), mul = scale * sqrt(over);
    const double slope = s->training ? -mul * over * sum.dy_x / s->count : 0;
    const double shift = s->training ? -mul * sum.dy / s->count - slope * st.mean : 0;
    const vf a = v_all((real)mul), b = v_all((real)slope), c = v_all((real)shift);
    for (int64_t n = 0; n < s->n; n++) {
        const int64_t at = (n * s->channels + channel) * s->inner;
        for (int64_t i = 0; i < s->inner; i += VW)
            store_run(dx + at, i, s->inner,
                      load_run(dy + at, i, s->inner) * a + load_run(x + at, i, s->inner) * b + c);
    }
}

static real *out_of(const maas_call *c, int k)
{
    return c->n_out > k && c->out[k].dtype != MAAS_DT_NONE ? c->out[k].data : NULL;
}

static maas_status grad_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const real *dy = c->in[0].data, *x = c->in[1].data, *scale = c->in[2].data;
    real *dx = out_of(c, 0), *dscale = out_of(c, 1), *dbias = out_of(c, 2);
    const shape s = shape_of(c, &c->in[1]);
    int64_t from, to;
    maas_share(s.channels, 1, ithr, nthr, &from, &to);
    for (int64_t k = from; k < to; k++) {
        const stats st = stats_of(c, &c->in[1], &s, k);
        const sums sum = sum_channel(dy, x, &s, k, st.mean);
        if (dx)
            grad_runs(dx, dy, x, &s, k, st, sum, (double)scale[k]);
        if (dscale)
            dscale[k] = (real)(sum.dy_x / sqrt(st.var + s.epsilon));
        if (dbias)
            dbias[k] = (real)sum.dy;
    }
    return MAAS_OK;
}

const maas_kernel ISA(maas_kernels_batch_norm)[] = {{.op = &maas_op_BatchNormalization,
                                                     .name = "BatchNormalization." ISA_TEXT,
                                                     .fits = norm_fits,
                                                     .run = norm_run},
                                                    {.op = &maas_op_BatchNormalizationGrad,
                                                     .name = "BatchNormalizationGrad." ISA_TEXT,
                                                     .fits = grad_fits,
                                                     .run = grad_run},
                                                    {0}};
