/* tests/fuzz/fuzz_keras.c - bytes as the config of a Keras model, its weights faked: read, and if
 * accepted, planned and run. HDF5 itself is libhdf5's, behind the sandbox. */
#include "keras_fake.h"
#include "onnx_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)maas_keras_probe(maas_span_of(data, size));
    (void)model_run_bytes(maas_span_of(data, size), keras_fake_read);
    return 0;
}
