/* base/nearest.h - "did you mean": the known name that is closest to an unknown one. */
#ifndef MAAS_BASE_NEAREST_H
#define MAAS_BASE_NEAREST_H

#include <stddef.h>

typedef struct maas_nearest {
    const char *word; /* what was asked for, borrowed; any bytes */
    size_t n;
    const char *best; /* the closest so far; NULL: nothing is close enough to be worth a hint */
    size_t distance;
} maas_nearest;

static inline maas_nearest maas_nearest_to(const char *word, size_t n)
{
    return (maas_nearest){.word = word, .n = n};
}
void maas_nearest_try(maas_nearest *near, const char *name);
/* Single-byte insertions, deletions, substitutions and swaps of neighbours that turn a into b;
 * SIZE_MAX for words too long to be mistyped names. */
size_t maas_edit_distance(const char *a, size_t a_n, const char *b, size_t b_n);

#endif
