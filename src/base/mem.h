/*
 * base/mem.h - the one door to the heap, and cleanup attached to variables.
 *
 * All heap memory of ours comes from here, so that test builds can fail the n-th allocation and
 * count what is alive. Allocation that outside data drives goes through a budget or an arena.
 *
 * Threads: all functions from any thread. Fails: NULL, never aborts.
 */
#ifndef MAAS_BASE_MEM_H
#define MAAS_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

void *maas_alloc(size_t size);            /* uninitialised                           */
void *maas_calloc(size_t n, size_t size); /* zeroed; NULL on overflow of n * size    */
void *maas_realloc(void *p, size_t size);
void *maas_aligned(size_t align, size_t size); /* align: power of two; free: maas_free() */
/* For what is large and read from end to end: in pages of 2 MiB where the system has them, which
 * are touched and found faster than 512 small ones. Free: maas_free(). */
void *maas_alloc_huge(size_t size);
void maas_mem_want_huge(void *p, size_t size); /* the hint alone, for memory not yet touched */
void maas_free(void *p);                       /* NULL is fine                            */
char *maas_strdup(const char *s);
char *maas_strndup(const char *s, size_t n);
/* *p grows to hold `n` items of `size` bytes (doubling); false leaves *p and *cap as they were. */
bool maas_grow(void *p, size_t *cap, size_t n, size_t size);

/* Threads share n heaps at most, where the C library keeps several; before there are threads. Each
 * heap keeps what its largest moment needed: as many as threads can run at once are enough. */
void maas_mem_limit_heaps(int n);

/* Test builds: the n-th allocation from now on fails, once (0: never). Counters are global. */
void maas_mem_fail_at(long n);
long maas_mem_live(void);     /* allocations not yet freed          */
long maas_mem_n_allocs(void); /* allocations made since the start   */

static inline void maas_auto_free(void *p)
{
    maas_free(*(void **)p);
}
static inline void maas_auto_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
#define AUTO_FREE __attribute__((cleanup(maas_auto_free)))
#define AUTO_FD   __attribute__((cleanup(maas_auto_close))) int
/* AUTO(maas_buf_reset) maas_buf b: calls fn(&b) at the end of the scope. */
#define AUTO(fn) __attribute__((cleanup(fn)))
#define STEAL(p)                                                                                   \
    ({                                                                                             \
        __typeof__(p) tmp_ = (p);                                                                  \
        (p) = NULL;                                                                                \
        tmp_;                                                                                      \
    })
#define STEAL_FD(fd)                                                                               \
    ({                                                                                             \
        int tmp_ = (fd);                                                                           \
        (fd) = -1;                                                                                 \
        tmp_;                                                                                      \
    })

#endif
