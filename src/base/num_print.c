/*
 * The shortest decimal that reads back as the same float or double, and of those the nearest to it.
 *
 * After R. Giulietti, "The Schubfach way to render doubles", 2020. With v = c * 2^q, everything
 * that rounds to v lies between (c - 1/2) * 2^q and (c + 1/2) * 2^q (a quarter below when c is a
 * power of two). k is chosen so that 10^k is at most as wide as that interval and 10^(k+1) wider:
 * the interval then holds one or more multiples of 10^k, and at most one of 10^(k+1), which wins.
 * The three bounds are scaled by 4 * 10^-k with 128 bits of 10^-k and rounded to odd, which keeps
 * every comparison with multiples of 2 exact.
 */
#include "base/num.h"

#include "base/num_dec.h"
#include "base/ban.h"

typedef struct decimal {
    uint64_t digits;
    int k; /* value = digits * 10^k */
} decimal;

/* 128 leading bits of 10^q rounded up, from the table that is rounded down. */
static unsigned __int128 pow10_up(int q)
{
    const maas_pow10 *t = &maas_pow10_table[q - MAAS_POW10_MIN];
    unsigned __int128 v = (unsigned __int128)t->high << 64 | t->low;
    return q >= 0 && q <= MAAS_POW10_EXACT ? v : v + 1;
}

/* g * c / 2^128; what was cut off sets the lowest bit, but for the 1 that rounding up may add. */
static uint64_t scale_to_odd(unsigned __int128 g, uint64_t c)
{
    unsigned __int128 low = (unsigned __int128)(uint64_t)g * c;
    unsigned __int128 high = (unsigned __int128)(uint64_t)(g >> 64) * c + (uint64_t)(low >> 64);
    return (uint64_t)(high >> 64) | ((uint64_t)high > 1);
}

static decimal shortest(uint64_t c, int q, bool power_of_two)
{
    uint64_t odd = c & 1; /* the ends of the interval round to the even neighbour: not to v */
    int k = (q * 1262611 - (power_of_two ? 524031 : 0)) >> 22; /* floor(log10(width)) */
    int h = q + maas_floor_log2_pow10(-k) + 1;
    unsigned __int128 g = pow10_up(-k);
    uint64_t low = scale_to_odd(g, (4 * c - 2 + power_of_two) << h) + odd;
    uint64_t mid = scale_to_odd(g, 4 * c << h);
    uint64_t high = scale_to_odd(g, (4 * c + 2) << h) - odd;

    uint64_t s = mid / 4, tens = s / 10;
    if (s >= 10) { /* multiples of 10^(k+1) next to v: at most one is inside */
        bool down = low <= 40 * tens, up = 40 * tens + 40 <= high;
        if (down != up)
            return (decimal){tens + up, k + 1};
    }
    bool down = low <= 4 * s, up = 4 * s + 4 <= high;
    if (down == up) /* both inside: the nearer one, a tie to even */
        up = mid > 4 * s + 2 || (mid == 4 * s + 2 && s & 1);
    return (decimal){s + up, k};
}

static decimal without_trailing_zeros(decimal d)
{
    while (d.digits % 10000 == 0) { /* integers end in many */
        d.digits /= 10000;
        d.k += 4;
    }
    while (d.digits % 10 == 0) {
        d.digits /= 10;
        d.k++;
    }
    return d;
}

/* Moves the last n of the digits that end at `end` by one, and puts the point in between. */
static void insert_point(char *end, size_t n)
{
    memmove(end - n + 1, end - n, n);
    end[-(ptrdiff_t)n] = '.';
}

static size_t put_exponential(char *out, decimal d)
{
    size_t n = maas_num_put_u64(out, d.digits);
    int exponent = d.k + (int)n - 1;
    if (n > 1) {
        insert_point(out + n, n - 1);
        n++;
    }
    out[n++] = 'e';
    return n + maas_num_put_i64(out + n, exponent);
}

/* Plain notation from 0.0001 to below 1e16, as most languages choose; always a point or exponent,
 * so that a reader sees a float. */
static size_t put_decimal(char *out, decimal d)
{
    enum { MOST_ZEROS = 4 }; /* after "0." */
    char digits[20];
    int n = (int)maas_num_put_u64(digits, d.digits), point = n + d.k;
    if (point < 1 - MOST_ZEROS || point > 16)
        return put_exponential(out, d);
    if (point <= 0) {
        memcpy(out, "0.0000", 2 + MOST_ZEROS);
        memcpy(out + 2 - point, digits, sizeof digits);
        return (size_t)(2 - point + n);
    }
    memcpy(out, digits, sizeof digits);
    if (d.k < 0) {
        insert_point(out + n, (size_t)-d.k);
        return (size_t)n + 1;
    }
    memset(out + n, '0', (size_t)d.k);
    memcpy(out + n + d.k, ".0", 2);
    return (size_t)(n + d.k + 2);
}

static size_t put_word(char *out, const char *word)
{
    size_t n = strlen(word);
    memcpy(out, word, n);
    return n;
}

/* `fraction` and `biased` are the two fields of the format. */
static size_t put_fields(char *out, bool negative, int biased, uint64_t fraction,
                         const maas_float_shape *f)
{
    uint64_t hidden = 1ull << (f->bits - 1);
    if ((uint64_t)biased << (f->bits - 1) == f->infinity)
        return put_word(out, fraction ? "NaN" : negative ? "-Infinity" : "Infinity");
    size_t at = 0;
    if (negative)
        out[at++] = '-';
    if (!biased && !fraction)
        return at + put_word(out + at, "0.0");
    bool normal = biased > 0;
    uint64_t c = normal ? hidden | fraction : fraction;
    int q = (normal ? biased : 1) - 1 + f->e_min - (f->bits - 1);
    decimal d = shortest(c, q, normal && !fraction && biased > 1);
    return at + put_decimal(out + at, without_trailing_zeros(d));
}

size_t maas_num_put_f32(char *out, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return put_fields(out, bits >> 31, (int)(bits >> 23 & 0xff), bits & 0x7fffff, &maas_f32_shape);
}

size_t maas_num_put_f64(char *out, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return put_fields(out, bits >> 63, (int)(bits >> 52 & 0x7ff), bits & 0xfffffffffffffu,
                      &maas_f64_shape);
}
