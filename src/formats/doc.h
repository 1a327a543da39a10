/*
 * formats/doc.h - one pull reader over two spellings of the same documents: JSON and UBJSON.
 *
 * Readers of model files walk a document once, token by token, and keep numbers in arrays of their
 * own: no tree of values is made, so a file of any size needs the memory of its model.
 *
 * UBJSON: all numeric types, strings, counted and typed arrays ("[$d#L"), objects with and without
 * a count. Not: high-precision numbers, arrays of a type that takes no bytes (a count alone would
 * pay for any size), containers typed by '$'.
 *
 * Borrows: the file. Owns: nothing; number arrays are the caller's (maas_numbers_reset). Threads:
 * one at a time. Fails: E_FORMAT naming keys from the root and the byte; depth is bounded by
 * MAAS_MAX_JSON_DEPTH without recursion.
 */
#ifndef MAAS_FORMATS_DOC_H
#define MAAS_FORMATS_DOC_H

#include "base/json.h"
#include "tensor/tensor.h"

typedef struct maas_doc {
    maas_json_kind kind; /* of the last token */
    maas_span text;      /* KEY, STRING: raw; NUMBER in JSON: its digits */
    bool is_ubj;

    /* private */
    maas_json_scan json;
    maas_span rest; /* UBJSON, not yet read */
    const uint8_t *start;
    double number; /* UBJSON: exact for everything but large int64, which `whole` has */
    int64_t whole;
    bool is_whole, want_value, started;
    int depth;
    struct {
        bool object, counted;
        uint8_t type;  /* of every item; 0: each says its own */
        uint64_t left; /* counted: items still to come */
    } levels[MAAS_MAX_JSON_DEPTH];
    maas_err err;
} maas_doc;

/* UBJSON when the bytes say so: '{' and then the mark of an integer (the length of a key). */
void maas_doc_init(maas_doc *d, maas_span file);
maas_json_kind maas_doc_next(maas_doc *d); /* MAAS_JSON_ERROR is sticky */
bool maas_doc_skip(maas_doc *d);           /* as maas_json_skip */
size_t maas_doc_offset(const maas_doc *d);
/* What is wrong: the reader's own words if it failed, else `expected` and where. */
maas_status maas_doc_fail(const maas_doc *d, const char *expected, maas_err *err);

/* ---- values; each takes the next token ---- */
maas_status maas_doc_i64(maas_doc *d, int64_t *out, maas_err *err); /* true, false: 1, 0 */
maas_status maas_doc_f64(maas_doc *d, double *out, maas_err *err);
/* Text with escapes resolved, in the arena. */
maas_status maas_doc_str(maas_doc *d, maas_arena *a, maas_str *out, maas_err *err);
/* An integer that some makers write as text: 12, "12", "1.2E1". */
maas_status maas_doc_loose_i64(maas_doc *d, int64_t *out, maas_err *err);

/* ---- arrays of numbers, used again and again ---- */
typedef struct maas_numbers {
    maas_dtype dtype; /* F32, F64, I32, I64 */
    uint8_t size;     /* bytes of a number */
    void *p;
    size_t n, cap;
    maas_budget *budget;
} maas_numbers;

void maas_numbers_init(maas_numbers *v, maas_dtype dtype, maas_budget *budget);
void maas_numbers_reset(maas_numbers *v);
maas_status maas_numbers_resize(maas_numbers *v, size_t n, maas_err *err); /* new items are zero */
maas_status maas_numbers_add(maas_numbers *v, double x, maas_err *err);
static inline const float *maas_numbers_f32(const maas_numbers *v)
{
    return v->p;
}
static inline const double *maas_numbers_f64(const maas_numbers *v)
{
    return v->p;
}
static inline const int32_t *maas_numbers_i32(const maas_numbers *v)
{
    return v->p;
}
/* An array of numbers (or true, false) in place of what is in `v`. Floats are rounded once. */
maas_status maas_doc_numbers(maas_doc *d, maas_numbers *v, maas_err *err);

/* ---- objects and arrays by table ---- */
typedef struct maas_doc_field {
    const char *key;
    maas_status (*read)(void *ctx, maas_doc *d, maas_err *err); /* takes the value */
} maas_doc_field;

/* An object: each key that is in the table is read by its row, others are skipped; a key of the
 * table that comes twice is refused. *out_seen (may be NULL): a bit a row that was there. */
maas_status maas_doc_object(maas_doc *d, const maas_doc_field *fields, size_t n, void *ctx,
                            uint32_t *out_seen, maas_err *err);
/* An array: `each` for every item. Errors get "name[i]" in front. */
maas_status maas_doc_each(maas_doc *d, const char *name,
                          maas_status (*each)(void *ctx, maas_doc *d, maas_err *err), void *ctx,
                          maas_err *err);

#endif
