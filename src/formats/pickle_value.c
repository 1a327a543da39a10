/* formats/pickle_value.c - looking at values; each function follows one edge at most. */
#include <stdio.h>

#include "formats/pickle_int.h"
#include "base/ban.h"

static const char *const kind_texts[] = {
    [MAAS_PK_NONE] = "None",     [MAAS_PK_BOOL] = "bool",   [MAAS_PK_INT] = "int",
    [MAAS_PK_BIG] = "int",       [MAAS_PK_FLOAT] = "float", [MAAS_PK_BYTES] = "bytes",
    [MAAS_PK_STR] = "str",       [MAAS_PK_TUPLE] = "tuple", [MAAS_PK_LIST] = "list",
    [MAAS_PK_DICT] = "dict",     [MAAS_PK_SET] = "set",     [MAAS_PK_GLOBAL] = "name",
    [MAAS_PK_OBJECT] = "object", [MAAS_PK_ARRAY] = "array",
};

maas_pk_kind maas_pk_kind_of(const maas_pk *v)
{
    return v ? (maas_pk_kind)v->kind : MAAS_PK_NONE;
}

const char *maas_pk_class(const maas_pk *v)
{
    if (!v)
        return "";
    if (v->kind == MAAS_PK_OBJECT)
        return v->u.object->cls->u.text;
    return v->kind == MAAS_PK_GLOBAL ? v->u.text : "";
}

bool maas_pk_is_class(const maas_pk *v, const char *class_name)
{
    return *maas_pk_class(v) && strcmp(maas_pk_class(v), class_name) == 0;
}

const char *maas_pk_kind_text(const maas_pk *v)
{
    return *maas_pk_class(v) ? maas_pk_class(v) : kind_texts[maas_pk_kind_of(v)];
}

/* The list behind a value: itself, what an object was given, what an array of objects holds. */
static const maas_pk *list_of(const maas_pk *v)
{
    switch (maas_pk_kind_of(v)) {
    case MAAS_PK_TUPLE:
    case MAAS_PK_LIST:
    case MAAS_PK_DICT:
    case MAAS_PK_SET:
        return v;
    case MAAS_PK_OBJECT:
        return v->u.object->items;
    case MAAS_PK_ARRAY:
        return v->u.array->items;
    default:
        return NULL;
    }
}

int64_t maas_pk_count(const maas_pk *v)
{
    const maas_pk *list = list_of(v);
    return list ? (int64_t)list->n : 0;
}

const maas_pk *maas_pk_at(const maas_pk *v, int64_t i)
{
    const maas_pk *list = list_of(v);
    if (!list || i < 0 || (uint64_t)i >= list->n)
        return NULL;
    return list->kind == MAAS_PK_DICT ? list->u.items[2 * i + 1] : list->u.items[i];
}

const maas_pk *maas_pk_key(const maas_pk *v, int64_t i)
{
    const maas_pk *list = list_of(v);
    if (!list || list->kind != MAAS_PK_DICT || i < 0 || (uint64_t)i >= list->n)
        return NULL;
    return list->u.items[2 * i];
}

bool pk_bytes(const maas_pk *v, maas_span *out)
{
    if (maas_pk_kind_of(v) != MAAS_PK_BYTES && maas_pk_kind_of(v) != MAAS_PK_STR)
        return false;
    *out = maas_span_of(v->u.text, v->n);
    return true;
}

bool maas_pk_to_bytes(const maas_pk *v, maas_span *out)
{
    return pk_bytes(v, out);
}

const maas_pk *maas_pk_get(const maas_pk *v, const char *key)
{
    maas_span text;
    for (int64_t i = maas_pk_count(v); i-- > 0;)
        if (pk_bytes(maas_pk_key(v, i), &text) && maas_span_is(text, key))
            return maas_pk_at(v, i);
    return NULL;
}

const maas_pk *maas_pk_state(const maas_pk *v)
{
    return maas_pk_kind_of(v) == MAAS_PK_OBJECT ? v->u.object->state : NULL;
}

const maas_pk *maas_pk_args(const maas_pk *v)
{
    return maas_pk_kind_of(v) == MAAS_PK_OBJECT ? v->u.object->args : NULL;
}

/* No object has that many attributes; a file that shares one with a million among many estimators
 * would have us walk them for each name of each. */
#define MAX_ATTRIBUTES 4096

static const maas_pk *attribute(const maas_pk *dict, const char *name)
{
    return maas_pk_kind_of(dict) == MAAS_PK_DICT && maas_pk_count(dict) <= MAX_ATTRIBUTES
               ? maas_pk_get(dict, name)
               : NULL;
}

const maas_pk *maas_pk_attr(const maas_pk *v, const char *name)
{
    const maas_pk *state = maas_pk_state(v);
    if (maas_pk_kind_of(state) != MAAS_PK_TUPLE || maas_pk_count(state) != 2)
        return attribute(state, name);
    const maas_pk *found = attribute(maas_pk_at(state, 0), name); /* (dict, slots) */
    return found ? found : attribute(maas_pk_at(state, 1), name);
}

/* ---- plain numbers and text ---- */

const maas_tensor *maas_pk_array(const maas_pk *v)
{
    return maas_pk_kind_of(v) == MAAS_PK_ARRAY && v->u.array->t.data ? &v->u.array->t : NULL;
}

/* An array of one element. */
static const maas_tensor *single(const maas_pk *v)
{
    const maas_tensor *t = maas_pk_array(v);
    return t && maas_n_elems(t) == 1 ? t : NULL;
}

bool maas_pk_to_int(const maas_pk *v, int64_t *out)
{
    const maas_tensor *t = single(v);
    if (t) {
        const uint8_t kind = maas_dtype_describe((maas_dtype)t->dtype)->kind;
        if (kind != MAAS_KIND_INT && kind != MAAS_KIND_UINT && kind != MAAS_KIND_BOOL)
            return false;
        *out = maas_tensor_get_i64(t, 0);
        return t->dtype != MAAS_U64 || *out >= 0;
    }
    if (maas_pk_kind_of(v) == MAAS_PK_INT)
        *out = v->u.i;
    else if (maas_pk_kind_of(v) == MAAS_PK_BOOL)
        *out = v->u.b;
    else
        return false;
    return true;
}

bool maas_pk_to_double(const maas_pk *v, double *out)
{
    const maas_tensor *t = single(v);
    int64_t i;
    if (t && t->dtype != MAAS_STRING)
        *out = maas_tensor_get(t, 0);
    else if (maas_pk_kind_of(v) == MAAS_PK_FLOAT)
        *out = v->u.f;
    else if (maas_pk_to_int(v, &i))
        *out = (double)i;
    else
        return false;
    return true;
}

bool maas_pk_to_bool(const maas_pk *v, bool *out)
{
    int64_t i;
    if (!maas_pk_to_int(v, &i) || (i != 0 && i != 1))
        return false;
    *out = i == 1;
    return true;
}

bool maas_pk_to_str(const maas_pk *v, maas_str *out)
{
    const maas_tensor *t = single(v);
    if (t && t->dtype == MAAS_STRING)
        *out = *(const maas_str *)t->data;
    else if (maas_pk_kind_of(v) == MAAS_PK_STR)
        *out = (maas_str){v->u.text, v->n};
    else
        return false;
    return true;
}
