/* formats/pickle_ops.c - the table of opcodes. Meanings: CPython's pickletools. */
#include "base/mem.h"
#include "formats/pickle_int.h"
#include "base/ban.h"

/* ---- arguments ---- */

/* A little-endian number of n bytes. */
static maas_status number(pk_vm *vm, unsigned n, uint64_t *out)
{
    maas_span s;
    MAAS_TRY(pk_take(vm, n, &s));
    *out = 0;
    for (unsigned i = 0; i < n; i++)
        *out |= (uint64_t)s.p[i] << (8 * i);
    return MAAS_OK;
}

/* Bytes after their count of n_count bytes. */
static maas_status counted(pk_vm *vm, unsigned n_count, maas_span *out)
{
    uint64_t n;
    MAAS_TRY(number(vm, n_count, &n));
    return pk_take(vm, n, out);
}

static maas_status push_int(pk_vm *vm, int64_t i)
{
    maas_pk *v;
    if (i >= 0 && i < PK_SMALL_INTS)
        return pk_push(vm, vm->fixed + PK_ZERO + i);
    MAAS_TRY(pk_new(vm, MAAS_PK_INT, &v));
    v->u.i = i;
    return pk_push(vm, v);
}

static maas_status push_uint(pk_vm *vm, unsigned n_bytes)
{
    uint64_t n;
    MAAS_TRY(number(vm, n_bytes, &n));
    return push_int(vm, (int64_t)n);
}

/* ---- plain values ---- */

static maas_status op_none(pk_vm *vm)
{
    return pk_push(vm, vm->fixed + PK_NONE);
}

static maas_status op_true(pk_vm *vm)
{
    return pk_push(vm, vm->fixed + PK_TRUE);
}

static maas_status op_false(pk_vm *vm)
{
    return pk_push(vm, vm->fixed + PK_FALSE);
}

static maas_status op_binint(pk_vm *vm)
{
    uint64_t n;
    MAAS_TRY(number(vm, 4, &n));
    return push_int(vm, (int32_t)(uint32_t)n);
}

static maas_status op_binint1(pk_vm *vm)
{
    return push_uint(vm, 1);
}

static maas_status op_binint2(pk_vm *vm)
{
    return push_uint(vm, 2);
}

/* Two's complement of any length. */
static maas_status push_long(pk_vm *vm, maas_span s)
{
    maas_pk *big;
    if (s.n > 8) {
        MAAS_TRY(pk_new_text(vm, MAAS_PK_BIG, s, &big));
        return pk_push(vm, big);
    }
    uint64_t n = s.n && s.p[s.n - 1] & 0x80 ? UINT64_MAX : 0;
    for (size_t i = s.n; i-- > 0;)
        n = n << 8 | s.p[i];
    return push_int(vm, (int64_t)n);
}

static maas_status op_long1(pk_vm *vm)
{
    maas_span s;
    MAAS_TRY(counted(vm, 1, &s));
    return push_long(vm, s);
}

static maas_status op_long4(pk_vm *vm)
{
    maas_span s;
    MAAS_TRY(counted(vm, 4, &s));
    return push_long(vm, s);
}

static maas_status op_binfloat(pk_vm *vm)
{
    maas_span s;
    maas_pk *v;
    uint64_t bits;
    MAAS_TRY(pk_take(vm, 8, &s));
    MAAS_TRY(pk_new(vm, MAAS_PK_FLOAT, &v));
    memcpy(&bits, s.p, sizeof bits);
    bits = __builtin_bswap64(bits);
    memcpy(&v->u.f, &bits, sizeof bits);
    return pk_push(vm, v);
}

static maas_status push_counted(pk_vm *vm, unsigned n_count, maas_pk_kind kind)
{
    maas_span s;
    maas_pk *v;
    MAAS_TRY(counted(vm, n_count, &s));
    if (kind == MAAS_PK_STR)
        return pk_push_str(vm, s);
    MAAS_TRY(pk_new_text(vm, kind, s, &v));
    return pk_push(vm, v);
}

#define COUNTED(name, n_count, kind)                                                               \
    static maas_status name(pk_vm *vm)                                                             \
    {                                                                                              \
        return push_counted(vm, n_count, kind);                                                    \
    }
COUNTED(op_short_binunicode, 1, MAAS_PK_STR)
COUNTED(op_binunicode, 4, MAAS_PK_STR)
COUNTED(op_binunicode8, 8, MAAS_PK_STR)
COUNTED(op_short_binbytes, 1, MAAS_PK_BYTES) /* and SHORT_BINSTRING: Python 2 did not tell apart */
COUNTED(op_binbytes, 4, MAAS_PK_BYTES)
COUNTED(op_binbytes8, 8, MAAS_PK_BYTES)

/* ---- lists ---- */

static maas_status push_empty(pk_vm *vm, maas_pk_kind kind)
{
    maas_pk *v;
    MAAS_TRY(pk_new(vm, kind, &v));
    return pk_push(vm, v);
}

static maas_status op_empty_tuple(pk_vm *vm)
{
    return push_empty(vm, MAAS_PK_TUPLE);
}

static maas_status op_empty_list(pk_vm *vm)
{
    return push_empty(vm, MAAS_PK_LIST);
}

static maas_status op_empty_dict(pk_vm *vm)
{
    return push_empty(vm, MAAS_PK_DICT);
}

static maas_status op_empty_set(pk_vm *vm)
{
    return push_empty(vm, MAAS_PK_SET);
}

static maas_status whole_pairs(pk_vm *vm, uint32_t n)
{
    return n % 2 ? pk_fail(vm, MAAS_E_FORMAT, "a key without a value") : MAAS_OK;
}

static maas_status push_marked(pk_vm *vm, maas_pk_kind kind)
{
    maas_pk **items, *v;
    uint32_t n;
    MAAS_TRY(pk_pop_mark(vm, &items, &n));
    if (kind == MAAS_PK_DICT) {
        MAAS_TRY(whole_pairs(vm, n));
        n /= 2;
    }
    MAAS_TRY(pk_new_list(vm, kind, items, n, &v));
    return pk_push(vm, v);
}

static maas_status op_tuple(pk_vm *vm)
{
    return push_marked(vm, MAAS_PK_TUPLE);
}

static maas_status op_list(pk_vm *vm)
{
    return push_marked(vm, MAAS_PK_LIST);
}

static maas_status op_dict(pk_vm *vm)
{
    return push_marked(vm, MAAS_PK_DICT);
}

static maas_status op_frozenset(pk_vm *vm)
{
    return push_marked(vm, MAAS_PK_SET);
}

static maas_status push_tuple(pk_vm *vm, int n)
{
    maas_pk *items[3], *v;
    for (int i = n; i-- > 0;)
        MAAS_TRY(pk_pop(vm, &items[i]));
    MAAS_TRY(pk_new_list(vm, MAAS_PK_TUPLE, items, (uint64_t)n, &v));
    return pk_push(vm, v);
}

static maas_status op_tuple1(pk_vm *vm)
{
    return push_tuple(vm, 1);
}

static maas_status op_tuple2(pk_vm *vm)
{
    return push_tuple(vm, 2);
}

static maas_status op_tuple3(pk_vm *vm)
{
    return push_tuple(vm, 3);
}

/* What items of `kind` go to: the list itself, or the items of an object (a subclass of list). */
static maas_status target_of(pk_vm *vm, maas_pk_kind kind, maas_pk **out)
{
    MAAS_TRY(pk_top(vm, out));
    if ((*out)->kind == kind)
        return MAAS_OK;
    if ((*out)->kind != MAAS_PK_OBJECT || kind == MAAS_PK_SET)
        return pk_fail(vm, MAAS_E_FORMAT, "items are added to a %s", maas_pk_kind_text(*out));
    pk_object *o = (*out)->u.object;
    if (!o->items)
        MAAS_TRY(pk_new(vm, kind, &o->items));
    *out = o->items;
    return o->items->kind == kind ? MAAS_OK
                                  : pk_fail(vm, MAAS_E_FORMAT, "an object is both list and dict");
}

static maas_status add_one(pk_vm *vm, maas_pk_kind kind, int n_values)
{
    maas_pk *items[2], *list;
    for (int i = n_values; i-- > 0;)
        MAAS_TRY(pk_pop(vm, &items[i]));
    MAAS_TRY(target_of(vm, kind, &list));
    return pk_add_items(vm, list, items, 1);
}

static maas_status add_marked(pk_vm *vm, maas_pk_kind kind)
{
    maas_pk **items, *list;
    uint32_t n;
    MAAS_TRY(pk_pop_mark(vm, &items, &n));
    if (kind == MAAS_PK_DICT) {
        MAAS_TRY(whole_pairs(vm, n));
        n /= 2;
    }
    MAAS_TRY(target_of(vm, kind, &list));
    return pk_add_items(vm, list, items, n);
}

static maas_status op_append(pk_vm *vm)
{
    return add_one(vm, MAAS_PK_LIST, 1);
}

static maas_status op_appends(pk_vm *vm)
{
    return add_marked(vm, MAAS_PK_LIST);
}

static maas_status op_setitem(pk_vm *vm)
{
    return add_one(vm, MAAS_PK_DICT, 2);
}

static maas_status op_setitems(pk_vm *vm)
{
    return add_marked(vm, MAAS_PK_DICT);
}

static maas_status op_additems(pk_vm *vm)
{
    return add_marked(vm, MAAS_PK_SET);
}

/* ---- stack and memo ---- */

static maas_status op_pop(pk_vm *vm)
{
    maas_pk *ignored, **items;
    uint32_t n;
    const pk_context *c = &vm->now;
    if (c->n_marks && c->marks[c->n_marks - 1] == c->n_stack)
        return pk_pop_mark(vm, &items, &n); /* POP takes a mark, too */
    return pk_pop(vm, &ignored);
}

static maas_status op_pop_mark(pk_vm *vm)
{
    maas_pk **items;
    uint32_t n;
    return pk_pop_mark(vm, &items, &n);
}

static maas_status op_dup(pk_vm *vm)
{
    maas_pk *v;
    MAAS_TRY(pk_top(vm, &v));
    return pk_push(vm, v);
}

static maas_status op_memoize(pk_vm *vm)
{
    return pk_memo_put(vm, vm->now.n_memo);
}

#define MEMO(name, n_bytes, action)                                                                \
    static maas_status name(pk_vm *vm)                                                             \
    {                                                                                              \
        uint64_t n;                                                                                \
        MAAS_TRY(number(vm, n_bytes, &n));                                                         \
        return action(vm, n);                                                                      \
    }
MEMO(op_binput, 1, pk_memo_put)
MEMO(op_long_binput, 4, pk_memo_put)
MEMO(op_binget, 1, pk_memo_get)
MEMO(op_long_binget, 4, pk_memo_get)

/* ---- objects ---- */

static maas_status op_stack_global(pk_vm *vm)
{
    maas_pk *name, *module, *v;
    MAAS_TRY(pk_pop(vm, &name));
    MAAS_TRY(pk_pop(vm, &module));
    if (name->kind != MAAS_PK_STR || module->kind != MAAS_PK_STR)
        return pk_fail(vm, MAAS_E_FORMAT, "a name is no text");
    MAAS_TRY(pk_global(vm, maas_span_of(module->u.text, module->n),
                       maas_span_of(name->u.text, name->n), &v));
    return pk_push(vm, v);
}

static maas_status op_reduce(pk_vm *vm)
{
    maas_pk *args, *fn, *v;
    MAAS_TRY(pk_pop(vm, &args));
    MAAS_TRY(pk_pop(vm, &fn));
    MAAS_TRY(pk_reduce(vm, fn, args, &v));
    return pk_push(vm, v);
}

static maas_status op_newobj(pk_vm *vm)
{
    maas_pk *args, *cls, *v;
    MAAS_TRY(pk_pop(vm, &args));
    MAAS_TRY(pk_pop(vm, &cls));
    MAAS_TRY(pk_new_object(vm, cls, args, &v));
    return pk_push(vm, v);
}

/* Named arguments are no part of what we read of an object: they are looked at, and dropped. */
static maas_status op_newobj_ex(pk_vm *vm)
{
    maas_pk *named;
    MAAS_TRY(pk_pop(vm, &named));
    if (named->kind != MAAS_PK_DICT)
        return pk_fail(vm, MAAS_E_FORMAT, "named arguments are no dict");
    return op_newobj(vm);
}

/* MARK class arg arg ... OBJ */
static maas_status op_obj(pk_vm *vm)
{
    maas_pk **items, *args, *v;
    uint32_t n;
    MAAS_TRY(pk_pop_mark(vm, &items, &n));
    if (!n)
        return pk_fail(vm, MAAS_E_FORMAT, "an object without a class");
    maas_pk *cls = items[0];
    MAAS_TRY(pk_new_list(vm, MAAS_PK_TUPLE, items + 1, n - 1, &args));
    MAAS_TRY(pk_new_object(vm, cls, args, &v));
    return pk_push(vm, v);
}

static maas_status op_build(pk_vm *vm)
{
    maas_pk *state, *target;
    MAAS_TRY(pk_pop(vm, &state));
    MAAS_TRY(pk_top(vm, &target));
    return pk_build(vm, target, state);
}

static maas_status op_binpersid(pk_vm *vm)
{
    maas_pk *id, *out;
    if (!vm->names)
        return pk_fail(vm, MAAS_E_UNSUPPORTED, PK_REFUSED, "BINPERSID", 'Q');
    MAAS_TRY(pk_pop(vm, &id));
    MAAS_TRY(pk_reference(vm, id, &out));
    return pk_push(vm, out);
}

/* ---- the file ---- */

static maas_status op_proto(pk_vm *vm)
{
    uint64_t n;
    MAAS_TRY(number(vm, 1, &n));
    return n <= 5 ? MAAS_OK
                  : pk_fail(vm, MAAS_E_UNSUPPORTED, "protocol %llu, 0 to 5 are read",
                            (unsigned long long)n);
}

static maas_status op_frame(pk_vm *vm)
{
    uint64_t n;
    if (vm->frame_end)
        return pk_fail(vm, MAAS_E_FORMAT, "a frame within a frame");
    MAAS_TRY(number(vm, 8, &n));
    if (n > (uint64_t)(vm->end - vm->at))
        return pk_fail(vm, MAAS_E_FORMAT, "a frame of %llu bytes, the file has %lld",
                       (unsigned long long)n, (long long)(vm->end - vm->at));
    vm->frame_end = vm->at + n;
    return MAAS_OK;
}

/* STOP ('.') is the loop's own. */
const pk_op pk_ops[256] = {
    ['('] = {"MARK", pk_mark},
    ['0'] = {"POP", op_pop},
    ['1'] = {"POP_MARK", op_pop_mark},
    ['2'] = {"DUP", op_dup},
    ['F'] = {"FLOAT", pk_op_float},
    ['I'] = {"INT", pk_op_int},
    ['J'] = {"BININT", op_binint},
    ['K'] = {"BININT1", op_binint1},
    ['L'] = {"LONG", pk_op_long},
    ['M'] = {"BININT2", op_binint2},
    ['N'] = {"NONE", op_none},
    ['P'] = {"PERSID", NULL},
    ['Q'] = {"BINPERSID", op_binpersid},
    ['R'] = {"REDUCE", op_reduce},
    ['S'] = {"STRING", pk_op_string},
    ['T'] = {"BINSTRING", op_binbytes},
    ['U'] = {"SHORT_BINSTRING", op_short_binbytes},
    ['V'] = {"UNICODE", pk_op_unicode},
    ['X'] = {"BINUNICODE", op_binunicode},
    ['a'] = {"APPEND", op_append},
    ['b'] = {"BUILD", op_build},
    ['c'] = {"GLOBAL", pk_op_global},
    ['d'] = {"DICT", op_dict},
    ['}'] = {"EMPTY_DICT", op_empty_dict},
    ['e'] = {"APPENDS", op_appends},
    ['g'] = {"GET", pk_op_get},
    ['h'] = {"BINGET", op_binget},
    ['i'] = {"INST", pk_op_inst},
    ['j'] = {"LONG_BINGET", op_long_binget},
    ['l'] = {"LIST", op_list},
    [']'] = {"EMPTY_LIST", op_empty_list},
    ['o'] = {"OBJ", op_obj},
    ['p'] = {"PUT", pk_op_put},
    ['q'] = {"BINPUT", op_binput},
    ['r'] = {"LONG_BINPUT", op_long_binput},
    ['s'] = {"SETITEM", op_setitem},
    ['t'] = {"TUPLE", op_tuple},
    [')'] = {"EMPTY_TUPLE", op_empty_tuple},
    ['u'] = {"SETITEMS", op_setitems},
    ['G'] = {"BINFLOAT", op_binfloat},
    ['B'] = {"BINBYTES", op_binbytes},
    ['C'] = {"SHORT_BINBYTES", op_short_binbytes},
    [0x80] = {"PROTO", op_proto},
    [0x81] = {"NEWOBJ", op_newobj},
    [0x82] = {"EXT1", NULL},
    [0x83] = {"EXT2", NULL},
    [0x84] = {"EXT4", NULL},
    [0x85] = {"TUPLE1", op_tuple1},
    [0x86] = {"TUPLE2", op_tuple2},
    [0x87] = {"TUPLE3", op_tuple3},
    [0x88] = {"NEWTRUE", op_true},
    [0x89] = {"NEWFALSE", op_false},
    [0x8a] = {"LONG1", op_long1},
    [0x8b] = {"LONG4", op_long4},
    [0x8c] = {"SHORT_BINUNICODE", op_short_binunicode},
    [0x8d] = {"BINUNICODE8", op_binunicode8},
    [0x8e] = {"BINBYTES8", op_binbytes8},
    [0x8f] = {"EMPTY_SET", op_empty_set},
    [0x90] = {"ADDITEMS", op_additems},
    [0x91] = {"FROZENSET", op_frozenset},
    [0x92] = {"NEWOBJ_EX", op_newobj_ex},
    [0x93] = {"STACK_GLOBAL", op_stack_global},
    [0x94] = {"MEMOIZE", op_memoize},
    [0x95] = {"FRAME", op_frame},
    [0x96] = {"BYTEARRAY8", op_binbytes8},
    [0x97] = {"NEXT_BUFFER", NULL},
    [0x98] = {"READONLY_BUFFER", NULL},
};
