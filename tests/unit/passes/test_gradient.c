/* The sweep itself: sums over readers, what is left out, and refusals. That each operator's own
 * gradient is right is checked against finite differences in tests/unit/ops. */
#include "maas_test.h"

#include "base/mem.h"
#include "ops/build.h"
#include "passes/pass.h"

static const int64_t D3[] = {3};

typedef struct rig {
    maas_graph *g;
    maas_builder b;
    maas_err err;
    maas_vid v, w;
} rig;

static void rig_init(rig *r)
{
    float a[] = {1, 2, 3}, b[] = {4, 5, 6};
    maas_tensor ta = maas_tensor_of(MAAS_F32, 1, D3, a), tb = maas_tensor_of(MAAS_F32, 1, D3, b);
    *r = (rig){0};
    EXPECT_EQ(maas_graph_create("t", NULL, &r->g, &r->err), MAAS_OK);
    maas_builder_init(&r->b, r->g, &r->err);
    EXPECT_EQ(maas_graph_variable(r->g, "v", &ta, true, &r->v, &r->err), MAAS_OK);
    EXPECT_EQ(maas_graph_variable(r->g, "w", &tb, true, &r->w, &r->err), MAAS_OK);
}

static maas_vid sum_of(rig *r, maas_vid x)
{
    return maas_b_op2(&r->b, "ReduceTo", x, maas_b_f32(&r->b, 0));
}

static void rig_reset(rig *r)
{
    maas_graph_destroy(r->g);
    EXPECT_EQ(maas_mem_live(), 0);
}

/* Runs the nodes one by one with reference code, over tensors of at most 64 bytes. */
static void evaluate(const rig *r, float out[][16])
{
    for (uint32_t i = 0; i < r->g->n_nodes; i++) {
        const maas_node *n = &r->g->nodes[i];
        maas_tensor in[4] = {{0}}, y[2] = {{0}};
        for (int k = 0; k < n->n_in; k++) {
            const maas_value *v = maas_graph_at(r->g, n->in[k]);
            in[k] = maas_tensor_of((maas_dtype)v->type.dtype, v->type.rank, v->type.dims,
                                   v->init.data ? v->init.data : out[n->in[k]]);
        }
        for (int k = 0; k < n->n_out; k++) {
            const maas_value *v = maas_graph_at(r->g, n->out[k]);
            y[k] = maas_tensor_of((maas_dtype)v->type.dtype, v->type.rank, v->type.dims,
                                  out[n->out[k]]);
        }
        const maas_call c = {.node = n, .in = in, .out = y, .n_in = n->n_in, .n_out = n->n_out};
        EXPECT_EQ(n->op->reference(&c, NULL), MAAS_OK);
    }
}

/* loss = sum(v * v * w) : d/dv = 2 v w, d/dw = v^2; v reaches the loss by two ways */
static void several_readers_add_up(void)
{
    static float out[64][16];
    rig r;
    rig_init(&r);
    maas_vid vv = maas_b_op2(&r.b, "Mul", r.v, r.v);
    maas_vid loss = sum_of(&r, maas_b_op2(&r.b, "Mul", vv, r.w)), d[2];
    EXPECT_EQ(maas_graph_differentiate(r.g, loss, (maas_vid[]){r.v, r.w}, 2, d, &r.err), MAAS_OK);
    EXPECT_EQ(maas_graph_infer(r.g, &r.err), MAAS_OK);
    EXPECT(r.g->n_values <= 64);
    evaluate(&r, out);
    for (int i = 0; i < 3; i++) {
        EXPECT_NEAR(out[d[0]][i], 2.0 * (i + 1) * (i + 4), 1e-5);
        EXPECT_NEAR(out[d[1]][i], (i + 1) * (i + 1), 1e-5);
    }
    rig_reset(&r);
}

/* The node of the standard: d sum(v * v * w) by v and w, and by u, which it does not depend on. */
static void gradient_nodes_are_written_out(void)
{
    static float out[64][16];
    static const maas_str xs[] = {{"v", 1}, {"u", 1}, {"w", 1}};
    const maas_attr attr[] = {{.name = "xs", .type = MAAS_ATTR_STRINGS, .n = 3, .u.strings = xs},
                              MAAS_A_STR("y", "y")};
    const maas_pass_opts o = {.level = 0, .check = true};
    float c[] = {7, 8, 9};
    maas_tensor tu = maas_tensor_of(MAAS_F32, 1, D3, c);
    maas_vid u, d[3];
    rig r;
    rig_init(&r);
    EXPECT_EQ(maas_graph_variable(r.g, "u", &tu, true, &u, &r.err), MAAS_OK);
    maas_vid y = maas_b_op2(&r.b, "Mul", maas_b_op2(&r.b, "Mul", r.v, r.v), r.w);
    EXPECT_EQ(maas_graph_rename(r.g, y, "y", &r.err), MAAS_OK);
    maas_b_node(&r.b, "Gradient", attr, 2, (maas_vid[]){r.v, u, r.w}, 3, d, 3);
    for (int k = 0; k < 3; k++)
        EXPECT_EQ(maas_graph_output(r.g, d[k], &r.err), MAAS_OK);
    EXPECT_EQ(maas_graph_optimize(r.g, &o, &r.err), MAAS_OK);
    EXPECT(r.g->n_values <= 64);
    evaluate(&r, out);
    for (int i = 0; i < 3; i++) {
        EXPECT_NEAR(out[d[0]][i], 2.0 * (i + 1) * (i + 4), 1e-5);
        EXPECT_NEAR(out[d[1]][i], 0, 0);
        EXPECT_NEAR(out[d[2]][i], (i + 1) * (i + 1), 1e-5);
    }
    rig_reset(&r);
}

static void gradients_at_other_values_are_refused(void)
{
    static const maas_str xs[] = {{"v", 1}};
    const maas_attr attr[] = {{.name = "xs", .type = MAAS_ATTR_STRINGS, .n = 1, .u.strings = xs},
                              MAAS_A_STR("y", "y")};
    const maas_pass_opts o = {.level = 0};
    rig r;
    rig_init(&r);
    maas_vid y = sum_of(&r, maas_b_op2(&r.b, "Mul", r.v, r.w));
    EXPECT_EQ(maas_graph_rename(r.g, y, "y", &r.err), MAAS_OK);
    maas_vid d = maas_b_node(&r.b, "Gradient", attr, 2, &r.w, 1, NULL, 1);
    EXPECT_EQ(maas_graph_output(r.g, d, &r.err), MAAS_OK);
    EXPECT_EQ(maas_graph_optimize(r.g, &o, &r.err), MAAS_E_UNSUPPORTED);
    EXPECT_MSG(strstr(r.err.msg, "is not the value 'v'"), "%s", r.err.msg);
    rig_reset(&r);
}

static void nothing_is_computed_for_what_was_not_asked(void)
{
    rig r;
    rig_init(&r);
    maas_vid loss = sum_of(&r, maas_b_op2(&r.b, "Mul", r.v, r.w)), d;
    const uint32_t before = r.g->n_nodes;
    EXPECT_EQ(maas_graph_differentiate(r.g, loss, &r.v, 1, &d, &r.err), MAAS_OK);
    const uint32_t one = r.g->n_nodes - before;
    maas_vid both[2];
    EXPECT_EQ(maas_graph_differentiate(r.g, loss, (maas_vid[]){r.v, r.w}, 2, both, &r.err),
              MAAS_OK);
    EXPECT(r.g->n_nodes - before - one > one);
    rig_reset(&r);
}

static void independence_is_no_value(void)
{
    rig r;
    rig_init(&r);
    maas_vid loss = sum_of(&r, maas_b_op1(&r.b, "Exp", r.v)), d[2];
    EXPECT_EQ(maas_graph_differentiate(r.g, loss, (maas_vid[]){r.v, r.w}, 2, d, &r.err), MAAS_OK);
    EXPECT(d[0] >= 0);
    EXPECT_EQ(d[1], MAAS_NO_VALUE);
    rig_reset(&r);
}

static void what_has_no_gradient_is_named(void)
{
    rig r;
    rig_init(&r);
    maas_vid d, slope = maas_b_op2(&r.b, "ReluGrad", r.v, r.w), loss = sum_of(&r, slope);
    EXPECT_EQ(maas_graph_differentiate(r.g, loss, &r.v, 1, &d, &r.err), MAAS_E_UNSUPPORTED);
    EXPECT(strstr(r.err.msg, "ReluGrad") != NULL);
    r.err = (maas_err){0};
    EXPECT_EQ(maas_graph_differentiate(r.g, r.v, &r.v, 1, &d, &r.err), MAAS_E_INVALID);
    EXPECT(strstr(r.err.msg, "'v'") != NULL);
    rig_reset(&r);
}

static void allocation_may_fail_anywhere(void)
{
    for (long n = 1;; n++) {
        rig r;
        rig_init(&r);
        maas_vid loss = sum_of(&r, maas_b_op2(&r.b, "Mul", r.v, r.w)), d;
        maas_mem_fail_at(n);
        maas_status st = maas_graph_differentiate(r.g, loss, &r.v, 1, &d, NULL);
        maas_mem_fail_at(0);
        rig_reset(&r);
        if (st == MAAS_OK || mt_failed)
            return;
        EXPECT_EQ(st, MAAS_E_NOMEM);
    }
}

static const mt_case cases[] = {
    MT_CASE(several_readers_add_up),
    MT_CASE(nothing_is_computed_for_what_was_not_asked),
    MT_CASE(independence_is_no_value),
    MT_CASE(what_has_no_gradient_is_named),
    MT_CASE(allocation_may_fail_anywhere),
    MT_CASE(gradient_nodes_are_written_out),
    MT_CASE(gradients_at_other_values_are_refused),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
