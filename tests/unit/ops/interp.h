/*
 * tests/unit/ops/interp.h - the slowest correct engine: allocates every value of a concrete graph
 * and runs the reference code node by node. Tests of operators use it; it knows nothing of plans.
 */
#ifndef MAAS_TEST_INTERP_H
#define MAAS_TEST_INTERP_H

#include "maas_test.h"
#define MAYBE __attribute__((unused)) static /* not every test uses everything */
#include "ops/build.h"
#include "base/mem.h"

typedef struct interp {
    const maas_graph *g;
    maas_tensor *v;   /* [n_values] */
    void **own;       /* [n_values] what this engine allocated */
    int n_bodies;     /* that were run */
    maas_arena arena; /* of operators that make their outputs */
} interp;

MAYBE void interp_close(interp *p)
{
    for (uint32_t i = 0; p->own && i < p->g->n_values; i++)
        free(p->own[i]);
    free(p->own);
    free(p->v);
    maas_arena_reset(&p->arena);
    *p = (interp){0};
}

#define INTERP_MAKES (MAAS_OP_DYNAMIC | MAAS_OP_CONTROL)
MAYBE bool interp_makes_own(const maas_graph *g, const maas_value *v)
{
    return v->producer >= 0 && (g->nodes[v->producer].op->flags & INTERP_MAKES);
}

/* Some tensors of one shape: what may follow from the shapes of items is asked elsewhere. */
MAYBE maas_tensor interp_list(interp *p, const maas_type *t)
{
    const int n = t->tag == MAAS_TYPE_SEQUENCE ? 3 : 1;
    maas_tensor *items = maas_arena_array(&p->arena, (size_t)n, sizeof *items);
    for (int i = 0; i < n; i++)
        items[i] = maas_tensor_of((maas_dtype)t->dtype, 2, (const int64_t[]){2, 3},
                                  maas_arena_alloc(&p->arena, 6 * sizeof(maas_str)));
    return maas_list_of(t->tag == MAAS_TYPE_SEQUENCE ? MAAS_SEQUENCE : MAAS_OPTIONAL,
                        (maas_dtype)t->dtype, items, n);
}

/* Memory for every value whose size is known; false names the first that is not. */
MAYBE bool interp_open(interp *p, const maas_graph *g)
{
    *p = (interp){.g = g,
                  .v = calloc(g->n_values + 1, sizeof(maas_tensor)),
                  .own = calloc(g->n_values + 1, sizeof(void *))};
    for (uint32_t i = 0; i < g->n_values; i++) {
        const maas_value *val = &g->values[i];
        const maas_type *t = &val->type;
        size_t bytes;
        if (val->flags & MAAS_VALUE_CONST) {
            p->v[i] = val->init;
            continue;
        }
        if (t->tag == MAAS_TYPE_SEQUENCE || t->tag == MAAS_TYPE_OPTIONAL) {
            if (val->flags & MAAS_VALUE_INPUT)
                p->v[i] = interp_list(p, t);
            else
                p->v[i].dtype = t->dtype;
            continue;
        }
        if (interp_makes_own(g, val)) {
            p->v[i].dtype = t->dtype;
            continue;
        }
        if (t->tag != MAAS_TYPE_TENSOR || t->rank < 0 ||
            maas_shape_bytes((maas_dtype)t->dtype, t->dims, t->rank, &bytes, NULL) != MAAS_OK) {
            EXPECT_MSG(false, "value %u '%s' has no concrete type", i, val->name);
            return false;
        }
        p->own[i] = calloc(1, bytes + 1); /* exact, so that ASan sees an overrun of one */
        p->v[i] = maas_tensor_of((maas_dtype)t->dtype, t->rank, t->dims, p->own[i]);
    }
    return true;
}

MAYBE maas_status interp_run(interp *p, maas_err *err);

typedef struct interp_bodies {
    maas_bodies b; /* first */
    interp *outer;
    const maas_node *node;
} interp_bodies;

/* The body, closed and with the shapes that came; outputs stay in the memory of the outer one. */
MAYBE maas_status interp_body(maas_bodies *bodies, const maas_graph *body, const maas_tensor *in,
                              maas_tensor *out, maas_err *err)
{
    const interp_bodies *b = (const interp_bodies *)bodies;
    const maas_value *outer[64];
    maas_graph *g = NULL;
    interp p = {0};
    if (++b->outer->n_bodies > 1000)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "too many rounds for a test");
    MAAS_CHECK(maas_graph_clone(body, NULL, &g, err) == MAAS_OK && body->n_captured <= 64);
    for (uint32_t k = 0; k < body->n_captured; k++)
        outer[k] = &b->outer->g->values[b->node->in[b->node->n_in - b->node->n_captured + (int)k]];
    maas_graph_close(g, outer, err);
    for (uint32_t k = 0; k < g->n_inputs; k++)
        g->values[g->inputs[k]].type = maas_type_of(&in[k]);
    maas_graph_forget_types(g);
    maas_status st = maas_graph_infer(g, err);
    if (st == MAAS_OK && interp_open(&p, g)) {
        for (uint32_t k = 0; k < g->n_inputs; k++)
            p.v[g->inputs[k]] = in[k];
        st = interp_run(&p, err);
    }
    for (uint32_t k = 0; st == MAAS_OK && k < g->n_outputs; k++) {
        out[k] = p.v[g->outputs[k]];
        out[k].data = maas_arena_dup(&b->outer->arena, out[k].data, maas_tensor_bytes(&out[k]));
    }
    interp_close(&p);
    maas_graph_destroy(g);
    return st;
}

MAYBE maas_status interp_node(interp *p, const maas_node *n, maas_err *err)
{
    maas_tensor in[64] = {{0}}, out[64] = {{0}};
    MAAS_CHECK(n->n_in <= 64 && n->n_out <= 64);
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] >= 0)
            in[i] = p->v[n->in[i]];
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] >= 0)
            out[i] = p->v[n->out[i]];
    interp_bodies bodies = {.b = {interp_body}, .outer = p, .node = n};
    const maas_call c = {.node = n,
                         .in = in,
                         .out = out,
                         .n_in = n->n_in,
                         .n_out = n->n_out,
                         .n_threads = 1,
                         .arena = &p->arena,
                         .bodies = &bodies.b};
    maas_status st = n->op->reference(&c, err);
    for (int i = 0; i < n->n_out && (n->op->flags & INTERP_MAKES); i++)
        if (n->out[i] >= 0) {
            EXPECT_MSG(st != MAAS_OK || out[i].data, "%s: output %d was not made", n->op->name, i);
            p->v[n->out[i]] = out[i];
        }
    if (st == MAAS_OK && n->op->flops(&c) < 0)
        return maas_fail(err, MAAS_E_INTERNAL, "%s: negative flops", n->op->name);
    return st;
}

MAYBE maas_status interp_run(interp *p, maas_err *err)
{
    for (uint32_t i = 0; i < p->g->n_nodes; i++)
        if (!p->g->nodes[i].dead)
            MAAS_TRY(interp_node(p, &p->g->nodes[i], err));
    return MAAS_OK;
}

static const char *const interp_words[] = {"", "a", "bc", "a longer word", "a"};

/* Uniform in [lo, hi): as an example asks for it. */
MAYBE void interp_fill(const maas_tensor *t, double lo, double hi, maas_rng *rng)
{
    for (int64_t i = 0; t->holds && i < t->dims[0]; i++)
        interp_fill(&maas_list_items(t)[i], lo, hi, rng);
    for (int64_t i = 0, n = t->holds ? 0 : maas_n_elems(t); i < n; i++) {
        double x = lo + (hi - lo) * maas_rng_unit(rng);
        if (t->dtype == MAAS_STRING) {
            const char *w = interp_words[maas_rng_below(rng, MAAS_COUNT(interp_words))];
            ((maas_str *)t->data)[i] = (maas_str){w, strlen(w)};
        } else {
            bool real = maas_dtype_describe((maas_dtype)t->dtype)->kind == MAAS_KIND_FLOAT;
            maas_tensor_set(t, i, real ? x : floor(x));
        }
    }
}

/* A graph that holds one example: inputs, constants, the node, its outputs as graph outputs. */
typedef struct sample {
    maas_graph *g;
    maas_builder b;
    maas_example e;
    maas_rng rng;
    maas_err err;
    maas_nid node; /* the one of the example */
} sample;

MAYBE bool sample_open(sample *s, const maas_op *op, int variant)
{
    memset(s, 0, sizeof *s);
    maas_rng_seed(&s->rng, 1000003u * (uint64_t)variant + strlen(op->name));
    MAAS_CHECK(maas_graph_create("example", NULL, &s->g, &s->err) == MAAS_OK);
    maas_builder_init(&s->b, s->g, &s->err);
    s->e = (maas_example){.b = &s->b, .rng = &s->rng, .variant = variant};
    op->example(&s->e);
    EXPECT_MSG(s->b.status == MAAS_OK, "%s variant %d: %s", op->name, variant, s->err.msg);
    if (s->b.status != MAAS_OK)
        return false;
    EXPECT_MSG(s->b.last != MAAS_NO_NODE && s->g->nodes[s->b.last].op == op,
               "%s variant %d: its node is not the last", op->name, variant);
    s->node = s->b.last;
    return s->node != MAAS_NO_NODE;
}

MAYBE void sample_close(sample *s)
{
    maas_graph_destroy(s->g);
}

MAYBE const maas_node *sample_node(const sample *s)
{
    return &s->g->nodes[s->node];
}

#endif
