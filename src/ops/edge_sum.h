/* ops/edge_sum.h - inputs of EdgeSum, and its edges one by one. */
#ifndef MAAS_OPS_EDGE_SUM_H
#define MAAS_OPS_EDGE_SUM_H

#include "graph/op.h"

enum { MAAS_EDGE_X, MAAS_EDGE_FROM, MAAS_EDGE_TO, MAAS_EDGE_WEIGHT, MAAS_EDGE_N_IN };

/* Edge k, rows from 0; E_INVALID when a row that it names is not there. */
maas_status maas_edge_of(const maas_call *c, int64_t k, int64_t *from, int64_t *to, maas_err *err);

#endif
