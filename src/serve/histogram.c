#include "serve/histogram.h"

#include "base/ban.h"

double maas_hist_quantile(const maas_histogram *h, double q)
{
    uint64_t count = atomic_load_explicit(&h->count, memory_order_relaxed), seen = 0;
    if (!count)
        return 0;
    uint64_t want = (uint64_t)(q * (double)count);
    if (want >= count)
        want = count - 1;
    for (int b = 0; b < MAAS_HIST_BUCKETS; b++) {
        seen += atomic_load_explicit(&h->n[b], memory_order_relaxed);
        if (seen > want)
            return maas_hist_edge(b);
    }
    return maas_hist_edge(MAAS_HIST_BUCKETS - 1);
}
