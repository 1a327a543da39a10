/*
 * Operators that move elements rather than compute: Gather of rows, Cast between floats. Memory
 * sets their speed, so one build serves every instruction set; views.c has those without indices.
 */
#include "kernels/kernel.h"

#include <string.h>

#include "base/ban.h"

extern const maas_op maas_op_Cast, maas_op_Gather, maas_op_GatherElements;

/* ---- Gather: rows of what is behind the axis ---- */

static bool gather_fits(const maas_call *c, const maas_cpu *cpu)
{
    return c->in[0].rank > 0;
}

typedef struct gather {
    int64_t rows; /* of the axis */
    size_t bytes; /* of a row    */
} gather;

/* Rows [from, to) of one place before the axis: y and x begin there. */
static maas_status gather_part(const gather *g, char *y, const char *x, const maas_tensor *at,
                               int64_t from, int64_t to, maas_err *err)
{
    for (int64_t i = from; i < to; i++) {
        int64_t k = maas_tensor_get_i64(at, i);
        if (k < -g->rows || k >= g->rows)
            return maas_fail(err, MAAS_E_INVALID, "index %lld is outside of %lld rows",
                             (long long)k, (long long)g->rows);
        k += k < 0 ? g->rows : 0;
        if (g->bytes == 4) /* single elements: a call for each would cost more than the move */
            memcpy(y + i * 4, x + k * 4, 4);
        else
            memcpy(y + (size_t)i * g->bytes, x + (size_t)k * g->bytes, g->bytes);
    }
    return MAAS_OK;
}

static maas_status gather_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *at = &c->in[1];
    const int64_t n = maas_n_elems(at);
    int64_t axis = maas_attr_i(c->node, "axis", 0), from, to;
    axis += axis < 0 ? x->rank : 0;
    const gather g = {x->dims[axis], (size_t)maas_dims_product(x->dims, (int)axis + 1, x->rank) *
                                         maas_dtype_size((maas_dtype)x->dtype)};
    const int64_t outer = maas_dims_product(x->dims, 0, (int)axis);
    maas_share(outer * n, 8, ithr, nthr, &from, &to);
    while (from < to) {
        const int64_t o = from / n, first = from % n;
        const int64_t end = n - first < to - from ? n : first + to - from;
        MAAS_TRY(gather_part(&g, (char *)c->out[0].data + (size_t)(o * n) * g.bytes,
                             (const char *)x->data + (size_t)(o * g.rows) * g.bytes, at, first, end,
                             err));
        from += end - first;
    }
    return MAAS_OK;
}

/* ---- GatherElements: rows of the last axis, each element by an index of its own ---- */

static bool elements_fit(const maas_call *c, const maas_cpu *cpu)
{
    return c->in[0].rank > 0;
}

/* Steps in x, in elements, for each axis of the indices and for what an index says. */
typedef struct picker {
    int axis, last;
    int64_t n, stride[MAAS_MAX_RANK];
    size_t elem;
} picker;

static picker picker_of(const maas_call *c)
{
    const maas_tensor *x = &c->in[0];
    const int64_t axis = maas_attr_i(c->node, "axis", 0);
    picker p = {.axis = (int)(axis < 0 ? axis + x->rank : axis), .last = x->rank - 1};
    for (int i = 0; i < x->rank; i++)
        p.stride[i] = maas_dims_product(x->dims, i + 1, x->rank);
    p.n = x->dims[p.axis];
    p.elem = maas_dtype_size((maas_dtype)x->dtype);
    return p;
}

/* Where row `row` of the indices begins in x, the axis left out. */
static int64_t picked_row(const picker *p, const maas_tensor *at, int64_t row)
{
    int64_t base = 0;
    for (int i = p->last - 1; i >= 0; i--) {
        base += i == p->axis ? 0 : row % at->dims[i] * p->stride[i];
        row /= at->dims[i];
    }
    return base;
}

static maas_status elements_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const maas_tensor *at = &c->in[1];
    const picker p = picker_of(c);
    const int64_t size = at->dims[p.last], step = p.axis == p.last ? 0 : 1;
    int64_t from, to;
    maas_share(maas_dims_product(at->dims, 0, p.last), 4, ithr, nthr, &from, &to);
    for (int64_t row = from; row < to; row++) {
        const char *x = (const char *)c->in[0].data + (size_t)picked_row(&p, at, row) * p.elem;
        char *y = (char *)c->out[0].data + (size_t)(row * size) * p.elem;
        for (int64_t i = 0; i < size; i++) {
            int64_t k = at->dtype == MAAS_I64 ? ((const int64_t *)at->data)[row * size + i]
                                              : ((const int32_t *)at->data)[row * size + i];
            if (k < -p.n || k >= p.n)
                return maas_fail(err, MAAS_E_INVALID, "index %lld is outside of %lld rows",
                                 (long long)k, (long long)p.n);
            k += k < 0 ? p.n : 0;
            const char *v = x + (size_t)(k * p.stride[p.axis] + i * step) * p.elem;
            if (p.elem == 4)
                memcpy(y + i * 4, v, 4);
            else
                memcpy(y + (size_t)i * p.elem, v, p.elem);
        }
    }
    return MAAS_OK;
}

/* ---- Cast between floats and doubles, or bfloat16 ---- */

static bool cast_fits(const maas_call *c, const maas_cpu *cpu)
{
    const int from = c->in[0].dtype, to = c->out[0].dtype;
    return (from == MAAS_F32 && (to == MAAS_F64 || to == MAAS_BF16)) ||
           ((from == MAAS_F64 || from == MAAS_BF16) && to == MAAS_F32);
}

/* To the nearest, to even; without a branch, for vectors. NaN stays NaN. */
static void to_bf16(uint16_t *restrict y, const float *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t u;
        memcpy(&u, x + i, sizeof u);
        const uint32_t round = (u + 0x7fff + (u >> 16 & 1)) >> 16, nan = (u >> 16) | 0x40;
        y[i] = (uint16_t)((u & 0x7fffffff) > 0x7f800000 ? nan : round);
    }
}

static void from_bf16(float *restrict y, const uint16_t *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const uint32_t u = (uint32_t)x[i] << 16;
        memcpy(y + i, &u, sizeof u);
    }
}

static maas_status cast_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const float *f = c->in[0].data;
    const double *d = c->in[0].data;
    int64_t from, to;
    maas_share(maas_n_elems(&c->in[0]), 64, ithr, nthr, &from, &to);
    if (c->out[0].dtype == MAAS_BF16)
        to_bf16((uint16_t *)c->out[0].data + from, f + from, to - from);
    else if (c->in[0].dtype == MAAS_BF16)
        from_bf16((float *)c->out[0].data + from, (const uint16_t *)c->in[0].data + from,
                  to - from);
    else if (c->in[0].dtype == MAAS_F32)
        for (int64_t i = from; i < to; i++)
            ((double *)c->out[0].data)[i] = (double)f[i];
    else
        for (int64_t i = from; i < to; i++)
            ((float *)c->out[0].data)[i] = (float)d[i];
    return MAAS_OK;
}

const maas_kernel maas_kernels_move[] = {
    {.op = &maas_op_Cast, .name = "Cast.floats", .fits = cast_fits, .run = cast_run},
    {.op = &maas_op_Gather, .name = "Gather.rows", .fits = gather_fits, .run = gather_run},
    {.op = &maas_op_GatherElements,
     .name = "GatherElements.rows",
     .fits = elements_fit,
     .run = elements_run},
    {0}};
