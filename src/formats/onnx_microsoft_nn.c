/*
 * Operators of com.microsoft that ONNX Runtime's optimizers make of transformers, said in the
 * standard's words. Where a shape decides what is meant and is not known while reading, the usual
 * form is taken: packed heads [B][S][N * D], masks of every key.
 */
#include "formats/onnx_saying.h"

#include <math.h>

#include "base/ban.h"

#define MASKED (-10000.0f) /* ONNX Runtime's default score of what is masked */

static float float_of(const saying *s, const char *name, float otherwise)
{
    const maas_attr *a = attr_of(s, name, MAAS_ATTR_FLOAT);
    return a ? a->u.f : otherwise;
}

static maas_vid ints(saying *s, const int64_t *v, int64_t n)
{
    const maas_tensor t = maas_tensor_of(MAAS_I64, 1, &n, (void *)(uintptr_t)v);
    return constant(s, &t);
}

#define INTS(s, ...) ints(s, (const int64_t[]){__VA_ARGS__}, MAAS_COUNT(((int64_t[]){__VA_ARGS__})))

static void refuse(saying *s, const char *what)
{
    if (s->st == MAAS_OK)
        s->st = maas_fail(s->r->err, MAAS_E_UNSUPPORTED, "%s", what);
}

static bool wants(const saying *s, uint32_t k)
{
    return k < s->n->n_out && s->n->out[k] != MAAS_NO_VALUE;
}

/* Output k of the node is made by an own node; the node that is read has it no more. */
static void gives(saying *s, uint32_t k, const char *op, const maas_attr *attr, const maas_vid *in,
                  uint32_t n_in)
{
    maas_nid nid;
    if (s->st != MAAS_OK || !wants(s, k))
        return;
    s->st = maas_graph_node(s->g, maas_op_find("", op, MAAS_OPSET), s->n->name, in, n_in,
                            &s->n->out[k], 1, &nid, s->r->err);
    if (attr && s->st == MAAS_OK)
        s->st = maas_node_set(s->g, nid, attr, s->r->err);
    s->n->out[k] = MAAS_NO_VALUE;
}

/* Only the first output is left. */
static void one_output(saying *s)
{
    for (uint32_t k = 1; k < s->n->n_out; k++)
        if (wants(s, k))
            refuse(s, "an output besides the first that is not known here");
    s->n->n_out = s->n->n_out ? 1 : 0;
}

static maas_vid sum_of(saying *s, maas_vid a, maas_vid b)
{
    return a == MAAS_NO_VALUE ? b : b == MAAS_NO_VALUE ? a : made(s, "Add", NULL, IN(a, b));
}

/* ---- activations ---- */

static void gelu(saying *s)
{
    becomes(s, "Gelu", NULL, IN(sum_of(s, required(s, 0), input(s, 1))));
}

static void fast_gelu(saying *s)
{
    const maas_attr a = MAAS_A_STR("approximate", "tanh");
    becomes(s, "Gelu", &a, IN(sum_of(s, required(s, 0), input(s, 1))));
}

static void quick_gelu(saying *s)
{
    const maas_attr a = MAAS_A_FLOAT("alpha", float_of(s, "alpha", 1.702f));
    becomes(s, "Swish", &a, IN(required(s, 0)));
}

static void bias_add(saying *s)
{
    const maas_vid x = made(s, "Add", NULL, IN(required(s, 0), required(s, 1)));
    becomes(s, "Add", NULL, IN(x, required(s, 2)));
}

static void bias_softmax(saying *s)
{
    const maas_attr axis = MAAS_A_INT("axis", int_of(s, "axis", 1));
    const maas_vid x = made(s, "Add", NULL, IN(required(s, 0), required(s, 1)));
    becomes(s, "Softmax", &axis, IN(x));
}

/* ---- normalizations ---- */

static void becomes_norm(saying *s, const char *op, maas_vid x, maas_vid scale, maas_vid bias,
                         int64_t axis, float epsilon)
{
    const maas_attr a[] = {MAAS_A_INT("axis", axis), MAAS_A_FLOAT("epsilon", epsilon)};
    becomes_with(s, op, a, 2, IN(x, scale, bias));
}

static void simplified(saying *s)
{
    one_output(s);
    becomes_norm(s, "RMSNormalization", required(s, 0), required(s, 1), MAAS_NO_VALUE,
                 int_of(s, "axis", -1), float_of(s, "epsilon", 1e-5f));
}

static void layer_norm(saying *s)
{
    s->n->domain = "";
}

/* x + skip + bias, which is output 3, normalized. */
static void skip_norm(saying *s)
{
    const bool root = strcmp(s->n->op, "SkipSimplifiedLayerNormalization") == 0;
    const maas_vid bias = input(s, root ? 3 : 4);
    const maas_vid first = made(s, "Add", NULL, IN(required(s, 0), required(s, 1)));
    maas_vid sum = sum_of(s, first, bias);
    if (wants(s, 3)) {
        const maas_vid out = s->n->out[3];
        gives(s, 3, "Identity", NULL, &sum, 1);
        sum = out;
    }
    one_output(s);
    becomes_norm(s, root ? "RMSNormalization" : "LayerNormalization", sum, required(s, 2),
                 root ? MAAS_NO_VALUE : input(s, 3), -1, float_of(s, "epsilon", 1e-12f));
}

/* The place of every token: what is given, or 0, 1, .. for all. */
static maas_vid positions(saying *s, maas_vid table, maas_vid ids, maas_vid given)
{
    if (given != MAAS_NO_VALUE)
        return made(s, "Gather", NULL, IN(table, given));
    const maas_vid sizes = made(s, "Shape", NULL, IN(ids));
    const maas_vid steps = made(s, "Slice", NULL, IN(sizes, INTS(s, 1), INTS(s, 2)));
    return made(s, "Slice", NULL, IN(table, INTS(s, 0), steps, INTS(s, 0)));
}

static void embed(saying *s)
{
    const maas_vid ids = required(s, 0), segments = input(s, 1), mask = input(s, 7);
    maas_vid x = made(s, "Gather", NULL, IN(required(s, 2), ids));
    x = made(s, "Add", NULL, IN(x, positions(s, required(s, 3), ids, input(s, 8))));
    if (segments != MAAS_NO_VALUE)
        x = made(s, "Add", NULL, IN(x, made(s, "Gather", NULL, IN(required(s, 4), segments))));
    if (wants(s, 2)) {
        const maas_vid out = s->n->out[2];
        gives(s, 2, "Identity", NULL, &x, 1);
        x = out;
    }
    if (wants(s, 1)) {
        const maas_attr keep = MAAS_A_INT("keepdims", 0);
        if (mask == MAAS_NO_VALUE || int_of(s, "mask_index_type", 1) == 2)
            refuse(s, "the mask of EmbedLayerNormalization in this form");
        gives(s, 1, "ReduceSum", &keep, IN(mask, INTS(s, 1)));
    }
    one_output(s);
    becomes_norm(s, "LayerNormalization", x, required(s, 5), required(s, 6), -1,
                 float_of(s, "epsilon", 1e-12f));
}

/* ---- products ---- */

/* Batches broadcast as in MatMul; the last axes are swapped by the equation. */
static void fused_matmul(saying *s)
{
    static const char *const equations[2][2] = {{NULL, "...ij,...kj->...ik"},
                                                {"...ji,...jk->...ik", "...ji,...kj->...ik"}};
    const char *text = equations[int_of(s, "transA", 0) != 0][int_of(s, "transB", 0) != 0];
    const maas_attr equation = MAAS_A_STR("equation", text ? text : "");
    const float alpha = float_of(s, "alpha", 1);
    if (int_of(s, "transBatchA", 0) || int_of(s, "transBatchB", 0))
        refuse(s, "FusedMatMul with batches in another place");
    const maas_vid a = required(s, 0), b = required(s, 1);
    const char *op = text ? "Einsum" : "MatMul";
    if (alpha == 1) {
        becomes(s, op, text ? &equation : NULL, IN(a, b));
        return;
    }
    const maas_vid y = made(s, op, text ? &equation : NULL, IN(a, b));
    becomes(s, "Mul", NULL, IN(y, made(s, "CastLike", NULL, IN(number(s, alpha), y))));
}

static void fused_gemm(saying *s)
{
    static const char *const numbers[] = {"alpha", "beta", "gamma"};
    static const char *const given[] = {"activation_alpha", "activation_beta", "activation_gamma"};
    const maas_attr *name = attr_of(s, "activation", MAAS_ATTR_STRING);
    maas_attr a[4] = {MAAS_A_FLOAT("alpha", float_of(s, "alpha", 1)),
                      MAAS_A_FLOAT("beta", float_of(s, "beta", 1)),
                      MAAS_A_INT("transA", int_of(s, "transA", 0)),
                      MAAS_A_INT("transB", int_of(s, "transB", 0))};
    char op[32] = "";
    maas_vid y;
    nodes_outputs(s, "Gemm", a, 4, IN(required(s, 0), required(s, 1), input(s, 2)), &y, 1);
    if (name && name->u.s.n < sizeof op)
        memcpy(op, name->u.s.p, name->u.s.n);
    const maas_op *known = maas_op_find("", op, MAAS_OPSET);
    uint32_t n = 0;
    if (!known || known->n_in != 1 || !known->scalar)
        refuse(s, "an activation of FusedGemm that is not known");
    for (int k = 0; k < 3 && known; k++)
        for (int i = 0; i < known->n_attr; i++)
            if (attr_of(s, given[k], MAAS_ATTR_FLOAT) &&
                strcmp(known->attr[i].name, numbers[k]) == 0)
                a[n++] = MAAS_A_FLOAT(numbers[k], float_of(s, given[k], 0));
    becomes_with(s, known ? known->name : "Identity", a, n, IN(y));
}

/* ---- attention ---- */

/* A vector, as far as one can tell: by its declared rank, or because sums of a mask made it. */
static bool is_lengths(const saying *s, maas_vid mask)
{
    for (int casts = 0; casts < 4; casts++) {
        const maas_value *v = maas_graph_at(s->g, mask);
        const maas_node *n = v->producer == MAAS_NO_NODE ? NULL : &s->g->nodes[v->producer];
        if (v->type.tag == MAAS_TYPE_TENSOR && v->type.rank >= 0)
            return v->type.rank == 1;
        if (!n || strcmp(n->op->name, "Cast") != 0 || n->in[0] < 0)
            return n && strcmp(n->op->name, "ReduceSum") == 0;
        mask = n->in[0];
    }
    return false;
}

/* [B] lengths: true where the key's number is below. The number of keys is that of `keys`
 * [B][L][..].
 */
static maas_vid mask_of_lengths(saying *s, maas_vid lengths, maas_vid keys)
{
    const maas_attr from = MAAS_A_INT("start", 1);
    maas_attr span[2] = {from, MAAS_A_INT("end", 2)};
    maas_vid n;
    nodes_outputs(s, "Shape", span, 2, &keys, 1, &n, 1);
    const int64_t zero = 0, one = 1;
    const maas_tensor t0 = maas_tensor_of(MAAS_I64, 0, NULL, (void *)(uintptr_t)&zero);
    const maas_tensor t1 = maas_tensor_of(MAAS_I64, 0, NULL, (void *)(uintptr_t)&one);
    const maas_vid all = made(s, "Range", NULL,
                              IN(constant(s, &t0), scalar(s, n), constant(s, &t1)));
    const maas_vid column = made(s, "Reshape", NULL,
                                 IN(as(s, lengths, MAAS_I64), INTS(s, -1, 1, 1, 1)));
    return made(s, "Less", NULL, IN(all, column));
}

/* [B][L], [B][S][L] or [B][1][M][L] of 0 and 1: as bools [B][1][1 or S][L]. */
static maas_vid mask_of_keys(saying *s, maas_vid mask)
{
    const maas_vid sizes = made(s, "Shape", NULL, IN(mask));
    const maas_vid batch = made(s, "Slice", NULL, IN(sizes, INTS(s, 0), INTS(s, 1)));
    const maas_vid last = made(s, "Slice", NULL, IN(sizes, INTS(s, -1), INTS(s, INT64_MAX)));
    const maas_attr axis = MAAS_A_INT("axis", 0);
    const maas_vid to = made(s, "Concat", &axis, IN(batch, INTS(s, 1, -1), last));
    return as(s, made(s, "Reshape", NULL, IN(mask, to)), MAAS_BOOL);
}

/* What is added to scores, of the type of `like`; NO_VALUE when there is nothing to add. */
static maas_vid bias_of(saying *s, maas_vid mask, maas_vid bias, maas_vid keys, maas_vid like)
{
    if (mask == MAAS_NO_VALUE || s->st != MAAS_OK)
        return bias;
    mask = is_lengths(s, mask) ? mask_of_lengths(s, mask, keys) : mask_of_keys(s, mask);
    const maas_vid no = made(s, "CastLike", NULL,
                             IN(number(s, float_of(s, "mask_filter_value", MASKED)), like));
    const maas_vid yes = made(s, "CastLike", NULL, IN(number(s, 0), like));
    return sum_of(s, made(s, "Where", NULL, IN(mask, yes, no)), bias);
}

static int64_t heads_of(saying *s, const char *name)
{
    const int64_t n = int_of(s, name, 0);
    if ((n < 1 || n > INT32_MAX) && s->st == MAAS_OK)
        s->st = maas_fail(s->r->err, MAAS_E_FORMAT, "attribute '%s' is missing or no number", name);
    return n;
}

static uint32_t attention_attrs(saying *s, maas_attr *a)
{
    const int64_t heads = heads_of(s, "num_heads");
    const float scale = float_of(s, "scale", 0);
    uint32_t n = 0;
    a[n++] = MAAS_A_INT("q_num_heads", heads);
    a[n++] = MAAS_A_INT("kv_num_heads", heads);
    a[n++] = MAAS_A_INT("is_causal", int_of(s, "unidirectional", 0));
    if (scale != 0)
        a[n++] = MAAS_A_FLOAT("scale", scale);
    return n;
}

static void in_three(saying *s, maas_vid x, int64_t axis, maas_vid out[3])
{
    const maas_attr a[] = {MAAS_A_INT("axis", axis), MAAS_A_INT("num_outputs", 3)};
    nodes_outputs(s, "Split", a, 2, &x, 1, out, 3);
}

/* Projected by one product, cut in three; the cache is one tensor [2][B][N][P][D]. */
static void attention(saying *s)
{
    const maas_attr *sizes = attr_of(s, "qkv_hidden_sizes", MAAS_ATTR_INTS),
                    zero = MAAS_A_INT("axis", 0);
    const maas_vid x = required(s, 0), past = input(s, 4);
    maas_vid y = made(s, "MatMul", NULL, IN(x, required(s, 1))), qkv[3], old[2] = {past, past},
             out[3];
    maas_attr a[4];
    y = sum_of(s, y, input(s, 2));
    if (int_of(s, "do_rotary", 0) || int_of(s, "past_present_share_buffer", 0) || input(s, 6) >= 0)
        refuse(s, "Attention with rotation or a shared buffer");
    if (sizes && sizes->n == 3) {
        const maas_attr axis = MAAS_A_INT("axis", -1);
        nodes_outputs(s, "Split", &axis, 1, IN(y, ints(s, sizes->u.ints, 3)), qkv, 3);
    } else {
        in_three(s, y, -1, qkv);
    }
    if (past != MAAS_NO_VALUE) {
        const maas_attr two[] = {zero, MAAS_A_INT("num_outputs", 2)};
        nodes_outputs(s, "Split", two, 2, &past, 1, old, 2);
        for (int k = 0; k < 2; k++)
            old[k] = made(s, "Squeeze", NULL, IN(old[k], INTS(s, 0)));
    }
    const maas_vid in[] = {qkv[0], qkv[1], qkv[2], bias_of(s, input(s, 3), input(s, 5), x, y),
                           old[0], old[1]};
    const uint32_t n = attention_attrs(s, a);
    if (!wants(s, 1)) {
        one_output(s);
        becomes_with(s, "Attention", a, n, in, 6);
        return;
    }
    nodes_outputs(s, "Attention", a, n, in, 6, out, 3);
    const maas_vid parts[2] = {made(s, "Unsqueeze", NULL, IN(out[1], INTS(s, 0))),
                               made(s, "Unsqueeze", NULL, IN(out[2], INTS(s, 0)))};
    gives(s, 1, "Concat", &zero, parts, 2);
    one_output(s);
    becomes(s, "Identity", NULL, IN(out[0]));
}

/* One part of [B][S][N][parts][D]: [B][S][N * D]. */
static maas_vid flat_heads(saying *s, maas_vid v)
{
    v = made(s, "Squeeze", NULL, IN(v, INTS(s, 3)));
    return made(s, "Reshape", NULL, IN(v, INTS(s, 0, 0, -1)));
}

static void multi_head(saying *s)
{
    maas_vid qkv[3] = {required(s, 0), input(s, 1), input(s, 2)}, bias[3];
    maas_attr a[4];
    if (qkv[1] == MAAS_NO_VALUE)
        in_three(s, qkv[0], 3, qkv);
    else if (qkv[2] == MAAS_NO_VALUE)
        refuse(s, "MultiHeadAttention with keys and values in one");
    for (int k = 0; input(s, 1) == MAAS_NO_VALUE && k < 3; k++)
        qkv[k] = flat_heads(s, qkv[k]);
    if (input(s, 3) != MAAS_NO_VALUE) {
        in_three(s, input(s, 3), 0, bias);
        for (int k = 0; k < 3; k++)
            qkv[k] = made(s, "Add", NULL, IN(qkv[k], bias[k]));
    }
    if (input(s, 8) != MAAS_NO_VALUE || input(s, 9) != MAAS_NO_VALUE || wants(s, 3))
        refuse(s, "MultiHeadAttention with a shared buffer or beams");
    const maas_vid in[] = {qkv[0],      qkv[1],
                           qkv[2],      bias_of(s, input(s, 4), input(s, 5), qkv[1], qkv[0]),
                           input(s, 6), input(s, 7)};
    becomes_with(s, "Attention", a, attention_attrs(s, a), in, 6);
}

/* ---- grouped queries, with a cache that is a buffer ---- */

/* [B][S][N * D] as [B][N][S][D]. */
static maas_vid heads_first(saying *s, maas_vid v, int64_t heads)
{
    static const int64_t order[] = {0, 2, 1, 3};
    const maas_attr perm = MAAS_A_INTS("perm", order, 4);
    v = made(s, "Reshape", NULL, IN(v, INTS(s, 0, 0, heads, -1)));
    return made(s, "Transpose", &perm, IN(v));
}

/* Number of elements along an axis, as a vector of one. */
static maas_vid size_along(saying *s, maas_vid v, int64_t axis)
{
    const maas_attr a[] = {MAAS_A_INT("start", axis), MAAS_A_INT("end", axis + 1)};
    maas_vid n;
    nodes_outputs(s, "Shape", a, 2, &v, 1, &n, 1);
    return n;
}

/* 0, 1, .. below n, which is a vector of one. */
static maas_vid count_to(saying *s, maas_vid n)
{
    const maas_vid none = INTS(s, 0), one = INTS(s, 1);
    return made(s, "Range", NULL, IN(scalar(s, none), scalar(s, n), scalar(s, one)));
}

static maas_vid rotated(saying *s, maas_vid v, int64_t heads, maas_vid places)
{
    const maas_attr a[] = {MAAS_A_INT("interleaved", int_of(s, "rotary_interleaved", 0)),
                           MAAS_A_INT("num_heads", heads)};
    maas_vid out;
    nodes_outputs(s, "RotaryEmbedding", a, 2, IN(v, required(s, 7), required(s, 8), places), &out,
                  1);
    return out;
}

/* The buffer, made long enough for `total` keys, with the new ones written in at their places. */
static maas_vid cache_of(saying *s, uint32_t i, maas_vid fresh, maas_vid begin, maas_vid total)
{
    const maas_vid past = input(s, i);
    const maas_attr axis = MAAS_A_INT("axis", 0);
    if (past == MAAS_NO_VALUE)
        return fresh;
    maas_vid more = made(s, "Sub", NULL, IN(total, size_along(s, past, 2)));
    more = made(s, "Max", NULL, IN(more, INTS(s, 0)));
    const maas_vid pads = made(s, "Concat", &axis, IN(INTS(s, 0, 0, 0, 0, 0, 0), more, INTS(s, 0)));
    return made(s, "TensorScatter", NULL, IN(made(s, "Pad", NULL, IN(past, pads)), fresh, begin));
}

/* Query i of batch row b stands at `places` [B][S]: it sees keys up to there, in the window. */
static maas_vid mask_of_places(saying *s, maas_vid places, maas_vid keys)
{
    const int64_t window = int_of(s, "local_window_size", -1);
    const maas_vid at = made(s, "Unsqueeze", NULL, IN(places, INTS(s, 1, 3)));
    const maas_vid all = count_to(s, size_along(s, keys, 2));
    const maas_vid below = made(s, "LessOrEqual", NULL, IN(all, at));
    if (window < 0)
        return below;
    const maas_vid edge = made(s, "Sub", NULL, IN(at, INTS(s, window)));
    return made(s, "And", NULL, IN(below, made(s, "Greater", NULL, IN(all, edge))));
}

static void grouped_parts(saying *s, int64_t heads, int64_t kv_heads, maas_vid qkv[3])
{
    if (input(s, 1) != MAAS_NO_VALUE) {
        qkv[1] = required(s, 1);
        qkv[2] = required(s, 2);
        return;
    }
    const maas_attr axis = MAAS_A_INT("axis", 2);
    const maas_vid x = made(s, "Reshape", NULL,
                            IN(qkv[0], INTS(s, 0, 0, heads + 2 * kv_heads, -1)));
    nodes_outputs(s, "Split", &axis, 1, IN(x, INTS(s, heads, kv_heads, kv_heads)), qkv, 3);
    for (int k = 0; k < 3; k++)
        qkv[k] = made(s, "Reshape", NULL, IN(qkv[k], INTS(s, 0, 0, -1)));
}

static void check_grouped(saying *s)
{
    if (int_of(s, "smooth_softmax", 0) > 0 || input(s, 11) != MAAS_NO_VALUE || wants(s, 3))
        refuse(s, "GroupQueryAttention with sinks or scores");
    for (uint32_t i = 12; i < s->n->n_in; i++)
        if (s->n->in[i] != MAAS_NO_VALUE)
            refuse(s, "GroupQueryAttention with scales or norms of its own");
    if (int_of(s, "causal", 1) != 1 || int_of(s, "sliding_window_cache", 0) != 0)
        refuse(s, "GroupQueryAttention that is not causal");
}

static void grouped(saying *s)
{
    static const int64_t order[] = {0, 2, 1, 3};
    const maas_attr perm = MAAS_A_INTS("perm", order, 4);
    const int64_t heads = heads_of(s, "num_heads"), kv_heads = heads_of(s, "kv_num_heads");
    maas_vid qkv[3] = {required(s, 0)}, y;
    check_grouped(s);
    grouped_parts(s, heads, kv_heads, qkv);
    const maas_vid steps = size_along(s, qkv[0], 1), last = as(s, required(s, 5), MAAS_I64);
    const maas_vid flat = made(s, "Reshape", NULL, IN(last, INTS(s, -1)));
    maas_vid begin = made(s, "Sub", NULL, IN(made(s, "Add", NULL, IN(flat, INTS(s, 1))), steps));
    begin = made(s, "Max", NULL, IN(begin, INTS(s, 0)));
    const maas_vid column = made(s, "Unsqueeze", NULL, IN(begin, INTS(s, 1)));
    const maas_vid places = made(s, "Add", NULL, IN(column, count_to(s, steps)));
    if (int_of(s, "do_rotary", 0)) {
        const maas_vid turn = input(s, 9) == MAAS_NO_VALUE ? places : as(s, input(s, 9), MAAS_I64);
        qkv[0] = rotated(s, qkv[0], heads, turn);
        qkv[1] = rotated(s, qkv[1], kv_heads, turn);
    }
    const maas_vid total = made(s, "Reshape", NULL,
                                IN(as(s, required(s, 6), MAAS_I64), INTS(s, 1)));
    const maas_vid k = cache_of(s, 3, heads_first(s, qkv[1], kv_heads), begin, total);
    const maas_vid v = cache_of(s, 4, heads_first(s, qkv[2], kv_heads), begin, total);
    maas_vid mask = mask_of_places(s, places, k);
    if (input(s, 10) != MAAS_NO_VALUE) {
        const maas_vid no = made(s, "CastLike", NULL, IN(number(s, -INFINITY), qkv[0]));
        mask = made(s, "Where", NULL, IN(mask, input(s, 10), no));
    }
    maas_attr a[] = {MAAS_A_FLOAT("softcap", float_of(s, "softcap", 0)),
                     MAAS_A_FLOAT("scale", float_of(s, "scale", 0))};
    nodes_outputs(s, "Attention", a, a[1].u.f != 0 ? 2 : 1,
                  IN(heads_first(s, qkv[0], heads), k, v, mask), &y, 1);
    y = made(s, "Transpose", &perm, IN(y));
    gives(s, 1, "Identity", NULL, &k, 1);
    gives(s, 2, "Identity", NULL, &v, 1);
    one_output(s);
    becomes(s, "Reshape", NULL, IN(y, INTS(s, 0, 0, -1)));
}

static void rotary(saying *s)
{
    const maas_attr a[] = {
        MAAS_A_INT("interleaved", int_of(s, "interleaved", 0)),
        MAAS_A_INT("num_heads", int_of(s, "num_heads", 0)),
        MAAS_A_INT("rotary_embedding_dim", int_of(s, "rotary_embedding_dim", 0))};
    maas_vid at = required(s, 1);
    if (int_of(s, "is_packed_batching", 0) || float_of(s, "scale", 1) != 1)
        refuse(s, "RotaryEmbedding of packed batches or with a scale");
    if (s->st == MAAS_OK && is_lengths(s, at)) { /* one place to begin at, for all */
        const maas_vid x = required(s, 0), steps = size_along(s, x, -2);
        const maas_attr axis = MAAS_A_INT("axis", 0);
        const maas_vid to = made(s, "Concat", &axis, IN(size_along(s, x, 0), steps));
        at = made(s, "Expand", NULL, IN(made(s, "Add", NULL, IN(count_to(s, steps), at)), to));
    }
    becomes_with(s, "RotaryEmbedding", a, 3,
                 IN(required(s, 0), required(s, 2), required(s, 3), at));
}

/* ---- rows ---- */

static const struct row {
    const char *op;
    void (*say)(saying *s);
} rows[] = {
    {"Gelu", gelu},
    {"BiasGelu", gelu},
    {"FastGelu", fast_gelu},
    {"QuickGelu", quick_gelu},
    {"BiasAdd", bias_add},
    {"BiasSoftmax", bias_softmax},
    {"LayerNormalization", layer_norm},
    {"SimplifiedLayerNormalization", simplified},
    {"SkipLayerNormalization", skip_norm},
    {"SkipSimplifiedLayerNormalization", skip_norm},
    {"EmbedLayerNormalization", embed},
    {"FusedMatMul", fused_matmul},
    {"FusedConv", maas_onnx_say_conv},
    {"FusedGemm", fused_gemm},
    {"Attention", attention},
    {"MultiHeadAttention", multi_head},
    {"GroupQueryAttention", grouped},
    {"RotaryEmbedding", rotary},
};

void maas_onnx_say_network(saying *s)
{
    for (size_t i = 0; i < MAAS_COUNT(rows); i++)
        if (strcmp(s->n->op, rows[i].op) == 0) {
            rows[i].say(s);
            return;
        }
}
