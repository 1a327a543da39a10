/*
 * liblinear's model files:
 *
 *   solver_type L2R_LR
 *   nr_class 2
 *   label 1 -1                     not for regression
 *   nr_feature 4
 *   bias -1                        >= 0: a last feature that is always this
 *   rho 0.1                        one class only
 *   w
 *   0.2                            a line a feature; a number a class, one for two classes
 */
#include <stdio.h>
#include <string.h>

#include "formats/svm/svm_int.h"
#include "base/ban.h"

typedef enum task { CLASSES, VALUES, ONE_CLASS } task;

static const struct solver {
    const char *name;
    task task;
    bool logistic, each; /* each: a column of weights for both of two classes */
} solvers[] = {
    {"L2R_LR", CLASSES, true, false},
    {"L2R_L2LOSS_SVC_DUAL", CLASSES, false, false},
    {"L2R_L2LOSS_SVC", CLASSES, false, false},
    {"L2R_L1LOSS_SVC_DUAL", CLASSES, false, false},
    {"MCSVM_CS", CLASSES, false, true},
    {"L1R_L2LOSS_SVC", CLASSES, false, false},
    {"L1R_LR", CLASSES, true, false},
    {"L2R_LR_DUAL", CLASSES, true, false},
    {"L2R_L2LOSS_SVR", VALUES, false, false},
    {"L2R_L2LOSS_SVR_DUAL", VALUES, false, false},
    {"L2R_L1LOSS_SVR_DUAL", VALUES, false, false},
    {"ONECLASS_SVM", ONE_CLASS, false, false},
};

typedef struct model {
    svm_text t;
    const struct solver *solver;
    int64_t k, f, columns;
    double bias, rho;
    int64_t *labels;
    double *w; /* [f + 1][columns]: the last row is what the bias adds */
} model;

/* ---- reading ---- */

static maas_status read_solver(model *m)
{
    const char *names[MAAS_COUNT(solvers)];
    int i;
    for (size_t k = 0; k < MAAS_COUNT(solvers); k++)
        names[k] = solvers[k].name;
    MAAS_TRY(svm_choice(&m->t, "solver_type", names, MAAS_COUNT(solvers), &i));
    m->solver = &solvers[i];
    return MAAS_OK;
}

static maas_status read_key(model *m, maas_span key)
{
    if (maas_span_is(key, "solver_type"))
        return read_solver(m);
    if (maas_span_is(key, "nr_class"))
        return svm_i64(&m->t, "nr_class", 1, SVM_MAX_CLASSES, &m->k);
    if (maas_span_is(key, "nr_feature"))
        return svm_i64(&m->t, "nr_feature", 1, SVM_MAX_FEATURES, &m->f);
    if (maas_span_is(key, "bias"))
        return svm_f64(&m->t, "bias", &m->bias);
    if (maas_span_is(key, "rho"))
        return svm_f64(&m->t, "rho", &m->rho);
    if (maas_span_is(key, "label") && m->k)
        return svm_i64s(&m->t, "label", m->k, INT32_MIN, INT32_MAX, &m->labels);
    return svm_fail(&m->t, MAAS_E_FORMAT, "'%.*s' is not expected here",
                    (int)(key.n < 40 ? key.n : 40), (const char *)key.p);
}

static maas_status read_header(model *m)
{
    maas_span key;
    m->bias = -1;
    while (svm_next_line(&m->t)) {
        svm_word(&m->t, &key);
        if (maas_span_is(key, "w")) {
            const bool classes = m->solver && m->solver->task == CLASSES;
            if (!m->solver || !m->k || !m->f || (classes && (!m->labels || m->k < 2)))
                return svm_fail(&m->t, MAAS_E_FORMAT,
                                "solver_type, nr_class, nr_feature and label come before w");
            m->columns = classes && (m->k > 2 || m->solver->each) ? m->k : 1;
            return MAAS_OK;
        }
        MAAS_TRY(read_key(m, key));
    }
    return svm_fail(&m->t, MAAS_E_FORMAT, "the file ends before w");
}

static maas_status read_weights(model *m)
{
    const int64_t lines = m->f + (m->bias >= 0);
    int64_t n;
    if (__builtin_mul_overflow(m->f + 1, m->columns, &n) ||
        (uint64_t)(lines * m->columns) > m->t.rest.n / 2 + 1)
        return svm_fail(&m->t, MAAS_E_FORMAT, "the file is too short for %lld lines of weights",
                        (long long)lines);
    if (!(m->w = svm_alloc(&m->t, n, sizeof *m->w)))
        return MAAS_E_NOMEM;
    for (int64_t i = 0; i < lines; i++) {
        if (!svm_next_line(&m->t))
            return svm_fail(&m->t, MAAS_E_FORMAT, "the file ends after %lld of %lld weights",
                            (long long)i, (long long)lines);
        for (int64_t c = 0; c < m->columns; c++)
            MAAS_TRY(svm_f64(&m->t, "a weight", &m->w[i * m->columns + c]));
        MAAS_TRY(svm_end_of_line(&m->t));
    }
    for (int64_t c = 0; c < m->columns; c++) {
        double *last = &m->w[m->f * m->columns + c];
        *last = (m->bias >= 0 ? *last * m->bias : 0) - m->rho;
    }
    return svm_next_line(&m->t) ? svm_fail(&m->t, MAAS_E_FORMAT, "more lines than nr_feature says")
                                : MAAS_OK;
}

/* ---- the graph ---- */

/* Sigmoids of each class against the rest, made to sum to one. */
static maas_vid probabilities(const model *m, maas_builder *b, maas_vid scores)
{
    const int64_t last = -1;
    maas_vid p = maas_b_op1(b, "Sigmoid", scores);
    if (m->columns == 1)
        return svm_two_columns(b, p);
    return maas_b_op2(b, "Div", p, maas_b_op2(b, "ReduceSum", p, maas_b_i64s(b, &last, 1)));
}

static void put_classes(const model *m, maas_builder *b, maas_vid scores)
{
    maas_vid best;
    if (m->columns > 1) {
        best = svm_argmax(b, scores);
    } else { /* above zero: the first label */
        maas_vid second = maas_b_op2(b, "LessOrEqual", scores, svm_number(b, 0));
        best = svm_column(b, svm_cast(b, second, MAAS_I64));
    }
    maas_b_output(b, "label", svm_labels(b, m->labels, m->k, best));
    if (m->solver->logistic)
        maas_b_output(b, "probabilities", probabilities(m, b, scores));
    else
        maas_b_output(b, "scores", scores);
}

static maas_status build(const model *m, svm_text *t, maas_graph **out)
{
    static const char *const tasks[] = {"classification", "regression", "outliers"};
    maas_builder b;
    maas_vid x;
    char source[64];
    MAAS_TRY(svm_graph_begin(t, m->f, &b, &x));
    maas_vid w = svm_f64_const(&b, 2, (const int64_t[]){m->f, m->columns}, m->w);
    maas_vid c = svm_f64_const(&b, 1, &m->columns, m->w + m->f * m->columns);
    maas_vid scores = maas_b_op2(&b, "Add", maas_b_op2(&b, "MatMul", x, w), c);
    if (m->solver->task == CLASSES) {
        put_classes(m, &b, scores);
    } else if (m->solver->task == VALUES) {
        maas_b_output(&b, "value", svm_column(&b, scores));
    } else {
        maas_b_output(&b, "label", svm_inlier(&b, scores));
        maas_b_output(&b, "scores", scores);
    }
    snprintf(source, sizeof source, "liblinear %s", m->solver->name);
    return svm_graph_end(t, &b, tasks[m->solver->task], source, out);
}

maas_status maas_liblinear_read(maas_span file, maas_budget *budget, maas_graph **out,
                                maas_err *err)
{
    maas_arena arena;
    maas_arena_init(&arena, budget);
    model m = {.t = {.rest = file, .arena = &arena, .err = err}};
    maas_status st = read_header(&m);
    if (st == MAAS_OK)
        st = read_weights(&m);
    if (st == MAAS_OK)
        st = build(&m, &m.t, out);
    maas_arena_reset(&arena);
    return st;
}

int maas_liblinear_probe(maas_span head)
{
    return head.n > 12 && memcmp(head.p, "solver_type ", 12) == 0 ? 95 : 0;
}
