/* tensor/quant_int.h - shared by the files of quant.h only. */
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

extern const int8_t maas_quant_values_iq4[16], maas_quant_values_fp4[16], maas_quant_values_iq1[16],
    maas_quant_values_iq2[16], maas_quant_values_iq3_xxs[16], maas_quant_values_iq3_s[16];

/* 16 bytes of codes of four bits: low halves first. */
void maas_quant_look_up(const uint8_t *codes, const int8_t *values, int8_t *out);
void maas_quant_parts_get(uint32_t type, const void *from, float *out, int64_t n);

void maas_q2_k_get(const void *from, float *out, int64_t n);
void maas_q4_k_get(const void *from, float *out, int64_t n);
void maas_q5_k_get(const void *from, float *out, int64_t n);
void maas_q6_k_get(const void *from, float *out, int64_t n);

void maas_q3_k_part(const uint8_t *b, int k, maas_quant_part *out);
void maas_iq4_nl_part(const uint8_t *b, int k, maas_quant_part *out);
void maas_iq4_xs_part(const uint8_t *b, int k, maas_quant_part *out);
void maas_tq1_0_part(const uint8_t *b, int k, maas_quant_part *out);
void maas_tq2_0_part(const uint8_t *b, int k, maas_quant_part *out);
void maas_mxfp4_part(const uint8_t *b, int k, maas_quant_part *out);
void maas_iq1_s_part(const uint8_t *b, int k, maas_quant_part *out);
void maas_iq1_m_part(const uint8_t *b, int k, maas_quant_part *out);
void maas_iq2_xxs_part(const uint8_t *b, int k, maas_quant_part *out);
void maas_iq2_xs_part(const uint8_t *b, int k, maas_quant_part *out);
void maas_iq2_s_part(const uint8_t *b, int k, maas_quant_part *out);
void maas_iq3_xxs_part(const uint8_t *b, int k, maas_quant_part *out);
void maas_iq3_s_part(const uint8_t *b, int k, maas_quant_part *out);

#endif
