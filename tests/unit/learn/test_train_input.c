/* tests/unit/learn/test_train_input.c - raw values in: gaps, scaling, text, tensors, refusals. */
#include "../../maas_test.h"

#include "toy.h"

static void run_row(toy_model *m)
{
    maas_err err = {0};
    EXPECT_MSG(maas_exec_run(m->exec, &err) == MAAS_OK, "%s", err.msg);
}

static void gaps_are_filled_with_the_mean(void)
{
    enum { N = 100 };
    double a[N], b[N]; /* float64 columns, as CSV gives them */
    float y[N];
    maas_rng rng;
    maas_rng_seed(&rng, 31);
    double mean = 0, n = 0;
    for (int i = 0; i < N; i++) {
        a[i] = 50 + 10 * maas_rng_normal(&rng);
        b[i] = maas_rng_normal(&rng);
        y[i] = (float)(3 * a[i] + b[i]);
        if (i % 5 == 0)
            a[i] = NAN;
        else
            mean += a[i], n++;
    }
    mean /= n;
    static toy t;
    toy_init(&t, N);
    toy_add(&t, "a", MAAS_F64, a);
    toy_add(&t, "b", MAAS_F64, b);
    toy_add(&t, "y", MAAS_F32, y);
    maas_train_result r = {0};
    maas_err err;
    REQUIRE_OK(toy_train(&t, "linear_regression", "y", NULL, &r, &err), err);
    toy_model m;
    REQUIRE_OK(toy_model_open(&m, &r.onnx, 2, &err), err);
    EXPECT_STR(maas_graph_at(m.g, m.g->inputs[0])->name, "x");
    float *x = maas_exec_input(m.exec, 0)->data;
    x[0] = NAN; /* a gap is answered as the mean would be */
    x[2] = (float)mean;
    x[1] = x[3] = 0.5f;
    run_row(&m);
    const float *v = toy_output(&m, "value")->data;
    EXPECT(isfinite(v[0]));
    EXPECT_NEAR(v[0], v[1], 1e-3);
    EXPECT_EQ(toy_output(&m, "value")->rank, 1);
    toy_model_close(&m);
    maas_train_result_reset(&r);
}

static void text_and_numbers_have_one_input_each(void)
{
    enum { N = 120 };
    static toy t;
    const char *color[N], *kinds[] = {"red", "green", "blue"};
    static char bytes[4 * N * 2];
    float size[N];
    const char *label[N];
    static char label_bytes[4 * N * 2];
    for (int i = 0; i < N; i++) {
        color[i] = i % 17 == 5 ? NULL : kinds[i % 3];
        size[i] = (float)(i % 10);
        label[i] = i % 3 == 0 ? "yes" : "no"; /* red means yes */
    }
    toy_init(&t, N);
    toy_add_text(&t, "value", color, bytes); /* the name of an output: the input must differ */
    toy_add(&t, "size", MAAS_F32, size);
    toy_add_text(&t, "target", label, label_bytes);
    maas_train_result r = {0};
    maas_err err;
    REQUIRE_OK(toy_train(&t, "logistic_regression", "target", NULL, &r, &err), err);
    toy_model m;
    REQUIRE_OK(toy_model_open(&m, &r.onnx, 4, &err), err);
    EXPECT_EQ(m.g->n_inputs, 2);
    uint32_t c = toy_input(&m, "column.value"), s = toy_input(&m, "size");
    EXPECT(c != UINT32_MAX && s != UINT32_MAX);
    static const char *const ask[] = {"red", "blue", "purple", ""};
    for (int i = 0; i < 4; i++) {
        ((maas_str *)maas_exec_input(m.exec, c)->data)[i] = (maas_str){ask[i], strlen(ask[i])};
        ((float *)maas_exec_input(m.exec, s)->data)[i] = 4;
    }
    run_row(&m);
    const maas_str *got = toy_output(&m, "label")->data;
    EXPECT(got[0].n == 3 && memcmp(got[0].p, "yes", 3) == 0);
    EXPECT(got[1].n == 2 && memcmp(got[1].p, "no", 2) == 0);
    const float *p =
        toy_output(&m, "probabilities")->data; /* unknown and missing: all zeros, the same */
    EXPECT_NEAR(p[4], p[6], 0);
    EXPECT_NEAR(p[4] + p[5], 1, 1e-6);
    const char *columns = maas_graph_meta(m.g, "maas.columns");
    EXPECT(columns && strstr(columns, "\"column.value\"") && strstr(columns, "\"green\""));
    EXPECT_STR(maas_graph_meta(m.g, "maas.task"), "classification");
    toy_model_close(&m);
    maas_train_result_reset(&r);
}

static void rare_categories_count_as_unknown(void)
{
    enum { N = 60 };
    static toy t;
    static char bytes[N * 4], names[N][4];
    const char *text[N];
    float y[N];
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "%d", i < 40 ? i % 2 : i);
        text[i] = names[i];
        y[i] = (float)(i % 2);
    }
    toy_init(&t, N);
    toy_add_text(&t, "c", text, bytes);
    toy_add(&t, "y", MAAS_F32, y);
    maas_train_result r = {0};
    maas_err err;
    REQUIRE_OK(toy_train(&t, "linear_regression", "y", "{'max_categories':2}", &r, &err), err);
    toy_model m;
    REQUIRE_OK(toy_model_open(&m, &r.onnx, 1, &err), err);
    const char *columns = maas_graph_meta(m.g, "maas.columns");
    EXPECT(columns && strstr(columns, "[\"0\",\"1\"]"));
    toy_model_close(&m);
    maas_train_result_reset(&r);
}

/* The exported graph with raw values does what the constants say, for each scaling. */
static void scaling_is_part_of_the_graph(void)
{
    enum { N = 64, W = 4, H = 3 };
    static uint8_t image[N * W * H];
    int64_t k[N];
    maas_rng rng;
    maas_rng_seed(&rng, 33);
    for (int i = 0; i < N; i++) {
        k[i] = i % 2;
        for (int j = 0; j < W * H; j++)
            image[i * W * H + j] = (uint8_t)(maas_rng_below(&rng, 100) + (k[i] ? 120 : 0));
    }
    static const char *const how[] = {"auto", "standard", "unit", "none"};
    for (int i = 0; i < 4; i++) {
        static toy t;
        toy_init(&t, N);
        toy_add_tensor(&t, "image", MAAS_U8, 2, (int64_t[]){H, W}, image);
        toy_add(&t, "k", MAAS_I64, k);
        char params[300];
        snprintf(
            params, sizeof params,
            "{'layers':['flatten',{'type':'dense'}],'epochs':100,'batch_size':16,'scaling':'%s',"
            "'optimizer':{'type':'adam','lr':0.05},'schedule':'constant'}",
            how[i]);
        maas_train_result r = {0};
        maas_err err;
        REQUIRE_OK(toy_train(&t, "network", "k", params, &r, &err), err);
        if (i < 3) /* without scaling the same data is hard: there only agreement counts */
            EXPECT_MSG(toy_metric(&r, "accuracy") > 0.95, "%s: %g", how[i],
                       toy_metric(&r, "accuracy"));
        toy_model m;
        REQUIRE_OK(toy_model_open(&m, &r.onnx, N, &err), err);
        maas_tensor *x = maas_exec_input(m.exec, 0);
        EXPECT_EQ(x->rank, 3);
        EXPECT_EQ(x->dtype, MAAS_F32);
        for (int j = 0; j < N * W * H; j++)
            ((float *)x->data)[j] = image[j];
        run_row(&m);
        int right = 0;
        for (int j = 0; j < N; j++)
            right += ((int64_t *)toy_output(&m, "label")->data)[j] == k[j];
        EXPECT_NEAR((double)right / N, toy_metric(&r, "accuracy"), 1e-9);
        maas_vid scale = maas_graph_find(m.g, "input.scale");
        if (i == 0)
            EXPECT_NEAR(*(float *)maas_graph_at(m.g, scale)->init.data, 1.0 / 255, 1e-9);
        if (i == 3)
            EXPECT_EQ(scale, MAAS_NO_VALUE);
        toy_model_close(&m);
        maas_train_result_reset(&r);
    }
}

static void tensor_targets_give_rows_of_values(void)
{
    enum { N = 80 };
    static float x[N * 2], y[N * 3];
    maas_rng rng;
    maas_rng_seed(&rng, 34);
    for (int i = 0; i < N; i++) {
        for (int d = 0; d < 2; d++)
            x[2 * i + d] = maas_rng_normal(&rng);
        y[3 * i] = 100 + x[2 * i];
        y[3 * i + 1] = -5 * x[2 * i + 1];
        y[3 * i + 2] = 0.01f * (x[2 * i] + x[2 * i + 1]);
    }
    static toy t;
    toy_init(&t, N);
    toy_add_tensor(&t, "x", MAAS_F32, 1, (int64_t[]){2}, x);
    toy_add_tensor(&t, "y", MAAS_F32, 1, (int64_t[]){3}, y);
    maas_train_result r = {0};
    maas_err err;
    REQUIRE_OK(toy_train(&t, "linear_regression", "y", NULL, &r, &err), err);
    toy_model m;
    REQUIRE_OK(toy_model_open(&m, &r.onnx, N, &err), err);
    memcpy(maas_exec_input(m.exec, 0)->data, x, sizeof x);
    run_row(&m);
    const maas_tensor *v = toy_output(&m, "value");
    EXPECT(v->rank == 2 && v->dims[1] == 3);
    for (int i = 0; i < N * 3; i++)
        EXPECT_NEAR(((float *)v->data)[i], y[i], i % 3 == 2 ? 1e-4 : 2e-2);
    toy_model_close(&m);
    maas_train_result_reset(&r);
}

static void whole_targets_may_be_numbers(void)
{
    float x[50];
    int64_t y[50];
    for (int i = 0; i < 50; i++) {
        x[i] = (float)i;
        y[i] = 3 * i + 7;
    }
    static toy t;
    toy_init(&t, 50);
    toy_add(&t, "x", MAAS_F32, x);
    toy_add(&t, "y", MAAS_I64, y);
    maas_train_result r = {0};
    maas_err err;
    REQUIRE_OK(toy_train(&t, "network", "y",
                         "{'layers':[{'type':'dense'}],'loss':'mse','epochs':200,'batch_size':10,"
                         "'optimizer':{'type':'adam','lr':0.02},'schedule':'cosine'}",
                         &r, &err),
               err);
    EXPECT(toy_metric(&r, "r2") > 0.9999);
    EXPECT(isnan(toy_metric(&r, "accuracy")));
    maas_train_result_reset(&r);
}

/* ---- updates ---- */

static maas_status update(const toy *t, const maas_train_result *parent, const char *target,
                          maas_train_result *out, maas_err *err)
{
    maas_graph *g = NULL;
    maas_onnx_opts o = {0};
    *err = (maas_err){0};
    MAAS_TRY(maas_onnx_read(maas_buf_span(&parent->onnx), &o, &g, err));
    json_t *p = toy_params("{'epochs':1,'optimizer':{'lr':0}}");
    maas_train_job job = {
        .params = p, .data = &t->d, .target = target, .n_threads = 1, .parent = g};
    maas_status st = maas_train(&job, out, err);
    json_decref(p);
    maas_graph_destroy(g);
    return st;
}

/* An update of rate 0 on other rows: the same answers, so categories, labels and constants are the
 * parent's and not those of the new rows. */
static void updates_keep_categories_labels_and_constants(void)
{
    enum { N = 40 };
    static toy t;
    static char bytes[2][N * 8], label_bytes[2][N * 8];
    const char *color[N], *label[N];
    float size[N];
    maas_train_result r[2] = {0};
    maas_err err;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < N; i++) {
            color[i] = round && i % 3 == 0 ? "gray" : i % 2 ? "red" : "blue";
            label[i] = round || i % 2 ? "on" : "off"; /* the new rows know one class only */
            size[i] = (float)(i * (1 + 10 * round));
        }
        toy_init(&t, N);
        toy_add_text(&t, "color", color, bytes[round]);
        toy_add(&t, "size", MAAS_F32, size);
        toy_add_text(&t, "state", label, label_bytes[round]);
        if (round == 0)
            REQUIRE_OK(toy_train(&t, "logistic_regression", "state", "{'epochs':20}", &r[0], &err),
                       err);
        else
            REQUIRE_OK(update(&t, &r[0], "state", &r[1], &err), err);
    }
    float p[2][8];
    for (int k = 0; k < 2; k++) {
        toy_model m;
        REQUIRE_OK(toy_model_open(&m, &r[k].onnx, 4, &err), err);
        static const char *const ask[] = {"red", "blue", "gray", "red"};
        for (int i = 0; i < 4; i++) {
            ((maas_str *)maas_exec_input(m.exec, 0)->data)[i] = (maas_str){ask[i], strlen(ask[i])};
            ((float *)maas_exec_input(m.exec, 1)->data)[i] = i == 3 ? NAN : (float)i * 9;
        }
        run_row(&m);
        EXPECT_EQ(toy_output(&m, "probabilities")->dims[1], 2);
        memcpy(p[k], toy_output(&m, "probabilities")->data, sizeof p[k]);
        toy_model_close(&m);
    }
    EXPECT(memcmp(p[0], p[1], sizeof p[0]) == 0);
    for (int k = 0; k < 2; k++)
        maas_train_result_reset(&r[k]);
}

static void updates_keep_the_scale_of_the_target(void)
{
    float a[30], y[30];
    static toy t;
    maas_train_result r[2] = {0};
    maas_err err;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 30; i++) {
            a[i] = (float)(i + 100 * round);
            y[i] = 1000 + 3 * a[i];
        }
        toy_init(&t, 30);
        toy_add(&t, "a", MAAS_F32, a);
        toy_add(&t, "y", MAAS_F32, y);
        if (round == 0)
            REQUIRE_OK(toy_train(&t, "linear_regression", "y", NULL, &r[0], &err), err);
        else
            REQUIRE_OK(update(&t, &r[0], "y", &r[1], &err), err);
    }
    EXPECT(toy_metric(&r[1], "rmse") <
           5); /* a line is a line outside of the rows it was fitted on */
    toy_model m;
    REQUIRE_OK(toy_model_open(&m, &r[1].onnx, 1, &err), err);
    *(float *)maas_exec_input(m.exec, 0)->data = 500;
    run_row(&m);
    EXPECT_NEAR(*(const float *)toy_output(&m, "value")->data, 2500, 10);
    toy_model_close(&m);
    for (int k = 0; k < 2; k++)
        maas_train_result_reset(&r[k]);
}

/* ---- refusals ---- */

typedef struct refusal {
    maas_status st;
    const char *learner, *target, *params;
    const char *words[3];
} refusal;

static void bad_data_is_refused_by_column_and_row(void)
{
    static float x[20], with_gap[20], with_inf[20], y[20];
    static int64_t one_class[20], k[20];
    static const char *text[20];
    static char bytes[200], none[1];
    static const char *nothing[20];
    for (int i = 0; i < 20; i++) {
        x[i] = with_gap[i] = with_inf[i] = y[i] = (float)i;
        k[i] = i % 3;
        text[i] = i == 7 ? NULL : "abc";
    }
    with_gap[4] = NAN;
    with_inf[5] = INFINITY;
    static const refusal table[] = {
        {MAAS_E_INVALID, "linear_regression", "gone", NULL, {"gone", "no column"}},
        {MAAS_E_INVALID, "linear_regression", "gap", NULL, {"gap", "missing", "row 5"}},
        {MAAS_E_INVALID, "linear_regression", "inf", NULL, {"inf", "infinite", "row 6"}},
        {MAAS_E_INVALID, "linear_regression", "text", NULL, {"text", "numbers"}},
        {MAAS_E_INVALID, "logistic_regression", "y", NULL, {"y", "class"}},
        {MAAS_E_INVALID, "logistic_regression", "one", NULL, {"one", "1 class"}},
        {MAAS_E_INVALID, "logistic_regression", "text", NULL, {"text"}},
        {MAAS_E_INVALID,
         "logistic_regression",
         "k",
         "{'class_weight':{'8':1}}",
         {"class_weight", "8"}},
        {MAAS_E_INVALID,
         "logistic_regression",
         "k",
         "{'class_weight':{'1':-1}}",
         {"class_weight.1"}},
        {MAAS_E_INVALID, "logistic_regression", "k", "{'validation':0.01}", {"validation"}},
        {MAAS_E_INVALID,
         "network",
         "k",
         "{'layers':[{'type':'dense','units':2}]}",
         {"2 values", "3"}},
        {MAAS_E_INVALID,
         "network",
         "k",
         "{'layers':[{'type':'dense'},{'type':'dense'}]}",
         {"layers[0].units"}},
        {MAAS_E_INVALID,
         "network",
         "k",
         "{'layers':[{'type':'dense'}],'loss':'binary_cross_entropy'}",
         {"2 classes"}},
        {MAAS_E_INVALID,
         "network",
         "y",
         "{'layers':[{'type':'dense'}],'loss':'cross_entropy'}",
         {"loss", "float"}},
        {MAAS_E_INVALID,
         "network",
         "y",
         "{'layers':[{'type':'dense'}],'loss':'binary_cross_entropy'}",
         {"0..1"}},
        {MAAS_E_INVALID, "network", "k", "{'layers':['flatten']}", {"layers"}},
    };
    for (size_t i = 0; i < MAAS_COUNT(table); i++) {
        const refusal *q = &table[i];
        static toy t;
        toy_init(&t, 20);
        toy_add(&t, "x", MAAS_F32, x);
        if (strcmp(q->target, "gap") == 0)
            toy_add(&t, "gap", MAAS_F32, with_gap);
        if (strcmp(q->target, "inf") == 0)
            toy_add(&t, "inf", MAAS_F32, with_inf);
        if (strcmp(q->target, "text") == 0)
            toy_add_text(&t, "text", text, bytes);
        toy_add(&t, "one", MAAS_I64, one_class);
        toy_add(&t, "y", MAAS_F32, y);
        toy_add(&t, "k", MAAS_I64, k);
        maas_train_result r = {0};
        maas_err err;
        EXPECT_MSG(toy_train(&t, q->learner, q->target, q->params, &r, &err) == q->st,
                   "row %zu: %s", i, err.msg);
        for (int w = 0; w < 3 && q->words[w]; w++)
            EXPECT_MSG(strstr(err.msg, q->words[w]) != NULL, "row %zu: '%s' not in: %s", i,
                       q->words[w], err.msg);
        maas_train_result_reset(&r);
    }
    static toy t; /* inputs */
    maas_train_result r = {0};
    maas_err err;
    toy_init(&t, 20);
    toy_add(&t, "y", MAAS_F32, y);
    EXPECT_EQ(toy_train(&t, "linear_regression", "y", NULL, &r, &err), MAAS_E_INVALID);
    toy_add(&t, "bad", MAAS_F32, with_inf);
    EXPECT_EQ(toy_train(&t, "linear_regression", "y", NULL, &r, &err), MAAS_E_INVALID);
    EXPECT(strstr(err.msg, "bad") && strstr(err.msg, "row 6"));
    toy_init(&t, 20);
    toy_add_text(&t, "empty", nothing, none);
    toy_add(&t, "y", MAAS_F32, y);
    EXPECT_EQ(toy_train(&t, "linear_regression", "y", NULL, &r, &err), MAAS_E_INVALID);
    EXPECT(strstr(err.msg, "empty") != NULL);
    toy_init(&t, 10);
    toy_add_tensor(&t, "pair", MAAS_F32, 1, (int64_t[]){2}, x);
    toy_add(&t, "other", MAAS_F32, y);
    toy_add(&t, "k", MAAS_I64, k);
    EXPECT_EQ(toy_train(&t, "logistic_regression", "k", NULL, &r, &err), MAAS_E_INVALID);
    EXPECT(strstr(err.msg, "pair") && strstr(err.msg, "other"));
    t.d.n_rows = 0;
    EXPECT_EQ(toy_train(&t, "logistic_regression", "k", NULL, &r, &err), MAAS_E_INVALID);
}

static void a_loss_that_explodes_says_so(void)
{
    float x[40], y[40];
    for (int i = 0; i < 40; i++) {
        x[i] = (float)i;
        y[i] = (float)(i * i);
    }
    static toy t;
    toy_init(&t, 40);
    toy_add(&t, "x", MAAS_F32, x);
    toy_add(&t, "y", MAAS_F32, y);
    maas_train_result r = {0};
    maas_err err;
    EXPECT_EQ(
        toy_train(
            &t, "network", "y",
            "{'layers':[{'type':'dense','units':8},{'type':'dense'}],'epochs':50,'batch_size':4,"
            "'optimizer':{'type':'sgd','lr':100}}",
            &r, &err),
        MAAS_E_INVALID);
    EXPECT(strstr(err.msg, "lr") && strstr(err.msg, "epoch"));
}

static const mt_case cases[] = {
    MT_CASE(gaps_are_filled_with_the_mean),
    MT_CASE(text_and_numbers_have_one_input_each),
    MT_CASE(rare_categories_count_as_unknown),
    MT_CASE(scaling_is_part_of_the_graph),
    MT_CASE(tensor_targets_give_rows_of_values),
    MT_CASE(whole_targets_may_be_numbers),
    MT_CASE(updates_keep_categories_labels_and_constants),
    MT_CASE(updates_keep_the_scale_of_the_target),
    MT_CASE(bad_data_is_refused_by_column_and_row),
    MT_CASE(a_loss_that_explodes_says_so),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
