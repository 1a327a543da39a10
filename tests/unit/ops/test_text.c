/* Texts taken apart as scikit-learn does it, hashes, and the lines and quantiles beside them. */
#include "interp.h"
#include "ops/regex.h"
#include "ops/text.h"
#include "ops/unicode.h"

/* ---- n-grams ---- */

typedef struct grams {
    char text[512];
    size_t n;
} grams;

static void append(void *user, const maas_str *pieces, int n)
{
    grams *g = user;
    for (int i = 0; i < n; i++)
        g->n += (size_t)snprintf(g->text + g->n, sizeof g->text - g->n, "%s%.*s", i ? " " : "",
                                 (int)pieces[i].n, pieces[i].p);
    g->n += (size_t)snprintf(g->text + g->n, sizeof g->text - g->n, "|");
}

static maas_status take_apart(const maas_text *t, const char *document, size_t n, grams *out)
{
    maas_text_work w;
    maas_err err = {0};
    memset(out, 0, sizeof *out);
    maas_text_work_init(&w);
    maas_status st = maas_text_ngrams(t, (maas_str){document, n}, &w, append, out, &err);
    maas_text_work_reset(&w);
    return st;
}

static bool compile(const char *regex, maas_text_pattern *out)
{
    maas_err err = {0};
    return maas_text_pattern_compile((maas_str){regex, strlen(regex)}, out, &err) == MAAS_OK;
}

/* What build_analyzer() of CountVectorizer gives, in our order: n-grams as they end. */
static void texts_are_taken_apart_as_scikit_learn_does(void)
{
    static const struct {
        const char *pattern, *document, *want;
        maas_text_analyzer analyzer;
        maas_text_accents accents;
        int lo, hi;
    } rows[] = {
        {"(?u)\\b\\w\\w+\\b", "The cat, a CAT!", "the|cat|cat|", 0, 0, 1, 1},
        {"(?u)\\b\\w\\w+\\b", "one two three", "one|two|one two|three|two three|", 0, 0, 1, 2},
        {"\\w+", "d\xc3\xa9j\xc3\xa0 vu", "deja|vu|", 0, MAAS_TEXT_UNICODE, 1, 1},
        {"\\w+", "\xef\xac\x81sh \xe2\x84\xab", "fish|a|", 0, MAAS_TEXT_ASCII, 1, 1},
        /* a final sigma, and one that is not */
        {"\\w+", "\xce\x9f\xce\xa3 \xce\xa3\xce\x9f", "\xce\xbf\xcf\x82|\xcf\x83\xce\xbf|", 0, 0, 1,
         1},
        {"", "\xc4\xb0", "i|\xcc\x87|", MAAS_TEXT_CHAR, 0, 1, 1},
        {"\\b[a-z]+\\b", "ab1 cd x_y ef", "cd|ef|", 0, 0, 1, 1},
        {"[a-z]+", "ab1cd", "ab|cd|", 0, 0, 1, 1},
        {"[^\\W\\d_]{2,}", "ab12_x\xc3\xa9z", "ab|x\xc3\xa9z|", 0, 0, 1, 1},
        {"\\S+", " a\tb\n", "a|b|", 0, 0, 1, 1},
        {"", "ab", "a|b|ab|", MAAS_TEXT_CHAR, 0, 1, 3},
        {"", "a  \tb", "a| |b|", MAAS_TEXT_CHAR, 0, 1, 1},
        {"", "a b", " a|a | a | b|b | b |", MAAS_TEXT_CHAR_WB, 0, 2, 3},
        {"", "", "", MAAS_TEXT_CHAR_WB, 0, 1, 5},
    };
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        maas_text t = {.analyzer = rows[i].analyzer,
                       .accents = rows[i].accents,
                       .lower = true,
                       .min_n = rows[i].lo,
                       .max_n = rows[i].hi};
        grams got;
        if (t.analyzer == MAAS_TEXT_WORD)
            EXPECT_MSG(compile(rows[i].pattern, &t.pattern), "%s", rows[i].pattern);
        EXPECT(take_apart(&t, rows[i].document, strlen(rows[i].document), &got) == MAAS_OK);
        EXPECT_MSG(strcmp(got.text, rows[i].want) == 0, "row %zu: '%s'", i, got.text);
    }
}

static void stop_words_go_before_ngrams_are_made(void)
{
    static const maas_str stop[] = {{"a", 1}, {"the", 3}};
    maas_text t = {.lower = true, .min_n = 2, .max_n = 2, .stop = stop, .n_stop = 2};
    grams got;
    EXPECT(compile("\\w+", &t.pattern));
    EXPECT(take_apart(&t, "the cat and the a dog", 21, &got) == MAAS_OK);
    EXPECT_STR(got.text, "cat and|and dog|");
}

static void other_patterns_are_refused(void)
{
    static const char *const patterns[] = {
        "",         ".+",      "\\w",         "\\w*",      "(\\w+)",     "\\w+\\w", "\\b\\S+\\b",
        "\\w{2,3}", "\\w{0,}", "[a-z",        "[z-a]+",    "[]a]+",      "[\\n]+",  "(?i)\\w+",
        "\\w\\d+",  "\\w+|a",  "\\w{99999,}", "[\\w-z]+x", "\\b\\b\\w+", "\\",      "["};
    maas_text_pattern p;
    for (size_t i = 0; i < MAAS_COUNT(patterns); i++)
        EXPECT_MSG(!compile(patterns[i], &p), "'%s'", patterns[i]);
}

static void bytes_that_are_no_text_are_refused(void)
{
    static const char *const bad[] = {"\xff", "a\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80"};
    maas_text t = {.analyzer = MAAS_TEXT_CHAR, .min_n = 1, .max_n = 2};
    grams got;
    for (size_t i = 0; i < MAAS_COUNT(bad); i++)
        EXPECT(take_apart(&t, bad[i], strlen(bad[i]), &got) == MAAS_E_INVALID);
}

static void hashes_are_those_of_murmur3(void)
{
    static const struct {
        const char *text;
        int32_t hash;
    } rows[] = {{"", 0},
                {"a", 1009084850},
                {"ab", -1681926305},
                {"abc", -1277324294},
                {"hello", 613153351},
                {"hello world", 1586663183},
                {"\xc3\xa9t\xc3\xa9", 865297935}};
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        maas_str s = {rows[i].text, strlen(rows[i].text)};
        EXPECT_EQ(maas_text_murmur3(&s, 1), rows[i].hash);
    }
    maas_str pieces[] = {{"hello", 5}, {"world", 5}};
    EXPECT_EQ(maas_text_murmur3(pieces, 2), 1586663183);
}

static void joined_pieces_are_found(void)
{
    static const maas_str words[] = {{"a", 1}, {"a b", 3}, {"a bc", 4}, {"ab", 2}};
    maas_str ab[] = {{"a", 1}, {"b", 1}}, abc[] = {{"a", 1}, {"bc", 2}},
             none[] = {{"a", 1}, {"", 0}};
    EXPECT_EQ(maas_text_find(words, 4, ab, 1), 0);
    EXPECT_EQ(maas_text_find(words, 4, ab, 2), 1);
    EXPECT_EQ(maas_text_find(words, 4, abc, 2), 2);
    EXPECT_EQ(maas_text_find(words, 4, none, 2), -1);
    EXPECT_EQ(maas_text_find(words, 4, abc + 1, 1), -1);
}

static void utf8_goes_both_ways(void)
{
    static const uint32_t some[] = {0, 0x7f, 0x80, 0x7ff, 0x800, 0xffff, 0x10000, 0x10ffff};
    for (size_t i = 0; i < MAAS_COUNT(some); i++) {
        char bytes[4];
        uint32_t back;
        size_t n = maas_uni_put(some[i], bytes);
        EXPECT_EQ(maas_uni_get(bytes, &back), n);
        EXPECT_EQ(back, some[i]);
    }
}

/* ---- the operators ---- */

typedef struct one {
    maas_graph *g;
    maas_builder b;
    maas_err err;
    interp p;
    maas_vid x, y;
} one;

static bool begin(one *o, maas_dtype t, int rank, const int64_t *dims)
{
    memset(o, 0, sizeof *o);
    MAAS_CHECK(maas_graph_create("g", NULL, &o->g, &o->err) == MAAS_OK);
    maas_builder_init(&o->b, o->g, &o->err);
    o->x = maas_b_input(&o->b, "x", t, rank, dims);
    return o->b.status == MAAS_OK;
}

static const double *run(one *o, const void *data, size_t bytes)
{
    EXPECT_MSG(o->b.status == MAAS_OK, "%s", o->err.msg);
    if (o->b.status != MAAS_OK || !interp_open(&o->p, o->g))
        return NULL;
    memcpy(o->p.v[o->x].data, data, bytes);
    maas_status st = interp_run(&o->p, &o->err);
    EXPECT_MSG(st == MAAS_OK, "%s", o->err.msg);
    return o->p.v[o->y].data;
}

static void done(one *o)
{
    interp_close(&o->p);
    maas_graph_destroy(o->g);
}

static void words_are_counted_in_their_columns(void)
{
    static const maas_str words[] = {{"bird", 4}, {"cat", 3}},
                          texts[] = {{"A cat. CAT bird", 15}, {"", 0}};
    static const int64_t columns[] = {2, 0};
    const maas_attr attr[] = {
        {.name = "vocabulary", .type = MAAS_ATTR_STRINGS, .n = 2, .u.strings = words},
        MAAS_A_INTS("columns", columns, 2),
        MAAS_A_INT("n_columns", 3)};
    one o;
    if (begin(&o, MAAS_STRING, 2, (const int64_t[]){2, 1})) {
        o.y = maas_b_node(&o.b, "TextCounts", attr, 3, &o.x, 1, NULL, 1);
        const double *y = run(&o, texts, sizeof texts);
        static const double want[] = {2, 0, 1, 0, 0, 0};
        EXPECT(y && memcmp(y, want, sizeof want) == 0);
    }
    done(&o);
}

static void hashed_words_have_signs(void)
{
    static const maas_str texts[] = {{"ab ab hello", 11}};
    const maas_attr attr[] = {MAAS_A_INT("n_columns", 1000), MAAS_A_INT("alternate_sign", 1)};
    one o;
    if (begin(&o, MAAS_STRING, 1, (const int64_t[]){1})) {
        o.y = maas_b_node(&o.b, "TextCounts", attr, 2, &o.x, 1, NULL, 1);
        const double *y = run(&o, texts, sizeof texts);
        EXPECT(y && y[1681926305 % 1000] == -2 && y[613153351 % 1000] == 1);
    }
    done(&o);
}

static void a_vocabulary_that_is_not_sorted_is_refused(void)
{
    static const maas_str words[] = {{"b", 1}, {"a", 1}};
    const maas_attr attr[] = {
        {.name = "vocabulary", .type = MAAS_ATTR_STRINGS, .n = 2, .u.strings = words},
        MAAS_A_INT("n_columns", 2)};
    one o;
    if (begin(&o, MAAS_STRING, 1, (const int64_t[]){1}))
        maas_b_node(&o.b, "TextCounts", attr, 2, &o.x, 1, NULL, 1);
    EXPECT(o.b.status == MAAS_E_INVALID);
    done(&o);
}

static void lines_hold_at_their_ends_and_step_where_points_repeat(void)
{
    static const double points[] = {-2, -1, -1, 3}, values[] = {0, 1, 2, 4};
    static const double x[] = {-3, -2, -1.5, -1, 0, 3, 9}, want[] = {0, 0, .5, 2, 2.5, 4, 4};
    const maas_tensor p = maas_tensor_of(MAAS_F64, 2, (const int64_t[]){1, 4}, (void *)points);
    const maas_tensor v = maas_tensor_of(MAAS_F64, 2, (const int64_t[]){1, 4}, (void *)values);
    one o;
    if (begin(&o, MAAS_F64, 2, (const int64_t[]){7, 1})) {
        o.y = maas_b_op3(&o.b, "Interpolate", o.x, maas_b_const(&o.b, NULL, &p),
                         maas_b_const(&o.b, NULL, &v));
        const double *y = run(&o, x, sizeof x);
        for (int i = 0; y && i < 7; i++)
            EXPECT_NEAR(y[i], want[i], 0);
    }
    done(&o);
}

static void quantiles_of_the_normal_distribution(void)
{
    static const double p[] = {1e-300, 1e-7, 0.02, 0.3, 0.5, 0.9, 0.999999, 0, 1, -0.1, 1.1};
    static const double want[] = {
        -37.0470962993612,  -5.1993375821928165, -2.053748910631823, -0.5244005127080409, 0,
        1.2815515655446004, 4.753424308817087};
    one o;
    if (begin(&o, MAAS_F64, 1, (const int64_t[]){11})) {
        o.y = maas_b_op1(&o.b, "NormalQuantile", o.x);
        const double *y = run(&o, p, sizeof p);
        for (int i = 0; y && i < 7; i++)
            EXPECT_NEAR(y[i], want[i], 1e-14 * fabs(want[i]));
        EXPECT(y && y[7] == -INFINITY && y[8] == INFINITY && y[9] != y[9] && y[10] != y[10]);
    }
    done(&o);
}

/* ---- regular expressions ---- */

#ifdef MAAS_REGEX

static int full_match(const char *pattern, const char *text)
{
    maas_err err = {0};
    maas_regex *r = NULL;
    bool yes = false;
    maas_status st = maas_regex_create((maas_str){pattern, strlen(pattern)}, &r, &err);
    if (st == MAAS_OK)
        st = maas_regex_full_match(r, (maas_str){text, strlen(text)}, &yes, &err);
    maas_regex_destroy(r);
    return st == MAAS_OK ? yes : -1;
}

/* What RE2 answers; -1: it is refused. */
static void patterns_mean_what_re2_says(void)
{
    static const struct {
        const char *pattern, *text;
        int want;
    } rows[] = {
        {"", "", 1},
        {"", "a", 0},
        {"a|ab", "ab", 1},
        {"(a+)+b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0},
        {"(?i)STRASSE", "strasse", 1},
        {"(?i:A)b", "aB", 0},
        {"a.c", "a\nc", 0},
        {"(?s)a.c", "a\nc", 1},
        {"a$", "a\n", 0},
        {"(?m)a$\n^b", "a\nb", 1},
        {"\\s", "\v", 0},
        {"[\\S]", "\v", 1},
        {"\\w+", "d\xc3\xa9j\xc3\xa0", 0},
        {"\\pL+", "d\xc3\xa9j\xc3\xa0", 1},
        {"\\p{Greek}", "\xcf\x83", 1},
        {"[^\\P{Nd}]", "7", 1},
        {"[\\d-z]", "-", 1},
        {"[]a]+", "a]", 1},
        {"\\Qa.b*\\E", "a.b*", 1},
        {"a{2,3}", "aaaa", 0},
        {"a{,2}", "a{,2}", 1},
        {"^*a", "a", 1},
        {"(?P<year>\\d{4})-\\d\\d", "2024-06", 1},
        {"\\x{e9}\\101",
         "\xc3\xa9"
         "A",
         1},
        {"(a)\\1", "aa", -1},
        {"(?=a)a", "a", -1},
        {"(?<!a)b", "b", -1},
        {"(?>a)", "a", -1},
        {"a*+", "a", -1},
        {"a**", "a", -1},
        {"*a", "a", -1},
        {"(*UTF)a", "a", -1},
        {"a{1001}", "a", -1},
        {"[z-a]", "a", -1},
        {"[a", "a", -1},
        {"(a", "a", -1},
        {"a)", "a", -1},
        {"\\h", " ", -1},
        {"\\p{Nowhere}", "a", -1},
        {"\\", "a", -1},
        {"\xff", "a", -1},
        {"a", "\xff", -1},
    };
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        const int got = full_match(rows[i].pattern, rows[i].text);
        EXPECT_MSG(got == rows[i].want, "/%s/ on '%s': %d, expected %d", rows[i].pattern,
                   rows[i].text, got, rows[i].want);
    }
}
#endif

static const mt_case cases[] = {
#ifdef MAAS_REGEX
    MT_CASE(patterns_mean_what_re2_says),
#endif
    MT_CASE(texts_are_taken_apart_as_scikit_learn_does),
    MT_CASE(stop_words_go_before_ngrams_are_made),
    MT_CASE(other_patterns_are_refused),
    MT_CASE(bytes_that_are_no_text_are_refused),
    MT_CASE(hashes_are_those_of_murmur3),
    MT_CASE(joined_pieces_are_found),
    MT_CASE(utf8_goes_both_ways),
    MT_CASE(words_are_counted_in_their_columns),
    MT_CASE(hashed_words_have_signs),
    MT_CASE(a_vocabulary_that_is_not_sorted_is_refused),
    MT_CASE(lines_hold_at_their_ends_and_step_where_points_repeat),
    MT_CASE(quantiles_of_the_normal_distribution),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
