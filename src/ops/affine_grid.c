/*
 * AffineGrid - grid[n][place] = theta[n] * (place, 1): the places of an image of the given size,
 * each axis running from -1 to 1, moved by an affine matrix.
 */
#include "ops/ops_int.h"

#include "base/ban.h"

/* size [N, C, H, W] or [N, C, D, H, W] gives [N, H, W, 2] or [N, D, H, W, 3]. */
static maas_status affine_grid_infer(maas_infer *q, maas_err *err)
{
    const maas_type *theta = &q->in[0];
    const maas_known *size = &q->in_known[1];
    int64_t dims[MAAS_MAX_RANK], ignored;
    maas_q_unranked(q, 0, (maas_dtype)theta->dtype);
    if (theta->rank >= 0 && theta->rank != 3)
        return maas_fail(err, MAAS_E_INVALID, "theta has rank %d, not 3", theta->rank);
    if (size->n < 0)
        return MAAS_OK;
    if (size->n != 4 && size->n != 5)
        return maas_fail(err, MAAS_E_INVALID, "size has %d entries, not 4 or 5", size->n);
    const int n = size->n - 2;
    for (int i = 0; i < size->n; i++)
        if (size->exact && size->v[i] < 0)
            return maas_fail(err, MAAS_E_INVALID, "size %d is negative", i);
    for (int i = 0; i < n; i++)
        dims[i + 1] = size->v[i + 2];
    dims[0] = size->v[0];
    dims[n + 1] = n;
    if (theta->rank == 3) {
        MAAS_TRY(maas_dim_same(theta->dims[0], size->v[0], &dims[0], "matrices and size[0]", err));
        MAAS_TRY(maas_dim_same(theta->dims[1], n, &ignored, "rows of theta", err));
        MAAS_TRY(maas_dim_same(theta->dims[2], n + 1, &ignored, "columns of theta", err));
    }
    maas_q_out(q, 0, (maas_dtype)theta->dtype, n + 2, dims);
    return MAAS_OK;
}

/* Step i of n from -1 to 1: at the centers of elements, or from the first to the last of them. */
static double place_of(int64_t i, int64_t n, bool align)
{
    if (!align)
        return (2 * (double)i + 1) / (double)n - 1;
    return n > 1 ? 2 * (double)i / (double)(n - 1) - 1 : 0;
}

static maas_status affine_grid_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *theta = &c->in[0], *y = &c->out[0];
    const int n = y->rank - 2;
    const bool align = maas_attr_i(c->node, "align_corners", 0) != 0;
    MAAS_TRY(maas_ref_check(c, err));
    const int64_t places = maas_dims_product(y->dims, 1, n + 1), all = y->dims[0] * places;
    for (int64_t i = 0; i < all; i++) {
        const int64_t matrix = i / places * n * (n + 1);
        double at[3];
        int64_t rest = i % places;
        for (int d = 0; d < n; d++) { /* the last axis is the first coordinate */
            at[d] = place_of(rest % y->dims[n - d], y->dims[n - d], align);
            rest /= y->dims[n - d];
        }
        for (int r = 0; r < n; r++) {
            double sum = maas_ld(theta, matrix + r * (n + 1) + n);
            for (int d = 0; d < n; d++)
                sum += maas_ld(theta, matrix + r * (n + 1) + d) * at[d];
            maas_st(y, i * n + r, sum);
        }
    }
    return MAAS_OK;
}

static int64_t affine_grid_flops(const maas_call *c)
{
    return 6 * maas_n_elems(&c->out[0]);
}

static void affine_grid_example(maas_example *e)
{
    static const int64_t flat[] = {2, 3, 4, 5}, deep[] = {1, 2, 3, 1, 4}, none[] = {2, 1, 0, 3};
    static const int64_t *const sizes[] = {flat, deep, none};
    const int k = e->variant / 2 % 3, n = k == 1 ? 3 : 2;
    maas_vid theta = maas_ex_in(e, maas_ex_float(e), -1, 1, MAAS_DIMS(sizes[k][0], n, n + 1));
    maas_b_attr1(e->b, "AffineGrid", MAAS_A_INT("align_corners", e->variant / 6), theta,
                 maas_b_i64s(e->b, sizes[k], n + 2));
}

static const maas_io_schema in[] = {MAAS_REQ("theta", "T1", MAAS_DTS_FLOAT),
                                    MAAS_REQ("size", NULL, MAAS_DTS_I64)};
static const maas_io_schema out[] = {MAAS_REQ("grid", "T1", MAAS_DTS_FLOAT)};
static const maas_attr_schema attrs[] = {{"align_corners", MAAS_ATTR_INT, false}};

const maas_op maas_op_AffineGrid = {
    .domain = "",
    .name = "AffineGrid",
    .since = 20,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 12,
    .tolerance = 1e-5,
    .infer = affine_grid_infer,
    .reference = affine_grid_reference,
    .flops = affine_grid_flops,
    .example = affine_grid_example,
    .no_gradient = "backward of sampling at computed places is not written",
};
