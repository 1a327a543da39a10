/* learn/order_stats.c - one sort a column. */
#include "learn/order_stats.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

#include "base/ban.h"

static int by_value(const void *pa, const void *pb)
{
    const double a = *(const double *)pa, b = *(const double *)pb;
    return (a > b) - (a < b);
}

static double quantile(const double *v, int64_t n, double share)
{
    const double at = share * (double)(n - 1);
    const int64_t low = (int64_t)at, high = low + 1 < n ? low + 1 : low;
    return v[low] + (at - (double)low) * (v[high] - v[low]);
}

static double most_frequent(const double *v, int64_t n)
{
    int64_t best = 0, longest = 0;
    for (int64_t i = 0, j; i < n; i = j) {
        for (j = i + 1; j < n && v[j] == v[i]; j++) {
        }
        best = j - i > longest ? i : best;
        longest = j - i > longest ? j - i : longest;
    }
    return v[best];
}

static int64_t collect(const maas_ds_column *c, const maas_rows *rows, int64_t k, double *out)
{
    const maas_cells *cells = maas_cells_of(c->desc.dtype);
    const int64_t width = maas_column_width(c), from = k < 0 ? 0 : k, to = k < 0 ? width : k + 1;
    int64_t n = 0;
    for (int64_t i = 0; i < rows->n; i++)
        for (int64_t j = from; j < to; j++) {
            const double x = cells->get(c->data, (int64_t)rows->at[i] * width + j);
            if (!isnan(x))
                out[n++] = x;
        }
    return n;
}

maas_status maas_order_stats_of(const maas_ds_column *c, const maas_rows *rows, int64_t k,
                                maas_budget *budget, maas_order_stats *out, maas_err *err)
{
    size_t n, bytes;
    *out = (maas_order_stats){0};
    if (__builtin_mul_overflow((size_t)rows->n, (size_t)(k < 0 ? maas_column_width(c) : 1), &n) ||
        __builtin_mul_overflow(n + 1, sizeof(double), &bytes) || !maas_budget_take(budget, bytes))
        return maas_fail(err, MAAS_E_NOMEM, "sorting column '%s'", c->desc.name);
    AUTO_FREE double *v = maas_alloc(bytes);
    const int64_t m = v ? collect(c, rows, k, v) : 0;
    if (m > 0) {
        qsort(v, (size_t)m, sizeof *v, by_value);
        *out = (maas_order_stats){quantile(v, m, 0.25), quantile(v, m, 0.5), quantile(v, m, 0.75),
                                  most_frequent(v, m)};
    }
    maas_budget_give(budget, bytes);
    return v ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "sorting column '%s'", c->desc.name);
}
