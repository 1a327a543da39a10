/* Patterns of RE2's syntax through PCRE2, and RegexFullMatch. */
#include "ops/regex.h"

#include "ops/ops_int.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/ban.h"

#define MAX_CODE (1 << 20) /* bytes of a compiled pattern */

struct maas_regex {
    pcre2_general_context *memory;
    pcre2_code *code;
    pcre2_match_data *match;
    int *space; /* of the breadth-first match: what is active, and what will be */
    size_t n_space;
};

static void *take(PCRE2_SIZE n, void *user)
{
    return maas_calloc(1, n);
}

static void give(void *p, void *user)
{
    maas_free(p);
}

void maas_regex_destroy(maas_regex *r)
{
    if (!r)
        return;
    pcre2_match_data_free(r->match);
    pcre2_code_free(r->code);
    pcre2_general_context_free(r->memory);
    maas_free(r->space);
    maas_free(r);
}

static maas_status no_memory(maas_err *err)
{
    return maas_fail(err, MAAS_E_NOMEM, "compiling a pattern");
}

static maas_status compile(maas_regex *r, const maas_buf *text, maas_err *err)
{
    int code = 0;
    PCRE2_SIZE at = 0, size = 0;
    pcre2_compile_context *how = pcre2_compile_context_create(r->memory);
    if (!how)
        return no_memory(err);
    pcre2_set_newline(how, PCRE2_NEWLINE_LF);
    pcre2_set_parens_nest_limit(how, 2 * MAAS_REGEX_MAX_NEST + 2);
    r->code = pcre2_compile((PCRE2_SPTR)text->p, text->n,
                            PCRE2_UTF | PCRE2_ALT_CIRCUMFLEX | PCRE2_NO_AUTO_CAPTURE |
                                PCRE2_NEVER_BACKSLASH_C,
                            &code, &at, how);
    pcre2_compile_context_free(how);
    if (!r->code && code == PCRE2_ERROR_HEAP_FAILED)
        return no_memory(err);
    if (!r->code) {
        char words[120] = "";
        pcre2_get_error_message(code, (PCRE2_UCHAR *)words, sizeof words);
        return maas_fail(err, MAAS_E_INVALID, "the pattern cannot be compiled: %s", words);
    }
    if (pcre2_pattern_info(r->code, PCRE2_INFO_SIZE, &size) != 0 || size > MAX_CODE)
        return maas_fail(err, MAAS_E_TOO_LARGE, "the pattern is too costly");
    /* every place of the code is active once at most, in three numbers, now and after the next
     * character */
    r->n_space = 6 * size + 1000;
    r->space = maas_calloc(r->n_space, sizeof *r->space);
    r->match = pcre2_match_data_create(1, r->memory);
    return r->space && r->match ? MAAS_OK : no_memory(err);
}

maas_status maas_regex_create(maas_str pattern, maas_regex **out, maas_err *err)
{
    maas_buf text = MAAS_BUF_INIT(16 * MAAS_REGEX_MAX_BYTES);
    maas_regex *r = maas_calloc(1, sizeof *r);
    maas_status st = maas_regex_translate(pattern, &text, err);
    if (st == MAAS_OK && r)
        r->memory = pcre2_general_context_create(take, give, NULL);
    if (st == MAAS_OK)
        st = r && r->memory ? compile(r, &text, err) : no_memory(err);
    maas_buf_reset(&text);
    if (st != MAAS_OK)
        maas_regex_destroy(r);
    else
        *out = r;
    return st;
}

maas_status maas_regex_full_match(maas_regex *r, maas_str text, bool *out, maas_err *err)
{
    const int st = pcre2_dfa_match(r->code, (PCRE2_SPTR)(text.n ? text.p : ""), text.n, 0,
                                   PCRE2_ANCHORED | PCRE2_DFA_SHORTEST, r->match, NULL, r->space,
                                   r->n_space);
    *out = st >= 0;
    if (st >= 0 || st == PCRE2_ERROR_NOMATCH)
        return MAAS_OK;
    if (st <= PCRE2_ERROR_UTF8_ERR1 && st >= PCRE2_ERROR_UTF8_ERR21)
        return maas_fail(err, MAAS_E_INVALID, "a text is not UTF-8");
    return maas_fail(err, st == PCRE2_ERROR_NOMEMORY ? MAAS_E_NOMEM : MAAS_E_UNSUPPORTED,
                     "matching the pattern fails with %d of PCRE2", st);
}

/* ---- RegexFullMatch ---- */

static maas_status infer(maas_infer *q, maas_err *err)
{
    maas_regex *r = NULL;
    MAAS_TRY(maas_regex_create(maas_attr_s(q->node, "pattern", ""), &r, err));
    maas_regex_destroy(r);
    q->out[0] = q->in[0];
    q->out[0].dtype = MAAS_BOOL;
    return MAAS_OK;
}

static maas_status reference(const maas_call *c, maas_err *err)
{
    const maas_str *x = c->in[0].data;
    maas_regex *r = NULL;
    maas_status st = maas_regex_create(maas_attr_s(c->node, "pattern", ""), &r, err);
    for (int64_t i = 0, n = maas_n_elems(&c->in[0]); i < n && st == MAAS_OK; i++) {
        bool yes = false;
        st = maas_regex_full_match(r, x[i], &yes, err);
        ((uint8_t *)c->out[0].data)[i] = yes;
    }
    maas_regex_destroy(r);
    return st;
}

static void example(maas_example *e)
{
    static const char *const patterns[] = {"(?i)[a-c]+|", ".*\\bword", "a{1,3}",
                                           "\\p{L}(\\w|\\s)*"};
    static const int64_t dims[][2] = {{3, 4}, {0, 2}};
    const maas_attr pattern = MAAS_A_STR("pattern", patterns[e->variant]);
    const maas_vid x = maas_ex_in(e, MAAS_STRING, 0, 1, 2, dims[e->variant == 2]);
    maas_b_node(e->b, "RegexFullMatch", &pattern, 1, &x, 1, NULL, 1);
}

static const maas_io_schema in[] = {MAAS_REQ("X", NULL, MAAS_DTS_STR)};
static const maas_io_schema out[] = {MAAS_REQ("Y", NULL, MAAS_DTS_BOOL)};
static const maas_attr_schema attrs[] = {{"pattern", MAAS_ATTR_STRING, false}};

const maas_op maas_op_RegexFullMatch = {
    .domain = "",
    .name = "RegexFullMatch",
    .since = 20,
    .flags = MAAS_OP_STRINGS,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 4,
    .infer = infer,
    .reference = reference,
    .flops = maas_flops_none,
    .example = example,
    .no_gradient = "text has no derivative",
};
