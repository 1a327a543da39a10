/*
 * kernels/cpu/tiles.h - tile registers of AMX: how they are shaped, and left. A processor that has
 * them (maas_cpu.amx_int8) was asked for leave at the start of the program.
 */
#ifndef MAAS_KERNELS_CPU_TILES_H
#define MAAS_KERNELS_CPU_TILES_H

#include <stdint.h>

#if defined(MAAS_ISA_AVX512)
#define TILES_TARGET __attribute__((target("amx-tile,amx-int8")))

typedef struct tile_config { /* as the processor reads it */
    uint8_t palette, start, zero[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_config;

/* What is left configured is saved and restored with the thread: 8 KiB. */
TILES_TARGET static inline void tiles_off(void)
{
    _tile_release();
}
#endif

#endif
