/*
 * learn/explain/columns.c - which feature each column of a value comes from, for values whose
 * columns are functions of one feature each: what a method that works on transformed rows (trees)
 * may call by the names of the raw ones.
 *
 * Operators that work element by element keep the columns of their only input that varies; Concat
 * along columns puts lists together, Gather along columns picks from one. Everything else mixes
 * columns, and ends here.
 */
#include <string.h>

#include "base/mem.h"
#include "graph/op.h"
#include "learn/explain/explain_int.h"
#include "base/ban.h"

enum { MAX_COLUMNS = 1 << 16 };

/* Element by element like MAAS_OP_ELEMENTWISE, without saying so: they change the type, or know
 * about columns. */
static const char *const cellwise[] = {"Cast",   "CastLike", "Identity", "LabelEncoder",
                                       "Scaler", "Imputer",  "IsNaN",    "IsInf",
                                       "Where",  "Clip",     "Equal"};

typedef struct tracker {
    const maas_explainer *x;
    maas_arena *arena;
    maas_xcolumns *at; /* [n_values] */
} tracker;

static bool is_cellwise(const maas_node *n)
{
    if (n->op->flags & MAAS_OP_ELEMENTWISE)
        return true;
    for (size_t i = 0; i < MAAS_COUNT(cellwise); i++)
        if (strcmp(cellwise[i], n->op->name) == 0)
            return true;
    return false;
}

static bool varies(const tracker *t, maas_vid v)
{
    return v >= 0 && !t->x->g->values[v].init.data;
}

static bool same(const maas_xcolumns *a, const maas_xcolumns *b)
{
    return a->n == b->n && (a->feature == b->feature ||
                            memcmp(a->feature, b->feature, (size_t)a->n * sizeof(int32_t)) == 0);
}

/* Inputs that vary must have the same columns; a constant may not make more of them. */
static void through_cells(tracker *t, const maas_node *n, maas_xcolumns *out)
{
    const maas_xcolumns *first = NULL;
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i] < 0)
            continue;
        if (!varies(t, n->in[i])) {
            const maas_tensor *c = &t->x->g->values[n->in[i]].init;
            if (c->rank > 2 ||
                (first && c->rank && c->dims[c->rank - 1] != 1 && c->dims[c->rank - 1] != first->n))
                return;
            continue;
        }
        const maas_xcolumns *in = &t->at[n->in[i]];
        if (!in->feature || (first && !same(first, in)))
            return;
        first = in;
    }
    const maas_type *type = n->n_out && n->out[0] >= 0 ? &maas_graph_at(t->x->g, n->out[0])->type
                                                       : NULL;
    if (first && type && type->rank == 2 && type->dims[1] == first->n)
        *out = *first;
}

static maas_status through_concat(tracker *t, const maas_node *n, maas_xcolumns *out, maas_err *err)
{
    const int64_t axis = maas_attr_i(n, "axis", 0);
    int64_t total = 0;
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i] < 0 || !t->at[n->in[i]].feature)
            return MAAS_OK;
        total += t->at[n->in[i]].n;
    }
    if ((axis != 1 && axis != -1) || total > MAX_COLUMNS)
        return MAAS_OK;
    int32_t *f = maas_arena_array(t->arena, (size_t)total, sizeof *f);
    if (!f)
        return maas_fail(err, MAAS_E_NOMEM, "memory for explaining");
    *out = (maas_xcolumns){.feature = f};
    for (int i = 0; i < n->n_in; i++) {
        const maas_xcolumns *in = &t->at[n->in[i]];
        memcpy(f + out->n, in->feature, (size_t)in->n * sizeof *f);
        out->n += in->n;
    }
    return MAAS_OK;
}

static maas_status through_gather(tracker *t, const maas_node *n, maas_xcolumns *out, maas_err *err)
{
    const maas_xcolumns *in = n->n_in == 2 && n->in[0] >= 0 ? &t->at[n->in[0]] : NULL;
    const int64_t axis = maas_attr_i(n, "axis", 0);
    if (!in || !in->feature || n->in[1] < 0 || varies(t, n->in[1]) || (axis != 1 && axis != -1))
        return MAAS_OK;
    const maas_tensor *index = &t->x->g->values[n->in[1]].init;
    const int64_t k = maas_n_elems(index);
    if (index->rank != 1 || k < 1 || k > MAX_COLUMNS)
        return MAAS_OK;
    int32_t *f = maas_arena_array(t->arena, (size_t)k, sizeof *f);
    if (!f)
        return maas_fail(err, MAAS_E_NOMEM, "memory for explaining");
    for (int64_t i = 0; i < k; i++) {
        int64_t at = maas_tensor_get_i64(index, i);
        at += at < 0 ? in->n : 0;
        if (at < 0 || at >= in->n)
            return MAAS_OK;
        f[i] = in->feature[at];
    }
    *out = (maas_xcolumns){f, k};
    return MAAS_OK;
}

static maas_status start(tracker *t, maas_err *err)
{
    const maas_graph *g = t->x->g;
    for (uint32_t i = 0, at = 0; i < g->n_inputs; i++) {
        const maas_type *type = &maas_graph_at(g, g->inputs[i])->type;
        const int64_t width = maas_dims_product(type->dims, 1, type->rank);
        int32_t *f = maas_arena_array(t->arena, (size_t)width, sizeof *f);
        if (!f)
            return maas_fail(err, MAAS_E_NOMEM, "memory for explaining");
        for (int64_t k = 0; k < width; k++)
            f[k] = (int32_t)at++;
        if (type->rank == 2)
            t->at[g->inputs[i]] = (maas_xcolumns){f, width};
    }
    return MAAS_OK;
}

maas_status maas_x_columns(maas_explainer *x, maas_vid v, maas_xcolumns *out, maas_err *err)
{
    tracker t = {.x = x, .arena = &x->arena};
    t.at = maas_arena_array(&x->arena, x->g->n_values, sizeof *t.at);
    if (!t.at)
        return maas_fail(err, MAAS_E_NOMEM, "memory for explaining");
    MAAS_TRY(start(&t, err));
    for (uint32_t k = 0; k < x->g->n_nodes; k++) {
        const maas_node *n = &x->g->nodes[k];
        if (n->n_out < 1 || n->out[0] < 0)
            continue;
        maas_xcolumns *to = &t.at[n->out[0]];
        if (strcmp(n->op->name, "Concat") == 0)
            MAAS_TRY(through_concat(&t, n, to, err));
        else if (strcmp(n->op->name, "Gather") == 0)
            MAAS_TRY(through_gather(&t, n, to, err));
        else if (is_cellwise(n))
            through_cells(&t, n, to);
    }
    *out = t.at[v];
    return MAAS_OK;
}
