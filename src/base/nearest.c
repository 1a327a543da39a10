#include "base/nearest.h"

#include <stdint.h>
#include <string.h>

#include "base/ban.h"

enum {
    LONGEST = 64
}; /* names of settings and fields are shorter; bounds the cost of hostile ones */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Three rows of the dynamic programme are alive: swaps look back two. */
size_t maas_edit_distance(const char *a, size_t a_n, const char *b, size_t b_n)
{
    size_t rows[3][LONGEST + 1];
    if (a_n > LONGEST || b_n > LONGEST)
        return SIZE_MAX;
    for (size_t j = 0; j <= b_n; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_n; i++) {
        size_t *now = rows[i % 3], *before = rows[(i + 2) % 3], *before2 = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b_n; j++) {
            size_t d = before[j - 1] + (a[i - 1] != b[j - 1]);
            d = least(d, least(before[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d = least(d, before2[j - 2] + 1);
            now[j] = d;
        }
    }
    return rows[a_n % 3][b_n];
}

/* A hint that shares little with the word would mislead: at most a third of it may differ. */
void maas_nearest_try(maas_nearest *near, const char *name)
{
    size_t d = maas_edit_distance(near->word, near->n, name, strlen(name));
    if (d > near->n / 3 + 1 || d >= strlen(name) || (near->best && d >= near->distance))
        return;
    near->best = name;
    near->distance = d;
}
