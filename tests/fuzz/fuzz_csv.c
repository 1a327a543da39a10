/* The CSV reader: whatever is accepted, every cell can be read. */
#include "table_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    table_target(data, size, "csv");
    return 0;
}
