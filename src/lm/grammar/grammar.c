/* lm/grammar/grammar.c - a grammar from its parts. */
#include <string.h>

#include "base/mem.h"
#include "lm/grammar/grammar_int.h"
#include "base/ban.h"

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
    case MAAS_GRAMMAR_OR:
        break;
    }
    return gram_never(b);
}

static const gram_node *root_of(gram_build *b, const maas_grammar_spec *s)
{
    gram_list all = {0}, seq = {0};
    for (uint32_t i = 0; i < s->n_parts && b->status == MAAS_OK; i++) {
        if (s->parts[i].kind == MAAS_GRAMMAR_OR) {
            gram_list_add(b, &all, gram_seq(b, seq.at, seq.n));
            seq.n = 0;
        } else {
            gram_list_add(b, &seq, part_of(b, &s->parts[i]));
        }
    }
    gram_list_add(b, &all, gram_seq(b, seq.at, seq.n));
    const gram_node *once = gram_alt(b, all.at, all.n);
    if (s->max_times <= 1)
        return once;
    const gram_node *more = gram_seq2(b, gram_text(b, s->between.p, s->between.n), once);
    return gram_seq2(b, once, gram_repeat(b, more, 0, s->max_times - 1));
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
    g->control = maas_arena_array(&g->arena, s->n_control + 1u, sizeof *g->control);
    if (!g->walk || !g->control)
        return maas_fail(err, MAAS_E_NOMEM, "memory for a grammar");
    for (uint32_t i = 0; i < s->n_control && g->vocab->tokenizer; i++)
        g->control[g->n_control++] = s->control[i];
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
