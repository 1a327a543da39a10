/*
 * formats/pickle_numpy.c - numpy in pickles: dtypes, arrays, scalars, columns of structured arrays.
 *
 *   ndarray   _reconstruct(ndarray, (0,), b"b")  BUILD (version, shape, dtype, fortran, bytes or
 * list) protocol 5  _frombuffer(bytes, dtype, shape, "C" or "F" or "K", axes) scalar scalar(dtype,
 * bytes) dtype       dtype("f8", False, True)  BUILD (version, "<", subdtype, names, fields, size,
 * ...)
 *
 * Elements in our byte order and C order that stand aligned are borrowed from the file.
 */
#include <stdio.h>

#include "base/num.h"
#include "formats/pickle_int.h"
#include "base/ban.h"

/* ---- dtypes ---- */

static const struct {
    char kind;
    uint8_t size;
    uint8_t dtype;
} numbers[] = {
    {'b', 1, MAAS_BOOL}, {'i', 1, MAAS_I8},  {'i', 2, MAAS_I16}, {'i', 4, MAAS_I32},
    {'i', 8, MAAS_I64},  {'u', 1, MAAS_U8},  {'u', 2, MAAS_U16}, {'u', 4, MAAS_U32},
    {'u', 8, MAAS_U64},  {'f', 2, MAAS_F16}, {'f', 4, MAAS_F32}, {'f', 8, MAAS_F64},
};

static maas_dtype number_type(char kind, uint64_t size)
{
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i].kind == kind && numbers[i].size == size)
            return (maas_dtype)numbers[i].dtype;
    return MAAS_DT_NONE;
}

/* "f8", "<f8", "|b1", "U7", "O": what numpy writes as the first argument of a dtype. */
static bool parse_code(maas_span s, pk_dtype *out)
{
    uint8_t c;
    uint64_t size = 8; /* of "O" */
    if (s.n && memchr("<>=|", s.p[0], 4)) {
        out->swap = s.p[0] == '>';
        maas_span_skip(&s, 1);
    }
    if (!maas_span_u8(&s, &c) || !((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
        return false;
    if (s.n && (!maas_num_u64(&s, &size) || s.n))
        return false;
    out->kind = (char)c;
    out->size = c == 'U' ? size * 4 : size;
    return size <= UINT32_MAX;
}

maas_status pk_dtype_of(pk_vm *vm, const maas_pk *v, pk_dtype *out)
{
    const maas_pk *state = maas_pk_state(v);
    maas_span code, order;
    int64_t size;
    *out = (pk_dtype){0};
    if (!maas_pk_is_class(v, "numpy.dtype") || !pk_bytes(maas_pk_at(maas_pk_args(v), 0), &code) ||
        !parse_code(code, out))
        return pk_fail(vm, MAAS_E_FORMAT, "a numpy dtype is expected, found %s",
                       maas_pk_kind_text(v));
    if (!state)
        return MAAS_OK;
    if (maas_pk_count(state) < 8 || !pk_bytes(maas_pk_at(state, 1), &order) || order.n != 1)
        return pk_fail(vm, MAAS_E_FORMAT, "the state of a numpy dtype is broken");
    out->swap = order.p[0] == '>';
    if (maas_pk_kind_of(maas_pk_at(state, 3)) == MAAS_PK_TUPLE) {
        out->names = maas_pk_at(state, 3);
        out->fields = maas_pk_at(state, 4);
    }
    /* -1: numpy knows the size of this kind by itself */
    if (maas_pk_to_int(maas_pk_at(state, 5), &size) && size >= 0 && strchr("SUV", out->kind))
        out->size = (uint64_t)size;
    return MAAS_OK;
}

/* ---- shapes ---- */

maas_status pk_shape(pk_vm *vm, const maas_pk *v, maas_tensor *out)
{
    const int64_t rank = maas_pk_count(v);
    if (maas_pk_kind_of(v) != MAAS_PK_TUPLE || rank > MAAS_MAX_RANK)
        return pk_fail(vm, MAAS_E_FORMAT, "an array needs a shape of at most %d sizes",
                       MAAS_MAX_RANK);
    *out = (maas_tensor){.rank = (uint8_t)rank};
    for (int64_t i = 0; i < rank; i++)
        if (!maas_pk_to_int(maas_pk_at(v, i), &out->dims[i]) || out->dims[i] < 0)
            return pk_fail(vm, MAAS_E_FORMAT, "size %lld of an array's shape is no count",
                           (long long)i);
    return MAAS_OK;
}

/* Elements of a shape; sizes of 0 do not hide sizes whose product would overflow. */
static maas_status count_elems(pk_vm *vm, const maas_tensor *shape, uint64_t *out)
{
    uint64_t most = 1;
    *out = 1;
    for (int i = 0; i < shape->rank; i++) {
        const uint64_t d = (uint64_t)shape->dims[i];
        if (__builtin_mul_overflow(most, d ? d : 1, &most) || most > MAAS_MAX_TENSOR_BYTES)
            return pk_fail(vm, MAAS_E_TOO_LARGE, "an array is too large");
        *out *= d;
    }
    return MAAS_OK;
}

maas_status pk_array_bytes(pk_vm *vm, const pk_dtype *d, const maas_tensor *shape, uint64_t *out)
{
    uint64_t n;
    MAAS_TRY(count_elems(vm, shape, &n));
    if (!d->size && (!memchr("SUV", d->kind, 3) || n > 1u << 20))
        return pk_fail(vm, MAAS_E_FORMAT, "elements of no size"); /* a few empty strings may be */
    if (__builtin_mul_overflow(n, d->size, out) || *out > MAAS_MAX_TENSOR_BYTES)
        return pk_fail(vm, MAAS_E_TOO_LARGE, "an array is too large");
    return MAAS_OK;
}

/* ---- elements ---- */

/* Bytes of one element of at most 8 bytes, in our order. */
static void copy_item(uint8_t *to, const uint8_t *from, size_t size, bool swap)
{
    if (!swap) {
        memcpy(to, from, size);
        return;
    }
    for (size_t i = 0; i < size; i++)
        to[i] = from[size - 1 - i];
}

/* Steps of a walk in C order over elements that stand in C or in Fortran order. */
static void strides_of(const maas_tensor *t, bool fortran, int64_t *stride)
{
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++) {
        const int d = fortran ? i : t->rank - 1 - i;
        stride[d] = n;
        n *= t->dims[d];
    }
}

typedef struct walk {
    const maas_tensor *t;
    int64_t stride[MAAS_MAX_RANK], at[MAAS_MAX_RANK];
    int64_t from; /* element in the file */
} walk;

static void walk_next(walk *w)
{
    for (int d = w->t->rank - 1; d >= 0; d--) {
        w->from += w->stride[d];
        if (++w->at[d] < w->t->dims[d])
            return;
        w->from -= w->stride[d] * w->t->dims[d];
        w->at[d] = 0;
    }
}

/* A matrix in Fortran order, in tiles: both sides stay in the cache. */
#define TILE 32
static void transpose(const maas_tensor *t, size_t size, const uint8_t *raw)
{
    const int64_t rows = t->dims[0], cols = t->dims[1];
    for (int64_t r0 = 0; r0 < rows; r0 += TILE)
        for (int64_t c0 = 0; c0 < cols; c0 += TILE) {
            const int64_t r1 = rows - r0 < TILE ? rows : r0 + TILE;
            const int64_t c1 = cols - c0 < TILE ? cols : c0 + TILE;
            for (int64_t r = r0; r < r1; r++)
                for (int64_t c = c0; c < c1; c++) {
                    uint8_t *to = (uint8_t *)t->data + (size_t)(r * cols + c) * size;
                    const uint8_t *from = raw + (size_t)(c * rows + r) * size;
                    if (size == 8)
                        memcpy(to, from, 8); /* of a known size: one move */
                    else
                        memcpy(to, from, size);
                }
        }
}

static void copy_numbers(const maas_tensor *t, bool fortran, size_t size, bool swap,
                         const uint8_t *raw)
{
    walk w = {.t = t};
    uint8_t *to = t->data;
    if (fortran && !swap && t->rank == 2) {
        transpose(t, size, raw);
        return;
    }
    strides_of(t, fortran, w.stride);
    for (int64_t i = 0, n = maas_n_elems(t); i < n; i++, walk_next(&w))
        copy_item(to + (size_t)i * size, raw + (size_t)w.from * size, size, swap);
}

static maas_status make_numbers(pk_vm *vm, maas_tensor *t, const pk_dtype *d, bool fortran,
                                maas_span raw)
{
    const size_t size = (size_t)d->size;
    const bool swap = d->swap && size > 1;
    fortran = fortran && t->rank > 1;
    if (!swap && !fortran && raw.n && (uintptr_t)raw.p % size == 0) {
        t->data = (void *)(uintptr_t)raw.p; /* borrowed: nobody writes to it */
    } else {
        if (!(t->data = pk_alloc(vm, raw.n)))
            return pk_fail_memory(vm);
        if (!swap && !fortran && raw.n)
            memcpy(t->data, raw.p, raw.n);
        else
            copy_numbers(t, fortran, size, swap, raw.p);
    }
    /* Any other byte in a bool would be undefined behaviour in whoever reads it. */
    for (size_t i = 0; d->kind == 'b' && i < raw.n; i++)
        if (raw.p[i] > 1)
            return pk_fail(vm, MAAS_E_FORMAT, "an array of bools holds %u", raw.p[i]);
    return MAAS_OK;
}

/* ---- text ---- */

static size_t put_utf8(char *out, uint32_t c)
{
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    const size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(lead[n] | c);
    return n;
}

/* U: 4 bytes a character, padded with NUL. */
static bool ucs4_text(const pk_dtype *d, const uint8_t *from, char *to, size_t *out_n)
{
    size_t n = 0, end = (size_t)d->size / 4;
    uint32_t c;
    for (; end; end--) {
        copy_item((uint8_t *)&c, from + 4 * (end - 1), 4, d->swap);
        if (c)
            break;
    }
    for (size_t i = 0; i < end; i++) {
        copy_item((uint8_t *)&c, from + 4 * i, 4, d->swap);
        if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
            return false;
        n += put_utf8(to + n, c);
    }
    *out_n = n;
    return true;
}

/* S: bytes padded with NUL; taken as they are. */
static void byte_text(const pk_dtype *d, const uint8_t *from, char *to, size_t *out_n)
{
    size_t n = (size_t)d->size;
    while (n && !from[n - 1])
        n--;
    memcpy(to, from, n);
    *out_n = n;
}

static maas_status make_text(pk_vm *vm, maas_tensor *t, const pk_dtype *d, bool fortran,
                             maas_span raw)
{
    walk w = {.t = t};
    strides_of(t, fortran && t->rank > 1, w.stride);
    const int64_t n = maas_n_elems(t);
    size_t list_bytes;
    if (__builtin_mul_overflow((size_t)n, sizeof(maas_str), &list_bytes))
        return pk_fail_memory(vm);
    maas_str *text = pk_alloc(vm, list_bytes);
    char *bytes = pk_alloc(vm, raw.n + 1); /* UTF-8 is never longer than UCS-4 */
    if (!text || !bytes)
        return pk_fail_memory(vm);
    for (int64_t i = 0; i < n; i++, walk_next(&w)) {
        const uint8_t *from = raw.p + (size_t)w.from * (size_t)d->size;
        text[i] = (maas_str){bytes, 0};
        if (d->kind == 'S')
            byte_text(d, from, bytes, &text[i].n);
        else if (!ucs4_text(d, from, bytes, &text[i].n))
            return pk_fail(vm, MAAS_E_FORMAT, "element %lld of an array is no text", (long long)i);
        bytes += text[i].n;
    }
    t->data = text;
    t->dtype = MAAS_STRING;
    return MAAS_OK;
}

/* ---- arrays ---- */

maas_status pk_make_array(pk_vm *vm, maas_pk *v, const pk_dtype *d, const maas_tensor *shape,
                          bool fortran, maas_span raw)
{
    uint64_t bytes;
    MAAS_TRY(pk_array_bytes(vm, d, shape, &bytes));
    if (bytes != raw.n)
        return pk_fail(vm, MAAS_E_FORMAT, "an array of %llu bytes has %zu",
                       (unsigned long long)bytes, raw.n);
    pk_array *a = pk_alloc(vm, sizeof *a);
    if (!a)
        return pk_fail_memory(vm);
    a->t = *shape;
    snprintf(a->code, sizeof a->code, "%c%u", d->kind, (unsigned)d->size);
    if (d->names) {
        if (fortran && shape->rank > 1)
            return pk_fail(vm, MAAS_E_UNSUPPORTED, "records in Fortran order");
        a->names = d->names;
        a->fields = d->fields;
        a->raw = raw.p;
        a->item = d->size;
    } else if ((a->t.dtype = (uint8_t)number_type(d->kind, d->size)) != MAAS_DT_NONE) {
        MAAS_TRY(make_numbers(vm, &a->t, d, fortran, raw));
    } else if (d->kind == 'U' || d->kind == 'S') {
        if (d->kind == 'U' && d->size % 4)
            return pk_fail(vm, MAAS_E_FORMAT, "text of %llu bytes, 4 make a character",
                           (unsigned long long)d->size);
        MAAS_TRY(make_text(vm, &a->t, d, fortran, raw));
    }
    v->kind = MAAS_PK_ARRAY;
    v->u.array = a;
    return MAAS_OK;
}

/* All of one sort? Then the objects are an array like any other. */
static maas_dtype common_type(const maas_pk *list)
{
    bool text = true, whole = true, number = true;
    for (uint64_t i = 0; i < list->n; i++) {
        int64_t n;
        double f;
        maas_str s;
        text = text && maas_pk_to_str(list->u.items[i], &s);
        whole = whole && maas_pk_to_int(list->u.items[i], &n);
        number = number && maas_pk_to_double(list->u.items[i], &f);
    }
    return !list->n ? MAAS_DT_NONE
           : text   ? MAAS_STRING
           : whole  ? MAAS_I64
           : number ? MAAS_F64
                    : MAAS_DT_NONE;
}

static maas_status make_objects(pk_vm *vm, maas_pk *v, const maas_tensor *shape,
                                const maas_pk *list)
{
    pk_array *a = pk_alloc(vm, sizeof *a);
    if (!a)
        return pk_fail_memory(vm);
    a->t = *shape;
    a->items = list;
    memcpy(a->code, "O", 2);
    a->t.dtype = (uint8_t)common_type(list);
    if (a->t.dtype != MAAS_DT_NONE) {
        const size_t size = a->t.dtype == MAAS_STRING ? sizeof(maas_str) : sizeof(int64_t);
        char *data = pk_alloc(vm, (size_t)list->n * size);
        if (!data)
            return pk_fail_memory(vm);
        for (uint64_t i = 0; i < list->n; i++) {
            if (a->t.dtype == MAAS_STRING)
                maas_pk_to_str(list->u.items[i], (maas_str *)data + i);
            else if (a->t.dtype == MAAS_I64)
                maas_pk_to_int(list->u.items[i], (int64_t *)data + i);
            else
                maas_pk_to_double(list->u.items[i], (double *)data + i);
        }
        a->t.data = data;
    }
    v->kind = MAAS_PK_ARRAY;
    v->u.array = a;
    return MAAS_OK;
}

static maas_status build_objects(pk_vm *vm, maas_pk *target, const maas_tensor *shape, bool fortran,
                                 const maas_pk *list)
{
    uint64_t n;
    if (maas_pk_kind_of(list) != MAAS_PK_LIST)
        return pk_fail(vm, MAAS_E_FORMAT, "an array of objects has no list");
    if (fortran && shape->rank > 1)
        return pk_fail(vm, MAAS_E_UNSUPPORTED, "objects in Fortran order");
    MAAS_TRY(count_elems(vm, shape, &n));
    if (n != list->n)
        return pk_fail(vm, MAAS_E_FORMAT, "an array of %lld objects has %lld", (long long)n,
                       (long long)list->n);
    return make_objects(vm, target, shape, list);
}

maas_status pk_build_array(pk_vm *vm, maas_pk *target, maas_pk *state)
{
    pk_dtype d;
    maas_tensor shape;
    maas_span raw = {0};
    bool fortran;
    if (!maas_pk_is_class(maas_pk_at(maas_pk_args(target), 0), "numpy.ndarray") &&
        !maas_pk_is_class(maas_pk_at(maas_pk_args(target), 0), "numpy.matrix") &&
        !maas_pk_is_class(maas_pk_at(maas_pk_args(target), 0), "numpy.memmap"))
        return pk_fail(vm, MAAS_E_UNSUPPORTED, "an array of a class of its own");
    if (maas_pk_kind_of(state) != MAAS_PK_TUPLE || maas_pk_count(state) != 5 ||
        !maas_pk_to_bool(maas_pk_at(state, 3), &fortran))
        return pk_fail(vm, MAAS_E_FORMAT, "the state of a numpy array is broken");
    MAAS_TRY(pk_shape(vm, maas_pk_at(state, 1), &shape));
    MAAS_TRY(pk_dtype_of(vm, maas_pk_at(state, 2), &d));
    if (d.kind == 'O')
        return build_objects(vm, target, &shape, fortran, maas_pk_at(state, 4));
    if (!pk_bytes(maas_pk_at(state, 4), &raw))
        return pk_fail(vm, MAAS_E_FORMAT, "a numpy array has no bytes");
    return pk_make_array(vm, target, &d, &shape, fortran, raw);
}

/* ---- other ways to write one ---- */

static maas_status new_array(pk_vm *vm, maas_pk **out)
{
    return pk_new(vm, MAAS_PK_ARRAY, out);
}

/* scalar(dtype, bytes); of objects: scalar(dtype, object) */
maas_status pk_scalar(pk_vm *vm, maas_pk *fn, maas_pk *args, maas_pk **out)
{
    const maas_tensor shape = {0};
    pk_dtype d;
    maas_span raw;
    maas_pk *list;
    if (args->n != 2)
        return pk_fail(vm, MAAS_E_FORMAT, "a numpy scalar is broken");
    MAAS_TRY(pk_dtype_of(vm, args->u.items[0], &d));
    MAAS_TRY(new_array(vm, out));
    if (d.kind == 'O') {
        MAAS_TRY(pk_new_list(vm, MAAS_PK_LIST, &args->u.items[1], 1, &list));
        return make_objects(vm, *out, &shape, list);
    }
    if (!pk_bytes(args->u.items[1], &raw))
        return pk_fail(vm, MAAS_E_FORMAT, "a numpy scalar has no bytes");
    return pk_make_array(vm, *out, &d, &shape, false, raw);
}

/* _frombuffer(bytes, dtype, shape, order[, axes]) */
maas_status pk_frombuffer(pk_vm *vm, maas_pk *fn, maas_pk *args, maas_pk **out)
{
    pk_dtype d;
    maas_tensor shape;
    maas_span raw, order;
    if (args->n < 4 || !pk_bytes(args->u.items[0], &raw) || !pk_bytes(args->u.items[3], &order) ||
        order.n != 1 || !memchr("CF", order.p[0], 2))
        return pk_fail(vm, MAAS_E_FORMAT,
                       "an array in a buffer is broken (orders C and F are read)");
    MAAS_TRY(pk_dtype_of(vm, args->u.items[1], &d));
    MAAS_TRY(pk_shape(vm, args->u.items[2], &shape));
    if (d.kind == 'O')
        return pk_fail(vm, MAAS_E_FORMAT, "objects in a buffer");
    MAAS_TRY(new_array(vm, out));
    return pk_make_array(vm, *out, &d, &shape, order.p[0] == 'F', raw);
}

/* ---- columns of records ---- */

static maas_status find_field(const maas_pk *v, const char *field, pk_dtype *d, uint64_t *offset,
                              maas_err *err)
{
    const pk_array *a = v->u.array;
    const maas_pk *f = maas_pk_get(a->fields, field);
    int64_t at;
    pk_vm quiet = {.err = NULL}; /* for messages of its own: ours name the field */
    if (!f)
        return maas_fail(err, MAAS_E_FORMAT, "the records have no field '%.60s'", field);
    if (!maas_pk_to_int(maas_pk_at(f, 1), &at) || at < 0 ||
        pk_dtype_of(&quiet, maas_pk_at(f, 0), d) != MAAS_OK || d->size > a->item ||
        (uint64_t)at > a->item - d->size)
        return maas_fail(err, MAAS_E_FORMAT, "field '%.60s' is broken", field);
    *offset = (uint64_t)at;
    return MAAS_OK;
}

maas_status maas_pk_array_field(const maas_pk *v, const char *field, maas_dtype dtype,
                                maas_arena *a, maas_tensor *out, maas_err *err)
{
    pk_dtype d;
    uint64_t offset;
    if (maas_pk_kind_of(v) != MAAS_PK_ARRAY || !v->u.array->fields)
        return maas_fail(err, MAAS_E_FORMAT, "an array of records with '%.60s' is expected", field);
    MAAS_TRY(find_field(v, field, &d, &offset, err));
    const pk_array *r = v->u.array;
    const maas_dtype from = number_type(d.kind, d.size);
    const int64_t n = maas_n_elems(&r->t);
    if (from == MAAS_DT_NONE)
        return maas_fail(err, MAAS_E_FORMAT, "field '%.60s' holds no numbers", field);
    *out = maas_tensor_of(dtype, r->t.rank, r->t.dims, NULL);
    if (!(out->data = maas_arena_array(a, (size_t)n, maas_dtype_size(dtype))))
        return maas_fail(err, MAAS_E_NOMEM, "field '%.60s' of %lld records", field, (long long)n);
    uint64_t cell = 0;
    const maas_tensor one = maas_tensor_of(from, 0, NULL, &cell);
    const bool exact = d.kind != 'f' && (dtype == MAAS_I64 || dtype == MAAS_I32);
    for (int64_t i = 0; i < n; i++) {
        copy_item((uint8_t *)&cell, r->raw + (uint64_t)i * r->item + offset, (size_t)d.size,
                  d.swap);
        if (exact && dtype == MAAS_I64)
            ((int64_t *)out->data)[i] = maas_tensor_get_i64(&one, 0);
        else
            maas_tensor_set(out, i, maas_tensor_get(&one, 0));
    }
    return MAAS_OK;
}
