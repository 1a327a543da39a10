/* An If of a condition that is known leaves the branch it takes; shapes that are known are such. */
#include "../ops/interp.h"

#include "passes/pass.h"

static const int64_t dims[] = {2, 3};

typedef struct rig {
    maas_graph *g;
    maas_builder b;
    maas_err err;
    maas_vid x;
} rig;

static void rig_init(rig *r)
{
    *r = (rig){0};
    EXPECT_EQ(maas_graph_create("t", NULL, &r->g, &r->err), MAAS_OK);
    maas_builder_init(&r->b, r->g, &r->err);
    r->x = maas_b_input(&r->b, "x", MAAS_F32, 2, dims);
}

/* A branch that is op(x) of the graph outside; with `inner`, an If of constant `which` comes first.
 */
static maas_graph *branch(const char *op, bool inner, bool which);

static void put_if(maas_graph *g, maas_vid cond, maas_graph *yes, maas_graph *no, maas_vid *y)
{
    maas_nid n;
    maas_err err = {0};
    const maas_attr a = {.name = "then_branch", .type = MAAS_ATTR_GRAPH, .u.graph = yes};
    const maas_attr b = {.name = "else_branch", .type = MAAS_ATTR_GRAPH, .u.graph = no};
    *y = MAAS_NO_VALUE;
    EXPECT_EQ(maas_graph_node(g, maas_op_find("", "If", MAAS_OPSET), "", &cond, 1, y, 1, &n, &err),
              MAAS_OK);
    EXPECT_EQ(maas_node_set(g, n, &a, &err), MAAS_OK);
    EXPECT_EQ(maas_node_set(g, n, &b, &err), MAAS_OK);
}

static maas_vid truth(maas_graph *g, bool v)
{
    maas_vid out = MAAS_NO_VALUE;
    const maas_tensor t = maas_tensor_of(MAAS_BOOL, 0, NULL, &v);
    EXPECT_EQ(maas_graph_const(g, NULL, &t, true, &out, NULL), MAAS_OK);
    return out;
}

static maas_graph *branch(const char *op, bool inner, bool which)
{
    maas_graph *g = NULL;
    maas_err err = {0};
    maas_vid x = MAAS_NO_VALUE, y = MAAS_NO_VALUE, z = MAAS_NO_VALUE;
    maas_nid n;
    EXPECT_EQ(maas_graph_create(op, NULL, &g, &err), MAAS_OK);
    if (inner)
        put_if(g, truth(g, which), branch("Exp", false, false), branch("Abs", false, false), &y);
    else
        EXPECT_EQ(maas_graph_value(g, "x", NULL, &x, &err), MAAS_OK);
    EXPECT_EQ(maas_graph_node(g, maas_op_find("", op, MAAS_OPSET), "", inner ? &y : &x, 1, &z, 1,
                              &n, &err),
              MAAS_OK);
    EXPECT_EQ(maas_graph_output(g, z, &err), MAAS_OK);
    return g;
}

static int n_of(const rig *r, const char *op)
{
    int n = 0;
    for (uint32_t i = 0; i < r->g->n_nodes; i++)
        n += strcmp(r->g->nodes[i].op->name, op) == 0;
    return n;
}

static void finish(rig *r, maas_vid y)
{
    const maas_pass_opts o = {.level = 1, .check = true};
    EXPECT_EQ(maas_graph_output(r->g, y, &r->err), MAAS_OK);
    EXPECT_MSG(maas_graph_capture(r->g, &r->err) == MAAS_OK, "%s", r->err.msg);
    EXPECT_MSG(maas_graph_infer(r->g, &r->err) == MAAS_OK, "%s", r->err.msg);
    EXPECT_MSG(maas_graph_optimize(r->g, &o, &r->err) == MAAS_OK, "%s", r->err.msg);
}

static void rig_reset(rig *r)
{
    maas_graph_destroy(r->g);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void the_branch_that_is_taken_is_left(void)
{
    for (int which = 0; which < 2; which++) {
        rig r;
        maas_vid y;
        rig_init(&r);
        put_if(r.g, truth(r.g, which), branch("Neg", false, false), branch("Sqrt", false, false),
               &y);
        finish(&r, y);
        EXPECT_EQ(n_of(&r, "If"), 0);
        EXPECT_EQ(n_of(&r, which ? "Neg" : "Sqrt"), 1);
        EXPECT_EQ(n_of(&r, which ? "Sqrt" : "Neg"), 0);
        rig_reset(&r);
    }
}

static void an_if_in_a_branch_goes_too(void)
{
    rig r;
    maas_vid y;
    interp p;
    rig_init(&r);
    put_if(r.g, truth(r.g, true), branch("Neg", true, true), branch("Sqrt", true, false), &y);
    finish(&r, y);
    EXPECT_EQ(n_of(&r, "If"), 0);
    EXPECT_EQ(n_of(&r, "Neg") + n_of(&r, "Exp"), 2);
    EXPECT_EQ(n_of(&r, "Sqrt") + n_of(&r, "Abs"), 0);
    EXPECT(interp_open(&p, r.g));
    float *x = p.v[r.x].data;
    for (int i = 0; i < 6; i++)
        x[i] = (float)i / 4;
    EXPECT_EQ(interp_run(&p, &r.err), MAAS_OK);
    for (int i = 0; i < 6; i++)
        EXPECT(fabsf(((float *)p.v[r.g->outputs[0]].data)[i] + expf((float)i / 4)) < 1e-5f);
    interp_close(&p);
    rig_reset(&r);
}

static void a_condition_about_shapes_is_known(void)
{
    rig r;
    maas_vid y;
    const int64_t at = 1;
    rig_init(&r);
    maas_vid n = maas_b_op2(&r.b, "Gather", maas_b_op1(&r.b, "Shape", r.x), maas_b_i64(&r.b, at));
    put_if(r.g, maas_b_op2(&r.b, "Equal", n, maas_b_i64(&r.b, 3)), branch("Neg", false, false),
           branch("Sqrt", false, false), &y);
    finish(&r, y);
    EXPECT_EQ(n_of(&r, "If") + n_of(&r, "Shape") + n_of(&r, "Equal"), 0);
    EXPECT_EQ(n_of(&r, "Neg"), 1);
    rig_reset(&r);
}

static void a_condition_that_comes_in_stays(void)
{
    rig r;
    maas_vid y;
    rig_init(&r);
    put_if(r.g, maas_b_input(&r.b, "c", MAAS_BOOL, 0, NULL), branch("Neg", false, false),
           branch("Sqrt", false, false), &y);
    finish(&r, y);
    EXPECT_EQ(n_of(&r, "If"), 1);
    rig_reset(&r);
}

/* Every allocation fails once: a status, and nothing is left behind. */
static void lack_of_memory_is_survived(void)
{
    for (long k = 1; k < 200; k++) {
        rig r;
        maas_vid y;
        const maas_pass_opts o = {.level = 1};
        rig_init(&r);
        put_if(r.g, truth(r.g, true), branch("Neg", true, true), branch("Sqrt", true, false), &y);
        EXPECT_EQ(maas_graph_output(r.g, y, &r.err), MAAS_OK);
        EXPECT_EQ(maas_graph_capture(r.g, &r.err), MAAS_OK);
        maas_mem_fail_at(k);
        const maas_status st = maas_graph_optimize(r.g, &o, &r.err);
        maas_mem_fail_at(0);
        EXPECT(st == MAAS_OK || st == MAAS_E_NOMEM);
        rig_reset(&r);
    }
}

static const mt_case cases[] = {
    MT_CASE(the_branch_that_is_taken_is_left),  MT_CASE(an_if_in_a_branch_goes_too),
    MT_CASE(a_condition_about_shapes_is_known), MT_CASE(a_condition_that_comes_in_stays),
    MT_CASE(lack_of_memory_is_survived),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
