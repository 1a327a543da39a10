/*
 * tests/fuzz/onnx_run.h - "what was accepted is safe to run": reads bytes as a model and, if they
 * are one, verifies, plans and runs it in a small budget. For the fuzz target and the mutation
 * test.
 */
#ifndef MAAS_TEST_ONNX_RUN_H
#define MAAS_TEST_ONNX_RUN_H

#include "base/mem.h"
#include "formats/onnx.h"
#include "ops/build.h"
#include "runtime/plan.h"

enum { ONNX_RUN_BUDGET = 16 << 20, ONNX_RUN_MAX_INPUT = 1 << 20, ONNX_RUN_MAX_FLOPS = 20000000 };

typedef struct onnx_run {
    bool accepted, planned, ran;
    maas_status status; /* of the last step */
    maas_err err;
} onnx_run;

/* Concrete types for the inputs: what is open becomes 2. False when they are too large. */
static bool onnx_run_types(const maas_graph *g, maas_type *types)
{
    for (uint32_t i = 0; i < g->n_inputs; i++) {
        maas_type *t = &types[i];
        size_t bytes;
        *t = maas_graph_at(g, g->inputs[i])->type;
        if (t->rank == MAAS_RANK_UNKNOWN)
            t->rank = 1;
        for (int k = 0; k < t->rank; k++)
            if (t->dims[k] < 0)
                t->dims[k] = 2;
        if (maas_shape_bytes((maas_dtype)t->dtype, t->dims, t->rank, &bytes, NULL) != MAAS_OK ||
            bytes > ONNX_RUN_MAX_INPUT)
            return false;
    }
    return true;
}

static void onnx_run_fill(const maas_tensor *t)
{
    if (t->holds)
        return; /* an empty list */
    if (t->dtype == MAAS_STRING)
        for (int64_t i = 0; i < maas_n_elems(t); i++)
            ((maas_str *)t->data)[i] = i % 2 ? (maas_str){"yes", 3} : (maas_str){"", 0};
    else
        for (int64_t i = 0; i < maas_n_elems(t); i++)
            maas_tensor_set(t, i, (double)(i % 5) - (t->dtype == MAAS_BOOL ? 0 : 2));
}

static uint64_t onnx_run_sum(const maas_tensor *t)
{
    uint64_t sum = 0;
    for (int64_t k = 0; k < maas_n_elems(t); k++)
        sum += t->holds                  ? onnx_run_sum(maas_list_items(t) + k)
               : t->dtype == MAAS_STRING ? ((maas_str *)t->data)[k].n
                                         : (uint64_t)(maas_tensor_get(t, k) > 0);
    return sum;
}

/* Every byte of what came out must be initialised and in place: look at it. */
static uint64_t onnx_run_look(const maas_exec *e, uint32_t n_outputs)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n_outputs; i++)
        sum += onnx_run_sum(maas_exec_output(e, i));
    return sum;
}

static maas_status onnx_run_exec(const maas_graph *g, maas_plan *p, onnx_run *r)
{
    maas_vars *vars = NULL;
    maas_exec *e = NULL;
    maas_status st = maas_vars_create(g, NULL, &vars, &r->err);
    if (st == MAAS_OK)
        st = maas_exec_create(p, vars, &e, &r->err);
    if (st == MAAS_OK) {
        for (uint32_t i = 0; i < g->n_inputs; i++)
            onnx_run_fill(maas_exec_input(e, i));
        st = maas_exec_run(e, &r->err);
        r->ran = st == MAAS_OK;
        if (r->ran)
            __asm__ volatile("" : : "r"(onnx_run_look(e, g->n_outputs))); /* really looked at */
    }
    maas_exec_destroy(e);
    maas_vars_destroy(vars);
    return st;
}

static void onnx_run_graph(const maas_graph *g, maas_budget *budget, onnx_run *r)
{
    maas_type *types = maas_calloc(g->n_inputs + 1u, sizeof *types);
    maas_plan *p = NULL;
    const maas_plan_opts opts = {.n_threads = 1, .level = 2, .budget = budget, .loop_steps = 20000};
    if (types && onnx_run_types(g, types)) {
        r->status = maas_plan_create(g, types, &opts, &p, &r->err);
        r->planned = r->status == MAAS_OK;
        if (r->planned && maas_plan_exec_bytes(p) <= ONNX_RUN_BUDGET &&
            maas_plan_flops(p) <= ONNX_RUN_MAX_FLOPS)
            r->status = onnx_run_exec(g, p, r);
    }
    maas_plan_destroy(p);
    maas_free(types);
}

typedef maas_status model_reader(maas_span file, maas_budget *budget, maas_graph **out,
                                 maas_err *err);

/* Bytes as a model of any format (a row of formats/model.h). */
static inline onnx_run model_run_bytes(maas_span file, model_reader *read)
{
    onnx_run r = {0};
    maas_budget budget = {.limit = ONNX_RUN_BUDGET};
    maas_graph *g = NULL;
    r.status = read(file, &budget, &g, &r.err);
    r.accepted = r.status == MAAS_OK;
    if (r.accepted) {
        /* The reader's promise: a legal graph, which stays one when it is looked at again. */
        maas_err err = {0};
        MAAS_CHECK(maas_graph_verify(g, &err) == MAAS_OK);
        MAAS_CHECK(maas_graph_infer(g, &err) == MAAS_OK);
        onnx_run_graph(g, &budget, &r);
    } else {
        MAAS_CHECK(r.err.code == r.status && r.err.msg[0]);
    }
    maas_graph_destroy(g);
    MAAS_CHECK(budget.used == 0);
    return r;
}

static inline maas_status onnx_run_read(maas_span file, maas_budget *budget, maas_graph **out,
                                        maas_err *err)
{
    const maas_onnx_opts opts = {.budget = budget};
    return maas_onnx_read(file, &opts, out, err);
}

static inline onnx_run onnx_run_bytes(maas_span file)
{
    return model_run_bytes(file, onnx_run_read);
}

#endif
