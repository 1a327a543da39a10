/*
 * What tokenizer.json does to a text before and after its model: normalizer, pre_tokenizer and
 * post_processor. Each kind is a row; what has no row is refused by name.
 */
#include <string.h>

#include "base/mem.h"
#include "lm/source/hf_int.h"
#include "base/ban.h"

#define SPACE "\xe2\x96\x81" /* U+2581 */
enum { MAX_DEPTH = 4 };      /* of sequences in sequences */

#define WORDS "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

maas_status maas_hf_refuse(const maas_hf_steps *s, const char *type, const char *why)
{
    return maas_fail(s->h->err, MAAS_E_UNSUPPORTED, "tokenizer.json: '%s' of type '%.40s'%s%s",
                     s->part, type, *why ? ": " : "", why);
}

const char *maas_hf_word(const json_t *o, const char *key)
{
    const char *w = json_string_value(json_object_get(o, key));
    return w ? w : "";
}

static maas_status flatten(maas_hf_steps *s, const json_t *step, const char *list, int depth)
{
    if (!step || json_is_null(step))
        return MAAS_OK;
    if (depth == MAX_DEPTH || s->n == MAAS_HF_MAX_STEPS)
        return maas_fail(s->h->err, MAAS_E_TOO_LARGE, "tokenizer.json: '%s' has too many steps",
                         s->part);
    if (strcmp(maas_hf_word(step, "type"), "Sequence") != 0) {
        s->list[s->n++] = step;
        return MAAS_OK;
    }
    const json_t *each = json_object_get(step, list);
    for (size_t i = 0; i < json_array_size(each); i++)
        MAAS_TRY(flatten(s, json_array_get(each, i), list, depth + 1));
    return MAAS_OK;
}

static maas_status take_all(maas_hf_steps *s, const maas_hf_step *rows, size_t n)
{
    for (size_t i = 0; i < s->n; i++) {
        const char *type = maas_hf_word(s->list[i], "type");
        const maas_hf_step *row = NULL;
        for (size_t k = 0; k < n && !row; k++)
            row = strcmp(rows[k].type, type) == 0 ? &rows[k] : NULL;
        if (!row)
            return maas_hf_refuse(s, type, "not known");
        if (row->take)
            MAAS_TRY(row->take(s, s->list[i]));
    }
    return MAAS_OK;
}

/* ---- normalizer ---- */

enum { BPE = 'B', UNIGRAM = 'U', WORDPIECE = 'W' }; /* kinds of models, by their first letter */

static bool is_kind(const maas_hf_steps *s, int kind)
{
    return s->p->type.p[0] == kind;
}

static int digit64(char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

/* Base 64 with its padding; room for n bytes at `to`. */
static bool from_base64(const char *text, size_t n, uint8_t *to, size_t *bytes)
{
    for (int pads = 0; pads < 2 && n && text[n - 1] == '='; pads++)
        n--;
    uint32_t bits = 0;
    for (size_t i = 0; i < n; i++) {
        const int d = digit64(text[i]);
        if (d < 0)
            return false;
        bits = bits << 6 | (uint32_t)d;
        if (i % 4)
            to[(*bytes)++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
    }
    return n % 4 != 1;
}

static maas_status take_replace(maas_hf_steps *s, const json_t *step)
{
    const json_t *pattern = json_object_get(step, "pattern");
    if (strcmp(maas_hf_word(pattern, "String"), " ") == 0 &&
        strcmp(maas_hf_word(step, "content"), SPACE) == 0) {
        s->p->spaces = true;
        return MAAS_OK;
    }
    if (is_kind(s, UNIGRAM) && strcmp(maas_hf_word(pattern, "Regex"), " {2,}") == 0 &&
        (strcmp(maas_hf_word(step, "content"), " ") == 0 ||
         strcmp(maas_hf_word(step, "content"), SPACE) == 0)) {
        s->p->joins = true;
        return MAAS_OK;
    }
    return maas_hf_refuse(s, "Replace", "only of a blank by U+2581");
}

static maas_status take_prepend(maas_hf_steps *s, const json_t *step)
{
    if (strcmp(maas_hf_word(step, "prepend"), SPACE) != 0)
        return maas_hf_refuse(s, "Prepend", "only of U+2581");
    s->p->prefix = MAAS_HF_PREFIX_ALWAYS;
    return MAAS_OK;
}

static maas_status take_nfc(maas_hf_steps *s, const json_t *step)
{
    (void)step;
    return maas_hf_put_bool(s->h, "maas.normalize.nfc", true);
}

/* The map of characters that SentencePiece normalizes with, in base 64. */
static maas_status take_precompiled(maas_hf_steps *s, const json_t *step)
{
    const char *text = maas_hf_word(step, "precompiled_charsmap");
    const size_t n = strlen(text);
    uint8_t *to = maas_arena_alloc(s->h->a, n + 3);
    size_t bytes = 0;
    s->p->mapped = true;
    if (!to)
        return maas_hf_no_memory(s->h);
    if (!from_base64(text, n, to, &bytes))
        return maas_hf_refuse(s, "Precompiled", "its map is not in base 64");
    return maas_hf_put_numbers(s->h, "tokenizer.ggml.precompiled_charsmap", MAAS_GGUF_U8, to,
                               bytes);
}

static maas_status take_bert(maas_hf_steps *s, const json_t *step)
{
    const json_t *accents = json_object_get(step, "strip_accents");
    const bool lower = !json_is_false(json_object_get(step, "lowercase"));
    if (json_is_false(json_object_get(step, "clean_text")) ||
        json_is_false(json_object_get(step, "handle_chinese_chars")) ||
        (json_is_boolean(accents) && json_is_true(accents) != lower))
        return maas_hf_refuse(s, "BertNormalizer",
                              "only with 'clean_text', 'handle_chinese_chars', and "
                              "'strip_accents' as 'lowercase' is");
    return maas_hf_put_bool(s->h, "tokenizer.ggml.normalizer.lowercase", lower);
}

/* Blanks at the ends; those at the beginning may stay, for they become the one before a text. */
static maas_status take_strip(maas_hf_steps *s, const json_t *step)
{
    if (!is_kind(s, UNIGRAM) || !json_is_true(json_object_get(step, "strip_right")))
        return maas_hf_refuse(s, "Strip", "only of unigrams, and of the right end");
    s->p->strips = true;
    return MAAS_OK;
}

static const maas_hf_step normalizers[] = {
    {"Replace", take_replace}, {"Prepend", take_prepend},         {"NFC", take_nfc},
    {"Strip", take_strip},     {"Precompiled", take_precompiled}, {"BertNormalizer", take_bert}};

/* ---- pre_tokenizer ---- */

static maas_status put_stage(maas_hf_steps *s, const char *pattern)
{
    if (!s->stages)
        s->stages = maas_arena_array(s->h->a, 2 * MAAS_HF_MAX_STEPS, sizeof *s->stages);
    const char *copy = maas_arena_strdup(s->h->a, pattern);
    if (!s->stages || !copy)
        return maas_hf_no_memory(s->h);
    s->stages[s->n_stages++] = (maas_str){copy, strlen(copy)};
    return MAAS_OK;
}

/* Text as a pattern that matches it alone. */
static maas_status put_literal(maas_hf_steps *s, const char *text)
{
    const char *quoted = strstr(text, "\\E") ? NULL : maas_arena_printf(s->h->a, "\\Q%s\\E", text);
    return quoted ? put_stage(s, quoted) : maas_hf_refuse(s, "Split", "this text");
}

static maas_status take_split(maas_hf_steps *s, const json_t *step)
{
    const json_t *pattern = json_object_get(step, "pattern");
    const char *regex = maas_hf_word(pattern, "Regex"), *behavior = maas_hf_word(step, "behavior");
    const bool invert = json_is_true(json_object_get(step, "invert"));
    /* Blanks are U+2581 by now: there is nothing to cut at. */
    if (s->p->spaces && strcmp(maas_hf_word(pattern, "String"), " ") == 0)
        return MAAS_OK;
    /* Patterns that match all of a text are written as what is not removed, too. */
    if (!(strcmp(behavior, "Isolated") == 0 && !invert) &&
        !(strcmp(behavior, "Removed") == 0 && invert && strstr(regex, "\\s+(?!\\S)|\\s+")))
        return maas_hf_refuse(s, "Split", "only with the behavior Isolated");
    return *regex ? put_stage(s, regex) : put_literal(s, maas_hf_word(pattern, "String"));
}

static maas_status take_digits(maas_hf_steps *s, const json_t *step)
{
    return put_stage(s, json_is_true(json_object_get(step, "individual_digits")) ? "\\p{N}"
                                                                                 : "\\p{N}+");
}

static maas_status take_byte_level(maas_hf_steps *s, const json_t *step)
{
    const json_t *regex = json_object_get(step, "use_regex");
    s->p->byte_level = true;
    if (json_is_true(json_object_get(step, "add_prefix_space")))
        return maas_hf_refuse(s, "ByteLevel", "with 'add_prefix_space'");
    return regex && !json_is_true(regex) ? MAAS_OK : put_stage(s, WORDS);
}

static maas_status take_metaspace(maas_hf_steps *s, const json_t *step)
{
    const char *scheme = maas_hf_word(step, "prepend_scheme");
    const json_t *split = json_object_get(step, "split"),
                 *old = json_object_get(step, "add_prefix_space");
    if (strcmp(maas_hf_word(step, "replacement"), SPACE) != 0)
        return maas_hf_refuse(s, "Metaspace", "only of U+2581");
    if ((!split || json_is_true(split)) && is_kind(s, BPE))
        return maas_hf_refuse(s, "Metaspace", "with 'split'");
    if (!*scheme)
        scheme = json_is_false(old) ? "never" : "always";
    s->p->spaces = true;
    s->p->prefix = strcmp(scheme, "always") == 0  ? MAAS_HF_PREFIX_MISSING
                   : strcmp(scheme, "first") == 0 ? MAAS_HF_PREFIX_FIRST
                                                  : MAAS_HF_PREFIX_NEVER;
    return MAAS_OK;
}

/* Unigrams: no token goes over a blank that is not before it, and blanks are one each. */
static maas_status take_spaces(maas_hf_steps *s, const json_t *step)
{
    (void)step;
    s->p->joins = s->p->strips = true;
    return is_kind(s, UNIGRAM) ? MAAS_OK : maas_hf_refuse(s, "WhitespaceSplit", "only of unigrams");
}

static maas_status take_bert_words(maas_hf_steps *s, const json_t *step)
{
    (void)step;
    return is_kind(s, WORDPIECE) ? MAAS_OK
                                 : maas_hf_refuse(s, "BertPreTokenizer", "only of WordPiece");
}

static const maas_hf_step pre_tokenizers[] = {{"WhitespaceSplit", take_spaces},
                                              {"BertPreTokenizer", take_bert_words},
                                              {"Split", take_split},
                                              {"Digits", take_digits},
                                              {"ByteLevel", take_byte_level},
                                              {"Metaspace", take_metaspace}};

/* ---- the whole ---- */

static maas_status put_stages(maas_hf_steps *s)
{
    MAAS_TRY(maas_hf_put_bool(s->h, "maas.pre.whole_words", s->p->ignore_merges));
    return maas_hf_put_strs(s->h, "maas.pre.stages", s->stages, s->n_stages);
}

static maas_status put_prefix(maas_hf_steps *s)
{
    const maas_hf_pipeline *p = s->p;
    if ((p->strips && !p->joins) || (p->joins && p->prefix == MAAS_HF_PREFIX_NEVER))
        return maas_fail(
            s->h->err, MAAS_E_UNSUPPORTED,
            "tokenizer.json: 'normalizer': 'Strip' only beside a 'Replace' of blanks by "
            "one, and that only with a blank before a text");
    if (p->strips && !p->mapped) /* it makes blanks of tabs and line ends */
        return maas_fail(
            s->h->err, MAAS_E_UNSUPPORTED,
            "tokenizer.json: 'normalizer': 'Strip' and 'WhitespaceSplit' are read only "
            "beside 'Precompiled'");
    MAAS_TRY(maas_hf_put_bool(s->h, "tokenizer.ggml.add_space_prefix",
                              p->prefix != MAAS_HF_PREFIX_NEVER));
    MAAS_TRY(
        maas_hf_put_bool(s->h, "maas.space_prefix.if_missing",
                         p->prefix == MAAS_HF_PREFIX_MISSING || p->prefix == MAAS_HF_PREFIX_FIRST));
    if (is_kind(s, UNIGRAM))
        MAAS_TRY(maas_hf_put_bool(s->h, "tokenizer.ggml.remove_extra_whitespaces", p->joins));
    MAAS_TRY(maas_hf_put_bool(s->h, "maas.last_blank_stays", p->joins && !p->strips));
    MAAS_TRY(maas_hf_put_bool(s->h, "maas.fuse_unknown", p->fuse_unknown));
    return maas_hf_put_bool(s->h, "maas.space_prefix.once", p->prefix == MAAS_HF_PREFIX_FIRST);
}

maas_status maas_hf_run(maas_hf_steps *s, const char *part, const json_t *steps_of,
                        const char *list, const maas_hf_step *rows, size_t n)
{
    s->part = part;
    s->n = 0;
    MAAS_TRY(flatten(s, steps_of, list, 0));
    return take_all(s, rows, n);
}

maas_status maas_hf_read_pipeline(maas_hf *h, maas_hf_pipeline *p)
{
    maas_hf_steps s = {.h = h, .p = p};
    MAAS_TRY(maas_hf_run(&s, "normalizer", p->normalizer, "normalizers", normalizers,
                         MAAS_COUNT(normalizers)));
    MAAS_TRY(maas_hf_run(&s, "pre_tokenizer", p->pre_tokenizer, "pretokenizers", pre_tokenizers,
                         MAAS_COUNT(pre_tokenizers)));
    MAAS_TRY(maas_hf_read_frame(&s));
    if (is_kind(&s, WORDPIECE))
        return MAAS_OK;
    return p->byte_level ? put_stages(&s) : put_prefix(&s);
}
