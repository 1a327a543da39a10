/* learn/features.c - which columns, their constants and categories, and how a batch is gathered. */
#include "learn/features.h"

#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "learn/distinct.h"
#include "learn/encoders.h"
#include "learn/order_stats.h"
#include "learn/towers.h"
#include "ops/text_bucket.h"

#include "base/ban.h"

#define MAX_MATRIX_BYTES (1u << 30) /* above it batches are gathered column by column */

static void *charged(maas_features *fs, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes) ||
        (fs->budget && !maas_budget_take(fs->budget, bytes)))
        return NULL;
    void *p = maas_alloc(bytes ? bytes : 1);
    if (!p && fs->budget)
        maas_budget_give(fs->budget, bytes);
    if (p)
        fs->charged += bytes;
    return p;
}

void maas_features_reset(maas_features *fs)
{
    for (uint32_t i = 0; fs->f && i < fs->n; i++) {
        maas_free(fs->f[i].input);
        maas_free(fs->f[i].categories);
        maas_free(fs->f[i].numbers);
        maas_free(fs->f[i].codes);
    }
    maas_free(fs->f);
    maas_free(fs->fill);
    maas_free(fs->shift);
    maas_free(fs->scale);
    maas_free(fs->matrix);
    maas_json_unref(&fs->parent_columns);
    maas_arena_reset(&fs->arena);
    if (fs->budget)
        maas_budget_give(fs->budget, fs->charged);
    *fs = (maas_features){0};
}

/* ---- which columns ---- */

/* Column names are inputs when MIXED; what the graph calls its own things is out of bounds. The
 * prefix itself is also escaped, so two columns never meet. */
static char *input_name(const char *column)
{
    static const char *const taken[] = {"label",        "probabilities",   "value",
                                        "scores",       "distances",       "transformed",
                                        "query_vector", "candidate_vector"};
    static const char *const prefixes[] = {"layers.", "input.", "labels", "column."};
    bool clash = false;
    for (size_t i = 0; i < MAAS_COUNT(taken); i++)
        clash |= strcmp(column, taken[i]) == 0;
    for (size_t i = 0; i < MAAS_COUNT(prefixes); i++)
        clash |= strncmp(column, prefixes[i], strlen(prefixes[i])) == 0;
    AUTO(maas_buf_reset) maas_buf b = MAAS_BUF_INIT(4096);
    maas_buf_printf(&b, "%s%s", clash ? "column." : "", column);
    size_t n;
    return maas_buf_steal(&b, &n);
}

static maas_status check_layout(maas_features *fs, maas_err *err)
{
    uint32_t n_tensors = 0;
    for (uint32_t i = 0; i < fs->n; i++)
        n_tensors += fs->f[i].col->desc.rank > 0;
    if (fs->n == 0)
        return maas_fail(err, MAAS_E_INVALID, "the data set has no column left to learn from");
    if (fs->opts.by_name && fs->n_text)
        return maas_fail(err, MAAS_E_INVALID,
                         "a column of text feeds no input that is trained from");
    fs->layout = MAAS_LAYOUT_NAMED;
    if (fs->opts.by_name)
        return MAAS_OK;
    if (n_tensors && fs->n > 1)
        return maas_fail(
            err, MAAS_E_INVALID,
            "columns '%s' and '%s': inputs are one tensor column, or plain columns only",
            fs->f[0].col->desc.name, fs->f[1].col->desc.name);
    if (fs->n_text && fs->n > MAAS_MAX_NODE_IO)
        return maas_fail(err, MAAS_E_INVALID, "%u columns, %u allowed where some are text", fs->n,
                         MAAS_MAX_NODE_IO);
    if (n_tensors && fs->n_text)
        return maas_fail(err, MAAS_E_INVALID, "column '%s' is a tensor of text",
                         fs->f[0].col->desc.name);
    fs->layout = n_tensors    ? MAAS_LAYOUT_TENSOR
                 : fs->n_text ? MAAS_LAYOUT_MIXED
                              : MAAS_LAYOUT_TABLE;
    return MAAS_OK;
}

static bool is_skipped(const maas_features_opts *o, const char *name)
{
    for (uint32_t i = 0; i < o->n_skip; i++)
        if (o->skip[i] && strcmp(o->skip[i], name) == 0)
            return true;
    return false;
}

static bool has_column(const maas_features *fs, const char *name)
{
    for (uint32_t i = 0; i < fs->n; i++)
        if (strcmp(fs->f[i].col->desc.name, name) == 0)
            return true;
    return false;
}

static bool lists(const json_t *names, const char *column)
{
    for (size_t i = 0; i < json_array_size(names); i++)
        if (strcmp(json_string_value(json_array_get(names, i)), column) == 0)
            return true;
    return false;
}

/* Whether the cells are categories, and hashed. */
static maas_status choose_category(maas_feature *f, const maas_features_opts *o, maas_err *err)
{
    const maas_column *c = &f->col->desc;
    const maas_cells *cells = maas_cells_of(c->dtype);
    if (!o->fields)
        return MAAS_OK;
    if (c->rank)
        return maas_fail(err, MAAS_E_INVALID, "column '%s': a tensor is no field", c->name);
    if (!f->is_text && lists(o->categories, c->name)) {
        if (!cells || !cells->whole)
            return maas_fail(err, MAAS_E_INVALID,
                             "params.categories: column '%s' holds no whole numbers", c->name);
        f->is_text = f->is_whole = true;
    }
    const json_t *buckets = json_is_object(o->hash_buckets)
                                ? json_object_get(o->hash_buckets, c->name)
                                : o->hash_buckets;
    f->hashed = f->is_text && buckets;
    f->n_categories = f->hashed ? json_integer_value(buckets) : 0;
    if (!f->is_text && buckets && json_is_object(o->hash_buckets))
        return maas_fail(err, MAAS_E_INVALID, "params.hash_buckets: column '%s' is no category",
                         c->name);
    return MAAS_OK;
}

/* Names in params that no column has. */
static maas_status check_names(const maas_features *fs, const maas_features_opts *o, maas_err *err)
{
    const char *name = NULL;
    json_t *v;
    for (size_t i = 0; i < json_array_size(o->categories); i++) {
        name = json_string_value(json_array_get(o->categories, i));
        if (!has_column(fs, name))
            return maas_fail(err, MAAS_E_INVALID, "params.categories: there is no column '%.100s'",
                             name);
    }
    json_object_foreach((json_t *)(json_is_object(o->hash_buckets) ? o->hash_buckets : NULL), name,
                        v)
    {
        if (!has_column(fs, name))
            return maas_fail(err, MAAS_E_INVALID,
                             "params.hash_buckets: there is no column '%.100s'", name);
    }
    return MAAS_OK;
}

static maas_status choose(maas_features *fs, const maas_dataset *data, const maas_features_opts *o,
                          maas_err *err)
{
    fs->f = maas_calloc(data->n_cols + 1, sizeof *fs->f);
    if (!fs->f)
        return maas_fail(err, MAAS_E_NOMEM, "%u columns", data->n_cols);
    for (uint32_t i = 0; i < data->n_cols; i++) {
        const maas_ds_column *c = &data->cols[i];
        if (is_skipped(o, c->desc.name))
            continue;
        maas_feature *f = &fs->f[fs->n++];
        *f = (maas_feature){
            .col = c, .is_text = c->desc.dtype == MAAS_STRING, .input = input_name(c->desc.name)};
        MAAS_TRY(choose_category(f, o, err));
        if (!f->input)
            return maas_fail(err, MAAS_E_NOMEM, "column '%s'", c->desc.name);
        if (!f->is_text && !maas_cells_of(c->desc.dtype))
            return maas_fail(err, MAAS_E_UNSUPPORTED, "column '%s' holds no numbers and no text",
                             c->desc.name);
        fs->n_text += f->is_text;
        fs->n_numbers += f->is_text ? 0 : maas_column_width(c);
    }
    if (o->fields)
        MAAS_TRY(check_names(fs, o, err));
    if (o->towers)
        MAAS_TRY(maas_towers_assign(fs, o->towers, err));
    MAAS_TRY(check_layout(fs, err));
    bool bytes = fs->layout == MAAS_LAYOUT_TENSOR && fs->f[0].col->desc.dtype == MAAS_U8;
    fs->raw = bytes ? MAAS_U8 : MAAS_F32;
    return MAAS_OK;
}

/* ---- constants ---- */

typedef struct moments {
    double n, mean, m2, min, max;
} moments;

static void see(moments *m, double x)
{
    m->n++;
    double d = x - m->mean;
    m->mean += d / m->n;
    m->m2 += d * (x - m->mean);
    m->min = m->n == 1 ? x : fmin(m->min, x);
    m->max = m->n == 1 ? x : fmax(m->max, x);
}

/* Cells of one column into m[0..width) or, when they share a constant, into m[0]. */
static maas_status see_column(const maas_ds_column *c, const maas_rows *rows, bool shared,
                              moments *m, maas_err *err)
{
    const maas_cells *cells = maas_cells_of(c->desc.dtype);
    const int64_t width = maas_column_width(c);
    for (int64_t i = 0; i < rows->n; i++)
        for (int64_t k = 0; k < width; k++) {
            double x = cells->get(c->data, (int64_t)rows->at[i] * width + k);
            if (isinf(x))
                return maas_fail(err, MAAS_E_INVALID, "column '%s', row %u: the value is infinite",
                                 c->desc.name, rows->at[i] + 1);
            if (!isnan(x))
                see(&m[shared ? 0 : k], x);
        }
    return MAAS_OK;
}

static void set_constants(maas_features *fs, const moments *m, int scaling, bool ids)
{
    for (int64_t k = 0; k < fs->n_consts; k++) {
        double deviation = m[k].n > 0 ? sqrt(m[k].m2 / m[k].n) : 0, range = m[k].max - m[k].min;
        fs->fill[k] = ids ? 0 : (float)m[k].mean;
        bool unit = scaling == MAAS_SCALING_UNIT || scaling == MAAS_SCALING_MINMAX;
        fs->shift[k] = (float)(unit ? m[k].min : m[k].mean);
        fs->scale[k] = (float)(1 / (unit ? range : deviation));
        if (!isfinite(fs->scale[k])) /* a constant column says nothing: shift it to 0 */
            fs->scale[k] = 1;
    }
    fs->has_shift = fs->has_scale = scaling != MAAS_SCALING_NONE;
}

/* ---- constants that need a sort ---- */

static void set_ordered(maas_features *fs, const maas_features_opts *o, int64_t at,
                        const maas_order_stats *s)
{
    const int impute = o->preparation ? o->preparation->impute : MAAS_IMPUTE_MEAN;
    if (impute == MAAS_IMPUTE_MEDIAN || impute == MAAS_IMPUTE_MOST_FREQUENT)
        fs->fill[at] = (float)(impute == MAAS_IMPUTE_MEDIAN ? s->median : s->mode);
    if (o->scaling != MAAS_SCALING_ROBUST)
        return;
    fs->shift[at] = (float)s->median;
    fs->scale[at] = (float)(1 / (s->upper - s->lower));
    if (!isfinite(fs->scale[at]))
        fs->scale[at] = 1;
}

static maas_status order_columns(maas_features *fs, const maas_features_opts *o,
                                 const maas_rows *train, maas_err *err)
{
    const int impute = o->preparation ? o->preparation->impute : MAAS_IMPUTE_MEAN;
    const bool fills = impute == MAAS_IMPUTE_MEDIAN || impute == MAAS_IMPUTE_MOST_FREQUENT;
    int64_t at = 0;
    for (int64_t k = 0; impute == MAAS_IMPUTE_CONSTANT && k < fs->n_consts; k++)
        fs->fill[k] = (float)o->preparation->fill;
    for (uint32_t i = 0; (fills || o->scaling == MAAS_SCALING_ROBUST) && i < fs->n; i++) {
        if (fs->f[i].is_text)
            continue;
        const bool shared = fs->n_consts < fs->n_numbers;
        const int64_t width = shared ? 1 : maas_column_width(fs->f[i].col);
        for (int64_t k = 0; k < width; k++) {
            maas_order_stats s;
            MAAS_TRY(
                maas_order_stats_of(fs->f[i].col, train, shared ? -1 : k, fs->budget, &s, err));
            set_ordered(fs, o, at++, &s);
        }
    }
    return MAAS_OK;
}

static maas_status measure(maas_features *fs, const maas_rows *train, int scaling, bool ids,
                           maas_err *err)
{
    AUTO_FREE moments *m = maas_calloc((size_t)fs->n_consts, sizeof *m);
    if (!m)
        return maas_fail(err, MAAS_E_NOMEM, "constants of %lld columns", (long long)fs->n_consts);
    int64_t at = 0;
    for (uint32_t i = 0; i < fs->n; i++) {
        if (fs->f[i].is_text)
            continue;
        MAAS_TRY(see_column(fs->f[i].col, train, fs->n_consts < fs->n_numbers, m + at, err));
        at += maas_column_width(fs->f[i].col);
    }
    set_constants(fs, m, scaling, ids);
    return MAAS_OK;
}

static maas_status fit_constants(maas_features *fs, const maas_features_opts *o,
                                 const maas_rows *train, maas_err *err)
{
    const int scaling = o->ids ? MAAS_SCALING_NONE : o->scaling;
    const maas_column *c = &fs->f[0].col->desc;
    const bool tensor = fs->layout == MAAS_LAYOUT_TENSOR;
    /* Pixels of an image share their constants, the numbers of a vector do not. */
    fs->n_consts = tensor && c->rank > 1 ? 1 : fs->n_numbers;
    size_t n = (size_t)fs->n_consts;
    fs->fill = charged(fs, n, sizeof *fs->fill);
    fs->shift = charged(fs, n, sizeof *fs->shift);
    fs->scale = charged(fs, n, sizeof *fs->scale);
    if (!fs->fill || !fs->shift || !fs->scale)
        return maas_fail(err, MAAS_E_NOMEM, "constants of %zu columns", n);
    fs->has_fill = !o->gaps && (!tensor || !maas_cells_of(c->dtype)->whole);
    if (fs->raw == MAAS_U8 && (scaling == MAAS_SCALING_AUTO || scaling == MAAS_SCALING_UNIT)) {
        fs->n_consts = 1;
        fs->fill[0] = fs->shift[0] = 0; /* not used, but part of the fingerprint of a run */
        fs->scale[0] = 1.0f / 255;
        fs->has_scale = true;
        return MAAS_OK;
    }
    MAAS_TRY(measure(fs, train, scaling, o->ids, err));
    return o->ids ? MAAS_OK : order_columns(fs, o, train, err);
}

static maas_status inherit_one(maas_features *fs, const maas_graph *parent, const char *name,
                               float **out, bool *out_has, maas_err *err)
{
    maas_vid v = maas_graph_find(parent, name);
    const maas_tensor *t = v == MAAS_NO_VALUE ? NULL : &maas_graph_at(parent, v)->init;
    if (!t || !t->data)
        return MAAS_OK;
    int64_t n = maas_n_elems(t);
    if (t->dtype != MAAS_F32 || (n != 1 && n != fs->n_numbers) ||
        (fs->n_consts && fs->n_consts != n))
        return maas_fail(err, MAAS_E_CONFLICT,
                         "the parent version's '%s' does not fit these columns", name);
    fs->n_consts = n;
    *out = charged(fs, (size_t)n, sizeof **out);
    if (!*out)
        return maas_fail(err, MAAS_E_NOMEM, "constants of %lld columns", (long long)n);
    memcpy(*out, t->data, (size_t)n * sizeof **out);
    *out_has = true;
    return MAAS_OK;
}

static maas_status inherit_constants(maas_features *fs, const maas_graph *parent, maas_err *err)
{
    MAAS_TRY(inherit_one(fs, parent, "input.fill", &fs->fill, &fs->has_fill, err));
    MAAS_TRY(inherit_one(fs, parent, "input.shift", &fs->shift, &fs->has_shift, err));
    return inherit_one(fs, parent, "input.scale", &fs->scale, &fs->has_scale, err);
}

/* ---- categories ---- */

static maas_status take_categories(maas_features *fs, maas_feature *f, const maas_distinct *d,
                                   maas_err *err)
{
    f->n_categories = d->n;
    f->categories = charged(fs, (size_t)d->n, sizeof *f->categories);
    f->numbers = f->is_whole ? charged(fs, (size_t)d->n, sizeof *f->numbers) : NULL;
    f->codes = charged(fs, (size_t)fs->n_rows, sizeof *f->codes);
    if (!f->categories || !f->codes || (f->is_whole && !f->numbers))
        return maas_fail(err, MAAS_E_NOMEM, "categories of column '%s'", f->col->desc.name);
    for (int64_t i = 0; i < d->n; i++) {
        f->categories[i] = d->keys[i].text;
        if (f->is_whole)
            f->numbers[i] = d->keys[i].number;
    }
    for (int64_t i = 0; i < fs->n_rows; i++)
        f->codes[i] = maas_distinct_find(d, i);
    /* Missing text is served as empty text: where that is a category, it is so here, too. */
    const bool empty = fs->opts.fields && !f->is_whole && d->n && d->keys[0].text.n == 0;
    for (int64_t i = 0; empty && i < fs->n_rows; i++)
        if (!maas_column_text(f->col, i).p)
            f->codes[i] = 0;
    return MAAS_OK;
}

static maas_status fit_categories(maas_features *fs, maas_feature *f, const maas_features_opts *o,
                                  const maas_rows *train, maas_err *err)
{
    AUTO(maas_distinct_reset) maas_distinct d = {0};
    MAAS_TRY(maas_distinct_build(&d, f->col, train->at, train->n, err));
    if (d.n == 0)
        return maas_fail(err, MAAS_E_INVALID, "column '%s' has no values", f->col->desc.name);
    maas_distinct_keep(&d, o->max_categories);
    return take_categories(fs, f, &d, err);
}

static maas_status inherit_categories(maas_features *fs, maas_feature *f, const json_t *names,
                                      maas_err *err)
{
    AUTO(maas_distinct_reset) maas_distinct d = {0};
    size_t n = json_array_size(names);
    AUTO_FREE maas_key *keys = maas_calloc(n + 1, sizeof *keys);
    if (!keys || n == 0)
        return maas_fail(err, keys ? MAAS_E_CONFLICT : MAAS_E_NOMEM,
                         "column '%s': the parent version has no categories for it",
                         f->col->desc.name);
    for (size_t i = 0; i < n; i++) {
        const json_t *s = json_array_get(names, i);
        if (f->is_whole ? !json_is_integer(s) : !json_is_string(s))
            return maas_fail(err, MAAS_E_FORMAT,
                             "the parent version's categories of '%s' are broken",
                             f->col->desc.name);
        if (f->is_whole)
            keys[i].number = json_integer_value(s);
        else
            keys[i].text = (maas_str){json_string_value(s), json_string_length(s)};
    }
    MAAS_TRY(maas_distinct_from(&d, f->col, keys, (int64_t)n, err));
    return take_categories(fs, f, &d, err);
}

/* The bucket of every row; missing and empty text is unknown, as it is when serving. */
static maas_status hash_rows(maas_features *fs, maas_feature *f, maas_err *err)
{
    f->codes = charged(fs, (size_t)fs->n_rows, sizeof *f->codes);
    if (!f->codes)
        return maas_fail(err, MAAS_E_NOMEM, "buckets of column '%s'", f->col->desc.name);
    for (int64_t i = 0; i < fs->n_rows; i++) {
        if (!f->is_whole) {
            const maas_str s = maas_column_text(f->col, i);
            f->codes[i] = s.p ? (int32_t)maas_text_bucket(s, f->n_categories) : -1;
            continue;
        }
        maas_tensor t = maas_tensor_of(f->col->desc.dtype, 0, NULL, (void *)f->col->data);
        const int64_t rest = maas_tensor_get_i64(&t, i) % f->n_categories;
        f->codes[i] = (int32_t)(rest < 0 ? rest + f->n_categories : rest);
    }
    return MAAS_OK;
}

static maas_status fit_text(maas_features *fs, maas_feature *f, const maas_features_opts *o,
                            const maas_rows *train, maas_err *err)
{
    if (f->hashed)
        return hash_rows(fs, f, err);
    f->encoder = o->fields ? NULL : maas_encoder_of(o, f->col, train);
    if (!f->encoder || f->encoder->categories)
        MAAS_TRY(fit_categories(fs, f, o, train, err));
    const maas_encoding e = {fs, f, o, train};
    return f->encoder ? maas_encoder_fit(&e, err) : MAAS_OK;
}

/* Same columns, same kinds, same order as the parent saw. */
static maas_status match_parent(maas_features *fs, const maas_graph *parent, maas_err *err)
{
    const char *text = maas_graph_meta(parent, "maas.columns");
    if (!text)
        return maas_fail(err, MAAS_E_CONFLICT,
                         "the parent version was not trained here: it names no columns");
    MAAS_TRY(maas_json_parse(maas_span_str(text), &fs->parent_columns, err));
    size_t n = json_array_size(fs->parent_columns);
    for (uint32_t i = 0; i < fs->n || i < n; i++) {
        const json_t *old = json_array_get(fs->parent_columns, i);
        const char *name = json_string_value(json_object_get(old, "name"));
        const json_t *kinds = json_object_get(old, "categories");
        if (i >= fs->n || !name || strcmp(name, fs->f[i].col->desc.name) != 0)
            return maas_fail(err, MAAS_E_CONFLICT,
                             "column %u is '%s', the parent version was trained on '%s'", i + 1,
                             i < fs->n ? fs->f[i].col->desc.name : "", name ? name : "");
        const char *encoding = json_string_value(json_object_get(old, "encoding"));
        if (encoding)
            return maas_fail(err, MAAS_E_UNSUPPORTED,
                             "column '%s' is prepared by '%.20s' in the parent version: train "
                             "instead of update",
                             name, encoding);
        const json_t *buckets = json_object_get(old, "hash_buckets");
        if (fs->f[i].hashed != (buckets != NULL) ||
            (buckets && json_integer_value(buckets) != fs->f[i].n_categories))
            return maas_fail(err, MAAS_E_CONFLICT,
                             "column '%s' is hashed otherwise in the parent version", name);
        if (buckets) {
            MAAS_TRY(hash_rows(fs, &fs->f[i], err));
            continue;
        }
        if (fs->f[i].is_text != (kinds != NULL))
            return maas_fail(err, MAAS_E_CONFLICT,
                             "column '%s' is %s, it was not in the parent version", name,
                             fs->f[i].is_text ? "text" : "numeric");
        if (kinds)
            MAAS_TRY(inherit_categories(fs, &fs->f[i], kinds, err));
    }
    return inherit_constants(fs, parent, err);
}

/* ---- fitting ---- */

/* Rows side by side, so that a batch is one copy a row; a speed-up that may be refused memory. */
static void lay_out(maas_features *fs)
{
    size_t n;
    if (fs->layout == MAAS_LAYOUT_TENSOR || fs->n_numbers == 0 ||
        __builtin_mul_overflow((size_t)fs->n_rows, (size_t)fs->n_numbers, &n) ||
        n > MAX_MATRIX_BYTES / sizeof(float))
        return;
    fs->matrix = charged(fs, n, sizeof *fs->matrix);
    enum { BLOCK = 256 }; /* rows at a time: the block of the matrix stays in cache */
    for (int64_t from = 0; fs->matrix && from < fs->n_rows; from += BLOCK) {
        int64_t to = from + BLOCK < fs->n_rows ? from + BLOCK : fs->n_rows, k = 0;
        for (uint32_t c = 0; c < fs->n; c++) {
            if (fs->f[c].is_text)
                continue;
            const maas_cells *cells = maas_cells_of(fs->f[c].col->desc.dtype);
            for (int64_t i = from; i < to; i++)
                fs->matrix[i * fs->n_numbers + k] = (float)cells->get(fs->f[c].col->data, i);
            k++;
        }
    }
}

maas_status maas_features_fit(maas_features *fs, const maas_dataset *data,
                              const maas_features_opts *opts, const maas_rows *train,
                              const maas_graph *parent, maas_budget *budget, maas_err *err)
{
    *fs = (maas_features){.opts = *opts, .n_rows = data->n_rows, .budget = budget};
    fs->opts.skip = NULL;
    fs->opts.n_skip = 0;
    fs->opts.preparation = NULL;
    fs->opts.target = NULL;
    fs->opts.categories = fs->opts.hash_buckets = fs->opts.towers = NULL;
    maas_arena_init(&fs->arena, budget);
    MAAS_TRY(choose(fs, data, opts, err));
    if (parent) {
        MAAS_TRY(match_parent(fs, parent, err));
    } else {
        for (uint32_t i = 0; i < fs->n; i++)
            if (fs->f[i].is_text)
                MAAS_TRY(fit_text(fs, &fs->f[i], opts, train, err));
        if (fs->n_numbers && !opts->by_name)
            MAAS_TRY(fit_constants(fs, opts, train, err));
    }
    if (opts->matrix && !opts->by_name)
        lay_out(fs);
    return MAAS_OK;
}

int64_t maas_feature_width(const maas_features *fs, const maas_feature *f)
{
    if (!f->is_text)
        return maas_column_width(f->col);
    return f->encoder ? f->width : fs->opts.codes ? 1 : f->n_categories;
}

int64_t maas_features_width(const maas_features *fs)
{
    int64_t n = fs->n_numbers;
    for (uint32_t i = 0; i < fs->n; i++)
        if (fs->f[i].is_text)
            n += maas_feature_width(fs, &fs->f[i]);
    return n;
}

maas_status maas_features_largest(const maas_features *fs, int64_t *out, maas_err *err)
{
    *out = 0;
    for (uint32_t c = 0; c < fs->n; c++) {
        const maas_column *d = &fs->f[c].col->desc;
        const maas_cells *cells = maas_cells_of(d->dtype);
        if (!cells)
            return maas_fail(err, MAAS_E_INVALID,
                             "column '%s' is text: an embedding takes whole numbers", d->name);
        int64_t width = maas_column_width(fs->f[c].col);
        for (int64_t i = 0; i < fs->n_rows * width; i++) {
            double x = cells->get(fs->f[c].col->data, i);
            if (isnan(x))
                continue;
            if (x < 0 || x != floor(x) || x >= 1 << 28)
                return maas_fail(
                    err, MAAS_E_INVALID,
                    "column '%s', row %lld: %g is no whole number in 0..%d, as an embedding takes",
                    d->name, (long long)(i / width + 1), x, (1 << 28) - 1);
            *out = (int64_t)x > *out ? (int64_t)x : *out;
        }
    }
    return MAAS_OK;
}
