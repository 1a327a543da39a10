/*
 * kernels/shared_packs.h - what is worked out from constants once and read by every plan that has
 * the same constants: a list of packs with counted references.
 *
 * A kind of pack has one list, static in the file that makes it.
 *
 * Owns: the packs that its `create` made, until the last release. Threads: any; one lock for each
 * list, a leaf, held while a pack is made, so that nobody makes it twice. Fails: E_NOMEM, and as
 * `create` does.
 */
#ifndef MAAS_KERNELS_SHARED_PACKS_H
#define MAAS_KERNELS_SHARED_PACKS_H

#include <pthread.h>
#include <stdbool.h>

#include "base/status.h"

struct maas_shared_pack; /* of shared_packs.c */

typedef struct maas_shared_packs {
    bool (*is_of)(const void *pack, const void *key);
    maas_status (*create)(const void *key, void **pack, maas_err *err);
    void (*destroy)(void *pack);
    pthread_mutex_t lock; /* PTHREAD_MUTEX_INITIALIZER */
    struct maas_shared_pack *all;
} maas_shared_packs;

/* The pack of `key`, made if there is none; counted. */
maas_status maas_shared_packs_acquire(maas_shared_packs *s, const void *key, void **pack,
                                      maas_err *err);
void maas_shared_packs_release(maas_shared_packs *s, const void *pack); /* NULL is fine */

#endif
