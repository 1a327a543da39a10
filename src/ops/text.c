#include "ops/text.h"

#include "base/limits.h"
#include "base/utf8.h"
#include "ops/unicode.h"

#include "base/ban.h"

#define SIGMA       0x3a3u
#define FINAL_SIGMA 0x3c2u
#define DOT_ABOVE   0x307u

void maas_text_work_init(maas_text_work *w)
{
    *w = (maas_text_work){.text = {.max = MAAS_MAX_TEXT_BYTES},
                          .words = {.max = MAAS_MAX_TEXT_BYTES}};
}

void maas_text_work_reset(maas_text_work *w)
{
    maas_buf_reset(&w->text);
    maas_buf_reset(&w->words);
}

static bool next(maas_str *s, uint32_t *out)
{
    if (!s->n)
        return false;
    const size_t n = maas_uni_get(s->p, out);
    s->p += n;
    s->n -= n;
    return true;
}

/* ---- lower case and accents ---- */

/* The first character to the left of `at` that is not looked through has a case. */
static bool cased_before(const char *start, const char *at)
{
    while (at > start) {
        uint32_t c;
        do
            at--;
        while (at > start && (*at & 0xc0) == 0x80);
        maas_uni_get(at, &c);
        if (!maas_uni_is_ignorable(c))
            return maas_uni_is_cased(c);
    }
    return false;
}

static bool cased_after(maas_str rest)
{
    uint32_t c;
    while (next(&rest, &c))
        if (!maas_uni_is_ignorable(c))
            return maas_uni_is_cased(c);
    return false;
}

static void put(const maas_text *t, maas_buf *out, uint32_t c)
{
    uint32_t to[MAAS_UNI_MAX_STRIPPED] = {c};
    const int n = t->accents == MAAS_TEXT_KEEP ? 1 : maas_uni_strip(c, to);
    for (int i = 0; i < n; i++) {
        char bytes[4];
        if (t->accents != MAAS_TEXT_ASCII || to[i] < 128)
            maas_buf_add(out, bytes, maas_uni_put(to[i], bytes));
    }
}

static void normalize(const maas_text *t, maas_str document, maas_buf *out)
{
    maas_str rest = document;
    uint32_t c;
    for (const char *at = rest.p; next(&rest, &c); at = rest.p) {
        if (c < 128) {
            maas_buf_char(out, (char)(t->lower ? maas_uni_lower(c) : c));
            continue;
        }
        if (t->lower && c == SIGMA && cased_before(document.p, at) && !cased_after(rest))
            put(t, out, FINAL_SIGMA);
        else
            put(t, out, t->lower ? maas_uni_lower(c) : c);
        if (t->lower && c == 0x130)
            put(t, out, DOT_ABOVE);
    }
}

/* ---- words ---- */

int maas_text_compare(maas_str a, maas_str b)
{
    const size_t n = a.n < b.n ? a.n : b.n;
    const int order = n ? memcmp(a.p, b.p, n) : 0;
    return order ? order : a.n < b.n ? -1 : a.n > b.n;
}

/* Pieces with a blank between them against one text. */
static int compare_joined(const maas_str *pieces, int n_pieces, maas_str b)
{
    static const maas_str blank = {" ", 1};
    for (int i = 0; i < 2 * n_pieces - 1; i++) {
        const maas_str a = i % 2 ? blank : pieces[i / 2];
        const size_t n = a.n < b.n ? a.n : b.n;
        const int order = n ? memcmp(a.p, b.p, n) : 0;
        if (order || n < a.n)
            return order ? order : 1;
        b.p += n;
        b.n -= n;
    }
    return b.n ? -1 : 0;
}

int64_t maas_text_find(const maas_str *sorted, uint32_t n, const maas_str *pieces, int n_pieces)
{
    uint32_t lo = 0, hi = n;
    while (lo < hi) {
        const uint32_t mid = lo + (hi - lo) / 2;
        const int order = compare_joined(pieces, n_pieces, sorted[mid]);
        if (order == 0)
            return mid;
        if (order > 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return -1;
}

/* The last max_n words, newest last. */
typedef struct window {
    const maas_text *t;
    maas_text_fn fn;
    void *user;
    int n;
    maas_str words[MAAS_TEXT_MAX_NGRAM];
} window;

static void take_word(window *w, maas_str word)
{
    const maas_text *t = w->t;
    if (t->n_stop && maas_text_find(t->stop, t->n_stop, &word, 1) >= 0)
        return;
    if (w->n == t->max_n)
        memmove(w->words, w->words + 1, (size_t)--w->n * sizeof *w->words);
    w->words[w->n++] = word;
    for (int n = t->min_n; n <= w->n; n++)
        w->fn(w->user, w->words + w->n - n, n);
}

/* Maximal runs of the pattern's class, long enough and with word boundaries where it says so. */
static void take_words(window *w, maas_str text)
{
    const maas_text_pattern *p = &w->t->pattern;
    maas_str rest = text;
    bool after_word = false; /* what stands before the run is a word character */
    uint32_t c;
    for (const char *at = rest.p; next(&rest, &c); at = rest.p) {
        if (!maas_text_pattern_has(p, c)) {
            after_word = maas_uni_is_word(c);
            continue;
        }
        const char *start = at;
        uint32_t length = 0;
        bool more = true;
        do {
            length++;
            at = rest.p;
        } while ((more = next(&rest, &c)) && maas_text_pattern_has(p, c));
        const bool before_word = more && maas_uni_is_word(c);
        if (length >= p->min && !(p->begins && after_word) && !(p->ends && before_word))
            take_word(w, (maas_str){start, (size_t)(at - start)});
        after_word = before_word;
    }
}

/* ---- characters ---- */

static uint32_t n_characters(maas_str text)
{
    uint32_t n = 0, c;
    while (next(&text, &c))
        n++;
    return n;
}

/* All runs of n characters of a text that has as many. */
static void take_runs(maas_str text, int n, maas_text_fn fn, void *user)
{
    maas_str start = text, end = text;
    uint32_t c;
    for (int i = 0; i < n - 1; i++)
        next(&end, &c);
    while (next(&end, &c)) {
        const maas_str run = {start.p, (size_t)(end.p - start.p)};
        fn(user, &run, 1);
        next(&start, &c);
    }
}

static void take_characters(const maas_text *t, maas_str text, maas_text_fn fn, void *user)
{
    const uint32_t length = n_characters(text);
    for (int n = t->min_n; n <= t->max_n && (uint32_t)n <= length; n++)
        take_runs(text, n, fn, user);
}

/* n-grams of one word with its blanks; what is not longer than n counts once, whole. */
static void take_padded(const maas_text *t, maas_str word, maas_text_fn fn, void *user)
{
    const uint32_t length = n_characters(word);
    for (int n = t->min_n; n <= t->max_n; n++) {
        if ((uint32_t)n >= length) {
            fn(user, &word, 1);
            return;
        }
        take_runs(word, n, fn, user);
    }
}

/* Two or more blanks become one; a single one stays what it is. */
static void collapse(maas_str text, maas_buf *out)
{
    maas_str rest = text;
    uint32_t c;
    for (const char *at = rest.p; next(&rest, &c); at = rest.p) {
        if (!maas_uni_is_space(c)) {
            maas_buf_add(out, at, (size_t)(rest.p - at));
            continue;
        }
        maas_str ahead = rest;
        bool many = false;
        while (next(&ahead, &c) && maas_uni_is_space(c)) {
            rest = ahead;
            many = true;
        }
        if (many)
            maas_buf_char(out, ' ');
        else
            maas_buf_add(out, at, (size_t)(rest.p - at));
    }
}

static maas_status too_large(maas_err *err)
{
    return maas_fail(err, MAAS_E_TOO_LARGE, "a text needs more than %u bytes of memory",
                     MAAS_MAX_TEXT_BYTES);
}

/* Words are what stands between blanks, as str.split() has it. */
static maas_status take_within_words(const maas_text *t, maas_str text, maas_text_work *w,
                                     maas_text_fn fn, void *user, maas_err *err)
{
    maas_str rest = text;
    const char *start = NULL;
    uint32_t c;
    for (bool more = true; more;) {
        const char *at = rest.p;
        more = next(&rest, &c);
        if (more && !maas_uni_is_space(c)) {
            start = start ? start : at;
            continue;
        }
        if (!start)
            continue;
        maas_buf_clear(&w->words);
        maas_buf_char(&w->words, ' ');
        maas_buf_add(&w->words, start, (size_t)(at - start));
        maas_buf_char(&w->words, ' ');
        if (w->words.failed)
            return too_large(err);
        take_padded(t, (maas_str){w->words.p, w->words.n}, fn, user);
        start = NULL;
    }
    return MAAS_OK;
}

maas_status maas_text_ngrams(const maas_text *t, maas_str document, maas_text_work *w,
                             maas_text_fn fn, void *user, maas_err *err)
{
    if (!maas_utf8_valid(maas_span_of(document.p, document.n)))
        return maas_fail(err, MAAS_E_INVALID, "the text is not UTF-8");
    maas_buf_clear(&w->text);
    normalize(t, document, &w->text);
    if (w->text.failed)
        return too_large(err);
    maas_str text = {w->text.p, w->text.n};
    if (t->analyzer == MAAS_TEXT_WORD) {
        window words = {.t = t, .fn = fn, .user = user};
        take_words(&words, text);
        return MAAS_OK;
    }
    if (t->analyzer == MAAS_TEXT_CHAR_WB)
        return take_within_words(t, text, w, fn, user, err);
    maas_buf_clear(&w->words);
    collapse(text, &w->words);
    if (w->words.failed)
        return too_large(err);
    take_characters(t, (maas_str){w->words.p, w->words.n}, fn, user);
    return MAAS_OK;
}

/* ---- MurmurHash3 (Austin Appleby, public domain): x86, 32 bits, in pieces ---- */

typedef struct murmur {
    uint32_t h, block, n; /* n bytes so far, n % 4 of them wait in block */
} murmur;

static uint32_t rotate(uint32_t x, int by)
{
    return x << by | x >> (32 - by);
}

static uint32_t scramble(uint32_t k)
{
    return rotate(k * 0xcc9e2d51u, 15) * 0x1b873593u;
}

static void murmur_add(murmur *m, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        m->block |= (uint32_t)(uint8_t)p[i] << 8 * (m->n % 4);
        if (++m->n % 4 == 0) {
            m->h = rotate(m->h ^ scramble(m->block), 13) * 5 + 0xe6546b64u;
            m->block = 0;
        }
    }
}

int32_t maas_text_murmur3(const maas_str *pieces, int n_pieces)
{
    murmur m = {0};
    for (int i = 0; i < n_pieces; i++) {
        if (i)
            murmur_add(&m, " ", 1);
        murmur_add(&m, pieces[i].p, pieces[i].n);
    }
    uint32_t h = m.h ^ (m.n % 4 ? scramble(m.block) : 0) ^ m.n;
    h = (h ^ h >> 16) * 0x85ebca6bu;
    h = (h ^ h >> 13) * 0xc2b2ae35u;
    return (int32_t)(h ^ h >> 16);
}
