/*
 * Graphs of control flow as plans of their own. A step that runs some keeps the plans it made, by
 * the shapes that came; when shapes keep changing, a plan is made for which they are left open.
 */
#include "runtime/plan_int.h"

#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

#define MAX_PLANS 6 /* of one step; more shapes than that are met with open ones */

typedef struct body {
    const maas_graph *graph;
    maas_type *types; /* [n_in] that the plan was made for, NONE for what is omitted */
    uint32_t n_in;
    maas_plan *plan;
    maas_exec *exec;
    uint64_t used; /* the step's clock when it ran last */
} body;

struct maas_flow {
    maas_bodies bodies; /* first: what reference code is given */
    maas_exec *e;
    const maas_node *node;
    body at[MAX_PLANS];
    uint32_t n;
    uint64_t clock, n_made;
};

static void body_reset(body *b)
{
    maas_exec_destroy(b->exec);
    maas_plan_destroy(b->plan);
    maas_free(b->types);
    *b = (body){0};
}

void maas_flow_destroy(maas_flow *f)
{
    if (!f)
        return;
    for (uint32_t i = 0; i < f->n; i++)
        body_reset(&f->at[i]);
    maas_free(f);
}

/* ---- which plan ---- */

static bool fits(const maas_type *t, const maas_tensor *x)
{
    if (x->holds || x->dtype == MAAS_DT_NONE)
        return true;
    if (t->rank < 0)
        return true;
    bool same = t->rank == x->rank;
    for (int i = 0; same && i < t->rank; i++)
        same = t->dims[i] < 0 || t->dims[i] == x->dims[i];
    return same;
}

static body *find(maas_flow *f, const maas_graph *g, const maas_tensor *in)
{
    for (uint32_t i = 0; i < f->n; i++) {
        body *b = &f->at[i];
        bool ok = b->graph == g;
        for (uint32_t k = 0; ok && k < b->n_in; k++)
            ok = fits(&b->types[k], &in[k]);
        if (ok)
            return b;
    }
    return NULL;
}

/* A free place, or that of the plan that was not used for the longest time. */
static body *place(maas_flow *f)
{
    if (f->n < MAX_PLANS)
        return &f->at[f->n++];
    body *oldest = &f->at[0];
    for (uint32_t i = 1; i < f->n; i++)
        if (f->at[i].used < oldest->used)
            oldest = &f->at[i];
    body_reset(oldest);
    return oldest;
}

/* ---- making one ---- */

/* The declared type of a list; of a tensor what came. What earlier plans of the body had otherwise
 * is left open when there have been many. */
static void type_input(maas_flow *f, const maas_graph *g, uint32_t k, const maas_tensor *x,
                       maas_type *t)
{
    if (x->dtype == MAAS_DT_NONE)
        return;
    if (x->holds) {
        const maas_vid v = k < g->n_inputs ? g->inputs[k] : g->captured[k - g->n_inputs];
        *t = maas_graph_at(g, v)->type;
        return;
    }
    *t = maas_type_of(x);
    for (uint32_t i = 0; f->n_made >= MAX_PLANS && i < f->n; i++) {
        const maas_type *other = &f->at[i].types[k];
        if (f->at[i].graph != g)
            continue;
        if (other->rank != t->rank)
            t->rank = MAAS_RANK_UNKNOWN;
        for (int d = 0; d < t->rank; d++)
            if (other->dims[d] != t->dims[d])
                t->dims[d] = MAAS_DIM_UNKNOWN;
    }
}

static maas_status make(maas_flow *f, const maas_graph *g, const maas_tensor *in, body **out,
                        maas_err *err)
{
    const uint32_t n_in = g->n_inputs + g->n_captured;
    maas_type *types = maas_calloc(n_in + 1u, sizeof *types);
    if (!types)
        return maas_fail(err, MAAS_E_NOMEM, "types of %u inputs", n_in);
    for (uint32_t k = 0; k < n_in; k++)
        type_input(f, g, k, &in[k], &types[k]);
    body b = {.graph = g, .types = types, .n_in = n_in, .used = ++f->clock};
    maas_status st = maas_plan_create_body(f->e->p, f->node, g, types, &b.plan, err);
    if (st == MAAS_OK)
        st = maas_exec_create(b.plan, NULL, &b.exec, err);
    if (st != MAAS_OK) {
        body_reset(&b);
        return st;
    }
    b.exec->root = f->e->root ? f->e->root : f->e;
    f->n_made++;
    *out = place(f);
    **out = b;
    return MAAS_OK;
}

/* ---- running ---- */

static maas_status own_text(maas_arena *a, maas_tensor *t, maas_err *err)
{
    maas_str *s = t->data;
    for (int64_t i = 0, n = maas_n_elems(t); i < n; i++)
        if (!(s[i].p = maas_arena_dup(a, s[i].p, s[i].n)))
            return maas_fail(err, MAAS_E_NOMEM, "text of %zu bytes", s[i].n);
    return MAAS_OK;
}

/* Items that the run made move out of its memory, which the next run takes back. What they are
 * listed in was made by it, too: lists that came in hold nothing of the run's. */
static maas_status keep_items(maas_exec *sub, maas_arena *to, const maas_tensor *list,
                              maas_err *err)
{
    maas_tensor *items = list->data;
    for (int64_t i = 0; i < list->dims[0]; i++) {
        maas_tensor *t = &items[i];
        if (t->holds) {
            MAAS_TRY(keep_items(sub, to, t, err));
            continue;
        }
        if (!maas_arena_owns(&sub->late, t->data))
            continue;
        t->data = maas_arena_dup(to, t->data, maas_tensor_bytes(t));
        if (!t->data)
            return maas_fail(err, MAAS_E_NOMEM, "%zu bytes of an item", maas_tensor_bytes(t));
        if (t->dtype == MAAS_STRING)
            MAAS_TRY(own_text(to, t, err));
    }
    return MAAS_OK;
}

static maas_status spend(maas_exec *root, uint64_t steps, maas_err *err)
{
    if (root->fuel < steps)
        return maas_fail(err, MAAS_E_TOO_LARGE, "more than %llu steps in the loops of one run",
                         (unsigned long long)root->p->loop_steps);
    root->fuel -= steps;
    return MAAS_OK;
}

/* What the plan has as a constant, or not at all, is not given to it. */
static bool binds(const maas_flow *f, const maas_graph *g, uint32_t k)
{
    if (g->captured[k] == MAAS_NO_VALUE)
        return false;
    const maas_vid v = f->node->in[f->node->n_in - f->node->n_captured + k];
    return !(maas_graph_at(f->e->p->g, v)->flags & MAAS_VALUE_CONST);
}

static void bind_inputs(const maas_flow *f, const body *b, const maas_tensor *in)
{
    uint32_t at = 0;
    for (uint32_t k = 0; k < b->n_in; k++) {
        const maas_graph *g = b->graph;
        if (k >= g->n_inputs && !binds(f, g, k - g->n_inputs))
            continue;
        *maas_exec_input(b->exec, at++) = in[k];
    }
}

static maas_status run_body(maas_bodies *bodies, const maas_graph *g, const maas_tensor *in,
                            maas_tensor *out, maas_err *err)
{
    maas_flow *f = (maas_flow *)bodies;
    body *b = find(f, g, in);
    if (!b)
        MAAS_TRY(make(f, g, in, &b, err));
    b->used = ++f->clock;
    MAAS_TRY(spend(b->exec->root, 1 + (uint64_t)maas_plan_n_steps(b->plan), err));
    bind_inputs(f, b, in);
    MAAS_TRY(maas_exec_run(b->exec, err));
    for (uint32_t k = 0; k < g->n_outputs; k++) {
        out[k] = *maas_exec_output(b->exec, k);
        if (out[k].holds)
            MAAS_TRY(keep_items(b->exec, &f->e->late, &out[k], err));
    }
    return MAAS_OK;
}

maas_status maas_flow_of(maas_exec *e, uint32_t step, maas_bodies **out, maas_err *err)
{
    maas_flow *f = e->flows[step];
    if (!f) {
        if (!(f = e->flows[step] = maas_calloc(1, sizeof *f)))
            return maas_fail(err, MAAS_E_NOMEM, "plans of a step");
        f->bodies.run = run_body;
        f->e = e;
        f->node = e->p->steps[step].node;
    }
    *out = &f->bodies;
    return MAAS_OK;
}
