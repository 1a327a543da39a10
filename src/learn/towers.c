/* learn/towers.c - columns dealt to query and candidate. */
#include "learn/towers.h"

#include "base/ban.h"

static const struct {
    const char *name;
    int tower;
} sides[] = {{"query", MAAS_TOWER_QUERY}, {"candidate", MAAS_TOWER_CANDIDATE}};

static maas_status check_side(const json_t *names, const char *side, maas_err *err)
{
    if (!json_is_array(names) || json_array_size(names) == 0)
        return maas_fail(err, MAAS_E_INVALID, "params.towers.%s must list names of columns", side);
    for (size_t i = 0; i < json_array_size(names); i++)
        if (!json_is_string(json_array_get(names, i)))
            return maas_fail(err, MAAS_E_INVALID, "params.towers.%s[%zu] must be text", side, i);
    return MAAS_OK;
}

static maas_status check_form(const json_t *towers, maas_err *err)
{
    if (!json_is_object(towers) || json_object_size(towers) == 0)
        return maas_fail(err, MAAS_E_INVALID,
                         "params.towers must be an object of query and candidate, each a list of "
                         "columns");
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)towers, key, v)
    {
        bool known = false;
        for (size_t i = 0; i < MAAS_COUNT(sides); i++)
            known |= strcmp(key, sides[i].name) == 0;
        if (!known)
            return maas_fail(err, MAAS_E_INVALID,
                             "params.towers.%.60s: the sides are query and candidate", key);
        MAAS_TRY(check_side(v, key, err));
    }
    return MAAS_OK;
}

maas_status maas_towers_check(const maas_recipe *r, maas_err *err)
{
    for (size_t i = 0; i < MAAS_COUNT(sides); i++)
        if (!r->towers && maas_layers_read_tower(r, sides[i].tower))
            return maas_fail(err, MAAS_E_INVALID,
                             "params.towers is missing: a layer of fields reads tower %s, so name "
                             "the columns of query and candidate",
                             sides[i].name);
    if (!r->towers && r->negatives > 0)
        return maas_fail(err, MAAS_E_INVALID,
                         "params.negatives needs params.towers: which columns are the candidate");
    if (!r->towers)
        return MAAS_OK;
    if (!maas_layers_have_fields(r))
        return maas_fail(err, MAAS_E_INVALID, "params.towers needs a layer of fields");
    return check_form(r->towers, err);
}

static maas_status claim(maas_features *fs, const char *name, int tower, const char *side,
                         maas_err *err)
{
    for (uint32_t i = 0; i < fs->n; i++) {
        maas_feature *f = &fs->f[i];
        if (strcmp(f->col->desc.name, name) != 0)
            continue;
        if (f->tower != MAAS_TOWER_ALL)
            return maas_fail(err, MAAS_E_INVALID, "params.towers.%s: column '%.100s' comes twice",
                             side, name);
        f->tower = tower;
        return MAAS_OK;
    }
    return maas_fail(err, MAAS_E_INVALID, "params.towers.%s: there is no column '%.100s'", side,
                     name);
}

maas_status maas_towers_assign(maas_features *fs, const json_t *towers, maas_err *err)
{
    int rest = MAAS_TOWER_ALL;
    bool seen[MAAS_N_TOWERS] = {false};
    for (size_t k = 0; k < MAAS_COUNT(sides); k++) {
        const json_t *names = json_object_get(towers, sides[k].name);
        if (!names)
            rest = sides[k].tower;
        for (size_t i = 0; i < json_array_size(names); i++)
            MAAS_TRY(claim(fs, json_string_value(json_array_get(names, i)), sides[k].tower,
                           sides[k].name, err));
    }
    for (uint32_t i = 0; i < fs->n; i++) {
        maas_feature *f = &fs->f[i];
        if (f->tower == MAAS_TOWER_ALL && rest == MAAS_TOWER_ALL)
            return maas_fail(err, MAAS_E_INVALID,
                             "params.towers: column '%.100s' is on neither side; a side that is "
                             "left out takes all others",
                             f->col->desc.name);
        f->tower = f->tower == MAAS_TOWER_ALL ? rest : f->tower;
        seen[f->tower] = true;
    }
    for (size_t k = 0; k < MAAS_COUNT(sides); k++)
        if (!seen[sides[k].tower])
            return maas_fail(err, MAAS_E_INVALID, "params.towers: no column is left for %s",
                             sides[k].name);
    return MAAS_OK;
}
