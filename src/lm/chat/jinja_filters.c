/* Filters and methods: tables by name. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lm/chat/jinja_int.h"
#include "base/ban.h"

const jinja_value *jinja_arg(const jinja_args *x, int i, const char *name)
{
    const int n_plain = x->n - x->n_keys;
    if (i < n_plain)
        return &x->at[i];
    for (int k = 0; k < x->n_keys; k++)
        if (jinja_is(x->keys[k], name))
            return &x->at[n_plain + k];
    return NULL;
}

typedef maas_status value_fn(const jinja_args *x, jinja_value *out, maas_err *err);

static maas_status need_text(const jinja_value *v, const char *what, maas_err *err)
{
    return v && v->kind == JINJA_STRING ? MAAS_OK
                                        : maas_fail(err, MAAS_E_INVALID, "%s of no text", what);
}

/* ---- text ---- */

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_among(char c, const jinja_value *set)
{
    return set && set->kind == JINJA_STRING ? memchr(set->u.s.p, c, set->u.s.n) != NULL
                                            : is_space(c);
}

static maas_status stripped(const jinja_args *x, bool left, bool right, jinja_value *out,
                            maas_err *err)
{
    const jinja_value *set = jinja_arg(x, 0, "chars");
    MAAS_TRY(need_text(x->of, "strip", err));
    size_t from = 0, to = x->of->u.s.n;
    while (left && from < to && is_among(x->of->u.s.p[from], set))
        from++;
    while (right && to > from && is_among(x->of->u.s.p[to - 1], set))
        to--;
    *out = jinja_cut(x->of, from, to);
    return MAAS_OK;
}
static maas_status f_trim(const jinja_args *x, jinja_value *out, maas_err *err)
{
    jinja_value text;
    MAAS_TRY(jinja_to_text(x->a, x->of, &text, err));
    jinja_args y = *x;
    y.of = &text;
    return stripped(&y, true, true, out, err);
}
static maas_status m_strip(const jinja_args *x, jinja_value *out, maas_err *err)
{
    return stripped(x, true, true, out, err);
}
static maas_status m_lstrip(const jinja_args *x, jinja_value *out, maas_err *err)
{
    return stripped(x, true, false, out, err);
}
static maas_status m_rstrip(const jinja_args *x, jinja_value *out, maas_err *err)
{
    return stripped(x, false, true, out, err);
}

/* ASCII only: templates change case of their own words. */
static maas_status recased(const jinja_args *x, int how, jinja_value *out, maas_err *err)
{
    MAAS_TRY(need_text(x->of, "a change of case", err));
    char *p = maas_arena_dup(x->a, x->of->u.s.p, x->of->u.s.n);
    if (!p)
        return maas_fail(err, MAAS_E_TOO_LARGE, "the template makes too many values");
    bool start = true;
    for (size_t i = 0; i < x->of->u.s.n; i++) {
        const bool letter = (p[i] >= 'a' && p[i] <= 'z') || (p[i] >= 'A' && p[i] <= 'Z');
        const bool up = how == 'U' || (how == 'T' && start) || (how == 'C' && i == 0);
        if (letter)
            p[i] = (char)(up ? p[i] & ~32 : p[i] | 32);
        start = !letter;
    }
    *out = *x->of;
    out->u.s.p = p;
    return MAAS_OK;
}
static maas_status m_upper(const jinja_args *x, jinja_value *out, maas_err *err)
{
    return recased(x, 'U', out, err);
}
static maas_status m_lower(const jinja_args *x, jinja_value *out, maas_err *err)
{
    return recased(x, 'L', out, err);
}
static maas_status m_title(const jinja_args *x, jinja_value *out, maas_err *err)
{
    return recased(x, 'T', out, err);
}
static maas_status m_capitalize(const jinja_args *x, jinja_value *out, maas_err *err)
{
    return recased(x, 'C', out, err);
}

/* Pieces of a text between separators (white space when there is none), as a list. */
static maas_status m_split(const jinja_args *x, jinja_value *out, maas_err *err)
{
    const jinja_value *sep = jinja_arg(x, 0, "sep");
    jinja_list *l = maas_arena_alloc(x->a, sizeof *l);
    MAAS_TRY(need_text(x->of, "split", err));
    if (!l)
        return maas_fail(err, MAAS_E_TOO_LARGE, "the template makes too many values");
    const maas_str s = jinja_str(x->of);
    if (!sep || sep->kind != JINJA_STRING || !sep->u.s.n) {
        for (size_t i = 0; i < s.n;) {
            size_t from = i;
            while (from < s.n && is_space(s.p[from]))
                from++;
            for (i = from; i < s.n && !is_space(s.p[i]);)
                i++;
            if (i > from)
                MAAS_TRY(jinja_list_add(x->a, l, jinja_cut(x->of, from, i), err));
        }
    } else {
        size_t from = 0;
        for (;;) {
            const char *p = memmem(s.p + from, s.n - from, sep->u.s.p, sep->u.s.n);
            const size_t to = p ? (size_t)(p - s.p) : s.n;
            MAAS_TRY(jinja_list_add(x->a, l, jinja_cut(x->of, from, to), err));
            if (!p)
                break;
            from = to + sep->u.s.n;
        }
    }
    *out = (jinja_value){.kind = JINJA_LIST, .u.list = l};
    return MAAS_OK;
}

static maas_status m_replace(const jinja_args *x, jinja_value *out, maas_err *err)
{
    const jinja_value *from = jinja_arg(x, 0, "old"), *to = jinja_arg(x, 1, "new");
    jinja_list parts = {0};
    MAAS_TRY(need_text(x->of, "replace", err));
    MAAS_TRY(need_text(from, "replace", err));
    MAAS_TRY(need_text(to, "replace", err));
    const maas_str s = jinja_str(x->of);
    for (size_t at = 0; from->u.s.n;) {
        const char *p = memmem(s.p + at, s.n - at, from->u.s.p, from->u.s.n);
        const size_t end = p ? (size_t)(p - s.p) : s.n;
        MAAS_TRY(jinja_list_add(x->a, &parts, jinja_cut(x->of, at, end), err));
        if (!p)
            return jinja_join_texts(x->a, parts.at, parts.n, out, err);
        MAAS_TRY(jinja_list_add(x->a, &parts, *to, err));
        at = end + from->u.s.n;
    }
    *out = *x->of;
    return MAAS_OK;
}

static maas_status has_end(const jinja_args *x, bool at_start, jinja_value *out, maas_err *err)
{
    const jinja_value *end = jinja_arg(x, 0, "prefix");
    MAAS_TRY(need_text(x->of, "startswith or endswith", err));
    MAAS_TRY(need_text(end, "startswith or endswith", err));
    const size_t n = end->u.s.n, all = x->of->u.s.n;
    *out = jinja_bool(n <= all &&
                      memcmp(x->of->u.s.p + (at_start ? 0 : all - n), end->u.s.p, n) == 0);
    return MAAS_OK;
}
static maas_status m_startswith(const jinja_args *x, jinja_value *out, maas_err *err)
{
    return has_end(x, true, out, err);
}
static maas_status m_endswith(const jinja_args *x, jinja_value *out, maas_err *err)
{
    return has_end(x, false, out, err);
}

static maas_status f_string(const jinja_args *x, jinja_value *out, maas_err *err)
{
    return jinja_to_text(x->a, x->of, out, err);
}
static maas_status f_same(const jinja_args *x, jinja_value *out, maas_err *err)
{
    *out = *x->of;
    return MAAS_OK;
}
static maas_status f_tojson(const jinja_args *x, jinja_value *out, maas_err *err)
{
    const jinja_value *indent = jinja_arg(x, 1, "indent");
    return jinja_tojson(x->a, x->of, indent && indent->kind == JINJA_INT ? (int)indent->u.i : 0,
                        out, err);
}

/* ---- lists ---- */

static maas_status elements(const jinja_args *x, jinja_list *out, maas_err *err)
{
    jinja_value walked;
    *out = (jinja_list){0};
    MAAS_TRY(jinja_walkable(x->a, x->of, &walked, err));
    const int64_t n = jinja_length(&walked);
    if (n > JINJA_MAX_STEPS)
        return maas_fail(err, MAAS_E_TOO_LARGE, "a list of %lld elements", (long long)n);
    if (n < 0 && x->of->kind != JINJA_UNDEFINED)
        return maas_fail(err, MAAS_E_INVALID, "what is no list is used as one");
    for (int64_t i = 0; i < n; i++) {
        jinja_value v;
        MAAS_TRY(jinja_element(x->a, &walked, i, &v, err));
        MAAS_TRY(jinja_list_add(x->a, out, v, err));
    }
    return MAAS_OK;
}

static maas_status as_list(const jinja_args *x, const jinja_list *l, jinja_value *out,
                           maas_err *err)
{
    jinja_list *own = maas_arena_dup(x->a, l, sizeof *l);
    if (!own)
        return maas_fail(err, MAAS_E_TOO_LARGE, "the template makes too many values");
    *out = (jinja_value){.kind = JINJA_LIST, .u.list = own};
    return MAAS_OK;
}

static maas_status f_list(const jinja_args *x, jinja_value *out, maas_err *err)
{
    jinja_list l;
    MAAS_TRY(elements(x, &l, err));
    return as_list(x, &l, out, err);
}
static maas_status f_reverse(const jinja_args *x, jinja_value *out, maas_err *err)
{
    jinja_list l;
    MAAS_TRY(elements(x, &l, err));
    for (uint32_t i = 0; i < l.n / 2; i++) {
        const jinja_value v = l.at[i];
        l.at[i] = l.at[l.n - 1 - i];
        l.at[l.n - 1 - i] = v;
    }
    return as_list(x, &l, out, err);
}
static maas_status f_length(const jinja_args *x, jinja_value *out, maas_err *err)
{
    const int64_t n = jinja_length(x->of);
    *out = jinja_int(n);
    return n < 0 ? maas_fail(err, MAAS_E_INVALID, "the length of what has none") : MAAS_OK;
}
static maas_status end_of(const jinja_args *x, bool first, jinja_value *out, maas_err *err)
{
    const int64_t n = jinja_length(x->of);
    *out = (jinja_value){.kind = JINJA_UNDEFINED};
    return n > 0 ? jinja_element(x->a, x->of, first ? 0 : n - 1, out, err) : MAAS_OK;
}
static maas_status f_first(const jinja_args *x, jinja_value *out, maas_err *err)
{
    return end_of(x, true, out, err);
}
static maas_status f_last(const jinja_args *x, jinja_value *out, maas_err *err)
{
    return end_of(x, false, out, err);
}

static maas_status f_join(const jinja_args *x, jinja_value *out, maas_err *err)
{
    const jinja_value *sep = jinja_arg(x, 0, "d");
    jinja_list l, parts = {0};
    MAAS_TRY(elements(x, &l, err));
    for (uint32_t i = 0; i < l.n; i++) {
        jinja_value text;
        if (i && sep && sep->kind == JINJA_STRING)
            MAAS_TRY(jinja_list_add(x->a, &parts, *sep, err));
        MAAS_TRY(jinja_to_text(x->a, &l.at[i], &text, err));
        MAAS_TRY(jinja_list_add(x->a, &parts, text, err));
    }
    return jinja_join_texts(x->a, parts.at, parts.n, out, err);
}
static maas_status m_join(const jinja_args *x, jinja_value *out, maas_err *err)
{
    const jinja_value *list = jinja_arg(x, 0, "iterable");
    if (!list)
        return maas_fail(err, MAAS_E_INVALID, "join without a list");
    const jinja_args y = {.a = x->a, .of = list, .at = x->of, .n = 1};
    return f_join(&y, out, err);
}

static maas_status attribute(const jinja_value *v, maas_str name, jinja_value *out)
{
    *out = (jinja_value){.kind = JINJA_UNDEFINED};
    if (jinja_is_dict(v))
        jinja_dict_get(v, name, out);
    return MAAS_OK;
}

/* selectattr(name[, test[, argument]]), rejectattr */
static maas_status chosen(const jinja_args *x, bool want, jinja_value *out, maas_err *err)
{
    const jinja_value *name = jinja_arg(x, 0, "attribute"), *test = jinja_arg(x, 1, "test");
    jinja_list all, l = {0};
    MAAS_TRY(need_text(name, "selectattr", err));
    MAAS_TRY(elements(x, &all, err));
    for (uint32_t i = 0; i < all.n; i++) {
        jinja_value v;
        bool yes;
        attribute(&all.at[i], jinja_str(name), &v);
        yes = jinja_truth(&v);
        if (test && test->kind == JINJA_STRING) {
            const jinja_args y = {
                .a = x->a, .of = &v, .at = x->n > 2 ? &x->at[2] : NULL, .n = x->n > 2};
            MAAS_TRY(jinja_test(jinja_str(test), &y, &yes, err));
        }
        if (yes == want)
            MAAS_TRY(jinja_list_add(x->a, &l, all.at[i], err));
    }
    return as_list(x, &l, out, err);
}
static maas_status f_selectattr(const jinja_args *x, jinja_value *out, maas_err *err)
{
    return chosen(x, true, out, err);
}
static maas_status f_rejectattr(const jinja_args *x, jinja_value *out, maas_err *err)
{
    return chosen(x, false, out, err);
}
static maas_status f_map(const jinja_args *x, jinja_value *out, maas_err *err)
{
    const jinja_value *name = jinja_arg(x, 99, "attribute");
    const jinja_value *filter = name ? NULL : jinja_arg(x, 0, "filter");
    jinja_list l;
    MAAS_TRY(elements(x, &l, err));
    for (uint32_t i = 0; i < l.n; i++) {
        jinja_value v = l.at[i];
        const jinja_args y = {.a = x->a, .of = &v};
        if (name && name->kind == JINJA_STRING)
            attribute(&v, jinja_str(name), &l.at[i]);
        else if (filter && filter->kind == JINJA_STRING)
            MAAS_TRY(jinja_filter(jinja_str(filter), &y, &l.at[i], err));
    }
    return as_list(x, &l, out, err);
}

/* ---- dicts ---- */

static maas_status pairs(const jinja_args *x, bool keys, bool values, jinja_value *out,
                         maas_err *err)
{
    jinja_list l = {0}, all;
    if (!jinja_is_dict(x->of))
        return maas_fail(err, MAAS_E_INVALID, "items of what is no dict");
    MAAS_TRY(elements(x, &all, err));
    for (uint32_t i = 0; i < all.n; i++) {
        jinja_value k = all.at[i], v, both;
        jinja_list pair = {0};
        attribute(x->of, jinja_str(&k), &v);
        if (keys)
            MAAS_TRY(jinja_list_add(x->a, &pair, k, err));
        if (values)
            MAAS_TRY(jinja_list_add(x->a, &pair, v, err));
        if (keys && values)
            MAAS_TRY(as_list(x, &pair, &both, err));
        MAAS_TRY(jinja_list_add(x->a, &l, keys && values ? both : pair.at[0], err));
    }
    return as_list(x, &l, out, err);
}
static maas_status m_items(const jinja_args *x, jinja_value *out, maas_err *err)
{
    return pairs(x, true, true, out, err);
}
static maas_status m_keys(const jinja_args *x, jinja_value *out, maas_err *err)
{
    return pairs(x, true, false, out, err);
}
static maas_status m_values(const jinja_args *x, jinja_value *out, maas_err *err)
{
    return pairs(x, false, true, out, err);
}
static maas_status m_get(const jinja_args *x, jinja_value *out, maas_err *err)
{
    const jinja_value *key = jinja_arg(x, 0, "key"), *other = jinja_arg(x, 1, "default");
    *out = other ? *other : (jinja_value){.kind = JINJA_NONE};
    if (key && key->kind == JINJA_STRING && jinja_is_dict(x->of)) {
        jinja_value v;
        if (jinja_dict_get(x->of, jinja_str(key), &v))
            *out = v;
    }
    return MAAS_OK;
}
static maas_status m_append(const jinja_args *x, jinja_value *out, maas_err *err)
{
    const jinja_value *v = jinja_arg(x, 0, "object");
    if (x->of->kind != JINJA_LIST || !v)
        return maas_fail(err, MAAS_E_INVALID, "append to what is no list");
    *out = (jinja_value){.kind = JINJA_NONE};
    return jinja_list_add(x->a, x->of->u.list, *v, err);
}

/* ---- others ---- */

static maas_status f_default(const jinja_args *x, jinja_value *out, maas_err *err)
{
    const jinja_value *other = jinja_arg(x, 0, "default_value"), *too = jinja_arg(x, 1, "boolean");
    const bool use = x->of->kind == JINJA_UNDEFINED ||
                     (too && jinja_truth(too) && !jinja_truth(x->of));
    *out = !use ? *x->of : other ? *other : jinja_text((maas_str){"", 0}, true);
    return MAAS_OK;
}
static maas_status f_int(const jinja_args *x, jinja_value *out, maas_err *err)
{
    char room[32];
    *out = *x->of;
    if (x->of->kind == JINJA_FLOAT)
        *out = jinja_int(x->of->u.f > -0x1p62 && x->of->u.f < 0x1p62 ? (int64_t)x->of->u.f : 0);
    else if (x->of->kind == JINJA_STRING) {
        snprintf(room, sizeof room, "%.*s", (int)(x->of->u.s.n < 30 ? x->of->u.s.n : 30),
                 x->of->u.s.p);
        *out = jinja_int(strtoll(room, NULL, 10));
    } else if (x->of->kind != JINJA_INT)
        *out = jinja_int(jinja_truth(x->of));
    return MAAS_OK;
}

static const struct {
    const char *name;
    value_fn *fn;
} filters[] = {{"trim", f_trim},
               {"tojson", f_tojson},
               {"length", f_length},
               {"count", f_length},
               {"join", f_join},
               {"upper", m_upper},
               {"lower", m_lower},
               {"title", m_title},
               {"capitalize", m_capitalize},
               {"replace", m_replace},
               {"default", f_default},
               {"d", f_default},
               {"first", f_first},
               {"last", f_last},
               {"list", f_list},
               {"items", m_items},
               {"dictsort", m_items},
               {"string", f_string},
               {"safe", f_same},
               {"reverse", f_reverse},
               {"int", f_int},
               {"selectattr", f_selectattr},
               {"rejectattr", f_rejectattr},
               {"map", f_map}},
  methods[] = {{"strip", m_strip},           {"lstrip", m_lstrip},
               {"rstrip", m_rstrip},         {"split", m_split},
               {"replace", m_replace},       {"upper", m_upper},
               {"lower", m_lower},           {"title", m_title},
               {"capitalize", m_capitalize}, {"startswith", m_startswith},
               {"endswith", m_endswith},     {"join", m_join},
               {"items", m_items},           {"keys", m_keys},
               {"values", m_values},         {"get", m_get},
               {"append", m_append}};

maas_status jinja_filter(maas_str name, const jinja_args *x, jinja_value *out, maas_err *err)
{
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
        if (jinja_is(name, filters[i].name))
            return filters[i].fn(x, out, err);
    return maas_fail(err, MAAS_E_UNSUPPORTED, "the filter '%.*s' is not known", (int)name.n,
                     name.p);
}

bool jinja_has_method(maas_str name)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (jinja_is(name, methods[i].name))
            return true;
    return false;
}

maas_status jinja_method(maas_str name, const jinja_args *x, jinja_value *out, maas_err *err)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (jinja_is(name, methods[i].name))
            return methods[i].fn(x, out, err);
    return maas_fail(err, MAAS_E_UNSUPPORTED, "the method '%.*s' is not known", (int)name.n,
                     name.p);
}
