/*
 * examples/predict.c - a model in a program of yours, in a page: loads an ONNX file, says what it
 * takes, feeds the numbers of the command line to its first input as rows, prints its first output.
 *
 *     cc predict.c $(pkg-config --cflags --libs maas) -o predict
 *     ./predict iris.onnx 5.1 3.5 1.4 0.2
 */
#include <maas.h>

#include <stdio.h>
#include <stdlib.h>

static void print_io(const char *what, const maas_io *io)
{
    int32_t d;
    printf("%s %s [", what, io->name);
    for (d = 0; d < io->rank; d++)
        printf("%s%lld", d ? "," : "", (long long)io->dims[d]);
    printf("]\n");
}

/* Prints output 0, whatever its type is among those that classifiers and regressors answer. */
static int print_output(maas_session *s, maas_dtype dtype)
{
    const int64_t *dims;
    int32_t rank, d;
    const void *data;
    size_t n_bytes;
    int64_t n = 1, i;
    if (maas_session_output(s, 0, &dims, &rank, &data, &n_bytes) != MAAS_OK)
        return 1;
    for (d = 0; d < rank; d++)
        n *= dims[d];
    for (i = 0; i < n; i++) {
        if (dtype == MAAS_F32)
            printf("%g\n", (double)((const float *)data)[i]);
        else if (dtype == MAAS_I64)
            printf("%lld\n", (long long)((const int64_t *)data)[i]);
        else if (dtype == MAAS_STRING)
            printf("%s\n", ((const char *const *)data)[i]);
    }
    return 0;
}

/* The numbers as rows of the model's first input: [n / width, width]. */
static int predict(maas_model *m, const float *x, int64_t n)
{
    maas_session *s = NULL;
    maas_io in, out;
    int64_t dims[2];
    int failed = 1;
    if (maas_session_create(m, &s) != MAAS_OK)
        return 1;
    maas_model_input(m, 0, &in);
    maas_model_output(m, 0, &out);
    print_io("input ", &in);
    print_io("output", &out);
    dims[1] = in.rank == 2 && in.dims[1] > 0 ? in.dims[1] : n;
    dims[0] = dims[1] ? n / dims[1] : 0;
    if (maas_session_set_input(s, 0, dims, 2, x, (size_t)n * sizeof *x) == MAAS_OK &&
        maas_session_run(s) == MAAS_OK)
        failed = print_output(s, out.dtype);
    if (failed)
        fprintf(stderr, "predict: %s\n", maas_session_error(s));
    maas_session_free(s);
    return failed;
}

int main(int argc, char **argv)
{
    maas_model *m = NULL;
    char *error = NULL;
    float *x;
    int i, failed;
    if (argc < 3) {
        fprintf(stderr, "usage: predict MODEL.onnx NUMBER...\n");
        return 2;
    }
    if (maas_model_load(argv[1], NULL, &m, &error) != MAAS_OK) {
        fprintf(stderr, "predict: %s\n", error ? error : "out of memory");
        maas_string_free(error);
        return 1;
    }
    x = malloc((size_t)argc * sizeof *x);
    for (i = 2; x && i < argc; i++)
        x[i - 2] = (float)atof(argv[i]);
    failed = x ? predict(m, x, argc - 2) : 1;
    free(x);
    maas_model_free(m);
    return failed;
}
