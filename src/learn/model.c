/* learn/model.c - features, layers, loss and optimizer put together. */
#include "learn/model.h"

#include "base/mem.h"
#include "formats/image_recipe.h"
#include "learn/fake_bytes.h"
#include "learn/graph_edges.h"
#include "learn/hints.h"
#include "learn/matrix.h"
#include "learn/tune/tune.h"
#include "runtime/plan.h"

#include "base/ban.h"

#define OPTIMIZER_PREFIX "optimizer."

bool maas_is_model_variable(const char *name)
{
    return strncmp(name, OPTIMIZER_PREFIX, strlen(OPTIMIZER_PREFIX)) != 0;
}

static void auto_graph(maas_graph **g)
{
    maas_graph_destroy(*g);
}

maas_status maas_model_resolve(const maas_model_parts *p, maas_err *err)
{
    maas_layer_spec *layers = p->recipe->layers.items, *last = maas_layers_last_dense(p->recipe);
    const int64_t wanted = maas_target_n_outputs(p->target, 0);
    if (last && last->units == 0)
        last->units = wanted;
    for (size_t i = 0; i < p->recipe->layers.n; i++) {
        if (maas_layer_has_units(layers[i].type) && layers[i].units == 0)
            return maas_fail(
                err, MAAS_E_INVALID,
                "params.layers[%zu].units is missing; only the last layer with units may leave "
                "it out",
                i);
        if (layers[i].type != MAAS_LAYER_EMBEDDING || layers[i].size)
            continue;
        int64_t largest;
        MAAS_TRY(maas_features_largest(p->features, &largest, err));
        layers[i].size = largest + 1;
    }
    p->recipe->loss.type = p->target->loss;
    return MAAS_OK;
}

static void start(maas_net *net, const maas_model_parts *p, bool training)
{
    net->training = training;
    net->logits = maas_losses[p->target->loss].activation != MAAS_ACTIVATION_NONE;
}

/* An empty graph, or the one that training goes on from. */
static maas_status begin(const maas_model_parts *p, const char *name, maas_graph **g, maas_net *net,
                         maas_err *err)
{
    MAAS_TRY(p->tune ? maas_tune_clone(p->tune, p->budget, g, err)
                     : maas_graph_create(name, p->budget, g, err));
    MAAS_TRY(maas_net_init(net, *g, p->recipe, err));
    if (p->tune)
        net->prefix = p->tune->prefix;
    net->edges = p->edges;
    return MAAS_OK;
}

/* Of a graph the one input is which nodes: their cells are constants. */
static maas_vid raw_inputs(const maas_model_parts *p, maas_net *net)
{
    if (p->edges)
        net->nodes = maas_b_input(&net->b, "nodes", MAAS_I64, 1, &net->batch);
    if (p->tune) {
        maas_tune_inputs(p->tune, p->features, net);
        return MAAS_NO_VALUE;
    }
    return p->features->opts.fields ? maas_features_build_fields(p->features, net, false)
                                    : maas_features_build_raw(p->features, net);
}

/* The last activation must be the one the loss undoes, or none. */
static void check_end(maas_net *net, const maas_model_parts *p, maas_vid z)
{
    if (net->b.status != MAAS_OK)
        return;
    const maas_loss *loss = &maas_losses[p->target->loss];
    const int last = maas_layers_last_activation(p->recipe);
    if (net->logits && last != MAAS_ACTIVATION_NONE && last != loss->activation) {
        maas_net_fail(net, MAAS_E_INVALID,
                      "params.layers[%zu]: %s needs %s or none at the end, not %s",
                      p->recipe->layers.n - 1, loss->doc.name,
                      maas_activations[loss->activation].name, maas_activations[last].name);
        return;
    }
    const maas_type *t = maas_b_type(&net->b, z);
    const int64_t have = maas_net_row(net, z), wanted = maas_target_n_outputs(p->target, have);
    if (t->rank != 2 || have != wanted)
        maas_net_fail(net, MAAS_E_INVALID,
                      "params.layers: the last layer gives %lld values, target '%s' needs %lld%s",
                      (long long)have, p->target->col->desc.name, (long long)wanted,
                      p->target->is_class ? " (one a class; binary_cross_entropy: one)" : "");
}

/* The last values of the network, for the loss. */
static maas_vid body(const maas_model_parts *p, maas_net *net, maas_vid x)
{
    const maas_vid z = p->tune ? maas_tune_body(p->tune, p->target, net) : maas_net_layers(net, x);
    maas_fake_bytes_insert(p->bytes, net);
    return p->edges ? maas_b_op2(&net->b, "Gather", z, net->nodes) : z;
}

static maas_vid build_loss(maas_net *net, const maas_model_parts *p, maas_vid z, maas_vid y)
{
    if (net->b.status != MAAS_OK)
        return MAAS_NO_VALUE;
    maas_vid weight = MAAS_NO_VALUE;
    if (p->target->weights) {
        maas_tensor w = maas_tensor_of(MAAS_F32, 1, &p->target->n_classes, p->target->weights);
        weight = maas_b_const(&net->b, NULL, &w);
    }
    return maas_losses[p->target->loss].build(&net->b, &p->recipe->loss, z, y, weight);
}

static uint32_t scalar_input(maas_net *net, const char *name, maas_vid *out)
{
    *out = maas_b_input(&net->b, name, MAAS_F32, 0, NULL);
    return net->b.g->n_inputs - 1;
}

static void build_steps(maas_net *net, const maas_model_parts *p, maas_vid loss, bool adds,
                        maas_train_graph *out)
{
    const maas_optimizer *opt = &maas_optimizers[p->recipe->optimizer.type];
    maas_step_inputs in = {MAAS_NO_VALUE, MAAS_NO_VALUE, MAAS_NO_VALUE, MAAS_NO_VALUE, adds};
    out->lr = out->epsilon = out->rate = out->share = MAAS_NO_INPUT;
    if (p->recipe->accumulate > 1)
        out->share = scalar_input(net, "step.share", &in.share);
    if (!adds)
        out->lr = scalar_input(net, "step.lr", &in.lr);
    if (!adds && opt->scalars)
        out->epsilon = scalar_input(net, "step.epsilon", &in.epsilon);
    if (!adds && opt->decoupled && p->recipe->weight_decay > 0)
        out->rate = scalar_input(net, "step.rate", &in.rate);
    maas_optimizer_build(net, loss, &in);
}

static void finish(maas_net *net, maas_vid loss, maas_vid z)
{
    maas_b_output(&net->b, "loss", loss);
    maas_b_output(&net->b, "z", z);
}

maas_status maas_model_train_graph(const maas_model_parts *p, maas_rng *rng, bool adds,
                                   maas_train_graph *out, maas_err *err)
{
    AUTO(auto_graph) maas_graph *g = NULL;
    AUTO(maas_net_reset) maas_net net = {0};
    MAAS_TRY(begin(p, "train", &g, &net, err));
    start(&net, p, true);
    net.parent = p->tune ? NULL : p->parent;
    net.rng = rng;
    maas_vid x = raw_inputs(p, &net);
    maas_vid y = maas_target_input(p->target, &net);
    out->y = g->n_inputs - 1;
    maas_vid z = body(p, &net, x);
    if (!p->tune)
        check_end(&net, p, z);
    maas_vid loss = build_loss(&net, p, z, y);
    out->answers = MAAS_NO_INPUT;
    if (p->soft->rows) {
        maas_vid answers = maas_soft_input(p->soft, &net);
        out->answers = g->n_inputs - 1;
        loss = maas_soft_loss(p->soft, p->target, &net, z, answers, loss);
    }
    out->hints = g->n_inputs;
    if (p->teaching)
        loss = maas_hints_loss(p->teaching, &net, loss);
    build_steps(&net, p, loss, adds, out);
    finish(&net, loss, z);
    MAAS_TRY(net.b.status);
    if (net.n_weights == 0)
        return maas_fail(err, MAAS_E_INVALID, "params.layers: nothing in them can be learned");
    out->g = STEAL(g);
    out->n_weights = (uint32_t)net.n_weights;
    out->masks = STEAL(net.masks);
    out->n_masks = net.n_masks;
    return MAAS_OK;
}

void maas_train_graph_reset(maas_train_graph *t)
{
    maas_graph_destroy(t->g);
    maas_free(t->masks);
    *t = (maas_train_graph){0};
}

maas_status maas_model_eval_graph(const maas_model_parts *p, maas_graph **out, maas_err *err)
{
    AUTO(auto_graph) maas_graph *g = NULL;
    AUTO(maas_net_reset) maas_net net = {0};
    MAAS_TRY(begin(p, "eval", &g, &net, err));
    start(&net, p, false);
    maas_vid x = raw_inputs(p, &net);
    maas_vid y = maas_target_input(p->target, &net);
    maas_vid z = body(p, &net, x);
    finish(&net, build_loss(&net, p, z, y), z);
    MAAS_TRY(net.b.status);
    *out = STEAL(g);
    return MAAS_OK;
}

/* What a graph from elsewhere says about itself stays, but for what a new head made wrong. */
static maas_status add_tune_meta(maas_graph *g, const maas_model_parts *p, maas_err *err)
{
    const maas_tune *t = p->tune;
    json_t *recipe = maas_learner_dump(p->learner, p->recipe), *c;
    json_t *params = json_object_get(recipe, "params");
    size_t i;
    json_object_del(params, "head"); /* it is part of the graph now */
    json_object_del(params, "head_after");
    MAAS_TRY(maas_model_set_meta(g, "maas.recipe", recipe, err));
    if (t->new_head && !t->labelled)
        MAAS_TRY(maas_model_set_meta(g, MAAS_META_CLASSES, maas_target_texts(p->target), err));
    if (maas_graph_meta(t->g, "maas.columns"))
        return MAAS_OK;
    json_t *columns = maas_features_json(p->features);
    json_array_foreach(columns, i, c)
    {
        if (!maas_tune_by_name(t))
            json_object_set_new(c, "input",
                                json_string(maas_graph_at(t->g, t->g->inputs[0])->name));
    }
    return maas_model_set_meta(g, "maas.columns", columns, err);
}

static maas_status add_meta(maas_graph *g, const maas_model_parts *p, maas_err *err)
{
    MAAS_TRY(maas_graph_set_meta(g, "maas.task",
                                 p->target->is_class ? "classification" : "regression", err));
    MAAS_TRY(maas_graph_set_meta(g, "maas.learner", p->learner, err));
    MAAS_TRY(maas_model_set_meta(g, "maas.target", maas_target_json(p->target), err));
    if (p->tune)
        return add_tune_meta(g, p, err);
    if (p->edges)
        MAAS_TRY(maas_model_set_meta(g, "maas.graph", maas_edges_json(p->edges, &p->recipe->graph),
                                     err));
    MAAS_TRY(maas_model_set_meta(g, "maas.columns", maas_features_json(p->features), err));
    return maas_model_set_meta(g, "maas.recipe", maas_learner_dump(p->learner, p->recipe), err);
}

/* What is known of a node of a graph that stays as it is, is known when learning ends: the file has
 * a row for each, and the weights for an update. */
static void export_nodes(const maas_model_parts *p, maas_net *net)
{
    const maas_vid names = maas_edges_nodes_input(net);
    for (uint32_t i = 0; net->b.status == MAAS_OK && i < maas_vars_n(p->vars); i++) {
        const char *name;
        maas_vid v;
        const maas_tensor *t = maas_vars_at(p->vars, i, &name);
        if (maas_is_model_variable(name))
            net->b.status = maas_graph_variable(net->b.g, name, t, true, &v, net->b.err);
    }
    const maas_vid z = maas_edges_pick(net, names, maas_b_const(&net->b, "nodes.z", p->table));
    if (net->b.status == MAAS_OK)
        maas_target_outputs(p->target, net, z);
}

/* Rows and edges that the client brings. */
static void export_graph(const maas_model_parts *p, maas_net *net)
{
    net->standard = true;
    maas_vid x = maas_features_build_export(p->features, &net->b, net->batch);
    maas_edges_inputs(net);
    maas_vid z = maas_net_layers(net, x);
    if (net->b.status == MAAS_OK)
        maas_target_outputs(p->target, net, z);
}

static void export_layers(const maas_model_parts *p, maas_net *net)
{
    if (p->edges) {
        (p->table ? export_nodes : export_graph)(p, net);
        return;
    }
    maas_vid x = p->features->opts.fields
                     ? maas_features_build_fields(p->features, net, true)
                     : maas_features_build_export(p->features, &net->b, net->batch);
    maas_vid z = maas_net_layers(net, x);
    if (net->b.status == MAAS_OK)
        maas_target_outputs(p->target, net, z);
    if (net->b.status == MAAS_OK && p->recipe->towers && net->vectors[0] != MAAS_NO_VALUE) {
        maas_b_output(&net->b, "query_vector", net->vectors[0]);
        maas_b_output(&net->b, "candidate_vector", net->vectors[1]);
    }
}

maas_status maas_model_export_graph(const maas_model_parts *p, maas_graph **out, maas_err *err)
{
    AUTO(auto_graph) maas_graph *g = NULL;
    AUTO(maas_net_reset) maas_net net = {0};
    MAAS_TRY(begin(p, p->learner, &g, &net, err));
    start(&net, p, false);
    if (p->tune)
        maas_tune_export(p->tune, p->target, &net);
    else
        export_layers(p, &net);
    MAAS_TRY(net.b.status);
    MAAS_TRY(add_meta(g, p, err));
    *out = STEAL(g);
    return MAAS_OK;
}
