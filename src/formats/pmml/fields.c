/* Fields by name, and what they are in the model that is open. */
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "formats/pmml/pmml_int.h"
#include "base/ban.h"

static uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 m = (unsigned __int128)a * b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static size_t home_of(const pm *p, const char *name)
{
    uint64_t h = p->seed;
    for (; *name; name++)
        h = fold(h ^ (uint8_t)*name, 0xa0761d6478bd642full);
    return (size_t)h & (p->slots_cap - 1);
}

/* The slot of the name, or the free one where it would go. */
static size_t probe(const pm *p, const char *name)
{
    size_t i = home_of(p, name);
    while (p->slots[i] && strcmp(p->fields[p->slots[i] - 1].name, name) != 0)
        i = (i + 1) & (p->slots_cap - 1);
    return i;
}

static bool grow_slots(pm *p)
{
    const size_t cap = p->slots_cap ? p->slots_cap * 2 : 64;
    uint32_t *slots = maas_arena_array(p->arena, cap, sizeof *slots);
    if (!slots)
        return false;
    p->slots = slots;
    p->slots_cap = cap;
    for (uint32_t i = 0; i < p->n_fields; i++)
        p->slots[probe(p, p->fields[i].name)] = i + 1;
    return true;
}

maas_status pm_fields_init(pm *p)
{
    maas_random_bytes(&p->seed, sizeof p->seed);
    return grow_slots(p) ? MAAS_OK : pm_no_memory(p);
}

void pm_fields_reset(pm *p)
{
    maas_free(p->fields);
    maas_free(p->undo);
}

maas_status pm_field_intern(pm *p, const char *name, uint32_t *out)
{
    size_t at = probe(p, name);
    if (p->slots[at]) {
        *out = p->slots[at] - 1;
        return MAAS_OK;
    }
    if (p->n_fields == PM_MAX_FIELDS)
        return pm_fail(p, MAAS_E_TOO_LARGE, p->root, "more than %d fields", PM_MAX_FIELDS);
    if ((2 * (p->n_fields + 1u) > p->slots_cap && !grow_slots(p)) ||
        !maas_grow(&p->fields, &p->fields_cap, p->n_fields + 1u, sizeof *p->fields))
        return pm_no_memory(p);
    at = probe(p, name);
    p->fields[p->n_fields] = (pm_field){.name = name, .v = MAAS_NO_VALUE};
    p->slots[at] = ++p->n_fields;
    *out = p->n_fields - 1;
    return MAAS_OK;
}

maas_status pm_field_find(pm *p, const maas_xml *e, const char *attr, pm_field **out)
{
    const char *name = maas_xml_get(e, attr);
    uint32_t i;
    if (!name)
        return pm_missing(p, e, attr);
    MAAS_TRY(pm_field_intern(p, name, &i));
    *out = &p->fields[i];
    return (*out)->v != MAAS_NO_VALUE
               ? MAAS_OK
               : pm_fail(p, MAAS_E_FORMAT, e, "field '%.80s' is not known here", name);
}

maas_status pm_field_set(pm *p, const char *name, const pm_field *now)
{
    uint32_t i;
    MAAS_TRY(pm_field_intern(p, name, &i));
    if (!maas_grow(&p->undo, &p->undo_cap, p->n_undo + 1u, sizeof *p->undo))
        return pm_no_memory(p);
    p->undo[p->n_undo++] = (pm_undo){i, p->fields[i]};
    const pm_field was = p->fields[i];
    p->fields[i] = *now;
    p->fields[i].name = was.name;
    p->fields[i].declared = was.declared;
    return MAAS_OK;
}

uint32_t pm_enter(pm *p)
{
    return p->n_undo;
}

void pm_leave(pm *p, uint32_t mark)
{
    while (p->n_undo > mark) {
        const pm_undo *u = &p->undo[--p->n_undo];
        p->fields[u->field] = u->was;
    }
}

maas_status pm_class_of(pm *p, pm_classes *c, const char *name, uint32_t *out)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->name[i], name) == 0) {
            *out = (uint32_t)i;
            return MAAS_OK;
        }
    if (c->n == PM_MAX_FIELDS)
        return pm_fail(p, MAAS_E_TOO_LARGE, p->root, "more than %d labels", PM_MAX_FIELDS);
    if (c->n == c->cap) {
        const size_t cap = c->cap ? c->cap * 2 : 8;
        const char **more = pm_alloc(p, cap, sizeof *more);
        if (!more)
            return MAAS_E_NOMEM;
        if (c->n)
            memcpy(more, c->name, c->n * sizeof *more);
        c->name = more;
        c->cap = cap;
    }
    *out = (uint32_t)c->n;
    c->name[c->n++] = name;
    return MAAS_OK;
}
