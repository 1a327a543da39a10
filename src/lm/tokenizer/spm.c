/*
 * SentencePiece's BPE: a text is its characters, spaces written as U+2581; the two neighbours that
 * together are the token of the best score become one. What is no token becomes its bytes.
 */
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "lm/tokenizer/tokenizer_int.h"
#include "base/ban.h"

#define SPACE   "\xe2\x96\x81" /* U+2581 */
#define N_SPACE 3

/* ---- reading ---- */

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* <0x0A> */
static int byte_token(maas_str name)
{
    if (name.n != 6 || memcmp(name.p, "<0x", 3) != 0 || name.p[5] != '>')
        return -1;
    const int high = hex(name.p[3]), low = hex(name.p[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static maas_status read_piece(maas_tokenizer *t, int32_t i, maas_err *err)
{
    const maas_str name = t->names[i];
    char *out = maas_arena_alloc(&t->arena, name.n + 1);
    size_t n = 0;
    if (!out)
        return maas_fail(err, MAAS_E_NOMEM, "the vocabulary");
    const int b = t->types[i] == MAAS_TOKEN_BYTE ? byte_token(name) : -1;
    if (b >= 0) {
        t->bytes[b] = i;
        out[n++] = (char)b;
    }
    for (size_t at = 0; b < 0 && at < name.n;) {
        const bool space = name.n - at >= N_SPACE && memcmp(name.p + at, SPACE, N_SPACE) == 0;
        out[n++] = space ? ' ' : name.p[at];
        at += space ? N_SPACE : 1;
    }
    t->pieces[i] = (maas_str){out, n};
    return MAAS_OK;
}

maas_status maas_spm_read(maas_tokenizer *t, const maas_lm_source *s, maas_err *err)
{
    const maas_lm_array *scores = maas_lm_array_of(s, "tokenizer.ggml.scores");
    if (!scores || scores->of != MAAS_GGUF_F32 || scores->n != (uint64_t)t->n)
        return maas_fail(err, MAAS_E_FORMAT,
                         "tokenizer.ggml.scores must have a number for each "
                         "token");
    t->scores = maas_arena_array(&t->arena, (size_t)t->n, sizeof *t->scores);
    if (!t->scores)
        return maas_fail(err, MAAS_E_NOMEM, "the vocabulary");
    maas_lm_bool(s, "maas.space_prefix.if_missing", &t->prefix_if_missing);
    maas_lm_bool(s, "maas.space_prefix.once", &t->prefix_once);
    maas_lm_bool(s, "maas.fuse_unknown", &t->fuse_unknown);
    if (maas_lm_array_of(s, "tokenizer.ggml.merges"))
        MAAS_TRY(maas_merges_read(t, s, err));
    for (int32_t i = 0; i < t->n; i++) {
        t->scores[i] = (float)maas_gguf_f64(scores, (uint64_t)i);
        MAAS_TRY(read_piece(t, i, err));
    }
    return MAAS_OK;
}

/* ---- a text ---- */

static int32_t token_of(const maas_tokenizer *t, maas_str text)
{
    const int32_t id = maas_token_table_find(&t->by_name, text);
    return id >= 0 && (t->types[id] == MAAS_TOKEN_NORMAL || t->types[id] == MAAS_TOKEN_USER) ? id
                                                                                             : -1;
}

static void consider(const maas_tokenizer *t, maas_merge_work *w, const char *text, int32_t left,
                     int32_t right)
{
    if (left < 0 || right < 0)
        return;
    const maas_symbol *a = &w->symbols[left], *b = &w->symbols[right];
    if (t->merges) { /* of a file that lists them: only those, in their order */
        const maas_merge *m = maas_merge_of(t, a->id, b->id);
        if (m)
            maas_heap_push(w, (maas_pending){(float)m->rank, left, right, m->to, a->n + b->n});
        return;
    }
    const int32_t to = token_of(t, (maas_str){text + a->at, a->n + b->n});
    if (to >= 0)
        maas_heap_push(w, (maas_pending){-t->scores[to], left, right, to, a->n + b->n});
}

/* Does what was written of this text, from byte `from` on, end with an unknown character? */
static bool ends_unknown(const maas_tokenizer *t, const maas_buf *out, size_t from)
{
    int32_t last = -1;
    if (out->n > from)
        memcpy(&last, out->p + out->n - sizeof last, sizeof last);
    return last == t->unknown;
}

static maas_status put_symbol(const maas_tokenizer *t, const maas_symbol *s, const char *text,
                              size_t from, maas_buf *out, maas_err *err)
{
    const int32_t id = token_of(t, (maas_str){text + s->at, s->n});
    if (id >= 0)
        maas_buf_add(out, &id, sizeof id);
    for (uint32_t i = 0; id < 0 && i < s->n; i++) {
        const int32_t b = t->bytes[(uint8_t)text[s->at + i]];
        const int32_t use = b >= 0 ? b : t->unknown;
        if (b < 0 && t->fuse_unknown && ends_unknown(t, out, from))
            continue;
        if (use >= 0 && (b >= 0 || i == 0))
            maas_buf_add(out, &use, sizeof use);
    }
    return out->failed ? maas_fail(err, MAAS_E_TOO_LARGE, "too many tokens") : MAAS_OK;
}

static maas_status merge_text(const maas_tokenizer *t, maas_str text, maas_merge_work *w,
                              maas_buf *out, maas_err *err)
{
    maas_pending p;
    uint32_t n = 0;
    const size_t from = out->n;
    if (text.n > INT32_MAX / 4 || !maas_merge_room(w, (uint32_t)text.n))
        return maas_fail(err, MAAS_E_NOMEM, "a text of %zu bytes", text.n);
    for (maas_span s = maas_span_of(text.p, text.n); s.n; n++) {
        const size_t some = maas_utf8_len(s), len = some ? some : 1;
        const int32_t id = t->merges ? token_of(t, (maas_str){(const char *)s.p, len}) : -1;
        w->symbols[n] = (maas_symbol){id, (int32_t)n - 1, (int32_t)n + 1,
                                      (uint32_t)(s.p - (const uint8_t *)text.p), (uint32_t)len};
        maas_span_skip(&s, len);
    }
    if (n == 0)
        return MAAS_OK;
    w->symbols[n - 1].next = -1;
    for (uint32_t i = 0; i + 1 < n; i++)
        consider(t, w, text.p, (int32_t)i, (int32_t)i + 1);
    while (maas_heap_pop(w, &p)) {
        maas_symbol *a = &w->symbols[p.left], *b = &w->symbols[p.right];
        if (a->id == -2 || b->id == -2 || a->next != p.right || a->n + b->n != p.n)
            continue;
        a->id = p.to;
        a->n += b->n;
        a->next = b->next;
        b->id = -2;
        if (a->next >= 0)
            w->symbols[a->next].prev = p.left;
        consider(t, w, text.p, a->prev, p.left);
        consider(t, w, text.p, p.left, a->next);
    }
    for (int32_t i = 0; i >= 0; i = w->symbols[i].next)
        MAAS_TRY(put_symbol(t, &w->symbols[i], text.p, from, out, err));
    return MAAS_OK;
}

maas_status maas_spm_text(const maas_tokenizer *t, maas_str text, bool first, maas_merge_work *w,
                          maas_buf *out, maas_err *err)
{
    maas_buf spaced = MAAS_BUF_INIT((size_t)1 << 32);
    const bool has_space = text.n && (text.p[0] == ' ' ||
                                      (text.n >= N_SPACE && memcmp(text.p, SPACE, N_SPACE) == 0));
    if (first && t->space_prefix && text.n && !(t->prefix_if_missing && has_space))
        maas_buf_add(&spaced, SPACE, N_SPACE);
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == ' ')
            maas_buf_add(&spaced, SPACE, N_SPACE);
        else
            maas_buf_char(&spaced, text.p[i]);
    maas_status st = spaced.failed ? maas_fail(err, MAAS_E_NOMEM, "a text of %zu bytes", text.n)
                                   : merge_text(t, (maas_str){spaced.p, spaced.n}, w, out, err);
    maas_buf_reset(&spaced);
    return st;
}
