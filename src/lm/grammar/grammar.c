/* lm/grammar/grammar.c - a grammar from its parts. */
#include <string.h>

#include "base/mem.h"
#include "lm/grammar/grammar_int.h"
#include "base/ban.h"

enum { MAX_BLANKS = 4 };

static const gram_node *blanks(gram_build *b)
{
    return gram_repeat(b, gram_chars(b, " \n\r\t"), 0, MAX_BLANKS);
}

static const gram_node *free_of(gram_build *b, const maas_grammar_part *p, bool may_end)
{
    const gram_exit until = {.text = p->until, .body = gram_empty(b)};
    const gram_scan s = {.exits = &until, .n = 1, .may_end = may_end};
    const gram_node *all = gram_seq2(b, gram_scan_of(b, &s), blanks(b));
    if (!p->text.n)
        return all;
    return gram_alt2(b, gram_empty(b),
                     GRAM_SEQ(b, blanks(b), gram_text(b, p->text.p, p->text.n), all));
}

static const gram_node *part_of(gram_build *b, const maas_grammar_part *p)
{
    switch (p->kind) {
    case MAAS_GRAMMAR_TEXT:
        return gram_text(b, p->text.p, p->text.n);
    case MAAS_GRAMMAR_GBNF:
        return gram_gbnf(b, p->text);
    case MAAS_GRAMMAR_REGEX:
        return gram_regex(b, p->text, false);
    case MAAS_GRAMMAR_SCHEMA:
        return gram_schema(b, p->json);
    case MAAS_GRAMMAR_JSON:
        return gram_json_object(b);
    case MAAS_GRAMMAR_FREE:
        return free_of(b, p, true);
    case MAAS_GRAMMAR_OR:
        break;
    }
    return gram_never(b);
}

static const gram_node *parts_of(gram_build *b, const maas_grammar_part *parts, uint32_t n)
{
    gram_list all = {0}, seq = {0};
    for (uint32_t i = 0; i < n && b->status == MAAS_OK; i++) {
        if (parts[i].kind == MAAS_GRAMMAR_OR) {
            gram_list_add(b, &all, gram_seq(b, seq.at, seq.n));
            seq.n = 0;
        } else {
            gram_list_add(b, &seq, part_of(b, &parts[i]));
        }
    }
    gram_list_add(b, &all, gram_seq(b, seq.at, seq.n));
    return gram_alt(b, all.at, all.n);
}

static const gram_node *times_of(gram_build *b, const maas_grammar_spec *s)
{
    const gram_node *once = parts_of(b, s->parts, s->n_parts);
    if (s->max_times <= 1)
        return once;
    const gram_node *more = gram_seq2(b, gram_text(b, s->between.p, s->between.n), once);
    return gram_seq2(b, once, gram_repeat(b, more, 0, s->max_times - 1));
}

static const gram_node *triggers_of(gram_build *b, const maas_grammar_spec *s)
{
    gram_exit exits[MAAS_GRAMMAR_MAX_TRIGGERS];
    const gram_scan scan = {.exits = exits, .n = s->n_triggers, .again = true, .may_end = true};
    if (s->n_triggers > MAAS_GRAMMAR_MAX_TRIGGERS) {
        gram_fail(b, MAAS_E_TOO_LARGE, "a grammar has %d triggers at most",
                  MAAS_GRAMMAR_MAX_TRIGGERS);
        return gram_never(b);
    }
    for (uint32_t i = 0; i < s->n_triggers; i++)
        exits[i] = (gram_exit){s->triggers[i].text, s->triggers[i].at_start,
                               parts_of(b, s->triggers[i].parts, s->triggers[i].n_parts)};
    return gram_scan_of(b, &scan);
}

static const gram_node *root_of(gram_build *b, const maas_grammar_spec *s)
{
    const gram_node *all = s->n_triggers ? triggers_of(b, s) : times_of(b, s);
    for (uint32_t i = s->n_lead; i-- > 0;)
        all = gram_seq2(b,
                        s->lead[i].kind == MAAS_GRAMMAR_FREE
                            ? free_of(b, &s->lead[i], s->n_triggers > 0)
                            : part_of(b, &s->lead[i]),
                        all);
    return all;
}

static maas_status make_program(maas_grammar *g, const maas_grammar_spec *s, maas_budget *budget,
                                maas_err *err)
{
    maas_arena tree;
    gram_build b = {.a = &tree, .err = err};
    maas_arena_init(&tree, budget);
    const gram_node *root = root_of(&b, s);
    maas_status st = b.status;
    if (st == MAAS_OK)
        st = gram_program_make(&b, root, &g->arena, &g->program, err);
    gram_build_reset(&b);
    maas_arena_reset(&tree);
    return st;
}

static maas_status make(maas_grammar *g, const maas_grammar_spec *s, maas_budget *budget,
                        maas_err *err)
{
    MAAS_TRY(make_program(g, s, budget, err));
    g->walk = maas_arena_array(&g->arena, g->vocab->depth + 1u, sizeof *g->walk);
    if (!g->walk)
        return maas_fail(err, MAAS_E_NOMEM, "memory for a grammar");
    if (gram_machine_init(&g->machine, &g->program, budget) != MAAS_OK)
        return gram_machine_say(&g->machine, err);
    return MAAS_OK;
}

maas_status maas_grammar_create(const maas_grammar_spec *spec, maas_vocab *v, maas_budget *budget,
                                maas_grammar **out, maas_err *err)
{
    maas_grammar *g = maas_calloc(1, sizeof *g);
    if (!g)
        return maas_fail(err, MAAS_E_NOMEM, "memory for a grammar");
    g->refs = 1;
    g->vocab = maas_vocab_ref(v);
    maas_arena_init(&g->arena, budget);
    maas_status st = make(g, spec, budget, err);
    if (st == MAAS_OK)
        *out = g;
    else
        maas_grammar_unref(g);
    return st;
}

maas_grammar *maas_grammar_ref(maas_grammar *g)
{
    atomic_fetch_add(&g->refs, 1);
    return g;
}

void maas_grammar_unref(maas_grammar *g)
{
    if (!g || atomic_fetch_sub(&g->refs, 1) != 1)
        return;
    gram_masks_drop(g);
    gram_machine_reset(&g->machine);
    maas_arena_reset(&g->arena);
    maas_vocab_unref(g->vocab);
    maas_free(g);
}

int32_t maas_grammar_n_logits(const maas_grammar *g)
{
    return (int32_t)g->vocab->n;
}

size_t maas_grammar_bytes(const maas_grammar *g)
{
    return maas_arena_bytes(&g->arena) + gram_machine_bytes(&g->machine) + g->mask_bytes;
}
