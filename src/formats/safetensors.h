/*
 * formats/safetensors.h - safetensors: named tensors in a file, and the index of such files.
 *
 *   bytes of the head (u64), head: {"name": {"dtype", "shape", "data_offsets": [from, to]}, ...,
 *   "__metadata__": {text: text}}, maybe spaces;  tensors, one after the other
 *
 * Everything is looked at before anything is given out: names are unique, each tensor has as many
 * bytes as its shape says, and together they fill the file from the head to its end without gap
 * or overlap. Nothing is copied but the index; the file must outlive it. Tensors have the
 * alignment that the file gives them, which may be none.
 *
 * Owns: nothing, all is in the caller's arena (under its budget). Threads: read-only once opened.
 * Fails: E_FORMAT names the tensor or the byte; E_TOO_LARGE, E_NOMEM.
 */
#ifndef MAAS_FORMATS_SAFETENSORS_H
#define MAAS_FORMATS_SAFETENSORS_H

#include "base/arena.h"
#include "base/span.h"
#include "tensor/tensor.h"

#define MAAS_MAX_ST_HEAD    (32u << 20) /* bytes of a head, and of an index of files */
#define MAAS_MAX_ST_TENSORS 262144u
#define MAAS_MAX_ST_NAME    512u /* bytes of a name */

typedef struct maas_st_dtype { /* one row of the format's element types */
    const char *name;          /* "BF16" */
    uint8_t bits;              /* of an element */
    maas_dtype dtype;          /* MAAS_DT_NONE: none of ours */
} maas_st_dtype;

typedef struct maas_st_tensor {
    maas_str name;
    const maas_st_dtype *type;
    int rank;
    int64_t dims[MAAS_MAX_RANK]; /* row-major: the last one is contiguous */
    const uint8_t *data;
    size_t bytes;
} maas_st_tensor;

typedef struct maas_st_note { /* of __metadata__ */
    maas_str key, text;
} maas_st_note;

typedef struct maas_safetensors {
    uint32_t n_tensors, n_notes;
    maas_st_tensor *tensors; /* by name */
    maas_st_note *notes;     /* in the order of the file */
} maas_safetensors;

maas_status maas_safetensors_open(maas_span file, maas_arena *a, maas_safetensors *out,
                                  maas_err *err);
const maas_st_tensor *maas_safetensors_find(const maas_safetensors *s, maas_str name); /* NULL */

/* model.safetensors.index.json: which file has which tensor. */
typedef struct maas_st_place {
    maas_str name, file;
} maas_st_place;
typedef struct maas_st_index {
    uint32_t n;
    maas_st_place *places; /* by name */
} maas_st_index;

maas_status maas_st_index_read(maas_span text, maas_arena *a, maas_st_index *out, maas_err *err);
const maas_str *maas_st_index_file(const maas_st_index *x, maas_str name); /* NULL: not in it */

#endif
