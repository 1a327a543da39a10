/*
 * Smooth activations of networks: Erf, Gelu in both forms, Swish, SwiGLU, Mish. f32; a step costs
 * one or two exponentials.
 *
 * erf x is x P(x^2) below 1; from there on erfc a = exp(-a^2) Q(1 / (1 + a / 2)). P and Q are
 * Chebyshev fits on [0, 1] and a in [1, 10.5]: 1.4e-9 and 2e-8, relative.
 */
#include "kernels/cpu/isa.h"

#include "base/mem.h"

#include "base/ban.h"

extern const maas_op maas_op_Erf, maas_op_Gelu, maas_op_Swish, maas_op_SwiGLU, maas_op_Mish;

/* erf x for |x| < 1. */
INLINE vf erf_small(vf x)
{
    const vf z = x * x;
    vf p = v_all(7.882497121e-05f);
    p = p * z - 8.018854996e-04f;
    p = p * z + 5.189311943e-03f;
    p = p * z - 2.685432880e-02f;
    p = p * z + 1.128359746e-01f;
    p = p * z - 3.761262690e-01f;
    p = p * z + 1.128379166e+00f;
    return x * p;
}

/* erfc a for a >= 1; 0 from where it is too small for a float. */
INLINE vf erfc_large(vf a)
{
    const vf b = v_min(a, v_all(10.5f)), u = 1 / (1 + 0.5f * b);
    vf q = v_all(7.524805568e-02f);
    q = q * u - 1.667684764e-01f;
    q = q * u - 8.126744173e-05f;
    q = q * u + 1.244950622e-01f;
    q = q * u + 1.492288294e-01f;
    q = q * u + 2.554692322e-01f;
    q = q * u + 2.805637317e-01f;
    q = q * u + 2.822394078e-01f;
    q = q * u - 5.676200256e-06f;
    return v_exp(-b * b) * q;
}

INLINE vf v_erf(vf x)
{
    const vf a = v_abs(x), large = 1 - erfc_large(a);
    const vf sign = (vf)((vi)x & (int32_t)0x80000000);
    const vf y = v_pick(a < 1, erf_small(x), (vf)((vi)large | (vi)sign));
    return v_pick(x != x, x, y);
}

/* x / 2 (1 + erf(x / sqrt 2)); below -sqrt 2 the sum would cancel, and erfc does not. */
INLINE vf v_gelu(vf x)
{
    const vf s = x * 0.707106781186547524f, a = v_abs(s);
    const vf tail = erfc_large(a);
    const vf twice = v_pick(a < 1, 1 + erf_small(s), v_pick(s < 0, tail, 2 - tail));
    return v_pick(x != x, x, 0.5f * x * twice);
}

/* (1 + tanh u) / 2 is the sigmoid of 2 u. */
INLINE vf v_gelu_tanh(vf x)
{
    const vf u = 1.595769121605730711f * (x + 0.044715f * x * x * x);
    return x * v_sigmoid(u);
}

/* tanh(log(1 + e)) with e = e^x is (e^2 + 2 e) / (e^2 + 2 e + 2); it is 1 long before e^2
 * overflows. */
INLINE vf v_mish(vf x)
{
    const vf e = v_exp(v_min(x, v_all(30.0f))), n = e * (e + 2);
    return v_pick(x != x, x, x * (n / (n + 2)));
}

typedef struct smooth_state {
    void (*run)(float *y, const float *a, const float *b, float alpha, int64_t from, int64_t to);
    float alpha;
} smooth_state;

#define LOOP(name, expr)                                                                           \
    static void name(float *y, const float *a, const float *b, float alpha, int64_t i, int64_t to) \
    {                                                                                              \
        for (; i < to; i += VW) {                                                                  \
            const int64_t left = to - i;                                                           \
            const vf x = left >= VW ? v_load(a + i) : v_load_part(a + i, left, 0);                 \
            const vf z = left >= VW ? v_load(b + i) : v_load_part(b + i, left, 0);                 \
            (void)z;                                                                               \
            const vf v = (expr);                                                                   \
            if (left >= VW)                                                                        \
                v_store(y + i, v);                                                                 \
            else                                                                                   \
                v_store_part(y + i, v, left);                                                      \
        }                                                                                          \
    }
LOOP(run_erf, v_erf(x))
LOOP(run_gelu, v_gelu(x))
LOOP(run_gelu_tanh, v_gelu_tanh(x))
LOOP(run_mish, v_mish(x))
LOOP(run_swish, x *v_sigmoid(alpha *x))
LOOP(run_swiglu, x *v_sigmoid(alpha *x) * z)

static bool smooth_fits(const maas_call *c, const maas_cpu *cpu)
{
    return c->in[0].dtype == MAAS_F32;
}

static maas_status smooth_prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    const maas_op *op = c->node->op;
    smooth_state *s = maas_calloc(1, sizeof *s);
    if (!s)
        return maas_fail(err, MAAS_E_NOMEM, "preparing %s", op->name);
    const bool by_tanh = maas_attr_s(c->node, "approximate", "none").p[0] == 't';
    s->run = op == &maas_op_Erf     ? run_erf
             : op == &maas_op_Gelu  ? (by_tanh ? run_gelu_tanh : run_gelu)
             : op == &maas_op_Mish  ? run_mish
             : op == &maas_op_Swish ? run_swish
                                    : run_swiglu;
    s->alpha = maas_attr_f(c->node, "alpha", 1);
    c->state = s;
    return MAAS_OK;
}

static maas_status smooth_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const smooth_state *s = c->state;
    int64_t from, to;
    maas_share(maas_n_elems(&c->out[0]), 256, ithr, nthr, &from, &to);
    s->run(c->out[0].data, c->in[0].data, c->in[c->n_in - 1].data, s->alpha, from, to);
    return MAAS_OK;
}

#define ROW(which)                                                                                 \
    {                                                                                              \
        .op = &maas_op_##which, .name = #which "." ISA_TEXT, .fits = smooth_fits,                  \
        .prepare = smooth_prepare, .release = maas_free, .run = smooth_run                         \
    }
const maas_kernel ISA(maas_kernels_smooth)[] = {ROW(Erf),    ROW(Gelu), ROW(Swish),
                                                ROW(SwiGLU), ROW(Mish), {0}};
