/* Blocks of 256: scales of their own for 16 or 32 elements, in few bits themselves. */
#include "tensor/quant_int.h"

#include "base/ban.h"

#define EACH_BLOCK(bytes)                                                                          \
    const uint8_t *b = from;                                                                       \
    for (int64_t at = 0; at < n; at += 256, b += (bytes), out += 256)

/* scales[16] (scale | minimum << 4), codes[64] of two bits, d, dmin */
void maas_q2_k_get(const void *from, float *out, int64_t n)
{
    EACH_BLOCK(84)
    {
        const float d = maas_quant_half(b + 80), min = maas_quant_half(b + 82);
        for (int i = 0; i < 256; i++) {
            const uint8_t s = b[i / 16];
            const int q = b[16 + i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3;
            out[i] = d * (float)(s & 15) * (float)q - min * (float)(s >> 4);
        }
    }
}

/* The 16 scales of Q3_K lie in 12 bytes, 6 bits each, 32 too large. */
static void scales_k3(const uint8_t s[12], int8_t out[16])
{
    for (int j = 0; j < 16; j++) {
        const int low = j < 8 ? s[j] & 15 : s[j - 8] >> 4;
        out[j] = (int8_t)((low | (s[8 + j % 4] >> j / 4 * 2 & 3) << 4) - 32);
    }
}

/* high[32] bits, codes[64] of two bits, scales[12], d; a high bit that is not set takes 4 away */
void maas_q3_k_part(const uint8_t *b, int k, maas_quant_part *out)
{
    int8_t s[16];
    out->d = maas_quant_half(b + 108);
    scales_k3(b + 96, s);
    memcpy(out->scale, s + 2 * k, sizeof out->scale);
    for (int i = 0; i < 32; i++) {
        const int low = b[32 + k / 4 * 32 + i] >> k % 4 * 2 & 3;
        out->value[i] = (int8_t)(low - (b[i] >> k & 1 ? 0 : 4));
    }
}

/* d, dmin, scales[12], codes[128]: of 64 elements the low halves come first */
void maas_q4_k_get(const void *from, float *out, int64_t n)
{
    EACH_BLOCK(144)
    {
        const float d = maas_quant_half(b), min = maas_quant_half(b + 2);
        for (int j = 0; j < 8; j++) {
            uint8_t s, m;
            maas_quant_k4(b + 4, j, &s, &m);
            const float d1 = d * (float)s, m1 = min * (float)m;
            for (int i = 0; i < 32; i++)
                out[32 * j + i] = d1 * (float)(b[16 + j / 2 * 32 + i] >> j % 2 * 4 & 15) - m1;
        }
    }
}

/* d, dmin, scales[12], high[32], codes[128] */
void maas_q5_k_get(const void *from, float *out, int64_t n)
{
    EACH_BLOCK(176)
    {
        const float d = maas_quant_half(b), min = maas_quant_half(b + 2);
        for (int j = 0; j < 8; j++) {
            uint8_t s, m;
            maas_quant_k4(b + 4, j, &s, &m);
            const float d1 = d * (float)s, m1 = min * (float)m;
            for (int i = 0; i < 32; i++) {
                const int low = b[48 + j / 2 * 32 + i] >> j % 2 * 4 & 15;
                out[32 * j + i] = d1 * (float)(low + (b[16 + i] >> j & 1) * 16) - m1;
            }
        }
    }
}

/* low[128], high[64], scales[16], d */
void maas_q6_k_get(const void *from, float *out, int64_t n)
{
    EACH_BLOCK(210)
    {
        const float d = maas_quant_half(b + 208);
        for (int i = 0; i < 256; i++) {
            const int half = i / 128, j = i % 128 / 32, l = i % 32;
            const int low = b[half * 64 + j % 2 * 32 + l] >> j / 2 * 4 & 15;
            const int high = b[128 + half * 32 + l] >> j * 2 & 3;
            out[i] = d * (float)(int8_t)b[192 + i / 16] * (float)((low | high << 4) - 32);
        }
    }
}

/* d, scales_h, scales_l[4], codes[128] */
void maas_iq4_xs_part(const uint8_t *b, int k, maas_quant_part *out)
{
    const int high = b[2] | b[3] << 8;
    const int s = (b[4 + k / 2] >> k % 2 * 4 & 15) | (high >> 2 * k & 3) << 4;
    out->d = maas_quant_half(b);
    out->scale[0] = out->scale[1] = (int8_t)(s - 32);
    maas_quant_look_up(b + 8 + 16 * k, maas_quant_values_iq4, out->value);
}

/* Five digits of base 3 in a byte, as a fraction of 256: the digit after k of them is what
 * multiplying by 3^k leaves. */
static int8_t trit(uint8_t byte, int k)
{
    static const uint8_t power[5] = {1, 3, 9, 27, 81};
    const uint8_t q = (uint8_t)(byte * power[k]);
    return (int8_t)((q * 3 >> 8) - 1);
}

/* codes[48] of five digits, high[4] of four, d: digits of 32 bytes, of 16, of 4 take turns */
void maas_tq1_0_part(const uint8_t *b, int k, maas_quant_part *out)
{
    out->d = maas_quant_half(b + 52);
    out->scale[0] = out->scale[1] = 1;
    for (int i = 0; i < 32; i++) {
        const int at = 32 * k + i;
        out->value[i] = at < 160   ? trit(b[i], k)
                        : at < 240 ? trit(b[32 + (at - 160) % 16], (at - 160) / 16)
                                   : trit(b[48 + at % 4], (at - 240) / 4);
    }
}

/* codes[64] of two bits, d */
void maas_tq2_0_part(const uint8_t *b, int k, maas_quant_part *out)
{
    out->d = maas_quant_half(b + 64);
    out->scale[0] = out->scale[1] = 1;
    for (int i = 0; i < 32; i++)
        out->value[i] = (int8_t)((b[k / 4 * 32 + i] >> k % 4 * 2 & 3) - 1);
}
