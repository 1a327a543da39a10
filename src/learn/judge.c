/* learn/judge.c - the answers of a model next to the truth. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "learn/columns.h"
#include "learn/distinct.h"
#include "learn/scorers.h"
#include "base/ban.h"

typedef struct judging {
    const maas_applied *a;
    const maas_graph *g;
    const maas_ds_column *col;
    json_t *labels; /* "maas.target".labels: the classes in the order of the probabilities */
    maas_judged *out;
} judging;

static maas_status no_memory(maas_err *err)
{
    return maas_fail(err, MAAS_E_NOMEM, "memory for scoring");
}

/* ---- classes: a label is text or a whole number, here as in the model ---- */

typedef struct class_label {
    maas_str text; /* p NULL: a number */
    int64_t number;
    int32_t at;
} class_label;

static int compare_labels(const void *a, const void *b)
{
    const class_label *x = a, *y = b;
    if (!x->text.p)
        return (x->number > y->number) - (x->number < y->number);
    const size_t n = x->text.n < y->text.n ? x->text.n : y->text.n;
    const int c = n ? memcmp(x->text.p, y->text.p, n) : 0;
    return c ? c : (x->text.n > y->text.n) - (x->text.n < y->text.n);
}

static int32_t number_of(const class_label *sorted, int64_t k, class_label wanted)
{
    const class_label *found = bsearch(&wanted, sorted, (size_t)k, sizeof *sorted, compare_labels);
    return found ? found->at : -1;
}

static maas_status read_labels(judging *j, class_label **out, maas_err *err)
{
    const bool text = j->col->desc.dtype == MAAS_STRING;
    const size_t k = json_array_size(j->labels);
    class_label *l = maas_arena_array(&j->out->arena, k + 1, sizeof *l);
    if (!l)
        return no_memory(err);
    for (size_t i = 0; i < k; i++) {
        const json_t *v = json_array_get(j->labels, i);
        if (text ? !json_is_string(v) : !json_is_integer(v))
            return maas_fail(err, MAAS_E_INVALID,
                             "the classes of the model are no %s, column '%s' is",
                             text ? "text" : "whole numbers", j->col->desc.name);
        l[i] = text ? (class_label){{json_string_value(v), json_string_length(v)}, 0, (int32_t)i}
                    : (class_label){{NULL, 0}, json_integer_value(v), (int32_t)i};
    }
    qsort(l, k, sizeof *l, compare_labels);
    j->out->k = (int64_t)k;
    *out = l;
    return MAAS_OK;
}

static class_label true_label(const judging *j, int64_t row)
{
    if (j->col->desc.dtype == MAAS_STRING) {
        maas_str t = maas_column_text(j->col, row);
        return (class_label){t.p ? t : (maas_str){"", 0}, 0, 0};
    }
    return (class_label){
        {NULL, 0}, (int64_t)maas_cells_of(j->col->desc.dtype)->get(j->col->data, row), 0};
}

static maas_status judge_chances(judging *j, maas_err *err)
{
    const maas_tensor *p = maas_applied_find(j->a, j->g, "probabilities");
    if (!p)
        return MAAS_OK;
    if (p->rank != 2 || p->dims[1] != j->out->k)
        return maas_fail(err, MAAS_E_INVALID, "the model has %lld classes and other probabilities",
                         (long long)j->out->k);
    double *c = maas_arena_array(&j->out->arena, (size_t)maas_n_elems(p), sizeof *c);
    if (!c)
        return no_memory(err);
    for (int64_t i = 0, n = maas_n_elems(p); i < n; i++)
        c[i] = maas_tensor_get(p, i);
    j->out->chances = c;
    return MAAS_OK;
}

static maas_status judge_classes(judging *j, const maas_tensor *said, maas_err *err)
{
    class_label *known;
    maas_judged *out = j->out;
    int32_t *truth = maas_arena_array(&out->arena, (size_t)out->n, sizeof *truth);
    int32_t *guess = maas_arena_array(&out->arena, (size_t)out->n, sizeof *guess);
    if (!truth || !guess)
        return no_memory(err);
    if ((said->dtype == MAAS_STRING) != (j->col->desc.dtype == MAAS_STRING) ||
        maas_n_elems(said) != out->n)
        return maas_fail(err, MAAS_E_INVALID, "the labels of the model do not go with column '%s'",
                         j->col->desc.name);
    MAAS_TRY(read_labels(j, &known, err));
    for (int64_t i = 0; i < out->n; i++) {
        class_label g = said->dtype == MAAS_STRING
                            ? (class_label){((const maas_str *)said->data)[i], 0, 0}
                            : (class_label){{NULL, 0}, maas_tensor_get_i64(said, i), 0};
        truth[i] = number_of(known, out->k, true_label(j, i));
        guess[i] = number_of(known, out->k, g);
    }
    out->is_class = true;
    out->truth = truth;
    out->guess = guess;
    return judge_chances(j, err);
}

static maas_status judge_numbers(judging *j, const maas_tensor *said, maas_err *err)
{
    maas_judged *out = j->out;
    const maas_cells *cells = maas_cells_of(j->col->desc.dtype);
    const int64_t n = maas_n_elems(said);
    out->k = maas_column_width(j->col);
    if (!cells || n != out->n * out->k)
        return maas_fail(err, MAAS_E_INVALID, "the values of the model do not go with column '%s'",
                         j->col->desc.name);
    double *want = maas_arena_array(&out->arena, (size_t)n, sizeof *want);
    double *got = maas_arena_array(&out->arena, (size_t)n, sizeof *got);
    if (!want || !got)
        return no_memory(err);
    for (int64_t i = 0; i < n; i++) {
        want[i] = cells->get(j->col->data, i);
        got[i] = maas_tensor_get(said, i);
    }
    out->want = want;
    out->got = got;
    return MAAS_OK;
}

/* ---- a network from elsewhere: one output, and nothing said about it ---- */

/* All rows between 0 and 1, with a sum of 1: chances. */
static bool are_chances(const double *p, int64_t n, int64_t k)
{
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int64_t c = 0; c < k; c++) {
            if (!(p[i * k + c] >= 0 && p[i * k + c] <= 1))
                return false;
            sum += p[i * k + c];
        }
        if (!(sum > 0.999 && sum < 1.001))
            return false;
    }
    return true;
}

/* [rows, k] scores for whole numbers: the class is the place of the largest, from 0. */
static maas_status judge_scores(judging *j, const maas_tensor *said, maas_err *err)
{
    maas_judged *out = j->out;
    const int64_t n = out->n, k = said->dims[1];
    const maas_cells *cells = maas_cells_of(j->col->desc.dtype);
    int32_t *truth = maas_arena_array(&out->arena, (size_t)n, sizeof *truth);
    int32_t *guess = maas_arena_array(&out->arena, (size_t)n, sizeof *guess);
    double *scores = maas_arena_array(&out->arena, (size_t)(n * k), sizeof *scores);
    if (!truth || !guess || !scores)
        return no_memory(err);
    for (int64_t i = 0; i < n; i++) {
        const double want = cells->get(j->col->data, i);
        truth[i] = want >= 0 && want < (double)k ? (int32_t)want : -1;
        for (int64_t c = 0; c < k; c++) {
            scores[i * k + c] = maas_tensor_get(said, i * k + c);
            if (scores[i * k + c] > scores[i * k + guess[i]])
                guess[i] = (int32_t)c;
        }
    }
    out->is_class = true;
    out->k = k;
    out->truth = truth;
    out->guess = guess;
    out->chances = are_chances(scores, n, k) ? scores : NULL;
    return MAAS_OK;
}

static maas_status judge_plain(judging *j, maas_err *err)
{
    const maas_tensor *said = j->a->n_out == 1 ? &j->a->out[0] : NULL;
    const maas_cells *cells = maas_cells_of(j->col->desc.dtype);
    if (!said || !cells || said->dtype == MAAS_STRING || said->dtype == MAAS_BOOL)
        return maas_fail(err, MAAS_E_INVALID,
                         "the model answers neither labels of known classes nor values");
    if (cells->whole && maas_column_width(j->col) == 1 && said->rank == 2 && said->dims[1] > 1)
        return judge_scores(j, said, err);
    return judge_numbers(j, said, err);
}

maas_status maas_judge(const maas_graph *g, const maas_applied *a, const maas_dataset *d,
                       const char *target, maas_budget *budget, maas_judged *out, maas_err *err)
{
    AUTO(maas_json_unref) json_t *meta = NULL;
    const char *text = maas_graph_meta(g, "maas.target");
    const maas_tensor *label = maas_applied_find(a, g, "label"),
                      *value = maas_applied_find(a, g, "value");
    *out = (maas_judged){.n = d->n_rows};
    maas_arena_init(&out->arena, budget);
    judging j = {.a = a, .g = g, .col = maas_dataset_column(d, target), .out = out};
    if (!j.col)
        return maas_fail(err, MAAS_E_INVALID, "the data set has no column '%.128s'", target);
    if (text)
        MAAS_TRY(maas_json_parse(maas_span_str(text), &meta, err));
    j.labels = json_object_get(meta, "labels");
    if (label && j.labels)
        return judge_classes(&j, label, err);
    if (value)
        return judge_numbers(&j, value, err);
    return judge_plain(&j, err);
}

void maas_judged_reset(maas_judged *j)
{
    maas_arena_reset(&j->arena);
    *j = (maas_judged){0};
}
