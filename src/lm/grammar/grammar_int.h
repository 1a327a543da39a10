/*
 * lm/grammar/grammar_int.h - shared by the files of this folder only: the tree that texts and
 * schemas become, the program that the tree becomes, and what is found out while it runs.
 */
#ifndef MAAS_LM_GRAMMAR_INT_H
#define MAAS_LM_GRAMMAR_INT_H

#include <stdatomic.h>

#include "lm/grammar.h"

/* ---- bounds of one grammar ---- */
enum {
    GRAM_MAX_TEXT = 1 << 20,   /* bytes of GBNF, of a pattern, of a schema's texts  */
    GRAM_MAX_NODES = 1 << 20,  /* of the tree                                       */
    GRAM_MAX_RULES = 1 << 16,  /* named or made                                     */
    GRAM_MAX_STATES = 1 << 19, /* of the program                                    */
    GRAM_MAX_SETS = 1 << 13,   /* different sets of bytes                           */
    GRAM_MAX_REPEAT = 100000,  /* {m,n}                                             */
    GRAM_MAX_NEST = 128,       /* brackets in a text                                */
    GRAM_MAX_TREE = 1024,      /* depth of the tree                                 */
    GRAM_MAX_STACK = 1024,     /* rules within rules while it runs: deeper is not allowed */
    GRAM_MAX_STEPS = 1 << 22   /* of one question to a matcher                      */
};
#define GRAM_SOFT_BYTES ((size_t)16 << 20) /* remembered: above, all but what is in use goes */
#define GRAM_HARD_BYTES ((size_t)96 << 20) /* of one question */
#define GRAM_MASK_BYTES ((size_t)8 << 20)  /* masks kept */
#define GRAM_MAX_CODE   0x10ffffu
#define GRAM_ENDLESS    UINT32_MAX

/* ---- numbers of things, by what the things are (table.c) ---- */
typedef struct gram_table {
    struct gram_slot {
        uint32_t number, hash; /* number + 1; 0: free */
    } * slots;                 /* [mask + 1] */
    uint32_t mask, n;
} gram_table;
uint32_t gram_hash(uint32_t h, uint32_t x);
bool gram_table_room(gram_table *t); /* for one more */
/* Where it is, or where it goes: number 0 then, and gram_table_put. */
struct gram_slot *gram_table_find(const gram_table *t, uint32_t hash,
                                  bool (*same)(const void *user, uint32_t number),
                                  const void *user);
void gram_table_put(gram_table *t, struct gram_slot *s, uint32_t hash, uint32_t number);
void gram_table_reset(gram_table *t);

/* ---- the tree (tree.c) ---- */
typedef enum gram_kind {
    GRAM_TEXT,
    GRAM_CLASS,
    GRAM_SEQ,
    GRAM_ALT,
    GRAM_REPEAT,
    GRAM_RULE,
    GRAM_SCAN
} gram_kind;

typedef struct gram_range {
    uint32_t from, to; /* code points, both within */
} gram_range;

typedef struct gram_node gram_node;
/* Anything, until a text is written: then what follows that text. In the root alone. */
typedef struct gram_exit {
    maas_str text;
    bool at_start; /* maas_grammar_trigger */
    const gram_node *body;
} gram_exit;
typedef struct gram_scan {
    const gram_exit *exits;
    uint32_t n;
    bool again;   /* after a body: anything again; else what comes after the node */
    bool may_end; /* the answer, before a text is whole */
} gram_scan;
struct gram_node {
    uint8_t kind;
    uint32_t n; /* TEXT: bytes; CLASS: ranges; SEQ, ALT: items; an ALT of none fits nothing */
    uint32_t min, max; /* REPEAT; GRAM_ENDLESS */
    uint32_t rule;     /* RULE: which; REPEAT: of its copies, plus one */
    union {
        const char *text;
        const gram_range *ranges; /* sorted, apart */
        const gram_node **items;
        const gram_node *item;
        const gram_scan *scan;
    } u;
};

typedef struct gram_rule {
    maas_str name; /* empty: made */
    const gram_node *body;
} gram_rule;

/* What fails is kept in `err`, and a node that fits nothing is given: a maker looks once, at the
 * end. */
typedef struct gram_build {
    maas_arena *a; /* of the tree: gone when the program is there */
    maas_err *err;
    maas_status status;
    const maas_buf *where; /* JSON pointer of the schema at hand; NULL: none is */
    gram_rule *rules;
    size_t n_rules, cap_rules;
    uint32_t n_nodes;
    uint32_t any_json;          /* rule of any value, plus one */
    const gram_node *character; /* of a JSON string */
} gram_build;

void gram_build_reset(gram_build *b);
__attribute__((format(printf, 3, 4))) void gram_fail(gram_build *b, maas_status st, const char *fmt,
                                                     ...);
const gram_node *gram_text(gram_build *b, const char *p, size_t n); /* copied */
const gram_node *gram_word(gram_build *b, const char *text);
/* Ranges of code points in any order; `negated`: what is not in them. */
const gram_node *gram_class(gram_build *b, const gram_range *r, uint32_t n, bool negated);
const gram_node *gram_chars(gram_build *b, const char *ascii); /* one of these */
const gram_node *gram_seq(gram_build *b, const gram_node *const *items, uint32_t n);
const gram_node *gram_alt(gram_build *b, const gram_node *const *items, uint32_t n);
const gram_node *gram_seq2(gram_build *b, const gram_node *x, const gram_node *y);
const gram_node *gram_alt2(gram_build *b, const gram_node *x, const gram_node *y);
const gram_node *gram_repeat(gram_build *b, const gram_node *x, uint32_t min, uint32_t max);
const gram_node *gram_maybe(gram_build *b, const gram_node *x);
const gram_node *gram_never(gram_build *b);
const gram_node *gram_empty(gram_build *b);
const gram_node *gram_scan_of(gram_build *b, const gram_scan *s); /* scan.c; its exits are copied */
uint32_t gram_rule_add(gram_build *b, maas_str name);             /* without a body yet */
const gram_node *gram_rule_use(gram_build *b, uint32_t rule);
#define GRAM_SEQ(b, ...)                                                                           \
    gram_seq(b, (const gram_node *[]){__VA_ARGS__},                                                \
             sizeof((const gram_node *[]){__VA_ARGS__}) / sizeof(const gram_node *))
#define GRAM_ALT(b, ...)                                                                           \
    gram_alt(b, (const gram_node *[]){__VA_ARGS__},                                                \
             sizeof((const gram_node *[]){__VA_ARGS__}) / sizeof(const gram_node *))

/* A growing list of nodes, in the tree's arena. */
typedef struct gram_list {
    const gram_node **at;
    uint32_t n, cap;
} gram_list;
void gram_list_add(gram_build *b, gram_list *l, const gram_node *x);

/* Sorted and apart, as a class has them; returns how many are left. */
uint32_t gram_ranges_tidy(gram_range *r, uint32_t n);
/* What is not in n tidy ranges: at most n + 1. Surrogates are in neither. */
uint32_t gram_ranges_rest(const gram_range *r, uint32_t n, gram_range *out);

/* ---- what becomes a tree ---- */
const gram_node *gram_gbnf(gram_build *b, maas_str text);                /* gbnf.c */
const gram_node *gram_regex(gram_build *b, maas_str text, bool in_json); /* regex.c; in_json: what
    may be found in a string, as a JSON text has it, without the quotes */
const gram_node *gram_schema(gram_build *b, const json_t *schema);       /* schema.c */
const gram_node *gram_json_object(gram_build *b);                        /* json.c: any */

/* ---- pieces of JSON (json.c) ---- */
const gram_node *gram_json_any(gram_build *b);
const gram_node *gram_json_space(gram_build *b); /* after an opening, before a closing */
const gram_node *gram_json_string(gram_build *b, uint32_t min, uint32_t max); /* characters */
const gram_node *gram_json_character(gram_build *b);
const gram_node *gram_json_number(gram_build *b);
const gram_node *gram_json_integer(gram_build *b);
const gram_node *gram_json_value(gram_build *b, const json_t *v); /* just this one */
/* A character of n tidy ranges, as a string of a JSON text has it. */
const gram_node *gram_json_class(gram_build *b, const gram_range *r, uint32_t n);
const gram_node *gram_json_text(gram_build *b, const char *p, size_t n); /* a string, this one */
const gram_node *gram_json_array(gram_build *b);                         /* any */
const gram_node *gram_json_colon(gram_build *b);
/* open, inner, close: with spaces. */
const gram_node *gram_json_braces(gram_build *b, const char *open, const gram_node *inner,
                                  const char *close);
const gram_node *gram_json_comma(gram_build *b);

/* ---- the program (program.c) ---- */
typedef enum gram_op {
    OP_FINAL, /* the rule ends: state 0 alone            */
    OP_DEAD,  /* nothing fits                            */
    OP_BYTES, /* one byte of set `arg`, then `next`      */
    OP_SPLIT, /* `next` or `arg`                         */
    OP_CALL   /* rule `arg`, then `next`                 */
} gram_op;

typedef struct gram_state {
    uint32_t op, arg, next;
} gram_state;

typedef struct gram_set {
    uint64_t bits[4];
} gram_set;
static inline bool gram_set_has(const gram_set *s, uint32_t byte)
{
    return s->bits[byte >> 6] >> (byte & 63) & 1;
}

typedef struct gram_program {
    gram_state *states;
    uint32_t n_states;
    uint32_t *entries; /* [rules] */
    gram_set *sets;
    uint32_t n_sets;
    uint8_t class_of[256]; /* bytes that no set tells apart */
    uint8_t sample[256];   /* a byte of each class */
    uint32_t n_classes;
    uint32_t start; /* a state */
    /* [n_states] of a repetition that may come `left` more times, the state that is the same
     * without a bound; 0: the state is not one of those. NULL: there is none. */
    uint32_t *loop, *left;
} gram_program;
/* The rules of b, beginning with `root`. Left recursion and what never ends are refused. */
maas_status gram_program_make(gram_build *b, const gram_node *root, maas_arena *a,
                              gram_program *out, maas_err *err);
/* check.c: what never ends goes; left recursion is refused. */
maas_status gram_check(const gram_build *b, gram_program *p, maas_err *err);
/* scan.c: what each byte does at each state of a scan: another state, or GRAM_EXIT and which text
 * is whole. NULL: no memory. Scans begin, and begin again, at *start. */
#define GRAM_EXIT ((uint32_t)1 << 31)
typedef uint32_t gram_scan_row[256];
gram_scan_row *gram_scan_rows(gram_build *b, const gram_scan *s, uint32_t *n, uint32_t *start);
/* utf8.c: sequences of ranges of bytes for a range of code points. */
typedef struct gram_bytes {
    uint32_t n;
    uint8_t from[4], to[4];
} gram_bytes;
void gram_utf8_split(uint32_t from, uint32_t to, void (*each)(void *user, const gram_bytes *s),
                     void *user);

/* ---- the vocabulary (vocab.c) ---- */
typedef struct vocab_node { /* in the order of a walk: parents first */
    uint32_t next;          /* behind everything below */
    uint32_t tokens;        /* of this node, in `order`: up to the next node's */
    uint64_t below;         /* kinds of bytes from here on down (vocab_kind) */
    uint16_t depth, height; /* 1: the first byte; bytes from here on down, at most */
    uint8_t byte;
} vocab_node;
struct maas_vocab {
    _Atomic int refs;
    maas_arena arena;
    maas_budget *budget;
    const maas_str *pieces;          /* [n] borrowed */
    const maas_tokenizer *tokenizer; /* NULL: none */
    uint32_t n, n_nodes, n_order, depth;
    vocab_node *nodes;                /* [n_nodes + 1] */
    int32_t *order;                   /* tokens as the walk meets them */
    uint8_t *ends;                    /* [n] */
    int32_t *end_list, *control_list; /* control: those that end nothing */
    uint32_t n_ends, n_control;
};
uint32_t gram_vocab_kind(uint8_t byte);                         /* 0..63 */
bool gram_vocab_is_control(const maas_vocab *v, int32_t token); /* without bytes, but with a name */

/* ---- running (machine.c, stacks.c) ---- */
/* All the ways to have come here: sets of stacks, shared and never the same one twice. Set 0 has
 * none; set 1 the empty stack alone. */
typedef struct gram_stack {
    uint32_t first, n; /* of `links` */
    uint16_t depth;
    bool bottom; /* the empty stack is one of them */
} gram_stack;
typedef struct gram_link {
    uint32_t ret, below; /* a state to go on with; what is below it */
} gram_link;

typedef struct gram_stacks {
    gram_stack *at;
    gram_link *links;
    size_t n, cap, n_links, cap_links;
    gram_table table;
    struct {
        uint32_t a, b, both;
    } joined[1024]; /* answers of late */
} gram_stacks;

typedef struct gram_mask gram_mask;
struct gram_mask {
    gram_mask *newer, *older;
    uint32_t place, n; /* n: tokens that are allowed */
    uint32_t bits[];
};

typedef struct gram_place { /* a state of the automaton: where all readings are */
    uint32_t first, n;      /* of `items` */
    uint32_t *to;           /* [n_classes]; UNKNOWN; NULL: none asked for yet */
    gram_mask *mask;
    uint64_t stays; /* of one that is `loop`: kinds of bytes that leave it where it is */
    uint32_t loop;  /* the place without bounds of repetitions; UNKNOWN: not asked for yet */
    uint32_t reach; /* so many bytes make no difference between the two */
    bool may_end, has_stays;
} gram_place;
typedef struct gram_item {
    uint32_t state, stack;
} gram_item;

enum { GRAM_DEAD = 0 };
#define GRAM_UNKNOWN UINT32_MAX

typedef struct gram_machine {
    const gram_program *p;
    maas_arena rows; /* of `to` */
    gram_stacks stacks;
    gram_place *places; /* place 0: nothing fits */
    gram_item *items;
    size_t n_places, cap_places, n_items, cap_items;
    gram_table table;
    uint32_t start;
    /* while a place is made: */
    uint32_t *at; /* [n_states] stacks of it */
    uint32_t *touched, *queue;
    uint32_t n_touched, n_queue;
    bool *queued;
    uint32_t steps;
    maas_status status; /* of the question at hand */
} gram_machine;

bool gram_stacks_init(gram_stacks *s);
void gram_stacks_reset(gram_stacks *s);
/* UINT32_MAX: no memory. */
uint32_t gram_stack_of(gram_stacks *s, const gram_link *links, uint32_t n, bool bottom);
uint32_t gram_stack_push(gram_stacks *s, uint32_t ret, uint32_t below);
uint32_t gram_stack_join(gram_stacks *s, uint32_t a, uint32_t b, uint32_t *steps);

maas_status gram_machine_init(gram_machine *m, const gram_program *p, maas_budget *budget);
void gram_machine_reset(gram_machine *m);
size_t gram_machine_bytes(const gram_machine *m);
/* The place after one more byte; GRAM_DEAD, also when m->status says why there is no answer. */
uint32_t gram_next_slow(gram_machine *m, uint32_t place, uint32_t class);
static inline uint32_t gram_next(gram_machine *m, uint32_t place, uint8_t byte)
{
    const uint32_t c = m->p->class_of[byte];
    const uint32_t *to = m->places[place].to;
    return to && to[c] != GRAM_UNKNOWN ? to[c] : gram_next_slow(m, place, c);
}
uint32_t gram_place_add(gram_machine *m, const gram_item *items, uint32_t n, bool may_end);
/* loops.c: kinds of bytes of which `*reach` in a row, in any order, fit at a place. */
uint64_t gram_stays(gram_machine *m, uint32_t place, uint32_t *reach);
/* Forgets everything but the places in live[n], which get their new numbers. */
bool gram_machine_forget(gram_machine *m, uint32_t *const *live, uint32_t n);
maas_status gram_machine_say(const gram_machine *m, maas_err *err); /* what status means */

struct maas_matcher {
    maas_grammar *g;
    uint32_t place;
    maas_matcher *next, **self; /* in the grammar's list */
};
struct maas_grammar {
    _Atomic int refs;
    maas_vocab *vocab;
    maas_arena arena; /* of the program */
    gram_program program;
    gram_machine machine;
    maas_matcher *matchers;
    gram_mask *newest, *oldest;
    size_t mask_bytes;
    uint32_t *walk; /* [depth + 1] places on the way down */
};
void gram_masks_drop(maas_grammar *g); /* match.c */

#endif
