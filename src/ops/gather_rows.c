/*
 * The gradient of a table of vectors, without the table (ai.maas). A batch reads few rows of a
 * large table: what comes back is those rows, and a step writes them alone.
 *
 *   GatherGradRows(dY [i.., d], indices [i..], shape)  ->  ids [n], rows [n, d]
 *       n is the number of indices. The ids that occur, ascending, each once, with the sum of their
 *       rows of dY in the order of the batch; behind them -1 and rows of zeros.
 *   PutRows(data [r, d], ids [n], rows [n, d])  ->  data with these rows; an id of -1 means none
 *
 * So what costs grows with the batch, not with the table: PutRows may write in place.
 */
#include "ops/gather_int.h"

#include "base/ban.h"

/* ---- GatherGradRows ---- */

static maas_status rows_infer(maas_infer *q, maas_err *err)
{
    const maas_type *dy = &q->in[0], *at = &q->in[1];
    const maas_known *shape = &q->in_known[2];
    if (q->in[2].rank >= 0 && q->in[2].rank != 1)
        return maas_fail(err, MAAS_E_INVALID, "shape has rank %d, it must be a list",
                         q->in[2].rank);
    if (shape->n >= 0 && shape->n != 2)
        return maas_fail(err, MAAS_E_INVALID, "the table has rank %d, it must be 2", shape->n);
    if (shape->n == 2 && shape->exact && shape->v[0] < 0)
        return maas_fail(err, MAAS_E_INVALID, "size %lld is negative", (long long)shape->v[0]);
    int64_t dims[2] = {MAAS_DIM_UNKNOWN, MAAS_DIM_UNKNOWN}, same;
    if (dy->rank >= 0 && at->rank >= 0) {
        if (dy->rank != at->rank + 1)
            return maas_fail(err, MAAS_E_INVALID, "dY has rank %d, indices %d: it must be one more",
                             dy->rank, at->rank);
        for (int i = 0; i < at->rank; i++)
            MAAS_TRY(maas_dim_same(dy->dims[i], at->dims[i], &same, "dY and indices", err));
    }
    if (at->rank >= 0)
        dims[0] = maas_dim_product(at->dims, 0, at->rank);
    if (dy->rank > 0)
        dims[1] = dy->dims[dy->rank - 1];
    if (shape->n == 2 && shape->exact)
        MAAS_TRY(maas_dim_same(dims[1], shape->v[1], &dims[1], "rows of dY and table", err));
    maas_q_out(q, 0, MAAS_I64, 1, dims);
    maas_q_out(q, 1, (maas_dtype)dy->dtype, 2, dims);
    return MAAS_OK;
}

/* A heap whose largest key moves to the end: sorts in place, whatever the keys. */
static void sink(int64_t *k, int64_t i, int64_t n)
{
    for (int64_t child; (child = 2 * i + 1) < n; i = child) {
        child += child + 1 < n && k[child] < k[child + 1];
        if (k[i] >= k[child])
            return;
        const int64_t tmp = k[i];
        k[i] = k[child];
        k[child] = tmp;
    }
}

static void sort_keys(int64_t *k, int64_t n)
{
    for (int64_t i = n / 2; i-- > 0;)
        sink(k, i, n);
    for (int64_t i = n; i-- > 1;) {
        const int64_t tmp = k[0];
        k[0] = k[i];
        k[i] = tmp;
        sink(k, 0, i);
    }
}

/* ids[i] becomes id * n + i: sorted, equal ids follow each other in the order of the batch. */
static maas_status make_keys(const maas_tensor *at, int64_t n, int64_t n_rows, int64_t *ids,
                             maas_err *err)
{
    int64_t most;
    if (__builtin_mul_overflow(n_rows, n, &most))
        return maas_fail(err, MAAS_E_TOO_LARGE, "%lld indices into a table of %lld rows",
                         (long long)n, (long long)n_rows);
    for (int64_t i = 0; i < n; i++) {
        int64_t id;
        MAAS_TRY(maas_ref_index(maas_tensor_get_i64(at, i), n_rows, &id, err));
        ids[i] = id * n + i;
    }
    return MAAS_OK;
}

/* The rows of dY that keys[0..n) name, summed into row k. */
static void sum_rows(const maas_tensor *dy, const int64_t *keys, int64_t n, int64_t n_keys,
                     const maas_tensor *rows, int64_t k)
{
    const int64_t d = rows->dims[1];
    for (int64_t j = 0; j < d; j++) {
        double sum = 0;
        for (int64_t i = 0; i < n; i++)
            sum += maas_ld(dy, keys[i] % n_keys * d + j);
        maas_st(rows, k * d + j, sum);
    }
}

static maas_status rows_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *dy = &c->in[0], *rows = &c->out[1];
    MAAS_TRY(maas_ref_check(c, err));
    const int64_t n = maas_n_elems(&c->in[1]), d = rows->dims[1];
    const int64_t n_rows = maas_tensor_get_i64(&c->in[2], 0);
    int64_t *ids = c->out[0].data, k = 0;
    MAAS_TRY(make_keys(&c->in[1], n, n_rows, ids, err));
    sort_keys(ids, n);
    for (int64_t i = 0, end; i < n; i = end, k++) {
        const int64_t id = ids[i] / n;
        for (end = i + 1; end < n && ids[end] / n == id; end++) {
        }
        sum_rows(dy, ids + i, end - i, n, rows, k);
        ids[k] = id; /* k <= i: its key has been read */
    }
    for (int64_t i = k * d; i < n * d; i++)
        maas_st(rows, i, 0);
    for (; k < n; k++)
        ids[k] = -1;
    return MAAS_OK;
}

static int64_t rows_flops(const maas_call *c)
{
    return maas_n_elems(&c->in[0]) + 32 * maas_n_elems(&c->in[1]);
}

static void rows_example(maas_example *e)
{
    static const int64_t at[] = {4, 1, 4, -1, 0, 1}, shape[] = {5, 3};
    const bool square = e->variant / 2 == 1, none = e->variant / 2 == 2;
    const maas_tensor t = maas_tensor_of(
        MAAS_I64, square ? 2 : 1,
        square ? (const int64_t[]){2, 3} : (const int64_t[]){none ? 0 : 6}, (void *)(uintptr_t)at);
    const maas_vid dy = square ? maas_ex_in(e, maas_ex_float(e), -2, 2, MAAS_DIMS(2, 3, 3))
                               : maas_ex_in(e, maas_ex_float(e), -2, 2, 2,
                                            (const int64_t[]){none ? 0 : 6, 3});
    const maas_vid in[3] = {dy, maas_b_const(e->b, NULL, &t), maas_b_i64s(e->b, shape, 2)};
    maas_vid out[2];
    maas_b_node(e->b, "GatherGradRows", NULL, 0, in, 3, out, 2);
}

/* ---- PutRows ---- */

static maas_status put_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0], *ids = &q->in[1], *rows = &q->in[2];
    int64_t same;
    if ((x->rank >= 0 && x->rank != 2) || (ids->rank >= 0 && ids->rank != 1) ||
        (rows->rank >= 0 && rows->rank != 2))
        return maas_fail(err, MAAS_E_INVALID, "data and rows must have rank 2, ids rank 1");
    if (x->rank == 2 && rows->rank == 2)
        MAAS_TRY(maas_dim_same(x->dims[1], rows->dims[1], &same, "rows and data", err));
    if (ids->rank == 1 && rows->rank == 2)
        MAAS_TRY(maas_dim_same(ids->dims[0], rows->dims[0], &same, "ids and rows", err));
    q->out[0] = *x;
    return MAAS_OK;
}

static maas_status put_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *rows = &c->in[2];
    const size_t row = (size_t)rows->dims[1] * maas_dtype_size((maas_dtype)x->dtype);
    char *y = c->out[0].data;
    if (y != x->data)
        memcpy(y, x->data, maas_tensor_bytes(x));
    for (int64_t i = 0, n = maas_n_elems(&c->in[1]); i < n; i++) {
        const int64_t id = maas_tensor_get_i64(&c->in[1], i);
        if (id < -1 || id >= x->dims[0])
            return maas_fail(err, MAAS_E_INVALID, "id %lld at %lld: there are %lld rows",
                             (long long)id, (long long)i, (long long)x->dims[0]);
        if (id >= 0)
            memcpy(y + (size_t)id * row, (const char *)rows->data + (size_t)i * row, row);
    }
    return MAAS_OK;
}

static void put_example(maas_example *e)
{
    static const int64_t at[] = {3, -1, 0, -1};
    const maas_dtype t = maas_ex_float(e);
    const maas_vid in[3] = {
        maas_ex_in(e, t, -2, 2, MAAS_DIMS(5, 3)), maas_b_i64s(e->b, at, e->variant / 2 ? 4 : 1),
        maas_ex_in(e, t, -2, 2, 2, (const int64_t[]){e->variant / 2 ? 4 : 1, 3})};
    maas_b_node(e->b, "PutRows", NULL, 0, in, 3, NULL, 1);
}

static const maas_io_schema rows_in[] = {MAAS_REQ("dY", "T", MAAS_DTS_FLOAT),
                                         MAAS_REQ("indices", NULL, MAAS_DTS_INDEX),
                                         MAAS_REQ("shape", NULL, MAAS_DTS_I64)};
static const maas_io_schema rows_out[] = {MAAS_REQ("ids", NULL, MAAS_DTS_I64),
                                          MAAS_REQ("rows", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema put_in[] = {MAAS_REQ("data", "T", MAAS_DTS_FLOAT),
                                        MAAS_REQ("ids", NULL, MAAS_DTS_I64),
                                        MAAS_REQ("rows", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema put_out[] = {MAAS_REQ("new_data", "T", MAAS_DTS_FLOAT)};

const maas_op maas_op_GatherGradRows = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "GatherGradRows",
    .since = 1,
    MAAS_SCHEMA(rows_in, rows_out),
    .n_examples = 6,
    .tolerance = 1e-6,
    .infer = rows_infer,
    .reference = rows_reference,
    .flops = rows_flops,
    .example = rows_example,
    .no_gradient = MAAS_SECOND_ORDER,
};

const maas_op maas_op_PutRows = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "PutRows",
    .since = 1,
    .flags = MAAS_OP_INPLACE,
    MAAS_SCHEMA(put_in, put_out),
    .n_examples = 4,
    .tolerance = 0,
    .infer = put_infer,
    .reference = put_reference,
    .flops = maas_flops_none,
    .example = put_example,
    .no_gradient = "it is the end of a step",
};
