/* formats/keras/config.c - arguments of layers. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "formats/keras/keras_int.h"
#include "base/ban.h"

maas_vid kr_fail(kr *k, const kr_layer *l, maas_status st, const char *fmt, ...)
{
    char words[200];
    va_list ap;
    if (!kr_ok(k))
        return MAAS_NO_VALUE;
    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    k->b.status = maas_fail(k->err, st, "layer '%.60s' (%.40s): %s", l->name, l->class_name, words);
    return MAAS_NO_VALUE;
}

const json_t *kr_arg(const kr_layer *l, const char *key)
{
    const json_t *v = json_object_get(l->config, key);
    return json_is_null(v) ? NULL : v;
}

/* A whole number, also one that was written as 3.0. */
static bool whole(const json_t *v, int64_t *out)
{
    if (json_is_integer(v)) {
        *out = json_integer_value(v);
        return true;
    }
    const double d = json_real_value(v);
    if (!json_is_real(v) || !(d > -9e15 && d < 9e15) || (double)(int64_t)d != d)
        return false;
    *out = (int64_t)d;
    return true;
}

static int64_t int_of(kr *k, const kr_layer *l, const char *key, const json_t *v, int64_t min,
                      int64_t max)
{
    int64_t x;
    if (whole(v, &x) && x >= min && x <= max)
        return x;
    kr_fail(k, l, MAAS_E_FORMAT, "%s must be an integer from %lld to %lld", key, (long long)min,
            (long long)max);
    return min;
}

int64_t kr_int(kr *k, const kr_layer *l, const char *key, int64_t min, int64_t max,
               int64_t otherwise)
{
    const json_t *v = kr_arg(l, key);
    return v ? int_of(k, l, key, v, min, max) : otherwise;
}

int64_t kr_need_int(kr *k, const kr_layer *l, const char *key, int64_t min, int64_t max)
{
    if (!kr_arg(l, key))
        kr_fail(k, l, MAAS_E_FORMAT, "%s is missing", key);
    return kr_int(k, l, key, min, max, min);
}

bool kr_bool(kr *k, const kr_layer *l, const char *key, bool otherwise)
{
    const json_t *v = kr_arg(l, key);
    if (v && !json_is_boolean(v))
        kr_fail(k, l, MAAS_E_FORMAT, "%s must be true or false", key);
    return v ? json_is_true(v) : otherwise;
}

double kr_float(kr *k, const kr_layer *l, const char *key, double otherwise)
{
    const json_t *v = kr_arg(l, key);
    if (v && !json_is_number(v))
        kr_fail(k, l, MAAS_E_FORMAT, "%s must be a number", key);
    return v ? json_number_value(v) : otherwise;
}

int kr_word(kr *k, const kr_layer *l, const char *key, const char *const *words, int otherwise)
{
    const json_t *v = kr_arg(l, key);
    const char *text = json_string_value(v);
    if (!v)
        return otherwise;
    for (int i = 0; text && words[i]; i++)
        if (strcmp(words[i], text) == 0)
            return i;
    kr_fail(k, l, MAAS_E_UNSUPPORTED, "%s '%.40s' is not supported", key,
            text ? text : "that is no text");
    return otherwise;
}

void kr_ints(kr *k, const kr_layer *l, const char *key, int n, int64_t min, int64_t max,
             int64_t otherwise, int64_t *out)
{
    const json_t *v = kr_arg(l, key);
    if (json_is_array(v) && json_array_size(v) != (size_t)n)
        kr_fail(k, l, MAAS_E_FORMAT, "%s must have %d numbers", key, n);
    for (int i = 0; i < n; i++)
        out[i] = !v ? otherwise
                    : int_of(k, l, key, json_is_array(v) ? json_array_get(v, (size_t)i) : v, min,
                             max);
}

/* ---- arguments that are not known ---- */

/* `word` among space-separated ones. */
static bool among(const char *words, const char *word)
{
    const size_t n = strlen(word);
    for (const char *p = words; p && *p; p += strcspn(p, " "), p += strspn(p, " "))
        if (strncmp(p, word, n) == 0 && (p[n] == ' ' || p[n] == '\0'))
            return true;
    return false;
}

/* What matters for training alone, or says again what the weights say. */
static bool is_ignored(const char *key)
{
    static const char *const endings[] = {"_initializer", "_regularizer", "_constraint"};
    const size_t n = strlen(key);
    for (size_t i = 0; i < MAAS_COUNT(endings); i++) {
        const size_t e = strlen(endings[i]);
        if (n > e && strcmp(key + n - e, endings[i]) == 0)
            return true;
    }
    return among("name trainable dtype batch_input_shape batch_shape build_config "
                 "input_dtype seed noise_shape",
                 key);
}

/* "float32", or a policy object: the type of computations. */
static bool check_dtype(kr *k, const kr_layer *l)
{
    static const char *const known = "float32 mixed_float16 mixed_bfloat16";
    const json_t *v = kr_arg(l, "dtype");
    const char *name = json_string_value(v);
    if (json_is_object(v))
        name = json_string_value(json_object_get(json_object_get(v, "config"), "name"));
    if (!v || (name && among(known, name)) || (l->row->flags & KR_ANY_TYPE))
        return true;
    kr_fail(k, l, MAAS_E_UNSUPPORTED, "dtype '%.40s'; float32 and mixed precision are supported",
            name ? name : "of an unknown form");
    return false;
}

maas_status kr_check_args(kr *k, const kr_layer *l)
{
    const char *key;
    json_t *v;
    check_dtype(k, l);
    json_object_foreach((json_t *)(uintptr_t)l->config, key,
                        v) if (!json_is_null(v) && !json_is_false(v) && !is_ignored(key) &&
                               !among(l->row->args, key))
        kr_fail(k, l, MAAS_E_UNSUPPORTED, "the argument %.60s is not supported", key);
    return k->b.status;
}
