/*
 * serve/lm_open.h - a version in the registry as a language model that answers, with what the
 * server was told about it by its name: how its cache is kept, and which model proposes to it.
 *
 * A list is "VALUE" or "MODEL=VALUE", separated by commas: what names the model goes before what
 * names none.
 *
 * Threads: any; opening is heavy: io thread.
 */
#ifndef MAAS_SERVE_LM_OPEN_H
#define MAAS_SERVE_LM_OPEN_H

#include "registry/registry.h"
#include "serve/lm_service.h"

typedef struct maas_lm_settings {
    const char *cache; /* "f16", "q8", "q8,MODEL=f16"; NULL: f16  */
    const char *draft; /* "MODEL=DRAFT,..."; NULL: nobody has one */
} maas_lm_settings;

/* Before anything is loaded: E_INVALID with what cannot be meant. */
maas_status maas_lm_settings_check(const maas_lm_settings *s, maas_err *err);
/* o: of every model; its cache, draft and draft_cache are the settings'. */
maas_status maas_lm_open(maas_registry *r, maas_tenant t, const char *name,
                         const maas_snap_version *v, const maas_lm_settings *s,
                         const maas_lm_service_opts *o, maas_lm_service **out, maas_err *err);

#endif
