/* graph -> ModelProto. Every message is written by a function named after it; see protobuf.h for
 * why each runs twice. */
#include "formats/onnx_int.h"

#include "base/mem.h"
#include "tensor/small.h"
#include "base/ban.h"

typedef struct writer {
    const maas_graph *g;
    const maas_tensor *(*vars)(void *user, const char *name);
    void *user;
    int opset[MAAS_ONNX_N_DOMAINS]; /* 0: not used */
    maas_onnx_level *levels;        /* first: of g */
} writer;

/* What a variable holds now. */
static const maas_tensor *content_of(const writer *w, const maas_value *v)
{
    const maas_tensor *now = NULL;
    if ((v->flags & MAAS_VALUE_VARIABLE) && w->vars)
        now = w->vars(w->user, v->name);
    return now ? now : &v->init;
}

/* ---- messages ---- */

static void put_strings(maas_pb_writer *p, const maas_tensor *t)
{
    maas_pb_strings(p, TENSOR_STRINGS, t->data, (size_t)maas_n_elems(t));
}

/* Elements below a byte, a block at a time: whole bytes each but the last. */
static void put_packed(maas_pb_writer *p, const maas_tensor *t)
{
    enum { BLOCK = 4096 };
    uint8_t packed[BLOCK];
    const maas_dtype type = (maas_dtype)t->dtype;
    const size_t n = (size_t)maas_n_elems(t);
    maas_pb_begin(p, TENSOR_RAW);
    for (size_t i = 0; i < n; i += BLOCK) {
        const size_t some = n - i < BLOCK ? n - i : BLOCK;
        maas_small_pack(type, (const uint8_t *)t->data + i, some, packed);
        maas_pb_raw(p, packed, maas_small_packed(type, some));
    }
    maas_pb_end(p);
}

static void put_tensor(maas_pb_writer *p, uint32_t field, const char *name, const maas_tensor *t)
{
    maas_pb_begin(p, field);
    maas_pb_ints(p, TENSOR_DIMS, t->dims, t->rank);
    maas_pb_int(p, TENSOR_DTYPE, t->dtype);
    if (*name)
        maas_pb_text(p, TENSOR_NAME, name);
    if (t->dtype == MAAS_STRING)
        put_strings(p, t);
    else if (maas_dtype_describe((maas_dtype)t->dtype)->file_bits < 8)
        put_packed(p, t);
    else
        maas_pb_bytes(p, TENSOR_RAW, t->data, maas_tensor_bytes(t));
    maas_pb_end(p);
}

static void put_dim(maas_pb_writer *p, const maas_graph *g, int64_t dim)
{
    maas_pb_begin(p, SHAPE_DIM);
    if (dim >= 0)
        maas_pb_int(p, DIM_VALUE, dim);
    else if (g && dim <= -2 && *g->symbols[-2 - dim])
        maas_pb_text(p, DIM_PARAM, g->symbols[-2 - dim]);
    maas_pb_end(p); /* an empty one says "any" */
}

static void put_tensor_type(maas_pb_writer *p, const maas_graph *g, const maas_type *t)
{
    maas_pb_begin(p, TYPE_TENSOR);
    maas_pb_int(p, TENSOR_TYPE_ELEM, t->dtype);
    if (t->rank >= 0) {
        maas_pb_begin(p, TENSOR_TYPE_SHAPE);
        for (int i = 0; i < t->rank; i++)
            put_dim(p, g, t->dims[i]);
        maas_pb_end(p);
    }
    maas_pb_end(p);
}

/* g NULL: sizes that are not known are not named. */
static void put_type(maas_pb_writer *p, uint32_t field, const maas_graph *g, const maas_type *t)
{
    const bool optional = t->tag == MAAS_TYPE_OPTIONAL;
    const bool sequence = t->tag == MAAS_TYPE_SEQUENCE || t->of == MAAS_TYPE_SEQUENCE;
    maas_pb_begin(p, field);
    if (optional) {
        maas_pb_begin(p, TYPE_OPTIONAL);
        maas_pb_begin(p, HELD_TYPE);
    }
    if (sequence) {
        maas_pb_begin(p, TYPE_SEQUENCE);
        maas_pb_begin(p, HELD_TYPE);
    }
    put_tensor_type(p, g, t);
    for (int i = 2 * (optional + sequence); i > 0; i--)
        maas_pb_end(p);
    maas_pb_end(p);
}

static void put_info(maas_pb_writer *p, uint32_t field, const maas_graph *g, const maas_value *v,
                     const char *name)
{
    maas_pb_begin(p, field);
    maas_pb_text(p, INFO_NAME, name);
    if (v->type.tag != MAAS_TYPE_NONE && v->type.dtype)
        put_type(p, INFO_TYPE, g, &v->type);
    maas_pb_end(p);
}

/* What was learned stays though no node reads it: an update goes on from it. */
static bool is_held(const maas_value *v, uint32_t uses)
{
    return (v->flags & MAAS_VALUE_VARIABLE) || ((v->flags & MAAS_VALUE_CONST) && uses);
}

static void put_graph(maas_pb_writer *p, uint32_t field, const writer *w, const maas_onnx_level *l);

static const maas_onnx_level *level_of(const writer *w, const maas_graph *g)
{
    const maas_onnx_level *l = w->levels;
    while (l->g != g)
        l = l->next;
    return l;
}

/* Graphs are nested no deeper than the verifier lets them. */
static void put_attr(maas_pb_writer *p, const writer *w, const maas_attr *a)
{
    maas_pb_begin(p, NODE_ATTR);
    maas_pb_text(p, ATTR_NAME, a->name);
    switch (a->type) {
    case MAAS_ATTR_FLOAT:
        maas_pb_float(p, ATTR_F, a->u.f);
        break;
    case MAAS_ATTR_INT:
        maas_pb_int(p, ATTR_I, a->u.i);
        break;
    case MAAS_ATTR_STRING:
        maas_pb_bytes(p, ATTR_S, a->u.s.p, a->u.s.n);
        break;
    case MAAS_ATTR_TENSOR:
        put_tensor(p, ATTR_T, "", a->u.tensor);
        break;
    case MAAS_ATTR_FLOATS:
        maas_pb_floats(p, ATTR_FLOATS, a->u.floats, a->n);
        break;
    case MAAS_ATTR_INTS:
        maas_pb_ints(p, ATTR_INTS, a->u.ints, a->n);
        break;
    case MAAS_ATTR_STRINGS:
        maas_pb_strings(p, ATTR_STRINGS, a->u.strings, a->n);
        break;
    case MAAS_ATTR_TYPE:
        put_type(p, ATTR_TP, NULL, a->u.type);
        break;
    case MAAS_ATTR_GRAPH:
        put_graph(p, ATTR_G, w, level_of(w, a->u.graph));
        break;
    }
    maas_pb_int(p, ATTR_TYPE, a->type);
    maas_pb_end(p);
}

static void put_axes(maas_pb_writer *p, const writer *w, const maas_tensor *axes)
{
    const maas_attr a = {.name = "axes",
                         .type = MAAS_ATTR_INTS,
                         .n = (uint32_t)maas_n_elems(axes),
                         .u.ints = axes->data};
    if (a.n) /* none: over all axes, which the older form says by silence */
        put_attr(p, w, &a);
}

/* Optional outputs that nobody reads are left out, so that a runtime need not compute them. */
static bool output_wanted(const maas_onnx_level *l, const maas_node *n, uint32_t i)
{
    const maas_op *op = n->op;
    const maas_io_schema *row = &op->out[i < op->n_out ? i : op->n_out - 1u];
    return n->out[i] != MAAS_NO_VALUE && (!row->optional || l->uses[n->out[i]]);
}

static void put_outputs(maas_pb_writer *p, const maas_onnx_level *l, const maas_node *n)
{
    uint32_t n_out = n->n_out;
    while (n_out && !output_wanted(l, n, n_out - 1))
        n_out--;
    for (uint32_t i = 0; i < n_out; i++)
        maas_pb_text(p, NODE_OUTPUT, output_wanted(l, n, i) ? l->names[n->out[i]] : "");
}

static void put_node(maas_pb_writer *p, const writer *w, const maas_onnx_level *l,
                     const maas_node *n)
{
    const maas_onnx_form form = maas_onnx_form_of(l->g, n, w->opset[0]);
    maas_pb_begin(p, GRAPH_NODE);
    for (uint32_t i = 0; i < form.n_in; i++)
        maas_pb_text(p, NODE_INPUT, n->in[i] < 0 ? "" : l->names[n->in[i]]);
    put_outputs(p, l, n);
    if (*n->name)
        maas_pb_text(p, NODE_NAME, n->name);
    maas_pb_text(p, NODE_OP, n->op->name);
    for (uint32_t i = 0; i < n->n_attr; i++)
        if (!form.drop || strcmp(form.drop, n->attr[i].name) != 0)
            put_attr(p, w, &n->attr[i]);
    if (form.axes)
        put_axes(p, w, form.axes);
    if (*n->op->domain)
        maas_pb_text(p, NODE_DOMAIN, n->op->domain);
    maas_pb_end(p);
}

static void put_passed_on(maas_pb_writer *p, const maas_onnx_level *l, uint32_t k)
{
    maas_pb_begin(p, GRAPH_NODE);
    maas_pb_text(p, NODE_INPUT, l->names[l->g->outputs[k]]);
    maas_pb_text(p, NODE_OUTPUT, l->out[k]);
    maas_pb_text(p, NODE_OP, "Identity");
    maas_pb_end(p);
}

static void put_graph(maas_pb_writer *p, uint32_t field, const writer *w, const maas_onnx_level *l)
{
    const maas_graph *g = l->g;
    maas_pb_begin(p, field);
    for (uint32_t i = 0; i < g->n_nodes; i++)
        if (!g->nodes[i].dead)
            put_node(p, w, l, &g->nodes[i]);
    for (uint32_t k = 0; k < g->n_outputs; k++)
        if (l->out[k])
            put_passed_on(p, l, k);
    maas_pb_text(p, GRAPH_NAME, *g->name ? g->name : "graph");
    for (uint32_t i = 0; i < g->n_values; i++)
        if (is_held(&g->values[i], l->uses[i]))
            put_tensor(p, GRAPH_INITIALIZER, l->names[i], content_of(w, &g->values[i]));
    for (uint32_t i = 0; i < g->n_inputs; i++)
        put_info(p, GRAPH_INPUT, g, &g->values[g->inputs[i]], l->names[g->inputs[i]]);
    for (uint32_t k = 0; k < g->n_outputs; k++)
        put_info(p, GRAPH_OUTPUT, g, &g->values[g->outputs[k]],
                 l->out[k] ? l->out[k] : l->names[g->outputs[k]]);
    maas_pb_end(p);
}

/* The IR version that came with an opset. */
static int ir_version(int opset)
{
    static const uint8_t newest[] = {
        [8] = 18, [9] = 20, [10] = 22, [11] = 23, [12] = 24, [13] = 27};
    for (uint8_t v = 8; v < MAAS_COUNT(newest); v++)
        if (opset <= newest[v])
            return v;
    return MAAS_COUNT(newest);
}

static void put_model(maas_pb_writer *p, void *user)
{
    const writer *w = user;
    maas_pb_int(p, MODEL_IR, ir_version(w->opset[0]));
    maas_pb_text(p, MODEL_PRODUCER, "maas");
    put_graph(p, MODEL_GRAPH, w, w->levels);
    for (int i = 0; i < MAAS_ONNX_N_DOMAINS; i++) {
        if (!w->opset[i])
            continue;
        maas_pb_begin(p, MODEL_OPSET);
        maas_pb_text(p, OPSET_DOMAIN, maas_onnx_domains[i].name);
        maas_pb_int(p, OPSET_VERSION, w->opset[i]);
        maas_pb_end(p);
    }
    for (uint32_t i = 0; i < w->g->n_meta; i++) {
        maas_pb_begin(p, MODEL_META);
        maas_pb_text(p, ENTRY_KEY, w->g->meta[i].key);
        maas_pb_text(p, ENTRY_VALUE, w->g->meta[i].value);
        maas_pb_end(p);
    }
}

/* ---- before writing: can the graph be said, and in which opset? ---- */

static maas_status plan_node(writer *w, const maas_graph *g, const maas_node *n, maas_err *err)
{
    int domain = maas_onnx_domain_find(n->op->domain);
    if (domain < 0)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "node '%.80s': domain '%.80s' has no opset",
                         n->name, n->op->domain);
    int opset = maas_onnx_lowest(g, n);
    if (w->opset[domain] < opset)
        w->opset[domain] = opset;
    return MAAS_OK;
}

static maas_status check_content(const writer *w, const maas_value *v, maas_err *err)
{
    const maas_tensor *t = content_of(w, v);
    if (t->dtype != v->init.dtype || !maas_shape_eq(t, &v->init) || !t->data)
        return maas_fail(err, MAAS_E_INVALID, "variable '%.120s' holds another type than its own",
                         v->name);
    return MAAS_OK;
}

static maas_status plan_opsets(writer *w, maas_err *err)
{
    w->opset[0] = MAAS_ONNX_OLDEST_OUT;
    for (maas_onnx_level *l = w->levels; l; l = l->next)
        for (uint32_t i = 0; i < l->g->n_nodes; i++)
            if (!l->g->nodes[i].dead)
                MAAS_TRY(plan_node(w, l->g, &l->g->nodes[i], err));
    for (maas_onnx_level *l = w->levels; l; l = l->next)
        for (uint32_t i = 0; i < l->g->n_nodes; i++) {
            const maas_node *n = &l->g->nodes[i];
            if (!n->dead && maas_onnx_form_of(l->g, n, w->opset[0]).axes && l->uses[n->in[1]])
                l->uses[n->in[1]]--; /* moved into an attribute */
        }
    return MAAS_OK;
}

static maas_status plan(writer *w, maas_err *err)
{
    const maas_graph *g = w->g;
    MAAS_TRY(plan_opsets(w, err));
    for (uint32_t i = 0; i < g->n_values; i++)
        if (g->values[i].flags & MAAS_VALUE_VARIABLE)
            MAAS_TRY(check_content(w, &g->values[i], err));
    for (uint32_t i = 0; i < g->n_inputs + g->n_outputs; i++) {
        const maas_vid v = i < g->n_inputs ? g->inputs[i] : g->outputs[i - g->n_inputs];
        if (g->values[v].type.tag == MAAS_TYPE_NONE || !g->values[v].type.dtype)
            return maas_fail(err, MAAS_E_INVALID, "the type of '%.120s' is not known",
                             g->values[v].name);
    }
    return MAAS_OK;
}

static maas_status open_writer(writer *w, maas_arena *scratch, maas_err *err)
{
    MAAS_TRY(maas_graph_verify(w->g, err));
    MAAS_TRY(maas_onnx_levels(w->g, scratch, &w->levels, err));
    return plan(w, err);
}

maas_status maas_onnx_write(const maas_graph *g,
                            const maas_tensor *(*vars)(void *user, const char *name), void *user,
                            maas_buf *out, maas_err *err)
{
    AUTO(maas_arena_reset) maas_arena scratch;
    maas_arena_init(&scratch, NULL);
    writer w = {.g = g, .vars = vars, .user = user};
    MAAS_TRY(open_writer(&w, &scratch, err));
    return maas_pb_write(put_model, &w, out, err);
}

maas_status maas_onnx_size(const maas_graph *g, uint64_t *out, maas_err *err)
{
    AUTO(maas_arena_reset) maas_arena scratch;
    maas_arena_init(&scratch, NULL);
    writer w = {.g = g};
    MAAS_TRY(open_writer(&w, &scratch, err));
    return maas_pb_measure(put_model, &w, out, err);
}
