/*
 * tensor/small.h - elements of eight bits and less that no machine computes with: floats of the
 * OCP formats and their relatives, integers of four and two bits. Each is a byte in memory, and its
 * code (the bits as the standard has them) in the low bits of a file.
 */
#ifndef MAAS_TENSOR_SMALL_H
#define MAAS_TENSOR_SMALL_H

#include "tensor/dtype.h"

/* Where a power of two (float8e8m0) goes from between two of them. */
typedef enum maas_e8m0_round { MAAS_E8M0_UP, MAAS_E8M0_DOWN, MAAS_E8M0_NEAREST } maas_e8m0_round;

/* Exact. Any byte is fine: bits above those of the type do not count. */
float maas_small_float(maas_dtype t, uint8_t code);
/* Nearest, ties to even. What is too large, infinity included, becomes the largest number when
 * `saturate` or when the type has neither infinity nor NaN; else infinity or NaN. A NaN becomes
 * minus zero where there is none: the standard's text says the largest number, its tests say this.
 */
uint8_t maas_small_of(maas_dtype t, double v, bool saturate);
/* Of the magnitude: the type has no sign. Zero is the smallest power when `saturate`, else NaN. */
uint8_t maas_e8m0_of(double v, maas_e8m0_round round, bool saturate);
/* The low bits, sign-extended for signed types; types of eight bits stay as they are. */
uint8_t maas_small_wrap(maas_dtype t, uint8_t v);

/* Elements below a byte, to and from files; `packed` has maas_small_packed(t, n) bytes. */
size_t maas_small_packed(maas_dtype t, size_t n);
void maas_small_unpack(maas_dtype t, const uint8_t *packed, size_t n, uint8_t *out);
void maas_small_pack(maas_dtype t, const uint8_t *in, size_t n, uint8_t *out_packed);

#endif
