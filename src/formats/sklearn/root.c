/* formats/sklearn/root.c - the inputs of the graph: one matrix, columns by name, or texts. */
#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "formats/sklearn/sklearn_int.h"
#include "base/ban.h"

#define MAX_FEATURES ((int64_t)1 << 24) /* of one row without names */

/* ---- what the file says of its input ---- */

/* A function of each number, which did not say how many there are before scikit-learn 1.2: the next
 * step has as many. */
static bool keeps_width(const maas_pk *step)
{
    return maas_sk_is(step, "FunctionTransformer") && !maas_pk_attr(step, "n_features_in_");
}

/* Where an estimator that says nothing of its input keeps the one that does. */
static const maas_pk *inner(const maas_pk *est)
{
    static const char *const names[] = {"best_estimator_", "estimator_", "base_estimator_",
                                        "regressor_", "estimator"};
    static const char *const lists[] = {"steps", "transformer_list"};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        const maas_pk *list = maas_pk_attr(est, lists[i]);
        for (int64_t k = 0; k < maas_pk_count(list); k++) {
            const maas_pk *step = maas_pk_at(maas_pk_at(list, k), 1);
            if (maas_pk_kind_of(step) == MAAS_PK_OBJECT && !keeps_width(step))
                return step;
        }
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (maas_pk_kind_of(maas_pk_attr(est, names[i])) == MAAS_PK_OBJECT)
            return maas_pk_attr(est, names[i]);
    const maas_pk *first = maas_pk_at(maas_pk_attr(est, "estimators_"), 0);
    return maas_pk_kind_of(first) == MAAS_PK_OBJECT ? first : NULL;
}

static const maas_tensor *names_of(const maas_pk *est)
{
    const maas_tensor *t = maas_pk_array(maas_pk_attr(est, "feature_names_in_"));
    return t && t->dtype == MAAS_STRING && t->rank == 1 ? t : NULL;
}

int64_t maas_sk_column_number(const maas_pk *est, maas_str name)
{
    const maas_tensor *t = names_of(est);
    for (int64_t i = 0; t && i < t->dims[0]; i++) {
        const maas_str *s = (const maas_str *)t->data + i;
        if (maas_span_eq(maas_span_of(s->p, s->n), maas_span_of(name.p, name.n)))
            return i;
    }
    return -1;
}

static maas_status take_names(maas_sk *s, maas_sk_root *r, const maas_tensor *names)
{
    r->n = names->dims[0];
    r->names = names->data;
    for (int64_t i = 0; i < r->n; i++)
        if (!maas_utf8_valid(maas_span_of(r->names[i].p, r->names[i].n)) ||
            memchr(r->names[i].p, 0, r->names[i].n))
            return maas_sk_fail(s, MAAS_E_FORMAT, "feature_names_in_[%lld] is no text",
                                (long long)i);
    return MAAS_OK;
}

maas_status maas_sk_root_init(maas_sk *s, maas_sk_root *r, const maas_pk *est)
{
    *r = (maas_sk_root){.n = -1, .x = MAAS_NO_VALUE};
    for (int depth = 0; est && depth < MAAS_SK_MAX_DEPTH; depth++, est = inner(est)) {
        const maas_tensor *names = names_of(est);
        int64_t n;
        if (names)
            MAAS_TRY(take_names(s, r, names));
        else if (maas_pk_to_int(maas_pk_attr(est, "n_features_in_"), &n) && n > 0)
            r->n = n;
        if (r->n >= 0)
            break;
    }
    const int64_t most = r->names ? MAAS_MAX_COLUMNS : MAX_FEATURES;
    if (r->n > most)
        return maas_sk_fail(s, MAAS_E_TOO_LARGE, "%lld columns, %lld are allowed", (long long)r->n,
                            (long long)most);
    return MAAS_OK;
}

/* ---- making inputs ---- */

/* Room for what is known of each column. A width nobody wrote an array for is not believed. */
static bool have_columns(maas_sk *s)
{
    maas_sk_root *r = s->root;
    if (r->kind)
        return true;
    if (r->n < 0 || r->n > MAAS_MAX_COLUMNS) {
        maas_sk_fail(s, MAAS_E_UNSUPPORTED, "columns are chosen from an input of unknown width");
        return false;
    }
    r->kind = maas_sk_alloc(s, (size_t)r->n, sizeof *r->kind);
    r->column = maas_sk_alloc(s, (size_t)r->n, sizeof *r->column);
    for (int64_t i = 0; r->column && i < r->n; i++)
        r->column[i] = MAAS_NO_VALUE;
    return r->kind && r->column;
}

/* Names of outputs are taken; a column may well be called "label". */
static const char *input_name(maas_sk *s, int64_t i)
{
    static const char *const taken[] = {"label", "probabilities", "scores",
                                        "value", "transformed",   "distances"};
    const maas_sk_root *r = s->root;
    if (!r->names || !r->names[i].n)
        return maas_arena_printf(s->arena, "x%lld", (long long)i);
    const maas_span name = maas_span_of(r->names[i].p, r->names[i].n);
    for (size_t k = 0; k < sizeof taken / sizeof *taken; k++)
        if (maas_span_is(name, taken[k]))
            return maas_arena_printf(s->arena, "x_%s", taken[k]);
    return maas_arena_strndup(s->arena, r->names[i].p, r->names[i].n);
}

static maas_vid make_column(maas_sk *s, int64_t i)
{
    maas_sk_root *r = s->root;
    const char *name = input_name(s, i);
    if (!name) {
        maas_sk_fail(s, MAAS_E_NOMEM, "no memory left");
        return MAAS_NO_VALUE;
    }
    r->column[i] = maas_b_input(&s->b, name, r->kind[i], 2, (int64_t[]){r->batch, 1});
    return r->column[i];
}

static maas_vid make_x(maas_sk *s)
{
    maas_sk_root *r = s->root;
    int64_t n = r->n;
    if (n < 0 && s->b.status == MAAS_OK) /* rows of any width: nobody looks into them */
        s->b.status = maas_graph_symbol(s->b.g, "features", &n, s->b.err);
    if (r->x == MAAS_NO_VALUE)
        r->x = maas_b_input(&s->b, "x", MAAS_F64, 2, (int64_t[]){r->batch, n});
    return r->x;
}

maas_vid maas_sk_root_rows(maas_sk *s)
{
    maas_sk_root *r = s->root;
    if (r->x != MAAS_NO_VALUE)
        return r->x;
    for (int64_t i = 0; r->column && i < r->n; i++)
        if (r->column[i] != MAAS_NO_VALUE)
            return r->column[i];
    if (r->layout == MAAS_SK_COLUMNS)
        return maas_sk_root_column(s, 0, MAAS_F64);
    r->layout = MAAS_SK_MATRIX;
    return make_x(s);
}

maas_vid maas_sk_root_column(maas_sk *s, int64_t i, maas_dtype t)
{
    maas_sk_root *r = s->root;
    if (r->layout == MAAS_SK_MATRIX && t == MAAS_F64)
        return maas_sk_gather(s, make_x(s), &i, 1, 1);
    if (r->layout == MAAS_SK_UNDECIDED)
        r->layout = MAAS_SK_COLUMNS;
    if (r->layout != MAAS_SK_COLUMNS) {
        maas_sk_fail(s, MAAS_E_UNSUPPORTED, "the input is used as numbers and as text");
        return MAAS_NO_VALUE;
    }
    if (!have_columns(s))
        return MAAS_NO_VALUE;
    if (r->kind[i] && r->kind[i] != t) {
        maas_sk_fail(s, MAAS_E_UNSUPPORTED, "column %lld is used as numbers and as text",
                     (long long)i);
        return MAAS_NO_VALUE;
    }
    r->kind[i] = (uint8_t)t;
    return r->column[i] == MAAS_NO_VALUE ? make_column(s, i) : r->column[i];
}

static maas_vid all_columns(maas_sk *s)
{
    const int64_t n = s->root->n;
    maas_vid *v = have_columns(s) ? maas_sk_alloc(s, (size_t)n, sizeof *v) : NULL;
    for (int64_t i = 0; v && i < n; i++)
        v[i] = maas_sk_root_column(s, i, MAAS_F64);
    return v ? maas_sk_concat(s, v, (uint32_t)n, 1) : MAAS_NO_VALUE;
}

maas_vid maas_sk_root_matrix(maas_sk *s, int64_t n)
{
    maas_sk_root *r = s->root;
    if (r->n < 0)
        r->n = n;
    if (r->n < 0 || (n >= 0 && n != r->n)) {
        maas_sk_fail(s, MAAS_E_FORMAT,
                     r->n < 0 ? "nothing says how many features there are"
                              : "%lld features are fitted, the input has %lld",
                     (long long)n, (long long)r->n);
        return MAAS_NO_VALUE;
    }
    if (r->layout == MAAS_SK_UNDECIDED)
        r->layout = MAAS_SK_MATRIX;
    if (r->layout == MAAS_SK_COLUMNS)
        return all_columns(s);
    if (r->layout == MAAS_SK_MATRIX)
        return make_x(s);
    maas_sk_fail(s, MAAS_E_UNSUPPORTED, "the input is used as numbers and as text");
    return MAAS_NO_VALUE;
}

maas_vid maas_sk_root_texts(maas_sk *s)
{
    maas_sk_root *r = s->root;
    if (r->layout == MAAS_SK_UNDECIDED)
        r->layout = MAAS_SK_TEXTS;
    if (r->layout != MAAS_SK_TEXTS) {
        maas_sk_fail(s, MAAS_E_UNSUPPORTED, "the input is used as columns and as one text");
        return MAAS_NO_VALUE;
    }
    if (r->x == MAAS_NO_VALUE)
        r->x = maas_b_input(&s->b, "text", MAAS_STRING, 1, &r->batch);
    return r->x;
}

maas_status maas_sk_root_start(maas_sk *s, maas_sk_root *r)
{
    MAAS_TRY(maas_graph_symbol(s->b.g, "batch", &r->batch, s->b.err));
    r->x = MAAS_NO_VALUE;
    for (int64_t i = 0; r->kind && i < r->n; i++)
        r->column[i] = MAAS_NO_VALUE;
    for (int64_t i = 0; r->settled && r->layout == MAAS_SK_COLUMNS && i < r->n; i++)
        if (r->kind[i])
            make_column(s, i);
    return s->b.status;
}

bool maas_sk_root_settle(maas_sk_root *r)
{
    if (r->settled || r->layout != MAAS_SK_COLUMNS)
        return false;
    bool text = false;
    for (int64_t i = 0; i < r->n; i++)
        text = text || r->kind[i] == MAAS_STRING;
    r->settled = true;
    r->layout = text ? MAAS_SK_COLUMNS : MAAS_SK_MATRIX;
    return true;
}

/* ---- describing them ---- */

static json_t *describe_column(maas_sk *s, int64_t i)
{
    const maas_sk_root *r = s->root;
    const maas_dtype t = r->layout == MAAS_SK_COLUMNS ? r->kind[i] : MAAS_F64;
    const char *input = r->layout == MAAS_SK_COLUMNS ? input_name(s, i) : "x";
    return input ? json_pack("{s:s%, s:s, s:s, s:[]}", "name", r->names[i].p, r->names[i].n,
                             "input", input, "dtype", maas_dtype_describe(t)->onnx, "shape")
                 : NULL;
}

maas_status maas_sk_root_describe(maas_sk *s, maas_graph *g)
{
    const maas_sk_root *r = s->root;
    if (!r->names || (r->layout != MAAS_SK_MATRIX && r->layout != MAAS_SK_COLUMNS))
        return MAAS_OK;
    AUTO(maas_json_unref) json_t *list = json_array();
    for (int64_t i = 0; list && i < r->n; i++)
        if ((r->layout == MAAS_SK_MATRIX || r->kind[i]) &&
            json_array_append_new(list, describe_column(s, i)))
            return maas_sk_fail(s, MAAS_E_NOMEM, "no memory left to describe the columns");
    return maas_sk_set_meta(g, "maas.columns", STEAL(list), s->b.err);
}
