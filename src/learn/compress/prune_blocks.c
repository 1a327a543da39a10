/*
 * learn/compress/prune_blocks.c - step prune_blocks: whole blocks go, so that the model gets less
 * deep. A block is what a residual connection goes around (x + f(x) becomes x), or a dense layer
 * with its activation whose output is as wide as its input.
 *
 * A block that turns its input least says least: those with the smallest 1 - cos(input, output),
 * mean over rows of the data set, go first (as Men and others 2024 have it for layers of
 * transformers).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "learn/compress/dense_chain.h"
#include "learn/compress/probe.h"
#include "learn/compress/recipe_layers.h"
#include "learn/compress/step.h"
#include "passes/pass.h"
#include "base/ban.h"

const maas_param maas_step_blocks_rows[4] = {
    {"blocks", MAAS_PARAM_INT, MAAS_STEP_AT(rank), 1, 1000, 1, .help = "how many go"},
    {"rows", MAAS_PARAM_INT, MAAS_STEP_AT(rows), 1, 1 << 24, 512,
     .help = "of the data set, not held out, to look at inputs and outputs on"},
    {"fine_tune", MAAS_PARAM_INT, MAAS_STEP_AT(fine_tune), 0, 1e6, 0,
     .help = "epochs of training afterwards; for models that were trained here"},
    {"lr", MAAS_PARAM_NUM, MAAS_STEP_AT(lr), 1e-12, 1e3, NAN,
     .help = "learning rate of fine_tune; else that of the training"},
};

typedef struct block {
    maas_vid in, out;
    const char *weight; /* its first one, for words */
    double turned;      /* sum of 1 - cos */
    int64_t seen;
} block;

typedef struct cutting {
    const maas_graph *g;
    block *at;
    uint32_t n;
    maas_vid *wanted; /* in and out of each */
    const maas_tensor *in;
} cutting;

/* ---- finding them ---- */

static bool same_type(const maas_graph *g, maas_vid a, maas_vid b)
{
    const maas_type *x = &maas_graph_at(g, a)->type, *y = &maas_graph_at(g, b)->type;
    if (x->tag != MAAS_TYPE_TENSOR || y->tag != x->tag || x->dtype != MAAS_F32 ||
        y->dtype != MAAS_F32 || x->rank < 1 || x->rank != y->rank)
        return false;
    for (int i = 0; i < x->rank; i++)
        if (x->dims[i] != y->dims[i] || x->dims[i] == MAAS_DIM_UNKNOWN)
            return false;
    return true;
}

static const char *weight_of(const maas_graph *g, const maas_node *n)
{
    for (int k = 0; k < n->n_in; k++) {
        const maas_value *v = n->in[k] == MAAS_NO_VALUE ? NULL : maas_graph_at(g, n->in[k]);
        if (v && (v->flags & MAAS_VALUE_CONST) && v->init.dtype == MAAS_F32 && v->init.rank >= 2)
            return v->name;
    }
    return NULL;
}

/* Is x on the way to `from`? Nodes are in order, so one walk backwards sees all that from needs and
 * that is behind x. *out_weight: of a node between. */
static bool leads_to(const maas_graph *g, maas_vid x, maas_vid from, bool *needed,
                     const char **out_weight)
{
    memset(needed, 0, g->n_values * sizeof *needed);
    needed[from] = true;
    *out_weight = NULL;
    for (maas_nid i = maas_graph_at(g, from)->producer; i >= 0; i--) {
        const maas_node *n = &g->nodes[i];
        bool live = false;
        for (int k = 0; k < n->n_out; k++)
            live |= n->out[k] != MAAS_NO_VALUE && n->out[k] != x && needed[n->out[k]];
        if (!live)
            continue;
        const char *w = weight_of(g, n);
        *out_weight = w ? w : *out_weight;
        for (int k = 0; k < n->n_in; k++)
            if (n->in[k] != MAAS_NO_VALUE)
                needed[n->in[k]] = true;
    }
    return needed[x];
}

static bool is_computed(const maas_graph *g, maas_vid v)
{
    return v != MAAS_NO_VALUE && maas_graph_at(g, v)->producer != MAAS_NO_NODE;
}

/* x + f(x), f with weights. */
static bool residual_of(const maas_graph *g, const maas_node *n, bool *needed, block *out)
{
    if (*n->op->domain || strcmp(n->op->name, "Add") != 0 || !is_computed(g, n->in[0]) ||
        !is_computed(g, n->in[1]))
        return false;
    for (int k = 0; k < 2; k++) {
        const maas_vid x = n->in[k], f = n->in[1 - k];
        if (x != f && same_type(g, x, n->out[0]) && leads_to(g, x, f, needed, &out->weight) &&
            out->weight) {
            out->in = x;
            out->out = n->out[0];
            return true;
        }
    }
    return false;
}

/* A dense layer of a chain, with what works on each neuron alone behind it. */
static bool layer_of(const maas_graph *g, maas_nid id, block *out)
{
    maas_dense_chain c;
    if (!maas_dense_chain_of(g, id, &c) || c.first.in != c.first.out ||
        !is_computed(g, c.first.x) || !same_type(g, c.first.x, c.second.x))
        return false;
    *out = (block){.in = c.first.x, .out = c.second.x, .weight = maas_graph_at(g, c.first.w)->name};
    return true;
}

static maas_status collect(cutting *c, maas_arena *a, maas_err *err)
{
    const maas_graph *g = c->g;
    bool *needed = maas_arena_array(a, g->n_values, sizeof *needed);
    c->at = maas_arena_array(a, g->n_nodes, sizeof *c->at);
    c->wanted = maas_arena_array(a, 2 * (size_t)g->n_nodes, sizeof *c->wanted);
    if (!needed || !c->at || !c->wanted)
        return maas_fail(err, MAAS_E_NOMEM, "memory for a list of blocks");
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        block *b = &c->at[c->n];
        if (!residual_of(g, &g->nodes[i], needed, b) && !layer_of(g, (maas_nid)i, b))
            continue;
        c->wanted[2 * c->n] = b->in;
        c->wanted[2 * c->n++ + 1] = b->out;
    }
    if (!c->n)
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "the model has no blocks that could go: nothing with weights that a "
                         "connection goes around, no dense layer as wide as its input");
    return MAAS_OK;
}

/* ---- what they do to their input ---- */

static double turned(const float *x, const float *y, int64_t n)
{
    double xy = 0, xx = 0, yy = 0;
    for (int64_t i = 0; i < n; i++) {
        xy += (double)x[i] * (double)y[i];
        xx += (double)x[i] * (double)x[i];
        yy += (double)y[i] * (double)y[i];
    }
    return xx > 0 && yy > 0 ? 1 - xy / sqrt(xx * yy) : xx != yy;
}

/* Inputs come right before their outputs, and stay until the next run. */
static maas_status see(void *user, uint32_t which, const maas_tensor *t, maas_err *err)
{
    cutting *c = user;
    block *b = &c->at[which / 2];
    if (which % 2 == 0) {
        c->in = t;
        return MAAS_OK;
    }
    const int64_t n = t->dims[0] > 0 ? maas_n_elems(t) / t->dims[0] : 0;
    for (int64_t r = 0; r < t->dims[0]; r++, b->seen++)
        b->turned += turned((const float *)c->in->data + r * n, (const float *)t->data + r * n, n);
    return MAAS_OK;
}

static double influence(const block *b)
{
    return b->turned / (double)(b->seen ? b->seen : 1);
}

static int by_influence(const void *a, const void *b)
{
    const block *x = a, *y = b;
    const double p = influence(x), q = influence(y);
    return p != q ? (p < q ? -1 : 1) : (x->out > y->out) - (x->out < y->out);
}

/* ---- the step ---- */

static bool is_read(const maas_graph *g, maas_vid v)
{
    return maas_graph_n_uses(g, v) > 0;
}

static maas_status cut(maas_step_call *c, cutting *x, json_t *said, maas_err *err)
{
    const maas_pass_opts sweep = {.level = 0};
    int64_t left = c->spec->rank;
    for (uint32_t i = 0; i < x->n && left > 0; i++) {
        const block *b = &x->at[i];
        if (!is_read(c->g, b->out) || !is_read(c->g, b->in))
            continue; /* it was within one that went */
        MAAS_TRY(maas_graph_replace(c->g, b->out, b->in, err));
        json_object_set_new(said, b->weight, json_real(influence(b)));
        MAAS_TRY(maas_graph_optimize(c->g, &sweep, err));
        left--;
    }
    return maas_recipe_follow(c->g, "prune_blocks", err);
}

static maas_status prune(maas_step_call *c, maas_arena *a, maas_err *err)
{
    cutting x = {.g = c->g};
    json_t *said = json_object();
    json_object_set_new(c->said, "blocks", said);
    MAAS_TRY(collect(&x, a, err));
    MAAS_TRY(maas_step_seen(c, err));
    MAAS_TRY(maas_calibrate(c->g, c->seen, c->job, c->spec->rows, x.wanted, 2 * x.n, see, &x, err));
    qsort(x.at, x.n, sizeof *x.at, by_influence);
    MAAS_TRY(cut(c, &x, said, err));
    return maas_fine_tune(c, NULL, NULL, err);
}

maas_status maas_step_prune_blocks(maas_step_call *c, maas_err *err)
{
    maas_arena a;
    maas_arena_init(&a, c->job->budget);
    const maas_status st = prune(c, &a, err);
    maas_arena_reset(&a);
    return st;
}
