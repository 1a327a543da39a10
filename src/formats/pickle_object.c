/* formats/pickle_object.c - what REDUCE, NEWOBJ and BUILD make of a name: plain values for a few
 * that stand for them, symbolic objects for the rest. */
#include "formats/pickle_int.h"
#include "base/ban.h"

#define MAX_CLASS_NAME 512

/* ---- names ---- */

/* Modules that moved; what they hold is the same. */
static const struct {
    const char *from, *to;
} moved[] = {
    {"__builtin__.", "builtins."},
    {"copy_reg.", "copyreg."},
    {"numpy._core.", "numpy.core."},
    {"sklearn.externals.joblib.", "joblib."},
};

static size_t rename_module(char *name, size_t n)
{
    for (size_t i = 0; i < sizeof moved / sizeof *moved; i++) {
        const size_t from = strlen(moved[i].from), to = strlen(moved[i].to);
        if (strncmp(name, moved[i].from, from) != 0)
            continue;
        memmove(name + to, name + from, n - from + 1); /* to <= from in every row */
        memcpy(name, moved[i].to, to);
        return n - from + to;
    }
    return n;
}

static bool plain_name(maas_span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 0x7f)
            return false;
    return s.n > 0;
}

maas_status pk_global(pk_vm *vm, maas_span module, maas_span name, maas_pk **out)
{
    if (!plain_name(module) || !plain_name(name) || module.n + name.n > MAX_CLASS_NAME)
        return pk_fail(vm, MAAS_E_UNSUPPORTED, "REJECT_CLASS: a name that is no name of a class");
    const size_t n = module.n + 1 + name.n;
    char *text = pk_alloc(vm, n + 1);
    if (!text)
        return pk_fail_memory(vm);
    memcpy(text, module.p, module.n);
    text[module.n] = '.';
    memcpy(text + module.n + 1, name.p, name.n);
    const size_t n_now = rename_module(text, n);
    if (strncmp(text, "joblib.", 7) == 0 && strstr(text, "NDArrayWrapper"))
        return pk_fail(vm, MAAS_E_UNSUPPORTED,
                       "REJECT_CLASS %.200s: a file of joblib 0.9 or older; load and save it again",
                       text);
    if (!pk_class_known(vm, text))
        return pk_fail(vm, MAAS_E_UNSUPPORTED, "REJECT_CLASS %.200s", text);
    return pk_new_text(vm, MAAS_PK_GLOBAL, maas_span_of(text, n_now), out);
}

/* ---- objects ---- */

static maas_status check_call(pk_vm *vm, const maas_pk *fn, const maas_pk *args)
{
    if (fn->kind != MAAS_PK_GLOBAL)
        return pk_fail(vm, MAAS_E_FORMAT, "an object of a %s, which is no class",
                       maas_pk_kind_text(fn));
    return args->kind == MAAS_PK_TUPLE
               ? MAAS_OK
               : pk_fail(vm, MAAS_E_FORMAT, "arguments of %.200s are no tuple", fn->u.text);
}

maas_status pk_new_object(pk_vm *vm, maas_pk *cls, maas_pk *args, maas_pk **out)
{
    MAAS_TRY(check_call(vm, cls, args));
    MAAS_TRY(pk_new(vm, MAAS_PK_OBJECT, out));
    (*out)->u.object = pk_alloc(vm, sizeof *(*out)->u.object);
    if (!(*out)->u.object)
        return pk_fail_memory(vm);
    *(*out)->u.object = (pk_object){.cls = cls, .args = args};
    return MAAS_OK;
}

maas_status pk_reference(pk_vm *vm, maas_pk *id, maas_pk **out)
{
    maas_pk *cls;
    if (id->kind != MAAS_PK_TUPLE)
        return pk_fail(vm, MAAS_E_FORMAT, "a persistent id is a %s, no tuple",
                       maas_pk_kind_text(id));
    MAAS_TRY(pk_new_text(vm, MAAS_PK_GLOBAL, maas_span_str(MAAS_PK_REFERENCE), &cls));
    return pk_new_object(vm, cls, id, out);
}

/* ---- names that stand for plain values ---- */

static maas_status bad_arguments(pk_vm *vm, const maas_pk *fn)
{
    return pk_fail(vm, MAAS_E_FORMAT, "arguments of %.200s are not what it takes", fn->u.text);
}

/* set([...]), frozenset([...]), list(...), tuple(...): a copy of the items, or an empty one. */
static maas_status reduce_items(pk_vm *vm, maas_pk *fn, maas_pk *args, maas_pk_kind kind,
                                maas_pk **out)
{
    const maas_pk *from = args->n ? args->u.items[0] : NULL;
    if (args->n > 1 || (from && from->kind != MAAS_PK_LIST && from->kind != MAAS_PK_TUPLE))
        return bad_arguments(vm, fn);
    return pk_new_list(vm, kind, from ? from->u.items : NULL, from ? from->n : 0, out);
}

static maas_status reduce_set(pk_vm *vm, maas_pk *fn, maas_pk *args, maas_pk **out)
{
    return reduce_items(vm, fn, args, MAAS_PK_SET, out);
}

/* OrderedDict(), OrderedDict([[key, value], ...]) */
static maas_status reduce_dict(pk_vm *vm, maas_pk *fn, maas_pk *args, maas_pk **out)
{
    const maas_pk *from = args->n ? args->u.items[0] : NULL;
    if (args->n > 1 || (from && from->kind != MAAS_PK_LIST && from->kind != MAAS_PK_DICT))
        return bad_arguments(vm, fn);
    if (from && from->kind == MAAS_PK_DICT)
        return pk_new_list(vm, MAAS_PK_DICT, from->u.items, from->n, out);
    MAAS_TRY(pk_new(vm, MAAS_PK_DICT, out));
    for (uint64_t i = 0; from && i < from->n; i++) {
        const maas_pk *pair = from->u.items[i];
        if ((pair->kind != MAAS_PK_LIST && pair->kind != MAAS_PK_TUPLE) || pair->n != 2)
            return bad_arguments(vm, fn);
        MAAS_TRY(pk_add_items(vm, *out, pair->u.items, 1));
    }
    return MAAS_OK;
}

/* defaultdict(factory): what is missing in it stays missing. */
static maas_status reduce_defaultdict(pk_vm *vm, maas_pk *fn, maas_pk *args, maas_pk **out)
{
    return args->n <= 1 ? pk_new(vm, MAAS_PK_DICT, out) : bad_arguments(vm, fn);
}

/* encode(text, "latin1"), bytes(), bytes(text, "latin-1"), bytearray(bytes) */
static maas_status reduce_bytes(pk_vm *vm, maas_pk *fn, maas_pk *args, maas_pk **out)
{
    maas_span bytes = {0};
    if (args->n == 1 && args->u.items[0]->kind == MAAS_PK_BYTES) {
        pk_bytes(args->u.items[0], &bytes);
    } else if (args->n == 2 && args->u.items[0]->kind == MAAS_PK_STR) {
        maas_span code = {0};
        pk_bytes(args->u.items[1], &code);
        if (!maas_span_is(code, "latin1") && !maas_span_is(code, "latin-1"))
            return bad_arguments(vm, fn);
        MAAS_TRY(
            pk_latin1(vm, maas_span_of(args->u.items[0]->u.text, args->u.items[0]->n), &bytes));
    } else if (args->n) {
        return bad_arguments(vm, fn);
    }
    return pk_new_text(vm, MAAS_PK_BYTES, bytes, out);
}

/* copyreg.__newobj__(cls, *args) */
static maas_status reduce_newobj(pk_vm *vm, maas_pk *fn, maas_pk *args, maas_pk **out)
{
    maas_pk *rest;
    if (!args->n)
        return bad_arguments(vm, fn);
    MAAS_TRY(pk_new_list(vm, MAAS_PK_TUPLE, args->u.items + 1, args->n - 1, &rest));
    return pk_new_object(vm, args->u.items[0], rest, out);
}

/* copyreg._reconstructor(cls, base, state): objects in protocols 0 and 1. A base that is a list or
 * dict brings its items. */
static maas_status reduce_reconstructor(pk_vm *vm, maas_pk *fn, maas_pk *args, maas_pk **out)
{
    maas_pk *none;
    if (args->n != 3)
        return bad_arguments(vm, fn);
    MAAS_TRY(pk_new(vm, MAAS_PK_TUPLE, &none));
    MAAS_TRY(pk_new_object(vm, args->u.items[0], none, out));
    maas_pk *items = args->u.items[2];
    if (items->kind == MAAS_PK_LIST || items->kind == MAAS_PK_DICT)
        (*out)->u.object->items = items;
    return MAAS_OK;
}

static const struct {
    const char *name;
    maas_status (*make)(pk_vm *vm, maas_pk *fn, maas_pk *args, maas_pk **out);
} reducers[] = {
    {"_codecs.encode", reduce_bytes},
    {"builtins.bytearray", reduce_bytes},
    {"builtins.bytes", reduce_bytes},
    {"builtins.frozenset", reduce_set},
    {"builtins.set", reduce_set},
    {"collections.Counter", reduce_dict},
    {"collections.OrderedDict", reduce_dict},
    {"collections.defaultdict", reduce_defaultdict},
    {"copyreg.__newobj__", reduce_newobj},
    {"copyreg._reconstructor", reduce_reconstructor},
    {"numpy.core.multiarray.scalar", pk_scalar},
    {"numpy.core.numeric._frombuffer", pk_frombuffer},
};

maas_status pk_reduce(pk_vm *vm, maas_pk *fn, maas_pk *args, maas_pk **out)
{
    MAAS_TRY(check_call(vm, fn, args));
    for (size_t i = 0; i < sizeof reducers / sizeof *reducers; i++)
        if (strcmp(fn->u.text, reducers[i].name) == 0)
            return reducers[i].make(vm, fn, args, out);
    return pk_new_object(vm, fn, args, out);
}

/* ---- BUILD ---- */

static const struct {
    const char *name;
    maas_status (*build)(pk_vm *vm, maas_pk *target, maas_pk *state);
} builders[] = {
    {"joblib.numpy_pickle.NumpyArrayWrapper", pk_build_joblib},
    {"numpy.core.multiarray._reconstruct", pk_build_array},
};

maas_status pk_build(pk_vm *vm, maas_pk *target, maas_pk *state)
{
    if (target->kind == MAAS_PK_DICT && vm->names)
        return MAAS_OK; /* _metadata of a state dict */
    if (target->kind != MAAS_PK_OBJECT)
        return pk_fail(vm, MAAS_E_FORMAT, "a %s is given a state", maas_pk_kind_text(target));
    pk_object *o = target->u.object;
    if (o->state)
        return pk_fail(vm, MAAS_E_FORMAT, "an object of %.200s is given a second state",
                       o->cls->u.text);
    for (size_t i = 0; i < sizeof builders / sizeof *builders; i++)
        if (strcmp(o->cls->u.text, builders[i].name) == 0)
            return builders[i].build(vm, target, state);
    o->state = state;
    return MAAS_OK;
}
