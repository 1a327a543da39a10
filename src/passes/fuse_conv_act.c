/*
 * Activations behind a convolution: single nodes, and what exporters write instead of one:
 *
 *   y * Sigmoid(y)                     Swish
 *   y * HardSigmoid(y)                 HardSwish (with 1/6 and 1/2)
 *   y * Clip(y + 3, 0, 6) / 6          HardSwish, the division first or last
 *   a * f(y) + b, with numbers a, b    Linear behind f
 */
#include "passes/fuse_conv.h"

#include <math.h>

#include "ops/build.h"
#include "base/ban.h"

maas_conv_ops maas_conv_ops_find(void)
{
    return (maas_conv_ops){
        .conv = maas_op_find("", "Conv", MAAS_OPSET),
        .transpose = maas_op_find("", "ConvTranspose", MAAS_OPSET),
        .shuffle = maas_op_find("", "DepthToSpace", MAAS_OPSET),
        .pad = maas_op_find("", "Pad", MAAS_OPSET),
        .fused = maas_op_find(MAAS_DOMAIN_OWN, "FusedConv", MAAS_OPSET),
        .fused_add = maas_op_find(MAAS_DOMAIN_OWN, "FusedConvAdd", MAAS_OPSET),
        .add = maas_op_find("", "Add", MAAS_OPSET),
        .sub = maas_op_find("", "Sub", MAAS_OPSET),
        .mul = maas_op_find("", "Mul", MAAS_OPSET),
        .div = maas_op_find("", "Div", MAAS_OPSET),
        .clip = maas_op_find("", "Clip", MAAS_OPSET),
        .sigmoid = maas_op_find("", "Sigmoid", MAAS_OPSET),
        .hard_sigmoid = maas_op_find("", "HardSigmoid", MAAS_OPSET),
    };
}

/* ---- walking ---- */

/* The n-th of the readers of v, when there are exactly `count` and all of them are known. */
static const maas_node *reader(const maas_graph *g, const maas_chain *c, maas_vid v, uint32_t count,
                               uint32_t n)
{
    const maas_readers *r = &c->readers[v];
    if (r->n != count)
        return NULL;
    const maas_node *node = &g->nodes[r->node[n]];
    return node->dead || node->n_out != 1 || node->out[0] < 0 ? NULL : node;
}

const maas_node *maas_only_reader(const maas_graph *g, const maas_chain *c)
{
    return reader(g, c, c->y, 1, 0);
}

static void leave(const maas_graph *g, maas_chain *c, const maas_node *n)
{
    c->between[c->n_between++] = (maas_nid)(n - g->nodes);
}

void maas_chain_step(const maas_graph *g, maas_chain *c, const maas_node *n,
                     const maas_conv_ops *ops)
{
    leave(g, c, &g->nodes[c->last]);
    c->last = (maas_nid)(n - g->nodes);
    c->y = n->out[0];
}

static bool number(const maas_graph *g, maas_vid v, double *out)
{
    if (!maas_value_is(g, v, MAAS_VALUE_CONST))
        return false;
    const maas_tensor *t = &maas_graph_at(g, v)->init;
    if (t->dtype != MAAS_F32 || maas_n_elems(t) != 1)
        return false;
    *out = ((const float *)t->data)[0];
    return true;
}

/* The number that `n`, of two inputs, joins with v. */
static bool number_beside(const maas_graph *g, const maas_node *n, maas_vid v, double *out)
{
    const bool first = n->in[0] == v;
    return n->n_in == 2 && (first || n->in[1] == v) && number(g, n->in[first ? 1 : 0], out);
}

/* Each algorithm once, with one set of numbers. */
static bool may_push(const maas_chain *c, maas_conv_act_kind kind)
{
    int linear = kind == MAAS_CONV_LINEAR || kind == MAAS_CONV_HARD_SIGMOID;
    int clip = kind == MAAS_CONV_CLIP || kind == MAAS_CONV_HARD_SIGMOID;
    for (int i = 0; i < c->n_acts; i++) {
        const maas_conv_act_kind k = c->act[i].kind;
        linear += k == MAAS_CONV_LINEAR || k == MAAS_CONV_HARD_SIGMOID;
        clip += k == MAAS_CONV_CLIP || k == MAAS_CONV_HARD_SIGMOID;
        if (k == kind)
            return false;
    }
    return c->n_acts < MAAS_MAX_CONV_ACTS && linear < 2 && clip < 2;
}

static void push(maas_chain *c, maas_conv_act_kind kind, double a, double b)
{
    c->act[c->n_acts++] = (maas_conv_act){kind, (float)a, (float)b};
}

/* ---- one node ---- */

static bool bounds(const maas_graph *g, const maas_node *n, double *lo, double *hi)
{
    *lo = -INFINITY;
    *hi = INFINITY;
    return (n->n_in < 2 || n->in[1] < 0 || number(g, n->in[1], lo)) &&
           (n->n_in < 3 || n->in[2] < 0 || number(g, n->in[2], hi));
}

static const struct {
    const char *op;
    maas_conv_act_kind kind;
    const char *a, *b; /* attributes that are the numbers */
    float preset_a, preset_b;
} single[] = {
    {"Relu", MAAS_CONV_RELU, NULL, NULL, 0, 0},
    {"LeakyRelu", MAAS_CONV_LEAKY_RELU, "alpha", NULL, 0.01f, 0},
    {"Sigmoid", MAAS_CONV_SIGMOID, NULL, NULL, 0, 0},
    {"Tanh", MAAS_CONV_TANH, NULL, NULL, 0, 0},
    {"HardSwish", MAAS_CONV_HARD_SWISH, NULL, NULL, 0, 0},
    {"HardSigmoid", MAAS_CONV_HARD_SIGMOID, "alpha", "beta", 0.2f, 0.5f},
    {"Elu", MAAS_CONV_ELU, "alpha", NULL, 1, 0},
};

static bool take_single(const maas_graph *g, const maas_conv_ops *ops, maas_chain *c)
{
    const maas_node *n = maas_only_reader(g, c);
    double lo, hi;
    if (!n || n->in[0] != c->y)
        return false;
    if (n->op == ops->clip && bounds(g, n, &lo, &hi) && lo <= hi && may_push(c, MAAS_CONV_CLIP)) {
        push(c, MAAS_CONV_CLIP, lo, hi);
        maas_chain_step(g, c, n, ops);
        return true;
    }
    for (size_t i = 0; i < MAAS_COUNT(single); i++) {
        if (n->op->domain[0] || strcmp(n->op->name, single[i].op) != 0 ||
            !may_push(c, single[i].kind))
            continue;
        push(c, single[i].kind,
             single[i].a ? maas_attr_f(n, single[i].a, single[i].preset_a) : single[i].preset_a,
             single[i].b ? maas_attr_f(n, single[i].b, single[i].preset_b) : single[i].preset_b);
        maas_chain_step(g, c, n, ops);
        return true;
    }
    return false;
}

/* a f(y), f(y) + b: into one Linear at the end. */
static bool take_linear(const maas_graph *g, const maas_conv_ops *ops, maas_chain *c)
{
    const maas_node *n = maas_only_reader(g, c);
    double v;
    if (!n || c->n_acts == 0 || (n->op != ops->mul && n->op != ops->add) ||
        !number_beside(g, n, c->y, &v) ||
        !maas_type_eq(&maas_graph_at(g, n->out[0])->type, &maas_graph_at(g, c->y)->type))
        return false;
    if (c->act[c->n_acts - 1].kind != MAAS_CONV_LINEAR) {
        if (!may_push(c, MAAS_CONV_LINEAR))
            return false;
        push(c, MAAS_CONV_LINEAR, 1, 0);
    }
    maas_conv_act *a = &c->act[c->n_acts - 1];
    const double factor = n->op == ops->mul ? v : 1;
    a->a = (float)(a->a * factor);
    a->b = (float)(a->b * factor + (n->op == ops->mul ? 0 : v));
    maas_chain_step(g, c, n, ops);
    return true;
}

/* ---- patterns around y and its product ---- */

static bool is_number(double v, double want)
{
    return fabs(v - want) <= 1e-5 * want;
}

/* y * gate: the product must read both, and nobody else the gate. */
static bool is_product(const maas_conv_ops *ops, const maas_node *product, maas_vid y,
                       maas_vid gate)
{
    return product->op == ops->mul && ((product->in[0] == y && product->in[1] == gate) ||
                                       (product->in[0] == gate && product->in[1] == y));
}

static bool take_gate(const maas_graph *g, const maas_conv_ops *ops, maas_chain *c,
                      const maas_node *gate, const maas_node *product)
{
    maas_conv_act_kind kind = MAAS_CONV_SWISH;
    if (gate->op == ops->hard_sigmoid && is_number(maas_attr_f(gate, "alpha", 0.2f), 1.0 / 6) &&
        is_number(maas_attr_f(gate, "beta", 0.5f), 0.5))
        kind = MAAS_CONV_HARD_SWISH;
    else if (gate->op != ops->sigmoid)
        return false;
    if (reader(g, c, gate->out[0], 1, 0) != product ||
        !is_product(ops, product, c->y, gate->out[0]) || !may_push(c, kind))
        return false;
    push(c, kind, 1, 0);
    leave(g, c, gate);
    maas_chain_step(g, c, product, ops);
    return true;
}

/* plus: y + 3; then Clip(0, 6), the product with y, and a division by 6 before or behind it */
static bool take_parts(const maas_graph *g, const maas_conv_ops *ops, maas_chain *c,
                       const maas_node *plus, const maas_node *product)
{
    double v, lo, hi;
    if (plus->op != ops->add || !number_beside(g, plus, c->y, &v) || !is_number(v, 3) ||
        !may_push(c, MAAS_CONV_HARD_SWISH))
        return false;
    const maas_node *clip = reader(g, c, plus->out[0], 1, 0);
    if (!clip || clip->op != ops->clip || clip->in[0] != plus->out[0] ||
        !bounds(g, clip, &lo, &hi) || lo != 0 || !is_number(hi, 6))
        return false;
    const maas_node *gate = clip, *last = product, *next = reader(g, c, clip->out[0], 1, 0);
    const bool first = next && next != product;
    if (first)
        gate = next;
    else
        last = reader(g, c, product->out[0], 1, 0);
    const maas_node *sixth = first ? gate : last;
    if (!sixth || !number_beside(g, sixth, first ? clip->out[0] : product->out[0], &v) ||
        !((sixth->op == ops->div && sixth->in[1] != (first ? clip : product)->out[0] &&
           is_number(v, 6)) ||
          (sixth->op == ops->mul && is_number(v, 1.0 / 6))) ||
        reader(g, c, gate->out[0], 1, 0) != product ||
        !is_product(ops, product, c->y, gate->out[0]))
        return false;
    if (last->n_out != 1 ||
        !maas_type_eq(&maas_graph_at(g, last->out[0])->type, &maas_graph_at(g, c->y)->type))
        return false;
    push(c, MAAS_CONV_HARD_SWISH, 0, 0);
    leave(g, c, plus);
    leave(g, c, clip);
    leave(g, c, first ? gate : product);
    maas_chain_step(g, c, last, ops);
    return true;
}

bool maas_take_activation(const maas_graph *g, const maas_conv_ops *ops, maas_chain *c)
{
    if (take_single(g, ops, c) || take_linear(g, ops, c))
        return true;
    for (uint32_t i = 0; i < 2; i++) {
        const maas_node *a = reader(g, c, c->y, 2, i), *b = reader(g, c, c->y, 2, 1 - i);
        if (a && b && a != b && (take_gate(g, ops, c, a, b) || take_parts(g, ops, c, a, b)))
            return true;
    }
    return false;
}
