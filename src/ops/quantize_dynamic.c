/* DynamicQuantizeLinear: scale and zero point from the range of the data, zero included. All in
 * single precision, as the standard's function body has it. */
#include "ops/quantize.h"
#include "ops/ops_int.h"

#include "base/ban.h"

static maas_status dynamic_infer(maas_infer *q, maas_err *err)
{
    q->out[0] = q->in[0];
    q->out[0].dtype = MAAS_U8;
    if (q->node->n_out > 1)
        maas_q_out(q, 1, MAAS_F32, 0, NULL);
    if (q->node->n_out > 2)
        maas_q_out(q, 2, MAAS_U8, 0, NULL);
    return MAAS_OK;
}

void maas_quant_dynamic(const float *x, int64_t n, float *out_scale, uint8_t *out_zero)
{
    float lo = 0, hi = 0;
    for (int64_t i = 0; i < n; i++) {
        lo = x[i] < lo ? x[i] : lo;
        hi = x[i] > hi ? x[i] : hi;
    }
    const float scale = lo == hi ? 1 : (hi - lo) / 255;
    *out_scale = scale;
    *out_zero = (uint8_t)maas_quant_round((double)(-lo / scale), 0, 0, 255);
}

static maas_status dynamic_reference(const maas_call *c, maas_err *err)
{
    const float *x = c->in[0].data;
    const int64_t n = maas_n_elems(&c->in[0]);
    float scale;
    uint8_t zero;
    maas_quant_dynamic(x, n, &scale, &zero);
    uint8_t *y = c->out[0].data;
    for (int64_t i = 0; i < n; i++)
        y[i] = (uint8_t)maas_quant_round((double)(x[i] / scale), zero, 0, 255);
    if (maas_c_out(c, 1))
        *(float *)c->out[1].data = scale;
    if (maas_c_out(c, 2))
        *(uint8_t *)c->out[2].data = zero;
    return MAAS_OK;
}

static void dynamic_example(maas_example *e)
{
    static const struct {
        double lo, hi;
        int rank;
        int64_t dims[3];
    } cases[] = {{-1, 3, 2, {4, 37}}, {2, 5, 1, {9}},  {-5, -2, 3, {2, 3, 4}},
                 {0, 0, 1, {5}},      {-1, 1, 1, {0}}, {-90, 1, 0, {0}}};
    const int v = e->variant;
    maas_vid x = maas_ex_in(e, MAAS_F32, cases[v].lo, cases[v].hi, cases[v].rank, cases[v].dims);
    maas_vid out[3] = {MAAS_NO_VALUE, MAAS_NO_VALUE, MAAS_NO_VALUE};
    maas_b_node(e->b, "DynamicQuantizeLinear", NULL, 0, &x, 1, out, 3);
}

static const maas_io_schema in[] = {MAAS_REQ("x", NULL, MAAS_DT_BIT(MAAS_F32))};
static const maas_io_schema out[] = {MAAS_REQ("y", NULL, MAAS_DT_BIT(MAAS_U8)),
                                     MAAS_REQ("y_scale", NULL, MAAS_DT_BIT(MAAS_F32)),
                                     MAAS_REQ("y_zero_point", NULL, MAAS_DT_BIT(MAAS_U8))};

const maas_op maas_op_DynamicQuantizeLinear = {
    .domain = "",
    .name = "DynamicQuantizeLinear",
    .since = 11,
    MAAS_SCHEMA(in, out),
    .n_examples = 6,
    .infer = dynamic_infer,
    .reference = dynamic_reference,
    .flops = maas_flops_out,
    .example = dynamic_example,
    .no_gradient = "rounding has no slope",
};
