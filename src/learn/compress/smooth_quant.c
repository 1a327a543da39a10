/*
 * learn/compress/smooth_quant.c - step smooth_quant (Xiao and others 2023): column j of what goes
 * into a product is divided by s_j and row j of the weights multiplied by it, with
 * s_j = max|x_j|^alpha / max|w_j|^(1-alpha). The product is the same; its input has less spread, so
 * that one scale fits all columns. A Mul before the product divides.
 */
#include <math.h>

#include "base/mem.h"
#include "learn/compress/probe.h"
#include "learn/compress/step.h"
#include "learn/compress/weights.h"
#include "base/ban.h"

const maas_param maas_step_smooth_rows[2] = {
    {"alpha", MAAS_PARAM_NUM, MAAS_STEP_AT(alpha), 0, 1, 0.5,
     .help = "how much of the spread moves: 0 none of the input's, 1 all of it"},
    {"rows", MAAS_PARAM_INT, MAAS_STEP_AT(rows), 1, 1 << 24, 512,
     .help = "of the data set, not held out, to measure inputs on"},
};

typedef struct smoothing {
    maas_dense_list list;
    maas_vid *x;  /* [n]: inputs, each once */
    float **most; /* [n][in]: largest |x_j| */
    uint32_t n;
} smoothing;

static maas_status see(void *user, uint32_t which, const maas_tensor *t, maas_err *err)
{
    float *most = ((smoothing *)user)->most[which];
    const float *x = t->data;
    const int64_t width = t->dims[t->rank - 1];
    for (int64_t i = 0, n = maas_n_elems(t); i < n; i++)
        most[i % width] = fmaxf(most[i % width], fabsf(x[i]));
    return MAAS_OK;
}

static maas_status collect(smoothing *s, const maas_graph *g, maas_arena *a, maas_err *err)
{
    MAAS_TRY(maas_dense_find(g, 1, a, &s->list, err));
    s->x = maas_arena_array(a, s->list.n, sizeof *s->x);
    s->most = maas_arena_array(a, s->list.n, sizeof *s->most);
    for (size_t i = 0; i < s->list.n && s->x && s->most; i++) {
        uint32_t k = 0;
        while (k < s->n && s->x[k] != s->list.at[i].x)
            k++;
        if (k < s->n)
            continue;
        s->x[s->n] = s->list.at[i].x;
        s->most[s->n] = maas_arena_array(a, (size_t)s->list.at[i].in, sizeof **s->most);
        if (!s->most[s->n++])
            return maas_fail(err, MAAS_E_NOMEM, "memory for the ranges of inputs");
    }
    if (!s->x || !s->most)
        return maas_fail(err, MAAS_E_NOMEM, "memory for the ranges of inputs");
    if (!s->n)
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "the model has no products with constant weights of floats");
    return MAAS_OK;
}

/* s_j from the input and all weights that it meets, into f [in]. */
static void factors(const smoothing *s, const maas_graph *g, uint32_t k, int64_t in, double alpha,
                    float *f)
{
    for (int64_t j = 0; j < in; j++) {
        float w = 0;
        for (size_t i = 0; i < s->list.n; i++) {
            const maas_dense *d = &s->list.at[i];
            for (int64_t o = 0; d->x == s->x[k] && o < d->out; o++)
                w = fmaxf(w, fabsf(maas_dense_at(d, maas_weight_data(g, d->w), j, o)));
        }
        const double x = (double)s->most[k][j];
        f[j] = x > 0 && w > 0 ? (float)(pow(x, alpha) / pow((double)w, 1 - alpha)) : 1;
        f[j] = fminf(fmaxf(f[j], 1e-5f), 1e5f);
    }
}

static maas_status scale_rows(maas_builder *b, const maas_dense *d, const float *f, maas_vid x)
{
    maas_graph *g = b->g;
    maas_tensor t = maas_graph_at(g, d->w)->init;
    const float *w = t.data;
    MAAS_TRY(maas_weight_room(g, &t, b->err));
    for (int64_t i = 0, n = maas_n_elems(&t); i < n; i++)
        ((float *)t.data)[i] = w[i] * f[d->transposed ? i % d->in : i / d->out];
    const maas_vid v = maas_weight_const(b, d->w, "smooth", &t);
    if (b->status == MAAS_OK) {
        g->nodes[d->node].in[0] = x;
        g->nodes[d->node].in[1] = v;
    }
    return b->status;
}

/* Input k: a Mul behind it, and the rows of what it meets. */
static maas_status smooth(smoothing *s, maas_builder *b, uint32_t k, double alpha)
{
    const maas_dense *first = s->list.at;
    while (first->x != s->x[k])
        first++;
    const int64_t in = first->in;
    AUTO_FREE float *f = maas_calloc((size_t)in + 1, sizeof *f);
    maas_tensor inverse = maas_tensor_of(MAAS_F32, 1, &in, NULL);
    MAAS_TRY(maas_weight_room(b->g, &inverse, b->err));
    if (!f)
        return maas_fail(b->err, MAAS_E_NOMEM, "memory for the ranges of inputs");
    factors(s, b->g, k, in, alpha, f);
    for (int64_t j = 0; j < in; j++)
        ((float *)inverse.data)[j] = 1 / f[j];
    const maas_vid by = maas_weight_const(b, first->w, "unspread", &inverse);
    const maas_vid x = maas_b_op2(b, "Mul", s->x[k], by);
    for (size_t i = 0; i < s->list.n; i++)
        if (s->list.at[i].x == s->x[k])
            MAAS_TRY(scale_rows(b, &s->list.at[i], f, x));
    return b->status;
}

static maas_status smooth_all(maas_step_call *c, maas_arena *a, maas_err *err)
{
    smoothing s = {0};
    maas_builder b;
    maas_builder_init(&b, c->g, err);
    MAAS_TRY(collect(&s, c->g, a, err));
    MAAS_TRY(maas_step_seen(c, err));
    MAAS_TRY(maas_calibrate(c->g, c->seen, c->job, c->spec->rows, s.x, s.n, see, &s, err));
    for (uint32_t k = 0; k < s.n; k++)
        MAAS_TRY(smooth(&s, &b, k, c->spec->alpha));
    json_object_set_new(c->said, "products", json_integer((json_int_t)s.list.n));
    return maas_graph_compact(c->g, err);
}

maas_status maas_step_smooth_quant(maas_step_call *c, maas_err *err)
{
    maas_arena a;
    maas_arena_init(&a, c->job->budget);
    const maas_status st = smooth_all(c, &a, err);
    maas_arena_reset(&a);
    return st;
}
