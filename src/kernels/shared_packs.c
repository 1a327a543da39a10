#include "kernels/shared_packs.h"

#include "base/mem.h"
#include "base/ban.h"

typedef struct maas_shared_pack {
    struct maas_shared_pack *next;
    void *pack;
    int n_refs;
} shared;

static maas_status find(maas_shared_packs *s, const void *key, shared **out, maas_err *err)
{
    for (shared *e = s->all; e; e = e->next)
        if (s->is_of(e->pack, key)) {
            *out = e;
            return MAAS_OK;
        }
    shared *e = maas_calloc(1, sizeof *e);
    if (!e)
        return maas_fail(err, MAAS_E_NOMEM, "packing weights");
    const maas_status st = s->create(key, &e->pack, err);
    if (st != MAAS_OK) {
        maas_free(e);
        return st;
    }
    e->next = s->all;
    *out = s->all = e;
    return MAAS_OK;
}

maas_status maas_shared_packs_acquire(maas_shared_packs *s, const void *key, void **pack,
                                      maas_err *err)
{
    shared *e = NULL;
    pthread_mutex_lock(&s->lock);
    const maas_status st = find(s, key, &e, err);
    if (st == MAAS_OK) {
        e->n_refs++;
        *pack = e->pack;
    }
    pthread_mutex_unlock(&s->lock);
    return st;
}

void maas_shared_packs_release(maas_shared_packs *s, const void *pack)
{
    shared *last = NULL;
    if (!pack)
        return;
    pthread_mutex_lock(&s->lock);
    shared **at = &s->all;
    while ((*at)->pack != pack)
        at = &(*at)->next;
    if (--(*at)->n_refs == 0) {
        last = *at;
        *at = last->next;
    }
    pthread_mutex_unlock(&s->lock);
    if (!last)
        return;
    s->destroy(last->pack);
    maas_free(last);
}
