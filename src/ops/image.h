/*
 * ops/image.h - encoded pictures to pixels: JPEG, PNG, WebP, BMP, PNM and TIFF.
 *
 * BMP, PNM and TIFF are read by bounded code of ours, the others by libraries that are opened when
 * a process asks for it (maas_image_open): programs that decode their own files, and the sandboxed
 * child that decodes what clients send. The server itself never opens them.
 *
 * A picture is RGB, 8 bits, rows from the top; alpha is dropped, colour profiles and the rotation
 * that a camera noted are not looked at. Owns: nothing. Threads: any.
 * Fails: E_MEDIA for what is no picture, or one of a kind that is not read (named); E_FORMAT for a
 * damaged one; E_TOO_LARGE past the limits; E_UNAVAILABLE naming the package that is missing.
 */
#ifndef MAAS_OPS_IMAGE_H
#define MAAS_OPS_IMAGE_H

#include "base/span.h"
#include "base/status.h"

typedef struct maas_image {
    uint32_t width, height; /* within the limits, none of them 0 */
    const char *format;     /* "JPEG" */
} maas_image;

/* Opens the libraries that this machine has; those that are missing are named when needed. */
void maas_image_open(void);
/* What the header says, checked against the limits; nothing is unpacked. */
maas_status maas_image_look(maas_span file, maas_image *out, maas_err *err);
/* All pixels into rgb [height][width][3]; `is` is what maas_image_look said. */
maas_status maas_image_decode(maas_span file, const maas_image *is, uint8_t *rgb, maas_err *err);

/* ---- to the size that a model wants ---- */

typedef enum maas_image_fitting {
    MAAS_FIT_CROP,    /* the shorter side to `shorter`, then the middle is cut out */
    MAAS_FIT_STRETCH, /* both sides, whatever the proportions                      */
    MAAS_FIT_PAD      /* as large as it can be, in the middle of `fill`            */
} maas_image_fitting;

typedef enum maas_image_colours {
    MAAS_IMAGE_RGB,
    MAAS_IMAGE_BGR,
    MAAS_IMAGE_GREY
} maas_image_colours;

typedef struct maas_image_fit {
    uint32_t width, height, shorter;
    uint8_t fitting, colours;
    uint8_t mode; /* maas_resize_mode */
    uint8_t fill;
} maas_image_fit;

static inline size_t maas_image_fit_bytes(const maas_image_fit *f)
{
    return (size_t)f->width * f->height * (f->colours == MAAS_IMAGE_GREY ? 1 : 3);
}
/* Everything within bounds: for fits that came through a pipe or out of a file. */
bool maas_image_fit_ok(const maas_image_fit *f);
/* rgb [is->height][is->width][3] to out [f->height][f->width][1 or 3]. */
maas_status maas_image_fit_into(const uint8_t *rgb, const maas_image *is, const maas_image_fit *f,
                                uint8_t *out, maas_err *err);
/* Weights of ITU-R BT.601, in 65536ths. */
static inline uint8_t maas_image_grey(const uint8_t *p)
{
    return (uint8_t)((p[0] * 19595u + p[1] * 38470u + p[2] * 7471u + 0x8000u) >> 16);
}

#endif
