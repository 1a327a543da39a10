#include "lm/engine/states.h"

#include <stdbool.h>
#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

typedef struct state {
    bool taken;
    uint64_t kind;
    uint64_t age;    /* when it was given back */
    int32_t *tokens; /* [n] that it holds; NULL: nothing */
    uint32_t n;
} state;

struct maas_states {
    state *at; /* [n] */
    int32_t n, n_free;
    uint64_t now;
};

maas_status maas_states_create(int32_t n, maas_states **out, maas_err *err)
{
    maas_states *s = maas_calloc(1, sizeof *s);
    if (s) {
        s->at = maas_calloc((size_t)n, sizeof *s->at);
        s->n = s->n_free = n;
    }
    if (!s || !s->at) {
        maas_states_destroy(s);
        return maas_fail(err, MAAS_E_NOMEM, "%d states", n);
    }
    *out = s;
    return MAAS_OK;
}

void maas_states_destroy(maas_states *s)
{
    if (!s)
        return;
    for (int32_t i = 0; s->at && i < s->n; i++)
        maas_free(s->at[i].tokens);
    maas_free(s->at);
    maas_free(s);
}

static bool begins_with(const state *x, uint64_t kind, const int32_t *tokens, uint32_t n)
{
    return x->n && x->n < n && x->kind == kind &&
           memcmp(x->tokens, tokens, x->n * sizeof *tokens) == 0;
}

int32_t maas_states_take(maas_states *s, uint64_t kind, const int32_t *tokens, uint32_t n,
                         uint32_t *past)
{
    int32_t best = -1, spare = -1;
    for (int32_t i = 0; i < s->n; i++) {
        const state *x = &s->at[i];
        if (x->taken)
            continue;
        if (begins_with(x, kind, tokens, n) && (best < 0 || x->n > s->at[best].n))
            best = i;
        if (spare < 0 || x->age < s->at[spare].age) /* one that is empty has no age */
            spare = i;
    }
    *past = best >= 0 ? s->at[best].n : 0;
    best = best >= 0 ? best : spare;
    if (best < 0)
        return -1;
    maas_free(s->at[best].tokens);
    s->at[best] = (state){.taken = true};
    s->n_free--;
    return best;
}

void maas_states_give(maas_states *s, int32_t i, uint64_t kind, const int32_t *tokens, uint32_t n)
{
    state *x = &s->at[i];
    *x = (state){0};
    s->n_free++;
    if (!n || n > MAAS_STATES_MAX_KEPT)
        return;
    x->tokens = maas_alloc(n * sizeof *tokens);
    if (!x->tokens)
        return;
    memcpy(x->tokens, tokens, n * sizeof *tokens);
    x->n = n;
    x->kind = kind;
    x->age = ++s->now;
}

int32_t maas_states_n_free(const maas_states *s)
{
    return s->n_free;
}
