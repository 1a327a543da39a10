/* tensor/quant_int.h - shared by quant.c and quant_k.c only. */
#ifndef MAAS_TENSOR_QUANT_INT_H
#define MAAS_TENSOR_QUANT_INT_H

#include <string.h>

#include "tensor/dtype.h"
#include "tensor/quant.h"

static inline float maas_quant_half(const uint8_t *p)
{
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return maas_f16_to_f32(h);
}
static inline void maas_quant_put_half(uint8_t *p, float f)
{
    const uint16_t h = maas_f32_to_f16(f);
    memcpy(p, &h, sizeof h);
}

extern const int8_t maas_quant_iq4[16]; /* what the codes of IQ4_NL and IQ4_XS stand for */

void maas_q2_k_get(const void *from, float *out, int64_t n);
void maas_q3_k_get(const void *from, float *out, int64_t n);
void maas_q4_k_get(const void *from, float *out, int64_t n);
void maas_q5_k_get(const void *from, float *out, int64_t n);
void maas_q6_k_get(const void *from, float *out, int64_t n);
void maas_iq4_xs_get(const void *from, float *out, int64_t n);
void maas_tq1_0_get(const void *from, float *out, int64_t n);
void maas_tq2_0_get(const void *from, float *out, int64_t n);

#endif
