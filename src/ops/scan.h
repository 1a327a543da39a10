/* ops/scan.h - what Scan and the form it had in opset 8 share; only for the files of this room. */
#ifndef MAAS_OPS_SCAN_H
#define MAAS_OPS_SCAN_H

#include "ops/loop.h"

/* One pass over slices of the scan inputs. Tensors are views: of a batch, in the old form. */
typedef struct maas_scan {
    int n_state, n_scan;
    const maas_tensor *state, *scan; /* [n_state], [n_scan] */
    const int64_t *axes;             /* [n_scan], none negative */
    const int64_t *backwards;        /* [n_scan] */
    int64_t n;                       /* slices to take */
} maas_scan;

/* The slices, one round each. r was initialised; final states are in r->in. */
maas_status maas_scan_run(maas_rounds *r, const maas_scan *s, maas_err *err);
/* An attribute that is a list of one number for each of n; zeros when it is absent. */
maas_status maas_scan_list(const maas_node *node, const char *attr, int n, int64_t *out,
                           maas_err *err);
/* The body of examples: a running sum, and twice it. */
maas_graph *maas_scan_sum(maas_example *e, maas_dtype t);
maas_status maas_scan_counts(const maas_node *n, int n_in, int *out_state, int *out_scan,
                             maas_err *err);

#endif
