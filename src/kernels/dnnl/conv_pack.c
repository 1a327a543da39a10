#include "kernels/dnnl/conv_pack.h"

#include <string.h>

#include "base/mem.h"
#include "kernels/shared_packs.h"
#include "base/ban.h"

typedef struct entry {
    maas_conv_pack pack; /* first: a pack is its entry */
    const void *w;
    float *scale; /* [n]; NULL: none */
    int64_t n;
    dnnl_memory_desc_t inner;
} entry;

typedef struct conv_key {
    const maas_tensor *w, *s;
    const dnnl_memory_desc_t *user, *inner;
} conv_key;

static bool is_of(const void *pack, const void *key)
{
    const entry *e = pack;
    const conv_key *k = key;
    return e->w == k->w->data && e->n == k->w->dims[0] && !e->scale == !k->s &&
           dnnl_memory_desc_equal(&e->inner, k->inner) &&
           (!k->s || memcmp(e->scale, k->s->data, (size_t)e->n * sizeof *e->scale) == 0);
}

static void destroy(void *pack)
{
    entry *e = pack;
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

static maas_status create(const void *key, void **pack, maas_err *err)
{
    const conv_key *k = key;
    entry *e = maas_calloc(1, sizeof *e);
    if (!e)
        return maas_fail(err, MAAS_E_NOMEM, "packing weights");
    e->inner = *k->inner;
    const maas_status st = fill(e, k->w, k->s, k->user, err);
    if (st == MAAS_OK)
        *pack = e;
    else
        destroy(e);
    return st;
}

static maas_shared_packs packs = {is_of, create, destroy, PTHREAD_MUTEX_INITIALIZER, NULL};

maas_status maas_conv_pack_acquire(const maas_tensor *w, const maas_tensor *s,
                                   const dnnl_memory_desc_t *user, const dnnl_memory_desc_t *inner,
                                   const maas_conv_pack **out, maas_err *err)
{
    void *pack = NULL;
    MAAS_TRY(maas_shared_packs_acquire(&packs, &(conv_key){w, s, user, inner}, &pack, err));
    *out = pack;
    return MAAS_OK;
}

void maas_conv_pack_release(const maas_conv_pack *p)
{
    maas_shared_packs_release(&packs, p);
}
