/* formats/lines.h - a source line by line, for formats whose records are lines. */
#ifndef MAAS_FORMATS_LINES_H
#define MAAS_FORMATS_LINES_H

#include "formats/source.h"

typedef struct maas_lines {
    maas_span line;  /* without LF or CRLF; borrowed until the next call */
    uint64_t offset; /* of the line in the file */

    /* private */
    maas_source *src;
    const char *format; /* for words */
    maas_span rest;     /* of the window */
    const uint8_t *start;
    bool last;
} maas_lines;

void maas_lines_init(maas_lines *l, maas_source *src, const char *format);
/* *more is false at the end of the file. A line has at most MAAS_MAX_CSV_LINE bytes. */
maas_status maas_lines_next(maas_lines *l, bool *more, maas_err *err);

#endif
