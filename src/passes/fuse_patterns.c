/*
 * Chains of small operators that stand for one we have, as exporters write them. A pattern is a
 * list of nodes, its root first:
 *
 *   {"Mul", {N(1), NUM(0)}},  {"Add", {N(2), NUM(1)}},  {"Erf", {N(3)}},  ...
 *
 * N(i) is row i of the pattern, V(k) any value (the same one wherever k is the same), NUM(k) a
 * constant of one element: the k-th number of the pattern, NAN for any. Add and Mul match both ways
 * around. Values between the nodes must have no other readers. The root is rewritten in place; what
 * it needs exists by then.
 */
#include "passes/fuse_patterns.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "ops/build.h"
#include "base/ban.h"

enum { MAX_ROWS = 10, MAX_VALUES = 4, MAX_NUMBERS = 5, NUM_AT = 32, VALUE_AT = 16 };
#define N(i)   (i)
#define V(k)   (VALUE_AT + (k))
#define NUM(k) (NUM_AT + (k))
#define AXES   64 /* a constant list that says "the last axis alone" */

typedef struct row {
    const char *op;
    int8_t in[2]; /* 0: nothing */
} row;

typedef struct match {
    const maas_graph *g;
    const struct pattern *p;
    maas_nid node[MAX_ROWS];
    maas_vid value[MAX_VALUES];
    double number[MAX_NUMBERS];
    int n_tries; /* left: patterns with many commutative nodes stay cheap */
} match;

typedef struct pattern {
    row rows[MAX_ROWS];
    double numbers[MAX_NUMBERS];
    const char *op; /* that it becomes, of inputs V(0), V(1), .. */
    int n_in;
    bool (*fits)(const match *m);
    maas_status (*finish)(const maas_fuse *f, const match *m);
} pattern;

/* ---- what patterns ask besides ---- */

static const maas_type *type_of(const match *m, int k)
{
    return &maas_graph_at(m->g, m->value[k])->type;
}

/* V(1) and on are vectors as long as the last axis of V(0). */
static bool over_last_axis(const match *m)
{
    const maas_type *x = type_of(m, 0);
    if (x->rank < 1 || x->dims[x->rank - 1] < 1)
        return false;
    for (int k = 1; k < m->p->n_in; k++) {
        const maas_type *w = type_of(m, k);
        if (w->rank != 1 || w->dtype != x->dtype || w->dims[0] != x->dims[x->rank - 1])
            return false;
    }
    return true;
}

/* ---- what is set besides ---- */

static maas_status set_epsilon(const maas_fuse *f, const match *m)
{
    const maas_attr a = {.name = "epsilon", .type = MAAS_ATTR_FLOAT, .u.f = (float)m->number[0]};
    return maas_node_set(f->g, m->node[0], &a, f->err);
}

static maas_status set_tanh(const maas_fuse *f, const match *m)
{
    const maas_attr a = {.name = "approximate", .type = MAAS_ATTR_STRING, .u.s = {"tanh", 4}};
    return maas_node_set(f->g, m->node[0], &a, f->err);
}

/* ---- the patterns ---- */

#define SQRT2    1.4142135623730951
#define ROOT_2PI 0.7978845608028654 /* sqrt(2 / pi) */
/* clang-format off */
static const pattern patterns[] = {
    /* (x - m) / sqrt(mean((x - m)^2) + e) * scale + bias */
    {{{"Add", {N(1), V(2)}}, {"Mul", {N(2), V(1)}}, {"Div", {N(3), N(4)}}, {"Sub", {V(0), N(8)}},
      {"Sqrt", {N(5)}}, {"Add", {N(6), NUM(0)}}, {"ReduceMean", {N(7), AXES}},
      {"Pow", {N(3), NUM(1)}}, {"ReduceMean", {V(0), AXES}}},
     {NAN, 2}, "LayerNormalization", 3, over_last_axis, set_epsilon},
    {{{"Add", {N(1), V(2)}}, {"Mul", {N(2), V(1)}}, {"Div", {N(3), N(4)}}, {"Sub", {V(0), N(8)}},
      {"Sqrt", {N(5)}}, {"Add", {N(6), NUM(0)}}, {"ReduceMean", {N(7), AXES}},
      {"Mul", {N(3), N(3)}}, {"ReduceMean", {V(0), AXES}}},
     {NAN}, "LayerNormalization", 3, over_last_axis, set_epsilon},
    /* the same with the difference computed twice */
    {{{"Add", {N(1), V(2)}}, {"Mul", {N(2), V(1)}}, {"Div", {N(3), N(4)}}, {"Sub", {V(0), N(8)}},
      {"Sqrt", {N(5)}}, {"Add", {N(6), NUM(0)}}, {"ReduceMean", {N(7), AXES}},
      {"Pow", {N(9), NUM(1)}}, {"ReduceMean", {V(0), AXES}}, {"Sub", {V(0), N(8)}}},
     {NAN, 2}, "LayerNormalization", 3, over_last_axis, set_epsilon},
    /* x / sqrt(mean(x^2) + e) * scale, in four ways */
    {{{"Mul", {N(1), V(1)}}, {"Div", {V(0), N(2)}}, {"Sqrt", {N(3)}}, {"Add", {N(4), NUM(0)}},
      {"ReduceMean", {N(5), AXES}}, {"Pow", {V(0), NUM(1)}}},
     {NAN, 2}, "RMSNormalization", 2, over_last_axis, set_epsilon},
    {{{"Mul", {N(1), V(1)}}, {"Mul", {V(0), N(2)}}, {"Reciprocal", {N(3)}}, {"Sqrt", {N(4)}},
      {"Add", {N(5), NUM(0)}}, {"ReduceMean", {N(6), AXES}}, {"Pow", {V(0), NUM(1)}}},
     {NAN, 2}, "RMSNormalization", 2, over_last_axis, set_epsilon},
    {{{"Mul", {N(1), V(1)}}, {"Mul", {V(0), N(2)}}, {"Div", {NUM(2), N(3)}}, {"Sqrt", {N(4)}},
      {"Add", {N(5), NUM(0)}}, {"ReduceMean", {N(6), AXES}}, {"Pow", {V(0), NUM(1)}}},
     {NAN, 2, 1}, "RMSNormalization", 2, over_last_axis, set_epsilon},
    {{{"Mul", {N(1), V(1)}}, {"Mul", {V(0), N(2)}}, {"Reciprocal", {N(3)}}, {"Sqrt", {N(4)}},
      {"Add", {N(5), NUM(0)}}, {"ReduceMean", {N(6), AXES}}, {"Mul", {V(0), V(0)}}},
     {NAN}, "RMSNormalization", 2, over_last_axis, set_epsilon},
    /* x (1 + erf(x / sqrt 2)) / 2 */
    {{{"Mul", {N(1), NUM(0)}}, {"Mul", {V(0), N(2)}}, {"Add", {N(3), NUM(1)}}, {"Erf", {N(4)}},
      {"Div", {V(0), NUM(2)}}}, {0.5, 1, SQRT2}, "Gelu", 1, NULL, NULL},
    {{{"Mul", {N(1), N(2)}}, {"Mul", {V(0), NUM(0)}}, {"Add", {N(3), NUM(1)}}, {"Erf", {N(4)}},
      {"Div", {V(0), NUM(2)}}}, {0.5, 1, SQRT2}, "Gelu", 1, NULL, NULL},
    {{{"Mul", {V(0), N(1)}}, {"Mul", {N(2), NUM(0)}}, {"Add", {N(3), NUM(1)}}, {"Erf", {N(4)}},
      {"Div", {V(0), NUM(2)}}}, {0.5, 1, SQRT2}, "Gelu", 1, NULL, NULL},
    {{{"Mul", {N(1), NUM(0)}}, {"Mul", {V(0), N(2)}}, {"Add", {N(3), NUM(1)}}, {"Erf", {N(4)}},
      {"Mul", {V(0), NUM(2)}}}, {0.5, 1, 1 / SQRT2}, "Gelu", 1, NULL, NULL},
    {{{"Mul", {N(1), N(2)}}, {"Mul", {V(0), NUM(0)}}, {"Add", {N(3), NUM(1)}}, {"Erf", {N(4)}},
      {"Mul", {V(0), NUM(2)}}}, {0.5, 1, 1 / SQRT2}, "Gelu", 1, NULL, NULL},
    /* x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) */
    {{{"Mul", {N(1), N(2)}}, {"Mul", {V(0), NUM(0)}}, {"Add", {N(3), NUM(1)}}, {"Tanh", {N(4)}},
      {"Mul", {N(5), NUM(2)}}, {"Add", {V(0), N(6)}}, {"Mul", {N(7), NUM(3)}},
      {"Pow", {V(0), NUM(4)}}},
     {0.5, 1, ROOT_2PI, 0.044715, 3}, "Gelu", 1, NULL, set_tanh},
    {{{"Mul", {N(1), NUM(0)}}, {"Mul", {V(0), N(2)}}, {"Add", {N(3), NUM(1)}}, {"Tanh", {N(4)}},
      {"Mul", {N(5), NUM(2)}}, {"Add", {V(0), N(6)}}, {"Mul", {N(7), NUM(3)}},
      {"Pow", {V(0), NUM(4)}}},
     {0.5, 1, ROOT_2PI, 0.044715, 3}, "Gelu", 1, NULL, set_tanh},
};
/* clang-format on */

/* ---- matching ---- */

bool maas_fuse_number(const maas_graph *g, maas_vid v, double *out)
{
    if (!maas_value_is(g, v, MAAS_VALUE_CONST))
        return false;
    const maas_tensor *t = &maas_graph_at(g, v)->init;
    if (!t->data || t->dtype == MAAS_STRING || maas_n_elems(t) != 1)
        return false;
    *out = maas_tensor_get(t, 0);
    return true;
}

static bool is_number(const maas_graph *g, maas_vid v, double want, double *out)
{
    double got;
    if (!maas_fuse_number(g, v, &got))
        return false;
    *out = got;
    return isnan(want) || fabs(got - want) <= 1e-4 * fabs(want);
}

/* The one number -1, or the number of the last axis. */
static bool is_last_axis(const maas_graph *g, const maas_node *n)
{
    double axis;
    const maas_type *t = &maas_graph_at(g, n->in[0])->type;
    return maas_attr_i(n, "keepdims", 1) != 0 && n->n_in > 1 && t->rank > 0 &&
           maas_fuse_number(g, n->in[1], &axis) && (axis == -1 || axis == t->rank - 1);
}

static bool match_row(match *m, int i, maas_vid v);

static bool match_slot(match *m, int8_t what, const maas_node *n, maas_vid v)
{
    if (what == AXES)
        return is_last_axis(m->g, n);
    if (what >= NUM_AT)
        return is_number(m->g, v, m->p->numbers[what - NUM_AT], &m->number[what - NUM_AT]);
    if (what < VALUE_AT)
        return match_row(m, what, v);
    maas_vid *slot = &m->value[what - VALUE_AT];
    if (*slot == MAAS_NO_VALUE)
        *slot = v;
    return *slot == v;
}

static bool match_inputs(match *m, const row *r, const maas_node *n, bool swapped)
{
    const int n_in = r->in[1] ? 2 : 1;
    if (n->n_in != n_in)
        return false;
    for (int k = 0; k < n_in; k++) {
        const maas_vid v = n->in[swapped ? 1 - k : k];
        if (v < 0 || !match_slot(m, r->in[k], n, v))
            return false;
    }
    return true;
}

/* Depth is that of the pattern. */
static bool match_node(match *m, int i, maas_nid nid)
{
    const row *r = &m->p->rows[i];
    const maas_node *n = &m->g->nodes[nid];
    const bool commutes = strcmp(r->op, "Add") == 0 || strcmp(r->op, "Mul") == 0;
    if (n->dead || n->n_out != 1 || *n->op->domain || strcmp(n->op->name, r->op) != 0)
        return false;
    if (m->node[i] != MAAS_NO_NODE)
        return m->node[i] == nid;
    for (int swapped = 0; swapped <= commutes && m->n_tries > 0; swapped++) {
        const match before = *m;
        m->n_tries--;
        m->node[i] = nid;
        if (match_inputs(m, r, n, swapped))
            return true;
        const int left = m->n_tries;
        *m = before;
        m->n_tries = left;
    }
    return false;
}

static bool match_row(match *m, int i, maas_vid v)
{
    const maas_nid nid = maas_graph_at(m->g, v)->producer;
    return nid != MAAS_NO_NODE && match_node(m, i, nid);
}

/* Nothing but the pattern reads what it makes on the way. */
static bool is_closed(const maas_fuse *f, const match *m)
{
    for (int i = 1; i < MAX_ROWS && m->p->rows[i].op; i++) {
        if (m->node[i] == MAAS_NO_NODE)
            continue;
        const maas_vid made = f->g->nodes[m->node[i]].out[0];
        uint32_t inside = 0;
        for (int k = 0; k < MAX_ROWS && m->p->rows[k].op; k++)
            for (int j = 0; m->node[k] != MAAS_NO_NODE && j < f->g->nodes[m->node[k]].n_in; j++)
                inside += f->g->nodes[m->node[k]].in[j] == made;
        if (inside != f->uses[made])
            return false;
    }
    return true;
}

/* ---- rewriting ---- */

static void count_inputs(const maas_fuse *f, const maas_node *n, int by)
{
    for (int k = 0; k < n->n_in; k++)
        if (n->in[k] >= 0)
            f->uses[n->in[k]] += (uint32_t)by;
}

void maas_fuse_drop(const maas_fuse *f, maas_node *n)
{
    if (!n || n->dead)
        return;
    count_inputs(f, n, -1);
    n->dead = true;
}

maas_node *maas_fuse_maker(const maas_fuse *f, maas_vid v, const char *op)
{
    const maas_nid nid = v >= 0 ? maas_graph_at(f->g, v)->producer : MAAS_NO_NODE;
    if (nid == MAAS_NO_NODE || f->uses[v] != 1)
        return NULL;
    maas_node *n = &f->g->nodes[nid];
    return !n->dead && !*n->op->domain && strcmp(n->op->name, op) == 0 ? n : NULL;
}

maas_status maas_fuse_rewrite(const maas_fuse *f, maas_nid nid, const char *op, const maas_vid *in,
                              uint32_t n_in)
{
    maas_node *n = &f->g->nodes[nid];
    maas_vid *copy = maas_arena_array(&f->g->arena, n_in, sizeof *copy);
    if (!copy)
        return maas_fail(f->err, MAAS_E_NOMEM, "fusing '%s'", n->name);
    memcpy(copy, in, n_in * sizeof *copy);
    count_inputs(f, n, -1);
    n->op = maas_op_find("", op, MAAS_OPSET);
    n->in = copy;
    n->n_in = (uint16_t)n_in;
    n->attr = NULL;
    n->n_attr = 0;
    n->checked = 0;
    count_inputs(f, n, 1);
    return MAAS_OK;
}

static maas_status apply(const maas_fuse *f, const match *m)
{
    for (int i = 1; i < MAX_ROWS && m->p->rows[i].op; i++)
        if (m->node[i] != MAAS_NO_NODE)
            maas_fuse_drop(f, &f->g->nodes[m->node[i]]);
    MAAS_TRY(maas_fuse_rewrite(f, m->node[0], m->p->op, m->value, (uint32_t)m->p->n_in));
    return m->p->finish ? m->p->finish(f, m) : MAAS_OK;
}

static maas_status try_patterns(const maas_fuse *f, maas_nid nid, bool *done)
{
    const maas_node *n = &f->g->nodes[nid];
    const maas_type *t = &maas_graph_at(f->g, n->out[0])->type;
    *done = false;
    for (size_t i = 0; i < MAAS_COUNT(patterns) && t->dtype == MAAS_F32; i++) {
        match m = {.g = f->g, .p = &patterns[i], .n_tries = 64};
        if (strcmp(patterns[i].rows[0].op, n->op->name) != 0)
            continue;
        for (int k = 0; k < MAX_ROWS; k++)
            m.node[k] = MAAS_NO_NODE;
        for (int k = 0; k < MAX_VALUES; k++)
            m.value[k] = MAAS_NO_VALUE;
        if (!match_node(&m, 0, nid) || !is_closed(f, &m) || !maas_type_eq(t, type_of(&m, 0)) ||
            (patterns[i].fits && !patterns[i].fits(&m)))
            continue;
        *done = true;
        return apply(f, &m);
    }
    return MAAS_OK;
}

maas_status maas_pass_fuse_patterns(maas_graph *g, const maas_pass_opts *o, maas_err *err)
{
    AUTO_FREE uint32_t *uses = maas_calloc(g->n_values + 1u, sizeof *uses);
    if (!uses)
        return maas_fail(err, MAAS_E_NOMEM, "fusing patterns");
    const maas_fuse f = {g, uses, err};
    maas_graph_count_uses(g, uses);
    bool any = false;
    /* from the end: the larger of two patterns that share a node is the one that ends later */
    for (uint32_t i = g->n_nodes; i-- > 0;) {
        bool done = false;
        if (g->nodes[i].dead || g->nodes[i].n_out != 1 || g->nodes[i].out[0] < 0)
            continue;
        MAAS_TRY(try_patterns(&f, (maas_nid)i, &done));
        if (!done)
            MAAS_TRY(maas_fuse_attention(&f, (maas_nid)i, &done));
        any |= done;
    }
    return any ? maas_graph_compact(g, err) : MAAS_OK;
}
