/*
 * bench_forest_train - a learner made of trees, whole: a table in, a model out, scored as served.
 *
 *   bench_forest_train DIRECTORY LEARNER PARAMS [THREADS [FILE]]
 *
 * DIRECTORY holds train.x, train.y, test.x, test.y as bench/peers/forest_train.py writes them: rows
 * of float32, labels of int64. Training is timed from the table in memory to the model file; the
 * accuracy is that of the file on the test rows. Prints one line: seconds, CPU seconds, accuracy.
 * FILE gets the model, to compare two builds by their bytes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/sys.h"
#include "formats/onnx.h"
#include "learn/train.h"
#include "runtime/plan.h"

#include "base/ban.h"

#define TEST_ROWS 1000 /* of one run of the finished model */
#define MAX_COLS  4096

static maas_err failure;

static void must(maas_status st)
{
    if (st == MAAS_OK)
        return;
    fprintf(stderr, "bench_forest_train: %s\n", failure.msg);
    exit(1);
}

typedef struct table {
    float *x;   /* [n][d] */
    int64_t *y; /* [n]    */
    int64_t n, d;
} table;

static void *read_file(const char *dir, const char *name, size_t *out_n)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "rb");
    if (!f)
        must(maas_fail(&failure, MAAS_E_IO, "%s cannot be read", path));
    fseek(f, 0, SEEK_END);
    *out_n = (size_t)ftell(f);
    rewind(f);
    void *p = maas_alloc(*out_n + 1);
    MAAS_CHECK(p && fread(p, 1, *out_n, f) == *out_n);
    fclose(f);
    return p;
}

static table read_table(const char *dir, const char *x, const char *y)
{
    size_t nx, ny;
    table t = {.x = read_file(dir, x, &nx), .y = read_file(dir, y, &ny)};
    t.n = (int64_t)(ny / sizeof *t.y);
    t.d = (int64_t)(nx / sizeof *t.x) / t.n;
    MAAS_CHECK(t.d > 0 && t.d < MAX_COLS);
    return t;
}

static void as_dataset(const table *t, maas_dataset *out)
{
    static maas_ds_column cols[MAX_COLS];
    for (int64_t c = 0; c < t->d; c++) {
        float *column = maas_alloc((size_t)t->n * sizeof *column);
        char name[16];
        MAAS_CHECK(column);
        for (int64_t i = 0; i < t->n; i++)
            column[i] = t->x[i * t->d + c];
        snprintf(name, sizeof name, "x%lld", (long long)c);
        cols[c] = (maas_ds_column){.desc = {.name = maas_strdup(name), .dtype = MAAS_F32},
                                   .data = column};
    }
    cols[t->d] = (maas_ds_column){.desc = {.name = maas_strdup("y"), .dtype = MAAS_I64},
                                  .data = t->y};
    *out = (maas_dataset){.n_rows = t->n, .n_cols = (uint32_t)t->d + 1, .cols = cols};
}

static int64_t n_right(maas_exec *exec, const table *t, int64_t from, int64_t n)
{
    memcpy(maas_exec_input(exec, 0)->data, t->x + from * t->d, (size_t)(n * t->d) * sizeof(float));
    must(maas_exec_run(exec, &failure));
    const int64_t *label = maas_exec_output(exec, 0)->data;
    int64_t right = 0;
    for (int64_t i = 0; i < n; i++)
        right += label[i] == t->y[from + i];
    return right;
}

static double accuracy(const maas_buf *onnx, const table *t)
{
    maas_graph *g = NULL;
    maas_plan *plan = NULL;
    maas_exec *exec = NULL;
    maas_onnx_opts o = {0};
    maas_plan_opts opts = MAAS_PLAN_OPTS_INIT;
    must(maas_onnx_read(maas_buf_span(onnx), &o, &g, &failure));
    maas_type in = maas_graph_at(g, g->inputs[0])->type;
    in.dims[0] = TEST_ROWS;
    must(maas_plan_create(g, &in, &opts, &plan, &failure));
    must(maas_exec_create(plan, NULL, &exec, &failure));
    int64_t right = 0, seen = 0;
    for (; seen + TEST_ROWS <= t->n; seen += TEST_ROWS)
        right += n_right(exec, t, seen, TEST_ROWS);
    return (double)right / (double)seen;
}

static double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void keep(const char *path, const maas_buf *onnx)
{
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(onnx->p, 1, onnx->n, f) != onnx->n || fclose(f))
        must(maas_fail(&failure, MAAS_E_IO, "%s cannot be written", path));
}

int main(int argc, char **argv)
{
    json_t *params = NULL;
    int64_t threads = maas_sys_n_cores();
    if (argc < 4 || (argc > 4 && !maas_parse_i64(argv[4], &threads))) {
        fprintf(stderr, "bench_forest_train DIRECTORY LEARNER PARAMS [THREADS [FILE]]\n");
        return 2;
    }
    must(maas_json_parse(maas_span_str(argv[3]), &params, &failure));
    const table train = read_table(argv[1], "train.x", "train.y"),
                test = read_table(argv[1], "test.x", "test.y");
    maas_dataset data;
    as_dataset(&train, &data);
    const maas_train_job job = {.learner = argv[2],
                                .params = params,
                                .data = &data,
                                .target = "y",
                                .n_threads = (int)threads};
    maas_train_result r = {0};
    const uint64_t start = maas_now_ns();
    const double cpu = cpu_seconds();
    must(maas_train(&job, &r, &failure));
    const double seconds = 1e-9 * (double)(maas_now_ns() - start), used = cpu_seconds() - cpu;
    printf("seconds %.3f cpu %.3f accuracy %.4f threads %lld MB %.1f version maas\n", seconds, used,
           accuracy(&r.onnx, &test), (long long)threads, 1e-6 * (double)r.onnx.n);
    if (argc > 5)
        keep(argv[5], &r.onnx);
    return 0;
}
