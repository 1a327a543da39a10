#include "formats/gguf.h"

#include <string.h>

#include "base/ban.h"

#define MAX_FILE ((size_t)1 << 40)

static void put(maas_buf *b, const void *p, size_t n)
{
    b->max = MAX_FILE;
    maas_buf_add(b, p, n);
}
static void put_u32(maas_buf *b, uint32_t v)
{
    put(b, &v, sizeof v);
}
static void put_u64(maas_buf *b, uint64_t v)
{
    put(b, &v, sizeof v);
}
static void put_text(maas_buf *b, const char *p, size_t n)
{
    put_u64(b, n);
    put(b, p, n);
}

static void key_of(maas_gguf_writer *w, const char *key, maas_gguf_type type)
{
    put_text(&w->head, key, strlen(key));
    put_u32(&w->head, type);
    w->n_values++;
}

void maas_gguf_put_u32(maas_gguf_writer *w, const char *key, uint32_t v)
{
    key_of(w, key, MAAS_GGUF_U32);
    put_u32(&w->head, v);
}

void maas_gguf_put_f32(maas_gguf_writer *w, const char *key, float v)
{
    key_of(w, key, MAAS_GGUF_F32);
    put(&w->head, &v, sizeof v);
}

void maas_gguf_put_str(maas_gguf_writer *w, const char *key, maas_str v)
{
    key_of(w, key, MAAS_GGUF_STRING);
    put_text(&w->head, v.p, v.n);
}

static void array_of(maas_gguf_writer *w, const char *key, maas_gguf_type of, uint64_t n)
{
    key_of(w, key, MAAS_GGUF_ARRAY);
    put_u32(&w->head, of);
    put_u64(&w->head, n);
}

void maas_gguf_put_strs(maas_gguf_writer *w, const char *key, const maas_str *v, uint64_t n)
{
    array_of(w, key, MAAS_GGUF_STRING, n);
    for (uint64_t i = 0; i < n; i++)
        put_text(&w->head, v[i].p, v[i].n);
}

void maas_gguf_put_array(maas_gguf_writer *w, const char *key, maas_gguf_type of, const void *v,
                         uint64_t n)
{
    array_of(w, key, of, n);
    put(&w->head, v, (size_t)n * (of == MAAS_GGUF_U8 ? 1 : 4));
}

void maas_gguf_put_tensor(maas_gguf_writer *w, const char *name, const maas_quant *q, int rank,
                          const int64_t *dims)
{
    uint64_t blocks = 1;
    put_text(&w->index, name, strlen(name));
    put_u32(&w->index, (uint32_t)rank);
    for (int i = rank; i-- > 0;) {
        put_u64(&w->index, (uint64_t)dims[i]);
        blocks *= (uint64_t)dims[i] / (i == rank - 1 ? q->block : 1);
    }
    put_u32(&w->index, q->id);
    put_u64(&w->index, w->at);
    w->at += (blocks * q->block_bytes + 31) / 32 * 32;
    w->n_tensors++;
}

void maas_gguf_finish(maas_gguf_writer *w, maas_buf *out)
{
    put(out, "GGUF", 4);
    put_u32(out, 3);
    put_u64(out, w->n_tensors);
    put_u64(out, w->n_values);
    put(out, w->head.p ? w->head.p : "", w->head.n);
    put(out, w->index.p ? w->index.p : "", w->index.n);
    out->failed |= w->head.failed || w->index.failed;
    maas_gguf_pad(out);
}

void maas_gguf_pad(maas_buf *out)
{
    static const char zeros[32];
    put(out, zeros, (32 - out->n % 32) % 32);
}

void maas_gguf_writer_reset(maas_gguf_writer *w)
{
    maas_buf_reset(&w->head);
    maas_buf_reset(&w->index);
    *w = (maas_gguf_writer){0};
}
