/* cli/predict_score.c - answers as tensors, as lines, and against the truth. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "cli/predict.h"
#include "tensor/json.h"
#include "base/ban.h"

/* ---- reading an answer ---- */

static maas_status take_strings(maas_span *rest, size_t bytes, maas_tensor *t, maas_arena *a,
                                maas_err *err)
{
    maas_span all;
    int64_t n = maas_n_elems(t);
    if (!maas_span_take(rest, bytes, &all) || (uint64_t)n > bytes / 4)
        return maas_fail(err, MAAS_E_FORMAT, "the answer is shorter than it says");
    maas_str *s = t->data = maas_arena_array(a, (size_t)n, sizeof *s);
    if (!s)
        return maas_fail(err, MAAS_E_NOMEM, "memory for the answer");
    for (int64_t i = 0; i < n; i++) {
        uint32_t len;
        maas_span text;
        if (!maas_span_u32le(&all, &len) || !maas_span_take(&all, len, &text))
            return maas_fail(err, MAAS_E_FORMAT, "a text of the answer is longer than the answer");
        s[i] = (maas_str){(const char *)text.p, text.n};
    }
    return MAAS_OK;
}

static maas_dtype dtype_named(const char *name)
{
    for (int t = 1; name && t <= MAAS_BF16; t++)
        if (maas_dtype_describe((maas_dtype)t)->bits &&
            strcmp(maas_dtype_describe((maas_dtype)t)->oip, name) == 0)
            return (maas_dtype)t;
    return MAAS_DT_NONE;
}

static maas_status read_output(const json_t *o, int64_t n_rows, maas_span *rest, maas_arena *a,
                               maas_tensor *t, maas_err *err)
{
    const json_t *shape = json_object_get(o, "shape");
    const json_t *size = json_object_get(json_object_get(o, "parameters"), "binary_data_size");
    maas_dtype dtype = dtype_named(json_string_value(json_object_get(o, "datatype")));
    int64_t dims[MAAS_MAX_RANK] = {0};
    size_t bytes, rank = json_array_size(shape);
    maas_span data;
    for (size_t d = 0; d < rank && d < MAAS_MAX_RANK; d++)
        dims[d] = json_integer_value(json_array_get(shape, d));
    if (dtype == MAAS_DT_NONE || !json_is_integer(size) || json_integer_value(size) < 0)
        return maas_fail(err, MAAS_E_FORMAT, "the answer is not what was asked for");
    MAAS_TRY(maas_shape_bytes(dtype, dims, (int64_t)rank, &bytes, err));
    if (rank < 1 || dims[0] != n_rows)
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "the model does not answer row by row, so files cannot go through it");
    *t = maas_tensor_of(dtype, (int)rank, dims, NULL);
    if (dtype == MAAS_STRING)
        return take_strings(rest, (size_t)json_integer_value(size), t, a, err);
    if (bytes != (size_t)json_integer_value(size) || !maas_span_take(rest, bytes, &data))
        return maas_fail(err, MAAS_E_FORMAT, "the answer is shorter than it says");
    /* A copy: numbers in the response start wherever the JSON before them ends. */
    t->data = maas_arena_dup(a, data.p, data.n);
    return t->data ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "memory for the answer");
}

maas_status maas_outputs_read(const maas_http_response *r, int64_t n_rows, maas_arena *a,
                              maas_outputs *out, maas_err *err)
{
    AUTO(maas_json_unref) json_t *tree = NULL;
    maas_span rest = maas_buf_span(&r->body), head;
    if (!maas_span_take(&rest, r->header_bytes, &head))
        return maas_fail(err, MAAS_E_FORMAT, "the answer is shorter than its header says");
    MAAS_TRY(maas_json_parse(head, &tree, err));
    const json_t *list = json_object_get(tree, "outputs");
    out->n = (uint32_t)json_array_size(list);
    out->names = maas_arena_array(a, out->n, sizeof *out->names);
    out->t = maas_arena_array(a, out->n, sizeof *out->t);
    if (!out->names || !out->t)
        return maas_fail(err, MAAS_E_NOMEM, "memory for the answer");
    for (uint32_t i = 0; i < out->n; i++) {
        const json_t *o = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(o, "name"));
        out->names[i] = maas_arena_strdup(a, name ? name : "");
        MAAS_TRY(read_output(o, n_rows, &rest, a, &out->t[i], err));
    }
    return out->n ? MAAS_OK : maas_fail(err, MAAS_E_FORMAT, "the answer has no outputs");
}

/* ---- lines ---- */

static int64_t row_width(const maas_tensor *t)
{
    return maas_dims_product(t->dims, 1, t->rank);
}

static void put_csv_names(const maas_outputs *o, maas_buf *b)
{
    for (uint32_t i = 0; i < o->n; i++) {
        int64_t width = row_width(&o->t[i]);
        for (int64_t k = 0; k < width; k++) {
            maas_buf_printf(b, "%s%s", b->n ? "," : "", o->names[i]);
            if (o->t[i].rank > 1)
                maas_buf_printf(b, "_%lld", (long long)k);
        }
    }
    maas_buf_char(b, '\n');
}

static void put_json_row(const maas_outputs *o, int64_t row, maas_buf *b)
{
    for (uint32_t i = 0; i < o->n; i++) {
        int64_t width = row_width(&o->t[i]);
        bool many = o->t[i].rank > 1;
        maas_buf_char(b, i ? ',' : '{');
        maas_buf_json_str(b, o->names[i], strlen(o->names[i]));
        maas_buf_str(b, many ? ":[" : ":");
        maas_json_encode_elements(&o->t[i], row * width, (row + 1) * width, b);
        maas_buf_str(b, many ? "]" : "");
    }
    maas_buf_str(b, "}\n");
}

/* RFC 4180: quotes around text that holds a comma, a quote or a line break. */
static void put_csv_text(const maas_str *s, maas_buf *b)
{
    bool quote = false;
    for (size_t i = 0; i < s->n; i++)
        quote |= strchr(",\"\n\r", s->p[i]) != NULL;
    if (!quote) {
        maas_buf_add(b, s->p, s->n);
        return;
    }
    maas_buf_char(b, '"');
    for (size_t i = 0; i < s->n; i++) {
        maas_buf_char(b, s->p[i]);
        if (s->p[i] == '"')
            maas_buf_char(b, '"');
    }
    maas_buf_char(b, '"');
}

static void put_csv_row(const maas_outputs *o, int64_t row, maas_buf *b)
{
    size_t start = b->n;
    for (uint32_t i = 0; i < o->n; i++) {
        int64_t width = row_width(&o->t[i]);
        for (int64_t k = row * width; k < (row + 1) * width; k++) {
            if (b->n > start)
                maas_buf_char(b, ',');
            if (o->t[i].dtype == MAAS_STRING)
                put_csv_text((const maas_str *)o->t[i].data + k, b);
            else
                maas_json_encode_elements(&o->t[i], k, k + 1, b);
        }
    }
    maas_buf_char(b, '\n');
}

void maas_outputs_print(const maas_outputs *o, int64_t n_rows, bool json, bool first)
{
    AUTO(maas_buf_reset) maas_buf b = MAAS_BUF_INIT(1ull << 32);
    if (first && !json)
        put_csv_names(o, &b);
    for (int64_t row = 0; row < n_rows; row++)
        (json ? put_json_row : put_csv_row)(o, row, &b);
    fwrite(b.p, 1, b.n, stdout);
}

/* ---- the truth ---- */

maas_status maas_truth_add(maas_truth *t, int64_t n, const maas_tensor *column, maas_err *err)
{
    if (maas_dims_product(column->dims, 1, column->rank) != 1)
        return maas_fail(err, MAAS_E_INVALID, "the truth must be one value a row");
    t->is_text = column->dtype == MAAS_STRING;
    size_t want = (size_t)(t->n + n);
    if (!(t->is_text ? maas_grow(&t->texts, &t->cap, want, sizeof *t->texts)
                     : maas_grow(&t->numbers, &t->cap, want, sizeof *t->numbers)))
        return maas_fail(err, MAAS_E_NOMEM, "memory for the truth");
    for (int64_t i = 0; i < n; i++) {
        const maas_str *s = (const maas_str *)column->data + i;
        if (!t->is_text)
            t->numbers[t->n + i] = maas_tensor_get(column, i);
        else if (!(t->texts[t->n + i] = maas_arena_strndup(&t->arena, s->p ? s->p : "", s->n)))
            return maas_fail(err, MAAS_E_NOMEM, "memory for the truth");
    }
    t->n += n;
    return MAAS_OK;
}

static maas_status truth_begin(void *user, const maas_column *cols, uint32_t n_cols, int64_t n_rows,
                               maas_err *err)
{
    (void)user;
    (void)cols;
    (void)n_rows;
    return n_cols == 1 ? MAAS_OK
                       : maas_fail(err, MAAS_E_INVALID, "--expect needs a file of one column");
}

static maas_status truth_rows(void *user, int64_t n, const maas_tensor *cols, maas_err *err)
{
    return maas_truth_add(user, n, cols, err);
}

static maas_status truth_end(void *user, maas_err *err)
{
    (void)user;
    (void)err;
    return MAAS_OK;
}

maas_table_sink maas_truth_sink(maas_truth *t)
{
    return (maas_table_sink){t, truth_begin, truth_rows, truth_end};
}

void maas_truth_reset(maas_truth *t)
{
    maas_arena_reset(&t->arena);
    maas_free(t->numbers);
    maas_free(t->texts);
    *t = (maas_truth){0};
}

/* ---- scores ---- */

static const maas_tensor *main_output(const maas_outputs *o, bool *is_label)
{
    for (uint32_t i = 0; i < o->n; i++)
        if ((*is_label = strcmp(o->names[i], "label") == 0))
            return &o->t[i];
    for (uint32_t i = 0; i < o->n; i++)
        if (strcmp(o->names[i], "value") == 0)
            return &o->t[i];
    return &o->t[0];
}

/* Text against text, number against number; a number that stands as text counts as its text. */
static bool same_label(const maas_tensor *t, int64_t i, const maas_truth *truth, int64_t at)
{
    char text[MAAS_NUM_MAX + 1];
    if (t->dtype != MAAS_STRING && !truth->is_text)
        return maas_tensor_get(t, i) == truth->numbers[at];
    const maas_str *s = (const maas_str *)t->data + i;
    if (t->dtype == MAAS_STRING && truth->is_text)
        return strlen(truth->texts[at]) == s->n && memcmp(truth->texts[at], s->p, s->n) == 0;
    if (t->dtype == MAAS_STRING) {
        size_t n = maas_num_put_f64(text, truth->numbers[at]);
        return n == s->n && memcmp(text, s->p, n) == 0;
    }
    text[maas_num_put_i64(text, maas_tensor_get_i64(t, i))] = '\0';
    return strcmp(text, truth->texts[at]) == 0;
}

maas_status maas_cli_score_add(maas_cli_score *s, const maas_outputs *o, const maas_truth *truth,
                               int64_t at, int64_t n_rows, maas_err *err)
{
    bool is_label = false;
    const maas_tensor *t = main_output(o, &is_label);
    if (at + n_rows > truth->n)
        return maas_fail(err, MAAS_E_INVALID, "the truth has %lld rows, the file has more",
                         (long long)truth->n);
    if (row_width(t) != 1)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "the model answers more than one value a row");
    if (!is_label && (truth->is_text || t->dtype == MAAS_STRING))
        return maas_fail(err, MAAS_E_INVALID, "the model answers numbers, the truth is text");
    for (int64_t i = 0; i < n_rows; i++) {
        if (is_label) {
            s->n++;
            s->n_right += same_label(t, i, truth, at + i);
        } else {
            double y = truth->numbers[at + i], d = maas_tensor_get(t, i) - y;
            s->n_values++;
            s->sum_sq += d * d;
            s->sum += y;
            s->sum_of_sq += y * y;
        }
    }
    return MAAS_OK;
}

void maas_cli_score_print(const maas_cli_score *s, bool json)
{
    if (s->n) {
        double accuracy = (double)s->n_right / (double)s->n;
        if (json)
            printf("{\"accuracy\":%.6f,\"rows\":%lld}\n", accuracy, (long long)s->n);
        else
            printf("accuracy %.4f\n", accuracy);
        return;
    }
    double n = s->n_values > 0 ? s->n_values : 1, spread = s->sum_of_sq - s->sum * s->sum / n;
    double r2 = spread > 0 ? 1 - s->sum_sq / spread : 0;
    printf(json ? "{\"rmse\":%.9g,\"r2\":%.6f,\"rows\":%.0f}\n"
                : "rmse %.6g  r2 %.4f  (%.0f rows)\n",
           sqrt(s->sum_sq / n), r2, s->n_values);
}
