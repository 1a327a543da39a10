/* tests/unit/learn/test_tune.c - training that goes on from graphs that were not trained here. */
#include "../../maas_test.h"

#include "toy.h"

#include "../ops/interp.h"

#include "learn/tune/tune.h"
#include "ops/build.h"

enum { N = 120, SIDE = 6, CHANNELS = 4 };

/* Pictures of three kinds: bright above, bright below, bright in the middle. */
typedef struct pictures {
    float x[N][SIDE * SIDE];
    int64_t k[N];
    toy t;
} pictures;

static void make_pictures(pictures *p, int rank, const int64_t *dims)
{
    maas_rng rng;
    maas_rng_seed(&rng, 3);
    for (int i = 0; i < N; i++) {
        p->k[i] = i % 3;
        for (int j = 0; j < SIDE * SIDE; j++)
            p->x[i][j] = (float)(maas_rng_normal(&rng) * 0.3 + (j / SIDE / 2 == i % 3));
    }
    toy_init(&p->t, N);
    toy_add_tensor(&p->t, "x", MAAS_F32, rank, dims, p->x);
    toy_add(&p->t, "k", MAAS_I64, p->k);
}

/* ---- parents ---- */

typedef struct parent {
    maas_graph *g;
    maas_builder b;
    maas_rng rng;
} parent;

static maas_vid input(parent *p, int rank, const int64_t *dims)
{
    maas_err err = {0};
    maas_rng_seed(&p->rng, 11);
    EXPECT_EQ(maas_graph_create("parent", NULL, &p->g, &err), MAAS_OK);
    maas_builder_init(&p->b, p->g, NULL);
    return maas_b_input(&p->b, "picture", MAAS_F32, rank, dims);
}

static maas_vid weight(parent *p, const char *name, int rank, const int64_t *dims, double spread)
{
    const int64_t n = maas_dims_product(dims, 0, rank);
    float *w = maas_calloc((size_t)n, sizeof *w);
    for (int64_t i = 0; i < n; i++)
        w[i] = (float)(maas_rng_normal(&p->rng) * spread);
    maas_tensor t = maas_tensor_of(MAAS_F32, rank, dims, w);
    maas_vid v = maas_b_const(&p->b, name, &t);
    maas_free(w);
    return v;
}

static maas_vid named(parent *p, const char *name, maas_vid v)
{
    p->g->nodes[p->b.last].name = name;
    return v;
}

static maas_vid constant(parent *p, const char *name, double value)
{
    float w[CHANNELS];
    const int64_t c = CHANNELS;
    for (int i = 0; i < CHANNELS; i++)
        w[i] = (float)value;
    maas_tensor t = maas_tensor_of(MAAS_F32, 1, &c, w);
    return maas_b_const(&p->b, name, &t);
}

/* Conv, BatchNormalization, Relu; then whatever `middle` is; pool, Reshape to rows, Gemm, Softmax.
 */
static void make_cnn(parent *p, int64_t batch, const char *middle, int64_t classes)
{
    const int64_t rows[2] = {batch < 0 ? 0 : batch, CHANNELS};
    maas_vid x = input(p, 4, (int64_t[]){batch < 0 ? MAAS_DIM_UNKNOWN : batch, 1, SIDE, SIDE});
    x = maas_b_op2(&p->b, "Conv", x, weight(p, "stem.w", 4, (int64_t[]){CHANNELS, 1, 3, 3}, 0.5));
    named(p, "stem", x);
    maas_vid in[5] = {x, constant(p, "norm.scale", 1), constant(p, "norm.bias", 0),
                      constant(p, "norm.mean", 0.1), constant(p, "norm.var", 0.9)};
    x = named(p, "norm", maas_b_node(&p->b, "BatchNormalization", NULL, 0, in, 5, NULL, 1));
    x = maas_b_op1(&p->b, "Relu", x);
    if (middle)
        x = named(p, "middle", maas_b_op1(&p->b, middle, x));
    x = maas_b_op1(&p->b, "GlobalMaxPool", x);
    x = named(p, "rows", maas_b_op2(&p->b, "Reshape", x, maas_b_i64s(&p->b, rows, 2)));
    x = named(p, "fc",
              maas_b_op3(&p->b, "Gemm", x,
                         weight(p, "fc.w", 2, (int64_t[]){CHANNELS, classes}, 0.5),
                         weight(p, "fc.b", 1, &classes, 0.1)));
    maas_b_output(&p->b, "probs", maas_b_op1(&p->b, "Softmax", x));
    EXPECT_EQ(p->b.status, MAAS_OK);
}

static void end(parent *p)
{
    maas_graph_destroy(p->g);
    *p = (parent){0};
}

static maas_status tune(const parent *p, const pictures *s, const char *target, const char *params,
                        maas_train_result *out, maas_err *err)
{
    json_t *j = toy_params(params);
    const maas_train_job job = {
        .params = j, .data = &s->t.d, .target = target, .n_threads = 1, .parent = p->g};
    *err = (maas_err){0};
    *out = (maas_train_result){0};
    maas_status st = maas_train(&job, out, err);
    json_decref(j);
    return st;
}

static void refused(const parent *p, const pictures *s, const char *params, maas_status want,
                    const char *words)
{
    maas_train_result r;
    maas_err err;
    const maas_status st = tune(p, s, "k", params, &r, &err);
    EXPECT_MSG(st == want && strstr(err.msg, words), "%s: %d %s", params, (int)st, err.msg);
    maas_train_result_reset(&r);
}

static const maas_tensor *tensor_of(const maas_graph *g, const char *name)
{
    const maas_vid v = maas_graph_find(g, name);
    return v == MAAS_NO_VALUE ? NULL : &maas_graph_at(g, v)->init;
}

static bool same_bytes(const maas_graph *a, const maas_graph *b, const char *name)
{
    const maas_tensor *x = tensor_of(a, name), *y = tensor_of(b, name);
    return x && y && x->data && y->data && maas_shape_eq(x, y) &&
           memcmp(x->data, y->data, maas_tensor_bytes(x)) == 0;
}

static int64_t dim_of_output(const maas_graph *g, int d)
{
    return maas_graph_at(g, g->outputs[0])->type.dims[d];
}

#define SGD "'optimizer':{'type':'sgd','lr':0.2},'schedule':'constant','epochs':40,'batch_size':20"

/* ---- tests ---- */

static const int64_t image[] = {1, SIDE, SIDE};
static pictures s;

static void a_new_head_learns_and_the_rest_stays(void)
{
    make_pictures(&s, 3, image);
    parent p = {0};
    make_cnn(&p, -1, NULL, 7);
    maas_train_result r;
    maas_err err;
    REQUIRE_OK(tune(&p, &s, "k", "{'freeze':['*'],'head':'replace'," SGD "}", &r, &err), err);
    EXPECT_MSG(toy_metric(&r, "accuracy") > 0.8, "%g", toy_metric(&r, "accuracy"));
    EXPECT_EQ(json_integer_value(json_object_get(r.report, "frozen")), 3);
    toy_model m;
    REQUIRE_OK(toy_model_open(&m, &r.onnx, 5, &err), err);
    static const char *const kept[] = {"stem.w", "norm.scale", "norm.bias", "norm.mean",
                                       "norm.var"};
    for (size_t i = 0; i < MAAS_COUNT(kept); i++)
        EXPECT_MSG(same_bytes(p.g, m.g, kept[i]), "%s", kept[i]);
    EXPECT(tensor_of(m.g, "fc.w") == NULL && tensor_of(m.g, "head.0.weight") != NULL);
    EXPECT_STR(maas_graph_at(m.g, m.g->outputs[0])->name, "probs");
    EXPECT_EQ(dim_of_output(m.g, 1), 3);
    EXPECT_STR(maas_graph_meta(m.g, "maas.classes"), "[\"0\",\"1\",\"2\"]");
    REQUIRE_OK(maas_exec_run(m.exec, &err), err);
    float sum = 0;
    for (int k = 0; k < 3; k++)
        sum += ((const float *)maas_exec_output(m.exec, 0)->data)[k];
    EXPECT_NEAR(sum, 1, 1e-5);
    toy_model_close(&m);
    maas_train_result_reset(&r);
    end(&p);
}

/* The head stays; weights that no pattern names move, and statistics follow. */
static void patterns_say_what_stays(void)
{
    make_pictures(&s, 3, image);
    parent p = {0};
    make_cnn(&p, 1, NULL, 3);
    maas_train_result r;
    maas_err err;
    static const struct {
        const char *params;
        const char *kept[5], *moved[6];
    } cases[] = {
        {"{'freeze':['stem']," SGD "}",
         {"stem.w"},
         {"norm.scale", "norm.mean", "norm.var", "fc.w", "fc.b"}},
        {"{'freeze':['s?em.*','norm']," SGD "}",
         {"stem.w", "norm.scale", "norm.bias", "norm.mean", "norm.var"},
         {"fc.w", "fc.b"}},
        {"{'batch_norm':'keep'," SGD "}",
         {"norm.mean", "norm.var"},
         {"stem.w", "norm.scale", "fc.w"}},
    };
    for (size_t c = 0; c < MAAS_COUNT(cases); c++) {
        REQUIRE_OK(tune(&p, &s, "k", cases[c].params, &r, &err), err);
        EXPECT_MSG(toy_metric(&r, "accuracy") > 0.8, "%zu: %g", c, toy_metric(&r, "accuracy"));
        toy_model m;
        REQUIRE_OK(toy_model_open(&m, &r.onnx, N, &err), err); /* the batch is open now */
        for (int i = 0; i < 5 && cases[c].kept[i]; i++)
            EXPECT_MSG(same_bytes(p.g, m.g, cases[c].kept[i]), "%s", cases[c].kept[i]);
        for (int i = 0; i < 6 && cases[c].moved[i]; i++)
            EXPECT_MSG(!same_bytes(p.g, m.g, cases[c].moved[i]), "%s", cases[c].moved[i]);
        memcpy(maas_exec_input(m.exec, 0)->data, s.x, sizeof s.x);
        REQUIRE_OK(maas_exec_run(m.exec, &err), err);
        int right = 0;
        for (int i = 0; i < N; i++) {
            const float *q = (const float *)maas_exec_output(m.exec, 0)->data + 3 * i;
            const int best = q[0] > q[1] ? (q[0] > q[2] ? 0 : 2) : (q[1] > q[2] ? 1 : 2);
            right += best == s.k[i];
        }
        EXPECT_NEAR(right / (double)N, toy_metric(&r, "accuracy"), 1e-9);
        toy_model_close(&m);
        maas_train_result_reset(&r);
    }
    end(&p);
}

static void wrong_requests_name_what_is_wrong(void)
{
    make_pictures(&s, 3, image);
    parent p = {0};
    make_cnn(&p, 1, NULL, 3);
    refused(&p, &s, "{'freeze':['sten.w']}", MAAS_E_INVALID, "did you mean 'stem.w'");
    refused(&p, &s, "{'freeze':['*']}", MAAS_E_INVALID, "nothing is left to train");
    refused(&p, &s, "{'freeze':'stem'}", MAAS_E_INVALID, "must be a list");
    refused(&p, &s, "{'freeze':[1]}", MAAS_E_INVALID, "params.freeze[0]");
    refused(&p, &s, "{'head':'other'}", MAAS_E_INVALID, "replace");
    refused(&p, &s, "{'head':[{'type':'dense','units':5}]}", MAAS_E_INVALID,
            "gives 5 values a row");
    refused(&p, &s, "{'head':[{'type':'embedding'}]}", MAAS_E_INVALID, "params.head[0]");
    refused(&p, &s, "{'head':'replace','head_after':'nowhere'}", MAAS_E_INVALID, "'nowhere'");
    refused(&p, &s, "{'head_after':'rows'}", MAAS_E_INVALID, "goes with params.head");
    refused(&p, &s, "{'output':'scores'}", MAAS_E_INVALID, "no output 'scores'");
    refused(&p, &s, "{'scaling':'standard'}", MAAS_E_INVALID, "params.scaling");
    refused(&p, &s, "{'loss':'binary_cross_entropy','head':'replace'}", MAAS_E_INVALID,
            "2 classes");
    refused(&p, &s, "{'layers':[]}", MAAS_E_INVALID, "layers");
    end(&p);
    make_cnn(&p, -1, NULL, 2); /* class 2 has no output */
    refused(&p, &s, "{}", MAAS_E_CONFLICT, "class 2");
    end(&p);
    make_cnn(&p, -1, NULL, 3);
    const int64_t narrow[] = {SIDE * 2, SIDE / 2};
    make_pictures(&s, 2, narrow);
    refused(&p, &s, "{}", MAAS_E_INVALID, "input 'picture' takes");
    end(&p);
    maas_train_result r;
    maas_err err;
    EXPECT_EQ(toy_train(&s.t, "fine_tune", "k", "{}", &r, &err), MAAS_E_INVALID);
    EXPECT(strstr(err.msg, "update") != NULL);
}

/* Gradients are only needed back to the first weight that moves. */
static void what_cannot_be_differentiated_may_be_frozen(void)
{
    make_pictures(&s, 3, image);
    parent p = {0};
    make_cnn(&p, -1, "Round", 3);
    /* Round has no slope, and stem is in front of it. */
    refused(&p, &s, "{" SGD "}", MAAS_E_UNSUPPORTED, "Round 'middle'");
    maas_train_result r;
    maas_err err;
    REQUIRE_OK(tune(&p, &s, "k", "{'freeze':['stem','norm']," SGD "}", &r, &err), err);
    EXPECT(toy_metric(&r, "accuracy") > 0.6);
    maas_train_result_reset(&r);
    end(&p);
}

/* A batch of one that is more than a size: rows are mixed, or lost. */
static void a_fixed_batch_is_opened_only_where_rows_stay_apart(void)
{
    make_pictures(&s, 1, (int64_t[]){SIDE * SIDE});
    static const struct {
        const char *op, *words;
        int64_t axis;
    } cases[] = {
        {"Softmax", "may compute across rows", 0}, {"Squeeze", "lost", 0}, {"Softmax", NULL, 1}};
    for (size_t i = 0; i < MAAS_COUNT(cases); i++) {
        parent p = {0};
        maas_vid x = input(&p, 2, (int64_t[]){1, SIDE * SIDE});
        x = maas_b_op2(&p.b, "MatMul", x, weight(&p, "w", 2, (int64_t[]){SIDE * SIDE, 3}, 0.3));
        const maas_attr axis = MAAS_A_INT("axis", cases[i].axis);
        if (strcmp(cases[i].op, "Softmax") == 0)
            x = maas_b_node(&p.b, "Softmax", &axis, 1, &x, 1, NULL, 1);
        else
            x = maas_b_op2(&p.b, "Squeeze", x, maas_b_i64s(&p.b, (int64_t[]){0}, 1));
        named(&p, "lost", x);
        if (i == 1)
            x = maas_b_op2(&p.b, "Unsqueeze", x, maas_b_i64s(&p.b, (int64_t[]){0}, 1));
        maas_b_output(&p.b, "y", x);
        maas_train_result r;
        maas_err err;
        const maas_status st = tune(&p, &s, "k", "{" SGD "}", &r, &err);
        EXPECT_MSG(st == (cases[i].words ? MAAS_E_UNSUPPORTED : MAAS_OK), "%zu: %s", i, err.msg);
        if (cases[i].words)
            EXPECT_MSG(strstr(err.msg, cases[i].words) && strstr(err.msg, "batch"), "%s", err.msg);
        maas_train_result_reset(&r);
        end(&p);
    }
}

/* The same steps, whichever way the graph came: an update of our own network, and fine_tune of its
 * file. */
static void fine_tune_of_our_own_network_is_its_update(void)
{
    make_pictures(&s, 1, (int64_t[]){SIDE * SIDE});
    maas_train_result first = {0}, a, b;
    maas_err err;
    REQUIRE_OK(toy_train(&s.t, "network", "k",
                         "{'layers':[{'type':'dense','units':8,'activation':'tanh'},'dense'],"
                         "'epochs':2,'optimizer':'sgd','keep_optimizer':false}",
                         &first, &err),
               err);
    toy_model m;
    REQUIRE_OK(toy_model_open(&m, &first.onnx, 1, &err), err);
    const parent p = {.g = m.g};
    REQUIRE_OK(tune(&p, &s, "k", "{'epochs':3,'optimizer':{'lr':0.1}}", &a, &err), err);
    json_t *params = toy_params("{'epochs':3,'optimizer':{'type':'sgd','lr':0.1}}");
    const maas_train_job job = {.learner = "fine_tune",
                                .params = params,
                                .data = &s.t.d,
                                .target = "k",
                                .n_threads = 1,
                                .parent = m.g};
    REQUIRE_OK(maas_train(&job, &b, &err), err);
    json_decref(params);
    toy_model x, y;
    REQUIRE_OK(toy_model_open(&x, &a.onnx, 1, &err), err);
    REQUIRE_OK(toy_model_open(&y, &b.onnx, 1, &err), err);
    static const char *const names[] = {"layers.0.weight", "layers.0.bias", "layers.1.weight",
                                        "layers.1.bias"};
    for (size_t i = 0; i < MAAS_COUNT(names); i++) {
        const maas_tensor *u = tensor_of(x.g, names[i]), *v = tensor_of(y.g, names[i]);
        EXPECT(u && v && !same_bytes(m.g, x.g, names[i]));
        for (int64_t k = 0; u && v && k < maas_n_elems(u); k++)
            EXPECT_NEAR(maas_tensor_get(u, k), maas_tensor_get(v, k), 1e-5);
    }
    EXPECT(same_bytes(m.g, y.g, "input.shift"));
    EXPECT_EQ(y.g->n_outputs, x.g->n_outputs);
    toy_model_close(&x);
    toy_model_close(&y);
    maas_train_result_reset(&a);
    maas_train_result_reset(&b);
    maas_train_result_reset(&first);
    toy_model_close(&m);
}

/* A version that fine_tune made is gone on from by a plain update: its recipe, without the head. */
static void a_second_round_goes_on(void)
{
    make_pictures(&s, 3, image);
    parent p = {0};
    make_cnn(&p, -1, NULL, 7);
    maas_train_result r, again, other;
    maas_err err;
    REQUIRE_OK(tune(&p, &s, "k", "{'freeze':['stem'],'head':'replace'," SGD "}", &r, &err), err);
    toy_model m, n;
    REQUIRE_OK(toy_model_open(&m, &r.onnx, 1, &err), err);
    const parent second = {.g = m.g};
    REQUIRE_OK(tune(&second, &s, "k", "{'epochs':2}", &again, &err), err);
    REQUIRE_OK(toy_model_open(&n, &again.onnx, 1, &err), err);
    EXPECT(same_bytes(m.g, n.g, "stem.w") && !same_bytes(m.g, n.g, "head.0.weight"));
    EXPECT(toy_metric(&again, "accuracy") > 0.9);
    toy_model_close(&n);
    maas_train_result_reset(&again);
    REQUIRE_OK(tune(&second, &s, "k",
                    "{'epochs':2,'head':['dropout',{'type':'dense','units':6},'dense']}", &other,
                    &err),
               err);
    REQUIRE_OK(toy_model_open(&n, &other.onnx, 1, &err), err);
    EXPECT(tensor_of(n.g, "head2.2.weight") && !tensor_of(n.g, "head.0.weight"));
    toy_model_close(&n);
    maas_train_result_reset(&other);
    toy_model_close(&m);
    maas_train_result_reset(&r);
    end(&p);
}

/* Two inputs are fed by the columns of their names. */
static void several_inputs_are_fed_by_name(void)
{
    make_pictures(&s, 2, (int64_t[]){SIDE, SIDE});
    static float size[N];
    for (int i = 0; i < N; i++)
        size[i] = (float)(i % 3);
    toy_add(&s.t, "size", MAAS_F32, size);
    parent p = {0};
    s.t.cols[0].desc.name = "picture";
    maas_vid x = input(&p, 3, (int64_t[]){MAAS_DIM_UNKNOWN, SIDE, SIDE});
    maas_vid n = maas_b_input(&p.b, "size", MAAS_F32, 2, (int64_t[]){MAAS_DIM_UNKNOWN, 1});
    maas_vid both[2] = {maas_b_op1(&p.b, "Flatten", x), n};
    const maas_attr axis = MAAS_A_INT("axis", 1);
    x = maas_b_node(&p.b, "Concat", &axis, 1, both, 2, NULL, 1);
    x = maas_b_op2(&p.b, "MatMul", x, weight(&p, "w", 2, (int64_t[]){SIDE * SIDE + 1, 3}, 0.1));
    maas_b_output(&p.b, "logits", x);
    maas_train_result r;
    maas_err err;
    REQUIRE_OK(tune(&p, &s, "k", "{" SGD "}", &r, &err), err);
    EXPECT(toy_metric(&r, "accuracy") > 0.9);
    maas_train_result_reset(&r);
    s.t.cols[2].desc.name = "weight";
    refused(&p, &s, "{}", MAAS_E_INVALID, "'weight'");
    end(&p);
}

/* Rows of a table by number: training has cells as floats, which would round a large one. */
static void numbers_that_a_float_has_not_are_refused(void)
{
    make_pictures(&s, 2, (int64_t[]){SIDE, SIDE});
    static int64_t id[N];
    for (int i = 0; i < N; i++)
        id[i] = i % 3;
    toy_add(&s.t, "id", MAAS_I64, id);
    parent p = {0};
    s.t.cols[0].desc.name = "picture";
    maas_vid x = maas_b_op1(&p.b, "Flatten",
                            input(&p, 3, (int64_t[]){MAAS_DIM_UNKNOWN, SIDE, SIDE}));
    maas_vid n = maas_b_input(&p.b, "id", MAAS_I64, 1, (int64_t[]){MAAS_DIM_UNKNOWN});
    x = maas_b_op2(&p.b, "MatMul", x, weight(&p, "w", 2, (int64_t[]){SIDE * SIDE, 3}, 0.1));
    n = maas_b_op2(&p.b, "Gather", weight(&p, "table", 2, (int64_t[]){4, 3}, 0.1), n);
    maas_b_output(&p.b, "logits", maas_b_op2(&p.b, "Add", x, n));
    maas_train_result r;
    maas_err err;
    REQUIRE_OK(tune(&p, &s, "k", "{" SGD "}", &r, &err), err);
    maas_train_result_reset(&r);
    id[7] = (1 << 24) + 1;
    refused(&p, &s, "{}", MAAS_E_INVALID, "column 'id', row 8: 16777217");
    end(&p);
}

/* ---- every operator of the table, under a new head ---- */

enum { ROWS = 24, MAX_CELLS = 1 << 16 };
static float cells[TOY_MAX_COLS][MAX_CELLS], wanted[ROWS];

/* A column for every input, of its rows' shape; false: an input cannot be a column. */
static bool columns_of(toy *t, const sample *e)
{
    toy_init(t, ROWS);
    for (int i = 0; i < ROWS; i++)
        wanted[i] = (float)(i % 5);
    for (uint32_t i = 0; i < e->g->n_inputs; i++) {
        const maas_value *v = maas_graph_at(e->g, e->g->inputs[i]);
        const maas_type *type = &v->type;
        if (i + 1 >= TOY_MAX_COLS || type->tag != MAAS_TYPE_TENSOR || type->dtype == MAAS_STRING ||
            type->rank < 1 || ROWS * maas_dims_product(type->dims, 1, type->rank) > MAX_CELLS)
            return false;
        for (int64_t k = 0; k < ROWS * maas_dims_product(type->dims, 1, type->rank); k++)
            cells[i][k] = (float)(k % 7) * 0.1f + 0.1f;
        toy_add_tensor(t, e->g->n_inputs > 1 ? v->name : "x", MAAS_F32, type->rank - 1,
                       type->dims + 1, cells[i]);
    }
    toy_add(t, "y", MAAS_F32, wanted);
    return e->g->n_inputs > 0;
}

static bool tune_example(const maas_op *op, int variant)
{
    static toy t;
    sample e;
    bool trained = false;
    if (!sample_open(&e, op, variant))
        return false;
    const maas_vid out = sample_node(&e)->out[0];
    if (out >= 0 && columns_of(&t, &e) && maas_graph_at(e.g, out)->type.dtype == MAAS_F32) {
        maas_graph_output(e.g, out, NULL);
        json_t *params = json_pack("{s:[s, {s:s}], s:s, s:s, s:i, s:i}", "head", "flatten", "type",
                                   "dense", "head_after", maas_graph_at(e.g, out)->name,
                                   "optimizer", "sgd", "epochs", 1, "batch_size", 7);
        const maas_train_job job = {
            .params = params, .data = &t.d, .target = "y", .n_threads = 1, .parent = e.g};
        maas_train_result r = {0};
        maas_err err = {0};
        const maas_status st = maas_train(&job, &r, &err);
        toy_model m;
        trained = st == MAAS_OK;
        EXPECT_MSG(trained || (*err.msg && (st == MAAS_E_INVALID || st == MAAS_E_UNSUPPORTED)),
                   "%s %d: %d %s", op->name, variant, (int)st, err.msg);
        if (trained)
            EXPECT_MSG(toy_model_open(&m, &r.onnx, ROWS, &err) == MAAS_OK, "%s %d: %s", op->name,
                       variant, err.msg);
        if (trained)
            toy_model_close(&m);
        maas_train_result_reset(&r);
        json_decref(params);
    }
    sample_close(&e);
    return trained;
}

static void every_operator_is_trained_under_or_refused(void)
{
    int n = 0;
    for (size_t i = 0; i < maas_n_ops; i++) {
        bool any = false;
        for (int v = 0; maas_ops[i]->example && v < maas_ops[i]->n_examples; v++)
            any |= tune_example(maas_ops[i], v);
        n += any;
    }
    EXPECT_MSG(n > 80, "%d operators were trained under", n);
}

static void it_survives_failed_allocations(void)
{
    make_pictures(&s, 3, image);
    parent p = {0};
    make_cnn(&p, 1, NULL, 3);
    maas_train_result r;
    maas_err err;
    maas_status st = MAAS_E_NOMEM;
    json_t *params = toy_params("{'freeze':['stem'],'head':'replace','epochs':1}");
    const maas_train_job job = {
        .params = params, .data = &s.t.d, .target = "k", .n_threads = 1, .parent = p.g};
    const long before = maas_mem_live();
    for (long n = 1; n < 20000 && st != MAAS_OK; n += n < 200 ? 1 : 37) {
        err = (maas_err){0};
        r = (maas_train_result){0};
        maas_mem_fail_at(n);
        st = maas_train(&job, &r, &err);
        maas_mem_fail_at(0);
        maas_train_result_reset(&r);
        EXPECT_MSG(st == MAAS_OK || st == MAAS_E_NOMEM || strstr(err.msg, "must be memory"),
                   "%ld: %d %s", n, (int)st, err.msg);
        EXPECT_EQ(maas_mem_live(), before);
    }
    EXPECT_EQ(st, MAAS_OK);
    json_decref(params);
    end(&p);
}

static const mt_case cases[] = {
    MT_CASE(a_new_head_learns_and_the_rest_stays),
    MT_CASE(patterns_say_what_stays),
    MT_CASE(wrong_requests_name_what_is_wrong),
    MT_CASE(what_cannot_be_differentiated_may_be_frozen),
    MT_CASE(a_fixed_batch_is_opened_only_where_rows_stay_apart),
    MT_CASE(fine_tune_of_our_own_network_is_its_update),
    MT_CASE(a_second_round_goes_on),
    MT_CASE(several_inputs_are_fed_by_name),
    MT_CASE(numbers_that_a_float_has_not_are_refused),
    MT_CASE(every_operator_is_trained_under_or_refused),
    MT_CASE(it_survives_failed_allocations),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
