/*
 * lm/grammar.h - what an answer may look like: GBNF, JSON schemas, regular expressions and plain
 * texts, compiled to one automaton over bytes, and the tokens that it allows next.
 *
 * A grammar is made for a vocabulary, counted, and does not change what it accepts. What it has
 * found out (states, masks) is kept in it within a bound, so that requests with the same grammar
 * are served from it.
 *
 * Owns: its automaton and what it remembers, under the budget. Borrows: texts and schemas, during
 * the call. Threads: create, ref and unref from any; matchers of one grammar on one thread at a
 * time. Fails: E_INVALID names the place (line and column, JSON pointer, offset) and what is wrong;
 * E_UNSUPPORTED what a schema or pattern asks for that is not known; E_TOO_LARGE a bound; E_NOMEM.
 */
#ifndef MAAS_LM_GRAMMAR_H
#define MAAS_LM_GRAMMAR_H

#include <jansson.h>

#include "lm/tokenizer.h"

/* ---- the bytes of all tokens, as a tree; made once for a model ---- */
typedef struct maas_vocab maas_vocab;
/* n_logits: of the model, which may have more than the tokenizer has names. Borrows t. */
maas_status maas_vocab_create(const maas_tokenizer *t, int32_t n_logits, maas_budget *budget,
                              maas_vocab **out, maas_err *err);
/* pieces: [n] the bytes of tokens, empty for those that are never allowed; ends: [n] those that end
 * an answer. */
maas_status maas_vocab_of_pieces(const maas_str *pieces, const bool *ends, int32_t n,
                                 maas_budget *budget, maas_vocab **out, maas_err *err);
maas_vocab *maas_vocab_ref(maas_vocab *v);
void maas_vocab_unref(maas_vocab *v); /* NULL is fine */

/* ---- grammars ---- */
typedef enum maas_grammar_kind {
    MAAS_GRAMMAR_TEXT,   /* `text` itself                                            */
    MAAS_GRAMMAR_GBNF,   /* `text`: rules, of which `root` is the beginning          */
    MAAS_GRAMMAR_REGEX,  /* `text`: all that is written must match                   */
    MAAS_GRAMMAR_SCHEMA, /* `json`: a JSON schema                                    */
    MAAS_GRAMMAR_JSON,   /* any JSON object                                          */
    MAAS_GRAMMAR_FREE,   /* anything up to the first `until`, and some blanks after it; with a
                            `text`: nothing at all, or that text and then the same   */
    MAAS_GRAMMAR_OR      /* what came since the last OR, or what comes until the next */
} maas_grammar_kind;

typedef struct maas_grammar_part {
    maas_grammar_kind kind;
    maas_str text, until;
    const json_t *json;
} maas_grammar_part;

/* Before the name of a control token in a text of parts and triggers: the token, not its letters. A
 * byte that no text has. Control tokens fit there, and where anything fits. */
#define MAAS_GRAMMAR_CONTROL "\xff"

/* What must come once a text was written. */
typedef struct maas_grammar_trigger {
    maas_str text;
    bool at_start; /* `text` is a letter, and triggers only where nothing but blanks was before it:
                      at the beginning, or since a trigger's parts ended */
    const maas_grammar_part *parts; /* as those of a spec, without times; FREE may end the answer */
    uint32_t n_parts;
} maas_grammar_trigger;

enum { MAAS_GRAMMAR_MAX_TRIGGERS = 8 };

/* A sequence of parts, or several with OR between them: {TEXT "<call>"}, {SCHEMA s}, {OR}, ... */
typedef struct maas_grammar_spec {
    const maas_grammar_part *lead; /* before all else, FREE among them: reasoning */
    uint32_t n_lead;
    const maas_grammar_part *parts;
    uint32_t n_parts;
    uint32_t max_times; /* the whole may come up to so often; 0: once */
    maas_str between;   /* the text between two of them */
    /* Instead of parts: the answer is free, and may end anywhere but in what a trigger asks for. */
    const maas_grammar_trigger *triggers;
    uint32_t n_triggers;
} maas_grammar_spec;

/* The keywords of schemas that are known, one after the other; NULL: no more. */
const char *maas_grammar_schema_keyword(size_t i);

typedef struct maas_grammar maas_grammar;
/* budget: of its memory; may be NULL, and must outlive it. */
maas_status maas_grammar_create(const maas_grammar_spec *spec, maas_vocab *v, maas_budget *budget,
                                maas_grammar **out, maas_err *err);
maas_grammar *maas_grammar_ref(maas_grammar *g);
void maas_grammar_unref(maas_grammar *g);             /* NULL is fine */
int32_t maas_grammar_n_logits(const maas_grammar *g); /* of its vocabulary */
size_t maas_grammar_bytes(const maas_grammar *g);

/* ---- one answer on its way ---- */
typedef struct maas_matcher maas_matcher;
maas_status maas_matcher_create(maas_grammar *g, maas_matcher **out, maas_err *err); /* counts g */
void maas_matcher_destroy(maas_matcher *m); /* NULL is fine */
/* Of an end token: may the answer end here? */
maas_status maas_matcher_allows(maas_matcher *m, int32_t token, bool *out, maas_err *err);
/* Bits of the tokens that may come next, [(n_logits + 31) / 32]; until the next call on a matcher
 * of this grammar. *out_n: how many. */
maas_status maas_matcher_mask(maas_matcher *m, const uint32_t **out, uint32_t *out_n,
                              maas_err *err);
/* The token was written; it must be one that is allowed (E_INVALID: nothing changes). */
maas_status maas_matcher_accept(maas_matcher *m, int32_t token, maas_err *err);
/* The same for bytes; *out_n: how many of them fit. */
maas_status maas_matcher_accept_text(maas_matcher *m, maas_str text, size_t *out_n, maas_err *err);
bool maas_matcher_may_end(const maas_matcher *m);
bool maas_matcher_must_end(const maas_matcher *m); /* it may, and nothing else can come */

#endif
