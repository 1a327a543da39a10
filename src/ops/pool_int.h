/* ops/pool_int.h - what the pooling operators share. */
#ifndef MAAS_OPS_POOL_INT_H
#define MAAS_OPS_POOL_INT_H

#include "ops/ops_int.h"
#include "ops/window.h"

/* Input 0 is [N,C,d..]; the outputs have its rank, batch and channels, and the sizes of the windows
 * over it. Output k has dtype t[k]. */
maas_status maas_pool_type(const maas_infer *q, const maas_type *x, maas_dtype t, maas_type *out,
                           maas_err *err);
/* (dY, X, ...) -> dX: dY has the shape that pooling X gives. */
maas_status maas_pool_grad_infer(maas_infer *q, maas_err *err);

/* One pooling of concrete, verified shapes; planes are N * C. */
typedef struct maas_pool {
    maas_window w;
    const int64_t *wide, *narrow;
    int64_t planes, wide_n, narrow_n;
} maas_pool;
maas_status maas_pool_init(maas_pool *p, const maas_node *node, const maas_tensor *wide,
                           const maas_tensor *narrow, maas_err *err);
/* What the sum of a window is divided by: its elements, with those on pads or without. */
double maas_pool_divisor(const maas_pool *p, const int64_t *place, bool include);
int64_t maas_pool_flops(const maas_call *c); /* elements of all windows; X input 0, Y output 0 */
int64_t maas_pool_grad_flops(const maas_call *c); /* dY input 0, X input 1 */

/* ---- examples: the same windows for every kind ---- */
#define MAAS_N_POOLS 9
typedef struct maas_pool_case {
    int rank, ceil, include;
    const char *auto_pad;
    int64_t x[5], kernel[3], strides[3], dilations[3], pads[6];
} maas_pool_case;
extern const maas_pool_case maas_pool_cases[MAAS_N_POOLS];
int maas_pool_attrs(int k, maas_attr a[5]);
void maas_pool_example(maas_example *e, const char *op, const maas_attr *more, double lo, double hi,
                       uint32_t n_out);
/* dY and X of example k */
void maas_pool_grad_inputs(maas_example *e, maas_vid in[2]);

#endif
