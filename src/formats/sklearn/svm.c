/*
 * formats/sklearn/svm.c - support vector machines of libsvm.
 *
 *   k [n, v] = K(x, support vectors)                 v of class 0, then v of class 1, ...
 *   decision of the pair (i, j) = sum over v of class i of coef[j-1][v] k[v]
 *                               + sum over v of class j of coef[i][v] k[v] + intercept
 *
 * Positive votes for i. With a linear kernel the sums over vectors are taken here: what is left is
 * a linear model. Distances of rbf are |x|^2 + |s|^2 - 2 x.s after both were moved by the mean of
 * the vectors, so that data far from the origin loses no digits.
 */
#include <string.h>

#include "formats/sklearn/linear.h"
#include "base/ban.h"

enum { LINEAR, POLY, RBF, SIGMOID, PRECOMPUTED };

typedef struct machine {
    int kernel;
    double gamma, coef0, degree;
    const maas_tensor *vectors;   /* [v, f]; NULL: precomputed */
    const maas_tensor *dual;      /* [k - 1, v]; regressors [1, v] */
    const maas_tensor *intercept; /* [pairs] */
    int64_t v, f, k, pairs;
    int64_t *first; /* [k + 1]: where the vectors of a class begin */
} machine;

/* ---- reading ---- */

static maas_status read_kernel(maas_sk *s, const maas_pk *est, machine *m)
{
    static const char *const kernels[] = {"linear", "poly", "rbf", "sigmoid", "precomputed", NULL};
    MAAS_TRY(maas_sk_word(s, est, "kernel", kernels, RBF, &m->kernel));
    MAAS_TRY(maas_sk_double_or(s, est, "coef0", 0, &m->coef0));
    MAAS_TRY(maas_sk_double_or(s, est, "degree", 3, &m->degree));
    if (m->kernel == LINEAR || m->kernel == PRECOMPUTED)
        return MAAS_OK;
    return maas_sk_double(s, est, "_gamma", &m->gamma);
}

/* Of a precomputed kernel the rows are the values already; the vectors are columns of them. */
static maas_status read_vectors(maas_sk *s, const maas_pk *est, machine *m)
{
    int64_t dims[2] = {m->v, -1};
    if (m->kernel != PRECOMPUTED) {
        MAAS_TRY(maas_sk_array(s, est, "support_vectors_", MAAS_F64, 2, dims, &m->vectors));
        m->f = dims[1];
        return m->f ? MAAS_OK : maas_sk_fail(s, MAAS_E_FORMAT, "support_vectors_ is empty");
    }
    return maas_sk_int(s, est, "n_features_in_", &m->f);
}

static maas_status read_machine(maas_sk *s, const maas_pk *est, int64_t k, machine *m)
{
    *m = (machine){.k = k, .pairs = k > 1 ? k * (k - 1) / 2 : 1};
    int64_t dual[2] = {k > 1 ? k - 1 : 1, -1};
    MAAS_TRY(read_kernel(s, est, m));
    MAAS_TRY(maas_sk_array(s, est, "_dual_coef_", MAAS_F64, 2, dual, &m->dual));
    m->v = dual[1];
    if (m->v == 0)
        return maas_sk_fail(s, MAAS_E_FORMAT, "it has no support vectors");
    MAAS_TRY(maas_sk_array(s, est, "_intercept_", MAAS_F64, 1, &m->pairs, &m->intercept));
    return read_vectors(s, est, m);
}

/* Vectors of each class stand together; their numbers must make up all of them. */
static maas_status read_classes(maas_sk *s, const maas_pk *est, machine *m)
{
    const maas_tensor *n;
    const char *name = maas_sk_has(est, "_n_support") ? "_n_support" : "n_support_";
    MAAS_TRY(maas_sk_array(s, est, name, MAAS_I64, 1, &m->k, &n));
    if (!(m->first = maas_sk_alloc(s, (size_t)m->k + 1, sizeof *m->first)))
        return s->b.status;
    for (int64_t i = 0; i < m->k; i++) {
        const int64_t more = ((const int64_t *)n->data)[i];
        if (more < 0 || more > m->v - m->first[i])
            return maas_sk_fail(s, MAAS_E_FORMAT, "%s does not fit the %lld vectors", name,
                                (long long)m->v);
        m->first[i + 1] = m->first[i] + more;
    }
    return m->first[m->k] == m->v ? MAAS_OK
                                  : maas_sk_fail(s, MAAS_E_FORMAT, "%s leaves out vectors", name);
}

/* ---- kernels ---- */

static maas_tensor *new_matrix(maas_sk *s, int64_t rows, int64_t cols)
{
    int64_t n;
    maas_tensor *t = maas_sk_alloc(s, 1, sizeof *t);
    if (!t || __builtin_mul_overflow(rows, cols, &n))
        return NULL;
    double *data = maas_sk_alloc(s, (size_t)n, sizeof *data);
    *t = maas_tensor_of(MAAS_F64, 2, (int64_t[]){rows, cols}, data);
    return data ? t : NULL;
}

/* Vectors moved by their mean, and half of the squared length of each. */
static bool centre(maas_sk *s, const machine *m, double *mean, double *half)
{
    maas_tensor *moved = new_matrix(s, m->v, m->f);
    if (!moved)
        return false;
    const double *from = m->vectors->data;
    double *to = moved->data;
    for (int64_t i = 0; i < m->v; i++)
        for (int64_t j = 0; j < m->f; j++)
            mean[j] += from[i * m->f + j] / (double)m->v;
    for (int64_t i = 0; i < m->v; i++)
        for (int64_t j = 0; j < m->f; j++) {
            const double d = from[i * m->f + j] - mean[j];
            to[i * m->f + j] = d;
            half[i] -= 0.5 * d * d;
        }
    *(maas_tensor *)(uintptr_t)m->vectors = *moved;
    return true;
}

/* exp(-gamma |x - s|^2) = exp(2 gamma min(0, x.s - |s|^2/2 - |x|^2/2)) */
static maas_vid rbf(maas_sk *s, const machine *m, maas_vid x)
{
    maas_builder *b = &s->b;
    machine moved = *m;
    maas_tensor vectors = *m->vectors;
    double *mean = maas_sk_alloc(s, (size_t)m->f, sizeof *mean);
    maas_tensor *half = new_matrix(s, 1, m->v);
    moved.vectors = &vectors;
    if (!mean || !half || !centre(s, &moved, mean, half->data))
        return MAAS_NO_VALUE;
    x = maas_b_op2(b, "Sub", x, maas_sk_f64s(s, mean, m->f));
    maas_vid d = maas_sk_linear(s, x, &vectors, NULL);
    d = maas_b_op2(b, "Add", d, maas_sk_const(s, half));
    maas_vid own = maas_sk_reduce(s, "ReduceSum", maas_b_op2(b, "Mul", x, x), true);
    d = maas_b_op2(b, "Sub", d, maas_b_op2(b, "Mul", own, maas_sk_f64(s, 0.5)));
    d = maas_b_op2(b, "Min", d, maas_sk_f64(s, 0));
    return maas_b_op1(b, "Exp", maas_b_op2(b, "Mul", d, maas_sk_f64(s, 2 * m->gamma)));
}

/* (gamma x.s + coef0)^degree, or tanh of the same base */
static maas_vid product(maas_sk *s, const machine *m, maas_vid x)
{
    maas_builder *b = &s->b;
    maas_vid z = maas_sk_linear(s, x, m->vectors, NULL);
    z = maas_b_op2(b, "Mul", z, maas_sk_f64(s, m->gamma));
    z = maas_b_op2(b, "Add", z, maas_sk_f64(s, m->coef0));
    return m->kernel == SIGMOID ? maas_b_op1(b, "Tanh", z)
                                : maas_b_op2(b, "Pow", z, maas_sk_f64(s, m->degree));
}

static maas_vid linear_kernel(maas_sk *s, const machine *m, maas_vid x)
{
    return maas_sk_linear(s, x, m->vectors, NULL);
}

static maas_status kernel_values(maas_sk *s, const maas_pk *est, const machine *m,
                                 const maas_sk_table *in, maas_vid *out)
{
    static maas_vid (*const kernels[])(maas_sk * s, const machine *m, maas_vid x) = {
        [LINEAR] = linear_kernel, [POLY] = product, [RBF] = rbf, [SIGMOID] = product};
    maas_vid x = maas_sk_matrix(s, in, m->f);
    if (m->kernel != PRECOMPUTED) {
        *out = kernels[m->kernel](s, m, x);
        return s->b.status;
    }
    const maas_tensor *support;
    int64_t n = m->v;
    MAAS_TRY(maas_sk_array(s, est, "support_", MAAS_I64, 1, &n, &support));
    for (int64_t i = 0; i < n; i++)
        if (((const int64_t *)support->data)[i] < 0 || ((const int64_t *)support->data)[i] >= m->f)
            return maas_sk_fail(s, MAAS_E_FORMAT, "support_[%lld] is no row of the training data",
                                (long long)i);
    *out = maas_sk_gather(s, x, support->data, n, 1);
    return s->b.status;
}

/* ---- decisions ---- */

/* [v, k - 1] of the vectors of one class. */
static maas_tensor *block_of(maas_sk *s, const machine *m, int64_t i)
{
    const int64_t n = m->first[i + 1] - m->first[i], width = m->k - 1;
    maas_tensor *t = new_matrix(s, n, width);
    for (int64_t r = 0; t && r < n; r++)
        for (int64_t c = 0; c < width; c++)
            ((double *)t->data)[r * width + c] =
                ((const double *)m->dual->data)[c * m->v + m->first[i] + r];
    return t;
}

/* Column of a pair in [class][k - 1]: for the vectors of i, then for those of j. */
static bool pair_columns(maas_sk *s, const machine *m, int64_t **of_i, int64_t **of_j)
{
    *of_i = maas_sk_alloc(s, (size_t)m->pairs, sizeof **of_i);
    *of_j = maas_sk_alloc(s, (size_t)m->pairs, sizeof **of_j);
    int64_t p = 0;
    for (int64_t i = 0; *of_i && *of_j && i < m->k; i++)
        for (int64_t j = i + 1; j < m->k; j++, p++) {
            (*of_i)[p] = i * (m->k - 1) + j - 1;
            (*of_j)[p] = j * (m->k - 1) + i;
        }
    return *of_i && *of_j;
}

/* From kernel values [n, v]: each class's vectors times their coefficients, two of which make the
 * decision of a pair. */
static maas_vid pair_sums(maas_sk *s, const machine *m, maas_vid k)
{
    maas_builder *b = &s->b;
    int64_t *of_i, *of_j;
    maas_vid *part = maas_sk_alloc(s, (size_t)m->k, sizeof *part);
    if (!part || !pair_columns(s, m, &of_i, &of_j))
        return MAAS_NO_VALUE;
    for (int64_t i = 0; i < m->k; i++) {
        const maas_tensor *block = block_of(s, m, i);
        maas_vid from = maas_b_i64s(b, &m->first[i], 1), to = maas_b_i64s(b, &m->first[i + 1], 1);
        const maas_vid own[4] = {k, from, to, maas_b_i64s(b, (int64_t[]){1}, 1)};
        if (!block)
            return MAAS_NO_VALUE;
        part[i] = maas_sk_affine(s, maas_b_node(b, "Slice", NULL, 0, own, 4, NULL, 1), block, NULL);
    }
    maas_vid all = maas_sk_concat(s, part, (uint32_t)m->k, 1);
    return maas_b_op2(b, "Add", maas_sk_gather(s, all, of_i, m->pairs, 1),
                      maas_sk_gather(s, all, of_j, m->pairs, 1));
}

/* With a linear kernel: the coefficients of each pair, [pairs, f]. */
static maas_tensor *pair_weights(maas_sk *s, const machine *m)
{
    maas_tensor *t = new_matrix(s, m->pairs, m->f);
    const double *dual = m->dual->data, *vector = m->vectors->data;
    int64_t p = 0;
    for (int64_t i = 0; t && i < m->k; i++)
        for (int64_t j = i + 1; j < m->k; j++, p++) {
            double *w = (double *)t->data + p * m->f;
            for (int64_t v = m->first[i]; v < m->first[i + 1]; v++)
                for (int64_t c = 0; c < m->f; c++)
                    w[c] += dual[(j - 1) * m->v + v] * vector[v * m->f + c];
            for (int64_t v = m->first[j]; v < m->first[j + 1]; v++)
                for (int64_t c = 0; c < m->f; c++)
                    w[c] += dual[i * m->v + v] * vector[v * m->f + c];
        }
    return t;
}

/* Decisions of all pairs [n, pairs], as libsvm has them. */
static maas_status decide(maas_sk *s, const maas_pk *est, const machine *m, const maas_sk_table *in,
                          maas_vid *out)
{
    maas_vid k;
    if (m->kernel == LINEAR) {
        const maas_tensor *w = pair_weights(s, m);
        *out = w ? maas_sk_linear(s, maas_sk_matrix(s, in, m->f), w, m->intercept) : MAAS_NO_VALUE;
        return s->b.status;
    }
    MAAS_TRY(kernel_values(s, est, m, in, &k));
    maas_vid z = m->k == 2 ? maas_sk_linear(s, k, m->dual, NULL) : pair_sums(s, m, k);
    *out = maas_b_op2(&s->b, "Add", z, maas_sk_const(s, m->intercept));
    return s->b.status;
}

/* ---- classes ---- */

/* The scores of classes; in them a decision of 0 is a vote for i. */
static maas_vid one_vs_rest(maas_sk *s, const machine *m, maas_vid z)
{
    maas_vid second = maas_b_op2(&s->b, "Less", z, maas_sk_f64(s, 0));
    return maas_sk_ovr_decision(s, maas_sk_cast(s, second, MAAS_F64), maas_b_op1(&s->b, "Neg", z),
                                m->k);
}

/* libsvm's own votes, where it is one for j. */
static maas_vid winner(maas_sk *s, const machine *m, maas_vid z)
{
    maas_vid second = maas_b_op2(&s->b, "LessOrEqual", z, maas_sk_f64(s, 0));
    second = maas_sk_cast(s, second, MAAS_F64);
    return maas_sk_argmax(s, maas_sk_ovr_decision(s, second, MAAS_NO_VALUE, m->k));
}

/* 1 / (1 + exp(A z + B)) for each pair, coupled as libsvm does it (of two classes: its first steps,
 * too). probA_ and probB_ are empty when the model was fitted without. */
static maas_status probabilities(maas_sk *s, const maas_pk *est, const machine *m, maas_vid z,
                                 maas_vid *out)
{
    const maas_pk *stored = maas_pk_attr(est, "_probA");
    const char *names[2] = {stored ? "_probA" : "probA_", stored ? "_probB" : "probB_"};
    const maas_tensor *of[2];
    int64_t n = -1;
    maas_builder *b = &s->b;
    for (int i = 0; i < 2; i++) {
        if (!maas_sk_has(est, names[i]))
            return MAAS_OK;
        MAAS_TRY(maas_sk_array(s, est, names[i], MAAS_F64, 1, &n, &of[i]));
        if (n == 0)
            return MAAS_OK;
    }
    if (n != m->pairs)
        return maas_sk_fail(s, MAAS_E_FORMAT, "%s has %lld numbers for %lld pairs", names[0],
                            (long long)n, (long long)m->pairs);
    z = maas_b_op2(b, "Add", maas_b_op2(b, "Mul", z, maas_sk_const(s, of[0])),
                   maas_sk_const(s, of[1]));
    *out = maas_b_op1(b, "PairwiseCoupling", maas_sk_sigmoid(s, maas_b_op1(b, "Neg", z)));
    return s->b.status;
}

static maas_status svc(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                       maas_sk_out *out)
{
    enum { OVR, OVO };
    static const char *const shapes[] = {"ovr", "ovo", NULL};
    machine m;
    int shape;
    bool ties;
    maas_vid z;
    MAAS_TRY(maas_sk_classes(s, est, "classes_", -1, &out->classes));
    if (out->classes->dims[0] < 2)
        return maas_sk_fail(s, MAAS_E_FORMAT, "it knows one class only");
    MAAS_TRY(read_machine(s, est, out->classes->dims[0], &m));
    MAAS_TRY(read_classes(s, est, &m));
    MAAS_TRY(maas_sk_word(s, est, "decision_function_shape", shapes, OVR, &shape));
    MAAS_TRY(maas_sk_bool_or(s, est, "break_ties", false, &ties));
    MAAS_TRY(decide(s, est, &m, in, &z));
    if (m.k == 2)
        out->scores = maas_b_op1(&s->b, "Neg", z); /* positive: the second class */
    else
        out->scores = shape == OVO ? z : one_vs_rest(s, &m, z);
    maas_vid best = ties && m.k > 2 && shape == OVR ? maas_sk_argmax(s, out->scores)
                                                    : winner(s, &m, z);
    out->label = maas_sk_label(s, best, out->classes);
    return probabilities(s, est, &m, z, &out->probabilities);
}

/* ---- values, outliers ---- */

static maas_status one_sum(maas_sk *s, const maas_pk *est, const maas_sk_table *in, maas_vid *out)
{
    machine m;
    maas_vid k;
    MAAS_TRY(read_machine(s, est, 1, &m));
    MAAS_TRY(kernel_values(s, est, &m, in, &k));
    *out = maas_sk_linear(s, k, m.dual, m.intercept);
    return s->b.status;
}

static maas_status svr(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                       maas_sk_out *out)
{
    MAAS_TRY(one_sum(s, est, in, &out->value));
    out->value = maas_sk_flat(s, out->value);
    return s->b.status;
}

static maas_status one_class(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                             maas_sk_out *out)
{
    MAAS_TRY(one_sum(s, est, in, &out->scores));
    out->label = maas_sk_inlier(s, out->scores, 0, false);
    return s->b.status;
}

#define MODULES "sklearn.svm._classes sklearn.svm.classes"

const maas_sk_row maas_sk_svm[] = {
    {"NuSVC", MODULES, MAAS_SK_CLASSIFIER, svc},
    {"NuSVR", MODULES, MAAS_SK_REGRESSOR, svr},
    {"OneClassSVM", MODULES, MAAS_SK_OUTLIER, one_class},
    {"SVC", MODULES, MAAS_SK_CLASSIFIER, svc},
    {"SVR", MODULES, MAAS_SK_REGRESSOR, svr},
    {0},
};
