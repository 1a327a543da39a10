/* Grammars and patterns as text: what they let through, what they refuse, and how soon a bomb ends.
 */
#include "maas_test.h"

#include "base/sys.h"
#include "rig.h"

typedef struct text_case {
    const char *grammar;
    const char *fits[8], *not [8];
} text_case;

static const text_case gbnf_cases[] = {
    {"root ::= \"ab\"", {"ab"}, {"", "a", "abc", "b"}},
    {"root ::= \"a\" | \"b\" | ", {"a", "b", ""}, {"ab", "c"}},
    {"root ::= [a-c]+ \"!\"?", {"a", "cab!", "b!"}, {"", "!", "d"}},
    {"root ::= [^a-c\\n]*", {"", "xyz", "\xc3\xa9\xf0\x9f\x98\x80"}, {"a", "\n", "\xc3", "\xff"}},
    {"root ::= [\\u00e9\\U0001F600-\\U0001F602]{2}",
     {"\xc3\xa9\xf0\x9f\x98\x81"},
     {"\xc3\xa9", "\xf0\x9f\x98\x83\xc3\xa9"}},
    {"root ::= [\xc3\xa9-\xc3\xab]", {"\xc3\xaa"}, {"\xc3\xac", "e"}},
    {"root ::= [\\]\\[\\-^]", {"]", "[", "-", "^"}, {"\\", "a"}},
    {"root ::= [a-]", {"a", "-"}, {"b"}},
    {"root ::= \"\\\"\\\\\\x41\\u00e9\\n\"", {"\"\\A\xc3\xa9\n"}, {"\"\\A\xc3\xa9"}},
    {"root ::= \"x\"{2,3} \"y\"{1} \"z\"{2,}",
     {"xxyzz", "xxxyzzzz"},
     {"xyzz", "xxxxyzz", "xxyz", "xxyyzz"}},
    {"root ::= (\"a\" | \"b\" \"c\")* \"d\"", {"d", "abcd", "bcbcaad"}, {"bd", "ac"}},
    {"root ::= . .", {"ab", "\xe6\x97\xa5\n"}, {"a", "abc", "\xe6\x97"}},
    {"# first\nroot ::= item (\",\" item)* # last\nitem ::= [0-9]+\n",
     {"1", "12,3"},
     {",", "1,", "1,,2"}},
    {"root ::=\n  \"a\"\n\nb ::= \"c\"", {"a"}, {"c"}},
    {"root ::= (\n \"a\"\n | \"b\"\n)\n", {"a", "b"}, {"ab"}},
    {"root ::= \"a\"\n  | \"b\"\n  | c-1\nc-1 ::= \"c\"", {"a", "b", "c"}, {"d"}},
    {"root ::= \"(\" root \")\" | \"\"", {"", "()", "((()))"}, {"(", "())"}},
    {"root ::= (\"a\"?)* \"b\"", {"b", "aaab"}, {"a"}},
    {"root ::= x \"c\" | y \"d\"\nx ::= \"ab\"\ny ::= \"a\" \"b\"", {"abc", "abd"}, {"ab", "abcd"}},
    {"root ::= (\"a\"{0,3}){0,3}", {"", "aaaaaaaaa"}, {"aaaaaaaaaa"}},
    {"root ::= [\\x00-\\x1f]", {"\x01", "\n"}, {" "}},
    {"root ::= [^\\x00-\\x7f]",
     {"\xc2\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xf4\x8f\xbf\xbf"},
     {"\xed\xa0\x80", "\xc0\x80", "\xe0\x80\x80", "\xf4\x90\x80\x80", "a", "\x80"}},
};

static const text_case regex_cases[] = {
    {"a+|b{2}", {"a", "aaa", "bb"}, {"", "b", "ab"}},
    {"^[a-f\\d]{2}(?:-x)?$", {"a9", "0f-x"}, {"g1", "a9-"}},
    {"\\d+\\.\\d*?", {"1.", "12.34"}, {".5", "1"}},
    {"[^\\W_]+", {"aZ9"}, {"_", "a b"}},
    {"\\S\\s\\S", {"a b", "\xc3\xa9\tx"}, {"a\xc2\xa0x", "ab"}},
    {"(?<y>\\u00e9|\\x41)\\/", {"\xc3\xa9/", "A/"}, {"e/"}},
    {"(a|(b|(c)))*", {"", "abcabc"}, {"d"}},
    {"[\\b\\-\\]x]", {"\b", "-", "]", "x"}, {"b"}},
    {"", {""}, {"a"}},
    {"a.c",
     {"abc", "a\xe6\x97\xa5"
             "c"},
     {"a\nc", "ac"}},
};

static void run_cases(maas_grammar_kind kind, const text_case *cases, size_t n)
{
    rig r;
    EXPECT(rig_open(&r, NULL));
    for (size_t i = 0; i < n; i++) {
        maas_err err = {0};
        maas_grammar *g;
        const text_case *c = &cases[i];
        const maas_str text = {c->grammar, strlen(c->grammar)};
        const maas_status st = rig_make(&r, kind, text, &g, &err);
        EXPECT_MSG(st == MAAS_OK, "%s: %s", c->grammar, err.msg);
        for (int k = 0; st == MAAS_OK && k < 8; k++) {
            const char *yes = c->fits[k], *no = c->not [k];
            EXPECT_MSG(!yes || rig_fits(g, (maas_str){yes, strlen(yes)}) == 1, "%s ! '%s'",
                       c->grammar, yes);
            EXPECT_MSG(!no || rig_fits(g, (maas_str){no, strlen(no)}) == 0, "%s : '%s'", c->grammar,
                       no);
        }
        if (st == MAAS_OK)
            maas_grammar_unref(g);
    }
    rig_close(&r);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void gbnf_lets_through_what_it_says(void)
{
    run_cases(MAAS_GRAMMAR_GBNF, gbnf_cases, MAAS_COUNT(gbnf_cases));
}

static void patterns_let_through_what_they_say(void)
{
    run_cases(MAAS_GRAMMAR_REGEX, regex_cases, MAAS_COUNT(regex_cases));
}

typedef struct wrong {
    const char *text, *word;
    maas_status st;
} wrong;

static void run_wrong(maas_grammar_kind kind, const wrong *cases, size_t n)
{
    rig r;
    EXPECT(rig_open(&r, NULL));
    for (size_t i = 0; i < n; i++) {
        maas_err err = {0};
        maas_grammar *g;
        const uint64_t start = maas_now_ns();
        const maas_status st = rig_make(&r, kind, (maas_str){cases[i].text, strlen(cases[i].text)},
                                        &g, &err);
        EXPECT_MSG(st == cases[i].st && strstr(err.msg, cases[i].word), "%.80s: %d %s",
                   cases[i].text, (int)st, err.msg);
        EXPECT_MSG(maas_now_ns() - start < 3000000000u, "%.80s took long", cases[i].text);
        if (st == MAAS_OK)
            maas_grammar_unref(g);
    }
    rig_close(&r);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void gbnf_refuses_by_name_and_place(void)
{
    static const wrong cases[] = {
        {"", "no rule 'root'", MAAS_E_INVALID},
        {"x ::= \"a\"", "no rule 'root'", MAAS_E_INVALID},
        {"root ::= y", "'y'", MAAS_E_INVALID},
        {"root ::= \"a\nb\"", "line 1, column 12", MAAS_E_INVALID},
        {"root ::= [a", "does not end", MAAS_E_INVALID},
        {"root ::= (\"a\"", "')'", MAAS_E_INVALID},
        {"root ::= \"a\")", "goes on", MAAS_E_INVALID},
        {"root = \"a\"", "'::='", MAAS_E_INVALID},
        {"root ::= \"a\"\nroot ::= \"b\"", "line 2", MAAS_E_INVALID},
        {"root ::= \"a\"{3,2}", "m larger than n", MAAS_E_INVALID},
        {"root ::= \"a\"{x}", "number", MAAS_E_INVALID},
        {"root ::= \"\\q\"", "escape", MAAS_E_INVALID},
        {"root ::= [\\uD800]", "character", MAAS_E_INVALID},
        {"root ::= [z-a]", "backwards", MAAS_E_INVALID},
        {"root ::= [\xff]", "UTF-8", MAAS_E_INVALID},
        {"root ::= root \"a\" | \"b\"", "left recursion", MAAS_E_INVALID},
        {"root ::= a\na ::= b \"x\" | \"y\"\nb ::= c? a\nc ::= \"z\"", "left recursion",
         MAAS_E_INVALID},
        {"root ::= \"a\"\nx ::= (\"\" | \"q\")* x", "'x'", MAAS_E_INVALID},
        {"root ::= \"a\" root", "no text that ends", MAAS_E_INVALID},
        {"root ::= []", "no text that ends", MAAS_E_INVALID},
        {"root ::= <think>", "tokens", MAAS_E_UNSUPPORTED},
        {"root ::= \"a\"{1,1000000}", "1000000", MAAS_E_TOO_LARGE},
        {"root ::= ((\"abc\"{90000}){90000}){90000} [a-z]{80000} [a-y]{90000} [a-x]{90000} "
         "[a-v]{90000} [a-u]{90000}",
         "states", MAAS_E_TOO_LARGE},
    };
    run_wrong(MAAS_GRAMMAR_GBNF, cases, MAAS_COUNT(cases));
}

static void patterns_are_refused_by_name(void)
{
    static const wrong cases[] = {
        {"(", "')'", MAAS_E_INVALID},
        {"a)", "too many", MAAS_E_INVALID},
        {"*a", "nothing", MAAS_E_INVALID},
        {"[a", "does not end", MAAS_E_INVALID},
        {"[b-a]", "backwards", MAAS_E_INVALID},
        {"a{2,1}", "larger", MAAS_E_INVALID},
        {"(?=a)b", "(?", MAAS_E_UNSUPPORTED},
        {"(?<!a)b", "(?", MAAS_E_UNSUPPORTED},
        {"(a)\\1", "\\1", MAAS_E_UNSUPPORTED},
        {"\\bword\\b", "\\b", MAAS_E_UNSUPPORTED},
        {"\\p{L}", "\\p", MAAS_E_UNSUPPORTED},
        {"a^b", "'^'", MAAS_E_UNSUPPORTED},
        {"(a$)b", "'$'", MAAS_E_UNSUPPORTED},
        {"\\u12", "hexadecimal", MAAS_E_INVALID},
        {"\\", "", MAAS_E_INVALID},
        {"a{100001}", "100001", MAAS_E_TOO_LARGE},
        {"\xff", "UTF-8", MAAS_E_INVALID},
    };
    run_wrong(MAAS_GRAMMAR_REGEX, cases, MAAS_COUNT(cases));
}

/* What is large or nested without end: made of a pattern, n times. */
static void bombs_end_soon(void)
{
    static const struct {
        const char *head, *part, *tail;
        int n;
    } bombs[] = {
        {"root ::= ", "(", "", 1000000},
        {"root ::= ", "\"a\" | ", "", 100000},
        {"root ::= \"a\"", "*", "", 500000},
        {"root ::= \"a\"", "?", "", 100},
        {"root ::= ", "x", "", 1000000},
        {"root ::= ", "[a-b] ", "", 150000},
        {"root ::= ", "(\"ab\" | \"cd\"){1,90000} ", "", 30},
    };
    rig r;
    EXPECT(rig_open(&r, NULL));
    for (size_t i = 0; i < MAAS_COUNT(bombs); i++) {
        maas_buf b = MAAS_BUF_INIT((size_t)1 << 24);
        maas_err err = {0};
        maas_grammar *g = NULL;
        maas_buf_str(&b, bombs[i].head);
        for (int k = 0; k < bombs[i].n; k++)
            maas_buf_str(&b, bombs[i].part);
        const uint64_t start = maas_now_ns();
        const maas_status st = rig_make(&r, MAAS_GRAMMAR_GBNF, (maas_str){b.p, b.n}, &g, &err);
        EXPECT_MSG(st == MAAS_OK || err.msg[0], "bomb %zu has no sentence", i);
        EXPECT_MSG(maas_now_ns() - start < 5000000000u, "bomb %zu: %.1f s", i,
                   (double)(maas_now_ns() - start) * 1e-9);
        maas_grammar_unref(g);
        maas_buf_reset(&b);
    }
    rig_close(&r);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void parts_make_one_grammar(void)
{
    static const char *const fits[] = {"<f>{\"a\": 1}</f>", "<g>yes</g>",
                                       "<g>no</g>;<f>{\"a\": 22}</f>"};
    static const char *const no[] = {"<f>yes</f>", "<g>yes</g>;", "",
                                     "<g>yes</g>;<g>yes</g>;<g>yes</g>"};
    rig r;
    maas_err err = {0};
    maas_grammar *g;
    EXPECT(rig_open(&r, NULL));
    json_t *schema = json_loads(
        "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}},\"required\":[\"a\"],"
        "\"additionalProperties\":false}",
        0, NULL);
    const maas_grammar_part parts[] = {
        {.kind = MAAS_GRAMMAR_TEXT, .text = {"<f>", 3}},
        {.kind = MAAS_GRAMMAR_SCHEMA, .json = schema},
        {.kind = MAAS_GRAMMAR_TEXT, .text = {"</f>", 4}},
        {.kind = MAAS_GRAMMAR_OR},
        {.kind = MAAS_GRAMMAR_TEXT, .text = {"<g>", 3}},
        {.kind = MAAS_GRAMMAR_REGEX, .text = {"yes|no", 6}},
        {.kind = MAAS_GRAMMAR_TEXT, .text = {"</g>", 4}},
    };
    const maas_grammar_spec s = {
        .parts = parts, .n_parts = MAAS_COUNT(parts), .max_times = 2, .between = {";", 1}};
    EXPECT_EQ(maas_grammar_create(&s, r.vocab, NULL, &g, &err), MAAS_OK);
    for (size_t i = 0; i < MAAS_COUNT(fits); i++)
        EXPECT_MSG(rig_fits(g, (maas_str){fits[i], strlen(fits[i])}) == 1, "%s", fits[i]);
    for (size_t i = 0; i < MAAS_COUNT(no); i++)
        EXPECT_MSG(rig_fits(g, (maas_str){no[i], strlen(no[i])}) == 0, "%s", no[i]);
    maas_grammar_unref(g);
    json_decref(schema);
    rig_close(&r);
    EXPECT_EQ(maas_mem_live(), 0);
}

int main(int argc, char **argv)
{
    static const mt_case cases[] = {
        MT_CASE(gbnf_lets_through_what_it_says),
        MT_CASE(patterns_let_through_what_they_say),
        MT_CASE(gbnf_refuses_by_name_and_place),
        MT_CASE(patterns_are_refused_by_name),
        MT_CASE(bombs_end_soon),
        MT_CASE(parts_make_one_grammar),
    };
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
