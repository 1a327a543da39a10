/*
 * serve/models.h - which instances are in memory, and how a request finds its own.
 *
 * Instances are keyed by the uid of a version, loaded on first use or by the repository API, and
 * replaced by nothing: a new version is a new instance, an alias only points elsewhere.
 *
 * Threads: maas_models_find from I/O threads (a short lock, no disk); load and unload on the io
 * thread. Lifetime: a found instance is referenced for the caller.
 */
#ifndef MAAS_SERVE_MODELS_H
#define MAAS_SERVE_MODELS_H

#include "registry/registry.h"
#include "serve/instance.h"
#include "serve/lm_open.h"
#include "serve/lm_service.h"

typedef struct maas_models maas_models;

typedef enum maas_model_state {
    MAAS_MODEL_READY,
    MAAS_MODEL_LOADING,
    MAAS_MODEL_UNLOADED, /* by the repository API: not loaded again by a request */
    MAAS_MODEL_FAILED,   /* the reason is kept */
    MAAS_MODEL_COLD      /* never asked for yet */
} maas_model_state;

typedef struct maas_models_opts {
    maas_registry *registry;
    maas_instance_opts instance;
    maas_lm_service_opts lm;      /* lanes: our own */
    maas_lm_settings lm_settings; /* checked; texts borrowed */
    int n_lanes, threads_per_lane;
} maas_models_opts;

maas_status maas_models_create(const maas_models_opts *o, maas_models **out, maas_err *err);
void maas_models_destroy(maas_models *m);
maas_lanes *maas_models_lanes(maas_models *m);

typedef struct maas_loaded { /* a version in memory: one of the two */
    maas_instance *instance;
    maas_lm_service *lm;
} maas_loaded;
void maas_loaded_unref(maas_loaded x);

/*
 * The instance for (model, version text or NULL). MAAS_OK: *out is referenced. E_UNAVAILABLE with
 * *out_must_load: the caller hands the request to the io thread, which calls maas_models_load.
 */
maas_status maas_models_find(maas_models *m, maas_tenant t, const char *model, const char *version,
                             maas_instance **out, bool *out_must_load, maas_err *err);
/* io thread. Loads (or finds) it; `explicit_` clears an unload. */
maas_status maas_models_load(maas_models *m, maas_tenant t, const char *model, const char *version,
                             bool explicit_, maas_instance **out, maas_err *err);
/* The same two for a model of either kind. */
maas_status maas_models_find_any(maas_models *m, maas_tenant t, const char *model,
                                 const char *version, maas_loaded *out, bool *out_must_load,
                                 maas_err *err);
maas_status maas_models_load_any(maas_models *m, maas_tenant t, const char *model,
                                 const char *version, maas_loaded *out, maas_err *err);
/* io thread. A language model; E_INVALID for any other, and the other way round above. */
maas_status maas_models_load_lm(maas_models *m, maas_tenant t, const char *model,
                                maas_lm_service **out, maas_err *err);
/* io thread. Loads it, whatever it is; clears an unload. */
maas_status maas_models_warm(maas_models *m, maas_tenant t, const char *model, maas_err *err);
void maas_models_each_lm(maas_models *m, void (*fn)(void *user, maas_lm_service *s), void *user);
/* All versions of the model that are in memory; requests under way keep theirs until they end. */
maas_status maas_models_unload(maas_models *m, maas_tenant t, const char *model, maas_err *err);
/* Drops instances whose versions are gone from the registry. Cheap when nothing changed. */
void maas_models_sweep(maas_models *m);
maas_model_state maas_models_state(maas_models *m, uint64_t uid, char *out_reason, size_t n);
/* Calls fn for each loaded instance (referenced during the call). */
void maas_models_each(maas_models *m, void (*fn)(void *user, maas_instance *i), void *user);
size_t maas_models_bytes(maas_models *m);

#endif
