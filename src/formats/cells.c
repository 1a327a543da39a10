/* formats/cells.c - see cells.h. */
#include "formats/cells.h"

#include <math.h>
#include <strings.h>

#include "base/num.h"
#include "base/status.h"
#include "base/ban.h"

static const char *const missing_words[] = {
    "NA",   "N/A",  "n/a",  "na",   "#N/A", "NaN",  "nan", "NAN", "-nan", "-NaN",
    "null", "NULL", "Null", "None", "none", "NONE", "nil", "?",   ".",
};
#define LONGEST_WORD 4

bool maas_cell_is_missing(maas_span cell)
{
    maas_span c = maas_cell_trim(cell);
    if (!c.n)
        return true;
    for (size_t i = 0; c.n <= LONGEST_WORD && i < MAAS_COUNT(missing_words); i++)
        if (maas_span_is(c, missing_words[i]))
            return true;
    return false;
}

static bool is_digit(uint8_t c)
{
    return (uint8_t)(c - '0') < 10;
}

static bool is_infinity(maas_span c)
{
    if (c.n && (*c.p == '+' || *c.p == '-'))
        maas_span_skip(&c, 1);
    return (c.n == 3 && !strncasecmp((const char *)c.p, "inf", 3)) ||
           (c.n == 8 && !strncasecmp((const char *)c.p, "infinity", 8));
}

/* What a number is made of. */
typedef struct numeral {
    bool negative, real, exponent;
    uint64_t digits;  /* all digits as one integer, exact when n_digits <= 19 */
    int64_t n_digits; /* leading zeros included while there are at most 19 */
    int64_t n_fraction;
} numeral;

/* Digits from the first that is no zero. */
static int64_t n_significant(const uint8_t *p, const uint8_t *end)
{
    int64_t n = 0;
    for (; p < end; p++)
        n += is_digit(*p) && (n || *p != '0');
    return n;
}

static bool is_exponent(const uint8_t *p, const uint8_t *end)
{
    if (p < end && (*p == '+' || *p == '-'))
        p++;
    const uint8_t *first = p;
    while (p < end && is_digit(*p))
        p++;
    return p > first && p == end;
}

static bool scan_number(maas_span c, numeral *out)
{
    const uint8_t *p = c.p, *end = c.p + c.n;
    uint64_t digits = 0;
    *out = (numeral){.negative = c.n && *p == '-'};
    if (p < end && (*p == '+' || *p == '-'))
        p++;
    const uint8_t *first = p, *point = NULL;
    for (; p < end && is_digit(*p); p++)
        digits = digits * 10 + (uint64_t)(*p - '0');
    out->n_digits = p - first;
    if (p < end && *p == '.') {
        point = p++;
        for (; p < end && is_digit(*p); p++)
            digits = digits * 10 + (uint64_t)(*p - '0');
        out->n_fraction = p - point - 1;
        out->n_digits += out->n_fraction;
    }
    if (!out->n_digits)
        return false;
    if (out->n_digits > 19)
        out->n_digits = n_significant(first, p);
    out->digits = digits;
    out->exponent = p < end && (*p | 0x20) == 'e';
    out->real = point || out->exponent;
    return out->exponent ? is_exponent(p + 1, end) : p == end;
}

static bool fits_i64(const numeral *v, int64_t *out)
{
    if (v->real || v->n_digits > 19 || v->digits > (uint64_t)INT64_MAX + v->negative)
        return false;
    /* Nineteen nines fit a uint64, so n_digits says whether `digits` is exact. */
    *out = v->negative ? (int64_t)(0 - v->digits) : (int64_t)v->digits;
    return true;
}

maas_cell_kind maas_cell_classify(maas_span cell)
{
    maas_span c = maas_cell_trim(cell);
    numeral v;
    int64_t ignored;
    if (c.n && scan_number(c, &v))
        return fits_i64(&v, &ignored) ? MAAS_CELL_INT : MAAS_CELL_REAL;
    if (maas_cell_is_missing(c))
        return MAAS_CELL_MISSING;
    return is_infinity(c) ? MAAS_CELL_REAL : MAAS_CELL_TEXT;
}

/* The JSON-like grammar of base/num.h knows no leading zeros: they are dropped here. */
static maas_span without_zeros(maas_span c)
{
    if (c.n && (*c.p == '+' || *c.p == '-'))
        maas_span_skip(&c, 1);
    while (c.n > 1 && *c.p == '0' && is_digit(c.p[1]))
        maas_span_skip(&c, 1);
    return c;
}

static bool store_f64(maas_span c, double *to)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    numeral v;
    if (!scan_number(c, &v)) {
        *to = c.n && *c.p == '-' ? -INFINITY : INFINITY;
        return is_infinity(c);
    }
    /* Both numbers are exact, so one division rounds once, as it must. */
    if (!v.exponent && v.n_digits <= 15 && v.n_fraction < (int64_t)MAAS_COUNT(powers)) {
        double d = (double)v.digits / powers[v.n_fraction];
        *to = v.negative ? -d : d;
        return true;
    }
    maas_span rest = without_zeros(c);
    double d;
    if (!maas_num_f64(&rest, &d) || rest.n)
        return false;
    *to = v.negative ? -d : d;
    return true;
}

static bool store_f32(maas_span c, float *to)
{
    numeral v;
    if (!scan_number(c, &v)) {
        *to = c.n && *c.p == '-' ? -INFINITY : INFINITY;
        return is_infinity(c);
    }
    maas_span rest = without_zeros(c);
    float f;
    if (!maas_num_f32(&rest, &f) || rest.n)
        return false;
    *to = v.negative ? -f : f;
    return true;
}

static bool store_bool(maas_span c, uint8_t *to)
{
    static const char *const words[2][6] = {{"false", "False", "FALSE", "0", "no", "f"},
                                            {"true", "True", "TRUE", "1", "yes", "t"}};
    for (uint8_t v = 0; v < 2; v++)
        for (size_t i = 0; i < MAAS_COUNT(words[0]); i++)
            if (maas_span_is(c, words[v][i])) {
                *to = v;
                return true;
            }
    return false;
}

static bool store_int(maas_dtype t, maas_span c, void *to)
{
    const maas_dtype_info *info = maas_dtype_describe(t);
    numeral v;
    int64_t i = 0;
    if (!scan_number(c, &v) || v.real)
        return false;
    if (t == MAAS_U64) {
        maas_span rest = without_zeros(c);
        uint64_t u;
        if (!maas_num_u64(&rest, &u) || rest.n || (v.negative && u))
            return false;
        memcpy(to, &u, sizeof u);
        return true;
    }
    if (!fits_i64(&v, &i))
        return false;
    int bits = info->bits - (info->kind == MAAS_KIND_INT);
    int64_t max = bits == 63 ? INT64_MAX : ((int64_t)1 << bits) - 1;
    int64_t min = info->kind == MAAS_KIND_INT ? -max - 1 : 0;
    if (i < min || i > max)
        return false;
    memcpy(to, &i, info->bits / 8u); /* little-endian: the low bytes */
    return true;
}

bool maas_cell_store(maas_dtype t, maas_span cell, void *to)
{
    maas_span c = maas_cell_trim(cell);
    if (t == MAAS_F64)
        return store_f64(c, to);
    if (t == MAAS_F32)
        return store_f32(c, to);
    if (t == MAAS_BOOL)
        return store_bool(c, to);
    return store_int(t, c, to);
}

bool maas_cell_store_missing(maas_dtype t, void *to)
{
    if (t == MAAS_F64)
        *(double *)to = NAN;
    else if (t == MAAS_F32)
        *(float *)to = NAN;
    return t == MAAS_F64 || t == MAAS_F32;
}
