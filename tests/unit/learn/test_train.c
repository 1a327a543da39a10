/* tests/unit/learn/test_train.c - what is learned, against closed forms and other optimisers. */
#include "../../maas_test.h"

#include "toy.h"

#include "learn/losses.h"
#include "learn/net.h"
#include "learn/optimizers.h"

enum { N = 240, D = 3 };

/* Solves a x = b in place by elimination with pivoting: the reference of the closed forms. */
static void solve(double *a, double *b, int n)
{
    for (int c = 0; c < n; c++) {
        int p = c;
        for (int r = c + 1; r < n; r++)
            p = fabs(a[r * n + c]) > fabs(a[p * n + c]) ? r : p;
        for (int k = 0; k < n; k++) {
            double t = a[c * n + k];
            a[c * n + k] = a[p * n + k];
            a[p * n + k] = t;
        }
        double t = b[c];
        b[c] = b[p];
        b[p] = t;
        for (int r = 0; r < n; r++) {
            double f = r == c ? 0 : a[r * n + c] / a[c * n + c];
            for (int k = c; k < n; k++)
                a[r * n + k] -= f * a[c * n + k];
            b[r] -= f * b[c];
        }
    }
    for (int c = 0; c < n; c++)
        b[c] /= a[c * n + c];
}

typedef struct sample {
    float x[D][N];      /* columns, of very different scales */
    double z[N][D + 1]; /* standardised, and a 1 */
    float y[N];
    int64_t k[N];
} sample;

static void make_sample(sample *s, uint64_t seed)
{
    maas_rng rng;
    maas_rng_seed(&rng, seed);
    const double scale[D] = {1, 1000, 0.01}, shift[D] = {0, 5000, -3};
    for (int d = 0; d < D; d++)
        for (int i = 0; i < N; i++)
            s->x[d][i] = (float)(maas_rng_normal(&rng) * scale[d] + shift[d]);
    for (int d = 0; d < D; d++) {
        double mean = 0, var = 0;
        for (int i = 0; i < N; i++)
            mean += s->x[d][i] / (double)N;
        for (int i = 0; i < N; i++)
            var += pow(s->x[d][i] - mean, 2) / N;
        for (int i = 0; i < N; i++)
            s->z[i][d] = (s->x[d][i] - mean) / sqrt(var);
    }
    for (int i = 0; i < N; i++) {
        s->z[i][D] = 1;
        double line = 2 * s->z[i][0] - 1.5 * s->z[i][1] + 0.5 * s->z[i][2];
        s->y[i] = (float)(20000 + 3000 * (line + 0.3 * maas_rng_normal(&rng)));
        s->k[i] = line + 0.8 * maas_rng_normal(&rng) > 0.3 ? 9 : 4;
    }
}

static void columns(toy *t, const sample *s)
{
    static const char *const names[D] = {"a", "b", "c"};
    toy_init(t, N);
    for (int d = 0; d < D; d++)
        toy_add(t, names[d], MAAS_F32, s->x[d]);
}

/* Predictions of the written file for all rows. */
static void predict(const maas_train_result *r, const sample *s, const char *output, float *out,
                    int width)
{
    toy_model m;
    maas_err err = {0};
    REQUIRE_OK(toy_model_open(&m, &r->onnx, N, &err), err);
    float *x = maas_exec_input(m.exec, 0)->data;
    for (int i = 0; i < N; i++)
        for (int d = 0; d < D; d++)
            x[i * D + d] = s->x[d][i];
    REQUIRE_OK(maas_exec_run(m.exec, &err), err);
    const maas_tensor *t = toy_output(&m, output);
    EXPECT(t != NULL);
    if (t)
        memcpy(out, t->data, sizeof(float) * N * (size_t)width);
    toy_model_close(&m);
}

/* Ridge on the scaled problem: (2/n Z'Z + l2) w = 2/n Z'y; no penalty on the bias. */
static void linear_reference(const sample *s, double l2, double *out)
{
    double a[(D + 1) * (D + 1)] = {0}, b[D + 1] = {0}, mean = 0, var = 0;
    for (int i = 0; i < N; i++)
        mean += s->y[i] / (double)N;
    for (int i = 0; i < N; i++)
        var += pow(s->y[i] - mean, 2) / N;
    for (int i = 0; i < N; i++)
        for (int r = 0; r <= D; r++) {
            for (int c = 0; c <= D; c++)
                a[r * (D + 1) + c] += 2.0 / N * s->z[i][r] * s->z[i][c];
            b[r] += 2.0 / N * s->z[i][r] * (s->y[i] - mean) / sqrt(var);
        }
    for (int d = 0; d < D; d++)
        a[d * (D + 1) + d] += l2;
    solve(a, b, D + 1);
    for (int i = 0; i < N; i++) {
        out[i] = 0;
        for (int d = 0; d <= D; d++)
            out[i] += s->z[i][d] * b[d];
        out[i] = out[i] * sqrt(var) + mean;
    }
}

static void linear_regression_is_least_squares(void)
{
    static sample s;
    static toy t;
    make_sample(&s, 21);
    for (int ridge = 0; ridge < 2; ridge++) {
        columns(&t, &s);
        toy_add(&t, "y", MAAS_F32, s.y);
        maas_train_result r = {0};
        maas_err err;
        REQUIRE_OK(toy_train(&t, "linear_regression", "y", ridge ? "{'l2':0.5}" : "{}", &r, &err),
                   err);
        float got[N];
        double want[N];
        predict(&r, &s, "value", got, 1);
        linear_reference(&s, ridge ? 0.5 : 0, want);
        for (int i = 0; i < N; i++)
            EXPECT_NEAR(got[i], want[i], 6000 * 2e-3); /* 2 per mille of the deviation */
        EXPECT(toy_metric(&r, "r2") > (ridge ? 0.85 : 0.95));
        maas_train_result_reset(&r);
    }
}

/* Newton's method on mean log loss + l2/2 |w|^2. */
static void logistic_reference(const sample *s, double l2, double *out)
{
    double w[D + 1] = {0};
    for (int it = 0; it < 50; it++) {
        double h[(D + 1) * (D + 1)] = {0}, g[D + 1] = {0};
        for (int i = 0; i < N; i++) {
            double z = 0;
            for (int d = 0; d <= D; d++)
                z += w[d] * s->z[i][d];
            double p = 1 / (1 + exp(-z));
            for (int r = 0; r <= D; r++) {
                g[r] += (p - (s->k[i] == 9)) * s->z[i][r] / N;
                for (int c = 0; c <= D; c++)
                    h[r * (D + 1) + c] += p * (1 - p) * s->z[i][r] * s->z[i][c] / N;
            }
        }
        for (int d = 0; d < D; d++) {
            g[d] += l2 * w[d];
            h[d * (D + 1) + d] += l2;
        }
        solve(h, g, D + 1);
        for (int d = 0; d <= D; d++)
            w[d] -= g[d];
    }
    for (int i = 0; i < N; i++) {
        double z = 0;
        for (int d = 0; d <= D; d++)
            z += w[d] * s->z[i][d];
        out[i] = 1 / (1 + exp(-z));
    }
}

static void logistic_regression_is_the_optimum(void)
{
    static sample s;
    static toy t;
    make_sample(&s, 22);
    columns(&t, &s);
    toy_add(&t, "k", MAAS_I64, s.k);
    maas_train_result r = {0};
    maas_err err;
    REQUIRE_OK(toy_train(&t, "logistic_regression", "k", "{'l2':0.05}", &r, &err), err);
    float p[N][2];
    double want[N];
    predict(&r, &s, "probabilities", &p[0][0], 2);
    logistic_reference(&s, 0.05, want);
    for (int i = 0; i < N; i++) {
        EXPECT_NEAR(p[i][1], want[i], 5e-3);
        EXPECT_NEAR(p[i][0] + p[i][1], 1, 1e-6);
    }
    EXPECT(toy_metric(&r, "accuracy") > 0.8 && toy_metric(&r, "auc") > 0.85);
    maas_train_result_reset(&r);
}

static void three_classes_by_regression(void)
{
    float x[90], y[90];
    const char *names[] = {"low", "mid", "top"}, *text[90];
    char bytes[512];
    static toy t;
    maas_rng rng;
    maas_rng_seed(&rng, 23);
    for (int i = 0; i < 90; i++) {
        x[i] = (float)(i % 3 * 4) + maas_rng_normal(&rng) * 0.5f;
        y[i] = maas_rng_normal(&rng);
        text[i] = names[i % 3];
    }
    toy_init(&t, 90);
    toy_add(&t, "x", MAAS_F32, x);
    toy_add(&t, "y", MAAS_F32, y);
    toy_add_text(&t, "class", text, bytes);
    maas_train_result r = {0};
    maas_err err;
    REQUIRE_OK(toy_train(&t, "logistic_regression", "class", NULL, &r, &err), err);
    EXPECT(toy_metric(&r, "accuracy") > 0.97);
    toy_model m;
    REQUIRE_OK(toy_model_open(&m, &r.onnx, 3, &err), err);
    const float in[] = {0, 0, 4, 0, 8, 0};
    memcpy(maas_exec_input(m.exec, 0)->data, in, sizeof in);
    REQUIRE_OK(maas_exec_run(m.exec, &err), err);
    const maas_tensor *label = toy_output(&m, "label");
    EXPECT(label->dtype == MAAS_STRING && label->rank == 1);
    for (int i = 0; i < 3; i++) {
        maas_str s = ((maas_str *)label->data)[i];
        EXPECT(s.n == 3 && memcmp(s.p, names[i], 3) == 0);
    }
    toy_model_close(&m);
    maas_train_result_reset(&r);
}

static void a_network_learns_xor(void)
{
    static const float a[] = {0, 0, 1, 1}, b[] = {0, 1, 0, 1};
    static const int64_t y[] = {0, 1, 1, 0};
    static const char *const ends[] = {"'units':2,'activation':'softmax'",
                                       "'units':1,'activation':'sigmoid'", ""};
    for (size_t e = 0; e < MAAS_COUNT(ends); e++) {
        static toy t;
        toy_init(&t, 4);
        toy_add(&t, "a", MAAS_F32, a);
        toy_add(&t, "b", MAAS_F32, b);
        toy_add(&t, "y", MAAS_I64, y);
        char params[300];
        snprintf(params, sizeof params,
                 "{'layers':[{'type':'dense','units':8,'activation':'tanh'},{'type':'dense'%s%s}],"
                 "'optimizer':{'type':'adam','lr':0.05},'epochs':300,'batch_size':4,'seed':1}",
                 *ends[e] ? "," : "", ends[e]);
        maas_train_result r = {0};
        maas_err err;
        REQUIRE_OK(toy_train(&t, "network", "y", params, &r, &err), err);
        EXPECT_NEAR(toy_metric(&r, "accuracy"), 1, 0);
        EXPECT(toy_metric(&r, "loss") < 0.05);
        toy_model m;
        REQUIRE_OK(toy_model_open(&m, &r.onnx, 4, &err), err);
        for (int i = 0; i < 4; i++) {
            ((float *)maas_exec_input(m.exec, 0)->data)[2 * i] = a[i];
            ((float *)maas_exec_input(m.exec, 0)->data)[2 * i + 1] = b[i];
        }
        REQUIRE_OK(maas_exec_run(m.exec, &err), err);
        for (int i = 0; i < 4; i++)
            EXPECT_EQ(((int64_t *)toy_output(&m, "label")->data)[i], y[i]);
        toy_model_close(&m);
        maas_train_result_reset(&r);
    }
}

/* ---- every combination makes the loss smaller ---- */

static void train_combination(const toy *t, int loss, int optimizer, int schedule)
{
    const maas_loss *l = &maas_losses[loss];
    const char *target = l->target == MAAS_LOSS_VALUES ? "y" : "k",
               *opt = maas_optimizers[optimizer].doc.name;
    char params[500];
    snprintf(
        params, sizeof params,
        "{'layers':[{'type':'dense','units':8,'activation':'relu'},{'type':'dense'}],'loss':'%s',"
        "'optimizer':{'type':'%s','lr':%g},'schedule':'%s','epochs':6,'batch_size':16,'seed':5,"
        "'weight_decay':0.001,'clip_norm':5}",
        l->doc.name, opt, strcmp(opt, "sgd") == 0 ? 0.1 : 0.02, maas_schedules[schedule].doc.name);
    maas_train_result r = {0};
    maas_err err;
    maas_status st = toy_train(t, "network", target, params, &r, &err);
    EXPECT_MSG(st == MAAS_OK, "%s: %s", params, err.msg);
    double first = toy_epoch_metric(&r, 0, "loss"), last = toy_metric(&r, "loss");
    EXPECT_MSG(last < first, "%s x %s x %s: %g -> %g", l->doc.name, opt,
               maas_schedules[schedule].doc.name, first, last);
    maas_train_result_reset(&r);
}

static void every_loss_optimizer_and_schedule_learns(void)
{
    static sample s;
    static toy t;
    make_sample(&s, 24);
    columns(&t, &s);
    toy_add(&t, "y", MAAS_F32, s.y);
    toy_add(&t, "k", MAAS_I64, s.k);
    for (int l = 0; l < MAAS_N_LOSSES; l++)
        for (int o = 0; o < MAAS_N_OPTIMIZERS; o++)
            for (int c = 0; c < MAAS_N_SCHEDULES; c++)
                if (l != MAAS_LOSS_AUTO)
                    train_combination(&t, l, o, c);
}

static void every_activation_and_layer_learns(void)
{
    static sample s;
    static toy t;
    make_sample(&s, 25);
    columns(&t, &s);
    toy_add(&t, "k", MAAS_I64, s.k);
    for (size_t i = 0; i < maas_n_activations; i++) {
        char params[400];
        snprintf(params, sizeof params,
                 "{'layers':[{'type':'dense','units':12},{'type':'activation','function':'%s'},"
                 "{'type':'dropout','rate':0.1},{'type':'batch_norm'},'flatten',{'type':'dense','"
                 "units':2}],"
                 "'optimizer':{'type':'adam','lr':0.01},'epochs':15,'batch_size':32}",
                 maas_activations[i].name);
        maas_train_result r = {0};
        maas_err err;
        maas_status st = toy_train(&t, "network", "k", params, &r, &err);
        EXPECT_MSG(st == MAAS_OK, "%s: %s", maas_activations[i].name, err.msg);
        EXPECT_MSG(toy_metric(&r, "accuracy") > 0.75, "%s: accuracy %g", maas_activations[i].name,
                   toy_metric(&r, "accuracy"));
        maas_train_result_reset(&r);
    }
}

/* Ids that mean something only one by one: a linear model of the number could not. */
static void embeddings_learn_ids(void)
{
    int32_t id[200];
    int64_t k[200];
    for (int i = 0; i < 200; i++) {
        id[i] = i * 7 % 20;
        k[i] = id[i] * 13 % 7 % 2;
    }
    static toy t;
    toy_init(&t, 200);
    toy_add(&t, "id", MAAS_I32, id);
    toy_add(&t, "k", MAAS_I64, k);
    maas_train_result r = {0};
    maas_err err;
    REQUIRE_OK(
        toy_train(&t, "network", "k",
                  "{'layers':[{'type':'embedding','dim':4},{'type':'flatten'},{'type':'dense'}],"
                  "'optimizer':{'type':'adam','lr':0.05},'epochs':60,'batch_size':20}",
                  &r, &err),
        err);
    EXPECT_NEAR(toy_metric(&r, "accuracy"), 1, 0);
    toy_model m; /* ids that were never seen, and a gap, are answered */
    REQUIRE_OK(toy_model_open(&m, &r.onnx, 3, &err), err);
    const float in[] = {-5, 1e6f, NAN};
    memcpy(maas_exec_input(m.exec, 0)->data, in, sizeof in);
    REQUIRE_OK(maas_exec_run(m.exec, &err), err);
    toy_model_close(&m);
    maas_train_result_reset(&r);
    id[3] = -1;
    EXPECT_EQ(toy_train(&t, "network", "k",
                        "{'layers':[{'type':'embedding'},'flatten',{'type':'dense'}]}", &r, &err),
              MAAS_E_INVALID);
    EXPECT(strstr(err.msg, "id") && strstr(err.msg, "row 4"));
}

static void class_weights_move_the_border(void)
{
    float x[100];
    int64_t k[100];
    maas_rng rng;
    maas_rng_seed(&rng, 26);
    for (int i = 0; i < 100; i++) {
        k[i] = i % 10 == 0;
        x[i] = maas_rng_normal(&rng) + (float)k[i];
    }
    static toy t;
    toy_init(&t, 100);
    toy_add(&t, "x", MAAS_F32, x);
    toy_add(&t, "k", MAAS_I64, k);
    static const char *const params[] = {"{}", "{'class_weight':'balanced'}",
                                         "{'class_weight':{'1':9}}"};
    double f1[3];
    for (int i = 0; i < 3; i++) {
        maas_train_result r = {0};
        maas_err err;
        REQUIRE_OK(toy_train(&t, "logistic_regression", "k", params[i], &r, &err), err);
        f1[i] = toy_metric(&r, "f1");
        maas_train_result_reset(&r);
    }
    EXPECT(f1[1] > f1[0] && f1[2] > f1[0]);
    EXPECT_NEAR(f1[1], f1[2], 0.02); /* 90:10 balanced is 9 to 1 */
}

static const mt_case cases[] = {
    MT_CASE(linear_regression_is_least_squares),
    MT_CASE(logistic_regression_is_the_optimum),
    MT_CASE(three_classes_by_regression),
    MT_CASE(a_network_learns_xor),
    MT_CASE(every_loss_optimizer_and_schedule_learns),
    MT_CASE(every_activation_and_layer_learns),
    MT_CASE(embeddings_learn_ids),
    MT_CASE(class_weights_move_the_border),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
