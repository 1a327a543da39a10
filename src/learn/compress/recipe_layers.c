/* learn/compress/recipe_layers.c - which layers went, and the same recipe without them. */
#include "learn/compress/recipe_layers.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "learn/compress/step.h"
#include "learn/matrix.h"
#include "base/ban.h"

enum { STAYS, GONE, LEFT_OPEN }; /* LEFT_OPEN: its weights went, nothing explains it yet */

typedef struct following {
    maas_graph *g;
    json_t *layers;
    int n;
    uint8_t *state;
    bool *seen; /* [n] scratch of walks */
} following;

static const char *type_of(const following *f, int i)
{
    const char *t = json_string_value(
        json_object_get(json_array_get(f->layers, (size_t)i), "type"));
    return t ? t : "";
}

/* Weights of layer i: some, and all of them unread. */
static bool weights_went(const following *f, int i)
{
    char prefix[32];
    const size_t n = (size_t)snprintf(prefix, sizeof prefix, "layers.%d.", i);
    bool some = false, read = false;
    for (uint32_t v = 0; v < f->g->n_values; v++)
        if ((f->g->values[v].flags & MAAS_VALUE_CONST) &&
            strncmp(f->g->values[v].name, prefix, n) == 0) {
            some = true;
            read |= maas_graph_n_uses(f->g, (maas_vid)v) > 0;
        }
    return some && !read;
}

/* ---- a chain: what works on each number alone went with the layer before it ---- */

static bool goes_along(const char *type)
{
    static const char *const along[] = {"activation", "dropout", "batch_norm"};
    for (size_t i = 0; i < MAAS_COUNT(along); i++)
        if (strcmp(along[i], type) == 0)
            return true;
    return false;
}

static void drop_from_chain(following *f)
{
    for (int i = 0; i < f->n; i++)
        if (f->state[i] == LEFT_OPEN) {
            f->state[i] = GONE;
            for (int k = i + 1; k < f->n && goes_along(type_of(f, k)); k++)
                f->state[k] = GONE;
        }
}

/* ---- wires: a sum whose one side went reads the other alone ---- */

/* Input k of layer i: its number, -1 for what the network gets; -2: there is none. */
static int input_of(const following *f, int i, size_t k)
{
    const json_t *list = json_object_get(json_array_get(f->layers, (size_t)i), "inputs");
    if (!list)
        return k == 0 ? i - 1 : -2;
    const char *name = json_string_value(json_array_get(list, k));
    for (int at = i - 1; name && at >= 0; at--) {
        const char *other = json_string_value(
            json_object_get(json_array_get(f->layers, (size_t)at), "name"));
        if (other && strcmp(other, name) == 0)
            return at;
    }
    return name && strcmp(name, "input") == 0 ? -1 : -2;
}

/* Everything between `to` and `from` (included) has lost its weights or has none, and some have. */
static bool side_went(const following *f, int from, int to)
{
    bool some = false;
    memset(f->seen, 0, (size_t)f->n * sizeof *f->seen);
    if (from <= to)
        return false;
    f->seen[from] = true;
    for (int i = from; i > to; i--) {
        if (!f->seen[i])
            continue;
        some |= f->state[i] == LEFT_OPEN;
        if (f->state[i] == STAYS && !goes_along(type_of(f, i)) && strcmp(type_of(f, i), "add") != 0)
            return false;
        for (size_t k = 0; input_of(f, i, k) != -2; k++) {
            const int in = input_of(f, i, k);
            if (in < to)
                return false;
            if (in >= 0)
                f->seen[in] = true;
        }
    }
    return some;
}

static maas_status drop_side(following *f, int sum, int from, int to, maas_err *err)
{
    json_t *layer = json_array_get(f->layers, (size_t)sum);
    const json_t *kept = NULL;
    for (size_t k = 0; k < 2; k++)
        if (input_of(f, sum, k) == to)
            kept = json_array_get(json_object_get(layer, "inputs"), k);
    for (int i = from; i > to; i--)
        if (f->seen[i])
            f->state[i] = GONE;
    json_t *in = kept ? json_pack("[O]", kept) : NULL;
    json_t *now = in ? json_pack("{s:s, s:s, s:o, s:O*}", "type", "activation", "function", "none",
                                 "inputs", in, "name", json_object_get(layer, "name"))
                     : NULL;
    return now && json_array_set_new(f->layers, (size_t)sum, now) == 0
               ? MAAS_OK
               : maas_fail(err, MAAS_E_NOMEM, "memory for a recipe");
}

static maas_status drop_from_wires(following *f, maas_err *err)
{
    for (int i = 0; i < f->n; i++) {
        if (strcmp(type_of(f, i), "add") != 0 || f->state[i] == GONE || input_of(f, i, 2) != -2)
            continue;
        const int a = input_of(f, i, 0), b = input_of(f, i, 1);
        const int from = a > b ? a : b, to = a > b ? b : a;
        if (side_went(f, from, to))
            MAAS_TRY(drop_side(f, i, from, to, err));
    }
    return MAAS_OK;
}

/* ---- new numbers ---- */

static maas_status rename_weights(following *f, int old, int now, maas_err *err)
{
    char prefix[32];
    const size_t n = (size_t)snprintf(prefix, sizeof prefix, "layers.%d.", old);
    for (uint32_t v = 0; v < f->g->n_values; v++) {
        const char *name = f->g->values[v].name;
        if (strncmp(name, prefix, n) != 0)
            continue;
        const char *other = now < 0
                                ? NULL
                                : maas_arena_printf(&f->g->arena, "layers.%d.%s", now, name + n);
        if (now >= 0 && !other)
            return maas_fail(err, MAAS_E_NOMEM, "memory for a recipe");
        MAAS_TRY(maas_graph_rename(f->g, (maas_vid)v, other, err));
    }
    return MAAS_OK;
}

/* In rising order a new name is always free. */
static maas_status renumber(following *f, maas_err *err)
{
    int now = 0;
    for (int i = 0; i < f->n; i++) {
        if (f->state[i] == GONE)
            MAAS_TRY(rename_weights(f, i, -1, err));
        else if (now++ != i)
            MAAS_TRY(rename_weights(f, i, now - 1, err));
    }
    for (int i = f->n - 1; i >= 0; i--)
        if (f->state[i] == GONE)
            json_array_remove(f->layers, (size_t)i);
    return MAAS_OK;
}

static bool is_wired(const following *f)
{
    for (int i = 0; i < f->n; i++)
        if (json_object_get(json_array_get(f->layers, (size_t)i), "inputs"))
            return true;
    return false;
}

static maas_status follow(following *f, json_t *recipe, const char *step, maas_err *err)
{
    for (int i = 0; i < f->n; i++)
        f->state[i] = weights_went(f, i) ? LEFT_OPEN : STAYS;
    if (is_wired(f))
        MAAS_TRY(drop_from_wires(f, err));
    else
        drop_from_chain(f);
    for (int i = 0; i < f->n; i++)
        if (f->state[i] == LEFT_OPEN)
            return maas_compress_end_training(f->g, step, err);
    MAAS_TRY(renumber(f, err));
    return maas_model_set_meta(f->g, "maas.recipe", json_incref(recipe), err);
}

/* Any graph can be gone on from by its learner: it names no layers. */
static bool is_of_graphs(const json_t *recipe)
{
    const maas_learner *l = maas_learner_find(
        json_string_value(json_object_get(recipe, "learner")));
    return l && l->any_parent;
}

maas_status maas_recipe_follow(maas_graph *g, const char *step, maas_err *err)
{
    AUTO(maas_json_unref) json_t *recipe = NULL;
    const char *text = maas_graph_meta(g, "maas.recipe");
    if (!text)
        return MAAS_OK;
    MAAS_TRY(maas_json_parse(maas_span_str(text), &recipe, err));
    following f = {.g = g, .layers = json_object_get(json_object_get(recipe, "params"), "layers")};
    f.n = (int)json_array_size(f.layers);
    if (json_object_get(recipe, "compressed") || is_of_graphs(recipe))
        return MAAS_OK;
    if (!f.n)
        return maas_compress_end_training(g, step, err);
    AUTO_FREE uint8_t *state = maas_calloc((size_t)f.n, sizeof *state);
    AUTO_FREE bool *seen = maas_calloc((size_t)f.n, sizeof *seen);
    if (!state || !seen)
        return maas_fail(err, MAAS_E_NOMEM, "memory for a recipe");
    f.state = state;
    f.seen = seen;
    return follow(&f, recipe, step, err);
}

/* ---- layers that got narrower ---- */

/* The layer of the recipe whose weights have this name. */
static json_t *layer_of(const json_t *recipe, const char *weight)
{
    size_t i;
    json_t *layer;
    json_array_foreach(json_object_get(json_object_get(recipe, "params"), "layers"), i, layer)
    {
        char name[48];
        snprintf(name, sizeof name, "layers.%zu.weight", i);
        if (strcmp(name, weight) == 0)
            return layer;
    }
    return NULL;
}

maas_status maas_recipe_width(maas_graph *g, const char *weight, int64_t width, const char *step,
                              maas_err *err)
{
    AUTO(maas_json_unref) json_t *recipe = NULL;
    const char *text = maas_graph_meta(g, "maas.recipe");
    if (!text)
        return MAAS_OK;
    MAAS_TRY(maas_json_parse(maas_span_str(text), &recipe, err));
    if (json_object_get(recipe, "compressed") || is_of_graphs(recipe))
        return MAAS_OK;
    json_t *l = layer_of(recipe, weight);
    if (!l)
        return maas_compress_end_training(g, step, err);
    json_object_set_new(l, json_object_get(l, "filters") ? "filters" : "units",
                        json_integer((json_int_t)width));
    return maas_model_set_meta(g, "maas.recipe", json_incref(recipe), err);
}
