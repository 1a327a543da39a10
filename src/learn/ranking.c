/* learn/ranking.c - what is ranked to measure NDCG, group by group. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "learn/columns.h"
#include "learn/metrics.h"
#include "learn/negatives.h"

#include "base/ban.h"

#define MAX_RANKED 5000 /* validation rows that are ranked among others: more say little new */

static void *charged(maas_ranking *k, int64_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow((size_t)n, size, &bytes) ||
        (k->budget && !maas_budget_take(k->budget, bytes)))
        return NULL;
    k->charged += bytes;
    return maas_calloc(bytes ? bytes : 1, 1);
}

void maas_ranking_reset(maas_ranking *k)
{
    maas_samples_free(&k->samples);
    maas_free(k->gain);
    maas_free(k->z);
    maas_free(k->starts);
    if (k->budget)
        maas_budget_give(k->budget, k->charged);
    *k = (maas_ranking){0};
}

static maas_status make_room(maas_ranking *k, int64_t n, int64_t n_groups, maas_err *err)
{
    k->samples.rows = charged(k, n, sizeof(uint32_t));
    k->samples.candidates = charged(k, n, sizeof(uint32_t));
    k->gain = charged(k, n, sizeof *k->gain);
    k->z = charged(k, n, sizeof *k->z);
    k->starts = charged(k, n_groups + 1, sizeof *k->starts);
    if (k->samples.rows && k->samples.candidates && k->gain && k->z && k->starts)
        return MAAS_OK;
    return maas_fail(err, MAAS_E_NOMEM, "a ranking of %lld rows", (long long)n);
}

static void add(maas_ranking *k, uint32_t row, uint32_t candidate, float gain)
{
    const int64_t at = k->samples.n++;
    k->samples.rows[at] = row;
    k->samples.candidates[at] = candidate;
    k->gain[at] = gain;
}

static void end_group(maas_ranking *k)
{
    k->starts[++k->n_groups] = k->samples.n;
}

/* ---- one positive among others ---- */

/* `scratch` holds the candidates in whatever order the last draw left them. */
static void add_one_out(maas_ranking *k, const maas_negatives *g, maas_rng *rng, uint32_t row,
                        int64_t n, uint32_t *scratch)
{
    const int64_t all = g->different.n;
    add(k, row, row, 1);
    for (int64_t i = 0, taken = 0; i < all && taken < n; i++) {
        const int64_t j = i + (int64_t)maas_rng_below(rng, (uint64_t)(all - i));
        const uint32_t candidate = scratch[j];
        scratch[j] = scratch[i];
        scratch[i] = candidate;
        if (candidate == row || maas_negatives_knows(g, row, candidate))
            continue;
        add(k, row, candidate, 0);
        taken++;
    }
    end_group(k);
}

static maas_status leave_one_out(maas_ranking *k, const maas_negatives *g, const maas_recipe *r,
                                 const maas_rows *val, maas_err *err)
{
    const int64_t all = g->different.n, n = r->ndcg_candidates < all ? r->ndcg_candidates : all,
                  ranked = g->n_known[1] < MAX_RANKED ? g->n_known[1] : MAX_RANKED;
    AUTO_FREE uint32_t *scratch = maas_calloc((size_t)all + 1, sizeof *scratch);
    maas_rng rng; /* of its own: every epoch, and every run of this seed, ranks the same */
    maas_rng_seed(&rng, (uint64_t)r->seed ^ 0x6e646367);
    if (!scratch)
        return maas_fail(err, MAAS_E_NOMEM, "a ranking among %lld candidates", (long long)all);
    MAAS_TRY(make_room(k, ranked * (n + 1), ranked, err));
    memcpy(scratch, g->different.at, (size_t)all * sizeof *scratch);
    int64_t positives = 0;
    for (int64_t i = 0; i < val->n; i++) {
        if (g->target->codes[val->at[i]] != 1)
            continue;
        /* Evenly over all of them: the k-th is taken when ranked * k passes the next whole. */
        if (positives * ranked % g->n_known[1] < ranked)
            add_one_out(k, g, &rng, val->at[i], n, scratch);
        positives++;
    }
    return MAAS_OK;
}

/* ---- rows of each query, with the gains of the data ---- */

static bool gain_of(const maas_target *t, uint32_t row, float *out)
{
    *out = t->is_class ? (float)t->codes[row]
                       : (float)maas_cells_of(t->col->desc.dtype)->get(t->col->data, row);
    return *out >= 0;
}

static int by_query(const void *pa, const void *pb, void *arg)
{
    const uint32_t *query = arg, a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;
    return query[a] != query[b] ? (query[a] > query[b]) - (query[a] < query[b]) : (a > b) - (a < b);
}

/* A query whose rows all have the same gain ranks nothing. */
static bool ranks(const maas_ranking *k, int64_t from)
{
    for (int64_t i = from + 1; i < k->samples.n; i++)
        if (k->gain[i] != k->gain[from])
            return true;
    return false;
}

static maas_status by_queries(maas_ranking *k, const maas_negatives *g, const maas_rows *val,
                              maas_err *err)
{
    const maas_target *t = g->target;
    if (t->is_class ? t->n_classes != 2 : t->width != 1)
        return MAAS_OK;
    AUTO_FREE uint32_t *rows = maas_calloc((size_t)val->n + 1, sizeof *rows);
    if (!rows)
        return maas_fail(err, MAAS_E_NOMEM, "a ranking of %lld rows", (long long)val->n);
    MAAS_TRY(make_room(k, val->n, val->n, err));
    memcpy(rows, val->at, (size_t)val->n * sizeof *rows);
    qsort_r(rows, (size_t)val->n, sizeof *rows, by_query, g->query);
    for (int64_t i = 0, j; i < val->n; i = j) {
        const int64_t from = k->samples.n;
        for (j = i; j < val->n && g->query[rows[j]] == g->query[rows[i]]; j++) {
            float gain;
            if (!gain_of(t, rows[j], &gain)) { /* NDCG knows no negative gains */
                k->n_groups = k->samples.n = 0;
                return MAAS_OK;
            }
            add(k, rows[j], rows[j], gain);
        }
        if (ranks(k, from))
            end_group(k);
        else
            k->samples.n = from;
    }
    return MAAS_OK;
}

maas_status maas_ranking_init(maas_ranking *k, const maas_negatives *g, const maas_recipe *r,
                              const maas_rows *val, maas_budget *budget, maas_err *err)
{
    *k = (maas_ranking){.budget = budget};
    if (!g->query || val->n == 0)
        return MAAS_OK;
    return g->per_row ? leave_one_out(k, g, r, val, err) : by_queries(k, g, val, err);
}

double maas_ranking_ndcg(const maas_ranking *k, int64_t at)
{
    int64_t largest = 1;
    for (int64_t i = 0; i < k->n_groups; i++)
        if (k->starts[i + 1] - k->starts[i] > largest)
            largest = k->starts[i + 1] - k->starts[i];
    AUTO_FREE uint32_t *order = maas_calloc((size_t)largest, sizeof *order);
    double sum = 0;
    for (int64_t i = 0; order && i < k->n_groups; i++) {
        const int64_t from = k->starts[i];
        sum += maas_ndcg(k->z + from, k->gain + from, k->starts[i + 1] - from, at, order);
    }
    return order && k->n_groups ? sum / (double)k->n_groups : NAN;
}
