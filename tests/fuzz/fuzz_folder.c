/* A Hugging Face folder (tests/lm/folder.h): whatever is accepted has a graph and a tokenizer that
 * work. */
#include "lm/folder.h"
#include "lm/model.h"
#include "lm/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] = "<|im_start|>the house\xff\n 12 e\xcc\x81";
    folder f;
    maas_budget budget = {.limit = (size_t)64 << 20};
    maas_lm_source *s = NULL;
    maas_tokenizer *t = NULL;
    maas_lm_info info;
    maas_err err = {0};
    folder_open(&f, maas_span_of(data, size));
    if (f.n == 0 || maas_lm_source_open(f.files, f.n, &budget, &s, &err) != MAAS_OK)
        return 0;
    maas_lm_check(s, &info, &err);
    if (maas_tokenizer_create(s, &budget, &t, &err) == MAAS_OK) {
        maas_buf ids = MAAS_BUF_INIT(1 << 20);
        maas_tokenizer_encode(t, (maas_str){text, sizeof text - 1}, MAAS_TOKENS_SPECIAL, &ids,
                              &err);
        maas_buf_reset(&ids);
    }
    maas_tokenizer_destroy(t);
    maas_lm_source_close(s);
    return 0;
}
