/* formats/sklearn/idioms.c - graph idioms in F64; sticky like the builder they wrap. */
#include "formats/sklearn/sklearn_int.h"
#include "base/ban.h"

/* ---- constants ---- */

maas_vid maas_sk_const(maas_sk *s, const maas_tensor *t)
{
    maas_vid v = MAAS_NO_VALUE;
    if (s->b.status == MAAS_OK)
        s->b.status = maas_graph_const(s->b.g, NULL, t, false, &v, s->b.err);
    return s->b.status == MAAS_OK ? v : MAAS_NO_VALUE;
}

maas_vid maas_sk_f64(maas_sk *s, double v)
{
    const maas_tensor t = maas_tensor_of(MAAS_F64, 0, NULL, &v);
    return maas_b_const(&s->b, NULL, &t);
}

maas_vid maas_sk_f64s(maas_sk *s, const double *v, int64_t n)
{
    const maas_tensor t = maas_tensor_of(MAAS_F64, 1, &n, (void *)(uintptr_t)v);
    return maas_b_const(&s->b, NULL, &t);
}

/* ---- linear algebra ---- */

maas_vid maas_sk_affine(maas_sk *s, maas_vid x, const maas_tensor *w, const maas_tensor *bias)
{
    maas_vid y = maas_b_op2(&s->b, "MatMul", x, maas_sk_const(s, w));
    return bias ? maas_b_op2(&s->b, "Add", y, maas_sk_const(s, bias)) : y;
}

/* Makers keep [k, f], one row of coefficients an output: Gemm reads it so, and nothing is copied.
 */
maas_vid maas_sk_linear(maas_sk *s, maas_vid x, const maas_tensor *coef,
                        const maas_tensor *intercept)
{
    const maas_attr a = MAAS_A_INT("transB", 1);
    const maas_vid in[3] = {x, maas_sk_const(s, coef),
                            intercept ? maas_sk_const(s, intercept) : MAAS_NO_VALUE};
    return maas_b_node(&s->b, "Gemm", &a, 1, in, intercept ? 3 : 2, NULL, 1);
}

/* ---- shapes ---- */

/* Something with as many rows as the table. */
static maas_vid rows_of(maas_sk *s, const maas_sk_table *in)
{
    if (in->x != MAAS_NO_VALUE)
        return in->x;
    for (int64_t i = 0; in->cols && i < in->n_cols; i++)
        if (in->cols[i].v != MAAS_NO_VALUE)
            return in->cols[i].v;
    return maas_sk_root_rows(s);
}

maas_vid maas_sk_repeat(maas_sk *s, const maas_sk_table *in, const maas_tensor *row)
{
    maas_builder *b = &s->b;
    const int64_t k = row->rank > 1 ? row->dims[1] : 1;
    maas_vid n = maas_b_op1(b, "Shape", rows_of(s, in));
    n = maas_sk_gather(s, n, (int64_t[]){0}, 1, 0);
    const maas_vid size[2] = {n, maas_b_i64s(b, &k, 1)};
    maas_vid shape = row->rank > 1 ? maas_sk_concat(s, size, 2, 0) : n;
    return maas_b_op2(b, "Expand", maas_b_const(b, NULL, row), shape);
}

static maas_vid with_attr(maas_sk *s, const char *op, maas_attr a, maas_vid x)
{
    return maas_b_node(&s->b, op, &a, 1, &x, 1, NULL, 1);
}

maas_vid maas_sk_cast(maas_sk *s, maas_vid x, maas_dtype t)
{
    const maas_type *have = maas_b_type(&s->b, x);
    return have && have->dtype == t ? x : with_attr(s, "Cast", MAAS_A_INT("to", t), x);
}

maas_vid maas_sk_narrow(maas_sk *s, maas_vid x)
{
    return maas_sk_cast(s, maas_sk_cast(s, x, MAAS_F32), MAAS_F64);
}

maas_vid maas_sk_concat(maas_sk *s, const maas_vid *v, uint32_t n, int axis)
{
    const maas_attr a = MAAS_A_INT("axis", axis);
    if (n == 1)
        return v[0];
    return maas_b_node(&s->b, "Concat", &a, 1, v, n, NULL, 1);
}

maas_vid maas_sk_flat(maas_sk *s, maas_vid x)
{
    return maas_b_op2(&s->b, "Reshape", x, maas_b_i64s(&s->b, (int64_t[]){-1}, 1));
}

maas_vid maas_sk_upright(maas_sk *s, maas_vid x)
{
    return maas_b_op2(&s->b, "Reshape", x, maas_b_i64s(&s->b, (int64_t[]){-1, 1}, 2));
}

maas_vid maas_sk_gather(maas_sk *s, maas_vid x, const int64_t *which, int64_t n, int axis)
{
    const maas_attr a = MAAS_A_INT("axis", axis);
    const maas_vid in[2] = {x, maas_b_i64s(&s->b, which, (int)n)};
    return maas_b_node(&s->b, "Gather", &a, 1, in, 2, NULL, 1);
}

/* ---- rows to one number ---- */

maas_vid maas_sk_reduce(maas_sk *s, const char *op, maas_vid x, bool keep)
{
    const maas_attr a = MAAS_A_INT("keepdims", keep);
    const maas_vid in[2] = {x, maas_b_i64s(&s->b, (int64_t[]){-1}, 1)};
    return maas_b_node(&s->b, op, &a, 1, in, 2, NULL, 1);
}

maas_vid maas_sk_argmax(maas_sk *s, maas_vid x)
{
    const maas_attr a[2] = {MAAS_A_INT("axis", -1), MAAS_A_INT("keepdims", 0)};
    return maas_b_node(&s->b, "ArgMax", a, 2, &x, 1, NULL, 1);
}

maas_vid maas_sk_softmax(maas_sk *s, maas_vid x)
{
    return with_attr(s, "Softmax", MAAS_A_INT("axis", -1), x);
}

maas_vid maas_sk_sigmoid(maas_sk *s, maas_vid x)
{
    maas_vid e = maas_b_op1(&s->b, "Exp", maas_b_op1(&s->b, "Neg", x));
    return maas_b_op1(&s->b, "Reciprocal", maas_b_op2(&s->b, "Add", e, maas_sk_f64(s, 1)));
}

maas_vid maas_sk_normalize(maas_sk *s, maas_vid x)
{
    return maas_b_op2(&s->b, "Div", x, maas_sk_reduce(s, "ReduceSum", x, true));
}

maas_vid maas_sk_both(maas_sk *s, maas_vid p)
{
    const maas_vid v[2] = {maas_b_op2(&s->b, "Sub", maas_sk_f64(s, 1), p), p};
    return maas_sk_concat(s, v, 2, 1);
}

maas_vid maas_sk_label(maas_sk *s, maas_vid index, const maas_tensor *classes)
{
    return maas_b_op2(&s->b, "Gather", maas_sk_const(s, classes), maas_sk_cast(s, index, MAAS_I64));
}

maas_vid maas_sk_inlier(maas_sk *s, maas_vid scores, double at, bool or_equal)
{
    maas_vid in = maas_b_op2(&s->b, or_equal ? "GreaterOrEqual" : "Greater",
                             maas_sk_flat(s, scores), maas_sk_f64(s, at));
    return maas_b_op3(&s->b, "Where", in, maas_b_i64(&s->b, 1), maas_b_i64(&s->b, -1));
}
