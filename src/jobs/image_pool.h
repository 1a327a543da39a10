/*
 * jobs/image_pool.h - a few sandboxed processes that decode pictures for the server.
 *
 * A decoder is started when one is needed and kept; it ends after some hundred pictures, when it
 * crashed or took too long, and with the pool. What it answers is checked for its length alone: any
 * bytes are pixels.
 *
 * Threads: any that may block; as many at once as there are decoders, the others wait. Fails: as
 * ops/image.h says; E_FORMAT when the decoder died of the picture; E_TIMEOUT; E_UNAVAILABLE.
 */
#ifndef MAAS_JOBS_IMAGE_POOL_H
#define MAAS_JOBS_IMAGE_POOL_H

#include "jobs/helper.h"
#include "ops/image.h"

typedef struct maas_image_pool maas_image_pool;

maas_status maas_image_pool_create(maas_helper *h, int n_decoders, maas_image_pool **out,
                                   maas_err *err);
void maas_image_pool_destroy(maas_image_pool *p); /* NULL is fine; nobody may be decoding */
/* Pixels into out[maas_image_fit_bytes(fit)]. */
maas_status maas_image_pool_decode(maas_image_pool *p, maas_span file, const maas_image_fit *fit,
                                   uint8_t *out, maas_err *err);

#endif
