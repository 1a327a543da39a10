/* learn/target.c - finding the task from column and loss; labels and scaled numbers for each row.
 */
#include "learn/target.h"

#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/num.h"

#include "base/ban.h"

static void *charged(maas_target *t, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes) ||
        (t->budget && !maas_budget_take(t->budget, bytes)))
        return NULL;
    void *p = maas_calloc(bytes ? bytes : 1, 1);
    if (!p && t->budget)
        maas_budget_give(t->budget, bytes);
    if (p)
        t->charged += bytes;
    return p;
}

void maas_target_reset(maas_target *t)
{
    maas_free(t->classes);
    maas_free(t->codes);
    maas_free(t->values);
    maas_free(t->shift);
    maas_free(t->scale);
    maas_free(t->weights);
    maas_json_unref(&t->parent);
    if (t->budget)
        maas_budget_give(t->budget, t->charged);
    *t = (maas_target){0};
}

/* ---- what is asked ---- */

static bool is_whole(const maas_ds_column *c)
{
    const maas_cells *cells = maas_cells_of(c->desc.dtype);
    return cells && cells->whole;
}

/* Classes or numbers? "auto" looks at the column, and at one sigmoid unit at the end. */
static maas_status choose_task(maas_target *t, const maas_recipe *r, maas_err *err)
{
    const char *name = t->col->desc.name;
    const bool could_be_class = t->col->desc.rank == 0 && (t->is_text || is_whole(t->col));
    t->loss = r->loss.type;
    if (t->loss == MAAS_LOSS_AUTO && could_be_class)
        t->loss = maas_layers_last_activation(r) == MAAS_ACTIVATION_SIGMOID
                      ? MAAS_LOSS_BINARY
                      : MAAS_LOSS_CROSS_ENTROPY;
    else if (t->loss == MAAS_LOSS_AUTO)
        t->loss = MAAS_LOSS_MSE;
    const maas_loss *loss = &maas_losses[t->loss];
    if (r->task == MAAS_TASK_CLASSES && !could_be_class)
        return maas_fail(err, MAAS_E_INVALID,
                         "target '%s' is no class: whole numbers or text are needed", name);
    t->is_class = could_be_class && loss->target != MAAS_LOSS_VALUES;
    if (t->is_text && !t->is_class)
        return maas_fail(err, MAAS_E_INVALID,
                         "params.loss: target '%s' is text, %s predicts numbers", name,
                         loss->doc.name);
    if (loss->target == MAAS_LOSS_CLASSES && !could_be_class)
        return maas_fail(err, MAAS_E_INVALID,
                         "params.loss: %s needs classes (whole numbers or text), target '%s' is %s",
                         loss->doc.name, name, t->col->desc.rank ? "a tensor" : "float");
    return MAAS_OK;
}

/* ---- classes ---- */

static maas_status inherit_classes(maas_target *t, const maas_graph *parent, maas_distinct *d,
                                   maas_err *err)
{
    const char *text = maas_graph_meta(parent, "maas.target");
    if (!text)
        return maas_fail(err, MAAS_E_CONFLICT,
                         "the parent version was not trained here: it names no target");
    MAAS_TRY(maas_json_parse(maas_span_str(text), &t->parent, err));
    const json_t *labels = json_object_get(t->parent, "labels");
    size_t n = json_array_size(labels);
    AUTO_FREE maas_key *keys = maas_calloc(n + 1, sizeof *keys);
    if (!keys)
        return maas_fail(err, MAAS_E_NOMEM, "%zu classes", n);
    for (size_t i = 0; i < n; i++) {
        const json_t *l = json_array_get(labels, i);
        if (t->is_text ? !json_is_string(l) : !json_is_integer(l))
            return maas_fail(err, MAAS_E_CONFLICT,
                             "target '%s' is %s, it was not in the parent version",
                             t->col->desc.name, t->is_text ? "text" : "numbers");
        if (t->is_text)
            keys[i].text = (maas_str){json_string_value(l), json_string_length(l)};
        else
            keys[i].number = json_integer_value(l);
    }
    return maas_distinct_from(d, t->col, keys, (int64_t)n, err);
}

static bool is_gap(const maas_target *t, int64_t row)
{
    return t->is_text && !maas_column_text(t->col, row).p;
}

static maas_status class_of_no_key(const maas_target *t, int64_t row, maas_err *err)
{
    if (!t->is_text) {
        double v = maas_cells_of(t->col->desc.dtype)->get(t->col->data, row);
        return maas_fail(err, MAAS_E_CONFLICT,
                         "row %lld: the parent version does not know class %.0f",
                         (long long)row + 1, v);
    }
    maas_str s = maas_column_text(t->col, row);
    if (!s.p)
        return maas_fail(err, MAAS_E_INVALID, "target '%s' is missing in row %lld",
                         t->col->desc.name, (long long)row + 1);
    return maas_fail(err, MAAS_E_CONFLICT,
                     "row %lld: the parent version does not know class '%.*s'", (long long)row + 1,
                     (int)(s.n < 80 ? s.n : 80), s.p);
}

/* Two classes and a last layer left open: one logit says it all. */
static bool is_binary(const maas_target *t, const maas_recipe *r)
{
    const maas_layer_spec *last = maas_layers_last_dense(r);
    return r->loss.type == MAAS_LOSS_AUTO && t->n_classes == 2 &&
           (maas_layers_end_in_one(r) ||
            (last && last->units == 0 && maas_layers_last_activation(r) == MAAS_ACTIVATION_NONE));
}

/* All rows are positives: 0 is the class of the pairs that will be made up. */
static maas_status add_negative_class(const maas_target *t, maas_distinct *d, maas_err *err)
{
    const maas_key keys[2] = {{.number = 0}, {.number = d->keys[0].number}};
    if (t->is_text || keys[1].number <= 0)
        return maas_fail(err, MAAS_E_INVALID,
                         "target '%s' has 1 class: with params.negatives it must be a whole number "
                         "above 0, as 1",
                         t->col->desc.name);
    maas_distinct_reset(d);
    return maas_distinct_from(d, t->col, keys, 2, err);
}

static maas_status fit_classes(maas_target *t, const maas_recipe *r, const maas_graph *parent,
                               maas_err *err)
{
    AUTO(maas_distinct_reset) maas_distinct d = {0};
    if (parent)
        MAAS_TRY(inherit_classes(t, parent, &d, err));
    else
        MAAS_TRY(maas_distinct_build(&d, t->col, NULL, t->n_rows, err));
    const char *name = t->col->desc.name;
    if (d.n == 1 && r->negatives > 0)
        MAAS_TRY(add_negative_class(t, &d, err));
    if (d.n < 2)
        return maas_fail(err, MAAS_E_INVALID, "target '%s' has %lld class, 2 are needed", name,
                         (long long)d.n);
    if (d.n != 2 && r->negatives > 0)
        return maas_fail(err, MAAS_E_INVALID,
                         "params.negatives: target '%s' has %lld classes, 1 or 2 are needed", name,
                         (long long)d.n);
    if (d.n > 65536)
        return maas_fail(
            err, MAAS_E_INVALID,
            "target '%s' has %lld classes, 65536 allowed; loss mse predicts it as a number", name,
            (long long)d.n);
    t->codes = charged(t, (size_t)t->n_rows, sizeof *t->codes);
    if (!t->codes)
        return maas_fail(err, MAAS_E_NOMEM, "labels of %lld rows", (long long)t->n_rows);
    for (int64_t i = 0; i < t->n_rows; i++) {
        t->codes[i] = maas_distinct_find(&d, i);
        if (t->codes[i] < 0 && !(r->graph.on && is_gap(t, i))) /* a node may have no label */
            return class_of_no_key(t, i, err);
    }
    t->n_classes = d.n;
    t->classes = STEAL(d.keys);
    if (is_binary(t, r))
        t->loss = MAAS_LOSS_BINARY;
    return MAAS_OK;
}

/* ---- class weights ---- */

static maas_status named_weights(maas_target *t, const json_t *w, maas_err *err)
{
    for (int64_t k = 0; k < t->n_classes; k++)
        t->weights[k] = 1;
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)w, key, v)
    {
        int64_t number = 0, k = 0;
        bool whole = maas_parse_i64(key, &number);
        while (k < t->n_classes &&
               !(t->is_text
                     ? maas_span_is(maas_span_of(t->classes[k].text.p, t->classes[k].text.n), key)
                     : whole && t->classes[k].number == number))
            k++;
        if (k == t->n_classes)
            return maas_fail(err, MAAS_E_INVALID,
                             "params.class_weight: target '%s' has no class '%.60s'",
                             t->col->desc.name, key);
        if (!json_is_number(v) || !(json_number_value(v) >= 0 && json_number_value(v) <= 1e6))
            return maas_fail(err, MAAS_E_INVALID,
                             "params.class_weight.%.60s must be a number in 0..1000000", key);
        t->weights[k] = (float)json_number_value(v);
    }
    return MAAS_OK;
}

static maas_status fit_weights(maas_target *t, const json_t *w, const maas_rows *train,
                               maas_err *err)
{
    if (!w)
        return MAAS_OK;
    if (!t->is_class)
        return maas_fail(err, MAAS_E_INVALID, "params.class_weight: target '%s' has no classes",
                         t->col->desc.name);
    t->weights = charged(t, (size_t)t->n_classes, sizeof *t->weights);
    if (!t->weights)
        return maas_fail(err, MAAS_E_NOMEM, "weights of %lld classes", (long long)t->n_classes);
    if (json_is_object(w))
        return named_weights(t, w, err);
    for (int64_t i = 0; i < train->n; i++)
        t->weights[t->codes[train->at[i]]]++;
    for (int64_t k = 0; k < t->n_classes; k++) /* rows / (classes * rows of this class) */
        t->weights[k] = t->weights[k] > 0 ? (float)train->n / ((float)t->n_classes * t->weights[k])
                                          : 0;
    return MAAS_OK;
}

/* ---- numbers ---- */

static maas_status check_value(const maas_target *t, int64_t i, double x, maas_err *err)
{
    long long row = (long long)(i / t->width + 1);
    if (!isfinite(x))
        return maas_fail(err, MAAS_E_INVALID, "target '%s' is %s in row %lld", t->col->desc.name,
                         isnan(x) ? "missing" : "infinite", row);
    if (maas_losses[t->loss].target == MAAS_LOSS_CHANCES && !(x >= 0 && x <= 1))
        return maas_fail(err, MAAS_E_INVALID, "target '%s' is %g in row %lld, %s needs 0..1",
                         t->col->desc.name, x, row, maas_losses[t->loss].doc.name);
    return MAAS_OK;
}

static void measure(maas_target *t, const maas_cells *cells, const maas_rows *train)
{
    for (int64_t k = 0; k < t->width; k++) {
        double mean = 0, m2 = 0;
        for (int64_t i = 0; i < train->n; i++) {
            double x = cells->get(t->col->data, (int64_t)train->at[i] * t->width + k), d = x - mean;
            mean += d / (double)(i + 1);
            m2 += d * (x - mean);
        }
        double deviation = train->n ? sqrt(m2 / (double)train->n) : 0;
        t->shift[k] = (float)mean;
        t->scale[k] = deviation > 0 && isfinite((float)deviation) && (float)deviation > 0
                          ? (float)deviation
                          : 1;
    }
}

static maas_status inherit_scale(maas_target *t, const maas_graph *parent, maas_err *err)
{
    const char *const names[] = {"input.target_shift", "input.target_scale"};
    float *const to[] = {t->shift, t->scale};
    for (int i = 0; i < 2; i++) {
        maas_vid v = maas_graph_find(parent, names[i]);
        const maas_tensor *c = v == MAAS_NO_VALUE ? NULL : &maas_graph_at(parent, v)->init;
        if (!c || !c->data) {
            t->scaled = false;
            return MAAS_OK;
        }
        if (c->dtype != MAAS_F32 || maas_n_elems(c) != t->width)
            return maas_fail(err, MAAS_E_CONFLICT,
                             "target '%s' has %lld numbers a row, the parent version has %lld",
                             t->col->desc.name, (long long)t->width, (long long)maas_n_elems(c));
        memcpy(to[i], c->data, (size_t)t->width * sizeof(float));
    }
    return MAAS_OK;
}

static maas_status fit_values(maas_target *t, const maas_recipe *r, const maas_rows *train,
                              const maas_graph *parent, maas_err *err)
{
    const maas_cells *cells = maas_cells_of(t->col->desc.dtype);
    const int64_t n = t->n_rows * t->width;
    t->values = charged(t, (size_t)n, sizeof *t->values);
    t->shift = charged(t, (size_t)t->width, sizeof *t->shift);
    t->scale = charged(t, (size_t)t->width, sizeof *t->scale);
    if (!t->values || !t->shift || !t->scale)
        return maas_fail(err, MAAS_E_NOMEM, "targets of %lld rows", (long long)t->n_rows);
    for (int64_t i = 0; i < n; i++) {
        const double x = cells->get(t->col->data, i);
        if (!(r->graph.on && isnan(x))) /* a node may have no target */
            MAAS_TRY(check_value(t, i, x, err));
    }
    t->scaled = maas_losses[t->loss].target == MAAS_LOSS_VALUES &&
                r->target_scaling != MAAS_SCALING_NONE;
    if (t->scaled && parent)
        MAAS_TRY(inherit_scale(t, parent, err));
    else if (t->scaled)
        measure(t, cells, train);
    for (int64_t i = 0; i < n; i++) {
        double x = cells->get(t->col->data, i);
        int64_t k = i % t->width;
        t->values[i] = (float)(t->scaled ? (x - t->shift[k]) / t->scale[k] : x);
    }
    return MAAS_OK;
}

maas_status maas_target_fit(maas_target *t, const maas_dataset *data, const char *name,
                            const maas_recipe *r, const maas_rows *train, const maas_graph *parent,
                            maas_budget *budget, maas_err *err)
{
    *t = (maas_target){.n_rows = data->n_rows, .budget = budget};
    t->col = maas_dataset_column(data, name);
    if (!t->col)
        return maas_fail(err, MAAS_E_INVALID, "target: the data set has no column '%.100s'", name);
    t->is_text = t->col->desc.dtype == MAAS_STRING;
    t->width = maas_column_width(t->col);
    if ((t->is_text && t->col->desc.rank) || (!t->is_text && !maas_cells_of(t->col->desc.dtype)) ||
        t->width < 1)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "target '%s' holds neither numbers nor text",
                         name);
    MAAS_TRY(choose_task(t, r, err));
    if (r->negatives > 0 && !t->is_class)
        return maas_fail(err, MAAS_E_INVALID,
                         "params.negatives: target '%s' is no class: whole numbers or text are "
                         "needed",
                         name);
    if (r->negatives > 0 && json_is_string(r->class_weight))
        return maas_fail(err, MAAS_E_INVALID,
                         "params.class_weight: with params.negatives name the weights, they cannot "
                         "be counted");
    MAAS_TRY(t->is_class ? fit_classes(t, r, parent, err) : fit_values(t, r, train, parent, err));
    if (t->is_class && t->loss == MAAS_LOSS_BINARY && t->n_classes != 2)
        return maas_fail(err, MAAS_E_INVALID,
                         "params.loss: binary_cross_entropy needs 2 classes, target '%s' has %lld",
                         name, (long long)t->n_classes);
    return fit_weights(t, r->class_weight, train, err);
}
