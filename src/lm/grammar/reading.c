#include "lm/grammar/reading.h"

#include <string.h>

#include "base/utf8.h"
#include "base/ban.h"

bool gram_read_char(gram_reading *r, uint32_t *out)
{
    const uint8_t *p = (const uint8_t *)r->p + r->at;
    const size_t n = maas_utf8_len(maas_span_of(p, r->n - r->at));
    static const uint8_t lead[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    if (!n)
        return false;
    uint32_t c = p[0] & lead[n];
    for (size_t i = 1; i < n; i++)
        c = c << 6 | (p[i] & 0x3f);
    r->at += n;
    *out = c;
    return true;
}

bool gram_read_hex(gram_reading *r, int digits, uint32_t *out)
{
    uint32_t v = 0;
    for (int i = 0; i < digits; i++) {
        const int c = gram_peek(r), low = c | 0x20;
        if (c >= '0' && c <= '9')
            v = v << 4 | (uint32_t)(c - '0');
        else if (low >= 'a' && low <= 'f')
            v = v << 4 | (uint32_t)(low - 'a' + 10);
        else
            return false;
        r->at++;
    }
    *out = v;
    return true;
}

static void skip_blank(gram_reading *r)
{
    while (gram_peek(r) == ' ')
        r->at++;
}

static bool read_count(gram_reading *r, uint32_t *out)
{
    const size_t from = r->at;
    uint64_t v = 0;
    for (int c; (c = gram_peek(r)) >= '0' && c <= '9'; r->at++)
        v = v < UINT32_MAX ? v * 10 + (uint64_t)(c - '0') : v;
    *out = v < UINT32_MAX ? (uint32_t)v : UINT32_MAX - 1;
    return r->at > from;
}

const char *gram_read_counts(gram_reading *r, uint32_t *min, uint32_t *max)
{
    r->at++;
    skip_blank(r);
    if (!read_count(r, min))
        return "{m,n} needs a number";
    *max = *min;
    skip_blank(r);
    if (gram_peek(r) == ',') {
        r->at++;
        skip_blank(r);
        *max = GRAM_ENDLESS;
        if (gram_peek(r) != '}' && !read_count(r, max))
            return "{m,n} needs a number after the comma";
        skip_blank(r);
    }
    if (gram_peek(r) != '}')
        return "{m,n} needs a '}'";
    r->at++;
    return *min > *max ? "{m,n} with m larger than n" : NULL;
}

void gram_put_char(maas_buf *b, uint32_t c)
{
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    char out[4];
    const size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(lead[n > 1 ? n : 0] | c);
    maas_buf_add(b, out, n);
}

void gram_ranges_add(gram_build *b, gram_ranges *r, uint32_t from, uint32_t to)
{
    if (r->n == r->cap) {
        const uint32_t cap = r->cap ? r->cap * 2 : 8;
        gram_range *at = b->status == MAAS_OK ? maas_arena_array(b->a, cap, sizeof *at) : NULL;
        if (!at) {
            gram_fail(b, MAAS_E_NOMEM, "memory for a grammar");
            return;
        }
        if (r->n)
            memcpy(at, r->at, r->n * sizeof *at);
        r->at = at;
        r->cap = cap;
    }
    r->at[r->n++] = (gram_range){from, to};
}
