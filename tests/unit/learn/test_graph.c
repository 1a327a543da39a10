/* Nodes and edges: which edges layers see, what is refused by name, resumption, lack of memory.
 * What the numbers are, tests/client compares with PyTorch. */
#include "maas_test.h"

#include "learn/graph_edges.h"
#include "toy.h"

enum { N = 60, MAX_EDGES = 256, MAX_STATES = 16 };
static float cells[3][N];
static int64_t kind[N], source[MAX_EDGES], target[MAX_EDGES];
static float weight[MAX_EDGES];
static toy nodes, edges;

/* Three communities; edges mostly within one. */
static void make(int64_t n_edges)
{
    maas_rng rng;
    maas_rng_seed(&rng, 5);
    for (int i = 0; i < N; i++) {
        kind[i] = i % 3;
        for (int d = 0; d < 3; d++)
            cells[d][i] = maas_rng_normal(&rng) + (float)(kind[i] == d);
    }
    for (int64_t e = 0; e < n_edges; e++) {
        source[e] = (int64_t)maas_rng_below(&rng, N);
        target[e] = (source[e] + 3 * (int64_t)maas_rng_below(&rng, 6) + (e % 7 == 0)) % N;
        weight[e] = 1 + (float)(e % 3);
    }
    toy_init(&nodes, N);
    toy_add(&nodes, "a", MAAS_F32, cells[0]);
    toy_add(&nodes, "b", MAAS_F32, cells[1]);
    toy_add(&nodes, "c", MAAS_F32, cells[2]);
    toy_add(&nodes, "kind", MAAS_I64, kind);
    toy_init(&edges, n_edges);
    toy_add(&edges, "source", MAAS_I64, source);
    toy_add(&edges, "target", MAAS_I64, target);
    toy_add(&edges, "w", MAAS_F32, weight);
}

static maas_status fit(maas_edges *e, const char *graph, maas_arena *arena, maas_err *err)
{
    static maas_recipe r;
    char params[300];
    snprintf(params, sizeof params, "{'layers':'gcn','graph':{'edges':'e',%s}}", graph);
    json_t *p = toy_params(params);
    *err = (maas_err){0};
    r = (maas_recipe){0};
    maas_status st = maas_learner_read("network", p, arena, &r, err);
    if (st == MAAS_OK)
        st = maas_edges_fit(e, &nodes.d, &edges.d, &r.graph, arena, err);
    json_decref(p);
    return st;
}

static void edges_are_read_both_ways_and_once(void)
{
    static const struct {
        const char *graph;
        int64_t n, from[8], to[8];
        float weight[8]; /* 0: it has none */
    } ways[] = {
        {"'directed':true", 4, {1, 2, 3, 2}, {0, 0, 0, 2}, {0}},
        {"'directed':false", 7, {1, 2, 3, 0, 0, 2, 0}, {0, 0, 0, 1, 2, 2, 3}, {0}},
        {"'directed':true,'weight':'w'", 4, {1, 2, 3, 2}, {0, 0, 0, 2}, {5, 2, 9, 4}},
    };
    make(0);
    /* 3 -> 0, 1 -> 0 twice, 2 -> 2, 2 -> 0 */
    memcpy(source, (int64_t[]){3, 1, 2, 2, 1}, 5 * sizeof *source);
    memcpy(target, (int64_t[]){0, 0, 2, 0, 0}, 5 * sizeof *target);
    memcpy(weight, (float[]){9, 1, 4, 2, 4}, 5 * sizeof *weight);
    edges.d.n_rows = 5;
    for (size_t i = 0; i < MAAS_COUNT(ways); i++) {
        maas_arena arena;
        maas_edges e;
        maas_err err;
        maas_arena_init(&arena, NULL);
        REQUIRE_OK(fit(&e, ways[i].graph, &arena, &err), err);
        EXPECT_EQ(e.n, ways[i].n);
        for (int64_t k = 0; k < ways[i].n && k < e.n; k++) {
            EXPECT_EQ(e.from[k], ways[i].from[k]);
            EXPECT_EQ(e.to[k], ways[i].to[k]);
            EXPECT_EQ(e.weight ? e.weight[k] : 0, ways[i].weight[k]);
        }
        maas_arena_reset(&arena);
    }
}

typedef struct watch {
    maas_buf states[MAX_STATES];
    int n;
} watch;

static maas_status keep(void *user, maas_span state, maas_err *err)
{
    watch *w = user;
    if (w->n == MAX_STATES)
        return MAAS_OK;
    w->states[w->n] = (maas_buf)MAAS_BUF_INIT(1u << 20);
    maas_buf_add(&w->states[w->n++], state.p, state.n);
    return MAAS_OK;
}

static maas_status train(const char *params, int n_threads, watch *w, maas_span resume,
                         maas_train_result *out, maas_err *err)
{
    json_t *p = toy_params(params);
    const maas_train_hooks hooks = {.user = w, .checkpoint = keep};
    const maas_train_job job = {.learner = "network",
                                .params = p,
                                .data = &nodes.d,
                                .edges = &edges.d,
                                .target = "kind",
                                .n_threads = n_threads,
                                .resume = resume,
                                .hooks = w ? &hooks : NULL};
    *err = (maas_err){0};
    const maas_status st = maas_train(&job, out, err);
    json_decref(p);
    return st;
}

static bool same(const maas_buf *a, const maas_buf *b)
{
    return a->n == b->n && memcmp(a->p, b->p, a->n) == 0;
}

static const char *const nets[] = {
    "{'layers':'gcn','graph':{'edges':'e'},'epochs':6,'seed':3,'validation':0.2}",
    "{'layers':'graphsage','graph':{'edges':'e','weight':'w','directed':true,'serve':'graph'},"
    "'epochs':6,'seed':3,'early_stopping':{'patience':2}}",
    "{'layers':[{'type':'sage_conv','units':4,'aggregate':'sum','activation':'tanh'},"
    "{'type':'batch_norm'},{'type':'dense'}],'graph':{'edges':'e'},'epochs':4}",
};

static void every_kind_that_reads_edges_is_here(void)
{
    static const char *const here[] = {"gcn_conv", "sage_conv"}; /* of the nets above */
    for (int k = 0; k < MAAS_N_LAYER_KINDS; k++) {
        bool found = !maas_layer_reads_edges(k);
        for (size_t i = 0; i < MAAS_COUNT(here); i++)
            found |= strcmp(here[i], maas_layer_kinds[k].doc.name) == 0;
        EXPECT_MSG(found, "no network here has a layer %s", maas_layer_kinds[k].doc.name);
    }
}

static void a_run_that_goes_on_ends_in_the_same_bytes(void)
{
    make(180);
    for (size_t i = 0; i < MAAS_COUNT(nets); i++) {
        maas_train_result whole = {0};
        watch w = {0};
        maas_err err;
        REQUIRE_OK(train(nets[i], 1, &w, (maas_span){0}, &whole, &err), err);
        EXPECT(w.n >= 2);
        for (int k = 0; k < w.n; k++) {
            maas_train_result rest = {0};
            REQUIRE_OK(train(nets[i], 1, NULL, maas_buf_span(&w.states[k]), &rest, &err), err);
            EXPECT(same(&whole.onnx, &rest.onnx));
            maas_train_result_reset(&rest);
        }
        target[7] = (target[7] + 1) % N; /* another graph is another run */
        maas_train_result other = {0};
        EXPECT(train(nets[i], 1, NULL, maas_buf_span(&w.states[0]), &other, &err) != MAAS_OK);
        for (int k = 0; k < w.n; k++)
            maas_buf_reset(&w.states[k]);
        maas_train_result_reset(&whole);
    }
}

static void lack_of_memory_is_an_error(void)
{
    make(60);
    for (long n = 1;; n += 1 + n / 16) {
        maas_train_result r = {0};
        maas_err err;
        json_t *p = toy_params("{'layers':'gcn','graph':{'edges':'e','weight':'w'},'epochs':1}");
        const maas_train_job job = {.learner = "network",
                                    .params = p,
                                    .data = &nodes.d,
                                    .edges = &edges.d,
                                    .target = "kind",
                                    .n_threads = 1};
        err = (maas_err){0};
        maas_mem_fail_at(n);
        const maas_status st = maas_train(&job, &r, &err);
        maas_mem_fail_at(0);
        json_decref(p);
        maas_train_result_reset(&r);
        if (st == MAAS_OK || mt_failed) {
            EXPECT(n > 50);
            return;
        }
        /* the fingerprint cannot tell lack of memory from names that are not UTF-8 */
        EXPECT_MSG(st == MAAS_E_NOMEM || strstr(err.msg, "memory"), "%s", err.msg);
    }
}

static void a_budget_holds(void)
{
    make(180);
    maas_budget budget = {.limit = 60000};
    json_t *p = toy_params(nets[0]);
    maas_train_result r = {0};
    maas_err err = {0};
    const maas_train_job job = {.learner = "network",
                                .params = p,
                                .data = &nodes.d,
                                .edges = &edges.d,
                                .target = "kind",
                                .n_threads = 1,
                                .budget = &budget};
    EXPECT_EQ(maas_train(&job, &r, &err), MAAS_E_NOMEM);
    EXPECT_EQ(budget.used, 0);
    json_decref(p);
}

static void mistakes_are_named(void)
{
    static const struct {
        const char *params, *words;
    } bad[] = {
        {"'layers':'gcn','graph':{'edges':7}", "params.graph.edges must be a name"},
        {"'layers':'gcn','graph':{'edge':'e'}", "edge"},
        {"'layers':'gcn','graph':{'edges':'e','source':'from'}", "has no column 'from'"},
        {"'layers':'gcn','graph':{'edges':'e','id':'name'}", "has no column 'name'"},
        {"'layers':'gcn','graph':{'edges':'e','id':'kind'}", "have the same name"},
        {"'layers':'gcn','graph':{'edges':'e','split':'kind'}", "params.graph.split"},
        {"'layers':'gcn','graph':{'edges':'e','split':'s'},'validation':0.1", "params.validation"},
        {"'layers':['gcn_conv',{'type':'dense'}],'graph':{'edges':'e'}", "params.layers[0].units"},
        {"'layers':[{'type':'sage_conv','aggregate':'median'}],'graph':{'edges':'e'}", "aggregate"},
        {"'layers':'deepfm','graph':{'edges':'e'}", "params.graph needs a layer"},
        {"'layers':['fields','flatten','gcn_conv'],'graph':{'edges':'e'}", "params.graph: nodes"},
        {"'layers':'gcn','graph':{'edges':'e'},'augment':{'flip':'both'}", "params.augment"},
        {"'layers':'gcn','graph':{'edges':'e'},'accumulate':2", "params.accumulate"},
    };
    make(60);
    for (size_t i = 0; i < MAAS_COUNT(bad); i++) {
        char params[300];
        maas_train_result r = {0};
        maas_err err;
        snprintf(params, sizeof params, "{%s}", bad[i].params);
        EXPECT_MSG(train(params, 1, NULL, (maas_span){0}, &r, &err) == MAAS_E_INVALID, "%s",
                   params);
        EXPECT_MSG(strstr(err.msg, bad[i].words) != NULL, "%s: %s", params, err.msg);
        maas_train_result_reset(&r);
    }
    maas_train_result r = {0};
    maas_err err;
    EXPECT_EQ(toy_train(&nodes, "network", "kind", nets[0], &r, &err), MAAS_E_INVALID);
    EXPECT_MSG(strstr(err.msg, "params.graph.edges") != NULL, "%s", err.msg);
    edges.d.n_rows = 0;
    EXPECT_EQ(train(nets[0], 1, NULL, (maas_span){0}, &r, &err), MAAS_E_INVALID);
    EXPECT_MSG(strstr(err.msg, "has no edges") != NULL, "%s", err.msg);
}

static const mt_case cases[] = {
    MT_CASE(edges_are_read_both_ways_and_once),
    MT_CASE(every_kind_that_reads_edges_is_here),
    MT_CASE(a_run_that_goes_on_ends_in_the_same_bytes),
    MT_CASE(mistakes_are_named),
    MT_CASE(a_budget_holds),
    MT_CASE(lack_of_memory_is_an_error),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
