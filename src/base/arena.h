/*
 * base/arena.h - budgets, and memory that dies together.
 *
 * Three lifetimes: process (tables, configuration), model (one arena), request (one arena, reset
 * at the end). A budget bounds what outside data may make us allocate; arenas charge theirs block
 * by block.
 *
 * Owns: its blocks. Borrows: the budget. Threads: an arena one at a time, a budget any.
 * Fails: NULL (callers answer MAAS_E_NOMEM, i.e. HTTP 503).
 */
#ifndef MAAS_BASE_ARENA_H
#define MAAS_BASE_ARENA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct maas_budget {
    _Atomic size_t used; /* bytes */
    size_t limit;        /* bytes; 0: unlimited */
} maas_budget;

bool maas_budget_take(maas_budget *b, size_t n); /* false: over the limit, nothing taken */
void maas_budget_give(maas_budget *b, size_t n);

typedef struct maas_arena_block maas_arena_block;
typedef struct maas_arena_hook maas_arena_hook;
typedef struct maas_arena {
    maas_budget *budget; /* may be NULL: not charged */
    maas_arena_block *blocks;
    maas_arena_hook *hooks; /* run newest first, before memory goes */
    size_t first_block;     /* bytes of the first block; 0: 16 KiB  */
} maas_arena;

static inline void maas_arena_init(maas_arena *a, maas_budget *budget)
{
    *a = (maas_arena){.budget = budget};
}
/* Zeroed, aligned to 64 bytes when size >= 64, else to 16. size 0 gives a unique pointer. */
void *maas_arena_alloc(maas_arena *a, size_t size);
void *maas_arena_array(maas_arena *a, size_t n, size_t size); /* NULL on overflow too */
void *maas_arena_dup(maas_arena *a, const void *p, size_t n);
char *maas_arena_strndup(maas_arena *a, const char *s, size_t n);
char *maas_arena_strdup(maas_arena *a, const char *s);
__attribute__((format(printf, 2, 3))) char *maas_arena_printf(maas_arena *a, const char *fmt, ...);
/* fn(arg) runs when the arena is reset: how outside resources join its lifetime. */
bool maas_arena_defer(maas_arena *a, void (*fn)(void *), void *arg);
bool maas_arena_owns(const maas_arena *a, const void *p); /* was p allocated from it? */
size_t maas_arena_bytes(const maas_arena *a);             /* held, blocks included */
void maas_arena_reset(maas_arena *a); /* frees everything; the arena is usable again */
/* As reset, but keeps the newest block for reuse: no allocation in the steady state. */
void maas_arena_rewind(maas_arena *a);

#endif
