/* Which kind of picture it is, and how large one may be. */
#include "ops/image_int.h"

#include "base/limits.h"
#include "base/ban.h"

static const struct kind {
    const char *name;
    size_t at, n; /* where its mark stands */
    const char *mark;
    maas_image_look_fn *look; /* NULL: known, and not read */
    maas_image_decode_fn *decode;
} kinds[] = {
    {"JPEG", 0, 3, "\xff\xd8\xff", maas_jpeg_look, maas_jpeg_decode},
    {"PNG", 0, 8, "\x89PNG\r\n\x1a\n", maas_png_look, maas_png_decode},
    {"WebP", 8, 4, "WEBP", maas_webp_look, maas_webp_decode},
    {"BMP", 0, 2, "BM", maas_bmp_look, maas_bmp_decode},
    {"PNM", 0, 2, "P1", maas_pnm_look, maas_pnm_decode},
    {"PNM", 0, 2, "P2", maas_pnm_look, maas_pnm_decode},
    {"PNM", 0, 2, "P3", maas_pnm_look, maas_pnm_decode},
    {"PNM", 0, 2, "P4", maas_pnm_look, maas_pnm_decode},
    {"PNM", 0, 2, "P5", maas_pnm_look, maas_pnm_decode},
    {"PNM", 0, 2, "P6", maas_pnm_look, maas_pnm_decode},
    {"PAM", 0, 3, "P7\n", NULL, NULL},
    {"GIF", 0, 4, "GIF8", NULL, NULL},
    {"TIFF", 0, 4, "II*\0", maas_tiff_look, maas_tiff_decode},
    {"TIFF", 0, 4, "MM\0*", maas_tiff_look, maas_tiff_decode},
    {"JPEG 2000", 4, 4, "jP  ", NULL, NULL},
    {"JPEG 2000", 0, 4, "\xff\x4f\xff\x51", NULL, NULL},
    {"JPEG XL", 4, 4, "JXL ", NULL, NULL},
    {"AVIF", 4, 8, "ftypavif", NULL, NULL},
    {"HEIC", 4, 8, "ftypheic", NULL, NULL},
};

static maas_status kind_of(maas_span file, const struct kind **out, maas_err *err)
{
    for (size_t i = 0; i < MAAS_COUNT(kinds); i++) {
        const struct kind *k = &kinds[i];
        if (file.n < k->at + k->n || memcmp(file.p + k->at, k->mark, k->n) != 0)
            continue;
        *out = k;
        return k->look ? MAAS_OK
                       : maas_fail(err, MAAS_E_MEDIA,
                                   "images of the kind %s are not read; JPEG, PNG, WebP, BMP, "
                                   "PNM and TIFF are",
                                   k->name);
    }
    return maas_fail(
        err, MAAS_E_MEDIA,
        "this is no image of a known kind: JPEG, PNG, WebP, BMP, PNM and TIFF are read");
}

/* A few bytes may not claim a wall: pixels against a limit, and against the bytes they come from.
 */
static maas_status check_size(const maas_image *is, size_t bytes, maas_err *err)
{
    const uint64_t pixels = (uint64_t)is->width * is->height;
    if (!pixels)
        return maas_image_damaged(is->format, "it has no pixels", err);
    if (is->width > MAAS_MAX_IMAGE_SIDE || is->height > MAAS_MAX_IMAGE_SIDE ||
        pixels > MAAS_MAX_IMAGE_PIXELS)
        return maas_fail(err, MAAS_E_TOO_LARGE,
                         "the image has %u x %u pixels; at most %u a side and %u in all are read",
                         is->width, is->height, MAAS_MAX_IMAGE_SIDE, MAAS_MAX_IMAGE_PIXELS);
    if (pixels > MAAS_MIN_IMAGE_LIMIT && pixels / MAAS_MAX_IMAGE_RATIO > bytes)
        return maas_fail(err, MAAS_E_TOO_LARGE,
                         "%zu bytes claim to be %u x %u pixels: refused as an attack", bytes,
                         is->width, is->height);
    return MAAS_OK;
}

maas_status maas_image_look(maas_span file, maas_image *out, maas_err *err)
{
    const struct kind *k = NULL;
    MAAS_TRY(kind_of(file, &k, err));
    *out = (maas_image){.format = k->name};
    MAAS_TRY(k->look(file, out, err));
    return check_size(out, file.n, err);
}

maas_status maas_image_decode(maas_span file, const maas_image *is, uint8_t *rgb, maas_err *err)
{
    const struct kind *k = NULL;
    MAAS_TRY(kind_of(file, &k, err));
    return k->decode(file, is, rgb, err);
}
