/* passes/fuse_elementwise.h - what decides groups (fuse_elementwise.c) and what writes the fused
 * nodes (fuse_emit.c) share. */
#ifndef MAAS_PASSES_FUSE_ELEMENTWISE_H
#define MAAS_PASSES_FUSE_ELEMENTWISE_H

#include "passes/pass_int.h"

/* id_of [n_nodes]: the group of each node, -1 for none; groups are 0..*out_n-1, some empty. Every
 * group can become one node without a cycle. */
maas_status maas_fuse_groups(const maas_graph *g, int64_t *id_of, int64_t *out_n, maas_err *err);

/* A constant of one element: part of the program instead of an input. */
static inline bool maas_value_is_number(const maas_graph *g, maas_vid v)
{
    return maas_value_is(g, v, MAAS_VALUE_CONST) && maas_n_elems(&maas_graph_at(g, v)->init) == 1;
}

#endif
