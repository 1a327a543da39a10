#include "graph/graph_int.h"

#include <string.h>

#include "base/sys.h"
#include "base/ban.h"

/* Folded 64x64->128 multiplication, the mixing step of wyhash (Wang Yi, 2019). */
static uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 m = (unsigned __int128)a * b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static uint64_t hash(uint64_t seed, const char *key)
{
    size_t n = strlen(key);
    uint64_t h = seed ^ fold(n ^ 0xa0761d6478bd642full, seed | 1);
    for (size_t at = 0; at < n; at += 8) {
        uint64_t word = 0;
        memcpy(&word, key + at, n - at < 8 ? n - at : 8);
        h = fold(h ^ word ^ 0xe7037ed1a0b428dbull, seed ^ 0x8ebc6af09c88c6e3ull);
    }
    return fold(h, 0x589965cc75374cc3ull);
}

static uint32_t home_of(const maas_names *t, const char *key)
{
    return (uint32_t)hash(t->seed, key) & (t->cap - 1);
}

/* The slot that holds the key, or the free one where it would go; cap > 0. */
static uint32_t probe(const maas_names *t, const char *key)
{
    uint32_t i = home_of(t, key);
    while (t->slot[i].key && strcmp(t->slot[i].key, key) != 0)
        i = (i + 1) & (t->cap - 1);
    return i;
}

uint32_t maas_names_find(const maas_names *t, const char *key)
{
    if (!t->cap)
        return MAAS_NAME_NONE;
    const maas_name_slot *s = &t->slot[probe(t, key)];
    return s->key ? s->index : MAAS_NAME_NONE;
}

static bool grow(maas_names *t, maas_arena *a)
{
    maas_names bigger = {.cap = t->cap ? t->cap * 2 : 16, .n = t->n, .seed = t->seed};
    if (!bigger.seed)
        maas_random_bytes(&bigger.seed, sizeof bigger.seed);
    if (!bigger.cap || !(bigger.slot = maas_arena_array(a, bigger.cap, sizeof *bigger.slot)))
        return false;
    for (uint32_t i = 0; i < t->cap; i++)
        if (t->slot[i].key)
            bigger.slot[probe(&bigger, t->slot[i].key)] = t->slot[i];
    *t = bigger;
    return true;
}

bool maas_names_add(maas_names *t, maas_arena *a, const char *key, uint32_t index)
{
    if (t->n >= t->cap / 4 * 3 && !grow(t, a))
        return false;
    t->slot[probe(t, key)] = (maas_name_slot){key, index};
    t->n++;
    return true;
}

void maas_names_remove(maas_names *t, const char *key)
{
    if (!t->cap)
        return;
    uint32_t mask = t->cap - 1, hole = probe(t, key);
    if (!t->slot[hole].key)
        return;
    /* Slots after the hole move back, unless that would put them before their home. */
    for (uint32_t i = (hole + 1) & mask; t->slot[i].key; i = (i + 1) & mask) {
        uint32_t home = home_of(t, t->slot[i].key);
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            t->slot[hole] = t->slot[i];
            hole = i;
        }
    }
    t->slot[hole] = (maas_name_slot){0};
    t->n--;
}

bool maas_names_clone(const maas_names *from, maas_names *to, maas_arena *a)
{
    *to = *from;
    return !from->cap || (to->slot = maas_arena_dup(a, from->slot, from->cap * sizeof *from->slot));
}
