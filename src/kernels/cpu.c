#include "kernels/kernel.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#endif

#include "base/sys.h"
#include "base/ban.h"

static maas_cpu cpu;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static size_t cache_bytes(int name, size_t otherwise)
{
    long n = sysconf(name);
    return n > 0 ? (size_t)n : otherwise;
}

#if defined(__x86_64__)
/* Tiles are large: the system saves them for processes that ask. */
static bool may_use_tiles(void)
{
    enum { REQUEST = 0x1023, TILE_DATA = 18 }; /* ARCH_REQ_XCOMP_PERM, XFEATURE_XTILE_DATA */
    unsigned a, b, c, d;
    const bool has = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 24 & 3) == 3;
    return has && syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
}
#endif

#if defined(__x86_64__)
static bool has_avx_vnni(void)
{
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
}
#endif

static void detect(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init(); /* looks at what the system saves on a switch, too */
    cpu.avx2 = __builtin_cpu_supports("avx2") != 0;
    cpu.fma = __builtin_cpu_supports("fma") != 0;
    cpu.f16c = cpu.avx2; /* every AVX2 machine converts halves */
    cpu.avx_vnni = cpu.avx2 && has_avx_vnni();
    cpu.avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                 __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    cpu.avx512_vnni = cpu.avx512 && __builtin_cpu_supports("avx512vnni");
    cpu.amx_int8 = cpu.avx512_vnni && may_use_tiles();
    cpu.avx512_bf16 = cpu.avx512 && __builtin_cpu_supports("avx512bf16");
#endif
    cpu.n_cores = maas_sys_n_cores();
    cpu.l1_bytes = cache_bytes(_SC_LEVEL1_DCACHE_SIZE, 32u << 10);
    cpu.l2_bytes = cache_bytes(_SC_LEVEL2_CACHE_SIZE, 512u << 10);
    const char *only = maas_sys_env("MAAS_CPU"); /* can take away, never add */
    if (!only)
        return;
    if (strcmp(only, "avx512") != 0)
        cpu.avx512 = cpu.avx512_vnni = cpu.avx512_bf16 = cpu.amx_int8 = cpu.avx_vnni = false;
    if (strcmp(only, "avx512") != 0 && strcmp(only, "avx2") != 0)
        cpu.avx2 = cpu.fma = cpu.f16c = false;
}

const maas_cpu *maas_cpu_get(void)
{
    pthread_once(&once, detect);
    return &cpu;
}
