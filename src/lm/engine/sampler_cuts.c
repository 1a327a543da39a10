#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lm/engine/sampler_int.h"
#include "ops/noise.h"
#include "base/ban.h"

double maas_draw_unit(const maas_sampler *s, uint64_t which)
{
    return maas_noise_unit(maas_noise_mix(s->p->seed) ^ which, (int64_t)s->position);
}

/* What the model, or a mask, made impossible is no candidate. NaN neither. */
void maas_draw_collect(maas_sampler *s)
{
    s->n_kept = s->n_sorted = 0;
    for (int32_t i = 0; i < s->n; i++)
        if (s->logits[i] > -INFINITY)
            s->kept[s->n_kept++] = (maas_candidate){s->logits[i], i};
    if (!s->n_kept)
        s->kept[s->n_kept++] = (maas_candidate){0, 0};
}

/* ---- order, as far as somebody asks for it ---- */

static bool before(const maas_candidate *x, const maas_candidate *y)
{
    return x->key > y->key || (x->key == y->key && x->token < y->token);
}

static int by_key(const void *a, const void *b)
{
    return before(a, b) ? -1 : 1;
}

static void swap(maas_candidate *a, maas_candidate *b)
{
    const maas_candidate t = *a;
    *a = *b;
    *b = t;
}

/* The best m of n come first, in no order: quickselect. Pivots are not for a file to guess. */
static void select_best(maas_candidate *at, int32_t n, int32_t m, uint64_t noise)
{
    int32_t lo = 0, hi = n;
    while (lo < m && m < hi) {
        int32_t mid = lo;
        noise = maas_noise_mix(noise);
        swap(&at[hi - 1], &at[lo + (int32_t)(noise % (uint64_t)(hi - lo))]);
        for (int32_t i = lo; i < hi - 1; i++)
            if (before(&at[i], &at[hi - 1]))
                swap(&at[i], &at[mid++]);
        swap(&at[mid], &at[hi - 1]);
        if (mid < m)
            lo = mid + 1;
        else
            hi = mid;
    }
}

void maas_draw_sort(maas_sampler *s, int32_t n)
{
    n = n < s->n_kept ? n : s->n_kept;
    if (n <= s->n_sorted)
        return;
    maas_candidate *rest = s->kept + s->n_sorted;
    const int32_t more = n - s->n_sorted;
    select_best(rest, s->n_kept - s->n_sorted, more, s->p->seed + s->position);
    qsort(rest, (size_t)more, sizeof *rest, by_key);
    s->n_sorted = n;
}

/* Candidate i in order; so many are sorted at a time that few rounds do for all. */
static const maas_candidate *in_order(maas_sampler *s, int32_t i)
{
    if (i >= s->n_sorted)
        maas_draw_sort(s, i < 32 ? 128 : i * 4);
    return &s->kept[i];
}

int32_t maas_draw_best(const maas_sampler *s)
{
    int32_t best = 0;
    for (int32_t i = 1; i < s->n_kept && !s->n_sorted; i++)
        if (before(&s->kept[i], &s->kept[best]))
            best = i;
    return best;
}

/* ---- cuts ---- */

static void keep_first(maas_sampler *s, int32_t n)
{
    s->n_kept = n > 1 ? n : 1;
    s->n_sorted = s->n_sorted < s->n_kept ? s->n_sorted : s->n_kept;
}

void maas_draw_above(maas_sampler *s, double floor)
{
    const maas_candidate best = s->kept[maas_draw_best(s)];
    int32_t n = 0, sorted = 0;
    for (int32_t i = 0; i < s->n_kept; i++) {
        if (!((double)s->kept[i].key >= floor))
            continue;
        sorted += i < s->n_sorted;
        s->kept[n++] = s->kept[i];
    }
    if (!n)
        s->kept[n++] = best;
    s->n_kept = n;
    s->n_sorted = sorted;
}

double maas_draw_mass(maas_sampler *s, float *max)
{
    double total = 0;
    *max = s->kept[maas_draw_best(s)].key;
    for (int32_t i = 0; i < s->n_kept; i++)
        total += exp((double)(s->kept[i].key - *max));
    return total;
}

void maas_draw_top_n_sigma(maas_sampler *s)
{
    const double max = (double)s->kept[maas_draw_best(s)].key;
    double mean = 0, var = 0;
    for (int32_t i = 0; i < s->n_kept; i++)
        mean += (double)s->kept[i].key / s->n_kept;
    for (int32_t i = 0; i < s->n_kept; i++)
        var += ((double)s->kept[i].key - mean) * ((double)s->kept[i].key - mean) / s->n_kept;
    maas_draw_above(s, max - (double)s->p->top_n_sigma * sqrt(var));
}

void maas_draw_top_k(maas_sampler *s)
{
    if (s->p->top_k >= s->n_kept)
        return;
    maas_draw_sort(s, s->p->top_k);
    keep_first(s, s->p->top_k);
}

void maas_draw_top_p(maas_sampler *s)
{
    float max;
    const double want = maas_draw_mass(s, &max) * (double)s->p->top_p;
    double sum = 0;
    int32_t n = 0;
    while (n < s->n_kept && (sum < want || !n))
        sum += exp((double)(in_order(s, n++)->key - max));
    keep_first(s, n);
}

void maas_draw_min_p(maas_sampler *s)
{
    maas_draw_above(s, (double)s->kept[maas_draw_best(s)].key + log((double)s->p->min_p));
}

/* Those whose surprise is nearest to the expected one. */
void maas_draw_typical(maas_sampler *s)
{
    float max;
    const double log_total = log(maas_draw_mass(s, &max));
    double entropy = 0, sum = 0;
    int32_t n = 0;
    for (int32_t i = 0; i < s->n_kept; i++) {
        const double lp = (double)(s->kept[i].key - max) - log_total, q = exp(lp);
        entropy -= q > 0 ? q * lp : 0;
    }
    for (int32_t i = 0; i < s->n_kept; i++) {
        const double lp = (double)(s->kept[i].key - max) - log_total;
        s->kept[i].key = -(float)fabs(-lp - entropy);
    }
    s->n_sorted = 0;
    while (n < s->n_kept && sum <= (double)s->p->typical_p)
        sum += exp((double)(s->logits[in_order(s, n++)->token] - max) - log_total);
    keep_first(s, n);
    s->n_sorted = 0;
    for (int32_t i = 0; i < s->n_kept; i++)
        s->kept[i].key = s->logits[s->kept[i].token];
}

/* Now and then all that are likely enough go, but the least likely of them. */
void maas_draw_xtc(maas_sampler *s)
{
    float max;
    int32_t n = 0;
    if (maas_draw_unit(s, 0x787463) >= (double)s->p->xtc_probability || s->n_kept < 2)
        return;
    const double floor = maas_draw_mass(s, &max) * (double)s->p->xtc_threshold;
    while (n < s->n_kept && exp((double)(in_order(s, n)->key - max)) >= floor)
        n++;
    if (n < 2)
        return;
    memmove(s->kept, s->kept + (n - 1), (size_t)(s->n_kept - (n - 1)) * sizeof *s->kept);
    s->n_kept -= n - 1;
    s->n_sorted -= n - 1;
}

void maas_draw_temperature(maas_sampler *s)
{
    for (int32_t i = 0; i < s->n_kept; i++)
        s->kept[i].key /= s->p->temperature;
}
