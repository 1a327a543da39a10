/*
 * LightGBM's text: lines of key=value, in blocks.
 *
 *   tree                                  the header: up to the first empty line
 *   version=v4
 *   num_class=1
 *   num_tree_per_iteration=1
 *   max_feature_idx=3
 *   objective=binary sigmoid:1            absent: a function of the user's; scores are answered
 *   average_output                        only there for random forests
 *   feature_names=a b c d
 *
 *   Tree=0                                blocks of trees; tree i counts for score i mod scores
 *   num_leaves=3
 *   ...
 *                                         anything after "end of trees" says nothing about the
 *   end of trees                          prediction, but for the line pandas_categorical:
 */
#include "formats/lightgbm/lightgbm_int.h"

#include <math.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/ban.h"

/* ---- lines ---- */

/* The next line without its end; false when there is none. */
static bool next_line(lgb_model *x, maas_span *out)
{
    if (!x->rest.n)
        return false;
    const uint8_t *lf = memchr(x->rest.p, '\n', x->rest.n);
    size_t n = lf ? (size_t)(lf - x->rest.p) : x->rest.n;
    maas_span_take(&x->rest, n, out);
    maas_span_skip(&x->rest, lf != NULL);
    if (out->n && out->p[out->n - 1] == '\r')
        out->n--;
    x->line++;
    return true;
}

static bool has_key(maas_span line, const char *key, maas_span *out_value)
{
    const size_t n = strlen(key);
    if (line.n <= n || memcmp(line.p, key, n) != 0 || line.p[n] != '=')
        return false;
    *out_value = maas_span_of(line.p + n + 1, line.n - n - 1);
    return true;
}

static void skip_blanks(maas_span *s)
{
    while (s->n && *s->p == ' ')
        maas_span_skip(s, 1);
}

maas_span lgb_take_word(maas_span *s)
{
    maas_span word = {0};
    skip_blanks(s);
    if (!s->n)
        return word;
    const uint8_t *blank = memchr(s->p, ' ', s->n);
    maas_span_take(s, blank ? (size_t)(blank - s->p) : s->n, &word);
    return word;
}

static maas_status take_count(maas_span s, const char *key, int64_t *out, maas_err *err)
{
    if (!maas_num_i64(&s, out) || s.n)
        return maas_fail(err, MAAS_E_FORMAT, "%s is no integer", key);
    return MAAS_OK;
}

/* Thresholds above all values are written "inf". */
static bool take_real(maas_span *s, double *out)
{
    const bool negative = s->n && *s->p == '-';
    if (maas_num_f64(s, out))
        return true;
    if (s->n < 3u + negative || memcmp(s->p + negative, "inf", 3) != 0)
        return false;
    *out = negative ? -INFINITY : INFINITY;
    return maas_span_skip(s, 3u + negative);
}

static maas_status take_numbers(maas_span s, const char *key, maas_numbers *to, maas_err *err)
{
    const bool whole = to->dtype == MAAS_I32;
    to->n = 0;
    for (skip_blanks(&s); s.n; skip_blanks(&s)) {
        double v = 0;
        int64_t i = 0;
        if (!(whole ? maas_num_i64(&s, &i) : take_real(&s, &v)) || (s.n && *s.p != ' ') ||
            i < INT32_MIN || i > UINT32_MAX)
            return maas_fail(err, MAAS_E_FORMAT, "%s: number %zu is none that fits", key, to->n);
        MAAS_TRY(maas_numbers_add(to, whole ? (double)(int32_t)i : v, err));
    }
    return MAAS_OK;
}

/* ---- trees ---- */

#define OF(member) offsetof(lgb_tree, member)
static const struct row {
    const char *key;
    size_t at;
    maas_dtype dtype;
} rows[] = {
    {"split_feature", OF(feature), MAAS_I32},
    {"threshold", OF(threshold), MAAS_F64},
    {"decision_type", OF(decision), MAAS_I32},
    {"left_child", OF(left), MAAS_I32},
    {"right_child", OF(right), MAAS_I32},
    {"leaf_value", OF(leaf_value), MAAS_F64},
    {"leaf_count", OF(leaf_cover), MAAS_F64},
    {"internal_count", OF(node_cover), MAAS_F64},
    {"cat_boundaries", OF(cat_begin), MAAS_I32},
    {"cat_threshold", OF(cat_words), MAAS_I32},
    {"leaf_const", OF(constant), MAAS_F64},
    {"num_features", OF(n_used), MAAS_I32},
    {"leaf_features", OF(used), MAAS_I32},
    {"leaf_coeff", OF(slope), MAAS_F64},
    {NULL, OF(what), MAAS_I32},
    {NULL, OF(step), MAAS_I32},
    {NULL, OF(used_begin), MAAS_I32},
    {NULL, OF(set_taken), MAAS_I32},
};

static maas_numbers *row_of(lgb_tree *t, const struct row *r)
{
    return (maas_numbers *)((char *)t + r->at);
}

static maas_status read_tree_line(lgb_tree *t, maas_span line, uint32_t *seen, maas_err *err)
{
    maas_span value;
    if (has_key(line, "num_leaves", &value))
        return take_count(value, "num_leaves", &t->n_leaves, err);
    if (has_key(line, "is_linear", &value))
        return take_count(value, "is_linear", &t->is_linear, err);
    for (size_t i = 0; i < MAAS_COUNT(rows) && rows[i].key; i++) {
        if (!has_key(line, rows[i].key, &value))
            continue;
        if (*seen >> i & 1)
            return maas_fail(err, MAAS_E_FORMAT, "%s is there twice", rows[i].key);
        *seen |= 1u << i;
        return take_numbers(value, rows[i].key, row_of(t, &rows[i]), err);
    }
    return MAAS_OK;
}

/* The lines after "Tree=" up to an empty one. */
static maas_status read_tree(lgb_model *x, maas_err *err)
{
    lgb_tree *t = &x->tree;
    maas_span line;
    uint32_t seen = 0;
    for (size_t i = 0; i < MAAS_COUNT(rows); i++)
        row_of(t, &rows[i])->n = 0;
    t->n_leaves = t->is_linear = 0;
    while (next_line(x, &line) && line.n)
        MAAS_TRY(read_tree_line(t, line, &seen, err));
    return lgb_add_tree(x, (int32_t)(x->m.forest->n_trees % (uint32_t)x->m.n_scores), err);
}

static maas_status read_trees(lgb_model *x, maas_err *err)
{
    const int64_t n = x->opts->n_iterations;
    const uint64_t most = n > 0 && n < UINT32_MAX ? (uint64_t)n * (uint64_t)x->m.n_scores
                                                  : UINT64_MAX;
    maas_span line, value;
    while (next_line(x, &line) && !maas_span_is(line, "end of trees")) {
        if (!has_key(line, "Tree", &value) || x->m.forest->n_trees >= most)
            continue;
        const uint32_t tree = x->m.forest->n_trees;
        maas_status st = read_tree(x, err);
        if (st != MAAS_OK) {
            maas_err_prefix(err, "LightGBM: tree %u, before line %lld", tree,
                            (long long)x->line + 1);
            return st;
        }
    }
    static const char mark[] = "pandas_categorical:";
    while (next_line(x, &line))
        if (line.n > sizeof mark && memcmp(line.p, mark, sizeof mark - 1) == 0)
            x->categories = maas_span_of(line.p + sizeof mark - 1, line.n - sizeof mark + 1);
    return MAAS_OK;
}

/* ---- header ---- */

static maas_status read_header(lgb_model *x, maas_err *err)
{
    maas_span line, v;
    x->per_iteration = 1;
    x->last_feature = -1;
    if (!next_line(x, &line) || !maas_span_is(line, "tree"))
        return maas_fail(err, MAAS_E_FORMAT, "LightGBM: line 1 is not 'tree'");
    while (next_line(x, &line) && line.n) {
        if (has_key(line, "num_tree_per_iteration", &v))
            MAAS_TRY(take_count(v, "LightGBM: num_tree_per_iteration", &x->per_iteration, err));
        else if (has_key(line, "max_feature_idx", &v))
            MAAS_TRY(take_count(v, "LightGBM: max_feature_idx", &x->last_feature, err));
        else if (maas_span_is(line, "average_output"))
            x->average = true;
        else
            (void)(has_key(line, "objective", &x->objective) ||
                   has_key(line, "version", &x->version) ||
                   has_key(line, "feature_names", &x->names) ||
                   has_key(line, "feature_infos", &x->infos));
    }
    if (x->last_feature < 0 || x->last_feature >= LGB_MAX_FEATURES)
        return maas_fail(err, MAAS_E_TOO_LARGE,
                         "LightGBM: max_feature_idx is %lld, 0 to %d are possible",
                         (long long)x->last_feature, LGB_MAX_FEATURES - 1);
    if (x->per_iteration < 1 || x->per_iteration > MAAS_MAX_COLUMNS)
        return maas_fail(err, MAAS_E_TOO_LARGE, "LightGBM: num_tree_per_iteration is %lld",
                         (long long)x->per_iteration);
    x->m.n_features = (int32_t)x->last_feature + 1;
    x->m.n_scores = (int32_t)x->per_iteration;
    return MAAS_OK;
}

/* ---- objectives ---- */

static const struct objective {
    const char *name;
    maas_boost_link link, link_sqrt; /* link_sqrt: with the option sqrt */
    maas_boost_task task;
    bool many; /* a score a class */
} objectives[] = {
    {"regression", MAAS_BOOST_IDENTITY, MAAS_BOOST_SIGNED_SQUARE, MAAS_BOOST_VALUES, false},
    {"regression_l2", MAAS_BOOST_IDENTITY, MAAS_BOOST_SIGNED_SQUARE, MAAS_BOOST_VALUES, false},
    {"regression_l1", MAAS_BOOST_IDENTITY, MAAS_BOOST_SIGNED_SQUARE, MAAS_BOOST_VALUES, false},
    {"quantile", MAAS_BOOST_IDENTITY, MAAS_BOOST_SIGNED_SQUARE, MAAS_BOOST_VALUES, false},
    {"mape", MAAS_BOOST_IDENTITY, MAAS_BOOST_SIGNED_SQUARE, MAAS_BOOST_VALUES, false},
    {"huber", MAAS_BOOST_IDENTITY, MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, false},
    {"fair", MAAS_BOOST_IDENTITY, MAAS_BOOST_SIGNED_SQUARE, MAAS_BOOST_VALUES, false},
    {"poisson", MAAS_BOOST_EXP, MAAS_BOOST_EXP, MAAS_BOOST_VALUES, false},
    {"gamma", MAAS_BOOST_EXP, MAAS_BOOST_EXP, MAAS_BOOST_VALUES, false},
    {"tweedie", MAAS_BOOST_EXP, MAAS_BOOST_EXP, MAAS_BOOST_VALUES, false},
    {"binary", MAAS_BOOST_SIGMOID, MAAS_BOOST_SIGMOID, MAAS_BOOST_PROBABILITIES, false},
    {"multiclass", MAAS_BOOST_SOFTMAX, MAAS_BOOST_SOFTMAX, MAAS_BOOST_PROBABILITIES, true},
    {"multiclassova", MAAS_BOOST_SIGMOID, MAAS_BOOST_SIGMOID, MAAS_BOOST_PROBABILITIES, true},
    {"cross_entropy", MAAS_BOOST_SIGMOID, MAAS_BOOST_SIGMOID, MAAS_BOOST_VALUES, false},
    {"xentropy", MAAS_BOOST_SIGMOID, MAAS_BOOST_SIGMOID, MAAS_BOOST_VALUES, false},
    {"cross_entropy_lambda", MAAS_BOOST_SOFTPLUS, MAAS_BOOST_SOFTPLUS, MAAS_BOOST_VALUES, false},
    {"xentlambda", MAAS_BOOST_SOFTPLUS, MAAS_BOOST_SOFTPLUS, MAAS_BOOST_VALUES, false},
    {"lambdarank", MAAS_BOOST_IDENTITY, MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, false},
    {"rank_xendcg", MAAS_BOOST_IDENTITY, MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, false},
    {"custom", MAAS_BOOST_IDENTITY, MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, true},
    {"none", MAAS_BOOST_IDENTITY, MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, true},
};

/* "binary sigmoid:1", "regression sqrt": sets link, task, slope. */
static maas_status set_objective(lgb_model *x, maas_err *err)
{
    static const char slope[] = "sigmoid:";
    maas_span s = x->objective, name = s.n ? lgb_take_word(&s) : maas_span_str("none");
    size_t i = 0;
    while (i < MAAS_COUNT(objectives) && !maas_span_is(name, objectives[i].name))
        i++;
    if (i == MAAS_COUNT(objectives))
        return maas_fail(err, MAAS_E_UNSUPPORTED, "LightGBM: objective '%.*s' is not supported",
                         (int)(name.n < 64 ? name.n : 64), (const char *)name.p);
    const struct objective *o = &objectives[i];
    x->m.link = o->link;
    x->m.task = o->task;
    x->m.slope = 1;
    for (maas_span w = lgb_take_word(&s); w.n; w = lgb_take_word(&s)) {
        if (maas_span_is(w, "sqrt"))
            x->m.link = o->link_sqrt;
        if (w.n >= sizeof slope && memcmp(w.p, slope, sizeof slope - 1) == 0 &&
            o->link == MAAS_BOOST_SIGMOID && o->task == MAAS_BOOST_PROBABILITIES) {
            maas_span_skip(&w, sizeof slope - 1);
            if (!maas_num_f64(&w, &x->m.slope) || w.n || !(x->m.slope > 0))
                return maas_fail(err, MAAS_E_FORMAT, "LightGBM: sigmoid of the objective");
        }
    }
    if (!o->many && x->m.n_scores != 1)
        return maas_fail(err, MAAS_E_FORMAT, "LightGBM: %s with %d trees an iteration", o->name,
                         x->m.n_scores);
    if (x->m.task == MAAS_BOOST_PROBABILITIES)
        x->m.n_classes = o->many ? x->m.n_scores : 2;
    if (o->many && x->m.n_classes == 1)
        return maas_fail(err, MAAS_E_FORMAT, "LightGBM: %s with one class", o->name);
    return MAAS_OK;
}

static maas_status set_names(lgb_model *x, maas_err *err)
{
    const int32_t n = x->m.n_features;
    maas_str *names = maas_arena_array(&x->m.arena, (size_t)n, sizeof *names);
    maas_span s = x->names;
    int32_t k = 0;
    if (!names)
        return maas_fail(err, MAAS_E_NOMEM, "%d names", n);
    for (maas_span w = lgb_take_word(&s); w.n && k < n; w = lgb_take_word(&s), k++) {
        names[k] = (maas_str){maas_arena_strndup(&x->m.arena, (const char *)w.p, w.n), w.n};
        if (!names[k].p)
            return maas_fail(err, MAAS_E_NOMEM, "%d names", n);
    }
    if (s.n || (k && k < n))
        return maas_fail(err, MAAS_E_FORMAT, "LightGBM: feature_names are not %d words", n);
    x->m.feature_names = k ? names : NULL;
    return MAAS_OK;
}

/* What pandas' categories were coded as: JSON, kept for those who look at the model. */
static maas_status set_categories(lgb_model *x, maas_err *err)
{
    maas_json_scan s;
    maas_json_scan_init(&s, x->categories);
    s.nonfinite = true;
    if (!x->categories.n || !maas_json_at_array(&s) || !maas_json_skip(&s) ||
        maas_json_next(&s) != MAAS_JSON_END)
        return MAAS_OK;
    x->m.categories = maas_arena_strndup(&x->m.arena, (const char *)x->categories.p,
                                         x->categories.n);
    return x->m.categories ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "categories");
}

static maas_status set_texts(lgb_model *x, maas_err *err)
{
    maas_arena *a = &x->m.arena;
    MAAS_TRY(set_names(x, err));
    MAAS_TRY(set_categories(x, err));
    MAAS_TRY(lgb_set_codes(x, err));
    x->m.objective = x->objective.n
                         ? maas_arena_strndup(a, (const char *)x->objective.p, x->objective.n)
                         : "custom";
    x->m.source = maas_arena_printf(a, "LightGBM %.*s",
                                    (int)(x->version.n < 16 ? x->version.n : 16),
                                    x->version.n ? (const char *)x->version.p : "");
    return x->m.objective && x->m.source ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "texts");
}

/* ---- the whole ---- */

static maas_status finish(lgb_model *x, maas_err *err)
{
    maas_forest *f = x->m.forest;
    if (!f->n_trees || f->n_trees % (uint32_t)x->m.n_scores)
        return maas_fail(err, MAAS_E_FORMAT, "LightGBM: %u trees for %d scores", f->n_trees,
                         x->m.n_scores);
    if (x->average)
        x->m.divide = f->n_trees / (uint32_t)x->m.n_scores;
    return maas_forest_verify(f, err);
}

static maas_status read_model(lgb_model *x, maas_err *err)
{
    static const char linear[] = "\nis_linear=1";
    const maas_span file = x->rest;
    MAAS_TRY(read_header(x, err));
    MAAS_TRY(set_objective(x, err));
    x->m.linear_leaves = memmem(file.p, file.n, linear, sizeof linear - 1) != NULL;
    int64_t targets = x->m.n_scores;
    if (x->m.linear_leaves && (targets *= 1 + (int64_t)x->m.n_features) > LGB_MAX_TARGETS)
        return maas_fail(
            err, MAAS_E_TOO_LARGE,
            "LightGBM: linear trees of %d scores and %d features, the product may be %d",
            x->m.n_scores, x->m.n_features, LGB_MAX_TARGETS);
    MAAS_TRY(maas_forest_create(x->m.n_features, (int32_t)targets, MAAS_FOREST_SUM, x->opts->budget,
                                &x->m.forest, err));
    MAAS_TRY(read_trees(x, err));
    MAAS_TRY(set_texts(x, err));
    return finish(x, err);
}

static void model_reset(lgb_model *x)
{
    for (size_t i = 0; i < MAAS_COUNT(rows); i++)
        maas_numbers_reset(row_of(&x->tree, &rows[i]));
    maas_boosted_reset(&x->m);
}

maas_status maas_lightgbm_decode(maas_span file, const maas_boosted_opts *o, maas_boosted *out,
                                 maas_err *err)
{
    AUTO(model_reset) lgb_model x = {.opts = o, .rest = file, .m = {.dtype = MAAS_F64}};
    maas_arena_init(&x.m.arena, o->budget);
    for (size_t i = 0; i < MAAS_COUNT(rows); i++)
        maas_numbers_init(row_of(&x.tree, &rows[i]), rows[i].dtype, o->budget);
    MAAS_TRY(read_model(&x, err));
    *out = x.m;
    x.m = (maas_boosted){0};
    return MAAS_OK;
}

int maas_lightgbm_probe(maas_span head)
{
    static const char mark[] = "tree\nversion=v", crlf[] = "tree\r\nversion=v";
    if (head.n >= sizeof crlf &&
        (memcmp(head.p, mark, sizeof mark - 1) == 0 || memcmp(head.p, crlf, sizeof crlf - 1) == 0))
        return 95;
    return 0;
}

maas_status maas_lightgbm_read(maas_span file, maas_budget *budget, maas_graph **out, maas_err *err)
{
    const maas_boosted_opts o = {.budget = budget};
    AUTO(maas_boosted_reset) maas_boosted m = {0};
    MAAS_TRY(maas_lightgbm_decode(file, &o, &m, err));
    return maas_boosted_graph(&m, budget, out, err);
}
