/*
 * What tokenizer.json does to a text before and after its model: normalizer, pre_tokenizer and
 * post_processor. Each kind is a row; what has no row is refused by name.
 */
#include <string.h>

#include "base/mem.h"
#include "lm/source/hf_int.h"
#include "base/ban.h"

#define SPACE "\xe2\x96\x81" /* U+2581 */
#define WORDS "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

enum { MAX_STEPS = 16, MAX_DEPTH = 4 };

typedef struct steps { /* of a pipeline, sequences laid out flat */
    maas_hf *h;
    maas_hf_pipeline *p;
    const char *part; /* "pre_tokenizer" */
    const json_t *list[MAX_STEPS];
    size_t n;
    maas_str *stages; /* patterns */
    uint64_t n_stages;
} steps;

typedef maas_status (*step_fn)(steps *s, const json_t *step);
typedef struct step_row {
    const char *type;
    step_fn take; /* NULL: does nothing to a text */
} step_row;

static maas_status refuse(const steps *s, const char *type, const char *why)
{
    return maas_fail(s->h->err, MAAS_E_UNSUPPORTED, "tokenizer.json: '%s' of type '%.40s'%s%s",
                     s->part, type, *why ? ": " : "", why);
}

static const char *word(const json_t *o, const char *key)
{
    const char *w = json_string_value(json_object_get(o, key));
    return w ? w : "";
}

static maas_status flatten(steps *s, const json_t *step, const char *list, int depth)
{
    if (!step || json_is_null(step))
        return MAAS_OK;
    if (depth == MAX_DEPTH || s->n == MAX_STEPS)
        return maas_fail(s->h->err, MAAS_E_TOO_LARGE, "tokenizer.json: '%s' has too many steps",
                         s->part);
    if (strcmp(word(step, "type"), "Sequence") != 0) {
        s->list[s->n++] = step;
        return MAAS_OK;
    }
    const json_t *each = json_object_get(step, list);
    for (size_t i = 0; i < json_array_size(each); i++)
        MAAS_TRY(flatten(s, json_array_get(each, i), list, depth + 1));
    return MAAS_OK;
}

static maas_status take_all(steps *s, const step_row *rows, size_t n)
{
    for (size_t i = 0; i < s->n; i++) {
        const char *type = word(s->list[i], "type");
        const step_row *row = NULL;
        for (size_t k = 0; k < n && !row; k++)
            row = strcmp(rows[k].type, type) == 0 ? &rows[k] : NULL;
        if (!row)
            return refuse(s, type, "not known");
        if (row->take)
            MAAS_TRY(row->take(s, s->list[i]));
    }
    return MAAS_OK;
}

/* ---- normalizer ---- */

static maas_status take_replace(steps *s, const json_t *step)
{
    const json_t *pattern = json_object_get(step, "pattern");
    if (strcmp(word(pattern, "String"), " ") == 0 && strcmp(word(step, "content"), SPACE) == 0) {
        s->p->spaces = true;
        return MAAS_OK;
    }
    return refuse(s, "Replace", "only of a blank by U+2581");
}

static maas_status take_prepend(steps *s, const json_t *step)
{
    if (strcmp(word(step, "prepend"), SPACE) != 0)
        return refuse(s, "Prepend", "only of U+2581");
    s->p->prefix = MAAS_HF_PREFIX_ALWAYS;
    return MAAS_OK;
}

static maas_status take_nfc(steps *s, const json_t *step)
{
    (void)step;
    return maas_hf_put_bool(s->h, "maas.normalize.nfc", true);
}

static const step_row normalizers[] = {
    {"Replace", take_replace}, {"Prepend", take_prepend}, {"NFC", take_nfc}};

/* ---- pre_tokenizer ---- */

static maas_status put_stage(steps *s, const char *pattern)
{
    if (!s->stages)
        s->stages = maas_arena_array(s->h->a, 2 * MAX_STEPS, sizeof *s->stages);
    const char *copy = maas_arena_strdup(s->h->a, pattern);
    if (!s->stages || !copy)
        return maas_hf_no_memory(s->h);
    s->stages[s->n_stages++] = (maas_str){copy, strlen(copy)};
    return MAAS_OK;
}

/* Text as a pattern that matches it alone. */
static maas_status put_literal(steps *s, const char *text)
{
    const char *quoted = strstr(text, "\\E") ? NULL : maas_arena_printf(s->h->a, "\\Q%s\\E", text);
    return quoted ? put_stage(s, quoted) : refuse(s, "Split", "this text");
}

static maas_status take_split(steps *s, const json_t *step)
{
    const json_t *pattern = json_object_get(step, "pattern");
    const char *regex = word(pattern, "Regex"), *behavior = word(step, "behavior");
    const bool invert = json_is_true(json_object_get(step, "invert"));
    /* Blanks are U+2581 by now: there is nothing to cut at. */
    if (s->p->spaces && strcmp(word(pattern, "String"), " ") == 0)
        return MAAS_OK;
    /* Patterns that match all of a text are written as what is not removed, too. */
    if (!(strcmp(behavior, "Isolated") == 0 && !invert) &&
        !(strcmp(behavior, "Removed") == 0 && invert && strstr(regex, "\\s+(?!\\S)|\\s+")))
        return refuse(s, "Split", "only with the behavior Isolated");
    return *regex ? put_stage(s, regex) : put_literal(s, word(pattern, "String"));
}

static maas_status take_digits(steps *s, const json_t *step)
{
    return put_stage(s, json_is_true(json_object_get(step, "individual_digits")) ? "\\p{N}"
                                                                                 : "\\p{N}+");
}

static maas_status take_byte_level(steps *s, const json_t *step)
{
    const json_t *regex = json_object_get(step, "use_regex");
    s->p->byte_level = true;
    if (json_is_true(json_object_get(step, "add_prefix_space")))
        return refuse(s, "ByteLevel", "with 'add_prefix_space'");
    return regex && !json_is_true(regex) ? MAAS_OK : put_stage(s, WORDS);
}

static maas_status take_metaspace(steps *s, const json_t *step)
{
    const char *scheme = word(step, "prepend_scheme");
    const json_t *split = json_object_get(step, "split"),
                 *old = json_object_get(step, "add_prefix_space");
    if (strcmp(word(step, "replacement"), SPACE) != 0)
        return refuse(s, "Metaspace", "only of U+2581");
    if ((!split || json_is_true(split)) && strncmp(s->p->type.p, "BPE", 3) == 0)
        return refuse(s, "Metaspace", "with 'split'");
    if (!*scheme)
        scheme = json_is_false(old) ? "never" : "always";
    s->p->spaces = true;
    s->p->prefix = strcmp(scheme, "always") == 0  ? MAAS_HF_PREFIX_MISSING
                   : strcmp(scheme, "first") == 0 ? MAAS_HF_PREFIX_FIRST
                                                  : MAAS_HF_PREFIX_NEVER;
    return MAAS_OK;
}

static const step_row pre_tokenizers[] = {{"Split", take_split},
                                          {"Digits", take_digits},
                                          {"ByteLevel", take_byte_level},
                                          {"Metaspace", take_metaspace}};

/* ---- post_processor ---- */

/* "<s> $A": what comes before the text. */
static maas_status take_template(steps *s, const json_t *step)
{
    const json_t *single = json_object_get(step, "single");
    bool seen_text = false;
    for (size_t i = 0; i < json_array_size(single); i++) {
        const json_t *item = json_array_get(single, i);
        const json_t *token = json_object_get(json_object_get(item, "SpecialToken"), "id");
        const char *name = json_string_value(token);
        if (!name) {
            seen_text = true;
            continue;
        }
        maas_str *to = seen_text ? &s->p->eos : &s->p->bos;
        if (to->n)
            return refuse(s, "TemplateProcessing", "more than one token on a side");
        to->p = maas_arena_strdup(s->h->a, name);
        to->n = to->p ? strlen(name) : 0;
        if (!to->p)
            return maas_hf_no_memory(s->h);
    }
    return MAAS_OK;
}

static const step_row post_processors[] = {{"TemplateProcessing", take_template},
                                           {"ByteLevel", NULL}};

/* ---- the whole ---- */

static maas_status put_stages(steps *s)
{
    MAAS_TRY(maas_hf_put_bool(s->h, "maas.pre.whole_words", s->p->ignore_merges));
    return maas_hf_put_strs(s->h, "maas.pre.stages", s->stages, s->n_stages);
}

static maas_status put_prefix(steps *s)
{
    const maas_hf_pipeline *p = s->p;
    MAAS_TRY(maas_hf_put_bool(s->h, "tokenizer.ggml.add_space_prefix",
                              p->prefix != MAAS_HF_PREFIX_NEVER));
    MAAS_TRY(
        maas_hf_put_bool(s->h, "maas.space_prefix.if_missing",
                         p->prefix == MAAS_HF_PREFIX_MISSING || p->prefix == MAAS_HF_PREFIX_FIRST));
    MAAS_TRY(maas_hf_put_bool(s->h, "maas.fuse_unknown", p->fuse_unknown));
    return maas_hf_put_bool(s->h, "maas.space_prefix.once", p->prefix == MAAS_HF_PREFIX_FIRST);
}

static maas_status run(steps *s, const char *part, const json_t *steps_of, const char *list,
                       const step_row *rows, size_t n)
{
    s->part = part;
    s->n = 0;
    MAAS_TRY(flatten(s, steps_of, list, 0));
    return take_all(s, rows, n);
}

maas_status maas_hf_read_pipeline(maas_hf *h, maas_hf_pipeline *p)
{
    steps s = {.h = h, .p = p};
    MAAS_TRY(
        run(&s, "normalizer", p->normalizer, "normalizers", normalizers, MAAS_COUNT(normalizers)));
    MAAS_TRY(run(&s, "pre_tokenizer", p->pre_tokenizer, "pretokenizers", pre_tokenizers,
                 MAAS_COUNT(pre_tokenizers)));
    MAAS_TRY(run(&s, "post_processor", p->post_processor, "processors", post_processors,
                 MAAS_COUNT(post_processors)));
    MAAS_TRY(maas_hf_put_bool(h, "tokenizer.ggml.add_bos_token", p->bos.n > 0));
    MAAS_TRY(maas_hf_put_bool(h, "tokenizer.ggml.add_eos_token", p->eos.n > 0));
    return p->byte_level ? put_stages(&s) : put_prefix(&s);
}
