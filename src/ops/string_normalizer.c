/*
 * StringNormalizer: stop words left out of a list of texts, the others in lower or upper case, one
 * character to one, the same for every locale but those that have a case of their own for i.
 */
#include <stdlib.h>

#include "base/utf8.h"
#include "ops/ops_int.h"
#include "ops/text.h"
#include "ops/unicode.h"

#include "base/ban.h"

typedef uint32_t (*case_fn)(uint32_t c);

/* The case that is asked for; NULL: as it is. */
static maas_status case_of(const maas_node *n, case_fn *out, maas_err *err)
{
    static const struct {
        const char *name;
        case_fn fn;
    } cases[] = {{"NONE", NULL}, {"LOWER", maas_uni_lower}, {"UPPER", maas_uni_upper}};
    const maas_str s = maas_attr_s(n, "case_change_action", "NONE");
    for (size_t i = 0; i < MAAS_COUNT(cases); i++)
        if (s.n == strlen(cases[i].name) && memcmp(s.p, cases[i].name, s.n) == 0) {
            *out = cases[i].fn;
            return MAAS_OK;
        }
    return maas_fail(err, MAAS_E_INVALID,
                     "attribute 'case_change_action' must be LOWER, UPPER or NONE");
}

static maas_status infer(maas_infer *q, maas_err *err)
{
    static const char *const dotted[] = {"tr", "az", "lt"};
    const maas_str locale = maas_attr_s(q->node, "locale", "en_US");
    const maas_attr *stop = maas_node_attr(q->node, "stopwords");
    const maas_type *x = &q->in[0];
    case_fn fn;
    MAAS_TRY(case_of(q->node, &fn, err));
    for (size_t i = 0; i < MAAS_COUNT(dotted); i++)
        if (locale.n >= 2 && memcmp(locale.p, dotted[i], 2) == 0 &&
            (locale.n == 2 || locale.p[2] == '_' || locale.p[2] == '-'))
            return maas_fail(err, MAAS_E_UNSUPPORTED, "the case of locale '%s' is not supported",
                             dotted[i]);
    for (uint32_t i = 0; stop && i < stop->n; i++)
        if (!maas_utf8_valid(maas_span_of(stop->u.strings[i].p, stop->u.strings[i].n)))
            return maas_fail(err, MAAS_E_INVALID, "stop word %u is not UTF-8", i);
    if (x->rank >= 0 && x->rank != 1 && x->rank != 2)
        return maas_fail(err, MAAS_E_INVALID, "the input must be [C] or [1, C]");
    if (x->rank == 2 && x->dims[0] >= 0 && x->dims[0] != 1)
        return maas_fail(err, MAAS_E_INVALID, "the input must be [C] or [1, C]");
    q->out[0] = *x;
    if (x->rank == 2)
        q->out[0].dims[0] = 1;
    if (x->rank > 0)
        q->out[0].dims[x->rank - 1] = MAAS_DIM_UNKNOWN;
    return MAAS_OK;
}

/* s in another case: new text of the run. */
static maas_status recase(const maas_call *c, maas_str *s, case_fn fn, maas_err *err)
{
    char small[4], *text;
    uint32_t ch;
    size_t n = 0;
    for (size_t i = 0; i < s->n;) {
        i += maas_uni_get(s->p + i, &ch);
        n += maas_uni_put(fn(ch), small);
    }
    MAAS_TRY(maas_ref_text(c, n, &text, err));
    n = 0;
    for (size_t i = 0; i < s->n;) {
        i += maas_uni_get(s->p + i, &ch);
        const size_t len = maas_uni_put(fn(ch), small);
        memcpy(text + n, small, len);
        n += len;
    }
    *s = (maas_str){text, n};
    return MAAS_OK;
}

static int by_bytes(const void *a, const void *b)
{
    return maas_text_compare(*(const maas_str *)a, *(const maas_str *)b);
}

/* Words that are left out, in lower case when case does not matter, sorted. */
typedef struct stop_words {
    maas_str *words;
    size_t n;
    bool as_written;
} stop_words;

static maas_status stop_words_of(const maas_call *c, stop_words *out, maas_err *err)
{
    const maas_attr *a = maas_node_attr(c->node, "stopwords");
    out->as_written = maas_attr_i(c->node, "is_case_sensitive", 0) != 0;
    out->n = a ? a->n : 0;
    out->words = maas_calloc(out->n + 1, sizeof *out->words);
    if (!out->words)
        return maas_fail(err, MAAS_E_NOMEM, "%zu stop words", out->n);
    for (size_t i = 0; i < out->n; i++) {
        out->words[i] = a->u.strings[i];
        if (!out->as_written)
            MAAS_TRY(recase(c, &out->words[i], maas_uni_lower, err));
    }
    qsort(out->words, out->n, sizeof *out->words, by_bytes);
    return MAAS_OK;
}

static maas_status is_stop(const maas_call *c, const stop_words *stop, maas_str word, bool *out,
                           maas_err *err)
{
    *out = false;
    if (!stop->n)
        return MAAS_OK;
    if (!stop->as_written)
        MAAS_TRY(recase(c, &word, maas_uni_lower, err));
    *out = bsearch(&word, stop->words, stop->n, sizeof word, by_bytes) != NULL;
    return MAAS_OK;
}

static maas_status normalize(const maas_call *c, const stop_words *stop, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    const maas_str *from = x->data;
    int64_t dims[2] = {1, 1}, n = maas_n_elems(x), kept = 0;
    case_fn fn;
    MAAS_TRY(case_of(c->node, &fn, err));
    AUTO_FREE maas_str *keep = maas_calloc((size_t)n + 1, sizeof *keep);
    if (!keep)
        return maas_fail(err, MAAS_E_NOMEM, "%lld texts", (long long)n);
    for (int64_t i = 0; i < n; i++) {
        bool dropped;
        if (!maas_utf8_valid(maas_span_of(from[i].p, from[i].n)))
            return maas_fail(err, MAAS_E_INVALID, "StringNormalizer: a text is not UTF-8");
        MAAS_TRY(is_stop(c, stop, from[i], &dropped, err));
        if (dropped)
            continue;
        keep[kept] = from[i];
        if (fn)
            MAAS_TRY(recase(c, &keep[kept], fn, err));
        kept++;
    }
    if (!kept)
        keep[kept++] = (maas_str){"", 0};
    dims[x->rank - 1] = kept;
    MAAS_TRY(maas_ref_alloc(c, 0, x->rank, dims, err));
    memcpy(c->out[0].data, keep, (size_t)kept * sizeof *keep);
    return MAAS_OK;
}

static maas_status reference(const maas_call *c, maas_err *err)
{
    stop_words stop = {0};
    maas_status st = stop_words_of(c, &stop, err);
    if (st == MAAS_OK)
        st = normalize(c, &stop, err);
    maas_free(stop.words);
    return st;
}

static void example(maas_example *e)
{
    static const char *const words[] = {"Monday", "\xc3\x89t\xc3\xa9", "monday", ""};
    static const maas_str stop[] = {{"monday", 6}, {"\xc3\xa9t\xc3\xa9", 5}, {"a", 1}};
    static const char *const actions[] = {"LOWER", "UPPER", "NONE", "LOWER"};
    const maas_attr attr[] = {
        MAAS_A_STR("case_change_action", actions[e->variant]),
        MAAS_A_INT("is_case_sensitive", e->variant & 1),
        {.name = "stopwords", .type = MAAS_ATTR_STRINGS, .n = 3, .u.strings = stop}};
    const maas_vid x = e->variant < 2    ? maas_b_strings(e->b, words, MAAS_COUNT(words))
                       : e->variant == 2 ? maas_ex_in(e, MAAS_STRING, 0, 1, MAAS_DIMS(1, 6))
                                         : maas_ex_in(e, MAAS_STRING, 0, 1, MAAS_DIMS(0));
    maas_b_node(e->b, "StringNormalizer", attr, 3, &x, 1, NULL, 1);
}

static const maas_io_schema in[] = {MAAS_REQ("X", NULL, MAAS_DTS_STR)};
static const maas_io_schema out[] = {MAAS_REQ("Y", NULL, MAAS_DTS_STR)};
static const maas_attr_schema attrs[] = {{"case_change_action", MAAS_ATTR_STRING, false},
                                         {"is_case_sensitive", MAAS_ATTR_INT, false},
                                         {"locale", MAAS_ATTR_STRING, false},
                                         {"stopwords", MAAS_ATTR_STRINGS, false}};

const maas_op maas_op_StringNormalizer = {
    .domain = "",
    .name = "StringNormalizer",
    .since = 10,
    .flags = MAAS_OP_DYNAMIC | MAAS_OP_STRINGS,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 4,
    .infer = infer,
    .reference = reference,
    .flops = maas_flops_none,
    .example = example,
    .no_gradient = "text has no derivative",
};
