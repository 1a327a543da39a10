/* Masks: the same as trying every token by itself; walks by them end; what is forgotten is found
 * again; no allocation that fails breaks anything. */
#include "maas_test.h"

#include "base/sys.h"
#include "rig.h"

/* Tokens of more bytes than one, as vocabularies have them: over borders of characters, strings,
 * objects. */
static const char *const texts[] = {
    "{\"",      "\": ",     "\":",      "\",",          "\", \"",
    "\"}",      "}}",       "},",       "[[",           "]]",
    "true",     "false",    "null",     "tru",          "name",
    "age",      "na",       "me\":",    "1234",         "12",
    "00",       "0.",       " 1",       "  ",           "\n  ",
    "\n",       "\\n",      "\\u00",    "\\\"",         "ab",
    "abc",      "abcd",     "\xc3\xa9", "\xc3\xa9\xe6", "\x97\xa5",
    "\x98\x80", "\xf0\x9f", "the ",     "hello world",  "\"hello\"",
    "a\"b",     "{}",       "[]",       "}\n",          "-1",
    "2024-",    "-02-",     "e+",       "false,",       "{\"a\": {\"a\": ",
    NULL};

static const struct {
    maas_grammar_kind kind;
    const char *text;
} grammars[] = {
    {MAAS_GRAMMAR_SCHEMA,
     "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"maxLength\":6},\"age\":{"
     "\"type\":\"integer\",\"minimum\":0,\"maximum\":1234},"
     "\"ok\":{\"type\":\"boolean\"}},\"required\":[\"age\"],\"additionalProperties\":false}"},
    {MAAS_GRAMMAR_SCHEMA, "{\"type\":\"object\",\"properties\":{\"a\":{\"anyOf\":[{\"$ref\":\"#\"},"
                          "{\"type\":\"null\"}]}},\"required\":[\"a\"]}"},
    {MAAS_GRAMMAR_SCHEMA,
     "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"array\",\"items\":{\"type\":"
     "\"number\"},\"maxItems\":3},\"properties\":{\"name\":{\"format\":\"date\"}}}"},
    {MAAS_GRAMMAR_JSON, ""},
    {MAAS_GRAMMAR_SCHEMA, "{\"type\":\"array\",\"maxItems\":5,\"items\":{\"type\":\"string\","
                          "\"minLength\":3,\"maxLength\":14}}"},
    {MAAS_GRAMMAR_REGEX, "([a-z ]{2,30}[0-9]{0,5}){1,6}|(ab|abc|x){0,9}c"},
    {MAAS_GRAMMAR_GBNF, "root ::= (\"ab\" | \"abc\" | [a-d]{1,3})* \"!\""},
    {MAAS_GRAMMAR_GBNF,
     "root ::= x (\" \" x)*\nx ::= [^\\x00-\\x7f \\n]+ | \"hello\" | \"(\" root \")\""},
    {MAAS_GRAMMAR_REGEX, "(the |a)*(hello world|[0-9]{1,4}(\\.[0-9]+)?)"},
};

static void check_mask(const rig *r, maas_grammar *g, maas_matcher *m, const char *so_far)
{
    const uint32_t *bits;
    uint32_t n, count = 0, copy[64];
    maas_err err = {0};
    EXPECT_EQ(maas_matcher_mask(m, &bits, &n, &err), MAAS_OK);
    memcpy(copy, bits, ((size_t)r->n + 31) / 32 * sizeof *bits);
    for (int32_t i = 0; i < r->n; i++) {
        bool allowed;
        EXPECT_EQ(maas_matcher_allows(m, i, &allowed, &err), MAAS_OK);
        EXPECT_MSG(allowed == rig_allowed(copy, i), "grammar of %d: token %d '%.*s' after '%s'",
                   (int)maas_grammar_n_logits(g), i, (int)r->pieces[i].n, r->pieces[i].p, so_far);
        count += allowed;
    }
    EXPECT_EQ(count, n);
}

static void a_mask_is_what_tokens_say_by_themselves(void)
{
    rig r;
    EXPECT(rig_open(&r, texts));
    for (size_t k = 0; k < MAAS_COUNT(grammars); k++) {
        maas_err err = {0};
        maas_grammar *g;
        EXPECT_EQ(rig_make(&r, grammars[k].kind,
                           (maas_str){grammars[k].text, strlen(grammars[k].text)}, &g, &err),
                  MAAS_OK);
        for (uint64_t seed = 0; seed < 12; seed++) {
            maas_buf b = MAAS_BUF_INIT(1 << 16);
            maas_matcher *m;
            size_t n;
            rig_walk(&r, g, seed * 7 + k, 25, &b, &err);
            EXPECT_MSG(err.code == MAAS_OK, "%s", err.msg);
            EXPECT_EQ(maas_matcher_create(g, &m, &err), MAAS_OK);
            EXPECT_EQ(maas_matcher_accept_text(m, (maas_str){b.p ? b.p : "", b.n}, &n, &err),
                      MAAS_OK);
            EXPECT_EQ(n, b.n);
            check_mask(&r, g, m, b.p ? b.p : "");
            maas_matcher_destroy(m);
            maas_buf_reset(&b);
        }
        maas_grammar_unref(g);
    }
    rig_close(&r);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void walks_end_in_what_fits(void)
{
    rig r;
    EXPECT(rig_open(&r, texts));
    for (size_t k = 0; k < MAAS_COUNT(grammars); k++) {
        maas_err err = {0};
        maas_grammar *g;
        int n_ended = 0;
        EXPECT_EQ(rig_make(&r, grammars[k].kind,
                           (maas_str){grammars[k].text, strlen(grammars[k].text)}, &g, &err),
                  MAAS_OK);
        for (uint64_t seed = 0; seed < 40; seed++) {
            maas_buf b = MAAS_BUF_INIT(1 << 20);
            const bool ended = rig_walk(&r, g, 1000 + seed, 3000, &b, &err);
            EXPECT_MSG(err.code == MAAS_OK, "%s: %s", grammars[k].text, err.msg);
            EXPECT_MSG(!ended || rig_fits(g, (maas_str){b.p ? b.p : "", b.n}) == 1, "%s: '%s'",
                       grammars[k].text, b.p);
            json_t *j = ended && grammars[k].kind != MAAS_GRAMMAR_GBNF &&
                                grammars[k].kind != MAAS_GRAMMAR_REGEX
                            ? json_loadb(b.p, b.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL)
                            : json_null();
            EXPECT_MSG(j, "this is no JSON: %s", b.p);
            json_decref(j);
            n_ended += ended;
            maas_buf_reset(&b);
        }
        EXPECT_MSG(n_ended >= 10, "%s: %d of 40 ended", grammars[k].text, n_ended);
        maas_grammar_unref(g);
    }
    rig_close(&r);
    EXPECT_EQ(maas_mem_live(), 0);
}

/* So many places that they are forgotten on the way: nothing of an answer that goes on changes. */
static void what_is_forgotten_is_found_again(void)
{
    static const char text[] = "root ::= \"(\" root \")\" | (\"a\"{0,400} \"b\"?){0,400} | \"x\"";
    rig r;
    maas_err err = {0};
    maas_grammar *g;
    maas_matcher *m[8];
    size_t n, most = 0;
    EXPECT(rig_open(&r, NULL));
    EXPECT_EQ(rig_make(&r, MAAS_GRAMMAR_GBNF, (maas_str){text, strlen(text)}, &g, &err), MAAS_OK);
    for (int i = 0; i < 8; i++)
        EXPECT_EQ(maas_matcher_create(g, &m[i], &err), MAAS_OK);
    bool shrank = false;
    for (int step = 0; step < 3000 && err.code == MAAS_OK; step++) {
        const int i = step % 8;
        const char *piece = step < 64 ? "(" : step % 3 ? "a" : "aab";
        const maas_status st = maas_matcher_accept_text(m[i], (maas_str){piece, strlen(piece)}, &n,
                                                        &err);
        EXPECT_MSG(st == MAAS_OK && n == strlen(piece), "step %d: %s", step, err.msg);
        const size_t bytes = maas_grammar_bytes(g);
        shrank = shrank || bytes < most / 2;
        most = bytes > most ? bytes : most;
    }
    printf("  at most %zu bytes\n", most);
    EXPECT(shrank);
    for (int i = 0; i < 8; i++) {
        EXPECT(!maas_matcher_may_end(m[i]));
        EXPECT_EQ(maas_matcher_accept_text(m[i], (maas_str){"))))))))", 8}, &n, &err), MAAS_OK);
        EXPECT(n == 8 && maas_matcher_may_end(m[i]) && maas_matcher_must_end(m[i]));
        maas_matcher_destroy(m[i]);
    }
    maas_grammar_unref(g);
    rig_close(&r);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void too_many_readings_end_with_a_sentence(void)
{
    static const char *const bad[] = {
        "root ::= ((\"a\"{0,3000}){0,3000}){0,3000}",
        "root ::= x{0,9000}\nx ::= (\"a\" | \"aa\" | \"aaa\"){0,9000} \"a\"?"};
    rig r;
    EXPECT(rig_open(&r, NULL));
    for (size_t k = 0; k < MAAS_COUNT(bad); k++) {
        maas_err err = {0};
        maas_grammar *g;
        maas_matcher *m;
        size_t n = 0;
        maas_status st = rig_make(&r, MAAS_GRAMMAR_GBNF, (maas_str){bad[k], strlen(bad[k])}, &g,
                                  &err);
        if (st == MAAS_OK && maas_matcher_create(g, &m, &err) == MAAS_OK) {
            for (int i = 0; i < 2000 && st == MAAS_OK; i++) {
                const uint64_t start = maas_now_ns();
                st = maas_matcher_accept_text(m, (maas_str){"a", 1}, &n, &err);
                EXPECT_MSG(maas_now_ns() - start < 2000000000u, "one byte took %.2f s",
                           (double)(maas_now_ns() - start) * 1e-9);
            }
            maas_matcher_destroy(m);
            maas_grammar_unref(g);
        }
        EXPECT_MSG(st == MAAS_OK || strstr(err.msg, "too many ways"), "%s: %s", bad[k], err.msg);
    }
    rig_close(&r);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void nothing_breaks_when_memory_ends(void)
{
    rig r;
    EXPECT(rig_open(&r, texts));
    for (size_t k = 0; k < MAAS_COUNT(grammars); k++)
        for (long n = 1;; n++) {
            maas_err err = {0};
            maas_grammar *g = NULL;
            maas_matcher *m = NULL;
            const uint32_t *bits;
            uint32_t n_bits;
            size_t len;
            const long before = maas_mem_live();
            maas_mem_fail_at(n);
            maas_status st = rig_make(&r, grammars[k].kind,
                                      (maas_str){grammars[k].text, strlen(grammars[k].text)}, &g,
                                      &err);
            if (st == MAAS_OK)
                st = maas_matcher_create(g, &m, &err);
            if (st == MAAS_OK)
                st = maas_matcher_mask(m, &bits, &n_bits, &err);
            if (st == MAAS_OK)
                st = maas_matcher_accept_text(m, (maas_str){"{\"name\": \"a", 11}, &len, &err);
            maas_mem_fail_at(0);
            maas_matcher_destroy(m);
            maas_grammar_unref(g);
            EXPECT_EQ(maas_mem_live(), before);
            if (st == MAAS_OK) {
                EXPECT(n > 1);
                break;
            }
            EXPECT_MSG(st == MAAS_E_NOMEM, "grammar %zu, allocation %ld: %d %s", k, n, (int)st,
                       err.msg);
            if (st != MAAS_E_NOMEM)
                break;
        }
    rig_close(&r);
    EXPECT_EQ(maas_mem_live(), 0);
}

int main(int argc, char **argv)
{
    static const mt_case cases[] = {
        MT_CASE(a_mask_is_what_tokens_say_by_themselves),
        MT_CASE(walks_end_in_what_fits),
        MT_CASE(what_is_forgotten_is_found_again),
        MT_CASE(too_many_readings_end_with_a_sentence),
        MT_CASE(nothing_breaks_when_memory_ends),
    };
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
