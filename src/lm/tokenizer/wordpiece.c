/*
 * WordPiece: text is cleaned, cut into words at spaces and around punctuation and ideographs, and
 * each word is the longest tokens that it begins with; a word that is not all tokens is one unknown
 * token. Files write the tokens that begin a word with U+2581 before them, the others bare.
 */
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "lm/tokenizer/tokenizer_int.h"
#include "lm/tokenizer/wordpiece.inc"
#include "ops/unicode.h"
#include "base/ban.h"

#define BEGIN "\xe2\x96\x81" /* U+2581 */
enum { N_BEGIN = 3, MAX_CHARS = 100, MAX_PLAIN = 4 };

/* ---- reading ---- */

static bool begins_word(maas_str name)
{
    return name.n >= N_BEGIN && memcmp(name.p, BEGIN, N_BEGIN) == 0;
}

static bool has_capital(maas_str name)
{
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] >= 'A' && name.p[i] <= 'Z')
            return true;
    return false;
}

/* What the token stands for: a space, where it begins a word. */
static maas_status read_piece(maas_tokenizer *t, int32_t i, maas_err *err)
{
    const maas_str name = t->names[i];
    const bool begins = begins_word(name);
    const size_t skip = begins ? N_BEGIN : 0;
    char *p = maas_arena_alloc(&t->arena, name.n + 1);
    if (!p)
        return maas_fail(err, MAAS_E_NOMEM, "the vocabulary");
    p[0] = ' ';
    memcpy(p + begins, name.p + skip, name.n - skip);
    t->pieces[i] = (maas_str){p, begins + name.n - skip};
    return MAAS_OK;
}

maas_status maas_wordpiece_read(maas_tokenizer *t, const maas_lm_source *s, maas_err *err)
{
    bool any_begins = false;
    t->fold = true;
    for (int32_t i = 0; i < t->n; i++) {
        const bool normal = t->types[i] == MAAS_TOKEN_NORMAL;
        any_begins |= normal && begins_word(t->names[i]);
        t->fold &= !normal || !begins_word(t->names[i]) || !has_capital(t->names[i]);
        t->max_name = t->names[i].n > t->max_name ? t->names[i].n : t->max_name;
        MAAS_TRY(read_piece(t, i, err));
    }
    maas_lm_bool(s, "tokenizer.ggml.normalizer.lowercase", &t->fold);
    if (!any_begins)
        return maas_fail(err, MAAS_E_FORMAT,
                         "no token of tokenizer.ggml.tokens begins a word (with U+2581)");
    if (t->unknown < 0)
        t->unknown = maas_tokenizer_find(t, (maas_str){"[UNK]", 5});
    if (t->unknown < 0)
        return maas_fail(err, MAAS_E_FORMAT, "tokenizer.ggml.unknown_token_id is missing");
    return MAAS_OK;
}

/* ---- characters ---- */

static bool in_ranges(const uint32_t (*ranges)[2], size_t n, uint32_t c)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        const size_t mid = (lo + hi) / 2;
        if (c > ranges[mid][1])
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n && c >= ranges[lo][0];
}
#define IN(table, c) in_ranges(table, MAAS_COUNT(table), c)

static bool is_space(uint32_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

/* Ideographs, which are words of one character. The blocks are those of the models' maker. */
static bool is_ideograph(uint32_t c)
{
    return (c >= 0x3400 && c <= 0x4dbf) || (c >= 0x4e00 && c <= 0x9fff) ||
           (c >= 0xf900 && c <= 0xfaff) || (c >= 0x20000 && c <= 0x2a6df) ||
           (c >= 0x2a700 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) ||
           (c >= 0x2f800 && c <= 0x2fa1f);
}

static bool is_punct(uint32_t c)
{
    if (c < 0x80)
        return c > ' ' && c < 0x7f && !(c >= '0' && c <= '9') &&
               !((c | 32) >= 'a' && (c | 32) <= 'z');
    return IN(wordpiece_punct, c);
}

/* Hangul syllables are decomposed by arithmetic (Unicode, section 3.12). */
static int plain_hangul(uint32_t c, uint32_t *out)
{
    const uint32_t s = c - 0xac00;
    out[0] = 0x1100 + s / 588;
    out[1] = 0x1161 + s % 588 / 28;
    out[2] = 0x11a7 + s % 28;
    return s % 28 ? 3 : 2;
}

/* Decomposed, without accents, in lower case; how many characters that is. */
static int plain(uint32_t c, uint32_t out[MAX_PLAIN])
{
    out[0] = maas_uni_lower(c);
    if (c < 0x80)
        return 1;
    if (c >= 0xac00 && c < 0xac00 + 11172)
        return plain_hangul(c, out);
    if (IN(wordpiece_mark, c))
        return 0;
    size_t lo = 0, hi = MAAS_COUNT(wordpiece_plain);
    while (lo < hi) {
        const size_t mid = (lo + hi) / 2;
        if (c > wordpiece_plain[mid].c)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == MAAS_COUNT(wordpiece_plain) || wordpiece_plain[lo].c != c)
        return 1;
    for (int i = 0; i < wordpiece_plain[lo].n; i++)
        out[i] = wordpiece_plain_to[wordpiece_plain[lo].at + i];
    return wordpiece_plain[lo].n;
}

/* ---- a word ---- */

typedef struct word {
    const maas_tokenizer *t;
    maas_buf *out;
    uint32_t n_chars; /* those past MAX_CHARS are counted, not kept */
    size_t n;
    char text[N_BEGIN + MAX_CHARS * 4]; /* begins with BEGIN */
} word;

/* The longest token at text[at..]; -1. `at` 0: with the mark of a beginning. */
static int32_t longest(const word *w, size_t at, size_t *end)
{
    const size_t most = at + w->t->max_name < w->n ? at + w->t->max_name : w->n;
    for (size_t to = most; to > (at ? at : N_BEGIN); to--) {
        if (to < w->n && (w->text[to] & 0xc0) == 0x80)
            continue; /* within a character */
        const int32_t id = maas_token_table_find(&w->t->by_name, (maas_str){w->text + at, to - at});
        if (id >= 0 && w->t->types[id] == MAAS_TOKEN_NORMAL) {
            *end = to;
            return id;
        }
    }
    return -1;
}

static void end_word(word *w)
{
    const size_t before = w->out->n;
    bool known = w->n_chars <= MAX_CHARS;
    for (size_t at = 0; known && w->n_chars && at < w->n;) {
        const int32_t id = longest(w, at, &at);
        if ((known = id >= 0))
            maas_buf_add(w->out, &id, sizeof id);
    }
    if (!known && !w->out->failed) {
        w->out->n = before;
        maas_buf_add(w->out, &w->t->unknown, sizeof w->t->unknown);
    }
    w->n_chars = 0;
    w->n = N_BEGIN;
}

static void put_char(word *w, uint32_t c)
{
    const bool alone = is_punct(c);
    if (alone)
        end_word(w);
    if (w->n_chars++ < MAX_CHARS)
        w->n += maas_uni_put(c, w->text + w->n);
    if (alone)
        end_word(w);
}

maas_status maas_wordpiece_text(const maas_tokenizer *t, maas_str text, bool first,
                                maas_merge_work *work, maas_buf *out, maas_err *err)
{
    (void)first;
    (void)work;
    word w = {.t = t, .out = out, .n = N_BEGIN};
    memcpy(w.text, BEGIN, N_BEGIN);
    for (maas_span s = maas_span_of(text.p, text.n); s.n;) {
        uint32_t c = 0, to[MAX_PLAIN];
        const size_t len = maas_utf8_len(s);
        if (len)
            maas_uni_get((const char *)s.p, &c);
        maas_span_skip(&s, len ? len : 1); /* what is no character is taken out, too */
        if (!len || IN(wordpiece_dropped, c))
            continue;
        if (is_space(c)) {
            end_word(&w);
            continue;
        }
        const bool alone = is_ideograph(c);
        const int n = t->fold ? plain(c, to) : (to[0] = c, 1);
        if (alone)
            end_word(&w);
        for (int i = 0; i < n; i++)
            put_char(&w, to[i]);
        if (alone)
            end_word(&w);
    }
    end_word(&w);
    return out->failed ? maas_fail(err, MAAS_E_TOO_LARGE, "too many tokens") : MAAS_OK;
}
