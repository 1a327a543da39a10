/* Decimal text to float and double: the cold parts of num_dec.h and the functions of num.h. */
#include "base/num.h"

#include <stdlib.h>

#include "base/num_dec.h"
#include "base/ban.h"

const maas_pow10 maas_pow10_table[] = {
#include "base/num_pow5.inc"
};

const uint8_t *maas_dec_exponent(const uint8_t *p, const uint8_t *end, int64_t *out)
{
    int64_t v = 0;
    bool negative = p != end && *p == '-';
    if (p != end && (*p == '-' || *p == '+'))
        p++;
    if (p == end || !maas_is_digit(*p))
        return NULL;
    for (; p != end && maas_is_digit(*p); p++)
        if (v < INT64_MAX / 100) /* far beyond any text that could make up for it with digits */
            v = v * 10 + (*p - '0');
    *out = negative ? -v : v;
    return p;
}

/* Walks digits and point; the callers below differ in what they do with each significant digit. */
typedef struct digit_walk {
    const uint8_t *p, *end;
    bool seen_point, significant;
    int64_t q; /* what the exponent loses to the fraction */
} digit_walk;

static bool next_digit(digit_walk *d, uint8_t *out)
{
    for (; d->p != d->end; d->p++) {
        if (*d->p == '.') {
            d->seen_point = true;
            continue;
        }
        d->q -= d->seen_point;
        d->significant |= *d->p != '0';
        if (!d->significant)
            continue;
        *out = *d->p++;
        return true;
    }
    return false;
}

void maas_dec_rescan(const uint8_t *digits, const uint8_t *end, int64_t exponent, maas_dec *out)
{
    digit_walk walk = {.p = digits, .end = end, .q = exponent};
    uint8_t c;
    int n = 0;
    out->w = 0;
    out->truncated = false;
    while (n < 19 && next_digit(&walk, &c)) {
        out->w = out->w * 10 + (uint64_t)(c - '0');
        n++;
    }
    while (next_digit(&walk, &c)) {
        out->truncated |= c != '0';
        walk.q++;
    }
    out->q = walk.q;
}

/*
 * The number again, as digits and exponent without a point, so that the C library reads it the same
 * in every locale. 768 digits decide every halfway case of a double; a further digit stands for all
 * that follow.
 */
enum { DECIDING_DIGITS = 768, EXACT_TEXT = DECIDING_DIGITS + 32 };

static void exact_text(maas_span text, char out[EXACT_TEXT])
{
    const uint8_t *end = text.p + text.n, *digits_end = text.p;
    size_t n = 0;
    bool negative = *text.p == '-';
    if (*text.p == '-' || *text.p == '+')
        digits_end = ++text.p;
    while (digits_end != end && (*digits_end | 0x20) != 'e')
        digits_end++;
    digit_walk walk = {.p = text.p, .end = digits_end};
    if (digits_end != end)
        maas_dec_exponent(digits_end + 1, end, &walk.q);
    uint8_t c;
    bool more = false;
    if (negative)
        out[n++] = '-';
    out[n++] = '0';
    for (int i = 0; i < DECIDING_DIGITS && next_digit(&walk, &c); i++)
        out[n++] = (char)c;
    while (next_digit(&walk, &c)) {
        more |= c != '0';
        walk.q++;
    }
    if (more) {
        out[n++] = '1';
        walk.q--;
    }
    out[n++] = 'e';
    /* Beyond this every number is zero or infinite, and the library's own int cannot overflow. */
    int64_t q = walk.q < -100000 ? -100000 : walk.q > 100000 ? 100000 : walk.q;
    out[n + maas_num_put_i64(out + n, q)] = '\0';
}

float maas_dec_exact_f32(maas_span text)
{
    char buf[EXACT_TEXT];
    exact_text(text, buf);
    return strtof(buf, NULL);
}

double maas_dec_exact_f64(maas_span text)
{
    char buf[EXACT_TEXT];
    exact_text(text, buf);
    return strtod(buf, NULL);
}

/*
 * 192 bits a, b, c of w * 10^q; for q outside 0..55 the power was rounded down and never exact, so
 * the true product is strictly between (a,b,c) and (a,b+1,c).
 */
bool maas_dec_round_wide(uint64_t w, int q, const maas_float_shape *f, uint64_t *out)
{
    const maas_pow10 *power = &maas_pow10_table[q - MAAS_POW10_MIN];
    int zeros = __builtin_clzll(w);
    w <<= zeros;
    unsigned __int128 low = (unsigned __int128)w * power->low;
    unsigned __int128 ab = (unsigned __int128)w * power->high + (uint64_t)(low >> 64);
    uint64_t a = (uint64_t)(ab >> 64), b = (uint64_t)ab, c = (uint64_t)low;
    bool exact = q >= 0 && q <= MAAS_POW10_EXACT;

    int top = (int)(a >> 63);
    int biased = 63 + top + maas_floor_log2_pow10(q) - zeros - f->e_min + 1;
    int drop = 63 + top - f->bits + (biased <= 0 ? 1 - biased : 0);
    if (drop > 62)
        return false;
    uint64_t m = a >> drop, below = a & ((1ull << drop) - 1), half = 1ull << (drop - 1);
    if (below == half - 1 && b == UINT64_MAX && !exact)
        return false;
    bool tie = below == half && !b && !c && exact;
    *out = maas_float_bits(m + (tie ? m & 1 : below >= half), biased, f);
    return true;
}

bool maas_num_f64(maas_span *s, double *out)
{
    maas_dec d;
    const uint8_t *end = maas_dec_scan(s->p, s->p + s->n, false, &d);
    if (!end)
        return false;
    size_t n = (size_t)(end - s->p);
    *out = maas_dec_f64(&d, maas_span_of(s->p, n));
    return maas_span_skip(s, n);
}

bool maas_num_f32(maas_span *s, float *out)
{
    maas_dec d;
    const uint8_t *end = maas_dec_scan(s->p, s->p + s->n, false, &d);
    if (!end)
        return false;
    size_t n = (size_t)(end - s->p);
    *out = maas_dec_f32(&d, maas_span_of(s->p, n));
    return maas_span_skip(s, n);
}

bool maas_parse_f64(const char *text, double *out)
{
    maas_span s = maas_span_str(text);
    double v;
    if (!maas_num_f64(&s, &v) || s.n)
        return false;
    *out = v;
    return true;
}
