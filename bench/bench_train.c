/*
 * bench_train - the trainer of a job, whole: Fashion-MNIST files in, a model out, timed by epochs.
 *
 *   bench_train DIRECTORY BATCH EPOCHS [THREADS [NETWORK]]
 *
 * Rows, shuffling, steps and metrics are what a job's worker does; reading the files, planning and
 * the last scoring are not counted, as they are not for the peers. An epoch's time is from the end
 * of the one before it. The multiply-add peak is measured before and after; the higher one counts.
 * Prints one line: samples/s (of the median epoch), accuracy on the test files, GFLOP/s, peak.
 * NETWORK is one of the zoo (lenet); its GFLOP/s are not known and not printed.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/sys.h"
#include "bench/peak.h"
#include "formats/onnx.h"
#include "learn/train.h"
#include "runtime/plan.h"
#include "base/ban.h"

#define FLOPS_PER_SAMPLE 507392 /* products only, forward and backward */
#define MAX_EPOCHS       1000
#define TEST_ROWS        1000 /* of one run of the finished model */

static maas_err failure;

static void must(maas_status st)
{
    if (st == MAAS_OK)
        return;
    fprintf(stderr, "bench_train: %s\n", failure.msg);
    exit(1);
}

/* ---- data sets whose blobs are memory files ---- */

typedef struct store {
    char hex[8][MAAS_SHA256_HEX];
    int fd[8], n;
} store;

static maas_status store_create(void *user, int *out_fd, maas_err *err)
{
    *out_fd = memfd_create("column", MFD_CLOEXEC);
    return *out_fd >= 0 ? MAAS_OK : maas_fail(err, MAAS_E_IO, "memory file: %m");
}

static maas_status store_commit(void *user, int fd, const char hex[MAAS_SHA256_HEX], maas_err *err)
{
    store *s = user;
    MAAS_CHECK((size_t)s->n < MAAS_COUNT(s->fd));
    memcpy(s->hex[s->n], hex, MAAS_SHA256_HEX);
    s->fd[s->n++] = dup(fd);
    return MAAS_OK;
}

static maas_status store_open(void *user, const char *hex, int *out_fd, maas_err *err)
{
    const store *s = user;
    for (int i = 0; i < s->n; i++)
        if (strcmp(s->hex[i], hex) == 0) {
            *out_fd = dup(s->fd[i]);
            return MAAS_OK;
        }
    return maas_fail(err, MAAS_E_NOT_FOUND, "no such blob");
}

static void read_file(maas_dataset_writer *w, const char *dir, const char *file, const char *column)
{
    char path[4096];
    int fd = -1;
    maas_map map;
    maas_table_opts o = MAAS_TABLE_OPTS_INIT;
    maas_table_sink sink = maas_dataset_writer_sink(w);
    o.column_name = column;
    snprintf(path, sizeof path, "%s/%s", dir, file);
    must(maas_sys_open(path, O_RDONLY, &fd, &failure));
    must(maas_sys_map(fd, &map, &failure));
    must(maas_table_read(maas_span_of(map.p, map.n), NULL, file, &o, &sink, &failure));
    maas_sys_unmap(&map);
    close(fd);
}

static maas_dataset *open_images(store *s, const char *dir, const char *images, const char *labels)
{
    const maas_blob_io io = {s, store_create, store_commit, store_open};
    maas_dataset_writer *w = NULL;
    maas_dataset *d = NULL;
    AUTO(maas_json_unref) json_t *manifest = NULL;
    must(maas_dataset_writer_create(&io, &w, &failure));
    read_file(w, dir, images, "features");
    read_file(w, dir, labels, "target");
    must(maas_dataset_writer_finish(w, &manifest, &failure));
    maas_dataset_writer_destroy(w);
    must(maas_dataset_open(manifest, &io, &d, &failure));
    return d;
}

/* ---- the clock of the epochs ---- */

typedef struct epochs {
    uint64_t last_ns;
    double seconds[MAX_EPOCHS];
    size_t n;
} epochs;

/* The first word comes after the first batch: the first epoch is short of it, and not the median.
 */
static void on_progress(void *user, double fraction, const json_t *metrics, const char *note)
{
    epochs *e = user;
    e->last_ns = e->last_ns ? e->last_ns : maas_now_ns();
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(epochs *e)
{
    qsort(e->seconds, e->n, sizeof *e->seconds, by_value);
    return e->seconds[e->n / 2];
}

/* At the end of every epoch. What a worker does with the state, short of the disk, is counted. */
static maas_status on_checkpoint(void *user, maas_span state, maas_err *err)
{
    epochs *e = user;
    maas_sha256 h;
    uint8_t digest[MAAS_SHA256_BYTES];
    MAAS_CHECK(maas_sha256_init(&h) && e->n < MAX_EPOCHS);
    maas_sha256_add(&h, state.p, state.n);
    maas_sha256_done(&h, digest);
    const uint64_t now = maas_now_ns();
    e->seconds[e->n++] = (double)(now - e->last_ns) * 1e-9;
    e->last_ns = now;
    return MAAS_OK;
}

/* ---- the finished model on the test files ---- */

static double accuracy(maas_span file, const maas_dataset *test)
{
    const maas_ds_column *x = maas_dataset_column(test, "features");
    const maas_ds_column *y = maas_dataset_column(test, "target");
    const int64_t pixels = x->desc.dims[0] * x->desc.dims[1], n = TEST_ROWS;
    maas_graph *g = NULL;
    maas_plan *plan = NULL;
    maas_exec *e = NULL;
    must(maas_onnx_read(file, &(maas_onnx_opts){0}, &g, &failure));
    maas_type type = maas_graph_at(g, g->inputs[0])->type;
    type.dims[0] = n;
    maas_plan_opts o = MAAS_PLAN_OPTS_INIT;
    must(maas_plan_create(g, &type, &o, &plan, &failure));
    must(maas_exec_create(plan, NULL, &e, &failure));
    int64_t right = 0, at = 0;
    for (; at + n <= test->n_rows; at += n) {
        float *in = maas_exec_input(e, 0)->data;
        for (int64_t i = 0; i < n * pixels; i++)
            in[i] = ((const uint8_t *)x->data)[at * pixels + i];
        must(maas_exec_run(e, &failure));
        const int64_t *label = maas_exec_output(e, 0)->data;
        for (int64_t i = 0; i < n; i++)
            right += label[i] == ((const uint8_t *)y->data)[at + i];
    }
    maas_exec_destroy(e);
    maas_plan_destroy(plan);
    maas_graph_destroy(g);
    return (double)right / (double)at;
}

static json_t *recipe(const char *network, int64_t batch, int64_t n_epochs)
{
    json_t *p = json_pack("{s:[{s:s}, {s:s, s:i, s:s}, {s:s, s:i, s:s}, {s:s, s:i, s:s}], s:s, "
                          "s:{s:s, s:f}, s:I, s:I, s:i}",
                          "layers", "type", "flatten", "type", "dense", "units", 128, "activation",
                          "relu", "type", "dense", "units", 128, "activation", "relu", "type",
                          "dense", "units", 10, "activation", "softmax", "loss", "cross_entropy",
                          "optimizer", "type", "adam", "lr", 0.001, "epochs", (json_int_t)n_epochs,
                          "batch_size", (json_int_t)batch, "seed", 7);
    MAAS_CHECK(p);
    if (network)
        MAAS_CHECK(json_object_set_new(p, "layers", json_string(network)) == 0);
    return p;
}

int main(int argc, char **argv)
{
    int64_t batch, n_epochs, n_threads = maas_sys_n_cores();
    if (argc < 4 || !maas_parse_i64(argv[2], &batch) || !maas_parse_i64(argv[3], &n_epochs) ||
        n_epochs < 1 || n_epochs > MAX_EPOCHS ||
        (argc > 4 && !maas_parse_i64(argv[4], &n_threads))) {
        fputs("usage: bench_train DIRECTORY BATCH EPOCHS [THREADS [NETWORK]]\n", stderr);
        return 2;
    }
    const char *network = argc > 5 ? argv[5] : NULL;
    static store blobs;
    static epochs times;
    maas_budget budget = {.limit = 4ull << 30};
    maas_dataset *train = open_images(&blobs, argv[1], "train-images-idx3-ubyte.gz",
                                      "train-labels-idx1-ubyte.gz");
    maas_dataset *test = open_images(&blobs, argv[1], "t10k-images-idx3-ubyte.gz",
                                     "t10k-labels-idx1-ubyte.gz");
    AUTO(maas_json_unref) json_t *params = recipe(network, batch, n_epochs);
    const maas_train_hooks hooks = {&times, on_progress, NULL, on_checkpoint};
    const maas_train_job job = {.learner = "network",
                                .params = params,
                                .data = train,
                                .target = "target",
                                .n_threads = (int)n_threads,
                                .budget = &budget,
                                .hooks = &hooks};
    AUTO(maas_train_result_reset) maas_train_result result = {0};
    double peak = bench_peak_gflops((int)n_threads);
    must(maas_train(&job, &result, &failure));
    const double after = bench_peak_gflops((int)n_threads);
    peak = after > peak ? after : peak;
    const double rate = (double)train->n_rows / median(&times);
    const double right = accuracy(maas_buf_span(&result.onnx), test);
    if (network)
        printf("samples/s %.0f accuracy %.4f threads %lld version maas\n", rate, right,
               (long long)n_threads);
    else
        printf("samples/s %.0f accuracy %.4f gflops %.1f peak %.1f threads %lld version maas\n",
               rate, right, rate * FLOPS_PER_SAMPLE * 1e-9, peak, (long long)n_threads);
    maas_dataset_close(train);
    maas_dataset_close(test);
    return 0;
}
