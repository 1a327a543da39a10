#include "maas_test.h"

#include "ops.h"

/* Each row breaks a good graph in one way; the verifier must say so, with these words. */
typedef struct base {
    maas_graph *g;
    maas_vid x, w, v, a, y;
    maas_nid cat;
} base;

static base good(void)
{
    base b = {.g = t_graph()};
    float data[3] = {0};
    const int64_t d3[] = {3};
    maas_tensor t = maas_tensor_of(MAAS_F32, 1, d3, data);
    b.x = t_input(b.g, "x");
    maas_graph_const(b.g, "w", &t, true, &b.w, NULL);
    maas_graph_variable(b.g, "v", &t, true, &b.v, NULL);
    b.a = t_node(b.g, &t_add, b.x, b.w);
    b.y = MAAS_NO_VALUE;
    maas_graph_node(b.g, &t_concat, "cat", &b.a, 1, &b.y, 1, &b.cat, NULL);
    const maas_attr axis = {"axis", MAAS_ATTR_INT, 0, {.i = 1}};
    maas_node_set(b.g, b.cat, &axis, NULL);
    maas_graph_output(b.g, b.y, NULL);
    maas_graph_bind(b.g, b.v, b.a, NULL);
    return b;
}

static void no_such_value(base *b)
{
    b->g->nodes[0].in[1] = 1000;
}
static void missing_input(base *b)
{
    b->g->nodes[0].in[1] = MAAS_NO_VALUE;
}
static void too_many_inputs(base *b)
{
    maas_vid in[] = {b->x, b->x, b->x};
    maas_graph_node(b->g, &t_add, "", in, 3, NULL, 1, NULL, NULL);
}
static void gap_in_variadic(base *b)
{
    maas_vid in[] = {b->x, MAAS_NO_VALUE};
    maas_nid n;
    const maas_attr axis = {"axis", MAAS_ATTR_INT, 0, {.i = 1}};
    maas_graph_node(b->g, &t_concat, "", in, 2, NULL, 1, &n, NULL);
    maas_node_set(b->g, n, &axis, NULL);
}
static void two_outputs(base *b)
{
    maas_graph_node(b->g, &t_neg, "", &b->x, 1, NULL, 2, NULL, NULL);
}
static void required_attr(base *b)
{
    maas_graph_node(b->g, &t_concat, "", &b->x, 1, NULL, 1, NULL, NULL);
}
static void unknown_attr(base *b)
{
    const maas_attr a = {"mystery", MAAS_ATTR_INT, 0, {.i = 1}};
    maas_node_set(b->g, b->cat, &a, NULL);
}
static void wrong_attr_type(base *b)
{
    const maas_attr a = {"axis", MAAS_ATTR_FLOAT, 0, {.f = 1}};
    maas_node_set(b->g, b->cat, &a, NULL);
}
static void wrong_dtype(base *b)
{
    b->g->values[b->x].type.dtype = MAAS_STRING;
}
static void type_variable(base *b)
{
    b->g->values[b->x].type.dtype = MAAS_F64;
}
static void unknown_dtype(base *b)
{
    b->g->values[b->a].type = (maas_type){.tag = MAAS_TYPE_TENSOR, .dtype = 200};
}
static void bad_rank(base *b)
{
    b->g->values[b->x].type.rank = 9;
}
static void bad_symbol(base *b)
{
    b->g->values[b->x].type.dims[0] = MAAS_DIM_SYMBOL(0);
}
static void bad_tag(base *b)
{
    b->g->values[b->x].type.tag = 99;
}
static void const_lies(base *b)
{
    b->g->values[b->w].type.dims[0] = 4;
}
static void const_empty(base *b)
{
    b->g->values[b->w].init.data = NULL;
}
static void two_kinds(base *b)
{
    b->g->values[b->w].flags |= MAAS_VALUE_VARIABLE;
}
static void flag_only(base *b)
{
    b->g->values[b->a].flags |= MAAS_VALUE_OUTPUT;
}
static void list_only(base *b)
{
    b->g->outputs[0] = b->a;
}
static void before(base *b)
{
    b->g->nodes[0].in[0] = b->y;
}
static void from_the_dead(base *b)
{
    b->g->nodes[0].dead = true;
}
static void stolen_output(base *b)
{
    b->g->nodes[1].out[0] = b->a;
}
static void false_claim(base *b)
{
    maas_vid v;
    maas_graph_value(b->g, "claimed", NULL, &v, NULL);
    b->g->values[v].producer = 0;
}
static void no_such_producer(base *b)
{
    b->g->values[b->a].producer = 55;
}
static void unproduced(base *b)
{
    maas_vid v;
    maas_graph_value(b->g, "nothing", NULL, &v, NULL);
    maas_graph_node(b->g, &t_neg, "", &v, 1, NULL, 1, NULL, NULL);
}
static void renamed_behind(base *b)
{
    b->g->values[b->a].name = "x";
}
static void bound_twice(base *b)
{
    maas_graph_bind(b->g, b->v, b->y, NULL);
}
static void bound_to_other_type(base *b)
{
    b->g->values[b->y].type = maas_type_tensor(MAAS_I64, 0, NULL);
    b->g->nodes[1].in[0] = b->y; /* keep the type variable out of it */
    b->g->bindings[0].value = b->y;
    b->g->nodes[1].dead = false;
    b->g->nodes[1].in[0] = b->a;
}

static const struct breakage {
    const char *name;
    void (*fn)(base *);
    maas_status want;
    const char *words;
} breakages[] = {
    {"no such value", no_such_value, MAAS_E_INVALID, "does not exist"},
    {"missing input", missing_input, MAAS_E_INVALID, "input 'B' is missing"},
    {"too many inputs", too_many_inputs, MAAS_E_INVALID, "3 input, at most 2"},
    {"gap in variadic", gap_in_variadic, MAAS_E_INVALID, "input 1 is missing"},
    {"two outputs", two_outputs, MAAS_E_INVALID, "2 output, at most 1"},
    {"required attribute", required_attr, MAAS_E_INVALID, "attribute 'axis' is missing"},
    {"unknown attribute", unknown_attr, MAAS_E_UNSUPPORTED, "'mystery'"},
    {"attribute type", wrong_attr_type, MAAS_E_INVALID, "attribute 'axis'"},
    {"dtype set", wrong_dtype, MAAS_E_INVALID, "may not be of type string"},
    {"type variable", type_variable, MAAS_E_INVALID, "is float, but another T is double"},
    {"unknown dtype", unknown_dtype, MAAS_E_INVALID, "element type 200"},
    {"rank", bad_rank, MAAS_E_INVALID, "rank 9"},
    {"symbol", bad_symbol, MAAS_E_INVALID, "is no symbol"},
    {"tag", bad_tag, MAAS_E_INVALID, "type tag 99"},
    {"constant shape", const_lies, MAAS_E_INVALID, "disagree"},
    {"constant data", const_empty, MAAS_E_INVALID, "disagree"},
    {"two kinds", two_kinds, MAAS_E_INVALID, "two producers"},
    {"output flag", flag_only, MAAS_E_INVALID, "are marked"},
    {"output list", list_only, MAAS_E_INVALID, "graph output 0"},
    {"order", before, MAAS_E_INVALID, "before it is produced"},
    {"dead producer", from_the_dead, MAAS_E_INVALID, "nothing produces"},
    {"two producers", stolen_output, MAAS_E_INVALID, "another producer"},
    {"false claim", false_claim, MAAS_E_INVALID, "does not produce 'claimed'"},
    {"no such producer", no_such_producer, MAAS_E_INVALID, "no such producer"},
    {"unproduced", unproduced, MAAS_E_INVALID, "nothing produces"},
    {"name", renamed_behind, MAAS_E_INVALID, "is not its own"},
    {"bound twice", bound_twice, MAAS_E_INVALID, "bound twice"},
    {"bound type", bound_to_other_type, MAAS_E_INVALID, "is bound to another type"},
};

static void every_breakage_is_seen_and_named(void)
{
    base whole = good();
    EXPECT_EQ(maas_graph_verify(whole.g, NULL), MAAS_OK);
    maas_graph_destroy(whole.g);
    for (size_t i = 0; i < MAAS_COUNT(breakages); i++) {
        base b = good();
        maas_err err = {0};
        breakages[i].fn(&b);
        maas_status st = maas_graph_verify(b.g, &err);
        EXPECT_MSG(st == breakages[i].want, "%s: %d (%s)", breakages[i].name, st, err.msg);
        EXPECT_MSG(strstr(err.msg, breakages[i].words), "%s: %s", breakages[i].name, err.msg);
        maas_graph_destroy(b.g);
    }
}

static void subgraphs_see_outer_names_and_have_a_depth(void)
{
    maas_graph *top = t_graph(), *g = top;
    maas_err err = {0};
    t_input(top, "x");
    for (int depth = 0; depth <= MAAS_MAX_GRAPH_DEPTH; depth++) {
        EXPECT_EQ(maas_graph_capture(top, &err), MAAS_OK);
        EXPECT_EQ(maas_graph_verify(top, &err), MAAS_OK);
        maas_graph *child = t_graph();
        maas_vid outer;
        maas_nid n;
        if (depth)
            maas_graph_value(g, "x", NULL, &outer, NULL);
        maas_vid in = maas_graph_find(g, "x");
        maas_graph_node(g, &t_concat, "", &in, 1, NULL, 1, &n, NULL);
        const maas_attr axis = {"axis", MAAS_ATTR_INT, 0, {.i = 1}};
        const maas_attr body = {"body", MAAS_ATTR_GRAPH, 0, {.graph = child}};
        maas_node_set(g, n, &axis, NULL);
        EXPECT_EQ(maas_node_set(g, n, &body, NULL), MAAS_OK);
        g = child;
    }
    EXPECT_EQ(maas_graph_capture(top, &err), MAAS_OK);
    EXPECT_EQ(maas_graph_verify(top, &err), MAAS_E_TOO_LARGE);
    maas_graph_destroy(top);
}

static const mt_case cases[] = {
    MT_CASE(every_breakage_is_seen_and_named),
    MT_CASE(subgraphs_see_outer_names_and_have_a_depth),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
