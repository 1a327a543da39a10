/* What each pass makes of a small graph, by counting what is left. Numbers are compared elsewhere:
 * tests/unit/runtime/test_optimized.c. */
#include "maas_test.h"

#include "base/mem.h"
#include "ops/build.h"
#include "ops/forest.h"
#include "passes/pass.h"

static const int64_t D44[] = {4, 4}, D4[] = {4};

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
    r->x = maas_b_input(&r->b, "x", MAAS_F32, 2, D44);
}

static maas_vid variable(rig *r, const char *name, int rank)
{
    float v[16] = {1, 2, 3};
    maas_tensor t = maas_tensor_of(MAAS_F32, rank, rank == 2 ? D44 : D4, v);
    maas_vid out = MAAS_NO_VALUE;
    EXPECT_EQ(maas_graph_variable(r->g, name, &t, true, &out, &r->err), MAAS_OK);
    return out;
}

static void optimize(rig *r, int level, bool training)
{
    const maas_pass_opts o = {.level = level, .check = true, .training = training};
    EXPECT_MSG(r->b.status == MAAS_OK, "%s", r->err.msg);
    EXPECT_EQ(maas_graph_optimize(r->g, &o, &r->err), MAAS_OK);
    if (mt_failed)
        fprintf(stderr, "%s\n", r->err.msg);
}

static int n_of(const rig *r, const char *op)
{
    int n = 0;
    for (uint32_t i = 0; i < r->g->n_nodes; i++)
        n += strcmp(r->g->nodes[i].op->name, op) == 0;
    return n;
}

static void rig_reset(rig *r)
{
    maas_graph_destroy(r->g);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void products_take_bias_and_activation_with_them(void)
{
    rig r;
    rig_init(&r);
    maas_vid w = variable(&r, "w", 2), c = variable(&r, "c", 1);
    maas_vid y = maas_b_op2(&r.b, "Add", c, maas_b_op2(&r.b, "MatMul", r.x, w));
    maas_b_output(&r.b, "y", maas_b_op1(&r.b, "Relu", y));
    optimize(&r, 2, true);
    EXPECT_EQ(r.g->n_nodes, 1);
    EXPECT_EQ(n_of(&r, "FusedGemm"), 1);
    rig_reset(&r);
}

/* The chain of one takes in the Add; the other stays a product of its own. */
static void of_two_products_added_one_stays(void)
{
    rig r;
    rig_init(&r);
    const maas_vid a = maas_b_op2(&r.b, "MatMul", r.x, variable(&r, "a", 2));
    const maas_vid b = maas_b_op2(&r.b, "MatMul", r.x, variable(&r, "b", 2));
    maas_b_output(&r.b, "y", maas_b_op1(&r.b, "Relu", maas_b_op2(&r.b, "Add", a, b)));
    optimize(&r, 2, true);
    EXPECT_EQ(r.g->n_nodes, 2);
    EXPECT_EQ(n_of(&r, "FusedGemm"), 1);
    EXPECT_EQ(n_of(&r, "MatMul"), 1);
    rig_reset(&r);
}

static maas_vid edge_list(rig *r, maas_vid v)
{
    return maas_b_op2(&r->b, "Unsqueeze", v, maas_b_i64s(&r->b, (int64_t[]){1}, 1));
}

typedef struct edge_way {
    float zero;
    const char *how;
    bool elements;
    maas_dtype to;
    int64_t n_from, n_to, n_w;
    int n; /* sums along edges */
} edge_way;

/* Gather, Mul, a Scatter: with `zero` 0, `how` add and lists alike, a sum along edges. */
static void edges_of(rig *r, const edge_way *way)
{
    const maas_attr attr[] = {MAAS_A_STR("reduction", way->how), MAAS_A_INT("axis", 0)};
    const bool elements = way->elements;
    const maas_vid from = maas_b_input(&r->b, "from", MAAS_I64, 1, &way->n_from);
    maas_vid to = edge_list(r, maas_b_input(&r->b, "to", way->to, 1, &way->n_to));
    const maas_vid w = maas_b_input(&r->b, "w", MAAS_F32, 1, &way->n_w);
    const maas_vid rows = maas_b_op2(&r->b, "Mul", edge_list(r, w),
                                     maas_b_op2(&r->b, "Gather", r->x, from));
    if (elements)
        to = maas_b_op2(&r->b, "Expand", to, maas_b_op1(&r->b, "Shape", rows));
    const maas_vid zeros = maas_b_op2(&r->b, "Expand", maas_b_f32(&r->b, way->zero),
                                      maas_b_op1(&r->b, "Shape", r->x));
    const maas_vid in[] = {zeros, to, rows};
    maas_b_output(&r->b, "y",
                  maas_b_node(&r->b, elements ? "ScatterElements" : "ScatterND", attr,
                              elements ? 2 : 1, in, 3, NULL, 1));
}

static void rows_gathered_weighed_and_added_are_a_sum_along_edges(void)
{
    static const edge_way ways[] = {
        {0, "add", false, MAAS_I64, 5, 5, 5, 1},
        {0, "add", true, MAAS_I64, 5, 5, 5, 1},
        {1, "add", true, MAAS_I64, 5, 5, 5, 0},
        {0, "max", false, MAAS_I64, 5, 5, 5, 0},
        {0, "none", false, MAAS_I64, 5, 5, 5, 0},
        {0, "max", true, MAAS_I64, 5, 5, 5, 0},
        /* one number for all edges; 32-bit numbers of rows */
        {0, "add", false, MAAS_I64, 5, 5, 1, 0},
        {0, "add", true, MAAS_I64, 5, 5, 1, 0},
        {0, "add", true, MAAS_I64, 5, 1, 5, 0},
        {0, "add", true, MAAS_I64, 1, 5, 5, 0},
        {0, "add", true, MAAS_I32, 5, 5, 5, 0},
    };
    for (size_t i = 0; i < MAAS_COUNT(ways); i++) {
        rig r;
        rig_init(&r);
        edges_of(&r, &ways[i]);
        optimize(&r, 2, false);
        EXPECT_EQ(n_of(&r, "EdgeSum"), ways[i].n);
        EXPECT_EQ(n_of(&r, "ScatterND") + n_of(&r, "ScatterElements"), 1 - ways[i].n);
        if (ways[i].n)
            EXPECT_EQ(r.g->n_nodes, 1);
        rig_reset(&r);
    }
}

static void a_product_read_twice_stays(void)
{
    rig r;
    rig_init(&r);
    maas_vid y = maas_b_op2(&r.b, "MatMul", r.x, variable(&r, "w", 2));
    maas_b_output(&r.b, "relu", maas_b_op1(&r.b, "Relu", y));
    maas_b_output(&r.b, "tanh", maas_b_op1(&r.b, "Softmax", y));
    optimize(&r, 2, true);
    EXPECT_EQ(n_of(&r, "MatMul"), 1);
    EXPECT_EQ(r.g->n_nodes, 3);
    rig_reset(&r);
}

/* An addend that makes the product larger ([4,4] + [3,1,1]) is no bias. */
static void an_addend_that_broadcasts_the_product_stays(void)
{
    rig r;
    rig_init(&r);
    const int64_t d[] = {3, 1, 1};
    maas_vid big = maas_b_input(&r.b, "big", MAAS_F32, 3, d);
    maas_vid y = maas_b_op2(&r.b, "MatMul", r.x, variable(&r, "w", 2));
    maas_b_output(&r.b, "y", maas_b_op2(&r.b, "Add", y, big));
    optimize(&r, 2, true);
    EXPECT_EQ(n_of(&r, "MatMul"), 1);
    EXPECT_EQ(n_of(&r, "Add"), 1);
    rig_reset(&r);
}

static void chains_of_elements_become_one_node(void)
{
    rig r;
    rig_init(&r);
    maas_vid v = variable(&r, "v", 2);
    maas_vid a = maas_b_op2(&r.b, "Mul", v, maas_b_f32(&r.b, 0.9f));
    maas_vid b = maas_b_op2(&r.b, "Mul", r.x, maas_b_f32(&r.b, 0.1f));
    maas_vid next = maas_b_op2(&r.b, "Add", a, b);
    EXPECT_EQ(maas_graph_bind(r.g, v, next, &r.err), MAAS_OK);
    maas_b_output(&r.b, "y", maas_b_op1(&r.b, "Sqrt", maas_b_op1(&r.b, "Abs", next)));
    optimize(&r, 2, true);
    EXPECT_EQ(r.g->n_nodes, 1);
    EXPECT_EQ(r.g->nodes[0].n_out, 2);
    EXPECT_EQ(r.g->nodes[0].n_in, 2);  /* numbers are part of the program */
    EXPECT_EQ(r.g->nodes[0].in[0], v); /* paired with the value it becomes */
    EXPECT_EQ(r.g->nodes[0].out[0], r.g->bindings[0].value);
    rig_reset(&r);
}

/* a -> softmax -> add, and a -> add: one node of the two ends would wait for itself. */
static void fusing_never_makes_a_cycle(void)
{
    rig r;
    rig_init(&r);
    maas_vid a = maas_b_op1(&r.b, "Exp", maas_b_op1(&r.b, "Neg", r.x));
    maas_vid s = maas_b_op1(&r.b, "Softmax", a);
    maas_b_output(&r.b, "y", maas_b_op1(&r.b, "Neg", maas_b_op2(&r.b, "Add", a, s)));
    optimize(&r, 2, true);
    EXPECT_EQ(n_of(&r, "FusedElementwise"), 2);
    EXPECT_EQ(r.g->n_nodes, 3);
    rig_reset(&r);
}

static void many_chains_close_and_open_groups(void)
{
    rig r;
    rig_init(&r);
    for (int i = 0; i < 200; i++) {
        char name[16];
        snprintf(name, sizeof name, "y%d", i);
        maas_vid y = maas_b_op2(&r.b, "Mul", r.x, maas_b_f32(&r.b, (float)i));
        maas_b_output(&r.b, name, maas_b_op1(&r.b, "Softmax", maas_b_op1(&r.b, "Tanh", y)));
    }
    optimize(&r, 2, true);
    EXPECT_EQ(n_of(&r, "FusedElementwise"), 200);
    EXPECT_EQ(r.g->n_nodes, 400);
    rig_reset(&r);
}

static void what_changes_nothing_is_dropped(void)
{
    rig r;
    rig_init(&r);
    maas_vid y = maas_b_op1(&r.b, "Identity", r.x);
    const maas_attr to = MAAS_A_INT("to", MAAS_F32);
    y = maas_b_node(&r.b, "Cast", &to, 1, &y, 1, NULL, 1);
    y = maas_b_op2(&r.b, "Reshape", y, maas_b_i64s(&r.b, D44, 2));
    maas_b_output(&r.b, "y", maas_b_op1(&r.b, "Softmax", y));
    maas_b_output(&r.b, "same", maas_b_op1(&r.b, "Identity", r.x)); /* a promised name */
    optimize(&r, 1, false);
    EXPECT_EQ(r.g->n_nodes, 2);
    EXPECT_EQ(n_of(&r, "Softmax"), 1);
    rig_reset(&r);
}

static void constants_fold_but_do_not_explode(void)
{
    rig r;
    rig_init(&r);
    maas_vid two = maas_b_op2(&r.b, "Add", maas_b_f32(&r.b, 1), maas_b_f32(&r.b, 1));
    maas_b_output(&r.b, "y", maas_b_op2(&r.b, "Mul", r.x, two));
    const int64_t huge[] = {1 << 12, 1 << 12};
    maas_vid e = maas_b_op2(&r.b, "Expand", maas_b_f32(&r.b, 1), maas_b_i64s(&r.b, huge, 2));
    maas_b_output(&r.b, "e", e);
    /* 4 MiB of weights as bytes are as many numbers as floats */
    const int64_t bytes[] = {4, 1 << 20};
    maas_tensor codes = maas_tensor_of(MAAS_I8, 2, bytes, maas_arena_alloc(&r.g->arena, 4u << 20));
    maas_vid q = maas_b_op2(&r.b, "DequantizeLinear", maas_b_const(&r.b, NULL, &codes),
                            maas_b_f32(&r.b, 0.5f));
    maas_b_output(&r.b, "z", maas_b_op2(&r.b, "MatMul", r.x, q));
    optimize(&r, 1, false);
    EXPECT_EQ(n_of(&r, "DequantizeLinear"), 0);
    EXPECT_EQ(n_of(&r, "Add"), 0);
    EXPECT_EQ(n_of(&r, "Expand"), 1); /* 64 MiB out of 4 bytes */
    EXPECT(maas_arena_bytes(&r.g->arena) < 32u << 20);
    rig_reset(&r);
}

static void unread_nodes_die(void)
{
    rig r;
    rig_init(&r);
    maas_b_op1(&r.b, "Exp", maas_b_op1(&r.b, "Neg", r.x));
    maas_b_output(&r.b, "y", maas_b_op1(&r.b, "Tanh", r.x));
    optimize(&r, 0, false);
    EXPECT_EQ(r.g->n_nodes, 1);
    rig_reset(&r);
}

static void every_pass_survives_lack_of_memory(void)
{
    for (long n = 1;; n++) {
        rig r;
        rig_init(&r);
        maas_vid y = maas_b_op2(&r.b, "MatMul", r.x, variable(&r, "w", 2));
        y = maas_b_op1(&r.b, "Relu", maas_b_op2(&r.b, "Add", y, variable(&r, "c", 1)));
        y = maas_b_op2(&r.b, "Mul", y,
                       maas_b_op2(&r.b, "Add", maas_b_f32(&r.b, 1), maas_b_f32(&r.b, 1)));
        maas_b_output(&r.b, "y", maas_b_op1(&r.b, "Exp", maas_b_op1(&r.b, "Identity", y)));
        const maas_pass_opts o = {.level = 2, .check = true};
        maas_mem_fail_at(n);
        maas_status st = maas_graph_optimize(r.g, &o, NULL);
        maas_mem_fail_at(0);
        rig_reset(&r);
        if (st == MAAS_OK || mt_failed) {
            EXPECT(n > 8);
            return;
        }
        EXPECT_EQ(st, MAAS_E_NOMEM);
    }
}

static void rows_of_the_table_have_names_and_help(void)
{
    for (size_t i = 0; i < maas_n_passes; i++) {
        EXPECT(maas_passes[i].run && maas_passes[i].help && maas_passes[i].help[0]);
        for (size_t k = 0; k < i; k++)
            EXPECT(strcmp(maas_passes[i].name, maas_passes[k].name) != 0);
    }
}

static void trees_look_at_floats_themselves(void)
{
    rig r;
    rig_init(&r);
    maas_forest *f = NULL;
    const maas_tree_node leaf = {.mode = MAAS_SPLIT_LEAF, .count = 1};
    EXPECT_EQ(maas_forest_create(4, 1, MAAS_FOREST_SUM, NULL, &f, &r.err), MAAS_OK);
    EXPECT_EQ(maas_forest_add_weight(f, 0, 0.1, NULL, &r.err), MAAS_OK);
    EXPECT_EQ(maas_forest_add_node(f, &leaf, NULL, &r.err), MAAS_OK);
    EXPECT_EQ(maas_forest_add_tree(f, 0, &r.err), MAAS_OK);
    const maas_attr to = MAAS_A_INT("to", MAAS_F64);
    maas_vid wide = maas_b_node(&r.b, "Cast", &to, 1, &r.x, 1, NULL, 1);
    maas_vid y = maas_b_forest(&r.b, f, wide, true);
    maas_b_output(&r.b, "y", y);
    optimize(&r, 2, false);
    EXPECT_EQ(n_of(&r, "Cast"), 0);
    EXPECT_EQ(n_of(&r, "TreeEnsemble"), 1);
    EXPECT_EQ(maas_graph_at(r.g, maas_graph_find(r.g, "y"))->type.dtype, MAAS_F64);
    maas_forest_destroy(f);
    rig_reset(&r);
}

/* ---- convolutions ---- */

static maas_vid numbers(rig *r, int rank, const int64_t *dims)
{
    static float data[4096];
    for (int i = 0; i < 4096; i++)
        data[i] = 0.01f * (float)(i % 7) + 0.5f;
    const maas_tensor t = maas_tensor_of(MAAS_F32, rank, dims, data);
    return maas_b_const(&r->b, NULL, &t);
}

static maas_vid conv(rig *r, maas_vid x, int64_t out, int64_t in)
{
    return maas_b_op2(&r->b, "Conv", x, numbers(r, 4, (const int64_t[]){out, in, 1, 1}));
}

static maas_vid norm(rig *r, maas_vid x, int64_t c)
{
    const maas_vid v = numbers(r, 1, &c), in[] = {x, v, v, v, v};
    return maas_b_node(&r->b, "BatchNormalization", NULL, 0, in, 5, NULL, 1);
}

static maas_vid picture(rig *r, int64_t c)
{
    return maas_b_input(&r->b, "p", MAAS_F32, 4, (const int64_t[]){1, c, 4, 4});
}

static void in_blocks(rig *r)
{
    const maas_pass_opts o = {.level = 2, .check = true, .block = 16};
    EXPECT_MSG(r->b.status == MAAS_OK, "%s", r->err.msg);
    EXPECT_MSG(maas_graph_optimize(r->g, &o, &r->err) == MAAS_OK, "%s", r->err.msg);
}

static void a_convolution_takes_in_what_follows_it(void)
{
    rig r;
    rig_init(&r);
    maas_vid x = picture(&r, 16);
    maas_vid y = maas_b_op1(&r.b, "Relu", norm(&r, conv(&r, x, 16, 16), 16));
    y = maas_b_op2(&r.b, "Add", norm(&r, conv(&r, y, 16, 16), 16), x);
    maas_b_output(&r.b, "y", maas_b_op2(&r.b, "Mul", y, maas_b_op1(&r.b, "Sigmoid", y)));
    optimize(&r, 2, false);
    EXPECT_EQ(r.g->n_nodes, 2);
    EXPECT_EQ(n_of(&r, "FusedConv"), 1);
    EXPECT_EQ(n_of(&r, "FusedConvAdd"), 1);
    rig_reset(&r);
}

static void a_convolution_read_twice_keeps_its_output(void)
{
    rig r;
    rig_init(&r);
    const maas_vid y = conv(&r, picture(&r, 16), 16, 16);
    maas_b_output(&r.b, "a", maas_b_op1(&r.b, "Relu", y));
    maas_b_output(&r.b, "b", maas_b_op1(&r.b, "Tanh", y));
    optimize(&r, 2, false);
    EXPECT_EQ(n_of(&r, "Conv"), 1);
    rig_reset(&r);
}

static void training_keeps_its_statistics(void)
{
    rig r;
    rig_init(&r);
    maas_b_output(&r.b, "y", norm(&r, conv(&r, picture(&r, 16), 16, 16), 16));
    const maas_attr a = MAAS_A_INT("training_mode", 1);
    EXPECT_EQ(maas_node_set(r.g, (maas_nid)r.g->n_nodes - 1, &a, &r.err), MAAS_OK);
    optimize(&r, 2, true);
    EXPECT_EQ(n_of(&r, "BatchNormalization"), 1);
    rig_reset(&r);
}

static void blocks_reach_from_the_first_convolution_to_the_last(void)
{
    rig r;
    rig_init(&r);
    maas_vid a = maas_b_op1(&r.b, "Relu", conv(&r, picture(&r, 3), 32, 3));
    maas_vid b = maas_b_op2(&r.b, "Mul", a, maas_b_op1(&r.b, "GlobalAveragePool", a));
    const maas_vid both[] = {a, maas_b_op1(&r.b, "Tanh", b)};
    const maas_attr axis = MAAS_A_INT("axis", 1);
    maas_vid c = maas_b_node(&r.b, "Concat", &axis, 1, both, 2, NULL, 1);
    maas_b_output(&r.b, "y", conv(&r, c, 16, 64));
    in_blocks(&r);
    EXPECT_EQ(n_of(&r, "ToBlocks"), 0);
    EXPECT_EQ(n_of(&r, "FromBlocks"), 1);
    EXPECT_EQ(n_of(&r, "BlockedPool"), 1);
    EXPECT_EQ(n_of(&r, "FusedConv"), 2);
    rig_reset(&r);
}

static void what_knows_no_blocks_gets_the_plain_array(void)
{
    rig r;
    rig_init(&r);
    const int64_t perm[] = {0, 2, 3, 1};
    const maas_attr to = MAAS_A_INTS("perm", perm, 4);
    maas_vid a = conv(&r, picture(&r, 16), 16, 16);
    maas_b_output(&r.b, "t", maas_b_node(&r.b, "Transpose", &to, 1, &a, 1, NULL, 1));
    maas_b_output(&r.b, "y", conv(&r, a, 16, 16));
    in_blocks(&r);
    EXPECT_EQ(n_of(&r, "ToBlocks"), 1);
    EXPECT_EQ(n_of(&r, "FromBlocks"), 2);
    rig_reset(&r);
}

static void convolution_passes_survive_lack_of_memory(void)
{
    for (long n = 1;; n++) {
        rig r;
        rig_init(&r);
        const int64_t pads[] = {0, 0, 1, 1, 0, 0, 1, 1}, two[] = {2, 2}, w[] = {32, 16, 2, 2};
        const maas_attr strides = MAAS_A_INTS("strides", two, 2);
        const maas_vid x = maas_b_op2(&r.b, "Pad", picture(&r, 3), maas_b_i64s(&r.b, pads, 8));
        maas_vid y = maas_b_op1(&r.b, "Relu", norm(&r, conv(&r, x, 32, 3), 32));
        const maas_vid up[] = {y, numbers(&r, 4, w)};
        y = maas_b_node(&r.b, "ConvTranspose", &strides, 1, up, 2, NULL, 1);
        y = maas_b_op1(&r.b, "GlobalMaxPool", conv(&r, y, 16, 16));
        maas_b_output(&r.b, "y",
                      maas_b_op2(&r.b, "Mul", y, numbers(&r, 3, (const int64_t[]){16, 1, 1})));
        EXPECT_MSG(r.b.status == MAAS_OK, "%s", r.err.msg);
        const maas_pass_opts o = {.level = 2, .check = true, .block = 16};
        maas_mem_fail_at(n);
        maas_status st = maas_graph_optimize(r.g, &o, NULL);
        maas_mem_fail_at(0);
        if (st == MAAS_OK) {
            EXPECT_EQ(n_of(&r, "Pad"), 0);
            EXPECT_EQ(n_of(&r, "FusedConv"), 3);
        }
        rig_reset(&r);
        if (st == MAAS_OK || mt_failed) {
            EXPECT(n > 8);
            return;
        }
        EXPECT_EQ(st, MAAS_E_NOMEM);
    }
}

static const mt_case cases[] = {
    MT_CASE(convolution_passes_survive_lack_of_memory),
    MT_CASE(a_convolution_takes_in_what_follows_it),
    MT_CASE(a_convolution_read_twice_keeps_its_output),
    MT_CASE(training_keeps_its_statistics),
    MT_CASE(blocks_reach_from_the_first_convolution_to_the_last),
    MT_CASE(what_knows_no_blocks_gets_the_plain_array),
    MT_CASE(products_take_bias_and_activation_with_them),
    MT_CASE(of_two_products_added_one_stays),
    MT_CASE(rows_gathered_weighed_and_added_are_a_sum_along_edges),
    MT_CASE(a_product_read_twice_stays),
    MT_CASE(an_addend_that_broadcasts_the_product_stays),
    MT_CASE(chains_of_elements_become_one_node),
    MT_CASE(fusing_never_makes_a_cycle),
    MT_CASE(many_chains_close_and_open_groups),
    MT_CASE(what_changes_nothing_is_dropped),
    MT_CASE(constants_fold_but_do_not_explode),
    MT_CASE(unread_nodes_die),
    MT_CASE(every_pass_survives_lack_of_memory),
    MT_CASE(rows_of_the_table_have_names_and_help),
    MT_CASE(trees_look_at_floats_themselves),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
