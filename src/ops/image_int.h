/* ops/image_int.h - one kind of picture: shared by image*.c. */
#ifndef MAAS_OPS_IMAGE_INT_H
#define MAAS_OPS_IMAGE_INT_H

#include <string.h>

#include "base/mem.h"
#include "ops/image.h"

typedef maas_status maas_image_look_fn(maas_span file, maas_image *out, maas_err *err);
typedef maas_status maas_image_decode_fn(maas_span file, const maas_image *is, uint8_t *rgb,
                                         maas_err *err);
maas_image_look_fn maas_bmp_look, maas_pnm_look, maas_jpeg_look, maas_png_look, maas_webp_look,
    maas_tiff_look;
maas_image_decode_fn maas_bmp_decode, maas_pnm_decode, maas_jpeg_decode, maas_png_decode,
    maas_webp_decode, maas_tiff_decode;

static inline maas_status maas_image_damaged(const char *format, const char *what, maas_err *err)
{
    return maas_fail(err, MAAS_E_FORMAT, "the %s image is damaged: %s", format, what);
}

#endif
