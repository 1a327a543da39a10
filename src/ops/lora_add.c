/*
 * LoraAdd (ai.maas): low-rank adapters, which every row chooses for itself.
 *
 *   out[r, n] = Y[r, n] + strength[r] * sum over j of (sum over k of X[r, k] * A[j, k]) * B[j, n]
 *
 * j: the ranks of the row's adapter. A row without one stays as it is, to the bit; a row's result
 * depends on that row alone.
 */
#include "ops/lora_add.h"
#include "ops/ops_int.h"

#include "base/ban.h"

maas_status maas_lora_of(const maas_call *c, int64_t row, maas_lora_span *out, maas_err *err)
{
    const maas_tensor *from = &c->in[MAAS_LORA_FROM];
    const int64_t id = maas_tensor_get_i64(&c->in[MAAS_LORA_IDS], row);
    *out = (maas_lora_span){0};
    if (id < 0)
        return MAAS_OK;
    if (id >= from->dims[0] - 1)
        return maas_fail(err, MAAS_E_INVALID, "adapter %lld of %lld", (long long)id,
                         (long long)from->dims[0] - 1);
    *out = (maas_lora_span){maas_tensor_get_i64(from, id), maas_tensor_get_i64(from, id + 1)};
    if (out->from < 0 || out->from > out->to || out->to > c->in[MAAS_LORA_A].dims[0])
        return maas_fail(err, MAAS_E_INVALID, "adapter %lld has the ranks %lld .. %lld of %lld",
                         (long long)id, (long long)out->from, (long long)out->to,
                         (long long)c->in[MAAS_LORA_A].dims[0]);
    return MAAS_OK;
}

static maas_status lora_infer(maas_infer *q, maas_err *err)
{
    static const struct {
        uint8_t a, a_dim, b, b_dim;
        const char *what;
    } same[] = {
        {MAAS_LORA_Y, 0, MAAS_LORA_X, 0, "rows of Y and X"},
        {MAAS_LORA_Y, 0, MAAS_LORA_IDS, 0, "rows of Y and ids"},
        {MAAS_LORA_Y, 0, MAAS_LORA_STRENGTH, 0, "rows of Y and strength"},
        {MAAS_LORA_X, 1, MAAS_LORA_A, 1, "columns of X and A"},
        {MAAS_LORA_Y, 1, MAAS_LORA_B, 1, "columns of Y and B"},
        {MAAS_LORA_A, 0, MAAS_LORA_B, 0, "rows of A and B"},
    };
    bool known = true;
    for (int i = 0; i < MAAS_LORA_N_IN; i++) {
        if (q->in[i].rank >= 0 && q->in[i].rank != (i < MAAS_LORA_FROM ? 2 : 1))
            return maas_fail(err, MAAS_E_INVALID, "input %d has rank %d", i, q->in[i].rank);
        known = known && q->in[i].rank >= 0;
    }
    if (!known) {
        maas_q_unranked(q, 0, MAAS_F32);
        return MAAS_OK;
    }
    if (q->in[MAAS_LORA_FROM].dims[0] == 0)
        return maas_fail(err, MAAS_E_INVALID, "'from' must have an end");
    int64_t dims[2] = {q->in[MAAS_LORA_Y].dims[0], q->in[MAAS_LORA_Y].dims[1]}, other;
    for (size_t i = 0; i < MAAS_COUNT(same); i++)
        MAAS_TRY(maas_dim_same(q->in[same[i].a].dims[same[i].a_dim],
                               q->in[same[i].b].dims[same[i].b_dim],
                               i == 0   ? &dims[0]
                               : i == 4 ? &dims[1]
                                        : &other,
                               same[i].what, err));
    maas_q_out(q, 0, MAAS_F32, 2, dims);
    return MAAS_OK;
}

static maas_status lora_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *in = c->in;
    const int64_t rows = in[MAAS_LORA_Y].dims[0], n = in[MAAS_LORA_Y].dims[1];
    const int64_t k = in[MAAS_LORA_X].dims[1];
    for (int64_t r = 0; r < rows; r++) {
        maas_lora_span s;
        MAAS_TRY(maas_lora_of(c, r, &s, err));
        for (int64_t i = 0; i < n; i++) {
            double sum = 0;
            for (int64_t j = s.from; j < s.to; j++) {
                double t = 0;
                for (int64_t x = 0; x < k; x++)
                    t += maas_ld(&in[MAAS_LORA_X], r * k + x) *
                         maas_ld(&in[MAAS_LORA_A], j * k + x);
                sum += t * maas_ld(&in[MAAS_LORA_B], j * n + i);
            }
            const double y = maas_ld(&in[MAAS_LORA_Y], r * n + i);
            maas_st(&c->out[0], r * n + i,
                    s.from == s.to ? y : y + maas_ld(&in[MAAS_LORA_STRENGTH], r) * sum);
        }
    }
    return MAAS_OK;
}

static int64_t lora_flops(const maas_call *c)
{
    const int64_t adapters = c->in[MAAS_LORA_FROM].dims[0] - 1;
    const int64_t rank = adapters > 0 ? c->in[MAAS_LORA_A].dims[0] / adapters : 0;
    return 2 * c->in[MAAS_LORA_Y].dims[0] * rank *
           (c->in[MAAS_LORA_X].dims[1] + c->in[MAAS_LORA_Y].dims[1]);
}

/* ---- example and row ---- */

static const struct example {
    int64_t rows, n, k;
    int adapters;
    int32_t from[5];
} examples[] = {
    {7, 20, 64, 3, {0, 4, 4, 13}}, {1, 300, 24, 1, {0, 8}}, {9, 17, 33, 4, {0, 1, 3, 20, 36}},
    {0, 16, 32, 2, {0, 2, 4}},     {5, 1, 1, 2, {0, 3, 5}}, {3, 8, 40, 0, {0}},
};

static void lora_example(maas_example *e)
{
    const struct example *x = &examples[e->variant];
    const int64_t ranks = x->from[x->adapters], count = x->adapters + 1;
    const maas_tensor from = maas_tensor_of(MAAS_I32, 1, &count, (void *)(uintptr_t)x->from);
    const maas_vid in[MAAS_LORA_N_IN] = {
        maas_ex_in(e, MAAS_F32, -1, 1, MAAS_DIMS(x->rows, x->n)),
        maas_ex_in(e, MAAS_F32, -1, 1, MAAS_DIMS(x->rows, x->k)),
        maas_ex_in(e, MAAS_F32, -0.2, 0.2, MAAS_DIMS(ranks, x->k)),
        maas_ex_in(e, MAAS_F32, -0.2, 0.2, MAAS_DIMS(ranks, x->n)),
        maas_b_const(e->b, NULL, &from),
        maas_ex_in(e, MAAS_I32, -1, (double)x->adapters, MAAS_DIMS(x->rows)),
        maas_ex_in(e, MAAS_F32, -1, 2, MAAS_DIMS(x->rows)),
    };
    maas_b_node(e->b, "LoraAdd", NULL, 0, in, MAAS_LORA_N_IN, NULL, 1);
}

static const maas_io_schema in[] = {
    MAAS_REQ("Y", NULL, MAAS_DT_BIT(MAAS_F32)),       MAAS_REQ("X", NULL, MAAS_DT_BIT(MAAS_F32)),
    MAAS_REQ("A", NULL, MAAS_DT_BIT(MAAS_F32)),       MAAS_REQ("B", NULL, MAAS_DT_BIT(MAAS_F32)),
    MAAS_REQ("from", NULL, MAAS_DT_BIT(MAAS_I32)),    MAAS_REQ("ids", NULL, MAAS_DT_BIT(MAAS_I32)),
    MAAS_REQ("strength", NULL, MAAS_DT_BIT(MAAS_F32))};
static const maas_io_schema out[] = {MAAS_REQ("out", NULL, MAAS_DT_BIT(MAAS_F32))};

const maas_op maas_op_LoraAdd = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "LoraAdd",
    .since = 1,
    MAAS_SCHEMA(in, out),
    .n_examples = MAAS_COUNT(examples),
    .tolerance = 1e-5,
    .infer = lora_infer,
    .reference = lora_reference,
    .flops = lora_flops,
    .example = lora_example,
    .no_gradient = "adapters are applied here, not trained",
};
