/* tensor/dtype.h - an element type is a row of dtype.def; numbers are those of ONNX (maas.h). */
#ifndef MAAS_TENSOR_DTYPE_H
#define MAAS_TENSOR_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maas.h"

typedef enum maas_dtype_kind {
    MAAS_KIND_FLOAT,
    MAAS_KIND_INT,
    MAAS_KIND_UINT,
    MAAS_KIND_BOOL,
    MAAS_KIND_TEXT
} maas_dtype_kind;

typedef struct maas_dtype_info {
    const char *name;  /* C-like id: "F32"                       */
    const char *onnx;  /* "float": also what our API calls it    */
    const char *oip;   /* "FP32"                                 */
    const char *numpy; /* "<f4"; NULL when numpy has none        */
    uint8_t bits;      /* of one element; 0 for an unknown dtype */
    uint8_t kind;      /* maas_dtype_kind                        */
} maas_dtype_info;

/* Never NULL; for a number that is no dtype of ours: name "none", bits 0. */
const maas_dtype_info *maas_dtype_describe(maas_dtype t);
maas_dtype maas_dtype_of_oip(const char *name, size_t n); /* MAAS_DT_NONE when unknown */
maas_dtype maas_dtype_of_name(const char *name);          /* onnx, oip or numpy-like ("float32") */
static inline size_t maas_dtype_size(maas_dtype t)
{
    return maas_dtype_describe(t)->bits / 8u;
}
/* Every value of `from` is exact in `to` (what a server may widen without asking). */
bool maas_dtype_widens(maas_dtype from, maas_dtype to);

/* A set of dtypes, for operator schemas. */
typedef uint32_t maas_dtypes;
#define MAAS_DT_BIT(t) (1u << (t))
#define MAAS_DTS_FLOAT                                                                             \
    (MAAS_DT_BIT(MAAS_F32) | MAAS_DT_BIT(MAAS_F64) | MAAS_DT_BIT(MAAS_F16) | MAAS_DT_BIT(MAAS_BF16))
#define MAAS_DTS_INT                                                                               \
    (MAAS_DT_BIT(MAAS_I8) | MAAS_DT_BIT(MAAS_I16) | MAAS_DT_BIT(MAAS_I32) | MAAS_DT_BIT(MAAS_I64))
#define MAAS_DTS_UINT                                                                              \
    (MAAS_DT_BIT(MAAS_U8) | MAAS_DT_BIT(MAAS_U16) | MAAS_DT_BIT(MAAS_U32) | MAAS_DT_BIT(MAAS_U64))
#define MAAS_DTS_NUMERIC (MAAS_DTS_FLOAT | MAAS_DTS_INT | MAAS_DTS_UINT)
#define MAAS_DTS_ALL     (MAAS_DTS_NUMERIC | MAAS_DT_BIT(MAAS_BOOL) | MAAS_DT_BIT(MAAS_STRING))

/* Half formats, IEEE 754-2008 binary16 and bfloat16; rounding to nearest even. */
float maas_f16_to_f32(uint16_t h);
uint16_t maas_f32_to_f16(float f);
static inline float maas_bf16_to_f32(uint16_t h)
{
    union {
        uint32_t u;
        float f;
    } v = {.u = (uint32_t)h << 16};
    return v.f;
}
uint16_t maas_f32_to_bf16(float f);

#endif
