/* tests/fuzz/fuzz_xgboost.c - bytes as a model: read, and if accepted, planned and run. */
#include "formats/boosted.h"
#include "onnx_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)maas_xgboost_probe(maas_span_of(data, size));
    (void)model_run_bytes(maas_span_of(data, size), maas_xgboost_read);
    return 0;
}
