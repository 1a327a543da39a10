/*
 * formats/pickle_elements.c - elements of numpy arrays: numbers in our byte order and in C order,
 * text as UTF-8, columns of records. What needs nothing is borrowed from the file.
 */
#include "formats/pickle_int.h"
#include "base/ban.h"

/* ---- numbers ---- */

static const struct {
    char kind;
    uint8_t size;
    uint8_t dtype;
} numbers[] = {
    {'b', 1, MAAS_BOOL}, {'i', 1, MAAS_I8},  {'i', 2, MAAS_I16}, {'i', 4, MAAS_I32},
    {'i', 8, MAAS_I64},  {'u', 1, MAAS_U8},  {'u', 2, MAAS_U16}, {'u', 4, MAAS_U32},
    {'u', 8, MAAS_U64},  {'f', 2, MAAS_F16}, {'f', 4, MAAS_F32}, {'f', 8, MAAS_F64},
};

maas_dtype pk_number_type(char kind, uint64_t size)
{
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i].kind == kind && numbers[i].size == size)
            return (maas_dtype)numbers[i].dtype;
    return MAAS_DT_NONE;
}

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

maas_status pk_make_numbers(pk_vm *vm, maas_tensor *t, const pk_dtype *d, bool fortran,
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
        n += pk_put_utf8((uint8_t *)to + n, c);
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

maas_status pk_make_text(pk_vm *vm, maas_tensor *t, const pk_dtype *d, bool fortran, maas_span raw)
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
    const maas_dtype from = pk_number_type(d.kind, d.size);
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
