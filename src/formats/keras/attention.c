/* formats/keras/attention.c - multi-head attention out of products, as Keras computes it. */
#include <math.h>
#include <string.h>

#include "formats/keras/keras_int.h"
#include "base/ban.h"

typedef struct heads {
    int64_t n, key, value;
    bool bias;
} heads;

/* x [n, time, f] through a kernel [f, heads, size]: [n, heads, time, size]. */
static maas_vid project(kr *k, kr_layer *l, const heads *h, const char *sub, maas_vid x,
                        int64_t size)
{
    static const int64_t by_head[4] = {0, 2, 1, 3};
    const int64_t f = kr_size(k, l, x, 2), split[4] = {0, 0, h->n, size};
    maas_tensor w, b;
    if (!kr_take(k, l, sub, 0, 3, (int64_t[]){f, h->n, size}, &w))
        return MAAS_NO_VALUE;
    w.rank = 2;
    w.dims[1] = h->n * size;
    maas_vid y = maas_b_op2(&k->b, "MatMul", x, kr_const(k, &w));
    if (h->bias) {
        if (!kr_take(k, l, sub, 1, 2, (int64_t[]){h->n, size}, &b))
            return MAAS_NO_VALUE;
        b.rank = 1;
        b.dims[0] = h->n * size;
        y = maas_b_op2(&k->b, "Add", y, kr_const(k, &b));
    }
    return kr_transpose(k, kr_reshape(k, y, split, 4), 4, by_head);
}

/* Its inputs are query, value and, if it has one, key: by place or by name. */
static bool find_inputs(kr *k, const kr_layer *l, const maas_vid *in, uint32_t n, maas_vid *out)
{
    static const char *const names[] = {"query", "value", "key"};
    const char *word;
    json_t *v;
    for (uint32_t i = 0; i < 3; i++)
        out[i] = i < n ? in[i] : MAAS_NO_VALUE;
    for (uint32_t i = 0; i < 3; i++) {
        const json_t *place = json_object_get(l->call, names[i]);
        if (json_is_integer(place) && json_integer_value(place) >= 0 &&
            json_integer_value(place) < n)
            out[i] = in[json_integer_value(place)];
    }
    if (out[2] == MAAS_NO_VALUE)
        out[2] = out[1];
    json_object_foreach((json_t *)(uintptr_t)l->call, word, v) if (strcmp(word, "query") != 0 &&
                                                                   strcmp(word, "value") != 0 &&
                                                                   strcmp(word, "key") != 0)
        kr_fail(k, l, MAAS_E_UNSUPPORTED, "it is called with %.40s", word);
    return kr_ok(k);
}

static maas_vid attention(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    static const int64_t turned[4] = {0, 1, 3, 2}, by_time[4] = {0, 2, 1, 3};
    heads h = {.n = kr_need_int(k, l, "num_heads", 1, 1 << 12),
               .key = kr_need_int(k, l, "key_dim", 1, 1 << 16),
               .bias = kr_bool(k, l, "use_bias", true)};
    maas_builder *b = &k->b;
    maas_vid of[3];
    int64_t axis;
    h.value = kr_int(k, l, "value_dim", 1, 1 << 16, h.key);
    if (!find_inputs(k, l, in, n, of))
        return MAAS_NO_VALUE;
    kr_ints(k, l, "attention_axes", 1, 1, 1, 1, &axis);
    for (int i = 0; i < 3; i++)
        if (kr_type(k, of[i])->rank != 3)
            return kr_fail(k, l, MAAS_E_UNSUPPORTED, "its inputs need three dimensions");
    const int64_t width = kr_size(k, l, of[0], 2), joined[3] = {0, 0, h.n * h.value};
    /* in the order of the file */
    const maas_vid q = project(k, l, &h, "query_dense", of[0], h.key);
    const maas_vid key = project(k, l, &h, "key_dense", of[2], h.key);
    const maas_vid v = project(k, l, &h, "value_dense", of[1], h.value);
    maas_vid s = maas_b_op2(b, "Mul", q, maas_b_f32(b, (float)(1 / sqrt((double)h.key))));
    s = maas_b_op2(b, "MatMul", s, kr_transpose(k, key, 4, turned));
    s = kr_op1(k, "Softmax", MAAS_A_INT("axis", -1), s);
    s = kr_transpose(k, maas_b_op2(b, "MatMul", s, v), 4, by_time);
    s = kr_reshape(k, s, joined, 3);
    maas_tensor w;
    if (!kr_take(k, l, "output_dense", 0, 3, (int64_t[]){h.n, h.value, width}, &w))
        return MAAS_NO_VALUE;
    w.rank = 2;
    w.dims[0] = h.n * h.value;
    w.dims[1] = width;
    s = maas_b_op2(b, "MatMul", s, kr_const(k, &w));
    return h.bias ? maas_b_op2(b, "Add", s, kr_weight(k, l, "output_dense", 1, 1, &width)) : s;
}

const kr_row kr_attention[] = {
    {"MultiHeadAttention", attention,
     "num_heads key_dim value_dim dropout use_bias query_shape key_shape value_shape "
     "attention_axes flash_attention",
     3, 1, 3, KR_NAMED},
    {0},
};
