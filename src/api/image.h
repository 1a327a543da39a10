/*
 * api/image.h - a picture in, labels out: POST /v2/models/{m}/infer with a form of pictures, or
 * with one picture as the body, for versions that have an image recipe.
 *
 *   I/O thread: collects ──► image thread: model, a decoder of the pool for each picture ──► as any
 *   prediction
 */
#ifndef MAAS_API_IMAGE_H
#define MAAS_API_IMAGE_H

#include "api/app.h"

/* By its Content-Type: a form, or a picture. While the head is there to read. */
bool maas_image_is(maas_req *r);
maas_status maas_image_body(maas_req *r, maas_span piece, maas_err *err);
void maas_image_infer(maas_req *r); /* params: model[, version] */

#endif
