/*
 * base/subnormal.h - numbers too small for a normal float, read and written as zero.
 *
 * A processor may take a hundred cycles for each of them. Weights in training meet them everywhere:
 * the memory of a gradient that has become zero shrinks by a factor a step until it is one, and
 * rounding then keeps it there for good.
 *
 * Threads: the mode is the calling thread's. A processor that has no such mode keeps them.
 */
#ifndef MAAS_BASE_SUBNORMAL_H
#define MAAS_BASE_SUBNORMAL_H

#include <stdint.h>

typedef uint64_t maas_subnormal; /* the mode before */

#if defined(__x86_64__)

static inline maas_subnormal maas_subnormal_flush(void)
{
    const unsigned before = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(before | 0x8040); /* results and operands */
    return before;
}
static inline void maas_subnormal_restore(maas_subnormal before)
{
    /* flags that were raised meanwhile are nobody's */
    __builtin_ia32_ldmxcsr((unsigned)before);
}

#elif defined(__aarch64__)

static inline maas_subnormal maas_subnormal_flush(void)
{
    uint64_t before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(before | 1ull << 24));
    return before;
}
static inline void maas_subnormal_restore(maas_subnormal before)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(before));
}

#else

static inline maas_subnormal maas_subnormal_flush(void)
{
    return 0;
}
static inline void maas_subnormal_restore(maas_subnormal before)
{
}

#endif
#endif
