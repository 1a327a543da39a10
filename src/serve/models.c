#include "serve/models.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

typedef struct slot {  /* one version that was asked for */
    struct slot *next; /* in its chain */
    uint64_t uid;
    maas_model_state state;
    maas_instance *instance; /* READY: a reference to one of these two */
    maas_lm_service *lm;
    maas_err why; /* FAILED */
} slot;

struct maas_models {
    maas_models_opts opts;
    maas_lanes *lanes;
    pthread_mutex_t lock; /* a leaf; nothing is loaded while it is held */
    pthread_cond_t loaded;
    /* under lock */
    slot **chains; /* [n_chains], by uid; n_chains is a power of two */
    size_t n_chains, n_slots;
    uint64_t swept; /* registry generation of the last sweep */
};

maas_status maas_models_create(const maas_models_opts *o, maas_models **out, maas_err *err)
{
    maas_models *m = maas_calloc(1, sizeof *m);
    if (!m)
        return maas_fail(err, MAAS_E_NOMEM, "model table");
    m->opts = *o;
    m->n_chains = 64;
    m->chains = maas_calloc(m->n_chains, sizeof *m->chains);
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->loaded, NULL);
    maas_status st = m->chains ? maas_lanes_create(o->n_lanes, o->threads_per_lane, &m->lanes, err)
                               : maas_fail(err, MAAS_E_NOMEM, "model table");
    if (st != MAAS_OK) {
        maas_models_destroy(m);
        return st;
    }
    *out = m;
    return MAAS_OK;
}

static void release(maas_models *m, maas_loaded x)
{
    if (x.instance)
        maas_queue_detach(m->lanes, maas_instance_queue(x.instance));
    maas_instance_unref(x.instance);
    maas_lm_service_close(x.lm);
    maas_lm_service_unref(x.lm);
}

void maas_loaded_unref(maas_loaded x)
{
    maas_instance_unref(x.instance);
    maas_lm_service_unref(x.lm);
}

static void ref(maas_loaded x)
{
    if (x.instance)
        maas_instance_ref(x.instance);
    if (x.lm)
        maas_lm_service_ref(x.lm);
}

static maas_loaded of_slot(const slot *s)
{
    return (maas_loaded){s->instance, s->lm};
}

void maas_models_destroy(maas_models *m)
{
    if (!m)
        return;
    for (size_t c = 0; m->chains && c < m->n_chains; c++)
        for (slot *s = m->chains[c], *next; s; s = next) {
            next = s->next;
            release(m, of_slot(s));
            maas_free(s);
        }
    maas_lanes_destroy(m->lanes);
    pthread_cond_destroy(&m->loaded);
    pthread_mutex_destroy(&m->lock);
    maas_free(m->chains);
    maas_free(m);
}

maas_lanes *maas_models_lanes(maas_models *m)
{
    return m->lanes;
}

/* Under lock. */
static slot *find_slot(maas_models *m, uint64_t uid)
{
    slot *s = m->chains[uid & (m->n_chains - 1)];
    while (s && s->uid != uid)
        s = s->next;
    return s;
}

/* Under lock: twice the chains when there are more slots than chains. A failure only costs speed.
 */
static void grow(maas_models *m)
{
    size_t n = m->n_chains * 2;
    slot **chains = m->n_slots > m->n_chains ? maas_calloc(n, sizeof *chains) : NULL;
    if (!chains)
        return;
    for (size_t c = 0; c < m->n_chains; c++)
        for (slot *s = m->chains[c], *next; s; s = next) {
            next = s->next;
            s->next = chains[s->uid & (n - 1)];
            chains[s->uid & (n - 1)] = s;
        }
    maas_free(m->chains);
    m->chains = chains;
    m->n_chains = n;
}

/* Under lock: finds or makes. */
static slot *get_slot(maas_models *m, uint64_t uid)
{
    slot *s = find_slot(m, uid);
    if (s || !(s = maas_calloc(1, sizeof *s)))
        return s;
    s->uid = uid;
    s->state = MAAS_MODEL_COLD;
    m->n_slots++;
    grow(m);
    s->next = m->chains[uid & (m->n_chains - 1)];
    m->chains[uid & (m->n_chains - 1)] = s;
    return s;
}

static maas_status resolve(const maas_snapshot *snap, maas_tenant t, const char *model,
                           const char *version, const char **out_name,
                           const maas_snap_version **out, maas_err *err)
{
    if (!snap)
        return maas_fail(err, MAAS_E_NOMEM, "reading the registry");
    return maas_snapshot_resolve(snap, t, model, version, out_name, out, err);
}

/* MAAS_OK: *out is referenced. */
static maas_status find(maas_models *m, maas_tenant t, const char *model, const char *version,
                        maas_loaded *out, bool *out_must_load, maas_err *err)
{
    const maas_snapshot *snap = maas_registry_snapshot(m->opts.registry);
    const maas_snap_version *v;
    const char *name;
    *out_must_load = false;
    maas_status st = resolve(snap, t, model, version, &name, &v, err);
    if (st == MAAS_OK) {
        pthread_mutex_lock(&m->lock);
        slot *s = find_slot(m, v->uid);
        if (s && s->state == MAAS_MODEL_READY) {
            ref(*out = of_slot(s));
        } else if (s && s->state == MAAS_MODEL_UNLOADED) {
            st = maas_fail(err, MAAS_E_UNAVAILABLE, "model '%s' version %lld was unloaded", name,
                           (long long)v->version);
        } else if (s && s->state == MAAS_MODEL_FAILED) {
            st = maas_fail(err, s->why.code, "%s", s->why.msg);
        } else {
            *out_must_load = true;
            st = maas_fail(err, MAAS_E_UNAVAILABLE, "model '%s' is being loaded", name);
        }
        pthread_mutex_unlock(&m->lock);
    }
    maas_snapshot_unref(snap);
    return st;
}

/* A caller wants one kind; the other one is given back. */
static maas_status only_tensors(maas_loaded x, const char *model, maas_instance **out,
                                maas_err *err)
{
    *out = x.instance;
    if (x.instance)
        return MAAS_OK;
    const char *words = maas_lm_service_words(x.lm);
    maas_lm_service_unref(x.lm);
    return maas_fail(err, MAAS_E_INVALID, "model '%.64s' %s", model, words);
}

static maas_status only_language(maas_loaded x, const char *model, maas_lm_service **out,
                                 maas_err *err)
{
    *out = x.lm;
    if (x.lm)
        return MAAS_OK;
    maas_instance_unref(x.instance);
    return maas_fail(err, MAAS_E_INVALID,
                     "model '%.64s' is no language model: ask /v2/models/%.64s/infer", model,
                     model);
}

maas_status maas_models_find(maas_models *m, maas_tenant t, const char *model, const char *version,
                             maas_instance **out, bool *out_must_load, maas_err *err)
{
    maas_loaded x = {0};
    MAAS_TRY(find(m, t, model, version, &x, out_must_load, err));
    return only_tensors(x, model, out, err);
}

static maas_status open_version(maas_models *m, maas_tenant t, const char *name,
                                const maas_snap_version *v, maas_loaded *out, maas_err *err)
{
    AUTO_FD fd = -1;
    uint64_t bytes;
    MAAS_TRY(maas_blob_open(m->opts.registry, v->artifact_hex, &fd, &bytes, err));
    if (!maas_lm_is_format(v->format))
        return maas_instance_create(fd, name, v->version, v->uid, &m->opts.instance, &out->instance,
                                    err);
    maas_lm_service_opts lm = m->opts.lm;
    lm.lanes = m->lanes;
    return maas_lm_open(m->opts.registry, t, name, v, &m->opts.lm_settings, &lm, &out->lm, err);
}

/* Loads the version unless another thread does or has done so; *out is referenced. */
static maas_status load_version(maas_models *m, maas_tenant t, const char *name,
                                const maas_snap_version *v, bool explicit_, maas_loaded *out,
                                maas_err *err)
{
    pthread_mutex_lock(&m->lock);
    slot *s = get_slot(m, v->uid);
    while (s && s->state == MAAS_MODEL_LOADING) {
        pthread_cond_wait(&m->loaded, &m->lock);
        s = get_slot(m, v->uid);
    }
    maas_status st = MAAS_OK;
    bool ours = s && (s->state == MAAS_MODEL_COLD || (explicit_ && s->state != MAAS_MODEL_READY));
    if (!s)
        st = maas_fail(err, MAAS_E_NOMEM, "loading model '%s'", name);
    else if (ours)
        s->state = MAAS_MODEL_LOADING;
    else if (s->state == MAAS_MODEL_READY)
        ref(*out = of_slot(s));
    else if (s->state == MAAS_MODEL_FAILED)
        st = maas_fail(err, s->why.code, "%s", s->why.msg);
    else
        st = maas_fail(err, MAAS_E_UNAVAILABLE, "model '%s' was unloaded", name);
    pthread_mutex_unlock(&m->lock);
    if (!ours)
        return st;

    maas_err why = {0};
    maas_loaded x = {0};
    st = open_version(m, t, name, v, &x, &why);
    pthread_mutex_lock(&m->lock);
    s = find_slot(m, v->uid); /* LOADING slots are never removed */
    /* Lack of memory passes: the next request tries again. A bad file stays bad. */
    s->state = st == MAAS_OK        ? MAAS_MODEL_READY
               : st == MAAS_E_NOMEM ? MAAS_MODEL_COLD
                                    : MAAS_MODEL_FAILED;
    s->instance = x.instance;
    s->lm = x.lm;
    s->why = why;
    ref(*out = x);
    pthread_cond_broadcast(&m->loaded);
    pthread_mutex_unlock(&m->lock);
    return st == MAAS_OK ? st : maas_fail(err, why.code, "%s", why.msg);
}

static maas_status load(maas_models *m, maas_tenant t, const char *model, const char *version,
                        bool explicit_, maas_loaded *out, maas_err *err)
{
    const maas_snapshot *snap = maas_registry_snapshot(m->opts.registry);
    const maas_snap_version *v;
    const char *name;
    maas_status st = resolve(snap, t, model, version, &name, &v, err);
    if (st == MAAS_OK)
        st = load_version(m, t, name, v, explicit_, out, err);
    maas_snapshot_unref(snap);
    return st;
}

maas_status maas_models_load(maas_models *m, maas_tenant t, const char *model, const char *version,
                             bool explicit_, maas_instance **out, maas_err *err)
{
    maas_loaded x = {0};
    MAAS_TRY(load(m, t, model, version, explicit_, &x, err));
    return only_tensors(x, model, out, err);
}

maas_status maas_models_find_any(maas_models *m, maas_tenant t, const char *model,
                                 const char *version, maas_loaded *out, bool *out_must_load,
                                 maas_err *err)
{
    return find(m, t, model, version, out, out_must_load, err);
}

maas_status maas_models_load_any(maas_models *m, maas_tenant t, const char *model,
                                 const char *version, maas_loaded *out, maas_err *err)
{
    return load(m, t, model, version, false, out, err);
}

maas_status maas_models_load_lm(maas_models *m, maas_tenant t, const char *model,
                                maas_lm_service **out, maas_err *err)
{
    maas_loaded x = {0};
    MAAS_TRY(load(m, t, model, NULL, false, &x, err));
    return only_language(x, model, out, err);
}

maas_status maas_models_warm(maas_models *m, maas_tenant t, const char *model, maas_err *err)
{
    maas_loaded x = {0};
    MAAS_TRY(load(m, t, model, NULL, true, &x, err));
    maas_loaded_unref(x);
    return MAAS_OK;
}

/* Takes the instance out of its slot; a load under way is waited for. */
static maas_loaded take_instance(maas_models *m, uint64_t uid)
{
    pthread_mutex_lock(&m->lock);
    slot *s = get_slot(m, uid);
    while (s && s->state == MAAS_MODEL_LOADING) {
        pthread_cond_wait(&m->loaded, &m->lock);
        s = get_slot(m, uid);
    }
    const maas_loaded gone = s ? of_slot(s) : (maas_loaded){0};
    if (s)
        s->instance = NULL, s->lm = NULL, s->state = MAAS_MODEL_UNLOADED;
    pthread_mutex_unlock(&m->lock);
    return gone;
}

maas_status maas_models_unload(maas_models *m, maas_tenant t, const char *model, maas_err *err)
{
    const maas_snapshot *snap = maas_registry_snapshot(m->opts.registry);
    uint32_t n = 0;
    const maas_snap_version *v = snap ? maas_snapshot_versions(snap, t, model, &n) : NULL;
    for (uint32_t i = 0; i < n; i++)
        release(m, take_instance(m, v[i].uid));
    maas_snapshot_unref(snap);
    return v ? MAAS_OK : maas_fail(err, MAAS_E_NOT_FOUND, "model '%s' does not exist", model);
}

static int by_uid(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* The uids of every version there is, sorted; NULL when out of memory. */
static uint64_t *live_uids(const maas_snapshot *snap, size_t *out_n)
{
    uint32_t n;
    const maas_snap_version *v = maas_snapshot_all_versions(snap, &n);
    uint64_t *uids = maas_calloc(n, sizeof *uids);
    for (uint32_t i = 0; uids && i < n; i++)
        uids[i] = v[i].uid;
    if (uids)
        qsort(uids, n, sizeof *uids, by_uid);
    *out_n = n;
    return uids;
}

void maas_models_sweep(maas_models *m)
{
    uint64_t now = maas_registry_generation(m->opts.registry);
    if (now == m->swept)
        return;
    const maas_snapshot *snap = maas_registry_snapshot(m->opts.registry);
    size_t n = 0;
    AUTO_FREE uint64_t *uids = snap ? live_uids(snap, &n) : NULL;
    slot *gone = NULL;
    pthread_mutex_lock(&m->lock);
    for (size_t c = 0; uids && c < m->n_chains; c++)
        for (slot **at = &m->chains[c], *s; (s = *at);) {
            if (s->state == MAAS_MODEL_LOADING || bsearch(&s->uid, uids, n, sizeof *uids, by_uid)) {
                at = &s->next;
                continue;
            }
            *at = s->next;
            s->next = gone;
            gone = s;
            m->n_slots--;
        }
    m->swept = now;
    pthread_mutex_unlock(&m->lock);
    for (slot *next; gone; gone = next) {
        next = gone->next;
        release(m, of_slot(gone));
        maas_free(gone);
    }
    maas_snapshot_unref(snap);
}

maas_model_state maas_models_state(maas_models *m, uint64_t uid, char *out_reason, size_t n)
{
    pthread_mutex_lock(&m->lock);
    const slot *s = find_slot(m, uid);
    maas_model_state state = s ? s->state : MAAS_MODEL_COLD;
    snprintf(out_reason, n, "%s",
             state == MAAS_MODEL_FAILED     ? s->why.msg
             : state == MAAS_MODEL_UNLOADED ? "unloaded"
                                            : "");
    pthread_mutex_unlock(&m->lock);
    return state;
}

void maas_models_each(maas_models *m, void (*fn)(void *user, maas_instance *i), void *user)
{
    pthread_mutex_lock(&m->lock);
    size_t n = 0;
    AUTO_FREE maas_instance **all = maas_calloc(m->n_slots, sizeof(maas_instance *));
    for (size_t c = 0; all && c < m->n_chains; c++)
        for (slot *s = m->chains[c]; s; s = s->next)
            if (s->instance)
                maas_instance_ref(all[n++] = s->instance);
    pthread_mutex_unlock(&m->lock);
    for (size_t i = 0; i < n; i++) {
        fn(user, all[i]);
        maas_instance_unref(all[i]);
    }
}

void maas_models_each_lm(maas_models *m, void (*fn)(void *user, maas_lm_service *s), void *user)
{
    pthread_mutex_lock(&m->lock);
    size_t n = 0;
    AUTO_FREE maas_lm_service **all = maas_calloc(m->n_slots, sizeof(maas_lm_service *));
    for (size_t c = 0; all && c < m->n_chains; c++)
        for (slot *s = m->chains[c]; s; s = s->next)
            if (s->lm)
                maas_lm_service_ref(all[n++] = s->lm);
    pthread_mutex_unlock(&m->lock);
    for (size_t i = 0; i < n; i++) {
        fn(user, all[i]);
        maas_lm_service_unref(all[i]);
    }
}

static void add_lm_bytes(void *user, maas_lm_service *s)
{
    *(size_t *)user += maas_lm_service_bytes(s);
}

static void add_bytes(void *user, maas_instance *i)
{
    *(size_t *)user += maas_instance_bytes(i);
}

size_t maas_models_bytes(maas_models *m)
{
    size_t bytes = 0;
    maas_models_each(m, add_bytes, &bytes);
    maas_models_each_lm(m, add_lm_bytes, &bytes);
    return bytes;
}
