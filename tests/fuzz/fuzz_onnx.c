/* tests/fuzz/fuzz_onnx.c - bytes as a model: read, and if accepted, planned and run. */
#include "onnx_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)maas_onnx_probe(maas_span_of(data, size));
    (void)onnx_run_bytes(maas_span_of(data, size));
    return 0;
}
