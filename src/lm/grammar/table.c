#include "base/mem.h"
#include "lm/grammar/grammar_int.h"
#include "base/ban.h"

uint32_t gram_hash(uint32_t h, uint32_t x)
{
    uint64_t v = ((uint64_t)h << 32 | x) * 0x9e3779b97f4a7c15u;
    v ^= v >> 29;
    v *= 0xbf58476d1ce4e5b9u;
    return (uint32_t)(v >> 32);
}

bool gram_table_room(gram_table *t)
{
    if (t->slots && t->n < t->mask / 2)
        return true;
    const uint32_t mask = t->slots ? t->mask * 2 + 1 : 63;
    struct gram_slot *bigger = maas_calloc((size_t)mask + 1, sizeof *bigger);
    if (!bigger)
        return false;
    for (uint32_t i = 0; t->slots && i <= t->mask; i++) {
        if (!t->slots[i].number)
            continue;
        uint32_t at = t->slots[i].hash & mask;
        while (bigger[at].number)
            at = (at + 1) & mask;
        bigger[at] = t->slots[i];
    }
    maas_free(t->slots);
    t->slots = bigger;
    t->mask = mask;
    return true;
}

struct gram_slot *gram_table_find(const gram_table *t, uint32_t hash,
                                  bool (*same)(const void *user, uint32_t number), const void *user)
{
    uint32_t at = hash & t->mask;
    for (; t->slots[at].number; at = (at + 1) & t->mask)
        if (t->slots[at].hash == hash && same(user, t->slots[at].number - 1))
            break;
    return &t->slots[at];
}

void gram_table_put(gram_table *t, struct gram_slot *s, uint32_t hash, uint32_t number)
{
    *s = (struct gram_slot){number + 1, hash};
    t->n++;
}

void gram_table_reset(gram_table *t)
{
    maas_free(t->slots);
    *t = (gram_table){0};
}
