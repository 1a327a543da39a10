/*
 * bench_train_step - one training step of a 784-128-128-10 network (u8 images scaled by 1/255, two
 * relu layers, softmax cross entropy, Adam), built and run as the trainer does it, next to the
 * multiply-add peak of this machine in the same minute.
 *
 *   bench_train_step [--profile] [--dump] [threads]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/peak.h"
#include "base/mem.h"
#include "base/sys.h"
#include "ops/build.h"
#include "passes/pass.h"
#include "runtime/plan.h"

#define N_IMAGES         4096
#define PIXELS           784
#define FLOPS_PER_SAMPLE 507392 /* products only, forward and backward */
#define SECONDS          1.0

static void die(const maas_err *err)
{
    fprintf(stderr, "bench_train_step: %s\n", err->msg);
    exit(1);
}

/* ---- the graph ---- */

typedef struct net {
    maas_graph *g;
    maas_builder b;
    maas_rng rng;
    maas_vid weights[6];
    int n_weights;
} net;

static maas_vid variable(net *n, const char *name, int i, int rank, const int64_t *dims,
                         float scale)
{
    char text[32];
    maas_tensor t = maas_tensor_of(MAAS_F32, rank, dims, NULL);
    float *p = t.data = maas_calloc((size_t)maas_n_elems(&t), sizeof(float));
    for (int64_t k = 0; k < maas_n_elems(&t); k++)
        p[k] = scale * maas_rng_normal(&n->rng);
    snprintf(text, sizeof text, "%s%d", name, i);
    maas_vid out = MAAS_NO_VALUE;
    if (maas_graph_variable(n->g, text, &t, true, &out, n->b.err) != MAAS_OK)
        die(n->b.err);
    maas_free(t.data);
    return out;
}

static maas_vid dense(net *n, maas_vid x, int64_t from, int64_t to, bool relu)
{
    const int64_t dims[] = {from, to};
    const int i = n->n_weights;
    maas_vid w = variable(n, "w", i, 2, dims, 0.05f);
    maas_vid c = variable(n, "w", i + 1, 1, &to, 0);
    n->weights[n->n_weights++] = w;
    n->weights[n->n_weights++] = c;
    maas_vid y = maas_b_op3(&n->b, "Gemm", x, w, c);
    return relu ? maas_b_op1(&n->b, "Relu", y) : y;
}

static maas_vid scaled(maas_builder *b, maas_vid x, float by)
{
    return maas_b_op2(b, "Mul", x, maas_b_f32(b, by));
}

static void bind(net *n, maas_vid var, maas_vid value)
{
    if (n->b.status != MAAS_OK || maas_graph_bind(n->g, var, value, n->b.err) != MAAS_OK)
        die(n->b.err);
}

static void adam(net *n, int i, maas_vid g, maas_vid lr, maas_vid epsilon)
{
    maas_builder *b = &n->b;
    const maas_type *t = maas_b_type(b, n->weights[i]);
    maas_vid w = n->weights[i], m = variable(n, "m", i, t->rank, t->dims, 0);
    maas_vid v = variable(n, "v", i, t->rank, t->dims, 0);
    maas_vid m2 = maas_b_op2(b, "Add", scaled(b, m, 0.9f), scaled(b, g, 0.1f));
    maas_vid v2 = maas_b_op2(b, "Add", scaled(b, v, 0.999f),
                             scaled(b, maas_b_op2(b, "Mul", g, g), 0.001f));
    maas_vid root = maas_b_op1(b, "Sqrt", v2);
    maas_vid d = maas_b_op2(b, "Div", m2, maas_b_op2(b, "Add", root, epsilon));
    bind(n, m, m2);
    bind(n, v, v2);
    bind(n, w, maas_b_op2(b, "Sub", w, maas_b_op2(b, "Mul", d, lr)));
}

static void build(net *n, int64_t batch, maas_err *err)
{
    const int64_t image[] = {batch, PIXELS};
    maas_builder_init(&n->b, n->g, err);
    maas_rng_seed(&n->rng, 7);
    maas_vid x = maas_b_input(&n->b, "x", MAAS_U8, 2, image);
    maas_vid labels = maas_b_input(&n->b, "labels", MAAS_I64, 1, &batch);
    maas_vid lr = maas_b_input(&n->b, "lr", MAAS_F32, 0, NULL);
    maas_vid epsilon = maas_b_input(&n->b, "epsilon", MAAS_F32, 0, NULL);
    const maas_attr to = MAAS_A_INT("to", MAAS_F32);
    maas_vid h = maas_b_node(&n->b, "Cast", &to, 1, &x, 1, NULL, 1);
    h = dense(n, scaled(&n->b, h, 1 / 255.0f), PIXELS, 128, true);
    h = dense(n, h, 128, 128, true);
    h = dense(n, h, 128, 10, false);
    maas_vid loss = maas_b_op2(&n->b, "SoftmaxCrossEntropyLoss", h, labels);
    maas_b_output(&n->b, "loss", loss);
    maas_vid grads[6];
    if (n->b.status != MAAS_OK || maas_graph_differentiate(n->g, loss, n->weights, 6, grads, err))
        die(err);
    for (int i = 0; i < 6; i++)
        adam(n, i, grads[i], lr, epsilon);
}

/* ---- running ---- */

typedef struct data {
    uint8_t *pixels;
    int64_t *labels;
} data;

static void gather(const data *d, maas_rng *rng, int64_t batch, maas_exec *e)
{
    uint8_t *x = maas_exec_input(e, 0)->data;
    int64_t *labels = maas_exec_input(e, 1)->data;
    for (int64_t i = 0; i < batch; i++) {
        const uint64_t k = maas_rng_below(rng, N_IMAGES);
        memcpy(x + i * PIXELS, d->pixels + k * PIXELS, PIXELS);
        labels[i] = d->labels[k];
    }
}

/* Each step's shortest time over many runs: what it takes when nobody else wants the cores. */
static void print_profile(maas_exec *e)
{
    enum { RUNS = 300, MAX_STEPS = 64 };
    unsigned long long least[MAX_STEPS], sum = 0;
    int n = 0;
    maas_buf text = MAAS_BUF_INIT(1 << 20);
    maas_exec_profile(e, true);
    for (int run = 0; run < RUNS; run++) {
        maas_buf_clear(&text);
        if (maas_exec_run(e, NULL) != MAAS_OK)
            return;
        maas_exec_profile_json(e, &text);
        n = 0;
        for (char *c = text.p; (c = strstr(c, "\"ns\":")) && n < MAX_STEPS; n++, c++) {
            const unsigned long long ns = strtoull(c + 5, NULL, 10);
            least[n] = run == 0 || ns < least[n] ? ns : least[n];
        }
    }
    char *c = text.p;
    for (int i = 0; i < n; i++) {
        c = strstr(c, "\"kernel\":\"") + 10;
        printf("  %2d %-32.*s %8.2f us\n", i, (int)strcspn(c, "\""), c, (double)least[i] / 1e3);
        sum += least[i];
    }
    printf("     sum of the shortest %27.2f us\n", (double)sum / 1e3);
    maas_buf_reset(&text);
}

static void measure(int64_t batch, int n_threads, double peak, const data *d, bool dump,
                    bool profile)
{
    maas_err err = {0};
    net n = {0};
    maas_plan *p = NULL;
    maas_vars *vars = NULL;
    maas_exec *e = NULL;
    if (maas_graph_create("bench", NULL, &n.g, &err) != MAAS_OK)
        die(&err);
    build(&n, batch, &err);
    maas_type types[4];
    for (uint32_t i = 0; i < n.g->n_inputs; i++)
        types[i] = maas_graph_at(n.g, n.g->inputs[i])->type;
    const maas_plan_opts o = {.n_threads = n_threads, .level = 2, .training = true};
    if (maas_plan_create(n.g, types, &o, &p, &err) || maas_vars_create(n.g, NULL, &vars, &err) ||
        maas_exec_create(p, vars, &e, &err))
        die(&err);
    maas_buf text = MAAS_BUF_INIT(1 << 20);
    maas_plan_dump(p, &text);
    if (dump)
        fputs(text.p, stdout);
    *(float *)maas_exec_input(e, 2)->data = 0.001f;
    *(float *)maas_exec_input(e, 3)->data = 1e-8f;
    float first = 0, last = 0;
    int64_t steps = 0;
    double best = 0;
    uint64_t shortest = UINT64_MAX;
    for (int round = 0; round < 5; round++) {
        const uint64_t t0 = maas_now_ns();
        int64_t k = 0;
        for (; (double)(maas_now_ns() - t0) < SECONDS / 5 * 1e9; k++, steps++) {
            const uint64_t t1 = maas_now_ns();
            gather(d, &n.rng, batch, e);
            if (maas_exec_run(e, &err) != MAAS_OK)
                die(&err);
            const uint64_t took = maas_now_ns() - t1;
            shortest = took < shortest ? took : shortest;
            last = *(const float *)maas_exec_output(e, 0)->data;
            first = steps ? first : last;
        }
        const double rate = (double)(k * batch) / (double)(maas_now_ns() - t0) * 1e9;
        best = rate > best ? rate : best;
    }
    const double gflops = best * FLOPS_PER_SAMPLE * 1e-9;
    printf("batch %4lld: %8.0f samples/s  %6.1f us/step  %5.1f GFLOP/s = %4.1f %% of the peak  "
           "(shortest step %.1f us = %.1f %%, %u calls, loss %.3f -> %.3f)\n",
           (long long)batch, best, (double)batch / best * 1e6, gflops, 100 * gflops / peak,
           (double)shortest / 1e3,
           100.0 * FLOPS_PER_SAMPLE * (double)batch / (double)shortest / peak, maas_plan_n_steps(p),
           (double)first, (double)last);
    if (profile)
        print_profile(e);
    maas_buf_reset(&text);
    maas_exec_destroy(e);
    maas_vars_destroy(vars);
    maas_plan_destroy(p);
    maas_graph_destroy(n.g);
}

int main(int argc, char **argv)
{
    bool profile = false, dump = false;
    int n_threads = maas_sys_n_cores();
    for (int i = 1; i < argc; i++) {
        profile |= strcmp(argv[i], "--profile") == 0;
        dump |= strcmp(argv[i], "--dump") == 0;
        if (argv[i][0] >= '1' && argv[i][0] <= '9')
            n_threads = (int)strtol(argv[i], NULL, 10);
    }
    data d = {maas_alloc((size_t)N_IMAGES * PIXELS), maas_calloc(N_IMAGES, sizeof(int64_t))};
    maas_rng rng;
    maas_rng_seed(&rng, 1);
    for (int64_t i = 0; i < N_IMAGES; i++) {
        d.labels[i] = (int64_t)maas_rng_below(&rng, 10);
        for (int k = 0; k < PIXELS; k++) /* a class is a bright stripe in noise */
            d.pixels[i * PIXELS + k] = (uint8_t)(maas_rng_below(&rng, 100) +
                                                 (k / 79 == d.labels[i] ? 100 : 0));
    }
    const double peak = bench_peak_gflops(n_threads);
    printf("multiply-add peak: %.0f GFLOP/s on %d threads\n", peak, n_threads);
    measure(64, n_threads, peak, &d, dump, profile);
    measure(512, n_threads, peak, &d, false, profile);
    maas_free(d.pixels);
    maas_free(d.labels);
    return 0;
}
