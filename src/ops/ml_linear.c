/*
 * LinearRegressor and LinearClassifier (ai.onnx.ml): scores[row][t] = x[row] . coefficients[t] +
 * intercepts[t], then a post-transform over the row. A classifier with two labels and one row of
 * coefficients answers [1 - p, p]; its label is the second where the raw score is above zero, and
 * of the post-transforms only LOGISTIC applies (so does ONNX Runtime).
 */
#include "ops/linear.h"

#include "ops/ml_int.h"

#include "base/ban.h"

/* Row length and counts against each other; n_feature may not be known yet (below zero). */
maas_status maas_linear_of(const maas_node *n, int64_t n_feature, bool classifier, maas_linear *l,
                           maas_err *err)
{
    const maas_attr *w = maas_node_attr(n, "coefficients"), *b = maas_node_attr(n, "intercepts");
    *l = (maas_linear){.n_feature = n_feature,
                       .post = maas_post_of(n),
                       .words = maas_node_attr(n, "classlabels_strings"),
                       .ints = maas_node_attr(n, "classlabels_ints")};
    if (!w || w->n == 0)
        return maas_fail(err, MAAS_E_INVALID, "attribute 'coefficients' is missing");
    if (l->post == MAAS_POST_BAD)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "this post_transform is not supported");
    l->w = w->u.floats;
    l->n_target = maas_attr_i(n, "targets", 1);
    l->bias = b ? b->u.floats : NULL;
    if (classifier) {
        if (!l->words == !l->ints)
            return maas_fail(err, MAAS_E_INVALID,
                             "classlabels_strings or classlabels_ints is needed");
        l->n_label = l->words ? l->words->n : l->ints->n;
        l->n_target = b ? b->n : l->n_label == 2 && n_feature == w->n ? 1 : l->n_label;
    } else {
        l->n_label = l->n_target;
    }
    if (l->n_target < 1 || w->n % l->n_target ||
        (n_feature >= 0 && w->n / l->n_target != n_feature))
        return maas_fail(err, MAAS_E_INVALID, "%u coefficients for %lld targets and rows of %lld",
                         w->n, (long long)l->n_target, (long long)n_feature);
    if (b && b->n != l->n_target)
        return maas_fail(err, MAAS_E_INVALID, "%u intercepts for %lld targets", b->n,
                         (long long)l->n_target);
    if (l->n_label != l->n_target && !(l->n_label == 2 && l->n_target == 1))
        return maas_fail(err, MAAS_E_INVALID, "%lld labels for %lld rows of coefficients",
                         (long long)l->n_label, (long long)l->n_target);
    l->n_feature = w->n / l->n_target;
    return MAAS_OK;
}

static maas_status regressor_infer(maas_infer *q, maas_err *err)
{
    int64_t dims[2], n;
    maas_linear l;
    MAAS_TRY(maas_table_shape(&q->in[0], &dims[0], &n, err));
    MAAS_TRY(maas_linear_of(q->node, n, false, &l, err));
    dims[1] = l.n_target;
    maas_q_out(q, 0, MAAS_F32, 2, dims);
    return MAAS_OK;
}

static maas_status classifier_infer(maas_infer *q, maas_err *err)
{
    int64_t dims[2], n;
    maas_linear l;
    MAAS_TRY(maas_table_shape(&q->in[0], &dims[0], &n, err));
    MAAS_TRY(maas_linear_of(q->node, n, true, &l, err));
    dims[1] = l.n_label;
    maas_q_out(q, 0, l.words ? MAAS_STRING : MAAS_I64, 1, dims);
    maas_q_out(q, 1, MAAS_F32, 2, dims);
    return MAAS_OK;
}

static double score(const maas_tensor *x, const maas_linear *l, int64_t row, int64_t target)
{
    double sum = l->bias ? l->bias[target] : 0;
    for (int64_t i = 0; i < l->n_feature; i++)
        sum += maas_ld(x, row * l->n_feature + i) * l->w[target * l->n_feature + i];
    return sum;
}

/* The label is decided on what would be written: in f32. */
int64_t maas_linear_finish(const maas_linear *l, double *s)
{
    int64_t best = 0;
    for (int64_t t = 0; t < l->n_target; t++)
        best = (float)s[t] > (float)s[best] ? t : best;
    if (l->n_target == l->n_label) {
        maas_post_apply(s, l->n_target, l->post);
        return best;
    }
    best = s[0] > 0;
    s[1] = l->post == MAAS_POST_LOGISTIC ? maas_logistic(s[0]) : s[0];
    s[0] = 1 - s[1];
    return best;
}

static maas_status linear_reference(const maas_call *c, bool classifier, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    const maas_tensor *labels = classifier ? maas_c_out(c, 0) : NULL;
    const maas_tensor *y = maas_c_out(c, classifier ? 1 : 0);
    maas_linear l;
    MAAS_TRY(maas_linear_of(c->node, x->dims[x->rank - 1], classifier, &l, err));
    AUTO_FREE double *s = maas_calloc((size_t)l.n_label, sizeof *s);
    if (!s)
        return maas_fail(err, MAAS_E_NOMEM, "%s", c->node->op->name);
    for (int64_t r = 0; r < maas_table_rows(x); r++) {
        for (int64_t t = 0; t < l.n_target; t++)
            s[t] = score(x, &l, r, t);
        const int64_t best = maas_linear_finish(&l, s);
        if (labels && l.words)
            ((maas_str *)labels->data)[r] = l.words->u.strings[best];
        else if (labels)
            ((int64_t *)labels->data)[r] = l.ints->u.ints[best];
        for (int64_t t = 0; y && t < l.n_label; t++)
            ((float *)y->data)[r * l.n_label + t] = (float)s[t];
    }
    return MAAS_OK;
}

static maas_status regressor_reference(const maas_call *c, maas_err *err)
{
    return linear_reference(c, false, err);
}

static maas_status classifier_reference(const maas_call *c, maas_err *err)
{
    return linear_reference(c, true, err);
}

static int64_t linear_flops(const maas_call *c)
{
    const maas_attr *w = maas_node_attr(c->node, "coefficients");
    return 2 * maas_table_rows(&c->in[0]) * (int64_t)w->n;
}

/* ---- examples and rows ---- */

static const float weights[] = {1, -2, .5f, 3, 0, -1, 2, 2, -1}, biases[] = {.5f, -1, .25f};
static const char *const transforms[] = {"NONE", "SOFTMAX", "LOGISTIC"};

static void regressor_example(maas_example *e)
{
    const uint32_t targets = e->variant == 1 ? 3 : 1;
    const maas_attr attr[] = {
        {.name = "coefficients", .type = MAAS_ATTR_FLOATS, .n = 3 * targets, .u.floats = weights},
        {.name = "intercepts", .type = MAAS_ATTR_FLOATS, .n = targets, .u.floats = biases},
        MAAS_A_INT("targets", targets)};
    maas_vid x = maas_ex_in(e, e->variant == 2 ? MAAS_I64 : MAAS_F32, -3, 3, MAAS_DIMS(4, 3));
    maas_b_node(e->b, "LinearRegressor", attr, 3, &x, 1, NULL, 1);
}

static void classifier_example(maas_example *e)
{
    static const maas_str words[] = {{"no", 2}, {"yes", 3}, {"maybe", 5}};
    static const int64_t ints[] = {10, 20, 30};
    const bool two = e->variant == 2;
    const maas_attr labels = e->variant ? (maas_attr){.name = "classlabels_strings",
                                                      .type = MAAS_ATTR_STRINGS,
                                                      .n = two ? 2 : 3,
                                                      .u.strings = words}
                                        : MAAS_A_INTS("classlabels_ints", ints, 3);
    const maas_attr attr[] = {
        {.name = "coefficients", .type = MAAS_ATTR_FLOATS, .n = two ? 3 : 9, .u.floats = weights},
        {.name = "intercepts", .type = MAAS_ATTR_FLOATS, .n = two ? 1 : 3, .u.floats = biases},
        labels,
        MAAS_A_STR("post_transform", transforms[e->variant])};
    maas_vid out[2], x = maas_ex_in(e, MAAS_F32, -3, 3, MAAS_DIMS(4, 3));
    maas_b_node(e->b, "LinearClassifier", attr, 4, &x, 1, out, 2);
}

static const maas_io_schema in[] = {MAAS_REQ("X", NULL, MAAS_DTS_FEATURES)};
static const maas_io_schema regressor_out[] = {MAAS_REQ("Y", NULL, MAAS_DT_BIT(MAAS_F32))};
static const maas_io_schema classifier_out[] = {MAAS_REQ("Y", NULL, MAAS_DTS_STR | MAAS_DTS_I64),
                                                MAAS_REQ("Z", NULL, MAAS_DT_BIT(MAAS_F32))};
static const maas_attr_schema regressor_attrs[] = {{"coefficients", MAAS_ATTR_FLOATS, false},
                                                   {"intercepts", MAAS_ATTR_FLOATS, false},
                                                   {"targets", MAAS_ATTR_INT, false},
                                                   {"post_transform", MAAS_ATTR_STRING, false}};
static const maas_attr_schema classifier_attrs[] = {
    {"coefficients", MAAS_ATTR_FLOATS, true},
    {"intercepts", MAAS_ATTR_FLOATS, false},
    {"classlabels_strings", MAAS_ATTR_STRINGS, false},
    {"classlabels_ints", MAAS_ATTR_INTS, false},
    {"multi_class", MAAS_ATTR_INT, false},
    {"post_transform", MAAS_ATTR_STRING, false}};

#define LINEAR(Name, fn, opflags)                                                                  \
    const maas_op maas_op_##Name = {                                                               \
        .domain = MAAS_DOMAIN_ML,                                                                  \
        .name = #Name,                                                                             \
        .since = 1,                                                                                \
        .flags = opflags,                                                                          \
        MAAS_SCHEMA(in, fn##_out),                                                                 \
        MAAS_ATTRS(fn##_attrs),                                                                    \
        .n_examples = 3,                                                                           \
        .tolerance = 1e-5,                                                                         \
        .infer = fn##_infer,                                                                       \
        .reference = fn##_reference,                                                               \
        .flops = linear_flops,                                                                     \
        .example = fn##_example,                                                                   \
        .no_gradient = "its weights are attributes; the trainer builds MatMul instead",            \
    };
LINEAR(LinearRegressor, regressor, 0)
LINEAR(LinearClassifier, classifier, MAAS_OP_STRINGS)
