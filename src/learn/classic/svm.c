/*
 * learn/classic/svm.c - support vector machines, trained by libsvm; the model file holds the
 * support vectors in an SVMClassifier or SVMRegressor.
 *
 * Rows go to libsvm sorted by class, so its order of classes is ours. What it draws at random (the
 * folds behind probabilities) comes from the C library's generator, seeded here.
 */
#include <math.h>
#include <setjmp.h>
#include <stdlib.h>

#include "learn/classic/dense.h"
#include "learn/classic/svm_lib.h"

#include "base/ban.h"

typedef struct svm_recipe {
    maas_dense_recipe dense;
    double c, coef0, epsilon, nu, tol;
    int64_t degree;
    int kernel;
    bool probability, shrinking;
    const json_t *gamma; /* NULL or "scale", "auto", a number */
} svm_recipe;

#define AT(f) offsetof(svm_recipe, f)

enum { LINEAR, POLY, RBF, SIGMOID }; /* libsvm's numbers */
static const char *const kernel_names[] = {"linear", "poly", "rbf", "sigmoid", NULL};
static const char *const onnx_kernels[] = {"LINEAR", "POLY", "RBF", "SIGMOID"};

static const maas_param rows[] = {
    {"C", MAAS_PARAM_NUM, AT(c), 1e-12, 1e12, 1, .help = "how much errors count"},
    {"kernel", MAAS_PARAM_CHOICE, AT(kernel), .preset = RBF, .choices = kernel_names,
     .help = "how alike two rows are"},
    {"gamma", MAAS_PARAM_JSON, AT(gamma),
     .help = "of poly, rbf, sigmoid: a number, \"scale\" (1 / (inputs * variance), the default) "
             "or \"auto\" (1 / inputs)"},
    {"degree", MAAS_PARAM_INT, AT(degree), 1, 100, 3, .help = "of poly"},
    {"coef0", MAAS_PARAM_NUM, AT(coef0), -1e12, 1e12, 0, .help = "of poly and sigmoid"},
    {"epsilon", MAAS_PARAM_NUM, AT(epsilon), 0, 1e12, 0.1,
     .help = "regression: errors below it are none"},
    {"nu", MAAS_PARAM_NUM, AT(nu), 1e-6, 1, NAN,
     .help = "share of support vectors instead of C (classes) or epsilon (numbers)"},
    {"probability", MAAS_PARAM_BOOL, AT(probability), .preset = 0,
     .help = "classes: also chances, by cross-validation (five times the work)"},
    {"shrinking", MAAS_PARAM_BOOL, AT(shrinking), .preset = 1, .help = "a heuristic that is fast"},
    {"tol", MAAS_PARAM_NUM, AT(tol), 1e-12, 1, 1e-3, .help = "at which it is solved"},
    DENSE_TASK,
    DENSE_CLASS_WEIGHT,
    DENSE_ROWS(MAAS_SCALING_AUTO),
};

typedef struct svm_fit {
    int64_t n_vector, n_class;
    float *vectors, *coef, *rho, *prob[2]; /* [n][d], [n_class - 1][n], [pairs] */
    int64_t *per_class;
    float params[3]; /* gamma, coef0, degree */
} svm_fit;

static maas_status settle(void *recipe, const json_t *params, maas_arena *a, maas_err *err)
{
    const svm_recipe *r = recipe;
    const char *word = json_string_value(r->gamma);
    if (r->gamma && !(word && (strcmp(word, "scale") == 0 || strcmp(word, "auto") == 0)) &&
        !(json_is_number(r->gamma) && json_number_value(r->gamma) > 0 &&
          json_number_value(r->gamma) <= 1e12))
        return maas_fail(err, MAAS_E_INVALID,
                         "params.gamma must be a number above 0, \"scale\" or \"auto\"");
    return maas_dense_settle(recipe, params, a, err);
}

/* ---- what libsvm is given ---- */

static double gamma_of(const maas_dense *s)
{
    const svm_recipe *r = s->recipe;
    const char *word = json_string_value(r->gamma);
    if (json_is_number(r->gamma))
        return json_number_value(r->gamma);
    if (word && strcmp(word, "auto") == 0)
        return 1 / (double)s->d;
    double mean = 0, m2 = 0;
    for (int64_t i = 0; i < s->n * s->d; i++) {
        const double delta = s->x[i] - mean;
        mean += delta / (double)(i + 1);
        m2 += delta * (s->x[i] - mean);
    }
    return m2 > 0 ? (double)s->n / m2 : 1;
}

/* Numbers of rows, class by class. */
static maas_status order_of(maas_dense *s, int64_t **out, maas_err *err)
{
    const int64_t k = s->codes ? s->target.n_classes : 1;
    int64_t *order = maas_work_array(&s->work, s->n, 1, sizeof *order, "rows", err), at = 0;
    if (!order)
        return MAAS_E_NOMEM;
    for (int64_t c = 0; c < k; c++) {
        const int64_t before = at;
        for (int64_t i = 0; i < s->n; i++)
            if (!s->codes || s->codes[i] == c)
                order[at++] = i;
        if (at == before)
            return maas_fail(err, MAAS_E_INVALID,
                             "class number %lld of target '%s' has no training rows: more rows of "
                             "it, or a smaller params.validation",
                             (long long)c + 1, s->job->target);
    }
    *out = order;
    return MAAS_OK;
}

static maas_status make_problem(maas_dense *s, maas_libsvm_problem *out, maas_err *err)
{
    int64_t *order;
    if (s->n > INT32_MAX || s->d >= INT32_MAX)
        return maas_fail(err, MAAS_E_TOO_LARGE, "svm takes up to %d rows", INT32_MAX);
    MAAS_TRY(order_of(s, &order, err));
    maas_libsvm_node *nodes = maas_work_array(&s->work, s->n, s->d + 1, sizeof *nodes, "rows", err);
    out->l = (int)s->n;
    out->x = nodes ? maas_work_array(&s->work, s->n, 1, sizeof *out->x, "rows", err) : NULL;
    out->y = out->x ? maas_work_doubles(&s->work, s->n, 1, "targets", err) : NULL;
    if (!out->y)
        return MAAS_E_NOMEM;
    for (int64_t i = 0; i < s->n; i++) {
        const int64_t from = order[i];
        out->x[i] = nodes + i * (s->d + 1);
        for (int64_t k = 0; k < s->d; k++)
            out->x[i][k] = (maas_libsvm_node){(int)k + 1, s->x[from * s->d + k]};
        out->x[i][s->d].index = -1;
        out->y[i] = s->codes ? s->codes[from] : s->y[from];
    }
    return MAAS_OK;
}

static maas_status make_parameter(maas_dense *s, maas_libsvm_parameter *out, maas_err *err)
{
    const svm_recipe *r = s->recipe;
    const int64_t k = s->target.weights ? s->target.n_classes : 0;
    const bool nu = !isnan(r->nu);
    *out = (maas_libsvm_parameter){.kernel_type = r->kernel,
                                   .degree = (int)r->degree,
                                   .gamma = gamma_of(s),
                                   .coef0 = r->coef0,
                                   .cache_mb = 100,
                                   .eps = r->tol,
                                   .c = r->c,
                                   .n_weights = (int)k,
                                   .nu = nu ? r->nu : 0.5,
                                   .p = r->epsilon,
                                   .shrinking = r->shrinking,
                                   .probability = r->probability && s->codes};
    out->svm_type = s->codes ? (nu ? MAAS_NU_SVC : MAAS_C_SVC)
                             : (nu ? MAAS_NU_SVR : MAAS_EPSILON_SVR);
    out->weight = maas_work_doubles(&s->work, k, 1, "weights", err);
    out->weight_label = maas_work_array(&s->work, k, 1, sizeof(int), "weights", err);
    if (!out->weight || !out->weight_label)
        return MAAS_E_NOMEM;
    for (int64_t c = 0; c < k; c++) {
        out->weight_label[c] = (int)c;
        out->weight[c] = s->target.weights[c];
    }
    return MAAS_OK;
}

/* ---- the call ---- */

/* libsvm says a dot every thousand steps: the only place where a job can be stopped. A jump out of
 * it leaves its memory behind, which the end of the worker gives back. */
static struct {
    maas_work *work;
    maas_err *err;
    maas_status st;
    jmp_buf out;
} running;

static void on_dot(const char *text)
{
    (void)text;
    running.st = maas_work_go_on(running.work, 0.5, "libsvm", running.err);
    if (running.st != MAAS_OK)
        longjmp(running.out, 1);
}

static maas_status call(maas_dense *s, const maas_libsvm *lib, const maas_libsvm_problem *p,
                        const maas_libsvm_parameter *how, maas_libsvm_model **out, maas_err *err)
{
    const char *wrong = lib->check(p, how);
    if (wrong)
        return maas_fail(err, MAAS_E_INVALID, "svm: %s", wrong);
    running.work = &s->work;
    running.err = err;
    running.st = MAAS_OK;
    lib->set_print(on_dot);
    srand((unsigned)s->head->seed + 1);
    if (setjmp(running.out))
        return running.st;
    *out = lib->train(p, how);
    return *out ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "libsvm gave no model");
}

static maas_status keep_model(maas_dense *s, const maas_libsvm_model *m, maas_err *err)
{
    svm_fit *f = maas_work_array(&s->work, 1, 1, sizeof *f, "support vectors", err);
    if (!f)
        return MAAS_E_NOMEM;
    s->fit = f;
    f->n_vector = m->l;
    f->n_class = s->codes ? m->n_class : 2;
    const int64_t n = f->n_vector, pairs = f->n_class * (f->n_class - 1) / 2;
    f->vectors = maas_work_array(&s->work, n, s->d, sizeof(float), "support vectors", err);
    f->coef = maas_work_array(&s->work, f->n_class - 1, n, sizeof(float), "weights", err);
    f->rho = maas_work_array(&s->work, 3, pairs, sizeof(float), "weights", err);
    f->per_class = maas_work_array(&s->work, f->n_class, 1, sizeof(int64_t), "classes", err);
    if (!f->vectors || !f->coef || !f->rho || !f->per_class)
        return MAAS_E_NOMEM;
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < s->d; k++)
            f->vectors[i * s->d + k] = (float)m->vectors[i][k].value;
    for (int64_t i = 0; i < (f->n_class - 1) * n; i++)
        f->coef[i] = (float)m->coef[i / n][i % n];
    for (int64_t c = 0; s->codes && c < f->n_class; c++)
        f->per_class[c] = m->per_class[c];
    for (int64_t i = 0; i < pairs; i++)
        f->rho[i] = (float)-m->rho[i];
    for (int which = 0; m->prob_a && m->prob_b && s->codes && which < 2; which++) {
        f->prob[which] = f->rho + (which + 1) * pairs;
        for (int64_t i = 0; i < pairs; i++)
            f->prob[which][i] = (float)(which ? m->prob_b : m->prob_a)[i];
    }
    f->params[0] = (float)m->param.gamma;
    f->params[1] = (float)m->param.coef0;
    f->params[2] = (float)m->param.degree;
    return maas_dense_note_json(s, "support_vectors", json_integer(n), err);
}

static maas_status fit(maas_dense *s, maas_err *err)
{
    maas_libsvm lib;
    maas_libsvm_problem p;
    maas_libsvm_parameter how;
    maas_libsvm_model *m = NULL;
    if (!s->codes && s->target.width > 1)
        return maas_fail(err, MAAS_E_INVALID, "target '%s' has %lld numbers a row, svm takes one",
                         s->job->target, (long long)s->target.width);
    MAAS_TRY(maas_libsvm_load(&lib, err));
    MAAS_TRY(make_problem(s, &p, err));
    MAAS_TRY(make_parameter(s, &how, err));
    MAAS_TRY(call(s, &lib, &p, &how, &m, err));
    maas_status st = keep_model(s, m, err);
    lib.destroy(&m);
    return st;
}

/* ---- nodes ---- */

#define FLOATS(key, from, count)                                                                   \
    ((maas_attr){.name = key, .type = MAAS_ATTR_FLOATS, .n = (uint32_t)(count), .u.floats = from})

/* Attributes that both operators have; returns how many. */
static uint32_t common(const maas_dense *s, maas_attr *attr)
{
    const svm_fit *f = s->fit;
    const svm_recipe *r = s->recipe;
    attr[0] = MAAS_A_STR("kernel_type", onnx_kernels[r->kernel]);
    attr[1] = FLOATS("kernel_params", f->params, 3);
    attr[2] = FLOATS("support_vectors", f->vectors, f->n_vector * s->d);
    attr[3] = FLOATS("coefficients", f->coef, (f->n_class - 1) * f->n_vector);
    attr[4] = FLOATS("rho", f->rho, f->n_class * (f->n_class - 1) / 2);
    return 5;
}

static void build_numbers(const maas_dense *s, maas_builder *b, maas_vid x)
{
    const svm_fit *f = s->fit;
    maas_attr attr[8];
    maas_vid y = MAAS_NO_VALUE;
    uint32_t n = common(s, attr);
    attr[n++] = MAAS_A_INT("n_supports", f->n_vector);
    maas_dense_values(s, b, maas_b_node(b, "SVMRegressor", attr, n, &x, 1, &y, 1));
}

/* The operator gives the score of the second class and its negative, in this order: [batch, 1]. */
static maas_vid of_second(maas_builder *b, maas_vid scores)
{
    maas_attr axis = MAAS_A_INT("axis", 1);
    maas_vid in[2] = {scores, maas_b_i64s(b, (int64_t[]){0}, 1)}, out = MAAS_NO_VALUE;
    return maas_b_node(b, "Gather", &axis, 1, in, 2, &out, 1);
}

/* The operator's labels are class numbers; ours are looked up, so text and numbers are one case. */
static void build_classes(const maas_dense *s, maas_builder *b, maas_vid x)
{
    const svm_fit *f = s->fit;
    const uint32_t pairs = (uint32_t)(f->n_class * (f->n_class - 1) / 2);
    maas_attr attr[12];
    maas_vid out[2] = {MAAS_NO_VALUE, MAAS_NO_VALUE};
    uint32_t n = common(s, attr);
    int64_t *numbers = maas_arena_array(s->work.arena, (size_t)f->n_class, sizeof *numbers);
    if (!numbers) {
        b->status = maas_fail(b->err, MAAS_E_NOMEM, "labels of the model");
        return;
    }
    for (int64_t c = 0; c < f->n_class; c++)
        numbers[c] = c;
    attr[n++] = MAAS_A_INTS("vectors_per_class", f->per_class, f->n_class);
    attr[n++] = MAAS_A_INTS("classlabels_ints", numbers, f->n_class);
    if (f->prob[0]) {
        attr[n++] = FLOATS("prob_a", f->prob[0], pairs);
        attr[n++] = FLOATS("prob_b", f->prob[1], pairs);
    }
    maas_b_node(b, "SVMClassifier", attr, n, &x, 1, out, 2);
    maas_b_output(b, "label", maas_b_op2(b, "Gather", maas_target_labels(&s->target, b), out[0]));
    maas_b_output(b, f->prob[0] ? "probabilities" : "scores",
                  f->prob[0] || f->n_class > 2 ? out[1] : of_second(b, out[1]));
}

static void build(const maas_dense *s, maas_builder *b, maas_vid x)
{
    (s->codes ? build_classes : build_numbers)(s, b, x);
}

static const maas_dense_kind kind = {
    .classes = true, .values = true, .score_products = 1 << 28, .fit = fit, .build = build};

static maas_status train(const maas_train_job *job, maas_train_result *out, maas_err *err)
{
    return maas_dense_train(job, &kind, out, err);
}

const maas_learner maas_learner_svm = {
    .name = "svm",
    .help = "support vectors: the widest margin between classes, or a tube around numbers",
    .rows = rows,
    .n_rows = MAAS_COUNT(rows),
    .recipe_size = sizeof(svm_recipe),
    .settle = settle,
    .train = train,
};
