/* formats/keras/model.c - one layer after the other: Sequential models, calls, layers in layers. */
#include "formats/keras/model_int.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

const kr_row *kr_row_find(const char *class_name)
{
    static const kr_row *const tables[] = {kr_core,   kr_activations, kr_convolutions,
                                           kr_pools,  kr_norms,       kr_merges,
                                           kr_shapes, kr_recurrent,   kr_attention};
    for (size_t i = 0; i < MAAS_COUNT(tables); i++)
        for (const kr_row *r = tables[i]; r->class_name; r++)
            if (strcmp(r->class_name, class_name) == 0)
                return r;
    return NULL;
}

bool kr_is_model(const char *class_name)
{
    return strcmp(class_name, "Sequential") == 0 || strcmp(class_name, "Functional") == 0 ||
           strcmp(class_name, "Model") == 0;
}

bool kr_is_input(const kr_layer *l)
{
    return strcmp(l->class_name, "InputLayer") == 0;
}

/* ---- where its weights are ---- */

/* "BatchNormalization" is batch_normalization, "PReLU" p_re_lu: so groups in the file are named. */
static void snake(const char *word, char *to, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; word[i] && n + 2 < size; i++) {
        const bool upper = isupper((unsigned char)word[i]);
        if (i && upper &&
            (islower((unsigned char)word[i - 1]) || islower((unsigned char)word[i + 1])))
            to[n++] = '_';
        to[n++] = (char)tolower((unsigned char)word[i]);
    }
    to[n] = '\0';
}

/* "layers/dense", "layers/dense_1": the second layer of its class. */
static maas_status place(kr *k, kr_layer *l, const kr_model *m)
{
    char word[128], numbered[160];
    snake(l->class_name, word, sizeof word);
    const json_int_t before = json_integer_value(json_object_get(m->classes, word));
    if (json_object_set_new(m->classes, word, json_integer(before + 1)) != 0)
        return maas_fail(k->err, MAAS_E_NOMEM, "no memory left for layers");
    snprintf(numbered, sizeof numbered, before ? "%s_%lld" : "%s", word, (long long)before);
    l->path = maas_arena_printf(k->arena, "%s%slayers/%s", m->path, *m->path ? "/" : "", numbered);
    return l->path ? MAAS_OK : maas_fail(k->err, MAAS_E_NOMEM, "no memory left for layers");
}

/* `name` is a part of the path: names in a nested model's list start with those of its layers. */
static bool has_part(const char *path, const char *name)
{
    const size_t n = strlen(name);
    for (const char *p = path; p; p = strchr(p, '/'), p = p ? p + 1 : NULL)
        if (strncmp(p, name, n) == 0 && (p[n] == '/' || p[n] == '\0'))
            return true;
    return false;
}

/* `.h5` lists the weights of the outermost layers; a nested model's are told apart by name. */
static maas_status list_weights(kr *k, kr_layer *l, const kr_model *m)
{
    l->path = l->name;
    l->is_listed = true;
    if (!m->outer)
        return k->w->list(k->w->ctx, l->name, k->arena, &l->listed, &l->n_listed, k->err);
    l->listed = maas_arena_array(k->arena, m->outer->n_listed + 1, sizeof *l->listed);
    if (!l->listed)
        return maas_fail(k->err, MAAS_E_NOMEM, "no memory left for names of weights");
    const size_t skip = strlen(m->outer->path) + 1;
    for (size_t i = 0; i < m->outer->n_listed; i++)
        if (strlen(m->outer->listed[i]) > skip && has_part(m->outer->listed[i] + skip, l->name))
            l->listed[l->n_listed++] = m->outer->listed[i];
    return MAAS_OK;
}

maas_status kr_layer_init(kr *k, const json_t *spec, const kr_model *m, kr_layer *l)
{
    *l = (kr_layer){.class_name = json_string_value(json_object_get(spec, "class_name")),
                    .config = json_object_get(spec, "config")};
    l->name = json_string_value(json_object_get(l->config, "name"));
    if (!l->name)
        l->name = json_string_value(json_object_get(spec, "name"));
    if (!l->class_name || !*l->class_name || !json_is_object(l->config) || !l->name || !*l->name)
        return maas_fail(k->err, MAAS_E_FORMAT,
                         "a layer of the config has no class_name, config or name");
    l->row = kr_row_find(l->class_name);
    if (!l->row && !kr_is_model(l->class_name) && !kr_is_input(l)) {
        kr_fail(k, l, MAAS_E_UNSUPPORTED, "layers of this class are not supported");
        return k->b.status;
    }
    if (kr_is_input(l))
        return MAAS_OK;
    maas_status st = k->w->list ? list_weights(k, l, m) : place(k, l, m);
    if (st != MAAS_OK)
        maas_err_prefix(k->err, "layer '%.60s' (%.40s)", l->name, l->class_name);
    return st;
}

bool kr_inner(kr *k, kr_layer *outer, const json_t *spec, const char *sub, kr_layer *l)
{
    *l = *outer; /* its list of weights, too */
    l->class_name = json_string_value(json_object_get(spec, "class_name"));
    l->config = json_object_get(spec, "config");
    l->row = l->class_name ? kr_row_find(l->class_name) : NULL;
    l->path = maas_arena_printf(k->arena, "%s/%s", outer->path, sub);
    if (!kr_ok(k))
        return false;
    if (!l->row || !json_is_object(l->config))
        kr_fail(k, outer, MAAS_E_UNSUPPORTED, "the layer inside, %.60s, is not supported",
                l->class_name ? l->class_name : "of no class");
    else if (!l->path)
        k->b.status = maas_fail(k->err, MAAS_E_NOMEM, "no memory left for layers");
    else
        k->b.status = kr_check_args(k, l);
    return kr_ok(k);
}

/* ---- calls ---- */

/* Keras turns integers into the layer's type, which is float32. */
static bool fit_inputs(kr *k, const kr_layer *l, maas_vid *in, uint32_t n)
{
    if (n < l->row->n_min || n > l->row->n_max)
        kr_fail(k, l, MAAS_E_FORMAT, "it gets %u inputs", n);
    for (uint32_t i = 0; i < n && kr_ok(k); i++)
        if (!(l->row->flags & KR_ANY_TYPE) || kr_type(k, in[i])->dtype == MAAS_F64)
            in[i] = kr_cast(k, in[i], MAAS_F32);
    const int rank = n ? kr_type(k, in[0])->rank : 0;
    if (kr_ok(k) && l->row->rank && rank != l->row->rank)
        kr_fail(k, l, MAAS_E_FORMAT, "its input has %d dimensions, expected %d", rank,
                l->row->rank);
    return kr_ok(k);
}

maas_vid kr_call(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    maas_vid *own = maas_arena_dup(k->arena, in, n * sizeof *in);
    if (!own && kr_ok(k))
        k->b.status = maas_fail(k->err, MAAS_E_NOMEM, "no memory left for layers");
    if (!kr_ok(k) || !fit_inputs(k, l, own, n))
        return MAAS_NO_VALUE;
    maas_vid y = l->row->build(k, l, own, n);
    if (!kr_ok(k))
        maas_err_prefix(k->err, "layer '%.60s' (%.40s)", l->name, l->class_name);
    return kr_ok(k) ? y : MAAS_NO_VALUE;
}

maas_vid kr_call_outer(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    maas_vid y = MAAS_NO_VALUE;
    l->next = 0;
    if (json_object_size(l->call) && !(l->row && l->row->flags & KR_NAMED))
        return kr_fail(k, l, MAAS_E_UNSUPPORTED, "it is called with the argument %.60s",
                       json_object_iter_key(json_object_iter((json_t *)(uintptr_t)l->call)));
    if (!l->row) {
        kr_model m = {.path = l->path, .outer = k->w->list ? l : NULL, .in = in, .n_in = n};
        if (kr_model_build(k, l->class_name, l->config, &m) != MAAS_OK)
            return MAAS_NO_VALUE;
        if (m.n_out != 1)
            return kr_fail(k, l, MAAS_E_UNSUPPORTED, "a model in a model must have one output");
        return m.out[0];
    }
    if (kr_check_args(k, l) == MAAS_OK)
        y = kr_call(k, l, in, n);
    if (kr_ok(k) && l->next != l->n_listed)
        kr_fail(k, l, MAAS_E_UNSUPPORTED, "the file has %zu weights of it, %zu are known",
                l->n_listed, l->next);
    return y;
}

/* ---- inputs ---- */

static const struct {
    const char *name;
    maas_dtype dtype;
} input_types[] = {{"float32", MAAS_F32},  {"float64", MAAS_F64}, {"float16", MAAS_F32},
                   {"bfloat16", MAAS_F32}, {"int32", MAAS_I32},   {"int64", MAAS_I64},
                   {"uint8", MAAS_U8},     {"bool", MAAS_BOOL}};

static maas_dtype input_type(kr *k, const kr_layer *l)
{
    const char *name = json_string_value(kr_arg(l, "dtype"));
    for (size_t i = 0; name && i < MAAS_COUNT(input_types); i++)
        if (strcmp(input_types[i].name, name) == 0)
            return input_types[i].dtype;
    if (name && kr_is_input(l))
        kr_fail(k, l, MAAS_E_UNSUPPORTED, "inputs of type %.40s are not supported", name);
    return MAAS_F32;
}

maas_vid kr_input(kr *k, const kr_layer *l, const json_t *shape)
{
    int64_t dims[MAAS_MAX_RANK];
    const size_t rank = json_array_size(shape);
    if (rank < 1 || rank > MAAS_MAX_RANK)
        return kr_fail(k, l, MAAS_E_UNSUPPORTED,
                       "the shape of the model's input is not in the file; build it before saving");
    for (size_t i = 0; i < rank && kr_ok(k); i++) {
        const json_t *d = json_array_get(shape, i);
        if (json_is_null(d))
            k->b.status = maas_graph_symbol(k->b.g, i ? NULL : "batch", &dims[i], k->err);
        else if (json_is_integer(d) && json_integer_value(d) > 0)
            dims[i] = json_integer_value(d);
        else
            return kr_fail(k, l, MAAS_E_FORMAT, "the shape of the model's input is no shape");
    }
    return maas_b_input(&k->b, l->name, input_type(k, l), (int)rank, dims);
}

const json_t *kr_input_shape(const kr_layer *l)
{
    const json_t *shape = kr_arg(l, "batch_shape");
    return shape ? shape : kr_arg(l, "batch_input_shape");
}

/* ---- Sequential ---- */

static maas_vid first_value(kr *k, const json_t *config, const kr_layer *l, const kr_model *m)
{
    const json_t *shape = kr_input_shape(l);
    if (m->in)
        return m->n_in == 1 ? m->in[0]
                            : kr_fail(k, l, MAAS_E_FORMAT, "a Sequential model has one input");
    return kr_input(k, l, shape ? shape : json_object_get(config, "build_input_shape"));
}

static maas_status sequential(kr *k, const json_t *config, kr_model *m)
{
    /* The first Keras 2 wrote the layers alone. */
    const json_t *layers = json_is_array(config) ? config : json_object_get(config, "layers");
    const size_t n = json_array_size(layers);
    maas_vid x = MAAS_NO_VALUE;
    kr_layer l = {0};
    if (n == 0 || n > KR_MAX_LAYERS)
        return maas_fail(k->err, MAAS_E_FORMAT, "a Sequential model of %zu layers", n);
    for (size_t i = 0; i < n && kr_ok(k); i++) {
        MAAS_TRY(kr_layer_init(k, json_array_get(layers, i), m, &l));
        if (i == 0) {
            kr_layer first = l;
            if (!kr_is_input(&l) && !m->in)
                first.name = "input";
            x = first_value(k, config, &first, m);
        }
        if (kr_is_input(&l) && i > 0)
            kr_fail(k, &l, MAAS_E_FORMAT, "an input after other layers");
        if (!kr_is_input(&l) && kr_ok(k))
            x = kr_call_outer(k, &l, &x, 1);
    }
    MAAS_TRY(k->b.status);
    m->out = maas_arena_dup(k->arena, &x, sizeof x);
    m->out_names = maas_arena_dup(k->arena, &l.name, sizeof l.name);
    m->n_out = 1;
    return m->out && m->out_names ? MAAS_OK
                                  : maas_fail(k->err, MAAS_E_NOMEM, "no memory left for layers");
}

maas_status kr_model_build(kr *k, const char *class_name, const json_t *config, kr_model *m)
{
    if (k->depth >= KR_MAX_DEPTH)
        return k->b.status = maas_fail(k->err, MAAS_E_UNSUPPORTED,
                                       "models in models, more than %d deep", KR_MAX_DEPTH);
    m->classes = json_object();
    if (!m->classes)
        return k->b.status = maas_fail(k->err, MAAS_E_NOMEM, "no memory left for layers");
    k->depth++;
    maas_status st = strcmp(class_name, "Sequential") == 0 ? sequential(k, config, m)
                                                           : kr_functional(k, config, m);
    k->depth--;
    json_decref(m->classes);
    m->classes = NULL;
    return k->b.status = st == MAAS_OK ? k->b.status : st;
}

/* ---- the model ---- */

/* Outputs have the names of their layers; one that is an input as well, or twice an output, gets a
 * value of its own. */
static void name_outputs(kr *k, const kr_model *m)
{
    for (uint32_t i = 0; i < m->n_out && kr_ok(k); i++) {
        const maas_vid v = maas_b_op1(&k->b, "Identity", m->out[i]);
        const bool taken = maas_graph_find(k->b.g, m->out_names[i]) != MAAS_NO_VALUE;
        maas_b_output(
            &k->b,
            taken ? maas_arena_printf(k->arena, "%s:%u", m->out_names[i], i) : m->out_names[i], v);
    }
}

static maas_status build(kr *k, const json_t *root, const char *version)
{
    const char *class_name = json_string_value(json_object_get(root, "class_name"));
    kr_model m = {.path = ""};
    char source[120];
    if (!class_name)
        return maas_fail(k->err, MAAS_E_FORMAT, "the config has no class_name");
    if (!kr_is_model(class_name))
        return maas_fail(k->err, MAAS_E_UNSUPPORTED,
                         "a model of the class '%.60s': what it computes is in its Python code; "
                         "Sequential and Functional models are supported",
                         class_name);
    MAAS_TRY(kr_model_build(k, class_name, json_object_get(root, "config"), &m));
    name_outputs(k, &m);
    MAAS_TRY(k->b.status);
    snprintf(source, sizeof source, "Keras %.20s %.40s", version ? version : "", class_name);
    MAAS_TRY(maas_graph_set_meta(k->b.g, "maas.source", source, k->err));
    MAAS_TRY(maas_graph_verify(k->b.g, k->err));
    return maas_graph_infer(k->b.g, k->err);
}

maas_status maas_keras_graph(maas_span config, const char *version, const maas_keras_weights *w,
                             maas_budget *budget, maas_graph **out, maas_err *err)
{
    AUTO(maas_json_unref) json_t *root = NULL;
    maas_err own = {0};
    maas_arena a;
    maas_graph *g = NULL;
    err = err ? err : &own;
    maas_status st = maas_json_parse(config, &root, err);
    if (st != MAAS_OK) {
        maas_err_prefix(err, "the config of the model");
        return err->code = st == MAAS_E_INVALID ? MAAS_E_FORMAT : st;
    }
    MAAS_TRY(maas_graph_create("keras", budget, &g, err));
    maas_arena_init(&a, budget);
    kr k = {.arena = &a, .err = err, .w = w};
    /* Keras 3 says which one it is; the JSON of before had no modules. */
    k.before_3 = !version || version[0] < '3' || version[1] != '.';
    maas_builder_init(&k.b, g, err);
    st = build(&k, root, version);
    maas_arena_reset(&a);
    if (st != MAAS_OK)
        maas_graph_destroy(g);
    else
        *out = g;
    return st;
}
