/*
 * tests/fuzz/fuzz_checkpoint.c - training states of hostile origin. The checksum is put right for
 * every input, or nothing behind it would ever be reached; what is accepted must say the same when
 * it is written and read again.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "learn/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static maas_vars *make_vars(void)
{
    static float a[6] = {1, 2, 3, 4, 5, 6}, b = 7;
    maas_tensor ta = maas_tensor_of(MAAS_F32, 2, (int64_t[]){2, 3}, a);
    maas_tensor tb = maas_tensor_of(MAAS_F32, 0, NULL, &b);
    maas_graph *g;
    maas_vars *vars;
    maas_vid v;
    if (maas_graph_create("fuzz", NULL, &g, NULL) != MAAS_OK ||
        maas_graph_variable(g, "layers.0.weight", &ta, true, &v, NULL) != MAAS_OK ||
        maas_graph_variable(g, "optimizer.m.layers.0.weight", &tb, true, &v, NULL) != MAAS_OK ||
        maas_vars_create(g, NULL, &vars, NULL) != MAAS_OK)
        abort();
    maas_graph_destroy(g);
    return vars;
}

static void add_digest(maas_buf *b)
{
    maas_sha256 h;
    uint8_t sum[MAAS_SHA256_BYTES];
    if (!maas_sha256_init(&h))
        abort();
    maas_sha256_add(&h, b->p ? b->p : "", b->n);
    maas_sha256_done(&h, sum);
    maas_buf_add(b, sum, sizeof sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    maas_buf bytes = MAAS_BUF_INIT(1u << 24), again = MAAS_BUF_INIT(1u << 24);
    maas_vars *vars = make_vars();
    maas_checkpoint c = {.kind = MAAS_CHECKPOINT_RUN, .n_sets = 1};
    c.sets[0].vars = vars;
    maas_buf_add(&bytes, data, size);
    add_digest(&bytes);
    if (maas_checkpoint_read(maas_buf_span(&bytes), &c, NULL) == MAAS_OK) {
        maas_checkpoint d = {.kind = MAAS_CHECKPOINT_RUN, .n_sets = 1};
        d.sets[0].vars = vars;
        if (maas_checkpoint_write(&c, &again, NULL) != MAAS_OK ||
            maas_checkpoint_read(maas_buf_span(&again), &d, NULL) != MAAS_OK ||
            d.epoch != c.epoch || d.step != c.step ||
            !(json_equal(c.history, d.history) || !c.history))
            abort();
        maas_json_unref(&d.history);
    }
    maas_json_unref(&c.history);
    maas_vars_destroy(vars);
    maas_buf_reset(&bytes);
    maas_buf_reset(&again);
    return 0;
}
