/*
 * lm/said.h - what a language model says, taken apart while it says it: text for the reader,
 * reasoning, calls of tools.
 *
 * An answer is a row of items; each begins, grows and ends before the next one begins. Text is told
 * as soon as it can no longer be the beginning of a marker; a call is announced when its name is
 * known, its arguments follow as they come. What looks like a call and is none is content, byte for
 * byte: nothing a model says is lost but markers and the blanks beside them.
 *
 * How a model writes is its style: a family (a row of chat/said_table.c), chosen by what its chat
 * template and its vocabulary say. A marker that is a control token of the vocabulary is that token
 * alone; the same letters are text.
 *
 * Owns: what is held back, MAAS_SAID_MAX_HELD bytes at most. Borrows: the style, the tools.
 * Threads: one at a time. Fails: false, when memory runs out.
 */
#ifndef MAAS_LM_SAID_H
#define MAAS_LM_SAID_H

#include <jansson.h>

#include "lm/tokenizer.h"

enum { MAAS_SAID_MAX_CALLS = 128, MAAS_SAID_MAX_NAME = 128, MAAS_SAID_MARKERS = 12 };
#define MAAS_SAID_MAX_HELD ((size_t)8 << 20)

typedef enum maas_said_role {
    MAAS_SAID_THINK, /* reasoning begins ... */
    MAAS_SAID_THOUGHT,
    MAAS_SAID_OPEN, /* a call, or a list of them */
    MAAS_SAID_CLOSE,
    MAAS_SAID_QUIET, /* stands around calls and says nothing */
    MAAS_SAID_APART, /* within a call */
    MAAS_SAID_OVER,  /* the model waits for the answers of tools */
    MAAS_SAID_HEAD,  /* a message begins: its head says what it is ... */
    MAAS_SAID_BODY,
    MAAS_SAID_TAIL /* ... and it ends */
} maas_said_role;

typedef struct maas_said_marker {
    maas_str text;
    maas_said_role role;
    bool control; /* a control token of the vocabulary */
} maas_said_marker;

typedef struct maas_said_style {
    const struct maas_said_family *family;
    maas_said_marker markers[MAAS_SAID_MARKERS];
    uint32_t n;
} maas_said_style;

/* t: NULL where there is no vocabulary. */
void maas_said_style_of(maas_str chat_template, const maas_tokenizer *t, maas_said_style *out);
/* The same without a family: <tool_call>{..}</tool_call>, or the object alone. */
void maas_said_style_plain(const maas_tokenizer *t, maas_said_style *y);
const char *maas_said_family_name(const maas_said_style *y);
/* Of an identifier of a call: as many letters and digits as templates of the family want; 0: any.
 */
uint32_t maas_said_id_length(const maas_said_style *y);
/* How a call is written: '\1' stands for the name, '\2' for the arguments; and what is between two
 * calls. NULL: the arguments of the family are no JSON. */
const char *maas_said_frame(const maas_said_style *y, const char **between);
/* Where a call begins in an answer, and what comes then: a text of maas_said_frame, or its end. */
typedef struct maas_said_trigger {
    maas_str text;
    bool at_start; /* a letter, which begins a call only where nothing but blanks was before it */
    maas_str rest; /* with '\1' and '\2' */
} maas_said_trigger;
/* Trigger i; false: there are no more. NULL frames have none. */
bool maas_said_trigger_of(const maas_said_style *y, uint32_t i, maas_said_trigger *out);
/* What comes right before the part of an answer that is for the reader, where answers are several
 * messages: the end of a head, and what ends it. NULL: any text is for the reader. */
const char *maas_said_final(const maas_said_style *y, const char **then);
/* A prompt that ends so has begun the reasoning; or is through with it. */
bool maas_said_begins_thought(const maas_said_style *y, maas_str end_of_prompt);
bool maas_said_ends_thought(const maas_said_style *y, maas_str end_of_prompt);

typedef enum maas_said_kind {
    MAAS_SAID_CONTENT,
    MAAS_SAID_REASONING,
    MAAS_SAID_CALL
} maas_said_kind;
typedef enum maas_said_what { MAAS_SAID_BEGIN, MAAS_SAID_MORE, MAAS_SAID_END } maas_said_what;

typedef struct maas_said_event { /* what it points to lives during the call */
    maas_said_what what;
    maas_said_kind kind;
    maas_str text; /* BEGIN of a call: the name. MORE: what is added. END of a call: as written */
    bool ok;       /* END of a call: the arguments are an object of JSON, and whole */
} maas_said_event;
typedef void maas_said_on(void *user, const maas_said_event *ev);

typedef struct maas_said_opts {
    const maas_said_style *style; /* NULL: all is content */
    const json_t *tools;          /* as OpenAI writes them; NULL: calls are not looked for */
    bool in_thought;              /* the prompt has begun the reasoning */
    uint32_t max_calls;           /* 0: MAAS_SAID_MAX_CALLS */
    maas_said_on *on;
    void *user;
} maas_said_opts;

typedef struct maas_said maas_said;
maas_said *maas_said_create(const maas_said_opts *o); /* NULL: no memory */
void maas_said_destroy(maas_said *s);                 /* NULL is fine */
bool maas_said_text(maas_said *s, maas_str text);
bool maas_said_control(maas_said *s, maas_str name); /* a control token, which is no text */
bool maas_said_finish(maas_said *s);                 /* once, at the end */
bool maas_said_in_thought(const maas_said *s);
bool maas_said_is_over(const maas_said *s); /* nothing more is wanted of the model */

#endif
