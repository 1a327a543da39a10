/*
 * formats/gguf.h - GGUF, versions 2 and 3: the file of a language model.
 *
 *   "GGUF", version, n_tensors, n_kv;  n_kv times key, type, value;  n_tensors times name, rank,
 *   sizes (innermost first), type, offset;  padding;  tensors, each at a multiple of the alignment
 *
 * The layout is the one of ggml's docs/gguf.md. Everything is looked at before anything is given
 * out: counts against what is left of the file, sizes against overflow, tensors against each other
 * and the end. Nothing is copied but indexes; the file must outlive them.
 *
 * Owns: nothing, all is in the caller's arena (under its budget). Threads: read-only once opened.
 * Fails: E_FORMAT names the byte or the key; E_UNSUPPORTED a version or type; E_TOO_LARGE, E_NOMEM.
 */
#ifndef MAAS_FORMATS_GGUF_H
#define MAAS_FORMATS_GGUF_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/span.h"
#include "tensor/quant.h"
#include "tensor/tensor.h"

#define MAAS_MAX_GGUF_KEYS    65536u
#define MAAS_MAX_GGUF_TENSORS 262144u
#define MAAS_MAX_GGUF_NAME    256u        /* bytes of a key or of the name of a tensor */
#define MAAS_MAX_GGUF_STRING  (64u << 20) /* bytes of a text: templates, tokenizer files */

typedef enum maas_gguf_type { /* numbers of the format */
                              MAAS_GGUF_U8,
                              MAAS_GGUF_I8,
                              MAAS_GGUF_U16,
                              MAAS_GGUF_I16,
                              MAAS_GGUF_U32,
                              MAAS_GGUF_I32,
                              MAAS_GGUF_F32,
                              MAAS_GGUF_BOOL,
                              MAAS_GGUF_STRING,
                              MAAS_GGUF_ARRAY,
                              MAAS_GGUF_U64,
                              MAAS_GGUF_I64,
                              MAAS_GGUF_F64,
                              MAAS_GGUF_N_TYPES
} maas_gguf_type;

typedef struct maas_gguf_value {
    maas_str key;
    uint8_t type;            /* maas_gguf_type */
    uint8_t of;              /* ARRAY: of its elements; else `type` */
    uint64_t n;              /* elements; 1 of what is no array */
    const uint8_t *data;     /* numbers, as they lie in the file: any alignment */
    const maas_str *strings; /* [n] of STRING */
} maas_gguf_value;

typedef struct maas_gguf_tensor {
    maas_str name;
    const maas_quant *type;
    int rank;
    int64_t dims[4]; /* row-major: the last one is contiguous (the file says it first) */
    const uint8_t *data;
    size_t bytes;
} maas_gguf_tensor;

typedef struct maas_gguf {
    uint32_t version, alignment;
    uint32_t n_values, n_tensors;
    maas_gguf_value *values;   /* in the order of the file */
    maas_gguf_tensor *tensors; /* likewise */
    uint32_t *value_order;     /* private: by key */
    uint32_t *tensor_order;    /* private: by name */
} maas_gguf;

maas_status maas_gguf_open(maas_span file, maas_arena *a, maas_gguf *out, maas_err *err);
/* Keys and tensors that another reader made: makes them findable. E_FORMAT: a name comes twice. */
maas_status maas_gguf_index(maas_gguf *g, maas_arena *a, maas_err *err);
bool maas_gguf_is(maas_span head);                                          /* by its first bytes */
const maas_gguf_value *maas_gguf_find(const maas_gguf *g, const char *key); /* NULL */
const maas_gguf_tensor *maas_gguf_tensor_of(const maas_gguf *g, const char *name); /* NULL */
/* Element i of numbers; floats are cut toward zero, booleans are 0 and 1. */
int64_t maas_gguf_i64(const maas_gguf_value *v, uint64_t i);
double maas_gguf_f64(const maas_gguf_value *v, uint64_t i);

/* ---- writing: values first, then tensors, then the bytes ---- */
typedef struct maas_gguf_writer {
    maas_buf head; /* keys and values */
    maas_buf index;
    uint64_t n_values, n_tensors, at; /* at: bytes of tensors so far, padding included */
} maas_gguf_writer;
void maas_gguf_put_u32(maas_gguf_writer *w, const char *key, uint32_t v);
void maas_gguf_put_f32(maas_gguf_writer *w, const char *key, float v);
void maas_gguf_put_str(maas_gguf_writer *w, const char *key, maas_str v);
void maas_gguf_put_strs(maas_gguf_writer *w, const char *key, const maas_str *v, uint64_t n);
/* `of`: U8, or I32 or F32 (4 bytes each). */
void maas_gguf_put_array(maas_gguf_writer *w, const char *key, maas_gguf_type of, const void *v,
                         uint64_t n);
/* dims row-major. Its bytes follow in the same order, each padded to 32 by the caller through
 * maas_gguf_pad. */
void maas_gguf_put_tensor(maas_gguf_writer *w, const char *name, const maas_quant *q, int rank,
                          const int64_t *dims);
/* Everything before the bytes of tensors. */
void maas_gguf_finish(maas_gguf_writer *w, maas_buf *out);
void maas_gguf_pad(maas_buf *out); /* zeros to the next multiple of 32 */
void maas_gguf_writer_reset(maas_gguf_writer *w);

#endif
