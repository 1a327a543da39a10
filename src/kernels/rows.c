#include "kernels/rows.h"

#include <string.h>

#include "base/ban.h"

/* Strides of `in` for the dimensions of the output; 0 where it is broadcast. */
static void strides_of(const maas_tensor *out, const maas_tensor *in, int64_t *stride)
{
    int64_t step = 1;
    for (int i = out->rank - 1, k = in->rank - 1; i >= 0; i--, k--) {
        const int64_t d = k >= 0 ? in->dims[k] : 1;
        stride[i] = d == 1 ? 0 : step;
        step *= d;
    }
}

/* Can dimension i be merged into i + 1? When a step along i is a whole run along i + 1, for all. */
static bool merges(const int64_t stride[][MAAS_MAX_RANK], int n_in, const int64_t *dims, int i)
{
    for (int k = 0; k < n_in; k++)
        if (stride[k][i] != stride[k][i + 1] * dims[i + 1])
            return false;
    return true;
}

static void drop_dim(maas_rows *r, int64_t *dims, int *rank, int i)
{
    for (int j = i; j + 1 < *rank; j++) {
        dims[j] = dims[j + 1];
        for (int k = 0; k < r->n_in; k++)
            r->stride[k][j] = r->stride[k][j + 1];
    }
    --*rank;
}

void maas_rows_of(maas_rows *r, const maas_tensor *out, const maas_tensor *in, int n_in)
{
    *r = (maas_rows){.n_in = n_in, .inner = 1, .total = maas_n_elems(out)};
    MAAS_CHECK(n_in <= MAAS_ROWS_IN);
    int rank = out->rank;
    memcpy(r->dims, out->dims, (size_t)rank * sizeof *r->dims);
    for (int k = 0; k < n_in; k++)
        strides_of(out, &in[k], r->stride[k]);
    for (int i = rank - 1; i >= 0; i--)
        if (r->dims[i] == 1)
            drop_dim(r, r->dims, &rank, i);
    for (int i = rank - 2; i >= 0; i--)
        if (merges(r->stride, n_in, r->dims, i)) {
            r->dims[i + 1] *= r->dims[i];
            drop_dim(r, r->dims, &rank, i);
        }
    if (rank > 0) {
        rank--;
        r->inner = r->dims[rank];
        for (int k = 0; k < n_in; k++) {
            MAAS_CHECK(r->stride[k][rank] <= 1 || r->total == 0);
            r->step[k] = r->stride[k][rank] != 0;
        }
    }
    r->rank = rank;
}

void maas_rows_tile(maas_rows *r)
{
    const int last = r->rank - 1;
    if (last < 0 || r->inner < 2 || r->inner > 128 || MAAS_TILE % r->inner != 0)
        return;
    for (int k = 0; k < r->n_in; k++)
        if (r->stride[k][last] != 0 && (!r->step[k] || r->stride[k][last] != r->inner))
            return;
    for (int k = 0; k < r->n_in; k++) {
        r->tiled[k] = r->step[k] && r->stride[k][last] == 0;
        if (r->tiled[k])
            r->step[k] = 0;
    }
    r->tile = r->inner;
    r->inner *= r->dims[last];
    r->rank = last;
}

static void locate(maas_row_walk *w)
{
    const maas_rows *r = w->r;
    const int64_t left = w->end - w->out;
    if (left <= 0) {
        w->n = 0;
        return;
    }
    int64_t row = w->out / r->inner;
    const int64_t within = w->out - row * r->inner;
    w->n = r->inner - within < left ? r->inner - within : left;
    for (int k = 0; k < r->n_in; k++)
        w->at[k] = r->step[k] * within;
    for (int i = r->rank - 1; i >= 0; i--) {
        const int64_t at = row % r->dims[i];
        row /= r->dims[i];
        for (int k = 0; k < r->n_in; k++)
            w->at[k] += at * r->stride[k][i];
    }
}

void maas_row_walk_init(maas_row_walk *w, const maas_rows *r, int64_t grain, int ithr, int nthr)
{
    *w = (maas_row_walk){.r = r};
    maas_share(r->total, grain, ithr, nthr, &w->out, &w->end);
    locate(w);
}

void maas_row_walk_step(maas_row_walk *w)
{
    w->out += w->n;
    locate(w);
}
