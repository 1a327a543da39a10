/* Schemas: a case for every keyword that is known, what is refused and where. Against the
 * jsonschema package, by chance: tests/client/test_schemas.py. */
#include "maas_test.h"

#include "base/sys.h"
#include "rig.h"

typedef struct schema_case {
    const char *keyword, *schema;
    const char *fits[6], *not [6];
} schema_case;

#define OPEN(...) "{\"type\":\"object\",\"properties\":{" __VA_ARGS__ "}}"
#define A         "\"a\":{\"type\":\"integer\"}"
static const schema_case cases[] = {
    {"type", "{\"type\":\"null\"}", {"null"}, {"", "nul", "0", "nulll"}},
    {"type",
     "{\"type\":[\"boolean\",\"integer\"]}",
     {"true", "false", "-12", "0"},
     {"01", "1.5", "\"a\"", "+1"}},
    {"type",
     "{\"type\":\"number\"}",
     {"0", "-1.25", "1e10", "2.5E-3"},
     {"1.", ".5", "1e", "1e999", "--1"}},
    {"type",
     "{\"type\":\"string\"}",
     {"\"\"", "\"\\u00e9\\\"\\n\"", "\"\xf0\x9f\x98\x80\\ud83d\\ude00\""},
     {"\"", "\"\n\"", "\"\\x\"", "\"\\ud83d\"", "\"\\ude00\"", "\"\xff\""}},
    {"properties",
     OPEN(A ",\"b\":{\"type\":\"null\"}"),
     {"{}", "{\"a\": 1}", "{\"a\":1,\"b\":null}", "{\n  \"b\": null\n}", "{ \"a\": 1 }"},
     {"{\"b\":null,\"a\":1}", "{\"a\":1,\"a\":1}", "{\"c\":1}", "{\"a\": 1,}", "{,}",
      "{\"a\" : 1}"}},
    {"required",
     "{\"type\":\"object\",\"properties\":{" A ",\"b\":{}},\"required\":[\"b\",\"z\"]}",
     {"{\"b\":[],\"z\":1}", "{\"a\":1,\"b\":{},\"z\":0}"},
     {"{\"a\":1}", "{}", "{\"z\":1,\"b\":1}", "{\"b\":1}"}},
    {"additionalProperties",
     "{\"type\":\"object\",\"properties\":{\"ab\":{}},\"additionalProperties\":{\"type\":\"null\"}"
     "}",
     {"{}", "{\"a\":null}", "{\"ab\":1,\"abc\":null,\"\":null}", "{\"b\":null}", "{\"\\\"\":null}"},
     {"{\"a\":1}", "{\"ab\":1,\"ab\":null}", "{\"\\u0061b\":null}"}},
    {"additionalProperties",
     "{\"type\":\"object\",\"properties\":{" A "},\"additionalProperties\":true}",
     {"{\"a\":1,\"b\":[{}]}", "{\"b\":1}"},
     {"{\"b\":1,\"a\":1}"}},
    {"items",
     "{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}",
     {"[]", "[1]", "[1, 2,3]", "[\n 1\n]"},
     {"[1,]", "[\"a\"]", "[,1]", "[1 ,2]"}},
    {"prefixItems",
     "{\"type\":\"array\",\"prefixItems\":[{\"type\":\"null\"},{\"const\":1}],\"items\":{\"type\":"
     "\"boolean\"}}",
     {"[]", "[null]", "[null,1]", "[null,1,true,false]"},
     {"[1]", "[null,2]", "[null,true]", "[null,1,null]"}},
    {"minItems", "{\"type\":\"array\",\"minItems\":2}", {"[1,2]", "[[],{},null]"}, {"[]", "[1]"}},
    {"maxItems",
     "{\"type\":\"array\",\"items\":{\"enum\":[1]},\"maxItems\":2}",
     {"[]", "[1,1]"},
     {"[1,1,1]"}},
    {"maxItems", "{\"maxItems\":0}", {"[]", "[ ]"}, {"[1]"}},
    {"minLength",
     "{\"type\":\"string\",\"minLength\":2}",
     {"\"ab\"", "\"\\n\xc3\xa9\"", "\"abcdefgh\""},
     {"\"\"", "\"a\"", "\"\\n\""}},
    {"maxLength",
     "{\"type\":\"string\",\"maxLength\":2}",
     {"\"\"", "\"\\ud83d\\ude00\xf0\x9f\x98\x80\""},
     {"\"abc\"", "\"\\u0041bc\""}},
    {"pattern",
     "{\"type\":\"string\",\"pattern\":\"^[a-c]+\\\\.\\\"?$\"}",
     {"\"a.\"", "\"abc.\\\"\""},
     {"\".\"", "\"a\"", "\"a.x\""}},
    {"pattern", "{\"pattern\":\"b\"}", {"\"b\"", "\"abc\""}, {"\"a\"", "\"\""}},
    {"format",
     "{\"type\":\"string\",\"format\":\"date\"}",
     {"\"2024-02-29\"", "\"2000-02-29\"", "\"1999-12-31\""},
     {"\"1900-02-29\"", "\"2023-02-29\"", "\"2024-04-31\"", "\"0000-01-01\"", "\"2024-1-1\""}},
    {"format",
     "{\"format\":\"uuid\"}",
     {"\"123e4567-e89b-12d3-a456-426614174000\""},
     {"\"123e4567\""}},
    {"format",
     "{\"format\":\"date-time\"}",
     {"\"2024-02-29T23:59:59.5+01:00\"", "\"2024-01-01T00:00:00Z\""},
     {"\"2024-01-01 00:00:00Z\"", "\"2024-01-01T24:00:00Z\"", "\"2024-01-01T00:00:00\""}},
    {"format", "{\"format\":\"time\"}", {"\"23:59:00Z\""}, {"\"23:60:00Z\""}},
    {"format",
     "{\"format\":\"email\"}",
     {"\"a.b@c-d.example\""},
     {"\"a@b\"", "\"@b.c\"", "\"a b@c.d\""}},
    {"format",
     "{\"format\":\"ipv4\"}",
     {"\"255.0.10.9\""},
     {"\"256.0.0.0\"", "\"1.2.3\"", "\"01.2.3.4\""}},
    {"minimum",
     "{\"type\":\"integer\",\"minimum\":-12}",
     {"-12", "0", "7", "1234567"},
     {"-13", "-100"}},
    {"maximum",
     "{\"type\":\"integer\",\"minimum\":95,\"maximum\":1205}",
     {"95", "100", "999", "1205"},
     {"94", "9", "1206", "2000", "-95"}},
    {"maximum",
     "{\"type\":\"number\",\"maximum\":-2.5}",
     {"-2.5", "-2.50", "-3", "-100.25"},
     {"-2.4", "0", "2.6", "-2"}},
    {"exclusiveMinimum",
     "{\"type\":\"number\",\"exclusiveMinimum\":0,\"maximum\":1}",
     {"0.001", "1", "1.0", "0.5"},
     {"0", "0.0", "1.01", "-0.5"}},
    {"exclusiveMinimum",
     "{\"type\":\"integer\",\"exclusiveMinimum\":3,\"exclusiveMaximum\":6}",
     {"4", "5"},
     {"3", "6"}},
    {"exclusiveMaximum",
     "{\"type\":\"number\",\"minimum\":1.25,\"exclusiveMaximum\":1.5}",
     {"1.25", "1.4999"},
     {"1.5", "1.2", "1.500", "1"}},
    {"enum",
     "{\"enum\":[\"a\",1,null,{\"b\":[true,\"\\n\"]},[]]}",
     {"\"a\"", "1", "null", "{\"b\": [true, \"\\n\"]}", "[]"},
     {"\"b\"", "{}", "true"}},
    {"enum", "{\"type\":\"integer\",\"enum\":[\"a\",1,20],\"maximum\":9}", {"1"}, {"\"a\"", "20"}},
    {"const", "{\"const\":\"\xc3\xa9\\\"\"}", {"\"\xc3\xa9\\\"\""}, {"\"e\"", "null"}},
    {"anyOf",
     "{\"anyOf\":[{\"type\":\"null\"},{\"type\":\"integer\",\"maximum\":0}]}",
     {"null", "-5", "0"},
     {"1", "\"\""}},
    {"anyOf",
     "{\"type\":\"integer\",\"minimum\":3,\"anyOf\":[{\"maximum\":5},{\"minimum\":10}]}",
     {"3", "5", "10", "99"},
     {"2", "6", "9"}},
    {"oneOf",
     "{\"oneOf\":[{\"type\":\"string\",\"maxLength\":1},{\"type\":\"integer\"}]}",
     {"\"a\"", "3"},
     {"\"ab\"", "null"}},
    {"oneOf",
     "{\"oneOf\":[{\"type\":\"object\",\"properties\":{\"k\":{\"const\":\"x\"}},\"required\":["
     "\"k\"]},{\"type\":\"object\",\"properties\":{\"k\":{\"const\":\"y\"}},\"required\":[\"k\"]}]"
     "}",
     {"{\"k\":\"x\"}", "{\"k\":\"y\"}"},
     {"{\"k\":\"z\"}", "{}"}},
    {"allOf",
     "{\"allOf\":[{\"type\":\"integer\",\"minimum\":3},{\"maximum\":5}]}",
     {"3", "5"},
     {"2", "6"}},
    {"allOf",
     "{\"allOf\":[" OPEN(A) ",{\"properties\":{\"b\":{\"type\":\"null\"},\"a\":{\"minimum\":3}},"
                            "\"required\":[\"a\"]}]}",
     {"{\"a\":3}", "{\"a\":4,\"b\":null}"},
     {"{\"a\":2}", "{\"b\":null}"}},
    {"$ref",
     "{\"$ref\":\"#/$defs/a~1b\",\"$defs\":{\"a/b\":{\"type\":\"null\"}}}",
     {"null"},
     {"1"}},
    {"$ref",
     "{\"$ref\":\"#/$defs/"
     "x\",\"maximum\":5,\"$defs\":{\"x\":{\"type\":\"integer\",\"minimum\":4}}}",
     {"4", "5"},
     {"3", "6"}},
    {"$defs",
     "{\"type\":\"object\",\"properties\":{\"v\":{\"type\":\"integer\"},\"n\":{\"$ref\":\"#/$defs/"
     "l\"}},\"required\":[\"v\"],\"$defs\":{\"l\":{\"anyOf\":[{\"$ref\":\"#\"},{\"type\":\"null\"}]"
     "}}}",
     {"{\"v\":1}", "{\"v\":1,\"n\":{\"v\":2,\"n\":null}}"},
     {"{\"n\":null}", "{\"v\":1,\"n\":{}}"}},
    {"definitions",
     "{\"$ref\":\"#/definitions/a\",\"definitions\":{\"a\":{\"const\":1}}}",
     {"1"},
     {"2"}},
    {"title", "{\"title\":\"T\",\"const\":1}", {"1"}, {"2"}},
    {"description", "{\"description\":5,\"const\":1}", {"1"}, {"2"}},
    {"default", "{\"default\":2,\"const\":1}", {"1"}, {"2"}},
    {"example", "{\"example\":2,\"const\":1}", {"1"}, {"2"}},
    {"examples", "{\"examples\":[2],\"const\":1}", {"1"}, {"2"}},
    {"deprecated", "{\"deprecated\":true,\"const\":1}", {"1"}, {"2"}},
    {"readOnly", "{\"readOnly\":true,\"const\":1}", {"1"}, {"2"}},
    {"writeOnly", "{\"writeOnly\":true,\"const\":1}", {"1"}, {"2"}},
    {"discriminator", "{\"discriminator\":{\"propertyName\":\"k\"},\"const\":1}", {"1"}, {"2"}},
    {"$schema",
     "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"const\":1}",
     {"1"},
     {"2"}},
    {"$id", "{\"$id\":\"https://example.com/x\",\"const\":1}", {"1"}, {"2"}},
    {"$comment", "{\"$comment\":\"no\",\"const\":1}", {"1"}, {"2"}},
    {"", "true", {"{\"a\":[1,{}]}", "null", "[[]]"}, {"", "tru"}},
    {"", "{}", {"{}", "-0.5"}, {"x"}},
};

static void every_keyword_holds(void)
{
    rig r;
    EXPECT(rig_open(&r, NULL));
    for (size_t i = 0; i < MAAS_COUNT(cases); i++) {
        const schema_case *c = &cases[i];
        maas_err err = {0};
        maas_grammar *g;
        const maas_status st = rig_make(&r, MAAS_GRAMMAR_SCHEMA,
                                        (maas_str){c->schema, strlen(c->schema)}, &g, &err);
        EXPECT_MSG(st == MAAS_OK, "%s: %s", c->schema, err.msg);
        for (int k = 0; st == MAAS_OK && k < 6; k++) {
            const char *yes = c->fits[k], *no = c->not [k];
            EXPECT_MSG(!yes || rig_fits(g, (maas_str){yes, strlen(yes)}) == 1, "%s ! '%s'",
                       c->schema, yes);
            EXPECT_MSG(!no || rig_fits(g, (maas_str){no, strlen(no)}) == 0, "%s : '%s'", c->schema,
                       no);
        }
        if (st == MAAS_OK)
            maas_grammar_unref(g);
    }
    rig_close(&r);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void every_keyword_has_a_case(void)
{
    const char *name;
    for (size_t i = 0; (name = maas_grammar_schema_keyword(i)); i++) {
        bool found = false;
        for (size_t k = 0; k < MAAS_COUNT(cases); k++)
            found = found || strcmp(cases[k].keyword, name) == 0;
        EXPECT_MSG(found, "the keyword '%s' has no case here", name);
    }
}

static void what_is_not_known_is_named_with_its_place(void)
{
    static const struct {
        const char *schema, *word, *place;
    } wrong[] = {
        {"{\"not\":{}}", "'not'", "#/not"},
        {"{\"type\":\"object\",\"properties\":{\"a/b\":{\"if\":{}}}}", "'if'",
         "#/properties/a~1b/if"},
        {"{\"type\":\"array\",\"items\":{\"contains\":1}}", "'contains'", "#/items/contains"},
        {"{\"$ref\":\"#/$defs/x\",\"$defs\":{\"x\":{\"multipleOf\":2}}}", "'multipleOf'",
         "#/$defs/x/multipleOf"},
        {"{\"anyOf\":[{},{\"minProperties\":2}]}", "'minProperties'", "#/anyOf/1/minProperties"},
        {"{\"type\":\"text\"}", "'type'", "#/type"},
        {"{\"type\":[]}", "'type'", "#/type"},
        {"{\"minimum\":\"a\"}", "'minimum'", "#/minimum"},
        {"{\"minLength\":-1}", "'minLength'", "#/minLength"},
        {"{\"minLength\":1.5}", "'minLength'", "#/minLength"},
        {"{\"required\":[1]}", "'required'", "#/required"},
        {"{\"properties\":[]}", "'properties'", "#/properties"},
        {"{\"properties\":{\"a\":1}}", "a schema must be", "#/properties/a"},
        {"{\"items\":[{}]}", "prefixItems", "#/items"},
        {"{\"enum\":[]}", "'enum'", "#/enum"},
        {"{\"anyOf\":{}}", "'anyOf'", "#/anyOf"},
        {"{\"pattern\":\"(\"}", "')'", "#"},
        {"{\"type\":\"object\",\"properties\":{\"p\":{\"pattern\":\"(?=a)\"}}}", "(?",
         "#/properties/p"},
        {"{\"format\":\"colour\"}", "'colour'", "#"},
        {"{\"pattern\":\"a\",\"maxLength\":3}", "only one", "#"},
        {"{\"enum\":[\"a\"],\"pattern\":\"a\"}", "'pattern'", "#"},
        {"{\"$ref\":\"other.json\"}", "other.json", "#"},
        {"{\"$ref\":\"#/$defs/none\"}", "no such place", "#"},
        {"{\"$ref\":\"#\"}", "left recursion", ""},
        {"{\"allOf\":[{\"$ref\":\"#\"}]}", "circle", ""},
        {"{\"allOf\":[{\"pattern\":\"a\"},{\"pattern\":\"b\"}]}", "'pattern' is asked for twice",
         "#"},
        {"{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"number\"}]}", "oneOf", "#/oneOf/1"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{}},\"required\":[\"b\"],"
         "\"additionalProperties\":false}",
         "'b' is required", "#"},
        {"{\"type\":\"integer\",\"minimum\":5,\"maximum\":4}", "no text that ends", ""},
        {"{\"type\":\"number\",\"minimum\":1e-30}", "digits", "#"},
        {"{\"type\":\"object\",\"properties\":{\"n\":{\"$ref\":\"#\"}},\"required\":[\"n\"]}",
         "no text that ends", ""},
        {"{\"type\":\"string\",\"maxLength\":200000}", "200000", "#"},
        {"false", "no text that ends", ""},
        {"[]", "a schema must be", "#"},
    };
    rig r;
    EXPECT(rig_open(&r, NULL));
    for (size_t i = 0; i < MAAS_COUNT(wrong); i++) {
        maas_err err = {0};
        maas_grammar *g;
        const maas_status st = rig_make(&r, MAAS_GRAMMAR_SCHEMA,
                                        (maas_str){wrong[i].schema, strlen(wrong[i].schema)}, &g,
                                        &err);
        EXPECT_MSG(st != MAAS_OK && strstr(err.msg, wrong[i].word) &&
                       strstr(err.msg, wrong[i].place),
                   "%s: %s", wrong[i].schema, err.msg);
        if (st == MAAS_OK)
            maas_grammar_unref(g);
    }
    rig_close(&r);
    EXPECT_EQ(maas_mem_live(), 0);
}

/* Schemas that are large, or that would grow: an answer or a sentence, soon. */
static void bombs_end_soon(void)
{
    static const struct {
        const char *head, *part, *tail;
        int n;
    } bombs[] = {
        {"{\"enum\":[0", ",123456789", "]}", 90000},
        {"{\"type\":\"object\",\"properties\":{", "\"p%d\":{\"type\":\"string\",\"maxLength\":9},",
         "\"z\":{}}}", 20000},
        {"{\"type\":\"object\",\"additionalProperties\":true,\"properties\":{", "\"p%d\":{},",
         "\"z\":{}}}", 40000},
        {"{\"oneOf\":[", "{\"const\":%d},", "{\"const\":-1}]}", 2000},
        {"{\"allOf\":[", "{\"anyOf\":[{\"minimum\":%d},{\"maximum\":%d}]},", "{}]}", 40},
        {"{\"allOf\":[", "{\"anyOf\":[{\"required\":[\"a%d\"]},{\"required\":[\"b%d\"]}]},", "{}]}",
         40},
        {"{\"type\":\"array\",\"prefixItems\":[",
         "{\"type\":\"array\",\"minItems\":1000,\"items\":{\"const\":%d}},", "{}]}", 8000},
        {"{\"pattern\":\"", "(a|b){1,9999}", "\"}", 2000},
        {"{\"anyOf\":[", "{\"type\":\"string\",\"minLength\":90000},", "{}]}", 300},
    };
    rig r;
    EXPECT(rig_open(&r, NULL));
    for (size_t i = 0; i < MAAS_COUNT(bombs); i++) {
        maas_buf b = MAAS_BUF_INIT((size_t)1 << 24);
        maas_err err = {0};
        maas_grammar *g = NULL;
        char part[128];
        maas_buf_str(&b, bombs[i].head);
        for (int k = 0; k < bombs[i].n; k++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            snprintf(part, sizeof part, bombs[i].part, k, k);
#pragma GCC diagnostic pop
            maas_buf_str(&b, part);
        }
        maas_buf_str(&b, bombs[i].tail);
        const uint64_t start = maas_now_ns();
        const maas_status st = rig_make(&r, MAAS_GRAMMAR_SCHEMA, (maas_str){b.p, b.n}, &g, &err);
        EXPECT_MSG(st == MAAS_OK || err.msg[0], "bomb %zu has no sentence", i);
        EXPECT_MSG(!strstr(err.msg, "no JSON"), "bomb %zu is none: %s", i, err.msg);
        const double took = (double)(maas_now_ns() - start) * 1e-9;
        printf("  bomb %zu: %zu bytes, %.3f s, %s\n", i, b.n, took, err.msg);
        EXPECT_MSG(took < 5, "bomb %zu: %.1f s: %s", i, took, err.msg);
        maas_grammar_unref(g);
        maas_buf_reset(&b);
    }
    rig_close(&r);
    EXPECT_EQ(maas_mem_live(), 0);
}

int main(int argc, char **argv)
{
    static const mt_case all[] = {
        MT_CASE(every_keyword_holds),
        MT_CASE(every_keyword_has_a_case),
        MT_CASE(what_is_not_known_is_named_with_its_place),
        MT_CASE(bombs_end_soon),
    };
    return mt_main(argc, argv, all, MAAS_COUNT(all));
}
