/*
 * learn/classic/cluster.c - kmeans, dbscan, gaussian_mixture: no target (a target column given is
 * left out of the inputs).
 *
 *   kmeans            label INT64 [batch], distances [batch, k]
 *   dbscan            label INT64 [batch]: that of the nearest core row within eps, else -1
 *   gaussian_mixture  label INT64 [batch], probabilities [batch, k]
 */
#include <math.h>

#include "learn/classic/dense.h"
#include "learn/cores/cluster.h"

#include "base/ban.h"

#define MAX_LABELS      200000 /* of training rows among the metrics */
#define SILHOUETTE_ROWS 2000   /* of a quadratic measure */

typedef struct cluster_recipe {
    maas_dense_recipe dense;
    int64_t k, n_init, max_iter, batch, min_samples;
    double tol, eps, reg_covar;
    int init, algorithm, covariance;
} cluster_recipe;

#define AT(f) offsetof(cluster_recipe, f)

static const char *const init_names[] = {"k-means++", "random", NULL};
static const char *const algorithm_names[] = {"lloyd", "mini_batch", NULL};
static const char *const covariance_names[] = {"full", "tied", "diag", "spherical", NULL};

static const maas_param kmeans_rows[] = {
    {"n_clusters", MAAS_PARAM_INT, AT(k), 1, 65536, 8, .help = "groups"},
    {"init", MAAS_PARAM_CHOICE, AT(init), .preset = 0, .choices = init_names,
     .help = "first centres: spread out, or rows at random"},
    {"n_init", MAAS_PARAM_INT, AT(n_init), 1, 1000, 3, .help = "starts; the best one is kept"},
    {"max_iter", MAAS_PARAM_INT, AT(max_iter), 1, 1e6, 300, .help = "steps of a start"},
    {"tol", MAAS_PARAM_NUM, AT(tol), 0, 1, 1e-4,
     .help = "shift of the centres that ends a start, in units of the mean variance"},
    {"algorithm", MAAS_PARAM_CHOICE, AT(algorithm), .preset = 0, .choices = algorithm_names,
     .help = "all rows each step, or a random batch"},
    {"batch_size", MAAS_PARAM_INT, AT(batch), 1, 1 << 20, 1024, .help = "rows of a mini batch"},
    DENSE_ROWS(MAAS_SCALING_AUTO),
};
static const maas_param dbscan_rows[] = {
    {"eps", MAAS_PARAM_NUM, AT(eps), 1e-300, 1e12, 0.5,
     .help = "how far neighbours are apart at most, on prepared inputs"},
    {"min_samples", MAAS_PARAM_INT, AT(min_samples), 1, 1e9, 5,
     .help = "neighbours (a row counts itself) that make a row a core of its group"},
    DENSE_ROWS(MAAS_SCALING_AUTO),
};
static const maas_param mixture_rows[] = {
    {"n_components", MAAS_PARAM_INT, AT(k), 1, 4096, 2, .help = "Gaussians"},
    {"covariance_type", MAAS_PARAM_CHOICE, AT(covariance), .preset = MAAS_COVARIANCE_FULL,
     .choices = covariance_names, .help = "shape of a Gaussian; tied: one shape for all"},
    {"n_init", MAAS_PARAM_INT, AT(n_init), 1, 1000, 1, .help = "starts; the best one is kept"},
    {"max_iter", MAAS_PARAM_INT, AT(max_iter), 1, 1e6, 100, .help = "steps of a start"},
    {"tol", MAAS_PARAM_NUM, AT(tol), 0, 1e6, 1e-3,
     .help = "gain of the mean log-likelihood that ends a start"},
    {"reg_covar", MAAS_PARAM_NUM, AT(reg_covar), 0, 1e6, 1e-6, .help = "added to variances"},
    DENSE_ROWS(MAAS_SCALING_AUTO),
};

/* ---- metrics ---- */

static maas_status note_labels(maas_dense *s, const int32_t *label, maas_err *err)
{
    if (s->n > MAX_LABELS)
        return MAAS_OK;
    json_t *list = json_array();
    for (int64_t i = 0; list && i < s->n; i++)
        json_array_append_new(list, json_integer(label[i]));
    return maas_dense_note_json(s, "labels", list, err);
}

/* Every so many-th row, at most SILHOUETTE_ROWS of them. */
static maas_status note_silhouette(maas_dense *s, const int32_t *label, int32_t k, maas_err *err)
{
    const int64_t step = (s->n + SILHOUETTE_ROWS - 1) / SILHOUETTE_ROWS,
                  n = (s->n + step - 1) / step;
    double *x = maas_work_doubles(&s->work, n, s->d, "silhouette", err), v;
    int32_t *of = x ? maas_work_array(&s->work, n, 1, sizeof *of, "silhouette", err) : NULL;
    if (!of)
        return MAAS_E_NOMEM;
    for (int64_t i = 0; i < n; i++) {
        memcpy(x + i * s->d, s->x + i * step * s->d, (size_t)s->d * sizeof *x);
        of[i] = label[i * step];
    }
    const maas_points p = {x, n, s->d};
    MAAS_TRY(maas_silhouette(&s->work, &p, of, k, &v, err));
    return maas_dense_note(s, "silhouette", v, err);
}

/* ---- k-means ---- */

static maas_status fit_kmeans(maas_dense *s, maas_err *err)
{
    const cluster_recipe *r = s->recipe;
    maas_kmeans_fit *f = maas_work_array(&s->work, 1, 1, sizeof *f, "centres", err);
    const maas_points p = {s->x, s->n, s->d};
    const maas_kmeans_opts o = {.k = r->k,
                                .n_init = r->n_init,
                                .max_iter = r->max_iter,
                                .batch = r->algorithm ? r->batch : 0,
                                .tol = r->tol,
                                .seed = (uint64_t)r->dense.seed,
                                .random_start = r->init != 0};
    if (!f)
        return MAAS_E_NOMEM;
    s->fit = f;
    f->centres = maas_work_doubles(&s->work, o.k, s->d, "centres", err);
    f->label = f->centres ? maas_work_array(&s->work, s->n, 1, sizeof *f->label, "labels", err)
                          : NULL;
    if (!f->label)
        return MAAS_E_NOMEM;
    MAAS_TRY(maas_kmeans_run(&s->work, &p, &o, f, err));
    MAAS_TRY(maas_dense_note(s, "inertia", f->inertia, err));
    MAAS_TRY(maas_dense_note_json(s, "n_iter", json_integer(f->n_iter), err));
    MAAS_TRY(maas_dense_note_json(s, "n_clusters", json_integer(o.k), err));
    return note_silhouette(s, f->label, (int32_t)o.k, err);
}

static void build_kmeans(const maas_dense *s, maas_builder *b, maas_vid x)
{
    const maas_kmeans_fit *f = s->fit;
    const int64_t k = ((const cluster_recipe *)s->recipe)->k;
    maas_vid d2 = maas_dense_distances(b, x, "centres", f->centres, k, s->d);
    maas_b_output(b, "label", maas_dense_arg(b, "ArgMin", d2));
    maas_b_output(b, "distances", maas_b_op1(b, "Sqrt", d2));
}

/* ---- DBSCAN ---- */

typedef struct dbscan_fit {
    int64_t n_core;
    double *core;   /* [n_core][d] */
    int64_t *label; /* [n_core] */
} dbscan_fit;

static maas_status keep_core(maas_dense *s, const int32_t *label, const bool *core, maas_err *err)
{
    dbscan_fit *f = maas_work_array(&s->work, 1, 1, sizeof *f, "core rows", err);
    if (!f)
        return MAAS_E_NOMEM;
    for (int64_t i = 0; i < s->n; i++)
        f->n_core += core[i];
    f->core = maas_work_doubles(&s->work, f->n_core, s->d, "core rows", err);
    f->label = f->core ? maas_work_array(&s->work, f->n_core, 1, sizeof *f->label, "labels", err)
                       : NULL;
    if (!f->label)
        return MAAS_E_NOMEM;
    int64_t at = 0;
    for (int64_t i = 0; i < s->n; i++)
        if (core[i]) {
            memcpy(f->core + at * s->d, s->x + i * s->d, (size_t)s->d * sizeof *f->core);
            f->label[at++] = label[i];
        }
    s->fit = f;
    return MAAS_OK;
}

static maas_status fit_dbscan(maas_dense *s, maas_err *err)
{
    const cluster_recipe *r = s->recipe;
    const maas_points p = {s->x, s->n, s->d};
    int32_t groups, *label = maas_work_array(&s->work, s->n, 1, sizeof *label, "labels", err);
    bool *core = label ? maas_work_array(&s->work, s->n, 1, sizeof *core, "labels", err) : NULL;
    if (!core)
        return MAAS_E_NOMEM;
    MAAS_TRY(maas_dbscan_run(&s->work, &p, r->eps, r->min_samples, label, core, &groups, err));
    MAAS_TRY(keep_core(s, label, core, err));
    int64_t noise = 0;
    for (int64_t i = 0; i < s->n; i++)
        noise += label[i] < 0;
    const dbscan_fit *f = s->fit;
    MAAS_TRY(maas_dense_note_json(s, "n_clusters", json_integer(groups), err));
    MAAS_TRY(maas_dense_note_json(s, "noise_rows", json_integer(noise), err));
    MAAS_TRY(maas_dense_note_json(s, "core_rows", json_integer(f->n_core), err));
    if (f->n_core == 0)
        return maas_fail(err, MAAS_E_INVALID,
                         "no row has params.min_samples = %lld rows within params.eps = %g: all "
                         "would be noise",
                         (long long)r->min_samples, r->eps);
    MAAS_TRY(note_labels(s, label, err));
    return note_silhouette(s, label, groups, err);
}

static void build_dbscan(const maas_dense *s, maas_builder *b, maas_vid x)
{
    const cluster_recipe *r = s->recipe;
    const dbscan_fit *f = s->fit;
    const maas_tensor labels = maas_tensor_of(MAAS_I64, 1, &f->n_core, f->label);
    maas_vid d2, which, nearest;
    maas_dense_nearest(b, x, f->core, f->n_core, s->d, 1, &d2, &which);
    nearest = maas_b_op2(b, "Gather", maas_dense_named(b, "core_labels", &labels),
                         maas_dense_flat(b, which));
    const double eps2 = r->eps * r->eps;
    maas_vid within = maas_b_op2(b, "LessOrEqual", maas_dense_flat(b, d2),
                                 maas_b_f32(b, nextafterf((float)eps2, INFINITY)));
    maas_b_output(b, "label", maas_b_op3(b, "Where", within, nearest, maas_b_i64(b, -1)));
}

/* ---- mixtures ---- */

static maas_status fit_mixture(maas_dense *s, maas_err *err)
{
    const cluster_recipe *r = s->recipe;
    const maas_points p = {s->x, s->n, s->d};
    const maas_mixture_opts o = {
        r->k, r->n_init, r->max_iter, r->covariance, r->tol, r->reg_covar, (uint64_t)r->dense.seed};
    maas_mixture_fit *f = maas_work_array(&s->work, 1, 1, sizeof *f, "components", err);
    if (!f)
        return MAAS_E_NOMEM;
    s->fit = f;
    MAAS_TRY(maas_mixture_run(&s->work, &p, &o, f, err));
    json_t *weights = json_array();
    for (int64_t c = 0; weights && c < r->k; c++)
        json_array_append_new(weights, json_real(f->weights[c]));
    MAAS_TRY(maas_dense_note_json(s, "weights", weights, err));
    MAAS_TRY(maas_dense_note(s, "log_likelihood", f->mean_log_likelihood, err));
    MAAS_TRY(maas_dense_note_json(s, "converged", json_boolean(f->converged), err));
    return maas_dense_note_json(s, "n_iter", json_integer(f->n_iter), err);
}

/* (x - mean) factor for all components at once: [batch, k, d]. */
static maas_vid whitened(const maas_dense *s, maas_builder *b, maas_vid x)
{
    const cluster_recipe *r = s->recipe;
    const maas_mixture_fit *f = s->fit;
    const int64_t k = r->k, d = s->d;
    const bool tied = r->covariance == MAAS_COVARIANCE_TIED;
    maas_vid means = maas_dense_const(b, "means", 3, (int64_t[]){k, 1, d}, f->means);
    maas_vid rows = maas_b_op2(b, "Sub", x, means); /* [k, batch, d] */
    if (tied || r->covariance == MAAS_COVARIANCE_FULL)
        return maas_b_op2(
            b, "MatMul", rows,
            maas_dense_const(b, "factors", 3, (int64_t[]){tied ? 1 : k, d, d}, f->factors));
    return maas_b_op2(b, "Mul", rows,
                      maas_dense_const(b, "factors", 3, (int64_t[]){k, 1, d}, f->factors));
}

static void build_mixture(const maas_dense *s, maas_builder *b, maas_vid x)
{
    const maas_mixture_fit *f = s->fit;
    const int64_t k = ((const cluster_recipe *)s->recipe)->k;
    maas_vid d2 = maas_dense_reduce(b, "ReduceSumSquare", whitened(s, b, x), 2, false);
    maas_vid half = maas_b_op2(b, "Mul", d2, maas_b_f32(b, -0.5f)); /* [k, batch] */
    maas_vid norms = maas_dense_const(b, "log_norm", 1, &k, f->log_norm);
    maas_vid z = maas_b_op2(b, "Add", maas_b_op1(b, "Transpose", half), norms);
    maas_b_output(b, "label", maas_dense_arg(b, "ArgMax", z));
    maas_b_output(b, "probabilities", maas_dense_softmax(b, z));
}

/* ---- learners ---- */

#define KIND(name_, fit_, build_)                                                                  \
    static const maas_dense_kind name_##_kind = {                                                  \
        .task = "clustering", .fit = fit_, .build = build_};                                       \
    static maas_status train_##name_(const maas_train_job *job, maas_train_result *out,            \
                                     maas_err *err)                                                \
    {                                                                                              \
        return maas_dense_train(job, &name_##_kind, out, err);                                     \
    }

KIND(kmeans, fit_kmeans, build_kmeans)
KIND(dbscan, fit_dbscan, build_dbscan)
KIND(gaussian_mixture, fit_mixture, build_mixture)

#define LEARNER(name_, help_, rows_)                                                               \
    const maas_learner maas_learner_##name_ = {                                                    \
        .name = #name_,                                                                            \
        .help = help_,                                                                             \
        .rows = rows_,                                                                             \
        .n_rows = MAAS_COUNT(rows_),                                                               \
        .recipe_size = sizeof(cluster_recipe),                                                     \
        .settle = maas_dense_settle,                                                               \
        .train = train_##name_,                                                                    \
        .no_target = true,                                                                         \
    }
LEARNER(kmeans, "groups around centres", kmeans_rows);
LEARNER(dbscan, "groups of rows that lie close together, of any shape; the rest is noise",
        dbscan_rows);
LEARNER(gaussian_mixture, "groups as Gaussians, with chances", mixture_rows);
