/*
 * Det: determinants of a stack of square matrices, by elimination with the largest of what is left
 * as the pivot. DetGrad (ai.maas): dy times the matrix of cofactors, right also where the
 * determinant is zero.
 *
 * With P A Q = L U (permutations, L with ones) and d the product of all pivots but the last, p, the
 * adjoint is adj(A) = det(P Q) Q adj(U) inv(L) P, and adj(U) needs no division by p: its last
 * column is d (-U1^-1 w, 1), the others are p d U^-1, where U1 and w are the columns of U above its
 * last row. With two pivots of zero it is zero.
 */
#include "ops/ops_int.h"

#include "base/ban.h"

static maas_status check_square(const maas_type *x, maas_err *err)
{
    int64_t ignored;
    if (x->rank < 0)
        return MAAS_OK;
    if (x->rank < 2)
        return maas_fail(err, MAAS_E_INVALID, "a matrix needs a rank of 2 at least");
    return maas_dim_same(x->dims[x->rank - 2], x->dims[x->rank - 1], &ignored,
                         "rows and columns of a square matrix", err);
}

static maas_status det_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0];
    MAAS_TRY(check_square(x, err));
    q->out[0] = *x;
    if (x->rank >= 0)
        maas_q_out(q, 0, (maas_dtype)x->dtype, x->rank - 2, x->dims);
    return MAAS_OK;
}

typedef struct lu {
    int64_t n;
    double *a;          /* [n][n], L below the diagonal and U on and above it */
    int64_t *row, *col; /* [n] of the matrix, in the order of the pivots     */
    double sign;        /* of both permutations                               */
    int64_t rank;       /* pivots that are not zero                           */
} lu;

static maas_status lu_open(lu *f, int64_t n, maas_err *err)
{
    *f = (lu){.n = n};
    f->a = maas_calloc((size_t)(n * n) + 1, 2 * sizeof *f->a);
    f->row = maas_calloc((size_t)n + 1, 2 * sizeof *f->row);
    f->col = f->row ? f->row + n : NULL;
    return f->a && f->row ? MAAS_OK
                          : maas_fail(err, MAAS_E_NOMEM, "a matrix of %lld rows", (long long)n);
}

static void lu_close(lu *f)
{
    maas_free(f->a);
    maas_free(f->row);
}

static void swap_rows(lu *f, int64_t i, int64_t j)
{
    for (int64_t k = 0; k < f->n && i != j; k++) {
        const double t = f->a[i * f->n + k];
        f->a[i * f->n + k] = f->a[j * f->n + k];
        f->a[j * f->n + k] = t;
    }
    const int64_t t = f->row[i];
    f->row[i] = f->row[j];
    f->row[j] = t;
    f->sign = i == j ? f->sign : -f->sign;
}

static void swap_columns(lu *f, int64_t i, int64_t j)
{
    for (int64_t k = 0; k < f->n && i != j; k++) {
        const double t = f->a[k * f->n + i];
        f->a[k * f->n + i] = f->a[k * f->n + j];
        f->a[k * f->n + j] = t;
    }
    const int64_t t = f->col[i];
    f->col[i] = f->col[j];
    f->col[j] = t;
    f->sign = i == j ? f->sign : -f->sign;
}

static void choose_pivot(lu *f, int64_t k)
{
    int64_t r = k, c = k;
    double best = -1;
    for (int64_t i = k; i < f->n; i++)
        for (int64_t j = k; j < f->n; j++)
            if (fabs(f->a[i * f->n + j]) > best) {
                best = fabs(f->a[i * f->n + j]);
                r = i;
                c = j;
            }
    swap_rows(f, k, r);
    swap_columns(f, k, c);
}

static void factor(lu *f, const maas_tensor *x, int64_t at)
{
    const int64_t n = f->n;
    f->sign = 1;
    f->rank = 0;
    for (int64_t i = 0; i < n * n; i++)
        f->a[i] = maas_ld(x, at + i);
    for (int64_t i = 0; i < n; i++)
        f->row[i] = f->col[i] = i;
    for (int64_t k = 0; k < n; k++) {
        choose_pivot(f, k);
        const double pivot = f->a[k * n + k];
        if (pivot == 0)
            return; /* all that is left is zero */
        f->rank++;
        for (int64_t i = k + 1; i < n; i++) {
            const double times = f->a[i * n + k] /= pivot;
            for (int64_t j = k + 1; j < n; j++)
                f->a[i * n + j] -= times * f->a[k * n + j];
        }
    }
}

static double pivots(const lu *f, int64_t n)
{
    double product = f->sign;
    for (int64_t i = 0; i < n; i++)
        product *= f->a[i * f->n + i];
    return product;
}

static maas_status det_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *y = &c->out[0];
    const int64_t n = x->dims[x->rank - 1];
    lu f;
    maas_status st = lu_open(&f, n, err);
    for (int64_t i = 0; i < maas_n_elems(y) && st == MAAS_OK; i++) {
        factor(&f, x, i * n * n);
        maas_st(y, i, pivots(&f, n));
    }
    lu_close(&f);
    return st;
}

/* ---- DetGrad(dY, X) ---- */

static maas_status grad_infer(maas_infer *q, maas_err *err)
{
    const maas_type *dy = &q->in[0], *x = &q->in[1];
    int64_t ignored;
    MAAS_TRY(check_square(x, err));
    q->out[0] = *x;
    if (x->rank < 0 || dy->rank < 0)
        return MAAS_OK;
    if (dy->rank != x->rank - 2)
        return maas_fail(err, MAAS_E_INVALID, "dY has rank %d, X %d", dy->rank, x->rank);
    for (int i = 0; i < dy->rank; i++)
        MAAS_TRY(maas_dim_same(x->dims[i], dy->dims[i], &ignored, "dY", err));
    return MAAS_OK;
}

/* Column j of the adjoint of U, times the sign of the permutations; below row j it is zero. */
static void adjoint_column(const lu *f, int64_t j, double *v)
{
    const int64_t n = f->n, last = n - 1;
    const double d = pivots(f, last), p = f->a[last * n + last];
    memset(v, 0, (size_t)n * sizeof *v);
    v[j] = j == last ? d : d * p / f->a[j * n + j];
    for (int64_t i = j - 1; i >= 0; i--) {
        double sum = 0;
        for (int64_t k = i + 1; k <= j; k++)
            sum -= f->a[i * n + k] * v[k];
        v[i] = sum / f->a[i * n + i];
    }
}

/* dX = dy adj(A)^T. Row i of adj(U) inv(L) solves r L = (row i of adj(U)). */
static void cofactors(const lu *f, double dy, const maas_tensor *dx, int64_t at)
{
    const int64_t n = f->n;
    double *adj = f->a + n * n; /* [n][n]: adj[j][i] is row i of column j */
    for (int64_t j = 0; j < n; j++)
        adjoint_column(f, j, adj + j * n);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = n - 1; j >= 0; j--) {
            for (int64_t k = j + 1; k < n; k++)
                adj[j * n + i] -= adj[k * n + i] * f->a[k * n + j];
            maas_st(dx, at + f->row[j] * n + f->col[i], dy * adj[j * n + i]);
        }
}

static maas_status grad_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *dy = &c->in[0], *x = &c->in[1], *dx = &c->out[0];
    const int64_t n = x->dims[x->rank - 1];
    lu f;
    maas_status st = lu_open(&f, n, err);
    memset(dx->data, 0, maas_tensor_bytes(dx));
    for (int64_t i = 0; i < maas_n_elems(dy) && n && st == MAAS_OK; i++) {
        factor(&f, x, i * n * n);
        if (f.rank >= n - 1)
            cofactors(&f, maas_ld(dy, i), dx, i * n * n);
    }
    lu_close(&f);
    return st;
}

static int64_t cube_flops(const maas_call *c)
{
    const maas_tensor *x = &c->in[c->n_in - 1];
    return maas_n_elems(x) * x->dims[x->rank - 1];
}

static void det_gradient(maas_grad *g)
{
    if (g->want[0])
        g->din[0] = maas_b_op2(g->b, "DetGrad", g->dout[0], g->node->in[0]);
}

/* ---- examples and rows ---- */

static const struct {
    int rank;
    int64_t dims[4];
} cases[] = {{2, {3, 3}}, {4, {2, 1, 4, 4}}, {3, {2, 1, 1}}, {3, {0, 2, 2}}, {2, {0, 0}}};

static void det_example(maas_example *e)
{
    const int k = e->variant / 2;
    maas_b_op1(e->b, "Det", maas_ex_in(e, maas_ex_float(e), -2, 2, cases[k].rank, cases[k].dims));
}

static void grad_example(maas_example *e)
{
    const int k = e->variant / 2;
    const maas_dtype t = maas_ex_float(e);
    const maas_vid dy = maas_ex_in(e, t, -2, 2, cases[k].rank - 2, cases[k].dims);
    /* the third is singular: zero */
    const double top = k == 2 ? 0 : 2;
    maas_b_op2(e->b, "DetGrad", dy, maas_ex_in(e, t, -top, top, cases[k].rank, cases[k].dims));
}

static const maas_io_schema in[] = {MAAS_REQ("X", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema out[] = {MAAS_REQ("Y", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema grad_in[] = {MAAS_REQ("dY", "T", MAAS_DTS_FLOAT),
                                         MAAS_REQ("X", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema grad_out[] = {MAAS_REQ("dX", "T", MAAS_DTS_FLOAT)};

const maas_op maas_op_Det = {
    .domain = "",
    .name = "Det",
    .since = 11,
    MAAS_SCHEMA(in, out),
    .n_examples = 10,
    .tolerance = 1e-5,
    .infer = det_infer,
    .reference = det_reference,
    .flops = cube_flops,
    .example = det_example,
    .gradient = det_gradient,
};

const maas_op maas_op_DetGrad = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "DetGrad",
    .since = 1,
    MAAS_SCHEMA(grad_in, grad_out),
    .n_examples = 6,
    .tolerance = 1e-5,
    .infer = grad_infer,
    .reference = grad_reference,
    .flops = cube_flops,
    .example = grad_example,
    .no_gradient = MAAS_SECOND_ORDER,
};
