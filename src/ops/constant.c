/*
 * Constant - a node that makes a fixed tensor. Readers turn it into a constant value of the graph;
 * this row is for graphs that still hold one. Exactly one attribute is set.
 */
#include "ops/ops_int.h"

#include "base/ban.h"

/* The attribute as a tensor; `one` holds a single element that lives in no array. */
static bool constant_of(const maas_node *n, maas_tensor *out, int64_t dims[1])
{
    for (int i = 0; i < n->n_attr; i++) {
        const maas_attr *a = &n->attr[i];
        dims[0] = a->n;
        if (strcmp(a->name, "value") == 0)
            *out = *a->u.tensor;
        else if (strcmp(a->name, "value_float") == 0)
            *out = maas_tensor_of(MAAS_F32, 0, NULL, (void *)(uintptr_t)&a->u.f);
        else if (strcmp(a->name, "value_int") == 0)
            *out = maas_tensor_of(MAAS_I64, 0, NULL, (void *)(uintptr_t)&a->u.i);
        else if (strcmp(a->name, "value_string") == 0)
            *out = maas_tensor_of(MAAS_STRING, 0, NULL, (void *)(uintptr_t)&a->u.s);
        else if (strcmp(a->name, "value_floats") == 0)
            *out = maas_tensor_of(MAAS_F32, 1, dims, (void *)(uintptr_t)a->u.floats);
        else if (strcmp(a->name, "value_ints") == 0)
            *out = maas_tensor_of(MAAS_I64, 1, dims, (void *)(uintptr_t)a->u.ints);
        else if (strcmp(a->name, "value_strings") == 0)
            *out = maas_tensor_of(MAAS_STRING, 1, dims, (void *)(uintptr_t)a->u.strings);
        else
            continue;
        return true;
    }
    return false;
}

static maas_status constant_infer(maas_infer *q, maas_err *err)
{
    maas_tensor t;
    int64_t dims[1];
    if (!constant_of(q->node, &t, dims))
        return maas_fail(err, MAAS_E_INVALID, "no attribute holds the value");
    q->out[0] = maas_type_of(&t);
    maas_known_of(&t, &q->out_known[0]);
    return MAAS_OK;
}

static maas_status constant_reference(const maas_call *c, maas_err *err)
{
    maas_tensor t;
    int64_t dims[1];
    if (!constant_of(c->node, &t, dims))
        return maas_fail(err, MAAS_E_INVALID, "Constant without a value");
    memcpy(c->out[0].data, t.data, maas_tensor_bytes(&t));
    return MAAS_OK;
}

static void constant_example(maas_example *e)
{
    static const float floats[] = {1.5f, -2, 3};
    static const int64_t ints[] = {4, -5};
    static const maas_str words[] = {{"a", 1}, {"bc", 2}};
    const maas_attr rows[] = {
        MAAS_A_FLOAT("value_float", 2.5f),
        MAAS_A_INT("value_int", -7),
        MAAS_A_STR("value_string", "word"),
        {.name = "value_floats", .type = MAAS_ATTR_FLOATS, .n = 3, .u.floats = floats},
        MAAS_A_INTS("value_ints", ints, 2),
        {.name = "value_strings", .type = MAAS_ATTR_STRINGS, .n = 2, .u.strings = words},
    };
    maas_b_node(e->b, "Constant", &rows[e->variant], 1, NULL, 0, NULL, 1);
}

static const maas_io_schema out[] = {MAAS_REQ("output", NULL, MAAS_DTS_ALL)};
static const maas_attr_schema attrs[] = {
    {"value", MAAS_ATTR_TENSOR, false},          {"value_float", MAAS_ATTR_FLOAT, false},
    {"value_int", MAAS_ATTR_INT, false},         {"value_string", MAAS_ATTR_STRING, false},
    {"value_floats", MAAS_ATTR_FLOATS, false},   {"value_ints", MAAS_ATTR_INTS, false},
    {"value_strings", MAAS_ATTR_STRINGS, false},
};

const maas_op maas_op_Constant = {
    .domain = "",
    .name = "Constant",
    .since = 13,
    .flags = MAAS_OP_STRINGS,
    .out = out,
    .n_out = 1,
    MAAS_ATTRS(attrs),
    .n_examples = 6,
    .infer = constant_infer,
    .reference = constant_reference,
    .flops = maas_flops_none,
    .example = constant_example,
    .no_gradient = "it has no inputs",
};
