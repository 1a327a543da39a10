/*
 * learn/compress/low_rank.c - step low_rank: x W becomes (x A) B with the directions of W that
 * carry most of it (a truncated singular value decomposition), where that is less work.
 */
#include <math.h>

#include "base/mem.h"
#include "learn/compress/step.h"
#include "learn/compress/weights.h"
#include "learn/cores/decompose.h"
#include "learn/cores/linalg.h"
#include "base/ban.h"

const maas_param maas_step_low_rank_rows[3] = {
    {"rank", MAAS_PARAM_INT, MAAS_STEP_AT(rank), 0, 1 << 20, 0,
     .help = "width between the two layers; 0: what 'energy' needs"},
    {"energy", MAAS_PARAM_NUM, MAAS_STEP_AT(energy), 0.01, 1, 0.95,
     .help = "share of the squared singular values that is kept"},
    {"min_elements", MAAS_PARAM_INT, MAAS_STEP_AT(min_elements), 1, 1e9, 1024,
     .help = "smaller layers stay as they are"},
};

/* W [in][out] in doubles, its directions, and A = W V. */
typedef struct factors {
    double *w, *a;
    maas_directions v;
} factors;

static maas_status factor(maas_work *work, const maas_step_call *c, const maas_dense *d, factors *f,
                          maas_err *err)
{
    const float *w = maas_weight_data(c->g, d->w);
    const int64_t most = d->in < d->out ? d->in : d->out;
    if (!c->spec->rank && most > MAAS_EXACT_SIDE)
        return maas_fail(
            err, MAAS_E_INVALID, "weight '%.80s' is %lld x %lld: above %d 'rank' must be given",
            maas_graph_at(c->g, d->w)->name, (long long)d->in, (long long)d->out, MAAS_EXACT_SIDE);
    f->w = maas_work_doubles(work, d->in, d->out, "a weight", err);
    if (!f->w)
        return MAAS_E_NOMEM;
    for (int64_t i = 0; i < d->in; i++)
        for (int64_t o = 0; o < d->out; o++)
            f->w[i * d->out + o] = (double)maas_dense_at(d, w, i, o);
    const int64_t rank = c->spec->rank < most ? c->spec->rank : most;
    MAAS_TRY(
        maas_decompose(work, f->w, d->in, d->out, false, rank, c->spec->energy, 0, &f->v, err));
    f->a = maas_work_doubles(work, d->in, f->v.k, "a weight", err);
    if (!f->a)
        return MAAS_E_NOMEM;
    for (int64_t i = 0; i < d->in; i++)
        for (int64_t k = 0; k < f->v.k; k++)
            f->a[i * f->v.k + k] = maas_dot(f->w + i * d->out, f->v.components + k * d->out,
                                            d->out);
    return MAAS_OK;
}

/* A before the node; the node goes on with B, stored as its own weight was. */
static maas_status split(maas_step_call *c, maas_builder *b, const maas_dense *d, const factors *f)
{
    const int64_t k = f->v.k;
    maas_tensor first = maas_tensor_of(MAAS_F32, 2, (int64_t[]){d->in, k}, NULL);
    maas_tensor second = maas_tensor_of(
        MAAS_F32, 2, d->transposed ? (int64_t[]){d->out, k} : (int64_t[]){k, d->out}, NULL);
    MAAS_TRY(maas_weight_room(c->g, &first, b->err));
    MAAS_TRY(maas_weight_room(c->g, &second, b->err));
    for (int64_t i = 0; i < d->in * k; i++)
        ((float *)first.data)[i] = (float)f->a[i];
    for (int64_t r = 0; r < k; r++)
        for (int64_t o = 0; o < d->out; o++)
            ((float *)second.data)[d->transposed ? o * k + r : r * d->out + o] =
                (float)f->v.components[r * d->out + o];
    const maas_vid a = maas_weight_const(b, d->w, "left", &first);
    const maas_vid w = maas_weight_const(b, d->w, "right", &second);
    const maas_vid x = maas_b_op2(b, "MatMul", d->x, a);
    if (b->status == MAAS_OK) {
        c->g->nodes[d->node].in[0] = x;
        c->g->nodes[d->node].in[1] = w;
    }
    return b->status;
}

static maas_status thin(maas_step_call *c, maas_builder *b, const maas_dense *d, json_t *ranks,
                        maas_err *err)
{
    maas_arena a;
    factors f = {0};
    maas_arena_init(&a, c->job->budget);
    maas_work work = {.arena = &a, .n_threads = c->job->n_threads};
    maas_status st = factor(&work, c, d, &f, err);
    if (st == MAAS_OK && f.v.k * (d->in + d->out) < d->in * d->out) {
        json_object_set_new(ranks, maas_graph_at(c->g, d->w)->name, json_integer(f.v.k));
        st = split(c, b, d, &f);
    }
    maas_arena_reset(&a);
    return st;
}

static maas_status thin_all(maas_step_call *c, maas_arena *a, maas_err *err)
{
    maas_dense_list list;
    maas_builder b;
    json_t *ranks = json_object();
    json_object_set_new(c->said, "ranks", ranks);
    maas_builder_init(&b, c->g, err);
    MAAS_TRY(maas_dense_find(c->g, c->spec->min_elements, a, &list, err));
    for (size_t i = 0; i < list.n; i++)
        MAAS_TRY(thin(c, &b, &list.at[i], ranks, err));
    if (!json_object_size(ranks))
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "none of the %zu dense layers would get smaller%s", list.n,
                         list.n ? ": ask for a lower rank or less energy" : "");
    return maas_graph_compact(c->g, err);
}

maas_status maas_step_low_rank(maas_step_call *c, maas_err *err)
{
    maas_arena a;
    maas_arena_init(&a, c->job->budget);
    const maas_status st = thin_all(c, &a, err);
    maas_arena_reset(&a);
    return st;
}
