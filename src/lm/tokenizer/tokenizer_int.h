/* lm/tokenizer/tokenizer_int.h - shared by the files of this folder only. */
#ifndef MAAS_LM_TOKENIZER_INT_H
#define MAAS_LM_TOKENIZER_INT_H

#include "lm/tokenizer.h"

#define MAAS_MAX_VOCAB (1 << 22)
enum { MAAS_FILL_MARKS = 5 };

enum { /* tokenizer.ggml.token_type */
       MAAS_TOKEN_NORMAL = 1,
       MAAS_TOKEN_UNKNOWN = 2,
       MAAS_TOKEN_CONTROL = 3,
       MAAS_TOKEN_USER = 4,
       MAAS_TOKEN_UNUSED = 5,
       MAAS_TOKEN_BYTE = 6
};

/* Texts to numbers: open addressing, made once. */
typedef struct maas_token_table {
    uint32_t *slot; /* [mask + 1]: index + 1 into keys; 0: free */
    uint32_t mask;
    const maas_str *keys;
} maas_token_table;
bool maas_token_table_make(maas_token_table *t, const maas_str *keys, uint32_t n, maas_arena *a);
int32_t maas_token_table_find(const maas_token_table *t, maas_str key); /* the first of that text */

/* Two neighbours that become one. */
typedef struct maas_merge {
    int32_t left, right, to; /* tokens */
    uint32_t rank;           /* the lowest goes first */
} maas_merge;

/* Symbols of a word while they are merged: a list in an array, and what may be merged in a heap. */
typedef struct maas_symbol {
    int32_t id, prev, next; /* -1: none. id of a symbol that is merged away: -2 */
    uint32_t at, n;         /* bytes of the word */
} maas_symbol;
typedef struct maas_pending {
    float rank; /* the lowest goes first, then the leftmost */
    int32_t left, right, to;
    uint32_t n; /* bytes of both: what became of them in between is told by it */
} maas_pending;
typedef struct maas_work {
    maas_symbol *symbols;
    maas_pending *heap;
    uint32_t n_symbols, n_heap, cap; /* cap: of symbols; the heap has three times that */
} maas_merge_work;
bool maas_merge_room(maas_merge_work *w, uint32_t n);
void maas_merge_free(maas_merge_work *w);
void maas_heap_push(maas_merge_work *w, maas_pending p);
bool maas_heap_pop(maas_merge_work *w, maas_pending *out);

typedef struct maas_pre maas_pre; /* how text is cut into words (pre.c) */

/* A kind of tokenizer: a row of tokenizer.c. `text` appends the ids of a text without special
 * tokens; first: nothing but a special token came before it. */
typedef struct maas_tokenizer_kind {
    const char *name; /* tokenizer.ggml.model */
    maas_status (*read)(maas_tokenizer *t, const maas_lm_source *s, maas_err *err);
    maas_status (*text)(const maas_tokenizer *t, maas_str text, bool first, maas_merge_work *w,
                        maas_buf *out, maas_err *err);
} maas_tokenizer_kind;

struct maas_tokenizer {
    maas_arena arena;
    int32_t n;
    const maas_str *names; /* of the file */
    maas_str *pieces;      /* the bytes they stand for */
    uint8_t *types;
    float *scores; /* of SentencePiece */
    maas_token_table by_name, by_piece;
    maas_merge *merges; /* open addressing by (left, right); left -1: free */
    uint32_t merge_mask;
    int32_t bytes[256]; /* the token of a byte; -1 */
    const maas_pre *pre;
    bool fuse_unknown;                   /* unknown characters side by side are one token */
    bool nfc;                            /* text is brought to its composed form */
    bool prefix_if_missing, prefix_once; /* a blank before a text that has none; before the first */
    const maas_tokenizer_kind *kind;
    bool fold;               /* WordPiece: lower case, without accents */
    size_t max_name;         /* WordPiece: bytes of the longest */
    struct {                 /* unigram: how characters are normalized; trie NULL: they are not */
        const uint8_t *trie; /* [n_units] of four bytes */
        uint32_t n_units;
        maas_str texts;
    } map;
    int32_t *sorted; /* unigram: tokens of texts, by their names; [n_sorted] */
    uint32_t n_sorted;
    double least; /* unigram: score */
    bool trim;    /* unigram: spaces at the ends, and more than one */
    bool last;    /* of those at the end, one stays */
    bool is_bpe, begin, space_prefix, whole_words; /* whole_words: one that is a token is not cut */
    int32_t bos, eos, unknown;
    int32_t fill[MAAS_FILL_MARKS]; /* fill.c; -1: none */
    struct {                       /* what stands around texts of encoders (frame.c) */
        int32_t before[1], between[2], after[1];
        uint32_t n_before, n_between, n_after;
    } frame;
    int32_t *special; /* found in text: first by first byte, then the longest first */
    uint32_t special_from[257];
    uint8_t *edges; /* [n] MAAS_EDGE_*; NULL: none */
    uint8_t *ends;  /* [n] bits: ends a text or turn */
};

void maas_tokenizer_read_fill(maas_tokenizer *t, const maas_lm_source *s);
void maas_tokenizer_read_frame(maas_tokenizer *t, const maas_lm_source *s);

/* Whole texts, as a kind's `read` and `text`. */
maas_status maas_wordpiece_read(maas_tokenizer *t, const maas_lm_source *s, maas_err *err);
maas_status maas_wordpiece_text(const maas_tokenizer *t, maas_str text, bool first,
                                maas_merge_work *w, maas_buf *out, maas_err *err);
maas_status maas_unigram_read(maas_tokenizer *t, const maas_lm_source *s, maas_err *err);
maas_status maas_unigram_text(const maas_tokenizer *t, maas_str text, bool first,
                              maas_merge_work *w, maas_buf *out, maas_err *err);
/* The map that unigram's texts go through: how many bytes of s (at least one) become `to`. */
maas_status maas_charsmap_read(maas_tokenizer *t, const maas_lm_source *s, maas_err *err);
size_t maas_charsmap_next(const maas_tokenizer *t, maas_str s, maas_str *to);
/* A word (BPE), a text (SentencePiece): appends ids. */
maas_status maas_bpe_word(const maas_tokenizer *t, maas_str word, maas_merge_work *w, maas_buf *out,
                          maas_err *err);
/* nfc.c: the composed form of a text, appended; bytes that are no UTF-8 stay. */
bool maas_nfc_is(maas_str text); /* surely in that form */
maas_status maas_nfc(maas_str text, maas_buf *out, maas_err *err);
/* The key tokenizer.ggml.merges, with an entry for each pair that can come. */
maas_status maas_merges_read(maas_tokenizer *t, const maas_lm_source *s, maas_err *err);
const maas_merge *maas_merge_of(const maas_tokenizer *t, int32_t left, int32_t right); /* NULL */
maas_status maas_bpe_read(maas_tokenizer *t, const maas_lm_source *s, maas_err *err);
maas_status maas_spm_text(const maas_tokenizer *t, maas_str text, bool first, maas_merge_work *w,
                          maas_buf *out, maas_err *err);
maas_status maas_spm_read(maas_tokenizer *t, const maas_lm_source *s, maas_err *err);

/* pre.c: by the name in tokenizer.ggml.pre; E_UNSUPPORTED names it. Shared by everybody, made once.
 */
maas_status maas_pre_of(maas_str name, const maas_pre **out, maas_err *err);
maas_status maas_pre_split(const maas_pre *p, maas_str text,
                           maas_status (*word)(void *user, maas_str word, maas_err *err),
                           void *user, maas_err *err);
bool maas_pre_keeps_words(const maas_pre *p);
/* Patterns of a file: one of ours when it is the same, else made in the arena, with a limit to what
 * a match may cost. E_UNSUPPORTED: it has too many, or one that is no pattern. */
maas_status maas_pre_make(const maas_str *stages, uint64_t n, bool whole_words, maas_arena *a,
                          const maas_pre **out, maas_err *err);

#endif
