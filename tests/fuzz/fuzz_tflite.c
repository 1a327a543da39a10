/* tests/fuzz/fuzz_tflite.c - bytes as a .tflite file: read, and if accepted, planned and run. */
#include "formats/tflite/tflite.h"
#include "onnx_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)maas_tflite_probe(maas_span_of(data, size));
    (void)model_run_bytes(maas_span_of(data, size), maas_tflite_read);
    return 0;
}
