#include "ops/unicode.h"

#include "base/sys.h"
#include "ops/unicode.inc"
#include "base/ban.h"

static bool in_ranges(const uint32_t (*ranges)[2], size_t n, uint32_t c)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (c > ranges[mid][1])
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n && c >= ranges[lo][0];
}

bool maas_uni_is_word(uint32_t c)
{
    return in_ranges(uni_word, MAAS_COUNT(uni_word), c);
}

bool maas_uni_is_space(uint32_t c)
{
    return in_ranges(uni_space, MAAS_COUNT(uni_space), c);
}

bool maas_uni_is_digit(uint32_t c)
{
    return in_ranges(uni_digit, MAAS_COUNT(uni_digit), c);
}

bool maas_uni_is_cased(uint32_t c)
{
    return in_ranges(uni_cased, MAAS_COUNT(uni_cased), c);
}

bool maas_uni_is_ignorable(uint32_t c)
{
    return in_ranges(uni_ignorable, MAAS_COUNT(uni_ignorable), c);
}

static uint32_t mapped(const uni_run *runs, size_t n, uint32_t c)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (c > runs[mid].last)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == n || c < runs[lo].first || (c - runs[lo].first) % runs[lo].step)
        return c;
    return (uint32_t)((int32_t)c + runs[lo].delta);
}

uint32_t maas_uni_lower(uint32_t c)
{
    if (c < 0x80)
        return c >= 'A' && c <= 'Z' ? c + 32 : c;
    return c == 0x130 ? 'i' : mapped(uni_lower, MAAS_COUNT(uni_lower), c);
}

uint32_t maas_uni_upper(uint32_t c)
{
    if (c < 0x80)
        return c >= 'a' && c <= 'z' ? c - 32 : c;
    return mapped(uni_upper, MAAS_COUNT(uni_upper), c);
}

/* Hangul syllables are decomposed by arithmetic (Unicode, section 3.12). */
static int strip_hangul(uint32_t c, uint32_t *out)
{
    const uint32_t s = c - 0xac00;
    out[0] = 0x1100 + s / 588;
    out[1] = 0x1161 + s % 588 / 28;
    out[2] = 0x11a7 + s % 28;
    return s % 28 ? 3 : 2;
}

int maas_uni_strip(uint32_t c, uint32_t out[MAAS_UNI_MAX_STRIPPED])
{
    out[0] = c;
    if (c < 0x80)
        return 1;
    if (c >= 0xac00 && c < 0xac00 + 11172)
        return strip_hangul(c, out);
    size_t lo = 0, hi = MAAS_COUNT(uni_strip);
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (c > uni_strip[mid].c)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == MAAS_COUNT(uni_strip) || uni_strip[lo].c != c)
        return 1;
    for (int i = 0; i < uni_strip[lo].n; i++)
        out[i] = uni_stripped[uni_strip[lo].at + i];
    return uni_strip[lo].n;
}

size_t maas_uni_get(const char *p, uint32_t *out)
{
    const uint8_t *b = (const uint8_t *)p;
    if (b[0] < 0x80) {
        *out = b[0];
        return 1;
    }
    const size_t n = b[0] < 0xe0 ? 2 : b[0] < 0xf0 ? 3 : 4;
    uint32_t c = b[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++)
        c = c << 6 | (b[i] & 0x3f);
    *out = c;
    return n;
}

size_t maas_uni_put(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    const size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)((0xf00u >> n & 0xff) | c);
    return n;
}
