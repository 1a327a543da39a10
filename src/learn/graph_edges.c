/* learn/graph_edges.c - rows of the data set of edges, checked and put in order. */
#include "learn/graph_edges.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "learn/columns.h"

#include "base/ban.h"

static const char *text_or(const json_t *v, const char *preset)
{
    return v ? json_string_value(v) : preset;
}

static bool reads_edges(const maas_recipe *r)
{
    const maas_layer_spec *layers = r->layers.items;
    for (size_t i = 0; i < r->layers.n; i++)
        if (maas_layer_reads_edges(layers[i].type))
            return true;
    return false;
}

maas_status maas_graph_spec_check(const maas_recipe *r, maas_err *err)
{
    const maas_graph_spec *s = &r->graph;
    const struct {
        const char *name;
        const json_t *v;
    } texts[] = {{"edges", s->edges},   {"source", s->source}, {"target", s->target},
                 {"weight", s->weight}, {"id", s->id},         {"split", s->split}};
    const bool reads = reads_edges(r);
    if (!s->on)
        return !reads ? MAAS_OK
                      : maas_fail(err, MAAS_E_INVALID,
                                  "params.layers: gcn_conv and sage_conv need params.graph, which "
                                  "names the data set of edges");
    for (size_t i = 0; i < MAAS_COUNT(texts); i++)
        if (texts[i].v && !json_is_string(texts[i].v))
            return maas_fail(err, MAAS_E_INVALID, "params.graph.%s must be a name", texts[i].name);
    if (!s->edges)
        return maas_fail(err, MAAS_E_INVALID,
                         "params.graph.edges is missing: the name of the data set of edges");
    if (!reads)
        return maas_fail(err, MAAS_E_INVALID,
                         "params.graph needs a layer of gcn_conv or sage_conv");
    if (maas_layers_have_fields(r) || r->negatives > 0)
        return maas_fail(err, MAAS_E_INVALID,
                         "params.graph: nodes have numbers, not fields or negatives");
    if (r->augment.on)
        return maas_fail(err, MAAS_E_INVALID,
                         "params.augment: a step over a graph changes no pictures");
    if (r->accumulate > 1)
        return maas_fail(err, MAAS_E_INVALID,
                         "params.accumulate: a step over a graph is one batch of all nodes");
    if (s->split && r->validation > 0)
        return maas_fail(err, MAAS_E_INVALID,
                         "params.validation: params.graph.split says which nodes are measured on");
    return MAAS_OK;
}

/* ---- names of nodes ---- */

typedef struct named {
    maas_str text;
    int64_t number, row;
} named;

static int compare(const void *pa, const void *pb)
{
    const named *a = pa, *b = pb;
    const size_t n = a->text.n < b->text.n ? a->text.n : b->text.n;
    const int c = a->text.p && b->text.p && n ? memcmp(a->text.p, b->text.p, n) : 0;
    if (c || a->text.n != b->text.n)
        return c ? c : a->text.n < b->text.n ? -1 : 1;
    return (a->number > b->number) - (a->number < b->number);
}

/* The cell as a name; false: it is no whole number, or missing. */
static bool name_of(const maas_ds_column *c, int64_t row, named *out)
{
    *out = (named){.row = row};
    if (c->desc.dtype == MAAS_STRING) {
        out->text = maas_column_text(c, row);
        return out->text.p != NULL;
    }
    const maas_cells *cells = maas_cells_of(c->desc.dtype);
    if (!cells->whole) {
        const double v = cells->get(c->data, row);
        out->number = fabs(v) < 9007199254740992.0 ? (int64_t)v : 0;
        return v == (double)out->number;
    }
    const maas_tensor t = maas_tensor_of(c->desc.dtype, 1, (int64_t[]){INT64_MAX},
                                         (void *)(uintptr_t)c->data);
    out->number = maas_tensor_get_i64(&t, row);
    return true;
}

void maas_edges_name(const maas_edges *e, int64_t row, maas_str *text, int64_t *number)
{
    named n;
    name_of(e->id, row, &n);
    *text = n.text;
    *number = n.number;
}

typedef struct reader {
    const char *set; /* name of the data set of edges, for messages */
    const maas_ds_column *ends[2], *weight, *id;
    named *names; /* of nodes, sorted; NULL: their rows are */
    int64_t n_nodes;
} reader;

static maas_status find_column(const maas_dataset *d, const char *set, const char *field,
                               const char *name, const maas_ds_column **out, maas_err *err)
{
    *out = maas_dataset_column(d, name);
    if (!*out)
        return maas_fail(err, MAAS_E_INVALID,
                         "params.graph.%s: data set '%.100s' has no column '%.100s'", field, set,
                         name);
    const bool text = (*out)->desc.dtype == MAAS_STRING;
    if ((*out)->desc.rank || (!text && !maas_cells_of((*out)->desc.dtype)))
        return maas_fail(err, MAAS_E_INVALID,
                         "params.graph.%s: column '%.100s' must have one number or text a row",
                         field, name);
    return MAAS_OK;
}

static maas_status name_nodes(reader *r, const maas_dataset *nodes, maas_arena *arena,
                              maas_err *err)
{
    const char *name = r->id->desc.name;
    named *all = maas_arena_alloc(arena, (size_t)r->n_nodes * sizeof *all);
    if (!all)
        return maas_fail(err, MAAS_E_NOMEM, "names of %lld nodes", (long long)r->n_nodes);
    for (int64_t i = 0; i < r->n_nodes; i++)
        if (!name_of(r->id, i, &all[i]))
            return maas_fail(err, MAAS_E_INVALID,
                             "column '%.100s', row %lld: a node's name must be text or a whole "
                             "number",
                             name, (long long)i + 1);
    qsort(all, (size_t)r->n_nodes, sizeof *all, compare);
    for (int64_t i = 1; i < r->n_nodes; i++)
        if (compare(&all[i - 1], &all[i]) == 0)
            return maas_fail(err, MAAS_E_INVALID,
                             "column '%.100s': rows %lld and %lld have the same name", name,
                             (long long)all[i - 1].row + 1, (long long)all[i].row + 1);
    r->names = all;
    return MAAS_OK;
}

static maas_status open_columns(reader *r, const maas_dataset *nodes, const maas_dataset *edges,
                                const maas_graph_spec *s, maas_arena *arena, maas_err *err)
{
    const char *set = json_string_value(s->edges), *id = json_string_value(s->id);
    *r = (reader){.set = set, .n_nodes = nodes->n_rows};
    MAAS_TRY(find_column(edges, set, "source", text_or(s->source, "source"), &r->ends[0], err));
    MAAS_TRY(find_column(edges, set, "target", text_or(s->target, "target"), &r->ends[1], err));
    if (s->weight)
        MAAS_TRY(find_column(edges, set, "weight", json_string_value(s->weight), &r->weight, err));
    if (r->weight && r->weight->desc.dtype == MAAS_STRING)
        return maas_fail(err, MAAS_E_INVALID, "params.graph.weight: column '%.100s' is text",
                         r->weight->desc.name);
    if (id)
        MAAS_TRY(find_column(nodes, "of the nodes", "id", id, &r->id, err));
    for (int i = 0; i < 2; i++) {
        const bool text = r->ends[i]->desc.dtype == MAAS_STRING;
        if (text != (r->id && r->id->desc.dtype == MAAS_STRING))
            return maas_fail(err, MAAS_E_INVALID,
                             text ? "params.graph.id: column '%.100s' of the edges is text: the "
                                    "nodes need a column of the same names"
                                  : "params.graph.id: nodes are named by text, column '%.100s' of "
                                    "the edges holds numbers",
                             r->ends[i]->desc.name);
    }
    return r->id ? name_nodes(r, nodes, arena, err) : MAAS_OK;
}

/* Row of the node that end `side` of an edge names. */
static maas_status find_node(const reader *r, int side, int64_t row, int64_t *out, maas_err *err)
{
    const char *column = r->ends[side]->desc.name;
    named key;
    if (!name_of(r->ends[side], row, &key))
        return maas_fail(err, MAAS_E_INVALID,
                         "data set '%.100s', row %lld: column '%.100s' is missing or no whole "
                         "number",
                         r->set, (long long)row + 1, column);
    if (r->names) {
        const named *found = bsearch(&key, r->names, (size_t)r->n_nodes, sizeof key, compare);
        *out = found ? found->row : -1;
    } else {
        *out = key.number < r->n_nodes ? key.number : -1;
    }
    if (*out >= 0)
        return MAAS_OK;
    if (key.text.p)
        return maas_fail(err, MAAS_E_INVALID,
                         "data set '%.100s', row %lld: column '%.100s' names node '%.*s', which "
                         "does not exist",
                         r->set, (long long)row + 1, column,
                         (int)(key.text.n < 60 ? key.text.n : 60), key.text.p);
    return maas_fail(err, MAAS_E_INVALID,
                     "data set '%.100s', row %lld: column '%.100s' names node %lld, which does not "
                     "exist%s",
                     r->set, (long long)row + 1, column, (long long)key.number,
                     r->names ? "" : ": nodes are rows of the data set, counted from 0");
}

static maas_status weight_of(const reader *r, int64_t row, float *out, maas_err *err)
{
    const double v = maas_cells_of(r->weight->desc.dtype)->get(r->weight->data, row);
    *out = (float)v;
    if (isfinite(*out) && *out >= 0)
        return MAAS_OK;
    return maas_fail(err, MAAS_E_INVALID,
                     "data set '%.100s', row %lld: weight '%.100s' is %g, it must be a finite "
                     "number >= 0",
                     r->set, (long long)row + 1, r->weight->desc.name, v);
}

static maas_status read_edges(maas_edges *e, const reader *r, int64_t n_rows, bool both,
                              maas_err *err)
{
    e->n = 0;
    for (int64_t i = 0; i < n_rows; i++) {
        int64_t a, b;
        float w = 1;
        MAAS_TRY(find_node(r, 0, i, &a, err));
        MAAS_TRY(find_node(r, 1, i, &b, err));
        if (r->weight)
            MAAS_TRY(weight_of(r, i, &w, err));
        for (int k = 0; k < (both && a != b ? 2 : 1); k++) {
            e->from[e->n] = k ? b : a;
            e->to[e->n] = k ? a : b;
            if (e->weight)
                e->weight[e->n] = w;
            e->n++;
        }
    }
    return MAAS_OK;
}

/* ---- order ---- */

/* Counting sort by one end, stable; order[] as it is on the way in. */
static void sort_by(const int64_t *end, int64_t n, int64_t n_nodes, int64_t *starts,
                    const int64_t *order, int64_t *out)
{
    memset(starts, 0, (size_t)(n_nodes + 1) * sizeof *starts);
    for (int64_t i = 0; i < n; i++)
        starts[end[i] + 1]++;
    for (int64_t i = 0; i < n_nodes; i++)
        starts[i + 1] += starts[i];
    for (int64_t i = 0; i < n; i++)
        out[starts[end[order[i]]]++] = order[i];
}

/* An edge that is listed again is one: its weights are added, without weights it counts once. */
static void merge(const maas_edges *in, const int64_t *order, maas_edges *out)
{
    out->n = 0;
    for (int64_t i = 0; i < in->n; i++) {
        const int64_t k = order[i], at = out->n - 1;
        if (at >= 0 && out->to[at] == in->to[k] && out->from[at] == in->from[k]) {
            if (in->weight)
                out->weight[at] += in->weight[k];
            continue;
        }
        out->from[out->n] = in->from[k];
        out->to[out->n] = in->to[k];
        if (in->weight)
            out->weight[out->n] = in->weight[k];
        out->n++;
    }
}

static bool room_for(maas_edges *e, int64_t n, bool weighted, maas_arena *arena)
{
    e->from = maas_arena_alloc(arena, (size_t)n * sizeof *e->from);
    e->to = maas_arena_alloc(arena, (size_t)n * sizeof *e->to);
    e->weight = weighted ? maas_arena_alloc(arena, (size_t)n * sizeof *e->weight) : NULL;
    return e->from && e->to && (e->weight || !weighted);
}

maas_status maas_edges_fit(maas_edges *e, const maas_dataset *nodes, const maas_dataset *edges,
                           const maas_graph_spec *s, maas_arena *arena, maas_err *err)
{
    if (!edges)
        return maas_fail(err, MAAS_E_INVALID,
                         "params.graph.edges: name the data set of edges in this job, too (kinds "
                         "train and update)");
    reader r;
    maas_edges listed = {0};
    *e = (maas_edges){.n_nodes = nodes->n_rows, .arena = arena};
    if (edges->n_rows == 0)
        return maas_fail(err, MAAS_E_INVALID, "data set '%.100s' has no edges",
                         json_string_value(s->edges));
    if (edges->n_rows > INT32_MAX || nodes->n_rows > INT32_MAX)
        return maas_fail(err, MAAS_E_TOO_LARGE, "a graph of %lld nodes and %lld edges",
                         (long long)nodes->n_rows, (long long)edges->n_rows);
    MAAS_TRY(open_columns(&r, nodes, edges, s, arena, err));
    e->id = r.id;
    const int64_t most = edges->n_rows * (s->directed ? 1 : 2);
    const size_t cells = (size_t)(2 * most + nodes->n_rows + 1);
    int64_t *order = maas_arena_alloc(arena, cells * sizeof *order);
    if (!order || !room_for(&listed, most, r.weight != NULL, arena) ||
        !room_for(e, most, r.weight != NULL, arena))
        return maas_fail(err, MAAS_E_NOMEM, "%lld edges", (long long)most);
    MAAS_TRY(read_edges(&listed, &r, edges->n_rows, !s->directed, err));
    int64_t *by_from = order + listed.n, *starts = by_from + listed.n;
    for (int64_t i = 0; i < listed.n; i++)
        order[i] = i;
    sort_by(listed.from, listed.n, e->n_nodes, starts, order, by_from);
    sort_by(listed.to, listed.n, e->n_nodes, starts, by_from, order);
    merge(&listed, order, e);
    return MAAS_OK;
}

maas_status maas_edges_gather(maas_edges *e, const maas_features *fs, maas_err *err)
{
    const uint32_t n_raw = maas_features_n_raw(fs);
    const size_t n = (size_t)e->n_nodes;
    AUTO_FREE uint32_t *rows = maas_calloc(n + 1, sizeof *rows);
    e->cells = maas_arena_alloc(e->arena, (n_raw + 1) * sizeof *e->cells);
    if (!rows || !e->cells)
        return maas_fail(err, MAAS_E_NOMEM, "%lld nodes", (long long)e->n_nodes);
    for (size_t i = 0; i < n; i++)
        rows[i] = (uint32_t)i;
    uint32_t k = 0;
    if (fs->n_numbers)
        e->cells[k++] = maas_arena_alloc(e->arena,
                                         n * (size_t)fs->n_numbers * maas_dtype_size(fs->raw));
    for (uint32_t i = 0; i < fs->n; i++)
        if (fs->f[i].is_text)
            e->cells[k++] = maas_arena_alloc(
                e->arena,
                n * (fs->f[i].encoder ? (size_t)fs->f[i].width * sizeof(float) : sizeof(int64_t)));
    for (uint32_t i = 0; i < k; i++)
        if (!e->cells[i])
            return maas_fail(err, MAAS_E_NOMEM, "cells of %lld nodes", (long long)e->n_nodes);
    const maas_samples all = {.rows = rows, .n = e->n_nodes};
    maas_features_gather(fs, &all, 0, e->n_nodes, e->cells);
    return MAAS_OK;
}

json_t *maas_edges_json(const maas_edges *e, const maas_graph_spec *s)
{
    return json_pack(
        "{s:s, s:I, s:I, s:s*}", "serve", s->serve == MAAS_SERVE_NODES ? "nodes" : "graph", "nodes",
        (json_int_t)e->n_nodes, "edges", (json_int_t)e->n, "id", e->id ? e->id->desc.name : NULL);
}
