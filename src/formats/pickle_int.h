/*
 * formats/pickle_int.h - shared by the files of the pickle reader only.
 *
 *   pickle.c          opening, the loop over opcodes, values, stack, memo
 *   pickle_ops.c      the table of opcodes
 *   pickle_text.c     opcodes of protocol 0, whose arguments are lines of text
 *   pickle_object.c   what REDUCE, NEWOBJ and BUILD make of a name
 *   pickle_classes.c  the names that may occur
 *   pickle_numpy.c    dtypes, shapes, arrays
 *   pickle_elements.c elements of arrays, columns of records
 *   pickle_joblib.c   arrays that stand between opcodes
 *   pickle_unpack.c   compressed files
 *   pickle_value.c    accessors
 */
#ifndef MAAS_FORMATS_PICKLE_INT_H
#define MAAS_FORMATS_PICKLE_INT_H

#include "formats/pickle.h"

typedef struct pk_object {
    const maas_pk *cls; /* GLOBAL */
    maas_pk *args;      /* TUPLE or NULL */
    maas_pk *state;     /* NULL until BUILD */
    maas_pk *items;     /* LIST or DICT that was appended to it, or NULL */
} pk_object;

typedef struct pk_array {
    maas_tensor t;        /* shape; data and dtype only if it has numbers or text */
    const maas_pk *items; /* LIST: an array of objects, in C order; else NULL     */
    const maas_pk *names; /* TUPLE of a structured dtype; else NULL               */
    const maas_pk *fields;
    const uint8_t *raw; /* of a structured array                                */
    uint64_t item;      /* bytes of one of its records                          */
    char code[8];       /* "<f8": for messages                                  */
} pk_array;

/* 16 bytes: a file of many small values must not grow much in memory. */
struct maas_pk {
    uint64_t kind : 8;
    uint64_t n : 56; /* bytes of text, items, pairs of a DICT */
    union {
        bool b;
        int64_t i;
        double f;
        const char *text; /* STR, BYTES, BIG; GLOBAL: NUL-terminated */
        maas_pk **items;  /* room for pk_room(n); DICT: key, value, key, ... */
        pk_object *object;
        pk_array *array;
    } u;
};

#define PK_MAX_N ((1ull << 56) - 1) /* more than any file has */

enum { PK_MEMO_CHUNK = 4096, PK_SMALL_INTS = 256 };

/* Stack and memo of one pickle; arrays of objects in a joblib file are pickles in a pickle. */
typedef struct pk_context {
    maas_pk **stack;
    uint32_t *marks; /* heights of the stack */
    maas_pk ***memo; /* [chunk][PK_MEMO_CHUNK] */
    uint32_t n_stack, cap_stack, n_marks, cap_marks, n_memo;
    maas_pk *waits; /* the wrapper that the result replaces; NULL: this is the outermost */
} pk_context;

typedef struct pk_vm {
    maas_span file; /* whole, unpacked */
    const uint8_t *at, *end;
    const uint8_t *frame_end; /* NULL: not in a frame */
    pk_context now, outer;
    bool nested, done;
    maas_arena *arena; /* of values */
    maas_arena temp;   /* of stacks and memos */
    maas_err *err;
    const char *const *names; /* NULL-ended: all that may occur; NULL: the table's, and no ids */
    maas_pk *fixed;           /* None, False, True, 0..255: most values of a pickle */
    maas_pk *chunk;           /* values not handed out yet */
    uint32_t n_chunk, n_values;
    size_t spent, limit; /* bytes */
} pk_vm;

typedef maas_status pk_op_fn(pk_vm *vm);
typedef struct pk_op {
    const char *name;
    pk_op_fn *run; /* NULL: refused */
} pk_op;
extern const pk_op pk_ops[256];
#define PK_REFUSED "opcode %s (0x%02x) is refused: it refers to what is not in the file"

/* ---- pickle.c ---- */
__attribute__((format(printf, 3, 4))) maas_status pk_fail(pk_vm *vm, maas_status st,
                                                          const char *fmt, ...);
void *pk_alloc(pk_vm *vm, size_t size); /* NULL: past the limit; nobody but pk_fail_memory knows */
maas_status pk_fail_memory(pk_vm *vm);
maas_status pk_take(pk_vm *vm, uint64_t n, maas_span *out); /* bytes of an argument */
maas_status pk_new(pk_vm *vm, maas_pk_kind kind, maas_pk **out);
maas_status pk_new_text(pk_vm *vm, maas_pk_kind kind, maas_span text, maas_pk **out);
maas_status pk_new_list(pk_vm *vm, maas_pk_kind kind, maas_pk *const *items, uint64_t n,
                        maas_pk **out); /* TUPLE, LIST, SET, DICT (n pairs) */
maas_status pk_push(pk_vm *vm, maas_pk *v);
maas_status pk_pop(pk_vm *vm, maas_pk **out);
maas_status pk_top(pk_vm *vm, maas_pk **out);
maas_status pk_mark(pk_vm *vm);
/* Items above the newest mark, which goes; they stay where they are until the next push. */
maas_status pk_pop_mark(pk_vm *vm, maas_pk ***out_items, uint32_t *out_n);
maas_status pk_add_items(pk_vm *vm, maas_pk *list, maas_pk *const *items, uint64_t n);
maas_status pk_memo_put(pk_vm *vm, uint64_t number);
maas_status pk_memo_get(pk_vm *vm, uint64_t number);
maas_status pk_begin_nested(pk_vm *vm, maas_pk *waits);
enum { PK_NONE, PK_FALSE, PK_TRUE, PK_ZERO };

/* ---- pickle_text.c ---- */
pk_op_fn pk_op_int, pk_op_long, pk_op_float, pk_op_string, pk_op_unicode, pk_op_global, pk_op_inst,
    pk_op_get, pk_op_put;
maas_status pk_push_str(pk_vm *vm, maas_span text); /* checks UTF-8 */
size_t pk_put_utf8(uint8_t *out, uint32_t c);       /* a character in up to 4 bytes; how many */
maas_status pk_latin1(pk_vm *vm, maas_span utf8, maas_span *out);

/* ---- pickle_object.c, pickle_classes.c ---- */
maas_status pk_global(pk_vm *vm, maas_span module, maas_span name, maas_pk **out);
maas_status pk_reduce(pk_vm *vm, maas_pk *fn, maas_pk *args, maas_pk **out);
maas_status pk_new_object(pk_vm *vm, maas_pk *cls, maas_pk *args, maas_pk **out);
maas_status pk_build(pk_vm *vm, maas_pk *target, maas_pk *state);
bool pk_class_known(const pk_vm *vm, const char *name);
maas_status pk_reference(pk_vm *vm, maas_pk *id, maas_pk **out);

/* ---- pickle_numpy.c, pickle_joblib.c ---- */
typedef struct pk_dtype {
    char kind;     /* of numpy: b i u f S U O V, others are kept as bytes nobody reads */
    bool swap;     /* elements are big-endian */
    uint64_t size; /* bytes */
    const maas_pk *names, *fields;
} pk_dtype;
maas_status pk_dtype_of(pk_vm *vm, const maas_pk *v, pk_dtype *out);
maas_status pk_shape(pk_vm *vm, const maas_pk *v, maas_tensor *out);
maas_status pk_array_bytes(pk_vm *vm, const pk_dtype *d, const maas_tensor *shape, uint64_t *out);
/* Turns `v` into the array; raw must hold exactly the bytes of the shape. */
maas_status pk_make_array(pk_vm *vm, maas_pk *v, const pk_dtype *d, const maas_tensor *shape,
                          bool fortran, maas_span raw);
maas_status pk_scalar(pk_vm *vm, maas_pk *fn, maas_pk *args, maas_pk **out);
maas_status pk_frombuffer(pk_vm *vm, maas_pk *fn, maas_pk *args, maas_pk **out);
maas_status pk_build_array(pk_vm *vm, maas_pk *target, maas_pk *state);
maas_status pk_build_joblib(pk_vm *vm, maas_pk *target, maas_pk *state);

/* ---- pickle_elements.c ---- */
maas_dtype pk_number_type(char kind, uint64_t size); /* MAAS_DT_NONE: no numbers */
/* t has its shape; data (and for text the dtype) are filled in from exactly its bytes. */
maas_status pk_make_numbers(pk_vm *vm, maas_tensor *t, const pk_dtype *d, bool fortran,
                            maas_span raw);
maas_status pk_make_text(pk_vm *vm, maas_tensor *t, const pk_dtype *d, bool fortran, maas_span raw);

/* ---- pickle_unpack.c ---- */
bool pk_is_packed(maas_span file);
/* The bytes live as long as the arena. */
maas_status pk_unpack(maas_span file, maas_arena *arena, maas_span *out, maas_err *err);

/* ---- pickle_value.c ---- */
bool pk_bytes(const maas_pk *v, maas_span *out); /* BYTES or STR */

#endif
