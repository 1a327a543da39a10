/*
 * formats/csv_split.h - bytes of a CSV file into records and cells (RFC 4180).
 *
 * Records end with LF or CRLF, or with the file; empty lines are no records. A cell that starts
 * with a quote ends with one: inside, "" is a quote, and delimiters and line ends are text. A quote
 * further in is an ordinary character. The scan finds delimiters, line feeds and quotes 64 bytes at
 * a time and never looks at the bytes between them.
 */
#ifndef MAAS_FORMATS_CSV_SPLIT_H
#define MAAS_FORMATS_CSV_SPLIT_H

#include "formats/source.h"

typedef struct maas_csv_cell {
    const uint8_t *p; /* without the quotes; in the source's window */
    uint32_t n;
    bool quoted;
    bool escaped; /* has "" in it */
} maas_csv_cell;

typedef struct maas_csv_split {
    maas_csv_cell *cells; /* of the record */
    uint32_t n_cells;
    int64_t row;         /* records so far, from 1 */
    uint64_t row_offset; /* byte of the file where the record starts */

    /* private */
    maas_source *src;
    uint8_t delimiter;
    size_t cap;
    maas_span window;
    const uint8_t *at;    /* start of the next record */
    const uint8_t *block; /* 64 bytes that `mask` describes */
    uint64_t mask;        /* special bytes of the block, not yet visited */
    bool last;            /* nothing follows the window */
} maas_csv_split;

void maas_csv_split_init(maas_csv_split *s, maas_source *src, char delimiter);
void maas_csv_split_reset(maas_csv_split *s);
/* n_cells is 0 at the end of the file. */
maas_status maas_csv_next(maas_csv_split *s, maas_err *err);
static inline uint64_t maas_csv_offset(const maas_csv_split *s, const maas_csv_cell *c)
{
    return s->src->offset + (uint64_t)(c->p - s->window.p);
}

#endif
