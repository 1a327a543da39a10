/*
 * One network, in this process, by the public library.
 *
 *   bench_onnx STEM BATCH THREADS [SECONDS] [profile]
 *
 * Reads STEM.onnx, STEM.inputs (bench/peers/onnx_models.py), STEM.BATCH.NAME.rows of each input
 * and, when there, STEM.BATCH.answers (raw floats). Prints `us MEDIAN least LEAST cpu USED first MS
 * memory MIB difference D`: of one call; from the file to the first answer; what the process grew
 * by at its peak; D is the largest difference from the answers over the largest of them (or 1).
 * `profile` adds the steps of some runs, one JSON array a line.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
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

/* KiB of the process in memory. */
static long resident(void)
{
    char line[256];
    long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmRSS: %ld", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return kib;
}

enum { INPUTS = 64, RANK = 8 };
typedef struct input {
    char name[128];
    int64_t dims[RANK];
    int rank;
    void *rows;
    size_t n_bytes;
} input;

/* A line of STEM.inputs: name, type, values (both known to who wrote the rows) and sizes. */
static void read_input(char *line, const char *stem, const char *batch, input *in)
{
    char end[256], *rest = NULL;
    char *word = strtok_r(line, " \n", &rest);
    snprintf(in->name, sizeof in->name, "%s", word);
    strtok_r(NULL, " \n", &rest);
    strtok_r(NULL, " \n", &rest);
    for (in->rank = 0; in->rank < RANK && (word = strtok_r(NULL, " \n", &rest)); in->rank++)
        in->dims[in->rank] = strtoll(*word == 'b' ? batch : word, NULL, 10);
    snprintf(end, sizeof end, "%.64s.%.120s.rows", batch, in->name);
    in->rows = slurp(stem, end, &in->n_bytes);
    must(in->rows ? MAAS_OK : MAAS_E_NOT_FOUND, end);
}

static int read_inputs(const char *stem, const char *batch, input *in)
{
    size_t n_text = 0;
    int n = 0;
    char *text = slurp(stem, "inputs", &n_text), *rest = NULL, *line = NULL;
    must(text ? MAAS_OK : MAAS_E_NOT_FOUND, stem);
    for (line = strtok_r(text, "\n", &rest); line && n < INPUTS; line = strtok_r(NULL, "\n", &rest))
        read_input(line, stem, batch, &in[n++]);
    free(text);
    return n;
}

static void set_input(maas_session *s, const maas_model *m, const input *in)
{
    maas_io io;
    for (uint32_t i = 0; i < maas_model_n_inputs(m); i++)
        if (maas_model_input(m, i, &io) == MAAS_OK && strcmp(io.name, in->name) == 0) {
            must(maas_session_set_input(s, i, in->dims, in->rank, in->rows, in->n_bytes),
                 maas_session_error(s));
            return;
        }
    must(MAAS_E_NOT_FOUND, in->name);
}

static void put_profiles(maas_session *s)
{
    for (int i = 0; i < PROFILES; i++) {
        char *json = NULL;
        must(maas_session_run(s), maas_session_error(s));
        must(maas_session_profile(s, &json), "profile");
        printf("%s\n", json);
        maas_string_free(json);
    }
}

int main(int argc, char **argv)
{
    maas_load_opts opts = MAAS_LOAD_OPTS_INIT;
    maas_model *m;
    maas_session *s;
    char path[1024], end[64], *error = NULL;
    input in[INPUTS];
    size_t n_answers = 0;
    if (argc < 4)
        return 2;
    const int n = read_inputs(argv[1], argv[2], in);
    opts.n_threads = (uint32_t)strtoul(argv[3], NULL, 10);
    snprintf(path, sizeof path, "%s.onnx", argv[1]);
    const long before = resident();
    const double begun = now_us(CLOCK_MONOTONIC);
    if (maas_model_load(path, &opts, &m, &error) != MAAS_OK) {
        fprintf(stderr, "%s\n", error);
        return 1;
    }
    must(maas_session_create(m, &s), "session");
    for (int i = 0; i < n; i++)
        set_input(s, m, &in[i]);
    must(maas_session_run(s), maas_session_error(s));
    const double first = now_us(CLOCK_MONOTONIC) - begun;
    if (argc > 5)
        must(maas_session_set_profile(s, 1), "profile");
    measure(s, argc > 4 ? strtod(argv[4], NULL) : 3);
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf(" first %.1f memory %.1f", first / 1e3, (double)(used.ru_maxrss - before) / 1024);
    snprintf(end, sizeof end, "%s.answers", argv[2]);
    float *answers = slurp(argv[1], end, &n_answers);
    if (answers)
        printf(" difference %.3g", difference(s, answers, n_answers / sizeof *answers));
    printf("\n");
    if (argc > 5)
        put_profiles(s);
    maas_session_free(s);
    maas_model_free(m);
    for (int i = 0; i < n; i++)
        free(in[i].rows);
    free(answers);
    return 0;
}
