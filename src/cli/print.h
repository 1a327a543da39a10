/*
 * cli/print.h - what people see: aligned tables, readable sizes, one progress line.
 *
 * Text of the server is made harmless for a terminal: control characters become '?'.
 */
#ifndef MAAS_CLI_PRINT_H
#define MAAS_CLI_PRINT_H

#include <stdio.h>

#include "base/arena.h"
#include "base/json.h"

typedef struct maas_text_table { /* init, cells row by row, print, reset */
    const char *align;           /* one letter a column: "lrr" */
    maas_arena arena;
    const char **cells;
    size_t n, cap;
    bool failed;
} maas_text_table;

void maas_text_table_init(maas_text_table *t, const char *align);
__attribute__((format(printf, 2, 3))) void maas_text_table_cell(maas_text_table *t, const char *fmt,
                                                                ...);
/* A string member of an object; "-" when it is not there. */
void maas_text_table_str(maas_text_table *t, const json_t *o, const char *key);
void maas_text_table_print(maas_text_table *t, FILE *to);
void maas_text_table_reset(maas_text_table *t);

/* "26.4 MB" (powers of 1000), "51.7 k"; into out, which it returns. */
const char *maas_human_bytes(uint64_t n, char out[32]);
const char *maas_human_count(uint64_t n, char out[32]);
/* A number of a JSON document in few digits. */
const char *maas_human_number(const json_t *j, char out[32]);
/* "[?,28,28]" of a shape. */
void maas_text_table_shape(maas_text_table *t, const json_t *dims);

/* One line of progress on stderr, redrawn in place at most every 100 ms. */
typedef struct maas_bar {
    bool on; /* nothing is printed unless set */
    const char *label;
    uint64_t last_ns;
    bool drawn;
} maas_bar;
void maas_bar_draw(maas_bar *b, double part, const char *note);
void maas_bar_clear(maas_bar *b);
/* For maas_http_call.progress of an upload; `user` is the bar. */
bool maas_bar_upload(void *user, uint64_t sent, uint64_t to_send, uint64_t got, uint64_t to_get);

#endif
