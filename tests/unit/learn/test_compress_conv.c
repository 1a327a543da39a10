/* tests/unit/learn/test_compress_conv.c - steps over convolutions, and over products that are
 * written in other ways: stored by outputs, with factors, without a bias, two in a row; and small
 * parts. */
#include "../../maas_test.h"

#include "learn/compress/ranges.h"
#include "learn/compress/select.h"
#include "learn/compress/step.h"
#include "ops/build.h"
#include "toy.h"

enum { ROWS = 200, SIDE = 8, FILTERS = 6, OUT = 3 };

typedef struct net {
    float x[ROWS * SIDE * SIDE], y[ROWS];
    toy t;
    maas_graph *g;
    maas_rng rng;
} net;

static maas_vid weight(net *n, maas_builder *b, const char *name, int rank, const int64_t *dims,
                       double size)
{
    maas_tensor t = maas_tensor_of(MAAS_F32, rank, dims, NULL);
    AUTO_FREE float *v = maas_calloc((size_t)maas_n_elems(&t), sizeof *v);
    for (int64_t i = 0; i < maas_n_elems(&t); i++)
        v[i] = (float)(size * maas_rng_normal(&n->rng));
    t.data = v;
    return maas_b_const(b, name, &t);
}

/* Conv, padded and grouped or not, Relu, Gemm by outputs with alpha and beta, MatMul, MatMul. */
static void make_net(net *n, int64_t groups, bool bias)
{
    maas_builder b;
    maas_err err = {0};
    int64_t batch;
    maas_rng_seed(&n->rng, 31);
    for (int i = 0; i < ROWS * SIDE * SIDE; i++)
        n->x[i] = (float)maas_rng_normal(&n->rng);
    REQUIRE_OK(maas_graph_create("net", NULL, &n->g, &err), err);
    maas_builder_init(&b, n->g, &err);
    maas_graph_symbol(n->g, "batch", &batch, &err);
    const int64_t channels = groups, high = SIDE / groups;
    maas_vid v = maas_b_input(&b, "x", MAAS_F32, 4, (int64_t[]){batch, channels, high, SIDE});
    maas_vid in[3] = {v, weight(n, &b, "w", 4, (int64_t[]){FILTERS, 1, 3, 3}, 0.4),
                      weight(n, &b, "c", 1, (int64_t[]){FILTERS}, 0.2)};
    const maas_attr conv[2] = {MAAS_A_INTS("pads", ((int64_t[]){1, 1, 1, 1}), 4),
                               MAAS_A_INT("group", groups)};
    maas_b_node(&b, "Conv", conv, 2, in, bias ? 3 : 2, &v, 1);
    v = maas_b_op1(&b, "Flatten", maas_b_op1(&b, "Relu", v));
    const int64_t wide = FILTERS * high * SIDE;
    const maas_attr gemm[3] = {MAAS_A_INT("transB", 1), MAAS_A_FLOAT("alpha", 0.5f),
                               MAAS_A_FLOAT("beta", 2)};
    maas_vid into[3] = {v, weight(n, &b, "g", 2, (int64_t[]){20, wide}, 0.1),
                        weight(n, &b, "h", 1, (int64_t[]){20}, 0.1)};
    maas_b_node(&b, "Gemm", gemm, 3, into, 3, &v, 1);
    v = maas_b_op2(&b, "MatMul", v, weight(n, &b, "m", 2, (int64_t[]){20, 16}, 0.3));
    v = maas_b_op2(&b, "MatMul", v, weight(n, &b, "o", 2, (int64_t[]){16, OUT}, 0.3));
    maas_b_output(&b, "value", v);
    EXPECT_MSG(b.status == MAAS_OK, "%s", err.msg);
    toy_init(&n->t, ROWS);
    toy_add_tensor(&n->t, "x", MAAS_F32, 3, (int64_t[]){channels, high, SIDE}, n->x);
    toy_add(&n->t, "y", MAAS_F32, n->y);
}

static void predict(const net *n, const maas_graph *g, bool reference, double *out)
{
    maas_plan_opts o = MAAS_PLAN_OPTS_INIT;
    maas_type type = maas_graph_at(g, g->inputs[0])->type;
    maas_plan *p = NULL;
    maas_exec *e = NULL;
    maas_err err = {0};
    type.dims[0] = ROWS;
    o.n_threads = 1;
    o.check = true;
    o.reference = reference;
    REQUIRE_OK(maas_plan_create(g, &type, &o, &p, &err), err);
    REQUIRE_OK(maas_exec_create(p, NULL, &e, &err), err);
    memcpy(maas_exec_input(e, 0)->data, n->x, sizeof n->x);
    REQUIRE_OK(maas_exec_run(e, &err), err);
    for (int i = 0; i < ROWS * OUT; i++)
        out[i] = maas_tensor_get(maas_exec_output(e, 0), i);
    maas_exec_destroy(e);
    maas_plan_destroy(p);
}

static maas_graph *apply(const net *n, const char *steps, json_t *said, maas_err *err)
{
    json_t *j = toy_params(steps);
    maas_arena a;
    maas_compress_spec spec;
    maas_train_job job = {.data = &n->t.d, .target = "y", .n_threads = 1, .parent = n->g};
    maas_step_call c = {.job = &job, .whole = &spec, .seen = &n->t.d, .said = said};
    maas_arena_init(&a, NULL);
    maas_status st = maas_compress_spec_read(j, &a, &spec, err);
    if (st == MAAS_OK)
        st = maas_graph_clone(n->g, NULL, &c.g, err);
    if (st == MAAS_OK)
        st = maas_graph_infer(c.g, err);
    for (size_t i = 0; st == MAAS_OK && i < spec.steps.n; i++) {
        c.spec = (const maas_step_spec *)spec.steps.items + i;
        st = maas_compress_apply(&c, err);
    }
    maas_arena_reset(&a);
    json_decref(j);
    if (st != MAAS_OK)
        maas_graph_destroy(STEAL(c.g));
    return c.g;
}

static double off_by(const double *want, const double *got)
{
    double mean = 0, var = 0, off = 0;
    for (int i = 0; i < ROWS * OUT; i++)
        mean += want[i] / (ROWS * OUT);
    for (int i = 0; i < ROWS * OUT; i++) {
        var += pow(want[i] - mean, 2);
        off += pow(want[i] - got[i], 2);
    }
    return sqrt(off / var);
}

static int n_of(const maas_graph *g, const char *op)
{
    int n = 0;
    for (uint32_t i = 0; i < g->n_nodes; i++)
        n += strcmp(g->nodes[i].op->name, op) == 0;
    return n;
}

/* Bytes: a step is 1/255 of a range of about 8 deviations, an error of 0.009 deviations at each of
 * four products one after the other, and as much by the weights. */
static const struct {
    const char *steps;
    double off;
    const char *op; /* that the model has then */
    int n;
} cases[] = {
    {"{'steps':[{'type':'f16','min_elements':1}]}", 1e-3, "Cast", 4},
    {"{'steps':[{'type':'int8','min_elements':1}]}", 0.02, "DequantizeLinear", 4},
    {"{'steps':[{'type':'int8','min_elements':1,'per_channel':false}]}", 0.04, "DequantizeLinear",
     4},
    {"{'steps':[{'type':'dynamic_int8','min_elements':1}]}", 0.05, "MatMulInteger", 3},
    {"{'steps':[{'type':'static_int8','min_elements':1}]}", 0.05, "ConvInteger", 1},
    {"{'steps':[{'type':'static_int8','min_elements':1,'per_channel':false}]}", 0.07,
     "MatMulInteger", 3},
    {"{'steps':[{'type':'static_int8','min_elements':1,'format':'qdq'}]}", 0.05, "QuantizeLinear",
     4},
    {"{'steps':[{'type':'cluster','min_elements':1,'bits':8}]}", 0.02, "Gather", 4},
    {"{'steps':[{'type':'smooth_quant'}]}", 1e-6, "Mul", 3},
    {"{'steps':['smooth_quant',{'type':'static_int8','min_elements':1}]}", 0.05, "MatMulInteger",
     3},
    {"{'steps':[{'type':'low_rank','rank':18,'min_elements':1000}]}", 0.4, "MatMul", 3},
    {"{'steps':[{'type':'low_rank','rank':18,'min_elements':1000},{'type':'dynamic_int8',"
     "'min_elements':1}]}",
     0.4, "MatMulInteger", 4},
};

static void steps_know_all_ways_to_write_a_product(void)
{
    static net n;
    for (int way = 0; way < 4; way++) {
        double want[ROWS * OUT], exact[ROWS * OUT], fast[ROWS * OUT];
        make_net(&n, way & 1 ? 2 : 1, way & 2);
        predict(&n, n.g, true, want);
        for (size_t i = 0; i < MAAS_COUNT(cases); i++) {
            json_t *said = json_object();
            maas_err err = {0};
            maas_graph *g = apply(&n, cases[i].steps, said, &err);
            EXPECT_MSG(g != NULL, "%s: %s", cases[i].steps, err.msg);
            if (g) {
                predict(&n, g, true, exact);
                predict(&n, g, false, fast);
                EXPECT_MSG(off_by(exact, fast) < 2e-3, "way %d %s: kernels are off by %g", way,
                           cases[i].steps, off_by(exact, fast));
                EXPECT_MSG(off_by(want, exact) <= cases[i].off, "way %d %s: off by %g", way,
                           cases[i].steps, off_by(want, exact));
                EXPECT_MSG(n_of(g, cases[i].op) == cases[i].n, "%s: %d of %s", cases[i].steps,
                           n_of(g, cases[i].op), cases[i].op);
            }
            maas_graph_destroy(g);
            json_decref(said);
        }
        maas_graph_destroy(n.g);
    }
    EXPECT_EQ(maas_mem_live(), 0);
}

/* Channels that are always zero go first, and nothing changes. */
static void channels_that_say_nothing_go_without_loss(void)
{
    static net n;
    for (int way = 0; way < 4; way++) {
        double want[ROWS * OUT], got[ROWS * OUT];
        json_t *said = json_object();
        maas_err err = {0};
        make_net(&n, 1, way & 2);
        float *w = maas_graph_at(n.g, maas_graph_find(n.g, "w"))->init.data;
        float *c = maas_graph_at(n.g, maas_graph_find(n.g, "c"))->init.data;
        for (int f = 1; f < FILTERS; f += 3) /* two of six */
            for (int i = 0; i < 9; i++) {
                w[f * 9 + i] = 0;
                c[f] = -1; /* before Relu */
            }
        maas_graph *g = apply(&n, "{'steps':[{'type':'prune_channels','ratio':0.34}]}", said, &err);
        EXPECT_MSG(g != NULL, "%s", err.msg);
        if (g) {
            EXPECT_EQ(maas_graph_at(g, maas_graph_find(g, "w"))->init.dims[0], 4);
            EXPECT_EQ(maas_graph_at(g, maas_graph_find(g, "g"))->init.dims[1], 4 * SIDE * SIDE);
            predict(&n, n.g, true, want);
            predict(&n, g, true, got);
            EXPECT_MSG(off_by(want, got) < 1e-6, "way %d: off by %g", way, off_by(want, got));
            predict(&n, g, false, got);
            EXPECT_MSG(off_by(want, got) < 1e-5, "way %d: off by %g", way, off_by(want, got));
        }
        maas_graph_destroy(g);
        json_decref(said);
        maas_graph_destroy(n.g);
    }
}

/* Rows of tables of parameters, as tests/unit/learn/test_param.c asks of those of learners. */
static void parameters_are_told(void)
{
    for (int s = 0; s < MAAS_N_COMPRESS_STEPS; s++) {
        const maas_variant *d = &maas_compress_steps[s].doc;
        EXPECT(d->help && *d->help && d->n_rows > 0);
        for (size_t i = 0; i < d->n_rows; i++) {
            const maas_param *p = &d->rows[i];
            const bool number = p->kind == MAAS_PARAM_INT || p->kind == MAAS_PARAM_NUM;
            EXPECT_MSG(p->name && p->help && *p->help, "%s.%zu", d->name, i);
            EXPECT_MSG(!number || isnan(p->preset) || (p->preset >= p->min && p->preset <= p->max),
                       "%s.%s: default %g", d->name, p->name, p->preset);
        }
    }
}

/* ---- small parts ---- */

static void selection_is_sorting(void)
{
    maas_rng rng;
    maas_rng_seed(&rng, 3);
    for (int n = 1; n < 200; n += 7)
        for (int k = 0; k < n; k += 3) {
            float v[200];
            int below = 0, same = 0;
            for (int i = 0; i < n; i++)
                v[i] = (float)maas_rng_below(&rng, 20);
            const float x = maas_select(v, n, k);
            for (int i = 0; i < n; i++) {
                below += v[i] < x;
                same += v[i] == x;
            }
            EXPECT(below <= k && k < below + same);
        }
}

static void ranges_cut_what_is_rare(void)
{
    double even[MAAS_RANGE_BINS], bell[MAAS_RANGE_BINS] = {0};
    for (int i = 0; i < MAAS_RANGE_BINS; i++)
        even[i] = 10;
    maas_range r = maas_range_of_histogram(even, -1, 1, MAAS_RANGE_PERCENTILE, 98);
    EXPECT_NEAR(r.lo, -0.98, 2e-3);
    EXPECT_NEAR(r.hi, 0.98, 2e-3);
    r = maas_range_of_histogram(even, 2, 3, MAAS_RANGE_PERCENTILE, 98);
    EXPECT_NEAR(r.lo, 0, 0);                    /* zero has a code */
    for (int i = 0; i < MAAS_RANGE_BINS; i++) { /* deviation 1 within [-40, 40], one at the end */
        const double at = -40 + 80 * (i + 0.5) / MAAS_RANGE_BINS;
        bell[i] = floor(1e5 * exp(-at * at / 2));
    }
    bell[MAAS_RANGE_BINS - 1] = 1;
    r = maas_range_of_histogram(bell, -40, 40, MAAS_RANGE_ENTROPY, 0);
    EXPECT_MSG(r.hi > 2 && r.hi < 10, "entropy cuts a bell at %g", (double)r.hi);
    EXPECT_NEAR(r.lo, -r.hi, 1e-6);
}

int main(int argc, char **argv)
{
    static const mt_case all[] = {
        MT_CASE(steps_know_all_ways_to_write_a_product),
        MT_CASE(channels_that_say_nothing_go_without_loss),
        MT_CASE(parameters_are_told),
        MT_CASE(selection_is_sorting),
        MT_CASE(ranges_cut_what_is_rare),
    };
    return mt_main(argc, argv, all, sizeof all / sizeof *all);
}
