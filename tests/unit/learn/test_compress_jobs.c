/* tests/unit/learn/test_compress_jobs.c - whole compressions of a network that was trained here:
 * what is published, what is refused, and what can be trained on afterwards. */
#include "../../maas_test.h"

#include "graph/op.h"
#include "learn/compress/compress.h"
#include "learn/compress/features.h"
#include "toy.h"

/* Three classes around centres that lie close enough to be mixed up now and then. */
enum { N = 1500, D = 40, CLASSES = 3 };

typedef struct school {
    float x[N * D];
    int64_t y[N];
    toy t;
    maas_train_result trained;
    maas_graph *model;
} school;

static void make_rows(school *s)
{
    maas_rng rng;
    float centre[CLASSES][D];
    maas_rng_seed(&rng, 11);
    for (int i = 0; i < CLASSES * D; i++)
        centre[i / D][i % D] = (float)(0.35 * maas_rng_normal(&rng));
    for (int i = 0; i < N; i++) {
        s->y[i] = (int64_t)maas_rng_below(&rng, CLASSES) * 10;
        for (int d = 0; d < D; d++)
            s->x[i * D + d] = centre[s->y[i] / 10][d] + (float)maas_rng_normal(&rng);
    }
    toy_init(&s->t, N);
    toy_add_tensor(&s->t, "x", MAAS_F32, 1, (int64_t[]){D}, s->x);
    toy_add(&s->t, "y", MAAS_I64, s->y);
}

static void open_school(school *s, const char *learner, const char *params)
{
    const maas_onnx_opts o = {0};
    maas_err err = {0};
    make_rows(s);
    s->trained = (maas_train_result){0};
    s->model = NULL;
    REQUIRE_OK(toy_train(&s->t, learner, "y", params, &s->trained, &err), err);
    REQUIRE_OK(maas_onnx_read(maas_buf_span(&s->trained.onnx), &o, &s->model, &err), err);
}

#define NETWORK                                                                                    \
    "{'layers':[{'type':'dense','units':96,'activation':'relu'},{'type':'dense','units':64,"       \
    "'activation':'relu'},{'type':'dense'}],'epochs':12,'validation':0.25,'seed':4}"

static void close_school(school *s)
{
    maas_graph_destroy(s->model);
    maas_train_result_reset(&s->trained);
    EXPECT_EQ(maas_mem_live(), 0);
}

static maas_status compress_with(school *s, const char *spec, const maas_train_hooks *hooks,
                                 maas_train_result *out, maas_err *err)
{
    json_t *j = toy_params(spec);
    const maas_train_job job = {
        .data = &s->t.d, .target = "y", .n_threads = 1, .parent = s->model, .hooks = hooks};
    *err = (maas_err){0};
    const maas_status st = maas_compress(&job, j, out, err);
    json_decref(j);
    return st;
}

static const json_t *trial(const maas_train_result *r, size_t i)
{
    return json_array_get(json_object_get(r->report, "trials"), i);
}

static double of_trial(const maas_train_result *r, size_t i, const char *key)
{
    return json_number_value(json_object_get(trial(r, i), key));
}

/* ---- publishing ---- */

static void steps_are_measured_one_by_one(void)
{
    static school s;
    maas_train_result r = {0}, again = {0};
    maas_err err;
    open_school(&s, "network", NETWORK);
    REQUIRE_OK(
        compress_with(&s, "{'steps':['clip','int8'],'max_metric_drop':0.02}", NULL, &r, &err), err);
    EXPECT_EQ(json_array_size(json_object_get(r.report, "trials")), 3);
    /* the rows that its training held out, and so the same score */
    EXPECT_EQ(json_integer_value(json_object_get(r.report, "rows")), N / 4);
    EXPECT_NEAR(of_trial(&r, 0, "metric"), toy_metric(&s.trained, "val_accuracy"), 1e-9);
    EXPECT_NEAR(of_trial(&r, 2, "metric"), toy_metric(&r, "accuracy"), 1e-9);
    EXPECT_EQ((long long)of_trial(&r, 2, "bytes"), (long long)r.onnx.n);
    EXPECT(of_trial(&r, 2, "size_ratio") < 0.45);
    EXPECT(of_trial(&r, 2, "latency_us") > 0 && of_trial(&r, 2, "latency_ratio") > 0);
    EXPECT(of_trial(&r, 2, "drop") <= 0.02);
    EXPECT_EQ(json_array_size(json_object_get(r.report, "steps")), 2);
    /* the same job, the same bytes */
    REQUIRE_OK(
        compress_with(&s, "{'steps':['clip','int8'],'max_metric_drop':0.02}", NULL, &again, &err),
        err);
    EXPECT(r.onnx.n == again.onnx.n && memcmp(r.onnx.p, again.onnx.p, r.onnx.n) == 0);
    maas_train_result_reset(&again);
    maas_train_result_reset(&r);
    close_school(&s);
}

static void a_loss_that_is_too_large_is_refused_with_the_table(void)
{
    static school s;
    maas_train_result r = {0};
    maas_err err;
    open_school(&s, "network", NETWORK);
    const char *spec = "{'steps':[{'type':'prune_magnitude','sparsity':0.99},'f16'],"
                       "'max_metric_drop':0.01}";
    EXPECT_EQ(compress_with(&s, spec, NULL, &r, &err), MAAS_E_CONFLICT);
    EXPECT_MSG(strstr(err.msg, "accuracy fell from") && strstr(err.msg, "max_metric_drop"), "%s",
               err.msg);
    EXPECT_EQ(r.onnx.n, 0);
    EXPECT_EQ(json_array_size(json_object_get(r.report, "trials")), 3);
    EXPECT(of_trial(&r, 2, "drop") > 0.01);
    maas_train_result_reset(&r);
    close_school(&s);
}

static void a_target_is_searched_for(void)
{
    static school s;
    maas_train_result r = {0};
    maas_err err;
    open_school(&s, "network", NETWORK);
    REQUIRE_OK(
        compress_with(&s, "{'target':{'size_ratio':0.3},'max_metric_drop':0.03}", NULL, &r, &err),
        err);
    const size_t n = json_array_size(json_object_get(r.report, "trials"));
    EXPECT(n > 2 && of_trial(&r, n - 1, "size_ratio") <= 0.3 &&
           of_trial(&r, n - 1, "drop") <= 0.03);
    EXPECT_EQ((long long)of_trial(&r, n - 1, "bytes"), (long long)r.onnx.n);
    maas_train_result_reset(&r);
    EXPECT_EQ(compress_with(&s, "{'target':{'size_ratio':0.0001},'fine_tune':0}", NULL, &r, &err),
              MAAS_E_CONFLICT);
    EXPECT_MSG(strstr(err.msg, "no steps reached size_ratio 0.0001"), "%s", err.msg);
    EXPECT(json_array_size(json_object_get(r.report, "trials")) > 10);
    maas_train_result_reset(&r);
    close_school(&s);
}

/* ---- training on ---- */

static int64_t zeros_of(const maas_buf *file, const char *weight)
{
    const maas_onnx_opts o = {0};
    maas_graph *g = NULL;
    maas_err err = {0};
    int64_t zeros = 0;
    EXPECT_MSG(maas_onnx_read(maas_buf_span(file), &o, &g, &err) == MAAS_OK, "%s", err.msg);
    const maas_vid v = g ? maas_graph_find(g, weight) : MAAS_NO_VALUE;
    EXPECT_MSG(v != MAAS_NO_VALUE, "no weight %s", weight);
    for (int64_t i = 0; v != MAAS_NO_VALUE && i < maas_n_elems(&maas_graph_at(g, v)->init); i++)
        zeros += maas_tensor_get(&maas_graph_at(g, v)->init, i) == 0;
    maas_graph_destroy(g);
    return zeros;
}

static void zeros_stay_while_it_trains(void)
{
    static school s;
    static const char *const ways[] = {"true", "false"};
    open_school(&s, "network", NETWORK);
    for (size_t i = 0; i < MAAS_COUNT(ways); i++) {
        AUTO(maas_buf_reset) maas_buf spec = MAAS_BUF_INIT(4096);
        maas_train_result r = {0};
        maas_err err;
        maas_buf_printf(&spec,
                        "{'steps':[{'type':'prune_magnitude','sparsity':0.8,'fine_tune':4,"
                        "'gradual':%s}],'max_metric_drop':1}",
                        ways[i]);
        REQUIRE_OK(compress_with(&s, spec.p, NULL, &r, &err), err);
        EXPECT_EQ(zeros_of(&r.onnx, "layers.1.weight"), (int64_t)(96 * 64 * 0.8));
        maas_train_result_reset(&r);
    }
    close_school(&s);
}

/* kind update with what a compression made as the parent. */
static maas_status update(school *s, const maas_buf *file, maas_err *err)
{
    const maas_onnx_opts o = {0};
    maas_graph *g = NULL;
    maas_train_result r = {0};
    json_t *params = toy_params("{'epochs':1}");
    *err = (maas_err){0};
    MAAS_TRY(maas_onnx_read(maas_buf_span(file), &o, &g, err));
    const maas_train_job job = {.learner = "network",
                                .params = params,
                                .data = &s->t.d,
                                .target = "y",
                                .n_threads = 1,
                                .parent = g};
    const maas_status st = maas_train(&job, &r, err);
    maas_train_result_reset(&r);
    maas_graph_destroy(g);
    json_decref(params);
    return st;
}

static void what_can_be_trained_on_says_so(void)
{
    static school s;
    static const struct {
        const char *spec;
        bool goes_on;
    } ways[] = {
        {"{'steps':[{'type':'prune_neurons','ratio':0.3,'fine_tune':1}],'max_metric_drop':1}",
         true},
        {"{'steps':['clip','prune_magnitude'],'max_metric_drop':1}", true},
        {"{'steps':[{'type':'distil','fine_tune':1}],'max_metric_drop':1}", true},
        {"{'steps':['int8'],'max_metric_drop':1}", false},
        {"{'steps':['qat'],'max_metric_drop':1}", false},
        {"{'steps':[{'type':'low_rank','energy':0.5}],'max_metric_drop':1}", false},
    };
    open_school(&s, "network", NETWORK);
    for (size_t i = 0; i < MAAS_COUNT(ways); i++) {
        maas_train_result r = {0};
        maas_err err;
        REQUIRE_OK(compress_with(&s, ways[i].spec, NULL, &r, &err), err);
        const maas_status st = update(&s, &r.onnx, &err);
        EXPECT_MSG(st == (ways[i].goes_on ? MAAS_OK : MAAS_E_CONFLICT), "%s: %s", ways[i].spec,
                   err.msg);
        EXPECT_MSG(ways[i].goes_on || strstr(err.msg, "was compressed by"), "%s", err.msg);
        maas_train_result_reset(&r);
    }
    maas_train_result r = {0};
    maas_err err;
    EXPECT_EQ(compress_with(&s, "{'steps':['int8',{'type':'distil'}]}", NULL, &r, &err),
              MAAS_E_UNSUPPORTED);
    EXPECT_MSG(strstr(err.msg, "step distil") && strstr(err.msg, "ended that"), "%s", err.msg);
    maas_train_result_reset(&r);
    close_school(&s);
}

/* ---- blocks ---- */

static const struct {
    const char *params, *weight;
    int layers, left; /* of the recipe, before and after one block */
} deep[] = {
    {"{'layers':[{'type':'dense','units':48,'activation':'relu'},{'type':'dense','units':48},"
     "{'type':'activation','function':'relu'},{'type':'dense'}],'epochs':8,'validation':0.25}",
     "layers.1.weight", 4, 2},
    {"{'layers':[{'type':'dense','units':48,'activation':'relu','name':'a'},"
     "{'type':'dense','units':20,'activation':'relu'},{'type':'dense','units':48,'name':'b'},"
     "{'type':'add','inputs':['a','b']},{'type':'activation','function':'relu'},"
     "{'type':'dense','units':30,'activation':'relu'},{'type':'dense'}],"
     "'epochs':8,'validation':0.25}",
     "layers.2.weight", 7, 5},
};

static size_t n_layers(const maas_buf *file)
{
    const maas_onnx_opts o = {0};
    maas_graph *g = NULL;
    maas_err err = {0};
    EXPECT_MSG(maas_onnx_read(maas_buf_span(file), &o, &g, &err) == MAAS_OK, "%s", err.msg);
    json_t *recipe = g ? toy_json(maas_graph_meta(g, "maas.recipe")) : NULL;
    const size_t n = json_array_size(json_object_get(json_object_get(recipe, "params"), "layers"));
    json_decref(recipe);
    maas_graph_destroy(g);
    return n;
}

/* The recipe and the names of weights follow: training on with no rate to speak of changes nothing,
 * and an update is taken. */
static void blocks_go_and_the_recipe_follows(void)
{
    static school s;
    for (size_t i = 0; i < MAAS_COUNT(deep); i++) {
        maas_train_result r = {0}, tuned = {0};
        maas_err err;
        open_school(&s, "network", deep[i].params);
        EXPECT_EQ(n_layers(&s.trained.onnx), deep[i].layers);
        REQUIRE_OK(
            compress_with(&s, "{'steps':['prune_blocks'],'max_metric_drop':1}", NULL, &r, &err),
            err);
        EXPECT(of_trial(&r, 1, "size_ratio") < 0.85);
        EXPECT_EQ(n_layers(&r.onnx), deep[i].left);
        const json_t *said = json_object_get(json_object_get(trial(&r, 1), "said"), "blocks");
        EXPECT_MSG(json_object_get(said, deep[i].weight) || i == 1, "%s did not go",
                   deep[i].weight);
        REQUIRE_OK(compress_with(&s,
                                 "{'steps':[{'type':'prune_blocks','fine_tune':1,'lr':1e-12}],"
                                 "'max_metric_drop':1}",
                                 NULL, &tuned, &err),
                   err);
        EXPECT_NEAR(of_trial(&r, 1, "metric"), of_trial(&tuned, 1, "metric"), 1e-9);
        EXPECT_MSG(update(&s, &r.onnx, &err) == MAAS_OK, "%s", err.msg);
        maas_train_result_reset(&tuned);
        maas_train_result_reset(&r);
        EXPECT_EQ(compress_with(&s, "{'steps':['prune_blocks','prune_blocks']}", NULL, &r, &err),
                  MAAS_E_UNSUPPORTED);
        EXPECT_MSG(strstr(err.msg, "no blocks that could go"), "%s", err.msg);
        maas_train_result_reset(&r);
        close_school(&s);
    }
}

#define PICTURES                                                                                   \
    "{'layers':[{'type':'reshape','shape':[1,5,8]},{'type':'conv2d','filters':12,'kernel_size':3," \
    "'padding':'same'},{'type':'batch_norm'},{'type':'activation','function':'relu'},{'type':"     \
    "'conv2d','filters':10,'kernel_size':3,'padding':'same','activation':'relu'},{'type':"         \
    "'max_pool','kernel_size':2},{'type':'flatten'},{'type':'dense'}],'epochs':3,'validation':0."  \
    "25}"

/* As above: the recipe says how many filters there are, and training goes on. */
static void filters_go_and_the_recipe_follows(void)
{
    static school s;
    maas_train_result r = {0}, tuned = {0};
    maas_err err;
    open_school(&s, "network", PICTURES);
    REQUIRE_OK(
        compress_with(&s, "{'steps':['prune_channels'],'max_metric_drop':1}", NULL, &r, &err), err);
    const json_t *said = json_object_get(json_object_get(trial(&r, 1), "said"), "channels");
    EXPECT_EQ(json_object_size(said), 2);
    EXPECT_EQ(json_integer_value(json_array_get(json_object_get(said, "layers.1.weight"), 1)), 6);
    EXPECT_EQ(json_integer_value(json_array_get(json_object_get(said, "layers.4.weight"), 1)), 5);
    REQUIRE_OK(compress_with(&s,
                             "{'steps':[{'type':'prune_channels','fine_tune':1,'lr':1e-12},"
                             "{'type':'static_int8','min_elements':1}],'max_metric_drop':1}",
                             NULL, &tuned, &err),
               err);
    /* batch_norm goes on to learn its statistics: not the same to the last row */
    EXPECT_NEAR(of_trial(&r, 1, "metric"), of_trial(&tuned, 1, "metric"), 0.1);
    EXPECT_NEAR(of_trial(&tuned, 1, "metric"), of_trial(&tuned, 2, "metric"), 0.03);
    EXPECT_MSG(update(&s, &r.onnx, &err) == MAAS_OK, "%s", err.msg);
    maas_train_result_reset(&tuned);
    maas_train_result_reset(&r);
    close_school(&s);
}

/* ---- training for bytes ---- */

static int64_t n_nodes(const maas_buf *file, const char *op)
{
    const maas_onnx_opts o = {0};
    maas_graph *g = NULL;
    maas_err err = {0};
    int64_t n = 0;
    EXPECT_MSG(maas_onnx_read(maas_buf_span(file), &o, &g, &err) == MAAS_OK, "%s", err.msg);
    for (uint32_t i = 0; g && i < g->n_nodes; i++)
        n += strcmp(g->nodes[i].op->name, op) == 0;
    maas_graph_destroy(g);
    return n;
}

/* Without a rate to speak of it is static_int8, whose graph it leaves; with one it is no worse. */
static void training_for_bytes_ends_in_bytes(void)
{
    static const struct {
        const char *params;
        int dense, conv;
    } nets[] = {{NETWORK, 3, 0}, {PICTURES, 1, 2}};
    static const char *const steps[] = {
        "{'steps':[{'type':'static_int8','min_elements':1}],'max_metric_drop':1}",
        "{'steps':[{'type':'qat','min_elements':1,'lr':1e-12}],'max_metric_drop':1}",
        "{'steps':[{'type':'qat','min_elements':1,'fine_tune':3}],'max_metric_drop':1}",
        ("{'steps':[{'type':'qat','min_elements':1,'fine_tune':3,'ranges':'learned'}],"
         "'max_metric_drop':1}"),
        "{'steps':[{'type':'prune_magnitude','fine_tune':1},'qat'],'max_metric_drop':1}"};
    for (size_t k = 0; k < MAAS_COUNT(nets); k++) {
        static school s;
        double metric[MAAS_COUNT(steps)];
        open_school(&s, "network", nets[k].params);
        for (size_t i = 0; i < MAAS_COUNT(steps); i++) {
            maas_train_result r = {0};
            maas_err err;
            REQUIRE_OK(compress_with(&s, steps[i], NULL, &r, &err), err);
            metric[i] = of_trial(&r, json_array_size(json_object_get(r.report, "trials")) - 1,
                                 "metric");
            EXPECT_EQ(n_nodes(&r.onnx, "FakeQuantize"), 0);
            EXPECT_EQ(n_nodes(&r.onnx, "MatMulInteger"), nets[k].dense);
            EXPECT_EQ(n_nodes(&r.onnx, "ConvInteger"), i == 4 && k ? 2 : nets[k].conv);
            maas_train_result_reset(&r);
        }
        /* batch_norm goes on to learn its statistics: not the same to the last row */
        EXPECT_NEAR(metric[0], metric[1], k ? 0.1 : 1e-9);
        for (size_t i = 2; i < MAAS_COUNT(steps); i++)
            EXPECT_MSG(metric[i] > metric[0] - 0.03, "net %zu, steps %zu: %g, static_int8 %g", k, i,
                       metric[i], metric[0]);
        close_school(&s);
    }
}

/* ---- teachers ---- */

#define STUDENT                                                                                    \
    "{'steps':[{'type':'distil','temperature':2,'weight':0.9,'student':{'layers':[{'type':'dense'" \
    ","                                                                                            \
    "'units':24,'activation':'relu'},{'type':'dense'}],'epochs':15}}],'max_metric_drop':1}"

/* A forest has no weights to compress; its answers can be learned all the same. */
static void a_forest_teaches_a_network(void)
{
    static school s;
    maas_train_result r = {0};
    maas_err err;
    open_school(&s, "random_forest", "{'n_estimators':60,'seed':2}");
    EXPECT_EQ(compress_with(&s, "{'steps':['int8']}", NULL, &r, &err), MAAS_E_UNSUPPORTED);
    EXPECT_MSG(strstr(err.msg, "step int8: the model has no weights"), "%s", err.msg);
    maas_train_result_reset(&r);
    REQUIRE_OK(compress_with(&s, STUDENT, NULL, &r, &err), err);
    EXPECT(of_trial(&r, 1, "size_ratio") < 0.2);
    EXPECT(of_trial(&r, 1, "metric") > 0.65); /* the forest has seen all rows; by chance: 0.33 */
    maas_train_result_reset(&r);
    close_school(&s);
}

/* With all weight on the answers, and a teacher that says the same for every row, the student says
 * it, too: the cross entropy is least at the teacher's chances. */
static void a_student_ends_at_the_teachers_chances(void)
{
    static school s;
    static float answers[N * CLASSES];
    const float said[CLASSES] = {0.2f, 0.7f, 0.1f};
    maas_train_result r = {0};
    maas_err err = {0};
    toy_model m;
    make_rows(&s);
    for (int i = 0; i < N * CLASSES; i++)
        answers[i] = said[i % CLASSES];
    json_t *labels = toy_json("[20,0,10]"),
           *params = toy_params("{'layers':[{'type':'dense'}],'epochs':40,"
                                "'optimizer':{'type':'adam','lr':0.01}}");
    const maas_teaching teaching = {answers, CLASSES, labels, 3, 1};
    const maas_train_job job = {.learner = "network",
                                .params = params,
                                .data = &s.t.d,
                                .target = "y",
                                .n_threads = 1,
                                .teaching = &teaching};
    REQUIRE_OK(maas_train(&job, &r, &err), err);
    REQUIRE_OK(toy_model_open(&m, &r.onnx, N, &err), err);
    memcpy(maas_exec_input(m.exec, 0)->data, s.x, sizeof s.x);
    REQUIRE_OK(maas_exec_run(m.exec, &err), err);
    const maas_tensor *p = toy_output(&m, "probabilities");
    for (int k = 0; k < CLASSES; k++) { /* classes of the model: 0, 10, 20 */
        double mean = 0;
        for (int i = 0; i < N; i++)
            mean += maas_tensor_get(p, i * CLASSES + k) / N;
        EXPECT_NEAR(mean, (double)said[(k + 1) % CLASSES], 0.03);
    }
    toy_model_close(&m);
    maas_train_result_reset(&r);
    json_decref(labels);
    json_decref(params);
}

/* The same where one number is predicted, and where one chance stands for two classes. */
static void numbers_and_two_classes_are_taught(void)
{
    static school s;
    static float numbers[N], chances[N * 2], y[N];
    static int64_t two[N];
    make_rows(&s);
    for (int i = 0; i < N; i++) {
        numbers[i] = 7;
        chances[2 * i] = 0.75f; /* of class 1 */
        chances[2 * i + 1] = 0.25f;
        y[i] = (float)(i % 11);
        two[i] = i % 2;
    }
    json_t *labels = toy_json("[1,0]");
    const struct {
        const char *target, *params, *output;
        maas_teaching teaching;
        double want;
    } ways[] = {
        {"n",
         "{'layers':[{'type':'dense'}],'epochs':40,'optimizer':{'type':'adam','lr':0.02}}",
         "value",
         {numbers, 1, NULL, 3, 1},
         7},
        {"two",
         "{'layers':[{'type':'dense'}],'loss':'binary_cross_entropy','epochs':40,"
         "'optimizer':{'type':'adam','lr':0.02}}",
         "probabilities",
         {chances, 2, labels, 2, 1},
         0.25},
    };
    for (size_t w = 0; w < MAAS_COUNT(ways); w++) {
        json_t *params = toy_params(ways[w].params);
        maas_train_result r = {0};
        maas_err err = {0};
        toy_model m;
        double mean = 0;
        toy_init(&s.t, N);
        toy_add_tensor(&s.t, "x", MAAS_F32, 1, (int64_t[]){D}, s.x);
        toy_add(&s.t, ways[w].target, w ? MAAS_I64 : MAAS_F32, w ? (const void *)two : y);
        const maas_train_job job = {.learner = "network",
                                    .params = params,
                                    .data = &s.t.d,
                                    .target = ways[w].target,
                                    .n_threads = 1,
                                    .teaching = &ways[w].teaching};
        REQUIRE_OK(maas_train(&job, &r, &err), err);
        REQUIRE_OK(toy_model_open(&m, &r.onnx, N, &err), err);
        memcpy(maas_exec_input(m.exec, 0)->data, s.x, sizeof s.x);
        REQUIRE_OK(maas_exec_run(m.exec, &err), err);
        const maas_tensor *p = toy_output(&m, ways[w].output);
        for (int i = 0; i < N; i++) /* of two chances the first: class 0 */
            mean += maas_tensor_get(p, i * (int64_t)(w + 1)) / N;
        EXPECT_NEAR(mean, ways[w].want, 0.02 * (1 + ways[w].want));
        toy_model_close(&m);
        maas_train_result_reset(&r);
        json_decref(params);
    }
    json_decref(labels);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void teachers_of_something_else_are_refused(void)
{
    static school s;
    static float answers[N * 3];
    make_rows(&s);
    json_t *wrong = toy_json("[0,10,30]"), *params = toy_params("{'layers':[{'type':'dense'}]}");
    const struct {
        maas_teaching teaching;
        const char *words;
    } ways[] = {{{answers, 3, wrong, 2, 1}, "does not know class 3 of target 'y'"},
                {{answers, 1, NULL, 2, 1}, "the teacher answers numbers"}};
    for (size_t w = 0; w < MAAS_COUNT(ways); w++) {
        maas_train_result r = {0};
        maas_err err = {0};
        const maas_train_job job = {.learner = "network",
                                    .params = params,
                                    .data = &s.t.d,
                                    .target = "y",
                                    .n_threads = 1,
                                    .teaching = &ways[w].teaching};
        EXPECT_EQ(maas_train(&job, &r, &err), MAAS_E_INVALID);
        EXPECT_MSG(strstr(err.msg, ways[w].words), "%s", err.msg);
        maas_train_result_reset(&r);
    }
    json_decref(wrong);
    json_decref(params);
    EXPECT_EQ(maas_mem_live(), 0);
}

/* ---- hidden layers ---- */

/* Root of the mean square of what hidden layer `name` of b differs by from that of a. */
static void hidden_difference(const school *s, const maas_graph *a, const maas_graph *b,
                              const char *name, double *out)
{
    json_t *list = json_pack("[s]", name);
    const maas_step_spec spec = {.features = list};
    const maas_train_job job = {.data = &s->t.d, .target = "y", .n_threads = 1};
    const maas_step_call c = {.job = &job, .spec = &spec, .seen = &s->t.d};
    maas_lesson_features f[2];
    maas_err err = {0};
    double sum = 0;
    REQUIRE_OK(maas_lesson_features_see(&c, a, &f[0], &err), err);
    REQUIRE_OK(maas_lesson_features_see(&c, b, &f[1], &err), err);
    const maas_hint *x = f[0].hints, *y = f[1].hints;
    EXPECT_EQ(x->width, y->width);
    for (int64_t i = 0; i < N * x->width; i++)
        sum += pow((double)x->values[i] - (double)(y->values[i] * y->scale / x->scale), 2);
    *out = sqrt(sum / (double)(N * x->width));
    maas_lesson_features_reset(&f[0]);
    maas_lesson_features_reset(&f[1]);
    json_decref(list);
}

static const char *const hidden[] = {"layers.0", "layers.1"};

static void hidden_differences(school *s, const char *more, double out[2])
{
    AUTO(maas_buf_reset) maas_buf spec = MAAS_BUF_INIT(4096);
    const maas_onnx_opts o = {0};
    maas_train_result r = {0};
    maas_graph *g = NULL;
    maas_err err = {0};
    maas_buf_printf(&spec,
                    "{'steps':[{'type':'distil',%s 'student':{'layers':[{'type':'dense','units':96,"
                    "'activation':'relu'},{'type':'dense','units':64,'activation':'relu'},"
                    "{'type':'dense'}],'epochs':40,'optimizer':{'type':'adam','lr':0.005},'seed':9}"
                    "}],'max_metric_drop':1}",
                    more);
    REQUIRE_OK(compress_with(s, spec.p, NULL, &r, &err), err);
    REQUIRE_OK(maas_onnx_read(maas_buf_span(&r.onnx), &o, &g, &err), err);
    EXPECT_EQ(maas_graph_find(g, "hint.0.weight"), MAAS_NO_VALUE);
    for (int i = 0; i < 2; i++)
        hidden_difference(s, s->model, g, hidden[i], &out[i]);
    maas_graph_destroy(g);
    maas_train_result_reset(&r);
}

/* From other first weights a student has other hidden layers, unless they are matched. */
static void hidden_layers_are_matched(void)
{
    static school s;
    double far[2] = {0}, near[2] = {9, 9};
    open_school(&s, "network", NETWORK);
    hidden_differences(&s, "", far);
    hidden_differences(&s, "'features':['layers.0','layers.1.weight'],'feature_weight':10,", near);
    for (int i = 0; i < 2; i++)
        EXPECT_MSG(far[i] > 1 && near[i] < 0.45, "%s: off by %g, matched %g", hidden[i], far[i],
                   near[i]);
    close_school(&s);
}

/* Of pictures, through matrices: nothing of them is in the file. */
static void hidden_layers_of_other_widths_are_matched(void)
{
    static school s;
    maas_train_result r = {0};
    maas_err err;
    open_school(&s, "network", PICTURES);
    REQUIRE_OK(
        compress_with(&s,
                      "{'steps':[{'type':'distil','features':[{'teacher':'layers.4','student':"
                      "'layers.1'},{'teacher':'layers.7','student':'layers.4.weight'}],"
                      "'student':{'layers':[{'type':'reshape','shape':[1,5,8]},{'type':'conv2d',"
                      "'filters':6,'kernel_size':3,'activation':'relu'},{'type':'flatten'},"
                      "{'type':'dropout','rate':0.1},{'type':'dense','units':12,'activation':"
                      "'relu'},{'type':'dense'}],'epochs':3,'accumulate':2}},'qat'],"
                      "'max_metric_drop':1}",
                      NULL, &r, &err),
        err);
    maas_train_result_reset(&r);
    REQUIRE_OK(compress_with(&s,
                             "{'steps':[{'type':'distil','fine_tune':1,'features':['layers.1']}],"
                             "'max_metric_drop':1}",
                             NULL, &r, &err),
               err);
    maas_train_result_reset(&r);
    EXPECT_EQ(
        compress_with(&s, "{'steps':[{'type':'distil','features':['layers.9']}]}", NULL, &r, &err),
        MAAS_E_INVALID);
    EXPECT_MSG(strstr(err.msg, "the teacher has no weight, value or node 'layers.9'"), "%s",
               err.msg);
    maas_train_result_reset(&r); /* its report says what was tried */
    EXPECT_EQ(compress_with(&s,
                            "{'steps':[{'type':'distil','features':[{'teacher':'layers.1',"
                            "'student':'nothing'}]}]}",
                            NULL, &r, &err),
              MAAS_E_INVALID);
    EXPECT_MSG(strstr(err.msg, "that is trained has no weight, value or node 'nothing'"), "%s",
               err.msg);
    maas_train_result_reset(&r);
    close_school(&s);
}

/* ---- stopping ---- */

static bool stop_at_once(void *user)
{
    return --*(int *)user < 0;
}

static void a_cancelled_job_stops(void)
{
    static school s;
    maas_err err;
    open_school(&s, "network", NETWORK);
    for (int after = 0; after < 40; after += 13) { /* before the first step, and within training */
        int left = after;
        const maas_train_hooks hooks = {.user = &left, .cancelled = stop_at_once};
        maas_train_result r = {0};
        EXPECT_EQ(compress_with(&s,
                                "{'steps':['clip',{'type':'prune_neurons','fine_tune':50}],"
                                "'max_metric_drop':1}",
                                &hooks, &r, &err),
                  MAAS_E_CANCELLED);
        maas_train_result_reset(&r);
    }
    close_school(&s);
}

int main(int argc, char **argv)
{
    static const mt_case all[] = {
        MT_CASE(steps_are_measured_one_by_one),
        MT_CASE(a_loss_that_is_too_large_is_refused_with_the_table),
        MT_CASE(a_target_is_searched_for),
        MT_CASE(zeros_stay_while_it_trains),
        MT_CASE(what_can_be_trained_on_says_so),
        MT_CASE(blocks_go_and_the_recipe_follows),
        MT_CASE(filters_go_and_the_recipe_follows),
        MT_CASE(training_for_bytes_ends_in_bytes),
        MT_CASE(a_forest_teaches_a_network),
        MT_CASE(a_student_ends_at_the_teachers_chances),
        MT_CASE(numbers_and_two_classes_are_taught),
        MT_CASE(teachers_of_something_else_are_refused),
        MT_CASE(hidden_layers_are_matched),
        MT_CASE(hidden_layers_of_other_widths_are_matched),
        MT_CASE(a_cancelled_job_stops),
    };
    return mt_main(argc, argv, all, sizeof all / sizeof *all);
}
