/* What a plan accepts and refuses, and what it costs. */
#include "maas_test.h"

#include "base/mem.h"
#include "ops/build.h"
#include "runtime/plan.h"

/* y = relu(x w) with x [batch, 3] and a second input of the same batch */
static maas_graph *two_inputs(void)
{
    maas_graph *g = NULL;
    maas_builder b;
    EXPECT_EQ(maas_graph_create("t", NULL, &g, NULL), MAAS_OK);
    maas_builder_init(&b, g, NULL);
    int64_t batch = 0, dw[] = {3, 2};
    EXPECT_EQ(maas_graph_symbol(g, "batch", &batch, NULL), MAAS_OK);
    int64_t dx[] = {batch, 3}, dz[] = {batch, 2};
    float w[6] = {1, 2, 3, 4, 5, 6};
    maas_tensor wt = maas_tensor_of(MAAS_F32, 2, dw, w);
    maas_vid x = maas_b_input(&b, "x", MAAS_F32, 2, dx), z = maas_b_input(&b, "z", MAAS_F32, 2, dz);
    maas_vid y = maas_b_op2(&b, "MatMul", x, maas_b_const(&b, "w", &wt));
    maas_b_output(&b, "y", maas_b_op1(&b, "Relu", maas_b_op2(&b, "Add", y, z)));
    EXPECT_EQ(b.status, MAAS_OK);
    return g;
}

static maas_type shape(int64_t a, int64_t b)
{
    const int64_t d[] = {a, b};
    return maas_type_tensor(MAAS_F32, 2, d);
}

static void refuse(maas_graph *g, maas_type a, maas_type b, maas_status want, const char *word)
{
    maas_plan *p = NULL;
    maas_err err = {0};
    const maas_type in[] = {a, b};
    EXPECT_EQ(maas_plan_create(g, in, NULL, &p, &err), want);
    EXPECT_MSG(strstr(err.msg, word) != NULL, "'%s' does not name %s", err.msg, word);
    EXPECT(p == NULL);
}

static void wrong_inputs_are_named(void)
{
    maas_graph *g = two_inputs();
    refuse(g, shape(4, 5), shape(4, 2), MAAS_E_INVALID, "'x'");
    refuse(g, shape(4, 3), shape(5, 2), MAAS_E_INVALID, "'z'"); /* batch cannot be 4 and 5 */
    refuse(g, shape(-1, 3), shape(4, 2), MAAS_E_INVALID, "'x'");
    maas_type other = shape(4, 3);
    other.dtype = MAAS_F64;
    refuse(g, other, shape(4, 2), MAAS_E_INVALID, "'x'");
    refuse(g, shape(INT64_MAX, 3), shape(4, 2), MAAS_E_TOO_LARGE, "");
    maas_graph_destroy(g);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void budgets_hold(void)
{
    maas_graph *g = two_inputs();
    maas_budget budget = {.limit = 256 << 10};
    const maas_plan_opts o = {.n_threads = 1, .level = 2, .budget = &budget};
    const maas_type in[] = {shape(100000, 3), shape(100000, 2)};
    maas_plan *p = NULL;
    maas_exec *e = NULL;
    EXPECT_EQ(maas_plan_create(g, in, &o, &p, NULL), MAAS_OK);
    EXPECT_EQ(maas_exec_create(p, NULL, &e, NULL), MAAS_E_NOMEM); /* 1.2 MB of x alone */
    EXPECT(maas_plan_exec_bytes(p) > 2000000);
    maas_plan_destroy(p);
    budget.limit = 100;
    EXPECT_EQ(maas_plan_create(g, in, &o, &p, NULL), MAAS_E_NOMEM);
    EXPECT_EQ(budget.used, 0);
    maas_graph_destroy(g);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void every_allocation_may_fail(void)
{
    maas_graph *g = two_inputs();
    long live = maas_mem_live();
    const maas_type in[] = {shape(4, 3), shape(4, 2)};
    for (long n = 1;; n++) {
        maas_plan *p = NULL;
        maas_exec *e = NULL;
        maas_mem_fail_at(n);
        maas_status st = maas_plan_create(g, in, NULL, &p, NULL);
        if (st == MAAS_OK)
            st = maas_exec_create(p, NULL, &e, NULL);
        maas_mem_fail_at(0);
        maas_exec_destroy(e);
        maas_plan_destroy(p);
        EXPECT_EQ(maas_mem_live(), live);
        if (st == MAAS_OK) {
            EXPECT(n > 10);
            break;
        }
        EXPECT_EQ(st, MAAS_E_NOMEM);
        if (mt_failed)
            break;
    }
    maas_graph_destroy(g);
}

static void plans_are_counted_and_shared(void)
{
    maas_graph *g = two_inputs();
    const maas_type in[] = {shape(4, 3), shape(4, 2)};
    maas_plan *p = NULL;
    maas_exec *a = NULL, *b = NULL;
    EXPECT_EQ(maas_plan_create(g, in, NULL, &p, NULL), MAAS_OK);
    EXPECT_EQ(maas_exec_create(p, NULL, &a, NULL), MAAS_OK);
    EXPECT_EQ(maas_exec_create(p, NULL, &b, NULL), MAAS_OK);
    maas_plan_destroy(p); /* the executors keep it */
    float *x = maas_exec_input(a, 0)->data;
    for (int i = 0; i < 12; i++)
        x[i] = (float)i;
    EXPECT_EQ(maas_exec_run(a, NULL), MAAS_OK);
    EXPECT_EQ(maas_exec_run(b, NULL), MAAS_OK);
    EXPECT_NEAR(((const float *)maas_exec_output(a, 0)->data)[0], 0 * 1 + 1 * 3 + 2 * 5, 0);
    EXPECT_NEAR(((const float *)maas_exec_output(b, 0)->data)[0], 0, 0);
    maas_exec_destroy(a);
    maas_exec_destroy(b);
    maas_graph_destroy(g);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void dumps_and_costs(void)
{
    maas_graph *g = two_inputs();
    const maas_type in[] = {shape(4, 3), shape(4, 2)};
    maas_plan *p = NULL;
    EXPECT_EQ(maas_plan_create(g, in, NULL, &p, NULL), MAAS_OK);
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(1 << 16);
    maas_plan_dump(p, &text);
    EXPECT(strstr(text.p, "float[4,3]") != NULL);
    EXPECT(maas_plan_cost_us(p) > 0 && maas_plan_cost_us(p) < 50);
    EXPECT(maas_plan_flops(p) >= 2 * 4 * 3 * 2);
    maas_plan_destroy(p);
    maas_graph_destroy(g);
}

static const mt_case cases[] = {
    MT_CASE(wrong_inputs_are_named),    MT_CASE(budgets_hold),
    MT_CASE(every_allocation_may_fail), MT_CASE(plans_are_counted_and_shared),
    MT_CASE(dumps_and_costs),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
