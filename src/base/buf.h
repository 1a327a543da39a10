/*
 * base/buf.h - a growable byte buffer with a maximum.
 *
 * Appending past the maximum, or running out of memory, sets `failed` and drops the bytes; later
 * appends are no-ops, so a writer checks once, at the end. The bytes are always NUL-terminated.
 *
 * Owns: its bytes, or lends them from an arena. Threads: one at a time.
 */
#ifndef MAAS_BASE_BUF_H
#define MAAS_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/span.h"

typedef struct maas_buf {
    char *p;
    size_t n, cap, max; /* bytes */
    bool failed;
    maas_arena *arena; /* where the bytes live; NULL: the heap */
} maas_buf;

#define MAAS_BUF_INIT(max_bytes)                                                                   \
    {                                                                                              \
        .max = (max_bytes)                                                                         \
    }
/* Bytes in an arena: nothing to free, and no heap call in the steady state. */
#define MAAS_BUF_IN(a, max_bytes)                                                                  \
    {                                                                                              \
        .max = (max_bytes), .arena = (a)                                                           \
    }

void maas_buf_reset(maas_buf *b); /* frees; max and arena stay */
static inline void maas_buf_clear(maas_buf *b)
{
    b->n = 0;
    b->failed = false;
}
bool maas_buf_reserve(maas_buf *b, size_t n_more); /* room for n_more bytes after b->n */
void maas_buf_add(maas_buf *b, const void *p, size_t n);
void maas_buf_str(maas_buf *b, const char *s);
void maas_buf_char(maas_buf *b, char c);
__attribute__((format(printf, 2, 3))) void maas_buf_printf(maas_buf *b, const char *fmt, ...);
__attribute__((format(printf, 2, 0))) void maas_buf_vprintf(maas_buf *b, const char *fmt,
                                                            va_list ap);
/* A JSON string literal, quotes included; bytes that are not UTF-8 become U+FFFD. */
void maas_buf_json_str(maas_buf *b, const char *s, size_t n);
/* Takes the bytes out (NUL-terminated; free with maas_free unless they live in an arena); NULL when
 * failed or out of memory. */
char *maas_buf_steal(maas_buf *b, size_t *out_n);

static inline maas_span maas_buf_span(const maas_buf *b)
{
    return maas_span_of(b->p, b->n);
}

#endif
