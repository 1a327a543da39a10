#include "maas_test.h"

#include "onnx_make.h"
#include "ops/build.h"

/* ---- what must be refused, and with which words ---- */

static void t_short_raw(maas_pb_writer *w)
{
    tensor_head(w, MAAS_F32, d2, 1);
    maas_pb_bytes(w, TENSOR_RAW, f2, 7);
}
static void t_huge(maas_pb_writer *w)
{
    const int64_t dims[] = {INT64_MAX, 8};
    tensor_head(w, MAAS_F32, dims, 2);
    maas_pb_bytes(w, TENSOR_RAW, f2, 8);
}
static void t_large_empty(maas_pb_writer *w) /* 2^37 elements and not one byte */
{
    const int64_t dims[] = {1ll << 37};
    tensor_head(w, MAAS_F32, dims, 1);
}
static void t_negative(maas_pb_writer *w)
{
    const int64_t dims[] = {-2};
    tensor_head(w, MAAS_F32, dims, 1);
    maas_pb_bytes(w, TENSOR_RAW, f2, 8);
}
static void t_rank(maas_pb_writer *w)
{
    const int64_t dims[] = {1, 1, 1, 1, 1, 1, 1, 1, 2};
    tensor_head(w, MAAS_F32, dims, 9);
    maas_pb_bytes(w, TENSOR_RAW, f2, 8);
}
static void t_dtype(maas_pb_writer *w)
{
    tensor_head(w, 14, d2, 1);
    maas_pb_bytes(w, TENSOR_RAW, f2, 2);
}
static void t_two_places(maas_pb_writer *w)
{
    onnx_put_good_tensor(w);
    maas_pb_floats(w, TENSOR_FLOATS, f2, 2);
}
static void t_other_type(maas_pb_writer *w)
{
    tensor_head(w, MAAS_I64, d2, 1);
    maas_pb_floats(w, TENSOR_FLOATS, f2, 2);
}
static void t_few(maas_pb_writer *w)
{
    tensor_head(w, MAAS_F32, d2, 1);
    maas_pb_floats(w, TENSOR_FLOATS, f2, 1);
}
static void t_range(maas_pb_writer *w)
{
    const int64_t v[] = {1, 256};
    tensor_head(w, MAAS_U8, d2, 1);
    maas_pb_ints(w, TENSOR_INT32S, v, 2);
}
static void t_bool(maas_pb_writer *w)
{
    tensor_head(w, MAAS_BOOL, d2, 1);
    maas_pb_bytes(w, TENSOR_RAW, "\1\2", 2);
}
static void t_raw_text(maas_pb_writer *w)
{
    tensor_head(w, MAAS_STRING, d2, 1);
    maas_pb_bytes(w, TENSOR_RAW, f2, 8);
}
static void put_attr(maas_pb_writer *w, const char *name, int type, int64_t value)
{
    maas_pb_begin(w, NODE_ATTR);
    maas_pb_text(w, ATTR_NAME, name);
    maas_pb_int(w, ATTR_I, value);
    maas_pb_int(w, ATTR_TYPE, type);
    maas_pb_end(w);
}
static void n_unknown_attr(maas_pb_writer *w)
{
    put_attr(w, "colour", MAAS_ATTR_INT, 1);
}
static void n_untyped_attr(maas_pb_writer *w)
{
    put_attr(w, "axis", 0, 1);
}
static void n_sparse_attr(maas_pb_writer *w)
{
    put_attr(w, "axis", 11, 1);
}
static void n_attr_twice(maas_pb_writer *w)
{
    put_attr(w, "axis", MAAS_ATTR_INT, 1);
    put_attr(w, "axis", MAAS_ATTR_INT, 1);
}
static void n_many_attrs(maas_pb_writer *w)
{
    for (int i = 0; i < 300; i++)
        put_attr(w, "axis", MAAS_ATTR_INT, 1);
}
static void n_many_inputs(maas_pb_writer *w)
{
    for (uint32_t i = 0; i < MAAS_MAX_NODE_IO; i++)
        maas_pb_text(w, NODE_INPUT, "x");
}
static void n_output_twice(maas_pb_writer *w)
{
    maas_pb_text(w, NODE_OUTPUT, "y");
}
static void n_name_with_zero(maas_pb_writer *w)
{
    maas_pb_bytes(w, NODE_OUTPUT, "a\0b", 3);
}
static void n_name_not_utf8(maas_pb_writer *w)
{
    maas_pb_bytes(w, NODE_OUTPUT, "\xff", 1);
}
/* Graphs in graphs, ten deep. */
static void n_deep(maas_pb_writer *w)
{
    enum { DEPTH = 10 };
    for (int i = 0; i < DEPTH; i++) {
        maas_pb_begin(w, NODE_ATTR);
        maas_pb_text(w, ATTR_NAME, "body");
        maas_pb_int(w, ATTR_TYPE, MAAS_ATTR_GRAPH);
        maas_pb_begin(w, ATTR_G);
        onnx_put_info(w, GRAPH_OUTPUT, "x", MAAS_F32);
        maas_pb_begin(w, GRAPH_NODE);
        maas_pb_text(w, NODE_INPUT, "x");
        maas_pb_text(w, NODE_OUTPUT, "inner");
        maas_pb_text(w, NODE_OP, "Identity");
    }
    for (int i = 0; i < DEPTH * 3; i++)
        maas_pb_end(w);
}
static void n_subgraph(maas_pb_writer *w)
{
    maas_pb_begin(w, NODE_ATTR);
    maas_pb_text(w, ATTR_NAME, "body");
    maas_pb_int(w, ATTR_TYPE, MAAS_ATTR_GRAPH);
    maas_pb_begin(w, ATTR_G);
    onnx_put_info(w, GRAPH_OUTPUT, "x", MAAS_F32);
    maas_pb_end(w);
    maas_pb_end(w);
}
static void g_cycle(maas_pb_writer *w)
{
    static const onnx_make back = {.x = "y", .y = "loop"};
    onnx_put_node(w, &back);
}
static void g_same_initializer(maas_pb_writer *w)
{
    maas_pb_begin(w, GRAPH_INITIALIZER);
    maas_pb_text(w, TENSOR_NAME, "w");
    onnx_put_good_tensor(w);
    maas_pb_end(w);
}
static void g_same_input(maas_pb_writer *w)
{
    onnx_put_info(w, GRAPH_INPUT, "x", MAAS_F32);
}
static void g_lost_output(maas_pb_writer *w)
{
    onnx_put_info(w, GRAPH_OUTPUT, "z", MAAS_F32);
}
static void g_output_twice(maas_pb_writer *w)
{
    onnx_put_info(w, GRAPH_OUTPUT, "y", MAAS_F32);
}
static void g_sparse(maas_pb_writer *w)
{
    maas_pb_begin(w, GRAPH_SPARSE);
    maas_pb_end(w);
}
static void g_same_producer(maas_pb_writer *w)
{
    static const onnx_make again = {0};
    onnx_put_node(w, &again);
}
static void g_ghost(maas_pb_writer *w)
{
    put_if(w, "x", "ghost");
}
static void g_kinds(maas_pb_writer *w)
{
    put_if(w, "x", "c");
}
static void g_own_output(maas_pb_writer *w)
{
    put_if(w, "x", "chosen");
}
static void n_reference(maas_pb_writer *w)
{
    maas_pb_begin(w, NODE_ATTR);
    maas_pb_text(w, ATTR_NAME, "axis");
    maas_pb_text(w, ATTR_REF, "of_the_call");
    maas_pb_end(w);
}
static void put_sparse(maas_pb_writer *w, int64_t index, int64_t dim)
{
    const int64_t one = 1;
    maas_pb_begin(w, GRAPH_SPARSE);
    maas_pb_begin(w, 1);
    tensor_head(w, MAAS_F32, &one, 1);
    maas_pb_floats(w, TENSOR_FLOATS, f2, 1);
    maas_pb_end(w);
    maas_pb_begin(w, 2);
    tensor_head(w, MAAS_I64, &one, 1);
    maas_pb_ints(w, TENSOR_INT64S, &index, 1);
    maas_pb_end(w);
    maas_pb_ints(w, 3, &dim, 1);
    maas_pb_end(w);
}
static void g_sparse_outside(maas_pb_writer *w)
{
    put_sparse(w, 7, 7);
}
static void g_sparse_large(maas_pb_writer *w)
{
    put_sparse(w, 7, 1ll << 36);
}
/* A function of domain "us": x, w -> y by nodes us.body[0], us.body[1] of (x, w) */
static void put_function(maas_pb_writer *w, const char *name, int n_in, const char *first,
                         const char *second)
{
    const char *const body[] = {first, second};
    maas_pb_begin(w, MODEL_FUNCTION);
    maas_pb_text(w, 1, name);
    maas_pb_text(w, 10, "us");
    maas_pb_text(w, 4, "x");
    if (n_in > 1)
        maas_pb_text(w, 4, "w");
    maas_pb_text(w, 5, "y");
    for (int i = 0; i < 2; i++) {
        maas_pb_begin(w, 7);
        maas_pb_text(w, NODE_INPUT, "x");
        maas_pb_text(w, NODE_INPUT, "x");
        maas_pb_text(w, NODE_OUTPUT, i ? "y" : "z");
        maas_pb_text(w, NODE_OP, body[i]);
        maas_pb_text(w, NODE_DOMAIN, "us");
        maas_pb_end(w);
    }
    maas_pb_end(w);
}
static void m_twins(maas_pb_writer *w)
{
    put_function(w, "A", 2, "B", "B");
    put_function(w, "A", 1, "B", "B");
}
static void m_recursion(maas_pb_writer *w)
{
    put_function(w, "A", 2, "B", "B");
    put_function(w, "B", 2, "C", "C");
    put_function(w, "C", 2, "A", "A");
}
static void m_one_input(maas_pb_writer *w)
{
    put_function(w, "one", 1, "one", "one");
}
/* 2^14 leaves, each of them calls, and no node at all */
static void put_chain(maas_pb_writer *w, int n)
{
    for (int i = 0; i < n; i++) {
        char name[8], next[8];
        snprintf(name, sizeof name, "f%d", i);
        snprintf(next, sizeof next, i + 1 < n ? "f%d" : "leaf", i + 1);
        put_function(w, name, 2, next, next);
    }
    maas_pb_begin(w, MODEL_FUNCTION);
    maas_pb_text(w, 1, "leaf");
    maas_pb_text(w, 10, "us");
    maas_pb_text(w, 4, "x");
    maas_pb_text(w, 4, "w");
    maas_pb_text(w, 5, "y");
    maas_pb_end(w);
}
static void m_doubling(maas_pb_writer *w)
{
    put_chain(w, 15);
}
static void m_deep(maas_pb_writer *w)
{
    put_chain(w, 20);
}
static void m_function(maas_pb_writer *w)
{
    maas_pb_text(w, MODEL_FUNCTION, "");
}
static void m_opset_twice(maas_pb_writer *w)
{
    onnx_put_opset(w, "ai.onnx", 14);
}
static void m_graph_twice(maas_pb_writer *w)
{
    maas_pb_begin(w, MODEL_GRAPH);
    maas_pb_end(w);
}
static void i_sequence(maas_pb_writer *w)
{
    maas_pb_begin(w, INFO_TYPE);
    maas_pb_text(w, 4, "");
    maas_pb_end(w);
}
static void i_nothing(maas_pb_writer *w)
{
}
static void i_dtype(maas_pb_writer *w)
{
    onnx_put_type(w, 15, d2, 1);
}
static void i_string(maas_pb_writer *w)
{
    onnx_put_type(w, MAAS_STRING, d2, 1);
}
static void i_shape(maas_pb_writer *w)
{
    const int64_t d3[] = {3};
    onnx_put_type(w, MAAS_F32, d3, 1);
}

static const struct refusal {
    onnx_make make;
    maas_status want;
    const char *words;
} refusals[] = {
    {{.opset = 29}, MAAS_E_UNSUPPORTED, "opset 29"},
    {{.ml = 6}, MAAS_E_UNSUPPORTED, "opset 6 of domain 'ai.onnx.ml'"},
    {{.no_ir = true}, MAAS_E_FORMAT, "IR version"},
    {{.no_opset = true}, MAAS_E_FORMAT, "imports no opset"},
    {{.op = "Nonsense"}, MAAS_E_UNSUPPORTED, "operator Nonsense of domain 'ai.onnx', opset 13"},
    {{.domain = "com.example"}, MAAS_E_UNSUPPORTED, "'com.example'"},
    {{.domain = "ai.onnx.ml"}, MAAS_E_FORMAT, "imports no opset of domain 'ai.onnx.ml'"},
    {{.x = "nobody"}, MAAS_E_FORMAT, "'nobody', which nothing produces"},
    {{.y = "other"}, MAAS_E_FORMAT, "output 'y' is not computed"},
    {{.x = "y"}, MAAS_E_FORMAT, "depends on itself"},
    {{.in2 = ""}, MAAS_E_FORMAT, "is missing"},
    {{.tensor = t_short_raw}, MAAS_E_FORMAT, "7 bytes of data, the shape needs 8"},
    {{.tensor = t_huge}, MAAS_E_TOO_LARGE, "tensor 'w'"},
    {{.tensor = t_large_empty}, MAAS_E_FORMAT, "0 elements, the shape needs 137438953472"},
    {{.tensor = t_negative}, MAAS_E_FORMAT, "negative"},
    {{.tensor = t_rank}, MAAS_E_UNSUPPORTED, "more than 8 dimensions"},
    {{.tensor = t_dtype}, MAAS_E_UNSUPPORTED, "element type 14"},
    {{.tensor = t_two_places}, MAAS_E_FORMAT, "two places"},
    {{.tensor = t_other_type}, MAAS_E_FORMAT, "of another type"},
    {{.tensor = t_few}, MAAS_E_FORMAT, "1 elements, the shape needs 2"},
    {{.tensor = t_range}, MAAS_E_FORMAT, "element 1 is 256, which is no uint8"},
    {{.tensor = t_bool}, MAAS_E_FORMAT, "element 1 of a bool tensor is 2"},
    {{.tensor = t_raw_text}, MAAS_E_FORMAT, "strings cannot be raw"},
    {{.tensor = t_external}, MAAS_E_UNSUPPORTED, "in another file"},
    {{.node = n_unknown_attr}, MAAS_E_UNSUPPORTED, "'colour'"},
    {{.node = n_untyped_attr}, MAAS_E_UNSUPPORTED, "has the type 0"},
    {{.node = n_sparse_attr}, MAAS_E_FORMAT, "without values"},
    {{.node = n_reference}, MAAS_E_FORMAT, "refers to a function's"},
    {{.op = "If", .node = n_branches}, MAAS_E_FORMAT, "2 input, at most 1"},
    {{.graph = g_ghost}, MAAS_E_FORMAT, "a subgraph reads 'ghost', which nothing produces"},
    {{.graph = g_kinds}, MAAS_E_FORMAT, "tensor float or tensor bool"},
    {{.graph = g_own_output}, MAAS_E_FORMAT, "depends on itself"},
    {{.node = n_attr_twice}, MAAS_E_FORMAT, "comes twice"},
    {{.node = n_many_attrs}, MAAS_E_TOO_LARGE, "300 attributes"},
    {{.node = n_many_inputs}, MAAS_E_TOO_LARGE, "inputs"},
    {{.node = n_output_twice}, MAAS_E_FORMAT, "is an output twice"},
    {{.node = n_name_with_zero}, MAAS_E_FORMAT, "is not text"},
    {{.node = n_name_not_utf8}, MAAS_E_FORMAT, "is not text"},
    {{.node = n_deep}, MAAS_E_TOO_LARGE, "deeper than 8"},
    {{.node = n_subgraph}, MAAS_E_UNSUPPORTED, "'body' is unknown"},
    {{.graph = g_cycle, .x = "loop"}, MAAS_E_FORMAT, "depends on itself"},
    {{.graph = g_same_initializer}, MAAS_E_FORMAT, "two values are named 'w'"},
    {{.graph = g_same_input}, MAAS_E_FORMAT, "two values are named 'x'"},
    {{.graph = g_lost_output}, MAAS_E_FORMAT, "output 'z' is not computed"},
    {{.graph = g_output_twice}, MAAS_E_FORMAT, "is an output twice"},
    {{.graph = g_sparse}, MAAS_E_FORMAT, "without values"},
    {{.graph = g_sparse_outside}, MAAS_E_FORMAT, "index 7 is outside"},
    {{.graph = g_sparse_large}, MAAS_E_TOO_LARGE, "a sparse tensor of"},
    {{.graph = g_same_producer}, MAAS_E_FORMAT, "'y' has a producer already"},
    {{.model = m_function}, MAAS_E_FORMAT, "a function without a name"},
    {{.model = m_twins}, MAAS_E_FORMAT, "two functions of one name"},
    {{.domain = "us", .op = "A", .model = m_recursion},
     MAAS_E_UNSUPPORTED,
     "function 'A' calls itself"},
    {{.domain = "us", .op = "one", .model = m_one_input},
     MAAS_E_FORMAT,
     "the function has 1 and 1"},
    {{.domain = "us", .op = "f0", .model = m_doubling}, MAAS_E_TOO_LARGE, "calls of functions"},
    {{.domain = "us", .op = "f0", .model = m_deep}, MAAS_E_TOO_LARGE, "functions in functions"},
    {{.model = m_opset_twice}, MAAS_E_FORMAT, "opsets 13 and 14"},
    {{.model = m_graph_twice}, MAAS_E_FORMAT, "comes twice"},
    {{.input = i_sequence}, MAAS_E_UNSUPPORTED, "input 'x'"},
    {{.input = i_nothing}, MAAS_E_FORMAT, "'x' has no type"},
    {{.input = i_dtype}, MAAS_E_UNSUPPORTED, "element type 15"},
    {{.input = i_string}, MAAS_E_FORMAT, "string"},
    {{.input = i_shape}, MAAS_E_FORMAT, "node"},
};

static void every_refusal_has_its_words(void)
{
    for (size_t i = 0; i < MAAS_COUNT(refusals); i++) {
        maas_buf file;
        maas_graph *g = NULL;
        maas_err err = {0};
        maas_status st = onnx_make_read(&refusals[i].make, NULL, &file, &g, &err);
        EXPECT_MSG(st == refusals[i].want, "%s: %d (%s)", refusals[i].words, st, err.msg);
        EXPECT_MSG(strstr(err.msg, refusals[i].words), "%s: %s", refusals[i].words, err.msg);
        EXPECT(g == NULL && err.code == st);
        maas_buf_reset(&file);
    }
    EXPECT_EQ(maas_mem_live(), 0);
}

static void nodes_are_named_in_refusals(void)
{
    static const onnx_make bad = {.op = "Nonsense"};
    maas_buf file;
    maas_graph *g = NULL;
    maas_err err = {0};
    onnx_make_read(&bad, NULL, &file, &g, &err);
    EXPECT(strstr(err.msg, "node 'the node' (Nonsense)") && strstr(err.msg, "at byte"));
    EXPECT_EQ(maas_onnx_read(maas_buf_span(&file), NULL, &g, NULL), MAAS_E_UNSUPPORTED);
    maas_buf_reset(&file);
}

static const mt_case cases[] = {
    MT_CASE(every_refusal_has_its_words),
    MT_CASE(nodes_are_named_in_refusals),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
