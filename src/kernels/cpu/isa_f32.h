/* kernels/cpu/isa_f32.h - what isa.h promises, for floats. Included by isa.h alone. */
#ifndef MAAS_KERNELS_CPU_ISA_F32_H
#define MAAS_KERNELS_CPU_ISA_F32_H

/* The first n lanes, n < VW; the others are `fill`, and their memory is not touched. */
#if defined(MAAS_ISA_AVX512)
INLINE vf v_load_part(const float *p, int64_t n, float fill)
{
    return (vf)_mm512_mask_loadu_ps((__m512)v_all(fill), (__mmask16)((1u << n) - 1), p);
}
INLINE void v_store_part(float *p, vf v, int64_t n)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
}
#elif defined(MAAS_ISA_AVX2)
INLINE vi v_first(int64_t n)
{
    const vi lane = {0, 1, 2, 3, 4, 5, 6, 7};
    return lane < (int32_t)n;
}
INLINE vf v_load_part(const float *p, int64_t n, float fill)
{
    const vi mask = v_first(n);
    return (vf)_mm256_blendv_ps((__m256)v_all(fill), _mm256_maskload_ps(p, (__m256i)mask),
                                (__m256)mask);
}
INLINE void v_store_part(float *p, vf v, int64_t n)
{
    _mm256_maskstore_ps(p, (__m256i)v_first(n), (__m256)v);
}
#else
INLINE vf v_load_part(const float *p, int64_t n, float fill)
{
    vf v = v_all(fill);
    memcpy(&v, p, (size_t)n * sizeof *p);
    return v;
}
INLINE void v_store_part(float *p, vf v, int64_t n)
{
    memcpy(p, &v, (size_t)n * sizeof *p);
}
#endif
/* pick: mask lanes are 0 or -1. max, min: b where either is NaN. */
#if defined(MAAS_ISA_AVX512)
INLINE vf v_pick(vi mask, vf yes, vf no)
{
    return (vf)_mm512_ternarylogic_epi32((__m512i)mask, (__m512i)yes, (__m512i)no, 0xca);
}
INLINE vf v_max(vf a, vf b)
{
    return (vf)_mm512_max_ps((__m512)a, (__m512)b);
}
INLINE vf v_min(vf a, vf b)
{
    return (vf)_mm512_min_ps((__m512)a, (__m512)b);
}
INLINE vf v_sqrt(vf x)
{
    return (vf)_mm512_sqrt_ps((__m512)x);
}
#elif defined(MAAS_ISA_AVX2)
INLINE vf v_pick(vi mask, vf yes, vf no)
{
    return (vf)_mm256_blendv_ps((__m256)no, (__m256)yes, (__m256)mask);
}
INLINE vf v_max(vf a, vf b)
{
    return (vf)_mm256_max_ps((__m256)a, (__m256)b);
}
INLINE vf v_min(vf a, vf b)
{
    return (vf)_mm256_min_ps((__m256)a, (__m256)b);
}
INLINE vf v_sqrt(vf x)
{
    return (vf)_mm256_sqrt_ps((__m256)x);
}
#else
INLINE vf v_pick(vi mask, vf yes, vf no)
{
    return (vf)((mask & (vi)yes) | (~mask & (vi)no));
}
INLINE vf v_max(vf a, vf b)
{
    return v_pick(a > b, a, b);
}
INLINE vf v_min(vf a, vf b)
{
    return v_pick(a < b, a, b);
}
INLINE vf v_sqrt(vf x)
{
    for (int i = 0; i < VW; i++)
        x[i] = sqrtf(x[i]);
    return x;
}
#endif
#if defined(MAAS_ISA_AVX512)
INLINE float v_sum(vf v)
{
    return _mm512_reduce_add_ps((__m512)v);
}
INLINE float v_greatest(vf v)
{
    return _mm512_reduce_max_ps((__m512)v);
}
#else
INLINE float v_sum(vf v)
{
    float part[VW];
    memcpy(part, &v, sizeof v);
    for (int w = VW / 2; w; w /= 2)
        for (int i = 0; i < w; i++)
            part[i] += part[i + w];
    return part[0];
}
INLINE float v_greatest(vf v)
{
    float part[VW];
    memcpy(part, &v, sizeof v);
    for (int i = 1; i < VW; i++)
        part[0] = part[i] > part[0] ? part[i] : part[0];
    return part[0];
}
#endif

/* m / (root(v) + e), to about 3 ulp. */
#if defined(MAAS_ISA_AVX512)
INLINE vf v_over_root(vf m, vf v, vf e)
{
    /* Estimates and one Newton step each: a root and a quotient take four times as long. */
    const vf r = (vf)_mm512_rsqrt14_ps((__m512)v_max(v, v_all(1.17549435e-38f)));
    const vf near = v * r, root = near + near * 0.5f * (1.0f - near * r), d = root + e;
    const vf guess = (vf)_mm512_rcp14_ps((__m512)d), over = guess + guess * (1.0f - d * guess);
    /* v: not a number, infinite, subnormal, negative; over: these or zero. Then the long way. */
    const __mmask16 odd = _mm512_fpclass_ps_mask((__m512)v, 0xf9) |
                          _mm512_fpclass_ps_mask((__m512)over, 0xbf);
    return __builtin_expect(odd, 0) ? m / (v_sqrt(v) + e) : m * over;
}
#else
INLINE vf v_over_root(vf m, vf v, vf e)
{
    return m / (v_sqrt(v) + e);
}
#endif

/* e^x: x = n ln 2 + r, |r| <= ln 2 / 2, and a polynomial in r. About 1 ulp. */
INLINE vf v_exp(vf x)
{
    const float round = 12582912.0f; /* 1.5 * 2^23: adding it leaves the integer part */
    vf bounded = v_min(v_max(x, v_all(-105.0f)), v_all(89.0f));
    vf n = bounded * 1.44269504088896341f + round - round;
    vf r = bounded - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    vf p = v_all(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    /* 2^n in two steps: the result may be subnormal, or 2^n itself beyond the range */
    vi e = __builtin_convertvector(n, vi), half = e >> 1;
    vf a = (vf)((half + 127) << 23), b = (vf)((e - half + 127) << 23);
    vf y = p * a * b;
    return v_pick(x != x, x, y);
}

/* ln x: x = 2^e m, sqrt(1/2) <= m < sqrt 2, and a polynomial in m - 1. About 1 ulp. */
INLINE vf v_log(vf x)
{
    vi tiny = x < 1.17549435e-38f;
    vf scaled = v_pick(tiny, x * 8388608.0f, x);
    vi bits = (vi)scaled;
    vi e = ((bits >> 23) & 255) - 126;
    vf m = (vf)((bits & 0x007fffff) | 0x3f000000); /* [0.5, 1) */
    vi low = m < 0.707106781186547524f;
    e = e + low + (tiny & -23);
    m = m + (vf)(low & (vi)m) - 1.0f;
    vf z = m * m, p = v_all(7.0376836292e-2f);
    p = p * m - 1.1514610310e-1f;
    p = p * m + 1.1676998740e-1f;
    p = p * m - 1.2420140846e-1f;
    p = p * m + 1.4249322787e-1f;
    p = p * m - 1.6668057665e-1f;
    p = p * m + 2.0000714765e-1f;
    p = p * m - 2.4999993993e-1f;
    p = p * m + 3.3333331174e-1f;
    vf fe = __builtin_convertvector(e, vf);
    vf y = p * m * z + fe * -2.12194440e-4f - z * 0.5f;
    y = m + y + fe * 0.693359375f;
    y = v_pick(x == 0.0f, v_all(-INFINITY), y);
    y = v_pick((x < 0.0f) | (x != x), v_all(NAN), y);
    return v_pick(x == INFINITY, x, y);
}

INLINE vf v_abs(vf x)
{
    return (vf)((vi)x & 0x7fffffff);
}

INLINE vf v_tanh(vf x)
{
    vf a = v_abs(x), z = x * x;
    vf big = 1.0f - 2.0f / (v_exp(a + a) + 1.0f);
    big = (vf)((vi)big | ((vi)x & (int32_t)0x80000000));
    vf p = v_all(-5.70498872745e-3f);
    p = p * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    vf y = v_pick(a < 0.625f, p * z * x + x, big);
    return v_pick(x != x, x, y);
}

#endif
