/*
 * One network, in this process, by the public library.
 *
 *   bench_onnx STEM BATCH THREADS [SECONDS] [profile]
 *
 * Reads STEM.onnx, STEM.dims (sizes of the input after the batch), STEM.BATCH.rows and, when there,
 * STEM.BATCH.answers (raw floats). Prints `us MEDIAN least LEAST cpu USED difference D`,
 * where D is the largest difference from the answers over the largest of them (or 1); `profile`
 * adds the steps of some runs, one JSON array a line.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "maas.h"

enum { MOST = 20000, PROFILES = 15 };

static double now_us(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
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
    if (!f)
        return NULL;
    fseek(f, 0, SEEK_END);
    *out_n = (size_t)ftell(f);
    rewind(f);
    char *p = malloc(*out_n + 1);
    if (!p || fread(p, 1, *out_n, f) != *out_n)
        exit(1);
    p[*out_n] = '\0';
    fclose(f);
    return p;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Time by the clock, and what the process used: the same on an idle machine with one thread. */
static void measure(maas_session *s, double seconds)
{
    static double times[MOST], used[MOST];
    int n = 0;
    must(maas_session_run(s), maas_session_error(s));
    const double end = now_us(CLOCK_MONOTONIC) + seconds * 1e6;
    for (; n < 5 || (n < MOST && now_us(CLOCK_MONOTONIC) < end); n++) {
        const double t = now_us(CLOCK_MONOTONIC), u = now_us(CLOCK_PROCESS_CPUTIME_ID);
        must(maas_session_run(s), maas_session_error(s));
        times[n] = now_us(CLOCK_MONOTONIC) - t;
        used[n] = now_us(CLOCK_PROCESS_CPUTIME_ID) - u;
    }
    qsort(times, (size_t)n, sizeof *times, by_value);
    qsort(used, (size_t)n, sizeof *used, by_value);
    printf("us %.1f least %.1f cpu %.1f", times[n / 2], times[0], used[n / 2]);
}

static double difference(maas_session *s, const float *want, size_t n)
{
    const int64_t *dims;
    int32_t rank;
    const void *data;
    size_t n_bytes;
    double most = 0, largest = 0;
    must(maas_session_output(s, 0, &dims, &rank, &data, &n_bytes), "output");
    if (n_bytes != n * sizeof *want)
        return INFINITY;
    for (size_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)((const float *)data)[i] - (double)want[i]));
        largest = fmax(largest, fabs((double)want[i]));
    }
    return most / fmax(1, largest);
}

static int sizes_of(const char *stem, int64_t *dims, int most)
{
    size_t ignored;
    char *text = slurp(stem, "dims", &ignored), *at = text, *end = NULL;
    int n = 0;
    for (; text && n < most; at = end) {
        dims[n] = strtoll(at, &end, 10);
        if (end == at)
            break;
        n++;
    }
    free(text);
    return n;
}

int main(int argc, char **argv)
{
    maas_load_opts opts = MAAS_LOAD_OPTS_INIT;
    maas_model *m;
    maas_session *s;
    char path[1024], *error = NULL;
    if (argc < 4)
        return 2;
    int64_t dims[8] = {strtoll(argv[2], NULL, 10)};
    const int rank = 1 + sizes_of(argv[1], dims + 1, 7);
    opts.n_threads = (uint32_t)strtoul(argv[3], NULL, 10);
    snprintf(path, sizeof path, "%s.onnx", argv[1]);
    if (maas_model_load(path, &opts, &m, &error) != MAAS_OK) {
        fprintf(stderr, "%s\n", error);
        return 1;
    }
    must(maas_session_create(m, &s), "session");
    size_t n_rows = 0, n_answers = 0;
    char stem[2048];
    snprintf(stem, sizeof stem, "%s.%s", argv[1], argv[2]);
    void *rows = slurp(stem, "rows", &n_rows);
    float *answers = slurp(stem, "answers", &n_answers);
    must(maas_session_set_input(s, 0, dims, rank, rows, n_rows), maas_session_error(s));
    if (argc > 5)
        must(maas_session_set_profile(s, 1), "profile");
    measure(s, argc > 4 ? strtod(argv[4], NULL) : 3);
    if (answers)
        printf(" difference %.3g", difference(s, answers, n_answers / sizeof *answers));
    printf("\n");
    for (int i = 0; argc > 5 && i < PROFILES; i++) {
        char *json = NULL;
        must(maas_session_run(s), maas_session_error(s));
        must(maas_session_profile(s, &json), "profile");
        printf("%s\n", json);
        maas_string_free(json);
    }
    maas_session_free(s);
    maas_model_free(m);
    free(rows);
    free(answers);
    return 0;
}
