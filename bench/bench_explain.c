/*
 * TreeSHAP of a model file of another library, in this process, on one core.
 *
 *   bench_explain FILE ROWS N      ROWS: raw rows as the model's input wants them; N of them
 *
 * Prints `method M us PER_ROW sum BIGGEST_GAP`: the median of seven passes, and how far base and
 * values are from adding up to the answer.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/sys.h"
#include "formats/model.h"
#include "learn/explain/explain.h"

enum { PASSES = 7 };

static void must(maas_status st, const maas_err *err)
{
    if (st == MAAS_OK)
        return;
    fprintf(stderr, "bench_explain: %s\n", err->msg);
    exit(1);
}

static maas_map map_of(const char *path)
{
    maas_map m = {0};
    maas_err err = {0};
    int fd;
    must(maas_sys_open(path, 0, &fd, &err), &err);
    must(maas_sys_map(fd, &m, &err), &err);
    return m;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double biggest_gap(const maas_explanation *e, int64_t rows, int64_t n, int64_t k)
{
    double gap = 0;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t o = 0; o < k; o++) {
            double sum = e->base[o];
            for (int64_t i = 0; i < n; i++)
                sum += e->phi[(r * n + i) * k + o];
            gap = fmax(gap, fabs(sum - e->answer[r * k + o]));
        }
    return gap;
}

int main(int argc, char **argv)
{
    maas_err err = {0};
    const maas_model_format *format;
    maas_graph *g = NULL;
    maas_explainer *x = NULL;
    if (argc != 4) {
        fprintf(stderr, "usage: bench_explain FILE ROWS N\n");
        return 2;
    }
    maas_map file = map_of(argv[1]), data = map_of(argv[2]);
    const int64_t rows = strtoll(argv[3], NULL, 10);
    must(maas_model_format_find(maas_span_of(file.p, file.n), NULL, &format, &err), &err);
    must(format->read(maas_span_of(file.p, file.n), NULL, &g, &err), &err);
    const maas_explain_opts o = {.method = "tree", .n_threads = 1};
    must(maas_explainer_create(g, &o, &x, &err), &err);
    const int64_t n = maas_explainer_n_features(x), k = maas_explainer_n_outputs(x);
    const maas_dtype t = (maas_dtype)maas_graph_at(g, g->inputs[0])->type.dtype;
    if (rows < 1 || data.n < (size_t)(rows * n) * maas_dtype_size(t)) {
        fprintf(stderr, "bench_explain: fewer rows than asked for\n");
        return 1;
    }
    const maas_tensor in = maas_tensor_of(t, 2, (int64_t[]){rows, n}, (void *)(uintptr_t)data.p);
    const maas_explanation out = {maas_calloc((size_t)(rows * n * k), sizeof(double)),
                                  maas_calloc((size_t)(rows * k), sizeof(double)),
                                  maas_calloc((size_t)k, sizeof(double))};
    double us[PASSES];
    for (int p = 0; p < PASSES; p++) {
        const uint64_t began = maas_now_ns();
        must(maas_explain(x, &in, rows, &out, NULL, NULL, &err), &err);
        us[p] = (double)(maas_now_ns() - began) * 1e-3 / (double)rows;
    }
    qsort(us, PASSES, sizeof *us, by_value);
    printf("method %s us %.2f sum %.2g\n", maas_explainer_method(x), us[PASSES / 2],
           biggest_gap(&out, rows, n, k));
    return 0;
}
