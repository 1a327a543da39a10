#include "ops/unary_int.h"

#include "base/ban.h"

void maas_unary_run(const maas_call *c, maas_unary_real real, maas_unary_int whole, double a,
                    double b)
{
    const maas_tensor *x = &c->in[0], *y = &c->out[0];
    int64_t n = maas_n_elems(x);
    bool is_signed = maas_dtype_describe((maas_dtype)x->dtype)->kind == MAAS_KIND_INT;
    for (int64_t i = 0; i < n; i++)
        if (maas_is_float(x->dtype))
            maas_st(y, i, real(maas_ld(x, i), a, b));
        else
            maas_st_i64(y, i, whole(maas_tensor_get_i64(x, i), is_signed));
}

void maas_unary_grad_run(const maas_call *c, maas_unary_real slope, double a, double b)
{
    const maas_tensor *dy = &c->in[0], *v = &c->in[1], *dx = &c->out[0];
    int64_t n = maas_n_elems(dx);
    for (int64_t i = 0; i < n; i++) {
        double d = maas_ld(dy, i), s = slope(maas_ld(v, i), a, b);
        /* A slope of zero stops the gradient, also an infinite one. */
        maas_st(dx, i, s == 0 ? 0 : d * s);
    }
}

maas_status maas_unary_grad_infer(maas_infer *q, maas_err *err)
{
    maas_type t = q->in[1];
    if (t.rank >= 0 && q->in[0].rank >= 0) {
        if (t.rank != q->in[0].rank)
            return maas_fail(err, MAAS_E_INVALID, "dY and the other input have ranks %d and %d",
                             q->in[0].rank, t.rank);
        for (int i = 0; i < t.rank; i++)
            MAAS_TRY(maas_dim_same(t.dims[i], q->in[0].dims[i], &t.dims[i], "dY", err));
    }
    q->out[0] = t;
    return MAAS_OK;
}

static const struct {
    int rank;
    int64_t dims[4];
} shapes[MAAS_N_UNARY / 2] = {{2, {3, 5}}, {0, {0}}, {4, {2, 1, 3, 9}}, {1, {0}}};

void maas_unary_example(maas_example *e, const char *op, double lo, double hi,
                        const maas_dtype *others)
{
    int k = e->variant / 2 % (MAAS_N_UNARY / 2);
    maas_dtype t = e->variant < MAAS_N_UNARY ? maas_ex_float(e) : others[e->variant - MAAS_N_UNARY];
    if (maas_dtype_describe(t)->kind == MAAS_KIND_UINT && lo < 0)
        lo = 0;
    maas_b_op1(e->b, op, maas_ex_in(e, t, lo, hi, shapes[k].rank, shapes[k].dims));
}

void maas_unary_grad_example(maas_example *e, const char *op, double lo, double hi)
{
    int k = e->variant / 2 % (MAAS_N_UNARY / 2);
    maas_dtype t = maas_ex_float(e);
    maas_vid dy = maas_ex_in(e, t, -2, 2, shapes[k].rank, shapes[k].dims);
    maas_vid v = maas_ex_in(e, t, lo, hi, shapes[k].rank, shapes[k].dims);
    maas_b_op2(e->b, op, dy, v);
}

#define SIGNED (MAAS_DTS_FLOAT | MAAS_DTS_INT)
const maas_io_schema maas_unary_float_in[1] = {MAAS_REQ("X", "T", MAAS_DTS_FLOAT)};
const maas_io_schema maas_unary_float_out[1] = {MAAS_REQ("Y", "T", MAAS_DTS_FLOAT)};
const maas_io_schema maas_unary_numeric_in[1] = {MAAS_REQ("X", "T", MAAS_DTS_NUMERIC)};
const maas_io_schema maas_unary_numeric_out[1] = {MAAS_REQ("Y", "T", MAAS_DTS_NUMERIC)};
const maas_io_schema maas_unary_signed_in[1] = {MAAS_REQ("X", "T", SIGNED)};
const maas_io_schema maas_unary_signed_out[1] = {MAAS_REQ("Y", "T", SIGNED)};
