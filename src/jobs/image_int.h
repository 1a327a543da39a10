/* jobs/image_int.h - what the pool of image decoders and a decoder say to each other: a record,
 * then `bytes` bytes, both ways. */
#ifndef MAAS_JOBS_IMAGE_INT_H
#define MAAS_JOBS_IMAGE_INT_H

#include "ops/image.h"

typedef struct maas_image_order { /* then the file */
    maas_image_fit fit;
    uint64_t bytes;
} maas_image_order;

typedef struct maas_image_answer { /* then the pixels, or with a status the words */
    int32_t status;
    uint32_t bytes;
} maas_image_answer;

#endif
