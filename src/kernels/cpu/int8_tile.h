/*
 * kernels/cpu/int8_tile.h - the inner product of bytes: sums [rows][PANEL] of 32 bits, exact.
 *
 * B is in groups of rows, a word of four bytes for each column: two 16-bit numbers (pairs), or four
 * signed bytes (quads) for processors that multiply unsigned or signed bytes with these; words of A
 * likewise.
 * 16 groups of four are what a tile register holds.
 */
#ifndef MAAS_KERNELS_CPU_INT8_TILE_H
#define MAAS_KERNELS_CPU_INT8_TILE_H

#include "kernels/cpu/isa.h"
#include "kernels/cpu/tiles.h"

#if !defined(MAAS_ISA_AVX512) && !defined(MAAS_ISA_AVX2) && defined(__SSE2__)
#include <emmintrin.h>
#endif

enum { TALL = 32, HALF = TALL / 2 }; /* rows of a block where there are tile registers */
enum { ROWS = 6, VECS = ISA_TILE_VEC, PANEL = ISA_TILE_VEC * VW, BLOCK = 512 };
enum { WORD = 4 }; /* bytes of a group, of one row or column */

/* ---- tiles: sums [rows][PANEL] of `groups` words of each row ---- */

#define UNROLL _Pragma("GCC unroll 16")

INLINE vi w_load(const int32_t *p)
{
    return *(const vi_any *)p;
}

/* Two products of 16 bits, added, in each lane. */
INLINE vi dot_pairs(vi sum, vi a, vi b)
{
#if defined(MAAS_ISA_AVX512)
    return sum + (vi)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif defined(MAAS_ISA_AVX2)
    return sum + (vi)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#elif defined(MAAS_ISA_NEON)
    const int16x8_t x = (int16x8_t)a, y = (int16x8_t)b;
    const int32x4_t low = vmull_s16(vget_low_s16(x), vget_low_s16(y));
    return sum + (vi)vpaddq_s32(low, vmull_high_s16(x, y));
#elif defined(__SSE2__)
    return sum + (vi)_mm_madd_epi16((__m128i)a, (__m128i)b);
#else
    for (int i = 0; i < VW; i++)
        sum[i] += (int16_t)a[i] * (int16_t)b[i] + (a[i] >> 16) * (b[i] >> 16);
    return sum;
#endif
}

/* HAS_QUADS: of maas_cpu. A_FLIPPED: bytes of A whose top bit is flipped, which adds A_SHIFT. */
#if defined(MAAS_ISA_AVX512)
#define HAS_QUADS   avx512_vnni
#define A_FLIPPED   MAAS_I8 /* vpdpbusd: unsigned times signed */
#define A_SHIFT     128
#define QUAD_TARGET __attribute__((target("avx512vnni")))
QUAD_TARGET INLINE vi dot_quads(vi sum, vi a, vi b)
{
    return (vi)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
}
#elif defined(MAAS_ISA_NEON)
#define HAS_QUADS   dotprod
#define A_FLIPPED   MAAS_U8 /* sdot: both are signed */
#define A_SHIFT     (-128)
#define QUAD_TARGET __attribute__((target("arch=armv8.2-a+dotprod")))
QUAD_TARGET INLINE vi dot_quads(vi sum, vi a, vi b)
{
    return (vi)vdotq_s32((int32x4_t)sum, (int8x16_t)a, (int8x16_t)b);
}
#else
#define A_FLIPPED MAAS_I8 /* never asked for */
#define A_SHIFT   128
#endif

typedef void tile_fn(int64_t groups, const uint8_t *a, int64_t a_row, uint32_t flip,
                     const uint8_t *b, int32_t *sums, bool first);

#define TILE_BODY(rows, dot)                                                                       \
    vi sum[ROWS][VECS];                                                                            \
    UNROLL for (int i = 0; i < rows; i++)                                                          \
    {                                                                                              \
        UNROLL for (int v = 0; v < VECS; v++)                                                      \
        {                                                                                          \
            sum[i][v] = first ? (vi){0} : w_load(sums + i * PANEL + v * VW);                       \
        }                                                                                          \
    }                                                                                              \
    for (int64_t g = 0; g < groups; g++, a += WORD, b += PANEL * WORD) {                           \
        vi bv[VECS];                                                                               \
        UNROLL for (int v = 0; v < VECS; v++)                                                      \
        {                                                                                          \
            bv[v] = w_load((const int32_t *)(const void *)(b + v * VW * WORD));                    \
        }                                                                                          \
        UNROLL for (int i = 0; i < rows; i++)                                                      \
        {                                                                                          \
            uint32_t word;                                                                         \
            memcpy(&word, a + i * a_row, WORD);                                                    \
            const vi av = (int32_t)(word ^ flip) - (vi){0};                                        \
            UNROLL for (int v = 0; v < VECS; v++)                                                  \
            {                                                                                      \
                sum[i][v] = dot(sum[i][v], av, bv[v]);                                             \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    UNROLL for (int i = 0; i < rows; i++)                                                          \
    {                                                                                              \
        UNROLL for (int v = 0; v < VECS; v++)                                                      \
        {                                                                                          \
            *(vi_any *)(sums + i * PANEL + v * VW) = sum[i][v];                                    \
        }                                                                                          \
    }
#define TILE(kind, rows, attribute)                                                                \
    attribute static void kind##_##rows(int64_t groups, const uint8_t *a, int64_t a_row,           \
                                        uint32_t flip, const uint8_t *b, int32_t *sums,            \
                                        bool first)                                                \
    {                                                                                              \
        TILE_BODY(rows, dot_##kind)                                                                \
    }
#define TILES(kind, attribute)                                                                     \
    TILE(kind, 1, attribute)                                                                       \
    TILE(kind, 2, attribute)                                                                       \
    TILE(kind, 3, attribute)                                                                       \
    TILE(kind, 4, attribute) TILE(kind, 5, attribute) TILE(kind, 6, attribute)
#define TILE_ROW(kind)                                                                             \
    {                                                                                              \
        kind##_1, kind##_2, kind##_3, kind##_4, kind##_5, kind##_6                                 \
    }
TILES(pairs, )
static tile_fn *const pair_tiles[ROWS] = TILE_ROW(pairs);
#if defined(HAS_QUADS)
TILES(quads, QUAD_TARGET)
static tile_fn *const quad_tiles[ROWS] = TILE_ROW(quads);
#else
#define quad_tiles pair_tiles /* never asked for */
#endif

#if defined(MAAS_ISA_AVX512)
/* ---- tile registers: 16 rows of 64 bytes. A is read where it lies, signed or not. ---- */

TILES_TARGET static void tiles_on(void)
{
    tile_config t = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        t.row_bytes[i] = 64;
        t.rows[i] = 16;
    }
    _tile_loadconfig(&t);
}

/* The last bytes of rows that end within a tile. */
static void copy_end(int64_t k, const uint8_t *a, int rows, uint8_t *out)
{
    const int64_t whole = k / 64 * 64;
    memset(out, 0, (size_t)rows * 64);
    for (int i = 0; i < rows; i++)
        memcpy(out + i * 64, a + i * k + whole, (size_t)(k - whole));
}

#define DOT(c, a, b)                                                                               \
    do {                                                                                           \
        if (is_signed)                                                                             \
            _tile_dpbssd(c, a, b);                                                                 \
        else                                                                                       \
            _tile_dpbusd(c, a, b);                                                                 \
    } while (0)

/* 32 rows, half of a panel. */
TILES_TARGET INLINE void tall_half(int64_t k, const uint8_t *a, const uint8_t *end,
                                   const uint8_t *b, const bool is_signed, int32_t *sums)
{
    const int64_t steps = (k + 63) / 64, whole = k / 64, b_row = PANEL * WORD;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t s = 0; s < steps; s++, b += 16 * b_row) {
        const uint8_t *from = s < whole ? a + s * 64 : end;
        const int64_t row = s < whole ? k : 64;
        _tile_loadd(4, from, row);
        _tile_loadd(5, from + HALF * row, row);
        _tile_loadd(6, b, b_row);
        _tile_loadd(7, b + 64, b_row);
        DOT(0, 4, 6);
        DOT(1, 4, 7);
        DOT(2, 5, 6);
        DOT(3, 5, 7);
    }
    _tile_stored(0, sums, b_row);
    _tile_stored(1, sums + 16, b_row);
    _tile_stored(2, sums + HALF * PANEL, b_row);
    _tile_stored(3, sums + HALF * PANEL + 16, b_row);
}

/* 16 rows, a panel. */
TILES_TARGET INLINE void half_whole(int64_t k, const uint8_t *a, const uint8_t *end,
                                    const uint8_t *b, const bool is_signed, int32_t *sums)
{
    const int64_t steps = (k + 63) / 64, whole = k / 64, b_row = PANEL * WORD;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t s = 0; s < steps; s++, b += 16 * b_row) {
        _tile_loadd(4, s < whole ? a + s * 64 : end, s < whole ? k : 64);
        _tile_loadd(5, b, b_row);
        _tile_loadd(6, b + 64, b_row);
        _tile_loadd(7, b + 128, b_row);
        DOT(0, 4, 5);
        _tile_loadd(5, b + 192, b_row);
        DOT(1, 4, 6);
        DOT(2, 4, 7);
        DOT(3, 4, 5);
    }
    _tile_stored(0, sums, b_row);
    _tile_stored(1, sums + 16, b_row);
    _tile_stored(2, sums + 32, b_row);
    _tile_stored(3, sums + 48, b_row);
}

TILES_TARGET INLINE void tile_sums_of(int64_t k, const uint8_t *a, const uint8_t *b, int rows,
                                      const bool is_signed, int32_t *sums)
{
    uint8_t end[TALL * 64];
    if (k % 64)
        copy_end(k, a, rows, end);
    if (rows == TALL) {
        tall_half(k, a, end, b, is_signed, sums);
        tall_half(k, a, end, b + PANEL / 2 * WORD, is_signed, sums + PANEL / 2);
    } else {
        half_whole(k, a, end, b, is_signed, sums);
    }
}

/* 32 or 16 rows. */
TILES_TARGET static void tile_sums(int64_t k, const uint8_t *a, const uint8_t *b, int rows,
                                   bool is_signed, int32_t *sums)
{
    if (is_signed)
        tile_sums_of(k, a, b, rows, true, sums);
    else
        tile_sums_of(k, a, b, rows, false, sums);
}
#endif

#endif
