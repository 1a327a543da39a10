/* Tests and functions: tables by name. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lm/chat/jinja_int.h"
#include "base/ban.h"

/* ---- tests ---- */

maas_status jinja_test(maas_str name, const jinja_args *x, bool *out, maas_err *err)
{
    const jinja_value *v = x->of;
    const jinja_value *other = x->n > 0 ? &x->at[0] : NULL;
    const struct {
        const char *name;
        bool is;
    } plain[] = {
        {"defined", v->kind != JINJA_UNDEFINED},
        {"undefined", v->kind == JINJA_UNDEFINED},
        {"none", v->kind == JINJA_NONE},
        {"string", v->kind == JINJA_STRING},
        {"mapping", jinja_is_dict(v)},
        {"sequence", jinja_is_list(v) || jinja_is_dict(v) || v->kind == JINJA_STRING},
        {"iterable", jinja_is_list(v) || jinja_is_dict(v) || v->kind == JINJA_STRING},
        {"boolean", v->kind == JINJA_BOOL},
        {"true", v->kind == JINJA_BOOL && v->u.b},
        {"false", v->kind == JINJA_BOOL && !v->u.b},
        {"integer", v->kind == JINJA_INT},
        {"float", v->kind == JINJA_FLOAT},
        {"number", v->kind == JINJA_INT || v->kind == JINJA_FLOAT || v->kind == JINJA_BOOL},
        {"callable", v->kind == JINJA_FUNCTION || v->kind == JINJA_METHOD}};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (jinja_is(name, plain[i].name)) {
            *out = plain[i].is;
            return MAAS_OK;
        }
    if (other && (jinja_is(name, "equalto") || jinja_is(name, "eq") || jinja_is(name, "=="))) {
        *out = jinja_equal(v, other);
        return MAAS_OK;
    }
    if (other && (jinja_is(name, "ne") || jinja_is(name, "!="))) {
        *out = !jinja_equal(v, other);
        return MAAS_OK;
    }
    return maas_fail(err, MAAS_E_UNSUPPORTED, "the test '%.*s' is not known", (int)name.n, name.p);
}

/* ---- functions ---- */

static const char *const functions[] = {"raise_exception", "strftime_now", "namespace", "range",
                                        "dict"};
enum { RAISE, STRFTIME, NAMESPACE, RANGE, DICT };

int jinja_function_of(maas_str name)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (jinja_is(name, functions[i]))
            return (int)i;
    return -1;
}

static maas_status make_dict(const jinja_args *x, jinja_value *out, maas_err *err)
{
    jinja_dict *d = maas_arena_alloc(x->a, sizeof *d);
    if (!d)
        return maas_fail(err, MAAS_E_TOO_LARGE, "the template makes too many values");
    for (int k = 0; k < x->n_keys; k++)
        MAAS_TRY(jinja_dict_put(x->a, d, jinja_text(x->keys[k], true), x->at[x->n - x->n_keys + k],
                                err));
    *out = (jinja_value){.kind = JINJA_DICT, .u.dict = d};
    return MAAS_OK;
}

static maas_status make_range(const jinja_args *x, jinja_value *out, maas_err *err)
{
    int64_t v[3] = {0, 0, 1};
    if (x->n < 1 || x->n > 3)
        return maas_fail(err, MAAS_E_INVALID, "range takes one to three numbers");
    for (int i = 0; i < x->n; i++) {
        if (x->at[i].kind != JINJA_INT || x->at[i].u.i > INT32_MAX || x->at[i].u.i < INT32_MIN)
            return maas_fail(err, MAAS_E_INVALID, "range of what is no small number");
        v[x->n == 1 ? 1 : i] = x->at[i].u.i;
    }
    if (v[2] == 0)
        return maas_fail(err, MAAS_E_INVALID, "range in steps of 0");
    *out = (jinja_value){.kind = JINJA_RANGE, .u.range = {v[0], v[1], v[2]}};
    return MAAS_OK;
}

static maas_status say_time(const jinja_args *x, jinja_value *out, maas_err *err)
{
    const jinja_value *f = jinja_arg(x, 0, "format");
    char format[64], room[128];
    const time_t now = (time_t)x->now;
    struct tm parts;
    if (!f || f->kind != JINJA_STRING)
        return maas_fail(err, MAAS_E_INVALID, "strftime_now needs a text");
    snprintf(format, sizeof format, "%.*s", (int)(f->u.s.n < 60 ? f->u.s.n : 60), f->u.s.p);
    gmtime_r(&now, &parts);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    const size_t n = strftime(room, sizeof room, format, &parts);
#pragma GCC diagnostic pop
    char *p = maas_arena_dup(x->a, room, n + 1);
    if (!p)
        return maas_fail(err, MAAS_E_TOO_LARGE, "the template makes too many values");
    *out = jinja_text((maas_str){p, n}, true);
    return MAAS_OK;
}

maas_status jinja_function(int which, const jinja_args *x, jinja_value *out, maas_err *err)
{
    jinja_value text = jinja_text((maas_str){"", 0}, true);
    switch (which) {
    case RAISE:
        if (x->n > 0)
            MAAS_TRY(jinja_to_text(x->a, &x->at[0], &text, err));
        return maas_fail(err, MAAS_E_INVALID, "%.*s", (int)(text.u.s.n < 200 ? text.u.s.n : 200),
                         text.u.s.p);
    case STRFTIME:
        return say_time(x, out, err);
    case RANGE:
        return make_range(x, out, err);
    default:
        return make_dict(x, out, err);
    }
}
