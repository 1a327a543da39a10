/* formats/sklearn/read.c - the model format: a pickle in, a graph with named inputs and outputs
 * out. */
#include <stdio.h>

#include "base/json.h"
#include "base/mem.h"
#include "formats/sklearn/sklearn_int.h"
#include "base/ban.h"

/* ---- outputs ---- */

static maas_vid fresh(maas_sk *s, maas_vid v)
{
    const uint32_t fixed = MAAS_VALUE_INPUT | MAAS_VALUE_OUTPUT | MAAS_VALUE_CONST;
    if (s->b.status == MAAS_OK && maas_graph_at(s->b.g, v)->flags & fixed)
        return maas_b_op1(&s->b, "Identity", v);
    return v;
}

static void put(maas_sk *s, const char *name, maas_vid v)
{
    if (v != MAAS_NO_VALUE)
        maas_b_output(&s->b, name, fresh(s, v));
}

/* Rows of text alone are one tensor as well; numbers and text together have no common one. */
static void put_transformed(maas_sk *s, const maas_sk_table *t)
{
    if (!t->cols) {
        put(s, "transformed", maas_sk_matrix(s, t, -1));
        return;
    }
    int64_t n_text = 0;
    for (int64_t i = 0; i < t->n_cols; i++)
        n_text += maas_sk_is_text(s, t, i);
    if (!n_text) {
        put(s, "transformed", maas_sk_matrix(s, t, -1));
        return;
    }
    if (n_text < t->n_cols) {
        maas_sk_fail(s, MAAS_E_UNSUPPORTED, "its result mixes numbers and text");
        return;
    }
    maas_vid *v = maas_sk_alloc(s, (size_t)n_text, sizeof *v);
    for (int64_t i = 0; v && i < n_text; i++)
        v[i] = maas_sk_text_column(s, t, i);
    if (v)
        put(s, "transformed", maas_sk_concat(s, v, (uint32_t)n_text, 1));
}

static void put_classifier(maas_sk *s, const maas_sk_out *o)
{
    put(s, "label", o->label);
    if (o->probabilities != MAAS_NO_VALUE)
        put(s, "probabilities", o->probabilities);
    else
        put(s, "scores", o->scores);
}

static void put_regressor(maas_sk *s, const maas_sk_out *o)
{
    put(s, "value", o->value);
}

static void put_transformer(maas_sk *s, const maas_sk_out *o)
{
    if (o->transformed.n_cols)
        put_transformed(s, &o->transformed);
}

static void put_clusterer(maas_sk *s, const maas_sk_out *o)
{
    put(s, "label", o->label);
    if (o->distances != MAAS_NO_VALUE)
        put(s, "distances", o->distances);
    else
        put(s, "probabilities", o->probabilities);
}

static void put_outlier(maas_sk *s, const maas_sk_out *o)
{
    put(s, "label", o->label);
    if (o->scores != MAAS_NO_VALUE)
        put(s, "scores", maas_sk_flat(s, o->scores));
}

static const struct {
    const char *task;
    void (*put)(maas_sk *s, const maas_sk_out *o);
} roles[] = {
    [MAAS_SK_CLASSIFIER] = {"classification", put_classifier},
    [MAAS_SK_REGRESSOR] = {"regression", put_regressor},
    [MAAS_SK_TRANSFORMER] = {"transformation", put_transformer},
    [MAAS_SK_CLUSTERER] = {"clustering", put_clusterer},
    [MAAS_SK_OUTLIER] = {"outliers", put_outlier},
};

static maas_status put_outputs(maas_sk *s, const maas_sk_out *o)
{
    if (o->role >= sizeof roles / sizeof *roles)
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "there is nothing that it predicts");
    roles[o->role].put(s, o);
    MAAS_TRY(s->b.status);
    return s->b.g->n_outputs ? MAAS_OK
                             : maas_sk_fail(s, MAAS_E_UNSUPPORTED, "it has no output to serve");
}

/* ---- metadata ---- */

maas_status maas_sk_set_meta(maas_graph *g, const char *key, json_t *value, maas_err *err)
{
    AUTO(maas_json_unref) json_t *owned = value;
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(64u << 20);
    if (owned)
        maas_json_dump(owned, &text);
    if (!owned || text.failed)
        return maas_fail(err, MAAS_E_NOMEM, "no memory left for %s", key);
    return maas_graph_set_meta(g, key, text.p, err);
}

/* NULL: no memory, or text that JSON cannot say. */
static json_t *labels_json(const maas_tensor *classes)
{
    AUTO(maas_json_unref) json_t *list = json_array();
    for (int64_t i = 0; list && i < classes->dims[0]; i++) {
        const maas_str *text = (const maas_str *)classes->data + i;
        json_t *one = classes->dtype == MAAS_STRING ? json_stringn(text->p, text->n)
                      : classes->dtype == MAAS_I64
                          ? json_integer(((const int64_t *)classes->data)[i])
                          : json_real(((const double *)classes->data)[i]);
        if (json_array_append_new(list, one))
            return NULL;
    }
    return STEAL(list);
}

static maas_status describe(maas_sk *s, const maas_pk *est, const maas_sk_out *o)
{
    maas_graph *g = s->b.g;
    maas_err *err = s->b.err;
    char source[160];
    maas_str version = {"", 0};
    maas_pk_to_str(maas_pk_attr(est, "_sklearn_version"), &version);
    snprintf(source, sizeof source, "scikit-learn %.*s%s%.80s",
             (int)(version.n < 40 ? version.n : 40), version.p, version.n ? " " : "",
             maas_sk_short_name(est));
    MAAS_TRY(maas_graph_set_meta(g, "maas.task", roles[o->role].task, err));
    MAAS_TRY(maas_graph_set_meta(g, "maas.source", source, err));
    if (o->classes && o->role == MAAS_SK_CLASSIFIER) {
        json_t *labels = labels_json(o->classes);
        json_t *target = labels ? json_pack("{s:o}", "labels", labels) : NULL;
        if (target)
            MAAS_TRY(maas_sk_set_meta(g, "maas.target", target, err));
    }
    return maas_sk_root_describe(s, g);
}

/* ---- what nobody reads ---- */

static void mark_used(const maas_graph *g, bool *used)
{
    for (uint32_t i = 0; i < g->n_outputs; i++)
        used[g->outputs[i]] = true;
    for (uint32_t i = g->n_nodes; i-- > 0;) { /* nodes stand after what they read */
        const maas_node *n = &g->nodes[i];
        bool wanted = false;
        for (int k = 0; k < n->n_out; k++)
            wanted = wanted || (n->out[k] >= 0 && used[n->out[k]]);
        g->nodes[i].dead = !wanted;
        for (int k = 0; wanted && k < n->n_in; k++)
            if (n->in[k] >= 0)
                used[n->in[k]] = true;
    }
}

static maas_status drop_unused(maas_graph *g, maas_err *err)
{
    AUTO_FREE bool *used = maas_calloc(g->n_values + 1u, sizeof *used);
    if (!used)
        return maas_fail(err, MAAS_E_NOMEM, "no memory left for %u values", g->n_values);
    mark_used(g, used);
    return maas_graph_compact(g, err);
}

/* ---- reading ---- */

static void auto_graph(maas_graph **g)
{
    maas_graph_destroy(*g);
}

static maas_status decode_once(maas_pickle *p, maas_sk_root *root, maas_budget *budget,
                               maas_graph **out, maas_err *err)
{
    AUTO(auto_graph) maas_graph *g = NULL;
    maas_sk_place place[MAAS_SK_MAX_DEPTH];
    maas_sk_out o;
    MAAS_TRY(maas_graph_create("scikit-learn", budget, &g, err));
    maas_sk s = {.arena = &p->arena, .root = root, .place = place};
    maas_builder_init(&s.b, g, err);
    if (!root->settled)
        MAAS_TRY(maas_sk_root_init(&s, root, p->root));
    MAAS_TRY(maas_sk_root_start(&s, root));
    const maas_sk_table in = {.x = MAAS_NO_VALUE, .n_cols = root->n};
    MAAS_TRY(maas_sk_decode(&s, p->root, &in, 0, &o, "%s", ""));
    MAAS_TRY(put_outputs(&s, &o));
    MAAS_TRY(describe(&s, p->root, &o));
    MAAS_TRY(drop_unused(g, err));
    MAAS_TRY(maas_graph_infer(g, err));
    MAAS_TRY(maas_graph_verify(g, err));
    *out = STEAL(g);
    return MAAS_OK;
}

static maas_status decode(maas_pickle *p, maas_budget *budget, maas_graph **out, maas_err *err)
{
    maas_sk_root root = {0};
    AUTO(auto_graph) maas_graph *g = NULL;
    MAAS_TRY(decode_once(p, &root, budget, &g, err));
    if (maas_sk_root_settle(&root)) {
        maas_graph_destroy(STEAL(g));
        MAAS_TRY(decode_once(p, &root, budget, &g, err));
    }
    *out = STEAL(g);
    return MAAS_OK;
}

static void release(void *arg)
{
    maas_pickle *p = arg;
    maas_pickle_reset(p);
    maas_free(p);
}

/* Constants stay in the pickle, which therefore lives as long as the graph. */
maas_status maas_sk_read(maas_span file, maas_budget *budget, maas_graph **out, maas_err *err)
{
    maas_pickle *p = maas_calloc(1, sizeof *p);
    maas_graph *g = NULL;
    if (!p)
        return maas_fail(err, MAAS_E_NOMEM, "no memory left to read a pickle");
    maas_status st = maas_pickle_read(file, budget, p, err);
    if (st == MAAS_OK)
        st = decode(p, budget, &g, err);
    if (st == MAAS_OK && !maas_arena_defer(&g->arena, release, p))
        st = maas_fail(err, MAAS_E_NOMEM, "no memory left to read a pickle");
    if (st != MAAS_OK) {
        maas_graph_destroy(g);
        release(p);
        return st;
    }
    *out = g;
    return MAAS_OK;
}

int maas_sk_probe(maas_span head)
{
    return maas_pickle_probe(head);
}
