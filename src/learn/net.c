/* learn/net.c - weights and their first values; the walk over the layers of a recipe. */
#include "learn/net.h"

#include <math.h>
#include <stdio.h>

#include "base/mem.h"

#include "base/ban.h"

const char *const maas_init_names[] = {
    "auto",         "he_normal", "he_uniform", "glorot_normal", "glorot_uniform",
    "lecun_normal", "normal",    "zeros",      "ones",          NULL};

maas_status maas_net_init(maas_net *net, maas_graph *g, const maas_recipe *r, maas_err *err)
{
    *net = (maas_net){.recipe = r,
                      .prefix = "layers",
                      .vectors = {MAAS_NO_VALUE, MAAS_NO_VALUE},
                      .lens = MAAS_NO_VALUE};
    maas_builder_init(&net->b, g, err);
    return maas_graph_symbol(g, "batch", &net->batch, err);
}

void maas_net_reset(maas_net *net)
{
    maas_free(net->weights);
    maas_free(net->masks);
    net->weights = NULL;
    net->masks = NULL;
    net->n_weights = net->n_masks = net->cap_weights = net->cap_masks = 0;
}

void maas_net_fail(maas_net *net, maas_status st, const char *fmt, ...)
{
    if (net->b.status != MAAS_OK)
        return;
    char words[240];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    net->b.status = maas_fail(net->b.err, st, "%s", words);
}

int64_t maas_net_row(const maas_net *net, maas_vid v)
{
    const maas_type *t = maas_b_type(&net->b, v);
    return t && t->rank > 0 ? maas_dims_product(t->dims, 1, t->rank) : 1;
}

/* How the first values are spread: uniform in [-limit, limit], or normal with a deviation. */
static void spread(maas_init init, double in, double out, double *limit, double *deviation)
{
    *limit = *deviation = 0;
    switch (init) {
    case MAAS_INIT_HE_NORMAL:
        *deviation = sqrt(2.0 / in);
        break;
    case MAAS_INIT_HE_UNIFORM:
        *limit = sqrt(6.0 / in);
        break;
    case MAAS_INIT_GLOROT_NORMAL:
        *deviation = sqrt(2.0 / (in + out));
        break;
    case MAAS_INIT_LECUN_NORMAL:
        *deviation = sqrt(1.0 / in);
        break;
    case MAAS_INIT_NORMAL:
        *deviation = 0.05;
        break;
    default:
        *limit = sqrt(6.0 / (in + out));
    }
}

static void draw(maas_rng *rng, maas_init init, double in, double out, float *w, size_t n)
{
    double limit, deviation;
    spread(init, in, out, &limit, &deviation);
    for (size_t i = 0; i < n; i++)
        w[i] = deviation > 0 ? (float)(deviation * maas_rng_normal(rng))
                             : (float)(limit * (2 * maas_rng_unit(rng) - 1));
}

/* The parent's tensor of this name, when it has the same shape. */
static const maas_tensor *inherited(maas_net *net, const char *name, const maas_tensor *shape)
{
    if (!net->parent)
        return NULL;
    maas_vid v = maas_graph_find(net->parent, name);
    const maas_tensor *t = v == MAAS_NO_VALUE ? NULL : &maas_graph_at(net->parent, v)->init;
    if (t && t->data && t->dtype == MAAS_F32 && maas_shape_eq(t, shape))
        return t;
    maas_net_fail(net, MAAS_E_CONFLICT, "the parent version has no weight '%s' of this shape",
                  name);
    return NULL;
}

static maas_vid add_variable(maas_net *net, const char *name, const maas_tensor *first)
{
    maas_vid v = MAAS_NO_VALUE;
    maas_status st = maas_graph_variable(net->b.g, name, first, true, &v, net->b.err);
    if (st != MAAS_OK)
        net->b.status = st;
    return v;
}

static maas_vid fresh(maas_net *net, const char *name, maas_tensor *t, maas_init init, double in,
                      double out)
{
    size_t n = 0;
    maas_status st = maas_shape_bytes(MAAS_F32, t->dims, t->rank, &n, net->b.err);
    AUTO_FREE float *w = st == MAAS_OK ? maas_calloc(n ? n : 1, 1) : NULL;
    if (!w) {
        maas_net_fail(net, st == MAAS_OK ? MAAS_E_NOMEM : st, "no memory for weight '%s'", name);
        return MAAS_NO_VALUE;
    }
    n /= sizeof *w;
    if (init == MAAS_INIT_ONES)
        for (size_t i = 0; i < n; i++)
            w[i] = 1;
    else if (init != MAAS_INIT_ZEROS && net->rng)
        draw(net->rng, init, in, out, w, n);
    t->data = w;
    return add_variable(net, name, t);
}

static maas_vid variable(maas_net *net, const char *name, int rank, const int64_t *dims,
                         maas_init init, double in, double out)
{
    if (net->b.status != MAAS_OK)
        return MAAS_NO_VALUE;
    maas_tensor t = maas_tensor_of(MAAS_F32, rank, dims, NULL);
    const maas_tensor *old = inherited(net, name, &t);
    if (net->b.status != MAAS_OK)
        return MAAS_NO_VALUE;
    return old ? add_variable(net, name, old) : fresh(net, name, &t, init, in, out);
}

bool maas_net_weight_known(maas_net *net, maas_vid id, bool decay)
{
    if (!maas_grow(&net->weights, &net->cap_weights, net->n_weights + 1, sizeof *net->weights))
        return false;
    net->weights[net->n_weights++] = (maas_net_weight){id, decay};
    return true;
}

bool maas_net_mask_add(maas_net *net, uint32_t input, double rate)
{
    if (!maas_grow(&net->masks, &net->cap_masks, net->n_masks + 1, sizeof *net->masks))
        return false;
    net->masks[net->n_masks++] = (maas_net_mask){input, rate};
    return true;
}

void maas_net_name(const maas_net *net, int layer, const char *what, char out[64])
{
    snprintf(out, 64, "%.24s.%d.%.24s", net->prefix, layer, what);
}

maas_vid maas_net_weight_add(maas_net *net, int layer, const char *name, int rank,
                             const int64_t *dims, maas_init init, int64_t fan_in, int64_t fan_out)
{
    char full[64];
    maas_net_name(net, layer, name, full);
    maas_vid v = variable(net, full, rank, dims, init, (double)fan_in, (double)fan_out);
    if (net->b.status == MAAS_OK && !maas_net_weight_known(net, v, rank > 1))
        maas_net_fail(net, MAAS_E_NOMEM, "no memory for weight '%s'", full);
    return v;
}

maas_vid maas_net_state(maas_net *net, const char *name, int rank, const int64_t *dims, float fill)
{
    return variable(net, name, rank, dims, fill != 0 ? MAAS_INIT_ONES : MAAS_INIT_ZEROS, 1, 1);
}

/* ---- wires ---- */

static const char *name_of(const maas_layer_spec *l)
{
    return json_string_value(l->name);
}

/* Which earlier layer has the name: its number, -1 for what the network gets, -2 when none has. */
static int find_layer(const maas_layer_spec *layers, int before, const char *name)
{
    for (int i = before - 1; i >= 0; i--)
        if (name_of(&layers[i]) && strcmp(name_of(&layers[i]), name) == 0)
            return i;
    return strcmp(name, "input") == 0 ? -1 : -2;
}

static maas_status check_layer_wires(const maas_layer_spec *layers, int i, maas_err *err)
{
    const maas_layer_spec *l = &layers[i];
    const size_t n = json_array_size(l->inputs);
    const bool joins = maas_layer_kinds[l->type].join != NULL;
    if (l->name && (!name_of(l) || !*name_of(l)))
        return maas_fail(err, MAAS_E_INVALID, "params.layers[%d].name must be text", i);
    if (l->name && find_layer(layers, i, name_of(l)) != -2)
        return maas_fail(err, MAAS_E_INVALID, "params.layers[%d].name: '%.64s' is taken", i,
                         name_of(l));
    if (!l->inputs && !joins)
        return MAAS_OK;
    if (!json_is_array(l->inputs) || n < 1 || (joins ? n < 2 || n > 1000 : n != 1))
        return maas_fail(err, MAAS_E_INVALID, "params.layers[%d].inputs must list %s of layers", i,
                         joins ? "two or more names" : "the name");
    for (size_t k = 0; k < n; k++) {
        const char *name = json_string_value(json_array_get(l->inputs, k));
        if (!name || find_layer(layers, i, name) == -2)
            return maas_fail(err, MAAS_E_INVALID,
                             "params.layers[%d].inputs[%zu]: no layer before it is named '%.64s'",
                             i, k, name ? name : "");
    }
    return MAAS_OK;
}

maas_status maas_layers_check_wires(const maas_recipe *r, maas_err *err)
{
    for (size_t i = 0; i < r->layers.n; i++)
        MAAS_TRY(check_layer_wires(r->layers.items, (int)i, err));
    return MAAS_OK;
}

/* values[1 + i] is what layer i made, values[0] what the network gets. */
static maas_vid build_layer(maas_net *net, int i, const maas_vid *values, maas_vid *in)
{
    const maas_layer_spec *layers = net->recipe->layers.items, *l = &layers[i];
    const maas_layer_kind *kind = &maas_layer_kinds[l->type];
    const int n = l->inputs ? (int)json_array_size(l->inputs) : 1;
    in[0] = values[i];
    for (int k = 0; l->inputs && k < n; k++)
        in[k] = values[1 + find_layer(layers, i,
                                      json_string_value(json_array_get(l->inputs, (size_t)k)))];
    for (int k = 0; l->type != MAAS_LAYER_FIELDS && k < n; k++)
        if (in[k] == MAAS_NO_VALUE) {
            maas_net_fail(net, MAAS_E_INVALID,
                          "params.layers[%d]: it reads the numbers of a row, but all columns are "
                          "categories",
                          i);
            return MAAS_NO_VALUE;
        }
    return kind->join ? kind->join(net, l, i, in, n) : kind->build(net, l, i, in[0]);
}

maas_vid maas_net_layers(maas_net *net, maas_vid x)
{
    const size_t n = net->recipe->layers.n;
    AUTO_FREE maas_vid *values = maas_calloc(n + 1, sizeof *values);
    AUTO_FREE maas_vid *in = maas_calloc(1000, sizeof *in);
    if (!values || !in) {
        maas_net_fail(net, MAAS_E_NOMEM, "no memory for %zu layers", n);
        return MAAS_NO_VALUE;
    }
    values[0] = x;
    for (size_t i = 0; i < n && net->b.status == MAAS_OK; i++)
        values[i + 1] = build_layer(net, (int)i, values, in);
    return net->b.status == MAAS_OK ? values[n] : MAAS_NO_VALUE;
}
