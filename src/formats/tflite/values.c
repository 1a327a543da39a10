/* formats/tflite/values.c - what operators read and give: in which layout, codes or real numbers.
 */
#include "formats/tflite/tflite_int.h"

#include "base/ban.h"

bool tl_has(const tl_op *op, uint32_t i)
{
    return i < op->in.n && fb_i32_at(&op->in, i) >= 0;
}

tl_tensor *tl_of(tl *t, const tl_op *op, uint32_t i)
{
    return &t->tensors[fb_i32_at(&op->in, i)];
}

tl_tensor *tl_of_out(tl *t, const tl_op *op, uint32_t i)
{
    return &t->tensors[fb_i32_at(&op->out, i)];
}

/* ---- quantization ---- */

/* Scales, as a scalar or [n]. */
static maas_vid scales(tl *t, const tl_tensor *x)
{
    const int64_t n = x->scale.n;
    float *v = maas_arena_array(t->arena, (size_t)n, sizeof *v);
    if (!v)
        return tl_fail(t, MAAS_E_NOMEM, "no memory left for scales");
    for (uint32_t i = 0; i < x->scale.n; i++)
        v[i] = fb_f32_at(&x->scale, i);
    const maas_tensor s = maas_tensor_of(MAAS_F32, n > 1, &n, v);
    return maas_b_const(&t->b, NULL, &s);
}

static maas_vid zeros(tl *t, const tl_tensor *x)
{
    const int64_t n = x->scale.n;
    maas_tensor z = maas_tensor_of((maas_dtype)x->dtype, n > 1, &n,
                                   maas_arena_array(t->arena, (size_t)n, sizeof(int16_t)));
    if (!z.data)
        return tl_fail(t, MAAS_E_NOMEM, "no memory left for zero points");
    for (uint32_t i = 0; i < x->scale.n && x->zero.n; i++)
        maas_tensor_set(&z, i, (double)fb_i64_at(&x->zero, x->zero.n > 1 ? i : 0));
    return maas_b_const(&t->b, NULL, &z);
}

/* axis: of the scales, in the layout that v has. */
static maas_vid with_scales(tl *t, const char *op, const tl_tensor *x, int axis, maas_vid v)
{
    const maas_vid in[3] = {v, scales(t, x), zeros(t, x)};
    const maas_attr a = MAAS_A_INT("axis", axis);
    return maas_b_node(&t->b, op, &a, x->scale.n > 1, in, 3, NULL, 1);
}

/* ---- tensors in forms ---- */

static bool same_quantization(const tl_tensor *a, const tl_tensor *b)
{
    if (a->dtype != b->dtype || a->quantized != b->quantized)
        return false;
    if (!a->quantized)
        return true;
    if (a->scale.n != 1 || b->scale.n != 1 || fb_f32_at(&a->scale, 0) != fb_f32_at(&b->scale, 0))
        return false;
    return (a->zero.n ? fb_i64_at(&a->zero, 0) : 0) == (b->zero.n ? fb_i64_at(&b->zero, 0) : 0);
}

static maas_vid constant(tl *t, const tl_tensor *x)
{
    maas_vid v = MAAS_NO_VALUE;
    const maas_tensor c = maas_tensor_of((maas_dtype)x->dtype, x->rank, x->dims,
                                         (void *)(uintptr_t)x->data); /* never written */
    if (tl_ok(t))
        t->b.status = maas_graph_const(t->b.g, NULL, &c, false, &v, t->err);
    return tl_ok(t) ? v : MAAS_NO_VALUE;
}

/* A value that is there in one layout at least, in the one that is asked for. */
static maas_vid in_layout(tl *t, maas_vid v[2], int layout)
{
    if (v[layout] == MAAS_NO_VALUE && tl_ok(t)) {
        if (tl_type(t, v[!layout])->rank != 4)
            return tl_fail(t, MAAS_E_FORMAT, "a picture must have 4 dimensions");
        v[layout] = layout == TL_FIRST ? tl_to_first(t, v[TL_LAST]) : tl_to_last(t, v[TL_FIRST]);
    }
    return v[layout];
}

maas_vid tl_value(tl *t, tl_tensor *x, int form, int layout)
{
    maas_vid *codes = x->v[TL_CODES], *real = x->v[TL_REAL];
    if (!tl_ok(t))
        return MAAS_NO_VALUE;
    if (!x->known)
        return tl_fail(t, MAAS_E_FORMAT, "tensor '%.60s' has no value yet", x->name);
    if (x->dtype == MAAS_DT_NONE)
        return tl_fail(t, MAAS_E_UNSUPPORTED, "tensor '%.60s': elements of its type", x->name);
    if (x->data && codes[TL_LAST] == MAAS_NO_VALUE)
        codes[TL_LAST] = constant(t, x);
    if (form == TL_CODES || !x->quantized)
        return in_layout(t, codes, layout);
    if (real[layout] != MAAS_NO_VALUE)
        return real[layout];
    const maas_vid v = in_layout(t, codes, layout);
    const int axis = layout == TL_FIRST ? tl_axis_first(x->axis) : x->axis;
    return real[layout] = with_scales(t, "DequantizeLinear", x, axis, v);
}

maas_vid tl_in(tl *t, const tl_op *op, uint32_t i)
{
    return tl_has(op, i) ? tl_value(t, tl_of(t, op, i), op->form, TL_LAST) : MAAS_NO_VALUE;
}

maas_vid tl_in_first(tl *t, const tl_op *op, uint32_t i)
{
    return tl_value(t, tl_of(t, op, i), op->form, TL_FIRST);
}

maas_vid tl_codes(tl *t, const tl_op *op, uint32_t i)
{
    return tl_value(t, tl_of(t, op, i), TL_CODES, TL_LAST);
}

bool tl_is_first(const tl *t, const tl_op *op, uint32_t i)
{
    if (!tl_has(op, i))
        return false;
    const tl_tensor *x = &t->tensors[fb_i32_at(&op->in, i)];
    return !x->data && x->v[TL_CODES][TL_LAST] == MAAS_NO_VALUE &&
           x->v[TL_CODES][TL_FIRST] != MAAS_NO_VALUE;
}

maas_vid tl_beside(tl *t, const tl_op *op, uint32_t i)
{
    if (tl_is_first(t, op, i))
        return tl_in_first(t, op, i);
    const maas_vid v = tl_in(t, op, i);
    const maas_type *type = tl_type(t, v);
    if (type->rank == 4)
        return tl_in_first(t, op, i);
    if (type->rank == 0)
        return v;
    if (type->rank < 0 || type->rank > 4)
        return MAAS_NO_VALUE;
    for (int k = 0; k < type->rank - 1; k++)
        if (type->dims[k] != 1)
            return MAAS_NO_VALUE;
    return tl_reshape(t, v, (int64_t[]){-1, 1, 1}, 3); /* one number a channel */
}

maas_vid tl_weights(tl *t, const tl_op *op, uint32_t i, const int64_t *order)
{
    tl_tensor *x = tl_of(t, op, i);
    const maas_vid v = tl_value(t, x, TL_CODES, TL_LAST);
    const int rank = tl_type(t, v)->rank;
    int axis = 0;
    if (!tl_ok(t))
        return MAAS_NO_VALUE;
    for (int k = 0; k < rank; k++)
        axis = order[k] == x->axis ? k : axis;
    const maas_vid y = tl_transpose(t, v, rank, order);
    return x->quantized ? with_scales(t, "DequantizeLinear", x, axis, y) : y;
}

/* ---- biases ---- */

/* Codes of a bias have the scale of the products that they are added to, whatever the bias itself
 * says: that of the input times those of the weights. */
static maas_vid scaled_bias(tl *t, const tl_tensor *b, const tl_tensor *x, const tl_tensor *w)
{
    const int64_t n = b->dims[0];
    const maas_tensor codes = maas_tensor_of((maas_dtype)b->dtype, 1, &n,
                                             (void *)(uintptr_t)b->data);
    float *v = maas_arena_array(t->arena, (size_t)n + 1, sizeof *v);
    if (!v)
        return tl_fail(t, MAAS_E_NOMEM, "no memory left for a bias");
    if (w->scale.n > 1 && w->scale.n != n)
        return tl_fail(t, MAAS_E_FORMAT, "%lld biases for %u scales", (long long)n, w->scale.n);
    for (int64_t i = 0; i < n; i++) {
        const double by = (double)fb_f32_at(&x->scale, 0) *
                          (double)fb_f32_at(&w->scale, w->scale.n > 1 ? (uint32_t)i : 0);
        v[i] = (float)((double)maas_tensor_get_i64(&codes, i) * by);
    }
    const maas_tensor out = maas_tensor_of(MAAS_F32, 1, &n, v);
    return maas_b_const(&t->b, NULL, &out);
}

maas_vid tl_bias(tl *t, const tl_op *op, uint32_t i)
{
    if (!tl_has(op, i))
        return MAAS_NO_VALUE;
    const tl_tensor *b = tl_of(t, op, i), *x = tl_of(t, op, i - 2), *w = tl_of(t, op, i - 1);
    if (b->dtype != MAAS_I32 && b->dtype != MAAS_I64)
        return tl_in(t, op, i);
    if (!b->data || b->rank != 1)
        return tl_fail(t, MAAS_E_UNSUPPORTED, "a bias of codes that is no constant vector");
    /* TRANSPOSE_CONV has its shape first: weights, input, bias */
    if (!x->quantized || !w->quantized || (x->scale.n > 1 && w->scale.n > 1))
        return tl_fail(t, MAAS_E_FORMAT, "a bias of codes, but input or weights have no scale");
    return x->scale.n > 1 ? scaled_bias(t, b, w, x) : scaled_bias(t, b, x, w);
}

/* ---- outputs ---- */

void tl_give_in(tl *t, const tl_op *op, uint32_t i, maas_vid v, int layout)
{
    tl_tensor *x = tl_of_out(t, op, i);
    if (!tl_ok(t))
        return;
    if (x->dtype == MAAS_DT_NONE)
        tl_fail(t, MAAS_E_UNSUPPORTED, "output %u: elements of its type", i);
    else if (x->known)
        tl_fail(t, MAAS_E_FORMAT, "tensor '%.60s' has a value already", x->name);
    if (!tl_ok(t) || v == MAAS_NO_VALUE)
        return;
    const bool quantize = x->quantized && op->form == TL_REAL;
    if (quantize && x->scale.n > 1)
        tl_fail(t, MAAS_E_UNSUPPORTED, "output %u has several scales", i);
    if (quantize)
        v = with_scales(t, "QuantizeLinear", x, 0, v);
    if (!tl_ok(t))
        return;
    if (tl_type(t, v)->dtype != x->dtype)
        tl_fail(t, MAAS_E_FORMAT, "output %u is %s, the file says %s", i,
                maas_dtype_describe((maas_dtype)tl_type(t, v)->dtype)->oip,
                maas_dtype_describe((maas_dtype)x->dtype)->oip);
    x->v[TL_CODES][layout] = v;
    x->known = true;
}

void tl_give(tl *t, const tl_op *op, uint32_t i, maas_vid v)
{
    tl_give_in(t, op, i, v, TL_LAST);
}

void tl_give_first(tl *t, const tl_op *op, uint32_t i, maas_vid v)
{
    tl_give_in(t, op, i, v, TL_FIRST);
}

maas_vid tl_activated(tl *t, const tl_op *op, int field, maas_vid v)
{
    switch (fb_i8(&t->f, &op->options, field, ACT_NONE)) {
    case ACT_NONE:
        return v;
    case ACT_RELU:
        return maas_b_op1(&t->b, "Relu", v);
    case ACT_RELU_N1_TO_1:
        return tl_clip(t, v, -1, 1);
    case ACT_RELU6:
        return tl_clip(t, v, 0, 6);
    default: /* LiteRT leaves others out, where it does not refuse them */
        return tl_fail(t, MAAS_E_UNSUPPORTED, "its fused activation");
    }
}

maas_vid tl_as_output(tl *t, const tl_op *op, uint32_t i, maas_vid v)
{
    return tl_cast(t, v, (maas_dtype)tl_of_out(t, op, i)->dtype);
}

/* ---- numbers that the graph is built by ---- */

bool tl_is_const(tl *t, const tl_op *op, uint32_t i)
{
    return tl_has(op, i) && tl_of(t, op, i)->data;
}

int tl_ints(tl *t, const tl_op *op, uint32_t i, int64_t *out, int max)
{
    const tl_tensor *x = tl_has(op, i) ? tl_of(t, op, i) : NULL;
    if (!tl_ok(t))
        return -1;
    if (!x || !x->data || (x->dtype != MAAS_I32 && x->dtype != MAAS_I64)) {
        tl_fail(t, MAAS_E_UNSUPPORTED, "input %u must be constant integers", i);
        return -1;
    }
    const maas_tensor c = maas_tensor_of((maas_dtype)x->dtype, x->rank, x->dims,
                                         (void *)(uintptr_t)x->data);
    const int64_t n = maas_n_elems(&c);
    if (n > max) {
        tl_fail(t, MAAS_E_FORMAT, "input %u has %lld numbers", i, (long long)n);
        return -1;
    }
    for (int64_t k = 0; k < n; k++)
        out[k] = maas_tensor_get_i64(&c, k);
    return (int)n;
}

int64_t tl_int(tl *t, const tl_op *op, uint32_t i)
{
    int64_t v = 0;
    if (tl_ints(t, op, i, &v, 1) == 0)
        tl_fail(t, MAAS_E_FORMAT, "input %u has no number", i);
    return v;
}

int64_t tl_option(tl *t, const tl_op *op, int field, int64_t min, int64_t max, int64_t otherwise)
{
    const int64_t v = fb_i32(&t->f, &op->options, field, otherwise);
    if (tl_ok(t) && (v < min || v > max))
        tl_fail(t, MAAS_E_FORMAT, "option %d is %lld", field, (long long)v);
    return v < min ? min : v > max ? max : v;
}

bool tl_moves_codes(tl *t, const tl_op *op)
{
    const tl_tensor *y = tl_of_out(t, op, 0);
    for (uint32_t i = 0; i < op->in.n; i++)
        if (tl_has(op, i) && tl_of(t, op, i)->quantized && !same_quantization(tl_of(t, op, i), y))
            return false;
    for (uint32_t i = 1; i < op->out.n; i++)
        if (!same_quantization(tl_of_out(t, op, i), y))
            return false;
    return true;
}
