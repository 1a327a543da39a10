/*
 * Operators that move elements rather than compute: Gather of whole rows, Slice along one axis and
 * transposes of matrices. Memory sets their speed, so one build serves every instruction set.
 */
#include "kernels/kernel.h"

#include <string.h>

#include "base/ban.h"

extern const maas_op maas_op_Cast, maas_op_Gather, maas_op_Slice, maas_op_Transpose;

/* ---- Gather along axis 0 ---- */

static bool gather_fits(const maas_call *c, const maas_cpu *cpu)
{
    return c->in[0].rank > 0 && maas_attr_i(c->node, "axis", 0) == 0;
}

static maas_status gather_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *at = &c->in[1];
    const int64_t n = maas_n_elems(at), rows = x->dims[0];
    const size_t bytes = (size_t)maas_dims_product(x->dims, 1, x->rank) *
                         maas_dtype_size((maas_dtype)x->dtype);
    int64_t from, to;
    maas_share(n, 8, ithr, nthr, &from, &to);
    for (int64_t i = from; i < to; i++) {
        int64_t k = maas_tensor_get_i64(at, i);
        if (k < -rows || k >= rows)
            return maas_fail(err, MAAS_E_INVALID, "index %lld is outside of %lld rows",
                             (long long)k, (long long)rows);
        k += k < 0 ? rows : 0;
        memcpy((char *)c->out[0].data + (size_t)i * bytes,
               (const char *)x->data + (size_t)k * bytes, bytes);
    }
    return MAAS_OK;
}

/* ---- Transpose of the last two dimensions: a stack of matrices ---- */

#define BLOCK 16 /* f32: a block of either side is 16 cache lines */

static bool transpose_fits(const maas_call *c, const maas_cpu *cpu)
{
    uint32_t n;
    const int rank = c->in[0].rank;
    const int64_t *perm = maas_attr_ints(c->node, "perm", &n);
    if (rank < 2 || c->in[0].dtype != MAAS_F32 || (!perm && rank != 2))
        return false;
    for (int i = 0; perm && i < rank; i++)
        if (perm[i] != (i < rank - 2 ? i : 2 * rank - 3 - i))
            return false;
    return true;
}

/* Columns [from, to) of x become rows of y. */
static void transpose_part(float *y, const float *x, int64_t rows, int64_t cols, int64_t from,
                           int64_t to)
{
    for (int64_t i0 = 0; i0 < rows; i0 += BLOCK)
        for (int64_t j0 = from; j0 < to; j0 += BLOCK) {
            const int64_t i1 = i0 + BLOCK < rows ? i0 + BLOCK : rows;
            const int64_t j1 = j0 + BLOCK < to ? j0 + BLOCK : to;
            for (int64_t j = j0; j < j1; j++)
                for (int64_t i = i0; i < i1; i++)
                    y[j * rows + i] = x[i * cols + j];
        }
}

static maas_status transpose_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    const int64_t rows = x->dims[x->rank - 2], cols = x->dims[x->rank - 1];
    const int64_t n = maas_dims_product(x->dims, 0, x->rank - 2);
    int64_t from, to;
    maas_share(cols, BLOCK, ithr, nthr, &from, &to);
    for (int64_t i = 0; i < n; i++)
        transpose_part((float *)c->out[0].data + i * rows * cols,
                       (const float *)x->data + i * rows * cols, rows, cols, from, to);
    return MAAS_OK;
}

/* ---- Cast between floats and doubles ---- */

static bool cast_fits(const maas_call *c, const maas_cpu *cpu)
{
    const int from = c->in[0].dtype, to = c->out[0].dtype;
    return (from == MAAS_F32 && to == MAAS_F64) || (from == MAAS_F64 && to == MAAS_F32);
}

static maas_status cast_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const float *f = c->in[0].data;
    const double *d = c->in[0].data;
    int64_t from, to;
    maas_share(maas_n_elems(&c->in[0]), 64, ithr, nthr, &from, &to);
    if (c->in[0].dtype == MAAS_F32)
        for (int64_t i = from; i < to; i++)
            ((double *)c->out[0].data)[i] = (double)f[i];
    else
        for (int64_t i = from; i < to; i++)
            ((float *)c->out[0].data)[i] = (float)d[i];
    return MAAS_OK;
}

/* ---- Slice along one axis, with step 1 ---- */

static const maas_tensor *given(const maas_call *c, int i)
{
    return i < c->n_in && c->in[i].dtype != MAAS_DT_NONE ? &c->in[i] : NULL;
}

/* The one number of an input; false when it is not constant or not one. */
static bool one_number(const maas_tensor *t, int64_t otherwise, int64_t *out)
{
    *out = otherwise;
    if (!t)
        return true;
    if (!t->data || maas_n_elems(t) != 1)
        return false;
    *out = maas_tensor_get_i64(t, 0);
    return true;
}

static bool slice_axis(const maas_call *c, int64_t *axis, int64_t *from)
{
    int64_t step;
    if (c->in[0].rank < 1 || !one_number(&c->in[1], 0, from) || !one_number(given(c, 3), 0, axis) ||
        !one_number(given(c, 4), 1, &step) || step != 1)
        return false;
    *axis += *axis < 0 ? c->in[0].rank : 0;
    const int64_t n = c->in[0].dims[*axis];
    *from += *from < 0 ? n : 0;
    *from = *from < 0 ? 0 : *from > n ? n : *from;
    return true;
}

static bool slice_fits(const maas_call *c, const maas_cpu *cpu)
{
    int64_t axis, from, end;
    return slice_axis(c, &axis, &from) && one_number(&c->in[2], 0, &end);
}

static maas_status slice_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *y = &c->out[0];
    int64_t axis = 0, start = 0, from, to;
    slice_axis(c, &axis, &start);
    const size_t inner = (size_t)maas_dims_product(x->dims, (int)axis + 1, x->rank) *
                         maas_dtype_size((maas_dtype)x->dtype);
    const size_t whole = (size_t)x->dims[axis] * inner, part = (size_t)y->dims[axis] * inner;
    maas_share(maas_dims_product(x->dims, 0, (int)axis), 8, ithr, nthr, &from, &to);
    for (int64_t i = from; i < to && part; i++)
        memcpy((char *)y->data + (size_t)i * part,
               (const char *)x->data + (size_t)i * whole + (size_t)start * inner, part);
    return MAAS_OK;
}

const maas_kernel maas_kernels_move[] = {
    {.op = &maas_op_Slice, .name = "Slice.rows", .fits = slice_fits, .run = slice_run},
    {.op = &maas_op_Cast, .name = "Cast.floats", .fits = cast_fits, .run = cast_run},
    {.op = &maas_op_Gather, .name = "Gather.rows", .fits = gather_fits, .run = gather_run},
    {.op = &maas_op_Transpose,
     .name = "Transpose.blocks",
     .fits = transpose_fits,
     .run = transpose_run},
    {0}};
