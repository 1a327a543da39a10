/*
 * learn/param.c - reading, writing and describing parameter tables.
 *
 * Tables nest at most twice (a list of variants, a group), so the three levels are three functions
 * that call downwards: leaf, struct of leaves, whole table. Nothing here recurses.
 */
#include "learn/param.h"

#include <math.h>
#include <stdio.h>

#include "base/mem.h"

#include "base/ban.h"

#define WHERE_MAX 96

static const maas_variant *variant_at(const maas_param *row, size_t i)
{
    return (const maas_variant *)((const char *)row->variants + i * row->stride);
}

/* ---- reading ---- */

static maas_status read_int(const maas_param *row, const char *where, const json_t *o, void *at,
                            maas_err *err)
{
    int64_t v = (int64_t)row->preset;
    MAAS_TRY(maas_json_get_i64(o, where, row->name, (int64_t)row->min, (int64_t)row->max, &v, err));
    *(int64_t *)at = v;
    return MAAS_OK;
}

static maas_status read_num(const maas_param *row, const char *where, const json_t *o, void *at,
                            maas_err *err)
{
    double v = row->preset;
    MAAS_TRY(maas_json_get_f64(o, where, row->name, row->min, row->max, &v, err));
    *(double *)at = v;
    return MAAS_OK;
}

static maas_status read_bool(const maas_param *row, const char *where, const json_t *o, void *at,
                             maas_err *err)
{
    bool v = row->preset != 0;
    MAAS_TRY(maas_json_get_bool(o, where, row->name, &v, err));
    *(bool *)at = v;
    return MAAS_OK;
}

static maas_status no_such(const char *where, const char *key, const char *got, maas_buf *names,
                           maas_err *err)
{
    return maas_fail(err, MAAS_E_INVALID, "%s.%s: no '%.60s' here; there are %s", where, key, got,
                     names->p ? names->p : "other names");
}

static maas_status read_choice(const maas_param *row, const char *where, const json_t *o, void *at,
                               maas_err *err)
{
    const char *text = row->choices[(size_t)row->preset];
    MAAS_TRY(maas_json_get_str(o, where, row->name, &text, err));
    for (int i = 0; row->choices[i]; i++)
        if (strcmp(row->choices[i], text) == 0) {
            *(int *)at = i;
            return MAAS_OK;
        }
    AUTO(maas_buf_reset) maas_buf names = MAAS_BUF_INIT(4096);
    for (int i = 0; row->choices[i]; i++)
        maas_buf_printf(&names, "%s%s", i ? ", " : "", row->choices[i]);
    return no_such(where, row->name, text, &names, err);
}

static maas_status read_json(const maas_param *row, const char *where, const json_t *o, void *at,
                             maas_err *err)
{
    const json_t *v = o ? json_object_get(o, row->name) : NULL;
    *(const json_t **)at = json_is_null(v) ? NULL : v;
    return MAAS_OK;
}

typedef maas_status leaf_fn(const maas_param *, const char *, const json_t *, void *, maas_err *);
static leaf_fn *const leaf_readers[] = {
    [MAAS_PARAM_INT] = read_int,       [MAAS_PARAM_NUM] = read_num,   [MAAS_PARAM_BOOL] = read_bool,
    [MAAS_PARAM_CHOICE] = read_choice, [MAAS_PARAM_VARIANT] = NULL,   [MAAS_PARAM_GROUP] = NULL,
    [MAAS_PARAM_LIST] = NULL,          [MAAS_PARAM_JSON] = read_json,
};

/* Refuses keys that no row has; "type" belongs to variants. */
static maas_status only_known(const maas_param *rows, size_t n, bool typed, const char *where,
                              const json_t *o, maas_arena *a, maas_err *err)
{
    const char **keys = maas_arena_array(a, n + 2, sizeof *keys);
    if (!keys)
        return maas_fail(err, MAAS_E_NOMEM, "reading %s", where);
    for (size_t i = 0; i < n; i++)
        keys[i] = rows[i].name;
    if (typed)
        keys[n] = "type";
    return o ? maas_json_only(o, where, keys, err) : MAAS_OK;
}

static maas_status read_leaves(const maas_param *rows, size_t n, const char *where, const json_t *o,
                               void *out, maas_err *err)
{
    for (size_t i = 0; i < n; i++)
        MAAS_TRY(leaf_readers[rows[i].kind](&rows[i], where, o, (char *)out + rows[i].offset, err));
    return MAAS_OK;
}

static maas_status read_variant(const maas_param *row, const char *where, const json_t *v,
                                maas_arena *a, void *out, maas_err *err)
{
    const char *type = row->kind == MAAS_PARAM_LIST ? NULL
                                                    : variant_at(row, (size_t)row->preset)->name;
    const json_t *o = json_is_object(v) ? v : NULL;
    if (json_is_string(v))
        type = json_string_value(v);
    else if (v && !o)
        return maas_fail(err, MAAS_E_INVALID, "%s must be an object or a name", where);
    if (o)
        MAAS_TRY(maas_json_get_str(o, where, "type", &type, err));
    if (!type)
        return maas_fail(err, MAAS_E_INVALID, "%s.type is missing", where);
    for (size_t i = 0; i < row->n_variants; i++) {
        const maas_variant *d = variant_at(row, i);
        if (strcmp(d->name, type) != 0)
            continue;
        *(int *)out = (int)i;
        MAAS_TRY(only_known(d->rows, d->n_rows, true, where, o, a, err));
        return read_leaves(d->rows, d->n_rows, where, o, out, err);
    }
    AUTO(maas_buf_reset) maas_buf names = MAAS_BUF_INIT(4096);
    for (size_t i = 0; i < row->n_variants; i++)
        maas_buf_printf(&names, "%s%s", i ? ", " : "", variant_at(row, i)->name);
    return no_such(where, "type", type, &names, err);
}

static maas_status read_group(const maas_param *row, const char *where, const json_t *v,
                              maas_arena *a, void *out, maas_err *err)
{
    bool on = v && !json_is_null(v) && !json_is_false(v);
    *(bool *)out = on;
    if (on && !json_is_object(v) && !json_is_true(v))
        return maas_fail(err, MAAS_E_INVALID, "%s must be an object", where);
    const json_t *o = json_is_object(v) ? v : NULL;
    MAAS_TRY(only_known(row->rows, row->n_rows, false, where, o, a, err));
    return read_leaves(row->rows, row->n_rows, where, o, out, err);
}

/* The list behind a name, or the list itself. */
static maas_status find_list(const maas_param *row, const char *where, const json_t **v,
                             maas_err *err)
{
    const char *name = json_string_value(*v);
    if (!name || !row->named)
        return MAAS_OK;
    *v = row->named(name);
    if (*v)
        return MAAS_OK;
    AUTO(maas_buf_reset) maas_buf names = MAAS_BUF_INIT(4096);
    row->names(&names);
    return maas_fail(err, MAAS_E_INVALID, "%s: no '%.60s' here; there are %s", where, name,
                     names.p ? names.p : "other names");
}

static maas_status read_list(const maas_param *row, const char *where, const json_t *v,
                             maas_arena *a, maas_param_list *out, maas_err *err)
{
    MAAS_TRY(find_list(row, where, &v, err));
    if (!v && row->min > 0)
        return maas_fail(err, MAAS_E_INVALID, "%s is missing", where);
    if (v && !json_is_array(v))
        return maas_fail(err, MAAS_E_INVALID, "%s must be an array%s", where,
                         row->named ? ", or the name of a known one" : "");
    size_t n = json_array_size(v);
    if ((double)n < row->min || (double)n > row->max)
        return maas_fail(err, MAAS_E_INVALID, "%s has %zu entries, %.0f..%.0f allowed", where, n,
                         row->min, row->max);
    char *items = maas_arena_array(a, n, row->item_size);
    if (!items)
        return maas_fail(err, MAAS_E_NOMEM, "reading %s", where);
    for (size_t i = 0; i < n; i++) {
        char name[WHERE_MAX];
        snprintf(name, sizeof name, "%.64s[%zu]", where, i);
        MAAS_TRY(read_variant(row, name, json_array_get(v, i), a, items + i * row->item_size, err));
    }
    *out = (maas_param_list){items, n};
    return MAAS_OK;
}

static maas_status read_row(const maas_param *row, const char *where, const json_t *o,
                            maas_arena *a, void *at, maas_err *err)
{
    if (leaf_readers[row->kind])
        return leaf_readers[row->kind](row, where, o, at, err);
    const json_t *v = o ? json_object_get(o, row->name) : NULL;
    char name[WHERE_MAX];
    snprintf(name, sizeof name, "%.48s.%.40s", where, row->name);
    if (row->kind == MAAS_PARAM_LIST)
        return read_list(row, name, v, a, at, err);
    if (row->kind == MAAS_PARAM_GROUP)
        return read_group(row, name, v, a, at, err);
    return read_variant(row, name, v, a, at, err);
}

maas_status maas_params_read(const maas_param *rows, size_t n, const char *where, const json_t *o,
                             maas_arena *a, void *out, maas_err *err)
{
    if (o && !json_is_object(o))
        return maas_fail(err, MAAS_E_INVALID, "%s must be an object", where);
    MAAS_TRY(only_known(rows, n, false, where, o, a, err));
    for (size_t i = 0; i < n; i++)
        MAAS_TRY(read_row(&rows[i], where, o, a, (char *)out + rows[i].offset, err));
    return MAAS_OK;
}

/* ---- writing ---- */

static json_t *dump_leaf(const maas_param *row, const void *at)
{
    switch (row->kind) {
    case MAAS_PARAM_INT:
        return json_integer(*(const int64_t *)at);
    case MAAS_PARAM_BOOL:
        return json_boolean(*(const bool *)at);
    case MAAS_PARAM_CHOICE:
        return json_string(row->choices[*(const int *)at]);
    case MAAS_PARAM_NUM: /* NaN means "not set", which is said by leaving it out */
        return isnan(*(const double *)at) ? NULL : json_real(*(const double *)at);
    default:
        return *(json_t *const *)at ? json_deep_copy(*(json_t *const *)at) : NULL;
    }
}

static bool leaf_is_unset(const maas_param *row, const void *at)
{
    if (row->kind == MAAS_PARAM_NUM)
        return isnan(*(const double *)at);
    return row->kind == MAAS_PARAM_JSON && !*(json_t *const *)at;
}

static bool dump_leaves(json_t *o, const maas_param *rows, size_t n, const void *in)
{
    for (size_t i = 0; i < n; i++) {
        const void *at = (const char *)in + rows[i].offset;
        if (!leaf_is_unset(&rows[i], at) &&
            json_object_set_new(o, rows[i].name, dump_leaf(&rows[i], at)))
            return false;
    }
    return true;
}

static json_t *dump_variant(const maas_param *row, const void *in)
{
    const maas_variant *d = variant_at(row, (size_t) * (const int *)in);
    AUTO(maas_json_unref) json_t *o = json_pack("{s:s}", "type", d->name);
    return o && dump_leaves(o, d->rows, d->n_rows, in) ? STEAL(o) : NULL;
}

static json_t *dump_row(const maas_param *row, const void *at)
{
    if (leaf_readers[row->kind])
        return dump_leaf(row, at);
    if (row->kind == MAAS_PARAM_VARIANT)
        return dump_variant(row, at);
    if (row->kind == MAAS_PARAM_GROUP) {
        AUTO(maas_json_unref) json_t *o = *(const bool *)at ? json_object() : json_null();
        return o && (json_is_null(o) || dump_leaves(o, row->rows, row->n_rows, at)) ? STEAL(o)
                                                                                    : NULL;
    }
    AUTO(maas_json_unref) json_t *list = json_array();
    const maas_param_list *items = at;
    for (size_t i = 0; list && i < items->n; i++)
        if (json_array_append_new(
                list, dump_variant(row, (const char *)items->items + i * row->item_size)))
            return NULL;
    return STEAL(list);
}

json_t *maas_params_dump(const maas_param *rows, size_t n, const void *in)
{
    AUTO(maas_json_unref) json_t *o = json_object();
    for (size_t i = 0; o && i < n; i++) {
        const void *at = (const char *)in + rows[i].offset;
        if (leaf_readers[rows[i].kind] && leaf_is_unset(&rows[i], at))
            continue;
        if (json_object_set_new(o, rows[i].name, dump_row(&rows[i], at)))
            return NULL;
    }
    return STEAL(o);
}

/* ---- describing ---- */

static const char *const kind_names[] = {
    [MAAS_PARAM_INT] = "integer", [MAAS_PARAM_NUM] = "number",      [MAAS_PARAM_BOOL] = "boolean",
    [MAAS_PARAM_CHOICE] = "name", [MAAS_PARAM_VARIANT] = "variant", [MAAS_PARAM_GROUP] = "group",
    [MAAS_PARAM_LIST] = "list",   [MAAS_PARAM_JSON] = "object",
};

static json_t *describe_leaf(const maas_param *row)
{
    json_t *o = json_pack("{s:s, s:s, s:s}", "name", row->name, "type", kind_names[row->kind],
                          "help", row->help);
    if (!o)
        return NULL;
    int bad = 0;
    if (row->kind == MAAS_PARAM_INT || row->kind == MAAS_PARAM_NUM) {
        bad |= json_object_set_new(o, "min", json_real(row->min));
        bad |= json_object_set_new(o, "max", json_real(row->max));
        if (!isnan(row->preset))
            bad |= json_object_set_new(o, "default", json_real(row->preset));
    } else if (row->kind == MAAS_PARAM_BOOL) {
        bad |= json_object_set_new(o, "default", json_boolean(row->preset != 0));
    } else if (row->kind == MAAS_PARAM_CHOICE) {
        json_t *names = json_array();
        for (int i = 0; row->choices[i]; i++)
            bad |= json_array_append_new(names, json_string(row->choices[i]));
        bad |= json_object_set_new(o, "choices", names);
        bad |= json_object_set_new(o, "default", json_string(row->choices[(size_t)row->preset]));
    } else if (row->kind == MAAS_PARAM_VARIANT) {
        const maas_variant *d = variant_at(row, (size_t)row->preset);
        bad |= json_object_set_new(o, "default", json_string(d->name));
    }
    if (bad)
        json_decref(o);
    return bad ? NULL : o;
}

static json_t *describe_leaves(const maas_param *rows, size_t n)
{
    AUTO(maas_json_unref) json_t *list = json_array();
    for (size_t i = 0; list && i < n; i++)
        if (json_array_append_new(list, describe_leaf(&rows[i])))
            return NULL;
    return STEAL(list);
}

static json_t *describe_variants(const maas_param *row)
{
    AUTO(maas_json_unref) json_t *list = json_array();
    for (size_t i = 0; list && i < row->n_variants; i++) {
        const maas_variant *d = variant_at(row, i);
        json_t *o = json_pack("{s:s, s:s, s:o}", "type", d->name, "help", d->help, "params",
                              describe_leaves(d->rows, d->n_rows));
        if (json_array_append_new(list, o))
            return NULL;
    }
    return STEAL(list);
}

json_t *maas_params_describe(const maas_param *rows, size_t n)
{
    AUTO(maas_json_unref) json_t *list = describe_leaves(rows, n);
    for (size_t i = 0; list && i < n; i++) {
        json_t *o = json_array_get(list, i);
        if (rows[i].variants && json_object_set_new(o, "variants", describe_variants(&rows[i])))
            return NULL;
        if (rows[i].rows &&
            json_object_set_new(o, "params", describe_leaves(rows[i].rows, rows[i].n_rows)))
            return NULL;
    }
    return STEAL(list);
}
