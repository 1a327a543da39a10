/*
 * api/keeper.h - housekeeping: a thread that wakes once a minute.
 *
 * Blobs that no row names any more are deleted after a grace period; a few of the others are read
 * and hashed each minute, so that rot is found before a client finds it. Instances of deleted
 * versions are dropped, and so are explainers nobody uses and sequences that are idle.
 */
#ifndef MAAS_API_KEEPER_H
#define MAAS_API_KEEPER_H

#include "api/explainers.h"
#include "registry/registry.h"
#include "serve/models.h"
#include "serve/sequences.h"

typedef struct maas_keeper maas_keeper;

maas_status maas_keeper_start(maas_registry *r, maas_models *m, maas_explainers *e,
                              maas_sequences *s, maas_keeper **out, maas_err *err);
void maas_keeper_stop(maas_keeper *k); /* NULL is fine */

#endif
