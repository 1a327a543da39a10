/*
 * formats/tflite/flat.h - FlatBuffers without generated code: tables, vectors and texts of a file,
 * every offset checked before it is followed.
 *
 *   table    int32 back to its vtable, then fields
 *   vtable   uint16 its bytes, uint16 the table's bytes, uint16 where field 0, 1, ... are (0:
 * absent) vector   uint32 how many, then elements; tables and vectors in fields are uint32 ahead
 *
 * Errors are sticky: after the first one, tables have no fields and vectors no elements, and
 * fb_check says what was wrong at which byte. Nothing is recursive and nothing allocated: spans
 * point into the file. Threads: a reader one at a time.
 */
#ifndef MAAS_FORMATS_TFLITE_FLAT_H
#define MAAS_FORMATS_TFLITE_FLAT_H

#include "base/span.h"
#include "base/status.h"

typedef struct fb {
    maas_span file;
    const char *wrong; /* NULL: nothing yet */
    size_t at;
} fb;

typedef struct fb_table {
    size_t at, vtable;        /* at 0: there is none; the root's offset is never 0 */
    uint32_t bytes, n_vtable; /* of the table, of the vtable */
} fb_table;

typedef struct fb_vector {
    const uint8_t *p; /* as in the file: may be unaligned */
    size_t at;
    uint32_t n;
} fb_vector;

void fb_init(fb *f, maas_span file);
/* The table that the file begins with; `id` are the four characters at byte 4. */
fb_table fb_root(fb *f, const char id[4]);
maas_status fb_check(const fb *f, maas_err *err); /* E_FORMAT after an error */

bool fb_has(fb *f, const fb_table *t, int field);
/* Scalars of a table; `otherwise` is the schema's default. */
int64_t fb_i8(fb *f, const fb_table *t, int field, int64_t otherwise);
int64_t fb_i32(fb *f, const fb_table *t, int field, int64_t otherwise);
uint64_t fb_u64(fb *f, const fb_table *t, int field);
float fb_f32(fb *f, const fb_table *t, int field);
static inline bool fb_bool(fb *f, const fb_table *t, int field, bool otherwise)
{
    return fb_i8(f, t, field, otherwise) != 0;
}

fb_table fb_sub(fb *f, const fb_table *t, int field);                  /* at 0: absent */
fb_vector fb_vec(fb *f, const fb_table *t, int field, size_t element); /* n 0: absent or empty */
maas_span fb_text(fb *f, const fb_table *t, int field);

/* Elements; i < n. */
fb_table fb_table_at(fb *f, const fb_vector *v, uint32_t i);
int32_t fb_i32_at(const fb_vector *v, uint32_t i);
int64_t fb_i64_at(const fb_vector *v, uint32_t i);
float fb_f32_at(const fb_vector *v, uint32_t i);

#endif
