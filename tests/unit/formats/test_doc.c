/* One reader over JSON and UBJSON: the same document in both spellings, and what is refused. */
#include "maas_test.h"

#include "formats/doc.h"

#define L(n) "L\0\0\0\0\0\0\0" n

/* {"a": [1, -2, 300], "b": {"c": "x", "d": true}, "e": 1.5} */
static const char json[] = "{\"a\": [1, -2, 300], \"b\": {\"c\": \"x\", \"d\": true}, \"e\": 1.5}";
static const char ubj[] = "{" L("\1") "a[$I#" L("\3") "\0\1\xff\xfe\1\x2c" L("\1") "b{" L(
    "\1") "cS" L("\1") "x" L("\1") "dT}" L("\1") "ed\x3f\xc0\0\0}";

typedef struct seen {
    maas_numbers a;
    char text[8];
    int64_t flag;
    double real;
} seen;

static maas_status read_a(void *ctx, maas_doc *d, maas_err *err)
{
    return maas_doc_numbers(d, &((seen *)ctx)->a, err);
}
static maas_status read_c(void *ctx, maas_doc *d, maas_err *err)
{
    maas_arena a;
    maas_str s;
    maas_arena_init(&a, NULL);
    maas_status st = maas_doc_str(d, &a, &s, err);
    if (st == MAAS_OK)
        snprintf(((seen *)ctx)->text, 8, "%.*s", (int)s.n, s.p);
    maas_arena_reset(&a);
    return st;
}
static maas_status read_d(void *ctx, maas_doc *d, maas_err *err)
{
    return maas_doc_i64(d, &((seen *)ctx)->flag, err);
}
static maas_status read_b(void *ctx, maas_doc *d, maas_err *err)
{
    static const maas_doc_field fields[] = {{"c", read_c}, {"d", read_d}};
    return maas_doc_object(d, fields, 2, ctx, NULL, err);
}
static maas_status read_e(void *ctx, maas_doc *d, maas_err *err)
{
    return maas_doc_f64(d, &((seen *)ctx)->real, err);
}

static maas_status read_all(const char *text, size_t n, seen *s, maas_err *err)
{
    static const maas_doc_field fields[] = {{"a", read_a}, {"b", read_b}, {"e", read_e}};
    maas_doc d;
    maas_doc_init(&d, maas_span_of(text, n));
    maas_status st = maas_doc_object(&d, fields, 3, s, NULL, err);
    if (st == MAAS_OK && maas_doc_next(&d) != MAAS_JSON_END)
        st = maas_doc_fail(&d, "the end", err);
    return st;
}

static void both_spellings_say_the_same(void)
{
    const struct {
        const char *text;
        size_t n;
    } files[] = {{json, sizeof json - 1}, {ubj, sizeof ubj - 1}};
    for (size_t i = 0; i < 2; i++) {
        maas_err err = {0};
        seen s = {.real = 0};
        maas_numbers_init(&s.a, MAAS_I32, NULL);
        maas_status st = read_all(files[i].text, files[i].n, &s, &err);
        EXPECT_MSG(st == MAAS_OK, "%s", err.msg);
        EXPECT_EQ(s.a.n, 3);
        EXPECT_EQ(maas_numbers_i32(&s.a)[1], -2);
        EXPECT_EQ(maas_numbers_i32(&s.a)[2], 300);
        EXPECT_STR(s.text, "x");
        EXPECT_EQ(s.flag, 1);
        EXPECT(s.real == 1.5);
        maas_numbers_reset(&s.a);
    }
}

static void every_cut_is_refused(void)
{
    for (size_t n = 0; n < sizeof ubj - 1; n++) {
        maas_err err = {0};
        seen s = {.real = 0};
        maas_numbers_init(&s.a, MAAS_I32, NULL);
        EXPECT(read_all(ubj, n, &s, &err) == MAAS_E_FORMAT && err.msg[0]);
        maas_numbers_reset(&s.a);
    }
}

static void expect_refused(const char *text, size_t n, const char *words)
{
    maas_err err = {0};
    seen s = {.real = 0};
    maas_numbers_init(&s.a, MAAS_I32, NULL);
    EXPECT_EQ(read_all(text, n, &s, &err), MAAS_E_FORMAT);
    EXPECT_MSG(strstr(err.msg, words), "'%s' is not in '%s'", words, err.msg);
    maas_numbers_reset(&s.a);
}
#define REFUSED(text, words) expect_refused(text, sizeof text - 1, words)

static void lies_are_refused(void)
{
    REFUSED("{" L("\1") "a[$I#" L("\x7f") "\0\1}", "a count that is more than the file holds");
    REFUSED("{" L("\1") "a[$T#" L("\1") "}", "a container of a type that is not read");
    REFUSED("{" L("\1") "a[$I\0\1]}", "a typed array without its count");
    REFUSED("{" L("\1") "a[#i\xff]}", "a negative length");
    REFUSED("{" L("\x7f") "a", "text longer than the file");
    REFUSED("{" L("\1") "ed\x3f\xc0", "the end of the file inside a number");
    REFUSED("{" L("\1") "a[Hi\1"
                        "7]}",
            "an unknown type");
    REFUSED("{" L("\1") "aT}", "a: expected an array of numbers");
    REFUSED("{" L("\1") "a[S" L("\1") "x]}", "a: expected an integer");
    REFUSED("{\"a\": [1, \"x\"]}", "a: expected an integer that fits before byte 13");
    REFUSED("{\"a\": [1.5]}", "an integer");
    REFUSED("{\"a\": [4294967296]}", "an integer that fits");
    REFUSED("{\"b\": {\"c\": 1}}", "b: c: expected text");
    REFUSED("{\"a\": [], \"a\": []}", "'a' is there twice");
    REFUSED("{\"z\": [1,}", "malformed JSON");
    REFUSED("[1]", "expected an object");
    REFUSED("{} {}", "malformed JSON");
}

static void depth_is_bounded(void)
{
    char text[2 * MAAS_MAX_JSON_DEPTH + 8] = "{i\1z";
    size_t n = 4;
    while (n < sizeof text - 1)
        text[n++] = '[';
    expect_refused(text, n, "more levels than are allowed");
}

static void a_budget_bounds_arrays(void)
{
    maas_budget budget = {.limit = 1024};
    maas_numbers v;
    maas_err err = {0};
    maas_numbers_init(&v, MAAS_F64, &budget);
    maas_status st = MAAS_OK;
    for (int i = 0; st == MAAS_OK && i < 1000; i++)
        st = maas_numbers_add(&v, i, &err);
    EXPECT_EQ(st, MAAS_E_NOMEM);
    EXPECT_EQ(v.n, 128);
    maas_numbers_reset(&v);
    EXPECT_EQ(budget.used, 0);
}

static maas_status skip_item(void *ctx, maas_doc *d, maas_err *err)
{
    ++*(int *)ctx;
    return maas_doc_skip(d) ? MAAS_OK : maas_doc_fail(d, "a value", err);
}

static void what_is_not_wanted_is_skipped(void)
{
    static const char text[] = "[1, [2, {\"a\": [3]}], \"]\", {}]";
    static const char bytes[] = "{i\1z[i\1[i\2{i\1a[i\3]}]NSi\1]{}[#i\2TF]}";
    static const maas_doc_field none[] = {{"q", NULL}};
    maas_err err = {0};
    maas_doc d;
    int n = 0;
    maas_doc_init(&d, maas_span_of(text, sizeof text - 1));
    EXPECT_EQ(maas_doc_each(&d, "item", skip_item, &n, &err), MAAS_OK);
    EXPECT_EQ(n, 4);
    maas_doc_init(&d, maas_span_of(bytes, sizeof bytes - 1));
    EXPECT_EQ(maas_doc_object(&d, none, 1, NULL, NULL, &err), MAAS_OK);
    EXPECT_EQ(maas_doc_next(&d), MAAS_JSON_END);
}

static const mt_case cases[] = {
    MT_CASE(both_spellings_say_the_same),
    MT_CASE(every_cut_is_refused),
    MT_CASE(lies_are_refused),
    MT_CASE(depth_is_bounded),
    MT_CASE(a_budget_bounds_arrays),
    MT_CASE(what_is_not_wanted_is_skipped),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
