/*
 * kernels/cpu/block_neon.h - what block_bytes.h needs of NEON. Included by it alone.
 */

/* 16 numbers to the nearest bytes; gives their sum. */
INLINE int32_t round_16(const float *x, float by, int8_t *code)
{
    int16x4_t words[4];
    UNROLL for (int i = 0; i < 4; i++)
    {
        words[i] = vqmovn_s32(vcvtnq_s32_f32((float32x4_t)(v_load(x + 4 * i) * by)));
    }
    const int8x8_t low = vqmovn_s16(vcombine_s16(words[0], words[1]));
    const int8x16_t c = vcombine_s8(low, vqmovn_s16(vcombine_s16(words[2], words[3])));
    vst1q_s8(code, c);
    return vaddlvq_s8(c);
}

INLINE vf v_fma(vf a, vf b, vf c) /* rounded once, whatever the compiler thinks of it */
{
    return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}

/* Scales: VW of them, as halves, unsigned and signed bytes. */
INLINE vf halves(const uint8_t *p)
{
    return (vf)vcvt_f32_f16((float16x4_t)vld1_u8(p));
}
INLINE uint8x8_t four_bytes(const uint8_t *p)
{
    uint32_t four;
    memcpy(&four, p, sizeof four);
    return (uint8x8_t)vdup_n_u32(four);
}
INLINE vi unsigned_bytes(const uint8_t *p)
{
    return (vi)vmovl_u16(vget_low_u16(vmovl_u8(four_bytes(p))));
}
INLINE vi signed_bytes(const uint8_t *p)
{
    return (vi)vmovl_s16(vget_low_s16(vmovl_s8((int8x8_t)four_bytes(p))));
}

/* What codes stand for: `table` is 16 bytes. */
INLINE vb looked_up(vb table, vb code)
{
    return (vb)vqtbl1q_u8((uint8x16_t)table, (uint8x16_t)code);
}
INLINE vb table_of(const int8_t values[16])
{
    return b_load(values);
}
