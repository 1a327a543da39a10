/*
 * How text is cut into words before BPE: patterns that models were trained with, by the name the
 * file gives them, or by being the same as what it writes. Those become machine code. Patterns of a
 * file that are none of ours are interpreted, and give up when a word costs too much.
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

/* Letters that have a case, as far as the makers of DeepSeek LLM listed them. */
#define CASED                                                                                      \
    "A-Za-z\\x{b5}\\x{c0}-\\x{d6}\\x{d8}-\\x{f6}\\x{f8}-\\x{1ba}\\x{1bc}-\\x{1bf}\\x{1c4}"         \
    "-\\x{293}\\x{295}-\\x{2af}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37b}-\\x{37d}\\x{37f}"         \
    "\\x{386}\\x{388}-\\x{38a}\\x{38c}\\x{38e}-\\x{3a1}\\x{3a3}-\\x{3f5}\\x{3f7}-\\x{481}"         \
    "\\x{48a}-\\x{52f}\\x{531}-\\x{556}\\x{10a0}-\\x{10c5}\\x{13a0}-\\x{13f5}\\x{13f8}-"           \
    "\\x{13fd}\\x{1c90}-\\x{1cba}\\x{1cbd}-\\x{1cbf}\\x{1d00}-\\x{1d2b}\\x{1d6b}-"                 \
    "\\x{1d77}\\x{1d79}-\\x{1d9a}\\x{1e00}-\\x{1f15}\\x{1f18}-\\x{1f1d}\\x{1f20}-"                 \
    "\\x{1f45}\\x{1f48}-\\x{1f4d}\\x{1f50}-\\x{1f57}\\x{1f59}\\x{1f5b}\\x{1f5d}\\x{1f5f}-"         \
    "\\x{1f7d}\\x{1f80}-\\x{1fb4}\\x{1fb6}-\\x{1fbc}\\x{1fbe}\\x{1fc2}-\\x{1fc4}\\x{1fc6}"         \
    "-\\x{1fcc}\\x{1fd0}-\\x{1fd3}\\x{1fd6}-\\x{1fdb}\\x{1fe0}-\\x{1fec}\\x{1ff2}-"                \
    "\\x{1ff4}\\x{1ff6}-\\x{1ffc}\\x{2102}\\x{2107}\\x{210a}-\\x{2113}\\x{2115}\\x{2119}-"         \
    "\\x{211d}\\x{2124}\\x{2126}\\x{2128}\\x{212a}-\\x{212d}\\x{212f}-\\x{2134}\\x{2139}"          \
    "\\x{213c}-\\x{213f}\\x{2145}-\\x{2149}\\x{214e}\\x{2183}\\x{2184}\\x{2c00}-\\x{2c7b}"         \
    "\\x{2c7e}-\\x{2ce4}\\x{2ceb}-\\x{2cee}\\x{2cf2}\\x{2cf3}\\x{a640}-\\x{a66d}\\x{a680}"         \
    "-\\x{a69b}\\x{a722}-\\x{a76f}\\x{a771}-\\x{a787}\\x{a78b}-\\x{a78e}\\x{ab70}-"                \
    "\\x{abbf}\\x{fb00}-\\x{fb06}\\x{fb13}-\\x{fb17}\\x{ff21}-\\x{ff3a}\\x{ff41}-"                 \
    "\\x{ff5a}\\x{10400}-\\x{1044f}\\x{104b0}-\\x{104d3}\\x{104d8}-\\x{104fb}\\x{10c80}-"          \
    "\\x{10cb2}\\x{10cc0}-\\x{10cf2}\\x{118a0}-\\x{118df}\\x{1e900}-\\x{1e943}"
#define HAN_OR_HANGUL "[\\x{4e00}-\\x{9fa5}\\x{800}-\\x{4e00}\\x{ac00}-\\x{d7ff}]+"
#define HAN_OR_KANA   "[\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{309f}\\x{30a0}-\\x{30ff}]+"
/* \s+$, of which only the first space of a run is tried. */
#define AT_THE_END "(?<!\\s)\\s++\\z"
#define WIDE_PUNCTUATION                                                                           \
    "\\s?[!-/:-~\\x{ff01}-\\x{ff0f}\\x{ff1a}-\\x{ff5e}\\x{2018}-\\x{201f}\\x{3000}-\\x{3002}]+"
#define BLOOM " ?[^(\\s|.,!?\\x{2026}\\x{3002}\\x{ff0c}\\x{3001}\\x{964}\\x{6d4}\\x{60c})]+"
#define DEEPSEEK                                                                                   \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}"    \
    "\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
/* Words change from capitals to small letters once; `end` may follow them. */
#define CAPITALS(digits, end)                                                                      \
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"     \
    "+" end "|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}"   \
    "\\p{M}]*" end "|" digits "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

enum { MAX_STAGES = 8, MAX_PATTERN = 16 << 10, MATCH_STEPS = 200000, MATCH_KIB = 8192 };

struct maas_pre {
    const char *names;              /* separated by spaces; NULL: of a file */
    const char *stages[MAX_STAGES]; /* each cuts the pieces of the one before; gaps are pieces */
    bool whole_words;
    int n;            /* of a file: its stages ... */
    pcre2_code **own; /* ... as programs */
    pcre2_match_context *limits;
};

static const maas_pre rows[] = {
    {"gpt-2 gpt2 phi-2 mpt olmo jais jina-es jina-de jina-v2-es jina-v2-de jina-v2-code "
     "roberta-bpe "
     "exaone4 trillion granite-docling gigachat mellum a.x-4.0",
     {GPT2},
     false},
    {"smollm starcoder refact command-r codeshell exaone minerva-7b", {"\\p{N}", GPT2}, false},
    {"llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral lfm2", {MODERN("\\p{N}{1,3}")}, true},
    {"dbrx smaug-bpe chatglm-bpe glm4", {MODERN("\\p{N}{1,3}")}, false},
    {"qwen2 deepseek-r1-qwen stablelm2 hunyuan megrez kormo grok-2", {MODERN("\\p{N}")}, false},
    {"falcon", {"[\\p{P}\\$\\+<=>\\^~\\|`]+", GPT2, "[0-9][0-9][0-9]"}, false},
    {"deepseek-llm",
     {"[\\r\\n]", "\\s?[" CASED "]+", WIDE_PUNCTUATION, AT_THE_END, HAN_OR_HANGUL, "\\p{N}+"},
     false},
    {"deepseek-coder", {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", HAN_OR_HANGUL, "\\p{N}"}, false},
    {"deepseek-v3 hunyuan-dense", {"\\p{N}{1,3}", HAN_OR_KANA, DEEPSEEK}, false},
    {"tekken", {CAPITALS("\\p{N}", "")}, true},
    {"gpt-4o llama4 kanana2", {CAPITALS("\\p{N}{1,3}", "(?i:'s|'t|'re|'ve|'m|'ll|'d)?")}, false},
    {"bloom poro-chat gpt3-finnish", {BLOOM}, false},
    {"viking", {BLOOM, "\\p{N}"}, false},
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

/* ---- patterns of a file ---- */

static bool same_stages(const maas_pre *row, const maas_str *stages, uint64_t n)
{
    for (uint64_t i = 0; i < MAX_STAGES; i++) {
        const char *have = row->stages[i];
        if (i >= n || !have)
            return i == n && !have;
        if (strlen(have) != stages[i].n || memcmp(have, stages[i].p, stages[i].n) != 0)
            return false;
    }
    return n == MAX_STAGES;
}

static void forget(void *arg)
{
    maas_pre *p = arg;
    for (int i = 0; i < p->n; i++)
        pcre2_code_free(p->own[i]);
    pcre2_match_context_free(p->limits);
}

static maas_status compile_own(maas_pre *p, const maas_str *stages, uint64_t n, maas_err *err)
{
    int error;
    size_t at;
    for (uint64_t i = 0; i < n; i++) {
        if (stages[i].n > MAX_PATTERN)
            return maas_fail(err, MAAS_E_TOO_LARGE, "a pre-tokenizer has a pattern of %zu bytes",
                             stages[i].n);
        p->own[i] = pcre2_compile((PCRE2_SPTR)stages[i].p, stages[i].n,
                                  PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF |
                                      PCRE2_NEVER_BACKSLASH_C,
                                  &error, &at, NULL);
        if (!p->own[i])
            return maas_fail(err, MAAS_E_UNSUPPORTED,
                             "the pattern '%.*s' of a pre-tokenizer is not understood, at its byte "
                             "%zu",
                             (int)(stages[i].n < 80 ? stages[i].n : 80), stages[i].p, at);
        p->n++;
    }
    return MAAS_OK;
}

maas_status maas_pre_make(const maas_str *stages, uint64_t n, bool whole_words, maas_arena *a,
                          const maas_pre **out, maas_err *err)
{
    pthread_once(&once, compile_all);
    for (size_t i = 0; i < MAAS_COUNT(rows); i++)
        if (rows[i].whole_words == whole_words && codes[i][0] && same_stages(&rows[i], stages, n)) {
            *out = &rows[i];
            return MAAS_OK;
        }
    if (n > MAX_STAGES)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "a pre-tokenizer of %llu steps",
                         (unsigned long long)n);
    maas_pre *p = maas_arena_alloc(a, sizeof *p);
    pcre2_code **own = maas_arena_array(a, MAX_STAGES, sizeof(pcre2_code *));
    if (!p || !own || !maas_arena_defer(a, forget, p))
        return maas_fail(err, MAAS_E_NOMEM, "a pre-tokenizer");
    *p = (maas_pre){.whole_words = whole_words, .own = own};
    p->limits = pcre2_match_context_create(NULL);
    if (!p->limits)
        return maas_fail(err, MAAS_E_NOMEM, "a pre-tokenizer");
    pcre2_set_match_limit(p->limits, MATCH_STEPS);
    pcre2_set_heap_limit(p->limits, MATCH_KIB);
    *out = p;
    return compile_own(p, stages, n, err);
}

/* ---- cutting ---- */

typedef struct level {    /* a piece that a stage cuts */
    maas_str text, match; /* match: found, and not yet given on */
    size_t at;
} level;

typedef struct cutter {
    const maas_pre *pre;
    pcre2_code *const *codes;
    int n_stages;
    pcre2_match_data *match;
    level levels[MAX_STAGES];
} cutter;

/* The next piece of a level; n 0: there are no more. */
static maas_status next_piece(const cutter *c, int stage, level *l, maas_str *out, maas_err *err)
{
    *out = l->match;
    l->match.n = 0;
    if (out->n || l->at == l->text.n)
        return MAAS_OK;
    const int st = pcre2_match(c->codes[stage], (PCRE2_SPTR)l->text.p, l->text.n, l->at,
                               PCRE2_NOTEMPTY, c->match, c->pre->limits);
    size_t from = l->text.n, to = l->text.n;
    if (st < 0 && st != PCRE2_ERROR_NOMATCH)
        return maas_fail(err, MAAS_E_INVALID, "the text cannot be cut into words (%d)", st);
    if (st >= 0) {
        const size_t *v = pcre2_get_ovector_pointer(c->match);
        from = v[0];
        to = v[1];
    }
    if (from < l->at || to <= l->at) /* \K can say so */
        return maas_fail(err, MAAS_E_UNSUPPORTED, "the pattern of a pre-tokenizer goes backwards");
    const maas_str match = {l->text.p + from, to - from};
    *out = from > l->at ? (maas_str){l->text.p + l->at, from - l->at} : match;
    l->match = from > l->at ? match : (maas_str){NULL, 0};
    l->at = to;
    return MAAS_OK;
}

static maas_status cut(cutter *c, maas_str text,
                       maas_status (*word)(void *user, maas_str word, maas_err *err), void *user,
                       maas_err *err)
{
    maas_str piece;
    if (c->n_stages == 0)
        return text.n ? word(user, text, err) : MAAS_OK;
    c->levels[0] = (level){.text = text};
    for (int depth = 0; depth >= 0;) {
        MAAS_TRY(next_piece(c, depth, &c->levels[depth], &piece, err));
        if (!piece.n)
            depth--;
        else if (depth + 1 < c->n_stages)
            c->levels[++depth] = (level){.text = piece};
        else
            MAAS_TRY(word(user, piece, err));
    }
    return MAAS_OK;
}

maas_status maas_pre_split(const maas_pre *p, maas_str text,
                           maas_status (*word)(void *user, maas_str word, maas_err *err),
                           void *user, maas_err *err)
{
    pthread_once(&fast, compile_fast);
    cutter c = {.pre = p, .codes = p->own, .n_stages = p->n};
    if (!p->own) {
        c.codes = codes[p - rows];
        while (c.n_stages < MAX_STAGES && p->stages[c.n_stages])
            c.n_stages++;
    }
    c.match = pcre2_match_data_create(1, NULL);
    if (!c.match)
        return maas_fail(err, MAAS_E_NOMEM, "cutting a text into words");
    const maas_status st = cut(&c, text, word, user, err);
    pcre2_match_data_free(c.match);
    return st;
}
