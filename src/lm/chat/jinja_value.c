#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "lm/chat/jinja_int.h"
#include "base/ban.h"

jinja_value jinja_text(maas_str s, bool trusted)
{
    return (jinja_value){.kind = JINJA_STRING, .trusted = trusted, .u.s = {s.p, NULL, s.n}};
}
jinja_value jinja_bool(bool b)
{
    return (jinja_value){.kind = JINJA_BOOL, .u.b = b};
}
jinja_value jinja_int(int64_t i)
{
    return (jinja_value){.kind = JINJA_INT, .u.i = i};
}

jinja_value jinja_of_json(const json_t *j, bool trusted)
{
    if (!j)
        return (jinja_value){.kind = JINJA_UNDEFINED};
    switch (json_typeof(j)) {
    case JSON_NULL:
        return (jinja_value){.kind = JINJA_NONE};
    case JSON_TRUE:
    case JSON_FALSE:
        return jinja_bool(json_is_true(j));
    case JSON_INTEGER:
        return jinja_int(json_integer_value(j));
    case JSON_REAL:
        return (jinja_value){.kind = JINJA_FLOAT, .u.f = json_real_value(j)};
    case JSON_STRING:
        return jinja_text((maas_str){json_string_value(j), json_string_length(j)}, trusted);
    default:
        return (jinja_value){.kind = JINJA_JSON, .trusted = trusted, .u.json = j};
    }
}

bool jinja_is_list(const jinja_value *v)
{
    return v->kind == JINJA_LIST || v->kind == JINJA_RANGE ||
           (v->kind == JINJA_JSON && json_is_array(v->u.json));
}
bool jinja_is_dict(const jinja_value *v)
{
    return v->kind == JINJA_DICT || (v->kind == JINJA_JSON && json_is_object(v->u.json));
}

static int64_t characters(maas_str s)
{
    int64_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += ((uint8_t)s.p[i] & 0xc0) != 0x80;
    return n;
}

int64_t jinja_length(const jinja_value *v)
{
    switch ((jinja_kind)v->kind) {
    case JINJA_STRING:
        return characters(jinja_str(v));
    case JINJA_LIST:
        return v->u.list->n;
    case JINJA_DICT:
        return v->u.dict->n;
    case JINJA_JSON:
        return (int64_t)(json_is_array(v->u.json) ? json_array_size(v->u.json)
                                                  : json_object_size(v->u.json));
    case JINJA_RANGE: {
        const int64_t step = v->u.range.step, span = v->u.range.to - v->u.range.from;
        const int64_t n = step > 0 ? (span + step - 1) / step : (span + step + 1) / step;
        return n > 0 ? n : 0;
    }
    default:
        return -1;
    }
}

bool jinja_truth(const jinja_value *v)
{
    switch ((jinja_kind)v->kind) {
    case JINJA_UNDEFINED:
    case JINJA_NONE:
        return false;
    case JINJA_BOOL:
        return v->u.b;
    case JINJA_INT:
        return v->u.i != 0;
    case JINJA_FLOAT:
        return v->u.f != 0;
    case JINJA_STRING:
        return v->u.s.n > 0;
    case JINJA_LIST:
    case JINJA_DICT:
    case JINJA_JSON:
    case JINJA_RANGE:
        return jinja_length(v) > 0;
    default:
        return true;
    }
}

static bool number_of(const jinja_value *v, double *out)
{
    *out = v->kind == JINJA_INT     ? (double)v->u.i
           : v->kind == JINJA_FLOAT ? v->u.f
           : v->kind == JINJA_BOOL  ? (double)v->u.b
                                    : 0;
    return v->kind == JINJA_INT || v->kind == JINJA_FLOAT || v->kind == JINJA_BOOL;
}

/* Lists and dicts are equal when they are the same JSON, or the same thing. */
bool jinja_equal(const jinja_value *a, const jinja_value *b)
{
    double x, y;
    if (number_of(a, &x) && number_of(b, &y))
        return x == y;
    if (a->kind != b->kind)
        return false;
    switch ((jinja_kind)a->kind) {
    case JINJA_STRING:
        return a->u.s.n == b->u.s.n && memcmp(a->u.s.p, b->u.s.p, a->u.s.n) == 0;
    case JINJA_JSON:
        return json_equal(a->u.json, b->u.json) != 0;
    case JINJA_LIST:
        return a->u.list == b->u.list || (a->u.list->n == 0 && b->u.list->n == 0);
    case JINJA_DICT:
        return a->u.dict == b->u.dict || (a->u.dict->n == 0 && b->u.dict->n == 0);
    default:
        return true; /* None, undefined */
    }
}

jinja_value jinja_cut(const jinja_value *s, size_t from, size_t to)
{
    jinja_value v = *s;
    v.u.s.p += from;
    v.u.s.n = to - from;
    v.u.s.map = v.u.s.map ? v.u.s.map + from : NULL;
    return v;
}

static maas_status character_at(const jinja_value *v, int64_t i, jinja_value *out)
{
    size_t at = 0;
    maas_span s = maas_span_of(v->u.s.p, v->u.s.n);
    for (; s.n && i > 0; i--) {
        const size_t n = maas_utf8_len(s);
        maas_span_skip(&s, n ? n : 1);
        at += n ? n : 1;
    }
    const size_t n = maas_utf8_len(s);
    *out = jinja_cut(v, at, at + (n ? n : s.n > 0));
    return MAAS_OK;
}

static const char *key_at(const json_t *object, int64_t i)
{
    void *it = json_object_iter((json_t *)(uintptr_t)object);
    while (it && i-- > 0)
        it = json_object_iter_next((json_t *)(uintptr_t)object, it);
    return it ? json_object_iter_key(it) : "";
}

maas_status jinja_element(maas_arena *a, const jinja_value *v, int64_t i, jinja_value *out,
                          maas_err *err)
{
    switch ((jinja_kind)v->kind) {
    case JINJA_STRING:
        return character_at(v, i, out);
    case JINJA_LIST:
        *out = v->u.list->at[i];
        return MAAS_OK;
    case JINJA_DICT:
        *out = v->u.dict->keys[i];
        return MAAS_OK;
    case JINJA_RANGE:
        *out = jinja_int(v->u.range.from + i * v->u.range.step);
        return MAAS_OK;
    case JINJA_JSON:
        if (json_is_array(v->u.json)) {
            *out = jinja_of_json(json_array_get(v->u.json, (size_t)i), v->trusted);
        } else {
            const char *key = key_at(v->u.json, i);
            *out = jinja_text((maas_str){key, strlen(key)}, v->trusted);
        }
        return MAAS_OK;
    default:
        return maas_fail(err, MAAS_E_INVALID, "what is no list is walked");
    }
}

bool jinja_dict_get(const jinja_value *v, maas_str key, jinja_value *out)
{
    if (v->kind == JINJA_JSON) {
        char name[256];
        if (key.n >= sizeof name)
            return false;
        memcpy(name, key.p, key.n);
        name[key.n] = '\0';
        const json_t *j = json_object_get(v->u.json, name);
        *out = jinja_of_json(j, v->trusted);
        return j != NULL;
    }
    for (uint32_t i = 0; i < v->u.dict->n; i++)
        if (v->u.dict->keys[i].kind == JINJA_STRING && v->u.dict->keys[i].u.s.n == key.n &&
            memcmp(v->u.dict->keys[i].u.s.p, key.p, key.n) == 0) {
            *out = v->u.dict->values[i];
            return true;
        }
    return false;
}

/* ---- growing ---- */

static maas_status no_memory(maas_err *err)
{
    return maas_fail(err, MAAS_E_TOO_LARGE, "the template makes more than %zu MiB of values",
                     JINJA_MAX_BYTES >> 20);
}

maas_status jinja_list_add(maas_arena *a, jinja_list *l, jinja_value v, maas_err *err)
{
    if (l->n == l->cap) {
        jinja_value *more = maas_arena_array(a, l->cap ? 2 * (size_t)l->cap : 8, sizeof *more);
        if (!more)
            return no_memory(err);
        if (l->n)
            memcpy(more, l->at, l->n * sizeof *more);
        l->at = more;
        l->cap = l->cap ? 2 * l->cap : 8;
    }
    l->at[l->n++] = v;
    return MAAS_OK;
}

maas_status jinja_dict_put(maas_arena *a, jinja_dict *d, jinja_value key, jinja_value value,
                           maas_err *err)
{
    if (key.kind != JINJA_STRING)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "a key of a dict that is no text");
    for (uint32_t i = 0; i < d->n; i++)
        if (jinja_equal(&d->keys[i], &key)) {
            d->values[i] = value;
            return MAAS_OK;
        }
    jinja_list keys = {d->keys, d->n, d->cap}, values = {d->values, d->n, d->cap};
    MAAS_TRY(jinja_list_add(a, &keys, key, err));
    MAAS_TRY(jinja_list_add(a, &values, value, err));
    *d = (jinja_dict){keys.at, values.at, keys.n, keys.cap};
    return MAAS_OK;
}

enum { LONGEST_WALK = 1024 }; /* bytes of a text */

maas_status jinja_walkable(maas_arena *a, const jinja_value *v, jinja_value *out, maas_err *err)
{
    *out = *v;
    if (v->kind == JINJA_STRING && v->u.s.n > LONGEST_WALK)
        return maas_fail(err, MAAS_E_TOO_LARGE, "the characters of a text of %zu bytes are walked",
                         v->u.s.n);
    if (v->kind != JINJA_JSON || !json_is_object(v->u.json))
        return MAAS_OK;
    jinja_list *l = maas_arena_alloc(a, sizeof *l);
    const char *key;
    json_t *ignored;
    if (!l)
        return no_memory(err);
    json_object_foreach((json_t *)(uintptr_t)v->u.json, key, ignored)
        MAAS_TRY(jinja_list_add(a, l, jinja_text((maas_str){key, strlen(key)}, v->trusted), err));
    *out = (jinja_value){.kind = JINJA_LIST, .u.list = l};
    return MAAS_OK;
}

/* ---- text ---- */

maas_status jinja_join_texts(maas_arena *a, const jinja_value *parts, uint32_t n, jinja_value *out,
                             maas_err *err)
{
    size_t bytes = 0;
    bool mixed = false;
    for (uint32_t i = 0; i < n; i++) {
        bytes += parts[i].u.s.n;
        mixed |= parts[i].u.s.map != NULL || parts[i].trusted != parts[0].trusted;
    }
    char *p = maas_arena_alloc(a, bytes + 1);
    uint8_t *map = mixed ? maas_arena_alloc(a, bytes + 1) : NULL;
    if (!p || (mixed && !map))
        return no_memory(err);
    *out = jinja_text((maas_str){p, bytes}, n > 0 && parts[0].trusted);
    out->u.s.map = map;
    for (uint32_t i = 0; i < n; i++) {
        const size_t len = parts[i].u.s.n;
        if (len)
            memcpy(p, parts[i].u.s.p, len);
        if (map && parts[i].u.s.map)
            memcpy(map, parts[i].u.s.map, len);
        else if (map)
            memset(map, parts[i].trusted, len);
        p += len;
        map = map ? map + len : NULL;
    }
    return MAAS_OK;
}

static maas_status printed(maas_arena *a, const char *text, bool trusted, jinja_value *out,
                           maas_err *err)
{
    char *p = maas_arena_strdup(a, text);
    if (!p)
        return no_memory(err);
    *out = jinja_text((maas_str){p, strlen(p)}, trusted);
    return MAAS_OK;
}

/* ---- lists and dicts as Python prints them ---- */

static void python_string(maas_buf *out, const char *p, size_t n)
{
    static const char from[] = "\n\r\t\\", to[] = "nrt\\";
    const char quote = memchr(p, '\'', n) && !memchr(p, '"', n) ? '"' : '\'';
    maas_buf_char(out, quote);
    for (size_t i = 0; i < n; i++) {
        const char *special = p[i] ? strchr(from, p[i]) : NULL;
        if (special)
            maas_buf_printf(out, "\\%c", to[special - from]);
        else if (p[i] == quote)
            maas_buf_printf(out, "\\%c", quote);
        else if ((uint8_t)p[i] < 0x20 || p[i] == 0x7f)
            maas_buf_printf(out, "\\x%02x", (uint8_t)p[i]);
        else
            maas_buf_char(out, p[i]);
    }
    maas_buf_char(out, quote);
}

/* JSON and Python differ in texts and three words. */
static maas_status python_text(maas_arena *a, const jinja_value *v, jinja_value *out, maas_err *err)
{
    static const char *const words[] = {"true", "True", "false", "False", "null", "None"};
    maas_buf text = MAAS_BUF_IN(a, JINJA_MAX_BYTES);
    jinja_value json;
    MAAS_TRY(jinja_tojson(a, v, 0, &json, err));
    for (size_t i = 0, n; i < json.u.s.n; i += n) {
        const char *p = json.u.s.p + i;
        n = 1;
        if (*p == '"') {
            while (p[n] != '"')
                n += p[n] == '\\' ? 2 : 1;
            size_t len = 0;
            const char *plain = maas_json_unescape(a, maas_span_of(p + 1, n - 1), &len);
            if (!plain)
                return maas_fail(err, MAAS_E_TOO_LARGE, "the template makes too many values");
            python_string(&text, plain, len);
            n++;
            continue;
        }
        size_t w = 0;
        while (w < MAAS_COUNT(words) && strncmp(p, words[w], strlen(words[w])) != 0)
            w += 2;
        n = w < MAAS_COUNT(words) ? strlen(words[w]) : 1;
        maas_buf_add(&text, w < MAAS_COUNT(words) ? words[w + 1] : p,
                     w < MAAS_COUNT(words) ? strlen(words[w + 1]) : 1);
    }
    if (text.failed)
        return maas_fail(err, MAAS_E_TOO_LARGE, "the template makes too many values");
    *out = jinja_text((maas_str){text.p ? text.p : "", text.n}, false);
    return MAAS_OK;
}

/* Of lists and dicts: JSON's words stand for Python's, which no template is known to print. */
maas_status jinja_to_text(maas_arena *a, const jinja_value *v, jinja_value *out, maas_err *err)
{
    char room[64];
    switch ((jinja_kind)v->kind) {
    case JINJA_UNDEFINED:
        return printed(a, "", true, out, err);
    case JINJA_NONE:
        return printed(a, "None", true, out, err);
    case JINJA_BOOL:
        return printed(a, v->u.b ? "True" : "False", true, out, err);
    case JINJA_INT:
        snprintf(room, sizeof room, "%" PRId64, v->u.i);
        return printed(a, room, true, out, err);
    case JINJA_FLOAT:
        snprintf(room, sizeof room - 2, "%.17g", v->u.f);
        if (!strpbrk(room, ".einf"))
            memcpy(room + strlen(room), ".0", 3);
        return printed(a, room, true, out, err);
    case JINJA_STRING:
        *out = *v;
        return MAAS_OK;
    case JINJA_LIST:
    case JINJA_DICT:
    case JINJA_JSON:
        return python_text(a, v, out, err);
    default:
        return maas_fail(err, MAAS_E_INVALID, "what has no text is printed");
    }
}

/* ---- JSON ---- */

/* One level of what was made here; what is in it must be JSON or plain. */
static json_t *plain_json(const jinja_value *v)
{
    switch ((jinja_kind)v->kind) {
    case JINJA_BOOL:
        return json_boolean(v->u.b);
    case JINJA_INT:
        return json_integer(v->u.i);
    case JINJA_FLOAT:
        return json_real(v->u.f);
    case JINJA_STRING:
        return json_stringn(v->u.s.p, v->u.s.n);
    case JINJA_JSON:
        return json_incref((json_t *)(uintptr_t)v->u.json);
    case JINJA_NONE:
        return json_null();
    default:
        return NULL;
    }
}

static json_t *shallow(const jinja_value *v)
{
    json_t *out = NULL;
    if (v->kind == JINJA_LIST) {
        out = json_array();
        for (uint32_t i = 0; out && i < v->u.list->n; i++)
            if (json_array_append_new(out, plain_json(&v->u.list->at[i])) != 0)
                goto failed;
    } else if (v->kind == JINJA_DICT) {
        out = json_object();
        for (uint32_t i = 0; out && i < v->u.dict->n; i++) {
            const maas_str k = jinja_str(&v->u.dict->keys[i]);
            char name[256];
            snprintf(name, sizeof name, "%.*s", (int)k.n, k.p);
            if (json_object_set_new(out, name, plain_json(&v->u.dict->values[i])) != 0)
                goto failed;
        }
    } else {
        out = plain_json(v);
    }
    return out;
failed:
    json_decref(out);
    return NULL;
}

static int put_json(const char *p, size_t n, void *buf)
{
    maas_buf_add(buf, p, n);
    return ((maas_buf *)buf)->failed ? -1 : 0;
}

maas_status jinja_tojson(maas_arena *a, const jinja_value *v, int indent, jinja_value *out,
                         maas_err *err)
{
    maas_buf text = MAAS_BUF_IN(a, JINJA_MAX_BYTES);
    json_t *j = shallow(v);
    const size_t flags = JSON_ENCODE_ANY | (indent > 0 ? JSON_INDENT((size_t)indent) : 0);
    const int st = j ? json_dump_callback(j, put_json, &text, flags) : -1;
    json_decref(j);
    if (st != 0)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "tojson of a value that JSON cannot say");
    *out = jinja_text((maas_str){text.p ? text.p : "", text.n}, false);
    return MAAS_OK;
}
