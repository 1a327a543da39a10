/* learn/boost/train.c - rounds, when to stop, and the model read back into a graph. */
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/num.h"
#include "formats/boosted.h"
#include "learn/boost/boost.h"

#include "base/ban.h"

#define REPORT_NS   200000000ull /* between two reports of progress */
#define MAX_HISTORY 2000         /* rounds that are kept one by one */
#define SCORED      100000       /* training rows scored when there are no others */

/* ---- parameters of the library ---- */

static const char *const passed[] = {"learning_rate",     "max_depth",         "max_leaves",
                                     "grow_policy",       "min_child_weight",  "gamma",
                                     "max_delta_step",    "subsample",         "colsample_bytree",
                                     "colsample_bylevel", "colsample_bynode",  "reg_alpha",
                                     "reg_lambda",        "scale_pos_weight",  "max_bin",
                                     "objective",         "max_cat_to_onehot", "seed"};

static maas_status set(maas_boost_run *r, const char *name, const char *value, maas_err *err)
{
    return maas_xgb_did(r->x->XGBoosterSetParam(r->booster, name, value), "taking its parameters",
                        err);
}

static const maas_param *row_of(const maas_learner *l, const char *name)
{
    for (size_t i = 0; i < l->n_rows; i++)
        if (strcmp(l->rows[i].name, name) == 0)
            return &l->rows[i];
    return NULL;
}

static maas_status pass_row(maas_boost_run *r, const maas_param *row, maas_err *err)
{
    const void *at = (const char *)&r->recipe + row->offset;
    char text[32];
    if (row->kind == MAAS_PARAM_CHOICE)
        return set(r, row->name, row->choices[*(const int *)at], err);
    if (row->kind == MAAS_PARAM_INT)
        snprintf(text, sizeof text, "%lld", (long long)*(const int64_t *)at);
    else
        snprintf(text, sizeof text, "%.17g", *(const double *)at);
    return set(r, row->name, text, err);
}

/* "(0,1,-1)": one a column of the table. */
static maas_status set_monotone(maas_boost_run *r, maas_err *err)
{
    const size_t n = (size_t)r->matrix.n_cols;
    const char *key;
    json_t *v;
    if (!r->recipe.monotone_constraints)
        return MAAS_OK;
    AUTO_FREE int8_t *signs = maas_calloc(n, 1);
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(4 * n + 16);
    if (!signs)
        return maas_fail(err, MAAS_E_NOMEM, "constraints of %zu columns", n);
    json_object_foreach((json_t *)r->recipe.monotone_constraints, key, v)
    {
        const int64_t at = maas_matrix_find(&r->matrix, key);
        const int64_t n_numbers = r->matrix.features.n_numbers;
        if (at < 0 || (at >= n_numbers && r->recipe.categorical))
            return maas_fail(err, MAAS_E_INVALID,
                             "params.monotone_constraints: '%.60s' is no column of plain numbers",
                             key);
        signs[at] = (int8_t)json_integer_value(v);
    }
    for (size_t i = 0; i < n; i++)
        maas_buf_printf(&text, "%s%d", i ? "," : "(", signs[i]);
    maas_buf_str(&text, ")");
    return text.failed ? maas_fail(err, MAAS_E_NOMEM, "constraints of %zu columns", n)
                       : set(r, "monotone_constraints", text.p, err);
}

static maas_status make_booster(maas_boost_run *r, maas_err *err)
{
    const maas_xgb_handle tables[] = {r->train.d, r->val.d};
    char text[32];
    MAAS_TRY(maas_xgb_did(r->x->XGBoosterCreate(tables, r->val.n ? 2 : 1, &r->booster), "starting",
                          err));
    MAAS_TRY(set(r, "verbosity", "0", err));
    MAAS_TRY(set(r, "tree_method", "hist", err));
    MAAS_TRY(set(r, "eval_metric", r->metric->name, err));
    snprintf(text, sizeof text, "%d", r->job->n_threads < 1 ? 1 : r->job->n_threads);
    MAAS_TRY(set(r, "nthread", text, err));
    if (r->recipe.objective == MAAS_OBJECTIVE_SOFTPROB) {
        snprintf(text, sizeof text, "%lld", (long long)r->target.n_classes);
        MAAS_TRY(set(r, "num_class", text, err));
    }
    const maas_learner *l = maas_learner_find(r->job->learner);
    for (size_t i = 0; i < MAAS_COUNT(passed); i++)
        MAAS_TRY(pass_row(r, row_of(l, passed[i]), err));
    return set_monotone(r, err);
}

/* ---- rounds ---- */

/* "[3]\tval-logloss:0.5": what is after the last colon. */
static maas_status watch(maas_boost_run *r, int round, double *out, maas_err *err)
{
    const char *names[] = {"val"}, *text = NULL;
    maas_xgb_handle tables[] = {r->val.d};
    MAAS_TRY(maas_xgb_did(r->x->XGBoosterEvalOneIter(r->booster, round, tables, names, 1, &text),
                          "measuring", err));
    const char *number = text ? strrchr(text, ':') : NULL;
    if (!number || !maas_parse_f64(number + 1, out))
        *out = NAN;
    return MAAS_OK;
}

static maas_status note(maas_boost_run *r, int round, double v, maas_err *err)
{
    const int64_t step = (r->recipe.n_estimators + MAX_HISTORY - 1) / MAX_HISTORY;
    char key[48];
    if (round % step || isnan(v))
        return MAAS_OK;
    snprintf(key, sizeof key, "val_%s", r->metric->name);
    return json_array_append_new(r->rounds, json_pack("{s:i, s:f}", "round", round + 1, key, v))
               ? maas_fail(err, MAAS_E_NOMEM, "metrics")
               : MAAS_OK;
}

static void report(maas_boost_run *r, int round, uint64_t *last_ns)
{
    const maas_train_hooks *h = r->job->hooks;
    const uint64_t now = maas_now_ns();
    char text[64];
    if (!h || !h->progress || now - *last_ns < REPORT_NS)
        return;
    *last_ns = now;
    snprintf(text, sizeof text, "round %d of %lld", round + 1, (long long)r->recipe.n_estimators);
    const size_t n = json_array_size(r->rounds);
    h->progress(h->user, (double)(round + 1) / (double)r->recipe.n_estimators,
                n ? json_array_get(r->rounds, n - 1) : NULL, text);
}

static maas_status boost(maas_boost_run *r, maas_err *err)
{
    const maas_train_hooks *h = r->job->hooks;
    double best = 0;
    int best_round = -1;
    uint64_t last_ns = 0;
    for (int i = 0; i < r->recipe.n_estimators; i++) {
        if (h && h->cancelled && h->cancelled(h->user))
            return maas_fail(err, MAAS_E_CANCELLED, "cancelled after %d rounds", i);
        MAAS_TRY(
            maas_xgb_did(r->x->XGBoosterUpdateOneIter(r->booster, i, r->train.d), "boosting", err));
        r->n_rounds = i + 1;
        if (r->val.n) {
            double v;
            MAAS_TRY(watch(r, i, &v, err));
            MAAS_TRY(note(r, i, v, err));
            if (best_round < 0 || (r->metric->higher_is_better ? v > best : v < best)) {
                best = v;
                best_round = i;
            }
        }
        report(r, i, &last_ns);
        if (r->recipe.early_stopping_rounds && i - best_round >= r->recipe.early_stopping_rounds)
            break;
    }
    if (!r->recipe.early_stopping_rounds || best_round + 1 == r->n_rounds)
        return MAAS_OK;
    maas_xgb_handle all = r->booster;
    r->booster = NULL;
    const int failed = r->x->XGBoosterSlice(all, 0, best_round + 1, 1, &r->booster);
    r->x->XGBoosterFree(all);
    r->n_rounds = best_round + 1;
    return maas_xgb_did(failed, "going back to the best round", err);
}

/* ---- scores ---- */

/* Raw scores of the library as what a score of ours takes: logits, or values. */
static void to_scores(const maas_boost_run *r, const float *from, int64_t n, const uint32_t *rows,
                      float *z, double *loss)
{
    const int64_t k = r->target.is_class ? r->target.n_classes : 1;
    const bool single = r->recipe.objective == MAAS_OBJECTIVE_BINARY;
    *loss = 0;
    for (int64_t i = 0; i < n; i++) {
        float *row = z + i * k;
        if (single) {
            row[0] = 0;
            row[1] = from[i];
        } else {
            memcpy(row, from + i * k, (size_t)k * sizeof *row);
        }
        if (!r->target.is_class) {
            const double e = row[0] - r->target.values[rows[i]];
            *loss += e * e;
            continue;
        }
        double top = -INFINITY, sum = 0;
        for (int64_t j = 0; j < k; j++)
            top = row[j] > top ? row[j] : top; /* fmax: GCC 12 fails for aarch64 */
        for (int64_t j = 0; j < k; j++)
            sum += exp(row[j] - top);
        *loss += log(sum) + top - row[r->target.codes[rows[i]]];
    }
    *loss /= (double)n;
}

static maas_status score_table(maas_boost_run *r, const maas_boost_table *t, const char *prefix,
                               json_t *o, maas_err *err)
{
    const int64_t k = r->target.is_class ? r->target.n_classes : 1;
    const int64_t n = t->n;
    const uint64_t *shape;
    uint64_t n_dims;
    const float *out;
    char config[160];
    AUTO(maas_score_reset) maas_score score = {0};
    AUTO(maas_arena_reset) maas_arena a;
    maas_arena_init(&a, r->job->budget);
    snprintf(config, sizeof config,
             "{\"type\":%d,\"training\":false,\"iteration_begin\":0,\"iteration_end\":0,"
             "\"strict_shape\":false}",
             r->target.is_class);
    MAAS_TRY(maas_xgb_did(
        r->x->XGBoosterPredictFromDMatrix(r->booster, t->d, config, &shape, &n_dims, &out),
        "predicting", err));
    float *z = maas_arena_array(&a, (size_t)(n * k), sizeof *z);
    if (!z)
        return maas_fail(err, MAAS_E_NOMEM, "scoring %lld rows", (long long)n);
    double loss;
    MAAS_TRY(maas_score_init(&score, &r->target, n < SCORED ? n : SCORED, r->job->budget, err));
    to_scores(r, out, n, t->rows, z, &loss);
    maas_score_add(&score, z, t->rows, n, loss);
    return maas_score_json(&score, prefix, o) ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "metrics");
}

/* {"gain": {"column": share}}: "f12" of the library is our column 12. */
static maas_status find_importances(maas_boost_run *r, maas_err *err)
{
    uint64_t n = 0, n_dims = 0;
    const uint64_t *shape;
    const char **names;
    const float *scores;
    AUTO(maas_json_unref) json_t *shares = json_object();
    MAAS_TRY(maas_xgb_did(r->x->XGBoosterFeatureScore(r->booster, "{\"importance_type\":\"gain\"}",
                                                      &n, &names, &n_dims, &shape, &scores),
                          "weighing the columns", err));
    double sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum += scores[i];
    for (uint64_t i = 0; shares && i < n; i++) {
        int64_t col;
        if (names[i][0] != 'f' || !maas_parse_i64(names[i] + 1, &col))
            continue;
        AUTO_FREE char *name = maas_matrix_name(&r->matrix, col);
        if (!name || json_object_set_new(shares, name, json_real(sum > 0 ? scores[i] / sum : 0)))
            return maas_fail(err, MAAS_E_INVALID, "a column has a name that is not UTF-8");
    }
    r->importances = shares ? json_pack("{s:O}", "gain", shares) : NULL;
    return r->importances ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "importances");
}

static maas_status make_metrics(maas_boost_run *r, json_t **out, maas_err *err)
{
    AUTO(maas_json_unref) json_t *o = json_object();
    if (!o)
        return maas_fail(err, MAAS_E_NOMEM, "metrics");
    if (r->objective->kind != MAAS_XGB_RANKS) {
        MAAS_TRY(score_table(r, &r->train, "", o, err));
        if (r->val.n)
            MAAS_TRY(score_table(r, &r->val, "val_", o, err));
    }
    AUTO(maas_json_unref)
    json_t *more = json_pack("{s:I, s:O, s:O}", "trees", (json_int_t)r->n_rounds, "importances",
                             r->importances, "rounds", r->rounds);
    if (!more || json_object_update(o, more))
        return maas_fail(err, MAAS_E_NOMEM, "metrics");
    *out = STEAL(o);
    return MAAS_OK;
}

/* ---- the model ---- */

static maas_status name_classes(maas_boost_run *r, maas_boosted *m, maas_err *err)
{
    const maas_target *t = &r->target;
    const size_t n = (size_t)t->n_classes;
    if (!t->is_class)
        return MAAS_OK;
    int64_t *ints = maas_arena_array(&r->arena, n, sizeof *ints);
    maas_str *text = maas_arena_array(&r->arena, n, sizeof *text);
    if (!ints || !text)
        return maas_fail(err, MAAS_E_NOMEM, "%zu labels", n);
    for (size_t i = 0; i < n; i++) {
        ints[i] = t->classes[i].number;
        text[i] = t->classes[i].text;
    }
    m->n_classes = (int32_t)n;
    m->class_ints = t->is_text ? NULL : ints;
    m->class_names = t->is_text ? text : NULL;
    return MAAS_OK;
}

static void auto_graph(maas_graph **g)
{
    maas_graph_destroy(*g);
}

static maas_status write_graph(maas_boost_run *r, const maas_boosted *m, maas_train_result *out,
                               maas_err *err)
{
    AUTO(auto_graph) maas_graph *g = NULL;
    maas_builder b;
    maas_vid x;
    maas_boosted_out o;
    MAAS_TRY(maas_matrix_begin(&r->matrix, r->job, &g, &b, &x, err));
    maas_boosted_build(m, &b, x, &o);
    if (r->target.is_class) {
        maas_b_output(&b, "label", o.label);
        maas_b_output(&b, "probabilities", o.probabilities);
    } else {
        maas_b_output(&b, "value", o.value);
    }
    const maas_model_info info = {.task = r->target.is_class                     ? "classification"
                                          : r->objective->kind == MAAS_XGB_RANKS ? "ranking"
                                                                                 : "regression",
                                  .target = &r->target,
                                  .recipe = &r->recipe,
                                  .importances = r->importances};
    return maas_matrix_end(&r->matrix, r->job, &info, &g, &b, out, err);
}

static maas_status write_model(maas_boost_run *r, maas_train_result *out, maas_err *err)
{
    AUTO(maas_boosted_reset) maas_boosted m = {0};
    const maas_boosted_opts opts = {.budget = r->job->budget};
    uint64_t n = 0;
    const char *bytes = NULL;
    MAAS_TRY(maas_xgb_did(
        r->x->XGBoosterSaveModelToBuffer(r->booster, "{\"format\":\"ubj\"}", &n, &bytes),
        "writing its model", err));
    MAAS_TRY(maas_xgboost_decode(maas_span_of(bytes, n), &opts, &m, err));
    if (m.n_features != r->matrix.n_cols)
        return maas_fail(err, MAAS_E_INTERNAL, "XGBoost's model has %d columns, the table %lld",
                         m.n_features, (long long)r->matrix.n_cols);
    MAAS_TRY(name_classes(r, &m, err));
    return write_graph(r, &m, out, err);
}

static maas_status run(maas_boost_run *r, maas_train_result *out, maas_err *err)
{
    MAAS_TRY(maas_learner_read(r->job->learner, r->job->params, &r->arena, &r->recipe, err));
    MAAS_TRY(maas_xgb_open(&r->x, err));
    r->rounds = json_array();
    if (!r->rounds)
        return maas_fail(err, MAAS_E_NOMEM, "metrics");
    MAAS_TRY(maas_boost_data(r, err));
    MAAS_TRY(make_booster(r, err));
    MAAS_TRY(boost(r, err));
    MAAS_TRY(find_importances(r, err));
    MAAS_TRY(make_metrics(r, &out->metrics, err));
    return write_model(r, out, err);
}

static void run_reset(maas_boost_run *r)
{
    if (r->booster)
        r->x->XGBoosterFree(r->booster);
    if (r->train.d)
        r->x->XGDMatrixFree(r->train.d);
    if (r->val.d)
        r->x->XGDMatrixFree(r->val.d);
    maas_matrix_reset(&r->matrix);
    maas_target_reset(&r->target);
    maas_split_reset(&r->split);
    maas_json_unref(&r->rounds);
    maas_json_unref(&r->importances);
    maas_arena_reset(&r->arena);
    if (r->job->budget)
        maas_budget_give(r->job->budget, r->charged);
}

maas_status maas_train_boosting(const maas_train_job *job, maas_train_result *out, maas_err *err)
{
    maas_boost_run r = {.job = job};
    maas_train_result result = {0};
    maas_arena_init(&r.arena, job->budget);
    const maas_status st = run(&r, &result, err);
    run_reset(&r);
    if (st != MAAS_OK)
        maas_train_result_reset(&result);
    else
        *out = result;
    return st;
}
