/*
 * Functions of a model: a node that calls one becomes the nodes of its body. Names inside get a
 * prefix of their own; those of its inputs and outputs become the caller's. Subgraphs in a body are
 * read later, with the scope they were met in.
 */
#include "formats/onnx_int.h"

#include <stdlib.h>

#include "base/mem.h"
#include "ops/build.h"
#include "base/ban.h"

enum {
    FUNCTION_NAME = 1,
    FUNCTION_INPUT = 4,
    FUNCTION_OUTPUT = 5,
    FUNCTION_NODE = 7,
    FUNCTION_OPSET = 9,
    FUNCTION_DOMAIN = 10,
    FUNCTION_ATTR = 11, /* with a default */
    FUNCTION_OVERLOAD = 13
};

struct maas_onnx_function {
    maas_onnx_function *next;
    maas_span domain, name, overload;
    uint32_t n_in, n_out, n_attr;
    maas_pb msg;
    int opset[MAAS_ONNX_N_DOMAINS];
};

static const maas_pb_row function_rows[] = {
    {FUNCTION_NAME, MAAS_PB_SPAN, offsetof(maas_onnx_function, name)},
    {FUNCTION_DOMAIN, MAAS_PB_SPAN, offsetof(maas_onnx_function, domain)},
    {FUNCTION_OVERLOAD, MAAS_PB_SPAN, offsetof(maas_onnx_function, overload)},
    {FUNCTION_INPUT, MAAS_PB_COUNT, offsetof(maas_onnx_function, n_in)},
    {FUNCTION_OUTPUT, MAAS_PB_COUNT, offsetof(maas_onnx_function, n_out)},
    {FUNCTION_ATTR, MAAS_PB_COUNT, offsetof(maas_onnx_function, n_attr)},
};

/* What a name of the function is called where it is called from: NULL where it was left out. */
typedef struct formal {
    const char *name, *actual;
} formal;

struct maas_onnx_scope {
    const maas_onnx_scope *outer; /* of the call; NULL: the model's graphs */
    maas_onnx_function *fn;
    const char *prefix;
    formal *formals; /* [n_formals] by name */
    uint32_t n_formals, n_attr;
    const maas_attr *attr; /* of the call, and defaults */
};

static bool same_text(maas_span a, maas_span b)
{
    return a.n == b.n && (!a.n || memcmp(a.p, b.p, a.n) == 0);
}

static bool is_standard(maas_span domain)
{
    return !domain.n || maas_span_is(domain, "ai.onnx");
}

/* ---- the list of functions ---- */

maas_status maas_onnx_read_function(maas_onnx_reader *r, const maas_pb *msg)
{
    maas_onnx_function *fn = maas_arena_alloc(&r->jobs, sizeof *fn);
    if (!fn)
        return maas_onnx_no_memory(r->err);
    MAAS_TRY(maas_pb_decode(msg, function_rows, MAAS_COUNT(function_rows), fn));
    fn->msg = *msg;
    if (!fn->name.n)
        return maas_pb_fail(msg, MAAS_E_FORMAT, "a function without a name");
    if (fn->n_in > MAAS_MAX_NODE_IO || fn->n_out > MAAS_MAX_NODE_IO || fn->n_attr > UINT8_MAX)
        return maas_pb_fail(msg, MAAS_E_TOO_LARGE, "a function with %u inputs and %u outputs",
                            fn->n_in, fn->n_out);
    if (maas_onnx_function_find(r, fn->domain, fn->name, fn->overload))
        return maas_pb_fail(msg, MAAS_E_FORMAT, "two functions of one name");
    r->opset = fn->opset;
    maas_status st = maas_onnx_read_opsets(r, msg, FUNCTION_OPSET);
    r->opset = r->model_opset;
    fn->next = r->functions;
    r->functions = fn;
    return st;
}

maas_onnx_function *maas_onnx_function_find(const maas_onnx_reader *r, maas_span domain,
                                            maas_span name, maas_span overload)
{
    for (maas_onnx_function *fn = r->functions; fn; fn = fn->next)
        if (same_text(fn->name, name) && same_text(fn->overload, overload) &&
            (same_text(fn->domain, domain) || (is_standard(fn->domain) && is_standard(domain))))
            return fn;
    return NULL;
}

/* ---- names ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const formal *)a)->name, ((const formal *)b)->name);
}

maas_status maas_onnx_scoped(maas_onnx_reader *r, const char **name)
{
    const maas_onnx_scope *s = r->scope;
    if (!s || !**name)
        return MAAS_OK;
    const formal key = {.name = *name};
    const formal *f = s->n_formals ? bsearch(&key, s->formals, s->n_formals, sizeof key, by_name)
                                   : NULL;
    if (f)
        *name = f->actual;
    else
        *name = maas_arena_printf(&r->scratch, "%s%s", s->prefix, *name);
    return *name ? MAAS_OK : maas_onnx_no_memory(r->err);
}

int *maas_onnx_scope_opset(maas_onnx_reader *r, const maas_onnx_scope *s)
{
    return s ? s->fn->opset : r->model_opset;
}

const maas_attr *maas_onnx_scope_attr(const maas_onnx_scope *s, const char *name)
{
    for (uint32_t i = 0; s && i < s->n_attr; i++)
        if (strcmp(s->attr[i].name, name) == 0)
            return &s->attr[i];
    return NULL;
}

/* ---- a call: everything here is read into the arena of jobs, for subgraphs need it later ---- */

static maas_status list_texts(maas_onnx_reader *r, maas_pb m, uint32_t field, bool scoped,
                              const char **out)
{
    maas_span bytes;
    for (uint32_t i = 0; maas_pb_each(&m, field, &bytes); i++) {
        MAAS_TRY(maas_onnx_text(&m, bytes, &r->scratch, "the name of a value", &out[i]));
        if (scoped)
            MAAS_TRY(maas_onnx_scoped(r, &out[i]));
    }
    return m.status;
}

static bool listed(const formal *list, uint32_t n, const char *name)
{
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(list[i].name, name) == 0)
            return true;
    return false;
}

/* Inputs first: an output that is an input as well is handed through. */
static maas_status bind_names(maas_onnx_reader *r, maas_onnx_scope *s, const maas_pb *call,
                              uint32_t n_in, uint32_t n_out, const char **out_formal,
                              const char **out_actual)
{
    maas_onnx_function *fn = s->fn;
    const char **in_formal = maas_arena_array(&r->scratch, fn->n_in, sizeof *in_formal);
    const char **in_actual = maas_arena_array(&r->scratch, fn->n_in, sizeof *in_actual);
    s->formals = maas_arena_array(&r->scratch, (size_t)fn->n_in + fn->n_out, sizeof *s->formals);
    if (!in_formal || !in_actual || !s->formals)
        return maas_onnx_no_memory(r->err);
    if (n_in > fn->n_in || n_out > fn->n_out)
        return maas_pb_fail(call, MAAS_E_FORMAT,
                            "%u inputs and %u outputs, the function has %u and %u", n_in, n_out,
                            fn->n_in, fn->n_out);
    MAAS_TRY(list_texts(r, *call, NODE_INPUT, true, in_actual));
    MAAS_TRY(list_texts(r, *call, NODE_OUTPUT, true, out_actual));
    MAAS_TRY(list_texts(r, fn->msg, FUNCTION_INPUT, false, in_formal));
    MAAS_TRY(list_texts(r, fn->msg, FUNCTION_OUTPUT, false, out_formal));
    for (uint32_t i = 0; i < fn->n_in; i++)
        s->formals[s->n_formals++] = (formal){in_formal[i], in_actual[i] ? in_actual[i] : ""};
    const uint32_t n_inputs = s->n_formals;
    for (uint32_t i = 0; i < fn->n_out; i++) {
        const bool through = listed(s->formals, n_inputs, out_formal[i]);
        if (!through && out_actual[i] && *out_actual[i])
            s->formals[s->n_formals++] = (formal){out_formal[i], out_actual[i]};
        if (!through)
            out_formal[i] = NULL;
    }
    if (s->n_formals)
        qsort(s->formals, s->n_formals, sizeof *s->formals, by_name);
    return MAAS_OK;
}

static maas_status bind_attrs(maas_onnx_reader *r, maas_onnx_scope *s, const maas_onnx_node *n)
{
    maas_attr *attr = maas_arena_array(&r->scratch, n->n_attr + s->fn->n_attr, sizeof *attr);
    maas_pb m = s->fn->msg;
    maas_span bytes, body = {0};
    if (!attr)
        return maas_onnx_no_memory(r->err);
    if (n->n_attr)
        memcpy(attr, n->attr, n->n_attr * sizeof *attr);
    s->attr = attr;
    s->n_attr = n->n_attr;
    while (maas_pb_each(&m, FUNCTION_ATTR, &bytes)) {
        maas_pb msg = maas_pb_message(&m, bytes);
        bool given;
        MAAS_TRY(maas_onnx_read_attr(r, &msg, &attr[s->n_attr], &body, &given));
        if (given && !maas_onnx_scope_attr(s, attr[s->n_attr].name))
            s->n_attr++;
    }
    return m.status;
}

static maas_status open_scope(maas_onnx_reader *r, const maas_pb *call, maas_onnx_function *fn,
                              maas_onnx_scope **out, const char ***out_formal,
                              const char ***out_actual)
{
    maas_onnx_node n = {0};
    maas_onnx_scope *s = maas_arena_alloc(&r->scratch, sizeof *s);
    *out_formal = maas_arena_array(&r->scratch, fn->n_out, sizeof **out_formal);
    *out_actual = maas_arena_array(&r->scratch, fn->n_out, sizeof **out_actual);
    if (!s || !*out_formal || !*out_actual)
        return maas_onnx_no_memory(r->err);
    *s = (maas_onnx_scope){.outer = r->scope, .fn = fn};
    MAAS_TRY(maas_onnx_read_call(r, call, &n));
    for (uint32_t i = 0; i < n.n_attr; i++)
        if (n.attr[i].type == MAAS_ATTR_GRAPH)
            return maas_pb_fail(call, MAAS_E_UNSUPPORTED, "a graph is handed to a function");
    MAAS_TRY(bind_attrs(r, s, &n));
    MAAS_TRY(bind_names(r, s, call, n.n_in, n.n_out, *out_formal, *out_actual));
    s->prefix = maas_arena_printf(&r->scratch, "%s#%u/", n.op, r->n_calls);
    *out = s;
    return s->prefix ? MAAS_OK : maas_onnx_no_memory(r->err);
}

/* ---- the body ---- */

static maas_status check_call(maas_onnx_reader *r, const maas_pb *call,
                              const maas_onnx_function *fn)
{
    int depth = 0;
    for (const maas_onnx_scope *s = r->scope; s; s = s->outer, depth++)
        if (s->fn == fn)
            return maas_pb_fail(call, MAAS_E_UNSUPPORTED, "function '%.*s' calls itself",
                                (int)(fn->name.n < 100 ? fn->name.n : 100), fn->name.p);
    if (depth >= MAAS_MAX_CALL_DEPTH)
        return maas_pb_fail(call, MAAS_E_TOO_LARGE, "functions in functions, deeper than %d",
                            MAAS_MAX_CALL_DEPTH);
    r->n_calls++;
    r->call_bytes += fn->msg.rest.n;
    if (r->n_calls > MAAS_MAX_CALLS || r->call_bytes > MAAS_MAX_CALL_BYTES)
        return maas_pb_fail(call, MAAS_E_TOO_LARGE,
                            "more than %u calls of functions, or %llu bytes of them",
                            MAAS_MAX_CALLS, (unsigned long long)MAAS_MAX_CALL_BYTES);
    return MAAS_OK;
}

static maas_status read_body(maas_onnx_reader *r, maas_graph *g, const maas_onnx_function *fn)
{
    for (int constants = 1; constants >= 0; constants--) {
        maas_pb m = fn->msg;
        maas_span bytes;
        while (maas_pb_each(&m, FUNCTION_NODE, &bytes)) {
            maas_pb node = maas_pb_message(&m, bytes);
            MAAS_TRY(node.status);
            MAAS_TRY(maas_onnx_read_node(r, g, &node, constants));
            maas_arena_rewind(&r->scratch);
        }
        MAAS_TRY(m.status);
    }
    return MAAS_OK;
}

/* Outputs that are inputs: in the caller's names. */
static maas_status hand_through(maas_onnx_reader *r, maas_graph *g, const maas_onnx_scope *s,
                                const char *const *out_formal, const char *const *out_actual)
{
    for (uint32_t i = 0; i < s->fn->n_out; i++) {
        const char *from = out_formal[i];
        maas_vid in, out;
        if (!from || !out_actual[i] || !*out_actual[i])
            continue;
        MAAS_TRY(maas_onnx_scoped(r, &from));
        MAAS_TRY(maas_onnx_named(r, g, from, &in));
        MAAS_TRY(maas_onnx_named(r, g, out_actual[i], &out));
        MAAS_TRY(maas_graph_node(g, maas_op_find("", "Identity", MAAS_OPSET), "", &in, 1, &out, 1,
                                 NULL, r->err));
    }
    return MAAS_OK;
}

static maas_status expand(maas_onnx_reader *r, maas_graph *g, const maas_pb *call,
                          maas_onnx_function *fn)
{
    const char **out_formal, **out_actual;
    const maas_onnx_scope *before = r->scope;
    maas_onnx_scope *s = NULL;
    maas_arena scratch = r->scratch;
    r->scratch = r->jobs; /* the scope lasts */
    maas_status st = open_scope(r, call, fn, &s, &out_formal, &out_actual);
    r->jobs = r->scratch;
    r->scratch = scratch;
    if (st != MAAS_OK)
        return st;
    maas_onnx_enter(r, s);
    st = read_body(r, g, fn);
    if (st == MAAS_OK)
        st = hand_through(r, g, s, out_formal, out_actual);
    maas_onnx_enter(r, before);
    return st;
}

/* The caller's node is in r->scratch, which the body rewinds: it has one of its own. */
maas_status maas_onnx_call(maas_onnx_reader *r, maas_graph *g, const maas_pb *call,
                           maas_onnx_function *fn)
{
    MAAS_TRY(check_call(r, call, fn));
    maas_arena scratch = r->scratch;
    maas_arena_init(&r->scratch, scratch.budget);
    maas_status st = expand(r, g, call, fn);
    maas_arena_reset(&r->scratch);
    r->scratch = scratch;
    if (st != MAAS_OK)
        maas_err_prefix(r->err, "function '%.*s'", (int)(fn->name.n < 80 ? fn->name.n : 80),
                        fn->name.p);
    return st;
}
