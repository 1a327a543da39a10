/*
 * lm/grammar/schema_number.c - numbers between bounds, digit by digit: while all digits so far are
 * those of a bound, the next may not go past it; after that, any will do.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "lm/grammar/schema_int.h"
#include "base/ban.h"

enum { MAX_WHOLE = 16, MAX_FRACTION = 15 }; /* digits before and behind the point */

typedef struct bound {
    double at;
    bool is, strict; /* strict: it is not itself within */
} bound;

/* A number's digits, without a sign. */
typedef struct decimal {
    char whole[MAX_WHOLE + 4], part[MAX_FRACTION + 4];
    uint32_t n_whole, n_part;
} decimal;

static bound tighter(const json_t *flat, const char *loose, const char *strict, bool low)
{
    const json_t *a = json_object_get(flat, loose), *b = json_object_get(flat, strict);
    bound x = {.at = json_number_value(a), .is = a != NULL};
    const double y = json_number_value(b);
    if (b && (!a || (low ? y >= x.at : y <= x.at)))
        x = (bound){y, true, true};
    return x;
}

bool schema_in_range(const json_t *flat, double v)
{
    const bound low = tighter(flat, "minimum", "exclusiveMinimum", true);
    const bound high = tighter(flat, "maximum", "exclusiveMaximum", false);
    return !(low.is && (low.strict ? v <= low.at : v < low.at)) &&
           !(high.is && (high.strict ? v >= high.at : v > high.at));
}

/* ---- digits ---- */

static const gram_node *digit(gram_build *b, char from, char to)
{
    return from > to ? gram_never(b)
                     : gram_class(b, &(gram_range){(uint8_t)from, (uint8_t)to}, 1, false);
}

static const gram_node *digits(gram_build *b, uint32_t min, uint32_t max)
{
    return gram_repeat(b, digit(b, '0', '9'), min, max);
}

/* n digits from `low` to `high`, which have n digits; NULL: no such bound. The first may not be 0
 * unless it is all there is. */
static const gram_node *between(gram_build *b, const char *low, const char *high, uint32_t n,
                                uint32_t i)
{
    if (i == n)
        return gram_empty(b);
    if (!low && !high)
        return digits(b, n - i, n - i);
    const char least = i == 0 && n > 1 ? '1' : '0';
    const char from = low ? low[i] : least, to = high ? high[i] : '9';
    gram_list all = {0};
    if (low && high && from == to)
        return gram_seq2(b, digit(b, from, from), between(b, low, high, n, i + 1));
    if (low)
        gram_list_add(b, &all, gram_seq2(b, digit(b, from, from), between(b, low, NULL, n, i + 1)));
    if (high)
        gram_list_add(b, &all, gram_seq2(b, digit(b, to, to), between(b, NULL, high, n, i + 1)));
    gram_list_add(b, &all,
                  gram_seq2(b, digit(b, (char)(from + (low != NULL)), (char)(to - (high != NULL))),
                            digits(b, n - i - 1, n - i - 1)));
    return gram_alt(b, all.at, all.n);
}

/* Whole numbers from low to high (both within; NULL: as many digits as there may be). */
static const gram_node *whole_between(gram_build *b, const char *low, const char *high)
{
    const uint32_t from = low ? (uint32_t)strlen(low) : 1;
    const uint32_t to = high ? (uint32_t)strlen(high) : MAX_WHOLE;
    gram_list all = {0};
    for (uint32_t n = from; n <= to; n++) {
        const char *min = n == from ? low : NULL, *max = n == to ? high : NULL;
        if (min && max && strcmp(min, max) > 0)
            continue;
        const char least[2] = "0", one[MAX_WHOLE + 4] = "1000000000000000000";
        char start[MAX_WHOLE + 4];
        snprintf(start, sizeof start, "%.*s", (int)n, n > 1 ? one : least);
        gram_list_add(b, &all, between(b, min ? min : start, max, n, 0));
    }
    return gram_alt(b, all.at, all.n);
}

/* ---- whole numbers ---- */

static void print_whole(int64_t v, char out[MAX_WHOLE + 4])
{
    out[maas_num_put_i64(out, v)] = 0;
}

static const gram_node *positive(gram_build *b, int64_t low, int64_t high)
{
    char from[MAX_WHOLE + 4], to[MAX_WHOLE + 4];
    if (low > high)
        return gram_never(b);
    print_whole(low, from);
    print_whole(high, to);
    return whole_between(b, from, to);
}

static const gram_node *whole_number(schema_maker *s, bound low, bound high)
{
    static const int64_t most = 9999999999999999; /* MAX_WHOLE digits */
    const double down = low.is ? (low.strict ? floor(low.at) + 1 : ceil(low.at)) : -(double)most;
    const double up = high.is ? (high.strict ? ceil(high.at) - 1 : floor(high.at)) : (double)most;
    gram_build *b = s->b;
    if (down > 9e15 || up < -9e15)
        return schema_fail(s, MAAS_E_UNSUPPORTED, "bounds of numbers beyond 9e15 are not known");
    const int64_t from = down < -9e15 ? -most : (int64_t)down;
    const int64_t to = up > 9e15 ? most : (int64_t)up;
    const int64_t least = from > 0 ? from : 0, worst = to < 0 ? -to : 1;
    return gram_alt2(b, positive(b, least, to),
                     from < 0 ? gram_seq2(b, gram_word(b, "-"), positive(b, worst, -from))
                              : gram_never(b));
}

/* ---- with a fraction ---- */

/* The digits of a number that is not negative; false: there are too many. */
static bool decimal_of(double v, decimal *out)
{
    char text[64];
    memset(out, 0, sizeof *out);
    if (v >= 1e15)
        return false;
    /* as few digits as give the same number */
    for (int d = 0; d <= MAX_FRACTION; d++) {
        double back;
        snprintf(text, sizeof text, "%.*f", d, v);
        if (maas_parse_f64(text, &back) && back == v)
            break;
        if (d == MAX_FRACTION)
            return false;
    }
    const char *point = strchr(text, '.');
    out->n_whole = (uint32_t)(point ? (size_t)(point - text) : strlen(text));
    memcpy(out->whole, text, out->n_whole);
    if (point) {
        out->n_part = (uint32_t)strlen(point + 1);
        memcpy(out->part, point + 1, out->n_part);
    }
    return true;
}

typedef struct fraction { /* what may stand behind the point */
    gram_build *b;
    const decimal *low, *high; /* NULL: no bound, or past it already */
    bool strict_low, strict_high;
    uint32_t max; /* digits */
} fraction;

/* Digits from place i on, those before being the bounds'; behind the point is at least one. */
static const gram_node *tail(fraction f, uint32_t i)
{
    gram_build *b = f.b;
    gram_list all = {0};
    const uint32_t left = f.max - i;
    if (f.low && i >= f.low->n_part && !f.strict_low)
        f.low = NULL; /* as much as the bound: anything more is within */
    if (!f.low && !f.high)
        return digits(b, i == 0, left);
    const bool ends_high = f.high && i >= f.high->n_part;
    if (i && !f.low && !(ends_high && f.strict_high))
        gram_list_add(b, &all, gram_empty(b));
    if (!left)
        return gram_alt(b, all.at, all.n);
    const char l = f.low && i < f.low->n_part ? f.low->part[i] : '0';
    const char h = f.high && i < f.high->n_part ? f.high->part[i] : '0';
    const char from = f.low ? l : '0', to = f.high ? h : '9';
    fraction low = f, high = f, free = f;
    low.high = high.low = free.low = free.high = NULL;
    if (f.low && f.high && from == to) {
        gram_list_add(b, &all, gram_seq2(b, digit(b, from, from), tail(f, i + 1)));
        return gram_alt(b, all.at, all.n);
    }
    if (f.low)
        gram_list_add(b, &all, gram_seq2(b, digit(b, from, from), tail(low, i + 1)));
    if (f.high)
        gram_list_add(b, &all, gram_seq2(b, digit(b, to, to), tail(high, i + 1)));
    gram_list_add(b, &all,
                  gram_seq2(b,
                            digit(b, (char)(from + (f.low != NULL)), (char)(to - (f.high != NULL))),
                            tail(free, i + 1)));
    return gram_alt(b, all.at, all.n);
}

/* A point and digits, or nothing where that is within. */
static const gram_node *fraction_of(fraction f)
{
    gram_build *b = f.b;
    const bool past_low = !f.low || (!f.low->n_part && !f.strict_low);
    const bool below_high = !f.high || f.high->n_part || !f.strict_high;
    const gram_node *some = gram_seq2(b, gram_word(b, "."), tail(f, 0));
    return past_low && below_high ? gram_alt2(b, gram_empty(b), some) : some;
}

static void step(const char *digits_in, int by, char out[MAX_WHOLE + 4])
{
    int64_t v = 0;
    maas_parse_i64(digits_in, &v);
    print_whole(v + by, out);
}

/* Not negative, between the bounds that are given. */
static const gram_node *unsigned_between(gram_build *b, const decimal *low, const decimal *high,
                                         bool strict_low, bool strict_high)
{
    gram_list all = {0};
    char after[MAX_WHOLE + 4] = "0", before[MAX_WHOLE + 4] = "";
    const uint32_t n = low && low->n_whole > (high ? high->n_whole : 0) ? low->n_whole
                       : high                                           ? high->n_whole
                                                                        : 1;
    fraction f = {b, low, high, strict_low, strict_high, MAX_FRACTION > n ? MAX_FRACTION - n : 1};
    f.max = low && low->n_part > f.max ? low->n_part : f.max;
    f.max = high && high->n_part > f.max ? high->n_part : f.max;
    const gram_node *any = gram_maybe(b, gram_seq2(b, gram_word(b, "."), digits(b, 1, f.max)));
    if (low && high && strcmp(low->whole, high->whole) == 0)
        return gram_seq2(b, gram_word(b, low->whole), fraction_of(f));
    if (low) {
        fraction x = f;
        x.high = NULL;
        step(low->whole, 1, after);
        gram_list_add(b, &all, gram_seq2(b, gram_word(b, low->whole), fraction_of(x)));
    }
    if (high) {
        fraction x = f;
        x.low = NULL;
        gram_list_add(b, &all, gram_seq2(b, gram_word(b, high->whole), fraction_of(x)));
        step(high->whole, -1, before);
    }
    if (!high || before[0] != '-')
        gram_list_add(b, &all, gram_seq2(b, whole_between(b, after, high ? before : NULL), any));
    return gram_alt(b, all.at, all.n);
}

static const gram_node *real_number(schema_maker *s, bound low, bound high)
{
    gram_build *b = s->b;
    decimal from, to;
    gram_list all = {0};
    if ((low.is && !decimal_of(fabs(low.at), &from)) ||
        (high.is && !decimal_of(fabs(high.at), &to)))
        return schema_fail(s, MAAS_E_UNSUPPORTED,
                           "bounds of numbers may have up to %d digits before and behind the point",
                           MAX_FRACTION);
    if (low.is && high.is &&
        (low.at > high.at || (low.at == high.at && (low.strict || high.strict))))
        return gram_never(b);
    if (!high.is || high.at >= 0) { /* what is not negative; -0 is not written */
        const bool bounded = low.is && low.at >= 0;
        gram_list_add(b, &all,
                      unsigned_between(b, bounded ? &from : NULL, high.is ? &to : NULL,
                                       bounded && low.strict, high.strict));
    }
    if (!low.is || low.at < 0) { /* what is below zero, from its side */
        decimal zero = {.whole = "0", .n_whole = 1};
        const bool bounded = high.is && high.at < 0;
        gram_list_add(b, &all,
                      gram_seq2(b, gram_word(b, "-"),
                                unsigned_between(b, bounded ? &to : &zero, low.is ? &from : NULL,
                                                 bounded ? high.strict : true, low.strict)));
    }
    return gram_alt(b, all.at, all.n);
}

const gram_node *schema_number(schema_maker *s, const json_t *flat, bool whole)
{
    const bound low = tighter(flat, "minimum", "exclusiveMinimum", true);
    const bound high = tighter(flat, "maximum", "exclusiveMaximum", false);
    if (!low.is && !high.is)
        return whole ? gram_json_integer(s->b) : gram_json_number(s->b);
    return whole ? whole_number(s, low, high) : real_number(s, low, high);
}
