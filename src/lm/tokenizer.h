/*
 * lm/tokenizer.h - text to the tokens of a model and back: byte-level BPE, SentencePiece
 * (both of its models) and WordPiece, from the keys tokenizer.ggml.* of a source.
 *
 * Text of users never becomes a special token: only text that is marked as trusted (of templates)
 * is looked through for them.
 *
 * Owns: its tables, under the budget. Borrows: the source, which must outlive it. Threads: any,
 * once created. Fails: E_UNSUPPORTED names the model or pre-tokenizer; E_FORMAT, E_TOO_LARGE,
 * E_NOMEM.
 */
#ifndef MAAS_LM_TOKENIZER_H
#define MAAS_LM_TOKENIZER_H

#include "base/buf.h"
#include "lm/source.h"

typedef struct maas_tokenizer maas_tokenizer;

maas_status maas_tokenizer_create(const maas_lm_source *s, maas_budget *budget,
                                  maas_tokenizer **out, maas_err *err);
void maas_tokenizer_destroy(maas_tokenizer *t); /* NULL is fine */

enum {
    MAAS_TOKENS_SPECIAL = 1, /* the text of special tokens becomes them: trusted text alone */
    MAAS_TOKENS_BEGIN = 2,   /* the token that begins a text goes first, where the model wants it */
    MAAS_TOKENS_END = 4      /* and the one that ends it last */
};
/* Appends int32_t ids. Work is n log n in the length of the text; bytes that are not UTF-8 are
 * taken as they are (BPE) or as byte tokens (SentencePiece). */
maas_status maas_tokenizer_encode(const maas_tokenizer *t, maas_str text, unsigned flags,
                                  maas_buf *out, maas_err *err);
/* Pieces of one text, some of them trusted: those are looked through for special tokens. */
typedef struct maas_text_piece {
    maas_str text;
    bool trusted;
} maas_text_piece;
maas_status maas_tokenizer_encode_pieces(const maas_tokenizer *t, const maas_text_piece *p,
                                         uint32_t n, unsigned flags, maas_buf *out, maas_err *err);

/* Texts as encoders take them: with the tokens that begin, part and end, where the file wants them.
 * One text, or a pair (b not NULL); `second` is where b begins. */
void maas_tokenizer_frame(const maas_tokenizer *t, const int32_t *a, uint32_t n_a, const int32_t *b,
                          uint32_t n_b, maas_buf *out, uint32_t *second);
uint32_t maas_tokenizer_n_frame(const maas_tokenizer *t, bool pair); /* tokens that adds */
/* A prompt for what is between two texts of a user. E_INVALID: the model is not made for that. */
typedef struct maas_fill_file {
    maas_str name, text; /* name: may be empty */
} maas_fill_file;
typedef struct maas_fill {
    maas_str prefix, suffix;
    maas_str begun;              /* what is there of the middle: behind the prefix, cut by itself */
    bool in_repository;          /* files stand before it, with the marks that the model has ... */
    const maas_fill_file *files; /* ... for them; there may be none */
    uint32_t n_files;
} maas_fill;
maas_status maas_tokenizer_encode_fill(const maas_tokenizer *t, const maas_fill *f, maas_buf *out,
                                       maas_err *err);

/* E_INVALID with the first token that is another one: ids of one mean nothing to the other. */
maas_status maas_tokenizer_same(const maas_tokenizer *a, const maas_tokenizer *b, maas_err *err);
int32_t maas_tokenizer_n(const maas_tokenizer *t);
/* The bytes that a token stands for, maybe a part of a character; nothing for control tokens. */
maas_str maas_tokenizer_piece(const maas_tokenizer *t, int32_t id);
maas_str maas_tokenizer_name(const maas_tokenizer *t, int32_t id);   /* as the file writes it */
int32_t maas_tokenizer_find(const maas_tokenizer *t, maas_str name); /* -1: none of that name */
bool maas_tokenizer_is_special(const maas_tokenizer *t, int32_t id); /* a control token */
bool maas_tokenizer_is_end(const maas_tokenizer *t, int32_t id);     /* of a text or of a turn */
int32_t maas_tokenizer_bos(const maas_tokenizer *t);                 /* -1: none */
int32_t maas_tokenizer_eos(const maas_tokenizer *t);                 /* -1: none */
/* The text of ids; `special`: with the names of control tokens. */
void maas_tokenizer_decode(const maas_tokenizer *t, const int32_t *ids, uint32_t n, bool special,
                           maas_buf *out);

#endif
