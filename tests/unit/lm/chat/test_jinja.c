/* Templates: what Jinja2 says of them (checked against it once, and in tests/client); bounds; whose
 * bytes are whose. */
#include "maas_test.h"

#include "base/json.h"
#include "base/mem.h"
#include "lm/jinja.h"

static maas_status render(const char *text, const char *vars, char *out, size_t size, maas_err *err)
{
    static const char *const trusted[] = {"bos_token", NULL};
    maas_jinja *j = NULL;
    maas_rendered r = {0};
    json_t *v = json_loads(vars, 0, NULL);
    out[0] = '\0';
    maas_status st = maas_jinja_compile((maas_str){text, strlen(text)}, NULL, &j, err);
    if (st == MAAS_OK)
        st = maas_jinja_render(j, v, trusted, 1700000000, &r, err);
    for (uint32_t i = 0, n = 0; st == MAAS_OK && i < r.n; i++)
        n += (uint32_t)snprintf(out + n, size - n, "%.*s", (int)r.pieces[i].text.n,
                                r.pieces[i].text.p);
    if (st == MAAS_OK)
        maas_rendered_reset(&r);
    maas_jinja_destroy(j);
    json_decref(v);
    return st;
}

static void what_jinja2_says(void)
{
    static const struct {
        const char *text, *vars, *want;
    } rows[] = {
        {"a{{ 1 + 2 * 3 }}b", "{}", "a7b"},
        {"{{ (1 + 2) * 3 }} {{ 7 // 2 }} {{ 7 / 2 }} {{ -7 // 2 }} {{ 2 ** 3 }}", "{}",
         "9 3 3.5 -4 8"},
        {"{{ 'x' ~ 1 ~ true ~ none }}", "{}", "x1TrueNone"},
        {"{% for x in [1, 2, 3] %}{{ loop.index }}{{ ',' if not loop.last }}{% endfor %}", "{}",
         "1,2,3"},
        {"{% for x in a if x > 1 %}{{ x }}{{ loop.length }}{% endfor %}", "{\"a\":[1,2,3]}",
         "2232"},
        {"{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "{\"d\":{\"a\":1,\"b\":\"x\"}}",
         "a=1;b=x;"},
        {"{% if a is defined and b is not defined %}y{% else %}n{% endif %}", "{\"a\":0}", "y"},
        {"{% if a %}1{% elif b %}2{% else %}3{% endif %}", "{\"a\":\"\",\"b\":[0]}", "2"},
        {"{{ 'yes' if a == 'x' else 'no' if b else 'maybe' }}", "{\"a\":1,\"b\":0}", "maybe"},
        {"{% set ns = namespace(n=0) %}{% for x in [1,2] %}{% set ns.n = ns.n + x %}{% endfor %}"
         "{{ ns.n }}",
         "{}", "3"},
        {"{% set x = 1 %}{% for i in [1] %}{% set x = 2 %}{% endfor %}{{ x }}", "{}", "1"},
        {"{{ a['b'][0].c }}{{ a.b[-1].c }}", "{\"a\":{\"b\":[{\"c\":1},{\"c\":2}]}}", "12"},
        {"{{ s[1:] }}|{{ s[:2] }}|{{ s[-2:] }}|{{ s[::-1] }}", "{\"s\":\"abcd\"}",
         "bcd|ab|cd|dcba"},
        {"{{ ' x '.strip() }}{{ 'a,b'.split(',')[1] }}{{ 'abc'.replace('b', '-') }}", "{}",
         "xba-c"},
        {"{{ s | trim | upper }}{{ l | join('-') }}{{ l | length }}{{ l | first }}",
         "{\"s\":\" q \",\"l\":[1,2]}", "Q1-221"},
        {"{{ d | tojson }}", "{\"d\":{\"a\":[1,true,null,\"\\u00e9\\\"\"]}}",
         "{\"a\": [1, true, null, \"\xc3\xa9\\\"\"]}"},
        {"{{ d }}{{ [1.5, 'it\\'s', none] }}", "{\"d\":{\"a\":[1,true,null,\"x\\n\\\"\\u00e9\"]}}",
         "{'a': [1, True, None, 'x\\n\"\xc3\xa9']}[1.5, \"it's\", None]"},
        {"{% macro f(a, b='x', c=none) %}[{{ a }}{{ b }}{{ c }}]{% endmacro %}"
         "{{ f(1) }}{{ f(1, 2) }}{{ f(c=3, a=4) ~ '.' }}{{ f() }}",
         "{}", "[1xNone][12None][4x3].[xNone]"},
        {"{% set y = 7 %}{% macro f(n) -%} {{ n }}{% if n > 0 %},{{ f(n - 1) }}{% endif %}{{ y }}"
         "{%- endmacro %}{% for x in [2] %}{% set y = 8 %}{{ f(x) }}{{ y }}{% endfor %}",
         "{}", "2,1,07778"},
        {"{% macro f(l) %}{% set t = 'in' %}{% for x in l %}{{ x }}{{ loop.last }}{{ t }}{% endfor "
         "%}"
         "{% endmacro %}{% set t = 'out' %}{% set r = f([1, 2]) %}{{ r | length }}{{ r }}{{ t }}",
         "{}", "151Falsein2Trueinout"},
        {"{% macro f(x) %}{{ loop is defined }}{{ z is defined }}{{ m }}{% endmacro %}"
         "{% for z in [1] %}{{ f(z) }}{% endfor %}",
         "{\"m\":\"M\"}", "FalseFalseM"},
        {"{{ s.x is defined }}{{ s.x }}{{ 'a' in q }}", "{\"s\":\"abc\"}", "FalseFalse"},
        {"{{ d | tojson(indent=2) }}", "{\"d\":{\"a\":1}}", "{\n  \"a\": 1\n}"},
        {"x\n  {% if true %}\n  y\n  {% endif %}\nz", "{}", "x\n  y\nz"},
        {"x  {%- if true -%}  y  {%- endif -%}  z", "{}", "xyz"},
        {"{# note #}a{#- b -#}  c", "{}", "ac"},
        {"{{ m | selectattr('r', 'equalto', 'u') | list | length }}",
         "{\"m\":[{\"r\":\"u\"},{\"r\":\"v\"},{\"r\":\"u\"}]}", "2"},
        {"{% set t %}a{{ 1 }}{% endset %}{{ t }}{{ t }}", "{}", "a1a1"},
        {"{{ missing }}{{ missing | default('d') }}", "{}", "d"},
        {"{{ 'a' in 'cat' }}{{ 1 in [2] }}{{ 'k' in d }}{{ 1 not in [2] }}", "{\"d\":{\"k\":1}}",
         "TrueFalseTrueTrue"},
        {"{% for x in range(2, 8, 3) %}{{ x }}{% endfor %}", "{}", "25"},
        {"{% for x in [1,2,3,4] %}{% if x == 2 %}{% continue %}{% endif %}{% if x == 4 %}{% break "
         "%}"
         "{% endif %}{{ x }}{% endfor %}",
         "{}", "13"},
        {"{{ strftime_now('%Y-%m-%d') }}", "{}", "2023-11-14"},
        {"{{ not a and b or 'c' }}", "{\"a\":1,\"b\":2}", "c"},
        {"{{ 'a' if x is none else 'b' }}{{ x is string }}", "{\"x\":null}", "aFalse"},
    };
    char out[512];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        maas_err err = {0};
        EXPECT_MSG(render(rows[i].text, rows[i].vars, out, sizeof out, &err) == MAAS_OK, "%s: %s",
                   rows[i].text, err.msg);
        EXPECT_MSG(strcmp(out, rows[i].want) == 0, "%s: '%s', expected '%s'", rows[i].text, out,
                   rows[i].want);
    }
    EXPECT_EQ(maas_mem_live(), 0);
}

static void hostile_templates_end(void)
{
    static const struct {
        const char *text;
        maas_status want;
        const char *words;
    } rows[] = {
        {"{% for i in range(10**9) %}{% endfor %}", MAAS_E_TOO_LARGE, "steps"},
        {"{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}",
         MAAS_E_TOO_LARGE, ""},
        {"{% set ns = namespace(s='xxxxxxxxxxxxxxxx') %}{% for i in range(60) %}"
         "{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
         MAAS_E_TOO_LARGE, "MiB"},
        {"{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}", MAAS_E_TOO_LARGE, "too deep"},
        {"{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}x{% endmacro %}{{ f(60) "
         "}}",
         MAAS_E_TOO_LARGE, ""},
        {"{% macro f(x) %}{% endmacro %}{{ f(1, 2) }}", MAAS_E_INVALID, "takes 1"},
        {"{% macro f(x) %}{% endmacro %}{{ f(y=1) }}", MAAS_E_INVALID, "'y'"},
        {"{% macro f(x) %}{% break %}{% endmacro %}{% for i in [1] %}{{ f(1) }}{% endfor %}",
         MAAS_E_INVALID, ""},
        {"{% macro f(x", MAAS_E_INVALID, ""},
        {"{% macro f(x) %}", MAAS_E_INVALID, "not ended"},
        {"{% endmacro %}", MAAS_E_INVALID, "out of place"},
        {"{{ raise_exception('no ' ~ 1) }}", MAAS_E_INVALID, "no 1"},
        {"\n\n{% nonsense %}", MAAS_E_UNSUPPORTED, "line 3"},
        {"{{ x.y }}", MAAS_E_INVALID, "not defined"},
        {"{{ 1 | nosuch }}", MAAS_E_UNSUPPORTED, "nosuch"},
        {"{% include 'x' %}", MAAS_E_UNSUPPORTED, "include"},
        {"{% if true %}", MAAS_E_INVALID, "not ended"},
        {"{% endif %}", MAAS_E_INVALID, "out of place"},
        {"{{ (1 }}", MAAS_E_INVALID, ""},
        {"{{ 1 +", MAAS_E_INVALID, ""},
        {"{{ 'x", MAAS_E_INVALID, "without an end"},
        {"{{ 1 // 0 }}", MAAS_E_INVALID, "zero"},
        {"{{ ''.__class__ }}", MAAS_E_INVALID, "no text"},
        {"{{ {1: 2} }}", MAAS_E_UNSUPPORTED, "key"},
        {"{{ {'a': 1: 2: 3} }}", MAAS_E_INVALID, ""},
    };
    char out[64];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        maas_err err = {0};
        EXPECT_MSG(render(rows[i].text, "{}", out, sizeof out, &err) == rows[i].want, "%s: %s",
                   rows[i].text, err.msg);
        EXPECT_MSG(strstr(err.msg, rows[i].words), "%s: %s", rows[i].text, err.msg);
    }
    /* brackets and blocks without end, on no stack of C's */
    enum { DEEP = 20000 };
    char *deep = maas_alloc(DEEP * 16);
    maas_err err = {0};
    deep[0] = '\0';
    for (int i = 0; i < DEEP; i++)
        memcpy(deep + i, i < 3 ? &"{{ "[i] : "(", 2);
    EXPECT_EQ(render(deep, "{}", out, sizeof out, &err), MAAS_E_TOO_LARGE);
    for (int i = 0; i < DEEP; i++)
        memcpy(deep + 12 * i, "{% if true%}", 13);
    err = (maas_err){0};
    EXPECT_EQ(render(deep, "{}", out, sizeof out, &err), MAAS_E_TOO_LARGE);
    maas_free(deep);
    EXPECT_EQ(maas_mem_live(), 0);
}

/* Through concatenation, slices, trims and joins, a user's bytes stay a user's. */
static void trust_is_kept_byte_by_byte(void)
{
    static const char text[] =
        "<a>{{ ('<b>' ~ u ~ '<c>')[1:] | trim }}{{ [u, 't'] | join('+') }}{{ bos_token }}"
        "{% set x = u.replace('l', '<l>') %}{{ x }}";
    static const char *const trusted[] = {"bos_token", NULL};
    static const struct {
        const char *text;
        bool trusted;
    } want[] = {{"<a>b>", true}, {"hello", false}, {"<c>", true},    {"hello", false},
                {"+t<s>", true}, {"he", false},    {"<l><l>", true}, {"o", false}};
    maas_jinja *j = NULL;
    maas_rendered r = {0};
    maas_err err = {0};
    json_t *v = json_loads("{\"u\":\"hello\",\"bos_token\":\"<s>\"}", 0, NULL);
    EXPECT_EQ(maas_jinja_compile((maas_str){text, sizeof text - 1}, NULL, &j, &err), MAAS_OK);
    EXPECT_EQ(maas_jinja_render(j, v, trusted, 0, &r, &err), MAAS_OK);
    EXPECT_STR(err.msg, "");
    EXPECT_EQ(r.n, sizeof want / sizeof *want);
    for (uint32_t i = 0; i < r.n && i < sizeof want / sizeof *want; i++) {
        EXPECT_EQ(r.pieces[i].trusted, want[i].trusted);
        EXPECT_MSG(r.pieces[i].text.n == strlen(want[i].text) &&
                       memcmp(r.pieces[i].text.p, want[i].text, r.pieces[i].text.n) == 0,
                   "piece %u: '%.*s'", i, (int)r.pieces[i].text.n, r.pieces[i].text.p);
    }
    maas_rendered_reset(&r);
    maas_jinja_destroy(j);
    json_decref(v);
    EXPECT_EQ(maas_mem_live(), 0);
}

static const mt_case cases[] = {
    MT_CASE(what_jinja2_says),
    MT_CASE(hostile_templates_end),
    MT_CASE(trust_is_kept_byte_by_byte),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
