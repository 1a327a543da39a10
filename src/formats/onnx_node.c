/* NodeProto and AttributeProto. */
#include "formats/onnx_int.h"

#include <inttypes.h>

#include "ops/build.h"
#include "base/ban.h"

/* ---- attributes ---- */

typedef struct attr_msg {
    maas_span name, s, t, g, tp, sparse, ref;
    int64_t i, type;
    float f;
    uint32_t n_floats, n_ints, n_strings;
} attr_msg;

#define AT(f) offsetof(attr_msg, f)
static const maas_pb_row attr_rows[] = {
    {ATTR_NAME, MAAS_PB_SPAN, AT(name)},
    {ATTR_F, MAAS_PB_FLOAT, AT(f)},
    {ATTR_I, MAAS_PB_INT, AT(i)},
    {ATTR_S, MAAS_PB_SPAN, AT(s)},
    {ATTR_T, MAAS_PB_SPAN, AT(t)},
    {ATTR_G, MAAS_PB_SPAN, AT(g)},
    {ATTR_TP, MAAS_PB_SPAN, AT(tp)},
    {ATTR_SPARSE, MAAS_PB_SPAN, AT(sparse)},
    {ATTR_FLOATS, MAAS_PB_COUNT, AT(n_floats)},
    {ATTR_INTS, MAAS_PB_COUNT, AT(n_ints)},
    {ATTR_STRINGS, MAAS_PB_COUNT, AT(n_strings)},
    {ATTR_TYPE, MAAS_PB_INT, AT(type)},
    {ATTR_REF, MAAS_PB_SPAN, AT(ref)},
};
#undef AT

/* One attribute being read. Payloads are in the scratch arena: maas_node_set copies them. */
typedef struct attr_in {
    maas_onnx_reader *r;
    const maas_pb *msg;
    const attr_msg *m;
    maas_span *body; /* of a GRAPH */
} attr_in;

static maas_status read_float(const attr_in *in, maas_attr *a)
{
    a->u.f = in->m->f;
    return MAAS_OK;
}

static maas_status read_int(const attr_in *in, maas_attr *a)
{
    a->u.i = in->m->i;
    return MAAS_OK;
}

static maas_status read_string(const attr_in *in, maas_attr *a)
{
    a->u.s = (maas_str){in->m->s.p ? (const char *)in->m->s.p : "", in->m->s.n};
    return MAAS_OK;
}

static maas_status read_tensor_attr(const attr_in *in, maas_attr *a)
{
    maas_pb msg = maas_pb_message(in->msg, in->m->t);
    const char *name;
    maas_tensor *t = maas_arena_alloc(&in->r->scratch, sizeof *t);
    if (!t)
        return maas_onnx_no_memory(in->r->err);
    a->u.tensor = t;
    return maas_onnx_read_tensor(in->r, &msg, &in->r->scratch, t, &name);
}

static maas_status read_graph_attr(const attr_in *in, maas_attr *a)
{
    *in->body = in->m->g;
    return in->m->g.p ? MAAS_OK : maas_pb_fail(in->msg, MAAS_E_FORMAT, "a graph is missing");
}

/* Constant may have one: it is a tensor here. */
static maas_status read_sparse_attr(const attr_in *in, maas_attr *a)
{
    maas_pb msg = maas_pb_message(in->msg, in->m->sparse);
    const char *name;
    maas_tensor *t = maas_arena_alloc(&in->r->scratch, sizeof *t);
    if (!t)
        return maas_onnx_no_memory(in->r->err);
    a->type = MAAS_ATTR_TENSOR;
    a->u.tensor = t;
    return maas_onnx_read_sparse(in->r, &msg, &in->r->scratch, t, &name);
}

static maas_status read_type_attr(const attr_in *in, maas_attr *a)
{
    maas_type *t = maas_arena_alloc(&in->r->scratch, sizeof *t);
    if (!t)
        return maas_onnx_no_memory(in->r->err);
    a->u.type = t;
    return maas_onnx_read_type(in->r, NULL, in->msg, in->m->tp, t);
}

/* Numbers are counted first: the list takes no more memory than the file has numbers. */
static maas_status count_numbers(const attr_in *in, uint32_t field, uint32_t wire, uint32_t *out)
{
    maas_pb r = *in->msg;
    maas_span run = {0};
    uint64_t v;
    size_t n = 0;
    while (maas_pb_each_number(&r, field, wire, &run, &v))
        n++;
    *out = (uint32_t)n;
    return n <= UINT32_MAX ? r.status : maas_pb_fail(in->msg, MAAS_E_TOO_LARGE, "a list too long");
}

static maas_status read_floats(const attr_in *in, maas_attr *a)
{
    MAAS_TRY(count_numbers(in, ATTR_FLOATS, MAAS_PB_FIXED32, &a->n));
    float *out = maas_arena_array(&in->r->scratch, a->n, sizeof *out);
    if (!out)
        return maas_onnx_no_memory(in->r->err);
    maas_pb r = *in->msg;
    maas_span run = {0};
    uint64_t v;
    for (uint32_t i = 0; maas_pb_each_number(&r, ATTR_FLOATS, MAAS_PB_FIXED32, &run, &v); i++)
        memcpy(&out[i], &v, sizeof *out);
    a->u.floats = out;
    return r.status;
}

static maas_status read_ints(const attr_in *in, maas_attr *a)
{
    MAAS_TRY(count_numbers(in, ATTR_INTS, MAAS_PB_VARINT, &a->n));
    int64_t *out = maas_arena_array(&in->r->scratch, a->n, sizeof *out);
    if (!out)
        return maas_onnx_no_memory(in->r->err);
    maas_pb r = *in->msg;
    maas_span run = {0};
    uint64_t v;
    for (uint32_t i = 0; maas_pb_each_number(&r, ATTR_INTS, MAAS_PB_VARINT, &run, &v); i++)
        out[i] = (int64_t)v;
    a->u.ints = out;
    return r.status;
}

static maas_status read_strings(const attr_in *in, maas_attr *a)
{
    maas_str *out = maas_arena_array(&in->r->scratch, in->m->n_strings, sizeof *out);
    if (!out)
        return maas_onnx_no_memory(in->r->err);
    maas_pb r = *in->msg;
    maas_span s;
    while (maas_pb_each(&r, ATTR_STRINGS, &s))
        out[a->n++] = (maas_str){(const char *)s.p, s.n};
    a->u.strings = out;
    return r.status;
}

enum { ATTR_TYPE_SPARSE = 11 }; /* of AttributeProto.AttributeType */
static maas_status (*const attr_readers[])(const attr_in *in, maas_attr *a) = {
    [MAAS_ATTR_FLOAT] = read_float,      [MAAS_ATTR_INT] = read_int,
    [MAAS_ATTR_STRING] = read_string,    [MAAS_ATTR_TENSOR] = read_tensor_attr,
    [MAAS_ATTR_GRAPH] = read_graph_attr, [MAAS_ATTR_FLOATS] = read_floats,
    [MAAS_ATTR_TYPE] = read_type_attr,   [MAAS_ATTR_INTS] = read_ints,
    [MAAS_ATTR_STRINGS] = read_strings,  [ATTR_TYPE_SPARSE] = read_sparse_attr,
};

/* An attribute of a function's body that stands for one of the call. */
static maas_status take_attr(maas_onnx_reader *r, const maas_pb *msg, maas_span ref, maas_attr *out,
                             bool *out_given)
{
    const char *name, *own = out->name;
    MAAS_TRY(maas_onnx_text(msg, ref, &r->scratch, "the name of an attribute", &name));
    if (!r->scope)
        return maas_pb_fail(msg, MAAS_E_FORMAT, "attribute '%.120s' refers to a function's", own);
    const maas_attr *a = maas_onnx_scope_attr(r->scope, name);
    *out_given = a != NULL;
    if (a)
        *out = *a;
    out->name = own;
    return MAAS_OK;
}

maas_status maas_onnx_read_attr(maas_onnx_reader *r, const maas_pb *msg, maas_attr *out,
                                maas_span *body, bool *out_given)
{
    attr_msg m = {0};
    *out_given = true;
    MAAS_TRY(maas_pb_decode(msg, attr_rows, MAAS_COUNT(attr_rows), &m));
    MAAS_TRY(maas_onnx_text(msg, m.name, &r->scratch, "the name of an attribute", &out->name));
    if (m.ref.n)
        return take_attr(r, msg, m.ref, out, out_given);
    if (m.type <= 0 || m.type >= (int64_t)MAAS_COUNT(attr_readers) || !attr_readers[m.type])
        return maas_pb_fail(msg, MAAS_E_UNSUPPORTED,
                            "attribute '%.120s' has the type %" PRId64 ", which is not supported",
                            out->name, m.type);
    const attr_in in = {r, msg, &m, body};
    out->type = (maas_attr_type)m.type;
    return attr_readers[m.type](&in, out);
}

static maas_status read_attrs(maas_onnx_reader *r, const maas_pb *msg, maas_onnx_node *n)
{
    maas_pb m = *msg;
    maas_span bytes;
    uint32_t cap = n->n_attr;
    bool given;
    for (n->n_attr = 0; n->n_attr < cap && maas_pb_each(&m, NODE_ATTR, &bytes);
         n->n_attr += given) {
        maas_pb attr = maas_pb_message(&m, bytes);
        MAAS_TRY(maas_onnx_read_attr(r, &attr, &n->attr[n->n_attr], &n->body[n->n_attr], &given));
    }
    return m.status;
}

/* ---- inputs and outputs ---- */

maas_status maas_onnx_named(maas_onnx_reader *r, maas_graph *g, const char *name, maas_vid *out)
{
    *out = *name ? maas_graph_find(g, name) : MAAS_NO_VALUE;
    return *name && *out == MAAS_NO_VALUE ? maas_graph_value(g, name, NULL, out, r->err) : MAAS_OK;
}

static maas_status value_of(maas_onnx_reader *r, maas_graph *g, const maas_pb *msg, maas_span bytes,
                            maas_vid *out)
{
    const char *name;
    *out = MAAS_NO_VALUE;
    if (!bytes.n)
        return MAAS_OK;
    MAAS_TRY(maas_onnx_text(msg, bytes, &r->scratch, "the name of a value", &name));
    MAAS_TRY(maas_onnx_scoped(r, &name));
    return maas_onnx_named(r, g, name, out);
}

/* Omitted ones at the end are as if they were not there. */
static maas_status read_values(maas_onnx_reader *r, maas_graph *g, const maas_pb *msg,
                               uint32_t field, maas_vid *out, uint32_t *n)
{
    maas_pb m = *msg;
    maas_span bytes;
    uint32_t i = 0;
    while (maas_pb_each(&m, field, &bytes))
        MAAS_TRY(value_of(r, g, msg, bytes, &out[i++]));
    while (i && out[i - 1] == MAAS_NO_VALUE)
        i--;
    *n = i;
    return m.status;
}

/* ---- the node ---- */

typedef struct node_msg {
    maas_span name, op, domain, overload;
    uint32_t n_in, n_out, n_attr;
} node_msg;

#define AT(f) offsetof(node_msg, f)
static const maas_pb_row node_rows[] = {
    {NODE_INPUT, MAAS_PB_COUNT, AT(n_in)},       {NODE_OUTPUT, MAAS_PB_COUNT, AT(n_out)},
    {NODE_NAME, MAAS_PB_SPAN, AT(name)},         {NODE_OP, MAAS_PB_SPAN, AT(op)},
    {NODE_ATTR, MAAS_PB_COUNT, AT(n_attr)},      {NODE_DOMAIN, MAAS_PB_SPAN, AT(domain)},
    {NODE_OVERLOAD, MAAS_PB_SPAN, AT(overload)},
};
#undef AT

static maas_status read_head(maas_onnx_reader *r, const maas_pb *msg, const node_msg *m,
                             maas_onnx_node *n)
{
    enum { SPARE = 4 }; /* inputs that upgrade rows may append */
    MAAS_TRY(maas_onnx_text(msg, m->op, &r->scratch, "the name of an operator", &n->op));
    MAAS_TRY(maas_onnx_text(msg, m->domain, &r->scratch, "an operator domain", &n->domain));
    MAAS_TRY(maas_onnx_text(msg, m->name, &r->scratch, "the name of a node", &n->name));
    if (m->n_in > MAAS_MAX_NODE_IO || m->n_out > MAAS_MAX_NODE_IO || m->n_attr > UINT8_MAX)
        return maas_pb_fail(msg, MAAS_E_TOO_LARGE,
                            "a node with %u inputs, %u outputs and %u "
                            "attributes",
                            m->n_in, m->n_out, m->n_attr);
    n->in_cap = m->n_in + SPARE;
    n->n_attr = m->n_attr;
    n->in = maas_arena_array(&r->scratch, n->in_cap, sizeof *n->in);
    n->out = maas_arena_array(&r->scratch, m->n_out, sizeof *n->out);
    n->attr = maas_arena_array(&r->scratch, m->n_attr, sizeof *n->attr);
    n->body = maas_arena_array(&r->scratch, m->n_attr, sizeof *n->body);
    return n->in && n->out && n->attr && n->body ? MAAS_OK : maas_onnx_no_memory(r->err);
}

/* The opset of the node's domain in this file; what is not imported cannot be used. */
static maas_status find_domain(maas_onnx_reader *r, const maas_pb *msg, maas_onnx_node *n,
                               const maas_onnx_domain **out)
{
    int i = maas_onnx_domain_find(n->domain);
    if (i < 0)
        return maas_pb_fail(msg, MAAS_E_UNSUPPORTED, "operator domain '%.100s' is not supported",
                            n->domain);
    if (!r->opset[i])
        return maas_pb_fail(msg, MAAS_E_FORMAT, "the model imports no opset of domain '%s'",
                            maas_onnx_domains[i].name);
    *out = &maas_onnx_domains[i];
    n->domain = (*out)->name;
    n->opset = r->opset[i];
    return MAAS_OK;
}

static maas_status set_attrs(maas_onnx_reader *r, maas_graph *g, const maas_pb *msg,
                             const maas_onnx_node *n, maas_nid nid)
{
    for (uint32_t i = 0; i < n->n_attr; i++) {
        maas_attr a = n->attr[i];
        if (maas_node_attr(&g->nodes[nid], a.name))
            return maas_pb_fail(msg, MAAS_E_FORMAT, "attribute '%.120s' comes twice", a.name);
        if (a.type != MAAS_ATTR_GRAPH) {
            MAAS_TRY(maas_node_set(g, nid, &a, r->err));
            continue;
        }
        MAAS_TRY(maas_graph_create(a.name, g->arena.budget, &a.u.graph, r->err));
        maas_status st = maas_node_set(g, nid, &a, r->err);
        if (st != MAAS_OK) {
            if (a.u.graph->parent != g) /* not taken over */
                maas_graph_destroy(a.u.graph);
            return st;
        }
        maas_pb body = maas_pb_message(msg, n->body[i]);
        MAAS_TRY(maas_onnx_add_job(r, a.u.graph, &body));
    }
    return MAAS_OK;
}

static maas_status add_node(maas_onnx_reader *r, maas_graph *g, const maas_pb *msg,
                            maas_onnx_node *n)
{
    const maas_onnx_domain *domain;
    maas_nid nid;
    MAAS_TRY(find_domain(r, msg, n, &domain));
    MAAS_TRY(maas_onnx_upgrade(r, g, n));
    domain = &maas_onnx_domains[maas_onnx_domain_find(n->domain)];
    const maas_op *op = maas_op_find(domain->name, n->op, domain->internal);
    if (!op)
        return maas_pb_fail(msg, MAAS_E_UNSUPPORTED,
                            "operator %.80s of domain '%s', opset %d, is not supported", n->op,
                            *domain->name ? domain->name : "ai.onnx", n->opset);
    MAAS_TRY(maas_graph_node(g, op, n->name, n->in, n->n_in, n->out, n->n_out, &nid, r->err));
    return set_attrs(r, g, msg, n, nid);
}

/* ---- Constant ---- */

static const struct constant_row {
    const char *attr;
    maas_attr_type type;
    maas_dtype dtype;
    int rank;
} constant_rows[] = {
    {"value", MAAS_ATTR_TENSOR, MAAS_DT_NONE, 0},
    {"value_float", MAAS_ATTR_FLOAT, MAAS_F32, 0},
    {"value_int", MAAS_ATTR_INT, MAAS_I64, 0},
    {"value_string", MAAS_ATTR_STRING, MAAS_STRING, 0},
    {"value_floats", MAAS_ATTR_FLOATS, MAAS_F32, 1},
    {"value_ints", MAAS_ATTR_INTS, MAAS_I64, 1},
    {"value_strings", MAAS_ATTR_STRINGS, MAAS_STRING, 1},
    {"sparse_value", MAAS_ATTR_TENSOR, MAAS_DT_NONE, 0},
};

/* A view of what the attribute holds: scalars in it, lists behind it. */
static maas_tensor constant_view(const struct constant_row *row, const maas_attr *a)
{
    const int64_t dims[] = {a->n};
    if (row->type == MAAS_ATTR_TENSOR)
        return *a->u.tensor;
    const void *data = row->rank ? (const void *)a->u.ints : (const void *)&a->u;
    return maas_tensor_of(row->dtype, row->rank, dims, (void *)(uintptr_t)data);
}

static maas_status add_constant(maas_onnx_reader *r, maas_graph *g, const maas_pb *msg,
                                const maas_onnx_node *n, maas_span out_name)
{
    const char *name;
    maas_vid v;
    MAAS_TRY(maas_onnx_text(msg, out_name, &r->scratch, "the name of a value", &name));
    MAAS_TRY(maas_onnx_scoped(r, &name));
    for (size_t i = 0; n->n_attr == 1 && i < MAAS_COUNT(constant_rows); i++) {
        const struct constant_row *row = &constant_rows[i];
        if (strcmp(row->attr, n->attr[0].name) != 0 || row->type != n->attr[0].type)
            continue;
        maas_tensor t = constant_view(row, &n->attr[0]);
        return maas_graph_const(g, name, &t, !maas_onnx_borrowed(r, &t), &v, r->err);
    }
    return maas_pb_fail(msg, MAAS_E_UNSUPPORTED,
                        "Constant '%.120s' holds no value that is "
                        "supported",
                        name);
}

maas_status maas_onnx_read_call(maas_onnx_reader *r, const maas_pb *msg, maas_onnx_node *n)
{
    node_msg m = {0};
    MAAS_TRY(maas_pb_decode(msg, node_rows, MAAS_COUNT(node_rows), &m));
    MAAS_TRY(read_head(r, msg, &m, n));
    n->n_in = m.n_in;
    n->n_out = m.n_out;
    return read_attrs(r, msg, n);
}

/* The function of the model that the node calls; the standard's operators are never replaced. */
static maas_onnx_function *called(const maas_onnx_reader *r, const node_msg *m)
{
    maas_onnx_function *fn = r->functions
                                 ? maas_onnx_function_find(r, m->domain, m->op, m->overload)
                                 : NULL;
    char op[64];
    if (!fn || m->op.n >= sizeof op || (m->domain.n && !maas_span_is(m->domain, "ai.onnx")))
        return fn;
    memcpy(op, m->op.p, m->op.n);
    op[m->op.n] = '\0';
    return maas_op_find("", op, MAAS_OPSET) ? NULL : fn;
}

maas_status maas_onnx_read_node(maas_onnx_reader *r, maas_graph *g, const maas_pb *msg,
                                bool constants)
{
    node_msg m = {0};
    maas_onnx_node n = {0};
    maas_span out_name = {0};
    maas_pb copy = *msg;
    MAAS_TRY(maas_pb_decode(msg, node_rows, MAAS_COUNT(node_rows), &m));
    if (!m.op.n)
        return maas_pb_fail(msg, MAAS_E_FORMAT, "a node without an operator");
    maas_onnx_function *fn = called(r, &m);
    if (fn)
        return constants ? MAAS_OK : maas_onnx_call(r, g, msg, fn);
    bool is_constant = maas_span_is(m.op, "Constant") && !m.domain.n && m.n_out == 1 && !m.n_in;
    if (is_constant != constants)
        return MAAS_OK;
    maas_status st = read_head(r, msg, &m, &n);
    if (st == MAAS_OK)
        st = read_attrs(r, msg, &n);
    if (st == MAAS_OK && constants) {
        maas_pb_each(&copy, NODE_OUTPUT, &out_name);
        st = copy.status != MAAS_OK ? copy.status : add_constant(r, g, msg, &n, out_name);
    } else if (st == MAAS_OK) {
        st = read_values(r, g, msg, NODE_INPUT, n.in, &n.n_in);
        if (st == MAAS_OK)
            st = read_values(r, g, msg, NODE_OUTPUT, n.out, &n.n_out);
        if (st == MAAS_OK)
            st = add_node(r, g, msg, &n);
    }
    if (st != MAAS_OK)
        maas_err_prefix(r->err, "node '%.80s' (%.60s)", n.name ? n.name : "", n.op ? n.op : "");
    return st;
}
