/*
 * ops/text.h - from a text to its n-grams, as scikit-learn's CountVectorizer takes them apart:
 *
 *   text -> lower case -> accents stripped -> tokens of a pattern, without stop words -> n-grams
 *                                          \-> characters, blanks collapsed           -> n-grams
 *
 * Patterns are those that say "a run of characters of one class": [\b] class... [\b] with the last
 * class repeated, such as \b\w\w+\b, \w{3,}, [a-zA-Z]+, [^\W\d_]+, \S+. Anything else is refused
 * when the pattern is compiled: nothing here backtracks, time is linear in the text.
 *
 * Owns: a maas_text_work holds its buffers. Threads: a compiled maas_text is read-only, a work one
 * at a time. Fails: E_UNSUPPORTED names the pattern; E_INVALID for text that is not UTF-8;
 * E_TOO_LARGE above MAAS_MAX_TEXT_BYTES; E_NOMEM.
 */
#ifndef MAAS_OPS_TEXT_H
#define MAAS_OPS_TEXT_H

#include "base/buf.h"
#include "tensor/tensor.h"

#define MAAS_TEXT_MAX_NGRAM 16

typedef enum maas_text_analyzer {
    MAAS_TEXT_WORD,
    MAAS_TEXT_CHAR,
    MAAS_TEXT_CHAR_WB /* characters within words, which have blanks around them */
} maas_text_analyzer;

typedef enum maas_text_accents {
    MAAS_TEXT_KEEP,
    MAAS_TEXT_ASCII,  /* decomposed, then ASCII alone */
    MAAS_TEXT_UNICODE /* decomposed, then all but combining characters */
} maas_text_accents;

/* The characters of a token, and how a token begins and ends. */
typedef struct maas_text_pattern {
    uint64_t ascii[2]; /* a bit a character */
    uint32_t sets;     /* above ASCII: bits of text_pattern.c */
    bool negated;      /* above ASCII: not of the sets */
    bool begins, ends; /* \b */
    uint32_t min;      /* characters */
} maas_text_pattern;

typedef struct maas_text {
    maas_text_analyzer analyzer;
    maas_text_accents accents;
    bool lower;
    int min_n, max_n;          /* 1 <= min_n <= max_n <= MAAS_TEXT_MAX_NGRAM */
    maas_text_pattern pattern; /* WORD */
    const maas_str *stop;      /* [n_stop], sorted by bytes */
    uint32_t n_stop;
} maas_text;

/* "(?u)\\b\\w\\w+\\b" and its like (text_pattern.c). */
maas_status maas_text_pattern_compile(maas_str regex, maas_text_pattern *out, maas_err *err);
bool maas_text_pattern_has(const maas_text_pattern *p, uint32_t c);

/* An n-gram is its pieces with a blank between them; n <= MAAS_TEXT_MAX_NGRAM. */
typedef void (*maas_text_fn)(void *user, const maas_str *pieces, int n);

typedef struct maas_text_work {
    maas_buf text, words; /* text as it is taken apart; words: with blanks, for characters */
} maas_text_work;
void maas_text_work_init(maas_text_work *w);
void maas_text_work_reset(maas_text_work *w);
maas_status maas_text_ngrams(const maas_text *t, maas_str document, maas_text_work *w,
                             maas_text_fn fn, void *user, maas_err *err);

/* Where pieces, joined by blanks, stand in a sorted list of texts; -1. */
int64_t maas_text_find(const maas_str *sorted, uint32_t n, const maas_str *pieces, int n_pieces);
/* Bytes as in memcmp, the shorter first: the order of Python's str. */
int maas_text_compare(maas_str a, maas_str b);
/* MurmurHash3 x86 32, seed 0, of pieces joined by blanks. */
int32_t maas_text_murmur3(const maas_str *pieces, int n_pieces);

#endif
