/*
 * learn/tune/labels.c - the loss that fits the end of a graph, and which class is which of its
 * outputs when the head stays: written into the prepared graph as "maas.target", where an update
 * looks for the classes of its parent.
 */
#include "learn/tune/tune_int.h"

#include "base/mem.h"
#include "formats/image_recipe.h"
#include "learn/matrix.h"

#include "base/ban.h"

static int64_t n_outputs(const maas_tune *t)
{
    const maas_type *type = &maas_graph_at(t->g, t->out)->type;
    return type->rank == 2 ? type->dims[1] : -1;
}

static bool could_be_class(const maas_ds_column *c)
{
    const maas_cells *cells = maas_cells_of(c->desc.dtype);
    return c->desc.rank == 0 && (c->desc.dtype == MAAS_STRING || (cells && cells->whole));
}

/* "auto" looks at the end of the graph, too: one sigmoid says yes or no, one number is a number. */
static void settle_loss(const maas_tune *t, maas_recipe *r, const maas_ds_column *c)
{
    if (r->loss.type != MAAS_LOSS_AUTO)
        return;
    const bool one = !t->new_head && n_outputs(t) == 1, sigmoid = t->tail == MAAS_TUNE_SIGMOID;
    r->loss.type = one && sigmoid ? MAAS_LOSS_BINARY
                   : !could_be_class(c)
                       ? (sigmoid && !t->new_head ? MAAS_LOSS_BINARY : MAAS_LOSS_MSE)
                   : one && !t->probabilities ? MAAS_LOSS_MSE
                                              : MAAS_LOSS_CROSS_ENTROPY;
}

/* Labels of the file, in the order of the outputs; NULL: it has none. */
static maas_status labels_of_file(const maas_graph *g, bool text, json_t **out, maas_err *err)
{
    AUTO(maas_json_unref) json_t *target = NULL;
    const char *own = maas_graph_meta(g, "maas.target"),
               *named = maas_graph_meta(g, MAAS_META_CLASSES);
    *out = NULL;
    if (own) {
        MAAS_TRY(maas_json_parse(maas_span_str(own), &target, err));
        *out = json_incref(json_object_get(target, "labels"));
    }
    if (!*out && named && text)
        MAAS_TRY(maas_json_parse(maas_span_str(named), out, err));
    return MAAS_OK;
}

static json_t *places(int64_t n)
{
    json_t *list = json_array();
    for (int64_t i = 0; list && i < n; i++)
        json_array_append_new(list, json_integer(i));
    return list;
}

static maas_status check_labels(const json_t *labels, int64_t n, maas_err *err)
{
    AUTO(maas_json_unref) json_t *seen = json_object();
    size_t i;
    json_t *l;
    if ((int64_t)json_array_size(labels) != n)
        return maas_fail(err, MAAS_E_CONFLICT,
                         "the model has %zu labels and %lld outputs: say params.head",
                         json_array_size(labels), (long long)n);
    json_array_foreach((json_t *)labels, i, l)
    {
        const char *text = json_string_value(l);
        if (text && json_object_get(seen, text))
            return maas_fail(err, MAAS_E_CONFLICT,
                             "two labels of the model are '%.60s': give the target as numbers",
                             text);
        if (text && (!seen || json_object_set_new(seen, text, json_null())))
            return maas_fail(err, MAAS_E_NOMEM, "labels");
    }
    return MAAS_OK;
}

maas_status maas_tune_find_labels(maas_tune *t, maas_recipe *r, const maas_dataset *data,
                                  const char *target, maas_err *err)
{
    const maas_ds_column *c = maas_dataset_column(data, target);
    AUTO(maas_json_unref) json_t *labels = NULL;
    if (!c)
        return MAAS_OK; /* the target itself will be missed in its own words */
    settle_loss(t, r, c);
    if (t->new_head || !could_be_class(c) || maas_losses[r->loss.type].target == MAAS_LOSS_VALUES)
        return MAAS_OK;
    const bool text = c->desc.dtype == MAAS_STRING;
    const int64_t n = r->loss.type == MAAS_LOSS_BINARY ? 2 : n_outputs(t);
    if (n < 2)
        return maas_fail(err, MAAS_E_INVALID,
                         "output '%.100s' gives no row of scores for the classes of '%.60s': say "
                         "params.head, or params.output",
                         maas_graph_at(t->g, t->out)->name, target);
    MAAS_TRY(labels_of_file(t->g, text, &labels, err));
    if (!labels && text)
        return maas_fail(
            err, MAAS_E_INVALID,
            "target '%.60s' is text and the model has no labels: which output is which "
            "class? Give numbers from 0, or say params.head",
            target);
    if (!labels && n > 65536)
        return maas_fail(err, MAAS_E_INVALID, "the model has %lld classes, 65536 allowed",
                         (long long)n);
    labels = labels ? labels : places(n);
    if (!labels)
        return maas_fail(err, MAAS_E_NOMEM, "labels");
    MAAS_TRY(check_labels(labels, n, err));
    return maas_model_set_meta(t->g, "maas.target", json_pack("{s:O}", "labels", labels), err);
}
