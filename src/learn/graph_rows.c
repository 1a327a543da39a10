/* learn/graph_rows.c - which nodes of a graph are learned from: all are in it, few have a label. */
#include "learn/graph_edges.h"

#include <math.h>

#include "base/mem.h"
#include "learn/columns.h"

#include "base/ban.h"

static bool has_target(const maas_ds_column *c, int64_t row)
{
    if (c->desc.dtype == MAAS_STRING) {
        const maas_str s = maas_column_text(c, row);
        return s.p && s.n > 0;
    }
    const maas_cells *cells = maas_cells_of(c->desc.dtype);
    const int64_t width = maas_column_width(c);
    for (int64_t k = 0; cells && k < width; k++)
        if (isnan(cells->get(c->data, row * width + k)))
            return false;
    return true;
}

/* What the column says of a row: "train" and "validation" (or "val") count, all else is in the
 * graph without being looked at. */
static maas_rows *side_of(maas_split *s, const maas_ds_column *c, int64_t row)
{
    static const struct {
        const char *word;
        bool val;
    } words[] = {{"train", false}, {"val", true}, {"valid", true}, {"validation", true}};
    const maas_str text = maas_column_text(c, row);
    for (size_t i = 0; text.p && i < MAAS_COUNT(words); i++)
        if (maas_span_is(maas_span_of(text.p, text.n), words[i].word))
            return words[i].val ? &s->val : &s->train;
    return NULL;
}

static maas_status deal_named(maas_split *s, const maas_dataset *nodes, const maas_ds_column *by,
                              const uint32_t *labelled, int64_t n, maas_err *err)
{
    s->train.n = s->val.n = 0;
    for (int64_t i = 0; i < n; i++) {
        maas_rows *to = side_of(s, by, labelled[i]);
        if (to)
            to->at[to->n++] = labelled[i];
    }
    if (s->train.n == 0)
        return maas_fail(err, MAAS_E_INVALID,
                         "params.graph.split: no row with a target says \"train\" in column "
                         "'%.100s'",
                         by->desc.name);
    return MAAS_OK;
}

maas_status maas_graph_rows(maas_split *out, const maas_dataset *nodes, const char *target,
                            const maas_recipe *r, maas_rng *rng, maas_budget *budget, maas_err *err)
{
    const maas_ds_column *c = maas_dataset_column(nodes, target), *by = NULL;
    const char *split = json_string_value(r->graph.split);
    AUTO_FREE uint32_t *labelled = maas_calloc((size_t)nodes->n_rows + 1, sizeof *labelled);
    int64_t n = 0;
    if (!labelled)
        return maas_fail(err, MAAS_E_NOMEM, "%lld nodes", (long long)nodes->n_rows);
    if (split && (!(by = maas_dataset_column(nodes, split)) || by->desc.dtype != MAAS_STRING))
        return maas_fail(err, MAAS_E_INVALID,
                         "params.graph.split: the data set has no column '%.100s' of text", split);
    for (int64_t i = 0; c && i < nodes->n_rows; i++)
        if (has_target(c, i))
            labelled[n++] = (uint32_t)i;
    if (c && n == 0)
        return maas_fail(err, MAAS_E_INVALID, "target '%.100s' is missing in all rows", target);
    /* Named sides may have any size: room for all on the side that the share does not shorten. */
    MAAS_TRY(maas_split_init(out, c ? n : nodes->n_rows, by ? 0 : r->validation, r->shuffle, rng,
                             budget, err));
    if (!c)
        return MAAS_OK; /* the target says so itself */
    if (by) {
        uint32_t *all = maas_calloc((size_t)n + 1, sizeof *all);
        if (!all)
            return maas_fail(err, MAAS_E_NOMEM, "%lld nodes", (long long)n);
        maas_free(out->val.at);
        out->val.at = all;
        return deal_named(out, nodes, by, labelled, n, err);
    }
    for (int64_t i = 0; i < out->train.n; i++)
        out->train.at[i] = labelled[out->train.at[i]];
    for (int64_t i = 0; i < out->val.n; i++)
        out->val.at[i] = labelled[out->val.at[i]];
    return MAAS_OK;
}
