/* base/utf8.h - is it UTF-8? (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF) */
#ifndef MAAS_BASE_UTF8_H
#define MAAS_BASE_UTF8_H

#include "base/span.h"

/* Bytes of the valid sequence at the start of s, 1..4; 0 when there is none. */
static inline size_t maas_utf8_len(maas_span s)
{
    if (!s.n)
        return 0;
    uint8_t c = s.p[0];
    if (c < 0x80)
        return 1;
    size_t len = c >= 0xc2 && c <= 0xdf   ? 2
                 : (c & 0xf0) == 0xe0     ? 3
                 : c >= 0xf0 && c <= 0xf4 ? 4
                                          : 0;
    if (!len || s.n < len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((s.p[i] & 0xc0) != 0x80)
            return 0;
    if ((c == 0xe0 && s.p[1] < 0xa0) || (c == 0xed && s.p[1] > 0x9f) ||
        (c == 0xf0 && s.p[1] < 0x90) || (c == 0xf4 && s.p[1] > 0x8f))
        return 0;
    return len;
}

static inline bool maas_utf8_valid(maas_span s)
{
    while (s.n) {
        size_t len = maas_utf8_len(s);
        if (!len)
            return false;
        maas_span_skip(&s, len);
    }
    return true;
}

#endif
