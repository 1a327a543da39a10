/* An adapter beside a small model: whatever is accepted has a graph, and a step that runs. */
#include "lm/model.h"
#include "lm/tiny.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tiny t;
    const maas_lm_file f[] = {{"model.gguf", tiny_make(&t, MAAS_Q_Q8_0, 1)},
                              {"adapters/x.gguf", maas_span_of(data, size)}};
    const maas_lm_opts o = {.n_threads = 1, .max_rows = 4, .max_seqs = 1, .cache_bytes = 1 << 16};
    maas_budget budget = {.limit = (size_t)64 << 20};
    maas_lm_source *s = NULL;
    maas_lm *m = NULL;
    maas_err err = {0};
    if (maas_lm_source_open(f, 2, &budget, &s, &err) == MAAS_OK &&
        maas_lm_create(s, &o, &m, &err) == MAAS_OK) {
        const int32_t token = 3, block = 0, row = 0;
        const maas_lm_seq q = {1, 0, &block, 1, 1};
        const float *logits;
        maas_lm_step(m, &(maas_lm_batch){&token, &q, &row, 1, 1}, &logits, &err);
    }
    maas_lm_destroy(m);
    maas_lm_source_close(s);
    tiny_reset(&t);
    return 0;
}
