/* lm/grammar/stacks.c - sets of stacks, each set once: a tree of what to go on with, in which equal
 * parts are shared, so that many readings of one text take little room. */
#include <string.h>

#include "base/mem.h"
#include "lm/grammar/grammar_int.h"
#include "base/ban.h"

typedef struct wanted {
    const gram_stacks *s;
    const gram_link *links;
    uint32_t n;
    bool bottom;
} wanted;

static bool same(const void *user, uint32_t number)
{
    const wanted *w = user;
    const gram_stack *x = &w->s->at[number];
    return x->n == w->n && x->bottom == w->bottom &&
           (!x->n || memcmp(w->s->links + x->first, w->links, x->n * sizeof *w->links) == 0);
}

uint32_t gram_stack_of(gram_stacks *s, const gram_link *links, uint32_t n, bool bottom)
{
    const wanted w = {s, links, n, bottom};
    uint32_t hash = gram_hash(n, bottom), depth = 0;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t below = s->at[links[i].below].depth + 1u;
        hash = gram_hash(gram_hash(hash, links[i].ret), links[i].below);
        depth = below > depth ? below : depth;
    }
    if (!gram_table_room(&s->table) || !maas_grow(&s->at, &s->cap, s->n + 1, sizeof *s->at) ||
        !maas_grow(&s->links, &s->cap_links, s->n_links + n + 1, sizeof *s->links))
        return UINT32_MAX;
    struct gram_slot *slot = gram_table_find(&s->table, hash, same, &w);
    if (!slot->number) {
        s->at[s->n] = (gram_stack){(uint32_t)s->n_links, n, (uint16_t)depth, bottom};
        if (n)
            memcpy(s->links + s->n_links, links, n * sizeof *links);
        s->n_links += n;
        gram_table_put(&s->table, slot, hash, (uint32_t)s->n++);
    }
    return slot->number - 1;
}

uint32_t gram_stack_push(gram_stacks *s, uint32_t ret, uint32_t below)
{
    return gram_stack_of(s, &(gram_link){ret, below}, 1, false);
}

/* Both in one, in the order of `ret`; what both have is joined below. `depth` bounds it: no stack
 * is deeper than GRAM_MAX_STACK. */
uint32_t gram_stack_join(gram_stacks *s, uint32_t a, uint32_t b, uint32_t *steps)
{
    if (a == b || !a || !b)
        return a ? a : b;
    const uint32_t x = a < b ? a : b, y = a < b ? b : a;
    const uint32_t at = gram_hash(x, y) % MAAS_COUNT(s->joined);
    if (s->joined[at].a == x && s->joined[at].b == y)
        return s->joined[at].both;
    const uint32_t na = s->at[x].n, nb = s->at[y].n;
    gram_link few[16],
        *all = na + nb <= MAAS_COUNT(few) ? few : maas_alloc((na + nb) * sizeof *all);
    uint32_t n = 0, i = 0, k = 0;
    bool ok = all != NULL;
    while (ok && (i < na || k < nb)) {
        const gram_link *p = s->links + s->at[x].first + i, *q = s->links + s->at[y].first + k;
        ++*steps;
        if (k == nb || (i < na && p->ret < q->ret)) {
            all[n++] = *p;
            i++;
        } else if (i == na || q->ret < p->ret) {
            all[n++] = *q;
            k++;
        } else {
            all[n].ret = p->ret;
            all[n].below = *steps > GRAM_MAX_STEPS ? UINT32_MAX
                                                   : gram_stack_join(s, p->below, q->below, steps);
            ok = all[n++].below != UINT32_MAX;
            i++;
            k++;
        }
    }
    const uint32_t both = ok ? gram_stack_of(s, all, n, s->at[x].bottom || s->at[y].bottom)
                             : UINT32_MAX;
    if (all != few)
        maas_free(all);
    if (both != UINT32_MAX) {
        s->joined[at].a = x;
        s->joined[at].b = y;
        s->joined[at].both = both;
    }
    return both;
}

bool gram_stacks_init(gram_stacks *s)
{
    *s = (gram_stacks){0};
    return gram_stack_of(s, NULL, 0, false) == 0 && gram_stack_of(s, NULL, 0, true) == 1;
}

void gram_stacks_reset(gram_stacks *s)
{
    maas_free(s->at);
    maas_free(s->links);
    gram_table_reset(&s->table);
    *s = (gram_stacks){0};
}
