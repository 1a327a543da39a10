/*
 * Byte-level BPE: a word is its bytes; the two neighbours that come first in the list of merges
 * become one, until none are in it. Bytes that are no token are left out, as everybody does. The
 * file writes bytes as characters that can be printed: those that can stand for themselves, the
 * others for 256 and up, in order.
 */
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "lm/tokenizer/tokenizer_int.h"
#include "base/ban.h"

/* ---- the printable form of bytes ---- */

static bool is_printable(int b)
{
    return (b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || (b >= 0xae && b <= 0xff);
}

/* The byte of a code point; -1: of none. */
static int byte_of(uint32_t point)
{
    if (point < 256)
        return is_printable((int)point) ? (int)point : -1;
    int n = (int)(point - 256);
    for (int b = 0; b < 256; b++)
        if (!is_printable(b) && n-- == 0)
            return b;
    return -1;
}

static uint32_t point_at(maas_span *s)
{
    const size_t n = maas_utf8_len(*s);
    uint32_t c = s->p[0];
    if (n >= 2)
        c = (c & (0x7fu >> n)) << 6 | (s->p[1] & 63u);
    for (size_t i = 2; i < n; i++)
        c = c << 6 | (s->p[i] & 63u);
    maas_span_skip(s, n ? n : 1);
    return n ? c : UINT32_MAX;
}

/* The bytes of a name; false when it is not in that form. */
static bool to_bytes(const int16_t *table, maas_str name, char *out, size_t *n)
{
    maas_span s = maas_span_of(name.p, name.n);
    *n = 0;
    while (s.n) {
        const uint32_t point = point_at(&s);
        if (point >= 512 || table[point] < 0)
            return false;
        out[(*n)++] = (char)table[point];
    }
    return true;
}

/* ---- reading ---- */

static uint32_t pair_hash(int32_t left, int32_t right)
{
    const uint64_t x = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(x >> 32);
}

const maas_merge *maas_merge_of(const maas_tokenizer *t, int32_t left, int32_t right)
{
    for (uint32_t at = pair_hash(left, right) & t->merge_mask; t->merges[at].left >= 0;
         at = (at + 1) & t->merge_mask)
        if (t->merges[at].left == left && t->merges[at].right == right)
            return &t->merges[at];
    return NULL;
}

/* "left right", in the form of the file; both and what they make must be tokens to be of use. */
static void add_merge(maas_tokenizer *t, maas_str line, uint32_t rank, char *room)
{
    const char *space = memchr(line.p + (line.n > 0), ' ', line.n - (line.n > 0));
    if (!space)
        return;
    const maas_str left = {line.p, (size_t)(space - line.p)};
    const maas_str right = {space + 1, line.n - left.n - 1};
    memcpy(room, left.p, left.n);
    memcpy(room + left.n, right.p, right.n);
    const int32_t l = maas_token_table_find(&t->by_name, left);
    const int32_t r = maas_token_table_find(&t->by_name, right);
    const int32_t to = maas_token_table_find(&t->by_name, (maas_str){room, left.n + right.n});
    if (l < 0 || r < 0 || to < 0 || maas_merge_of(t, l, r))
        return;
    uint32_t at = pair_hash(l, r) & t->merge_mask;
    while (t->merges[at].left >= 0)
        at = (at + 1) & t->merge_mask;
    t->merges[at] = (maas_merge){l, r, to, rank};
}

maas_status maas_merges_read(maas_tokenizer *t, const maas_lm_source *s, maas_err *err)
{
    const maas_lm_array *m = maas_lm_array_of(s, "tokenizer.ggml.merges");
    char room[2 * MAAS_MAX_GGUF_NAME];
    if (!m || m->of != MAAS_GGUF_STRING)
        return maas_fail(err, MAAS_E_FORMAT, "the key tokenizer.ggml.merges is missing");
    if (m->n > MAAS_MAX_VOCAB)
        return maas_fail(err, MAAS_E_TOO_LARGE, "%llu merges", (unsigned long long)m->n);
    uint32_t size = 16;
    while (size < 2 * m->n)
        size *= 2;
    t->merge_mask = size - 1;
    t->merges = maas_arena_array(&t->arena, size, sizeof *t->merges);
    if (!t->merges)
        return maas_fail(err, MAAS_E_NOMEM, "merges of a tokenizer");
    for (uint32_t i = 0; i < size; i++)
        t->merges[i].left = -1;
    for (uint32_t i = 0; i < m->n; i++)
        if (m->strings[i].n < sizeof room)
            add_merge(t, m->strings[i], i, room);
    return MAAS_OK;
}

static maas_status read_pieces(maas_tokenizer *t, maas_err *err)
{
    int16_t table[512];
    for (int i = 0; i < 512; i++)
        table[i] = (int16_t)byte_of((uint32_t)i);
    for (int32_t i = 0; i < t->n; i++) {
        size_t n;
        char *bytes = maas_arena_alloc(&t->arena, t->names[i].n + 1);
        if (!bytes)
            return maas_fail(err, MAAS_E_NOMEM, "the vocabulary");
        const bool is_text = t->types[i] == MAAS_TOKEN_USER || t->types[i] == MAAS_TOKEN_CONTROL;
        if (is_text || !to_bytes(table, t->names[i], bytes, &n)) {
            n = t->names[i].n; /* added tokens stand for themselves */
            memcpy(bytes, t->names[i].p, n);
        }
        t->pieces[i] = (maas_str){bytes, n};
        if (n == 1 && !is_text && t->bytes[(uint8_t)bytes[0]] < 0)
            t->bytes[(uint8_t)bytes[0]] = i;
    }
    return MAAS_OK;
}

maas_status maas_bpe_read(maas_tokenizer *t, const maas_lm_source *s, maas_err *err)
{
    maas_str pre = {"default", 7};
    const maas_lm_array *stages = maas_lm_array_of(s, "maas.pre.stages");
    bool whole = false;
    maas_lm_str(s, "tokenizer.ggml.pre", &pre);
    maas_lm_bool(s, "maas.pre.whole_words", &whole);
    if (stages && stages->of == MAAS_GGUF_STRING)
        MAAS_TRY(maas_pre_make(stages->strings, stages->n, whole, &t->arena, &t->pre, err));
    else
        MAAS_TRY(maas_pre_of(pre, &t->pre, err));
    t->whole_words = maas_pre_keeps_words(t->pre);
    MAAS_TRY(read_pieces(t, err));
    return maas_merges_read(t, s, err);
}

/* ---- a word ---- */

static void consider(const maas_tokenizer *t, maas_merge_work *w, int32_t left, int32_t right)
{
    if (left < 0 || right < 0)
        return;
    const maas_symbol *a = &w->symbols[left], *b = &w->symbols[right];
    const maas_merge *m = maas_merge_of(t, a->id, b->id);
    if (m)
        maas_heap_push(w, (maas_pending){(float)m->rank, left, right, m->to, a->n + b->n});
}

static maas_status put(maas_buf *out, int32_t id, maas_err *err)
{
    maas_buf_add(out, &id, sizeof id);
    return out->failed ? maas_fail(err, MAAS_E_TOO_LARGE, "too many tokens") : MAAS_OK;
}

maas_status maas_bpe_word(const maas_tokenizer *t, maas_str word, maas_merge_work *w, maas_buf *out,
                          maas_err *err)
{
    maas_pending p;
    if (t->whole_words) {
        const int32_t whole = maas_token_table_find(&t->by_piece, word);
        if (whole >= 0 && t->types[whole] == MAAS_TOKEN_NORMAL)
            return put(out, whole, err);
    }
    if (!maas_merge_room(w, (uint32_t)word.n))
        return maas_fail(err, MAAS_E_NOMEM, "a word of %zu bytes", word.n);
    for (uint32_t i = 0; i < word.n; i++) {
        const int32_t next = i + 1 < word.n ? (int32_t)i + 1 : -1;
        w->symbols[i] = (maas_symbol){t->bytes[(uint8_t)word.p[i]], (int32_t)i - 1, next, i, 1};
    }
    for (uint32_t i = 0; i + 1 < word.n; i++)
        consider(t, w, (int32_t)i, (int32_t)i + 1);
    while (maas_heap_pop(w, &p)) {
        maas_symbol *a = &w->symbols[p.left], *b = &w->symbols[p.right];
        if (a->id == -2 || b->id == -2 || a->next != p.right || a->n + b->n != p.n)
            continue; /* one of them was merged with another in between */
        a->id = p.to;
        a->n += b->n;
        a->next = b->next;
        b->id = -2;
        if (a->next >= 0)
            w->symbols[a->next].prev = p.left;
        consider(t, w, a->prev, p.left);
        consider(t, w, p.left, a->next);
    }
    for (int32_t i = word.n ? 0 : -1; i >= 0; i = w->symbols[i].next)
        if (w->symbols[i].id >= 0)
            MAAS_TRY(put(out, w->symbols[i].id, err));
    return MAAS_OK;
}
