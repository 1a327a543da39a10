/* Blocks of any type, which the first byte names: numbers come out of any bytes, and parts say the
 * same ones. */
#include <stdlib.h>
#include <string.h>

#include "tensor/quant.h"

static void one_block(const maas_quant *q, const uint8_t *block)
{
    float x[256];
    maas_quant_part part = {0};
    const maas_quant_parts *p = maas_quant_parts_of(q->id);
    q->to_f32(block, x, q->block);
    for (uint32_t i = 0; p && i < q->block; i++) {
        if (i % 32 == 0)
            p->part(block, (int)i / 32, &part);
        const float v = part.d * p->unit * part.scale[i % 32 / 16] * part.value[i % 32];
        if (v == v && v != x[i])
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const maas_quant *q = size ? &maas_quants[data[0] % maas_n_quants] : NULL;
    for (size_t at = 1; q && size - at >= q->block_bytes; at += q->block_bytes) {
        uint8_t *block = malloc(q->block_bytes); /* its end is watched */
        if (!block)
            return 0;
        memcpy(block, data + at, q->block_bytes);
        one_block(q, block);
        free(block);
    }
    return 0;
}
