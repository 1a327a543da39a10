/* learn/forest/score.c - how good the trees are, and what they looked at. */
#include <math.h>

#include "base/mem.h"
#include "learn/forest/forest.h"
#include "runtime/threads.h"

#include "base/ban.h"

#define CHUNK_NUMBERS (1 << 20) /* predictions in memory at a time */
#define CHUNK_ROWS    8192
#define TASK_ROWS     64 /* at least; a tree that was fetched serves as many as there are */
#define TASK_MOST     512
#define TRAIN_ROWS    1000  /* training rows scored when there are no others */
#define LEAST_CHANCE  1e-15 /* below it a chance counts as this, so that the loss is finite */

typedef struct scoring {
    const maas_forest_run *r;
    const uint32_t *rows; /* of the data, or of the bins */
    int64_t n, task;      /* in this chunk, in a task */
    bool by_bins;
    int64_t k;
    double *sums; /* [n][k] */
} scoring;

static void add_leaf(const maas_grown *t, const maas_grown_node *leaf, double *to)
{
    for (uint32_t i = 0; i < leaf->count; i++)
        to[t->values[leaf->first + i].target] += t->values[leaf->first + i].value;
}

/* Rows from..to of the task through one tree; gives the first that is left for one by one. */
static int64_t walk_bins(const scoring *s, const maas_grown *tree, int64_t from, int64_t to)
{
    const maas_bins *b = &s->r->bins;
    int64_t i = from;
    for (; s->by_bins && i + MAAS_WALKS <= to; i += MAAS_WALKS) {
        const uint16_t *codes[MAAS_WALKS];
        const maas_grown_node *leaf[MAAS_WALKS];
        for (int j = 0; j < MAAS_WALKS; j++)
            codes[j] = b->codes + s->rows[i + j] * (size_t)b->n_cols;
        maas_grown_leaves(tree, codes, leaf);
        for (int j = 0; j < MAAS_WALKS; j++)
            add_leaf(tree, leaf[j], s->sums + (i + j) * s->k);
    }
    return i;
}

static void predict_task(void *arg, int64_t task, int ithr)
{
    scoring *s = arg;
    const maas_forest_run *r = s->r;
    const int64_t from = task * s->task, to = from + s->task < s->n ? from + s->task : s->n;
    memset(s->sums + from * s->k, 0, (size_t)((to - from) * s->k) * sizeof *s->sums);
    for (int64_t t = 0; t < r->recipe.n_estimators; t++) { /* trees outside: one stays in cache */
        const maas_grown *tree = &r->trees[t];
        for (int64_t i = walk_bins(s, tree, from, to); i < to; i++) {
            const maas_grown_node *leaf =
                s->by_bins
                    ? maas_grown_leaf(tree, r->bins.codes + s->rows[i] * (size_t)r->bins.n_cols)
                    : maas_grown_leaf_of(tree, r->matrix.x + s->rows[i], r->matrix.n_rows);
            add_leaf(tree, leaf, s->sums + i * s->k);
        }
    }
}

void maas_forest_sums(const maas_forest_run *r, const uint32_t *rows, bool by_bins, int64_t n,
                      int64_t k, double *sums)
{
    scoring s = {.r = r, .rows = rows, .n = n, .by_bins = by_bins, .k = k, .sums = sums};
    const int64_t threads = r->job->n_threads < 1 ? 1 : r->job->n_threads;
    const int64_t share = (n + threads - 1) / threads;
    s.task = share < TASK_ROWS ? TASK_ROWS : share < TASK_MOST ? share : TASK_MOST;
    maas_threads_loop(r->job->n_threads, (n + s.task - 1) / s.task, predict_task, &s);
}

/* What a score takes: logarithms of chances, or values; *loss is the mean of these rows. */
static void to_scores(const maas_forest_run *r, double *p, const double *votes,
                      const uint32_t *rows, int64_t n, int64_t k, float *z, double *loss)
{
    *loss = 0;
    for (int64_t i = 0; i < n; i++) {
        const double all = votes ? votes[i] : (double)r->recipe.n_estimators;
        for (int64_t j = 0; j < k; j++) {
            const double x = p[i * k + j] / all;
            if (r->target.is_class) {
                z[i * k + j] = (float)log(x > LEAST_CHANCE ? x : LEAST_CHANCE);
                *loss -= j == r->target.codes[rows[i]] ? z[i * k + j] : 0;
            } else {
                z[i * k + j] = (float)x;
                const double e = x - r->target.values[rows[i] * (size_t)k + (size_t)j];
                *loss += e * e / (double)k;
            }
        }
    }
    *loss /= (double)(n ? n : 1);
}

typedef struct chunk {
    int64_t rows, k;
    double *sums;
    float *z;
    maas_arena arena;
} chunk;

static maas_status chunk_init(chunk *c, const maas_forest_run *r, int64_t n, maas_err *err)
{
    *c = (chunk){.k = r->target.is_class ? r->target.n_classes : r->target.width};
    maas_arena_init(&c->arena, r->job->budget);
    c->rows = CHUNK_NUMBERS / c->k < CHUNK_ROWS ? CHUNK_NUMBERS / c->k : CHUNK_ROWS;
    c->rows = c->rows < 1 ? 1 : c->rows > n ? n : c->rows;
    c->sums = maas_arena_array(&c->arena, (size_t)(c->rows * c->k), sizeof *c->sums);
    c->z = maas_arena_array(&c->arena, (size_t)(c->rows * c->k), sizeof *c->z);
    return c->sums && c->z ? MAAS_OK
                           : maas_fail(err, MAAS_E_NOMEM, "scoring %lld rows", (long long)n);
}

static void chunk_reset(chunk *c)
{
    maas_arena_reset(&c->arena);
}

/* `rows` of the data; `bin_rows`, when given, are the same rows as the bins number them. */
static maas_status score_rows(const maas_forest_run *r, const uint32_t *rows,
                              const uint32_t *bin_rows, int64_t n, const char *prefix, json_t *o,
                              maas_err *err)
{
    AUTO(maas_score_reset) maas_score score = {0};
    AUTO(chunk_reset) chunk c = {0};
    MAAS_TRY(maas_score_init(&score, &r->target, n, r->job->budget, err));
    MAAS_TRY(chunk_init(&c, r, n, err));
    for (int64_t from = 0; from < n; from += c.rows) {
        const int64_t m = n - from < c.rows ? n - from : c.rows;
        double loss;
        maas_forest_sums(r, (bin_rows ? bin_rows : rows) + from, bin_rows != NULL, m, c.k, c.sums);
        to_scores(r, c.sums, NULL, rows + from, m, c.k, c.z, &loss);
        maas_score_add(&score, c.z, rows + from, m, loss);
    }
    return maas_score_json(&score, prefix, o) ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "metrics");
}

/* ---- out of bag ---- */

typedef struct bag {
    const maas_forest_run *r;
    const maas_grown *tree;
    const uint32_t *counts;
    double *sums, *votes;
    int64_t k;
} bag;

static void oob_task(void *arg, int64_t task, int ithr)
{
    const bag *b = arg;
    const maas_bins *bins = &b->r->bins;
    const int64_t from = task * CHUNK_ROWS,
                  to = from + CHUNK_ROWS < bins->n_rows ? from + CHUNK_ROWS : bins->n_rows;
    for (int64_t i = from; i < to; i++) {
        if (b->counts[i])
            continue;
        add_leaf(b->tree, maas_grown_leaf(b->tree, bins->codes + i * bins->n_cols),
                 b->sums + i * b->k);
        b->votes[i]++;
    }
}

/* Rows that some tree left out, in front; gives how many. */
static int64_t with_votes(const maas_forest_run *r, double *sums, double *votes, int64_t k,
                          uint32_t *rows)
{
    int64_t n = 0;
    for (int64_t i = 0; i < r->bins.n_rows; i++) {
        if (votes[i] == 0)
            continue;
        memmove(sums + n * k, sums + i * k, (size_t)k * sizeof *sums);
        votes[n] = votes[i];
        rows[n++] = r->split.train.at[i];
    }
    return n;
}

/* Tree by tree, so that sums have one order; the rows of a tree in parallel. */
static maas_status score_oob(maas_forest_run *r, json_t *o, maas_arena *a, maas_err *err)
{
    const int64_t n = r->bins.n_rows,
                  k = r->target.is_class ? r->target.n_classes : r->target.width;
    bag b = {.r = r, .k = k};
    uint32_t *counts = maas_arena_array(a, (size_t)n, sizeof *counts);
    b.sums = maas_arena_array(a, (size_t)(n * k), sizeof *b.sums);
    b.votes = maas_arena_array(a, (size_t)n, sizeof *b.votes);
    float *z = maas_arena_array(a, (size_t)(n * k), sizeof *z);
    AUTO(maas_score_reset) maas_score score = {0};
    if (!counts || !b.sums || !b.votes || !z)
        return maas_fail(err, MAAS_E_NOMEM, "out-of-bag predictions of %lld rows", (long long)n);
    MAAS_TRY(maas_score_init(&score, &r->target, n, r->job->budget, err));
    b.counts = counts;
    for (int64_t t = 0; t < r->recipe.n_estimators; t++) {
        maas_rng rng;
        b.tree = &r->trees[t];
        maas_forest_draw(r, t, &rng, counts);
        maas_threads_loop(r->job->n_threads, (n + CHUNK_ROWS - 1) / CHUNK_ROWS, oob_task, &b);
    }
    const int64_t n_seen = with_votes(r, b.sums, b.votes, k, counts);
    if (n_seen == 0)
        return maas_fail(err, MAAS_E_INVALID,
                         "params.oob_score: no row was left out by any tree; take more trees");
    double loss;
    to_scores(r, b.sums, b.votes, counts, n_seen, k, z, &loss);
    maas_score_add(&score, z, counts, n_seen, loss);
    if (!maas_score_json(&score, "oob_", o))
        return maas_fail(err, MAAS_E_NOMEM, "metrics");
    const json_t *v = json_object_get(o, r->target.is_class ? "oob_accuracy" : "oob_r2");
    return !v || json_object_set(o, "oob_score", (json_t *)v) == 0
               ? MAAS_OK
               : maas_fail(err, MAAS_E_NOMEM, "metrics");
}

/* ---- all of it ---- */

/* Training rows at even distances: how well the trees fit what they saw. */
static maas_status score_train(maas_forest_run *r, json_t *o, maas_arena *a, maas_err *err)
{
    const maas_rows *train = &r->split.train;
    const int64_t n = train->n < TRAIN_ROWS ? train->n : TRAIN_ROWS;
    uint32_t *bins = maas_arena_array(a, (size_t)n, sizeof *bins);
    uint32_t *rows = maas_arena_array(a, (size_t)n, sizeof *rows);
    if (!bins || !rows)
        return maas_fail(err, MAAS_E_NOMEM, "scoring %lld rows", (long long)n);
    for (int64_t i = 0; i < n; i++) {
        bins[i] = (uint32_t)(i * train->n / n);
        rows[i] = train->at[bins[i]];
    }
    return score_rows(r, rows, bins, n, "", o, err);
}

static maas_status add_sizes(const maas_forest_run *r, json_t *o, maas_err *err)
{
    size_t nodes = 0, leaves = 0;
    for (int64_t t = 0; t < r->recipe.n_estimators; t++) {
        nodes += r->trees[t].n_nodes;
        leaves += (r->trees[t].n_nodes + 1) / 2;
    }
    AUTO(maas_json_unref)
    json_t *sizes = json_pack("{s:I, s:I, s:I, s:O*}", "trees", (json_int_t)r->recipe.n_estimators,
                              "nodes", (json_int_t)nodes, "leaves", (json_int_t)leaves,
                              "importances", r->importances);
    return sizes && json_object_update(o, sizes) == 0 ? MAAS_OK
                                                      : maas_fail(err, MAAS_E_NOMEM, "metrics");
}

maas_status maas_forest_metrics(maas_forest_run *r, json_t **out, maas_err *err)
{
    AUTO(maas_json_unref) json_t *o = json_object();
    AUTO(maas_arena_reset) maas_arena a;
    maas_arena_init(&a, r->job->budget);
    if (!o)
        return maas_fail(err, MAAS_E_NOMEM, "metrics");
    MAAS_TRY(score_train(r, o, &a, err));
    if (r->split.val.n)
        MAAS_TRY(score_rows(r, r->split.val.at, NULL, r->split.val.n, "val_", o, err));
    if (r->recipe.oob_score)
        MAAS_TRY(score_oob(r, o, &a, err));
    MAAS_TRY(add_sizes(r, o, err));
    *out = STEAL(o);
    return MAAS_OK;
}

maas_status maas_forest_importances(maas_forest_run *r, maas_err *err)
{
    AUTO(maas_json_unref) json_t *shares = json_object();
    double all = 0;
    for (int64_t t = 0; t < r->recipe.n_estimators; t++)
        for (int32_t c = 0; c < r->bins.n_cols; c++)
            all += r->trees[t].importances[c];
    for (int32_t c = 0; shares && c < r->bins.n_cols; c++) {
        AUTO_FREE char *name = maas_matrix_name(&r->matrix, c);
        double sum = 0;
        for (int64_t t = 0; t < r->recipe.n_estimators; t++)
            sum += r->trees[t].importances[c];
        if (!name || json_object_set_new(shares, name, json_real(all > 0 ? sum / all : 0)))
            return maas_fail(err, MAAS_E_INVALID, "column %d has a name that is not UTF-8", c + 1);
    }
    r->importances = shares ? json_pack("{s:O}", "impurity", shares) : NULL;
    return r->importances ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "importances");
}
