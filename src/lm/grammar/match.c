/* lm/grammar/match.c - answers on their way, and which tokens may come next. */
#include <string.h>

#include "base/mem.h"
#include "lm/grammar/grammar_int.h"
#include "base/ban.h"

/* ---- masks kept, the oldest goes first ---- */

static size_t mask_bytes(const maas_grammar *g)
{
    return sizeof(gram_mask) + ((size_t)g->vocab->n + 31) / 32 * sizeof(uint32_t);
}

static void unlink_mask(maas_grammar *g, gram_mask *x)
{
    *(x->newer ? &x->newer->older : &g->newest) = x->older;
    *(x->older ? &x->older->newer : &g->oldest) = x->newer;
}

static void link_newest(maas_grammar *g, gram_mask *x)
{
    x->newer = NULL;
    x->older = g->newest;
    *(g->newest ? &g->newest->newer : &g->oldest) = x;
    g->newest = x;
}

static void drop_oldest(maas_grammar *g)
{
    gram_mask *x = g->oldest;
    g->machine.places[x->place].mask = NULL;
    unlink_mask(g, x);
    g->mask_bytes -= mask_bytes(g);
    maas_free(x);
}

void gram_masks_drop(maas_grammar *g)
{
    while (g->oldest)
        drop_oldest(g);
}

static gram_mask *new_mask(maas_grammar *g, uint32_t place)
{
    while (g->oldest && g->mask_bytes + mask_bytes(g) > GRAM_MASK_BYTES)
        drop_oldest(g);
    gram_mask *x = maas_calloc(1, mask_bytes(g));
    if (!x)
        return NULL;
    x->place = place;
    g->mask_bytes += mask_bytes(g);
    link_newest(g, x);
    g->machine.places[place].mask = x;
    return x;
}

/* ---- a mask ---- */

static void allow(gram_mask *x, int32_t token)
{
    x->bits[(uint32_t)token >> 5] |= 1u << ((uint32_t)token & 31);
}

static void allow_all(const maas_vocab *v, gram_mask *x, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++)
        allow(x, v->order[i]);
}

static void walk_tokens(maas_grammar *g, gram_mask *x)
{
    const maas_vocab *v = g->vocab;
    gram_machine *m = &g->machine;
    g->walk[0] = x->place;
    for (uint32_t i = 0; i < v->n_nodes && m->status == MAAS_OK;) {
        const vocab_node *n = &v->nodes[i];
        const uint32_t before = g->walk[n->depth - 1];
        uint32_t reach;
        const uint64_t stays = gram_stays(m, before, &reach);
        if (!(n->below & ~stays) && n->height <= reach) { /* all that is below fits */
            allow_all(v, x, n->tokens, v->nodes[n->next].tokens);
            i = n->next;
            continue;
        }
        const uint32_t to = gram_next(m, before, n->byte);
        g->walk[n->depth] = to;
        if (to != GRAM_DEAD)
            allow_all(v, x, n->tokens, v->nodes[i + 1].tokens);
        i = to == GRAM_DEAD ? n->next : i + 1;
    }
}

static uint32_t place_after(gram_machine *m, uint32_t place, maas_str text, size_t *out_n)
{
    size_t n = 0;
    for (; n < text.n; n++) {
        const uint32_t to = gram_next(m, place, (uint8_t)text.p[n]);
        if (to == GRAM_DEAD)
            break;
        place = to;
    }
    *out_n = n;
    return place;
}

/* False: it does not fit, or m.status says that nobody knows. A control token is its mark and its
 * name. */
static bool fits(maas_grammar *g, uint32_t place, int32_t token, uint32_t *out)
{
    const maas_vocab *v = g->vocab;
    gram_machine *m = &g->machine;
    size_t n;
    if (token < 0 || (uint32_t)token >= v->n || v->ends[token])
        return false;
    maas_str s = v->pieces[token];
    if (gram_vocab_is_control(v, token)) {
        s = maas_tokenizer_name(v->tokenizer, token);
        place = gram_next(m, place, (uint8_t)MAAS_GRAMMAR_CONTROL[0]);
    }
    *out = place_after(m, place, s, &n);
    return s.n && n == s.n && m->status == MAAS_OK;
}

static void allow_others(maas_grammar *g, gram_mask *x)
{
    uint32_t after;
    const uint32_t marked = gram_next(&g->machine, x->place, (uint8_t)MAAS_GRAMMAR_CONTROL[0]);
    for (uint32_t i = 0; i < g->vocab->n_control && marked != GRAM_DEAD; i++)
        if (fits(g, x->place, g->vocab->control_list[i], &after))
            allow(x, g->vocab->control_list[i]);
    for (uint32_t i = 0; i < g->vocab->n_ends && g->machine.places[x->place].may_end; i++)
        allow(x, g->vocab->end_list[i]);
}

/* ---- matchers ---- */

/* A question begins: what is remembered is cut back first, when it is too much. */
static maas_status begin(maas_grammar *g, maas_err *err)
{
    gram_machine *m = &g->machine;
    m->steps = 0;
    m->status = MAAS_OK;
    if (gram_machine_bytes(m) <= GRAM_SOFT_BYTES)
        return MAAS_OK;
    uint32_t n = 1, i = 0;
    for (const maas_matcher *x = g->matchers; x; x = x->next)
        n++;
    uint32_t **live = maas_alloc(n * sizeof *live);
    if (!live)
        return maas_fail(err, MAAS_E_NOMEM, "memory for a grammar");
    live[i++] = &m->start;
    for (maas_matcher *x = g->matchers; x; x = x->next)
        live[i++] = &x->place;
    gram_masks_drop(g);
    const bool ok = gram_machine_forget(m, live, n);
    maas_free(live);
    return ok ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "memory for a grammar");
}

static maas_status end(const maas_grammar *g, maas_err *err)
{
    return g->machine.status == MAAS_OK ? MAAS_OK : gram_machine_say(&g->machine, err);
}

maas_status maas_matcher_create(maas_grammar *g, maas_matcher **out, maas_err *err)
{
    maas_matcher *m = maas_calloc(1, sizeof *m);
    if (!m)
        return maas_fail(err, MAAS_E_NOMEM, "memory for a grammar");
    m->g = maas_grammar_ref(g);
    m->place = g->machine.start;
    m->next = g->matchers;
    m->self = &g->matchers;
    if (m->next)
        m->next->self = &m->next;
    g->matchers = m;
    *out = m;
    return MAAS_OK;
}

void maas_matcher_destroy(maas_matcher *m)
{
    if (!m)
        return;
    *m->self = m->next;
    if (m->next)
        m->next->self = m->self;
    maas_grammar_unref(m->g);
    maas_free(m);
}

maas_status maas_matcher_allows(maas_matcher *m, int32_t token, bool *out, maas_err *err)
{
    maas_grammar *g = m->g;
    uint32_t after;
    MAAS_TRY(begin(g, err));
    const bool ends = token >= 0 && (uint32_t)token < g->vocab->n && g->vocab->ends[token];
    *out = ends ? maas_matcher_may_end(m) : fits(g, m->place, token, &after);
    return end(g, err);
}

maas_status maas_matcher_mask(maas_matcher *m, const uint32_t **out, uint32_t *out_n, maas_err *err)
{
    maas_grammar *g = m->g;
    MAAS_TRY(begin(g, err));
    gram_mask *x = g->machine.places[m->place].mask;
    if (x) {
        unlink_mask(g, x);
        link_newest(g, x);
    } else if ((x = new_mask(g, m->place))) {
        walk_tokens(g, x);
        allow_others(g, x);
        for (uint32_t i = 0; i < (g->vocab->n + 31) / 32; i++)
            x->n += (uint32_t)__builtin_popcount(x->bits[i]);
    } else {
        return maas_fail(err, MAAS_E_NOMEM, "memory for a grammar");
    }
    if (g->machine.status != MAAS_OK) {
        gram_masks_drop(g); /* it is not whole */
        return end(g, err);
    }
    *out = x->bits;
    *out_n = x->n;
    return MAAS_OK;
}

maas_status maas_matcher_accept(maas_matcher *m, int32_t token, maas_err *err)
{
    uint32_t after;
    MAAS_TRY(begin(m->g, err));
    const bool ok = fits(m->g, m->place, token, &after);
    MAAS_TRY(end(m->g, err));
    if (!ok)
        return maas_fail(err, MAAS_E_INVALID, "token %d does not fit the grammar", token);
    m->place = after;
    return MAAS_OK;
}

maas_status maas_matcher_accept_text(maas_matcher *m, maas_str text, size_t *out_n, maas_err *err)
{
    MAAS_TRY(begin(m->g, err));
    const uint32_t to = place_after(&m->g->machine, m->place, text, out_n);
    MAAS_TRY(end(m->g, err));
    m->place = to;
    return MAAS_OK;
}

bool maas_matcher_may_end(const maas_matcher *m)
{
    return m->g->machine.places[m->place].may_end;
}

bool maas_matcher_must_end(const maas_matcher *m)
{
    return maas_matcher_may_end(m) && m->g->machine.places[m->place].n == 0;
}
