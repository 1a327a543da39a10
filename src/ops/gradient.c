/*
 * Gradient (ai.onnx.preview.training): derivatives of the value named `y` by those named in `xs`.
 * It says what to compute, not how: passes/write_gradients.c puts the nodes there before anything
 * runs, so there is nothing to run here.
 */
#include "ops/ops_int.h"

#include "base/ban.h"

static uint32_t n_names(const maas_node *n, const char *attr)
{
    const maas_attr *a = maas_node_attr(n, attr);
    return a ? a->n : 0;
}

static maas_status gradient_infer(maas_infer *q, maas_err *err)
{
    const maas_node *n = q->node;
    const uint32_t n_x = n_names(n, "xs"), n_z = n_names(n, "zs");
    if (n->n_in != n_x + n_z)
        return maas_fail(err, MAAS_E_INVALID, "%d inputs, but xs and zs name %u", n->n_in,
                         n_x + n_z);
    if (n->n_out > n_x)
        return maas_fail(err, MAAS_E_INVALID, "%d outputs, but xs names %u", n->n_out, n_x);
    for (int k = 0; k < n->n_out; k++)
        q->out[k] = q->in[k];
    return MAAS_OK;
}

static maas_status gradient_reference(const maas_call *c, maas_err *err)
{
    return maas_fail(err, MAAS_E_INVALID, "Gradient needs the graph that computes its 'y'");
}

static const maas_io_schema in[] = {MAAS_VARIADIC("Inputs", NULL, MAAS_DTS_NUMERIC)};
static const maas_io_schema out[] = {
    {.name = "Outputs", .dtypes = MAAS_DTS_NUMERIC, .optional = true, .variadic = true}};
static const maas_attr_schema attrs[] = {{"xs", MAAS_ATTR_STRINGS, true},
                                         {"y", MAAS_ATTR_STRING, true},
                                         {"zs", MAAS_ATTR_STRINGS, false}};

const maas_op maas_op_Gradient = {
    .domain = MAAS_DOMAIN_TRAINING,
    .name = "Gradient",
    .since = 1,
    .flags = MAAS_OP_WRITTEN_OUT,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .infer = gradient_infer,
    .reference = gradient_reference,
    .flops = maas_flops_none,
    .no_gradient = "derivatives of derivatives are not written",
};
