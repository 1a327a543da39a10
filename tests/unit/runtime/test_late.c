/* Steps whose shapes or bytes only a run can tell. */
#include "maas_test.h"

#include "base/mem.h"
#include "ops/build.h"
#include "runtime/plan.h"

typedef struct rig {
    maas_graph *g;
    maas_builder b;
    maas_plan *plan;
    maas_exec *exec;
    maas_err err;
} rig;

static void rig_init(rig *r)
{
    *r = (rig){0};
    EXPECT_EQ(maas_graph_create("t", NULL, &r->g, &r->err), MAAS_OK);
    maas_builder_init(&r->b, r->g, &r->err);
}

static bool rig_plan(rig *r, maas_budget *budget)
{
    EXPECT_MSG(r->b.status == MAAS_OK, "%s", r->err.msg);
    maas_type types[4];
    for (uint32_t i = 0; i < r->g->n_inputs; i++)
        types[i] = maas_graph_at(r->g, r->g->inputs[i])->type;
    const maas_plan_opts o = {.n_threads = 2, .level = 2, .check = true, .budget = budget};
    bool ok = maas_plan_create(r->g, types, &o, &r->plan, &r->err) == MAAS_OK &&
              maas_exec_create(r->plan, NULL, &r->exec, &r->err) == MAAS_OK;
    EXPECT_MSG(ok, "%s", r->err.msg);
    return ok;
}

static void rig_reset(rig *r)
{
    maas_exec_destroy(r->exec);
    maas_plan_destroy(r->plan);
    maas_graph_destroy(r->g);
    EXPECT_EQ(maas_mem_live(), 0);
}

/* y = the elements of x that are not zero, by places: NonZero, Transpose, GatherND */
static maas_vid kept(rig *r, maas_vid x)
{
    maas_vid at = maas_b_op1(&r->b, "Transpose", maas_b_op1(&r->b, "NonZero", x));
    return maas_b_op2(&r->b, "GatherND", x, at);
}

static void shapes_that_data_decides_differ_from_run_to_run(void)
{
    rig r;
    rig_init(&r);
    const int64_t dims[] = {2, 3};
    maas_vid y = kept(&r, maas_b_input(&r.b, "x", MAAS_F32, 2, dims));
    maas_b_output(&r.b, "y", maas_b_op1(&r.b, "Neg", y));
    if (rig_plan(&r, NULL)) {
        float *x = maas_exec_input(r.exec, 0)->data;
        for (int n = 0; n <= 6; n++) {
            for (int i = 0; i < 6; i++)
                x[i] = i >= 6 - n ? (float)(i + 1) : 0;
            EXPECT_EQ(maas_exec_run(r.exec, &r.err), MAAS_OK);
            const maas_tensor *t = maas_exec_output(r.exec, 0);
            EXPECT_EQ(t->rank, 1);
            EXPECT_EQ(t->dims[0], n);
            for (int i = 0; i < n; i++)
                EXPECT_EQ(((float *)t->data)[i], -(float)(7 - n + i));
        }
    }
    rig_reset(&r);
}

static void what_is_folded_is_what_would_have_run(void)
{
    rig r;
    rig_init(&r);
    const float some[] = {0, 5, 0, 7};
    maas_tensor t = maas_tensor_of(MAAS_F32, 1, (const int64_t[]){4}, (void *)(uintptr_t)some);
    maas_vid y = kept(&r, maas_b_const(&r.b, "c", &t));
    maas_b_output(&r.b, "y",
                  maas_b_op2(&r.b, "Add", y, maas_b_input(&r.b, "x", MAAS_F32, 0, NULL)));
    if (rig_plan(&r, NULL)) {
        EXPECT_EQ(maas_plan_n_steps(r.plan), 1);
        *(float *)maas_exec_input(r.exec, 0)->data = 1;
        EXPECT_EQ(maas_exec_run(r.exec, &r.err), MAAS_OK);
        const maas_tensor *out = maas_exec_output(r.exec, 0);
        EXPECT_EQ(out->dims[0], 2);
        EXPECT_EQ(((float *)out->data)[0] + ((float *)out->data)[1], 14);
    }
    rig_reset(&r);
}

static void what_a_run_allocates_is_under_the_budget(void)
{
    rig r;
    maas_budget budget = {.limit = 1 << 20};
    rig_init(&r);
    const int64_t dims[] = {1 << 17};
    maas_b_output(&r.b, "y",
                  maas_b_op1(&r.b, "NonZero", maas_b_input(&r.b, "x", MAAS_BOOL, 1, dims)));
    if (rig_plan(&r, &budget)) {
        memset(maas_exec_input(r.exec, 0)->data, 1, (size_t)dims[0]);
        EXPECT_EQ(maas_exec_run(r.exec, &r.err), MAAS_E_NOMEM);
        EXPECT(strstr(r.err.msg, "NonZero"));
        memset(maas_exec_input(r.exec, 0)->data, 0, (size_t)dims[0]);
        r.err = (maas_err){0};
        EXPECT_EQ(maas_exec_run(r.exec, &r.err), MAAS_OK);
    }
    rig_reset(&r);
    EXPECT_EQ(budget.used, 0);
}

static const mt_case cases[] = {
    MT_CASE(shapes_that_data_decides_differ_from_run_to_run),
    MT_CASE(what_is_folded_is_what_would_have_run),
    MT_CASE(what_a_run_allocates_is_under_the_budget),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
