/* tests/fuzz/fuzz_catboost.c - bytes as a model: read, and if accepted, planned and run. */
#include "formats/boosted.h"
#include "onnx_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)maas_catboost_probe(maas_span_of(data, size));
    (void)model_run_bytes(maas_span_of(data, size), maas_catboost_read);
    return 0;
}
