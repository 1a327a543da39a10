/* learn/compress/select.c - Hoare's selection, pivots by the median of three. */
#include "learn/compress/select.h"

#include "base/ban.h"

static void swap(float *a, float *b)
{
    const float t = *a;
    *a = *b;
    *b = t;
}

static float pivot_of(float *v, int64_t lo, int64_t hi)
{
    float *a = &v[lo], *b = &v[lo + (hi - lo) / 2], *c = &v[hi];
    if (*b < *a)
        swap(a, b);
    if (*c < *b)
        swap(b, c);
    if (*b < *a)
        swap(a, b);
    return *b;
}

float maas_select(float *v, int64_t n, int64_t k)
{
    int64_t lo = 0, hi = n - 1;
    while (lo < hi) {
        const float p = pivot_of(v, lo, hi);
        int64_t i = lo, j = hi;
        while (i <= j) {
            while (v[i] < p)
                i++;
            while (v[j] > p)
                j--;
            if (i <= j)
                swap(&v[i++], &v[j--]);
        }
        if (k <= j)
            hi = j;
        else if (k >= i)
            lo = i;
        else
            break;
    }
    return v[k];
}
