#include "base/buf.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "base/ban.h"

void maas_buf_reset(maas_buf *b)
{
    if (!b->arena)
        maas_free(b->p);
    *b = (maas_buf){.max = b->max, .arena = b->arena};
}

/* Room for `n` bytes in all: doubling, so that appending is linear. */
static bool grow(maas_buf *b, size_t n)
{
    if (!b->arena)
        return maas_grow(&b->p, &b->cap, n, 1);
    size_t cap = b->cap ? b->cap : 256;
    while (cap < n)
        if (__builtin_mul_overflow(cap, 2, &cap))
            return false;
    char *more = maas_arena_alloc(b->arena, cap);
    if (!more)
        return false;
    if (b->n)
        memcpy(more, b->p, b->n);
    b->p = more;
    b->cap = cap;
    return true;
}

bool maas_buf_reserve(maas_buf *b, size_t n_more)
{
    if (b->failed)
        return false;
    if (n_more > b->max || b->n > b->max - n_more) {
        b->failed = true;
        return false;
    }
    if (b->n + n_more + 1 <= b->cap)
        return true;
    if (!grow(b, b->n + n_more + 1)) {
        b->failed = true;
        return false;
    }
    return true;
}

void maas_buf_add(maas_buf *b, const void *p, size_t n)
{
    if (!maas_buf_reserve(b, n))
        return;
    if (n)
        memcpy(b->p + b->n, p, n);
    b->n += n;
    b->p[b->n] = '\0';
}

void maas_buf_str(maas_buf *b, const char *s)
{
    maas_buf_add(b, s, strlen(s));
}

void maas_buf_char(maas_buf *b, char c)
{
    maas_buf_add(b, &c, 1);
}

void maas_buf_vprintf(maas_buf *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    if (n >= 0 && maas_buf_reserve(b, (size_t)n)) {
        vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    va_end(again);
}

void maas_buf_printf(maas_buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    maas_buf_vprintf(b, fmt, ap);
    va_end(ap);
}

void maas_buf_json_str(maas_buf *b, const char *s, size_t n)
{
    maas_span rest = maas_span_of(s, n);
    maas_buf_char(b, '"');
    while (rest.n) {
        size_t plain = 0; /* a run that needs no escape is copied in one go */
        while (plain < rest.n && rest.p[plain] >= 0x20 && rest.p[plain] < 0x7f &&
               rest.p[plain] != '"' && rest.p[plain] != '\\')
            plain++;
        maas_buf_add(b, rest.p, plain);
        maas_span_skip(&rest, plain);
        if (!rest.n)
            break;
        uint8_t c = *rest.p;
        if (c >= 0x80) {
            size_t len = maas_utf8_len(rest);
            if (len)
                maas_buf_add(b, rest.p, len);
            else
                maas_buf_str(b, "\xef\xbf\xbd");
            maas_span_skip(&rest, len ? len : 1);
            continue;
        }
        if (c == '"' || c == '\\')
            maas_buf_printf(b, "\\%c", c);
        else if (c == '\n')
            maas_buf_str(b, "\\n");
        else if (c == '\t')
            maas_buf_str(b, "\\t");
        else if (c == '\r')
            maas_buf_str(b, "\\r");
        else
            maas_buf_printf(b, "\\u%04x", c);
        maas_span_skip(&rest, 1);
    }
    maas_buf_char(b, '"');
}

char *maas_buf_steal(maas_buf *b, size_t *out_n)
{
    if (!maas_buf_reserve(b, 0))
        return NULL;
    b->p[b->n] = '\0';
    if (out_n)
        *out_n = b->n;
    char *p = b->p;
    *b = (maas_buf){.max = b->max, .arena = b->arena};
    return p;
}
