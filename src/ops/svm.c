#include "ops/svm.h"

#include "ops/coupling.h"
#include "ops/ml_int.h"
#include "base/ban.h"

static maas_svm_kernel kernel_of(const maas_node *n)
{
    static const char *const names[] = {"LINEAR", "POLY", "RBF", "SIGMOID"};
    maas_str s = maas_attr_s(n, "kernel_type", "LINEAR");
    for (int i = 0; i < (int)MAAS_COUNT(names); i++)
        if (s.n == strlen(names[i]) && memcmp(s.p, names[i], s.n) == 0)
            return (maas_svm_kernel)i;
    return MAAS_SVM_BAD;
}

static const float *list(const maas_node *n, const char *name, int64_t *count)
{
    const maas_attr *a = maas_node_attr(n, name);
    *count = a ? (int64_t)a->n : 0;
    return a ? a->u.floats : NULL;
}

static maas_status kernel_params(const maas_node *n, maas_svm *m, maas_err *err)
{
    int64_t count;
    const float *p = list(n, "kernel_params", &count);
    m->kernel = kernel_of(n);
    if (m->kernel == MAAS_SVM_BAD)
        return maas_fail(err, MAAS_E_INVALID,
                         "attribute 'kernel_type' must be LINEAR, POLY, RBF or SIGMOID");
    if (count != 0 && count != 3)
        return maas_fail(err, MAAS_E_INVALID, "attribute 'kernel_params' must have 3 numbers");
    if (count) {
        m->gamma = p[0];
        m->coef0 = p[1];
        m->degree = p[2];
    }
    return MAAS_OK;
}

/* Support vectors are rows of n_feature numbers. */
static maas_status vectors_of(const maas_node *n, maas_svm *m, maas_err *err)
{
    int64_t count;
    m->vectors = list(n, "support_vectors", &count);
    if (!count || count % m->n_vector)
        return maas_fail(err, MAAS_E_INVALID,
                         "attribute 'support_vectors' has %lld numbers for %lld vectors",
                         (long long)count, (long long)m->n_vector);
    m->n_feature = count / m->n_vector;
    return MAAS_OK;
}

static maas_status count_vectors(const maas_node *n, maas_svm *m, maas_err *err)
{
    uint32_t classes;
    m->per_class = maas_attr_ints(n, "vectors_per_class", &classes);
    for (uint32_t i = 0; i < classes; i++)
        if (m->per_class[i] < 0 ||
            __builtin_add_overflow(m->n_vector, m->per_class[i], &m->n_vector))
            return maas_fail(err, MAAS_E_INVALID, "attribute 'vectors_per_class' is out of range");
    if (m->n_vector && (int64_t)classes != m->n_class)
        return maas_fail(err, MAAS_E_INVALID, "%u entries in vectors_per_class for %lld labels",
                         classes, (long long)m->n_class);
    return m->n_vector ? vectors_of(n, m, err) : MAAS_OK;
}

/* The lists of a classifier against its numbers of classes and vectors. */
static maas_status check_lists(const maas_node *n, maas_svm *m, maas_err *err)
{
    int64_t n_coef, n_rho, n_a, n_b;
    m->coef = list(n, "coefficients", &n_coef);
    m->rho = list(n, "rho", &n_rho);
    m->prob[0] = list(n, "prob_a", &n_a);
    m->prob[1] = list(n, "prob_b", &n_b);
    if (!n_a) /* an empty list is none */
        m->prob[0] = NULL;
    for (int64_t i = 0; i < n_coef && m->positive; i++)
        m->positive = m->coef[i] >= 0;
    if (n_a != n_b || (m->n_vector && n_a && n_a < m->n_pair))
        return maas_fail(err, MAAS_E_INVALID, "prob_a and prob_b must have one number a pair");
    if (m->n_vector) {
        if (m->n_class < 2 || n_coef / m->n_vector < m->n_class - 1 || n_rho < m->n_pair)
            return maas_fail(err, MAAS_E_INVALID,
                             "%lld coefficients and %lld rho for %lld vectors of %lld classes",
                             (long long)n_coef, (long long)n_rho, (long long)m->n_vector,
                             (long long)m->n_class);
        return MAAS_OK;
    }
    if (!n_coef || n_coef % m->n_class || n_rho < 1)
        return maas_fail(err, MAAS_E_INVALID, "%lld coefficients and %lld rho for %lld classes",
                         (long long)n_coef, (long long)n_rho, (long long)m->n_class);
    m->n_feature = n_coef / m->n_class;
    return MAAS_OK;
}

static maas_status classifier_of(const maas_node *n, maas_svm *m, maas_err *err)
{
    m->words = maas_node_attr(n, "classlabels_strings");
    m->ints = maas_node_attr(n, "classlabels_ints");
    if (!m->words == !m->ints)
        return maas_fail(err, MAAS_E_INVALID, "classlabels_strings or classlabels_ints is needed");
    m->n_class = m->words ? m->words->n : m->ints->n;
    if (m->n_class < 1 || m->n_class > UINT16_MAX)
        return maas_fail(err, MAAS_E_INVALID, "%lld labels", (long long)m->n_class);
    m->n_pair = m->n_class * (m->n_class - 1) / 2;
    MAAS_TRY(count_vectors(n, m, err));
    MAAS_TRY(check_lists(n, m, err));
    const bool pairs = m->n_vector && !m->prob[0];
    m->n_score = !pairs ? m->n_class : m->n_class == 2 ? 2 : m->n_pair;
    if (pairs && m->n_class == 2 && maas_post_of(n) == MAAS_POST_PROBIT)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "PROBIT of two classes is not defined");
    return MAAS_OK;
}

static maas_status regressor_of(const maas_node *n, maas_svm *m, maas_err *err)
{
    int64_t n_coef, n_rho;
    m->coef = list(n, "coefficients", &n_coef);
    m->rho = list(n, "rho", &n_rho);
    m->n_vector = maas_attr_i(n, "n_supports", 0);
    m->one_class = maas_attr_i(n, "one_class", 0) != 0;
    m->n_class = m->n_score = 1;
    m->n_feature = n_coef;
    if (m->n_vector < 0 || n_rho < 1 || !n_coef || (m->n_vector && n_coef < m->n_vector))
        return maas_fail(err, MAAS_E_INVALID,
                         "%lld coefficients and %lld rho for %lld support vectors",
                         (long long)n_coef, (long long)n_rho, (long long)m->n_vector);
    return m->n_vector ? vectors_of(n, m, err) : MAAS_OK;
}

maas_status maas_svm_of(const maas_node *n, bool classifier, maas_svm *out, maas_err *err)
{
    maas_svm m = {.positive = true};
    if (maas_post_of(n) == MAAS_POST_BAD)
        return maas_fail(err, MAAS_E_INVALID, "this post_transform is not known");
    MAAS_TRY(kernel_params(n, &m, err));
    MAAS_TRY(classifier ? classifier_of(n, &m, err) : regressor_of(n, &m, err));
    if (!m.n_vector)
        m.kernel = MAAS_SVM_LINEAR;
    *out = m;
    return MAAS_OK;
}

/* ---- from kernel values to an answer ---- */

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

void maas_svm_decide(const maas_svm *m, const float *k, double *scores)
{
    if (!m->n_vector || !m->n_pair) {
        const int64_t n = m->n_vector ? m->n_vector : m->n_feature;
        for (int64_t c = 0; c < m->n_class; c++)
            scores[c] = dot(m->coef + c * n, k, n) + m->rho[0];
        return;
    }
    int64_t pair = 0, at_i = 0;
    for (int64_t i = 0; i < m->n_class; at_i += m->per_class[i++]) {
        int64_t at_j = at_i + m->per_class[i];
        for (int64_t j = i + 1; j < m->n_class; at_j += m->per_class[j++], pair++)
            scores[pair] = dot(m->coef + (j - 1) * m->n_vector + at_i, k + at_i, m->per_class[i]) +
                           dot(m->coef + i * m->n_vector + at_j, k + at_j, m->per_class[j]) +
                           m->rho[pair];
    }
}

size_t maas_svm_room(const maas_svm *m)
{
    const size_t n = (size_t)m->n_class;
    return (size_t)m->n_pair + n * n * 2 + n * 3 + 2; /* scores, r, Q, p, Qp, votes */
}

static int64_t vote(const maas_svm *m, const double *scores, double *votes)
{
    int64_t best = 0;
    memset(votes, 0, (size_t)m->n_class * sizeof *votes);
    for (int64_t i = 0, pair = 0; i < m->n_class; i++)
        for (int64_t j = i + 1; j < m->n_class; j++, pair++)
            votes[scores[pair] > 0 ? i : j]++;
    for (int64_t i = 1; i < m->n_class; i++)
        best = votes[i] > votes[best] ? i : best;
    return best;
}

static int64_t largest(const double *y, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        best = y[i] > y[best] ? i : best;
    return best;
}

/* Two classes in the linear form: any score above zero (a half, if no coefficient is negative) is
 * the second one, unless there are probabilities. */
static int64_t linear_label(const maas_svm *m, const double *scores)
{
    const int64_t best = largest(scores, m->n_class);
    if (m->n_class != 2 || m->prob[0])
        return best;
    const bool second = m->positive ? scores[best] >= 0.5 : scores[best] > 0;
    return second ? 1 : best;
}

static void probabilities(const maas_svm *m, const double *scores, double *room, double *p)
{
    const int64_t n = m->n_class;
    double *r = room, *q = r + n * n, *qp = q + n * n;
    for (int64_t i = 0, pair = 0; i < n; i++)
        for (int64_t j = i + 1; j < n; j++, pair++) {
            double v = 1 - maas_logistic(scores[pair] * m->prob[0][pair] + m->prob[1][pair]);
            r[i * n + j] = fmin(fmax(v, 1e-7), 1 - 1e-7);
            r[j * n + i] = 1 - r[i * n + j];
        }
    maas_couple(n, r, q, qp, p);
}

static void two_scores(double s, maas_post post, float *y)
{
    const double p = post == MAAS_POST_LOGISTIC ? maas_logistic(s) : s;
    y[0] = (float)(post == MAAS_POST_NONE ? -s : 1 - p);
    y[1] = (float)p;
}

int64_t maas_svm_finish(const maas_svm *m, maas_post post, double *room, float *y)
{
    double *rest = room + (m->n_vector ? m->n_pair : m->n_class), *s = room;
    const int64_t label = m->n_vector ? vote(m, room, rest) : linear_label(m, room);
    if (!y)
        return label;
    if (m->n_vector && !m->prob[0] && m->n_class == 2) {
        two_scores(room[0], post, y);
        return label;
    }
    if (m->n_vector && m->prob[0]) {
        s = rest;
        probabilities(m, room, rest + m->n_class, s);
    }
    maas_post_apply(s, m->n_score, post);
    for (int64_t i = 0; i < m->n_score; i++)
        y[i] = (float)s[i];
    return label;
}
