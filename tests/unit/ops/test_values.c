/*
 * Values the table cannot check by itself: corner cases against numbers written down here, and what
 * only data can get wrong. Everything else is compared with the node tests of the ONNX project.
 */
#include "interp.h"
#include "ops/fft.h"

/* One node over inputs with given data; the answers stay until done(). */
typedef struct one {
    maas_graph *g;
    maas_builder b;
    maas_err err;
    interp p;
    maas_vid in[8], out[4];
    uint32_t n_in;
    maas_status st;
} one;

static void begin(one *o)
{
    memset(o, 0, sizeof *o);
    MAAS_CHECK(maas_graph_create("g", NULL, &o->g, &o->err) == MAAS_OK);
    maas_builder_init(&o->b, o->g, &o->err);
}

static void give(one *o, maas_dtype t, int rank, const int64_t *dims)
{
    o->in[o->n_in++] = maas_b_input(&o->b, NULL, t, rank, dims);
}

/* Builds the node; false when that already fails. */
static bool made(one *o, const char *op, const maas_attr *attr, uint32_t n_attr, uint32_t n_out)
{
    maas_b_node(&o->b, op, attr, n_attr, o->in, o->n_in, o->out, n_out);
    EXPECT_MSG(o->b.status == MAAS_OK, "%s: %s", op, o->err.msg);
    return o->b.status == MAAS_OK && interp_open(&o->p, o->g);
}

static void *data(one *o, int k)
{
    return o->p.v[o->in[k]].data;
}

static const void *answer(one *o, int k)
{
    return o->p.v[o->out[k]].data;
}

static void run(one *o)
{
    o->st = interp_run(&o->p, &o->err);
}

static void done(one *o)
{
    interp_close(&o->p);
    maas_graph_destroy(o->g);
}

#define DIMS(...)                                                                                  \
    (int)MAAS_COUNT(((int64_t[]){__VA_ARGS__})), (const int64_t[])                                 \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define FILL(o, k, T, ...)                                                                         \
    memcpy(data(o, k), (const T[]){__VA_ARGS__}, sizeof((const T[]){__VA_ARGS__}))

/* ---- integers never trap ---- */

static void integer_arithmetic_is_defined_everywhere(void)
{
    static const struct {
        const char *op;
        int32_t a, b, want;
    } rows[] = {
        {"Add", INT32_MAX, 1, INT32_MIN},
        {"Sub", INT32_MIN, 1, INT32_MAX},
        {"Mul", 65536, 65536, 0},
        {"Div", 7, 0, 0},
        {"Div", -7, 2, -3},
        {"Div", INT32_MIN, -1, INT32_MIN},
        {"Mod", 7, 0, 0},
        {"Mod", -7, 3, 2},
        {"Mod", 7, -3, -2},
        {"Mod", INT32_MIN, -1, 0},
        {"Pow", 3, 4, 81},
        {"Pow", 2, -1, 0},
        {"Pow", -1, -3, -1},
        {"Max", -5, 3, 3},
        {"Min", -5, 3, -5},
    };
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        one o;
        begin(&o);
        give(&o, MAAS_I32, 0, NULL);
        give(&o, MAAS_I32, 0, NULL);
        if (made(&o, rows[i].op, NULL, 0, 1)) {
            FILL(&o, 0, int32_t, rows[i].a);
            FILL(&o, 1, int32_t, rows[i].b);
            run(&o);
            EXPECT_EQ(o.st, MAAS_OK);
            EXPECT_MSG(*(const int32_t *)answer(&o, 0) == rows[i].want,
                       "%s(%d, %d) = %d, expected %d", rows[i].op, rows[i].a, rows[i].b,
                       *(const int32_t *)answer(&o, 0), rows[i].want);
        }
        done(&o);
    }
}

static void int64_extremes_divide(void)
{
    one o;
    begin(&o);
    give(&o, MAAS_I64, DIMS(3));
    give(&o, MAAS_I64, DIMS(3));
    if (made(&o, "Div", NULL, 0, 1)) {
        FILL(&o, 0, int64_t, INT64_MIN, INT64_MIN, INT64_MAX);
        FILL(&o, 1, int64_t, -1, 0, 2);
        run(&o);
        const int64_t *y = answer(&o, 0);
        EXPECT(o.st == MAAS_OK && y[0] == INT64_MIN && y[1] == 0 && y[2] == INT64_MAX / 2);
    }
    done(&o);
}

static void casts_of_what_does_not_fit_are_defined(void)
{
    one o;
    begin(&o);
    give(&o, MAAS_F32, DIMS(6));
    const maas_attr to = MAAS_A_INT("to", MAAS_I32);
    if (made(&o, "Cast", &to, 1, 1)) {
        FILL(&o, 0, float, NAN, INFINITY, -INFINITY, 1e30f, -2.9f, 2.9f);
        run(&o);
        const int32_t *y = answer(&o, 0);
        EXPECT(o.st == MAAS_OK && y[0] == 0 && y[4] == -2 && y[5] == 2);
    }
    done(&o);
}

/* ---- data that is wrong is a status with words ---- */

static void indices_out_of_range_are_refused(void)
{
    static const struct {
        const char *op;
        int64_t index;
        bool fine;
    } rows[] = {{"Gather", 2, true},
                {"Gather", 3, false},
                {"Gather", -3, true},
                {"Gather", -4, false},
                {"Gather", INT64_MIN, false},
                {"GatherElements", 3, false},
                {"GatherND", INT64_MAX, false},
                {"ArrayFeatureExtractor", 3, false}};
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        one o;
        begin(&o);
        give(&o, MAAS_F32, DIMS(3));
        give(&o, MAAS_I64, DIMS(1));
        if (made(&o, rows[i].op, NULL, 0, 1)) {
            FILL(&o, 1, int64_t, rows[i].index);
            run(&o);
            EXPECT_MSG(o.st == (rows[i].fine ? MAAS_OK : MAAS_E_INVALID), "%s of %lld: %d",
                       rows[i].op, (long long)rows[i].index, o.st);
            EXPECT(rows[i].fine || strstr(o.err.msg, "index"));
        }
        done(&o);
    }
}

static void labels_out_of_range_are_refused(void)
{
    for (int k = 0; k < 2; k++) {
        one o;
        begin(&o);
        give(&o, MAAS_F32, DIMS(2, 3));
        give(&o, MAAS_I64, DIMS(2));
        if (made(&o, k ? "SoftmaxCrossEntropyLoss" : "NegativeLogLikelihoodLoss", NULL, 0, 1)) {
            FILL(&o, 1, int64_t, 0, 3);
            run(&o);
            EXPECT_EQ(o.st, MAAS_E_INVALID);
            EXPECT_MSG(strstr(o.err.msg, "label 3 at place 1") != NULL, "%s", o.err.msg);
        }
        done(&o);
    }
}

/* A shape input whose contents ask for something else than what was planned must not be trusted. */
static void contents_that_contradict_the_plan_are_refused(void)
{
    static const struct {
        const char *op;
        int rank;
        int64_t dims[2], planned[3];
        int n_content, out_rank;
        int64_t content[3], fine[3];
    } rows[] = {
        {"Reshape", 2, {2, 3}, {3, 2}, 2, 2, {2, 3}, {3, 2}},
        {"Expand", 2, {1, 3}, {4, 3}, 2, 2, {5000, 3}, {4, 3}},
        {"Tile", 2, {1, 3}, {2, 3}, 2, 2, {900, 1}, {2, 1}},
        {"ReduceSum", 2, {2, 3}, {1, 3}, 1, 2, {1}, {0}},
        {"ReduceSum", 2, {2, 3}, {1, 3}, 1, 2, {9}, {0}},
        {"Unsqueeze", 2, {2, 3}, {2, 3, 1}, 1, 3, {0}, {2}},
        {"TopK", 1, {5}, {2}, 1, 1, {5}, {2}},
    };
    for (size_t i = 0; i < MAAS_COUNT(rows); i++)
        for (int ok = 0; ok < 2; ok++) {
            one o;
            begin(&o);
            give(&o, MAAS_F32, rows[i].rank, rows[i].dims);
            give(&o, MAAS_I64, 1, (const int64_t[]){rows[i].n_content});
            const bool pair = strcmp(rows[i].op, "TopK") == 0;
            maas_b_node(&o.b, rows[i].op, NULL, 0, o.in, 2, o.out, pair ? 2 : 1);
            EXPECT_MSG(o.b.status == MAAS_OK, "%s: %s", rows[i].op, o.err.msg);
            for (int k = 0; k < 1 + pair;
                 k++) /* as a plan made from earlier contents would have it */
                o.g->values[o.out[k]].type = maas_type_tensor(k ? MAAS_I64 : MAAS_F32,
                                                              rows[i].out_rank, rows[i].planned);
            if (interp_open(&o.p, o.g)) {
                memcpy(data(&o, 1), ok ? rows[i].fine : rows[i].content,
                       (size_t)rows[i].n_content * sizeof(int64_t));
                run(&o);
                EXPECT_MSG((o.st == MAAS_OK) == ok, "%s row %zu: %d %s", rows[i].op, i, o.st,
                           o.err.msg);
            }
            done(&o);
        }
}

/* ---- special values ---- */

static void softmax_of_large_numbers_is_finite(void)
{
    one o;
    begin(&o);
    give(&o, MAAS_F32, DIMS(1, 3));
    if (made(&o, "Softmax", NULL, 0, 1)) {
        FILL(&o, 0, float, 1e30f, 1e30f, -1e30f);
        run(&o);
        const float *y = answer(&o, 0);
        EXPECT_NEAR(y[0], 0.5, 1e-6);
        EXPECT_NEAR(y[2], 0, 0);
    }
    done(&o);
}

static void a_nan_is_not_hidden(void)
{
    static const char *const ops[] = {"Relu",      "Sigmoid",   "HardSigmoid",
                                      "ReduceMax", "ReduceMin", "Sign"};
    for (size_t i = 0; i < MAAS_COUNT(ops); i++) {
        one o;
        begin(&o);
        give(&o, MAAS_F32, DIMS(1));
        if (made(&o, ops[i], NULL, 0, 1)) {
            FILL(&o, 0, float, NAN);
            run(&o);
            EXPECT_MSG(isnan(*(const float *)answer(&o, 0)), "%s hides a NaN", ops[i]);
        }
        done(&o);
    }
}

static void reductions_of_nothing(void)
{
    static const struct {
        const char *op;
        double want;
    } rows[] = {{"ReduceSum", 0},
                {"ReduceProd", 1},
                {"ReduceMax", -INFINITY},
                {"ReduceMin", INFINITY},
                {"ReduceLogSumExp", -INFINITY},
                {"ReduceL2", 0}};
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        one o;
        begin(&o);
        give(&o, MAAS_F32, DIMS(2, 0));
        o.in[o.n_in++] = maas_b_i64s(&o.b, (const int64_t[]){1}, 1);
        if (made(&o, rows[i].op, NULL, 0, 1)) {
            run(&o);
            EXPECT_MSG(((const float *)answer(&o, 0))[1] == rows[i].want, "%s of nothing",
                       rows[i].op);
        }
        done(&o);
    }
}

/* ---- training ---- */

static void dropout_repeats_from_its_seed(void)
{
    double kept[3] = {0};
    float first[1000], other[1000];
    for (int k = 0; k < 3; k++) {
        one o;
        begin(&o);
        give(&o, MAAS_F32, DIMS(1000));
        o.in[o.n_in++] = maas_b_f32(&o.b, 0.25f);
        give(&o, MAAS_I64, 0, NULL);
        const maas_attr seed = MAAS_A_INT("seed", 42);
        if (made(&o, "SeededDropout", &seed, 1, 2)) {
            for (int i = 0; i < 1000; i++)
                ((float *)data(&o, 0))[i] = 3;
            FILL(&o, 2, int64_t, k == 2 ? 6 : 5);
            run(&o);
            const float *y = answer(&o, 0);
            for (int i = 0; i < 1000; i++) {
                kept[k] += y[i] != 0;
                EXPECT(y[i] == 0 || fabsf(y[i] - 4) < 1e-5f);
            }
            EXPECT_MSG(k != 1 || memcmp(first, y, sizeof first) == 0, "the same step differs");
            EXPECT_MSG(k != 2 || memcmp(first, y, sizeof first) != 0, "another step repeats");
            memcpy(k == 0 ? first : other, y, sizeof first);
        }
        done(&o);
        EXPECT(kept[k] > 690 && kept[k] < 810); /* 750 +- 4 deviations of 13.7 */
    }
}

/* Two steps of each, against numbers of PyTorch's formulae worked out by hand in double. */
static void optimizers_follow_their_formulae(void)
{
    static const struct {
        const char *op;
        int n_state, n_attr;
        maas_attr attr[3];
        double want[2];
    } rows[] = {
        /* p = 1, g = 0.5 then -0.25, lr = 0.1 */
        {"SGDStep", 1, 0, {{0}}, {0.95, 0.975}},
        {"SGDStep", 1, 1, {MAAS_A_FLOAT("momentum", 0.9f)}, {0.95, 0.93}}, /* v: .5, .2 */
        {"SGDStep",
         1,
         2,
         {MAAS_A_FLOAT("momentum", 0.9f), MAAS_A_INT("nesterov", 1)},
         {0.905, 0.912}}, /* g + .9 v: .95, -.07 */
        {"SGDStep", 1, 1, {MAAS_A_FLOAT("weight_decay", 0.1f)}, {0.94, 0.9556}},
        {"RMSPropStep",
         1,
         1,
         {MAAS_A_FLOAT("alpha", 0.5f)},
         {1 - 0.1 * M_SQRT2, 1 - 0.1 * M_SQRT2 + 0.1 * 0.25 / 0.30618621784789724}},
        {"AdagradStep", 1, 0, {{0}}, {0.9, 0.9 + 0.1 * 0.25 / 0.5590169943749475}},
        {"AdamStep", 2, 0, {{0}}, {0.9, 0}},
        /* step 2: below */
        {"AdamWStep", 2, 1, {MAAS_A_FLOAT("weight_decay", 0.1f)}, {0.89, 0}},
    };
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        double p = 1, s[2] = {0};
        for (int step = 1; step <= 2; step++) {
            one o;
            begin(&o);
            for (int k = 0; k < 2 + rows[i].n_state; k++)
                give(&o, MAAS_F64, 0, NULL);
            o.in[o.n_in++] = maas_b_f32(&o.b, 0.1f);
            o.in[o.n_in++] = maas_b_i64(&o.b, step);
            if (made(&o, rows[i].op, rows[i].attr, (uint32_t)rows[i].n_attr,
                     1 + (uint32_t)rows[i].n_state)) {
                FILL(&o, 0, double, p);
                for (int k = 0; k < rows[i].n_state; k++)
                    FILL(&o, 1 + k, double, s[k]);
                FILL(&o, 1 + rows[i].n_state, double, step == 1 ? 0.5 : -0.25);
                run(&o);
                EXPECT_EQ(o.st, MAAS_OK);
                p = *(const double *)answer(&o, 0);
                for (int k = 0; k < rows[i].n_state; k++)
                    s[k] = *(const double *)answer(&o, 1 + k);
            }
            done(&o);
            double want = rows[i].want[step - 1];
            if (step == 2 &&
                rows[i].n_state == 2) { /* m = .9 .05 - .1 .25, v = .999 .00025 + .001 .0625 */
                double m = 0.02 / (1 - 0.81), v = sqrt((0.00024975 + 0.0000625) / (1 - 0.998001));
                double shrunk = rows[i].n_attr ? 0.89 * 0.99 : 0.9;
                want = shrunk - 0.1 * m / (v + 1e-8);
            }
            EXPECT_NEAR(p, want, 1e-6);
        }
    }
}

static void global_norm_scales_only_what_is_too_long(void)
{
    for (int k = 0; k < 2; k++) {
        one o;
        begin(&o);
        give(&o, MAAS_F32, DIMS(1));
        give(&o, MAAS_F32, DIMS(1));
        const maas_attr limit = MAAS_A_FLOAT("max_norm", k ? 10 : 1);
        if (made(&o, "GlobalNormScale", &limit, 1, 2)) {
            FILL(&o, 0, float, 3);
            FILL(&o, 1, float, 4);
            run(&o);
            EXPECT_NEAR(*(const float *)answer(&o, 0), k ? 1 : 0.2, 1e-6);
            EXPECT_NEAR(*(const float *)answer(&o, 1), 5, 1e-6);
        }
        done(&o);
    }
}

/* ---- ai.onnx.ml ---- */

static void labels_are_looked_up_with_a_default(void)
{
    static const maas_str keys[] = {{"cat", 3}, {"", 0}};
    static const int64_t values[] = {7, 8};
    const maas_attr attr[] = {
        {.name = "keys_strings", .type = MAAS_ATTR_STRINGS, .n = 2, .u.strings = keys},
        {.name = "values_int64s", .type = MAAS_ATTR_INTS, .n = 2, .u.ints = values},
        MAAS_A_INT("default_int64", -9)};
    one o;
    begin(&o);
    give(&o, MAAS_STRING, DIMS(3));
    if (made(&o, "LabelEncoder", attr, 3, 1)) {
        FILL(&o, 0, maas_str, {"cat", 3}, {NULL, 0}, {"cats", 4});
        run(&o);
        const int64_t *y = answer(&o, 0);
        EXPECT(y[0] == 7 && y[1] == 8 && y[2] == -9);
    }
    done(&o);
}

static void a_nan_key_matches_a_nan(void)
{
    static const float keys[] = {NAN, 1};
    static const maas_str values[] = {{"missing", 7}, {"one", 3}};
    const maas_attr attr[] = {
        {.name = "keys_floats", .type = MAAS_ATTR_FLOATS, .n = 2, .u.floats = keys},
        {.name = "values_strings", .type = MAAS_ATTR_STRINGS, .n = 2, .u.strings = values}};
    one o;
    begin(&o);
    give(&o, MAAS_F32, DIMS(3));
    if (made(&o, "LabelEncoder", attr, 2, 1)) {
        FILL(&o, 0, float, NAN, 1, 2);
        run(&o);
        const maas_str *y = answer(&o, 0);
        EXPECT(y[0].n == 7 && y[1].n == 3 && y[2].n == 7 && memcmp(y[2].p, "_Unused", 7) == 0);
    }
    done(&o);
}

/* One row of coefficients for two labels; the numbers are those of ONNX Runtime. */
static void a_linear_classifier_of_two_classes(void)
{
    static const float w[] = {1, -1}, bias[] = {0};
    static const int64_t labels[] = {4, 5};
    static const struct {
        const char *transform;
        double p; /* of the second label, for a score of 1 */
    } rows[] = {{"NONE", 1}, {"SOFTMAX", 1}, {"LOGISTIC", 0.7310585786}};
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        const maas_attr attr[] = {
            {.name = "coefficients", .type = MAAS_ATTR_FLOATS, .n = 2, .u.floats = w},
            {.name = "intercepts", .type = MAAS_ATTR_FLOATS, .n = 1, .u.floats = bias},
            MAAS_A_INTS("classlabels_ints", labels, 2),
            MAAS_A_STR("post_transform", rows[i].transform)};
        one o;
        begin(&o);
        give(&o, MAAS_F32, DIMS(2, 2));
        if (made(&o, "LinearClassifier", attr, 4, 2)) {
            FILL(&o, 0, float, 2, 1, 1, 2);
            run(&o);
            const int64_t *y = answer(&o, 0);
            const float *z = answer(&o, 1);
            EXPECT(y[0] == 5 && y[1] == 4);
            EXPECT_NEAR(z[1], rows[i].p, 1e-6);
            EXPECT_NEAR(z[0] + z[1], 1, 1e-6);
        }
        done(&o);
    }
}

/* ---- transforms of every kind of length against their definition ---- */

static void transform_of(int64_t n, int sign, maas_rng *rng)
{
    maas_err err = {0};
    maas_fft *f = NULL;
    double *x = calloc((size_t)n * 4, sizeof *x), *y = x + 2 * n, worst = 0;
    for (int64_t i = 0; i < 2 * n; i++)
        x[i] = y[i] = maas_rng_unit(rng) - 0.5;
    EXPECT(maas_fft_create(n, &f, &err) == MAAS_OK);
    if (f)
        maas_fft_run(f, y, sign);
    for (int64_t k = 0; k < n; k++) {
        double re = 0, im = 0;
        for (int64_t i = 0; i < n; i++) {
            const double turn = sign * 2 * M_PI * (double)(i * k % n) / (double)n;
            re += x[2 * i] * cos(turn) - x[2 * i + 1] * sin(turn);
            im += x[2 * i] * sin(turn) + x[2 * i + 1] * cos(turn);
        }
        worst = fmax(worst, fmax(fabs(re - y[2 * k]), fabs(im - y[2 * k + 1])));
    }
    EXPECT_MSG(worst < 1e-12 * (double)n, "length %lld, sign %d: off by %g", (long long)n, sign,
               worst);
    maas_fft_destroy(f);
    free(x);
}

static void transforms_follow_their_definition(void)
{
    static const int64_t lengths[] = {128, 243, 360, 625, 343, 169, 17, 97, 289, 514, 1009};
    maas_rng rng;
    maas_rng_seed(&rng, 1);
    for (int64_t n = 1; n <= 40; n++)
        transform_of(n, n & 1 ? 1 : -1, &rng);
    for (size_t i = 0; i < MAAS_COUNT(lengths); i++)
        transform_of(lengths[i], i & 1 ? 1 : -1, &rng);
}

/* ---- noise ---- */

static void noise_has_the_moments_it_should(void)
{
    static const struct {
        const char *op;
        double mean, deviation;
    } rows[] = {{"RandomUniform", 0.5, 0.288675}, {"RandomNormal", 0, 1}};
    static const int64_t shape[] = {100000};
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        const maas_attr attr[] = {MAAS_A_INTS("shape", shape, 1), MAAS_A_FLOAT("seed", 2)};
        one o;
        begin(&o);
        if (made(&o, rows[i].op, attr, 2, 1)) {
            double sum = 0, squares = 0;
            run(&o);
            for (int64_t k = 0; k < shape[0]; k++) {
                const double v = ((const float *)answer(&o, 0))[k] - rows[i].mean;
                sum += v;
                squares += v * v;
            }
            EXPECT_MSG(fabs(sum / 1e5) < 0.01, "%s: mean off by %g", rows[i].op, sum / 1e5);
            EXPECT_MSG(fabs(sqrt(squares / 1e5) - rows[i].deviation) < 0.01, "%s: deviation %g",
                       rows[i].op, sqrt(squares / 1e5));
        }
        done(&o);
    }
}

static const mt_case cases[] = {
    MT_CASE(transforms_follow_their_definition),
    MT_CASE(noise_has_the_moments_it_should),
    MT_CASE(integer_arithmetic_is_defined_everywhere),
    MT_CASE(int64_extremes_divide),
    MT_CASE(casts_of_what_does_not_fit_are_defined),
    MT_CASE(indices_out_of_range_are_refused),
    MT_CASE(labels_out_of_range_are_refused),
    MT_CASE(contents_that_contradict_the_plan_are_refused),
    MT_CASE(softmax_of_large_numbers_is_finite),
    MT_CASE(a_nan_is_not_hidden),
    MT_CASE(reductions_of_nothing),
    MT_CASE(dropout_repeats_from_its_seed),
    MT_CASE(optimizers_follow_their_formulae),
    MT_CASE(global_norm_scales_only_what_is_too_long),
    MT_CASE(labels_are_looked_up_with_a_default),
    MT_CASE(a_nan_key_matches_a_nan),
    MT_CASE(a_linear_classifier_of_two_classes),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
