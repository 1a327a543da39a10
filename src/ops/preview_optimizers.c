/*
 * Adagrad, Adam and Momentum of ai.onnx.preview.training: one step for any number of tensors. The
 * inputs are (R, T, every X, every G, every state), the outputs every new X, then every new state.
 * Steps of our own training are those of optimizers.c.
 */
#include "ops/ops_int.h"

#include "base/ban.h"

/* ---- numbers of one step, the same for all elements ---- */

typedef struct step {
    double rate, l2, alpha, beta, epsilon, shrink;
    bool nesterov;
} step;

typedef void (*step_fn)(const step *s, double x, double g, const double *state, double *out);

static void adagrad_one(const step *s, double x, double g, const double *state, double *out)
{
    const double r = s->l2 * x + g;
    out[1] = state[0] + r * r;
    out[0] = x - s->rate * r / (sqrt(out[1]) + s->epsilon);
}

static void adam_one(const step *s, double x, double g, const double *state, double *out)
{
    const double r = s->l2 * x + g;
    out[1] = s->alpha * state[0] + (1 - s->alpha) * r;
    out[2] = s->beta * state[1] + (1 - s->beta) * r * r;
    out[0] = (1 - s->shrink) * (x - s->rate * out[1] / (sqrt(out[2]) + s->epsilon));
}

static void momentum_one(const step *s, double x, double g, const double *state, double *out)
{
    const double r = s->l2 * x + g;
    out[1] = s->alpha * state[0] + s->beta * r;
    out[0] = x - s->rate * (s->nesterov ? r + s->alpha * out[1] : out[1]);
}

static step adagrad_step(const maas_node *n, double rate, double t)
{
    return (step){.rate = rate / (1 + t * maas_attr_f(n, "decay_factor", 0)),
                  .l2 = maas_attr_f(n, "norm_coefficient", 0),
                  .epsilon = maas_attr_f(n, "epsilon", 1e-6f)};
}

static step adam_step(const maas_node *n, double rate, double t)
{
    step s = {.rate = rate,
              .l2 = maas_attr_f(n, "norm_coefficient", 0),
              .alpha = maas_attr_f(n, "alpha", 0.9f),
              .beta = maas_attr_f(n, "beta", 0.999f),
              .epsilon = maas_attr_f(n, "epsilon", 1e-6f),
              .shrink = maas_attr_f(n, "norm_coefficient_post", 0)};
    if (t > 0)
        s.rate = rate * sqrt(1 - pow(s.beta, t)) / (1 - pow(s.alpha, t));
    return s;
}

static bool is_nesterov(const maas_node *n)
{
    const maas_str mode = maas_attr_s(n, "mode", "standard");
    return mode.n == 8 && memcmp(mode.p, "nesterov", 8) == 0;
}

static step momentum_step(const maas_node *n, double rate, double t)
{
    return (step){.rate = rate,
                  .l2 = maas_attr_f(n, "norm_coefficient", 0),
                  .alpha = maas_attr_f(n, "alpha", 0),
                  .beta = t > 0 ? maas_attr_f(n, "beta", 1) : 1,
                  .nesterov = is_nesterov(n)};
}

/* ---- any of them ---- */

#define MAX_STATES 2

static maas_status infer_steps(maas_infer *q, int n_states, maas_err *err)
{
    const maas_node *n = q->node;
    const int each = 2 + n_states, tensors = (n->n_in - 2) / each;
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < q->in[i].rank; k++)
            if (q->in[i].dims[k] >= 0 && q->in[i].dims[k] != 1)
                return maas_fail(err, MAAS_E_INVALID, "R and T must be numbers");
    if (tensors < 1 || n->n_in != 2 + tensors * each || n->n_out != tensors * (1 + n_states))
        return maas_fail(err, MAAS_E_INVALID, "%d inputs and %d outputs do not belong together",
                         n->n_in, n->n_out);
    for (int i = 0; i < tensors; i++) {
        maas_type t = q->in[2 + i];
        for (int k = 1; k < each; k++) {
            const maas_type *other = &q->in[2 + k * tensors + i];
            if (other->dtype != t.dtype ||
                (other->rank >= 0 && t.rank >= 0 && other->rank != t.rank))
                return maas_fail(err, MAAS_E_INVALID, "tensor %d: its gradient or state is another",
                                 i);
            for (int a = 0; a < t.rank && other->rank >= 0; a++)
                MAAS_TRY(
                    maas_dim_same(t.dims[a], other->dims[a], &t.dims[a], "X, G and states", err));
        }
        for (int k = 0; k <= n_states; k++)
            q->out[k * tensors + i] = t;
    }
    return MAAS_OK;
}

static maas_status run_steps(const maas_call *c, int n_states,
                             step (*of)(const maas_node *, double, double), step_fn one,
                             maas_err *err)
{
    const int tensors = (c->n_in - 2) / (2 + n_states);
    if (maas_n_elems(&c->in[0]) != 1 || maas_n_elems(&c->in[1]) != 1)
        return maas_fail(err, MAAS_E_INVALID, "%s: R and T must be numbers", c->node->op->name);
    const step s = of(c->node, maas_ld(&c->in[0], 0), (double)maas_tensor_get_i64(&c->in[1], 0));
    for (int i = 0; i < tensors; i++) {
        const maas_tensor *x = &c->in[2 + i];
        for (int64_t k = 0, n = maas_n_elems(x); k < n; k++) {
            double state[MAX_STATES], out[1 + MAX_STATES];
            for (int j = 0; j < n_states; j++)
                state[j] = maas_ld(&c->in[2 + (2 + j) * tensors + i], k);
            one(&s, maas_ld(x, k), maas_ld(&c->in[2 + tensors + i], k), state, out);
            for (int j = 0; j <= n_states; j++)
                if (maas_c_out(c, j * tensors + i))
                    maas_st(&c->out[j * tensors + i], k, out[j]);
        }
    }
    return MAAS_OK;
}

static maas_status momentum_infer(maas_infer *q, maas_err *err)
{
    const maas_str mode = maas_attr_s(q->node, "mode", "standard");
    if (!is_nesterov(q->node) && (mode.n != 8 || memcmp(mode.p, "standard", 8) != 0))
        return maas_fail(err, MAAS_E_INVALID, "attribute 'mode' must be standard or nesterov");
    return infer_steps(q, 1, err);
}

static maas_status adagrad_infer(maas_infer *q, maas_err *err)
{
    return infer_steps(q, 1, err);
}

static maas_status adam_infer(maas_infer *q, maas_err *err)
{
    return infer_steps(q, 2, err);
}

static int64_t step_flops(const maas_call *c)
{
    int64_t n = 0;
    for (int i = 2; i < c->n_in; i++)
        n += maas_n_elems(&c->in[i]);
    return n * 5;
}

/* ---- examples and rows ---- */

static void steps_example(maas_example *e, const char *op, int n_states, const maas_attr *attr,
                          uint32_t n_attr)
{
    const int tensors = e->variant < 2 || n_states > 1 ? 1 : 2;
    const int n_in = 2 + tensors * (2 + n_states);
    const maas_dtype t = maas_ex_float(e);
    maas_vid in[8], out[4] = {MAAS_NO_VALUE, MAAS_NO_VALUE, MAAS_NO_VALUE, MAAS_NO_VALUE};
    in[0] = maas_b_f32(e->b, 0.1f);
    in[1] = maas_b_i64(e->b, e->variant / 2);
    for (int i = 2; i < n_in; i++)
        in[i] = maas_ex_in(e, t, i < 2 + 2 * tensors ? -2 : 0, 2, MAAS_DIMS(3, 4));
    maas_b_node(e->b, op, attr, n_attr, in, (uint32_t)n_in, out,
                (uint32_t)(tensors * (1 + n_states)));
}

static void adagrad_example(maas_example *e)
{
    const maas_attr attr[] = {MAAS_A_FLOAT("decay_factor", 0.1f),
                              MAAS_A_FLOAT("norm_coefficient", 0.01f)};
    steps_example(e, "Adagrad", 1, attr, 2);
}

static void adam_example(maas_example *e)
{
    const maas_attr attr[] = {MAAS_A_FLOAT("norm_coefficient_post", 0.1f),
                              MAAS_A_FLOAT("norm_coefficient", 0.01f)};
    steps_example(e, "Adam", 2, attr, 2);
}

static void momentum_example(maas_example *e)
{
    const maas_attr attr[] = {MAAS_A_FLOAT("alpha", 0.9f), MAAS_A_FLOAT("beta", 0.7f),
                              MAAS_A_FLOAT("norm_coefficient", 0.01f),
                              MAAS_A_STR("mode", e->variant & 1 ? "nesterov" : "standard")};
    steps_example(e, "Momentum", 1, attr, 4);
}

static const maas_io_schema in[] = {MAAS_REQ("R", NULL, MAAS_DTS_FULL),
                                    MAAS_REQ("T", NULL, MAAS_DTS_I64),
                                    MAAS_VARIADIC("inputs", NULL, MAAS_DTS_FULL)};
static const maas_io_schema out[] = {MAAS_VARIADIC("outputs", NULL, MAAS_DTS_FULL)};
static const maas_attr_schema adagrad_attrs[] = {{"decay_factor", MAAS_ATTR_FLOAT, false},
                                                 {"epsilon", MAAS_ATTR_FLOAT, false},
                                                 {"norm_coefficient", MAAS_ATTR_FLOAT, false}};
static const maas_attr_schema adam_attrs[] = {{"alpha", MAAS_ATTR_FLOAT, false},
                                              {"beta", MAAS_ATTR_FLOAT, false},
                                              {"epsilon", MAAS_ATTR_FLOAT, false},
                                              {"norm_coefficient", MAAS_ATTR_FLOAT, false},
                                              {"norm_coefficient_post", MAAS_ATTR_FLOAT, false}};
static const maas_attr_schema momentum_attrs[] = {{"alpha", MAAS_ATTR_FLOAT, true},
                                                  {"beta", MAAS_ATTR_FLOAT, true},
                                                  {"mode", MAAS_ATTR_STRING, true},
                                                  {"norm_coefficient", MAAS_ATTR_FLOAT, true}};

#define OPTIMIZER(Name, fn, n_states)                                                              \
    static maas_status fn##_reference(const maas_call *c, maas_err *err)                           \
    {                                                                                              \
        return run_steps(c, n_states, fn##_step, fn##_one, err);                                   \
    }                                                                                              \
    const maas_op maas_op_##Name = {                                                               \
        .domain = MAAS_DOMAIN_TRAINING,                                                            \
        .name = #Name,                                                                             \
        .since = 1,                                                                                \
        MAAS_SCHEMA(in, out),                                                                      \
        MAAS_ATTRS(fn##_attrs),                                                                    \
        .n_examples = 4,                                                                           \
        .tolerance = 1e-6,                                                                         \
        .infer = fn##_infer,                                                                       \
        .reference = fn##_reference,                                                               \
        .flops = step_flops,                                                                       \
        .example = fn##_example,                                                                   \
        .no_gradient = "a step of training is not trained through",                                \
    };
OPTIMIZER(Adagrad, adagrad, 1)
OPTIMIZER(Adam, adam, 2)
OPTIMIZER(Momentum, momentum, 1)
