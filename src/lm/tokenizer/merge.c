/* Tables and the heap of merging. */
#include <string.h>

#include "base/mem.h"
#include "lm/tokenizer/tokenizer_int.h"
#include "base/ban.h"

/* FNV-1a, 64 bits folded. */
static uint32_t hash(maas_str s)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (uint8_t)s.p[i]) * 0x100000001b3u;
    return (uint32_t)(h ^ h >> 32);
}

static bool same(maas_str a, maas_str b)
{
    return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

bool maas_token_table_make(maas_token_table *t, const maas_str *keys, uint32_t n, maas_arena *a)
{
    uint32_t size = 16;
    while (size < 2 * n)
        size *= 2;
    *t = (maas_token_table){.mask = size - 1, .keys = keys};
    t->slot = maas_arena_array(a, size, sizeof *t->slot);
    for (uint32_t i = 0; t->slot && i < n; i++) {
        uint32_t at = hash(keys[i]) & t->mask;
        while (t->slot[at] && !same(keys[t->slot[at] - 1], keys[i]))
            at = (at + 1) & t->mask;
        if (!t->slot[at])
            t->slot[at] = i + 1;
    }
    return t->slot != NULL;
}

int32_t maas_token_table_find(const maas_token_table *t, maas_str key)
{
    for (uint32_t at = hash(key) & t->mask; t->slot[at]; at = (at + 1) & t->mask)
        if (same(t->keys[t->slot[at] - 1], key))
            return (int32_t)t->slot[at] - 1;
    return -1;
}

/* ---- work ---- */

bool maas_merge_room(maas_merge_work *w, uint32_t n)
{
    w->n_symbols = w->n_heap = 0;
    if (n <= w->cap)
        return true;
    maas_merge_free(w);
    const uint32_t cap = n < 64 ? 64 : n;
    w->symbols = maas_alloc(cap * sizeof *w->symbols);
    w->heap = maas_alloc(3 * (size_t)cap * sizeof *w->heap); /* a merge adds two and takes one */
    if (!w->symbols || !w->heap) {
        maas_merge_free(w);
        return false;
    }
    w->cap = cap;
    return true;
}

void maas_merge_free(maas_merge_work *w)
{
    maas_free(w->symbols);
    maas_free(w->heap);
    *w = (maas_merge_work){0};
}

static bool before(const maas_pending *a, const maas_pending *b)
{
    return a->rank < b->rank || (a->rank == b->rank && a->left < b->left);
}

void maas_heap_push(maas_merge_work *w, maas_pending p)
{
    uint32_t i = w->n_heap++;
    for (; i > 0 && before(&p, &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = p;
}

bool maas_heap_pop(maas_merge_work *w, maas_pending *out)
{
    if (w->n_heap == 0)
        return false;
    *out = w->heap[0];
    const maas_pending last = w->heap[--w->n_heap];
    uint32_t i = 0;
    for (;;) {
        uint32_t k = 2 * i + 1;
        if (k >= w->n_heap)
            break;
        k += k + 1 < w->n_heap && before(&w->heap[k + 1], &w->heap[k]);
        if (!before(&w->heap[k], &last))
            break;
        w->heap[i] = w->heap[k];
        i = k;
    }
    w->heap[i] = last;
    return true;
}
