/* Inference: symbols, contents of shapes, declared types, and everything a hostile model may say.
 */
#include "interp.h"

typedef struct world {
    maas_graph *g;
    maas_builder b;
    maas_err err;
} world;

static void open_world(world *w)
{
    memset(w, 0, sizeof *w);
    MAAS_CHECK(maas_graph_create("g", NULL, &w->g, &w->err) == MAAS_OK);
    maas_builder_init(&w->b, w->g, &w->err);
}

static void close_world(world *w)
{
    maas_graph_destroy(w->g);
}

static maas_vid input(world *w, const char *name, maas_dtype t, int rank, const int64_t *dims)
{
    return maas_b_input(&w->b, name, t, rank, dims);
}

#define DIMS(...)                                                                                  \
    (int)MAAS_COUNT(((int64_t[]){__VA_ARGS__})), (const int64_t[])                                 \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

/* ---- symbols ---- */

static void symbols_pass_through_dense_layers(void)
{
    world w;
    int64_t batch;
    open_world(&w);
    EXPECT(maas_graph_symbol(w.g, "batch", &batch, &w.err) == MAAS_OK);
    maas_vid x = input(&w, "x", MAAS_F32, DIMS(batch, 784));
    maas_vid m = input(&w, "w", MAAS_F32, DIMS(784, 10));
    maas_vid y = maas_b_op2(&w.b, "MatMul", x, m);
    y = maas_b_op2(&w.b, "Add", y, input(&w, "b", MAAS_F32, DIMS(10)));
    y = maas_b_op1(&w.b, "Softmax", maas_b_op1(&w.b, "Relu", y));
    const maas_type *t = maas_b_type(&w.b, y);
    EXPECT(t && t->rank == 2 && t->dims[0] == batch && t->dims[1] == 10);
    close_world(&w);
}

/* Flatten as exporters write it: Shape -> Gather -> Concat with -1 -> Reshape. */
static void shape_arithmetic_keeps_the_symbol(void)
{
    world w;
    int64_t batch;
    open_world(&w);
    EXPECT(maas_graph_symbol(w.g, "batch", &batch, &w.err) == MAAS_OK);
    maas_builder *b = &w.b;
    maas_vid x = input(&w, "x", MAAS_F32, DIMS(batch, 4, 5));
    maas_vid s = maas_b_op1(b, "Shape", x);
    maas_vid n = maas_b_op2(b, "Gather", s, maas_b_i64s(b, (int64_t[]){0}, 1));
    maas_vid twenty = maas_b_op2(b, "Mul",
                                 maas_b_op2(b, "Gather", s, maas_b_i64s(b, (int64_t[]){1}, 1)),
                                 maas_b_i64s(b, (int64_t[]){5}, 1));
    const maas_attr axis = MAAS_A_INT("axis", 0);
    maas_vid shape = maas_b_node(b, "Concat", &axis, 1, (maas_vid[]){n, twenty}, 2, NULL, 1);
    maas_vid y = maas_b_op2(b, "Reshape", x, shape);
    const maas_type *t = maas_b_type(b, y);
    EXPECT(t && t->rank == 2 && t->dims[0] == batch && t->dims[1] == 20);
    EXPECT(maas_graph_infer(w.g, &w.err) == MAAS_OK); /* the graph walk agrees */
    EXPECT(t->dims[0] == batch && t->dims[1] == 20);
    close_world(&w);
}

static void reshape_minus_one_of_a_symbol(void)
{
    world w;
    int64_t batch;
    open_world(&w);
    EXPECT(maas_graph_symbol(w.g, "batch", &batch, &w.err) == MAAS_OK);
    maas_vid x = input(&w, "x", MAAS_F32, DIMS(batch, 4, 5));
    maas_vid y = maas_b_op2(&w.b, "Reshape", x, maas_b_i64s(&w.b, (int64_t[]){-1, 20}, 2));
    EXPECT(maas_b_type(&w.b, y)->dims[0] == batch);
    y = maas_b_op2(&w.b, "Reshape", x, maas_b_i64s(&w.b, (int64_t[]){0, -1}, 2));
    EXPECT(maas_b_type(&w.b, y)->dims[1] == 20);
    y = maas_b_op2(&w.b, "Reshape", x, maas_b_i64s(&w.b, (int64_t[]){-1, 3}, 2));
    EXPECT(maas_b_type(&w.b, y)->dims[0] < 0 && maas_b_type(&w.b, y)->dims[0] != batch);
    close_world(&w);
}

static void declared_types_are_merged_or_refused(void)
{
    world w;
    open_world(&w);
    const maas_op *relu = maas_op_find("", "Relu", MAAS_OPSET);
    int64_t batch;
    EXPECT(maas_graph_symbol(w.g, "batch", &batch, &w.err) == MAAS_OK);
    maas_vid x = input(&w, "x", MAAS_F32, DIMS(MAAS_DIM_UNKNOWN, 3)), out[1];
    maas_type told = maas_type_tensor(MAAS_F32, DIMS(batch, MAAS_DIM_UNKNOWN));
    EXPECT(maas_graph_value(w.g, "y", &told, out, &w.err) == MAAS_OK);
    EXPECT(maas_graph_node(w.g, relu, "r", &x, 1, out, 1, NULL, &w.err) == MAAS_OK);
    EXPECT(maas_graph_infer(w.g, &w.err) == MAAS_OK);
    EXPECT(w.g->values[out[0]].type.dims[0] == batch && w.g->values[out[0]].type.dims[1] == 3);
    w.g->values[out[0]].type.dims[1] = 4;
    EXPECT(maas_graph_infer(w.g, &w.err) == MAAS_E_INVALID);
    EXPECT_MSG(strstr(w.err.msg, "'r'") && strstr(w.err.msg, "Relu"), "the words name the node: %s",
               w.err.msg);
    w.err = (maas_err){0};
    w.g->values[out[0]].type = maas_type_tensor(MAAS_F64, DIMS(2, 3));
    EXPECT(maas_graph_infer(w.g, &w.err) == MAAS_E_INVALID);
    close_world(&w);
}

/* ---- what a hostile model says ---- */

typedef struct hostile {
    const char *what, *op;
    int n_in;
    struct {
        maas_dtype t;
        int rank;
        int64_t dims[4];
    } in[3];
    int n_content; /* of the last input, int64 constants; -1: it is a plain input */
    int64_t content[10];
    maas_attr attr[2];
    int n_attr;
} hostile;

#define F(...)                                                                                     \
    {                                                                                              \
        MAAS_F32, (int)MAAS_COUNT(((int64_t[]){__VA_ARGS__})),                                     \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define I(...)                                                                                     \
    {                                                                                              \
        MAAS_I64, (int)MAAS_COUNT(((int64_t[]){__VA_ARGS__})),                                     \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define NO_CONTENT                                                                                 \
    -1,                                                                                            \
    {                                                                                              \
        0                                                                                          \
    }
static const int64_t twice[] = {0, 0}, far[] = {0, 7}, huge[] = {INT64_MAX, 0},
                     low[] = {INT64_MIN, 1};

static const hostile hostiles[] = {
    {"inner sizes differ", "MatMul", 2, {F(2, 3), F(4, 5)}, NO_CONTENT},
    {"scalar product", "MatMul", 2, {{MAAS_F32, 0, {0}}, F(3)}, NO_CONTENT},
    {"another dtype", "MatMul", 2, {F(2, 3), {MAAS_F64, 2, {3, 2}}}, NO_CONTENT},
    {"strings", "MatMul", 2, {{MAAS_STRING, 2, {2, 2}}, {MAAS_STRING, 2, {2, 2}}}, NO_CONTENT},
    {"one input", "MatMul", 1, {F(2, 3)}, NO_CONTENT},
    {"three inputs", "Relu", 2, {F(2), F(2)}, NO_CONTENT},
    {"not broadcastable", "Add", 2, {F(2, 3), F(2)}, NO_CONTENT},
    {"axis too large", "Softmax", 1, {F(2, 3)}, NO_CONTENT, {MAAS_A_INT("axis", 2)}, 1},
    {"axis too small", "Softmax", 1, {F(2, 3)}, NO_CONTENT, {MAAS_A_INT("axis", -3)}, 1},
    {"axis at the end of int64",
     "Concat",
     1,
     {F(2, 3)},
     NO_CONTENT,
     {MAAS_A_INT("axis", INT64_MIN)},
     1},
    {"attribute missing", "Concat", 1, {F(2, 3)}, NO_CONTENT},
    {"attribute of another type", "Softmax", 1, {F(2)}, NO_CONTENT, {MAAS_A_FLOAT("axis", 0)}, 1},
    {"perm repeats",
     "Transpose",
     1,
     {F(2, 3)},
     NO_CONTENT,
     {{.name = "perm", .type = MAAS_ATTR_INTS, .n = 2, .u.ints = twice}},
     1},
    {"perm out of range",
     "Transpose",
     1,
     {F(2, 3)},
     NO_CONTENT,
     {{.name = "perm", .type = MAAS_ATTR_INTS, .n = 2, .u.ints = far}},
     1},
    {"perm overflows",
     "Transpose",
     1,
     {F(2, 3)},
     NO_CONTENT,
     {{.name = "perm", .type = MAAS_ATTR_INTS, .n = 2, .u.ints = huge}},
     1},
    {"perm negative",
     "Transpose",
     1,
     {F(2, 3)},
     NO_CONTENT,
     {{.name = "perm", .type = MAAS_ATTR_INTS, .n = 2, .u.ints = low}},
     1},
    {"perm too short",
     "Transpose",
     1,
     {F(2, 3)},
     NO_CONTENT,
     {{.name = "perm", .type = MAAS_ATTR_INTS, .n = 1, .u.ints = twice}},
     1},
    {"reshape to another count", "Reshape", 2, {F(2, 3), I(1)}, 1, {7}},
    {"reshape to two -1", "Reshape", 2, {F(2, 3), I(2)}, 2, {-1, -1}},
    {"reshape to -2", "Reshape", 2, {F(2, 3), I(1)}, 1, {-2}},
    {"reshape that does not divide", "Reshape", 2, {F(2, 3), I(2)}, 2, {-1, 4}},
    {"reshape -1 beside 0",
     "Reshape",
     2,
     {F(2, 3), I(2)},
     2,
     {-1, 0},
     {MAAS_A_INT("allowzero", 1)},
     1},
    {"reshape overflows", "Reshape", 2, {F(2, 3), I(3)}, 3, {-1, INT64_MAX, INT64_MAX}},
    {"reshape to rank 9", "Reshape", 2, {F(1), I(9)}, 9, {1, 1, 1, 1, 1, 1, 1, 1, 1}},
    {"reshape copies a missing size", "Reshape", 2, {F(6), I(2)}, 2, {6, 0}},
    {"squeeze of 3", "Squeeze", 2, {F(2, 3), I(1)}, 1, {1}},
    {"unsqueeze twice", "Unsqueeze", 2, {F(2, 3), I(2)}, 2, {0, 0}},
    {"unsqueeze past rank 8", "Unsqueeze", 2, {F(2), I(8)}, 8, {0, 1, 2, 3, 4, 5, 6, 7}},
    {"unsqueeze far", "Unsqueeze", 2, {F(2, 3), I(1)}, 1, {5}},
    {"expand to negative", "Expand", 2, {F(1, 3), I(2)}, 2, {-1, 3}},
    {"expand that does not fit", "Expand", 2, {F(2, 3), I(2)}, 2, {2, 4}},
    {"expand to terabytes", "Expand", 2, {F(1, 1), I(2)}, 2, {INT64_C(1) << 30, INT64_C(1) << 30}},
    {"tile by a negative", "Tile", 2, {F(2, 3), I(2)}, 2, {1, -1}},
    {"tile overflows", "Tile", 2, {F(2, 3), I(2)}, 2, {INT64_MAX, 1}},
    {"tile of another rank", "Tile", 2, {F(2, 3), I(1)}, 1, {1}},
    {"shape of negative", "ConstantOfShape", 1, {I(1)}, 1, {-4}},
    {"shape of 9 axes", "ConstantOfShape", 1, {I(9)}, 9, {1, 1, 1, 1, 1, 1, 1, 1, 1}},
    {"shape of terabytes", "ConstantOfShape", 1, {I(2)}, 2, {INT64_C(1) << 40, INT64_C(1) << 40}},
    {"gather axis", "Gather", 2, {F(2, 3), I(1)}, 1, {0}, {MAAS_A_INT("axis", 2)}, 1},
    {"gather into rank 9",
     "Gather",
     2,
     {{MAAS_F32, 4, {2, 2, 2, 2}}, {MAAS_I64, 4, {1, 1, 1, 1}}},
     NO_CONTENT,
     {MAAS_A_INT("axis", 4)},
     1},
    {"gather by floats", "Gather", 2, {F(2, 3), F(1)}, NO_CONTENT},
    {"gather elements past the data", "GatherElements", 2, {F(2, 3), I(2, 4)}, NO_CONTENT},
    {"gather nd with long addresses", "GatherND", 2, {F(2, 3), I(1, 3)}, NO_CONTENT},
    {"gather nd batch",
     "GatherND",
     2,
     {F(2, 3), I(2, 1)},
     NO_CONTENT,
     {MAAS_A_INT("batch_dims", 2)},
     1},
    {"gather nd negative batch",
     "GatherND",
     2,
     {F(2, 3), I(2, 1)},
     NO_CONTENT,
     {MAAS_A_INT("batch_dims", -1)},
     1},
    {"reduce an axis twice", "ReduceSum", 2, {F(2, 3), I(2)}, 2, {1, -1}},
    {"reduce a far axis", "ReduceMax", 2, {F(2, 3), I(1)}, 1, {2}},
    {"argmax of nothing", "ArgMax", 1, {F(2, 0)}, NO_CONTENT, {MAAS_A_INT("axis", 1)}, 1},
    {"top 4 of 3", "TopK", 2, {F(2, 3), I(1)}, 1, {4}},
    {"top -1", "TopK", 2, {F(2, 3), I(1)}, 1, {-1}},
    {"cast to nowhere", "Cast", 1, {F(2)}, NO_CONTENT, {MAAS_A_INT("to", 77)}, 1},
    {"cast to the end of int64", "Cast", 1, {F(2)}, NO_CONTENT, {MAAS_A_INT("to", INT64_MIN)}, 1},
    {"scales of another count", "QuantizeLinear", 2, {F(2, 3), F(2)}, NO_CONTENT},
    {"scale as a matrix", "QuantizeLinear", 2, {F(2, 3), F(2, 3)}, NO_CONTENT},
    {"scales of too few blocks",
     "QuantizeLinear",
     2,
     {F(2, 7), F(2, 2)},
     NO_CONTENT,
     {MAAS_A_INT("block_size", 3)},
     1},
    {"blocks of less than nothing",
     "QuantizeLinear",
     2,
     {F(2, 7), F(2, 2)},
     NO_CONTENT,
     {MAAS_A_INT("block_size", INT64_MIN)},
     1},
    {"quantized along no axis",
     "QuantizeLinear",
     2,
     {F(2, 3), F(3)},
     NO_CONTENT,
     {MAAS_A_INT("axis", 2)},
     1},
    {"quantized to text",
     "QuantizeLinear",
     2,
     {F(2, 3), F(1)},
     NO_CONTENT,
     {MAAS_A_INT("output_dtype", MAAS_STRING)},
     1},
    {"quantized to two types",
     "QuantizeLinear",
     3,
     {F(2, 3), F(1), {MAAS_I8, 0, {0}}},
     NO_CONTENT,
     {MAAS_A_INT("output_dtype", MAAS_U8)},
     1},
    {"zero points of another count",
     "DequantizeLinear",
     3,
     {{MAAS_U8, 2, {2, 3}}, F(3), {MAAS_U8, 1, {2}}},
     NO_CONTENT},
    {"zero point for half of the rows",
     "MatMulInteger",
     3,
     {{MAAS_U8, 2, {4, 3}}, {MAAS_I8, 2, {3, 5}}, {MAAS_U8, 1, {2}}},
     NO_CONTENT},
    {"rows of another length",
     "MatMulInteger",
     2,
     {{MAAS_U8, 2, {4, 3}}, {MAAS_I8, 2, {4, 5}}},
     NO_CONTENT},
    {"other bits", "BitCast", 1, {F(3)}, NO_CONTENT, {MAAS_A_INT("to", MAAS_I64)}, 1},
    {"rounded by a word",
     "Cast",
     1,
     {F(3)},
     NO_CONTENT,
     {MAAS_A_INT("to", MAAS_F8E8M0), MAAS_A_STR("round_mode", "up ")},
     2},
    {"neither mod", "Mod", 2, {F(2), F(2)}, NO_CONTENT, {MAAS_A_INT("fmod", 2)}, 1},
    {"pad count", "Pad", 2, {F(2, 3), I(3)}, 3, {0, 0, 0}},
    {"pad crops too much", "Pad", 2, {F(2, 3), I(4)}, 4, {0, -2, 0, -2}},
    {"pad crops to the end of int64", "Pad", 2, {F(2, 3), I(4)}, 4, {INT64_MIN, 0, INT64_MIN, 0}},
    {"pad like nothing", "Pad", 1, {F(2)}, NO_CONTENT, {MAAS_A_STR("mode", "zero")}, 1},
    {"pad with the edge of nothing",
     "Pad",
     2,
     {F(0), I(2)},
     2,
     {1, 0},
     {MAAS_A_STR("mode", "edge")},
     1},
    {"determinant of a row", "Det", 1, {F(2, 3)}, NO_CONTENT},
    {"determinant of a vector", "Det", 1, {F(3)}, NO_CONTENT},
    {"shift to the middle",
     "BitShift",
     2,
     {{MAAS_U8, 1, {3}}, {MAAS_U8, 1, {3}}},
     NO_CONTENT,
     {MAAS_A_STR("direction", "UP")},
     1},
    {"bits of floats", "BitwiseAnd", 2, {F(3), F(3)}, NO_CONTENT},
    {"blocks of channels",
     "DepthToSpace",
     1,
     {F(1, 6, 2, 2)},
     NO_CONTENT,
     {MAAS_A_INT("blocksize", 2)},
     1},
    {"blocks of zero",
     "DepthToSpace",
     1,
     {F(1, 4, 2, 2)},
     NO_CONTENT,
     {MAAS_A_INT("blocksize", 0)},
     1},
    {"blocks of rows",
     "SpaceToDepth",
     1,
     {F(1, 1, 3, 2)},
     NO_CONTENT,
     {MAAS_A_INT("blocksize", 2)},
     1},
    {"blocks in another order",
     "SpaceToDepth",
     1,
     {F(1, 1, 2, 2)},
     NO_CONTENT,
     {MAAS_A_INT("blocksize", 2), MAAS_A_STR("mode", "RDC")},
     2},
    {"sequences along the batch",
     "ReverseSequence",
     2,
     {F(2, 3), I(3)},
     3,
     {1, 1, 1},
     {MAAS_A_INT("batch_axis", 0)},
     1},
    {"too few lengths", "ReverseSequence", 2, {F(2, 3), I(2)}, 2, {1, 1}},
    {"text split by half a character",
     "StringSplit",
     1,
     {{MAAS_STRING, 1, {2}}},
     NO_CONTENT,
     {MAAS_A_STR("delimiter", "\xc3")},
     1},
#ifdef MAAS_REGEX
    {"no pattern",
     "RegexFullMatch",
     1,
     {{MAAS_STRING, 1, {2}}},
     NO_CONTENT,
     {MAAS_A_STR("pattern", "(a")},
     1},
#endif
    {"texts of a matrix", "StringNormalizer", 1, {{MAAS_STRING, 2, {2, 2}}}, NO_CONTENT},
    {"case of a title",
     "StringNormalizer",
     1,
     {{MAAS_STRING, 1, {2}}},
     NO_CONTENT,
     {MAAS_A_STR("case_change_action", "TITLE")},
     1},
    {"case of Turkish",
     "StringNormalizer",
     1,
     {{MAAS_STRING, 1, {2}}},
     NO_CONTENT,
     {MAAS_A_STR("locale", "tr_TR.UTF-8")},
     1},
    {"scatter of another count", "ScatterND", 3, {F(2, 3), I(2, 1), F(2, 2)}, NO_CONTENT},
    {"scatter with long addresses", "ScatterND", 3, {F(2, 3), I(2, 3), F(2)}, NO_CONTENT},
    {"scatter without an address", "ScatterND", 3, {F(2, 3), I(2, 0), F(2, 2, 3)}, NO_CONTENT},
    {"scatter by a word",
     "ScatterElements",
     3,
     {F(2, 3), I(1, 1), F(1, 1)},
     NO_CONTENT,
     {MAAS_A_STR("reduction", "avg")},
     1},
    {"pad overflows", "Pad", 2, {F(2, 3), I(4)}, 4, {INT64_MAX, 0, INT64_MAX, 0}},
    {"labels of another rank", "SoftmaxCrossEntropyLoss", 2, {F(2, 3), I(2, 3)}, NO_CONTENT},
    {"labels of another batch", "SoftmaxCrossEntropyLoss", 2, {F(2, 3), I(4)}, NO_CONTENT},
    {"reduction by a word",
     "SoftmaxCrossEntropyLoss",
     2,
     {F(2, 3), I(2)},
     NO_CONTENT,
     {{.name = "reduction", .type = MAAS_ATTR_STRING, .u.s = {"max", 3}}},
     1},
    {"concat of ranks", "Concat", 2, {F(2, 3), F(2)}, NO_CONTENT, {MAAS_A_INT("axis", 0)}, 1},
    {"concat of sizes", "Concat", 2, {F(2, 3), F(2, 4)}, NO_CONTENT, {MAAS_A_INT("axis", 0)}, 1},
    {"flatten axis", "Flatten", 1, {F(2, 3)}, NO_CONTENT, {MAAS_A_INT("axis", 3)}, 1},
    {"prelu with a large slope", "PRelu", 2, {F(3), F(2, 3)}, NO_CONTENT},
    {"encoder without lists", "LabelEncoder", 1, {F(2)}, NO_CONTENT},
    {"one hot axis", "OneHot", 2, {I(2), I(1)}, 1, {3}},
    {"reduce to a larger rank", "ReduceTo", 2, {F(3), F(2, 3)}, NO_CONTENT},
    {"reduce to another size", "ReduceTo", 2, {F(4, 3), F(2, 3)}, NO_CONTENT},
};
#undef F
#undef I

static void hostile_nodes_are_refused_by_name(void)
{
    for (size_t i = 0; i < MAAS_COUNT(hostiles); i++) {
        const hostile *h = &hostiles[i];
        world w;
        maas_vid in[3];
        open_world(&w);
        for (int k = 0; k < h->n_in; k++)
            if (k == h->n_in - 1 && h->n_content >= 0)
                in[k] = maas_b_i64s(&w.b, h->content, h->n_content);
            else
                in[k] = input(&w, NULL, h->in[k].t, h->in[k].rank, h->in[k].dims);
        EXPECT_MSG(w.b.status == MAAS_OK, "%s: %s", h->what, w.err.msg);
        maas_b_node(&w.b, h->op, h->attr, (uint32_t)h->n_attr, in, (uint32_t)h->n_in, NULL, 1);
        EXPECT_MSG(w.b.status == MAAS_E_INVALID || w.b.status == MAAS_E_TOO_LARGE ||
                       w.b.status == MAAS_E_UNSUPPORTED,
                   "%s: %s gave %d", h->what, h->op, w.b.status);
        EXPECT_MSG(strstr(w.err.msg, h->op) != NULL, "%s: the words do not name %s: %s", h->what,
                   h->op, w.err.msg);
        close_world(&w);
    }
}

/* The builder's error is sticky and later calls do nothing. */
static void builder_errors_stick(void)
{
    world w;
    open_world(&w);
    maas_vid x = input(&w, "x", MAAS_F32, DIMS(2));
    EXPECT_EQ(maas_b_op1(&w.b, "NoSuchOperator", x), MAAS_NO_VALUE);
    EXPECT_EQ(w.b.status, MAAS_E_UNSUPPORTED);
    uint32_t n = w.g->n_nodes;
    EXPECT_EQ(maas_b_op1(&w.b, "Relu", x), MAAS_NO_VALUE);
    EXPECT_EQ(maas_b_f32(&w.b, 1), MAAS_NO_VALUE);
    EXPECT(maas_b_type(&w.b, x) == NULL);
    EXPECT_EQ(w.g->n_nodes, n);
    close_world(&w);
}

/* ---- memory ---- */

static maas_status build_and_infer(maas_err *err)
{
    maas_graph *g = NULL;
    maas_builder b;
    MAAS_TRY(maas_graph_create("g", NULL, &g, err));
    maas_builder_init(&b, g, err);
    maas_vid x = maas_b_input(&b, "x", MAAS_F32, DIMS(MAAS_DIM_UNKNOWN, 3));
    maas_vid s = maas_b_op1(&b, "Shape", maas_b_op1(&b, "Relu", x));
    maas_b_output(&b, "y", maas_b_op2(&b, "Expand", maas_b_f32(&b, 1), s));
    maas_status st = b.status == MAAS_OK ? maas_graph_infer(g, err) : b.status;
    maas_graph_destroy(g);
    return st;
}

static void every_failed_allocation_is_a_status(void)
{
    long before = maas_mem_live();
    for (long n = 1; n < 10000; n++) {
        maas_err err = {0};
        maas_mem_fail_at(n);
        maas_status st = build_and_infer(&err);
        maas_mem_fail_at(0);
        EXPECT_EQ(maas_mem_live(), before);
        if (st == MAAS_OK) {
            EXPECT(n > 5);
            return;
        }
        EXPECT_EQ(st, MAAS_E_NOMEM);
    }
    EXPECT(!"the loop ends");
}

static const mt_case cases[] = {
    MT_CASE(symbols_pass_through_dense_layers),   MT_CASE(shape_arithmetic_keeps_the_symbol),
    MT_CASE(reshape_minus_one_of_a_symbol),       MT_CASE(declared_types_are_merged_or_refused),
    MT_CASE(hostile_nodes_are_refused_by_name),   MT_CASE(builder_errors_stick),
    MT_CASE(every_failed_allocation_is_a_status),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
