/*
 * formats/cells.h - what one cell of a text table is: a number, a missing value or text.
 *
 * Numbers: optional sign, digits with an optional point and exponent; inf and infinity in any case.
 * Leading zeros do not matter (007 is 7). Integers that do not fit int64 are real numbers.
 * Missing: nothing, NA, N/A, #N/A, NaN, -NaN, null, none, nil, ? and . in the usual spellings
 * (lower, upper, and as written here). Blanks around a number or a missing value are ignored.
 */
#ifndef MAAS_FORMATS_CELLS_H
#define MAAS_FORMATS_CELLS_H

#include "base/span.h"
#include "tensor/dtype.h"

typedef enum maas_cell_kind { /* in the order of generality: a column has the largest of its cells
                               */
                              MAAS_CELL_MISSING,
                              MAAS_CELL_INT,
                              MAAS_CELL_REAL,
                              MAAS_CELL_TEXT
} maas_cell_kind;

static inline maas_span maas_cell_trim(maas_span c)
{
    while (c.n && (*c.p == ' ' || *c.p == '\t'))
        maas_span_skip(&c, 1);
    while (c.n && (c.p[c.n - 1] == ' ' || c.p[c.n - 1] == '\t'))
        c.n--;
    return c;
}
maas_cell_kind maas_cell_classify(maas_span cell);
bool maas_cell_is_missing(maas_span cell);
/* Writes one element of a numeric or bool dtype; false: not such a value, or out of range. */
bool maas_cell_store(maas_dtype t, maas_span cell, void *to);
/* NaN for floats; false when the dtype has no missing value. */
bool maas_cell_store_missing(maas_dtype t, void *to);

#endif
