/*
 * learn/explain/coalition.c - Shapley values of any function, from its answers to mixtures of the
 * row with rows of the background: all coalitions when there are few features, orders drawn at
 * random when there are many.
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "learn/explain/explain_int.h"
#include "base/ban.h"

enum { MAX_EXACT = 10, MAX_PERMUTATIONS = 1000 };
#define MAX_RUNS 20000000.0 /* rows through the model for one explained row */

/* ---- a queue of questions: rows that wait until a batch is full ---- */

typedef struct asker {
    maas_explainer *x;
    int64_t n;                     /* rows that wait */
    int64_t where[MAAS_XFUN_ROWS]; /* what each is for: a number of the caller's */
    double weight[MAAS_XFUN_ROWS]; /* and its share there */
    double *sums;                  /* [numbers][k]: sum of weight * answer */
} asker;

static maas_status flush(asker *a, maas_err *err)
{
    const double *y;
    const int64_t k = a->x->n_outputs;
    if (!a->n)
        return MAAS_OK;
    MAAS_TRY(maas_xfun_run(a->x->fun, &y, err));
    for (int64_t i = 0; i < a->n; i++)
        for (int64_t c = 0; c < k; c++)
            a->sums[a->where[i] * k + c] += a->weight[i] * y[i * k + c];
    a->n = 0;
    return MAAS_OK;
}

/* Row number a->n of the batch is filled already. */
static maas_status asked(asker *a, int64_t where, double weight, maas_err *err)
{
    a->where[a->n] = where;
    a->weight[a->n++] = weight;
    return a->n == MAAS_XFUN_ROWS ? flush(a, err) : MAAS_OK;
}

/* Row `to` of the batch: cells with their bit set (or in `in_set`) from the row, the others from
 * the background. */
static void mix(maas_explainer *x, const maas_tensor *in, int64_t row, int64_t background,
                const bool *in_set, int64_t to)
{
    maas_x_row(x, x->opts.background, background, to);
    for (int64_t i = 0; i < x->n_features; i++)
        if (in_set[i]) {
            const uint32_t input = x->features[i].input;
            maas_x_cell(&x->features[i], &in[input], row, maas_xfun_input(x->fun, input), to,
                        maas_xfun_width(x->fun, input));
        }
}

typedef struct coalitions {
    asker asker;
    bool *in_set;    /* [n_features] */
    uint32_t *order; /* sampling: [n_features] */
    int64_t permutations;
} coalitions;

static maas_status prepare(maas_explainer *x, size_t n_sums, maas_err *err)
{
    MAAS_TRY(maas_x_need_background(x, err));
    MAAS_TRY(maas_x_cut(x, x->answer, err));
    MAAS_TRY(maas_x_base(x, err));
    coalitions *c = x->own = maas_arena_alloc(&x->arena, sizeof *c);
    if (c) {
        c->asker.x = x;
        c->in_set = maas_arena_array(&x->arena, (size_t)x->n_features, sizeof *c->in_set);
        c->order = maas_arena_array(&x->arena, (size_t)x->n_features, sizeof *c->order);
        c->asker.sums = maas_arena_array(&x->arena, n_sums * (size_t)x->n_outputs,
                                         sizeof *c->asker.sums);
    }
    if (!c || !c->in_set || !c->order || !c->asker.sums)
        return maas_fail(err, MAAS_E_NOMEM, "memory for explaining");
    return MAAS_OK;
}

/* ---- all coalitions ---- */

static maas_status exact_prepare(maas_explainer *x, maas_err *err)
{
    if (x->n_features > MAX_EXACT)
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "exact values are for up to %d features, here are %lld", MAX_EXACT,
                         (long long)x->n_features);
    MAAS_TRY(prepare(x, (size_t)1 << x->n_features, err));
    x->runs = ldexp((double)x->opts.background_rows, (int)x->n_features);
    return MAAS_OK;
}

/* |S|! (n - |S| - 1)! / n! */
static double share(int64_t n, int in_set)
{
    return exp(lgamma(in_set + 1) + lgamma((double)n - in_set) - lgamma((double)n + 1));
}

static maas_status exact_row(maas_explainer *x, const maas_tensor *in, int64_t row, int64_t n_rows,
                             double *phi, double *answer, maas_err *err)
{
    (void)n_rows; /* one */
    coalitions *c = x->own;
    const int64_t n = x->n_features, k = x->n_outputs, rows = x->opts.background_rows;
    const uint32_t all = 1u << n;
    double *v = c->asker.sums;
    memset(v, 0, (size_t)(all * (uint64_t)k) * sizeof *v);
    for (uint32_t set = 0; set < all; set++) {
        for (int64_t i = 0; i < n; i++)
            c->in_set[i] = set >> i & 1;
        for (int64_t b = 0; b < rows; b++) {
            mix(x, in, row, b, c->in_set, c->asker.n);
            MAAS_TRY(asked(&c->asker, set, 1.0 / (double)rows, err));
        }
    }
    MAAS_TRY(flush(&c->asker, err));
    for (uint32_t set = 0; set < all; set++)
        for (int64_t i = 0; i < n; i++) {
            if (set >> i & 1)
                continue;
            const double w = share(n, __builtin_popcount(set));
            for (int64_t o = 0; o < k; o++)
                phi[i * k + o] += w * (v[(set | 1u << i) * k + o] - v[set * k + o]);
        }
    memcpy(answer, v + (all - 1) * k, (size_t)k * sizeof *answer);
    return MAAS_OK;
}

const maas_xmethod maas_x_exact = {"exact", exact_prepare, exact_row, 1, NULL};

/* ---- orders drawn at random ---- */

static maas_status sampling_prepare(maas_explainer *x, maas_err *err)
{
    MAAS_TRY(prepare(x, (size_t)x->n_features + 1, err));
    coalitions *c = x->own;
    const double walk = 2.0 * (double)(x->n_features + 1) * (double)x->opts.background_rows;
    c->permutations = x->opts.permutations ? x->opts.permutations : x->n_features < 32 ? 10 : 4;
    if (c->permutations > MAX_PERMUTATIONS || walk * (double)c->permutations > MAX_RUNS)
        return maas_fail(err, MAAS_E_INVALID,
                         "%lld permutations of %lld features against %lld rows are too much work "
                         "for one row: ask for "
                         "fewer permutations or a smaller background",
                         (long long)c->permutations, (long long)x->n_features,
                         (long long)x->opts.background_rows);
    x->runs = walk * (double)c->permutations;
    return MAAS_OK;
}

/* Along one order: each feature gets what changed when it came in. sums[j]: the answer with j
 * features in. */
static maas_status walk(maas_explainer *x, const maas_tensor *in, int64_t row, double *phi,
                        maas_err *err)
{
    coalitions *c = x->own;
    const int64_t n = x->n_features, k = x->n_outputs, rows = x->opts.background_rows;
    const double w = 1.0 / (2.0 * (double)c->permutations);
    double *v = c->asker.sums;
    memset(v, 0, (size_t)((n + 1) * k) * sizeof *v);
    memset(c->in_set, 0, (size_t)n * sizeof *c->in_set);
    for (int64_t j = 0; j <= n; j++) {
        for (int64_t b = 0; b < rows; b++) {
            mix(x, in, row, b, c->in_set, c->asker.n);
            MAAS_TRY(asked(&c->asker, j, 1.0 / (double)rows, err));
        }
        if (j < n)
            c->in_set[c->order[j]] = true;
    }
    MAAS_TRY(flush(&c->asker, err));
    for (int64_t j = 0; j < n; j++)
        for (int64_t o = 0; o < k; o++)
            phi[c->order[j] * k + o] += w * (v[(j + 1) * k + o] - v[j * k + o]);
    return MAAS_OK;
}

static void reverse(uint32_t *order, int64_t n)
{
    for (int64_t i = 0; i < n / 2; i++) {
        uint32_t t = order[i];
        order[i] = order[n - 1 - i];
        order[n - 1 - i] = t;
    }
}

static maas_status sampling_row(maas_explainer *x, const maas_tensor *in, int64_t row,
                                int64_t n_rows, double *phi, double *answer, maas_err *err)
{
    (void)n_rows; /* one */
    coalitions *c = x->own;
    const int64_t n = x->n_features, k = x->n_outputs;
    maas_rng rng;
    maas_rng_seed(&rng, x->opts.seed); /* the same row gives the same values */
    for (int64_t i = 0; i < n; i++)
        c->order[i] = (uint32_t)i;
    for (int64_t p = 0; p < c->permutations; p++) {
        for (int64_t i = n - 1; i > 0; i--) {
            const int64_t j = (int64_t)maas_rng_below(&rng, (uint64_t)i + 1);
            uint32_t t = c->order[i];
            c->order[i] = c->order[j];
            c->order[j] = t;
        }
        MAAS_TRY(walk(x, in, row, phi, err));
        reverse(c->order, n);
        MAAS_TRY(walk(x, in, row, phi, err));
    }
    memcpy(answer, c->asker.sums + n * k, (size_t)k * sizeof *answer);
    return MAAS_OK;
}

const maas_xmethod maas_x_sampling = {"sampling", sampling_prepare, sampling_row, 1, NULL};
