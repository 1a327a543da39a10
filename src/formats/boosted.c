#include "formats/boosted_int.h"

#include <math.h>

#include "base/mem.h"
#include "base/ban.h"

void maas_boosted_reset(maas_boosted *m)
{
    maas_forest_destroy(m->forest);
    maas_arena_reset(&m->arena);
    *m = (maas_boosted){0};
}

maas_status maas_boosted_set_use(maas_boosted *m, int32_t feature, maas_boost_use how,
                                 maas_err *err)
{
    if (!m->use && !(m->use = maas_arena_alloc(&m->arena, (size_t)m->n_features)))
        return maas_fail(err, MAAS_E_NOMEM, "%d features", m->n_features);
    if (m->use[feature] != MAAS_BOOST_UNUSED && m->use[feature] != how)
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "feature %d is a number, a category or zero-as-missing in some trees and "
                         "not in others",
                         feature);
    m->use[feature] = (uint8_t)how;
    return MAAS_OK;
}

/* ---- constants and casts ---- */

static maas_vid scalar(maas_builder *b, maas_dtype dtype, double v)
{
    float single = (float)v;
    maas_tensor t = maas_tensor_of(dtype, 0, NULL,
                                   dtype == MAAS_F32 ? (void *)&single : (void *)&v);
    return maas_b_const(b, NULL, &t);
}

maas_vid boosted_cast(maas_builder *b, maas_vid x, maas_dtype to)
{
    const maas_type *t = maas_b_type(b, x);
    if (!t || t->dtype == to)
        return x;
    const maas_attr a = MAAS_A_INT("to", to);
    return maas_b_node(b, "Cast", &a, 1, &x, 1, NULL, 1);
}

static maas_vid reshape(maas_builder *b, maas_vid x, const int64_t *shape, int rank)
{
    return maas_b_op2(b, "Reshape", x, maas_b_i64s(b, shape, rank));
}

/* Doubles as a constant of `dtype`. */
static maas_vid numbers(maas_builder *b, maas_dtype dtype, const double *v, int rank,
                        const int64_t *dims)
{
    const maas_tensor doubles = maas_tensor_of(MAAS_F64, rank, dims, (void *)(uintptr_t)v);
    if (dtype == MAAS_F64)
        return maas_b_const(b, NULL, &doubles);
    maas_arena a;
    maas_arena_init(&a, b->g->arena.budget);
    int64_t n = maas_n_elems(&doubles);
    float *p = maas_arena_array(&a, (size_t)n, sizeof *p);
    maas_vid out = MAAS_NO_VALUE;
    if (p) {
        const maas_tensor t = maas_tensor_of(MAAS_F32, rank, dims, p);
        for (int64_t i = 0; i < n; i++)
            p[i] = (float)v[i];
        out = maas_b_const(b, NULL, &t);
    } else if (b->status == MAAS_OK) {
        b->status = maas_fail(b->err, MAAS_E_NOMEM, "constants of the model");
    }
    maas_arena_reset(&a);
    return out;
}

/* ---- rows as the trees want them ---- */

/* Which features are used so, as a row of booleans; false when none is. */
static bool mask(const maas_boosted *m, maas_builder *b, maas_boost_use how, maas_vid *out)
{
    const int64_t dims[2] = {1, m->n_features};
    bool any = false;
    for (int32_t i = 0; m->use && i < m->n_features; i++)
        any |= m->use[i] == how;
    if (!any || b->status != MAAS_OK)
        return false;
    bool *bits = maas_arena_array(&b->g->arena, (size_t)m->n_features, sizeof *bits);
    if (!bits) {
        b->status = maas_fail(b->err, MAAS_E_NOMEM, "a mask of %d features", m->n_features);
        return false;
    }
    for (int32_t i = 0; i < m->n_features; i++)
        bits[i] = m->use[i] == how;
    const maas_tensor t = maas_tensor_of(MAAS_BOOL, 2, dims, bits);
    *out = maas_b_const(b, NULL, &t);
    return true;
}

static maas_vid prepare(const maas_boosted *m, maas_builder *b, maas_vid x)
{
    maas_vid which;
    if (mask(m, b, MAAS_BOOST_FLOOR, &which))
        x = maas_b_op3(b, "Where", which, maas_b_op1(b, "Floor", x), x);
    if (mask(m, b, MAAS_BOOST_TRUNCATE, &which)) {
        maas_vid whole = maas_b_op1(b, "Floor", maas_b_op1(b, "Abs", x));
        x = maas_b_op3(b, "Where", which, maas_b_op2(b, "Mul", maas_b_op1(b, "Sign", x), whole), x);
    }
    if (mask(m, b, MAAS_BOOST_ZERO_MISSING, &which)) {
        maas_vid tiny = maas_b_op2(b, "LessOrEqual", maas_b_op1(b, "Abs", x),
                                   scalar(b, m->dtype, (double)1e-35f));
        x = maas_b_op3(b, "Where", maas_b_op2(b, "And", which, tiny), scalar(b, m->dtype, NAN), x);
    }
    return x;
}

static maas_vid without_gaps(const maas_boosted *m, maas_builder *b, maas_vid x)
{
    return maas_b_op3(b, "Where", maas_b_op1(b, "IsNaN", x), scalar(b, m->dtype, 0), x);
}

/* ---- scores ---- */

static maas_vid linear_scores(const maas_boosted *m, maas_builder *b, maas_vid x)
{
    const int64_t dims[2] = {m->n_features, m->n_scores};
    maas_vid w = numbers(b, m->dtype, m->weights, 2, dims);
    maas_vid bias = numbers(b, m->dtype, m->bias, 1, &dims[1]);
    return maas_b_op2(b, "Add", maas_b_op2(b, "MatMul", without_gaps(m, b, x), w), bias);
}

/*
 * sums [n, n_scores * (1 + n_features)] are, a score, a constant and a coefficient of each feature:
 * what leaves with linear models add up to. A coefficient of 0 is no part of a model, whatever the
 * feature is (0 * infinity would be NaN).
 */
static maas_vid leaf_models(const maas_boosted *m, maas_builder *b, maas_vid sums, maas_vid x)
{
    const int64_t k = m->n_scores, n = m->n_features;
    const int64_t split[3] = {-1, k, 1 + n}, one[1] = {1}, all[1] = {1 + n}, zero[1] = {0};
    const int64_t last[1] = {2}, rows[3] = {-1, 1, n}, flat[2] = {-1, k};
    maas_vid s = reshape(b, sums, split, 3);
    maas_vid axis = maas_b_i64s(b, last, 1);
    maas_vid constant = maas_b_op(b, "Slice", s, maas_b_i64s(b, zero, 1), maas_b_i64s(b, one, 1),
                                  axis);
    maas_vid slope = maas_b_op(b, "Slice", s, maas_b_i64s(b, one, 1), maas_b_i64s(b, all, 1), axis);
    maas_vid row = reshape(b, without_gaps(m, b, x), rows, 3), none = scalar(b, m->dtype, 0);
    maas_vid terms = maas_b_op3(b, "Where", maas_b_op2(b, "Equal", slope, none), none,
                                maas_b_op2(b, "Mul", slope, row));
    maas_vid sum = maas_b_op2(b, "ReduceSum", terms, axis); /* keeps the axis */
    return reshape(b, maas_b_op2(b, "Add", constant, sum), flat, 2);
}

static maas_vid raw_scores(const maas_boosted *m, maas_builder *b, maas_vid x)
{
    if (m->single_rows)
        x = boosted_cast(b, x, MAAS_F32);
    x = boosted_cast(b, x, m->dtype);
    if (!m->forest)
        return linear_scores(m, b, x);
    maas_vid s = maas_b_forest(b, m->forest, prepare(m, b, x), m->dtype == MAAS_F64);
    if (m->linear_leaves)
        s = leaf_models(m, b, s, x);
    if (m->divide != 0 && m->divide != 1)
        s = maas_b_op2(b, "Div", s, scalar(b, m->dtype, m->divide));
    if (m->scale != 0 && m->scale != 1)
        s = maas_b_op2(b, "Mul", s, scalar(b, m->dtype, m->scale));
    const int64_t n_scores = m->n_scores;
    return m->add ? maas_b_op2(b, "Add", s, numbers(b, m->dtype, m->add, 1, &n_scores)) : s;
}

/* ---- what a score becomes ---- */

static maas_vid identity(const maas_boosted *m, maas_builder *b, maas_vid s)
{
    return s;
}
static maas_vid sigmoid(const maas_boosted *m, maas_builder *b, maas_vid s)
{
    if (m->slope != 1)
        s = maas_b_op2(b, "Mul", s, scalar(b, m->dtype, m->slope));
    return maas_b_op1(b, "Sigmoid", s);
}
static maas_vid softmax(const maas_boosted *m, maas_builder *b, maas_vid s)
{
    const maas_attr a = MAAS_A_INT("axis", -1);
    return maas_b_node(b, "Softmax", &a, 1, &s, 1, NULL, 1);
}
static maas_vid exponential(const maas_boosted *m, maas_builder *b, maas_vid s)
{
    return maas_b_op1(b, "Exp", s);
}
static maas_vid signed_square(const maas_boosted *m, maas_builder *b, maas_vid s)
{
    return maas_b_op2(b, "Mul", s, maas_b_op1(b, "Abs", s));
}
/* log(1 + e) loses e when it is small; log(u) * e / (u - 1) with u = 1 + e does not (Kahan). */
static maas_vid softplus(const maas_boosted *m, maas_builder *b, maas_vid s)
{
    maas_vid e = maas_b_op1(b, "Exp", maas_b_op2(b, "Min", s, scalar(b, m->dtype, 700)));
    maas_vid one = scalar(b, m->dtype, 1), u = maas_b_op2(b, "Add", e, one);
    maas_vid factor = maas_b_op2(b, "Div", e, maas_b_op2(b, "Sub", u, one));
    return maas_b_op3(b, "Where", maas_b_op2(b, "Equal", u, one), e,
                      maas_b_op2(b, "Mul", maas_b_op1(b, "Log", u), factor));
}

static maas_vid (*const links[])(const maas_boosted *, maas_builder *, maas_vid) = {
    [MAAS_BOOST_IDENTITY] = identity,
    [MAAS_BOOST_SIGMOID] = sigmoid,
    [MAAS_BOOST_SOFTMAX] = softmax,
    [MAAS_BOOST_EXP] = exponential,
    [MAAS_BOOST_SIGNED_SQUARE] = signed_square,
    [MAAS_BOOST_SOFTPLUS] = softplus,
};

/* ---- labels ---- */

/* Positions of classes become the classes as they stood in the training data. */
static maas_vid name_classes(const maas_boosted *m, maas_builder *b, maas_vid index)
{
    const int64_t n = m->n_classes;
    maas_tensor t = maas_tensor_of(MAAS_STRING, 1, &n, (void *)(uintptr_t)m->class_names);
    if (!m->class_names && !m->class_ints)
        return index;
    if (!m->class_names)
        t = maas_tensor_of(MAAS_I64, 1, &n, (void *)(uintptr_t)m->class_ints);
    return maas_b_op2(b, "Gather", maas_b_const(b, NULL, &t), index);
}

/* 1 where v is above the limit, else 0; [n], or [n, n_scores] where each score is a label. */
static maas_vid above(const maas_boosted *m, maas_builder *b, maas_vid v, double limit)
{
    const int64_t flat[1] = {-1};
    maas_vid label = boosted_cast(b, maas_b_op2(b, "Greater", v, scalar(b, m->dtype, limit)),
                                  MAAS_I64);
    return m->n_scores == 1 ? reshape(b, label, flat, 1) : label;
}

static maas_vid largest(maas_builder *b, maas_vid v)
{
    const maas_attr a[2] = {MAAS_A_INT("axis", 1), MAAS_A_INT("keepdims", 0)};
    return maas_b_node(b, "ArgMax", a, 2, &v, 1, NULL, 1);
}

static void probabilities(const maas_boosted *m, maas_builder *b, maas_vid p, maas_boosted_out *out)
{
    const maas_attr axis = MAAS_A_INT("axis", 1);
    const double limit = m->threshold > 0 ? m->threshold : 0.5;
    out->probabilities = p;
    if (m->n_scores == 1) {
        const maas_vid both[2] = {maas_b_op2(b, "Sub", scalar(b, m->dtype, 1), p), p};
        out->label = name_classes(m, b, above(m, b, p, limit));
        out->probabilities = maas_b_node(b, "Concat", &axis, 1, both, 2, NULL, 1);
    } else if (m->multilabel) {
        out->label = above(m, b, p, limit);
    } else {
        /* Large scores may round to equal probabilities; sigmoids are compared as the makers do. */
        out->label = name_classes(m, b, largest(b, m->link == MAAS_BOOST_SOFTMAX ? out->raw : p));
    }
}

void maas_boosted_build(const maas_boosted *m, maas_builder *b, maas_vid x, maas_boosted_out *out)
{
    const int64_t flat[1] = {-1};
    *out = (maas_boosted_out){MAAS_NO_VALUE, MAAS_NO_VALUE, MAAS_NO_VALUE, MAAS_NO_VALUE,
                              MAAS_NO_VALUE};
    out->raw = raw_scores(m, b, x);
    if (m->task == MAAS_BOOST_SCORES) {
        out->scores = out->raw;
        out->label = name_classes(m, b, above(m, b, out->raw, 0));
        return;
    }
    maas_vid v = links[m->link](m, b, out->raw);
    if (m->task == MAAS_BOOST_PROBABILITIES)
        probabilities(m, b, v, out);
    else
        out->value = m->n_scores == 1 ? reshape(b, v, flat, 1) : v;
}

/* ---- a model of its own ---- */

static void put_str(maas_buf *out, const char *key, const maas_str *v)
{
    maas_buf_printf(out, "\"%s\":", key);
    maas_buf_json_str(out, v->p, v->n);
}

/* [{"name":"age","input":"x","shape":[]}, {"name":"colour",...,"type":"c"}]; positions are names
 * where the file has none. */
static maas_status set_columns(const maas_boosted *m, maas_graph *g, maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(64u << 20);
    maas_buf_char(&text, '[');
    for (int32_t i = 0; i < m->n_features; i++) {
        maas_buf_str(&text, i ? ",{" : "{");
        put_str(&text, "name", &m->feature_names[i]);
        maas_buf_str(&text, ",\"input\":\"x\",\"shape\":[]");
        if (m->feature_types) {
            maas_buf_char(&text, ',');
            put_str(&text, "type", &m->feature_types[i]);
        }
        maas_buf_char(&text, '}');
    }
    maas_buf_char(&text, ']');
    if (text.failed)
        return maas_fail(err, MAAS_E_NOMEM, "names of %d features", m->n_features);
    return maas_graph_set_meta(g, "maas.columns", text.p, err);
}

static maas_status set_meta(const maas_boosted *m, maas_graph *g, maas_err *err)
{
    MAAS_TRY(maas_graph_set_meta(
        g, "maas.task", m->task == MAAS_BOOST_VALUES ? "regression" : "classification", err));
    MAAS_TRY(maas_graph_set_meta(g, "maas.source", m->source, err));
    if (m->objective)
        MAAS_TRY(maas_graph_set_meta(g, "maas.objective", m->objective, err));
    if (m->categories)
        MAAS_TRY(maas_graph_set_meta(g, "maas.categories", m->categories, err));
    return m->feature_names ? set_columns(m, g, err) : MAAS_OK;
}

static void auto_graph(maas_graph **g)
{
    maas_graph_destroy(*g);
}

maas_status maas_boosted_graph(const maas_boosted *m, maas_budget *budget, maas_graph **out,
                               maas_err *err)
{
    AUTO(auto_graph) maas_graph *g = NULL;
    MAAS_TRY(maas_graph_create("boosted trees", budget, &g, err));
    int64_t dims[2] = {0, m->n_features};
    MAAS_TRY(maas_graph_symbol(g, "batch", &dims[0], err));
    maas_builder b;
    maas_builder_init(&b, g, err);
    maas_boosted_out o;
    maas_vid x = boosted_has_columns(m) ? boosted_columns(m, &b, dims[0])
                                        : maas_b_input(&b, "x", m->dtype, 2, dims);
    maas_boosted_build(m, &b, x, &o);
    const struct {
        const char *name;
        maas_vid v;
    } outputs[] = {{"label", o.label},
                   {"probabilities", o.probabilities},
                   {"scores", o.scores},
                   {"value", o.value}};
    for (size_t i = 0; i < MAAS_COUNT(outputs); i++)
        if (outputs[i].v != MAAS_NO_VALUE)
            maas_b_output(&b, outputs[i].name, outputs[i].v);
    MAAS_TRY(b.status);
    MAAS_TRY(set_meta(m, g, err));
    *out = STEAL(g);
    return MAAS_OK;
}
