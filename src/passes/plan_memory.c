/*
 * Where each buffer goes in one block, by lifetime.
 *
 *   offset
 *     ^   +---------+ +-----------+      two items may share bytes when no step
 *     |   |    a    | |     c     |      has both alive
 *     |   +------+--+-+-----+-----+
 *     |   |      b          |
 *     +---+-----------------+-----> step
 *
 * Largest first into the smallest hole that fits among the items alive at the same time: within a
 * few percent of the lower bound on real networks. It is quadratic, so graphs of hostile size use
 * one sweep over time with a list of holes instead.
 */
#include "passes/pass.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

#define ALIGN         ((size_t)64)
#define MAX_QUADRATIC 4096

static bool overlap(const maas_mem_item *a, const maas_mem_item *b)
{
    return a->first <= b->last && b->first <= a->last;
}

static int larger_first(const void *pa, const void *pb)
{
    const maas_mem_item *a = *(maas_mem_item *const *)pa, *b = *(maas_mem_item *const *)pb;
    if (a->bytes != b->bytes)
        return a->bytes < b->bytes ? 1 : -1;
    return a->first != b->first ? (a->first < b->first ? -1 : 1) : (a > b) - (a < b);
}

static int earlier_first(const void *pa, const void *pb)
{
    const maas_mem_item *a = *(maas_mem_item *const *)pa, *b = *(maas_mem_item *const *)pb;
    return a->first != b->first ? (a->first < b->first ? -1 : 1) : (a > b) - (a < b);
}

/* The smallest hole among `placed` (sorted by offset) that holds `item`; else above them all. */
static size_t best_hole(maas_mem_item *const *placed, size_t n, const maas_mem_item *item)
{
    size_t end = 0, best = SIZE_MAX, best_size = SIZE_MAX;
    for (size_t i = 0; i < n; i++) {
        const maas_mem_item *p = placed[i];
        if (!overlap(p, item))
            continue;
        if (p->offset > end && p->offset - end >= item->bytes && p->offset - end < best_size) {
            best = end;
            best_size = p->offset - end;
        }
        if (p->offset + p->bytes > end)
            end = p->offset + p->bytes;
    }
    return best != SIZE_MAX ? best : end;
}

static size_t place_by_size(maas_mem_item **order, maas_mem_item **placed, size_t n)
{
    size_t block = 0;
    qsort(order, n, sizeof *order, larger_first);
    for (size_t k = 0; k < n; k++) {
        maas_mem_item *item = order[k];
        item->offset = best_hole(placed, k, item);
        if (item->offset + item->bytes > block)
            block = item->offset + item->bytes;
        size_t at = k;
        for (; at > 0 && placed[at - 1]->offset > item->offset; at--)
            placed[at] = placed[at - 1];
        placed[at] = item;
    }
    return block;
}

/* `live` is a binary heap by last step; what has died becomes one free list of equal-or-larger
 * buffers, looked at newest first and only a few deep: linear time, some waste. */
#define LOOK 16

static void heap_push(maas_mem_item **heap, size_t n, maas_mem_item *item)
{
    for (; n > 0 && heap[(n - 1) / 2]->last > item->last; n = (n - 1) / 2)
        heap[n] = heap[(n - 1) / 2];
    heap[n] = item;
}

static maas_mem_item *heap_pop(maas_mem_item **heap, size_t n)
{
    maas_mem_item *top = heap[0], *item = heap[n - 1];
    size_t at = 0, child;
    while ((child = 2 * at + 1) < n - 1) {
        child += child + 1 < n - 1 && heap[child + 1]->last < heap[child]->last;
        if (heap[child]->last >= item->last)
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = item;
    return top;
}

static size_t place_by_time(maas_mem_item **order, maas_mem_item **heap, size_t n)
{
    struct hole {
        size_t offset, bytes;
    } holes[LOOK];
    size_t block = 0, n_heap = 0, n_holes = 0;
    qsort(order, n, sizeof *order, earlier_first);
    for (size_t k = 0; k < n; k++) {
        maas_mem_item *item = order[k];
        while (n_heap && heap[0]->last < item->first) {
            maas_mem_item *dead = heap_pop(heap, n_heap--);
            if (n_holes == LOOK) /* forget the oldest: its bytes are wasted, never shared */
                memmove(holes, holes + 1, --n_holes * sizeof *holes);
            holes[n_holes++] = (struct hole){dead->offset, dead->bytes};
        }
        size_t best = n_holes;
        for (size_t h = 0; h < n_holes; h++)
            if (holes[h].bytes >= item->bytes &&
                (best == n_holes || holes[h].bytes < holes[best].bytes))
                best = h;
        if (best < n_holes) {
            item->offset = holes[best].offset;
            holes[best].offset += item->bytes;
            holes[best].bytes -= item->bytes;
        } else {
            item->offset = block;
            block += item->bytes;
        }
        heap_push(heap, n_heap++, item);
    }
    return block;
}

maas_status maas_plan_memory(maas_mem_item *items, size_t n, size_t *out_block_bytes, maas_err *err)
{
    size_t total = 0;
    for (size_t i = 0; i < n; i++) {
        MAAS_CHECK(items[i].first <= items[i].last);
        if (items[i].bytes > SIZE_MAX - ALIGN)
            return maas_fail(err, MAAS_E_TOO_LARGE, "a buffer is larger than memory");
        items[i].bytes = (items[i].bytes + ALIGN - 1) & ~(ALIGN - 1);
        if (__builtin_add_overflow(total, items[i].bytes, &total))
            return maas_fail(err, MAAS_E_TOO_LARGE, "the buffers together are larger than memory");
    }
    AUTO_FREE maas_mem_item **order = maas_calloc(n, sizeof *order);
    AUTO_FREE maas_mem_item **placed = maas_calloc(n, sizeof *placed);
    if (!order || !placed)
        return maas_fail(err, MAAS_E_NOMEM, "planning %zu buffers", n);
    for (size_t i = 0; i < n; i++)
        order[i] = &items[i];
    *out_block_bytes = n <= MAX_QUADRATIC ? place_by_size(order, placed, n)
                                          : place_by_time(order, placed, n);
    return MAAS_OK;
}
