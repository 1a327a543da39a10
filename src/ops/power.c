/* Pow and Mod: two operands, broadcasting, without the shape arithmetic of arith.c. */
#include "ops/ops_int.h"

#include "base/ban.h"

/* ---- Pow: the exponent may be of another type ---- */

/* By squaring, wrapping. A negative exponent leaves 0 of everything but 1 and -1. */
static int64_t pow_int(int64_t base, int64_t exponent)
{
    uint64_t r = 1, p = (uint64_t)base;
    if (exponent < 0)
        return base == 1 ? 1 : base == -1 ? (exponent & 1 ? -1 : 1) : 0;
    for (uint64_t e = (uint64_t)exponent; e; e >>= 1, p *= p)
        r *= e & 1 ? p : 1;
    return (int64_t)r;
}

static maas_status pow_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *w = &c->in[1], *y = &c->out[0];
    const bool whole = !maas_is_float(x->dtype) && !maas_is_float(w->dtype);
    maas_bcast b;
    maas_bcast_init(&b, y, c->in, 2);
    while (maas_bcast_row(&b))
        for (int64_t i = 0; i < b.inner; i++) {
            int64_t ix = b.at[0] + i * b.step[0], iw = b.at[1] + i * b.step[1];
            int64_t iy = b.row * b.inner + i;
            if (whole)
                maas_st_i64(y, iy, pow_int(maas_tensor_get_i64(x, ix), maas_tensor_get_i64(w, iw)));
            else
                maas_st(y, iy, pow(maas_ld(x, ix), maas_ld(w, iw)));
        }
    return MAAS_OK;
}

/* dx = dy e x^(e-1), de = dy y log x, where log of what is not above zero counts as 0. */
static void pow_gradient(maas_grad *g)
{
    maas_builder *b = g->b;
    const maas_vid x = g->node->in[0], e = g->node->in[1], y = g->node->out[0], dy = g->dout[0];
    if (g->want[0]) {
        maas_vid power = maas_b_op2(b, "Pow", x, MAAS_B_SUB(b, e, maas_b_like(b, e, 1)));
        maas_vid d = MAAS_B_MUL(b, MAAS_B_MUL(b, dy, maas_b_op2(b, "CastLike", e, x)), power);
        g->din[0] = maas_b_reduce_to(b, d, x);
    }
    if (g->want[1]) {
        maas_vid zero = maas_b_like(b, x, 0);
        maas_vid log = maas_b_op3(b, "Where", maas_b_op2(b, "Greater", x, zero),
                                  maas_b_op1(b, "Log", x), zero);
        maas_vid d = MAAS_B_MUL(b, MAAS_B_MUL(b, dy, y), log);
        g->din[1] = maas_b_op2(b, "CastLike", maas_b_reduce_to(b, d, e), e);
    }
}

static float pow_scalar(const maas_node *n, const float *in, int n_in)
{
    return (float)pow(in[0], in[1]);
}

static void pow_example(maas_example *e)
{
    static const int64_t shapes[][2][2] = {{{3, 4}, {3, 4}}, {{3, 1}, {1, 4}}, {{2, 3}, {1, 1}}};
    static const double known[] = {2, 3, 0.5, -0.5, -1, 1};
    int k = e->variant / 2 % 3;
    if (e->variant >= 8) {
        const maas_dtype real = maas_ex_float(e);
        const maas_vid base = maas_ex_in(e, real, 0.3, 3, MAAS_DIMS(3, 7));
        maas_b_op2(e->b, "Pow", base, maas_b_scalar(e->b, real, known[e->variant / 2 - 4]));
        return;
    }
    maas_dtype t = e->variant == 6 ? MAAS_I64 : maas_ex_float(e);
    maas_dtype te = e->variant == 7 ? MAAS_F32 : t;
    maas_vid x = maas_ex_in(e, t, e->variant == 6 ? -3 : 0.3, 3, 2, shapes[k][0]);
    maas_b_op2(e->b, "Pow", x, maas_ex_in(e, te, -2, 3, 2, shapes[k][1]));
}

/* ---- Mod: fmod = 0 is Python's (sign of the divisor), fmod = 1 is C's ---- */

static uint64_t mod_int(uint64_t a, uint64_t b, bool is_signed, bool as_c)
{
    if (b == 0)
        return 0; /* as integer division by zero */
    if (!is_signed)
        return a % b;
    if (b == UINT64_MAX)
        return 0; /* -1 */
    int64_t r = (int64_t)a % (int64_t)b;
    return (uint64_t)(!as_c && r != 0 && (r < 0) != ((int64_t)b < 0) ? r + (int64_t)b : r);
}

static double mod_real(double a, double b, bool as_c)
{
    double r = fmod(a, b);
    if (as_c || r != r)
        return r;
    return r == 0 ? copysign(0, b) : (r < 0) != (b < 0) ? r + b : r;
}

static maas_status mod_infer(maas_infer *q, maas_err *err)
{
    int64_t fmod = maas_attr_i(q->node, "fmod", 0);
    if (fmod != 0 && fmod != 1)
        return maas_fail(err, MAAS_E_INVALID, "attribute 'fmod' must be 0 or 1");
    return maas_infer_broadcast(q, err);
}

static maas_status mod_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *w = &c->in[1], *y = &c->out[0];
    const bool as_c = maas_attr_i(c->node, "fmod", 0) != 0;
    const bool is_signed = maas_dtype_describe((maas_dtype)x->dtype)->kind == MAAS_KIND_INT;
    maas_bcast b;
    maas_bcast_init(&b, y, c->in, 2);
    while (maas_bcast_row(&b))
        for (int64_t i = 0; i < b.inner; i++) {
            int64_t ix = b.at[0] + i * b.step[0], iw = b.at[1] + i * b.step[1];
            int64_t iy = b.row * b.inner + i;
            if (maas_is_float(x->dtype))
                maas_st(y, iy, mod_real(maas_ld(x, ix), maas_ld(w, iw), as_c));
            else
                maas_st_i64(y, iy,
                            (int64_t)mod_int((uint64_t)maas_tensor_get_i64(x, ix),
                                             (uint64_t)maas_tensor_get_i64(w, iw), is_signed,
                                             as_c));
        }
    return MAAS_OK;
}

static float mod_scalar(const maas_node *n, const float *in, int n_in)
{
    return (float)mod_real(in[0], in[1], maas_attr_i(n, "fmod", 0) != 0);
}

static void mod_example(maas_example *e)
{
    static const maas_dtype types[] = {MAAS_F32, MAAS_F64, MAAS_I32, MAAS_I64,
                                       MAAS_U8,  MAAS_F64, MAAS_F32, MAAS_BF16};
    maas_dtype t = types[e->variant];
    double lo = t == MAAS_U8 ? 0 : -9;
    maas_vid a = maas_ex_in(e, t, lo, 9, MAAS_DIMS(3, 4));
    maas_b_attr1(e->b, "Mod", MAAS_A_INT("fmod", e->variant < 2), a,
                 maas_ex_in(e, t, lo, 9, MAAS_DIMS(3, 1)));
}

#define POW_EXPONENTS (MAAS_DTS_NUMERIC)
static const maas_io_schema pow_in[] = {MAAS_REQ("X", "T", MAAS_DTS_FLOAT | MAAS_DTS_INDEX),
                                        MAAS_REQ("Y", NULL, POW_EXPONENTS)};
static const maas_io_schema pow_out[] = {MAAS_REQ("Z", "T", MAAS_DTS_FLOAT | MAAS_DTS_INDEX)};
static const maas_io_schema mod_in[] = {MAAS_REQ("A", "T", MAAS_DTS_NUMERIC),
                                        MAAS_REQ("B", "T", MAAS_DTS_NUMERIC)};
static const maas_io_schema mod_out[] = {MAAS_REQ("C", "T", MAAS_DTS_NUMERIC)};
static const maas_attr_schema mod_attrs[] = {{"fmod", MAAS_ATTR_INT, false}};

const maas_op maas_op_Pow = {
    .domain = "",
    .name = "Pow",
    .since = 15,
    .flags = MAAS_OP_ELEMENTWISE | MAAS_OP_INPLACE,
    MAAS_SCHEMA(pow_in, pow_out),
    .n_examples = 20,
    .tolerance = 1e-5,
    .infer = maas_infer_broadcast,
    .reference = pow_reference,
    .flops = maas_flops_out,
    .example = pow_example,
    .gradient = pow_gradient,
    .scalar = pow_scalar,
};

const maas_op maas_op_Mod = {
    .domain = "",
    .name = "Mod",
    .since = 28,
    .flags = MAAS_OP_ELEMENTWISE | MAAS_OP_INPLACE,
    MAAS_SCHEMA(mod_in, mod_out),
    MAAS_ATTRS(mod_attrs),
    .n_examples = 8,
    .tolerance = 1e-6,
    .infer = mod_infer,
    .reference = mod_reference,
    .flops = maas_flops_out,
    .example = mod_example,
    .no_gradient = "it jumps",
    .scalar = mod_scalar,
};
