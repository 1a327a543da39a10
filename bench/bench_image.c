/*
 * bench_image - makes what the end-to-end figure of tensors needs: a model that takes an image
 * [n][3][224][224] and answers one value of it, so that nothing but the way in takes time, and one
 * image as two requests.
 *
 *   bench_image DIRECTORY       writes image.onnx, image.json, image.bin
 *
 * image.bin is the body of an OIP request with a binary tensor; its JSON part's length is printed.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/sys.h"
#include "formats/onnx.h"
#include "ops/build.h"
#include "tensor/json.h"
#include "base/ban.h"

enum { N_VALUES = 3 * 224 * 224 };

static maas_err failure;

static void must(maas_status st)
{
    if (st == MAAS_OK)
        return;
    fprintf(stderr, "bench_image: %s\n", failure.msg);
    exit(1);
}

static void write_file(const char *dir, const char *name, const maas_buf *b)
{
    char path[4096];
    AUTO_FD fd = -1;
    MAAS_CHECK(!b->failed);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        must(maas_fail(&failure, MAAS_E_IO, "%s: %m", path));
    must(maas_sys_write(fd, b->p, b->n, &failure));
}

static void write_model(const char *dir)
{
    maas_graph *g = NULL;
    maas_builder b;
    AUTO(maas_buf_reset) maas_buf out = MAAS_BUF_INIT(1 << 20);
    int64_t dims[] = {0, 3, 224, 224};
    must(maas_graph_create("image", NULL, &g, &failure));
    must(maas_graph_symbol(g, "n", &dims[0], &failure));
    maas_builder_init(&b, g, &failure);
    maas_vid x = maas_b_input(&b, "x", MAAS_F32, 4, dims);
    maas_vid flat_and_where[] = {maas_b_op1(&b, "Flatten", x), maas_b_i64(&b, N_VALUES / 2)};
    const maas_attr axis = MAAS_A_INT("axis", 1);
    maas_b_output(&b, "value", maas_b_node(&b, "Gather", &axis, 1, flat_and_where, 2, NULL, 1));
    must(b.status);
    must(maas_onnx_write(g, NULL, NULL, &out, &failure));
    write_file(dir, "image.onnx", &out);
    maas_graph_destroy(g);
}

#define HEAD "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,3,224,224],\"datatype\":\"FP32\","

static void write_requests(const char *dir)
{
    const int64_t dims[] = {N_VALUES};
    AUTO_FREE float *values = maas_calloc(N_VALUES, sizeof *values);
    AUTO(maas_buf_reset) maas_buf out = MAAS_BUF_INIT(16 << 20);
    maas_tensor t = maas_tensor_of(MAAS_F32, 1, dims, values);
    maas_rng rng;
    MAAS_CHECK(values);
    maas_rng_seed(&rng, 1);
    for (int i = 0; i < N_VALUES; i++)
        values[i] = (float)maas_rng_unit(&rng);
    maas_buf_str(&out, HEAD "\"data\":");
    maas_json_encode_tensor(&t, &out);
    maas_buf_str(&out, "}]}");
    write_file(dir, "image.json", &out);

    maas_buf_clear(&out);
    maas_buf_printf(&out, HEAD "\"parameters\":{\"binary_data_size\":%zu}}]}",
                    N_VALUES * sizeof *values);
    printf("%zu\n", out.n);
    maas_buf_add(&out, values, N_VALUES * sizeof *values);
    write_file(dir, "image.bin", &out);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: bench_image DIRECTORY\n", stderr);
        return 2;
    }
    write_model(argv[1]);
    write_requests(argv[1]);
    return 0;
}
