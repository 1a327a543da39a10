/* ops/unary_int.h - operators of one element: the loop, inference and examples they share. */
#ifndef MAAS_OPS_UNARY_INT_H
#define MAAS_OPS_UNARY_INT_H

#include "ops/ops_int.h"

/* a and b are the attributes alpha and beta (or whatever two numbers the operator has). */
typedef double (*maas_unary_real)(double x, double a, double b);
typedef int64_t (*maas_unary_int)(int64_t x, bool is_signed);

/* y[i] = real(x[i]); integers through `whole` (NULL: the operator has none). */
void maas_unary_run(const maas_call *c, maas_unary_real real, maas_unary_int whole, double a,
                    double b);
/* dx[i] = dy[i] * slope(v[i]): inputs (dY, V), for fused gradients. */
void maas_unary_grad_run(const maas_call *c, maas_unary_real slope, double a, double b);
maas_status maas_unary_grad_infer(maas_infer *q, maas_err *err);

#define MAAS_N_UNARY 8 /* shapes x {F32, F64} */
/* Variants from MAAS_N_UNARY on take the dtypes of `others`. */
void maas_unary_example(maas_example *e, const char *op, double lo, double hi,
                        const maas_dtype *others);
void maas_unary_grad_example(maas_example *e, const char *op, double lo, double hi);

extern const maas_io_schema maas_unary_float_in[1], maas_unary_float_out[1];
extern const maas_io_schema maas_unary_numeric_in[1], maas_unary_numeric_out[1];
extern const maas_io_schema maas_unary_signed_in[1], maas_unary_signed_out[1];

#endif
