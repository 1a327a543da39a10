/* learn/columns.c - cells as numbers, by element type. */
#include "learn/columns.h"

#include "base/ban.h"

#define LOAD_PLAIN(T, v) (v)
#define LOAD_F16(T, v)   maas_f16_to_f32(v)
#define LOAD_BF16(T, v)  maas_bf16_to_f32(v)

#define CELLS(X)                                                                                   \
    X(MAAS_F32, float, LOAD_PLAIN, false)                                                          \
    X(MAAS_F64, double, LOAD_PLAIN, false)                                                         \
    X(MAAS_F16, uint16_t, LOAD_F16, false)                                                         \
    X(MAAS_BF16, uint16_t, LOAD_BF16, false)                                                       \
    X(MAAS_U8, uint8_t, LOAD_PLAIN, true)                                                          \
    X(MAAS_I8, int8_t, LOAD_PLAIN, true)                                                           \
    X(MAAS_U16, uint16_t, LOAD_PLAIN, true)                                                        \
    X(MAAS_I16, int16_t, LOAD_PLAIN, true)                                                         \
    X(MAAS_U32, uint32_t, LOAD_PLAIN, true)                                                        \
    X(MAAS_I32, int32_t, LOAD_PLAIN, true)                                                         \
    X(MAAS_U64, uint64_t, LOAD_PLAIN, true)                                                        \
    X(MAAS_I64, int64_t, LOAD_PLAIN, true)                                                         \
    X(MAAS_BOOL, uint8_t, LOAD_PLAIN, true)

#define X(D, T, L, W)                                                                              \
    static double get_##D(const void *data, int64_t i)                                             \
    {                                                                                              \
        return (double)L(T, ((const T *)data)[i]);                                                 \
    }                                                                                              \
    static void gather_##D(const void *data, const uint32_t *rows, int64_t n, float *out,          \
                           int64_t step)                                                           \
    {                                                                                              \
        for (int64_t j = 0; j < n; j++)                                                            \
            out[j * step] = (float)L(T, ((const T *)data)[rows[j]]);                               \
    }                                                                                              \
    static void convert_##D(const void *data, int64_t n, float *out)                               \
    {                                                                                              \
        for (int64_t j = 0; j < n; j++)                                                            \
            out[j] = (float)L(T, ((const T *)data)[j]);                                            \
    }
CELLS(X)
#undef X

static const maas_cells cells[] = {
#define X(D, T, L, W) {D, get_##D, gather_##D, convert_##D, W},
    CELLS(X)
#undef X
};

const maas_cells *maas_cells_of(maas_dtype t)
{
    for (size_t i = 0; i < MAAS_COUNT(cells); i++)
        if (cells[i].dtype == t)
            return &cells[i];
    return NULL;
}

int64_t maas_column_width(const maas_ds_column *c)
{
    return maas_dims_product(c->desc.dims, 0, c->desc.rank);
}

maas_str maas_column_text(const maas_ds_column *c, int64_t i)
{
    if (c->missing && (c->missing[i / 8] >> (i % 8) & 1))
        return (maas_str){NULL, 0};
    return (maas_str){c->bytes + c->offsets[i], (size_t)(c->offsets[i + 1] - c->offsets[i])};
}
