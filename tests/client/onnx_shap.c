/*
 * tests/client/onnx_shap.c - MODEL.onnx ROWS BACKGROUND OUT: Shapley values of the first node,
 * which is a tree operator, for test_shap.py. ROWS and BACKGROUND are raw doubles [n][features],
 * OUT gets for each row [targets][features] by covers (when they are known), then the same against
 * the background; before them the expected sums of both.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/sys.h"
#include "formats/onnx.h"
#include "ops/shap.h"

static maas_err err;

static void must(maas_status st, const char *what)
{
    if (st == MAAS_OK)
        return;
    fprintf(stderr, "%s: %s\n", what, err.msg);
    exit(1);
}

static maas_map slurp(const char *path)
{
    maas_map map = {0};
    AUTO_FD fd = -1;
    must(maas_sys_open(path, O_RDONLY, &fd, &err), path);
    must(maas_sys_map(fd, &map, &err), path);
    return map;
}

static void put(FILE *out, const double *v, size_t n)
{
    if (fwrite(v, sizeof *v, n, out) != n)
        exit(1);
}

static void expected(const maas_shap *s, const maas_forest *f, const double *background, size_t n,
                     FILE *out)
{
    const size_t n_targets = (size_t)f->n_targets;
    double *mean = calloc(2 * n_targets, sizeof *mean), *y = mean + n_targets;
    if (maas_shap_has_covers(s)) {
        maas_shap_expected(s, y);
        put(out, y, n_targets);
    }
    for (size_t r = 0; r < n; r++) {
        maas_forest_row(f, background + r * (size_t)f->n_features, y);
        for (size_t t = 0; t < n_targets; t++)
            mean[t] += y[t] / (double)n;
    }
    put(out, mean, n_targets);
    free(mean);
}

int main(int argc, char **argv)
{
    maas_graph *g;
    maas_forest *f;
    maas_shap *s;
    if (argc != 5)
        return 2;
    const maas_map file = slurp(argv[1]), x = slurp(argv[2]), b = slurp(argv[3]);
    must(maas_onnx_read(maas_span_of(file.p, file.n), NULL, &g, &err), "read");
    const int64_t n = maas_graph_at(g, g->inputs[0])->type.dims[1];
    must(maas_forest_of_node(&g->nodes[0], n, NULL, &f, &err), "forest");
    must(maas_shap_create(f, NULL, &s, &err), "shap");
    const size_t width = (size_t)f->n_targets * (size_t)n, row = (size_t)n * sizeof(double);
    double *phi = calloc(width, sizeof *phi);
    void *scratch = aligned_alloc(64, (maas_shap_scratch(s) + 63) / 64 * 64);
    FILE *out = fopen(argv[4], "wb");
    if (!phi || !scratch || !out)
        return 1;
    expected(s, f, (const double *)b.p, b.n / row, out);
    for (size_t r = 0; r < x.n / row; r++) {
        const double *at = (const double *)(x.p + r * row);
        if (maas_shap_has_covers(s)) {
            maas_shap_by_covers(s, at, 1, phi, scratch);
            put(out, phi, width);
        }
        maas_shap_against(s, at, (const double *)b.p, (int64_t)(b.n / row), phi, scratch);
        put(out, phi, width);
    }
    fclose(out);
    free(phi);
    free(scratch);
    maas_shap_destroy(s);
    maas_forest_destroy(f);
    maas_graph_destroy(g);
    return 0;
}
