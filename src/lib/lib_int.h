/* lib/lib_int.h - what the handles of the public header are made of. */
#ifndef MAAS_LIB_LIB_INT_H
#define MAAS_LIB_LIB_INT_H

#include "base/sys.h"
#include "graph/graph.h"
#include "runtime/plan.h"

struct maas_model {
    _Atomic uint32_t refs; /* the handle, and each session: so they may be freed in any order */

    /* written by load, then read-only */
    maas_map file; /* constants of the graph point into it */
    maas_graph *graph;
    maas_io *inputs, *outputs;
    int n_threads;
    maas_budget budget; /* any thread */
};

void maas_model_ref(maas_model *m);

#endif
