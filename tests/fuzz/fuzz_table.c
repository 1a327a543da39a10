/* The choice of a reader, gzip, and whatever reader is chosen: whatever is accepted, every cell can
 * be read. */
#include "table_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    table_target(data, size, NULL);
    return 0;
}
