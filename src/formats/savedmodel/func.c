/* formats/savedmodel/func.c - the main graph and the library's functions as nodes that refer to
 * each other by number. A function is parsed when it is first called. */
#include "formats/savedmodel/sm_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "base/utf8.h"
#include "base/ban.h"

enum { GRAPH_NODE = 1, GRAPH_LIBRARY = 2, LIBRARY_FUNCTION = 1 };
enum { FUNC_SIGNATURE = 1, FUNC_NODE = 3, FUNC_RET = 4 };
enum { DEF_NAME = 1, DEF_INPUT = 2, DEF_OUTPUT = 3, ARG_NAME = 1 };
enum { NODE_NAME = 1, NODE_OP = 2, NODE_INPUT = 3 };

/* Nodes and arguments by name. */
typedef struct named {
    maas_span name;
    int32_t at; /* a node; below 0: argument -1 - at */
} named;

typedef struct names {
    named *list;
    size_t n;
} names;

static int by_name(const void *a, const void *b)
{
    const maas_span x = ((const named *)a)->name, y = ((const named *)b)->name;
    const size_t n = x.n < y.n ? x.n : y.n;
    const int c = n ? memcmp(x.p, y.p, n) : 0;
    return c ? c : (x.n > y.n) - (x.n < y.n);
}

static bool find(const sm_func *f, maas_span name, int32_t *out)
{
    const names *all = f->names;
    const named key = {name, 0},
                *hit = all->n ? bsearch(&key, all->list, all->n, sizeof key, by_name) : NULL;
    if (hit)
        *out = hit->at;
    return hit != NULL;
}

int32_t sm_node_find(const sm_func *f, maas_span name)
{
    int32_t at = -1;
    return find(f, name, &at) && at >= 0 ? at : -1;
}

/* ---- references ---- */

/* The place of an output by the name that the operator has for it, e.g. "batch_mean". */
static bool place_of(const sm_row *row, maas_span name, uint32_t *out)
{
    *out = 0;
    if (!row || !row->outs)
        return true;
    for (const char *at = row->outs; *at;) {
        const size_t n = strcspn(at, " ");
        if (n == name.n && memcmp(at, name.p, n) == 0)
            return true;
        at += n + (at[n] == ' ');
        ++*out;
    }
    return false;
}

static maas_span part(maas_span *text)
{
    const uint8_t *colon = text->n ? memchr(text->p, ':', text->n) : NULL;
    const size_t n = colon ? (size_t)(colon - text->p) : text->n;
    const maas_span out = {text->p, n};
    maas_span_skip(text, n + (colon != NULL));
    return out;
}

static bool number_of(maas_span text, uint32_t *out)
{
    *out = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9' || *out >= SM_MAX_IO)
            return false;
        *out = 10 * *out + (uint32_t)(text.p[i] - '0');
    }
    return text.n > 0;
}

/* "node", "node:1"; in functions "argument", "node:name:1". */
bool sm_ref_find(sm *s, const sm_func *f, maas_span text, sm_ref *out)
{
    const maas_span all = text, name = part(&text);
    uint32_t place = 0, number = 0;
    bool fine = find(f, name, &out->from);
    if (fine && text.n && out->from >= 0) {
        const maas_span second = part(&text), third = part(&text);
        if (third.n)
            fine = place_of(f->nodes[out->from].row, second, &place) && number_of(third, &number);
        else
            fine = number_of(second, &number) || place_of(f->nodes[out->from].row, second, &place);
    }
    out->out = place + number;
    if (!fine)
        sm_fail(s, MAAS_E_FORMAT, "%s%.80s reads '%.*s', which nothing makes",
                *f->name ? "function " : "the graph", f->name, (int)(all.n < 80 ? all.n : 80),
                maas_utf8_valid(all) ? (const char *)all.p : "");
    return fine;
}

/* ---- parsing ---- */

static void count(const maas_pb *m, uint32_t field, uint32_t *out)
{
    maas_pb copy = *m;
    maas_span ignored;
    while (maas_pb_each(&copy, field, &ignored))
        ++*out;
}

static maas_status read_node(sm *s, const maas_pb *m, maas_span message, sm_node *n)
{
    static const maas_pb_row rows[] = {{NODE_NAME, MAAS_PB_SPAN, 0},
                                       {NODE_OP, MAAS_PB_SPAN, sizeof(maas_span)}};
    maas_span of[2] = {{0}, {0}}, input;
    const maas_pb r = maas_pb_message(m, message);
    maas_pb each = r;
    MAAS_TRY(maas_pb_decode(&r, rows, 2, of));
    n->name = sm_text(s, of[0]);
    n->op = of[1];
    n->message = message;
    n->row = sm_row_find(n->op);
    while (maas_pb_each(&each, NODE_INPUT, &input))
        n->n_in += input.n > 0 && input.p[0] != '^';
    if (n->n_in > SM_MAX_IO)
        return maas_fail(s->err, MAAS_E_UNSUPPORTED, "node '%.80s' has %u inputs", n->name,
                         n->n_in);
    n->in = sm_array(s, n->n_in + (size_t)1, sizeof *n->in);
    return s->status;
}

static maas_status connect(sm *s, const sm_func *f, const maas_pb *m, sm_node *n)
{
    maas_pb each = maas_pb_message(m, n->message);
    maas_span input;
    uint32_t i = 0;
    while (maas_pb_each(&each, NODE_INPUT, &input))
        if (input.n && input.p[0] != '^' && !sm_ref_find(s, f, input, &n->in[i++]))
            return s->status;
    return each.status;
}

static maas_status sort_names(sm *s, sm_func *f)
{
    names *all = sm_array(s, 1, sizeof *all);
    named *list = sm_array(s, f->n_nodes + (size_t)f->n_args + 1, sizeof *list);
    MAAS_TRY(s->status);
    for (uint32_t i = 0; i < f->n_args; i++)
        list[all->n++] = (named){maas_span_str(f->args[i]), -1 - (int32_t)i};
    for (uint32_t i = 0; i < f->n_nodes; i++)
        list[all->n++] = (named){maas_span_str(f->nodes[i].name), (int32_t)i};
    qsort(list, all->n, sizeof *list, by_name);
    for (size_t i = 1; i < all->n; i++)
        if (maas_span_eq(list[i - 1].name, list[i].name))
            return maas_fail(s->err, MAAS_E_FORMAT, "two nodes are called '%.80s'",
                             (const char *)list[i].name.p);
    all->list = list;
    f->names = all;
    return MAAS_OK;
}

/* The nodes of a message in its field. */
static maas_status read_nodes(sm *s, sm_func *f, const maas_pb *m, uint32_t field)
{
    maas_pb each = *m;
    maas_span message;
    uint32_t i = 0;
    count(m, field, &f->n_nodes);
    s->n_names += f->n_nodes; /* a function is parsed once: this is the file's number of nodes */
    if (f->n_nodes > MAAS_MAX_NODES)
        return maas_fail(s->err, MAAS_E_TOO_LARGE, "%u nodes are too many", f->n_nodes);
    f->nodes = sm_array(s, f->n_nodes + (size_t)1, sizeof *f->nodes);
    MAAS_TRY(s->status);
    while (maas_pb_each(&each, field, &message))
        MAAS_TRY(read_node(s, m, message, &f->nodes[i++]));
    MAAS_TRY(each.status);
    MAAS_TRY(sort_names(s, f));
    for (i = 0; i < f->n_nodes; i++)
        MAAS_TRY(connect(s, f, m, &f->nodes[i]));
    return s->status;
}

static maas_span name_in(const maas_pb *m, maas_span message, maas_status *st)
{
    maas_pb r = maas_pb_message(m, message);
    maas_span name = {0};
    maas_pb_each(&r, ARG_NAME, &name);
    if (r.status != MAAS_OK)
        *st = r.status;
    return name;
}

static maas_status read_args(sm *s, sm_func *f, const maas_pb *def)
{
    maas_pb each = *def;
    maas_span message;
    uint32_t i = 0;
    count(def, DEF_INPUT, &f->n_args);
    f->args = sm_array(s, f->n_args + (size_t)1, sizeof *f->args);
    MAAS_TRY(s->status);
    while (maas_pb_each(&each, DEF_INPUT, &message))
        f->args[i++] = sm_text(s, name_in(def, message, &s->status));
    return each.status != MAAS_OK ? each.status : s->status;
}

static maas_status read_rets(sm *s, sm_func *f, const maas_pb *m, const maas_pb *def)
{
    maas_pb each = *def;
    maas_span message, from;
    uint32_t i = 0;
    count(def, DEF_OUTPUT, &f->n_ret);
    if (f->n_ret > SM_MAX_IO) /* each is looked for in the whole message */
        return maas_fail(s->err, MAAS_E_UNSUPPORTED, "function '%.80s' has %u outputs, at most %d",
                         f->name, f->n_ret, SM_MAX_IO);
    f->ret = sm_array(s, f->n_ret + (size_t)1, sizeof *f->ret);
    MAAS_TRY(s->status);
    while (maas_pb_each(&each, DEF_OUTPUT, &message)) {
        const char *name = sm_text(s, name_in(def, message, &s->status));
        MAAS_TRY(s->status);
        if (!sm_map_get(m, FUNC_RET, name, &from))
            return maas_fail(s->err, MAAS_E_FORMAT, "function '%.80s' does not return '%.80s'",
                             f->name, name);
        if (!sm_ref_find(s, f, from, &f->ret[i++]))
            return s->status;
    }
    return each.status;
}

static maas_status parse(sm *s, sm_func *f)
{
    maas_span signature = {0};
    maas_pb m = maas_pb_open(f->message, s->err), each = m;
    m.file = each.file = s->main.message.p;
    f->parsed = true;
    maas_pb_each(&each, FUNC_SIGNATURE, &signature);
    const maas_pb def = maas_pb_message(&m, signature);
    MAAS_TRY(read_args(s, f, &def));
    MAAS_TRY(read_nodes(s, f, &m, FUNC_NODE));
    return read_rets(s, f, &m, &def);
}

/* ---- the library ---- */

static int by_function(const void *a, const void *b)
{
    return strcmp(((const sm_func *)a)->name, ((const sm_func *)b)->name);
}

sm_func *sm_func_find(sm *s, maas_span name)
{
    const sm_func key = {.name = sm_text(s, name)};
    if (!sm_ok(s))
        return NULL;
    sm_func *f = s->n_funcs ? bsearch(&key, s->funcs, s->n_funcs, sizeof key, by_function) : NULL;
    if (!f)
        sm_fail(s, MAAS_E_FORMAT, "function '%.80s' is not in the file", key.name);
    else if (!f->parsed)
        s->status = parse(s, f);
    return sm_ok(s) ? f : NULL;
}

static maas_status read_library(sm *s, const maas_pb *library)
{
    maas_pb each = *library;
    maas_span message, def, name;
    uint32_t n = 0;
    count(library, LIBRARY_FUNCTION, &n);
    if (n > SM_MAX_FUNCS)
        return maas_fail(s->err, MAAS_E_TOO_LARGE, "%u functions are too many", n);
    s->funcs = sm_array(s, n + (size_t)1, sizeof *s->funcs);
    MAAS_TRY(s->status);
    while (maas_pb_each(&each, LIBRARY_FUNCTION, &message)) {
        maas_pb f = maas_pb_message(library, message);
        if (!maas_pb_each(&f, FUNC_SIGNATURE, &def))
            return maas_fail(s->err, MAAS_E_FORMAT, "a function without a signature");
        f = maas_pb_message(library, def);
        if (!maas_pb_each(&f, DEF_NAME, &name))
            return maas_fail(s->err, MAAS_E_FORMAT, "a function without a name");
        s->funcs[s->n_funcs++] = (sm_func){.name = sm_text(s, name), .message = message};
        MAAS_TRY(s->status);
    }
    if (s->n_funcs)
        qsort(s->funcs, s->n_funcs, sizeof *s->funcs, by_function);
    return each.status;
}

maas_status sm_library(sm *s, maas_span graph)
{
    maas_pb m = maas_pb_open(graph, s->err), each = m;
    maas_span library;
    s->main.name = "";
    s->main.message = graph;
    s->main.parsed = true;
    if (maas_pb_each(&each, GRAPH_LIBRARY, &library)) {
        const maas_pb l = maas_pb_message(&m, library);
        MAAS_TRY(read_library(s, &l));
    }
    MAAS_TRY(each.status);
    return read_nodes(s, &s->main, &m, GRAPH_NODE);
}
