/*
 * The snapshot: all models, aliases and keys as plain arrays that never change. Built by whoever
 * commits (snapshot_build.c), swapped under a lock that covers two loads, freed by its last reader.
 *
 * Rows are sorted by tenant, name, version, so models of a tenant and versions of a model are
 * ranges. Names and key ids are found through open-addressing tables of indices.
 */
#include "registry/snapshot_int.h"

#include <openssl/crypto.h>
#include <string.h>

#include "base/num.h"
#include "base/ban.h"

/* ---- life ---- */

static void destroy(maas_snapshot *s)
{
    maas_free(s->models);
    maas_free(s->versions);
    maas_free(s->aliases);
    maas_free(s->keys);
    maas_free(s->by_name.slots);
    maas_free(s->by_kid.slots);
    maas_arena_reset(&s->arena);
    OPENSSL_cleanse(s->pepper, sizeof s->pepper);
    maas_free(s);
}

void maas_snapshot_unref(const maas_snapshot *snap)
{
    maas_snapshot *s = (maas_snapshot *)(uintptr_t)snap; /* const for readers, not for the count */
    if (s && atomic_fetch_sub_explicit(&s->n_refs, 1, memory_order_acq_rel) == 1)
        destroy(s);
}

const maas_snapshot *maas_registry_snapshot(maas_registry *r)
{
    pthread_mutex_lock(&r->snap_lock);
    maas_snapshot *s = (maas_snapshot *)(uintptr_t)r->snap;
    atomic_fetch_add_explicit(&s->n_refs, 1, memory_order_relaxed);
    pthread_mutex_unlock(&r->snap_lock);
    return s;
}

void maas_registry_publish(maas_registry *r, maas_snapshot *s)
{
    pthread_mutex_lock(&r->snap_lock);
    const maas_snapshot *old = r->snap;
    r->snap = s;
    atomic_fetch_add_explicit(&r->generation, 1, memory_order_release);
    pthread_mutex_unlock(&r->snap_lock);
    maas_snapshot_unref(old);
}

uint64_t maas_registry_generation(const maas_registry *r)
{
    return atomic_load_explicit(&((maas_registry *)(uintptr_t)r)->generation, memory_order_acquire);
}

/* ---- finding ---- */

/* FNV-1a from a secret start, then mixed so that the low bits depend on all (splitmix64). */
uint64_t maas_snap_hash_name(uint64_t seed, maas_tenant t, const char *name, size_t n)
{
    uint64_t h = seed ^ (t * 0x9e3779b97f4a7c15u);
    for (size_t i = 0; i < n; i++)
        h = (h ^ (uint8_t)name[i]) * 0x100000001b3u;
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
    return h ^ (h >> 31);
}

const snap_model *maas_snap_find_model(const maas_snapshot *s, maas_tenant t, const char *name,
                                       size_t n)
{
    uint32_t at = (uint32_t)maas_snap_hash_name(s->seed, t, name, n) & s->by_name.mask;
    for (; s->by_name.slots[at]; at = (at + 1) & s->by_name.mask) {
        const snap_model *m = &s->models[s->by_name.slots[at] - 1];
        if (m->tenant == t && strncmp(m->name, name, n) == 0 && m->name[n] == '\0')
            return m;
    }
    return NULL;
}

static const snap_key *find_key(const maas_snapshot *s, const char *kid)
{
    uint32_t at = (uint32_t)maas_snap_hash_name(s->seed, 0, kid, MAAS_KID_LEN) & s->by_kid.mask;
    for (; s->by_kid.slots[at]; at = (at + 1) & s->by_kid.mask) {
        const snap_key *k = &s->keys[s->by_kid.slots[at] - 1];
        if (memcmp(k->who.kid, kid, MAAS_KID_LEN) == 0)
            return k;
    }
    return NULL;
}

const maas_snap_version *maas_snap_version_of(const maas_snapshot *s, const snap_model *m,
                                              int64_t number)
{
    const maas_snap_version *first = s->versions + m->first_version;
    uint32_t low = 0, high = m->n_versions;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (first[mid].version < number)
            low = mid + 1;
        else
            high = mid;
    }
    return low < m->n_versions && first[low].version == number ? &first[low] : NULL;
}

/* ---- reading ---- */

static const maas_snap_version *by_alias(const maas_snapshot *s, const snap_model *m,
                                         const char *alias)
{
    for (uint32_t i = 0; i < m->n_aliases; i++)
        if (strcmp(s->aliases[m->first_alias + i].name, alias) == 0)
            return &s->versions[s->aliases[m->first_alias + i].version];
    return NULL;
}

static const maas_snap_version *default_version(const maas_snapshot *s, const snap_model *m)
{
    const maas_snap_version *v = by_alias(s, m, "production");
    return v ? v : &s->versions[m->first_version + m->n_versions - 1];
}

/* "3" is a number, anything else an alias. */
static maas_status pick(const maas_snapshot *s, const snap_model *m, const char *text,
                        const maas_snap_version **out, maas_err *err)
{
    int64_t number;
    bool is_number = text[strspn(text, "0123456789")] == '\0' && maas_parse_i64(text, &number);
    *out = is_number ? maas_snap_version_of(s, m, number) : by_alias(s, m, text);
    if (*out)
        return MAAS_OK;
    return maas_fail(err, MAAS_E_NOT_FOUND, "model '%s' has no %s '%.128s'", m->name,
                     is_number ? "version" : "alias", text);
}

maas_status maas_snapshot_resolve(const maas_snapshot *s, maas_tenant t, const char *model,
                                  const char *version, const char **out_name,
                                  const maas_snap_version **out, maas_err *err)
{
    size_t n = strcspn(model, ":@");
    const char *inner = model[n] ? model + n + 1 : NULL;
    const maas_snap_version *found;
    if (version && !*version)
        version = NULL;
    if (inner && (!*inner || (version && strcmp(version, inner) != 0)))
        return maas_fail(err, MAAS_E_INVALID,
                         "model '%.128s': say its version once, as name:3, name@alias or apart",
                         model);
    const snap_model *m = maas_snap_find_model(s, t, model, n);
    if (!m)
        return maas_fail(err, MAAS_E_NOT_FOUND, "model '%.*s' does not exist",
                         n < 128 ? (int)n : 128, model);
    if (model[n] == ':' && inner[strspn(inner, "0123456789")])
        return maas_fail(err, MAAS_E_INVALID, "model '%.128s': a version after ':' is a number",
                         model);
    if (inner || version)
        MAAS_TRY(pick(s, m, inner ? inner : version, &found, err));
    else
        found = default_version(s, m);
    *out = found;
    if (out_name)
        *out_name = m->name;
    return MAAS_OK;
}

/* First model whose tenant is at least t. */
static uint32_t lower_bound(const maas_snapshot *s, maas_tenant t)
{
    uint32_t low = 0, high = s->n_models;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (s->models[mid].tenant < t)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

uint32_t maas_snapshot_n_models(const maas_snapshot *s, maas_tenant t)
{
    return lower_bound(s, t + 1) - lower_bound(s, t);
}

const char *maas_snapshot_model(const maas_snapshot *s, maas_tenant t, uint32_t i,
                                const maas_snap_version **out_versions, uint32_t *out_n)
{
    MAAS_CHECK(i < maas_snapshot_n_models(s, t));
    const snap_model *m = &s->models[lower_bound(s, t) + i];
    *out_versions = &s->versions[m->first_version];
    *out_n = m->n_versions;
    return m->name;
}

const maas_snap_version *maas_snapshot_versions(const maas_snapshot *s, maas_tenant t,
                                                const char *model, uint32_t *out_n)
{
    const snap_model *m = maas_snap_find_model(s, t, model, strlen(model));
    *out_n = m ? m->n_versions : 0;
    return m ? &s->versions[m->first_version] : NULL;
}

const maas_snap_version *maas_snapshot_all_versions(const maas_snapshot *s, uint32_t *out_n)
{
    *out_n = s->n_versions;
    return s->versions;
}

bool maas_snapshot_has_keys(const maas_snapshot *s)
{
    return s->n_keys > 0;
}

maas_status maas_snapshot_authenticate(const maas_snapshot *s, const char *key, maas_principal *out,
                                       maas_err *err)
{
    static const snap_key nobody; /* compared with when the id is unknown: same work, never equal */
    maas_key_text text;
    uint8_t hash[MAAS_SHA256_BYTES];
    if (maas_key_parse(key, &text)) {
        const snap_key *found = find_key(s, text.kid);
        const snap_key *k = found ? found : &nobody;
        if (!maas_key_hash(s->pepper, text.secret, hash))
            return maas_no_memory(err);
        bool same = CRYPTO_memcmp(hash, k->hash, sizeof hash) == 0;
        if (same && found && (!k->expires_ms || k->expires_ms > maas_wall_ms())) {
            *out = k->who;
            return MAAS_OK;
        }
    }
    return maas_fail(err, MAAS_E_UNAUTHENTICATED, "a valid API key is required");
}
