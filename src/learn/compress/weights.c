/* learn/compress/weights.c - weights by the operators that multiply with them. */
#include "learn/compress/weights.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

/* Where the channels are: an axis, or one of these. */
enum { LAST = -1, OF_GEMM = -2 };

static const struct weighted {
    const char *op;
    int input, axis;
} weighted[] = {
    {"MatMul", 1, LAST}, {"Gemm", 1, OF_GEMM}, {"Conv", 1, 0}, {"ConvTranspose", 1, 1},
    {"Gather", 0, 0},    {"LSTM", 1, 1},       {"LSTM", 2, 1}, {"GRU", 1, 1},
    {"GRU", 2, 1},       {"RNN", 1, 1},        {"RNN", 2, 1},  {"MatMul", 0, 0},
};

static bool is_named(const maas_node *n, const char *op)
{
    return !*n->op->domain && strcmp(n->op->name, op) == 0;
}

static bool holds_weights(const maas_graph *g, maas_vid v, int64_t min_elements)
{
    if (v == MAAS_NO_VALUE)
        return false;
    const maas_value *w = maas_graph_at(g, v);
    return (w->flags & MAAS_VALUE_CONST) && w->init.data && w->init.dtype == MAAS_F32 &&
           w->init.rank >= 2 && maas_n_elems(&w->init) >= min_elements &&
           maas_n_elems(&w->init) > 0;
}

static int axis_of(const maas_node *n, const struct weighted *row, int rank)
{
    if (row->axis == OF_GEMM)
        return maas_attr_i(n, "transB", 0) ? 0 : 1;
    return row->axis == LAST ? rank - 1 : row->axis;
}

/* The row of the table that makes input k of the node a weight; NULL. */
static const struct weighted *row_of(const maas_node *n, int k)
{
    for (size_t i = 0; i < MAAS_COUNT(weighted); i++)
        if (weighted[i].input == k && is_named(n, weighted[i].op))
            return &weighted[i];
    return NULL;
}

static void add(const maas_graph *g, const maas_node *n, int k, bool *seen, maas_weight_list *out)
{
    const struct weighted *row = row_of(n, k);
    const maas_vid v = n->in[k];
    if (!row || seen[v])
        return;
    const maas_tensor *t = &maas_graph_at(g, v)->init;
    const int axis = axis_of(n, row, t->rank);
    seen[v] = true;
    out->at[out->n++] = (maas_weight){.v = v,
                                      .axis = axis,
                                      .outer = maas_dims_product(t->dims, 0, axis),
                                      .n = t->dims[axis],
                                      .inner = maas_dims_product(t->dims, axis + 1, t->rank)};
    out->n_elems += maas_n_elems(t);
}

maas_status maas_weights_find(const maas_graph *g, int64_t min_elements, maas_arena *a,
                              maas_weight_list *out, maas_err *err)
{
    bool *seen = maas_arena_array(a, g->n_values, sizeof *seen);
    *out = (maas_weight_list){.at = maas_arena_array(a, g->n_values, sizeof *out->at)};
    if (!seen || !out->at)
        return maas_fail(err, MAAS_E_NOMEM, "memory for a list of weights");
    for (uint32_t i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i].n_in; k++)
            if (holds_weights(g, g->nodes[i].in[k], min_elements))
                add(g, &g->nodes[i], k, seen, out);
    if (!out->n)
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "the model has no weights of floats that this step could work on (tensors "
                         "of %lld elements or more that something is multiplied with)",
                         (long long)min_elements);
    return MAAS_OK;
}

void maas_weight_set(maas_graph *g, maas_vid v, const maas_tensor *t)
{
    maas_value *w = maas_graph_at(g, v);
    w->init = *t;
    w->type = maas_type_of(t);
}

maas_status maas_weight_room(maas_graph *g, maas_tensor *t, maas_err *err)
{
    t->data = maas_arena_array(&g->arena, (size_t)maas_n_elems(t) + 1,
                               maas_dtype_size((maas_dtype)t->dtype));
    return t->data ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "memory for a compressed weight");
}

maas_vid maas_weight_const(maas_builder *b, maas_vid after, const char *what, const maas_tensor *t)
{
    maas_vid v = MAAS_NO_VALUE;
    if (b->status != MAAS_OK)
        return v;
    const char *name = maas_arena_printf(&b->g->arena, "%s.%s", maas_graph_at(b->g, after)->name,
                                         what);
    if (!name)
        b->status = maas_fail(b->err, MAAS_E_NOMEM, "memory for a compressed weight");
    else /* a name that is taken: a fresh one */
        b->status = maas_graph_const(b->g, maas_graph_find(b->g, name) >= 0 ? NULL : name, t, false,
                                     &v, b->err);
    return b->status == MAAS_OK ? v : MAAS_NO_VALUE;
}

/* ---- products ---- */

static bool dense_matrix(const maas_graph *g, maas_vid w, maas_dense *out)
{
    if (!holds_weights(g, w, 1) || maas_graph_at(g, w)->init.rank != 2)
        return false;
    const int64_t *dims = maas_graph_at(g, w)->init.dims;
    out->in = dims[out->transposed];
    out->out = dims[!out->transposed];
    return true;
}

bool maas_dense_of(const maas_graph *g, maas_nid id, maas_dense *out)
{
    const maas_node *n = &g->nodes[id];
    const bool gemm = is_named(n, "Gemm");
    if (n->dead || (!gemm && !is_named(n, "MatMul")) || (gemm && maas_attr_i(n, "transA", 0)))
        return false;
    *out = (maas_dense){.node = id,
                        .x = n->in[0],
                        .w = n->in[1],
                        .bias = gemm && n->n_in > 2 ? n->in[2] : MAAS_NO_VALUE,
                        .transposed = gemm && maas_attr_i(n, "transB", 0),
                        .alpha = gemm ? maas_attr_f(n, "alpha", 1) : 1,
                        .beta = gemm ? maas_attr_f(n, "beta", 1) : 1};
    return dense_matrix(g, out->w, out);
}

maas_status maas_dense_find(const maas_graph *g, int64_t min_elements, maas_arena *a,
                            maas_dense_list *out, maas_err *err)
{
    *out = (maas_dense_list){.at = maas_arena_array(a, g->n_nodes, sizeof *out->at)};
    if (!out->at)
        return maas_fail(err, MAAS_E_NOMEM, "memory for a list of products");
    for (uint32_t i = 0; i < g->n_nodes; i++)
        if (maas_dense_of(g, (maas_nid)i, &out->at[out->n]) &&
            out->at[out->n].in * out->at[out->n].out >= min_elements)
            out->n++;
    return MAAS_OK;
}

void maas_dense_replace(maas_builder *b, maas_nid node, maas_vid y)
{
    if (b->status != MAAS_OK)
        return;
    b->status = maas_graph_replace(b->g, b->g->nodes[node].out[0], y, b->err);
    b->g->nodes[node].dead = true;
}

/* ---- bytes ---- */

static float largest(const float *w, const maas_weight *at, int64_t from, int64_t to)
{
    float most = 0;
    for (int64_t o = 0; o < at->outer; o++)
        for (int64_t i = (o * at->n + from) * at->inner; i < (o * at->n + to) * at->inner; i++)
            most = fabsf(w[i]) > most ? fabsf(w[i]) : most;
    return most;
}

void maas_weight_to_bytes(const float *w, const maas_weight *at, const maas_bytes_opts *o,
                          int8_t *q, float *scale)
{
    const int64_t step = o->per_channel ? 1 : at->n;
    for (int64_t c = 0; c < at->n; c += step) {
        const float most = largest(w, at, c, c + step);
        const float s = most > 0 ? most / (float)o->limit : 1;
        *scale++ = s;
        for (int64_t k = 0; k < at->outer; k++)
            for (int64_t i = (k * at->n + c) * at->inner; i < (k * at->n + c + step) * at->inner;
                 i++) {
                const float v = rintf(w[i] / s);
                q[i] = (int8_t)(v > (float)o->limit    ? o->limit
                                : v < -(float)o->limit ? -o->limit
                                                       : v);
            }
    }
}
