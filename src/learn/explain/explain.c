/* learn/explain/explain.c - choosing a method, and rows through it. */
#include "learn/explain/explain.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "learn/explain/explain_int.h"
#include "base/ban.h"

#define MAX_CALL_RUNS 2e8 /* rows through the model for one call */

/* Best first: "auto" takes the first that can. */
static const maas_xmethod *const methods[] = {&maas_x_tree, &maas_x_linear, &maas_x_exact,
                                              &maas_x_sampling};

maas_vid maas_x_answer(const maas_graph *g)
{
    static const char *const names[] = {"probabilities", "value", "scores", "distances"};
    for (size_t k = 0; k < MAAS_COUNT(names); k++)
        for (uint32_t i = 0; i < g->n_outputs; i++)
            if (strcmp(maas_graph_at(g, g->outputs[i])->name, names[k]) == 0)
                return g->outputs[i];
    for (uint32_t i = 0; i < g->n_outputs; i++)
        if (maas_dtype_describe((maas_dtype)maas_graph_at(g, g->outputs[i])->type.dtype)->kind ==
            MAAS_KIND_FLOAT)
            return g->outputs[i];
    return MAAS_NO_VALUE;
}

maas_status maas_x_only_through(const maas_explainer *x, const maas_vid *values, int n, bool *out,
                                maas_err *err)
{
    const maas_graph *g = x->g;
    AUTO_FREE bool *need = maas_calloc(g->n_values, sizeof *need);
    AUTO_FREE bool *ends = maas_calloc(g->n_values, sizeof *ends);
    if (!need || !ends)
        return maas_fail(err, MAAS_E_NOMEM, "memory for explaining");
    for (int i = 0; i < n; i++)
        if (values[i] >= 0)
            ends[values[i]] = true;
    need[x->answer] = true;
    *out = true;
    for (uint32_t k = g->n_nodes; k-- > 0;) { /* nodes stand after what they read */
        const maas_node *node = &g->nodes[k];
        bool wanted = false;
        for (int i = 0; i < node->n_out; i++)
            wanted |= node->out[i] >= 0 && !ends[node->out[i]] && need[node->out[i]];
        for (int i = 0; wanted && i < node->n_in; i++)
            if (node->in[i] >= 0)
                need[node->in[i]] = true;
    }
    for (uint32_t i = 0; i < g->n_inputs; i++)
        if (need[g->inputs[i]] && !ends[g->inputs[i]])
            *out = false;
    return MAAS_OK;
}

maas_status maas_x_need_background(const maas_explainer *x, maas_err *err)
{
    if (x->opts.background_rows > 0)
        return MAAS_OK;
    return maas_fail(err, MAAS_E_UNSUPPORTED,
                     "rows to compare with are needed: name a data set with the columns of the "
                     "model (background)");
}

static maas_status copy_background(maas_explainer *x, maas_err *err)
{
    const maas_explain_opts *o = &x->opts;
    if (!o->background || o->background_rows < 1)
        return MAAS_OK;
    maas_tensor *copy = maas_arena_array(&x->arena, x->g->n_inputs, sizeof *copy);
    for (uint32_t i = 0; copy && i < x->g->n_inputs; i++) {
        copy[i] = o->background[i];
        copy[i].data = maas_arena_dup(&x->arena, o->background[i].data,
                                      maas_tensor_bytes(&copy[i]));
        if (!copy[i].data)
            copy = NULL;
        else if (copy[i].dtype == MAAS_STRING)
            for (int64_t k = 0, n = maas_n_elems(&copy[i]); k < n; k++) {
                maas_str *s = (maas_str *)copy[i].data + k;
                s->p = maas_arena_strndup(&x->arena, s->p ? s->p : "", s->n);
            }
    }
    x->opts.background = copy;
    return copy ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "memory for the background");
}

static void forget_attempt(maas_explainer *x)
{
    if (x->method && x->method->release)
        x->method->release(x);
    maas_xfun_destroy(STEAL(x->fun));
    maas_graph_destroy(STEAL(x->cut));
    x->method = NULL;
    x->target = x->answer < 0 ? "" : maas_graph_at(x->g, x->answer)->name;
    x->base = NULL;
    x->runs = 0;
    x->own = NULL;
}

static maas_status choose(maas_explainer *x, maas_err *err)
{
    const char *wanted = x->opts.method;
    const bool automatic = !wanted || strcmp(wanted, "auto") == 0;
    maas_err why = {0};
    for (size_t i = 0; i < MAAS_COUNT(methods); i++) {
        if (!automatic && strcmp(methods[i]->name, wanted) != 0)
            continue;
        why = (maas_err){0};
        x->method = methods[i];
        maas_status st = methods[i]->prepare(x, &why);
        if (st == MAAS_OK)
            return MAAS_OK;
        forget_attempt(x);
        if (!automatic || st != MAAS_E_UNSUPPORTED) {
            *err = why;
            if (st == MAAS_E_UNSUPPORTED)
                err->code = MAAS_E_INVALID; /* the client asked for it by name */
            return err->code;
        }
    }
    if (why.code == MAAS_OK)
        return maas_fail(err, MAAS_E_INVALID,
                         "'method' must be auto, tree, linear, exact or sampling, not '%.32s'",
                         wanted);
    return maas_fail(err, MAAS_E_INVALID, "%s", why.msg);
}

static void auto_explainer(maas_explainer **x)
{
    maas_explainer_destroy(*x);
}

maas_status maas_explainer_create(const maas_graph *g, const maas_explain_opts *o,
                                  maas_explainer **out, maas_err *err)
{
    AUTO(auto_explainer) maas_explainer *x = maas_calloc(1, sizeof *x);
    if (!x)
        return maas_fail(err, MAAS_E_NOMEM, "memory for explaining");
    *x = (maas_explainer){.g = g, .opts = *o, .answer = maas_x_answer(g)};
    maas_arena_init(&x->arena, o->budget);
    if (x->answer == MAAS_NO_VALUE)
        return maas_fail(err, MAAS_E_INVALID,
                         "the model answers no numbers that could be explained");
    x->target = maas_graph_at(g, x->answer)->name;
    maas_status st = maas_x_features(x, err);
    if (st == MAAS_OK)
        st = copy_background(x, err);
    if (st == MAAS_OK)
        st = choose(x, err);
    if (st == MAAS_E_UNSUPPORTED)
        st = err->code = MAAS_E_INVALID;
    MAAS_TRY(st);
    *out = STEAL(x);
    return MAAS_OK;
}

void maas_explainer_destroy(maas_explainer *x)
{
    if (!x)
        return;
    forget_attempt(x);
    maas_arena_reset(&x->arena);
    maas_free(x);
}

const char *maas_explainer_method(const maas_explainer *x)
{
    return x->method->name;
}

const char *maas_explainer_target(const maas_explainer *x)
{
    return x->target;
}

int64_t maas_explainer_n_features(const maas_explainer *x)
{
    return x->n_features;
}

int64_t maas_explainer_n_outputs(const maas_explainer *x)
{
    return x->n_outputs;
}

const char *maas_explainer_feature(const maas_explainer *x, int64_t i)
{
    return x->features[i].name;
}

maas_status maas_explain(maas_explainer *x, const maas_tensor *in, int64_t rows,
                         const maas_explanation *out, bool (*stop)(void *user), void *user,
                         maas_err *err)
{
    const int64_t k = x->n_outputs, n = x->n_features;
    if (x->runs * (double)rows > MAX_CALL_RUNS)
        return maas_fail(err, MAAS_E_INVALID,
                         "%lld rows are too much to explain at once: each takes %.0f runs of the "
                         "model, at most %.0f "
                         "rows go into a request (a smaller background allows more)",
                         (long long)rows, x->runs, floor(MAX_CALL_RUNS / x->runs));
    memset(out->phi, 0, (size_t)(rows * n * k) * sizeof *out->phi);
    for (int64_t from = 0, some; from < rows; from += some) {
        some = rows - from < x->method->at_once ? rows - from : x->method->at_once;
        if (stop && stop(user))
            return maas_fail(err, MAAS_E_CANCELLED, "the client went away");
        MAAS_TRY(x->method->rows(x, in, from, some, out->phi + from * n * k, out->answer + from * k,
                                 err));
    }
    memcpy(out->base, x->base, (size_t)k * sizeof *out->base);
    return MAAS_OK;
}
