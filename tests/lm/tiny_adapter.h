/*
 * tests/lm/tiny_adapter.h - low-rank adapters of tests/lm/tiny.h's models, as GGUF files in memory;
 * and a model of F32 with one merged into its weights, which is what an adapter must come to.
 */
#ifndef TESTS_LM_TINY_ADAPTER_H
#define TESTS_LM_TINY_ADAPTER_H

#include "lm/tiny.h"

typedef struct tiny_adapter {
    maas_gguf_writer w;
    maas_buf data, file;
} tiny_adapter;

static bool tiny_is_adapted(const maas_gguf_tensor *t)
{
    const maas_str n = t->name;
    return t->rank == 2 &&
           ((n.n > 4 && memcmp(n.p, "blk.", 4) == 0) ||
            (n.n == 13 && memcmp(n.p, "output.weight", 13) == 0)) &&
           t->dims[0] >= TINY_KV * TINY_EMBD / TINY_HEADS;
}

static void tiny_half(tiny_adapter *a, maas_rng *rng, maas_str weight, const char *tail,
                      maas_quant_id type, int64_t rows, int64_t cols)
{
    const maas_quant *q = maas_quant_of(type);
    char name[128];
    const int64_t dims[] = {rows, cols}, n = rows * cols;
    float *x = maas_alloc((size_t)n * sizeof *x);
    uint8_t *bytes = maas_alloc((size_t)n * q->block_bytes);
    for (int64_t i = 0; i < n; i++)
        x[i] = 0.2f * maas_rng_normal(rng);
    q->from_f32(x, bytes, n);
    snprintf(name, sizeof name, "%.*s%s", (int)weight.n, weight.p, tail);
    maas_gguf_put_tensor(&a->w, name, q, 2, dims);
    maas_buf_add(&a->data, bytes, (size_t)n * q->block_bytes);
    maas_gguf_pad(&a->data);
    maas_free(x);
    maas_free(bytes);
}

/* Of every matrix of the model's layers, ranks 1 .. 6 by turns; every `each`-th of them. */
static inline maas_span tiny_adapter_make(tiny_adapter *a, maas_span model, const char *arch,
                                          maas_quant_id type, float alpha, int each, uint64_t seed)
{
    maas_arena arena;
    maas_rng rng;
    maas_gguf g;
    int k = 0;
    *a = (tiny_adapter){.data = MAAS_BUF_INIT((size_t)1 << 30),
                        .file = MAAS_BUF_INIT((size_t)1 << 30)};
    maas_arena_init(&arena, NULL);
    maas_rng_seed(&rng, seed);
    maas_gguf_put_str(&a->w, "general.type", (maas_str){"adapter", 7});
    maas_gguf_put_str(&a->w, "adapter.type", (maas_str){"lora", 4});
    maas_gguf_put_str(&a->w, "general.architecture", (maas_str){arch, strlen(arch)});
    maas_gguf_put_f32(&a->w, "adapter.lora.alpha", alpha);
    if (maas_gguf_open(model, &arena, &g, NULL) == MAAS_OK)
        for (uint32_t i = 0; i < g.n_tensors; i++) {
            const maas_gguf_tensor *t = &g.tensors[i];
            if (!tiny_is_adapted(t) || k++ % each)
                continue;
            const int64_t rank = 1 + k % 6;
            tiny_half(a, &rng, t->name, ".lora_a", type, rank, t->dims[1]);
            tiny_half(a, &rng, t->name, ".lora_b", type, t->dims[0], rank);
        }
    maas_arena_reset(&arena);
    maas_gguf_finish(&a->w, &a->file);
    maas_buf_add(&a->file, a->data.p, a->data.n);
    return maas_buf_span(&a->file);
}

static void tiny_adapter_reset(tiny_adapter *a)
{
    maas_gguf_writer_reset(&a->w);
    maas_buf_reset(&a->data);
    maas_buf_reset(&a->file);
}

static inline float *tiny_floats(const maas_gguf_tensor *t)
{
    float *x = maas_alloc((size_t)(t->dims[0] * t->dims[1]) * sizeof *x);
    t->type->to_f32(t->data, x, t->dims[0] * t->dims[1]);
    return x;
}

/* W + strength * (alpha / rank) * B A, in the bytes of a model of F32. */
static inline int tiny_merge(maas_span model, maas_span adapter, double alpha, double strength)
{
    maas_arena arena;
    maas_gguf m, g;
    int n = 0;
    maas_arena_init(&arena, NULL);
    if (maas_gguf_open(model, &arena, &m, NULL) == MAAS_OK &&
        maas_gguf_open(adapter, &arena, &g, NULL) == MAAS_OK)
        for (uint32_t i = 0; i < m.n_tensors; i++) {
            char name[128];
            const maas_gguf_tensor *t = &m.tensors[i];
            snprintf(name, sizeof name, "%.*s.lora_a", (int)t->name.n, t->name.p);
            const maas_gguf_tensor *ta = maas_gguf_tensor_of(&g, name);
            if (!ta)
                continue;
            name[t->name.n + 6] = 'b';
            const maas_gguf_tensor *tb = maas_gguf_tensor_of(&g, name);
            float *a = tiny_floats(ta), *b = tiny_floats(tb), *w = (float *)(uintptr_t)t->data;
            const int64_t rank = ta->dims[0], cols = t->dims[1];
            for (int64_t y = 0; y < t->dims[0]; y++)
                for (int64_t x = 0; x < cols; x++) {
                    double sum = 0;
                    for (int64_t r = 0; r < rank; r++)
                        sum += (double)b[y * rank + r] * (double)a[r * cols + x];
                    const double s = strength * (alpha != 0 ? alpha / (double)rank : 1);
                    w[y * cols + x] = (float)((double)w[y * cols + x] + s * sum);
                }
            maas_free(a);
            maas_free(b);
            n++;
        }
    maas_arena_reset(&arena);
    return n;
}

#endif
