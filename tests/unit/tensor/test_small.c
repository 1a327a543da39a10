/* Small floats against a search over all their codes, packing against single bits. */
#include "maas_test.h"

#include <math.h>

#include "base/sys.h"
#include "tensor/small.h"

static const maas_dtype floats[] = {MAAS_F8E4M3FN, MAAS_F8E4M3FNUZ, MAAS_F8E5M2, MAAS_F8E5M2FNUZ,
                                    MAAS_F6E2M3,   MAAS_F6E3M2,     MAAS_F4E2M1};

static int n_codes(maas_dtype t)
{
    return 1 << maas_dtype_describe(t)->file_bits;
}

static void numbers_are_those_of_the_standard(void)
{
    static const struct {
        maas_dtype t;
        uint8_t code;
        float value;
    } rows[] = {
        {MAAS_F8E4M3FN, 0x7e, 448},        {MAAS_F8E4M3FN, 0x01, 0x1p-9f},
        {MAAS_F8E4M3FN, 0x38, 1},          {MAAS_F8E4M3FN, 0x80, -0.0f},
        {MAAS_F8E4M3FNUZ, 0x7f, 240},      {MAAS_F8E4M3FNUZ, 0x01, 0x1p-10f},
        {MAAS_F8E4M3FNUZ, 0xc0, -1},       {MAAS_F8E5M2, 0x7b, 57344},
        {MAAS_F8E5M2, 0x7c, INFINITY},     {MAAS_F8E5M2, 0xfc, -INFINITY},
        {MAAS_F8E5M2, 0x01, 0x1p-16f},     {MAAS_F8E5M2FNUZ, 0x7f, 57344},
        {MAAS_F8E5M2FNUZ, 0x01, 0x1p-17f}, {MAAS_F4E2M1, 0x7, 6},
        {MAAS_F4E2M1, 0x1, 0.5f},          {MAAS_F4E2M1, 0xd, -3},
        {MAAS_F6E2M3, 0x1f, 7.5f},         {MAAS_F6E2M3, 0x01, 0.125f},
        {MAAS_F6E3M2, 0x1f, 28},           {MAAS_F6E3M2, 0x21, -0.0625f},
        {MAAS_F8E8M0, 0, 0x1p-127f},       {MAAS_F8E8M0, 127, 1},
        {MAAS_F8E8M0, 254, 0x1p127f},
    };
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        const float v = maas_small_float(rows[i].t, rows[i].code);
        EXPECT_MSG(v == rows[i].value && signbit(v) == signbit(rows[i].value), "%s %02x: %g",
                   maas_dtype_describe(rows[i].t)->name, rows[i].code, (double)v);
    }
    EXPECT(isnan(maas_small_float(MAAS_F8E4M3FN, 0x7f)) &&
           isnan(maas_small_float(MAAS_F8E4M3FN, 0xff)));
    EXPECT(isnan(maas_small_float(MAAS_F8E5M2, 0x7d)) &&
           isnan(maas_small_float(MAAS_F8E5M2, 0xff)));
    EXPECT(isnan(maas_small_float(MAAS_F8E4M3FNUZ, 0x80)));
    EXPECT(isnan(maas_small_float(MAAS_F8E5M2FNUZ, 0x80)));
    EXPECT(isnan(maas_small_float(MAAS_F8E8M0, 0xff)));
}

static void every_code_comes_back(void)
{
    for (size_t k = 0; k < MAAS_COUNT(floats); k++)
        for (int code = 0; code < n_codes(floats[k]); code++) {
            const float v = maas_small_float(floats[k], (uint8_t)code);
            const uint8_t back = maas_small_of(floats[k], v, false);
            if (isnan(v))
                EXPECT(isnan(maas_small_float(floats[k], back)));
            else
                EXPECT_EQ(back, code);
        }
    for (int code = 0; code < 256; code++)
        for (int round = 0; round < 3; round++)
            EXPECT_EQ(maas_e8m0_of(maas_small_float(MAAS_F8E8M0, (uint8_t)code),
                                   (maas_e8m0_round)round, true),
                      code);
}

/* The nearest of all codes; of two as near the one whose last bit is 0. */
static int search(maas_dtype t, double v)
{
    int best = -1;
    double least = INFINITY;
    for (int code = 0; code < n_codes(t); code++) {
        const double x = (double)maas_small_float(t, (uint8_t)code);
        if (!isfinite(x) || !!signbit(x) != !!signbit(v))
            continue;
        const double d = fabs(x - v);
        if (d < least || (d == least && code % 2 == 0)) {
            best = code;
            least = d;
        }
    }
    return best;
}

static void rounding_is_to_the_nearest(void)
{
    maas_rng r;
    maas_rng_seed(&r, 71);
    for (size_t k = 0; k < MAAS_COUNT(floats); k++) {
        const maas_dtype t = floats[k];
        for (int rep = 0; rep < 20000; rep++) {
            const int a = (int)maas_rng_below(&r, (uint32_t)n_codes(t));
            const double x = (double)maas_small_float(t, (uint8_t)a);
            const double y = (double)maas_small_float(t, (uint8_t)(a ^ 1));
            if (!isfinite(x) || !isfinite(y) || a / 2 * 2 + 2 == n_codes(t))
                continue;
            /* between two neighbours: a tie, near one, anywhere */
            const double part = rep % 3 == 0 ? 0.5 : rep % 3 == 1 ? 0.5 + 1e-12 : maas_rng_unit(&r);
            const double v = x + (y - x) * part;
            if (v == 0)
                continue;
            const int want = search(t, v);
            const double w = (double)maas_small_float(t, (uint8_t)want);
            const double got = (double)maas_small_float(t, maas_small_of(t, v, true));
            EXPECT_MSG(got == w, "%s: %a became %a, nearest is %a", maas_dtype_describe(t)->name, v,
                       got, w);
        }
    }
}

static void what_is_too_large(void)
{
    static const struct {
        maas_dtype t;
        double v;
        uint8_t saturated, not ;
    } rows[] = {
        {MAAS_F8E4M3FN, 464, 0x7e, 0x7e}, /* a tie with what would follow: down to even */
        {MAAS_F8E4M3FN, 464.001, 0x7e, 0x7f}, {MAAS_F8E4M3FN, -INFINITY, 0xfe, 0xff},
        {MAAS_F8E4M3FNUZ, 1e9, 0x7f, 0x80},   {MAAS_F8E4M3FNUZ, -INFINITY, 0xff, 0x80},
        {MAAS_F8E4M3FNUZ, -0.0, 0, 0},        {MAAS_F8E4M3FNUZ, -1e-9, 0, 0},
        {MAAS_F8E5M2, 61440, 0x7b, 0x7c},     {MAAS_F8E5M2, 61439, 0x7b, 0x7b},
        {MAAS_F8E5M2, -INFINITY, 0xfb, 0xfc}, {MAAS_F8E5M2FNUZ, -1e300, 0xff, 0x80},
        {MAAS_F8E5M2FNUZ, NAN, 0x80, 0x80},   {MAAS_F4E2M1, 1e9, 7, 7},
        {MAAS_F4E2M1, -INFINITY, 0xf, 0xf},   {MAAS_F6E2M3, 1e9, 0x1f, 0x1f},
        {MAAS_F6E3M2, -1e9, 0x3f, 0x3f},      {MAAS_F8E4M3FN, NAN, 0x7f, 0x7f},
    };
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        EXPECT_MSG(maas_small_of(rows[i].t, rows[i].v, true) == rows[i].saturated, "row %zu", i);
        EXPECT_MSG(maas_small_of(rows[i].t, rows[i].v, false) == rows[i].not, "row %zu", i);
    }
}

static void powers_of_two(void)
{
    EXPECT_EQ(maas_e8m0_of(1.0001, MAAS_E8M0_UP, true), 128);
    EXPECT_EQ(maas_e8m0_of(1.9999, MAAS_E8M0_DOWN, true), 127);
    EXPECT_EQ(maas_e8m0_of(1.4999, MAAS_E8M0_NEAREST, true), 127);
    EXPECT_EQ(maas_e8m0_of(1.5, MAAS_E8M0_NEAREST, true), 128); /* ties go up */
    EXPECT_EQ(maas_e8m0_of(0, MAAS_E8M0_UP, true), 0);
    EXPECT_EQ(maas_e8m0_of(0, MAAS_E8M0_NEAREST, false), 255);
    EXPECT_EQ(maas_e8m0_of(INFINITY, MAAS_E8M0_UP, true), 254);
    EXPECT_EQ(maas_e8m0_of(INFINITY, MAAS_E8M0_NEAREST, false), 255);
    EXPECT_EQ(maas_e8m0_of(1e300, MAAS_E8M0_UP, true), 254);
    EXPECT_EQ(maas_e8m0_of(1e-300, MAAS_E8M0_UP, true), 0);
    EXPECT_EQ(maas_e8m0_of(1e-300, MAAS_E8M0_NEAREST, false), 255);
    EXPECT_EQ(maas_e8m0_of(NAN, MAAS_E8M0_UP, true), 255);
}

static void packing_is_bit_by_bit(void)
{
    static const maas_dtype types[] = {MAAS_I4,     MAAS_U4,     MAAS_I2,     MAAS_U2,
                                       MAAS_F4E2M1, MAAS_F6E2M3, MAAS_F6E3M2, MAAS_F8E5M2};
    maas_rng r;
    maas_rng_seed(&r, 5);
    for (size_t k = 0; k < MAAS_COUNT(types); k++)
        for (size_t n = 0; n < 40; n++) {
            uint8_t in[40], packed[41], out[41];
            const unsigned bits = maas_dtype_describe(types[k])->file_bits;
            const size_t bytes = maas_small_packed(types[k], n);
            EXPECT_EQ(bytes, (n * bits + 7) / 8);
            for (size_t i = 0; i < n; i++)
                in[i] = maas_small_wrap(types[k], (uint8_t)maas_rng_u64(&r));
            packed[bytes] = out[n] = 0xa5;
            maas_small_pack(types[k], in, n, packed);
            maas_small_unpack(types[k], packed, n, out);
            EXPECT(packed[bytes] == 0xa5 && out[n] == 0xa5 && memcmp(in, out, n) == 0);
            for (size_t at = 0; at < n * bits; at++)
                EXPECT_EQ(packed[at / 8] >> at % 8 & 1, in[at / bits] >> at % bits & 1);
        }
    EXPECT_EQ((int8_t)maas_small_wrap(MAAS_I4, 8), -8);
    EXPECT_EQ((int8_t)maas_small_wrap(MAAS_I2, 7), -1);
    EXPECT_EQ(maas_small_wrap(MAAS_U4, 0xf3), 3);
}

static const mt_case cases[] = {
    MT_CASE(numbers_are_those_of_the_standard),
    MT_CASE(every_code_comes_back),
    MT_CASE(rounding_is_to_the_nearest),
    MT_CASE(what_is_too_large),
    MT_CASE(powers_of_two),
    MT_CASE(packing_is_bit_by_bit),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
