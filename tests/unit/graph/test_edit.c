#include "maas_test.h"

#include "base/mem.h"
#include "ops.h"

static void replacing_an_output_keeps_its_name(void)
{
    maas_graph *g = t_graph();
    maas_vid x = t_input(g, "x"), a = t_node(g, &t_neg, x, MAAS_NO_VALUE);
    maas_vid b = t_node(g, &t_neg, a, MAAS_NO_VALUE);
    maas_err err = {0};
    maas_graph_rename(g, b, "y", NULL);
    maas_graph_output(g, b, NULL);
    EXPECT_EQ(maas_graph_replace(g, b, a, &err), MAAS_OK);
    EXPECT_EQ(maas_graph_find(g, "y"), a);
    EXPECT_EQ(g->outputs[0], a);
    EXPECT(g->values[a].flags & MAAS_VALUE_OUTPUT && !(g->values[b].flags & MAAS_VALUE_OUTPUT));
    EXPECT_EQ(maas_graph_n_uses(g, b), 0);
    EXPECT_EQ(maas_graph_verify(g, &err), MAAS_OK);
    /* The name of an input is fixed: nothing may change. */
    EXPECT_EQ(maas_graph_replace(g, a, x, &err), MAAS_E_INVALID);
    EXPECT_EQ(maas_graph_find(g, "y"), a);
    EXPECT_EQ(g->nodes[1].in[0], a);
    EXPECT_EQ(maas_graph_verify(g, NULL), MAAS_OK);
    maas_graph_destroy(g);
}

/* Arenas allocate rarely: filling the block to each level puts the failure at each place. */
static void replacing_survives_every_failed_allocation(void)
{
    int n_failed = 0;
    for (int fill = 0; fill < 1024; fill++) {
        maas_graph *g = t_graph();
        maas_vid x = t_input(g, "x"), a = t_node(g, &t_neg, x, MAAS_NO_VALUE);
        maas_vid b = t_node(g, &t_neg, a, MAAS_NO_VALUE);
        maas_graph_rename(g, b, "y", NULL);
        maas_graph_output(g, b, NULL);
        for (int i = 0; i < fill; i++)
            maas_arena_alloc(&g->arena, 16);
        maas_mem_fail_at(1);
        maas_status st = maas_graph_replace(g, b, a, NULL);
        maas_mem_fail_at(0);
        n_failed += st != MAAS_OK;
        EXPECT_EQ(maas_graph_verify(g, NULL), MAAS_OK);
        EXPECT_EQ(maas_graph_find(g, "y"), st == MAAS_OK ? a : b);
        EXPECT_EQ(g->outputs[0], st == MAAS_OK ? a : b);
        maas_graph_destroy(g);
    }
    EXPECT(n_failed >= 2);
}

static void uses_count_nodes_outputs_and_bindings(void)
{
    maas_graph *g = t_graph();
    float w = 1;
    maas_tensor t = maas_tensor_of(MAAS_F32, 0, NULL, &w);
    maas_vid x = t_input(g, "x"), v, y = t_node(g, &t_add, x, x);
    maas_graph_variable(g, "v", &t, true, &v, NULL);
    maas_vid dead = t_node(g, &t_neg, x, MAAS_NO_VALUE);
    g->nodes[1].dead = true;
    maas_graph_output(g, y, NULL);
    maas_graph_bind(g, v, y, NULL);
    uint32_t counts[8];
    maas_graph_count_uses(g, counts);
    EXPECT_EQ(counts[x], 2);
    EXPECT_EQ(counts[y], 2);
    EXPECT_EQ(counts[dead], 0);
    for (uint32_t i = 0; i < g->n_values; i++)
        EXPECT_EQ(maas_graph_n_uses(g, (maas_vid)i), counts[i]);
    maas_graph_destroy(g);
}

static void what_was_appended_moves_to_just_before_its_use(void)
{
    maas_graph *g = t_graph();
    maas_vid x = t_input(g, "x"), v = x;
    for (int i = 0; i < 5; i++)
        v = t_node(g, &t_neg, v, MAAS_NO_VALUE);
    maas_graph_output(g, v, NULL);
    maas_vid late = t_node(g, &t_neg, x, MAAS_NO_VALUE); /* n5, now read by n3 */
    g->nodes[3].in[0] = late;
    g->nodes[2].dead = true;
    EXPECT_EQ(maas_graph_verify(g, NULL), MAAS_E_INVALID);
    EXPECT_EQ(maas_graph_compact(g, NULL), MAAS_OK);
    EXPECT_EQ(g->n_nodes, 5);
    EXPECT_EQ(g->values[late].producer, 2);
    EXPECT_EQ(g->nodes[3].in[0], late);
    EXPECT_EQ(maas_graph_verify(g, NULL), MAAS_OK);
    maas_graph_destroy(g);
}

static void a_cycle_is_refused_by_name(void)
{
    maas_graph *g = t_graph();
    maas_vid x = t_input(g, "x"), a = t_node(g, &t_add, x, x), b = t_node(g, &t_add, a, x);
    maas_err err = {0};
    g->nodes[0].in[1] = b;
    EXPECT_EQ(maas_graph_compact(g, &err), MAAS_E_INVALID);
    EXPECT(strstr(err.msg, "depends on itself"));
    g->nodes[0].in[1] = a; /* on itself */
    EXPECT_EQ(maas_graph_compact(g, NULL), MAAS_E_INVALID);
    maas_graph_destroy(g);
}

/* Random graphs, nodes shuffled: sorted again, every node still there, and the verifier agrees. */
static void shuffled_graphs_are_sorted(void)
{
    maas_rng rng;
    for (uint64_t seed = 0; seed < 200; seed++) {
        maas_rng_seed(&rng, seed);
        maas_graph *g = t_graph();
        maas_vid x = t_input(g, "x");
        uint32_t n = 1 + (uint32_t)maas_rng_below(&rng, 60);
        for (uint32_t i = 0; i < n; i++)
            t_node(g, &t_add, x + (maas_vid)maas_rng_below(&rng, i + 1),
                   x + (maas_vid)maas_rng_below(&rng, i + 1));
        for (uint32_t i = n - 1; i > 0; i--) {
            uint32_t k = (uint32_t)maas_rng_below(&rng, i + 1);
            maas_node tmp = g->nodes[i];
            g->nodes[i] = g->nodes[k];
            g->nodes[k] = tmp;
        }
        for (uint32_t i = 0; i < n; i++)
            g->values[g->nodes[i].out[0]].producer = (maas_nid)i;
        EXPECT_MSG(maas_graph_compact(g, NULL) == MAAS_OK, "seed %llu", (unsigned long long)seed);
        EXPECT_EQ(g->n_nodes, n);
        EXPECT_MSG(maas_graph_verify(g, NULL) == MAAS_OK, "seed %llu", (unsigned long long)seed);
        maas_graph_destroy(g);
    }
}

static void a_long_chain_needs_no_deep_stack(void)
{
    enum { N = 200000 };
    maas_graph *g = t_graph();
    maas_vid v = t_input(g, "x");
    for (int i = 0; i < N; i++)
        v = t_node(g, &t_neg, v, MAAS_NO_VALUE);
    for (int i = 0; i < N / 2; i++) { /* reversed: the worst case for the stack */
        maas_node tmp = g->nodes[i];
        g->nodes[i] = g->nodes[N - 1 - i];
        g->nodes[N - 1 - i] = tmp;
    }
    for (uint32_t i = 0; i < N; i++)
        g->values[g->nodes[i].out[0]].producer = (maas_nid)i;
    EXPECT_EQ(maas_graph_compact(g, NULL), MAAS_OK);
    EXPECT_EQ(maas_graph_verify(g, NULL), MAAS_OK);
    EXPECT_EQ(g->values[v].producer, N - 1);
    maas_graph_destroy(g);
}

static const mt_case cases[] = {
    MT_CASE(replacing_an_output_keeps_its_name),
    MT_CASE(replacing_survives_every_failed_allocation),
    MT_CASE(uses_count_nodes_outputs_and_bindings),
    MT_CASE(what_was_appended_moves_to_just_before_its_use),
    MT_CASE(a_cycle_is_refused_by_name),
    MT_CASE(shuffled_graphs_are_sorted),
    MT_CASE(a_long_chain_needs_no_deep_stack),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
