/* formats/keras/functional.c - models whose layers say which outputs they are called with. */
#include <string.h>

#include "base/mem.h"
#include "formats/keras/model_int.h"
#include "base/ban.h"

typedef struct ref {
    uint32_t layer, call;
} ref;

/* A layer may be called many times: each call makes a value. */
typedef struct call {
    json_t *named; /* keyword arguments, tensors as their number among the inputs */
    ref *in;
    uint32_t n_in;
    bool done;
    maas_vid out;
} call;

typedef struct node {
    kr_layer l;
    call *calls;
    uint32_t n_calls;
} node;

typedef struct functional {
    kr *k;
    kr_model *m;
    node *nodes;
    uint32_t n;
    json_t *index; /* name -> number */
} functional;

static void *alloc(functional *f, size_t n, size_t size)
{
    void *p = maas_arena_array(f->k->arena, n ? n : 1, size);
    if (!p && kr_ok(f->k))
        f->k->b.status = maas_fail(f->k->err, MAAS_E_NOMEM, "no memory left for layers");
    return p;
}

/* ---- tensors in arguments ---- */

/* [name, call, output]: Keras 2, and the lists of inputs and outputs. */
static bool is_history(const json_t *v)
{
    return json_array_size(v) >= 3 && json_is_string(json_array_get(v, 0)) &&
           json_is_integer(json_array_get(v, 1)) && json_is_integer(json_array_get(v, 2));
}

static const json_t *history_of(const json_t *v)
{
    const char *class_name = json_string_value(json_object_get(v, "class_name"));
    if (class_name && strcmp(class_name, "__keras_tensor__") == 0) {
        const json_t *h = json_object_get(json_object_get(v, "config"), "keras_history");
        return is_history(h) ? h : NULL;
    }
    return is_history(v) ? v : NULL;
}

static maas_status resolve(functional *f, const json_t *history, ref *out)
{
    const char *name = json_string_value(json_array_get(history, 0));
    const json_t *at = json_object_get(f->index, name);
    const json_int_t c = json_integer_value(json_array_get(history, 1));
    if (!at)
        return maas_fail(f->k->err, MAAS_E_FORMAT, "the model has no layer '%.100s' to read from",
                         name);
    if (json_integer_value(json_array_get(history, 2)) != 0)
        return maas_fail(f->k->err, MAAS_E_UNSUPPORTED,
                         "layer '%.100s': a second output of it is used", name);
    if (c < 0 || c > KR_MAX_LAYERS)
        return maas_fail(f->k->err, MAAS_E_FORMAT, "layer '%.100s': call %lld", name, (long long)c);
    *out = (ref){(uint32_t)json_integer_value(at), (uint32_t)c};
    return MAAS_OK;
}

/* Appends the tensors of `v`, a tensor or a list of them. */
static maas_status collect(functional *f, const kr_layer *l, call *c, const json_t *v, int depth)
{
    const json_t *history = history_of(v);
    if (json_is_null(v))
        return MAAS_OK;
    if (!history) {
        if (!json_is_array(v) || depth > 4) {
            kr_fail(f->k, l, MAAS_E_UNSUPPORTED, "it is called with an argument that is no tensor");
            return f->k->b.status;
        }
        for (size_t i = 0; i < json_array_size(v); i++)
            MAAS_TRY(collect(f, l, c, json_array_get(v, i), depth + 1));
        return MAAS_OK;
    }
    if (c->n_in == KR_MAX_INPUTS) {
        kr_fail(f->k, l, MAAS_E_UNSUPPORTED, "more than %d inputs", KR_MAX_INPUTS);
        return f->k->b.status;
    }
    if ((c->n_in & (c->n_in - 1)) == 0) { /* full: 0, 1, 2, 4... */
        ref *more = alloc(f, c->n_in ? 2 * (size_t)c->n_in : 1, sizeof *more);
        if (!more)
            return f->k->b.status;
        if (c->n_in)
            memcpy(more, c->in, c->n_in * sizeof *more);
        c->in = more;
    }
    MAAS_TRY(resolve(f, history, &c->in[c->n_in]));
    c->n_in++;
    return MAAS_OK;
}

static void drop_json(void *j)
{
    json_decref(j);
}

/* Keyword arguments: tensors join the inputs, and their place is kept under the name. */
static maas_status collect_named(functional *f, const kr_layer *l, call *c, const json_t *named)
{
    const char *key;
    json_t *v;
    c->named = json_object();
    if (!c->named || !maas_arena_defer(f->k->arena, drop_json, c->named))
        return maas_fail(f->k->err, MAAS_E_NOMEM, "no memory left for layers");
    json_object_foreach((json_t *)(uintptr_t)named, key, v)
    {
        if (json_is_null(v) || json_is_false(v))
            continue;
        json_t *place = history_of(v) ? json_integer(c->n_in) : json_incref(v);
        if (json_object_set_new(c->named, key, place) != 0)
            return maas_fail(f->k->err, MAAS_E_NOMEM, "no memory left for layers");
        if (history_of(v))
            MAAS_TRY(collect(f, l, c, v, 0));
    }
    return MAAS_OK;
}

/* ---- calls of both formats ---- */

/* {"args": [...], "kwargs": {...}} */
static maas_status read_call_3(functional *f, const kr_layer *l, call *c, const json_t *v)
{
    MAAS_TRY(collect(f, l, c, json_object_get(v, "args"), 0));
    return collect_named(f, l, c, json_object_get(v, "kwargs"));
}

/* [[name, call, output, kwargs], ...], or one of them alone. */
static maas_status read_call_2(functional *f, const kr_layer *l, call *c, const json_t *v)
{
    const json_t *first = is_history(v) ? v : json_array_get(v, 0);
    MAAS_TRY(collect(f, l, c, v, 0));
    return collect_named(f, l, c, json_array_get(first, 3));
}

static maas_status read_calls(functional *f, node *nd, const json_t *spec)
{
    const json_t *calls = json_object_get(spec, "inbound_nodes");
    nd->n_calls = (uint32_t)json_array_size(calls);
    if (kr_is_input(&nd->l))
        nd->n_calls = 1;
    if (nd->n_calls > KR_MAX_LAYERS)
        return maas_fail(f->k->err, MAAS_E_FORMAT, "layer '%.100s': %u calls", nd->l.name,
                         nd->n_calls);
    nd->calls = alloc(f, nd->n_calls, sizeof *nd->calls);
    if (!nd->calls)
        return f->k->b.status;
    for (uint32_t i = 0; i < nd->n_calls && !kr_is_input(&nd->l); i++) {
        const json_t *v = json_array_get(calls, i);
        MAAS_TRY(json_is_object(v) ? read_call_3(f, &nd->l, &nd->calls[i], v)
                                   : read_call_2(f, &nd->l, &nd->calls[i], v));
        if (nd->calls[i].n_in == 0) {
            kr_fail(f->k, &nd->l, MAAS_E_FORMAT, "it is called without an input");
            return f->k->b.status;
        }
    }
    return MAAS_OK;
}

static maas_status read_layers(functional *f, const json_t *layers)
{
    f->n = (uint32_t)json_array_size(layers);
    if (f->n == 0 || f->n > KR_MAX_LAYERS)
        return maas_fail(f->k->err, MAAS_E_FORMAT, "a model of %u layers", f->n);
    f->nodes = alloc(f, f->n, sizeof *f->nodes);
    if (!f->nodes)
        return f->k->b.status;
    for (uint32_t i = 0; i < f->n; i++) {
        const kr_layer *l = &f->nodes[i].l;
        const json_t *spec = json_array_get(layers, i);
        MAAS_TRY(kr_layer_init(f->k, spec, f->m, &f->nodes[i].l));
        /* calls are said by the name beside the config */
        const char *name = json_string_value(json_object_get(spec, "name"));
        if (json_object_get(f->index, name ? name : l->name))
            return maas_fail(f->k->err, MAAS_E_FORMAT, "two layers are named '%.100s'", l->name);
        if (json_object_set_new(f->index, name ? name : l->name, json_integer(i)) != 0)
            return maas_fail(f->k->err, MAAS_E_NOMEM, "no memory left for layers");
    }
    for (uint32_t i = 0; i < f->n; i++)
        MAAS_TRY(read_calls(f, &f->nodes[i], json_array_get(layers, i)));
    return MAAS_OK;
}

/* ---- inputs and outputs ---- */

/* input_layers, output_layers: one tensor, a list, or an object of names. */
static maas_status tensors_of(functional *f, const json_t *v, const char *what, ref **out,
                              uint32_t *n)
{
    kr_layer here = {.name = what, .class_name = "Functional"};
    call c = {0};
    const char *key;
    json_t *item;
    if (json_is_object(v) && !history_of(v)) {
        json_object_foreach((json_t *)(uintptr_t)v, key, item)
            MAAS_TRY(collect(f, &here, &c, item, 0));
    } else {
        MAAS_TRY(collect(f, &here, &c, v, 0));
    }
    if (c.n_in == 0)
        return maas_fail(f->k->err, MAAS_E_FORMAT, "the model has no %s", what);
    *out = c.in;
    *n = c.n_in;
    return MAAS_OK;
}

static maas_status bind_inputs(functional *f, const json_t *config)
{
    ref *in;
    uint32_t n;
    MAAS_TRY(tensors_of(f, json_object_get(config, "input_layers"), "input_layers", &in, &n));
    if (f->m->in && n != f->m->n_in)
        return maas_fail(f->k->err, MAAS_E_FORMAT,
                         "a model with %u inputs is called with %u values", n, f->m->n_in);
    for (uint32_t i = 0; i < n && kr_ok(f->k); i++) {
        node *nd = &f->nodes[in[i].layer];
        if (!kr_is_input(&nd->l) || in[i].call != 0 || nd->calls[0].done)
            return maas_fail(f->k->err, MAAS_E_FORMAT, "'%.100s' is no input layer, or twice one",
                             nd->l.name);
        nd->calls[0].done = true;
        nd->calls[0].out = f->m->in ? f->m->in[i] : kr_input(f->k, &nd->l, kr_input_shape(&nd->l));
    }
    return f->k->b.status;
}

static maas_status give_outputs(functional *f, const json_t *config)
{
    kr_model *m = f->m;
    ref *out;
    MAAS_TRY(
        tensors_of(f, json_object_get(config, "output_layers"), "output_layers", &out, &m->n_out));
    m->out = alloc(f, m->n_out, sizeof *m->out);
    m->out_names = alloc(f, m->n_out, sizeof *m->out_names);
    if (!m->out || !m->out_names)
        return f->k->b.status;
    for (uint32_t i = 0; i < m->n_out; i++) {
        const node *nd = &f->nodes[out[i].layer];
        if (out[i].call >= nd->n_calls || !nd->calls[out[i].call].done)
            return maas_fail(f->k->err, MAAS_E_FORMAT, "the output of '%.100s' is not computed",
                             nd->l.name);
        m->out[i] = nd->calls[out[i].call].out;
        m->out_names[i] = nd->l.name;
    }
    return MAAS_OK;
}

/* ---- the order: whoever has all inputs is next ---- */

static bool is_ready(const functional *f, const call *c)
{
    for (uint32_t i = 0; i < c->n_in; i++) {
        const node *from = &f->nodes[c->in[i].layer];
        if (c->in[i].call >= from->n_calls || !from->calls[c->in[i].call].done)
            return false;
    }
    return true;
}

static void run(functional *f, node *nd, call *c)
{
    maas_vid *in = alloc(f, c->n_in, sizeof *in);
    for (uint32_t i = 0; in && i < c->n_in; i++)
        in[i] = f->nodes[c->in[i].layer].calls[c->in[i].call].out;
    nd->l.call = c->named;
    if (in)
        c->out = kr_call_outer(f->k, &nd->l, in, c->n_in);
    c->done = true;
}

/* One walk is enough for files of Keras, but for layers that are called again. */
static maas_status run_all(functional *f)
{
    for (bool some = true; some;) {
        some = false;
        for (uint32_t i = 0; i < f->n; i++)
            for (uint32_t j = 0; j < f->nodes[i].n_calls && kr_ok(f->k); j++) {
                call *c = &f->nodes[i].calls[j];
                if (c->done || kr_is_input(&f->nodes[i].l) || !is_ready(f, c))
                    continue;
                run(f, &f->nodes[i], c);
                some = true;
            }
    }
    return f->k->b.status;
}

maas_status kr_functional(kr *k, const json_t *config, kr_model *m)
{
    AUTO(maas_json_unref) json_t *index = json_object();
    functional f = {.k = k, .m = m, .index = index};
    if (!index)
        return maas_fail(k->err, MAAS_E_NOMEM, "no memory left for layers");
    MAAS_TRY(read_layers(&f, json_object_get(config, "layers")));
    MAAS_TRY(bind_inputs(&f, config));
    MAAS_TRY(run_all(&f));
    return give_outputs(&f, config);
}
