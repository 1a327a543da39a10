/*
 * learn/optimizers.c - the optimizers. One more: rows, a build function, a line in the table.
 *
 * Adam folds both bias corrections into two scalars of the step: with
 *   c = sqrt(1 - beta2^t),   lr' = lr c / (1 - beta1^t)   and   eps' = eps c
 * the update  lr m^ / (sqrt(v^) + eps)  is  lr' m / (sqrt(v) + eps'),  exactly, and one product
 * shorter for every weight.
 */
#include "learn/optimizers.h"

#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "passes/pass.h"

#include "base/ban.h"

#define AT(f) offsetof(maas_optimizer_spec, f)

static maas_vid scaled(maas_builder *b, maas_vid x, double by)
{
    return by == 1 ? x : maas_b_op2(b, "Mul", x, maas_b_f32(b, (float)by));
}

/* a x + c y */
static maas_vid blend(maas_builder *b, double a, maas_vid x, double c, maas_vid y)
{
    return maas_b_op2(b, "Add", scaled(b, x, a), scaled(b, y, c));
}

static maas_vid descend(maas_builder *b, maas_vid w, maas_vid lr, maas_vid direction)
{
    return maas_b_op2(b, "Sub", w, maas_b_op2(b, "Mul", direction, lr));
}

/* g / (sqrt(s) + eps) */
static maas_vid over_root(maas_builder *b, maas_vid g, maas_vid s, maas_vid eps)
{
    return maas_b_op2(b, "Div", g, maas_b_op2(b, "Add", maas_b_op1(b, "Sqrt", s), eps));
}

static maas_vid sgd(maas_builder *b, const maas_optimizer_spec *s, const maas_step_inputs *in,
                    maas_vid w, maas_vid g, const maas_vid *state, maas_vid *new_state)
{
    return descend(b, w, in->lr, g);
}

static maas_vid momentum(maas_builder *b, const maas_optimizer_spec *s, const maas_step_inputs *in,
                         maas_vid w, maas_vid g, const maas_vid *state, maas_vid *new_state)
{
    new_state[0] = blend(b, s->momentum, state[0], 1, g);
    return descend(b, w, in->lr,
                   s->nesterov ? blend(b, s->momentum, new_state[0], 1, g) : new_state[0]);
}

static maas_vid rmsprop(maas_builder *b, const maas_optimizer_spec *s, const maas_step_inputs *in,
                        maas_vid w, maas_vid g, const maas_vid *state, maas_vid *new_state)
{
    new_state[0] = blend(b, s->rho, state[0], 1 - s->rho, maas_b_op2(b, "Mul", g, g));
    return descend(b, w, in->lr, over_root(b, g, new_state[0], maas_b_f32(b, (float)s->epsilon)));
}

static maas_vid adagrad(maas_builder *b, const maas_optimizer_spec *s, const maas_step_inputs *in,
                        maas_vid w, maas_vid g, const maas_vid *state, maas_vid *new_state)
{
    new_state[0] = blend(b, 1, state[0], 1, maas_b_op2(b, "Mul", g, g));
    return descend(b, w, in->lr, over_root(b, g, new_state[0], maas_b_f32(b, (float)s->epsilon)));
}

static maas_vid adam(maas_builder *b, const maas_optimizer_spec *s, const maas_step_inputs *in,
                     maas_vid w, maas_vid g, const maas_vid *state, maas_vid *new_state)
{
    new_state[0] = blend(b, s->beta1, state[0], 1 - s->beta1, g);
    new_state[1] = blend(b, s->beta2, state[1], 1 - s->beta2, maas_b_op2(b, "Mul", g, g));
    maas_vid direction = over_root(b, new_state[0], new_state[1], in->epsilon);
    return descend(b, w, in->lr, direction);
}

static void adam_scalars(const maas_optimizer_spec *s, int64_t step, double lr, float *out_lr,
                         float *out_epsilon)
{
    const double c = sqrt(1 - pow(s->beta2, (double)step));
    *out_lr = (float)(lr * c / (1 - pow(s->beta1, (double)step)));
    *out_epsilon = (float)(s->epsilon * c);
}

#define LR(preset)                                                                                 \
    {                                                                                              \
        "lr", MAAS_PARAM_NUM, AT(lr), 0, 100, preset, .help = "learning rate"                      \
    }
#define EPS(preset)                                                                                \
    {                                                                                              \
        "epsilon", MAAS_PARAM_NUM, AT(epsilon), 1e-12, 1, preset, .help = "added to the divisor"   \
    }
#define BETAS                                                                                      \
    {"beta1", MAAS_PARAM_NUM, AT(beta1), 0, 0.999999, 0.9, .help = "memory of the gradient"},      \
    {                                                                                              \
        "beta2", MAAS_PARAM_NUM, AT(beta2), 0, 0.999999, 0.999, .help = "memory of its square"     \
    }

static const maas_param sgd_rows[] = {LR(0.01)};
static const maas_param momentum_rows[] = {
    LR(0.01),
    {"momentum", MAAS_PARAM_NUM, AT(momentum), 0, 0.99999, 0.9,
     .help = "how much of the last step stays"},
    {"nesterov", MAAS_PARAM_BOOL, AT(nesterov), .help = "look ahead by one step"},
};
static const maas_param rmsprop_rows[] = {
    LR(0.001),
    {"rho", MAAS_PARAM_NUM, AT(rho), 0, 0.999999, 0.9, .help = "memory of the squared gradient"},
    EPS(1e-8),
};
static const maas_param adagrad_rows[] = {LR(0.01), EPS(1e-8)};
static const maas_param adam_rows[] = {LR(0.001), BETAS, EPS(1e-8)};

#define ROWS(r) .rows = r, .n_rows = MAAS_COUNT(r)
const maas_optimizer maas_optimizers[MAAS_N_OPTIMIZERS] = {
    [MAAS_OPTIMIZER_SGD] =
        {{"sgd", "straight down the gradient", ROWS(sgd_rows)}, {NULL}, false, sgd, NULL},
    [MAAS_OPTIMIZER_ADAM] = {{"adam", "momentum and a rate of its own for each weight",
                              ROWS(adam_rows)},
                             {"m", "v", NULL},
                             false,
                             adam,
                             adam_scalars},
    {{"adamw", "adam with weight decay apart from the gradient", ROWS(adam_rows)},
     {"m", "v", NULL},
     true,
     adam,
     adam_scalars},
    {{"momentum", "sgd that keeps its speed", ROWS(momentum_rows)},
     {"m", NULL},
     false,
     momentum,
     NULL},
    {{"rmsprop", "a rate of its own for each weight", ROWS(rmsprop_rows)},
     {"v", NULL},
     false,
     rmsprop,
     NULL},
    {{"adagrad", "rates that only shrink", ROWS(adagrad_rows)}, {"v", NULL}, false, adagrad, NULL},
};

/* Every gradient times min(1, clip_norm / norm of all of them together). */
static void clip(maas_net *net, maas_vid *grads)
{
    maas_builder *b = &net->b;
    maas_vid total = MAAS_NO_VALUE;
    for (size_t i = 0; i < net->n_weights; i++) {
        if (grads[i] == MAAS_NO_VALUE)
            continue;
        maas_attr keep = MAAS_A_INT("keepdims", 0);
        maas_vid sq = maas_b_op2(b, "Mul", grads[i], grads[i]), sum = MAAS_NO_VALUE;
        sum = maas_b_node(b, "ReduceSum", &keep, 1, &sq, 1, &sum, 1);
        total = total == MAAS_NO_VALUE ? sum : maas_b_op2(b, "Add", total, sum);
    }
    if (total == MAAS_NO_VALUE)
        return;
    maas_vid norm = maas_b_op2(b, "Add", maas_b_op1(b, "Sqrt", total), maas_b_f32(b, 1e-12f));
    maas_vid factor = maas_b_op2(b, "Div", maas_b_f32(b, (float)net->recipe->clip_norm), norm);
    factor = maas_b_op2(b, "Min", factor, maas_b_f32(b, 1));
    for (size_t i = 0; i < net->n_weights; i++)
        if (grads[i] != MAAS_NO_VALUE)
            grads[i] = maas_b_op2(b, "Mul", grads[i], factor);
}

static void bind(maas_builder *b, maas_vid variable, maas_vid value)
{
    if (b->status == MAAS_OK)
        b->status = maas_graph_bind(b->g, variable, value, b->err);
}

/* ---- tables: a batch moves the rows that it read ---- */

/* Is the gradient just what a Gather along the first axis sends back? Then *grad becomes the rows
 * that occurred, each once; returns their ids. The dense gradient is left without a reader. */
static maas_vid rows_of_gradient(maas_builder *b, maas_vid *grad)
{
    if (*grad == MAAS_NO_VALUE || b->status != MAAS_OK)
        return MAAS_NO_VALUE;
    const maas_value *v = maas_graph_at(b->g, *grad);
    const maas_node *n = v->producer == MAAS_NO_NODE ? NULL : &b->g->nodes[v->producer];
    if (!n || n->op != maas_op_find(MAAS_DOMAIN_OWN, "GatherGrad", 1) || v->type.rank != 2 ||
        maas_attr_i(n, "axis", 0) != 0)
        return MAAS_NO_VALUE;
    const maas_vid in[3] = {n->in[0], n->in[1], n->in[2]};
    maas_vid out[2] = {MAAS_NO_VALUE, MAAS_NO_VALUE};
    maas_b_node(b, "GatherGradRows", NULL, 0, in, 3, out, 2);
    *grad = out[1];
    return out[0];
}

/* The rows of a variable that a step reads; all of it where ids is MAAS_NO_VALUE. The id of no row,
 * -1, reads the last one, and what becomes of it is put nowhere. */
static maas_vid rows_at(maas_builder *b, maas_vid variable, maas_vid ids)
{
    return ids == MAAS_NO_VALUE ? variable : maas_b_op2(b, "Gather", variable, ids);
}

static void put_back(maas_builder *b, maas_vid variable, maas_vid ids, maas_vid next)
{
    bind(b, variable, ids == MAAS_NO_VALUE ? next : maas_b_op3(b, "PutRows", variable, ids, next));
}

static void move_weight(maas_net *net, const maas_net_weight *w, maas_vid g, maas_vid ids,
                        const maas_step_inputs *in)
{
    maas_builder *b = &net->b;
    const maas_optimizer_spec *s = &net->recipe->optimizer;
    const maas_optimizer *opt = &maas_optimizers[s->type];
    const double decay = w->decay ? net->recipe->weight_decay : 0;
    const maas_value *v = maas_graph_at(b->g, w->id);
    const maas_type t = v->type;
    maas_vid state[3], old_state[3], new_state[3];
    for (int i = 0; opt->slots[i]; i++) {
        AUTO(maas_buf_reset) maas_buf name = MAAS_BUF_INIT(1u << 20);
        maas_buf_printf(&name, "optimizer.%s.%s", opt->slots[i], v->name);
        maas_buf_char(&name, '\0');
        if (name.failed)
            maas_net_fail(net, MAAS_E_NOMEM, "state of weight '%.100s'", v->name);
        state[i] = maas_net_state(net, name.p ? name.p : "", t.rank, t.dims, 0);
        v = b->status == MAAS_OK ? maas_graph_at(b->g, w->id) : v;
        old_state[i] = rows_at(b, state[i], ids);
    }
    const maas_vid old = rows_at(b, w->id, ids);
    maas_vid from = old;
    if (decay > 0 && !opt->decoupled)
        g = blend(b, 1, g, decay, old);
    else if (decay > 0) /* the raw rate times decay, without Adam's correction of it */
        from = maas_b_op2(b, "Sub", old, maas_b_op2(b, "Mul", scaled(b, old, decay), in->rate));
    maas_vid next = opt->build(b, s, in, from, g, old_state, new_state);
    put_back(b, w->id, ids, next);
    for (int i = 0; opt->slots[i]; i++)
        put_back(b, state[i], ids, new_state[i]);
}

/* ---- several batches a step ---- */

/* The gradient of this batch and those before it; what is kept of it for the next one. */
static maas_vid add_up(maas_net *net, const maas_net_weight *w, maas_vid g,
                       const maas_step_inputs *in)
{
    maas_builder *b = &net->b;
    const maas_value *v = maas_graph_at(b->g, w->id);
    const maas_type t = v->type;
    AUTO(maas_buf_reset) maas_buf name = MAAS_BUF_INIT(1u << 20);
    maas_buf_printf(&name, "optimizer.sum.%s", v->name);
    maas_buf_char(&name, '\0');
    if (name.failed)
        maas_net_fail(net, MAAS_E_NOMEM, "the gradients of weight '%.100s'", v->name);
    const maas_vid sum = maas_net_state(net, name.p ? name.p : "", t.rank, t.dims, 0);
    const maas_vid next = maas_b_op2(b, "Add", sum, maas_b_op2(b, "Mul", g, in->share));
    bind(b, sum, in->adds ? next : scaled(b, next, 0));
    return next;
}

static void add_all_up(maas_net *net, maas_vid *grads, const maas_step_inputs *in)
{
    const maas_graph *parent = net->parent;
    net->parent = NULL;
    for (size_t i = 0; i < net->n_weights && net->b.status == MAAS_OK; i++)
        if (grads[i] != MAAS_NO_VALUE)
            grads[i] = add_up(net, &net->weights[i], grads[i], in);
    net->parent = parent;
}

void maas_optimizer_build(maas_net *net, maas_vid loss, const maas_step_inputs *in)
{
    maas_builder *b = &net->b;
    if (b->status != MAAS_OK)
        return;
    AUTO_FREE maas_vid *wrt = maas_calloc(net->n_weights + 1, sizeof *wrt);
    AUTO_FREE maas_vid *grads = maas_calloc(net->n_weights + 1, sizeof *grads);
    AUTO_FREE maas_vid *ids = maas_calloc(net->n_weights + 1, sizeof *ids);
    if (!wrt || !grads || !ids) {
        maas_net_fail(net, MAAS_E_NOMEM, "no memory for %zu gradients", net->n_weights);
        return;
    }
    for (size_t i = 0; i < net->n_weights; i++)
        wrt[i] = net->weights[i].id;
    b->status = maas_graph_differentiate(b->g, loss, wrt, (uint32_t)net->n_weights, grads, b->err);
    for (size_t i = 0; i < net->n_weights; i++)
        ids[i] = in->share == MAAS_NO_VALUE ? rows_of_gradient(b, &grads[i]) : MAAS_NO_VALUE;
    if (in->share != MAAS_NO_VALUE)
        add_all_up(net, grads, in);
    if (in->adds)
        return;
    if (b->status == MAAS_OK && net->recipe->clip_norm > 0)
        clip(net, grads);
    const maas_graph *parent = net->parent;
    net->parent = NULL; /* a model file has no optimizer state: it is loaded on its own */
    for (size_t i = 0; i < net->n_weights && b->status == MAAS_OK; i++)
        if (grads[i] != MAAS_NO_VALUE)
            move_weight(net, &net->weights[i], grads[i], ids[i], in);
    net->parent = parent;
}
