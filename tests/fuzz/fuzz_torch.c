/* tests/fuzz/fuzz_torch.c - bytes as weights: a file of torch.save, or safetensors. */
#include "torch_give.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    maas_err err = {0};
    (void)torch_give_bytes(maas_span_of(data, size), &err);
    return 0;
}
