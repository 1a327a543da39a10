/* The NPY and NPZ readers: whatever is accepted, every cell can be read. */
#include "table_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    table_target(data, size, size && data[0] == 'P' ? "npz" : "npy");
    return 0;
}
