#include "tensor/dtype.h"

#include <string.h>
#include <strings.h>

#include "base/ban.h"

static const maas_dtype_info table[] = {
#define X(id, onnx, oip, numpy, bits, file, kind)                                                  \
    [MAAS_##id] = {#id, onnx, oip, numpy, bits, file, MAAS_KIND_##kind},
#include "dtype.def"
#undef X
};
#define N_TABLE (sizeof table / sizeof *table)

const maas_dtype_info *maas_dtype_describe(maas_dtype t)
{
    static const maas_dtype_info none = {"none", "none", "NONE", NULL, 0, 0, MAAS_KIND_TEXT};
    return (size_t)t < N_TABLE && table[t].bits ? &table[t] : &none;
}

maas_dtype maas_dtype_of_oip(const char *name, size_t n)
{
    for (size_t i = 0; i < N_TABLE; i++)
        if (maas_dtype_in((maas_dtype)i, MAAS_DTS_PLAIN) && strlen(table[i].oip) == n &&
            memcmp(table[i].oip, name, n) == 0)
            return (maas_dtype)i;
    return MAAS_DT_NONE;
}

maas_dtype maas_dtype_of_name(const char *name)
{
    if (strcasecmp(name, "float32") == 0)
        return MAAS_F32;
    if (strcasecmp(name, "float64") == 0)
        return MAAS_F64;
    for (size_t i = 0; i < N_TABLE; i++)
        if (table[i].bits &&
            (strcasecmp(name, table[i].onnx) == 0 || strcasecmp(name, table[i].oip) == 0))
            return (maas_dtype)i;
    return MAAS_DT_NONE;
}

/* Bits of the mantissa or of the magnitude: integers up to 2^digits are exact. */
static int exact_bits(maas_dtype t)
{
    switch (t) {
    case MAAS_F64:
        return 53;
    case MAAS_F32:
        return 24;
    case MAAS_F16:
        return 11;
    case MAAS_BF16:
        return 8;
    default: {
        const maas_dtype_info *d = maas_dtype_describe(t);
        return d->kind == MAAS_KIND_INT ? d->bits - 1 : d->kind == MAAS_KIND_BOOL ? 1 : d->bits;
    }
    }
}

bool maas_dtype_widens(maas_dtype from, maas_dtype to)
{
    if (from == to)
        return true;
    const maas_dtype_info *f = maas_dtype_describe(from), *t = maas_dtype_describe(to);
    if (!f->bits || !t->bits || f->kind == MAAS_KIND_TEXT || t->kind == MAAS_KIND_TEXT ||
        t->kind == MAAS_KIND_BOOL)
        return false;
    if (maas_dtype_in(to, MAAS_DTS_SMALL))
        return false;
    if (maas_dtype_in(from, MAAS_DTS_SMALL_FLOAT))
        return to == MAAS_F32 || to == MAAS_F64;
    if (f->kind == MAAS_KIND_FLOAT && t->kind == MAAS_KIND_FLOAT)
        return f->bits < t->bits; /* f16 and bf16 do not hold each other */
    if (f->kind == MAAS_KIND_FLOAT)
        return false;
    if (f->kind == MAAS_KIND_INT && t->kind == MAAS_KIND_UINT)
        return false;
    return exact_bits(from) <= exact_bits(to);
}

float maas_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exp = (h >> 10) & 31u, man = h & 1023u;
    union {
        uint32_t u;
        float f;
    } v;
    if (exp == 31) {
        v.u = sign | 0x7f800000u | man << 13;
    } else if (exp) {
        v.u = sign | (exp + 112u) << 23 | man << 13;
    } else { /* subnormal: man * 2^-24 */
        v.f = (float)man * 0x1p-24f;
        v.u |= sign;
    }
    return v.f;
}

uint16_t maas_f32_to_f16(float f)
{
    union {
        float f;
        uint32_t u;
    } v = {.f = f};
    uint16_t sign = (uint16_t)(v.u >> 16 & 0x8000u);
    uint32_t a = v.u & 0x7fffffffu;
    if (a > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u);
    if (a >= 0x477ff000u) /* 65520 and more round to infinity */
        return (uint16_t)(sign | 0x7c00u);
    if (a < 0x38800000u) { /* below 2^-14: let the FPU round to a multiple of 2^-24 */
        union {
            uint32_t u;
            float f;
        } m = {.u = a};
        m.f += 0.5f; /* ulp of 0.5..1 is 2^-24 */
        return (uint16_t)(sign | (uint16_t)(m.u - 0x3f000000u));
    }
    uint32_t rounded = a + 0xfffu + (a >> 13 & 1u);
    return (uint16_t)(sign | (uint16_t)((rounded - 0x38000000u) >> 13));
}

uint16_t maas_f32_to_bf16(float f)
{
    union {
        float f;
        uint32_t u;
    } v = {.f = f};
    if ((v.u & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(v.u >> 16 | 0x40u);
    return (uint16_t)((v.u + 0x7fffu + (v.u >> 16 & 1u)) >> 16);
}
