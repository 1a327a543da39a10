/* ReverseSequence: of every sequence of a batch, the first sequence_lens[i] items backwards. */
#include "ops/ops_int.h"

#include "base/ban.h"

static maas_status axes_of(const maas_node *n, int64_t *time, int64_t *batch, maas_err *err)
{
    *time = maas_attr_i(n, "time_axis", 0);
    *batch = maas_attr_i(n, "batch_axis", 1);
    if (*time < 0 || *time > 1 || *batch != 1 - *time)
        return maas_fail(err, MAAS_E_INVALID,
                         "attributes 'time_axis' and 'batch_axis' must be 0 and 1 or 1 and 0");
    return MAAS_OK;
}

static maas_status infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0], *lens = &q->in[1];
    int64_t time, batch, ignored;
    MAAS_TRY(axes_of(q->node, &time, &batch, err));
    if (x->rank >= 0 && x->rank < 2)
        return maas_fail(err, MAAS_E_INVALID, "the input must have rank 2 at least");
    if (lens->rank >= 0 && lens->rank != 1)
        return maas_fail(err, MAAS_E_INVALID, "sequence_lens must have rank 1");
    q->out[0] = *x;
    if (x->rank >= 0 && lens->rank >= 0)
        MAAS_TRY(maas_dim_same(x->dims[batch], lens->dims[0], &ignored, "sequence_lens", err));
    return MAAS_OK;
}

static maas_status reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    int64_t time, batch;
    MAAS_TRY(axes_of(c->node, &time, &batch, err));
    const int64_t n = x->dims[time], m = x->dims[batch];
    const int64_t t_step = time == 0 ? m : 1, b_step = time == 0 ? 1 : n;
    const size_t row = (size_t)maas_dims_product(x->dims, 2, x->rank) *
                       maas_dtype_size((maas_dtype)x->dtype);
    for (int64_t b = 0; b < m; b++) {
        const int64_t len = maas_tensor_get_i64(&c->in[1], b);
        if (len < 0 || len > n)
            return maas_fail(err, MAAS_E_INVALID, "sequence length %lld, must be from 0 to %lld",
                             (long long)len, (long long)n);
        for (int64_t t = 0; t < n; t++) {
            const int64_t from = t < len ? len - 1 - t : t;
            memcpy((char *)c->out[0].data + (size_t)(t * t_step + b * b_step) * row,
                   (const char *)x->data + (size_t)(from * t_step + b * b_step) * row, row);
        }
    }
    return MAAS_OK;
}

static void gradient(maas_grad *g)
{
    const maas_node *n = g->node;
    const maas_attr attr[] = {MAAS_A_INT("time_axis", maas_attr_i(n, "time_axis", 0)),
                              MAAS_A_INT("batch_axis", maas_attr_i(n, "batch_axis", 1))};
    const maas_vid in[2] = {g->dout[0], n->in[1]};
    if (g->want[0])
        g->din[0] = maas_b_node(g->b, "ReverseSequence", attr, 2, in, 2, NULL, 1);
}

static void example(maas_example *e)
{
    static const int64_t lens[] = {4, 0, 1, 3};
    const int time = e->variant / 2 % 2;
    const maas_attr attr[] = {MAAS_A_INT("time_axis", time), MAAS_A_INT("batch_axis", 1 - time)};
    const maas_dtype t = e->variant == 4 ? MAAS_STRING : maas_ex_float(e);
    const maas_vid in[2] = {maas_ex_in(e, t, -2, 2, MAAS_DIMS(4, 4, 3)),
                            maas_b_i64s(e->b, lens, 4)};
    maas_b_node(e->b, "ReverseSequence", attr, 2, in, 2, NULL, 1);
}

static const maas_io_schema in[] = {MAAS_REQ("input", "T", MAAS_DTS_ALL),
                                    MAAS_REQ("sequence_lens", NULL, MAAS_DTS_I64)};
static const maas_io_schema out[] = {MAAS_REQ("Y", "T", MAAS_DTS_ALL)};
static const maas_attr_schema attrs[] = {{"batch_axis", MAAS_ATTR_INT, false},
                                         {"time_axis", MAAS_ATTR_INT, false}};

const maas_op maas_op_ReverseSequence = {
    .domain = "",
    .name = "ReverseSequence",
    .since = 10,
    .flags = MAAS_OP_STRINGS,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 5,
    .infer = infer,
    .reference = reference,
    .flops = maas_flops_none,
    .example = example,
    .gradient = gradient,
};
