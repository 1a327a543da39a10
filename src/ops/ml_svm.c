/*
 * SVMClassifier and SVMRegressor (ai.onnx.ml), with the answers of ONNX Runtime where the standard
 * is silent: two classes without probabilities give [-s, s] (NONE), [1 - p, p] (LOGISTIC) or
 * [1 - s, s]; the regressor has no post-transform; the linear form of two classes has its own rule
 * for the label. Support vectors and coefficients are f32, so rows are rounded to it.
 */
#include "ops/ml_int.h"
#include "ops/svm.h"

#include "base/ban.h"

static maas_status svm_infer(maas_infer *q, bool classifier, maas_err *err)
{
    int64_t dims[2], features;
    maas_svm m;
    MAAS_TRY(maas_table_shape(&q->in[0], &dims[0], &features, err));
    MAAS_TRY(maas_svm_of(q->node, classifier, &m, err));
    if (features >= 0 && features != m.n_feature)
        return maas_fail(err, MAAS_E_INVALID, "rows of %lld features, the machine has %lld",
                         (long long)features, (long long)m.n_feature);
    dims[1] = m.n_score;
    if (classifier)
        maas_q_out(q, 0, m.words ? MAAS_STRING : MAAS_I64, 1, dims);
    maas_q_out(q, classifier ? 1 : 0, MAAS_F32, 2, dims);
    return MAAS_OK;
}

static maas_status classifier_infer(maas_infer *q, maas_err *err)
{
    return svm_infer(q, true, err);
}

static maas_status regressor_infer(maas_infer *q, maas_err *err)
{
    return svm_infer(q, false, err);
}

static float kernel_value(const maas_svm *m, const maas_tensor *x, int64_t at, const float *v)
{
    double sum = 0;
    for (int64_t i = 0; i < m->n_feature; i++) {
        const double a = (float)maas_ld(x, at + i), d = a - v[i];
        sum += m->kernel == MAAS_SVM_RBF ? d * d : a * v[i];
    }
    switch (m->kernel) {
    case MAAS_SVM_RBF:
        return (float)exp(-m->gamma * sum);
    case MAAS_SVM_POLY:
        return (float)pow(m->gamma * sum + m->coef0, m->degree);
    case MAAS_SVM_SIGMOID:
        return (float)tanh(m->gamma * sum + m->coef0);
    default:
        return (float)sum;
    }
}

/* What maas_svm_decide wants of a row. */
static void kernel_values(const maas_svm *m, const maas_tensor *x, int64_t row, float *k)
{
    const int64_t at = row * m->n_feature;
    for (int64_t i = 0; i < m->n_feature && !m->n_vector; i++)
        k[i] = (float)maas_ld(x, at + i);
    for (int64_t v = 0; v < m->n_vector; v++)
        k[v] = kernel_value(m, x, at, m->vectors + v * m->n_feature);
}

static maas_status classifier_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *labels = maas_c_out(c, 0), *z = maas_c_out(c, 1);
    maas_svm m;
    MAAS_TRY(maas_svm_of(c->node, true, &m, err));
    const int64_t n_k = m.n_vector ? m.n_vector : m.n_feature;
    AUTO_FREE float *k = maas_calloc((size_t)n_k, sizeof *k);
    AUTO_FREE double *room = maas_calloc(maas_svm_room(&m), sizeof *room);
    if (!k || !room)
        return maas_fail(err, MAAS_E_NOMEM, "SVMClassifier");
    for (int64_t r = 0; r < maas_table_rows(x); r++) {
        kernel_values(&m, x, r, k);
        maas_svm_decide(&m, k, room);
        const int64_t best = maas_svm_finish(&m, maas_post_of(c->node), room,
                                             z ? (float *)z->data + r * m.n_score : NULL);
        if (labels && m.words)
            ((maas_str *)labels->data)[r] = m.words->u.strings[best];
        else if (labels)
            ((int64_t *)labels->data)[r] = m.ints->u.ints[best];
    }
    return MAAS_OK;
}

static maas_status regressor_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    float *y = c->out[0].data;
    maas_svm m;
    MAAS_TRY(maas_svm_of(c->node, false, &m, err));
    const int64_t n_k = m.n_vector ? m.n_vector : m.n_feature;
    AUTO_FREE float *k = maas_calloc((size_t)n_k, sizeof *k);
    if (!k)
        return maas_fail(err, MAAS_E_NOMEM, "SVMRegressor");
    for (int64_t r = 0; r < maas_table_rows(x); r++) {
        kernel_values(&m, x, r, k);
        double sum;
        maas_svm_decide(&m, k, &sum);
        y[r] = (float)(!m.one_class ? sum : sum > 0 ? 1 : -1);
    }
    return MAAS_OK;
}

static int64_t svm_flops(const maas_call *c)
{
    const maas_attr *sv = maas_node_attr(c->node, "support_vectors");
    const maas_attr *w = maas_node_attr(c->node, "coefficients");
    return maas_table_rows(&c->in[0]) * (3 * (int64_t)(sv ? sv->n : 0) + 2 * (int64_t)w->n);
}

/* ---- examples and rows ---- */

static const float vectors[] = {.5f, -1, 2, 1, .25f, -.5f, -2, 1, 0, 1.5f, .5f, -1, .75f, -.25f, 1};
static const float coefs[] = {1, -.5f, .75f, -1, .3f, .6f, -.8f, 1, -.2f, .4f};
static const float rho[] = {.1f, -.2f, .3f}, prob_a[] = {-2, -1, -1.5f}, prob_b[] = {.1f, 0, -.1f};
static const float params[] = {.25f, .5f, 3};
static const maas_str words[] = {{"no", 2}, {"yes", 3}, {"maybe", 5}};
static const int64_t ints[] = {10, 20, 30}, per_class[] = {2, 1, 2}, per_class_two[] = {2, 3};

#define FLOATS(key, p, count)                                                                      \
    ((maas_attr){.name = (key), .type = MAAS_ATTR_FLOATS, .n = (uint32_t)(count), .u.floats = (p)})

static const struct svm_variant {
    const char *kernel, *post;
    int n_class;
    bool words, prob, linear;
    maas_dtype x;
} variants[] = {
    {"RBF", "NONE", 3, false, true, false, MAAS_F32},
    {"POLY", "NONE", 2, true, false, false, MAAS_F64},
    {"SIGMOID", "LOGISTIC", 3, true, false, false, MAAS_F32},
    {"LINEAR", "SOFTMAX", 2, false, true, false, MAAS_I64},
    {"LINEAR", "SOFTMAX", 3, false, false, true, MAAS_I32},
};

static void classifier_example(maas_example *e)
{
    const struct svm_variant *v = &variants[e->variant];
    const int n_pair = v->n_class * (v->n_class - 1) / 2;
    maas_attr attr[10] = {
        MAAS_A_STR("kernel_type", v->kernel),
        MAAS_A_STR("post_transform", v->post),
        FLOATS("kernel_params", params, 3),
        FLOATS("coefficients", v->linear ? vectors : coefs, v->linear ? 9 : 5 * (v->n_class - 1)),
        FLOATS("rho", rho, n_pair),
        MAAS_A_INTS("classlabels_ints", ints, v->n_class)};
    uint32_t n = 6;
    if (v->words)
        attr[5] = (maas_attr){.name = "classlabels_strings",
                              .type = MAAS_ATTR_STRINGS,
                              .n = (uint32_t)v->n_class,
                              .u.strings = words};
    if (!v->linear) {
        attr[n++] = FLOATS("support_vectors", vectors, 15);
        attr[n++] = MAAS_A_INTS("vectors_per_class", v->n_class == 3 ? per_class : per_class_two,
                                v->n_class);
    }
    if (v->prob) {
        attr[n++] = FLOATS("prob_a", prob_a, n_pair);
        attr[n++] = FLOATS("prob_b", prob_b, n_pair);
    }
    maas_vid out[2], x = maas_ex_in(e, v->x, -2, 2, MAAS_DIMS(9, 3));
    maas_b_node(e->b, "SVMClassifier", attr, n, &x, 1, out, 2);
}

static void regressor_example(maas_example *e)
{
    static const char *const kernels[] = {"RBF", "LINEAR", "SIGMOID"};
    static const maas_dtype types[] = {MAAS_F32, MAAS_F64, MAAS_F32};
    const bool linear = e->variant == 1;
    const maas_attr attr[] = {
        MAAS_A_STR("kernel_type", kernels[e->variant]), FLOATS("kernel_params", params, 3),
        FLOATS("coefficients", coefs, linear ? 3 : 5),  FLOATS("rho", rho, 1),
        MAAS_A_INT("one_class", e->variant == 2),       MAAS_A_INT("n_supports", linear ? 0 : 5),
        FLOATS("support_vectors", vectors, 15)};
    maas_vid x = maas_ex_in(e, types[e->variant], -2, 2, MAAS_DIMS(9, 3));
    maas_b_node(e->b, "SVMRegressor", attr, linear ? 6 : 7, &x, 1, NULL, 1);
}

static const maas_io_schema in[] = {MAAS_REQ("X", NULL, MAAS_DTS_FEATURES)};
static const maas_io_schema classifier_out[] = {MAAS_REQ("Y", NULL, MAAS_DTS_STR | MAAS_DTS_I64),
                                                MAAS_REQ("Z", NULL, MAAS_DT_BIT(MAAS_F32))};
static const maas_io_schema regressor_out[] = {MAAS_REQ("Y", NULL, MAAS_DT_BIT(MAAS_F32))};
static const maas_attr_schema classifier_attrs[] = {
    {"kernel_type", MAAS_ATTR_STRING, false},
    {"kernel_params", MAAS_ATTR_FLOATS, false},
    {"vectors_per_class", MAAS_ATTR_INTS, false},
    {"support_vectors", MAAS_ATTR_FLOATS, false},
    {"coefficients", MAAS_ATTR_FLOATS, true},
    {"rho", MAAS_ATTR_FLOATS, true},
    {"prob_a", MAAS_ATTR_FLOATS, false},
    {"prob_b", MAAS_ATTR_FLOATS, false},
    {"classlabels_strings", MAAS_ATTR_STRINGS, false},
    {"classlabels_ints", MAAS_ATTR_INTS, false},
    {"post_transform", MAAS_ATTR_STRING, false}};
static const maas_attr_schema regressor_attrs[] = {{"kernel_type", MAAS_ATTR_STRING, false},
                                                   {"kernel_params", MAAS_ATTR_FLOATS, false},
                                                   {"support_vectors", MAAS_ATTR_FLOATS, false},
                                                   {"n_supports", MAAS_ATTR_INT, false},
                                                   {"one_class", MAAS_ATTR_INT, false},
                                                   {"coefficients", MAAS_ATTR_FLOATS, true},
                                                   {"rho", MAAS_ATTR_FLOATS, true},
                                                   {"post_transform", MAAS_ATTR_STRING, false}};

#define SVM(Name, fn, opflags, variants_)                                                          \
    const maas_op maas_op_##Name = {                                                               \
        .domain = MAAS_DOMAIN_ML,                                                                  \
        .name = #Name,                                                                             \
        .since = 1,                                                                                \
        .flags = opflags,                                                                          \
        MAAS_SCHEMA(in, fn##_out),                                                                 \
        MAAS_ATTRS(fn##_attrs),                                                                    \
        .n_examples = variants_,                                                                   \
        .tolerance = 1e-5,                                                                         \
        .infer = fn##_infer,                                                                       \
        .reference = fn##_reference,                                                               \
        .flops = svm_flops,                                                                        \
        .example = fn##_example,                                                                   \
        .no_gradient = "its support vectors are attributes; it is not trained by descent",         \
    };
SVM(SVMClassifier, classifier, MAAS_OP_STRINGS, MAAS_COUNT(variants))
SVM(SVMRegressor, regressor, 0, 3)
