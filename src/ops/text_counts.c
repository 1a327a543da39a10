/*
 * TextCounts (ai.maas) - how often the n-grams of each text are in a vocabulary, or how they hash:
 * what CountVectorizer and HashingVectorizer of scikit-learn compute. No operator of ONNX says it:
 * StringSplit and TfIdfVectorizer know no Unicode classes, cases, accents or hashes. A graph with
 * this operator therefore runs only here; what follows it stays standard.
 *
 *   X [n] or [n, 1] text -> Y [n, n_columns] double
 *
 *   analyzer       "word" (tokens of `pattern`), "char", "char_wb"
 *   lowercase, strip_accents ("", "ascii", "unicode"), ngram_min, ngram_max
 *   stop_words     sorted; words that are left out before n-grams are made
 *   vocabulary     sorted; its entry i counts in columns[i] (columns absent: in i)
 *   n_columns      without a vocabulary: of MurmurHash3, negative hashes count down when
 *                  `alternate_sign`
 *   binary         1 where there is any
 */
#include "ops/ops_int.h"
#include "ops/text.h"

#include "base/ban.h"

#define MAX_COLUMNS (1 << 24)

typedef struct counter {
    maas_text text;
    const maas_attr *vocabulary; /* NULL: hashed */
    const int64_t *columns;      /* NULL: in order */
    int64_t n_columns;
    bool alternate, binary;
    double *row;
} counter;

static maas_status word_of(const maas_node *n, const char *name, const char *const *words, int *out,
                           maas_err *err)
{
    const maas_str s = maas_attr_s(n, name, words[0]);
    for (int i = 0; words[i]; i++)
        if (s.n == strlen(words[i]) && memcmp(s.p, words[i], s.n) == 0) {
            *out = i;
            return MAAS_OK;
        }
    return maas_fail(err, MAAS_E_INVALID, "attribute '%s' has an unknown value", name);
}

static maas_status text_of(const maas_node *n, maas_text *t, maas_err *err)
{
    static const char *const analyzers[] = {"word", "char", "char_wb", NULL};
    static const char *const accents[] = {"", "ascii", "unicode", NULL};
    int analyzer, accent;
    MAAS_TRY(word_of(n, "analyzer", analyzers, &analyzer, err));
    MAAS_TRY(word_of(n, "strip_accents", accents, &accent, err));
    const int64_t lo = maas_attr_i(n, "ngram_min", 1), hi = maas_attr_i(n, "ngram_max", lo);
    if (lo < 1 || hi < lo || hi > MAAS_TEXT_MAX_NGRAM)
        return maas_fail(err, MAAS_E_INVALID, "n-grams of %lld to %lld parts: 1 to %d are possible",
                         (long long)lo, (long long)hi, MAAS_TEXT_MAX_NGRAM);
    *t = (maas_text){.analyzer = (maas_text_analyzer)analyzer,
                     .accents = (maas_text_accents)accent,
                     .lower = maas_attr_i(n, "lowercase", 1) != 0,
                     .min_n = (int)lo,
                     .max_n = (int)hi};
    const maas_attr *stop = maas_node_attr(n, "stop_words");
    t->stop = stop ? stop->u.strings : NULL;
    t->n_stop = stop ? stop->n : 0;
    if (t->analyzer != MAAS_TEXT_WORD)
        return MAAS_OK;
    return maas_text_pattern_compile(maas_attr_s(n, "pattern", "\\b\\w\\w+\\b"), &t->pattern, err);
}

static maas_status counter_of(const maas_node *n, counter *c, maas_err *err)
{
    *c = (counter){.vocabulary = maas_node_attr(n, "vocabulary"),
                   .alternate = maas_attr_i(n, "alternate_sign", 0) != 0,
                   .binary = maas_attr_i(n, "binary", 0) != 0,
                   .n_columns = maas_attr_i(n, "n_columns", 0)};
    if (c->n_columns < 1 || c->n_columns > MAX_COLUMNS)
        return maas_fail(err, MAAS_E_INVALID, "attribute 'n_columns' must be 1 to %d", MAX_COLUMNS);
    uint32_t n_places;
    c->columns = maas_attr_ints(n, "columns", &n_places);
    if (c->columns && (!c->vocabulary || n_places != c->vocabulary->n))
        return maas_fail(err, MAAS_E_INVALID, "attribute 'columns' has %u numbers for %u texts",
                         n_places, c->vocabulary ? c->vocabulary->n : 0);
    return text_of(n, &c->text, err);
}

static maas_status check_sorted(const char *name, const maas_str *s, uint32_t n, maas_err *err)
{
    for (uint32_t i = 1; i < n; i++)
        if (maas_text_compare(s[i - 1], s[i]) >= 0)
            return maas_fail(err, MAAS_E_INVALID, "attribute '%s' is not sorted at %u", name, i);
    return MAAS_OK;
}

static maas_status counts_infer(maas_infer *q, maas_err *err)
{
    counter c;
    MAAS_TRY(counter_of(q->node, &c, err));
    MAAS_TRY(check_sorted("stop_words", c.text.stop, c.text.n_stop, err));
    for (uint32_t i = 0; c.vocabulary && i < c.vocabulary->n; i++) {
        const int64_t at = c.columns ? c.columns[i] : i;
        if (at < 0 || at >= c.n_columns)
            return maas_fail(err, MAAS_E_INVALID, "column %lld of %lld", (long long)at,
                             (long long)c.n_columns);
    }
    if (c.vocabulary)
        MAAS_TRY(check_sorted("vocabulary", c.vocabulary->u.strings, c.vocabulary->n, err));
    const maas_type *x = &q->in[0];
    if (x->rank > 2 || x->rank == 0 || (x->rank == 2 && x->dims[1] >= 0 && x->dims[1] != 1))
        return maas_fail(err, MAAS_E_INVALID, "X must be one text a row: [n] or [n, 1]");
    const int64_t dims[] = {x->rank > 0 ? x->dims[0] : MAAS_DIM_UNKNOWN, c.n_columns};
    maas_q_out(q, 0, MAAS_F64, 2, dims);
    return MAAS_OK;
}

static void count(void *user, const maas_str *pieces, int n)
{
    counter *c = user;
    if (!c->vocabulary) {
        const int32_t h = maas_text_murmur3(pieces, n);
        const int64_t at = (h < 0 ? -(int64_t)h : (int64_t)h) % c->n_columns;
        const double step = c->alternate && h < 0 ? -1 : 1;
        c->row[at] = c->binary ? 1 : c->row[at] + step;
        return;
    }
    const int64_t at = maas_text_find(c->vocabulary->u.strings, c->vocabulary->n, pieces, n);
    if (at < 0)
        return;
    double *y = &c->row[c->columns ? c->columns[at] : at];
    *y = c->binary ? 1 : *y + 1;
}

static maas_status count_rows(const maas_call *call, counter *c, maas_text_work *w, maas_err *err)
{
    const maas_str *x = call->in[0].data;
    double *y = call->out[0].data;
    const int64_t rows = call->out[0].dims[0];
    memset(y, 0, maas_tensor_bytes(&call->out[0]));
    for (int64_t r = 0; r < rows; r++) {
        maas_status st;
        c->row = y + r * c->n_columns;
        st = maas_text_ngrams(&c->text, x[r], w, count, c, err);
        if (st != MAAS_OK) {
            maas_err_prefix(err, "row %lld", (long long)r);
            return st;
        }
    }
    return MAAS_OK;
}

static maas_status counts_reference(const maas_call *call, maas_err *err)
{
    counter c;
    maas_text_work w;
    MAAS_TRY(counter_of(call->node, &c, err));
    maas_text_work_init(&w);
    maas_status st = count_rows(call, &c, &w, err);
    maas_text_work_reset(&w);
    return st;
}

/* Texts are not seen before they come: some hundred characters of each are a guess. */
static int64_t counts_flops(const maas_call *call)
{
    return maas_n_elems(&call->out[0]) + maas_n_elems(&call->in[0]) * 10000;
}

static void counts_example(maas_example *e)
{
    static const maas_str words[] = {{"a", 1}, {"a b", 3}, {"bc", 2}};
    static const int64_t at[] = {2, 0, 3};
    static const char *const analyzers[] = {"word", "char", "char_wb"};
    maas_attr attr[8] = {MAAS_A_STR("analyzer", analyzers[e->variant % 3]),
                         MAAS_A_INT("n_columns", 4), MAAS_A_INT("ngram_max", 2),
                         MAAS_A_STR("pattern", "\\w+"), MAAS_A_STR("strip_accents", "unicode")};
    uint32_t n = 5;
    if (e->variant < 3) {
        attr[n++] = (maas_attr){
            .name = "vocabulary", .type = MAAS_ATTR_STRINGS, .n = 3, .u.strings = words};
        attr[n++] = MAAS_A_INTS("columns", at, 3);
    } else {
        attr[n++] = MAAS_A_INT("alternate_sign", 1);
    }
    maas_vid x = maas_ex_in(e, MAAS_STRING, 0, 9, e->variant & 1 ? 2 : 1, (const int64_t[]){4, 1});
    maas_b_node(e->b, "TextCounts", attr, n, &x, 1, NULL, 1);
}

static const maas_io_schema in[] = {MAAS_REQ("X", NULL, MAAS_DTS_STR)};
static const maas_io_schema out[] = {MAAS_REQ("Y", NULL, MAAS_DT_BIT(MAAS_F64))};
static const maas_attr_schema attrs[] = {
    {"analyzer", MAAS_ATTR_STRING, false},    {"pattern", MAAS_ATTR_STRING, false},
    {"lowercase", MAAS_ATTR_INT, false},      {"strip_accents", MAAS_ATTR_STRING, false},
    {"ngram_min", MAAS_ATTR_INT, false},      {"ngram_max", MAAS_ATTR_INT, false},
    {"stop_words", MAAS_ATTR_STRINGS, false}, {"vocabulary", MAAS_ATTR_STRINGS, false},
    {"columns", MAAS_ATTR_INTS, false},       {"n_columns", MAAS_ATTR_INT, true},
    {"alternate_sign", MAAS_ATTR_INT, false}, {"binary", MAAS_ATTR_INT, false}};

const maas_op maas_op_TextCounts = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "TextCounts",
    .since = 1,
    .flags = MAAS_OP_STRINGS,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 6,
    .infer = counts_infer,
    .reference = counts_reference,
    .flops = counts_flops,
    .example = counts_example,
    .no_gradient = "it counts words",
};
