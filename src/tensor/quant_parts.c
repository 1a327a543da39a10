/* Types whose blocks are parts: their table, and their numbers as floats. */
#include "tensor/quant_int.h"

#include "base/ban.h"

static const maas_quant_parts parts[] = {
    {MAAS_Q_Q3_K, 1, NULL, maas_q3_k_part},
    {MAAS_Q_IQ4_NL, 1, maas_quant_values_iq4, maas_iq4_nl_part},
    {MAAS_Q_IQ4_XS, 1, maas_quant_values_iq4, maas_iq4_xs_part},
    {MAAS_Q_TQ1_0, 1, NULL, maas_tq1_0_part},
    {MAAS_Q_TQ2_0, 1, NULL, maas_tq2_0_part},
    {MAAS_Q_MXFP4, 1, maas_quant_values_fp4, maas_mxfp4_part},
    {MAAS_Q_IQ1_S, 0.125f, maas_quant_values_iq1, maas_iq1_s_part},
    {MAAS_Q_IQ1_M, 0.125f, maas_quant_values_iq1, maas_iq1_m_part},
    {MAAS_Q_IQ2_XXS, 0.125f, maas_quant_values_iq2, maas_iq2_xxs_part},
    {MAAS_Q_IQ2_XS, 0.125f, maas_quant_values_iq2, maas_iq2_xs_part},
    {MAAS_Q_IQ2_S, 0.125f, maas_quant_values_iq2, maas_iq2_s_part},
    {MAAS_Q_IQ3_XXS, 0.25f, maas_quant_values_iq3_xxs, maas_iq3_xxs_part},
    {MAAS_Q_IQ3_S, 1, maas_quant_values_iq3_s, maas_iq3_s_part},
};

const maas_quant_parts *maas_quant_parts_of(uint32_t type)
{
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (parts[i].type == type)
            return &parts[i];
    return NULL;
}

/* All products are exact: 11 bits of d, at most 5 of a scale, at most 7 of a value. */
void maas_quant_parts_get(uint32_t type, const void *from, float *out, int64_t n)
{
    const maas_quant *q = maas_quant_of(type);
    const maas_quant_parts *p = maas_quant_parts_of(type);
    const uint8_t *b = from;
    for (int64_t at = 0; at < n; at += q->block, b += q->block_bytes)
        for (uint32_t k = 0; k < q->block / 32; k++, out += 32) {
            maas_quant_part x;
            p->part(b, (int)k, &x);
            for (int i = 0; i < 32; i++)
                out[i] = x.d * p->unit * (float)x.scale[i / 16] * (float)x.value[i];
        }
}
