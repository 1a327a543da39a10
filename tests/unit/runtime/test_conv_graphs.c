/*
 * Random convolutional networks, by reference code as they are and with every pass and kernel:
 * outputs must agree. What exporters write around convolutions is in them on purpose.
 */
#include "maas_test.h"

#include "base/mem.h"
#include "base/sys.h"
#include "kernels/kernel.h"
#include "ops/build.h"
#include "passes/pass.h"
#include "runtime/plan.h"

#define BATCH    2
#define MAX_POOL 64

typedef struct maker {
    maas_graph *g;
    maas_builder b;
    maas_rng rng;
    maas_vid pool[MAX_POOL];
    int n;
} maker;

static int below(maker *m, int n)
{
    return (int)maas_rng_below(&m->rng, (uint64_t)n);
}

static double uniform(maker *m, double lo, double hi)
{
    return lo + (hi - lo) * maas_rng_unit(&m->rng);
}

static maas_vid constant(maker *m, int rank, const int64_t *dims, double lo, double hi)
{
    static float data[1 << 17];
    const maas_tensor t = maas_tensor_of(MAAS_F32, rank, dims, data);
    for (int64_t i = 0; i < maas_n_elems(&t); i++)
        data[i] = (float)uniform(m, lo, hi);
    return maas_b_const(&m->b, NULL, &t);
}

static const int64_t *dims_of(const maker *m, maas_vid v)
{
    static const int64_t none[8] = {1, 1, 1, 1};
    const maas_type *t = maas_b_type(&m->b, v);
    return t ? t->dims : none;
}

static void push(maker *m, maas_vid v)
{
    if (m->n < MAX_POOL && v >= 0)
        m->pool[m->n++] = v;
}

static maas_vid conv(maker *m, maas_vid x, int64_t out, int k, int stride, bool depthwise)
{
    const int64_t c = dims_of(m, x)[1], s[] = {stride, stride}, p = k / 2, pads[] = {p, p, p, p};
    const int64_t w[] = {depthwise ? c : out, depthwise ? 1 : c, k, k};
    const double range = 2 / sqrt((double)(w[1] * k * k));
    const maas_attr a[] = {MAAS_A_INTS("strides", s, 2), MAAS_A_INTS("pads", pads, 4),
                           MAAS_A_INT("group", depthwise ? c : 1)};
    const maas_vid in[] = {x, constant(m, 4, w, -range, range), constant(m, 1, w, -0.5, 0.5)};
    return maas_b_node(&m->b, "Conv", a, 3, in, 2 + (uint32_t)below(m, 2), NULL, 1);
}

/* Windows that overlap, and windows that do not. */
static maas_vid transposed(maker *m, maas_vid x, int64_t out, int k)
{
    const int64_t c = dims_of(m, x)[1], s[] = {2, 2}, w[] = {c, out, k, k};
    const double range = 2 / sqrt((double)(c * k * k));
    const maas_attr a[] = {MAAS_A_INTS("strides", s, 2)};
    const maas_vid in[] = {x, constant(m, 4, w, -range, range), constant(m, 1, w + 1, -0.5, 0.5)};
    return maas_b_node(&m->b, "ConvTranspose", a, 1, in, 2 + (uint32_t)below(m, 2), NULL, 1);
}

static maas_vid repeated(maker *m, maas_vid x)
{
    const float scales[] = {1, 1, 2, 3};
    const maas_tensor t = maas_tensor_of(MAAS_F32, 1, (const int64_t[]){4},
                                         (void *)(uintptr_t)scales);
    const maas_attr a[] = {MAAS_A_STR("coordinate_transformation_mode", "asymmetric"),
                           MAAS_A_STR("nearest_mode", "floor")};
    const maas_vid in[] = {x, MAAS_NO_VALUE, maas_b_const(&m->b, NULL, &t)};
    return maas_b_node(&m->b, "Resize", a, 2, in, 3, NULL, 1);
}

static maas_vid norm(maker *m, maas_vid x)
{
    const int64_t c = dims_of(m, x)[1];
    const maas_vid in[] = {x, constant(m, 1, &c, 0.5, 1.5), constant(m, 1, &c, -0.5, 0.5),
                           constant(m, 1, &c, -0.5, 0.5), constant(m, 1, &c, 0.5, 1.5)};
    return maas_b_node(&m->b, "BatchNormalization", NULL, 0, in, 5, NULL, 1);
}

static maas_vid hard_swish_in_parts(maker *m, maas_vid x, bool first)
{
    maas_builder *b = &m->b;
    const maas_vid six = maas_b_f32(b, 6);
    maas_vid v = maas_b_op3(b, "Clip", maas_b_op2(b, "Add", x, maas_b_f32(b, 3)), maas_b_f32(b, 0),
                            six);
    v = first ? maas_b_op2(b, "Div", v, six) : v;
    v = maas_b_op2(b, "Mul", x, v);
    return first ? v : maas_b_op2(b, "Div", v, six);
}

static maas_vid activation(maker *m, maas_vid x)
{
    static const char *const one[] = {"Relu", "LeakyRelu",   "Sigmoid",  "Tanh",
                                      "Elu",  "HardSigmoid", "HardSwish"};
    maas_builder *b = &m->b;
    const int k = below(m, 12);
    if (k < 7)
        return maas_b_op1(b, one[k], x);
    if (k == 7)
        return maas_b_op3(b, "Clip", x, maas_b_f32(b, 0), maas_b_f32(b, 6));
    if (k < 10)
        return hard_swish_in_parts(m, x, k == 8);
    return maas_b_op2(b, "Mul", x, maas_b_op1(b, k == 10 ? "Sigmoid" : "HardSigmoid", x));
}

static maas_vid affine(maker *m, maas_vid x)
{
    static const char *const two[] = {"Mul", "Add", "Sub", "Div"};
    const int64_t c[] = {dims_of(m, x)[1], 1, 1};
    const maas_vid v = constant(m, below(m, 3) ? 3 : 0, c, 0.5, 1.5);
    const int k = below(m, 4);
    return k < 2 && below(m, 2) ? maas_b_op2(&m->b, two[k], v, x) : maas_b_op2(&m->b, two[k], x, v);
}

static maas_vid pooling(maker *m, maas_vid x)
{
    const int64_t k[] = {3, 3}, s[] = {2, 1}, pads[] = {1, 1, 1, 1};
    const maas_attr a[] = {MAAS_A_INTS("kernel_shape", k, 2), MAAS_A_INTS("strides", s, 2),
                           MAAS_A_INTS("pads", pads, 4)};
    return maas_b_node(&m->b, below(m, 2) ? "MaxPool" : "AveragePool", a, 3, &x, 1, NULL, 1);
}

static maas_vid gate(maker *m, maas_vid x)
{
    maas_vid v = maas_b_op1(&m->b, "GlobalAveragePool", x);
    v = maas_b_op1(&m->b, "Relu", conv(m, v, 8, 1, 1, false));
    v = maas_b_op1(&m->b, "HardSigmoid", conv(m, v, dims_of(m, x)[1], 1, 1, false));
    return maas_b_op2(&m->b, "Mul", x, v);
}

/* Another value of the same sizes, or with `channels` of the same but for the channels. */
static maas_vid partner(maker *m, maas_vid x, bool channels)
{
    const int from = below(m, m->n);
    for (int i = 0; i < m->n; i++) {
        const maas_vid v = m->pool[(from + i) % m->n];
        const int64_t *a = dims_of(m, x), *b = dims_of(m, v);
        if (a[2] == b[2] && a[3] == b[3] && (channels || a[1] == b[1]))
            return v;
    }
    return x;
}

static void grow(maker *m)
{
    static const int64_t channels[] = {3, 8, 16, 24, 32, 40};
    const maas_vid x = m->pool[m->n - 1 - below(m, m->n < 4 ? m->n : 4)];
    const int64_t *d = dims_of(m, x);
    const int kind = below(m, d[2] * d[3] < 40 ? 18 : 16);
    if (kind >= 16) {
        maas_vid y = kind == 16 ? transposed(m, x, channels[below(m, 4)], 2 + below(m, 2))
                                : repeated(m, x);
        push(m, below(m, 2) ? activation(m, norm(m, y)) : y);
    } else if (kind < 6) {
        const int64_t by[] = {0, 0, below(m, 2), 1, 0, 0, 1, below(m, 3)};
        const maas_vid from = below(m, 5) ? x
                                          : maas_b_op2(&m->b, "Pad", x, maas_b_i64s(&m->b, by, 8));
        maas_vid y = conv(m, from, channels[below(m, 6)], 1 + 2 * below(m, 3), 1 + below(m, 2),
                          below(m, 3) == 0);
        if (below(m, 2))
            y = norm(m, y);
        if (below(m, 3) == 0)
            y = affine(m, y);
        if (below(m, 3) == 0)
            y = maas_b_op2(&m->b, "Add", y, partner(m, y, false));
        push(m, below(m, 4) ? activation(m, y) : y);
    } else if (kind < 8) {
        push(m, activation(m, x));
    } else if (kind < 10) {
        push(m, maas_b_op2(&m->b, below(m, 2) ? "Add" : "Mul", x, partner(m, x, false)));
    } else if (kind == 10) {
        push(m, pooling(m, x));
    } else if (kind == 11) {
        push(m, gate(m, x));
    } else if (kind < 14) {
        const maas_vid in[] = {x, partner(m, x, true)};
        const maas_attr axis = MAAS_A_INT("axis", below(m, 2) ? 1 : -3);
        if (dims_of(m, in[0])[1] + dims_of(m, in[1])[1] <= 96)
            push(m, maas_b_node(&m->b, "Concat", &axis, 1, in, 2, NULL, 1));
    } else {
        push(m, kind == 14 ? affine(m, x) : norm(m, x));
    }
}

static void make(maker *m, uint64_t seed)
{
    *m = (maker){0};
    maas_rng_seed(&m->rng, seed);
    EXPECT_EQ(maas_graph_create("t", NULL, &m->g, NULL), MAAS_OK);
    maas_builder_init(&m->b, m->g, NULL);
    const int64_t dims[] = {BATCH, below(m, 2) ? 3 : 16, 9, 12};
    push(m, maas_b_input(&m->b, "x", MAAS_F32, 4, dims));
    for (int i = 0; i < 14; i++)
        grow(m);
    for (int i = 0; i < 2; i++) {
        char name[16];
        snprintf(name, sizeof name, "out%d", i);
        maas_vid v = m->pool[m->n - 1 - 2 * i >= 0 ? m->n - 1 - 2 * i : 0];
        maas_b_output(&m->b, name,
                      below(m, 2) ? maas_b_op1(&m->b, "Neg", v)
                                  : maas_b_op1(&m->b, "GlobalAveragePool", v));
    }
}

typedef struct side {
    maas_plan *plan;
    maas_vars *vars;
    maas_exec *exec;
} side;

static bool start(side *s, const maker *m, const maas_plan_opts *o)
{
    maas_err err = {0};
    maas_rng rng;
    const bool ok = maas_plan_create(m->g, &maas_graph_at(m->g, m->g->inputs[0])->type, o, &s->plan,
                                     &err) == MAAS_OK &&
                    maas_vars_create(m->g, NULL, &s->vars, &err) == MAAS_OK &&
                    maas_exec_create(s->plan, s->vars, &s->exec, &err) == MAAS_OK;
    EXPECT_MSG(ok, "%s", err.msg);
    maas_rng_seed(&rng, 7);
    maas_tensor *t = ok ? maas_exec_input(s->exec, 0) : NULL;
    for (int64_t i = 0; ok && i < maas_n_elems(t); i++)
        ((float *)t->data)[i] = (float)(2 * maas_rng_unit(&rng) - 1);
    return ok;
}

static void stop(side *s)
{
    maas_exec_destroy(s->exec);
    maas_vars_destroy(s->vars);
    maas_plan_destroy(s->plan);
}

static void compare(const maker *m, const side *fast, const side *slow, uint64_t seed,
                    double tolerance)
{
    for (uint32_t i = 0; i < m->g->n_outputs; i++) {
        const maas_tensor *a = maas_exec_output(fast->exec, i),
                          *b = maas_exec_output(slow->exec, i);
        EXPECT_MSG(maas_shape_eq(a, b), "seed %llu: output %u has another shape",
                   (unsigned long long)seed, i);
        double largest = 1;
        for (int64_t k = 0; k < maas_n_elems(b); k++)
            largest = fmax(largest, fabs(maas_tensor_get(b, k)));
        for (int64_t k = 0; k < maas_n_elems(a) && !mt_failed; k++) {
            const double x = maas_tensor_get(a, k), y = maas_tensor_get(b, k);
            EXPECT_MSG(fabs(x - y) <= tolerance * largest, "seed %llu, output %u: %g is not %g",
                       (unsigned long long)seed, i, x, y);
        }
    }
}

static bool has_bf16(const side *s)
{
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(1u << 20);
    maas_plan_dump(s->plan, &text);
    maas_buf_char(&text, '\0');
    return text.p && strstr(text.p, "bfloat16");
}

/* precision: as the model asks for; NULL: as it is. Gives how many plans have bfloat16. */
static int compare_all(const char *precision, double tolerance)
{
    int n_bf16 = 0;
    for (uint64_t seed = 1; seed <= 150 && !mt_failed; seed++) {
        maker m;
        side fast = {0}, slow = {0};
        make(&m, seed);
        EXPECT_EQ(m.b.status, MAAS_OK);
        if (precision)
            EXPECT_EQ(maas_graph_set_meta(m.g, MAAS_META_PRECISION, precision, NULL), MAAS_OK);
        const maas_plan_opts of = {.n_threads = 1 + (int)(seed % 2), .level = 2, .check = true},
                             os = {.n_threads = 1, .level = 0, .reference = true};
        if (start(&fast, &m, &of) && start(&slow, &m, &os)) {
            n_bf16 += has_bf16(&fast);
            EXPECT_EQ(maas_exec_run(slow.exec, NULL), MAAS_OK);
            for (int run = 0; run < 2 && !mt_failed; run++) {
                EXPECT_EQ(maas_exec_run(fast.exec, NULL), MAAS_OK);
                compare(&m, &fast, &slow, seed, tolerance);
            }
        }
        stop(&fast);
        stop(&slow);
        maas_graph_destroy(m.g);
    }
    EXPECT_EQ(maas_mem_live(), 0);
    return n_bf16;
}

static void passes_and_kernels_change_nothing(void)
{
    EXPECT_EQ(compare_all(NULL, 1e-4), 0);
}

/* Each of some ten operators in a row rounds to eight bits. */
static void bf16_is_near_where_it_is_asked_for(void)
{
    const int n = compare_all("bf16", 10 * 0x1p-8);
    if (maas_cpu_get()->avx512_bf16 && maas_kernel_block(maas_cpu_get()) == 16)
        EXPECT_MSG(n > 100, "%d plans have bfloat16", n);
    else
        EXPECT_EQ(n, 0);
}

static const mt_case cases[] = {
    MT_CASE(passes_and_kernels_change_nothing),
    MT_CASE(bf16_is_near_where_it_is_asked_for),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
