/* tests/unit/learn/test_fields.c - recommenders: columns as vectors. What a factorization machine
 * made is found again; what is served is what was trained; a step moves the rows of its batch. */
#include "../../maas_test.h"

#include <math.h>

#include "toy.h"

#include "learn/metrics.h"
#include "learn/net.h"
#include "learn/optimizers.h"

enum { N = 8000, N_USERS = 30, N_ITEMS = 24, N_TEXT = 3000 };

static int64_t user[N], item[N], label[N];
static float age[N], chance[N];
static char words[N_TEXT * 8];
static const char *place[N_TEXT];
static toy data;

/* Chances of a known machine: biases, products of vectors of 2, a slope; labels drawn by them. */
static void make_rows(int n)
{
    static float u[N_USERS][3], v[N_ITEMS][3];
    maas_rng rng;
    maas_rng_seed(&rng, 11);
    for (int i = 0; i < N_USERS * 3; i++)
        u[i / 3][i % 3] = (float)maas_rng_normal(&rng);
    for (int i = 0; i < N_ITEMS * 3; i++)
        v[i / 3][i % 3] = (float)maas_rng_normal(&rng);
    for (int i = 0; i < n; i++) {
        const int a = (int)maas_rng_below(&rng, N_USERS), b = (int)maas_rng_below(&rng, N_ITEMS);
        user[i] = 1000000007LL * (a - 5); /* ids are any whole numbers */
        item[i] = b;
        age[i] = (float)(30 + 10 * maas_rng_normal(&rng));
        chance[i] = (float)(2 * (u[a][0] * 0.5 + v[b][0] * 0.5 + u[a][1] * v[b][1] +
                                 u[a][2] * v[b][2] + 0.05 * (age[i] - 30)));
        label[i] = maas_rng_unit(&rng) < 1 / (1 + exp(-chance[i]));
    }
    toy_init(&data, n);
    toy_add(&data, "user", MAAS_I64, user);
    toy_add(&data, "item", MAAS_I64, item);
    toy_add(&data, "age", MAAS_F32, age);
    toy_add(&data, "click", MAAS_I64, label);
}

static void add_places(void)
{
    static const char *const names[] = {"north", "south", "east", NULL, ""};
    for (int i = 0; i < N_TEXT; i++)
        place[i] = names[item[i] % 5];
    toy_add_text(&data, "place", place, words);
}

static double bayes(int n)
{
    static int32_t truth[N];
    static uint32_t order[N];
    for (int i = 0; i < n; i++)
        truth[i] = (int32_t)label[i];
    return maas_auc(chance, 1, truth, 1, n, order);
}

static void chances_of_a_machine_are_found(void)
{
    static const char *const zoo[] = {"deepfm", "wide_deep", "dlrm", "two_tower"};
    make_rows(N);
    const double best = bayes(N);
    EXPECT_MSG(best > 0.85, "%g", best);
    for (size_t i = 0; i < MAAS_COUNT(zoo); i++) {
        char params[300];
        maas_train_result r = {0};
        maas_err err;
        snprintf(params, sizeof params,
                 "{'layers':'%s','categories':['user','item'],'epochs':12,'validation':0.25,'seed':"
                 "1,'optimizer':{'type':'adam','lr':0.004},'weight_decay':0.0001%s}",
                 zoo[i], i == 3 ? ",'towers':{'query':['user']}" : "");
        REQUIRE_OK(toy_train(&data, "network", "click", params, &r, &err), err);
        EXPECT_MSG(toy_epoch_metric(&r, 11, "val_auc") > best - 0.03, "%s: %g of %g", zoo[i],
                   toy_epoch_metric(&r, 11, "val_auc"), best);
        maas_train_result_reset(&r);
    }
}

/* ---- serving ---- */

static const float *served(toy_model *m, int n, bool strange, maas_err *err)
{
    int64_t *u = maas_exec_input(m->exec, toy_input(m, "user"))->data;
    const maas_tensor *t = maas_exec_input(m->exec, toy_input(m, "item")); /* or a number */
    float *a = maas_exec_input(m->exec, toy_input(m, "age"))->data;
    maas_str *p = maas_exec_input(m->exec, toy_input(m, "place"))->data;
    for (int i = 0; i < n; i++) {
        u[i] = strange ? 77 : user[i];
        maas_tensor_set(t, i, (double)item[i]);
        a[i] = strange ? NAN : age[i];
        p[i] = strange || !place[i] ? (maas_str){"", 0} : (maas_str){place[i], strlen(place[i])};
    }
    return maas_exec_run(m->exec, err) == MAAS_OK ? toy_output(m, "probabilities")->data : NULL;
}

static double log_loss(const float *p, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum -= log((double)p[2 * i + label[i]]);
    return sum / n;
}

/* The loss of the served file is that of training, to the last digits; unknowns have an answer. */
static void served_as_scored(const maas_train_result *r, const char *what)
{
    toy_model m;
    maas_err err = {0};
    REQUIRE_OK(toy_model_open(&m, &r->onnx, N_TEXT, &err), err);
    const float *p = served(&m, N_TEXT, false, &err);
    EXPECT_MSG(p != NULL, "%s: %s", what, err.msg);
    if (p)
        EXPECT_MSG(fabs(log_loss(p, N_TEXT) - toy_metric(r, "loss")) < 1e-5, "%s: %g for %g", what,
                   log_loss(p, N_TEXT), toy_metric(r, "loss"));
    p = served(&m, N_TEXT, true, &err);
    EXPECT_MSG(p && p[0] > 0 && p[0] < 1 && p[1] > 0 && p[1] < 1, "%s: %s", what, err.msg);
    toy_model_close(&m);
}

static const char *const ways[] = {
    "'categories':['user','item']",
    "'categories':['user','item'],'hash_buckets':50",
    "'categories':['user','item'],'hash_buckets':{'place':7,'user':40},'clip_norm':1",
    "'categories':['user'],'max_categories':3,'optimizer':{'type':'adagrad','lr':0.05}",
};

static void raw_columns_are_served(void)
{
    make_rows(N_TEXT);
    add_places();
    for (size_t i = 0; i < MAAS_COUNT(ways); i++) {
        char params[300];
        maas_train_result r = {0};
        maas_err err;
        snprintf(params, sizeof params, "{'layers':'deepfm','epochs':2,%s}", ways[i]);
        REQUIRE_OK(toy_train(&data, "network", "click", params, &r, &err), err);
        served_as_scored(&r, ways[i]);
        maas_train_result_reset(&r);
    }
}

static void an_update_goes_on(void)
{
    make_rows(N_TEXT);
    add_places();
    for (size_t i = 0; i < MAAS_COUNT(ways); i++) {
        char params[300];
        maas_train_result r = {0}, next = {0};
        maas_err err = {0};
        maas_graph *g = NULL;
        maas_onnx_opts o = {0};
        snprintf(params, sizeof params, "{'layers':'deepfm','epochs':3,'seed':2,%s}", ways[i]);
        REQUIRE_OK(toy_train(&data, "network", "click", params, &r, &err), err);
        REQUIRE_OK(maas_onnx_read(maas_buf_span(&r.onnx), &o, &g, &err), err);
        json_t *p = toy_params("{'epochs':2}");
        const maas_train_job job = {.learner = "network",
                                    .params = p,
                                    .data = &data.d,
                                    .target = "click",
                                    .parent = g,
                                    .n_threads = 1};
        const maas_status st = maas_train(&job, &next, &err);
        EXPECT_MSG(st == MAAS_OK, "%s: %s", ways[i], err.msg);
        if (st == MAAS_OK) {
            EXPECT_MSG(toy_metric(&next, "loss") < toy_metric(&r, "loss") + 0.01, "%s", ways[i]);
            served_as_scored(&next, ways[i]);
        }
        json_decref(p);
        maas_graph_destroy(g);
        maas_train_result_reset(&r);
        maas_train_result_reset(&next);
    }
}

static void mistakes_are_named(void)
{
    static const struct {
        const char *params, *words;
    } bad[] = {
        {"'layers':'deepfm','categories':'user'", "params.categories must list"},
        {"'layers':'deepfm','categories':[3]", "params.categories[0]"},
        {"'layers':'deepfm','categories':['nobody']", "no column 'nobody'"},
        {"'layers':'deepfm','categories':['age']", "column 'age' holds no whole numbers"},
        {"'layers':'deepfm','hash_buckets':0", "params.hash_buckets"},
        {"'layers':'deepfm','hash_buckets':{'user':1e9}", "params.hash_buckets.user"},
        {"'layers':'deepfm','hash_buckets':{'age':9}", "column 'age' is no category"},
        {"'layers':'deepfm','hash_buckets':{'who':9}", "no column 'who'"},
        {"'layers':'mlp','categories':['user']", "params.categories needs a layer of fields"},
        {"'layers':'deepfm','preparation':{'text':'tfidf'}", "params.preparation"},
        {"'layers':'dlrm','categories':['user','item','age']", "whole numbers"},
        {"'layers':['fm','dense']", "params.layers[0]: fm takes rows of vectors"},
        {"'layers':['dot','dense']", "params.layers[0]: dot takes rows of vectors"},
        {"'layers':['fields',{'type':'sum','axis':3},'flatten','dense']", "params.layers[1].axis"},
        {"'layers':[{'type':'fields','numbers':false},'flatten','dense']", "params.layers[0]"},
        {"'layers':[{'type':'dense','units':2,'name':'a'},{'type':'dense','units':3,'name':'b',"
         "'inputs':['input']},{'type':'add','inputs':['a','b']}]",
         "params.layers[2]: add gets rows"},
    };
    make_rows(200);
    for (size_t i = 0; i < MAAS_COUNT(bad); i++) {
        char params[400];
        maas_train_result r = {0};
        maas_err err;
        snprintf(params, sizeof params, "{%s}", bad[i].params);
        EXPECT_MSG(toy_train(&data, "network", "click", params, &r, &err) == MAAS_E_INVALID, "%s",
                   bad[i].params);
        EXPECT_MSG(strstr(err.msg, bad[i].words) != NULL, "%s: %s", bad[i].params, err.msg);
    }
}

static void numbers_of_a_row_may_be_none(void)
{
    maas_train_result r = {0};
    maas_err err;
    make_rows(400);
    data.cols[2] = data.cols[3]; /* without the age */
    data.d.n_cols = 3;
    EXPECT_EQ(toy_train(&data, "network", "click", "{'layers':'dlrm','categories':['user','item']}",
                        &r, &err),
              MAAS_E_INVALID);
    EXPECT_MSG(strstr(err.msg, "params.layers[0]: it reads the numbers") != NULL, "%s", err.msg);
    REQUIRE_OK(toy_train(&data, "network", "click",
                         "{'layers':'deepfm','categories':['user','item'],'epochs':1}", &r, &err),
               err);
    maas_train_result_reset(&r);
}

/* ---- steps ---- */

enum { ROWS = 40, DIM = 3, BATCH = 6, STEPS = 4 };

typedef struct rig {
    maas_graph *g;
    maas_vars *vars;
    maas_plan *plan;
    maas_exec *exec;
} rig;

/* loss = sum of w[id]^2 c over the batch: the gradient of row id is 2 c w[id], summed. */
static maas_status rig_init(rig *r, const maas_recipe *recipe, int64_t rows, int64_t dim,
                            maas_budget *budget, maas_err *err)
{
    const maas_optimizer *opt = &maas_optimizers[recipe->optimizer.type];
    const int64_t dims[] = {2, BATCH / 2};
    maas_net net = {0};
    maas_rng rng;
    maas_step_inputs in = {MAAS_NO_VALUE, MAAS_NO_VALUE, MAAS_NO_VALUE, MAAS_NO_VALUE, false};
    maas_plan_opts o = MAAS_PLAN_OPTS_INIT;
    maas_type types[5];
    *r = (rig){0};
    maas_rng_seed(&rng, 4);
    MAAS_TRY(maas_graph_create("t", NULL, &r->g, err));
    MAAS_TRY(maas_net_init(&net, r->g, recipe, err));
    net.rng = &rng;
    maas_vid ids = maas_b_input(&net.b, "ids", MAAS_I64, 2, dims);
    maas_vid c = maas_b_input(&net.b, "c", MAAS_F32, 0, NULL);
    in.lr = maas_b_input(&net.b, "lr", MAAS_F32, 0, NULL);
    in.epsilon = opt->scalars ? maas_b_input(&net.b, "epsilon", MAAS_F32, 0, NULL) : MAAS_NO_VALUE;
    in.rate = opt->decoupled ? maas_b_input(&net.b, "rate", MAAS_F32, 0, NULL) : MAAS_NO_VALUE;
    maas_vid w = maas_net_weight_add(&net, 0, "w", 2, (int64_t[]){rows, dim}, MAAS_INIT_NORMAL, 1,
                                     1);
    maas_vid x = maas_b_op2(&net.b, "Gather", w, ids);
    maas_vid loss = maas_b_op2(&net.b, "ReduceTo",
                               maas_b_op2(&net.b, "Mul", maas_b_op2(&net.b, "Mul", x, x), c),
                               maas_b_f32(&net.b, 0));
    maas_optimizer_build(&net, loss, &in);
    maas_b_output(&net.b, "loss", loss);
    const maas_status st = net.b.status;
    maas_net_reset(&net);
    MAAS_TRY(st);
    MAAS_TRY(maas_vars_create(r->g, NULL, &r->vars, err));
    for (uint32_t i = 0; i < r->g->n_inputs; i++)
        types[i] = maas_graph_at(r->g, r->g->inputs[i])->type;
    o.n_threads = 1;
    o.training = true;
    o.budget = budget;
    MAAS_TRY(maas_plan_create(r->g, types, &o, &r->plan, err));
    return maas_exec_create(r->plan, r->vars, &r->exec, err);
}

static void rig_reset(rig *r)
{
    maas_exec_destroy(r->exec);
    maas_plan_destroy(r->plan);
    maas_vars_destroy(r->vars);
    maas_graph_destroy(r->g);
}

static void put(rig *r, uint32_t i, double v)
{
    *(float *)maas_exec_input(r->exec, i)->data = (float)v;
}

/* One element, by the book, in double: what maas_optimizers says in graph nodes. */
static double step_of(const char *name, const maas_recipe *c, int t, double w, double g, double *s)
{
    const maas_optimizer_spec *o = &c->optimizer;
    const double lr = o->lr, decay = c->weight_decay;
    if (strcmp(name, "adamw") == 0)
        w -= lr * decay * w;
    else
        g += decay * w;
    if (strcmp(name, "sgd") == 0)
        return w - lr * g;
    if (strcmp(name, "momentum") == 0)
        return w - lr * (s[0] = o->momentum * s[0] + g);
    if (strcmp(name, "adagrad") == 0)
        return w - lr * g / (sqrt(s[0] += g * g) + o->epsilon);
    if (strcmp(name, "rmsprop") == 0)
        return w - lr * g / (sqrt(s[0] = o->rho * s[0] + (1 - o->rho) * g * g) + o->epsilon);
    s[0] = o->beta1 * s[0] + (1 - o->beta1) * g;
    s[1] = o->beta2 * s[1] + (1 - o->beta2) * g * g;
    return w - lr * (s[0] / (1 - pow(o->beta1, t))) /
                   (sqrt(s[1] / (1 - pow(o->beta2, t))) + o->epsilon);
}

/* Repeats, ends counted from behind, and rows that never come. */
static const int64_t batches[STEPS][BATCH] = {
    {3, 7, 3, 3, 0, -1}, {7, 7, 7, 7, 7, 7}, {39, 5, 12, 0, 3, 39}, {1, 2, 4, 6, 8, 10}};

static void book_step(const char *name, const maas_recipe *c, int t, double *w, double s[][2])
{
    double g[ROWS * DIM] = {0};
    bool touched[ROWS] = {false};
    for (int i = 0; i < BATCH; i++) {
        const int64_t id = (batches[t][i] + ROWS) % ROWS;
        touched[id] = true;
        for (int k = 0; k < DIM; k++)
            g[id * DIM + k] += 2 * 0.5 * w[id * DIM + k];
    }
    double norm = 0;
    for (int k = 0; k < ROWS * DIM; k++)
        norm += g[k] * g[k];
    const double clip = c->clip_norm > 0 ? fmin(1, c->clip_norm / sqrt(norm)) : 1;
    for (int k = 0; k < ROWS * DIM; k++)
        if (touched[k / DIM])
            w[k] = step_of(name, c, t + 1, w[k], clip * g[k], s[k]);
}

static void steps_agree(int type, double decay, double clip)
{
    const maas_optimizer *opt = &maas_optimizers[type];
    const maas_recipe c = {.optimizer = {.type = type,
                                         .lr = 0.05,
                                         .momentum = 0.9,
                                         .rho = 0.9,
                                         .beta1 = 0.9,
                                         .beta2 = 0.99,
                                         .epsilon = 1e-6},
                           .weight_decay = decay,
                           .clip_norm = clip};
    static double w[ROWS * DIM], s[ROWS * DIM][2];
    maas_err err = {0};
    rig r;
    REQUIRE_OK(rig_init(&r, &c, ROWS, DIM, NULL, &err), err);
    const maas_tensor *v = maas_vars_find(r.vars, "layers.0.w");
    memset(s, 0, sizeof s);
    for (int k = 0; k < ROWS * DIM; k++)
        w[k] = ((float *)v->data)[k];
    for (int t = 0; t < STEPS; t++) {
        float lr = 0.05f, epsilon = 0;
        memcpy(maas_exec_input(r.exec, 0)->data, batches[t], sizeof batches[t]);
        if (opt->scalars)
            opt->scalars(&c.optimizer, t + 1, 0.05, &lr, &epsilon);
        put(&r, 1, 0.5);
        put(&r, 2, lr);
        if (opt->scalars)
            put(&r, 3, epsilon);
        if (opt->decoupled)
            put(&r, 4, 0.05);
        REQUIRE_OK(maas_exec_run(r.exec, &err), err);
        book_step(opt->doc.name, &c, t, w, s);
        double worst = 0;
        for (int k = 0; k < ROWS * DIM; k++)
            worst = fmax(worst, fabs(w[k] - ((float *)v->data)[k]));
        EXPECT_MSG(worst < 1e-6, "%s, step %d: %g", opt->doc.name, t, worst);
    }
    rig_reset(&r);
}

static void a_step_moves_the_rows_of_its_batch(void)
{
    for (int type = 0; type < MAAS_N_OPTIMIZERS; type++) {
        steps_agree(type, 0, 0);
        steps_agree(type, 0.1, 0.02);
    }
}

/* 64 MiB and as much for each state: neither a gradient nor a copy of it fits into the budget. */
static void a_large_table_is_written_in_place(void)
{
    const maas_recipe c = {
        .optimizer = {
            .type = MAAS_OPTIMIZER_ADAM, .lr = 0.05, .beta1 = 0.9, .beta2 = 0.99, .epsilon = 1e-6}};
    maas_budget budget = {.limit = 1 << 20};
    maas_err err = {0};
    rig r;
    REQUIRE_OK(rig_init(&r, &c, 1 << 20, 16, &budget, &err), err);
    EXPECT_MSG(maas_plan_exec_bytes(r.plan) < 1 << 16, "%zu", maas_plan_exec_bytes(r.plan));
    memcpy(maas_exec_input(r.exec, 0)->data, batches[0], sizeof batches[0]);
    for (uint32_t i = 1; i < 4; i++)
        put(&r, i, 0.01);
    REQUIRE_OK(maas_exec_run(r.exec, &err), err);
    rig_reset(&r);
}

int main(int argc, char **argv)
{
    static const mt_case cases[] = {
        MT_CASE(chances_of_a_machine_are_found),
        MT_CASE(raw_columns_are_served),
        MT_CASE(an_update_goes_on),
        MT_CASE(mistakes_are_named),
        MT_CASE(numbers_of_a_row_may_be_none),
        MT_CASE(a_step_moves_the_rows_of_its_batch),
        MT_CASE(a_large_table_is_written_in_place),
    };
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
