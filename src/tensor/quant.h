/*
 * tensor/quant.h - weights in blocks, as GGUF stores them: a row of a matrix is a number of blocks,
 * each with its scales and its codes of few bits. Layouts and formulas are those of ggml's
 * reference code; numbers are its type ids.
 *
 * Blocks have no alignment: a file puts them where they fit. Little-endian.
 * No state: any thread.
 */
#ifndef MAAS_TENSOR_QUANT_H
#define MAAS_TENSOR_QUANT_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef enum maas_quant_id {
#define MAAS_QUANT(name, id, block, bytes, from) MAAS_Q_##name = (id),
#include "tensor/quant.def"
#undef MAAS_QUANT
} maas_quant_id;

typedef struct maas_quant {
    const char *name;     /* "Q4_K" */
    uint32_t id;          /* maas_quant_id */
    uint32_t block;       /* elements of a block */
    uint32_t block_bytes; /* bytes of a block */
    /* n elements, a multiple of `block`. */
    void (*to_f32)(const void *blocks, float *out, int64_t n);
    /* Nearest codes, scales as ggml's reference quantizer takes them; NULL: only read. */
    void (*from_f32)(const float *in, void *blocks, int64_t n);
} maas_quant;

extern const maas_quant maas_quants[]; /* in the order of quant.def */
extern const size_t maas_n_quants;
const maas_quant *maas_quant_of(uint32_t id); /* NULL: unknown */
const maas_quant *maas_quant_named(const char *name);
/* Bytes of rows x cols elements; E_INVALID when a row is no whole number of blocks, E_TOO_LARGE. */
maas_status maas_quant_bytes(const maas_quant *q, int64_t rows, int64_t cols, size_t *out,
                             maas_err *err);

/* Types whose scales are whole numbers, 16 columns each, times one number of a block: element i of
 * a part is d * unit * scale[i / 16] * value[i], exactly. */
typedef struct maas_quant_part {
    float d; /* of a half; of MXFP4 a power of two */
    int8_t scale[2];
    int8_t value[32];
} maas_quant_part;

typedef struct maas_quant_parts {
    uint32_t type;
    float unit;           /* a power of two */
    const int8_t *values; /* what value[] may be, 16 of them; NULL: codes less a zero point */
    void (*part)(const uint8_t *block, int k, maas_quant_part *out); /* elements 32k .. 32k + 31 */
} maas_quant_parts;
const maas_quant_parts *maas_quant_parts_of(uint32_t type); /* NULL: none */

/* How the scales of Q4_K and Q5_K lie in 12 bytes: scale and minimum of sub-block j, 6 bits each.
 */
static inline void maas_quant_k4(const uint8_t *s, int j, uint8_t *scale, uint8_t *min)
{
    *scale = (uint8_t)(j < 4 ? s[j] & 63 : (s[j + 4] & 15) | (s[j - 4] >> 6) << 4);
    *min = (uint8_t)(j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | (s[j] >> 6) << 4);
}

#endif
