/* quant_rows [TYPE] - blocks of a type on standard input, floats on standard output; without one,
 * the names of all types. For tests/client/test_language.py. */
#include <stdio.h>

#include "tensor/quant.h"

int main(int argc, char **argv)
{
    static unsigned char in[1 << 16];
    static float out[1 << 16];
    const maas_quant *q = argc > 1 ? maas_quant_named(argv[1]) : NULL;
    for (size_t i = 0; argc < 2 && i < maas_n_quants; i++)
        puts(maas_quants[i].name);
    if (!q)
        return argc > 1;
    const size_t blocks = fread(in, 1, sizeof in, stdin) / q->block_bytes;
    q->to_f32(in, out, (int64_t)(blocks * q->block));
    return fwrite(out, sizeof *out, blocks * q->block, stdout) == blocks * q->block ? 0 : 1;
}
