/* Blocks of 32 and plain floats; blocks of 256 are in quant_k.c and quant_iq.c. */
#include "tensor/quant_int.h"

#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "base/ban.h"

/* ---- plain ---- */

static void f32_get(const void *from, float *out, int64_t n)
{
    memcpy(out, from, (size_t)n * sizeof *out);
}
static void f32_put(const float *in, void *to, int64_t n)
{
    memcpy(to, in, (size_t)n * sizeof *in);
}
static void f16_get(const void *from, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = maas_quant_half((const uint8_t *)from + 2 * i);
}
static void f16_put(const float *in, void *to, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        maas_quant_put_half((uint8_t *)to + 2 * i, in[i]);
}
static void bf16_get(const void *from, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, (const uint8_t *)from + 2 * i, sizeof h);
        out[i] = maas_bf16_to_f32(h);
    }
}
static void bf16_put(const float *in, void *to, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const uint16_t h = maas_f32_to_bf16(in[i]);
        memcpy((uint8_t *)to + 2 * i, &h, sizeof h);
    }
}

/* ---- blocks of 32: code i is in the low half of byte i, code i + 16 in the high half ---- */

/* Bit i of a block's 32 fifth bits. */
static inline uint32_t fifth(const uint8_t *p)
{
    uint32_t bits;
    memcpy(&bits, p, sizeof bits);
    return bits;
}

#define EACH_BLOCK(bytes)                                                                          \
    const uint8_t *b = from;                                                                       \
    for (int64_t at = 0; at < n; at += 32, b += (bytes), out += 32)

static void q4_0_get(const void *from, float *out, int64_t n)
{
    EACH_BLOCK(18)
    {
        const float d = maas_quant_half(b);
        for (int i = 0; i < 16; i++) {
            out[i] = (float)((b[2 + i] & 15) - 8) * d;
            out[i + 16] = (float)((b[2 + i] >> 4) - 8) * d;
        }
    }
}

static void q4_1_get(const void *from, float *out, int64_t n)
{
    EACH_BLOCK(20)
    {
        const float d = maas_quant_half(b), m = maas_quant_half(b + 2);
        for (int i = 0; i < 16; i++) {
            out[i] = (float)(b[4 + i] & 15) * d + m;
            out[i + 16] = (float)(b[4 + i] >> 4) * d + m;
        }
    }
}

static void q5_0_get(const void *from, float *out, int64_t n)
{
    EACH_BLOCK(22)
    {
        const float d = maas_quant_half(b);
        const uint32_t h = fifth(b + 2);
        for (int i = 0; i < 16; i++) {
            out[i] = (float)((int)((b[6 + i] & 15) | (h >> i & 1) << 4) - 16) * d;
            out[i + 16] = (float)((int)((b[6 + i] >> 4) | (h >> (i + 16) & 1) << 4) - 16) * d;
        }
    }
}

static void q5_1_get(const void *from, float *out, int64_t n)
{
    EACH_BLOCK(24)
    {
        const float d = maas_quant_half(b), m = maas_quant_half(b + 2);
        const uint32_t h = fifth(b + 4);
        for (int i = 0; i < 16; i++) {
            out[i] = (float)((b[8 + i] & 15) | (h >> i & 1) << 4) * d + m;
            out[i + 16] = (float)((b[8 + i] >> 4) | (h >> (i + 16) & 1) << 4) * d + m;
        }
    }
}

static void q8_0_get(const void *from, float *out, int64_t n)
{
    EACH_BLOCK(34)
    {
        const float d = maas_quant_half(b);
        for (int i = 0; i < 32; i++)
            out[i] = (float)(int8_t)b[2 + i] * d;
    }
}

const int8_t maas_quant_values_iq4[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                          1,    13,   25,  38,  53,  69,  89,  113};
/* OCP microscaling formats 1.0: twice E2M1, so that all are integers. */
const int8_t maas_quant_values_fp4[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

void maas_quant_look_up(const uint8_t *codes, const int8_t *values, int8_t *out)
{
    for (int i = 0; i < 16; i++) {
        out[i] = values[codes[i] & 15];
        out[i + 16] = values[codes[i] >> 4];
    }
}

void maas_iq4_nl_part(const uint8_t *b, int k, maas_quant_part *out)
{
    out->d = maas_quant_half(b);
    out->scale[0] = out->scale[1] = 1;
    maas_quant_look_up(b + 2, maas_quant_values_iq4, out->value);
}

/* A power of two for 32 numbers; half of it, since the numbers are twice what they are. */
void maas_mxfp4_part(const uint8_t *b, int k, maas_quant_part *out)
{
    out->d = ldexpf(1, (int)b[0] - 128);
    out->scale[0] = out->scale[1] = 1;
    maas_quant_look_up(b + 1, maas_quant_values_fp4, out->value);
}

/* ---- the way back, for blocks of 32 ---- */

#define EACH_BLOCK_PUT(bytes)                                                                      \
    uint8_t *b = to;                                                                               \
    for (int64_t at = 0; at < n; at += 32, b += (bytes), in += 32)

static float widest(const float *in) /* the value of the largest magnitude, with its sign */
{
    float max = 0;
    for (int i = 0; i < 32; i++)
        if (fabsf(in[i]) > fabsf(max))
            max = in[i];
    return max;
}

static void range(const float *in, float *min, float *max)
{
    *min = *max = in[0];
    for (int i = 1; i < 32; i++) {
        *min = fminf(*min, in[i]);
        *max = fmaxf(*max, in[i]);
    }
}

static inline int code(float x, int top)
{
    const int i = (int)x;
    return i < 0 ? 0 : i > top ? top : i;
}

static void q4_0_put(const float *in, void *to, int64_t n)
{
    EACH_BLOCK_PUT(18)
    {
        const float d = widest(in) / -8, by = d != 0 ? 1 / d : 0;
        maas_quant_put_half(b, d);
        for (int i = 0; i < 16; i++)
            b[2 + i] = (uint8_t)(code(in[i] * by + 8.5f, 15) | code(in[i + 16] * by + 8.5f, 15)
                                                                   << 4);
    }
}

static void q4_1_put(const float *in, void *to, int64_t n)
{
    EACH_BLOCK_PUT(20)
    {
        float min, max;
        range(in, &min, &max);
        const float d = (max - min) / 15, by = d != 0 ? 1 / d : 0;
        maas_quant_put_half(b, d);
        maas_quant_put_half(b + 2, min);
        for (int i = 0; i < 16; i++)
            b[4 + i] = (uint8_t)(code((in[i] - min) * by + 0.5f, 15) |
                                 code((in[i + 16] - min) * by + 0.5f, 15) << 4);
    }
}

static void put_fifths(uint8_t *bits, uint8_t *low, const int codes[32])
{
    uint32_t h = 0;
    for (int i = 0; i < 16; i++) {
        low[i] = (uint8_t)((codes[i] & 15) | (codes[i + 16] & 15) << 4);
        h |= (uint32_t)(codes[i] >> 4) << i | (uint32_t)(codes[i + 16] >> 4) << (i + 16);
    }
    memcpy(bits, &h, sizeof h);
}

static void q5_0_put(const float *in, void *to, int64_t n)
{
    EACH_BLOCK_PUT(22)
    {
        int codes[32];
        const float d = widest(in) / -16, by = d != 0 ? 1 / d : 0;
        maas_quant_put_half(b, d);
        for (int i = 0; i < 32; i++)
            codes[i] = code(in[i] * by + 16.5f, 31);
        put_fifths(b + 2, b + 6, codes);
    }
}

static void q5_1_put(const float *in, void *to, int64_t n)
{
    EACH_BLOCK_PUT(24)
    {
        int codes[32];
        float min, max;
        range(in, &min, &max);
        const float d = (max - min) / 31, by = d != 0 ? 1 / d : 0;
        maas_quant_put_half(b, d);
        maas_quant_put_half(b + 2, min);
        for (int i = 0; i < 32; i++)
            codes[i] = code((in[i] - min) * by + 0.5f, 31);
        put_fifths(b + 4, b + 8, codes);
    }
}

static void q8_0_put(const float *in, void *to, int64_t n)
{
    EACH_BLOCK_PUT(34)
    {
        const float d = fabsf(widest(in)) / 127, by = d != 0 ? 1 / d : 0;
        maas_quant_put_half(b, d);
        for (int i = 0; i < 32; i++)
            b[2 + i] = (uint8_t)(int8_t)roundf(in[i] * by);
    }
}

/* ---- the table ---- */

#define PARTS(name)                                                                                \
    static void name##_get(const void *from, float *out, int64_t n)                                \
    {                                                                                              \
        maas_quant_parts_get(MAAS_Q_##name, from, out, n);                                         \
    }
PARTS(Q3_K)
PARTS(IQ4_NL)
PARTS(IQ4_XS)
PARTS(TQ1_0)
PARTS(TQ2_0)
PARTS(MXFP4)
PARTS(IQ1_S)
PARTS(IQ1_M)
PARTS(IQ2_XXS)
PARTS(IQ2_XS)
PARTS(IQ2_S)
PARTS(IQ3_XXS)
PARTS(IQ3_S)
#define Q2_K_get maas_q2_k_get
#define Q4_K_get maas_q4_k_get
#define Q5_K_get maas_q5_k_get
#define Q6_K_get maas_q6_k_get
#define F32_get  f32_get
#define F16_get  f16_get
#define BF16_get bf16_get
#define Q4_0_get q4_0_get
#define Q4_1_get q4_1_get
#define Q5_0_get q5_0_get
#define Q5_1_get q5_1_get
#define Q8_0_get q8_0_get

const maas_quant maas_quants[] = {
#define MAAS_QUANT(name, id, block, bytes, put) {#name, id, block, bytes, name##_get, put},
#include "tensor/quant.def"
#undef MAAS_QUANT
};
const size_t maas_n_quants = sizeof maas_quants / sizeof *maas_quants;

const maas_quant *maas_quant_of(uint32_t id)
{
    for (size_t i = 0; i < maas_n_quants; i++)
        if (maas_quants[i].id == id)
            return &maas_quants[i];
    return NULL;
}

const maas_quant *maas_quant_named(const char *name)
{
    for (size_t i = 0; i < maas_n_quants; i++)
        if (strcmp(maas_quants[i].name, name) == 0)
            return &maas_quants[i];
    return NULL;
}

maas_status maas_quant_bytes(const maas_quant *q, int64_t rows, int64_t cols, size_t *out,
                             maas_err *err)
{
    uint64_t bytes;
    if (rows < 0 || cols < 0 || cols % q->block)
        return maas_fail(err, MAAS_E_INVALID, "rows of %lld elements are no blocks of %s",
                         (long long)cols, q->name);
    if (__builtin_mul_overflow((uint64_t)cols / q->block, q->block_bytes, &bytes) ||
        __builtin_mul_overflow(bytes, (uint64_t)rows, &bytes) || bytes > MAAS_MAX_TENSOR_BYTES)
        return maas_fail(err, MAAS_E_TOO_LARGE, "%lld x %lld elements of %s", (long long)rows,
                         (long long)cols, q->name);
    *out = (size_t)bytes;
    return MAAS_OK;
}
