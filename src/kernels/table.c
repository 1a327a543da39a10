#include "kernels/kernel.h"

#include "base/ban.h"

static bool anywhere(const maas_cpu *cpu)
{
    return true;
}

#ifdef MAAS_HAVE_X86
static bool has_avx2(const maas_cpu *cpu)
{
    return cpu->avx2 && cpu->fma;
}

static bool has_avx512(const maas_cpu *cpu)
{
    return cpu->avx512 && cpu->fma;
}
#define ISAS(T, name)                                                                              \
    T(name##_avx512, has_avx512) T(name##_avx2, has_avx2) T(name##_plain, anywhere)
#elif defined(MAAS_HAVE_NEON)
#define ISAS(T, name) T(name##_neon, anywhere)
#else
#define ISAS(T, name) T(name##_plain, anywhere)
#endif

#ifdef MAAS_HAVE_DNNL
#define DNNL(T)                                                                                    \
    T(maas_kernels_dnnl_gemm, anywhere)                                                            \
    T(maas_kernels_dnnl_conv, anywhere)                                                            \
    T(maas_kernels_dnnl_conv_grad, anywhere)                                                       \
    T(maas_kernels_dnnl_pool, anywhere)                                                            \
    T(maas_kernels_dnnl_qconv, maas_kernel_int8)
#else
#define DNNL(T)
#endif

/* Best first: a family before the next, within a family the widest vectors. */
/* clang-format off */
#define REALS(T, name) ISAS(T, name) ISAS(T, name##64)
#define TABLES(T)                         \
    ISAS(T, maas_kernels_gemm)            \
    DNNL(T)                               \
    ISAS(T, maas_kernels_gemm64)          \
    ISAS(T, maas_kernels_gemm_int8)       \
    ISAS(T, maas_kernels_conv_int8)       \
    ISAS(T, maas_kernels_matmul_nbits)    \
    ISAS(T, maas_kernels_block_matmul)    \
    ISAS(T, maas_kernels_expert_matmul)   \
    ISAS(T, maas_kernels_lora_add)        \
    ISAS(T, maas_kernels_edge_sum)        \
    ISAS(T, maas_kernels_paged_attention) \
    ISAS(T, maas_kernels_state_rows)      \
    ISAS(T, maas_kernels_rotary)          \
    ISAS(T, maas_kernels_quantize)        \
    ISAS(T, maas_kernels_fake_quantize)   \
    REALS(T, maas_kernels_elementwise)    \
    ISAS(T, maas_kernels_fused)           \
    REALS(T, maas_kernels_softmax)        \
    REALS(T, maas_kernels_batch_norm)     \
    REALS(T, maas_kernels_reduce)         \
    REALS(T, maas_kernels_compare)        \
    REALS(T, maas_kernels_activate)       \
    REALS(T, maas_kernels_variadic)       \
    REALS(T, maas_kernels_reduce_axis)    \
    REALS(T, maas_kernels_reduce_any)     \
    REALS(T, maas_kernels_top_k)          \
    ISAS(T, maas_kernels_rnn)             \
    ISAS(T, maas_kernels_rnn_grad)        \
    ISAS(T, maas_kernels_attention)       \
    ISAS(T, maas_kernels_smooth)          \
    REALS(T, maas_kernels_norm)           \
    ISAS(T, maas_kernels_forest)          \
    ISAS(T, maas_kernels_svm)             \
    ISAS(T, maas_kernels_linear)          \
    ISAS(T, maas_kernels_resize)          \
    T(maas_kernels_blocks, anywhere)      \
    T(maas_kernels_pool, anywhere)        \
    T(maas_kernels_pool_last, anywhere)   \
    T(maas_kernels_lookup, anywhere)      \
    T(maas_kernels_views, anywhere)       \
    T(maas_kernels_pad, anywhere)         \
    T(maas_kernels_move, anywhere)
/* clang-format on */

#define T(name, needs) extern const maas_kernel name[];
TABLES(T)
#undef T

const maas_kernel *const maas_kernel_tables[] = {
#define T(name, needs) name,
    TABLES(T)
#undef T
        NULL,
};

static bool (*const needs_of[])(const maas_cpu *) = {
#define T(name, needs) needs,
    TABLES(T)
#undef T
};

bool maas_kernel_table_usable(size_t table, const maas_cpu *cpu)
{
    return needs_of[table](cpu);
}

int64_t maas_kernel_block(const maas_cpu *cpu)
{
#if defined(MAAS_HAVE_DNNL) && defined(MAAS_HAVE_X86)
    return has_avx512(cpu) ? 16 : has_avx2(cpu) ? 8 : 0;
#else
    return 0;
#endif
}

bool maas_kernel_int8(const maas_cpu *cpu)
{
#if defined(MAAS_HAVE_DNNL) && defined(MAAS_HAVE_X86)
    return has_avx512(cpu) && cpu->avx512_vnni;
#else
    return false;
#endif
}
