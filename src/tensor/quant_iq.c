/*
 * Blocks of 256 whose numbers are points of a grid: 8 (or 4) numbers are one index and signs.
 * Digits of a point stand for odd multiples of a step, roughly; the grids were chosen by ggml's
 * authors and are data (tools/gen_quant_grids.py).
 *
 * Indices have as many bits as their grid has points: no block can reach past one.
 */
#include "tensor/quant_int.h"

#include "base/ban.h"

#include "tensor/quant_grids.inc"

const int8_t maas_quant_values_iq1[16] = {-9, -7, -1,
                                          1,  7,  9}; /* eighths: digit -1, 0, 1, -+ 1/8 */
const int8_t maas_quant_values_iq2[16] = {8, 25, 43, -8, -25, -43};
const int8_t maas_quant_values_iq3_xxs[16] = {4,  12,  20,  28,  36,  44,  52,  62,
                                              -4, -12, -20, -28, -36, -44, -52, -62};
const int8_t maas_quant_values_iq3_s[16] = {1,  3,  5,  7,  9,  11,  13,  15,
                                            -1, -3, -5, -7, -9, -11, -13, -15};

static uint32_t word(const uint8_t *p)
{
    uint32_t w;
    memcpy(&w, p, sizeof w);
    return w;
}

static uint16_t half_word(const uint8_t *p)
{
    uint16_t w;
    memcpy(&w, p, sizeof w);
    return w;
}

/* Seven signs and one that makes their number even. */
static uint8_t even_signs(uint32_t seven)
{
    return (uint8_t)((seven & 127) | (uint32_t)__builtin_parity(seven & 127) << 7);
}

/* Scales come as s of (s + 1/2). */
static int8_t odd(int s)
{
    return (int8_t)(2 * s + 1);
}

/* ---- eight numbers at a time, a byte each; nothing carries from one to the next ---- */

#define EACH(byte) ((uint64_t)(byte)*0x0101010101010101u)

static void put(uint64_t bytes, int8_t *out)
{
    memcpy(out, &bytes, sizeof bytes);
}

/* -v where a sign is set; no v is 0. */
static uint64_t with_signs(uint64_t v, uint8_t signs)
{
    const uint64_t bit = EACH(signs) & 0x8040201008040201u;
    const uint64_t one = (bit + EACH(0x7f)) >> 7 & EACH(1);
    return (v ^ one * 255) + one;
}

static uint64_t twos(uint16_t point) /* eight digits of two bits */
{
    uint64_t x = point;
    x = (x | x << 24) & 0x000000ff000000ffu;
    x = (x | x << 12) & 0x000f000f000f000fu;
    return (x | x << 6) & EACH(3);
}
static uint64_t fours(uint16_t low, uint16_t high) /* four and four digits of four bits */
{
    uint64_t x = low | (uint64_t)high << 32;
    x = (x | x << 8) & 0x00ff00ff00ff00ffu;
    return (x | x << 4) & EACH(15);
}

static void put_2(uint16_t point, uint8_t signs, int8_t *out) /* 8, 25, 43 */
{
    const uint64_t d = twos(point);
    put(with_signs(EACH(8) + 17 * d + (d >> 1 & EACH(1)), signs), out);
}
static void put_3_xxs(uint64_t d, uint8_t signs, int8_t *out) /* 4, 12, .. 52, 62 */
{
    put(with_signs(EACH(4) + 8 * d + 2 * (d & d >> 1 & d >> 2 & EACH(1)), signs), out);
}
static void put_3_s(uint64_t d, uint8_t signs, int8_t *out) /* 1, 3, .. 15 */
{
    put(with_signs(EACH(1) + 2 * d, signs), out);
}
static void put_1(uint16_t point, bool is_less, int8_t *out) /* -8, 0, 8 and one less or more */
{
    put((EACH(is_less ? 128 - 9 : 128 - 7) + 8 * twos(point)) ^ EACH(128), out);
}

/* d, eight times: index[4], four times seven signs and a scale of four bits */
void maas_iq2_xxs_part(const uint8_t *b, int k, maas_quant_part *out)
{
    const uint8_t *p = b + 2 + 8 * k;
    const uint32_t w = word(p + 4);
    out->d = maas_quant_half(b);
    out->scale[0] = out->scale[1] = odd((int)(w >> 28));
    for (int j = 0; j < 4; j++)
        put_2(iq2_xxs_grid[p[j]], even_signs(w >> 7 * j), out->value + 8 * j);
}

/* d, 32 times: nine bits of index and seven signs; scales[8], two in a byte */
void maas_iq2_xs_part(const uint8_t *b, int k, maas_quant_part *out)
{
    out->d = maas_quant_half(b);
    out->scale[0] = odd(b[66 + k] & 15);
    out->scale[1] = odd(b[66 + k] >> 4);
    for (int j = 0; j < 4; j++) {
        const uint16_t w = half_word(b + 2 + 8 * k + 2 * j);
        put_2(iq2_xs_grid[w & 511], even_signs((uint32_t)w >> 9), out->value + 8 * j);
    }
}

/* d, index[32], signs[32], two more bits of each index, scales[8] */
void maas_iq2_s_part(const uint8_t *b, int k, maas_quant_part *out)
{
    out->d = maas_quant_half(b);
    out->scale[0] = odd(b[74 + k] & 15);
    out->scale[1] = odd(b[74 + k] >> 4);
    for (int j = 0; j < 4; j++)
        put_2(iq2_s_grid[b[2 + 4 * k + j] | (b[66 + k] >> 2 * j & 3) << 8], b[34 + 4 * k + j],
              out->value + 8 * j);
}

/* d, index[64], eight times: four times seven signs and a scale of four bits */
void maas_iq3_xxs_part(const uint8_t *b, int k, maas_quant_part *out)
{
    const uint32_t w = word(b + 66 + 4 * k);
    out->d = maas_quant_half(b);
    out->scale[0] = out->scale[1] = odd((int)(w >> 28));
    for (int j = 0; j < 4; j++) {
        const uint8_t *index = b + 2 + 8 * k + 2 * j;
        put_3_xxs(fours(iq3_xxs_grid[index[0]], iq3_xxs_grid[index[1]]), even_signs(w >> 7 * j),
                  out->value + 8 * j);
    }
}

/* d, index[64], one more bit of each, signs[32], scales[4] */
void maas_iq3_s_part(const uint8_t *b, int k, maas_quant_part *out)
{
    out->d = maas_quant_half(b);
    out->scale[0] = out->scale[1] = odd(b[106 + k / 2] >> 4 * (k % 2) & 15);
    for (int j = 0; j < 4; j++) {
        const uint8_t *index = b + 2 + 8 * k + 2 * j;
        const int more = b[66 + k] >> 2 * j;
        put_3_s(fours(iq3_s_grid[index[0] | (more & 1) << 8],
                      iq3_s_grid[index[1] | (more >> 1 & 1) << 8]),
                b[74 + 4 * k + j], out->value + 8 * j);
    }
}

/* d, index[32], eight times: three more bits of four indices, a scale of three, less or more */
void maas_iq1_s_part(const uint8_t *b, int k, maas_quant_part *out)
{
    const uint16_t h = half_word(b + 34 + 2 * k);
    out->d = maas_quant_half(b);
    out->scale[0] = out->scale[1] = odd(h >> 12 & 7);
    for (int j = 0; j < 4; j++)
        put_1(iq1_grid[b[2 + 4 * k + j] | (h >> 3 * j & 7) << 8], h >> 15, out->value + 8 * j);
}

/* index[32], 32 times: three more bits, less or more; scales[4] of four times three bits, whose
 * upper four bits are those of d */
void maas_iq1_m_part(const uint8_t *b, int k, maas_quant_part *out)
{
    uint16_t d = 0;
    for (int m = 0; m < 4; m++)
        d |= (uint16_t)(half_word(b + 48 + 2 * m) >> 12 << 4 * m);
    out->d = maas_f16_to_f32(d);
    for (int g = 0; g < 2; g++)
        out->scale[g] = odd(half_word(b + 48 + 2 * (k / 2)) >> (6 * (k % 2) + 3 * g) & 7);
    for (int j = 0; j < 4; j++) {
        const int h = b[32 + 2 * k + j / 2] >> 4 * (j % 2);
        put_1(iq1_grid[b[4 * k + j] | (h & 7) << 8], h & 8, out->value + 8 * j);
    }
}
