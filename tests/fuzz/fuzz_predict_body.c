/*
 * The bodies of predictions. First byte: what it is, second: where it is cut or which model; the
 * rest is the body. What is accepted is run.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "api/oip_request.h"
#include "api/rows.h"
#include "base/mem.h"
#include "formats/onnx.h"
#include "ops/build.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* One input of three numbers, or a column of numbers and one of texts. */
static maas_instance *model_of(bool columns)
{
    const maas_instance_opts o = {.max_waiting = 1};
    const int64_t three[2] = {MAAS_DIM_SYMBOL(0), 3}, one[2] = {MAAS_DIM_SYMBOL(0), 1};
    maas_buf file = MAAS_BUF_INIT(1u << 20);
    maas_graph *g = NULL;
    maas_builder b;
    maas_instance *m = NULL;
    maas_err err = {0};
    int64_t symbol;
    maas_graph_create("g", NULL, &g, &err);
    maas_graph_symbol(g, "n", &symbol, &err);
    maas_builder_init(&b, g, &err);
    maas_vid x = maas_b_input(&b, "x", MAAS_F32, 2, columns ? one : three);
    maas_vid t = columns ? maas_b_input(&b, "t", MAAS_STRING, 2, one) : MAAS_NO_VALUE;
    maas_b_output(&b, "y", maas_b_op1(&b, "Relu", x));
    if (columns)
        maas_b_output(&b, "u", maas_b_op1(&b, "Identity", t));
    maas_onnx_write(g, NULL, NULL, &file, &err);
    maas_graph_destroy(g);
    int fd = memfd_create("model", 0);
    maas_sys_write(fd, file.p, file.n, &err);
    maas_buf_reset(&file);
    if (maas_instance_create(fd, "m", 1, 1, &o, &m, &err) != MAAS_OK) {
        fprintf(stderr, "%s\n", err.msg);
        __builtin_trap();
    }
    close(fd);
    return m;
}

static void read_oip(maas_arena *a, const uint8_t *p, size_t n, uint8_t how)
{
    maas_oip_request q;
    maas_err err = {0};
    char header[24];
    size_t json = n * how / 255, cut = n / 2;
    snprintf(header, sizeof header, "%zu", json);
    if (maas_oip_request_begin(&q, a, how ? header : NULL, n, 1 << 20, &err) == MAAS_OK &&
        maas_oip_request_feed(&q, maas_span_of(p, cut), &err) == MAAS_OK &&
        maas_oip_request_feed(&q, maas_span_of(p + cut, n - cut), &err) == MAAS_OK)
        maas_oip_request_end(&q, &err);
}

static void read_rows(maas_arena *a, maas_instance *m, const uint8_t *p, size_t n, uint8_t kind)
{
    maas_prediction q = {.arena = a, .model = m};
    maas_json_scan s;
    maas_err err = {0};
    maas_json_scan_init(&s, maas_span_of(p, n));
    s.nonfinite = true;
    if (maas_run_init(&q.run, m, a, &err) != MAAS_OK)
        return;
    maas_status st = kind == 1   ? maas_rows_decode(&q, &s, &err)
                     : kind == 2 ? maas_columns_decode(&q, &s, &err)
                                 : maas_csv_decode(&q, maas_span_of(p, n), &err);
    if (st == MAAS_OK && maas_run_check(&q.run, &err) == MAAS_OK &&
        maas_run_go(&q.run, 1, &err) == MAAS_OK)
        maas_run_done(&q.run);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static maas_instance *models[2];
    if (!models[0]) {
        models[0] = model_of(false);
        models[1] = model_of(true);
    }
    if (n < 2)
        return 0;
    maas_budget budget = {.limit = 256u << 20};
    maas_arena a;
    maas_arena_init(&a, &budget);
    if (data[0] % 4 == 0)
        read_oip(&a, data + 2, n - 2, data[1]);
    else
        read_rows(&a, models[data[1] & 1], data + 2, n - 2, data[0] % 4);
    maas_arena_reset(&a);
    return 0;
}
