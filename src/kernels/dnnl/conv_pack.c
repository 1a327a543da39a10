#include "kernels/dnnl/conv_pack.h"

#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

typedef struct entry {
    maas_conv_pack pack; /* first: a pack is its entry */
    struct entry *next;
    int n_refs;
    const void *w;
    float *scale; /* [n]; NULL: none */
    int64_t n;
    dnnl_memory_desc_t inner;
} entry;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static entry *all;

static bool is_of(const entry *e, const maas_tensor *w, const maas_tensor *s,
                  const dnnl_memory_desc_t *inner)
{
    return e->w == w->data && e->n == w->dims[0] && !e->scale == !s &&
           dnnl_memory_desc_equal(&e->inner, inner) &&
           (!s || memcmp(e->scale, s->data, (size_t)e->n * sizeof *e->scale) == 0);
}

static void destroy(entry *e)
{
    if (!e)
        return;
    maas_free(e->pack.data);
    maas_free(e->scale);
    maas_free(e);
}

/* W with its scales; NULL without memory. */
static float *scaled(const maas_tensor *w, const float *scale)
{
    const int64_t n = w->dims[0], each = n ? maas_n_elems(w) / n : 0;
    const float *from = w->data;
    float *to = maas_aligned(64, maas_tensor_bytes(w));
    for (int64_t m = 0; m < n && to; m++)
        for (int64_t i = 0; i < each; i++)
            to[m * each + i] = from[m * each + i] * scale[m];
    return to;
}

static maas_status fill(entry *e, const maas_tensor *w, const maas_tensor *s,
                        const dnnl_memory_desc_t *user, maas_err *err)
{
    AUTO_FREE float *product = NULL;
    e->w = w->data;
    e->n = w->dims[0];
    e->pack.data = maas_aligned(64, dnnl_memory_desc_get_size(&e->inner));
    if (s) {
        e->scale = maas_alloc(maas_tensor_bytes(s));
        if (e->scale)
            memcpy(e->scale, s->data, maas_tensor_bytes(s));
        product = e->scale ? scaled(w, e->scale) : NULL;
    }
    if (!e->pack.data || (s && !product))
        return maas_fail(err, MAAS_E_NOMEM, "packing weights");
    if (!maas_dnnl_move(user, product ? product : w->data, &e->inner, e->pack.data))
        return maas_fail(err, MAAS_E_INTERNAL, "oneDNN did not pack weights");
    return MAAS_OK;
}

static maas_status find(const maas_tensor *w, const maas_tensor *s, const dnnl_memory_desc_t *user,
                        const dnnl_memory_desc_t *inner, entry **out, maas_err *err)
{
    for (entry *e = all; e; e = e->next)
        if (is_of(e, w, s, inner)) {
            *out = e;
            return MAAS_OK;
        }
    entry *e = maas_calloc(1, sizeof *e);
    if (!e)
        return maas_fail(err, MAAS_E_NOMEM, "packing weights");
    e->inner = *inner;
    maas_status st = fill(e, w, s, user, err);
    if (st != MAAS_OK) {
        destroy(e);
        return st;
    }
    e->next = all;
    *out = all = e;
    return MAAS_OK;
}

maas_status maas_conv_pack_acquire(const maas_tensor *w, const maas_tensor *s,
                                   const dnnl_memory_desc_t *user, const dnnl_memory_desc_t *inner,
                                   const maas_conv_pack **out, maas_err *err)
{
    entry *e = NULL;
    pthread_mutex_lock(&lock);
    maas_status st = find(w, s, user, inner, &e, err);
    if (st == MAAS_OK) {
        e->n_refs++;
        *out = &e->pack;
    }
    pthread_mutex_unlock(&lock);
    return st;
}

void maas_conv_pack_release(const maas_conv_pack *p)
{
    entry *e = (entry *)(uintptr_t)p;
    if (!e)
        return;
    pthread_mutex_lock(&lock);
    const bool last = --e->n_refs == 0;
    for (entry **at = &all; last && *at; at = &(*at)->next)
        if (*at == e) {
            *at = e->next;
            break;
        }
    pthread_mutex_unlock(&lock);
    if (last)
        destroy(e);
}
