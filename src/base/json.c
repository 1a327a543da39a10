/* Trees: jansson behind bounds it does not have, and getters that name what is wrong. */
#include "base/json.h"

#include <inttypes.h>
#include <string.h>

#include "base/nearest.h"
#include "base/num.h"
#include "base/ban.h"

/* jansson recurses and allows 2,048 levels; the scanner has gone over the text before it does. */
static maas_status check_syntax(maas_span text, maas_err *err)
{
    maas_json_scan s;
    maas_json_scan_init(&s, text);
    for (;;) {
        maas_json_kind kind = maas_json_next(&s);
        if (kind == MAAS_JSON_END)
            return MAAS_OK;
        if (kind == MAAS_JSON_ERROR)
            return maas_fail(err, s.err.code, "%s", s.err.msg);
    }
}

maas_status maas_json_parse(maas_span text, json_t **out, maas_err *err)
{
    json_error_t why;
    MAAS_TRY(check_syntax(text, err));
    json_t *j = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY,
                           &why);
    if (!j && json_error_code(&why) == json_error_out_of_memory)
        return maas_fail(err, MAAS_E_NOMEM, "no memory to read JSON");
    if (!j)
        return maas_fail(err, MAAS_E_INVALID, "malformed JSON: %s at byte %d", why.text,
                         why.position);
    *out = j;
    return MAAS_OK;
}

void maas_json_unref(json_t **j)
{
    json_decref(*j);
    *j = NULL;
}

/* ---- writing ---- */

typedef struct level {
    json_t *at;   /* the object or array */
    void *member; /* of an object: the next one */
    size_t index; /* members written */
} level;

static void dump_real(double v, maas_buf *out)
{
    char text[MAAS_NUM_MAX];
    maas_buf_add(out, text, maas_num_put_f64(text, v));
}

static void dump_scalar(const json_t *j, maas_buf *out)
{
    char text[MAAS_NUM_MAX];
    switch (json_typeof(j)) {
    case JSON_STRING:
        maas_buf_json_str(out, json_string_value(j), json_string_length(j));
        break;
    case JSON_INTEGER:
        maas_buf_add(out, text, maas_num_put_i64(text, json_integer_value(j)));
        break;
    case JSON_REAL:
        dump_real(json_real_value(j), out);
        break;
    default:
        maas_buf_str(out, json_is_true(j) ? "true" : json_is_false(j) ? "false" : "null");
    }
}

/* The next value of the level, with what stands before it written; NULL: the level is closed. */
static const json_t *dump_next(level *l, maas_buf *out)
{
    bool object = json_is_object(l->at);
    size_t n = object ? json_object_size(l->at) : json_array_size(l->at);
    if (l->index == n) {
        maas_buf_char(out, object ? '}' : ']');
        return NULL;
    }
    if (l->index++)
        maas_buf_char(out, ',');
    if (!object)
        return json_array_get(l->at, l->index - 1);
    l->member = l->index == 1 ? json_object_iter(l->at) : json_object_iter_next(l->at, l->member);
    const char *key = json_object_iter_key(l->member);
    maas_buf_json_str(out, key, strlen(key));
    maas_buf_char(out, ':');
    return json_object_iter_value(l->member);
}

void maas_json_dump(const json_t *j, maas_buf *out)
{
    level stack[MAAS_MAX_JSON_DEPTH];
    size_t depth = 0;
    while (j || depth) {
        if (!j) {
            if (!(j = dump_next(&stack[depth - 1], out)))
                depth--;
            continue;
        }
        if (json_is_object(j) || json_is_array(j)) {
            MAAS_CHECK(depth < MAAS_COUNT(stack)); /* our own documents are never that deep */
            maas_buf_char(out, json_is_object(j) ? '{' : '[');
            stack[depth++] = (level){.at = (json_t *)(uintptr_t)j};
        } else {
            dump_scalar(j, out);
        }
        j = NULL;
    }
}

/* ---- typed getters ---- */

/* "params.epochs": where and key, for the words. */
#define NAME_FMT              "%s%s%s"
#define NAME_ARGS(where, key) (where) ? (where) : "", (where) && *(where) ? "." : "", (key)

/* A member that is there and not null; null means "the default" to most clients. */
static const json_t *member(const json_t *o, const char *key)
{
    const json_t *j = json_object_get(o, key);
    return json_is_null(j) ? NULL : j;
}

maas_status maas_json_get_str(const json_t *o, const char *where, const char *key, const char **out,
                              maas_err *err)
{
    const json_t *j = member(o, key);
    if (!j)
        return MAAS_OK;
    if (!json_is_string(j))
        return maas_fail(err, MAAS_E_INVALID, NAME_FMT " must be a string", NAME_ARGS(where, key));
    *out = json_string_value(j);
    return MAAS_OK;
}

maas_status maas_json_get_i64(const json_t *o, const char *where, const char *key, int64_t min,
                              int64_t max, int64_t *out, maas_err *err)
{
    const json_t *j = member(o, key);
    if (!j)
        return MAAS_OK;
    int64_t v = json_integer_value(j);
    if (!json_is_integer(j) || v < min || v > max)
        return maas_fail(err, MAAS_E_INVALID,
                         NAME_FMT " must be an integer from %" PRId64 " to %" PRId64,
                         NAME_ARGS(where, key), min, max);
    *out = v;
    return MAAS_OK;
}

maas_status maas_json_get_f64(const json_t *o, const char *where, const char *key, double min,
                              double max, double *out, maas_err *err)
{
    const json_t *j = member(o, key);
    if (!j)
        return MAAS_OK;
    double v = json_number_value(j);
    if (!json_is_number(j) || !(v >= min && v <= max))
        return maas_fail(err, MAAS_E_INVALID, NAME_FMT " must be a number from %g to %g",
                         NAME_ARGS(where, key), min, max);
    *out = v;
    return MAAS_OK;
}

maas_status maas_json_get_bool(const json_t *o, const char *where, const char *key, bool *out,
                               maas_err *err)
{
    const json_t *j = member(o, key);
    if (!j)
        return MAAS_OK;
    if (!json_is_boolean(j))
        return maas_fail(err, MAAS_E_INVALID, NAME_FMT " must be true or false",
                         NAME_ARGS(where, key));
    *out = json_is_true(j);
    return MAAS_OK;
}

static bool is_listed(const char *key, const char *const *keys, maas_nearest *near)
{
    for (; *keys; keys++) {
        if (strcmp(key, *keys) == 0)
            return true;
        maas_nearest_try(near, *keys);
    }
    return false;
}

maas_status maas_json_only(const json_t *o, const char *where, const char *const *keys,
                           maas_err *err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(o))
        return maas_fail(err, MAAS_E_INVALID, "%s must be an object",
                         where && *where ? where : "the body");
    json_object_foreach((json_t *)(uintptr_t)o, key, value)
    {
        maas_nearest near = maas_nearest_to(key, strlen(key));
        if (is_listed(key, keys, &near))
            continue;
        if (near.best)
            return maas_fail(err, MAAS_E_INVALID, "unknown field '%s%s%.100s', did you mean '%s'?",
                             NAME_ARGS(where, key), near.best);
        return maas_fail(err, MAAS_E_INVALID, "unknown field '%s%s%.100s'", NAME_ARGS(where, key));
    }
    return MAAS_OK;
}
