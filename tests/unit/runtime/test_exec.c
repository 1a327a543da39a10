/* What a run computes, where it writes, and what it must not touch. */
#include "maas_test.h"

#include "base/mem.h"
#include "ops/build.h"
#include "runtime/plan.h"

static const int64_t D22[] = {2, 2}, D4[] = {4};

typedef struct rig {
    maas_graph *g;
    maas_builder b;
    maas_plan *plan;
    maas_vars *vars;
    maas_exec *exec;
    maas_err err;
} rig;

static void rig_init(rig *r)
{
    *r = (rig){0};
    EXPECT_EQ(maas_graph_create("t", NULL, &r->g, &r->err), MAAS_OK);
    maas_builder_init(&r->b, r->g, &r->err);
}

static bool rig_plan(rig *r, int level)
{
    EXPECT_MSG(r->b.status == MAAS_OK, "%s", r->err.msg);
    maas_type types[4];
    for (uint32_t i = 0; i < r->g->n_inputs; i++)
        types[i] = maas_graph_at(r->g, r->g->inputs[i])->type;
    const maas_plan_opts o = {.n_threads = 2, .level = level, .check = true, .training = true};
    bool ok = maas_plan_create(r->g, types, &o, &r->plan, &r->err) == MAAS_OK &&
              maas_vars_create(r->g, NULL, &r->vars, &r->err) == MAAS_OK &&
              maas_exec_create(r->plan, r->vars, &r->exec, &r->err) == MAAS_OK;
    EXPECT_MSG(ok, "%s", r->err.msg);
    return ok;
}

static void rig_reset(rig *r)
{
    maas_exec_destroy(r->exec);
    maas_vars_destroy(r->vars);
    maas_plan_destroy(r->plan);
    maas_graph_destroy(r->g);
    EXPECT_EQ(maas_mem_live(), 0);
}

static maas_vid variable(rig *r, const char *name, float first)
{
    float v[4] = {first, first, first, first};
    maas_tensor t = maas_tensor_of(MAAS_F32, 1, D4, v);
    maas_vid out = MAAS_NO_VALUE;
    EXPECT_EQ(maas_graph_variable(r->g, name, &t, true, &out, &r->err), MAAS_OK);
    return out;
}

static void bind(rig *r, maas_vid var, maas_vid value)
{
    EXPECT_EQ(maas_graph_bind(r->g, var, value, &r->err), MAAS_OK);
}

static float var_now(rig *r, const char *name)
{
    return ((const float *)maas_vars_find(r->vars, name)->data)[3];
}

static float out_now(rig *r, uint32_t i)
{
    return ((const float *)maas_exec_output(r->exec, i)->data)[3];
}

/* softmax(relu(x w + b)) on numbers worked out by hand */
static void a_small_network_computes(void)
{
    rig r;
    rig_init(&r);
    float w[] = {1, -1, 2, 0.5f}, bias[] = {0, 1};
    maas_tensor wt = maas_tensor_of(MAAS_F32, 2, D22, w),
                bt = maas_tensor_of(MAAS_F32, 1, &D22[0], bias);
    maas_vid x = maas_b_input(&r.b, "x", MAAS_F32, 2, D22);
    maas_vid y = maas_b_op2(&r.b, "MatMul", x, maas_b_const(&r.b, "w", &wt));
    y = maas_b_op1(&r.b, "Relu", maas_b_op2(&r.b, "Add", y, maas_b_const(&r.b, "b", &bt)));
    maas_b_output(&r.b, "y", maas_b_op1(&r.b, "Softmax", y));
    if (rig_plan(&r, 2)) {
        const float in[] = {1, 0, 0, 1};
        memcpy(maas_exec_input(r.exec, 0)->data, in, sizeof in);
        EXPECT_EQ(maas_exec_run(r.exec, &r.err), MAAS_OK);
        /* x w + b = [1 0; 2 1.5] */
        const float *out = maas_exec_output(r.exec, 0)->data;
        EXPECT_NEAR(out[0], 1 / (1 + exp(-1)), 1e-6);
        EXPECT_NEAR(out[2], 1 / (1 + exp(-0.5)), 1e-6);
        EXPECT_NEAR(out[2] + out[3], 1, 1e-6);
    }
    rig_reset(&r);
}

static void inputs_can_be_pointed_elsewhere(void)
{
    for (int level = 0; level <= 2; level += 2) {
        rig r;
        rig_init(&r);
        maas_vid x = maas_b_input(&r.b, "x", MAAS_F32, 1, D4);
        maas_vid view = maas_b_op2(&r.b, "Reshape", x, maas_b_i64s(&r.b, D22, 2));
        maas_b_output(&r.b, "y", maas_b_op1(&r.b, "Neg", view));
        maas_b_output(&r.b, "z", maas_b_op1(&r.b, "Neg", x));
        if (rig_plan(&r, level)) {
            float own[] = {1, 2, 3, 4}, other[] = {5, 6, 7, 8};
            memcpy(maas_exec_input(r.exec, 0)->data, own, sizeof own);
            EXPECT_EQ(maas_exec_run(r.exec, &r.err), MAAS_OK);
            EXPECT_NEAR(out_now(&r, 0), -4, 0);
            void *home = maas_exec_input(r.exec, 0)->data;
            maas_exec_input(r.exec, 0)->data = other;
            EXPECT_EQ(maas_exec_run(r.exec, &r.err), MAAS_OK);
            EXPECT_NEAR(out_now(&r, 0), -8, 0);
            EXPECT_NEAR(out_now(&r, 1), -8, 0);
            maas_exec_input(r.exec, 0)->data = home;
            EXPECT_EQ(maas_exec_run(r.exec, &r.err), MAAS_OK);
            EXPECT_NEAR(out_now(&r, 0), -4, 0);
        }
        rig_reset(&r);
    }
}

static void variables_take_their_new_values(void)
{
    rig r;
    rig_init(&r);
    maas_vid v = variable(&r, "v", 1);
    maas_vid twice = maas_b_op2(&r.b, "Add", v, v);
    bind(&r, v, twice);
    maas_b_output(&r.b, "new", twice);
    if (rig_plan(&r, 2))
        for (int i = 1; i <= 5; i++) {
            EXPECT_EQ(maas_exec_run(r.exec, &r.err), MAAS_OK);
            EXPECT_NEAR(var_now(&r, "v"), 1 << i, 0);
            EXPECT_NEAR(out_now(&r, 0), 1 << i, 0);
        }
    rig_reset(&r);
}

/* The old value is still read after the new one exists: it must survive until then. */
static void old_values_are_read_before_they_go(void)
{
    rig r;
    rig_init(&r);
    maas_vid v = variable(&r, "v", 1), w = variable(&r, "w", 10);
    maas_vid next = maas_b_op2(&r.b, "Add", v, w);
    bind(&r, v, next);
    maas_b_output(&r.b, "late", maas_b_op2(&r.b, "Mul", next, v));
    EXPECT_EQ(maas_graph_output(r.g, v, &r.err), MAAS_OK);
    if (rig_plan(&r, 2)) {
        EXPECT_EQ(maas_exec_run(r.exec, &r.err), MAAS_OK);
        EXPECT_NEAR(out_now(&r, 0), 11, 0);
        EXPECT_NEAR(out_now(&r, 1), 1, 0);
        EXPECT_NEAR(var_now(&r, "v"), 11, 0);
        EXPECT_EQ(maas_exec_run(r.exec, &r.err), MAAS_OK);
        EXPECT_NEAR(out_now(&r, 0), 21 * 11, 0);
        EXPECT_NEAR(out_now(&r, 1), 11, 0);
    }
    rig_reset(&r);
}

static void variables_can_swap(void)
{
    rig r;
    rig_init(&r);
    maas_vid v = variable(&r, "v", 1), w = variable(&r, "w", 2), u = variable(&r, "u", 3);
    bind(&r, v, w);
    bind(&r, w, v);
    bind(&r, u, v);
    maas_b_output(&r.b, "y", maas_b_op2(&r.b, "Add", v, w));
    if (rig_plan(&r, 2)) {
        EXPECT_EQ(maas_exec_run(r.exec, &r.err), MAAS_OK);
        EXPECT_NEAR(var_now(&r, "v"), 2, 0);
        EXPECT_NEAR(var_now(&r, "w"), 1, 0);
        EXPECT_NEAR(var_now(&r, "u"), 1, 0);
        EXPECT_EQ(maas_exec_run(r.exec, &r.err), MAAS_OK);
        EXPECT_NEAR(var_now(&r, "u"), 2, 0);
        EXPECT_NEAR(out_now(&r, 0), 3, 0);
    }
    rig_reset(&r);
}

static void one_value_feeds_two_variables(void)
{
    rig r;
    rig_init(&r);
    maas_vid v = variable(&r, "v", 1), w = variable(&r, "w", 2);
    maas_vid sum = maas_b_op2(&r.b, "Add", v, w);
    bind(&r, v, sum);
    bind(&r, w, sum);
    if (rig_plan(&r, 2)) {
        EXPECT_EQ(maas_exec_run(r.exec, &r.err), MAAS_OK);
        EXPECT_NEAR(var_now(&r, "v"), 3, 0);
        EXPECT_NEAR(var_now(&r, "w"), 3, 0);
    }
    rig_reset(&r);
}

/* x is read twice: Neg may not overwrite it, nor may Reshape's result be overwritten under it. */
static void overwriting_respects_other_readers(void)
{
    rig r;
    rig_init(&r);
    maas_vid x = maas_b_input(&r.b, "x", MAAS_F32, 1, D4);
    maas_vid a = maas_b_op1(&r.b, "Exp", x);
    maas_vid view = maas_b_op2(&r.b, "Reshape", a, maas_b_i64s(&r.b, D22, 2));
    maas_vid n = maas_b_op1(&r.b, "Neg", view);
    maas_vid t = maas_b_op1(&r.b, "Sqrt", a);
    maas_b_output(&r.b, "n", n);
    maas_b_output(&r.b, "t", t);
    maas_b_output(&r.b, "xx", maas_b_op1(&r.b, "Identity", x));
    for (int level = 0; level <= 2; level++) {
        if (rig_plan(&r, level)) {
            const float in[] = {0, 1, 2, 3};
            memcpy(maas_exec_input(r.exec, 0)->data, in, sizeof in);
            EXPECT_EQ(maas_exec_run(r.exec, &r.err), MAAS_OK);
            EXPECT_NEAR(out_now(&r, 0), -exp(3), 1e-5);
            EXPECT_NEAR(out_now(&r, 1), exp(1.5), 1e-5);
            EXPECT_NEAR(out_now(&r, 2), 3, 0);
        }
        maas_exec_destroy(r.exec);
        maas_vars_destroy(r.vars);
        maas_plan_destroy(r.plan);
        r.exec = NULL, r.vars = NULL, r.plan = NULL;
    }
    rig_reset(&r);
}

static void a_warm_run_allocates_nothing(void)
{
    rig r;
    rig_init(&r);
    maas_vid x = maas_b_input(&r.b, "x", MAAS_F32, 2, D22);
    maas_vid y = maas_b_op2(&r.b, "MatMul", x, x);
    maas_b_output(&r.b, "y", maas_b_op1(&r.b, "Softmax", maas_b_op2(&r.b, "Add", y, x)));
    if (rig_plan(&r, 2)) {
        EXPECT_EQ(maas_exec_run(r.exec, &r.err), MAAS_OK);
        long before = maas_mem_n_allocs();
        for (int i = 0; i < 10; i++)
            EXPECT_EQ(maas_exec_run(r.exec, &r.err), MAAS_OK);
        EXPECT_EQ(maas_mem_n_allocs(), before);
    }
    rig_reset(&r);
}

static void profiles_name_every_step(void)
{
    rig r;
    rig_init(&r);
    maas_vid x = maas_b_input(&r.b, "x", MAAS_F32, 2, D22);
    maas_b_output(&r.b, "y", maas_b_op2(&r.b, "MatMul", x, x));
    if (rig_plan(&r, 2)) {
        AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(1 << 16);
        maas_exec_profile_json(r.exec, &text);
        EXPECT_STR(text.p, "[]");
        maas_buf_clear(&text);
        maas_exec_profile(r.exec, true);
        EXPECT_EQ(maas_exec_run(r.exec, &r.err), MAAS_OK);
        maas_exec_profile_json(r.exec, &text);
        EXPECT(strstr(text.p, "\"op\":\"MatMul\"") != NULL);
        EXPECT(strstr(text.p, "\"ns\":") != NULL);
    }
    rig_reset(&r);
}

/* Shapes that only data tells: found while running, different in each run. */
static void late_shapes_are_found_while_running(void)
{
    for (int level = 0; level <= 2; level += 2) {
        rig r;
        rig_init(&r);
        const int64_t two = 2;
        maas_vid x = maas_b_input(&r.b, "x", MAAS_F32, 1, D4);
        maas_vid shape = maas_b_input(&r.b, "shape", MAAS_I64, 1, &two);
        maas_vid y = maas_b_op2(&r.b, "Reshape", x, shape);
        y = maas_b_op2(&r.b, "Add", maas_b_op1(&r.b, "Neg", y), maas_b_f32(&r.b, 1));
        maas_b_output(&r.b, "y", y);
        maas_b_output(&r.b, "s", maas_b_op1(&r.b, "Shape", y));
        maas_b_output(&r.b, "early", maas_b_op1(&r.b, "Exp", x));
        if (rig_plan(&r, level)) {
            const float in[] = {1, 2, 3, 4};
            memcpy(maas_exec_input(r.exec, 0)->data, in, sizeof in);
            int64_t *want = maas_exec_input(r.exec, 1)->data;
            for (int64_t rows = 1; rows <= 4; rows *= 2) {
                want[0] = rows;
                want[1] = 4 / rows;
                EXPECT_EQ(maas_exec_run(r.exec, &r.err), MAAS_OK);
                const maas_tensor *out = maas_exec_output(r.exec, 0);
                EXPECT_EQ(out->rank, 2);
                EXPECT_EQ(out->dims[0], rows);
                EXPECT_NEAR(out_now(&r, 0), -3, 0);
                EXPECT_EQ(((const int64_t *)maas_exec_output(r.exec, 1)->data)[1], 4 / rows);
                EXPECT_NEAR(out_now(&r, 2), exp(4), 1e-4);
            }
            want[0] = 3; /* 4 elements are no 3 rows */
            EXPECT_EQ(maas_exec_run(r.exec, &r.err), MAAS_E_INVALID);
            EXPECT(strstr(r.err.msg, "Reshape") != NULL);
            want[0] = 4;
            want[1] = 1;
            EXPECT_EQ(maas_exec_run(r.exec, NULL), MAAS_OK);
        }
        rig_reset(&r);
    }
}

/* A run that fails says which node, leaves the executor usable, and every thread comes home. */
static void failing_runs_name_the_node(void)
{
    rig r;
    rig_init(&r);
    const int64_t rows[] = {300, 40}, n = 64;
    maas_vid table = maas_b_input(&r.b, "table", MAAS_F32, 2, rows);
    maas_vid at = maas_b_input(&r.b, "at", MAAS_I64, 1, &n);
    maas_vid scores = maas_b_op2(&r.b, "Gather", table, at);
    maas_b_output(&r.b, "y", maas_b_op1(&r.b, "Softmax", scores));
    maas_b_output(&r.b, "loss", maas_b_op2(&r.b, "SoftmaxCrossEntropyLoss", scores, at));
    if (rig_plan(&r, 2)) {
        int64_t *index = maas_exec_input(r.exec, 1)->data;
        EXPECT_EQ(maas_exec_run(r.exec, &r.err), MAAS_OK);
        index[63] = 300;
        EXPECT_EQ(maas_exec_run(r.exec, &r.err), MAAS_E_INVALID);
        EXPECT_MSG(strstr(r.err.msg, "Gather") != NULL, "%s", r.err.msg);
        index[63] = 50; /* a row of the table, but no class */
        r.err = (maas_err){0};
        EXPECT_EQ(maas_exec_run(r.exec, &r.err), MAAS_E_INVALID);
        EXPECT_MSG(strstr(r.err.msg, "SoftmaxCrossEntropyLoss") != NULL, "%s", r.err.msg);
        index[63] = 39;
        EXPECT_EQ(maas_exec_run(r.exec, NULL), MAAS_OK);
    }
    rig_reset(&r);
}

enum { FED = 1 << 16 };

typedef struct feeder {
    float *to;
    _Atomic int n_calls;
} feeder;

static void feed_share(void *user, int ithr, int nthr)
{
    feeder *f = user;
    f->n_calls++;
    for (int i = FED * ithr / nthr; i < FED * (ithr + 1) / nthr; i++)
        f->to[i] = (float)i;
}

static void threads_fill_their_shares_before_the_first_step(void)
{
    rig r;
    rig_init(&r);
    const int64_t n = FED;
    maas_vid x = maas_b_input(&r.b, "x", MAAS_F32, 1, &n);
    maas_b_output(&r.b, "y", maas_b_op1(&r.b, "Neg", x));
    if (rig_plan(&r, 2)) {
        feeder f = {.to = maas_exec_input(r.exec, 0)->data};
        maas_exec_feed(r.exec, feed_share, &f);
        for (int run = 1; run <= 3; run++) {
            memset(f.to, 0, FED * sizeof *f.to);
            EXPECT_EQ(maas_exec_run(r.exec, &r.err), MAAS_OK);
            const float *y = maas_exec_output(r.exec, 0)->data;
            int wrong = 0;
            for (int i = 0; i < FED; i++)
                wrong += y[i] != (float)-i;
            EXPECT_EQ(wrong, 0);
            EXPECT(f.n_calls >= run && f.n_calls <= 2 * run);
        }
    }
    rig_reset(&r);
}

#if defined(__x86_64__) || defined(__aarch64__)
/* By every thread of the team; the caller's own arithmetic stays as it was. */
static void training_leaves_no_subnormal_numbers(void)
{
    enum { N = 1 << 16 };
    rig r;
    rig_init(&r);
    float *tiny = maas_calloc(N, sizeof *tiny);
    volatile float smallest = 1.5e-38f;
    for (int i = 0; i < N; i++)
        tiny[i] = smallest;
    const maas_tensor t = maas_tensor_of(MAAS_F32, 1, (int64_t[]){N}, tiny);
    maas_vid v = MAAS_NO_VALUE;
    EXPECT_EQ(maas_graph_variable(r.g, "v", &t, true, &v, &r.err), MAAS_OK);
    bind(&r, v, maas_b_op2(&r.b, "Mul", v, maas_b_f32(&r.b, 0.5f)));
    if (rig_plan(&r, 2)) {
        EXPECT_EQ(maas_exec_run(r.exec, &r.err), MAAS_OK);
        const float *now = maas_vars_find(r.vars, "v")->data;
        int kept = 0;
        for (int i = 0; i < N; i++)
            kept += now[i] != 0;
        EXPECT_EQ(kept, 0);
        EXPECT(smallest * 0.5f != 0);
    }
    maas_free(tiny);
    rig_reset(&r);
}
#endif

static const mt_case cases[] = {
#if defined(__x86_64__) || defined(__aarch64__)
    MT_CASE(training_leaves_no_subnormal_numbers),
#endif
    MT_CASE(threads_fill_their_shares_before_the_first_step),
    MT_CASE(late_shapes_are_found_while_running),
    MT_CASE(failing_runs_name_the_node),
    MT_CASE(a_small_network_computes),
    MT_CASE(inputs_can_be_pointed_elsewhere),
    MT_CASE(variables_take_their_new_values),
    MT_CASE(old_values_are_read_before_they_go),
    MT_CASE(variables_can_swap),
    MT_CASE(one_value_feeds_two_variables),
    MT_CASE(overwriting_respects_other_readers),
    MT_CASE(a_warm_run_allocates_nothing),
    MT_CASE(profiles_name_every_step),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
