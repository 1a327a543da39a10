/* Numbers against the C library: every claim is checked with strtod, strtof and printf. */
#include "maas_test.h"

#include <inttypes.h>

#include "base/num.h"
#include "base/num_dec.h"
#include "base/sys.h"

static uint64_t bits64(double v)
{
    uint64_t u;
    memcpy(&u, &v, sizeof u);
    return u;
}

static uint32_t bits32(float v)
{
    uint32_t u;
    memcpy(&u, &v, sizeof u);
    return u;
}

static void expect_read_alike(const char *text)
{
    maas_span a = maas_span_str(text), b = a;
    double d = -1, want_d = strtod(text, NULL);
    float f = -1, want_f = strtof(text, NULL);
    EXPECT_MSG(maas_num_f64(&a, &d) && !a.n, "'%s' is not read to its end", text);
    EXPECT_MSG(maas_num_f32(&b, &f) && !b.n, "'%s' is not read to its end", text);
    EXPECT_MSG(bits64(d) == bits64(want_d), "'%s' -> %a, expected %a", text, d, want_d);
    EXPECT_MSG(bits32(f) == bits32(want_f), "'%s' -> %a, expected %a", text, f, want_f);
}

static void hard_cases_are_read_as_the_library_reads_them(void)
{
    static const char *const texts[] = {
        "0",
        "-0",
        "0.0",
        "0e999999999999999999999",
        "1",
        "-1",
        "1e0",
        "1E+0",
        "1e-0",
        "9007199254740993",
        "9007199254740992",
        "9007199254740991",
        "9007199254740993.0",
        "9007199254740993.00000000001",
        "9007199254740992.99999999999999999999",
        "900719925474099300000e-5",
        "16777217",
        "16777217.0",
        "16777216.9999999999999999999999",
        "16777219",
        "1e22",
        "1e23",
        "8.5e22",
        "1e-400",
        "1e400",
        "-1e400",
        "2.2250738585072012e-308",
        "2.2250738585072011e-308",
        "2.2250738585072014e-308",
        "1.7976931348623157e308",
        "1.7976931348623158e308",
        "1.7976931348623159e308",
        "4.9e-324",
        "5e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "2.47032822920623272088284396434110686182e-324",
        "1e-323",
        "3.4028234e38",
        "3.4028235e38",
        "3.4028236e38",
        "3.40282357e38",
        "340282346638528859811704183484516925440",
        "340282356779733661637539395458142568447",
        "340282356779733661637539395458142568448",
        "1.1754943508e-38",
        "1.17549435e-38",
        "1.17549428e-38",
        "1.4e-45",
        "7.0e-46",
        "7.1e-46",
        "7.006492321624085354618e-46",
        "7.006492321624085354619e-46",
        "0.500000029802322387695312500",
        "0.5000000298023223876953125",
        "0.50000002980232238769531249999999999",
        "1.00000005960464477540",
        "0.000000000000000000000000000000000000000000001234567890123456789012345",
        "123456789012345678901234567890",
        "0.1",
        "0.2",
        "0.3",
        "1.0000000000000002",
        "179769313486231580793e289",
        "1090544144181609348835077142190",
        "1090544144181609348671888949248e0",
        "6.0221407e+23",
        "1e1000000000000",
        "1e-1000000000000",
        "0e-99999",
        "8.41e21",
        "9.3326e-302",
        "2.0919495182368195e19",
        "5.8679e-8",
        "7.2057594037927933e16",
        "7.2057594037927933e+16",
        "10000000000000000000",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999",
        "9999999999999999999",
        "30078505129381147446200",
        "1777820000000000000001",
        "0.000000000000000000000000000000000000000000000000001e60",
    };
    for (size_t i = 0; i < MAAS_COUNT(texts); i++)
        expect_read_alike(texts[i]);
}

/* The halfway point between two neighbours, exactly, and one unit to both sides of its last digit:
 * up to 1,075 digits. */
static void halfway_points_are_decided_by_the_last_digit(void)
{
    maas_rng r;
    maas_rng_seed(&r, 11);
    char text[1400];
    for (int i = 0; i < 3000; i++) {
        uint64_t u = maas_rng_u64(&r) % 0x7fefffffffffffffu;
        if (i % 4 == 0)
            u %= 1ull << 54; /* subnormal and just above */
        double v;
        memcpy(&v, &u, sizeof v);
        long double half = v; /* 64 bits: one more than a double, so the midpoint is exact */
        double next = nextafter(v, INFINITY);
        half += ((long double)next - v) / 2;
        int n = snprintf(text, sizeof text, "%.1100Lf", half);
        if (n < 0 || (size_t)n >= sizeof text)
            n = snprintf(text, sizeof text, "%.800Le", half);
        expect_read_alike(text);
        char *digit = strpbrk(text, "123456789");
        EXPECT(digit != NULL);
        for (char *p = digit; *p && *p != 'e'; p++)
            if (*p != '.')
                digit = p;
        char was = *digit;
        *digit = '1';
        expect_read_alike(text);
        *digit = was;
    }
}

static void float_halfway_points_are_exact(void)
{
    maas_rng r;
    maas_rng_seed(&r, 12);
    char text[400];
    for (int i = 0; i < 20000; i++) {
        uint32_t u = (uint32_t)maas_rng_below(&r, 0x7f7fffff);
        float v;
        memcpy(&v, &u, sizeof v);
        double half = ((double)v + (double)nextafterf(v, INFINITY)) / 2; /* exact */
        snprintf(text, sizeof text, "%.160f", half);
        expect_read_alike(text);
        snprintf(text, sizeof text, "%.17g", half);
        expect_read_alike(text);
        snprintf(text, sizeof text, "%.200f1", half);
        expect_read_alike(text);
    }
}

static void random_decimals_are_read_as_the_library_reads_them(void)
{
    maas_rng r;
    maas_rng_seed(&r, 13);
    char text[80];
    for (int i = 0; i < 400000; i++) {
        uint64_t w = maas_rng_u64(&r) >> maas_rng_below(&r, 64);
        int e = (int)maas_rng_below(&r, i % 2 ? 700 : 60) - (i % 2 ? 350 : 30);
        if (i % 3 == 0)
            snprintf(text, sizeof text, "%" PRIu64 "e%d", w, e);
        else if (i % 3 == 1)
            snprintf(text, sizeof text, "-%" PRIu64 ".%" PRIu64, w,
                     maas_rng_u64(&r) >> maas_rng_below(&r, 64));
        else
            snprintf(text, sizeof text, "%" PRIu64 "%" PRIu64 "E%d", w, maas_rng_u64(&r), e);
        expect_read_alike(text);
    }
}

static void expect_round_trip_f64(double v)
{
    char text[MAAS_NUM_MAX + 1];
    size_t n = maas_num_put_f64(text, v);
    EXPECT(n <= MAAS_NUM_MAX);
    text[n] = '\0';
    EXPECT_MSG(bits64(strtod(text, NULL)) == bits64(v), "%a printed as %s", v, text);
    maas_span s = maas_span_of(text, n);
    double back = 0;
    EXPECT_MSG(maas_num_f64(&s, &back) && bits64(back) == bits64(v), "%a printed as %s", v, text);
}

static void expect_round_trip_f32(float v)
{
    char text[MAAS_NUM_MAX + 1];
    size_t n = maas_num_put_f32(text, v);
    EXPECT(n <= MAAS_NUM_MAX);
    text[n] = '\0';
    EXPECT_MSG(bits32(strtof(text, NULL)) == bits32(v), "%a printed as %s", v, text);
    maas_span s = maas_span_of(text, n);
    float back = 0;
    EXPECT_MSG(maas_num_f32(&s, &back) && bits32(back) == bits32(v), "%a printed as %s", v, text);
}

static void random_bit_patterns_survive_text(void)
{
    maas_rng r;
    maas_rng_seed(&r, 14);
    for (int i = 0; i < 1000000; i++) {
        uint64_t u = maas_rng_u64(&r);
        uint32_t w = (uint32_t)(u >> 32);
        double d;
        float f;
        memcpy(&d, &u, sizeof d);
        memcpy(&f, &w, sizeof f);
        if (isfinite(d))
            expect_round_trip_f64(d);
        if (isfinite(f))
            expect_round_trip_f32(f);
    }
}

/* Every exponent, and the significands where intervals are uneven or end. */
static void edges_of_every_exponent_survive_text(void)
{
    for (uint64_t e = 0; e < 2047; e++) {
        static const uint64_t fractions[] = {
            0, 1, 2, 3, 0x7ffffffffffff, 0x8000000000000, 0xffffffffffffe, 0xfffffffffffff};
        for (size_t i = 0; i < MAAS_COUNT(fractions); i++) {
            uint64_t u = e << 52 | fractions[i];
            double d;
            memcpy(&d, &u, sizeof d);
            expect_round_trip_f64(d);
        }
    }
    for (uint32_t e = 0; e < 255; e++) {
        for (uint32_t k = 0; k < 23; k++) {
            for (uint32_t low = 0; low < 2; low++) {
                uint32_t u = e << 23 | (((1u << k) - low) & 0x7fffff);
                float f;
                memcpy(&f, &u, sizeof f);
                expect_round_trip_f32(f);
            }
        }
    }
}

/* Significant digits of a printed number: without sign, point, exponent and the zeros around. */
static int n_digits(const char *text)
{
    char digits[40];
    int n = 0, last = 0;
    for (; *text && *text != 'e'; text++)
        if (*text >= '0' && *text <= '9' && (n || *text != '0'))
            digits[n++] = *text;
    for (int i = 0; i < n; i++)
        if (digits[i] != '0')
            last = i + 1;
    return last;
}

/* The reference: the smallest precision of %e that reads back, and the nearest of those. */
static void printing_is_shortest_and_nearest(void)
{
    maas_rng r;
    maas_rng_seed(&r, 15);
    for (int i = 0; i < 60000; i++) {
        uint64_t u = maas_rng_u64(&r) & ~(1ull << 63);
        if (i % 3 == 0)
            u &= 0xffffff0000000000u; /* short numbers, powers of two among them */
        if (i % 3 == 1)
            u = bits64((double)maas_rng_below(&r, 1000000000) / 1000);
        double d;
        memcpy(&d, &u, sizeof d);
        if (!isfinite(d) || d == 0)
            continue;
        char text[MAAS_NUM_MAX + 1], want[40];
        text[maas_num_put_f64(text, d)] = '\0';
        for (int precision = 0; precision < 17; precision++) {
            snprintf(want, sizeof want, "%.*e", precision, d);
            if (strtod(want, NULL) == d)
                break;
        }
        EXPECT_MSG(n_digits(text) <= n_digits(want), "%s is longer than %s", text, want);
        double off = fabs((double)((long double)strtold(text, NULL) - d));
        double want_off = fabs((double)((long double)strtold(want, NULL) - d));
        if (n_digits(text) == n_digits(want))
            EXPECT_MSG(off <= want_off, "%s is further away than %s", text, want);
    }
}

static void printing_is_shortest_for_floats(void)
{
    maas_rng r;
    maas_rng_seed(&r, 16);
    for (int i = 0; i < 100000; i++) {
        uint32_t u = (uint32_t)maas_rng_u64(&r) & 0x7fffffff;
        float f;
        memcpy(&f, &u, sizeof f);
        if (!isfinite(f) || f == 0)
            continue;
        char text[MAAS_NUM_MAX + 1], want[40];
        text[maas_num_put_f32(text, f)] = '\0';
        for (int precision = 0; precision < 9; precision++) {
            snprintf(want, sizeof want, "%.*e", precision, (double)f);
            if (strtof(want, NULL) == f)
                break;
        }
        EXPECT_MSG(n_digits(text) <= n_digits(want), "%s is longer than %s", text, want);
    }
}

static void printing_has_the_shape_readers_expect(void)
{
    static const struct {
        double v;
        const char *text;
    } rows[] = {
        {0, "0.0"},
        {-0.0, "-0.0"},
        {1, "1.0"},
        {-1.5, "-1.5"},
        {0.1, "0.1"},
        {100, "100.0"},
        {1e15, "1000000000000000.0"},
        {1e16, "1e16"},
        {1e22, "1e22"},
        {1.5e-7, "1.5e-7"},
        {0.0001, "0.0001"},
        {0.00001, "1e-5"},
        {123456.789, "123456.789"},
        {5e-324, "5e-324"},
        {1.7976931348623157e308, "1.7976931348623157e308"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {9007199254740992, "9007199254740992.0"},
        {1e23, "1e23"},
        {9.5367431640625e-7, "9.5367431640625e-7"},
        {NAN, "NaN"},
        {INFINITY, "Infinity"},
        {-INFINITY, "-Infinity"},
    };
    char text[MAAS_NUM_MAX + 1];
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        text[maas_num_put_f64(text, rows[i].v)] = '\0';
        EXPECT_STR(text, rows[i].text);
    }
    text[maas_num_put_f32(text, 0.1f)] = '\0';
    EXPECT_STR(text, "0.1");
    text[maas_num_put_f32(text, 16777216.0f)] = '\0';
    EXPECT_STR(text, "16777216.0");
    text[maas_num_put_f32(text, 1e-45f)] = '\0';
    EXPECT_STR(text, "1e-45");
    text[maas_num_put_f32(text, 3.4028235e38f)] = '\0';
    EXPECT_STR(text, "3.4028235e38");
    text[maas_num_put_f32(text, -INFINITY)] = '\0';
    EXPECT_STR(text, "-Infinity");
}

/* Each entry follows from its neighbour by a factor of five, within the rounding down of both. */
static void the_table_of_powers_is_consistent(void)
{
    for (int q = MAAS_POW10_MIN; q < MAAS_POW10_MAX; q++) {
        if (q == -1)
            continue; /* 10^-1 rounded down stays below 10^0, with a bit less: the last check */
        const maas_pow10 *t = &maas_pow10_table[q - MAAS_POW10_MIN];
        unsigned __int128 now = (unsigned __int128)t[0].high << 64 | t[0].low;
        unsigned __int128 next = (unsigned __int128)t[1].high << 64 | t[1].low;
        EXPECT(t[0].high >> 63);
        /* 5 * now has 130 or 131 bits: compare without the last two or three */
        int shift = now > ~(unsigned __int128)0 / 5 * 4 ? 3 : 2;
        unsigned __int128 five = (now >> shift) * 5 + ((now & ((1u << shift) - 1)) * 5 >> shift);
        EXPECT_MSG(next - five <= 2, "10^%d", q + 1);
        if (q >= 0 && q < MAAS_POW10_EXACT)
            EXPECT_MSG(next == five, "10^%d", q + 1);
    }
    EXPECT(maas_pow10_table[-MAAS_POW10_MIN].high == 1ull << 63);
}

static void what_is_no_number_is_left_alone(void)
{
    static const char *const texts[] = {"",   "-",  "+",   ".",   "e5",       "1e", "1e+",
                                        "-.", "x1", "--1", "NaN", "Infinity", " 1", "1e-"};
    for (size_t i = 0; i < MAAS_COUNT(texts); i++) {
        maas_span s = maas_span_str(texts[i]), before = s;
        double d = 42;
        float f = 42;
        EXPECT_MSG(!maas_num_f64(&s, &d) && s.p == before.p && s.n == before.n && d == 42, "'%s'",
                   texts[i]);
        EXPECT_MSG(!maas_num_f32(&s, &f) && s.p == before.p && s.n == before.n && f == 42, "'%s'",
                   texts[i]);
        EXPECT(!maas_parse_f64(texts[i], &d));
    }
    double d;
    EXPECT(!maas_parse_f64("1 ", &d) && !maas_parse_f64("1.2.3", &d) &&
           !maas_parse_f64("0x10", &d));
    EXPECT(maas_parse_f64("+1.", &d) && d == 1);
    EXPECT(maas_parse_f64("-.5", &d) && d == -0.5);
    maas_span s = maas_span_str("12.5,7");
    EXPECT(maas_num_f64(&s, &d) && d == 12.5 && maas_span_is(s, ",7"));
}

/* A span that ends inside a number must not be read past its end (ASan watches the copy). */
static void the_end_of_the_span_ends_the_number(void)
{
    static const char text[] = "-123456789.123456789012345678901234567890e-12";
    for (size_t n = 0; n < sizeof text; n++) {
        char *copy = malloc(n ? n : 1), ended[sizeof text + 1];
        memcpy(copy, text, n);
        memcpy(ended, text, n);
        ended[n] = '\0';
        maas_span s = maas_span_of(copy, n);
        double d;
        if (maas_num_f64(&s, &d) && !s.n)
            EXPECT(bits64(d) == bits64(strtod(ended, NULL)));
        free(copy);
    }
}

static void integers_are_exact_or_refused(void)
{
    int64_t i;
    uint64_t u;
    EXPECT(maas_parse_i64("9223372036854775807", &i) && i == INT64_MAX);
    EXPECT(maas_parse_i64("-9223372036854775808", &i) && i == INT64_MIN);
    EXPECT(maas_parse_i64("+0", &i) && i == 0);
    static const char *const bad[] = {
        "9223372036854775808",     "-9223372036854775809", "", "-", "1.0", "1e3", "01", "0x1", "1 ",
        "99999999999999999999999", "18446744073709551616"};
    for (size_t k = 0; k < MAAS_COUNT(bad); k++)
        EXPECT_MSG(!maas_parse_i64(bad[k], &i), "'%s'", bad[k]);
    maas_span s = maas_span_str("18446744073709551615");
    EXPECT(maas_num_u64(&s, &u) && u == UINT64_MAX && !s.n);
    s = maas_span_str("18446744073709551616");
    EXPECT(!maas_num_u64(&s, &u) && s.n == 20);
    s = maas_span_str("-1");
    EXPECT(!maas_num_u64(&s, &u));
}

static void integers_print_as_printf_prints_them(void)
{
    maas_rng r;
    maas_rng_seed(&r, 17);
    for (int i = 0; i < 200000; i++) {
        uint64_t u = i < 2 ? (uint64_t)0 - (uint64_t)i : maas_rng_u64(&r) >> maas_rng_below(&r, 64);
        char text[MAAS_NUM_MAX + 1], want[40];
        text[maas_num_put_u64(text, u)] = '\0';
        snprintf(want, sizeof want, "%" PRIu64, u);
        EXPECT_STR(text, want);
        text[maas_num_put_i64(text, (int64_t)u)] = '\0';
        snprintf(want, sizeof want, "%" PRId64, (int64_t)u);
        EXPECT_STR(text, want);
    }
    char text[MAAS_NUM_MAX + 1];
    text[maas_num_put_i64(text, INT64_MIN)] = '\0';
    EXPECT_STR(text, "-9223372036854775808");
}

static const mt_case cases[] = {
    MT_CASE(hard_cases_are_read_as_the_library_reads_them),
    MT_CASE(halfway_points_are_decided_by_the_last_digit),
    MT_CASE(float_halfway_points_are_exact),
    MT_CASE(random_decimals_are_read_as_the_library_reads_them),
    MT_CASE(random_bit_patterns_survive_text),
    MT_CASE(edges_of_every_exponent_survive_text),
    MT_CASE(printing_is_shortest_and_nearest),
    MT_CASE(printing_is_shortest_for_floats),
    MT_CASE(printing_has_the_shape_readers_expect),
    MT_CASE(the_table_of_powers_is_consistent),
    MT_CASE(what_is_no_number_is_left_alone),
    MT_CASE(the_end_of_the_span_ends_the_number),
    MT_CASE(integers_are_exact_or_refused),
    MT_CASE(integers_print_as_printf_prints_them),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
