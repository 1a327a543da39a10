/*
 * Unicode's composed form (NFC): characters are taken apart, combining ones are put in order, and
 * what can be one character becomes one. Some tokenizers were trained on text in that form.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "lm/tokenizer/nfc.inc"
#include "lm/tokenizer/tokenizer_int.h"
#include "ops/unicode.h"
#include "base/ban.h"

/* Hangul syllables: by arithmetic. */
enum {
    SYLLABLE = 0xac00,
    LEAD = 0x1100,
    VOWEL = 0x1161,
    TAIL = 0x11a7,
    N_LEADS = 19,
    N_VOWELS = 21,
    N_TAILS = 28,
    N_SYLLABLES = N_LEADS * N_VOWELS * N_TAILS
};

typedef struct letter {
    uint32_t c;
    uint32_t at;   /* in the text, for those of one order */
    uint8_t order; /* 0: a starter */
} letter;

typedef struct letters { /* a starter and what combines with it, so far as they are read */
    letter *p;
    size_t n, cap;
} letters;

/* The row whose first number is c, or whose first two are c and d; NULL. */
static const uint32_t *find(const uint32_t (*rows)[3], size_t n, uint32_t c, uint32_t d, bool two)
{
    size_t from = 0, to = n;
    while (from < to) {
        const size_t mid = from + (to - from) / 2;
        const uint32_t *row = rows[mid];
        if (row[0] == c && (!two || row[1] == d))
            return row;
        if (row[0] < c || (row[0] == c && two && row[1] < d))
            from = mid + 1;
        else
            to = mid;
    }
    return NULL;
}

static uint8_t order_of(uint32_t c)
{
    size_t from = 0, to = MAAS_COUNT(nfc_classes);
    if (c < nfc_classes[0][0])
        return 0;
    while (from < to) {
        const size_t mid = from + (to - from) / 2;
        if (c > nfc_classes[mid][1])
            from = mid + 1;
        else
            to = mid;
    }
    return from < MAAS_COUNT(nfc_classes) && c >= nfc_classes[from][0]
               ? (uint8_t)nfc_classes[from][2]
               : 0;
}

/* ---- apart ---- */

static bool push(letters *l, uint32_t c)
{
    if (!maas_grow(&l->p, &l->cap, l->n + 1, sizeof *l->p))
        return false;
    l->p[l->n] = (letter){c, (uint32_t)l->n, order_of(c)};
    l->n++;
    return true;
}

static bool push_apart(letters *l, uint32_t c)
{
    uint32_t behind[4]; /* the second halves, the first one that comes last; none is deeper */
    size_t n = 0;
    if (c >= SYLLABLE && c < SYLLABLE + N_SYLLABLES) {
        const uint32_t i = c - SYLLABLE, tail = i % N_TAILS;
        return push(l, LEAD + i / (N_VOWELS * N_TAILS)) &&
               push(l, VOWEL + i % (N_VOWELS * N_TAILS) / N_TAILS) &&
               (!tail || push(l, TAIL + tail));
    }
    for (const uint32_t *row;
         n < MAAS_COUNT(behind) && (row = find(nfc_parts, MAAS_COUNT(nfc_parts), c, 0, false));
         c = row[1])
        if (row[2])
            behind[n++] = row[2];
    bool ok = push(l, c);
    while (ok && n)
        ok = push(l, behind[--n]);
    return ok;
}

static int by_order(const void *a, const void *b)
{
    const letter *x = a, *y = b;
    if (x->order != y->order)
        return x->order < y->order ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* Combining characters between two starters, by their classes. */
static void sort_marks(letters *l)
{
    for (size_t i = 0, end; i < l->n; i = end + 1) {
        for (end = i; end < l->n && l->p[end].order; end++)
            ;
        if (end - i > 1)
            qsort(&l->p[i], end - i, sizeof *l->p, by_order);
    }
}

/* ---- together ---- */

/* What two characters are as one; 0: they are two. */
static uint32_t composed(uint32_t a, uint32_t b)
{
    if (a >= LEAD && a < LEAD + N_LEADS && b >= VOWEL && b < VOWEL + N_VOWELS)
        return SYLLABLE + ((a - LEAD) * N_VOWELS + b - VOWEL) * N_TAILS;
    if (a >= SYLLABLE && a < SYLLABLE + N_SYLLABLES && (a - SYLLABLE) % N_TAILS == 0 && b > TAIL &&
        b < TAIL + N_TAILS)
        return a + b - TAIL;
    const uint32_t *row = find(nfc_pairs, MAAS_COUNT(nfc_pairs), a, b, true);
    return row ? row[2] : 0;
}

/* Each letter becomes one with the last starter, unless something of its class, or a starter, is
 * between them. */
static void compose(letters *l)
{
    size_t n = 0, starter = SIZE_MAX;
    for (size_t i = 0; i < l->n; i++) {
        const letter x = l->p[i];
        const bool next = starter != SIZE_MAX && n == starter + 1;
        const bool blocked = !next && (n == 0 || l->p[n - 1].order >= x.order);
        const uint32_t one = starter == SIZE_MAX || blocked ? 0 : composed(l->p[starter].c, x.c);
        if (one) {
            l->p[starter].c = one;
            continue;
        }
        if (!x.order)
            starter = n;
        l->p[n++] = x;
    }
    l->n = n;
}

static void flush(letters *l, maas_buf *out)
{
    char utf8[4];
    sort_marks(l);
    compose(l);
    for (size_t i = 0; i < l->n; i++)
        maas_buf_add(out, utf8, maas_uni_put(l->p[i].c, utf8));
    l->n = 0;
}

/* ---- a text ---- */

/* Does it begin anew, whatever was before? */
static bool begins(uint32_t c)
{
    if (c < nfc_classes[0][0])
        return true;
    for (size_t i = 0; i < MAAS_COUNT(nfc_joins); i++)
        if (nfc_joins[i] == c)
            return false;
    return order_of(c) == 0 && !(c >= VOWEL && c < VOWEL + N_VOWELS) &&
           !(c > TAIL && c < TAIL + N_TAILS);
}

bool maas_nfc_is(maas_str text)
{
    for (size_t i = 0; i < text.n; i++)
        if ((uint8_t)text.p[i] >= 0xcc) /* what is before U+0300 composes with nothing */
            return false;
    return true;
}

maas_status maas_nfc(maas_str text, maas_buf *out, maas_err *err)
{
    letters l = {0};
    bool ok = true;
    for (maas_span s = maas_span_of(text.p, text.n); s.n && ok;) {
        const size_t len = maas_utf8_len(s);
        uint32_t c = s.p[0];
        if (len)
            maas_uni_get((const char *)s.p, &c);
        if (!len || begins(c))
            flush(&l, out);
        if (len)
            ok = push_apart(&l, c);
        else
            maas_buf_add(out, s.p, 1);
        maas_span_skip(&s, len ? len : 1);
    }
    flush(&l, out);
    maas_free(l.p);
    return ok && !out->failed ? MAAS_OK
                              : maas_fail(err, MAAS_E_NOMEM, "the composed form of a text");
}
