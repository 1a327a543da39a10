/*
 * formats/pickle.h - Python pickles as data: a stack machine that builds a tree of values and never
 * calls, imports or looks up anything. REDUCE, NEWOBJ, INST, OBJ and BUILD make and fill symbolic
 * OBJECT values.
 *
 *   int, str, list, ...       plain values
 *   GLOBAL "module.name"      a name; nothing else is known of it
 *   OBJECT                    class (module.name), constructor arguments, state
 *   ARRAY                     a numpy array: recognised from ndarray/_reconstruct, joblib's
 * NumpyArrayWrapper and numpy scalars (rank 0); bytes are borrowed from the file when they can be
 *
 * Values are shared, not copied (memo): a file can only build what its size pays for. Cycles are
 * legal in a pickle; whoever walks uses the accessors below, which never follow more than one edge.
 *
 * Source of the opcodes: CPython's pickletools. Limits: base/limits.h. Threads: any; a finished
 * pickle is read-only. Fails: E_FORMAT with the byte offset; E_UNSUPPORTED "REJECT_CLASS
 * module.name" for an object of a class that is not in the table of known ones
 * (formats/pickle_classes.c); E_NOMEM past the budget.
 */
#ifndef MAAS_FORMATS_PICKLE_H
#define MAAS_FORMATS_PICKLE_H

#include "base/arena.h"
#include "base/span.h"
#include "tensor/tensor.h"

typedef enum maas_pk_kind {
    MAAS_PK_NONE,
    MAAS_PK_BOOL,
    MAAS_PK_INT, /* fits int64 */
    MAAS_PK_BIG, /* an integer that does not; bytes as in LONG1 */
    MAAS_PK_FLOAT,
    MAAS_PK_BYTES,
    MAAS_PK_STR, /* UTF-8 */
    MAAS_PK_TUPLE,
    MAAS_PK_LIST,
    MAAS_PK_DICT,
    MAAS_PK_SET,
    MAAS_PK_GLOBAL,
    MAAS_PK_OBJECT,
    MAAS_PK_ARRAY
} maas_pk_kind;

typedef struct maas_pk maas_pk; /* a value */

typedef struct maas_pickle {
    const maas_pk *root;
    maas_arena arena; /* of all values */
} maas_pickle;

/* file: a pickle, or a joblib file (raw or compressed with zlib, gzip, bz2, lzma, xz, lz4).
 * Borrowed: must outlive the pickle unless it was compressed. */
maas_status maas_pickle_read(maas_span file, maas_budget *budget, maas_pickle *out, maas_err *err);
/* A plain pickle in which other names may occur than those of the table. A persistent id, which
 * refers to bytes beside the pickle, becomes an OBJECT of the class MAAS_PK_REFERENCE whose
 * arguments are the id, a TUPLE; attributes that BUILD gives to a dict are dropped. */
#define MAAS_PK_REFERENCE "persistent id" /* no pickle can spell it */
maas_status maas_pickle_read_as(maas_span file, const char *const *names, maas_budget *budget,
                                maas_pickle *out, maas_err *err);
void maas_pickle_reset(maas_pickle *p);
int maas_pickle_probe(maas_span head);

/* ---- looking; v may be NULL everywhere (then: NONE, NULL, 0, false) ---- */
maas_pk_kind maas_pk_kind_of(const maas_pk *v);
bool maas_pk_is_class(const maas_pk *v,
                      const char *class_name);   /* OBJECT or GLOBAL of "module.name" */
const char *maas_pk_class(const maas_pk *v);     /* "sklearn.svm._classes.SVC"; "" */
const char *maas_pk_kind_text(const maas_pk *v); /* for messages: "list", "object of x.Y" */
int64_t maas_pk_count(const maas_pk *v);         /* items of TUPLE, LIST, DICT (pairs), SET */
const maas_pk *maas_pk_at(const maas_pk *v,
                          int64_t i); /* item; DICT: value of pair i; NULL past the end */
const maas_pk *maas_pk_key(const maas_pk *v, int64_t i); /* DICT: key of pair i */
const maas_pk *maas_pk_get(const maas_pk *v,
                           const char *key); /* DICT by text key; the last one set wins */
/* An attribute: of an OBJECT's state dict (for (dict, slots) pairs: both). */
const maas_pk *maas_pk_attr(const maas_pk *v, const char *name);
const maas_pk *maas_pk_state(const maas_pk *v); /* what BUILD gave, whole; NULL */
const maas_pk *maas_pk_args(const maas_pk *v);  /* constructor arguments, a TUPLE; NULL */
/* Plain numbers; numpy scalars and rank-0 (or one-element) arrays count as numbers. */
bool maas_pk_to_int(const maas_pk *v, int64_t *out);
bool maas_pk_to_double(const maas_pk *v, double *out); /* ints too */
bool maas_pk_to_bool(const maas_pk *v, bool *out);
bool maas_pk_to_bytes(const maas_pk *v, maas_span *out); /* BYTES, and the bytes of STR */
bool maas_pk_to_str(const maas_pk *v, maas_str *out);    /* STR, and 1-element text arrays */
/* ARRAY of numbers or bools: C-contiguous, native byte order. Text arrays (U, S, object of str):
 * STRING tensors. */
const maas_tensor *maas_pk_array(const maas_pk *v); /* NULL: not one */
/* Fields of a structured array (dtype with names), e.g. the nodes of a tree: the column as an own
 * array of `dtype`. E_FORMAT names the field. */
maas_status maas_pk_array_field(const maas_pk *v, const char *field, maas_dtype dtype,
                                maas_arena *a, maas_tensor *out, maas_err *err);

#endif
