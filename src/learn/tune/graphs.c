/* learn/tune/graphs.c - the prepared graph as a training, an evaluation and an export graph. */
#include "learn/tune/tune_int.h"

#include <stdio.h>

#include "base/mem.h"
#include "ops/build.h"
#include "passes/pass.h"

#include "base/ban.h"

/* Names that a training graph gives: what the file calls so steps aside there. */
static const char *const taken[] = {"x",       "y",          "loss",        "z",
                                    "answers", "step.lr",    "step.rate",   "step.epsilon",
                                    "labels",  "input.fill", "input.shift", "input.scale"};

/* Those of weights step aside for good: three graphs know a weight by one name. */
maas_status maas_tune_free_names(maas_tune *t, maas_err *err)
{
    for (size_t i = 0; i < MAAS_COUNT(taken); i++) {
        const maas_vid v = maas_graph_find(t->g, taken[i]);
        char name[48];
        if (v == MAAS_NO_VALUE || !t->role[v])
            continue;
        for (int k = 0;; k++) {
            snprintf(name, sizeof name, "weight.%d.%s", k, taken[i]);
            if (maas_graph_find(t->g, name) == MAAS_NO_VALUE)
                break;
        }
        MAAS_TRY(maas_graph_rename(t->g, v, name, err));
    }
    return MAAS_OK;
}

static void fail(maas_net *net, maas_status st)
{
    if (net->b.status == MAAS_OK)
        net->b.status = st;
}

maas_status maas_tune_clone(const maas_tune *t, maas_budget *budget, maas_graph **out,
                            maas_err *err)
{
    maas_graph *g;
    MAAS_TRY(maas_graph_clone(t->g, budget, &g, err));
    for (uint32_t v = 0; v < t->g->n_values; v++)
        if (t->role[v] & (MAAS_TUNE_WEIGHT | MAAS_TUNE_STATISTIC))
            g->values[v].flags = (g->values[v].flags & ~(uint32_t)MAAS_VALUE_CONST) |
                                 MAAS_VALUE_VARIABLE;
    *out = g;
    return MAAS_OK;
}

/* ---- inputs ---- */

static maas_status step_aside(maas_graph *g, maas_err *err)
{
    for (uint32_t i = 0; i < g->n_inputs; i++)
        maas_graph_at(g, g->inputs[i])->flags &= ~(uint32_t)MAAS_VALUE_INPUT;
    for (uint32_t i = 0; i < g->n_outputs; i++)
        maas_graph_at(g, g->outputs[i])->flags &= ~(uint32_t)MAAS_VALUE_OUTPUT;
    g->n_inputs = g->n_outputs = 0;
    for (size_t i = 0; i < MAAS_COUNT(taken); i++) {
        const maas_vid v = maas_graph_find(g, taken[i]);
        if (v != MAAS_NO_VALUE)
            MAAS_TRY(maas_graph_rename(g, v, NULL, err));
    }
    return MAAS_OK;
}

/* -1 for what no column can be. */
static int64_t product(const int64_t *dims, int n)
{
    int64_t p = 1;
    for (int i = 0; i < n; i++)
        if (dims[i] >= 0 && __builtin_mul_overflow(p, dims[i], &p))
            return -1;
    return p;
}

static int without_ones(const int64_t *dims, int rank, int64_t *out)
{
    int n = 0;
    for (int i = 0; i < rank; i++)
        if (dims[i] != 1)
            out[n++] = dims[i];
    return n;
}

/* Does a row of the data hold what a row of the input is? Then its dimensions. Numbers keep their
 * order: only ones come and go, and flat rows. */
static bool fits(const maas_type *in, const int64_t *have, int n_have, int64_t *out)
{
    const int n = in->rank - 1;
    const int64_t *want = in->dims + 1, total = product(have, n_have), known = product(want, n);
    int64_t a[MAAS_MAX_RANK], b[MAAS_MAX_RANK];
    int open = 0;
    for (int i = 0; i < n; i++)
        open += want[i] < 0;
    for (int i = 0; i < n; i++)
        out[i] = want[i] >= 0             ? want[i]
                 : n == n_have            ? have[i]
                 : open == 1 && known > 0 ? total / known
                                          : 0;
    if (product(out, n) != total)
        return false;
    const int n_a = without_ones(have, n_have, a), n_b = without_ones(out, n, b);
    if (n_a <= 1 || n_b <= 1)
        return true;
    return n_a == n_b && memcmp(a, b, (size_t)n_a * sizeof *a) == 0;
}

static void refuse_rows(maas_net *net, const maas_value *in, const char *column,
                        const int64_t *have, int n_have)
{
    char from[MAAS_SHAPE_TEXT], to[MAAS_SHAPE_TEXT];
    maas_net_fail(net, MAAS_E_INVALID, "%s%.60s%s: a row has shape %s, input '%.60s' takes %s",
                  column ? "column '" : "the columns", column ? column : "", column ? "'" : "",
                  maas_shape_text(have, n_have, from), in->name,
                  maas_shape_text(in->type.dims + 1, in->type.rank - 1, to));
}

/* The value that was an input is what the columns give. */
static void feed(maas_net *net, maas_vid in, maas_vid x, const char *column)
{
    maas_builder *b = &net->b;
    if (b->status != MAAS_OK)
        return;
    const maas_value old = *maas_graph_at(b->g, in);
    const maas_type t = *maas_b_type(b, x);
    int64_t dims[MAAS_MAX_RANK + 1] = {0};
    if (!fits(&old.type, t.dims + 1, t.rank - 1, dims + 1)) {
        refuse_rows(net, &old, column, t.dims + 1, t.rank - 1);
        return;
    }
    if (old.type.dtype == MAAS_STRING) {
        maas_net_fail(net, MAAS_E_UNSUPPORTED, "input '%.100s' is text, which is not trained from",
                      old.name);
        return;
    }
    if (old.type.rank != t.rank ||
        memcmp(dims + 1, t.dims + 1, (size_t)(t.rank - 1) * sizeof *dims))
        x = maas_b_op2(b, "Reshape", x, maas_b_i64s(b, dims, old.type.rank));
    const maas_attr to = MAAS_A_INT("to", old.type.dtype);
    if (old.type.dtype != MAAS_F32)
        x = maas_b_node(b, "Cast", &to, 1, &x, 1, NULL, 1);
    if (b->status == MAAS_OK)
        fail(net, maas_graph_node(b->g, maas_op_find("", "Identity", MAAS_OPSET), "", &x, 1, &in, 1,
                                  NULL, b->err));
}

/* Several inputs: a column of the same name for each. */
static void feed_by_name(const maas_tune *t, const maas_features *fs, maas_net *net)
{
    for (uint32_t i = 0; i < fs->n && net->b.status == MAAS_OK; i++) {
        const maas_column *c = &fs->f[i].col->desc;
        const maas_vid in = maas_graph_find(t->g, c->name);
        int64_t dims[MAAS_MAX_RANK] = {net->batch};
        if (in == MAAS_NO_VALUE || !(maas_graph_at(t->g, in)->flags & MAAS_VALUE_INPUT)) {
            maas_net_fail(net, MAAS_E_INVALID,
                          "column '%.60s': the model has %u inputs, and none of that name", c->name,
                          t->g->n_inputs);
            return;
        }
        if (c->rank + 1 > MAAS_MAX_RANK) {
            maas_net_fail(net, MAAS_E_UNSUPPORTED, "column '%.60s' has too many dimensions",
                          c->name);
            return;
        }
        memcpy(dims + 1, c->dims, (size_t)c->rank * sizeof *dims);
        feed(net, in, maas_b_input(&net->b, NULL, MAAS_F32, c->rank + 1, dims), c->name);
    }
    for (uint32_t i = 0; i < t->g->n_inputs; i++) {
        const maas_value *v = maas_graph_at(t->g, t->g->inputs[i]);
        bool found = false;
        for (uint32_t k = 0; k < fs->n; k++)
            found |= strcmp(fs->f[k].col->desc.name, v->name) == 0;
        if (!found)
            maas_net_fail(net, MAAS_E_INVALID,
                          "input '%.60s' of the model: the data set has no column of that name",
                          v->name);
    }
}

void maas_tune_inputs(const maas_tune *t, const maas_features *fs, maas_net *net)
{
    maas_graph *g = net->b.g;
    fail(net, step_aside(g, net->b.err));
    if (net->b.status != MAAS_OK)
        return;
    if (maas_tune_by_name(t)) {
        feed_by_name(t, fs, net);
        return;
    }
    const char *column = fs->layout == MAAS_LAYOUT_TENSOR ? fs->f[0].col->desc.name : NULL;
    feed(net, t->g->inputs[0], maas_features_build_raw(fs, net), column);
}

/* ---- what is done otherwise while training ---- */

/* The same node with other outputs; the old one is dead. */
static maas_status train_norm(maas_net *net, uint32_t at, maas_err *err)
{
    maas_graph *g = net->b.g;
    const maas_node n = g->nodes[at];
    const maas_attr training = MAAS_A_INT("training_mode", 1);
    maas_vid out[3] = {n.out[0], MAAS_NO_VALUE, MAAS_NO_VALUE};
    maas_nid made;
    g->nodes[at].dead = true;
    maas_graph_at(g, n.out[0])->producer = MAAS_NO_NODE;
    MAAS_TRY(maas_graph_node(g, n.op, n.name, n.in, n.n_in, out, 3, &made, err));
    for (int k = 0; k < n.n_attr; k++)
        MAAS_TRY(maas_node_set(g, made, &n.attr[k], err));
    MAAS_TRY(maas_node_set(g, made, &training, err));
    MAAS_TRY(maas_graph_bind(g, n.in[3], out[1], err));
    return maas_graph_bind(g, n.in[4], out[2], err);
}

static double dropout_rate(const maas_graph *g, const maas_node *n)
{
    const maas_tensor *ratio = n->n_in > 1 && n->in[1] >= 0 ? &maas_graph_at(g, n->in[1])->init
                                                            : NULL;
    if (n->n_in > 1 && n->in[1] >= 0 && (!ratio->data || maas_n_elems(ratio) != 1))
        return 0;
    const double rate = ratio ? maas_tensor_get(ratio, 0) : 0.5;
    return rate > 0 && rate < 1 ? rate : 0;
}

/* Masks are inputs that the trainer draws, as those of its own layers. */
static maas_status train_dropout(maas_net *net, uint32_t at, double rate, maas_err *err)
{
    maas_graph *g = net->b.g;
    const maas_node n = g->nodes[at];
    const maas_type type = maas_graph_at(g, n.in[0])->type;
    maas_vid in[2] = {n.in[0], MAAS_NO_VALUE}, out = n.out[0];
    if (type.rank < 1 || type.dtype != MAAS_F32)
        return MAAS_OK;
    MAAS_TRY(maas_graph_input(g, NULL, &type, &in[1], err));
    if (!maas_net_mask_add(net, g->n_inputs - 1, rate))
        return maas_fail(err, MAAS_E_NOMEM, "masks of dropout");
    g->nodes[at].dead = true;
    maas_graph_at(g, out)->producer = MAAS_NO_NODE;
    return maas_graph_node(g, maas_op_find("", "Mul", MAAS_OPSET), n.name, in, 2, &out, 1, NULL,
                           err);
}

static maas_status train_nodes(const maas_tune *t, maas_net *net, bool norms, maas_err *err)
{
    maas_graph *g = net->b.g;
    const uint32_t n_nodes = g->n_nodes;
    for (uint32_t i = 0; i < n_nodes; i++) {
        const maas_node *n = &g->nodes[i];
        if (n->dead || n->n_out == 0 || n->out[0] < 0)
            continue;
        if (norms && maas_tune_is(n, "BatchNormalization") && n->n_in == 5 && n->in[3] >= 0 &&
            (uint32_t)n->in[3] < t->g->n_values && t->role[n->in[3]] == MAAS_TUNE_STATISTIC)
            MAAS_TRY(train_norm(net, i, err));
        const double rate = !norms && maas_tune_is(n, "Dropout") ? dropout_rate(g, n) : 0;
        if (rate > 0)
            MAAS_TRY(train_dropout(net, i, rate, err));
    }
    return maas_graph_compact(g, err);
}

static maas_status settle(const maas_tune *t, maas_net *net, maas_err *err)
{
    maas_graph *g = net->b.g;
    if (net->training)
        MAAS_TRY(train_nodes(t, net, true, err));
    MAAS_TRY(maas_graph_compact(g, err));
    maas_graph_forget_types(g);
    MAAS_TRY(maas_graph_infer(g, err));
    if (net->training)
        MAAS_TRY(train_nodes(t, net, false, err));
    for (uint32_t v = 0; v < t->g->n_values; v++)
        if (t->role[v] == MAAS_TUNE_WEIGHT &&
            !maas_net_weight_known(net, (maas_vid)v, g->values[v].type.rank > 1))
            return maas_fail(err, MAAS_E_NOMEM, "%u weights", t->n_weights);
    return MAAS_OK;
}

/* ---- the end ---- */

static maas_vid flat(maas_builder *b, maas_vid z)
{
    const maas_attr axis = MAAS_A_INT("axis", 1);
    const int rank = b->status == MAAS_OK ? maas_b_type(b, z)->rank : 2;
    if (rank == 2)
        return z;
    return rank == 1 ? maas_b_op2(b, "Reshape", z, maas_b_i64s(b, (int64_t[]){0, 1}, 2))
                     : maas_b_node(b, "Flatten", &axis, 1, &z, 1, NULL, 1);
}

/* What the loss of the target compares: in front of the activation that it undoes, or behind. */
static maas_vid kept_end(const maas_tune *t, const maas_target *target, maas_net *net)
{
    maas_builder *b = &net->b;
    const maas_loss *loss = &maas_losses[target->loss];
    const bool softmax = t->tail == MAAS_TUNE_SOFTMAX || t->tail == MAAS_TUNE_LOG_SOFTMAX;
    if (loss->activation == MAAS_ACTIVATION_NONE)
        return flat(b, t->out);
    if ((loss->activation == MAAS_ACTIVATION_SOFTMAX && t->tail == MAAS_TUNE_SIGMOID) ||
        (loss->activation == MAAS_ACTIVATION_SIGMOID && softmax))
        maas_net_fail(net, MAAS_E_INVALID,
                      "params.loss: the model ends in %s, which %s does not go with; say another, "
                      "or params.head",
                      softmax ? "Softmax" : "Sigmoid", loss->doc.name);
    if (!t->probabilities)
        return flat(b, t->z);
    maas_vid p = maas_b_op3(b, "Clip", t->z, maas_b_f32(b, 1e-7f), maas_b_f32(b, 1));
    if (loss->activation == MAAS_ACTIVATION_SOFTMAX)
        return flat(b, maas_b_op1(b, "Log", p));
    p = maas_b_op3(b, "Clip", t->z, maas_b_f32(b, 1e-7f), maas_b_f32(b, 1 - 1e-7f));
    return flat(b, maas_b_op1(b, "Log",
                              maas_b_op2(b, "Div", p, maas_b_op2(b, "Sub", maas_b_f32(b, 1), p))));
}

static void check_width(const maas_tune *t, const maas_target *target, maas_net *net, maas_vid z)
{
    if (net->b.status != MAAS_OK)
        return;
    const maas_type *type = maas_b_type(&net->b, z);
    const int64_t have = maas_net_row(net, z), want = maas_target_n_outputs(target, have);
    if (type->rank != 2 || have != want)
        maas_net_fail(
            net, MAAS_E_INVALID, "%s gives %lld values a row, target '%.60s' needs %lld%s",
            t->new_head ? "params.head" : "the model", (long long)have, target->col->desc.name,
            (long long)want, t->new_head ? "" : ": say params.head for a new one");
}

maas_vid maas_tune_body(const maas_tune *t, const maas_target *target, maas_net *net)
{
    if (net->b.status == MAAS_OK)
        fail(net, settle(t, net, net->b.err));
    if (net->b.status != MAAS_OK)
        return MAAS_NO_VALUE;
    const maas_vid z = t->new_head ? maas_net_layers(net, t->features) : kept_end(t, target, net);
    check_width(t, target, net, z);
    return net->b.status == MAAS_OK ? z : MAAS_NO_VALUE;
}

/* ---- export ---- */

static maas_vid with_tail(const maas_tune *t, const maas_target *target, maas_builder *b,
                          maas_vid z)
{
    if (t->tail == MAAS_TUNE_PLAIN || !target->is_class)
        return z;
    if (maas_losses[target->loss].activation == MAAS_ACTIVATION_SIGMOID)
        return maas_b_op1(b, "Sigmoid", z);
    return maas_b_op1(b, t->tail == MAAS_TUNE_LOG_SOFTMAX ? "LogSoftmax" : "Softmax", z);
}

/* Names that last: made-up ones are not for files, whose readers make up their own. */
static maas_status name_new_values(maas_graph *g, uint32_t first, maas_err *err)
{
    char name[48];
    for (uint32_t v = first, i = 0; v < g->n_values; v++) {
        if (g->values[v].name[0] != '_' || (g->values[v].flags & MAAS_VALUE_OUTPUT))
            continue;
        do
            snprintf(name, sizeof name, "head.value.%u", i++);
        while (maas_graph_find(g, name) != MAAS_NO_VALUE);
        MAAS_TRY(maas_graph_rename(g, (maas_vid)v, name, err));
    }
    return MAAS_OK;
}

static bool is_dropped(const maas_tune *t, const char *name)
{
    for (size_t i = 0; i < json_array_size(t->dropped); i++)
        if (strcmp(json_string_value(json_array_get(t->dropped, i)), name) == 0)
            return true;
    return false;
}

/* Our own classifier: its outputs are made anew, with the labels of the new classes. */
static void own_outputs(const maas_target *target, maas_net *net, maas_vid z)
{
    static const char *const names[] = {"label", "probabilities", "value", "labels"};
    maas_graph *g = net->b.g;
    for (uint32_t i = 0; i < g->n_outputs; i++)
        maas_graph_at(g, g->outputs[i])->flags &= ~(uint32_t)MAAS_VALUE_OUTPUT;
    g->n_outputs = 0;
    for (size_t i = 0; i < MAAS_COUNT(names); i++) {
        const maas_vid v = maas_graph_find(g, names[i]);
        if (v != MAAS_NO_VALUE)
            fail(net, maas_graph_rename(g, v, NULL, net->b.err));
    }
    maas_target_outputs(target, net, z);
}

/* The new end takes place and name of the old one; what was computed from that one is gone. */
static void other_outputs(const maas_tune *t, const maas_target *target, maas_net *net, maas_vid z)
{
    maas_graph *g = net->b.g;
    const char *name = maas_graph_at(g, t->out)->name;
    z = with_tail(t, target, &net->b, z);
    if (net->b.status == MAAS_OK)
        fail(net, maas_graph_rename(g, t->out, NULL, net->b.err));
    if (net->b.status == MAAS_OK)
        fail(net, maas_graph_rename(g, z, name, net->b.err));
    uint32_t n = 0;
    for (uint32_t i = 0; i < g->n_outputs && net->b.status == MAAS_OK; i++) {
        maas_vid v = g->outputs[i];
        const bool gone = v == t->out || is_dropped(t, maas_graph_at(g, v)->name);
        if (gone)
            maas_graph_at(g, v)->flags &= ~(uint32_t)MAAS_VALUE_OUTPUT;
        if (gone && v != t->out)
            continue;
        v = v == t->out ? z : v;
        maas_graph_at(g, v)->flags |= MAAS_VALUE_OUTPUT;
        g->outputs[n++] = v;
    }
    g->n_outputs = n;
}

void maas_tune_export(const maas_tune *t, const maas_target *target, maas_net *net)
{
    maas_graph *g = net->b.g;
    const maas_pass_opts sweep = {.level = 0};
    if (t->new_head) {
        const uint32_t before = g->n_values;
        const maas_vid z = maas_net_layers(net, t->features);
        if (net->b.status == MAAS_OK && t->labelled)
            own_outputs(target, net, z);
        else if (net->b.status == MAAS_OK)
            other_outputs(t, target, net, z);
        if (net->b.status == MAAS_OK)
            fail(net, name_new_values(g, before, net->b.err));
    }
    if (net->b.status == MAAS_OK)
        fail(net, maas_graph_optimize(g, &sweep, net->b.err));
}
