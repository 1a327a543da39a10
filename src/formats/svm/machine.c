/*
 * A support vector machine as a graph, in double:
 *
 *   k [n, v] = K(x, vectors)          vectors of class 0, then of class 1, ...
 *   decision of the pair (i, j) = sum over v of class i of coef[j - 1][v] k[v]
 *                               + sum over v of class j of coef[i][v] k[v] - rho
 *
 * Above zero it is a vote for i. Distances of rbf are |x|^2 + |s|^2 - 2 x.s after both were moved
 * by the mean of the vectors, so that data far from the origin loses no digits.
 */
#include <stdio.h>

#include "formats/svm/svm_int.h"
#include "base/ban.h"

/* ---- pieces of graphs ---- */

maas_vid svm_f64_const(maas_builder *b, int rank, const int64_t *dims, const double *v)
{
    maas_tensor t = maas_tensor_of(MAAS_F64, rank, dims, (void *)(uintptr_t)v);
    return maas_b_const(b, NULL, &t);
}

maas_vid svm_number(maas_builder *b, double v)
{
    return svm_f64_const(b, 0, NULL, &v);
}

maas_vid svm_argmax(maas_builder *b, maas_vid v)
{
    const maas_attr a[2] = {MAAS_A_INT("axis", 1), MAAS_A_INT("keepdims", 0)};
    return maas_b_node(b, "ArgMax", a, 2, &v, 1, NULL, 1);
}

maas_vid svm_column(maas_builder *b, maas_vid v)
{
    const int64_t flat = -1;
    return maas_b_op2(b, "Reshape", v, maas_b_i64s(b, &flat, 1));
}

maas_vid svm_cast(maas_builder *b, maas_vid v, maas_dtype t)
{
    const maas_attr to = MAAS_A_INT("to", t);
    return maas_b_node(b, "Cast", &to, 1, &v, 1, NULL, 1);
}

maas_vid svm_labels(maas_builder *b, const int64_t *labels, int64_t n, maas_vid index)
{
    maas_tensor t = maas_tensor_of(MAAS_I64, 1, &n, (void *)(uintptr_t)labels);
    return maas_b_op2(b, "Gather", maas_b_const(b, NULL, &t), index);
}

maas_vid svm_concat(maas_builder *b, const maas_vid *v, uint32_t n)
{
    const maas_attr axis = MAAS_A_INT("axis", 1);
    return maas_b_node(b, "Concat", &axis, 1, v, n, NULL, 1);
}

maas_vid svm_two_columns(maas_builder *b, maas_vid first)
{
    const maas_vid both[2] = {first, maas_b_op2(b, "Sub", svm_number(b, 1), first)};
    return svm_concat(b, both, 2);
}

maas_vid svm_inlier(maas_builder *b, maas_vid score)
{
    static const int64_t labels[] = {-1, 1};
    maas_vid in = maas_b_op2(b, "Greater", score, svm_number(b, 0));
    return svm_labels(b, labels, 2, svm_column(b, svm_cast(b, in, MAAS_I64)));
}

maas_status svm_graph_begin(svm_text *t, int64_t f, maas_builder *b, maas_vid *x)
{
    int64_t dims[2] = {0, f};
    maas_graph *g;
    MAAS_TRY(maas_graph_create("support vectors", t->arena->budget, &g, t->err));
    maas_status st = maas_graph_symbol(g, "batch", &dims[0], t->err);
    if (st != MAAS_OK) {
        maas_graph_destroy(g);
        return st;
    }
    maas_builder_init(b, g, t->err);
    *x = maas_b_input(b, "x", MAAS_F64, 2, dims);
    return MAAS_OK;
}

maas_status svm_graph_end(svm_text *t, maas_builder *b, const char *task, const char *source,
                          maas_graph **out)
{
    maas_graph *g = b->g;
    maas_status st = b->status;
    if (st == MAAS_OK)
        st = maas_graph_set_meta(g, "maas.task", task, t->err);
    if (st == MAAS_OK)
        st = maas_graph_set_meta(g, "maas.source", source, t->err);
    if (st == MAAS_OK)
        st = maas_graph_verify(g, t->err);
    if (st == MAAS_OK)
        st = maas_graph_infer(g, t->err);
    if (st != MAAS_OK) {
        maas_graph_destroy(g);
        return st;
    }
    *out = g;
    return MAAS_OK;
}

/* ---- kernels ---- */

/* x [n, f] times the vectors, [n, v] */
static maas_vid products(const svm_machine *m, maas_builder *b, maas_vid x, const double *vectors)
{
    const maas_attr transposed = MAAS_A_INT("transB", 1);
    const maas_vid in[2] = {x, svm_f64_const(b, 2, (const int64_t[]){m->v, m->f}, vectors)};
    return maas_b_node(b, "Gemm", &transposed, 1, in, 2, NULL, 1);
}

/* exp(-gamma |x - s|^2) = exp(2 gamma min(0, x.s - |s|^2/2 - |x|^2/2)); the vectors are moved. */
static maas_vid rbf(const svm_machine *m, svm_text *t, maas_builder *b, maas_vid x)
{
    double *mean = svm_alloc(t, m->f, sizeof *mean), *half = svm_alloc(t, m->v, sizeof *half);
    const int64_t last = -1;
    if (!mean || !half) {
        b->status = MAAS_E_NOMEM;
        return MAAS_NO_VALUE;
    }
    for (int64_t i = 0; i < m->v; i++)
        for (int64_t j = 0; j < m->f; j++)
            mean[j] += m->vectors[i * m->f + j] / (double)m->v;
    for (int64_t i = 0; i < m->v; i++)
        for (int64_t j = 0; j < m->f; j++) {
            double *s = &m->vectors[i * m->f + j];
            *s -= mean[j];
            half[i] -= 0.5 * *s * *s;
        }
    x = maas_b_op2(b, "Sub", x, svm_f64_const(b, 1, &m->f, mean));
    maas_vid d = maas_b_op2(b, "Add", products(m, b, x, m->vectors),
                            svm_f64_const(b, 1, &m->v, half));
    maas_vid own = maas_b_op2(b, "ReduceSum", maas_b_op2(b, "Mul", x, x), maas_b_i64s(b, &last, 1));
    d = maas_b_op2(b, "Sub", d, maas_b_op2(b, "Mul", own, svm_number(b, 0.5)));
    d = maas_b_op2(b, "Min", d, svm_number(b, 0));
    return maas_b_op1(b, "Exp", maas_b_op2(b, "Mul", d, svm_number(b, 2 * m->gamma)));
}

/* (gamma x.s + coef0)^degree, or tanh of the same base. */
static maas_vid kernel_values(const svm_machine *m, svm_text *t, maas_builder *b, maas_vid x)
{
    if (m->kernel == SVM_RBF)
        return rbf(m, t, b, x);
    maas_vid z = products(m, b, x, m->vectors);
    if (m->kernel == SVM_LINEAR)
        return z;
    z = maas_b_op2(b, "Add", maas_b_op2(b, "Mul", z, svm_number(b, m->gamma)),
                   svm_number(b, m->coef0));
    return m->kernel == SVM_SIGMOID ? maas_b_op1(b, "Tanh", z)
                                    : maas_b_op2(b, "Pow", z, svm_number(b, m->degree));
}

/* ---- decisions ---- */

/* k [n, v] of the vectors of class i, times their coefficients [v of i, k - 1]. */
static maas_vid class_sums(const svm_machine *m, svm_text *t, maas_builder *b, maas_vid k,
                           int64_t i, int64_t first)
{
    const int64_t n = m->n_of[i], end = first + n, axis = 1, width = m->k - 1;
    double *block = svm_alloc(t, n * width, sizeof *block);
    if (!block) {
        b->status = MAAS_E_NOMEM;
        return MAAS_NO_VALUE;
    }
    for (int64_t r = 0; r < n; r++)
        for (int64_t c = 0; c < width; c++)
            block[r * width + c] = m->coef[c * m->v + first + r];
    const maas_vid in[4] = {k, maas_b_i64s(b, &first, 1), maas_b_i64s(b, &end, 1),
                            maas_b_i64s(b, &axis, 1)};
    maas_vid own = maas_b_node(b, "Slice", NULL, 0, in, 4, NULL, 1);
    return maas_b_op2(b, "MatMul", own, svm_f64_const(b, 2, (const int64_t[]){n, width}, block));
}

static maas_vid pick(maas_builder *b, maas_vid v, const int64_t *columns, int64_t n)
{
    const maas_attr axis = MAAS_A_INT("axis", 1);
    const maas_tensor t = maas_tensor_of(MAAS_I64, 1, &n, (void *)(uintptr_t)columns);
    const maas_vid in[2] = {v, maas_b_const(b, NULL, &t)};
    return maas_b_node(b, "Gather", &axis, 1, in, 2, NULL, 1);
}

/* Decisions of all pairs [n, pairs] before rho. */
static maas_vid pair_sums(const svm_machine *m, svm_text *t, maas_builder *b, maas_vid k)
{
    maas_vid *part = svm_alloc(t, m->k, sizeof *part);
    int64_t *of_i = svm_alloc(t, m->pairs, sizeof *of_i);
    int64_t *of_j = svm_alloc(t, m->pairs, sizeof *of_j);
    if (!part || !of_i || !of_j) {
        b->status = MAAS_E_NOMEM;
        return MAAS_NO_VALUE;
    }
    for (int64_t i = 0, first = 0, p = 0; i < m->k; first += m->n_of[i++]) {
        part[i] = class_sums(m, t, b, k, i, first);
        for (int64_t j = i + 1; j < m->k; j++, p++) {
            of_i[p] = i * (m->k - 1) + j - 1;
            of_j[p] = j * (m->k - 1) + i;
        }
    }
    maas_vid all = svm_concat(b, part, (uint32_t)m->k);
    return maas_b_op2(b, "Add", pick(b, all, of_i, m->pairs), pick(b, all, of_j, m->pairs));
}

static maas_vid decisions(const svm_machine *m, svm_text *t, maas_builder *b, maas_vid x)
{
    double *minus = svm_alloc(t, m->pairs, sizeof *minus);
    maas_vid sums, k = kernel_values(m, t, b, x);
    for (int64_t p = 0; minus && p < m->pairs; p++)
        minus[p] = -m->rho[p];
    if (!minus) {
        b->status = MAAS_E_NOMEM;
        return MAAS_NO_VALUE;
    }
    if (m->k == 2)
        sums = maas_b_op2(b, "MatMul", k, svm_f64_const(b, 2, (const int64_t[]){m->v, 1}, m->coef));
    else
        sums = pair_sums(m, t, b, k);
    return maas_b_op2(b, "Add", sums, svm_f64_const(b, 1, &m->pairs, minus));
}

/* ---- answers ---- */

/* Votes [n, k] = wins [n, pairs] times (1 for i, -1 for j), plus what j has when all were lost. */
static maas_vid winner(const svm_machine *m, svm_text *t, maas_builder *b, maas_vid z)
{
    double *wins = svm_alloc(t, m->pairs * m->k, sizeof *wins);
    double *base = svm_alloc(t, m->k, sizeof *base);
    if (!wins || !base) {
        b->status = MAAS_E_NOMEM;
        return MAAS_NO_VALUE;
    }
    for (int64_t i = 0, p = 0; i < m->k; i++)
        for (int64_t j = i + 1; j < m->k; j++, p++) {
            wins[p * m->k + i] = 1;
            wins[p * m->k + j] = -1;
            base[j]++;
        }
    maas_vid won = svm_cast(b, maas_b_op2(b, "Greater", z, svm_number(b, 0)), MAAS_F64);
    maas_vid w = svm_f64_const(b, 2, (const int64_t[]){m->pairs, m->k}, wins);
    return svm_argmax(
        b, maas_b_op2(b, "Add", maas_b_op2(b, "MatMul", won, w), svm_f64_const(b, 1, &m->k, base)));
}

/* 1 / (1 + exp(a z + b)) for each pair; of two classes that is the answer, within the bounds that
 * libsvm sets, of more they are coupled. */
static maas_vid probabilities(const svm_machine *m, maas_builder *b, maas_vid z)
{
    maas_vid a = maas_b_op1(b, "Neg", svm_f64_const(b, 1, &m->pairs, m->prob_a));
    maas_vid r = maas_b_op2(b, "Sub", maas_b_op2(b, "Mul", z, a),
                            svm_f64_const(b, 1, &m->pairs, m->prob_b));
    maas_vid p = maas_b_op1(b, "Sigmoid", r);
    if (m->k > 2)
        return maas_b_op1(b, "PairwiseCoupling", p);
    p = maas_b_op3(b, "Clip", p, svm_number(b, 1e-7), svm_number(b, 1 - 1e-7));
    return svm_two_columns(b, p);
}

maas_status svm_machine_graph(const svm_machine *m, svm_text *t, maas_graph **out)
{
    static const struct {
        const char *name, *task;
    } types[] = {{"c_svc", "classification"},
                 {"nu_svc", "classification"},
                 {"one_class", "outliers"},
                 {"epsilon_svr", "regression"},
                 {"nu_svr", "regression"}};
    maas_builder b;
    maas_vid x;
    char source[64];
    MAAS_TRY(svm_graph_begin(t, m->f, &b, &x));
    maas_vid z = decisions(m, t, &b, x);
    if (m->labels && m->type <= SVM_NU_SVC) {
        maas_b_output(&b, "label", svm_labels(&b, m->labels, m->k, winner(m, t, &b, z)));
        if (m->prob_a)
            maas_b_output(&b, "probabilities", probabilities(m, &b, z));
        maas_b_output(&b, "scores", z);
    } else if (m->type == SVM_ONE_CLASS) {
        maas_b_output(&b, "label", svm_inlier(&b, z));
        maas_b_output(&b, "scores", z);
    } else {
        maas_b_output(&b, "value", svm_column(&b, z));
    }
    snprintf(source, sizeof source, "libsvm %s", types[m->type].name);
    return svm_graph_end(t, &b, types[m->type].task, source, out);
}
