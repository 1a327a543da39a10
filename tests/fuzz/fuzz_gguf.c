/* A GGUF file: whatever is accepted has a graph and a tokenizer that work. */
#include "lm/encoder.h"
#include "lm/model.h"
#include "lm/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const maas_lm_file f = {"model.gguf", maas_span_of(data, size)};
    maas_budget budget = {.limit = (size_t)64 << 20};
    maas_lm_source *s = NULL;
    maas_tokenizer *t = NULL;
    maas_lm_info info;
    maas_err err = {0};
    if (maas_lm_source_open(&f, 1, &budget, &s, &err) != MAAS_OK)
        return 0;
    maas_encoder_info encoder;
    maas_lm_check(s, &info, &err);
    maas_encoder_check(s, &encoder, &err);
    if (maas_tokenizer_create(s, &budget, &t, &err) == MAAS_OK) {
        maas_buf ids = MAAS_BUF_INIT(1 << 20);
        maas_tokenizer_encode(t, (maas_str){"<|im_start|>he llo\xff\n 12", 23}, MAAS_TOKENS_SPECIAL,
                              &ids, &err);
        maas_buf_reset(&ids);
    }
    maas_tokenizer_destroy(t);
    maas_lm_source_close(s);
    return 0;
}
