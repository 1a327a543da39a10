/*
 * formats/protobuf.h - the protocol buffers wire format, both ways, without generated code.
 *
 * Reading pulls one field at a time out of a span: nothing is allocated, nothing is read past the
 * end, groups (wire types 3 and 4) are refused, nesting is bounded. The error is sticky: after the
 * first one maas_pb_next says false, and `status` is not OK. A caller that looks at the fields of a
 * message more than once copies the maas_pb, which is a plain value.
 *
 * A message that is wanted field by field is described by rows (maas_pb_row) and decoded into a
 * struct; unknown fields are skipped, of a repeated scalar field the last one counts, a message or
 * text that may come once and comes twice is refused (readers disagree about what that means).
 *
 * Writing calls the same code twice: the first round measures every nested message, the second
 * writes; so lengths are exact and nothing is moved. Threads: any, an object one at a time.
 * Fails: E_FORMAT with the byte offset in the file.
 */
#ifndef MAAS_FORMATS_PROTOBUF_H
#define MAAS_FORMATS_PROTOBUF_H

#include "base/buf.h"
#include "base/status.h"
#include "tensor/tensor.h"

enum { /* wire types */
       MAAS_PB_VARINT = 0,
       MAAS_PB_FIXED64 = 1,
       MAAS_PB_BYTES = 2,
       MAAS_PB_FIXED32 = 5
};
#define MAAS_PB_MAX_DEPTH 64 /* messages in messages; 8 levels of ONNX subgraphs take about 30 */

/* ---- reading ---- */

typedef struct maas_pb {
    maas_span rest;
    const uint8_t *file; /* where offsets count from */
    int depth;
    maas_status status;
    maas_err *err; /* borrowed; may be NULL */
} maas_pb;

typedef struct maas_pb_field {
    uint32_t number;
    uint32_t wire;
    uint64_t value;  /* VARINT, FIXED64, FIXED32 */
    maas_span bytes; /* BYTES                    */
    size_t offset;   /* of the tag, in the file  */
} maas_pb_field;

maas_pb maas_pb_open(maas_span file, maas_err *err);
/* The message in the bytes of a field of r. Too deep: an object that has failed. */
maas_pb maas_pb_message(const maas_pb *r, maas_span bytes);
bool maas_pb_next(maas_pb *r, maas_pb_field *out);
/* The next occurrence of a field that holds text, bytes or a message. */
bool maas_pb_each(maas_pb *r, uint32_t number, maas_span *out);
/* The next number of a repeated field, packed or not. `run` is where a packed run is, {0} at first.
 */
bool maas_pb_each_number(maas_pb *r, uint32_t number, uint32_t wire, maas_span *run, uint64_t *out);
size_t maas_pb_offset(const maas_pb *r); /* of what is read next, in the file */
/* Fails with "... at byte N": for what the caller finds wrong. */
__attribute__((format(printf, 3, 4))) maas_status maas_pb_fail(const maas_pb *r, maas_status code,
                                                               const char *fmt, ...);

typedef enum maas_pb_type {
    MAAS_PB_INT,   /* int64_t  */
    MAAS_PB_FLOAT, /* float    */
    MAAS_PB_SPAN,  /* maas_span: text, bytes or a message; p NULL when absent, never when empty */
    MAAS_PB_COUNT  /* uint32_t: occurrences of a repeated field, read with maas_pb_each         */
} maas_pb_type;

typedef struct maas_pb_row {
    uint32_t number;
    maas_pb_type type;
    size_t offset; /* in the struct */
} maas_pb_row;

/* Fills the zeroed struct `out` from the message; r itself stays where it is. */
maas_status maas_pb_decode(const maas_pb *r, const maas_pb_row *rows, size_t n_rows, void *out);

/* ---- writing ---- */

typedef struct maas_pb_open_message {
    size_t index, start;
} maas_pb_open_message;

typedef struct maas_pb_writer {
    maas_buf *out; /* NULL while measuring */
    size_t n;      /* bytes so far         */
    size_t *len;   /* of every nested message, in the order they begin */
    size_t n_len, cap_len;
    maas_pb_open_message open[MAAS_PB_MAX_DEPTH];
    int depth;
    bool failed; /* no memory */
} maas_pb_writer;

void maas_pb_int(maas_pb_writer *w, uint32_t number, int64_t v);
void maas_pb_float(maas_pb_writer *w, uint32_t number, float v);
void maas_pb_bytes(maas_pb_writer *w, uint32_t number, const void *p, size_t n);
void maas_pb_text(maas_pb_writer *w, uint32_t number, const char *s);
void maas_pb_ints(maas_pb_writer *w, uint32_t number, const int64_t *v, size_t n); /* packed */
void maas_pb_floats(maas_pb_writer *w, uint32_t number, const float *v, size_t n); /* packed */
/* As many fields as there are strings. */
void maas_pb_strings(maas_pb_writer *w, uint32_t number, const maas_str *v, size_t n);
void maas_pb_begin(maas_pb_writer *w, uint32_t number);
void maas_pb_end(maas_pb_writer *w);
void maas_pb_raw(maas_pb_writer *w, const void *p, size_t n); /* into what was begun */
/* fn writes the whole message; it is called twice and must do the same both times. E_NOMEM when the
 * memory or the maximum of `out` ends. */
maas_status maas_pb_write(void (*fn)(maas_pb_writer *w, void *user), void *user, maas_buf *out,
                          maas_err *err);
/* The first of these two calls alone: how long the message is. */
maas_status maas_pb_measure(void (*fn)(maas_pb_writer *w, void *user), void *user, uint64_t *out,
                            maas_err *err);

#endif
