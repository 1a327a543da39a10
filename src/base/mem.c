#include "base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "base/ban.h"

static _Atomic long n_live, n_allocs, fail_countdown;

void maas_mem_limit_heaps(int n)
{
#ifdef M_ARENA_MAX
    mallopt(M_ARENA_MAX, n > 1 ? n : 1);
#endif
}

void maas_mem_fail_at(long n)
{
    atomic_store(&fail_countdown, n);
}

long maas_mem_live(void)
{
    return atomic_load(&n_live);
}

long maas_mem_n_allocs(void)
{
    return atomic_load(&n_allocs);
}

/* Counts one allocation; false when the test asked this one to fail. */
static bool may_allocate(void)
{
    atomic_fetch_add_explicit(&n_allocs, 1, memory_order_relaxed);
    if (atomic_load_explicit(&fail_countdown, memory_order_relaxed) > 0 &&
        atomic_fetch_sub(&fail_countdown, 1) == 1)
        return false;
    return true;
}

static void *counted(void *p)
{
    if (p)
        atomic_fetch_add_explicit(&n_live, 1, memory_order_relaxed);
    return p;
}

void *maas_alloc(size_t size)
{
    return may_allocate() ? counted(malloc(size ? size : 1)) : NULL;
}

void *maas_calloc(size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size,
                               &bytes)) /* ours: sanitizers end the process over calloc's */
        return NULL;
    return may_allocate() ? counted(calloc(bytes ? n : 1, bytes ? size : 1)) : NULL;
}

void *maas_realloc(void *p, size_t size)
{
    if (!may_allocate())
        return NULL;
    void *q = realloc(p, size ? size : 1);
    return p ? q : counted(q);
}

void *maas_aligned(size_t align, size_t size)
{
    if (size > SIZE_MAX - align)
        return NULL;
    size = (size + align - 1) & ~(align - 1);
    return may_allocate() ? counted(aligned_alloc(align, size ? size : align)) : NULL;
}

#define HUGE_PAGE ((size_t)2 << 20)
void maas_mem_want_huge(void *p, size_t size)
{
    const size_t skip = -(uintptr_t)p % HUGE_PAGE;
    if (size >= skip + HUGE_PAGE) /* without it, pages are small. What is left over stays small */
        (void)madvise((char *)p + skip, (size - skip) / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
}

void *maas_alloc_huge(size_t size)
{
    void *p = maas_aligned(size < HUGE_PAGE ? 64 : HUGE_PAGE, size);
    if (p)
        maas_mem_want_huge(p, size);
    return p;
}

void maas_free(void *p)
{
    if (p)
        atomic_fetch_sub_explicit(&n_live, 1, memory_order_relaxed);
    free(p);
}

char *maas_strndup(const char *s, size_t n)
{
    char *copy = maas_alloc(n + 1);
    if (copy) {
        memcpy(copy, s, n);
        copy[n] = '\0';
    }
    return copy;
}

char *maas_strdup(const char *s)
{
    return maas_strndup(s, strlen(s));
}

bool maas_grow(void *p, size_t *cap, size_t n, size_t size)
{
    if (n <= *cap)
        return true;
    size_t want = *cap ? *cap : 8, bytes;
    while (want < n)
        if (__builtin_mul_overflow(want, 2, &want))
            return false;
    if (__builtin_mul_overflow(want, size, &bytes))
        return false;
    void *bigger = maas_realloc(*(void **)p, bytes);
    if (!bigger)
        return false;
    *(void **)p = bigger;
    *cap = want;
    return true;
}
