/* Building a snapshot from the tables, inside the transaction that changes them. */
#include "registry/snapshot_int.h"

#include <string.h>

#include "base/ban.h"

/* ---- tables ---- */

static bool table_init(index_table *t, uint32_t n_items)
{
    uint32_t n_slots = 8;
    while (n_slots / 2 < n_items)
        n_slots *= 2;
    t->slots = maas_calloc(n_slots, sizeof *t->slots);
    t->mask = n_slots - 1;
    return t->slots;
}

static void table_add(index_table *t, uint64_t hash, uint32_t index)
{
    uint32_t at = (uint32_t)hash & t->mask;
    while (t->slots[at])
        at = (at + 1) & t->mask;
    t->slots[at] = index + 1;
}

/* ---- rows ---- */

typedef maas_status (*row_fn)(maas_registry *r, sqlite3_stmt *q, maas_snapshot *s, maas_err *err);

/* The model that the row belongs to; rows are sorted, so it is the last one or a new one. */
static snap_model *model_of_row(maas_snapshot *s, maas_tenant t, const char *name)
{
    snap_model *last = s->n_models ? &s->models[s->n_models - 1] : NULL;
    if (last && last->tenant == t && strcmp(last->name, name) == 0)
        return last;
    if (!maas_grow(&s->models, &s->cap_models, s->n_models + 1u, sizeof *s->models))
        return NULL;
    snap_model m = {
        .tenant = t,
        .name = maas_arena_strdup(&s->arena, name),
        .first_version = s->n_versions,
    };
    if (!m.name)
        return NULL;
    s->models[s->n_models] = m;
    return &s->models[s->n_models++];
}

/* Nearly all versions have the same few formats. */
static const char *intern_format(maas_snapshot *s, const char *format)
{
    if (s->n_versions && strcmp(s->versions[s->n_versions - 1].format, format) == 0)
        return s->versions[s->n_versions - 1].format;
    return maas_arena_strdup(&s->arena, format);
}

static maas_status add_version(maas_registry *r, sqlite3_stmt *q, maas_snapshot *s, maas_err *err)
{
    const char *name, *hex, *format;
    MAAS_TRY(maas_sql_text(r, q, 1, &name, err));
    MAAS_TRY(maas_sql_text(r, q, 4, &hex, err));
    MAAS_TRY(maas_sql_text(r, q, 5, &format, err));
    snap_model *m = model_of_row(s, (maas_tenant)sqlite3_column_int64(q, 0), name);
    if (!m || !maas_grow(&s->versions, &s->cap_versions, s->n_versions + 1u, sizeof *s->versions))
        return maas_no_memory(err);
    maas_snap_version v = {
        .version = sqlite3_column_int64(q, 2),
        .uid = (uint64_t)sqlite3_column_int64(q, 3),
        .artifact_hex = maas_arena_strdup(&s->arena, hex),
        .format = intern_format(s, format),
    };
    if (!v.artifact_hex || !v.format)
        return maas_no_memory(err);
    s->versions[s->n_versions++] = v;
    m->n_versions++;
    return MAAS_OK;
}

static maas_status add_alias(maas_registry *r, sqlite3_stmt *q, maas_snapshot *s, maas_err *err)
{
    const char *model, *alias;
    MAAS_TRY(maas_sql_text(r, q, 1, &model, err));
    MAAS_TRY(maas_sql_text(r, q, 2, &alias, err));
    snap_model *m = (snap_model *)(uintptr_t)maas_snap_find_model(
        s, (maas_tenant)sqlite3_column_int64(q, 0), model, strlen(model));
    const maas_snap_version *v = m ? maas_snap_version_of(s, m, sqlite3_column_int64(q, 3)) : NULL;
    MAAS_CHECK(v); /* a foreign key */
    if (!maas_grow(&s->aliases, &s->cap_aliases, s->n_aliases + 1u, sizeof *s->aliases))
        return maas_no_memory(err);
    const char *name = maas_arena_strdup(&s->arena, alias);
    if (!name)
        return maas_no_memory(err);
    if (!m->n_aliases++)
        m->first_alias = s->n_aliases;
    s->aliases[s->n_aliases++] = (snap_alias){name, (uint32_t)(v - s->versions)};
    return MAAS_OK;
}

static maas_status add_key(maas_registry *r, sqlite3_stmt *q, maas_snapshot *s, maas_err *err)
{
    const char *kid, *models;
    MAAS_TRY(maas_sql_text(r, q, 1, &kid, err));
    MAAS_TRY(maas_sql_text(r, q, 4, &models, err));
    if (!maas_grow(&s->keys, &s->cap_keys, s->n_keys + 1u, sizeof *s->keys))
        return maas_no_memory(err);
    snap_key *k = &s->keys[s->n_keys];
    *k = (snap_key){
        .who = {.tenant = (maas_tenant)sqlite3_column_int64(q, 0),
                .scopes = (uint32_t)sqlite3_column_int64(q, 3)},
        .expires_ms = (uint64_t)sqlite3_column_int64(q, 5),
    };
    const void *hash = sqlite3_column_blob(q, 2);
    if (!hash)
        return maas_no_memory(err);
    if (sqlite3_column_bytes(q, 2) != (int)sizeof k->hash || strlen(kid) != MAAS_KID_LEN)
        return maas_fail(err, MAAS_E_IO, "the registry is damaged; restore it from a backup");
    memcpy(k->hash, hash, sizeof k->hash);
    snprintf(k->who.kid, sizeof k->who.kid, "%s", kid);
    snprintf(k->who.models, sizeof k->who.models, "%s", models);
    s->n_keys++;
    return MAAS_OK;
}

static maas_status each_row(maas_registry *r, maas_sql_id id, row_fn fn, maas_snapshot *s,
                            maas_err *err)
{
    AUTO(maas_sql_end) sqlite3_stmt *q = NULL;
    bool row;
    MAAS_TRY(maas_sql_query_all(r, id, NULL, 0, &q, err));
    for (;;) {
        MAAS_TRY(maas_sql_step(r, q, &row, err));
        if (!row)
            return MAAS_OK;
        MAAS_TRY(fn(r, q, s, err));
    }
}

static maas_status index_models(maas_snapshot *s, maas_err *err)
{
    if (!table_init(&s->by_name, s->n_models))
        return maas_no_memory(err);
    for (uint32_t i = 0; i < s->n_models; i++) {
        const snap_model *m = &s->models[i];
        table_add(&s->by_name, maas_snap_hash_name(s->seed, m->tenant, m->name, strlen(m->name)),
                  i);
    }
    return MAAS_OK;
}

static maas_status index_keys(maas_snapshot *s, maas_err *err)
{
    if (!table_init(&s->by_kid, s->n_keys))
        return maas_no_memory(err);
    for (uint32_t i = 0; i < s->n_keys; i++)
        table_add(&s->by_kid, maas_snap_hash_name(s->seed, 0, s->keys[i].who.kid, MAAS_KID_LEN), i);
    return MAAS_OK;
}

static void auto_unref(maas_snapshot **s)
{
    maas_snapshot_unref(*s);
}

maas_status maas_snapshot_build(maas_registry *r, maas_snapshot **out, maas_err *err)
{
    AUTO(auto_unref) maas_snapshot *s = maas_calloc(1, sizeof *s);
    if (!s)
        return maas_no_memory(err);
    atomic_init(&s->n_refs, 1);
    maas_arena_init(&s->arena, NULL);
    maas_random_bytes(&s->seed, sizeof s->seed);
    memcpy(s->pepper, r->pepper, sizeof s->pepper);
    MAAS_TRY(each_row(r, MAAS_SQL_ALL_VERSIONS, add_version, s, err));
    MAAS_TRY(index_models(s, err));
    MAAS_TRY(each_row(r, MAAS_SQL_ALL_ALIASES, add_alias, s, err));
    MAAS_TRY(each_row(r, MAAS_SQL_ALL_KEYS, add_key, s, err));
    MAAS_TRY(index_keys(s, err));
    *out = STEAL(s);
    return MAAS_OK;
}
