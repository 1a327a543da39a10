/* learn/sample.c - see sample.h. */
#include "learn/sample.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/ban.h"

void maas_sample_init(maas_sample *s, size_t max)
{
    MAAS_CHECK(max >= 2 && (max & (max - 1)) == 0);
    *s = (maas_sample){.max = max};
    maas_rng_seed(&s->rng, 1);
}

void maas_sample_reset(maas_sample *s)
{
    maas_free(s->kept);
    s->kept = NULL;
    s->n = s->cap = 0;
}

static void pick_in_group(maas_sample *s)
{
    s->next = s->group + (maas_rng_u64(&s->rng) & ((1ull << s->group_log2) - 1));
}

/* `group` is a multiple of the doubled size: the buffer held an even number of full groups. */
static void halve(maas_sample *s)
{
    for (size_t i = 0; i < s->n / 2; i++)
        s->kept[i] = s->kept[2 * i + (maas_rng_u64(&s->rng) >> 63)];
    s->n /= 2;
    s->group_log2++;
}

bool maas_sample_add(maas_sample *s, const double *v, size_t n)
{
    uint64_t end = s->seen + n;
    while (s->next < end) {
        if (s->n == s->cap && !maas_grow(&s->kept, &s->cap, s->n + 1, sizeof *s->kept))
            return false;
        s->kept[s->n++] = v[s->next - s->seen];
        s->group += 1ull << s->group_log2;
        if (s->n == s->max)
            halve(s);
        pick_in_group(s);
    }
    s->seen = end;
    return true;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void maas_sample_sort(maas_sample *s)
{
    if (s->n)
        qsort(s->kept, s->n, sizeof *s->kept, by_value);
}

double maas_sample_quantile(const maas_sample *s, double q)
{
    if (!s->n)
        return NAN;
    double at = q * (double)(s->n - 1);
    size_t i = (size_t)at;
    double low = s->kept[i], high = s->kept[i + 1 < s->n ? i + 1 : i];
    double part = at - (double)i;
    return part == 0 || low == high ? low : low + (high - low) * part;
}
