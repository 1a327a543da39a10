/*
 * Trilu keeps the upper (or lower) triangle of the last two axes: elements with column - row >= k
 * (<= k) stay, the others become 0.
 */
#include "ops/ops_int.h"

#include "base/ban.h"

static maas_status trilu_infer(maas_infer *q, maas_err *err)
{
    const maas_type *k = &q->in[1];
    if (q->in[0].rank >= 0 && q->in[0].rank < 2)
        return maas_fail(err, MAAS_E_INVALID, "the data has rank %d and no triangles",
                         q->in[0].rank);
    if (maas_q_has(q, 1) && (k->rank > 1 || (k->rank == 1 && k->dims[0] >= 0 && k->dims[0] != 1)))
        return maas_fail(err, MAAS_E_INVALID, "k must be one number");
    q->out[0] = q->in[0];
    return MAAS_OK;
}

/* First and last column of a row that stay, as a half-open range inside of [0, n). */
static void kept(bool upper, int64_t row, int64_t k, int64_t n, int64_t *from, int64_t *to)
{
    int64_t edge;
    if (__builtin_add_overflow(row, k, &edge))
        edge = k > 0 ? INT64_MAX : INT64_MIN;
    const int64_t cut = edge < 0 ? 0 : edge > n ? n : edge;
    *from = upper ? cut : 0;
    *to = upper ? n : edge < 0 ? 0 : cut < n ? cut + 1 : n;
}

static maas_status trilu_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *y = &c->out[0], *by = maas_c_in(c, 1);
    const size_t elem = maas_dtype_size((maas_dtype)x->dtype);
    const int64_t k = by ? maas_tensor_get_i64(by, 0) : 0;
    const int64_t rows = x->dims[x->rank - 2], n = x->dims[x->rank - 1];
    const int64_t all = n ? maas_n_elems(x) / n : 0;
    const bool upper = maas_attr_i(c->node, "upper", 1) != 0;
    for (int64_t r = 0; r < all; r++) {
        const char *from = (const char *)x->data + (size_t)(r * n) * elem;
        char *to = (char *)y->data + (size_t)(r * n) * elem;
        int64_t a, b;
        kept(upper, r % rows, k, n, &a, &b);
        memset(to, 0, (size_t)a * elem);
        memmove(to + (size_t)a * elem, from + (size_t)a * elem, (size_t)(b - a) * elem);
        memset(to + (size_t)b * elem, 0, (size_t)(n - b) * elem);
    }
    return MAAS_OK;
}

static void trilu_gradient(maas_grad *g)
{
    const maas_vid in[2] = {g->dout[0], g->node->n_in > 1 ? g->node->in[1] : MAAS_NO_VALUE};
    g->din[0] = maas_b_node(g->b, "Trilu", g->node->attr, g->node->n_attr, in, g->node->n_in, NULL,
                            1);
}

static void trilu_example(maas_example *e)
{
    static const struct {
        int rank, upper, k;
        int64_t dims[3];
    } cases[] = {{2, 1, 0, {4, 5}},  {3, 0, -1, {2, 5, 3}}, {2, 1, 7, {3, 4}},
                 {2, 0, -9, {3, 4}}, {3, 1, -2, {2, 3, 3}}, {2, 0, 1, {4, 0}},
                 {2, 0, 9, {2, 3}}};
    const int i = e->variant / 2;
    const maas_dtype t = e->variant == 4   ? MAAS_BOOL
                         : e->variant == 8 ? MAAS_I64
                                           : maas_ex_float(e);
    const maas_attr upper = MAAS_A_INT("upper", cases[i].upper);
    const maas_vid x = maas_ex_in(e, t, 0.2, 3, cases[i].rank, cases[i].dims);
    maas_b_attr1(e->b, "Trilu", upper, x, i ? maas_b_i64(e->b, cases[i].k) : MAAS_NO_VALUE);
}

#define TRILU_DTS (MAAS_DTS_NUMERIC | MAAS_DTS_BOOL)
static const maas_io_schema in[] = {MAAS_REQ("input", "T", TRILU_DTS),
                                    MAAS_OPT("k", NULL, MAAS_DTS_I64)};
static const maas_io_schema out[] = {MAAS_REQ("output", "T", TRILU_DTS)};
static const maas_attr_schema attrs[] = {{"upper", MAAS_ATTR_INT, false}};

const maas_op maas_op_Trilu = {
    .domain = "",
    .name = "Trilu",
    .since = 14,
    .flags = MAAS_OP_INPLACE,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 14,
    .infer = trilu_infer,
    .reference = trilu_reference,
    .flops = maas_flops_none,
    .example = trilu_example,
    .gradient = trilu_gradient,
};
