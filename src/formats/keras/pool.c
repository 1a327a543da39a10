/* formats/keras/pool.c - pooling, local and global. */
#include <string.h>

#include "formats/keras/keras_int.h"
#include "base/ban.h"

enum { MAX_SPATIAL = 3, MAX_STEP = 1 << 16 };

static maas_vid pool(kr *k, kr_layer *l, maas_vid x, const char *op)
{
    static const char *const paddings[] = {"valid", "same", NULL};
    int64_t size[MAX_SPATIAL] = {0}, stride[MAX_SPATIAL] = {0};
    const int n = kr_type(k, x)->rank - 2;
    if (n < 1 || n > MAX_SPATIAL)
        return kr_fail(k, l, MAAS_E_FORMAT, "its input has %d dimensions", n + 2);
    kr_ints(k, l, "pool_size", n, 1, MAX_STEP, 2, size);
    kr_ints(k, l, "strides", n, 1, MAX_STEP, 0, stride);
    for (int i = 0; i < n; i++)
        stride[i] = stride[i] ? stride[i] : size[i];
    const bool same = kr_word(k, l, "padding", paddings, 0) == 1, first = kr_channels_first(k, l);
    const maas_attr a[] = {
        MAAS_A_INTS("kernel_shape", size, n),
        MAAS_A_INTS("strides", stride, n),
        MAAS_A_STR("auto_pad", same ? "SAME_UPPER" : "VALID"),
    };
    x = kr_channels_in(k, x, first);
    return kr_channels_out(k, maas_b_node(&k->b, op, a, MAAS_COUNT(a), &x, 1, NULL, 1), first);
}

static maas_vid max_pool(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    return pool(k, l, in[0], "MaxPool");
}

static maas_vid average_pool(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    return pool(k, l, in[0], "AveragePool");
}

static maas_vid global(kr *k, kr_layer *l, maas_vid x, const char *op)
{
    const int rank = kr_type(k, x)->rank;
    const bool first = kr_channels_first(k, l);
    int64_t axes[MAX_SPATIAL];
    const maas_attr a = MAAS_A_INT("keepdims", kr_bool(k, l, "keepdims", false));
    if (rank < 3 || rank > 2 + MAX_SPATIAL)
        return kr_fail(k, l, MAAS_E_FORMAT, "its input has %d dimensions", rank);
    for (int i = 0; i < rank - 2; i++)
        axes[i] = i + (first ? 2 : 1);
    const maas_vid in[2] = {x, maas_b_i64s(&k->b, axes, rank - 2)};
    return maas_b_node(&k->b, op, &a, 1, in, 2, NULL, 1);
}

static maas_vid global_max(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    return global(k, l, in[0], "ReduceMax");
}

static maas_vid global_average(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    return global(k, l, in[0], "ReduceMean");
}

#define LOCAL  "pool_size strides padding data_format"
#define GLOBAL "data_format keepdims"

const kr_row kr_pools[] = {
    {"MaxPooling1D", max_pool, LOCAL, 3, 1, 1, 0},
    {"MaxPooling2D", max_pool, LOCAL, 4, 1, 1, 0},
    {"MaxPooling3D", max_pool, LOCAL, 5, 1, 1, 0},
    {"AveragePooling1D", average_pool, LOCAL, 3, 1, 1, 0},
    {"AveragePooling2D", average_pool, LOCAL, 4, 1, 1, 0},
    {"AveragePooling3D", average_pool, LOCAL, 5, 1, 1, 0},
    {"GlobalMaxPooling1D", global_max, GLOBAL, 3, 1, 1, 0},
    {"GlobalMaxPooling2D", global_max, GLOBAL, 4, 1, 1, 0},
    {"GlobalMaxPooling3D", global_max, GLOBAL, 5, 1, 1, 0},
    {"GlobalAveragePooling1D", global_average, GLOBAL, 3, 1, 1, 0},
    {"GlobalAveragePooling2D", global_average, GLOBAL, 4, 1, 1, 0},
    {"GlobalAveragePooling3D", global_average, GLOBAL, 5, 1, 1, 0},
    {0},
};
