/* learn/tune/end.c - where a graph ends: the output that is trained, the activation that makes it,
 * and the product in front of that, which a new head replaces. */
#include "learn/tune/tune_int.h"

#include "base/mem.h"

#include "base/ban.h"

static bool is_float(const maas_graph *g, maas_vid v)
{
    const maas_type *t = &maas_graph_at(g, v)->type;
    return t->tag == MAAS_TYPE_TENSOR && t->dtype == MAAS_F32 && t->rank >= 1;
}

static maas_status find_output(maas_tune *t, maas_err *err)
{
    const maas_graph *g = t->g;
    const char *name = json_string_value(t->recipe->tune.output);
    const char *own = t->labelled ? "probabilities" : NULL;
    t->out = MAAS_NO_VALUE;
    for (uint32_t i = 0; i < g->n_outputs; i++) {
        const maas_value *v = maas_graph_at(g, g->outputs[i]);
        const char *wanted = name ? name : own;
        if (wanted ? strcmp(v->name, wanted) == 0 : is_float(g, g->outputs[i])) {
            t->out = g->outputs[i];
            break;
        }
    }
    if (t->out == MAAS_NO_VALUE && name)
        return maas_fail(err, MAAS_E_INVALID, "params.output: the model has no output '%.100s'",
                         name);
    if (t->out == MAAS_NO_VALUE || !is_float(g, t->out))
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "%s%.100s%s of the model is a row of floats, which training needs",
                         name ? "output '" : "no output", name ? name : "", name ? "'" : "");
    return MAAS_OK;
}

/* The value in front of nodes that change nothing. */
static maas_vid behind_identity(const maas_graph *g, maas_vid v)
{
    const maas_node *n;
    while (n = maas_tune_producer(g, v), maas_tune_is(n, "Identity"))
        v = n->in[0];
    return v;
}

static bool over_classes(const maas_graph *g, const maas_node *n)
{
    const int rank = maas_graph_at(g, n->in[0])->type.rank;
    const int64_t axis = maas_attr_i(n, "axis", -1);
    return axis == -1 || axis == rank - 1;
}

static void find_tail(maas_tune *t)
{
    const maas_graph *g = t->g;
    static const struct {
        const char *op;
        maas_tune_tail tail;
    } tails[] = {{"Softmax", MAAS_TUNE_SOFTMAX},
                 {"LogSoftmax", MAAS_TUNE_LOG_SOFTMAX},
                 {"Sigmoid", MAAS_TUNE_SIGMOID}};
    t->z = t->out;
    const maas_node *n = maas_tune_producer(g, behind_identity(g, t->out));
    for (size_t i = 0; i < MAAS_COUNT(tails); i++)
        if (maas_tune_is(n, tails[i].op) &&
            (tails[i].tail == MAAS_TUNE_SIGMOID || over_classes(g, n))) {
            t->tail = tails[i].tail;
            t->z = behind_identity(g, n->in[0]);
        }
    t->probabilities = t->tail == MAAS_TUNE_PLAIN &&
                       (t->labelled || t->recipe->tune.form == MAAS_TUNE_FORM_PROBABILITIES);
}

/* ---- a new head ---- */

static bool is_constant(const maas_graph *g, maas_vid v)
{
    for (int depth = 0; depth < 8; depth++) { /* a weight, maybe transposed or reshaped */
        if (v == MAAS_NO_VALUE)
            return false;
        if (maas_graph_at(g, v)->flags & MAAS_VALUE_CONST)
            return true;
        const maas_node *n = maas_tune_producer(g, v);
        if (!n || n->n_in == 0)
            return false;
        v = n->in[0];
    }
    return false;
}

/* What a product reads beside its weight; MAAS_NO_VALUE when it is none. */
static maas_vid input_of_product(const maas_graph *g, const maas_node *n)
{
    const bool gemm = maas_tune_is(n, "Gemm");
    if (!n || (!gemm && !maas_tune_is(n, "MatMul") && !maas_tune_is(n, "FusedMatMul")))
        return MAAS_NO_VALUE;
    if (!is_constant(g, n->in[1]) || (gemm && maas_attr_i(n, "transA", 0)))
        return MAAS_NO_VALUE;
    return n->in[0];
}

/* Through a bias and views to the product. */
static maas_vid find_product(const maas_graph *g, maas_vid v, const maas_node **last)
{
    static const char *const passed[] = {"Identity", "Reshape", "Flatten", "Squeeze", "Cast"};
    for (;;) {
        const maas_node *n = *last = maas_tune_producer(g, v);
        const maas_vid x = n ? input_of_product(g, n) : MAAS_NO_VALUE;
        if (!n || x != MAAS_NO_VALUE)
            return x;
        maas_vid before = MAAS_NO_VALUE;
        if (maas_tune_is(n, "Add"))
            before = is_constant(g, n->in[1])   ? n->in[0]
                     : is_constant(g, n->in[0]) ? n->in[1]
                                                : MAAS_NO_VALUE;
        for (size_t i = 0; i < MAAS_COUNT(passed); i++)
            if (maas_tune_is(n, passed[i]))
                before = n->in[0];
        if (before == MAAS_NO_VALUE)
            return MAAS_NO_VALUE;
        v = before;
    }
}

static maas_status named_value(maas_tune *t, const char *name, maas_err *err)
{
    const maas_graph *g = t->g;
    const maas_vid v = maas_graph_find(g, name);
    t->features = v;
    for (uint32_t i = 0; v == MAAS_NO_VALUE && i < g->n_nodes; i++)
        if (strcmp(g->nodes[i].name, name) == 0 && g->nodes[i].n_out)
            t->features = g->nodes[i].out[0];
    if (t->features == MAAS_NO_VALUE)
        return maas_fail(err, MAAS_E_INVALID,
                         "params.head_after: the model has no node or value '%.100s'", name);
    if (!is_float(g, t->features) || is_constant(g, t->features))
        return maas_fail(
            err, MAAS_E_INVALID,
            "params.head_after: '%.100s' is no row of floats that depends on the input", name);
    return MAAS_OK;
}

static maas_status find_head(maas_tune *t, maas_err *err)
{
    const char *after = json_string_value(t->recipe->tune.head_after);
    const maas_node *last;
    if (after)
        return named_value(t, after, err);
    t->features = find_product(t->g, t->z, &last);
    if (t->features == MAAS_NO_VALUE)
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "params.head: the model does not end in a Gemm or MatMul by a weight but "
                         "in %s '%.100s'; say params.head_after, the node that a new head reads",
                         last ? last->op->name : "input",
                         last ? maas_tune_name(t->g, last) : maas_graph_at(t->g, t->z)->name);
    return MAAS_OK;
}

/* ---- outputs that a new head leaves nothing of ---- */

static maas_status find_dropped(maas_tune *t, maas_err *err)
{
    const maas_graph *g = t->g;
    AUTO_FREE bool *old = maas_calloc(g->n_values, sizeof *old);
    t->dropped = json_array();
    if (!old || !t->dropped)
        return maas_fail(err, MAAS_E_NOMEM, "looking at outputs");
    old[t->z] = true;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        bool any = false;
        for (int k = 0; k < g->nodes[i].n_in; k++)
            any |= g->nodes[i].in[k] >= 0 && old[g->nodes[i].in[k]];
        for (int k = 0; k < g->nodes[i].n_out && any; k++)
            if (g->nodes[i].out[k] >= 0)
                old[g->nodes[i].out[k]] = true;
    }
    for (uint32_t i = 0; i < g->n_outputs; i++) {
        const maas_vid v = g->outputs[i];
        const char *name = maas_graph_at(g, v)->name;
        /* Outputs of our own classifiers are made anew, and no others. */
        const bool gone = t->labelled ? strcmp(name, "label") != 0 : old[v];
        if (v != t->out && gone && json_array_append_new(t->dropped, json_string(name)))
            return maas_fail(err, MAAS_E_NOMEM, "looking at outputs");
    }
    return MAAS_OK;
}

maas_status maas_tune_find_end(maas_tune *t, maas_err *err)
{
    MAAS_TRY(find_output(t, err));
    find_tail(t);
    t->features = MAAS_NO_VALUE;
    t->new_head = t->recipe->layers.n > 0;
    if (!t->new_head && t->recipe->tune.head_after)
        return maas_fail(err, MAAS_E_INVALID, "params.head_after goes with params.head");
    if (!t->new_head)
        return MAAS_OK;
    MAAS_TRY(find_head(t, err));
    return find_dropped(t, err);
}
