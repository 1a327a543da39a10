/* cli/train.c - `maas train`: options become the request of POST /api/v1/jobs. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "cli/job.h"
#include "base/ban.h"

#define MAX_PARAMS (4u << 20)

static struct {
    maas_job_opts job; /* first: MAAS_JOB_ROWS */
    char *dataset, *target, *learner, *params, *layers, *activation, *parent, *memory, *search;
    char *loss, *optimizer, *lr, *epochs, *batch_size, *validation, *seed, *scaling;
    char *freeze, *head, *edges;
    int64_t cores, priority;
    bool update, wait;
} opts;

#define AT(f) offsetof(__typeof__(opts), f)
#define TEXT(n, f, a, h)                                                                           \
    {                                                                                              \
        .name = n, .type = MAAS_CONF_STR, .offset = AT(f), .arg = a, .help = h                     \
    }
static const maas_conf_desc rows[] = {
    TEXT("dataset", dataset, "NAME[:VERSION]", "what to learn from"),
    TEXT("target", target, "COLUMN", "the column to predict; target unless said"),
    {.name = "learner",
     .type = MAAS_CONF_STR,
     .offset = AT(learner),
     .preset = "network",
     .arg = "NAME",
     .help = "how: network, linear_regression, random_forest, svm, kmeans, ..."},
    TEXT("params", params, "JSON|@FILE", "parameters of the learner; options below win"),
    TEXT("search", search, "JSON|@FILE",
         "try many parameters: {\"param_grid\":{\"lr\":[0.1,0.01]},\"cv\":5}"),
    TEXT("layers", layers, "N,N,...|NAME",
         "dense layers of a network, the last one is the output; or a known network: lenet, "
         "resnet18, ..."),
    {.name = "activation",
     .type = MAAS_CONF_STR,
     .offset = AT(activation),
     .preset = "relu",
     .arg = "NAME",
     .help = "between the --layers"},
    TEXT("edges", edges, "NAME[:VERSION]",
         "of a graph network (--layers gcn or graphsage): the data set of edges; columns and more "
         "in "
         "--params {\"graph\":{...}}"),
    TEXT("loss", loss, "NAME", "cross_entropy, binary_cross_entropy, mse, mae, huber"),
    TEXT("optimizer", optimizer, "NAME", "sgd, momentum, rmsprop, adagrad, adam, adamw"),
    TEXT("lr", lr, "X", "learning rate"),
    TEXT("epochs", epochs, "N", "times through the data"),
    TEXT("batch-size", batch_size, "N", "rows of a step"),
    TEXT("validation", validation, "X", "share of the rows that only measures"),
    TEXT("seed", seed, "N", "of everything random: the same seed gives the same model"),
    TEXT("scaling", scaling, "NAME", "auto, standard, unit or none"),
    {.name = "update",
     .type = MAAS_CONF_BOOL,
     .offset = AT(update),
     .help = "go on from a version that exists; publishes a new one"},
    TEXT("parent", parent, "MODEL[:VERSION]", "what --update goes on from; else MODEL"),
    TEXT("freeze", freeze, "PATTERN,...",
         "with --update of an imported model: weights or nodes that stay as they are"),
    TEXT("head", head, "NAME", "with --update of an imported model: replace, for a new last layer"),
    MAAS_JOB_ROWS,
};

maas_conf maas_train_settings(void)
{
    return (maas_conf){rows, MAAS_COUNT(rows), &opts};
}

/* Options that are a parameter of the learner as it is. */
static const struct {
    size_t offset;
    const char *flag, *key;
    bool is_number;
} passed_on[] = {
    {AT(loss), "--loss", "loss", false},
    {AT(scaling), "--scaling", "scaling", false},
    {AT(head), "--head", "head", false},
    {AT(epochs), "--epochs", "epochs", true},
    {AT(batch_size), "--batch-size", "batch_size", true},
    {AT(validation), "--validation", "validation", true},
    {AT(seed), "--seed", "seed", true},
};
#undef AT

static maas_status number_of(const char *flag, const char *text, json_t **out, maas_err *err)
{
    int64_t i;
    double d;
    if (maas_parse_i64(text, &i))
        *out = json_integer(i);
    else if (maas_parse_f64(text, &d))
        *out = json_real(d);
    else
        return maas_fail(err, MAAS_E_INVALID, "%s must be a number, not '%.40s'", flag, text);
    return MAAS_OK;
}

static maas_status read_object(const char *flag, const char *from, json_t **out, maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(MAX_PARAMS);
    MAAS_TRY(maas_cli_text(from, &text, err));
    maas_status st = maas_json_parse(maas_buf_span(&text), out, err);
    if (st == MAAS_OK && !json_is_object(*out))
        st = maas_fail(err, MAAS_E_INVALID, "not a JSON object");
    if (st != MAAS_OK)
        maas_err_prefix(err, "%s", flag);
    return st;
}

/* What the last layer is for a loss: classes need probabilities, values none. */
static const char *output_activation(const char *loss)
{
    static const struct {
        const char *loss, *activation;
    } known[] = {{"cross_entropy", "softmax"}, {"binary_cross_entropy", "sigmoid"}};
    for (size_t i = 0; i < MAAS_COUNT(known); i++)
        if (strcmp(known[i].loss, loss) == 0)
            return known[i].activation;
    return NULL;
}

static maas_status add_layer(json_t *layers, maas_span units, const char *activation, maas_err *err)
{
    int64_t n;
    maas_span rest = units;
    if (!maas_num_i64(&rest, &n) || rest.n || n < 1)
        return maas_fail(err, MAAS_E_INVALID,
                         "--layers must be sizes with commas between (128,128,10) or the name of a "
                         "network, not '%.40s'",
                         opts.layers);
    json_array_append_new(layers, json_pack("{s:s, s:I, s:s*}", "type", "dense", "units",
                                            (json_int_t)n, "activation", activation));
    return MAAS_OK;
}

/* "128,128,10" -> flatten, dense 128 relu, dense 128 relu, dense 10 and what the loss wants. */
static maas_status put_layers(json_t *params, maas_err *err)
{
    if (isalpha((unsigned char)opts.layers[0])) { /* the server knows the names */
        json_object_set_new(params, "layers", json_string(opts.layers));
        return MAAS_OK;
    }
    AUTO(maas_json_unref) json_t *layers = json_array();
    const char *loss = json_string_value(json_object_get(params, "loss"));
    const char *comma = strrchr(opts.layers, ',');
    if (!json_object_get(params, "loss")) {
        loss = strcmp(comma ? comma + 1 : opts.layers, "1") == 0 ? "mse" : "cross_entropy";
        json_object_set_new(params, "loss", json_string(loss));
    }
    json_array_append_new(layers, json_pack("{s:s}", "type", "flatten"));
    for (const char *s = opts.layers;;) {
        size_t n = strcspn(s, ",");
        const char *last = loss ? output_activation(loss) : NULL;
        MAAS_TRY(add_layer(layers, maas_span_of(s, n), s[n] ? opts.activation : last, err));
        if (!s[n])
            break;
        s += n + 1;
    }
    json_object_set(params, "layers", layers);
    return MAAS_OK;
}

/* --optimizer and --lr over what --params says; adam when nobody says. */
static maas_status put_optimizer(json_t *params, maas_err *err)
{
    json_t *o = json_object_get(params, "optimizer"), *lr = NULL;
    const char *type = opts.optimizer ? opts.optimizer : o ? json_string_value(o) : "adam";
    if (!opts.optimizer && !opts.lr)
        return MAAS_OK;
    if (opts.lr)
        MAAS_TRY(number_of("--lr", opts.lr, &lr, err));
    if (opts.optimizer || !json_is_object(o)) {
        o = json_pack("{s:s}", "type", type ? type : "adam");
        json_object_set_new(params, "optimizer", o);
    }
    if (lr)
        json_object_set_new(o, "lr", lr);
    return MAAS_OK;
}

static void put_freeze(json_t *params)
{
    json_t *list = json_array();
    for (const char *s = opts.freeze; s && *s;) {
        const size_t n = strcspn(s, ",");
        json_array_append_new(list, json_stringn(s, n));
        s += n + (s[n] != '\0');
    }
    json_object_set_new(params, "freeze", list);
}

/* --edges into params.graph, beside what --params says of it. */
static maas_status put_edges(json_t *params, maas_err *err)
{
    json_t *graph = json_object_get(params, "graph");
    if (!json_is_object(graph)) {
        graph = json_object();
        json_object_set_new(params, "graph", graph);
    }
    return json_object_set_new(graph, "edges", json_string(opts.edges)) == 0
               ? MAAS_OK
               : maas_fail(err, MAAS_E_INVALID, "--edges must be UTF-8");
}

static maas_status build_params(json_t **out, maas_err *err)
{
    AUTO(maas_json_unref) json_t *params = NULL;
    MAAS_TRY(read_object("--params", opts.params ? opts.params : "{}", &params, err));
    for (size_t i = 0; i < MAAS_COUNT(passed_on); i++) {
        const char *text = *(char *const *)((const char *)&opts + passed_on[i].offset);
        json_t *v = NULL;
        if (!text)
            continue;
        if (passed_on[i].is_number)
            MAAS_TRY(number_of(passed_on[i].flag, text, &v, err));
        json_object_set_new(params, passed_on[i].key, v ? v : json_string(text));
    }
    if (opts.freeze)
        put_freeze(params);
    if (opts.layers)
        MAAS_TRY(put_layers(params, err));
    if (opts.edges)
        MAAS_TRY(put_edges(params, err));
    MAAS_TRY(put_optimizer(params, err));
    *out = STEAL(params);
    return MAAS_OK;
}

static maas_status build_request(const char *model, json_t **out, maas_err *err)
{
    AUTO(maas_json_unref) json_t *params = NULL, *resources = NULL, *search = NULL;
    if (opts.search && opts.update)
        return maas_fail(err, MAAS_E_INVALID, "--search and --update exclude each other");
    if (!opts.dataset)
        return maas_fail(err, MAAS_E_INVALID,
                         "--dataset is missing: which data set to learn from "
                         "(`maas dataset list` shows them)");
    MAAS_TRY(build_params(&params, err));
    if (opts.search)
        MAAS_TRY(read_object("--search", opts.search, &search, err));
    resources = maas_job_resources(&opts.job);
    *out = json_pack("{s:s, s:O*, s:s, s:s, s:s*, s:s*, s:s*, s:O, s:O, s:I}", "kind",
                     opts.update   ? "update"
                     : opts.search ? "search"
                                   : "train",
                     "search", search, "model", model, "dataset", opts.dataset, "target",
                     opts.target, "learner", opts.update ? NULL : opts.learner, "parent",
                     opts.update ? opts.parent : NULL, "params", params, "resources", resources,
                     "priority", (json_int_t)opts.job.priority);
    return *out ? MAAS_OK : maas_fail(err, MAAS_E_INVALID, "names must be UTF-8");
}

maas_status maas_cmd_train(maas_cli *cli, maas_err *err)
{
    AUTO(maas_json_unref) json_t *request = NULL, *job = NULL;
    MAAS_TRY(build_request(cli->args[0], &request, err));
    MAAS_TRY(maas_cli_call(cli, "POST", "/api/v1/jobs", request, &job, err));
    return maas_job_started(cli, job, opts.job.wait, err);
}
