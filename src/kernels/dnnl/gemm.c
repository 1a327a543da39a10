/*
 * Large matrix products by oneDNN, which packs both operands and so keeps its speed where ours,
 * which reads A in place, starts to miss caches. dnnl_sgemm is the same in versions 2 and 3.
 */
#include "kernels/gemm_args.h"

#include <oneapi/dnnl/dnnl.h>
#include <omp.h>
#include <string.h>

#include "base/ban.h"

/* A matrix stored by rows (stride 1 along columns) or the transpose of one. */
static bool is_plain(int64_t row, int64_t col, int64_t rows, int64_t cols)
{
    return (col == 1 && row >= cols) || (row == 1 && col >= rows);
}

static bool fits(const maas_call *c, const maas_cpu *cpu)
{
    maas_gemm_args g;
    return maas_gemm_args_of(c, MAAS_F32, &g) && g.act == MAAS_GEMM_NONE && g.m > 0 && g.n > 0 &&
           g.k > 0 && is_plain(g.a_row, g.a_col, g.m, g.k) && is_plain(g.b_row, g.b_col, g.k, g.n);
}

/* Y = beta C spread over the rows, for the product to be added to. */
static void put_addend(const maas_gemm_args *g)
{
    for (int64_t i = 0; i < g->m; i++) {
        const float *c = (const float *)g->c + i * g->c_row;
        float *y = (float *)g->y + i * g->n;
        for (int64_t j = 0; j < g->n; j++)
            y[j] = g->beta * c[j * g->c_col];
    }
}

static maas_status run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    maas_gemm_args g;
    maas_gemm_args_of(c, MAAS_F32, &g);
    if (omp_get_max_threads() != c->n_threads)
        omp_set_num_threads(c->n_threads); /* of this thread alone: what the plan was made for */
    const char ta = g.a_col == 1 && g.a_row >= g.k ? 'N' : 'T';
    const char tb = g.b_col == 1 && g.b_row >= g.n ? 'N' : 'T';
    const float *a = g.a, *b = g.b;
    for (int64_t i = 0; i < g.n_batch; i++) {
        if (g.c)
            put_addend(&g);
        if (dnnl_sgemm(ta, tb, g.m, g.n, g.k, g.alpha, a, ta == 'N' ? g.a_row : g.a_col, b,
                       tb == 'N' ? g.b_row : g.b_col, g.c ? 1.0f : 0.0f, g.y, g.n) != dnnl_success)
            return maas_fail(err, MAAS_E_INTERNAL, "oneDNN refused a product");
        a += g.m * g.k;
        b += g.k * g.n;
        g.y = (float *)g.y + g.m * g.n;
    }
    return MAAS_OK;
}

#define ROW(Name)                                                                                  \
    {                                                                                              \
        .op = &maas_op_##Name, .name = #Name ".dnnl", .flags = MAAS_KERNEL_WHOLE, .fits = fits,    \
        .run = run                                                                                 \
    }
const maas_kernel maas_kernels_dnnl_gemm[] = {ROW(FusedGemm), ROW(Gemm), ROW(MatMul), {0}};
