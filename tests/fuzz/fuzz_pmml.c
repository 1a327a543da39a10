/* tests/fuzz/fuzz_pmml.c - bytes as a model: read, and if accepted, planned and run. */
#include "formats/pmml/pmml.h"
#include "onnx_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)maas_pmml_probe(maas_span_of(data, size));
    (void)model_run_bytes(maas_span_of(data, size), maas_pmml_read);
    return 0;
}
