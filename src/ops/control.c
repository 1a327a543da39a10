/* If and SequenceMap. What they run is in their attributes; call.bodies runs it. */
#include "ops/ops_int.h"

#include "base/ban.h"

/* ---- If ---- */

static maas_status one_branch(maas_infer *q, const char *name, maas_err *err)
{
    maas_graph *body = maas_body_of(q->node, name);
    if (body->n_outputs != q->node->n_out)
        return maas_fail(err, MAAS_E_INVALID, "%s has %u outputs, %d are needed", name,
                         body->n_outputs, q->node->n_out);
    return maas_body_infer(q, body, NULL, 0, err);
}

static maas_status if_infer(maas_infer *q, maas_err *err)
{
    const maas_graph *yes = maas_body_of(q->node, "then_branch");
    const maas_graph *no = maas_body_of(q->node, "else_branch");
    const uint8_t *known = q->in_data[0].data;
    if (q->in[0].rank > 1 || (q->in[0].rank == 1 && q->in[0].dims[0] >= 0 && q->in[0].dims[0] != 1))
        return maas_fail(err, MAAS_E_INVALID, "the condition must be one bool");
    if (known && maas_n_elems(&q->in_data[0]) != 1)
        return maas_fail(err, MAAS_E_INVALID, "the condition must be one bool");
    /* of a condition that is known the other branch may be nonsense */
    if (!known || *known)
        MAAS_TRY(one_branch(q, "then_branch", err));
    if (!known || !*known)
        MAAS_TRY(one_branch(q, "else_branch", err));
    for (uint32_t k = 0; k < q->node->n_out; k++) {
        const maas_type a = maas_body_out(q, known && !*known ? no : yes, k);
        const maas_type b = maas_body_out(q, known && *known ? yes : no, k);
        MAAS_TRY(maas_type_join(&a, &b, &q->out[k], err));
    }
    return MAAS_OK;
}

static maas_status if_reference(const maas_call *c, maas_err *err)
{
    if (maas_n_elems(&c->in[0]) != 1)
        return maas_fail(err, MAAS_E_INVALID, "the condition must be one bool");
    const bool yes = *(const uint8_t *)c->in[0].data != 0;
    const maas_graph *body = maas_body_of(c->node, yes ? "then_branch" : "else_branch");
    maas_tensor *out = maas_arena_array(c->arena, body->n_outputs, sizeof *out);
    if (!out)
        return maas_fail(err, MAAS_E_NOMEM, "outputs of a branch");
    MAAS_TRY(c->bodies->run(c->bodies, body, c->in + 1, out, err));
    for (int k = 0; k < c->n_out; k++)
        MAAS_TRY(maas_ref_take(c, k, &out[k], err));
    return MAAS_OK;
}

static maas_graph *branch(maas_example *e, const char *op, maas_dtype t)
{
    maas_graph *g = NULL;
    maas_builder b;
    maas_vid x = MAAS_NO_VALUE;
    const maas_type type = maas_type_tensor(t, 2, (const int64_t[]){2, 3});
    if (maas_graph_create(op, NULL, &g, e->b->err) != MAAS_OK)
        return NULL;
    maas_builder_init(&b, g, e->b->err);
    b.status = maas_graph_value(g, "x", &type, &x, e->b->err);
    maas_b_output(&b, NULL, maas_b_op1(&b, op, x));
    if (e->b->status == MAAS_OK)
        e->b->status = b.status;
    return g;
}

static void if_example(maas_example *e)
{
    const maas_dtype t = maas_ex_float(e);
    const maas_vid c = maas_ex_in(e, MAAS_BOOL, 0, 2, 0, NULL);
    maas_ex_in(e, t, -2, 2, MAAS_DIMS(2, 3));
    if (e->b->status == MAAS_OK)
        e->b->status = maas_graph_rename(e->b->g, e->b->g->inputs[1], "x", e->b->err);
    const maas_attr attr[] = {MAAS_A_GRAPH("then_branch", branch(e, "Neg", t)),
                              MAAS_A_GRAPH("else_branch", branch(e, "Abs", t))};
    maas_b_node(e->b, "If", attr, 2, &c, 1, NULL, 1);
}

/* ---- SequenceMap: the body once for each item; what is no sequence is the same each time ---- */

static maas_status map_infer(maas_infer *q, maas_err *err)
{
    const int n = maas_n_own_in(q->node);
    maas_graph *body = maas_body_of(q->node, "body");
    AUTO_FREE maas_type *in = maas_calloc((size_t)n, sizeof *in);
    if (!in)
        return maas_fail(err, MAAS_E_NOMEM, "types of %d inputs", n);
    if (body->n_outputs != q->node->n_out)
        return maas_fail(err, MAAS_E_INVALID, "its graph has %u outputs, %d are needed",
                         body->n_outputs, q->node->n_out);
    for (int i = 0; i < n; i++)
        in[i] = q->in[i].tag == MAAS_TYPE_SEQUENCE
                    ? maas_type_tensor((maas_dtype)q->in[i].dtype, MAAS_RANK_UNKNOWN, NULL)
                    : q->in[i];
    MAAS_TRY(maas_body_infer(q, body, in, n, err));
    for (uint32_t k = 0; k < q->node->n_out; k++) {
        const maas_type t = maas_body_out(q, body, k);
        if (t.tag != MAAS_TYPE_TENSOR)
            return maas_fail(err, MAAS_E_INVALID, "a sequence cannot hold a %s",
                             maas_type_words[t.tag]);
        q->out[k] = maas_type_sequence((maas_dtype)t.dtype);
    }
    return MAAS_OK;
}

static maas_status map_item(const maas_call *c, const maas_graph *body, int64_t i, maas_tensor *in,
                            maas_tensor *out, maas_tensor **items, maas_err *err)
{
    for (int k = 0; k < maas_n_own_in(c->node); k++)
        if (c->in[k].holds)
            in[k] = maas_list_items(&c->in[k])[i];
    MAAS_TRY(c->bodies->run(c->bodies, body, in, out, err));
    for (int k = 0; k < c->n_out; k++)
        if (items[k])
            MAAS_TRY(maas_value_copy(c->arena, &out[k], &items[k][i], err));
    return MAAS_OK;
}

static maas_status map_reference(const maas_call *c, maas_err *err)
{
    const maas_graph *body = maas_body_of(c->node, "body");
    const int64_t n = c->in[0].dims[0];
    maas_tensor *in = maas_arena_dup(c->arena, c->in, (size_t)c->n_in * sizeof *in);
    maas_tensor *out = maas_arena_array(c->arena, (size_t)c->n_out, sizeof *out);
    maas_tensor **items = maas_arena_array(c->arena, (size_t)c->n_out, sizeof *items);
    if (!in || !out || !items)
        return maas_fail(err, MAAS_E_NOMEM, "operands of a graph");
    for (int k = 0; k < maas_n_own_in(c->node); k++)
        if (c->in[k].holds && c->in[k].dims[0] < n)
            return maas_fail(err, MAAS_E_INVALID, "sequence %d is shorter than the first", k);
    for (int k = 0; k < c->n_out; k++)
        if (maas_c_wants(c, k))
            MAAS_TRY(maas_ref_list(c, k, MAAS_SEQUENCE, n, &items[k], err));
    for (int64_t i = 0; i < n; i++)
        MAAS_TRY(map_item(c, body, i, in, out, items, err));
    return MAAS_OK;
}

static void map_example(maas_example *e)
{
    const maas_dtype t = maas_ex_float(e);
    const maas_vid x = maas_ex_list(e, MAAS_TYPE_SEQUENCE, t, -2, 2);
    const maas_type any = maas_type_tensor(t, MAAS_RANK_UNKNOWN, NULL);
    maas_graph *g = NULL;
    maas_builder b;
    maas_vid item = MAAS_NO_VALUE;
    if (maas_graph_create("each", NULL, &g, e->b->err) != MAAS_OK)
        return;
    maas_builder_init(&b, g, e->b->err);
    b.status = maas_graph_input(g, "item", &any, &item, e->b->err);
    maas_b_output(&b, NULL, maas_b_op1(&b, "Neg", item));
    if (e->b->status == MAAS_OK)
        e->b->status = b.status;
    const maas_attr attr = MAAS_A_GRAPH("body", g);
    maas_b_node(e->b, "SequenceMap", &attr, 1, &x, 1, NULL, 1);
}

#define ANY_ROW(nm, kinds, more)                                                                   \
    {                                                                                              \
        .name = (nm), .dtypes = MAAS_DTS_ALL, .tags = (kinds), .optional = (more),                 \
        .variadic = (more)                                                                         \
    }
static const maas_io_schema if_in[] = {MAAS_REQ("cond", NULL, MAAS_DTS_BOOL)};
static const maas_io_schema if_out[] = {
    {.name = "outputs", .dtypes = MAAS_DTS_ALL, .tags = MAAS_TAGS_ANY, .variadic = true}};
static const maas_io_schema map_in[] = {
    ANY_ROW("input_sequence", MAAS_TAGS_SEQ, false),
    ANY_ROW("additional_inputs", MAAS_TAG(MAAS_TYPE_TENSOR) | MAAS_TAGS_SEQ, true)};
static const maas_io_schema map_out[] = {
    {.name = "out_sequence", .dtypes = MAAS_DTS_ALL, .tags = MAAS_TAGS_SEQ, .variadic = true}};
static const maas_attr_schema if_attrs[] = {{"then_branch", MAAS_ATTR_GRAPH, true},
                                            {"else_branch", MAAS_ATTR_GRAPH, true}};
static const maas_attr_schema body_attr[] = {{"body", MAAS_ATTR_GRAPH, true}};

#define CONTROL(Name, fn, version, ins, outs, attrs)                                               \
    const maas_op maas_op_##Name = {                                                               \
        .domain = "",                                                                              \
        .name = #Name,                                                                             \
        .since = version,                                                                          \
        .flags = MAAS_OP_CONTROL | MAAS_OP_STRINGS,                                                \
        MAAS_SCHEMA(ins, outs),                                                                    \
        MAAS_ATTRS(attrs),                                                                         \
        .n_examples = 2,                                                                           \
        .infer = fn##_infer,                                                                       \
        .reference = fn##_reference,                                                               \
        .flops = maas_flops_none,                                                                  \
        .example = fn##_example,                                                                   \
        .no_gradient = "gradients do not go through control flow",                                 \
    };
CONTROL(If, if, 16, if_in, if_out, if_attrs)
CONTROL(SequenceMap, map, 17, map_in, map_out, body_attr)
