/*
 * How text is cut into words before BPE: patterns that models were trained with, by the name the
 * file gives them. Patterns are facts of those models; they are ours alone to compile, none comes
 * from a file.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "lm/tokenizer/tokenizer_int.h"
#include "base/ban.h"

#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define MODERN(digits)                                                                             \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits                           \
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

enum { MAX_STAGES = 2 };

struct maas_pre {
    const char *names;              /* separated by spaces */
    const char *stages[MAX_STAGES]; /* each cuts the pieces of the one before; gaps are pieces */
    bool whole_words;
};

static const maas_pre rows[] = {
    {"gpt-2 gpt2 phi-2 mpt olmo jina-es jina-de jina-v2-es jina-v2-de roberta-bpe", {GPT2}, false},
    {"smollm starcoder refact command-r codeshell exaone minerva-7b", {"\\p{N}", GPT2}, false},
    {"llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral", {MODERN("\\p{N}{1,3}")}, true},
    {"dbrx smaug-bpe", {MODERN("\\p{N}{1,3}")}, false},
    {"qwen2 deepseek-r1-qwen stablelm2 hunyuan megrez", {MODERN("\\p{N}")}, false},
};

static pcre2_code *codes[sizeof rows / sizeof *rows][MAX_STAGES];
static pthread_once_t once = PTHREAD_ONCE_INIT, fast = PTHREAD_ONCE_INIT;

static void compile_all(void)
{
    for (size_t i = 0; i < MAAS_COUNT(rows); i++)
        for (int k = 0; k < MAX_STAGES && rows[i].stages[k]; k++) {
            int error;
            size_t at;
            codes[i][k] = pcre2_compile((PCRE2_SPTR)rows[i].stages[k], PCRE2_ZERO_TERMINATED,
                                        PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF, &error,
                                        &at, NULL);
        }
}

/* To machine code when text is first cut: importers, who only look, may not make any. */
static void compile_fast(void)
{
    for (size_t i = 0; i < MAAS_COUNT(rows); i++)
        for (int k = 0; k < MAX_STAGES && codes[i][k]; k++)
            pcre2_jit_compile(codes[i][k], PCRE2_JIT_COMPLETE);
}

static bool is_among(const char *names, maas_str name)
{
    for (const char *p = names; *p;) {
        const char *end = strchrnul(p, ' ');
        if ((size_t)(end - p) == name.n && memcmp(p, name.p, name.n) == 0)
            return true;
        p = end + (*end == ' ');
    }
    return false;
}

maas_status maas_pre_of(maas_str name, const maas_pre **out, maas_err *err)
{
    pthread_once(&once, compile_all);
    for (size_t i = 0; i < MAAS_COUNT(rows); i++)
        if (is_among(rows[i].names, name)) {
            if (!codes[i][0])
                return maas_fail(err, MAAS_E_NOMEM, "a pre-tokenizer");
            *out = &rows[i];
            return MAAS_OK;
        }
    return maas_fail(err, MAAS_E_UNSUPPORTED, "the pre-tokenizer '%.*s' is not known",
                     (int)(name.n < 60 ? name.n : 60), name.p);
}

bool maas_pre_keeps_words(const maas_pre *p)
{
    return p->whole_words;
}

/* ---- cutting ---- */

typedef struct cutter {
    const maas_pre *pre;
    pcre2_match_data *match[MAX_STAGES];
    maas_status (*word)(void *user, maas_str word, maas_err *err);
    void *user;
} cutter;

/* The next match at or after `at`: false at the end. */
static maas_status next_match(const cutter *c, int stage, maas_str text, size_t at, size_t *from,
                              size_t *to, maas_err *err)
{
    const int st = pcre2_match(codes[c->pre - rows][stage], (PCRE2_SPTR)text.p, text.n, at,
                               PCRE2_NOTEMPTY, c->match[stage], NULL);
    *from = *to = text.n;
    if (st == PCRE2_ERROR_NOMATCH)
        return MAAS_OK;
    if (st < 0)
        return maas_fail(err, MAAS_E_INVALID, "the text cannot be cut into words (%d)", st);
    const size_t *v = pcre2_get_ovector_pointer(c->match[stage]);
    *from = v[0];
    *to = v[1];
    return MAAS_OK;
}

/* Stages are two at most: the second one is called by the first, and that is all the depth there
 * is.
 */
static maas_status last_stage(const cutter *c, int stage, maas_str text, maas_err *err)
{
    for (size_t at = 0, from, to; at < text.n; at = to) {
        MAAS_TRY(next_match(c, stage, text, at, &from, &to, err));
        if (from > at)
            MAAS_TRY(c->word(c->user, (maas_str){text.p + at, from - at}, err));
        if (to > from)
            MAAS_TRY(c->word(c->user, (maas_str){text.p + from, to - from}, err));
    }
    return MAAS_OK;
}

static maas_status all_stages(const cutter *c, maas_str text, maas_err *err)
{
    if (!c->pre->stages[1])
        return last_stage(c, 0, text, err);
    for (size_t at = 0, from, to; at < text.n; at = to) {
        MAAS_TRY(next_match(c, 0, text, at, &from, &to, err));
        if (from > at)
            MAAS_TRY(last_stage(c, 1, (maas_str){text.p + at, from - at}, err));
        if (to > from)
            MAAS_TRY(last_stage(c, 1, (maas_str){text.p + from, to - from}, err));
    }
    return MAAS_OK;
}

maas_status maas_pre_split(const maas_pre *p, maas_str text,
                           maas_status (*word)(void *user, maas_str word, maas_err *err),
                           void *user, maas_err *err)
{
    pthread_once(&fast, compile_fast);
    cutter c = {.pre = p, .word = word, .user = user};
    maas_status st = MAAS_OK;
    for (int k = 0; k < MAX_STAGES && p->stages[k] && st == MAAS_OK; k++) {
        c.match[k] = pcre2_match_data_create(1, NULL);
        if (!c.match[k])
            st = maas_fail(err, MAAS_E_NOMEM, "cutting a text into words");
    }
    if (st == MAAS_OK)
        st = all_stages(&c, text, err);
    for (int k = 0; k < MAX_STAGES; k++)
        pcre2_match_data_free(c.match[k]);
    return st;
}
