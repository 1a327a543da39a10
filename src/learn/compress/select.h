/* learn/compress/select.h - the k-th smallest of many numbers, and what steps ask about magnitudes.
 * Only for the files of this folder. */
#ifndef MAAS_LEARN_COMPRESS_SELECT_H
#define MAAS_LEARN_COMPRESS_SELECT_H

#include <stdint.h>

/* The k-th smallest, from 0; reorders v. 0 <= k < n. NaN must not be among them. */
float maas_select(float *v, int64_t n, int64_t k);

#endif
