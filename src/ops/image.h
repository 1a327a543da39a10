/*
 * ops/image.h - encoded pictures to pixels: JPEG, PNG, WebP, BMP and PNM.
 *
 * BMP and PNM are read by bounded code of ours, the others by libraries that are opened when a
 * process asks for it (maas_image_open): programs that decode their own files, and the sandboxed
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

#endif
