/*
 * api/explainers.h - explainers that are ready, so that a second request does not prepare them
 * again.
 *
 * A few, the least used goes first; those that were not used for a minute go too (sweep), because
 * an explainer keeps its model in memory. Owns: the explainers and a reference to each one's
 * instance. Threads: any; an explainer that was got is used on the queue of its instance, where one
 * at a time runs.
 */
#ifndef MAAS_API_EXPLAINERS_H
#define MAAS_API_EXPLAINERS_H

#include "learn/explain/explain.h"
#include "serve/instance.h"

typedef struct maas_explainers maas_explainers;
typedef struct maas_ready_explainer maas_ready_explainer; /* counted */

maas_status maas_explainers_create(maas_explainers **out, maas_err *err);
void maas_explainers_destroy(maas_explainers *e); /* NULL is fine */
/* What was kept for this instance under these options (a text); NULL: nothing. Give it back with
 * _unref. */
maas_ready_explainer *maas_explainers_find(maas_explainers *e, const maas_instance *m,
                                           const char *options);
/* Takes x over; keeps a reference to the instance. */
maas_status maas_explainers_keep(maas_explainers *e, maas_instance *m, const char *options,
                                 maas_explainer *x, maas_ready_explainer **out, maas_err *err);
maas_explainer *maas_ready_explainer_get(maas_ready_explainer *r);
void maas_ready_explainer_unref(maas_ready_explainer *r); /* NULL is fine */
void maas_explainers_sweep(maas_explainers *e);

#endif
