/* tests/unit/ops/test_image.c - pictures of our own readers to the pixel; what is refused, and how.
 */
#include "../../maas_test.h"

#include "base/limits.h"
#include "ops/image.h"

static maas_status decode(const void *p, size_t n, uint8_t *rgb, size_t room, maas_err *err)
{
    maas_image is;
    *err = (maas_err){0};
    MAAS_TRY(maas_image_look(maas_span_of(p, n), &is, err));
    if ((size_t)is.width * is.height * 3 > room)
        return maas_fail(err, MAAS_E_NO_SPACE, "%u x %u", is.width, is.height);
    return maas_image_decode(maas_span_of(p, n), &is, rgb, err);
}

static void refused(const void *p, size_t n, maas_status want, const char *words);

static void pixels_are(const void *p, size_t n, const uint8_t *want, size_t n_want,
                       const char *what)
{
    uint8_t rgb[256];
    maas_err err;
    const maas_status st = decode(p, n, rgb, sizeof rgb, &err);
    EXPECT_MSG(st == MAAS_OK, "%s: %s", what, err.msg);
    for (size_t i = 0; st == MAAS_OK && i < n_want; i++)
        EXPECT_MSG(rgb[i] == want[i], "%s: byte %zu is %d, not %d", what, i, rgb[i], want[i]);
}
#define PIXELS_ARE(file, ...)                                                                      \
    pixels_are(file, sizeof(file) - 1, (const uint8_t[]){__VA_ARGS__},                             \
               sizeof((const uint8_t[]){__VA_ARGS__}), #file)

static void pnm_is_read_in_all_its_kinds(void)
{
    PIXELS_ARE("P1\n# two rows\n2 2\n10\n0 1", 0, 0, 0, 255, 255, 255, 255, 255, 255, 0, 0, 0);
    PIXELS_ARE("P2 3 1 15 0 3 15", 0, 0, 0, 51, 51, 51, 255, 255, 255);
    PIXELS_ARE("P3 1 1 100 0 20 100", 0, 51, 255);
    PIXELS_ARE("P4 3 1\n\xa0", 0, 0, 0, 255, 255, 255, 0, 0, 0);
    PIXELS_ARE("P5 1 2 65535\n\xff\xff\x33\x33", 255, 255, 255, 51, 51, 51);
    PIXELS_ARE("P6 2 1 255\n\1\2\3\4\5\6", 1, 2, 3, 4, 5, 6);
}

/* 14 and 40 bytes, then masks, palette and rows as `rest`. */
static size_t bmp(uint8_t *p, int bits, int width, int height, int packing, uint32_t at,
                  const void *rest, size_t n)
{
    memset(p, 0, 54);
    memcpy(p, "BM", 2);
    memcpy(p + 10, &at, 4);
    p[14] = 40;
    memcpy(p + 18, &width, 4);
    memcpy(p + 22, &height, 4);
    p[26] = 1;
    p[28] = (uint8_t)bits;
    p[30] = (uint8_t)packing;
    memcpy(p + 54, rest, n);
    return 54 + n;
}

static void bmp_is_read_in_all_its_depths(void)
{
    static const uint8_t palette[] = {10, 20, 30, 0, 40, 50, 60, 0, 0xa0, 0, 0, 0};
    static const uint8_t full[] = {3, 2, 1, 6, 5, 4, 0, 0, 9, 8, 7, 12, 11, 10, 0, 0};
    static const uint8_t deep[] = {3, 2, 1, 77};
    static const uint8_t masks[] = {0, 0xf8, 0, 0, 0xe0, 7, 0, 0, 0x1f, 0, 0, 0, 0, 0xf8, 0, 0};
    uint8_t f[128];
    size_t n = bmp(f, 1, 3, 1, 0, 62, palette, sizeof palette);
    pixels_are(f, n, (const uint8_t[]){60, 50, 40, 30, 20, 10, 60, 50, 40}, 9, "1 bit");
    n = bmp(f, 24, 2, 2, 0, 54, full, sizeof full);
    pixels_are(f, n, (const uint8_t[]){7, 8, 9, 10, 11, 12, 1, 2, 3, 4, 5, 6}, 12, "24, upwards");
    n = bmp(f, 24, 2, -2, 0, 54, full, sizeof full);
    pixels_are(f, n, (const uint8_t[]){1, 2, 3, 4, 5, 6, 7, 8, 9}, 9, "24, downwards");
    n = bmp(f, 32, 1, 1, 0, 54, deep, sizeof deep);
    pixels_are(f, n, (const uint8_t[]){1, 2, 3}, 3, "32 bits");
    n = bmp(f, 16, 1, 1, 3, 66, masks, sizeof masks);
    pixels_are(f, n, (const uint8_t[]){255, 0, 0}, 3, "16 bits by masks");
}

/* A directory of shorts, big-endian; then `rest` at 8 + 2 + 12 n. */
static size_t tiff(uint8_t *p, const uint16_t (*rows)[2], size_t n, const void *rest, size_t n_rest)
{
    memcpy(p, "MM\0*\0\0\0\10\0", 9);
    p[9] = (uint8_t)n;
    for (size_t i = 0; i < n; i++) {
        uint8_t *e = p + 10 + 12 * i;
        memset(e, 0, 12);
        e[0] = (uint8_t)(rows[i][0] >> 8);
        e[1] = (uint8_t)rows[i][0];
        e[3] = 3;
        e[7] = 1;
        e[8] = (uint8_t)(rows[i][1] >> 8);
        e[9] = (uint8_t)rows[i][1];
    }
    memcpy(p + 10 + 12 * n, rest, n_rest);
    return 10 + 12 * n + n_rest;
}

static void tiff_is_read_plain_and_packed(void)
{
    /* width, height, bits, packing, meaning, offset, rows a strip, bytes of the strip */
    uint16_t rows[][2] = {{256, 3}, {257, 2}, {258, 8},       {259, 1},
                          {262, 1}, {278, 2}, {273, 10 + 96}, {279, 6}};
    uint8_t f[256];
    size_t n = tiff(f, rows, 8, "\1\2\3\4\5\6", 6);
    pixels_are(f, n, (const uint8_t[]){1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5}, 13, "grey");
    rows[4][1] = 0;
    n = tiff(f, rows, 8, "\1\2\3\4\5\6", 6);
    pixels_are(f, n, (const uint8_t[]){254, 254, 254, 253}, 4, "white is zero");
    rows[4][1] = 1, rows[3][1] = 32773;
    n = tiff(f, rows, 8, "\xfe\7\2\1\2\3", 6); /* three times 7; three as they are */
    pixels_are(f, n, (const uint8_t[]){7, 7, 7, 7, 7, 7, 7, 7, 7, 1, 1, 1, 2}, 13, "PackBits");
    n = tiff(f, rows, 8, "\xfd\7\2\1\2\3", 6);
    refused(f, n, MAAS_E_FORMAT, "packed wrongly");
    rows[3][1] = 1, rows[2][1] = 1;
    n = tiff(f, rows, 8, "\xa0\x40xxxx", 6);
    pixels_are(f, n, (const uint8_t[]){255, 255, 255, 0, 0, 0, 255, 255, 255, 0}, 10, "bits");
    rows[2][1] = 16;
    n = tiff(f, rows, 8, "......", 6);
    refused(f, n, MAAS_E_MEDIA, "not this one");
    rows[2][1] = 8, rows[7][1] = 5;
    n = tiff(f, rows, 8, "......", 6);
    refused(f, n, MAAS_E_FORMAT, "ends early");
    rows[6][1] = 60000;
    n = tiff(f, rows, 8, "......", 6);
    refused(f, n, MAAS_E_FORMAT, "ends early");
}

static void refused(const void *p, size_t n, maas_status want, const char *words)
{
    uint8_t rgb[64];
    maas_err err;
    const maas_status st = decode(p, n, rgb, sizeof rgb, &err);
    EXPECT_MSG(st == want && strstr(err.msg, words), "status %d, '%s', expected '%s'", st, err.msg,
               words);
}
#define REFUSED(file, want, words) refused(file, sizeof(file) - 1, want, words)

static void what_cannot_be_read_is_named(void)
{
    uint8_t f[128];
    REFUSED("", MAAS_E_MEDIA, "no image of a known kind");
    REFUSED("hello, this is text", MAAS_E_MEDIA, "no image of a known kind");
    REFUSED("GIF89a\1\0\1\0", MAAS_E_MEDIA, "GIF");
    REFUSED("II*\0\0\0\0\0", MAAS_E_FORMAT, "TIFF");
    REFUSED("\0\0\0\x0cjP  \r\n", MAAS_E_MEDIA, "JPEG 2000");
    REFUSED("P6 2 2 255\n\1\2\3", MAAS_E_FORMAT, "ends early");
    REFUSED("P6 2", MAAS_E_FORMAT, "no sizes");
    REFUSED("P5 2 2 70000\n....", MAAS_E_FORMAT, "largest value");
    REFUSED("P5 0 2 255\n", MAAS_E_FORMAT, "no pixels");
    REFUSED("BM", MAAS_E_FORMAT, "cut off");
    size_t n = bmp(f, 8, 1, 1, 1, 54, "", 0);
    refused(f, n, MAAS_E_MEDIA, "packed BMP");
    n = bmp(f, 7, 1, 1, 0, 54, "", 0);
    refused(f, n, MAAS_E_FORMAT, "bits of a pixel");
    n = bmp(f, 8, 1, 1, 0, 54, "", 0);
    refused(f, n, MAAS_E_FORMAT, "palette");
}

static void few_bytes_may_not_claim_a_wall(void)
{
    REFUSED("P5 32768 2049 255\n", MAAS_E_TOO_LARGE, "at most");
    REFUSED("P5 40000 1 255\n", MAAS_E_TOO_LARGE, "at most");
    REFUSED("P5 8000 8000 255\n", MAAS_E_TOO_LARGE, "attack");
    REFUSED("P5 2000 2000 255\n", MAAS_E_NO_SPACE, "2000 x 2000"); /* small enough to try */
}

/* ---- to the size of a model ---- */

static void fitted_are(const char *what, const maas_image_fit *f, const uint8_t *want)
{
    /* 4 x 2 pixels, grey: 0 40 80 120 above 100 140 180 220 */
    uint8_t rgb[24], out[64];
    const maas_image is = {4, 2, "test"};
    maas_err err = {0};
    for (int i = 0; i < 24; i++)
        rgb[i] = (uint8_t)(i / 3 % 4 * 40 + i / 12 * 100);
    EXPECT_MSG(maas_image_fit_ok(f) && maas_image_fit_into(rgb, &is, f, out, &err) == MAAS_OK,
               "%s: %s", what, err.msg);
    for (uint32_t i = 0; i < f->width * f->height; i++)
        EXPECT_MSG(out[i] == want[i], "%s: pixel %u is %d, not %d", what, i, out[i], want[i]);
}

static void pictures_are_stretched_cut_and_padded(void)
{
    const maas_image_fit same = {.width = 4,
                                 .height = 2,
                                 .fitting = MAAS_FIT_STRETCH,
                                 .colours = MAAS_IMAGE_GREY,
                                 .mode = 1};
    maas_image_fit f = same;
    fitted_are("as it is", &f, (const uint8_t[]){0, 40, 80, 120, 100, 140, 180, 220});
    f.width = 2, f.height = 1, f.mode = 0; /* nearest: the one below the middle */
    fitted_are("nearest", &f, (const uint8_t[]){140, 220});
    f = same;
    f.fitting = MAAS_FIT_CROP, f.shorter = 2, f.width = 2;
    fitted_are("the middle", &f, (const uint8_t[]){40, 80, 140, 180});
    f.width = 6; /* more than there is: zeros, or the fill, left and right */
    f.fill = 9;
    fitted_are("wider", &f, (const uint8_t[]){9, 0, 40, 80, 120, 9, 9, 100, 140, 180, 220, 9});
    f = same;
    f.fitting = MAAS_FIT_PAD, f.width = 4, f.height = 4, f.fill = 7;
    fitted_are("padded", &f,
               (const uint8_t[]){7, 7, 7, 7, 0, 40, 80, 120, 100, 140, 180, 220, 7, 7, 7, 7});
    /* all of a picture to one pixel, which every one of them has a part in */
    f = same;
    f.width = f.height = 1;
    fitted_are("the mean", &f, (const uint8_t[]){110});
}

static void colours_stand_where_the_model_wants_them(void)
{
    const uint8_t rgb[] = {10, 20, 30};
    const maas_image is = {1, 1, "test"};
    maas_image_fit f = {.width = 1, .height = 1, .fitting = MAAS_FIT_STRETCH, .mode = 1};
    uint8_t out[3];
    maas_err err = {0};
    EXPECT(maas_image_fit_into(rgb, &is, &f, out, &err) == MAAS_OK && out[0] == 10 && out[2] == 30);
    f.colours = MAAS_IMAGE_BGR;
    EXPECT(maas_image_fit_into(rgb, &is, &f, out, &err) == MAAS_OK && out[0] == 30 && out[2] == 10);
    f.colours = MAAS_IMAGE_GREY;
    EXPECT(maas_image_fit_into(rgb, &is, &f, out, &err) == MAAS_OK && out[0] == 18);
}

static void fits_out_of_bounds_are_none(void)
{
    const maas_image_fit good = {.width = 1, .height = 1, .fitting = MAAS_FIT_STRETCH};
    maas_image_fit f = good;
    EXPECT(maas_image_fit_ok(&f));
    f.width = 0;
    EXPECT(!maas_image_fit_ok(&f));
    f = good, f.height = MAAS_MAX_FIT_SIDE + 1;
    EXPECT(!maas_image_fit_ok(&f));
    f = good, f.fitting = MAAS_FIT_CROP;
    EXPECT(!maas_image_fit_ok(&f)); /* to which size, before it is cut? */
    f = good, f.colours = 3;
    EXPECT(!maas_image_fit_ok(&f));
    f = good, f.mode = 3;
    EXPECT(!maas_image_fit_ok(&f));
}

/* Must be the first that asks: later ones of this process have them open. */
static void libraries_are_opened_by_request_alone(void)
{
    REFUSED("\xff\xd8\xff\xe0\0\x10JFIF\0", MAAS_E_UNAVAILABLE, "not decoded in this process");
    REFUSED("\x89PNG\r\n\x1a\n....", MAAS_E_UNAVAILABLE, "not decoded in this process");
    maas_image_open();
    uint8_t rgb[64];
    maas_err err;
    const maas_status st = decode("\x89PNG\r\n\x1a\n....", 12, rgb, sizeof rgb, &err);
    EXPECT_MSG((st == MAAS_E_FORMAT && strstr(err.msg, "PNG")) ||
                   (st == MAAS_E_UNAVAILABLE && strstr(err.msg, "libpng16-16")),
               "%s", err.msg);
}

static const mt_case cases[] = {MT_CASE(libraries_are_opened_by_request_alone),
                                MT_CASE(pnm_is_read_in_all_its_kinds),
                                MT_CASE(bmp_is_read_in_all_its_depths),
                                MT_CASE(tiff_is_read_plain_and_packed),
                                MT_CASE(what_cannot_be_read_is_named),
                                MT_CASE(few_bytes_may_not_claim_a_wall),
                                MT_CASE(pictures_are_stretched_cut_and_padded),
                                MT_CASE(colours_stand_where_the_model_wants_them),
                                MT_CASE(fits_out_of_bounds_are_none)};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
