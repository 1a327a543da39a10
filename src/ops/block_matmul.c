/*
 * BlockMatMul and BlockGather (ai.maas): products with, and rows of, a matrix whose rows are blocks
 * of few bits.
 *
 *   Y[..., n] = sum over k of X[..., k] * W[n, k] (+ bias[n])          Y[..., k] = W[ids[...], k]
 */
#include "ops/block_matmul.h"
#include "ops/ops_int.h"

#include "base/ban.h"

maas_status maas_block_w_of(const maas_node *n, int rank, const int64_t *dims, maas_block_w *out,
                            maas_err *err)
{
    const int64_t type = maas_attr_i(n, "type", -1);
    out->q = type >= 0 && type <= UINT32_MAX ? maas_quant_of((uint32_t)type) : NULL;
    if (!out->q)
        return maas_fail(err, MAAS_E_INVALID, "type %lld is no block type", (long long)type);
    if (rank != 2 || dims[0] < 0 || dims[1] < 0 || dims[1] % out->q->block_bytes)
        return maas_fail(err, MAAS_E_INVALID, "W must be rows of whole blocks of %s", out->q->name);
    out->n = dims[0];
    out->row_bytes = (size_t)dims[1];
    return __builtin_mul_overflow(dims[1] / out->q->block_bytes, (int64_t)out->q->block, &out->k)
               ? maas_fail(err, MAAS_E_TOO_LARGE, "W has too many columns")
               : MAAS_OK;
}

static maas_status matmul_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[MAAS_BLOCK_X], *w = &q->in[MAAS_BLOCK_W];
    const maas_type *bias = &q->in[MAAS_BLOCK_BIAS];
    maas_block_w b = {0};
    int64_t ignored;
    MAAS_TRY(maas_block_w_of(q->node, w->rank, w->dims, &b, err));
    if (maas_q_has(q, MAAS_BLOCK_BIAS) && bias->rank >= 0 &&
        (bias->rank != 1 || (bias->dims[0] >= 0 && bias->dims[0] != b.n)))
        return maas_fail(err, MAAS_E_INVALID, "bias must have %lld elements", (long long)b.n);
    q->out[0] = *x;
    if (x->rank == 0)
        return maas_fail(err, MAAS_E_INVALID, "X is a scalar");
    if (x->rank < 0)
        return MAAS_OK;
    q->out[0].dims[x->rank - 1] = b.n;
    return maas_dim_same(x->dims[x->rank - 1], b.k, &ignored, "columns of X and W", err);
}

static maas_status matmul_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[MAAS_BLOCK_X], *w = &c->in[MAAS_BLOCK_W];
    const maas_tensor *bias = maas_c_in(c, MAAS_BLOCK_BIAS);
    maas_block_w b = {0};
    MAAS_TRY(maas_block_w_of(c->node, w->rank, w->dims, &b, err));
    AUTO_FREE float *row = maas_alloc((size_t)(b.k + 1) * sizeof *row);
    if (!row)
        return maas_fail(err, MAAS_E_NOMEM, "a row of weights");
    const int64_t rows = b.k ? maas_n_elems(x) / b.k : 0;
    for (int64_t n = 0; n < b.n; n++) {
        b.q->to_f32((const uint8_t *)w->data + (size_t)n * b.row_bytes, row, b.k);
        for (int64_t i = 0; i < rows; i++) {
            double sum = bias ? maas_ld(bias, n) : 0;
            for (int64_t k = 0; k < b.k; k++)
                sum += maas_ld(x, i * b.k + k) * (double)row[k];
            maas_st(&c->out[0], i * b.n + n, sum);
        }
    }
    return MAAS_OK;
}

static int64_t matmul_flops(const maas_call *c)
{
    return 2 * maas_n_elems(&c->in[MAAS_BLOCK_X]) * c->in[MAAS_BLOCK_W].dims[0];
}

/* ---- BlockGather ---- */

static maas_status gather_infer(maas_infer *q, maas_err *err)
{
    const maas_type *w = &q->in[0], *ids = &q->in[1];
    maas_block_w b = {0};
    MAAS_TRY(maas_block_w_of(q->node, w->rank, w->dims, &b, err));
    if (ids->rank >= MAAS_MAX_RANK)
        return maas_fail(err, MAAS_E_INVALID, "ids have rank %d", ids->rank);
    if (ids->rank < 0) {
        maas_q_unranked(q, 0, MAAS_F32);
        return MAAS_OK;
    }
    int64_t dims[MAAS_MAX_RANK];
    memcpy(dims, ids->dims, sizeof dims);
    dims[ids->rank] = b.k;
    maas_q_out(q, 0, MAAS_F32, ids->rank + 1, dims);
    return MAAS_OK;
}

static maas_status gather_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *w = &c->in[0], *ids = &c->in[1];
    maas_block_w b = {0};
    MAAS_TRY(maas_block_w_of(c->node, w->rank, w->dims, &b, err));
    for (int64_t i = 0; i < maas_n_elems(ids); i++) {
        int64_t row;
        MAAS_TRY(maas_ref_index(maas_tensor_get_i64(ids, i), b.n, &row, err));
        b.q->to_f32((const uint8_t *)w->data + (size_t)row * b.row_bytes,
                    (float *)c->out[0].data + i * b.k, b.k);
    }
    return MAAS_OK;
}

/* ---- examples: small weights, so that the rounding of X to bytes stays below the tolerance ----
 */

static const struct example {
    maas_quant_id type;
    int64_t rows, n, k;
    bool bias;
} examples[] = {
    {MAAS_Q_Q4_0, 1, 40, 64, false}, {MAAS_Q_Q4_1, 3, 33, 96, true},
    {MAAS_Q_Q5_0, 9, 16, 64, false}, {MAAS_Q_Q5_1, 2, 50, 32, true},
    {MAAS_Q_Q8_0, 17, 7, 160, true}, {MAAS_Q_F16, 5, 12, 50, false},
    {MAAS_Q_BF16, 1, 64, 33, true},  {MAAS_Q_F32, 4, 20, 24, false},
    {MAAS_Q_Q8_0, 0, 16, 32, false},
};

static maas_vid blocks_of(maas_example *e, maas_quant_id type, int64_t n, int64_t k)
{
    const maas_quant *q = maas_quant_of(type);
    size_t bytes = 0;
    if (maas_quant_bytes(q, n, k, &bytes, e->b->err) != MAAS_OK)
        return MAAS_NO_VALUE;
    AUTO_FREE float *numbers = maas_alloc((size_t)(n * k) * sizeof *numbers);
    AUTO_FREE uint8_t *blocks = maas_alloc(bytes);
    if (!numbers || !blocks)
        return MAAS_NO_VALUE;
    for (int64_t i = 0; i < n * k; i++)
        numbers[i] = 0.05f * maas_rng_normal(e->rng);
    q->from_f32(numbers, blocks, n * k);
    const int64_t dims[] = {n, (int64_t)bytes / n};
    const maas_tensor t = maas_tensor_of(MAAS_U8, 2, dims, blocks);
    return maas_b_const(e->b, NULL, &t);
}

static void matmul_example(maas_example *e)
{
    const struct example *x = &examples[e->variant];
    const maas_attr type = MAAS_A_INT("type", x->type);
    maas_vid in[3] = {maas_ex_in(e, MAAS_F32, -1, 1, MAAS_DIMS(x->rows, x->k)),
                      blocks_of(e, x->type, x->n, x->k), MAAS_NO_VALUE};
    if (x->bias)
        in[MAAS_BLOCK_BIAS] = maas_ex_in(e, MAAS_F32, -1, 1, MAAS_DIMS(x->n));
    maas_b_node(e->b, "BlockMatMul", &type, 1, in, 3, NULL, 1);
}

static void gather_example(maas_example *e)
{
    static const maas_quant_id types[] = {MAAS_Q_Q4_0, MAAS_Q_Q8_0, MAAS_Q_F16, MAAS_Q_Q4_1};
    const maas_attr type = MAAS_A_INT("type", types[e->variant]);
    const maas_dtype index = e->variant & 1 ? MAAS_I32 : MAAS_I64;
    const maas_vid in[2] = {blocks_of(e, types[e->variant], 20, 64),
                            maas_ex_in(e, index, 0, 20, MAAS_DIMS(3, 5))};
    maas_b_node(e->b, "BlockGather", &type, 1, in, 2, NULL, 1);
}

#define F32_ONLY MAAS_DT_BIT(MAAS_F32)
#define U8_ONLY  MAAS_DT_BIT(MAAS_U8)
static const maas_io_schema matmul_in[] = {
    MAAS_REQ("X", NULL, F32_ONLY), MAAS_REQ("W", NULL, U8_ONLY), MAAS_OPT("bias", NULL, F32_ONLY)};
static const maas_io_schema gather_in[] = {MAAS_REQ("W", NULL, U8_ONLY),
                                           MAAS_REQ("ids", NULL, MAAS_DTS_INDEX)};
static const maas_io_schema out[] = {MAAS_REQ("Y", NULL, F32_ONLY)};
static const maas_attr_schema attrs[] = {{"type", MAAS_ATTR_INT, true}};

/* Kernels round X to bytes, with a scale for each 32 of them, as everybody does who multiplies
 * blocks: that is what is tolerated. tests/unit/kernels/test_block.c checks them against sums of
 * the same rounded numbers. */
const maas_op maas_op_BlockMatMul = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "BlockMatMul",
    .since = 1,
    MAAS_SCHEMA(matmul_in, out),
    MAAS_ATTRS(attrs),
    .n_examples = MAAS_COUNT(examples),
    .tolerance = 9e-3,
    .infer = matmul_infer,
    .reference = matmul_reference,
    .flops = matmul_flops,
    .example = matmul_example,
    .no_gradient = "weights in blocks are not trained",
};

const maas_op maas_op_BlockGather = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "BlockGather",
    .since = 1,
    MAAS_SCHEMA(gather_in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 4,
    .infer = gather_infer,
    .reference = gather_reference,
    .flops = maas_flops_none,
    .example = gather_example,
    .no_gradient = "weights in blocks are not trained",
};
