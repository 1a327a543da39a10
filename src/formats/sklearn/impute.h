/*
 * formats/sklearn/impute.h - what counts as missing; shared by the decoders of imputers.
 */
#ifndef MAAS_FORMATS_SKLEARN_IMPUTE_H
#define MAAS_FORMATS_SKLEARN_IMPUTE_H

#include "formats/sklearn/prep.h"

typedef struct sk_mark {
    bool is_text; /* a word; else NaN or a number */
    maas_str word;
    double number;
} sk_mark;
/* missing_values of an imputer. */
maas_status sk_missing_mark(maas_sk *s, const maas_pk *est, sk_mark *out);
/* BOOL of the shape of x: is it missing? */
maas_vid sk_missing_number(maas_sk *s, maas_vid x, const sk_mark *m);
/* Appends the masks that indicator_ shows of the n features of `in`; nothing without one. text[i]:
 * feature i is text (NULL: none is). */
maas_status sk_add_indicator(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                             const sk_mark *m, const bool *text, int64_t n, maas_sk_out *out);

#endif
