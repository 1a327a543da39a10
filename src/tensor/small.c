#include "tensor/small.h"

#include <math.h>
#include <string.h>

#include "base/ban.h"

/* sign | exponent | mantissa. Codes of magnitudes: `max` is the largest finite one; above it is
 * `infinity`, if any, and NaN. Types without a minus zero (FNUZ) have NaN in its place. */
typedef struct format {
    uint8_t sign, mantissa, bias, max, infinity, nan;
} format;

static const format formats[] = {
    [MAAS_F8E4M3FN] = {0x80, 3, 7, 0x7e, 0, 0x7f},
    [MAAS_F8E4M3FNUZ] = {0x80, 3, 8, 0x7f, 0, 0x80},
    [MAAS_F8E5M2] = {0x80, 2, 15, 0x7b, 0x7c, 0x7f},
    [MAAS_F8E5M2FNUZ] = {0x80, 2, 16, 0x7f, 0, 0x80},
    [MAAS_F4E2M1] = {0x08, 1, 1, 0x07, 0, 0},
    [MAAS_F6E2M3] = {0x20, 3, 1, 0x1f, 0, 0},
    [MAAS_F6E3M2] = {0x20, 2, 3, 0x1f, 0, 0},
};

enum { E8M0_BIAS = 127, E8M0_MAX = 254, E8M0_NAN = 255 };

float maas_small_float(maas_dtype t, uint8_t code)
{
    if (t == MAAS_F8E8M0)
        return code == E8M0_NAN ? NAN : ldexpf(1, code - E8M0_BIAS);
    const format *f = &formats[t];
    const bool negative = code & f->sign;
    const uint8_t size = code & (uint8_t)(f->sign - 1);
    if (f->nan == f->sign && negative && !size)
        return NAN;
    if (size > f->max)
        return size != f->infinity ? NAN : negative ? -INFINITY : INFINITY;
    const int e = size >> f->mantissa, m = size - (e << f->mantissa);
    const int whole = e ? m + (1 << f->mantissa) : m;
    const float v = ldexpf((float)whole, (e ? e : 1) - f->bias - f->mantissa);
    return negative ? -v : v;
}

uint8_t maas_small_of(maas_dtype t, double v, bool saturate)
{
    if (t == MAAS_F8E8M0)
        return maas_e8m0_of(v, MAAS_E8M0_UP, saturate);
    const format *f = &formats[t];
    const uint8_t sign = signbit(v) ? f->sign : 0;
    int e = 0;
    if (v != v)
        return f->nan == f->sign ? f->nan : f->nan ? f->nan | sign : f->sign;
    if (isinf(v)) {
        e = 1 << 16;
    } else {
        frexp(v, &e);
        e = v == 0 || e - 1 < 1 - f->bias ? 1 - f->bias : e - 1;
    }
    /* Rounding up to the next power of two carries into the exponent by itself. */
    const double m = e == 1 << 16 ? 0 : rint(ldexp(fabs(v), f->mantissa - e));
    const int code = (e + f->bias - 1) * (1 << f->mantissa) + (int)m;
    if (code <= f->max)
        return code || f->nan != f->sign ? (uint8_t)(code | sign) : 0;
    if (saturate || !f->nan)
        return f->max | sign;
    return f->nan == f->sign ? f->nan : (f->infinity ? f->infinity : f->nan) | sign;
}

uint8_t maas_e8m0_of(double v, maas_e8m0_round round, bool saturate)
{
    int e;
    if (v != v)
        return E8M0_NAN;
    if (isinf(v))
        return saturate ? E8M0_MAX : E8M0_NAN;
    const double m = frexp(fabs(v), &e); /* half to one: 2^(e-1) is at or below the magnitude */
    int code = e - 1 + E8M0_BIAS;
    if ((round == MAAS_E8M0_UP && m > 0.5) || (round == MAAS_E8M0_NEAREST && m >= 0.75))
        code++;
    if (v == 0 || code < 0)
        return saturate ? 0 : E8M0_NAN;
    return code <= E8M0_MAX ? (uint8_t)code : saturate ? E8M0_MAX : E8M0_NAN;
}

uint8_t maas_small_wrap(maas_dtype t, uint8_t v)
{
    const maas_dtype_info *d = maas_dtype_describe(t);
    if (d->file_bits >= 8)
        return v;
    const uint8_t mask = (uint8_t)((1u << d->file_bits) - 1), top = mask ^ mask >> 1;
    v &= mask;
    return d->kind == MAAS_KIND_INT && (v & top) ? (uint8_t)(v | (uint8_t)~mask) : v;
}

/* ---- packing: the first element is in the lowest bits; six bits run over from byte to byte ----
 */

size_t maas_small_packed(maas_dtype t, size_t n)
{
    const size_t bits = maas_dtype_describe(t)->file_bits;
    return n / 8 * bits + (n % 8 * bits + 7) / 8;
}

void maas_small_unpack(maas_dtype t, const uint8_t *packed, size_t n, uint8_t *out)
{
    const unsigned bits = maas_dtype_describe(t)->file_bits;
    unsigned acc = 0, have = 0;
    for (size_t i = 0; i < n; i++) {
        if (have < bits) {
            acc |= (unsigned)*packed++ << have;
            have += 8;
        }
        out[i] = maas_small_wrap(t, (uint8_t)acc);
        acc >>= bits;
        have -= bits;
    }
}

void maas_small_pack(maas_dtype t, const uint8_t *in, size_t n, uint8_t *out_packed)
{
    const unsigned bits = maas_dtype_describe(t)->file_bits;
    unsigned acc = 0, have = 0;
    for (size_t i = 0; i < n; i++) {
        acc |= (in[i] & ((1u << bits) - 1)) << have;
        have += bits;
        if (have >= 8) {
            *out_packed++ = (uint8_t)acc;
            acc >>= 8;
            have -= 8;
        }
    }
    if (have)
        *out_packed = (uint8_t)acc;
}
