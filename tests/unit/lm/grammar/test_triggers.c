/* What is free and what is not: grammars that begin behind a thought, or wherever a text was
 * written, against a reading of the same rules by hand; control tokens where they are named, and
 * where anything goes, but never as letters. */
#include "maas_test.h"

#include "base/sys.h"
#include "lm/tiny.h"
#include "rig.h"

#define STR(s)                                                                                     \
    (maas_str)                                                                                     \
    {                                                                                              \
        s, sizeof s - 1                                                                            \
    }

static maas_grammar *make(const maas_grammar_spec *s, maas_vocab *v)
{
    maas_grammar *g = NULL;
    maas_err err = {0};
    EXPECT_MSG(maas_grammar_create(s, v, NULL, &g, &err) == MAAS_OK, "%s", err.msg);
    return g;
}

static void expect(maas_grammar *g, const char *text, int want)
{
    EXPECT_MSG(rig_fits(g, (maas_str){text, strlen(text)}) == want, "%s: not %d", text, want);
}

typedef struct row {
    const char *text;
    int fits;
} row;
static void try_all(maas_grammar *g, const row *rows)
{
    for (; rows->text; rows++)
        expect(g, rows->text, rows->fits);
    maas_grammar_unref(g);
}

/* ---- behind a thought ---- */

static void a_grammar_begins_behind_a_thought(void)
{
    static const row begun[] = {
        {"hm</t>{}", 1},         {"</t>\n\n{}", 1},        {"{}", 0},          {"hm", 0},
        {"hm</t>", 0},           {"hm</t>hm{}", 0},        {"a<</t>{}", 1},    {"a</</t>{}", 1},
        {"</t></t>{}", 0},       {"\xff\xc3</t>{}", 1},    {"</t>     {}", 0}, {"</t>{}x", 0},
        {"{\"a\": 1}</t>{}", 1}, {"<t>a</t>{\"b\":2}", 1}, {NULL, 0}};
    static const row maybe[] = {{"{}", 1},           {"<t></t>{}", 1},    {"\n<t>a b</t>\n{}", 1},
                                {"<t>{}", 0},        {"<t>hm", 0},        {"hm</t>{}", 0},
                                {"<t>a</t>hm{}", 0}, {"<t><t></t>{}", 1}, {NULL, 0}};
    const maas_grammar_part json = {.kind = MAAS_GRAMMAR_JSON};
    const maas_grammar_part until = {.kind = MAAS_GRAMMAR_FREE, .until = STR("</t>")};
    const maas_grammar_part optional = {
        .kind = MAAS_GRAMMAR_FREE, .text = STR("<t>"), .until = STR("</t>")};
    rig r;
    EXPECT(rig_open(&r, NULL));
    try_all(make(&(maas_grammar_spec){.lead = &until, .n_lead = 1, .parts = &json, .n_parts = 1},
                 r.vocab),
            begun);
    try_all(make(&(maas_grammar_spec){.lead = &optional, .n_lead = 1, .parts = &json, .n_parts = 1},
                 r.vocab),
            maybe);
    rig_close(&r);
    EXPECT_EQ(maas_mem_live(), 0);
}

/* ---- wherever a text was written ---- */

static const maas_grammar_part call[] = {{.kind = MAAS_GRAMMAR_TEXT, .text = STR("a(")},
                                         {.kind = MAAS_GRAMMAR_REGEX, .text = STR("[0-9]{1,2}")},
                                         {.kind = MAAS_GRAMMAR_TEXT, .text = STR(")")},
                                         {.kind = MAAS_GRAMMAR_OR},
                                         {.kind = MAAS_GRAMMAR_TEXT, .text = STR("b()")}};
static const maas_grammar_part thought = {.kind = MAAS_GRAMMAR_FREE, .until = STR("]")};

static void what_a_trigger_asks_for_must_come(void)
{
    static const row rows[] = {{"", 1},
                               {"hello {} <", 1},
                               {"<c", 1},
                               {"<c>", 0},
                               {"<c>a(7)", 1},
                               {"x <c>a(42) y<c>b() z", 1},
                               {"<c>a(423)", 0},
                               {"<c>a()", 0},
                               {"<c> a(1)", 0},
                               {"<<c>b()", 1},
                               {"<c<c>b()<c>a(1)", 1},
                               {"[<c>oops", 1}, /* a thought: anything, and the end */
                               {"[<c>]<c>oops", 0},
                               {"[<c>]<c>b()[", 1},
                               {NULL, 0}};
    static const row at_start[] = {{"a(1)", 1},        {"{a(1)", 1},      {" \n{b()", 1},
                                   {"{b", 0},          {"x{b", 1},        {"{", 0},
                                   {"{b(); {a(1)", 1}, {"{b() x{", 1},    {"{b(); {", 0},
                                   {"[hm]\n{x", 0},    {"[hm]\n{b()", 1}, {NULL, 0}};
    const maas_grammar_trigger open[] = {{STR("<c>"), false, call, MAAS_COUNT(call)},
                                         {STR("["), false, &thought, 1}};
    const maas_grammar_trigger bare[] = {{STR("{"), true, call, MAAS_COUNT(call)}, open[1]};
    rig r;
    EXPECT(rig_open(&r, NULL));
    try_all(make(&(maas_grammar_spec){.triggers = open, .n_triggers = 2}, r.vocab), rows);
    try_all(make(&(maas_grammar_spec){.triggers = bare, .n_triggers = 2}, r.vocab), at_start);
    rig_close(&r);
    EXPECT_EQ(maas_mem_live(), 0);
}

/* Texts that overlap, and a text that is the beginning, or the end, of another: by chance, against
 * a search from every place on. */
static const char *const texts[] = {"abab", "abac", "bb", "cabcc", "abacab", "acbba"};
static bool by_hand(const char *p)
{
    for (size_t n = strlen(p), i = 0; i < n; i++)
        for (size_t k = 0; k < MAAS_COUNT(texts); k++) {
            const size_t len = strlen(texts[k]);
            if (len > i + 1 || memcmp(p + i + 1 - len, texts[k], len) != 0)
                continue;
            return p[i + 1] == 'x' && by_hand(p + i + 2); /* the first that is whole */
        }
    return true;
}

static void texts_that_overlap_are_found(void)
{
    const maas_grammar_part x = {.kind = MAAS_GRAMMAR_TEXT, .text = STR("x")};
    maas_grammar_trigger t[MAAS_COUNT(texts)];
    maas_rng rng;
    int n[2] = {0};
    rig r;
    EXPECT(rig_open(&r, NULL));
    maas_rng_seed(&rng, 9);
    for (size_t i = 0; i < MAAS_COUNT(t); i++)
        t[i] = (maas_grammar_trigger){{texts[i], strlen(texts[i])}, false, &x, 1};
    maas_grammar *g = make(&(maas_grammar_spec){.triggers = t, .n_triggers = MAAS_COUNT(t)},
                           r.vocab);
    for (int i = 0; i < 20000; i++) {
        char text[24];
        const size_t len = maas_rng_below(&rng, sizeof text);
        for (size_t k = 0; k < len; k++)
            text[k] = "aabbcx"[maas_rng_below(&rng, 6)];
        text[len] = '\0';
        const bool want = by_hand(text);
        n[want]++;
        expect(g, text, want);
    }
    EXPECT_MSG(n[0] > 1000 && n[1] > 1000, "%d and %d", n[0], n[1]);
    maas_grammar_unref(g);
    rig_close(&r);
    EXPECT_EQ(maas_mem_live(), 0);
}

/* A token with the end of a trigger in it, and something after it, is tried as a whole. */
static void tokens_across_a_trigger_must_fit(void)
{
    static const char *const pieces[] = {"c>a(", "c>x", "hello <c", ">b", NULL};
    const maas_grammar_trigger t = {STR("<c>"), false, call, MAAS_COUNT(call)};
    const uint32_t *bits;
    uint32_t n;
    size_t fit;
    maas_err err = {0};
    maas_matcher *m;
    rig r;
    EXPECT(rig_open(&r, pieces));
    maas_grammar *g = make(&(maas_grammar_spec){.triggers = &t, .n_triggers = 1}, r.vocab);
    EXPECT_EQ(maas_matcher_create(g, &m, &err), MAAS_OK);
    EXPECT_EQ(maas_matcher_mask(m, &bits, &n, &err), MAAS_OK);
    EXPECT_MSG(n == (uint32_t)r.n, "%u of %d tokens: all of them", n, r.n);
    EXPECT_EQ(maas_matcher_accept_text(m, STR("see <"), &fit, &err), MAAS_OK);
    EXPECT_EQ(maas_matcher_mask(m, &bits, &n, &err), MAAS_OK);
    EXPECT(rig_allowed(bits, 256) && !rig_allowed(bits, 257) && rig_allowed(bits, 258));
    EXPECT_MSG(n == (uint32_t)r.n - 1 && rig_allowed(bits, r.end), "%u of %d", n, r.n);
    EXPECT_EQ(maas_matcher_accept(m, 256, &err), MAAS_OK);
    EXPECT_EQ(maas_matcher_mask(m, &bits, &n, &err), MAAS_OK);
    EXPECT_MSG(n == 10 && !rig_allowed(bits, r.end), "%u: ten digits", n);
    maas_matcher_destroy(m);
    maas_grammar_unref(g);
    rig_close(&r);
    EXPECT_EQ(maas_mem_live(), 0);
}

/* ---- control tokens ---- */

static bool allows(maas_grammar *g, maas_matcher *m, const char *before, int32_t token)
{
    bool is = false;
    size_t n;
    maas_err err = {0};
    (void)g;
    EXPECT_EQ(maas_matcher_accept_text(m, (maas_str){before, strlen(before)}, &n, &err), MAAS_OK);
    EXPECT_EQ(n, strlen(before));
    EXPECT_EQ(maas_matcher_allows(m, token, &is, &err), MAAS_OK);
    return is;
}

static void control_tokens_are_no_letters(void)
{
    static const char *const script[] = {"\1<call>", "\1<other>", NULL};
    const maas_grammar_part body[] = {
        {.kind = MAAS_GRAMMAR_JSON},
        {.kind = MAAS_GRAMMAR_TEXT, .text = STR(MAAS_GRAMMAR_CONTROL "<other>")}};
    const maas_grammar_trigger t = {STR(MAAS_GRAMMAR_CONTROL "<call>"), false, body, 2};
    const int32_t open = TINY_VOCAB, other = TINY_VOCAB + 1;
    maas_lm_source *source;
    maas_tokenizer *tokens;
    maas_vocab *v;
    maas_matcher *m;
    maas_err err = {0};
    tiny file = {0};
    tiny_script = script;
    const maas_lm_file f = {"model.gguf", tiny_make(&file, MAAS_Q_F16, 3)};
    EXPECT_EQ(maas_lm_source_open(&f, 1, NULL, &source, &err), MAAS_OK);
    EXPECT_EQ(maas_tokenizer_create(source, NULL, &tokens, &err), MAAS_OK);
    EXPECT_EQ(maas_vocab_create(tokens, TINY_VOCAB + 2, NULL, &v, &err), MAAS_OK);
    EXPECT_EQ(maas_tokenizer_find(tokens, STR("<call>")), open);
    maas_grammar *g = make(&(maas_grammar_spec){.triggers = &t, .n_triggers = 1}, v);
    EXPECT_EQ(maas_matcher_create(g, &m, &err), MAAS_OK);
    EXPECT(allows(g, m, "<call>, written as letters, is text", other));
    EXPECT(allows(g, m, "", open));
    EXPECT_EQ(maas_matcher_accept(m, other, &err), MAAS_OK);
    EXPECT_EQ(maas_matcher_accept(m, open, &err), MAAS_OK);
    EXPECT(!maas_matcher_may_end(m) && !allows(g, m, "", other));
    EXPECT(!allows(g, m, "{\"a\": \"<call>", open)); /* as letters it is a part of the text */
    EXPECT(!allows(g, m, "\"}", open));
    EXPECT(allows(g, m, "", other) && !maas_matcher_may_end(m));
    EXPECT_EQ(maas_matcher_accept(m, other, &err), MAAS_OK);
    EXPECT(maas_matcher_may_end(m) && allows(g, m, "free again", other));
    maas_matcher_destroy(m);
    maas_grammar_unref(g);
    maas_vocab_unref(v);
    maas_tokenizer_destroy(tokens);
    maas_lm_source_close(source);
    tiny_reset(&file);
    tiny_script = NULL;
    EXPECT_EQ(maas_mem_live(), 0);
}

/* ---- what is wrong, and what fails ---- */

static void bounds_are_told(void)
{
    static const char longest[300] = "x";
    maas_grammar_trigger t[MAAS_GRAMMAR_MAX_TRIGGERS + 1];
    maas_grammar *g = NULL;
    maas_err err = {0};
    rig r;
    EXPECT(rig_open(&r, NULL));
    for (size_t i = 0; i < MAAS_COUNT(t); i++)
        t[i] = (maas_grammar_trigger){STR("<c>"), false, call, MAAS_COUNT(call)};
    const maas_grammar_spec many = {.triggers = t, .n_triggers = MAAS_COUNT(t)};
    EXPECT_EQ(maas_grammar_create(&many, r.vocab, NULL, &g, &err), MAAS_E_TOO_LARGE);
    const maas_str bad[] = {{"", 0}, {longest, sizeof longest}};
    for (size_t i = 0; i < MAAS_COUNT(bad); i++) {
        t[0].text = bad[i];
        err = (maas_err){0};
        const maas_grammar_spec one = {.triggers = t, .n_triggers = 1};
        EXPECT_EQ(maas_grammar_create(&one, r.vocab, NULL, &g, &err), MAAS_E_TOO_LARGE);
    }
    t[0].text = STR("<c>");
    const maas_grammar_spec fine = {.triggers = t, .n_triggers = 1};
    for (size_t limit = 1024; limit <= (size_t)1 << 20; limit *= 2) { /* some are too little */
        maas_budget budget = {.limit = limit};
        err = (maas_err){0};
        const maas_status st = maas_grammar_create(&fine, r.vocab, &budget, &g, &err);
        EXPECT_MSG(st == MAAS_OK || st == MAAS_E_NOMEM, "%s", err.msg);
        if (st == MAAS_OK)
            maas_grammar_unref(g);
        EXPECT_EQ(budget.used, 0);
    }
    rig_close(&r);
    EXPECT_EQ(maas_mem_live(), 0);
}

static const mt_case cases[] = {
    MT_CASE(a_grammar_begins_behind_a_thought), MT_CASE(what_a_trigger_asks_for_must_come),
    MT_CASE(texts_that_overlap_are_found),      MT_CASE(tokens_across_a_trigger_must_fit),
    MT_CASE(control_tokens_are_no_letters),     MT_CASE(bounds_are_told),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
