/*
 * Random quantized networks, as files say them (DequantizeLinear, operator, QuantizeLinear; or
 * QLinearConv), by reference code as they are and with every pass and kernel: outputs must agree to
 * the code. What is rounded is the same; a sum of floats may be taken in another order, so one in a
 * hundred codes may be the next one.
 */
#include "maas_test.h"

#include "base/mem.h"
#include "base/sys.h"
#include "kernels/kernel.h"
#include "ops/build.h"
#include "runtime/plan.h"

#define MAX_POOL 32

typedef struct coded { /* floats, and the bytes that they were made of */
    maas_vid q, floats, scale, zero;
} coded;

typedef struct maker {
    maas_graph *g;
    maas_builder b;
    maas_rng rng;
    maas_dtype codes;
    coded pool[MAX_POOL];
    int n;
} maker;

static int below(maker *m, int n)
{
    return (int)maas_rng_below(&m->rng, (uint64_t)n);
}

static maas_vid scalar(maas_builder *b, maas_dtype t, double v)
{
    float room[2] = {0};
    const maas_tensor x = maas_tensor_of(t, 0, NULL, room);
    maas_tensor_set(&x, 0, v);
    return maas_b_const(b, NULL, &x);
}

static double uniform(maker *m, double lo, double hi)
{
    return lo + (hi - lo) * maas_rng_unit(&m->rng);
}

static maas_vid constant(maker *m, maas_dtype t, int rank, const int64_t *dims, double lo,
                         double hi)
{
    static float room[1 << 16];
    const maas_tensor x = maas_tensor_of(t, rank, dims, room);
    for (int64_t i = 0; i < maas_n_elems(&x); i++) {
        const double v = uniform(m, lo, hi);
        maas_tensor_set(&x, i, t == MAAS_F32 ? v : floor(v));
    }
    return maas_b_const(&m->b, NULL, &x);
}

static const int64_t *dims_of(const maker *m, maas_vid v)
{
    static const int64_t none[8] = {1, 1, 1, 1};
    const maas_type *t = maas_b_type(&m->b, v);
    return t ? t->dims : none;
}

static void push(maker *m, coded c)
{
    if (m->n < MAX_POOL && c.floats >= 0)
        m->pool[m->n++] = c;
}

/* Codes of about [-wide, wide], or of [0, wide]: scales without a simple ratio, or sums of codes
 * would lie in the middle between two. */
static coded numbers(maker *m, double wide, bool positive)
{
    wide *= uniform(m, 0.9, 1.1);
    const double least = m->codes == MAAS_I8 ? -128 : 0;
    const double zero = positive ? least : floor(least + uniform(m, 120, 136));
    coded c = {.scale = maas_b_f32(&m->b, (float)(wide * (positive ? 1 : 2) / 255))};
    c.zero = scalar(&m->b, m->codes, zero);
    return c;
}

static void dequantize(maker *m, coded *c)
{
    c->floats = maas_b_op3(&m->b, "DequantizeLinear", c->q, c->scale, c->zero);
}

static coded quantize(maker *m, maas_vid v, double wide, bool positive)
{
    coded c = numbers(m, wide, positive);
    c.q = maas_b_op3(&m->b, "QuantizeLinear", v, c.scale, c.zero);
    dequantize(m, &c);
    return c;
}

/* ---- operators ---- */

static uint32_t window(maker *m, maas_attr *a, int64_t *room, int k, int64_t group)
{
    room[0] = room[1] = 1 + below(m, 2);
    for (int i = 2; i < 6; i++)
        room[i] = k / 2;
    a[0] = MAAS_A_INTS("strides", room, 2);
    a[1] = MAAS_A_INTS("pads", room + 2, 4);
    a[2] = MAAS_A_INT("group", group);
    return 3;
}

static void weights(maker *m, int64_t rows, int rank, const int64_t *dims, maas_vid *w,
                    maas_vid *scale, bool *each)
{
    const double n = (double)maas_dims_product(dims, 1, rank);
    *each = below(m, 2);
    *w = constant(m, MAAS_I8, rank, dims, -128, 128);
    *scale = constant(m, MAAS_F32, *each ? 1 : 0, &rows, 0.5 / 128 / sqrt(n), 2.0 / 128 / sqrt(n));
}

static void conv(maker *m, coded x)
{
    static const int64_t channels[] = {3, 8, 16, 24, 32, 40};
    const int64_t c = dims_of(m, x.q)[1], k = 1 + 2 * below(m, 2);
    const bool depthwise = below(m, 4) == 0;
    const int64_t out = depthwise ? c : channels[below(m, 6)];
    const int64_t dims[] = {out, depthwise ? 1 : c, k, k};
    maas_attr a[3];
    int64_t room[6];
    maas_vid w, scale;
    bool each;
    const uint32_t n = window(m, a, room, (int)k, depthwise ? c : 1);
    weights(m, out, 4, dims, &w, &scale, &each);
    if (below(m, 4) == 0) {
        coded y = numbers(m, 3, below(m, 2));
        const maas_vid in[] = {x.q,     x.scale, x.zero,
                               w,       scale,   scalar(&m->b, MAAS_I8, 0),
                               y.scale, y.zero,  constant(m, MAAS_I32, 1, &out, -9000, 9000)};
        y.q = maas_b_node(&m->b, "QLinearConv", a, n, in, 8 + (uint32_t)below(m, 2), NULL, 1);
        dequantize(m, &y);
        push(m, y);
        return;
    }
    const maas_attr axis = MAAS_A_INT("axis", 0);
    const maas_vid codes[] = {w, scale};
    const maas_vid in[] = {x.floats,
                           maas_b_node(&m->b, "DequantizeLinear", &axis, each, codes, 2, NULL, 1),
                           constant(m, MAAS_F32, 1, &out, -0.5, 0.5)};
    maas_vid y = maas_b_node(&m->b, "Conv", a, n, in, 2 + (uint32_t)below(m, 2), NULL, 1);
    if (below(m, 4) == 0) {
        const maas_vid norm[] = {
            y, constant(m, MAAS_F32, 1, &out, 0.5, 1.5), constant(m, MAAS_F32, 1, &out, -0.5, 0.5),
            constant(m, MAAS_F32, 1, &out, -0.5, 0.5), constant(m, MAAS_F32, 1, &out, 0.5, 1.5)};
        y = maas_b_node(&m->b, "BatchNormalization", NULL, 0, norm, 5, NULL, 1);
    }
    const int act = below(m, 5);
    if (act < 2)
        y = maas_b_op1(&m->b, "Relu", y);
    else if (act == 2)
        y = maas_b_op3(&m->b, "Clip", y, maas_b_f32(&m->b, 0), maas_b_f32(&m->b, 1.3f));
    else if (act == 3)
        y = maas_b_op1(&m->b, "HardSwish", y);
    push(m, quantize(m, y, 3, act < 3));
}

static void add(maker *m, coded x)
{
    const int64_t *a = dims_of(m, x.q);
    for (int i = 0; i < m->n; i++) {
        const int64_t *b = dims_of(m, m->pool[i].q);
        if (m->pool[i].q == x.q || memcmp(a, b, 4 * sizeof *a) != 0)
            continue;
        maas_vid y = maas_b_op2(&m->b, "Add", x.floats, m->pool[i].floats);
        const bool relu = below(m, 2);
        push(m, quantize(m, relu ? maas_b_op1(&m->b, "Relu", y) : y, 4, relu));
        return;
    }
}

/* A block as networks with residuals have it: what comes in is added behind two convolutions. */
static void block(maker *m, coded x)
{
    const int64_t c = dims_of(m, x.q)[1], dims[] = {c, c, 3, 3}, pads[] = {1, 1, 1, 1};
    const maas_attr a = MAAS_A_INTS("pads", pads, 4);
    coded y = x;
    for (int i = 0; i < 2; i++) {
        maas_vid w, scale;
        bool each;
        weights(m, c, 4, dims, &w, &scale, &each);
        const maas_attr axis = MAAS_A_INT("axis", 0);
        const maas_vid codes[] = {w, scale};
        const maas_vid in[] = {
            y.floats, maas_b_node(&m->b, "DequantizeLinear", &axis, each, codes, 2, NULL, 1),
            constant(m, MAAS_F32, 1, &c, -0.5, 0.5)};
        const maas_vid v = maas_b_node(&m->b, "Conv", &a, 1, in, 3, NULL, 1);
        y = quantize(m, i ? v : maas_b_op1(&m->b, "Relu", v), i ? 2 : 3, i == 0);
    }
    const maas_vid sum = below(m, 2) ? maas_b_op2(&m->b, "Add", y.floats, x.floats)
                                     : maas_b_op2(&m->b, "Add", x.floats, y.floats);
    push(m, quantize(m, maas_b_op1(&m->b, "Relu", sum), 4, true));
}

static void pool(maker *m, coded x)
{
    const int64_t k[] = {3, 3}, s[] = {2, 1}, pads[] = {1, 1, 1, 1};
    const maas_attr a[] = {MAAS_A_INTS("kernel_shape", k, 2), MAAS_A_INTS("strides", s, 2),
                           MAAS_A_INTS("pads", pads, 4)};
    coded y = x;
    const maas_vid v = maas_b_node(&m->b, "MaxPool", a, 3, &x.floats, 1, NULL, 1);
    y.q = maas_b_op3(&m->b, "QuantizeLinear", v, y.scale, y.zero);
    dequantize(m, &y);
    push(m, y);
}

/* Flatten, a dense layer, and codes again or floats. */
static maas_vid head(maker *m, coded x)
{
    const bool transposed = below(m, 2);
    maas_vid v = maas_b_op1(&m->b, "Flatten", maas_b_op1(&m->b, "GlobalAveragePool", x.floats));
    const coded flat = quantize(m, v, 3, false);
    const int64_t k = dims_of(m, flat.q)[1], n = 10,
                  dims[] = {transposed ? n : k, transposed ? k : n};
    const maas_attr axis = MAAS_A_INT("axis", !transposed), t = MAAS_A_INT("transB", transposed);
    maas_vid codes[2] = {constant(m, MAAS_I8, 2, dims, -128, 128)};
    codes[1] = constant(m, MAAS_F32, 1, &n, 0.001, 0.01);
    const maas_vid in[] = {flat.floats,
                           maas_b_node(&m->b, "DequantizeLinear", &axis, 1, codes, 2, NULL, 1),
                           constant(m, MAAS_F32, 1, &n, -0.5, 0.5)};
    v = transposed || below(m, 2) ? maas_b_node(&m->b, "Gemm", &t, 1, in, 3, NULL, 1)
                                  : maas_b_op2(&m->b, "MatMul", in[0], in[1]);
    return quantize(m, v, 6, false).q;
}

static void make(maker *m, uint64_t seed)
{
    *m = (maker){0};
    maas_rng_seed(&m->rng, seed);
    m->codes = seed % 2 ? MAAS_U8 : MAAS_I8;
    EXPECT_EQ(maas_graph_create("t", NULL, &m->g, NULL), MAAS_OK);
    maas_builder_init(&m->b, m->g, NULL);
    const int64_t dims[] = {1 + below(m, 2), below(m, 2) ? 3 : 16, 9, 12};
    push(m, quantize(m, maas_b_input(&m->b, "x", MAAS_F32, 4, dims), 1, false));
    for (int i = 0; i < 7; i++) {
        const coded x = m->pool[m->n - 1 - below(m, m->n < 3 ? m->n : 3)];
        const int kind = below(m, 10);
        (kind < 5 ? conv : kind < 7 ? block : kind < 9 ? add : pool)(m, x);
    }
    const coded last = m->pool[m->n - 1];
    maas_b_output(&m->b, "codes", maas_b_op1(&m->b, "Identity", last.q));
    maas_b_output(&m->b, "dense", head(m, last));
}

/* ---- both ways ---- */

typedef struct side {
    maas_plan *plan;
    maas_vars *vars;
    maas_exec *exec;
} side;

static bool run(side *s, const maker *m, const maas_plan_opts *o)
{
    maas_err err = {0};
    maas_rng rng;
    bool ok = maas_plan_create(m->g, &maas_graph_at(m->g, m->g->inputs[0])->type, o, &s->plan,
                               &err) == MAAS_OK &&
              maas_vars_create(m->g, NULL, &s->vars, &err) == MAAS_OK &&
              maas_exec_create(s->plan, s->vars, &s->exec, &err) == MAAS_OK;
    maas_rng_seed(&rng, 7);
    maas_tensor *t = ok ? maas_exec_input(s->exec, 0) : NULL;
    for (int64_t i = 0; ok && i < maas_n_elems(t); i++)
        ((float *)t->data)[i] = (float)(2 * maas_rng_unit(&rng) - 1);
    ok = ok && maas_exec_run(s->exec, &err) == MAAS_OK;
    EXPECT_MSG(ok, "%s", err.msg);
    return ok;
}

static void stop(side *s)
{
    maas_exec_destroy(s->exec);
    maas_vars_destroy(s->vars);
    maas_plan_destroy(s->plan);
}

static void compare(const side *fast, const side *slow, uint64_t seed, uint32_t output)
{
    const maas_tensor *a = maas_exec_output(fast->exec, output),
                      *b = maas_exec_output(slow->exec, output);
    int64_t next = 0, differ = 0;
    /* In floats, sums that lie between two codes are rounded on the way: ties fall to either. */
    const int64_t most = maas_n_elems(a) * (maas_kernel_int8(maas_cpu_get()) ? 1 : 5) / 100;
    EXPECT(maas_shape_eq(a, b));
    for (int64_t k = 0; k < maas_n_elems(a); k++) {
        const double off = fabs(maas_tensor_get(a, k) - maas_tensor_get(b, k));
        next += off == 1;
        differ += off > 1;
    }
    EXPECT_MSG(differ == 0 && next <= most,
               "seed %llu, output %u: of %lld codes %lld are the next one, %lld are others",
               (unsigned long long)seed, output, (long long)maas_n_elems(a), (long long)next,
               (long long)differ);
}

static int count(const side *s, const char *kernel)
{
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(1u << 20);
    int n = 0;
    maas_plan_dump(s->plan, &text);
    maas_buf_char(&text, '\0');
    for (const char *at = text.p; at && (at = strstr(at, kernel)); at++)
        n++;
    return n;
}

static void bytes_stay_what_they_were(void)
{
    int convs = 0, sums = 0;
    for (uint64_t seed = 1; seed <= 120 && !mt_failed; seed++) {
        maker m;
        side fast = {0}, slow = {0};
        make(&m, seed);
        EXPECT_EQ(m.b.status, MAAS_OK);
        const maas_plan_opts of = {.n_threads = 1 + (int)(seed % 2), .level = 2, .check = true},
                             os = {.n_threads = 1, .level = 0, .reference = true};
        if (run(&fast, &m, &of) && run(&slow, &m, &os)) {
            compare(&fast, &slow, seed, 0);
            compare(&fast, &slow, seed, 1);
            convs += count(&fast, "FusedQLinearConv.dnnl");
            sums += count(&fast, "FusedQLinearConvAdd.dnnl");
        }
        stop(&fast);
        stop(&slow);
        maas_graph_destroy(m.g);
    }
    if (maas_kernel_int8(maas_cpu_get()))
        EXPECT_MSG(convs > 200 && sums > 50, "%d convolutions, %d with a sum", convs, sums);
    EXPECT_EQ(maas_mem_live(), 0);
}

static const mt_case cases[] = {
    MT_CASE(bytes_stay_what_they_were),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
