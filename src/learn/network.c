/*
 * learn/network.c - the learners that are trained by gradients, and what each takes:
 * linear_regression and logistic_regression are one dense layer, with defaults that converge on
 * scaled inputs.
 */
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "learn/augment.h"
#include "learn/classic/linear.h"
#include "learn/graph_edges.h"
#include "learn/losses.h"
#include "learn/metrics.h"
#include "learn/negatives.h"
#include "learn/optimizers.h"
#include "learn/towers.h"
#include "learn/trainer.h"
#include "learn/tune/tune.h"
#include "learn/zoo.h"
#include "ops/text_bucket.h"

#include "base/ban.h"

#define AT(f) offsetof(maas_recipe, f)

static const char *const scaling_names[] = {"auto",   "standard", "unit", "none",
                                            "minmax", "robust",   NULL};
static const char *const target_scaling_names[] = {"auto", "none", NULL};

static const maas_param early_rows[] = {
    {"patience", MAAS_PARAM_INT, offsetof(maas_early_spec, patience), 1, 1e6, 5,
     .help = "epochs without improvement before it stops"},
    {"min_delta", MAAS_PARAM_NUM, offsetof(maas_early_spec, min_delta), 0, 1e6, 0,
     .help = "what counts as an improvement"},
    {"metric", MAAS_PARAM_CHOICE, offsetof(maas_early_spec, metric), .preset = MAAS_STOP_AUTO,
     .choices = maas_stop_metric_names,
     .help = "what to watch; auto: val_loss, or loss without validation"},
    {"restore_best", MAAS_PARAM_BOOL, offsetof(maas_early_spec, restore_best), .preset = 1,
     .help = "end with the weights of the best epoch"},
};

#define VARIANTS(table)                                                                            \
    .variants = table, .n_variants = MAAS_COUNT(table), .stride = sizeof(table)[0]
#define LAYERS_ROW                                                                                 \
    {                                                                                              \
        "layers", MAAS_PARAM_LIST, AT(layers), 1, 1000, VARIANTS(maas_layer_kinds),                \
            .item_size = sizeof(maas_layer_spec), .named = maas_zoo_layers,                        \
            .names = maas_zoo_names,                                                               \
            .help = "the network, from input to output; or the name of a known one: mlp, lenet, "  \
                    "text_cnn, lstm, transformer_encoder, resnet18, resnet18_small, resnet34, "    \
                    "resnet50, mobilenet_v2, deepfm, wide_deep, dlrm, two_tower, gcn, graphsage"   \
    }
#define LOSS_ROW                                                                                   \
    {                                                                                              \
        "loss", MAAS_PARAM_VARIANT, AT(loss), .preset = MAAS_LOSS_AUTO, VARIANTS(maas_losses),     \
                                              .help = "what training makes small"                  \
    }
#define COMMON_ROWS(optimizer_, schedule_, epochs_, min_epochs, batch_)                            \
    {                                                                                              \
        "optimizer",                                                                               \
        MAAS_PARAM_VARIANT,                                                                        \
        AT(optimizer),                                                                             \
        .preset = optimizer_,                                                                      \
        VARIANTS(maas_optimizers),                                                                 \
        .help = "how weights follow their gradients"},                                             \
        {"schedule",          MAAS_PARAM_VARIANT,       AT(schedule),                              \
         .preset = schedule_, VARIANTS(maas_schedules), .help = "the learning rate over time"},    \
        {"epochs",                                                                                 \
         MAAS_PARAM_INT,                                                                           \
         AT(epochs),                                                                               \
         min_epochs,                                                                               \
         1e6,                                                                                      \
         epochs_,                                                                                  \
         .help = "passes over the data"},                                                          \
        {"batch_size",                                                                             \
         MAAS_PARAM_INT,                                                                           \
         AT(batch_size),                                                                           \
         1,                                                                                        \
         1 << 20,                                                                                  \
         batch_,                                                                                   \
         .help = "rows of one step"},                                                              \
        {"accumulate",                                                                             \
         MAAS_PARAM_INT,                                                                           \
         AT(accumulate),                                                                           \
         1,                                                                                        \
         65536,                                                                                    \
         1,                                                                                        \
         .help = "batches whose gradients are averaged, by their rows, for one step"},             \
        {"clip_norm",                                                                              \
         MAAS_PARAM_NUM,                                                                           \
         AT(clip_norm),                                                                            \
         0,                                                                                        \
         1e9,                                                                                      \
         0,                                                                                        \
         .help = "longest gradient, over all weights; 0: any"},                                    \
        {"validation",                                                                             \
         MAAS_PARAM_NUM,                                                                           \
         AT(validation),                                                                           \
         0,                                                                                        \
         0.9,                                                                                      \
         0,                                                                                        \
         .help = "share of the rows kept apart to measure on"},                                    \
        {"early_stopping",                                                                         \
         MAAS_PARAM_GROUP,                                                                         \
         AT(early),                                                                                \
         .rows = early_rows,                                                                       \
         .n_rows = MAAS_COUNT(early_rows),                                                         \
         .help = "stop when a metric no longer improves"},                                         \
        {"seed",                                                                                   \
         MAAS_PARAM_INT,                                                                           \
         AT(seed),                                                                                 \
         0,                                                                                        \
         9007199254740991.0,                                                                       \
         0,                                                                                        \
         .help = "of first values, order of rows and dropout"},                                    \
        {"shuffle", MAAS_PARAM_BOOL, AT(shuffle), .preset = 1,                                     \
         .help = "new order of rows each epoch; false: validation takes the last rows"},           \
    {                                                                                              \
        "keep_optimizer", MAAS_PARAM_BOOL, AT(keep_optimizer),                                     \
            .preset = 1, .help = "keep its state with the version, for a later update"             \
    }
#define AUGMENT_ROW                                                                                \
    {                                                                                              \
        "augment", MAAS_PARAM_GROUP, AT(augment),                                                  \
            .rows = maas_augment_rows, .n_rows = MAAS_N_AUGMENT_ROWS,                              \
            .help = "pictures are changed a little each time they are learned from"                \
    }
#define INPUT_ROWS                                                                                 \
    {"scaling",                                                                                    \
     MAAS_PARAM_CHOICE,                                                                            \
     AT(scaling),                                                                                  \
     .preset = MAAS_SCALING_AUTO,                                                                  \
     .choices = scaling_names,                                                                     \
     .help = "of inputs; auto: bytes / 255, all else to mean 0 and deviation 1"},                  \
    {                                                                                              \
        "max_categories", MAAS_PARAM_INT, AT(max_categories), 1, 65536, 256,                       \
            .help = "kinds of text a column may have; rarer ones count as unknown"                 \
    }
#define CLASS_WEIGHT_ROW                                                                           \
    {                                                                                              \
        "class_weight", MAAS_PARAM_JSON, AT(class_weight),                                         \
            .help = "\"balanced\" or {\"label\": weight}"                                          \
    }
#define TARGET_SCALING_ROW                                                                         \
    {                                                                                              \
        "target_scaling", MAAS_PARAM_CHOICE, AT(target_scaling),                                   \
            .preset = 0, .choices = target_scaling_names,                                          \
            .help = "auto: numbers are learned with mean 0 and deviation 1; the model gives them " \
                    "back as they were"                                                            \
    }
#define DECAY_ROW(name_, text)                                                                     \
    {                                                                                              \
        name_, MAAS_PARAM_NUM, AT(weight_decay), 0, 100, 0, .help = text                           \
    }

static const char *const serve_names[] = {"nodes", "graph", NULL};

#define GRAPH_AT(f) offsetof(maas_graph_spec, f)
static const maas_param graph_rows[] = {
    {"edges", MAAS_PARAM_JSON, GRAPH_AT(edges),
     .help = "data set whose rows are edges: \"name\" or \"name:version\""},
    {"source", MAAS_PARAM_JSON, GRAPH_AT(source),
     .help = "its column with the node an edge comes from; default \"source\""},
    {"target", MAAS_PARAM_JSON, GRAPH_AT(target),
     .help = "its column with the node an edge goes to; default \"target\""},
    {"weight", MAAS_PARAM_JSON, GRAPH_AT(weight),
     .help = "its column of weights >= 0; without one each edge counts 1"},
    {"id", MAAS_PARAM_JSON, GRAPH_AT(id),
     .help = "column of the nodes with the names that edges use, and clients; without one a node "
             "is its row, counted from 0. It is no input"},
    {"split", MAAS_PARAM_JSON, GRAPH_AT(split),
     .help = "column of the nodes that says \"train\" or \"validation\"; all other nodes are only "
             "neighbours. It is no input"},
    {"directed", MAAS_PARAM_BOOL, GRAPH_AT(directed), .preset = 0,
     .help = "false: an edge is read both ways"},
    {"serve", MAAS_PARAM_CHOICE, GRAPH_AT(serve), .preset = MAAS_SERVE_NODES,
     .choices = serve_names,
     .help = "nodes: the model keeps the graph and is asked for nodes by name; graph: a request "
             "brings rows and edges, and is answered for every row"},
};

static const char *const negatives_from_names[] = {"rows", "candidates", NULL};

static const maas_param network_rows[] = {
    LAYERS_ROW,
    LOSS_ROW,
    MAAS_PREPARATION_ROW(AT(preparation)),
    COMMON_ROWS(MAAS_OPTIMIZER_ADAM, MAAS_SCHEDULE_COSINE, 10, 1, 64),
    INPUT_ROWS,
    {"categories", MAAS_PARAM_JSON, AT(categories),
     .help = "with a layer of fields: names of whole-number columns that are categories, as text "
             "is"},
    {"hash_buckets", MAAS_PARAM_JSON, AT(hash_buckets),
     .help = "with a layer of fields: hash categories into so many rows of a table instead of "
             "listing them; a number for all, or {\"column\": number}"},
    {"towers", MAAS_PARAM_JSON, AT(towers),
     .help =
         "with a layer of fields: {\"query\": [columns], \"candidate\": [columns]}; a side that "
         "is left out has all others"},
    {"negatives", MAAS_PARAM_INT, AT(negatives), 0, 1000, 0,
     .help = "rows made up for each of class 1: its query with another row's candidate, class 0; a "
             "target of one class is enough then"},
    {"negatives_from", MAAS_PARAM_CHOICE, AT(negatives_from), .preset = MAAS_NEGATIVES_ROWS,
     .choices = negatives_from_names,
     .help = "rows: a candidate is drawn as often as rows have it; candidates: each equally often"},
    {"ndcg_at", MAAS_PARAM_INT, AT(ndcg_at), 1, 1e6, 10,
     .help = "with towers: places that count in val_ndcg"},
    {"ndcg_candidates", MAAS_PARAM_INT, AT(ndcg_candidates), 1, 1e6, 99,
     .help = "with negatives: others that each validation row of class 1 is ranked among"},
    AUGMENT_ROW,
    DECAY_ROW("weight_decay", "pulls weight matrices to zero; through the gradient, except adamw"),
    CLASS_WEIGHT_ROW,
    TARGET_SCALING_ROW,
    {"graph", MAAS_PARAM_GROUP, AT(graph), .rows = graph_rows, .n_rows = MAAS_COUNT(graph_rows),
     .help = "rows are nodes, and a second data set has the edges between them; a step is over the "
             "whole graph, whatever batch_size says"},
};
static const char *const solver_names[] = {"auto", "exact", "sgd", NULL};
static const char *const penalty_names[] = {"l2", "l1", "elasticnet", "none", NULL};
#define SOLVER_ROWS                                                                                \
    {"solver",                                                                                     \
     MAAS_PARAM_CHOICE,                                                                            \
     AT(exact.solver),                                                                             \
     .preset = MAAS_SOLVER_AUTO,                                                                   \
     .choices = solver_names,                                                                      \
     .help = "exact: to the optimum at once; sgd: by gradients, batch by batch; auto: exact, "     \
             "unless a parameter of the gradients is given or memory is short"},                   \
        {"weight", MAAS_PARAM_JSON, AT(exact.weight),                                              \
         .help = "exact: name of a column of numbers >= 0: how much a row counts"},                \
        MAAS_PREPARATION_ROW(AT(preparation))

static const maas_param linear_rows[] = {
    SOLVER_ROWS,
    COMMON_ROWS(MAAS_OPTIMIZER_ADAM, MAAS_SCHEDULE_COSINE, MAAS_EPOCHS_AUTO, 0, 256),
    INPUT_ROWS,
    DECAY_ROW("l2", "ridge penalty l2/2 |w|^2 on the scaled problem"),
    TARGET_SCALING_ROW,
};
static const maas_param logistic_rows[] = {
    SOLVER_ROWS,
    {"penalty", MAAS_PARAM_CHOICE, AT(exact.penalty), .preset = MAAS_PENALTY_L2,
     .choices = penalty_names, .help = "exact: what holds the weights small"},
    {"C", MAAS_PARAM_NUM, AT(exact.c), 1e-12, 1e12, 1,
     .help = "exact: how much the summed loss counts beside the penalty; l2 above 0 takes its "
             "place"},
    {"l1_ratio", MAAS_PARAM_NUM, AT(exact.l1_ratio), 0, 1, 0.5,
     .help = "exact: share of the absolute part of elasticnet"},
    {"tol", MAAS_PARAM_NUM, AT(exact.tol), 0, 1, 1e-6,
     .help = "exact: largest slope of the mean loss at which it is solved"},
    {"max_iter", MAAS_PARAM_INT, AT(exact.max_iter), 1, 1e9, 5000, .help = "exact: steps"},
    COMMON_ROWS(MAAS_OPTIMIZER_ADAM, MAAS_SCHEDULE_COSINE, MAAS_EPOCHS_AUTO, 0, 256),
    INPUT_ROWS,
    DECAY_ROW("l2", "penalty l2/2 |w|^2 on the scaled problem"),
    CLASS_WEIGHT_ROW,
};

static const char *const form_names[] = {"auto", "probabilities", NULL};
static const char *const batch_norm_names[] = {"train", "keep", NULL};

static const maas_param tune_rows[] = {
    {"freeze", MAAS_PARAM_JSON, AT(tune.freeze),
     .help = "patterns ('*', '?') of names of weights, or of nodes that have them: these stay as "
             "they are"},
    {"head", MAAS_PARAM_LIST, AT(layers), 0, 1000, VARIANTS(maas_layer_kinds),
     .item_size = sizeof(maas_layer_spec), .named = maas_tune_head, .names = maas_tune_head_names,
     .help =
         "layers in the place of the last product, from fresh weights; replace: one dense layer "
         "of as many outputs as the target needs; without it the head stays"},
    {"head_after", MAAS_PARAM_JSON, AT(tune.head_after),
     .help = "with head: the node or value that it reads, when that is not the input of the last "
             "product"},
    {"output", MAAS_PARAM_JSON, AT(tune.output),
     .help = "name of the output that is trained; else the first of floats"},
    {"output_form", MAAS_PARAM_CHOICE, AT(tune.form), .preset = MAAS_TUNE_FORM_AUTO,
     .choices = form_names,
     .help = "probabilities: that is what the output is, though no Softmax or Sigmoid makes it"},
    {"batch_norm", MAAS_PARAM_CHOICE, AT(tune.batch_norm), .preset = MAAS_TUNE_NORM_TRAINED,
     .choices = batch_norm_names,
     .help = "train: normalizations with trained weights use each batch's mean and variance and "
             "follow them, frozen ones keep theirs; keep: all keep theirs"},
    LOSS_ROW,
    COMMON_ROWS(MAAS_OPTIMIZER_ADAM, MAAS_SCHEDULE_COSINE, 10, 1, 64),
    {"scaling", MAAS_PARAM_CHOICE, AT(scaling), .preset = MAAS_SCALING_NONE,
     .choices = scaling_names,
     .help = "none, or unit: bytes / 255 on the way in, as clients of the model do it; the model "
             "that is published takes what its parent took"},
    AUGMENT_ROW,
    DECAY_ROW("weight_decay", "pulls weight matrices to zero; through the gradient, except adamw"),
    CLASS_WEIGHT_ROW,
};

/* ---- what a row alone cannot say ---- */

static maas_status check_layers(const maas_recipe *r, maas_err *err)
{
    const maas_layer_spec *layers = r->layers.items;
    for (size_t i = 0; i < r->layers.n; i++) {
        char where[48];
        snprintf(where, sizeof where, "params.layers[%zu]", i);
        const maas_layer_kind *kind = &maas_layer_kinds[layers[i].type];
        if (kind->check)
            MAAS_TRY(kind->check(&layers[i], where, err));
        if (layers[i].type == MAAS_LAYER_EMBEDDING && i > 0)
            return maas_fail(err, MAAS_E_INVALID, "%s: an embedding must be the first layer",
                             where);
    }
    const bool ids = r->layers.n && layers[0].type == MAAS_LAYER_EMBEDDING;
    if (ids && r->scaling != MAAS_SCALING_AUTO && r->scaling != MAAS_SCALING_NONE)
        return maas_fail(err, MAAS_E_INVALID,
                         "params.scaling: an embedding takes whole numbers as they are");
    return MAAS_OK;
}

static maas_status check_end(const maas_recipe *r, maas_err *err)
{
    const maas_loss *loss = &maas_losses[r->loss.type];
    const int last = maas_layers_last_activation(r);
    if (loss->activation != MAAS_ACTIVATION_NONE && last != MAAS_ACTIVATION_NONE &&
        last != loss->activation)
        return maas_fail(err, MAAS_E_INVALID,
                         "params.layers[%zu]: %s needs %s or none at the end, not %s",
                         r->layers.n - 1, loss->doc.name, maas_activations[loss->activation].name,
                         maas_activations[last].name);
    return MAAS_OK;
}

static maas_status check_rest(const maas_recipe *r, maas_err *err)
{
    const maas_stop_metric *metric = &maas_stop_metrics[r->early.metric];
    if (r->early.on && r->validation == 0 && strncmp(metric->name, "val_", 4) == 0)
        return maas_fail(err, MAAS_E_INVALID,
                         "params.early_stopping.metric: %s needs params.validation above 0",
                         metric->name);
    const maas_layer_spec *first = r->layers.items;
    if (r->augment.on && r->layers.n && first->type == MAAS_LAYER_EMBEDDING)
        return maas_fail(err, MAAS_E_INVALID,
                         "params.augment is for pictures: an embedding takes numbers of words, "
                         "which mean something else when they are changed");
    const json_t *w = r->class_weight;
    const char *word = json_string_value(w);
    if (w && !json_is_object(w) && !(word && strcmp(word, "balanced") == 0))
        return maas_fail(
            err, MAAS_E_INVALID,
            "params.class_weight must be \"balanced\" or an object of label and weight");
    return MAAS_OK;
}

#define FIELD_CATEGORIES 65536 /* of a column, when the request says nothing: as many as can be */

static maas_status check_buckets(const json_t *v, const char *where, maas_err *err)
{
    if (json_is_integer(v) && json_integer_value(v) >= 1 &&
        json_integer_value(v) <= MAAS_TEXT_BUCKETS_MAX)
        return MAAS_OK;
    return maas_fail(err, MAAS_E_INVALID, "%.100s must be a whole number in 1..%d", where,
                     MAAS_TEXT_BUCKETS_MAX);
}

/* What only rows of tables need, when there are any. */
static maas_status settle_fields(maas_recipe *r, const json_t *params, maas_err *err)
{
    const bool on = maas_layers_have_fields(r);
    const char *column, *said = r->categories ? "categories" : "hash_buckets";
    if (!on && (r->categories || r->hash_buckets))
        return maas_fail(err, MAAS_E_INVALID, "params.%s needs a layer of fields", said);
    if (on && r->preparation.on && (r->preparation.text || r->preparation.columns))
        return maas_fail(err, MAAS_E_INVALID,
                         "params.preparation: text is a category where there is a layer of fields");
    if (on && !json_object_get(params, "max_categories"))
        r->max_categories = FIELD_CATEGORIES;
    if (r->categories && !json_is_array(r->categories))
        return maas_fail(err, MAAS_E_INVALID, "params.categories must list names of columns");
    for (size_t i = 0; i < json_array_size(r->categories); i++)
        if (!json_is_string(json_array_get(r->categories, i)))
            return maas_fail(err, MAAS_E_INVALID, "params.categories[%zu] must be text", i);
    if (r->hash_buckets && !json_is_object(r->hash_buckets))
        return check_buckets(r->hash_buckets, "params.hash_buckets", err);
    json_t *v;
    json_object_foreach((json_t *)r->hash_buckets, column, v)
    {
        char where[128];
        snprintf(where, sizeof where, "params.hash_buckets.%.60s", column);
        MAAS_TRY(check_buckets(v, where, err));
    }
    return MAAS_OK;
}

static maas_status settle_network(void *recipe, const json_t *params, maas_arena *a, maas_err *err)
{
    maas_recipe *r = recipe;
    MAAS_TRY(check_layers(r, err));
    MAAS_TRY(maas_layers_check_wires(r, err));
    MAAS_TRY(check_end(r, err));
    MAAS_TRY(settle_fields(r, params, err));
    MAAS_TRY(maas_towers_check(r, err));
    MAAS_TRY(maas_graph_spec_check(r, err));
    MAAS_TRY(maas_preparation_check(&r->preparation, err));
    return check_rest(r, err);
}

static maas_status want_text(const json_t *v, const char *name, maas_err *err)
{
    return !v || json_is_string(v)
               ? MAAS_OK
               : maas_fail(err, MAAS_E_INVALID, "params.%s must be a name", name);
}

#define MAX_PATTERNS 1000

static maas_status settle_tune(void *recipe, const json_t *params, maas_arena *a, maas_err *err)
{
    maas_recipe *r = recipe;
    const maas_layer_spec *head = r->layers.items;
    const json_t *freeze = r->tune.freeze;
    if (freeze && (!json_is_array(freeze) || json_array_size(freeze) > MAX_PATTERNS))
        return maas_fail(err, MAAS_E_INVALID, "params.freeze must be a list of at most %d patterns",
                         MAX_PATTERNS);
    for (size_t i = 0; i < json_array_size(freeze); i++)
        if (!json_is_string(json_array_get(freeze, i)))
            return maas_fail(err, MAAS_E_INVALID, "params.freeze[%zu] must be text", i);
    MAAS_TRY(want_text(r->tune.head_after, "head_after", err));
    MAAS_TRY(want_text(r->tune.output, "output", err));
    if (r->scaling != MAAS_SCALING_NONE && r->scaling != MAAS_SCALING_UNIT)
        return maas_fail(err, MAAS_E_INVALID, "params.scaling: fine_tune knows none and unit");
    for (size_t i = 0; i < r->layers.n; i++)
        if (head[i].type == MAAS_LAYER_EMBEDDING || head[i].type == MAAS_LAYER_FIELDS)
            return maas_fail(err, MAAS_E_INVALID,
                             "params.head[%zu]: %s reads columns, not features", i,
                             maas_layer_kinds[head[i].type].doc.name);
    r->target_scaling = MAAS_SCALING_NONE;
    for (size_t i = 0; i < r->layers.n; i++)
        if (maas_layer_reads_edges(head[i].type))
            return maas_fail(err, MAAS_E_INVALID, "params.head[%zu]: %s needs a graph", i,
                             maas_layer_kinds[head[i].type].doc.name);
    MAAS_TRY(check_layers(r, err));
    MAAS_TRY(maas_layers_check_wires(r, err));
    MAAS_TRY(check_end(r, err));
    return check_rest(r, err);
}

static bool says_lr(const json_t *params)
{
    return json_object_get(json_object_get(params, "optimizer"), "lr") != NULL;
}

/* One dense layer from all inputs to what the target needs; from zero, as the problem is convex.
 * `lr`: when the request says none. */
static maas_status one_layer(maas_recipe *r, double lr, const json_t *params, maas_arena *a,
                             maas_err *err)
{
    maas_layer_spec *layer = maas_arena_alloc(a, sizeof *layer);
    if (!layer)
        return maas_fail(err, MAAS_E_NOMEM, "reading params");
    *layer = (maas_layer_spec){.type = MAAS_LAYER_DENSE, .bias = true, .init = MAAS_INIT_ZEROS};
    r->layers = (maas_param_list){layer, 1};
    if (!says_lr(params))
        r->optimizer.lr = lr;
    return settle_network(r, params, a, err);
}

/* What only the gradient way has, and what only the exact one has. */
static const char *const by_gradients[] = {"optimizer",      "schedule",  "epochs",
                                           "batch_size",     "clip_norm", "early_stopping",
                                           "keep_optimizer", NULL};
static const char *const by_solving[] = {"penalty",  "C",      "l1_ratio", "tol",
                                         "max_iter", "weight", NULL};

static const char *said(const json_t *params, const char *const *names)
{
    for (int i = 0; names[i]; i++)
        if (json_object_get(params, names[i]))
            return names[i];
    return NULL;
}

static maas_status settle_solver(maas_recipe *r, const json_t *params, maas_err *err)
{
    const char *slow = said(params, by_gradients), *exact = said(params, by_solving);
    maas_exact_spec *e = &r->exact;
    if (e->solver == MAAS_SOLVER_AUTO && (slow || exact))
        e->solver = exact ? MAAS_SOLVER_EXACT : MAAS_SOLVER_SGD;
    if (e->weight && !json_is_string(e->weight))
        return maas_fail(err, MAAS_E_INVALID, "params.weight must be the name of a column");
    const char *idle = e->weight                       ? "weight"
                       : e->penalty != MAAS_PENALTY_L2 ? "penalty"
                       : e->c != 1 && e->c != 0        ? "C"
                                                       : NULL; /* 0: the learner has none */
    if (e->solver == MAAS_SOLVER_SGD && idle)
        return maas_fail(err, MAAS_E_INVALID,
                         "params.%s: gradients (solver sgd, chosen by params.%s) do without it",
                         idle, slow ? slow : "solver");
    return MAAS_OK;
}

static maas_status settle_linear(void *recipe, const json_t *params, maas_arena *a, maas_err *err)
{
    maas_recipe *r = recipe;
    r->task = MAAS_TASK_VALUES;
    r->loss.type = MAAS_LOSS_MSE;
    MAAS_TRY(settle_solver(r, params, err));
    return one_layer(r, 0.1, params, a, err);
}

static maas_status settle_logistic(void *recipe, const json_t *params, maas_arena *a, maas_err *err)
{
    maas_recipe *r = recipe;
    r->task = MAAS_TASK_CLASSES;
    MAAS_TRY(settle_solver(r, params, err));
    return one_layer(r, 0.05, params, a, err);
}

/* An update goes on from weights, which is what gradients do, however the parent found them. Where
 * nobody asked for a way, the exact one is taken if there is memory for it. */
static maas_status train_either(const maas_train_job *job,
                                maas_status (*exact)(const maas_train_job *, maas_train_result *,
                                                     maas_err *),
                                maas_train_result *out, maas_err *err)
{
    maas_arena a;
    maas_recipe r = {.exact.solver = MAAS_SOLVER_SGD};
    maas_arena_init(&a, job->budget);
    maas_status st = job->parent ? MAAS_OK
                                 : maas_learner_read(job->learner, job->params, &a, &r, err);
    maas_arena_reset(&a);
    MAAS_TRY(st);
    const bool solve = r.exact.solver == MAAS_SOLVER_EXACT ||
                       (r.exact.solver == MAAS_SOLVER_AUTO &&
                        maas_exact_fits(job, r.max_categories));
    return (solve ? exact : maas_train_network)(job, out, err);
}

static maas_status train_linear(const maas_train_job *job, maas_train_result *out, maas_err *err)
{
    return train_either(job, maas_train_least_squares, out, err);
}

static maas_status train_logistic(const maas_train_job *job, maas_train_result *out, maas_err *err)
{
    return train_either(job, maas_train_logistic, out, err);
}

#define NETWORK(name_, help_, rows_, settle_, train_)                                              \
    const maas_learner maas_learner_##name_ = {                                                    \
        .name = #name_,                                                                            \
        .help = help_,                                                                             \
        .rows = rows_,                                                                             \
        .n_rows = MAAS_COUNT(rows_),                                                               \
        .recipe_size = sizeof(maas_recipe),                                                        \
        .settle = settle_,                                                                         \
        .train = train_,                                                                           \
        .updates = true,                                                                           \
    }

NETWORK(network, "layers of your choice, trained by gradients", network_rows, settle_network,
        maas_train_network);
NETWORK(linear_regression, "a weighted sum of the inputs: least squares, or by gradients",
        linear_rows, settle_linear, train_linear);
NETWORK(logistic_regression,
        "chances of classes from weighted sums, at their optimum or by "
        "gradients",
        logistic_rows, settle_logistic, train_logistic);
const maas_learner maas_learner_fine_tune = {
    .name = "fine_tune",
    .help =
        "goes on from any version that is a graph, imported ones too (kind update): some of its "
        "weights, a new head",
    .rows = tune_rows,
    .n_rows = MAAS_COUNT(tune_rows),
    .recipe_size = sizeof(maas_recipe),
    .settle = settle_tune,
    .train = maas_train_network,
    .updates = true,
    .any_parent = true,
};
