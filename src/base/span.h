/*
 * base/span.h - borrowed bytes with an end. The only way file bytes become numbers: no reader can
 * go past the end, a failed read leaves the span as it was.
 */
#ifndef MAAS_BASE_SPAN_H
#define MAAS_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct maas_span {
    const uint8_t *p;
    size_t n;
} maas_span;

static inline maas_span maas_span_of(const void *p, size_t n)
{
    return (maas_span){(const uint8_t *)p, n};
}
static inline maas_span maas_span_str(const char *s)
{
    return maas_span_of(s, strlen(s));
}
static inline bool maas_span_eq(maas_span a, maas_span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline bool maas_span_is(maas_span a, const char *s)
{
    return maas_span_eq(a, maas_span_str(s));
}
static inline bool maas_span_take(maas_span *s, size_t n, maas_span *out)
{
    if (s->n < n)
        return false;
    *out = (maas_span){s->p, n};
    s->p += n;
    s->n -= n;
    return true;
}
static inline bool maas_span_skip(maas_span *s, size_t n)
{
    maas_span ignored;
    return maas_span_take(s, n, &ignored);
}
static inline bool maas_span_u8(maas_span *s, uint8_t *out)
{
    if (s->n < 1)
        return false;
    *out = *s->p++;
    s->n--;
    return true;
}
#define MAAS_SPAN_LE(name, type)                                                                   \
    static inline bool name(maas_span *s, type *out)                                               \
    {                                                                                              \
        if (s->n < sizeof *out)                                                                    \
            return false;                                                                          \
        memcpy(out, s->p, sizeof *out);                                                            \
        s->p += sizeof *out;                                                                       \
        s->n -= sizeof *out;                                                                       \
        return true;                                                                               \
    }
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "readers copy little-endian numbers");
MAAS_SPAN_LE(maas_span_u16le, uint16_t)
MAAS_SPAN_LE(maas_span_u32le, uint32_t)
MAAS_SPAN_LE(maas_span_u64le, uint64_t)
static inline bool maas_span_u32be(maas_span *s, uint32_t *out)
{
    if (!maas_span_u32le(s, out))
        return false;
    *out = __builtin_bswap32(*out);
    return true;
}

#endif
