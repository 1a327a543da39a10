/*
 * kernels/cpu/block_x86.h - what block_bytes.h needs of AVX2 and AVX-512. Included by it alone.
 */

/* 16 numbers to the nearest bytes; gives their sum. */
INLINE int32_t round_16(const float *x, float by, int8_t *code)
{
#if defined(MAAS_ISA_AVX512)
    const __m128i c = _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32((__m512)(v_load(x) * by)));
#else
    const __m256i lo = _mm256_cvtps_epi32((__m256)(v_load(x) * by));
    const __m256i hi = _mm256_cvtps_epi32((__m256)(v_load(x + 8) * by));
    const __m256i both = _mm256_permute4x64_epi64(_mm256_packs_epi32(lo, hi), 0xd8);
    const __m128i c = _mm_packs_epi16(_mm256_castsi256_si128(both),
                                      _mm256_extracti128_si256(both, 1));
#endif
    _mm_storeu_si128((__m128i *)(void *)code, c);
    const __m128i above = _mm_xor_si128(c, _mm_set1_epi8(-128)); /* of -128 */
    const __m128i two = _mm_sad_epu8(above, _mm_setzero_si128());
    return _mm_cvtsi128_si32(two) + _mm_extract_epi16(two, 4) - 16 * 128;
}

INLINE vf v_fma(vf a, vf b, vf c) /* rounded once, whatever the compiler thinks of it */
{
#if defined(MAAS_ISA_AVX512)
    return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#else
    return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#endif
}

/* Scales: VW of them, as halves, unsigned and signed bytes. */
INLINE vf halves(const uint8_t *p)
{
#if defined(MAAS_ISA_AVX512)
    return (vf)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
#else
    return (vf)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
#endif
}
INLINE vi unsigned_bytes(const uint8_t *p)
{
#if defined(MAAS_ISA_AVX512)
    return (vi)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
#else
    return (vi)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p));
#endif
}
INLINE vi signed_bytes(const uint8_t *p)
{
#if defined(MAAS_ISA_AVX512)
    return (vi)_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
#else
    return (vi)_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p));
#endif
}
/* What codes stand for: `table` is 16 bytes, again and again. */
INLINE vb looked_up(vb table, vb code)
{
#if defined(MAAS_ISA_AVX512)
    return (vb)_mm512_shuffle_epi8((__m512i)table, (__m512i)code);
#else
    return (vb)_mm256_shuffle_epi8((__m256i)table, (__m256i)code);
#endif
}
INLINE vb table_of(const int8_t values[16])
{
    const __m128i t = _mm_loadu_si128((const __m128i *)(const void *)values);
#if defined(MAAS_ISA_AVX512)
    return (vb)_mm512_broadcast_i32x4(t);
#else
    return (vb)_mm256_broadcastsi128_si256(t);
#endif
}

/* ---- products: four bytes of X with four bytes of each of VW rows of W ---- */

/* Unsigned with signed bytes: sums of two, which must fit 16 bits. */
INLINE vh pairs(vb unsigned_, vb signed_)
{
#if defined(MAAS_ISA_AVX512)
    return (vh)_mm512_maddubs_epi16((__m512i)unsigned_, (__m512i)signed_);
#else
    return (vh)_mm256_maddubs_epi16((__m256i)unsigned_, (__m256i)signed_);
#endif
}
INLINE vi wide(vh two) /* the sum of two neighbours */
{
#if defined(MAAS_ISA_AVX512)
    return (vi)_mm512_madd_epi16((__m512i)two, _mm512_set1_epi16(1));
#else
    return (vi)_mm256_madd_epi16((__m256i)two, _mm256_set1_epi16(1));
#endif
}
INLINE vb magnitude(vb w) /* 128 of -128 */
{
#if defined(MAAS_ISA_AVX512)
    return (vb)_mm512_abs_epi8((__m512i)w);
#else
    return (vb)_mm256_abs_epi8((__m256i)w);
#endif
}
INLINE vb with_sign(vb x, vb w) /* -x where w is negative */
{
#if defined(MAAS_ISA_AVX512)
    return (vb)_mm512_mask_sub_epi8((__m512i)x, _mm512_movepi8_mask((__m512i)w),
                                    _mm512_setzero_si512(), (__m512i)x);
#else
    return (vb)_mm256_sign_epi8((__m256i)x, (__m256i)w);
#endif
}
