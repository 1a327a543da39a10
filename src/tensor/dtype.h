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
    uint8_t file_bits; /* in files of ONNX; below 8: packed there */
    uint8_t kind;      /* maas_dtype_kind                        */
} maas_dtype_info;

/* Never NULL; for a number that is no dtype of ours: name "none", bits 0. */
const maas_dtype_info *maas_dtype_describe(maas_dtype t);
/* MAAS_DT_NONE when unknown, or a type that OIP does not have. */
maas_dtype maas_dtype_of_oip(const char *name, size_t n);
maas_dtype maas_dtype_of_name(const char *name); /* onnx, oip or numpy-like ("float32") */
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
#define MAAS_DTS_F8                                                                                \
    (MAAS_DT_BIT(MAAS_F8E4M3FN) | MAAS_DT_BIT(MAAS_F8E4M3FNUZ) | MAAS_DT_BIT(MAAS_F8E5M2) |        \
     MAAS_DT_BIT(MAAS_F8E5M2FNUZ))
#define MAAS_DTS_INT4      (MAAS_DT_BIT(MAAS_I4) | MAAS_DT_BIT(MAAS_U4))
#define MAAS_DTS_INT2      (MAAS_DT_BIT(MAAS_I2) | MAAS_DT_BIT(MAAS_U2))
#define MAAS_DTS_SMALL_INT (MAAS_DTS_INT4 | MAAS_DTS_INT2)
#define MAAS_DTS_F6        (MAAS_DT_BIT(MAAS_F6E2M3) | MAAS_DT_BIT(MAAS_F6E3M2))
#define MAAS_DTS_SMALL_FLOAT                                                                       \
    (MAAS_DTS_F8 | MAAS_DTS_F6 | MAAS_DT_BIT(MAAS_F4E2M1) | MAAS_DT_BIT(MAAS_F8E8M0))
#define MAAS_DTS_SMALL (MAAS_DTS_SMALL_INT | MAAS_DTS_SMALL_FLOAT)
/* What is computed with and what the server's protocol has: all but the small ones. */
#define MAAS_DTS_PLAIN (MAAS_DTS_NUMERIC | MAAS_DT_BIT(MAAS_BOOL) | MAAS_DT_BIT(MAAS_STRING))
#define MAAS_DTS_ALL   (MAAS_DTS_PLAIN | MAAS_DTS_SMALL) /* what can be moved */

static inline bool maas_dtype_in(maas_dtype t, maas_dtypes set)
{
    return (unsigned)t < 32 && (set >> t & 1u);
}

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
