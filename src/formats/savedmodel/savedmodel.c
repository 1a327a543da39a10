/* formats/savedmodel/savedmodel.c - which meta graph, which signature; inputs and outputs. */
#include "formats/savedmodel/savedmodel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/savedmodel/sm_int.h"
#include "base/ban.h"

enum { MODEL_META = 2, META_INFO = 1, META_GRAPH = 2, META_SIGNATURE = 5, INFO_TAG = 4 };
enum { SIG_INPUT = 1, SIG_OUTPUT = 2, INFO_NAME = 1, INFO_TYPE = 2, INFO_SHAPE = 3 };
enum { MAX_PORTS = 1024 };

static const sm_row *const tables[] = {sm_elementwise, sm_images, sm_products,   sm_reductions,
                                       sm_shapes,      sm_moves,  sm_state_rows, sm_flow,
                                       sm_branches,    sm_lists};

const sm_row *sm_row_find(maas_span op)
{
    for (size_t i = 0; i < MAAS_COUNT(tables); i++)
        for (const sm_row *r = tables[i]; r->name; r++)
            if (maas_span_is(op, r->name))
                return r;
    return NULL;
}

/* ---- which of several ---- */

/* Names of a list for a message: "a, b". */
static void add_name(char *to, size_t size, maas_span name)
{
    const size_t n = strlen(to);
    snprintf(to + n, size - n, n ? ", '%.*s'" : "'%.*s'", (int)(name.n < 40 ? name.n : 40),
             (const char *)name.p);
}

static bool has_tag(sm *s, const maas_pb *meta, char *tags, size_t size)
{
    maas_pb m = *meta;
    maas_span info, tag;
    bool serves = false;
    if (!maas_pb_each(&m, META_INFO, &info))
        return false;
    maas_pb r = maas_pb_message(&m, info);
    while (maas_pb_each(&r, INFO_TAG, &tag)) {
        sm_text(s, tag);
        add_name(tags, size, tag);
        serves = serves || maas_span_is(tag, "serve");
    }
    return serves && s->status == MAAS_OK;
}

/* The meta graph of the tag "serve"; the only one has any. */
static maas_status choose_graph(sm *s, maas_span file, maas_pb *out)
{
    maas_pb r = maas_pb_open(file, s->err);
    maas_span message;
    char tags[160] = "";
    int n = 0;
    bool found = false;
    while (maas_pb_each(&r, MODEL_META, &message) && !found) {
        *out = maas_pb_message(&r, message);
        found = has_tag(s, out, tags, sizeof tags);
        n++;
    }
    MAAS_TRY(r.status);
    MAAS_TRY(s->status);
    if (!n)
        return maas_fail(s->err, MAAS_E_FORMAT, "it has no graph");
    return found || n == 1 ? MAAS_OK
                           : maas_fail(s->err, MAAS_E_UNSUPPORTED,
                                       "none of its %d graphs has the tag 'serve': %s", n, tags);
}

static bool has_outputs(const maas_pb *meta, maas_span signature)
{
    maas_pb r = maas_pb_message(meta, signature);
    maas_span message;
    return maas_pb_each(&r, SIG_OUTPUT, &message);
}

/* Signatures without outputs (__saved_model_init_op) are none to call. */
static maas_status choose_signature(sm *s, const maas_pb *meta, maas_pb *out)
{
    maas_pb r = *meta;
    maas_span key, message, only = {0};
    char names[200] = "";
    int n = 0;
    while (sm_map_each(&r, META_SIGNATURE, &key, &message)) {
        if (!has_outputs(meta, message) || maas_span_is(key, "__saved_model_init_op"))
            continue;
        sm_text(s, key);
        MAAS_TRY(s->status);
        add_name(names, sizeof names, key);
        only = message;
        if (++n && maas_span_is(key, "serving_default")) {
            n = 1;
            break;
        }
    }
    MAAS_TRY(r.status);
    if (n == 1) {
        *out = maas_pb_message(meta, only);
        return out->status;
    }
    if (!n)
        return maas_fail(s->err, MAAS_E_UNSUPPORTED,
                         "it has no signature: save it with signatures=..., or model.export()");
    return maas_fail(s->err, MAAS_E_UNSUPPORTED,
                     "it has the signatures %s: save the one that is meant as 'serving_default'",
                     names);
}

/* ---- inputs and outputs ---- */

typedef struct port {
    maas_span key, tensor, shape;
    int64_t type;
} port;

static int by_key(const void *a, const void *b)
{
    const maas_span x = ((const port *)a)->key, y = ((const port *)b)->key;
    const size_t n = x.n < y.n ? x.n : y.n;
    const int c = n ? memcmp(x.p, y.p, n) : 0;
    return c ? c : (x.n > y.n) - (x.n < y.n);
}

/* In the order of their names, as TensorFlow has them. */
static maas_status ports_of(sm *s, const maas_pb *signature, uint32_t field, port **out,
                            uint32_t *n)
{
    static const maas_pb_row rows[] = {
        {INFO_NAME, MAAS_PB_SPAN, offsetof(port, tensor)},
        {INFO_TYPE, MAAS_PB_INT, offsetof(port, type)},
        {INFO_SHAPE, MAAS_PB_SPAN, offsetof(port, shape)},
    };
    maas_pb each = *signature;
    maas_span key, message;
    port *list = sm_array(s, MAX_PORTS, sizeof *list);
    MAAS_TRY(s->status);
    for (*n = 0; sm_map_each(&each, field, &key, &message); ++*n) {
        if (*n == MAX_PORTS)
            return maas_fail(s->err, MAAS_E_TOO_LARGE, "more than %d inputs or outputs", MAX_PORTS);
        const maas_pb r = maas_pb_message(signature, message);
        list[*n] = (port){.key = key};
        MAAS_TRY(maas_pb_decode(&r, rows, MAAS_COUNT(rows), &list[*n]));
    }
    MAAS_TRY(each.status);
    if (*n)
        qsort(list, *n, sizeof *list, by_key);
    *out = list;
    return MAAS_OK;
}

static maas_status add_input(sm *s, const port *p)
{
    const char *name = sm_text(s, p->key);
    const maas_pb shape = maas_pb_open(p->shape, s->err);
    int64_t dims[MAAS_MAX_RANK];
    const int rank = sm_shape(s, &shape, dims);
    const maas_dtype t = sm_dtype(p->type);
    sm_ref at;
    MAAS_TRY(s->status);
    if (t == MAAS_DT_NONE || t == MAAS_STRING)
        return maas_fail(s->err, MAAS_E_UNSUPPORTED, "input '%.60s' has elements of type %lld",
                         name, (long long)p->type);
    if (rank < 0)
        return maas_fail(s->err, MAAS_E_UNSUPPORTED,
                         "input '%.60s' has no number of dimensions: save with an input_signature",
                         name);
    if (!sm_ref_find(s, &s->main, p->tensor, &at))
        return s->status;
    for (int i = 0; i < rank; i++)
        if (dims[i] < 0)
            MAAS_TRY(maas_graph_symbol(s->b->g, i ? NULL : "batch", &dims[i], s->err));
    const sm_op op = {s->root, &s->main.nodes[at.from], &s->root->states[at.from], NULL};
    sm_give(s, &op, at.out, maas_b_input(s->b, name, t, rank, dims));
    op.state->done = true;
    return sm_ok(s) ? MAAS_OK : s->status;
}

static maas_status add_output(sm *s, const port *p, sm_value *v)
{
    const char *name = sm_text(s, p->key);
    maas_graph *g = s->b->g;
    if (v->kind != SM_TENSOR)
        return maas_fail(s->err, MAAS_E_UNSUPPORTED, "output '%.60s' is no tensor", name);
    maas_vid out = sm_last(s, v);
    MAAS_TRY(s->status);
    const uint32_t fixed = MAAS_VALUE_INPUT | MAAS_VALUE_OUTPUT | MAAS_VALUE_CONST;
    if (maas_graph_at(g, out)->flags & fixed) /* a value of its own */
        out = maas_b_op1(s->b, "Identity", out);
    const maas_vid taken = maas_graph_find(g, name);
    if (taken != MAAS_NO_VALUE && taken != out && !(maas_graph_at(g, taken)->flags & fixed))
        MAAS_TRY(maas_graph_rename(g, taken, NULL, s->err));
    else if (taken != MAAS_NO_VALUE && taken != out)
        name = maas_arena_printf(s->arena, "%s_out", name);
    maas_b_output(s->b, name, out);
    return sm_ok(s) ? MAAS_OK : s->status;
}

static maas_status build_ports(sm *s, const maas_pb *signature)
{
    port *in = NULL, *out = NULL;
    uint32_t n_in = 0, n_out = 0;
    MAAS_TRY(ports_of(s, signature, SIG_INPUT, &in, &n_in));
    MAAS_TRY(ports_of(s, signature, SIG_OUTPUT, &out, &n_out));
    for (uint32_t i = 0; i < n_in; i++)
        MAAS_TRY(add_input(s, &in[i]));
    sm_ref *wanted = sm_array(s, n_out + (size_t)1, sizeof *wanted);
    sm_value *values = sm_array(s, n_out + (size_t)1, sizeof *values);
    MAAS_TRY(s->status);
    for (uint32_t i = 0; i < n_out; i++)
        if (!sm_ref_find(s, &s->main, out[i].tensor, &wanted[i]))
            return s->status;
    MAAS_TRY(sm_run(s, wanted, n_out, values));
    s->ctx = s->root->ctx;
    s->b = &s->ctx->b;
    for (uint32_t i = 0; i < n_out; i++)
        MAAS_TRY(add_output(s, &out[i], &values[i]));
    return MAAS_OK;
}

static maas_status build(sm *s, maas_span file)
{
    maas_pb meta, signature;
    maas_span graph;
    MAAS_TRY(choose_graph(s, file, &meta));
    MAAS_TRY(choose_signature(s, &meta, &signature));
    maas_pb r = meta;
    if (!maas_pb_each(&r, META_GRAPH, &graph))
        return maas_fail(s->err, MAAS_E_FORMAT, "it has no graph");
    MAAS_TRY(sm_library(s, graph));
    MAAS_TRY(sm_restore(s, &meta));
    sm_ctx *c = sm_ctx_new(s, "savedmodel", NULL);
    MAAS_TRY(s->status);
    s->ctx = c;
    s->b = &c->b;
    s->root = sm_frame_new(s, &s->main, c, NULL, 0, 0);
    MAAS_TRY(s->status);
    MAAS_TRY(build_ports(s, &signature));
    maas_graph *g = c->b.g;
    MAAS_TRY(maas_graph_set_meta(g, "maas.source", "TensorFlow SavedModel", s->err));
    MAAS_TRY(maas_graph_compact(g, s->err));
    MAAS_TRY(maas_graph_verify(g, s->err));
    return maas_graph_infer(g, s->err);
}

maas_status maas_savedmodel_read_with(maas_span file, const maas_onnx_opts *o, maas_graph **out,
                                      maas_err *err)
{
    maas_err own = {0};
    maas_arena a;
    err = err ? err : &own;
    maas_arena_init(&a, o->budget);
    sm s = {.arena = &a, .err = err, .o = o};
    const maas_status st = build(&s, file);
    if (st == MAAS_OK)
        *out = sm_ctx_graph(&s, s.root->ctx);
    for (uint32_t i = 0; i < s.n_all; i++)
        maas_graph_destroy(s.all[i]->b.g);
    maas_arena_reset(&a);
    /* The first words stay, and what they were said with. */
    if (st != MAAS_OK && err->code != st)
        return err->code != MAAS_OK ? err->code : maas_fail(err, st, "the graph is damaged");
    return st;
}

maas_status maas_savedmodel_read(maas_span file, maas_budget *budget, maas_graph **out,
                                 maas_err *err)
{
    const maas_onnx_opts o = {.budget = budget};
    return maas_savedmodel_read_with(file, &o, out, err);
}

/* Version 1 of the schema, then a meta graph that begins with its info. ONNX has versions from 3.
 */
int maas_savedmodel_probe(maas_span head)
{
    return head.n >= 8 && head.p[0] == 0x08 && head.p[1] == 1 && head.p[2] == 0x12 ? 90 : 0;
}
