/* An adapter as PEFT saves it (tests/lm/folder.h: its two files) beside a small model: whatever is
 * accepted has a graph, and a step that runs. */
#include "lm/folder.h"
#include "lm/model.h"
#include "lm/tiny.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tiny t;
    folder f;
    maas_lm_file files[3] = {{"model.gguf", tiny_make(&t, MAAS_Q_Q8_0, 1)}};
    const maas_lm_opts o = {.n_threads = 1, .max_rows = 4, .max_seqs = 1, .cache_bytes = 1 << 16};
    maas_budget budget = {.limit = (size_t)64 << 20};
    maas_lm_source *s = NULL;
    maas_lm *m = NULL;
    maas_err err = {0};
    uint32_t n = 1;
    folder_open(&f, maas_span_of(data, size));
    for (uint32_t i = 0; i < f.n && n < 3; i++)
        if (maas_lm_is_adapter(f.files[i].path))
            files[n++] = f.files[i];
    if (maas_lm_source_open(files, n, &budget, &s, &err) == MAAS_OK &&
        maas_lm_create(s, &o, &m, &err) == MAAS_OK) {
        const int32_t token = 3, block = 0, row = 0;
        const maas_lm_seq q = {1, 0, &block, n > 1, 1};
        const float *logits;
        maas_lm_step(m, &(maas_lm_batch){&token, &q, &row, 1, 1}, &logits, &err);
    }
    maas_lm_destroy(m);
    maas_lm_source_close(s);
    tiny_reset(&t);
    return 0;
}
