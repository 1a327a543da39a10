/* kernels/cpu/row_fn.h - an operator over one row: what elementwise.c has and fused.c strings
 * together. */
#ifndef MAAS_KERNELS_CPU_ROW_FN_H
#define MAAS_KERNELS_CPU_ROW_FN_H

#include "kernels/cpu/isa.h"
#include "kernels/row_ops.h"

/* y[i] = f(a[i or 0], b[i or 0]); a_step and b_step are 0 or 1. y may be a or b. */
typedef void row_fn(real *y, const real *a, int a_step, const real *b, int b_step, int64_t n);
row_fn *ISA(maas_row_fn_of)(const maas_op *op); /* NULL: none */
row_fn *ISA(maas_row_cast_of)(maas_dtype from); /* of those that maas_row_cast says */

#endif
