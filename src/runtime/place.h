/* runtime/place.h - lifetimes while a plan places its values; for place.c and place_vars.c. */
#ifndef MAAS_RUNTIME_PLACE_H
#define MAAS_RUNTIME_PLACE_H

#include "runtime/plan_int.h"

#define MAAS_LIFE_OUTSIDE UINT32_MAX /* not written by a step */

typedef struct maas_life {
    maas_vid root;        /* whose bytes these are; itself for a root   */
    uint32_t first, last; /* of a root: step that writes, last that reads */
} maas_life;

maas_vid maas_life_root(maas_life *l, maas_vid v);
bool maas_life_in_block(const maas_plan *p, const maas_life *l, maas_vid root);
/* May output k of a step be written over `root`, which is its input k? */
bool maas_life_may_overwrite(const maas_plan *p, maas_life *l, uint32_t step, int k, maas_vid root);
maas_status maas_place_buffer(maas_plan *p, const maas_type *t, uint32_t first, uint32_t last,
                              uint32_t *out, maas_err *err);
/* New values of variables: written in place where that is safe, else copied after the run. */
maas_status maas_place_variables(maas_plan *p, maas_life *l, maas_err *err);

#endif
