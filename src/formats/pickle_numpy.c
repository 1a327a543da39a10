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
    } else if ((a->t.dtype = (uint8_t)pk_number_type(d->kind, d->size)) != MAAS_DT_NONE) {
        MAAS_TRY(pk_make_numbers(vm, &a->t, d, fortran, raw));
    } else if (d->kind == 'U' || d->kind == 'S') {
        if (d->kind == 'U' && d->size % 4)
            return pk_fail(vm, MAAS_E_FORMAT, "text of %llu bytes, 4 make a character",
                           (unsigned long long)d->size);
        MAAS_TRY(pk_make_text(vm, &a->t, d, fortran, raw));
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
