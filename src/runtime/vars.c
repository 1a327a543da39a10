#include "runtime/plan.h"

#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

struct maas_vars {
    maas_arena arena;
    uint32_t n;
    const char **names;
    maas_tensor *at;
};

/* Zeros of its own: pages that nobody writes to take no memory, and no time. */
typedef struct zeros {
    void *p;
    maas_budget *budget;
    size_t bytes;
} zeros;

static void give_zeros(void *arg)
{
    zeros *z = arg;
    maas_free(z->p);
    maas_budget_give(z->budget, z->bytes);
}

static void *make_zeros(maas_vars *v, size_t bytes)
{
    zeros *z = maas_arena_alloc(&v->arena, sizeof *z);
    if (!z || (v->arena.budget && !maas_budget_take(v->arena.budget, bytes)))
        return NULL;
    *z = (zeros){maas_calloc(1, bytes + 64), v->arena.budget, v->arena.budget ? bytes : 0};
    if (!z->p || !maas_arena_defer(&v->arena, give_zeros, z)) {
        give_zeros(z);
        return NULL;
    }
    return (void *)(((uintptr_t)z->p + 63) & ~(uintptr_t)63);
}

static maas_status copy_first(maas_vars *v, uint32_t i, const maas_value *value, maas_err *err)
{
    size_t bytes;
    const maas_tensor *init = &value->init;
    MAAS_TRY(maas_shape_bytes((maas_dtype)init->dtype, init->dims, init->rank, &bytes, err));
    v->names[i] = maas_arena_strdup(&v->arena, value->name);
    v->at[i] = *init;
    /* rounded up to a cache line, so that the updates of two variables never meet in one */
    const size_t room = (bytes + 63) / 64 * 64 + 64;
    v->at[i].data = init->data ? maas_arena_alloc(&v->arena, room) : make_zeros(v, room);
    if (!v->names[i] || !v->at[i].data)
        return maas_fail(err, MAAS_E_NOMEM, "variable '%s' of %zu bytes", value->name, bytes);
    if (bytes && init->data)
        memcpy(v->at[i].data, init->data, bytes);
    return MAAS_OK;
}

static maas_status fill(maas_vars *v, const maas_graph *g, maas_err *err)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < g->n_values; i++)
        n += (g->values[i].flags & MAAS_VALUE_VARIABLE) != 0;
    v->names = maas_arena_array(&v->arena, n, sizeof *v->names);
    v->at = maas_arena_array(&v->arena, n, sizeof *v->at);
    if (!v->names || !v->at)
        return maas_fail(err, MAAS_E_NOMEM, "%u variables", n);
    for (uint32_t i = 0; i < g->n_values; i++)
        if (g->values[i].flags & MAAS_VALUE_VARIABLE) {
            MAAS_TRY(copy_first(v, v->n, &g->values[i], err));
            v->n++;
        }
    return MAAS_OK;
}

maas_status maas_vars_create(const maas_graph *g, maas_budget *budget, maas_vars **out,
                             maas_err *err)
{
    maas_vars *v = maas_calloc(1, sizeof *v);
    if (!v)
        return maas_fail(err, MAAS_E_NOMEM, "variables");
    maas_arena_init(&v->arena, budget);
    maas_status st = fill(v, g, err);
    if (st != MAAS_OK) {
        maas_vars_destroy(v);
        return st;
    }
    *out = v;
    return MAAS_OK;
}

void maas_vars_destroy(maas_vars *v)
{
    if (!v)
        return;
    maas_arena_reset(&v->arena);
    maas_free(v);
}

maas_tensor *maas_vars_find(maas_vars *v, const char *name)
{
    for (uint32_t i = 0; i < v->n; i++)
        if (strcmp(v->names[i], name) == 0)
            return &v->at[i];
    return NULL;
}

uint32_t maas_vars_n(const maas_vars *v)
{
    return v->n;
}

maas_tensor *maas_vars_at(maas_vars *v, uint32_t i, const char **out_name)
{
    MAAS_CHECK(i < v->n);
    if (out_name)
        *out_name = v->names[i];
    return &v->at[i];
}
