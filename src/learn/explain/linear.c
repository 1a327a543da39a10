/*
 * learn/explain/linear.c - models that are a weighted sum of their inputs, up to a last logistic or
 * softmax.
 *
 * A value is affine in the inputs when it is made from affine values and constants by the rows of
 * `rules`; filling a gap with a constant counts, because a gap then contributes what its filling
 * does. The last affine value that everything between inputs and answer goes through is the margin.
 * What a cell contributes is read off by asking for zero, for each unit vector and for a gap in
 * each place, in double precision whatever the model computes in.
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "learn/explain/explain_int.h"
#include "ops/build.h"
#include "base/ban.h"

/* How an operator treats affine inputs. */
typedef enum rule_kind {
    ANY,     /* affine whichever inputs are affine */
    PRODUCT, /* one affine input at most, the others constant */
    FIRST    /* the first may be affine, the others constant */
} rule_kind;

static const struct rule {
    const char *op;
    rule_kind kind;
} rules[] = {
    {"Add", ANY},       {"Sub", ANY},       {"Sum", ANY},         {"Neg", ANY},
    {"Identity", ANY},  {"Concat", ANY},    {"Flatten", FIRST},   {"Cast", FIRST},
    {"Reshape", FIRST}, {"Squeeze", FIRST}, {"Mul", PRODUCT},     {"MatMul", PRODUCT},
    {"Gemm", FIRST},    {"Div", FIRST},     {"Unsqueeze", FIRST}, {"Transpose", ANY},
    {"Slice", FIRST},   {"Gather", FIRST},  {"ReduceSum", FIRST}, {"ReduceMean", FIRST},
};

/* What a last step may be: a function of the margin alone. */
static const char *const links[] = {"Sigmoid", "Softmax", "LogSoftmax", "Exp", "Log"};

typedef struct linear {
    double *weights; /* [n_features][k]: what a cell of one contributes  */
    double *gaps;    /* [n_features][k]: what a missing cell contributes */
    double *bias;    /* [k] */
    double *mean;    /* [n_features][k]: contribution, averaged over the background */
    bool *affine;    /* [n_values]: depends on the inputs, affinely */
    bool *constant;  /* [n_values] */
} linear;

static const struct rule *rule_of(const maas_node *n)
{
    for (size_t i = 0; i < MAAS_COUNT(rules); i++)
        if (!*n->op->domain && strcmp(rules[i].op, n->op->name) == 0)
            return &rules[i];
    return NULL;
}

static bool to_integer(const maas_graph *g, const maas_node *n)
{
    return n->n_out && n->out[0] >= 0 &&
           maas_dtype_describe((maas_dtype)maas_graph_at(g, n->out[0])->type.dtype)->kind !=
               MAAS_KIND_FLOAT;
}

/* Where(IsNaN(x), constant, x) */
static bool fills_gaps(const maas_graph *g, const maas_node *n, const linear *l)
{
    if (strcmp(n->op->name, "Where") != 0 || n->n_in != 3 || n->in[0] < 0 || n->in[2] < 0)
        return false;
    const maas_nid at = maas_graph_at(g, n->in[0])->producer;
    const maas_node *test = at < 0 ? NULL : &g->nodes[at];
    return test && strcmp(test->op->name, "IsNaN") == 0 && test->in[0] == n->in[2] &&
           l->affine[n->in[2]] && l->constant[n->in[1]];
}

static bool node_is_affine(const maas_graph *g, const maas_node *n, const linear *l)
{
    const struct rule *r = rule_of(n);
    int n_affine = 0;
    if (fills_gaps(g, n, l))
        return true;
    if (!r || to_integer(g, n))
        return false;
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i] < 0)
            continue;
        if (l->affine[n->in[i]])
            n_affine++;
        else if (!l->constant[n->in[i]])
            return false;
        if (l->affine[n->in[i]] && r->kind == FIRST && i > 0)
            return false;
    }
    return n_affine == 1 || (n_affine > 1 && r->kind == ANY);
}

static void mark(const maas_graph *g, linear *l)
{
    for (uint32_t v = 0; v < g->n_values; v++)
        l->constant[v] = g->values[v].init.data != NULL;
    for (uint32_t i = 0; i < g->n_inputs; i++)
        l->affine[g->inputs[i]] =
            maas_dtype_describe((maas_dtype)maas_graph_at(g, g->inputs[i])->type.dtype)->kind ==
            MAAS_KIND_FLOAT;
    for (uint32_t k = 0; k < g->n_nodes; k++) {
        const maas_node *n = &g->nodes[k];
        bool all_constant = n->n_in > 0;
        for (int i = 0; i < n->n_in; i++)
            all_constant &= n->in[i] < 0 || l->constant[n->in[i]];
        const bool affine = node_is_affine(g, n, l);
        for (int i = 0; i < n->n_out; i++)
            if (n->out[i] >= 0) {
                l->affine[n->out[i]] = affine;
                l->constant[n->out[i]] = all_constant;
            }
    }
}

static bool is_link(const maas_node *n)
{
    for (size_t i = 0; i < MAAS_COUNT(links); i++)
        if (strcmp(links[i], n->op->name) == 0)
            return true;
    return false;
}

/* From the answer back through links (and the [1 - p, p] that two classes end with) to the margin.
 */
static maas_vid find_margin(const maas_explainer *x, const linear *l)
{
    maas_vid v = x->answer;
    for (uint32_t steps = 0; steps < x->g->n_nodes && !l->affine[v]; steps++) {
        const maas_nid at = maas_graph_at(x->g, v)->producer;
        if (at < 0)
            return MAAS_NO_VALUE;
        const maas_node *n = &x->g->nodes[at];
        const bool pair = strcmp(n->op->name, "Concat") == 0 && n->n_in == 2;
        if (!pair && !is_link(n) && !rule_of(n))
            return MAAS_NO_VALUE;
        if (n->n_in < 1)
            return MAAS_NO_VALUE;
        v = n->in[n->n_in - 1]; /* of [1 - p, p]: p */
        if (!pair && n->n_in > 1 && l->constant[v])
            v = n->in[0];
        if (v < 0 || l->constant[v])
            return MAAS_NO_VALUE;
    }
    return l->affine[v] ? v : MAAS_NO_VALUE;
}

/* ---- a copy that computes in double ---- */

static void as_double(maas_builder *b, maas_vid *map, const maas_graph *g, maas_vid v)
{
    const maas_value *val = maas_graph_at(g, v);
    maas_tensor t = val->init;
    AUTO_FREE double *wide = NULL;
    if (t.dtype != MAAS_F64 && maas_dtype_describe((maas_dtype)t.dtype)->kind == MAAS_KIND_FLOAT) {
        const int64_t n = maas_n_elems(&t);
        wide = maas_calloc((size_t)n + 1, sizeof *wide);
        if (!wide) {
            b->status = maas_fail(b->err, MAAS_E_NOMEM, "memory for explaining");
            return;
        }
        for (int64_t i = 0; i < n; i++)
            wide[i] = maas_tensor_get(&t, i);
        t.data = wide;
        t.dtype = MAAS_F64;
    }
    map[v] = maas_b_const(b, NULL, &t);
}

static void copy_node(maas_builder *b, maas_vid *map, const maas_graph *g, const maas_node *n)
{
    maas_vid in[8], out = MAAS_NO_VALUE;
    maas_attr attr[16];
    if (n->n_in > MAAS_COUNT(in) || n->n_attr > MAAS_COUNT(attr)) {
        b->status = maas_fail(b->err, MAAS_E_UNSUPPORTED, "a node of many inputs");
        return;
    }
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i] >= 0 && map[n->in[i]] < 0)
            as_double(b, map, g, n->in[i]);
        in[i] = n->in[i] < 0 ? MAAS_NO_VALUE : map[n->in[i]];
    }
    for (int i = 0; i < n->n_attr; i++) {
        attr[i] = n->attr[i];
        if (strcmp(n->op->name, "Cast") == 0 && strcmp(attr[i].name, "to") == 0)
            attr[i].u.i = MAAS_F64;
    }
    if (b->status == MAAS_OK)
        map[n->out[0]] = maas_b_node(b, n->op->name, attr, n->n_attr, in, n->n_in, &out, 1);
}

/* Nodes that `v` needs, marked backwards: nodes stand in order. */
static bool *needed_for(const maas_graph *g, maas_vid v)
{
    bool *need = maas_calloc(g->n_values, sizeof *need);
    if (!need)
        return NULL;
    need[v] = true;
    for (uint32_t k = g->n_nodes; k-- > 0;) {
        const maas_node *n = &g->nodes[k];
        bool wanted = false;
        for (int i = 0; i < n->n_out; i++)
            wanted |= n->out[i] >= 0 && need[n->out[i]];
        for (int i = 0; wanted && i < n->n_in; i++)
            if (n->in[i] >= 0)
                need[n->in[i]] = true;
    }
    return need;
}

static maas_status double_copy(maas_explainer *x, const linear *l, maas_vid v, maas_err *err)
{
    const maas_graph *g = x->g;
    AUTO_FREE bool *need = needed_for(g, v);
    AUTO_FREE maas_vid *map = maas_calloc(g->n_values, sizeof *map);
    maas_builder b;
    int64_t batch;
    if (!need || !map)
        return maas_fail(err, MAAS_E_NOMEM, "memory for explaining");
    memset(map, 0xff, g->n_values * sizeof *map);
    MAAS_TRY(maas_graph_create("margin", x->opts.budget, &x->cut, err));
    MAAS_TRY(maas_graph_symbol(x->cut, "n", &batch, err));
    maas_builder_init(&b, x->cut, err);
    for (uint32_t i = 0; i < g->n_inputs; i++) {
        maas_type t = maas_graph_at(g, g->inputs[i])->type;
        t.dims[0] = batch;
        map[g->inputs[i]] = maas_b_input(&b, maas_graph_at(g, g->inputs[i])->name, MAAS_F64, t.rank,
                                         t.dims);
    }
    for (uint32_t k = 0; k < g->n_nodes && b.status == MAAS_OK; k++) {
        const maas_node *n = &g->nodes[k];
        if (n->n_out != 1 || !need[n->out[0]] || l->constant[n->out[0]]) {
            if (n->n_out && n->out[0] >= 0 && need[n->out[0]])
                return maas_fail(err, MAAS_E_UNSUPPORTED, "constants that are computed");
            continue;
        }
        copy_node(&b, map, g, n);
    }
    MAAS_TRY(b.status);
    MAAS_TRY(maas_graph_output(x->cut, map[v], err));
    MAAS_TRY(maas_xfun_create(x->cut, 1, x->opts.budget, &x->fun, err));
    x->n_outputs = maas_xfun_n_outputs(x->fun);
    return MAAS_OK;
}

/* ---- weights ---- */

/* Asks for zero and then, feature by feature, for `cell` in its place and zero elsewhere; out[i]:
 * what that adds. */
static maas_status ask_each(maas_explainer *x, linear *l, double cell, double *out, maas_err *err)
{
    const int64_t n = x->n_features, k = x->n_outputs;
    const double *y;
    for (int64_t from = -1; from < n; from += MAAS_XFUN_ROWS) { /* row -1 is the zero */
        for (uint32_t i = 0; i < x->g->n_inputs; i++) {
            maas_tensor *t = maas_xfun_input(x->fun, i);
            memset(t->data, 0, maas_tensor_bytes(t));
        }
        for (int64_t r = from < 0; r < MAAS_XFUN_ROWS && from + r < n; r++) {
            const maas_xfeature *f = &x->features[from + r];
            ((double *)maas_xfun_input(x->fun, f->input)
                 ->data)[r * maas_xfun_width(x->fun, f->input) + f->cell] = cell;
        }
        MAAS_TRY(maas_xfun_run(x->fun, &y, err));
        for (int64_t r = 0; r < MAAS_XFUN_ROWS && from + r < n; r++)
            memcpy(from + r < 0 ? l->bias : out + (from + r) * k, y + r * k, (size_t)k * sizeof *y);
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t o = 0; o < k; o++)
            out[i * k + o] -= l->bias[o];
    return MAAS_OK;
}

static double contribution(const maas_explainer *x, const maas_tensor *in, int64_t row, int64_t i,
                           int64_t o)
{
    const linear *l = x->own;
    const maas_xfeature *f = &x->features[i];
    const double v = maas_tensor_get(&in[f->input],
                                     row * maas_xfun_width(x->fun, f->input) + f->cell);
    return isnan(v) ? l->gaps[i * x->n_outputs + o] : l->weights[i * x->n_outputs + o] * v;
}

static maas_status read_means(maas_explainer *x, linear *l, maas_err *err)
{
    const int64_t k = x->n_outputs, rows = x->opts.background_rows;
    x->base = maas_arena_array(&x->arena, (size_t)k, sizeof *x->base);
    if (!x->base)
        return maas_fail(err, MAAS_E_NOMEM, "memory for explaining");
    memcpy(x->base, l->bias, (size_t)k * sizeof *x->base);
    for (int64_t i = 0; i < x->n_features; i++)
        for (int64_t o = 0; o < k; o++) {
            for (int64_t r = 0; r < rows; r++)
                l->mean[i * k + o] += contribution(x, x->opts.background, r, i, o) / (double)rows;
            x->base[o] += l->mean[i * k + o];
        }
    return MAAS_OK;
}

static maas_status make_tables(maas_explainer *x, linear *l, maas_err *err)
{
    const size_t n = (size_t)(x->n_features * x->n_outputs);
    l->weights = maas_arena_array(&x->arena, n, sizeof *l->weights);
    l->gaps = maas_arena_array(&x->arena, n, sizeof *l->gaps);
    l->mean = maas_arena_array(&x->arena, n, sizeof *l->mean);
    l->bias = maas_arena_array(&x->arena, (size_t)x->n_outputs, sizeof *l->bias);
    if (!l->weights || !l->gaps || !l->mean || !l->bias)
        return maas_fail(err, MAAS_E_NOMEM, "memory for explaining");
    MAAS_TRY(ask_each(x, l, 1, l->weights, err));
    MAAS_TRY(ask_each(x, l, NAN, l->gaps, err));
    return read_means(x, l, err);
}

static maas_status linear_prepare(maas_explainer *x, maas_err *err)
{
    MAAS_TRY(maas_x_need_background(x, err));
    linear *l = x->own = maas_arena_alloc(&x->arena, sizeof *l);
    if (l) {
        l->affine = maas_arena_array(&x->arena, x->g->n_values, sizeof *l->affine);
        l->constant = maas_arena_array(&x->arena, x->g->n_values, sizeof *l->constant);
    }
    if (!l || !l->affine || !l->constant)
        return maas_fail(err, MAAS_E_NOMEM, "memory for explaining");
    mark(x->g, l);
    const maas_vid margin = find_margin(x, l);
    bool alone = false;
    if (margin != MAAS_NO_VALUE)
        MAAS_TRY(maas_x_only_through(x, &margin, 1, &alone, err));
    if (!alone)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "the model is not linear in its inputs");
    MAAS_TRY(double_copy(x, l, margin, err));
    if (margin != x->answer)
        x->target = maas_arena_printf(&x->arena, "margin of %s", x->target);
    return x->target ? make_tables(x, l, err)
                     : maas_fail(err, MAAS_E_NOMEM, "memory for explaining");
}

static void linear_row(maas_explainer *x, const maas_tensor *in, int64_t row, double *phi,
                       double *answer)
{
    const linear *l = x->own;
    const int64_t k = x->n_outputs;
    memcpy(answer, x->base, (size_t)k * sizeof *answer);
    for (int64_t i = 0; i < x->n_features; i++)
        for (int64_t o = 0; o < k; o++) {
            phi[i * k + o] = contribution(x, in, row, i, o) - l->mean[i * k + o];
            answer[o] += phi[i * k + o];
        }
}

static maas_status linear_rows(maas_explainer *x, const maas_tensor *in, int64_t from, int64_t n,
                               double *phi, double *answer, maas_err *err)
{
    (void)err;
    for (int64_t r = 0; r < n; r++)
        linear_row(x, in, from + r, phi + r * x->n_features * x->n_outputs,
                   answer + r * x->n_outputs);
    return MAAS_OK;
}

const maas_xmethod maas_x_linear = {"linear", linear_prepare, linear_rows, MAAS_XFUN_ROWS, NULL};
