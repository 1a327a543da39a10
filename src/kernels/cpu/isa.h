/*
 * kernels/cpu/isa.h - one source, one object per instruction set and element type.
 *
 * Every .c file of this directory that includes this header is compiled once per instruction set,
 * with flags of that set alone, and its names end in the set's: nothing of an AVX-512 object runs,
 * not even its `fits`, unless the machine has it (see maas_kernel_tables in kernels/table.c).
 * Vectors are GCC's, so the plain build is correct on any processor.
 *
 * Files that speak of `real` are compiled a second time with MAAS_REAL64: then a real is a double,
 * REAL_DTYPE is MAAS_F64, and names and texts say 64.
 *
 * Pointers need the alignment of a real only: inputs may be rebound to any bytes.
 */
#ifndef MAAS_KERNELS_CPU_ISA_H
#define MAAS_KERNELS_CPU_ISA_H

#include <math.h>
#include <string.h>

#include "kernels/kernel.h"

#if defined(MAAS_ISA_AVX512) || defined(MAAS_ISA_AVX2)
#include <immintrin.h>
#elif defined(MAAS_ISA_NEON)
#include <arm_neon.h>
#endif

#if defined(MAAS_REAL64)
typedef double real;
typedef int64_t real_bits;
#define REAL_DTYPE MAAS_F64
#define REAL_NAME  64
#define REAL_TEXT  "f64."
#else
typedef float real;
typedef int32_t real_bits;
#define REAL_DTYPE MAAS_F32
#define REAL_NAME
#define REAL_TEXT ""
#endif

#define ISA_JOIN_(name, type, isa) name##type##isa
#define ISA_JOIN(name, type, isa)  ISA_JOIN_(name, type, isa)
#if defined(MAAS_ISA_AVX512)
#define ISA_BYTES     64 /* of a vector */
#define ISA(name)     ISA_JOIN(name, REAL_NAME, _avx512)
#define ISA_TEXT      REAL_TEXT "avx512"
#define ISA_TILE_VEC  4 /* across a GEMM tile: 6 x 4 sums, 4 of b, 1 of a in 32 registers */
#define ISA_TILE_TALL   /* or 12 x 2 */
#elif defined(MAAS_ISA_AVX2)
#define ISA_BYTES    32
#define ISA(name)    ISA_JOIN(name, REAL_NAME, _avx2)
#define ISA_TEXT     REAL_TEXT "avx2"
#define ISA_TILE_VEC 2 /* 6 x 2 sums, 2 of b, 1 of a in 16 registers */
#elif defined(MAAS_ISA_NEON)
#define ISA_BYTES    16
#define ISA(name)    ISA_JOIN(name, REAL_NAME, _neon)
#define ISA_TEXT     REAL_TEXT "neon"
#define ISA_TILE_VEC 4 /* 6 x 4 sums, 4 of b, 1 of a in 32 registers */
#else
#define ISA_BYTES    16
#define ISA(name)    ISA_JOIN(name, REAL_NAME, _plain)
#define ISA_TEXT     REAL_TEXT "plain"
#define ISA_TILE_VEC 2
#endif
#if defined(MAAS_ISA_AVX512) || defined(MAAS_ISA_AVX2) || defined(MAAS_ISA_NEON)
#define ISA_BYTE_PRODUCTS /* block_bytes.h */
#endif
#define VW (ISA_BYTES / (int)sizeof(real)) /* reals in a vector */

typedef real vf __attribute__((vector_size(ISA_BYTES)));
typedef real_bits vi __attribute__((vector_size(ISA_BYTES)));
typedef real vf_any __attribute__((vector_size(ISA_BYTES), aligned(sizeof(real)), may_alias));
typedef real_bits vi_any __attribute__((vector_size(ISA_BYTES), aligned(sizeof(real)), may_alias));

#define INLINE static inline __attribute__((always_inline))

INLINE vf v_load(const real *p)
{
    return *(const vf_any *)p;
}
INLINE void v_store(real *p, vf v)
{
    *(vf_any *)p = v;
}
INLINE vf v_all(real x)
{
    return x - (vf){0};
}

/* Lane i: lane at[i] of a, or of b from VW on. */
INLINE vf v_shuffle(vf a, vf b, vi at)
{
#if defined(__clang__) /* which has it for constant lanes alone */
    real both[2 * VW];
    memcpy(both, &a, sizeof a);
    memcpy(both + VW, &b, sizeof b);
    for (int i = 0; i < VW; i++)
        a[i] = both[at[i] & (2 * VW - 1)];
    return a;
#else
    return __builtin_shuffle(a, b, at);
#endif
}

/* Is a bit set in any lane? */
INLINE bool v_any(vi m)
{
#if defined(MAAS_ISA_AVX512)
    return _mm512_test_epi64_mask((__m512i)m, (__m512i)m) != 0;
#elif defined(MAAS_ISA_AVX2)
    return !_mm256_testz_si256((__m256i)m, (__m256i)m);
#elif defined(MAAS_ISA_NEON)
    return vmaxvq_u32((uint32x4_t)m) != 0;
#else
    real_bits any = 0;
    for (int i = 0; i < VW; i++)
        any |= m[i];
    return any != 0;
#endif
}

#if defined(MAAS_REAL64)
#include "kernels/cpu/isa_f64.h"
#else
#include "kernels/cpu/isa_f32.h"
#endif

INLINE vf v_sigmoid(vf x)
{
    return 1 / (1 + v_exp(-x));
}

#endif
