/* Pictures: whatever the header claims is within the limits, and decoding fills all of it or says
 * no. */
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "ops/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const maas_span file = maas_span_of(data, size);
    maas_image is;
    maas_err err = {0};
    maas_image_open();
    if (maas_image_look(file, &is, &err) != MAAS_OK)
        return err.code == MAAS_OK || !err.msg[0] ? abort(), 0 : 0;
    const uint64_t pixels = (uint64_t)is.width * is.height;
    if (!pixels || pixels > MAAS_MAX_IMAGE_PIXELS)
        abort();
    if (pixels > 1 << 18) /* decoding it is slow, and teaches nothing new */
        return 0;
    uint8_t *rgb = malloc(pixels * 3);
    if (maas_image_decode(file, &is, rgb, &err) != MAAS_OK && !err.msg[0])
        abort();
    free(rgb);
    return 0;
}
