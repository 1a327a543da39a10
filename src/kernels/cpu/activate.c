/*
 * Functions of one element that have numbers of their own (LeakyRelu, Elu, Clip, ...), and others
 * of networks: rounding, signs, sines. Each is an expression in x, a and b; an operator with
 * attributes says which a and b are.
 */
#include "kernels/cpu/isa.h"

#include "base/mem.h"
#include "base/ban.h"

/* ---- what the expressions are made of ---- */

/* e^x - 1 for x <= 0, without the loss of a difference near zero: 2 t / (1 - t), t = tanh(x / 2).
 */
INLINE vf v_expm1_below(vf x)
{
    const vf t = v_tanh((real)0.5 * x);
    return 2 * t / (1 - t);
}

/* ln(1 + u), 0 <= u <= 1. */
INLINE vf v_log1p(vf u)
{
    const vf w = 1 + u, d = w - 1;
    return v_pick(d == 0, u, v_log(w) * (u / v_pick(d == 0, v_all(1), d)));
}

INLINE vf v_sign_of(vf from, vf size)
{
    const vi top = (vi)v_all((real)-0.0);
    return (vf)(((vi)from & top) | ((vi)size & ~top));
}

/* To the nearest, halves to even: beyond this number there are only whole ones. */
INLINE vf v_round(vf x)
{
#if defined(MAAS_REAL64)
    const real whole = 0x1p52;
#else
    const real whole = 0x1p23f;
#endif
    const vf a = v_abs(x), r = a + whole - whole;
    return v_pick(a < whole, v_sign_of(x, r), x);
}

INLINE vf v_floor(vf x)
{
    const vf r = v_round(x);
    return r - v_pick(r > x, v_all(1), (vf){0});
}

INLINE vf v_ceil(vf x)
{
    const vf r = v_round(x), up = r + v_pick(r < x, v_all(1), (vf){0});
    return v_sign_of(x, up); /* -0 from above -1 */
}

INLINE vf v_relu6_of(vf y) /* [0, 1], a NaN passes */
{
    y = v_pick(y < 0, (vf){0}, y);
    return v_pick(y > 1, v_all(1), y);
}

INLINE vf v_softplus(vf x)
{
    const vf l = v_log1p(v_exp(-v_abs(x)));
    return v_pick(x != x, x, v_pick(x > 0, x, (vf){0}) + l);
}

INLINE vf v_shrink(vf x, real bias, real edge)
{
    const vf y = v_pick(x > edge, x - bias, v_pick(x == x, (vf){0}, x));
    return v_pick(x < -edge, x + bias, y);
}

INLINE vf v_clip(vf x, real low, real high)
{
    x = v_pick(x < low, v_all(low), x);
    return v_pick(x > high, v_all(high), x);
}

/* One lane after another. */
#define LANES(name, fn)                                                                            \
    static vf name(vf x)                                                                           \
    {                                                                                              \
        for (int i = 0; i < VW; i++)                                                               \
            x[i] = (real)fn((double)x[i]);                                                         \
        return x;                                                                                  \
    }
LANES(lanes_sin, sin)
LANES(lanes_cos, cos)

#if defined(MAAS_REAL64)
#define v_sin lanes_sin
#define v_cos lanes_cos
#else
/* Quarter turns off, in three steps that are exact; then the series of sine or cosine on
 * [-pi/4, pi/4] (coefficients of the Cephes library, S. Moshier). */
INLINE vf v_turn(vf x, int quarter)
{
    const float round = 12582912.0f; /* 1.5 * 2^23 */
    const vf n = x * 0.636619772367581343f + round - round;
    vf r = x - n * 1.5703125f;
    r = r - n * 4.837512969970703125e-4f;
    r = r - n * 7.549789948768648e-8f;
    const vf z = r * r;
    vf s = v_all(-1.9515295891e-4f);
    s = s * z + 8.3321608736e-3f;
    s = s * z - 1.6666654611e-1f;
    s = s * z * r + r;
    vf c = v_all(2.443315711809948e-5f);
    c = c * z - 1.388731625493765e-3f;
    c = c * z + 4.166664568298827e-2f;
    c = c * z * z - 0.5f * z + 1;
    const vi q = __builtin_convertvector(n, vi) + quarter;
    const vf y = v_pick((q & 1) != 0, c, s);
    return (vf)((vi)y ^ ((q & 2) << 30));
}
/* Where x is too large for the quarter turns to be exact: the library's. */
INLINE vf v_sin(vf x)
{
    return v_any(~(v_abs(x) < 8192.0f)) ? lanes_sin(x) : v_turn(x, 0);
}
INLINE vf v_cos(vf x)
{
    return v_any(~(v_abs(x) < 8192.0f)) ? lanes_cos(x) : v_turn(x, 1);
}
#endif

/* ---- one row of an operator in a, b and x ---- */

#define E_LeakyRelu       v_pick(x < 0, a * x, x)
#define E_Elu             v_pick(x < 0, a * v_expm1_below(v_pick(x < 0, x, (vf){0})), x)
#define E_Celu            v_pick(x < 0, a * v_expm1_below(v_pick(x < 0, x / a, (vf){0})), x)
#define E_Selu            b *E_Elu
#define E_ThresholdedRelu v_pick(x > a, x, (vf){0})
#define E_HardSigmoid     v_relu6_of(a *x + b)
#define E_HardSwish       (x * v_relu6_of(x * (real)(1.0 / 6) + (real)0.5))
#define E_Softplus        v_softplus(x)
#define E_Softsign        (x / (1 + v_abs(x)))
#define E_Shrink          v_shrink(x, a, b)
#define E_Clip            v_clip(x, a, b)
#define E_Floor           v_floor(x)
#define E_Ceil            v_ceil(x)
#define E_Round           v_round(x)
#define E_Sign            v_pick(x > 0, v_all(1), v_pick(x < 0, v_all(-1), x))
#define E_Sin             v_sin(x)
#define E_Cos             v_cos(x)

typedef void act_fn(real *y, const real *from, int64_t n, real a, real b);
#define ROW(Name)                                                                                  \
    static void row_##Name(real *y, const real *from, int64_t n, real a, real b)                   \
    {                                                                                              \
        int64_t i = 0;                                                                             \
        for (; i + VW <= n; i += VW) {                                                             \
            const vf x = v_load(from + i);                                                         \
            v_store(y + i, E_##Name);                                                              \
        }                                                                                          \
        if (i < n) {                                                                               \
            const vf x = v_load_part(from + i, n - i, 1);                                          \
            v_store_part(y + i, E_##Name, n - i);                                                  \
        }                                                                                          \
    }

/*     Name      a          its default   b         its default */
#define PLAIN(O)                                                                                   \
    O(HardSwish, NULL, 0, NULL, 0)                                                                 \
    O(Softplus, NULL, 0, NULL, 0)                                                                  \
    O(Softsign, NULL, 0, NULL, 0)                                                                  \
    O(Floor, NULL, 0, NULL, 0)                                                                     \
    O(Ceil, NULL, 0, NULL, 0)                                                                      \
    O(Round, NULL, 0, NULL, 0)                                                                     \
    O(Sign, NULL, 0, NULL, 0)                                                                      \
    O(Sin, NULL, 0, NULL, 0)                                                                       \
    O(Cos, NULL, 0, NULL, 0)                                                                       \
    O(Clip, NULL, 0, NULL, 0)
#define NUMBERED(O)                                                                                \
    O(LeakyRelu, "alpha", .01f, NULL, 0)                                                           \
    O(Elu, "alpha", 1, NULL, 0)                                                                    \
    O(Celu, "alpha", 1, NULL, 0)                                                                   \
    O(Selu, "alpha", 1.67326319217681884765625f, "gamma", 1.05070102214813232421875f)              \
    O(ThresholdedRelu, "alpha", 1, NULL, 0)                                                        \
    O(HardSigmoid, "alpha", .2f, "beta", .5f)                                                      \
    O(Shrink, "bias", 0, "lambd", .5f)
#define ALL(O) PLAIN(O) NUMBERED(O)

#define EACH(Name, a, a0, b, b0)                                                                   \
    extern const maas_op maas_op_##Name;                                                           \
    ROW(Name)
ALL(EACH)
#undef EACH

static const struct act {
    const maas_op *op;
    act_fn *row;
    const char *a, *b;
    float a0, b0;
} acts[] = {
#define EACH(Name, a, a0, b, b0) {&maas_op_##Name, row_##Name, a, b, a0, b0},
    ALL(EACH)
#undef EACH
};

static const struct act *act_of(const maas_op *op)
{
    const struct act *f = acts;
    while (f->op != op)
        f++;
    return f;
}

static bool fits(const maas_call *c, const maas_cpu *cpu)
{
    return c->in[0].dtype == REAL_DTYPE && c->out[0].dtype == REAL_DTYPE;
}

/* An input of Clip: one number, or none. */
static real bound(const maas_call *c, int i, real otherwise)
{
    return i < c->n_in && c->in[i].dtype != MAAS_DT_NONE ? *(const real *)c->in[i].data : otherwise;
}

static maas_status run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const struct act *f = act_of(c->node->op);
    real a = (real)(f->a ? maas_attr_f(c->node, f->a, f->a0) : 0);
    real b = (real)(f->b ? maas_attr_f(c->node, f->b, f->b0) : 0);
    int64_t from, to;
    if (f->op == &maas_op_Clip) {
        a = bound(c, 1, (real)-INFINITY);
        b = bound(c, 2, (real)INFINITY);
    }
    maas_share(maas_n_elems(&c->in[0]), 256, ithr, nthr, &from, &to);
    f->row((real *)c->out[0].data + from, (const real *)c->in[0].data + from, to - from, a, b);
    return MAAS_OK;
}

#define KERNEL(Name, a, a0, b, b0)                                                                 \
    {.op = &maas_op_##Name, .name = #Name "." ISA_TEXT, .fits = fits, .run = run},
const maas_kernel ISA(maas_kernels_activate)[] = {ALL(KERNEL){0}};
