/* lm/grammar/utf8.c - code points as sequences of ranges of bytes. */
#include "lm/grammar/grammar_int.h"
#include "base/ban.h"

static uint32_t encode(uint32_t c, uint8_t out[4])
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    const uint32_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (uint32_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (uint8_t)(0x80 | (c & 0x3f));
    out[0] = (uint8_t)(lead[n] | c);
    return n;
}

/* Both have as many bytes, and every byte but the first that differs runs through all it can be. */
static void put(uint32_t from, uint32_t to, void (*each)(void *user, const gram_bytes *s),
                void *user)
{
    gram_bytes s;
    s.n = encode(from, s.from);
    encode(to, s.to);
    each(user, &s);
}

static void split_same_length(uint32_t from, uint32_t to,
                              void (*each)(void *user, const gram_bytes *s), void *user)
{
    while (from <= to) {
        uint32_t end = to;
        /* the largest block that begins at `from`, whose low bits run through everything */
        for (uint32_t bits = 6; bits <= 18; bits += 6) {
            const uint32_t low = (1u << bits) - 1;
            if ((from & ~low) == (end & ~low))
                break;
            if (from & low) {
                end = from | low;
                break;
            }
            if ((end & low) != low)
                end = (end & ~low) - 1;
        }
        put(from, end, each, user);
        if (end == GRAM_MAX_CODE)
            return;
        from = end + 1;
    }
}

void gram_utf8_split(uint32_t from, uint32_t to, void (*each)(void *user, const gram_bytes *s),
                     void *user)
{
    static const gram_range parts[] = {{0, 0x7f},
                                       {0x80, 0x7ff},
                                       {0x800, 0xd7ff}, /* surrogates are no characters */
                                       {0xe000, 0xffff},
                                       {0x10000, GRAM_MAX_CODE}};
    for (size_t i = 0; i < MAAS_COUNT(parts); i++) {
        const uint32_t a = from > parts[i].from ? from : parts[i].from;
        const uint32_t z = to < parts[i].to ? to : parts[i].to;
        if (a <= z)
            split_same_length(a, z, each, user);
    }
}
