/*
 * formats/pickle_joblib.c - joblib puts arrays between opcodes: after the BUILD of a wrapper follow
 *
 *   [n, n times 0xff]     n bytes of padding, if the wrapper names an alignment
 *   elements              as many as shape and dtype say, in the order it says
 *
 * and then the next opcode. An array of objects is a pickle of its own in that place.
 */
#include "formats/pickle_int.h"
#include "base/ban.h"

/* Bytes that belong to no opcode: a frame, if there is one, ended before them. */
static maas_status begin_raw(pk_vm *vm)
{
    if (vm->frame_end && vm->frame_end != vm->at)
        return pk_fail(vm, MAAS_E_FORMAT, "an array begins inside a frame");
    vm->frame_end = NULL;
    return MAAS_OK;
}

static maas_status skip_padding(pk_vm *vm, const maas_pk *wrapper)
{
    const maas_pk *alignment = maas_pk_get(wrapper, "numpy_array_alignment_bytes");
    maas_span s;
    if (maas_pk_kind_of(alignment) == MAAS_PK_NONE)
        return MAAS_OK;
    MAAS_TRY(pk_take(vm, 1, &s));
    return pk_take(vm, s.p[0], &s);
}

maas_status pk_build_joblib(pk_vm *vm, maas_pk *target, maas_pk *state)
{
    pk_dtype d;
    maas_tensor shape;
    maas_span raw, order;
    uint64_t bytes;
    if (vm->nested)
        return pk_fail(vm, MAAS_E_FORMAT, "a joblib array in an array of objects");
    if (maas_pk_kind_of(state) != MAAS_PK_DICT || !pk_bytes(maas_pk_get(state, "order"), &order))
        return pk_fail(vm, MAAS_E_FORMAT, "the state of a joblib array is broken");
    MAAS_TRY(pk_shape(vm, maas_pk_get(state, "shape"), &shape));
    MAAS_TRY(pk_dtype_of(vm, maas_pk_get(state, "dtype"), &d));
    MAAS_TRY(begin_raw(vm));
    if (d.kind == 'O')
        return pk_begin_nested(vm, target);
    MAAS_TRY(skip_padding(vm, state));
    MAAS_TRY(pk_array_bytes(vm, &d, &shape, &bytes));
    MAAS_TRY(pk_take(vm, bytes, &raw));
    return pk_make_array(vm, target, &d, &shape, maas_span_is(order, "F"), raw);
}
