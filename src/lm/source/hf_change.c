/*
 * Weights whose rows lie in another order than GGUF has them. What has no such order in the file is
 * written into memory of ours, under the budget of the source.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "lm/source/hf_int.h"
#include "base/ban.h"

double maas_hf_number(const json_t *o, const char *key, double otherwise)
{
    const json_t *v = json_object_get(o, key);
    return json_is_number(v) ? json_number_value(v) : otherwise;
}

static maas_status wrong_shape(const maas_hf *h, const maas_gguf_tensor *w)
{
    return maas_fail(h->err, MAAS_E_FORMAT,
                     "the weight '%.*s' has another shape than config.json says", (int)w->name.n,
                     w->name.p);
}

static size_t row_bytes(const maas_gguf_tensor *w)
{
    return w->bytes / (size_t)w->dims[0];
}

/* ---- changes of one weight ---- */

/* RoBERTa counts positions from the number after the padding's token on. */
static maas_status shift(maas_hf *h, maas_gguf_tensor *w)
{
    const double first = maas_hf_number(h->text, "pad_token_id", 0) + 1;
    if (!(first >= 1 && first < (double)w->dims[0]))
        return wrong_shape(h, w);
    const size_t bytes = row_bytes(w) * (size_t)first;
    w->data += bytes;
    w->bytes -= bytes;
    w->dims[0] -= (int64_t)first;
    return MAAS_OK;
}

static maas_status transpose(maas_hf *h, maas_gguf_tensor *w)
{
    if (w->rank == 1)
        return MAAS_OK; /* a bias */
    const size_t rows = (size_t)w->dims[0], cols = (size_t)w->dims[1], size = w->type->block_bytes;
    uint8_t *to = w->rank == 2 ? maas_arena_alloc(h->a, w->bytes) : NULL;
    if (w->rank != 2)
        return wrong_shape(h, w);
    if (!to)
        return maas_hf_no_memory(h);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++)
            memcpy(to + (j * rows + i) * size, w->data + (i * cols + j) * size, size);
    w->data = to;
    w->dims[0] = (int64_t)cols;
    w->dims[1] = (int64_t)rows;
    return MAAS_OK;
}

/* [groups][queries of one, key, value] becomes all queries, all keys, all values. */
static maas_status ungroup(maas_hf *h, maas_gguf_tensor *w)
{
    const double heads = maas_hf_number(h->text, "num_attention_heads", 0);
    const double groups = maas_hf_number(h->text, "num_key_value_heads", heads);
    if (!(groups >= 1 && heads >= groups && heads <= 4096))
        return wrong_shape(h, w);
    const size_t g = (size_t)groups, each = (size_t)heads / g, parts = g * (each + 2);
    if ((size_t)heads % g || (size_t)w->dims[0] % parts)
        return wrong_shape(h, w);
    const size_t head = w->bytes / parts;
    uint8_t *to = maas_arena_alloc(h->a, w->bytes);
    if (!to)
        return maas_hf_no_memory(h);
    for (size_t i = 0; i < g; i++) {
        const uint8_t *from = w->data + i * (each + 2) * head;
        memcpy(to + i * each * head, from, each * head);
        memcpy(to + (g * each + i) * head, from + each * head, head);
        memcpy(to + (g * each + g + i) * head, from + (each + 1) * head, head);
    }
    w->data = to;
    return MAAS_OK;
}

static maas_status decay(maas_hf *h, maas_gguf_tensor *w)
{
    const size_t n = w->bytes / w->type->block_bytes;
    float *to = w->type->block == 1 ? maas_arena_array(h->a, n, sizeof *to) : NULL;
    if (!to)
        return maas_hf_no_memory(h);
    w->type->to_f32(w->data, to, (int64_t)n);
    for (size_t i = 0; i < n; i++)
        to[i] = -expf(to[i]);
    w->type = maas_quant_of(MAAS_Q_F32);
    w->data = (const uint8_t *)to;
    w->bytes = n * sizeof *to;
    return MAAS_OK;
}

maas_status maas_hf_change_of(maas_hf *h, maas_hf_change how, maas_gguf_tensor *w)
{
    static maas_status (*const changes[])(maas_hf *,
                                          maas_gguf_tensor *) = {[MAAS_HF_SHIFTED] = shift,
                                                                 [MAAS_HF_TRANSPOSED] = transpose,
                                                                 [MAAS_HF_GROUPED] = ungroup,
                                                                 [MAAS_HF_DECAY] = decay};
    if (how >= MAAS_COUNT(changes) || !changes[how])
        return MAAS_OK;
    if (w->dims[0] < 1 || !w->bytes)
        return wrong_shape(h, w);
    return changes[how](h, w);
}

/* ---- experts ---- */

enum { MAX_EXPERT_WEIGHTS = 1 << 20 };

typedef struct maas_hf_expert {
    maas_gguf_tensor w; /* of the name that all of its kind have */
    uint64_t number;
} maas_hf_expert;

maas_status maas_hf_add_expert(maas_hf *h, const maas_gguf_tensor *w, maas_str number)
{
    maas_span digits = maas_span_of(number.p, number.n);
    uint64_t n;
    if (w->rank != 2)
        return wrong_shape(h, w);
    if (h->n_experts == MAX_EXPERT_WEIGHTS || !maas_num_u64(&digits, &n))
        return maas_fail(h->err, MAAS_E_TOO_LARGE, "more than %d weights of experts",
                         MAX_EXPERT_WEIGHTS);
    maas_hf_expert *to = maas_hf_grown(h, h->experts, &h->cap_experts, h->n_experts, sizeof *to);
    if (!to)
        return maas_hf_no_memory(h);
    h->experts = to;
    to[h->n_experts++] = (maas_hf_expert){*w, n};
    return MAAS_OK;
}

static int by_name(const void *a, const void *b)
{
    const maas_hf_expert *x = a, *y = b;
    const size_t n = x->w.name.n < y->w.name.n ? x->w.name.n : y->w.name.n;
    const int order = memcmp(x->w.name.p, y->w.name.p, n);
    if (order || x->w.name.n != y->w.name.n)
        return order ? order : x->w.name.n < y->w.name.n ? -1 : 1;
    return (x->number > y->number) - (x->number < y->number);
}

static bool is_same_name(const maas_hf_expert *a, const maas_hf_expert *b)
{
    return a->w.name.n == b->w.name.n && memcmp(a->w.name.p, b->w.name.p, a->w.name.n) == 0;
}

/* One weight of n: as they lie, if they lie one after the other, else copied. */
static maas_status join(maas_hf *h, const maas_hf_expert *e, size_t n)
{
    maas_gguf_tensor w = e->w;
    bool in_order = true;
    for (size_t i = 0; i < n; i++) {
        const maas_gguf_tensor *t = &e[i].w;
        if (e[i].number != i)
            return maas_fail(h->err, MAAS_E_FORMAT, "the weight '%.*s' of expert %zu is missing",
                             (int)w.name.n, w.name.p, i);
        if (t->type != w.type || t->dims[0] != w.dims[0] || t->dims[1] != w.dims[1])
            return wrong_shape(h, &w);
        in_order &= t->data == w.data + i * w.bytes;
    }
    w.rank = 3;
    w.dims[2] = w.dims[1];
    w.dims[1] = w.dims[0];
    w.dims[0] = (int64_t)n;
    if (!in_order) {
        uint8_t *to = w.bytes ? maas_arena_array(h->a, n, w.bytes) : NULL;
        if (!to)
            return maas_fail(h->err, MAAS_E_NOMEM, "the weight '%.*s' of %zu experts",
                             (int)w.name.n, w.name.p, n);
        for (size_t i = 0; i < n; i++)
            memcpy(to + i * w.bytes, e[i].w.data, w.bytes);
        w.data = to;
    }
    w.bytes *= n;
    return maas_hf_put_tensor(h, &w);
}

maas_status maas_hf_join_experts(maas_hf *h)
{
    if (h->n_experts)
        qsort(h->experts, h->n_experts, sizeof *h->experts, by_name);
    for (size_t i = 0, n; i < h->n_experts; i += n) {
        for (n = 1; i + n < h->n_experts && is_same_name(&h->experts[i], &h->experts[i + n]);)
            n++;
        MAAS_TRY(join(h, &h->experts[i], n));
    }
    return MAAS_OK;
}
