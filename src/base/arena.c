#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

struct maas_arena_block {
    maas_arena_block *next;
    size_t cap, len;
    size_t dirty; /* what lies behind these bytes is zero still */
    void *whole;  /* the allocation it lies in */
    _Alignas(64) char bytes[];
};

#define LARGE ((size_t)1 << 20) /* the system gives such blocks zeroed: that is not done twice */
#define HUGE  ((size_t)4 << 20) /* and these in large pages */

struct maas_arena_hook {
    maas_arena_hook *next;
    void (*fn)(void *);
    void *arg;
};

bool maas_budget_take(maas_budget *b, size_t n)
{
    if (!b)
        return true;
    size_t before = atomic_fetch_add(&b->used, n);
    if (b->limit && (n > b->limit || before > b->limit - n)) {
        atomic_fetch_sub(&b->used, n);
        return false;
    }
    return true;
}

void maas_budget_give(maas_budget *b, size_t n)
{
    if (b)
        atomic_fetch_sub(&b->used, n);
}

static maas_arena_block *block_create(maas_arena *a, size_t size)
{
    size_t least = a->blocks ? 16384 : a->first_block ? a->first_block : 16384;
    if (a->blocks && a->blocks->cap > least / 2)
        least = a->blocks->cap < (1u << 20) ? a->blocks->cap * 2 : (1u << 20);
    size_t cap = size > least ? size : least;
    if (!maas_budget_take(a->budget, cap))
        return NULL;
    const size_t bytes = sizeof(maas_arena_block) + cap;
    void *whole = cap >= LARGE ? maas_calloc(1, bytes + 63) : maas_aligned(64, bytes);
    if (!whole) {
        maas_budget_give(a->budget, cap);
        return NULL;
    }
    if (cap >= HUGE)
        maas_mem_want_huge(whole, bytes);
    maas_arena_block *b = (maas_arena_block *)(((uintptr_t)whole + 63) & ~(uintptr_t)63);
    *b = (maas_arena_block){
        .next = a->blocks, .cap = cap, .dirty = cap >= LARGE ? 0 : cap, .whole = whole};
    a->blocks = b;
    return b;
}

void *maas_arena_alloc(maas_arena *a, size_t size)
{
    if (size > SIZE_MAX / 4)
        return NULL;
    size_t align = size >= 64 ? 64 : 16;
    size = size ? (size + 15) & ~(size_t)15 : 16;
    maas_arena_block *b = a->blocks;
    size_t at = b ? (b->len + align - 1) & ~(align - 1) : 0;
    if (!b || at > b->cap || b->cap - at < size) {
        if (!(b = block_create(a, size)))
            return NULL;
        at = 0;
    }
    b->len = at + size;
    if (at < b->dirty)
        memset(b->bytes + at, 0, (b->len < b->dirty ? b->len : b->dirty) - at);
    b->dirty = b->len > b->dirty ? b->len : b->dirty;
    return b->bytes + at;
}

void *maas_arena_array(maas_arena *a, size_t n, size_t size)
{
    size_t bytes;
    return __builtin_mul_overflow(n, size, &bytes) ? NULL : maas_arena_alloc(a, bytes);
}

void *maas_arena_dup(maas_arena *a, const void *p, size_t n)
{
    void *copy = maas_arena_alloc(a, n);
    if (copy && n)
        memcpy(copy, p, n);
    return copy;
}

char *maas_arena_strndup(maas_arena *a, const char *s, size_t n)
{
    char *copy = n < SIZE_MAX ? maas_arena_alloc(a, n + 1) : NULL;
    if (copy && n)
        memcpy(copy, s, n);
    return copy;
}

char *maas_arena_strdup(maas_arena *a, const char *s)
{
    return maas_arena_strndup(a, s, strlen(s));
}

char *maas_arena_printf(maas_arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *text = n < 0 ? NULL : maas_arena_alloc(a, (size_t)n + 1);
    if (text)
        vsnprintf(text, (size_t)n + 1, fmt, again);
    va_end(again);
    return text;
}

bool maas_arena_defer(maas_arena *a, void (*fn)(void *), void *arg)
{
    maas_arena_hook *h = maas_arena_alloc(a, sizeof *h);
    if (!h)
        return false;
    *h = (maas_arena_hook){a->hooks, fn, arg};
    a->hooks = h;
    return true;
}

size_t maas_arena_bytes(const maas_arena *a)
{
    size_t n = 0;
    for (const maas_arena_block *b = a->blocks; b; b = b->next)
        n += b->cap + sizeof *b;
    return n;
}

bool maas_arena_owns(const maas_arena *a, const void *p)
{
    for (const maas_arena_block *b = a->blocks; b; b = b->next)
        if ((uintptr_t)p >= (uintptr_t)b->bytes && (uintptr_t)p < (uintptr_t)b->bytes + b->len)
            return true;
    return false;
}

static void release(maas_arena *a, maas_arena_block *keep)
{
    for (maas_arena_hook *h = a->hooks; h; h = h->next)
        h->fn(h->arg);
    a->hooks = NULL;
    for (maas_arena_block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        if (b == keep)
            continue;
        maas_budget_give(a->budget, b->cap);
        maas_free(b->whole);
    }
    a->blocks = keep;
    if (keep) {
        keep->next = NULL;
        keep->len = 0;
    }
}

void maas_arena_reset(maas_arena *a)
{
    release(a, NULL);
}

void maas_arena_rewind(maas_arena *a)
{
    release(a, a->blocks);
}
