/*
 * base/num.h - numbers from text and back, correctly rounded, locale-free.
 *
 * Parsing is by Eisel-Lemire (D. Lemire, "Number parsing at a gigabyte per second", 2021) with an
 * exact fallback; printing gives the shortest digits that read back to the same number.
 */
#ifndef MAAS_BASE_NUM_H
#define MAAS_BASE_NUM_H

#include "base/span.h"

/* Each reads a number at the start of *s and moves past it; false leaves *s untouched. JSON
 * grammar, and also a leading '+', "1.", ".5"; no NaN/Infinity words here. */
bool maas_num_f64(maas_span *s, double *out);
bool maas_num_f32(maas_span *s, float *out);   /* rounded once, from the decimal text */
bool maas_num_i64(maas_span *s, int64_t *out); /* no fraction or exponent; false on overflow */
bool maas_num_u64(maas_span *s, uint64_t *out);
/* The whole string is one number. */
bool maas_parse_i64(const char *text, int64_t *out);
bool maas_parse_f64(const char *text, double *out);

#define MAAS_NUM_MAX 32 /* bytes that any of the printers below may write */
/* Return the bytes written; not NUL-terminated. Non-finite: "NaN", "Infinity", "-Infinity". */
size_t maas_num_put_f32(char *out, float v);
size_t maas_num_put_f64(char *out, double v);
size_t maas_num_put_i64(char *out, int64_t v);
size_t maas_num_put_u64(char *out, uint64_t v);

#endif
