/*
 * Optimizer steps (ai.maas), one operator each: (param, state.., grad, lr, step) -> new param and
 * state, in that order, so that each output may take the place of its input. Formulae and defaults
 * are those of PyTorch (torch.optim); weight_decay is added to the gradient, except in AdamW, which
 * shrinks the parameter itself (I. Loshchilov, F. Hutter, 2019).
 *
 *   SGDStep      v' = momentum v + g (g alone in step 1), p -= lr (nesterov ? g + momentum v' : v')
 *   RMSPropStep  s' = alpha s + (1 - alpha) g^2,  p -= lr g / (sqrt(s') + eps)
 *   AdagradStep  s' = s + g^2,                    p -= lr g / (sqrt(s') + eps)
 *   AdamStep     m' = b1 m + (1 - b1) g,  v' = b2 v + (1 - b2) g^2        (D. Kingma, J. Ba, 2015)
 *                p -= lr / (1 - b1^t) m' / (sqrt(v') / sqrt(1 - b2^t) + eps)
 *
 * lr is a float scalar; step an int64 scalar, 1 for the first step.
 */
#include "ops/ops_int.h"

#include "base/ban.h"

typedef struct rule {
    double lr, decay, a, b, epsilon; /* a, b: momentum, alpha, or the two betas */
    double lr_adam, root;            /* lr / (1 - b1^t), sqrt(1 - b2^t) */
    bool nesterov, first;
} rule;

/* Updates one element; s points to as many states as the rule has. */
typedef double (*step_fn)(const rule *r, double p, double g, double *s);

static double sgd(const rule *r, double p, double g, double *s)
{
    g += r->decay * p;
    s[0] = r->first ? g : r->a * s[0] + g;
    return p - r->lr * (r->nesterov ? g + r->a * s[0] : s[0]);
}

static double rms_prop(const rule *r, double p, double g, double *s)
{
    g += r->decay * p;
    s[0] = r->a * s[0] + (1 - r->a) * g * g;
    return p - r->lr * g / (sqrt(s[0]) + r->epsilon);
}

static double adagrad(const rule *r, double p, double g, double *s)
{
    g += r->decay * p;
    s[0] += g * g;
    return p - r->lr * g / (sqrt(s[0]) + r->epsilon);
}

static double adam_direction(const rule *r, double g, double *s)
{
    s[0] = r->a * s[0] + (1 - r->a) * g;
    s[1] = r->b * s[1] + (1 - r->b) * g * g;
    return r->lr_adam * s[0] / (sqrt(s[1]) / r->root + r->epsilon);
}

static double adam(const rule *r, double p, double g, double *s)
{
    return p - adam_direction(r, g + r->decay * p, s);
}

static double adam_w(const rule *r, double p, double g, double *s)
{
    return p * (1 - r->lr * r->decay) - adam_direction(r, g, s);
}

/* ---- shared by all ---- */

static maas_status step_infer(maas_infer *q, maas_err *err)
{
    const int n_state = q->node->op->n_in - 4;
    const maas_type *p = &q->in[0];
    int64_t ignored;
    for (int i = 1; i < 2 + n_state; i++) {
        if (p->rank < 0 || q->in[i].rank < 0)
            continue;
        if (q->in[i].rank != p->rank)
            return maas_fail(err, MAAS_E_INVALID, "'%s' and the parameter have ranks %d and %d",
                             q->node->op->in[i].name, q->in[i].rank, p->rank);
        for (int k = 0; k < p->rank; k++)
            MAAS_TRY(maas_dim_same(p->dims[k], q->in[i].dims[k], &ignored, q->node->op->in[i].name,
                                   err));
    }
    for (int i = 2 + n_state; i < 4 + n_state; i++)
        if (q->in[i].rank > 0)
            return maas_fail(err, MAAS_E_INVALID, "'%s' must be a scalar", q->node->op->in[i].name);
    for (int k = 0; k < 1 + n_state && k < q->node->n_out; k++)
        q->out[k] = *p;
    return MAAS_OK;
}

static rule rule_of(const maas_call *c, int n_state, const char *first, float preset, float epsilon)
{
    const maas_node *n = c->node;
    const double t = (double)maas_tensor_get_i64(&c->in[3 + n_state], 0);
    rule r = {.lr = maas_ld(&c->in[2 + n_state], 0),
              .decay = maas_attr_f(n, "weight_decay", 0),
              .a = maas_attr_f(n, first, preset),
              .b = maas_attr_f(n, "beta2", 0.999f),
              .epsilon = maas_attr_f(n, "epsilon", epsilon),
              .nesterov = maas_attr_i(n, "nesterov", 0) != 0,
              .first = t <= 1};
    r.lr_adam = r.lr / (1 - pow(r.a, t));
    r.root = sqrt(1 - pow(r.b, t));
    return r;
}

static void run(const maas_call *c, const rule *r, step_fn step, int n_state)
{
    for (int64_t i = 0, n = maas_n_elems(&c->in[0]); i < n; i++) {
        double s[2] = {0};
        for (int k = 0; k < n_state; k++)
            s[k] = maas_ld(&c->in[1 + k], i);
        double p = step(r, maas_ld(&c->in[0], i), maas_ld(&c->in[1 + n_state], i), s);
        for (int k = 0; k < n_state; k++)
            if (maas_c_out(c, 1 + k))
                maas_st(&c->out[1 + k], i, s[k]);
        maas_st(&c->out[0], i, p);
    }
}

static int64_t step_flops(const maas_call *c)
{
    return (c->n_in - 3) * 6 * maas_n_elems(&c->in[0]);
}

static void example_of(maas_example *e, const char *op, int n_state)
{
    const maas_attr attr[] = {MAAS_A_FLOAT("weight_decay", e->variant & 2 ? 0.1f : 0),
                              MAAS_A_INT("nesterov", 1)};
    maas_dtype t = maas_ex_float(e);
    maas_vid out[3], in[6];
    for (int k = 0; k < 2 + n_state; k++)
        in[k] = maas_ex_in(e, t, k == 0 || k == 1 + n_state ? -2 : 0, 2, MAAS_DIMS(3, 5));
    in[2 + n_state] = maas_b_scalar(e->b, t, 0.01);
    in[3 + n_state] = maas_b_i64(e->b, e->variant / 2 + 1);
    const bool sgd_rule = strcmp(op, "SGDStep") == 0;
    maas_b_node(e->b, op, attr, sgd_rule ? 2 : 1, in, (uint32_t)n_state + 4, out,
                (uint32_t)n_state + 1);
}

/* ---- GlobalNormScale: min(1, limit / norm of all gradients together), for clipping ---- */

static maas_status scale_infer(maas_infer *q, maas_err *err)
{
    const maas_attr *limit = maas_node_attr(q->node, "max_norm");
    if (!(limit->u.f > 0))
        return maas_fail(err, MAAS_E_INVALID, "max_norm must be above 0");
    maas_q_out(q, 0, (maas_dtype)q->in[0].dtype, 0, NULL);
    maas_q_out(q, 1, (maas_dtype)q->in[0].dtype, 0, NULL);
    return MAAS_OK;
}

static maas_status scale_reference(const maas_call *c, maas_err *err)
{
    const double limit = maas_attr_f(c->node, "max_norm", 1);
    double sum = 0;
    for (int k = 0; k < c->n_in; k++)
        for (int64_t i = 0, n = maas_n_elems(&c->in[k]); i < n; i++)
            sum += maas_ld(&c->in[k], i) * maas_ld(&c->in[k], i);
    const double norm = sqrt(sum);
    maas_st(&c->out[0], 0, norm > limit ? limit / norm : 1);
    if (maas_c_out(c, 1))
        maas_st(&c->out[1], 0, norm);
    return MAAS_OK;
}

static int64_t scale_flops(const maas_call *c)
{
    int64_t n = 0;
    for (int k = 0; k < c->n_in; k++)
        n += 2 * maas_n_elems(&c->in[k]);
    return n;
}

static void scale_example(maas_example *e)
{
    const maas_attr limit = MAAS_A_FLOAT("max_norm", e->variant & 2 ? 100.f : 1.5f);
    maas_dtype t = maas_ex_float(e);
    maas_vid out[2],
        in[3] = {maas_ex_in(e, t, -2, 2, MAAS_DIMS(3, 5)), maas_ex_in(e, t, -2, 2, MAAS_DIMS(4)),
                 maas_ex_in(e, t, -2, 2, 0, NULL)};
    maas_b_node(e->b, "GlobalNormScale", &limit, 1, in, 3, out, 2);
}

/* ---- rows ---- */

#define LIKE_PARAM(n) MAAS_REQ(n, "T", MAAS_DTS_FLOAT)
#define WHEN          MAAS_REQ("lr", NULL, MAAS_DTS_FLOAT), MAAS_REQ("step", NULL, MAAS_DTS_I64)
static const maas_io_schema in1[] = {LIKE_PARAM("param"), LIKE_PARAM("state"), LIKE_PARAM("grad"),
                                     WHEN};
static const maas_io_schema in2[] = {LIKE_PARAM("param"), LIKE_PARAM("m"), LIKE_PARAM("v"),
                                     LIKE_PARAM("grad"), WHEN};
static const maas_io_schema out1[] = {LIKE_PARAM("new_param"), LIKE_PARAM("new_state")};
static const maas_io_schema out2[] = {LIKE_PARAM("new_param"), LIKE_PARAM("new_m"),
                                      LIKE_PARAM("new_v")};
static const maas_io_schema grads[] = {MAAS_VARIADIC("grads", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema scale_out[] = {LIKE_PARAM("scale"),
                                           MAAS_OPT("norm", "T", MAAS_DTS_FLOAT)};
static const maas_attr_schema sgd_attrs[] = {{"momentum", MAAS_ATTR_FLOAT, false},
                                             {"nesterov", MAAS_ATTR_INT, false},
                                             {"weight_decay", MAAS_ATTR_FLOAT, false}};
static const maas_attr_schema rms_attrs[] = {{"alpha", MAAS_ATTR_FLOAT, false},
                                             {"epsilon", MAAS_ATTR_FLOAT, false},
                                             {"weight_decay", MAAS_ATTR_FLOAT, false}};
static const maas_attr_schema grad_attrs[] = {{"epsilon", MAAS_ATTR_FLOAT, false},
                                              {"weight_decay", MAAS_ATTR_FLOAT, false}};
static const maas_attr_schema adam_attrs[] = {{"beta1", MAAS_ATTR_FLOAT, false},
                                              {"beta2", MAAS_ATTR_FLOAT, false},
                                              {"epsilon", MAAS_ATTR_FLOAT, false},
                                              {"weight_decay", MAAS_ATTR_FLOAT, false}};
static const maas_attr_schema scale_attrs[] = {{"max_norm", MAAS_ATTR_FLOAT, true}};

#define STEP(Name, fn, n_state, first, preset, eps, attrs)                                         \
    static maas_status fn##_reference(const maas_call *c, maas_err *err)                           \
    {                                                                                              \
        const rule r = rule_of(c, n_state, first, preset, eps);                                    \
        run(c, &r, fn, n_state);                                                                   \
        return MAAS_OK;                                                                            \
    }                                                                                              \
    static void fn##_example(maas_example *e)                                                      \
    {                                                                                              \
        example_of(e, #Name, n_state);                                                             \
    }                                                                                              \
    const maas_op maas_op_##Name = {                                                               \
        .domain = MAAS_DOMAIN_OWN,                                                                 \
        .name = #Name,                                                                             \
        .since = 1,                                                                                \
        .flags = MAAS_OP_INPLACE,                                                                  \
        MAAS_SCHEMA(in##n_state, out##n_state),                                                    \
        MAAS_ATTRS(attrs),                                                                         \
        .n_examples = 4,                                                                           \
        .tolerance = 1e-5,                                                                         \
        .infer = step_infer,                                                                       \
        .reference = fn##_reference,                                                               \
        .flops = step_flops,                                                                       \
        .example = fn##_example,                                                                   \
        .no_gradient = "it is the end of a step",                                                  \
    };
/*   operator     rule     states  first number  epsilon */
STEP(SGDStep, sgd, 1, "momentum", 0, 0, sgd_attrs)
STEP(RMSPropStep, rms_prop, 1, "alpha", 0.99f, 1e-8f, rms_attrs)
STEP(AdagradStep, adagrad, 1, "alpha", 0, 1e-10f, grad_attrs)
STEP(AdamStep, adam, 2, "beta1", 0.9f, 1e-8f, adam_attrs)
STEP(AdamWStep, adam_w, 2, "beta1", 0.9f, 1e-8f, adam_attrs)

const maas_op maas_op_GlobalNormScale = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "GlobalNormScale",
    .since = 1,
    MAAS_SCHEMA(grads, scale_out),
    MAAS_ATTRS(scale_attrs),
    .n_examples = 4,
    .tolerance = 1e-5,
    .infer = scale_infer,
    .reference = scale_reference,
    .flops = scale_flops,
    .example = scale_example,
    .no_gradient = "it is part of a step",
};
