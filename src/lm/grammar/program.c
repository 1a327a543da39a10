/* lm/grammar/program.c - the tree as states: made from the end to the beginning, so that what ends
 * alike is there once. */
#include <string.h>

#include "base/mem.h"
#include "lm/grammar/grammar_int.h"
#include "base/ban.h"

enum { FINAL = 0, DEAD = 1, FEW = 3 };

typedef struct endless { /* a state of a repetition, see gram_program.loop */
    uint32_t state, loop, left;
} endless;

typedef struct compiler {
    gram_build *b;
    endless *endless;
    size_t n_endless, cap_endless;
    gram_state *states;
    gram_set *sets;
    uint32_t *entries;
    size_t n_states, cap_states, n_sets, cap_sets, cap_entries;
    gram_table by_state, by_set;
    gram_state wanted;
    gram_set wanted_set;
    uint32_t depth;
} compiler;

/* ---- states and sets, each once ---- */

static uint32_t add_state(compiler *c, gram_state s)
{
    if (c->n_states >= GRAM_MAX_STATES)
        gram_fail(
            c->b, MAAS_E_TOO_LARGE,
            "the grammar needs more than %d states: repetitions, or alternatives, are too many",
            GRAM_MAX_STATES);
    else if (!maas_grow(&c->states, &c->cap_states, c->n_states + 1, sizeof *c->states))
        gram_fail(c->b, MAAS_E_NOMEM, "memory for a grammar");
    if (c->b->status != MAAS_OK)
        return DEAD;
    c->states[c->n_states] = s;
    return (uint32_t)c->n_states++;
}

static bool same_state(const void *user, uint32_t number)
{
    const compiler *c = user;
    const gram_state *s = &c->states[number];
    return s->op == c->wanted.op && s->arg == c->wanted.arg && s->next == c->wanted.next;
}

static uint32_t state_of(compiler *c, uint32_t op, uint32_t arg, uint32_t next)
{
    if (c->b->status != MAAS_OK || !gram_table_room(&c->by_state)) {
        gram_fail(c->b, MAAS_E_NOMEM, "memory for a grammar");
        return DEAD;
    }
    const uint32_t hash = gram_hash(gram_hash(op, arg), next);
    c->wanted = (gram_state){op, arg, next};
    struct gram_slot *slot = gram_table_find(&c->by_state, hash, same_state, c);
    if (!slot->number)
        gram_table_put(&c->by_state, slot, hash, add_state(c, c->wanted));
    return slot->number - 1;
}

static bool same_set(const void *user, uint32_t number)
{
    const compiler *c = user;
    return memcmp(&c->sets[number], &c->wanted_set, sizeof c->wanted_set) == 0;
}

static uint32_t set_of(compiler *c, const gram_set *set)
{
    uint32_t hash = 0;
    c->wanted_set = *set;
    for (int i = 0; i < 8; i++)
        hash = gram_hash(hash, (uint32_t)(set->bits[i / 2] >> (32 * (i % 2))));
    if (!gram_table_room(&c->by_set) ||
        !maas_grow(&c->sets, &c->cap_sets, c->n_sets + 1, sizeof *c->sets)) {
        gram_fail(c->b, MAAS_E_NOMEM, "memory for a grammar");
        return 0;
    }
    struct gram_slot *slot = gram_table_find(&c->by_set, hash, same_set, c);
    if (!slot->number) {
        if (c->n_sets >= GRAM_MAX_SETS)
            gram_fail(c->b, MAAS_E_TOO_LARGE, "the grammar has more than %d different classes",
                      GRAM_MAX_SETS);
        if (c->b->status != MAAS_OK)
            return 0;
        c->sets[c->n_sets] = *set;
        gram_table_put(&c->by_set, slot, hash, (uint32_t)c->n_sets++);
    }
    return slot->number - 1;
}

static void set_add(gram_set *s, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i <= to; i++)
        s->bits[i >> 6] |= (uint64_t)1 << (i & 63);
}

static uint32_t bytes_of(compiler *c, const gram_set *set, uint32_t next)
{
    return next == DEAD ? DEAD : state_of(c, OP_BYTES, set_of(c, set), next);
}

static uint32_t split_of(compiler *c, uint32_t a, uint32_t b)
{
    if (a == DEAD || b == DEAD || a == b)
        return a == DEAD ? b : a;
    return state_of(c, OP_SPLIT, b, a);
}

/* ---- classes ---- */

enum { NEAR = 8 }; /* so many tails are looked at: neighbours share theirs */
typedef struct branches {
    compiler *c;
    uint32_t next, all; /* all: of those that are written already */
    uint32_t n;
    struct {
        gram_set first;
        uint32_t tail;
    } at[NEAR];
} branches;

static void write_branch(branches *x, uint32_t i)
{
    x->all = split_of(x->c, bytes_of(x->c, &x->at[i].first, x->at[i].tail), x->all);
}

static void add_sequence(void *user, const gram_bytes *s)
{
    branches *x = user;
    uint32_t tail = x->next, i = 0;
    if (x->c->b->status != MAAS_OK)
        return;
    for (uint32_t k = s->n; k-- > 1;) {
        gram_set set = {0};
        set_add(&set, s->from[k], s->to[k]);
        tail = bytes_of(x->c, &set, tail);
    }
    while (i < x->n && x->at[i].tail != tail)
        i++;
    if (i == NEAR) {
        write_branch(x, 0);
        memmove(x->at, x->at + 1, (NEAR - 1) * sizeof *x->at);
        x->n = i = NEAR - 1;
    }
    if (i == x->n) {
        x->at[i].first = (gram_set){0};
        x->at[i].tail = tail;
        x->n++;
    }
    set_add(&x->at[i].first, s->from[0], s->to[0]);
}

static uint32_t class_of(compiler *c, const gram_node *x, uint32_t next)
{
    branches all = {.c = c, .next = next, .all = DEAD};
    for (uint32_t i = 0; i < x->n && c->b->status == MAAS_OK; i++)
        gram_utf8_split(x->u.ranges[i].from, x->u.ranges[i].to, add_sequence, &all);
    for (uint32_t i = 0; i < all.n; i++)
        write_branch(&all, i);
    return all.all;
}

/* ---- nodes ---- */

static uint32_t compile(compiler *c, const gram_node *x, uint32_t next);

static bool is_small(const gram_node *x)
{
    return (x->kind == GRAM_TEXT && x->n <= 2) || x->kind == GRAM_RULE ||
           (x->kind == GRAM_CLASS && (!x->n || x->u.ranges[x->n - 1].to < 0x80));
}

/* One copy of what is repeated: many copies are calls of one rule. */
static uint32_t copy_of(compiler *c, const gram_node *x, bool once, uint32_t next)
{
    gram_node *repeat = (gram_node *)(uintptr_t)x;
    if (once || is_small(x->u.item))
        return compile(c, x->u.item, next);
    if (!repeat->rule) {
        repeat->rule = gram_rule_add(c->b, (maas_str){"", 0}) + 1;
        if (c->b->status != MAAS_OK)
            return DEAD;
        c->b->rules[repeat->rule - 1].body = x->u.item;
    }
    return next == DEAD ? DEAD : state_of(c, OP_CALL, repeat->rule - 1, next);
}

static uint32_t loop_of(compiler *c, const gram_node *x, bool once, uint32_t next, uint32_t *body)
{
    const uint32_t loop = add_state(c, (gram_state){OP_SPLIT, next, DEAD});
    *body = copy_of(c, x, once, loop);
    if (c->b->status != MAAS_OK)
        return DEAD;
    c->states[loop].next = *body;
    return loop;
}

static void note_endless(compiler *c, uint32_t state, uint32_t loop, uint32_t left)
{
    if (c->b->status == MAAS_OK &&
        !maas_grow(&c->endless, &c->cap_endless, c->n_endless + 1, sizeof *c->endless))
        gram_fail(c->b, MAAS_E_NOMEM, "memory for a grammar");
    if (c->b->status == MAAS_OK && state != DEAD)
        c->endless[c->n_endless++] = (endless){state, loop, left};
}

/* Up to n times x, then next. */
static uint32_t bounded_of(compiler *c, const gram_node *x, bool once, uint32_t n, uint32_t next)
{
    uint32_t body = DEAD, at = next;
    const uint32_t loop = n > FEW ? loop_of(c, x, once, next, &body) : DEAD;
    for (uint32_t i = 0; i < n && c->b->status == MAAS_OK; i++) {
        const uint32_t copy = copy_of(c, x, once, at);
        at = split_of(c, copy, next);
        if (loop != DEAD)
            note_endless(c, at, loop, i + 1);
        if (loop != DEAD && c->states[copy].op == OP_BYTES && c->states[body].op == OP_BYTES)
            note_endless(c, copy, body, i);
    }
    return at;
}

static uint32_t repeat_of(compiler *c, const gram_node *x, uint32_t next)
{
    const bool once = x->max == GRAM_ENDLESS ? x->min <= 1 : x->max <= 1;
    uint32_t at = next, need = x->min;
    if (x->max == GRAM_ENDLESS) {
        uint32_t body;
        const uint32_t loop = loop_of(c, x, once, next, &body);
        at = need ? body : loop;
        need -= need > 0;
    } else {
        at = bounded_of(c, x, once, x->max - x->min, next);
    }
    for (uint32_t i = 0; i < need && c->b->status == MAAS_OK; i++)
        at = copy_of(c, x, once, at);
    return at;
}

static uint32_t text_of(compiler *c, const gram_node *x, uint32_t next)
{
    for (uint32_t i = x->n; i-- > 0;) {
        gram_set set = {0};
        set_add(&set, (uint8_t)x->u.text[i], (uint8_t)x->u.text[i]);
        next = bytes_of(c, &set, next);
    }
    return next;
}

/* What leaves a state of a scan: bytes that lead to the same go together. */
static uint32_t leave_scan(compiler *c, const uint32_t *row, const uint32_t *at,
                           const uint32_t *bodies, uint32_t all)
{
    gram_set done = {0};
    for (uint32_t i = 0; i < 256; i++) {
        const uint32_t to = row[i] & GRAM_EXIT ? bodies[row[i] & ~GRAM_EXIT] : at[row[i]];
        gram_set set = {0};
        if (gram_set_has(&done, i))
            continue;
        for (uint32_t k = i; k < 256; k++)
            if (row[k] == row[i])
                set_add(&set, k, k);
        for (int k = 0; k < 4; k++)
            done.bits[k] |= set.bits[k];
        all = split_of(c, bytes_of(c, &set, to), all);
    }
    return all;
}

/* The end of the answer is that of the root, within which alone scans are. */
static uint32_t scan_of(compiler *c, const gram_scan *s, uint32_t next)
{
    uint32_t n = 0, start = 0, bodies[MAAS_GRAMMAR_MAX_TRIGGERS] = {0};
    gram_scan_row *rows = gram_scan_rows(c->b, s, &n, &start);
    uint32_t *at = rows ? maas_arena_array(c->b->a, n, sizeof *at) : NULL;
    if (!at)
        gram_fail(c->b, MAAS_E_NOMEM, "memory for a grammar");
    for (uint32_t i = 0; i < n && c->b->status == MAAS_OK; i++)
        at[i] = add_state(c, (gram_state){OP_SPLIT, DEAD, DEAD});
    for (uint32_t i = 0; i < s->n && c->b->status == MAAS_OK; i++)
        bodies[i] = compile(c, s->exits[i].body, s->again ? at[start] : next);
    for (uint32_t i = 0; i < n && c->b->status == MAAS_OK; i++) {
        const uint32_t all = leave_scan(c, rows[i], at, bodies, s->may_end ? FINAL : DEAD);
        if (c->b->status == MAAS_OK)
            c->states[at[i]].next = all;
    }
    return c->b->status == MAAS_OK ? at[start] : DEAD;
}

static uint32_t compile(compiler *c, const gram_node *x, uint32_t next)
{
    uint32_t at = next;
    if (++c->depth > GRAM_MAX_TREE)
        gram_fail(c->b, MAAS_E_TOO_LARGE, "the grammar is more than %d deep", GRAM_MAX_TREE);
    if (c->b->status != MAAS_OK || next == DEAD) {
        c->depth--;
        return DEAD;
    }
    switch ((gram_kind)x->kind) {
    case GRAM_TEXT:
        at = text_of(c, x, next);
        break;
    case GRAM_CLASS:
        at = class_of(c, x, next);
        break;
    case GRAM_SEQ:
        for (uint32_t i = x->n; i-- > 0;)
            at = compile(c, x->u.items[i], at);
        break;
    case GRAM_ALT:
        at = DEAD;
        for (uint32_t i = x->n; i-- > 0;)
            at = split_of(c, compile(c, x->u.items[i], next), at);
        break;
    case GRAM_REPEAT:
        at = repeat_of(c, x, next);
        break;
    case GRAM_RULE:
        at = state_of(c, OP_CALL, x->rule, next);
        break;
    case GRAM_SCAN:
        at = scan_of(c, x->u.scan, next);
        break;
    }
    c->depth--;
    return at;
}

/* ---- all of it ---- */

/* Bytes that every set takes alike are one class. */
static void classify(gram_program *p)
{
    uint8_t map[2][256];
    p->n_classes = 1;
    for (uint32_t i = 0; i < p->n_sets && p->n_classes < 256; i++) {
        bool known[2][256] = {{0}};
        uint32_t n = 0;
        for (uint32_t byte = 0; byte < 256; byte++) {
            const int in = gram_set_has(&p->sets[i], byte);
            uint8_t *class = &p->class_of[byte];
            if (!known[in][*class]) {
                known[in][*class] = true;
                map[in][*class] = (uint8_t)n++;
            }
            *class = map[in][*class];
        }
        p->n_classes = n;
    }
    for (uint32_t byte = 256; byte-- > 0;)
        p->sample[p->class_of[byte]] = (uint8_t)byte;
}

static void compile_rules(compiler *c)
{
    for (size_t i = 0; i < c->b->n_rules && c->b->status == MAAS_OK; i++) {
        const gram_node *body = c->b->rules[i].body;
        if (!maas_grow(&c->entries, &c->cap_entries, i + 1, sizeof *c->entries)) {
            gram_fail(c->b, MAAS_E_NOMEM, "memory for a grammar");
            return;
        }
        const uint32_t at = body ? compile(c, body, FINAL) : DEAD;
        c->entries[i] = at;
    }
}

static void keep(compiler *c, maas_arena *a, gram_program *out)
{
    out->n_states = (uint32_t)c->n_states;
    out->n_sets = (uint32_t)c->n_sets;
    out->states = maas_arena_dup(a, c->states, c->n_states * sizeof *c->states);
    out->sets = maas_arena_dup(a, c->n_sets ? c->sets : &(gram_set){0},
                               (c->n_sets ? c->n_sets : 1) * sizeof *c->sets);
    out->entries = maas_arena_dup(a, c->entries, c->b->n_rules * sizeof *c->entries);
    out->loop = c->n_endless ? maas_arena_array(a, c->n_states, sizeof *out->loop) : NULL;
    out->left = c->n_endless ? maas_arena_array(a, c->n_states, sizeof *out->left) : NULL;
    for (size_t i = 0; i < c->n_endless && out->loop && out->left; i++) {
        out->loop[c->endless[i].state] = c->endless[i].loop;
        out->left[c->endless[i].state] = c->endless[i].left;
    }
    if (!out->states || !out->sets || !out->entries || (c->n_endless && (!out->loop || !out->left)))
        gram_fail(c->b, MAAS_E_NOMEM, "memory for a grammar");
}

maas_status gram_program_make(gram_build *b, const gram_node *root, maas_arena *a,
                              gram_program *out, maas_err *err)
{
    compiler c = {.b = b};
    const uint32_t rule = gram_rule_add(b, (maas_str){"", 0});
    *out = (gram_program){0};
    if (b->status == MAAS_OK)
        b->rules[rule].body = root;
    add_state(&c, (gram_state){OP_FINAL, 0, DEAD});
    add_state(&c, (gram_state){OP_DEAD, 0, DEAD});
    compile_rules(&c);
    if (b->status == MAAS_OK)
        keep(&c, a, out);
    maas_free(c.states);
    maas_free(c.sets);
    maas_free(c.entries);
    maas_free(c.endless);
    gram_table_reset(&c.by_state);
    gram_table_reset(&c.by_set);
    if (b->status != MAAS_OK)
        return b->status;
    classify(out);
    out->start = out->entries[rule];
    return gram_check(b, out, err);
}
