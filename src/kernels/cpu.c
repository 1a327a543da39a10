#include "kernels/kernel.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
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

#if defined(__aarch64__)
static bool has_sve_512(void)
{
    const int n = getauxval(AT_HWCAP) & HWCAP_SVE ? prctl(PR_SVE_GET_VL) : 0;
    return n > 0 && (n & PR_SVE_VL_LEN_MASK) >= 64;
}
#endif

/* MAAS_CPU: each name leaves what is up to it, and anything else what every machine has. */
static void take_away(const char *only)
{
    const bool avx512 = strcmp(only, "avx512") == 0, avx2 = avx512 || strcmp(only, "avx2") == 0;
    const bool i8mm = strcmp(only, "i8mm") == 0, dotprod = i8mm || strcmp(only, "dotprod") == 0;
    if (!avx512)
        cpu.avx512 = cpu.avx512_vnni = cpu.avx512_bf16 = cpu.amx_int8 = cpu.avx_vnni = false;
    if (!avx2)
        cpu.avx2 = cpu.fma = cpu.f16c = false;
    cpu.dotprod &= dotprod;
    cpu.i8mm &= i8mm;
}

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
#elif defined(__aarch64__)
    cpu.neon = true;
    cpu.dotprod = (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
    cpu.i8mm = cpu.dotprod && (getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0;
    cpu.sve_512 = has_sve_512();
#endif
    cpu.n_cores = maas_sys_n_cores();
    cpu.l1_bytes = cache_bytes(_SC_LEVEL1_DCACHE_SIZE, 32u << 10);
    cpu.l2_bytes = cache_bytes(_SC_LEVEL2_CACHE_SIZE, 512u << 10);
    const char *only = maas_sys_env("MAAS_CPU");
    if (only)
        take_away(only);
}

const maas_cpu *maas_cpu_get(void)
{
    pthread_once(&once, detect);
    return &cpu;
}
