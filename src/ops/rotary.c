/*
 * RotaryEmbedding: in the first `rotary_embedding_dim` numbers of every head, pairs (a, b) turn by
 * the angle of their position: a' = cos a - sin b, b' = sin a + cos b. Pairs are the halves, or
 * neighbours when interleaved.
 */
#include "ops/rotary.h"

#include "ops/ops_int.h"

#include "base/ban.h"

maas_status maas_rotary_of(const maas_node *n, const int64_t *dims, int rank, maas_rotary *r,
                           maas_err *err)
{
    const int64_t heads = maas_attr_i(n, "num_heads", 0);
    const int64_t turned = maas_attr_i(n, "rotary_embedding_dim", 0);
    if (rank != 3 && rank != 4)
        return maas_fail(err, MAAS_E_INVALID, "the data has rank %d, must be 3 or 4", rank);
    if (heads < 0 || heads > INT32_MAX || (rank == 3 && !heads))
        return maas_fail(err, MAAS_E_INVALID, "num_heads is needed for data of rank 3");
    r->packed = rank == 3;
    r->batch = dims[0];
    r->heads = rank == 3 ? heads : dims[1];
    r->len = dims[rank - 2];
    r->size = dims[rank - 1];
    r->interleaved = maas_attr_i(n, "interleaved", 0) != 0;
    if (rank == 3 && r->size >= 0 && r->size % heads)
        return maas_fail(err, MAAS_E_INVALID, "%lld numbers are not %lld heads", (long long)r->size,
                         (long long)heads);
    if (rank == 3)
        r->size = r->size >= 0 ? r->size / heads : MAAS_DIM_UNKNOWN;
    if (turned < 0 || turned % 2 ||
        (r->size >= 0 && (turned > r->size || (!turned && r->size % 2))))
        return maas_fail(err, MAAS_E_INVALID, "%lld of %lld numbers cannot be turned",
                         (long long)turned, (long long)r->size);
    r->pairs = turned ? turned / 2 : r->size >= 0 ? r->size / 2 : MAAS_DIM_UNKNOWN;
    return MAAS_OK;
}

static maas_status check_table(const maas_infer *q, int i, const maas_rotary *r, bool by_position,
                               maas_err *err)
{
    const maas_type *t = &q->in[i];
    const char *name = q->node->op->in[i].name;
    int64_t ignored;
    if (t->rank < 0)
        return MAAS_OK;
    if (t->rank != (by_position ? 2 : 3))
        return maas_fail(err, MAAS_E_INVALID, "'%s' has rank %d, must be %d", name, t->rank,
                         by_position ? 2 : 3);
    MAAS_TRY(maas_dim_same(t->dims[t->rank - 1], r->pairs, &ignored, name, err));
    if (by_position)
        return MAAS_OK;
    MAAS_TRY(maas_dim_same(t->dims[0], r->batch, &ignored, name, err));
    return maas_dim_same(t->dims[1], r->len, &ignored, name, err);
}

static maas_status rotary_infer(maas_infer *q, maas_err *err)
{
    const bool by_position = maas_q_has(q, 3);
    const maas_type *x = &q->in[0], *p = &q->in[3];
    maas_rotary r;
    int64_t ignored;
    q->out[0] = *x;
    if (x->rank < 0)
        return MAAS_OK;
    MAAS_TRY(maas_rotary_of(q->node, x->dims, x->rank, &r, err));
    MAAS_TRY(check_table(q, 1, &r, by_position, err));
    MAAS_TRY(check_table(q, 2, &r, by_position, err));
    if (q->in[1].rank == 2 && q->in[2].rank == 2) /* any position is read from both */
        MAAS_TRY(maas_dim_same(q->in[1].dims[0], q->in[2].dims[0], &ignored, "positions", err));
    if (!by_position || p->rank < 0)
        return MAAS_OK;
    if (p->rank != 2)
        return maas_fail(err, MAAS_E_INVALID, "position_ids has rank %d, must be 2", p->rank);
    MAAS_TRY(maas_dim_same(p->dims[0], r.batch, &ignored, "position_ids", err));
    return maas_dim_same(p->dims[1], r.len, &ignored, "position_ids", err);
}

static void turn(const maas_call *c, const maas_rotary *r, int64_t at, int64_t row)
{
    const maas_tensor *x = &c->in[0], *y = &c->out[0];
    for (int64_t k = 0; k < r->pairs; k++) {
        const int64_t ia = at + (r->interleaved ? 2 * k : k);
        const int64_t ib = at + (r->interleaved ? 2 * k + 1 : k + r->pairs);
        const double cosine = maas_ld(&c->in[1], row + k), sine = maas_ld(&c->in[2], row + k);
        const double a = maas_ld(x, ia), b = maas_ld(x, ib);
        maas_st(y, ia, cosine * a - sine * b);
        maas_st(y, ib, sine * a + cosine * b);
    }
    for (int64_t k = 2 * r->pairs; k < r->size; k++)
        maas_st(y, at + k, maas_ld(x, at + k));
}

static maas_status rotary_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *p = maas_c_in(c, 3);
    maas_rotary r;
    MAAS_TRY(maas_rotary_of(c->node, x->dims, x->rank, &r, err));
    for (int64_t i = 0; i < r.batch * r.len; i++) {
        int64_t row = i;
        if (p)
            MAAS_TRY(maas_ref_index(maas_tensor_get_i64(p, i), c->in[1].dims[0], &row, err));
        for (int64_t h = 0; h < r.heads; h++)
            turn(c, &r, maas_rotary_at(&r, i, h), row * r.pairs);
    }
    return MAAS_OK;
}

static int64_t rotary_flops(const maas_call *c)
{
    return 3 * maas_n_elems(&c->out[0]);
}

/* Turned back: the same with -sin. */
static void rotary_gradient(maas_grad *g)
{
    const maas_node *n = g->node;
    const maas_vid in[4] = {g->dout[0], n->in[1], maas_b_op1(g->b, "Neg", n->in[2]),
                            n->n_in > 3 ? n->in[3] : MAAS_NO_VALUE};
    if (MAAS_WANT(g, 1) || MAAS_WANT(g, 2)) {
        g->b->status = maas_fail(g->b->err, MAAS_E_UNSUPPORTED,
                                 "RotaryEmbedding has a gradient for its data alone");
        return;
    }
    g->din[0] = maas_b_node(g->b, "RotaryEmbedding", n->attr, n->n_attr, in, n->n_in, NULL, 1);
}

/* Sines of anything: a constant, because the tables have no gradient. */
static maas_vid table_of(maas_example *e, maas_dtype t, double shift, int rank, const int64_t *dims)
{
    double room[64];
    const maas_tensor table = maas_tensor_of(t, rank, dims, room);
    for (int64_t i = 0; i < maas_n_elems(&table); i++)
        maas_st(&table, i, sin((double)i + shift));
    return maas_b_const(e->b, NULL, &table);
}

static void rotary_example(maas_example *e)
{
    static const struct {
        int packed, heads, size, turned, interleaved, by_position;
    } cases[] = {{0, 2, 4, 0, 0, 0}, {1, 3, 6, 4, 1, 1}, {0, 1, 5, 2, 1, 1}, {1, 2, 8, 0, 0, 1}};
    const int k = e->variant / 2;
    const maas_dtype t = maas_ex_float(e);
    const int64_t pairs = cases[k].turned ? cases[k].turned / 2 : cases[k].size / 2;
    const int64_t by_row[] = {2, 3, pairs}, by_position[] = {5, pairs};
    const maas_attr a[] = {MAAS_A_INT("num_heads", cases[k].heads),
                           MAAS_A_INT("rotary_embedding_dim", cases[k].turned),
                           MAAS_A_INT("interleaved", cases[k].interleaved)};
    maas_vid in[4] = {
        cases[k].packed ? maas_ex_in(e, t, -2, 2, MAAS_DIMS(2, 3, cases[k].heads * cases[k].size))
                        : maas_ex_in(e, t, -2, 2, MAAS_DIMS(2, cases[k].heads, 3, cases[k].size))};
    for (int i = 1; i < 3; i++)
        in[i] = cases[k].by_position ? table_of(e, t, 1.57 * i, 2, by_position)
                                     : table_of(e, t, 1.57 * i, 3, by_row);
    in[3] = cases[k].by_position ? maas_ex_in(e, MAAS_I64, 0, 5, MAAS_DIMS(2, 3)) : MAAS_NO_VALUE;
    maas_b_node(e->b, "RotaryEmbedding", a, 3, in, 4, NULL, 1);
}

static const maas_io_schema in[] = {
    MAAS_REQ("X", "T", MAAS_DTS_FLOAT), MAAS_REQ("cos_cache", "T", MAAS_DTS_FLOAT),
    MAAS_REQ("sin_cache", "T", MAAS_DTS_FLOAT), MAAS_OPT("position_ids", NULL, MAAS_DTS_I64)};
static const maas_io_schema out[] = {MAAS_REQ("Y", "T", MAAS_DTS_FLOAT)};
static const maas_attr_schema attrs[] = {{"interleaved", MAAS_ATTR_INT, false},
                                         {"num_heads", MAAS_ATTR_INT, false},
                                         {"rotary_embedding_dim", MAAS_ATTR_INT, false}};

const maas_op maas_op_RotaryEmbedding = {
    .domain = "",
    .name = "RotaryEmbedding",
    .since = 23,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 8,
    .tolerance = 1e-5,
    .infer = rotary_infer,
    .reference = rotary_reference,
    .flops = rotary_flops,
    .example = rotary_example,
    .gradient = rotary_gradient,
};
