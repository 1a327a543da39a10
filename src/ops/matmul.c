/*
 * MatMul - numpy.matmul: y[..][m][n] = sum over k of a[..][m][k] * b[..][k][n], batch dimensions
 * broadcast; a vector on the left counts as one row, on the right as one column.
 */
#include "ops/matmul.h"

#include "base/ban.h"

/* An operand with its vector promoted to a matrix; `v` is a type or tensor shape. */
typedef struct operand {
    int rank;
    int64_t dims[MAAS_MAX_RANK];
} operand;

static operand promote(const int64_t *dims, int rank, bool left)
{
    operand o = {.rank = rank};
    memcpy(o.dims, dims, (size_t)rank * sizeof *dims);
    if (rank == 1) {
        o.rank = 2;
        o.dims[left ? 1 : 0] = dims[0];
        o.dims[left ? 0 : 1] = 1;
    }
    return o;
}

maas_status maas_matmul_type(maas_infer *q, const maas_type *ta, const maas_type *tb, maas_dtype t,
                             maas_err *err)
{
    maas_type out, batch_a = *ta, batch_b = *tb;
    int64_t ignored;
    if (ta->rank < 0 || tb->rank < 0) {
        maas_q_unranked(q, 0, t);
        return MAAS_OK;
    }
    if (ta->rank == 0 || tb->rank == 0)
        return maas_fail(err, MAAS_E_INVALID, "a scalar has no matrix product; use Mul");
    operand a = promote(ta->dims, ta->rank, true), b = promote(tb->dims, tb->rank, false);
    MAAS_TRY(maas_dim_same(a.dims[a.rank - 1], b.dims[b.rank - 2], &ignored,
                           "columns of A and rows of B", err));
    batch_a.rank = (int8_t)(a.rank - 2);
    batch_b.rank = (int8_t)(b.rank - 2);
    MAAS_TRY(maas_type_broadcast(&batch_a, &batch_b, &out, err));
    if (ta->rank > 1)
        out.dims[out.rank++] = a.dims[a.rank - 2];
    if (tb->rank > 1)
        out.dims[out.rank++] = b.dims[b.rank - 1];
    out.dtype = (uint8_t)t;
    q->out[0] = out;
    return MAAS_OK;
}

static maas_status matmul_infer(maas_infer *q, maas_err *err)
{
    return maas_matmul_type(q, &q->in[0], &q->in[1], (maas_dtype)q->in[0].dtype, err);
}

void maas_products_init(maas_products *p, const maas_tensor *ta, const maas_tensor *tb)
{
    const operand a = promote(ta->dims, ta->rank, true), b = promote(tb->dims, tb->rank, false);
    *p = (maas_products){.m = a.dims[a.rank - 2], .k = a.dims[a.rank - 1], .n = b.dims[b.rank - 1]};
    /* One broadcast row element is one matrix. */
    maas_tensor batch[2] = {maas_tensor_of(MAAS_F32, a.rank - 2, a.dims, NULL),
                            maas_tensor_of(MAAS_F32, b.rank - 2, b.dims, NULL)};
    maas_tensor out = {.dtype = MAAS_F32};
    int rank;
    maas_broadcast(batch[0].dims, batch[0].rank, batch[1].dims, batch[1].rank, out.dims, &rank);
    out.rank = (uint8_t)rank;
    maas_bcast_init(&p->batch, &out, batch, 2);
}

bool maas_products_next(maas_products *p)
{
    maas_bcast *w = &p->batch;
    if (!w->begun || p->next == w->inner) {
        p->next = 0;
        do {
            if (!maas_bcast_row(w))
                return false;
        } while (!w->inner);
    }
    p->a_no = w->at[0] + p->next * w->step[0];
    p->b_no = w->at[1] + p->next * w->step[1];
    p->a_at = p->a_no * p->m * p->k;
    p->b_at = p->b_no * p->k * p->n;
    p->y_at = (w->row * w->inner + p->next) * p->m * p->n;
    p->next++;
    return true;
}

static void product(const maas_tensor *a, const maas_tensor *b, const maas_tensor *y,
                    const maas_products *at)
{
    const int64_t m = at->m, k = at->k, n = at->n;
    bool real = maas_is_float(y->dtype);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            uint64_t wrapped = 0; /* integers wrap, as everywhere */
            for (int64_t p = 0; p < k; p++) {
                int64_t ia = at->a_at + i * k + p, ib = at->b_at + p * n + j;
                if (real)
                    sum += maas_ld(a, ia) * maas_ld(b, ib);
                else
                    wrapped += (uint64_t)maas_tensor_get_i64(a, ia) *
                               (uint64_t)maas_tensor_get_i64(b, ib);
            }
            if (real)
                maas_st(y, at->y_at + i * n + j, sum);
            else
                maas_st_i64(y, at->y_at + i * n + j, (int64_t)wrapped);
        }
}

static maas_status matmul_reference(const maas_call *c, maas_err *err)
{
    maas_products p;
    maas_products_init(&p, &c->in[0], &c->in[1]);
    while (maas_products_next(&p))
        product(&c->in[0], &c->in[1], &c->out[0], &p);
    return MAAS_OK;
}

static int64_t matmul_flops(const maas_call *c)
{
    return 2 * maas_n_elems(&c->out[0]) * c->in[0].dims[c->in[0].rank - 1];
}

/* ---- gradient: dA = dY B^T, dB = A^T dY ---- */

static maas_vid transposed(maas_builder *b, maas_vid x)
{
    const maas_type *t = maas_b_type(b, x);
    int64_t perm[MAAS_MAX_RANK];
    if (!t)
        return MAAS_NO_VALUE;
    for (int i = 0; i < t->rank; i++)
        perm[i] = i < t->rank - 2 ? i : 2 * t->rank - 3 - i;
    return maas_b_attr1(b, "Transpose", MAAS_A_INTS("perm", perm, t->rank), x, MAAS_NO_VALUE);
}

static maas_vid gemm(maas_builder *b, maas_vid x, bool tx, maas_vid y, bool ty)
{
    const maas_attr attr[2] = {MAAS_A_INT("transA", tx), MAAS_A_INT("transB", ty)};
    return maas_b_node(b, "Gemm", attr, 2, (maas_vid[]){x, y}, 2, NULL, 1);
}

static maas_vid rows_of(maas_builder *b, maas_vid x, int rank)
{
    if (rank == 2)
        return x;
    return maas_b_attr1(b, "Flatten", MAAS_A_INT("axis", rank - 1), x, MAAS_NO_VALUE);
}

/* A weight matrix applied to rows, by far the most common case: no transposes, one product. */
static void gradient_weight(maas_grad *g, int rank_a)
{
    maas_builder *b = g->b;
    const maas_vid a = g->node->in[0], w = g->node->in[1], dy = g->dout[0];
    maas_vid dy2 = rows_of(b, dy, rank_a);
    if (g->want[1])
        g->din[1] = gemm(b, rows_of(b, a, rank_a), true, dy2, false);
    if (!g->want[0])
        return;
    g->din[0] = gemm(b, dy2, false, w, true);
    if (rank_a > 2)
        g->din[0] = maas_b_shaped_like(b, g->din[0], a);
}

static void gradient_general(maas_grad *g, int rank_a, int rank_b)
{
    maas_builder *b = g->b;
    maas_vid a = g->node->in[0], w = g->node->in[1], dy = g->dout[0];
    const maas_vid a1 = a, w1 = w;
    const int64_t first = 0, last = -1, before_last = -2;
    if (rank_b == 1) {
        w = maas_b_op2(b, "Unsqueeze", w, maas_b_i64s(b, &last, 1));
        dy = maas_b_op2(b, "Unsqueeze", dy, maas_b_i64s(b, &last, 1));
    }
    if (rank_a == 1) {
        a = maas_b_op2(b, "Unsqueeze", a, maas_b_i64s(b, &first, 1));
        dy = maas_b_op2(b, "Unsqueeze", dy, maas_b_i64s(b, &before_last, 1));
    }
    if (g->want[0]) {
        g->din[0] = maas_b_reduce_to(b, maas_b_op2(b, "MatMul", dy, transposed(b, w)), a);
        if (rank_a == 1)
            g->din[0] = maas_b_shaped_like(b, g->din[0], a1);
    }
    if (g->want[1]) {
        g->din[1] = maas_b_reduce_to(b, maas_b_op2(b, "MatMul", transposed(b, a), dy), w);
        if (rank_b == 1)
            g->din[1] = maas_b_shaped_like(b, g->din[1], w1);
    }
}

static void matmul_gradient(maas_grad *g)
{
    const maas_type *ta = maas_b_type(g->b, g->node->in[0]),
                    *tb = maas_b_type(g->b, g->node->in[1]);
    if (!ta || !tb)
        return;
    if (ta->rank < 0 || tb->rank < 0)
        g->b->status = maas_fail(g->b->err, MAAS_E_UNSUPPORTED,
                                 "the gradient of MatMul needs operands of known rank");
    else if (ta->rank >= 2 && tb->rank == 2)
        gradient_weight(g, ta->rank);
    else
        gradient_general(g, ta->rank, tb->rank);
}

static void matmul_example(maas_example *e)
{
    static const struct {
        int rank_a, rank_b;
        int64_t a[4], b[4];
    } shapes[] = {
        {2, 2, {3, 4}, {4, 5}},    {2, 2, {1, 7}, {7, 1}},
        {3, 2, {2, 3, 4}, {4, 2}}, {3, 3, {2, 3, 4}, {2, 4, 2}},
        {1, 2, {4}, {4, 3}},       {2, 1, {3, 4}, {4}},
        {1, 1, {5}, {5}},          {4, 3, {2, 1, 3, 2}, {3, 2, 4}},
        {3, 1, {2, 3, 4}, {4}},    {2, 2, {33, 65}, {65, 17}},
        {2, 2, {2, 0}, {0, 3}},
    };
    int k = e->variant / 2 % (int)MAAS_COUNT(shapes);
    maas_dtype t = e->variant == 22 ? MAAS_I32 : maas_ex_float(e);
    maas_vid a = maas_ex_in(e, t, -2, 2, shapes[k].rank_a, shapes[k].a);
    maas_vid b = maas_ex_in(e, t, -2, 2, shapes[k].rank_b, shapes[k].b);
    maas_b_op2(e->b, "MatMul", a, b);
}

#define MATMUL_DTS (MAAS_DTS_FLOAT | MAAS_DTS_INDEX | MAAS_DT_BIT(MAAS_U32) | MAAS_DT_BIT(MAAS_U64))
static const maas_io_schema matmul_in[] = {MAAS_REQ("A", "T", MATMUL_DTS),
                                           MAAS_REQ("B", "T", MATMUL_DTS)};
static const maas_io_schema matmul_out[] = {MAAS_REQ("Y", "T", MATMUL_DTS)};

const maas_op maas_op_MatMul = {
    .domain = "",
    .name = "MatMul",
    .since = 13,
    MAAS_SCHEMA(matmul_in, matmul_out),
    .n_examples = 23,
    .tolerance = 1e-4,
    .infer = matmul_infer,
    .reference = matmul_reference,
    .flops = matmul_flops,
    .example = matmul_example,
    .gradient = matmul_gradient,
};
