/* lm/chat/said_int.h - between said.c, the table of families, and the forms that calls have. */
#ifndef MAAS_LM_CHAT_SAID_INT_H
#define MAAS_LM_CHAT_SAID_INT_H

#include "lm/said.h"

typedef enum said_step { SAID_MORE, SAID_DONE, SAID_BAD } said_step;

/* One step of a form: reads s->raw from s->at on as far as it can. `last`: no more bytes come.
 * DONE: s->at is behind the calls. BAD: this is no call; s->at is behind what shows it. */
typedef said_step said_form(maas_said *s, bool last);
said_form maas_said_json;   /* {"name": .., "arguments": {..}}, or a list of such */
said_form maas_said_named;  /* name SEPARATOR {..} */
said_form maas_said_tagged; /* name, then tags around each key and value */
said_form maas_said_python; /* name(key=value, ..), or a list of such */
said_form maas_said_braced; /* call:name{key:value, ..} */

typedef struct maas_said_family {
    const char *name;
    const char *signs[2]; /* texts of a chat template that show it; none: the last row */
    said_form *form;
    const char *open, *close, *quiet[2], *apart, *over;
    char bare; /* a call may also stand at the beginning, without a marker, with this letter */
    /* of answers that are several messages with heads: */
    const char *head, *body, *tail[2];
    bool numbered; /* the name of a call is functions.NAME:NUMBER */
    /* of tagged calls: */
    const char *name_end, *key_open, *key_close, *value_open, *value_close;
    uint32_t id_length;
    const char *frame, *between; /* maas_said_frame */
    const char *trigger;         /* of a call, when it is not `open` */
    const char *final;           /* maas_said_final; `body` comes then */
} maas_said_family;

/* A value of JSON, byte by byte: where it ends. */
typedef struct said_value {
    uint32_t depth;
    bool begun, in_string, escaped, scalar;
} said_value;
/* Reads n bytes at most; how many belong to the value. */
size_t maas_said_value(said_value *v, const char *p, size_t n, bool *out_done);

typedef enum said_mode { SAID_TEXT, SAID_THOUGHT, SAID_CALL, SAID_BROKEN, SAID_HEADER } said_mode;

struct maas_said {
    maas_said_opts o;
    said_mode mode;
    maas_buf raw;   /* not decided: the beginning of a marker, or a call as it is written */
    maas_buf space; /* blanks (and quiet markers) that may stand beside a marker */
    size_t from;    /* of raw: what is before is told */
    bool fresh;     /* nothing but markers so far, or since the last one */
    bool trim;      /* blanks are dropped: a marker was before */
    bool after_call;
    bool over, failed;
    bool open; /* an item is */
    maas_said_kind kind;
    uint32_t n_calls;

    /* a call (mode CALL and BROKEN) */
    said_form *form;
    size_t at;    /* of raw: what the form has read */
    size_t start; /* of raw: where the call at hand begins, its marker included */
    bool bare;
    bool announced;
    int state; /* of the form; 0 at the beginning, the rest too */
    bool in_list, any, has_name, has_args;
    int nest, key;
    size_t seek, args_from, args_to;
    said_value value;
    char name[MAAS_SAID_MAX_NAME + 1];
    maas_buf args; /* told so far: whether they are JSON is seen at the end */
};

/* said.c: an event of the item at hand; its end, when there is one. */
void maas_said_emit(maas_said *s, maas_said_what what, const char *p, size_t n, bool ok);
void maas_said_end_item(maas_said *s);

/* For forms (said_call.c). Names that are none, or that no tool has where that must be, are false.
 */
bool maas_said_announce(maas_said *s);
void maas_said_argue(maas_said *s, const char *p, size_t n);
void maas_said_called(maas_said *s); /* the call ends; s->start becomes s->at */
bool maas_said_set_name(maas_said *s, const char *p, size_t n); /* trimmed */
void maas_said_skip_blanks(maas_said *s);
/* Whether raw continues with text at s->at: -1 not enough is there to know. */
int maas_said_looking_at(const maas_said *s, const char *text, bool last);
/* Where text begins in raw, from s->at on; s->seek remembers what was searched. False: not there.
 */
bool maas_said_find(maas_said *s, const char *text, size_t *out);
void maas_said_expect_object(maas_said *s); /* the call is `named`, and its name is known */
bool maas_said_wants_text(const maas_said *s, const char *key, size_t n); /* by the tool's schema */

static inline bool maas_said_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

#endif
