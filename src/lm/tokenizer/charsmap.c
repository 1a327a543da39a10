/*
 * The map by which SentencePiece normalizes characters, as its files have it: four bytes of length,
 * a double-array trie of that length, then the texts that it leads to, each ended by a zero.
 *
 * A unit of the trie is 32 bits: the label in the low eight (with bit 31: a value instead), whether
 * a text ends here in bit 8, and where its children are from bit 10 on, in steps of 256 with bit 9.
 * Nothing in it is trusted: each step is looked up within its bounds.
 */
#include <string.h>

#include "base/utf8.h"
#include "lm/tokenizer/tokenizer_int.h"
#include "base/ban.h"

static uint32_t u32_at(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* The key is an array of bytes. */
maas_status maas_charsmap_read(maas_tokenizer *t, const maas_lm_source *s, maas_err *err)
{
    const maas_lm_array *a = maas_lm_array_of(s, "tokenizer.ggml.precompiled_charsmap");
    if (!a || !a->n)
        return MAAS_OK;
    if (a->of != MAAS_GGUF_U8 && a->of != MAAS_GGUF_I8)
        return maas_fail(err, MAAS_E_FORMAT,
                         "tokenizer.ggml.precompiled_charsmap must be an array of bytes");
    if (a->n < 8 || a->n > (1u << 26))
        return maas_fail(err, MAAS_E_FORMAT, "tokenizer.ggml.precompiled_charsmap has %llu bytes",
                         (unsigned long long)a->n);
    uint8_t *p = maas_arena_alloc(&t->arena, a->n);
    if (!p)
        return maas_fail(err, MAAS_E_NOMEM, "the map of characters");
    for (uint64_t i = 0; i < a->n; i++)
        p[i] = (uint8_t)maas_gguf_i64(a, i);
    const uint32_t bytes = u32_at(p);
    if (bytes % 4 || bytes == 0 || bytes > a->n - 4)
        return maas_fail(err, MAAS_E_FORMAT,
                         "tokenizer.ggml.precompiled_charsmap says that its trie has %u bytes",
                         bytes);
    t->map.trie = p + 4;
    t->map.n_units = bytes / 4;
    t->map.texts = (maas_str){(const char *)p + 4 + bytes, a->n - 4 - bytes};
    return MAAS_OK;
}

/* Bytes of the longest text that the map has at the start of s, and what it becomes; 0: none. */
static size_t longest(const maas_tokenizer *t, maas_str s, maas_str *to)
{
    uint32_t unit = u32_at(t->map.trie);
    uint64_t node = (uint64_t)(unit >> 10) << ((unit & 512) >> 6);
    size_t found = 0;
    uint32_t value = 0;
    for (size_t i = 0; i < s.n; i++) {
        const uint8_t c = (uint8_t)s.p[i];
        node ^= c;
        if (c == 0 || node >= t->map.n_units)
            break;
        unit = u32_at(t->map.trie + 4 * node);
        if ((unit & (1u << 31 | 255)) != c)
            break;
        node ^= (uint64_t)(unit >> 10) << ((unit & 512) >> 6);
        if ((unit >> 8 & 1) && node < t->map.n_units) {
            found = i + 1;
            value = u32_at(t->map.trie + 4 * node) & ~(1u << 31);
        }
    }
    if (!found || value >= t->map.texts.n)
        return 0;
    to->p = t->map.texts.p + value;
    to->n = strnlen(to->p, t->map.texts.n - value);
    return found;
}

/* What is no character becomes U+FFFD. */
size_t maas_charsmap_next(const maas_tokenizer *t, maas_str s, maas_str *to)
{
    const size_t mapped = t->map.trie ? longest(t, s, to) : 0;
    if (mapped)
        return mapped;
    const size_t n = maas_utf8_len(maas_span_of(s.p, s.n));
    *to = n ? (maas_str){s.p, n} : (maas_str){"\xef\xbf\xbd", 3};
    return n ? n : 1;
}
