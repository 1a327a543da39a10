#include <string.h>

#include "base/mem.h"
#include "serve/instance_int.h"
#include "base/ban.h"

/* Below this many operations a second core costs more than it gives. */
#define PARALLEL_FLOPS 4000000

maas_status maas_run_init(maas_run *r, maas_instance *m, maas_arena *a, maas_err *err)
{
    *r = (maas_run){.model = m, .arena = a};
    r->in = maas_arena_array(a, m->graph->n_inputs, sizeof *r->in);
    r->out = maas_arena_array(a, m->graph->n_outputs, sizeof *r->out);
    return r->in && r->out ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "memory for one request");
}

static maas_status check_input(const maas_port *p, const maas_tensor *t, maas_err *err)
{
    char want[MAAS_SHAPE_TEXT], got[MAAS_SHAPE_TEXT];
    if (t->dtype == MAAS_DT_NONE)
        return maas_fail(err, MAAS_E_INVALID, "input '%s' is missing", p->name);
    if (t->dtype != p->dtype)
        return maas_fail(err, MAAS_E_INVALID, "input '%s' is %s, the model wants %s", p->name,
                         maas_dtype_describe(t->dtype)->oip, maas_dtype_describe(p->dtype)->oip);
    bool fits = t->rank == p->rank;
    for (int d = 0; fits && d < p->rank; d++)
        fits = p->dims[d] < 0 || p->dims[d] == t->dims[d];
    if (!fits)
        return maas_fail(err, MAAS_E_INVALID, "input '%s' has shape %s, the model wants %s",
                         p->name, maas_shape_text(t->dims, t->rank, got),
                         maas_shape_text(p->dims, p->rank, want));
    return MAAS_OK;
}

maas_status maas_run_check(maas_run *r, maas_err *err)
{
    const maas_instance *m = r->model;
    r->rows = 1;
    for (uint32_t i = 0; i < m->graph->n_inputs; i++) {
        MAAS_TRY(check_input(&m->in[i], &r->in[i], err));
        if (!m->batches)
            continue;
        if (i == 0)
            r->rows = r->in[0].dims[0];
        else if (r->in[i].dims[0] != r->rows)
            return maas_fail(
                err, MAAS_E_INVALID,
                "input '%s' has %lld rows, input '%s' has %lld: a request has one batch",
                m->in[i].name, (long long)r->in[i].dims[0], m->in[0].name, (long long)r->rows);
    }
    return MAAS_OK;
}

/* The thread count is part of the plan key, so it must be a function of the shape alone. */
static int threads_for(const maas_instance *m, int64_t rows, int n_threads)
{
    return n_threads > 1 && m->row_flops >= PARALLEL_FLOPS / (rows ? rows : 1) ? n_threads : 1;
}

static int64_t bucket_for(const maas_instance *m, int64_t rows)
{
    if (!m->batches)
        return 1;
    return rows >= m->max_rows ? m->max_rows : maas_bucket(rows);
}

bool maas_run_is_cheap(const maas_run *r)
{
    maas_instance *m = r->model;
    if (r->rows > m->max_rows || r->rows == 0)
        return false;
    maas_type types[64]; /* a model with more inputs is not cheap */
    if (m->graph->n_inputs > MAAS_COUNT(types))
        return false;
    maas_instance_types(m, r->in, bucket_for(m, r->rows), types);
    double us = maas_plans_cost_us(&m->plans, types, 1);
    return us >= 0 && us < m->opts.inline_us;
}

static size_t row_bytes(const maas_tensor *t)
{
    return (size_t)maas_dims_product(t->dims, 1, t->rank) * maas_dtype_size(t->dtype);
}

/* Rows [at, at+n) of the request become the inputs of an executor made for `bucket` rows. */
static void bind_inputs(maas_run *r, maas_exec *e, int64_t at, int64_t n, int64_t bucket)
{
    for (uint32_t i = 0; i < r->model->graph->n_inputs; i++) {
        maas_tensor *slot = maas_exec_input(e, i);
        if (!r->model->batches || (n == bucket && at == 0)) {
            slot->data = r->in[i].data; /* no copy */
            continue;
        }
        size_t row = row_bytes(&r->in[i]);
        if (!row)
            continue; /* rows without elements have no memory to copy */
        memcpy(slot->data, (const char *)r->in[i].data + (size_t)at * row, (size_t)n * row);
        memset((char *)slot->data + (size_t)n * row, 0, (size_t)(bucket - n) * row);
    }
}

static maas_status lease_for(maas_run *r, int64_t bucket, int n_threads, maas_lease **out,
                             maas_err *err)
{
    maas_instance *m = r->model;
    maas_type *types = maas_arena_array(r->arena, m->graph->n_inputs, sizeof *types);
    if (!types)
        return maas_fail(err, MAAS_E_NOMEM, "memory for one request");
    maas_instance_types(m, r->in, bucket, types);
    return maas_plans_lease(&m->plans, types, threads_for(m, bucket, n_threads), true, out, err);
}

/* Room for all rows of an output whose row shape `like` shows. */
static maas_status gather_output(maas_run *r, uint32_t i, const maas_tensor *like, maas_err *err)
{
    r->out[i] = *like;
    r->out[i].dims[0] = r->rows;
    r->out[i].data = maas_arena_alloc(r->arena, maas_tensor_bytes(&r->out[i]));
    return r->out[i].data
               ? MAAS_OK
               : maas_fail(err, MAAS_E_NOMEM, "memory for output '%s'", r->model->out[i].name);
}

static maas_status copy_rows(maas_run *r, const maas_exec *e, int64_t from, int64_t at, int64_t n,
                             maas_err *err)
{
    for (uint32_t i = 0; i < r->model->graph->n_outputs; i++) {
        const maas_tensor *t = maas_exec_output(e, i);
        if (!r->out[i].data)
            MAAS_TRY(gather_output(r, i, t, err));
        size_t row = row_bytes(t);
        if (n)
            memcpy((char *)r->out[i].data + (size_t)at * row,
                   (const char *)t->data + (size_t)from * row, (size_t)n * row);
    }
    return MAAS_OK;
}

/* More rows than the largest bucket, or none: chunk by chunk into the request's arena. */
static maas_status run_chunks(maas_run *r, int n_threads, maas_err *err)
{
    maas_instance *m = r->model;
    int64_t bucket = r->rows ? m->max_rows : 1;
    maas_lease *l;
    MAAS_TRY(lease_for(r, bucket, n_threads, &l, err));
    maas_status st = MAAS_OK;
    for (int64_t at = 0; st == MAAS_OK && (at < r->rows || at == 0); at += bucket) {
        int64_t n = r->rows - at < bucket ? r->rows - at : bucket;
        for (uint32_t i = 0; i < m->graph->n_inputs; i++)
            maas_exec_input(l->exec, i)->data = l->own[i];
        bind_inputs(r, l->exec, at, n, bucket);
        st = maas_exec_run(l->exec, err);
        if (st == MAAS_OK)
            st = copy_rows(r, l->exec, 0, at, n, err);
        atomic_fetch_add_explicit(&m->stats.n_execs, 1, memory_order_relaxed);
    }
    maas_plans_return(&m->plans, l);
    return st;
}

maas_status maas_run_go(maas_run *r, int n_threads, maas_err *err)
{
    maas_instance *m = r->model;
    uint64_t start = maas_now_ns();
    maas_status st;
    memset(r->out, 0, m->graph->n_outputs * sizeof *r->out);
    if (m->batches && (r->rows > m->max_rows || r->rows == 0)) {
        st = run_chunks(r, n_threads, err);
    } else {
        int64_t bucket = bucket_for(m, r->rows);
        MAAS_TRY(lease_for(r, bucket, n_threads, &r->lease, err));
        bind_inputs(r, r->lease->exec, 0, r->rows, bucket);
        st = maas_exec_run(r->lease->exec, err);
        for (uint32_t i = 0; st == MAAS_OK && i < m->graph->n_outputs; i++) {
            r->out[i] = *maas_exec_output(r->lease->exec, i);
            if (m->batches)
                r->out[i].dims[0] = r->rows;
        }
        atomic_fetch_add_explicit(&m->stats.n_execs, 1, memory_order_relaxed);
    }
    r->infer_ns = maas_now_ns() - start;
    if (st != MAAS_OK)
        maas_run_done(r);
    return st;
}

void maas_run_done(maas_run *r)
{
    if (r->lease)
        maas_plans_return(&r->model->plans, r->lease);
    r->lease = NULL;
}

/* Runs [from, to) together: their rows fit the largest bucket. */
static maas_status run_together(maas_run **runs, uint32_t n, int64_t rows, int n_threads,
                                maas_status *each, maas_err *errs)
{
    maas_instance *m = runs[0]->model;
    int64_t bucket = maas_bucket(rows), at = 0;
    uint64_t start = maas_now_ns();
    maas_lease *l;
    MAAS_TRY(lease_for(runs[0], bucket, n_threads, &l, &errs[0]));
    for (uint32_t k = 0; k < n; at += runs[k]->rows, k++)
        for (uint32_t i = 0; i < m->graph->n_inputs; i++) {
            size_t row = row_bytes(&runs[k]->in[i]);
            memcpy((char *)maas_exec_input(l->exec, i)->data + (size_t)at * row,
                   runs[k]->in[i].data, (size_t)runs[k]->rows * row);
        }
    for (uint32_t i = 0; i < m->graph->n_inputs; i++) {
        size_t row = row_bytes(&runs[0]->in[i]);
        memset((char *)maas_exec_input(l->exec, i)->data + (size_t)at * row, 0,
               (size_t)(bucket - at) * row);
    }
    maas_status st = maas_exec_run(l->exec, &errs[0]);
    at = 0;
    for (uint32_t k = 0; st == MAAS_OK && k < n; at += runs[k]->rows, k++) {
        memset(runs[k]->out, 0, m->graph->n_outputs * sizeof *runs[k]->out);
        each[k] = copy_rows(runs[k], l->exec, at, 0, runs[k]->rows, &errs[k]);
        runs[k]->infer_ns = maas_now_ns() - start;
    }
    maas_plans_return(&m->plans, l);
    atomic_fetch_add_explicit(&m->stats.n_execs, 1, memory_order_relaxed);
    return st;
}

void maas_run_batch(maas_run **runs, uint32_t n, int n_threads, maas_status *st, maas_err *err)
{
    for (uint32_t from = 0, to; from < n; from = to) {
        const maas_instance *m = runs[from]->model;
        int64_t rows = runs[from]->rows;
        for (to = from + 1; to < n && m->batches && rows + runs[to]->rows <= m->max_rows; to++)
            rows += runs[to]->rows;
        /* One bad row (an index out of range) must not fail its neighbours: then one by one. */
        if (to - from > 1 &&
            run_together(runs + from, to - from, rows, n_threads, st + from, err + from) == MAAS_OK)
            continue;
        for (uint32_t k = from; k < to; k++) {
            err[k] = (maas_err){0};
            st[k] = maas_run_go(runs[k], n_threads, &err[k]);
        }
    }
}

maas_status maas_run_profile(maas_run *r, int repeat, int n_threads, maas_buf *out, maas_err *err)
{
    maas_instance *m = r->model;
    const int64_t bucket = bucket_for(m, r->rows);
    maas_status st = MAAS_OK;
    maas_lease *l;
    if (m->batches && (r->rows < 1 || r->rows > m->max_rows))
        return maas_fail(err, MAAS_E_INVALID, "a profile is of 1 to %lld rows at a time",
                         (long long)m->max_rows);
    MAAS_TRY(lease_for(r, bucket, n_threads, &l, err));
    maas_exec_profile(l->exec, true);
    bind_inputs(r, l->exec, 0, r->rows, bucket);
    for (int i = 0; i < repeat && st == MAAS_OK; i++) {
        const uint64_t start = maas_now_ns();
        st = maas_exec_run(l->exec, err);
        r->infer_ns = maas_now_ns() - start;
    }
    if (st == MAAS_OK)
        maas_exec_profile_json(l->exec, out);
    maas_exec_profile(l->exec, false);
    maas_plans_return(&m->plans, l);
    return st;
}
