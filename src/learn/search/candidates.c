/* learn/search/candidates.c - grids and distributions become lists of parameters. */
#include "learn/search/candidates.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "base/ban.h"

static maas_status no_memory(maas_err *err)
{
    return maas_fail(err, MAAS_E_NOMEM, "memory for the candidates of a search");
}

maas_status maas_params_set(json_t *params, const char *name, const json_t *v, maas_err *err)
{
    const char *dot;
    for (; (dot = strchr(name, '.')); name = dot + 1) {
        AUTO_FREE char *key = maas_strndup(name, (size_t)(dot - name));
        if (!key)
            return no_memory(err);
        json_t *inner = json_object_get(params, key);
        if (!inner && json_object_set_new(params, key, inner = json_object()) != 0)
            return no_memory(err);
        if (!json_is_object(inner))
            return maas_fail(err, MAAS_E_INVALID,
                             "'%.64s' is no object of parameters, so '%.64s' cannot be set", key,
                             dot + 1);
        params = inner;
    }
    if (!*name || json_object_set_new(params, name, json_deep_copy(v)) != 0)
        return maas_fail(err, MAAS_E_INVALID, "a parameter of the search has no name");
    return MAAS_OK;
}

maas_status maas_candidates_add(maas_candidates *c, const char *learner, const json_t *base,
                                const json_t *point, maas_err *err)
{
    const char *name;
    json_t *v;
    if (c->n == MAAS_MAX_CANDIDATES)
        return maas_fail(err, MAAS_E_INVALID, "the search has more than %d candidates",
                         MAAS_MAX_CANDIDATES);
    AUTO(maas_json_unref) json_t *params = base ? json_deep_copy(base) : json_object();
    AUTO(maas_json_unref) json_t *own = json_deep_copy(point);
    if (!params || !own || !maas_grow(&c->at, &c->cap, c->n + 1, sizeof *c->at))
        return no_memory(err);
    json_object_foreach(own, name, v) MAAS_TRY(maas_params_set(params, name, v, err));
    c->at[c->n++] = (maas_candidate){learner, STEAL(params), STEAL(own)};
    return MAAS_OK;
}

void maas_candidates_reset(maas_candidates *c)
{
    for (size_t i = 0; i < c->n; i++) {
        json_decref(c->at[i].params);
        json_decref(c->at[i].point);
    }
    maas_free(c->at);
    *c = (maas_candidates){0};
}

/* ---- names of an object in sorted order ---- */

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static maas_status names_of(const json_t *o, const char ***out, size_t *out_n, maas_err *err)
{
    const char *name;
    json_t *v;
    size_t n = 0;
    const char **names = maas_calloc(json_object_size(o) + 1, sizeof *names);
    if (!names)
        return no_memory(err);
    json_object_foreach((json_t *)o, name, v) names[n++] = name;
    qsort(names, n, sizeof *names, by_bytes);
    *out = names;
    *out_n = n;
    return MAAS_OK;
}

/* ---- grids ---- */

static maas_status one_grid(const json_t *grid, const char *learner, const json_t *base,
                            maas_candidates *out, maas_err *err)
{
    AUTO_FREE const char **names = NULL;
    size_t n;
    if (!json_is_object(grid))
        return maas_fail(err, MAAS_E_INVALID,
                         "'search.param_grid' must be an object of lists, or a list of such");
    MAAS_TRY(names_of(grid, &names, &n, err));
    AUTO_FREE size_t *at = maas_calloc(n + 1, sizeof *at);
    if (!at)
        return no_memory(err);
    for (size_t i = 0; i < n; i++)
        if (json_array_size(json_object_get(grid, names[i])) == 0)
            return maas_fail(err, MAAS_E_INVALID,
                             "'search.param_grid.%.64s' must be a list of values", names[i]);
    for (;;) {
        AUTO(maas_json_unref) json_t *point = json_object();
        for (size_t i = 0; i < n; i++)
            json_object_set(point, names[i],
                            json_array_get(json_object_get(grid, names[i]), at[i]));
        MAAS_TRY(maas_candidates_add(out, learner, base, point, err));
        size_t i = n;
        while (i > 0 && ++at[i - 1] == json_array_size(json_object_get(grid, names[i - 1])))
            at[--i] = 0;
        if (i == 0)
            return MAAS_OK;
    }
}

maas_status maas_candidates_grid(const json_t *grid, const char *learner, const json_t *base,
                                 maas_candidates *out, maas_err *err)
{
    if (!json_is_array(grid))
        return one_grid(grid, learner, base, out, err);
    for (size_t i = 0; i < json_array_size(grid); i++)
        MAAS_TRY(one_grid(json_array_get(grid, i), learner, base, out, err));
    return out->n ? MAAS_OK : maas_fail(err, MAAS_E_INVALID, "'search.param_grid' is empty");
}

/* ---- distributions ---- */

static json_t *draw_uniform(maas_rng *rng, double low, double high)
{
    return json_real(low + (high - low) * maas_rng_unit(rng));
}

static json_t *draw_loguniform(maas_rng *rng, double low, double high)
{
    return json_real(exp(log(low) + (log(high) - log(low)) * maas_rng_unit(rng)));
}

static json_t *draw_randint(maas_rng *rng, double low, double high)
{
    return json_integer((json_int_t)low + (json_int_t)maas_rng_below(rng, (uint64_t)(high - low)));
}

static const struct distribution {
    const char *name;
    json_t *(*draw)(maas_rng *rng, double low, double high);
    bool positive, whole;
} distributions[] = {
    {"uniform", draw_uniform, false, false},
    {"loguniform", draw_loguniform, true, false},
    {"randint", draw_randint, false, true},
};

#define MAX_WHOLE 9007199254740992.0

/* {"loguniform":[low, high]} */
static maas_status read_distribution(const char *name, const json_t *d,
                                     const struct distribution **out, double *low, double *high,
                                     maas_err *err)
{
    for (size_t i = 0; i < MAAS_COUNT(distributions); i++) {
        const json_t *range = json_object_get(d, distributions[i].name);
        if (!range)
            continue;
        *out = &distributions[i];
        *low = json_number_value(json_array_get(range, 0));
        *high = json_number_value(json_array_get(range, 1));
        const bool ends = json_array_size(range) == 2 && json_is_number(json_array_get(range, 0)) &&
                          json_is_number(json_array_get(range, 1)) && *low < *high;
        const bool whole = !distributions[i].whole ||
                           (floor(*low) == *low && floor(*high) == *high &&
                            fabs(*low) <= MAX_WHOLE && fabs(*high) <= MAX_WHOLE);
        if (json_object_size(d) == 1 && ends && whole && (*low > 0 || !distributions[i].positive))
            return MAAS_OK;
        return maas_fail(err, MAAS_E_INVALID,
                         "'search.distributions.%.64s' must be {\"%s\":[low, high]}, low < high%s",
                         name, distributions[i].name,
                         distributions[i].positive ? ", both above 0"
                         : distributions[i].whole  ? ", both whole numbers"
                                                   : "");
    }
    return maas_fail(
        err, MAAS_E_INVALID,
        "'search.distributions.%.64s' must be a list, or one of uniform, loguniform, randint with "
        "[low, high]",
        name);
}

static maas_status draw_value(const char *name, const json_t *d, maas_rng *rng, json_t **out,
                              maas_err *err)
{
    const struct distribution *kind = NULL;
    double low = 0, high = 0;
    if (json_array_size(d)) {
        *out = json_deep_copy(json_array_get(d, (size_t)maas_rng_below(rng, json_array_size(d))));
    } else {
        MAAS_TRY(read_distribution(name, d, &kind, &low, &high, err));
        *out = kind->draw(rng, low, high);
    }
    return *out ? MAAS_OK : no_memory(err);
}

maas_status maas_candidates_draw(const json_t *from, int64_t n, uint64_t seed, const char *learner,
                                 const json_t *base, maas_candidates *out, maas_err *err)
{
    AUTO_FREE const char **names = NULL;
    size_t n_names;
    maas_rng rng;
    if (!json_is_object(from) || json_object_size(from) == 0)
        return maas_fail(err, MAAS_E_INVALID,
                         "'search.distributions' must be an object of lists and distributions");
    MAAS_TRY(names_of(from, &names, &n_names, err));
    maas_rng_seed(&rng, seed);
    for (int64_t k = 0; k < n; k++) {
        AUTO(maas_json_unref) json_t *point = json_object();
        for (size_t i = 0; i < n_names; i++) {
            json_t *v = NULL;
            MAAS_TRY(draw_value(names[i], json_object_get(from, names[i]), &rng, &v, err));
            json_object_set_new(point, names[i], v);
        }
        MAAS_TRY(maas_candidates_add(out, learner, base, point, err));
    }
    return MAAS_OK;
}
