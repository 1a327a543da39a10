#include "graph/graph_int.h"

#include <string.h>

#include "base/ban.h"

maas_status maas_graph_no_memory(const maas_graph *g, maas_err *err)
{
    return maas_fail(err, MAAS_E_NOMEM, "graph '%s' does not fit its memory budget",
                     g && g->name ? g->name : "");
}

maas_status maas_graph_create(const char *name, maas_budget *budget, maas_graph **out,
                              maas_err *err)
{
    maas_arena arena;
    maas_arena_init(&arena, budget);
    maas_graph *g = maas_arena_alloc(&arena, sizeof *g);
    maas_graph_tables *tables = maas_arena_alloc(&arena, sizeof *tables);
    char *own_name = maas_arena_strdup(&arena, name ? name : "");
    if (!g || !tables || !own_name) {
        maas_arena_reset(&arena);
        return maas_graph_no_memory(NULL, err);
    }
    g->name = own_name;
    g->names = tables;
    g->arena = arena; /* the graph lives in its own arena */
    *out = g;
    return MAAS_OK;
}

void maas_graph_destroy(maas_graph *g)
{
    if (!g)
        return;
    maas_arena arena = g->arena; /* moved out: the reset frees g itself */
    maas_arena_reset(&arena);
}

static void destroy_child(void *child)
{
    maas_graph_destroy(child);
}

maas_status maas_graph_adopt(maas_graph *g, maas_graph *child, maas_err *err)
{
    if (!maas_arena_defer(&g->arena, destroy_child, child))
        return maas_graph_no_memory(g, err);
    child->parent = g;
    return MAAS_OK;
}

bool maas_graph_room(maas_graph *g, void *array, int which, uint32_t n, size_t size)
{
    uint32_t cap = g->caps[which];
    if (n < cap)
        return true;
    if (cap > UINT32_MAX / 2)
        return false;
    cap = cap ? cap * 2 : 8;
    void *old, *bigger = maas_arena_array(&g->arena, cap, size);
    if (!bigger)
        return false;
    memcpy(&old, array, sizeof old);
    if (n)
        memcpy(bigger, old, n * size);
    memcpy(array, &bigger, sizeof bigger);
    g->caps[which] = cap;
    return true;
}

/* ---- types ---- */

maas_type maas_type_tensor(maas_dtype t, int rank, const int64_t *dims)
{
    maas_type type = {.tag = MAAS_TYPE_TENSOR, .dtype = (uint8_t)t, .rank = (int8_t)rank};
    MAAS_CHECK(rank >= MAAS_RANK_UNKNOWN && rank <= MAAS_MAX_RANK);
    if (rank > 0)
        memcpy(type.dims, dims, (size_t)rank * sizeof *dims);
    return type;
}

maas_type maas_type_sequence(maas_dtype t)
{
    return (maas_type){.tag = MAAS_TYPE_SEQUENCE, .dtype = (uint8_t)t, .rank = MAAS_RANK_UNKNOWN};
}

maas_type maas_type_optional(const maas_type *of)
{
    maas_type t = *of;
    t.of = t.tag;
    t.tag = MAAS_TYPE_OPTIONAL;
    return t;
}

maas_type maas_type_held(const maas_type *optional)
{
    maas_type t = *optional;
    t.tag = t.of;
    t.of = MAAS_TYPE_NONE;
    return t;
}

maas_type maas_type_of(const maas_tensor *t)
{
    if (t->holds == MAAS_ELEMENTS)
        return maas_type_tensor((maas_dtype)t->dtype, t->rank, t->dims);
    if (t->holds == MAAS_SEQUENCE)
        return maas_type_sequence((maas_dtype)t->dtype);
    /* what an empty optional would hold is not to be seen */
    maas_type of = maas_type_tensor((maas_dtype)t->dtype, MAAS_RANK_UNKNOWN, NULL);
    if (t->dims[0] == 1)
        of = maas_type_of(maas_list_items(t));
    return maas_type_optional(&of);
}

/* ---- names ---- */

/* The arena's copy of a name nobody has yet; a made-up one for NULL and "". */
static maas_status take_name(maas_graph *g, const char *name, const char **out, maas_err *err)
{
    maas_names *t = &maas_graph_tables_of(g)->values;
    char *own;
    if (name && *name) {
        if (maas_names_find(t, name) != MAAS_NAME_NONE)
            return maas_fail(err, MAAS_E_INVALID, "two values are named '%.120s'", name);
        own = maas_arena_strdup(&g->arena, name);
    } else {
        do
            own = maas_arena_printf(&g->arena, "_%u", g->n_made_up++);
        while (own && maas_names_find(t, own) != MAAS_NAME_NONE);
    }
    if (!own)
        return maas_graph_no_memory(g, err);
    *out = own;
    return MAAS_OK;
}

maas_vid maas_graph_find(const maas_graph *g, const char *name)
{
    uint32_t at = maas_names_find(&maas_graph_tables_of(g)->values, name);
    return at == MAAS_NAME_NONE ? MAAS_NO_VALUE : (maas_vid)at;
}

maas_status maas_graph_rename(maas_graph *g, maas_vid v, const char *name, maas_err *err)
{
    maas_value *val = maas_graph_at(g, v);
    maas_names *t = &maas_graph_tables_of(g)->values;
    if (name && *name && strcmp(val->name, name) == 0)
        return MAAS_OK;
    const char *own;
    MAAS_TRY(take_name(g, name, &own, err));
    if (!maas_names_add(t, &g->arena, own, (uint32_t)v))
        return maas_graph_no_memory(g, err);
    maas_names_remove(t, val->name);
    val->name = own;
    return MAAS_OK;
}

/* ---- values ---- */

static maas_status add_value(maas_graph *g, const char *name, const maas_type *t, uint32_t flags,
                             maas_vid *out, maas_err *err)
{
    if (g->n_values >= MAAS_MAX_VALUES)
        return maas_fail(err, MAAS_E_TOO_LARGE, "more than %u values in a graph", MAAS_MAX_VALUES);
    const char *own;
    MAAS_TRY(take_name(g, name, &own, err));
    if (!maas_graph_room(g, &g->values, MAAS_CAP_VALUES, g->n_values, sizeof *g->values) ||
        !maas_names_add(&maas_graph_tables_of(g)->values, &g->arena, own, g->n_values))
        return maas_graph_no_memory(g, err);
    maas_value *v = &g->values[g->n_values];
    *v = (maas_value){.name = own, .producer = MAAS_NO_NODE, .flags = flags};
    if (t)
        v->type = *t;
    *out = (maas_vid)g->n_values++;
    return MAAS_OK;
}

maas_status maas_graph_value(maas_graph *g, const char *name, const maas_type *t, maas_vid *out,
                             maas_err *err)
{
    return add_value(g, name, t, 0, out, err);
}

maas_status maas_graph_input(maas_graph *g, const char *name, const maas_type *t, maas_vid *out,
                             maas_err *err)
{
    if (!maas_graph_room(g, &g->inputs, MAAS_CAP_INPUTS, g->n_inputs, sizeof *g->inputs))
        return maas_graph_no_memory(g, err);
    MAAS_TRY(add_value(g, name, t, MAAS_VALUE_INPUT, out, err));
    g->inputs[g->n_inputs++] = *out;
    return MAAS_OK;
}

static maas_status copy_strings(maas_graph *g, maas_str *s, int64_t n, maas_err *err)
{
    size_t total = 0;
    for (int64_t i = 0; i < n; i++)
        if (__builtin_add_overflow(total, s[i].n, &total))
            return maas_fail(err, MAAS_E_TOO_LARGE, "strings of a tensor are too long");
    char *at = maas_arena_alloc(&g->arena, total);
    if (!at)
        return maas_graph_no_memory(g, err);
    for (int64_t i = 0; i < n; i++) {
        if (s[i].n)
            memcpy(at, s[i].p, s[i].n);
        s[i].p = at;
        at += s[i].n;
    }
    return MAAS_OK;
}

maas_status maas_graph_take_tensor(maas_graph *g, const maas_tensor *t, bool copy, maas_tensor *out,
                                   maas_err *err)
{
    size_t bytes;
    if (!maas_dtype_describe((maas_dtype)t->dtype)->bits)
        return maas_fail(err, MAAS_E_INVALID, "element type %d is unknown", t->dtype);
    MAAS_TRY(maas_shape_bytes((maas_dtype)t->dtype, t->dims, t->rank, &bytes, err));
    if (!t->data && bytes)
        return maas_fail(err, MAAS_E_INVALID, "a tensor without data");
    *out = *t;
    if (!copy && bytes)
        return MAAS_OK;
    /* Empty tensors get an address too: data NULL means "absent". */
    if (!(out->data = maas_arena_dup(&g->arena, t->data, bytes)))
        return maas_graph_no_memory(g, err);
    return t->dtype == MAAS_STRING ? copy_strings(g, out->data, maas_n_elems(out), err) : MAAS_OK;
}

static maas_status add_filled(maas_graph *g, const char *name, const maas_tensor *t, bool copy,
                              uint32_t flag, maas_vid *out, maas_err *err)
{
    maas_tensor own;
    MAAS_TRY(maas_graph_take_tensor(g, t, copy, &own, err));
    maas_type type = maas_type_of(&own);
    MAAS_TRY(add_value(g, name, &type, flag, out, err));
    g->values[*out].init = own;
    return MAAS_OK;
}

maas_status maas_graph_const(maas_graph *g, const char *name, const maas_tensor *t, bool copy,
                             maas_vid *out, maas_err *err)
{
    return add_filled(g, name, t, copy, MAAS_VALUE_CONST, out, err);
}

maas_status maas_graph_variable(maas_graph *g, const char *name, const maas_tensor *first,
                                bool copy, maas_vid *out, maas_err *err)
{
    size_t bytes;
    const maas_type type = maas_type_of(first);
    if (first->data)
        return add_filled(g, name, first, copy, MAAS_VALUE_VARIABLE, out, err);
    MAAS_TRY(maas_shape_bytes((maas_dtype)first->dtype, first->dims, first->rank, &bytes, err));
    MAAS_TRY(add_value(g, name, &type, MAAS_VALUE_VARIABLE, out, err));
    g->values[*out].init = *first;
    return MAAS_OK;
}

maas_status maas_graph_output(maas_graph *g, maas_vid v, maas_err *err)
{
    if (!maas_vid_ok(g, v))
        return maas_fail(err, MAAS_E_INVALID, "an output is no value of the graph");
    if (g->values[v].flags & MAAS_VALUE_OUTPUT)
        return maas_fail(err, MAAS_E_INVALID, "'%.120s' is an output twice", g->values[v].name);
    if (!maas_graph_room(g, &g->outputs, MAAS_CAP_OUTPUTS, g->n_outputs, sizeof *g->outputs))
        return maas_graph_no_memory(g, err);
    g->values[v].flags |= MAAS_VALUE_OUTPUT;
    g->outputs[g->n_outputs++] = v;
    return MAAS_OK;
}

maas_status maas_graph_bind(maas_graph *g, maas_vid variable, maas_vid value, maas_err *err)
{
    if (!maas_vid_ok(g, variable) || !(g->values[variable].flags & MAAS_VALUE_VARIABLE))
        return maas_fail(err, MAAS_E_INVALID, "only a variable can be bound");
    if (!maas_vid_ok(g, value))
        return maas_fail(err, MAAS_E_INVALID, "variable '%.120s' is bound to no value of the graph",
                         g->values[variable].name);
    if (!maas_graph_room(g, &g->bindings, MAAS_CAP_BINDINGS, g->n_bindings, sizeof *g->bindings))
        return maas_graph_no_memory(g, err);
    g->bindings[g->n_bindings++] = (maas_binding){variable, value};
    return MAAS_OK;
}

/* ---- symbols and metadata ---- */

maas_status maas_graph_symbol(maas_graph *g, const char *name, int64_t *out_dim, maas_err *err)
{
    maas_names *t = &maas_graph_tables_of(g)->symbols;
    bool named = name && *name;
    uint32_t at = named ? maas_names_find(t, name) : MAAS_NAME_NONE;
    if (at == MAAS_NAME_NONE) {
        at = g->n_symbols;
        const char *own = named ? maas_arena_strdup(&g->arena, name) : "";
        if (!own || !maas_graph_room(g, &g->symbols, MAAS_CAP_SYMBOLS, at, sizeof *g->symbols) ||
            (named && !maas_names_add(t, &g->arena, own, at)))
            return maas_graph_no_memory(g, err);
        g->symbols[g->n_symbols++] = own;
    }
    *out_dim = MAAS_DIM_SYMBOL(at);
    return MAAS_OK;
}

maas_status maas_graph_set_meta(maas_graph *g, const char *key, const char *value, maas_err *err)
{
    maas_names *t = &maas_graph_tables_of(g)->meta;
    char *own_value = maas_arena_strdup(&g->arena, value);
    if (!own_value)
        return maas_graph_no_memory(g, err);
    uint32_t at = maas_names_find(t, key);
    if (at != MAAS_NAME_NONE) {
        g->meta[at].value = own_value;
        return MAAS_OK;
    }
    char *own_key = maas_arena_strdup(&g->arena, key);
    if (!own_key || !maas_graph_room(g, &g->meta, MAAS_CAP_META, g->n_meta, sizeof *g->meta) ||
        !maas_names_add(t, &g->arena, own_key, g->n_meta))
        return maas_graph_no_memory(g, err);
    g->meta[g->n_meta++] = (maas_meta){own_key, own_value};
    return MAAS_OK;
}

const char *maas_graph_meta(const maas_graph *g, const char *key)
{
    uint32_t at = maas_names_find(&maas_graph_tables_of(g)->meta, key);
    return at == MAAS_NAME_NONE ? NULL : g->meta[at].value;
}
