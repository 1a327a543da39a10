/* What becomes of quantized and of bfloat16 networks, by counting nodes; on any machine. */
#include "maas_test.h"

#include "base/mem.h"
#include "ops/build.h"
#include "passes/pass.h"

typedef struct rig {
    maas_graph *g;
    maas_builder b;
    maas_err err;
    maas_vid scale, zero;
} rig;

static const int64_t PICTURE[] = {1, 16, 8, 8};

static maas_vid scalar(maas_builder *b, maas_dtype t, double v)
{
    float room[2] = {0};
    const maas_tensor x = maas_tensor_of(t, 0, NULL, room);
    maas_tensor_set(&x, 0, v);
    return maas_b_const(b, NULL, &x);
}

static maas_vid start(rig *r)
{
    *r = (rig){0};
    EXPECT_EQ(maas_graph_create("t", NULL, &r->g, &r->err), MAAS_OK);
    maas_builder_init(&r->b, r->g, &r->err);
    r->scale = maas_b_f32(&r->b, 0.02f);
    r->zero = scalar(&r->b, MAAS_U8, 120);
    return maas_b_input(&r->b, "x", MAAS_F32, 4, PICTURE);
}

static void optimize(rig *r, maas_pass_opts o)
{
    o.level = 2;
    o.check = true;
    EXPECT_MSG(r->b.status == MAAS_OK, "%s", r->err.msg);
    EXPECT_MSG(maas_graph_optimize(r->g, &o, &r->err) == MAAS_OK, "%s", r->err.msg);
}

static int n_of(const rig *r, const char *op)
{
    int n = 0;
    for (uint32_t i = 0; i < r->g->n_nodes; i++)
        n += strcmp(r->g->nodes[i].op->name, op) == 0;
    return n;
}

static void reset(rig *r)
{
    maas_graph_destroy(r->g);
    EXPECT_EQ(maas_mem_live(), 0);
}

static maas_vid through_bytes(rig *r, maas_vid v)
{
    v = maas_b_op3(&r->b, "QuantizeLinear", v, r->scale, r->zero);
    return maas_b_op3(&r->b, "DequantizeLinear", v, r->scale, r->zero);
}

static maas_vid conv(rig *r, maas_vid x, bool bytes)
{
    static float data[16 * 16];
    const int64_t dims[] = {16, 16, 1, 1};
    const maas_tensor t = maas_tensor_of(bytes ? MAAS_I8 : MAAS_F32, 4, dims, data);
    for (int i = 0; i < 16 * 16; i++)
        maas_tensor_set(&t, i, i % 7 - 3);
    maas_vid w = maas_b_const(&r->b, NULL, &t);
    if (bytes)
        w = maas_b_op2(&r->b, "DequantizeLinear", w, maas_b_f32(&r->b, 0.01f));
    return maas_b_op2(&r->b, "Conv", x, w);
}

/* Two convolutions, what goes around them is added: three numbers of the picture are rounded. */
static void residual(rig *r)
{
    const maas_vid x = through_bytes(r, start(r));
    maas_vid y = through_bytes(r, maas_b_op1(&r->b, "Relu", conv(r, x, true)));
    y = through_bytes(r, conv(r, y, true));
    y = through_bytes(r, maas_b_op1(&r->b, "Relu", maas_b_op2(&r->b, "Add", y, x)));
    maas_b_output(&r->b, "y", y);
}

static void quantized_convolutions_take_all_that_stands_around_them(void)
{
    rig r;
    residual(&r);
    optimize(&r, (maas_pass_opts){.int8 = true, .block = 16});
    EXPECT_EQ(n_of(&r, "FusedQLinearConv"), 1);
    EXPECT_EQ(n_of(&r, "FusedQLinearConvAdd"), 1);
    EXPECT_EQ(n_of(&r, "QuantizeLinear"), 1);   /* of the input */
    EXPECT_EQ(n_of(&r, "DequantizeLinear"), 1); /* of the output */
    EXPECT_EQ(n_of(&r, "Transpose"), 2);
    EXPECT_EQ(r.g->n_nodes, 6);
    reset(&r);
}

/* Where no kernel takes them, weights become floats, as they did before. */
static void without_kernels_weights_become_floats(void)
{
    rig r;
    residual(&r);
    optimize(&r, (maas_pass_opts){.block = 16});
    EXPECT_EQ(n_of(&r, "FusedQLinearConv"), 0);
    EXPECT_EQ(n_of(&r, "FusedConv"), 2);
    EXPECT_EQ(n_of(&r, "DequantizeLinear"), 4);
    reset(&r);
}

/* Bytes that something else reads are rounded for it, too. */
static void bytes_read_twice_are_not_added_in_place(void)
{
    rig r;
    const maas_vid x = through_bytes(&r, start(&r));
    const maas_vid y = through_bytes(&r, conv(&r, x, true));
    maas_b_output(&r.b, "sum", through_bytes(&r, maas_b_op2(&r.b, "Add", y, x)));
    maas_b_output(&r.b, "y", maas_b_op1(&r.b, "Neg", y));
    optimize(&r, (maas_pass_opts){.int8 = true});
    EXPECT_EQ(n_of(&r, "FusedQLinearConv"), 1);
    EXPECT_EQ(n_of(&r, "FusedQLinearConvAdd"), 0);
    reset(&r);
}

/* Weights that are not bytes around zero stay floats. */
static void weights_off_zero_stay_floats(void)
{
    rig r;
    const maas_vid x = through_bytes(&r, start(&r));
    const int64_t dims[] = {16, 16, 1, 1};
    int8_t data[16 * 16] = {3};
    const maas_tensor t = maas_tensor_of(MAAS_I8, 4, dims, data);
    const maas_vid w = maas_b_op3(&r.b, "DequantizeLinear", maas_b_const(&r.b, NULL, &t),
                                  maas_b_f32(&r.b, 0.01f), scalar(&r.b, MAAS_I8, 1));
    maas_b_output(&r.b, "y", through_bytes(&r, maas_b_op2(&r.b, "Conv", x, w)));
    optimize(&r, (maas_pass_opts){.int8 = true});
    EXPECT_EQ(n_of(&r, "FusedQLinearConv"), 0);
    EXPECT_EQ(n_of(&r, "Conv"), 1);
    reset(&r);
}

static void bfloat16_runs_from_convolution_to_convolution(void)
{
    rig r;
    const maas_vid x = start(&r);
    maas_vid y = maas_b_op1(&r.b, "Relu", conv(&r, x, false));
    y = maas_b_op2(&r.b, "Add", conv(&r, y, false), y);
    maas_b_output(&r.b, "y", y);
    optimize(&r, (maas_pass_opts){.block = 16, .bf16 = true});
    EXPECT_EQ(n_of(&r, "FusedConv"), 1);
    EXPECT_EQ(n_of(&r, "FusedConvAdd"), 1);
    EXPECT_EQ(n_of(&r, "Cast"), 2); /* of the input, of what is added to floats */
    for (uint32_t i = 0; i < r.g->n_nodes; i++)
        if (strcmp(r.g->nodes[i].op->name, "FusedConv") == 0)
            EXPECT_EQ(maas_graph_at(r.g, r.g->nodes[i].out[0])->type.dtype, MAAS_BF16);
    reset(&r);
}

static void the_passes_survive_lack_of_memory(void)
{
    for (long n = 1;; n++) {
        rig r;
        residual(&r);
        const maas_pass_opts o = {.level = 2, .int8 = true, .bf16 = true, .block = 16};
        maas_mem_fail_at(n);
        const maas_status st = maas_graph_optimize(r.g, &o, NULL);
        maas_mem_fail_at(0);
        reset(&r);
        if (st == MAAS_OK || mt_failed) {
            EXPECT(n > 8);
            return;
        }
        EXPECT_EQ(st, MAAS_E_NOMEM);
    }
}

static const mt_case cases[] = {
    MT_CASE(quantized_convolutions_take_all_that_stands_around_them),
    MT_CASE(without_kernels_weights_become_floats),
    MT_CASE(bytes_read_twice_are_not_added_in_place),
    MT_CASE(weights_off_zero_stay_floats),
    MT_CASE(bfloat16_runs_from_convolution_to_convolution),
    MT_CASE(the_passes_survive_lack_of_memory),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
