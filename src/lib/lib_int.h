/* lib/lib_int.h - what the handles of the public header are made of. */
#ifndef MAAS_LIB_LIB_INT_H
#define MAAS_LIB_LIB_INT_H

#include "base/sys.h"
#include "graph/graph.h"
#include "runtime/plan.h"

struct maas_model {
    _Atomic uint32_t refs; /* the handle, and each session: so they may be freed in any order */

    /* written by load, then read-only */
    maas_map file; /* constants of the graph point into it, and into these: */
    struct maas_lib_file *files;
    maas_graph *graph;
    maas_io *inputs, *outputs;
    int n_threads;
    maas_budget budget; /* any thread */
};

void maas_model_ref(maas_model *m);

/* external.c: for maas_onnx_opts.external; user: a maas_lib_beside. */
typedef struct maas_lib_beside {
    maas_model *model;
    const char *path; /* of its file */
} maas_lib_beside;
maas_status maas_lib_external(void *user, const char *location, maas_span *out, maas_err *err);
void maas_lib_files_free(maas_model *m);

#endif
