/* kernels/cpu/isa_f64.h - what isa.h promises, for doubles. Included by isa.h alone. */
#ifndef MAAS_KERNELS_CPU_ISA_F64_H
#define MAAS_KERNELS_CPU_ISA_F64_H

/* The first n lanes, n < VW; the others are `fill`, and their memory is not touched. */
#if defined(MAAS_ISA_AVX512)
INLINE vf v_load_part(const double *p, int64_t n, double fill)
{
    return (vf)_mm512_mask_loadu_pd((__m512d)v_all(fill), (__mmask8)((1u << n) - 1), p);
}
INLINE void v_store_part(double *p, vf v, int64_t n)
{
    _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), (__m512d)v);
}
INLINE vf v_pick(vi mask, vf yes, vf no)
{
    return (vf)_mm512_ternarylogic_epi64((__m512i)mask, (__m512i)yes, (__m512i)no, 0xca);
}
INLINE vf v_max(vf a, vf b)
{
    return (vf)_mm512_max_pd((__m512d)a, (__m512d)b);
}
INLINE vf v_min(vf a, vf b)
{
    return (vf)_mm512_min_pd((__m512d)a, (__m512d)b);
}
INLINE vf v_sqrt(vf x)
{
    return (vf)_mm512_sqrt_pd((__m512d)x);
}
INLINE double v_sum(vf v)
{
    return _mm512_reduce_add_pd((__m512d)v);
}
INLINE double v_greatest(vf v)
{
    return _mm512_reduce_max_pd((__m512d)v);
}
#else
#if defined(MAAS_ISA_AVX2)
INLINE vi v_first(int64_t n)
{
    const vi lane = {0, 1, 2, 3};
    return lane < n;
}
INLINE vf v_load_part(const double *p, int64_t n, double fill)
{
    const vi mask = v_first(n);
    return (vf)_mm256_blendv_pd((__m256d)v_all(fill), _mm256_maskload_pd(p, (__m256i)mask),
                                (__m256d)mask);
}
INLINE void v_store_part(double *p, vf v, int64_t n)
{
    _mm256_maskstore_pd(p, (__m256i)v_first(n), (__m256d)v);
}
INLINE vf v_pick(vi mask, vf yes, vf no)
{
    return (vf)_mm256_blendv_pd((__m256d)no, (__m256d)yes, (__m256d)mask);
}
INLINE vf v_max(vf a, vf b)
{
    return (vf)_mm256_max_pd((__m256d)a, (__m256d)b);
}
INLINE vf v_min(vf a, vf b)
{
    return (vf)_mm256_min_pd((__m256d)a, (__m256d)b);
}
INLINE vf v_sqrt(vf x)
{
    return (vf)_mm256_sqrt_pd((__m256d)x);
}
#else
INLINE vf v_load_part(const double *p, int64_t n, double fill)
{
    vf v = v_all(fill);
    memcpy(&v, p, (size_t)n * sizeof *p);
    return v;
}
INLINE void v_store_part(double *p, vf v, int64_t n)
{
    memcpy(p, &v, (size_t)n * sizeof *p);
}
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
        x[i] = sqrt(x[i]);
    return x;
}
#endif
INLINE double v_sum(vf v)
{
    double sum = v[0];
    for (int i = 1; i < VW; i++)
        sum += v[i];
    return sum;
}
INLINE double v_greatest(vf v)
{
    double most = v[0];
    for (int i = 1; i < VW; i++)
        most = v[i] > most ? v[i] : most;
    return most;
}
#endif

/* e^x: x = n ln 2 + r, |r| <= ln 2 / 2, e^r by its series to r^13. About 1 ulp. */
INLINE vf v_exp(vf x)
{
    const double round = 6755399441055744.0; /* 1.5 * 2^52: adding it leaves the integer part */
    const vf bounded = v_min(v_max(x, v_all(-746.0)), v_all(710.0));
    const vf shifted = bounded * 1.4426950408889634 + round, n = shifted - round;
    vf r = bounded - n * 0.693147180369123816490;
    r = r - n * 1.90821492927058770002e-10;
    vf p = v_all(1.0 / 6227020800.0);
    p = p * r + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * (r * r) + r + 1.0;
    /* 2^n in two steps: the result may be subnormal, or 2^n itself beyond the range */
    const vi e = (vi)shifted - (vi)v_all(round), half = e >> 1;
    const vf a = (vf)((half + 1023) << 52), b = (vf)((e - half + 1023) << 52);
    return v_pick(x != x, x, p * a * b);
}

/* ln x: x = 2^e m, sqrt(1/2) <= m < sqrt 2; with s = (m - 1) / (m + 1), ln m = 2 atanh s. */
INLINE vf v_log(vf x)
{
    const vi tiny = x < 2.2250738585072014e-308;
    const vf scaled = v_pick(tiny, x * 18014398509481984.0, x); /* 2^54 */
    const vi bits = (vi)scaled;
    vi e = ((bits >> 52) & 2047) - 1022;
    vf m = (vf)((bits & 0x000fffffffffffff) | 0x3fe0000000000000); /* [0.5, 1) */
    const vi low = m < 0.70710678118654752440;
    e = e + low + (tiny & -54);
    m = v_pick(low, m + m, m);
    const vf f = m - 1.0, s = f / (2.0 + f), z = s * s;
    vf p = v_all(2.0 / 21.0);
    p = p * z + 2.0 / 19.0;
    p = p * z + 2.0 / 17.0;
    p = p * z + 2.0 / 15.0;
    p = p * z + 2.0 / 13.0;
    p = p * z + 2.0 / 11.0;
    p = p * z + 2.0 / 9.0;
    p = p * z + 2.0 / 7.0;
    p = p * z + 2.0 / 5.0;
    p = p * z + 2.0 / 3.0;
    p = p * z;
    /* ln m = f - f^2/2 + s (f^2/2 + p): what is lost in f - f^2/2 is small against the result */
    const double round = 6755399441055744.0; /* as in v_exp: integers become doubles */
    const vf h = 0.5 * f * f, fe = (vf)(e + (vi)v_all(round)) - round;
    vf y = fe * 0.693147180369123816490 -
           ((h - (s * (h + p) + fe * 1.90821492927058770002e-10)) - f);
    y = v_pick(x == 0.0, v_all(-INFINITY), y);
    y = v_pick((x < 0.0) | (x != x), v_all(NAN), y);
    return v_pick(x == (double)INFINITY, x, y);
}

INLINE vf v_abs(vf x)
{
    return (vf)((vi)x & INT64_MAX);
}

/* tanh x = 1 - 2 / (e^2x + 1); near zero its continued fraction, where that would cancel. */
INLINE vf v_tanh(vf x)
{
    const vf a = v_abs(x), z = x * x;
    vf big = 1.0 - 2.0 / (v_exp(a + a) + 1.0);
    big = (vf)((vi)big | ((vi)x & INT64_MIN));
    vf q = 17.0 + z / 19.0;
    q = 15.0 + z / q;
    q = 13.0 + z / q;
    q = 11.0 + z / q;
    q = 9.0 + z / q;
    q = 7.0 + z / q;
    q = 5.0 + z / q;
    q = 3.0 + z / q;
    const vf y = v_pick(a < 0.5, x / (1.0 + z / q), big);
    return v_pick(x != x, x, y);
}

#endif
