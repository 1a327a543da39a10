/* registry/snapshot_int.h - what a snapshot is made of: for snapshot.c and snapshot_build.c only.
 */
#ifndef MAAS_REGISTRY_SNAPSHOT_INT_H
#define MAAS_REGISTRY_SNAPSHOT_INT_H

#include "registry/registry_int.h"

typedef struct snap_alias {
    const char *name;
    uint32_t version; /* index into versions */
} snap_alias;

typedef struct snap_model {
    maas_tenant tenant;
    const char *name;
    uint32_t first_version, n_versions; /* ascending numbers, at least one */
    uint32_t first_alias, n_aliases;
} snap_model;

typedef struct snap_key {
    maas_principal who;
    uint64_t expires_ms; /* 0: never */
    uint8_t hash[MAAS_SHA256_BYTES];
} snap_key;

typedef struct index_table { /* slots hold index + 1; 0: empty; at most half full */
    uint32_t *slots;
    uint32_t mask;
} index_table;

struct maas_snapshot {
    _Atomic uint32_t n_refs;
    uint64_t seed; /* of the tables: names are chosen by clients */
    maas_arena arena;
    snap_model *models;
    maas_snap_version *versions;
    snap_alias *aliases;
    snap_key *keys;
    uint32_t n_models, n_versions, n_aliases, n_keys;
    size_t cap_models, cap_versions, cap_aliases, cap_keys;
    index_table by_name, by_kid;
    uint8_t pepper[MAAS_PEPPER_BYTES];
};

/* Of a name inside a tenant, keyed by the snapshot's seed. */
uint64_t maas_snap_hash_name(uint64_t seed, maas_tenant t, const char *name, size_t n);
/* NULL when there is none. */
const snap_model *maas_snap_find_model(const maas_snapshot *s, maas_tenant t, const char *name,
                                       size_t n);
const maas_snap_version *maas_snap_version_of(const maas_snapshot *s, const snap_model *m,
                                              int64_t number);

#endif
