/*
 * Random graphs, run as they are by reference code and again with every pass, every kernel, buffer
 * sharing and threads: outputs and variables must agree after several runs.
 */
#include "maas_test.h"

#include "base/mem.h"
#include "base/sys.h"
#include "ops/build.h"
#include "runtime/plan.h"

#define ROWS     40
#define COLS     96 /* rows x cols is large enough that some steps are shared among threads */
#define MAX_POOL 80

enum { FULL, ROW, COLUMN, SCALAR, SQUARE, N_SHAPES };
static const struct {
    int rank;
    int64_t dims[2];
} shapes[N_SHAPES] = {{2, {ROWS, COLS}}, {1, {COLS}}, {2, {ROWS, 1}}, {0, {0}}, {2, {COLS, COLS}}};

typedef struct maker {
    maas_graph *g;
    maas_builder b;
    maas_rng rng;
    maas_vid pool[MAX_POOL];
    int shape[MAX_POOL], n;
    maas_vid var[4];
    int n_var;
} maker;

static int below(maker *m, int n)
{
    return (int)maas_rng_below(&m->rng, (uint64_t)n);
}

static void fill(maas_rng *rng, float *p, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        p[i] = (float)(2 * maas_rng_unit(rng) - 1);
}

static void push(maker *m, maas_vid v, int shape)
{
    if (m->n < MAX_POOL) {
        m->pool[m->n] = v;
        m->shape[m->n++] = shape;
    }
}

static void leaves(maker *m)
{
    static float data[COLS * COLS];
    for (int i = 0; i < 8; i++) {
        const int s = i < N_SHAPES ? i : below(m, N_SHAPES - 1);
        maas_tensor t = maas_tensor_of(MAAS_F32, shapes[s].rank, shapes[s].dims, data);
        maas_vid v = MAAS_NO_VALUE;
        char name[16];
        fill(&m->rng, data, maas_n_elems(&t));
        snprintf(name, sizeof name, "leaf%d", i);
        if (i % 3 == 0)
            v = maas_b_input(&m->b, name, MAAS_F32, shapes[s].rank, shapes[s].dims);
        else if (i % 3 == 1)
            v = maas_b_const(&m->b, name, &t);
        else
            EXPECT_EQ(maas_graph_variable(m->g, name, &t, true, &v, NULL), MAAS_OK);
        if (i % 3 == 2)
            m->var[m->n_var++] = v;
        push(m, v, s);
    }
    const maas_attr to = MAAS_A_INT("to", MAAS_F32);
    maas_vid x = maas_b_input(&m->b, "bytes", MAAS_U8, 2, shapes[FULL].dims);
    x = maas_b_node(&m->b, "Cast", &to, 1, &x, 1, NULL, 1);
    push(m, maas_b_op2(&m->b, "Mul", x, maas_b_f32(&m->b, 1 / 255.0f)), FULL);
}

/* -1: these two do not broadcast to a shape of ours */
static int joint(int a, int b)
{
    if (a == b || b == SCALAR)
        return a;
    if (a == SCALAR)
        return b;
    if (a == SQUARE || b == SQUARE)
        return a == ROW || b == ROW ? SQUARE : -1;
    return FULL;
}

static void grow(maker *m)
{
    static const char *const one[] = {"Relu", "Tanh", "Sigmoid", "Neg", "Abs", "Identity"};
    static const char *const two[] = {"Add", "Sub", "Mul", "ReluGrad"};
    const int a = below(m, m->n), b = below(m, m->n), kind = below(m, 10);
    if (kind < 4) {
        push(m, maas_b_op1(&m->b, one[below(m, 6)], m->pool[a]), m->shape[a]);
    } else if (kind < 8) {
        const int op = below(m, m->shape[a] == m->shape[b] ? 4 : 3);
        const int s = joint(m->shape[a], m->shape[b]);
        if (s >= 0)
            push(m, maas_b_op2(&m->b, two[op], m->pool[a], m->pool[b]), s);
    } else if (m->shape[a] == FULL || m->shape[a] == SQUARE) {
        const maas_attr t = MAAS_A_INT("transB", below(m, 2));
        maas_vid in[2] = {m->pool[a], m->pool[SQUARE]};
        maas_vid y = kind == 8 ? maas_b_op2(&m->b, "MatMul", in[0], in[1])
                               : maas_b_node(&m->b, "Gemm", &t, 1, in, 2, NULL, 1);
        push(m, maas_b_op2(&m->b, "Mul", y, maas_b_f32(&m->b, 0.1f)), m->shape[a]);
    } else {
        push(m, maas_b_op2(&m->b, "ReduceTo", m->pool[below(m, m->n)], m->pool[SCALAR]), SCALAR);
        m->pool[m->n - 1] = maas_b_op1(&m->b, "Tanh", m->pool[m->n - 1]);
    }
}

static void make(maker *m, uint64_t seed)
{
    *m = (maker){0};
    maas_rng_seed(&m->rng, seed);
    EXPECT_EQ(maas_graph_create("t", NULL, &m->g, NULL), MAAS_OK);
    maas_builder_init(&m->b, m->g, NULL);
    leaves(m);
    for (int i = 0; i < 40; i++)
        grow(m);
    for (int i = 0; i < m->n_var; i++)
        for (int k = m->n; k-- > 0;)
            if (maas_type_of(&maas_graph_at(m->g, m->var[i])->init).rank ==
                    shapes[m->shape[k]].rank &&
                memcmp(maas_graph_at(m->g, m->var[i])->type.dims, shapes[m->shape[k]].dims,
                       (size_t)shapes[m->shape[k]].rank * sizeof(int64_t)) == 0 &&
                below(m, 3) == 0) {
                maas_vid next = below(m, 2) ? maas_b_op1(&m->b, "Tanh", m->pool[k]) : m->pool[k];
                EXPECT_EQ(maas_graph_bind(m->g, m->var[i], next, NULL), MAAS_OK);
                break;
            }
    for (int i = 0; i < 4; i++) {
        char name[16];
        snprintf(name, sizeof name, "out%d", i);
        maas_b_output(&m->b, name, maas_b_op1(&m->b, "Neg", m->pool[m->n - 1 - 3 * i]));
    }
}

typedef struct side {
    maas_plan *plan;
    maas_vars *vars;
    maas_exec *exec;
} side;

static bool start(side *s, const maker *m, const maas_plan_opts *o)
{
    maas_type types[16];
    maas_err err = {0};
    for (uint32_t i = 0; i < m->g->n_inputs; i++)
        types[i] = maas_graph_at(m->g, m->g->inputs[i])->type;
    const bool ok = maas_plan_create(m->g, types, o, &s->plan, &err) == MAAS_OK &&
                    maas_vars_create(m->g, NULL, &s->vars, &err) == MAAS_OK &&
                    maas_exec_create(s->plan, s->vars, &s->exec, &err) == MAAS_OK;
    EXPECT_MSG(ok, "%s", err.msg);
    for (uint32_t i = 0; ok && i < m->g->n_inputs; i++) {
        maas_rng rng;
        maas_rng_seed(&rng, i + 1);
        maas_tensor *t = maas_exec_input(s->exec, i);
        if (t->dtype == MAAS_F32)
            fill(&rng, t->data, maas_n_elems(t));
        else
            for (int64_t k = 0; k < maas_n_elems(t); k++)
                ((uint8_t *)t->data)[k] = (uint8_t)maas_rng_below(&rng, 256);
    }
    return ok;
}

static void stop(side *s)
{
    maas_exec_destroy(s->exec);
    maas_vars_destroy(s->vars);
    maas_plan_destroy(s->plan);
}

static bool close_to(const maas_tensor *a, const maas_tensor *b)
{
    for (int64_t i = 0; i < maas_n_elems(a); i++) {
        const double x = maas_tensor_get(a, i), y = maas_tensor_get(b, i);
        if (!(x == y || (x != x && y != y) || fabs(x - y) <= 1e-3 * (1 + fabs(y))))
            return false;
    }
    return true;
}

static void compare(const maker *m, side *fast, side *slow, uint64_t seed, int run)
{
    for (uint32_t i = 0; i < m->g->n_outputs; i++)
        EXPECT_MSG(close_to(maas_exec_output(fast->exec, i), maas_exec_output(slow->exec, i)),
                   "seed %llu, run %d: output %u differs", (unsigned long long)seed, run, i);
    for (uint32_t i = 0; i < maas_vars_n(fast->vars); i++)
        EXPECT_MSG(close_to(maas_vars_at(fast->vars, i, NULL), maas_vars_at(slow->vars, i, NULL)),
                   "seed %llu, run %d: variable %u differs", (unsigned long long)seed, run, i);
}

static void passes_and_kernels_change_nothing(void)
{
    for (uint64_t seed = 1; seed <= 60 && !mt_failed; seed++) {
        maker m;
        side fast = {0}, slow = {0};
        make(&m, seed);
        EXPECT_EQ(m.b.status, MAAS_OK);
        const maas_plan_opts of = {.n_threads = 2, .level = 2, .check = true},
                             os = {.n_threads = 1, .level = 0, .reference = true};
        if (start(&fast, &m, &of) && start(&slow, &m, &os))
            for (int run = 0; run < 3 && !mt_failed; run++) {
                EXPECT_EQ(maas_exec_run(fast.exec, NULL), MAAS_OK);
                EXPECT_EQ(maas_exec_run(slow.exec, NULL), MAAS_OK);
                compare(&m, &fast, &slow, seed, run);
            }
        stop(&fast);
        stop(&slow);
        maas_graph_destroy(m.g);
    }
    EXPECT_EQ(maas_mem_live(), 0);
}

static const mt_case cases[] = {
    MT_CASE(passes_and_kernels_change_nothing),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
