/*
 * learn/compress/prune_neurons.c - step prune_neurons: whole neurons go, so that the layers before
 * and behind them get smaller and faster.
 *
 * by activation: a neuron that is always the same says nothing that a bias could not say. It is
 * worth its deviation on rows of the data set times the length of its outgoing weights; those that
 * are worth least go, and their means are added to the bias of the next layer. by norm: the lengths
 * of the incoming and the outgoing weights, multiplied; no rows are looked at.
 */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "learn/compress/dense_chain.h"
#include "learn/compress/probe.h"
#include "learn/compress/recipe_layers.h"
#include "learn/compress/step.h"
#include "base/ban.h"

enum { BY_ACTIVATION, BY_NORM };
static const char *const criteria[] = {"activation", "norm", NULL};

const maas_param maas_step_neurons_rows[5] = {
    {"ratio", MAAS_PARAM_NUM, MAAS_STEP_AT(ratio), 0.001, 0.99, 0.5,
     .help = "share of the neurons of each layer that goes; the last layer stays"},
    {"by", MAAS_PARAM_CHOICE, MAAS_STEP_AT(by), .preset = BY_ACTIVATION, .choices = criteria,
     .help = "what a neuron is worth"},
    {"rows", MAAS_PARAM_INT, MAAS_STEP_AT(rows), 1, 1 << 24, 1024,
     .help = "of the data set, not held out, to look at activations on"},
    {"fine_tune", MAAS_PARAM_INT, MAAS_STEP_AT(fine_tune), 0, 1e6, 0,
     .help = "epochs of training afterwards; for models that were trained here"},
    {"lr", MAAS_PARAM_NUM, MAAS_STEP_AT(lr), 1e-12, 1e3, NAN,
     .help = "learning rate of fine_tune; else that of the training"},
};

typedef struct neurons { /* between two layers */
    maas_dense_chain chain;
    double *mean, *m2; /* [n] of activations */
    int64_t seen;      /* rows */
} neurons;

typedef struct pruning {
    maas_step_call *c;
    neurons *at;
    uint32_t n;
    maas_vid *x; /* [n]: activations */
} pruning;

static maas_status see(void *user, uint32_t which, const maas_tensor *t, maas_err *err)
{
    neurons *s = &((pruning *)user)->at[which];
    const int64_t width = s->chain.first.out, rows = width ? maas_n_elems(t) / width : 0;
    const float *x = t->data;
    for (int64_t r = 0; r < rows; r++) {
        s->seen++;
        for (int64_t j = 0; j < width; j++) {
            const double d = (double)x[r * width + j] - s->mean[j];
            s->mean[j] += d / (double)s->seen;
            s->m2[j] += d * ((double)x[r * width + j] - s->mean[j]);
        }
    }
    return MAAS_OK;
}

static maas_status collect(pruning *p, maas_arena *a, maas_err *err)
{
    const maas_graph *g = p->c->g;
    p->at = maas_arena_array(a, g->n_nodes, sizeof *p->at);
    p->x = maas_arena_array(a, g->n_nodes, sizeof *p->x);
    if (!p->at || !p->x)
        return maas_fail(err, MAAS_E_NOMEM, "memory for a list of layers");
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        neurons *s = &p->at[p->n];
        if (!maas_dense_chain_of(g, (maas_nid)i, &s->chain) || s->chain.first.out < 2)
            continue;
        s->mean = maas_arena_array(a, (size_t)s->chain.first.out, sizeof *s->mean);
        s->m2 = maas_arena_array(a, (size_t)s->chain.first.out, sizeof *s->m2);
        if (!s->mean || !s->m2)
            return maas_fail(err, MAAS_E_NOMEM, "memory for activations");
        p->x[p->n++] = s->chain.second.x;
    }
    if (!p->n)
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "the model has no two dense layers with nothing but activations between "
                         "them");
    return MAAS_OK;
}

/* ---- which ones ---- */

typedef struct ranked {
    double worth;
    int64_t neuron;
} ranked;

static int by_worth(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->worth != y->worth)
        return x->worth < y->worth ? -1 : 1;
    return (x->neuron > y->neuron) - (x->neuron < y->neuron);
}

static double length_in(const maas_graph *g, const maas_dense *d, int64_t neuron)
{
    double sum = 0;
    for (int64_t i = 0; i < d->in; i++) {
        const double w = (double)maas_dense_at(d, maas_weight_data(g, d->w), i, neuron);
        sum += w * w;
    }
    return sqrt(sum);
}

static double length_out(const maas_graph *g, const maas_dense *d, int64_t neuron)
{
    double sum = 0;
    for (int64_t o = 0; o < d->out; o++) {
        const double w = (double)maas_dense_at(d, maas_weight_data(g, d->w), neuron, o);
        sum += w * w;
    }
    return sqrt(sum);
}

static void rank(const pruning *p, const neurons *s, ranked *out)
{
    const maas_graph *g = p->c->g;
    for (int64_t j = 0; j < s->chain.first.out; j++) {
        const double in = p->c->spec->by == BY_NORM
                              ? length_in(g, &s->chain.first, j)
                              : sqrt(s->m2[j] / (double)(s->seen > 1 ? s->seen : 1));
        out[j] = (ranked){in * length_out(g, &s->chain.second, j), j};
    }
    qsort(out, (size_t)s->chain.first.out, sizeof *out, by_worth);
}

/* ---- taking them out ---- */

/* What the neurons that go say on average moves into the bias behind them, where there is one. */
static maas_status move_means(pruning *p, const neurons *s, const ranked *gone, int64_t n,
                              maas_err *err)
{
    maas_graph *g = p->c->g;
    const maas_dense *d = &s->chain.second;
    if (p->c->spec->by == BY_NORM || d->bias == MAAS_NO_VALUE || d->beta == 0)
        return MAAS_OK;
    const maas_value *b = maas_graph_at(g, d->bias);
    maas_tensor t = b->init;
    if (!(b->flags & MAAS_VALUE_CONST) || !t.data || t.dtype != MAAS_F32 ||
        maas_n_elems(&t) != d->out || maas_graph_n_uses(g, d->bias) != 1)
        return MAAS_OK;
    const float *from = t.data, *w = maas_weight_data(g, d->w);
    MAAS_TRY(maas_weight_room(g, &t, err));
    for (int64_t o = 0; o < d->out; o++) {
        double sum = 0;
        for (int64_t k = 0; k < n; k++)
            sum += s->mean[gone[k].neuron] * (double)maas_dense_at(d, w, gone[k].neuron, o);
        ((float *)t.data)[o] = (float)((double)from[o] + sum * (double)d->alpha / (double)d->beta);
    }
    maas_weight_set(g, d->bias, &t);
    return MAAS_OK;
}

static int by_number(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static maas_status take_out(pruning *p, neurons *s, json_t *said, maas_err *err)
{
    maas_graph *g = p->c->g;
    /* An earlier pair may have changed the shapes of this one. */
    if (!maas_dense_chain_of(g, s->chain.first.node, &s->chain))
        return maas_fail(err, MAAS_E_INTERNAL, "a chain of layers broke");
    const int64_t n = s->chain.first.out;
    int64_t gone = (int64_t)floor(p->c->spec->ratio * (double)n);
    gone = gone < n ? gone : n - 1;
    AUTO_FREE ranked *order = maas_calloc((size_t)n, sizeof *order);
    AUTO_FREE int64_t *kept = maas_calloc((size_t)n, sizeof *kept);
    if (!order || !kept)
        return maas_fail(err, MAAS_E_NOMEM, "memory for %lld neurons", (long long)n);
    rank(p, s, order);
    MAAS_TRY(move_means(p, s, order, gone, err));
    for (int64_t i = gone; i < n; i++)
        kept[i - gone] = order[i].neuron;
    qsort(kept, (size_t)(n - gone), sizeof *kept, by_number);
    MAAS_TRY(maas_dense_chain_keep(g, &s->chain, kept, n - gone, err));
    const char *weight = maas_graph_at(g, s->chain.first.w)->name;
    json_object_set_new(said, weight, json_pack("[I, I]", (json_int_t)n, (json_int_t)(n - gone)));
    return maas_recipe_width(g, weight, n - gone, "prune_neurons", err);
}

static maas_status prune(maas_step_call *c, maas_arena *a, maas_err *err)
{
    pruning p = {.c = c};
    json_t *said = json_object();
    json_object_set_new(c->said, "neurons", said);
    MAAS_TRY(collect(&p, a, err));
    if (c->spec->by == BY_ACTIVATION) {
        MAAS_TRY(maas_step_seen(c, err));
        MAAS_TRY(maas_calibrate(c->g, c->seen, c->job, c->spec->rows, p.x, p.n, see, &p, err));
    }
    for (uint32_t i = 0; i < p.n; i++)
        MAAS_TRY(take_out(&p, &p.at[i], said, err));
    maas_graph_forget_types(c->g);
    MAAS_TRY(maas_graph_infer(c->g, err));
    return maas_fine_tune(c, NULL, NULL, err);
}

maas_status maas_step_prune_neurons(maas_step_call *c, maas_err *err)
{
    maas_arena a;
    maas_arena_init(&a, c->job->budget);
    const maas_status st = prune(c, &a, err);
    maas_arena_reset(&a);
    return st;
}
