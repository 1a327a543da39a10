/*
 * MatMulNBits (com.microsoft): Y = A W^T + bias, the weights [N][K] in codes of few bits. What a
 * hint says about the precision of A is not needed: sums are taken of A as it is.
 */
#include "ops/matmul_nbits.h"
#include "ops/ops_int.h"

#include "base/ban.h"

enum { A = MAAS_NBITS_A, B, SCALES, ZEROS, GROUPS, BIAS };

maas_status maas_nbits_of(const maas_node *n, maas_nbits *out, maas_err *err)
{
    maas_nbits w = {.n = maas_attr_i(n, "N", 0),
                    .k = maas_attr_i(n, "K", 0),
                    .block = maas_attr_i(n, "block_size", 0)};
    const int64_t bits = maas_attr_i(n, "bits", 4);
    if (w.n < 1 || w.k < 1 || w.n > INT32_MAX || w.k > INT32_MAX)
        return maas_fail(err, MAAS_E_INVALID, "N and K are %lld and %lld", (long long)w.n,
                         (long long)w.k);
    if (w.block < 16 || w.block > 1 << 30 || (w.block & (w.block - 1)))
        return maas_fail(err, MAAS_E_INVALID, "block_size %lld is no power of two from 16 on",
                         (long long)w.block);
    if (bits != 2 && bits != 4 && bits != 8)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "codes of %lld bits: 2, 4 and 8 are supported",
                         (long long)bits);
    if (maas_attr_i(n, "weight_prepacked", 0) != 0)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "weights that were packed for a certain device");
    w.bits = (int)bits;
    w.blocks = (w.k + w.block - 1) / w.block;
    w.blob = w.block * bits / 8;
    w.zero_row = (w.blocks * bits + 7) / 8;
    *out = w;
    return MAAS_OK;
}

double maas_nbits_zero(const maas_nbits *w, const maas_tensor *zeros, int64_t n, int64_t block)
{
    if (!zeros)
        return 1 << (w->bits - 1);
    if (zeros->dtype != MAAS_U8)
        return maas_ld(zeros, n * w->blocks + block);
    const int64_t bit = block * w->bits;
    const uint8_t byte = ((const uint8_t *)zeros->data)[n * w->zero_row + bit / 8];
    return byte >> bit % 8 & ((1u << w->bits) - 1);
}

/* ---- shapes ---- */

static maas_status has_elements(const maas_infer *q, int i, int64_t want, maas_err *err)
{
    if (!maas_q_has(q, i) || q->in[i].rank < 0)
        return MAAS_OK;
    const int64_t n = maas_dim_product(q->in[i].dims, 0, q->in[i].rank);
    return n < 0 || n == want
               ? MAAS_OK
               : maas_fail(err, MAAS_E_INVALID, "input '%s' has %lld elements, not %lld",
                           q->node->op->in[i].name, (long long)n, (long long)want);
}

static maas_status nbits_infer(maas_infer *q, maas_err *err)
{
    const maas_type *a = &q->in[A];
    maas_nbits w;
    int64_t ignored;
    MAAS_TRY(maas_nbits_of(q->node, &w, err));
    MAAS_TRY(has_elements(q, B, w.n * w.blocks * w.blob, err));
    MAAS_TRY(has_elements(q, SCALES, w.n * w.blocks, err));
    MAAS_TRY(has_elements(q, GROUPS, w.k, err));
    MAAS_TRY(has_elements(q, BIAS, w.n, err));
    if (maas_q_has(q, ZEROS) && q->in[ZEROS].dtype != MAAS_U8 && q->in[ZEROS].dtype != a->dtype)
        return maas_fail(err, MAAS_E_INVALID, "zero_points must be packed or as A");
    MAAS_TRY(
        has_elements(q, ZEROS, w.n * (q->in[ZEROS].dtype == MAAS_U8 ? w.zero_row : w.blocks), err));
    q->out[0] = *a;
    if (a->rank == 0)
        return maas_fail(err, MAAS_E_INVALID, "A is a scalar");
    if (a->rank < 0)
        return MAAS_OK;
    q->out[0].dims[a->rank - 1] = w.n;
    return maas_dim_same(a->dims[a->rank - 1], w.k, &ignored, "columns of A and K", err);
}

/* ---- running ---- */

/* Row n of the weights. */
static maas_status unpack_row(const maas_call *c, const maas_nbits *w, int64_t n, int64_t k,
                              double *out, maas_err *err)
{
    const maas_tensor *groups = maas_c_in(c, GROUPS);
    int64_t block = k / w->block;
    if (groups)
        MAAS_TRY(maas_ref_index(maas_tensor_get_i64(groups, k), w->blocks, &block, err));
    const double zero = maas_nbits_zero(w, maas_c_in(c, ZEROS), n, block);
    *out = ((double)maas_nbits_code(w, c->in[B].data, n, k) - zero) *
           maas_ld(&c->in[SCALES], n * w->blocks + block);
    return MAAS_OK;
}

static maas_status nbits_reference(const maas_call *c, maas_err *err)
{
    enum { PART = 256 }; /* rows of A that share an unpacked weight */
    const maas_tensor *a = &c->in[A], *bias = maas_c_in(c, BIAS);
    maas_nbits w;
    MAAS_TRY(maas_ref_check(c, err));
    MAAS_TRY(maas_nbits_of(c->node, &w, err));
    const int64_t rows = maas_n_elems(a) / w.k;
    for (int64_t n = 0; n < w.n; n++)
        for (int64_t from = 0; from < rows; from += PART) {
            const int64_t m = rows - from < PART ? rows - from : PART;
            double sums[PART], weight;
            for (int64_t i = 0; i < m; i++)
                sums[i] = bias ? maas_ld(bias, n) : 0;
            for (int64_t k = 0; k < w.k; k++) {
                MAAS_TRY(unpack_row(c, &w, n, k, &weight, err));
                for (int64_t i = 0; i < m; i++)
                    sums[i] += maas_ld(a, (from + i) * w.k + k) * weight;
            }
            for (int64_t i = 0; i < m; i++)
                maas_st(&c->out[0], (from + i) * w.n + n, sums[i]);
        }
    return MAAS_OK;
}

static int64_t nbits_flops(const maas_call *c)
{
    return 2 * maas_n_elems(&c->in[A]) * maas_attr_i(c->node, "N", 1);
}

/* ---- examples and rows ---- */

static const struct example {
    maas_dtype t, zeros; /* zeros NONE: none */
    int bits, rank;
    int64_t dims[3], n, block;
    bool groups, bias;
} examples[] = {
    {MAAS_F32, MAAS_DT_NONE, 4, 2, {5, 64}, 7, 32, false, false},
    {MAAS_F32, MAAS_U8, 4, 2, {1, 256}, 33, 32, false, true},
    {MAAS_F32, MAAS_U8, 4, 3, {2, 3, 70}, 9, 16, false, false},
    {MAAS_F32, MAAS_F32, 4, 2, {3, 96}, 8, 32, false, true},
    {MAAS_F32, MAAS_U8, 8, 2, {4, 100}, 5, 64, false, true},
    {MAAS_F32, MAAS_DT_NONE, 8, 2, {9, 128}, 17, 128, false, false},
    {MAAS_F32, MAAS_U8, 2, 2, {3, 80}, 6, 16, false, false},
    {MAAS_F32, MAAS_U8, 4, 2, {2, 64}, 4, 16, true, true},
    {MAAS_F16, MAAS_F16, 4, 2, {2, 48}, 4, 32, false, true},
    {MAAS_F32, MAAS_U8, 4, 2, {0, 48}, 4, 32, false, false},
    {MAAS_F32, MAAS_DT_NONE, 4, 2, {70, 160}, 50, 32, false, true},
    {MAAS_F32, MAAS_U8, 4, 1, {36}, 20, 16, false, false},
};

static maas_vid random_const(maas_example *e, maas_dtype t, int64_t n, double lo, double hi)
{
    static _Thread_local uint64_t cells[4096];
    const int64_t dims[] = {n};
    maas_tensor x = maas_tensor_of(t, 1, dims, cells);
    MAAS_CHECK(maas_tensor_bytes(&x) <= sizeof cells);
    for (int64_t i = 0; i < n; i++)
        maas_tensor_set(&x, i, lo + (hi - lo) * maas_rng_unit(e->rng));
    return maas_b_const(e->b, NULL, &x);
}

static void nbits_example(maas_example *e)
{
    const struct example *x = &examples[e->variant];
    const int64_t k = x->dims[x->rank - 1], blocks = (k + x->block - 1) / x->block;
    const maas_attr attr[] = {MAAS_A_INT("K", k), MAAS_A_INT("N", x->n),
                              MAAS_A_INT("bits", x->bits), MAAS_A_INT("block_size", x->block)};
    maas_vid in[6];
    in[A] = maas_ex_in(e, x->t, -2, 2, x->rank, x->dims);
    in[B] = random_const(e, MAAS_U8, x->n * blocks * x->block * x->bits / 8, 0, 256);
    in[SCALES] = random_const(e, x->t, x->n * blocks, 0.01, 0.1);
    in[ZEROS] = in[GROUPS] = in[BIAS] = MAAS_NO_VALUE;
    if (x->zeros == MAAS_U8)
        in[ZEROS] = random_const(e, MAAS_U8, x->n * ((blocks * x->bits + 7) / 8), 0, 256);
    else if (x->zeros)
        in[ZEROS] = random_const(e, x->zeros, x->n * blocks, 0, 15);
    if (x->groups)
        in[GROUPS] = random_const(e, MAAS_I32, k, 0, (double)blocks);
    if (x->bias)
        in[BIAS] = random_const(e, x->t, x->n, -1, 1);
    maas_b_node(e->b, "MatMulNBits", attr, MAAS_COUNT(attr), in, 6, NULL, 1);
}

#define REALS (MAAS_DT_BIT(MAAS_F32) | MAAS_DT_BIT(MAAS_F16) | MAAS_DT_BIT(MAAS_BF16))
static const maas_io_schema in[] = {MAAS_REQ("A", "T1", REALS),
                                    MAAS_REQ("B", NULL, MAAS_DT_BIT(MAAS_U8)),
                                    MAAS_REQ("scales", "T1", REALS),
                                    MAAS_OPT("zero_points", NULL, REALS | MAAS_DT_BIT(MAAS_U8)),
                                    MAAS_OPT("g_idx", NULL, MAAS_DT_BIT(MAAS_I32)),
                                    MAAS_OPT("bias", "T1", REALS)};
static const maas_io_schema out[] = {MAAS_REQ("Y", "T1", REALS)};
static const maas_attr_schema attrs[] = {{"K", MAAS_ATTR_INT, true},
                                         {"N", MAAS_ATTR_INT, true},
                                         {"bits", MAAS_ATTR_INT, false},
                                         {"block_size", MAAS_ATTR_INT, true},
                                         {"accuracy_level", MAAS_ATTR_INT, false},
                                         {"weight_prepacked", MAAS_ATTR_INT, false}};

const maas_op maas_op_MatMulNBits = {
    .domain = MAAS_DOMAIN_MS,
    .name = "MatMulNBits",
    .since = 1,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = MAAS_COUNT(examples),
    .tolerance = 1e-4,
    .infer = nbits_infer,
    .reference = nbits_reference,
    .flops = nbits_flops,
    .example = nbits_example,
    .no_gradient = "its weights are codes",
};
