/* learn/trainer.c - job in, model file and metrics out. */
#include "learn/trainer.h"

#include "base/mem.h"
#include "formats/onnx.h"

#include "base/ban.h"

#define MAX_ARTIFACT  (2ull << 30) /* a protobuf message ends below 2 GiB */
#define MAX_END_SCORE 200000       /* rows that a last look at the training data keeps in memory */

void maas_train_result_reset(maas_train_result *r)
{
    maas_buf_reset(&r->onnx);
    maas_graph_destroy(r->graph);
    r->graph = NULL;
    maas_buf_reset(&r->state);
    maas_json_unref(&r->metrics);
    maas_json_unref(&r->report);
}

static const maas_tensor *current(void *user, const char *name)
{
    return maas_vars_find(user, name);
}

/* z of all nodes, with the weights as they are. */
static maas_status look_at_nodes(maas_fit *r, maas_runner *x, maas_tensor *out, maas_err *err)
{
    const int64_t n = r->edges.n_nodes;
    uint32_t *rows = maas_arena_alloc(&r->arena, (size_t)n * sizeof *rows);
    if (!rows)
        return maas_fail(err, MAAS_E_NOMEM, "answers of %lld nodes", (long long)n);
    for (int64_t i = 0; i < n; i++)
        rows[i] = (uint32_t)i;
    MAAS_TRY(maas_runner_init(r, r->eval_graph, n, false, x, err));
    x->now = (maas_samples){.rows = rows, .n = n};
    maas_tensor *y = maas_exec_input(x->exec,
                                     maas_fit_n_raw(r)); /* of the loss, which nobody reads */
    memset(y->data, 0, maas_tensor_bytes(y));
    MAAS_TRY(maas_exec_run(x->exec, err));
    *out = *maas_exec_output(x->exec, MAAS_OUT_Z);
    return MAAS_OK;
}

static maas_status write_model(maas_fit *r, maas_buf *out, maas_err *err)
{
    maas_graph *g = NULL;
    MAAS_TRY(maas_model_export_graph(&r->parts, &g, err));
    maas_status st = maas_onnx_write(g, current, r->vars, out, err);
    maas_graph_destroy(g);
    return st;
}

/* Numbers of the epoch that gave the weights, and without validation rows a score of all training
 * rows with the final weights (those of the epoch are sums taken while it was learning). */
static maas_status final_metrics(maas_fit *r, json_t **out, maas_err *err)
{
    const bool best = r->best_copies && r->best_epoch > 0;
    const json_t *last = json_array_get(r->history, (size_t)(best ? r->best_epoch : r->epoch) - 1);
    AUTO(maas_json_unref) json_t *m = last ? json_copy((json_t *)last) : json_object();
    if (!m)
        return maas_fail(err, MAAS_E_NOMEM, "metrics");
    if (r->val.n == 0) {
        AUTO(maas_score_reset) maas_score s = {0};
        maas_samples all = {.rows = r->train.at, .n = r->train.n};
        if (r->negatives.per_row) { /* drawn anew: a run resumed at its end has drawn none */
            maas_fit_order(r);
            all = r->order;
        }
        MAAS_TRY(maas_score_init(&s, &r->target, all.n < MAX_END_SCORE ? all.n : 0, r->job->budget,
                                 err));
        MAAS_TRY(maas_fit_evaluate(r, &all, &s, err));
        if (!maas_score_json(&s, "", m))
            return maas_fail(err, MAAS_E_NOMEM, "metrics");
    }
    if (json_object_set(m, "epochs", r->history))
        return maas_fail(err, MAAS_E_NOMEM, "metrics");
    *out = STEAL(m);
    return MAAS_OK;
}

static maas_status finish(maas_fit *r, maas_train_result *out, maas_err *err)
{
    maas_fit_copy_best(r, true);
    MAAS_TRY(final_metrics(r, &out->metrics, err));
    AUTO(maas_runner_reset) maas_runner nodes = {0};
    maas_tensor table;
    if (r->edges.n_nodes && r->recipe.graph.serve == MAAS_SERVE_NODES) {
        MAAS_TRY(look_at_nodes(r, &nodes, &table, err));
        r->parts.table = &table;
        r->parts.vars = r->vars;
    }
    const maas_status st = write_model(r, &out->onnx, err);
    r->parts.table = NULL;
    MAAS_TRY(st);
    if (r->tune.g && !(out->report = maas_tune_report(&r->tune)))
        return maas_fail(err, MAAS_E_NOMEM, "a report");
    return r->recipe.keep_optimizer ? maas_fit_save_optimizer(r, &out->state, err) : MAAS_OK;
}

static maas_status run(maas_fit *r, const maas_train_job *job, maas_train_result *out,
                       maas_err *err)
{
    MAAS_TRY(maas_fit_setup(r, job, err));
    if (r->recipe.early.on && r->recipe.early.restore_best)
        MAAS_TRY(maas_fit_keep_best(r, err));
    if (job->parent_state.n)
        MAAS_TRY(maas_fit_load_optimizer(r, job->parent_state, err));
    if (job->resume.n)
        MAAS_TRY(maas_fit_resume(r, job->resume, err));
    bool stop = maas_fit_should_stop(r);
    while (!stop)
        MAAS_TRY(maas_fit_epoch(r, &stop, err));
    return finish(r, out, err);
}

maas_status maas_train_network(const maas_train_job *job, maas_train_result *out, maas_err *err)
{
    AUTO(maas_fit_reset) maas_fit r = {0};
    maas_train_result result = {.onnx = MAAS_BUF_INIT(MAX_ARTIFACT),
                                .state = MAAS_BUF_INIT(MAAS_MAX_CHECKPOINT)};
    maas_status st = run(&r, job, &result, err);
    if (st != MAAS_OK)
        maas_train_result_reset(&result);
    else
        *out = result;
    return st;
}
