/* Instances under load: which models may batch, that together and alone give the same, that plans
 * are bounded, that a warm run allocates nothing, that many threads and many loads leave no trace.
 */
#include <pthread.h>
#include <sys/mman.h>

#include "base/mem.h"
#include "formats/onnx.h"
#include "maas_test.h"
#include "ops/build.h"
#include "serve/instance_int.h"

#define N_IN 4

typedef struct rig {
    maas_graph *g;
    maas_builder b;
    maas_err err;
    maas_vid x;
} rig;

static void rig_init(rig *r, maas_dtype t, int64_t width)
{
    *r = (rig){0};
    EXPECT_EQ(maas_graph_create("t", NULL, &r->g, &r->err), MAAS_OK);
    maas_builder_init(&r->b, r->g, &r->err);
    int64_t dims[2] = {0, width};
    EXPECT_EQ(maas_graph_symbol(r->g, "n", &dims[0], &r->err), MAAS_OK);
    if (width < 0)
        EXPECT_EQ(maas_graph_symbol(r->g, "m", &dims[1], &r->err), MAAS_OK);
    r->x = maas_b_input(&r->b, "x", t, 2, dims);
}

static const maas_instance_opts plain = {.max_waiting = 16, .inline_us = 50};

/* The way of a published version: written as ONNX, mapped, read. */
static maas_instance *rig_serve(rig *r, maas_vid y, const maas_instance_opts *o)
{
    maas_buf file = MAAS_BUF_INIT(1u << 24);
    maas_instance *m = NULL;
    maas_b_output(&r->b, "y", y);
    EXPECT_MSG(r->b.status == MAAS_OK, "%s", r->err.msg);
    EXPECT_EQ(maas_onnx_write(r->g, NULL, NULL, &file, &r->err), MAAS_OK);
    AUTO_FD fd = memfd_create("model", 0);
    EXPECT_EQ(maas_sys_write(fd, file.p, file.n, &r->err), MAAS_OK);
    maas_instance_create(fd, "m", 1, 1, o, &m, &r->err);
    EXPECT_MSG(m != NULL, "%s", r->err.msg);
    maas_buf_reset(&file);
    maas_graph_destroy(r->g);
    return m;
}

static maas_vid weights(rig *r, const char *name, int64_t rows, int64_t cols)
{
    float w[64];
    maas_rng rng;
    const int64_t dims[2] = {rows, cols};
    maas_rng_seed(&rng, (uint64_t)(rows * 100 + cols));
    for (int i = 0; i < rows * cols; i++)
        w[i] = maas_rng_normal(&rng);
    maas_tensor t = maas_tensor_of(MAAS_F32, cols ? 2 : 1, dims, w);
    return maas_b_const(&r->b, name, &t);
}

static maas_instance *network(const maas_instance_opts *o)
{
    rig r;
    rig_init(&r, MAAS_F32, N_IN);
    maas_vid h = maas_b_op1(&r.b, "Relu",
                            maas_b_op2(&r.b, "MatMul", r.x, weights(&r, "w1", N_IN, 8)));
    return rig_serve(
        &r, maas_b_op1(&r.b, "Softmax", maas_b_op2(&r.b, "MatMul", h, weights(&r, "w2", 8, 3))), o);
}

/* What the protocol cannot carry is inside of models only. */
static void small_types_are_for_the_inside(void)
{
    static const maas_dtype types[] = {MAAS_I4, MAAS_F8E5M2, MAAS_F32};
    for (size_t i = 0; i < MAAS_COUNT(types); i++) {
        rig r;
        maas_buf file = MAAS_BUF_INIT(1u << 20);
        maas_instance *m = NULL;
        const maas_attr small = MAAS_A_INT("to", MAAS_U4), back = MAAS_A_INT("to", MAAS_F32);
        rig_init(&r, types[i], N_IN);
        const maas_vid code = maas_b_node(&r.b, "Cast", &small, 1, &r.x, 1, NULL, 1);
        maas_b_output(&r.b, "y", maas_b_node(&r.b, "Cast", &back, 1, &code, 1, NULL, 1));
        EXPECT_EQ(maas_onnx_write(r.g, NULL, NULL, &file, &r.err), MAAS_OK);
        AUTO_FD fd = memfd_create("model", 0);
        EXPECT_EQ(maas_sys_write(fd, file.p, file.n, &r.err), MAAS_OK);
        const maas_status st = maas_instance_create(fd, "m", 1, 1, &plain, &m, &r.err);
        if (types[i] == MAAS_F32) {
            EXPECT_MSG(st == MAAS_OK, "%s", r.err.msg);
            maas_instance_unref(m);
        } else {
            EXPECT_EQ(st, MAAS_E_UNSUPPORTED);
            EXPECT_MSG(strstr(r.err.msg, "cannot be served"), "%s", r.err.msg);
        }
        maas_buf_reset(&file);
        maas_graph_destroy(r.g);
    }
}

/* ---- which models may batch ---- */

static maas_vid rows_apart(rig *r)
{
    return maas_b_op2(&r->b, "MatMul", r->x, weights(r, "w", N_IN, N_IN));
}

static maas_vid softmax_over_rows(rig *r)
{
    const maas_attr axis = MAAS_A_INT("axis", 0);
    maas_vid out = MAAS_NO_VALUE;
    return maas_b_node(&r->b, "Softmax", &axis, 1, &r->x, 1, &out, 1);
}

static maas_vid minus_mean_of_rows(rig *r)
{
    const maas_attr keep = MAAS_A_INT("keepdims", 1);
    const int64_t zero[1] = {0};
    maas_vid in[2] = {r->x, maas_b_i64s(&r->b, zero, 1)}, mean = MAAS_NO_VALUE;
    maas_b_node(&r->b, "ReduceMean", &keep, 1, in, 2, &mean, 1);
    return maas_b_op2(&r->b, "Sub", r->x, mean);
}

static maas_vid running_sum_of_rows(rig *r)
{
    return maas_b_op2(&r->b, "CumSum", r->x, maas_b_i64(&r->b, 0));
}

static maas_vid rows_times_rows(rig *r)
{
    return maas_b_op2(&r->b, "MatMul",
                      maas_b_op2(&r->b, "MatMul", r->x, maas_b_op1(&r->b, "Transpose", r->x)),
                      r->x);
}

static void models_that_mix_rows_never_batch(void)
{
    static const struct {
        const char *what;
        maas_vid (*build)(rig *r);
        bool batches;
    } rows[] = {{"MatMul", rows_apart, true},
                {"Softmax over rows", softmax_over_rows, false},
                {"minus the mean of all rows", minus_mean_of_rows, false},
                {"running sum", running_sum_of_rows, false},
                {"rows times rows", rows_times_rows, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rig r;
        rig_init(&r, MAAS_F32, N_IN);
        maas_instance *m = rig_serve(&r, rows[i].build(&r), &plain);
        if (m)
            EXPECT_MSG(maas_instance_batches(m) == rows[i].batches, "%s", rows[i].what);
        maas_instance_unref(m);
    }
    EXPECT_EQ(maas_mem_live(), 0);
}

/* ---- runs ---- */

typedef struct request {
    maas_arena arena;
    maas_run run;
    float *x;
} request;

static void request_init(request *q, maas_instance *m, int64_t rows, maas_rng *rng)
{
    maas_err err = {0};
    const int64_t dims[2] = {rows, N_IN};
    maas_arena_init(&q->arena, NULL);
    q->x = maas_arena_array(&q->arena, (size_t)(rows * N_IN) + 1, sizeof *q->x);
    for (int64_t i = 0; i < rows * N_IN; i++)
        q->x[i] = maas_rng_normal(rng);
    EXPECT_EQ(maas_run_init(&q->run, m, &q->arena, &err), MAAS_OK);
    q->run.in[0] = maas_tensor_of(MAAS_F32, 2, dims, q->x);
    EXPECT_EQ(maas_run_check(&q->run, &err), MAAS_OK);
}

/* Each row alone, through another request. */
static void expect_as_row_by_row(maas_instance *m, const request *q)
{
    const maas_tensor *y = &q->run.out[0];
    EXPECT_EQ(y->dims[0], q->run.rows);
    int64_t k = y->dims[1];
    for (int64_t r = 0; r < q->run.rows; r++) {
        request one;
        maas_rng none = {{1, 2, 3, 4}};
        maas_err err = {0};
        request_init(&one, m, 1, &none);
        memcpy(one.x, q->x + r * N_IN, N_IN * sizeof *one.x);
        EXPECT_EQ(maas_run_go(&one.run, 1, &err), MAAS_OK);
        for (int64_t c = 0; c < k; c++)
            EXPECT_NEAR(((float *)y->data)[r * k + c], ((float *)one.run.out[0].data)[c], 1e-6);
        maas_run_done(&one.run);
        maas_arena_reset(&one.arena);
    }
}

static void together_is_as_one_by_one(void)
{
    enum { N = 13 };
    maas_instance_opts o = plain;
    o.max_rows = 16;
    maas_instance *m = network(&o);
    maas_rng rng;
    maas_rng_seed(&rng, 3);
    for (int round = 0; round < 40; round++) {
        request q[N];
        maas_run *runs[N];
        maas_status st[N];
        maas_err err[N];
        for (int i = 0; i < N; i++) {
            request_init(&q[i], m, (int64_t)maas_rng_below(&rng, i == 5 ? 50 : 7), &rng);
            runs[i] = &q[i].run;
            err[i] = (maas_err){0};
        }
        maas_run_batch(runs, N, 1, st, err);
        for (int i = 0; i < N; i++) {
            EXPECT_MSG(st[i] == MAAS_OK, "%s", err[i].msg);
            expect_as_row_by_row(m, &q[i]);
            maas_run_done(&q[i].run);
            maas_arena_reset(&q[i].arena);
        }
    }
    maas_instance_unref(m);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void large_and_empty_requests_are_cut(void)
{
    static const int64_t sizes[] = {0, 1, 7, 8, 9, 16, 17, 100};
    maas_instance_opts o = plain;
    o.max_rows = 8;
    maas_instance *m = network(&o);
    maas_rng rng;
    maas_err err = {0};
    maas_rng_seed(&rng, 4);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        request q;
        request_init(&q, m, sizes[i], &rng);
        EXPECT_EQ(maas_run_go(&q.run, 1, &err), MAAS_OK);
        expect_as_row_by_row(m, &q);
        maas_run_done(&q.run);
        maas_arena_reset(&q.arena);
    }
    maas_instance_unref(m);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void what_does_not_fit_is_named(void)
{
    maas_instance *m = network(&plain);
    const int64_t wide[2] = {1, 5}, flat[1] = {4};
    float x[8] = {0};
    const struct {
        maas_tensor in;
        const char *words;
    } rows[] = {{maas_tensor_of(MAAS_F32, 2, wide, x), "[1,5]"},
                {maas_tensor_of(MAAS_F32, 1, flat, x), "[4]"},
                {maas_tensor_of(MAAS_I32, 2, wide, x), "INT32"},
                {{0}, "missing"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        maas_arena a;
        maas_run r;
        maas_err err = {0};
        maas_arena_init(&a, NULL);
        EXPECT_EQ(maas_run_init(&r, m, &a, &err), MAAS_OK);
        r.in[0] = rows[i].in;
        EXPECT_EQ(maas_run_check(&r, &err), MAAS_E_INVALID);
        EXPECT_MSG(strstr(err.msg, "'x'") && strstr(err.msg, rows[i].words), "%s", err.msg);
        maas_arena_reset(&a);
    }
    maas_instance_unref(m);
}

/* ---- texts outlive the executor that made them ---- */

static void texts_made_by_a_run_are_right_in_every_chunk(void)
{
    enum { ROWS = 37 };
    const maas_attr to = MAAS_A_INT("to", 8 /* STRING */);
    const int64_t dims[2] = {ROWS, 1};
    int64_t x[ROWS];
    maas_instance_opts o = plain;
    rig r;
    o.max_rows = 8;
    rig_init(&r, MAAS_I64, 1);
    maas_vid out = MAAS_NO_VALUE;
    maas_b_node(&r.b, "Cast", &to, 1, &r.x, 1, &out, 1);
    if (r.b.status == MAAS_E_UNSUPPORTED ||
        r.b.status == MAAS_E_INVALID) { /* no such cast: no such case */
        maas_graph_destroy(r.g);
        return;
    }
    maas_instance *m = rig_serve(&r, out, &o);
    maas_arena a;
    maas_run run;
    maas_err err = {0};
    if (!m)
        return;
    maas_arena_init(&a, NULL);
    for (int i = 0; i < ROWS; i++)
        x[i] = 1000 + i;
    EXPECT_EQ(maas_run_init(&run, m, &a, &err), MAAS_OK);
    run.in[0] = maas_tensor_of(MAAS_I64, 2, dims, x);
    EXPECT_EQ(maas_run_check(&run, &err), MAAS_OK);
    EXPECT_MSG(maas_run_go(&run, 1, &err) == MAAS_OK, "%s", err.msg);
    for (int i = 0; err.code == MAAS_OK && i < ROWS; i++) {
        char want[8];
        const maas_str *s = (const maas_str *)run.out[0].data + i;
        snprintf(want, sizeof want, "%d", 1000 + i);
        EXPECT_MSG(s->n == 4 && memcmp(s->p, want, 4) == 0, "row %d: %.*s", i, (int)s->n, s->p);
    }
    maas_run_done(&run);
    maas_arena_reset(&a);
    maas_instance_unref(m);
    EXPECT_EQ(maas_mem_live(), 0);
}

/* ---- bounds ---- */

static void plans_of_many_shapes_are_bounded(void)
{
    rig r;
    rig_init(&r, MAAS_F32, -1);
    maas_instance *m = rig_serve(&r, maas_b_op1(&r.b, "Relu", r.x), &plain);
    maas_arena a;
    maas_err err = {0};
    float x[300];
    maas_arena_init(&a, NULL);
    for (int64_t w = 1; w <= 300; w++) {
        const int64_t dims[2] = {1, w};
        maas_run run;
        for (int64_t i = 0; i < w; i++)
            x[i] = (float)(i % 2 ? -i : i);
        EXPECT_EQ(maas_run_init(&run, m, &a, &err), MAAS_OK);
        run.in[0] = maas_tensor_of(MAAS_F32, 2, dims, x);
        EXPECT_EQ(maas_run_check(&run, &err), MAAS_OK);
        EXPECT_EQ(maas_run_go(&run, 1, &err), MAAS_OK);
        EXPECT_EQ(run.out[0].dims[1], w);
        EXPECT_NEAR(((float *)run.out[0].data)[w - 1], (w - 1) % 2 ? 0 : (double)(w - 1), 0);
        maas_run_done(&run);
        maas_arena_rewind(&a);
        EXPECT(m->plans.n <= 64);
    }
    maas_arena_reset(&a);
    maas_instance_unref(m);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void a_budget_bounds_plans(void)
{
    maas_budget budget = {.limit = 160 << 10};
    maas_instance_opts o = plain;
    o.budget = &budget;
    maas_instance *m = network(&o);
    maas_rng rng;
    maas_rng_seed(&rng, 1);
    bool refused = false;
    for (int64_t rows = 1; m && rows <= 4096 && !refused; rows *= 2) {
        request q;
        maas_err err = {0};
        request_init(&q, m, rows, &rng);
        refused = maas_run_go(&q.run, 1, &err) == MAAS_E_NOMEM;
        maas_run_done(&q.run);
        maas_arena_reset(&q.arena);
        EXPECT(budget.used <= budget.limit);
    }
    EXPECT(refused);
    maas_instance_unref(m);
    EXPECT_EQ(budget.used, 0);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void a_warm_run_allocates_nothing(void)
{
    maas_instance *m = network(&plain);
    maas_rng rng;
    maas_err err = {0};
    request q;
    maas_rng_seed(&rng, 1);
    request_init(&q, m, 3, &rng);
    for (int i = 0; i < 2; i++) {
        EXPECT_EQ(maas_run_go(&q.run, 1, &err), MAAS_OK);
        maas_run_done(&q.run);
    }
    long before = maas_mem_n_allocs();
    for (int i = 0; i < 1000; i++) {
        maas_arena_rewind(&q.arena);
        const int64_t dims[2] = {3, N_IN};
        static float x[3 * N_IN];
        EXPECT_EQ(maas_run_init(&q.run, m, &q.arena, &err), MAAS_OK);
        q.run.in[0] = maas_tensor_of(MAAS_F32, 2, dims, x);
        EXPECT_EQ(maas_run_check(&q.run, &err), MAAS_OK);
        EXPECT_EQ(maas_run_go(&q.run, 1, &err), MAAS_OK);
        maas_run_done(&q.run);
    }
    EXPECT_EQ(maas_mem_n_allocs() - before, 0);
    maas_arena_reset(&q.arena);
    maas_instance_unref(m);
}

static void no_memory_is_said_at_every_allocation(void)
{
    rig r;
    maas_buf file = MAAS_BUF_INIT(1u << 24);
    rig_init(&r, MAAS_F32, N_IN);
    maas_b_output(&r.b, "y", rows_apart(&r));
    EXPECT_EQ(maas_onnx_write(r.g, NULL, NULL, &file, &r.err), MAAS_OK);
    AUTO_FD fd = memfd_create("model", 0);
    EXPECT_EQ(maas_sys_write(fd, file.p, file.n, &r.err), MAAS_OK);
    maas_graph_destroy(r.g);
    maas_buf_reset(&file);
    bool done = false;
    for (long n = 1; n < 2000 && !done; n++) {
        maas_instance *m = NULL;
        maas_err err = {0};
        maas_mem_fail_at(n);
        maas_status st = maas_instance_create(fd, "m", 1, 1, &plain, &m, &err);
        maas_mem_fail_at(0);
        /* A trial that had no memory only means that the model does not batch. */
        EXPECT_MSG(st == MAAS_OK || st == MAAS_E_NOMEM, "allocation %ld: %d %s", n, (int)st,
                   err.msg);
        done = st == MAAS_OK && maas_instance_batches(m);
        maas_instance_unref(m);
        EXPECT_EQ(maas_mem_live(), 0);
    }
    EXPECT(done);
}

/* ---- many threads, many loads ---- */

static void *run_many(void *arg)
{
    maas_instance *m = arg;
    maas_rng rng;
    maas_rng_seed(&rng, (uint64_t)(uintptr_t)&rng);
    for (int i = 0; i < 150; i++) {
        request q;
        maas_err err = {0};
        maas_instance_ref(m);
        request_init(&q, m, (int64_t)maas_rng_below(&rng, 40), &rng);
        maas_run_is_cheap(&q.run);
        EXPECT_EQ(maas_run_go(&q.run, 1, &err), MAAS_OK);
        if (i % 20 == 0)
            expect_as_row_by_row(m, &q);
        maas_instance_bytes(m);
        maas_run_done(&q.run);
        maas_arena_reset(&q.arena);
        maas_instance_unref(m);
    }
    return NULL;
}

static void threads_share_an_instance(void)
{
    enum { N = 4 };
    pthread_t t[N];
    maas_instance_opts o = plain;
    o.max_rows = 16;
    maas_instance *m = network(&o);
    for (int i = 0; i < N; i++)
        EXPECT_EQ(pthread_create(&t[i], NULL, run_many, m), 0);
    for (int i = 0; i < N; i++)
        pthread_join(t[i], NULL);
    maas_instance_unref(m);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void two_thousand_loads_leave_no_trace(void)
{
    size_t before = 0;
    for (int i = 0; i < 2200; i++) {
        if (i == 200)
            before = maas_sys_rss_bytes();
        maas_instance_unref(network(&plain));
    }
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    size_t after = maas_sys_rss_bytes();
    EXPECT_MSG(after < before + 2000 * 100, "%zu -> %zu bytes", before, after);
#endif
    (void)before;
    EXPECT_EQ(maas_mem_live(), 0);
}

static const mt_case cases[] = {
    MT_CASE(small_types_are_for_the_inside),
    MT_CASE(models_that_mix_rows_never_batch),
    MT_CASE(together_is_as_one_by_one),
    MT_CASE(large_and_empty_requests_are_cut),
    MT_CASE(what_does_not_fit_is_named),
    MT_CASE(texts_made_by_a_run_are_right_in_every_chunk),
    MT_CASE(plans_of_many_shapes_are_bounded),
    MT_CASE(a_budget_bounds_plans),
    MT_CASE(a_warm_run_allocates_nothing),
    MT_CASE(no_memory_is_said_at_every_allocation),
    MT_CASE(threads_share_an_instance),
    MT_CASE(two_thousand_loads_leave_no_trace),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
