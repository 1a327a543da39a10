/*
 * Sums: ReduceTo over leading axes (columns of [rows][columns], the gradient of a bias) and over
 * everything.
 */
#include "kernels/cpu/isa.h"

#include "base/ban.h"

extern const maas_op maas_op_ReduceTo;

typedef struct shape2 {
    int64_t rows, cols; /* y[cols] = sum over rows of x[rows][cols] */
} shape2;

/* Leading dimensions are summed, trailing ones kept: then data is a matrix and a row comes out. */
static bool as_columns(const maas_tensor *x, const maas_tensor *y, shape2 *out)
{
    const int skip = x->rank - y->rank;
    int i = 0; /* dimensions 0..i-1 of x are summed */
    while (i < x->rank && (i < skip || (y->dims[i - skip] == 1)))
        i++;
    for (int k = i; k < x->rank; k++)
        if (y->dims[k - skip] != x->dims[k])
            return false;
    out->rows = maas_dims_product(x->dims, 0, i);
    out->cols = maas_dims_product(x->dims, i, x->rank);
    return true;
}

static bool fits(const maas_call *c, const maas_cpu *cpu)
{
    shape2 s;
    return c->in[0].dtype == REAL_DTYPE && as_columns(&c->in[0], &c->out[0], &s) && s.cols > 0;
}

/* Four vectors of columns; even and odd rows apart, which also halves the rounding error. */
INLINE void sum_strip(real *y, const real *x, int64_t rows, int64_t cols, const int nv)
{
    vf even[4] = {{0}}, odd[4] = {{0}};
    int64_t r = 0;
    for (; r + 2 <= rows; r += 2, x += 2 * cols)
        for (int j = 0; j < nv; j++) {
            even[j] += v_load(x + j * VW);
            odd[j] += v_load(x + cols + j * VW);
        }
    for (int j = 0; j < nv; j++)
        v_store(y + j * VW, even[j] + odd[j] + (r < rows ? v_load(x + j * VW) : (vf){0}));
}

static void sum_tail(real *y, const real *x, int64_t rows, int64_t cols, int64_t n)
{
    vf sum = {0};
    for (int64_t r = 0; r < rows; r++)
        sum += v_load_part(x + r * cols, n, 0);
    v_store_part(y, sum, n);
}

static void sum_columns(real *y, const real *x, int64_t rows, int64_t cols, int64_t from,
                        int64_t to)
{
    int64_t j = from;
    for (; j + 4 * VW <= to; j += 4 * VW)
        sum_strip(y + j, x + j, rows, cols, 4);
    for (; j + VW <= to; j += VW)
        sum_strip(y + j, x + j, rows, cols, 1);
    if (j < to)
        sum_tail(y + j, x + j, rows, cols, to - j);
}

/* One number: in chunks, whose sums are added in double. */
static real sum_all(const real *x, int64_t n)
{
    double total = 0;
    for (int64_t i = 0; i < n; i += 4096) {
        const int64_t end = n - i < 4096 ? n : i + 4096;
        vf sum = {0};
        int64_t k = i;
        for (; k + VW <= end; k += VW)
            sum += v_load(x + k);
        if (k < end)
            sum += v_load_part(x + k, end - k, 0);
        total += (double)v_sum(sum);
    }
    return (real)total;
}

static maas_status run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const real *x = c->in[0].data;
    real *y = c->out[0].data;
    shape2 s;
    int64_t from, to;
    as_columns(&c->in[0], &c->out[0], &s);
    if (s.cols == 1) {
        if (ithr == 0)
            y[0] = sum_all(x, s.rows);
        return MAAS_OK;
    }
    maas_share(s.cols, 16, ithr, nthr, &from, &to);
    sum_columns(y, x, s.rows, s.cols, from, to);
    return MAAS_OK;
}

const maas_kernel ISA(maas_kernels_reduce)[] = {
    {.op = &maas_op_ReduceTo, .name = "ReduceTo." ISA_TEXT, .fits = fits, .run = run}, {0}};
