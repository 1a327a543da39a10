/*
 * formats/savedmodel/restore.c - which variable has which key of the checkpoint.
 *
 * The graph says so itself: restoring is nodes that assign what RestoreV2 gives under constant
 * names. They are in the main graph (TensorFlow 1), or in the function that the saver names as its
 * restore operator, whose arguments are the variables (TensorFlow 2). A variable that nothing
 * assigns has the key of its name, or the one that the checkpoint's graph of objects has for it.
 */
#include "formats/savedmodel/sm_int.h"

#include <string.h>

#include "base/ban.h"

enum { META_SAVER = 3, SAVER_RESTORE = 3, MAX_HOPS = 64 };

static bool is_op(const sm_node *n, const char *op)
{
    return maas_span_is(n->op, op);
}

/* Behind what hands on its first input. */
static sm_ref behind(const sm_func *f, sm_ref r)
{
    for (int i = 0; i < MAX_HOPS && r.from >= 0; i++) {
        const sm_node *n = &f->nodes[r.from];
        if (!n->n_in || !(is_op(n, "Identity") || is_op(n, "Reshape") || is_op(n, "Cast")))
            break;
        r = n->in[0];
    }
    return r;
}

static bool is_variable(const sm_node *n)
{
    return is_op(n, "VarHandleOp") || is_op(n, "VariableV2");
}

/* The node of the main graph that an assignment writes to; -1: none. call: of f, in the main graph;
 * NULL: f is that. */
static int32_t target(const sm *s, const sm_func *f, const sm_node *call, sm_ref r)
{
    r = behind(f, r);
    if (call && r.from < 0) {
        const uint32_t i = (uint32_t)(-1 - r.from);
        if (i >= call->n_in)
            return -1;
        r = behind(&s->main, call->in[i]);
        f = &s->main;
    }
    if (f != &s->main || r.from < 0 || !is_variable(&s->main.nodes[r.from]))
        return -1;
    return r.from;
}

static void assigned(sm *s, const sm_func *f, const sm_node *call, const sm_node *n)
{
    const int32_t to = target(s, f, call, n->in[0]);
    const sm_ref r = behind(f, n->in[1]);
    maas_span tensor;
    if (to < 0 || r.from < 0 || !is_op(&f->nodes[r.from], "RestoreV2") || f->nodes[r.from].n_in < 2)
        return;
    const sm_ref names = behind(f, f->nodes[r.from].in[1]);
    if (names.from < 0 || !is_op(&f->nodes[names.from], "Const") ||
        !sm_attr(s, &f->nodes[names.from], "value", &tensor))
        return;
    if (sm_look(s, 16 * (size_t)r.out) != MAAS_OK) { /* names before its own */
        s->status = MAAS_E_TOO_LARGE;
        return;
    }
    maas_pb value = maas_pb_open(tensor, s->err);
    maas_span message, key = {0};
    if (maas_pb_each(&value, 8, &message)) /* AttrValue.tensor */
        key = sm_string_at(s, message, r.out);
    if (key.p)
        s->keys[to] = key;
}

static void look_through(sm *s, const sm_func *f, const sm_node *call)
{
    for (uint32_t i = 0; i < f->n_nodes && s->status == MAAS_OK; i++) {
        const sm_node *n = &f->nodes[i];
        if (n->n_in >= 2 && (is_op(n, "AssignVariableOp") || is_op(n, "Assign")))
            assigned(s, f, call, n);
    }
}

maas_status sm_restore(sm *s, const maas_pb *meta)
{
    maas_pb r = *meta;
    maas_span saver, name;
    sm_ref at;
    s->keys = sm_array(s, s->main.n_nodes + (size_t)1, sizeof *s->keys);
    MAAS_TRY(s->status);
    look_through(s, &s->main, NULL);
    if (!maas_pb_each(&r, META_SAVER, &saver))
        return r.status != MAAS_OK ? r.status : s->status;
    maas_pb m = maas_pb_message(&r, saver);
    if (!maas_pb_each(&m, SAVER_RESTORE, &name) || !sm_ref_find(s, &s->main, name, &at) ||
        at.from < 0)
        return m.status != MAAS_OK ? m.status : s->status;
    const sm_node *call = &s->main.nodes[at.from];
    const maas_span function = sm_attr_func(s, call, "f");
    const sm_func *f = function.n ? sm_func_find(s, function) : NULL;
    if (f)
        look_through(s, f, call);
    return s->status;
}

/* ---- the checkpoint's graph of objects ---- */

/* TrackableObjectGraph: of the variable that has this full name, the key. */
static maas_status key_of_object(sm *s, maas_span full_name, maas_span *out)
{
    static const maas_pb_row rows[] = {{2, MAAS_PB_SPAN, 0}, {3, MAAS_PB_SPAN, sizeof(maas_span)}};
    const sm_entry *e = sm_bundle_find(&s->bundle, maas_span_str("_CHECKPOINTABLE_OBJECT_GRAPH"));
    maas_span text, node, attribute;
    if (!e)
        return MAAS_OK;
    MAAS_TRY(sm_bundle_string(s, e, &text));
    MAAS_TRY(sm_look(s, text.n));
    maas_pb graph = maas_pb_open(text, s->err);
    while (maas_pb_each(&graph, 1, &node)) {
        maas_pb n = maas_pb_message(&graph, node);
        while (maas_pb_each(&n, 2, &attribute)) {
            maas_span of[2] = {{0}, {0}}; /* full name, key */
            const maas_pb a = maas_pb_message(&n, attribute);
            MAAS_TRY(maas_pb_decode(&a, rows, 2, of));
            if (maas_span_eq(of[0], full_name))
                *out = of[1];
        }
        MAAS_TRY(n.status);
    }
    return graph.status;
}

static maas_status find_entry(sm *s, int32_t at, const sm_entry **out)
{
    const sm_node *n = &s->main.nodes[at];
    maas_span key = s->keys[at], shared = sm_attr_s(s, n, "shared_name");
    MAAS_TRY(s->status);
    if (!key.p)
        key = shared.n ? shared : maas_span_str(n->name);
    *out = sm_bundle_find(&s->bundle, key);
    if (!*out) {
        MAAS_TRY(key_of_object(s, key, &key));
        *out = sm_bundle_find(&s->bundle, key);
    }
    return *out ? MAAS_OK
                : maas_fail(s->err, MAAS_E_FORMAT,
                            "its value is not among the %zu of "
                            "variables/variables.index",
                            s->bundle.n);
}

static maas_status open_bundle(sm *s)
{
    maas_span index;
    if (s->bundle.n)
        return MAAS_OK;
    if (!s->o->external)
        return maas_fail(s->err, MAAS_E_FORMAT,
                         "its value is in variables/: import the folder, or send its files along");
    MAAS_TRY(s->o->external(s->o->user, "variables/variables.index", &index, s->err));
    return sm_bundle_read(s, index);
}

maas_vid sm_variable(sm *s, int32_t at)
{
    sm_ctx *c = s->ctx;
    const sm_entry *e = NULL;
    maas_tensor t;
    maas_vid v = MAAS_NO_VALUE;
    if (!sm_ok(s))
        return MAAS_NO_VALUE;
    if (!c->variables)
        c->variables = sm_array(s, s->main.n_nodes, sizeof *c->variables);
    if (!c->variables)
        return MAAS_NO_VALUE;
    if (c->variables[at])
        return c->variables[at] - 1;
    s->status = open_bundle(s);
    if (s->status == MAAS_OK)
        s->status = find_entry(s, at, &e);
    if (s->status == MAAS_OK)
        s->status = sm_bundle_tensor(s, c->b.g, e, &t);
    if (s->status == MAAS_OK) {
        const char *name = c->outer ? NULL : sm_text(s, e->key);
        if (name && (!*name || maas_graph_find(c->b.g, name) != MAAS_NO_VALUE))
            name = NULL;
        s->status = maas_graph_const(c->b.g, name, &t, false, &v, s->err);
    }
    if (s->status != MAAS_OK) {
        maas_err_prefix(s->err, "variable '%.80s'", s->main.nodes[at].name);
        return MAAS_NO_VALUE;
    }
    c->variables[at] = v + 1;
    return v;
}
