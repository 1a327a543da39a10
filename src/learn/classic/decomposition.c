/*
 * learn/classic/decomposition.c - pca and truncated_svd: output transformed [batch, k].
 *
 *   pca            ((x - mean) V'), divided by the deviation of each component if whitened
 *   truncated_svd  x V'
 */
#include <math.h>

#include "learn/classic/dense.h"
#include "learn/cores/decompose.h"

#include "base/ban.h"

typedef struct decomposition_recipe {
    maas_dense_recipe dense;
    double n_components;
    bool whiten;
    bool centre; /* of the learner */
} decomposition_recipe;

#define AT(f) offsetof(decomposition_recipe, f)

static const maas_param pca_rows[] = {
    {"n_components", MAAS_PARAM_NUM, AT(n_components), 0, 1e6, 0,
     .help = "how many; below 1: as many as make up this share of the variance; 0: all"},
    {"whiten", MAAS_PARAM_BOOL, AT(whiten), .preset = 0, .help = "give every component variance 1"},
    DENSE_ROWS(MAAS_SCALING_AUTO),
};
static const maas_param svd_rows[] = {
    {"n_components", MAAS_PARAM_NUM, AT(n_components), 1, 1e6, 2, .help = "how many"},
    DENSE_ROWS(MAAS_SCALING_NONE),
};

static maas_status check_number(const decomposition_recipe *r, maas_err *err)
{
    if (r->n_components > 1 && r->n_components != floor(r->n_components))
        return maas_fail(err, MAAS_E_INVALID,
                         "params.n_components must be a whole number, or a share below 1");
    return MAAS_OK;
}

static maas_status settle_pca(void *recipe, const json_t *params, maas_arena *a, maas_err *err)
{
    ((decomposition_recipe *)recipe)->centre = true;
    MAAS_TRY(check_number(recipe, err));
    return maas_dense_settle(recipe, params, a, err);
}

static maas_status settle_svd(void *recipe, const json_t *params, maas_arena *a, maas_err *err)
{
    MAAS_TRY(check_number(recipe, err));
    return maas_dense_settle(recipe, params, a, err);
}

/* Variance of a column of the transformed rows: around its mean, which is not 0 without centring.
 */
static double variance_of(const maas_dense *s, const maas_directions *f, int64_t c)
{
    double mean = 0, m2 = 0;
    for (int64_t i = 0; i < s->n; i++) {
        double z = 0;
        for (int64_t k = 0; k < s->d; k++)
            z += (s->x[i * s->d + k] - f->mean[k]) * f->components[c * s->d + k];
        const double delta = z - mean;
        mean += delta / (double)(i + 1);
        m2 += delta * (z - mean);
    }
    return m2;
}

static double total_variance(const maas_dense *s)
{
    double sum = 0;
    for (int64_t k = 0; k < s->d; k++) {
        double mean = 0, m2 = 0;
        for (int64_t i = 0; i < s->n; i++) {
            const double delta = s->x[i * s->d + k] - mean;
            mean += delta / (double)(i + 1);
            m2 += delta * (s->x[i * s->d + k] - mean);
        }
        sum += m2;
    }
    return sum;
}

static maas_status note_variances(maas_dense *s, maas_err *err)
{
    const maas_directions *f = s->fit;
    json_t *ratios = json_array(), *singular = json_array();
    const double total = total_variance(s);
    double sum = 0;
    for (int64_t c = 0; ratios && singular && c < f->k; c++) {
        const double ratio = total > 0 ? variance_of(s, f, c) / total : 0;
        sum += ratio;
        json_array_append_new(ratios, json_real(ratio));
        json_array_append_new(singular, json_real(f->singular[c]));
    }
    maas_status st = maas_dense_note_json(s, "explained_variance_ratio", ratios, err);
    if (st != MAAS_OK) {
        json_decref(singular);
        return st;
    }
    MAAS_TRY(maas_dense_note_json(s, "singular_values", singular, err));
    MAAS_TRY(maas_dense_note(s, "explained_variance", sum, err));
    return maas_dense_note_json(s, "n_components", json_integer(f->k), err);
}

static maas_status fit(maas_dense *s, maas_err *err)
{
    const decomposition_recipe *r = s->recipe;
    maas_directions *f = maas_work_array(&s->work, 1, 1, sizeof *f, "components", err);
    if (!f)
        return MAAS_E_NOMEM;
    s->fit = f;
    const int64_t k = r->n_components >= 1 ? (int64_t)r->n_components : 0;
    const double share = k || r->n_components == 0 ? 1 : r->n_components;
    MAAS_TRY(maas_decompose(&s->work, s->x, s->n, s->d, r->centre, k, share,
                            (uint64_t)r->dense.seed, f, err));
    return note_variances(s, err);
}

static void build(const maas_dense *s, maas_builder *b, maas_vid x)
{
    const decomposition_recipe *r = s->recipe;
    const maas_directions *f = s->fit;
    if (r->centre)
        x = maas_b_op2(b, "Sub", x, maas_dense_const(b, "mean", 1, &s->d, f->mean));
    x = maas_dense_times_rows(b, x, "components", f->components, f->k, s->d);
    double *scale = maas_arena_array(s->work.arena, (size_t)f->k, sizeof *scale);
    if (!scale) {
        b->status = maas_fail(b->err, MAAS_E_NOMEM, "components of the model");
        return;
    }
    for (int64_t c = 0; c < f->k; c++)
        scale[c] = f->singular[c] > 0 ? sqrt((double)s->n - 1) / f->singular[c] : 1;
    if (r->whiten)
        x = maas_b_op2(b, "Mul", x, maas_dense_const(b, "whiten", 1, &f->k, scale));
    maas_b_output(b, "transformed", x);
}

static const maas_dense_kind kind = {.task = "transformation", .fit = fit, .build = build};

static maas_status train(const maas_train_job *job, maas_train_result *out, maas_err *err)
{
    return maas_dense_train(job, &kind, out, err);
}

#define LEARNER(name_, help_, rows_, settle_)                                                      \
    const maas_learner maas_learner_##name_ = {                                                    \
        .name = #name_,                                                                            \
        .help = help_,                                                                             \
        .rows = rows_,                                                                             \
        .n_rows = MAAS_COUNT(rows_),                                                               \
        .recipe_size = sizeof(decomposition_recipe),                                               \
        .settle = settle_,                                                                         \
        .train = train,                                                                            \
        .no_target = true,                                                                         \
    }
LEARNER(pca, "the directions in which rows differ most", pca_rows, settle_pca);
LEARNER(truncated_svd, "the same without centring, for tables of many zeros", svd_rows, settle_svd);
