/*
 * base/num_dec.h - the inner parts of number parsing, inline for loops over many numbers.
 *
 *   text  --scan-->  w * 10^q  --round-->  bits of the nearest float or double
 *
 * Rounding multiplies w by the 128 leading bits of 10^q. The product is a little too small by a
 * known bound, so either every number within the bound rounds alike, which is nearly always so, or
 * the answer is "undecided" and the caller reads the text exactly (maas_dec_exact_*).
 * After D. Lemire, "Number parsing at a gigabyte per second", 2021, and W. Clinger, 1990.
 */
#ifndef MAAS_BASE_NUM_DEC_H
#define MAAS_BASE_NUM_DEC_H

#include "base/span.h"

typedef struct maas_dec {
    uint64_t w; /* the first 19 significant digits */
    int64_t q;
    bool negative;
    bool truncated; /* there were more digits: the value is in [w, w+1) * 10^q */
} maas_dec;

enum { MAAS_POW10_MIN = -342, MAAS_POW10_MAX = 324, MAAS_POW10_EXACT = 55 /* 5^55 < 2^128 */ };
typedef struct maas_pow10 {
    uint64_t high, low; /* of 128 bits, the first one set, rounded down; exact for q = 0..55 */
} maas_pow10;
extern const maas_pow10 maas_pow10_table[MAAS_POW10_MAX - MAAS_POW10_MIN + 1];

static inline int maas_floor_log2_pow10(int q)
{
    return (q * 1741647) >> 19; /* |q| <= 1233 */
}

/* The full decimal of `text` (a number that was scanned already), by the C library. */
float maas_dec_exact_f32(maas_span text);
double maas_dec_exact_f64(maas_span text);
/* More than 19 digits: leading zeros do not count, and what follows the 19th only moves q. */
void maas_dec_rescan(const uint8_t *digits, const uint8_t *end, int64_t exponent, maas_dec *out);
/* Reads the digits of an exponent at p (after 'e'); NULL when there are none. */
const uint8_t *maas_dec_exponent(const uint8_t *p, const uint8_t *end, int64_t *out);

/* ---- scan ---- */

static inline bool maas_is_digit(uint8_t c)
{
    return (uint8_t)(c - '0') <= 9;
}

/* The highest bit of each byte that is no digit; right up to the first of them, which is what
 * counts: a byte above 0x80 may carry into those after it. */
static inline uint64_t maas_not_digits(uint64_t v)
{
    uint64_t value = v ^ 0x3030303030303030u; /* 0..9 for digits */
    return (value | (value + 0x7676767676767676u)) & 0x8080808080808080u;
}

/* Eight digits at once: pairs, then fours, then all, in one register. */
static inline uint32_t maas_8_digits(uint64_t v)
{
    v -= 0x3030303030303030u;
    v = v * 10 + (v >> 8); /* each even byte now holds a pair */
    uint64_t low = (v & 0x000000ff000000ffu) * (100 + (1000000ull << 32));
    uint64_t high = (v >> 16 & 0x000000ff000000ffu) * (1 + (10000ull << 32));
    return (uint32_t)((low + high) >> 32);
}

/* Eight bytes a step. The last digits, which vary in number, are moved behind zeros instead of
 * being looped over: a mispredicted branch costs more than the whole conversion. */
static inline const uint8_t *maas_dec_digits(const uint8_t *p, const uint8_t *end, uint64_t *w)
{
    static const uint32_t power[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000};
    uint64_t acc = *w; /* wraps beyond 19 digits; the caller then scans again */
    while (end - p >= 8) {
        uint64_t v;
        memcpy(&v, p, sizeof v);
        uint64_t stop = maas_not_digits(v);
        if (stop) {
            int n = __builtin_ctzll(stop) >> 3;
            if (n) {
                v = v << (64 - 8 * n) | 0x3030303030303030u >> 8 * n;
                acc = acc * power[n] + maas_8_digits(v);
            }
            *w = acc;
            return p + n;
        }
        acc = acc * 100000000u + maas_8_digits(v);
        p += 8;
    }
    for (; p != end && maas_is_digit(*p); p++)
        acc = acc * 10 + (uint64_t)(*p - '0');
    *w = acc;
    return p;
}

/*
 * Reads a number at p; returns where it ends, NULL when there is none. `json` is a constant of the
 * caller: the grammar of JSON, else also '+', "1.", ".5" and leading zeros are numbers.
 */
static inline const uint8_t *maas_dec_scan(const uint8_t *p, const uint8_t *end, bool json,
                                           maas_dec *out)
{
    uint64_t w = 0;
    int64_t exponent = 0;
    out->negative = p != end && *p == '-';
    if (p != end && (*p == '-' || (!json && *p == '+')))
        p++;
    const uint8_t *digits = p;
    while (p != end && maas_is_digit(*p)) /* few digits, as a rule */
        w = w * 10 + (uint64_t)(*p++ - '0');
    int64_t n_digits = p - digits, n_fraction = 0;
    if (json && (!n_digits || (n_digits > 1 && *digits == '0')))
        return NULL;
    if (p != end && *p == '.') {
        const uint8_t *fraction = ++p;
        p = maas_dec_digits(p, end, &w);
        n_fraction = p - fraction;
        if (json && !n_fraction)
            return NULL;
    }
    n_digits += n_fraction;
    if (!n_digits)
        return NULL;
    const uint8_t *digits_end = p;
    if (p != end && (*p | 0x20) == 'e') {
        const uint8_t *after = maas_dec_exponent(p + 1, end, &exponent);
        if (!after)
            return NULL;
        p = after;
    }
    out->w = w;
    out->q = exponent - n_fraction;
    out->truncated = false;
    if (__builtin_expect(n_digits > 19, 0))
        maas_dec_rescan(digits, digits_end, exponent, out);
    return p;
}

/* ---- round ---- */

typedef struct maas_float_shape {
    int bits;         /* of the significand, with the hidden one */
    int e_min;        /* exponent of the smallest normal number */
    int q_min, q_max; /* below: 0 for every 64-bit w; above: infinite for every w but 0 */
    uint64_t infinity;
} maas_float_shape;
static const maas_float_shape maas_f32_shape = {24, -126, -64, 38, 0x7f800000u};
static const maas_float_shape maas_f64_shape = {53, -1022, -342, 308, 0x7ff0000000000000u};

/* The cold half of maas_dec_round: all 192 bits of the product. */
bool maas_dec_round_wide(uint64_t w, int q, const maas_float_shape *f, uint64_t *out);

/* Significand and exponent as the bits of the format; a carry moves on into the exponent. */
static inline uint64_t maas_float_bits(uint64_t m, int biased, const maas_float_shape *f)
{
    uint64_t bits = m + ((uint64_t)(biased > 0 ? biased - 1 : 0) << (f->bits - 1));
    return bits < f->infinity ? bits : f->infinity;
}

/* Bits of the number nearest to w * 10^q without the sign; false: undecided. */
static inline bool maas_dec_round(uint64_t w, int64_t q64, const maas_float_shape *f, uint64_t *out)
{
    if (!w || q64 < f->q_min || q64 > f->q_max) {
        *out = !w || q64 < 0 ? 0 : f->infinity;
        return true;
    }
    int q = (int)q64, zeros = __builtin_clzll(w);
    uint64_t high = maas_pow10_table[q - MAAS_POW10_MIN].high;
    uint64_t a = (uint64_t)((unsigned __int128)(w << zeros) * high >> 64);
    int top = (int)(a >> 63);
    int biased = 63 + top + maas_floor_log2_pow10(q) - zeros - f->e_min + 1;
    int drop = 63 + top - f->bits + (biased <= 0 ? 1 - biased : 0);
    if (__builtin_expect(drop > 62, 0))
        return false;
    /* The whole product is in [a, a+2): only these two leave the side of the half open. */
    uint64_t below = a & ((1ull << drop) - 1), half = 1ull << (drop - 1);
    if (__builtin_expect(below - (half - 1) <= 1, 0))
        return maas_dec_round_wide(w, q, f, out);
    *out = maas_float_bits((a >> drop) + (below > half), biased, f);
    return true;
}

/* As above for a scanned decimal with more digits than fit w: true when they make no difference. */
static inline bool maas_dec_bits(const maas_dec *d, const maas_float_shape *f, uint64_t *out)
{
    uint64_t above;
    if (!maas_dec_round(d->w, d->q, f, out))
        return false;
    return !d->truncated || (maas_dec_round(d->w + 1, d->q, f, &above) && above == *out);
}

/* Clinger's case: w and the power of ten are exact, so one operation rounds once. */
static inline bool maas_dec_simple_f32(const maas_dec *d, float *out)
{
    static const float power[] = {1e0f, 1e1f, 1e2f, 1e3f, 1e4f, 1e5f,
                                  1e6f, 1e7f, 1e8f, 1e9f, 1e10f};
    if (d->w > 1u << 24 || d->q < -10 || d->q > 10 || d->truncated)
        return false;
    float v = (float)d->w;
    v = d->q < 0 ? v / power[-d->q] : v * power[d->q];
    *out = d->negative ? -v : v;
    return true;
}

static inline bool maas_dec_simple_f64(const maas_dec *d, double *out)
{
    static const double power[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (d->w > 1ull << 53 || d->q < -22 || d->q > 22 || d->truncated)
        return false;
    double v = (double)d->w;
    v = d->q < 0 ? v / power[-d->q] : v * power[d->q];
    *out = d->negative ? -v : v;
    return true;
}

/* `text` is what was scanned. */
static inline float maas_dec_f32(const maas_dec *d, maas_span text)
{
    float v;
    uint64_t bits;
    if (maas_dec_simple_f32(d, &v))
        return v;
    if (__builtin_expect(!maas_dec_bits(d, &maas_f32_shape, &bits), 0))
        return maas_dec_exact_f32(text);
    uint32_t narrow = (uint32_t)bits | (uint32_t)d->negative << 31;
    memcpy(&v, &narrow, sizeof v);
    return v;
}

static inline double maas_dec_f64(const maas_dec *d, maas_span text)
{
    double v;
    uint64_t bits;
    if (maas_dec_simple_f64(d, &v))
        return v;
    if (__builtin_expect(!maas_dec_bits(d, &maas_f64_shape, &bits), 0))
        return maas_dec_exact_f64(text);
    bits |= (uint64_t)d->negative << 63;
    memcpy(&v, &bits, sizeof v);
    return v;
}

#endif
