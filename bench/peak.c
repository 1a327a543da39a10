#include "bench/peak.h"

#include "base/sys.h"
#include "kernels/kernel.h"
#include "base/ban.h"

enum { RUNS = 8, CHAINS = 12, STEPS = 5000000 };

/* Twelve chains hide the latency of a multiply-add on every core so far. They are named variables
 * because an array would live on the stack; the empty asm keeps the compiler from shortening them.
 */
#define EACH(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define START(j)                                                                                   \
    s##j = a * (float)j;                                                                           \
    __asm__ volatile("" : "+v"(s##j));
#define STEP(j) s##j = s##j * b + a;
#define SUM(j)  +s##j[0]
#define PEAK(name, isa, width)                                                                     \
    typedef float vec_##name __attribute__((vector_size(width * 4)));                              \
    __attribute__((target(isa), noinline)) static float peak_##name(int64_t n)                     \
    {                                                                                              \
        vec_##name s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, a = {1.0f}, b = {0.5f};       \
        EACH(START)                                                                                \
        for (int64_t i = 0; i < n; i++) {                                                          \
            EACH(STEP)                                                                             \
            __asm__ volatile("" : "+v"(s0), "+v"(s6));                                             \
        }                                                                                          \
        return 0 EACH(SUM);                                                                        \
    }
PEAK(avx512, "avx512f", 16)
PEAK(avx2, "avx2,fma", 8)

double bench_peak_gflops(int n_threads)
{
    const bool wide = maas_cpu_get()->avx512;
    const double flop = 2.0 * (wide ? 16 : 8) * CHAINS * STEPS * n_threads;
    double best = 0;
    for (int k = 0; k < RUNS; k++) {
        const uint64_t t0 = maas_now_ns();
        volatile float sink = 0;
#pragma omp parallel num_threads(n_threads)
        sink = wide ? peak_avx512(STEPS) : peak_avx2(STEPS);
        (void)sink;
        const double rate = flop / (double)(maas_now_ns() - t0);
        best = rate > best ? rate : best;
    }
    return best;
}
