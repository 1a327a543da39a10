#include "lm/engine/blocks.h"

#include <string.h>

#include "base/mem.h"
#include "ops/noise.h"
#include "base/ban.h"

typedef struct block {
    int32_t n_users;
    bool known;      /* in the table, by what follows          */
    uint64_t parent; /* the key of the block before, or a kind */
    uint64_t key;    /* of this one: of parent and tokens      */
    int32_t tokens[MAAS_PAGE];
    int32_t chain;        /* next in the table; -1                  */
    int32_t older, newer; /* among those without users; -1          */
} block;

struct maas_blocks {
    block *at; /* [n] */
    int32_t n, n_free, mask;
    int32_t oldest, newest; /* of those without users */
    int32_t *table;         /* [mask + 1] by key; -1 */
    uint64_t secret;        /* of the keys: nobody can make prompts whose keys meet */
};

/* ---- those without users, by age ---- */

static void leave(maas_blocks *b, int32_t i)
{
    block *x = &b->at[i];
    *(x->older >= 0 ? &b->at[x->older].newer : &b->oldest) = x->newer;
    *(x->newer >= 0 ? &b->at[x->newer].older : &b->newest) = x->older;
    b->n_free--;
}

static void join(maas_blocks *b, int32_t i, bool as_oldest)
{
    block *x = &b->at[i];
    x->older = as_oldest ? -1 : b->newest;
    x->newer = as_oldest ? b->oldest : -1;
    *(x->older >= 0 ? &b->at[x->older].newer : &b->oldest) = i;
    *(x->newer >= 0 ? &b->at[x->newer].older : &b->newest) = i;
    b->n_free++;
}

/* ---- the table ---- */

static uint64_t key_of(const maas_blocks *b, uint64_t parent, const int32_t *tokens)
{
    uint64_t h = maas_noise_mix(parent ^ b->secret);
    for (int i = 0; i < MAAS_PAGE; i++)
        h = maas_noise_mix(h ^ (uint32_t)tokens[i]) + b->secret;
    return h ? h : 1;
}

static uint64_t key_at(const maas_blocks *b, int32_t i, uint64_t kind)
{
    return i < 0 ? kind : b->at[i].key;
}

static int32_t look(const maas_blocks *b, uint64_t parent, uint64_t key, const int32_t *tokens)
{
    int32_t i = b->table[key & (uint64_t)b->mask];
    while (i >= 0 && !(b->at[i].key == key && b->at[i].parent == parent &&
                       memcmp(b->at[i].tokens, tokens, sizeof b->at[i].tokens) == 0))
        i = b->at[i].chain;
    return i;
}

static void forget(maas_blocks *b, int32_t i)
{
    if (!b->at[i].known)
        return;
    int32_t *p = &b->table[b->at[i].key & (uint64_t)b->mask];
    while (*p != i)
        p = &b->at[*p].chain;
    *p = b->at[i].chain;
    b->at[i].known = false;
}

/* ---- the interface ---- */

maas_status maas_blocks_create(int32_t n, maas_blocks **out, maas_err *err)
{
    int32_t size = 16;
    while (size < n)
        size *= 2;
    maas_blocks *b = maas_calloc(1, sizeof *b);
    if (b) {
        *b = (maas_blocks){.n = n, .mask = size - 1, .oldest = -1, .newest = -1};
        b->at = maas_calloc((size_t)n, sizeof *b->at);
        b->table = maas_alloc((size_t)size * sizeof *b->table);
    }
    if (!b || !b->at || !b->table) {
        maas_blocks_destroy(b);
        return maas_fail(err, MAAS_E_NOMEM, "%d blocks of a cache", n);
    }
    maas_random_bytes(&b->secret, sizeof b->secret);
    for (int32_t i = 0; i < size; i++)
        b->table[i] = -1;
    for (int32_t i = 0; i < n; i++)
        join(b, i, false);
    *out = b;
    return MAAS_OK;
}

void maas_blocks_destroy(maas_blocks *b)
{
    if (!b)
        return;
    maas_free(b->at);
    maas_free(b->table);
    maas_free(b);
}

int32_t maas_blocks_take(maas_blocks *b)
{
    const int32_t i = b->oldest;
    if (i < 0)
        return -1;
    leave(b, i);
    forget(b, i);
    b->at[i].n_users = 1;
    return i;
}

void maas_blocks_give(maas_blocks *b, int32_t i)
{
    MAAS_ASSERT(b->at[i].n_users > 0);
    if (--b->at[i].n_users == 0)
        join(b, i, !b->at[i].known); /* what nobody can find goes first */
}

int32_t maas_blocks_find(maas_blocks *b, int32_t parent, uint64_t kind, const int32_t *tokens)
{
    const uint64_t up = key_at(b, parent, kind);
    const int32_t i = look(b, up, key_of(b, up, tokens), tokens);
    if (i >= 0 && b->at[i].n_users++ == 0)
        leave(b, i);
    return i;
}

int32_t maas_blocks_fill(maas_blocks *b, int32_t i, int32_t parent, uint64_t kind,
                         const int32_t *tokens)
{
    const int32_t same = maas_blocks_find(b, parent, kind, tokens);
    if (same >= 0) {
        maas_blocks_give(b, i);
        return same;
    }
    block *x = &b->at[i];
    x->parent = key_at(b, parent, kind);
    x->key = key_of(b, x->parent, tokens);
    memcpy(x->tokens, tokens, sizeof x->tokens);
    x->chain = b->table[x->key & (uint64_t)b->mask];
    b->table[x->key & (uint64_t)b->mask] = i;
    x->known = true;
    return i;
}

int32_t maas_blocks_n_free(const maas_blocks *b)
{
    return b->n_free;
}
