/*
 * Texts to numbers: CountVectorizer, TfidfVectorizer, HashingVectorizer, TfidfTransformer.
 *
 * Taking a text apart is the operator TextCounts of ai.maas (ops/text_counts.c); weights and norms
 * behind it are standard operators.
 */
#include "formats/sklearn/prep.h"
#include "ops/text.h"

#include "base/ban.h"

/* The list behind stop_words='english'. */
static const maas_str english[] = {
#include "formats/sklearn/stop_words.inc"
};

#define MAX_ATTRS 12
typedef struct attrs {
    maas_attr a[MAX_ATTRS];
    uint32_t n;
} attrs;

static void add(attrs *list, maas_attr a)
{
    MAAS_CHECK(list->n < MAX_ATTRS);
    list->a[list->n++] = a;
}

static void add_text(attrs *list, const char *name, maas_str s)
{
    add(list, (maas_attr){.name = name, .type = MAAS_ATTR_STRING, .u.s = s});
}

static void add_texts(attrs *list, const char *name, const maas_str *s, int64_t n)
{
    add(list,
        (maas_attr){.name = name, .type = MAAS_ATTR_STRINGS, .n = (uint32_t)n, .u.strings = s});
}

/* ---- sorting texts with the numbers that belong to them ---- */

typedef struct entry {
    maas_str text;
    int64_t column;
} entry;

static int by_text(const void *a, const void *b)
{
    return maas_text_compare(((const entry *)a)->text, ((const entry *)b)->text);
}

static maas_status add_stop_words(maas_sk *s, const maas_pk *est, attrs *list)
{
    const maas_pk *v = maas_pk_attr(est, "stop_words");
    maas_str word;
    if (maas_pk_kind_of(v) == MAAS_PK_NONE)
        return MAAS_OK;
    if (maas_pk_kind_of(v) == MAAS_PK_STR && maas_pk_to_str(v, &word)) {
        if (word.n != 7 || memcmp(word.p, "english", 7) != 0)
            return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "stop_words is '%.*s'",
                                (int)(word.n < 40 ? word.n : 40), word.p);
        add_texts(list, "stop_words", english, MAAS_COUNT(english));
        return MAAS_OK;
    }
    int64_t n = sk_n_items(v), kept = 0;
    if (n < 0)
        return maas_sk_fail(s, MAAS_E_FORMAT, "stop_words is %s", maas_pk_kind_text(v));
    entry *words = maas_sk_alloc(s, (size_t)n, sizeof *words);
    maas_str *sorted = maas_sk_alloc(s, (size_t)n, sizeof *sorted);
    if (!words || !sorted)
        return s->b.status;
    for (int64_t i = 0; i < n; i++)
        if (!sk_item_str(v, i, &words[i].text))
            return maas_sk_fail(s, MAAS_E_FORMAT, "stop_words holds something that is no text");
    sk_sort(s, words, n, sizeof *words, by_text);
    for (int64_t i = 0; i < n; i++)
        if (kept == 0 || maas_text_compare(sorted[kept - 1], words[i].text) != 0)
            sorted[kept++] = words[i].text;
    if (kept)
        add_texts(list, "stop_words", sorted, kept);
    return MAAS_OK;
}

/* vocabulary_: a dict from n-gram to column. */
static maas_status add_vocabulary(maas_sk *s, const maas_pk *est, attrs *list, int64_t *out_n)
{
    const maas_pk *v = maas_pk_attr(est, "vocabulary_");
    const int64_t n = maas_pk_count(v);
    if (n < 1 || !maas_pk_key(v, 0))
        return maas_sk_fail(s, MAAS_E_FORMAT, "vocabulary_ is %s, expected a dict",
                            maas_pk_kind_text(v));
    entry *entries = maas_sk_alloc(s, (size_t)n, sizeof *entries);
    maas_str *sorted = maas_sk_alloc(s, (size_t)n, sizeof *sorted);
    int64_t *columns = maas_sk_alloc(s, (size_t)n, sizeof *columns);
    bool *seen = maas_sk_alloc(s, (size_t)n, sizeof *seen);
    if (!entries || !sorted || !columns || !seen)
        return s->b.status;
    for (int64_t i = 0; i < n; i++) {
        entry *e = &entries[i];
        if (!maas_pk_to_str(maas_pk_key(v, i), &e->text) ||
            !maas_pk_to_int(maas_pk_at(v, i), &e->column) || e->column < 0 || e->column >= n ||
            seen[e->column])
            return maas_sk_fail(s, MAAS_E_FORMAT,
                                "vocabulary_: entry %lld is no text with a column of its own",
                                (long long)i);
        seen[e->column] = true;
    }
    sk_sort(s, entries, n, sizeof *entries, by_text);
    for (int64_t i = 0; i < n; i++) {
        sorted[i] = entries[i].text;
        columns[i] = entries[i].column;
        if (i && maas_text_compare(sorted[i - 1], sorted[i]) == 0)
            return maas_sk_fail(s, MAAS_E_FORMAT, "vocabulary_ has a text twice");
    }
    add_texts(list, "vocabulary", sorted, n);
    add(list, MAAS_A_INTS("columns", columns, n));
    *out_n = n;
    return MAAS_OK;
}

/* ---- how a text is taken apart ---- */

static maas_status refuse_functions(maas_sk *s, const maas_pk *est)
{
    static const char *const names[] = {"preprocessor", "tokenizer"};
    for (size_t i = 0; i < MAAS_COUNT(names); i++)
        if (maas_sk_has(est, names[i]))
            return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "%s is a function (%s)", names[i],
                                maas_pk_kind_text(maas_pk_attr(est, names[i])));
    const maas_pk *accents = maas_pk_attr(est, "strip_accents");
    const maas_pk *analyzer = maas_pk_attr(est, "analyzer");
    maas_str word;
    if (maas_pk_kind_of(accents) != MAAS_PK_NONE && !maas_pk_to_str(accents, &word))
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "strip_accents is a function");
    if (!maas_pk_to_str(analyzer, &word))
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "analyzer is a function (%s)",
                            maas_pk_kind_text(analyzer));
    const maas_pk *input = maas_pk_attr(est, "input");
    if (maas_pk_to_str(input, &word) && !(word.n == 7 && memcmp(word.p, "content", 7) == 0))
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "input is '%.*s': only 'content' can be served",
                            (int)(word.n < 20 ? word.n : 20), word.p);
    return MAAS_OK;
}

static maas_status add_analysis(maas_sk *s, const maas_pk *est, attrs *list)
{
    static const char *const analyzers[] = {"word", "char", "char_wb", NULL};
    static const char *const accents[] = {"", "ascii", "unicode", NULL};
    int analyzer, accent;
    bool lower, binary;
    double lo, hi;
    maas_str pattern;
    MAAS_TRY(refuse_functions(s, est));
    MAAS_TRY(maas_sk_word(s, est, "analyzer", analyzers, 0, &analyzer));
    MAAS_TRY(maas_sk_word(s, est, "strip_accents", accents, 0, &accent));
    MAAS_TRY(maas_sk_bool_or(s, est, "lowercase", true, &lower));
    MAAS_TRY(maas_sk_bool_or(s, est, "binary", false, &binary));
    const maas_pk *range = maas_pk_attr(est, "ngram_range");
    if (!sk_item_double(range, 0, &lo) || !sk_item_double(range, 1, &hi) ||
        !(lo >= 1 && lo <= hi && hi <= MAAS_TEXT_MAX_NGRAM))
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "ngram_range is not within 1 and %d",
                            MAAS_TEXT_MAX_NGRAM);
    add(list, MAAS_A_STR("analyzer", analyzers[analyzer]));
    add(list, MAAS_A_STR("strip_accents", accents[accent]));
    add(list, MAAS_A_INT("lowercase", lower));
    add(list, MAAS_A_INT("binary", binary));
    add(list, MAAS_A_INT("ngram_min", (int64_t)lo));
    add(list, MAAS_A_INT("ngram_max", (int64_t)hi));
    if (analyzer != 0)
        return MAAS_OK;
    MAAS_TRY(maas_sk_str(s, est, "token_pattern", &pattern));
    add_text(list, "pattern", pattern);
    return add_stop_words(s, est, list);
}

static maas_status counts(maas_sk *s, const maas_pk *est, const maas_sk_table *in, maas_vid *out,
                          int64_t *n)
{
    attrs list = {0};
    MAAS_TRY(add_analysis(s, est, &list));
    MAAS_TRY(add_vocabulary(s, est, &list, n));
    add(&list, MAAS_A_INT("n_columns", *n));
    maas_vid x = maas_sk_texts(s, in);
    *out = maas_b_node(&s->b, "TextCounts", list.a, list.n, &x, 1, NULL, 1);
    return s->b.status;
}

static maas_status count_vectorizer(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                    unsigned need, maas_sk_out *out)
{
    maas_vid y;
    int64_t n;
    MAAS_TRY(counts(s, est, in, &y, &n));
    return sk_give(s, out, y, n);
}

/* norm: "l1", "l2" or None. */
static maas_status normed(maas_sk *s, const maas_pk *est, maas_vid *x)
{
    int norm;
    if (!maas_sk_has(est, "norm"))
        return MAAS_OK;
    MAAS_TRY(maas_sk_word(s, est, "norm", sk_norms, SK_NORM_L2, &norm));
    *x = sk_unit_rows(s, *x, norm);
    return s->b.status;
}

static maas_status hashing_vectorizer(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                      unsigned need, maas_sk_out *out)
{
    attrs list = {0};
    int64_t n;
    bool alternate;
    MAAS_TRY(add_analysis(s, est, &list));
    MAAS_TRY(maas_sk_int(s, est, "n_features", &n));
    MAAS_TRY(maas_sk_bool_or(s, est, "alternate_sign", true, &alternate));
    add(&list, MAAS_A_INT("n_columns", n));
    add(&list, MAAS_A_INT("alternate_sign", alternate));
    maas_vid x = maas_sk_texts(s, in);
    x = maas_b_node(&s->b, "TextCounts", list.a, list.n, &x, 1, NULL, 1);
    MAAS_TRY(normed(s, est, &x));
    return sk_give(s, out, x, n);
}

/* ---- TfidfTransformer ---- */

/* The diagonal of a sparse matrix of n rows: DIA has it as a row, CSR as its only entries. */
static maas_status diagonal_of(maas_sk *s, const maas_pk *m, int64_t n, const maas_tensor **out)
{
    int64_t dims[] = {1, n};
    const maas_pk *indices = maas_pk_attr(m, "indices");
    const maas_tensor *places;
    if (!indices)
        return maas_sk_array_of(s, maas_pk_attr(m, "data"), "_idf_diag.data", MAAS_F64, 2, dims,
                                false, out);
    MAAS_TRY(maas_sk_array_of(s, maas_pk_attr(m, "data"), "_idf_diag.data", MAAS_F64, 1, &n, false,
                              out));
    MAAS_TRY(maas_sk_array_of(s, indices, "_idf_diag.indices", MAAS_I64, 1, &n, false, &places));
    for (int64_t i = 0; i < n; i++)
        if (((const int64_t *)places->data)[i] != i)
            return maas_sk_fail(s, MAAS_E_FORMAT, "_idf_diag is not diagonal");
    return MAAS_OK;
}

/* idf_; before scikit-learn 1.4 it was kept as a diagonal matrix. */
static maas_status idf_of(maas_sk *s, const maas_pk *est, int64_t n, maas_vid *out)
{
    const maas_tensor *t;
    if (maas_pk_attr(est, "idf_"))
        MAAS_TRY(maas_sk_array(s, est, "idf_", MAAS_F64, 1, &n, &t));
    else
        MAAS_TRY(diagonal_of(s, maas_pk_attr(est, "_idf_diag"), n, &t));
    *out = maas_sk_f64s(s, t->data, n);
    return s->b.status;
}

static maas_status tfidf(maas_sk *s, const maas_pk *est, int64_t n, maas_vid *x)
{
    bool sublinear, use_idf;
    MAAS_TRY(maas_sk_bool_or(s, est, "sublinear_tf", false, &sublinear));
    MAAS_TRY(maas_sk_bool_or(s, est, "use_idf", true, &use_idf));
    if (sublinear) {
        maas_vid zero = maas_sk_f64(s, 0), one = maas_sk_f64(s, 1);
        maas_vid none = sk_op2(s, "Equal", *x, zero);
        maas_vid log = sk_op1(s, "Log", sk_op3(s, "Where", none, one, *x));
        *x = sk_op3(s, "Where", none, zero, sk_op2(s, "Add", log, one));
    }
    if (use_idf) {
        maas_vid idf;
        MAAS_TRY(idf_of(s, est, n, &idf));
        *x = sk_op2(s, "Mul", *x, idf);
    }
    return normed(s, est, x);
}

static maas_status tfidf_transformer(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                     unsigned need, maas_sk_out *out)
{
    int64_t n;
    MAAS_TRY(sk_n_features(s, est, in, &n));
    maas_vid x = maas_sk_matrix(s, in, n);
    MAAS_TRY(tfidf(s, est, n, &x));
    return sk_give(s, out, x, n);
}

static maas_status tfidf_vectorizer(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                    unsigned need, maas_sk_out *out)
{
    maas_vid y;
    int64_t n;
    MAAS_TRY(counts(s, est, in, &y, &n));
    const maas_pk *weights = maas_pk_attr(est, "_tfidf");
    if (!maas_sk_is(weights, "TfidfTransformer"))
        return maas_sk_fail(s, MAAS_E_FORMAT, "_tfidf is %s", maas_pk_kind_text(weights));
    MAAS_TRY(tfidf(s, weights, n, &y));
    return sk_give(s, out, y, n);
}

#define TEXT "sklearn.feature_extraction.text"
const maas_sk_row maas_sk_text[] = {
    {"CountVectorizer", TEXT, MAAS_SK_TRANSFORMER, count_vectorizer},
    {"TfidfVectorizer", TEXT, MAAS_SK_TRANSFORMER, tfidf_vectorizer},
    {"HashingVectorizer", TEXT, MAAS_SK_TRANSFORMER, hashing_vectorizer},
    {"TfidfTransformer", TEXT, MAAS_SK_TRANSFORMER, tfidf_transformer},
    {0},
};
