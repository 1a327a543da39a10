/*
 * lm/grammar/machine.c - the automaton, made while it is used: a place is the set of all readings
 * of what came so far, each a state of the program and the stacks of rules it is in.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "lm/grammar/grammar_int.h"
#include "base/ban.h"

enum { FINAL = 0, DEAD = 1, ROW_BYTES = 1 << 16 };

static void fail(gram_machine *m, maas_status st)
{
    m->status = m->status == MAAS_OK ? st : m->status;
}

maas_status gram_machine_say(const gram_machine *m, maas_err *err)
{
    if (m->status == MAAS_E_NOMEM)
        return maas_fail(err, MAAS_E_NOMEM, "memory for a grammar");
    return maas_fail(err, MAAS_E_TOO_LARGE,
                     "the grammar can be read in too many ways: make repetitions in repetitions "
                     "and alternatives that begin alike fewer");
}

size_t gram_machine_bytes(const gram_machine *m)
{
    return maas_arena_bytes(&m->rows) + m->stacks.cap * sizeof *m->stacks.at +
           m->stacks.cap_links * sizeof *m->stacks.links + m->cap_places * sizeof *m->places +
           m->cap_items * sizeof *m->items +
           ((size_t)m->table.mask + m->stacks.table.mask) * sizeof *m->table.slots;
}

/* ---- making a place ---- */

static void add(gram_machine *m, uint32_t state, uint32_t stack)
{
    if (state == DEAD || m->status != MAAS_OK)
        return;
    const uint32_t before = m->at[state];
    const uint32_t all = gram_stack_join(&m->stacks, before, stack, &m->steps);
    if (all == UINT32_MAX) {
        fail(m, m->steps > GRAM_MAX_STEPS ? MAAS_E_TOO_LARGE : MAAS_E_NOMEM);
        return;
    }
    if (all == before)
        return;
    if (!before)
        m->touched[m->n_touched++] = state;
    m->at[state] = all;
    if (!m->queued[state] && m->p->states[state].op != OP_BYTES) {
        m->queued[state] = true;
        m->queue[m->n_queue++] = state;
    }
}

static void call(gram_machine *m, const gram_state *s, uint32_t stack)
{
    const uint32_t entry = m->p->entries[s->arg];
    if (s->next == FINAL) { /* nothing comes after it: the rule above goes on */
        add(m, entry, stack);
        return;
    }
    if (m->stacks.at[stack].depth >= GRAM_MAX_STACK)
        return; /* deeper is not allowed */
    const uint32_t deeper = gram_stack_push(&m->stacks, s->next, stack);
    if (deeper == UINT32_MAX)
        fail(m, MAAS_E_NOMEM);
    else
        add(m, entry, deeper);
}

/* Everything that is reached without a byte. */
static void close_over(gram_machine *m)
{
    while (m->n_queue && m->status == MAAS_OK) {
        const uint32_t state = m->queue[--m->n_queue], stack = m->at[state];
        const gram_state *s = &m->p->states[state];
        m->queued[state] = false;
        if (++m->steps > GRAM_MAX_STEPS)
            fail(m, MAAS_E_TOO_LARGE);
        if (s->op == OP_SPLIT) {
            add(m, s->next, stack);
            add(m, s->arg, stack);
        } else if (s->op == OP_CALL) {
            call(m, s, stack);
        } else { /* FINAL */
            const uint32_t n = m->stacks.at[stack].n;
            for (uint32_t i = 0; i < n && m->status == MAAS_OK; i++) {
                const gram_link l = m->stacks.links[m->stacks.at[stack].first + i];
                m->steps++;
                add(m, l.ret, l.below);
            }
        }
    }
}

static int by_state(const void *a, const void *b)
{
    const gram_item *x = a, *y = b;
    return x->state < y->state ? -1 : x->state > y->state;
}

typedef struct wanted {
    const gram_machine *m;
    uint32_t n;
    bool may_end;
} wanted;

static bool same(const void *user, uint32_t number)
{
    const wanted *w = user;
    const gram_place *p = &w->m->places[number];
    return p->n == w->n && p->may_end == w->may_end &&
           memcmp(w->m->items + p->first, w->m->items + w->m->n_items,
                  p->n * sizeof *w->m->items) == 0;
}

/* The n items behind those of all places, as a place. */
static uint32_t place_of(gram_machine *m, uint32_t n, bool may_end)
{
    const wanted w = {m, n, may_end};
    const gram_item *items = m->items + m->n_items;
    uint32_t hash = gram_hash(n, may_end);
    if (!n && !may_end && m->n_places)
        return GRAM_DEAD;
    for (uint32_t i = 0; i < n; i++)
        hash = gram_hash(gram_hash(hash, items[i].state), items[i].stack);
    if (!gram_table_room(&m->table) ||
        !maas_grow(&m->places, &m->cap_places, m->n_places + 1, sizeof *m->places)) {
        fail(m, MAAS_E_NOMEM);
        return GRAM_DEAD;
    }
    struct gram_slot *slot = gram_table_find(&m->table, hash, same, &w);
    if (!slot->number) {
        m->places[m->n_places] = (gram_place){
            .first = (uint32_t)m->n_items, .n = n, .may_end = may_end, .loop = GRAM_UNKNOWN};
        m->n_items += n;
        gram_table_put(&m->table, slot, hash, (uint32_t)m->n_places++);
    }
    return slot->number - 1;
}

uint32_t gram_place_add(gram_machine *m, const gram_item *items, uint32_t n, bool may_end)
{
    if (!maas_grow(&m->items, &m->cap_items, m->n_items + n + 1, sizeof *m->items)) {
        fail(m, MAAS_E_NOMEM);
        return GRAM_DEAD;
    }
    memcpy(m->items + m->n_items, items, n * sizeof *items);
    return place_of(m, n, may_end);
}

/* What was added becomes a place, and the machine is ready for the next. */
static uint32_t make_place(gram_machine *m)
{
    uint32_t n = 0;
    close_over(m);
    const uint32_t final = m->at[FINAL];
    const bool may_end = final && m->stacks.at[final].bottom;
    if (m->status == MAAS_OK &&
        !maas_grow(&m->items, &m->cap_items, m->n_items + m->n_touched + 1, sizeof *m->items))
        fail(m, MAAS_E_NOMEM);
    for (uint32_t i = 0; i < m->n_touched; i++) {
        const uint32_t s = m->touched[i];
        if (m->status == MAAS_OK && m->p->states[s].op == OP_BYTES)
            m->items[m->n_items + n++] = (gram_item){s, m->at[s]};
        m->at[s] = 0;
        m->queued[s] = false;
    }
    m->n_touched = m->n_queue = 0;
    if (m->status != MAAS_OK)
        return GRAM_DEAD;
    qsort(m->items + m->n_items, n, sizeof *m->items, by_state);
    return place_of(m, n, may_end);
}

static bool has_row(gram_machine *m, uint32_t place)
{
    if (m->places[place].to)
        return true;
    uint32_t *to = maas_arena_array(&m->rows, m->p->n_classes, sizeof *to);
    if (!to) {
        fail(m, MAAS_E_NOMEM);
        return false;
    }
    memset(to, 0xff, m->p->n_classes * sizeof *to);
    m->places[place].to = to;
    return true;
}

uint32_t gram_next_slow(gram_machine *m, uint32_t place, uint32_t class)
{
    if (m->status != MAAS_OK || place == GRAM_DEAD || !has_row(m, place))
        return GRAM_DEAD;
    if (gram_machine_bytes(m) > GRAM_HARD_BYTES) {
        fail(m, MAAS_E_TOO_LARGE);
        return GRAM_DEAD;
    }
    const uint32_t first = m->places[place].first, n = m->places[place].n;
    m->steps += n;
    for (uint32_t i = 0; i < n; i++) {
        const gram_item x = m->items[first + i];
        const gram_state *s = &m->p->states[x.state];
        if (gram_set_has(&m->p->sets[s->arg], m->p->sample[class]))
            add(m, s->next, x.stack);
    }
    const uint32_t to = make_place(m);
    if (m->status == MAAS_OK)
        m->places[place].to[class] = to;
    return to;
}

/* ---- life ---- */

static bool begin(gram_machine *m)
{
    if (!gram_stacks_init(&m->stacks) || !maas_grow(&m->items, &m->cap_items, 1, sizeof *m->items))
        return false;
    place_of(m, 0, false); /* GRAM_DEAD */
    return m->status == MAAS_OK;
}

maas_status gram_machine_init(gram_machine *m, const gram_program *p, maas_budget *budget)
{
    *m = (gram_machine){.p = p};
    maas_arena_init(&m->rows, budget);
    m->at = maas_calloc(p->n_states, sizeof *m->at);
    m->touched = maas_calloc(p->n_states, sizeof *m->touched);
    m->queue = maas_calloc(p->n_states, sizeof *m->queue);
    m->queued = maas_calloc(p->n_states, 1);
    if (!m->at || !m->touched || !m->queue || !m->queued || !begin(m)) {
        fail(m, MAAS_E_NOMEM);
        return m->status;
    }
    add(m, p->start, 1);
    m->start = make_place(m);
    return m->status;
}

static void forget_all(gram_machine *m)
{
    maas_arena_reset(&m->rows);
    gram_stacks_reset(&m->stacks);
    gram_table_reset(&m->table);
    maas_free(m->places);
    maas_free(m->items);
    m->places = NULL;
    m->items = NULL;
    m->n_places = m->cap_places = m->n_items = m->cap_items = 0;
}

void gram_machine_reset(gram_machine *m)
{
    forget_all(m);
    maas_free(m->at);
    maas_free(m->touched);
    maas_free(m->queue);
    maas_free(m->queued);
}

/* ---- forgetting ---- */

/* The stacks that `keep` marks go over, those below first, which have smaller numbers; keep[i]
 * becomes the new number of i. */
static bool copy_stacks(const gram_stacks *from, gram_stacks *to, uint32_t *keep)
{
    gram_link *links = NULL;
    size_t cap = 0;
    bool ok = true;
    for (uint32_t i = (uint32_t)from->n; i-- > 2;)
        for (uint32_t k = 0; keep[i] && k < from->at[i].n; k++)
            keep[from->links[from->at[i].first + k].below] = 1;
    keep[0] = 0;
    keep[1] = 1;
    for (uint32_t i = 2; i < from->n && ok; i++) {
        const gram_stack *s = &from->at[i];
        if (!keep[i])
            continue;
        ok = maas_grow(&links, &cap, s->n + 1u, sizeof *links);
        for (uint32_t k = 0; ok && k < s->n; k++) {
            const gram_link l = from->links[s->first + k];
            links[k] = (gram_link){l.ret, keep[l.below]};
        }
        keep[i] = ok ? gram_stack_of(to, links, s->n, s->bottom) : UINT32_MAX;
        ok = keep[i] != UINT32_MAX;
    }
    maas_free(links);
    return ok;
}

/* GRAM_DEAD: no memory. */
static uint32_t copy_place(gram_machine *m, const gram_machine *old, const uint32_t *keep,
                           uint32_t place)
{
    const gram_place *p = &old->places[place];
    if (!maas_grow(&m->items, &m->cap_items, m->n_items + p->n + 1, sizeof *m->items))
        return GRAM_DEAD;
    for (uint32_t i = 0; i < p->n; i++) {
        const gram_item x = old->items[p->first + i];
        m->items[m->n_items + i] = (gram_item){x.state, keep[x.stack]};
    }
    return place_of(m, p->n, p->may_end);
}

static bool copy_live(gram_machine *m, const gram_machine *old, uint32_t *const *live, uint32_t n,
                      uint32_t *keep, uint32_t *fresh)
{
    for (uint32_t i = 0; i < n; i++) {
        const gram_place *p = &old->places[*live[i]];
        for (uint32_t k = 0; k < p->n; k++)
            keep[old->items[p->first + k].stack] = 1;
    }
    if (!copy_stacks(&old->stacks, &m->stacks, keep))
        return false;
    for (uint32_t i = 0; i < n; i++)
        if ((fresh[i] = copy_place(m, old, keep, *live[i])) == GRAM_DEAD)
            return false;
    return true;
}

bool gram_machine_forget(gram_machine *m, uint32_t *const *live, uint32_t n)
{
    gram_machine old = *m;
    uint32_t *keep = maas_calloc(old.stacks.n, sizeof *keep);
    uint32_t *fresh = maas_calloc(n, sizeof *fresh);
    m->places = NULL;
    m->items = NULL;
    m->n_places = m->cap_places = m->n_items = m->cap_items = 0;
    m->table = (gram_table){0};
    m->stacks = (gram_stacks){0};
    m->rows.blocks = NULL;
    const bool ok = keep && fresh && begin(m) && copy_live(m, &old, live, n, keep, fresh);
    if (ok) {
        for (uint32_t i = 0; i < n; i++)
            *live[i] = fresh[i];
        forget_all(&old);
    } else { /* as it was */
        forget_all(m);
        *m = old;
    }
    maas_free(keep);
    maas_free(fresh);
    return ok;
}
