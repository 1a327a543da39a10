/* learn/counts.c - see counts.h. */
#include "learn/counts.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

#define N_REGISTERS   4096
#define REGISTER_BITS 12
#define FIRST_SLOTS   64

/* The finalizer of splitmix64: every bit of x moves half the bits of the result. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

void maas_counts_init(maas_counts *c, size_t max, bool keep_counting)
{
    *c = (maas_counts){.max = max, .keep_counting = keep_counting};
    /* Addresses are random enough for a salt, and cost no system call in a sandbox. */
    c->salt = mix((uintptr_t)c) | 1;
}

void maas_counts_reset(maas_counts *c)
{
    for (size_t i = 0; i < c->n_slots; i++)
        maas_free(c->slots[i].text);
    maas_free(c->slots);
    maas_free(c->registers);
    c->slots = NULL;
    c->registers = NULL;
    c->n = c->n_slots = 0;
}

static uint64_t hash_text(maas_str t)
{
    uint64_t h = 0x9e3779b97f4a7c15u ^ t.n, word;
    size_t i = 0;
    for (; i + 8 <= t.n; i += 8) {
        memcpy(&word, t.p + i, 8);
        h = mix(h ^ word) + 0x9e3779b97f4a7c15u;
    }
    word = 0;
    if (i < t.n)
        memcpy(&word, t.p + i, t.n - i);
    return mix(h ^ word);
}

/* ---- the sketch ---- */

static void sketch_add(maas_counts *c, uint64_t key)
{
    uint64_t h = mix(key + 0x9e3779b97f4a7c15u);
    uint8_t rank = (uint8_t)(1 + __builtin_ctzll(h >> REGISTER_BITS | 1ull << 51));
    uint8_t *r = &c->registers[h & (N_REGISTERS - 1)];
    if (rank > *r)
        *r = rank;
}

static double sketch_estimate(const maas_counts *c)
{
    double sum = 0, m = N_REGISTERS;
    int n_zero = 0;
    for (int i = 0; i < N_REGISTERS; i++) {
        sum += ldexp(1, -c->registers[i]);
        n_zero += !c->registers[i];
    }
    double e = 0.7213 / (1 + 1.079 / m) * m * m / sum;
    return e <= 2.5 * m && n_zero ? m * log(m / n_zero) : e;
}

/* ---- the table ---- */

static maas_count *find(const maas_counts *c, uint64_t key)
{
    size_t mask = c->n_slots - 1;
    size_t i = (size_t)((key * c->salt) >> 32) & mask;
    while (c->slots[i].count && c->slots[i].key != key)
        i = (i + 1) & mask;
    return &c->slots[i];
}

/* Takes what is in `old` over into a table of n slots. */
static bool rebuild(maas_counts *c, size_t n)
{
    maas_count *old = c->slots, *slots = maas_calloc(n, sizeof *slots);
    size_t n_old = c->n_slots;
    if (!slots)
        return false;
    c->slots = slots;
    c->n_slots = n;
    for (size_t i = 0; i < n_old; i++)
        if (old[i].count)
            *find(c, old[i].key) = old[i];
    maas_free(old);
    return true;
}

/* Misra and Gries: everybody loses one; who has none left goes. One free place costs as many
 * earlier arrivals as there are slots, so the walk is paid for. */
static bool decrement_all(maas_counts *c)
{
    for (size_t i = 0; i < c->n_slots; i++) {
        maas_count *s = &c->slots[i];
        if (!s->count || --s->count)
            continue;
        maas_free(s->text);
        s->text = NULL;
        c->n--;
    }
    return rebuild(c, c->n_slots); /* freed slots would cut chains in two */
}

/* The first value beyond the table: what is in it moves into the sketch too. */
static bool overflow(maas_counts *c)
{
    c->registers = maas_calloc(N_REGISTERS, 1);
    if (!c->registers)
        return false;
    for (size_t i = 0; i < c->n_slots; i++)
        if (c->slots[i].count)
            sketch_add(c, c->slots[i].key);
    return true;
}

static bool add(maas_counts *c, uint64_t key, maas_str text, int64_t by)
{
    if (c->registers) {
        sketch_add(c, key);
        if (!c->keep_counting)
            return true;
    }
    if (!c->n_slots && !rebuild(c, FIRST_SLOTS))
        return false;
    maas_count *s = find(c, key);
    if (s->count) {
        s->count += by;
        return true;
    }
    if (c->n == c->max) {
        if (!c->registers) {
            if (!overflow(c))
                return false;
            sketch_add(c, key);
        }
        return c->keep_counting ? decrement_all(c) : true;
    }
    if ((c->n + 1) * 2 > c->n_slots) {
        if (!rebuild(c, c->n_slots * 2))
            return false;
        s = find(c, key);
    }
    size_t n_text = text.n < MAAS_COUNTS_TEXT ? text.n : MAAS_COUNTS_TEXT;
    char *copy = text.p ? maas_strndup(text.p, n_text) : NULL;
    if (text.p && !copy)
        return false;
    *s = (maas_count){key, by, copy, (uint32_t)n_text};
    c->n++;
    return true;
}

bool maas_counts_add(maas_counts *c, uint64_t bits, int64_t by)
{
    return add(c, bits, (maas_str){0}, by);
}

bool maas_counts_add_text(maas_counts *c, maas_str text)
{
    return add(c, hash_text(text), text, 1);
}

int64_t maas_counts_distinct(const maas_counts *c)
{
    return c->registers ? (int64_t)llround(sketch_estimate(c)) : (int64_t)c->n;
}

/* Order of the answer; it must not depend on where things are in the table. */
static bool before(const maas_count *a, const maas_count *b)
{
    if (a->count != b->count)
        return a->count > b->count;
    if (!a->text || !b->text)
        return (int64_t)a->key < (int64_t)b->key;
    size_t n = a->n_text < b->n_text ? a->n_text : b->n_text;
    int order = memcmp(a->text, b->text, n);
    return order ? order < 0 : a->n_text < b->n_text;
}

size_t maas_counts_top(const maas_counts *c, const maas_count **out, size_t n)
{
    size_t found = 0;
    for (size_t i = 0; i < c->n_slots; i++) {
        const maas_count *s = &c->slots[i];
        if (!s->count || (found == n && !before(s, out[n - 1])))
            continue;
        size_t at = found < n ? found++ : n - 1;
        for (; at > 0 && before(s, out[at - 1]); at--)
            out[at] = out[at - 1];
        out[at] = s;
    }
    return found;
}
