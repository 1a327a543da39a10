/*
 * bench_json - a JSON tensor of 150,528 floats (one image of 3x224x224), in and out.
 *
 * Prints MB/s of the text, the best of the runs on one core, and on the same text what the C
 * library's strtof makes of the numbers alone, and jansson of the array, as ratios. The limit is
 * one look at each byte, one after the other: a sum of its digits that skips what is no digit.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/sys.h"
#include "tensor/json.h"
#include "base/ban.h"

enum { N_VALUES = 150528, N_RUNS = 40 };

typedef struct job {
    maas_buf text; /* the array */
    maas_buf out;  /* of encoding */
    float *values; /* [N_VALUES] */
} job;

static void decode(job *j)
{
    maas_json_scan s;
    maas_err err = {0};
    maas_json_tensor t = {.dtype = MAAS_F32, .data = j->values, .max = N_VALUES};
    maas_json_scan_init(&s, maas_buf_span(&j->text));
    MAAS_CHECK(maas_json_decode_tensor(&s, &t, &err) == MAAS_OK && t.n == N_VALUES);
}

static void encode(job *j)
{
    const int64_t dims[] = {N_VALUES};
    maas_tensor x = maas_tensor_of(MAAS_F32, 1, dims, j->values);
    maas_buf_clear(&j->out);
    maas_json_encode_tensor(&x, &j->out);
    MAAS_CHECK(!j->out.failed);
}

static void library_floats(job *j)
{
    char *at = j->text.p + 1;
    for (int i = 0; i < N_VALUES; i++)
        j->values[i] = strtof(at, &at), at++;
}

static void library_tree(job *j)
{
    json_t *tree = json_loadb(j->text.p, j->text.n, 0, NULL);
    MAAS_CHECK(json_array_size(tree) == N_VALUES);
    json_decref(tree);
}

/* The least that any decoder that goes from byte to byte must do: read it, test it, multiply, add.
 */
static void digits(job *j)
{
    volatile uint64_t sink;
    uint64_t sum = 0;
    for (size_t i = 0; i < j->text.n; i++) {
        const unsigned digit = (unsigned)(uint8_t)j->text.p[i] - '0';
        sum = digit < 10 ? sum * 10 + digit : 0;
    }
    sink = sum;
    (void)sink;
}

static double mb_per_s(job *j, void (*fn)(job *), int n_runs, const maas_buf *measure)
{
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < n_runs; i++) {
        uint64_t start = maas_now_ns();
        fn(j);
        uint64_t took = maas_now_ns() - start;
        best = took < best ? took : best;
    }
    return (double)measure->n * 1e3 / (double)best;
}

static void report(job *j, const char *what)
{
    double ours = mb_per_s(j, decode, N_RUNS, &j->text);
    double strtof_rate = mb_per_s(j, library_floats, N_RUNS / 8, &j->text);
    double jansson_rate = mb_per_s(j, library_tree, N_RUNS / 8, &j->text);
    double limit = mb_per_s(j, digits, N_RUNS / 8, &j->text);
    decode(j);
    double out = mb_per_s(j, encode, N_RUNS, &j->out);
    printf("json-tensor %-14s decode %6.0f MB/s (%.1fx strtof, %.1fx jansson, scan %.0f MB/s)  "
           "encode %6.0f MB/s\n",
           what, ours, ours / strtof_rate, ours / jansson_rate, limit, out);
}

int main(void)
{
    AUTO_FREE float *values = maas_calloc(N_VALUES, sizeof *values);
    job j = {.text = MAAS_BUF_INIT(64 << 20), .out = MAAS_BUF_INIT(64 << 20), .values = values};
    maas_rng r;
    maas_rng_seed(&r, 1);
    MAAS_CHECK(values);
    maas_buf_char(&j.text, '[');
    for (int i = 0; i < N_VALUES; i++)
        maas_buf_printf(&j.text, "%s0.%08d", i ? "," : "", (int)maas_rng_below(&r, 100000000));
    maas_buf_char(&j.text, ']');
    report(&j, "8 digits");

    for (int i = 0; i < N_VALUES; i++)
        values[i] = (float)maas_rng_unit(&r);
    maas_buf_clear(&j.text);
    const int64_t dims[] = {N_VALUES};
    maas_tensor x = maas_tensor_of(MAAS_F32, 1, dims, values);
    maas_json_encode_tensor(&x, &j.text);
    report(&j, "shortest");
    maas_buf_reset(&j.text);
    maas_buf_reset(&j.out);
    return 0;
}
