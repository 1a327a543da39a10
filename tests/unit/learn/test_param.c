/* tests/unit/learn/test_param.c - every row of every learner: default, range, refusal by name. */
#include "../../maas_test.h"

#include "toy.h"

#include "learn/losses.h"
#include "learn/metrics.h"
#include "learn/net.h"
#include "learn/optimizers.h"
#include "learn/recipe.h"

#define NET "'layers':[{'type':'dense','units':3}]"

static void refused(const char *learner, const char *params, const char *const *words)
{
    json_t *p = toy_params(params);
    maas_err err = {0};
    EXPECT_MSG(maas_train_check(learner, p, &err) == MAAS_E_INVALID, "%s", params);
    for (int i = 0; words[i]; i++)
        EXPECT_MSG(strstr(err.msg, words[i]) != NULL, "'%s' not in: %s", words[i], err.msg);
    json_decref(p);
}
#define REFUSED(learner, params, ...) refused(learner, params, (const char *[]){__VA_ARGS__, NULL})

static void accepted(const char *learner, const char *params)
{
    json_t *p = toy_params(params);
    maas_err err = {0};
    EXPECT_MSG(maas_train_check(learner, p, &err) == MAAS_OK, "%s: %s", params, err.msg);
    json_decref(p);
}

static void wrong_names_are_refused_with_the_nearest(void)
{
    REFUSED("network", "{" NET ",'epoch':3}", "params", "epoch", "epochs");
    REFUSED("network", "{'layers':[{'type':'dense','unit':3}]}", "params.layers[0]", "unit",
            "units");
    REFUSED("network", "{" NET ",'optimizer':{'type':'adam','learning_rate':1}}",
            "params.optimizer");
    REFUSED("network", "{" NET ",'optimizer':{'type':'sgd','beta1':0.9}}", "params.optimizer",
            "beta1");
    REFUSED("network", "{" NET ",'optimizer':'adamm'}", "params.optimizer.type", "adamm", "adamw");
    REFUSED("network", "{" NET ",'loss':'crossentropy'}", "params.loss.type", "cross_entropy");
    REFUSED("network", "{" NET ",'early_stopping':{'patince':2}}", "params.early_stopping",
            "patience");
    REFUSED("network", "{'layers':[{'type':'conv'}]}", "params.layers[0].type", "conv", "dense");
    REFUSED("network", "{'layers':[{'type':'dense','units':2,'activation':'rleu'}]}", "activation",
            "rleu", "relu");
    REFUSED("linear_regression", "{'layers':[]}", "params", "layers");
    REFUSED("nonsense", "{}", "nonsense", "network");
}

static void wrong_shapes_are_refused(void)
{
    REFUSED("network", "{}", "params.layers", "missing");
    REFUSED("network", "{'layers':[]}", "params.layers", "0 entries");
    REFUSED("network", "{'layers':{}}", "params.layers", "array");
    REFUSED("network", "{'layers':[7]}", "params.layers[0]");
    REFUSED("network", "{'layers':[{'units':7}]}", "params.layers[0].type", "missing");
    REFUSED("network", "{" NET ",'optimizer':3}", "params.optimizer");
    REFUSED("network", "{" NET ",'early_stopping':3}", "params.early_stopping");
    REFUSED("network", "{" NET ",'class_weight':'even'}", "params.class_weight", "balanced");
    REFUSED("network", "[]", "params", "object");
}

static void what_does_not_go_together_is_refused(void)
{
    REFUSED("network",
            "{'layers':[{'type':'dense','units':3,'activation':'relu'}],'loss':'cross_entropy'}",
            "params.layers[0]", "softmax", "relu");
    REFUSED("network",
            "{'layers':[{'type':'dense','units':1,'activation':'softmax'}],'loss':'binary_cross_"
            "entropy'}",
            "params.layers[0]", "sigmoid");
    REFUSED("network", "{'layers':[{'type':'flatten'},{'type':'embedding'}]}", "params.layers[1]",
            "first");
    REFUSED("network", "{'layers':[{'type':'embedding'},{'type':'dense'}],'scaling':'unit'}",
            "params.scaling");
    REFUSED("network", "{'layers':[{'type':'activation','function':'relu','alpha':0.1}]}",
            "params.layers[0].alpha", "relu");
    REFUSED("network", "{" NET ",'early_stopping':{'metric':'val_loss'}}", "early_stopping.metric",
            "validation");
    accepted("network", "{" NET ",'early_stopping':{'metric':'val_loss'},'validation':0.1}");
    accepted("network", "{" NET ",'early_stopping':null,'class_weight':null}");
    accepted("network", "{" NET ",'early_stopping':true,'class_weight':'balanced'}");
    accepted("network", "{'layers':['flatten',{'type':'dense','units':2}]}");
}

/* ---- every number of every table, one step outside its range ---- */

typedef json_t *wrap_fn(const char *owner, const char *key, json_t *value);

static json_t *wrap_top(const char *owner, const char *key, json_t *value)
{
    return json_pack("{s:o}", key, value);
}

static const char *wrap_key;
static json_t *wrap_layer(const char *owner, const char *key, json_t *value)
{
    return json_pack("{s:[{s:s, s:o}]}", wrap_key, "type", owner, key, value);
}

static json_t *wrap_variant(const char *owner, const char *key, json_t *value)
{
    return json_pack("{s:{s:s, s:o}}", wrap_key, "type", owner, key, value);
}

static json_t *wrap_group(const char *owner, const char *key, json_t *value)
{
    return json_pack("{s:{s:o}}", owner, key, value);
}

static void out_of_range(const char *learner, const maas_param *row, const char *owner,
                         wrap_fn *wrap)
{
    if (row->kind != MAAS_PARAM_INT && row->kind != MAAS_PARAM_NUM)
        return;
    for (int side = 0; side < 2; side++) {
        double bad = side ? row->max + 1 : row->min - 1;
        json_t *v = row->kind == MAAS_PARAM_INT ? json_integer((json_int_t)bad) : json_real(bad);
        json_t *p = wrap(owner, row->name, v);
        if (strcmp(learner, "network") == 0 && !json_object_get(p, "layers"))
            json_object_set_new(p, "layers",
                                json_pack("[{s:s, s:i}]", "type", "dense", "units", 2));
        maas_err err = {0};
        EXPECT_MSG(maas_train_check(learner, p, &err) == MAAS_E_INVALID, "%s.%s = %g", owner,
                   row->name, bad);
        EXPECT_MSG(strstr(err.msg, row->name) != NULL, "%s not in: %s", row->name, err.msg);
        json_decref(p);
        p = wrap(owner, row->name, json_string("x")); /* and a wrong type */
        if (strcmp(learner, "network") == 0 && !json_object_get(p, "layers"))
            json_object_set_new(p, "layers",
                                json_pack("[{s:s, s:i}]", "type", "dense", "units", 2));
        err = (maas_err){0};
        EXPECT_MSG(maas_train_check(learner, p, &err) == MAAS_E_INVALID, "%s.%s = \"x\"", owner,
                   row->name);
        EXPECT_MSG(strstr(err.msg, row->name) != NULL, "%s not in: %s", row->name, err.msg);
        json_decref(p);
    }
}

static void variants_out_of_range(const char *learner, const maas_param *row)
{
    for (size_t i = 0; i < row->n_variants; i++) {
        const maas_variant *d = (const maas_variant *)((const char *)row->variants +
                                                       i * row->stride);
        wrap_key = row->name;
        for (size_t k = 0; k < d->n_rows; k++)
            out_of_range(learner, &d->rows[k], d->name,
                         row->kind == MAAS_PARAM_LIST ? wrap_layer : wrap_variant);
    }
}

static void every_row_refuses_what_is_out_of_range(void)
{
    for (size_t i = 0; i < maas_n_learners; i++) {
        const char *learner = maas_learners[i]->name;
        const maas_param *rows = maas_learners[i]->rows;
        const size_t n = maas_learners[i]->n_rows;
        for (size_t k = 0; k < n; k++) {
            out_of_range(learner, &rows[k], "params", wrap_top);
            if (rows[k].variants)
                variants_out_of_range(learner, &rows[k]);
            for (size_t j = 0; j < rows[k].n_rows; j++)
                out_of_range(learner, &rows[k].rows[j], rows[k].name, wrap_group);
        }
    }
}

/* ---- the tables themselves ---- */

static void check_row(const maas_param *row, const char *owner)
{
    EXPECT_MSG(row->help && *row->help, "%s.%s has no help", owner, row->name);
    if (row->kind == MAAS_PARAM_INT || row->kind == MAAS_PARAM_NUM)
        EXPECT_MSG(row->min < row->max &&
                       (isnan(row->preset) || (row->preset >= row->min && row->preset <= row->max)),
                   "%s.%s: default outside its range", owner, row->name);
}

static void every_row_is_complete(void)
{
    for (size_t i = 0; i < maas_n_learners; i++) {
        const maas_learner *l = maas_learners[i];
        const maas_param *rows = l->rows;
        const size_t n = l->n_rows;
        EXPECT_MSG(l->help && *l->help, "%s has no help", l->name);
        EXPECT(maas_learner_find(l->name) == l);
        for (size_t k = 0; k < n; k++) {
            check_row(&rows[k], l->name);
            for (size_t v = 0; v < rows[k].n_variants; v++) {
                const maas_variant *d = (const maas_variant *)((const char *)rows[k].variants +
                                                               v * rows[k].stride);
                EXPECT_MSG(d->name && d->help, "%s.%s: variant %zu is empty", l->name, rows[k].name,
                           v);
                for (size_t j = 0; j < d->n_rows; j++)
                    check_row(&d->rows[j], d->name);
            }
        }
    }
    for (size_t i = 0; i < maas_n_activations; i++) {
        EXPECT_STR(maas_activation_names[i], maas_activations[i].name);
        if (maas_activations[i].op)
            EXPECT_MSG(maas_op_find("", maas_activations[i].op, MAAS_OPSET) != NULL,
                       "no operator %s", maas_activations[i].op);
    }
    EXPECT(maas_activation_names[maas_n_activations] == NULL);
    for (int i = 0; maas_stop_metric_names[i]; i++)
        EXPECT_STR(maas_stop_metric_names[i], maas_stop_metrics[i].name);
}

/* A dump read back is the same dump: what a model file carries means what was asked for. */
static void recipes_survive_the_round_trip(void)
{
    static const char *const params[] = {
        "{" NET "}",
        "{'layers':[{'type':'dense','units':4,'activation':'gelu','bias':false,'init':'he_uniform'}"
        ","
        "{'type':'dropout','rate':0.25},{'type':'batch_norm','momentum':0.5},"
        "{'type':'activation','function':'leaky_relu','alpha':0.3},'flatten',{'type':'dense'}],"
        "'loss':{'type':'huber','delta':2},'optimizer':{'type':'momentum','lr':0.5,'nesterov':true}"
        ","
        "'schedule':{'type':'step','every':3,'factor':0.5,'warmup':7},'class_weight':{'a':2},"
        "'early_stopping':{'patience':2,'min_delta':0.125},'clip_norm':1.5,'seed':9007199254740991,"
        "'validation':0.25,'scaling':'none','shuffle':false,'keep_optimizer':false,'epochs':77}",
    };
    for (size_t i = 0; i < MAAS_COUNT(params); i++) {
        maas_arena a;
        maas_arena_init(&a, NULL);
        maas_recipe r;
        maas_err err = {0};
        json_t *p = toy_params(params[i]);
        EXPECT_EQ(maas_learner_read("network", p, &a, &r, &err), MAAS_OK);
        json_t *once = maas_learner_dump("network", &r);
        EXPECT_MSG(maas_learner_read("network", json_object_get(once, "params"), &a, &r, &err) ==
                       MAAS_OK,
                   "%s", err.msg);
        json_t *twice = maas_learner_dump("network", &r);
        EXPECT(once && json_equal(once, twice));
        const char *key;
        json_t *v;
        json_object_foreach(p, key, v)
        {
            const json_t *got = json_object_get(json_object_get(once, "params"), key);
            if (json_is_number(v))
                EXPECT_NEAR(json_number_value(got), json_number_value(v), 0);
            else if (!json_is_array(v) && !json_is_object(v))
                EXPECT_MSG(json_equal(got, v), "%s", key);
        }
        json_decref(p);
        json_decref(once);
        json_decref(twice);
        maas_arena_reset(&a);
    }
}

static void tables_document_themselves(void)
{
    for (size_t i = 0; i < maas_n_learners; i++) {
        json_t *j = maas_learner_params_json(maas_learners[i]->name);
        const size_t n = maas_learners[i]->n_rows;
        EXPECT_EQ(json_array_size(j), n);
        for (size_t k = 0; k < n; k++) {
            const json_t *o = json_array_get(j, k);
            EXPECT(json_is_string(json_object_get(o, "name")) &&
                   json_is_string(json_object_get(o, "type")));
            EXPECT(json_is_string(json_object_get(o, "help")));
        }
        json_decref(j);
    }
    EXPECT(maas_learner_params_json("nonsense") == NULL);
}

static void reading_survives_failed_allocations(void)
{
    json_t *p = toy_params(
        "{'layers':[{'type':'dense','units':4}],'optimizer':{'type':'adam','lr':0.1}}");
    long before = maas_mem_live();
    for (long n = 1; n < 1000; n++) {
        maas_err err = {0};
        maas_mem_fail_at(n);
        maas_status st = maas_train_check("network", p, &err);
        maas_mem_fail_at(0);
        EXPECT_EQ(maas_mem_live(), before);
        if (st == MAAS_OK)
            break;
        EXPECT_EQ(st, MAAS_E_NOMEM);
    }
    json_decref(p);
}

static const mt_case cases[] = {
    MT_CASE(wrong_names_are_refused_with_the_nearest),
    MT_CASE(wrong_shapes_are_refused),
    MT_CASE(what_does_not_go_together_is_refused),
    MT_CASE(every_row_refuses_what_is_out_of_range),
    MT_CASE(every_row_is_complete),
    MT_CASE(recipes_survive_the_round_trip),
    MT_CASE(tables_document_themselves),
    MT_CASE(reading_survives_failed_allocations),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
