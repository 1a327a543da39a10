/*
 * learn/tune/weights.c - which constants of a graph are weights, and which of them stay as they
 * are.
 *
 * A file says nothing of what was trained: weights, shapes, scales and tables are all initializers.
 * Weights are here
 *   - floats in the place of a weight of an operator that has one (rows of `places`), maybe
 *     transposed or reshaped on the way;
 *   - floats that are added to or multiplied with something that was computed from a weight before,
 *     when they are more than one number: biases, scales, embeddings of positions. In front of the
 *     first weight the same is how inputs are prepared, and one number is a setting.
 * A normalization that scales by ones and adds zeros has none: that is how exporters write one
 * without weights, or the middle of another (GroupNorm). BatchNormalization always has them.
 */
#include "learn/tune/tune_int.h"

#include <math.h>

#include "base/mem.h"
#include "base/nearest.h"

#include "base/ban.h"

static const struct {
    const char *op;
    unsigned inputs; /* bit i: input i */
} places[] = {
    {"Conv", 6},
    {"ConvTranspose", 6},
    {"Gemm", 7},
    {"MatMul", 3},
    {"FusedMatMul", 3},
    {"Einsum", ~0u},
    {"BatchNormalization", 6},
    {"InstanceNormalization", 6},
    {"GroupNormalization", 6},
    {"LayerNormalization", 6},
    {"RMSNormalization", 2},
    {"PRelu", 2},
    {"Gather", 1},
    {"LSTM", 14},
    {"GRU", 14},
    {"RNN", 14},
};

static const char *const joins[] = {"Add", "Sub", "Mul", "Div", "Concat", "BiasGelu", "Sum"};
static const char *const views[] = {"Transpose", "Reshape", "Identity", "Squeeze", "Unsqueeze",
                                    "Flatten",   "Expand",  "Slice",    "Concat",  "Split"};

typedef struct search {
    maas_tune *t;
    bool *live;     /* [n_nodes] what is trained depends on it */
    bool *constant; /* [n_values] no input has part in it      */
    bool *behind;   /* [n_values] computed from a weight       */
    bool *wanted;   /* [n_values] a constant in the place of a weight */
} search;

static bool listed(const maas_node *n, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (maas_tune_is(n, names[i]))
            return true;
    return false;
}

static bool all_are(const maas_graph *g, const maas_node *n, int input, float value)
{
    if (input >= n->n_in || n->in[input] < 0)
        return true;
    const maas_tensor *t = &maas_graph_at(g, n->in[input])->init;
    if (!t->data || t->dtype != MAAS_F32)
        return false;
    for (int64_t i = 0, count = maas_n_elems(t); i < count; i++)
        if (((const float *)t->data)[i] != value)
            return false;
    return true;
}

static unsigned places_of(const maas_graph *g, const maas_node *n)
{
    static const char *const norms[] = {"InstanceNormalization", "GroupNormalization",
                                        "LayerNormalization", "RMSNormalization"};
    if (listed(n, norms, MAAS_COUNT(norms)) && all_are(g, n, 1, 1) && all_are(g, n, 2, 0))
        return 0;
    for (size_t i = 0; i < MAAS_COUNT(places); i++)
        if (maas_tune_is(n, places[i].op))
            return places[i].inputs;
    return 0;
}

static bool is_float(const maas_graph *g, maas_vid v)
{
    const maas_type *t = &maas_graph_at(g, v)->type;
    return t->tag == MAAS_TYPE_TENSOR && t->dtype == MAAS_F32;
}

static bool several(const maas_graph *g, maas_vid v)
{
    const maas_type *t = &maas_graph_at(g, v)->type;
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] != 1)
            return true;
    return false;
}

static maas_status mark_live(search *s, maas_err *err)
{
    const maas_graph *g = s->t->g;
    AUTO_FREE bool *needed = maas_calloc(g->n_values, sizeof *needed);
    if (!needed)
        return maas_fail(err, MAAS_E_NOMEM, "looking for weights");
    needed[s->t->new_head ? s->t->features : s->t->out] = true;
    for (uint32_t i = g->n_nodes; i-- > 0;) {
        const maas_node *n = &g->nodes[i];
        for (int k = 0; k < n->n_out; k++)
            s->live[i] |= n->out[k] >= 0 && needed[n->out[k]];
        for (int k = 0; k < n->n_in && s->live[i]; k++)
            if (n->in[k] >= 0)
                needed[n->in[k]] = true;
    }
    return MAAS_OK;
}

static void visit(search *s, const maas_node *n)
{
    const maas_graph *g = s->t->g;
    const unsigned mask = places_of(g, n);
    bool constant = true, behind = false;
    for (int k = 0; k < n->n_in; k++) {
        if (n->in[k] < 0)
            continue;
        constant &= s->constant[n->in[k]];
        behind |= s->behind[n->in[k]];
    }
    if (constant && !(n->op->flags & MAAS_OP_RANDOM)) {
        for (int k = 0; k < n->n_out; k++)
            if (n->out[k] >= 0)
                s->constant[n->out[k]] = true;
        return;
    }
    const bool joined = behind && listed(n, joins, MAAS_COUNT(joins));
    for (int k = 0; k < n->n_in; k++) {
        const maas_vid v = n->in[k];
        if (v < 0 || !s->constant[v] || !is_float(g, v))
            continue;
        const bool place = k < 32 && (mask >> k & 1);
        if (!place && !(joined && several(g, v)))
            continue;
        s->wanted[v] = true;
        behind |= place;
    }
    for (int k = 0; k < n->n_out && behind; k++)
        if (n->out[k] >= 0)
            s->behind[n->out[k]] = true;
}

/* From the place of a weight back to the initializers that it is a view of. */
static maas_status trace_back(search *s, const maas_vid *from, uint32_t n_from, uint8_t role,
                              maas_err *err)
{
    const maas_graph *g = s->t->g;
    AUTO_FREE bool *wanted = maas_calloc(g->n_values, sizeof *wanted);
    if (!wanted)
        return maas_fail(err, MAAS_E_NOMEM, "looking for weights");
    for (uint32_t i = 0; i < n_from; i++)
        wanted[from[i]] = true;
    for (uint32_t i = g->n_nodes; i-- > 0;) {
        const maas_node *n = &g->nodes[i];
        bool any = false;
        for (int k = 0; k < n->n_out; k++)
            any |= n->out[k] >= 0 && wanted[n->out[k]];
        if (!any || !listed(n, views, MAAS_COUNT(views)))
            continue;
        const int n_data = maas_tune_is(n, "Concat") ? n->n_in : 1;
        for (int k = 0; k < n_data; k++)
            if (n->in[k] >= 0)
                wanted[n->in[k]] = true;
    }
    for (uint32_t v = 0; v < g->n_values; v++) {
        const maas_value *val = &g->values[v];
        if (wanted[v] && (val->flags & MAAS_VALUE_CONST) && is_float(g, (maas_vid)v) &&
            maas_n_elems(&val->init) > 0 && strncmp(val->name, "optimizer.", 10) != 0)
            s->t->role[v] |= role;
    }
    return MAAS_OK;
}

static maas_status find_all(search *s, maas_err *err)
{
    const maas_graph *g = s->t->g;
    AUTO_FREE maas_vid *from = maas_calloc(g->n_values + 1, sizeof *from);
    uint32_t n = 0;
    if (!from)
        return maas_fail(err, MAAS_E_NOMEM, "looking for weights");
    for (uint32_t v = 0; v < g->n_values; v++)
        s->constant[v] = g->values[v].flags & MAAS_VALUE_CONST;
    MAAS_TRY(mark_live(s, err));
    for (uint32_t i = 0; i < g->n_nodes; i++)
        if (s->live[i])
            visit(s, &g->nodes[i]);
    for (uint32_t v = 0; v < g->n_values; v++)
        if (s->wanted[v])
            from[n++] = (maas_vid)v;
    return trace_back(s, from, n, MAAS_TUNE_WEIGHT, err);
}

/* ---- patterns ---- */

/* '*' is any text, '?' one byte; linear but for the last star. */
static bool matches(const char *pattern, const char *name)
{
    const char *star = NULL, *from = NULL;
    while (*name) {
        if (*pattern == '*') {
            star = pattern++;
            from = name;
        } else if (*pattern == '?' || *pattern == *name) {
            pattern++;
            name++;
        } else if (star) {
            pattern = star + 1;
            name = ++from;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

static bool has_weight(const search *s, const maas_node *n)
{
    for (int k = 0; k < n->n_in; k++)
        if (n->in[k] >= 0 && s->wanted[n->in[k]])
            return true;
    return false;
}

static maas_status no_match(const search *s, size_t at, const char *pattern, maas_err *err)
{
    const maas_graph *g = s->t->g;
    maas_nearest near = maas_nearest_to(pattern, strlen(pattern));
    const char *first = NULL;
    for (uint32_t v = 0; v < g->n_values; v++)
        if (s->t->role[v] & MAAS_TUNE_WEIGHT) {
            first = first ? first : g->values[v].name;
            maas_nearest_try(&near, g->values[v].name);
        }
    for (uint32_t i = 0; i < g->n_nodes; i++)
        if (s->live[i] && *g->nodes[i].name && has_weight(s, &g->nodes[i]))
            maas_nearest_try(&near, g->nodes[i].name);
    return maas_fail(err, MAAS_E_INVALID,
                     "params.freeze[%zu]: no weight and no node with one is named '%.80s'; %s "
                     "'%.100s'",
                     at, pattern, near.best ? "did you mean" : "a name is",
                     near.best ? near.best
                     : first   ? first
                               : "");
}

/* The weights of a name, and those of the nodes of a name. */
static maas_status freeze(search *s, size_t at, const char *pattern, maas_err *err)
{
    const maas_graph *g = s->t->g;
    AUTO_FREE maas_vid *from = maas_calloc(g->n_values + 1, sizeof *from);
    AUTO_FREE bool *taken = maas_calloc(g->n_values, sizeof *taken);
    uint32_t n = 0;
    bool any = false;
    if (!from || !taken)
        return maas_fail(err, MAAS_E_NOMEM, "looking for weights");
    for (uint32_t v = 0; v < g->n_values; v++)
        if ((s->t->role[v] & MAAS_TUNE_WEIGHT) && matches(pattern, g->values[v].name)) {
            s->t->role[v] |= MAAS_TUNE_FROZEN;
            any = true;
        }
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const maas_node *node = &g->nodes[i];
        if (!s->live[i] || !*node->name || !matches(pattern, node->name))
            continue;
        for (int k = 0; k < node->n_in; k++)
            if (node->in[k] >= 0 && s->wanted[node->in[k]] && !taken[node->in[k]]) {
                taken[node->in[k]] = true;
                from[n++] = node->in[k];
            }
    }
    MAAS_TRY(trace_back(s, from, n, MAAS_TUNE_FROZEN, err));
    return any || n ? MAAS_OK : no_match(s, at, pattern, err);
}

static maas_status freeze_all(search *s, maas_err *err)
{
    const json_t *list = s->t->recipe->tune.freeze;
    for (size_t i = 0; i < json_array_size(list); i++)
        MAAS_TRY(freeze(s, i, json_string_value(json_array_get(list, i)), err));
    return MAAS_OK;
}

/* ---- normalizations ---- */

/* Mean and variance follow the batches where scale or bias is trained; a frozen one keeps them. */
static maas_status find_statistics(search *s, maas_err *err)
{
    maas_tune *t = s->t;
    const maas_graph *g = t->g;
    if (t->recipe->tune.batch_norm == MAAS_TUNE_NORM_KEPT)
        return MAAS_OK;
    AUTO_FREE uint32_t *uses = maas_calloc(g->n_values, sizeof *uses);
    if (!uses)
        return maas_fail(err, MAAS_E_NOMEM, "looking for statistics");
    maas_graph_count_uses(g, uses);
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const maas_node *n = &g->nodes[i];
        if (!s->live[i] || !maas_tune_is(n, "BatchNormalization") || n->n_in != 5 || n->n_out != 1)
            continue;
        bool trained = false, own = true;
        for (int k = 1; k < 3; k++)
            trained |= t->role[n->in[k]] == MAAS_TUNE_WEIGHT;
        for (int k = 3; k < 5; k++)
            own &= (maas_graph_at(g, n->in[k])->flags & MAAS_VALUE_CONST) && !t->role[n->in[k]] &&
                   is_float(g, n->in[k]) && uses[n->in[k]] == 1;
        for (int k = 3; k < 5 && trained && own; k++)
            t->role[n->in[k]] = MAAS_TUNE_STATISTIC;
    }
    return MAAS_OK;
}

static maas_status count(maas_tune *t, maas_err *err)
{
    for (uint32_t v = 0; v < t->g->n_values; v++) {
        t->n_frozen += (t->role[v] & MAAS_TUNE_FROZEN) != 0;
        t->n_weights += t->role[v] == MAAS_TUNE_WEIGHT;
        if (t->role[v] & MAAS_TUNE_FROZEN)
            t->role[v] = MAAS_TUNE_FROZEN;
    }
    if (t->n_weights || t->new_head)
        return MAAS_OK;
    return t->n_frozen
               ? maas_fail(err, MAAS_E_INVALID,
                           "params.freeze: all %u weights are frozen and there is no new head: "
                           "nothing is left to train",
                           t->n_frozen)
               : maas_fail(
                     err, MAAS_E_UNSUPPORTED,
                     "the model has no weights that can be trained: none of its operators has "
                     "a constant float32 weight");
}

maas_status maas_tune_find_weights(maas_tune *t, maas_err *err)
{
    const maas_graph *g = t->g;
    AUTO_FREE bool *live = maas_calloc(g->n_nodes + 1, sizeof *live);
    AUTO_FREE bool *constant = maas_calloc(g->n_values, sizeof *constant);
    AUTO_FREE bool *behind = maas_calloc(g->n_values, sizeof *behind);
    AUTO_FREE bool *wanted = maas_calloc(g->n_values, sizeof *wanted);
    t->role = maas_calloc(g->n_values, sizeof *t->role);
    if (!live || !constant || !behind || !wanted || !t->role)
        return maas_fail(err, MAAS_E_NOMEM, "looking for weights");
    search s = {t, live, constant, behind, wanted};
    MAAS_TRY(find_all(&s, err));
    MAAS_TRY(freeze_all(&s, err));
    MAAS_TRY(find_statistics(&s, err));
    return count(t, err);
}
