/* lm/grammar/check.c - what can never end is taken out of a program, and left recursion is found.
 */
#include <string.h>

#include "base/mem.h"
#include "lm/grammar/grammar_int.h"
#include "base/ban.h"

enum { DEAD = 1, MAX_LOOKS = 1 << 26 };

typedef struct checker {
    const gram_build *b;
    gram_program *p;
    uint32_t n_rules;
    uint32_t *from, *before; /* [n_states + 1], the states that lead to one */
    uint32_t *stack;         /* [n_states] */
    bool *ends, *empty;      /* [n_states] reaches the end of its rule; without a byte */
} checker;

static uint32_t leads_to(const checker *c, const gram_state *s, uint32_t out[2])
{
    out[0] = s->next;
    out[1] = s->op == OP_CALL ? c->p->entries[s->arg] : s->arg;
    return s->op == OP_SPLIT || s->op == OP_CALL ? 2 : s->op == OP_BYTES ? 1 : 0;
}

static void list_before(checker *c)
{
    uint32_t to[2];
    for (uint32_t i = 0; i < c->p->n_states; i++)
        for (uint32_t k = leads_to(c, &c->p->states[i], to); k-- > 0;)
            c->from[to[k] + 1]++;
    for (uint32_t i = 0; i < c->p->n_states; i++)
        c->from[i + 1] += c->from[i];
    for (uint32_t i = c->p->n_states; i-- > 0;)
        for (uint32_t k = leads_to(c, &c->p->states[i], to); k-- > 0;)
            c->before[c->from[to[k] + 1] - 1 - c->stack[to[k]]++] = i;
    memset(c->stack, 0, c->p->n_states * sizeof *c->stack);
}

static void find_ends(checker *c, bool with_bytes, bool *ends)
{
    uint32_t n = 0;
    ends[0] = true;
    c->stack[n++] = 0;
    while (n) {
        const uint32_t at = c->stack[--n];
        for (uint32_t i = c->from[at]; i < c->from[at + 1]; i++) {
            const uint32_t s = c->before[i];
            const gram_state *x = &c->p->states[s];
            const bool is = x->op == OP_SPLIT || (x->op == OP_BYTES && with_bytes) ||
                            (x->op == OP_CALL && ends[x->next] && ends[c->p->entries[x->arg]]);
            if (!is || ends[s])
                continue;
            ends[s] = true;
            c->stack[n++] = s;
        }
    }
}

static void prune(checker *c)
{
    for (uint32_t i = 0; i < c->p->n_states; i++) {
        gram_state *s = &c->p->states[i];
        s->next = c->ends[s->next] ? s->next : DEAD;
        if (s->op == OP_SPLIT)
            s->arg = c->ends[s->arg] ? s->arg : DEAD;
    }
}

/* ---- left recursion ---- */

typedef struct walk {
    checker *c;
    uint32_t *seen; /* [n_states] the rule that came by, plus one */
    uint8_t *color; /* [n_rules] 1: under way, 2: done */
    struct {
        uint32_t rule, from, n; /* calls that are left: of `calls` */
    } * path;
    uint32_t *calls;
    size_t n_calls, cap_calls, n_path, cap_path;
    uint32_t looks;
} walk;

/* The rules that rule may begin with go to the end of `calls`. */
static maas_status first_calls(walk *w, uint32_t rule, maas_err *err)
{
    const checker *c = w->c;
    uint32_t n = 0;
    c->stack[n++] = c->p->entries[rule];
    w->seen[c->p->entries[rule]] = rule + 1;
    while (n) {
        const gram_state *s = &c->p->states[c->stack[--n]];
        uint32_t to[2] = {DEAD, DEAD};
        if (++w->looks > MAX_LOOKS)
            return maas_fail(err, MAAS_E_TOO_LARGE, "the grammar has too many rules in rules");
        if (s->op == OP_SPLIT)
            to[0] = s->next, to[1] = s->arg;
        if (s->op == OP_CALL) {
            to[0] = c->empty[c->p->entries[s->arg]] ? s->next : DEAD;
            if (!maas_grow(&w->calls, &w->cap_calls, w->n_calls + 1, sizeof *w->calls))
                return maas_fail(err, MAAS_E_NOMEM, "memory for a grammar");
            w->calls[w->n_calls++] = s->arg;
        }
        for (int k = 0; k < 2; k++)
            if (to[k] != DEAD && w->seen[to[k]] != rule + 1) {
                w->seen[to[k]] = rule + 1;
                c->stack[n++] = to[k];
            }
    }
    return MAAS_OK;
}

static maas_status enter(walk *w, uint32_t rule, maas_err *err)
{
    const size_t from = w->n_calls;
    if (!maas_grow(&w->path, &w->cap_path, w->n_path + 1, sizeof *w->path))
        return maas_fail(err, MAAS_E_NOMEM, "memory for a grammar");
    MAAS_TRY(first_calls(w, rule, err));
    w->color[rule] = 1;
    w->path[w->n_path].rule = rule;
    w->path[w->n_path].from = (uint32_t)from;
    w->path[w->n_path++].n = (uint32_t)(w->n_calls - from);
    return MAAS_OK;
}

static maas_status fail_left(const walk *w, uint32_t rule, maas_err *err)
{
    maas_str name = w->c->b->rules[rule].name;
    for (size_t i = w->n_path; i-- > 0 && !name.n;)
        name = w->c->b->rules[w->path[i].rule].name;
    return maas_fail(err, MAAS_E_INVALID,
                     "rule '%.*s' begins with itself (left recursion): write the repetition with * "
                     "or at the end",
                     (int)(name.n < 80 ? name.n : 80), name.p);
}

static maas_status walk_rules(walk *w, maas_err *err)
{
    for (uint32_t i = 0; i < w->c->n_rules; i++) {
        if (w->color[i])
            continue;
        MAAS_TRY(enter(w, i, err));
        while (w->n_path) {
            uint32_t *left = &w->path[w->n_path - 1].n;
            if (!*left) {
                w->color[w->path[w->n_path - 1].rule] = 2;
                w->n_calls = w->path[--w->n_path].from;
                continue;
            }
            const uint32_t next = w->calls[w->path[w->n_path - 1].from + --*left];
            if (w->color[next] == 1)
                return fail_left(w, next, err);
            if (!w->color[next])
                MAAS_TRY(enter(w, next, err));
        }
    }
    return MAAS_OK;
}

static maas_status refuse_left(checker *c, maas_err *err)
{
    walk w = {.c = c,
              .seen = maas_calloc(c->p->n_states, sizeof *w.seen),
              .color = maas_calloc(c->n_rules, 1)};
    maas_status st = w.seen && w.color ? walk_rules(&w, err)
                                       : maas_fail(err, MAAS_E_NOMEM, "memory for a grammar");
    maas_free(w.seen);
    maas_free(w.color);
    maas_free(w.path);
    maas_free(w.calls);
    return st;
}

static maas_status check(checker *c, maas_err *err)
{
    if (!c->from || !c->before || !c->stack || !c->ends || !c->empty)
        return maas_fail(err, MAAS_E_NOMEM, "memory for a grammar");
    list_before(c);
    find_ends(c, true, c->ends);
    find_ends(c, false, c->empty);
    MAAS_TRY(refuse_left(c, err));
    if (!c->ends[c->p->start])
        return maas_fail(err, MAAS_E_INVALID, "nothing fits: there is no text that ends");
    prune(c);
    return MAAS_OK;
}

maas_status gram_check(const gram_build *b, gram_program *p, maas_err *err)
{
    const size_t n = p->n_states;
    checker c = {.b = b,
                 .p = p,
                 .n_rules = (uint32_t)b->n_rules,
                 .from = maas_calloc(n + 1, sizeof *c.from),
                 .before = maas_calloc(n * 2, sizeof *c.before),
                 .stack = maas_calloc(n, sizeof *c.stack),
                 .ends = maas_calloc(n, 1),
                 .empty = maas_calloc(n, 1)};
    maas_status st = check(&c, err);
    maas_free(c.from);
    maas_free(c.before);
    maas_free(c.stack);
    maas_free(c.ends);
    maas_free(c.empty);
    return st;
}
