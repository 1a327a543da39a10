#include "maas_test.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/sys.h"

/* A document as a line of tokens: what the scanner says, in few letters. */
static void trace(maas_json_scan *s, maas_buf *out)
{
    static const char letters[] = {
        [MAAS_JSON_END] = '.',    [MAAS_JSON_OBJECT] = '{',    [MAAS_JSON_ARRAY] = '[',
        [MAAS_JSON_CLOSE] = '/',  [MAAS_JSON_KEY] = 'k',       [MAAS_JSON_STRING] = 's',
        [MAAS_JSON_NUMBER] = 'n', [MAAS_JSON_TRUE] = 't',      [MAAS_JSON_FALSE] = 'f',
        [MAAS_JSON_NULL] = '0',   [MAAS_JSON_NONFINITE] = 'i', [MAAS_JSON_ERROR] = '!'};
    for (;;) {
        maas_json_kind kind = maas_json_next(s);
        maas_buf_char(out, letters[kind]);
        if (kind == MAAS_JSON_END || kind == MAAS_JSON_ERROR)
            return;
    }
}

static void every_construct_is_a_token(void)
{
    static const struct {
        const char *text, *tokens;
    } rows[] = {
        {"{}", "{/."},
        {"[]", "[/."},
        {" 1 ", "n."},
        {"\"a\"", "s."},
        {"true", "t."},
        {"{\"a\":1,\"b\":[true,false,null,\"x\",-1.5e+3],\"c\":{\"d\":{}}}", "{knk[tf0sn/k{k{///."},
        {"[[],[[]],{}]", "[[/[[//{//."},
        {" { \"a\" : [ ] , \"b\" : 0 } ", "{k[/kn/."},
        {"[NaN,Infinity,-Infinity]", "[iii/."},
        {"[0,-0,0.0,1e5,1E-5,-1.25]", "[nnnnnn/."},
    };
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        maas_json_scan s;
        AUTO(maas_buf_reset) maas_buf out = MAAS_BUF_INIT(200);
        maas_json_scan_init(&s, maas_span_str(rows[i].text));
        s.nonfinite = true;
        trace(&s, &out);
        EXPECT_MSG(strcmp(out.p, rows[i].tokens) == 0, "%s: %s", rows[i].text, out.p);
        EXPECT_EQ(maas_json_next(&s), MAAS_JSON_END);
    }
}

static void errors_name_what_and_where(void)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"", "the end of the text inside a value at byte 0"},
        {"  ", "the end of the text inside a value at byte 2"},
        {"{", "something other than a key at byte 1"},
        {"{1:2}", "something other than a key at byte 1"},
        {"{\"a\"}", "a key without a colon at byte 4"},
        {"{\"a\":}", "an unexpected character at byte 5"},
        {"{\"a\":1,}", "something other than a key at byte 7"},
        {"{\"a\":1 \"b\":2}", "a value without a comma or the right bracket after it at byte 7"},
        {"[1,]", "an unexpected character at byte 3"},
        {"[1}", "a value without a comma or the right bracket after it at byte 2"},
        {"{\"a\":1]", "a value without a comma or the right bracket after it at byte 6"},
        {"[1", "the end of the text inside an object or array at byte 2"},
        {"[1]]", "more text after the end at byte 3"},
        {"1 2", "more text after the end at byte 2"},
        {"[01]", "a number with a leading zero at byte 3"},
        {"[-]", "a number without digits at byte 2"},
        {"[1.]", "a number without digits after the point at byte 3"},
        {"[1e]", "a number without digits in the exponent at byte 3"},
        {"[1e+]", "a number without digits in the exponent at byte 4"},
        {"[.5]", "an unexpected character at byte 1"},
        {"[+5]", "an unexpected character at byte 1"},
        {"[tru]", "an unexpected character at byte 1"},
        {"[NaN]", "NaN or Infinity, which are not JSON, at byte 1"},
        {"\"abc", "a string without its closing quote at byte 4"},
        {"\"a\nb\"", "a control character in a string at byte 2"},
        {"\"a\\x\"", "a bad escape in a string at byte 2"},
        {"\"a\\u12g4\"", "a bad escape in a string at byte 2"},
        {"\"a\\u12", "a bad escape in a string at byte 2"},
        {"\"\\ud800\"", "half of a surrogate pair in a string at byte 1"},
        {"\"\\ud800xu0041\"", "half of a surrogate pair in a string at byte 1"},
        {"\"\\udc00\\ud800\"", "half of a surrogate pair in a string at byte 1"},
        {"\"\xff\"", "a string that is not UTF-8 at byte 1"},
        {"\"\xc0\x80\"", "a string that is not UTF-8 at byte 1"},
        {"\"\xe2\x82", "a string that is not UTF-8 at byte 1"},
        {"'a'", "an unexpected character at byte 0"},
        {"[1 /* no */]", "a value without a comma or the right bracket after it at byte 3"},
    };
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        maas_json_scan s;
        AUTO(maas_buf_reset) maas_buf out = MAAS_BUF_INIT(200);
        maas_json_scan_init(&s, maas_span_str(rows[i].text));
        trace(&s, &out);
        EXPECT(out.p[out.n - 1] == '!');
        EXPECT_EQ(s.err.code, MAAS_E_INVALID);
        EXPECT_MSG(strncmp(s.err.msg, "malformed JSON: ", 16) == 0, "%s", s.err.msg);
        EXPECT_STR(s.err.msg + 16, rows[i].words);
        EXPECT_EQ(maas_json_next(&s), MAAS_JSON_ERROR);
    }
}

static void depth_is_bounded(void)
{
    char text[2 * MAAS_MAX_JSON_DEPTH + 3];
    for (int depth = MAAS_MAX_JSON_DEPTH; depth <= MAAS_MAX_JSON_DEPTH + 1; depth++) {
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        maas_json_scan s;
        AUTO(maas_buf_reset) maas_buf out = MAAS_BUF_INIT(500);
        maas_json_scan_init(&s, maas_span_of(text, (size_t)depth * 2));
        trace(&s, &out);
        EXPECT_EQ(out.p[out.n - 1], depth == MAAS_MAX_JSON_DEPTH ? '.' : '!');
        json_t *j = NULL;
        maas_err err = {0};
        maas_status st = maas_json_parse(maas_span_of(text, (size_t)depth * 2), &j, &err);
        EXPECT_EQ(st, depth == MAAS_MAX_JSON_DEPTH ? MAAS_OK : MAAS_E_INVALID);
        maas_buf_clear(&out);
        if (j)
            maas_json_dump(j, &out);
        EXPECT(!j || (out.n == (size_t)depth * 2 && memcmp(out.p, text, out.n) == 0));
        maas_json_unref(&j);
    }
}

static void skipping_lands_behind_the_value(void)
{
    maas_json_scan s;
    maas_json_scan_init(
        &s, maas_span_str("{\"a\":{\"x\":[1,{\"y\":2}]},\"b\":7,\"c\":[[],[3]],\"d\":\"e\"}"));
    EXPECT_EQ(maas_json_next(&s), MAAS_JSON_OBJECT);
    for (const char *key = "abcd"; *key; key++) {
        EXPECT_EQ(maas_json_next(&s), MAAS_JSON_KEY);
        EXPECT(s.text.n == 1 && *s.text.p == *key);
        EXPECT(maas_json_skip(&s));
    }
    EXPECT_EQ(maas_json_next(&s), MAAS_JSON_CLOSE);
    EXPECT_EQ(maas_json_next(&s), MAAS_JSON_END);
    EXPECT(!maas_json_skip(&s));

    maas_json_scan_init(&s, maas_span_str("[{\"a\":[1]},5]"));
    EXPECT_EQ(maas_json_next(&s), MAAS_JSON_ARRAY);
    EXPECT_EQ(maas_json_next(&s), MAAS_JSON_OBJECT);
    EXPECT(maas_json_skip(&s));
    EXPECT_EQ(maas_json_next(&s), MAAS_JSON_NUMBER);
    maas_json_scan_init(&s, maas_span_str("{\"a\":[1,}"));
    EXPECT_EQ(maas_json_next(&s), MAAS_JSON_OBJECT);
    EXPECT_EQ(maas_json_next(&s), MAAS_JSON_KEY);
    EXPECT(!maas_json_skip(&s));
}

static void arrays_are_walked_value_by_value(void)
{
    maas_json_scan s;
    maas_json_scan_init(&s, maas_span_str("{\"a\": [1, [2,3] ,\"x\" ],\"b\":[]}"));
    EXPECT(maas_json_at_value(&s) && *s.rest.p == '{');
    EXPECT_EQ(maas_json_next(&s), MAAS_JSON_OBJECT);
    EXPECT(!maas_json_at_value(&s)); /* a key is next */
    EXPECT_EQ(maas_json_next(&s), MAAS_JSON_KEY);
    EXPECT(maas_json_at_array(&s));
    EXPECT_EQ(maas_json_next(&s), MAAS_JSON_ARRAY);
    char first[8] = "";
    size_t n = 0;
    while (maas_json_at_value(&s)) {
        first[n++] = (char)*s.rest.p;
        EXPECT(maas_json_at_value(&s)); /* asking again moves nothing */
        EXPECT(maas_json_skip(&s));
    }
    EXPECT_STR(first, "1[\"");
    EXPECT_EQ(maas_json_next(&s), MAAS_JSON_CLOSE);
    EXPECT_EQ(maas_json_next(&s), MAAS_JSON_KEY);
    EXPECT_EQ(maas_json_next(&s), MAAS_JSON_ARRAY);
    EXPECT(!maas_json_at_value(&s));
    EXPECT_EQ(maas_json_next(&s), MAAS_JSON_CLOSE);
    EXPECT_EQ(maas_json_next(&s), MAAS_JSON_CLOSE);
    EXPECT_EQ(maas_json_next(&s), MAAS_JSON_END);
    EXPECT(!maas_json_at_value(&s));
    maas_json_scan_init(&s, maas_span_str("[1,]"));
    EXPECT_EQ(maas_json_next(&s), MAAS_JSON_ARRAY);
    EXPECT_EQ(maas_json_next(&s), MAAS_JSON_NUMBER);
    EXPECT(maas_json_at_value(&s)); /* a value must follow; that it does not is the next error */
    EXPECT_EQ(maas_json_next(&s), MAAS_JSON_ERROR);
    maas_json_scan_init(&s, maas_span_str(""));
    EXPECT(!maas_json_at_value(&s));
}

static void escapes_are_resolved(void)
{
    static const struct {
        const char *raw, *text;
        size_t n;
    } rows[] = {
        {"", "", 0},
        {"plain", "plain", 5},
        {"\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t", 8},
        {"\\u0041\\u00e9\\u20AC\\ud83d\\uDE00", "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 10},
        {"x\\u0000y", "x\0y", 3},
    };
    static const char *const bad[] = {"\\",      "\\x",        "\\u12",          "\\ud800",
                                      "\\udc00", "\\ud800\\n", "\\ud800\\u0041", "a\\"};
    maas_arena a;
    maas_arena_init(&a, NULL);
    size_t n;
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        char *text = maas_json_unescape(&a, maas_span_str(rows[i].raw), &n);
        EXPECT_MSG(text && n == rows[i].n && memcmp(text, rows[i].text, n + 1) == 0, "%s",
                   rows[i].raw);
    }
    for (size_t i = 0; i < MAAS_COUNT(bad); i++)
        EXPECT_MSG(!maas_json_unescape(&a, maas_span_str(bad[i]), &n), "%s", bad[i]);
    maas_mem_fail_at(1);
    maas_arena_reset(&a);
    EXPECT(!maas_json_unescape(&a, maas_span_str("abc"), &n));
    maas_arena_reset(&a);
    EXPECT_EQ(maas_mem_live(), 0);
}

/* jansson is the reference: what it takes the scanner takes, and the other way round (UTF-8, depth,
 * duplicate keys and numbers too large for it aside). */
static void the_scanner_agrees_with_a_parser(void)
{
    static const char alphabet[] = "{}[]\"\"::,,0123.-+eE\\untrufalsn \n\t{}[]\"";
    static const char *const good[] = {"{\"a\":[1,2.5e3,true],\"b\":{\"c\":null,\"d\":\"x\\n\"}}",
                                       "[[1,2],[3,[4]],\"\\u00e9\",-0.5]"};
    maas_rng r;
    maas_rng_seed(&r, 31);
    int n_good = 0;
    for (int i = 0; i < 300000; i++) {
        char text[80];
        size_t n;
        if (i % 2) {
            n = maas_rng_below(&r, 12);
            for (size_t k = 0; k < n; k++)
                text[k] = alphabet[maas_rng_below(&r, sizeof alphabet - 1)];
        } else {
            n = (size_t)snprintf(text, sizeof text, "%s", good[i / 2 % 2]);
            for (int k = 0; k < 1 + i % 3; k++)
                text[maas_rng_below(&r, n)] = alphabet[maas_rng_below(&r, sizeof alphabet - 1)];
        }
        maas_json_scan s;
        json_error_t why;
        maas_json_scan_init(&s, maas_span_of(text, n));
        AUTO(maas_buf_reset) maas_buf out = MAAS_BUF_INIT(500);
        trace(&s, &out);
        bool ok = out.p[out.n - 1] == '.';
        json_t *j = json_loadb(text, n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
        if (!j && (json_error_code(&why) == json_error_numeric_overflow))
            continue;
        EXPECT_MSG(ok == !!j, "%.*s: scanner %d, jansson %d %s", (int)n, text, ok, !!j,
                   j ? "" : why.text);
        n_good += ok;
        json_decref(j);
    }
    EXPECT(n_good > 1000);
}

static void a_tree_survives_the_way_through_text(void)
{
    static const char text[] = "{\"b\":[1,-2,0.1,1e300,true,false,null,\"a\\n\\\"\\\\\xc3\xa9\"],"
                               "\"a\":{},\"c\":[],\"d\":1.0,\"\":[[{}]]}";
    json_t *j = NULL;
    maas_err err = {0};
    AUTO(maas_buf_reset) maas_buf out = MAAS_BUF_INIT(1000);
    EXPECT_EQ(maas_json_parse(maas_span_str(text), &j, &err), MAAS_OK);
    maas_json_dump(j, &out);
    EXPECT_STR(out.p, text);
    maas_json_unref(&j);
    EXPECT(j == NULL);
    maas_json_unref(&j);
}

static void bad_documents_are_refused(void)
{
    static const char *const bad[] = {
        "",          "{",     "{\"a\":1,\"a\":2}",      "{} x",    "[1,2",
        "nul",       "[NaN]", "[99999999999999999999]", "[1e999]", "\"\\u0000",
        "[\"\xff\"]"};
    for (size_t i = 0; i < MAAS_COUNT(bad); i++) {
        json_t *j = (json_t *)1;
        maas_err err = {0};
        EXPECT_MSG(maas_json_parse(maas_span_str(bad[i]), &j, &err) == MAAS_E_INVALID, "%s",
                   bad[i]);
        EXPECT(j == (json_t *)1);
        EXPECT_MSG(strncmp(err.msg, "malformed JSON: ", 16) == 0 && strstr(err.msg, "at byte"),
                   "%s", err.msg);
    }
}

static void getters_name_the_field_and_the_bounds(void)
{
    json_t *o = NULL;
    EXPECT_EQ(maas_json_parse(
                  maas_span_str("{\"s\":\"x\",\"i\":5,\"f\":0.5,\"b\":true,\"n\":null}"), &o, NULL),
              MAAS_OK);
    const char *s = "preset";
    int64_t i = 1;
    double f = 1;
    bool b = false;
    EXPECT_EQ(maas_json_get_str(o, "p", "s", &s, NULL), MAAS_OK);
    EXPECT_STR(s, "x");
    EXPECT_EQ(maas_json_get_i64(o, "p", "i", 0, 5, &i, NULL), MAAS_OK);
    EXPECT_EQ(i, 5);
    EXPECT_EQ(maas_json_get_f64(o, "p", "f", 0, 1, &f, NULL), MAAS_OK);
    EXPECT(f == 0.5);
    EXPECT_EQ(maas_json_get_f64(o, "p", "i", 0, 9, &f, NULL), MAAS_OK);
    EXPECT(f == 5);
    EXPECT_EQ(maas_json_get_bool(o, "p", "b", &b, NULL), MAAS_OK);
    EXPECT(b);
    i = 42;
    EXPECT_EQ(maas_json_get_i64(o, "p", "missing", 0, 5, &i, NULL), MAAS_OK);
    EXPECT_EQ(maas_json_get_i64(o, "p", "n", 0, 5, &i, NULL), MAAS_OK);
    EXPECT_EQ(i, 42);

    maas_err err = {0};
    EXPECT_EQ(maas_json_get_i64(o, "params.optimizer", "i", 6, 9, &i, &err), MAAS_E_INVALID);
    EXPECT_STR(err.msg, "params.optimizer.i must be an integer from 6 to 9");
    err = (maas_err){0};
    EXPECT_EQ(maas_json_get_i64(o, "", "f", 0, 9, &i, &err), MAAS_E_INVALID);
    EXPECT_STR(err.msg, "f must be an integer from 0 to 9");
    err = (maas_err){0};
    EXPECT_EQ(maas_json_get_f64(o, NULL, "s", 0, 9.5, &f, &err), MAAS_E_INVALID);
    EXPECT_STR(err.msg, "s must be a number from 0 to 9.5");
    err = (maas_err){0};
    EXPECT_EQ(maas_json_get_str(o, "p", "i", &s, &err), MAAS_E_INVALID);
    EXPECT_STR(err.msg, "p.i must be a string");
    err = (maas_err){0};
    EXPECT_EQ(maas_json_get_bool(o, "p", "i", &b, &err), MAAS_E_INVALID);
    EXPECT_STR(err.msg, "p.i must be true or false");
    EXPECT_EQ(i, 42);
    maas_json_unref(&o);
}

static void unknown_fields_get_a_hint(void)
{
    static const char *const keys[] = {"epochs", "batch_size", "seed", NULL};
    json_t *o = NULL;
    maas_err err = {0};
    EXPECT_EQ(maas_json_parse(maas_span_str("{\"seed\":1,\"batchsize\":2}"), &o, NULL), MAAS_OK);
    EXPECT_EQ(maas_json_only(o, "params", keys, &err), MAAS_E_INVALID);
    EXPECT_STR(err.msg, "unknown field 'params.batchsize', did you mean 'batch_size'?");
    maas_json_unref(&o);
    err = (maas_err){0};
    EXPECT_EQ(maas_json_parse(maas_span_str("{\"zzz\":1}"), &o, NULL), MAAS_OK);
    EXPECT_EQ(maas_json_only(o, "", keys, &err), MAAS_E_INVALID);
    EXPECT_STR(err.msg, "unknown field 'zzz'");
    maas_json_unref(&o);
    err = (maas_err){0};
    EXPECT_EQ(maas_json_parse(maas_span_str("[1]"), &o, NULL), MAAS_OK);
    EXPECT_EQ(maas_json_only(o, "", keys, &err), MAAS_E_INVALID);
    EXPECT_STR(err.msg, "the body must be an object");
    maas_json_unref(&o);
    EXPECT_EQ(maas_json_parse(maas_span_str("{\"seed\":1,\"epochs\":2}"), &o, NULL), MAAS_OK);
    EXPECT_EQ(maas_json_only(o, "", keys, &err), MAAS_OK);
    maas_json_unref(&o);
}

static const mt_case cases[] = {
    MT_CASE(every_construct_is_a_token),
    MT_CASE(errors_name_what_and_where),
    MT_CASE(depth_is_bounded),
    MT_CASE(skipping_lands_behind_the_value),
    MT_CASE(arrays_are_walked_value_by_value),
    MT_CASE(escapes_are_resolved),
    MT_CASE(the_scanner_agrees_with_a_parser),
    MT_CASE(a_tree_survives_the_way_through_text),
    MT_CASE(bad_documents_are_refused),
    MT_CASE(getters_name_the_field_and_the_bounds),
    MT_CASE(unknown_fields_get_a_hint),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
