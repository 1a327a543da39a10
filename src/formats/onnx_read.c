/* ModelProto and GraphProto; nodes are in onnx_node.c, tensors in onnx_tensor.c. */
#include "formats/onnx_int.h"

#include <inttypes.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "ops/build.h"
#include "base/ban.h"

const maas_onnx_domain maas_onnx_domains[] = {
    {"", MAAS_ONNX_OLDEST, MAAS_ONNX_NEWEST, MAAS_OPSET},
    {MAAS_DOMAIN_ML, 1, MAAS_ONNX_NEWEST_ML, MAAS_OPSET_ML},
    {MAAS_DOMAIN_OWN, 1, 1, 1},
    {MAAS_DOMAIN_TRAINING, 1, 1, 1},
    {MAAS_DOMAIN_MS, 1, 1, 1},
    {MAAS_DOMAIN_PREVIEW, 1, 1, 1},
};
_Static_assert(MAAS_COUNT(maas_onnx_domains) == MAAS_ONNX_N_DOMAINS, "arrays are indexed by row");

int maas_onnx_domain_find(const char *name)
{
    if (strcmp(name, "ai.onnx") == 0)
        return 0;
    for (int i = 0; i < MAAS_ONNX_N_DOMAINS; i++)
        if (strcmp(maas_onnx_domains[i].name, name) == 0)
            return i;
    return -1;
}

maas_status maas_onnx_no_memory(maas_err *err)
{
    return maas_fail(err, MAAS_E_NOMEM, "the model does not fit its memory budget");
}

maas_status maas_onnx_text(const maas_pb *r, maas_span s, maas_arena *a, const char *what,
                           const char **out)
{
    if ((s.n && memchr(s.p, 0, s.n)) || !maas_utf8_valid(s))
        return maas_pb_fail(r, MAAS_E_FORMAT, "%s is not text", what);
    *out = maas_arena_strndup(a, (const char *)s.p, s.n);
    return *out ? MAAS_OK : maas_onnx_no_memory(r->err);
}

static maas_status refuse_type(const maas_pb *msg, const char *what, const char *name)
{
    return maas_pb_fail(
        msg, MAAS_E_UNSUPPORTED,
        "%s '%.120s': maps are not supported here; export the model with one column "
        "for each key of the map",
        what, name);
}

/* ---- the parts of a graph: each reads one message ---- */

static maas_status read_initializer(maas_onnx_reader *r, maas_graph *g, const maas_pb *msg)
{
    maas_tensor t;
    const char *name;
    maas_vid v;
    MAAS_TRY(maas_onnx_read_tensor(r, msg, &g->arena, &t, &name));
    if (!*name)
        return maas_pb_fail(msg, MAAS_E_FORMAT, "an initializer without a name");
    MAAS_TRY(maas_onnx_scoped(r, &name));
    if (r->opts && r->opts->weight && !g->parent)
        MAAS_TRY(r->opts->weight(r->opts->weights, name, &t, r->err));
    /* Strings point into the file, numbers there or into the arena: both live as long as needed. */
    return maas_graph_const(g, name, &t, false, &v, r->err);
}

static maas_status read_input(maas_onnx_reader *r, maas_graph *g, const maas_pb *msg)
{
    const char *name;
    maas_type type;
    MAAS_TRY(maas_onnx_read_info(r, g, msg, "input", &name, &type));
    MAAS_TRY(maas_onnx_scoped(r, &name));
    if (type.tag == MAAS_TYPE_MAP)
        return refuse_type(msg, "input", name);
    maas_vid v = maas_graph_find(g, name);
    if (v != MAAS_NO_VALUE && (maas_graph_at(g, v)->flags & MAAS_VALUE_CONST))
        return MAAS_OK; /* an input with a default is a constant here */
    if (type.tag == MAAS_TYPE_NONE && !g->parent)
        return maas_pb_fail(msg, MAAS_E_FORMAT, "input '%.120s' has no type", name);
    return maas_graph_input(g, name, &type, &v, r->err);
}

/* Bodies may return one value twice, as what is carried and as what is collected. */
static maas_status again_as_other(maas_onnx_reader *r, maas_graph *g, maas_vid *v)
{
    maas_vid other = MAAS_NO_VALUE;
    if (!g->parent || !(maas_graph_at(g, *v)->flags & MAAS_VALUE_OUTPUT))
        return MAAS_OK;
    MAAS_TRY(maas_graph_node(g, maas_op_find("", "Identity", MAAS_OPSET), "", v, 1, &other, 1, NULL,
                             r->err));
    *v = other;
    return MAAS_OK;
}

/*
 * What is declared about an output: its element type and rank must be true, names of dimensions are
 * kept; sizes are computed (exporters often declare those of the batch they happened to trace).
 */
static maas_status read_output(maas_onnx_reader *r, maas_graph *g, const maas_pb *msg)
{
    const char *name;
    maas_type type;
    MAAS_TRY(maas_onnx_read_info(r, g, msg, "output", &name, &type));
    MAAS_TRY(maas_onnx_scoped(r, &name));
    maas_vid v = maas_graph_find(g, name);
    if (v == MAAS_NO_VALUE && g->parent)
        MAAS_TRY(maas_graph_value(g, name, NULL, &v, r->err));
    if (v == MAAS_NO_VALUE)
        return maas_pb_fail(msg, MAAS_E_FORMAT, "output '%.120s' is not computed", name);
    MAAS_TRY(again_as_other(r, g, &v));
    /* the list of maps that a ZipMap made is rows here: see onnx_upgrade.c */
    const bool rows = maas_graph_at(g, v)->type.tag == MAAS_TYPE_TENSOR;
    if (type.tag == MAAS_TYPE_MAP && !rows)
        return refuse_type(msg, "output", name);
    for (int i = 0; i < type.rank; i++)
        if (type.dims[i] >= 0)
            type.dims[i] = MAAS_DIM_UNKNOWN;
    if (maas_graph_at(g, v)->type.tag == MAAS_TYPE_NONE)
        maas_graph_at(g, v)->type = type;
    return maas_graph_output(g, v, r->err);
}

static maas_status read_constant(maas_onnx_reader *r, maas_graph *g, const maas_pb *msg)
{
    return maas_onnx_read_node(r, g, msg, true);
}

static maas_status read_node(maas_onnx_reader *r, maas_graph *g, const maas_pb *msg)
{
    return maas_onnx_read_node(r, g, msg, false);
}

static maas_status read_sparse(maas_onnx_reader *r, maas_graph *g, const maas_pb *msg)
{
    maas_tensor t;
    const char *name;
    maas_vid v;
    MAAS_TRY(maas_onnx_read_sparse(r, msg, &g->arena, &t, &name));
    if (!*name)
        return maas_pb_fail(msg, MAAS_E_FORMAT, "an initializer without a name");
    MAAS_TRY(maas_onnx_scoped(r, &name));
    return maas_graph_const(g, name, &t, false, &v, r->err);
}

/* Names that a graph made up stand in the files that are written from it ("_7"); those that are
 * made up while this one is read must be none of them, wherever in the file they come. */
static maas_status keep_names(maas_onnx_reader *r, maas_graph *g, const maas_pb *msg)
{
    maas_pb m = *msg;
    maas_span name;
    while (maas_pb_each(&m, NODE_OUTPUT, &name)) {
        uint32_t n = 0;
        size_t i = 1;
        if (name.n < 2 || name.n > 9 || name.p[0] != '_')
            continue;
        while (i < name.n && name.p[i] >= '0' && name.p[i] <= '9')
            n = n * 10 + (uint32_t)(name.p[i++] - '0');
        if (i == name.n && g->n_made_up <= n)
            g->n_made_up = n + 1;
    }
    return m.status;
}

/* In this order: what has a value, before what may only be a reference to one. */
static const struct part {
    uint32_t field;
    maas_status (*read)(maas_onnx_reader *r, maas_graph *g, const maas_pb *msg);
} parts[] = {
    {GRAPH_SPARSE, read_sparse}, {GRAPH_INITIALIZER, read_initializer}, {GRAPH_INPUT, read_input},
    {GRAPH_NODE, keep_names},    {GRAPH_NODE, read_constant},           {GRAPH_NODE, read_node},
    {GRAPH_OUTPUT, read_output},
};

static maas_status read_graph(maas_onnx_reader *r, maas_graph *g, const maas_pb *msg)
{
    for (size_t i = 0; i < MAAS_COUNT(parts); i++) {
        maas_pb m = *msg;
        maas_span bytes;
        while (maas_pb_each(&m, parts[i].field, &bytes)) {
            maas_pb part = maas_pb_message(&m, bytes);
            MAAS_TRY(part.status);
            MAAS_TRY(parts[i].read(r, g, &part));
            maas_arena_rewind(&r->scratch);
        }
        MAAS_TRY(m.status);
    }
    if (!g->n_outputs)
        return maas_pb_fail(msg, MAAS_E_FORMAT, "a graph without outputs");
    return maas_graph_compact(g, r->err);
}

/* ---- subgraphs wait in a list ---- */

typedef struct maas_onnx_job {
    struct maas_onnx_job *next;
    maas_graph *g;
    maas_pb msg;
    const maas_onnx_scope *scope;
} maas_onnx_job;

maas_status maas_onnx_add_job(maas_onnx_reader *r, maas_graph *g, const maas_pb *msg)
{
    int depth = 0;
    for (const maas_graph *up = g->parent; up; up = up->parent)
        depth++;
    if (depth > MAAS_MAX_GRAPH_DEPTH)
        return maas_pb_fail(msg, MAAS_E_TOO_LARGE, "subgraphs are nested deeper than %d",
                            MAAS_MAX_GRAPH_DEPTH);
    maas_onnx_job *job = maas_arena_alloc(&r->jobs, sizeof *job);
    if (!job)
        return maas_onnx_no_memory(r->err);
    *job = (maas_onnx_job){r->next_job, g, *msg, r->scope};
    r->next_job = job;
    return MAAS_OK;
}

static maas_status read_graphs(maas_onnx_reader *r, maas_graph *g, const maas_pb *msg)
{
    MAAS_TRY(maas_onnx_add_job(r, g, msg));
    while (r->next_job) {
        maas_onnx_job job = *r->next_job;
        r->next_job = job.next;
        maas_onnx_enter(r, job.scope);
        MAAS_TRY(read_graph(r, job.g, &job.msg));
    }
    return MAAS_OK;
}

/* ---- the model ---- */

typedef struct model_msg {
    int64_t ir;
    maas_span graph;
} model_msg;
static const maas_pb_row model_rows[] = {
    {MODEL_IR, MAAS_PB_INT, offsetof(model_msg, ir)},
    {MODEL_GRAPH, MAAS_PB_SPAN, offsetof(model_msg, graph)},
};

typedef struct opset_msg {
    maas_span domain;
    int64_t version;
} opset_msg;
static const maas_pb_row opset_rows[] = {
    {OPSET_DOMAIN, MAAS_PB_SPAN, offsetof(opset_msg, domain)},
    {OPSET_VERSION, MAAS_PB_INT, offsetof(opset_msg, version)},
};

/* Domains that are imported but unknown do no harm until a node uses them. */
static maas_status read_opset(maas_onnx_reader *r, const maas_pb *msg)
{
    opset_msg o = {0};
    const char *domain;
    MAAS_TRY(maas_pb_decode(msg, opset_rows, MAAS_COUNT(opset_rows), &o));
    MAAS_TRY(maas_onnx_text(msg, o.domain, &r->scratch, "an operator domain", &domain));
    int i = maas_onnx_domain_find(domain);
    if (i < 0)
        return MAAS_OK;
    const maas_onnx_domain *d = &maas_onnx_domains[i];
    if (r->opset[i] && r->opset[i] != o.version)
        return maas_pb_fail(msg, MAAS_E_FORMAT,
                            "domain '%s' is imported with opsets %d and %" PRId64, d->name,
                            r->opset[i], o.version);
    if (o.version < d->oldest || o.version > d->newest)
        return maas_pb_fail(msg, MAAS_E_UNSUPPORTED,
                            "opset %" PRId64 " of domain '%s'; %d to %d are supported", o.version,
                            *d->name ? d->name : "ai.onnx", d->oldest, d->newest);
    r->opset[i] = (int)o.version;
    return MAAS_OK;
}

maas_status maas_onnx_read_opsets(maas_onnx_reader *r, const maas_pb *msg, uint32_t field)
{
    maas_pb m = *msg;
    maas_span bytes;
    while (maas_pb_each(&m, field, &bytes)) {
        maas_pb one = maas_pb_message(&m, bytes);
        MAAS_TRY(read_opset(r, &one));
        maas_arena_rewind(&r->scratch);
    }
    return m.status;
}

typedef struct meta_msg {
    maas_span key, value;
} meta_msg;
static const maas_pb_row meta_rows[] = {
    {ENTRY_KEY, MAAS_PB_SPAN, offsetof(meta_msg, key)},
    {ENTRY_VALUE, MAAS_PB_SPAN, offsetof(meta_msg, value)},
};

static maas_status read_meta(maas_onnx_reader *r, maas_graph *g, const maas_pb *model)
{
    maas_pb m = *model;
    maas_span bytes;
    while (maas_pb_each(&m, MODEL_META, &bytes)) {
        meta_msg e = {0};
        const char *key, *value;
        maas_pb msg = maas_pb_message(&m, bytes);
        MAAS_TRY(maas_pb_decode(&msg, meta_rows, MAAS_COUNT(meta_rows), &e));
        MAAS_TRY(maas_onnx_text(&msg, e.key, &r->scratch, "a metadata key", &key));
        MAAS_TRY(maas_onnx_text(&msg, e.value, &r->scratch, "a metadata value", &value));
        MAAS_TRY(maas_graph_set_meta(g, key, value, r->err));
        maas_arena_rewind(&r->scratch);
    }
    return m.status;
}

static maas_status graph_name(maas_onnx_reader *r, const maas_pb *msg, const char **out)
{
    maas_span name = {0};
    static const maas_pb_row rows[] = {{GRAPH_NAME, MAAS_PB_SPAN, 0}};
    MAAS_TRY(maas_pb_decode(msg, rows, 1, &name));
    return maas_onnx_text(msg, name, &r->jobs, "the name of the graph", out);
}

static maas_status read_functions(maas_onnx_reader *r, const maas_pb *model)
{
    maas_pb m = *model;
    maas_span bytes;
    while (maas_pb_each(&m, MODEL_FUNCTION, &bytes)) {
        maas_pb msg = maas_pb_message(&m, bytes);
        MAAS_TRY(msg.status);
        MAAS_TRY(maas_onnx_read_function(r, &msg));
    }
    return m.status;
}

static maas_status read_model(maas_onnx_reader *r, maas_graph **out)
{
    model_msg m = {0};
    maas_pb model = maas_pb_open(r->file, r->err);
    const char *name;
    MAAS_TRY(maas_pb_decode(&model, model_rows, MAAS_COUNT(model_rows), &m));
    if (m.ir <= 0 || !m.graph.p)
        return maas_pb_fail(&model, MAAS_E_FORMAT, "no ONNX model: IR version or graph is missing");
    MAAS_TRY(maas_onnx_read_opsets(r, &model, MODEL_OPSET));
    MAAS_TRY(read_functions(r, &model));
    maas_pb msg = maas_pb_message(&model, m.graph);
    MAAS_TRY(graph_name(r, &msg, &name));
    MAAS_TRY(maas_graph_create(name, r->scratch.budget, out, r->err));
    MAAS_TRY(read_meta(r, *out, &model));
    MAAS_TRY(read_graphs(r, *out, &msg));
    MAAS_TRY(maas_graph_capture(*out, r->err));
    MAAS_TRY(maas_graph_verify(*out, r->err));
    return maas_graph_infer(*out, r->err);
}

maas_status maas_onnx_read(maas_span file, const maas_onnx_opts *opts, maas_graph **out,
                           maas_err *err)
{
    maas_err own = {0};
    maas_onnx_reader r = {.opts = opts, .err = err ? err : &own, .file = file};
    maas_graph *g = NULL;
    r.opset = r.model_opset;
    maas_arena_init(&r.scratch, opts ? opts->budget : NULL);
    maas_arena_init(&r.jobs, opts ? opts->budget : NULL);
    maas_status st = read_model(&r, &g);
    maas_arena_reset(&r.scratch);
    maas_arena_reset(&r.jobs);
    if (st == MAAS_OK) {
        *out = g;
        return MAAS_OK;
    }
    maas_graph_destroy(g);
    /* An illegal graph in a file is a malformed file. */
    if (st == MAAS_E_INVALID)
        st = r.err->code = MAAS_E_FORMAT;
    return st;
}

int maas_onnx_probe(maas_span head)
{
    /* The first field is the IR version in every writer; the second one is text, the opsets or the
     * graph, and may go past the end of `head`. */
    static const uint8_t second[] = {0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42};
    if (head.n < 3 || head.p[0] != 0x08 || head.p[1] < 3 || head.p[1] > 32)
        return 0;
    return memchr(second, head.p[2], sizeof second) ? 90 : 0;
}
