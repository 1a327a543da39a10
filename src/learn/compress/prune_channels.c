/*
 * learn/compress/prune_channels.c - step prune_channels: whole filters of convolutions go, and with
 * them what the next layer does with their channels.
 *
 * A channel is worth the root of its mean square over rows of the data set times the length of the
 * weights that read it: about what the next layer loses without it.
 */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "learn/compress/conv_chain.h"
#include "learn/compress/probe.h"
#include "learn/compress/recipe_layers.h"
#include "learn/compress/step.h"
#include "base/ban.h"

const maas_param maas_step_channels_rows[4] = {
    {"ratio", MAAS_PARAM_NUM, MAAS_STEP_AT(ratio), 0.001, 0.99, 0.5,
     .help = "share of the filters of each convolution that goes"},
    {"rows", MAAS_PARAM_INT, MAAS_STEP_AT(rows), 1, 1 << 24, 512,
     .help = "of the data set, not held out, to look at channels on"},
    {"fine_tune", MAAS_PARAM_INT, MAAS_STEP_AT(fine_tune), 0, 1e6, 0,
     .help = "epochs of training afterwards; for models that were trained here"},
    {"lr", MAAS_PARAM_NUM, MAAS_STEP_AT(lr), 1e-12, 1e3, NAN,
     .help = "learning rate of fine_tune; else that of the training"},
};

typedef struct channels { /* between two layers */
    maas_nid node;
    maas_conv_chain chain;
    double *squares; /* [n] */
} channels;

typedef struct pruning {
    maas_step_call *c;
    channels *at;
    uint32_t n;
    maas_vid *x;
} pruning;

static maas_status see(void *user, uint32_t which, const maas_tensor *t, maas_err *err)
{
    channels *s = &((pruning *)user)->at[which];
    const int64_t n = s->chain.n, run = maas_dims_product(t->dims, 2, t->rank);
    const float *x = t->data;
    for (int64_t r = 0; r < t->dims[0]; r++)
        for (int64_t c = 0; c < n; c++)
            for (int64_t i = 0; i < run; i++) {
                const double v = (double)x[(r * n + c) * run + i];
                s->squares[c] += v * v;
            }
    return MAAS_OK;
}

static maas_status collect(pruning *p, maas_arena *a, maas_err *err)
{
    const maas_graph *g = p->c->g;
    p->at = maas_arena_array(a, g->n_nodes, sizeof *p->at);
    p->x = maas_arena_array(a, g->n_nodes, sizeof *p->x);
    if (!p->at || !p->x)
        return maas_fail(err, MAAS_E_NOMEM, "memory for a list of convolutions");
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        channels *s = &p->at[p->n];
        if (!maas_conv_chain_of(g, (maas_nid)i, &s->chain) || s->chain.n < 2)
            continue;
        s->node = (maas_nid)i;
        s->squares = maas_arena_array(a, (size_t)s->chain.n, sizeof *s->squares);
        if (!s->squares)
            return maas_fail(err, MAAS_E_NOMEM, "memory for channels");
        p->x[p->n++] = s->chain.x;
    }
    if (!p->n)
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "the model has no convolution whose channels one other layer alone reads");
    return MAAS_OK;
}

typedef struct ranked {
    double worth;
    int64_t channel;
} ranked;

static int by_worth(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->worth != y->worth)
        return x->worth > y->worth ? -1 : 1;
    return (x->channel > y->channel) - (x->channel < y->channel);
}

static int by_number(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double length_read(const maas_graph *g, const maas_conv_chain *c, int64_t channel)
{
    const float *w = maas_weight_data(g, c->w);
    const int64_t run = c->spatial * c->after;
    double sum = 0;
    for (int64_t b = 0; b < c->before; b++)
        for (int64_t i = 0; i < run; i++) {
            const double v = (double)w[(b * c->n + channel) * run + i];
            sum += v * v;
        }
    return sqrt(sum);
}

static maas_status take_out(pruning *p, channels *s, json_t *said, maas_err *err)
{
    maas_graph *g = p->c->g;
    /* An earlier pair may have changed the shapes of this one. */
    if (!maas_conv_chain_of(g, s->node, &s->chain))
        return maas_fail(err, MAAS_E_INTERNAL, "a chain of layers broke");
    const int64_t n = s->chain.n, gone = (int64_t)floor(p->c->spec->ratio * (double)n);
    const int64_t left = gone < n ? n - gone : 1;
    AUTO_FREE ranked *order = maas_calloc((size_t)n, sizeof *order);
    AUTO_FREE int64_t *kept = maas_calloc((size_t)n, sizeof *kept);
    if (!order || !kept)
        return maas_fail(err, MAAS_E_NOMEM, "memory for %lld channels", (long long)n);
    for (int64_t c = 0; c < n; c++)
        order[c] = (ranked){sqrt(s->squares[c]) * length_read(g, &s->chain, c), c};
    qsort(order, (size_t)n, sizeof *order, by_worth);
    for (int64_t i = 0; i < left; i++)
        kept[i] = order[i].channel;
    qsort(kept, (size_t)left, sizeof *kept, by_number);
    MAAS_TRY(maas_conv_chain_keep(g, &s->chain, kept, left, err));
    const char *weight = maas_graph_at(g, s->chain.first.w)->name;
    json_object_set_new(said, weight, json_pack("[I, I]", (json_int_t)n, (json_int_t)left));
    return maas_recipe_width(g, weight, left, "prune_channels", err);
}

static maas_status prune(maas_step_call *c, maas_arena *a, maas_err *err)
{
    pruning p = {.c = c};
    json_t *said = json_object();
    json_object_set_new(c->said, "channels", said);
    MAAS_TRY(collect(&p, a, err));
    MAAS_TRY(maas_step_seen(c, err));
    MAAS_TRY(maas_calibrate(c->g, c->seen, c->job, c->spec->rows, p.x, p.n, see, &p, err));
    for (uint32_t i = 0; i < p.n; i++)
        MAAS_TRY(take_out(&p, &p.at[i], said, err));
    maas_graph_forget_types(c->g);
    MAAS_TRY(maas_graph_infer(c->g, err));
    return maas_fine_tune(c, NULL, NULL, err);
}

maas_status maas_step_prune_channels(maas_step_call *c, maas_err *err)
{
    maas_arena a;
    maas_arena_init(&a, c->job->budget);
    const maas_status st = prune(c, &a, err);
    maas_arena_reset(&a);
    return st;
}
