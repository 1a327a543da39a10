/* learn/split.c - rows dealt into two lists. */
#include "learn/split.h"

#include <math.h>

#include "base/mem.h"

#include "base/ban.h"

static void shuffle(maas_rng *rng, uint32_t *rows, int64_t n)
{
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t k = (int64_t)maas_rng_below(rng, (uint64_t)i + 1);
        uint32_t tmp = rows[i];
        rows[i] = rows[k];
        rows[k] = tmp;
    }
}

/* Marks n_val of the rows, and deals all into the two lists, each in ascending order. */
static void deal(maas_split *s, maas_rng *rng, int64_t n_rows, int64_t n_val, bool at_random)
{
    uint32_t *all = s->order;
    for (int64_t i = 0; i < n_rows; i++)
        all[i] = (uint32_t)i;
    if (n_val && at_random) {
        shuffle(rng, all, n_rows);
        for (int64_t i = 0; i < n_val; i++)
            s->val.at[i] = all[i];
        for (int64_t i = 0; i < n_rows; i++)
            all[i] = 0;
        for (int64_t i = 0; i < n_val; i++)
            all[s->val.at[i]] = 1;
    } else {
        for (int64_t i = 0; i < n_rows; i++)
            all[i] = i >= n_rows - n_val;
    }
    for (int64_t i = 0; i < n_rows; i++) {
        maas_rows *to = all[i] ? &s->val : &s->train;
        to->at[to->n++] = (uint32_t)i;
    }
}

maas_status maas_split_init(maas_split *s, int64_t n_rows, double share, bool at_random,
                            maas_rng *rng, maas_budget *budget, maas_err *err)
{
    *s = (maas_split){.budget = budget};
    const int64_t n_val = (int64_t)floor((double)n_rows * share);
    if (n_rows - n_val < 1)
        return maas_fail(err, MAAS_E_INVALID,
                         "the data set has %lld rows: none is left to train on", (long long)n_rows);
    if (n_rows > UINT32_MAX)
        return maas_fail(err, MAAS_E_TOO_LARGE, "the data set has %lld rows, %u allowed",
                         (long long)n_rows, UINT32_MAX);
    if (share > 0 && n_val == 0)
        return maas_fail(err, MAAS_E_INVALID, "params.validation: %g of %lld rows is less than one",
                         share, (long long)n_rows);
    const size_t bytes = (size_t)(2 * n_rows + n_val) * sizeof(uint32_t);
    if (budget && !maas_budget_take(budget, bytes))
        return maas_fail(err, MAAS_E_NOMEM, "%lld rows", (long long)n_rows);
    s->charged = bytes;
    s->train.at = maas_calloc((size_t)n_rows, sizeof(uint32_t));
    s->val.at = maas_calloc((size_t)n_val + 1, sizeof(uint32_t));
    s->order = maas_calloc((size_t)n_rows, sizeof(uint32_t));
    if (!s->train.at || !s->val.at || !s->order)
        return maas_fail(err, MAAS_E_NOMEM, "%lld rows", (long long)n_rows);
    deal(s, rng, n_rows, n_val, at_random);
    return MAAS_OK;
}

void maas_split_reset(maas_split *s)
{
    maas_free(s->train.at);
    maas_free(s->val.at);
    maas_free(s->order);
    if (s->budget)
        maas_budget_give(s->budget, s->charged);
    *s = (maas_split){0};
}
