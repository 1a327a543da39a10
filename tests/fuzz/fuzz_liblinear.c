/* tests/fuzz/fuzz_liblinear.c - bytes as a model: read, and if accepted, planned and run. */
#include "formats/svm/svm.h"
#include "onnx_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)maas_liblinear_probe(maas_span_of(data, size));
    (void)model_run_bytes(maas_span_of(data, size), maas_liblinear_read);
    return 0;
}
