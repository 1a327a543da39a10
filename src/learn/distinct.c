/*
 * learn/distinct.c - an open-addressing hash table of keys, sorted once all are known.
 *
 * The hash is salted at random, so that a file cannot be made to collide; the order of keys is not
 * touched by it, because they are sorted.
 */
#include "learn/distinct.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/sys.h"

#include "base/ban.h"

#define MAX_KEYS (1 << 20) /* more different values than this are no classes and no categories */

static uint64_t mix(uint64_t h)
{
    h = (h ^ (h >> 32)) * 0xd6e8feb86659fd93ull;
    h = (h ^ (h >> 32)) * 0xd6e8feb86659fd93ull;
    return h ^ (h >> 32);
}

static uint64_t hash(const maas_distinct *d, const maas_key *k)
{
    uint64_t h = d->salt;
    if (!k->text.p)
        return mix(h ^ (uint64_t)k->number);
    size_t i = 0;
    for (; i + 8 <= k->text.n; i += 8) {
        uint64_t w;
        memcpy(&w, k->text.p + i, 8);
        h = mix(h ^ w);
    }
    uint64_t tail = 0;
    memcpy(&tail, k->text.p + i, k->text.n - i);
    return mix(h ^ tail ^ (uint64_t)k->text.n << 56);
}

static bool same(const maas_key *a, const maas_key *b)
{
    return a->number == b->number && a->text.n == b->text.n &&
           (a->text.n == 0 || memcmp(a->text.p, b->text.p, a->text.n) == 0);
}

/* The slot of the key, or the free one where it belongs. */
static size_t slot_of(const maas_distinct *d, const maas_key *k)
{
    size_t i = (size_t)hash(d, k) & (d->n_slots - 1);
    while (d->slots[i] && !same(&d->keys[d->slots[i] - 1], k))
        i = (i + 1) & (d->n_slots - 1);
    return i;
}

static bool rehash(maas_distinct *d, size_t n_slots)
{
    uint32_t *slots = maas_calloc(n_slots, sizeof *slots);
    if (!slots)
        return false;
    maas_free(d->slots);
    d->slots = slots;
    d->n_slots = n_slots;
    for (int64_t i = 0; i < d->n; i++)
        d->slots[slot_of(d, &d->keys[i])] = (uint32_t)i + 1;
    return true;
}

static bool key_of(const maas_distinct *d, int64_t row, maas_key *out)
{
    *out = (maas_key){0};
    if (d->col->desc.dtype == MAAS_STRING) {
        out->text = maas_column_text(d->col, row);
        return out->text.p != NULL;
    }
    maas_tensor t = maas_tensor_of(d->col->desc.dtype, 0, NULL, (void *)d->col->data);
    out->number = maas_tensor_get_i64(&t, row);
    return true;
}

static maas_status count_key(maas_distinct *d, const maas_key *k, maas_err *err)
{
    size_t at = slot_of(d, k);
    if (d->slots[at]) {
        d->keys[d->slots[at] - 1].count++;
        return MAAS_OK;
    }
    if (d->n >= MAX_KEYS)
        return maas_fail(err, MAAS_E_INVALID, "column '%s' has more than %d different values",
                         d->col->desc.name, MAX_KEYS);
    if (!maas_grow(&d->keys, &d->cap, (size_t)d->n + 1, sizeof *d->keys))
        return maas_fail(err, MAAS_E_NOMEM, "values of column '%s'", d->col->desc.name);
    d->keys[d->n] = *k;
    d->keys[d->n].count = 1;
    d->slots[at] = (uint32_t)++d->n;
    if ((size_t)d->n * 2 > d->n_slots && !rehash(d, d->n_slots * 2))
        return maas_fail(err, MAAS_E_NOMEM, "values of column '%s'", d->col->desc.name);
    return MAAS_OK;
}

static int by_value(const void *pa, const void *pb)
{
    const maas_key *a = pa, *b = pb;
    if (a->number != b->number)
        return a->number < b->number ? -1 : 1;
    size_t n = a->text.n < b->text.n ? a->text.n : b->text.n;
    int c = n ? memcmp(a->text.p, b->text.p, n) : 0;
    return c ? c : (a->text.n > b->text.n) - (a->text.n < b->text.n);
}

static int by_count(const void *pa, const void *pb)
{
    const maas_key *a = pa, *b = pb;
    return a->count != b->count ? (a->count > b->count ? -1 : 1) : by_value(pa, pb);
}

static maas_status start(maas_distinct *d, const maas_ds_column *col, maas_err *err)
{
    *d = (maas_distinct){.col = col};
    maas_random_bytes(&d->salt, sizeof d->salt);
    return rehash(d, 64) ? MAAS_OK
                         : maas_fail(err, MAAS_E_NOMEM, "values of column '%s'", col->desc.name);
}

/* Sorting moves keys: the slots are filled again. Same size, so an empty table is reused. */
static void resort(maas_distinct *d, int (*order)(const void *, const void *))
{
    if (d->n)
        qsort(d->keys, (size_t)d->n, sizeof *d->keys, order);
    memset(d->slots, 0, d->n_slots * sizeof *d->slots);
    for (int64_t i = 0; i < d->n; i++)
        d->slots[slot_of(d, &d->keys[i])] = (uint32_t)i + 1;
}

maas_status maas_distinct_build(maas_distinct *d, const maas_ds_column *col, const uint32_t *rows,
                                int64_t n, maas_err *err)
{
    MAAS_TRY(start(d, col, err));
    for (int64_t i = 0; i < n; i++) {
        maas_key k;
        if (key_of(d, rows ? rows[i] : i, &k))
            MAAS_TRY(count_key(d, &k, err));
    }
    resort(d, by_value);
    return MAAS_OK;
}

void maas_distinct_keep(maas_distinct *d, int64_t max)
{
    if (d->n <= max)
        return;
    qsort(d->keys, (size_t)d->n, sizeof *d->keys, by_count);
    d->n = max;
    resort(d, by_value);
}

maas_status maas_distinct_from(maas_distinct *d, const maas_ds_column *col, const maas_key *keys,
                               int64_t n, maas_err *err)
{
    MAAS_TRY(start(d, col, err));
    for (int64_t i = 0; i < n; i++)
        MAAS_TRY(count_key(d, &keys[i], err));
    return MAAS_OK;
}

int32_t maas_distinct_find(const maas_distinct *d, int64_t row)
{
    maas_key k;
    return key_of(d, row, &k) ? (int32_t)d->slots[slot_of(d, &k)] - 1 : -1;
}

void maas_distinct_reset(maas_distinct *d)
{
    maas_free(d->keys);
    maas_free(d->slots);
    *d = (maas_distinct){0};
}
