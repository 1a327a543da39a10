#include "maas_test.h"

#include "base/mem.h"
#include "ops.h"

static void names_are_unique_and_made_up_when_missing(void)
{
    maas_graph *g = t_graph();
    maas_vid a, b, c;
    maas_err err = {0};
    EXPECT_EQ(maas_graph_value(g, "_0", NULL, &a, &err), MAAS_OK);
    EXPECT_EQ(maas_graph_value(g, NULL, NULL, &b, &err), MAAS_OK);
    EXPECT_EQ(maas_graph_value(g, "", NULL, &c, &err), MAAS_OK);
    EXPECT(strcmp(g->values[b].name, "_0") != 0 && strcmp(g->values[b].name, g->values[c].name));
    EXPECT_EQ(maas_graph_find(g, "_0"), a);
    EXPECT_EQ(maas_graph_find(g, g->values[c].name), c);
    EXPECT_EQ(maas_graph_find(g, "nobody"), MAAS_NO_VALUE);
    EXPECT_EQ(maas_graph_value(g, "_0", NULL, &a, &err), MAAS_E_INVALID);
    EXPECT(strstr(err.msg, "'_0'"));
    EXPECT_EQ(maas_graph_rename(g, a, "first", NULL), MAAS_OK);
    EXPECT_EQ(maas_graph_rename(g, a, "first", NULL), MAAS_OK);
    EXPECT_EQ(maas_graph_find(g, "_0"), MAAS_NO_VALUE);
    EXPECT_EQ(maas_graph_rename(g, b, "first", NULL), MAAS_E_INVALID);
    maas_graph_destroy(g);
}

static void constants_are_borrowed_or_copied_with_their_strings(void)
{
    maas_graph *g = t_graph();
    float w[6] = {1, 2, 3, 4, 5, 6};
    char text[] = "cat";
    maas_str s[] = {{text, 3}, {NULL, 0}};
    const int64_t d23[] = {2, 3}, d2[] = {2}, d0[] = {0};
    maas_tensor tw = maas_tensor_of(MAAS_F32, 2, d23, w),
                ts = maas_tensor_of(MAAS_STRING, 1, d2, s);
    maas_tensor te = maas_tensor_of(MAAS_F32, 1, d0, NULL),
                bad = maas_tensor_of(MAAS_F32, 1, d2, NULL);
    maas_vid a, b, c, e;
    EXPECT_EQ(maas_graph_const(g, "borrowed", &tw, false, &a, NULL), MAAS_OK);
    EXPECT_EQ(maas_graph_const(g, "copied", &tw, true, &b, NULL), MAAS_OK);
    EXPECT_EQ(maas_graph_const(g, "words", &ts, true, &c, NULL), MAAS_OK);
    EXPECT_EQ(maas_graph_const(g, "empty", &te, false, &e, NULL), MAAS_OK);
    EXPECT_EQ(maas_graph_const(g, "absent", &bad, true, &e, NULL), MAAS_E_INVALID);
    w[0] = 9;
    memset(text, 'x', 3);
    EXPECT(g->values[a].init.data == w);
    EXPECT_EQ(((float *)g->values[b].init.data)[0], 1);
    EXPECT_EQ((uintptr_t)g->values[b].init.data % 16, 0);
    const maas_str *own = g->values[c].init.data;
    EXPECT(own[0].n == 3 && memcmp(own[0].p, "cat", 3) == 0 && own[1].n == 0);
    EXPECT(g->values[maas_graph_find(g, "empty")].init.data != NULL);
    EXPECT_EQ(maas_graph_verify(g, NULL), MAAS_OK);
    maas_graph_destroy(g);
}

static void declared_sizes_of_constants_are_checked(void)
{
    maas_graph *g = t_graph();
    float w = 0;
    maas_vid v;
    const int64_t huge[] = {INT64_MAX, 4}, neg[] = {-1};
    maas_tensor t = maas_tensor_of(MAAS_F32, 2, huge, &w), u = maas_tensor_of(MAAS_F32, 1, neg, &w);
    maas_tensor none = maas_tensor_of((maas_dtype)77, 0, NULL, &w);
    EXPECT_EQ(maas_graph_const(g, "huge", &t, true, &v, NULL), MAAS_E_TOO_LARGE);
    EXPECT_EQ(maas_graph_const(g, "neg", &u, true, &v, NULL), MAAS_E_INVALID);
    EXPECT_EQ(maas_graph_const(g, "none", &none, true, &v, NULL), MAAS_E_INVALID);
    EXPECT_EQ(g->n_values, 0);
    maas_graph_destroy(g);
}

static void a_value_has_one_producer(void)
{
    maas_graph *g = t_graph();
    maas_vid x = t_input(g, "x"), y = t_node(g, &t_neg, x, MAAS_NO_VALUE), fresh;
    maas_vid twice[2], none[] = {99};
    EXPECT_EQ(maas_graph_node(g, &t_neg, "", &x, 1, &y, 1, NULL, NULL), MAAS_E_INVALID);
    EXPECT_EQ(maas_graph_node(g, &t_neg, "", &x, 1, &x, 1, NULL, NULL), MAAS_E_INVALID);
    EXPECT_EQ(maas_graph_node(g, &t_neg, "", none, 1, NULL, 1, NULL, NULL), MAAS_E_INVALID);
    EXPECT_EQ(maas_graph_node(g, &t_neg, "", &x, 1, none, 1, NULL, NULL), MAAS_E_INVALID);
    EXPECT_EQ(maas_graph_value(g, "fresh", NULL, &fresh, NULL), MAAS_OK);
    twice[0] = twice[1] = fresh;
    EXPECT_EQ(maas_graph_node(g, &t_clip, "", &x, 1, twice, 2, NULL, NULL), MAAS_E_INVALID);
    EXPECT_EQ(g->values[fresh].producer, MAAS_NO_NODE);
    EXPECT_EQ(maas_graph_node(g, &t_neg, "", &x, 1, &fresh, 1, NULL, NULL), MAAS_OK);
    EXPECT_EQ(g->values[fresh].producer, 1);
    EXPECT_EQ(maas_graph_verify(g, NULL), MAAS_OK);
    maas_graph_destroy(g);
}

static void attributes_are_copied_and_replaced(void)
{
    maas_graph *g = t_graph();
    maas_nid n;
    maas_vid x = t_input(g, "x");
    int64_t perm[] = {1, 0};
    maas_str names[] = {{"a", 1}, {"bc", 2}};
    maas_graph_node(g, &t_concat, "cat", &x, 1, NULL, 1, &n, NULL);
    const maas_attr set[] = {{"axis", MAAS_ATTR_INT, 0, {.i = 1}},
                             {"perm", MAAS_ATTR_INTS, 2, {.ints = perm}},
                             {"names", MAAS_ATTR_STRINGS, 2, {.strings = names}},
                             {"axis", MAAS_ATTR_INT, 0, {.i = -1}}};
    for (size_t i = 0; i < MAAS_COUNT(set); i++)
        EXPECT_EQ(maas_node_set(g, n, &set[i], NULL), MAAS_OK);
    perm[0] = 77;
    const maas_node *node = &g->nodes[n];
    uint32_t count;
    EXPECT_EQ(node->n_attr, 3);
    EXPECT_EQ(maas_attr_i(node, "axis", 5), -1);
    EXPECT_EQ(maas_attr_i(node, "perm", 5), 5); /* of another type: as if absent */
    EXPECT_EQ(maas_attr_ints(node, "perm", &count)[0], 1);
    EXPECT_EQ(count, 2);
    EXPECT(maas_attr_ints(node, "axis", &count) == NULL && count == 0);
    EXPECT_NEAR(maas_attr_f(node, "alpha", 0.5f), 0.5, 0);
    EXPECT_EQ(maas_attr_s(node, "mode", "linear").n, 6);
    EXPECT_EQ(maas_graph_verify(g, NULL), MAAS_OK);
    maas_graph_destroy(g);
}

static void symbols_and_metadata_are_found_again(void)
{
    maas_graph *g = t_graph();
    int64_t a, b, c, d;
    maas_graph_symbol(g, "batch", &a, NULL);
    maas_graph_symbol(g, "seq", &b, NULL);
    maas_graph_symbol(g, "batch", &c, NULL);
    maas_graph_symbol(g, NULL, &d, NULL);
    EXPECT(a == c && a != b && d != a && d != b && a <= -2 && d <= -2);
    EXPECT_STR(g->symbols[-2 - b], "seq");
    maas_graph_set_meta(g, "labels", "1", NULL);
    maas_graph_set_meta(g, "labels", "2", NULL);
    EXPECT_EQ(g->n_meta, 1);
    EXPECT_STR(maas_graph_meta(g, "labels"), "2");
    EXPECT(maas_graph_meta(g, "other") == NULL);
    maas_graph_destroy(g);
}

static void types_print_with_their_symbols(void)
{
    maas_graph *g = t_graph();
    AUTO(maas_buf_reset) maas_buf b = MAAS_BUF_INIT(4096);
    maas_type t = {.tag = MAAS_TYPE_TENSOR, .dtype = MAAS_F32, .rank = 3, .dims = {0, 784, -1}};
    maas_graph_symbol(g, "batch", &t.dims[0], NULL);
    maas_type_text(g, &t, &b);
    EXPECT_STR(b.p, "float[batch,784,?]");
    maas_buf_clear(&b);
    t = (maas_type){.tag = MAAS_TYPE_TENSOR, .dtype = MAAS_STRING, .rank = MAAS_RANK_UNKNOWN};
    maas_type_text(NULL, &t, &b);
    EXPECT_STR(b.p, "string[...]");
    maas_graph_destroy(g);
}

static void a_dump_says_everything_once(void)
{
    maas_graph *g = t_graph();
    float w[] = {1, 2, 3};
    const int64_t d3[] = {3};
    maas_tensor t = maas_tensor_of(MAAS_F32, 1, d3, w);
    maas_vid x = t_input(g, "x"), b, y;
    maas_graph_variable(g, "b", &t, true, &b, NULL);
    y = t_node(g, &t_add, x, b);
    maas_graph_rename(g, y, "y", NULL);
    maas_graph_output(g, y, NULL);
    maas_graph_bind(g, b, y, NULL);
    AUTO(maas_buf_reset) maas_buf out = MAAS_BUF_INIT(4096);
    maas_graph_dump(g, &out);
    EXPECT_STR(out.p, "graph \"test\" (x: float[2,3]) -> (y: ?)\n"
                      "  variable b: float[3] = {1,2,3}\n"
                      "  n0 Add(x, b) -> y: ?\n"
                      "  bind b <- y\n");
    maas_graph_destroy(g);
}

/* A graph with everything in it: values of all kinds, attributes, subgraph, symbols, metadata. */
static maas_status build(maas_budget *budget, maas_graph **out, maas_err *err)
{
    maas_graph *g, *child;
    maas_vid x, w, y;
    maas_nid n;
    int64_t dim, perm[] = {0, 1};
    float data[3] = {0};
    const int64_t d3[] = {3};
    maas_tensor t = maas_tensor_of(MAAS_F32, 1, d3, data);
    MAAS_TRY(maas_graph_create("full", budget, &g, err));
    *out = g; /* the caller destroys what a failure leaves */
    MAAS_TRY(maas_graph_symbol(g, "batch", &dim, err));
    maas_type type = {.tag = MAAS_TYPE_TENSOR, .dtype = MAAS_F32, .rank = 2, .dims = {dim, 3}};
    MAAS_TRY(maas_graph_input(g, "x", &type, &x, err));
    MAAS_TRY(maas_graph_variable(g, "w", &t, true, &w, err));
    maas_vid in[] = {x, w};
    for (int i = 0; i < 40; i++) {
        y = MAAS_NO_VALUE;
        MAAS_TRY(maas_graph_node(g, &t_add, "", in, 2, &y, 1, NULL, err));
        in[0] = y;
    }
    maas_vid c = MAAS_NO_VALUE;
    MAAS_TRY(maas_graph_node(g, &t_concat, "c", in, 1, &c, 1, &n, err));
    const maas_attr axis = {"axis", MAAS_ATTR_INT, 0, {.i = 1}};
    const maas_attr ints = {"perm", MAAS_ATTR_INTS, 2, {.ints = perm}};
    MAAS_TRY(maas_node_set(g, n, &axis, err));
    MAAS_TRY(maas_node_set(g, n, &ints, err));
    MAAS_TRY(maas_graph_create("inner", budget, &child, err));
    const maas_attr body = {"body", MAAS_ATTR_GRAPH, 0, {.graph = child}};
    maas_status st = maas_node_set(g, n, &body, err);
    if (st != MAAS_OK) {
        maas_graph_destroy(child);
        return st;
    }
    maas_vid outer, made = MAAS_NO_VALUE;
    MAAS_TRY(maas_graph_value(child, "x", NULL, &outer, err));
    MAAS_TRY(maas_graph_node(child, &t_neg, "", &outer, 1, &made, 1, NULL, err));
    MAAS_TRY(maas_graph_output(child, made, err));
    MAAS_TRY(maas_graph_capture(g, err));
    MAAS_TRY(maas_graph_output(g, c, err));
    MAAS_TRY(maas_graph_bind(g, w, y, err));
    return maas_graph_set_meta(g, "k", "v", err);
}

static void a_clone_is_equal_and_independent(void)
{
    maas_graph *g = NULL, *copy = NULL;
    maas_err err = {0};
    EXPECT_EQ(build(NULL, &g, &err), MAAS_OK);
    EXPECT_EQ(maas_graph_clone(g, NULL, &copy, &err), MAAS_OK);
    EXPECT_EQ(maas_graph_verify(copy, &err), MAAS_OK);
    AUTO(maas_buf_reset) maas_buf a = MAAS_BUF_INIT(1 << 20);
    AUTO(maas_buf_reset) maas_buf b = MAAS_BUF_INIT(1 << 20);
    maas_graph_dump(g, &a);
    maas_graph_dump(copy, &b);
    EXPECT_STR(a.p, b.p);
    const maas_graph *inner = maas_node_attr(&copy->nodes[40], "body")->u.graph;
    EXPECT(inner != maas_node_attr(&g->nodes[40], "body")->u.graph && inner->parent == copy);
    /* Whatever happens to the copy, the original does not see it. */
    const maas_attr axis = {"axis", MAAS_ATTR_INT, 0, {.i = 0}},
                    more = {"f", MAAS_ATTR_FLOAT, 0, {.f = 1}};
    EXPECT_EQ(maas_node_set(copy, 40, &axis, NULL), MAAS_OK);
    EXPECT_EQ(maas_node_set(copy, 40, &more, NULL), MAAS_OK);
    EXPECT_EQ(maas_graph_rename(copy, 0, "z", NULL), MAAS_OK);
    copy->nodes[0].in[0] = copy->nodes[0].in[1];
    for (int i = 0; i < 50; i++)
        t_node(copy, &t_neg, 0, MAAS_NO_VALUE);
    maas_buf_clear(&b);
    maas_graph_dump(g, &b);
    EXPECT_STR(a.p, b.p);
    maas_graph_destroy(copy);
    EXPECT_EQ(maas_graph_verify(g, &err), MAAS_OK);
    maas_graph_destroy(g);
}

static void building_survives_every_failed_allocation(void)
{
    long before = maas_mem_live();
    for (long n = 1;; n++) {
        maas_graph *g = NULL, *copy = NULL;
        maas_err err = {0};
        maas_mem_fail_at(n);
        maas_status st = build(NULL, &g, &err);
        if (st == MAAS_OK)
            st = maas_graph_compact(g, &err);
        if (st == MAAS_OK)
            st = maas_graph_clone(g, NULL, &copy, &err);
        if (st == MAAS_OK)
            st = maas_graph_verify(copy, &err);
        maas_mem_fail_at(0);
        maas_graph_destroy(copy);
        maas_graph_destroy(g);
        EXPECT_EQ(maas_mem_live(), before);
        if (st == MAAS_OK) {
            EXPECT(n > 5);
            break;
        }
        EXPECT_EQ(st, MAAS_E_NOMEM);
        if (st != MAAS_E_NOMEM)
            break;
    }
}

static void a_budget_bounds_a_graph(void)
{
    maas_budget budget = {.limit = 100000};
    maas_graph *g = NULL;
    maas_status st = MAAS_OK;
    EXPECT_EQ(maas_graph_create("big", &budget, &g, NULL), MAAS_OK);
    for (int i = 0; i < 100000 && st == MAAS_OK; i++) {
        maas_vid v;
        st = maas_graph_value(g, NULL, NULL, &v, NULL);
    }
    EXPECT_EQ(st, MAAS_E_NOMEM);
    EXPECT(budget.used <= budget.limit);
    maas_graph_destroy(g);
    EXPECT_EQ(budget.used, 0);
}

static const mt_case cases[] = {
    MT_CASE(names_are_unique_and_made_up_when_missing),
    MT_CASE(constants_are_borrowed_or_copied_with_their_strings),
    MT_CASE(declared_sizes_of_constants_are_checked),
    MT_CASE(a_value_has_one_producer),
    MT_CASE(attributes_are_copied_and_replaced),
    MT_CASE(symbols_and_metadata_are_found_again),
    MT_CASE(types_print_with_their_symbols),
    MT_CASE(a_dump_says_everything_once),
    MT_CASE(a_clone_is_equal_and_independent),
    MT_CASE(building_survives_every_failed_allocation),
    MT_CASE(a_budget_bounds_a_graph),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
