/*
 * ExpertMatMul (ai.maas): products with one of many matrices, which every row chooses for itself.
 *
 *   Y[r, s, n] = sum over k of X[r, s, k] * W[ids[r, s], n, k]       (X may have one s for all)
 *
 * A row's result depends on that row alone.
 */
#include "ops/expert_matmul.h"
#include "ops/ops_int.h"

#include "base/ban.h"

static maas_status weights(const maas_node *n, int rank, const int64_t *dims, maas_experts *out,
                           maas_err *err)
{
    if (rank != 3 || dims[0] < 1)
        return maas_fail(err, MAAS_E_INVALID, "W must be matrices, one for each expert");
    out->n_experts = dims[0];
    return maas_block_w_of(n, 2, dims + 1, &out->w, err);
}

maas_status maas_experts_of(const maas_call *c, maas_experts *out, maas_err *err)
{
    const maas_tensor *x = &c->in[MAAS_EXPERT_X], *w = &c->in[MAAS_EXPERT_W];
    const maas_tensor *ids = &c->in[MAAS_EXPERT_IDS];
    MAAS_TRY(weights(c->node, w->rank, w->dims, out, err));
    out->rows = ids->dims[0];
    out->slots = ids->dims[1];
    out->shared = x->dims[1] == 1;
    return MAAS_OK;
}

static maas_status expert_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[MAAS_EXPERT_X], *w = &q->in[MAAS_EXPERT_W];
    const maas_type *ids = &q->in[MAAS_EXPERT_IDS];
    maas_experts e = {0};
    int64_t k, rows;
    MAAS_TRY(weights(q->node, w->rank, w->dims, &e, err));
    if ((x->rank >= 0 && x->rank != 3) || (ids->rank >= 0 && ids->rank != 2))
        return maas_fail(err, MAAS_E_INVALID, "X must have rank 3, ids rank 2");
    if (x->rank < 0 || ids->rank < 0) {
        maas_q_unranked(q, 0, MAAS_F32);
        return MAAS_OK;
    }
    MAAS_TRY(maas_dim_same(x->dims[2], e.w.k, &k, "columns of X and W", err));
    MAAS_TRY(maas_dim_same(x->dims[0], ids->dims[0], &rows, "rows of X and ids", err));
    if (x->dims[1] != 1)
        MAAS_TRY(maas_dim_same(x->dims[1], ids->dims[1], &k, "slots of X and ids", err));
    maas_q_out(q, 0, MAAS_F32, 3, (const int64_t[]){rows, ids->dims[1], e.w.n});
    return MAAS_OK;
}

static maas_status expert_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[MAAS_EXPERT_X], *ids = &c->in[MAAS_EXPERT_IDS];
    maas_experts e = {0};
    MAAS_TRY(maas_experts_of(c, &e, err));
    AUTO_FREE float *row = maas_alloc((size_t)(e.w.k + 1) * sizeof *row);
    if (!row)
        return maas_fail(err, MAAS_E_NOMEM, "a row of weights");
    for (int64_t i = 0; i < e.rows * e.slots; i++) {
        int64_t at;
        MAAS_TRY(maas_ref_index(maas_tensor_get_i64(ids, i), e.n_experts, &at, err));
        const uint8_t *w = (const uint8_t *)c->in[MAAS_EXPERT_W].data +
                           (size_t)(at * e.w.n) * e.w.row_bytes;
        for (int64_t n = 0; n < e.w.n; n++) {
            double sum = 0;
            e.w.q->to_f32(w + (size_t)n * e.w.row_bytes, row, e.w.k);
            for (int64_t k = 0; k < e.w.k; k++)
                sum += maas_ld(x, maas_experts_row(&e, i) * e.w.k + k) * (double)row[k];
            maas_st(&c->out[0], i * e.w.n + n, sum);
        }
    }
    return MAAS_OK;
}

static int64_t expert_flops(const maas_call *c)
{
    return 2 * maas_n_elems(&c->out[0]) * c->in[MAAS_EXPERT_X].dims[2];
}

/* ---- example and row ---- */

static const struct example {
    maas_quant_id type;
    int64_t rows, slots, experts, n, k;
    bool shared;
} examples[] = {
    {MAAS_Q_Q4_1, 9, 2, 5, 48, 96, true},  {MAAS_Q_Q8_0, 90, 2, 3, 32, 64, false},
    {MAAS_Q_Q8_0, 7, 2, 3, 20, 64, true},  {MAAS_Q_F32, 5, 3, 4, 17, 24, false},
    {MAAS_Q_Q4_0, 1, 2, 8, 33, 96, true},  {MAAS_Q_F16, 70, 1, 2, 6, 50, false},
    {MAAS_Q_Q5_1, 30, 4, 5, 9, 32, false}, {MAAS_Q_Q8_0, 0, 2, 3, 16, 32, true},
};

static void expert_example(maas_example *e)
{
    const struct example *x = &examples[e->variant];
    const maas_quant *q = maas_quant_of(x->type);
    const maas_attr type = MAAS_A_INT("type", x->type);
    size_t bytes = 0;
    if (maas_quant_bytes(q, x->experts * x->n, x->k, &bytes, e->b->err) != MAAS_OK)
        return;
    const int64_t count = x->experts * x->n * x->k;
    AUTO_FREE float *numbers = maas_alloc((size_t)count * sizeof *numbers);
    AUTO_FREE uint8_t *blocks = maas_alloc(bytes);
    if (!numbers || !blocks)
        return;
    for (int64_t i = 0; i < count; i++)
        numbers[i] = 0.05f * maas_rng_normal(e->rng);
    q->from_f32(numbers, blocks, count);
    const int64_t dims[] = {x->experts, x->n, (int64_t)bytes / (x->experts * x->n)};
    const maas_tensor w = maas_tensor_of(MAAS_U8, 3, dims, blocks);
    const maas_vid in[3] = {
        maas_ex_in(e, MAAS_F32, -1, 1, MAAS_DIMS(x->rows, x->shared ? 1 : x->slots, x->k)),
        maas_b_const(e->b, NULL, &w),
        maas_ex_in(e, MAAS_I64, 0, (double)x->experts, MAAS_DIMS(x->rows, x->slots))};
    maas_b_node(e->b, "ExpertMatMul", &type, 1, in, 3, NULL, 1);
}

static const maas_io_schema in[] = {MAAS_REQ("X", NULL, MAAS_DT_BIT(MAAS_F32)),
                                    MAAS_REQ("W", NULL, MAAS_DT_BIT(MAAS_U8)),
                                    MAAS_REQ("ids", NULL, MAAS_DTS_INDEX)};
static const maas_io_schema out[] = {MAAS_REQ("Y", NULL, MAAS_DT_BIT(MAAS_F32))};
static const maas_attr_schema attrs[] = {{"type", MAAS_ATTR_INT, true}};

const maas_op maas_op_ExpertMatMul = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "ExpertMatMul",
    .since = 1,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = MAAS_COUNT(examples),
    .tolerance = 9e-3, /* X may be rounded to bytes */
    .infer = expert_infer,
    .reference = expert_reference,
    .flops = expert_flops,
    .example = expert_example,
    .no_gradient = "weights in blocks are not trained",
};
