/*
 * serve/batches.c - may rows of different requests share an execution?
 *
 * Only when no row influences another. Two independent looks at that:
 *   structure: every value that depends on an input starts with the batch dimension and has it
 *   nowhere else, so nothing was reduced, transposed or broadcast over rows;
 *   trial: four random rows give the same answers together, one by one, and behind other rows.
 * The first cannot see an operator that mixes along the batch axis and keeps the shape (Softmax
 * with axis 0), the second does. When in doubt, every request runs alone: slower, never wrong.
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "graph/op.h"
#include "serve/instance_int.h"
#include "base/ban.h"

#define TRIAL_ROWS 4

static bool batch_is_first_and_only(const maas_type *t, int64_t batch)
{
    if (t->tag != MAAS_TYPE_TENSOR || t->rank < 1 || t->dims[0] != batch)
        return false;
    for (int d = 1; d < t->rank; d++)
        if (t->dims[d] < 0)
            return false;
    return true;
}

static bool structure_keeps_rows_apart(const maas_graph *g)
{
    AUTO_FREE bool *depends = maas_calloc(g->n_values, sizeof *depends);
    if (!depends)
        return false;
    int64_t batch = maas_graph_at(g, g->inputs[0])->type.dims[0];
    for (uint32_t i = 0; i < g->n_inputs; i++)
        depends[g->inputs[i]] = true;
    for (uint32_t n = 0; n < g->n_nodes; n++) {
        const maas_node *node = &g->nodes[n];
        bool any = false;
        for (uint32_t i = 0; i < node->n_in; i++)
            any |= node->in[i] >= 0 && depends[node->in[i]];
        if (!any || node->op->flags & MAAS_OP_SHAPE_ONLY)
            continue;
        for (uint32_t i = 0; i < node->n_out; i++) {
            if (node->out[i] < 0)
                continue;
            depends[node->out[i]] = true;
            if (!batch_is_first_and_only(&maas_graph_at(g, node->out[i])->type, batch))
                return false;
        }
    }
    return true;
}

/* Bytes of one row of a port. */
static size_t row_bytes(const maas_port *p)
{
    return (size_t)maas_dims_product(p->dims, 1, p->rank) * maas_dtype_size(p->dtype);
}

static void fill_random(const maas_port *p, int64_t rows, void *data, maas_rng *rng)
{
    static const char letters[] = "abcdefghijklmnop";
    int64_t dims[MAAS_MAX_RANK] = {rows * maas_dims_product(p->dims, 1, p->rank)};
    maas_tensor t = maas_tensor_of(p->dtype, 1, dims, data);
    for (int64_t i = 0; i < dims[0]; i++) {
        if (p->dtype == MAAS_STRING)
            ((maas_str *)data)[i] = (maas_str){letters + maas_rng_below(rng, 8), 1 + i % 3};
        else if (maas_dtype_describe(p->dtype)->kind == MAAS_KIND_FLOAT)
            maas_tensor_set(&t, i, maas_rng_normal(rng));
        else
            maas_tensor_set(&t, i, (double)maas_rng_below(rng, 2));
    }
}

/* Runs rows [at, at+n) of `in` and hands the outputs to `out`, row by row. */
static bool run_rows(maas_instance *m, uint8_t *const *in, uint8_t *const *out, int64_t at,
                     int64_t n)
{
    AUTO_FREE maas_type *types = maas_calloc(m->graph->n_inputs, sizeof *types);
    maas_lease *l;
    if (!types)
        return false;
    maas_instance_types(m, NULL, n, types);
    if (maas_plans_lease(&m->plans, types, 1, true, &l, NULL) != MAAS_OK)
        return false;
    for (uint32_t i = 0; i < m->graph->n_inputs; i++)
        memcpy(maas_exec_input(l->exec, i)->data, in[i] + (size_t)at * row_bytes(&m->in[i]),
               (size_t)n * row_bytes(&m->in[i]));
    bool ok = maas_exec_run(l->exec, NULL) == MAAS_OK;
    for (uint32_t i = 0; ok && i < m->graph->n_outputs; i++) {
        const maas_tensor *t = maas_exec_output(l->exec, i);
        size_t bytes = (size_t)n * row_bytes(&m->out[i]);
        ok = maas_tensor_bytes(t) == bytes;
        if (ok)
            memcpy(out[i] + (size_t)at * row_bytes(&m->out[i]), t->data, bytes);
    }
    maas_plans_return(&m->plans, l);
    return ok;
}

static bool same_value(const maas_tensor *a, const maas_tensor *b, int64_t i)
{
    if (a->dtype == MAAS_STRING) {
        const maas_str *x = (const maas_str *)a->data + i, *y = (const maas_str *)b->data + i;
        return x->n == y->n && (x->n == 0 || memcmp(x->p, y->p, x->n) == 0);
    }
    double x = maas_tensor_get(a, i), y = maas_tensor_get(b, i);
    /* Kernels may sum in another order for another number of rows: not bit-equal. */
    return x == y || (isnan(x) && isnan(y)) || fabs(x - y) <= 1e-3 * (1 + fabs(x));
}

static bool same_rows(const maas_port *p, void *a, void *b)
{
    int64_t dims[1] = {TRIAL_ROWS * maas_dims_product(p->dims, 1, p->rank)};
    maas_tensor x = maas_tensor_of(p->dtype, 1, dims, a), y = maas_tensor_of(p->dtype, 1, dims, b);
    for (int64_t i = 0; i < dims[0]; i++)
        if (!same_value(&x, &y, i))
            return false;
    return true;
}

static bool trial_keeps_rows_apart(maas_instance *m)
{
    maas_arena a;
    maas_arena_init(&a, m->opts.budget);
    maas_rng rng;
    maas_rng_seed(&rng, 1);
    uint32_t n_in = m->graph->n_inputs, n_out = m->graph->n_outputs;
    uint8_t **in = maas_arena_array(&a, n_in, sizeof *in);
    uint8_t **all = maas_arena_array(&a, n_out, sizeof *all);
    uint8_t **one = maas_arena_array(&a, n_out, sizeof *one);
    bool ok = in && all && one;
    for (uint32_t i = 0; ok && i < n_in; i++) {
        ok = (in[i] = maas_arena_array(&a, TRIAL_ROWS, row_bytes(&m->in[i]))) != NULL;
        if (ok)
            fill_random(&m->in[i], TRIAL_ROWS, in[i], &rng);
    }
    for (uint32_t i = 0; ok && i < n_out; i++)
        ok = (all[i] = maas_arena_array(&a, TRIAL_ROWS, row_bytes(&m->out[i]))) &&
             (one[i] = maas_arena_array(&a, TRIAL_ROWS, row_bytes(&m->out[i])));
    ok = ok && run_rows(m, in, all, 0, TRIAL_ROWS);
    for (int64_t r = 0; ok && r < TRIAL_ROWS; r++)
        ok = run_rows(m, in, one, r, 1);
    for (uint32_t i = 0; ok && i < n_out; i++)
        ok = same_rows(&m->out[i], all[i], one[i]);
    maas_arena_reset(&a);
    return ok;
}

bool maas_rows_are_independent(maas_instance *m)
{
    for (uint32_t i = 0; i < m->graph->n_inputs + m->graph->n_outputs; i++) {
        const maas_port *p = i < m->graph->n_inputs ? &m->in[i] : &m->out[i - m->graph->n_inputs];
        for (int d = 1; d < p->rank; d++)
            if (p->dims[d] < 0)
                return false; /* rows of unlike shapes never go together */
    }
    return structure_keeps_rows_apart(m->graph) && trial_keeps_rows_apart(m);
}
