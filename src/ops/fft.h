/*
 * ops/fft.h - discrete Fourier transforms of any length in double, O(n log n): Stockham's passes
 * for the factors up to 13, Bluestein's convolution where a larger prime is left.
 *
 * Owns: its tables and working memory (some n for each, some 10 n with a large prime). Threads: one
 * at a time. Fails: E_NOMEM.
 */
#ifndef MAAS_OPS_FFT_H
#define MAAS_OPS_FFT_H

#include "base/status.h"

#include <stdint.h>

typedef struct maas_fft maas_fft;

maas_status maas_fft_create(int64_t n, maas_fft **out, maas_err *err); /* n >= 1 */
void maas_fft_destroy(maas_fft *f);                                    /* NULL is fine */
/* x[n][2] (real, imaginary) becomes its transform with the exponent's sign: -1 forward, +1 inverse.
 * Not divided by n. */
void maas_fft_run(maas_fft *f, double *x, int sign);

#endif
