#include "api/keeper.h"

#include <pthread.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/ban.h"

#define TICK_S      60
#define GC_TICKS    60                   /* an hour */
#define GC_GRACE_MS (2ull * 3600 * 1000) /* far above the time from a linked blob to its row */
#define SCRUB_BLOBS 4                    /* a tick */

struct maas_keeper {
    maas_registry *registry;
    maas_models *models;
    maas_explainers *explainers;
    maas_sequences *sequences;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping; /* under lock */
};

/* False: it is time to stop. */
static bool sleep_a_tick(maas_keeper *k)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += TICK_S;
    pthread_mutex_lock(&k->lock);
    while (!k->stopping && pthread_cond_timedwait(&k->wake, &k->lock, &until) == 0)
        continue;
    bool go_on = !k->stopping;
    pthread_mutex_unlock(&k->lock);
    return go_on;
}

static void collect(maas_keeper *k)
{
    maas_err err = {0};
    uint32_t n = 0;
    if (maas_registry_gc(k->registry, GC_GRACE_MS, &n, &err) != MAAS_OK)
        MAAS_LOG(MAAS_LOG_ERROR, "event=gc msg=\"%s\"", err.msg);
    else if (n)
        MAAS_LOG(MAAS_LOG_INFO, "event=gc deleted=%u", n);
}

static void scrub(maas_keeper *k)
{
    maas_err err = {0};
    uint32_t bad = 0;
    if (maas_registry_scrub(k->registry, SCRUB_BLOBS, &bad, &err) != MAAS_OK)
        MAAS_LOG(MAAS_LOG_ERROR, "event=scrub msg=\"%s\"", err.msg);
    if (bad)
        MAAS_LOG(MAAS_LOG_ERROR,
                 "event=scrub damaged=%u msg=\"upload the file again to repair it\"", bad);
}

static void *keeper_main(void *arg)
{
    maas_keeper *k = arg;
    pthread_setname_np(pthread_self(), "keeper");
    for (uint32_t tick = 1; sleep_a_tick(k); tick++) {
        maas_models_sweep(k->models);
        maas_explainers_sweep(k->explainers);
        maas_sequences_sweep(k->sequences);
        scrub(k);
        if (tick % GC_TICKS == 0)
            collect(k);
    }
    return NULL;
}

maas_status maas_keeper_start(maas_registry *r, maas_models *m, maas_explainers *e,
                              maas_sequences *s, maas_keeper **out, maas_err *err)
{
    maas_keeper *k = maas_calloc(1, sizeof *k);
    pthread_condattr_t monotonic;
    if (!k)
        return maas_fail(err, MAAS_E_NOMEM, "housekeeping");
    k->registry = r;
    k->models = m;
    k->explainers = e;
    k->sequences = s;
    pthread_mutex_init(&k->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&k->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&k->thread, NULL, keeper_main, k) == 0) {
        *out = k;
        return MAAS_OK;
    }
    pthread_cond_destroy(&k->wake);
    pthread_mutex_destroy(&k->lock);
    maas_free(k);
    return maas_fail(err, MAAS_E_NOMEM, "cannot start the housekeeping thread");
}

void maas_keeper_stop(maas_keeper *k)
{
    if (!k)
        return;
    pthread_mutex_lock(&k->lock);
    k->stopping = true;
    pthread_cond_signal(&k->wake);
    pthread_mutex_unlock(&k->lock);
    pthread_join(k->thread, NULL);
    pthread_cond_destroy(&k->wake);
    pthread_mutex_destroy(&k->lock);
    maas_free(k);
}
