/* ops/matmul.h - the matrices of a product with NumPy's rules, for every operator that multiplies
 * so: batch dimensions broadcast, a vector is one row on the left and one column on the right. */
#ifndef MAAS_OPS_MATMUL_H
#define MAAS_OPS_MATMUL_H

#include "ops/ops_int.h"

/* The type of output 0, of dtype `t`, from operands `a` and `b`. */
maas_status maas_matmul_type(maas_infer *q, const maas_type *a, const maas_type *b, maas_dtype t,
                             maas_err *err);

/* One product after another: y[m][n] at element y_at is a[m][k] at a_at times b[k][n] at b_at.
 * Matrix number `a_no` of a, `b_no` of b. */
typedef struct maas_products {
    int64_t m, k, n, a_at, b_at, y_at, a_no, b_no;
    int64_t next; /* private */
    maas_bcast batch;
} maas_products;
void maas_products_init(maas_products *p, const maas_tensor *a, const maas_tensor *b);
bool maas_products_next(maas_products *p);

#endif
