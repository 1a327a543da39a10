/*
 * lm/grammar/loops.c - where repetitions stand, as if they had no bound: in a string of at most 100
 * characters, letters may go on for as long as there are characters left, so that tokens of letters
 * need not be tried one by one.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "lm/grammar/grammar_int.h"
#include "base/ban.h"

static uint32_t unbound(const gram_machine *m, uint32_t state, uint32_t *reach)
{
    if (!m->p->loop[state])
        return state;
    *reach = m->p->left[state] < *reach ? m->p->left[state] : *reach;
    return m->p->loop[state];
}

/* Only the innermost repetition: those around it go on as they are. */
static uint32_t unbound_stack(gram_machine *m, uint32_t stack, uint32_t *reach)
{
    const uint32_t n = m->stacks.at[stack].n;
    uint32_t all = m->stacks.at[stack].bottom ? 1 : 0;
    bool same = true;
    for (uint32_t i = 0; i < n && same; i++)
        same = !m->p->loop[m->stacks.links[m->stacks.at[stack].first + i].ret];
    if (same)
        return stack;
    for (uint32_t i = 0; i < n && all != UINT32_MAX; i++) {
        const gram_link l = m->stacks.links[m->stacks.at[stack].first + i];
        const uint32_t one = gram_stack_push(&m->stacks, unbound(m, l.ret, reach), l.below);
        all = one == UINT32_MAX ? one : gram_stack_join(&m->stacks, all, one, &m->steps);
    }
    return all;
}

static int by_state(const void *a, const void *b)
{
    const gram_item *x = a, *y = b;
    return x->state < y->state ? -1 : x->state > y->state;
}

/* Items of one state become one; 0: no memory. */
static uint32_t join_items(gram_machine *m, gram_item *x, uint32_t n)
{
    uint32_t k = 0;
    qsort(x, n, sizeof *x, by_state);
    for (uint32_t i = 0; i < n; i++) {
        if (!k || x[k - 1].state != x[i].state) {
            x[k++] = x[i];
            continue;
        }
        x[k - 1].stack = gram_stack_join(&m->stacks, x[k - 1].stack, x[i].stack, &m->steps);
        if (x[k - 1].stack == UINT32_MAX)
            return 0;
    }
    return k;
}

/* GRAM_DEAD: it cannot be had. */
static uint32_t make_loop(gram_machine *m, uint32_t place, uint32_t *reach)
{
    const uint32_t first = m->places[place].first, n = m->places[place].n;
    gram_item *x = maas_alloc((n + 1) * sizeof *x);
    bool ok = x != NULL;
    for (uint32_t i = 0; i < n && ok; i++) {
        const gram_item from = m->items[first + i];
        x[i] = (gram_item){unbound(m, from.state, reach), unbound_stack(m, from.stack, reach)};
        m->steps++;
        ok = x[i].stack != UINT32_MAX;
    }
    const uint32_t left = ok ? join_items(m, x, n) : 0;
    const uint32_t loop = ok && (left || !n) ? gram_place_add(m, x, left, m->places[place].may_end)
                                             : GRAM_DEAD;
    maas_free(x);
    return loop;
}

static void find_stays(gram_machine *m, uint32_t place)
{
    uint64_t leaves = (uint64_t)3 << 62; /* parts of characters */
    for (uint32_t byte = 0; byte < 0x80; byte++)
        if (gram_next(m, place, (uint8_t)byte) != place)
            leaves |= (uint64_t)1 << gram_vocab_kind((uint8_t)byte);
    m->places[place].stays = m->status == MAAS_OK ? ~leaves : 0;
    m->places[place].has_stays = true;
}

uint64_t gram_stays(gram_machine *m, uint32_t place, uint32_t *reach)
{
    uint32_t loop = m->places[place].loop, most = UINT32_MAX;
    if (loop == GRAM_UNKNOWN) {
        loop = m->p->loop ? make_loop(m, place, &most) : place;
        m->places[place].loop = loop;
        m->places[place].reach = most;
        if (loop != GRAM_DEAD && !m->places[loop].has_stays)
            find_stays(m, loop);
    }
    *reach = m->places[place].reach;
    return loop == GRAM_DEAD ? 0 : m->places[loop].stays;
}
