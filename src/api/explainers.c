/* api/explainers.c - a small table under one lock, which is a leaf. */
#include "api/explainers.h"

#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "base/ban.h"

enum { KEPT = 8 };
#define IDLE_NS (60ull * 1000000000)

struct maas_ready_explainer {
    _Atomic int refs;
    maas_explainer *x;
    maas_instance *model;
    char *options;
    uint64_t used_ns; /* under the lock of the table */
};

struct maas_explainers {
    pthread_mutex_t lock;
    maas_ready_explainer *kept[KEPT]; /* under lock */
};

maas_status maas_explainers_create(maas_explainers **out, maas_err *err)
{
    maas_explainers *e = maas_calloc(1, sizeof *e);
    if (!e)
        return maas_fail(err, MAAS_E_NOMEM, "memory for explainers");
    pthread_mutex_init(&e->lock, NULL);
    *out = e;
    return MAAS_OK;
}

void maas_explainers_destroy(maas_explainers *e)
{
    if (!e)
        return;
    for (int i = 0; i < KEPT; i++)
        maas_ready_explainer_unref(e->kept[i]);
    pthread_mutex_destroy(&e->lock);
    maas_free(e);
}

void maas_ready_explainer_unref(maas_ready_explainer *r)
{
    if (!r || atomic_fetch_sub(&r->refs, 1) != 1)
        return;
    maas_explainer_destroy(r->x);
    maas_instance_unref(r->model); /* after the explainer, which borrows its graph */
    maas_free(r->options);
    maas_free(r);
}

maas_explainer *maas_ready_explainer_get(maas_ready_explainer *r)
{
    return r->x;
}

maas_ready_explainer *maas_explainers_find(maas_explainers *e, const maas_instance *m,
                                           const char *options)
{
    maas_ready_explainer *found = NULL;
    pthread_mutex_lock(&e->lock);
    for (int i = 0; i < KEPT && !found; i++)
        if (e->kept[i] && e->kept[i]->model == m && strcmp(e->kept[i]->options, options) == 0)
            found = e->kept[i];
    if (found) {
        atomic_fetch_add(&found->refs, 1);
        found->used_ns = maas_now_ns();
    }
    pthread_mutex_unlock(&e->lock);
    return found;
}

maas_status maas_explainers_keep(maas_explainers *e, maas_instance *m, const char *options,
                                 maas_explainer *x, maas_ready_explainer **out, maas_err *err)
{
    maas_ready_explainer *r = maas_calloc(1, sizeof *r), *old;
    char *text = maas_strdup(options);
    int at = 0;
    if (!r || !text) {
        maas_free(r);
        maas_free(text);
        maas_explainer_destroy(x);
        return maas_fail(err, MAAS_E_NOMEM, "memory for explainers");
    }
    maas_instance_ref(m);
    *r = (maas_ready_explainer){2, x, m, text,
                                maas_now_ns()}; /* the table's reference, and the caller's */
    pthread_mutex_lock(&e->lock);
    for (int i = 0; i < KEPT && e->kept[at]; i++)
        if (!e->kept[i] || e->kept[i]->used_ns < e->kept[at]->used_ns)
            at = i;
    old = e->kept[at];
    e->kept[at] = r;
    pthread_mutex_unlock(&e->lock);
    maas_ready_explainer_unref(old);
    *out = r;
    return MAAS_OK;
}

void maas_explainers_sweep(maas_explainers *e)
{
    const uint64_t now = maas_now_ns();
    for (int i = 0; i < KEPT; i++) {
        maas_ready_explainer *old = NULL;
        pthread_mutex_lock(&e->lock);
        if (e->kept[i] && now - e->kept[i]->used_ns > IDLE_NS)
            old = STEAL(e->kept[i]);
        pthread_mutex_unlock(&e->lock);
        maas_ready_explainer_unref(old);
    }
}
