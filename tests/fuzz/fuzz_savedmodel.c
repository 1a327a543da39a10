/* tests/fuzz/fuzz_savedmodel.c - bytes as the files of a SavedModel: read, and if accepted, planned
 * and run. */
#include "onnx_run.h"
#include "savedmodel_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)maas_savedmodel_probe(maas_span_of(data, size));
    (void)model_run_bytes(maas_span_of(data, size), savedmodel_read_parts);
    return 0;
}
