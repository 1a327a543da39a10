/*
 * SentencePiece's unigram model: of all ways to cut a text into tokens the one whose scores sum to
 * the most. What is no token is unknown, or its bytes where the vocabulary has those. Before that a
 * text is normalized by the map of the file (charsmap.c), and spaces are written as U+2581.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "lm/tokenizer/tokenizer_int.h"
#include "base/ban.h"

#define SPACE           "\xe2\x96\x81" /* U+2581 */
#define N_SPACE         3
#define UNKNOWN_PENALTY 10.0 /* below the least score */

/* ---- reading ---- */

/* Tokens of users are found before (tokenizer.c). */
static bool in_text(const maas_tokenizer *t, int32_t i)
{
    return t->names[i].n && t->types[i] == MAAS_TOKEN_NORMAL;
}

static int by_bytes(const void *a, const void *b, void *names)
{
    const maas_str *n = names, x = n[*(const int32_t *)a], y = n[*(const int32_t *)b];
    const int c = memcmp(x.p, y.p, x.n < y.n ? x.n : y.n);
    return c ? c : x.n < y.n ? -1 : x.n > y.n;
}

/* Names in order: what begins alike lies together, and is found by narrowing a range. */
static maas_status sort_names(maas_tokenizer *t, maas_err *err)
{
    t->sorted = maas_arena_array(&t->arena, (size_t)t->n + 1, sizeof *t->sorted);
    if (!t->sorted)
        return maas_fail(err, MAAS_E_NOMEM, "the vocabulary");
    for (int32_t i = 0; i < t->n; i++)
        if (in_text(t, i))
            t->sorted[t->n_sorted++] = i;
    qsort_r(t->sorted, t->n_sorted, sizeof *t->sorted, by_bytes, (void *)(uintptr_t)t->names);
    return MAAS_OK;
}

maas_status maas_unigram_read(maas_tokenizer *t, const maas_lm_source *s, maas_err *err)
{
    MAAS_TRY(maas_spm_read(t, s, err));
    MAAS_TRY(sort_names(t, err));
    MAAS_TRY(maas_charsmap_read(t, s, err));
    maas_lm_bool(s, "tokenizer.ggml.remove_extra_whitespaces", &t->trim);
    maas_lm_bool(s, "maas.last_blank_stays", &t->last);
    t->least = 0;
    for (uint32_t i = 0; i < t->n_sorted; i++) {
        const double score = (double)t->scores[t->sorted[i]];
        if (!isfinite(score))
            return maas_fail(err, MAAS_E_FORMAT, "tokenizer.ggml.scores[%d] is no number",
                             t->sorted[i]);
        t->least = i == 0 || score < t->least ? score : t->least;
    }
    bool suffix = false;
    maas_lm_bool(s, "tokenizer.ggml.treat_whitespace_as_suffix", &suffix);
    if (suffix)
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "tokenizer.ggml.treat_whitespace_as_suffix: spaces at the end of words");
    if (t->unknown < 0)
        return maas_fail(err, MAAS_E_FORMAT, "tokenizer.ggml.unknown_token_id is missing");
    return MAAS_OK;
}

/* ---- normalizing ---- */

typedef struct spacer {
    const maas_tokenizer *t;
    maas_buf *out;
    bool prefix; /* a space is due before the first character */
    bool space;  /* what came last is one */
    bool left_out;
} spacer;

static void put(spacer *w, maas_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        const bool space = s.p[i] == ' ';
        if (space && w->space && w->t->trim) {
            w->left_out = true;
            continue;
        }
        if (w->prefix)
            maas_buf_add(w->out, SPACE, N_SPACE);
        w->prefix = false;
        w->space = space;
        if (space)
            maas_buf_add(w->out, SPACE, N_SPACE);
        else
            maas_buf_char(w->out, s.p[i]);
    }
}

static void normalize(const maas_tokenizer *t, maas_str text, bool first, maas_buf *out)
{
    const size_t from = out->n;
    spacer w = {.t = t, .out = out, .prefix = first && t->space_prefix, .space = first};
    for (size_t at = 0; at < text.n;) {
        maas_str to;
        at += maas_charsmap_next(t, (maas_str){text.p + at, text.n - at}, &to);
        put(&w, to);
    }
    if (t->last && w.left_out && out->n == from)
        maas_buf_add(out, SPACE, N_SPACE); /* there is nothing else */
    while (t->trim && !t->last && out->n >= N_SPACE &&
           memcmp(out->p + out->n - N_SPACE, SPACE, N_SPACE) == 0)
        out->n -= N_SPACE;
}

/* ---- the best way ---- */

typedef struct path { /* to a byte of the text: by its last token */
    double score;
    int32_t id; /* -1: unknown, one character */
    uint32_t from;
} path;

/* Names that have `c` at byte `depth` among those of [*lo, *hi), which agree before it. */
static void narrow(const maas_tokenizer *t, uint32_t depth, uint8_t c, uint32_t *lo, uint32_t *hi)
{
    for (int side = 0; side < 2; side++) {
        uint32_t a = *lo, b = *hi;
        while (a < b) {
            const uint32_t mid = (a + b) / 2;
            const maas_str name = t->names[t->sorted[mid]];
            const int at = name.n > depth ? (uint8_t)name.p[depth] : -1;
            if (side ? at <= c : at < c)
                a = mid + 1;
            else
                b = mid;
        }
        *(side ? hi : lo) = a;
    }
}

static void relax(path *to, double score, int32_t id, uint32_t from)
{
    if (to->from == UINT32_MAX || score > to->score)
        *to = (path){score, id, from};
}

static void extend(const maas_tokenizer *t, maas_str text, uint32_t from, path *p)
{
    uint32_t lo = 0, hi = t->n_sorted;
    const double base = p[from].score;
    const size_t n_char = maas_utf8_len(maas_span_of(text.p + from, text.n - from));
    const uint32_t step = n_char ? (uint32_t)n_char : 1;
    bool single = false;
    for (uint32_t at = from; at < text.n && lo < hi; at++) {
        narrow(t, at - from, (uint8_t)text.p[at], &lo, &hi);
        if (lo >= hi || t->names[t->sorted[lo]].n != at - from + 1)
            continue;
        relax(&p[at + 1], base + (double)t->scores[t->sorted[lo]], t->sorted[lo], from);
        single |= at + 1 - from == step;
    }
    if (!single)
        relax(&p[from + step], base + t->least - UNKNOWN_PENALTY, -1, from);
}

/* An unknown character is its bytes, if all of them are tokens; unknown ones in a row are one. */
static void put_unknown(const maas_tokenizer *t, maas_str s, bool after_unknown, maas_buf *out)
{
    bool all = true;
    for (size_t i = 0; i < s.n; i++)
        all &= t->bytes[(uint8_t)s.p[i]] >= 0;
    for (size_t i = 0; all && i < s.n; i++)
        maas_buf_add(out, &t->bytes[(uint8_t)s.p[i]], sizeof(int32_t));
    if (!all && !after_unknown)
        maas_buf_add(out, &t->unknown, sizeof t->unknown);
}

static void put_path(const maas_tokenizer *t, maas_str text, path *p, maas_buf *out)
{
    uint32_t next = UINT32_MAX; /* turn the way round: from becomes to */
    for (uint32_t at = (uint32_t)text.n;;) {
        const uint32_t from = p[at].from;
        p[at].from = next;
        next = at;
        if (at == 0)
            break;
        at = from;
    }
    bool unknown = false;
    for (uint32_t at = 0; p[at].from != UINT32_MAX; at = p[at].from) {
        const path *step = &p[p[at].from];
        const maas_str s = {text.p + at, p[at].from - at};
        if (step->id >= 0)
            maas_buf_add(out, &step->id, sizeof step->id);
        else
            put_unknown(t, s, unknown, out);
        unknown = step->id < 0;
    }
}

static maas_status cut(const maas_tokenizer *t, maas_str text, maas_buf *out, maas_err *err)
{
    if (text.n > INT32_MAX / 4)
        return maas_fail(err, MAAS_E_TOO_LARGE, "a text of %zu bytes", text.n);
    AUTO_FREE path *p = maas_alloc((text.n + 1) * sizeof *p);
    if (!p)
        return maas_fail(err, MAAS_E_NOMEM, "a text of %zu bytes", text.n);
    for (size_t i = 0; i <= text.n; i++)
        p[i] = (path){0, -1, UINT32_MAX};
    p[0].from = 0;
    for (uint32_t from = 0; from < text.n; from++)
        if (p[from].from != UINT32_MAX)
            extend(t, text, from, p);
    put_path(t, text, p, out);
    return out->failed ? maas_fail(err, MAAS_E_TOO_LARGE, "too many tokens") : MAAS_OK;
}

maas_status maas_unigram_text(const maas_tokenizer *t, maas_str text, bool first,
                              maas_merge_work *work, maas_buf *out, maas_err *err)
{
    maas_buf b = MAAS_BUF_INIT((size_t)1 << 32);
    (void)work;
    normalize(t, text, first, &b);
    maas_status st = b.failed ? maas_fail(err, MAAS_E_NOMEM, "a text of %zu bytes", text.n)
                     : b.n    ? cut(t, (maas_str){b.p, b.n}, out, err)
                              : MAAS_OK;
    maas_buf_reset(&b);
    return st;
}
