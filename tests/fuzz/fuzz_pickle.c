/* tests/fuzz/fuzz_pickle.c - bytes as a pickle: read, decoded if it is a model, planned and run. */
#include "formats/sklearn/sklearn.h"
#include "onnx_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)maas_pickle_probe(maas_span_of(data, size));
    (void)model_run_bytes(maas_span_of(data, size), maas_sk_read);
    return 0;
}
