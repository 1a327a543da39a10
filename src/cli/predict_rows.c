/* cli/predict_rows.c - how rows of a file become inputs of a model. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "cli/predict.h"
#include "base/ban.h"

static maas_dtype dtype_of_oip(const char *name)
{
    for (int t = 1; name && t <= MAAS_BF16; t++)
        if (maas_dtype_describe((maas_dtype)t)->bits &&
            strcmp(maas_dtype_describe((maas_dtype)t)->oip, name) == 0)
            return (maas_dtype)t;
    return MAAS_DT_NONE;
}

static maas_status read_input(const json_t *port, maas_arena *a, maas_row_input *in, maas_err *err)
{
    const char *name = json_string_value(json_object_get(port, "name"));
    const json_t *shape = json_object_get(port, "shape");
    in->dtype = dtype_of_oip(json_string_value(json_object_get(port, "datatype")));
    in->name = name ? maas_arena_strdup(a, name) : NULL;
    in->rank = (int)json_array_size(shape);
    if (!in->name || in->dtype == MAAS_DT_NONE || in->rank < 1 || in->rank > MAAS_MAX_RANK)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "input '%.64s' takes no rows", name ? name : "?");
    in->n_elems = 1;
    for (int d = 0; d < in->rank; d++) {
        in->dims[d] = json_integer_value(json_array_get(shape, (size_t)d));
        if (d && in->n_elems >= 0 &&
            (in->dims[d] < 0 || __builtin_mul_overflow(in->n_elems, in->dims[d], &in->n_elems)))
            in->n_elems = -1;
    }
    return MAAS_OK;
}

static uint32_t find_input(const maas_row_plan *p, const char *name)
{
    uint32_t i = 0;
    while (i < p->n_inputs && (!name || strcmp(p->inputs[i].name, name) != 0))
        i++;
    return i;
}

/* The columns that the version was trained on: "maas.columns" of its meta. */
static maas_status read_columns(maas_row_plan *p, const json_t *columns, maas_err *err)
{
    size_t i, n = json_array_size(columns);
    json_t *c;
    AUTO_FREE int64_t *filled = maas_calloc(p->n_inputs + 1, sizeof *filled);
    p->maps = maas_arena_array(&p->arena, n, sizeof *p->maps);
    if (!p->maps || !filled)
        return maas_fail(err, MAAS_E_NOMEM, "memory for columns");
    json_array_foreach((json_t *)columns, i, c)
    {
        const char *name = json_string_value(json_object_get(c, "name"));
        uint32_t at = find_input(p, json_string_value(json_object_get(c, "input")));
        int64_t n_elems = 1;
        size_t d;
        json_t *dim;
        if (!name || at == p->n_inputs)
            return maas_fail(err, MAAS_E_FORMAT, "the version describes its columns wrongly");
        json_array_foreach(json_object_get(c, "shape"), d, dim)
        {
            if (__builtin_mul_overflow(n_elems, json_integer_value(dim), &n_elems))
                return maas_fail(err, MAAS_E_FORMAT, "the version describes its columns wrongly");
        }
        p->maps[i] = (maas_feature_map){maas_arena_strdup(&p->arena, name), at, 0, filled[at]};
        filled[at] += n_elems;
    }
    p->n_maps = (uint32_t)n;
    p->named = true;
    return MAAS_OK;
}

maas_status maas_row_plan_read(maas_row_plan *p, const json_t *version, maas_err *err)
{
    const json_t *ports = json_object_get(version, "inputs");
    const json_t *meta = json_object_get(json_object_get(version, "info"), "meta");
    const char *text = json_string_value(json_object_get(meta, "maas.columns"));
    AUTO(maas_json_unref) json_t *columns = NULL;
    maas_err ignored = {0};
    maas_arena_init(&p->arena, NULL);
    p->n_inputs = (uint32_t)json_array_size(ports);
    p->inputs = maas_arena_array(&p->arena, p->n_inputs, sizeof *p->inputs);
    if (!p->inputs)
        return maas_fail(err, MAAS_E_NOMEM, "memory for inputs");
    for (uint32_t i = 0; i < p->n_inputs; i++)
        MAAS_TRY(read_input(json_array_get(ports, i), &p->arena, &p->inputs[i], err));
    if (text && maas_json_parse(maas_span_str(text), &columns, &ignored) == MAAS_OK &&
        json_is_array(columns))
        return read_columns(p, columns, err);
    return MAAS_OK;
}

void maas_row_plan_reset(maas_row_plan *p)
{
    maas_arena_reset(&p->arena);
}

/* ---- binding to the columns of a file ---- */

static int64_t column_elems(const maas_column *c)
{
    return maas_dims_product(c->dims, 0, c->rank);
}

static maas_status find_column(const maas_column *cols, uint32_t n, const char *name, uint32_t *out,
                               maas_err *err)
{
    for (*out = 0; *out < n; ++*out)
        if (strcmp(cols[*out].name, name) == 0)
            return MAAS_OK;
    return maas_fail(err, MAAS_E_INVALID, "the file has no column '%.128s', which the model needs",
                     name);
}

/* Without names: all columns but the truth, in order, one input after the other. */
static maas_status bind_in_order(maas_row_plan *p, const maas_column *cols, uint32_t n_cols,
                                 uint32_t skip, maas_err *err)
{
    uint32_t input = 0, n = 0;
    int64_t filled = 0;
    p->maps = maas_arena_array(&p->arena, n_cols, sizeof *p->maps);
    if (!p->maps)
        return maas_fail(err, MAAS_E_NOMEM, "memory for columns");
    for (uint32_t c = 0; c < n_cols; c++) {
        if (c == skip)
            continue;
        while (input < p->n_inputs && p->inputs[input].n_elems == filled && filled > 0) {
            input++;
            filled = 0;
        }
        if (input == p->n_inputs)
            return maas_fail(err, MAAS_E_INVALID, "the file has more columns than the model takes");
        p->maps[n++] = (maas_feature_map){NULL, input, c, filled};
        filled += column_elems(&cols[c]);
    }
    p->n_maps = n;
    return MAAS_OK;
}

/* Sizes that the model leaves open are what the file fills; everything else must be equal. */
static maas_status check_filled(maas_row_plan *p, const maas_column *cols, maas_err *err)
{
    for (uint32_t i = 0; i < p->n_inputs; i++) {
        maas_row_input *in = &p->inputs[i];
        int64_t filled = 0, known = 1;
        int open = 0, at = 0;
        for (uint32_t k = 0; k < p->n_maps; k++)
            if (p->maps[k].input == i)
                filled += column_elems(&cols[p->maps[k].at]);
        for (int d = 1; d < in->rank; d++) {
            open += in->dims[d] < 0;
            at = in->dims[d] < 0 ? d : at;
            known *= in->dims[d] < 0 ? 1 : in->dims[d];
        }
        if (open == 1 && known > 0 && filled % known == 0) {
            in->dims[at] = filled / known;
            in->n_elems = filled;
        }
        if (filled != in->n_elems)
            return maas_fail(err, MAAS_E_INVALID,
                             "input '%s' takes %lld values a row, the file gives %lld", in->name,
                             (long long)in->n_elems, (long long)filled);
    }
    return MAAS_OK;
}

/* The text or number kind of every column must be what its input takes. */
static maas_status check_kinds(const maas_row_plan *p, const maas_column *cols, maas_err *err)
{
    for (uint32_t k = 0; k < p->n_maps; k++) {
        const maas_column *c = &cols[p->maps[k].at];
        bool wants_text = p->inputs[p->maps[k].input].dtype == MAAS_STRING;
        if (c->dtype == MAAS_STRING && !wants_text)
            return maas_fail(err, MAAS_E_INVALID,
                             "column '%.128s' is text, the model wants numbers", c->name);
    }
    return MAAS_OK;
}

maas_status maas_row_plan_bind(maas_row_plan *p, const maas_column *cols, uint32_t n_cols,
                               const char *skip, maas_err *err)
{
    uint32_t truth = UINT32_MAX, n_data = n_cols;
    if (skip) {
        MAAS_TRY(find_column(cols, n_cols, skip, &truth, err));
        n_data--;
    }
    /* One nameless array for the one column of the model: what it is called does not matter. */
    if (!p->named || (p->n_maps == 1 && n_data == 1)) {
        MAAS_TRY(bind_in_order(p, cols, n_cols, truth, err));
    } else {
        for (uint32_t k = 0; k < p->n_maps; k++)
            MAAS_TRY(find_column(cols, n_cols, p->maps[k].column, &p->maps[k].at, err));
    }
    MAAS_TRY(check_filled(p, cols, err));
    return check_kinds(p, cols, err);
}

/* ---- encoding ---- */

static void put_text(maas_buf *out, const void *p, size_t n)
{
    uint32_t len = (uint32_t)n;
    maas_buf_add(out, &len, 4);
    maas_buf_add(out, p, n);
}

/* A number as the text that CSV would hold. */
static void put_number_text(maas_buf *out, const maas_tensor *t, int64_t i)
{
    char text[MAAS_NUM_MAX];
    const maas_dtype_info *d = maas_dtype_describe((maas_dtype)t->dtype);
    size_t n = d->kind == MAAS_KIND_FLOAT ? maas_num_put_f64(text, maas_tensor_get(t, i))
                                          : maas_num_put_i64(text, maas_tensor_get_i64(t, i));
    put_text(out, text, n);
}

static void put_texts(maas_buf *out, const maas_tensor *col, int64_t from, int64_t n)
{
    for (int64_t i = from; i < from + n; i++) {
        const maas_str *s = (const maas_str *)col->data + i;
        if (col->dtype != MAAS_STRING)
            put_number_text(out, col, i);
        else
            put_text(out, s->p ? s->p : "", s->p ? s->n : 0);
    }
}

static void put_numbers(maas_buf *out, maas_dtype dtype, const maas_tensor *col, int64_t from,
                        int64_t n)
{
    size_t item = maas_dtype_size(dtype), bytes = (size_t)n * item;
    if (col->dtype == dtype) {
        maas_buf_add(out, (const char *)col->data + (size_t)from * item, bytes);
        return;
    }
    if (!maas_buf_reserve(out, bytes))
        return;
    maas_tensor to = maas_tensor_of(dtype, 1, &n, out->p + out->n);
    for (int64_t i = 0; i < n; i++)
        maas_tensor_set(&to, i, maas_tensor_get(col, from + i));
    out->n += bytes;
}

static void put_input(const maas_row_plan *p, uint32_t input, const maas_tensor *cols, int64_t from,
                      int64_t n, maas_buf *out)
{
    const maas_row_input *in = &p->inputs[input];
    for (int64_t row = from; row < from + n; row++)
        for (uint32_t k = 0; k < p->n_maps; k++) {
            const maas_tensor *col = &cols[p->maps[k].at];
            if (p->maps[k].input != input)
                continue;
            int64_t width = maas_dims_product(col->dims, 1, col->rank);
            if (in->dtype == MAAS_STRING)
                put_texts(out, col, row * width, width);
            else
                put_numbers(out, in->dtype, col, row * width, width);
        }
}

static void put_header(const maas_row_input *in, int64_t n, size_t bytes, maas_buf *json)
{
    maas_buf_str(json, "{\"name\":");
    maas_buf_json_str(json, in->name, strlen(in->name));
    maas_buf_printf(json, ",\"datatype\":\"%s\",\"shape\":[%lld",
                    maas_dtype_describe(in->dtype)->oip, (long long)n);
    for (int d = 1; d < in->rank; d++)
        maas_buf_printf(json, ",%lld", (long long)in->dims[d]);
    maas_buf_printf(json, "],\"parameters\":{\"binary_data_size\":%zu}}", bytes);
}

maas_status maas_row_plan_encode(const maas_row_plan *p, const maas_tensor *cols, int64_t from,
                                 int64_t n, maas_buf *out, size_t *out_json_bytes, maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf binary = MAAS_BUF_INIT(out->max);
    maas_buf_clear(out);
    maas_buf_str(out, "{\"parameters\":{\"binary_data_output\":true},\"inputs\":[");
    for (uint32_t i = 0; i < p->n_inputs; i++) {
        size_t before = binary.n;
        put_input(p, i, cols, from, n, &binary);
        maas_buf_str(out, i ? "," : "");
        put_header(&p->inputs[i], n, binary.n - before, out);
    }
    maas_buf_str(out, "]}");
    *out_json_bytes = out->n;
    maas_buf_add(out, binary.p, binary.n);
    return out->failed || binary.failed
               ? maas_fail(err, MAAS_E_TOO_LARGE, "a request is too large: use a smaller --batch")
               : MAAS_OK;
}
