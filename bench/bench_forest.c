/*
 * Rows through a model of trees, in this process, by the public library.
 *
 *   bench_forest STEM THREADS    reads STEM.onnx, STEM.rows (10,000 rows as the input wants them)
 * and STEM.answers (floats that somebody else gave)
 *
 * Prints `batch N us MEDIAN` for 1, 100 and 10,000 rows, and the largest difference.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "maas.h"

enum { ROWS = 10000, MOST = 20000 };

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void must(maas_status st, const char *what)
{
    if (st == MAAS_OK)
        return;
    fprintf(stderr, "%s: %s\n", what, maas_status_text(st));
    exit(1);
}

static void *slurp(const char *stem, const char *end, size_t *out_n)
{
    char path[1024];
    snprintf(path, sizeof path, "%s.%s", stem, end);
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        exit(1);
    }
    fseek(f, 0, SEEK_END);
    *out_n = (size_t)ftell(f);
    rewind(f);
    void *p = malloc(*out_n + 1);
    if (!p || fread(p, 1, *out_n, f) != *out_n)
        exit(1);
    fclose(f);
    return p;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median_us(maas_session *s)
{
    static double times[MOST];
    int n = 0;
    must(maas_session_run(s), maas_session_error(s));
    for (const double end = now_us() + 7e5; n < 5 || (n < MOST && now_us() < end); n++) {
        const double t = now_us();
        must(maas_session_run(s), maas_session_error(s));
        times[n] = now_us() - t;
    }
    qsort(times, (size_t)n, sizeof *times, by_value);
    return times[n / 2];
}

static double difference(maas_session *s, const float *want, size_t n)
{
    const int64_t *dims;
    int32_t rank;
    const void *data;
    size_t n_bytes;
    double most = 0;
    must(maas_session_output(s, 0, &dims, &rank, &data, &n_bytes), "output");
    for (size_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)((const float *)data)[i] - (double)want[i]));
    return most;
}

int main(int argc, char **argv)
{
    static const int64_t batches[] = {1, 100, ROWS};
    maas_load_opts opts = MAAS_LOAD_OPTS_INIT;
    maas_model *m;
    maas_session *s;
    maas_io in;
    char path[1024], *error = NULL;
    size_t n_rows, n_answers;
    if (argc != 3)
        return 2;
    opts.n_threads = (uint32_t)strtoul(argv[2], NULL, 10);
    snprintf(path, sizeof path, "%s.onnx", argv[1]);
    if (maas_model_load(path, &opts, &m, &error) != MAAS_OK) {
        fprintf(stderr, "%s\n", error);
        return 1;
    }
    must(maas_session_create(m, &s), "session");
    must(maas_model_input(m, 0, &in), "input");
    const void *rows = slurp(argv[1], "rows", &n_rows);
    const float *answers = slurp(argv[1], "answers", &n_answers);
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
        const int64_t dims[] = {batches[i], in.dims[1]};
        const size_t n = n_rows / ROWS * (size_t)batches[i];
        must(maas_session_set_input(s, 0, dims, 2, rows, n), maas_session_error(s));
        printf("batch %lld us %.3f\n", (long long)batches[i], median_us(s));
        fflush(stdout);
    }
    printf("difference %.3g\n", difference(s, answers, n_answers / sizeof *answers));
    maas_session_free(s);
    maas_model_free(m);
    return 0;
}
